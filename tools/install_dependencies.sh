#!/usr/bin/env bash
# Installs what jirapool needs on Debian 12 or 13, by package name: tools/install_dependencies.sh [GROUP...]
#   build      the compiler and the libraries: what the library and its tools are made with   (build and test are the default)
#   test       what the tests use besides
#   watch      Prometheus, for tools/demo.sh --watch
#   lint       clang 19: clang++, clang-tidy, clang-format
#   bench      Google Benchmark, valgrind; nginx, nghttpd and h2load, which HTTP/2 is measured beside
#   servers    nginx, nghttpd, h2o and Node, which HTTP/2 is tried with
#   coverage   gcovr
# As root or through sudo. Does nothing, at once, when everything is there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
programs=$root/build/programs

# The packages prometheus, nginx and h2o would start servers on this machine, and Debian 12 has promtool only inside the first: the
# programs are taken out of there into build/programs, where the tests look first.
promtool_from=promtool
release=
# shellcheck disable=SC1091
[ -r /etc/os-release ] && release=$(. /etc/os-release && echo "${ID:-}-${VERSION_ID:-}")
case $release in
    debian-12) boost=libboost1.81-dev promtool_from=prometheus ;;
    debian-13) boost=libboost1.88-dev ;;
    *)
        if ! command -v apt-get >/dev/null; then
            echo "install_dependencies: made for Debian 12 and 13, and there is no apt-get here" >&2
            exit 1
        fi
        boost=$(apt-cache pkgnames libboost1. | grep -xE 'libboost1\.(8[1-9]|9[0-9])-dev' | sort -V | tail -n 1 || true)
        boost=${boost:-libboost-dev}
        ;;
esac

packages=()
programs_wanted=()
add() {
    local package
    for package in "$@"; do
        [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
    done
}
# A program that is taken out of its package.
package_of() { if [ "$1" = promtool ]; then echo prometheus; else echo "$1"; fi; }
add_program() { [[ " ${programs_wanted[*]-} " == *" $1 "* ]] || programs_wanted+=("$1"); }
[ $# -gt 0 ] || set -- build test
for group in "$@"; do
    case $group in
        build)
            # Boost.URL is a library of its own, in a package of the same version.
            add g++ cmake ninja-build ccache mold pkg-config git ca-certificates "$boost" "${boost/libboost/libboost-url}" libssl-dev libsimdjson-dev \
                prometheus-cpp-dev zlib1g-dev libbrotli-dev libc-ares-dev libnghttp2-dev libcli11-dev libfmt-dev
            ;;
        test)
            # spdlog: an example logs with it (tests/consumer). Chromium judges the page of demo.sh --watch.
            add catch2 curl openssl python3 python3-yaml git libspdlog-dev libprotobuf-dev protobuf-compiler chromium
            if [ "$promtool_from" = promtool ]; then add promtool; else add_program promtool; fi
            add_program prometheus
            ;;
        watch)
            add python3
            add_program prometheus
            ;;
        lint) add clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev python3 git ;;
        bench)
            add libbenchmark-dev valgrind nghttp2-client nghttp2-server
            add_program nginx
            ;;
        servers)
            # libyaml: h2o's, which comes without its package.
            add nghttp2-server nodejs libyaml-0-2
            add_program nginx
            add_program h2o
            ;;
        coverage) add gcovr ;;
        *)
            echo "install_dependencies: no group '$group' (there are build, test, watch, lint, bench, servers, coverage)" >&2
            exit 2
            ;;
    esac
done

# shellcheck disable=SC2016
have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | sed -n 's/ installed$//p' || true)
missing=()
for package in "${packages[@]}"; do
    grep -qxF -- "$package" <<<"$have" || missing+=("$package")
done
programs_missing=()
for program in "${programs_wanted[@]}"; do
    [ -x "$programs/$program" ] || command -v "$program" >/dev/null || programs_missing+=("$program")
done
if [ ${#missing[@]} = 0 ] && [ ${#programs_missing[@]} = 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install_dependencies: needs root or sudo, to install: ${missing[*]-} ${programs_missing[*]-}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
quietly() {
    local status=0
    "$@" >"$scratch/log" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        echo "install_dependencies: failed ($status): $*" >&2
        tail -n 30 "$scratch/log" >&2
    fi
    return "$status"
}
apt() {
    quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

apt update
if [ ${#missing[@]} -gt 0 ]; then
    echo "install_dependencies: installing ${missing[*]}"
    # --no-remove: rather stop than take away, say, another Boost that somebody uses.
    apt install -y --no-install-recommends --no-remove "${missing[@]}"
fi
if [ ${#programs_missing[@]} -gt 0 ]; then
    echo "install_dependencies: taking ${programs_missing[*]} out of packages"
    mkdir -p "$programs"
    for program in "${programs_missing[@]}"; do
        package=$scratch/$(package_of "$program")
        if [ ! -d "$package" ]; then
            mkdir "$package"
            cd "$package"
            quietly apt-get -o Acquire::Retries=3 download "$(package_of "$program")"
            dpkg-deb -x ./*.deb .
        fi
        install -m 755 "$package"/usr/*bin/"$program" "$programs/$program"
    done
fi
