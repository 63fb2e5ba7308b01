/* parse: feeds tokens to the grammar: block words by context, missing and wrong closing brackets, recovery. */
#include "frontend/parse.h"

#include <string.h>

#include "parser.h"

int rondo_yylex(RONDO_YYSTYPE *value, Span *span, Parser *p);
void rondo_yyerror(Span *at, Parser *p, const char *text);

/* ---- errors ------------------------------------------------------------------------------------------------------- */

bool parse_error(Parser *p, uint16_t code, Span at, const char *fmt, ...) {
    p->failed = true;
    /* The grammar reads one token ahead: a slip there does not silence what it finds in the statement before. */
    uint32_t stmt = p->tokens.n ? p->tokens.at[p->stmt_at].span.lo : 0;
    bool before = p->error_pos >= stmt && at.lo < stmt;
    if (p->quiet && !before) return false;
    p->quiet = true;
    if (!before) p->error_pos = at.lo > p->cur.span.lo ? at.lo : p->cur.span.lo;
    va_list ap;
    va_start(ap, fmt);
    Str s = str_make(&p->scratch);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_error(p->ctx, code, at, "%s", s.at);
    return true;
}

void parse_settle(Parser *p, uint32_t pos) {
    if (p->error_pos < pos) p->quiet = false;
}

void rondo_yyerror(Span *at, Parser *p, const char *text) {
    (void)text; /* only ever "memory exhausted": bison's stack is full */
    p->stop = true;
    p->quiet = false;
    if (parse_error(p, 105, *at, "the program is nested too deeply"))
        diag_help(p->ctx, (Span){0, 0}, "bind parts of it to names of their own");
}

/* ---- block words -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    int kind;
} block_words[] = {
    {"noise", NOISE},   {"input", INPUT}, {"target", TARGET}, {"output", OUTPUT},       {"loss", LOSS},
    {"metric", METRIC}, {"train", TRAIN}, {"data", DATA},     {"optimizer", OPTIMIZER}, {"init", INIT},
    {"grad", GRAD},
};

bool token_is(const Parser *p, const Token *t, const char *text) {
    size_t n = strlen(text);
    return t->span.hi - t->span.lo == n && memcmp(p->source->text + (t->span.lo - p->source->base), text, n) == 0;
}

static int block_word(const Parser *p, const Token *t) {
    if (t->kind == NAME)
        for (size_t i = 0; i < sizeof block_words / sizeof *block_words; i++)
            if (token_is(p, t, block_words[i].word)) return block_words[i].kind;
    return 0;
}

/* No construct puts two expressions side by side, so a word behind such a token begins a statement. */
bool token_can_end(int kind) {
    switch (kind) {
    case 0: case NAME: case PRIMED: case NUMBER: case STRING: case TRUE: case FALSE: case BOOL:
    case ')': case ']': case '}': case '{': case START_FILE:
        return true;
    default: return false; /* token kinds are integers, not an enum of ours */
    }
}

static bool in_block(const Parser *p) { return p->open.n == 0 || p->open.at[p->open.n - 1].close == '}'; }

/* The kind of the token at k as the grammar sees it, given the kind before it. */
static int kind_in_place(const Parser *p, uint32_t k, int before) {
    const Token *t = &p->tokens.at[k];
    int word = block_word(p, t);
    if (!word) return t->kind;
    const Token *after = t + 1;
    int next = after->kind;
    /* Two names in a row on a line of their own are a statement, whatever is missing before them. */
    bool line = t->first && !after->first && (next == NAME || next == '{');
    if (!token_can_end(before) && !(line && before >= 0)) return NAME;
    if (next == '=' || next == ',') return NAME;
    if ((word == OPTIMIZER || word == INIT || word == GRAD) && next != NAME) return NAME;
    return word;
}

static bool is_decl_kind(int kind) {
    return kind == CELL || kind == FN || kind == MODEL || kind == IMPORT || kind == OPTIMIZER || kind == INIT;
}

static bool is_stmt_keyword(int kind) {
    return kind == PARAM || kind == CONST || kind == STATE || kind == RETURN || kind == REPEAT;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

static int give(Parser *p, int kind, Token t) {
    t.kind = kind;
    p->prev = p->cur;
    p->prev_kind = kind;
    p->cur = t;
    return kind;
}

static const char *close_text(int close) { return close == ')' ? "`)`" : close == ']' ? "`]`" : "`}`"; }
static const char *open_text(int close) { return close == ')' ? "`(`" : close == ']' ? "`[`" : "`{`"; }

static void missing_close(Parser *p) {
    const Open *o = &p->open.at[p->open.n - 1];
    Span at = {p->cur.span.hi, p->cur.span.hi};
    if (parse_error(p, 104, at, "missing %s", close_text(o->close)))
        diag_note(p->ctx, o->span, "this %s is not closed", open_text(o->close));
}

/* Gives the closing bracket that the source lacks, as a token of no width behind the last one. */
static int give_close(Parser *p) {
    Token t = {.span = {p->cur.span.hi, p->cur.span.hi}, .column = p->cur.column};
    return give(p, p->open.at[--p->open.n].close, t);
}

/* Only declarations begin with these words, so in the first column a block before it lacks its brace. */
static bool starts_decl(const Parser *p, uint32_t k, int kind) {
    const Token *t = &p->tokens.at[k];
    return t->first && is_decl_kind(kind) && t->column == 1;
}

static bool is_open_anywhere(const Parser *p, int close) {
    for (uint32_t i = p->open.n; i-- > 0;) {
        if (p->open.at[i].close == close) return true;
        if (p->open.at[i].close == '}') return false; /* braces are not crossed by ) and ] */
    }
    return false;
}

/* A closing bracket that does not fit the innermost open one. Returns the kind to give, 0 to drop the token. */
static int wrong_close(Parser *p, const Token *t) {
    if (p->open.n == 0 || (t->kind != '}' && in_block(p))) {
        const char *text = close_text(t->kind);
        parse_error(p, 106, t->span, "unmatched %s", text);
        return 0;
    }
    const Open *o = &p->open.at[p->open.n - 1];
    if (parse_error(p, 104, t->span, "expected %s, found %s", close_text(o->close), close_text(t->kind)))
        diag_note(p->ctx, o->span, "to close this %s", open_text(o->close));
    return o->close;
}

static int take_close(Parser *p, Token t) {
    if (p->open.n && p->open.at[p->open.n - 1].close == t.kind) {
        p->pos++;
        p->open.n--;
        return give(p, t.kind, t);
    }
    bool somewhere = t.kind == '}' ? p->open.n > 0 : is_open_anywhere(p, t.kind);
    if (t.kind == '}' && somewhere) { /* ( or [ still open at the end of a block */
        somewhere = false;
        for (uint32_t i = 0; i < p->open.n; i++) somewhere |= p->open.at[i].close == '}';
    }
    if (somewhere) {
        missing_close(p);
        return give_close(p);
    }
    p->pos++;
    int kind = wrong_close(p, &t);
    if (!kind) return t.kind == '}' ? -1 : give(p, BAD, t);
    p->open.n--;
    return give(p, kind, t);
}

static int take_open(Parser *p, Token t, int close) {
    if (p->open.n >= AST_MAX_NESTING) {
        p->stop = true;
        p->quiet = false;
        if (parse_error(p, 105, t.span, "nested more than %d deep", AST_MAX_NESTING))
            diag_help(p->ctx, (Span){0, 0}, "bind parts of it to names of their own");
        p->quiet = true;
        return give(p, END, t);
    }
    VEC_PUSH(&p->scratch, p->open) = (Open){close, t.span};
    p->pos++;
    return give(p, t.kind, t);
}

static bool starts_binding(const Parser *p, uint32_t k);

/* Notes where a statement begins, and that errors of the one before it are past. */
static void begin_statement(Parser *p, const Token *t, int kind) {
    if (t->first) p->stmt_column = t->column;
    p->stmt_at = p->pos;
    bool supplied = p->cur.span.lo == p->cur.span.hi; /* a closing bracket of ours: what it closed may be unfinished */
    if (t->first && !supplied && (starts_binding(p, p->pos) || kind != t->kind || is_decl_kind(kind) || is_stmt_keyword(kind)))
        parse_settle(p, t->span.lo);
}

static int next_token(Parser *p) {
    for (;;) {
        p->cur_pos = p->pos;
        p->cur_open = p->open.n;
        Token t = p->tokens.at[p->pos];
        if (p->stop) return give(p, END, t);
        if (t.slip != LEX_OK) {
            parse_slip(p, &t);
            if (t.slip == LEX_SEMICOLON || t.slip == LEX_SLASHES) {
                p->pos++;
                continue;
            }
        }
        int kind = kind_in_place(p, p->pos, in_block(p) ? p->prev_kind : -1);
        if (p->open.n && (kind == END || starts_decl(p, p->pos, kind))) {
            missing_close(p);
            return give_close(p);
        }
        switch (kind) {
        case '(': return take_open(p, t, ')');
        case '[': return take_open(p, t, ']');
        case '{': return take_open(p, t, '}');
        case ')': case ']': case '}':
            kind = take_close(p, t);
            if (kind < 0) continue; /* a brace too many has been told */
            return kind;
        case END: return give(p, END, t);
        default: break; /* not an enum of ours */
        }
        if (in_block(p) && token_can_end(p->prev_kind)) begin_statement(p, &t, kind);
        p->pos++;
        return give(p, kind, t);
    }
}

int rondo_yylex(RONDO_YYSTYPE *value, Span *span, Parser *p) {
    (void)value; /* actions read their tokens from the source, by place */
    if (!p->started) {
        p->started = true;
        *span = (Span){p->source->base, p->source->base};
        p->prev_kind = START_FILE;
        return p->only_expr ? START_EXPR : START_FILE;
    }
    int kind = next_token(p);
    *span = p->cur.span;
    return kind;
}

/* ---- recovery ----------------------------------------------------------------------------------------------------- */

/* Does `NAME =`, `NAME, NAME =` or a block word stand at k? */
static bool starts_binding(const Parser *p, uint32_t k) {
    const Token *t = p->tokens.at;
    if (k && t[k - 1].kind == '.') return false;
    while ((t[k].kind == NAME || t[k].kind == PRIMED) && t[k + 1].kind == ',' && t[k].first) {
        k += 2;
        while ((t[k].kind == NAME || t[k].kind == PRIMED) && t[k + 1].kind == ',') k += 2;
        break;
    }
    return (t[k].kind == NAME || t[k].kind == PRIMED) && t[k + 1].kind == '=';
}

static bool starts_stmt(const Parser *p, uint32_t k) {
    const Token *t = &p->tokens.at[k];
    int word = kind_in_place(p, k, k ? p->tokens.at[k - 1].kind : 0);
    return starts_binding(p, k) || (word != t->kind && t->first);
}

/* A reserved word where a statement begins, not one misused as a name. */
static bool starts_keyword(const Parser *p, uint32_t k) {
    const Token *t = &p->tokens.at[k];
    if (!is_stmt_keyword(t->kind)) return false;
    return t->first || (!t[1].first && (t[1].kind == NAME || t[1].kind == PRIMED));
}

static bool starts_any_decl(const Parser *p, uint32_t k) {
    const Token *t = &p->tokens.at[k];
    int kind = kind_in_place(p, k, k ? p->tokens.at[k - 1].kind : 0);
    return t->first && (is_decl_kind(kind) || ((kind == METRIC || kind == TRAIN || kind == DATA) && t[1].kind == NAME));
}

/* Can parsing resume at token k, with so many brackets and braces open since the block began? */
static bool resumes(const Parser *p, SkipMode mode, uint32_t k, uint32_t paren, uint32_t brace) {
    const Token *t = &p->tokens.at[k];
    if (t->kind == END) return true;
    if (starts_any_decl(p, k) && (t->column == 1 || (brace == 0 && mode != SKIP_STMT && mode != SKIP_ENTRY))) return true;
    if (brace) return false;
    bool outdented = t->first && t->column <= p->stmt_column;
    switch (mode) {
    case SKIP_DECL: return false;
    case SKIP_HEAD: return t->kind == '{';
    case SKIP_STMT:
        /* A name in the column of statements begins one, even if not a right one. */
        return t->kind == '}' || starts_keyword(p, k) || ((paren == 0 || outdented) && starts_stmt(p, k)) ||
               (outdented && paren == 0 && (t->kind == NAME || t->kind == PRIMED));
    case SKIP_ENTRY:
        return t->kind == '}' || (paren == 0 && t->kind == ',') || ((paren == 0 || outdented) && starts_binding(p, k));
    }
    return true;
}

bool parse_recover(Parser *p, SkipMode mode) {
    if (p->stop) return false;
    p->pos = p->cur_pos;
    p->open.n = p->cur_open;
    uint32_t base = p->open.n;
    while (base && p->open.at[base - 1].close != '}') base--;
    if (mode == SKIP_DECL || mode == SKIP_HEAD) base = 0;
    uint32_t paren = p->open.n - base, brace = 0, k = p->pos;
    /* Resuming twice at one token would never end: the second time it is passed over. */
    bool again = p->recover_pos == k + 1;
    if (again && p->tokens.at[k].kind == END && p->open.n == 0) return false;
    for (;; k++, again = false) {
        const Token *t = &p->tokens.at[k];
        if (t->kind == END || (!again && resumes(p, mode, k, paren, brace))) break;
        switch (t->kind) {
        case '(': case '[': paren++; break;
        case ')': case ']': paren -= paren > 0; break;
        case '{': brace++; paren = 0; break;
        case '}': brace -= brace > 0; paren = 0; break;
        default: break; /* not an enum of ours */
        }
    }
    p->pos = k;
    p->open.n = base;
    p->recover_pos = k + 1;
    p->prev_kind = '}'; /* a statement can begin here */
    if (k) p->cur = p->tokens.at[k - 1];
    parse_settle(p, p->tokens.at[k].span.lo + 1);
    if (mode == SKIP_ENTRY && p->tokens.at[k].kind == ',' && k + 1 < p->tokens.n && p->tokens.at[k + 1].kind == '}')
        p->recover_pos = 0;
    return true;
}

/* ---- entry points ------------------------------------------------------------------------------------------------- */

/* Apart from its caller, so that what unwinding must see again is not a local of the function that has the setjmp. */
static void parse_run(Parser *p) {
    CtxFrame frame;
    if (CTX_TRY(p->ctx, &frame)) {
        scan_source(p->ctx, &p->scratch, p->source, &p->tokens, &p->comments);
        if (rondo_yyparse(p) != 0) p->failed = true;
        for (uint32_t i = 0; i < p->comments.n; i++) VEC_PUSH(p->a, p->file->comments) = p->comments.at[i];
        CTX_END(p->ctx);
        arena_free(&p->scratch);
        return;
    }
    arena_free(&p->scratch);
    ctx_out_of_memory(p->ctx);
}

AstFile *parse_file(Ctx *ctx, Arena *a, const Source *source) {
    Parser p = {.ctx = ctx, .a = a, .scratch = arena_make(ctx), .source = source, .file = NEW(a, AstFile)};
    p.file->source = source;
    parse_run(&p);
    p.file->ok = !p.failed;
    return p.file;
}

AstExpr *parse_expr(Ctx *ctx, Arena *a, const Source *source) {
    Parser p = {.ctx = ctx, .a = a, .scratch = arena_make(ctx), .source = source, .file = NEW(a, AstFile), .only_expr = true};
    p.file->source = source;
    parse_run(&p);
    return p.failed ? NULL : p.expr;
}
