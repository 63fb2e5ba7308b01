# emit obj, so, asm, llvm: what stands for NAME.c where clang has compiled it. Header and test are those of emit c, and the test that is
# linked with either of them passes, here and on AArch64.
. "$SRC/tests/lib.sh"
CC=${CC:-cc}
have() { command -v "$1" >/dev/null; }
if ! have clang-19; then
    echo "skipped: clang-19 is not here"
    exit 77
fi
fused=
if grep -qw fma /proc/cpuinfo 2>/dev/null; then fused="-mavx2 -mfma"; fi
cells=$SRC/tests/models/cells.rondo
pass() { expect 0 "$@" && says out '^PASS$'; }
# same FOLDER NAME: beside what was compiled stand the files of emit c
same() { for f in "$2.h" "$2_test.c"; do cmp "c/$f" "$1/$f" || fail "$1/$f is another one than emit c writes"; done; }

# ---- each kind, with all that emit c has ----
options="--test --weights int8 --weights blob --simd 8"
expect 0 "$RONDO" emit c "$SRC/tests/models/wide.rondo" -o c $options
for kind in obj so asm llvm; do
    expect 0 "$RONDO" emit $kind "$SRC/tests/models/wide.rondo" -o $kind $options
    says out '^int8: '
    silent err
    same $kind wide
    cmp c/wide.blob $kind/wide.blob || fail "$kind/wide.blob"
    [ ! -e $kind/wide.c ] || fail "$kind wrote the source too"
done
says obj/wide_README.md 'as `wide.o`'
for file in obj/wide.o so/wide.so asm/wide.s; do
    expect 0 "$CC" -std=c99 $fused -o t c/wide_test.c "$file" -Wl,-rpath,"$PWD/so" -lm
    mkdir -p elsewhere
    (cd elsewhere && pass ../t ../c/wide.blob) # the program knows wide.so by its name, not by where it lay
done
expect 0 clang-19 -std=c99 $fused -o t c/wide_test.c llvm/wide.ll -lm
pass ./t c/wide.blob
expect 0 "$CC" -std=c99 -O0 $fused -o t c/wide_test.c c/wide.c -lm
pass ./t c/wide.blob
# not a name that is not the model's
if have nm; then
    expect 0 nm -g --defined-only obj/wide.o
    if grep -v ' wide_' out; then fail "wide.o defines other names"; fi
fi

# ---- for other machines ----
aarch64=aarch64-linux-gnu-gcc
k=0
for m in lru both translate; do
    k=$((k + 1))
    case $m in
    both) printf 'model both {\n input x: seq [3]\n f = lstm[7](x)\n b = reverse(lstm[7](reverse(x)))\n output p = dense[2]([f, b])\n}\n' >both.rondo && set -- both.rondo ;;
    translate) set -- "$SRC/examples/translate.rondo" --set V=20 ;;
    lru) set -- "$cells" --model lru --train ;;
    esac
    expect 0 "$RONDO" emit obj "$@" -o arm --test --target aarch64-linux-gnu
    if have $aarch64 && have qemu-aarch64; then
        expect 0 $aarch64 -std=c99 -static -o t arm/${m}_test.c arm/$m.o -lm
        pass qemu-aarch64 ./t
    else
        echo "not run: $m on AArch64; $aarch64 or qemu-aarch64 is not here"
    fi
done
[ $k = 3 ]
# where there is no header of the machine's
for target in thumbv7em-none-eabihf wasm32-unknown-unknown; do
    expect 0 "$RONDO" emit obj "$cells" --model gru -o other --target $target
    if [ $target = thumbv7em-none-eabihf ] && have readelf; then # as that machine's compilers have it: their linkers warn of others
        expect 0 readelf -A other/gru.o
        says out 'Tag_ABI_enum_size: small'
    fi
done
# a processor of that machine, by clang's name: what it has is used, and only there
uses() { # YES|NO INSTRUCTION options..
    hoped=$1 what=$2
    shift 2
    expect 0 "$RONDO" emit asm "$cells" --model gru -o other "$@"
    if grep -q "$what" other/gru.s; then got=YES; else got=NO; fi
    [ $got = "$hoped" ] || fail "$what with $*: $got"
}
uses NO vfmadd --target x86_64-linux-gnu
uses YES vfmadd --target x86_64-linux-gnu --cpu x86-64-v3
uses NO vfma.f32 --target thumbv7em-none-eabi --cpu cortex-m3
uses YES vfma.f32 --target thumbv7em-none-eabihf --cpu cortex-m7
uses YES vfmasb --target s390x-linux-gnu --cpu z14

# ---- wrong use ----
expect 1 "$RONDO" emit obj both.rondo -o none --target x86_64-linux-gnu --cpu nonsense
says err 'nonsense'
expect 2 "$RONDO" emit c both.rondo -o none --cpu cortex-m7
says err 'cpu is of emit so'
expect 1 "$RONDO" emit obj both.rondo -o none --target nonsense
says err 'nonsense'
expect 2 "$RONDO" emit obj both.rondo -o none --layout single
says err 'layout is of emit c'
expect 2 "$RONDO" emit c both.rondo -o none --target aarch64-linux-gnu
mkdir bin
ln -s "$(command -v sh)" bin/sh
(PATH=$PWD/bin && expect 1 "$RONDO" emit obj both.rondo -o none)
says err E0853
[ ! -e none ] || fail "a refused emit left files"

# ---- what the JIT makes of the kernels ----
expect 0 "$RONDO" ir both.rondo --stage llvm
says out '^define .*@kernel_run('
expect 0 "$RONDO" ir both.rondo --stage asm
says out 'kernel_run:'
