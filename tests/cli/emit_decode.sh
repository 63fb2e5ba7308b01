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

static unsigned char work[TRANSLATE_DECODE_WORK(32, 60)];

int main(int argc, char **argv) {
    int32_t in[32], out[60];
    for (int k = 1; k < argc; k++) {
        int n = 0, m;
        for (const char *s = argv[k]; *s; s++) in[n++] = translate_token_id(s, 1);
        if (translate_decode_workspace(n, 60) > sizeof work) return puts("more room than said"), 1;
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
