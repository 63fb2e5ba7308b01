#!/bin/sh
# Installs what building needs, by Debian's package names; `setup.sh test` also what `make test` needs beyond that, `setup.sh targets` what
# `make test-targets` needs (`setup.sh peers` what `make bench-peers` measures against): compilers for other machines, and QEMU to run what they make. Asks the network only when something is missing.
set -eu
cd "$(dirname "$0")/.."

packages="gcc libc6-dev make cmake ninja-build pkg-config flex bison llvm-19-dev libclang-19-dev libsleef-dev libzip-dev zlib1g-dev libjansson-dev protobuf-c-compiler libprotobuf-c-dev \
gnuplot-nox clang-19 locales jq"
size="about 1.5 GB"
test="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
case ${1:-build} in
build) ;;
test)
    packages="$packages $test"
    size="about 2.7 GB"
    ;;
targets)
    packages="$packages $test gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross \
gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross lld-19 wasi-libc libclang-rt-19-dev-wasm32 \
cppcheck valgrind libclang-rt-19-dev"
    command -v node >/dev/null || packages="$packages nodejs" # there are other ways to have it than Debian's
    size="about 3.5 GB"
    ;;
peers)
    packages="$packages libdnnl-dev libopenblas-serial-dev"
    size="about 1.7 GB"
    ;;
*)
    echo "usage: setup.sh [test|targets|peers]" >&2
    exit 2
    ;;
esac

missing=
for p in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: this script knows Debian only; please install:$missing" >&2
    exit 1
fi
run=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: packages are missing; as root: apt-get install$missing" >&2
        exit 1
    fi
    run=sudo
fi

log=build/setup.log
mkdir -p build
echo "setup: installing$missing (a minute or two, $size on disk in all; details in $log)"
apt() { $run env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1; }
: >"$log"
# Old package lists may lack a version or a package: refresh them when installing from them fails.
# shellcheck disable=SC2086
if ! apt install -y --no-install-recommends $missing; then
    apt update || echo "setup: the package lists could not be refreshed; trying with what is here" >&2
    if ! apt install -y --no-install-recommends $missing; then
        grep -E '^(E|W):' "$log" | tail -n 10 >&2 || true
        for p in $missing; do
            apt-cache show "$p" >/dev/null 2>&1 || echo "setup: $p is not in this system's package lists (Debian 12 with its updates has it)" >&2
        done
        echo "setup: apt-get failed; all it said is in $log" >&2
        exit 1
    fi
fi
