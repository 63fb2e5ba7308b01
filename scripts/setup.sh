#!/bin/sh
# Installs what building and testing need, by Debian's package names. Asks the network only when something is missing.
set -eu

packages="gcc libc6-dev make cmake ninja-build pkg-config flex bison llvm-19-dev libsleef-dev libzip-dev zlib1g-dev libjansson-dev \
gnuplot-nox clang-19 locales jq"

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
        echo "setup: run as root, or install sudo: packages are missing:$missing" >&2
        exit 1
    fi
    run=sudo
fi

echo "setup: installing$missing"
# Old package lists may lack a version or a package: refresh them when installing from them fails.
install() { $run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; }
if ! install >/dev/null 2>&1; then
    $run apt-get update
    if [ -z "$(apt-cache policy llvm-19-dev | grep 'Candidate: 1:19' || true)" ]; then
        echo "setup: llvm-19-dev is not in this machine's package lists; it is part of Debian 12.6 and later" >&2
        exit 1
    fi
    install
fi
