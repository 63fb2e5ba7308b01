#!/bin/sh
# The demo: trains a recurrent network on 309 years of sunspots, forecasts, draws, and leaves it as C that computes the same.
# RONDO=path of the command, OUT=folder for the results (default: demo/ under the build folder or here).
set -eu
LC_ALL=C
export LC_ALL
root=$(cd "$(dirname "$0")/.." && pwd)
RONDO=${RONDO:-rondo}
case $RONDO in */*) RONDO=$(cd "$(dirname "$RONDO")" && pwd)/$(basename "$RONDO") ;; esac
OUT=${OUT:-$root/build/demo}
mkdir -p "$OUT"
M=$root/examples/sunspots.rondo

echo "== 1. the model: $M"
sed 's/^/    /' "$M"
"$RONDO" check "$M" | sed 's/^/    /'

echo "== 2. training"
"$RONDO" train "$M" -o "$OUT/sunspots.safetensors"

echo "== 3. forecasting: one year ahead, and ten years past the end"
"$RONDO" predict "$M" -w "$OUT/sunspots.safetensors" --future 10 -o "$OUT/forecast.csv"
if command -v gnuplot >/dev/null; then
    "$RONDO" plot forecast "$M" -w "$OUT/sunspots.safetensors" --future 10 -o "$OUT/sunspots.svg" | sed 's/^/    /'
fi

echo "== 4. the trained network as C"
"$RONDO" emit c "$M" -w "$OUT/sunspots.safetensors" -o "$OUT/c"
cat >"$OUT/c/main.c" <<'END'
/* Reads windows of ten scaled values, one a line, and prints the network's output for each. */
#include "sunspots.h"

#include <stdio.h>

int main(void) {
    float window[10], y[1];
    for (;;) {
        for (int i = 0; i < 10; i++)
            if (scanf("%f", &window[i]) != 1) return 0;
        sunspots_state s;
        sunspots_init(&s);
        for (int i = 0; i < 10; i++) sunspots_step(&s, &window[i], y);
        printf("%.17g\n", (double)y[0]);
    }
}
END
# With the machine's fused multiply-add the C program gives the very same numbers; without it, the same but for rounding.
CC=${CC:-cc}
native=
if echo 'int x;' | $CC -march=native -x c -c -o "$OUT/c/probe.o" - 2>/dev/null; then native=-march=native; fi
$CC -O2 $native -o "$OUT/c/sunspots" "$OUT/c/main.c" "$OUT/c"/sunspots*.c -lm
wc -c "$OUT"/c/sunspots*.[ch] | awk '$2 == "total" || NR == 1 { n = $1 } END { printf "    %d bytes of C\n", n }'

# The data block scales with the least and largest value that training sees: the same here, in and out.
awk -F, 'FNR == NR { if (FNR > 1) { v[n++] = $2 } next }
    $4 == "train" { train++ }
    END { m = train + 10; lo = hi = v[0]
          for (i = 0; i < m; i++) { if (v[i] < lo) lo = v[i]; if (v[i] > hi) hi = v[i] }
          print lo, hi > SCALE
          for (k = 0; k + 10 < n; k++) { for (i = 0; i < 10; i++) printf "%.17g ", (v[k + i] - lo) / (hi - lo); print "" } }' \
    SCALE="$OUT/c/scale" "$root/examples/sunspots.csv" "$OUT/forecast.csv" >"$OUT/c/windows"
"$OUT/c/sunspots" <"$OUT/c/windows" >"$OUT/c/outputs"
awk -F, -v scale="$(cat "$OUT/c/scale")" 'BEGIN { split(scale, s, " ") }
    FNR == NR { y[n++] = $1 * (s[2] - s[1]) + s[1]; next }
    $4 == "train" || $4 == "test" { d = $3 - y[k++]; if (d < 0) d = -d; if (d > worst) worst = d }
    END { printf "    %d forecasts by the C program; furthest from the ones above: %.2g sunspots\n", k, worst
          exit !(k == n && k > 0 && worst < 1e-3) }' "$OUT/c/outputs" "$OUT/forecast.csv" ||
    { echo "demo: the emitted C does not give the same forecasts" >&2; exit 1; }
echo "done: $OUT"
