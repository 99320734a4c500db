#!/usr/bin/env bash
# Shows the library at work, from a bare Debian 12 or 13: builds it, starts our mock of Jira Cloud and drives 300 connections
# through the library against it, 2,000 calls/s for 20 s: tools/demo.sh [jirapool-load arguments], which hold over the demo's own
# As root or with sudo, from any directory. Ctrl-C ends it early, with the summary. The status is jirapool-load's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/install_dependencies.sh build
scratch=$(mktemp -d)
mock=
# shellcheck disable=SC2317
clean_up() {
    if [ -n "$mock" ]; then
        kill "$mock" 2>/dev/null || true
        for _ in $(seq 20); do
            kill -0 "$mock" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$mock" 2>/dev/null || true
        wait "$mock" 2>/dev/null || true
    fi
    rm -rf "$scratch"
}
trap clean_up EXIT

# Without the tests when it is the first to configure: they need packages that a demo does not.
if [ ! -f build/release/build.ninja ]; then
    if ! cmake --preset release -DJIRAPOOL_BUILD_TESTS=OFF >"$scratch/configure.log" 2>&1; then
        cat "$scratch/configure.log" >&2
        exit 1
    fi
fi
cmake --build --preset release -j "$(tools/scripts/jobs.sh)" --target jirapool-load jirapool-mock jirapool

# Each job in a process group of its own: Ctrl-C is ours, and the mock goes on answering while the load tool comes to its end.
set -m
build/release/tools/mock/jirapool-mock --port 0 --admin-port 0 --sites 150 --personal 100 --service 100 --oauth 100 \
    --token-lifetime 6 --latency-ms 20 --write-ca "$scratch/ca.pem" --write-connections "$scratch/connections.json" \
    --ready-file "$scratch/ready.json" >"$scratch/mock.log" 2>&1 &
mock=$!
for _ in $(seq 100); do
    [ ! -s "$scratch/ready.json" ] || break
    kill -0 "$mock" 2>/dev/null || break
    sleep 0.1
done
port=$(sed -n 's/.*"port" *: *\([0-9]*\).*/\1/p' "$scratch/ready.json" 2>/dev/null || true)
admin_port=$(sed -n 's/.*"admin_port" *: *\([0-9]*\).*/\1/p' "$scratch/ready.json" 2>/dev/null || true)
if [ -z "$port" ] || [ -z "$admin_port" ]; then
    echo "demo: the mock did not start" >&2
    cat "$scratch/mock.log" >&2
    exit 1
fi

build/release/tools/load/jirapool-load "$scratch/connections.json" --rate "${RATE:-2000}" --duration "${DURATION:-20}" \
    --connect-to "127.0.0.1:$port" --ca "$scratch/ca.pem" --metrics 127.0.0.1:0 --mock-stats "127.0.0.1:$admin_port" "$@" &
load=$!
trap 'kill -INT "$load" 2>/dev/null || true' INT
trap 'kill -TERM "$load" 2>/dev/null || true' TERM HUP
status=0
# A trapped signal ends a wait before the load tool ends.
while :; do
    status=0
    wait "$load" || status=$?
    kill -0 "$load" 2>/dev/null || break
done
exit "$status"
