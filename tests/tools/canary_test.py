#!/usr/bin/env -S python3 -B
"""No tool shows a secret, whatever happens: neither one of a connections file nor one that Jira issued.

tests/tools/canary_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names.

Every credential is a text of its own that occurs nowhere else. All that the tools put out is collected while they meet what can go
wrong, and searched for any part of one of them, in every spelling in which it may have been written. The last test shows that the
search finds what it should.
"""

import base64
import html
import json
import os
import pathlib
import random
import re
import socket
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

from support import CLI, LOAD, Mock, case, check, main, path, run, scratch, write

# A part of a secret that is as long as this is a secret still; a shorter one occurs by chance.
PART = 12
# All that may stand in a secret, with what is written otherwise in URLs, JSON, HTML and shells.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=%&\"\\<>'~"
# What the mock's access tokens begin with, in base64 at each of the three places where it may stand, and backwards.
ACCESS_TOKEN = re.compile(r"eyA[\w-]{40}|[\w-]{40}Aye|ZXlB[\w+/-]{50}|[\w+/-]V5Q[\w+/-]{50}|[\w+/-]leU[\w+/-]{50}")
ACCESS_TOKEN_IN_URL = re.compile(r"%65%79%41", re.IGNORECASE)


def new_secret(rng):
    return "".join(rng.choice(ALPHABET) for _ in range(48))


def spellings(secret):
    raw = secret.encode()
    yield secret
    yield secret[::-1]
    yield json.dumps(secret)[1:-1]
    yield html.escape(secret)
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote(secret, safe="").lower()
    yield "".join(f"%{b:02X}" for b in raw)
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):  # as in "Basic " + base64(email + ":" + secret)
        whole = base64.b64encode(b"x" * before + raw).decode()
        inner = whole[2 if before else 0 : len(whole) - 4]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
        yield inner[::-1]


class Search:
    """For any part of any spelling of secrets."""

    def __init__(self, secrets):
        self.parts = {s[i : i + PART] for secret in secrets for s in spellings(secret) for i in range(len(s) - PART + 1)}

    def found(self, text):
        """What of a secret stands there; None when nothing does."""
        part = next((text[i : i + PART] for i in range(len(text) - PART + 1) if text[i : i + PART] in self.parts), None)
        token = ACCESS_TOKEN.search(text) or ACCESS_TOKEN_IN_URL.search(text)
        return part or (token and token[0][:PART])


class Collection:
    """All that is put out, each with where it came from."""

    def __init__(self):
        self.outputs = []

    def add(self, where, text):
        self.outputs.append((where, text))

    def ran(self, args, status=None, **kw):
        r = run(args, errors="replace", **kw)
        check(status is None or r.returncode in (status if isinstance(status, tuple) else (status,)), args[:4], r.returncode, r.stdout, r.stderr)
        self.add(" ".join(args), r.stdout + r.stderr)
        return r

    def shows(self, search):
        return [(where, part) for where, text in self.outputs if (part := search.found(text))]


class World:
    """A mock whose credentials are secrets of ours, and the files that hold them."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.output = open((scratch / "mock.out"), "w")
        self.mock = Mock("--sites", "2", "--personal", "2", "--service", "2", "--oauth", "2", "--token-lifetime", "2", output=self.output)
        world = json.loads(pathlib.Path(self.mock.connections).read_text())["connections"]
        # What the mock made itself is good for nothing any more, and must not be shown either.
        self.secrets = [c[field] for c in world for field in ("apiKey", "clientSecret") if field in c]
        self.connections = []
        for c in world:
            field = "apiKey" if "apiKey" in c else "clientSecret"
            c[field] = new_secret(rng)
            self.secrets.append(c[field])
            self.mock.admin("POST", "/replace?connection=" + c["id"], c[field].encode())
            self.connections.append(c)
        self.wrong = [{**c, field: new_secret(rng)} for c in self.connections for field in ("apiKey", "clientSecret") if field in c]
        self.secrets += [c.get("apiKey") or c["clientSecret"] for c in self.wrong]
        self.hook = new_secret(rng)
        self.secrets.append(self.hook)
        self.good_file = write("good.json", json.dumps({"connections": self.connections}))
        self.wrong_file = write("wrong.json", json.dumps({"connections": self.wrong}))
        self.hook_file = write("hook-secret", self.hook)
        # The same from the environment and from files.
        self.env = {**os.environ, "CANARY_HOOK": self.hook}
        from_elsewhere = []
        for i, c in enumerate(self.connections):
            field = "apiKey" if "apiKey" in c else "clientSecret"
            if i % 2:
                self.env[f"CANARY_{i}"] = c[field]
                from_elsewhere.append({**c, field: {"env": f"CANARY_{i}"}})
            else:
                from_elsewhere.append({**c, field: {"file": write(f"secret-{i}", c[field])}})
        self.elsewhere_file = write("elsewhere.json", json.dumps({"connections": from_elsewhere}))
        self.search = Search(self.secrets)
        self.all = Collection()
        # What holds secrets because it must.
        self.inputs = {p.name for p in scratch.folder.iterdir()} - {"mock.out"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.mock.stop()
        self.output.close()

    def id(self, kind):
        return next(c["id"] for c in self.connections if c["id"].startswith(kind))

    def scene(self, name, times=1, **where):
        query = urllib.parse.urlencode({"name": name, "times": times, **where})
        self.mock.admin("POST", "/scene?" + query)

    def check_quiet(self):
        """Nothing that was put out, nor any file that was made, holds a secret."""
        self.output.flush()
        for file in scratch.folder.rglob("*"):
            if file.is_file() and file.name not in self.inputs:
                self.all.add(str(file), file.read_text(errors="replace"))
        for what in ("stats", "connections", "buckets", "scenes", "deliveries"):
            self.all.add("mock /" + what, self.mock.admin("GET", "/" + what))
        shown = self.all.shows(self.search)
        check(not shown, "shown", shown)


@case("canary: check and call show no secret, whether Jira takes it, refuses it, or is not there")
def check_and_call():
    with World(1) as w:
        reach = w.mock.reach
        # Tokens end after 2 s, so some are renewed; all kinds, from each place that a secret may be in.
        for file in (w.good_file, w.elsewhere_file):
            w.all.ran([CLI, "check", file], 0, env=w.env)
            w.all.ran([CLI, "check", "--json", file], 0, env=w.env)
            w.all.ran([CLI, "check", "--live", file, *reach], 0, env=w.env)
            for kind in ("personal", "service", "oauth"):
                w.all.ran([CLI, "call", w.id(kind), "GET", "/rest/api/3/myself", "-i", "--connections", file, *reach], 0, env=w.env)
        w.all.ran([CLI, "check", "--live", "--json", w.wrong_file, *reach], 1)
        for kind in ("personal", "service", "oauth"):
            on = ["--connections", w.good_file, *reach]
            for args, status in (
                (["GET", "/rest/api/3/issue/PROJ-1"], 0),
                (["PUT", "/rest/api/3/issue/PROJ-1", "--data", '{"fields":{"summary":"x"}}'], 0),
                (["GET", "/rest/api/3/none"], 1),
                (["GET", "/rest/api/3/issue/" + "x" * 9000], (1, 2, 3)),
                (["GET", "/rest/api/3/bad path"], 2),
                (["GET", "/rest/api/3/myself", "--header", "Authorization: Basic eDp5"], 2),
            ):
                w.all.ran([CLI, "call", w.id(kind), *args, "-i", *on], status)
            w.all.ran([CLI, "call", w.id(kind), "GET", "/rest/api/3/myself", "--connections", w.wrong_file, *reach], (1, 3))
        for i, scene in enumerate(("anonymous", "unauthorized_gateway", "scope_mismatch", "unauthorized", "app_not_installed", "expired_403",
                                   "site_gone", "edge_html_403", "unavailable", "xsrf", "limited_burst", "limited_html")):
            kind = ("personal", "service", "oauth")[i % 3]
            w.scene(scene, 30, connection=w.id(kind))
            w.all.ran([CLI, "call", w.id(kind), "POST", "/rest/api/3/issue", "--data", "{}", "-i", "--timeout", "0.7", "--connections", w.good_file, *reach],
                      (1, 3))
            w.mock.admin("DELETE", "/scenes")
        for scene in ("token_access_denied_401", "token_invalid_client_400", "token_limited_429", "token_html_502"):
            w.scene(scene, 50)
            w.all.ran([CLI, "call", w.id("oauth"), "GET", "/rest/api/3/myself", "--timeout", "0.5", "--connections", w.good_file, *reach], (1, 3))
            w.mock.admin("DELETE", "/scenes")
        w.mock.admin("POST", "/revoke?connection=" + w.id("oauth"))
        w.all.ran([CLI, "check", "--live", w.good_file, *reach], 1)
        # Nobody listens; another certificate; a name that leads nowhere.
        nobody = ["--connect-to", "127.0.0.1:1", "--ca", w.mock.reach[-1]]
        w.all.ran([CLI, "check", "--live", "--timeout", "0.3", w.good_file, *nobody], 1)
        for kind in ("personal", "service", "oauth"):
            for lost in (nobody, w.mock.reach[:2]):
                w.all.ran([CLI, "call", w.id(kind), "GET", "/rest/api/3/myself", "--timeout", "0.3", "--connections", w.good_file, *lost], 3)
        check(json.loads(w.mock.admin("GET", "/stats"))["requests"]["total"] > 50, "hardly anything was asked")
        w.check_quiet()


@case("canary: a connections file that is wrong is told without what it holds")
def wrong_files():
    with World(2) as w:
        personal = next(c for c in w.connections if "email" in c)
        oauth = next(c for c in w.connections if "client_id" in c)
        key, secret = personal["apiKey"], oauth["clientSecret"]
        texts = [json.dumps([c]) for c in (
            {**personal, "apiKey": [key]}, {**personal, "apiKey": {"value": key}}, {**personal, "apiKey": {"env": key}},
            {**personal, "apiKey": {"file": key}}, {**personal, "apiKey": {"env": "A", "file": key}}, {**personal, "apiKey": key + " "},
            {**personal, "apiKey": "\n" + key}, {**personal, "apiKey": key * 200}, {**personal, "apikey": key}, {**personal, "secret": key},
            {**personal, "clientSecret": secret}, {**personal, "email": 7}, {**personal, "email": f"a@b.example:{key}"},
            {**personal, "site_url": "http://acme.atlassian.net"}, {**personal, "site_url": f"https://a:{key}@acme.atlassian.net"},
            {**personal, "cloud_id": "x"}, {**oauth, "cloud_id": "x"}, {**oauth, "client_id": ""}, {**oauth, "clientSecret": {"x": secret}},
            {**oauth, "apiKey": key}, {**oauth, "options": {"weight": 0}}, {**oauth, "options": key},
        )]
        texts.append(json.dumps([personal, personal]))
        whole = json.dumps([personal, oauth])
        # Cut off in the middle of a secret and behind it, and with a byte too many.
        middle = whole.index("apiKey") + 30
        texts += [whole[:middle], whole[: middle + 40], whole + "}", whole.replace('"apiKey"', 'apiKey'), whole[:middle] + "\x01" + whole[middle:]]
        for i, text in enumerate(texts):
            file = write(f"bad-{i}.json", text)
            w.inputs.add(f"bad-{i}.json")
            bad = w.all.ran([CLI, "check", file], (1, 2))
            w.all.ran([CLI, "check", "--json", file], (1, 2))
            w.all.ran([CLI, "call", personal["id"], "GET", "/rest/api/3/myself", "--connections", file, *w.mock.reach])
            w.all.ran([LOAD, file, *w.mock.reach, "--rate", "5", "--duration", "0.1", "--warm-up", "0"])
            check(bad.stdout + bad.stderr, "says nothing", text[:80])
        w.check_quiet()


@case("canary: what is said of webhooks and of deliveries shows neither the account's secret nor the one that signs")
def webhooks():
    with World(3) as w:
        on = ["--connections", w.good_file, *w.mock.reach]
        personal = w.id("personal")
        spec = ["--name", "sync", "--base", "https://hooks.example.com/jira", "--event", "jira:issue_updated"]
        made = w.all.ran([CLI, "webhook", "create", personal, *spec, "--secret-file", w.hook_file, "--json", *on], 0)
        number = json.loads(made.stdout)["id"]
        w.all.ran([CLI, "webhook", "disable", personal, number, *on], 0)
        w.all.ran([CLI, "webhook", "ensure", personal, *spec, "--secret-env", "CANARY_HOOK", *on], 0, env=w.env)
        for command in (["list", personal], ["list", personal, "--json"], ["get", personal, number], ["enable", personal, number, "--json"]):
            w.all.ran([CLI, "webhook", *command, *on], 0)
        for scene in ("forbidden", "unauthorized", "edge_html_403", "unavailable", "anonymous"):
            w.scene(scene, 30)
            w.all.ran([CLI, "webhook", "ensure", personal, *spec, "--secret-file", w.hook_file, *on], 3)
            w.mock.admin("DELETE", "/scenes")
        w.all.ran([CLI, "webhook", "ensure", w.id("service"), *spec, "--secret-file", w.hook_file, *on], 3)

        listener = subprocess.Popen([CLI, "webhook", "listen", "--secret-file", w.hook_file, "--count", "26", "--body"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = listener.stderr.readline()
        port = int(re.search(r"port (\d+)", said)[1])
        site = next(c["site_url"] for c in w.connections if c["id"] == personal).removeprefix("https://")
        w.mock.admin("POST", f"/deliver?site={site}&port={port}&events=25&disorder=5&seed=1")
        # And one that nobody signed.
        body = b'{"webhookEvent":"jira:issue_updated"}'
        with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Hub-Signature: sha256=00\r\n\r\n%s" % (len(body), body))
            check(s.recv(100).startswith(b"HTTP/1.1 401"), "was taken")
        out, err = listener.communicate(timeout=60)
        check(listener.returncode == 0 and out.count("jira:issue_updated") >= 25 and "refused with 401" in out, out, err)
        w.all.add("webhook listen", said + out + err)
        w.all.ran([CLI, "webhook", "delete", personal, number, *on], 0)
        w.check_quiet()


@case("canary: a load's progress, events, summary, report and metrics show no secret, while all goes well and while little does")
def load():
    with World(4) as w:
        for name, file, arrange in (
            ("well", w.good_file, lambda: None),
            ("wrong", w.wrong_file, lambda: None),
            ("odd", w.good_file, lambda: (w.scene("scope_mismatch", 5), w.scene("limited_quota_tenant", 3), w.scene("token_access_denied_403", 2),
                                          w.mock.admin("POST", "/faults?error_rate=0.3&token_error_rate=0.3&close_rate=0.2"))),
            ("down", w.good_file, lambda: w.mock.admin("POST", "/down")),
        ):
            arrange()
            process = subprocess.Popen([LOAD, file, *w.mock.reach, "--rate", "40", "--duration", "2", "--warm-up", "1", "--timeout", "1",
                                        "--metrics", "127.0.0.1:0", "--json", path(name + "-report.json"), "--mock-stats", w.mock.stats],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            said = process.stderr.readline()
            where = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", said)
            while not where:
                more = process.stderr.readline()
                check(more, "no metrics", said)
                said += more
                where = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", said)
            scrape = urllib.request.urlopen(where[0], timeout=30).read().decode()
            check("jirapool_" in scrape, scrape)
            w.all.add(name + " /metrics", scrape)
            out, err = process.communicate(timeout=120)
            check(process.returncode in (0, 1), name, said, out, err)
            check(process.returncode == (0 if name == "well" else 1), name, said, out, err)
            check(json.loads((scratch / (name + "-report.json")).read_text())["schema"] == 1, "no report")
            if name == "wrong":
                check("credential" in err, "no event", err)
            w.all.add("jirapool-load, " + name, said + out + err)
        w.check_quiet()


def issued_token(mock, oauth):
    """An access token of the mock's, got as any client gets it."""
    trust = ssl.create_default_context(cafile=mock.reach[-1])
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": oauth["client_id"], "client_secret": oauth["clientSecret"]})
    with socket.create_connection(("127.0.0.1", mock.port), timeout=30) as plain, trust.wrap_socket(plain, server_hostname="auth.atlassian.com") as s:
        s.sendall(f"POST /oauth/token HTTP/1.1\r\nHost: auth.atlassian.com\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return re.search(r'"access_token":"([^"]+)"', answer)[1]


@case("canary: the search finds a secret that is shown, in each spelling and in part, and nothing else")
def finds_what_is_planted():
    with World(5) as w:
        noise = random.Random(6)
        filler = "".join(noise.choice(ALPHABET) for _ in range(20_000))
        check(w.search.found(filler) is None, "noise is no secret")
        oauth = next(c for c in w.connections if "client_id" in c)
        token = issued_token(w.mock, oauth)
        for secret in (w.connections[0]["apiKey"], oauth["clientSecret"], w.hook, token):
            planted = [*spellings(secret), secret[20:34] if secret != token else secret[:60]]
            planted.append(base64.b64encode(f"user@example.com:{secret}".encode()).decode())
            for k in range(3):
                planted.append(base64.b64encode(b"Bearer"[:k] + b" " * 3 + secret.encode()).decode())
            for text in planted:
                if secret == token and not (ACCESS_TOKEN.search(text) or text.startswith("%")):
                    continue  # hex and the like, in which a token has no mark: of our own secrets all spellings are known
                check(w.search.found(filler + text + filler), "not found", text)
        for text in (token, token[::-1], base64.b64encode(("Bearer " + token).encode()).decode(), base64.b64encode(token.encode()).decode(),
                     base64.b64encode(("x" + token).encode()).decode(), base64.b64encode(("xx" + token).encode()).decode()):
            check(w.search.found(filler + text + filler), "token not found", text)

        # And from end to end: a tool that is made to show a secret is found out, by its output and by a file.
        on = ["--connections", w.good_file, *w.mock.reach]
        planted = {"fields": {"summary": w.connections[0]["apiKey"]}}
        check(run([CLI, "call", w.id("personal"), "PUT", "/rest/api/3/issue/PROJ-1", "--data", json.dumps(planted), *on]).returncode == 0, "PUT")
        w.check_quiet()
        w.all.ran([CLI, "call", w.id("personal"), "GET", "/rest/api/3/issue/PROJ-1", *on], 0)
        check(len(w.all.shows(w.search)) == 1, "an issue's text is not found")
        w.all.outputs.clear()
        write("forgotten.log", token)
        try:
            w.check_quiet()
        except AssertionError as e:
            check("forgotten.log" in str(e), e)
        else:
            check(False, "a token in a file is not found")


if __name__ == "__main__":
    sys.exit(main())
