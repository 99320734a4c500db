"""What Prometheus is to be asked: the rules, the dashboard and the README's queries, and the series there are for them."""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "metrics/README.md"
RULES = [ROOT / "metrics/alerts/recording_rules.yml", ROOT / "metrics/alerts/alerts.yml"]
DASHBOARD = ROOT / "metrics/dashboards/jirapool.json"

# Series, labels and values that are asked for before the library has them: must be empty in what is released.
PENDING = {
    "jirapool_connection_conditions": {"kind": set()},
    "jirapool_credentials_refused": {"kind": set()},
    "jirapool_credentials_expiring": {"within": {"30d", "7d", "1d", "over"}},
    "jirapool_calls_total": {"route_class": {"read", "search", "write", "bulk"}, "outcome": {"credential", "token_endpoint", "wire"}},
    "jirapool_calls_by_priority_total": {"priority": {"interactive", "background"}, "outcome": set()},
    "jirapool_call_duration_seconds": {"priority": {"interactive", "background"}},
    "jirapool_resends_total": {"reason": {"dial_failed"}},
    "jirapool_retry_budget_left_ratio": {},
    "jirapool_ratelimit_pauses_total": {"scope": {"none", "route", "issue", "bulk", "site", "site_quota", "app_quota", "account"}},
    "jirapool_ratelimit_paused_sites": {},
    "jirapool_ratelimit_calls_of_ours_total": {},
    "jirapool_app_quota_points": {"state": {"used", "left"}},
    "jirapool_tokens": {},
    "jirapool_token_soonest_expiry_seconds": {},
    "jirapool_tokens_stale": {},
    "jirapool_channels_opened_total": {"origin": {"site", "gateway", "token_endpoint"}},
    "jirapool_dials_total": {"origin": {"site", "gateway", "token_endpoint"}},
    "jirapool_dial_failures_total": {"origin": {"site", "gateway", "token_endpoint"}},
    "jirapool_dial_timeouts_total": {"origin": {"site", "gateway", "token_endpoint"}},
    "jirapool_webhook_deliveries_total": {"result": {"accepted", "repeated", "refused"}},
    "jirapool_events_total": {"kind": set()},
    "jirapool_shard_lag_seconds": {"shard": set()},
    "jirapool_survey_age_seconds": {},
    "jirapool_limit": {"name": set()},
    "jirapool_series_dropped": {},
    "jirapool_site_calls_total": {"site": set(), "fault": {"none", "caller", "limit", "credential", "network", "jira", "token_endpoint", "pool"}},
    "jirapool_site_waiting_calls": {"site": set()},
    "jirapool_site_paused_until_timestamp_seconds": {"site": set()},
    "jirapool_site_neighbour_share_ratio": {"site": set()},
    "jirapool_site_quota_points": {"site": set(), "state": {"used", "left"}},
    "jirapool_connection_trouble_since_timestamp_seconds": {"connection": set(), "site": set(), "kind": set(), "condition": set(), "cause": set()},
    "jirapool_connection_expires_timestamp_seconds": {"connection": set()},
}

ROW = re.compile(r"^\| `(jirapool_\w+)` \| (\w+) \| [^|]* \|([^|]*)\|", re.MULTILINE)
LABEL = re.compile(r"`(\w+)`(?:: ([^;`]*))?")
SELECTOR = re.compile(r"(?<![\w:])(jirapool_\w+)(?![\w:])\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"|(\w+)\s*=\s*%q')
GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
RECORDED = re.compile(r"(?<![\w:])\w+:[\w:]+")


def families(pending=None):
    """name -> (type, {label: values}), as the README's table has them, which a test compares with names.hpp."""
    text = README.read_text()
    found = {}
    for name, kind, labels in ROW.findall(text):
        found[name] = (kind, {n: {v.strip() for v in values.split(",") if v.strip()} for n, values in LABEL.findall(labels)})
    for name, labels in (PENDING if pending is None else pending).items():
        kind, known = found.get(name, (None, {}))
        found[name] = (kind, {n: known.get(n, set()) | labels.get(n, set()) for n in {*known, *labels}})
    return found


def family_of(sample, known):
    """The family that a sample's name belongs to, or None."""
    if sample in known:
        return sample
    base = re.sub(r"_(?:bucket|sum|count)$", "", sample)
    return base if base in known and known[base][0] in ("histogram", None) else None


def faults_of(query, known, recorded):
    """What a query asks for that there is not."""
    faults = []
    labels = {"job", "instance", "le"}
    for sample, matchers in SELECTOR.findall(query):
        family = family_of(sample, known)
        if family is None:
            faults.append(f"{sample}: no such series")
            continue
        labels.update(known[family][1])
        for label, operator, value, templated in MATCHER.findall(matchers):
            label = label or templated
            if label in ("job", "instance", "le"):
                continue
            if label not in known[family][1]:
                faults.append(f"{sample}: has no label {label}")
            elif known[family][1][label] and value and "$" not in value:
                faults += [f"{sample}: {label} is never {v}" for v in value.split("|") if v not in known[family][1][label]]
    for name in RECORDED.findall(re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)):
        if name not in recorded:
            faults.append(f"{name}: no such recording rule")
        else:
            # job_site:name:operation has the labels job and site.
            labels.update(part for part in name.split(":")[0].split("_"))
    for names in GROUPING.findall(query):
        faults += [f"{query}: nothing has the label {n}" for n in re.findall(r"\w+", names) if n not in labels]
    return faults


def is_pending(query, recorded):
    """Whether it asks for something that is promised, and not there yet. recorded: {name: expression}."""
    known = families({})
    return any(faults_of(e, known, recorded) for e in [query, *(recorded[r] for r in recorded if r in query)])


def families_of(query, known):
    return {family_of(sample, known) for sample, _ in SELECTOR.findall(query)}


def rules():
    """All rules, as they stand in the files."""
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def recorded_rules():
    """{name: expression}"""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def alert_rules():
    """{name: rule}"""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels():
    """The dashboard's panels with their row's title, rows that are folded too."""
    row = ""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        for p in panel.get("panels", []) if panel["type"] == "row" else [panel]:
            yield row, p
