# Online learning in emitted C: a stream of single steps whose influence is carried from call to call makes the weights that
# `rondo train` makes, to the bit where multiply and add are fused; a start of a state that is learned, windows of several steps and
# each way to find the gradient have the numbers of the runtime (NAME_test.c).
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror"

cat >learn.c <<'END'
#include <stdio.h>
#include <string.h>

#include "online.h"

enum { YEARS = 309, EXAMPLES = 2, UPDATES = EXAMPLES * ONLINE_WINDOW };

static online_weights w;
static online_learner l;
static float grad[ONLINE_WEIGHTS], moments[ONLINE_MOMENTS];

int main(int argc, char **argv) {
    static float v[YEARS];
    double value;
    int n = 0;
    long t = 0;
    FILE *f = fopen(argv[1], "r"), *out = fopen(argv[2], "wb");
    (void)argc;
    if (!f || !out) return 1;
    while (n < YEARS && fscanf(f, "%lf", &value) == 1) v[n++] = (float)((value - ONLINE_IN_OFFSET) / ONLINE_IN_SCALE);
    w = *online_builtin();
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        online_learn_begin(&l); /* forgets states and influence, not the optimizer's moments */
        for (int k = 0; k < UPDATES; k++) {
#ifdef NOISE /* two windows an update, each with noise of its own */
            static online_gathered g;
            float loss = online_learn(&l, w.theta, v + k, v + k + 1, 1, (uint32_t)(2 * t + g.n), k / ONLINE_WINDOW, grad);
            if (!online_gather(&g, grad, ONLINE_LEARN_STEPS, k + 1 == UPDATES)) continue;
#else
            float loss = online_learn(&l, w.theta, v + k, v + k + 1, grad);
#endif
            if (!(loss >= 0)) return puts("the loss is no number"), 1;
            online_adam(w.theta, grad, moments, t++);
        }
    }
    fwrite(w.theta, sizeof w.theta, 1, out);
    return fclose(out) != 0;
}
END
cut -d, -f2 "$SRC/examples/sunspots.csv" | sed 1d >years
# a cell whose elements see each other: the influence is carried as a whole (rtrl) or cut (snap1)
sed 's/indrnn\[H, act = tanh\]/gru[H]/' "$SRC/examples/online.rondo" >mixed.rondo
cp "$SRC/examples/sunspots.csv" .
sed 's/dense\[1\](h)/dense[1](dropout[0.3](h))/' mixed.rondo >dropped.rondo
grep -q dropout dropped.rondo || fail "no noise in the model"
for way in rtrl snap1 bptt noise; do
    model=mixed set=min_delta=0 noise= gradient=$way
    if [ $way = noise ]; then model=dropped set=accumulate=2 noise=-DNOISE gradient=rtrl; fi
    how="--set H=6 --set seed=1 --set $set --gradient $gradient"
    expect 0 "$RONDO" emit c $model.rondo -o . --train --simd 4 $how
    expect 0 "$RONDO" train $model.rondo --set epochs=2 $how -q -o w.safetensors
    expect 0 "$RONDO" emit c $model.rondo -w w.safetensors -o trained --train --simd 1 $how
    expect 0 "$CC" -std=c99 -Wall -Wextra -Werror -O1 $fused $noise -DEPOCHS=2 -I. -o learn learn.c online.c -lm
    expect 0 ./learn years mine
    expect 0 "$CC" -std=c99 -O0 $noise -DEPOCHS=0 -Itrained -o given learn.c trained/online.c -lm
    expect 0 ./given years rondo
    if [ -z "$fused" ]; then
        echo "skipped: to the bit, which needs a fused multiply-add"
        continue
    fi
    cmp mine rondo || fail "$way in C makes other weights than rondo train"
    if [ -e before ] && cmp -s mine before; then fail "$way makes the weights of another way"; fi
    cp mine before
done

cat >begun.rondo <<'END'
cell leaky[H](x: [I]) {
    param W: [H, I] = glorot_uniform
    param u: [H] = uniform(-0.5, 0.5)
    param s: [H] = uniform(-1, 1)
    state h: [H] = s
    h' = tanh(W @ x + u * h)
    return h'
}
model begun {
    input x: seq [2]
    target y: seq [1]
    h = leaky[5](x)
    p = dense[1](h)
    output p
    loss mse(p, y)
    train { optimizer = sgd(lr = 0.01), gradient = rtrl }
}
END
for steps in 1 2; do
    expect 0 "$RONDO" emit c begun.rondo -o . --train --test --simd 4 --set bptt=$steps
    says begun.h "^#define BEGUN_LEARN_STEPS $steps$"
    says begun_test.c check_learn
    expect 0 "$CC" $strict -O1 $fused -o t begun.c begun_test.c -lm
    expect 0 ./t
    says out '^PASS$'
done
expect 0 "$RONDO" emit c begun.rondo -o . --train --gradient bptt
if grep -q learner begun.h; then fail "a model that is trained by whole sequences has no windows"; fi

# A model without a state learns from windows too; nothing goes on from one to the next.
cat >stateless.rondo <<'END'
model stateless {
    input x: seq [2]
    target y: seq [1]
    p = dense[1](x)
    output p
    loss mse(p, y)
    train { optimizer = sgd(lr = 0.01), bptt = 2, stateful = true, batch = 1 }
}
END
expect 0 "$RONDO" emit c stateless.rondo -o . --train --test --simd 4
says stateless.h '^#define STATELESS_LEARN_STATE 0$'
expect 0 "$CC" $strict -O1 $fused -o t stateless.c stateless_test.c -lm
expect 0 ./t
says out '^PASS$'

# What has steps that the model counts is whole in each window; states of tokens and bools go on. AddressSanitizer: each array has as much as
# the header says.
cat >counted.rondo <<'END'
cell writer[V, H](x: [I]) {
    state h: [H] = 0
    state t: token[V] = 2
    state on: bool = true
    h' = gru[H]([x, embedding[V, H](t)], h = h)
    z = dense[V](h')
    t' = where(on, argmax(z), t)
    on' = not on
    return z
}
model counted {
    input  x: seq [3]
    input  c: seq(4) [2]
    target y: seq [7]
    target z: seq(4) [2]
    k = tanh(dense[2](c))
    p = writer[7, 5](x)
    output p, k
    loss mse(p + sum((k - z).mean), y)
    train { optimizer = sgd(lr = 0.01), bptt = 2, stateful = true, batch = 1 }
}
END
expect 0 "$RONDO" emit c counted.rondo -o . --train --test --simd 4
says counted.h 'const float x\[6\], const float c\[8\],$'
says counted.h 'const float y\[14\], const float z_\[8\], float'
expect 0 "$CC" $strict -O0 -fsanitize=address,undefined -fno-sanitize-recover=all -o t counted.c counted_test.c -lm
expect 0 ./t
says out '^PASS$'
sed '/^    loss/d; /target/d; /^    train/d; s/p = writer.*/p = dense[2](reverse(x))/' counted.rondo >windowed.rondo
expect 1 "$RONDO" emit c windowed.rondo -o . --window 4
says err 'E0855.*gets no window: c goes along other steps'
