# The sunspots model trained from C alone, from the same initial weights, data and order of examples, has the same weights after
# three epochs as `rondo train`: to the bit where multiply and add are fused, else to rounding. Then its stream forecasts with them.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
M=$SRC/examples/sunspots.rondo
expect 0 "$RONDO" emit c "$M" -o . --train
expect 0 "$RONDO" train "$M" --set epochs=3 -q -o w.safetensors
expect 0 "$RONDO" emit c "$M" -w w.safetensors -o trained --train
cat >learn.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sunspots.h"

enum { YEARS = 309, WINDOWS = YEARS - SUNSPOTS_WINDOW, TRAIN = 239, BATCH = 32 };

/* the order of the examples in an epoch, as the runtime draws it */
static uint64_t next(uint64_t *s) {
    uint64_t z = *s += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void shuffle(uint64_t seed, uint64_t epoch, int *order) {
    uint64_t s = seed;
    s = next(&s) + epoch * 0xd1342543de82ef95u;
    for (int i = 0; i < TRAIN; i++) order[i] = i;
    for (int i = TRAIN - 1; i > 0; i--) {
        int j = (int)(next(&s) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

static unsigned char work[SUNSPOTS_TRAIN_WORK(SUNSPOTS_WINDOW, BATCH)], ready[SUNSPOTS_PREPARE_WORK];
static float grad[SUNSPOTS_WEIGHTS], moments[SUNSPOTS_MOMENTS];
static sunspots_weights w; /* in memory; *sunspots_builtin() is the copy in flash that it starts from */

int main(int argc, char **argv) {
    float v[YEARS], x[BATCH * SUNSPOTS_WINDOW], y[BATCH];
    double value;
    int n = 0, order[TRAIN];
    long t = 0;
    FILE *f = fopen(argv[1], "r"), *out = fopen(argv[2], "wb");
    (void)argc;
    if (!f || !out) return 1;
    while (n < YEARS && fscanf(f, "%lf", &value) == 1) v[n++] = (float)((value - SUNSPOTS_IN_OFFSET) / SUNSPOTS_IN_SCALE);
    if (n != YEARS) return printf("%d years\n", n), 1;
    if (sizeof work < sunspots_train_workspace(SUNSPOTS_WINDOW, BATCH)) return puts("the macro is too small"), 1;
    w = *sunspots_builtin();
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        shuffle(SEED, (uint64_t)epoch, order);
        for (int at = 0; at < TRAIN; at += BATCH) {
            int b = TRAIN - at < BATCH ? TRAIN - at : BATCH;
            for (int k = 0; k < b; k++) {
                memcpy(x + k * SUNSPOTS_WINDOW, v + order[at + k], SUNSPOTS_WINDOW * sizeof *x);
                y[k] = v[order[at + k] + SUNSPOTS_WINDOW];
            }
            float loss = sunspots_grad(w.theta, x, y, SUNSPOTS_WINDOW, b, grad, work);
            if (!(loss >= 0)) return puts("the loss is no number"), 1;
#ifdef UPDATES
            sunspots_adam(w.theta, grad, moments, t++, UPDATES);
#else
            sunspots_adam(w.theta, grad, moments, t++);
#endif
        }
    }
    sunspots_prepare(&w, ready);
    static sunspots_state s;
    sunspots_init(&s);
    sunspots_use(&s, &w);
    sunspots_reset(&s);
    sunspots_run(&s, SUNSPOTS_WINDOW, v, x);
    fwrite(EPOCHS ? &w : sunspots_builtin(), sizeof w, 1, out);
    fwrite(&x[SUNSPOTS_WINDOW - 1], sizeof(float), 1, out);
    return fclose(out) != 0;
}
END
cut -d, -f2 "$SRC/examples/sunspots.csv" | sed 1d >years
strict="-std=c99 -Wall -Wextra -Werror"
expect 0 "$CC" $strict -O2 $fused -DEPOCHS=3 -DSEED=0 -I. -o learn learn.c sunspots.c -lm
expect 0 ./learn years mine
expect 0 "$CC" $strict -O2 $fused -DEPOCHS=0 -DSEED=0 -Itrained -o given learn.c trained/sunspots.c -lm
expect 0 ./given years rondo
if [ -n "$fused" ]; then
    cmp mine rondo || fail "training from C makes other weights than rondo train"
else
    echo "skipped: to the bit, which needs a fused multiply-add"
fi

# ---- what the train block says of every update: clipping, schedules, decay, what is frozen ----
rules() { # NAME SCHEDULE options..: as rondo train has it
    schedule=$2
    echo "-- $1"
    shift 2
    set -- --set H=8 --set epochs=3 --set "schedule=$schedule" "$@"
    rm -rf c trained sunspots.h
    expect 0 "$RONDO" emit c "$M" -o c --train --test --simd 8 $free "$@"
    expect 0 "$RONDO" train "$M" -q -o w.safetensors "$@"
    expect 0 "$RONDO" emit c "$M" -w w.safetensors -o trained --train --simd 1 "$@"
    expect 0 "$CC" $strict -O1 $fused -Ic -o t c/sunspots_test.c c/sunspots.c -lm
    expect 0 ./t
    expect 0 "$CC" $strict -O1 $fused -DEPOCHS=3 -DSEED=0 -DUPDATES=8 -Ic -o learn learn.c c/sunspots.c -lm
    expect 0 ./learn years mine
    expect 0 "$CC" $strict -O0 $fused -DEPOCHS=0 -DSEED=0 -DUPDATES=8 -Itrained -o given learn.c trained/sunspots.c -lm
    expect 0 ./given years rondo
    [ -z "$fused" ] || cmp mine rondo || fail "training from C makes other weights than rondo train"
}
free=
rules "cosine, norm" "cosine(warmup = 1, to = 0.1)" --set clip_norm=0.05 --set 'lr_scale=["p.*": 0.3]'
free=--freestanding # the root is written out
rules "linear, norm and value" "linear(warmup = 1, to = 0.1)" --set clip_norm=0.02 --set clip_value=0.01 --set 'freeze=["*.b*"]' --set 'decay=["*.W*": 0.01]'
free=
for key in "schedule=plateau(patience = 3)" accumulate=2 "class_weights=[1, 2]"; do
    expect 1 "$RONDO" emit c "$M" -o refused --train --set "$key"
    says err E0854
    expect 0 "$RONDO" emit c "$M" -o other --set "$key"
done
[ ! -e refused ] || fail "a refused emit left files"
