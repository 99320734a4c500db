#!/usr/bin/env bash
# Shows the library at work, from a bare Debian 12 or 13: builds it, starts our mock of Jira Cloud and drives 300 connections
# through the library against it, 2,000 calls/s for 20 s: tools/demo.sh [--watch] [jirapool-load arguments], which hold over the demo's
# own. With --watch, for 10 minutes: beside it Prometheus with the rules of metrics/alerts, and a page that draws the dashboard.
# As root or with sudo, from any directory. Ctrl-C ends it early, with the summary. The status is jirapool-load's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

watch=
if [ "${1:-}" = --watch ]; then
    watch=yes
    shift
fi
tools/install_dependencies.sh build ${watch:+watch}
scratch=$(mktemp -d)
started=()
# shellcheck disable=SC2317
clean_up() {
    local process
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    for process in "${started[@]}"; do
        for _ in $(seq 20); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
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

# until_there NAME PROCESS LOG COMMAND...: waits until the command succeeds, ten seconds at most and not when the process is gone.
until_there() {
    local name=$1 process=$2 log=$3
    shift 3
    for _ in $(seq 100); do
        if "$@" 2>/dev/null; then return; fi
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    echo "demo: $name did not start" >&2
    cat "$log" >&2
    exit 1
}
# shellcheck disable=SC2317
listens() { (: <>"/dev/tcp/127.0.0.1/$1"); }

# Each job in a process group of its own: Ctrl-C is ours, and the mock goes on answering while the load tool comes to its end.
set -m
build/release/tools/mock/jirapool-mock --port 0 --admin-port 0 --sites 150 --personal 100 --service 100 --oauth 100 \
    --token-lifetime 6 --latency-ms 20 --write-ca "$scratch/ca.pem" --write-connections "$scratch/connections.json" \
    --ready-file "$scratch/ready.json" >"$scratch/mock.log" 2>&1 &
started+=($!)
until_there "the mock" $! "$scratch/mock.log" test -s "$scratch/ready.json"
port=$(sed -n 's/.*"port" *: *\([0-9]*\).*/\1/p' "$scratch/ready.json")
admin_port=$(sed -n 's/.*"admin_port" *: *\([0-9]*\).*/\1/p' "$scratch/ready.json")

metrics_port=0
if [ -n "$watch" ]; then
    # Neither tells which free port it took, so both are given one.
    read -r metrics_port prometheus_port < <(python3 -c '
import socket
both = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in both))')
    cat >"$scratch/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 5s}
rule_files: ["$PWD/metrics/alerts/recording_rules.yml", "$PWD/metrics/alerts/alerts.yml"]
scrape_configs: [{job_name: jira, static_configs: [{targets: ["127.0.0.1:$metrics_port"]}]}]
END
    PATH=$PWD/build/programs:$PATH prometheus --config.file "$scratch/prometheus.yml" --storage.tsdb.path "$scratch/prometheus" \
        --web.listen-address "127.0.0.1:$prometheus_port" >"$scratch/prometheus.log" 2>&1 &
    started+=($!)
    until_there "Prometheus" $! "$scratch/prometheus.log" listens "$prometheus_port"
    tools/watch/serve.py "http://127.0.0.1:$prometheus_port" --port "${PAGE_PORT:-0}" --ready-file "$scratch/page" 2>"$scratch/page.log" &
    started+=($!)
    until_there "the page" $! "$scratch/page.log" test -s "$scratch/page"
    cat <<END
demo: watch $(cat "$scratch/page")
demo: make trouble, and see who is named:
    curl -X POST 'http://127.0.0.1:$admin_port/revoke?connection=personal-0001'     # a credential is revoked
    curl -X POST 'http://127.0.0.1:$admin_port/scene?name=unavailable&site=site-0002.atlassian.net&times=5000'  # a site fails
    curl -X POST 'http://127.0.0.1:$admin_port/faults?latency_ms=400'               # Jira becomes slow
    curl -X POST 'http://127.0.0.1:$admin_port/down'                                # Jira is gone, until /up
END
fi

build/release/tools/load/jirapool-load "$scratch/connections.json" --rate "${RATE:-2000}" --duration "${DURATION:-$([ -n "$watch" ] && echo 600 || echo 20)}" \
    --connect-to "127.0.0.1:$port" --ca "$scratch/ca.pem" --metrics "127.0.0.1:$metrics_port" --mock-stats "127.0.0.1:$admin_port" "$@" &
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
