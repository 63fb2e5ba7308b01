# Targets of emitted C: how each compiles and runs. For the scripts of this folder, after tests/lib.sh.

have() { command -v "$1" >/dev/null; }

# target NAME: sets GCC (none: clang links too), TRIPLE for clang, FLAGS of both, CLANG_FLAGS, LINK, RUN; ends the test, as skipped, where
# something that it needs is not here
target() {
    GCC= TRIPLE= FLAGS= CLANG_FLAGS= LINK= RUN=
    case $1 in
    host) GCC=gcc FLAGS=-march=native ;;
    sse2) GCC=gcc ;;
    avx2) GCC=gcc FLAGS="-mavx2 -mfma" ;;
    avx512) GCC=gcc FLAGS=-march=x86-64-v4 ;;
    plain) GCC=gcc FLAGS="-mavx2 -mfma -DRONDO_PLAIN_C" ;;
    aarch64) GCC=aarch64-linux-gnu-gcc TRIPLE=aarch64-linux-gnu LINK=-static RUN=qemu-aarch64 ;;
    armv7) GCC=arm-linux-gnueabihf-gcc TRIPLE=armv7-linux-gnueabihf FLAGS="-march=armv7-a -mfpu=neon-vfpv4" LINK=-static RUN=qemu-arm ;;
    riscv64) GCC=riscv64-linux-gnu-gcc TRIPLE=riscv64-linux-gnu LINK=-static RUN=qemu-riscv64 ;;
    ppc64) # big-endian, with vectors; the warning is of comparisons of vectors that clang 19 still takes as they are
        GCC=powerpc64-linux-gnu-gcc TRIPLE=powerpc64-linux-gnu FLAGS=-mcpu=power8 LINK=-static RUN=qemu-ppc64
        CLANG_FLAGS=-Wno-deprecated-altivec-src-compat
        ;;
    s390x) GCC=s390x-linux-gnu-gcc TRIPLE=s390x-linux-gnu LINK=-static RUN=qemu-s390x ;;
    cortex-m4) cortex_m 4 fpv4-sp-d16 mps2-an386 ;;
    cortex-m7) cortex_m 7 fpv5-d16 mps2-an500 ;;
    wasm) wasm ;;
    wasm-simd) wasm -msimd128 ;;
    *) fail "no target $1" ;;
    esac
    lack=$(missing "$1")
    if [ -n "$lack" ]; then
        echo "skipped: $1 needs" $lack
        exit 77
    fi
}

cortex_m() { # NUMBER FPU BOARD
    GCC=arm-none-eabi-gcc TRIPLE=thumbv7em-none-eabihf
    FLAGS="-mcpu=cortex-m$1 -mthumb -mfloat-abi=hard -mfpu=$2"
    # 32-bit enums and the stack's note: the ways of clang and of newlib's own objects differ from gcc's; nothing here depends on them
    CLANG_FLAGS="-isystem /usr/lib/arm-none-eabi/include -fshort-enums"
    LINK="--specs=rdimon.specs -nostartfiles -Wl,-z,noexecstack -T $SRC/examples/mps2/mps2.ld $SRC/examples/mps2/mps2.c"
    if [ "$3" = mps2-an500 ]; then LINK="$LINK -Wl,--defsym=an500=1"; fi
    RUN="qemu-system-arm -M $3 -nographic -semihosting -kernel"
}

wasm() {
    TRIPLE=wasm32-wasi FLAGS=${1-}
    LINK=
    RUN="node --no-warnings $SRC/tests/targets/wasi.mjs"
}

# missing TARGET: what is not here, nothing if all is
missing() {
    case $1 in
    avx2 | plain) if ! grep -qw fma /proc/cpuinfo 2>/dev/null; then echo "a processor with AVX2 and FMA"; fi ;;
    avx512) if ! grep -qw avx512f /proc/cpuinfo 2>/dev/null; then echo "a processor with AVX-512"; fi ;;
    wasm*)
        if [ ! -e /usr/lib/wasm32-wasi/libc.a ]; then echo wasi-libc; fi
        if ! have wasm-ld-19; then echo lld-19; fi
        ;;
    esac
    for t in $GCC clang-19 ${RUN%% *}; do if ! have "$t"; then echo "$t"; fi; done
}

# compile gcc|clang OUT FLAGS.. -- SOURCES..: compiles and links for the target
compile() {
    by=$1 program=$2
    shift 2
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    shift
    if [ "$by" = gcc ]; then
        expect 0 "$GCC" $options $FLAGS -o "$program" "$@" $LINK -lm
    elif [ -z "$GCC" ]; then
        expect 0 clang-19 --target=$TRIPLE $options $FLAGS $CLANG_FLAGS -o "$program" "$@" -lm
    else
        objects=
        for s; do
            expect 0 clang-19 ${TRIPLE:+--target=$TRIPLE} $options $FLAGS $CLANG_FLAGS -c -o "$(basename "$s" .c).o" "$s"
            objects="$objects $(basename "$s" .c).o"
        done
        expect 0 "$GCC" $FLAGS -o "$program" $objects $LINK -lm
    fi
}

# fewer MODEL: options for an example of a large vocabulary, which takes minutes to compile (word_lm has 16.5 MB of constants) and more flash
# than the boards' 4 MB
fewer() {
    case $1 in
    word_lm) echo --set V=100 --set E=32 --set H=64 ;;
    imbalanced | sentiment*) echo --set V=300 ;;
    esac
}
