#!/usr/bin/env -S python3 -B
"""Time and chance come in from outside: clocks are read, and the system's randomness is asked, in the files named here only."""

import re

from files import finish, project_files, read, without_comments

# The programs measure real time and the tests wait for it; what decides and what carries out must not.
CHECKED = ("core/", "pool/", "metrics/", "tools/mock/")

CLOCK_FILES = {"metrics/src/scrape_server.cpp", "pool/src/wait/clock.cpp", "pool/src/wait/clock.hpp", "tools/mock/src/clock.hpp"}
CLOCKS = re.compile(
    r"::\s*now\s*\(|\b(?:clock_gettime|gettimeofday|timespec_get|sleep_for|sleep_until|usleep|nanosleep)\s*\("
    r"|(?<![\w.>:])(?:std\s*::\s*)?time\s*\(\s*(?:nullptr|NULL|0|&)")

# One generator per shard and per webhook of events is seeded from the system (pool), and the mock's keys are made from it.
RANDOM_FILES = {"pool/src/engine/engine.cpp", "pool/src/engine/shard.cpp", "pool/src/events/event_webhook.cpp"}
RANDOM = re.compile(r"\bstd\s*::\s*random_device\b|(?<![\w.>:])(?:std\s*::\s*)?s?rand\s*\(\s*\)")

findings = []
names = [n for n in project_files(".cpp", ".hpp") if n.startswith(CHECKED)]
for name in names:
    code = without_comments(read(name))
    for pattern, allowed, what in ((CLOCKS, CLOCK_FILES, "a clock"), (RANDOM, RANDOM_FILES, "the system's randomness")):
        if name in allowed:
            continue
        for match in pattern.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            findings.append(f"{name}:{line}: {match[0].strip()}: {what} outside {', '.join(sorted(allowed))}")
finish("clock", findings, f"{len(names)} files")
