/* Passes: the same numbers before and after on random modules, gradients against central differences, idempotence, and the
   shape of what distribute and merge_gemm leave. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "gen.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes_test.h"

static int passed, failed;
static int quick = 300; /* random modules a test */

void check(bool ok, const char *what, uint64_t seed)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    if (failed < 40) printf("FAIL %s, seed %lu\n", what, (unsigned long)seed);
}

static GenOptions options(uint64_t seed)
{
    GenOptions o = {.batch = seed % 5 != 0, .ragged = seed % 2, .matrix = seed % 3 == 0, .nested = seed % 4 == 1,
                    .gather = seed % 3 == 1, .reverse = seed % 2 == 0 || seed % 7 == 3, .noise = seed % 5 == 2,
                    .mixing = seed % 6 == 5, .size = 6 + (int)(seed % 11)};
    return o;
}

void show(const Module *m, Arena *a, const char *title)
{
    Str s = str_make(a);

    if (!getenv("SHOW")) return;
    module_print(&s, m);
    printf("---- %s\n%s\n", title, s.at ? s.at : "");
}

void diagnostics(Ctx *ctx, Arena *a)
{
    Str s = str_make(a);

    if (!diag_count(ctx)) return;
    diag_render(ctx, &s, false);
    printf("%s\n", s.at);
    diag_clear(ctx);
}

static bool close_to(double a, double b, double scale, double tol)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= tol * (1 + fabs(a) + fabs(b) + scale);
}

/* All roots of before (the first n of after) have equal values. */
bool same_values(const Module *before, const Module *after, const GenInputs *in, Arena *a, double tol)
{
    uint32_t n = before->graph.at[0]->root.n;
    const double **x = NEW_N(a, const double *, n + 1), **y;

    y = NEW_N(a, const double *, after->graph.at[0]->root.n + 1);
    if (!module_eval(before, a, &in->in, x) || !module_eval(after, a, &in->in, y)) return false;
    for (uint32_t i = 0; i < n; i++) {
        const Graph *g = before->graph.at[0], *h = after->graph.at[0];
        const Node *p = &g->node.at[g->root.at[i].ref], *q = &h->node.at[h->root.at[i].ref];
        int64_t size = value_size(before, p, in->in.axis);
        double scale = 0;
        if (p->axes != q->axes || p->rank != q->rank || memcmp(p->dim, q->dim, sizeof p->dim)) return false;
        for (int64_t k = 0; k < size; k++) scale = fmax(scale, fabs(x[i][k]));
        for (int64_t k = 0; k < size; k++)
            if (!close_to(x[i][k], y[i][k], scale, tol)) {
                if (getenv("SHOW")) printf("root %u [%ld]: %.17g, then %.17g\n", i, (long)k, x[i][k], y[i][k]);
                return false;
            }
    }
    return true;
}

/* ---- passes keep meaning ---------------------------------------------------------------------------------------------------- */

typedef bool (*PassFn)(Module *, const PassOptions *);

/* What is printed parses to what prints the same. */
bool reads_back(Ctx *ctx, Arena *a, const Module *m)
{
    Str once = str_make(a), twice = str_make(a);
    Module *again;

    module_print(&once, m);
    again = module_parse(ctx, a, source_add(ctx, "printed", once.at, once.n));
    if (!again || !module_verify(again, "parse")) return false;
    module_print(&twice, again);
    return once.n == twice.n && !memcmp(once.at, twice.at, once.n);
}

static void test_pass(const char *name, uint64_t seed, bool grad)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, seed, options(seed)), *n;
    PassOptions o = {.grad = true};
    GenInputs in = gen_inputs(m, &a, seed);
    bool changed, ok;

    if (grad) {
        ok = passes_run_named(m, "simplify", &o, NULL) && passes_run_named(m, "autodiff", &o, NULL) &&
             passes_run_named(m, "simplify", &o, NULL);
        check(ok, "autodiff runs", seed);
    }
    n = module_copy(m, &a);
    show(m, &a, "before");
    ok = passes_run_named(n, name, &o, &changed);
    show(n, &a, "after");
    check(ok, name, seed);
    diagnostics(ctx, &a);
    check(ok && same_values(m, n, &in, &a, 1e-11), name, seed);
    check(ok && reads_back(ctx, &a, n), "printed IR reads back", seed);
    ok = passes_run_named(n, name, &o, &changed);
    check(ok && !changed, arena_printf(&a, "%s applied twice changes nothing more", name), seed);
    diagnostics(ctx, &a);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* legalize to share, one by one: values stay, each twice is as good as once, and what is printed after each reads back; the
   program made from the text is the program. */
static void test_lowering(uint64_t seed)
{
    static const char *const graph[] = {"legalize", "place", "fuse"};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, seed, options(seed)), *n = module_copy(m, &a);
    LowerOptions lower = {.V = 4, .registers = 16, .place = (Place)(seed % 4), .batch = 1 + (int64_t)(seed % 3) * 8};
    PassOptions o = {.grad = true, .lower = &lower};
    GenInputs in = gen_inputs(m, &a, seed);
    LProgram *p[2] = {NULL, NULL};
    Str text[2] = {str_make(&a), str_make(&a)};
    bool changed, ok = passes_run(n, &o);

    for (int k = 0; ok && k < 3; k++) {
        ok = passes_run_named(n, graph[k], &o, &changed) && reads_back(ctx, &a, n);
        check(ok, graph[k], seed);
        ok = ok && passes_run_named(n, graph[k], &o, &changed);
        check(ok && !changed, arena_printf(&a, "%s applied twice changes nothing more", graph[k]), seed);
        if (k || !ok) continue;
        Module *c = module_copy(n, &a);
        LowerOptions cut = {.V = 4, .registers = 16, .segments = ~1u};
        ok = passes_run_named(c, "remat", &(PassOptions){.lower = &cut}, NULL) && reads_back(ctx, &a, c);
        check(ok, "what remat cuts reads back", seed);
        ok = ok && passes_run_named(c, "remat", &(PassOptions){.lower = &cut}, &changed);
        check(ok && !changed, "remat applied twice changes nothing more", seed);
    }
    check(ok && same_values(m, n, &in, &a, 1e-10), "lowering keeps values", seed);
    for (int k = 0; ok && k < 2; k++) { /* from the module, from its text */
        Str s = str_make(&a);
        Module *again = n;
        module_print(&s, n);
        if (k) again = module_parse(ctx, &a, source_add(ctx, "fused", s.at, s.n));
        ok = again && passes_run_on(again, &p[k], "lower_loops", &o, NULL);
        ok = ok && passes_run_on(NULL, &p[k], "plan_memory", &o, NULL) && passes_run_on(NULL, &p[k], "plan_memory", &o, &changed);
        check(ok && !changed, "plan_memory applied twice changes nothing more", seed);
        ok = ok && passes_run_on(NULL, &p[k], "share", &o, NULL) && passes_run_on(NULL, &p[k], "share", &o, &changed);
        check(ok && !changed, "share applied twice changes nothing more", seed);
        if (ok) lprogram_print(&text[k], p[k]);
    }
    check(ok && text[0].n == text[1].n && !memcmp(text[0].at, text[1].at, text[0].n), "the program of the text is the program", seed);
    if (ok) {
        LProgram *again = lprogram_parse(ctx, &a, source_add(ctx, "program", text[0].at, text[0].n));
        Str s = str_make(&a);
        bool same = again && lprogram_verify(again, "parse") && passes_run_on(NULL, &again, "plan_memory", &o, &changed) && !changed;
        if (same) lprogram_print(&s, again);
        check(same && s.n == text[0].n && !memcmp(s.at, text[0].at, s.n), "plan_memory of a printed program", seed);
    }
    diagnostics(ctx, &a);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* ---- gradients -------------------------------------------------------------------------------------------------------------- */

static double loss_at(const Module *m, Ctx *ctx, const GenInputs *in, uint32_t root)
{
    Arena a = arena_make(ctx);
    const double **out = NEW_N(&a, const double *, m->graph.at[0]->root.n + 1);
    double v = module_eval(m, &a, &in->in, out) ? out[root][0] : NAN;

    arena_free(&a);
    return v;
}

/* d loss / d *p by central differences at two widths; NAN where they disagree (a kink is near). */
static double difference(const Module *m, Ctx *ctx, const GenInputs *in, uint32_t root, double *p)
{
    double keep = *p, d[2];

    for (int i = 0; i < 2; i++) {
        double h = i ? 1e-5 : 3e-5, hi, lo;
        *p = keep + h;
        hi = loss_at(m, ctx, in, root);
        *p = keep - h;
        lo = loss_at(m, ctx, in, root);
        d[i] = (hi - lo) / (2 * h);
    }
    *p = keep;
    return fabs(d[0] - d[1]) < 1e-5 * (1 + fabs(d[0])) ? d[1] : NAN;
}

static uint32_t loss_root(const Module *m)
{
    uint32_t i = 0;

    while (m->graph.at[0]->root.at[i].kind != ROOT_LOSS) i++;
    return i;
}

/* The gradients of `after` against differences of `before`, one or all elements an array. */
void check_gradients(const Module *before, const Module *after, Ctx *ctx, Arena *a, GenInputs *in, uint64_t seed, bool all)
{
    const Graph *g = after->graph.at[0];
    const double **out = NEW_N(a, const double *, g->root.n + 1);
    bool *real = NEW_N(a, bool, 1), ok = module_eval(after, a, &in->in, out);
    uint32_t root = loss_root(before);
    uint64_t rng = seed;

    (void)real;
    check(ok, "gradients evaluate", seed);
    for (uint32_t i = 0; ok && i < g->root.n; i++) {
        const Root *r = &g->root.at[i];
        double *p;
        int64_t n;
        if (r->kind != ROOT_GRAD_PARAM && r->kind != ROOT_GRAD_INPUT) continue;
        p = r->kind == ROOT_GRAD_PARAM ? in->param[r->index] : in->input[r->index];
        n = r->kind == ROOT_GRAD_PARAM ? in->param_size[r->index] : in->input_size[r->index];
        for (int64_t k = 0; k < n; k += all ? 1 : 1 + (int64_t)gen_below(&rng, 6)) {
            double d = difference(before, ctx, in, root, &p[k]);
            bool good = isnan(d) || fabs(d - out[i][k]) <= 2e-6 * (1 + fabs(d)) + 1e-7;
            check(good, r->kind == ROOT_GRAD_PARAM ? "gradient of a parameter" : "gradient of an input", seed);
            if (!good && getenv("SHOW"))
                printf("%s[%ld]: differences %.12g, autodiff %.12g\n", name_str(ctx, r->name), (long)k, d, out[i][k]);
        }
    }
}

static void test_gradient(uint64_t seed, bool pipeline)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, seed, options(seed)), *n = module_copy(m, &a);
    GenInputs in = gen_inputs(m, &a, seed);
    bool *want = NEW_N(&a, bool, m->input.n + 1), ok;
    const char *disable[] = {getenv("DISABLE"), NULL};
    PassOptions o = {.grad = true, .want_input = want, .disable = disable};

    for (uint32_t i = 0; i < m->input.n; i++) want[i] = m->input.at[i].dtype == DT_F;
    show(m, &a, "model");
    ok = pipeline ? passes_run(n, &o) : passes_run_named(n, "autodiff", &o, NULL);
    show(n, &a, "gradient");
    check(ok, pipeline ? "pipeline" : "autodiff", seed);
    diagnostics(ctx, &a);
    if (ok) check_gradients(m, n, ctx, &a, &in, seed, false);
    if (ok && pipeline) check(same_values(m, n, &in, &a, 1e-10), "pipeline keeps values", seed);
    arena_free(&a);
    ctx_destroy(ctx);
}

static void test_forward(uint64_t seed)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = gen_module(ctx, &a, seed, options(seed));
    GenInputs in = gen_inputs(m, &a, seed);

    check_forward(m, ctx, &a, &in, seed, false);
    check_forward(m, ctx, &a, &in, seed, true);
    arena_free(&a);
    ctx_destroy(ctx);
}

static bool test_online(uint64_t seed)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    GenOptions o = options(seed);
    bool ran;
    Module *m;
    GenInputs in;

    o.reverse = seed % 8 == 0;
    o.mixing = false;
    m = gen_module(ctx, &a, seed, o);
    in = gen_inputs(m, &a, seed);
    show(m, &a, "model");
    ran = check_online(m, ctx, &a, &in, seed, GRADIENT_RTRL);
    arena_free(&a);
    ctx_destroy(ctx);
    return ran;
}

/* ---- what is left in the loops ------------------------------------------------------------------------------------------------ */

static bool carry_beneath(const Graph *g, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(g, r, &in);

    if (g->node.at[r].op == OP_CARRY) return true;
    for (uint32_t i = 0; i < n; i++)
        if (carry_beneath(g, in[i])) return true;
    return false;
}

/* No product of values known before the loop and no weight gradient in any body. */
static void check_core(const Module *m, uint64_t seed)
{
    for (uint32_t i = 1; i < m->graph.n; i++) {
        const Graph *g = m->graph.at[i];
        for (Ref r = 1; r < g->node.n; r++)
            if (g->node.at[r].op == OP_DOT && dot_classify(g, r).kind == DOT_PRODUCT)
                check(carry_beneath(g, r), "no product of a pre value in a body", seed);
        for (uint32_t k = 0; k < g->root.n; k++)
            if (g->root.at[k].kind == ROOT_SUM)
                check(g->node.at[g->root.at[k].ref].op != OP_DOT, "no weight gradient in a body", seed);
    }
}

static void test_cell(Cell cell, bool ragged)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = cell_module(ctx, &a, cell, 4, 5, ragged), *n = module_copy(m, &a);
    GenInputs in = gen_inputs(m, &a, cell);
    bool *want = NEW_N(&a, bool, m->input.n + 1), ok;
    PassOptions o = {.grad = true, .want_input = want};

    want[m->input.n - 1] = true;
    ok = passes_run(n, &o);
    show(n, &a, "cell");
    diagnostics(ctx, &a);
    check(ok, "cell", cell);
    if (ok) check_gradients(m, n, ctx, &a, &in, cell, true);
    if (ok) check_core(n, cell);
    if (ok) check(same_values(m, n, &in, &a, 1e-11), "cell keeps its values", cell);
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 0, last;

    if (argc > 3) quick = atoi(argv[3]);
    last = argc > 2 && argc <= 3 ? first + 1 : first + (uint64_t)quick;
    for (uint64_t seed = first; seed < last; seed++) {
        for (uint32_t i = 0; i < pass_count; i++) {
            const char *name = pass_table[i].name;
            bool rewrites = (pass_table[i].optional && pass_table[i].graph) || !strcmp(name, "legalize");
            if (!rewrites || (only && strcmp(only, name))) continue;
            test_pass(name, seed, false);
            test_pass(name, seed, true);
        }
        if (only && !strcmp(only, "cell")) break;
        if (!only || !strcmp(only, "lowering")) test_lowering(seed);
        if (!only || !strcmp(only, "gradient")) test_gradient(seed, false);
        if (!only || !strcmp(only, "pipeline")) test_gradient(seed, true);
        if (!only || !strcmp(only, "forward")) test_forward(seed);
    }
    if (!only || !strcmp(only, "online")) {
        int ran = 0;
        for (uint64_t seed = first; seed < last; seed++) ran += test_online(seed);
        printf("carried forward: %d of %d modules\n", ran, (int)(last - first));
    }
    for (int i = 0; (!only || !strcmp(only, "cell")) && i < 2 * CELL_COUNT; i++) test_cell((Cell)(i / 2), i % 2);
    if (!only || !strcmp(only, "merge")) test_merged();
    if (!only || !strcmp(only, "stable")) test_stable();
    if (!only || !strcmp(only, "ops")) test_operations();
    if (!only || !strcmp(only, "unroll")) test_unrolled(first, last);
    if (!only || !strcmp(only, "text")) test_texts();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
