#!/usr/bin/env bash
# The wire tests under ThreadSanitizer, runtimes of four threads among them, those of the border by their names, and 500 random
# programs of a user: tests/tsan.sh [NAME...]
# With names only the wire tests in tests/wire/NAME_test.cpp are built and run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

tools/install_dependencies.sh build test
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset tsan -DJIRAPOOL_BUILD_TESTS=ON -DJIRAPOOL_BUILD_TOOLS=ON \
    -DJIRAPOOL_WIRE_TESTS="$(IFS='|' && echo "$*")" &&
    cmake --build --preset tsan -j "$(tools/scripts/jobs.sh)" --target wire_tests border_tests; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    exit 2
fi
status=0
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=0 exitcode=66"
build/tsan/tests/wire_tests >"$log" 2>&1 || status=$?
build/tsan/tests/border_tests 'border 1*,border 2*,border 3*,border 4*,border 5*,border 7*,border 8*,border 9*' >>"$log" 2>&1 || status=$?
JIRAPOOL_PROGRAMS=${JIRAPOOL_PROGRAMS:-500} build/tsan/tests/border_tests 'border: random*' >>"$log" 2>&1 || status=$?
reports=$(grep -c 'WARNING: ThreadSanitizer' "$log")
[ "$status" = 0 ] || tail -n 200 "$log" >&2
grep -E '^threads: |^programs: [0-9]+ run' "$log"
grep -E '^All tests passed|^test cases:' "$log"
# For tests/figures.sh.
[ -z "${JIRAPOOL_FIGURES:-}" ] || {
    grep '^{"figure"' "$log"
    printf '{"figure": "tsan_reports", "value": %s}\n' "$reports"
}
echo "tests/tsan.sh: $reports reports of ThreadSanitizer (${SECONDS} s)"
exit "$status"
