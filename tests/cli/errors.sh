# A command that fails leaves no file behind, and what was there stays.
. "$SRC/tests/lib.sh"

cp "$SRC/examples/sunspots.rondo" "$SRC/examples/sunspots.csv" .
mkdir here && cd here
cp ../sunspots.csv .
sed 's/dense/dnese/' ../sunspots.rondo >bad.rondo
cp ../sunspots.rondo good.rondo
printf 'not weights' >w.safetensors
printf 'year,sunspots\n1700,five\n' >bad.csv
ls >../before
mv ../before before
ls >before

fails() {
    expect 1 "$RONDO" "$@"
    [ -s err ] || fail "no message: $*"
    silent out
    rm -f out err
    ls >../now
    cmp -s before ../now || { diff before ../now >&2 || true; fail "files left by: $*"; }
}
fails check bad.rondo
fails train bad.rondo -q -o out.safetensors
fails train good.rondo -q -o out.safetensors --data missing.csv
fails train good.rondo -q -o out.safetensors --data bad.csv
fails train good.rondo -q -o no/such/folder/out.safetensors --set epochs=1
fails train good.rondo -q -o out.safetensors --set epohcs=1
fails eval good.rondo -w w.safetensors
"$RONDO" train good.rondo -q -o ../other.safetensors --set epochs=1 >/dev/null
printf 'model m {\n    input x: seq [1]\n    target y: [1]\n    q = gru[2](x)\n    output p = q.last[0:1]\n    loss mse(p, y)\n}\n' >../m.rondo
fails eval ../m.rondo -w ../other.safetensors
fails predict good.rondo -w w.safetensors -o out.csv
fails predict good.rondo -w missing.safetensors -o out.csv
fails emit c good.rondo -w w.safetensors -o dir
fails run good.rondo --in missing.npz --out out.npz
fails ir bad.rondo -o out.ir
fails opt bad.rondo
[ "$(cat w.safetensors)" = 'not weights' ] || fail "a file was changed"
