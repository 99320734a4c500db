#!/usr/bin/env bash
# All quick checks of the tree: tools/lint/run.sh [BUILD_DIR]. With a Ninja build also what the compiler read for each object.
# clang-tidy is apart: tools/lint/tidy.sh.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

status=0
tools/lint/check_layers.py "$@" || status=1
tools/lint/check_clock.py || status=1
tools/lint/check_text.py || status=1
tools/lint/check_readme.py || status=1
tools/lint/check_references.py || status=1
tests/sim/mutants/run.py --check || status=1
tools/lint/check_routes.sh || { echo "routes: FAILED"; status=1; }
tools/lint/format.sh || status=1
exit "$status"
