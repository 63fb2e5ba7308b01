# Files that are truncated, too long, or lie: exit 1, one error, no file written, and soon.
. "$SRC/tests/lib.sh"

cat >m.rondo <<'END'
model m {
    input x: seq [2]
    target y: [1]
    h = lstm[3](x)
    p = dense[1](h.last)
    output p
    loss mse(p, y)
    train { epochs = 1, batch = 4 }
}
END
cat >s.rondo <<'END'
model s {
    input x: seq [1]
    target y: [1]
    h = simple_rnn[2](x)
    p = dense[1](h.last)
    output p
    loss mse(p, y)
    data { csv = "good.csv", column = "v", window = 3 }
    train { epochs = 1 }
}
END
awk 'BEGIN { print "t,v"; for (i = 0; i < 30; i++) print 1900 + i "," i % 7 }' >good.csv

# bytes N COUNT: N little-endian in COUNT bytes
bytes() {
    n=$1
    k=$2
    while [ "$k" -gt 0 ]; do
        printf "\\$(printf %03o $((n % 256)))"
        n=$((n / 256))
        k=$((k - 1))
    done
}
zeros() { head -c "$1" /dev/zero; }
npy() { # DESCR SHAPE DATA_BYTES
    dict="{'descr': $1, 'fortran_order': False, 'shape': $2, }"
    printf '\223NUMPY\001\000'
    bytes "${#dict}" 2
    printf %s "$dict"
    zeros "$3"
}

mkdir good bad
expect 0 "$RONDO" train s.rondo -q -o good/s.safetensors --checkpoint good/state
npy "'<f4'" '(2, 3, 2)' 48 >good/x.npy
tries=0

# refused FILE command..: the command says one error, and only the files that were there are there afterwards.
refused() {
    file=$1
    shift
    ls >.before
    got=0
    timeout 60 "$@" >.out 2>.err || got=$?
    [ "$got" = 1 ] || { cat .out .err >&2; fail "exit $got instead of 1 with $file: $*"; }
    silent .out
    errors=$(grep -c '^error' .err || true)
    most=1
    case $file in */other_names | */nothing) most=4 ;; esac # one a tensor that is missing
    [ "$errors" -ge 1 ] && [ "$errors" -le "$most" ] || { cat .err >&2; fail "$errors errors instead of one with $file: $*"; }
    [ "$(wc -c <.err)" -lt 2000 ] || fail "a message of $(wc -c <.err) bytes with $file: $*"
    ls >.after
    cmp -s .before .after || { diff .before .after >&2 || true; fail "files left with $file: $*"; }
    tries=$((tries + 1))
}
weights() { for f in bad/*; do refused "$f" "$RONDO" "$@" -w "$f"; done; }

# ---- safetensors ----
st() { # HEADER DATA_BYTES
    bytes "${#1}" 8
    printf %s "$1"
    zeros "$2"
}
size=$(wc -c <good/s.safetensors)
for n in 0 1 7 8 9 20 100 $((size - 100)) $((size - 1)); do head -c "$n" good/s.safetensors >"bad/cut$n"; done
{ cat good/s.safetensors && printf x; } >bad/longer
{ printf '\377\377\377\377\377\377\377\177' && tail -c +9 good/s.safetensors; } >bad/huge_header
{ bytes 99000000 8 && tail -c +9 good/s.safetensors; } >bad/long_header
{ bytes 3 8 && tail -c +9 good/s.safetensors; } >bad/short_header
st '{"h.W":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}' 8 >bad/overflow
st '{"h.W":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}' 8 >bad/terabytes
st '{"h.W":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"h.U":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12 >bad/overlap
st '{"h.W":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12 >bad/gap
st '{"h.W":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}' 8 >bad/complex
st '{"h.W":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 8 >bad/other_names
st '{}' 0 >bad/nothing
{ bytes 50000 8 && awk 'BEGIN { for (i = 0; i < 50000; i++) printf "[" }'; } >bad/deep
{ bytes 50002 8 && printf '{"' && zeros 50000; } >bad/nuls
cp good/x.npy bad/array
cp s.rondo bad/text
mkdir bad/folder
weights eval s.rondo
rm -f bad/long_header bad/deep bad/cut20
weights predict s.rondo -o forecast.csv
weights emit c s.rondo -o emitted
for f in bad/*; do refused "$f" "$RONDO" train s.rondo -q -o new.safetensors --resume "$f"; done
size=$(wc -c <good/state)
rm -rf bad && mkdir bad
for n in 5 $((size / 2)) $((size - 1)); do head -c "$n" good/state >"bad/cut$n"; done
{ head -c $((size - 3)) good/state && printf xyz; } >bad/damaged
for f in bad/*; do refused "$f" "$RONDO" train s.rondo -q -o new.safetensors --resume "$f"; done

# ---- npz ----
"$RONDO" ir m.rondo >/dev/null
rm -rf bad && mkdir bad
cp good/x.npy input.npy
npy "'<f4'" '(2, 3, 2)' 47 >bad/cut_data.npz
head -c 40 good/x.npy >bad/cut_header.npz
npy "'<f4'" '(1000000000, 1000000000, 1000000000)' 48 >bad/overflow.npz
npy "'<f4'" '(1000000000000,)' 48 >bad/terabytes.npz
npy "'|O'" '(2,)' 16 >bad/objects.npz
npy "[('a', '<f4')]" '(2,)' 8 >bad/records.npz
npy "'<f4'" '(2, 3, 2)' 48 >bad/no_name.npz
: >bad/empty.npz
printf 'PK\003\004' >bad/zip4.npz
printf 'PK\005\006' >bad/end4.npz
{ printf 'PK\005\006' && zeros 18; } >bad/no_members.npz
for f in stored deflated; do
    z=$SRC/tests/fuzz/files/$f.npz
    n=$(wc -c <"$z")
    for k in 10 100 $((n / 2)) $((n - 1)); do head -c "$k" "$z" >"bad/$f$k.npz"; done
    cp "$z" "bad/${f}_other_shapes.npz"
    { head -c 60 "$z" && printf xxxxxxxx && tail -c +69 "$z"; } >"bad/${f}_damaged.npz"
done
for f in bad/*; do refused "$f" "$RONDO" run m.rondo --in "$f" --out new.npz; done
for f in bad/*; do refused "$f" "$RONDO" train m.rondo -q --data "$f" -o new.safetensors; done

# ---- CSV ----
rm -rf bad && mkdir bad
: >bad/empty.csv
echo 't,v' >bad/header.csv
head -n 3 good.csv >bad/few.csv
{ cat good.csv && printf '1950,\000\n'; } >bad/nul.csv
{ cat good.csv && echo '1950,"7'; } >bad/quote.csv
{ cat good.csv && echo '1950,7,8'; } >bad/wide.csv
{ cat good.csv && echo 1950; } >bad/narrow.csv
{ cat good.csv && echo '1950,seven'; } >bad/text.csv
{ cat good.csv && echo '1950,1e999'; } >bad/infinite.csv
{ cat good.csv && echo '1950,nan'; } >bad/nan.csv
{ cat good.csv && printf '1950,7\r1951,8\n'; } >bad/return.csv
{ echo t,v && zeros 4000000 | tr '\0' a && echo ,1; } >bad/long_cell.csv
{ zeros 300000 | tr '\0' ,; echo; } >bad/many_columns.csv
sed 's/v/w/' good.csv >bad/other_names.csv
cp good/s.safetensors bad/weights.csv
mkdir bad/folder.csv
for f in bad/*; do refused "$f" "$RONDO" train s.rondo -q --data "$f" -o new.safetensors; done
for f in bad/*; do refused "$f" "$RONDO" eval s.rondo -w good/s.safetensors --data "$f"; done
for f in bad/*; do refused "$f" "$RONDO" predict s.rondo -w good/s.safetensors --data "$f" -o new.csv; done

# ---- models ----
rm -rf bad && mkdir bad
: >bad/empty.rondo
printf 'model m {\n input x: seq [2]\n\000 output x\n}\n' >bad/nul.rondo
head -c 60 m.rondo >bad/cut.rondo
cp good/s.safetensors bad/weights.rondo
mkdir bad/folder.rondo
printf 'model m {\n input x: seq [99999999999999999999]\n output x\n}\n' >bad/huge.rondo
printf 'model m {\n input x: seq [1000000]\n h = lstm[1000000](x)\n output h\n}\n' >bad/terabytes.rondo
for f in bad/empty.rondo bad/nul.rondo bad/folder.rondo bad/huge.rondo bad/terabytes.rondo; do
    refused "$f" "$RONDO" train "$f" -q -o new.safetensors --data good.csv
done
for f in bad/cut.rondo bad/weights.rondo; do
    got=0
    "$RONDO" check "$f" >out 2>err || got=$?
    [ "$got" = 1 ] && [ -s err ] || fail "exit $got with $f"
done
echo "$tries refusals"
