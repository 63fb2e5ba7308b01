# The object cache: two processes at once, damaged files, folders that cannot be written, a full disk. All of it costs a
# compilation at most, never a result.
. "$SRC/tests/lib.sh"

cat >m.rondo <<'END'
model m {
    input x: seq [1]
    target y: [1]
    h = simple_rnn[2](x)
    p = dense[1](h.last)
    output p
    loss mse(p, y)
    data { csv = "d.csv", column = "v", window = 3 }
    train { epochs = 1 }
}
END
awk 'BEGIN { print "t,v"; for (i = 0; i < 30; i++) print 1900 + i "," i % 7 }' >d.csv
expect 0 "$RONDO" train m.rondo -q -o w.safetensors
"$RONDO" eval m.rondo -w w.safetensors >want
images=$XDG_CACHE_HOME/rondo
[ -n "$(ls "$images"/*.img)" ] && [ -n "$(ls "$images"/*.plan)" ] || fail "nothing was cached"

same() {
    expect 0 "$RONDO" eval m.rondo -w w.safetensors
    cmp -s out want || fail "another result with $1"
    silent err
}
tidy() { [ -z "$(find "$XDG_CACHE_HOME" -name 'new-*')" ] || fail "temporary files left by $1"; }
same "a warm cache"

# several processes make the same kernels at the same time
for round in 1 2; do
    rm -rf "$XDG_CACHE_HOME"
    pids=
    for i in 1 2 3; do
        "$RONDO" eval m.rondo -w w.safetensors >"out$i" 2>"err$i" &
        pids="$pids $!"
    done
    for pid in $pids; do wait "$pid" || fail "a process failed in company"; done
    for i in 1 2 3; do
        cmp -s "out$i" want || fail "another result in company"
        silent "err$i"
    done
done
tidy "several processes"
same "what several processes left"

# damage: every image, then every plan, cut, emptied, changed in one byte, replaced
damage() {
    for kind in img plan; do
        for f in "$images"/*.$kind; do "$@" "$f"; done
        same "$*, $kind"
    done
    tidy "$*"
}
cut_short() { head -c 100 "$1" >t && cat t >"$1"; }
cut_end() { n=$(wc -c <"$1") && head -c $((n - 1)) "$1" >t && cat t >"$1"; }
longer() { echo x >>"$1"; }
empty() { : >"$1"; }
noise() { head -c 5000 /dev/urandom >"$1"; }
byte() { n=$(wc -c <"$1") && printf '\252' | dd of="$1" bs=1 seek=$((n * $at / 10)) conv=notrunc 2>/dev/null; }
other() { f=$(ls "$images"/*.$kind | tail -n 1) && [ "$f" = "$1" ] || cat "$f" >"$1"; }
writable() { chmod 666 "$1"; }
linked() { mv "$1" "$1.real" && ln -s "$1.real" "$1"; }
folder() { rm -f "$1" && mkdir -p "$1"; }
damage cut_short
damage cut_end
damage longer
damage empty
damage noise
for at in 0 1 2 4 6 8 9; do damage byte; done
damage other
damage writable
damage linked
rm -rf "$images"
same "no folder"
damage folder

# places where nothing can be kept
: >file
for place in "$TMP/file" /proc /dev/null /nowhere/at/all; do
    [ "$place" = /nowhere/at/all ] && [ -w / ] && continue
    XDG_CACHE_HOME=$place
    export XDG_CACHE_HOME
    same "the cache in $place"
done
# a disk that is full: files end after so many blocks of 512 bytes
for blocks in 0 1 3; do
    XDG_CACHE_HOME=$TMP/full$blocks
    export XDG_CACHE_HOME
    (
        trap '' XFSZ
        ulimit -f $blocks
        "$RONDO" eval m.rondo -w w.safetensors 2>&1
    ) | cmp -s - want || fail "another result on a full disk"
    tidy "a full disk"
    same "what a full disk left"
done

# an emitter of another build reads the structures of a loop program its own way: said, not tried
so=$(ls "$BUILD"/lib/rondo/librondo_llvm.*)
id=$(sed -n 's/.*= "\([0-9a-f]*\)".*/\1/p' "$BUILD/ir/compiler_id.c")
[ "${#id}" = 64 ] || fail "no identity in $BUILD/ir/compiler_id.c"
mkdir other
LC_ALL=C sed "s/$id/$(echo "$id" | tr 0-9a-f 1-9a-f0)/" "$so" >"other/${so##*/}"
expect 1 env XDG_CACHE_HOME="$TMP/other" RONDO_LIBDIR="$TMP/other" "$RONDO" eval m.rondo -w w.safetensors
says err "is of another build than the rest of Rondo"
