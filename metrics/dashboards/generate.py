#!/usr/bin/env -S python3 -B
"""Writes jirapool.json, the Grafana dashboard: metrics/dashboards/generate.py. A test fails while the two differ.

A panel is a line or a few below: its title, what it tells and what to do about it, and its queries. `J` stands for the job that is
chosen, `R` for a range that fits the scrape interval.
"""

import json
import pathlib

OUTPUT = pathlib.Path(__file__).with_name("jirapool.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def expression(text):
    return text.replace("{J", '{job=~"$job"').replace("[R]", "[$__rate_interval]")


# What a name means has the same colour on every panel.
COLOURS = {"success": "green", "delivered": "green", "ok": "green", "server_error": "red", "permanent": "red", "refused": "gray", "timeout": "orange",
           "transient": "orange", "limited": "yellow", "credential": "purple", "wire": "blue", "objective": "red"}


def panel(kind, title, says, queries, width, height, unit, defaults=None, options=None, transformations=None):
    now = kind != "timeseries"
    targets = []
    for number, (legend, query) in enumerate(queries.items() if isinstance(queries, dict) else [("", queries)]):
        targets.append({"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expression(query), "legendFormat": legend,
                        **({"instant": True, "range": False} if now else {"range": True}),
                        **({"format": "table"} if kind == "table" else {})})
    made = {"type": kind, "title": title, "description": says, "datasource": SOURCE, "gridPos": {"w": width, "h": height},
            "targets": targets, "fieldConfig": {"defaults": {"unit": unit, **(defaults or {})}, "overrides": []}, "options": options or {}}
    if transformations:
        made["transformations"] = transformations
    return made


def stat(title, says, query, unit="short", steps=None, width=4):
    """One number. steps: from which value on it is a warning, and bad."""
    colours = [{"color": "green", "value": None}, *({"color": c, "value": v} for c, v in zip(("orange", "red"), steps or ()))]
    return panel("stat", title, says, query, width, 4, unit, {"thresholds": {"mode": "absolute", "steps": colours}, "noValue": "–"},
                 {"colorMode": "value", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"], "values": False}})


def lines(title, says, queries, unit="short", stacked=False, width=8, top=None, signed=False):
    custom = {"lineWidth": 2, "fillOpacity": 30 if stacked else 0, "showPoints": "never",
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    made = panel("timeseries", title, says, queries, width, 8, unit,
                 {"custom": custom, **({} if signed else {"min": 0}), **({"max": top} if top else {})},
                 {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}})
    if {"{{outcome}}", "{{class}}", "{{result}}", "objective"} & set(queries):
        made["fieldConfig"]["overrides"] = [
            {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
            for name, colour in COLOURS.items()]
    return made


def table(title, says, query, value, unit="short", width=12, ascending=False):
    """The labels of each series as columns, and its value under the name `value`."""
    return panel("table", title, says, query, width, 8, unit,
                 options={"showHeader": True, "sortBy": [{"displayName": value, "desc": not ascending}]},
                 transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": value}}}])


def quantiles(name, by, only="", which=("0.5", "0.99")):
    """The percentiles of a histogram: {legend: query}."""
    labels = "".join(f"{{{{{label}}}}} " for label in by)
    return {f"{labels}p{float(q) * 100:g}": f"histogram_quantile({q}, sum by ({', '.join([*by, 'le'])}) (rate({name}_bucket{{J{only}}}[R])))"
            for q in which}


FAILED = 'outcome=~"limited|server_error|timeout|token_endpoint|wire"'

ROWS = {
    "Overview": [
        stat("Calls", "Calls that ended, in a second.", "sum(rate(jirapool_calls_total{J}[R]))", "ops"),
        stat("Failed", "Calls that failed for a reason that is neither a caller's nor a credential's owner's. The objective is 0.1 %.",
             "max(job:jirapool_calls_failed:ratio_rate5m{J})", "percentunit", (0.001, 0.0144)),
        stat("99th percentile", "Of a call, with all its waits. See the row on stages for where it comes from.",
             "histogram_quantile(0.99, sum by (le) (rate(jirapool_call_duration_seconds_bucket{J}[R])))", "s"),
        stat("In flight", "Calls that have not ended yet.", "sum(jirapool_calls_in_flight{J})"),
        stat("Sites", "Behind all connections.", "sum(jirapool_sites{J})"),
        stat("Credentials refused", "Their owners must renew them: see the table of connections in trouble.",
             "sum(jirapool_credentials_refused{J})", steps=(1, 5)),
        lines("Calls by outcome", "What callers got. Anything but success that grows has a row of its own below.",
              {"{{outcome}}": "sum by (outcome) (rate(jirapool_calls_total{J}[R])) > 0"}, "ops", stacked=True),
        lines("Calls by kind and class", "Which credentials are used, and for what.",
              {"{{kind}} {{route_class}}": "sum by (kind, route_class) (rate(jirapool_calls_total{J}[R])) > 0"}, "ops", stacked=True),
        lines("Time of a call", "With all its waits and exchanges. Background calls may wait for interactive ones.",
              quantiles("jirapool_call_duration_seconds", ["priority"]), "s"),
        lines("Failed calls against the objective", "A budget burns too fast above 14.4 times the objective for an hour, 6 times for six hours.",
              {"5 minutes": "job:jirapool_calls_failed:ratio_rate5m{J}", "1 hour": "job:jirapool_calls_failed:ratio_rate1h{J}",
               "6 hours": "job:jirapool_calls_failed:ratio_rate6h{J}", "objective": "jirapool:error_budget:ratio"}, "percentunit"),
        lines("Calls by priority", "When something is short, interactive calls go first: background ones fail or wait before them.",
              {"{{priority}} {{outcome}}": "sum by (priority, outcome) (rate(jirapool_calls_by_priority_total{J}[R])) > 0"}, "ops"),
        lines("Connections by kind", "As configured.", {"{{kind}}": "sum by (kind) (jirapool_connections{J})"}, stacked=True),
        lines("Connections changed", "By the program: added, removed, or replaced by one with another secret, account or option.",
              {"{{change}}": "sum by (change) (increase(jirapool_connection_changes_total{J}[R]))"}),
        lines("Events", "What the service's event listener was told, by kind.",
              {"{{kind}}": "sum by (kind) (rate(jirapool_events_total{J}[R])) > 0"}, "ops"),
        lines("Webhooks received", "Refused: not signed by the secret, or not readable. Repeated: known already.",
              {"{{result}}": "sum by (result) (rate(jirapool_webhook_deliveries_total{J}[R]))"}, "ops"),
        table("Instances", "Processes that are scraped, and their version.", "max by (job, instance, version) (jirapool_build_info{J})", "up", width=8),
    ],
    "Sites in trouble": [
        table("Connections in trouble", "Which, why, and for how long. jirapool check --live says in a sentence what each needs.",
              "time() - max by (connection, site, kind, condition, cause) (jirapool_connection_trouble_since_timestamp_seconds{J})",
              "for", "s", width=24),
        table("Failed calls by site and fault", "Per second, the worst first. Sites that are not in trouble are counted as other.",
              'topk(20, sum by (site, fault) (rate(jirapool_site_calls_total{J,site!="other",fault!="none"}[R])) > 0)', "calls/s", "ops"),
        table("Sites that are paused", "Nothing is sent to a paused scope until Jira's time is over.",
              "max by (site) (jirapool_site_paused_until_timestamp_seconds{J}) - time() > 0", "still", "s", width=6),
        table("Calls waiting by site", "For permits: more is asked for than the site lets through.",
              'topk(20, sum by (site) (jirapool_site_waiting_calls{J}) > 0)', "calls", width=6),
        lines("Connections that do not work", "limited is cured by time, all others by a person.",
              {"{{condition}}": 'sum by (condition) (jirapool_connection_conditions{J,condition!~"unknown|healthy"})'}, stacked=True),
        lines("Calls by site", "Of the sites that have series of their own.",
              {"{{site}}": "topk(10, sum by (site) (rate(jirapool_site_calls_total{J,site!=\"other\"}[R])))"}, "ops"),
        lines("Checks", "Whether connections work, by what came of it. They are no calls.",
              {"{{outcome}}": "sum by (outcome) (rate(jirapool_checks_total{J}[R]))"}, "ops"),
        stat("Without a series", "In trouble, but beyond the ceiling: /sites and /connections have all of them.",
             "sum(jirapool_series_dropped{J})", steps=(1, 100), width=6),
        stat("Age of the survey", "The oldest shard's. These tables are as old.", "max(jirapool_survey_age_seconds{J})", "s", (10, 60), width=6),
    ],
    "Limits": [
        lines("Answers with 429, by limit", "burst: a route's rate. tenant_quota, global_quota: points. account_…: of one account.",
              {"{{reason}}": "sum by (reason) (rate(jirapool_answers_429_total{J}[R]))"}, "ops"),
        lines("Pauses, by scope and limit", "What is left alone after a 429, and why.",
              {"{{scope}} {{reason}}": "sum by (scope, reason) (rate(jirapool_ratelimit_pauses_total{J}[R])) > 0"}, "ops"),
        lines("Sites paused", "Sites of which something is paused.", {"paused": "sum(jirapool_ratelimit_paused_sites{J})"}),
        lines("Calls that wait for a permit", "Held back so that Jira need not refuse them.",
              {"waiting": 'sum(jirapool_queue_length{J,queue="permit"})'}),
        lines("Waits and warnings", "Waits for a permit, and answers in which Jira says that a limit is near.",
              {"waits": "sum(rate(jirapool_ratelimit_waits_total{J}[R]))", "near a limit": "sum(rate(jirapool_ratelimit_near_limit_total{J}[R]))"}, "ops"),
        lines("Refused for limits", "Past deadline: the pause lasts longer than the call may. Full: too many of a site wait already.",
              {"past deadline": "sum(rate(jirapool_ratelimit_past_deadline_total{J}[R]))",
               "queue full": 'sum(rate(jirapool_queue_rejections_total{J,queue="permit"}[R]))',
               "Retry-After unreadable": "sum(rate(jirapool_ratelimit_retry_after_unreadable_total{J}[R]))"}, "ops"),
        lines("Shadow mode: would have been refused", "Only where limits are watched and not kept.",
              {"refused": "sum(rate(jirapool_ratelimit_shadow_refusals_total{J}[R]))"}, "ops", width=12),
        lines("Shadow mode: would have waited", "The average of those calls that would have.",
              {"average": "sum(rate(jirapool_ratelimit_shadow_wait_seconds_sum{J}[R])) / (sum(rate(jirapool_ratelimit_shadow_wait_seconds_count{J}[R])) > 0)"
                          " or vector(0)"}, "s", width=12),
    ],
    "Quota and neighbours": [
        lines("Points of the app", "Over all sites, where Jira tells. They begin anew at each full UTC hour.",
              {"{{state}}": "sum by (state) (jirapool_app_quota_points{J})", "left at the hour's end": "job:jirapool_app_quota_points:left_at_hours_end{J}"},
              signed=True),
        lines("Points left by site", "The ten sites with the fewest, where Jira tells.",
              {"{{site}}": 'bottomk(10, min by (site) (jirapool_site_quota_points{J,state="left"}))'}),
        table("Points used by site", "Of this hour.", 'topk(20, max by (site) (jirapool_site_quota_points{J,state="used"}))', "points", width=8),
        lines("Points left at the hour's end", "As they are used now. Below 0: they will not last.",
              {"{{site}}": "bottomk(10, job_site:jirapool_site_quota_points:left_at_hours_end{J})"}, signed=True),
        lines("What neighbours take, by site", "Of the site's busiest route. Above a half the site's owner should know.",
              {"{{site}}": "topk(10, max by (site) (jirapool_site_neighbour_share_ratio{J}))"}, "percentunit", top=1),
        lines("What neighbours take, over all", "Of the buckets that calls of ours told of.",
              {"share": "sum(rate(jirapool_ratelimit_calls_of_others_total{J}[R])) / (sum(rate(jirapool_ratelimit_calls_of_others_total{J}[R]))"
                        " + sum(rate(jirapool_ratelimit_calls_of_ours_total{J}[R])))"}, "percentunit", top=1),
    ],
    "Tokens and credential calendar": [
        table("Credential calendar", "Whose credential ends next, by expires_at in the connections file.",
              "min by (connection) (jirapool_connection_expires_timestamp_seconds{J}) - time()", "ends in", "s", ascending=True),
        table("Credentials by the time they have left", "over: past their end.", "sum by (within) (jirapool_credentials_expiring{J})", "credentials", width=6),
        table("Refused by kind", "A person must renew them.", "sum by (kind) (jirapool_credentials_refused{J})", "credentials", width=6),
        lines("Exchanges for an access token", "transient: tried again. permanent: the secret is refused.",
              {"{{result}}": "sum by (result) (rate(jirapool_token_refreshes_total{J}[R]))"}, "ops"),
        lines("Time of an exchange", "Nobody waits for it while a token is held.", quantiles("jirapool_token_refresh_duration_seconds", []), "s"),
        lines("Tokens held", "stale: near their end, and their renewal has failed so far.",
              {"held": "sum(jirapool_tokens{J})", "stale": "sum(jirapool_tokens_stale{J})"}),
        lines("First token to expire", "How long calls go on while the token endpoint is down.",
              {"{{instance}}": "min by (instance) (jirapool_token_soonest_expiry_seconds{J})"}, "s"),
        lines("Oldest token", "Above nine tenths of a token's life its renewal has failed.",
              {"{{instance}}": "max by (instance) (jirapool_token_oldest_age_seconds{J})"}, "s"),
        lines("Waits for a token", "At the start they must be; later ones mean that renewal came too late.",
              {"all": "sum(rate(jirapool_token_waits_total{J}[R]))", "before the first token": "sum(rate(jirapool_token_waits_at_start_total{J}[R]))"}, "ops"),
        lines("Answers with 401", "late: for a token that was replaced already.",
              {"401": "sum(rate(jirapool_answers_401_total{J}[R]))", "late": "sum(rate(jirapool_token_late_rejections_total{J}[R]))"}, "ops"),
    ],
    "Pool": [
        lines("Channels", "Open TLS connections, by what they do.", {"{{state}}": "sum by (state) (jirapool_channels{J})"}, stacked=True),
        lines("Calls that wait for a channel", "The pool is too small, or Jira became slow.",
              {"waiting": 'sum(jirapool_queue_length{J,queue="channel"})',
               "the site has all it may": "sum(rate(jirapool_site_cap_waits_total{J}[R]))",
               "refused a second": 'sum(rate(jirapool_queue_rejections_total{J,queue="channel"}[R]))'}),
        table("Configured bounds", "Of the params, for comparison.", "max by (name) (jirapool_limit{J})", "bound", width=8),
        lines("Dials", "waiting: calls wait for it. replace: ahead of a channel's end.",
              {"{{origin}} {{purpose}}": "sum by (origin, purpose) (rate(jirapool_dials_total{J}[R])) > 0"}, "ops"),
        lines("Dials that failed", "resolve: DNS. connect: the network or a firewall. tls: trust, or a proxy.",
              {"{{origin}} {{stage}}": "sum by (origin, stage) (rate(jirapool_dial_failures_total{J}[R]))",
               "timed out": "sum(rate(jirapool_dial_timeouts_total{J}[R]))",
               "backoffs": "sum(rate(jirapool_dial_backoffs_total{J}[R]))"}, "ops"),
        lines("Time of a dial", "By step, 99th percentile.", quantiles("jirapool_dial_duration_seconds", ["stage"], which=("0.99",)), "s"),
        lines("Channels opened", "Resumed ones took a shorter handshake.",
              {"{{origin}}": "sum by (origin) (rate(jirapool_channels_opened_total{J}[R]))", "resumed": "sum(rate(jirapool_channels_resumed_total{J}[R]))"}, "ops"),
        lines("Channels closed", "idle_timeout, lifetime and keep_alive are good order.",
              {"{{reason}}": "sum by (reason) (rate(jirapool_channels_closed_total{J}[R]))"}, "ops", stacked=True),
        lines("Bytes", "Of requests before TLS, of answers after it.",
              {"sent": "sum(rate(jirapool_sent_bytes_total{J}[R]))", "received": "sum(rate(jirapool_received_bytes_total{J}[R]))"}, "Bps"),
    ],
    "Latency by stage": [
        lines("Where calls spend their time", "Seconds of calls in each stage, per second.",
              {"{{stage}}": "sum by (stage) (rate(jirapool_call_stage_duration_seconds_sum{J}[R]))"}, "s", stacked=True, width=12),
        lines("99th percentile by stage", "Of the calls that spent time there. first_byte is Jira; admit its limits; lease the pool; token the token endpoint.",
              quantiles("jirapool_call_stage_duration_seconds", ["stage"], which=("0.99",)), "s", width=12),
        lines("Median by stage", "Of the calls that spent time there.", quantiles("jirapool_call_stage_duration_seconds", ["stage"], which=("0.5",)), "s"),
        lines("Calls that ran out of time", "By the stage they were in.", {"{{stage}}": "sum by (stage) (rate(jirapool_timeouts_total{J}[R]))"}, "ops"),
        lines("Shards' lag", "How long a shard's work waits for its turn. Above half a second something blocks the thread.",
              {"{{instance}} {{shard}}": "max by (instance, shard) (jirapool_shard_lag_seconds{J})"}, "s"),
        lines("A shard's loop", "How long one round of a shard's work takes at the longest: callers' handlers are in it.",
              {"{{instance}} {{shard}}": "max by (instance, shard) (jirapool_shard_loop_seconds{J})"}, "s"),
    ],
    "Errors": [
        lines("Calls that failed", "Neither by their caller nor for a credential.",
              {"{{outcome}}": "sum by (outcome) (rate(jirapool_calls_total{J," + FAILED + "}[R]))"}, "ops", stacked=True),
        lines("Answers by what they mean", "delivered is what callers get; all others lead to something.",
              {"{{class}}": 'sum by (class) (rate(jirapool_answers_total{J,class!="delivered"}[R]))'}, "ops"),
        lines("Exchanges per call", "1 without resends.", {"exchanges": "sum(rate(jirapool_answers_total{J}[R])) / sum(rate(jirapool_calls_total{J}[R]))"}),
        lines("Resends by reason", "What was tried once more, and why.",
              {"{{reason}}": "sum by (reason) (rate(jirapool_resends_total{J}[R]))", "not made, over budget": "sum(rate(jirapool_resends_over_budget_total{J}[R]))"},
              "ops", width=12),
        lines("Retry budget left", "The least of any origin. At 0 nothing is resent there, so that an outage is not made worse.",
              {"{{instance}}": "min by (instance) (jirapool_retry_budget_left_ratio{J})"}, "percentunit", width=12, top=1),
    ],
}


def dashboard():
    panels, top = [], 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        top += 1
        x = height = 0
        for p in row:
            grid = p["gridPos"]
            if x + grid["w"] > 24:
                top, x, height = top + height, 0, 0
            grid.update(x=x, y=top)
            x, height = x + grid["w"], max(height, grid["h"])
            panels.append(p)
        top += height
    for number, p in enumerate(panels, 1):
        p["id"] = number
    variables = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0},
        {"name": "job", "label": "Job", "type": "query", "datasource": SOURCE, "query": "label_values(jirapool_build_info, job)",
         "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}, "hide": 0},
    ]
    return {"uid": "jirapool", "title": "jirapool", "tags": ["jirapool", "jira"], "schemaVersion": 38, "version": 1, "editable": True,
            "timezone": "utc", "refresh": "15s", "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
            "templating": {"list": variables}, "annotations": {"list": []}, "panels": panels}


def text():
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text())
