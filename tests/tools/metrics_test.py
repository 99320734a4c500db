#!/usr/bin/env -S python3 -B
"""The metrics as a real Prometheus server sees them.

tests/tools/metrics_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs prometheus and promtool, in build/programs or on
PATH: tools/install_dependencies.sh.
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from support import CLI, LOAD, Mock, case, check, main, path, run, write

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "build/programs"
CALLS = 2400
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


def program(name):
    found = shutil.which(name, path=f"{PROGRAMS}:{os.environ['PATH']}")
    check(found, f"no {name}: tools/install_dependencies.sh takes it out of its package")
    return found


def wait_for(what, ask, seconds=60):
    limit = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        check(time.monotonic() < limit, f"{what} did not come in {seconds} s")
        time.sleep(0.1)


class Load:
    """A jirapool-load that runs and shows its metrics."""

    def __init__(self, mock, *args):
        self.summary = path("summary.json")
        self.log = pathlib.Path(path("load.log"))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [LOAD, mock.connections, *mock.reach, "--metrics", "127.0.0.1:0", "--json", self.summary, "--warm-up", "60", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        at = wait_for("the address of the metrics", lambda: re.search(r"metrics at http://(\S+)/metrics", self.log.read_text()))
        self.address = at[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def scrape(self):
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=30) as r:
            return r.read().decode()

    def calls(self):
        return sum(float(n) for n in re.findall(r"^jirapool_calls_total\{.*\} (\S+)$", self.scrape(), re.MULTILINE))

    def finish(self, seconds):
        check(self.process.wait(timeout=seconds) == 0, self.log.read_text()[-2000:])
        return json.loads(pathlib.Path(self.summary).read_text())


class Witness:
    """Passes scrapes on, with another Accept if there is one, and remembers in what form the answers were."""

    def __init__(self, to, accept=None):
        seen = self.seen = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                headers = {k: v for k, v in self.headers.items() if k.lower() in ("accept", "accept-encoding")}
                if accept:
                    headers["Accept"] = accept
                try:
                    with urllib.request.urlopen(urllib.request.Request(f"http://{to}{self.path}", headers=headers), timeout=30) as r:
                        body = r.read()
                        form = (r.headers["Content-Type"], r.headers["Content-Encoding"])
                except OSError:  # the program that was scraped has ended
                    self.close_connection = True
                    return
                seen.add(form)
                self.send_response(200)
                self.send_header("Content-Type", form[0])
                if form[1]:
                    self.send_header("Content-Encoding", form[1])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:  # Prometheus was ended
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Prometheus:
    """A server of its own that scrapes each job every two seconds."""

    number = 0

    def __init__(self, jobs, *args):
        Prometheus.number += 1
        name = f"prometheus{Prometheus.number}"
        lines = ["global: {scrape_interval: 2s, scrape_timeout: 2s}", "scrape_configs:"]
        lines += [f"- {{job_name: {job}, static_configs: [{{targets: ['{address}']}}]}}" for job, address in jobs.items()]
        config = write(name + ".yml", "\n".join(lines) + "\n")
        self.log = pathlib.Path(path(name + ".log"))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [program("prometheus"), "--config.file", config, "--storage.tsdb.path", path(name), "--web.listen-address", "127.0.0.1:0", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            at = wait_for("the port of Prometheus", lambda: re.search(r'msg="Listening on" address=(\S+)', self.log.read_text()))
        except AssertionError:
            self.__exit__()
            raise
        self.address = at[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def api(self, what, **parameters):
        to = f"http://{self.address}/api/v1/{what}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(to, timeout=30) as r:
                answer = json.load(r)
        except urllib.error.HTTPError as e:
            if e.code == 503:  # it has just started
                return []
            raise AssertionError(f"{what} {parameters}: {e.read().decode()}") from e
        check(answer["status"] == "success", answer)
        return answer["data"]

    def query(self, text, at=None):
        data = self.api("query", query=text, **({"time": at} if at else {}))
        return data["result"] if data else []

    def value(self, text, at=None):
        result = self.query(text, at)
        check(len(result) == 1, text, result)
        return float(result[0]["value"][1])

    def check_targets(self, count):
        targets = self.api("targets")["activeTargets"]
        check(len(targets) == count, targets)
        for t in targets:
            check(t["health"] == "up" and t["lastError"] == "", t)


def labels_of(result):
    return sorted(tuple(sorted((k, v) for k, v in s["metric"].items() if k not in ("job", "instance"))) for s in result)


@case("metrics: Prometheus reads text, OpenMetrics and protobuf, and a quantile of the native histogram is the load tool's within 5 %")
def scraped():
    with Mock("--sites", "20", "--personal", "10", "--service", "10", "--oauth", "10", "--latency-ms", "80", "--latency-jitter-ms", "120") as mock, \
            Load(mock, "--rate", "120", "--duration", str(CALLS // 120)) as load:
        witnesses = {"protobuf": Witness(load.address), "openmetrics": Witness(load.address), "text": Witness(load.address, "text/plain")}
        with Prometheus({"protobuf": witnesses["protobuf"].address}, "--enable-feature=native-histograms") as native, \
                Prometheus({j: witnesses[j].address for j in ("openmetrics", "text")}) as classic:
            # Long enough to have a tail.
            wait_for("calls", lambda: any(float(s["value"][1]) > 1500 for s in native.query("sum(jirapool_calls_total)")), 120)
            native.check_targets(1)
            classic.check_targets(2)
            for job, form in (("protobuf", PROTOBUF), ("openmetrics", OPENMETRICS), ("text", TEXT)):
                check(witnesses[job].seen == {(form, "gzip")}, job, witnesses[job].seen)

            # The same series whatever the format.
            by_job = {job: labels_of(classic.query('{__name__=~"jirapool_.*",job="%s"}' % job)) for job in ("openmetrics", "text")}
            check(len(by_job["text"]) > 300 and by_job["text"] == by_job["openmetrics"], set(by_job["text"]) ^ set(by_job["openmetrics"]))
            numbers = '{__name__=~"jirapool_.*",__name__!~".*_(bucket|sum|count|seconds)"}'
            check(labels_of(native.query(numbers)) == labels_of(classic.query(numbers[:-1] + ',job="text"}')), "numbers differ")
            # What has native buckets is one series there, the rest is as it was.
            check(native.query("jirapool_call_duration_seconds") and not native.query("jirapool_call_duration_seconds_bucket"), "not native")
            rest = 'jirapool_token_refresh_duration_seconds_bucket{job=~"protobuf|text"}'
            check(labels_of(native.query(rest)) == labels_of(classic.query(rest)), "classic buckets differ")

            units = {m["metric"]: m["unit"] for m in classic.api("targets/metadata", match_target='{job="openmetrics"}')}
            check(units["jirapool_call_duration_seconds"] == "seconds" and units["jirapool_sent_bytes"] == "bytes", units)

            # Both must have counted the same calls, and the tool ends with its last one: some calls of the end are made to wait for a limit
            # of Jira's, and all others are scraped meanwhile. Those few are counted by the tool alone.
            wait_for("the last calls", lambda: load.calls() > CALLS - 100, 120)
            mock.admin("POST", f"/scene?name=limited_burst&connection={mock.first('email')}&times=1&seconds=8")
            summary = load.finish(120)
            seen = native.query("jirapool_call_duration_seconds[5m]")
            check(seen, "no samples")
            last = max(float(at) for s in seen for at, _ in s.get("histograms", []))
            counted = native.value("sum(histogram_count(jirapool_call_duration_seconds))", last)
            completed = summary["calls"]["completed"]
            check(completed == CALLS and CALLS - 20 <= counted < CALLS, counted, completed)
            for q, name in ((0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")):
                # The same rank: the calls that were not scraped are the longest of all.
                rank = q * completed / counted
                ours = native.value(f"histogram_quantile({rank}, sum(jirapool_call_duration_seconds))", last) * 1000
                theirs = summary["service_ms"][name]
                print(f"  {name}: native histogram {ours:.1f} ms, jirapool-load {theirs:.1f} ms", flush=True)
                check(abs(ours - theirs) <= 0.05 * theirs, name, ours, theirs)


@case("metrics: promtool finds nothing to say about a scrape of a running program")
def promtool():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "1") as mock, Load(mock, "--rate", "20", "--duration", "30") as load:
        wait_for("a call", lambda: load.calls() > 0)
        r = run([program("promtool"), "check", "metrics"], stdin=None, input=load.scrape())
        check(r.returncode == 0 and r.stdout + r.stderr == "", r)


@case("metrics: the load tool's connections and sites are pages of JSON, and jirapool top shows what is in trouble")
def pages():
    with Mock("--sites", "6", "--personal", "4", "--service", "4", "--oauth", "4") as mock:
        bad = [c["id"] for c in json.loads(pathlib.Path(mock.connections).read_text())["connections"]][:2]
        with Load(mock, "--rate", "60", "--duration", "120", "--allow-failures") as load:
            def page(what):
                with urllib.request.urlopen(f"http://{load.address}/{what}", timeout=30) as r:
                    check(r.headers["Content-Type"] == "application/json", what, r.headers["Content-Type"])
                    return json.loads(r.read())

            def in_trouble():
                return {c["id"] for c in page("connections?state=trouble")["connections"]}

            wait_for("a call", lambda: load.calls() > 0)
            check(page("connections")["total"] == 12 and not in_trouble(), page("connections"))
            for c in bad:
                mock.admin("POST", "/revoke?connection=" + c)
            wait_for("the refused connections", lambda: in_trouble() == set(bad))
            for c in page("connections?state=credential_rejected")["connections"]:
                check(c["cause"] in ("unauthorized", "anonymous", "token_endpoint") and c["since"] > 0 and c["means"], c)
            check(page("sites")["total"] >= 6, page("sites"))
            wait_for("a site in trouble", lambda: page("sites?state=trouble")["matched"] > 0)
            shown = run([CLI, "top", load.address])
            check(shown.returncode == 0 and not shown.stderr, shown)
            check("12 connections, 2 of them do not work" in shown.stdout, shown.stdout)
            for c in bad:
                check(re.search(rf"^{c} .*credential_rejected", shown.stdout, re.MULTILINE), shown.stdout)
            check(re.search(r"^SITE .*FAILED BY\n\S+ .*credential \d", shown.stdout, re.MULTILINE), shown.stdout)
            for wrong in ("connections?limit=0", "connections?state=bad", "sites?state=healthy", "sites?offset=-1"):
                try:
                    page(wrong)
                    check(False, wrong)
                except urllib.error.HTTPError as e:
                    check(e.code == 400 and re.match(r"(limit|state|offset): must be ", e.read().decode()), wrong)
        gone = run([CLI, "top", load.address])
        check(gone.returncode == 3 and load.address in gone.stderr, gone)
    token = write("token", "open-sesame\n")
    with Mock("--sites", "1", "--personal", "1", "--service", "0", "--oauth", "0") as mock, Load(mock, "--rate", "5", "--duration", "60", "--metrics-token-file", token) as load:
        without = run([CLI, "top", load.address])
        check(without.returncode == 3 and "401" in without.stderr, without)
        wrong = run([CLI, "top", load.address, "--token-file", write("wrong", "open-barley")])
        check(wrong.returncode == 3 and "401" in wrong.stderr and "barley" not in wrong.stderr, wrong)
        none = run([CLI, "top", load.address, "--token-file", token + ".gone"])
        check(none.returncode == 3 and "--token-file" in none.stderr and "No such file" in none.stderr, none)
        shown = run([CLI, "top", load.address, "--token-file", token])
        check(shown.returncode == 0 and "1 connections" in shown.stdout, shown)
    for address in ("127.0.0.1", "127.0.0.1:0", "localhost:1:2"):
        refused = run([CLI, "top", address])
        check(refused.returncode == 2 and "ADDR:PORT" in refused.stderr, address, refused)


if __name__ == "__main__":
    sys.exit(main())
