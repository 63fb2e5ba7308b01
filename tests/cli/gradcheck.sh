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

# of a table most rows are read by no token: half of what is looked at is where the gradient is not 0
printf 'model m {\n    input t: seq token[5000]\n    target y: [2]\n    p = dense[2](embedding[5000, 4, table = normal(0, 1)](t).mean)\n    loss mse(p, y)\n}\n' >table.rondo
expect 0 "$RONDO" gradcheck table.rondo -b 2 -T 3
says out 'param/embedding.E  *[1-9][0-9.]*e-[0-9]*  .* of 20000 elements  ok'
printf 'model m {\n    input x: [30]\n    target y: [9]\n    loss mse(dense[9](x), y)\n}\n' >wide.rondo
expect 0 "$RONDO" gradcheck wide.rondo
says out 'param/dense.W .* 200 of 270 elements  ok'
expect 0 "$RONDO" gradcheck wide.rondo --all
says out 'param/dense.W .* 270 of 270 elements  ok'

# a derivative that is not the function's is found, unless it is marked
for mark in "" ", straight_through"; do
    printf 'fn f(x) = x^3 grad x = 2 * x%s\nmodel m {\n    input x: [3]\n    loss mean(f(x))\n}\n' "$mark" >own.rondo
    expect $([ -z "$mark" ] && echo 1 || echo 0) "$RONDO" gradcheck own.rondo
    says out "$([ -z "$mark" ] && echo 'PAST 1e-6' || echo 'not checked: it passes a straight-through function')"
done
printf 'fn f(x) = x^3 grad x = 3 * x^2\nmodel m {\n    input x: [3]\n    loss mean(f(x))\n}\n' >own.rondo
expect 0 "$RONDO" gradcheck own.rondo

# so is one of a learned start; and a state that is no number below 0 stays where its start is
cat >start.rondo <<'END'
fn f(x) = x^3 grad x = 2 * x
cell c(x: [H]) {
    param h0: [H] = 0.5
    state h: [H] = f(h0)
    h' = tanh(x + h)
    return h'
}
cell filter(x: [H]) {
    state m: [H] = 0
    state v: [H] = 1
    k = (v + 0.1) / (v + 0.6)
    m' = m + k * (x - m)
    v' = (1 - k) * (v + 0.1)
    return [m', log(v')]
}
model start { input x: seq [3] loss mean(c(x)) }
model variance { input x: seq [3] loss mean(filter(x)) }
END
expect 1 "$RONDO" gradcheck start.rondo -m start
says out 'param/c.h0 .* PAST 1e-6'
expect 0 "$RONDO" gradcheck start.rondo -m variance

# where W is about 0.001, coarse steps pass a kink on either side and agree on half of the slope
printf 'model m {\n    input x: seq [5]\n    target y: seq [9]\n    p = irnn[9](x)\n    loss mse(p, y)\n}\n' >small.rondo
expect 0 "$RONDO" gradcheck small.rondo -b 2 -T 4
says out "param/p.W .* ok"

once() {
    engines=jit
    check "$@"
    engines="jit loops eval"
}
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
        group_norm) once "$cell" "$X" "target y: seq [4, 5]" "p = group_norm(reshape(dense[20](x), 4, 5))" "$L" ;;
        embedding) check "$cell" "input x: seq token[6]" "$Y" "p = lstm[5](embedding[6, 4, table = normal(0, 1)](x))" "$L" ;;
        residual) once "$cell" "$X" "$Y" "p = residual[gru[5]](dense[5](x))" "$L" ;;
        residual_stack) once "$cell" "$X" "$Y" "p = residual_stack[dense[5, act = tanh], N = 3](dense[5](x))" "$L" ;;
        gaussian_noise) once "$cell" "$X" "$Y" "p = gaussian_noise(dense[5](x))" "$L" ;;
        causal_conv) once "$cell" "$X" "$Y" "p = causal_conv[5, K = 5, dilation = 2](x)" "$L" ;;
        autoregression) once "$cell" "$X" "target y: [5]" "p = autoregression[5, 4](dense[2](x))" "$L" ;;
        additive_attention) once "$cell" "$X" "input m: seq(S) [5]" "$Y" "p = additive_attention[4](x, m)" "$L" ;;
        scaled_dot_attention) once "$cell" "$X" "input m: seq(S) [5]" "$Y" "p = scaled_dot_attention(x, dense[3](m), m)" "$L" ;;
        self_attention) once "$cell" "$X" "$Y" "p = self_attention[5](x)" "$L" ;;
        attention_pool) once "$cell" "$X" "target y: [2]" "p = dense[2](attention_pool[4](x))" "$L" ;;
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
        glu) call="glu([d, d * d])" ;;
        sparsemax) call="d * sparsemax(3 * d)" ;;
        supported) call="d * supported(d)" ;;
        sign) call="d * sign(d)" ;;
        *) call="$f(d)" ;;
    esac
    check "$f" "$X" "$Y" "d = dense[5](x)" "p = $call" "$L"
done

for f in $(names fn losses); do
    case $f in
        mixture_density) check "$f" "$X" "target y: seq [2]" "w = dense[3](x)" "mu = reshape(dense[6](x), 3, 2)" "s = exp(reshape(dense[6](x), 3, 2))" "loss $f(w, mu, s, y)" ;;
        log_densities) ;; # a part of mixture_density
        gaussian_crossentropy) check "$f" "$X" "$Y" "mu = dense[5](x)" "s = exp(dense[5](x))" "loss $f(mu, s, y)" ;;
        smooth) check "$f" "$X" "target y: seq bool" "p = sigmoid(dense[1](x))" "loss binary_crossentropy(p, smooth(y))" ;;
        weighted_softmax_crossentropy) check "$f" "$X" "target y: seq token[5]" "const w: [5] = 1 + col" "z = dense[5](x)" "loss $f(z, y, w)" ;;
        focal_crossentropy) check "$f" "$X" "target y: seq bool" "p = sigmoid(dense[1](x))" "loss $f(p, y)" ;;
        smooth_categorical_crossentropy) check "$f" "$X" "$Y" "p = softmax(dense[5](x))" "loss $f(p, y)" ;;
        softmax_crossentropy | smooth_softmax_crossentropy) check "$f" "$X" "target y: seq token[5]" "z = dense[5](x)" "loss $f(z, y)" ;;
        sparse_crossentropy) check "$f" "$X" "target y: seq token[5]" "p = softmax(dense[5](x))" "loss $f(p, y)" ;;
        binary_crossentropy) check "$f" "$X" "target y: seq bool" "p = sigmoid(dense[1](x))" "loss $f(p, y)" ;;
        categorical_crossentropy | kl_divergence) check "$f" "$X" "$Y" "p = softmax(dense[5](x))" "loss $f(p, y)" ;;
        poisson | msle) check "$f" "$X" "$Y" "p = exp(dense[5](x))" "loss $f(p, y)" ;;
        *) check "$f" "$X" "$Y" "p = dense[5](x)" "loss $f(p, y)" ;;
    esac
done

# weights that begin as 0 put a relu on its kink and the sides of a max level: they are looked at beside it
cat >kink.rondo <<'END'
model kink {
    param W: [3, 2] = 0
    param b: [3] = 0
    param c: [3] = 0
    param s: [3] = 0.3
    input x: seq [2]
    target y: [3]
    last = x.last
    p = max(s * last[0], s * last[0] + c) + relu(W @ last + b) + abs(b)
    output p
    loss mse(p, y)
}
END
expect 0 "$RONDO" gradcheck kink.rondo
[ "$(grep -c ' ok$' out)" = 5 ] || { cat out; fail "gradients beside a kink"; }

# a dropout mask is a function of the seed: the same gradients twice, others for another seed
"$RONDO" gradcheck dropout.rondo --seed 5 >one
"$RONDO" gradcheck dropout.rondo --seed 5 >two
cmp -s one two || fail "the mask of one seed differs between two runs"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
