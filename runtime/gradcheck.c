/* gradcheck: the compiled gradient of every parameter, initial state and input against central differences of the f64
   evaluator on the graph as the front end built it: no pass, no lowering, no engine has touched what it is held against. Each
   state starts a little beside where the model has it start, so that learned starts are checked and a variance stays positive, and each weight
   stands a little beside its initial value: weights that begin as 0 or alike would put a relu on its kink, or two sides of a max level, where
   there is no derivative.

   Difference: five points, (f(x-2h) - 8 f(x-h) + 8 f(x+h) - f(x+2h)) / 12h, error O(h^4). The step is halved in powers of
   eight from 1.2e-3 (relative to max(1, |x|)) to 2.4e-6; of two neighbours that agree best the finer is taken, if the finest says the
   same up to its rounding: that passes over the kink of a relu, on both sides of which coarse steps may agree on half of a
   slope, and does not drown in rounding. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

typedef struct {
    Model *m;
    const GradCheckOptions *o;
    Arena *a, tmp;
    Module *plain; /* LOSS only, no passes */
    Exec *exec;
    Arrays in;
    int64_t limit; /* entries of an array that are looked at */
    double *theta, *grad, **input; /* evaluator's inputs, canonical */
    int64_t *count; /* of each input */
    EvalIn eval;
    VEC(GradCheck) list;
    bool failed;
} Check;

static bool loss_at(Check *c, double *loss) {
    const double **out = NEW_N(&c->tmp, const double *, c->plain->graph.at[0]->root.n + 1);
    bool ok = module_eval(c->plain, &c->tmp, &c->eval, out);
    if (ok) *loss = out[0][0];
    arena_free(&c->tmp);
    c->failed = c->failed || !ok;
    return ok;
}

/* *size: the largest loss seen. */
static double difference(Check *c, double *x, double h, double *size) {
    double keep = *x, f[4] = {0}, at[4] = {-2, -1, 1, 2};
    for (int k = 0; k < 4; k++) {
        *x = keep + at[k] * h;
        loss_at(c, &f[k]);
        *size = fmax(*size, fabs(f[k]));
    }
    *x = keep;
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
}

static double numeric(Check *c, double *x) {
    double least = INFINITY, before = 0, scale = fmax(1, fabs(*x)), size = 0, tiny = 1e-2 * scale * pow(8, -4);
    double finest = difference(c, x, tiny, &size), best = finest, slack = 1e-14 * size / tiny + 1e-7 * fabs(finest);
    for (int k = 1; k < 4 && !c->failed; k++) {
        double d = difference(c, x, 1e-2 * scale * pow(8, -k), &size);
        if (k > 1 && fabs(d - before) < least && fabs(d - finest) <= slack) {
            least = fabs(d - before);
            best = d;
        }
        before = d;
        if (least <= 1e-11 * fmax(1, fabs(best))) break;
    }
    return best;
}

/* Up to `most` of n entries: half of them where the gradient is not 0 (most rows of a table are read by no token), evenly spread as the
   others are. */
static int64_t choose(const double *grad, int64_t n, int64_t most, int64_t *at) {
    int64_t live = 0, seen = 0, half = n <= most ? 0 : (most + 1) / 2, taken = 0;
    for (int64_t i = 0; half && i < n; i++) live += grad[i] != 0;
    half = half < live ? half : live;
    for (int64_t i = 0; i < n && taken < half; i++)
        if (grad[i] != 0 && seen++ == taken * live / half) at[taken++] = i;
    int64_t spread = (n < most ? n : most) - half;
    for (int64_t k = 0; k < spread; k++) {
        int64_t i = (2 * k + 1) * n / (2 * spread), j = 0;
        while (j < half && at[j] != i) j++;
        if (j == half) at[taken++] = i;
    }
    return taken;
}

/* Compares n elements: analytic[i] belongs to x[i]. */
static void check_tensor(Check *c, const char *name, double *x, const double *analytic, int64_t n, bool through) {
    if (through) {
        VEC_PUSH(c->a, c->list) = (GradCheck){.bar = 1e-6, .name = name, .elements = n, .through = true};
        return;
    }
    int64_t most_checked = n < c->limit ? n : c->limit, *at = NEW_N(c->a, int64_t, most_checked + 1);
    int64_t checked = choose(analytic, n, most_checked, at);
    double *num = NEW_N(c->a, double, checked + 1), most = 0, worst = 0;
    for (int64_t k = 0; k < checked && !c->failed; k++) {
        num[k] = numeric(c, &x[at[k]]);
        most = fmax(most, fabs(num[k]));
    }
    for (int64_t k = 0; k < checked; k++) {
        double d = fabs(analytic[at[k]] - num[k]) / fmax(fabs(num[k]), fmax(1e-3 * most, 1e-4));
        if (!(d <= worst)) worst = d;
    }
    VEC_PUSH(c->a, c->list) = (GradCheck){.bar = 1e-6, .name = name, .error = worst, .elements = n, .checked = checked};
}

/* The weights a little beside where they begin; none of them changes its sign. */
static void take_weights(Check *c) {
    const Model *m = c->m;
    c->theta = NEW_N(c->a, double, m->desc->theta_size + 1);
    int64_t at = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++)
        for (int64_t end = at + m->desc->param.at[i].count; at < end; at++) {
            double w = model_theta_get(m, at), u = 2 * noise_uniform(c->o->seed + 78, 0, UINT32_MAX, 0, i, (uint32_t)at) - 1;
            c->theta[at] = m->desc->param.at[i].is_const ? w : w + u * (w == 0 ? 0.01 : fmin(0.01, 0.1 * fabs(w)));
        }
}

/* 200 entries of an array, of a model with much work in it fewer: about 10 s in all, at a dozen evaluations an entry. */
static int64_t sample_size(const Check *c) {
    enum { MOST = 200, LEAST = 8 };
    Flops f = module_flops(c->plain, c->eval.axis);
    double arrays = (double)(c->m->desc->param.n + c->plain->input.n), fits = 1e10 / (12 * arrays * (0.5 * f.product + 8 * f.other + 1));
    return fits > MOST ? MOST : fits < LEAST ? LEAST : (int64_t)fits;
}

/* ---- arrays to check at ------------------------------------------------------------------------------------------------- */

/* Random values of the sizes asked for: floats in (-1, 1), targets in (0, 1), states small, tokens and bools of their range. */
static bool random_arrays(Check *c) {
    const Module *m = c->plain;
    int64_t axis[MAX_AXES] = {0};
    uint32_t word = 0;
    for (uint32_t k = 0; k < m->naxis; k++)
        axis[k] = m->axis[k].kind == AXIS_COUNT ? m->axis[k].count : c->o->steps > 0 ? c->o->steps : 3;
    axis[AXIS_B] = c->o->batch > 0 ? c->o->batch : 2;
    for (uint32_t k = 0; k < m->naxis; k++)
        if (m->axis[k].kind == AXIS_JOIN) axis[k] = axis[m->axis[k].a] + axis[m->axis[k].b];
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        Border b;
        if (p->kind == INPUT_SCALAR || p->kind == INPUT_LENGTH || !border_make(p->axes, p->rank, p->dim, axis, &b)) continue;
        const char *prefix = p->kind == INPUT_TARGET ? "target/" : p->kind == INPUT_STATE ? "init/" : "input/";
        Array *x = arrays_add(c->a, &c->in, arena_printf(c->a, "%s%s", prefix, name_str(m->ctx, p->name)), RONDO_F64, b.rank, b.dim);
        if (!x) return false;
        for (int64_t k = 0; k < array_count(x); k++) {
            double u = noise_uniform(c->o->seed + 77, 0, UINT32_MAX, 0, i, word++);
            if (p->vocab) u = floor(u * p->vocab);
            else if (p->dtype == DT_B) u = u < 0.5;
            else if (p->kind == INPUT_STATE) u = 0.4 * u - 0.2;
            else if (p->kind == INPUT_DATA) u = 2 * u - 1;
            array_set(x, k, u);
        }
    }
    return true;
}

static bool check_build(Check *c) {
    Model *m = c->m;
    BuildOptions bo = {.training = true, .external_states = true, .moved_states = true};
    Module *all = frontend_model(m->program, c->a, &bo);
    if (!all) return false;
    module_keep_roots(all, 1u << ROOT_LOSS);
    bool *want = NEW_N(c->a, bool, all->input.n + 1);
    for (uint32_t i = 0; i < all->input.n; i++)
        want[i] = all->input.at[i].dtype == DT_F && ((all->input.at[i].kind == INPUT_DATA && !m->opt.exec.gradient) || all->input.at[i].kind == INPUT_STATE);
    c->plain = module_copy(all, c->a);
    ExecOptions o = m->opt.exec;
    o.pool = m->pool;
    o.f64 = true;
    o.grad = true;
    o.want_input = want;
    c->exec = exec_make(m->ctx, all, &o, NULL);
    return c->exec != NULL;
}

/* Arrays into the exec, and copies of its canonical inputs for the evaluator. */
static bool check_bind(Check *c) {
    const Module *mod = exec_module(c->exec);
    int64_t axis[MAX_AXES];
    if (!random_arrays(c) || !exec_axes_from(mod, &c->in, axis) || !exec_dims(c->exec, axis)) return false;
    if (!exec_set_inputs(c->exec, &c->in, 1u << INPUT_DATA | 1u << INPUT_TARGET)) return false;
    c->input = NEW_N(c->a, double *, mod->input.n + 1);
    c->count = NEW_N(c->a, int64_t, mod->input.n + 1);
    for (uint32_t k = 0; k < mod->naxis; k++) c->eval.axis[k] = axis[k];
    for (uint32_t i = 0; i < mod->input.n; i++) {
        const Input *p = &mod->input.at[i];
        Border b;
        bool is_int;
        const void *v = exec_input_data(c->exec, i, &is_int);
        if (!border_make(p->axes, p->rank, p->dim, axis, &b)) return false;
        c->count[i] = b.B * b.X * b.F;
        c->input[i] = NEW_N(c->a, double, c->count[i] + 1);
        for (int64_t k = 0; k < c->count[i]; k++) c->input[i][k] = is_int ? ((const int32_t *)v)[k] : ((const double *)v)[k];
    }
    return true;
}

static bool check_all(void *arg) {
    Check *c = arg;
    Model *m = c->m;
    if (!model_need_weights(m)) return false;
    if (!m->desc->loss.n) {
        diag_error(m->ctx, 551, m->desc->span, "'%s' has no loss, so there are no gradients", name_str(m->ctx, m->desc->name));
        return false;
    }
    if (!check_build(c) || !check_bind(c)) return false;
    c->limit = c->o->limit > 0 ? c->o->limit : sample_size(c);
    const Module *mod = exec_module(c->exec);
    take_weights(c);
    c->grad = NEW_N(c->a, double, m->desc->theta_size + 1);
    if (!exec_run(c->exec, c->theta, 1, c->grad, c->o->seed, 0, NULL)) return false;
    const double **param = NEW_N(c->a, const double *, mod->param.n + 1);
    for (uint32_t i = 0; i < mod->param.n; i++) param[i] = c->theta + mod->param.at[i].offset;
    c->eval.param = param;
    c->eval.input = (const double **)c->input;
    c->eval.seed = c->o->seed;
    bool *param_through = NEW_N(c->a, bool, c->plain->param.n + 1), *input_through = NEW_N(c->a, bool, c->plain->input.n + 1);
    reach_straight_through(c->plain, c->a, param_through, input_through);
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n && !c->failed; offset += m->desc->param.at[i].count, i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        if (!p->is_const) check_tensor(c, arena_printf(c->a, "param/%s", name_str(m->ctx, p->name)), c->theta + offset, c->grad + offset, p->count, param_through[i]);
    }
    const Graph *g = mod->graph.at[0];
    for (uint32_t r = 0; r < g->root.n && !c->failed; r++) {
        if (g->root.at[r].kind != ROOT_GRAD_INPUT) continue;
        uint32_t i = g->root.at[r].index;
        const char *prefix = mod->input.at[i].kind == INPUT_STATE ? "init/" : "input/";
        const Node *n = &g->node.at[g->root.at[r].ref];
        if (n->axes != mod->input.at[i].axes) continue;
        check_tensor(c, arena_printf(c->a, "%s%s", prefix, name_str(m->ctx, mod->input.at[i].name)), c->input[i],
                     exec_root_data(c->exec, r, NULL), c->count[i], input_through[i]);
    }
    return !c->failed;
}

/* ---- one mode against another ------------------------------------------------------------------------------------------------ */

static bool is_common(const Array *x) {
    return strncmp(x->name, "grad/param/", 11) == 0 || strncmp(x->name, "grad/init/", 10) == 0;
}

static double largest(const Array *x) {
    double most = 0;
    for (int64_t k = 0; k < array_count(x); k++) most = fmax(most, fabs(array_get(x, k)));
    return most;
}

/* The worst difference relative to the largest of its array, or a thousandth of the largest of all. */
static double mode_difference(const Arrays *got, const Arrays *want, int64_t *n) {
    double worst = 0, all = 0;
    *n = 0;
    for (uint32_t i = 0; i < want->array.n; i++)
        if (is_common(&want->array.at[i])) all = fmax(all, largest(&want->array.at[i]));
    for (uint32_t i = 0; i < want->array.n; i++) {
        const Array *x = &want->array.at[i], *y = arrays_find(got, x->name);
        if (!is_common(x)) continue;
        double scale = fmax(largest(x), 1e-3 * all);
        *n += array_count(x);
        for (int64_t k = 0; k < array_count(x); k++) {
            double d = y ? fabs(array_get(x, k) - array_get(y, k)) / (scale > 0 ? scale : 1) : INFINITY;
            if (!(d <= worst)) worst = d;
        }
    }
    return worst;
}

enum { MOST_COMPARED = 256 << 20 }; /* bytes: the influence of every weight on every state may be large */

/* rtrl and, where nothing is left out, snap1 must be bptt. */
static bool compare_modes(Check *c) {
    Model *m = c->m;
    const GradientMode chosen = m->opt.exec.gradient;
    const size_t limit = m->opt.exec.memory_limit;
    Arrays want = {0};
    RunOptions o = {.grad = true, .whole = true, .moved = true};
    m->opt.exec.gradient = GRADIENT_BPTT;
    bool ok = run_arrays(m, &o, &c->in, c->a, &want);
    for (int mode = GRADIENT_RTRL; ok && gradient_name[mode]; mode++) {
        GradCheck g = {.name = arena_printf(c->a, "%s = bptt", gradient_name[mode]), .bar = 1e-10};
        Arrays got = {0};
        uint32_t before = diag_count(m->ctx);
        m->opt.exec.gradient = (GradientMode)mode;
        m->opt.exec.memory_limit = limit && limit < MOST_COMPARED ? limit : MOST_COMPARED;
        ok = run_arrays(m, &o, &c->in, c->a, &got);
        if (!ok && diag_count(m->ctx) > before && (diag_at(m->ctx, before)->code == 570 || diag_at(m->ctx, before)->code == 902)) {
            g.note = arena_strdup(c->a, diag_at(m->ctx, before)->text);
            diag_drop(m->ctx, before);
            ok = true;
        } else if (ok) {
            g.error = mode_difference(&got, &want, &g.elements);
            g.checked = g.elements;
            if (o.inexact) g.note = "an approximation here";
        }
        VEC_PUSH(c->a, c->list) = g;
    }
    m->opt.exec.gradient = chosen;
    m->opt.exec.memory_limit = limit;
    return ok;
}

GradCheck *grad_check(Model *m, const GradCheckOptions *o, Arena *a, uint32_t *n) {
    Check c = {.m = m, .o = o, .a = a, .tmp = arena_make(m->ctx)};
    int got = guard_call(m->ctx, check_all, &c);
    if (got > 0 && !compare_modes(&c)) got = 0;
    exec_destroy(c.exec);
    arena_free(&c.tmp);
    if (got < 0) ctx_out_of_memory(m->ctx);
    *n = c.list.n;
    if (!got) return NULL;
    return c.list.at ? c.list.at : NEW(a, GradCheck);
}
