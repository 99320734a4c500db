#!/usr/bin/env -S python3 -B
"""The dashboard: each of its queries before a real Prometheus, and the page that draws it in a real browser.

tests/tools/dashboard_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs prometheus, chromium and PyYAML.
JIRAPOOL_SCREENSHOTS names a folder that keeps the page's pictures.
"""

import contextlib
import datetime
import http.client
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys

from browser import Browser
from prometheus import Prometheus, load_tool
from support import Mock, case, check, main, scratch, write
from watched import DASHBOARD, ROOT, families, families_of, faults_of, panels, recorded_rules

RECORDED = recorded_rules()


def queries():
    for row, panel in panels():
        for target in panel["targets"]:
            yield f"{row} / {panel['title']}", target["expr"]


def troubled(mock):
    """The mock's connections, of which some have a wrong secret and some end soon."""
    world = json.loads(pathlib.Path(mock.connections).read_text())
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wrong = {mock.first(kind) for kind in ("email", "cloud_id", "clientSecret")}
    for c in world["connections"]:
        c.setdefault("options", {})["expires_at"] = soon
        if c["id"] in wrong:
            for secret in {"apiKey", "clientSecret"} & set(c):
                c[secret] = "wrong"
    return write("troubled.json", json.dumps(world))


@case("dashboard: the JSON is what its source makes")
def generated():
    made = subprocess.run([sys.executable, "-B", "-c", "import generate; print(generate.text(), end='')"], cwd=ROOT / "metrics/dashboards",
                          capture_output=True, text=True, check=True).stdout
    check(made == DASHBOARD.read_text(), "run metrics/dashboards/generate.py")


@case("dashboard: it has its rows, asks for nothing that there is not, and each series is on a panel")
def complete():
    known, seen, wrong = families(), set(), []
    for where, query in queries():
        seen |= families_of(query, known)
        wrong += [f"{where}: {f}" for f in faults_of(query, known, RECORDED)]
    check(not wrong, *wrong)
    check(set(known) <= seen, "on no panel", set(known) - seen)
    rows = list(dict.fromkeys(row for row, _ in panels()))
    check(rows == ["Overview", "Sites in trouble", "Limits", "Quota and neighbours", "Tokens and credential calendar", "Pool", "Latency by stage",
                   "Errors"], rows)
    taken = set()
    for _, panel in panels():
        check(panel["title"] and panel["description"], panel)
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        check(place["x"] + place["w"] <= 24 and not cells & taken, panel["title"], "lies upon another", place)
        taken |= cells


@case("dashboard: each query gives data before a Prometheus that scraped the load tool in trouble")
def data():
    with Mock("--sites", "6", "--personal", "6", "--service", "6", "--oauth", "6", "--latency-ms", "5", "--quota-points", "4000",
              "--token-lifetime", "60") as mock:
        with load_tool(mock, troubled(mock), "--warm-up", "5") as address, Prometheus(address) as prometheus:
            prometheus.until(lambda: (prometheus.number("sum(jirapool_calls_total)") or 0) > 300, 60, "no calls")
            # What each site and the whole can suffer from, one behind the other.
            mock.admin("POST", "/limits?site=site-0002.atlassian.net&burst_scale=0.02&foreign_load=0.8")
            mock.admin("POST", "/scene?name=unavailable&site=site-0003.atlassian.net&times=40")
            mock.admin("POST", "/scene?name=limited_burst&site=site-0004.atlassian.net&seconds=8&times=2")
            mock.admin("POST", "/faults?close_rate=0.02")
            mock.admin("POST", "/revoke?connection=" + json.loads(pathlib.Path(mock.connections).read_text())["connections"][-1]["id"])
            app = json.loads(pathlib.Path(mock.connections).read_text())["connections"][-2]["id"]
            mock.admin("POST", f"/scene?name=limited_quota_global&connection={app}&seconds=8&times=2")
            unanswered = dict.fromkeys((q.replace("$job", ".*").replace("$__rate_interval", "10s") for _, q in queries()))

            def are_answered():
                for query in list(unanswered):
                    if any(math.isfinite(v) for v in prometheus.values(query)):
                        del unanswered[query]
                return not unanswered

            with contextlib.suppress(AssertionError):
                prometheus.until(are_answered, 90, "not all are answered")
            check(not unanswered, f"{len(unanswered)} without data", *unanswered)


@case("watch: the page draws every panel at 1280 and 400 px, light and dark, asks nobody else and complains of nothing")
def page():
    pictures = os.environ.get("JIRAPOOL_SCREENSHOTS")
    titles = [panel["title"] for _, panel in panels()]
    with Mock("--sites", "4", "--personal", "4", "--service", "4", "--oauth", "4", "--latency-ms", "5") as mock, \
            load_tool(mock, troubled(mock), "--warm-up", "5") as address, Prometheus(address) as prometheus, \
            served(prometheus.url) as url, Browser(scratch) as browser:
        prometheus.until(lambda: (prometheus.number("sum(rate(jirapool_calls_total[10s]))") or 0) > 50, 60, "no calls")
        for width in (1280, 400):
            for dark in (False, True):
                about = f"{width} {'dark' if dark else 'light'}"
                browser.open(url, width, dark=dark)
                browser.wait_for("document.documentElement.dataset.updates >= 1")
                check(browser.value("document.documentElement.dataset.failed") == "0", about, browser.value("state.textContent"))
                check(browser.value("[...document.querySelectorAll('h3')].map(e => e.textContent)") == titles, about, "panels")
                check(browser.value("document.querySelectorAll('.card.timeseries svg[role=img] path').length") > 20, about, "no lines")
                check(re.search(r"[1-9]", browser.value("document.querySelector('.number').textContent")), about, "no number")
                check(browser.value("document.documentElement.scrollWidth") <= width, about, "wider than the window")
                check(browser.value("document.documentElement.dataset.theme") == ("dark" if dark else "light"), about)
                check(browser.value(CONTRAST) == [], about, browser.value(CONTRAST))
                check(browser.value(UNNAMED) == [], about, browser.value(UNNAMED))
                check(all(a.startswith(url) for a in browser.asked), about, [a for a in browser.asked if not a.startswith(url)])
                if pictures:
                    browser.screenshot(f"{pictures}/watch-{about.replace(' ', '-')}.png")
        # By keyboard alone: the first chart is read point by point, aloud too.
        browser.value("document.querySelector('.card.timeseries .chart').focus()")
        browser.key("ArrowLeft")
        check(re.search(r"\d\d:\d\d:\d\d, .+", browser.value("document.querySelector('.card.timeseries [aria-live]').textContent")), "nothing is read")
        browser.wait_for("document.documentElement.dataset.updates >= 2", 30)
        check(not browser.complaints, *browser.complaints)
        # Prometheus is gone: said so, and the page stays.
        prometheus.process.send_signal(signal.SIGKILL)
        prometheus.process.wait()
        browser.wait_for("state.className === 'lost'", 30)
        check(browser.value("[...document.querySelectorAll('h3')].length") == len(titles), "the page is gone")


# Texts whose contrast to what they stand upon is below 4.5 (WCAG 2, AA).
CONTRAST = """(() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c; } return 'rgb(255, 255, 255)'; };
  const bad = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), color = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(color), light(ground(e instanceof SVGElement ? e.ownerSVGElement : e))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) bad.add(e.className + ' ' + e.textContent.slice(0, 30));
  }
  return [...bad];
})()"""
# What the keyboard reaches or a reader is told of, and that has no name. A picture's is not the text in it.
UNNAMED = """[...document.querySelectorAll('select, [tabindex="0"], article, section, svg[role=img], a')].filter(e => {
  const by = e.getAttribute('aria-labelledby');
  const name = e.getAttribute('aria-label') || (by && document.getElementById(by)?.textContent) || (e.matches('a') && e.textContent) || e.labels?.[0]?.textContent;
  return !name?.trim();
}).map(e => e.outerHTML.slice(0, 80))"""


@contextlib.contextmanager
def served(prometheus):
    server = subprocess.Popen([str(ROOT / "tools/watch/serve.py"), prometheus], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        check(server.wait(timeout=30) == 0, "the page's server", server.returncode)
        server.stdout.close()


@case("watch: the page's server gives the page, the dashboard and reading queries to whoever asks for it by its number, and nothing else")
def server():
    with served("http://127.0.0.1:1") as url:
        host = url.removeprefix("http://").rstrip("/")

        def answer(method, target, host=host):
            connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=30)
            connection.request(method, target, headers={"Host": host})
            got = connection.getresponse()
            body = got.read()
            connection.close()
            return got.status, got.getheader("Content-Type"), body

        check(answer("GET", "/")[:2] == (200, "text/html; charset=utf-8"), "the page")
        check(json.loads(answer("GET", "/dashboard.json")[2]) == json.loads(DASHBOARD.read_text()), "the dashboard")
        check(answer("GET", "/api/v1/query?query=up")[0] == 502, "without Prometheus")
        for target in ("/../serve.py", "/serve.py", "/api/v1/admin/tsdb/snapshot", "/api/v1/query/../admin", "/-/quit", "/metrics", "//127.0.0.1/"):
            check(answer("GET", target)[0] == 404, target)
        check(answer("POST", "/api/v1/query")[0] == 501, "POST")
        check(answer("GET", "/", "evil.example")[0] == 421, "another name")
    page_text = (ROOT / "tools/watch/page.html").read_text()
    check(not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//|@import|url\(", page_text), "the page loads something from elsewhere")


if __name__ == "__main__":
    sys.exit(main())
