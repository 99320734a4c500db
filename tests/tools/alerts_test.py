#!/usr/bin/env -S python3 -B
"""The rules and alerts for Prometheus: promtool's word on them, and what it does not look at.

tests/tools/alerts_test.py BUILD_DIR [NAME...]: runs all tests, or those of these names. Needs promtool and PyYAML.
"""

import re
import sys

import yaml

from support import case, check, main, run
from watched import README, ROOT, RULES, alert_rules, families, faults_of, recorded_rules, rules

TESTS = sorted((ROOT / "metrics/alerts/tests").glob("*.yml"))
# Go's templates carry queries as quoted texts.
TEMPLATE_QUERY = re.compile(r'printf\s+"((?:[^"\\]|\\.)*)"[^|}]*\|\s*query')


def queries_of(rule):
    texts = [t.replace('\\"', '"') for a in rule.get("annotations", {}).values() for t in TEMPLATE_QUERY.findall(a)]
    return [rule["expr"], *texts]


@case("alerts: promtool finds nothing to say about the rules")
def checked():
    r = run(["promtool", "check", "rules", *map(str, RULES)])
    check(r.returncode == 0 and not r.stderr, r.stdout, r.stderr)
    check("found" in r.stdout and "duplicate" not in r.stdout.lower(), r.stdout)


@case("alerts: promtool sees each fire where it should, with its words, and be quiet where it should")
def played():
    check(TESTS, "no tests")
    r = run(["promtool", "test", "rules", *map(str, TESTS)], timeout=200)
    check(r.returncode == 0, r.stdout, r.stderr)


@case("alerts: what a text lists has an order")
def ordered():
    # The samples of an aggregation come in another order each time. topk and bottomk order them by value.
    for name, rule in alert_rules().items():
        for text in rule["annotations"].values():
            for listed in re.findall(r"\{\{\s*range\s+([^}]*?)\s*\}\}", text):
                check("sortByLabel" in listed or re.search(r'"(topk|bottomk)\(', listed), name, listed)


@case("alerts: each has a case in which it fires and one in which it is quiet from beginning to end")
def both_cases():
    fires, quiet = set(), set()
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            of_this = {}
            for one in test["alert_rule_test"]:
                of_this.setdefault(one["alertname"], []).append(one["exp_alerts"])
                check(all("exp_annotations" in a for a in one["exp_alerts"]), file.name, test["name"], "words are not compared")
            fires.update(name for name, found in of_this.items() if any(found))
            quiet.update(name for name, found in of_this.items() if not any(found))
    names = set(alert_rules())
    check(names <= fires, "never fires", names - fires)
    check(names <= quiet, "never quiet", names - quiet)
    check(fires | quiet <= names, "not there", (fires | quiet) - names)


@case("alerts: each has a severity, texts that name what they are about, and a runbook with an answer to each question")
def runbooks():
    text = README.read_text()
    check("## Runbooks" in text, "no runbooks")
    parts = dict(re.findall(r"^### (Jirapool\w+)\n(.*?)(?=^##|\Z)", text[text.index("## Runbooks"):], re.MULTILINE | re.DOTALL))
    for name, rule in alert_rules().items():
        check(rule["labels"]["severity"] in ("critical", "warning"), name, rule["labels"])
        notes = rule["annotations"]
        check(set(notes) == {"summary", "description", "runbook_url"}, name, sorted(notes))
        check("{{" in notes["summary"], name, "the summary names nothing")
        check(notes["runbook_url"] == f"metrics/README.md#{name.lower()}", name, notes["runbook_url"])
        for question in ("Means:", "Whose fault:", "Look at:", "Do:"):
            check(f"*{question}*" in parts.get(name, ""), name, "the runbook does not say", question)
    check(set(parts) == set(alert_rules()), "runbooks of no alert", set(parts) - set(alert_rules()))


@case("alerts: rules and the README's queries ask for nothing that there is not")
def names():
    known = families()
    recorded = recorded_rules()
    wrong = []
    for rule in rules():
        for query in queries_of(rule):
            wrong += [f"{rule.get('alert', rule.get('record'))}: {f}" for f in faults_of(query, known, recorded)]
    text = README.read_text()
    asked = re.findall(r"`([^`\n]*jirapool[^`\n]*)` \|$", text[text.index("## What to ask"):], re.MULTILINE)
    check(len(asked) > 5, "the README's queries are not found")
    for query in asked:
        wrong += [f"README: {f}" for f in faults_of(query.replace("\\|", "|"), known, recorded)]
    check(not wrong, *wrong)


@case("alerts: the search for what there is not finds it")
def itself():
    known = families()
    for query, fault in (
            ('rate(jirapool_call_total[5m])', "jirapool_call_total: no such series"),
            ('jirapool_sites_bucket', "jirapool_sites_bucket: no such series"),
            ('jirapool_queue_length{queue="permits"}', "jirapool_queue_length: queue is never permits"),
            ('jirapool_queue_length{queue=~"permit|token"}', "jirapool_queue_length: queue is never token"),
            ('jirapool_queue_length{stage="dial"}', "jirapool_queue_length: has no label stage"),
            ('sum by (kid) (jirapool_connections)', "sum by (kid) (jirapool_connections): nothing has the label kid"),
            ('job:jirapool_x:rate5m > 1', "job:jirapool_x:rate5m: no such recording rule")):
        check(faults_of(query, known, set()) == [fault], query, faults_of(query, known, set()))
    check(faults_of('histogram_quantile(0.9, sum by (job, le) (rate(jirapool_dial_duration_seconds_bucket{stage="tls"}[5m])))', known, set()) == [],
          "a good query")
    in_template = TEMPLATE_QUERY.findall('{{ with printf "sum(jirapool_sites{job=%q,x=\\"y\\"})" $labels.job | query }}')
    check(in_template == ['sum(jirapool_sites{job=%q,x=\\"y\\"})'], in_template)


if __name__ == "__main__":
    sys.exit(main())
