# ir and opt: what is printed parses again to the same text, at every stage; the size does not depend on the number of steps.
. "$SRC/tests/lib.sh"
M=$SRC/examples/tiny.rondo

for how in '' '--grad' '--after build' '--after build --grad' '--disable-pass distribute' '--disable-pass merge_gemm --grad'; do
    expect 0 "$RONDO" ir "$M" $how -o x.ir
    silent out
    [ -s x.ir ] || fail "ir $how printed nothing"
    expect 0 "$RONDO" opt x.ir -o y.ir
    cmp x.ir y.ir || fail "ir $how does not read back"
done
for v in 1 4 8 16; do
    for how in '' '--grad' '--dtype f64' '--math precise'; do
        expect 0 "$RONDO" ir "$M" --stage loops --lanes $v $how -o x.lir
        expect 0 "$RONDO" opt x.lir -o y.lir
        cmp x.lir y.lir || fail "ir --stage loops --lanes $v $how does not read back"
    done
done

# the passes by hand are the pipeline
"$RONDO" ir "$M" --after build -o built.ir
passes=$("$RONDO" ir "$M" --print-after all 2>&1 >/dev/null | sed -n 's/^; after \([a-z_]*\).*/--pass \1/p')
[ "$(echo "$passes" | wc -l)" -ge 4 ] || fail "the pipeline has only: $passes"
expect 0 "$RONDO" opt built.ir $passes -o x.ir
"$RONDO" ir "$M" -o y.ir
cmp x.ir y.ir || fail "opt with the passes of the pipeline differs from ir"
expect 0 "$RONDO" opt y.ir --pass lower --lanes 8
says out '^program '

expect 0 "$RONDO" ir "$M" --dot
says out '^digraph'
expect 0 "$RONDO" ir "$M" --print-after all --time-passes
says err '^; after simplify'
says err ' s .* distribute$'
expect 1 "$RONDO" ir "$M" --after distribuet
says err "did you mean 'distribute'"
expect 1 "$RONDO" opt built.ir --pass nope
says err "no pass is called 'nope'"
expect 2 "$RONDO" ir "$M" --stage loops --dot
printf 'module x\ngraph model {\n  %%1 = add %%2 %%3 : f<>[]\n}\n' >bad.ir
expect 1 "$RONDO" opt bad.ir
says err 'bad.ir:3:'
