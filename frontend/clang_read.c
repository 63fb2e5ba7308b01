/* clang_read: librondo_clang.so. Parses a header with libclang and makes a declaration of each function it defines. */
#include "frontend/clang_read.h"

#include <stdlib.h>
#include <string.h>

/* ---- cursors -------------------------------------------------------------------------------------------------------------- */

/* libclang's frames lie between us and the visitor: it must not unwind, so it takes its memory from malloc. */
typedef struct {
    CXCursor *at;
    uint32_t n, cap;
    bool full;
} Found;

static enum CXChildVisitResult collect(CXCursor c, CXCursor parent, CXClientData data)
{
    Found *f = data;

    (void)parent;
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? 2 * f->cap : 16;
        CXCursor *at = realloc(f->at, cap * sizeof *at);
        if (!at) {
            f->full = true;
            return CXChildVisit_Break;
        }
        f->at = at;
        f->cap = cap;
    }
    f->at[f->n++] = c;
    return CXChildVisit_Continue;
}

CKids c_kids(CRead *r, CXCursor c)
{
    Found f = {0};
    CKids k = {0};
    CtxFrame frame;

    clang_visitChildren(c, collect, &f);
    if (f.full || !CTX_TRY(r->ctx, &frame)) {
        free(f.at);
        ctx_out_of_memory(r->ctx);
    }
    k.at = NEW_N(r->a, CXCursor, f.n + 1);
    CTX_END(r->ctx);
    if (f.n) memcpy(k.at, f.at, f.n * sizeof *f.at);
    k.n = f.n;
    free(f.at);
    return k;
}

static bool place(const CRead *r, CXSourceLocation at, uint32_t *pos)
{
    CXFile file;
    unsigned offset;

    clang_getExpansionLocation(at, &file, NULL, NULL, &offset);
    if (!file || !clang_File_isEqual(file, r->file) || offset > r->src->size) return false;
    *pos = r->src->base + offset;
    return true;
}

Span c_span(CRead *r, CXCursor c)
{
    CXSourceRange range = clang_getCursorExtent(c);
    Span s;

    if (!place(r, clang_getRangeStart(range), &s.lo) || !place(r, clang_getRangeEnd(range), &s.hi)) return r->here;
    if (s.hi <= s.lo) s.hi = s.lo + 1;
    r->here = s;
    return s;
}

static const char *keep(CRead *r, CXString s)
{
    CtxFrame frame;
    char *out;

    if (!CTX_TRY(r->ctx, &frame)) {
        clang_disposeString(s);
        ctx_out_of_memory(r->ctx);
    }
    out = arena_strdup(r->a, clang_getCString(s) ? clang_getCString(s) : "");
    CTX_END(r->ctx);
    clang_disposeString(s);
    return out;
}

const char *c_name(CRead *r, CXCursor c)
{
    return keep(r, clang_getCursorSpelling(c));
}

bool c_is_real(CXType t)
{
    enum CXTypeKind k = clang_getCanonicalType(t).kind;

    return k == CXType_Float || k == CXType_Double;
}

bool c_is_int(CXType t)
{
    enum CXTypeKind k = clang_getCanonicalType(t).kind;

    return (k >= CXType_Bool && k <= CXType_LongLong) || k == CXType_Enum;
}

/* ---- refusals and limits ---------------------------------------------------------------------------------------------------- */

bool c_refused(const CRead *r)
{
    return r->fn->refusal != NULL;
}

CVal c_refuse(CRead *r, CXCursor at, const char *fmt, ...)
{
    va_list ap;
    Str s;

    if (!c_refused(r)) {
        s = str_make(r->a);
        va_start(ap, fmt);
        str_vprintf(&s, fmt, ap);
        va_end(ap);
        r->fn->refusal = s.at;
        r->fn->refused_at = c_span(r, at);
    }
    return (CVal){0};
}

bool c_enter(CRead *r, CXCursor at)
{
    r->depth++;
    if (c_refused(r)) return false;
    if (r->depth > C_DEPTH_MAX) c_refuse(r, at, "this is nested too deeply, or the function calls itself");
    else if (++r->steps > C_STEPS_MAX || r->fn->body.n > C_LETS_MAX) c_refuse(r, at, "the function is too long with its loops and calls written out");
    return !c_refused(r);
}

void c_leave(CRead *r)
{
    r->depth--;
}

/* ---- expressions of the language --------------------------------------------------------------------------------------------- */

static AstExpr *expr(CRead *r, AstExprKind kind)
{
    AstExpr *x = NEW(r->a, AstExpr);

    x->kind = kind;
    x->span = x->at = r->here;
    x->depth = 1;
    return x;
}

static void deepen(AstExpr *x, const AstExpr *below)
{
    if (below && x->depth <= below->depth) x->depth = (uint16_t)(below->depth + 1);
}

AstExpr *c_number(CRead *r, double v)
{
    AstExpr *x = expr(r, AST_NUMBER);

    x->number = v < 0 ? -v : v;
    return v < 0 ? c_unary(r, AST_NEG, x) : x;
}

AstExpr *c_local(CRead *r, Name name)
{
    AstExpr *x = expr(r, AST_NAME);

    x->name = name;
    return x;
}

AstExpr *c_unary(CRead *r, AstOp op, AstExpr *a)
{
    AstExpr *x = expr(r, AST_UNARY);

    x->op = op;
    x->a = a;
    deepen(x, a);
    return x;
}

AstExpr *c_binary(CRead *r, AstOp op, AstExpr *a, AstExpr *b)
{
    AstExpr *x = expr(r, AST_BINARY);

    x->op = op;
    x->a = a;
    x->b = b;
    deepen(x, a);
    deepen(x, b);
    return x;
}

AstExpr *c_call(CRead *r, const char *fn, AstExpr *a, AstExpr *b, AstExpr *c)
{
    AstExpr *x = expr(r, AST_CALL), *arg[] = {a, b, c};

    x->a = c_local(r, intern(r->ctx, fn));
    for (int i = 0; i < 3 && arg[i]; i++) {
        VEC_PUSH(r->a, x->args) = (AstArg){.span = arg[i]->span, .value = arg[i]};
        deepen(x, arg[i]);
    }
    return x;
}

/* No name of C has a #, so these hide nothing. */
AstExpr *c_let(CRead *r, CXCursor at, const char *name, AstExpr *x)
{
    AstStmt *s;
    Name n;

    if (x->kind == AST_NAME || x->kind == AST_NUMBER) return x;
    s = NEW(r->a, AstStmt);
    s->kind = AST_BIND;
    s->span = s->keyword = c_span(r, at);
    s->value = x;
    n = intern_printf(r->ctx, "%s#%u", name, (unsigned)r->fn->body.n);
    VEC_PUSH(r->a, s->targets) = (AstTarget){s->span, n, false};
    VEC_PUSH(r->a, r->fn->body) = s;
    return c_local(r, n);
}

CVal c_int(int64_t i)
{
    return (CVal){.kind = C_INT, .i = i};
}

CVal c_real(AstExpr *x)
{
    return (CVal){.kind = C_REAL, .x = x};
}

/* ---- a header ------------------------------------------------------------------------------------------------------------------ */

static void set_parameters(CRead *r, CXCursor fn, CFrame *f)
{
    int n = clang_Cursor_getNumArguments(fn);

    for (int i = 0; i < n; i++) {
        CXCursor p = clang_Cursor_getArgument(fn, (unsigned)i);
        const char *name = c_name(r, p);
        AstFormal formal = {.span = c_span(r, p), .name = intern_printf(r->ctx, *name ? "%s" : "unnamed#%s%d", name, i)};
        formal.name_span = formal.span;
        VEC_PUSH(r->a, r->fn->inputs) = formal;
        if (!c_is_real(clang_getCursorType(p))) c_refuse(r, p, "parameter `%s` is no float: the functions of the language take real numbers", name);
        VEC_PUSH(r->a, f->var) = (CVar){p, c_real(c_local(r, formal.name))};
    }
    if (!n) c_refuse(r, fn, "`%s` has no parameter", name_str(r->ctx, r->fn->name));
    if (clang_Cursor_isVariadic(fn)) c_refuse(r, fn, "`%s` takes any number of arguments", name_str(r->ctx, r->fn->name));
}

static AstDecl *translate(CRead *r, CXCursor fn)
{
    AstDecl *d = NEW(r->a, AstDecl);
    CFrame f = {.fn = fn};
    CVal v = {0};

    r->fn = d;
    r->frame = NULL;
    r->steps = r->depth = r->maybe = 0;
    d->kind = AST_FN;
    d->span = d->keyword = c_span(r, fn);
    d->name = intern(r->ctx, c_name(r, fn));
    if (!place(r, clang_getCursorLocation(fn), &d->name_span.lo)) d->name_span.lo = d->span.lo;
    d->name_span.hi = d->name_span.lo + (uint32_t)strlen(name_str(r->ctx, d->name));
    d->head = d->name_span;
    d->has_inputs = true;
    if (!c_is_real(clang_getCursorResultType(fn))) c_refuse(r, fn, "`%s` returns no float", name_str(r->ctx, d->name));
    set_parameters(r, fn, &f);
    if (!c_refused(r)) v = c_run(r, fn, &f);
    d->value = v.kind == C_REAL ? v.x : expr(r, AST_ERROR);
    return d;
}

static bool report(CRead *r, CXTranslationUnit tu)
{
    bool ok = true;
    unsigned n = clang_getNumDiagnostics(tu);

    for (unsigned i = 0; i < n; i++) {
        CXDiagnostic d = clang_getDiagnostic(tu, i);
        bool error = clang_getDiagnosticSeverity(d) >= CXDiagnostic_Error;
        CXString text = clang_getDiagnosticSpelling(d);
        CXSourceLocation at = clang_getDiagnosticLocation(d);
        Span s = {0, 0};
        clang_disposeDiagnostic(d);
        if (!error) {
            clang_disposeString(text);
            continue;
        }
        ok = false;
        if (place(r, at, &s.lo)) s.hi = s.lo + 1;
        diag_error(r->ctx, 215, s, "no valid C: %s", keep(r, text));
    }
    return ok;
}

static void functions(CRead *r, CXTranslationUnit tu, CDecls *out)
{
    CKids k = c_kids(r, clang_getTranslationUnitCursor(tu));

    for (uint32_t i = 0; i < k.n; i++) {
        uint32_t pos;
        bool again = false;
        if (clang_getCursorKind(k.at[i]) != CXCursor_FunctionDecl || !clang_isCursorDefinition(k.at[i])) continue;
        if (!place(r, clang_getCursorLocation(k.at[i]), &pos)) continue;
        for (uint32_t j = 0; j < out->n; j++) again |= !strcmp(name_str(r->ctx, out->at[j]->name), c_name(r, k.at[i]));
        if (!again) VEC_PUSH(r->a, *out) = translate(r, k.at[i]);
    }
}

static bool read_unit(CRead *r, CXTranslationUnit tu, CDecls *out)
{
    r->file = clang_getFile(tu, r->src->path);
    if (!report(r, tu)) return false;
    functions(r, tu, out);
    return true;
}

static bool read(Ctx *ctx, Arena *a, const Source *header, CDecls *out)
{
    static const char *const args[] = {"-x", "c", "-std=gnu11", "-Wno-everything", "-ferror-limit=20"};
    struct CXUnsavedFile text = {header->path, header->text, header->size};
    CXIndex index = clang_createIndex(0, 0);
    CXTranslationUnit tu = NULL;
    CRead r = {.ctx = ctx, .a = a, .src = header, .here = {header->base, header->base + 1}};
    CtxFrame frame;
    bool ok = false;

    if (!index || clang_parseTranslationUnit2(index, header->path, args, sizeof args / sizeof *args, &text, 1, 0, &tu) != CXError_Success) {
        if (index) clang_disposeIndex(index);
        diag_error(ctx, 215, (Span){header->base, header->base + 1}, "libclang could not read this file");
        return false;
    }
    if (!CTX_TRY(ctx, &frame)) {
        clang_disposeTranslationUnit(tu);
        clang_disposeIndex(index);
        ctx_out_of_memory(ctx);
    }
    ok = read_unit(&r, tu, out);
    CTX_END(ctx);
    clang_disposeTranslationUnit(tu);
    clang_disposeIndex(index);
    return ok;
}

PORT_EXPORT extern const ClangPlugin rondo_clang_plugin;
const ClangPlugin rondo_clang_plugin = {{RONDO_CLANG_VERSION, RONDO_VERSION}, read};
