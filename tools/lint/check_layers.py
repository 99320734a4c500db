#!/usr/bin/env -S python3 -B
"""core <- pool <- metrics <- tools: tools/lint/check_layers.py [BUILD_DIR]

First by what each file of ours includes itself; then, given a Ninja build, by what the compiler really read for each object.
"""

import pathlib
import re
import subprocess
import sys

from files import finish, project_files, read, without_comments

SOURCES = (".cpp", ".hpp", ".inc", ".h")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)

# (files, includes, sentence): an include that matches breaks the rule.
THREADS = r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token"
SOCKETS = r"sys/(?:socket|epoll|poll|select)\.h|poll\.h|netdb\.h|netinet/.*|arpa/.*"
RULES = [
    (r"core/", r"boost/(?!system/|throw_exception\.hpp|config).*", "core uses no Boost but Boost.System"),
    (r"core/", r"openssl/.*|nghttp2/.*|prometheus/.*|fmt/.*|spdlog/.*|CLI/.*", "core uses std, Boost.System and simdjson"),
    (r"core/", rf"(?:{THREADS}|{SOCKETS})", "core has no threads and no sockets"),
    (r"core/", r"jirapool/(?!core/).*", "core includes no other layer"),
    (r"core/include/", r"simdjson.*", "simdjson stays private to core"),
    (r"pool/", r"jirapool/(?!core/|pool/).*", "pool includes core only"),
    (r"pool/", r"prometheus/.*", "only metrics names prometheus"),
    (r"pool/include/", r"simdjson.*|nghttp2/.*|openssl/.*|boost/beast.*|zlib\.h|brotli/.*|ares.*\.h", "pool's public headers show none of its parts"),
    (r"pool/src/wait/", r"(?:exchange|wire|engine|events|files|jira|registry)/.*", "pool's rooms: wait < exchange < wire < engine"),
    (r"pool/src/exchange/", r"(?:wire|engine|events|files|jira|registry)/.*", "pool's rooms: wait < exchange < wire < engine"),
    (r"pool/src/wire/", r"(?:engine|events|files|jira|registry)/.*", "pool's rooms: wait < exchange < wire < engine"),
    (r"pool/src/engine/", r"(?:events|files|jira|registry)/.*", "pool's rooms: the engine knows no files and no webhooks"),
    (r"pool/src/events/", r"(?:engine|files|jira|registry)/.*", "pool's rooms: what delivers events knows no engine"),
    (r"pool/src/files/", r"(?:wait|exchange|wire|engine|events|jira|registry)/.*", "pool's rooms: files use public headers only"),
    (r"pool/src/jira/", r"(?:wait|exchange|wire|engine|events|files|registry)/.*", "pool's rooms: webhooks use public headers only"),
    (r"pool/src/registry/", r"(?:exchange|wire|events|files|jira)/.*", "pool's rooms: the registry stands on engine and wait"),
    (r"pool/src/(?!wire/http2_)", r"nghttp2/.*", "only the http2 channel names nghttp2"),
    (r"tools/mock/(?!src/http2_session)", r"nghttp2/.*", "only the mock's HTTP/2 session names nghttp2"),
    (r"metrics/", r"jirapool/(?!core/|pool/|metrics/).*", "metrics includes pool and core"),
    (r"tools/mock/", r"jirapool/(?!mock/|tools/process\.hpp).*", "the mock shares no code with the library"),
    (r"tools/(?!mock/)|bench/peers/", r"prometheus/.*", "only metrics names prometheus"),
    (r"tools/(?:load|cli)/", r"jirapool/mock/.*", "the tools reach the mock over the network only"),
    (r"tests/unit/core/", r"boost/(?:asio|beast).*|jirapool/(?!core/).*", "core's tests are core's: no Asio"),
    (r"tests/unit/mock/", r"jirapool/(?!mock/).*", "the mock shares no code with the library"),
]
# Words, where an include is not the only way to lean on something.
WORDS = [
    (r"(?:core|pool)/(?:include|src)/", r"prometheus", "only metrics names prometheus"),
    (r"core/(?:include|src)/", r"asio", "core knows no Asio"),
]
# A quoted include must not reach into another component's private sources. tests do, on purpose.
PRIVATE = re.compile(r"(?:\.\./)+(?:core|pool|metrics|mock|load|cli)/")

# What the compiler may not have read for the objects of a target.
OBJECTS = [
    ("core/CMakeFiles/jirapool_core.dir/", r"/boost/(?:asio|beast)/|/openssl/|/prometheus/|/nghttp2/|/jirapool/(?:pool|metrics|mock)/"),
    ("tests/CMakeFiles/core_tests.dir/", r"/boost/(?:asio|beast)/|/openssl/|/prometheus/|/jirapool/(?:pool|metrics|mock)/"),
    ("pool/CMakeFiles/", r"/prometheus/|/jirapool/(?:metrics|mock)/"),
    ("metrics/CMakeFiles/", r"/jirapool/mock/|/pool/src/|/core/src/"),
    ("tools/mock/CMakeFiles/", r"/jirapool/(?:core|pool|metrics)/|/prometheus/"),
    ("tools/load/CMakeFiles/", r"/jirapool/mock/|/pool/src/|/core/src/|/metrics/src/"),
    ("tools/cli/CMakeFiles/", r"/jirapool/mock/|/pool/src/|/core/src/|/metrics/src/"),
]


INTERNAL = "/// @file @internal"


def check_includes(findings):
    names = project_files(*SOURCES)
    public = [n for n in names if re.match(r"(?:core|pool|metrics)/include/", n)]
    internal = {n.split("include/", 1)[1] for n in public if INTERNAL in read(n)}
    for name in names:
        source = read(name)
        for match in INCLUDE.finditer(source):
            line = source.count("\n", 0, match.start(2)) + 1
            for files, includes, sentence in RULES:
                if re.match(files, name) and re.fullmatch(includes, match[2]):
                    findings.append(f"{name}:{line}: {match[2]}: {sentence}")
            if name in public and name.split("include/", 1)[1] not in internal and match[2] in internal:
                findings.append(f"{name}:{line}: {match[2]}: headers for users include no internal ones")
            if match[1] == '"' and PRIVATE.match(match[2]) and not name.startswith("tests/"):
                findings.append(f"{name}:{line}: {match[2]}: another component's private file")
        code = INCLUDE.sub("", without_comments(source))
        for files, word, sentence in WORDS:
            if re.match(files, name):
                for match in re.finditer(rf"\b{word}\b", code):
                    findings.append(f"{name}:{code.count(chr(10), 0, match.start()) + 1}: {match[0]}: {sentence}")
    return len(names)


def check_objects(build, findings):
    out = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True, capture_output=True, text=True).stdout
    count = 0
    for block in out.split("\n\n"):
        lines = block.strip().split("\n")
        target = lines[0].split(":")[0]
        # Deps of files that the build no longer has stay in Ninja's log.
        if not (pathlib.Path(build) / target).exists():
            continue
        for prefix, forbidden in OBJECTS:
            if target.startswith(prefix):
                count += 1
                bad = [d.strip() for d in lines[1:] if re.search(forbidden, d)]
                if bad:
                    findings.append(f"{target}: the compiler read {bad[0]}" + (f" and {len(bad) - 1} more" if bad[1:] else ""))
    return count


findings = []
seen = f"{check_includes(findings)} files"
if len(sys.argv) > 1:
    seen += f", {check_objects(sys.argv[1], findings)} objects"
finish("layers", findings, seen)
