/* Row stages. What examples have of their own: products of their matrices, in every order of dimensions, with one of all examples, sums over
   rows and heads; products of the steps of two sequences, or of one with itself; sums of matrices over rows; the largest element; a chain so long that two vectors take turns. Each against the evaluator, and the same bits from every width,
   the JIT and C, and from one thread or three. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

static int passed, failed;

static void check(bool ok, const char *what, const char *more)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED: %s: %s\n", what, more);
}

static bool equal(const Module *m, const EvalIn *in, const double **x, const double **y)
{
    for (uint32_t r = 0; r < m->graph.at[0]->root.n; r++)
        if (memcmp(x[r], y[r], (size_t)root_size(m, r, in) * sizeof(double)))
            return false;
    return true;
}

static void all_engines(Ctx *ctx, Arena *a, const Module *m, int64_t steps, const char *text)
{
    static const struct {
        int V;
        EngineKind kind;
        int threads, registers;
    } other[] = { { 1, ENGINE_LOOPS, 1, 32 }, { 4, ENGINE_JIT, 3, 32 }, { 8, ENGINE_LOOPS, 1, 32 }, { 16, ENGINE_JIT, 1, 16 },
                  { 16, ENGINE_JIT, 1, 32 }, { 16, ENGINE_C, 1, 32 } };
    const uint32_t n = m->graph.at[0]->root.n + 1;
    const double **want = NEW_N(a, const double *, n), **first = NEW_N(a, const double *, n), **x = NEW_N(a, const double *, n);
    LowerOptions lo = { .V = 4, .registers = 16 };
    GenInputs values = gen_inputs_long(m, a, 7, steps);
    LProgram *p = lower_module(ctx, a, m, &lo, NULL);
    bool ok = p && module_eval(m, a, &values.in, want) && program_run(m, p, NULL, a, &values.in, 1, first);
    for (uint32_t r = 0; ok && r + 1 < n; r++)
        ok = root_error(m, r, &values.in, first[r], want[r]) < 2e-5;
    check(ok, "the interpreter's result", text);
    for (size_t k = 0; ok && k < sizeof other / sizeof *other; k++) {
        lo.V = other[k].V;
        lo.registers = other[k].registers;
        p = lower_module(ctx, a, m, &lo, NULL);
        Engine *e = p ? engine_make(ctx, p, &(EngineOptions){ .kind = other[k].kind, .cache_dir = "" }) : NULL;
        check(e && program_run(m, p, e, a, &values.in, other[k].threads, x) && equal(m, &values.in, first, x), "the same bits", text);
        if (e)
            engine_destroy(e);
    }
}

/* Whether a program has a function whose name begins so. */
static bool has_function(Ctx *ctx, const LProgram *p, const char *start)
{
    for (uint32_t k = 0; k < p->fn.n; k++)
        if (!strncmp(name_str(ctx, p->fn.at[k]->name), start, strlen(start)))
            return true;
    return false;
}

/* One graph whose inputs are a and b and whose output is the last of the lines of `node`, from %3 on. */
static void one_with(const char *a_type, const char *b_type, const char *node, const char *function)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    int last = 3;
    for (const char *at = node; (at = strchr(at, '\n')) != NULL; at++)
        last++;
    char *text = arena_printf(&a,
                              "module m\ntheta 0\naxis 0 B batch\naxis 1 T time\naxis 2 S time length(len)\ninput 0 a data %s\ninput 1 b data %s\ninput 2 len lengths i<B>[]\ngraph model {\n"
                              "  %%1 = input a : %s\n  %%2 = input b : %s\n  %%3 = %s\n  output \"y\" %%%d\n}\n",
                              a_type, b_type, a_type, b_type, node, last);
    Module *m = module_parse(ctx, &a, source_add(ctx, "m.ir", text, strlen(text)));
    Str s = str_make(&a);
    if (m)
        all_engines(ctx, &a, m, 3, node);
    LProgram *p = m && function ? lower_module(ctx, &a, m, &(LowerOptions){ .V = 16, .registers = 32 }, NULL) : NULL;
    check(!function || (p && has_function(ctx, p, function)), node, "not on tiles");
    diag_render(ctx, &s, false);
    check(m && !diag_error_count(ctx), node, s.n ? s.at : "does not parse");
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Each step of a ragged sequence looks at all of its steps, which sum what it gives them: steps go in blocks, whose last one is not full. */
static void looks_at_itself(const char *way, int64_t steps)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    char *text = arena_printf(&a,
                              "module m\ntheta 0\naxis 0 B batch\naxis 1 T time length(len)\ninput 0 a data f<T,B>[20]\ninput 1 b data f<T,B>[21]\n"
                              "input 2 len lengths i<B>[]\ngraph model {\n  %%1 = input a : f<T,B>[20]\n  %%2 = input b : f<T,B>[21]\n"
                              "  %%3 = scan T %s @1 carry() step(%%1,%%2) capture(%%1,%%2)\n  %%4 = out %%3 0 : f<T,B>[21]\n  %%5 = out %%3 1 : f<T,B>[21]\n"
                              "  output \"y\" %%4\n  output \"s\" %%5\n}\ngraph 1 {\n  %%1 = step 0 : f<B>[20]\n  %%2 = step 1 : f<B>[21]\n"
                              "  %%3 = capture 0 : f<T,B>[20]\n  %%4 = capture 1 : f<T,B>[21]\n  %%5 = dot %%3 %%1 {i,i->} : f<T,B>[]\n"
                              "  %%6 = sigmoid %%5 : f<T,B>[]\n  %%7 = mul %%6 %%4 : f<T,B>[21]\n  %%8 = sum %%7 <T> : f<B>[21]\n  %%9 = mul %%6 %%2 : f<T,B>[21]\n"
                              "  stack %%8\n  sum %%9\n}\n",
                              way);
    Module *m = module_parse(ctx, &a, source_add(ctx, "m.ir", text, strlen(text)));
    Str s = str_make(&a), explain = str_make(&a);
    if (m)
        all_engines(ctx, &a, m, steps, way);
    check(m && lower_module(ctx, &a, m, &(LowerOptions){ .V = 16, .registers = 32 }, &explain) && strstr(explain.at, "12 steps at a time"), way, "not in blocks of steps");
    diag_render(ctx, &s, false);
    check(m && !diag_error_count(ctx), way, s.n ? s.at : "does not parse");
    arena_free(&a);
    ctx_destroy(ctx);
}

static void one(const char *a_type, const char *b_type, const char *node)
{
    one_with(a_type, b_type, node, NULL);
}

int main(void)
{
    one("f<T,B>[13,9]", "f<T,B>[9,21]", "dot %1 %2 {ij,jk->ik} : f<T,B>[13,21]");
    one("f<T,B>[13,9]", "f<B>[21,9]", "dot %1 %2 {ij,kj->ik} : f<T,B>[13,21]");
    one("f<T,B>[9,13]", "f<T,B>[9,35]", "dot %1 %2 {ji,jk->ik} : f<T,B>[13,35]");
    one("f<T,B>[9,13]", "f<T,B>[35,9]", "dot %1 %2 {ji,kj->ki} : f<T,B>[35,13]");
    one("f<B>[33,17]", "f<T>[17,70]", "dot %1 %2 {ij,jk->ik} : f<T,B>[33,70]");
    one("f<T>[70,17]", "f<T,B>[33,17]", "dot %1 %2 {ij,kj->ki} : f<T,B>[33,70]");
    one("f<T,B>[9,6]", "f<T,B>[9,11]", "dot %1 %2 {ij,ik->jk} : f[6,11]");
    one("f<T,B>[9,6]", "f<T,B>[11,6]", "dot %1 %2 {ij,kj->ik} : f<B>[9,11]");
    one("f<T,B>[3,9,6]", "f<T,B>[3,11,6]", "dot %1 %2 {lij,lkj->lik} : f<T,B>[3,9,11]");
    one("f<T,B>[9,3,6]", "f<B>[3,6,11]", "dot %1 %2 {ilj,ljk->ilk} : f<T,B>[9,3,11]");
    one("f<T,B>[5,9,6]", "f<T,B>[6,11]", "dot %1 %2 {lij,jk->lik} : f<T,B>[5,9,11]");
    one_with("f<T,B>[20]", "f<S,B>[20]", "dot %1 %2 {i,i->} : f<T,S,B>[]", "pairs_");
    one_with("f<S,B>[64]", "f<T,B>[64]", "dot %1 %2 {i,i->} : f<T,S,B>[]", "pairs_");
    one_with("f<T,B>[7]", "f<S,B>[7]", "mul %1 %2 : f<T,S,B>[7]\n%4 = sum %3 {0} : f<T,S,B>[]", "pairs_");
    one_with("f<T,S,B>[]", "f<S,B>[21]", "dot %1 %2 {,i->i} : f<T,B>[21]", "matrix_");
    one_with("f<T,B>[70]", "f<T,S,B>[]", "dot %1 %2 {i,->i} : f<S,B>[70]", "matrix_");
    one_with("f<T,S,B>[]", "f<S,B>[16]", "mul %1 %2 : f<T,S,B>[16]\n%4 = sum %3 <S> : f<T,B>[16]", "matrix_");
    looks_at_itself("fwd", 29);
    looks_at_itself("rev", 29);
    looks_at_itself("rev", 5);
    one("f<T,B>[37]", "f<T,B>[21]", "dot %1 %2 {i,o->io} : f<B>[37,21]");
    one("f<T,B>[3,37]", "f<B>[21]", "sum %1 <T,B> : f[3,37]");
    one("f<T,B>[2,3,150]", "f<B>[21]", "sum %1 <T> : f<B>[2,3,150]");
    one("f<T,B>[41]", "f<B>[21]", "argmax %1 {0} : i<T,B>[]");
    one("f<T,B>[5,41]", "f<B>[21]", "argmax %1 {1} : i<T,B>[5]");
    one("f<T,B>[41,7]", "f<B>[21]", "argmax %1 {0} : i<T,B>[7]");
    one("f<T,B>[3,1]", "f<B>[21]", "argmax %1 {1} : i<T,B>[3]");
    one("f<T,B>[75]", "f<B>[75]",
        "sigmoid %1 : f<T,B>[75]\n%4 = mul %3 %2 : f<T,B>[75]\n%5 = tanh %4 : f<T,B>[75]\n%6 = exp %5 : f<T,B>[75]\n%7 = log1p %6 : f<T,B>[75]\n"
        "%8 = noise uniform stream 7 per(T) : f<T,B>[75]\n%9 = mul %7 %8 : f<T,B>[75]\n%10 = sum %9 {0} : f<T,B>[]");
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
