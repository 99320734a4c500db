#!/usr/bin/env -S python3 -B
"""Whoever is sent to a file finds it: references in comments, documents and scripts name files that are in the tree.

A reference is a markdown link that is no address, or a word that ends like a source or document of ours (clock.cpp, wire/tls.cpp,
tests/run.sh). A link is taken from its document's folder. A word is right when a file's path ends with it, whole names at a time: so
`wire/tls.cpp` is pool/src/wire/tls.cpp, and the headers' `core/retry.hpp` is found too. In documents and comments words in backticks
that begin with one of our top folders (`core/src`) are references as well. A citation of core/doc/jira-cloud.md names a section that
it has.
"""

import posixpath
import re

from files import finish, project_files, read

CODE = (".cpp", ".hpp", ".inc")
SCRIPTS = (".py", ".sh", ".cmake", ".in", ".yml", "CMakeLists.txt", ".ci/run", "Makefile")
ALLOWED = "lint: allow"

COMMENT_OR_LITERAL = re.compile(
    r'R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|(?P<comment>//[^\n]*|/\*.*?\*/)|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', re.S)
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s)>\"'`]*")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# What a path may be part of: with a variable or a wildcard in it, nobody can say whether it is there.
WORD = re.compile(r"[\w./$*?{}<>@%+~…-]+")
VARIABLE = re.compile(r"[$*?{}<>@%~…]|NAME")
NAME = re.compile(r".*\w\.(?:cpp|hpp|inc|md|py|sh|cmake)$")
TICKED = re.compile(r"`([^`\n]+)`")
CITED = re.compile(r"jira-cloud\.md[\])(]*,?\s+(\d+(?:\.\d+)?)\b(?! [A-Z])")


class tree:
    def __init__(self, names, sections=()):
        self.files = set(names)
        self.folders = set()
        self.ends = set()
        for name in names:
            parts = name.split("/")
            self.ends.update("/".join(parts[i:]) for i in range(len(parts)))
            self.folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
        self.top = {f for f in self.folders if "/" not in f}
        self.sections = set(sections)

    def has(self, path):
        return path in self.files or path in self.folders or path in ("", ".")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def readable(name, text):
    """Of code its comments; lines stay where they are."""
    if not name.endswith(CODE):
        return text
    out, end = [], 0
    for match in COMMENT_OR_LITERAL.finditer(text):
        out.append(blank(text[end:match.start()]))
        out.append(match[0] if match["comment"] else blank(match[0]))
        end = match.end()
    return "".join(out) + blank(text[end:])


def broken(name, text, files):
    """(line, reference) for each reference in the file that leads nowhere."""
    folder = posixpath.dirname(name)
    is_document = name.endswith(".md")
    text = ADDRESS.sub(lambda m: blank(m[0]), readable(name, text))
    for number, line in enumerate(text.split("\n"), 1):
        if ALLOWED in line:
            continue
        if is_document:
            for link in LINK.findall(line):
                path = link.split("#")[0]
                if path and ":" not in path and not files.has(posixpath.normpath(posixpath.join(folder, path))):
                    yield number, link
            line = LINK.sub("]", line)
        for word in WORD.findall(line):
            word = word.rstrip(".-").removeprefix("./")
            if VARIABLE.search(word) or not NAME.match(word):
                continue
            beside = posixpath.normpath(posixpath.join(folder, word))
            if word.lstrip("./") not in files.ends and beside not in files.files:
                yield number, word
        if is_document or name.endswith(CODE):
            for word in TICKED.findall(line):
                word = word.rstrip("/")
                plain = re.fullmatch(r"[\w.-]+(?:/[\w.-]+)+", word)
                if plain and not NAME.match(word) and word.split("/")[0] in files.top and not files.has(word):
                    yield number, word
        if name.endswith(CODE) and re.search(r"(?<!core/doc/)jira-cloud\.md", line):
            yield number, "jira-cloud.md (cited as core/doc/jira-cloud.md, 3.1)"
        for section in CITED.findall(line):
            if section not in files.sections:
                yield number, "jira-cloud.md, " + section


def check_itself():
    """The rules find what they are for; else nothing below is worth anything."""
    files = tree(["core/doc/jira-cloud.md", "pool/README.md", "pool/src/wire/tls.cpp", "tests/run.sh"], ["3", "3.1"])
    for name, text, wanted in (
        ("pool/README.md", "`wire/tls.cpp`, [a](../core/doc/jira-cloud.md#x), `pool/src`, https://a.example/b.md", []),
        ("pool/README.md", "`wire/ssl.cpp`\n[a](doc/jira-cloud.md)\n`pool/lib`", [(1, "wire/ssl.cpp"), (2, "doc/jira-cloud.md"), (3, "pool/lib")]),
        ("pool/src/wire/tls.cpp", 'auto x = "no.cpp";  // as in tls.cpp', []),
        ("pool/src/wire/tls.cpp", "int x;\n// as in no.cpp\n/* or\n   s/tls.cpp */", [(2, "no.cpp"), (4, "s/tls.cpp")]),
        ("pool/src/wire/tls.cpp", "// core/doc/jira-cloud.md, 3.1\n// core/doc/jira-cloud.md, 3.7\n// jira-cloud.md 3.1",
         [(2, "jira-cloud.md, 3.7"), (3, "jira-cloud.md (cited as core/doc/jira-cloud.md, 3.1)")]),
        ("tests/run.sh", 'tests/run.sh "$scratch/x.cpp" build/*.cpp\ntests/walk.sh', [(2, "tests/walk.sh")]),
    ):
        found = list(broken(name, text, files))
        if found != wanted:
            raise SystemExit(f"references: FAILED: the check itself: {text!r} gives {found}, not {wanted}")


check_itself()
names = project_files()
facts = read("core/doc/jira-cloud.md")
files = tree(names, re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", facts, re.M))
looked_at = [n for n in names if n.endswith(CODE + SCRIPTS + (".md",)) and not n.endswith("check_references.py")]
findings = [f"{name}:{line}: {what}: not in the tree" for name in looked_at for line, what in broken(name, read(name), files)]
finish("references", findings, f"{len(looked_at)} files")
