/* What the pipeline leaves of some cells (counts of products), and exact texts before and after a pass. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "passes/passes.h"
#include "passes_test.h"

typedef struct {
    uint32_t product, gradient;
} Count;

static Count count(const Graph *g)
{
    Count c = {0, 0};

    for (Ref r = 1; r < g->node.n; r++) {
        DotKind kind = g->node.at[r].op == OP_DOT ? dot_classify(g, r).kind : DOT_OTHER;
        c.product += kind == DOT_PRODUCT;
        c.gradient += kind == DOT_GRADIENT;
    }
    return c;
}

/* Products outside, in the forward body, in the backward body; weight gradients outside. All cells end with y = V h: one
   product forward, one backward, one gradient. */
static void expect(Cell cell, bool grad, uint32_t outside, uint32_t forward, uint32_t backward, uint32_t gradients)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = cell_module(ctx, &a, cell, 4, 5, false);
    bool want[1] = {true};
    PassOptions o = {.grad = grad, .want_input = want};
    bool ok = passes_run(m, &o) && m->graph.n == (grad ? 3u : 2u);
    Count c[3] = {{0, 0}, {0, 0}, {0, 0}};

    diagnostics(ctx, &a);
    for (uint32_t i = 0; ok && i < m->graph.n; i++) c[i] = count(m->graph.at[i]);
    ok = ok && c[0].product == outside && c[1].product == forward && c[2].product == backward && c[0].gradient == gradients &&
         !c[1].gradient && !c[2].gradient;
    check(ok, grad ? "products of a cell and its gradient" : "products of a cell", cell);
    if (!ok)
        printf("  outside %u, %u; bodies %u, %u; gradients %u, in bodies %u, %u\n", c[0].product, outside, c[1].product,
               c[2].product, c[0].gradient, c[1].gradient, c[2].gradient);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* The sum that a scan's accumulator is: ((bias + x) + h), one slice a gate above it. */
static void expect_chain(void)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = cell_module(ctx, &a, CELL_PEEPHOLE, 4, 5, false);
    bool ok = passes_run_named(m, "merge_gemm", &(PassOptions){.grad = false}, NULL), found = false;
    const Graph *g = m->graph.at[m->graph.n > 1];

    for (Ref r = 1; ok && r < g->node.n; r++) {
        const Node *n = &g->node.at[r], *s = &g->node.at[n->in[0]];
        if (n->op != OP_ADD || n->dim[0] != 20 || s->op != OP_ADD) continue;
        found = g->node.at[n->in[1]].op == OP_DOT && g->node.at[s->in[0]].op == OP_CAPTURE && g->node.at[s->in[1]].op == OP_DOT;
    }
    check(ok && found, "one accumulator: bias, x, h", 0);
    arena_free(&a);
    ctx_destroy(ctx);
}

void test_merged(void)
{
    expect(CELL_LSTM, false, 2, 1, 0, 0);
    expect(CELL_LSTM, true, 4, 1, 1, 3); /* x W, h V; dy V, dz W | dV, dU, dW */
    expect(CELL_LAYERNORM, false, 2, 1, 0, 0);
    expect(CELL_LAYERNORM, true, 4, 1, 1, 3);
    expect(CELL_GRU, false, 2, 2, 0, 0); /* [z r] of h; n of r h */
    expect(CELL_GRU, true, 5, 2, 2, 5); /* dx of two segments; dV, dU twice, dW twice */
    expect(CELL_GRU_AFTER, false, 2, 2, 0, 0);
    expect(CELL_GRU_AFTER, true, 5, 2, 2, 5);
    expect(CELL_PEEPHOLE, false, 2, 1, 0, 0);
    expect(CELL_PEEPHOLE, true, 4, 1, 1, 3);
    expect_chain();
}

/* ---- texts ------------------------------------------------------------------------------------------------------------------ */

/* Lowers m and what its text reads back to. */
static bool same_program(Ctx *ctx, Arena *a, const Module *m, const LowerOptions *lower)
{
    static const char *const pass[] = {"place", "fuse", "lower_loops", "plan_memory"};
    PassOptions o = {.lower = lower};
    Str text[2] = {str_make(a), str_make(a)}, s = str_make(a);
    bool ok = true;

    module_print(&s, m);
    for (int k = 0; k < 2 && ok; k++) {
        Module *n = k ? module_parse(ctx, a, source_add(ctx, "cut", s.at, s.n)) : module_copy(m, a);
        LProgram *p = NULL;
        for (int i = 0; i < 4 && ok; i++) ok = n && passes_run_on(n, &p, pass[i], &o, NULL);
        if (ok) lprogram_print(&text[k], p);
    }
    diagnostics(ctx, a);
    return ok && text[0].n == text[1].n && !memcmp(text[0].at, text[1].at, text[0].n);
}

/* FILE is PASS.ir or PASS-what.ir: a graph, or for plan_memory and share a loop program. */
static void one_text(const char *file)
{
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    size_t stem = strlen(file) - 3;
    char *in = arena_printf(&a, "tests/passes/%s", file), *out = arena_printf(&a, "tests/passes/%.*s.out", (int)stem, file);
    char *pass = arena_strndup(&a, file, strcspn(file, "-."));
    const Source *source = source_read(ctx, in), *want;
    bool loops = !strcmp(pass, "plan_memory") || !strcmp(pass, "share"), cuts = !strcmp(pass, "remat"), changed = true;
    LowerOptions lower = {.V = 4, .registers = 16, .segments = cuts ? ~1u : 0};
    PassOptions o = {.grad = true, .lower = cuts ? &lower : NULL};
    LProgram *p = source && loops ? lprogram_parse(ctx, &a, source) : NULL;
    Module *m = source && !loops ? module_parse(ctx, &a, source) : NULL, *before = m ? module_copy(m, &a) : NULL;
    Str s = str_make(&a);
    bool ok = (m || p) && passes_run_on(m, &p, pass, &o, NULL);

    diagnostics(ctx, &a);
    if (ok && p)
        lprogram_print(&s, p);
    else if (ok)
        module_print(&s, m);
    for (uint64_t seed = 1; ok && m && !cuts && seed < 6; seed++) { /* test_remat runs what is cut */
        GenInputs values = gen_inputs(m, &a, seed); /* jvp adds inputs */
        check(same_values(before, m, &values, &a, 1e-11), file, seed);
    }
    if (ok && getenv("UPDATE")) {
        FILE *f = fopen(out, "w");
        if (f) {
            fputs(s.at, f);
            fclose(f);
        }
    }
    want = ok ? source_read(ctx, out) : NULL;
    diagnostics(ctx, &a);
    ok = ok && want && !strcmp(want->text, s.at);
    check(ok, in, 0);
    if (!ok && s.at) printf("%s\n", s.at);
    if (ok && strcmp(pass, "autodiff") && strcmp(pass, "jvp") && strcmp(pass, "lower_loops")) {
        ok = passes_run_on(m, &p, pass, &o, &changed);
        check(ok && !changed, arena_printf(&a, "%s applied twice changes nothing more", in), 0);
    }
    if (ok && cuts) check(reads_back(ctx, &a, m) && same_program(ctx, &a, m, &lower), "what is cut reads back to the same program", 0);
    arena_free(&a);
    ctx_destroy(ctx);
}

void test_texts(void)
{
    DIR *d = opendir("tests/passes");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        if (len < 4 || strcmp(e->d_name + len - 3, ".ir")) continue;
        one_text(e->d_name);
        n++;
    }
    if (d) closedir(d);
    check(n >= 35, "tests/passes has its files (run from the source root)", 0);
}
