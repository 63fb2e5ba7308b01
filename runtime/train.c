/* train: epochs of batches. One update is: run the training module (loss and gradient slab), clip, one step of the optimizer
   over the parameter slab. With the key bptt a batch makes an update for each window of steps. The order of the examples is a function of (seed, epoch), the dropout mask of (seed, update,
   example): position and seed are all the random state there is, so a checkpoint resumes to the same bits. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "runtime/train.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- settings ----------------------------------------------------------------------------------------------------------- */

static bool read_settings(Training *t) {
    Model *m = t->m;
    const Setting *opt = train_setting(m, "optimizer");
    const Setting *seed = train_setting(m, "seed");
    if (!monitor_make(&t->monitor, m)) return false;
    schedule_make(&t->schedule, m);
    t->epochs = (int64_t)train_number(m, "epochs");
    t->batch = (int64_t)train_number(m, "batch");
    t->patience = (int64_t)train_number(m, "early_stopping");
    t->accumulate = (int64_t)train_number(m, "accumulate");
    t->seed = seed ? (uint64_t)(int64_t)seed->number : m->seed;
    t->min_delta = train_number(m, "min_delta");
    t->stateful = train_bool(m, "stateful");
    t->shuffle = train_setting(m, "shuffle") ? train_bool(m, "shuffle") : !t->stateful;
    t->clip_norm = train_number(m, "clip_norm");
    t->clip_value = train_number(m, "clip_value");
    const char *name = opt && (opt->kind == SET_CALL || opt->kind == SET_NAME) ? name_str(m->ctx, opt->name) : "adam";
    return optimizer_make(&t->opt, m, name, opt && opt->kind == SET_CALL ? opt : NULL);
}

/* The module of an update: the model's own, or one of this training where rows have weights or states go on. */
static bool make_exec(Training *t) {
    Model *m = t->m;
    RowWeights weights;
    int64_t window = (int64_t)train_number(m, "bptt");
    if (!row_weights(m, &m->arena, t->d, &t->weighted, &weights)) return false;
    BuildOptions bo = {.training = true, .ragged = dataset_ragged(t->d), .weights = weights};
    t->cut = window > 0 || t->stateful;
    if (t->cut) return windows_make(&t->windows, m, window, &bo, &t->weighted.array, false, false);
    if (weights == ROW_WEIGHTS_NONE) t->exec = model_exec(m, MODULE_TRAIN, bo.ragged, t->batch == 1);
    else {
        Module *mod = frontend_model(m->program, &m->arena, &bo);
        if (!mod) return false;
        module_keep_roots(mod, 1u << ROOT_LOSS);
        ExecOptions o = m->opt.exec;
        o.pool = m->pool;
        o.grad = true;
        t->exec = t->own = exec_make(m->ctx, mod, &o, NULL);
    }
    return t->exec != NULL;
}

static int64_t longest_input(const Training *t) {
    const ModelDesc *d = t->m->desc;
    int64_t most = 1;
    for (uint32_t i = 0; i < d->input.n; i++)
        for (uint32_t k = 0; d->input.at[i].seq && k < t->d->array.array.n; k++) {
            const Array *x = &t->d->array.array.at[k];
            const char *name = strncmp(x->name, "input/", 6) ? x->name : x->name + 6;
            if (!strcmp(name, name_str(t->m->ctx, d->input.at[i].name)) && x->rank > 1 && x->dim[1] > most) most = x->dim[1];
        }
    return most;
}

/* Which key leaves nothing to train on: one of a series that makes a single example of it, or how they are split. */
static bool none_trains(const Training *t) {
    Model *m = t->m;
    const Setting *window = data_setting(m, "window"), *stride = data_setting(m, "stride"), *split = data_setting(m, "split");
    bool series = t->d->n == 1 && data_string(m, "csv") && data_is_series(m, NULL), whole = !data_whole(m, "window");
    const Setting *at = !series ? split : whole ? window : stride ? stride : window;
    diag_error(m->ctx, 554, at ? at->span : m->desc->data.span, "there are no examples to train on");
    if (t->d->n)
        diag_help(m->ctx, NOWHERE, "the data hold %lld, of which %lld validate and the others test: `split` and `validation` say so", (long long)t->d->n,
                  (long long)t->d->valid);
    if (series && whole)
        diag_help(m->ctx, NOWHERE, "without a `window` the whole series is one example; `window = 10` makes one of each 10 rows and what follows them");
    else if (series) diag_help(m->ctx, NOWHERE, "a smaller `window` or `stride` makes more examples of the series");
    return false;
}

static bool prepare(Training *t) {
    Model *m = t->m;
    t->n = t->d->train;
    if (t->n < 1) return none_trains(t);
    if (!m->desc->loss.n) {
        diag_error(m->ctx, 551, m->desc->span, "'%s' has no loss to train on", name_str(m->ctx, m->desc->name));
        return false;
    }
    bool resume = t->options && t->options->resume;
    if ((!resume && !model_need_weights(m)) || !read_settings(t)) return false;
    if (t->batch > t->n) t->batch = t->n;
    t->batches = (t->n + t->batch - 1) / t->batch;
    if (!make_exec(t)) return false;
    t->order = ctx_alloc(m->ctx, (size_t)(t->shuffle ? t->n : t->batch) * sizeof *t->order);
    t->grad = ctx_alloc(m->ctx, (size_t)m->desc->theta_size * (m->f64 ? 8 : 4) + 128);
    if (t->accumulate > 1) t->sum = ctx_alloc(m->ctx, (size_t)m->desc->theta_size * sizeof *t->sum + 1);
    if (t->patience && (!train_setting(m, "restore_best") || train_bool(m, "restore_best")))
        t->keep = ctx_alloc(m->ctx, (size_t)m->desc->theta_size * (m->f64 ? 8 : 4) + 1);
    t->metric = NEW_N(&m->arena, double, metric_count(m) + 1);
    t->metric_name = NEW_N(&m->arena, const char *, metric_count(m) + 1);
    for (uint32_t i = 0; i < metric_count(m); i++) t->metric_name[i] = metric_name(m, i);
    t->valid_loss = t->best = t->last_loss = NAN;
    t->steps = longest_input(t);
    return true;
}

/* ---- one update --------------------------------------------------------------------------------------------------------- */

static double grad_at(const Model *m, const void *grad, int64_t i) { return m->f64 ? ((const double *)grad)[i] : (double)((const float *)grad)[i]; }

static void grad_put(const Model *m, void *grad, int64_t i, double v) {
    if (m->f64) ((double *)grad)[i] = v;
    else ((float *)grad)[i] = (float)v;
}

static void grad_scale(const Model *m, void *grad, double f) {
    int64_t n = m->desc->theta_size;
    for (int64_t i = 0; m->f64 && i < n; i++) ((double *)grad)[i] *= f;
    for (int64_t i = 0; !m->f64 && i < n; i++) ((float *)grad)[i] *= (float)f;
}

/* Sums of squares in NORM_LANES chains: entry i of a tensor goes to chain i mod NORM_LANES, as emit_clip_norm has it. */
static void add_squares(const Model *m, const void *grad, int64_t from, int64_t n, double *sum) {
    const float *g = m->f64 ? NULL : (const float *)grad + from;
    int64_t i = 0, full = m->f64 ? 0 : n / NORM_LANES * NORM_LANES;
    double s[NORM_LANES];
    memcpy(s, sum, sizeof s);
    for (; i < full; i += NORM_LANES)
        for (int k = 0; k < NORM_LANES; k++) s[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < n; i++) s[i % NORM_LANES] += grad_at(m, grad, from + i) * grad_at(m, grad, from + i);
    memcpy(sum, s, sizeof s);
}

/* Limits each entry; false where one is no number. */
static bool clip_entries(const Model *m, void *grad, int64_t from, int64_t n, double most) {
    for (int64_t i = from; i < from + n; i++) {
        double g = grad_at(m, grad, i);
        if (!isfinite(g)) return false;
        grad_put(m, grad, i, fmax(-most, fmin(most, g)));
    }
    return true;
}

bool gradient_clip(const Optimizer *o, void *grad, double clip_norm, double clip_value) {
    double sum[NORM_LANES] = {0};
    for (uint32_t k = 0; k < o->segment.n; k++) {
        int64_t from = o->segment.at[k].offset, n = o->segment.at[k].n;
        if (clip_value > 0 && !clip_entries(o->m, grad, from, n, clip_value)) return false;
        add_squares(o->m, grad, from, n, sum);
    }
    for (int h = NORM_LANES / 2; h > 0; h /= 2)
        for (int k = 0; k < h; k++) sum[k] += sum[k + h];
    if (!isfinite(sum[0])) return false;
    double norm = sqrt(sum[0]);
    if (clip_norm > 0 && norm > clip_norm) grad_scale(o->m, grad, clip_norm / norm);
    return true;
}

/* Adds a gradient to those of its update, by its weight in the loss; the last one leaves their mean in t->grad. */
static bool gather(Training *t, double weight, bool last) {
    int64_t n = t->m->desc->theta_size;
    for (int64_t i = 0; i < n; i++) t->sum[i] += weight * grad_at(t->m, t->grad, i);
    t->gathered_weight += weight;
    if (++t->gathered < t->accumulate && !last) return false;
    for (int64_t i = 0; i < n; i++) {
        grad_put(t->m, t->grad, i, t->sum[i] / t->gathered_weight);
        t->sum[i] = 0;
    }
    t->gathered_weight = 0;
    return true;
}

/* Says where it began: the first tensor that this batch gives such a number, as far as it can be found. */
static bool not_finite(Training *t, Exec *e, const char *what) {
    diag_error(t->m->ctx, 555, NOWHERE, "the %s is not a number at update %lld (epoch %lld, batch %lld)", what,
               (long long)t->update + 1, (long long)t->epoch + 1, (long long)t->at + 1);
    const char *first = exec_first_bad(e, scratch_begin(t->m), t->m->theta, t->grad);
    if (first) diag_note(t->m->ctx, NOWHERE, "the first that is not: %s", first);
    bool data = first && !strncmp(first, "the input", 9);
    scratch_end(t->m);
    if (t->kept_epoch >= 0)
        diag_note(t->m->ctx, NOWHERE, "the last checkpoint, %s, is of %lld complete epoch%s: --resume goes on from it", t->kept,
                  (long long)t->kept_epoch, t->kept_epoch == 1 ? "" : "s");
    diag_help(t->m->ctx, NOWHERE, "%s; the weights are those before this update",
              data ? "fill it in, or leave the example out" : "a smaller learning rate or clip_norm often helps");
    return false;
}

/* Real steps count where the loss is per step: in a short window fewer. */
static double update_weight(const Training *t, const Exec *e) {
    double w = batch_weight(t->m, e);
    bool per_step = false;
    for (uint32_t i = 0; i < t->m->desc->loss.n; i++) per_step = per_step || t->m->desc->loss.at[i].kind == LOSS_PER_STEP;
    return t->windows.window && per_step && !t->windows.length ? w * (double)t->windows.nsteps : w;
}

/* One update may hold several windows of an example: each has noise of its own. Batches of one update hold other examples each, whose noise is that of
   one large batch. */
static uint64_t noise_number(const Training *t) {
    return t->windows.window > 0 && t->sum ? (uint64_t)(t->update * t->accumulate + t->gathered) : (uint64_t)t->update;
}

/* Whether what is 0 in t->grad for every input is 0 after an update, too, and of the same module at the next. */
static bool keeps_zeros(const Training *t) {
    bool decays = false;
    for (uint32_t k = 0; k < t->opt.segment.n; k++) decays = decays || t->opt.segment.at[k].decay != 0;
    return !t->cut && !decays;
}

/* One step of the optimizer, on what e has been set to; part: which of how many updates of this batch. */
static bool one_step(Training *t, Exec *e, const int64_t *example, int64_t part, int64_t parts) {
    Model *m = t->m;
    bool (*run)(Exec *, const void *, uint64_t, void *, uint64_t, uint64_t, const int64_t *) = t->zeros ? exec_run_again : exec_run;
    if (!run(e, m->theta, m->theta_version, t->grad, t->seed, noise_number(t), example)) return false;
    t->zeros = keeps_zeros(t);
    double loss = exec_get_scalar(e, (uint32_t)exec_root(e, ROOT_LOSS, 0, 0));
    if (!isfinite(loss)) return not_finite(t, e, "loss");
    double w = update_weight(t, e), all = (double)(t->batches * parts);
    t->loss_sum += w * loss;
    t->loss_weight += w;
    if (t->sum && !gather(t, w, t->at + 1 == t->batches && part + 1 == parts)) return true;
    int64_t before = t->sum ? t->gathered - 1 : 0;
    double from = (double)t->epoch + (double)(t->at * parts + part - before) / all;
    t->gathered = 0;
    if (!gradient_clip(&t->opt, t->grad, t->clip_norm, t->clip_value)) return not_finite(t, e, "gradient");
    if (!optimizer_step(&t->opt, t->grad, schedule_factor(&t->schedule, from, (double)(before + 1) / all))) return false;
    t->update++;
    return true;
}

static bool one_batch(Training *t) {
    int64_t from = t->at * t->batch, B = t->n - from < t->batch ? t->n - from : t->batch;
    const int64_t *example = t->shuffle ? t->order + from : t->order;
    for (int64_t i = 0; !t->shuffle && i < B; i++) t->order[i] = from + i; /* a long text has too many windows to list */
    Windows *w = &t->windows;
    Batch *b = &t->present;
    if (!batch_fill(b, t->m->ctx, &t->weighted, B, example)) return false;
    t->real += b->real;
    t->padded += b->padded;
    if (!t->cut) {
        if (!exec_set_batch(t->exec, b, B) || !one_step(t, t->exec, example, 0, 1)) return false;
    } else if (!windows_begin(w, &b->array, B, b->row, example, t->stateful && t->at > 0)) return false;
    for (int64_t k = 0; t->cut && k < w->count; k++) {
        Exec *e = windows_set(w, k);
        if (!e || !one_step(t, e, w->id, k, w->count) || !windows_done(w, e)) return false;
    }
    t->at++;
    t->examples += B;
    return true;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------------- */

static bool report(Training *t) {
    const rondo_train_options *o = t->options;
    if (!o || !o->progress) return true;
    bool complete = t->at == t->batches;
    double s = now() - t->start;
    rondo_progress p = {.size = sizeof p,
                        .epoch = (int)t->epoch + 1,
                        .epochs = (int)t->epochs,
                        .batch = t->at,
                        .batches = t->batches,
                        .update = t->update,
                        .loss = t->loss_weight > 0 ? t->loss_sum / t->loss_weight : NAN,
                        .valid_loss = complete ? t->valid_loss : NAN,
                        .examples_per_second = s > 0 ? (double)t->examples / s : 0,
                        .steps_per_second = s > 0 ? (double)(t->real ? t->real : t->examples * t->steps) / s : 0,
                        .seconds = s,
                        .nmetric = complete && t->have_metrics ? metric_count(t->m) : 0,
                        .metric_name = t->metric_name,
                        .metric = t->metric};
    return o->progress(o->progress_arg, &p) == 0;
}

/* Validation and metrics at the end of an epoch; metrics on the training part when there is nothing to validate on. */
static bool validate(Training *t) {
    Model *m = t->m;
    const Dataset *d = t->valid ? t->valid : t->d;
    int64_t from = t->valid ? 0 : t->d->train, to = t->valid ? t->valid->n : t->d->train + t->d->valid;
    t->have_metrics = m->desc->metric.n > 0;
    if (to > from) return evaluate_set(m, d, from, to, &t->valid_loss, t->have_metrics ? t->metric : NULL);
    if (!t->have_metrics) return true;
    return evaluate_set(m, t->d, 0, t->d->train, NULL, t->metric);
}

/* Early stopping: true when what is watched has not become better for `patience` epochs. */
static bool out_of_patience(Training *t) {
    double v = isnan(t->valid_loss) ? t->last_loss : t->valid_loss;
    if (t->monitor.metric >= 0) v = t->monitor.sign * t->metric[t->monitor.metric];
    schedule_epoch(&t->schedule, v, t->min_delta);
    if (isnan(t->best) || v < t->best - t->min_delta) {
        t->best = v;
        t->waited = 0;
        if (t->keep) memcpy(t->keep, t->m->theta, (size_t)t->m->desc->theta_size * (t->m->f64 ? 8 : 4));
        return false;
    }
    return ++t->waited >= t->patience && t->patience > 0;
}

/* At most once a second between epochs: small models make thousands of them in that time. */
static bool save(Training *t) {
    if (!t->options || !t->options->checkpoint) return true;
    double s = now();
    if (!t->stopped && t->epoch < t->epochs && s - t->saved < 1) return true;
    t->saved = s;
    if (!checkpoint_save(t, t->options->checkpoint)) return false;
    t->kept = t->options->checkpoint;
    t->kept_epoch = t->epoch;
    return true;
}

static void draw_order(Training *t) {
    if (!t->shuffle) return;
    shuffle_order(t->seed, (uint64_t)t->epoch, t->n, t->order);
    if (t->d->feed) order_by_length(t->d->feed, t->seed, (uint64_t)t->epoch, t->n, t->batch, t->order, scratch_begin(t->m));
    if (t->d->feed) scratch_end(t->m);
}

static bool far_enough(const Training *t) {
    return t->options && t->options->stop_after > 0 && t->epoch >= t->options->stop_after && t->epoch < t->epochs;
}

static bool one_epoch(Training *t) {
    draw_order(t);
    while (t->at < t->batches) {
        if (!one_batch(t)) return false;
        if (t->at == t->batches) break;
        if (!report(t)) {
            t->stopped = true;
            return save(t);
        }
    }
    t->last_loss = t->loss_weight > 0 ? t->loss_sum / t->loss_weight : NAN;
    if (!validate(t)) return false;
    bool go_on = report(t);
    bool enough = out_of_patience(t);
    t->epoch++;
    t->at = 0;
    t->loss_sum = t->loss_weight = 0;
    t->stopped = !go_on || far_enough(t);
    if (enough) t->epochs = t->epoch;
    return save(t);
}

/* At the end, early or not; no checkpoint holds them in the place of the last ones, from which a longer run would go on. */
static void restore_best(Training *t) {
    if (t->stopped || !t->keep || isnan(t->best)) return;
    memcpy(t->m->theta, t->keep, (size_t)t->m->desc->theta_size * (t->m->f64 ? 8 : 4));
    t->m->theta_version++;
}

static bool training_run(void *arg) {
    Training *t = arg;
    if (!prepare(t)) return false;
    if (t->options && t->options->resume) {
        if (!checkpoint_load(t, t->options->resume)) return false;
        t->kept = t->options->resume; /* until there is one of this run */
        t->kept_epoch = t->epoch;
    }
    t->start = now();
    if (t->patience > 0 && t->waited >= t->patience) t->epochs = t->epoch; /* the run that is resumed had ended */
    t->stopped = far_enough(t);
    while (t->epoch < t->epochs && !t->stopped)
        if (!one_epoch(t)) return false;
    restore_best(t);
    if (t->padded > t->real)
        model_log(t->m, "padding: %.1f %% of the steps that were computed", 100 * (1 - (double)t->real / (double)t->padded));
    return true;
}

bool train_set(Model *m, const Dataset *d, const Dataset *valid, const rondo_train_options *o, rondo_train_result *result,
               bool *stopped) {
    Training t = {.m = m, .d = d, .valid = valid, .options = o, .kept_epoch = -1};
    int got = guard_call(m->ctx, training_run, &t);
    int sign = t.monitor.sign < 0 ? -1 : 1;
    if (result)
        *result = (rondo_train_result){(int)t.epoch, t.update, t.last_loss, t.valid_loss, t.start > 0 ? now() - t.start : 0, sign * t.best, sign};
    if (stopped) *stopped = t.stopped;
    ctx_free(m->ctx, t.order);
    ctx_free(m->ctx, t.grad);
    ctx_free(m->ctx, t.sum);
    ctx_free(m->ctx, t.keep);
    optimizer_free(&t.opt);
    exec_destroy(t.own);
    windows_free(&t.windows);
    batch_free(&t.present);
    if (got < 0) ctx_out_of_memory(m->ctx);
    return got;
}
