# emit obj, so, asm, llvm: a program that loads the shared object, or is linked with the object file or the assembly, gets the
# runtime's bits.
. "$SRC/tests/lib.sh"
if grep -q '^RONDO_SANITIZE:[A-Z]*=.' "$BUILD/CMakeCache.txt"; then exit 77; fi
cat >a.rondo <<'END'
model a[H = 9] {
    input  x: seq [2]
    target y: seq [1]
    h = lstm[H](x)
    p = dense[1](h)
    output p
    loss mse(p, y)
}
END
for kind in so obj asm llvm; do
    expect 0 "$RONDO" emit $kind a.rondo -o .
    silent err
done
says a.ll '^define .*@a_kernel_run('
flags="-std=c11 -Wall -Wextra -Werror -I. -I$SRC"
lib="-L$BUILD -Wl,-rpath,$BUILD -lrondo"
expect 0 "$CC" $flags "$SRC/tests/cli/kernels.c" -o loads $lib -ldl
expect 0 ./loads
says out 'same bits'
for file in a.o a.s; do
    expect 0 "$CC" $flags -DLINKED "$SRC/tests/cli/kernels.c" $file -o linked $lib -lm
    expect 0 ./linked
    says out 'same bits'
done

# for another machine; from a name that is none
expect 0 "$RONDO" emit obj a.rondo -o arm --target aarch64-linux-gnu
expect 1 "$RONDO" emit obj a.rondo -o none --target nonsense
says err 'nonsense'
