# Cells and models of the literature against shared/conformance/cells: outputs, final states, loss, every gradient, five steps
# of Adam; f64 to 1e-10 with three engines, f32 to the bars of the files with two. HOW="c f32": with emitted C instead, which
# takes a C compiler two seconds a model.
. "$SRC/tests/lib.sh"
at=${RONDO_SHARED:-$SRC/../shared}/conformance/cells
[ -d "$at" ] || { echo "skipped: no $at"; exit 77; }
must="lstm gru_v1 gru_v3 elman_tanh irnn layernorm_lstm mingru fastgrnn"
more="attention_pool bilstm2 char_lm_tied closed_loop deltanet lstm_peephole lstm_varlen ltc mdn mlstm qrnn rhn s4d_real seq2seq_attention slstm tbptt_lstm"
if [ -n "${HOW:-}" ]; then set -- "$HOW"; else set -- "eval f64" "loops f64" "jit f64" "loops f32" "jit f32"; fi
passed=0
failed=0
for name in $must $more; do
    for how; do
        engine=${how% *} dtype=${how#* } rc=0
        "$RONDO" run "$SRC/tests/conform/cells/$name.rondo" --in "$at/$name.npz" --compare --engine "$engine" --dtype "$dtype" >out 2>err || rc=$?
        # every expected array of the file has a line of its own, and there are at least loss, one output and one gradient
        if [ $rc = 0 ] && grep -q '^loss .* ok$' out && grep -q '^output/.* ok$' out && grep -q '^grad/param/.* ok$' out &&
            grep -q '^adam/loss .* ok$' out && ! grep -q PAST out; then
            passed=$((passed + 1))
            [ "$how" != "${HOW:-jit f64}" ] || echo "$name: $(wc -l <out) arrays, worst $(awk '{ print $2 }' out | sort -g | tail -n 1) in $dtype"
        else
            failed=$((failed + 1))
            echo "FAILED: $name, $engine, $dtype: exit $rc" >&2
            grep PAST out >&2 || true
            head -n 20 err >&2
        fi
    done
done
for f in "$at"/*.npz; do
    name=$(basename "$f" .npz)
    case " $must $more " in *" $name "*) ;; *) fail "$name has no model here" ;; esac
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
