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

/* The real rows of one argument of a metric: [rows, features]. */
static bool metric_rows(Exec *e, uint32_t root, Arena *tmp, Array *out) {
    const Graph *g = exec_module(e)->graph.at[0];
    const Node *n = &g->node.at[g->root.at[root].ref];
    Array x;
    if (!exec_get(e, tmp, root, &x)) return false;
    int64_t B = n->axes & AX(AXIS_B) ? exec_batch(e) : 1, F = node_features(n), X = array_count(&x) / B / F, got = 0;
    *out = (Array){.name = "rows", .type = x.type, .rank = 1 + n->rank, .data = x.data};
    for (int k = 0; k < n->rank; k++) out->dim[k + 1] = n->dim[k];
    size_t bytes = (size_t)F * rondo_type_size(x.type);
    for (int64_t r = 0; r < B * X; r++) { /* the array is this batch's own: padding is closed up in place */
        if (!real_row(e, n, x.dim, r / X, r % X)) continue;
        if (got < r) memcpy((char *)x.data + (size_t)got * bytes, (char *)x.data + (size_t)r * bytes, bytes);
        got++;
    }
    out->dim[0] = got;
    return true;
}

/* Rows [at, at + n) of every argument through the metric. */
static bool metric_chunk(CellRun *c, const Array *arg, uint32_t nargs, int64_t at, int64_t n) {
    int64_t axis[MAX_AXES] = {0};
    for (uint32_t k = 0; k < c->mod->naxis; k++) axis[k] = 1;
    axis[1] = n;
    if (!exec_dims(c->exec, axis)) return false;
    for (uint32_t k = 0; k < nargs; k++) {
        Array x = arg[k];
        int64_t row = x.dim[0] ? array_count(&x) / x.dim[0] : 0;
        x.dim[0] = n;
        x.data = (char *)x.data + (size_t)(at * row) * rondo_type_size(x.type);
        if (!exec_set_input(c->exec, k, &x, NULL)) return false;
    }
    if (!cell_run(c, 0, n)) return false;
    cell_swap(c);
    return true;
}

static bool metric_batch(Model *m, uint32_t i, Exec *e) {
    enum { CHUNK = 1 << 20 }; /* numbers that are copied at a time: a cache's worth */
    uint32_t nargs = m->desc->metric.at[i].nargs < METRIC_ARGS ? m->desc->metric.at[i].nargs : METRIC_ARGS;
    Arena *tmp = scratch_begin(m);
    Array arg[METRIC_ARGS];
    int64_t most = 1;
    bool ok = nargs > 0;
    for (uint32_t k = 0; ok && k < nargs; k++) {
        int64_t root = exec_root(e, ROOT_METRIC, i << 8 | k, 0);
        ok = root >= 0 && metric_rows(e, (uint32_t)root, tmp, &arg[k]);
        if (ok && arg[k].dim[0] != arg[0].dim[0]) {
            diag_error(m->ctx, 999, NOWHERE, "the arguments of a metric differ in their rows");
            ok = false;
        }
        int64_t row = ok && arg[k].dim[0] ? array_count(&arg[k]) / arg[k].dim[0] : 1;
        if (row > most) most = row;
    }
    int64_t rows = ok ? arg[0].dim[0] : 0, chunk = CHUNK / most > 64 ? CHUNK / most : 64;
    for (int64_t at = 0; ok && at < rows; at += chunk) ok = metric_chunk(&m->metric[i], arg, nargs, at, rows - at < chunk ? rows - at : chunk);
    scratch_end(m);
    return ok;
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
    if (!m->streamed) m->streamed = NEW(&m->arena, Windows);
    Windows *w = m->streamed;
    if (w->next) return w;
    windows_free(w); /* what an earlier failure left */
    return windows_make(w, m, 0, &(BuildOptions){.ragged = dataset_ragged(d)}, &d->array, false) ? w : NULL;
}

bool evaluate_set(Model *m, const Dataset *d, int64_t from, int64_t to, double *loss, double *metric) {
    if (!model_need_weights(m)) return false;
    if (to <= from) {
        diag_error(m->ctx, 554, NOWHERE, "there are no examples to evaluate on");
        return false;
    }
    Evaluation v = {.m = m, .d = d, .from = from, .to = to, .metrics = metric != NULL};
    if (d->feed && d->feed->carry) v.windows = streamed(m, d);
    else v.exec = model_exec(m, MODULE_FORWARD, dataset_ragged(d), false);
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
