#!/bin/sh
# Runs one shell test in a folder of its own, which is removed afterwards.
set -eu
TMP=$(mktemp -d)
export TMP
trap 'rm -rf "$TMP"' EXIT
XDG_CACHE_HOME=$TMP/cache
export XDG_CACHE_HOME
cd "$TMP"
sh -eu "$1"
