/* complain: the wording of syntax errors: what was expected in the user's words, and the likely fix. */
#include "frontend/parse.h"

#include <string.h>

#include "parser.h"

static const Span nowhere = {0, 0};

static char *token_text(Parser *p, const Token *t) {
    const char *text = p->source->text + (t->span.lo - p->source->base);
    size_t n = t->span.hi - t->span.lo;
    if (n <= 40) return arena_strndup(&p->scratch, text, n);
    size_t cut = 37;
    while (cut && ((unsigned char)text[cut] & 0xC0) == 0x80) cut--;
    return arena_printf(&p->scratch, "%.*s...", (int)cut, text);
}

static bool is_word(const Parser *p, const Token *t) {
    char c = p->source->text[t->span.lo - p->source->base];
    return t->span.hi > t->span.lo && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_');
}

const char *token_describe(Parser *p, const Token *t) {
    if (t->kind == END) return "the end of the file";
    if (t->kind == STRING) return "a string";
    const char *what = t->kind == NAME || t->kind == PRIMED ? "name " : t->kind == NUMBER ? "number " : is_word(p, t) ? "keyword " : "";
    if (t->span.hi == t->span.lo) return arena_printf(&p->scratch, "`%c`", t->kind);
    return arena_printf(&p->scratch, "%s`%s`", what, token_text(p, t));
}

/* ---- slips of the scanner ----------------------------------------------------------------------------------------- */

static const char *kind_spelling(int kind) {
    switch (kind) {
    case '^': return "^";
    case '*': return "*";
    case '-': return "-";
    case '=': return "=";
    case AND: return "and";
    case OR: return "or";
    case NOT: return "not";
    case MOD: return "mod";
    case NE: return "!=";
    case LE: return "<=";
    case GE: return ">=";
    default: return "="; /* not an enum of ours */
    }
}

static void slip_number_word(Parser *p, const Token *t) {
    const char *s = token_text(p, t);
    size_t digits = strspn(s, "0123456789.");
    if (!parse_error(p, 103, t->span, "malformed number `%s`", s)) return;
    if (strncmp(s, "0x", 2) == 0 || s[digits] == '_' || strcmp(s + digits, "e") == 0 || strcmp(s + digits, "E") == 0)
        diag_help(p->ctx, nowhere, "numbers are decimal: `16`, `0.5`, `1e-3`");
    else
        diag_help(p->ctx, nowhere, "a name begins with a letter; a product is written `%.*s * %s`", (int)digits, s, s + digits);
}

static void slip_char(Parser *p, const Token *t) {
    const char *s = token_text(p, t);
    unsigned char c = (unsigned char)s[0];
    if (c < 0x20 || c == 0x7f) {
        parse_error(p, 101, t->span, "unexpected control character 0x%02x", c);
        return;
    }
    if (!parse_error(p, 101, t->span, "unexpected character `%s`", s)) return;
    if (strncmp(s, "\xE2\x80\xB2", 3) == 0 || strncmp(s, "\xE2\x80\x99", 3) == 0)
        diag_help(p->ctx, nowhere, "the next value of a state is written with an apostrophe: `h'`");
    else if (strncmp(s, "\xE2\x80\x9C", 3) == 0 || strncmp(s, "\xE2\x80\x9D", 3) == 0)
        diag_help(p->ctx, nowhere, "strings stand in plain double quotes");
    else if (c >= 0x80)
        diag_help(p->ctx, nowhere, "names are made of the letters a to z, digits and `_`; anything may stand in a comment");
    else if (c == '?')
        diag_help(p->ctx, nowhere, "a choice is written `where(condition, a, b)`");
    else if (c == '\'')
        diag_help(p->ctx, nowhere, "a prime follows its name without a space: `h'`; strings stand in double quotes");
}

void parse_slip(Parser *p, const Token *t) {
    switch (t->slip) {
    case LEX_OK: return;
    case LEX_SEMICOLON:
        p->failed = true;
        if (!p->semicolon_told) {
            diag_error(p->ctx, 107, t->span, "`;` is not used: a statement ends where the next begins");
            diag_help(p->ctx, t->span, "remove it, and any others");
        }
        p->semicolon_told = true;
        return;
    case LEX_SLASHES:
        p->failed = true;
        if (!p->slashes_told) diag_error(p->ctx, 110, t->span, "a comment begins with `#`");
        p->slashes_told = true;
        return;
    case LEX_SPELLING:
        if (parse_error(p, 108, t->span, "`%s` is not an operator", token_text(p, t)))
            diag_help(p->ctx, t->span, "write `%s`", kind_spelling(t->kind));
        return;
    case LEX_AUGMENT:
        if (parse_error(p, 108, t->span, "`%s` is not an operator: names are bound once, not changed", token_text(p, t)))
            diag_help(p->ctx, nowhere, "a state is updated by its next value: `s' = s %.1s ...`", token_text(p, t));
        return;
    case LEX_POINT_FIRST:
        if (parse_error(p, 103, t->span, "malformed number `%s`", token_text(p, t)))
            diag_help(p->ctx, t->span, "digits stand on both sides of the point: `0%s`", token_text(p, t));
        return;
    case LEX_POINT_LAST:
        if (parse_error(p, 103, t->span, "malformed number `%s`", token_text(p, t)))
            diag_help(p->ctx, t->span, "digits stand on both sides of the point: `%s0`", token_text(p, t));
        return;
    case LEX_NUMBER_WORD: slip_number_word(p, t); return;
    case LEX_STRING_OPEN:
        if (parse_error(p, 102, t->span, "this string has no closing `\"`"))
            diag_help(p->ctx, nowhere, "a string ends on the line it begins; a quote inside is written `\\\"`");
        return;
    case LEX_STRING_SINGLE:
        if (parse_error(p, 112, t->span, "strings stand in double quotes"))
            diag_help(p->ctx, t->span, "write \"%.*s\"", (int)strlen(token_text(p, t)) - 2, token_text(p, t) + 1);
        return;
    case LEX_PRIMES:
        if (parse_error(p, 111, t->span, "`%s` has more than one prime", token_text(p, t)))
            diag_help(p->ctx, nowhere, "only the state before a step and the one after it have names: `h` and `h'`");
        return;
    case LEX_CHAR: slip_char(p, t); return;
    }
}

/* ---- tokens that do not fit --------------------------------------------------------------------------------------- */

static void list_put(Str *s, const char *text) {
    if (s->n) str_put(s, "\n");
    str_put(s, text);
}

/* "a", "a or b", "a, b or c" from lines. */
static const char *list_words(Parser *p, Str *lines) {
    Str s = str_make(&p->scratch);
    for (char *at = lines->at; at;) {
        char *end = strchr(at, '\n');
        if (s.n) str_put(&s, end ? ", " : " or ");
        str_putn(&s, at, end ? (size_t)(end - at) : strlen(at));
        at = end ? end + 1 : NULL;
    }
    return s.at;
}

static const char *expected_words(Parser *p, const bool *can) {
    static const struct {
        int kind;
        const char *text;
    } marks[] = {
        {',', "`,`"}, {':', "`:`"}, {'(', "`(`"}, {'[', "`[`"}, {'{', "`{`"}, {'=', "`=`"}, {DOTDOT, "`..`"}, {IN, "`in`"},
        {')', "`)`"}, {']', "`]`"}, {'}', "`}`"}, {SEQ, "`seq`"}, {TOKEN, "`token`"}, {BOOL, "`bool`"},
        {STRING, "a string"}, {END, "the end of the file"},
    };
    Str s = str_make(&p->scratch);
    bool operand = can[NUMBER], operators = can['+'], stmt = can[PARAM], decl = can[IMPORT];
    if (operand) list_put(&s, "an expression");
    if (can[NAME] && !operand && !stmt && !decl && !operators) list_put(&s, "a name");
    /* After a whole expression the closing bracket is what the user lacks; operators would always fit. */
    bool follows = can[','] || can[')'] || can[']'] || can['{'] || can[DOTDOT];
    if (operators && !follows) list_put(&s, "an operator");
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        int k = marks[i].kind;
        if (!can[k]) continue;
        if ((operand || operators) && (k == '(' || k == '[' || k == STRING)) continue;
        if (operators && k == '=') continue;
        if ((stmt || decl) && (k == '}' || k == END)) continue;
        list_put(&s, marks[i].text);
    }
    if (stmt) list_put(&s, operators || follows || can[':'] ? "a new statement" : "a statement");
    if (stmt && !operators && !can[':'] && can['}']) list_put(&s, "`}`");
    if (decl) list_put(&s, operators ? "a new declaration" : "a declaration");
    return s.n ? list_words(p, &s) : "something else";
}

static bool is_comparison(int k) { return k == EQ || k == NE || k == LE || k == GE || k == '<' || k == '>'; }

static const struct {
    const char *word, *help;
} foreign_words[] = {
    {"let", "a binding needs no keyword: `x = ...`"},
    {"var", "a binding needs no keyword: `x = ...`"},
    {"float", "types are found by the compiler: `x = ...`"},
    {"int", "types are found by the compiler: `x = ...`"},
    {"def", "write `fn f(x) = ...`, or `cell f(x: [N]) { ... }` if it has parameters or state"},
    {"func", "write `fn f(x) = ...`, or `cell f(x: [N]) { ... }` if it has parameters or state"},
    {"function", "write `fn f(x) = ...`, or `cell f(x: [N]) { ... }` if it has parameters or state"},
    {"class", "write `cell name[H](x: [I]) { ... }`"},
    {"layer", "a layer is a cell without state: `cell name[O](x: [I]) { ... }`"},
    {"module", "write `cell name[H](x: [I]) { ... }`"},
    {"if", "a choice is written `where(condition, a, b)`"},
    {"else", "a choice is written `where(condition, a, b)`"},
    {"for", "write `repeat k in 0..N { ... }`; time steps need no loop: a cell is one step"},
    {"while", "write `repeat k in 0..N { ... }`; time steps need no loop: a cell is one step"},
    {"loop", "write `repeat k in 0..N { ... }`"},
    {"include", "write `import \"file.rondo\"`"},
    {"from", "write `import \"file.rondo\"`"},
    {"use", "write `import \"file.rondo\"`"},
    {"weight", "write `param W: [O, I]`"},
    {"parameter", "write `param W: [O, I]`"},
};

/* A word at the start of a statement or declaration that looks like a keyword and is none. */
static bool help_word(Parser *p, const Token *t, bool decl) {
    static const char *const stmt_words[] = {"param", "const", "state", "noise", "input", "target", "return",
                                             "repeat", "output", "loss", "metric", "train", "data"};
    static const char *const decl_words[] = {"cell", "fn", "model", "import", "metric", "optimizer", "init", "train", "data"};
    const char *word = token_text(p, t);
    for (size_t i = 0; i < sizeof foreign_words / sizeof *foreign_words; i++)
        if (strcmp(word, foreign_words[i].word) == 0) {
            diag_help(p->ctx, nowhere, "%s", foreign_words[i].help);
            return true;
        }
    const char *near = decl ? nearest_name(word, decl_words, sizeof decl_words / sizeof *decl_words)
                            : nearest_name(word, stmt_words, sizeof stmt_words / sizeof *stmt_words);
    if (near) diag_help(p->ctx, t->span, "did you mean `%s`?", near);
    return near != NULL;
}

static bool stmt_is(const Parser *p, const char *word) { return token_is(p, &p->tokens.at[p->stmt_at], word); }

/* `y =` with the next statement behind it: the grammar took `z` of `z = 3` for the value. */
static bool complain_missing_value(Parser *p) {
    if (p->cur_pos < 2 || !p->prev.first) return false;
    const Token *name = &p->tokens.at[p->cur_pos - 1], *before = name - 1;
    if ((name->kind != NAME && name->kind != PRIMED) || token_can_end(before->kind) || before->kind == ',') return false;
    Span end = {before->span.hi, before->span.hi};
    parse_error(p, 100, end, "expected %s after %s", before->kind == '.' ? "a name" : "an expression", token_describe(p, before));
    p->cur_pos--; /* resume at the name */
    return true;
}

/* `y = a b`: the grammar took `b` for the start of a statement and stumbles over what follows. */
static bool complain_side_by_side(Parser *p) {
    if (p->cur_pos < 2) return false;
    const Token *name = &p->tokens.at[p->cur_pos - 1], *before = name - 1;
    if (name->first || (name->kind != NAME && name->kind != PRIMED) || !token_can_end(before->kind) || before->kind == '{' ||
        before->kind == '}' || p->stmt_at != p->cur_pos - 1)
        return false;
    parse_error(p, 100, name->span, "expected an operator or a new statement, found %s", token_describe(p, name));
    return true;
}

static int innermost_close(const Parser *p) { return p->cur_open ? p->open.at[p->cur_open - 1].close : 0; }

/* Chains, equations in the wrong place: errors with a message of their own. */
static bool complain_specially(Parser *p, const bool *can, Span at) {
    const Token *t = &p->cur;
    bool after_expr = can['+'];
    if (is_comparison(t->kind) && after_expr) {
        if (parse_error(p, 109, at, "comparisons do not chain"))
            diag_help(p->ctx, nowhere, "write `a < b and b < c`, or put one of them in parentheses");
        return true;
    }
    if (t->kind == '=' && after_expr && complain_missing_value(p)) return true;
    if (t->kind == '=' && after_expr && stmt_is(p, "repeat")) {
        if (parse_error(p, 100, at, "expected `in`, found `=`")) diag_help(p->ctx, nowhere, "write `repeat k in 0..N { ... }`");
        return true;
    }
    if (t->kind == '=' && after_expr) {
        bool inside = innermost_close(p) == ')' || innermost_close(p) == ']';
        bool primed = p->prev.kind == PRIMED && inside;
        if (parse_error(p, 118, at, "unexpected `=` after an expression")) {
            if (primed) diag_help(p->ctx, nowhere, "a call sets the state before it, without a prime: `h = value`");
            else if (inside) diag_help(p->ctx, at, "to compare, write `==`");
            else diag_help(p->ctx, nowhere, "`=` binds one name a statement; to compare, write `==`");
        }
        return true;
    }
    if (t->kind == EQ && can['=']) {
        if (parse_error(p, 118, at, "expected `=`, found `==`")) diag_help(p->ctx, at, "to bind a name, write `=`");
        return true;
    }
    int close = innermost_close(p);
    if (t->first && (close == ')' || close == ']') && can[close]) {
        const Open *o = &p->open.at[p->cur_open - 1];
        Span end = {p->prev.span.hi, p->prev.span.hi};
        if (parse_error(p, 104, end, "missing `%c`", close)) diag_note(p->ctx, o->span, "this `%c` is not closed", close == ')' ? '(' : '[');
        return true;
    }
    if (can[NAME] && !can[NUMBER] && !can['+'] && !can[PARAM] && !can[IMPORT] && is_word(p, t) && t->kind != NAME && t->kind != PRIMED &&
        t->kind != NUMBER) {
        parse_error(p, 119, at, "`%s` is a reserved word and cannot be a name", token_text(p, t));
        return true;
    }
    if (can[NUMBER] && !t->first && (t->kind == STATE || t->kind == PARAM || t->kind == CONST || t->kind == IN || t->kind == TOKEN || t->kind == SEQ)) {
        parse_error(p, 119, at, "`%s` is a reserved word and cannot be a name", token_text(p, t));
        return true;
    }
    return false;
}

/* Help for a binding that is none: `h[0] = 1`, `enc.c = 0`, `foo(x)` alone. */
static bool help_stmt_start(Parser *p, int found) {
    if (found == '[' || found == '.') diag_help(p->ctx, nowhere, "a binding gives a value to a whole name: `x = ...`");
    else if (found == '(') diag_help(p->ctx, nowhere, "a call by itself does nothing: bind its result, `y = f(x)`, or `return` it");
    else if (found == ':') diag_help(p->ctx, nowhere, "a type stands behind `param`, `state`, `input` and the like; a binding has none");
    else if (found == NAME || found == PRIMED || found == NUMBER || found == STRING) return help_word(p, &p->prev, false);
    else return false;
    return true;
}

static bool is_decl_word(int kind) {
    return kind == CELL || kind == FN || kind == MODEL || kind == IMPORT || kind == OPTIMIZER || kind == INIT;
}

/* What the user probably wanted, where the tokens around tell. NULL if they do not. */
static const char *likely_fix(Parser *p, const bool *can, int found, int before) {
    if (can['='] && found == '{' && !can[':'])
        return "a `fn` is one expression, `fn f(x) = ...`; what needs statements is a `cell`";
    if (can['{'] && found == '=' && before == ')')
        return "a body stands in braces; what is one expression may be a `fn`";
    if (can['('] && found == '{' && !can['+'])
        return "without inputs the list is empty: `cell name[H]() { ... }`";
    if (can[')'] && can['+'] && (found == NAME || found == PRIMED || found == NUMBER || found == '(') && !p->cur.first)
        return "an operator is missing: a product with a matrix is `W @ x`, of numbers `a * b`";
    if (can['='] && found == '.')
        return "give it a name: `output y = h.last`";
    if (can[':'] && !can['='] && !can['+'] && !can[NUMBER])
        return "a type is needed: `input x: seq [8]`, `target y: bool`";
    if (can[DOTDOT] && found == '{')
        return "write `repeat k in 0..N { ... }`, or `repeat N { ... }` for a mere count";
    if (found == DOTDOT)
        return "ranges `a..b` stand in `repeat k in a..b`; a slice is `x[a:b]`";
    if (can[')'] && found == ':')
        return "an argument by name is written `name = value`";
    if (can['='] && !can[':'] && !can['+'] && (found == ':' || found == NUMBER || found == STRING))
        return "an entry is written `key = value`";
    if (can[SEQ] || (can[BOOL] && can[TOKEN]))
        return "types are `[H, I]`, `[]`, `bool`, `token[V]`, and `seq` before one of them";
    if (can[STRING] && !can[NUMBER] && before == NAME)
        return arena_printf(&p->scratch, "a path is a string: `import \"%s.rondo\"`", token_text(p, &p->prev));
    if (can[NAME] && !can[NUMBER] && found == '{')
        return "every declaration has a name; `train` and `data` beside a model have the model's";
    if (is_decl_word(found) && can[PARAM])
        return "declarations do not stand inside one another: is a `}` missing before it?";
    if (can[IMPORT] && is_word(p, &p->cur))
        return "statements stand inside the braces of a `cell` or a `model`";
    if (found == '{' && can[PARAM])
        return "a declaration cannot stand inside another: is a `}` missing before it?";
    if (found == IN && can['+'])
        return "`in` belongs to `repeat k in 0..N`";
    return NULL;
}

static void help_unexpected(Parser *p, const bool *can) {
    int found = p->cur.kind, before = p->prev.kind;
    if (found == '(' && stmt_is(p, "output") && can['=']) {
        diag_help(p->ctx, nowhere, "an output has a name: `output y = f(x)`");
        return;
    }
    bool at_name = (before == NAME || before == PRIMED) && can['='] && can[','] && !can[PARAM] && !can[':'] && !can[')'] && !can[']'];
    if (at_name && help_stmt_start(p, found)) return;
    bool equal_only = can['='] && !can[','] && !can['{'] && !can['+'];
    if (equal_only && stmt_is(p, "loss")) {
        diag_help(p->ctx, nowhere, "behind a loss stands at most `weight = w`");
        return;
    }
    if (equal_only && stmt_is(p, "noise")) {
        diag_help(p->ctx, nowhere, "noise has a distribution: `noise e: [N] = normal(0, 1)`");
        return;
    }
    if (can[IMPORT] && found == NAME) {
        help_word(p, &p->cur, true);
        return;
    }
    const char *fix = likely_fix(p, can, found, before);
    if (fix) diag_help(p->ctx, nowhere, "%s", fix);
}

void parse_unexpected(Parser *p, const bool *can) {
    const Token *t = &p->cur;
    p->failed = true;
    if (p->quiet) return;
    Span at = t->kind == END ? (Span){p->prev.span.hi, p->prev.span.hi} : t->span;
    if (complain_specially(p, can, at)) return;
    bool at_start = can['='] && can[','] && !can['+'] && !can[PARAM] && !can[':'] && !can[')'] && !can[']'];
    if (at_start && complain_side_by_side(p)) return;
    if (parse_error(p, 100, at, "expected %s, found %s", expected_words(p, can), token_describe(p, t))) help_unexpected(p, can);
}
