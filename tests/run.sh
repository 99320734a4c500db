#!/usr/bin/env bash
# All tests under AddressSanitizer and UndefinedBehaviorSanitizer, from a bare Debian 12 or 13: tests/run.sh [ctest arguments]
# As root or with sudo, from any directory; a second run only builds what changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/install_dependencies.sh build test
jobs=$(tools/scripts/jobs.sh)
export PATH=$PWD/build/programs:$PATH

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset dev -DJIRAPOOL_BUILD_TESTS=ON -DJIRAPOOL_BUILD_TOOLS=ON >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
cmake --build --preset dev -j "$jobs"

status=0
ctest --preset dev -j "$jobs" "$@" 2>&1 | tee "$log" || status=$?
summary=$(grep -E '^[0-9]+% tests passed' "$log" || echo "no tests were run")
if [ "$status" = 0 ]; then
    echo "tests/run.sh: passed: $summary (ASan, UBSan and LeakSanitizer; $(c++ --version | head -n 1); ${SECONDS} s)"
else
    echo "tests/run.sh: FAILED: $summary (${SECONDS} s)"
fi
exit "$status"
