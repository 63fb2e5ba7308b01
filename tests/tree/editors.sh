# The syntax files of editors/ are what the compiler's tables say (editors/make.sh writes them), and they colour.
. "$SRC/tests/lib.sh"
SRC=$SRC sh "$SRC/editors/make.sh" made
for f in vim/syntax/rondo.vim vim/ftdetect/rondo.vim vim/ftplugin/rondo.vim vscode/package.json vscode/language-configuration.json \
    vscode/syntaxes/rondo.tmLanguage.json; do
    cmp "made/$f" "$SRC/editors/$f" || fail "editors/$f is old: run editors/make.sh"
done
for w in repeat train token mod where lstm bptt; do
    for f in vim/syntax/rondo.vim vscode/syntaxes/rondo.tmLanguage.json; do
        grep -qw "$w" "made/$f" || fail "$f does not know $w"
    done
done
if command -v jq >/dev/null; then
    for f in made/vscode/*.json made/vscode/syntaxes/*.json; do jq -e . "$f" >/dev/null || fail "$f is not JSON"; done
fi
command -v vim >/dev/null || exit 0
printf '%s\n' 'cell c[H](x: [I]) {' "    h' = tanh(x.last) + lstm  # note" '    train { epochs = 3 }' '}' >t.rondo
# line, column, group
cat >probe.vim <<'END_VIM'
set nocompatible
let &runtimepath = expand('$PWD') . '/made/vim,' . &runtimepath
syntax on
runtime syntax/rondo.vim
let out = []
for [l, c] in [[1, 1], [1, 8], [2, 5], [2, 10], [2, 17], [2, 25], [2, 32], [3, 13]]
    call add(out, synIDattr(synID(l, c, 1), 'name'))
endfor
call writefile(out, 'groups')
qa!
END_VIM
vim -es -u NONE -N t.rondo -S probe.vim </dev/null >/dev/null 2>&1 || true
[ -f groups ] || exit 0 # a vim without syntax
[ "$(tr '\n' ' ' <groups)" = "rondoStatement rondoSize rondoPrimed rondoBuiltin rondoMember rondoStd rondoComment rondoKey " ] || {
    cat groups
    fail "vim colours otherwise"
}
