#!/usr/bin/env -S python3 -B
"""The tools as processes: what they do when something around them is broken.

tests/tools/faults_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs openssl beside Python.
"""

import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from harness import at, case, check, CLI, LOAD, main, MOCK, Mock, path, run, TOOLS, write


def broken(kind, number):
    """What a child's descriptor `number` becomes: subprocess's value for it, and what to do in the child."""
    if kind == "closed":
        return None, lambda: os.close(number)
    if kind == "full":
        return os.open("/dev/full", os.O_WRONLY), None
    read, written = os.pipe()
    os.close(read)
    return written, None


def run_broken(args, kind, number, timeout=60):
    value, before = broken(kind, number)
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    name = ("stdin", "stdout", "stderr")[number]
    streams[name] = value
    try:
        # As a shell starts programs: Python's children ignore SIGPIPE otherwise.
        return run(args, timeout=timeout, preexec_fn=before, restore_signals=True, **streams)
    finally:
        if value is not None:
            os.close(value)


GOOD = '[{"id":"acme","site_url":"https://acme.atlassian.net","email":"a@acme.example","apiKey":{"env":"PATH"}}]'


def commands(mock):
    """Every tool, each way to an end. (arguments, what the status is when all streams are well, says something on stdout)"""
    good = write("good.json", GOOD)
    bad = write("bad.json", '[{"id":"acme"}]')
    load = [LOAD, mock.connections, *mock.reach, "--rate", "20", "--duration", "0.2", "--warm-up", "20"]
    at = ["--connections", mock.connections, *mock.reach]
    personal = mock.first("email")
    return [
        ([CLI, "--help"], 0, True),
        ([CLI, "--version"], 0, True),
        ([CLI, "--nonsense"], 2, False),
        ([CLI, "check", good], 0, True),
        ([CLI, "check", "--json", bad], 1, True),
        ([CLI, "check", path("absent.json")], 2, False),
        ([CLI, "call", personal, "GET", "/rest/api/3/myself", *at], 0, True),
        ([CLI, "call", personal, "GET", "/rest/api/3/none", *at], 1, True),
        ([CLI, "call", "absent", "GET", "/rest/api/3/myself", *at], 2, False),
        ([CLI, "webhook", "list", personal, "--json", *at], 0, True),
        ([CLI, "webhook", "get", personal, "77", *at], 1, False),
        ([CLI, "webhook", "enable", personal, "77", *at], 3, False),
        ([CLI, "webhook", "delete", personal, "77", *at], 1, False),
        ([LOAD, "--help"], 0, True),
        ([LOAD, "--nonsense"], 2, False),
        ([LOAD, path("absent.json")], 2, False),
        (load, 0, True),
        ([*load, "--json", "-"], 0, True),
        ([MOCK, "--help"], 0, True),
        ([MOCK, "--nonsense"], 2, False),
        ([MOCK, "--threads", "0"], 2, False),
    ]


@case("faults: E1 no tool is ended by a stream that cannot be written, and its status is that of its work")
def e1_stderr():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "1") as mock:
        for args, status, _ in commands(mock):
            well = run(args)
            check(well.returncode == status, "untouched", args, well)
            for kind in ("closed", "full", "broken"):
                r = run_broken(args, kind, 2)
                check(r.returncode == status, "stderr", kind, args, r)
                if "myself" not in str(args) and args[0] != LOAD:
                    check(r.stdout == well.stdout, "stderr", kind, args, r)


@case("webhook: ensure creates once, says what it heals, and gives each connection a callback URL of its own")
def webhook_ensure():
    with Mock("--sites", "1", "--personal", "1", "--service", "1", "--oauth", "1") as mock:
        at = ["--connections", mock.connections, *mock.reach]
        personal = mock.first("email")
        ensure = [CLI, "webhook", "ensure", personal, "--name", "sync", "--base", "https://hooks.example.com/jira",
                  "--event", "jira:issue_created", "--secret-file", write("hook-secret", "s3cret"), "--json", *at]

        def ended(args, status=0):
            r = run(args)
            check(r.returncode == status, args, r)
            check("s3cret" not in r.stdout + r.stderr, "the secret is shown", r)
            return json.loads(r.stdout) if r.stdout else None

        first = ended(ensure)
        check(first["healed"] == ["missing"], first)
        check(first["webhook"]["url"] == f"https://hooks.example.com/jira/{personal}", first)
        check(first["webhook"]["signed"], first)
        check(ended(ensure)["healed"] == [], "a second time")
        number = first["webhook"]["id"]
        check(ended([CLI, "webhook", "disable", personal, number, "--json", *at])["enabled"] is False, "disable")
        check(ended(ensure)["healed"] == ["disabled"], "disabled by somebody")
        check(ended([CLI, "webhook", "get", personal, number, "--json", *at])["enabled"], "get")
        check(len(ended([CLI, "webhook", "list", personal, "--json", *at])) == 1, "list")
        service = mock.first("cloud_id")
        ended([CLI, "webhook", "ensure", service, *ensure[4:]], 3)


@case("webhook: listen shows what is delivered, proves it, and says why it refuses the rest")
def webhook_listen():
    secret = write("hook-secret", "s3cret")
    for bad in (["webhook", "listen"], ["webhook", "listen", "--secret-file", path("absent")],
                ["webhook", "listen", "--secret-file", secret, "--address", "x"]):
        check(run([CLI, *bad]).returncode == 2, bad)
    listener = subprocess.Popen([CLI, "webhook", "listen", "--secret-file", secret, "--count", "4", "--json"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    port = int(re.search(r"port (\d+)", listener.stderr.readline()).group(1))

    def deliver(body, key=b"s3cret"):
        signature = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature": signature, "X-Atlassian-Webhook-Identifier": "one"}
        to = urllib.request.Request(f"http://127.0.0.1:{port}/jira/acme", body, headers)
        try:
            return urllib.request.urlopen(to, timeout=30).status
        except urllib.error.HTTPError as e:
            return e.code

    issue = b'{"webhookEvent":"jira:issue_created","timestamp":1700000000000,"issue":{"id":"1","key":"ACME-1"}}'
    check(deliver(issue) == 200, "a delivery")
    check(deliver(issue) == 200, "its retry")
    check(deliver(issue, b"other") == 401, "another's signature")
    check(deliver(b"hello") == 400, "no JSON")
    out, err = listener.communicate(timeout=30)
    check(listener.returncode == 0, out, err)
    check("s3cret" not in out + err, "the secret is shown")
    shown = json.loads("[" + out.replace("}\n{", "},\n{") + "]")
    check(len(shown) == 4, out)
    check(shown[0]["event"] == "jira:issue_created" and shown[0]["issue_key"] == "ACME-1", shown[0])
    check(shown[0]["target"] == "/jira/acme", shown[0])
    check(not shown[0]["duplicate"] and shown[1]["duplicate"], shown)
    check(shown[2]["refused"] == 401 and shown[2]["field"] == "X-Hub-Signature", shown[2])
    check(shown[3]["refused"] == 400, shown[3])


@case("faults: E1 output that is lost is an error of every tool, and said so")
def e1_stdout():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "1") as mock:
        for args, status, speaks in commands(mock):
            for kind in ("closed", "full", "broken"):
                r = run_broken(args, kind, 1)
                check(r.returncode > 0, "stdout", kind, args, r)
                if speaks or args[0] == LOAD and len(args) > 4:
                    check(r.returncode in (2, 3), "stdout", kind, args, r)
                    check("standard output" in r.stderr or "--json" in r.stderr, "stdout", kind, args, r)
                else:
                    check(r.returncode == status, "stdout", kind, args, r)
    for kind in ("closed", "full", "broken"):
        r = run_broken([MOCK, "--port", "0", "--admin-port", "0", "--sites", "1", "--personal", "1"], kind, 1)
        check(r.returncode == 2, "a mock that cannot say where it listens", kind, r)


@case("faults: E1 a standard input that cannot be read is an error and no empty body")
def e1_stdin():
    with Mock("--sites", "2", "--personal", "1", "--service", "0", "--oauth", "0") as mock:
        args = [CLI, "call", mock.first("email"), "POST", "/rest/api/3/search/jql", "--data", "@-", "--connections", mock.connections,
                *mock.reach]
        r = run_broken(args, "closed", 0)
        check(r.returncode == 2 and "cannot read standard input" in r.stderr, r)
        with open(at("out"), "w") as only_to_be_written:
            r = run(args, stdin=only_to_be_written)
        check(r.returncode == 2 and "cannot read standard input" in r.stderr, r)
        r = run([a if a != "@-" else "@" + str(at()) for a in args])
        check(r.returncode == 2 and "Is a directory" in r.stderr, r)


class Recorder:
    """The gateway, which keeps what it is asked and answers 204."""

    def __init__(self):
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
             "-addext", "subjectAltName=DNS:api.atlassian.com", "-keyout", path("key.pem"), "-out", path("cert.pem")], check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path("cert.pem"), path("key.pem"))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.heads = []
        self.context = context
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            plain, _ = self.socket.accept()
            try:
                with self.context.wrap_socket(plain, server_side=True) as s:
                    data = b""
                    while b"\r\n\r\n" not in data:
                        piece = s.recv(4096)
                        if not piece:
                            break
                        data += piece
                    self.heads.append(data.decode())
                    s.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            except OSError:
                pass


@case("faults: E2 a Content-Type is sent without a body too, and never dropped")
def e2():
    jira = Recorder()
    file = write("one.json", '[{"id":"acme","cloud_id":"11111111-2222-3333-4444-555555555555","apiKey":{"env":"PATH"}}]')
    for method in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        for header in ("Content-Type: text/x-own", "content-type:text/x-own"):
            r = run([CLI, "call", "acme", method, "/rest/api/3/x", "--header", header, "--connections", file, "--connect-to",
                     f"127.0.0.1:{jira.port}", "--ca", path("cert.pem")])
            check(r.returncode == 0, method, r)
            head = jira.heads[-1]
            check(head.startswith(method + " ") and "\r\nContent-Type: text/x-own\r\n" in head, method, head)
    for headers in (["Content-Type: a/b", "content-type: c/d"], ["Content-Type:"]):
        r = run([CLI, "call", "acme", "POST", "/rest/api/3/x", "--connections", file, *sum((["--header", h] for h in headers), [])])
        check(r.returncode == 2 and "Content-Type" in r.stderr, headers, r)


def timed(args, timeout=90):
    """Standard error's lines with the seconds after which each came; then the process's end."""
    began = time.monotonic()
    p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    guard = threading.Timer(timeout, p.kill)
    guard.start()
    out = []
    reader = threading.Thread(target=lambda: out.append(p.stdout.read()))
    reader.start()
    lines = [(time.monotonic() - began, line) for line in p.stderr]
    reader.join()
    p.wait()
    guard.cancel()
    return lines, out[0], p.returncode, time.monotonic() - began


def first_line(lines, part):
    return next((when for when, line in lines if part in line), None)


@case("faults: E3 credentials that are refused are told at once, not waited for, and named in a bounded summary")
def e3_refused():
    with Mock("--sites", "30", "--personal", "0", "--service", "0", "--oauth", "30") as mock:
        file = mock.with_wrong_secrets("wrong.json")
        lines, out, status, took = timed([LOAD, file, *mock.reach, "--rate", "60", "--duration", "2", "--warm-up", "40", "--json", path("l.json")])
        check(status == 1, lines, out)
        when = first_line(lines, "credential_refused: ")
        check(when is not None and when < 15, lines)
        check(took < 30, "the warm-up waited for what cannot come", took)
        told = [line for _, line in lines if "credential_refused" in line]
        check(len(told) <= 6 and "more of them" in told[-1], told)
        check("30 of 30 OAuth credentials are refused" in "".join(line for _, line in lines), lines)
        failing = next((line for line in out.splitlines() if line.lstrip().startswith("failing")), "")
        check("30 of 30 connections: " in failing and failing.endswith("and 10 more"), out)
        check(failing.count("credential_refused") == 20, failing)
        numbers = json.loads(at("l.json").read_text())["failing"]
        check(numbers["count"] == 30 and len(numbers["connections"]) == 20, numbers)


@case("lives: check --live says of each connection whether it works, and whose move it is if not")
def live_check():
    with Mock("--sites", "6", "--personal", "2", "--service", "2", "--oauth", "2") as mock:
        for what in ("scene?name=anonymous&connection=personal-0001", "scene?name=app_not_installed&connection=service-0001",
                     "revoke?connection=oauth-0001"):
            urllib.request.urlopen(urllib.request.Request(f"http://{mock.stats}/{what}", method="POST")).close()
        os.chmod(mock.connections, 0o600)
        r = run([CLI, "check", mock.connections, "--live", "--json", *mock.reach])
        check(r.returncode == 1, r)
        found = {c["id"]: (c["state"], c["cause"]) for c in json.loads(r.stdout)["connections"]}
        well = ("healthy", "none")
        check(found == {"personal-0001": ("credential_rejected", "anonymous"), "personal-0002": well,
                        "service-0001": ("misconfigured", "not_installed"), "service-0002": well,
                        "oauth-0001": ("credential_rejected", "token_endpoint"), "oauth-0002": well}, found)
        text = run([CLI, "check", mock.connections, "--live", "--quiet", *mock.reach]).stdout
        check(text.count("its owner must") == 3 and "3 work, 3 do not" in text and "personal-0002" not in text, text)


@case("faults: E3 a host that cannot be reached or trusted is told with its reason before the summary")
def e3_unreachable():
    with Mock("--sites", "2", "--personal", "1", "--service", "0", "--oauth", "2") as mock:
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             "/CN=other authority", "-keyout", path("other.key"), "-out", path("other.pem")], check=True)
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            closed = f"127.0.0.1:{unused.getsockname()[1]}"
            for reach, reason in (
                (["--connect-to", closed, "--ca", mock.reach[3]], "Connection refused"),
                ([*mock.reach[:2], "--ca", path("other.pem")], "certificate"),
            ):
                lines, out, status, _ = timed([LOAD, mock.connections, *reach, "--rate", "5", "--duration", "1", "--timeout", "1", "--warm-up", "3"])
                check(status == 1, lines, out)
                told = [(when, line) for when, line in lines if "dial_failed: " in line]
                check(told and reason in told[0][1], reason, lines)
                warmed_up = first_line(lines, "starting anyway")
                check(warmed_up is not None and told[0][0] < warmed_up, lines)
                check(len(told) <= 6, told)


@case("faults: E4 what the report needs is missed before the run")
def e4_before():
    with Mock("--sites", "2", "--personal", "2", "--service", "0", "--oauth", "0") as mock:
        load = [LOAD, mock.connections, *mock.reach, "--rate", "10", "--duration", "20"]
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            for more, words in (
                (["--json", path("absent/x.json")], "No such file or directory"),
                (["--json", str(at())], "Is a directory"),
                (["--mock-stats", f"127.0.0.1:{unused.getsockname()[1]}"], "Connection refused"),
                (["--metrics", mock.stats], "Address already in use"),
            ):
                began = time.monotonic()
                r = run([*load, *more])
                check(r.returncode == 2 and words in r.stderr and more[0] in r.stderr, more, r)
                check(time.monotonic() - began < 15, more)
        # A run that does not begin leaves what stood there.
        write("kept.json", "kept")
        run([*load, "--json", path("kept.json"), "--mock-stats", "127.0.0.1:1"])
        check(at("kept.json").read_text() == "kept")
        write("longer.json", "x" * 100_000)
        r = run([*load, "--duration", "0.2", "--json", path("longer.json")])
        check(r.returncode == 0 and json.loads(at("longer.json").read_text())["schema"] == 1, r)


@case("faults: E4 the mock's figures are asked for and missing at the end: a failure")
def e4_after():
    with Mock("--sites", "2", "--personal", "2", "--service", "0", "--oauth", "0") as mock, Mock("--sites", "1") as other:
        p = subprocess.Popen([LOAD, mock.connections, *mock.reach, "--rate", "10", "--duration", "4", "--allow-failures", "--mock-stats", other.stats],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        p.stderr.readline()  # the first second's progress
        other.stop()
        out, problems = p.communicate(timeout=60)
        check(p.returncode == 1 and "no figures" in out, p.returncode, out, problems)


@case("faults: E4 conditions on p95 and on shares hold or not, with blanks and without")
def e4_require():
    with Mock("--sites", "2", "--personal", "2", "--service", "0", "--oauth", "0") as mock:
        def verdict(*conditions):
            required = sum((["--require", c] for c in conditions), [])
            return run([LOAD, mock.connections, *mock.reach, "--rate", "20", "--duration", "0.3", "--mix", "myself=1", *required])

        r = verdict("response_ms.p95 <= 60000", " calls.share_failed<=0 ", "calls.share_succeeded >= 1", "share.2xx>= 1",
                    "routes.myself.share_failed <=0", "routes.myself.response_ms.p95<=60000", "calls.share_unsent <= 0")
        check(r.returncode == 0 and r.stdout.count(": met") == 7, r)
        r = verdict("calls.share_succeeded <= 0.5")
        check(r.returncode == 1 and "NOT MET" in r.stdout, r)
        for wrong in ("response_ms . p95 <= 1", "response_ms.p95 < = 1", "response_ms.p95 <= 1 2", "share.9xx<=1", " <= 1"):
            r = verdict(wrong)
            check(r.returncode == 2 and "--require" in r.stderr, wrong, r)


@case("faults: E5 the summary says how much of the limits was used, and a later option holds")
def e5():
    with Mock("--sites", "2", "--personal", "4", "--service", "0", "--oauth", "0") as mock:
        r = run([LOAD, mock.connections, *mock.reach, "--mock-stats", "127.0.0.1:1", "--rate", "2000", "--duration", "30", "--rate", "30",
                 "--duration", "1.5", "--mock-stats", mock.stats])
        check(r.returncode == 0 and "30 calls/s for 1.5 s" in r.stdout, r)
        limits = re.search(r"limits +(\d+) of (\d+) permitted", r.stdout)
        check(limits and int(limits[1]) > 0 and int(limits[2]) > 0, r.stdout)
        check("0 of 0" not in r.stdout, r.stdout)


@case("faults: E6 every tool has its version")
def e6():
    versions = set()
    for name, program in TOOLS.items():
        r = run([program, "--version"])
        match = re.fullmatch(re.escape(name) + r" (\d+\.\d+\.\d+)\n", r.stdout)
        check(r.returncode == 0 and match, r)
        versions.add(match[1])
    check(len(versions) == 1, versions)


@case("faults: F5 a file with secrets that others may read is warned of, one without is not")
def f5():
    brief = GOOD.replace('"apiKey"', '"options":{"timeout_ms":300},"apiKey"')
    secret = brief.replace('{"env":"PATH"}', '"hush-hush"')
    reach = ["--connect-to", "127.0.0.1:1"]
    for text, mode, warned in ((secret, 0o644, True), (secret, 0o640, True), (secret, 0o604, True), (secret, 0o600, False), (secret, 0o400, False),
                               (brief, 0o644, False)):
        file = write("kept.json", text, mode)
        for args in (
            [CLI, "check", file],
            [CLI, "check", "--json", "-q", file],
            [CLI, "call", "acme", "GET", "/rest/api/3/myself", "--timeout", "0.5", "--connections", file, *reach],
            [CLI, "webhook", "list", "acme", "--connections", file, *reach],
            [LOAD, file, *reach, "--rate", "5", "--duration", "0.2", "--timeout", "0.2", "--warm-up", "0"],
        ):
            r = run(args)
            words = f"WARNING: {file} holds secrets, and its mode {mode:04o} lets"
            check((words in r.stderr) == warned, oct(mode), args, r)
            check("hush-hush" not in r.stdout + r.stderr, args, r)
            if "check" in args:
                check(r.returncode == 0, r)
            if "--json" in args:
                check(len(json.loads(r.stdout)["warnings"]) == int(warned), r)
    # A pipe has no mode that says anything.
    r = run(["bash", "-c", f"{CLI} check <(cat {write('kept.json', secret, 0o644)})"])
    check(r.returncode == 0 and "WARNING" not in r.stderr, r)


if __name__ == "__main__":
    sys.exit(main())
