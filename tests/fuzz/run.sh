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
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if ! { cmake --preset fuzz && cmake --build --preset fuzz -j "$(tools/scripts/jobs.sh)" --target "${targets[@]/#/fuzz_}"; } >"$scratch/build.log" 2>&1; then
    tail -n 30 "$scratch/build.log" >&2
    exit 2
fi
mkdir -p build/fuzz/broken
# Leaves a file in $scratch/broken when the target is.
fuzz_one() {
    local target=$1 found=build/fuzz/found/$1 log=$scratch/$1 verdict=holds executions
    mkdir -p "$found"
    build/fuzz/tests/fuzz/fuzz_"$target" "$found" "tests/fuzz/corpus/$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -artifact_prefix="build/fuzz/broken/$target-" >"$log" 2>&1 ||
        verdict=BROKEN
    executions=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    printf '%-20s %12s executions %6s s %6s inputs  %s\n' "$target" "${executions:-0}" "$seconds" \
        "$(find "$found" -type f | wc -l)" "$verdict"
    # For tests/figures.sh.
    [ -z "${JIRAPOOL_FIGURES:-}" ] ||
        printf '{"figure": "fuzz_%s_executions", "value": %s}\n' "$target" "${executions:-0}"
    [ "$verdict" = holds ] && return
    touch "$scratch/broken"
    tail -n 40 "$log" >&2
}
export -f fuzz_one
export scratch seconds
# shellcheck disable=SC2016
printf '%s\0' "${targets[@]}" | xargs -0 -P "$(tools/scripts/jobs.sh)" -n 1 bash -c 'fuzz_one "$1"' fuzz
[ ! -e "$scratch/broken" ]
