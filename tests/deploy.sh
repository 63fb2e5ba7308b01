# Runs the commands of docs/deploy.md, in order, in one folder; its blocks "```c NAME" are files.
. "$SRC/tests/lib.sh"
for t in arm-none-eabi-gcc qemu-system-arm aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $t >/dev/null || { echo "skipped: needs $t"; exit 77; }
done
cp -r "$SRC/examples" .
PATH=$(dirname "$RONDO"):$PATH
export PATH
awk '/^```c /{ name = $2; next } /^```/{ name = "" } name { print > name }' "$SRC/docs/deploy.md"
tour "$SRC/docs/deploy.md"
[ $n -ge 10 ] || fail "the page has only $n commands"
