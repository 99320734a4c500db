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
# The last command's output has these words, whatever its lines are broken at.
says() { tr -s ' \n' ' ' <"$log" | grep -qF -- "$*" || { cat "$log"; echo "consumer: FAILED: it does not say: $*"; exit 1; }; }
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
rm "$(find "$scratch/without" -name jirapool-metrics.cmake)"
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
compile jirapool-pool embed.cpp
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
