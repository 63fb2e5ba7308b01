# --autotune: the same weights, whatever it chooses; what it found is kept, printed and used again; a damaged note is ignored.
. "$SRC/tests/lib.sh"
XDG_CACHE_HOME=$PWD/cache
export XDG_CACHE_HOME
M=$SRC/examples/sunspots.rondo
train() { expect 0 "$RONDO" train "$M" -o "$@" --set epochs=2 --set H=20 --seed 3 -q; }
train plain
train tuned --autotune
cmp -s plain tuned || fail "other weights"
ls cache/rondo/*.note >/dev/null || fail "nothing was kept"

# every choice that a note can name, for all the programs of this run
for choice in 'place 1 lanes 0 panel 0 share 0' 'place 2 lanes 4 panel 32 share 1' 'place 3 lanes 8 panel 128 share 0' 'place 0 lanes 1 panel 128 share 1'; do
    for note in cache/rondo/*.note; do
        echo "rondo schedule 1 $choice ms 1 plain 2 tried 3" >"$note"
    done
    threads=$((3 - ${threads:-1}))
    train forced --autotune --threads $threads
    cmp -s plain forced || fail "other weights with $choice, $threads threads"
done
# what names what there is not is found anew
for note in cache/rondo/*.note; do
    echo 'rondo schedule 1 place 9 lanes 3 panel 7 share 0 ms 1 plain 2 tried 3' >"$note"
done
train anew --autotune
cmp -s plain anew || fail "other weights after a damaged note"
[ "$(grep -l 'place 9' cache/rondo/*.note | wc -l)" -lt "$(ls cache/rondo/*.note | wc -l)" ] || fail "a damaged note stayed"

# bench finds it, explain prints it, the next bench takes it from there
B=$SRC/bench/lstm.rondo
expect 0 "$RONDO" explain "$B" --batch 4 --steps 10 --set I=16 --set H=24 --mode train
! grep -q 'tuned on this machine' out || fail "explain knows what nobody has measured"
expect 0 "$RONDO" bench "$B" --batch 4 --steps 10 --set I=16 --set H=24 --time 20 --autotune
says out '^  tuned  .*schedules tried'
sed -n 's/^  tuned *//p' out >found
expect 0 "$RONDO" explain "$B" --batch 4 --steps 10 --set I=16 --set H=24 --mode train
says out 'tuned on this machine'
grep -qF "$(cat found)" out || { cat out found; fail "explain says something else"; }
expect 0 "$RONDO" bench "$B" --batch 4 --steps 10 --set I=16 --set H=24 --time 20 --autotune
grep -qF "$(cat found)" out || { cat out found; fail "it was measured again"; }
expect 2 "$RONDO" check "$B" --autotune
