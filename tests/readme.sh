# Runs the README's tour: every indented line that starts with "$ " in its section "A tour", in order, in one folder.
# A line "# => text" after a command is what its output must contain.
. "$SRC/tests/lib.sh"
cp -r "$SRC/examples" .
PATH=$(dirname "$RONDO"):$PATH
export PATH
awk '/^## /{ tour = /A tour/ } tour' "$SRC/README.md" >tour

# Files the reader is told to write: "```rondo NAME" blocks.
awk '/^```rondo /{ name = $2; next } /^```/{ name = "" } name { print > name }' tour

tour tour
[ $n -ge 10 ] || fail "the tour has only $n commands"
