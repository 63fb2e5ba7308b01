/* Forward mode against reverse mode: for a random direction v, the derivative of the loss that jvp gives is the product of v with
   the gradient that autodiff gives. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "passes/passes.h"
#include "passes_test.h"

static uint32_t root_of(const Module *m, RootKind kind, const char *name)
{
    const Graph *g = m->graph.at[0];

    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == kind && (!name || !strcmp(name_str(m->ctx, g->root.at[i].name), name))) return i;
    return UINT32_MAX;
}

static const bool *all_true(Arena *a, uint32_t n)
{
    bool *b = NEW_N(a, bool, n + 1);

    memset(b, 1, n * sizeof *b);
    return b;
}

/* Random directions for the inputs of n past those of m, which keep their values. */
static EvalIn with_directions(const Module *m, const Module *n, const GenInputs *in, Arena *a, uint64_t seed, double ***value)
{
    EvalIn e = in->in;
    uint64_t rng = seed + 99;

    *value = NEW_N(a, double *, n->input.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++) (*value)[i] = in->input ? in->input[i] : NULL;
    for (uint32_t i = m->input.n; i < n->input.n; i++) {
        const Input *p = &n->input.at[i];
        Node type = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        int64_t size = value_size(n, &type, e.axis);
        (*value)[i] = NEW_N(a, double, size + 1);
        for (int64_t k = 0; k < size; k++) (*value)[i][k] = gen_real(&rng, -1, 1);
    }
    e.input = (const double **)*value;
    return e;
}

/* Sum over everything of gradient times direction; *scale gets the sum of magnitudes. */
static double along(const Module *m, const Module *n, const GenInputs *in, double *const *value, const double *const *out, double *scale)
{
    const Graph *g = n->graph.at[0];
    double sum = 0;

    *scale = 0;
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *x = &g->root.at[r];
        char name[128];
        bool param = x->kind == ROOT_GRAD_PARAM;
        int64_t size;
        if (!param && x->kind != ROOT_GRAD_INPUT) continue;
        snprintf(name, sizeof name, "tangent/%s/%s", param ? "param" : m->input.at[x->index].kind == INPUT_STATE ? "init" : "input",
                 name_str(n->ctx, x->name));
        size = param ? in->param_size[x->index] : in->input_size[x->index];
        for (uint32_t i = m->input.n; i < n->input.n; i++) {
            if (strcmp(name, name_str(n->ctx, n->input.at[i].name))) continue;
            for (int64_t k = 0; k < size; k++) {
                sum += value[i][k] * out[r][k];
                *scale += fabs(value[i][k] * out[r][k]);
            }
        }
    }
    return sum;
}

void check_forward(const Module *m, Ctx *ctx, Arena *a, const GenInputs *in, uint64_t seed, bool pipeline)
{
    Module *n = module_copy(m, a);
    const bool *input = all_true(a, m->input.n);
    bool *param = NEW_N(a, bool, m->param.n + 1);
    PassOptions o = {.grad = true, .want_input = input, .jvp = true, .tangent_param = param, .tangent_input = input};
    for (uint32_t i = 0; i < m->param.n; i++) param[i] = !m->param.at[i].is_const;
    bool ok = pipeline ? passes_run(n, &o) : passes_run_named(n, "autodiff", &o, NULL) && passes_run_named(n, "jvp", &o, NULL);
    const double **out;
    double **value, sum, scale, got;
    uint32_t r = root_of(n, ROOT_VALUE, "jvp/loss");
    EvalIn e;

    show(n, a, "tangents");
    diagnostics(ctx, a);
    check(ok && r != UINT32_MAX, "jvp runs", seed);
    if (!ok || r == UINT32_MAX) return;
    e = with_directions(m, n, in, a, seed, &value);
    out = NEW_N(a, const double *, n->graph.at[0]->root.n + 1);
    ok = module_eval(n, a, &e, out);
    check(ok, "jvp evaluates", seed);
    if (!ok) return;
    sum = along(m, n, in, value, out, &scale);
    got = out[r][0];
    ok = fabs(got - sum) <= 1e-11 * (1 + scale) || (!isfinite(got) && !isfinite(sum));
    if (!ok && getenv("SHOW")) printf("forward %.17g, reverse %.17g, scale %.3g\n", got, sum, scale);
    check(ok, "forward = reverse", seed);
}

/* ---- gradients carried forward ------------------------------------------------------------------------------------------------ */

/* Gradients of parameters by `mode` against those of bptt; false if the mode does not suit the module. */
bool check_online(const Module *m, Ctx *ctx, Arena *a, const GenInputs *in, uint64_t seed, GradientMode mode)
{
    Module *x = module_copy(m, a), *y = module_copy(m, a);
    PassOptions back = {.grad = true}, on = {.grad = true, .gradient = mode};
    const double **p, **q;
    double most = 0;
    bool ok = passes_run(x, &back);

    check(ok, "bptt runs", seed);
    if (!ok || !passes_run(y, &on)) {
        bool refused = ok && diag_count(ctx) && diag_at(ctx, 0)->code == 570;
        check(refused, "refused with a reason", seed);
        if (!refused) diagnostics(ctx, a);
        diag_clear(ctx);
        return false;
    }
    show(y, a, "carried forward");
    p = NEW_N(a, const double *, x->graph.at[0]->root.n + 1);
    q = NEW_N(a, const double *, y->graph.at[0]->root.n + 1);
    ok = module_eval(x, a, &in->in, p) && module_eval(y, a, &in->in, q);
    diagnostics(ctx, a);
    for (int pass = 0; ok && pass < 2; pass++)
        for (uint32_t r = 0; r < x->graph.at[0]->root.n; r++) {
            const Root *root = &x->graph.at[0]->root.at[r];
            const Node *n = &x->graph.at[0]->node.at[root->ref];
            if (root->kind != ROOT_GRAD_PARAM && pass == 0) continue;
            for (int64_t k = 0; k < value_size(x, n, in->in.axis); k++) {
                double d = fabs(p[r][k] - q[r][k]);
                if (pass == 0) most = fmax(most, fabs(p[r][k]));
                else if (ok && d > 1e-10 * (1 + most + fabs(p[r][k]))) {
                    if (getenv("SHOW")) printf("root %u [%ld]: %.17g, carried forward %.17g\n", r, (long)k, p[r][k], q[r][k]);
                    ok = false;
                }
            }
        }
    check(ok, gradient_name[mode], seed);
    return true;
}
