#!/usr/bin/env bash
# Installs a build, moves the prefix and builds programs against it there, by find_package and by pkg-config:
# tests/consumer/run.sh BUILD_DIR
set -euo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$source/../.." && pwd)
build=$(cd "${1:?usage: tests/consumer/run.sh BUILD_DIR}" && pwd)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
quietly() { "$@" >"$log" 2>&1 || { cat "$log"; echo "consumer: FAILED: $*"; exit 1; }; }
refused() { if "$@" >"$log" 2>&1; then cat "$log"; echo "consumer: FAILED: should not work: $*"; exit 1; fi; }
configure() { cmake -G Ninja -S "$source" -B "$scratch/$1" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" "${@:2}"; }

quietly cmake --install "$build" --prefix "$scratch/first"
prefix=$scratch/moved/here
mkdir -p "${prefix%/*}"
mv "$scratch/first" "$prefix"
if grep -rlIF -e "$root" -e "$scratch" "$prefix" --include='*.cmake' --include='*.pc'; then
    echo "consumer: FAILED: the files above name this machine's paths"
    exit 1
fi

quietly configure all
quietly cmake --build "$scratch/all"
# The pool's program is the README's example, which would call Jira: it is only built.
quietly "$scratch/all/consumer_core"
quietly "$scratch/all/consumer_metrics"
echo "consumer: find_package with core, pool, metrics"

# Who asks for core only needs neither OpenSSL nor prometheus-cpp; who asks for pool needs no prometheus-cpp.
quietly configure core -DCONSUMER_COMPONENTS=core \
    -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON -DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON
quietly cmake --build "$scratch/core"
quietly "$scratch/core/consumer_core"
quietly configure pool "-DCONSUMER_COMPONENTS=core;pool" -DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON
refused configure none -DCONSUMER_COMPONENTS=nonsense
echo "consumer: find_package with core alone, with pool alone; an unknown component is refused"

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
compile jirapool-pool embed.cpp
compile jirapool-metrics metrics.cpp
echo "consumer: pkg-config with core, pool, metrics"
