/* evaluate: mean loss over examples, and metrics: cells scanned over all real rows of a data set, their states carried from
   batch to batch. */
#include <math.h>
#include <string.h>

#include "runtime/feed.h"

enum { METRIC_ARGS = 8 };

double batch_weight(const Model *m, const Exec *e) {
    const Module *mod = exec_module(e);
    int64_t B = exec_batch(e), rows = 0;
    bool per_step = false;
    for (uint32_t i = 0; i < m->desc->loss.n; i++) per_step = per_step || m->desc->loss.at[i].kind == LOSS_PER_STEP;
    for (uint32_t k = 1; per_step && k < mod->naxis; k++) {
        if (mod->axis[k].kind != AXIS_TIME || !mod->axis[k].ragged) continue;
        for (int64_t b = 0; b < B; b++) rows += exec_axis_length(e, k, b);
        return (double)rows;
    }
    return (double)B;
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------ */

static bool metric_cells(Model *m) {
    if (!m->metric) m->metric = NEW_N(&m->arena, CellRun, m->desc->metric.n + 1);
    for (uint32_t i = 0; i < m->desc->metric.n; i++) {
        if (m->metric[i].ready) continue;
        cell_free(&m->metric[i]); /* what an earlier failure left */
        if (!cell_make(&m->metric[i], m, frontend_metric(m->program, &m->arena, i), 1)) return false;
        m->metric[i].ready = true;
    }
    return true;
}

/* Is row (b, x) of an array with these leading axes real? */
static bool real_row(const Exec *e, const Node *n, const int64_t *dim, int64_t b, int64_t x) {
    int lead = 0;
    uint32_t axis[MAX_AXES];
    for (uint32_t k = 0; k < MAX_AXES; k++)
        if (n->axes & AX(k)) axis[lead++] = k;
    for (int k = lead - 1; k >= 0; k--) {
        if (axis[k] == AXIS_B) continue;
        if (x % dim[k] >= exec_axis_length(e, axis[k], b)) return false;
        x /= dim[k];
    }
    return true;
}

/* Hands the rows of one batch to argument `arg` of a metric; *rows: how many (set by the first argument). */
static bool metric_argument(Model *m, CellRun *c, Exec *e, uint32_t root, uint32_t arg, Arena *tmp, int64_t *rows) {
    const Graph *g = exec_module(e)->graph.at[0];
    const Node *n = &g->node.at[g->root.at[root].ref];
    Array x;
    if (!exec_get(e, tmp, root, &x)) return false;
    int64_t B = n->axes & AX(AXIS_B) ? exec_batch(e) : 1, all = array_count(&x), F = node_features(n), X = all / B / F, got = 0;
    Array dense = x;
    int64_t dim[RONDO_MAX_RANK];
    Arrays keep = {0};
    int rank = 0;
    dim[rank++] = B * X;
    for (int k = 0; k < n->rank; k++) dim[rank++] = n->dim[k];
    Array *y = arrays_add(tmp, &keep, "rows", x.type, rank, dim);
    if (!y) return false;
    size_t bytes = (size_t)F * rondo_type_size(x.type);
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0; t < X; t++)
            if (real_row(e, n, x.dim, b, t)) memcpy((char *)y->data + (size_t)got++ * bytes, (char *)dense.data + (size_t)(b * X + t) * bytes, bytes);
    y->dim[0] = got;
    if (arg == 0) {
        int64_t axis[MAX_AXES] = {0};
        for (uint32_t k = 0; k < c->mod->naxis; k++) axis[k] = 1;
        axis[1] = got;
        *rows = got;
        if (!exec_dims(c->exec, axis)) return false;
    } else if (got != *rows) {
        diag_error(m->ctx, 999, NOWHERE, "the arguments of a metric differ in their rows");
        return false;
    }
    return exec_set_input(c->exec, arg, y, NULL);
}

static bool metric_batch(Model *m, uint32_t i, Exec *e) {
    CellRun *c = &m->metric[i];
    Arena *tmp = scratch_begin(m);
    int64_t rows = 0;
    bool ok = true;
    for (uint32_t arg = 0; ok && arg < m->desc->metric.at[i].nargs && arg < METRIC_ARGS; arg++) {
        int64_t root = exec_root(e, ROOT_METRIC, i << 8 | arg, 0);
        ok = root >= 0 && metric_argument(m, c, e, (uint32_t)root, arg, tmp, &rows);
    }
    scratch_end(m);
    if (!ok || !cell_run(c, 0, rows)) return false;
    cell_swap(c);
    return true;
}

static double metric_value(const CellRun *c) {
    int64_t r = -1;
    const Graph *g = exec_module(c->exec)->graph.at[0];
    for (uint32_t k = 0; k < g->root.n; k++)
        if (g->root.at[k].kind == ROOT_OUTPUT) r = k;
    return r < 0 ? NAN : exec_get_scalar(c->exec, (uint32_t)r);
}

/* ---- the data set ------------------------------------------------------------------------------------------------------- */

typedef struct {
    Model *m;
    const Dataset *d;
    Exec *exec; /* NULL: windows that go on from each other */
    Windows *windows;
    Batch batch;
    int64_t from, to, size; /* examples; of a batch */
    int64_t *example;
    bool metrics;
    double loss;
} Evaluation;

/* The Exec with the next B examples in it. */
static Exec *set_batch(Evaluation *v, int64_t at, int64_t B) {
    for (int64_t b = 0; b < B; b++) v->example[b] = at + b;
    if (!batch_fill(&v->batch, v->m->ctx, v->d, B, v->example)) return NULL;
    if (v->exec) return exec_set_batch(v->exec, &v->batch, B) ? v->exec : NULL;
    bool ok = windows_begin(v->windows, &v->batch.array, B, v->batch.row, v->example, at > v->from);
    return ok ? windows_set(v->windows, 0) : NULL;
}

/* In windows of one length a short one counts less. */
static double weight_of(const Evaluation *v, const Exec *e) {
    double w = batch_weight(v->m, e);
    return v->d->feed && !dataset_ragged(v->d) && v->batch.padded ? w * (double)v->batch.padded / (double)exec_batch(e) : w;
}

static bool evaluate_batches(void *arg) {
    Evaluation *v = arg;
    Model *m = v->m;
    double sum = 0, weight = 0;
    int64_t root = -1;
    for (int64_t at = v->from; at < v->to;) {
        int64_t B = v->to - at < v->size ? v->to - at : v->size;
        Exec *e = set_batch(v, at, B);
        if (!e || !exec_run(e, m->theta, m->theta_version, NULL, m->seed, 0, v->example)) return false;
        double w = weight_of(v, e);
        root = exec_root(e, ROOT_LOSS, 0, 0);
        if (root >= 0) sum += w * exec_get_scalar(e, (uint32_t)root);
        weight += w;
        for (uint32_t i = 0; v->metrics && i < m->desc->metric.n; i++)
            if (!metric_batch(m, i, e)) return false;
        if (!v->exec && !windows_done(v->windows, e)) return false;
        at += B;
    }
    v->loss = root >= 0 && weight > 0 ? sum / weight : NAN;
    return true;
}

/* The modules that carry states on are made once for a model. */
static Windows *streamed(Model *m, const Dataset *d) {
    if (m->streamed) return m->streamed;
    Windows *w = NEW(&m->arena, Windows);
    if (!windows_make(w, m, 0, &(BuildOptions){.ragged = dataset_ragged(d)}, &d->array, false)) {
        windows_free(w);
        return NULL;
    }
    return m->streamed = w;
}

bool evaluate_set(Model *m, const Dataset *d, int64_t from, int64_t to, double *loss, double *metric) {
    if (!model_need_weights(m)) return false;
    if (to <= from) {
        diag_error(m->ctx, 554, NOWHERE, "there are no examples to evaluate on");
        return false;
    }
    Evaluation v = {.m = m, .d = d, .from = from, .to = to, .metrics = metric != NULL};
    if (d->feed && d->feed->carry) v.windows = streamed(m, d);
    else v.exec = model_exec(m, MODULE_FORWARD, dataset_ragged(d));
    if ((!v.exec && !v.windows) || (metric && !metric_cells(m))) return false;
    for (uint32_t i = 0; metric && i < m->desc->metric.n; i++)
        if (!cell_reset(&m->metric[i], 1)) return false;
    double batch = train_number(m, "batch");
    v.size = batch >= 1 && batch < 1e6 ? (int64_t)batch : 32;
    v.example = NEW_N(scratch_begin(m), int64_t, v.size);
    int ok = guard_call(m->ctx, evaluate_batches, &v);
    batch_free(&v.batch);
    if (ok < 0) ctx_out_of_memory(m->ctx);
    scratch_end(m);
    if (loss) *loss = v.loss;
    for (uint32_t i = 0; ok && metric && i < m->desc->metric.n; i++) metric[i] = metric_value(&m->metric[i]);
    return ok;
}
