# Dependencies between folders run one way; LLVM's headers stay in codegen/llvm_*.c; nothing below the front end knows a cell.
. "$SRC/tests/lib.sh"
cd "$SRC"

# folder: what it may include
may() {
    folder=$1
    shift
    pattern=$(echo "$folder $*" | tr ' ' '|')
    bad=$(grep -nE '^ *#include "[a-z]+/' "$folder"/*.[chly] /dev/null 2>/dev/null | grep -vE "#include \"($pattern)/" || true)
    [ -z "$bad" ] || fail "$folder/ may include only $pattern: $bad"
}
may base
may ir base
may frontend base ir
may passes base ir
may codegen base ir
may runtime base ir frontend passes codegen
may import base ir frontend passes codegen runtime
may cli base ir frontend passes codegen runtime import

bad=$(grep -rln 'llvm-c/' base ir frontend passes codegen runtime cli | grep -vE '^codegen/llvm_[a-z0-9_]*\.[ch]$' || true)
[ -z "$bad" ] || fail "llvm-c/ outside codegen/llvm_*.c: $bad"
bad=$(grep -rlE '#include.*(protobuf-c|pb-c\.h)' base ir frontend passes codegen runtime import cli --include=*.[ch] | grep -v '^import/pb_[a-z0-9_]*\.c$' || true)
[ -z "$bad" ] || fail "protobuf-c outside import/pb_*.c: $bad"
bad=$(grep -rln 'clang-c/' base ir frontend passes codegen runtime cli | grep -vE '^frontend/clang_[a-z0-9_]*\.[ch]$' || true)
[ -z "$bad" ] || fail "clang-c/ outside frontend/clang_*.c: $bad"

bad=$(grep -rln '#include <zip\.h>' base ir frontend passes codegen runtime import cli | grep -vE '^runtime/zip_[a-z0-9_]*\.c$' || true)
[ -z "$bad" ] || fail "zip.h outside runtime/zip_*.c: $bad"

# (examples in comments may)
uncomment() { awk '{ line = $0; while (1) {
    if (inside) { k = index(line, "*/"); if (!k) { line = ""; break } line = substr(line, k + 2); inside = 0 }
    k = index(line, "/*"); if (!k) break
    rest = substr(line, k + 2); e = index(rest, "*/")
    if (e) line = substr(line, 1, k - 1) substr(rest, e + 2); else { line = substr(line, 1, k - 1); inside = 1; break } }
    sub("//.*", "", line); print FILENAME ":" FNR ": " line }' "$1"; }
bad=$(for f in ir/* passes/* codegen/*; do uncomment "$f" | grep -wiE 'lstm|gru|simple_rnn' || true; done)
[ -z "$bad" ] || fail "a cell's name below the front end: $bad"

# The library ends no process and prints nothing; assertions go through diagnostics. (base/ctx.c: memory ran out where its
# contract asks for a CTX_TRY and there is none.)
bad=$(grep -nE '\b(abort|exit|assert) *\(' base/*.c ir/*.c frontend/*.[cly] passes/*.c codegen/*.c runtime/*.c import/*.c 2>/dev/null | grep -vE '_Static_assert|^base/ctx.c:[0-9]+: *if \(!f\) abort\(\);' || true)
[ -z "$bad" ] || fail "library code that can end the process: $bad"
bad=$(grep -nE '\b(printf|puts|fprintf *\( *std(out|err)) *\(' base/*.c ir/*.c frontend/*.[cly] passes/*.c codegen/*.c runtime/*.c import/*.c 2>/dev/null | grep -vE '"[^"]*\b(printf|puts)' || true)
[ -z "$bad" ] || fail "library code that prints: $bad"

# Compiler extensions only in base/port*.h. (Emitted C is text.)
bad=$(grep -nE '__attribute__|__builtin_|__asm' base/*.[ch] ir/*.[ch] frontend/*.[chly] passes/*.[ch] runtime/*.[ch] import/*.[ch] cli/*.[ch] 2>/dev/null |
    grep -vE '^(base/port[a-z_]*\.h|runtime/rondo\.h):' || true)
[ -z "$bad" ] || fail "a compiler extension outside base/port*.h: $bad"

# Sizes of files: cut by concern where one grows past what a reader takes in.
bad=$(wc -l base/*.[ch] ir/*.[ch] frontend/*.[chly] passes/*.[ch] codegen/*.[ch] runtime/*.[ch] import/*.[ch] cli/*.[ch] tests/*/*.[ch] 2>/dev/null | awk '$2 != "total" && $1 > 800')
[ -z "$bad" ] || fail "files past 800 lines: $bad"
