/* format: the one layout of a source file. Works on its tokens, so that no comment and no line break inside a statement is
   lost; the tree only says which tokens begin statements, which minus is unary and which colon belongs to a slice. */
#include "frontend/parse.h"

#include <string.h>

#include "parser.h"

enum {
    MARK_START = 1,   /* begins a declaration, statement or entry */
    MARK_KEYWORD = 2, /* block word used as a keyword */
    MARK_UNARY = 4,
    MARK_SLICE = 8,   /* colon without spaces */
    MARK_TYPE = 16,   /* bracket of `seq(S) [D]` */
    MARK_ENTRY = 32,  /* with START: an entry, which may share its line */
    MARK_ONE_LINE = 64/* braces of a block kept on one line, and all that begins in it */
};

typedef struct {
    Ctx *ctx;
    Str *out;
    Arena *a;
    const Source *source;
    Tokens tokens;
    AstComments comments;
    uint8_t *mark; /* by token */
    uint32_t next_comment;
    int level;       /* braces open */
    bool line_empty; /* nothing on the line yet */
    bool must_break; /* a comment ended the line */
    uint32_t last_hi;/* end of what was put last, in the source; 0 at the start */
    bool after_open; /* the last token was `{` or nothing */
} Format;

/* ---- marks from the tree ------------------------------------------------------------------------------------------ */

/* The first token at or behind a position. */
static uint32_t token_at(const Format *f, uint32_t pos) {
    uint32_t lo = 0, hi = f->tokens.n - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (f->tokens.at[mid].span.lo < pos) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static void mark(Format *f, uint32_t pos, int m) {
    uint8_t *at = &f->mark[token_at(f, pos)];
    *at = (uint8_t)(*at | m);
}

static void mark_expr(Format *f, const AstExpr *e) {
    if (!e) return;
    if (e->kind == AST_UNARY && e->op == AST_NEG) mark(f, e->at.lo, MARK_UNARY);
    mark_expr(f, e->a);
    mark_expr(f, e->b);
    for (uint32_t i = 0; i < e->args.n; i++) {
        const AstExpr *v = e->args.at[i].value;
        mark_expr(f, v);
        if (v->kind != AST_RANGE) continue;
        bool pair = e->kind == AST_JOIN && v->a && v->b;
        if (!pair) mark(f, v->a ? v->a->span.hi : v->span.lo, MARK_SLICE);
    }
}

static void mark_type(Format *f, const AstType *t) {
    if (!t) return;
    mark_expr(f, t->axis);
    mark_expr(f, t->size);
    for (uint32_t i = 0; i < t->dims.n; i++) mark_expr(f, t->dims.at[i]);
    if (t->axis) mark(f, f->tokens.at[token_at(f, t->axis->span.hi)].span.hi, MARK_TYPE);
}

static void mark_formals(Format *f, const AstFormals *list) {
    for (uint32_t i = 0; i < list->n; i++) {
        mark_type(f, list->at[i].type);
        mark_expr(f, list->at[i].value);
    }
}

static void mark_entries(Format *f, const AstEntries *entries) {
    for (uint32_t i = 0; i < entries->n; i++) {
        mark(f, entries->at[i].span.lo, MARK_START | MARK_ENTRY);
        mark_expr(f, entries->at[i].value);
    }
}

static void mark_stmts(Format *f, const AstStmts *list) {
    for (uint32_t i = 0; i < list->n; i++) {
        const AstStmt *s = list->at[i];
        mark(f, s->span.lo, s->kind == AST_BIND ? MARK_START : MARK_START | MARK_KEYWORD);
        mark_type(f, s->type);
        mark_expr(f, s->value);
        mark_expr(f, s->from);
        mark_expr(f, s->to);
        for (uint32_t k = 0; k < s->args.n; k++) mark_expr(f, s->args.at[k].value);
        mark_entries(f, &s->entries);
        mark_stmts(f, &s->body);
    }
}

static void mark_file(Format *f, const AstFile *file) {
    for (uint32_t i = 0; i < file->decls.n; i++) {
        const AstDecl *d = file->decls.at[i];
        mark(f, d->span.lo, MARK_START | MARK_KEYWORD);
        mark_formals(f, &d->brackets);
        mark_formals(f, &d->inputs);
        mark_expr(f, d->value);
        for (uint32_t k = 0; k < d->grad.n; k++) mark_expr(f, d->grad.at[k].value);
        mark_stmts(f, &d->body);
        mark_entries(f, &d->entries);
    }
}

/* A block written on one line stays there if it holds one statement, or only entries. */
static void mark_one_line(Format *f) {
    for (uint32_t i = 0; i < f->tokens.n; i++) {
        if (f->tokens.at[i].kind != '{') continue;
        uint32_t k = i + 1, starts = 0;
        bool nested = false;
        for (; f->tokens.at[k].kind != '}' && f->tokens.at[k].kind != END && !f->tokens.at[k].first; k++) {
            nested |= f->tokens.at[k].kind == '{';
            starts += (f->mark[k] & MARK_START) && !(f->mark[k] & MARK_ENTRY);
        }
        if (f->tokens.at[k].kind != '}' || f->tokens.at[k].first || nested || starts > 1) continue;
        for (uint32_t j = i; j <= k; j++) f->mark[j] |= MARK_ONE_LINE;
    }
}

/* ---- putting ------------------------------------------------------------------------------------------------------ */

static void new_line(Format *f, int indent) {
    if (f->out->n) str_putc(f->out, '\n');
    for (int i = 0; i < indent * 4; i++) str_putc(f->out, ' ');
    f->line_empty = true;
    f->must_break = false;
}

/* Is there an empty line in the source between the last thing put and pos? */
static bool blank_before(const Format *f, uint32_t pos) {
    if (!f->last_hi) return false;
    int newlines = 0;
    for (uint32_t i = f->last_hi; i < pos; i++) newlines += f->source->text[i - f->source->base] == '\n';
    return newlines >= 2;
}

static void put_span(Format *f, Span s) {
    str_putn(f->out, f->source->text + (s.lo - f->source->base), s.hi - s.lo);
    f->last_hi = s.hi;
    f->line_empty = false;
}

static bool begins_line(const Format *f, uint32_t k) {
    int kind = f->tokens.at[k].kind;
    return (f->mark[k] & MARK_START) || kind == '}' || kind == END;
}

/* Puts the comments before token k. */
static void put_comments(Format *f, uint32_t k) {
    uint32_t pos = f->tokens.at[k].span.lo;
    for (; f->next_comment < f->comments.n && f->comments.at[f->next_comment].span.lo < pos; f->next_comment++) {
        const AstComment *c = &f->comments.at[f->next_comment];
        if (c->own_line) {
            bool between = begins_line(f, k);
            if (between && !f->after_open && blank_before(f, c->span.lo)) new_line(f, 0);
            new_line(f, f->level + !between);
        } else if (f->out->n) {
            str_put(f->out, "  ");
        }
        Span s = c->span;
        while (s.hi > s.lo && strchr(" \t", f->source->text[s.hi - 1 - f->source->base])) s.hi--;
        put_span(f, s);
        f->after_open = false;
        f->must_break = true;
    }
}

static bool is_value_end(int kind) {
    return kind == NAME || kind == PRIMED || kind == NUMBER || kind == STRING || kind == TRUE || kind == FALSE || kind == ')' || kind == ']';
}

/* Does a space stand between tokens k-1 and k on one line? */
static bool space_before(const Format *f, uint32_t k) {
    int a = f->tokens.at[k - 1].kind, b = f->tokens.at[k].kind;
    int ma = f->mark[k - 1], mb = f->mark[k];
    if (a == '{' && b == '}') return false;
    if (a == '(' || a == '[' || b == ')' || b == ']' || b == ',') return false;
    if (a == '.' || b == '.' || a == DOTDOT || b == DOTDOT || a == '^' || b == '^') return false;
    if ((ma & MARK_UNARY) && a == '-') return false;
    if (((ma | mb) & MARK_SLICE) && (a == ':' || b == ':')) return a == ',';
    if (b == ':') return false;
    if (b == '(') return !((is_value_end(a) && !(ma & MARK_KEYWORD)) || a == SEQ);
    if (b == '[') return !((is_value_end(a) && !(ma & MARK_KEYWORD)) || a == TOKEN) || (mb & MARK_TYPE);
    return true;
}

static void put_token(Format *f, uint32_t k) {
    const Token *t = &f->tokens.at[k];
    int m = f->mark[k], kind = t->kind;
    bool close = kind == '}', inside = (m & MARK_ONE_LINE) && kind != '{';
    if (close) f->level--;
    if (k == 0) {
        if (f->out->n) new_line(f, 0);
    } else if (begins_line(f, k) && !inside) {
        if (!close && !f->after_open && blank_before(f, t->span.lo)) new_line(f, 0);
        new_line(f, f->level);
    } else if (f->must_break || (t->first && kind != '{')) {
        new_line(f, f->level + !(kind == ')' || kind == ']' || kind == '{'));
    } else if (space_before(f, k)) {
        str_putc(f->out, ' ');
    }
    put_span(f, t->span);
    f->after_open = kind == '{';
    if (kind == '{') f->level++;
}

static void format_tokens(Format *f, const AstFile *file) {
    scan_source(f->ctx, f->a, f->source, &f->tokens, &f->comments);
    f->mark = NEW_N(f->a, uint8_t, f->tokens.n);
    mark_file(f, file);
    mark_one_line(f);
    f->after_open = true;
    for (uint32_t k = 0; k < f->tokens.n; k++) {
        bool blank = k == 0 && f->comments.n && f->tokens.at[0].kind != END;
        put_comments(f, k);
        if (f->tokens.at[k].kind == END) break;
        if (blank && f->next_comment && blank_before(f, f->tokens.at[0].span.lo)) str_putc(f->out, '\n');
        put_token(f, k);
    }
    if (f->out->n) str_putc(f->out, '\n');
}

/* Removes the spaces of lines that turned out empty. */
static void put_trimmed(Str *out, const Str *text) {
    const char *at = text->n ? text->at : "", *end = at + text->n;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at)), *stop = nl ? nl : end;
        while (stop > at && stop[-1] == ' ') stop--;
        str_putn(out, at, (size_t)(stop - at));
        if (nl) str_putc(out, '\n');
        at = nl ? nl + 1 : end;
    }
}

static bool format_run(Format *f, Str *out, const AstFile *file, Arena *scratch) {
    CtxFrame frame;
    if (CTX_TRY(f->ctx, &frame)) {
        format_tokens(f, file);
        put_trimmed(out, f->out);
        CTX_END(f->ctx);
        arena_free(scratch);
        return true;
    }
    arena_free(scratch);
    ctx_out_of_memory(f->ctx);
}

bool format_file(Ctx *ctx, Str *out, const AstFile *file) {
    if (!file->ok) return false;
    Arena scratch = arena_make(ctx);
    Str text = str_make(&scratch);
    Format f = {.ctx = ctx, .out = &text, .a = &scratch, .source = file->source};
    return format_run(&f, out, file, &scratch);
}
