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
#ifdef GATHER
static sunspots_gathered gathered;
#endif
#ifdef PLATEAU
static sunspots_plateau seen;
#define UPDATES 8, &seen
#endif
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
        double sum = 0;
        shuffle(SEED, (uint64_t)epoch, order);
        for (int at = 0; at < TRAIN; at += BATCH) {
            int b = TRAIN - at < BATCH ? TRAIN - at : BATCH;
            for (int k = 0; k < b; k++) {
                memcpy(x + k * SUNSPOTS_WINDOW, v + order[at + k], SUNSPOTS_WINDOW * sizeof *x);
                y[k] = v[order[at + k] + SUNSPOTS_WINDOW];
            }
            float loss = sunspots_grad(w.theta, x, y, SUNSPOTS_WINDOW, b, grad, work);
            if (!(loss >= 0)) return puts("the loss is no number"), 1;
            sum += (double)b * (double)loss;
#ifdef GATHER
            if (!sunspots_gather(&gathered, grad, b, at + BATCH >= TRAIN)) continue;
#endif
#ifdef UPDATES
            sunspots_adam(w.theta, grad, moments, t++, UPDATES);
#else
            sunspots_adam(w.theta, grad, moments, t++);
#endif
        }
#ifdef PLATEAU
        sunspots_watch(&seen, sum / TRAIN);
        if (epoch == EPOCHS - 1 && seen.drops != 2) return puts("the learning rate did not fall"), 1;
#else
        (void)sum;
#endif
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

# ---- in double precision: its functions are written out too ----
mkdir double # where no other header is
sed 's/\bfloat\b/double/g' learn.c >double/learn.c
expect 0 "$RONDO" emit c "$M" -o f64 --train --dtype f64
expect 0 "$RONDO" train "$M" --set epochs=3 -q -o w64.safetensors --dtype f64
expect 0 "$RONDO" emit c "$M" -w w64.safetensors -o trained64 --train --dtype f64
expect 0 "$CC" $strict -O2 $fused -DEPOCHS=3 -DSEED=0 -If64 -o learn64 double/learn.c f64/sunspots.c -lm
expect 0 ./learn64 years mine
expect 0 "$CC" $strict -O2 $fused -DEPOCHS=0 -DSEED=0 -Itrained64 -o given64 double/learn.c trained64/sunspots.c -lm
expect 0 ./given64 years rondo
if cmp -s mine rondo; then :; elif [ -n "$fused" ]; then fail "training from C in f64 makes other weights than rondo train"; fi

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
    expect 0 "$CC" $strict -O1 $fused -DEPOCHS=3 -DSEED=0 $define -Ic -o learn learn.c c/sunspots.c -lm
    expect 0 ./learn years mine
    expect 0 "$CC" $strict -O0 $fused -DEPOCHS=0 -DSEED=0 $define -Itrained -o given learn.c trained/sunspots.c -lm
    expect 0 ./given years rondo
    [ -z "$fused" ] || cmp mine rondo || fail "training from C makes other weights than rondo train"
}
free=
define="-DUPDATES=8 -DGATHER" # gradients of an epoch
rules "cosine, norm, several gradients an update" "cosine(warmup = 1, to = 0.1)" --set accumulate=3 --set clip_norm=0.05 --set 'lr_scale=["p.*": 0.3]'
define=-DUPDATES=8
free=--freestanding # what is of <math.h> elsewhere is written out
rules "step" "step(1, 0.3)" --set clip_norm=0.05
rules "exponential" "exponential(0.7, warmup = 1)"
rules "cosine" "cosine(to = 0.1)"
rules "linear, norm and value" "linear(warmup = 1, to = 0.1)" --set clip_norm=0.02 --set clip_value=0.01 --set 'freeze=["*.b*"]' --set 'decay=["*.W*": 0.01]'
define="-DPLATEAU -DGATHER"
rules "plateau" "plateau(1, 0.5, warmup = 2)" --set min_delta=1 --set accumulate=5
free=

# ---- optimizers whose states are no single numbers; what stands still stays ----
sed 's/optimizer = adam([^)]*)/optimizer = odd(lr = 0.02)/' "$M" >odd.rondo
says odd.rondo 'optimizer = odd'
cat >>odd.rondo <<'END'
optimizer odd(p, g, lr = 0.01) {
    state h: [2] = 0.5
    state q: [2] = [1, 3]
    state up: bool = true
    h' = 0.5 * h + g
    q' = 0.9 * q + g * g
    up' = g > 0
    p' = p - lr * where(up, h'[0], 0.1 * h'[1]) / sqrt(q'[0] + q'[1])
}
END
cp "$SRC/examples/sunspots.csv" .
sed 's/sunspots_adam/sunspots_odd/' learn.c >odd.c
keep=$M M=odd.rondo define=
mv odd.c learn.c
rules "vectors and bools" "constant(warmup = 0)" --set 'freeze=["*.b*"]'
M=$keep
sed 's/state up: bool = true/state up: token[2] = 1/; s/where(up,/where(up == 0,/; s/up. = g > 0/up'"'"' = up/' odd.rondo >token.rondo
expect 1 "$RONDO" emit c token.rondo -o refused --train
says err E0854
expect 0 "$RONDO" emit c token.rondo -o other
[ ! -e refused ] || fail "a refused emit left files"

strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror"
# ---- the example of the page learns, whatever the train block and the options ask of the caller ----
cat >page.rondo <<'END'
model page {
    input  x: seq [2]
    target y: seq [1]
    p = dense[1](gru[4](x))
    output p
    loss   mse(p, y)
    train { optimizer = adam(lr = 1e-2) }
}
END
cat >main.c <<'END'
int main(int argc, char **argv) {
    (void)argv;
    for (unsigned k = 0; k < sizeof in_x / sizeof *in_x; k++) in_x[k] = k % 2 ? 0.5f : 0.25f;
    for (unsigned k = 0; k < sizeof target_y / sizeof *target_y; k++) target_y[k] = 0.75f;
#ifdef BLOB
    static double blob[4000];
    FILE *f = fopen(argv[1], "rb");
    size_t n = f ? fread(blob, 1, sizeof blob, f) : 0;
    if (f) fclose(f);
    return argc != 2 || !(learn("no blob", 7) < 0) || !(100 * learn(blob, n) < 10);
#else
    return argc != 1 || !(100 * learn() < 10);
#endif
}
END
teaches() { # DIR FLAGS.. -- emit's options
    d=$1 flags=
    shift
    while [ "$1" != -- ]; do
        flags="$flags $1"
        shift
    done
    shift
    expect 0 "$RONDO" emit c page.rondo -o "$d" --train --simd 1 "$@"
    { echo '#include <stdio.h>'; sed -n '/^## Learning/,/^## Compile/p' "$d/page_README.md" | sed -n '/^```c$/,/^```$/p' | sed '1d;$d'; cat main.c; } >"$d/learn.c"
    says "$d/learn.c" 'page_adam(ram'
    expect 0 "$CC" $strict -O1 $flags -I"$d" -o t "$d/learn.c" "$d/page.c" -lm
    case $flags in *BLOB*) expect 0 ./t "$d/page.blob" ;; *) expect 0 ./t ;; esac
}
teaches page_plain --
teaches page_f64 -- --dtype f64
teaches page_blob -DBLOB -- --weights blob
teaches page_int8 -- --weights int8
teaches page_both -DBLOB -- --weights blob --weights int8
teaches page_online -- --set gradient=rtrl
teaches page_ragged -- --ragged
sed -i 's/train {/train { accumulate = 2, schedule = cosine(), epochs = 50,/' page.rondo
teaches page_cosine -- --set seed=1
sed -i 's/cosine()/plateau(3, 0.5)/; s/gru\[4\](x)/dropout[0.1](gru[4](x))/' page.rondo
teaches page_plateau --
teaches page_window -- --set bptt=4
