# Exit codes 0 and 2, and where the words go.
. "$SRC/tests/lib.sh"

expect 2 "$RONDO"
says err 'usage: rondo'
silent out
expect 0 "$RONDO" --help
says out 'usage: rondo'
silent err
expect 0 "$RONDO" --version
says out '^rondo [0-9][0-9.]*$'
expect 2 "$RONDO" chekc
says err "did you mean 'check'"
expect 2 "$RONDO" --nope
says err "no option '--nope'"

for epochs in --epochs --epochs=5; do
    expect 2 "$RONDO" train x.rondo $epochs 5
    says err 'unknown option --epochs.*; a key of the train block is set by --set epochs=\.\.$'
done

for c in $commands; do
    expect 0 "$RONDO" "$c" --help
    says out "^usage: rondo $c "
    silent err
    expect 0 "$RONDO" help "$c"
    says out "^usage: rondo $c "
    expect 2 "$RONDO" "$c"
    says err missing
    silent out
    expect 2 "$RONDO" "$c" --no-such-option x
    says err 'unknown option'
    # each command's help fits a terminal and names every option once
    "$RONDO" "$c" --help | awk 'length > 120 { exit 1 }' || fail "$c --help is too wide"
    [ -z "$("$RONDO" "$c" --help | grep -o -e '--[a-z-]*' | sort | uniq -d | grep -v -e '^--future$' -e '^--data$' -e '^--in$' -e '^--trace$' -e '^--pass$' -e '^--batch$' -e '^--steps$')" ] ||
        fail "$c --help repeats an option"
done

expect 2 "$RONDO" train x.rondo --thraeds 3
says err 'did you mean --threads'
expect 2 "$RONDO" train x.rondo --seed
says err 'needs a value'
expect 2 "$RONDO" train x.rondo --seed x
says err 'whole number'
expect 2 "$RONDO" train x.rondo --set novalue
says err 'KEY=VALUE'
expect 2 "$RONDO" train x.rondo --engine turbo
says err 'jit, c, loops or eval'
expect 2 "$RONDO" check a.rondo b.rondo
says err 'one argument too many'
expect 2 "$RONDO" emit java x.rondo -o d
says err 'not .java'
expect 2 "$RONDO" emit c x.rondo
says err 'DIR is missing'
expect 2 "$RONDO" run x.rondo
says err 'X.npz is missing'
expect 2 "$RONDO" predict x.rondo --data x.npz --future 3
expect 0 "$RONDO" help E0001
says out '^E0001: '
expect 0 "$RONDO" help 999
expect 2 "$RONDO" help E9998
says err 'no error'
expect 2 "$RONDO" help trian
says err "did you mean 'train'"

# what is printed has to arrive, and goes into no file that was opened where an output was closed
cat >y.rondo <<'END'
model y {
    input x: seq [1]
    target y: [1]
    h = gru[3](x)
    p = dense[1](h.last)
    output p
    loss mse(p, y)
    train { optimizer = adam(lr = 0.01), epochs = 2, batch = 8, validation = 0.2 }
    data { csv = "y.csv", column = 1, window = 4, horizon = 1 }
}
END
i=0
while [ $i -lt 60 ]; do
    echo "$i,$((i * 7 % 11)).5"
    i=$((i + 1))
done >y.csv
if [ -w /dev/full ]; then
    for c in --help --version 'help E0001' 'train --help' list 'check y.rondo' 'gradcheck y.rondo'; do
        "$RONDO" $c >/dev/full 2>err && fail "a full device took what rondo $c printed"
        says err 'cannot write to standard output'
    done
fi
"$RONDO" train y.rondo --seed 1 -o open.safetensors --checkpoint open.state >out 2>err || fail "train"
"$RONDO" train y.rondo --seed 1 -o closed.safetensors --checkpoint closed.state <&- >&- 2>&- && fail "nobody reads the result"
cmp open.safetensors closed.safetensors || fail "weights depend on open outputs"
cmp open.state closed.state || fail "a checkpoint depends on open outputs"

# data through a pipe would be gone after the first reading
cat y.csv | expect 1 "$RONDO" eval y.rondo -w open.safetensors --data /dev/stdin
says err "takes a file, not '/dev/stdin'"
expect 1 "$RONDO" eval y.rondo -w open.safetensors --data - <y.csv
says err "takes a file, not '-'"
expect 0 "$RONDO" eval y.rondo -w open.safetensors --data y.csv
for seed in +1 ' 1' 1.5 0x10; do
    expect 2 "$RONDO" train y.rondo -q --seed "$seed"
    says err 'whole number'
done
