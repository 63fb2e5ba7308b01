# docs/hacking.md shows printed IR. Every block that follows a line "<!-- $ command -->" must be what that command prints, run
# from the source root. `UPDATE=1 make test` writes the blocks anew.
. "$SRC/tests/lib.sh"
PATH=$(dirname "$RONDO"):$PATH
export PATH
cd "$SRC"
awk -v tmp="$TMP" '
    function run() {
        print "```text"
        status = system("{ " command "; } >" tmp "/block 2>&1 </dev/null")
        if (status) { print "(the command failed)" }
        while ((getline line < (tmp "/block")) > 0) print line
        close(tmp "/block")
        print "```"
    }
    /^<!-- \$ .* -->$/ { command = substr($0, 8, length($0) - 11); print; next }
    command && /^```/ { if (!inside) { inside = 1; run() } else { inside = 0; command = "" } next }
    inside { next }
    { print }' docs/hacking.md >"$TMP/made.md"
if [ "${UPDATE:-}" ]; then
    cp "$TMP/made.md" docs/hacking.md
    exit 0
fi
diff -u docs/hacking.md "$TMP/made.md" || fail "docs/hacking.md is out of date (UPDATE=1 tests/hacking.sh writes it anew)"
