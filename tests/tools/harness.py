"""What the tests of the tools share: cases, processes, a mock. The first argument of the script is the build folder, the others are names of cases."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

build = pathlib.Path(sys.argv[1]).resolve()
CLI = str(build / "tools/cli/jirapool")
LOAD = str(build / "tools/load/jirapool-load")
MOCK = str(build / "tools/mock/jirapool-mock")
TOOLS = {"jirapool": CLI, "jirapool-load": LOAD, "jirapool-mock": MOCK}

tests = {}
scratch = None


def case(name):
    def keep(f):
        tests[name] = f
        return f

    return keep


def check(condition, *about):
    if not condition:
        raise AssertionError(" | ".join(str(a) for a in about))


def run(args, timeout=60, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(args, timeout=timeout, text=True, **kw)


def at(name="."):
    """A place in this test's own folder."""
    return scratch / name


def path(name):
    return str(at(name))


def write(name, text, mode=0o600):
    (scratch / name).write_text(text)
    (scratch / name).chmod(mode)
    return path(name)


class Mock:
    """A jirapool-mock of its own, and the arguments that lead there."""

    number = 0

    def __init__(self, *args, output=subprocess.DEVNULL):
        Mock.number += 1
        self.name = f"mock{Mock.number}"
        self.process = subprocess.Popen(
            [MOCK, "--port", "0", "--admin-port", "0", "--write-ca", path(self.name + ".pem"), "--write-connections", path(self.name + ".json"),
             "--ready-file", path(self.name + ".ready"), *args],
            stdout=output, stderr=None if output == subprocess.DEVNULL else output)
        limit = time.monotonic() + 60
        while not os.path.exists(path(self.name + ".ready")):
            check(self.process.poll() is None and time.monotonic() < limit, "the mock did not start")
            time.sleep(0.02)
        ready = json.loads((scratch / (self.name + ".ready")).read_text())
        self.port = ready["port"]
        self.connections = path(self.name + ".json")
        self.stats = f"127.0.0.1:{ready['admin_port']}"
        self.reach = ["--connect-to", f"127.0.0.1:{self.port}", "--ca", path(self.name + ".pem")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def admin(self, method, target, body=None):
        """What the admin port answers."""
        to = urllib.request.Request(f"http://{self.stats}{target}", body, method=method)
        return urllib.request.urlopen(to, timeout=30).read().decode()

    def first(self, kind):
        """The id of the first connection of a kind, by a field that only it has."""
        return next(c["id"] for c in json.loads(pathlib.Path(self.connections).read_text())["connections"] if kind in c)

    def with_wrong_secrets(self, name):
        all_of_it = json.loads(pathlib.Path(self.connections).read_text())
        for c in all_of_it["connections"]:
            for field in ("apiKey", "clientSecret"):
                if field in c:
                    c[field] = "wrong"
        return write(name, json.dumps(all_of_it))


def main():
    global scratch
    wanted = sys.argv[2:] or list(tests)
    failed = 0
    for name in wanted:
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="jirapool-tools-"))
        try:
            tests[name]()
            print("passed:", name, flush=True)
        except Exception as e:  # whatever it is, the next test is run
            failed += 1
            print(f"FAILED: {name}\n  {type(e).__name__}: {e}", flush=True)
        finally:
            shutil.rmtree(scratch)
    return 1 if failed else 0
