/* exec_bad: a call has ended in what is no number: which value had it first? */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/exec_int.h"

static const char *bad_weight(const Exec *e, Arena *a, const void *theta) {
    for (uint32_t i = 0; i < e->m->param.n; i++) {
        const Param *p = &e->m->param.at[i];
        int64_t n = 1;
        for (int k = 0; k < p->rank; k++) n *= p->dim[k];
        for (int64_t k = p->offset; k < p->offset + n; k++)
            if (!isfinite(e->f64 ? ((const double *)theta)[k] : (double)((const float *)theta)[k]))
                return arena_printf(a, "the weight '%s'", name_str(e->ctx, p->name));
    }
    return NULL;
}

static const char *bad_input(const Exec *e, Arena *a) {
    for (uint32_t i = 0; i < e->m->input.n; i++) {
        const Slot *s = &e->input[i];
        int64_t n = s->border.B * s->border.X * s->border.F;
        for (int64_t k = 0; s->used && e->m->input.at[i].dtype == DT_F && k < n; k++)
            if (!isfinite(exec_slot_get(s, k)))
                return arena_printf(a, "the input '%s', example %lld", name_str(e->ctx, e->m->input.at[i].name),
                                    s->border.batch ? (long long)e->example64[k / s->border.F % s->border.B] : 0);
    }
    return NULL;
}

/* A buffer as a user knows it: a gradient by its weight, a value by the name it is bound to in the model. */
static const char *buffer_words(const Exec *e, Arena *a, const InterpWatch *w) {
    const LBuf *b = &e->now->p->buf.at[w->buf];
    const char *name = name_str(e->ctx, b->name);
    size_t n = strlen(name), digits = n;
    for (uint32_t i = 0; b->role == LB_GRAD && i < e->m->param.n; i++)
        if (e->m->param.at[i].offset <= w->at && (i + 1 == e->m->param.n || e->m->param.at[i + 1].offset > w->at))
            return arena_printf(a, "the gradient of '%s'", name_str(e->ctx, e->m->param.at[i].name));
    if (b->role == LB_OUTPUT && e->m->graph.at[0]->root.at[b->index].kind == ROOT_LOSS) return "the loss itself";
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9') digits--;
    if (digits > 1 && digits < n && name[digits - 1] == '_') n = digits - 1;
    for (uint32_t k = 0; k < OP_COUNT; k++)
        if (strlen(op_info[k].text) == n && !strncmp(op_info[k].text, name, n))
            return arena_printf(a, "a value without a name, by `%s`", op_info[k].text);
    return arena_printf(a, "what is computed for '%.*s'", (int)n, name);
}

/* ---- by the oracle ------------------------------------------------------------------------------------------------------ */

/* Names and inputs that a value without a name is made of. */
enum { NAMES = 3 };
typedef struct {
    const char *at[NAMES];
    uint32_t n;
} Names;

static void add_name(Names *x, const char *name) {
    for (uint32_t k = 0; k < x->n; k++)
        if (!strcmp(x->at[k], name)) return;
    if (x->n < NAMES) x->at[x->n++] = name;
}

static void names_behind(const Exec *e, const Graph *g, Ref r, Names *x, int depth) {
    const Node *n = &g->node.at[r];
    const Ref *in;
    uint32_t count = node_inputs(g, r, &in);
    if (n->name) add_name(x, name_str(e->ctx, n->name));
    else if (n->op == OP_INPUT) add_name(x, name_str(e->ctx, e->m->input.at[n->attr].name));
    else if (n->op == OP_PARAM) add_name(x, name_str(e->ctx, e->m->param.at[n->attr].name));
    else
        for (uint32_t k = 0; k < count && depth < 8; k++) names_behind(e, g, in[k], x, depth + 1);
}

/* "`add`", or, where that says why, "`log` of -0.2". */
static const char *operation_words(Arena *a, const Node *n, double operand) {
    const char *op = op_info[n->op].text;
    bool domain = n->op == OP_LOG || n->op == OP_LOG1P || n->op == OP_SQRT || n->op == OP_EXP;
    return domain ? arena_printf(a, "`%s` of %.4g", op, operand) : arena_printf(a, "`%s`", op);
}

static const char *origin_words(const Exec *e, Arena *a, const EvalOrigin *o) {
    const Graph *g = o->graph;
    const Node *n = &g->node.at[o->node];
    const char *op = operation_words(a, n, o->operand);
    if (o->root->kind == ROOT_GRAD_PARAM)
        return arena_printf(a, "the gradient of '%s', by %s", name_str(e->ctx, e->m->param.at[o->root->index].name), op);
    if (n->name) return arena_printf(a, "what is computed for '%s', by %s", name_str(e->ctx, n->name), op);
    Names x = {.n = 0};
    Str s = str_make(a);
    names_behind(e, g, o->node, &x, 0);
    str_printf(&s, "a value without a name, by %s", op);
    for (uint32_t k = 0; k < x.n; k++) str_printf(&s, "%s'%s'", k ? ", " : ", from ", x.at[k]);
    return s.at;
}

/* Numbers that an evaluation in f64 holds. */
static double numbers_held(const Exec *e) {
    double held = 0;
    for (uint32_t k = 0; k < e->m->graph.n; k++) {
        const Graph *g = e->m->graph.at[k];
        for (Ref r = 1; r < g->node.n; r++) held += (double)value_size(e->m, &g->node.at[r], e->dim);
    }
    return held;
}

/* The same call by the oracle, in f64: unlike code that is made for speed it has every value of the model, under its name. NULL: nothing was
   found, or it would take too long. */
static const char *by_oracle(Exec *e, Arena *a, const void *theta, uint64_t seed, uint64_t update) {
    Flops f = module_flops(e->m, e->dim);
    if (numbers_held(e) > 3e7 || f.product + f.other > 4e8) return NULL;
    int64_t n = e->m->theta_size;
    double *all = NEW_N(a, double, n + 1);
    const double **param = NEW_N(a, const double *, e->m->param.n + 1), **input = NEW_N(a, const double *, e->m->input.n + 1),
                 **out = NEW_N(a, const double *, e->m->graph.at[0]->root.n + 1);
    for (int64_t i = 0; i < n; i++) all[i] = e->f64 ? ((const double *)theta)[i] : (double)((const float *)theta)[i];
    for (uint32_t i = 0; i < e->m->param.n; i++) param[i] = all + e->m->param.at[i].offset;
    for (uint32_t i = 0; i < e->m->input.n; i++) {
        const Slot *s = &e->input[i];
        int64_t count = s->border.B * s->border.X * s->border.F;
        double *v = NEW_N(a, double, count + 1);
        for (int64_t k = 0; s->used && k < count; k++) v[k] = exec_slot_get(s, k);
        input[i] = v;
    }
    EvalOrigin origin = {.most = e->f64 ? DBL_MAX : (double)FLT_MAX};
    EvalIn in = {.param = param, .input = input, .seed = seed, .update = update, .step = e->dim[LDIM_STEP], .example = e->example64, .origin = &origin};
    memcpy(in.axis, e->dim, sizeof in.axis);
    return module_eval(e->m, a, &in, out) && origin.graph ? origin_words(e, a, &origin) : NULL;
}

const char *exec_first_bad(Exec *e, Arena *a, const void *theta, void *grad) {
    enum { LONGEST = 200000000 }; /* loads and stores: some seconds */
    InterpWatch w = {UINT32_MAX, 0, LONGEST};
    const char *found = bad_input(e, a);
    if (!found) found = bad_weight(e, a, theta);
    if (found || !e->now) return found;
    uint64_t seed = (uint64_t)e->dim[LDIM_SEED_LO] | (uint64_t)e->dim[LDIM_SEED_HI] << 32, update = (uint64_t)e->dim[LDIM_UPDATE];
    found = by_oracle(e, a, theta, seed, update);
    if (found) return found;
    exec_bind_call(e, theta, grad, seed, update);
    InterpOptions o = {.watch = &w};
    bool ok = e->now->prepare < 0 || lprogram_interp(e->now->p, (uint32_t)e->now->prepare, e->now->buf, e->dim, NULL, &o);
    if (ok) lprogram_interp(e->now->p, (uint32_t)e->now->run, e->now->buf, e->dim, NULL, &o);
    e->packed = false;
    return w.buf == UINT32_MAX ? NULL : buffer_words(e, a, &w);
}
