"""A Prometheus server of a test's own, with our rules, that scrapes what it is told to."""

import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from support import check, path, write
from watched import RULES


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
        """Those that fire, by name: the labels of each."""
        by_name = {}
        for a in self.ask("alerts")["alerts"]:
            if a["state"] == "firing":
                by_name.setdefault(a["labels"]["alertname"], []).append(a["labels"])
        return by_name
