# docs/import.md, what an import loads, the round trip through emitted C, and sources that are damaged or lie.
. "$SRC/tests/lib.sh"
PATH=$(dirname "$RONDO"):$PATH
export PATH
at=$SRC/tests/import

# ---- the page ----
cp -r "$at/onnx/torch_lstm" speech
cp "$at/keras/text.keras" "$at/torch/tagger.json" "$at/torch/tagger.safetensors" .
echo '{"op": "Resize", "inputs": [{"name": "x", "shape": [1], "data": [1]}], "outputs": [{"name": "y", "shape": [1], "data": [1]}]}' >resize.json
tour "$SRC/docs/import.md"
[ "$n" -ge 10 ] || fail "docs/import.md has only $n commands"
expect 0 rondo check text/text.rondo
expect 0 rondo fmt --check text/text.rondo tagger/tagger.rondo speech/model_.rondo

# Each operator and layer that the code knows is on the page.
grep -ohE '(\{|n->op, )"[A-Z][A-Za-z0-9]+"' "$SRC/import/onnx_math.c" "$SRC/import/onnx_shape.c" "$SRC/import/keras_layers.c" |
    grep -oE '[A-Z][A-Za-z0-9]+' | sort -u >known
[ "$(wc -l <known)" -ge 60 ] || fail "only $(wc -l <known) names of operators and layers were found"
while read -r name; do grep -q "\`$name\`" "$SRC/docs/import.md" || fail "docs/import.md says nothing of $name"; done <known

# ---- libraries: protobuf is loaded by an import of ONNX alone ----
if command -v ldd >/dev/null; then
    ldd "$RONDO" >libs
    if grep -q protobuf libs; then fail "rondo is linked with protobuf"; fi
fi
if command -v strace >/dev/null; then
    strace -f -e trace=openat -o trace rondo import torch tagger.json -o traced >/dev/null 2>&1 || true
    if grep -q protobuf trace; then fail "an import of PyTorch loads protobuf"; fi
fi
mkdir empty
expect 1 env RONDO_LIBDIR="$PWD/empty" "$RONDO" import onnx speech/model.onnx -o none
says err E0654
expect 0 env RONDO_LIBDIR="$PWD/empty" "$RONDO" check tagger/tagger.rondo

# ---- the written model as C gives the expected numbers ----
for m in speech/model_ tagger/tagger text/text; do
    expect 0 rondo emit c "$m.rondo" -w "$m.safetensors" -o c --test
    b=$(basename "$m")
    expect 0 "$CC" -std=c99 -O1 -o "c/$b" "c/$b.c" "c/${b}_test.c" -lm
    expect 0 "c/$b"
    says out PASS
done

# ---- wrong use ----
expect 2 rondo import java x -o d
says err 'onnx, keras or torch'
expect 2 rondo import onnx speech/model.onnx
says err 'DIR is missing'

# ---- damaged sources: exit 1, one error, nothing written ----
tries=0
refused() { # KIND FILE [pattern]
    got=0
    timeout 20 rondo import "$1" "$2" -o never >.out 2>.err || got=$?
    [ "$got" = 1 ] || { cat .out .err >&2; fail "exit $got instead of 1: import $1 $2"; }
    silent .out
    [ "$(grep -c '^error' .err)" = 1 ] || { cat .err >&2; fail "not one error: import $1 $2"; }
    [ ! -e never ] || fail "import $1 $2 left something behind"
    [ -z "${3:-}" ] || says .err "$3"
    tries=$((tries + 1))
}
mkdir bad
for f in onnx:speech/model.onnx keras:text.keras torch:tagger.json; do
    kind=${f%%:*} file=${f#*:}
    size=$(wc -c <"$file")
    for k in 0 1 4 50 $((size / 3)) $((size / 2)) $((size - 100)) $((size - 2)); do
        head -c "$k" "$file" >bad/cut
        refused "$kind" bad/cut
    done
    head -c 5000 /dev/zero >bad/zeros
    refused "$kind" bad/zeros
    refused "$kind" bad/none E0001
    refused "$kind" bad
    for other in onnx keras torch; do [ $other = $kind ] || refused $other "$file"; done
done
head -c 3000 tagger.safetensors >bad/tagger.safetensors
cp tagger.json bad
refused torch bad/tagger.json 'outside the file'

# HDF5 that is cut off
echo '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": 1, "batch_input_shape": [null, 2]}}]}}' >arch.json
expect 0 rondo import keras arch.json --weights "$SRC/tests/fuzz/import/small.h5" -o arch
for k in 0 8 13 24 96 1000 3000; do
    head -c "$k" "$SRC/tests/fuzz/import/small.h5" >bad/w.h5
    expect 1 rondo import keras arch.json --weights bad/w.h5 -o never
    says err HDF5
done

json() { # KIND pattern TEXT
    printf '%s\n' "$3" >bad/x.json
    refused "$1" bad/x.json "$2"
}
lstm='"op": "LSTM", "attributes": {"hidden_size": 1}'
x='{"name": "X", "shape": [2, 1, 1], "data": [1, 2]}'
w='{"name": "W", "shape": [1, 4, 1], "data": [1, 2, 3, 4]}'
y='"outputs": [{"name": "Y", "shape": [2, 1, 1, 1], "data": [0, 0]}]'
json onnx 'no weights W or R' "{$lstm, \"inputs\": [$x, $w], $y}"
json onnx 'other dims than' "{$lstm, \"inputs\": [$x, $w, {\"name\": \"R\", \"shape\": [1, 4], \"data\": [1, 2, 3, 4]}], $y}"
json onnx 'given twice' "{$lstm, \"inputs\": [$x, $w, $w], $y}"
json onnx 'disagree' "{$lstm, \"inputs\": [{\"name\": \"X\", \"shape\": [1000000000, 1000000000, 1000], \"data\": [1]}], $y}"
json onnx 'no size' "{$lstm, \"inputs\": [{\"name\": \"X\", \"shape\": [4611686018427387904, 4], \"data\": []}], $y}"
json onnx 'is impossible' "{\"op\": \"GRU\", \"attributes\": {\"hidden_size\": 1e12}, \"inputs\": [$x, $w], $y}"
json onnx 'does not know' "{\"op\": \"Conv\", \"inputs\": [$x], $y}"
json onnx 'differs from what the source expects' "{$lstm, \"inputs\": [$x, $w, {\"name\": \"R\", \"shape\": [1, 4, 1], \"data\": [1, 2, 3, 4]}], $y}"
json onnx 'not a finite' "{$lstm, \"inputs\": [$x, $w, {\"name\": \"R\", \"shape\": [1, 4, 1], \"data\": [1, 2, 3, 1e300]}], $y}"
json torch 'no tensor' '{"layers": [{"kind": "lstm", "name": "r"}], "weights": {}}'
json torch 'ragged' '{"layers": [{"kind": "lstm"}], "weights": {"weight_ih_l0": [[1, 2], [1]]}}'
json torch 'sound JSON' '{"layers": [{"kind": "lstm"}], "weights": {"weight_ih_l0": [[NaN]]}}'
json torch 'another kind' '{"layers": [{"kind": "gru"}], "weights": {"weight_ih_l0": [[1], [2]], "weight_hh_l0": [[1], [2]]}}'
json torch 'no kind' '{"layers": [{"kind": "linear"}, {"kind": "conv"}], "weights": {"weight": [[1]]}}'
json torch "there is no kind 'gruu'" '{"layers": [{"kind": "gruu", "name": "r"}], "weights": {}}'
json torch 'no key "bidirectional"' '{"layers": [{"kind": "gru", "name": "r", "bidirectional": true}], "weights": {}}'
json torch 'no key "sequnce"' '{"layers": [{"kind": "linear"}], "sequnce": false, "weights": {"weight": [[1]]}}'
echo '{"class_name": "Sequential", "keras_version": "3.4.0", "config": {"layers": [{"class_name": "SimpleRNN", "weights": [[[1]], [[1]], [0]],
    "config": {"name": "r", "units": 1, "recurrent_dropout": 0.1, "batch_input_shape": [null, null, 1]}}]}}' >drops.json
expect 0 rondo import keras drops.json -o drops
says drops/drops.rondo "layer 'r' drops inputs or states of its cell in training: left out"
echo '{"layers": [{"kind": "linear", "name": "a"}], "weights": {"a.weight": [[1]], "b.weight": [[1]], "b.bias": [1]}}' >part.json
expect 0 rondo import torch part.json -o part
says err "E0655.*2 tensors, 'b.weight' the first, belong to no layer"
json keras 'circle' '{"class_name": "Functional", "config": {"layers": [
    {"class_name": "Add", "name": "a", "config": {}, "inbound_nodes": [[["b", 0, 0], ["b", 0, 0]]]},
    {"class_name": "Add", "name": "b", "config": {}, "inbound_nodes": [[["a", 0, 0], ["a", 0, 0]]]}], "output_layers": [["a", 0, 0]]}}'
json keras 'is missing' '{"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {"units": 2, "batch_input_shape": [null, null, 1]}}]}}'
json keras 'does not know' '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Conv2D", "config": {"batch_input_shape": [null, null, 1]}}]}}'
json keras 'no size' '{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"units": -1, "batch_input_shape": [null, 1]}}]}}'

# graphs that lie, or that Rondo has no counterpart for
while read -r name why; do
    refused onnx "$at/refused/$name.onnx" "$why"
done <<'END'
batch_mean works across the batch
clip clip has to be finite
cyclic which no node before it makes
dims dims do not fit its numbers
directions has other dims than
external in another file
last_with_lengths runs over the padding
lengths_of_one_layer runs over the padding
loops_in_loops more than 20000 nodes
nan not a finite
negative impossible dims
nested nested past all reason
nothing_fixed has no fixed size
reshape mixes batch or time
rounds rounds is not from 1
softmax_time does not run over all features
twice two values of the graph are called
END
[ "$(ls "$at/refused" | wc -l)" = 17 ] || fail "a file of tests/import/refused is not tried"

awk 'BEGIN { for (i = 0; i < 100000; i++) printf "[" }' >bad/deep.json
refused keras bad/deep.json
echo "$tries refusals"
