# cmake --install, and a C program against what it put there: static and shared, by pkg-config and by find_package, in a locale
# whose decimal sign is a comma.
. "$SRC/tests/lib.sh"
P=$TMP/prefix
cmake --install "$BUILD" --prefix "$P" >log 2>&1 || { cat log; fail "cmake --install"; }
for f in bin/rondo include/rondo.h share/man/man1/rondo.1; do [ -f "$P/$f" ] || fail "$f is not installed"; done
lib=$(dirname "$(find "$P" -name librondo.a)")
[ -f "$lib/librondo.so" ] || fail "librondo.so is not installed"
[ -n "$(find "$P/share/rondo/std" -name '*.rondo')" ] || fail "share/rondo/std is empty"

# only rondo_x is exported (and what debuggers look for)
bad=$(nm -D --defined-only "$lib/librondo.so" | awk '{ print $3 }' | grep -vE '^(rondo_|__jit_debug_)' || true)
[ -z "$bad" ] || fail "librondo.so exports $bad"

# de_DE.UTF-8, made here if the system lacks it
if locale -a 2>/dev/null | grep -qiE '^de_DE\.utf-?8$'; then
    WANT_COMMA=1
elif command -v localedef >/dev/null && mkdir loc && localedef -i de_DE -f UTF-8 loc/de_DE.UTF-8 >log 2>&1; then
    LOCPATH=$TMP/loc WANT_COMMA=1
    export LOCPATH
else
    echo "no de_DE.UTF-8 here: the locale is not tested" >&2
    WANT_COMMA=
fi
[ -z "$WANT_COMMA" ] || { LC_ALL=de_DE.UTF-8; export LC_ALL WANT_COMMA; }

# The build tree's std must not be needed.
flags=$(sed -n 's/^CMAKE_C_FLAGS:[A-Z]*=//p' "$BUILD/CMakeCache.txt")
san=$(sed -n 's/^RONDO_SANITIZE:[A-Z]*=//p' "$BUILD/CMakeCache.txt")
[ -z "$san" ] || flags="$flags -fsanitize=$san"
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
sed -i "s|^prefix=.*|prefix=$P|" "$lib/pkgconfig/rondo.pc"
$CC -std=c99 -Wall -Wextra -Werror $flags "$SRC/tests/install/use.c" $(pkg-config --cflags --libs rondo) -lm -o shared
LD_LIBRARY_PATH=$lib ./shared
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(rondo REQUIRED)
add_executable(static_user ${USE})
target_link_libraries(static_user PRIVATE rondo::STATIC m)
END
cmake -S . -B user -DUSE="$SRC/tests/install/use.c" -DCMAKE_PREFIX_PATH="$P" -DCMAKE_C_FLAGS="$flags" >log 2>&1 &&
    cmake --build user >>log 2>&1 || { cat log; fail "find_package(rondo)"; }
./user/static_user
cd "$SRC" && "$P/bin/rondo" check examples/sunspots.rondo >/dev/null
