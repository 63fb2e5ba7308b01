# An example of examples/NAME: the commands of its README.md, in order, in a copy of the folder.
. "$SRC/tests/lib.sh"
cp -r "$SRC/examples" .
cd "examples/$NAME"
PATH=$(dirname "$RONDO"):$PATH
export PATH
for t in gnuplot arm-none-eabi-gcc qemu-system-arm; do
    if grep -q "^    \\$ $t" README.md && ! command -v $t >/dev/null; then
        echo "skipped: needs $t"
        exit 77
    fi
done
# what needs more than a C compiler
if grep -q '^    \$ clang-19 --target=wasm32' README.md; then
    if ! command -v clang-19 >/dev/null || ! command -v wasm-ld-19 >/dev/null || ! command -v node >/dev/null || [ ! -e /usr/lib/wasm32-wasi/libc.a ]; then
        echo "skipped: the part of WebAssembly, which needs clang-19, lld-19, wasi-libc and nodejs"
        sed -i '/^## WebAssembly/,$d' README.md
    fi
fi
tour README.md
[ "$n" -ge 4 ] || fail "only $n commands"
