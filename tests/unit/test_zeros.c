/* States that begin as zero (passes/zeros.c): the program that leaves out what is multiplied by them has the bits of one that is given zeros
   as states and multiplies, forward and backward, for one step and many, for batches that fill blocks of rows and do not, for lengths, in the
   interpreter and the JIT, by several threads. And it leaves out just that: of an LSTM a product forward, one back, and one of the gradient. */
#include <stdio.h>
#include <string.h>

#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

enum { I = 3, H = 12 };

static int passed, failed;

static void check(bool ok, const char *what, const char *model, int64_t number) {
    passed += ok;
    failed += !ok;
    if (!ok) printf("FAILED: %s: %s %lld\n", what, model, (long long)number);
}

static Module *build(Ctx *ctx, Arena *a, const char *name, bool grad, bool external, bool ragged) {
    Program *p = frontend_load(ctx, a, "tests/models/zeros.rondo", &(FrontendOptions){.std_dir = "std", .model = name});
    Module *m = p ? frontend_model(p, a, &(BuildOptions){.training = grad, .external_states = external, .ragged = ragged}) : NULL;
    PassOptions o = {.grad = grad};
    return m && passes_run(m, &o) ? m : NULL;
}

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *name;
    Module *zero, *given; /* states that begin as zero; the same as inputs */
} Case;

/* Numbers that follow from the name alone: modules with inputs and parameters of the same names have the same. */
static double *numbers(Case *c, Name name, int64_t n) {
    uint64_t rng = 11;
    for (const char *s = name_str(c->ctx, name); *s; s++) rng = rng * 31 + (uint64_t)*s;
    double *v = NEW_N(c->a, double, n + 1);
    for (int64_t k = 0; k < n; k++) v[k] = gen_real(&rng, -0.8, 0.8);
    return v;
}

static EvalIn values(Case *c, const Module *m, int64_t B, int64_t T) {
    EvalIn in = {.seed = 1, .axis = {B, T}};
    const double **param = NEW_N(c->a, const double *, m->param.n + 1), **input = NEW_N(c->a, const double *, m->input.n + 1);
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        param[i] = numbers(c, p->name, node_features(&(Node){.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}}));
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        int64_t n = node_features(&(Node){.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}});
        for (uint32_t t = 0; t < 2; t++) n *= p->axes & AX(t) ? in.axis[t] : 1;
        double *v = numbers(c, p->name, n);
        for (int64_t k = 0; k < n && p->kind == INPUT_LENGTH; k++) v[k] = (double)(k == B / 2 ? T : 1 + (7 * k + 2) % T);
        for (int64_t k = 0; k < n && p->kind == INPUT_STATE; k++) v[k] = strcmp(name_str(c->ctx, p->name), "h.one") == 0;
        input[i] = v;
    }
    in.param = param;
    in.input = input;
    return in;
}

/* Each root of the one has the bits of the root of that kind and name of the other. */
static bool equal(const Case *c, const EvalIn *in, const double **x, const double **y) {
    const Graph *g = c->zero->graph.at[0], *h = c->given->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++) {
        uint32_t k = 0;
        while (k < h->root.n && (g->root.at[r].kind != h->root.at[k].kind || g->root.at[r].name != h->root.at[k].name)) k++;
        if (k == h->root.n || memcmp(x[r], y[k], (size_t)root_size(c->zero, r, in) * sizeof(double))) return false;
    }
    return true;
}

static void compare(Case *c, const LowerOptions *lo, EngineKind kind) {
    static const int64_t size[][2] = {{3, 1}, {5, 2}, {33, 3}, {4, 70}, {130, 4}, {1, 5}};
    LProgram *p = lower_module(c->ctx, c->a, c->zero, lo, NULL), *q = lower_module(c->ctx, c->a, c->given, lo, NULL);
    const double **x = NEW_N(c->a, const double *, c->zero->graph.at[0]->root.n + 1), **y = NEW_N(c->a, const double *, c->given->graph.at[0]->root.n + 1);
    EngineOptions eo = {.kind = kind, .cache_dir = ""};
    Engine *e = p && kind != ENGINE_LOOPS ? engine_make(c->ctx, p, &eo) : NULL, *f = q && kind != ENGINE_LOOPS ? engine_make(c->ctx, q, &eo) : NULL;
    check(p && q && (kind == ENGINE_LOOPS || (e && f)), "lowered", c->name, lo->V);
    for (uint32_t i = 0; i < sizeof size / sizeof *size && p && q; i++) {
        EvalIn v = values(c, c->zero, size[i][0], size[i][1]), w = values(c, c->given, size[i][0], size[i][1]);
        check(program_run(c->zero, p, e, c->a, &v, lo->threads, x) && program_run(c->given, q, f, c->a, &w, lo->threads, y) && equal(c, &v, x, y),
              "the same bits", c->name, size[i][1]);
    }
    if (e) engine_destroy(e);
    if (f) engine_destroy(f);
}

/* Multiply-adds that the interpreter does. */
static int64_t work(Case *c, const Module *m, const LProgram *p, int64_t B, int64_t T) {
    uint64_t ran[LOP_COUNT] = {0};
    const double **x = NEW_N(c->a, const double *, m->graph.at[0]->root.n + 1);
    EvalIn in = values(c, m, B, T);
    program_executed = ran;
    bool ok = program_run(m, p, NULL, c->a, &in, 1, x);
    program_executed = NULL;
    return ok ? (int64_t)ran[LOP_FMA] : -1;
}

/* Two steps do so much more than twice one step: what `products` matrices of H x H take, which no first or last step needs. */
static void saves(Case *c, int64_t products) {
    LowerOptions lo = {.V = 1, .registers = 16};
    const LProgram *p = lower_module(c->ctx, c->a, c->zero, &lo, NULL);
    int64_t one = p ? work(c, c->zero, p, 7, 1) : -1, two = p ? work(c, c->zero, p, 7, 2) : -1, ten = p ? work(c, c->zero, p, 7, 10) : -1;
    check(one >= 0 && two - 2 * one == products * 7 * H * H, "multiply-adds left out", c->name, two - 2 * one);
    check(ten - two == 8 * (two - one), "and in no other steps", c->name, ten - two);
}

static void all(const char *name, bool grad, bool ragged, int64_t products) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Case c = {ctx, &a, name, build(ctx, &a, name, grad, false, ragged), build(ctx, &a, name, grad, true, ragged)};
    check(c.zero && c.given, "the models", name, grad);
    if (c.zero && c.given) {
        compare(&c, &(LowerOptions){.V = 1, .registers = 16, .threads = 1}, ENGINE_LOOPS);
        compare(&c, &(LowerOptions){.V = 8, .registers = 16, .threads = 3, .f64 = ragged}, ENGINE_JIT);
        compare(&c, &(LowerOptions){.V = 4, .registers = 32, .threads = 1, .place = PLACE_CHUNK}, ENGINE_LOOPS);
        if (!ragged) saves(&c, products);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(void) {
    for (int ragged = 0; ragged < 2; ragged++) {
        all("sum", false, ragged, 4);
        all("sum", true, ragged, 4 + 4 + 4);
        all("gated", true, ragged, 3 + 2 + 3); /* what is multiplied by r h has a gate behind it */
        all("normed", true, ragged, 4 + 4 + 4);
        all("both", true, ragged, 2 * (3 + 3 + 3));
        all("two", true, ragged, 7 + 7 + 7);
        all("other", true, ragged, 1 + 2 + 1);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
