/* cell: an optimizer over the parameter slab, a metric over the rows of a data set: cells of the language, run by the same
   engines as models. A step reads the states in one block of memory and writes them to another, then the blocks swap: the
   kernel may then write in whatever order it likes. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

enum { AXIS_ELEM_INDEX = 1 };

static size_t state_bytes(const CellRun *c, uint32_t k) {
    bool is_int;
    exec_input_data(c->exec, c->in[k], &is_int);
    return (size_t)c->count[k] * (exec_f64(c->exec) && !is_int ? 8 : 4);
}

static bool cell_dims(CellRun *c, int64_t elements) {
    int64_t axis[MAX_AXES] = {0};
    for (uint32_t k = 0; k < c->mod->naxis; k++) axis[k] = 1;
    axis[AXIS_ELEM_INDEX] = elements;
    return exec_dims(c->exec, axis);
}

static bool cell_states(CellRun *c, int64_t elements) {
    Arena *a = &c->m->arena;
    c->n = c->mod->state.n;
    c->in = NEW_N(a, uint32_t, c->n + 1);
    c->root = NEW_N(a, uint32_t, c->n + 1);
    c->count = NEW_N(a, int64_t, c->n + 1);
    c->now = NEW_N(a, void *, c->n + 1);
    c->next = NEW_N(a, void *, c->n + 1);
    for (uint32_t k = 0; k < c->n; k++) {
        const State *s = &c->mod->state.at[k];
        int64_t root = exec_root(c->exec, ROOT_FINAL, k, 0);
        if (!s->input || root < 0) {
            diag_error(c->m->ctx, 999, NOWHERE, "state '%s' of '%s' has no way in or out", name_str(c->m->ctx, s->name),
                       name_str(c->m->ctx, c->mod->name));
            return false;
        }
        c->in[k] = s->input - 1;
        c->root[k] = (uint32_t)root;
        c->count[k] = s->axes & AX(AXIS_ELEM_INDEX) ? elements : 1;
        for (int d = 0; d < s->rank; d++) c->count[k] *= s->dim[d];
        c->now[k] = ctx_alloc(c->m->ctx, state_bytes(c, k) + 128);
        c->next[k] = ctx_alloc(c->m->ctx, state_bytes(c, k) + 128);
    }
    return true;
}

bool cell_make(CellRun *c, Model *m, Module *mod, int64_t elements, bool f64) {
    *c = (CellRun){.m = m, .mod = mod};
    if (!mod) return false;
    ExecOptions o = m->opt.exec;
    o.memory_limit = 0; /* its slabs are in the allowance beside the weights; there is nothing to recompute */
    o.pool = m->pool;
    o.grad = false;
    o.want_input = NULL;
    o.f64 = o.f64 || f64;
    Module *run = module_copy(mod, &m->arena);
    module_keep_roots(run, 1u << ROOT_OUTPUT | 1u << ROOT_FINAL);
    c->exec = exec_make(m->ctx, run, &o, NULL);
    return c->exec && cell_dims(c, elements) && cell_states(c, elements) && cell_reset(c, elements);
}

static void fill(CellRun *c, uint32_t k, const double *v, int64_t n) {
    bool is_int;
    exec_input_data(c->exec, c->in[k], &is_int);
    for (int side = 0; side < 2; side++) {
        void *p = side ? c->next[k] : c->now[k];
        for (int64_t i = 0; i < c->count[k]; i++) {
            double x = v[i % n];
            if (exec_f64(c->exec) && !is_int) ((double *)p)[i] = x;
            else if (is_int) ((int32_t *)p)[i] = (int32_t)x;
            else ((float *)p)[i] = (float)x;
        }
    }
}

bool cell_reset(CellRun *c, int64_t elements) {
    Arena *tmp = scratch_begin(c->m);
    Module *start = module_copy(c->mod, tmp);
    module_keep_roots(start, 1u << ROOT_INIT);
    EvalIn in = {.input = NEW_N(tmp, const double *, start->input.n + 1), .param = NEW_N(tmp, const double *, 1)};
    for (uint32_t k = 0; k < start->naxis; k++) in.axis[k] = 1;
    in.axis[AXIS_ELEM_INDEX] = elements;
    const Graph *g = start->graph.at[0];
    const double **out = NEW_N(tmp, const double *, g->root.n + 1);
    bool ok = module_eval(start, tmp, &in, out);
    for (uint32_t r = 0; ok && r < g->root.n; r++)
        fill(c, g->root.at[r].index, out[r], value_size(start, &g->node.at[g->root.at[r].ref], in.axis));
    scratch_end(c->m);
    return ok;
}

void cell_free(CellRun *c) {
    for (uint32_t k = 0; k < c->n && c->now; k++) {
        ctx_free(c->m->ctx, c->now[k]);
        ctx_free(c->m->ctx, c->next[k]);
    }
    exec_destroy(c->exec);
    *c = (CellRun){0};
}

bool cell_run(CellRun *c, int64_t first, int64_t elements) {
    if (!cell_dims(c, elements)) return false;
    for (uint32_t k = 0; k < c->n; k++) {
        const State *s = &c->mod->state.at[k];
        int64_t offset = s->axes & AX(AXIS_ELEM_INDEX) ? first : 0;
        for (int d = 0; d < s->rank; d++) offset *= s->dim[d];
        size_t bytes = (size_t)offset * (state_bytes(c, k) / (size_t)c->count[k]);
        exec_bind_input(c->exec, c->in[k], (char *)c->now[k] + bytes);
        exec_bind_root(c->exec, c->root[k], (char *)c->next[k] + bytes);
    }
    double none = 0;
    return exec_run(c->exec, &none, 0, NULL, 0, 0, NULL);
}

void cell_swap(CellRun *c) {
    for (uint32_t k = 0; k < c->n; k++) {
        void *t = c->now[k];
        c->now[k] = c->next[k];
        c->next[k] = t;
    }
}

/* ---- optimizers --------------------------------------------------------------------------------------------------------- */

static int64_t input_named(const Module *m, const char *name) {
    for (uint32_t i = 0; i < m->input.n; i++)
        if (strcmp(name_str(m->ctx, m->input.at[i].name), name) == 0) return i;
    return -1;
}

/* One segment for each run of trained parameters that are treated alike. */
static void make_segments(Optimizer *o, Model *m) {
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        const char *name = name_str(m->ctx, p->name);
        Segment s = {.offset = offset, .n = p->count, .lr_scale = train_pattern(m, "lr_scale", name, 1)};
        s.decay = train_pattern(m, "decay", name, 0);
        s.no_decay = train_pattern(m, "no_decay", name, 0) != 0;
        offset += p->count;
        if (p->is_const || !p->count || train_pattern(m, "freeze", name, 0) != 0) continue;
        Segment *last = o->segment.n ? &o->segment.at[o->segment.n - 1] : NULL;
        bool same = last && last->offset + last->n == s.offset && last->lr_scale == s.lr_scale && last->no_decay == s.no_decay;
        if (same && last->decay == s.decay) last->n += s.n;
        else VEC_PUSH(&m->arena, o->segment) = s;
    }
}

bool optimizer_make(Optimizer *o, Model *m, const char *name, const Setting *given) {
    *o = (Optimizer){.m = m};
    Module *mod = frontend_optimizer(m->program, &m->arena, name, given);
    if (!mod || !cell_make(&o->cell, m, mod, m->desc->theta_size > 0 ? m->desc->theta_size : 1, false)) return false;
    int64_t p = input_named(mod, "p"), g = input_named(mod, "g"), out = -1;
    const Module *run = exec_module(o->cell.exec);
    for (uint32_t r = 0; r < run->graph.at[0]->root.n; r++)
        if (run->graph.at[0]->root.at[r].kind == ROOT_OUTPUT) out = r;
    if (p < 0 || g < 0 || out < 0) {
        diag_error(m->ctx, 999, NOWHERE, "optimizer '%s' lacks p, g or p'", name);
        return false;
    }
    o->in_p = (uint32_t)p;
    o->in_g = (uint32_t)g;
    o->root_p = (uint32_t)out;
    o->in_lr = input_named(mod, "lr");
    o->lr = o->in_lr >= 0 ? mod->input.at[o->in_lr].value : NAN;
    o->in_decay = input_named(mod, "decay");
    if (o->in_decay >= 0) o->own_decay = mod->input.at[o->in_decay].value;
    make_segments(o, m);
    o->other = ctx_alloc(m->ctx, (size_t)m->desc->theta_size * (m->f64 ? 8 : 4) + 128);
    return true;
}

void optimizer_free(Optimizer *o) {
    if (!o->m) return;
    cell_free(&o->cell);
    ctx_free(o->m->ctx, o->other);
    *o = (Optimizer){0};
}

/* L2 decay: the gradient of decay / 2 * p^2. */
static void decay_segment(Optimizer *o, const Segment *s, void *grad) {
    for (int64_t i = s->offset; s->decay != 0 && i < s->offset + s->n; i++)
        if (o->m->f64) ((double *)grad)[i] += s->decay * ((double *)o->m->theta)[i];
        else ((float *)grad)[i] += (float)s->decay * ((float *)o->m->theta)[i];
}

bool optimizer_step(Optimizer *o, void *grad, double lr_factor) {
    Model *m = o->m;
    size_t size = m->f64 ? 8 : 4;
    if (o->segment.n != 1 || o->segment.at[0].n != m->desc->theta_size)
        memcpy(o->other, m->theta, (size_t)m->desc->theta_size * size);
    for (uint32_t k = 0; k < o->segment.n; k++) {
        const Segment *s = &o->segment.at[k];
        decay_segment(o, s, grad);
        if (!cell_dims(&o->cell, s->n)) return false;
        exec_bind_input(o->cell.exec, o->in_p, (char *)m->theta + (size_t)s->offset * size);
        exec_bind_input(o->cell.exec, o->in_g, (char *)grad + (size_t)s->offset * size);
        exec_bind_root(o->cell.exec, o->root_p, (char *)o->other + (size_t)s->offset * size);
        if (o->in_lr >= 0) exec_set_scalar(o->cell.exec, (uint32_t)o->in_lr, o->lr * lr_factor * s->lr_scale);
        if (o->in_decay >= 0) exec_set_scalar(o->cell.exec, (uint32_t)o->in_decay, s->no_decay ? 0 : o->own_decay);
        if (!cell_run(&o->cell, s->offset, s->n)) return false;
    }
    cell_swap(&o->cell);
    void *t = m->theta;
    m->theta = o->other;
    o->other = t;
    m->theta_version++;
    return true;
}
