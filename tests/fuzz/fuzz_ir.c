/* fuzz_ir: any bytes as a tensor graph or a loop program. What parses and verifies prints to itself; a graph then goes through
   the evaluator, the passes and the lowering: all must hold on any module that module_verify accepts. */
#include <string.h>

#include "ir/graph.h"
#include "ir/loop.h"
#include "passes/lower.h"
#include "passes/passes.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS = 2, COUNT_MAX = 8, VALUE_MAX = 1 << 12, NODES_MAX = 2000 };

static bool same(const Str *a, const Str *b) { return a->n == b->n && (!a->n || memcmp(a->at, b->at, a->n) == 0); }

/* ---- tensor graphs ------------------------------------------------------------------------------------------------------ */

static void axis_sizes(const Module *m, int64_t *axis) {
    for (uint32_t i = 0; i < m->naxis; i++) {
        const Axis *x = &m->axis[i];
        axis[i] = x->kind == AXIS_COUNT ? x->count : x->kind == AXIS_JOIN ? axis[x->a] + axis[x->b] : STEPS;
    }
}

static bool graph_is_small(const Module *m, const Graph *g, const int64_t *axis) {
    for (uint32_t i = 1; i < g->node.n; i++) {
        int64_t n = value_size(m, &g->node.at[i], axis);
        if (n < 0 || n > VALUE_MAX) return false;
    }
    return g->node.n < NODES_MAX;
}

/* Can it be evaluated in no time? */
static bool is_small(const Module *m, const int64_t *axis) {
    int64_t size = 0;
    for (uint32_t i = 0; i < m->naxis; i++)
        if (axis[i] < 0 || axis[i] > COUNT_MAX) return false;
    for (uint32_t i = 0; i < m->graph.n; i++)
        if (!graph_is_small(m, m->graph.at[i], axis)) return false;
    for (uint32_t i = 0; i < m->param.n; i++) size += m->param.at[i].offset > VALUE_MAX ? VALUE_MAX : 0;
    return size < VALUE_MAX && m->theta_size <= VALUE_MAX && graph_is_small(m, m->init, axis);
}

static double *ones(Arena *a, int64_t n, double v) {
    double *p = NEW_N(a, double, n > 0 ? n : 1);
    for (int64_t i = 0; i < n; i++) p[i] = v;
    return p;
}

static void evaluate(Arena *a, const Module *m, const int64_t *axis) {
    EvalIn in = {.param = NEW_N(a, const double *, m->param.n + 1), .input = NEW_N(a, const double *, m->input.n + 1)};
    const double **out = NEW_N(a, const double *, m->graph.at[0]->root.n + 1);
    memcpy(in.axis, axis, sizeof in.axis);
    for (uint32_t i = 0; i < m->param.n; i++) {
        Node n = {.rank = m->param.at[i].rank};
        memcpy(n.dim, m->param.at[i].dim, sizeof n.dim);
        in.param[i] = ones(a, node_features(&n), 0.5);
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *q = &m->input.at[i];
        Node n = {.rank = q->rank, .axes = q->axes};
        memcpy(n.dim, q->dim, sizeof n.dim);
        in.input[i] = ones(a, value_size(m, &n, axis), 1);
    }
    if (!module_eval(m, a, &in, out)) diag_clear(m->ctx); /* lengths that no example can have */
    module_eval_init(m, a, 1, NEW_N(a, double, m->theta_size + 1));
}

static void lower(Ctx *ctx, Arena *a, const Module *m) {
    LowerOptions o = {.V = 4, .registers = 16};
    LProgram *p = lower_module(ctx, a, m, &o, NULL);
    fuzz_require_silence(ctx, p || (diag_error_count(ctx) && !fuzz_has_code(ctx, 999)), "a module cannot be lowered");
    if (p) fuzz_require_silence(ctx, lprogram_verify(p, "lower"), "the lowering makes a wrong program");
}

static bool has_loss(const Module *m) {
    for (uint32_t i = 0; i < m->graph.at[0]->root.n; i++)
        if (m->graph.at[0]->root.at[i].kind == ROOT_LOSS) return true;
    return false;
}

static void through_passes(Ctx *ctx, Arena *a, Module *m, bool grad, const int64_t *axis) {
    bool ok = passes_run(m, &(PassOptions){.grad = grad});
    fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error in the passes");
    diag_clear(ctx);
    if (!ok) return;
    fuzz_require_silence(ctx, module_verify(m, "passes"), "the passes leave a wrong module");
    if (is_small(m, axis)) evaluate(a, m, axis);
    diag_clear(ctx);
    lower(ctx, a, m);
    diag_clear(ctx);
}

/* A graph with decisions of its own, legal or not: a program, or a diagnostic. */
static void take_decisions(Ctx *ctx, Arena *a, const Module *m) {
    LProgram *p = NULL;
    if (!m->graph.at[0]->stage.n) return;
    bool ok = passes_run_on(module_copy(m, a), &p, "lower_loops", &(PassOptions){0}, NULL);
    fuzz_require_silence(ctx, ok || diag_error_count(ctx), "stages that make no program are no error");
    diag_clear(ctx);
}

static void run_graph(Ctx *ctx, Arena *a, const Source *s) {
    Module *m = module_parse(ctx, a, s);
    fuzz_require((m == NULL) == (diag_error_count(ctx) > 0), "errors and result disagree");
    bool ok = m && module_verify(m, "parse");
    fuzz_render(ctx, a);
    if (!ok) return;
    Str once = str_make(a), twice = str_make(a);
    int64_t axis[MAX_AXES] = {0};
    module_print(&once, m);
    Module *again = module_parse(ctx, a, source_add(ctx, "again", once.at, once.n));
    fuzz_require_silence(ctx, again && module_verify(again, "print"), "a printed module does not parse");
    module_print(&twice, again);
    fuzz_require(same(&once, &twice), "a module does not print to itself");
    axis_sizes(m, axis);
    if (!is_small(m, axis)) return;
    take_decisions(ctx, a, m);
    evaluate(a, m, axis);
    through_passes(ctx, a, again, false, axis);
    if (has_loss(m)) through_passes(ctx, a, m, true, axis);
}

/* ---- loop programs ------------------------------------------------------------------------------------------------------ */

static void run_loops(Ctx *ctx, Arena *a, const Source *s) {
    LProgram *p = lprogram_parse(ctx, a, s);
    fuzz_require((p == NULL) == (diag_error_count(ctx) > 0), "errors and result disagree");
    bool ok = p && lprogram_verify(p, "parse");
    fuzz_render(ctx, a);
    if (!ok) return;
    Str once = str_make(a), twice = str_make(a);
    lprogram_print(&once, p);
    LProgram *again = lprogram_parse(ctx, a, source_add(ctx, "again", once.at, once.n));
    fuzz_require_silence(ctx, again && lprogram_verify(again, "print"), "a printed program does not parse");
    lprogram_print(&twice, again);
    fuzz_require(same(&once, &twice), "a program does not print to itself");
    fuzz_require_silence(ctx, passes_run_on(NULL, &p, "plan_memory", &(PassOptions){0}, NULL), "no plan of memory");
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    const Source *s = source_add(ctx, "fuzz.ir", (const char *)data, size);
    if (!s) return;
    run_graph(ctx, a, s);
    diag_clear(ctx);
    run_loops(ctx, a, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, 256 << 20);
    return 0;
}
