"""A Prometheus server of a test's own, with our rules, and the load tool for it to scrape."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from support import LOAD, check, path, wait_for, write
from watched import RULES


class Load:
    """A jirapool-load that runs and shows its metrics."""

    def __init__(self, mock, connections, *args):
        self.summary = path("summary.json")
        self.log = pathlib.Path(path("load.log"))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [LOAD, connections, *mock.reach, "--metrics", "127.0.0.1:0", "--json", self.summary, "--warm-up", "60", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.address = wait_for("the address of the metrics", self.told_address)[1]
        except AssertionError:
            self.__exit__()
            raise

    def told_address(self):
        said = self.log.read_text()
        check(self.process.poll() is None, "the load tool ended", said)
        return re.search(r"metrics at http://(\S+)/metrics", said)

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


@contextlib.contextmanager
def load_tool(mock, connections, *args):
    """One that goes on to the end, and the address where it is scraped."""
    with Load(mock, connections, "--rate", "150", "--duration", "600", "--allow-failures", "--quiet", *args) as load:
        yield load.address


class Prometheus:
    """Scrapes the targets as the job `jira`, or those of `jobs` ({name: address}), and evaluates the rules, `every` so often."""

    made = 0

    def __init__(self, *targets, jobs=None, features=(), every="1s"):
        check(shutil.which("prometheus"), "prometheus is not on PATH: tools/install_dependencies.sh test")
        Prometheus.made += 1
        name = f"prometheus{Prometheus.made}"
        by_job = {job: [address] for job, address in jobs.items()} if jobs else {"jira": list(targets)}
        config = {"global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
                  "rule_files": [str(r) for r in RULES],
                  "scrape_configs": [{"job_name": job, "static_configs": [{"targets": addresses}]} for job, addresses in by_job.items()]}
        self.log = pathlib.Path(path(name + ".log"))
        # JSON is YAML.
        self.process = subprocess.Popen(
            ["prometheus", "--config.file", write(name + ".yml", json.dumps(config)), "--storage.tsdb.path", path(name),
             "--web.listen-address", "127.0.0.1:0", *(f"--enable-feature={f}" for f in features)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.log, "wb"))
        self.began = time.time()
        self.url = None
        try:
            self.until(self.is_ready, 60, "Prometheus did not start")
        except AssertionError:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def is_ready(self):
        log = self.log.read_text()
        check(self.process.poll() is None, "Prometheus ended", log[-2000:])
        if not (at := re.search(r'msg="Listening on" address=(\S+)', log)):
            return False
        self.url = f"http://{at[1]}"
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

    def series(self, query, at=None):
        """What it gives now, or at that time: [{"metric": labels, "value": [time, number]}]."""
        return self.ask("query", query=query, **({"time": at} if at else {}))["result"]

    def number(self, query, at=None):
        """The one number of it, or None."""
        found = self.series(query, at)
        check(len(found) <= 1, query, found)
        return float(found[0]["value"][1]) if found else None

    def alerts(self):
        """Those that fire, or will if it goes on for long enough: {name: [labels and annotations of each]}."""
        by_name = {}
        for a in self.ask("alerts")["alerts"]:
            by_name.setdefault(a["labels"]["alertname"], []).append({**a["labels"], **a["annotations"]})
        return by_name
