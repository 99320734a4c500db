#!/usr/bin/env -S python3 -B
"""The incident drill: 3,000 connections are made to suffer in six ways, one behind the other, and a Prometheus that has only scraped them
is asked what happened, from when to when, and to whom.

tests/tools/metrics_drill.py BUILD_DIR: takes five minutes, and prints its figures for tests/figures.sh metrics. Needs prometheus on PATH.
"""

import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

from prometheus import Prometheus, load_tool
from support import Mock, path, scratch, write

KINDS = ("personal", "service", "oauth")
OF_EACH = 1000  # connections; another hundred wait for theirs to go
SPARE = 100
SITES = 150
SCRAPE = 2
QUIET = 25  # seconds between two incidents: twice as long as an edge may be off
EDGE = 15

# What tells each from all others, and whom it names. Each looks back for three scrapes, and an outage explains what is seen in the half minute
# behind it.
DIALS = 'sum(increase(jirapool_dial_failures_total{origin="%s"}[6s])) > 0'
FIRST_BYTE = ('(sum(irate(jirapool_call_stage_duration_seconds_sum{stage="first_byte"}[6s]))'
              ' / sum(irate(jirapool_call_stage_duration_seconds_count{stage="first_byte"}[6s])))')
CHANGED = 'sum(increase(jirapool_connection_changes_total{change="%s"}[6s])) > 0'
BEHIND_AN_OUTAGE = 'unless on () (sum(increase(jirapool_dial_failures_total{origin="gateway"}[30s])) > 0)'
WAITING = 'min_over_time(jirapool_site_waiting_calls{site!="other"}[6s]) > 0'
QUESTIONS = {
    # Nobody can be reached.
    "down": f'{DIALS % "gateway"} and {DIALS % "site"}',
    # Credentials fail, each by its name.
    "revoked": "sum(jirapool_credentials_refused) > 0",
    # Calls wait for limits, at more than a tenth of the sites.
    "limited": f"count({WAITING}) > 0.1 * sum(jirapool_sites) {BEHIND_AN_OUTAGE}",
    # The token endpoint is reached, and gives no tokens.
    "token_endpoint": 'sum(jirapool_events_total{kind="token_endpoint_down"}) - sum(jirapool_events_total{kind="token_endpoint_up"}) > 0',
    # Jira takes several times as long as it used to.
    "slow": f"{FIRST_BYTE} > 5 * quantile_over_time(0.5, {FIRST_BYTE}[3m:5s]) {BEHIND_AN_OUTAGE}",
    # The program changed its connections, and not only their secrets.
    "swapped": f'{CHANGED % "added"} and {CHANGED % "removed"}',
}
NAMES = {
    "revoked": ("connection", 'jirapool_connection_trouble_since_timestamp_seconds{condition="credential_rejected"}'),
    "limited": ("site", WAITING),
}


class World:
    """The connections as the load tool's file has them."""

    def __init__(self, mock):
        self.file = path("followed.json")
        self.all = json.loads(pathlib.Path(mock.connections).read_text())["connections"]
        self.of_kind = {k: [c for c in self.all if c["id"].startswith(k)] for k in KINDS}
        self.used = [c for k in KINDS for c in self.of_kind[k][:OF_EACH]]
        self.keep()

    def keep(self):
        os.replace(write("followed.new", json.dumps({"connections": self.used})), self.file)

    def names_of_site(self, index):
        """By which series may name a site: its host, or its cloud ID."""
        service = self.of_kind["service"][(index - SITES // 3) % SITES]
        return {f"site-{index + 1:04}.atlassian.net", service["cloud_id"]}


def until(moment):
    time.sleep(max(0, moment - time.time()))


class Drill:
    """Plays the incidents, and keeps what was done from when to when."""

    def __init__(self, mock, world):
        self.mock = mock
        self.world = world
        self.done = {}  # name: (began, ended, [names of each that suffers])
        self.random = random.Random(7)

    def play(self, name, seconds, begin, end, whom=()):
        began = time.time()
        begin()
        until(began + seconds)
        end()
        self.done[name] = (began, time.time(), list(whom))
        print(f"{name}: {self.done[name][1] - began:.1f} s", file=sys.stderr, flush=True)
        time.sleep(QUIET)

    def faults(self, what):
        return lambda: self.mock.admin("POST", "/faults?" + what)

    def all_of_it(self):
        admin = self.mock.admin
        self.play("down", 5, lambda: admin("POST", "/down"), lambda: admin("POST", "/up"))

        revoked = [c for k in KINDS for c in self.random.sample(self.world.of_kind[k][:OF_EACH], 20)]
        self.play("revoked", 30, lambda: [admin("POST", f"/revoke?connection={c['id']}") for c in revoked],
                  lambda: self.renew(revoked), [{c["id"]} for c in revoked])

        limited = self.random.sample(range(SITES), 50)
        hosts = [f"site-{i + 1:04}.atlassian.net" for i in limited]
        self.play("limited", 30, lambda: [admin("POST", f"/limits?site={h}&burst_scale=0.1") for h in hosts],
                  lambda: [admin("DELETE", f"/limits?site={h}") for h in hosts], [self.world.names_of_site(i) for i in limited])

        self.play("token_endpoint", 30, self.faults("token_error_rate=1"), self.faults("token_error_rate=0"))
        self.play("slow", 30, self.faults("latency_ms=400"), self.faults("latency_ms=20"))
        self.play("swapped", 0, self.swap, lambda: None)

    def renew(self, connections):
        """As their owners do: a new secret at Atlassian, and in the file."""
        for c in connections:
            field = "clientSecret" if "clientSecret" in c else "apiKey"
            c[field] = "renewed-" + c[field][:40]
            self.mock.admin("POST", f"/replace?connection={c['id']}", c[field].encode())
        self.world.keep()

    def swap(self):
        for k in KINDS:
            gone = {c["id"] for c in self.random.sample(self.world.of_kind[k][:OF_EACH], SPARE)}
            self.world.used = [c for c in self.world.used if c["id"] not in gone] + self.world.of_kind[k][OF_EACH:]
        self.world.keep()


def spans(prometheus, question, began):
    """From when to when a question was answered; what is interrupted for less than an edge is one."""
    found = prometheus.ask("query_range", query=question, start=began, end=time.time(), step=1)["result"]
    times = sorted({float(at) for series in found for at, _ in series["values"]})
    all_of_them = []
    for at in times:
        if all_of_them and at - all_of_them[-1][1] <= EDGE:
            all_of_them[-1][1] = at
        else:
            all_of_them.append([at, at])
    return all_of_them


def named(prometheus, name, began, ended):
    """Whom Prometheus names between then and then."""
    label, query = NAMES[name]
    found = prometheus.ask("query_range", query=query, start=began, end=ended, step=1)["result"]
    return {series["metric"][label] for series in found}


def figure(name, value):
    print(json.dumps({"figure": name, "value": value}), flush=True)


def judge(prometheus, began, done):
    told, edge, share, wrong = 0, 0.0, 1.0, 0
    for name, question in QUESTIONS.items():
        found = spans(prometheus, question, began)
        from_, to, whom = done[name]
        print(f"{name}: done {from_ - began:.1f} to {to - began:.1f}, told", ", ".join(f"{a - began:.0f} to {b - began:.0f}" for a, b in found),
              file=sys.stderr, flush=True)
        if len(found) == 1:
            off = max(abs(found[0][0] - from_), abs(found[0][1] - to))
            edge = max(edge, off)
            told += off <= EDGE
        if whom:
            names = named(prometheus, name, from_, to)
            right = [each for each in whom if each & names]
            astray = names - set().union(*whom)
            print(f"{name}: named {len(right)} of {len(whom)}, and wrongly {sorted(astray)[:10]}", file=sys.stderr, flush=True)
            share = min(share, len(right) / len(whom))
            wrong += len(astray)
    # How many of each kind were swapped.
    at = done["swapped"][0]
    changed = "sum by (kind, change) (jirapool_connection_changes_total)"
    before, after = ({tuple(sorted(s["metric"].items())): float(s["value"][1]) for s in prometheus.series(changed, t)} for t in (at - 2, at + 10))
    for labels, count in after.items():
        if dict(labels)["change"] != "replaced" and count - before[labels] != SPARE:
            told -= 1
            print(f"swapped: {labels} is {count - before[labels]}", file=sys.stderr, flush=True)
            break
    figure("metrics_drill_told", told)
    figure("metrics_drill_edge_s", round(edge, 1))
    figure("metrics_drill_named_share", round(share, 3))
    figure("metrics_drill_named_wrongly", wrong)


def main():
    with Mock("--sites", str(SITES), *(a for k in KINDS for a in ("--" + k, str(OF_EACH + SPARE))), "--token-lifetime", "60",
              "--latency-ms", "20", "--threads", "2", "--burst-get", "20", "--burst-get-issue", "20", "--burst-post", "20") as mock:
        world = World(mock)
        with load_tool(mock, world.file, "--follow", "--rate", "600", "--timeout", "10", "--mix", "get_issue=8,myself=1,search=1") as address, \
                Prometheus(address, every=f"{SCRAPE}s") as prometheus:
            prometheus.until(lambda: (prometheus.number("sum(irate(jirapool_calls_total[6s]))") or 0) > 500, 90, "no load")
            began = time.time()
            time.sleep(QUIET)
            drill = Drill(mock, world)
            drill.all_of_it()
            judge(prometheus, began, drill.done)


if __name__ == "__main__":
    scratch.folder = pathlib.Path(tempfile.mkdtemp(prefix="jirapool-drill-"))
    try:
        main()
    finally:
        shutil.rmtree(scratch.folder)
