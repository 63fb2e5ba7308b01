#!/bin/sh
# Emitted C a sample at a time, one input, against the loop that one would write by hand (-O3 -march=native -ffast-math, constant sizes;
# the better of rows first and columns first): nanoseconds a sample, least of rounds that take turns. CCS: compilers (gcc clang-19);
# put `chrt -f 50 taskset -c 1` before it on a machine that does other things.
set -eu
SRC=$(cd "$(dirname "$0")/.." && pwd)
RONDO=$(realpath "${RONDO:-$SRC/build/release/bin/rondo}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >naive.c <<'END_C'
#include <math.h>
#include <string.h>
static float h[H], c[H], W[4 * H], U[4 * H * H], b[4 * H];
static float sigmoid(float x) { return 1 / (1 + expf(-x)); }
void naive_init(void) {
    unsigned s = 1;
    for (int i = 0; i < 4 * H * H; i++) U[i] = (float)((s = s * 1664525u + 1013904223u) >> 8) / 16777216.0f / H - 0.5f / H;
    for (int i = 0; i < 4 * H; i++) W[i] = U[i], b[i] = 0.1f;
}
/* a = b + W x + U h over n rows from the first; DOTS: a row at a time, else a column at a time */
#ifdef DOTS
#define PRODUCT(a, first, n, from)                                           \
    for (int i = 0; i < (n); i++) {                                          \
        float s = (from);                                                    \
        for (int j = 0; j < H; j++) s += U[((first) + i) * H + j] * h[j];    \
        (a)[i] = s;                                                          \
    }
#else
#define PRODUCT(a, first, n, from)                                                                          \
    for (int i = 0; i < (n); i++) (a)[i] = (from);                                                          \
    for (int j = 0; j < H; j++)                                                                             \
        for (int i = 0; i < (n); i++) (a)[i] += U[(first) * H + j * (n) + i] * h[j];
#endif
#ifdef GRU
void naive_step(const float *x, float *y) {
    float a[2 * H], n[H];
    PRODUCT(a, 0, 2 * H, b[i] + W[i] * x[0])
    PRODUCT(n, 2 * H, H, b[3 * H + i])
    for (int i = 0; i < 2 * H; i++) a[i] = sigmoid(a[i]);
    for (int i = 0; i < H; i++) n[i] = tanhf(b[2 * H + i] + W[2 * H + i] * x[0] + a[H + i] * n[i]);
    for (int i = 0; i < H; i++) h[i] = (1 - a[i]) * n[i] + a[i] * h[i];
    memcpy(y, h, sizeof h);
}
#else
void naive_step(const float *x, float *y) {
    float a[4 * H];
    PRODUCT(a, 0, 4 * H, b[i] + W[i] * x[0])
    for (int i = 0; i < H; i++) {
        c[i] = sigmoid(a[H + i]) * c[i] + sigmoid(a[i]) * tanhf(a[2 * H + i]);
        h[i] = sigmoid(a[3 * H + i]) * tanhf(c[i]);
    }
    memcpy(y, h, sizeof h);
}
#endif
END_C
cat >main.c <<'END_C'
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>

#include "net.h"
void naive_init(void);
void naive_step(const float *x, float *y);
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}
enum { STEPS = 200, ROUNDS = 600 };
static net_state s;
static float x[STEPS], y[STEPS * NET_OUT_H];
int main(void) {
    double run = 1e30, step = 1e30, naive = 1e30;
    net_init(&s);
    naive_init();
    for (int i = 0; i < STEPS; i++) x[i] = (float)(i % 17) * 0.05f;
    for (int r = 0; r < ROUNDS; r++) {
        double t[4];
        t[0] = now();
        net_run(&s, STEPS, x, y);
        t[1] = now();
        for (int i = 0; i < STEPS; i++) net_step(&s, x + i, y + i * NET_OUT_H);
        t[2] = now();
        for (int i = 0; i < STEPS; i++) naive_step(x + i, y + i * NET_OUT_H);
        t[3] = now();
        if (t[1] - t[0] < run) run = t[1] - t[0];
        if (t[2] - t[1] < step) step = t[2] - t[1];
        if (t[3] - t[2] < naive) naive = t[3] - t[2];
    }
    printf("%.1f %.1f %.1f\n", run / STEPS, step / STEPS, naive / STEPS);
    return 0;
}
END_C
echo "| network | compiler | emitted, run | emitted, step | loop by hand | times |"
echo "|---|---|---|---|---|---|"
for net in "lstm 8" "lstm 20" "lstm 40" "gru 8" "gru 32" "gru 64"; do
    cell=${net% *} H=${net#* }
    printf 'model net {\n    input x: seq [1]\n    h = %s[%s](x)\n    output h\n}\n' "$cell" "$H" >net.rondo
    "$RONDO" emit c net.rondo -o . ${EMIT-} >/dev/null
    for cc in ${CCS:-gcc clang-19}; do
        gru=
        if [ "$cell" = gru ]; then gru=-DGRU; fi
        $cc -O3 -march=native -c net.c -o net.o
        for way in -DCOLUMNS -DDOTS; do
            $cc -O3 -march=native -ffast-math -DH="$H" $gru $way -c naive.c -o naive.o
            $cc -O2 -std=c99 main.c net.o naive.o -lm -o t
            ./t
        done | awk '{ for (k = 1; k <= 3; k++) if (NR == 1 || $k < t[k]) t[k] = $k } END { print t[1], t[2], t[3] }' | awk -v n="$net" -v cc="$cc" '{ b = $1 < $2 ? $1 : $2; printf "| %s | %s | %.0f | %.0f | %.0f | %.2f |\n", n, cc, $1, $2, $3, $3 / b }'
    done
done
