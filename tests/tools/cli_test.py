#!/usr/bin/env -S python3 -B
"""jirapool as a process: what its commands say, and to whom.

tests/tools/cli_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs openssl beside Python.
"""

import datetime
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from support import CLI, TOOLS, Mock, Recorder, case, check, main, path, run, run_broken, write

CLOUD = "11111111-2222-3333-4444-555555555555"


def post(mock, what):
    urllib.request.urlopen(urllib.request.Request(f"http://{mock.stats}/{what}", method="POST"), timeout=30).close()


def secrets_of(file):
    return [c.get("apiKey") or c["clientSecret"] for c in json.loads(pathlib.Path(file).read_text())["connections"]]


def keeps_secrets(mock, r):
    for s in secrets_of(mock.connections):
        check(s not in r.stdout + r.stderr, "a secret is shown", r)


def answering(status, body, headers=""):
    return (f"HTTP/1.1 {status} Status\r\n{headers}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


@case("cli: call says on standard error what a refusal says of the request and its fields, and nothing of a success")
def call_says_why():
    body = json.dumps({"errorMessages": ["It is \x1b[31mnot\x07 valid."], "errors": {"summary": "You must\nspecify it."}}).encode()
    jira = Recorder(answering(400, body, "atl-traceid: abc\r\nx-failure-category: FAILURE_CLIENT_SCOPE_CHECK\r\n"))
    file = write("one.json", f'[{{"id":"acme","cloud_id":"{CLOUD}","apiKey":{{"env":"PATH"}}}}]')
    call = [CLI, "call", "acme", "GET", "/rest/api/3/x", "--connections", file, "--connect-to", f"127.0.0.1:{jira.port}", "--ca", path("cert.pem")]
    r = run(call)
    check(r.returncode == 1 and r.stdout == body.decode(), r)
    lines = r.stderr.splitlines()
    check(lines[0] == "status 400, trace abc", lines)
    check(len(lines) == 4 and "not" in lines[1] and lines[1].endswith("valid."), lines)
    check(lines[2] == "  summary: You must specify it.", lines)
    check(lines[3] == "  failure category: FAILURE_CLIENT_SCOPE_CHECK", lines)
    check("\x1b" not in r.stderr and "\x07" not in r.stderr, r.stderr)

    jira.answer = answering(502, b"<html><title>Bad gateway</title><h1>It is gone</h1></html>")
    r = run([*call[:3], "POST", *call[4:]])
    check("  It is gone\n" in r.stderr and "edge" in r.stderr, r)
    # Of what is well there is nothing to say.
    jira.answer = answering(200, b'{"errorMessages":["old news"]}')
    r = run(call)
    check(r.returncode == 0 and r.stderr == "status 200\n", r)
    jira.answer = answering(404, b"")
    check(run(call).stderr == "status 404\n", "nothing is said")


@case("cli: call --explain says where the time went, also of a call that failed")
def call_explains():
    with Mock("--sites", "3", "--personal", "1", "--service", "0", "--oauth", "1") as mock:
        at = ["--connections", mock.connections, *mock.reach]
        for kind in ("email", "clientSecret"):
            call = [CLI, "call", mock.first(kind), "GET", "/rest/api/3/myself", *at]
            r = run([*call, "--explain"])
            check(r.returncode == 0, r)
            status, took = r.stderr.splitlines()
            check(status.startswith("status 200"), r.stderr)
            check(re.match(r"took \d+\.\d{3} s: .*first_byte \d+\.\d{3} s.*; 1: 200, .*(new|used) channel$", took), took)
            check(("token 1" in took) == (kind == "clientSecret"), took)
            keeps_secrets(mock, r)
            check("took" not in run(call).stderr, "nobody asked")
        missing = run([CLI, "call", mock.first("email"), "GET", "/rest/api/3/issue/NONE-1", "--explain", *at])
        check(missing.returncode == 1 and "; 1: 404," in missing.stderr, missing)
        # A failure: nobody listens there.
        r = run([CLI, "call", mock.first("email"), "GET", "/rest/api/3/myself", "--explain", "--timeout", "0.5", "--connections", mock.connections,
                 "--connect-to", "127.0.0.1:1"])
        check(r.returncode == 3 and re.search(r"^took 0\.\d{3} s: .*lease 0\.", r.stderr, re.MULTILINE), r)
        keeps_secrets(mock, r)


def seconds_from_now(text):
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


@case("cli: token says in what state a credential of each kind is, and never the credential")
def token_states():
    with Mock("--sites", "6", "--personal", "2", "--service", "1", "--oauth", "2", "--token-lifetime", "3000") as mock:
        post(mock, "scene?name=anonymous&connection=personal-0002")
        post(mock, "revoke?connection=oauth-0002")
        file = json.loads(pathlib.Path(mock.connections).read_text())
        ends = (datetime.date.today() + datetime.timedelta(days=5)).isoformat()
        for c in file["connections"]:
            if c["id"] == "service-0001":
                c["options"] = {"expires_at": ends}
        pathlib.Path(mock.connections).write_text(json.dumps(file))
        at = ["--connections", mock.connections, *mock.reach]

        def asked(id, status):
            r = run([CLI, "token", id, "--json", *at])
            check(r.returncode == status, r)
            keeps_secrets(mock, r)
            text = run([CLI, "token", id, *at])
            check(text.returncode == status, text)
            keeps_secrets(mock, text)
            return json.loads(r.stdout), text.stdout

        found, text = asked("personal-0001", 0)
        check(found["kind"] == "personal_api_token" and found["host"].endswith(".atlassian.net") and found["site"] == found["host"], found)
        check(found["condition"] == "healthy" and found["cause"] == "none" and found["problem"] is None, found)
        check(-60 < seconds_from_now(found["since"]) <= 1 and -60 < seconds_from_now(found["last_success"]) <= 1, found)
        check(found["next_try"] is None and found["token_expires"] is None and found["expires_at"] is None, found)
        check(found["scopes"] is None and "scopes" not in text, found)
        check("token expires" not in text and re.search(r"^condition +healthy$", text, re.MULTILINE), text)

        found, text = asked("oauth-0001", 0)
        check(found["host"] == "api.atlassian.com" and re.fullmatch(r"[0-9a-f-]{36}", found["site"]), found)
        check(2900 < seconds_from_now(found["token_expires"]) <= 3001, found)
        check(re.search(r"^token expires +20", text, re.MULTILINE), text)
        check(found["scopes"] == ["read:jira-work", "write:jira-work"], found)
        check(re.search(r"^scopes +read:jira-work write:jira-work$", text, re.MULTILINE), text)

        found, text = asked("service-0001", 0)
        check(found["expires_at"] == ends + "T00:00:00Z" and found["ends_within_days"] == 7, found)
        check(f"{ends}T00:00:00Z, within 7 days" in text, text)

        found, text = asked("personal-0002", 1)
        check((found["condition"], found["cause"]) == ("credential_rejected", "anonymous"), found)
        check("its owner must renew it" in found["problem"] and found["next_try"] is not None and found["last_success"] is None, found)
        check("its owner must renew it" in text, text)
        found, _ = asked("oauth-0002", 1)
        check((found["condition"], found["cause"]) == ("credential_rejected", "token_endpoint"), found)
        check(found["token_expires"] is None and found["scopes"] is None, found)


@case("cli: token names what is wrong with its arguments, and says when Jira cannot be asked")
def token_errors():
    file = write("two.json", '[{"id":"acme","site_url":"https://acme.atlassian.net","email":"a@acme.example","apiKey":"hush-hush"},'
                             '{"id":"bad","site_url":"ftp://acme","email":"a@acme.example","apiKey":"hush-hush"}]')
    for args, words in ((["absent"], "no connection 'absent'"), (["bad"], "site_url: must be"), ([], "ID is required"),
                        (["acme", "--timeout", "0"], "--timeout"), (["acme", "--timeout", "soon"], "--timeout"),
                        (["acme", "--connect-to", "nowhere"], "--connect-to: must be"), (["acme", "more"], "more"),
                        (["acme", "--connections", path("none.json")], "none.json"), (["a\x1bb"], "no connection 'a?b'")):
        r = run([CLI, "token", *args, *([] if "--connections" in args else ["--connections", file])])
        check(r.returncode == 2 and words in r.stderr and r.stdout == "", args, r)
        check("hush-hush" not in r.stderr and "\x1b" not in r.stderr, r)
    nobody = [CLI, "token", "acme", "--json", "--timeout", "0.3", "--connections", file, "--connect-to", "127.0.0.1:1"]
    r = run(nobody)
    check(r.returncode == 3, r)
    found = json.loads(r.stdout)
    check(found["condition"] == "unknown" and found["since"] is None and found["problem"] in r.stderr, found)
    check("127.0.0.1:1: Connection refused" in r.stderr, r)
    check("hush-hush" not in r.stdout + r.stderr, r)
    # Jira's own trouble says nothing of the credential.
    jira = Recorder(answering(500, b"{}"))
    gateway = write("one.json", f'[{{"id":"acme","cloud_id":"{CLOUD}","apiKey":{{"env":"PATH"}}}}]')
    r = run([CLI, "token", "acme", "--timeout", "2", "--connections", gateway, "--connect-to", f"127.0.0.1:{jira.port}", "--ca", path("cert.pem")])
    check(r.returncode == 1 and "Jira answered 500" in r.stdout and "unknown" in r.stdout, r)


@case("cli: what asks and explains ends with its status when a stream is closed, full or broken")
def broken_streams():
    with Mock("--sites", "2", "--personal", "1", "--service", "0", "--oauth", "1") as mock:
        at = ["--connections", mock.connections, *mock.reach]
        os.chmod(mock.connections, 0o600)
        for args in ([CLI, "token", mock.first("email"), *at], [CLI, "token", mock.first("clientSecret"), "--json", *at],
                     [CLI, "call", mock.first("email"), "GET", "/rest/api/3/myself", "--explain", *at],
                     [CLI, "check", mock.connections, "--live", "--json", *mock.reach],
                     [CLI, "completion", "bash"], [CLI, "completion", "zsh"]):
            for kind in ("closed", "full", "broken"):
                r = run_broken(args, kind, 1)
                check(r.returncode == 3 and "standard output" in r.stderr, kind, args, r)
                r = run_broken(args, kind, 2)
                check(r.returncode == 0 and r.stdout != "", kind, args, r)


@case("cli: check --live tells the scopes of each access token, and of no API token")
def live_scopes():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "2") as mock:
        r = run([CLI, "check", mock.connections, "--live", "--json", *mock.reach])
        check(r.returncode == 0, r)
        for c in json.loads(r.stdout)["connections"]:
            check(c["scopes"] == (["read:jira-work", "write:jira-work"] if c["kind"] == "service_oauth" else None), c)
        text = run([CLI, "check", mock.connections, "--live", *mock.reach])
        check(text.returncode == 0 and text.stdout.count("    scopes: read:jira-work write:jira-work\n") == 2, text)


@case("cli: check --live --json has the connections that cannot be asked too, with field and rule")
def live_problems():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "0") as mock:
        file = json.loads(pathlib.Path(mock.connections).read_text())
        file["connections"] += [{"id": "typo", "site_url": "http://acme.atlassian.net", "email": "a@b.example", "apiKey": "hush-hush"},
                                {"id": "none", "cloud_id": CLOUD}]
        mixed = write("mixed.json", json.dumps(file), 0o644)
        r = run([CLI, "check", mixed, "--live", "--json", *mock.reach])
        check(r.returncode == 1, r)
        found = json.loads(r.stdout)
        check((found["total"], found["ok"], found["bad"], found["unusable"]) == (2, 2, 0, 2), found)
        problems = {p["connection"]: p for p in found["problems"]}
        check(set(problems) == {"typo", "none"}, problems)
        check(problems["typo"]["field"] == "site_url" and "https://" in problems["typo"]["rule"], problems)
        check(problems["none"]["code"] != "" and problems["none"]["rule"] != "", problems)
        check(len(found["warnings"]) == 1 and "chmod 600" in found["warnings"][0], found)
        # The same as without --live.
        check(json.loads(run([CLI, "check", mixed, "--json"]).stdout)["problems"] == found["problems"], found)
        check(r.stderr.count("BAD  ") == 2 and "hush-hush" not in r.stdout + r.stderr, r)
        text = run([CLI, "check", mixed, "--live", *mock.reach])
        check("2 connections asked: 2 work, 0 do not; 2 cannot be asked\n" in text.stdout and text.returncode == 1, text)
        whole = run([CLI, "check", write("broken.json", "{"), "--live", "--json"])
        check(whole.returncode == 2 and len(json.loads(whole.stdout)["problems"]) == 1, whole)


class Target:
    """A plain HTTP server that keeps what is posted to it. It answers 200 at once, or what `answer` says of the n-th request."""

    def __init__(self, answer=lambda n: 200):
        taken = self.taken = []
        self.came = threading.Semaphore(0)
        came = self.came

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                taken.append((self.path, dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
                came.release()
                status = answer(len(taken))
                if status:
                    self.send_response(status)
                    self.send_header("Content-Length", "4")
                    self.end_headers()
                    self.wfile.write(b"fine")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self):
        check(self.came.acquire(timeout=30), "nothing came")


class Listener:
    """`webhook listen`, and what is delivered to it."""

    def __init__(self, *args):
        self.process = subprocess.Popen([CLI, "webhook", "listen", "--secret-file", write("hook-secret", "s3cret"), *args],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r"port (\d+)", self.process.stderr.readline()).group(1))

    def deliver(self, body, key=b"s3cret", id="one", **more):
        """The answer's status, and the seconds that it took."""
        headers = {"X-Hub-Signature": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(), "Content-Type": "application/json; charset=UTF-8",
                   "X-Atlassian-Webhook-Identifier": id, "X-Atlassian-Webhook-Retry": "2", "Cookie": "private=1", **more}
        began = time.monotonic()
        try:
            status = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.port}/jira/acme?x=1", body, headers), timeout=30).status
        except urllib.error.HTTPError as e:
            status = e.code
        return status, time.monotonic() - began

    def line(self):
        return self.process.stdout.readline()

    def end(self, status=0):
        out, err = self.process.communicate(timeout=60)
        check(self.process.returncode == status, self.process.returncode, out, err)
        check("s3cret" not in out + err, "the secret is shown", out, err)
        return out, err


def documents(text):
    return json.loads("[" + text.replace("}\n{", "},\n{") + "]")


def issue(number=1, size=0):
    return json.dumps({"webhookEvent": "jira:issue_created", "issue": {"id": str(number)}, "text": "ä" + "x" * size}, ensure_ascii=False).encode()


@case("webhook: listen shows what is too large to be read, and ends behind it")
def listen_refuses_large():
    listener = Listener("--count", "2", "--json")
    def declared(size):
        with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as s:
            s.sendall(f"POST /jira/acme HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
            return s.makefile("rb").readline()
    check(b" 413 " in declared(26 << 20), "a large one")
    refused = documents(listener.line() + "".join(listener.line() for _ in range(5)))
    check(refused == [{"target": "/jira/acme", "refused": 413, "field": "body", "rule": "must be at most 25 MiB"}], refused)
    check(b" 413 " in declared(10 ** 12), "a huge one")
    out, _ = listener.end()
    check(out.count("413") == 1, out)


@case("webhook: listen posts what was proved on, raw and with the headers that prove it, and nothing else")
def forward_posts():
    target = Target()
    listener = Listener("--count", "3", "--json", "--forward", f"http://127.0.0.1:{target.port}/take?it=1")
    check(listener.deliver(issue(1))[0] == 200, "a delivery")
    check(listener.deliver(issue(2), key=b"other")[0] == 401, "another's signature")
    check(listener.deliver(issue(3), id="two")[0] == 200, "a second one")
    out, _ = listener.end()
    check([t[0] for t in target.taken] == ["/take?it=1"] * 2, target.taken)
    path_, headers, body = target.taken[0]
    check(body == issue(1), body)
    check(headers["X-Hub-Signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest(), headers)
    check(headers["X-Atlassian-Webhook-Identifier"] == "one" and headers["X-Atlassian-Webhook-Retry"] == "2", headers)
    check(headers["Content-Type"] == "application/json; charset=UTF-8" and headers["Host"] == f"127.0.0.1:{target.port}", headers)
    check("Cookie" not in headers, headers)
    forwarded = [d for d in documents(out) if "forwarded" in d]
    check(len(documents(out)) == 5 and [d["id"] for d in forwarded] == ["one", "two"], out)
    for d in forwarded:
        check(d["forwarded"] is True and d["status"] == 200 and d["problem"] is None and d["target"] == "/jira/acme?x=1", d)

    # Without a path it is the delivery's own, from which a receiver knows whose it is; a name is looked up.
    listener = Listener("--count", "1", "--forward", f"HTTP://localhost:{target.port}")
    check(listener.deliver(issue(4, 3_000_000))[0] == 200, "a large one")
    out, _ = listener.end()
    check(target.taken[2][0] == "/jira/acme?x=1" and target.taken[2][2] == issue(4, 3_000_000), target.taken[2][:2])
    check(re.search(r"^/jira/acme\?x=1  forwarded  id one: 200 in \d+ ms$", out, re.MULTILINE), out)


@case("webhook: listen shows a target that is down, wrong or slow, and answers Jira all the same")
def forward_problems():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        listener = Listener("--count", "1", "--forward", f"http://127.0.0.1:{unused.getsockname()[1]}/")
        check(listener.deliver(issue())[0] == 200, "down")
        out, _ = listener.end()
        check("NOT FORWARDED  id one: Connection refused" in out, out)

    target = Target(lambda n: 500)
    listener = Listener("--count", "2", "--json", "--forward", f"http://127.0.0.1:{target.port}/")
    for id in ("one", "two"):
        check(listener.deliver(issue(), id=id)[0] == 200, "wrong")
    failed = [d for d in documents(listener.end()[0]) if "forwarded" in d]
    check([(d["id"], d["forwarded"], d["status"]) for d in failed] == [("one", False, 500), ("two", False, 500)], failed)

    # What does not speak HTTP, and what says more than once that it goes on.
    for said, words in ((b"hello\r\n\r\n", "NOT FORWARDED  id one: no answer: bad version"), (b"", "NOT FORWARDED  id one: no answer: "),
                        (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + b"HTTP/1.1 202 OK\r\nContent-Length: 9\r\n\r\ncut", "forwarded  id one: 202 in ")):
        with socket.create_server(("127.0.0.1", 0)) as raw:
            listener = Listener("--count", "1", "--forward", f"http://127.0.0.1:{raw.getsockname()[1]}/")
            listener.deliver(issue())
            with raw.accept()[0] as accepted:
                while not accepted.recv(65536).endswith(b"}"):
                    pass
                accepted.sendall(said)
            out, _ = listener.end()
            check("  " + words in out, said, out)

    # One that takes the request and never answers: known to be so once it has it.
    held = threading.Event()
    target = Target(lambda n: 0 if held.wait(60) else 0)
    listener = Listener("--count", "2", "--forward", f"http://127.0.0.1:{target.port}/")
    began = time.monotonic()
    listener.deliver(issue())
    target.wait()
    status, took = listener.deliver(issue(2), id="two")
    check(status == 200 and took < 3, "Jira waits for the target", took)
    out, _ = listener.end()
    check(out.count("NOT FORWARDED") == 2 and out.count("no answer within 5 s") == 2, out)
    check(9.5 < time.monotonic() - began < 30, "5 s each", time.monotonic() - began)
    held.set()


@case("webhook: listen lets only so many deliveries wait for a slow target, drops the oldest and says so")
def forward_bounded():
    held = threading.Event()
    target = Target(lambda n: 200 if held.wait(60) else 0)
    listener = Listener("--json", "--count", "104", "--forward", f"http://127.0.0.1:{target.port}/")
    listener.deliver(issue(0), id="0")
    target.wait()
    for i in range(1, 104):
        status, took = listener.deliver(issue(i), id=str(i))
        check(status == 200 and took < 3, i, status, took)
    held.set()
    all_of_them = documents(listener.end()[0])
    dropped = [d for d in all_of_them if d.get("forwarded") is False]
    check([d["id"] for d in dropped] == ["1", "2", "3"], dropped)
    check("dropped, 1 so far" in dropped[0]["problem"] and "3 so far" in dropped[2]["problem"] and dropped[2]["status"] is None, dropped)
    check([d["id"] for d in all_of_them if d.get("forwarded")] == ["0", *map(str, range(4, 104))], "in order")
    check(len(target.taken) == 101, len(target.taken))


@case("webhook: listen drops what is too large to wait, ends on a signal, and forwards nothing in a circle")
def forward_ends():
    def with_one_held():
        """What was dropped, what was said, and for how long the first one was held."""
        held = threading.Event()
        target = Target(lambda n: 0 if held.wait(60) else 0)
        listener = Listener("--json", "--forward", f"http://127.0.0.1:{target.port}/")
        large = issue(0, 24_000_000)
        listener.deliver(issue(0), id="0")
        target.wait()
        began = time.monotonic()
        for id in ("1", "2", "3"):
            check(listener.deliver(large, id=id)[0] == 200, id)
        listener.process.send_signal(signal.SIGTERM)
        out, err = listener.end()
        took = time.monotonic() - began
        held.set()
        return [d["id"] for d in documents(out) if d.get("forwarded") is False], err, took

    # Behind 5 s the first one is given up, which is another scene: a machine that is so busy plays it again.
    for _ in range(5):
        dropped, err, took = with_one_held()
        if took < 4:
            break
    check(dropped == ["1"], dropped, took)
    check("3 more were not forwarded" in err, err)

    # Standard output is gone when what became of a delivery is to be shown, and when a delivery is.
    held = threading.Event()
    target = Target(lambda n: 200 if held.wait(60) else 0)
    listener = Listener("--forward", f"http://127.0.0.1:{target.port}/")
    listener.deliver(issue())
    listener.line()
    listener.process.stdout.close()
    held.set()
    check(listener.process.wait(timeout=30) == 3 and "standard output" in listener.process.stderr.read(), "forwarded")
    listener = Listener("--forward", f"http://127.0.0.1:{target.port}/")
    listener.process.stdout.close()
    try:
        check(listener.deliver(issue())[0] == 503, "Jira does not deliver again what nobody saw")
    except (urllib.error.URLError, ConnectionError):
        pass  # an answer that does not come is as good
    check(listener.process.wait(timeout=30) == 3 and "standard output" in listener.process.stderr.read(), "shown")
    check(len(target.taken) == 1, "posted on, but shown to nobody", target.taken)

    # A port that stays ours until the listener has it: bound, and listened on by nobody.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        listener = Listener("--port", str(port), "--count", "2", "--forward", f"http://127.0.0.1:{port}")
    check(listener.deliver(issue())[0] == 200, "a delivery")
    out, _ = listener.end()
    check(out.count("jira:issue_created") == 2 and "the URL leads back" in out, out)


@case("webhook: listen names the rule that a URL to forward to breaks, and never repeats the URL")
def forward_urls():
    secret = ["--secret-file", write("hook-secret", "s3cret")]
    for url, words in (("https://127.0.0.1/x", "https is not spoken here"), ("HTTPS://x", "https is not spoken here"), ("", "must be http://HOST"),
                       ("127.0.0.1:80", "must be http://HOST"), ("http://", "must be http://HOST"), ("http:///x", "must be http://HOST"),
                       ("http://u:hush-hush@x/", "no user or password"), ("http://x:0/", "port of 1 to 65535"),
                       ("http://x:65536/", "port of 1 to 65535"), ("http://x:/", "port of 1 to 65535"), ("http://x:8a/", "port of 1 to 65535"),
                       ("http://[::1", "must be http://HOST"), ("http://[zz]/", "IPv6"), ("http://[::1]x/", "must be http://HOST"),
                       ("http://x/a b", "visible"), ("http://x/\r\nX-Y: z", "visible"), ("http://x/ä", "visible"), ("http://x/#y", "fragment"),
                       ("http://a,b/", "must be http://HOST"), ("ftp://x/", "must be http://HOST")):
        r = run([CLI, "webhook", "listen", *secret, "--forward", url])
        check(r.returncode == 2 and "--forward: must " in r.stderr and words in r.stderr, url, r)
        check("hush-hush" not in r.stderr, r)
    r = run([CLI, "webhook", "listen", *secret, "--forward"])
    check(r.returncode == 2 and "--forward" in r.stderr, r)


def help_of(program, *command):
    """The names of the options and of the subcommands that --help lists."""
    r = run([program, *command, "--help"])
    check(r.returncode == 0, r)
    subcommands = re.search(r"^subcommands:\n((?:  .*\n)*)", r.stdout, re.MULTILINE | re.IGNORECASE)
    # "-q,--quiet", "-q,     --quiet", "--yes,--no{false}": versions of CLI11 differ.
    names = re.findall(r"^ +((?:--?[a-z][a-z-]*(?:\{\w+\})?(?:, *)?)+)", r.stdout, re.MULTILINE)
    return ({re.sub(r"\{.*", "", name) for text in names for name in re.split(", *", text)},
            re.findall(r"^  (\w\S*)", subcommands[1], re.MULTILINE) if subcommands else [])


def all_commands(*path):
    """Each command of jirapool, itself the first, with its options and subcommands."""
    options, subcommands = help_of(CLI, *path)
    found = {path: (options, subcommands)}
    for name in subcommands:
        found.update(all_commands(*path, name))
    return found


def in_bash(script, words):
    """What is offered for the last of the words."""
    line = " ".join(f"'{w}'" for w in words)
    r = run(["bash", "--norc", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _jirapool; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
            cwd=path("."))
    check(r.returncode == 0 and r.stderr == "", words, r)
    return [w for w in r.stdout.splitlines() if w]


def in_zsh(script, words):
    """The same, where zsh's own functions print what they would offer."""
    line = " ".join(f"'{w}'" for w in words)
    r = run(["zsh", "-f", "-c", "compdef() {}; _files() { print -l -- *(N) }; _message() {};"
             "_describe() { local a; print -l -- ${${(P)@[-1]}%%:*} };"
             f"source {script}; words=({line}); CURRENT={len(words)}; _jirapool"], cwd=path("."))
    check(r.returncode in (0, 1) and r.stderr == "", words, r)
    return [w for w in r.stdout.splitlines() if w]


@case("cli: completion offers each command and option that --help lists, and files where a file is to stand")
def completion():
    commands = all_commands()
    check(len(commands) > 12 and "--explain" in commands[("call",)][0], commands)
    (pathlib.Path(path("some file"))).write_text("")
    shells = {"bash": in_bash}
    if shutil.which("zsh"):
        shells["zsh"] = in_zsh
    for shell in ("bash", "zsh"):
        script = write("complete." + shell, run([CLI, "completion", shell]).stdout)
        if shell not in shells:
            continue
        offers = shells[shell]
        for command, (options, subcommands) in commands.items():
            check(set(offers(script, ["jirapool", *command, "-"])) == options, shell, command)
            if subcommands:
                check(set(offers(script, ["jirapool", *command, ""])) == set(subcommands), shell, command)
        files = {"some file", *os.listdir(path("."))}
        for before in (["check"], ["check", "--ca"], ["call", "--connections"], ["webhook", "create", "acme", "--secret-file"]):
            check(set(offers(script, ["jirapool", *before, ""])) == files, shell, before, offers(script, ["jirapool", *before, ""]))
        for before in (["call"], ["webhook", "listen", "--port"], ["call", "check", "--data"], ["check", "--parallel"]):
            check(offers(script, ["jirapool", *before, ""]) == [], shell, before)
        # A value that is named like a command is none.
        check(set(offers(script, ["jirapool", "webhook", "ensure", "list", "-"])) == commands[("webhook", "ensure")][0], shell)
    check(in_bash(path("complete.bash"), ["jirapool", "ch"]) == ["check"], "a beginning")
    check(in_bash(path("complete.bash"), ["jirapool", "check", "--ca", "=", "some"]) == ["some file"], "behind =")
    for wrong in ([], ["fish"], ["bash", "zsh"]):
        r = run([CLI, "completion", *wrong])
        check(r.returncode == 2 and r.stdout == "", wrong, r)
    # zsh's text has each name too, also where there is no zsh to ask.
    zsh = (pathlib.Path(path("complete.zsh"))).read_text()
    for command, (options, subcommands) in commands.items():
        of_it = zsh.split("(" + repr("".join(" " + c for c in command)) + ")\n", 1)[1].split(";;", 1)[0]
        for name in [*options, *subcommands]:
            check(f"'{name}:" in of_it, command, name)


SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = {"jirapool": "tools/cli/man/jirapool.1", "jirapool-load": "tools/load/man/jirapool-load.1", "jirapool-mock": "tools/mock/man/jirapool-mock.1"}


def options_in(text):
    return set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", text.replace("\\-", "-").replace("\\fB", "")))


@case("cli: the man pages name each option that --help lists, with its command, and no other")
def man_options():
    page = (SOURCE / PAGES["jirapool"]).read_text()
    common = options_in(page.split(".SH OPTIONS", 1)[1].split(".SH", 1)[0])
    found = {}
    for block in page.split(".SH COMMANDS", 1)[1].split(".SH", 1)[0].split("\n.SS ")[1:]:
        heading, text = block.split("\n", 1)
        paths = [tuple(p.split()) for p in heading.split(", ")]
        in_help = [help_of(CLI, *p)[0] for p in paths]
        check(options_in(text) == set().union(*in_help) - common, heading, options_in(text) ^ (set().union(*in_help) - common))
        found.update(zip(paths, in_help))
    leaves = {p for p, (_, subcommands) in all_commands().items() if not subcommands}
    check(set(found) == leaves, set(found) ^ leaves)
    check(common == {"-h", "--help", "--version", "--connections", "--connect-to", "--ca"}, common)
    for name in ("jirapool-load", "jirapool-mock"):
        options = options_in((SOURCE / PAGES[name]).read_text().split(".SH OPTIONS", 1)[1].split(".SH", 1)[0])
        in_help = help_of(TOOLS[name])[0]
        check(options == in_help, name, options ^ in_help)


@case("cli: the man pages and the README say each exit status, and groff has nothing to say of the pages")
def man_form():
    for name, file in PAGES.items():
        page = (SOURCE / file).read_text()
        statuses = set(re.findall(r"^\.B (\d+)$", page.split(".SH EXIT STATUS", 1)[1].split("\n.SH", 1)[0], re.MULTILINE))
        readme = (SOURCE / file).parent.parent / "README.md"
        if name != "jirapool-mock":
            check(statuses == set(re.findall(r"^\| (\d+) \|", readme.read_text(), re.MULTILINE)), name, statuses)
        footer = run([TOOLS[name], "--help"]).stdout.split("Exit status: ")[1]
        check(statuses == set(re.findall(r"(?:^|[;,] (?:and )?)(\d+)(?= |;)", footer)), name, statuses, footer)
        if shutil.which("groff"):
            r = run(["groff", "-man", "-Tutf8", "-ww", "-z", str(SOURCE / file)])
            check(r.returncode == 0 and r.stdout + r.stderr == "", r)


if __name__ == "__main__":
    sys.exit(main())
