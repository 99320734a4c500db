#!/usr/bin/env -S python3 -B
"""Measures what an issue or the README promises: tests/figures.sh NAME

NAME is demo, simulator, wire, border, faults or walls (main-job and decisions are demo's and simulator's old names). A line per
figure, "name value bar holds|short", measured in this run; the status is 1 when one is short, 2 when something cannot be built.
What is measured comes from the programs, as lines of JSON; what it must be stands in bars.txt.

FIGURES_BUILD=0 leaves out the figures of demo that time builds, FIGURES_MUTANTS=0 the mutants; FIGURES_FUZZ is how many seconds
each fuzz target gets (30; 0: none); FIGURES_PROGRAMS and FIGURES_PROGRAMS_TSAN are how many random programs run (20000, 5000),
FIGURES_ROUNDS how many rounds of a race (1000000).
"""

import contextlib
import fnmatch
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BARS = pathlib.Path(__file__).with_name("bars.txt")
ALIASES = {"main-job": "demo", "decisions": "simulator"}
TSAN_OPTIONS = f"suppressions={ROOT}/tests/tsan.supp halt_on_error=0 exitcode=66"
RELATIONS = {"<=": lambda v, b: v <= b, ">=": lambda v, b: v >= b, "<": lambda v, b: v < b, ">": lambda v, b: v > b,
             "==": lambda v, b: v == b}
TAKES = {"last": lambda all: all[-1], "sum": sum, "max": max, "min": min}


class bar:
    def __init__(self, name, relation, limit, take):
        self.name = name
        self.relation = relation
        self.limit = limit
        self.take = take
        self.shown = set()  # names that had their line


def expanded(name):
    """a_{b,c}_d: a_b_d and a_c_d."""
    group = re.search(r"\{([^}]*)\}", name)
    if not group:
        return [name]
    return [n for part in group[1].split(",") for n in expanded(name[:group.start()] + part + name[group.end():])]


def read_bars(wanted):
    bars, section = [], ""
    for line in BARS.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section == wanted and line and not line.startswith("#"):
            name, relation, limit, take = (line.split() + [""] * 3)[:4]
            if (relation and relation not in RELATIONS) or (take and take not in TAKES):
                sys.exit(f"{BARS}: {line}")
            bars += [bar(n, relation, limit, take or "last") for n in expanded(name)]
    return bars


def installed(*groups):
    subprocess.run(["tools/install_dependencies.sh", *groups], check=True, stdout=sys.stderr)


def jobs():
    return subprocess.run(["tools/scripts/jobs.sh"], check=True, capture_output=True, text=True).stdout.strip()


class measurement:
    """Runs programs, keeps what they say, and shows each figure when it is known."""

    def __init__(self, name, scratch):
        self.bars = read_bars(name)
        self.scratch = pathlib.Path(scratch)
        self.values = {}
        self.all_hold = True

    def put(self, name, value):
        if value is not None:
            self.values.setdefault(name, []).append(float(value))

    def build(self, preset, *targets, options=()):
        configured = ["cmake", "--preset", preset, *("-DJIRAPOOL_BUILD_" + o + "=ON" for o in options)]
        built = ["cmake", "--build", "--preset", preset, "-j", jobs(), "--target", *targets]
        for command in (configured, built):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
            if done.returncode != 0:
                sys.stderr.write(done.stdout[-4000:])
                sys.exit(2)

    def run(self, command, status=None, only="*", called=lambda name: name, **environment):
        """What it printed. Its figures that `only` matches are kept, by the name that `called` gives them; `status` is the name of
        its own one."""
        done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", env={**os.environ, "JIRAPOOL_FIGURES": "1", **environment})
        for line in done.stdout.splitlines():
            if line.startswith('{"figure"'):
                measured = json.loads(line)
                name = called(measured["figure"])
                if fnmatch.fnmatch(name, only):
                    self.put(name, measured["value"])
        if status:
            self.put(status, done.returncode)
            if done.returncode != 0:
                said = done.stdout.splitlines()
                # What Catch2 says of a failed assertion, wherever it stands, and the end.
                failed = [n for n, line in enumerate(said) if line.endswith(" FAILED:")]
                told = [line for n in failed[:10] for line in said[max(0, n - 6):n + 8]]
                sys.stderr.write("\n".join([f"--- {' '.join(str(c) for c in command)}", *told, *said[-20:], ""]))
        return done.stdout

    def show(self, last=False):
        """Lines for what is known; with `last` also for what never came."""
        for b in self.bars:
            found = [n for n in self.values if fnmatch.fnmatch(n, b.name)]
            for name in found:
                if name not in b.shown:
                    self.line(b, name, TAKES[b.take](self.values[name]))
            if last and not found and b.relation and "*" not in b.name:
                self.line(b, b.name, None)
        sys.stdout.flush()

    def line(self, b, name, value):
        b.shown.add(name)
        text = "none" if value is None else f"{value:.7g}"
        if not b.relation:
            print(f"{name:<34} {text:>12}")
            return
        holds = value is not None and RELATIONS[b.relation](value, float(b.limit))
        self.all_hold = self.all_hold and holds
        print(f"{name:<34} {text:>12} {b.relation:>5}{b.limit:<8} {'holds' if holds else 'short'}")


def value_of(file, path):
    """Of a JSON file, by key.key; an object counts as the sum of its values. None: there is none."""
    try:
        value = json.loads(pathlib.Path(file).read_text())
        for key in path.split("."):
            value = value[key]
        return sum(value.values()) if isinstance(value, dict) else value
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetched(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.read().decode()
    except (OSError, urllib.error.URLError):
        return ""


def waited_for(what, seconds):
    """What it gives when that is something, tried ten times a second."""
    limit = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < limit:
        time.sleep(0.1)
    return found


class mock_jira:
    """A jirapool-mock in a process of its own, and what reaches it."""

    def __init__(self, m, build, *arguments):
        self.m = m
        self.build = build
        self.connections = m.scratch / "connections.json"
        self.ready = m.scratch / "ready.json"
        self.ready.unlink(missing_ok=True)
        self.log = (m.scratch / "mock.log").open("w")
        self.process = subprocess.Popen(
            [f"{build}/tools/mock/jirapool-mock", "--port", "0", "--admin-port", "0", "--write-ca", m.scratch / "ca.pem",
             "--write-connections", self.connections, "--ready-file", self.ready, *arguments],
            stdout=self.log, stderr=subprocess.STDOUT)
        waited_for(lambda: value_of(self.ready, "admin_port"), 10)
        self.admin = f"127.0.0.1:{value_of(self.ready, 'admin_port')}"
        self.reach = ["--connect-to", f"127.0.0.1:{value_of(self.ready, 'port')}", "--ca", m.scratch / "ca.pem"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def load(self, *arguments):
        """Started; it leaves load.json, load.txt and load.err."""
        with (self.m.scratch / "load.txt").open("w") as out, (self.m.scratch / "load.err").open("w") as err:
            return subprocess.Popen(
                [f"{self.build}/tools/load/jirapool-load", self.connections, *self.reach, "--mock-stats", self.admin, "--json",
                 self.m.scratch / "load.json", *arguments], stdout=out, stderr=err)

    def printed(self):
        return "".join((self.m.scratch / f).read_text(errors="replace") for f in ("load.txt", "load.err", "mock.log"))


SMALL_CROWD = ["--sites", "150", "--personal", "100", "--service", "100", "--oauth", "100", "--token-lifetime", "6",
               "--latency-ms", "20"]


def demo_run(m):
    with mock_jira(m, "build/release", *SMALL_CROWD) as jira:
        running = jira.load("--rate", "2000", "--duration", "20", "--metrics", "127.0.0.1:0")
        address = waited_for(lambda: re.search(r"http://[0-9.:]+/metrics", jira.printed()), 10)
        # Until it runs at its rate.
        metrics = address and waited_for(
            lambda: (text := fetched(address[0])) and re.search(r'outcome="success"} [1-9]', text) and text, 10) or ""
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, text=True, capture_output=True)
        m.put("demo_exit_status", running.wait())
    result = m.scratch / "load.json"
    for name, path in (("calls_failed", "calls.failed"), ("calls_unsent", "calls.unsent"), ("calls_per_s", "succeeded_per_s"),
                       ("tokens_per_credential", "mock.min_refreshes_per_credential"),
                       ("calls_waited_for_token", "client.token_waits"),
                       ("refreshes_in_flight", "mock.max_refreshes_in_flight"), ("answered_401", "mock.answered_401"),
                       ("isolation_violations", "mock.isolation_violations"), ("response_p99_ms", "response_ms.p99")):
        m.put("demo_" + name, value_of(result, path))
    m.put("metrics_lines", len(re.findall(r"^jirapool_", metrics, re.MULTILINE)))
    m.put("promtool_check_metrics_status", checked.returncode)


def limits_run(m):
    """Offered load 150 % of what is permitted, on every route: 10 sites, 40 + 20 + 20 calls/s each are permitted."""
    with mock_jira(m, "build/release", "--sites", "10", "--personal", "10", "--service", "10", "--oauth", "10", "--latency-ms", "20",
                   "--burst-get-issue", "40", "--burst-get", "20", "--burst-post", "20", "--no-limit-issue-writes") as jira:
        jira.load("--rate", "1200", "--duration", "30", "--timeout", "5", "--mix", "get_issue=2,myself=1,search=1",
                  "--allow-failures").wait()
    m.put("limits_share_429", value_of(m.scratch / "load.json", "mock.share_429"))
    m.put("limits_share_of_permitted_used", value_of(m.scratch / "load.json", "mock.share_used"))


def summary_lines(text):
    return len(re.findall(r"^.*(?:response time|INTERRUPTED).*$", text, re.MULTILINE))


def interrupted_load(m, build, prefix):
    with mock_jira(m, build, *SMALL_CROWD) as jira:
        running = jira.load("--rate", "500", "--duration", "60", "--max-in-flight", "5000")
        # Until it is well under way.
        waited_for(lambda: (stats := fetched(f"http://{jira.admin}/stats")) and json.loads(stats)["requests"]["total"] >= 2000, 30)
        begun = time.monotonic()
        running.send_signal(signal.SIGINT)
        m.put(prefix + "_exit_status", running.wait())
        m.put(prefix + "_seconds", round(time.monotonic() - begun, 2))
    m.put(prefix + "_summary_lines", summary_lines((m.scratch / "load.txt").read_text()))
    m.put(prefix + "_sanitizer_reports",
          len(re.findall(r"ERROR: (?:Address|Leak)Sanitizer|runtime error:", jira.printed())))


def interrupted_demo(m):
    """Ctrl-C on the demo itself: SIGINT to its process group, after four of its seconds."""
    def as_from_a_terminal():
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    printed = m.scratch / "demo.txt"
    with printed.open("w") as out:
        demo = subprocess.Popen(["tools/demo.sh"], stdout=out, stderr=out, preexec_fn=as_from_a_terminal)
        waited_for(lambda: " 4.0 s " in printed.read_text(errors="replace") or demo.poll() is not None, 300)
        begun = time.monotonic()
        os.killpg(demo.pid, signal.SIGINT)
        m.put("interrupt_demo_exit_status", demo.wait(30))
        m.put("interrupt_demo_seconds", round(time.monotonic() - begun, 2))
    m.put("interrupt_demo_summary_lines", summary_lines(printed.read_text(errors="replace")))


def webhooks_run(m):
    with mock_jira(m, "build/release", "--sites", "3", "--personal", "1", "--service", "1", "--oauth", "1") as jira:
        def webhook(*arguments):
            done = subprocess.run(["build/release/tools/cli/jirapool", "webhook", *arguments, *jira.reach], text=True,
                                  capture_output=True, env={**os.environ, "JIRAPOOL_CONNECTIONS": str(jira.connections)})
            return done.returncode, done.stdout, done.stderr

        hook = ["--name", "figures", "--url", "https://hooks.example.com/", "--event", "jira:issue_created"]
        status, made, _ = webhook("create", "personal-0001", *hook, "--json")
        m.put("webhook_personal_create_status", status)
        number = str(json.loads(made)["id"]) if status == 0 else "1"
        status, listed, _ = webhook("list", "personal-0001", "--json")
        m.put("webhook_personal_list_status", status)
        m.put("webhook_personal_listed", listed.count("figures"))
        m.put("webhook_personal_delete_status", webhook("delete", "personal-0001", number)[0])
        for kind in ("service", "oauth"):
            status, _, said = webhook("create", f"{kind}-0001", *hook)
            m.put(f"webhook_{kind}_create_status", status)
            m.put(f"webhook_{kind}_says_which_kind", sum("personal API token" in line for line in said.splitlines()))
            m.put(f"webhook_{kind}_list_status", webhook("list", f"{kind}-0001")[0])
            m.put(f"webhook_{kind}_delete_status", webhook("delete", f"{kind}-0001", number)[0])
        requests = json.loads(fetched(f"http://{jira.admin}/stats"))["webhooks"]
    for kind in ("personal", "service", "oauth", "unknown", "refused"):
        m.put(f"webhook_requests_of_{kind}", requests[kind])


def builds_timed(m):
    without_cache = {"CCACHE_DISABLE": "1"}
    begun = time.monotonic()
    pathlib.Path("core/src/token_fsm.cpp").touch()
    m.run(["sh", "-c", "cmake --build --preset dev -j 2 --target core_tests && build/dev/tests/core_tests"],
          status="core_change_tests_status", only="core_change_*", **without_cache)
    m.put("core_change_to_tested_s", round(time.monotonic() - begun))
    begun = time.monotonic()
    clean = m.scratch / "clean"
    m.run(["sh", "-c", f"cmake -S . -B {clean} -G Ninja -DCMAKE_BUILD_TYPE=Release && cmake --build {clean} -j 2"],
          status="clean_release_build_status", **without_cache)
    m.put("clean_release_build_s", round(time.monotonic() - begun))


def demo(m):
    installed("build", "test")
    os.environ["PATH"] = f"{ROOT}/build/programs:{os.environ['PATH']}"
    m.build("release", "jirapool-load", "jirapool-mock", "jirapool")
    m.build("dev", "jirapool-load", "jirapool-mock", "core_tests")
    demo_run(m)
    m.show()
    limits_run(m)
    interrupted_demo(m)
    interrupted_load(m, "build/release", "interrupt")
    interrupted_load(m, "build/dev", "interrupt_under_asan")
    m.show()
    webhooks_run(m)
    if os.environ.get("FIGURES_BUILD") == "0":
        m.bars = [b for b in m.bars if not b.name.startswith(("core_change_", "clean_release_"))]
    else:
        builds_timed(m)


def mutants(m, *arguments):
    """Mistakes put into the decisions' code, one at a time: tests/sim/mutants. --border: into that of the border."""
    if os.environ.get("FIGURES_MUTANTS") == "0":
        m.bars = [b for b in m.bars if "mutants" not in b.name]
        return
    for line in m.run(["tests/sim/mutants/run.py", *arguments]).splitlines():
        if "SURVIVED" in line or "DOES NOT" in line:
            print(line)


def simulator(m):
    """In virtual time: the same tests hold these figures in every run, here they are measured and shown."""
    installed("build", "test", "lint")  # lint: clang
    for preset in ("release", "clang"):
        m.build(preset, "sim_tests", options=["TESTS"])
    m.run(["build/release/tests/sim_tests"], status="simulator_tests_status")
    long_runs = m.run(["build/release/tests/sim_tests", "[.figures],[.memory]"], status="long_runs_status")
    by_clang = m.run(["build/clang/tests/sim_tests", "sim: the traces of seeds*"], only="")
    traces = re.compile(r"^trace .*$", re.MULTILINE)
    m.put("traces_that_gcc_and_clang_share", len(set(traces.findall(long_runs)) & set(traces.findall(by_clang))))
    m.show()
    mutants(m)


def fuzz(m, *targets):
    seconds = os.environ.get("FIGURES_FUZZ", "30")
    if seconds == "0":
        m.bars = [b for b in m.bars if not b.name.startswith("fuzz_")]
        return
    m.run(["tests/fuzz/run.sh", seconds, *targets], status="fuzz_status")
    m.put("fuzz_targets", sum(name.startswith("fuzz_") and name.endswith("_executions") for name in m.values))
    m.show()


def wire(m):
    installed("build", "test", "lint", "bench")
    m.build("release", "wire_tests", "wire_bench", "channels_bench", options=["TESTS", "BENCH"])
    for group in ("cut", "tls", "hostile", "nth", "keys"):
        m.run(["build/release/tests/wire_tests", f"{group}: *"], status=f"{group}_status", only=f"{group}_*")
        m.show()
    m.run(["tests/tsan.sh", "threads", "call", "token", "cut", "streaming", "limits", "faults_hedge"], status="tsan_status",
          only="tsan_*")
    m.show()
    for what in ("idle", "kill"):
        m.run(["build/release/bench/channels_bench", what], status=f"{what}_status")
    m.show()
    m.run(["build/release/bench/wire_bench"], status="bench_status")
    m.show()
    fuzz(m)


def border(m):
    installed("build", "test", "bench")
    m.build("release", "border_tests", "wire_tests", "wire_bench", options=["TESTS", "BENCH"])
    m.build("dev", "border_tests", "wire_tests", options=["TESTS", "TOOLS"])
    m.build("tsan", "border_tests", options=["TESTS", "TOOLS"])

    m.run(["build/dev/tests/border_tests", "border *"], status="border_named_status_asan", only="border_named_*")
    m.run(["build/dev/tests/wire_tests", "border *"], status="allocations_status", only="allocations_*")
    names = "".join(m.run([f"build/dev/tests/{t}_tests", "--list-test-names-only"]) for t in ("border", "wire"))
    m.put("border_named_faults", len(set(re.findall(r"^ *(border [0-9]+)", names, re.MULTILINE))))
    printed = m.run(["build/tsan/tests/border_tests", "border *"], status="border_named_status_tsan", only="border_named_*",
                    TSAN_OPTIONS=TSAN_OPTIONS)
    m.put("border_named_reports_tsan", printed.count("WARNING: ThreadSanitizer"))
    m.show()

    for preset, variable, most in (("dev", "FIGURES_PROGRAMS", "20000"), ("tsan", "FIGURES_PROGRAMS_TSAN", "5000")):
        m.run([f"build/{preset}/tests/border_tests", "border: random*"], status=f"programs_{preset}_status",
              called=lambda name, preset=preset: name.replace("programs_", f"programs_{preset}_"),
              JIRAPOOL_PROGRAMS=os.environ.get(variable, most), TSAN_OPTIONS=TSAN_OPTIONS)
        m.show()
    mutants(m, "--border")
    m.show()

    m.run(["build/release/tests/border_tests", "border 1: a call raced*"], status="race_status",
          JIRAPOOL_RACE_ROUNDS=os.environ.get("FIGURES_ROUNDS", "1000000"))
    m.run(["build/release/tests/border_tests", "border 5*,border 6*,border 9*"], status="border_release_status")
    m.put("floods", sum(fnmatch.fnmatch(name, "flood_*_victim_late_ms") for name in m.values))
    m.show()
    m.run(["build/release/bench/wire_bench"], status="bench_status")


def faults(m):
    installed("build", "test")
    m.build("release", "sim_tests", "wire_tests", "pool_tests", options=["TESTS"])
    m.build("dev", "core_tests", "sim_tests", options=["TESTS", "TOOLS"])
    m.run(["build/release/tests/sim_tests", "faults: *"], status="faults_status")
    m.run(["build/release/tests/wire_tests", "faults: C1 by default*"], status="black_hole_post_status")
    m.show()
    printed, failed = "", 0
    for tests in ("core_tests", "sim_tests"):
        done = subprocess.run([f"build/dev/tests/{tests}", "faults: C2*"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace")
        printed += done.stdout
        failed += done.returncode != 0
    m.put("durations_status", failed)
    m.put("durations_reports", len(re.findall(r"runtime error|ERROR: ", printed)))
    m.show()
    mutants(m)


def call_costs(m):
    """Of a 1 KB call over TLS, whatever the machine does meanwhile."""

    def counted(tool, calls, pattern):
        """By the client's process, which ends first; what it does before its first call is in both counts."""
        done = subprocess.run(["valgrind", *tool, "build/release/bench/wire_bench", "1", str(calls), "ours", "1"],
                              capture_output=True, text=True)
        return int(re.search(pattern, done.stderr)[1].replace(",", ""))

    for name, tool, pattern in (
            ("instructions", ["--tool=callgrind", "--callgrind-out-file=/dev/null"], r"Collected : (\d+)"),
            ("allocations", ["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"], r"total heap usage: ([\d,]+) allocs")):
        m.put(f"call_1k_{name}", round((counted(tool, 5000, pattern) - counted(tool, 1000, pattern)) / 4000, 1))


def walls(m):
    installed("build", "bench")
    m.build("release", "wire_bench", options=["BENCH"])
    call_costs(m)
    files = [f for room in ("core", "pool/src") for f in pathlib.Path(room).rglob("*.[ch]pp")]
    lines = {f: f.read_text().count("\n") for f in files}
    for f in sorted(files, key=lines.get, reverse=True)[:8]:
        m.put(f"lines_of_{f.name}", lines[f])


def lives(m):
    """Connections that live: what an answer means, accounts and neighbours, a registry that changes, webhooks, secrets that stay secret."""
    installed("build", "test", "bench")
    m.build("release", "core_tests", "pool_tests", "sim_tests", "wire_tests", "limiter_bench", "jirapool", "jirapool-load", "jirapool-mock",
            options=["TESTS", "TOOLS", "BENCH"])
    parts = {
        "core": ("answer*", "connection_fsm*", "limits*", "account*", "neighbours*", "registry*", "outage*", "delivery_queue*"),
        "pool": ("webhook*",),
        "sim": ("health*", "sim: an account*", "sim: what others take*", "events*", "sim: bytes*"),
        "wire": ("health*", "limits*", "registry*", "webhook*", "event_webhook*", "canary*"),
    }
    for tests, groups in parts.items():
        for group in groups:
            name = group.removeprefix("sim: ").removesuffix("*").replace(" ", "_")
            m.run([f"build/release/tests/{tests}_tests", group], status=f"{tests}_{name}_status")
            m.show()
    m.run(["tests/tools/canary_test.py", "build/release"], status="tools_canary_status")
    benched = m.run(["build/release/bench/limiter_bench", "--benchmark_filter=book_", "--benchmark_min_time=0.2"], status="bench_status")
    for name, nanoseconds in re.findall(r"^book_(\w+) +([\d.]+) ns", benched, re.MULTILINE):
        m.put(f"book_{name}_us", float(nanoseconds) / 1000)


def metrics(m):
    """Metrics to operate on: whether they are right and complete, what they cost, and what a Prometheus makes of them."""
    installed("build", "test", "bench")
    os.environ["PATH"] = f"{ROOT}/build/programs:{os.environ['PATH']}"
    m.build("release", "core_tests", "metrics_tests", "sim_tests", "wire_tests", "counting_bench", "wire_bench", "jirapool", "jirapool-load",
            "jirapool-mock", options=["TESTS", "TOOLS", "BENCH"])
    for tests, group in (("core", "histogram*,native_histogram*,exemplar*,trouble*,stats*"), ("metrics", "*"), ("sim", "overview*"),
                         ("sim", "sim: bytes*"), ("wire", "overview*"), ("wire", "span*"), ("wire", "metrics figures*")):
        name = re.split(r"[*,]", group.removeprefix("sim: "))[0].replace(" ", "_") or "all"
        m.run([f"build/release/tests/{tests}_tests", group], status=f"{tests}_{name}_status")
        m.show()
    for script in ("metrics", "alerts", "dashboard", "incidents"):
        m.run([f"tests/tools/{script}_test.py", "build/release"], status=f"tools_{script}_status")
        m.show()
    sys.stderr.write(m.run(["tests/tools/metrics_drill.py", "build/release"], status="metrics_drill_status"))
    m.show()
    benched = m.run(["build/release/bench/counting_bench", "--benchmark_min_time=0.2"], status="bench_status")
    for name, nanoseconds in re.findall(r"^(count_call) +([\d.]+) ns", benched, re.MULTILINE):
        m.put(f"{name}_ns", float(nanoseconds))
    call_costs(m)


# The groups of wire_tests whose servers, the mock or scenes in words, answer in the version that JIRAPOOL_TEST_HTTP says.
HTTP2_GROUPS = ("call", "wire", "tokens", "keys", "nth", "limits", "health", "webhooks", "registry", "overview", "spans", "threads", "canary",
                "streaming", "cut", "faults", "file_sink", "file_source", "disk", "drain", "isolation")
HTTP2_UNDER_TSAN = ("threads", "call", "token", "limits", "streaming", "http2_channel", "http2_dialer", "http2_hostile")


def http2(m):
    """HTTP/2: whether one suite holds for both versions and with others' servers, and what a call costs beside HTTP/1.1 and beside h2load."""
    installed("build", "test", "lint", "bench", "servers")  # lint: clang
    os.environ["PATH"] = f"{ROOT}/build/programs:{os.environ['PATH']}"
    m.build("release", "core_tests", "pool_tests", "mock_tests", "sim_tests", "wire_tests", "http2_bench", "wire_bench",
            options=["TESTS", "TOOLS", "BENCH"])
    for tests, group, name in (("core", "channel_plan*,fair_queue*", "plan"), ("pool", "http2*,http_version_book*", "http2"), ("mock", "*", "all"),
                               ("sim", "origin_pool*", "sharing"), ("wire", "http2*", "http2")):
        m.run([f"build/release/tests/{tests}_tests", group], status=f"{tests}_{name}_status")
        m.show()
    # One suite, two protocols.
    for group in HTTP2_GROUPS:
        m.run(["build/release/tests/wire_tests", f"~[.figures]{group}:*"], status=f"over_http2_{group}_status",
              called=lambda name: f"over_http2_{name}", JIRAPOOL_TEST_HTTP="2")
        m.show()
    m.run(["build/release/tests/wire_tests", "conformance: *"], status="conformance_status")
    m.show()
    m.run(["tests/tsan.sh", *HTTP2_UNDER_TSAN], status="tsan_status", only="tsan_*", JIRAPOOL_TEST_HTTP="2")
    m.show()
    fuzz(m, "http2_frames", "http2_channel")
    m.run(["build/release/bench/http2_bench"], status="http2_bench_status")
    m.run(["build/release/bench/wire_bench"], status="bench_status")
    # Under load.
    for number, parts in enumerate((("ten",), ("one", "a hundred", "a number"), ("a thousand",), ("a download",)), 1):
        tests = ",".join(f"load figures: {part} *" for part in parts)
        m.run(["build/release/tests/wire_tests", tests], status=f"http2_load_{number}_status")
        m.show()


def main():
    groups = {"demo": demo, "simulator": simulator, "wire": wire, "border": border, "faults": faults, "walls": walls, "lives": lives,
              "metrics": metrics, "http2": http2}
    name = ALIASES.get(sys.argv[1], sys.argv[1]) if len(sys.argv) == 2 else ""
    if name not in groups:
        print(f"usage: tests/figures.sh {'|'.join(groups)}", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(KeyboardInterrupt):
        m = measurement(name, scratch)
        groups[name](m)
        m.show(last=True)
        return 0 if m.all_hold else 1
    return 130


if __name__ == "__main__":
    sys.exit(main())
