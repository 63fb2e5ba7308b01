# cmake --install, and a C program against what it put there: static and shared, by pkg-config and by find_package, in a locale
# whose decimal sign is a comma.
. "$SRC/tests/lib.sh"
P=$TMP/prefix
cmake --install "$BUILD" --prefix "$P" >log 2>&1 || { cat log; fail "cmake --install"; }
for f in bin/rondo include/rondo.h share/man/man1/rondo.1; do [ -f "$P/$f" ] || fail "$f is not installed"; done
lib=$(dirname "$(find "$P" -name librondo.a)")
[ -f "$lib/librondo.so" ] || fail "librondo.so is not installed"
[ -n "$(find "$P/share/rondo/std" -name '*.rondo')" ] || fail "share/rondo/std is empty"
for f in vim/syntax/rondo.vim vscode/package.json; do [ -f "$P/share/rondo/editors/$f" ] || fail "share/rondo/editors/$f is not installed"; done
for k in forecast classify language-model cell; do "$P/bin/rondo" new $k new_$(echo $k | tr - _) >log 2>&1 || { cat log; fail "the installed rondo new $k"; }; done
"$P/bin/rondo" import onnx "$SRC/tests/import/onnx/embed/model.onnx" -o imported >log 2>&1 || { cat log; fail "the installed importer of ONNX"; }

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

# The program, linked in every way a stranger would; an object cache of its own for each, so that each opens the back end.
flags=$(sed -n 's/^CMAKE_C_FLAGS:[A-Z]*=//p' "$BUILD/CMakeCache.txt")
san=$(sed -n 's/^RONDO_SANITIZE:[A-Z]*=//p' "$BUILD/CMakeCache.txt")
[ -z "$san" ] || flags="$flags -fsanitize=$san"
PKG_CONFIG_PATH=$lib/pkgconfig
export PKG_CONFIG_PATH
cflags=$(pkg-config --cflags rondo)
[ "$(pkg-config --modversion rondo)" = "$("$P/bin/rondo" --version | cut -d' ' -f2)" ] || fail "rondo.pc has another version"

works() {
    echo "+ $1"
    XDG_CACHE_HOME=$TMP/cache_$(basename "$1") "$@" || fail "$1"
    cmp -s plain/adder.c comma/adder.c || fail "the emitted C depends on the locale"
    cmp -s plain/adder.h comma/adder.h || fail "the emitted header depends on the locale"
    "$CC" -std=c99 -Wall -Wextra -Werror -c comma/adder.c -o adder.o || fail "the C emitted under a comma locale"
    [ ! -e refused ] || fail "a refused emit left files"
    rm -r plain comma
}
$CC -std=c99 -Wall -Wextra -Werror $flags $cflags "$SRC/tests/install/use.c" $(pkg-config --libs rondo) -o by_pc
LD_LIBRARY_PATH=$lib works ./by_pc
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(rondo 0.1 REQUIRED)
add_executable(by_cmake ${USE})
target_link_libraries(by_cmake PRIVATE rondo::SHARED)
add_executable(by_cmake_static ${USE})
target_link_libraries(by_cmake_static PRIVATE rondo::STATIC)
END
cmake -S . -B user -DUSE="$SRC/tests/install/use.c" -DCMAKE_PREFIX_PATH="$P" -DCMAKE_C_COMPILER="$CC" -DCMAKE_C_FLAGS="$flags" >log 2>&1 &&
    cmake --build user >>log 2>&1 || { cat log; fail "find_package(rondo)"; }
works ./user/by_cmake
# librondo.a knows where it was configured to be installed, not where this test put it
RONDO_STD=$P/share/rondo/std RONDO_LIBDIR=$lib/rondo
export RONDO_STD RONDO_LIBDIR
works ./user/by_cmake_static
$CC -std=c99 -Wall -Wextra -Werror $flags $cflags "$SRC/tests/install/use.c" "$lib/librondo.a" \
    $(pkg-config --static --libs-only-l rondo | sed 's/-lrondo//') $(pkg-config --static --libs-only-other rondo) -o by_pc_static
works ./by_pc_static
unset RONDO_STD RONDO_LIBDIR

# The command finds its parts from where it is, wherever that is moved.
mv "$P" "$TMP/moved"
cd "$SRC" && XDG_CACHE_HOME=$TMP/cache_moved "$TMP/moved/bin/rondo" bench examples/sunspots.rondo --mode step --batch 1 --steps 1 >/dev/null
