# With the kernels in the object cache a command loads neither LLVM nor libclang nor libzip: the dynamic linker's own account.
. "$SRC/tests/lib.sh"
M=$SRC/examples/sunspots.rondo
libraries='libLLVM|libclang|libzip|librondo_(llvm|clang|zip|onnx)'

# loads NAME command..: what it loads, one path a line, into NAME
loads() {
    name=$1
    shift
    rm -f linker.*
    LD_DEBUG=files LD_DEBUG_OUTPUT=linker "$@" >out 2>err </dev/null || { cat err >&2; fail "$*"; }
    cat linker.* | sed -n 's/.*calling init: //p' >"$name"
    [ -s "$name" ] || exit 77 # another linker, or one that does not say
}
none() {
    ! grep -E "$libraries" "$1" || fail "$1: a warm start loads these"
}

loads cold "$RONDO" train "$M" -q -o w.safetensors --set epochs=1
grep -q libLLVM cold || fail "a cold start compiles, but the account does not show LLVM"
loads train "$RONDO" train "$M" -q -o w.safetensors --set epochs=1
none train
"$RONDO" predict "$M" -w w.safetensors >out 2>&1 </dev/null
loads predict "$RONDO" predict "$M" -w w.safetensors
none predict
loads check "$RONDO" check "$M"
none check
printf 'PK\005\006%018d' 0 | tr 0 '\000' >empty.npz # an archive without a member: libzip is asked, and is in the account
rm -f linker.*
LD_DEBUG=files LD_DEBUG_OUTPUT=linker "$RONDO" run "$SRC/examples/tiny.rondo" --in empty.npz --out y.npz >out 2>err && fail "an empty archive was enough"
grep -hq 'calling init: .*libzip' linker.* || fail "an archive was read, but the account does not show libzip"
