#!/usr/bin/env bash
# clang-tidy 19 over our sources, as BUILD_DIR compiles them: tools/lint/tidy.sh BUILD_DIR [--by-turns | FILE...]
# With --by-turns only what the last 12 commits changed by more than four lines, and a twentieth of the rest, with each commit another.
# Files that are not reached within TIDY_SECONDS (2400) fail the run: nothing passes unread.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=${1:?usage: tools/lint/tidy.sh BUILD_DIR [FILE...]}
shift
seconds=${TIDY_SECONDS:-2400}
start=$SECONDS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

by_turns=
[ "${1:-}" != --by-turns ] || { by_turns=yes && shift; }
if [ $# -gt 0 ]; then
    printf '%s\0' "$@" >"$scratch/files"
else
    # The longest first, so that no core idles at the end. Not the sources that CMake makes to compile each header alone.
    python3 - "$build/compile_commands.json" $by_turns >"$scratch/files" <<'PYTHON'
import json, os, subprocess, sys
root = os.getcwd() + os.sep
files = {os.path.realpath(os.path.join(c["directory"], c["file"])) for c in json.load(open(sys.argv[1]))}
files = [f[len(root):] for f in files if f.startswith(root) and not f.startswith(root + "build" + os.sep)]
if len(sys.argv) > 2:
    def git(*words):
        return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.split()
    # A line or two are includes of a file that moved. In -z, a rename is two names behind an empty one.
    changed = set()
    words = iter(subprocess.run(["git", "log", "-n", "12", "-M", "--numstat", "-z", "--format="], check=True,
                                capture_output=True, text=True).stdout.split("\0"))
    for word in words:
        added, deleted, name = (word.strip("\n").split("\t") + ["", ""])[:3]
        if not deleted:
            continue
        if not name:
            next(words)
            name = next(words)
        if added != "-" and int(added) + int(deleted) > 4:
            changed.add(name)
    turn = int(git("rev-list", "--count", "HEAD")[0])
    files = [f for i, f in enumerate(sorted(files)) if f in changed or (i + turn) % 20 == 0]
heavy = ("pool/", "tools/", "tests/wire/", "tests/sim/", "tests/unit/pool/", "metrics/")
for f in sorted(files, key=lambda f: (not f.startswith(heavy), -os.path.getsize(f), f)):
    sys.stdout.write(f + "\0")
PYTHON
fi
count=$(tr -cd '\0' <"$scratch/files" | wc -c)

# With Asio's deprecated parts its functions return the error that they have put into their argument, and each call without a use
# for that would be a finding.
check_one() {
    if clang-tidy-19 -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option --extra-arg=-DBOOST_ASIO_NO_DEPRECATED "$1" >"$scratch/out.$$" 2>"$scratch/err.$$"; then
        echo "$1" >>"$scratch/passed"
    else
        echo "$1" >>"$scratch/failed"
        # On standard error are only counts, unless it could not run at all.
        { echo "--- $1"; cat "$scratch/out.$$"; grep -vE 'warnings? (generated|treated as errors?)|^Suppressed|^Use -header' "$scratch/err.$$"; } || true
    fi
    rm -f "$scratch/out.$$" "$scratch/err.$$"
}
export -f check_one
export build scratch
touch "$scratch/passed" "$scratch/failed"
# shellcheck disable=SC2016
timeout "$seconds" xargs -0 -r -P "$(tools/scripts/jobs.sh)" -n 1 bash -c 'check_one "$1"' tidy <"$scratch/files" || true

passed=$(wc -l <"$scratch/passed")
failed=$(wc -l <"$scratch/failed")
if [ "$failed" -gt 0 ] || [ "$passed" -lt "$count" ]; then
    echo "tidy: FAILED: $failed files with findings, $((count - passed - failed)) not reached in $seconds s, $passed passed"
    exit 1
fi
echo "tidy: $passed files, $((SECONDS - start)) s"
