#!/bin/sh
# Writes the syntax files for editors into a folder (default: editors/). The words come from the tables of the front end and from
# std/, so that they are those of the compiler; tests/tree/editors.sh fails where the files here are not what this writes.
set -eu
SRC=${SRC:-$(cd "$(dirname "$0")/.." && pwd)}
OUT=${1:-$SRC/editors}
mkdir -p "$OUT/vim/syntax" "$OUT/vim/ftdetect" "$OUT/vim/ftplugin" "$OUT/vscode/syntaxes"

# words of a table: the quoted first field of its lines
table() { sed -n "$1" "$2" | tr ' ' '\n' | sed '/^$/d' | sort -u; }
reserved=$(sed -n '/^} reserved\[\]/,/^};/p' "$SRC/frontend/lexer.l" | grep -o '{"[a-z]*"' | tr -d '{"' | sort -u)
block=$(sed -n '/^} block_words\[\]/,/^};/p' "$SRC/frontend/parse.c" | grep -o '{"[a-z]*"' | tr -d '{"' | sort -u)
builtin=$(table 's/^B("\([a-z0-9_]*\)".*/\1/p' "$SRC/frontend/builtins.def")
keys=$(table 's/^K("[a-z]*", "\([a-z_]*\)".*/\1/p' "$SRC/frontend/keys.def")
std=$(cat "$SRC"/std/*.rondo | sed -n 's/^\(cell\|fn\|init\|metric\|optimizer\) \([a-z0-9_]*\).*/\2/p' | sort -u)

# of the reserved words: what declares or states, types, operators, constants
declares="cell fn import model param const state return repeat in"
types="bool seq token"
operators="and mod not or"
constants="false true"
for w in $reserved; do
    case " $declares $types $operators $constants " in
        *" $w "*) ;;
        *) echo "editors/make.sh: which kind of word is $w?" >&2; exit 1 ;;
    esac
done
members="T first last max mean softmax sum"
names="col fan_in fan_out pi row training"
line() { echo $* | fold -s -w 110 | sed 's/ *$//'; }
bar() { echo $* | tr ' ' '|'; }
vim_words() { group=$1; shift; line "$@" | sed "s/^/syntax keyword $group /"; }

{
    cat <<'VIM'
" Vim syntax file for Rondo (*.rondo). Written by editors/make.sh from the compiler's tables; do not edit.
if exists("b:current_syntax")
  finish
endif
syntax case match
VIM
    vim_words rondoStatement $declares $(echo "$block" | grep -vx -e train -e data) # those two begin the region below
    vim_words rondoType $types
    vim_words rondoOperatorWord $operators
    vim_words rondoBoolean $constants
    vim_words rondoBuiltin $builtin
    vim_words rondoStd $std
    vim_words rondoConstant $names
    line $keys | sed 's/^/syntax keyword rondoKey contained /'
    cat <<VIM
syntax match rondoMember "\\.\\($(echo $members | sed 's, ,\\|,g')\\)\\>"hs=s+1
syntax match rondoPrimed "\\<[A-Za-z_][A-Za-z0-9_]*'"
syntax match rondoSize "\\<[A-Z][A-Za-z0-9_]*\\>"
syntax match rondoNumber "\\<\\d\\+\\(\\.\\d\\+\\)\\?\\([eE][+-]\\?\\d\\+\\)\\?\\>"
syntax region rondoString start=+"+ skip=+\\\\.+ end=+"+ oneline
syntax match rondoComment "#.*$" contains=@Spell
syntax region rondoSettings matchgroup=rondoStatement start="\\<\\(train\\|data\\)\\>\\s*\\(\\h\\w*\\s*\\)\\?{" end="}" contains=rondoKey,rondoNumber,rondoString,rondoComment,rondoBoolean,rondoStd,rondoSize
highlight default link rondoStatement Statement
highlight default link rondoType Type
highlight default link rondoOperatorWord Operator
highlight default link rondoBoolean Boolean
highlight default link rondoBuiltin Function
highlight default link rondoStd Function
highlight default link rondoConstant Constant
highlight default link rondoKey Identifier
highlight default link rondoMember Function
highlight default link rondoPrimed Identifier
highlight default link rondoSize Type
highlight default link rondoNumber Number
highlight default link rondoString String
highlight default link rondoComment Comment
let b:current_syntax = "rondo"
VIM
} >"$OUT/vim/syntax/rondo.vim"

echo 'autocmd BufRead,BufNewFile *.rondo setfiletype rondo' >"$OUT/vim/ftdetect/rondo.vim"
cat >"$OUT/vim/ftplugin/rondo.vim" <<'VIM'
setlocal commentstring=#\ %s comments=:# expandtab shiftwidth=4 softtabstop=4
setlocal makeprg=rondo\ check\ % errorformat=%E%trror[%*[^]]]:\ %m,%W%tarning[%*[^]]]:\ %m,%Z\ %#-->\ %f:%l:%c,%-G%.%#
VIM

cat >"$OUT/vscode/syntaxes/rondo.tmLanguage.json" <<JSON
{
  "name": "Rondo",
  "scopeName": "source.rondo",
  "fileTypes": ["rondo"],
  "patterns": [{ "include": "#settings" }, { "include": "#all" }],
  "repository": {
    "all": {
      "patterns": [
        { "name": "comment.line.number-sign.rondo", "match": "#.*$" },
        { "name": "string.quoted.double.rondo", "begin": "\"", "end": "\"|$",
          "patterns": [{ "name": "constant.character.escape.rondo", "match": "\\\\\\\\." }] },
        { "name": "variable.other.next.rondo", "match": "\\\\b[A-Za-z_][A-Za-z0-9_]*'" },
        { "match": "\\\\b(cell|fn|model|metric|optimizer|init)\\\\s+([A-Za-z_][A-Za-z0-9_]*)",
          "captures": { "1": { "name": "keyword.declaration.rondo" }, "2": { "name": "entity.name.function.rondo" } } },
        { "name": "support.function.member.rondo", "match": "(?<=\\\\.)($(bar $members))\\\\b" },
        { "name": "keyword.control.rondo", "match": "\\\\b($(bar $declares $block))\\\\b(?!\\\\s*=[^=])" },
        { "name": "storage.type.rondo", "match": "\\\\b($(bar $types))\\\\b" },
        { "name": "keyword.operator.word.rondo", "match": "\\\\b($(bar $operators))\\\\b" },
        { "name": "constant.language.rondo", "match": "\\\\b($(bar $constants $names))\\\\b" },
        { "name": "support.function.builtin.rondo", "match": "\\\\b($(bar $builtin))\\\\b" },
        { "name": "support.function.std.rondo", "match": "\\\\b($(bar $std))\\\\b" },
        { "name": "entity.name.type.size.rondo", "match": "\\\\b[A-Z][A-Za-z0-9_]*\\\\b" },
        { "name": "constant.numeric.rondo", "match": "\\\\b[0-9]+(\\\\.[0-9]+)?([eE][+-]?[0-9]+)?\\\\b" },
        { "name": "keyword.operator.rondo", "match": "==|!=|<=|>=|\\\\.\\\\.|[-+*/@^<>=]" }
      ]
    },
    "settings": {
      "begin": "\\\\b(train|data)\\\\b(\\\\s+[A-Za-z_][A-Za-z0-9_]*)?\\\\s*\\\\{",
      "end": "\\\\}",
      "beginCaptures": { "1": { "name": "keyword.control.rondo" }, "2": { "name": "entity.name.function.rondo" } },
      "patterns": [
        { "name": "support.type.property-name.rondo", "match": "\\\\b($(bar $keys))\\\\b(?=\\\\s*=)" },
        { "include": "#all" }
      ]
    }
  }
}
JSON
cat >"$OUT/vscode/language-configuration.json" <<'JSON'
{
  "comments": { "lineComment": "#" },
  "brackets": [["{", "}"], ["[", "]"], ["(", ")"]],
  "autoClosingPairs": [["{", "}"], ["[", "]"], ["(", ")"], ["\"", "\""]],
  "wordPattern": "[A-Za-z_][A-Za-z0-9_]*'?"
}
JSON
cat >"$OUT/vscode/package.json" <<JSON
{
  "name": "rondo",
  "displayName": "Rondo",
  "description": "The language of the Rondo compiler for recurrent neural networks",
  "version": "$(sed -n 's/^project(.*VERSION \([0-9.]*\).*/\1/p' "$SRC/CMakeLists.txt")",
  "publisher": "rondo",
  "engines": { "vscode": "^1.60.0" },
  "contributes": {
    "languages": [{ "id": "rondo", "aliases": ["Rondo"], "extensions": [".rondo"], "configuration": "./language-configuration.json" }],
    "grammars": [{ "language": "rondo", "scopeName": "source.rondo", "path": "./syntaxes/rondo.tmLanguage.json" }]
  }
}
JSON
