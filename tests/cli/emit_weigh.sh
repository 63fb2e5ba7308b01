# Weights of the loss in emitted C: of classes by a table (written out, or balanced by the data), of examples by an array, with noise that
# goes by an example's number in the data: the weights of `rondo train`, to the bit where multiply and add are fused.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Werror"
awk 'BEGIN {
    print "a,b,kind,w" >"rows.csv"
    for (i = 0; i < 20; i++) {
        a = (i * 37 % 64) / 64 - 0.5; b = (i * 23 % 64) / 32 - 1; k = i * 7 % 3; w = (i * 11 % 16) / 8
        print a "," b "," k "," w >"rows.csv"
        print "{" a ", " b ", " k ", " w "}," >"rows.inc"
        x = y = c = ""
        for (t = 0; t < 5; t++) {
            v = (i * 5 + t * 29) % 32 / 16 - 1
            if (t < 5 - i % 4) { x = x (t ? "," : "") "[" v "]"; y = y (t ? "," : "") (i + t * t) % 3 }
            c = c v ", "
        }
        print "{\"x\": [" x "], \"y\": [" y "]}" >"steps.jsonl"
        print "{{" c "}, " 5 - i % 4 ", " i "}," >"steps.inc"
    }
}'

# same NAME options..: what C learns and what rondo train learns
same() {
    name=$1 upper=$(echo "$1" | tr a-z A-Z)
    shift
    echo "-- $name $*"
    rm -rf c trained
    expect 0 "$RONDO" emit c $name.rondo -o c --train --test --simd 8 $ragged "$@"
    expect 0 "$RONDO" train $name.rondo -q -o w.safetensors "$@"
    expect 0 "$RONDO" emit c $name.rondo -w w.safetensors -o trained --train --simd 1 $ragged "$@"
    expect 0 "$CC" $strict -O1 $fused -Ic -o t c/${name}_test.c c/$name.c -lm
    expect 0 ./t
    { echo "#include \"$name.h\"" && cat main.c; } | sed "s/NAME/$upper/g; s/name_/${name}_/g; s/ROWS/$name.inc/" >learn.c
    expect 0 "$CC" -std=c99 -Wall -Werror -O1 $fused -D$upper -DEPOCHS=2 $define -Ic -o learn learn.c c/$name.c -lm
    expect 0 ./learn mine
    expect 0 "$CC" -std=c99 -Wall -Werror -O0 $fused -D$upper -DEPOCHS=0 $define -Itrained -o given learn.c trained/$name.c -lm
    expect 0 ./given rondo
    [ -z "$fused" ] || cmp mine rondo || fail "training from C makes other weights than rondo train"
    if [ -e before ] && cmp -s mine before; then fail "the weights of the loss do not matter"; fi
    cp mine before
}

cat >main.c <<'END'
#include <stdio.h>
#include <string.h>

enum { ALL = 20, BATCH = 8 };
static const struct {
#ifdef TABLE
    float a, b;
    int kind;
    float w;
#else
    float x[5];
    int steps, number;
#endif
} row[ALL] = {
#include "ROWS"
};
static name_weights w;
static float grad[NAME_WEIGHTS], moments[NAME_MOMENTS];

/* Examples [at, at + n). Returns what their gradient counts. */
static long gradient(int at, int n, long t) {
#ifdef TABLE
    static unsigned char work[NAME_TRAIN_WORK(BATCH)];
    float a[BATCH], b[BATCH], weight[BATCH];
    int32_t kind[BATCH], number[BATCH];
    for (int k = 0; k < n; k++) {
        a[k] = row[at + k].a;
        b[k] = row[at + k].b;
        kind[k] = row[at + k].kind;
        number[k] = at + k;
        weight[k] = row[at + k].w;
    }
    name_grad(w.theta, a, b, kind, weight, n, 3, (uint32_t)t, number, grad, work);
    return n;
#else
    static unsigned char work[NAME_TRAIN_WORK(5, BATCH)];
    float x[BATCH * 5];
    int32_t y[BATCH * 5], length[BATCH];
    int most = 0, sum = 0;
    for (int k = 0; k < n; k++) most = row[at + k].steps > most ? row[at + k].steps : most;
    for (int k = 0; k < n; k++) {
        length[k] = row[at + k].steps;
        sum += length[k];
        for (int s = 0; s < most; s++) x[k * most + s] = row[at + k].x[s];
        for (int s = 0; s < most; s++) y[k * most + s] = s < length[k] ? (row[at + k].number + s * s) % 3 : -77;
    }
    (void)t;
    name_grad(w.theta, x, length, y, most, n, grad, work);
    return sum;
#endif
}

int main(int argc, char **argv) {
    FILE *out = fopen(argv[1], "wb");
    long t = 0;
#ifdef GATHER
    static name_gathered gathered;
#endif
    (void)argc;
    w = *name_builtin();
    for (int epoch = 0; epoch < EPOCHS; epoch++)
        for (int at = 0; at < ALL; at += BATCH) {
            long count = gradient(at, ALL - at < BATCH ? ALL - at : BATCH, t);
#ifdef GATHER
            if (!name_gather(&gathered, grad, count, at + BATCH >= ALL)) continue;
#endif
            (void)count;
            name_adam(w.theta, grad, moments, t++);
        }
    fwrite(w.theta, sizeof w.theta, 1, out);
    return fclose(out) != 0;
}
END
cat >table.rondo <<'END'
model table {
    input a, b: [1]
    target kind: token[3]
    d = dropout[0.25](dense[8, tanh](a) + dense[8](b))
    p = dense[3](d)
    output p
    loss softmax_crossentropy(p, kind)
    train { optimizer = adam(lr = 0.05), epochs = 2, batch = 8, seed = 3, shuffle = false }
    data { csv = "rows.csv", split = 1 }
}
END
cat >ragged.rondo <<'END'
model ragged {
    input x: seq [1]
    target y: seq token[3]
    h = gru[5](x)
    p = dense[3](h)
    output p
    loss softmax_crossentropy(p, y)
    train { optimizer = adam(lr = 0.05), epochs = 2, batch = 8, shuffle = false }
    data { jsonl = "steps.jsonl", split = 1, bucket = 0 }
}
END
mv rows.inc table.inc && mv steps.inc ragged.inc
ragged= define=
same table --set 'sample_weights="w"'
same table --set 'sample_weights="w"' --set 'class_weights=[1, 2.3, 0.7]'
rm before
ragged=--ragged
same ragged --set class_weights=balanced
define=-DGATHER
same ragged --set 'class_weights=[0.1, 0.9, 1]' --set accumulate=2

# balanced needs the data, a list does not; then sample weights are those of steps if the loss is
rm steps.jsonl
expect 1 "$RONDO" emit c ragged.rondo -o refused --train --set class_weights=balanced
says err "needs none"
[ ! -e refused ] || fail "a refused emit left files"
expect 0 "$RONDO" emit c ragged.rondo -o other --train --set 'class_weights=[1, 2, 3]' --set 'sample_weights="w"'
says other/ragged.h 'sample_weight \[batch\]\[steps\]'
