#!/usr/bin/env -S python3 -B
"""The alerts before a real Prometheus that scrapes the load tool: each incident raises its own, which names whom it concerns.

tests/tools/incidents_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs prometheus and PyYAML.

An alert counts once its expression holds, though most wait longer before they fire: how long is for promtool to judge.
"""

import datetime
import json
import pathlib
import sys
import time

from prometheus import Prometheus, load_tool
from support import Mock, case, check, main, write
from watched import alert_rules

# promtool's cases are all there is for it: no shard of the load tool stalls while it can be scraped.
PLAYED_ONLY = {"JirapoolShardStalls"}


def world_of(mock, ends=None):
    """The mock's connections. ends: the end of a credential's life by its id."""
    world = json.loads(pathlib.Path(mock.connections).read_text())
    for c in world["connections"]:
        if c["id"] in (ends or {}):
            c.setdefault("options", {})["expires_at"] = ends[c["id"]].strftime("%Y-%m-%dT%H:%M:%SZ")
    return world



def expect(prometheus, wanted, seconds=60):
    """wanted: {alert: labels that some alert of the name has}"""
    missing = dict(wanted)

    def holds():
        found = prometheus.alerts()
        for name, labels in wanted.items():
            if any(labels.items() <= a.items() for a in found.get(name, [])):
                missing.pop(name, None)
        return not missing

    try:
        prometheus.until(holds, seconds, "")
    except AssertionError:
        raise AssertionError(f"not raised: {missing}; raised: {json.dumps(prometheus.alerts(), indent=1)}") from None


def in_days(days):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


@case("incidents: a healthy run raises no alert from its first second on")
def healthy():
    with Mock("--sites", "6", "--personal", "6", "--service", "6", "--oauth", "6", "--latency-ms", "5", "--token-lifetime", "20",
              "--quota-points", "1000000") as mock:
        with load_tool(mock, mock.connections) as address, Prometheus(address) as prometheus:
            prometheus.until(lambda: (prometheus.number("sum(jirapool_calls_total)") or 0) > 300, 60, "no calls")
            seen, until = {}, time.monotonic() + 20
            while time.monotonic() < until:
                seen.update(prometheus.alerts())
                time.sleep(0.5)
            check(not seen, seen)
            # Nothing was to be seen, or nobody looked? Tokens were renewed, and the rules evaluated.
            check(prometheus.number("sum(jirapool_token_refreshes_total)") > 6, "no renewal")
            check(prometheus.number("job:jirapool_calls_failed:ratio_rate5m") == 0, "the rules are not evaluated, or calls failed")


@case("incidents: credentials that fail, end soon or lack a scope are named, and so are the sites in trouble")
def named():
    with Mock("--sites", "8", "--personal", "8", "--service", "8", "--oauth", "8", "--latency-ms", "5", "--quota-points", "1000000") as mock:
        all_of = json.loads(pathlib.Path(mock.connections).read_text())["connections"]
        personal = [c for c in all_of if "email" in c]
        service = [c for c in all_of if "apiKey" in c and "cloud_id" in c]
        oauth = [c for c in all_of if "clientSecret" in c]
        world = world_of(mock, {service[7]["id"]: in_days(3), oauth[7]["id"]: in_days(0.5), personal[7]["id"]: in_days(20)})
        with load_tool(mock, write("world.json", json.dumps(world))) as address, Prometheus(address) as prometheus:
            prometheus.until(lambda: (prometheus.number("sum(jirapool_calls_total)") or 0) > 300, 60, "no calls")
            for c in (personal[0], service[0], oauth[0], *personal[1:4], *service[1:3]):
                mock.admin("POST", f"/revoke?connection={c['id']}")
            mock.admin("POST", f"/scene?name=scope_mismatch&connection={service[4]['id']}&times=100000")
            site_down, limited, spent, crowded = (f"site-000{n}.atlassian.net" for n in (5, 6, 7, 8))
            mock.admin("POST", f"/scene?name=unavailable&site={site_down}&times=100000")
            mock.admin("POST", f"/limits?site={limited}&burst_scale=0.01")
            mock.admin("POST", f"/limits?site={spent}&quota_points=2000")
            mock.admin("POST", f"/limits?site={crowded}&burst_scale=0.4&foreign_load=0.8")
            expect(prometheus, {
                "JirapoolCredentialFails": {"connection": personal[0]["id"], "kind": "personal_api_token"},
                "JirapoolManyCredentialsFail": {"job": "jira"},
                "JirapoolConnectionMisconfigured": {"connection": service[4]["id"], "kind": "service_api_token", "cause": "lacks_scope"},
                "JirapoolCredentialExpires": {"connection": service[7]["id"]},
                "JirapoolCredentialExpiresWithinADay": {"connection": oauth[7]["id"]},
                "JirapoolSiteDown": {"site": site_down, "fault": "jira"},
                "JirapoolLimitsHoldCallsBack": {"site": limited},
                "JirapoolSiteQuotaRunsOut": {"site": spent},
                "JirapoolNeighbourEatsSite": {"site": crowded},
            })
            expect(prometheus, {"JirapoolCredentialFails": {"connection": service[0]["id"], "cause": "unauthorized"}})
            expect(prometheus, {"JirapoolCredentialFails": {"connection": oauth[0]["id"], "cause": "token_endpoint"}})
            # Whoever is well is named by none.
            well = {personal[5]["id"], service[5]["id"], oauth[5]["id"], personal[7]["id"]}
            blamed = {a.get("connection") for found in prometheus.alerts().values() for a in found}
            check(not blamed & well, blamed & well)


@case("incidents: channels that break, a token endpoint that fails, slow answers, errors and limits everywhere are told apart")
def whole():
    with Mock("--sites", "6", "--personal", "6", "--service", "6", "--oauth", "6", "--latency-ms", "5", "--token-lifetime", "15") as mock:
        # Over HTTP/2 a few channels carry all of it, and are never too few.
        with (load_tool(mock, mock.connections, "--rate", "200", "--timeout", "10", "--http", "1.1") as address,
              Prometheus(address) as prometheus):
            prometheus.until(lambda: (prometheus.number("sum(jirapool_calls_total)") or 0) > 300, 60, "no calls")
            check(not prometheus.alerts(), prometheus.alerts())
            mock.admin("POST", "/faults?close_rate=0.6")
            expect(prometheus, {"JirapoolDialStorm": {"job": "jira", "instance": address}})
            # What is named is said, and nothing in a text is left out.
            storm = prometheus.alerts()["JirapoolDialStorm"][0]
            check("end as broken" in storm["description"] or "end as peer_closed" in storm["description"], storm)
            mock.admin("POST", "/faults?close_rate=0&token_error_rate=1")
            expect(prometheus, {"JirapoolTokenEndpointDown": {"job": "jira"}, "JirapoolTokensAboutToExpire": {"job": "jira"}})
            check("It is reached, and answers with errors" in prometheus.alerts()["JirapoolTokenEndpointDown"][0]["description"], "the cause")
            mock.admin("POST", "/faults?token_error_rate=0&error_rate=1")
            expect(prometheus, {"JirapoolErrorBudgetBurnsFast": {"severity": "critical"}, "JirapoolErrorBudgetBurns": {"severity": "critical"},
                                "JirapoolErrorBudgetBurnsSlowly": {"severity": "warning"}})
            # 133 calls/s to the gateway that take 4 s each need more than its 256 channels.
            mock.admin("POST", "/faults?error_rate=0&latency_ms=4000")
            expect(prometheus, {"JirapoolPoolSaturated": {"instance": address}}, 90)
            mock.admin("POST", "/faults?latency_ms=5")
            # Only an OAuth credential is of an app that points are counted for.
            mock.admin("POST", f"/scene?name=limited_quota_global&connection={mock.first('clientSecret')}&seconds=15&times=3")
            expect(prometheus, {"JirapoolAppQuotaRunsOut": {"severity": "critical"}})
            # That quota is over all sites; of one at a site nothing was said.
            check(not prometheus.values("jirapool_site_quota_points"), "points of a site")
            mock.admin("POST", "/scene?name=limited_burst&seconds=60&times=300")
            expect(prometheus, {"JirapoolManySitesPaused": {"job": "jira"}})


@case("incidents: origins that cannot be reached are named, the gateway and the sites")
def cut():
    with Mock("--sites", "4", "--personal", "4", "--service", "4", "--oauth", "4", "--latency-ms", "5") as mock:
        with load_tool(mock, mock.connections, "--rate", "100", "--timeout", "2") as address, Prometheus(address) as prometheus:
            prometheus.until(lambda: (prometheus.number("sum(jirapool_calls_total)") or 0) > 300, 60, "no calls")
            mock.admin("POST", "/down")
            # They hold while no channel was opened for two minutes.
            expect(prometheus, {"JirapoolOriginDown": {"origin": "gateway", "instance": address}}, 180)
            expect(prometheus, {"JirapoolOriginDown": {"origin": "site", "instance": address}})


@case("incidents: more in trouble than have places is said")
def ceiling():
    with Mock("--sites", "10", "--personal", "150", "--service", "10", "--oauth", "10", "--latency-ms", "5") as mock:
        with load_tool(mock, mock.with_wrong_secrets("wrong.json"), "--warm-up", "3") as address, Prometheus(address) as prometheus:
            expect(prometheus, {"JirapoolSeriesCeilingReached": {"instance": address}})


@case("incidents: each alert has one")
def each():
    text = pathlib.Path(__file__).read_text()
    names = set(alert_rules())
    lost = {n for n in names if f'"{n}": {{' not in text} - PLAYED_ONLY
    check(not lost, lost)
    check(PLAYED_ONLY <= names, PLAYED_ONLY - names)


if __name__ == "__main__":
    sys.exit(main())
