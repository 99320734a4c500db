"""What the tests of the tools share: the programs, a mock, and how cases are kept and run.

A test file is run as FILE BUILD_DIR [NAME...]: all of its cases, or those of these names.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

build = pathlib.Path(sys.argv[1]).resolve()
CLI = str(build / "tools/cli/jirapool")
LOAD = str(build / "tools/load/jirapool-load")
MOCK = str(build / "tools/mock/jirapool-mock")
TOOLS = {"jirapool": CLI, "jirapool-load": LOAD, "jirapool-mock": MOCK}

tests = {}


class Scratch:
    """A folder of the running case's own."""

    folder = None

    def __truediv__(self, name):
        return self.folder / name

    def __str__(self):
        return str(self.folder)


scratch = Scratch()


def case(name):
    def keep(f):
        tests[name] = f
        return f

    return keep


def check(condition, *about):
    if not condition:
        raise AssertionError(" | ".join(str(a) for a in about))


def wait_for(what, ask, seconds=60):
    limit = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        check(time.monotonic() < limit, f"{what} did not come in {seconds} s")
        time.sleep(0.1)


def run(args, timeout=60, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    return subprocess.run(args, timeout=timeout, text=True, **kw)


def path(name):
    return str(scratch / name)


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


class Recorder:
    """The gateway, which keeps what it is asked and always answers the same."""

    def __init__(self, answer=b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"):
        self.answer = answer
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
                    s.sendall(self.answer)
            except OSError:
                pass


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


def main():
    wanted = sys.argv[2:] or list(tests)
    failed = 0
    for name in wanted:
        scratch.folder = pathlib.Path(tempfile.mkdtemp(prefix="jirapool-tools-"))
        try:
            tests[name]()
            print("passed:", name, flush=True)
        except Exception as e:  # whatever it is, the next test is run
            failed += 1
            print(f"FAILED: {name}\n  {type(e).__name__}: {e}", flush=True)
        finally:
            shutil.rmtree(scratch.folder)
    return 1 if failed else 0
