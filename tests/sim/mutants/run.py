#!/usr/bin/env -S python3 -B
"""Puts each mistake listed beside this script into a copy of the tree, one at a time, and runs the tests that should see it.

    run.py [--check | --list] [--border] [--in BUILD --seconds N] [NAME...]

Without names: all of the decisions', or with --border of those of the border, which are built with ASan (tests/border). The status is 1 when a mutant survives, is no valid C++ any more, or no longer fits the code.

With --in the mistakes go into this very tree, which must be as it was committed, and are built in BUILD: CI has built it already. With --seconds as many as N seconds allow are tried, picked by chance.
"""

import argparse
import html
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tools/lint"))
from files import project_files  # noqa: E402

SCRATCH = ROOT / "build/mutants"
SOURCE = SCRATCH / "source"
BUILD = SCRATCH / "build"
BORDER = ROOT / "tests/border"

RELEASE = ["-DCMAKE_BUILD_TYPE=Release"]
SANITIZED = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_EXE_LINKER_FLAGS_DEBUG=-fsanitize=address,undefined",
             "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined "
             "-fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS"]

# Where a test binary's cases are, and how long all of them may take: several times what they do. A mutant may hang.
BINARIES = {"core_tests": ("tests/unit/core", 60), "pool_tests": ("tests/unit/pool", 60), "sim_tests": ("tests/sim", 300), "border_tests": ("tests/border", 900)}
# Random programs take longer, and a mutant is killed within 2,000 of them or survives.
CASE_TIMEOUT = {"border_tests": 900}

TEST_CASE = re.compile(r'\bTEST_CASE\s*\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)')


class mutant:
    def __init__(self, where, name):
        self.where = where
        self.name = name
        self.breaks = ""
        self.file = ""
        self.old = []
        self.new = []
        self.tests = []  # (binary, test case)

    def mutated(self, text):
        """None: does not fit exactly once."""
        old = "\n".join(self.old)
        if not old or text.count(old) != 1:
            return None
        return text.replace(old, "\n".join(self.new))


def read_mutants(folders):
    """Raises ValueError, naming the line."""
    mutants = []
    for path in sorted(p for folder in folders for p in folder.glob("*.mutants")):
        m = None
        for number, line in enumerate(path.read_text().split("\n"), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            test = re.fullmatch(r'(\w+) "(.*)"', line)
            if line.startswith("# ") or not line:
                continue
            if line.startswith("== "):
                m = mutant(where, line[3:])
                mutants.append(m)
            elif m is None:
                raise ValueError(f"{where}: before the first mutant's name")
            elif line[:2] in ("- ", "+ "):
                (m.old if line[0] == "-" else m.new).append(line[2:])
            elif test and test[1] in BINARIES:
                m.tests.append((test[1], test[2]))
            elif not m.breaks:
                m.breaks = line
            elif not m.file:
                m.file = line
            else:
                raise ValueError(f"{where}: neither code nor a test: {line}")
    return mutants


def check(mutants):
    """What does not fit: sentences."""
    findings = []
    cases = {}
    for binary, (folder, _) in BINARIES.items():
        text = "\n".join(p.read_text() for p in sorted((ROOT / folder).glob("*.cpp")))
        cases[binary] = {re.sub(r'"\s*"', "", m[1]).strip()[1:-1] for m in TEST_CASE.finditer(text)}
    names = set()
    for m in mutants:
        if m.name in names:
            findings.append(f"{m.where}: a second mutant {m.name}")
        names.add(m.name)
        path = ROOT / m.file
        if not (m.breaks and m.file and m.old and m.tests):
            findings.append(f"{m.where}: {m.name}: a sentence, a file, old text or a test is missing")
        elif not path.is_file():
            findings.append(f"{m.where}: {m.name}: no file {m.file}")
        else:
            mutated = m.mutated(path.read_text())
            if mutated is None:
                count = path.read_text().count("\n".join(m.old))
                findings.append(f"{m.where}: {m.name}: the old text occurs {count} times in {m.file}")
            elif m.old == m.new:
                findings.append(f"{m.where}: {m.name}: changes nothing")
        for binary, case in m.tests:
            if case not in cases[binary]:
                findings.append(f"{m.where}: {m.name}: {binary} has no test case \"{case}\"")
    return findings


def copy_tree():
    """Files that are the same keep their time, so that little is built in a second run."""
    names = project_files()
    for name in names:
        source, target = ROOT / name, SOURCE / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(source.stat().st_mode)
    wanted = set(names)
    for path in list(SOURCE.rglob("*")):
        if path.is_file() and str(path.relative_to(SOURCE)) not in wanted:
            path.unlink()


def run_quietly(*command):
    """Its output, when it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return None if done.returncode == 0 else done.stdout[-4000:]


def build(binaries):
    return run_quietly("cmake", "--build", str(BUILD), "-j2", "--target", *sorted(binaries))


def run_tests(binary, cases, timeout):
    """None when they pass; else what failed: the case it was in, and how it ended when it was no check of the test."""
    # In a test specification a comma separates, and brackets are tags.
    spec = ",".join('"' + re.sub(r'([,\[\]\\"])', r"\\\1", c) + '"' for c in cases)
    command = [str(BUILD / "tests" / binary), *([spec] if spec else []), "--abort", "--reporter", "xml"]
    log = SCRATCH / "tests.xml"
    how = ""
    with log.open("wb") as out:
        try:
            status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, timeout=timeout, cwd=SCRATCH).returncode
        except subprocess.TimeoutExpired:
            status, how = 1, " (still running after %d s)" % timeout
    text = log.read_text(errors="replace")
    begun = re.findall(r'<TestCase name="([^"]*)"', text)
    if status < 0 or "<FatalErrorCondition" in text:
        how = " (crashed)"
    if status == 0 and len(set(begun)) < len(set(cases)):
        sys.exit(f"{binary}: not all of these were run: {cases}")
    if status == 0:
        return None
    return f"{binary} \"{html.unescape(begun[-1]) if begun else '?'}\"{how}"


def killer(m):
    """What kills it; "" when nothing does; None with the compiler's words when it cannot be built."""
    binaries = sorted({b for b, _ in m.tests})
    error = build(binaries)
    if error:
        return None, error
    for binary in binaries:
        killed = run_tests(binary, [c for b, c in m.tests if b == binary], CASE_TIMEOUT.get(binary, 60))
        if killed:
            return killed, ""
    for binary in binaries:
        killed = binary != "border_tests" and run_tests(binary, [], BINARIES[binary][1])
        if killed:
            return killed + " (not the test that is named)", ""
    return "", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true", help="only whether each one still fits the code and the tests")
    parser.add_argument("--list", action="store_true", help="only their names and what they break")
    parser.add_argument("--border", action="store_true", help="those of the border, under ASan")
    parser.add_argument("--in", dest="build", metavar="BUILD", help="a build of this tree, which is changed for a moment")
    parser.add_argument("--seconds", type=float, help="none is begun later than that")
    arguments = parser.parse_args()
    folders = [HERE, BORDER] if arguments.check or arguments.list else [BORDER] if arguments.border else [HERE]
    try:
        mutants = read_mutants(folders)
    except ValueError as e:
        sys.exit(str(e))
    unknown = set(arguments.names) - {m.name for m in mutants}
    if unknown:
        parser.error("no such mutant: " + ", ".join(sorted(unknown)))
    if arguments.names:
        mutants = [m for m in mutants if m.name in arguments.names]
    if arguments.list:
        for m in mutants:
            print(f"{m.name:<40} {m.breaks}")
        return 0
    findings = check(mutants)
    for finding in findings:
        print(finding)
    if findings or arguments.check:
        print(f"mutants: FAILED: {len(findings)} findings" if findings else f"mutants: {len(mutants)} fit")
        return 1 if findings else 0

    global BUILD, SOURCE
    if arguments.build:
        if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, stdout=subprocess.PIPE).stdout:
            parser.error("--in changes this tree, and what is not committed could be lost")
        SOURCE, BUILD = ROOT, pathlib.Path(arguments.build).resolve()
    if arguments.border:
        BUILD = SCRATCH / "border"
        os.environ["JIRAPOOL_PROGRAMS"] = "2000"
    begun = time.monotonic()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    binaries = {b for m in mutants for b, _ in m.tests}
    error = None
    if not arguments.build:
        copy_tree()
        error = run_quietly("cmake", "-S", str(SOURCE), "-B", str(BUILD), "-G", "Ninja",
                            *(SANITIZED if arguments.border else RELEASE), "-DJIRAPOOL_BUILD_TESTS=ON")
    error = error or build(binaries)
    if error:
        sys.exit(f"the tree itself cannot be built:\n{error}")
    for binary in sorted(binaries):
        failed = binary != "border_tests" and run_tests(binary, [], BINARIES[binary][1]) or run_tests(
            binary, sorted({c for m in mutants for b, c in m.tests if b == binary}), BINARIES[binary][1])
        if failed:
            sys.exit(f"without any mutant {failed} fails: nothing would be shown")
    print(f"{'without any mutant':<40} passed {', '.join(sorted(binaries))} ({time.monotonic() - begun:.0f} s)", flush=True)

    killed = tried = 0
    if arguments.seconds:
        random.shuffle(mutants)
    last_start = time.monotonic() + (arguments.seconds or float("inf"))
    for m in mutants:
        started = time.monotonic()
        if started > last_start:
            break
        tried += 1
        target = SOURCE / m.file
        text = target.read_text()
        target.write_text(m.mutated(text))
        try:
            by, error = killer(m)
        finally:
            target.write_text(text)
        killed += bool(by)
        word = f"killed by {by}" if by else "SURVIVED" if error == "" else f"DOES NOT COMPILE\n{error}"
        print(f"{m.name:<40} {word} ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"mutants: {killed} of {tried} killed ({time.monotonic() - begun:.0f} s)")
    if os.environ.get("JIRAPOOL_FIGURES"):  # for tests/figures.sh
        prefix = "border_mutants" if arguments.border else "mutants"
        for name, value in (("count", tried), ("survived", tried - killed)):
            print(f'{{"figure": "{prefix}_{name}", "value": {value}}}')
    return 0 if killed == tried else 1


if __name__ == "__main__":
    sys.exit(main())
