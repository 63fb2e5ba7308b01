# Encoder and decoder in emitted C: NAME_decode writes what `rondo generate` does with the same weights, from text to text; a closed loop
# inside of the model is part of predict.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
strict="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wcast-align -Werror"
M=$SRC/examples/translate.rondo

expect 0 "$RONDO" train "$M" --set epochs=3 --set H=16 -q -o w.safetensors
expect 0 "$RONDO" emit c "$M" -w w.safetensors -o . --test --simd 8
expect 0 "$CC" $strict -O1 $fused -c translate.c
expect 0 "$CC" $strict $fused -o t translate_test.c translate.o -lm
expect 0 ./t
says out '^PASS$'
says translate_test.c 'check_decode()'
cat >say.c <<'END'
#include "translate.h"

#include <stdio.h>
#include <string.h>

static unsigned char work[TRANSLATE_DECODE_WORK(32)];

int main(int argc, char **argv) {
    int32_t in[32], out[60];
    for (int k = 1; k < argc; k++) {
        int n = 0, m;
        for (const char *s = argv[k]; *s; s++) in[n++] = translate_token_id(s, 1);
        if (translate_decode_workspace(n) > sizeof work) return puts("more room than said"), 1;
        m = translate_decode(translate_builtin(), in, n, TRANSLATE_END, 60, out, work);
        for (int i = 0; i < m; i++) fputs(translate_token(out[i]), stdout);
        puts("");
    }
    return translate_token_id("aa", 2) != -1 || translate_token(TRANSLATE_END) || translate_token(-1) || translate_token(TRANSLATE_TOKENS);
}
END
expect 0 "$CC" $strict $fused -o say say.c translate.o -lm
set -- 2.5.1987 12/31/1999 1.1.2000
expect 0 ./say "$@"
mv out mine
for p; do
    expect 0 "$RONDO" generate "$M" -w w.safetensors --prompt "$p" --length 60
    cat out
done >rondo.txt
cmp mine rondo.txt || { cat mine rondo.txt; fail "decode writes other texts than rondo generate"; }
[ "$(sort -u mine | wc -l)" -gt 1 ] || fail "the answers do not depend on what was asked"

# weights of a blob that was refused
expect 0 "$RONDO" emit c "$M" -w w.safetensors -o blob --weights blob --simd 1
cat >blob/null.c <<'END'
#include "translate.h"

int main(void) {
    static unsigned char work[TRANSLATE_DECODE_WORK(1)];
    int32_t in[1] = {0}, out[1];
    return translate_decode(translate_open("no blob", 7), in, 1, TRANSLATE_END, 1, out, work) != -1;
}
END
expect 0 "$CC" $strict -O1 -o t_null blob/null.c blob/translate.c -lm
expect 0 ./t_null

# the reader's last state is the writer's first one, which the first part computes; where each step sees all that was written, there is no
# such function
cat >seq.rondo <<'END'
cell writer[V, H](t: token[V]) {
    param g: [H] = normal(0, 0.3)
    state h: [H] = 0
    h' = gru[H](embedding[V, 6](t), h = h)
    return h' + g
}
model plain[V = 64, H = 10] {
    input figures: seq(S) token[V]
    input before: seq token[V]
    target words: seq token[V]
    a = lstm[H](embedding[V, 6](figures))
    h = writer[V, H](before, h = a.last)
    logits = dense[V]([lstm[H](h), h])
    output logits
    output pooled = dense[2](a.mean)
    loss softmax_crossentropy(logits, words)
    data { made = dates(100, seed = 1), unit = characters, teacher = before }
}
model late[V = 64] {
    input figures: seq(S) token[V]
    input before: seq token[V]
    target words: seq token[V]
    h = gru[4](embedding[V, 6](before))
    logits = dense[V]([h, h.mean, gru[4](embedding[V, 6](figures)).last])
    output logits
    loss softmax_crossentropy(logits, words)
    data { made = dates(100, seed = 1), unit = characters, teacher = before }
}
END
for m in plain late; do
    expect 0 "$RONDO" train seq.rondo --model $m --set epochs=1 -q -o $m.safetensors
    expect 0 "$RONDO" emit c seq.rondo --model $m -w $m.safetensors -o . --test --ragged --freestanding --simd 1
    expect 0 "$CC" $strict -O0 -o t $m.c ${m}_test.c -lm
    expect 0 ./t
    says out '^PASS$'
done
says plain_test.c 'check_decode()'
if grep -q late_decode late.h; then fail "decode of steps that see all others"; fi

# an array of numbers beside it would have to be given too: no such function, and the model is emitted all the same
sed 's/input before/input extra: [3]\n    input before/' "$M" >more.rondo
expect 0 "$RONDO" emit c more.rondo -o more
if grep -q translate_decode more/translate.h; then fail "decode without all inputs"; fi

# the model's own choice as a state: fixed steps, and a stream that goes on
cat >loop.rondo <<'END'
cell talk[V, H](c: [H]) {
    state t: token[V] = 0
    state h: [H] = 0
    h' = gru[H]([embedding[V, 5](t), c], h = h)
    z = dense[V](h')
    t' = argmax(z)
    return z
}
model loop {
    input x: seq [3]
    h = lstm[6](x).last
    output z = talk[7, 6](h, steps = 9)
}
END
expect 0 "$RONDO" check loop.rondo
expect 0 "$RONDO" emit c loop.rondo -o . --test --simd 4
expect 0 "$CC" $strict -O1 $fused -o t loop.c loop_test.c -lm
expect 0 ./t
