# rondo new, list, doc: what `new` writes trains at once, and every command in its comments runs; `list` names every declaration
# of std, `doc` shows each.
. "$SRC/tests/lib.sh"
PATH=$(dirname "$RONDO"):$PATH
export PATH

for kind in forecast classify classify-sequences language-model cell; do
    name=my_$(echo $kind | tr - _)
    expect 0 "$RONDO" new $kind $name
    says out "^next: rondo train $name.rondo"
    ! grep -q NAME $name.rondo || fail "$name.rondo has NAME left"
    expect 0 "$RONDO" fmt --check $name.rondo
    sed -n 's/^#     rondo /rondo /p' $name.rondo >commands
    grep -q "^rondo train $name.rondo$" commands || fail "$name.rondo does not say how to train it"
    while read -r command <&3; do
        expect 0 sh -euc "$command"
    done 3<commands
    [ -s $name.safetensors ] || fail "$name has no weights"
done
# they learn: less than half a naive forecast's error, nearly every text right
expect 0 "$RONDO" eval my_classify.rondo -w my_classify.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.8 } END { exit !ok }' out || fail "classify: $(cat out)"
expect 0 "$RONDO" eval my_classify_sequences.rondo -w my_classify_sequences.safetensors
awk '/^sparse_accuracy/ { ok = $2 >= 0.85 } END { exit !ok }' out || fail "classify-sequences: $(cat out)"
awk -F, '$4 == "test" && $2 != "" { e += ($3 - $2) ^ 2; p += ($2 - last) ^ 2 } { last = $2 } END { exit !(e < p / 4) }' my_forecast-forecast.csv ||
    fail "the forecast is no better than half of persistence"

# nothing is written over, nothing is left half
cp my_cell.rondo before
expect 1 "$RONDO" new cell my_cell
says err 'my_cell.rondo is there already'
cmp before my_cell.rondo
: >half.csv
expect 1 "$RONDO" new forecast half
says err 'half.csv is there already'
[ ! -e half.rondo ] || fail "half a model was written"
expect 1 "$RONDO" new forecast x -o no/such/folder
mkdir sub
expect 0 "$RONDO" new forecast x -o sub
[ -s sub/x.rondo ] && [ -s sub/x.csv ] || fail "-o sub"
expect 2 "$RONDO" new forcast x
says err "did you mean 'forecast'"
for bad in 1x a-b a/b ''; do
    expect 2 "$RONDO" new forecast "$bad"
    says err 'letters, digits and _'
done

expect 0 "$RONDO" list
cat "$SRC"/std/*.rondo | sed -n 's/^\(cell\|fn\|init\|metric\|optimizer\) \([a-z0-9_]*\).*/\1 \2/p' >names
[ "$(wc -l <names)" -gt 150 ] || fail "only $(wc -l <names) declarations in std"
while read -r kind name <&3; do
    says out "^  $kind  *$name\([[(= ]\|\$\)"
done 3<names
awk 'length > 130 { exit 1 }' out || fail "a line of rondo list is too wide"
expect 0 "$RONDO" doc lstm
says out 'Gers, Schmidhuber, Cummins 2000'
says out "^    h' = o \* act(c')$"
says out '^learnt  *Wi, Wf, Wg, Wo  *\[H, I\]  *[a-z]'
says out '^remembered  h, c  *\[H\]  *0$'
[ "$(grep -c '^cell' out)" = 2 ] || fail "doc lstm shows more than lstm"
for name in adam relu glorot_uniform f1 softmax_crossentropy; do
    expect 0 "$RONDO" doc $name
    says out "$name"
done
expect 2 "$RONDO" doc lsmt
says err "did you mean 'lstm'"
