"""A Prometheus server of a test's own, with our rules, and the load tool for it to scrape."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from support import LOAD, check, path, write
from watched import RULES


@contextlib.contextmanager
def load_tool(mock, connections, *args):
    """jirapool-load under way, and the address where it is scraped."""
    log = path("load.log")
    load = subprocess.Popen(
        [LOAD, connections, *mock.reach, "--rate", "150", "--duration", "600", "--metrics", "127.0.0.1:0", "--allow-failures", "--quiet", *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
    try:
        limit = time.monotonic() + 60
        while not (found := re.search(r"metrics at http://(\S+)/metrics", pathlib.Path(log).read_text())):
            check(load.poll() is None and time.monotonic() < limit, "the load tool did not start", pathlib.Path(log).read_text())
            time.sleep(0.05)
        yield found[1]
    finally:
        load.send_signal(signal.SIGKILL)
        load.wait()


class Prometheus:
    """Scrapes the addresses as the job `jira` each second, and evaluates the rules as often."""

    def __init__(self, *targets, features=()):
        check(shutil.which("prometheus"), "prometheus is not on PATH: tools/install_dependencies.sh test")
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(r) for r in RULES],
                  "scrape_configs": [{"job_name": "jira", "static_configs": [{"targets": list(targets)}]}]}
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        self.url = "http://" + self.address
        # JSON is YAML.
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", write("prometheus.yml", json.dumps(config)), "--storage.tsdb.path", path("prometheus"),
             "--web.listen-address", self.address, *(f"--enable-feature={f}" for f in features)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(path("prometheus.log"), "wb"))
        self.began = time.time()
        self.until(self.is_ready, 60, "Prometheus did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def is_ready(self):
        check(self.process.poll() is None, "Prometheus ended", open(path("prometheus.log")).read()[-2000:])
        try:
            return urllib.request.urlopen(self.url + "/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def until(self, holds, seconds, *about):
        limit = time.monotonic() + seconds
        while not holds():
            check(time.monotonic() < limit, *about)
            time.sleep(0.1)

    def ask(self, what, **parameters):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{parameters}: {e.read().decode()}") from None

    def values(self, query):
        """All numbers that a query gave since the server began, of all its series."""
        found = self.ask("query_range", query=query, start=self.began, end=time.time(), step=1)["result"]
        return [float(v) for series in found for _, v in series["values"]]

    def number(self, query):
        """The one number that it gives now, or None."""
        found = self.ask("query", query=query)["result"]
        check(len(found) <= 1, query, found)
        return float(found[0]["value"][1]) if found else None

    def alerts(self):
        """Those that fire, or will if it goes on for long enough: {name: [labels and annotations of each]}."""
        by_name = {}
        for a in self.ask("alerts")["alerts"]:
            by_name.setdefault(a["labels"]["alertname"], []).append({**a["labels"], **a["annotations"]})
        return by_name
