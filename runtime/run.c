/* run: arrays in, arrays out, under the names of `rondo run`. */
#include <string.h>

#include "runtime/internal.h"

typedef struct {
    Model *m;
    RunOptions *o;
    const Arrays *in;
    Arena *a;
    Arrays *out;
    Module *built;
    Exec *exec;
    Optimizer opt;
    void *grad, *saved;
    Windows *windows; /* with the key bptt */
    double *sum; /* of the windows' gradients */
} Run;

static bool has_targets(const Module *m, const Arrays *in) {
    for (uint32_t i = 0; i < m->input.n; i++)
        if (m->input.at[i].kind == INPUT_TARGET && !exec_find_input(m, i, in)) return false;
    return true;
}

/* The direction of jvp: which parameters and inputs it moves. An array that belongs to nothing is an error. */
static bool run_direction(Run *r, const Module *m, ExecOptions *o) {
    Ctx *ctx = r->m->ctx;
    bool *param = NEW_N(r->a, bool, m->param.n + 1), *input = NEW_N(r->a, bool, m->input.n + 1), any = false;
    const char **name = NEW_N(r->a, const char *, m->param.n + m->input.n + 1);
    bool **flag = NEW_N(r->a, bool *, m->param.n + m->input.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->param.n; i++, n++) {
        name[n] = arena_printf(r->a, "tangent/param/%s", name_str(ctx, m->param.at[i].name));
        flag[n] = &param[i];
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        InputKind k = (InputKind)m->input.at[i].kind;
        if (m->input.at[i].dtype != DT_F || (k != INPUT_DATA && k != INPUT_STATE)) continue;
        const char *kind = m->input.at[i].kind == INPUT_STATE ? "init" : "input";
        name[n] = arena_printf(r->a, "tangent/%s/%s", kind, name_str(ctx, m->input.at[i].name));
        flag[n++] = &input[i];
    }
    for (uint32_t i = 0; i < r->in->array.n; i++) {
        const char *given = r->in->array.at[i].name;
        uint32_t k = 0;
        if (strncmp(given, "tangent/", 8) != 0) continue;
        while (k < n && strcmp(name[k], given) != 0) k++;
        if (k == n) {
            diag_error(ctx, 605, NOWHERE, "'%s' is a direction for nothing that '%s' has", given, name_str(ctx, m->name));
            const char *near = nearest_name(given, name, n);
            if (near) diag_help(ctx, NOWHERE, "did you mean '%s'? A state needs its value, init/NAME, too", near);
            return false;
        }
        *flag[k] = any = true;
    }
    if (!any) {
        diag_error(ctx, 605, NOWHERE, "jvp needs a direction: arrays tangent/param/NAME, tangent/input/NAME or tangent/init/NAME");
        return false;
    }
    o->jvp = true;
    o->tangent_param = param;
    o->tangent_input = input;
    return true;
}

/* Arrays that are meant for the model, by their names, and belong to nothing that it has: probably misspelt. */
static void tell_strangers(Run *r, const Module *m) {
    static const char *const kind[] = {"input", "target", "init", "length", "param", "const"};
    Ctx *ctx = r->m->ctx;
    VEC(const char *) known = {0};
    for (uint32_t i = 0; i < m->param.n; i++)
        for (int k = 4; k < 6; k++) VEC_PUSH(r->a, known) = arena_printf(r->a, "%s/%s", kind[k], name_str(ctx, m->param.at[i].name));
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *x = &m->input.at[i];
        int k = x->kind == INPUT_DATA ? 0 : x->kind == INPUT_TARGET ? 1 : x->kind == INPUT_STATE ? 2 : 3;
        VEC_PUSH(r->a, known) = arena_printf(r->a, "%s/%s", kind[k], name_str(ctx, x->name));
        if (k < 2) VEC_PUSH(r->a, known) = arena_printf(r->a, "length/%s", name_str(ctx, x->name));
    }
    for (uint32_t i = 0; i < r->in->array.n; i++) {
        const char *name = r->in->array.at[i].name, *slash = strchr(name, '/');
        uint32_t k = 0, n = 0;
        while (slash && k < 6 && (strncmp(name, kind[k], (size_t)(slash - name)) != 0 || kind[k][slash - name])) k++;
        while (n < known.n && strcmp(known.at[n], name) != 0) n++;
        if (!slash || k == 6 || n < known.n) continue;
        diag_warning(ctx, 607, NOWHERE, "'%.100s' is nothing that '%s' has", name, name_str(ctx, m->name));
        const char *near = nearest_name(name, known.at, known.n);
        if (near) diag_help(ctx, NOWHERE, "did you mean '%s'?", near);
    }
}

/* The module of this run: lengths if some are given, states from outside if they are given, gradients of all that is given. */
static bool run_build(Run *r) {
    Model *m = r->m;
    bool grad = r->o->grad || r->o->adam;
    BuildOptions bo = {.training = grad, .external_states = true, .moved_states = r->o->moved, .ragged = arrays_ragged(r->in)};
    double window = train_number(m, "bptt");
    if (grad && window >= 1 && !r->o->whole) {
        r->windows = NEW(r->a, Windows);
        r->sum = NEW_N(r->a, double, m->desc->theta_size + 1);
        if (!windows_make(r->windows, m, (int64_t)window, &bo, r->in, r->o->grad, false)) return false;
        grad = false;
    }
    Module *all = frontend_model(m->program, r->a, &bo);
    if (!all) return false;
    tell_strangers(r, all);
    bool *given = NEW_N(r->a, bool, all->state.n + 1), *want = NEW_N(r->a, bool, all->input.n + 1);
    for (uint32_t k = 0; k < all->state.n; k++) {
        uint32_t input = all->state.at[k].input;
        given[k] = input && exec_find_input(all, input - 1, r->in);
        if (input) want[input - 1] = given[k];
    }
    for (uint32_t i = 0; i < all->input.n; i++)
        if (all->input.at[i].kind == INPUT_DATA) want[i] = all->input.at[i].dtype == DT_F && !m->opt.exec.gradient;
    r->built = bind_states(all, r->a, given);
    uint32_t roots = 1u << ROOT_OUTPUT | 1u << ROOT_FINAL;
    if (!r->windows && (grad || has_targets(r->built, r->in))) roots |= 1u << ROOT_LOSS;
    module_keep_roots(r->built, roots);
    ExecOptions o = m->opt.exec;
    o.pool = m->pool;
    o.grad = grad;
    o.want_input = r->o->grad && !r->windows ? want : NULL;
    if (r->o->jvp && !run_direction(r, r->built, &o)) return false;
    r->exec = exec_make(m->ctx, r->built, &o, NULL);
    if (r->exec) r->o->inexact = exec_stats(r->exec).inexact_gradient;
    return r->exec != NULL;
}

static bool put(Run *r, uint32_t root, const char *prefix, Name name) {
    Array x;
    if (!exec_get(r->exec, r->a, root, &x)) return false;
    x.name = arena_printf(r->a, "%s%s", prefix, name ? name_str(r->m->ctx, name) : "");
    VEC_PUSH(r->a, r->out->array) = x;
    return true;
}

static void put_params(Run *r, const char *prefix, const void *slab) {
    Model *m = r->m;
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        int64_t dim[MAX_RANK];
        for (int k = 0; k < p->rank; k++) dim[k] = p->dim[k];
        if (!p->is_const) {
            Array *x = arrays_add(r->a, r->out, arena_printf(r->a, "%s%s", prefix, name_str(m->ctx, p->name)),
                                  m->f64 ? RONDO_F64 : RONDO_F32, p->rank, dim);
            size_t size = m->f64 ? 8 : 4;
            if (x) memcpy(x->data, (const char *)slab + (size_t)offset * size, (size_t)p->count * size);
        }
        offset += p->count;
    }
}

static bool run_results(Run *r) {
    const Module *mod = exec_module(r->exec);
    const Graph *g = mod->graph.at[0];
    for (uint32_t k = 0; k < g->root.n; k++) {
        const Root *x = &g->root.at[k];
        bool ok = true;
        if (x->kind == ROOT_OUTPUT) ok = put(r, k, "output/", x->name);
        else if (x->kind == ROOT_FINAL) ok = put(r, k, "final/", mod->state.at[x->index].name);
        else if (x->kind == ROOT_LOSS) ok = put(r, k, "loss", 0);
        else if (x->kind == ROOT_VALUE) ok = put(r, k, "", x->name);
        else if (x->kind == ROOT_GRAD_INPUT && r->o->grad)
            ok = put(r, k, mod->input.at[x->index].kind == INPUT_STATE ? "grad/init/" : "grad/input/", mod->input.at[x->index].name);
        if (!ok) return false;
    }
    if (r->o->grad) put_params(r, "grad/param/", r->grad);
    return true;
}

/* ---- windows ------------------------------------------------------------------------------------------------------------ */

/* Whole gradients of the inputs, of the window just run; the first window makes the arrays. */
static bool add_input_grads(Run *r, Exec *e, double f) {
    const Module *mod = exec_module(e);
    const Graph *g = mod->graph.at[0];
    for (uint32_t k = 0; k < g->root.n; k++) {
        if (g->root.at[k].kind != ROOT_GRAD_INPUT) continue;
        uint32_t i = g->root.at[k].index;
        const Array *given = exec_find_input(mod, i, r->in);
        const char *prefix = mod->input.at[i].kind == INPUT_STATE ? "grad/init/" : "grad/input/";
        const char *name = arena_printf(r->a, "%s%s", prefix, name_str(r->m->ctx, mod->input.at[i].name));
        Array part, *whole = arrays_find(r->out, name);
        if (!exec_get(e, r->a, k, &part)) return false;
        if (!whole && given) whole = arrays_add(r->a, r->out, name, r->m->f64 ? RONDO_F64 : RONDO_F32, given->rank, given->dim);
        if (whole) windows_add_grad(r->windows, e, i, &part, f, whole);
    }
    return true;
}

/* Loss and gradients at fixed parameters: the mean over the windows. inputs: into r->out too. */
static bool run_windows(Run *r, uint64_t update, bool inputs, double *loss) {
    Model *m = r->m;
    Windows *w = r->windows;
    if (!windows_begin(w, r->in, 0, NULL, NULL, false)) return false;
    int64_t n = m->desc->theta_size;
    double f = 1 / (double)w->count;
    memset(r->sum, 0, (size_t)n * sizeof *r->sum);
    *loss = 0;
    for (int64_t k = 0; k < w->count; k++) {
        Exec *e = windows_set(w, k);
        if (!e || !exec_run(e, m->theta, m->theta_version, r->grad, m->seed, update + (uint64_t)k, w->id)) return false;
        *loss += exec_get_scalar(e, (uint32_t)exec_root(e, ROOT_LOSS, 0, 0)) * f;
        for (int64_t i = 0; i < n; i++) r->sum[i] += f * (m->f64 ? ((double *)r->grad)[i] : (double)((float *)r->grad)[i]);
        if ((inputs && !add_input_grads(r, e, f)) || !windows_done(w, e)) return false;
    }
    for (int64_t i = 0; i < n; i++)
        if (m->f64) ((double *)r->grad)[i] = r->sum[i];
        else ((float *)r->grad)[i] = (float)r->sum[i];
    return true;
}

static bool windows_results(Run *r) {
    double loss;
    if (!run_windows(r, r->o->update, r->o->grad, &loss)) return false;
    Array *x = arrays_add(r->a, r->out, "loss", r->m->f64 ? RONDO_F64 : RONDO_F32, 0, NULL);
    if (x) array_set(x, 0, loss);
    return x != NULL;
}

static bool run_once(Run *r, uint64_t update, double *loss) {
    Model *m = r->m;
    if (r->windows) return run_windows(r, update, false, loss);
    if (!exec_run(r->exec, m->theta, m->theta_version, r->grad, m->seed, update, NULL)) return false;
    *loss = exec_get_scalar(r->exec, (uint32_t)exec_root(r->exec, ROOT_LOSS, 0, 0));
    return true;
}

/* Five full-batch steps of Adam: lr 1e-2, b1 .9, b2 .999, eps 1e-7, whatever the train block says. */
static bool run_adam(Run *r) {
    enum { STEPS = 5 };
    static const struct {
        const char *name;
        double value;
    } setting[] = {{"lr", 1e-2}, {"b1", 0.9}, {"b2", 0.999}, {"eps", 1e-7}};
    Model *m = r->m;
    Setting *item = NEW_N(r->a, Setting, 4);
    Name *arg = NEW_N(r->a, Name, 4);
    for (int k = 0; k < 4; k++) {
        item[k] = (Setting){.kind = SET_NUMBER, .number = setting[k].value};
        arg[k] = intern(m->ctx, setting[k].name);
    }
    Setting given = {.kind = SET_CALL, .name = intern(m->ctx, "adam"), .n = 4, .item = item, .arg = arg};
    int64_t dim = STEPS + 1;
    Array *loss = arrays_add(r->a, r->out, "adam/loss", m->f64 ? RONDO_F64 : RONDO_F32, 1, &dim);
    if (!loss || !optimizer_make(&r->opt, m, "adam", &given)) return false;
    r->opt.lr = 1e-2;
    /* the train block's decay, freeze and lr_scale do not count here */
    r->opt.segment.n = 0;
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; offset += m->desc->param.at[i].count, i++)
        if (!m->desc->param.at[i].is_const)
            VEC_PUSH(r->a, r->opt.segment) = (Segment){.offset = offset, .n = m->desc->param.at[i].count, .lr_scale = 1};
    for (int k = 0; k <= STEPS; k++) {
        double v;
        if (!run_once(r, (uint64_t)k, &v)) return false;
        array_set(loss, k, v);
        if (k < STEPS && !optimizer_step(&r->opt, r->grad, 1)) return false;
    }
    put_params(r, "adam/param/", m->theta);
    return true;
}

static bool run_all(void *arg) {
    Run *r = arg;
    Model *m = r->m;
    bool grad = r->o->grad || r->o->adam;
    size_t bytes = (size_t)m->desc->theta_size * (m->f64 ? 8 : 4);
    if (!weights_from_arrays(m, r->in, !m->ready)) return false;
    if (grad && !m->desc->loss.n) {
        diag_error(m->ctx, 551, m->desc->span, "'%s' has no loss, so there are no gradients", name_str(m->ctx, m->desc->name));
        return false;
    }
    if (!run_build(r)) return false;
    r->grad = ctx_alloc(m->ctx, bytes + 128);
    uint32_t need = 1u << INPUT_DATA | (grad && !r->windows ? 1u << INPUT_TARGET : 0);
    if (!run_exec(m, r->exec, r->in, need, r->o->update, r->grad)) return false;
    if ((r->windows && !windows_results(r)) || !run_results(r)) return false;
    if (!r->o->adam) return true;
    r->saved = ctx_alloc(m->ctx, bytes + 1);
    memcpy(r->saved, m->theta, bytes);
    bool ok = run_adam(r);
    memcpy(m->theta, r->saved, bytes);
    m->theta_version++;
    return ok;
}

bool run_arrays(Model *m, RunOptions *o, const Arrays *in, Arena *a, Arrays *out) {
    Run r = {.m = m, .o = o, .in = in, .a = a, .out = out};
    int got = guard_call(m->ctx, run_all, &r);
    optimizer_free(&r.opt);
    exec_destroy(r.exec);
    if (r.windows) windows_free(r.windows);
    ctx_free(m->ctx, r.grad);
    ctx_free(m->ctx, r.saved);
    if (got < 0) ctx_out_of_memory(m->ctx);
    return got;
}
