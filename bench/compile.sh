#!/bin/sh
# Cold compile time of every recurrent cell of std, forward and a training step: from the graph to kernels, the object cache empty.
# usage, from the source root: sh bench/compile.sh [RONDO]; the least of three runs, in ms, as rows of a table
set -eu
rondo=${1:-build/release/bin/rondo}
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
time_of() {
    for _ in 1 2 3; do
        rm -rf "$cache/rondo"
        XDG_CACHE_HOME=$cache "$rondo" bench tests/models/cells.rondo --model "$1" --set H=64 --batch "${4:-32}" --steps "$3" --mode "$2" --time 1 |
            sed -n 's/.*compile *\([0-9.]*\) ms.*/\1/p'
    done | sort -g | head -n 1
}
echo "| cell | forward, T = 100 | train, T = 100 | train, B = 1, T = 10,000 |"
echo "|---|---|---|---|"
for cell in $(sed -n 's/^model \([a-z_0-9]*\).*/\1/p' tests/models/cells.rondo); do
    long=$(time_of "$cell" train 10000 1)
    echo "| $cell | $(time_of "$cell" forward 100) | $(time_of "$cell" train 100) | $long |"
done
