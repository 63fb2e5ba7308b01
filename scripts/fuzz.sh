#!/bin/sh
# Fuzzing with libFuzzer: every target of tests/fuzz with a fixed seed, on the texts and files of this tree, with the words of
# the lexer as dictionary. BUILD=folder of a build with RONDO_FUZZ, RUNS=number of inputs a target, SEED, TARGETS.
# What crashes is left in BUILD/fuzz/TARGET/.
set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/fuzz}
RUNS=${RUNS:-100000}
SEED=${SEED:-1}
TARGETS=${TARGETS:-parse check ir files import data pack}
out=$BUILD/fuzz
mkdir -p "$out"

# Words in quotes, as libFuzzer's dictionaries have them.
cat frontend/lexer.l frontend/keys.def ir/ops.def ir/lops.def ir/parse.c ir/print.c ir/lparse.c runtime/safetensors.c import/*.c |
    grep -o '"[a-z_0-9.=<>!{}()-]\{2,20\}"' | sort -u >"$out/words.dict"

for target in $TARGETS; do
    case $target in
    parse) seeds="tests/syntax tests/errors tests/conform std examples"; limit=4096 ;;
    check) seeds="tests/errors tests/conform tests/models std examples"; limit=4096 ;;
    ir) seeds=tests/fuzz/seeds; limit=8192 ;;
    files) seeds="tests/fuzz/files examples"; limit=8192 ;;
    import) seeds="tests/fuzz/import tests/import"; limit=16384 ;;
    data) seeds=tests/fuzz/data; limit=4096 ;;
    pack) seeds=tests/fuzz/pack; limit=256 ;;
    *) echo "fuzz: no target '$target'" >&2; exit 2 ;;
    esac
    rm -rf "$out/$target"
    mkdir -p "$out/$target/seeds"
    find $seeds -type f -size -16k ! -name '*.err' ! -name '*.ast' | sort | while read -r f; do
        cp "$f" "$out/$target/seeds/$(echo "$f" | tr / _)"
    done
    if ! "$BUILD/tests/fuzz_$target" -seed="$SEED" -runs="$RUNS" -max_len="$limit" -dict="$out/words.dict" -timeout=10 \
        -rss_limit_mb=2048 -malloc_limit_mb=512 -report_slow_units=5 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$out/$target/" "$out/$target/seeds" >"$out/$target/log" 2>&1; then
        grep -v "^#\|^0x" "$out/$target/log" | tail -n 40
        echo "fuzz: $target failed; the input is in $out/$target" >&2
        exit 1
    fi
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target/log")
    echo "fuzz: $target: $n inputs, seed $SEED: no crash, no hang, no leak"
done
echo "fuzz: all clean"
