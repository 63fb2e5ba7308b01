/* describe: what a model takes, gives and keeps, for rondo.h. */
#include <string.h>

#include "runtime/internal.h"

const char *rondo_name(const rondo_model *m) {
    return m && m->desc ? name_str(m->ctx, m->desc->name) : "";
}

int64_t rondo_weight_count(const rondo_model *m) {
    return m && m->desc ? m->desc->theta_size : 0;
}

/* The i-th time axis whose steps are not fixed, by first appearance among inputs and targets; 0 past the end. */
static Name free_axis(const ModelDesc *d, size_t i, size_t *count) {
    Name seen[MAX_AXES];
    size_t n = 0;
    for (uint32_t k = 0; k < d->input.n + d->target.n; k++) {
        const PortDesc *p = k < d->input.n ? &d->input.at[k] : &d->target.at[k - d->input.n];
        bool known = !p->seq || p->steps;
        for (size_t j = 0; j < n && !known; j++) known = seen[j] == p->axis;
        if (!known && n < MAX_AXES) seen[n++] = p->axis;
    }
    *count = n;
    return i < n ? seen[i] : 0;
}

static size_t count_params(const ModelDesc *d, bool consts) {
    size_t n = 0;
    for (uint32_t i = 0; i < d->param.n; i++) n += d->param.at[i].is_const == consts;
    return n;
}

size_t rondo_count(const rondo_model *m, rondo_kind kind) {
    size_t n = 0;
    if (!m || !m->desc) return 0;
    switch (kind) {
    case RONDO_INPUT: return m->desc->input.n;
    case RONDO_TARGET: return m->desc->target.n;
    case RONDO_OUTPUT: return m->desc->output.n;
    case RONDO_PARAM: return count_params(m->desc, false);
    case RONDO_CONST: return count_params(m->desc, true);
    case RONDO_STATE: return m->desc->state.n;
    case RONDO_METRIC: return metric_count(m);
    case RONDO_LENGTH: free_axis(m->desc, 0, &n); return n;
    }
    return 0;
}

static void lead(rondo_info *info, int64_t n, const char *axis) {
    info->axis[info->rank] = axis;
    info->dim[info->rank++] = n;
}

static void dims(rondo_info *info, int rank, const int32_t *dim) {
    for (int k = 0; k < rank; k++) info->dim[info->rank++] = dim[k];
}

static void kind_of_value(int dtype, int32_t vocab, rondo_info *info) {
    info->vocabulary = vocab;
    if (dtype == DT_I) info->type = RONDO_I32;
    if (dtype == DT_B) info->type = RONDO_U8;
}

static void port(const rondo_model *m, const PortDesc *p, rondo_info *info) {
    info->name = name_str(m->ctx, p->name);
    kind_of_value(p->dtype, p->vocab, info);
    lead(info, RONDO_ANY, "B");
    if (p->seq) lead(info, p->steps ? p->steps : RONDO_ANY, name_str(m->ctx, p->axis));
    dims(info, p->rank, p->dim);
}

static bool no_such(void *arg) {
    const Model *m = arg;
    diag_error(m->ctx, 556, NOWHERE, "'%s' has nothing of this kind and index, or there is no room for its description", name_str(m->ctx, m->desc->name));
    return false;
}

rondo_status rondo_describe(rondo_model *m, rondo_kind kind, size_t i, rondo_info *info) {
    if (!m || !m->desc || !m->desc->name) return RONDO_BAD_USAGE;
    if (!info || i >= rondo_count(m, kind)) return model_guard(m, no_such, m);
    const ModelDesc *d = m->desc;
    size_t n;
    *info = (rondo_info){.kind = kind, .type = m->f64 ? RONDO_F64 : RONDO_F32};
    switch (kind) {
    case RONDO_INPUT: port(m, &d->input.at[i], info); break;
    case RONDO_TARGET: port(m, &d->target.at[i], info); break;
    case RONDO_OUTPUT: port(m, &d->output.at[i], info); break;
    case RONDO_LENGTH:
        info->name = name_str(m->ctx, free_axis(d, i, &n));
        info->type = RONDO_I32;
        lead(info, RONDO_ANY, "B");
        break;
    case RONDO_PARAM:
    case RONDO_CONST:
        for (uint32_t k = 0; k < d->param.n; k++) {
            if (d->param.at[k].is_const != (kind == RONDO_CONST) || i--) continue;
            info->name = name_str(m->ctx, d->param.at[k].name);
            dims(info, d->param.at[k].rank, d->param.at[k].dim);
            break;
        }
        break;
    case RONDO_STATE:
        info->name = name_str(m->ctx, d->state.at[i].name);
        kind_of_value(d->state.at[i].dtype, d->state.at[i].vocab, info);
        lead(info, RONDO_ANY, "B");
        dims(info, d->state.at[i].rank, d->state.at[i].dim);
        break;
    case RONDO_METRIC: info->name = metric_name((Model *)(uintptr_t)m, (uint32_t)i); break;
    }
    return RONDO_OK;
}
