# rondo gradcheck of everything in std that has a derivative: every cell, activation and loss, below 1e-6. The names are read
# from std/, so that a new one without a model here is a failure.
. "$SRC/tests/lib.sh"
passed=0
failed=0

# hold NAME FILE [OPTION..]: the gradients of a model
hold() {
    name=$1
    shift
    for engine in $engines; do
        if "$RONDO" gradcheck "$@" --engine "$engine" >out 2>err && grep -q ' ok$' out && ! grep -q PAST out; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "FAILED: $name, $engine" >&2
            cat "$1" out err >&2
        fi
    done
}
# check NAME LINES..: a model of these lines
check() {
    file=$1.rondo
    { echo "model m {"; shift; printf '    %s\n' "$@"; echo "}"; } >"$file"
    hold "${file%.rondo}" "$file"
}

# a derivative that is not the function's is found, unless it is marked
for mark in "" ", straight_through"; do
    printf 'fn f(x) = x^3 grad x = 2 * x%s\nmodel m {\n    input x: [3]\n    loss mean(f(x))\n}\n' "$mark" >own.rondo
    expect $([ -z "$mark" ] && echo 1 || echo 0) "$RONDO" gradcheck own.rondo
    says out "$([ -z "$mark" ] && echo 'PAST 1e-6' || echo 'not checked: it passes a straight-through function')"
done
printf 'fn f(x) = x^3 grad x = 3 * x^2\nmodel m {\n    input x: [3]\n    loss mean(f(x))\n}\n' >own.rondo
expect 0 "$RONDO" gradcheck own.rondo

names() { sed -n "s/^$1 \([a-z_0-9]*\).*/\1/p" "$SRC/std/$2.rondo"; }

engines="jit loops eval"
X="input x: seq [3]"
Y="target y: seq [5]"
L="loss mse(p, y)"
for cell in $(cd "$SRC/std" && sed -n 's/^cell \([a-z_0-9]*\).*/\1/p' ./*.rondo); do
    case $cell in
        dense) check "$cell" "$X" "$Y" "p = dense[5, act = tanh](x)" "$L" ;;
        dropout) check "$cell" "$X" "$Y" "p = dense[5](dropout[0.3](dense[7](x)))" "$L" ;;
        dropout_sequence) check "$cell" "$X" "$Y" "p = simple_rnn[5](dropout_sequence[0.3](dense[7](x)))" "$L" ;;
        layer_norm | rms_norm) check "$cell" "$X" "$Y" "p = $cell(dense[5](x))" "$L" ;;
        embedding) check "$cell" "input x: seq token[6]" "$Y" "p = lstm[5](embedding[6, 4, table = normal(0, 1)](x))" "$L" ;;
        bidirectional) check "$cell" "$X" "target y: seq [8]" "p = bidirectional[gru[4]](x)" "$L" ;;
        rhn_layer | ntm_head) ;; # parts of rhn_deep and ntm
        lstm | gru) hold "$cell" "$SRC/tests/models/cells.rondo" --model "$cell" ;;
        *) engines=jit; hold "$cell" "$SRC/tests/models/cells.rondo" --model "$cell"; engines="jit loops eval" ;;
    esac
done
check last "$X" "target y: [2]" "h = gru[5](x)" "p = dense[2](h.last)" "$L"
check ragged_stack "$X" "target y: [2]" "h = gru[4](dropout[0.2](lstm[9](x)))" "p = dense[2](h.mean)" "$L"

engines="jit"
for f in $(names fn activations); do
    case $f in
        clip) call="clip(d, -0.3, 0.4)" ;;
        norm | logsumexp) call="d * $f(d)" ;;
        sign) call="d * sign(d)" ;;
        *) call="$f(d)" ;;
    esac
    check "$f" "$X" "$Y" "d = dense[5](x)" "p = $call" "$L"
done

for f in $(names fn losses); do
    case $f in
        softmax_crossentropy) check "$f" "$X" "target y: seq token[5]" "z = dense[5](x)" "loss $f(z, y)" ;;
        sparse_crossentropy) check "$f" "$X" "target y: seq token[5]" "p = softmax(dense[5](x))" "loss $f(p, y)" ;;
        binary_crossentropy) check "$f" "$X" "target y: seq bool" "p = sigmoid(dense[1](x))" "loss $f(p, y)" ;;
        categorical_crossentropy | kl_divergence) check "$f" "$X" "$Y" "p = softmax(dense[5](x))" "loss $f(p, y)" ;;
        poisson | msle) check "$f" "$X" "$Y" "p = exp(dense[5](x))" "loss $f(p, y)" ;;
        *) check "$f" "$X" "$Y" "p = dense[5](x)" "loss $f(p, y)" ;;
    esac
done

# a dropout mask is a function of the seed: the same gradients twice, others for another seed
"$RONDO" gradcheck dropout.rondo --seed 5 >one
"$RONDO" gradcheck dropout.rondo --seed 5 >two
cmp -s one two || fail "the mask of one seed differs between two runs"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
