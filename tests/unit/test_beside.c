/* Products beside those of the steps (passes/lower_beside.c), and weight gradients some steps behind (passes/lower_behind.c): the same
   bits as before and after the steps, in every engine, at every width, for numbers of steps that fill no group, some, and more than a
   chunk; by one thread, and products by several that share columns. And where it is done: not where the input is so large that the steps' products end first, and by itself only from a matrix on that fills the first
   cache. And the zigzag: where matrices are more than that, every other step walks the panels of all its products backwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

static int passed, failed;

static void check(bool ok, const char *what, const char *more, int number) {
    passed += ok;
    failed += !ok;
    if (!ok) printf("FAILED: %s: %s %d\n", what, more, number);
}

static Module *model(Ctx *ctx, Arena *a, const char *name, int I, int H, bool grad) {
    const char *const set[] = {arena_printf(a, "I=%d", I), arena_printf(a, "H=%d", H)};
    FrontendOptions fo = {.std_dir = "std", .set = set, .nset = 2, .model = name};
    Program *p = frontend_load(ctx, a, "tests/models/beside.rondo", &fo);
    Module *m = p ? frontend_model(p, a, &(BuildOptions){.training = grad}) : NULL;
    PassOptions o = {.grad = grad};
    return m && passes_run(m, &o) ? m : NULL;
}

static int helpers(const LProgram *p, const char *begin) {
    int n = 0;
    for (uint32_t k = 0; k < p->fn.n; k++) n += strncmp(name_str(p->ctx, p->fn.at[k]->name), begin, strlen(begin)) == 0;
    return n;
}

/* Helpers that compute two products; a product and a part of a gradient. */

static bool equal(const Module *m, const EvalIn *in, const double **x, const double **y) {
    for (uint32_t r = 0; r < m->graph.at[0]->root.n; r++)
        if (memcmp(x[r], y[r], (size_t)root_size(m, r, in) * sizeof(double))) return false;
    return true;
}

static LowerOptions options(int V, int threads, Place place) {
    return (LowerOptions){
        .V = V, .registers = 32, .batch = 1, .one_row = true, .threads = threads, .share_columns = threads > 1, .place = place};
}

typedef struct {
    Ctx *ctx;
    Arena *a;
    const Module *m;
    const char *name;
    bool grad;
} Case;

/* Loops downwards inside of others. */
static int walks(const LProgram *p) {
    const LFunc *f = p->fn.at[p->fn.n - 1];
    int n = 0;
    for (uint32_t k = 0, depth = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        n += depth > 1 && i->op == LOP_FOR && i->flags & LF_DOWN;
        depth += i->op == LOP_FOR || i->op == LOP_IF;
        depth -= i->op == LOP_END;
    }
    return n;
}

/* The program for V lanes and so many threads, in one engine, for each number of steps. */
static void compare(Case *c, const LowerOptions *lo, EngineKind kind, const int *steps, const char *what) {
    LProgram *p = lower_module(c->ctx, c->a, c->m, lo, NULL),
             *q = lower_module(c->ctx, c->a, c->m,
                               &(LowerOptions){.V = 1, .registers = 16, .f64 = lo->f64, .place = PLACE_CHUNK}, NULL);
    const uint32_t n = c->m->graph.at[0]->root.n + 1;
    const double **x = NEW_N(c->a, const double *, n), **y = NEW_N(c->a, const double *, n);
    Engine *e = p && kind != ENGINE_LOOPS ? engine_make(c->ctx, p, &(EngineOptions){.kind = kind, .cache_dir = ""}) : NULL;
    bool zigzag = lo->place == PLACE_STEP, full = strcmp(c->name, "own") != 0; /* tiles */
    bool behind = c->grad && full && lo->threads == 1 && !lo->segments;
    if (zigzag)
        check(p && q && walks(p) > 0 && !walks(q), "products walked back", c->name, lo->V);
    else
        check(p && q && helpers(p, "beside_") > 0 && !helpers(q, "beside_") && (helpers(p, "behind_") > 0) == behind && !helpers(q, "behind_"),
              "products side by side, gradients behind", c->name, lo->V);
    for (; *steps && p && q; steps++) {
        GenInputs values = gen_inputs_long(c->m, c->a, (uint64_t)*steps, *steps);
        values.in.axis[0] = 1;
        check(program_run(c->m, q, NULL, c->a, &values.in, 1, y) && program_run(c->m, p, e, c->a, &values.in, lo->threads, x) &&
                  equal(c->m, &values.in, x, y),
              what, c->name, *steps);
    }
    if (e) engine_destroy(e);
}

static void all(const char *name, int I, int H, bool grad) {
    static const int every[] = {1, 8, 15, 16, 17, 39, 280, 0}, some[] = {5, 27, 0}, cut[] = {530, 0};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Case c = {ctx, &a, model(ctx, &a, name, I, H, grad), name, grad};
    check(c.m, "the model", name, grad);
    if (c.m) {
        LowerOptions lo = options(1, 1, PLACE_BESIDE);
        lo.f64 = grad;
        compare(&c, &lo, ENGINE_LOOPS, every, "one lane, shadow memory");
        lo.segments = UINT32_C(2);
        if (grad) compare(&c, &lo, ENGINE_LOOPS, cut, "in segments");
        lo = options(4, 1, PLACE_BESIDE);
        compare(&c, &lo, ENGINE_JIT, every, "4 lanes, jit");
        lo = grad ? options(1, 3, PLACE_BESIDE) : options(4, 2, PLACE_BESIDE);
        compare(&c, &lo, ENGINE_JIT, some, "several threads, jit");
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Matrices of more than the first cache, of 16 lanes. */
static void turning(const char *name, int I, int H, bool grad) {
    static const int some[] = {1, 2, 5, 0};
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Case c = {ctx, &a, model(ctx, &a, name, I, H, grad), name, grad};
    LowerOptions lo = options(16, 1, PLACE_STEP);
    check(c.m, "the model", name, grad);
    if (c.m) compare(&c, &lo, ENGINE_LOOPS, some, "back and forth, shadow memory");
    if (c.m) compare(&c, &lo, ENGINE_JIT, some, "back and forth, jit");
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Whether the program for one row has products side by side, or with gradients weight gradients behind its steps. */
static void holds(const char *name, int I, int H, bool grad, LowerOptions lo, bool want, const char *what) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = model(ctx, &a, name, I, H, grad);
    LProgram *p = m ? lower_module(ctx, &a, m, &lo, NULL) : NULL;
    check(p && (helpers(p, grad ? "behind_" : "beside_") > 0) == want, what, name, H);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* How far instruction k, a prefetch, is ahead of what is loaded or stored next in the same array. */
static int64_t ahead_of(const LFunc *f, uint32_t k) {
    const LIdx *x = &f->idx.at[f->inst.at[k].idx];
    for (uint32_t i = k + 1; i < f->inst.n; i++) {
        if (f->inst.at[i].op < LOP_LD || f->inst.at[i].op > LOP_STV1 || f->inst.at[i].op == LOP_PREFETCH || f->inst.at[i].buf != f->inst.at[k].buf) continue;
        return x->c0 - f->idx.at[f->inst.at[i].idx].c0;
    }
    return 0;
}

/* What steps of one row will read is asked for where they go next: down in a loop that goes down. */
static void prefetched(const char *name, int I, int H) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = model(ctx, &a, name, I, H, true);
    LowerOptions lo = options(16, 1, PLACE_AUTO);
    LProgram *p = m ? lower_module(ctx, &a, m, &lo, NULL) : NULL;
    const LFunc *f = p ? p->fn.at[p->fn.n - 1] : NULL;
    bool down = false, ok = true;
    int up = 0, back = 0;
    for (uint32_t k = 0, depth = 0; f && k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        depth += i->op == LOP_FOR || i->op == LOP_IF;
        depth -= i->op == LOP_END;
        if (i->op == LOP_FOR && depth == 1) down = i->flags & LF_DOWN;
        if (i->op != LOP_PREFETCH) continue;
        ok &= down ? ahead_of(f, k) < 0 : ahead_of(f, k) > 0;
        *(down ? &back : &up) += 1;
    }
    check(ok && up > 2 && back > 2, "the way that is prefetched", name, H);
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(void) {
    for (int grad = 0; grad < 2; grad++) {
        all("one", 20, 24, grad);
        all("two", 9, 24, grad);
        all("both", 11, 32, grad);
        all("own", 17, 25, grad);
        all("thin", 9, 24, grad);
    }
    turning("two", 1, 64, true);
    turning("both", 3, 70, false);
    LowerOptions lo = options(16, 1, PLACE_AUTO);
    holds("one", 64, 64, true, lo, true, "more than the first cache holds, a gradient");
    holds("one", 32, 32, true, lo, false, "less than the first cache holds, a gradient");
    holds("one", 1024, 64, true, lo, false, "gradients that are much larger than the steps' matrices");
    holds("one", 64, 64, false, lo, true, "more than the first cache holds");
    holds("one", 64, 128, false, lo, true, "a smaller input");
    holds("one", 16, 32, false, lo, false, "little");
    holds("one", 400, 64, false, lo, false, "an input that is too large");
    lo.registers = 16;
    holds("one", 64, 64, false, lo, false, "too few registers");
    lo = options(16, 1, PLACE_CHUNK);
    holds("one", 64, 64, false, lo, false, "chunks asked for");
    lo = options(16, 2, PLACE_AUTO);
    holds("one", 256, 256, false, lo, true, "threads that share columns");
    lo = options(16, 1, PLACE_AUTO);
    lo.one_row = false;
    holds("one", 64, 64, false, lo, false, "any number of rows");
    prefetched("one", 16, 24);
    prefetched("one", 32, 128);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
