# train, eval, predict and run on arrays (.npz) that hold more than the model asks for.
. "$SRC/tests/lib.sh"
npz=${RONDO_SHARED:-$SRC/../shared}/conformance/cells/lstm.npz
[ -f "$npz" ] || exit 77
M=$SRC/tests/conform/cells/lstm.rondo

expect 0 "$RONDO" train "$M" --data "$npz" -o w.safetensors --set epochs=2 -q
says out '2 epochs'
expect 0 "$RONDO" eval "$M" -w w.safetensors --data "$npz"
says out '^loss 0\.'
expect 0 "$RONDO" predict "$M" -w w.safetensors --data "$npz"
says out '^output,example,step,0,1'
[ "$(grep -c '^y,' out)" = 21 ] || fail "not a row a step of an example"
printf 'model m {\n    input x: seq [5]\n    h = lstm[9](x)\n    output last = h.last\n}\n' >last.rondo
expect 0 "$RONDO" predict last.rondo -w w.safetensors --rename 'y.*=h.*' --data "$npz"
says out '^output,example,0,1,2,3,4,5,6,7,8$'
[ "$(grep -c '^last,' out)" = 3 ] || fail "not a row an example"
expect 0 "$RONDO" run "$M" --in "$npz" --compare --out y.npz
says out '^output/y .* ok$'
expect 2 "$RONDO" predict "$M" -w w.safetensors --data "$npz" --future 3
expect 1 "$RONDO" eval "$SRC/examples/tiny.rondo" -w w.safetensors --data "$npz"
expect 1 "$RONDO" run "$SRC/examples/tiny.rondo" --in "$npz" --compare
printf 'PK' >bad.npz
expect 1 "$RONDO" run "$M" --in bad.npz --compare
says err 'bad.npz'

# names that are meant for the model and are not its own
printf 'model m {\n    input x: seq [5]\n    target goal: seq [9]\n    h = lstm[9](x)\n    output y = h\n    loss mse(h, goal)\n}\n' >other.rondo
expect 0 "$RONDO" run other.rondo --in "$npz" --out y.npz
says err "E0607.*'param/y.Wi' is nothing that 'm' has"
says err "did you mean 'param/h.Wi'"
says err "did you mean 'init/h.c'"
expect 0 "$RONDO" run "$M" --in "$npz" --out y.npz
silent err
