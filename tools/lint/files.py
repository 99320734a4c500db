#!/usr/bin/env -S python3 -B
"""The project's own files, without what is built: tools/lint/files.py [--null] [SUFFIX...]; also a module of the checks."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def project_files(*suffixes):
    """Paths relative to ROOT, sorted: what git tracks or would track; without git, all but build and hidden folders."""
    try:
        out = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True).stdout.decode()
        names = set(filter(None, out.split("\0")))
    except (OSError, subprocess.CalledProcessError):
        names = set()
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f not in ("build", ".git", ".cache")]
            names.update(os.path.relpath(os.path.join(folder, f), ROOT) for f in files)
    return sorted(n for n in names if (not suffixes or n.endswith(suffixes)) and (ROOT / n).is_file())


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def without_comments(source):
    """C++ without its comments and with empty literals; line numbers stay."""
    pattern = re.compile(
        r'R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![\w])\'(?:\\.|[^\'\\\n])+\'',
        re.DOTALL)

    def blank(match):
        text = match.group(0)
        keep = '""' if text[0] in 'R"' else "' '" if text[0] == "'" else " "
        return keep + "\n" * text.count("\n")

    return pattern.sub(blank, source)


def finish(check, findings, seen):
    for finding in findings:
        print(finding)
    print(f"{check}: FAILED: {len(findings)} findings" if findings else f"{check}: {seen}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    end = "\n"
    if arguments[:1] == ["--null"]:
        arguments.pop(0)
        end = "\0"
    for name in project_files(*arguments):
        sys.stdout.write(name + end)
