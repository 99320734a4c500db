"""What Prometheus is to be asked: the rules, the dashboard and the README's queries, and the series there are for them."""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "metrics/README.md"
RULES = [ROOT / "metrics/alerts/recording_rules.yml", ROOT / "metrics/alerts/alerts.yml"]
DASHBOARD = ROOT / "metrics/dashboards/jirapool.json"

ROW = re.compile(r"^\| `(jirapool_\w+)` \| (\w+) \| [^|]* \|([^|]*)\|", re.MULTILINE)
LABEL = re.compile(r"`(\w+)`(?:: ([^;`]*))?")
SELECTOR = re.compile(r"(?<![\w:])(jirapool_\w+)(?![\w:])\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"|(\w+)\s*=\s*%q')
GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")
RECORDED = re.compile(r"(?<![\w:])\w+:[\w:]+")


def families():
    """name -> (type, {label: values}), as the README's table has them, which a test compares with names.hpp."""
    text = README.read_text()
    found = {}
    for name, kind, labels in ROW.findall(text):
        found[name] = (kind, {n: {v.strip() for v in values.split(",") if v.strip()} for n, values in LABEL.findall(labels)})
    return found


def family_of(sample, known):
    """The family that a sample's name belongs to, or None."""
    if sample in known:
        return sample
    base = re.sub(r"_(?:bucket|sum|count)$", "", sample)
    return base if base in known and known[base][0] == "histogram" else None


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
