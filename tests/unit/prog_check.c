/* See prog.h: what is asked of one program. The evaluator on the graph as built is the oracle; padding is filled with NaN and with
   tokens that no table has, and only real rows are compared. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/unit/gen.h"
#include "tests/unit/prog.h"

/* ---- the run line -------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *key;
    size_t at;
    int64_t init;
} keys[] = {
    {"B", offsetof(ProgRun, B), 2}, {"T", offsetof(ProgRun, T), 3}, {"S", offsetof(ProgRun, S), 2}, {"f64", offsetof(ProgRun, f64), 1},
    {"V", offsetof(ProgRun, V), 4}, {"ragged", offsetof(ProgRun, ragged), 0}, {"states", offsetof(ProgRun, states), 0},
    {"training", offsetof(ProgRun, training), 1}, {"place", offsetof(ProgRun, place), 0}, {"off", offsetof(ProgRun, off), 9},
    {"threads", offsetof(ProgRun, threads), 1}, {"reuse", offsetof(ProgRun, reuse), 1}, {"one", offsetof(ProgRun, one), 0},
    {"cut", offsetof(ProgRun, cut), 0}, {"seed", offsetof(ProgRun, seed), 1},
};
enum { NKEYS = sizeof keys / sizeof *keys };

ProgRun prog_run(const char *text) {
    ProgRun r = {0};
    size_t line = strcspn(text, "\n");
    bool run = strncmp(text, "# run:", 6) == 0;
    for (size_t k = 0; k < NKEYS; k++) {
        int64_t v = keys[k].init;
        char want[20];
        snprintf(want, sizeof want, " %s=", keys[k].key);
        const char *at = run ? strstr(text, want) : NULL;
        if (at && at < text + line) v = strtoll(at + strlen(want), NULL, 10);
        memcpy((char *)&r + keys[k].at, &v, sizeof v);
    }
    return r;
}

void prog_run_print(Str *s, const ProgRun *r) {
    str_put(s, "# run:");
    for (size_t k = 0; k < NKEYS; k++) {
        int64_t v;
        memcpy(&v, (const char *)r + keys[k].at, sizeof v);
        str_printf(s, " %s=%lld", keys[k].key, (long long)v);
    }
    str_put(s, "\n");
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------- */

static int64_t axis_steps(const Module *m, const EvalIn *in, uint32_t axis) {
    const Axis *x = &m->axis[axis];
    return x->kind == AXIS_COUNT  ? x->count
           : x->kind == AXIS_JOIN ? axis_steps(m, in, x->a) + axis_steps(m, in, x->b)
                                  : in->axis[axis];
}

static int64_t real_steps(const Module *m, const EvalIn *in, uint32_t axis, int64_t example) {
    const Axis *x = &m->axis[axis];
    if (x->kind == AXIS_JOIN) return real_steps(m, in, x->a, example) + real_steps(m, in, x->b, example);
    return x->ragged ? (int64_t)in->input[x->length - 1][example] : axis_steps(m, in, axis);
}

/* Is element i of a value a real one? Order: times ascending, B, features. */
static bool is_real(const Module *m, const EvalIn *in, uint32_t axes, int64_t features, int64_t i) {
    int64_t row = i / features, example = 0;
    if (!(axes & AX(AXIS_B))) return true;
    example = row % in->axis[0];
    row /= in->axis[0];
    for (uint32_t a = m->naxis; a-- > 1;) {
        if (!(axes & AX(a))) continue;
        int64_t n = axis_steps(m, in, a);
        if (row % n >= real_steps(m, in, a, example)) return false;
        row /= n;
    }
    return true;
}

static void fill_input(const Module *m, const EvalIn *in, uint32_t i, double *v, int64_t n, uint64_t *rng) {
    const Input *p = &m->input.at[i];
    uint32_t axis = 0;
    Node shape = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
    for (uint32_t t = 1; t < m->naxis; t++)
        if (m->axis[t].ragged && m->axis[t].length == 1 + i) axis = t;
    for (int64_t k = 0; k < n; k++) {
        if (axis) v[k] = 1 + (double)gen_below(rng, (uint32_t)in->axis[axis]);
        else if (p->dtype == DT_F) v[k] = (float)gen_real(rng, -1.2, 1.2);
        else v[k] = gen_below(rng, p->vocab ? (uint32_t)p->vocab : 2);
        if (!axis && !is_real(m, in, p->axes, node_features(&shape), k)) v[k] = p->dtype == DT_F ? NAN : p->dtype == DT_I ? 77777 : 1;
    }
}

static EvalIn make_data(const Module *m, Arena *a, const ProgRun *r) {
    EvalIn in = {.seed = r->seed * 7 + 3};
    double **param = NEW_N(a, double *, m->param.n + 1), **input = NEW_N(a, double *, m->input.n + 1);
    uint64_t rng = r->seed ^ UINT64_C(0xabcdef);
    in.axis[0] = r->B;
    in.param = (const double **)param;
    in.input = (const double **)input;
    for (uint32_t t = 1; t < m->naxis; t++) in.axis[t] = strcmp(name_str(m->ctx, m->axis[t].name), "S") == 0 ? r->S : r->T;
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
        double size = p->rank < 2 ? 0.8 : sqrt(6.0 / (p->dim[0] + p->dim[1]));
        param[i] = NEW_N(a, double, node_features(&n) + 1);
        for (int64_t k = 0; k < node_features(&n); k++) param[i][k] = (float)gen_real(&rng, -size, size);
    }
    for (uint32_t pass = 0; pass < 2; pass++) /* lengths first: padding depends on them */
        for (uint32_t i = 0; i < m->input.n; i++) {
            const Input *p = &m->input.at[i];
            Node n = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
            int64_t size = value_size(m, &n, in.axis);
            if ((p->kind == INPUT_LENGTH) != (pass == 0) || p->kind == INPUT_SCALAR) continue;
            input[i] = NEW_N(a, double, size + 1);
            fill_input(m, &in, i, input[i], size, &rng);
        }
    return in;
}

/* ---- comparing ------------------------------------------------------------------------------------------------------------------ */

static bool wrong(Prog *p, const char *what, const char *form, ...) PORT_PRINTF(3, 4);
static bool wrong(Prog *p, const char *what, const char *form, ...) {
    va_list ap;
    p->wrong = what;
    p->detail = str_make(p->a);
    va_start(ap, form);
    str_vprintf(&p->detail, form, ap);
    va_end(ap);
    str_put(&p->detail, "\n");
    diag_render(p->ctx, &p->detail, false);
    diag_clear(p->ctx);
    return false;
}

static const char *root_text(const Module *m, uint32_t r, Arena *a) {
    static const char *const kind[] = {"next", "stack", "sum", "last", "output", "final", "init", "loss", "metric", "grad/param",
                                       "grad/input", "value"};
    const Root *x = &m->graph.at[0]->root.at[r];
    Name name = x->kind == ROOT_GRAD_PARAM   ? m->param.at[x->index].name
                : x->kind == ROOT_GRAD_INPUT ? m->input.at[x->index].name
                                             : x->name;
    return arena_printf(a, "%s %s", kind[x->kind], name ? name_str(m->ctx, name) : "");
}

/* max |x - y| over real elements; *scale = max |y| */
static double distance(const Module *m, uint32_t r, const EvalIn *in, const double *x, const double *y, double *scale) {
    const Node *n = &m->graph.at[0]->node.at[m->graph.at[0]->root.at[r].ref];
    double most = 0;
    *scale = 1e-3;
    for (int64_t i = 0; i < root_size(m, r, in); i++) {
        if (!is_real(m, in, n->axes, node_features(n), i)) continue;
        double d = fabs(x[i] - y[i]);
        if (!(d <= 1e300)) d = (isnan(x[i]) && isnan(y[i])) || x[i] == y[i] ? 0 : INFINITY;
        most = fmax(most, d);
        if (isfinite(y[i])) *scale = fmax(*scale, fabs(y[i]));
    }
    return most;
}

/* The values of m's roots when every float that goes in moves by up to `by` of itself. */
static const double **eval_moved(Prog *p, const Module *m, double by, uint64_t rng) {
    EvalIn moved = make_data(m, p->a, &p->run);
    const double **got = NEW_N(p->a, const double *, m->graph.at[0]->root.n + 1);
    for (uint32_t i = 0; i < m->param.n + m->input.n; i++) {
        bool param = i < m->param.n;
        uint32_t k = param ? i : i - m->param.n;
        double *v = (double *)(param ? moved.param[k] : moved.input[k]);
        const Param *q = param ? &m->param.at[k] : NULL;
        const Input *x = param ? NULL : &m->input.at[k];
        if (!v || (x && x->dtype != DT_F)) continue;
        Node n = {.rank = q ? q->rank : x->rank, .axes = x ? x->axes : 0};
        memcpy(n.dim, q ? q->dim : x->dim, sizeof n.dim);
        for (int64_t e = 0; e < value_size(m, &n, p->in.axis); e++) v[e] *= 1 + gen_real(&rng, -by, by);
    }
    return module_eval(m, p->a, &moved, got) ? got : NULL;
}

/* The values of m's roots when every float is rounded to f32, or moved to a neighbour in f64, by chance. */
static const double **eval_drawn(Prog *p, const Module *m, bool f64, uint64_t draw) {
    EvalIn in = p->in;
    *(f64 ? &in.f64_draw : &in.f32_draw) = p->run.seed * 64 + draw;
    const double **got = NEW_N(p->a, const double *, m->graph.at[0]->root.n + 1);
    return module_eval(m, p->a, &in, got) ? got : NULL;
}

typedef enum { ROUNDS_F64, ROUNDS_F32 } Rounds;
static const double bar_of[] = {[ROUNDS_F64] = 1e-9, [ROUNDS_F32] = 1e-5};

/* Whether root r of m is so badly conditioned that what rounding alone does to it explains a distance d: draws of the arithmetic's own
   roundings, and in f64 values that go in a little off. Ever more draws, for what jumps (a tie of argmax) jumps in some only. */
static bool explained(Prog *p, const Module *m, uint32_t r, const double *want, double d, Rounds rounds) {
    double scale;
    for (uint64_t draw = 1; draw <= 32; draw++) {
        const double **got = eval_drawn(p, m, rounds == ROUNDS_F64, draw);
        if (got && d <= 4 * distance(m, r, &p->in, got[r], want, &scale)) return true;
        got = rounds == ROUNDS_F64 && draw <= 4 ? eval_moved(p, m, 1e-14, p->run.seed * 4 + draw) : NULL;
        if (got && d <= 100 * distance(m, r, &p->in, got[r], want, &scale)) return true;
    }
    return false;
}

/* got and want are values of the same roots. */
static bool near(Prog *p, const char *what, const Module *m, uint32_t nroot, const double **got, const double **want, Rounds rounds) {
    for (uint32_t r = 0; r < nroot; r++) {
        double scale, d = distance(m, r, &p->in, got[r], want[r], &scale);
        if (d <= bar_of[rounds] * scale || explained(p, m, r, want[r], d, rounds)) continue;
        return wrong(p, what, "%s: %.3g off where the largest is %.3g (%.17g .., not %.17g ..)", root_text(m, r, p->a), d, scale, got[r][0],
                     want[r][0]);
    }
    return true;
}

static bool same_bits(Prog *p, const char *what, const double **got, const double **want) {
    for (uint32_t r = 0; r < p->m->graph.at[0]->root.n; r++) {
        const Node *n = &p->m->graph.at[0]->node.at[p->m->graph.at[0]->root.at[r].ref];
        for (int64_t i = 0; i < root_size(p->m, r, &p->in); i++)
            if (memcmp(&got[r][i], &want[r][i], sizeof **got) && !(isnan(got[r][i]) && isnan(want[r][i])) &&
                is_real(p->m, &p->in, n->axes, node_features(n), i))
                return wrong(p, what, "other bits in %s at %lld: %.17g, reference %.17g", root_text(p->m, r, p->a), (long long)i, got[r][i],
                             want[r][i]);
    }
    return true;
}

/* ---- the front end and texts ------------------------------------------------------------------------------------------------------ */

static const Module *build(Prog *p, const char *text) {
    FrontendOptions fo = {.std_dir = "std", .text = text};
    Program *q = frontend_load(p->ctx, p->a, "program.rondo", &fo);
    if (!q) return NULL;
    return frontend_model(q, p->a, &(BuildOptions){.training = p->run.training, .external_states = p->run.states, .ragged = p->run.ragged});
}

static const char *print(Prog *p, const Module *m) {
    Str s = str_make(p->a);
    module_print(&s, m);
    return s.at;
}

static bool check_format(Prog *p) {
    Str once = str_make(p->a), twice = str_make(p->a);
    AstFile *f = parse_file(p->ctx, p->a, source_add(p->ctx, "program.rondo", p->text, strlen(p->text)));
    if (!format_file(p->ctx, &once, f)) return wrong(p, "format", "the file is not formatted");
    f = parse_file(p->ctx, p->a, source_add(p->ctx, "again.rondo", once.at, once.n));
    if (!format_file(p->ctx, &twice, f)) return wrong(p, "format", "the formatted file does not parse:\n%s", once.at);
    if (strcmp(once.at, twice.at) != 0) return wrong(p, "format", "formatting twice changes more:\n%s\n%s", once.at, twice.at);
    const Module *m = build(p, once.at);
    if (!m || strcmp(print(p, m), print(p, p->plain)) != 0) return wrong(p, "format", "the formatted file means something else:\n%s", once.at);
    return true;
}

static bool check_print(Prog *p, const Module *m, const char *which) {
    const char *text = print(p, m);
    const Module *again = module_parse(p->ctx, p->a, source_add(p->ctx, "printed", text, strlen(text)));
    if (!again) return wrong(p, "print", "what is printed %s does not parse:\n%s", which, text);
    if (strcmp(text, print(p, again)) != 0) return wrong(p, "print", "what is printed %s parses to something else:\n%s", which, text);
    return true;
}

/* ---- passes ------------------------------------------------------------------------------------------------------------------------ */

static bool check_twice(Prog *p, const Module *m, const char *which) {
    for (uint32_t k = 0; k < pass_count; k++) {
        bool changed = false;
        if (!pass_table[k].optional || !pass_table[k].graph) continue;
        Module *c = module_copy(m, p->a);
        if (!passes_run_named(c, pass_table[k].name, &(PassOptions){0}, NULL)) return wrong(p, "twice", "%s %s fails", pass_table[k].name, which);
        const char *once = print(p, c);
        if (!passes_run_named(c, pass_table[k].name, &(PassOptions){0}, &changed)) return wrong(p, "twice", "%s fails again", pass_table[k].name);
        const char *twice = print(p, c);
        if (strcmp(once, twice) != 0)
            return wrong(p, "twice", "%s %s changes more when applied twice\n%s\n%s", pass_table[k].name, which, once, twice);
        if (changed) return wrong(p, "twice", "%s %s says that it changed what it did not", pass_table[k].name, which);
    }
    return true;
}

static const Module *optimised(Prog *p, bool grad) {
    static const char *const optional[] = {"distribute", "merge_gemm", "stabilize", "simplify"};
    const char *off[] = {p->run.off < 4 ? optional[p->run.off] : NULL, NULL};
    Module *m = module_copy(p->plain, p->a);
    bool *want = NEW_N(p->a, bool, m->input.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++)
        want[i] = m->input.at[i].dtype == DT_F && (m->input.at[i].kind == INPUT_DATA || m->input.at[i].kind == INPUT_STATE);
    return passes_run(m, &(PassOptions){.grad = grad, .want_input = want, .disable = off}) ? m : NULL;
}

bool prog_joint;

/* ---- gradients --------------------------------------------------------------------------------------------------------------------- */

/* What is moved along a random direction: a parameter or an input, its values of the run, and the slope that its gradient says. */
typedef struct {
    uint32_t root;
    double *v, *v0, *dir, want, size;
    int64_t n;
} Moved;

/* Of the graph after the passes, which has the values of the one as built but not its cancellations: log(1 - sigmoid(30)) as written
   has six digits, too few for differences. */
static double loss_at(Prog *p, uint32_t root, const Moved *x, uint32_t count, double h) {
    const double **out = NEW_N(p->a, const double *, p->plain->graph.at[0]->root.n + 1);
    for (uint32_t k = 0; k < count; k++)
        for (int64_t i = 0; i < x[k].n; i++)
            if (x[k].dir[i] != 0) x[k].v[i] = x[k].v0[i] + h * x[k].dir[i];
    bool ok = module_eval(p->forward, p->a, &p->in, out);
    for (uint32_t k = 0; k < count; k++) memcpy(x[k].v, x[k].v0, (size_t)x[k].n * sizeof *x[k].v);
    return ok ? out[root][0] : NAN;
}

/* The derivative along the directions of count of them at once: central differences at h and h / 2, extrapolated. */
static double slope(Prog *p, uint32_t root, const Moved *x, uint32_t count, double h) {
    double d[2];
    for (int k = 0; k < 2; k++, h /= 2) d[k] = (loss_at(p, root, x, count, h) - loss_at(p, root, x, count, -h)) / (2 * h);
    return (4 * d[1] - d[0]) / 3;
}

static Moved moved_along(Prog *p, uint32_t r, uint64_t *rng, const double *y) {
    const Graph *g = p->m->graph.at[0];
    bool param = g->root.at[r].kind == ROOT_GRAD_PARAM;
    uint32_t k = g->root.at[r].index, axes = param ? 0 : p->m->input.at[k].axes;
    Moved x = {.root = r, .n = root_size(p->m, r, &p->in), .size = 1e-6};
    x.v = (double *)(param ? p->in.param[k] : p->in.input[k]);
    x.v0 = NEW_N(p->a, double, x.n + 1);
    x.dir = NEW_N(p->a, double, x.n + 1);
    memcpy(x.v0, x.v, (size_t)x.n * sizeof *x.v);
    for (int64_t i = 0; i < x.n; i++) {
        if (!is_real(p->m, &p->in, axes, node_features(&g->node.at[g->root.at[r].ref]), i)) continue;
        x.dir[i] = gen_real(rng, -1, 1);
        x.want += x.dir[i] * y[i];
        x.size += fabs(y[i]);
    }
    return x;
}

/* A kink within reach of h shows with a large h only, so a mismatch is looked at again from nearer; where the loss still jumps at the
   nearest (a tie of argmax), there is no derivative to compare with. */
static bool slopes_agree(Prog *p, uint32_t loss, double y, const Moved *x, uint32_t count, double *want, double *got) {
    double size = 0, h = 1e-3;
    bool ok = false;
    *want = 0;
    for (uint32_t k = 0; k < count; k++) *want += x[k].want, size += x[k].size;
    for (int again = 0; again < 6 && !ok; again++, h /= 10) {
        *got = slope(p, loss, x, count, h);
        bool jump = again == 5 && fabs(*got) * h > 1e-5 * (1 + fabs(y));
        ok = jump || fabs(*got - *want) <= 1e-6 * (size + fabs(y)) || (isnan(*got) && isnan(*want));
    }
    return ok;
}

/* One random direction for each parameter and each input: a wrong entry shows in it. With prog_joint, all along theirs at once first. */
static bool check_gradient(Prog *p, const double **y) {
    const Graph *g = p->m->graph.at[0];
    uint32_t loss = UINT32_MAX, n = 0;
    uint64_t rng = p->run.seed + 99;
    double want, got;
    for (uint32_t r = 0; r < p->plain->graph.at[0]->root.n; r++)
        if (p->plain->graph.at[0]->root.at[r].kind == ROOT_LOSS) loss = r;
    if (loss == UINT32_MAX || isnan(y[loss][0])) return true; /* as where a mask leaves no row */
    if (strstr(p->text, "stop(")) return true;                /* differences see through it */
    Moved *x = NEW_N(p->a, Moved, g->root.n + 1);
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_GRAD_PARAM || g->root.at[r].kind == ROOT_GRAD_INPUT) x[n++] = moved_along(p, r, &rng, y[r]);
    if (prog_joint && slopes_agree(p, loss, y[loss][0], x, n, &want, &got)) return true;
    for (uint32_t k = 0; k < n; k++)
        if (!slopes_agree(p, loss, y[loss][0], x + k, 1, &want, &got))
            return wrong(p, "gradient", "%s: %.12g along a direction, differences %.12g", root_text(p->m, x[k].root, p->a), want, got);
    return true;
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------------- */

static LProgram *lower(Prog *p, const LowerOptions *o) { return lower_module(p->ctx, p->a, p->m, o, NULL); }

static bool check_loops(Prog *p, const double **y) {
    LowerOptions plain = {.f64 = p->run.f64, .V = 1, .registers = 16, .no_reuse = true};
    LowerOptions as = {.f64 = p->run.f64, .V = (int)p->run.V, .registers = p->run.seed % 2 ? 16 : 32, .place = (Place)p->run.place,
                       .frame = p->run.seed % 3 ? 0 : 24, .no_reuse = !p->run.reuse, .segments = p->run.cut ? (UINT32_C(1) << p->m->naxis) - 2 : 0};
    if (p->run.one && p->run.B == 1) { /* several threads share columns then: there is no other row to have */
        as.one_row = true;
        as.batch = 1;
        as.threads = (int)p->run.threads;
        as.share_columns = as.threads > 1;
    }
    uint32_t n = p->m->graph.at[0]->root.n;
    const double **got = NEW_N(p->a, const double *, n + 1);
    p->want = NEW_N(p->a, const double *, n + 1);
    p->ref = lower(p, &plain);
    p->p = lower(p, &as);
    if (!p->ref || !p->p) return wrong(p, "lower", "lowering failed");
    if (!program_run(p->m, p->ref, NULL, p->a, &p->in, 1, p->want)) return wrong(p, "fault", "the interpreter found a fault");
    if (!program_run(p->m, p->p, NULL, p->a, &p->in, 1, got)) return wrong(p, "fault", "the interpreter found a fault, %d lanes", as.V);
    if (!same_bits(p, "loops", got, p->want)) return false;
    if (p->run.f64) return near(p, "loops and evaluator", p->m, n, p->want, y, ROUNDS_F64);
    /* the same loops in f64 are held to the evaluator, f32 to what f32 can know */
    plain.f64 = true;
    LProgram *wide = lower(p, &plain);
    if (!wide || !program_run(p->m, wide, NULL, p->a, &p->in, 1, got)) return wrong(p, "fault", "the interpreter found a fault in f64");
    if (!near(p, "loops and evaluator", p->m, n, got, y, ROUNDS_F64)) return false;
    return near(p, "f32 and evaluator", p->m, n, p->want, y, ROUNDS_F32);
}

/* Named by the first error's code, so that a smaller program is refused for the same reason. */
static bool refused(Prog *p) {
    for (uint32_t i = 0; i < diag_count(p->ctx); i++) {
        const Diag *d = diag_at(p->ctx, i);
        if (d->kind == DIAG_ERROR) return wrong(p, arena_printf(p->a, "front end, E%04d, %.12s", d->code, d->text), "refused");
    }
    return wrong(p, "front end", "refused");
}

/* log(sum(exp(x))) as written overflows past x = 709, and stabilize saves it: then the passes are held against one another. */
static void without_overflow(Prog *p, uint32_t nroot, const double **x, const double **f) {
    for (uint32_t r = 0; r < nroot; r++)
        for (int64_t i = 0; i < root_size(p->plain, r, &p->in); i++)
            if (!isfinite(x[r][i])) {
                x[r] = f[r];
                break;
            }
}

bool prog_check(Prog *p) {
    p->run = prog_run(p->text);
    p->plain = build(p, p->text);
    if (!p->plain) return refused(p);
    if (!check_format(p)) return false;
    diag_clear(p->ctx); /* warnings */
    if (!check_print(p, p->plain, "as built") || !check_twice(p, p->plain, "as built")) return false;
    p->forward = optimised(p, false);
    p->m = optimised(p, true);
    if (!p->forward || !p->m) return wrong(p, "passes", "the passes fail");
    if (!check_print(p, p->m, "after the passes") || !check_twice(p, p->forward, "after the passes") ||
        !check_twice(p, p->m, "after the passes, with gradients"))
        return false;
    p->in = make_data(p->m, p->a, &p->run);
    uint32_t n = p->plain->graph.at[0]->root.n;
    const double **x = NEW_N(p->a, const double *, n + 1), **f = NEW_N(p->a, const double *, n + 1);
    const double **y = NEW_N(p->a, const double *, p->m->graph.at[0]->root.n + 1);
    if (!module_eval(p->plain, p->a, &p->in, x) || !module_eval(p->forward, p->a, &p->in, f) || !module_eval(p->m, p->a, &p->in, y))
        return wrong(p, "evaluator", "the evaluator fails");
    without_overflow(p, n, x, f);
    return near(p, "forward passes", p->plain, n, f, x, ROUNDS_F64) && near(p, "passes", p->plain, n, y, x, ROUNDS_F64) &&
           check_gradient(p, y) && check_loops(p, y);
}

bool prog_check_engine(Prog *p, Engine *e, bool joined, const char *name) {
    const double **got = NEW_N(p->a, const double *, p->m->graph.at[0]->root.n + 1);
    if (!e || !program_run_part(p->m, p->p, e, joined ? &p->part : NULL, p->a, &p->in, (int)p->run.threads, got))
        return wrong(p, name, "no engine");
    return same_bits(p, name, got, p->want);
}

bool prog_check_alone(Prog *p) {
    static const struct {
        EngineKind kind;
        const char *name;
    } engine[] = {{ENGINE_JIT, "jit"}, {ENGINE_C, "c"}};
    bool ok = prog_check(p);
    for (int k = 0; k < 2 && ok; k++) {
        Engine *e = engine_make(p->ctx, p->p, &(EngineOptions){.kind = engine[k].kind, .cache_dir = ""});
        ok = prog_check_engine(p, e, false, engine[k].name);
        if (e) engine_destroy(e);
    }
    return ok;
}
