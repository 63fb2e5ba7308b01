/* clang_stmt: statements of C. A condition that depends on a parameter runs both branches and chooses among the values of
   each variable; a loop is written out, its number of rounds being known. */
#include "frontend/clang_read.h"

#include <string.h>

typedef enum { GO_ON, RETURNED, BROKE, CONTINUED } Flow; /* RETURNED: on every path */

static Flow run(CRead *r, CXCursor s);

static Flow block(CRead *r, const CKids *k)
{
    Flow f = GO_ON;

    for (uint32_t i = 0; i < k->n && f == GO_ON && !c_refused(r); i++) f = run(r, k->at[i]);
    return f;
}

static void declare(CRead *r, CXCursor s)
{
    CKids k = c_kids(r, s);

    for (uint32_t i = 0; i < k.n && !c_refused(r); i++) {
        CVal v;
        if (clang_getCursorKind(k.at[i]) != CXCursor_VarDecl) continue;
        if (clang_Cursor_getStorageClass(k.at[i]) == CX_SC_Static && !clang_isConstQualifiedType(clang_getCursorType(k.at[i])) &&
            clang_getCanonicalType(clang_getCursorType(k.at[i])).kind != CXType_ConstantArray) {
            c_refuse(r, k.at[i], "`%s` keeps its value between calls: a function has no state", c_name(r, k.at[i]));
            return;
        }
        v = c_initial(r, k.at[i]);
        VEC_PUSH(r->a, r->frame->var) = (CVar){k.at[i], v};
    }
}

static Flow give_back(CRead *r, CXCursor s)
{
    CKids k = c_kids(r, s);
    CVal v;

    if (k.n != 1) return c_refuse(r, s, "a return without a value"), GO_ON;
    v = c_convert(r, s, c_eval(r, k.at[0]), clang_getCursorResultType(r->frame->fn));
    if (c_refused(r)) return GO_ON;
    if (v.kind == C_REAL || v.kind == C_BOOL) v.x = c_let(r, s, "return", v.x);
    VEC_PUSH(r->a, r->frame->ret) = (CReturn){r->frame->when, v};
    return RETURNED;
}

static CVar *copy_vars(CRead *r)
{
    CVar *v = NEW_N(r->a, CVar, r->frame->var.n + 1);

    if (r->frame->var.n) memcpy(v, r->frame->var.at, r->frame->var.n * sizeof *v);
    return v;
}

static Flow branch(CRead *r, CXCursor s, AstExpr *when, bool exists)
{
    AstExpr *around = r->frame->when;
    Flow f = GO_ON;

    if (exists) {
        r->frame->when = around ? c_let(r, s, "if", c_binary(r, AST_AND, around, when)) : when;
        f = run(r, s);
        r->frame->when = around;
    }
    if (f == BROKE || f == CONTINUED) c_refuse(r, s, "`%s` under a condition that depends on a parameter", f == BROKE ? "break" : "continue");
    return f;
}

static bool same(CVal a, CVal b)
{
    return a.kind == b.kind && (a.kind == C_INT ? a.i == b.i : a.kind == C_ARRAY || a.x == b.x);
}

static Flow either(CRead *r, CXCursor s, const CKids *k, AstExpr *when)
{
    uint32_t n = r->frame->var.n;
    CVar *before = copy_vars(r), *yes;
    Flow f = branch(r, k->at[1], when, true), g;

    if (c_refused(r)) return GO_ON;
    yes = copy_vars(r);
    memcpy(r->frame->var.at, before, n * sizeof *before);
    r->frame->var.n = n;
    g = branch(r, k->n > 2 ? k->at[2] : k->at[1], c_unary(r, AST_NOT, when), k->n > 2);
    r->frame->var.n = n;
    for (uint32_t i = 0; i < n && !c_refused(r); i++) {
        CVal *now = &r->frame->var.at[i].val;
        if (g == RETURNED) *now = yes[i].val;
        if (f == RETURNED || g == RETURNED || same(*now, yes[i].val)) continue;
        *now = c_choose(r, s, when, yes[i].val, *now);
        if (now->kind == C_REAL) now->x = c_let(r, s, c_name(r, r->frame->var.at[i].decl), now->x);
    }
    return f == RETURNED && g == RETURNED ? RETURNED : GO_ON;
}

static Flow condition(CRead *r, CXCursor s)
{
    CKids k = c_kids(r, s);
    AstExpr *when;
    int known;

    if (k.n != 2 && k.n != 3) return c_refuse(r, s, "an `if` of this form cannot be expressed"), GO_ON;
    known = c_truth(r, k.at[0], c_eval(r, k.at[0]), &when);
    if (c_refused(r)) return GO_ON;
    if (known < 0) return either(r, s, &k, when);
    if (known) return run(r, k.at[1]);
    return k.n == 3 ? run(r, k.at[2]) : GO_ON;
}

/* The rounds of a loop; step may be NULL. */
static Flow rounds(CRead *r, CXCursor cond, CXCursor body, const CXCursor *step, bool test_first)
{
    for (bool test = test_first; !c_refused(r); test = true) {
        AstExpr *x;
        Flow f;
        if (test) {
            int known = c_truth(r, cond, c_eval(r, cond), &x);
            if (c_refused(r)) return GO_ON;
            if (known < 0) return c_refuse(r, cond, "the number of rounds of a loop must be known when compiling"), GO_ON;
            if (!known) return GO_ON;
        }
        f = run(r, body);
        if (f == RETURNED) return f;
        if (f == BROKE) return GO_ON;
        if (step && !c_refused(r)) c_eval(r, *step);
    }
    return GO_ON;
}

static Flow loop(CRead *r, CXCursor s)
{
    enum CXCursorKind kind = clang_getCursorKind(s);
    CKids k = c_kids(r, s);

    if (kind == CXCursor_WhileStmt && k.n == 2) return rounds(r, k.at[0], k.at[1], NULL, true);
    if (kind == CXCursor_DoStmt && k.n == 2) return rounds(r, k.at[1], k.at[0], NULL, false);
    if (kind != CXCursor_ForStmt || k.n != 4) return c_refuse(r, s, "a loop needs all its parts: for (int i = 0; i < n; ++i)"), GO_ON;
    if (run(r, k.at[0]) != GO_ON || c_refused(r)) return GO_ON;
    return rounds(r, k.at[1], k.at[3], &k.at[2], true);
}

static Flow dispatch(CRead *r, CXCursor s)
{
    enum CXCursorKind k = clang_getCursorKind(s);
    CKids kids;

    if (k == CXCursor_CompoundStmt) return kids = c_kids(r, s), block(r, &kids);
    if (k == CXCursor_DeclStmt) return declare(r, s), GO_ON;
    if (k == CXCursor_ReturnStmt) return give_back(r, s);
    if (k == CXCursor_IfStmt) return condition(r, s);
    if (k == CXCursor_ForStmt || k == CXCursor_WhileStmt || k == CXCursor_DoStmt) return loop(r, s);
    if (k == CXCursor_NullStmt) return GO_ON;
    if (k == CXCursor_BreakStmt) return BROKE;
    if (k == CXCursor_ContinueStmt) return CONTINUED;
    if (clang_isExpression(k)) return c_eval(r, s), GO_ON;
    if (k == CXCursor_SwitchStmt) return c_refuse(r, s, "`switch` cannot be expressed: write it with `if`"), GO_ON;
    return c_refuse(r, s, "this statement cannot be expressed"), GO_ON;
}

static Flow run(CRead *r, CXCursor s)
{
    Flow f = GO_ON;

    c_span(r, s);
    if (c_enter(r, s)) f = dispatch(r, s);
    c_leave(r);
    return f;
}

/* The first return whose condition holds; the last one is left for what remains. */
static CVal chosen(CRead *r, CXCursor fn, const CFrame *f)
{
    CVal v = f->ret.at[f->ret.n - 1].val;

    for (uint32_t i = f->ret.n - 1; i-- > 0 && !c_refused(r);) v = c_choose(r, fn, f->ret.at[i].when, f->ret.at[i].val, v);
    return v;
}

CVal c_run(CRead *r, CXCursor fn, CFrame *f)
{
    CKids k = c_kids(r, fn);
    Flow flow;
    CVal v = {0};

    f->up = r->frame;
    r->frame = f;
    flow = k.n ? run(r, k.at[k.n - 1]) : GO_ON;
    if (!c_refused(r) && flow != RETURNED) c_refuse(r, fn, "a path through `%s` returns nothing", c_name(r, fn));
    if (!c_refused(r)) v = chosen(r, fn, f);
    r->frame = f->up;
    if (v.kind == C_REAL || v.kind == C_BOOL) v.x = c_let(r, fn, "result", v.x);
    return v;
}
