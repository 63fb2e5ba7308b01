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

# 13 vectors of columns: the one left over is no panel of its own
"$RONDO" ir "$SRC/bench/lstm2.rondo" --grad --stage loops --lanes 16 -o x.lir
for tile in tile_r_5x5_t8 tile_c_5x5_add_t8; do grep -q "^helper.*\"$tile\"" x.lir || fail "200 columns: no $tile"; done
! grep '^helper.*"tile_[rc]_.x1' x.lir || fail "200 columns: tiles of one vector"

# a chunk of rows of 10,000 columns is more than the second cache: the next row is fetched while this one is computed
"$RONDO" ir "$SRC/examples/word_lm.rondo" --grad --stage loops --lanes 16 -o x.lir
grep -q '^ *prefetch logits' x.lir || fail "rows of 10,000 columns: not prefetched"

# the passes by hand are the pipeline
"$RONDO" ir "$M" --after build -o built.ir
passes=$("$RONDO" ir "$M" --print-after all 2>&1 >/dev/null | sed -n 's/^; after \([a-z_]*\).*/--pass \1/p')
[ "$(echo "$passes" | wc -l)" -ge 4 ] || fail "the pipeline has only: $passes"
expect 0 "$RONDO" opt built.ir $passes -o x.ir
"$RONDO" ir "$M" -o y.ir
cmp x.ir y.ir || fail "opt with the passes of the pipeline differs from ir"

# lowering, too, is passes: --after each reads back, and by hand they are the pipeline
for g in '' --grad; do
    for after in legalize flush place fuse lower_loops plan_memory share; do
        expect 0 "$RONDO" ir "$M" $g --after $after --lanes 8 -o x.ir
        expect 0 "$RONDO" opt x.ir -o z.ir
        cmp x.ir z.ir || fail "ir --after $after $g does not read back"
    done
    "$RONDO" ir "$M" $g -o x.ir
    expect 0 "$RONDO" opt x.ir --pass legalize --pass flush --pass place --pass fuse -o z.ir
    says z.ir '  place %[0-9]* step of '
    says z.ir '  run scan : '
    expect 0 "$RONDO" opt z.ir --lanes 8 --pass lower_loops -o x.lir
    expect 0 "$RONDO" opt x.lir --pass plan_memory --pass share -o z.lir
    "$RONDO" ir "$M" $g --stage loops --lanes 8 -o y.lir
    cmp y.lir z.lir || fail "lowering by hand $g differs from ir --stage loops"
done
# with a budget remat cuts: in one go to the program that explain and bench run; its text reads back, but is not lowered
expect 0 "$RONDO" ir "$M" --grad --after remat --memory 1M -o x.ir
says x.ir '^cut T into segments of segment '
says x.ir '^graph [0-9]* segment T {'
says x.ir '^  pin product base %[0-9]* : '
expect 0 "$RONDO" opt x.ir --pass remat --memory 1M -o z.ir
cmp x.ir z.ir || fail "ir --after remat does not read back"
expect 0 "$RONDO" ir "$M" --grad --after legalize -o y.ir
expect 0 "$RONDO" opt y.ir --memory 1M --lanes 8 --pass flush --pass remat --pass place --pass fuse --pass lower_loops
says out '^program '
expect 1 "$RONDO" opt x.ir --pass place
says err 'E0724.*from remat, not from a text'
# a place edited by hand is taken, an impossible one refused; so are stages that are no order
expect 0 "$RONDO" ir "$M" --after place -o x.ir
sed 's/^  place \(%[0-9]*\) step of %[0-9]* /  place \1 whole /' x.ir >y.ir
cmp -s x.ir y.ir && fail "nothing was placed in the step"
expect 0 "$RONDO" opt y.ir --pass fuse --pass lower_loops --pass plan_memory --lanes 8 -o y.lir
"$RONDO" ir "$M" --place whole --stage loops --lanes 8 -o z.lir
cmp y.lir z.lir || fail "a place by hand differs from --place"
sed 's/^  place %[0-9]* step/  place %1 step/' x.ir >y.ir
expect 1 "$RONDO" opt y.ir --pass fuse
says err 'E0723'
expect 0 "$RONDO" ir "$M" --after fuse -o x.ir
awk '/^  run product <T,B>/ { line = $0; next } { print } line && /^  run scan/ { print line; line = "" }' x.ir >y.ir
expect 0 "$RONDO" opt x.ir --pass lower_loops --lanes 8
expect 1 "$RONDO" opt y.ir --pass lower_loops --lanes 8
says err 'before something that it is computed from'
expect 1 "$RONDO" opt built.ir --pass legalize --pass lower_loops
says err 'run pass fuse first'
printf 'module x\naxis 0 B batch\ninput 0 x data f<B>[2]\ngraph model { %%1 = input x : f<B>[2]  %%2 = pad %%1 {0} 1 0  output %%2 }\n' >z.ir
expect 1 "$RONDO" opt z.ir --pass place
says err 'run pass legalize first'
expect 1 "$RONDO" opt x.ir --pass plan_memory
says err 'E0724'
expect 1 "$RONDO" opt y.lir --pass simplify
says err 'E0724'
expect 1 "$RONDO" explain "$M" --stop-after fuse
says err "stopped after 'fuse'"
expect 0 "$RONDO" ir "$M" --stage loops --print-after place --time-passes
says err '^  place %'
says err ' s .* plan_memory$'

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
