#!/bin/sh
# The table of docs/deploy.md: networks that run step by step, compiled for the targets of tests/targets/lib.sh: with -Os for Cortex-M and
# WebAssembly, with -O2 for the others. Code and constants in bytes of the object file, RAM of one stream; instructions of one step: by
# QEMU's -icount (Cortex-M), by what it logs when it runs one instruction at a time (other machines), by callgrind (x86-64).
# RONDO: the command.
set -eu
SRC=$(cd "$(dirname "$0")/.." && pwd)
RONDO=$(realpath "${RONDO:-$SRC/build/release/bin/rondo}")
. "$SRC/tests/lib.sh"
. "$SRC/tests/targets/lib.sh"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >main.c <<'END_C'
#include "net.h"

#include <stdio.h>

static net_state state;

int main(int argc, char **argv) {
    int steps = 200;
    static float x[NET_IN_X], p[NET_OUT_P];
    unsigned from = 0;
#ifdef __ARM_ARCH_7EM__
    volatile unsigned *systick = (volatile unsigned *)0xE000E010;
    systick[1] = 0xffffff;
    systick[0] = 5;
#endif
    net_init(&state);
#ifndef __ARM_ARCH_7EM__
    steps = argc > 1 ? 25 : 5;
#endif
    for (int i = 0; i < steps; i++) {
        x[0] = (float)(i % 7) * 0.1f;
#ifdef __ARM_ARCH_7EM__
        if (i == 100) from = systick[2];
#endif
        net_step(&state, x, p);
    }
#ifdef __ARM_ARCH_7EM__
    printf("instructions %u\n", ((from - systick[2]) & 0xffffffu) * 40 / 100);
#endif
    printf("%g %u %s\n", (double)p[0], from, argc > 0 ? argv[0] : "");
    return 0;
}
END_C

model() { # WHAT INPUTS CELL options..
    what=$1
    mkdir -p "$what"
    printf 'model net {\n    input x: seq [%s]\n    h = %s(x)\n    p = dense[1](h)\n    output p\n}\n' "$2" "$3" >"$what/net.rondo"
    shift 3
    "$RONDO" emit c "$what/net.rondo" -o "$what" "$@" >/dev/null 2>"$what/err" || { cat "$what/err" >&2; exit 1; }
}
sections() { # FILE PATTERN: their bytes
    "${tools}size$version" -A "$1" | awk -v p="$2" '$1 ~ p { n += $2 } END { print n + 0 }'
}
executed() { # [more]: instructions of the whole program
    if [ -n "$RUN" ]; then $RUN -singlestep -d exec,nochain ./t "$@" 2>&1 >/dev/null | grep -c '^Trace'
    else valgrind --tool=callgrind --callgrind-out-file=/dev/null ./t "$@" 2>&1 >/dev/null | awk '/Collected/ { print $4 }'
    fi
}
row() { # TARGET NAME WHAT CALLED flags..
    what=$3 called=$4 name=$2
    (target "$1") >/dev/null || return 0 # not here
    target "$1"
    shift 4
    cc=$GCC tools=${GCC%gcc} version= level=-O2 code='^[.]text' constants='^[.]rodata'
    case $name in
    Cortex*) level=-Os ;;
    WebAssembly*) cc="clang-19 --target=$TRIPLE" tools=llvm- version=-19 level=-Os code='^CODE' constants='^DATA' ;;
    esac
    flags="-std=c99 $level -DNET_STEP_ONLY -ffunction-sections -fdata-sections -I$what $* $FLAGS"
    $cc $flags -c -o net.o "$what/net.c"
    $cc $flags -c -o main.o main.c
    steps=-
    case $RUN in
    node*) ;;
    qemu-system*) $cc $FLAGS -Wl,--gc-sections -o t main.o net.o $LINK -lm; steps=$($RUN t -icount shift=0 | awk '/^instructions/ { print $2 }') ;;
    *) $cc $FLAGS -Wl,--gc-sections -o t main.o net.o $LINK -lm; steps=$((($(executed more) - $(executed)) / 20)) ;;
    esac
    ram=$("${tools}nm$version" -S main.o | awk '$4 == "state" { print $2 }' | sed 's/^0*/0x/')
    echo "| $name | $called | $(sections net.o "$code") | $(sections net.o "$constants") | $(printf %d "$ram") | $steps |"
}

model lstm20 1 'lstm[20]'
model gru32 1 'gru[32]'
model fastgrnn16 32 'fastgrnn[16]' --weights int8
echo "| target | network | code | constants | RAM of a stream | instructions a step |"
echo "|---|---|---|---|---|---|"
for t in "sse2 x86-64, SSE2" "avx2 x86-64, AVX2" "cortex-m4 Cortex-M4F" "cortex-m7 Cortex-M7" "aarch64 AArch64" "armv7 ARMv7-A, NEON" "riscv64 RISC-V 64" "ppc64 POWER8 (big-endian)" "s390x z/Architecture (big-endian)" "wasm WebAssembly" "wasm-simd WebAssembly, SIMD"; do
    row "${t%% *}" "${t#* }" lstm20 "LSTM 20, 1 input"
    row "${t%% *}" "${t#* }" gru32 "GRU 32, 1 input"
    row "${t%% *}" "${t#* }" fastgrnn16 "FastGRNN 16, 32 inputs, int8"
done
