# import c: the header of docs/language.md in a cell that trains; libclang is loaded by nobody else.
. "$SRC/tests/lib.sh"
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$SRC/docs/language.md" >act.h
says act.h soft_clip
cat >plain.rondo <<'END'
model m[act = tanh] {
    input  x: seq [2]
    target y: seq [1]
    h = lstm[5, act = act](x)
    p = dense[1](h)
    output p
    loss mse(p, y)
}
END
{ echo 'import c "act.h"'; sed 's/act = tanh/act = soft_clip/' plain.rondo; } >clipped.rondo
expect 0 "$RONDO" check clipped.rondo
silent err
expect 0 "$RONDO" gradcheck clipped.rondo
says out 'h.Wi .* ok'
"$RONDO" ir clipped.rondo --after build >clipped.ir
says clipped.ir ' = select '
"$RONDO" ir plain.rondo --after build >plain.ir
! cmp -s clipped.ir plain.ir || fail "the C function changes nothing"
case $(uname) in Linux)
    LD_DEBUG=files "$RONDO" check plain.rondo >log 2>&1
    ! grep -q libclang log || fail "libclang is loaded without import c"
    LD_DEBUG=files "$RONDO" check clipped.rondo >log 2>&1
    says log libclang
esac
expect 0 "$RONDO" emit c clipped.rondo -o out_c
"$CC" -std=c99 -Wall -Wextra -Werror -c -Iout_c out_c/m.c -o m.o || fail "the emitted C does not compile"
