/* The engines against each other and against the evaluator, on every std cell and some of nobody's.
   A point is one choice of size, batch, steps, float, lanes, threads, engine, compiler, place, disabled pass, plan of memory,
   gradients, lengths. Its results have the bits of the interpreter at one lane, one thread, with shadow memory and no reuse, on
   the same graph; and are the evaluator's (of the graph that no optional pass has seen) within the bar: 1e-10 in f64, 3e-5 in f32 or, where a sum
   cancels, four times as far off as the evaluator itself is when it rounds every float to f32 by chance.

   usage: test_diff [--seed S] [--model NAME [--point K]] [--part I/N] [--verbose] [--no-c]
              a covering array of pairs for each model
          test_diff --full [--seed S] [--shard I/N] [--model NAME] [--unit U] [--verbose]
              for each model the whole product of engine, compiler, optimisation, lanes and float; the other factors of each
              unit are grown so that pairs with them are covered too, and three data sets are run */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/unit/cover.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"
#include "tests/unit/join.h"

/* How many of its points a model gets. */
typedef enum {
    EVERY, /* every pair of levels */
    THIRD,
    SIXTH /* and C only without optimisation */
} Share;
typedef struct {
    const char *name, *file; /* in tests/models */
    Share share;
} TestModel;
/* Then every model of cells.rondo, which has all recurrent cells of std: those named here by these rows, the others by a sixth. */
static TestModel models[100] = {
    {"simple_rnn", "cells", EVERY}, {"lstm", "cells", EVERY}, {"lstm_peephole", "cells", EVERY},
    {"gru", "cells", EVERY}, {"gru_v1", "cells", EVERY}, {"dense", "dense", EVERY},
    {"dropout", "dropout", EVERY}, {"dropout_sequence", "dropout_sequence", EVERY},
    {"layer_norm", "layer_norm", EVERY}, {"rms_norm", "rms_norm", EVERY}, {"embedding", "embedding", EVERY},
    {"bidirectional", "bidirectional", EVERY}, {"stack", "stack", THIRD}, {"ends", "ends", THIRD}, {"sums", "sums", THIRD}, {"heads", "heads", THIRD},
    {"fastgrnn_low_rank", "cells", THIRD}, {"mingru", "cells", THIRD}, {"layernorm_lstm", "cells", THIRD},
    {"indrnn", "cells", THIRD}, {"deltanet", "cells", THIRD},
};
static uint32_t nmodels;

static bool read_models(Arena *a) {
    static const char word[] = "model ";
    FILE *f = fopen("tests/models/cells.rondo", "r");
    char line[200];
    while (models[nmodels].name) nmodels++;
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, word, sizeof word - 1) != 0) continue;
        char *name = arena_strndup(a, line + sizeof word - 1, strcspn(line + sizeof word - 1, "[ "));
        uint32_t k = 0;
        while (k < nmodels && strcmp(models[k].name, name) != 0) k++;
        if (k < nmodels || nmodels + 1 == sizeof models / sizeof *models) continue;
        models[nmodels++] = (TestModel){name, "cells", SIXTH};
    }
    if (!f) printf("there is no tests/models/cells.rondo here: run from the source root\n");
    else fclose(f);
    return f != NULL;
}

/* ---- factors -------------------------------------------------------------------------------------------------------------- */

typedef enum {
    F_ENGINE, F_CC, F_OPT, F_LANES, F_FLOAT, F_H, F_B, F_T, F_THREADS, F_PLACE, F_OFF, F_REUSE, F_GRAD, F_RAGGED, F_STATES, F_REGS,
    F_COUNT
} Factor;
enum { E_LOOPS, E_JIT, E_C };

static const int sizes[] = {1, 7, 8, 9, 33}, batches[] = {1, 2, 5, 6, 7}, steps[] = {1, 2, 5}, lanes[] = {1, 4, 8, 16};
static const char *const places[] = {"auto", "step", "chunk", "whole"};
static const char *const passes[] = {"", "simplify", "stabilize", "distribute", "merge_gemm"};
static const int opts[] = {0, 2, 3};
static const char *compilers[3];
static uint8_t ncompilers;

static void find_compilers(void) {
    static const char *const known[] = {"gcc", "clang-14", "clang-19"};
    const char *path = getenv("PATH");
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        char file[4096];
        bool found = false;
        for (const char *s = path; s && *s && !found; s += strcspn(s, ":"), s += *s == ':') {
            snprintf(file, sizeof file, "%.*s/%s", (int)strcspn(s, ":"), s, known[k]);
            FILE *f = fopen(file, "rb");
            found = f != NULL;
            if (f) fclose(f);
        }
        if (found) compilers[ncompilers++] = known[k];
        else printf("%s is not installed: left out\n", known[k]);
    }
}

static const uint8_t levels[F_COUNT] = {3, 0, 3, 4, 2, 5, 5, 3, 3, 4, 5, 2, 2, 2, 2, 2};

static const char *describe(const CoverRow *r, char *to, size_t n) {
    const uint8_t *l = r->level;
    char engine[64];
    if (l[F_ENGINE] == E_C) snprintf(engine, sizeof engine, "%s -O%d", compilers[l[F_CC]], opts[l[F_OPT]]);
    else snprintf(engine, sizeof engine, "%s", l[F_ENGINE] == E_JIT ? "jit" : "loops");
    snprintf(to, n, "%s H=%d B=%d T=%d %s V=%d threads=%d place=%s%s%s%s%s%s%s registers=%d", engine, sizes[l[F_H]],
             batches[l[F_B]], steps[l[F_T]], l[F_FLOAT] ? "f64" : "f32", lanes[l[F_LANES]], l[F_THREADS] + 1, places[l[F_PLACE]],
             l[F_OFF] ? " without " : "", passes[l[F_OFF]], l[F_REUSE] ? " no-reuse" : "", l[F_GRAD] ? " grad" : "",
             l[F_RAGGED] ? " ragged" : "", l[F_STATES] ? " states" : "", l[F_REGS] ? 32 : 16);
    return to;
}

/* ---- the points of a model -------------------------------------------------------------------------------------------------- */

enum { POINTS = 400, CONFIGS = 40 };

static void keep_compilers(Cover *c) {
    for (uint32_t f = 0; f < c->n; f++)
        for (uint32_t g = f + 1; g < c->n; g++)
            if ((f != F_CC && f != F_OPT && g != F_CC && g != F_OPT) || f == F_ENGINE) cover_drop(c, f, g);
}

static Cover cover_make(uint32_t n, uint64_t seed) {
    Cover c = {.n = n, .rng = seed};
    memcpy(c.levels, levels, sizeof levels);
    c.levels[F_CC] = ncompilers ? ncompilers : 1;
    c.levels[F_ENGINE] = ncompilers ? 3 : 2;
    return c;
}

/* How C is compiled: compiler, optimisation, lanes, float, each pair once. All models share these, so that programs can be
   joined. */
static int configs_make(CoverRow *at, uint64_t seed) {
    Cover c = cover_make(F_FLOAT + 1, seed);
    int n = 0;
    c.levels[F_ENGINE] = 1;
    cover_start(&c);
    while (c.nopen && n < CONFIGS) {
        memset(&at[n], 0xff, sizeof at[n]);
        cover_grow(&c, &at[n], 50, NULL);
        cover_close(&c, &at[n]);
        at[n++].level[F_ENGINE] = E_C;
    }
    return n;
}

/* First what needs a C compiler, with as few gradients as will do; then the rest. */
static int points_make(CoverRow *at, uint64_t seed, const CoverRow *config, int nconfig) {
    static const uint8_t mild[F_COUNT] = {[F_ENGINE] = E_JIT};
    static Cover c, all;
    int n = 0;
    c = cover_make(F_COUNT, seed);
    all = c;
    cover_start(&c);
    keep_compilers(&c);
    cover_start(&all);
    cover_drop(&all, F_ENGINE, F_CC);
    cover_drop(&all, F_ENGINE, F_OPT);
    for (uint32_t f = 0; !ncompilers && f < F_COUNT; f++) {
        cover_drop(&all, f < F_CC ? f : F_CC, f < F_CC ? F_CC : f);
        cover_drop(&all, f < F_OPT ? f : F_OPT, f < F_OPT ? F_OPT : f);
    }
    while (ncompilers && c.nopen && n < POINTS) {
        uint32_t most = 0;
        for (int k = 0; k < nconfig; k++) {
            CoverRow x = config[k];
            uint32_t got = cover_grow(&c, &x, 4, mild);
            if (got > most) at[n] = x;
            if (got > most) most = got;
        }
        cover_close(&c, &at[n]);
        cover_close(&all, &at[n++]);
    }
    while (all.nopen && n < POINTS) {
        uint32_t most = 0;
        CoverRow best = {{0}};
        for (uint8_t e = E_LOOPS; e <= E_JIT; e++) {
            CoverRow x;
            memset(&x, 0xff, sizeof x);
            x.level[F_ENGINE] = e;
            x.level[F_CC] = x.level[F_OPT] = 0;
            uint32_t got = cover_grow(&all, &x, 12, NULL);
            if (got > most) best = x;
            if (got > most) most = got;
        }
        if (!most) break;
        cover_close(&all, &best);
        at[n++] = best;
    }
    if (all.nopen) printf("%u pairs were not met\n", all.nopen);
    return n;
}

/* ---- one point ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Ctx *ctx;
    Arena *a; /* of the program */
    const TestModel *model;
    uint64_t seed; /* of the data */
    CoverRow row;
    char where[120]; /* to run it again */
    const Module *m;
    LProgram *p;
    JoinPart part;
} Point;

static int passed, failed, shown;
static bool verbose;

static void complain(Point *x, const char *what) {
    Arena a = arena_make(x->ctx);
    Str s = str_make(&a);
    char text[300];
    failed++;
    if (shown++ < 40) {
        diag_render(x->ctx, &s, false);
        printf("%s: %s: %s\n    test_diff %s\n%s", x->model->name, describe(&x->row, text, sizeof text), what, x->where, s.n ? s.at : "");
        fflush(stdout);
    }
    diag_clear(x->ctx);
    arena_free(&a);
}

static Module *build(Ctx *ctx, Arena *a, const TestModel *model, const CoverRow *r, bool plain) {
    const uint8_t *l = r->level;
    const char *size = arena_printf(a, "H=%d", sizes[l[F_H]]), *path = arena_printf(a, "tests/models/%s.rondo", model->file);
    const char *const every[] = {passes[1], passes[2], passes[3], passes[4], NULL}, *const off[] = {passes[l[F_OFF]], NULL};
    FrontendOptions fo = {.std_dir = "std", .set = &size, .nset = 1, .model = model->name};
    Program *p = frontend_load(ctx, a, path, &fo);
    if (!p) return NULL;
    Module *m = frontend_model(p, a, &(BuildOptions){.training = l[F_GRAD], .external_states = l[F_STATES], .ragged = l[F_RAGGED]});
    if (!m) return NULL;
    bool *want = NEW_N(a, bool, m->input.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++)
        want[i] = m->input.at[i].dtype == DT_F && (m->input.at[i].kind == INPUT_DATA || m->input.at[i].kind == INPUT_STATE);
    PassOptions o = {.grad = l[F_GRAD], .want_input = want, .disable = plain ? every : l[F_OFF] ? off : NULL};
    return passes_run(m, &o) ? m : NULL;
}

static LProgram *lower(Ctx *ctx, Arena *a, const Module *m, const CoverRow *r, bool reference) {
    const uint8_t *l = r->level;
    LowerOptions o = {.f64 = l[F_FLOAT], .V = 1, .registers = 16, .no_reuse = true};
    if (!reference) {
        o.V = lanes[l[F_LANES]];
        o.registers = l[F_REGS] ? 32 : 16;
        o.place = (Place)l[F_PLACE];
        o.no_reuse = l[F_REUSE];
    }
    return lower_module(ctx, a, m, &o, NULL);
}

static double draw(uint64_t *rng, double size) { return (float)gen_real(rng, -size, size); }

static void fill_input(const Module *m, const EvalIn *in, uint32_t i, double *v, int64_t n, uint64_t *rng) {
    const Input *p = &m->input.at[i];
    for (int64_t k = 0; k < n; k++)
        if (p->kind == INPUT_LENGTH) v[k] = 1 + (double)gen_below(rng, (uint32_t)in->axis[1]);
        else if (p->dtype == DT_F) v[k] = draw(rng, 1);
        else v[k] = gen_below(rng, p->vocab ? (uint32_t)p->vocab : 2);
}

/* Weights as Glorot's, inputs from -1 to 1: numbers that both floats have. */
static EvalIn data(const Module *m, Arena *a, const CoverRow *r, uint64_t seed) {
    EvalIn in = {.seed = seed * 7 + 3};
    double **param = NEW_N(a, double *, m->param.n + 1), **input = NEW_N(a, double *, m->input.n + 1);
    uint64_t rng = seed;
    in.axis[0] = batches[r->level[F_B]];
    for (uint32_t t = 1; t < m->naxis; t++) in.axis[t] = steps[r->level[F_T]];
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        int64_t n = 1;
        double sum = 0;
        for (int d = 0; d < p->rank; d++) {
            n *= p->dim[d];
            sum += p->dim[d];
        }
        param[i] = NEW_N(a, double, n + 1);
        for (int64_t k = 0; k < n; k++) param[i][k] = draw(&rng, p->rank < 2 ? 0.8 : sqrt(6 / sum));
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        if (p->kind == INPUT_SCALAR) continue;
        Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        int64_t size = value_size(m, &n, in.axis);
        input[i] = NEW_N(a, double, size + 1);
        fill_input(m, &in, i, input[i], size, &rng);
    }
    in.param = (const double **)param;
    in.input = (const double **)input;
    return in;
}

static const char *root_text(const Module *m, uint32_t r, Arena *a) {
    static const char *const kind[] = {"next", "stack", "sum", "last", "output", "final", "init", "loss", "metric", "grad/param",
                                       "grad/input", "value"};
    const Root *x = &m->graph.at[0]->root.at[r];
    Name name = x->kind == ROOT_GRAD_PARAM ? m->param.at[x->index].name
                : x->kind == ROOT_GRAD_INPUT ? m->input.at[x->index].name : x->name;
    return arena_printf(a, "%s %s", kind[x->kind], name ? name_str(m->ctx, name) : "");
}

static bool same_bits(Point *x, const EvalIn *in, Arena *a, const double **got, const double **want) {
    for (uint32_t r = 0; r < x->m->graph.at[0]->root.n; r++)
        for (int64_t i = 0; i < root_size(x->m, r, in); i++)
            if (memcmp(&got[r][i], &want[r][i], sizeof **got) && !(isnan(got[r][i]) && isnan(want[r][i]))) {
                complain(x, arena_printf(a, "other bits in %s at %lld: %.17g, reference %.17g", root_text(x->m, r, a), (long long)i,
                                         got[r][i], want[r][i]));
                return false;
            }
    return true;
}

static bool is_grad(const Root *r) { return r->kind == ROOT_GRAD_PARAM || r->kind == ROOT_GRAD_INPUT; }

static double largest(const Point *x, uint32_t root, const EvalIn *in, const double **want) {
    double most = 0;
    for (int64_t i = 0; i < root_size(x->m, root, in); i++) most = fmax(most, fabs(want[root][i]));
    return most;
}

/* How far root may be off: 1e-10 or 3e-5 of its largest. In f64 a gradient that is 0 by an invariance (at the first step sLSTM's
   output does not depend on its input gate) is what terms as large as the other gradients leave when they cancel: a few roundings
   of the largest gradient of the point pass too. f32 has a measure of that, conditioned(). */
static double bar_of(const Point *x, uint32_t root, const EvalIn *in, const double **want) {
    const Graph *g = x->m->graph.at[0];
    bool f64 = x->row.level[F_FLOAT];
    double bar = (f64 ? 1e-10 : 3e-5) * largest(x, root, in, want), all = 0;
    if (!f64 || !is_grad(&g->root.at[root])) return bar;
    for (uint32_t r = 0; r < g->root.n; r++)
        if (is_grad(&g->root.at[r])) all = fmax(all, largest(x, r, in, want));
    return fmax(bar, all * 1e-15);
}

/* How far root r is at the most from what f64 gives when every float is rounded to f32 by chance. Four seeded draws. */
static double conditioned(Point *x, const EvalIn *in, Arena *a, const Module *plain, uint32_t r, const double **want) {
    double most = 0;
    for (uint64_t draw = 1; draw <= 4; draw++) {
        EvalIn f32 = *in;
        f32.f32_draw = x->seed * 4 + draw;
        const double **got = NEW_N(a, const double *, plain->graph.at[0]->root.n + 1);
        if (!module_eval(plain, a, &f32, got)) return 0;
        for (int64_t e = 0; e < root_size(x->m, r, in); e++) most = fmax(most, fabs(got[r][e] - want[r][e]));
    }
    return most;
}

static bool near_oracle(Point *x, const EvalIn *in, Arena *a, const Module *plain, const double **got, const double **want) {
    for (uint32_t r = 0; r < x->m->graph.at[0]->root.n && !x->row.level[F_FLOAT]; r++)
        if (largest(x, r, in, want) > 1e36) return true; /* random weights made it explode past what f32 has: the bits have to do */
    for (uint32_t r = 0; r < x->m->graph.at[0]->root.n; r++) {
        double worst = 0;
        for (int64_t i = 0; i < root_size(x->m, r, in); i++) {
            double d = fabs(got[r][i] - want[r][i]);
            if (isnan(got[r][i]) && isnan(want[r][i])) d = 0; /* a state that the cell cannot have: a power of a negative number */
            worst = d > worst || !(d == d) ? d : worst;
        }
        if (worst <= bar_of(x, r, in, want)) continue;
        if (!x->row.level[F_FLOAT] && worst <= 4 * conditioned(x, in, a, plain, r, want)) continue;
        complain(x, arena_printf(a, "%s: %.3g off where the largest is %.3g", root_text(x->m, r, a), worst, largest(x, r, in, want)));
        return false;
    }
    return true;
}

/* Runs a point that has been lowered, on e (NULL: the interpreter with shadow memory), and holds it to both. */
static void point_check(Point *x, Engine *e, const JoinPart *part) {
    Arena a = arena_make(x->ctx);
    uint32_t n = x->m->graph.at[0]->root.n + 1;
    const double **got = NEW_N(&a, const double *, n), **ref = NEW_N(&a, const double *, n), **want = NEW_N(&a, const double *, n);
    EvalIn in = data(x->m, &a, &x->row, x->seed);
    Module *plain = build(x->ctx, &a, x->model, &x->row, true);
    LProgram *p = lower(x->ctx, &a, x->m, &x->row, true);
    if (!p || !program_run(x->m, p, NULL, &a, &in, 1, ref)) complain(x, "the reference failed");
    else if (!plain || !module_eval(plain, &a, &in, want)) complain(x, "the evaluator failed");
    else if (!program_run_part(x->m, x->p, e, part, &a, &in, x->row.level[F_THREADS] + 1, got)) complain(x, "a fault");
    else passed += same_bits(x, &in, &a, got, ref) && near_oracle(x, &in, &a, plain, got, want);
    arena_free(&a);
}

static bool point_lower(Point *x) {
    x->m = build(x->ctx, x->a, x->model, &x->row, false);
    x->p = x->m ? lower(x->ctx, x->a, x->m, &x->row, false) : NULL;
    if (!x->p) complain(x, x->m ? "lowering failed" : "the front end or the passes failed");
    return x->p != NULL;
}

static EngineOptions options(const CoverRow *r, char *cc, size_t n) {
    const uint8_t *l = r->level;
    snprintf(cc, n, "%s -std=c99 -O%d -march=native -ffp-contract=off", compilers[l[F_CC]] ? compilers[l[F_CC]] : "cc",
             opts[l[F_OPT]]);
    return (EngineOptions){.kind = l[F_ENGINE] == E_C ? ENGINE_C : ENGINE_JIT, .cc = cc, .cache_dir = ""};
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void point_run(Point *x) {
    char cc[200], text[300];
    double start = now();
    if (!point_lower(x)) return;
    Engine *e = NULL;
    if (x->row.level[F_ENGINE] != E_LOOPS) {
        EngineOptions o = options(&x->row, cc, sizeof cc);
        e = engine_make(x->ctx, x->p, &o);
        if (!e) complain(x, "no engine");
        if (!e) return;
    }
    point_check(x, e, NULL);
    if (e) engine_destroy(e);
    if (verbose) printf("%.3f s %s %s\n", now() - start, x->model->name, describe(&x->row, text, sizeof text));
}

/* ---- many points ---------------------------------------------------------------------------------------------------------------- */

typedef VEC(Point *) Batch;

/* One C compilation for all points of a configuration. */
static void batch_run(Ctx *ctx, Batch *b) {
    Arena a = arena_make(ctx);
    char cc[200];
    double start = now();
    const Point *first = b->at[0];
    LProgram *p = lprogram_make(ctx, &a, intern(ctx, "joined"), first->p->f64, first->p->V);
    for (uint32_t k = 0; k < b->n; k++) join_add(p, b->at[k]->p, &b->at[k]->part);
    EngineOptions o = options(&first->row, cc, sizeof cc);
    Engine *e = engine_make(ctx, p, &o);
    double made = now();
    for (uint32_t k = 0; k < b->n; k++)
        if (e) point_check(b->at[k], e, &b->at[k]->part);
        else complain(b->at[k], "C was not compiled");
    if (verbose)
        printf("%.3f s to compile, %.3f s to run %u points: %s V=%d f%d\n", made - start, now() - made, b->n, cc, p->V,
               p->f64 ? 64 : 32);
    if (e) engine_destroy(e);
    arena_free(&a);
}

typedef struct {
    uint64_t seed;
    const char *model; /* NULL: all */
    int point; /* -1: all */
    uint32_t part, parts;
} Request;

static uint64_t mix(uint64_t seed, uint64_t k) {
    uint64_t s = seed * 0x9E3779B97F4A7C15u + k;
    return gen_next(&s);
}

/* Whether point i of model k is one of its share. */
static bool is_shared(uint32_t k, int i, const CoverRow *r) {
    static const int every[] = {[EVERY] = 1, [THIRD] = 3, [SIXTH] = 6};
    if (models[k].share == SIXTH && r->level[F_ENGINE] == E_C && opts[r->level[F_OPT]]) return false;
    return (i + (int)k) % every[models[k].share] == 0;
}

static void cover_run(Ctx *ctx, Arena *a, const Request *q) {
    static CoverRow at[POINTS], config[CONFIGS];
    static Batch batch[CONFIGS];
    int nconfig = ncompilers ? configs_make(config, mix(q->seed, 1000)) : 0;
    for (uint32_t k = 0; k < nmodels; k++) {
        if (q->model ? strcmp(q->model, models[k].name) != 0 : k % q->parts != q->part) continue;
        int n = points_make(at, mix(q->seed, k), config, nconfig), ran = 0;
        double start = now();
        for (int i = 0; i < n; i++) {
            if (q->point >= 0 ? i != q->point : !is_shared(k, i, &at[i])) continue;
            Point *x = NEW(a, Point);
            *x = (Point){.ctx = ctx, .a = a, .model = &models[k], .seed = mix(q->seed, k * 1000 + (uint32_t)i), .row = at[i]};
            snprintf(x->where, sizeof x->where, "--model %s --seed %llu --point %d", x->model->name, (unsigned long long)q->seed, i);
            int c = nconfig;
            while (--c >= 0 && memcmp(config[c].level, at[i].level, F_FLOAT + 1)) {}
            ran++;
            if (c < 0 || q->point >= 0) point_run(x);
            else if (point_lower(x)) VEC_PUSH(a, batch[c]) = x;
        }
        if (verbose) printf("%.3f s, %d of %d points: %s\n", now() - start, ran, n, models[k].name);
    }
    for (int c = 0; c < nconfig; c++)
        if (batch[c].n) batch_run(ctx, &batch[c]);
}

/* ---- the product ---------------------------------------------------------------------------------------------------------------- */

static const Factor product[] = {F_LANES, F_FLOAT};
enum { DATA_SETS = 3 };

/* The engine factors of unit u; the others are left open. */
static CoverRow unit_row(uint32_t u) {
    uint32_t engines = 2 + 3u * ncompilers, engine = u % engines;
    CoverRow r;
    memset(&r, 0xff, sizeof r);
    u /= engines;
    r.level[F_ENGINE] = engine < 2 ? (uint8_t)engine : E_C;
    r.level[F_CC] = engine < 2 ? 0 : (uint8_t)((engine - 2) / 3);
    r.level[F_OPT] = engine < 2 ? 0 : (uint8_t)((engine - 2) % 3);
    for (size_t k = 0; k < sizeof product / sizeof *product; k++) {
        r.level[product[k]] = (uint8_t)(u % levels[product[k]]);
        u /= levels[product[k]];
    }
    return r;
}

static uint32_t unit_count(void) {
    uint32_t n = 2 + 3u * ncompilers;
    for (size_t k = 0; k < sizeof product / sizeof *product; k++) n *= levels[product[k]];
    return n;
}

/* The open factors: pairs not met yet while there are any, then drawn. */
static void grow_row(Cover *c, CoverRow *r, uint64_t seed) {
    if (!cover_grow(c, r, 4, NULL))
        for (uint32_t f = 0; f < F_COUNT; f++)
            if (r->level[f] == UINT8_MAX) r->level[f] = (uint8_t)gen_below(&seed, levels[f]);
    cover_close(c, r);
}

static void unit_run(Ctx *ctx, uint64_t run_seed, uint32_t model, uint32_t u, const CoverRow *row) {
    Arena a = arena_make(ctx);
    Point x = {.ctx = ctx, .a = &a, .model = &models[model], .row = *row};
    char cc[200], text[300];
    double start = now();
    snprintf(x.where, sizeof x.where, "--full --seed %llu --model %s --unit %u", (unsigned long long)run_seed, x.model->name, u);
    bool ok = point_lower(&x);
    EngineOptions o = options(&x.row, cc, sizeof cc);
    Engine *e = ok && x.row.level[F_ENGINE] != E_LOOPS ? engine_make(ctx, x.p, &o) : NULL;
    if (ok && !e && x.row.level[F_ENGINE] != E_LOOPS) complain(&x, "no engine");
    else if (ok)
        for (uint32_t k = 0; k < DATA_SETS; k++) {
            uint64_t rng = mix(mix(run_seed, model), u * DATA_SETS + k);
            x.seed = rng;
            if (k) { /* of what the program was not made for */
                x.row.level[F_B] = (uint8_t)gen_below(&rng, levels[F_B]);
                x.row.level[F_T] = (uint8_t)gen_below(&rng, levels[F_T]);
                x.row.level[F_THREADS] = (uint8_t)gen_below(&rng, levels[F_THREADS]);
            }
            point_check(&x, e, NULL);
        }
    if (e) engine_destroy(e);
    arena_free(&a);
    if (verbose) printf("%.3f s %s unit %u: %s\n", now() - start, x.model->name, u, describe(row, text, sizeof text));
}

static void full_run(const Request *q, uint32_t only) {
    static Cover c;
    uint32_t n = unit_count(), ran = 0;
    double start = now();
    for (uint32_t k = 0; k < nmodels; k++) {
        if (q->model && strcmp(q->model, models[k].name) != 0) continue;
        c = cover_make(F_COUNT, mix(q->seed, k));
        cover_start(&c);
        for (uint32_t u = 0; u < n; u++) {
            CoverRow r = unit_row(u);
            grow_row(&c, &r, mix(q->seed, k * n + u));
            if (only != UINT32_MAX ? u != only : (k * n + u) % q->parts != q->part) continue;
            Ctx *ctx = ctx_make(NULL);
            unit_run(ctx, q->seed, k, u, &r);
            ctx_destroy(ctx);
            ran++;
        }
    }
    printf("%u of %u units, %d points each, in %.0f s\n", ran, n * nmodels, DATA_SETS, now() - start);
}

int main(int argc, char **argv) {
    Request q = {.seed = 1, .point = -1, .parts = 1};
    bool full = false, no_c = false;
    uint32_t unit = UINT32_MAX;
    for (int i = 1; i < argc; i++) {
        const char *s = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(s, "--full")) full = true;
        else if (!strcmp(s, "--verbose")) verbose = true;
        else if (!strcmp(s, "--no-c")) no_c = true;
        else if (!*v) return fprintf(stderr, "test_diff: %s\n", s), 2;
        else i++;
        if (!strcmp(s, "--seed")) q.seed = strtoull(v, NULL, 10);
        if (!strcmp(s, "--model")) q.model = v;
        if (!strcmp(s, "--point")) q.point = (int)strtol(v, NULL, 10);
        if (!strcmp(s, "--unit")) unit = (uint32_t)strtoul(v, NULL, 10);
        bool part = !strcmp(s, "--part") || !strcmp(s, "--shard");
        if (part && (sscanf(v, "%u/%u", &q.part, &q.parts) != 2 || q.part >= q.parts)) return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    Ctx *names = ctx_make(NULL);
    Arena kept = arena_make(names);
    if (!read_models(&kept)) return 1;
    if (!no_c) find_compilers();
    printf("seed %llu\n", (unsigned long long)q.seed);
    if (full) {
        full_run(&q, unit);
    } else {
        Ctx *ctx = ctx_make(NULL);
        Arena a = arena_make(ctx);
        cover_run(ctx, &a, &q);
        arena_free(&a);
        ctx_destroy(ctx);
    }
    arena_free(&kept);
    ctx_destroy(names);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
