/* Recomputation: every recurrent cell of std, and models whose scans depend on one another in other ways, in segments of as few
   steps as can be: loss, outputs, gradients have the bits of the program without segments, in every engine, on several threads.
   A budget is kept or refused, and the recompute factor is what is executed. Losses in chunks of steps (passes/section.c): the bits
   of all steps at once, and memory that does not grow with what is wide in between. usage: test_remat [MODEL] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "passes/passes.h"
#include "runtime/internal.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

enum { B = 65, T = 9 }; /* 4 steps a segment: the last has one */

static int passed, failed;

static void check(Ctx *ctx, bool ok, const char *model, const char *what) {
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    passed += ok;
    failed += !ok;
    if (!ok) {
        diag_render(ctx, &s, false);
        printf("FAILED: %s: %s\n%s", model, what, s.n ? s.at : "");
        fflush(stdout);
    }
    diag_clear(ctx);
    arena_free(&a);
}

/* What std's cells do not show. */
static const char text[] =
    "model late[H = 5] { input x: seq [3] target y: [2]\n"
    "  h = lstm[H](x)\n p = dense[2](h.last)\n output p loss mse(p, y) }\n"
    "model layers[H = 5] { input x: seq [3] target y: seq [2]\n"
    "  a = lstm[H](x)\n b = gru[4](a)\n p = dense[2](b)\n output p loss mse(p, y) }\n"
    "model both[H = 5] { input x: seq [3] target y: seq [2]\n"
    "  a = bidirectional[lstm[H]](x)\n b = bidirectional[gru[3]](a)\n p = dense[2](b)\n output p loss mse(p, y) }\n"
    "model pooled[H = 5] { input x: seq [3] target y: [2]\n"
    "  h = gru[H](x)\n p = dense[2](h.mean + h.max)\n output p loss mse(p, y) }\n"
    "model noisy[H = 5] { input x: seq [3] target y: seq [2]\n"
    "  h = dropout[0.3](lstm[H](dropout[0.2](x)))\n p = dense[2](h)\n output p loss mse(p, y) }\n"
    "model words[H = 5] { input x: seq token[7] target y: seq token[7]\n"
    "  h = gru[H](embedding[7, 4](x))\n p = dense[7](h)\n output p loss softmax_crossentropy(p, y) }\n"
    "model wide[H = 5] { input x: seq [3] target y: seq token[4100]\n"
    "  p = dense[4100](dropout[0.5](gru[H](x)))\n output p loss softmax_crossentropy(p, y) }\n"
    "model looks[H = 5] { input x: seq [3] target y: seq [2]\n"
    "  h = gru[H](x)\n a = gru[4](self_attention[6](h))\n p = dense[2](a)\n output p loss mse(p, y) }\n"
    "model deep[H = 5] { input x: seq [3] target y: seq [2]\n"
    "  a = gru[H](x)\n b = gru[4](dense[40](a))\n p = dense[2](tanh(dense[30](b)))\n output p loss mse(p, y) }\n";

static const char *const names[] = {"late", "layers", "both", "pooled", "noisy", "words", "wide", "looks", "deep"};

static Module *build(Ctx *ctx, Arena *a, const char *path, const char *source, const char *name, bool ragged, const char *size) {
    FrontendOptions fo = {.std_dir = "std", .model = name, .text = source, .set = &size, .nset = size != NULL};
    Program *p = frontend_load(ctx, a, path, &fo);
    Module *m = p ? frontend_model(p, a, &(BuildOptions){.training = true, .ragged = ragged}) : NULL;
    if (!m) return NULL;
    bool *want = NEW_N(a, bool, m->input.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++) want[i] = m->input.at[i].dtype == DT_F && m->input.at[i].kind == INPUT_DATA;
    return passes_run(m, &(PassOptions){.grad = true, .want_input = want}) ? m : NULL;
}

/* Parameters from `low` to 0.6. */
static EvalIn data(const Module *m, Arena *a, int64_t batch, int64_t steps, double low) {
    EvalIn in = {.seed = 11};
    double **param = NEW_N(a, double *, m->param.n + 1), **input = NEW_N(a, double *, m->input.n + 1);
    uint64_t rng = 5;
    in.axis[0] = batch;
    for (uint32_t t = 1; t < m->naxis; t++) in.axis[t] = steps;
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        int64_t n = 1;
        for (int d = 0; d < p->rank; d++) n *= p->dim[d];
        param[i] = NEW_N(a, double, n + 1);
        for (int64_t k = 0; k < n; k++) param[i][k] = (float)gen_real(&rng, low, 0.6);
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        int64_t size = value_size(m, &n, in.axis);
        if (p->kind == INPUT_SCALAR) continue;
        input[i] = NEW_N(a, double, size + 1);
        for (int64_t k = 0; k < size; k++)
            if (p->kind == INPUT_LENGTH) input[i][k] = 1 + (double)gen_below(&rng, (uint32_t)steps);
            else if (p->dtype == DT_F) input[i][k] = (float)gen_real(&rng, -1, 1);
            else input[i][k] = gen_below(&rng, p->vocab ? (uint32_t)p->vocab : 2);
    }
    in.param = (const double **)param;
    in.input = (const double **)input;
    return in;
}

static bool same(const Module *m, const EvalIn *in, const double **x, const double **y) {
    for (uint32_t r = 0; r < m->graph.at[0]->root.n; r++)
        if (memcmp(x[r], y[r], sizeof(double) * (size_t)root_size(m, r, in))) {
            printf("root %u of kind %d differs\n", r, m->graph.at[0]->root.at[r].kind);
            return false;
        }
    return true;
}

static bool all_finite(const Module *m, const EvalIn *in, const double **x) {
    for (uint32_t r = 0; r < m->graph.at[0]->root.n; r++)
        for (int64_t k = 0; k < root_size(m, r, in); k++)
            if (!isfinite(x[r][k])) return false;
    return true;
}

static void one(const char *path, const char *source, const char *name, bool ragged, bool jit) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = build(ctx, &a, path, source, name, ragged, NULL);
    LowerOptions o = {.V = 8, .registers = 16};
    LProgram *p = m ? lower_module(ctx, &a, m, &o, NULL) : NULL;
    o.segments = UINT32_MAX;
    LProgram *q = p ? lower_module(ctx, &a, m, &o, NULL) : NULL;
    check(ctx, q != NULL, name, "is lowered in segments");
    if (q) {
        uint32_t n = m->graph.at[0]->root.n + 1;
        const double **x = NEW_N(&a, const double *, n), **y = NEW_N(&a, const double *, n);
        EvalIn in = data(m, &a, B, T, -0.6);
        bool ok = program_run(m, p, NULL, &a, &in, 1, x);
        if (ok && !all_finite(m, &in, x)) { /* a capacity, say, that is to be above 0 */
            in = data(m, &a, B, T, 0.1);
            ok = program_run(m, p, NULL, &a, &in, 1, x);
        }
        check(ctx, ok && all_finite(m, &in, x), name, "computes numbers");
        ok = ok && program_run(m, q, NULL, &a, &in, 1, y) && same(m, &in, x, y);
        check(ctx, ok, name, ragged ? "same bits in segments, ragged" : "same bits in segments");
        Engine *e = jit ? engine_make(ctx, q, &(EngineOptions){.kind = ENGINE_JIT, .cache_dir = ""}) : NULL;
        for (int nt = 1; nt <= 3 && e; nt += 2)
            check(ctx, program_run(m, q, e, &a, &in, nt, y) && same(m, &in, x, y), name, "same bits in segments, jit");
        if (e) engine_destroy(e);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Chunks of steps against all steps at once. */
static void sections(const char *name, bool ragged) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = build(ctx, &a, "own.rondo", text, name, ragged, NULL);
    LProgram *p[2] = {NULL, NULL};
    for (int k = 0; k < 2 && m; k++) {
        module_keep_roots(m, 1u << ROOT_LOSS | 1u << ROOT_GRAD_PARAM | 1u << ROOT_GRAD_INPUT);
        p[k] = lower_module(ctx, &a, m, &(LowerOptions){.V = 8, .registers = 16, .place = k ? PLACE_WHOLE : PLACE_AUTO}, NULL);
    }
    check(ctx, p[0] && p[1], name, "is lowered in chunks and at once");
    if (p[0] && p[1]) {
        uint32_t n = m->graph.at[0]->root.n + 1;
        const double **x = NEW_N(&a, const double *, n), **y = NEW_N(&a, const double *, n);
        EvalIn in = data(m, &a, B, T, -0.6);
        check(ctx, program_run(m, p[1], NULL, &a, &in, 1, x), name, "runs at once");
        Engine *e = engine_make(ctx, p[0], &(EngineOptions){.kind = ENGINE_JIT, .cache_dir = ""});
        for (int k = 0; k < 4; k++)
            check(ctx, program_run(m, p[0], k & 1 ? e : NULL, &a, &in, k & 2 ? 3 : 1, y) && same(m, &in, x, y), name,
                  ragged ? "same bits in chunks, ragged" : "same bits in chunks");
        if (e) engine_destroy(e);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

static double scratch(const LProgram *p, int64_t steps) {
    int64_t dim[LDIM_COUNT] = {[0] = 32, [1] = steps, [LDIM_NT] = 1};
    double sum = 0;
    for (uint32_t k = 0; k < p->buf.n; k++)
        if (p->buf.at[k].role == LB_SLAB) sum += (double)lextent_eval(&p->buf.at[k].extent, dim);
    return sum;
}

/* What a step adds to the scratch of a training step with `wide`: nothing that is 4100 wide. */
static void narrow(void) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = build(ctx, &a, "own.rondo", text, "wide", false, NULL);
    if (m) module_keep_roots(m, 1u << ROOT_LOSS | 1u << ROOT_GRAD_PARAM);
    for (int k = 0; k < 2; k++) {
        LProgram *p = m ? lower_module(ctx, &a, m, &(LowerOptions){.V = 8, .registers = 16, .place = k ? PLACE_WHOLE : PLACE_AUTO}, NULL) : NULL;
        double grows = p ? (scratch(p, 1000) - scratch(p, 900)) / (100 * 32) : 0;
        check(ctx, p && (k ? grows > 4100 : grows < 1000), "wide", k ? "at once a step has its logits" : "in chunks it has not");
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

static void cells(const char *only) {
    static const char word[] = "model ";
    FILE *f = fopen("tests/models/cells.rondo", "r");
    char line[200];
    for (int k = 0; f && fgets(line, sizeof line, f);) {
        char *name = line + sizeof word - 1;
        if (strncmp(line, word, sizeof word - 1) != 0) continue;
        name[strcspn(name, "[ ")] = 0;
        k++;
        if (!only || !strcmp(only, name)) one("tests/models/cells.rondo", NULL, name, k % 2, k % 5 == 0);
    }
    failed += f == NULL;
    if (f) fclose(f);
}

/* Floating-point operations that the interpreter runs. */
static double arithmetic(const uint64_t *ran) {
    double sum = 0;
    for (int op = 0; op < LOP_COUNT; op++)
        if (lop_info[op].result == 'f' && strspn(lop_info[op].args, "f")) sum += (double)ran[op];
    return sum;
}

/* What runs with and without segments, against what explain prints. */
static void factor(const char *name) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Module *m = build(ctx, &a, "own.rondo", text, name, false, "H=64");
    uint64_t ran[2][LOP_COUNT] = {{0}};
    LCut cut = {0};
    bool ok = m != NULL;
    for (int k = 0; k < 2 && ok; k++) {
        LProgram *p = lower_module(ctx, &a, m, &(LowerOptions){.V = 8, .registers = 16, .segments = k ? AX(1) : 0}, NULL);
        EvalIn in = data(m, &a, 6, 90, -0.6);
        const double **x = NEW_N(&a, const double *, m->graph.at[0]->root.n + 1);
        program_executed = ran[k];
        ok = p && program_run(m, p, NULL, &a, &in, 1, x);
        program_executed = NULL;
        if (ok && k) cut = p->cut.at[0];
    }
    double want = cut.work / cut.plain, got = arithmetic(ran[1]) / arithmetic(ran[0]);
    printf("%s: recompute factor %.3f, executed %.3f\n", name, want, got);
    check(ctx, ok && got > 0.95 * want && got < 1.05 * want, name, "the factor is what is executed");
    arena_free(&a);
    ctx_destroy(ctx);
}

/* A state that halves: 0 from below 2^-100 on in f32, not in f64. */
static void fades(bool f64, bool jit) {
    static const char half[] = "cell half(x: [1]) { state h: [1] = 1\n h' = 0.5 * h + 0 * x\n return h' }\n"
                               "model fade { input x: seq [1] target y: seq [1]\n h = half(x)\n output h loss mse(h, y) }\n";
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    Program *s = frontend_load(ctx, &a, "fade.rondo", &(FrontendOptions){.std_dir = "std", .text = half});
    Module *m = s ? frontend_model(s, &a, &(BuildOptions){0}) : NULL;
    LProgram *p = m && passes_run(m, &(PassOptions){0}) ? lower_module(ctx, &a, m, &(LowerOptions){.f64 = f64, .V = 4, .registers = 16}, NULL) : NULL;
    Engine *e = p && jit ? engine_make(ctx, p, &(EngineOptions){.kind = ENGINE_JIT, .cache_dir = ""}) : NULL;
    bool ok = p != NULL && (e || !jit);
    if (ok) {
        const double **x = NEW_N(&a, const double *, m->graph.at[0]->root.n + 1);
        EvalIn in = data(m, &a, 1, 200, -0.6);
        ok = program_run(m, p, e, &a, &in, 1, x) && x[0][99] == 0x1p-100 && x[0][100] == (f64 ? 0x1p-101 : 0) && x[0][199] == (f64 ? 0x1p-200 : 0);
    }
    check(ctx, ok, f64 ? "fade, f64" : "fade, f32", jit ? "a fading state becomes 0, jit" : "a fading state becomes 0");
    if (e) engine_destroy(e);
    arena_free(&a);
    ctx_destroy(ctx);
}

int main(int argc, char **argv) {
    const char *only = argc > 1 ? argv[1] : NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int ragged = 0; ragged < 2; ragged++)
            if (!only || !strcmp(only, names[k])) {
                if (strcmp(names[k], "wide") != 0) one("own.rondo", text, names[k], ragged, true);
                sections(names[k], ragged);
            }
    if (!only) narrow();
    cells(only);
    for (int k = 0; k < 4 && !only; k++) fades(k & 1, k & 2);
    if (!only) {
        factor("late");
        factor("layers");
        factor("both");
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
