# Each header compiles alone.
. "$SRC/tests/lib.sh"
n=0
for h in $(cd "$SRC" && ls base/*.h ir/*.h frontend/*.h passes/*.h codegen/*.h runtime/*.h import/*.h cli/*.h 2>/dev/null); do
    printf '#include "%s"\ntypedef int nothing;\n' "$h" >alone.c
    case $h in codegen/llvm_* | frontend/clang_*) include=$(llvm-config-19 --cflags 2>/dev/null || true) ;; *) include= ;; esac
    "$CC" -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Wall -Wextra -Werror -fsyntax-only -I"$SRC" -I"$BUILD" $include alone.c ||
        fail "$h does not compile alone"
    n=$((n + 1))
done
[ $n -gt 5 ] || fail "only $n headers found"

# The public header, strictly: C99 and C++.
printf '#include "rondo.h"\nint main(void) { return rondo_version() == 0; }\n' >pub.c
"$CC" -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$SRC/runtime" pub.c
if command -v c++ >/dev/null; then c++ -x c++ -fsyntax-only -Wall -Wextra -Werror -I"$SRC/runtime" pub.c; fi
