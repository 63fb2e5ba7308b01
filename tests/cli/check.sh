# rondo check: what a model is made of; errors on standard error with a place and exit 1.
. "$SRC/tests/lib.sh"

cat >m.rondo <<'END'
model tiny[H = 4] {
    input  x: seq [3]
    target y: [2]
    h = lstm[H](x)
    p = dense[2](h.last)
    output p
    loss mse(p, y)
}
END
expect 0 "$RONDO" check m.rondo
says out '^model tiny: 138 parameters'
says out 'param *h.Wi *\[4, 3\]'
says out 'state *h.c *\[4\]'
says out 'input *x *seq(T) \[3\]'
says out 'output *p *\[2\]'
silent err
expect 0 "$RONDO" check m.rondo --set H=8
says out 'param *h.Wi *\[8, 3\]'
expect 0 "$RONDO" check m.rondo --json
says out '^{"model": "tiny", "parameters": 138'
if command -v jq >/dev/null; then jq -e '.params | length > 0' out >/dev/null || fail "not JSON"; fi

sed 's/h.last/h.lsat/' m.rondo >bad.rondo
expect 1 "$RONDO" check bad.rondo
says err 'bad.rondo:5:'
says err 'error'
silent out
printf 'cell d[O](x: [I]) {\n    param W: [O, I] = glorot_uniform\n    return W @ x\n}\n' >cell.rondo
expect 0 "$RONDO" check cell.rondo
for f in "$SRC"/examples/*.rondo; do expect 0 "$RONDO" check "$f"; done

# the command line's settings are checked as those of the file: what training would refuse, check refuses
S=$SRC/examples/sunspots.rondo
for s in batch=-3 schedule=foo validation=3 monitor=f1 clip_norm=-1 horizon=0; do
    expect 1 "$RONDO" check "$S" --set "$s"
    says err "^ --> --set $s:1:"
done
expect 0 "$RONDO" check "$S" --set batch=8 --set H=3
expect 1 "$RONDO" check "$S" --set lr=0.1
says err "optimizer=adam(lr = 0.01)"
expect 1 "$RONDO" check "$S" --set epoch=3
says err 'did you mean `epochs`'
expect 0 "$RONDO" check "$S" --set 'freeze=["h.Wx"]'
says err 'no weight is called `h.Wx`'
# one cause, one error
RONDO_STD=$PWD/none expect 1 "$RONDO" check "$S"
[ "$(grep -c '^error' err)" = 1 ] || { cat err; fail "more than the missing library is reported"; }
mkdir empty
for command in "check $S" list; do
    RONDO_STD=$PWD/empty expect 1 "$RONDO" $command
    says err 'empty: this is not the standard library: there is no .rondo file'
    [ "$(grep -c '^error' err)" = 1 ] || { cat err; fail "more than the missing library is reported"; }
done
# a table without the column: the place of the key, and what there is
cp "$SRC"/examples/sunspots.* .
expect 1 "$RONDO" train sunspots.rondo --set column=spots -q
says err 'E0611'
says err "^ --> --set column=spots:1:1"
says err "it has 'year', "
expect 0 "$RONDO" train sunspots.rondo --set epochs=0 -o none.safetensors
says out 'trained: 0 epochs, 0 updates in [0-9.]* s; weights'
# a file of the library hides nothing of it, by whatever path it is named
mkdir -p lib/sub
cp "$SRC"/std/*.rondo lib
cd lib/sub
RONDO_STD=.. expect 0 "$RONDO" check ../lstm.rondo
silent err
RONDO_STD=$(cd .. && pwd) expect 0 "$RONDO" check ../sub/../lstm.rondo
silent err
cd ../..
# passes are for graphs
expect 1 "$RONDO" opt "$S" --pass simplify
says err 'error.E07'
