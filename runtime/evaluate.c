/* evaluate: mean loss over examples, and metrics (metric.c). */
#include <math.h>

#include "runtime/feed.h"

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

/* ---- the data set ------------------------------------------------------------------------------------------------------- */

typedef struct {
    Model *m;
    const Dataset *d;
    Exec *exec; /* NULL: windows that go on from each other */
    Windows *windows;
    Batch batch;
    int64_t from, to, size; /* examples; of a batch */
    int64_t *example;
    Metrics *metrics; /* NULL: none are wanted */
    double *metric;
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
        if (v->metrics && !metrics_batch(v->metrics, e)) return false;
        if (!v->exec && !windows_done(v->windows, e)) return false;
        at += B;
    }
    v->loss = root >= 0 && weight > 0 ? sum / weight : NAN;
    return !v->metrics || metrics_end(v->metrics, v->metric);
}

/* The modules that carry states on are made once for a model. */
static Windows *streamed(Model *m, const Dataset *d) {
    if (!m->streamed) m->streamed = NEW(&m->arena, Windows);
    Windows *w = m->streamed;
    if (w->next) return w;
    windows_free(w); /* what an earlier failure left */
    return windows_make(w, m, 0, &(BuildOptions){.ragged = dataset_ragged(d)}, &d->array, false, false) ? w : NULL;
}

bool evaluate_set(Model *m, const Dataset *d, int64_t from, int64_t to, double *loss, double *metric) {
    if (!model_need_weights(m) || !says_classes(m, d)) return false;
    if (to <= from) {
        diag_error(m->ctx, 554, NOWHERE, "there are no examples to evaluate on");
        return false;
    }
    Evaluation v = {.m = m, .d = d, .from = from, .to = to, .metric = metric};
    if (d->feed && d->feed->carry) v.windows = streamed(m, d);
    else v.exec = model_exec(m, MODULE_FORWARD, dataset_ragged(d), false);
    if (!v.exec && !v.windows) return false;
    double batch = train_number(m, "batch");
    v.size = batch >= 1 && batch < 1e6 ? (int64_t)batch : 32;
    v.example = NEW_N(scratch_begin(m), int64_t, v.size);
    if (metric && !(v.metrics = metrics_begin(m))) { /* the last that may fail before it is sure to be freed */
        scratch_end(m);
        return false;
    }
    int ok = guard_call(m->ctx, evaluate_batches, &v);
    batch_free(&v.batch);
    metrics_free(v.metrics);
    if (ok < 0) ctx_out_of_memory(m->ctx);
    scratch_end(m);
    if (loss) *loss = v.loss;
    return ok;
}
