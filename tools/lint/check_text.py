#!/usr/bin/env -S python3 -B
"""What has no place in the tree: addresses of package registries, paths of one machine, talk about how the text came to be;
and test names that ctest cannot carry."""

import re

from files import finish, project_files, read

# Written so that no pattern matches itself.
TEXT = [
    (r"\b(?:deb|security|snapshot|ftp)[.]debian[.]org\b|\barchive[.]ubuntu[.]com\b|\bregistry[.]npm[j]s[.]org\b"
     r"|\b(?:[\w-]+[.])?pyp[i][.]org\b|\bpythonhos[t]ed[.]org\b|\bcrates[.]i[o]\b|\bproxy[.]gola[n]g[.]org\b"
     r"|\brepo1?[.]mave[n]\b|\brubyge[m]s[.]org\b", "a package registry's address"),
    (r"(?<![\w.$}/-])/(?:wor[k]|roo[t]|hom[e]/\w+)/|(?<![\w.$}/-])/tm[p]/[\w.-]+", "a path of one machine"),
    (r"(?i)\bclaud[e]\b|\banthropi[c]\b|\bchatgp[t]\b|\bcopilo[t]\b|\bllm[s]?\b|\blanguage[ ]model"
     r"|\bsub-?agent[s]?\b|\bAI[ -](?:agent|assistant|session)|\bco-authored-b[y]\b"
     r"|\b(?:this|earlier|previous|another|later|next)[ ](?:work[ ])?session\b(?![ ](?:ticket|cache|id))"
     r"|\b(?:my|your|system)[ ]prompt\b", "how the text came to be"),
]
# Tests make their files in the machine's folder for temporary ones.
TEMPORARY = re.compile(r"/tm[p]/")
# A line that is right all the same says so.
ALLOWED = "lint: allow"

TEST_NAME = re.compile(r'\b(?:TEST_CASE|SCENARIO|TEMPLATE_TEST_CASE)\s*\(\s*"((?:\\.|[^"\\])*)"')

findings = []
names = project_files()
seen_tests = {}
for name in names:
    text = read(name)
    if "\0" in text:
        continue
    for number, line in enumerate(text.split("\n"), 1):
        if ALLOWED in line:
            continue
        for pattern, what in TEXT:
            match = re.search(pattern, line)
            if match and not (name.startswith("tests/") and TEMPORARY.match(match[0])):
                findings.append(f"{name}:{number}: {match[0]}: {what}")
    if name.startswith("tests/") and name.endswith(".cpp"):
        folder = name.rsplit("/", 1)[0]
        for match in TEST_NAME.finditer(text):
            where = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
            if re.search(r"[;\[\]\\]", match[1]):
                findings.append(f"{where}: a test's name has one of ; [ ] \\ in it: {match[1]}")
            if match[1] != match[1].strip():
                findings.append(f"{where}: a test's name begins or ends with a space: {match[1]}")
            other = seen_tests.setdefault((folder, match[1]), where)
            if other != where:
                findings.append(f"{where}: {other} has the same name")
finish("text", findings, f"{len(names)} files, {len(seen_tests)} test names")
