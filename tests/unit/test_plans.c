/* Plans: the forward plan and the plan with gradients of one module give the same bits, whatever was merged and hoisted in each;
   without merge_gemm the numbers are the same up to rounding. usage: test_plans [first seed] [count] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"
#include "tests/unit/cells.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

static const int32_t hidden[] = {1, 3, 5, 8, 9, 17};
static int passed, failed;

static const double **run(Ctx *ctx, Arena *a, const Module *model, const GenInputs *in, PassOptions o)
{
    LowerOptions lo = {.f64 = false, .V = 8, .registers = 16};
    Module *m = module_copy(model, a);
    const double **out;
    LProgram *p;

    if (!passes_run(m, &o)) return NULL;
    out = NEW_N(a, const double *, m->graph.at[0]->root.n + 1);
    p = lower_module(ctx, a, m, &lo, NULL);
    return p && program_run(m, p, NULL, a, &in->in, 1, out) ? out : NULL;
}

static bool same(double x, double y, bool bits)
{
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    return bits ? !memcmp(&x, &y, sizeof x) : fabs(x - y) <= 2e-3 * (1 + fabs(x));
}

static void one(uint64_t seed, int cell)
{
    static const char *const without[] = {"merge_gemm", NULL};
    GenOptions o = {.batch = true, .ragged = seed % 3 == 2, .matrix = seed % 3 == 0, .nested = seed % 4 == 0, .gather = seed % 3 == 1,
                    .reverse = seed % 2 == 1, .noise = seed % 5 == 0, .size = 4 + (int)(seed % 12), .hidden = hidden[seed % 6]};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = cell < 0 ? gen_module(ctx, &a, seed, o) : cell_module(ctx, &a, (Cell)cell, 4, hidden[seed % 6], seed & 1);
    GenInputs in = gen_inputs(m, &a, seed);
    const double **x = run(ctx, &a, m, &in, (PassOptions){.grad = false}), **y[2];
    bool ok;

    y[0] = run(ctx, &a, m, &in, (PassOptions){.grad = true});
    y[1] = run(ctx, &a, m, &in, (PassOptions){.grad = true, .disable = without});
    ok = x && y[0] && y[1];
    for (uint32_t r = 0; ok && r < m->graph.at[0]->root.n; r++)
        for (int64_t i = 0; ok && i < root_size(m, r, &in.in); i++)
            for (int k = 0; k < 2; k++) ok = ok && same(x[r][i], y[k][r][i], k == 0);
    if (ok) passed++;
    else printf("FAIL seed %lu, cell %d\n", (unsigned long)seed, cell);
    failed += !ok;
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 200;

    for (uint64_t k = 0; k < count; k++) one(first + k, -1);
    for (int cell = 0; cell < CELL_COUNT; cell++)
        for (uint64_t k = 0; k < 12; k++) one(k, cell);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
