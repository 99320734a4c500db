#!/usr/bin/env python3
"""Writes core/src/route_table.inc, the table that classify_route walks.

    generate_routes.py swagger-v3.v3.json[.xz]           writes the table from Atlassian's OpenAPI document
    generate_routes.py                                   writes it again from the templates that it already holds
    generate_routes.py --check [swagger-v3.v3.json.xz]   writes nothing; exits 1 when the checked-in table is stale

The document is published at https://developer.atlassian.com/cloud/jira/platform/swagger-v3.v3.json. Without it, --check
still catches a table edited by hand and a script changed without regenerating.
"""

import argparse
import hashlib
import json
import lzma
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).resolve().parents[2] / "core" / "src" / "route_table.inc"

# The order of a node's columns in the table. HEAD has none: it counts with GET.
METHODS = ["get", "post", "put", "patch", "delete"]

# Requests per second, https://developer.atlassian.com/cloud/jira/platform/rate-limiting/ (12 Aug 2026).
# PATCH is not listed there; as slow as the other writes of a whole thing.
DEFAULT_RATE = {"get": 100, "post": 100, "put": 50, "patch": 50, "delete": 50}
RATES = {
    "GET /rest/api/{version}/issue/{issueIdOrKey}": 150,
    "GET /rest/api/{version}/issue/{issueIdOrKey}/changelog": 200,
    "GET /rest/api/{version}/attachment/content/{id}": 300,
    "GET /rest/api/{version}/attachment/thumbnail/{id}": 200,
    "GET /rest/api/{version}/user": 150,
    "GET /rest/api/{version}/user/email": 200,
    "GET /rest/api/{version}/group/by-id": 400,
    "POST /rest/api/{version}/search/approximate-count": 150,
    "POST /gira/{version}": 150,
    "DELETE /rest/devinfo/{version}/repository/{repositoryId}": 200,
    "GET /rest/api/{version}/project/{projectIdOrKey}/role/{id}": 200,
    "GET /rest/api/{version}/component": 200,
    "PUT /rest/api/{version}/component/{id}": 500,
    "GET /rest/api/{version}/issuetype/{issueTypeId}/properties": 200,
    "GET /rest/api/{version}/issuetype/{issueTypeId}/properties/{propertyKey}": 300,
    "GET /rest/api/{version}/issuesecurityschemes/{id}": 200,
    "POST /rest/api/{version}/permissionscheme/{schemeId}/permission": 100,
    "POST /rest/api/{version}/expression/evaluate": 150,
    "GET /rest/servicedeskapi/servicedesk/{serviceDeskId}/customer": 5,
    "DELETE /rest/builds/{version}/bulkByProperties": 100,
}

# POSTs that change nothing, each judged by its description in the document: they take a list of ids, a query or a draft
# in the body and answer with what they found. May be sent twice.
READS_ONLY = """
/rest/api/{version}/app/field/context/configuration/list
/rest/api/{version}/changelog/bulkfetch
/rest/api/{version}/comment/list
/rest/api/{version}/expression/analyse
/rest/api/{version}/expression/eval
/rest/api/{version}/expression/evaluate
/rest/api/{version}/field/{fieldId}/context/mapping
/rest/api/{version}/issue/bulkfetch
/rest/api/{version}/issue/watching
/rest/api/{version}/issue/{issueIdOrKey}/changelog/list
/rest/api/{version}/jql/autocompletedata
/rest/api/{version}/jql/function/computation/search
/rest/api/{version}/jql/match
/rest/api/{version}/jql/parse
/rest/api/{version}/jql/pdcleaner
/rest/api/{version}/jql/sanitize
/rest/api/{version}/permissions/check
/rest/api/{version}/permissions/project
/rest/api/{version}/priorityscheme/mappings
/rest/api/{version}/search
/rest/api/{version}/search/approximate-count
/rest/api/{version}/search/jql
/rest/api/{version}/workflow/history
/rest/api/{version}/workflow/history/list
/rest/api/{version}/workflows
/rest/api/{version}/workflows/create/validation
/rest/api/{version}/workflows/preview
/rest/api/{version}/workflows/update/validation
/rest/api/{version}/workflowscheme/read
/rest/api/{version}/workflowscheme/update/mappings
/rest/api/{version}/worklog/list
/rest/atlassian-connect/1/migration/workflow/rule/search
/rest/internal/api/latest/worklog/bulk
""".split()

# POSTs that share the limit of five at a time per tenant. The document gives it for edit, move, transition and delete;
# watch and unwatch are submitted to the same queue, so they are counted as well.
BULK = """
/rest/api/{version}/bulk/issues/delete
/rest/api/{version}/bulk/issues/fields
/rest/api/{version}/bulk/issues/move
/rest/api/{version}/bulk/issues/transition
/rest/api/{version}/bulk/issues/unwatch
/rest/api/{version}/bulk/issues/watch
""".split()

# PUTs that may act twice when sent twice: the issue's has `update` verbs (add, remove), the others add to a list or
# submit a job although they are PUTs.
REPEAT_UNSAFE_PUT = """
/rest/api/{version}/issue/{issueIdOrKey}
/rest/api/{version}/issues/archive/export
/rest/api/{version}/issuesecurityschemes/{schemeId}/level
/rest/api/{version}/issuesecurityschemes/{schemeId}/level/{levelId}/member
/rest/api/{version}/notificationscheme/{id}/notification
""".split()

# Below an issue, but no write to it: the mail queue's.
NOT_AN_ISSUE_WRITE = ["POST /rest/api/{version}/issue/{issueIdOrKey}/notify"]

# A template names an issue where one of these segments is followed by one of these parameters.
ISSUE_PARENTS = {"issue", "request"}
ISSUE_PARAMETERS = {"{issueIdOrKey}", "{issueId}"}

# A template's version segment that stands for these and no others. Other {version} parameters match anything.
VERSIONS = {("rest", "api", "{version}"): ["2", "3", "latest"]}
# A literal that has a second spelling.
ALIASES = {
    ("rest", "agile", "1.0"): ["latest"],
    ("rest", "webhooks", "1.0"): ["latest"],
}

# Paths outside the document.
EXTRA = """
/_edge/tenant_info                                                              get
/gira/{version}                                                                 post

# Listed by the burst table, not by the document.
/rest/api/{version}/group/by-id                                                 get

# Admin webhooks.
/rest/webhooks/1.0/webhook                                                      get post
/rest/webhooks/1.0/webhook/{id}                                                 get put delete

# Jira Software: https://developer.atlassian.com/cloud/jira/software/rest/
/rest/agile/1.0/backlog/issue                                                   post
/rest/agile/1.0/backlog/{boardId}/issue                                         post
/rest/agile/1.0/board                                                           get post
/rest/agile/1.0/board/filter/{filterId}                                         get
/rest/agile/1.0/board/{boardId}                                                 get delete
/rest/agile/1.0/board/{boardId}/backlog                                         get
/rest/agile/1.0/board/{boardId}/configuration                                   get
/rest/agile/1.0/board/{boardId}/epic                                            get
/rest/agile/1.0/board/{boardId}/epic/none/issue                                 get
/rest/agile/1.0/board/{boardId}/epic/{epicId}/issue                             get
/rest/agile/1.0/board/{boardId}/features                                        get put
/rest/agile/1.0/board/{boardId}/issue                                           get post
/rest/agile/1.0/board/{boardId}/project                                         get
/rest/agile/1.0/board/{boardId}/project/full                                    get
/rest/agile/1.0/board/{boardId}/properties                                      get
/rest/agile/1.0/board/{boardId}/properties/{propertyKey}                        get put delete
/rest/agile/1.0/board/{boardId}/quickfilter                                     get
/rest/agile/1.0/board/{boardId}/quickfilter/{quickFilterId}                     get
/rest/agile/1.0/board/{boardId}/reports                                         get
/rest/agile/1.0/board/{boardId}/sprint                                          get
/rest/agile/1.0/board/{boardId}/sprint/{sprintId}/issue                         get
/rest/agile/1.0/board/{boardId}/version                                         get
/rest/agile/1.0/epic/none/issue                                                 get post
/rest/agile/1.0/epic/{epicIdOrKey}                                              get post
/rest/agile/1.0/epic/{epicIdOrKey}/issue                                        get post
/rest/agile/1.0/epic/{epicIdOrKey}/rank                                         put
/rest/agile/1.0/issue/rank                                                      put
/rest/agile/1.0/issue/{issueIdOrKey}                                            get
/rest/agile/1.0/issue/{issueIdOrKey}/estimation                                 get put
/rest/agile/1.0/sprint                                                          post
/rest/agile/1.0/sprint/{sprintId}                                               get post put delete
/rest/agile/1.0/sprint/{sprintId}/issue                                         get post
/rest/agile/1.0/sprint/{sprintId}/properties                                    get
/rest/agile/1.0/sprint/{sprintId}/properties/{propertyKey}                      get put delete
/rest/agile/1.0/sprint/{sprintId}/swap                                          post
/rest/builds/{version}/bulk                                                     post
/rest/builds/{version}/bulkByProperties                                         delete
/rest/builds/{version}/pipelines/{pipelineId}/builds/{buildNumber}              get delete
/rest/deployments/{version}/bulk                                                post
/rest/deployments/{version}/bulkByProperties                                    delete
/rest/devinfo/{version}/bulk                                                    post
/rest/devinfo/{version}/bulkByProperties                                        delete
/rest/devinfo/{version}/existsByProperties                                      get
/rest/devinfo/{version}/repository/{repositoryId}                               get delete
/rest/devinfo/{version}/repository/{repositoryId}/{entityType}/{entityId}       delete

# Jira Service Management: https://developer.atlassian.com/cloud/jira/service-desk/rest/
/rest/servicedeskapi/customer                                                   post
/rest/servicedeskapi/info                                                       get
/rest/servicedeskapi/knowledgebase/article                                      get
/rest/servicedeskapi/organization                                               get post
/rest/servicedeskapi/organization/{organizationId}                              get delete
/rest/servicedeskapi/organization/{organizationId}/property                     get
/rest/servicedeskapi/organization/{organizationId}/property/{propertyKey}       get put delete
/rest/servicedeskapi/organization/{organizationId}/user                         get post delete
/rest/servicedeskapi/request                                                    get post
/rest/servicedeskapi/request/{issueIdOrKey}                                     get
/rest/servicedeskapi/request/{issueIdOrKey}/approval                            get
/rest/servicedeskapi/request/{issueIdOrKey}/approval/{approvalId}               get post
/rest/servicedeskapi/request/{issueIdOrKey}/attachment                          get post
/rest/servicedeskapi/request/{issueIdOrKey}/comment                             get post
/rest/servicedeskapi/request/{issueIdOrKey}/comment/{commentId}                 get
/rest/servicedeskapi/request/{issueIdOrKey}/comment/{commentId}/attachment      get
/rest/servicedeskapi/request/{issueIdOrKey}/feedback                            get post delete
/rest/servicedeskapi/request/{issueIdOrKey}/notification                        get put delete
/rest/servicedeskapi/request/{issueIdOrKey}/participant                         get post delete
/rest/servicedeskapi/request/{issueIdOrKey}/sla                                 get
/rest/servicedeskapi/request/{issueIdOrKey}/sla/{slaMetricId}                   get
/rest/servicedeskapi/request/{issueIdOrKey}/status                              get
/rest/servicedeskapi/request/{issueIdOrKey}/transition                          get post
/rest/servicedeskapi/requesttype                                                get
/rest/servicedeskapi/servicedesk                                                get
/rest/servicedeskapi/servicedesk/{serviceDeskId}                                get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/attachTemporaryFile            post
/rest/servicedeskapi/servicedesk/{serviceDeskId}/customer                       get post delete
/rest/servicedeskapi/servicedesk/{serviceDeskId}/knowledgebase/article          get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/organization                   get post delete
/rest/servicedeskapi/servicedesk/{serviceDeskId}/queue                          get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/queue/{queueId}                get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/queue/{queueId}/issue          get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/requesttype                    get post
/rest/servicedeskapi/servicedesk/{serviceDeskId}/requesttype/{requestTypeId}    get delete
/rest/servicedeskapi/servicedesk/{serviceDeskId}/requesttype/{requestTypeId}/field  get
/rest/servicedeskapi/servicedesk/{serviceDeskId}/requesttypegroup               get
"""

NONE = 0xFFFF


def name_of(method, path):
    return f"{method.upper()} {path}"


def segments_of(path):
    return path.strip("/").split("/")


def is_parameter(segment):
    return segment.startswith("{")


def extra_routes():
    for line in EXTRA.splitlines():
        if line and not line.startswith("#"):
            path, *methods = line.split()
            for method in methods:
                yield method, path


def routes_of_document(document):
    for path, operations in document["paths"].items():
        path = re.sub(r"^/rest/api/3(?=/|$)", "/rest/api/{version}", path)
        for method in operations:
            if method in METHODS:
                yield method, path


def routes_of_table(text):
    """What the document had said when the table was written."""
    extra = set(extra_routes())
    for verb, path in re.findall(r'^    \{"([A-Z]+) (/[^"]*)"', text, re.MULTILINE):
        if (verb.lower(), path) not in extra:
            yield verb.lower(), path


def issue_segment_of(path):
    """The index of the segment that names an issue, 0 for none (a template's first segment is never one)."""
    segments = segments_of(path)
    for i in range(1, len(segments)):
        if segments[i] in ISSUE_PARAMETERS and segments[i - 1] in ISSUE_PARENTS:
            return i
    return 0


class Route:
    def __init__(self, method, path):
        self.method, self.path, self.name = method, path, name_of(method, path)
        self.rate = RATES.get(self.name, DEFAULT_RATE[method])
        self.reads_only = method == "post" and path in READS_ONLY
        self.bulk = method == "post" and path in BULK
        self.issue_segment = issue_segment_of(path)
        self.writes_issue = (
            self.issue_segment > 0
            and method != "get"
            and not self.reads_only
            and self.name not in NOT_AN_ISSUE_WRITE
        )
        self.repeat_unsafe_put = method == "put" and path in REPEAT_UNSAFE_PUT


class Node:
    def __init__(self):
        self.literals = {}  # text -> Node; two spellings may lead to one node
        self.parameter = None
        self.routes = {}  # method -> index


def build_trie(routes):
    root = Node()
    for index, route in enumerate(routes):
        node, before = root, ()
        for segment in segments_of(route.path):
            before += (segment,)
            spellings = VERSIONS.get(before) or [segment] + ALIASES.get(before, [])
            if is_parameter(segment) and before not in VERSIONS:
                node.parameter = node.parameter or Node()
                node = node.parameter
            else:
                child = node.literals.get(spellings[0]) or Node()
                for spelling in spellings:
                    if node.literals.setdefault(spelling, child) is not child:
                        sys.exit(f"{route.path}: '{spelling}' is a segment of its own")
                node = child
        if route.method in node.routes:
            sys.exit(f"{route.name}: cannot be told from {routes[node.routes[route.method]].name}")
        node.routes[route.method] = index
    return root


def flatten(root):
    """Nodes in breadth-first order with their index."""
    order, index = [root], {id(root): 0}
    for node in order:
        children = [node.literals[t] for t in sorted(node.literals)]
        for child in children + ([node.parameter] if node.parameter else []):
            if id(child) not in index:
                index[id(child)] = len(order)
                order.append(child)
    return order, index


def number(value):
    return "none" if value is None else str(value)


def render(pairs, source):
    routes = [Route(m, p) for p, m in sorted({(p, m) for m, p in pairs}, key=lambda r: (r[0], METHODS.index(r[1])))]
    known = {r.name for r in routes}
    wanted = list(RATES) + NOT_AN_ISSUE_WRITE
    wanted += [name_of("post", p) for p in READS_ONLY + BULK] + [name_of("put", p) for p in REPEAT_UNSAFE_PUT]
    unknown = [n for n in wanted if n not in known]
    if unknown:
        sys.exit("no such route: " + ", ".join(unknown))
    depth = max(len(segments_of(r.path)) for r in routes)
    order, index = flatten(build_trie(routes))

    out = [
        "// Generated by tools/scripts/generate_routes.py; do not edit.",
        "// Source: https://developer.atlassian.com/cloud/jira/platform/swagger-v3.v3.json, and the script's own list.",
        f"// info.version: {source['version']}",
        f"// sha256: {source['sha256']}",
        "",
        "// Name, method, requests per second, reads_only, bulk, writes_issue, repeat_unsafe_put.",
        "constexpr route_info routes[] = {",
    ]
    for r in routes:
        flags = ", ".join(str(int(f)) for f in (r.reads_only, r.bulk, r.writes_issue, r.repeat_unsafe_put))
        method = "delete_" if r.method == "delete" else r.method
        out.append(f'    {{"{r.name}", method::{method}, {r.rate}, {flags}}},')
    for m in METHODS:
        method = "delete_" if m == "delete" else m
        out.append(f'    {{"{m.upper()} other", method::{method}, {DEFAULT_RATE[m]}, 0, 0, 0, 0}},')
    out += [
        "};",
        "",
        "// The first of the fallbacks, in the order of method_column.",
        f"constexpr route_id first_fallback = {len(routes)};",
        "",
        "// The most segments that a template has.",
        f"constexpr std::size_t max_segments = {depth};",
        "",
        "// By route: which segment names the issue, 0 for none.",
        "constexpr std::uint8_t issue_segment[] = {",
    ]
    columns = [str(r.issue_segment) for r in routes] + ["0"] * len(METHODS)
    for i in range(0, len(columns), 36):
        out.append("    " + ", ".join(columns[i : i + 36]) + ",")
    out += [
        "};",
        "",
        "// By node of the trie: first edge, number of edges, the parameter's node, the route of each method.",
        "constexpr node nodes[] = {",
    ]
    edges = []
    for node in order:
        # By length first: that is the cheapest comparison.
        texts = sorted(node.literals, key=lambda t: (len(t), t))
        columns = ", ".join(number(node.routes.get(m)) for m in METHODS)
        parameter = None if node.parameter is None else index[id(node.parameter)]
        out.append(f"    {{{len(edges)}, {len(texts)}, {number(parameter)}, {{{columns}}}}},")
        edges += [(t, index[id(node.literals[t])]) for t in texts]
    out += ["};", "", "// A literal segment and the node behind it; each node's by length, then text.",
            "constexpr edge edges[] = {"]
    out += [f'    {{"{text}", {child}}},' for text, child in edges]
    out += ["};", ""]
    if max(len(order), len(edges), len(routes) + len(METHODS)) >= NONE:
        sys.exit("the table's 16 bits are full")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", nargs="?", type=pathlib.Path, help="swagger-v3.v3.json, or the same with .xz")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when the table is stale")
    parser.add_argument("--output", type=pathlib.Path, default=TABLE)
    args = parser.parse_args()

    present = args.output.read_text(encoding="utf-8") if args.output.exists() else ""
    if args.document:
        raw = args.document.read_bytes()
        if args.document.suffix == ".xz":
            raw = lzma.decompress(raw)
        document = json.loads(raw)
        source = {"version": document["info"]["version"], "sha256": hashlib.sha256(raw).hexdigest()}
        pairs = list(routes_of_document(document))
    elif present:
        source = {k: re.search(rf"^// (?:info\.)?{k}: (.*)$", present, re.MULTILINE)[1] for k in ("version", "sha256")}
        pairs = list(routes_of_table(present))
    else:
        parser.error("there is no table yet: give the document")

    text = render(pairs + list(extra_routes()), source)
    if args.check:
        if text != present:
            print(f"{args.output}: stale; run tools/scripts/generate_routes.py", file=sys.stderr)
            return 1
        return 0
    if text != present:
        args.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
