# A text larger than what may be in memory: 200 MB of it train (for a while) within what 2 MB take and 32 MB more.
. "$SRC/tests/lib.sh"
"$CC" -D_DEFAULT_SOURCE -o peak "$SRC/tests/train/peak.c"
awk 'BEGIN { for (i = 0; i < 40000; i++) print "line " i " of a text that goes on and on, " i * i % 997 }' >small.txt
for i in $(seq 1 100); do cat small.txt; done >large.txt
cp "$SRC/examples/char_lm.rondo" .
# run FILE SECONDS: KiB at most, in `peak`; stopped like by Ctrl-C
run() {
    ./peak timeout -s INT "$2" "$RONDO" train char_lm.rondo --data "$1" --set batch=64 --set unit=bytes --set V=256 --set H=16 --set split=0.999 \
        --threads 1 -q -o w.safetensors >out 2>err || true
    says out ' [1-9][0-9]* updates'
    peak=$(sed -n 's/^peak //p' err)
}
run small.txt 60
small=$peak
run large.txt 120
large=$peak
echo "$(wc -c <small.txt) bytes: $small KiB, $(wc -c <large.txt) bytes: $large KiB"
[ "$large" -lt $((small + 32768)) ] || fail "memory grows with the text"
