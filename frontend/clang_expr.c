/* clang_expr: expressions of C. */
#include "frontend/clang_read.h"

#include <math.h>
#include <string.h>

/* ---- conversions -------------------------------------------------------------------------------------------------------------- */

static AstExpr *as_real(CRead *r, CVal v)
{
    if (v.kind == C_INT) return c_number(r, (double)v.i);
    if (v.kind == C_BOOL) return c_call(r, "where", v.x, c_number(r, 1), c_number(r, 0));
    return v.x;
}

static bool known_whole(const AstExpr *x, double *v)
{
    double sign = 1;

    if (x->kind == AST_UNARY && x->op == AST_NEG) sign = -1, x = x->a;
    if (x->kind != AST_NUMBER) return false;
    *v = sign * trunc(x->number);
    return fabs(*v) < 2147483648.0;
}

static CVal checked_int(CRead *r, CXCursor at, int64_t i, CXType t)
{
    enum CXTypeKind k = clang_getCanonicalType(t).kind;
    bool is_unsigned = k == CXType_UChar || k == CXType_UShort || k == CXType_UInt || k == CXType_ULong || k == CXType_ULongLong;

    if (i < (is_unsigned ? 0 : INT32_MIN) || i > INT32_MAX) return c_refuse(r, at, "an integer that does not fit 32 bits");
    return c_int(k == CXType_Bool ? i != 0 : i);
}

CVal c_convert(CRead *r, CXCursor at, CVal v, CXType to)
{
    double known;

    if (v.kind == C_NONE || v.kind == C_ARRAY) return v;
    if (c_is_real(to)) return c_real(as_real(r, v));
    if (!c_is_int(to)) return c_refuse(r, at, "only numbers can be expressed, no pointers, structures or vectors");
    if (v.kind == C_INT) return checked_int(r, at, v.i, to);
    if (v.kind == C_BOOL || v.whole) return v;
    if (clang_getCanonicalType(to).kind == CXType_Bool) return (CVal){.kind = C_BOOL, .x = c_binary(r, AST_NE, v.x, c_number(r, 0))};
    if (known_whole(v.x, &known)) return c_int((int64_t)known);
    return c_refuse(r, at, "a real number becomes an integer here: use floorf, which stays real");
}

int c_truth(CRead *r, CXCursor at, CVal v, AstExpr **x)
{
    *x = NULL;
    if (v.kind == C_INT) return v.i != 0;
    if (v.kind == C_BOOL) *x = c_let(r, at, "if", v.x);
    if (v.kind == C_REAL) *x = c_let(r, at, "if", c_binary(r, AST_NE, v.x, c_number(r, 0)));
    if (v.kind == C_ARRAY) c_refuse(r, at, "a condition on an array");
    if (!*x) *x = c_number(r, 0); /* refused */
    return -1;
}

CVal c_choose(CRead *r, CXCursor at, AstExpr *when, CVal yes, CVal no)
{
    CVal v = {.kind = C_REAL};

    if (yes.kind == C_NONE || no.kind == C_NONE) return (CVal){0};
    if (yes.kind == C_ARRAY || no.kind == C_ARRAY) return c_refuse(r, at, "a choice between arrays");
    if (yes.kind == C_INT && no.kind == C_INT && yes.i == no.i) return yes;
    if (yes.kind == no.kind && yes.kind != C_INT && yes.x == no.x) return yes;
    v.whole = (yes.kind != C_REAL || yes.whole) && (no.kind != C_REAL || no.whole);
    v.x = c_call(r, "where", when, as_real(r, yes), as_real(r, no));
    return v;
}

/* ---- variables ----------------------------------------------------------------------------------------------------------------- */

static CVar *find(CRead *r, CXCursor decl)
{
    for (uint32_t i = r->frame ? r->frame->var.n : 0; i-- > 0;)
        if (clang_equalCursors(r->frame->var.at[i].decl, decl)) return &r->frame->var.at[i];
    return NULL;
}

static CXCursor strip(CRead *r, CXCursor e)
{
    for (;;) {
        enum CXCursorKind k = clang_getCursorKind(e);
        CKids kids;
        if (k != CXCursor_ParenExpr && k != CXCursor_UnexposedExpr) return e;
        kids = c_kids(r, e);
        if (kids.n != 1) return e;
        e = kids.at[0];
    }
}

bool c_assign(CRead *r, CXCursor at, CXCursor target, CVal v)
{
    CXCursor name = strip(r, target);
    CVar *var = clang_getCursorKind(name) == CXCursor_DeclRefExpr ? find(r, clang_getCursorReferenced(name)) : NULL;

    if (r->maybe) return c_refuse(r, at, "an assignment inside a condition that may not be evaluated"), false;
    if (!var) return c_refuse(r, at, "only variables of the function can be assigned"), false;
    v = c_convert(r, at, v, clang_getCursorType(name));
    if (v.kind == C_REAL || v.kind == C_BOOL) v.x = c_let(r, at, c_name(r, name), v.x);
    var->val = v;
    return !c_refused(r);
}

CVal c_initial(CRead *r, CXCursor var)
{
    CXCursor init = clang_Cursor_getVarDeclInitializer(var);
    CXType t = clang_getCursorType(var);
    CVal v;

    if (clang_Cursor_isNull(init)) return (CVal){0};
    if (clang_getCanonicalType(t).kind == CXType_ConstantArray && clang_getCursorKind(init) == CXCursor_InitListExpr) {
        if (!clang_isConstQualifiedType(clang_getArrayElementType(t))) return c_refuse(r, var, "an array that is not const");
        return (CVal){.kind = C_ARRAY, .array = init};
    }
    v = c_convert(r, init, c_eval(r, init), t);
    if (v.kind == C_REAL || v.kind == C_BOOL) v.x = c_let(r, var, c_name(r, var), v.x);
    return v;
}

static CVal variable(CRead *r, CXCursor e)
{
    CXCursor decl = clang_getCursorReferenced(e);
    CVar *var = find(r, decl);
    CFrame *frame = r->frame;
    CFrame empty = {0};
    CVal v;

    if (clang_getCursorKind(decl) == CXCursor_EnumConstantDecl) return c_int(clang_getEnumConstantDeclValue(decl));
    if (var) return var->val.kind ? var->val : c_refuse(r, e, "`%s` may have no value here", c_name(r, e));
    if (clang_getCursorKind(decl) != CXCursor_VarDecl) return c_refuse(r, e, "`%s` is no variable", c_name(r, e));
    if (!clang_isConstQualifiedType(clang_getCursorType(decl)) && clang_getCanonicalType(clang_getCursorType(decl)).kind != CXType_ConstantArray)
        return c_refuse(r, e, "`%s` lives outside of the function and is not const", c_name(r, e));
    r->frame = &empty;
    v = c_initial(r, decl);
    r->frame = frame;
    return v.kind || c_refused(r) ? v : c_refuse(r, e, "`%s` has no initial value in the header", c_name(r, e));
}

static CVal element(CRead *r, CXCursor e)
{
    CKids k = c_kids(r, e), items;
    CVal base, index;

    if (k.n != 2) return c_refuse(r, e, "an index of this form cannot be expressed");
    base = c_eval(r, k.at[0]);
    index = c_eval(r, k.at[1]);
    if (c_refused(r)) return (CVal){0};
    if (base.kind != C_ARRAY) return c_refuse(r, k.at[0], "only constant arrays can be indexed");
    if (index.kind != C_INT) return c_refuse(r, k.at[1], "the index of an array must be known when compiling");
    items = c_kids(r, base.array);
    if (index.i < 0 || index.i >= (int64_t)items.n) return c_refuse(r, k.at[1], "index %lld of an array with %u values", (long long)index.i, (unsigned)items.n);
    return c_convert(r, e, c_eval(r, items.at[index.i]), clang_getCursorType(e));
}

/* ---- operators ------------------------------------------------------------------------------------------------------------------ */

static bool comparison(enum CXBinaryOperatorKind k, AstOp *op)
{
    *op = k == CXBinaryOperator_LT ? AST_LT : k == CXBinaryOperator_GT ? AST_GT : k == CXBinaryOperator_LE ? AST_LE
        : k == CXBinaryOperator_GE ? AST_GE : k == CXBinaryOperator_EQ ? AST_EQ : AST_NE;
    return k == CXBinaryOperator_LT || k == CXBinaryOperator_GT || k == CXBinaryOperator_LE || k == CXBinaryOperator_GE ||
           k == CXBinaryOperator_EQ || k == CXBinaryOperator_NE;
}

static bool compare_ints(AstOp op, int64_t a, int64_t b)
{
    return op == AST_LT ? a < b : op == AST_GT ? a > b : op == AST_LE ? a <= b : op == AST_GE ? a >= b : op == AST_EQ ? a == b : a != b;
}

static CVal int_operation(CRead *r, CXCursor e, enum CXBinaryOperatorKind k, int64_t a, int64_t b, CXType t)
{
    bool divides = k == CXBinaryOperator_Div || k == CXBinaryOperator_Rem;
    bool shifts = k == CXBinaryOperator_Shl || k == CXBinaryOperator_Shr;

    if (divides && !b) return c_refuse(r, e, "a division by zero");
    if (shifts && (a < 0 || b < 0 || b > 31)) return c_refuse(r, e, "a shift that C does not define");
    if (k == CXBinaryOperator_Add) return checked_int(r, e, a + b, t);
    if (k == CXBinaryOperator_Sub) return checked_int(r, e, a - b, t);
    if (k == CXBinaryOperator_Mul) return checked_int(r, e, a * b, t);
    if (k == CXBinaryOperator_Div) return checked_int(r, e, a / b, t);
    if (k == CXBinaryOperator_Rem) return checked_int(r, e, a % b, t);
    if (k == CXBinaryOperator_Shl) return checked_int(r, e, a << b, t);
    if (k == CXBinaryOperator_Shr) return checked_int(r, e, a >> b, t);
    if (k == CXBinaryOperator_And) return checked_int(r, e, a & b, t);
    if (k == CXBinaryOperator_Or) return checked_int(r, e, a | b, t);
    if (k == CXBinaryOperator_Xor) return checked_int(r, e, a ^ b, t);
    return c_refuse(r, e, "this operator cannot be expressed");
}

static CVal operation(CRead *r, CXCursor e, enum CXBinaryOperatorKind k, CVal a, CVal b, CXType t)
{
    bool real = c_is_real(t);
    AstOp op = AST_ADD;
    CVal v = {.kind = C_REAL, .whole = !real};

    if (c_refused(r)) return (CVal){0};
    if (a.kind == C_ARRAY || b.kind == C_ARRAY) return c_refuse(r, e, "arithmetic on an array");
    if (comparison(k, &op)) {
        if (a.kind == C_INT && b.kind == C_INT) return c_int(compare_ints(op, a.i, b.i));
        return (CVal){.kind = C_BOOL, .x = c_binary(r, op, as_real(r, a), as_real(r, b))};
    }
    if (a.kind == C_INT && b.kind == C_INT && !real) return int_operation(r, e, k, a.i, b.i, t);
    if (a.kind == C_BOOL && b.kind == C_BOOL && (k == CXBinaryOperator_And || k == CXBinaryOperator_Or))
        return (CVal){.kind = C_BOOL, .x = c_binary(r, k == CXBinaryOperator_And ? AST_AND : AST_OR, a.x, b.x)};
    if (k == CXBinaryOperator_Add) op = AST_ADD;
    else if (k == CXBinaryOperator_Sub) op = AST_SUB;
    else if (k == CXBinaryOperator_Mul) op = AST_MUL;
    else if (k == CXBinaryOperator_Div && real) op = AST_DIV;
    else return c_refuse(r, e, "this operation on integers that depend on a parameter cannot be expressed");
    v.x = c_binary(r, op, as_real(r, a), as_real(r, b));
    return v;
}

/* && and ||: the right operand is not evaluated where the left one decides. */
static CVal logical(CRead *r, CXCursor e, bool both, CXCursor left, CXCursor right)
{
    AstExpr *x, *y;
    int a = c_truth(r, left, c_eval(r, left), &x), b;

    (void)e;
    if (c_refused(r)) return (CVal){0};
    if (a >= 0 && (a == 0) == both) return c_int(a);
    if (a < 0) r->maybe++;
    b = c_truth(r, right, c_eval(r, right), &y);
    if (a < 0) r->maybe--;
    if (c_refused(r)) return (CVal){0};
    if (a >= 0) return b >= 0 ? c_int(b) : (CVal){.kind = C_BOOL, .x = y};
    if (b >= 0) return (b == 0) == both ? c_int(b) : (CVal){.kind = C_BOOL, .x = x};
    return (CVal){.kind = C_BOOL, .x = c_binary(r, both ? AST_AND : AST_OR, x, y)};
}

static CVal binary(CRead *r, CXCursor e)
{
    enum CXBinaryOperatorKind k = clang_getCursorBinaryOperatorKind(e);
    CKids kids = c_kids(r, e);
    CVal a, b;

    if (kids.n != 2) return c_refuse(r, e, "an operator of this form cannot be expressed");
    if (k == CXBinaryOperator_LAnd || k == CXBinaryOperator_LOr) return logical(r, e, k == CXBinaryOperator_LAnd, kids.at[0], kids.at[1]);
    if (k == CXBinaryOperator_Assign) {
        b = c_eval(r, kids.at[1]);
        return !c_refused(r) && c_assign(r, e, kids.at[0], b) ? c_eval(r, kids.at[0]) : (CVal){0};
    }
    a = c_eval(r, kids.at[0]);
    b = c_refused(r) ? (CVal){0} : c_eval(r, kids.at[1]);
    if (k == CXBinaryOperator_Comma) return b;
    return operation(r, e, k, a, b, clang_getCursorType(e));
}

/* a += b computes in the common type of both: int where both are, else real. */
static CVal compound(CRead *r, CXCursor e)
{
    static const struct {
        enum CXBinaryOperatorKind assign, op;
    } plain[] = {
        {CXBinaryOperator_MulAssign, CXBinaryOperator_Mul}, {CXBinaryOperator_DivAssign, CXBinaryOperator_Div},
        {CXBinaryOperator_RemAssign, CXBinaryOperator_Rem}, {CXBinaryOperator_AddAssign, CXBinaryOperator_Add},
        {CXBinaryOperator_SubAssign, CXBinaryOperator_Sub}, {CXBinaryOperator_ShlAssign, CXBinaryOperator_Shl},
        {CXBinaryOperator_ShrAssign, CXBinaryOperator_Shr}, {CXBinaryOperator_AndAssign, CXBinaryOperator_And},
        {CXBinaryOperator_XorAssign, CXBinaryOperator_Xor}, {CXBinaryOperator_OrAssign, CXBinaryOperator_Or},
    };
    enum CXBinaryOperatorKind k = clang_getCursorBinaryOperatorKind(e);
    CKids kids = c_kids(r, e);
    CXType left, right;
    CVal a, b;

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (plain[i].assign == k) k = plain[i].op;
    if (kids.n != 2) return c_refuse(r, e, "an operator of this form cannot be expressed");
    left = clang_getCursorType(kids.at[0]);
    right = clang_getCursorType(kids.at[1]);
    a = c_eval(r, kids.at[0]);
    b = c_refused(r) ? (CVal){0} : c_eval(r, kids.at[1]);
    a = operation(r, e, k, a, b, c_is_real(left) ? left : right);
    return !c_refused(r) && c_assign(r, e, kids.at[0], a) ? c_eval(r, kids.at[0]) : (CVal){0};
}

static CVal step_by_one(CRead *r, CXCursor e, CXCursor target, int by, bool before)
{
    CXType t = clang_getCursorType(target);
    CVal old = c_eval(r, target), now;

    if (c_refused(r)) return old;
    now = operation(r, e, CXBinaryOperator_Add, old, c_is_real(t) ? c_real(c_number(r, by)) : c_int(by), t);
    if (c_refused(r) || !c_assign(r, e, target, now)) return (CVal){0};
    return before ? c_eval(r, target) : old;
}

static CVal unary(CRead *r, CXCursor e)
{
    enum CXUnaryOperatorKind k = clang_getCursorUnaryOperatorKind(e);
    CKids kids = c_kids(r, e);
    CXType t = clang_getCursorType(e);
    AstExpr *x;
    CVal v;
    int known;

    if (kids.n != 1) return c_refuse(r, e, "an operator of this form cannot be expressed");
    if (k == CXUnaryOperator_PreInc || k == CXUnaryOperator_PreDec || k == CXUnaryOperator_PostInc || k == CXUnaryOperator_PostDec)
        return step_by_one(r, e, kids.at[0], k == CXUnaryOperator_PreInc || k == CXUnaryOperator_PostInc ? 1 : -1,
                           k == CXUnaryOperator_PreInc || k == CXUnaryOperator_PreDec);
    v = c_eval(r, kids.at[0]);
    if (c_refused(r) || k == CXUnaryOperator_Plus || k == CXUnaryOperator_Extension) return v;
    if (k == CXUnaryOperator_LNot) {
        known = c_truth(r, e, v, &x);
        return known >= 0 ? c_int(!known) : (CVal){.kind = C_BOOL, .x = c_unary(r, AST_NOT, x)};
    }
    if (k == CXUnaryOperator_Minus) {
        if (v.kind == C_INT) return checked_int(r, e, -v.i, t);
        if (v.kind != C_ARRAY) return (CVal){.kind = C_REAL, .whole = !c_is_real(t), .x = c_unary(r, AST_NEG, as_real(r, v))};
    }
    if (k == CXUnaryOperator_Not && v.kind == C_INT) return checked_int(r, e, ~v.i, t);
    return c_refuse(r, e, "this operator cannot be expressed");
}

static CVal conditional(CRead *r, CXCursor e)
{
    CKids kids = c_kids(r, e);
    AstExpr *x;
    CVal yes, no;
    int known;

    if (kids.n != 3) return c_refuse(r, e, "a condition of this form cannot be expressed");
    known = c_truth(r, kids.at[0], c_eval(r, kids.at[0]), &x);
    if (c_refused(r)) return (CVal){0};
    if (known >= 0) return c_convert(r, e, c_eval(r, kids.at[known ? 1 : 2]), clang_getCursorType(e));
    r->maybe++;
    yes = c_eval(r, kids.at[1]);
    no = c_refused(r) ? (CVal){0} : c_eval(r, kids.at[2]);
    r->maybe--;
    return c_refused(r) ? (CVal){0} : c_choose(r, e, x, yes, no);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------------------- */

static CVal inline_call(CRead *r, CXCursor fn, const CVal *arg, uint32_t n)
{
    CFrame f = {.fn = fn};
    uint32_t maybe = r->maybe;
    CVal v;

    for (uint32_t i = 0; i < n; i++) {
        CXCursor p = clang_Cursor_getArgument(fn, i);
        CVal a = arg[i];
        if (a.kind == C_REAL || a.kind == C_BOOL) a.x = c_let(r, p, c_name(r, p), a.x);
        VEC_PUSH(r->a, f.var) = (CVar){p, a};
    }
    r->maybe = 0; /* its variables are its own */
    v = c_run(r, fn, &f);
    r->maybe = maybe;
    return v;
}

static CVal call(CRead *r, CXCursor e)
{
    CXCursor fn = clang_getCursorReferenced(e), body = clang_getCursorDefinition(fn);
    int n = clang_Cursor_getNumArguments(e);
    const char *name = c_name(r, e);
    CVal arg[16], v;

    if (n < 0 || n > 16) return c_refuse(r, e, "a call with %d arguments", n);
    for (int i = 0; i < n; i++) {
        CXCursor a = clang_Cursor_getArgument(e, (unsigned)i);
        arg[i] = c_eval(r, a);
        if (c_refused(r)) return (CVal){0};
    }
    if (clang_getCursorKind(fn) != CXCursor_FunctionDecl) return c_refuse(r, e, "only functions can be called by name");
    if (!clang_Cursor_isNull(body) && clang_Cursor_getNumArguments(body) == n) return inline_call(r, body, arg, (uint32_t)n);
    if (c_math(r, e, name, arg, (uint32_t)n, &v)) return v;
    return c_refuse(r, e, "`%s` has no definition in the header, and no primitive of the language is like it", name);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------ */

static CVal literal(CRead *r, CXCursor e)
{
    CXEvalResult v = clang_Cursor_Evaluate(e);
    CXEvalResultKind k = v ? clang_EvalResult_getKind(v) : CXEval_UnExposed;
    double d = k == CXEval_Float ? clang_EvalResult_getAsDouble(v) : 0;
    long long i = k == CXEval_Int ? clang_EvalResult_getAsLongLong(v) : 0;

    if (v) clang_EvalResult_dispose(v);
    if (k == CXEval_Int) return checked_int(r, e, i, clang_getCursorType(e));
    if (k != CXEval_Float || !isfinite(d)) return c_refuse(r, e, "this constant cannot be expressed");
    return c_real(c_number(r, d));
}

/* A cast, or what the compiler puts around: the value of the last child, as of the cursor's type. */
static CVal wrapped(CRead *r, CXCursor e)
{
    CKids kids = c_kids(r, e);
    CXType t = clang_getCursorType(e);
    CVal v;

    if (!kids.n) return c_refuse(r, e, "this expression cannot be expressed");
    v = c_eval(r, kids.at[kids.n - 1]);
    return c_refused(r) || v.kind == C_ARRAY ? v : c_convert(r, e, v, t);
}

static CVal dispatch(CRead *r, CXCursor e)
{
    enum CXCursorKind k = clang_getCursorKind(e);

    if (k == CXCursor_IntegerLiteral || k == CXCursor_FloatingLiteral || k == CXCursor_CharacterLiteral || k == CXCursor_UnaryExpr) return literal(r, e);
    if (k == CXCursor_ParenExpr || k == CXCursor_UnexposedExpr || k == CXCursor_CStyleCastExpr) return wrapped(r, e);
    if (k == CXCursor_DeclRefExpr) return variable(r, e);
    if (k == CXCursor_BinaryOperator) return binary(r, e);
    if (k == CXCursor_CompoundAssignOperator) return compound(r, e);
    if (k == CXCursor_UnaryOperator) return unary(r, e);
    if (k == CXCursor_ConditionalOperator) return conditional(r, e);
    if (k == CXCursor_ArraySubscriptExpr) return element(r, e);
    if (k == CXCursor_CallExpr) return call(r, e);
    return c_refuse(r, e, "this expression cannot be expressed");
}

CVal c_eval(CRead *r, CXCursor e)
{
    CVal v = {0};

    c_span(r, e);
    if (c_enter(r, e)) v = dispatch(r, e);
    c_leave(r);
    if (v.kind == C_REAL && v.x->depth > 100) v.x = c_let(r, e, "part", v.x);
    return v;
}
