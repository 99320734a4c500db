#!/usr/bin/env bash
# Installs a build, moves the prefix and builds programs against it there, by find_package and by pkg-config:
# tests/consumer/run.sh BUILD_DIR
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$source/../.." && pwd)
build=$(cd "${1:?usage: tests/consumer/run.sh BUILD_DIR}" && pwd)

scratch=$(mktemp -d)
running=
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; rm -rf "$scratch"' EXIT
log=$scratch/log
quietly() { "$@" >"$log" 2>&1 || { cat "$log"; echo "consumer: FAILED: $*"; exit 1; }; }
refused() { if "$@" >"$log" 2>&1; then cat "$log"; echo "consumer: FAILED: should not work: $*"; exit 1; fi; }
# The last command's output has these words, whatever its lines are broken at.
says() { tr -s ' \n' ' ' <"$log" | grep -qF -- "$*" || { cat "$log"; echo "consumer: FAILED: it does not say: $*"; exit 1; }; }
# Starts a program that goes on, and waits for what it says or writes first.
start() {
    local file=$1
    shift
    rm -f "$file"
    "$@" >"$log" 2>&1 &
    running=$!
    for _ in $(seq 100); do
        [ ! -s "$file" ] || return 0
        sleep 0.1
    done
    cat "$log"
    echo "consumer: FAILED: says nothing: $*"
    exit 1
}
stop() {
    kill "$running"
    wait "$running" || { cat "$log"; echo "consumer: FAILED: did not end well"; exit 1; }
    running=
}
configure() { cmake -G Ninja -S "$source" -B "$scratch/$1" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" "${@:2}"; }

quietly cmake --install "$build" --prefix "$scratch/first"
prefix=$scratch/moved/here
mkdir -p "${prefix%/*}"
mv "$scratch/first" "$prefix"
if grep -rlIF -e "$root" -e "$scratch" "$prefix" --include='*.cmake' --include='*.pc'; then
    echo "consumer: FAILED: the files above name this machine's paths"
    exit 1
fi

for tool in "$prefix"/bin/*; do
    [ -s "$prefix/share/man/man1/${tool##*/}.1" ] || { echo "consumer: FAILED: no man page of ${tool##*/}"; exit 1; }
done

quietly configure all
quietly cmake --build "$scratch/all"
quietly "$scratch/all/consumer_core"
quietly "$scratch/all/consumer_metrics"
echo "consumer: find_package with core, pool, metrics"

# The examples. embed, callbacks and files would call Jira: they are only built.
start "$log" "$scratch/all/example_metrics" 127.0.0.1:0
address=$(sed -n 's|^metrics at http://\([^/]*\)/metrics$|\1|p' "$log")
exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
scrape=$(cat <&3)
exec 3<&-
grep -q '^jirapool_connections{kind="service_oauth"} 0' <<<"$scrape" || { echo "consumer: FAILED: no metrics"; exit 1; }
stop
says "ended"
echo "consumer: examples built, metrics scraped"

# faults: D3 a program with its own compiled Asio links, whichever parts of it are its own.
quietly cmake --build "$scratch/all" --target consumer_own_asio_1 consumer_own_asio_2 consumer_own_asio_3 consumer_no_deprecated
echo "consumer: programs that compile Asio themselves"

# faults: E6 the mock, when the build has it.
if [ -e "$prefix/include/jirapool/mock/server.hpp" ]; then
    quietly configure mock -DCONSUMER_COMPONENTS=mock
    quietly cmake --build "$scratch/mock" --target consumer_mock
    quietly "$scratch/mock/consumer_mock"
    says "listens: 1"
    echo "consumer: find_package with mock"
    quietly configure with_mock "-DCONSUMER_COMPONENTS=core;pool;mock"
    quietly cmake --build "$scratch/with_mock" --target example_test_with_mock
    quietly "$scratch/with_mock/example_test_with_mock"
    echo "consumer: an example of a service's own test"
fi
if [ -x "$prefix/bin/jirapool-mock" ]; then
    start_mock() {
        start "$scratch/ready.json" "$prefix/bin/jirapool-mock" --port 0 --admin-port 0 --sites 2 --personal 1 --service 1 --oauth 1 \
            --write-ca "$scratch/ca.pem" --write-connections "$scratch/connections.json" --ready-file "$scratch/ready.json"
        port=$(sed -n 's/.*"port": *\([0-9]*\).*/\1/p' "$scratch/ready.json")
    }
    ask_who() { log=$scratch/who "$1" "$scratch/all/example_own_authority" "$scratch/connections.json" "$2" 127.0.0.1 "$port"; }
    start_mock
    ask_who quietly "$scratch/ca.pem"
    stop
    # The authority is new with each start.
    cp "$scratch/ca.pem" "$scratch/old.pem"
    start_mock
    ask_who refused "$scratch/old.pem"
    stop
    log=$scratch/who says certificate_refused
    echo "consumer: an example with an authority of its own, against jirapool-mock"
fi

# Who asks for core only needs neither OpenSSL nor prometheus-cpp; who asks for pool needs no prometheus-cpp.
quietly configure core -DCONSUMER_COMPONENTS=core \
    -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON -DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON
quietly cmake --build "$scratch/core"
quietly "$scratch/core/consumer_core"
quietly configure pool "-DCONSUMER_COMPONENTS=core;pool" -DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON
# faults: D10 a component that there is not is refused with the reason.
refused configure none -DCONSUMER_COMPONENTS=nonsense
says "jirapool has no component nonsense: there are core, pool, metrics and mock."
echo "consumer: find_package with core alone, with pool alone; an unknown component is refused"

# faults: D10 core and pool are built without prometheus-cpp, and a build that wants it says how to do without.
bare() { cmake -G Ninja -S "$root" -B "$scratch/bare" -DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON "$@"; }
refused bare
says "-DJIRAPOOL_BUILD_METRICS=OFF builds core and pool without it"
refused bare -DJIRAPOOL_BUILD_METRICS=OFF -DJIRAPOOL_BUILD_TOOLS=ON
says "need JIRAPOOL_BUILD_METRICS"
rm -rf "$scratch/bare"
quietly bare -DJIRAPOOL_BUILD_METRICS=OFF
quietly cmake --build "$scratch/bare" --target help
if grep -qE 'prometheus|jirapool_metrics' "$log"; then
    echo "consumer: FAILED: a build without metrics has some"
    exit 1
fi
# Of an installed package without metrics it is said, too. The files of the two that are there are those of any build.
cp -r "$prefix" "$scratch/without"
rm "$(find "$scratch/without" -name jirapool-metrics.cmake)"  # lint: allow (CMake makes it)
prefix=$scratch/without refused configure without -DCONSUMER_COMPONENTS=metrics
says "This jirapool was built without its component metrics"
echo "consumer: without prometheus-cpp"

quietly configure subdirectory -DCONSUMER_SOURCE="$root"
quietly cmake --build "$scratch/subdirectory" --target consumer_core
quietly "$scratch/subdirectory/consumer_core"
echo "consumer: add_subdirectory"

export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name jirapool-core.pc)")
compile() {
    local package=$1 file=$2
    # shellcheck disable=SC2046
    quietly c++ -std=c++20 -o "$scratch/$package" "$source/$file" $(pkg-config --cflags --libs "$package")
    [ "$package" = jirapool-pool ] || quietly "$scratch/$package"
}
compile jirapool-core main.cpp
compile jirapool-pool examples/embed.cpp
compile jirapool-metrics metrics.cpp
echo "consumer: pkg-config with core, pool, metrics"

# faults: F4 the tools have Debian's hardening, when they are optimised.
case $(sed -n 's/^CMAKE_BUILD_TYPE:[A-Z]*=//p' "$build/CMakeCache.txt") in
    Release | RelWithDebInfo | MinSizeRel)
        for tool in "$prefix"/bin/*; do
            quietly readelf -hdlsW "$tool"
            for part in 'Type: DYN' 'FLAGS.*NOW' GNU_RELRO __stack_chk_fail '__[a-z]*_chk@'; do
                grep -qE -- "$part" <(tr -s ' ' <"$log") || { echo "consumer: FAILED: ${tool##*/} lacks $part"; exit 1; }
            done
        done
        echo "consumer: the tools are hardened"
        ;;
esac
