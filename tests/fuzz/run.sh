#!/usr/bin/env bash
# Fuzzes each target for so many seconds with clang 19: tests/fuzz/run.sh SECONDS [TARGET...]
# A line per target: "name executions seconds inputs verdict". What was found new goes to build/fuzz/found/TARGET; an input that breaks
# something is left in build/fuzz/broken: put it into tests/fuzz/corpus with its fix. The status is 1 when there is one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
seconds=${1:-30}
shift || true
targets=("$@")
[ $# -gt 0 ] || for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done

tools/install_dependencies.sh build lint
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset fuzz && cmake --build --preset fuzz -j "$(tools/scripts/jobs.sh)" --target "${targets[@]/#/fuzz_}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    exit 2
fi
status=0
mkdir -p build/fuzz/broken
for target in "${targets[@]}"; do
    found=build/fuzz/found/$target
    mkdir -p "$found"
    verdict=holds
    build/fuzz/tests/fuzz/fuzz_"$target" "$found" "tests/fuzz/corpus/$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -artifact_prefix="build/fuzz/broken/$target-" >"$log" 2>&1 ||
        verdict=BROKEN status=1
    executions=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    printf '%-20s %12s executions %6s s %6s inputs  %s\n' "$target" "${executions:-0}" "$seconds" \
        "$(find "$found" -type f | wc -l)" "$verdict"
    [ "$verdict" = holds ] || tail -n 40 "$log" >&2
done
exit "$status"
