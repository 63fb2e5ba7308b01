# rondo run --trace: states before the first step, then input, states and outputs of each, of one example of the data.
. "$SRC/tests/lib.sh"
printf '{"x": [1, 2.5], "z": [10], "y": 0}\n{"x": [4, 5, 6], "z": [20], "y": 1}\n' >two.jsonl
cat >sums.rondo <<'END'
cell sums(x: [1], z: [1]) {
    state s: [1] = 100
    state odd: bool = false
    s' = s + x + z
    odd' = not odd
    return [s', -x]
}
model sums {
    input x: seq [1]
    input z: [1]
    target y: [1]
    h = sums(x, z)
    output last = h.last[0:1], h
    loss mse(h.last[0:1], y)
    data { jsonl = "two.jsonl", split = 1 }
}
END
expect 0 "$RONDO" run sums.rondo --trace
cat >want <<'END'
start
  h.s                  100
  h.odd                0
step 1
  x                    1
  z                    10
  h.s                  111
  h.odd                1
  last                 111
  h                    111 -1
step 2
  x                    2.5
  z                    10
  h.s                  123.5
  h.odd                0
  last                 123.5
  h                    123.5 -2.5
END
cmp out want || { cat out; fail "not the steps of the first example"; }
expect 0 "$RONDO" run sums.rondo --trace --example 1
[ "$(grep -c '^step' out)" = 3 ] || fail "not the steps of the second example"
says out 'h  *175 -6$'
expect 1 "$RONDO" run sums.rondo --trace --example 2
says err 'E0554.*there are 2'
expect 2 "$RONDO" run sums.rondo --trace --out x.npz
expect 2 "$RONDO" run sums.rondo --example 1
sed 's/sums(x, z)/reverse(sums(x, z))/' sums.rondo >back.rondo
expect 1 "$RONDO" run back.rondo --trace
says err 'E0557'
