/* bind: which array is meant for which input, and the sizes of the axes that the arrays decide. */
#include <string.h>

#include "runtime/feed.h"

#define NAME_MAX_BYTES 512

static const Array *find2(const Arrays *s, const char *prefix, const char *name) {
    char key[NAME_MAX_BYTES];
    int n = snprintf(key, sizeof key, "%s%s", prefix, name);
    return n > 0 && (size_t)n < sizeof key ? arrays_find(s, key) : NULL;
}

static bool is_data_name(const Module *m, Name name) {
    for (uint32_t i = 0; i < m->input.n; i++)
        if (m->input.at[i].kind == INPUT_DATA && m->input.at[i].name == name) return true;
    return false;
}

/* A length is given under its axis's name, or under the name of an input (or target) along that axis. */
static const Array *find_length(const Module *m, uint32_t i, const Arrays *in) {
    const Array *x = find2(in, "length/", name_str(m->ctx, m->input.at[i].name));
    for (uint32_t k = 1; !x && k < m->naxis; k++) {
        if (m->axis[k].length != i + 1) continue;
        x = find2(in, "length/", name_str(m->ctx, m->axis[k].name));
        for (uint32_t j = 0; !x && j < m->input.n; j++) {
            const Input *p = &m->input.at[j];
            if ((p->kind == INPUT_DATA || p->kind == INPUT_TARGET) && p->axes & AX(k))
                x = find2(in, "length/", name_str(m->ctx, p->name));
        }
    }
    return x;
}

const Array *exec_find_input(const Module *m, uint32_t i, const Arrays *in) {
    const Input *p = &m->input.at[i];
    const char *name = name_str(m->ctx, p->name);
    const Array *x = NULL;
    switch ((InputKind)p->kind) {
    case INPUT_DATA: x = find2(in, "input/", name); return x ? x : find2(in, "", name);
    case INPUT_TARGET: x = find2(in, "target/", name); return x || is_data_name(m, p->name) ? x : find2(in, "", name);
    case INPUT_STATE: return find2(in, "init/", name);
    case INPUT_LENGTH: return find_length(m, i, in);
    case INPUT_SCALAR: return find2(in, "", name);
    }
    return NULL;
}

bool arrays_ragged(const Arrays *in) {
    for (uint32_t i = 0; i < in->array.n; i++)
        if (strncmp(in->array.at[i].name, "length/", 7) == 0) return true;
    return false;
}

/* Takes the sizes of leading axes from one array. from[k]: which array said so, for the message. */
static bool take_axes(const Module *m, const Input *p, const Array *x, int64_t *axis, const char **from) {
    int at = 0;
    for (uint32_t k = 0; k < m->naxis; k++) {
        if (!(p->axes & AX(k))) continue;
        if (at >= x->rank) {
            diag_error(m->ctx, 606, NOWHERE, "the array '%s' has %d dimensions, too few for its axes", x->name, x->rank);
            return false;
        }
        int64_t n = x->dim[at++];
        if (axis[k] && axis[k] != n) {
            diag_error(m->ctx, 613, NOWHERE, "'%s' has %lld %s where '%s' has %lld", x->name, (long long)n,
                       k ? "steps" : "examples", from[k], (long long)axis[k]);
            return false;
        }
        axis[k] = n;
        from[k] = x->name;
    }
    return true;
}

bool exec_axes_from(const Module *m, const Arrays *in, int64_t *axis) {
    const char *from[MAX_AXES] = {0};
    memset(axis, 0, MAX_AXES * sizeof *axis);
    for (uint32_t k = 1; k < m->naxis; k++)
        if (m->axis[k].kind == AXIS_COUNT) {
            axis[k] = m->axis[k].count;
            from[k] = "the model";
        }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        const Array *x = exec_find_input(m, i, in);
        /* one initial state for all examples may come without B */
        if (x && p->kind == INPUT_STATE && x->rank == p->rank) continue;
        if (x && !take_axes(m, p, x, axis, from)) return false;
    }
    for (uint32_t k = 0; k < m->naxis; k++)
        if (!axis[k]) axis[k] = 1;
    return true;
}

static const char *kind_name(InputKind k) {
    switch (k) {
    case INPUT_DATA: return "input";
    case INPUT_TARGET: return "target";
    case INPUT_STATE: return "initial state";
    case INPUT_LENGTH: return "length";
    case INPUT_SCALAR: return "number";
    }
    return "input";
}

static bool missing(const Module *m, const Input *p, const Arrays *in) {
    diag_error(m->ctx, 605, (Span){p->span, p->span}, "there is no array for the %s '%s'", kind_name((InputKind)p->kind),
               name_str(m->ctx, p->name));
    Str s = str_make(ctx_arena(m->ctx));
    uint32_t shown = 0;
    for (uint32_t i = 0; i < in->array.n && shown < 12; i++)
        if (!strchr(in->array.at[i].name, '/') || strncmp(in->array.at[i].name, "input/", 6) == 0 ||
            strncmp(in->array.at[i].name, "target/", 7) == 0)
            str_printf(&s, "%s'%s'", shown++ ? ", " : "", in->array.at[i].name);
    if (shown) diag_help(m->ctx, NOWHERE, "the arrays given are %s", s.at);
    return false;
}

/* ---- memory of the caller ----------------------------------------------------------------------------------------------- */

static bool in_place(const Exec *e, uint32_t axes, int rank, const int32_t *dim, DType kind, const Array *x) {
    Border b;
    return kind == DT_F && x->type == (exec_f64(e) ? RONDO_F64 : RONDO_F32) && border_make(axes, rank, dim, exec_dim(e), &b) &&
           border_same(&b, x);
}

static bool overlap(const Array *a, const Array *b) {
    uintptr_t x = (uintptr_t)a->data, y = (uintptr_t)b->data;
    return x < y + (uintptr_t)array_count(b) * rondo_type_size(b->type) && y < x + (uintptr_t)array_count(a) * rondo_type_size(a->type);
}

void exec_write_to(Exec *e, uint32_t r, const Array *out, const Arrays *in) {
    const Graph *g = exec_module(e)->graph.at[0];
    const Node *n = &g->node.at[g->root.at[r].ref];
    bool own = in_place(e, n->axes, n->rank, n->dim, (DType)n->dtype, out);
    for (uint32_t i = 0; own && i < in->array.n; i++) own = !overlap(out, &in->array.at[i]);
    if (own) exec_bind_root(e, r, out->data);
}

/* What an earlier call bound. */
static void unbind(Exec *e) {
    for (uint32_t i = 0; i < exec_module(e)->input.n; i++) exec_bind_input(e, i, NULL);
    for (uint32_t r = 0; r < exec_module(e)->graph.at[0]->root.n; r++) exec_bind_root(e, r, NULL);
}

static bool set_one(Exec *e, uint32_t i, const Array *x) {
    const Input *p = &exec_module(e)->input.at[i];
    if (x && in_place(e, p->axes, p->rank, p->dim, (DType)p->dtype, x)) {
        exec_bind_input(e, i, x->data);
        return true;
    }
    if (!x || p->kind != INPUT_STATE || x->rank != p->rank || !(p->axes & AX(AXIS_B))) return exec_set_input(e, i, x, NULL);
    /* [features] for every example: a row per example out of the one there is */
    Array row = *x;
    row.rank = x->rank + 1;
    for (int k = x->rank; k > 0; k--) row.dim[k] = x->dim[k - 1];
    row.dim[0] = 1;
    return exec_set_input(e, i, &row, NULL);
}

bool exec_set_inputs(Exec *e, const Arrays *in, uint32_t need) {
    const Module *m = exec_module(e);
    unbind(e);
    for (int lengths = 1; lengths >= 0; lengths--) /* lengths first: the rest is checked with them */
        for (uint32_t i = 0; i < m->input.n; i++) {
            const Input *p = &m->input.at[i];
            if ((p->kind == INPUT_LENGTH) != lengths) continue;
            const Array *x = exec_find_input(m, i, in);
            if (!x && need & 1u << p->kind && exec_uses_input(e, i)) return missing(m, p, in);
            if (!set_one(e, i, x)) return false;
        }
    return true;
}

bool run_exec(Model *m, Exec *e, const Arrays *in, uint32_t need, uint64_t update, void *grad) {
    int64_t axis[MAX_AXES];
    return model_need_weights(m) && exec_axes_from(exec_module(e), in, axis) && exec_dims(e, axis) &&
           exec_set_inputs(e, in, need) && exec_run(e, m->theta, m->theta_version, grad, m->seed, update, NULL);
}

/* ---- batches of a data set ---------------------------------------------------------------------------------------------- */

bool exec_set_batch(Exec *e, const Batch *d, int64_t B) {
    const Module *m = exec_module(e);
    int64_t axis[MAX_AXES];
    if (!exec_axes_from(m, &d->array, axis)) return false;
    axis[AXIS_B] = B;
    if (!exec_dims(e, axis)) return false;
    unbind(e);
    for (int lengths = 1; lengths >= 0; lengths--)
        for (uint32_t i = 0; i < m->input.n; i++) {
            const Input *p = &m->input.at[i];
            if ((p->kind == INPUT_LENGTH) != lengths) continue;
            const Array *x = exec_find_input(m, i, &d->array);
            if (!x && (p->kind == INPUT_DATA || p->kind == INPUT_TARGET) && exec_uses_input(e, i)) return missing(m, p, &d->array);
            if (!exec_set_input(e, i, x, x ? d->row : NULL)) return false;
        }
    return true;
}
