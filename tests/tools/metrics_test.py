#!/usr/bin/env -S python3 -B
"""The metrics as a real Prometheus server sees them.

tests/tools/metrics_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs prometheus and promtool on PATH:
tools/install_dependencies.sh takes both out of their package.
"""

import gzip
import http.server
import json
import pathlib
import re
import sys
import threading
import time
import urllib.error
import urllib.request

from prometheus import Load, Prometheus
from support import CLI, Mock, case, check, main, run, wait_for, write

CALLS = 2400
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


class Witness:
    """Passes scrapes on, with another Accept if there is one, and remembers the answers, and in what form they were."""

    def __init__(self, to, accept=None):
        seen = self.seen = set()
        bodies = self.bodies = []

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
                bodies.append(gzip.decompress(body) if form[1] == "gzip" else body)
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


def check_targets(prometheus, count):
    targets = prometheus.ask("targets")["activeTargets"]
    check(len(targets) == count, targets)
    for t in targets:
        check(t["health"] == "up" and t["lastError"] == "", t)


def check_exemplars(prometheus, job, bodies):
    """Those that Prometheus keeps: each is a call's, with the trace id of Jira's answer, as OpenMetrics told it; text has none."""
    lines = re.findall(r'^jirapool_call_duration_seconds_bucket\{.*# \{trace_id="([0-9a-f]{32})"\} (\S+)', b"\n".join(bodies).decode(), re.MULTILINE)
    told = {(trace, float(seconds)) for trace, seconds in lines}
    found = prometheus.ask("query_exemplars", query="jirapool_call_duration_seconds_bucket", start=prometheus.began, end=time.time())
    kept = [(s["seriesLabels"], e["labels"]["trace_id"], float(e["value"])) for s in found for e in s["exemplars"]]
    check(len(kept) >= 5 and {labels["job"] for labels, _, _ in kept} == {job}, found)
    for labels, trace, seconds in kept:
        check((trace, seconds) in told and seconds <= float(labels["le"]), labels, trace, seconds)


def labels_of(result):
    return sorted(tuple(sorted((k, v) for k, v in s["metric"].items() if k not in ("job", "instance"))) for s in result)


@case("metrics: Prometheus reads text, OpenMetrics with exemplars and protobuf, and a quantile of the native histogram is the load tool's within 5 %")
def scraped():
    with Mock("--sites", "20", "--personal", "10", "--service", "10", "--oauth", "10", "--latency-ms", "80", "--latency-jitter-ms", "120") as mock, \
            Load(mock, mock.connections, "--rate", "120", "--duration", str(CALLS // 120)) as load:
        witnesses = {"protobuf": Witness(load.address), "openmetrics": Witness(load.address), "text": Witness(load.address, "text/plain")}
        with Prometheus(jobs={"protobuf": witnesses["protobuf"].address}, features=["native-histograms"], every="2s") as native, \
                Prometheus(jobs={j: witnesses[j].address for j in ("openmetrics", "text")}, features=["exemplar-storage"], every="2s") as classic:
            # Long enough to have a tail.
            wait_for("calls", lambda: any(float(s["value"][1]) > 1500 for s in native.series("sum(jirapool_calls_total)")), 120)
            check_targets(native, 1)
            check_targets(classic, 2)
            for job, form in (("protobuf", PROTOBUF), ("openmetrics", OPENMETRICS), ("text", TEXT)):
                check(witnesses[job].seen == {(form, "gzip")}, job, witnesses[job].seen)

            check_exemplars(classic, "openmetrics", witnesses["openmetrics"].bodies)

            # The same series whatever the format.
            by_job = {job: labels_of(classic.series('{__name__=~"jirapool_.*",job="%s"}' % job)) for job in ("openmetrics", "text")}
            check(len(by_job["text"]) > 300 and by_job["text"] == by_job["openmetrics"], set(by_job["text"]) ^ set(by_job["openmetrics"]))
            numbers = '{__name__=~"jirapool_.*",__name__!~".*_(bucket|sum|count|seconds)"}'
            check(labels_of(native.series(numbers)) == labels_of(classic.series(numbers[:-1] + ',job="text"}')), "numbers differ")
            # What has native buckets is one series there, the rest is as it was.
            check(native.series("jirapool_call_duration_seconds") and not native.series("jirapool_call_duration_seconds_bucket"), "not native")
            rest = 'jirapool_token_refresh_duration_seconds_bucket{job=~"protobuf|text"}'
            check(labels_of(native.series(rest)) == labels_of(classic.series(rest)), "classic buckets differ")

            units = {m["metric"]: m["unit"] for m in classic.ask("targets/metadata", match_target='{job="openmetrics"}')}
            check(units["jirapool_call_duration_seconds"] == "seconds" and units["jirapool_sent_bytes"] == "bytes", units)

            # Both must have counted the same calls, and the tool ends with its last one: some calls of the end are made to wait for a limit
            # of Jira's, and all others are scraped meanwhile. Those few are counted by the tool alone.
            wait_for("the last calls", lambda: load.calls() > CALLS - 100, 120)
            mock.admin("POST", f"/scene?name=limited_burst&connection={mock.first('email')}&times=1&seconds=8")
            summary = load.finish(120)
            seen = native.series("jirapool_call_duration_seconds[5m]")
            check(seen, "no samples")
            last = max(float(at) for s in seen for at, _ in s.get("histograms", []))
            counted = native.number("sum(histogram_count(jirapool_call_duration_seconds))", last)
            completed = summary["calls"]["completed"]
            check(completed == CALLS and CALLS - 20 <= counted < CALLS, counted, completed)
            for q, name in ((0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")):
                # The same rank: the calls that were not scraped are the longest of all.
                rank = q * completed / counted
                ours = native.number(f"histogram_quantile({rank}, sum(jirapool_call_duration_seconds))", last) * 1000
                theirs = summary["service_ms"][name]
                print(f"  {name}: native histogram {ours:.1f} ms, jirapool-load {theirs:.1f} ms", flush=True)
                check(abs(ours - theirs) <= 0.05 * theirs, name, ours, theirs)


@case("metrics: promtool finds nothing to say about a scrape of a running program")
def promtool():
    with Mock("--sites", "2", "--personal", "1", "--service", "1", "--oauth", "1") as mock, Load(mock, mock.connections, "--rate", "20", "--duration", "30") as load:
        wait_for("a call", lambda: load.calls() > 0)
        r = run(["promtool", "check", "metrics"], stdin=None, input=load.scrape())
        check(r.returncode == 0 and r.stdout + r.stderr == "", r)


@case("metrics: the load tool's connections and sites are pages of JSON, and jirapool top shows what is in trouble")
def pages():
    with Mock("--sites", "6", "--personal", "4", "--service", "4", "--oauth", "4") as mock:
        bad = [c["id"] for c in json.loads(pathlib.Path(mock.connections).read_text())["connections"]][:2]
        with Load(mock, mock.connections, "--rate", "60", "--duration", "120", "--allow-failures") as load:
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
            # A site is in trouble from its connection's rejection on, and its calls fail behind that.
            wait_for("a site whose calls fail", lambda: any(site["calls"]["credential"] for site in page("sites?state=trouble")["sites"]))
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
    with Mock("--sites", "1", "--personal", "1", "--service", "0", "--oauth", "0") as mock, Load(mock, mock.connections, "--rate", "5", "--duration", "60", "--metrics-token-file", token) as load:
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
