/* clang_math: the functions of <math.h> that the primitives express, each with the formula. */
#include "frontend/clang_read.h"

#include <string.h>

/* f, f and l of a name: expf is exp; erf is erf. */
static bool is(const char *name, const char *base)
{
    size_t n = strlen(base);

    return !strncmp(name, base, n) && (!name[n] || (!name[n + 1] && name[n] == 'f'));
}

static AstExpr *ceiling(CRead *r, AstExpr *x)
{
    return c_unary(r, AST_NEG, c_call(r, "floor", c_unary(r, AST_NEG, x), NULL, NULL));
}

static AstExpr *of_one(CRead *r, const char *name, AstExpr *x)
{
    static const char *const same[] = {"exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "expm1", "log1p", "floor"};
    AstExpr *minus = c_unary(r, AST_NEG, x);

    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        if (is(name, same[k])) return c_call(r, same[k], x, NULL, NULL);
    if (is(name, "fabs")) return c_call(r, "abs", x, NULL, NULL);
    if (is(name, "exp2")) return c_binary(r, AST_POW, c_number(r, 2), x);
    if (is(name, "log2")) return c_binary(r, AST_MUL, c_call(r, "log", x, NULL, NULL), c_number(r, 1.4426950408889634));
    if (is(name, "log10")) return c_binary(r, AST_MUL, c_call(r, "log", x, NULL, NULL), c_number(r, 0.43429448190325183));
    if (is(name, "ceil")) return ceiling(r, x);
    if (is(name, "trunc"))
        return c_call(r, "where", c_binary(r, AST_LT, x, c_number(r, 0)), ceiling(r, x), c_call(r, "floor", x, NULL, NULL));
    if (is(name, "tan")) return c_binary(r, AST_DIV, c_call(r, "sin", x, NULL, NULL), c_call(r, "cos", x, NULL, NULL));
    if (is(name, "sinh")) /* exact near 0 */
        return c_binary(r, AST_MUL, c_number(r, 0.5),
                        c_binary(r, AST_SUB, c_call(r, "expm1", x, NULL, NULL), c_call(r, "expm1", minus, NULL, NULL)));
    if (is(name, "cosh"))
        return c_binary(r, AST_MUL, c_number(r, 0.5),
                        c_binary(r, AST_ADD, c_call(r, "exp", x, NULL, NULL), c_call(r, "exp", minus, NULL, NULL)));
    return NULL;
}

static AstExpr *of_two(CRead *r, const char *name, AstExpr *x, AstExpr *y)
{
    AstExpr *size;

    if (is(name, "pow")) return c_binary(r, AST_POW, x, y);
    if (is(name, "fmax")) return c_call(r, "max", x, y, NULL);
    if (is(name, "fmin")) return c_call(r, "min", x, y, NULL);
    if (is(name, "fdim")) return c_call(r, "where", c_binary(r, AST_GT, x, y), c_binary(r, AST_SUB, x, y), c_number(r, 0));
    if (is(name, "hypot"))
        return c_call(r, "sqrt", c_binary(r, AST_ADD, c_binary(r, AST_MUL, x, x), c_binary(r, AST_MUL, y, y)), NULL, NULL);
    if (!is(name, "copysign")) return NULL;
    size = c_call(r, "abs", x, NULL, NULL);
    return c_call(r, "where", c_binary(r, AST_LT, y, c_number(r, 0)), c_unary(r, AST_NEG, size), size);
}

bool c_math(CRead *r, CXCursor call, const char *name, const CVal *arg, uint32_t n, CVal *out)
{
    AstExpr *x[3] = {0}, *v = NULL;

    if (!strncmp(name, "__", 2) && strrchr(name, '_') > name + 1) name = strrchr(name, '_') + 1; /* what a macro made of fabsf */
    if (!n || n > 3) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (arg[i].kind != C_REAL) return false;
        x[i] = c_let(r, call, name, arg[i].x);
    }
    if (n == 1) v = of_one(r, name, x[0]);
    if (n == 2) v = of_two(r, name, x[0], x[1]);
    if (n == 3 && is(name, "fma")) v = c_binary(r, AST_ADD, c_binary(r, AST_MUL, x[0], x[1]), x[2]);
    if (v) *out = c_real(v);
    return v != NULL;
}
