/* build: nodes of the syntax tree, and the small checks that need no names. */
#include "frontend/parse.h"

#include <math.h>
#include <string.h>

static const Span nowhere = {0, 0};

static const char *span_text(const Parser *p, Span s) { return p->source->text + (s.lo - p->source->base); }

Name ast_text(Parser *p, Span span) {
    size_t n = span.hi - span.lo;
    const char *s = span_text(p, span);
    while (n && s[n - 1] == '\'') n--;
    return intern_n(p->ctx, s, n);
}

AstExpr *ast_expr(Parser *p, AstExprKind kind, Span span) {
    AstExpr *e = NEW(p->a, AstExpr);
    e->kind = kind;
    e->span = e->at = span;
    e->depth = 1;
    return e;
}

/* Sets the height of a node over its children. Past the limit the node is replaced, so that no walk goes deeper. */
static AstExpr *with_depth(Parser *p, AstExpr *e) {
    uint32_t most = 0;
    if (e->a && e->a->depth > most) most = e->a->depth;
    if (e->b && e->b->depth > most) most = e->b->depth;
    for (uint32_t i = 0; i < e->args.n; i++)
        if (e->args.at[i].value->depth > most) most = e->args.at[i].value->depth;
    if (most < AST_MAX_DEPTH) {
        e->depth = (uint16_t)(most + 1);
        return e;
    }
    if (parse_error(p, 105, e->at, "this expression has more than %d operations inside one another", AST_MAX_DEPTH))
        diag_help(p->ctx, nowhere, "bind parts of it to names of their own");
    return ast_expr(p, AST_ERROR, e->span);
}

AstExpr *ast_unary(Parser *p, AstOp op, Span at, AstExpr *a, Span span) {
    AstExpr *e = ast_expr(p, AST_UNARY, span);
    e->op = op;
    e->at = at;
    e->a = a;
    return with_depth(p, e);
}

AstExpr *ast_binary(Parser *p, AstOp op, Span at, AstExpr *a, AstExpr *b, Span span) {
    AstExpr *e = ast_expr(p, AST_BINARY, span);
    e->op = op;
    e->at = at;
    e->a = a;
    e->b = b;
    /* `a * not b + c` would be a * (not (b + c)): nobody means that. */
    if (op != AST_AND && op != AST_OR && b->kind == AST_UNARY && b->op == AST_NOT && !b->parens)
        if (parse_error(p, 113, b->at, "`not` as an operand of `%s` needs parentheses", ast_op_name(op)))
            diag_help(p->ctx, nowhere, "write `a %s (not b)`", ast_op_name(op));
    return with_depth(p, e);
}

AstExpr *ast_member(Parser *p, AstExpr *a, Name name, bool primed, Span at, Span span) {
    AstExpr *e = ast_expr(p, AST_MEMBER, span);
    e->a = a;
    e->name = name;
    e->primed = primed;
    e->at = at;
    return with_depth(p, e);
}

AstExpr *ast_items(Parser *p, AstExprKind kind, AstExpr *a, AstArgs *args, Span span) {
    AstExpr *e = ast_expr(p, kind, span);
    e->a = a;
    if (args) e->args = *args;
    if (kind == AST_JOIN)
        for (uint32_t i = 0; i < e->args.n; i++)
            if (e->args.at[i].name && !(i && i + 1 == e->args.n && e->args.at[i].name == intern(p->ctx, "axis")) && parse_error(p, 115, e->args.at[i].span, "the parts of a list have no names"))
                diag_help(p->ctx, nowhere, "`[a, b]` joins two values, `[a, b, axis = 1]` along their second dim; arguments by name stand behind what takes them: `lstm[H = 64]`");
    return with_depth(p, e);
}

AstExpr *ast_range(Parser *p, AstExpr *a, AstExpr *b, Span span) {
    AstExpr *e = ast_expr(p, AST_RANGE, span);
    e->a = a;
    e->b = b;
    return with_depth(p, e);
}

AstExpr *ast_number(Parser *p, Span span) {
    AstExpr *e = ast_expr(p, AST_NUMBER, span);
    const char *s = span_text(p, span);
    size_t n = span.hi - span.lo;
    char *text = arena_strndup(&p->scratch, s, n);
    e->is_int = strspn(text, "0123456789") == n;
    e->number = parse_double(text, NULL);
    if (!isfinite(e->number)) parse_error(p, 116, span, "this number is too large");
    return e;
}

Name ast_string_text(Parser *p, Span span) {
    const char *s = span_text(p, span) + 1;
    size_t n = span.hi - span.lo - 1;
    if (n && s[n - 1] == '"') n--; /* absent after an error */
    Str out = str_make(&p->scratch);
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\\' || i + 1 == n) {
            str_putc(&out, s[i]);
            continue;
        }
        char c = s[++i];
        if (c == 'n') str_putc(&out, '\n');
        else if (c == 't') str_putc(&out, '\t');
        else if (c == '"' || c == '\\') str_putc(&out, c);
        else {
            Span at = {span.lo + 1 + (uint32_t)i - 1, span.lo + 1 + (uint32_t)i + 1};
            if (parse_error(p, 112, at, "unknown escape in a string"))
                diag_help(p->ctx, nowhere, "escapes are `\\\"`, `\\\\`, `\\n` and `\\t`");
        }
    }
    return intern_n(p->ctx, out.at ? out.at : "", out.n);
}

AstExpr *ast_string(Parser *p, Span span) {
    AstExpr *e = ast_expr(p, AST_STRING, span);
    e->name = ast_string_text(p, span);
    return e;
}

AstArgs *ast_arg(Parser *p, AstArgs *list, Name name, Span name_span, AstExpr *value, Span span) {
    if (!list) list = NEW(p->a, AstArgs);
    VEC_PUSH(p->a, *list) = (AstArg){span, name, name_span, value};
    return list;
}

AstFormals *ast_formal(Parser *p, AstFormals *list, AstFormal f) {
    if (!list) list = NEW(p->a, AstFormals);
    VEC_PUSH(p->a, *list) = f;
    return list;
}

AstTargets *ast_target(Parser *p, AstTargets *list, Name name, bool primed, Span span) {
    if (!list) list = NEW(p->a, AstTargets);
    VEC_PUSH(p->a, *list) = (AstTarget){span, name, primed};
    return list;
}

AstStmt *ast_stmt(Parser *p, AstStmtKind kind, Span keyword, Span span) {
    AstStmt *s = NEW(p->a, AstStmt);
    s->kind = kind;
    s->keyword = keyword;
    s->span = span;
    return s;
}

AstStmt *ast_leaf(Parser *p, AstStmtKind kind, Span keyword, AstTargets *names, AstType *type, AstExpr *value, Span span) {
    AstStmt *s = ast_stmt(p, kind, keyword, span);
    s->targets = *names;
    s->type = type;
    s->value = value;
    for (uint32_t i = 0; i < names->n; i++)
        if (names->at[i].primed && parse_error(p, 111, names->at[i].span, "a declaration takes no prime"))
            diag_help(p->ctx, nowhere, "declare `%s`; its next value is bound by `%s' = ...`", name_str(p->ctx, names->at[i].name),
                      name_str(p->ctx, names->at[i].name));
    return s;
}

AstDecl *ast_decl(Parser *p, AstDeclKind kind, Span keyword, Name name, Span name_span, Span span) {
    AstDecl *d = NEW(p->a, AstDecl);
    d->kind = kind;
    d->keyword = keyword;
    d->name = name;
    d->name_span = name_span;
    d->span = span;
    return d;
}

AstType *ast_type(Parser *p, AstTypeKind kind, Span span) {
    AstType *t = NEW(p->a, AstType);
    t->kind = kind;
    t->span = span;
    return t;
}
