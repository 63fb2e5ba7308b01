#!/bin/sh
# The table of docs/deploy.md: networks that run step by step, compiled with -Os for the targets of tests/targets/lib.sh. Code and constants
# in bytes of the object file, RAM of one stream; instructions of one step from QEMU's -icount (Cortex-M).
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

int main(void) {
    static float x[NET_IN_X], p[NET_OUT_P];
    unsigned from = 0;
#ifdef __ARM_ARCH_7EM__
    volatile unsigned *systick = (volatile unsigned *)0xE000E010;
    systick[1] = 0xffffff;
    systick[0] = 5;
#endif
    net_init(&state);
    for (int i = 0; i < 200; i++) {
        x[0] = (float)(i % 7) * 0.1f;
#ifdef __ARM_ARCH_7EM__
        if (i == 100) from = systick[2];
#endif
        net_step(&state, x, p);
    }
#ifdef __ARM_ARCH_7EM__
    printf("instructions %u\n", ((from - systick[2]) & 0xffffffu) * 40 / 100);
#endif
    printf("%g %u\n", (double)p[0], from);
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
    "${GCC%gcc}size" -A "$1" | awk -v p="$2" '$1 ~ p { n += $2 } END { print n + 0 }'
}
row() { # TARGET NAME WHAT CALLED flags..
    what=$3 called=$4 name=$2
    (target "$1") >/dev/null || return 0 # not here
    target "$1"
    shift 4
    flags="-std=c99 -Os -DNET_STEP_ONLY -ffunction-sections -fdata-sections -I$what $* $FLAGS"
    $GCC $flags -c -o net.o "$what/net.c"
    $GCC $flags -c -o main.o main.c
    $GCC $FLAGS -Wl,--gc-sections -o t main.o net.o $LINK -lm
    case $RUN in
    qemu-system*) steps=$($RUN t -icount shift=0 | awk '/^instructions/ { print $2 }') ;;
    *) steps=- ;;
    esac
    echo "| $name | $called | $(sections net.o '^[.]text') | $(sections net.o '^[.]rodata') | $("${GCC%gcc}nm" -S main.o | awk '$4 == "state" { print $2 }' | sed 's/^0*/0x/' | xargs printf %d) | $steps |"
}

model lstm20 1 'lstm[20]'
model gru32 1 'gru[32]'
model fastgrnn16 32 'fastgrnn[16]' --weights int8
echo "| target | network | code | constants | RAM of a stream | instructions a step |"
echo "|---|---|---|---|---|---|"
for t in "cortex-m4 Cortex-M4F" "cortex-m7 Cortex-M7" "aarch64 AArch64" "armv7 ARMv7-A, NEON" "riscv64 RISC-V 64" "ppc64 POWER8 (big-endian)" "s390x z/Architecture (big-endian)"; do
    row "${t%% *}" "${t#* }" lstm20 "LSTM 20, 1 input"
    row "${t%% *}" "${t#* }" gru32 "GRU 32, 1 input"
    row "${t%% *}" "${t#* }" fastgrnn16 "FastGRNN 16, 32 inputs, int8"
done
