/* data: the data block of a model: a column of a CSV file, cut into windows.
     sample k: inputs value[k .. k + window - 1] (k counted in strides), target value[k + window + horizon - 1]
               (a target of F > 1 features: the F values up to that one; a target that is a sequence: value[k + t + horizon])
     split:    the first int(split * n) samples train, the rest test
     scale:    fitted on the rows that training sees, up to the last one's target; (v - shift) / scale, where
               minmax is the least and the range, standard the mean and the population standard deviation */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* The columns a key names: a string, a name, or a list of these, in the order of the ports and their features. Not written:
   the columns with the names of the ports where there are several, else the last one of the file. */
static bool read_list(Model *m, Arena *a, const Csv *csv, bool target, Column **out, uint32_t *n) {
    const Setting *s = data_setting(m, target ? "target_column" : "column");
    uint32_t ports = target ? m->desc->target.n : m->desc->input.n;
    const PortDesc *port = target ? m->desc->target.at : m->desc->input.at;
    uint32_t count = !s ? ports > 1 ? ports : 1 : s->kind == SET_LIST ? s->n : 1;
    CsvGaps gaps = csv_gaps(m);
    *out = NEW_N(a, Column, count + 1);
    *n = count;
    for (uint32_t i = 0; i < count; i++) {
        const Setting *item = !s ? NULL : s->kind == SET_LIST ? &s->item[i] : s;
        int64_t k = csv->ncol - 1, filled;
        if (!s && ports > 1) k = csv_column(m->ctx, csv, name_str(m->ctx, port[i].name), port[i].span);
        if (item && item->kind == SET_NUMBER) k = item->number >= 0 && item->number < csv->ncol ? (int64_t)item->number : -1;
        else if (item) k = csv_column(m->ctx, csv, name_str(m->ctx, item->name), item->span);
        if (k < 0 && item && item->kind == SET_NUMBER) diag_error(m->ctx, 611, item->span, "%s has no column %g", csv->path, item->number);
        double *v;
        if (k < 0 || !csv_series(m->ctx, a, csv, (uint32_t)k, gaps, &v, &filled)) return false;
        (*out)[i] = (Column){.value = v, .scale = 1, .at = k, .filled = filled};
    }
    return true;
}

/* Of each column once, though it be read for an input and for a target. */
static void say_filled(Model *m, Arena *a, const Csv *csv, const Series *s) {
    uint32_t n = s->nx + (s->y == s->x ? 0 : s->ny);
    for (uint32_t i = 0, k; i < n; i++) {
        const Column *c = i < s->nx ? &s->x[i] : &s->y[i - s->nx];
        for (k = 0; k < i && (k < s->nx ? s->x[k] : s->y[k - s->nx]).at != c->at; k++) {}
        if (k < i || !c->filled) continue;
        const char *of = csv_name(csv, a, (uint32_t)c->at);
        if (c->filled == 1) model_log(m, "%s: 1 gap of column '%s' was filled in", csv->path, of);
        else model_log(m, "%s: %lld gaps of column '%s' were filled in", csv->path, (long long)c->filled, of);
    }
}

/* Windows of rows in another order, or of a sum below them, would be no part of the series. */
static bool dates_in_order(Model *m, const Csv *csv, const Series *s) {
    int64_t stray = dates_stray(s->date, csv->nrow), back = dates_back(s->date, csv->nrow);
    if (stray >= 0) {
        diag_error(m->ctx, 612, NOWHERE, "%s:%u: '%.40s' is no date, as the others of the column are", s->path, csv->line[stray], s->date[stray]);
        diag_help(m->ctx, NOWHERE, "a sum or a remark below a table is no row of the series");
        return false;
    }
    if (back < 0) return true;
    bool turned = dates_fall(s->date, csv->nrow);
    diag_error(m->ctx, 554, NOWHERE, "%s:%u: the dates go back: '%.40s' stands before '%.40s', and a series is read in the order of time", s->path, csv->line[back],
               s->date[back - 1], s->date[back]);
    if (turned) diag_help(m->ctx, NOWHERE, csv->header ? "(head -n 1 '%s'; tail -n +2 '%s' | tac) >NEW turns it round" : "tac '%s' >NEW turns it round", s->path, s->path);
    else diag_help(m->ctx, NOWHERE, "rows of several series, or some of them twice, are no series: a file for each, sorted");
    return false;
}

/* The column of dates, or those of their parts. */
static bool read_dates(Model *m, Arena *a, const Csv *csv, Series *s) {
    const Setting *date = data_setting(m, "date");
    if (!date) return true;
    uint32_t n = date->kind == SET_LIST ? date->n : 1;
    int64_t *column = NEW_N(a, int64_t, n + 1);
    const char **part = NEW_N(a, const char *, n + 1);
    for (uint32_t k = 0; k < n; k++) {
        const Setting *x = date->kind == SET_LIST ? &date->item[k] : date;
        column[k] = csv_column(m->ctx, csv, x->kind == SET_NUMBER ? arena_printf(a, "%g", x->number) : name_str(m->ctx, x->name), x->span);
        if (column[k] < 0) return false;
    }
    s->date = NEW_N(a, const char *, csv->nrow + 1);
    for (uint32_t i = 0; i < csv->nrow; i++) {
        for (uint32_t k = 0; k < n; k++) part[k] = csv->cell[(size_t)i * csv->ncol + (size_t)column[k]];
        s->date[i] = n == 1 ? part[0] : dates_join(a, part, n);
    }
    return dates_in_order(m, csv, s);
}

static bool read_columns(Model *m, const char *path, Arena *a, Series *s) {
    const char *file = path ? path : data_string(m, "csv");
    if (!file) {
        diag_error(m->ctx, 554, m->desc->data.span, "'%s' has no data: neither a file was given nor a data block that names one",
                   name_str(m->ctx, m->desc->name));
        return false;
    }
    s->path = path ? arena_strdup(a, path) : model_beside(m, a, file);
    Csv csv;
    CsvForm form;
    if (!csv_form(m, s->path, &form) || !csv_read(m->ctx, a, s->path, form, &csv) || !read_list(m, a, &csv, false, &s->x, &s->nx))
        return false;
    s->nrow = csv.nrow;
    if (data_setting(m, "target_column") || m->desc->target.n > 1) {
        if (!read_list(m, a, &csv, true, &s->y, &s->ny)) return false;
    } else {
        s->y = s->x;
        s->ny = s->nx;
    }
    say_filled(m, a, &csv, s);
    const Setting *weights = train_setting(m, "sample_weights");
    for (uint32_t k = 0; weights && csv.header && k < csv.ncol; k++) /* only training needs it */
        if (strcmp(csv.header[k], name_str(m->ctx, weights->name)) == 0 && !csv_numbers(m->ctx, a, &csv, k, &s->weight)) return false;
    return read_dates(m, a, &csv, s);
}

/* ---- scaling ------------------------------------------------------------------------------------------------------------ */

static void fit_column(Column *c, const char *kind, int64_t rows) {
    double lo = INFINITY, hi = -INFINITY, sum = 0, var = 0;
    for (int64_t i = 0; i < rows; i++) {
        lo = fmin(lo, c->value[i]);
        hi = fmax(hi, c->value[i]);
        sum += c->value[i];
    }
    double mean = sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) var += (c->value[i] - mean) * (c->value[i] - mean) / (double)rows;
    if (strcmp(kind, "minmax") == 0) {
        c->shift = lo;
        c->scale = hi - lo;
    } else if (strcmp(kind, "standard") == 0) {
        c->shift = mean;
        c->scale = sqrt(var);
    }
    if (!(c->scale > 0)) c->scale = 1; /* a constant series */
}

/* The scaling that the weights bring along, or that of these rows, which is then kept with the weights. */
static void fit_columns(Model *m, Column *c, uint32_t n, char port, int64_t rows) {
    const char *kind = data_string(m, "scale");
    for (uint32_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "%c.%u", port, i);
        const FittedColumn *known = fitted_column(m, name);
        if (!known) fit_column(&c[i], kind, rows);
        if (!known) VEC_PUSH(&m->arena, fitted(m)->column) = (FittedColumn){arena_strdup(&m->arena, name), c[i].shift, c[i].scale};
        else {
            c[i].shift = known->shift;
            c[i].scale = known->scale;
        }
    }
}

static void fit_scale(Model *m, Series *s, int64_t rows) {
    fit_columns(m, s->x, s->nx, 'x', rows);
    if (s->y != s->x) fit_columns(m, s->y, s->ny, 'y', rows);
}

/* ---- cutting ------------------------------------------------------------------------------------------------------------ */

static int64_t features(const PortDesc *p) {
    int64_t n = 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return n;
}

static bool find_inputs(Model *m, const Series *s) {
    const ModelDesc *d = m->desc;
    int64_t all = 0;
    bool ok = d->input.n > 0;
    for (uint32_t i = 0; i < d->input.n; i++) {
        const PortDesc *x = &d->input.at[i];
        ok = ok && x->seq && x->dtype == DT_F;
        all += features(x);
        if (!x->steps || x->steps == s->window) continue;
        diag_error(m->ctx, 552, x->span, "the input '%s' has %d steps and the window is %lld", name_str(m->ctx, x->name), x->steps, (long long)s->window);
        return false;
    }
    if (ok && all == s->nx) return true;
    diag_error(m->ctx, 552, d->data.span, "a series of %u column%s needs a model with %s input `seq [%u]`%s, and a target", s->nx,
               s->nx == 1 ? "" : "s", d->input.n > 1 ? "one" : "an", s->nx, d->input.n > 1 ? ", or as many in all" : "");
    return false;
}

/* The targets hold the target columns one after another; one target of one column may hold several rows of it. */
static bool find_targets(Model *m, Series *s) {
    const ModelDesc *d = m->desc;
    int64_t all = 0;
    bool ok = true;
    for (uint32_t i = 0; i < d->target.n; i++) {
        ok = ok && d->target.at[i].dtype == DT_F;
        all += features(&d->target.at[i]);
    }
    if (!d->target.n) return true;
    s->target_features = all;
    bool ahead = d->target.n == 1 && !d->target.at[0].seq && s->ny == 1 && all <= s->horizon;
    if (ok && (all == s->ny || ahead)) return true;
    diag_error(m->ctx, 552, d->target.at[0].span, "the target%s '%s' %s %lld feature%s, the data block gives %u column%s at horizon %lld", d->target.n > 1 ? "s from" : "",
               name_str(m->ctx, d->target.at[0].name), d->target.n > 1 ? "on have" : "has", (long long)all, all == 1 ? "" : "s", s->ny, s->ny == 1 ? "" : "s", (long long)s->horizon);
    if (ok && !data_setting(m, "target_column") && all < s->ny)
        diag_help(m->ctx, data_setting(m, "column") ? data_setting(m, "column")->span : NOWHERE, "`target_column = ..` names which of these columns are forecast; none written: all of them");
    return false;
}

static Array *add_port(Model *m, Arena *a, Dataset *set, const char *prefix, const PortDesc *p, int64_t n, int64_t steps) {
    int64_t dim[RONDO_MAX_RANK];
    int rank = 0;
    dim[rank++] = n;
    if (p->seq) dim[rank++] = steps;
    for (int k = 0; k < p->rank; k++) dim[rank++] = p->dim[k];
    return arrays_add(a, &set->array, arena_printf(a, "%s%s", prefix, name_str(m->ctx, p->name)), m->f64 ? RONDO_F64 : RONDO_F32,
                      rank, dim);
}

static double scaled(const Column *c, int64_t row) {
    return (c->value[row] - c->shift) / c->scale;
}

static double unscaled(const Column *c, double v) { return v * c->scale + c->shift; }

/* Feature f of all targets at step t of sample k: the columns at one row, or the values up to that row. */
static double target_value(const Series *s, const PortDesc *p, int64_t k, int64_t t, int64_t f) {
    int64_t row = p->seq ? k * s->stride + t + s->horizon : series_row(s, k);
    if (s->target_features == s->ny) return scaled(&s->y[f], row);
    return scaled(&s->y[0], row - s->target_features + 1 + f);
}

/* The sample weights: those of the rows that are the targets. */
static bool cut_weights(Model *m, Arena *a, Series *s, const PortDesc *y) {
    const char *name = name_str(m->ctx, train_setting(m, "sample_weights")->name);
    Array *w = arrays_add(a, &s->set.array, name, RONDO_F64, y->seq ? 2 : 1, (int64_t[]){s->set.n, s->window});
    int64_t steps = y->seq ? s->window : 1;
    for (int64_t i = 0; w && i < s->set.n * steps; i++) {
        int64_t k = i / steps;
        array_set(w, i, s->weight[y->seq ? k * s->stride + i % steps + s->horizon : series_row(s, k)]);
    }
    return w != NULL;
}

static bool cut_input(Model *m, Arena *a, Series *s, const PortDesc *p, int64_t first) {
    int64_t F = features(p), W = s->window;
    Array *x = add_port(m, a, &s->set, "input/", p, s->set.n, W);
    for (int64_t i = 0; x && i < s->set.n * W * F; i++) array_set(x, i, scaled(&s->x[first + i % F], i / (F * W) * s->stride + i / F % W));
    return x != NULL;
}

static bool cut_target(Model *m, Arena *a, Series *s, const PortDesc *p, int64_t first) {
    int64_t F = features(p), steps = p->seq ? s->window : 1;
    Array *y = add_port(m, a, &s->set, "target/", p, s->set.n, s->window);
    for (int64_t i = 0; y && i < s->set.n * steps * F; i++)
        array_set(y, i, target_value(s, p, i / (F * steps), i / F % steps, first + i % F));
    return y != NULL;
}

static bool cut(Model *m, Arena *a, Series *s) {
    const ModelDesc *d = m->desc;
    int64_t first = 0;
    if (!find_inputs(m, s) || !find_targets(m, s)) return false;
    for (uint32_t i = 0; i < d->input.n; first += features(&d->input.at[i]), i++)
        if (!cut_input(m, a, s, &d->input.at[i], first)) return false;
    first = 0;
    for (uint32_t i = 0; i < d->target.n; first += features(&d->target.at[i]), i++)
        if (!cut_target(m, a, s, &d->target.at[i], first)) return false;
    return !d->target.n || !s->weight || cut_weights(m, a, s, &d->target.at[0]);
}

/* The key that names the target's columns; NULL: they are named as the targets, or not at all. */
static const Setting *target_columns(Ctx *ctx, const ModelDesc *d) {
    const Setting *s = settings_find(&d->data, intern(ctx, "target_column"));
    return s || d->target.n > 1 ? s : settings_find(&d->data, intern(ctx, "column"));
}

uint32_t series_targets(Ctx *ctx, const ModelDesc *d) {
    const Setting *s = target_columns(ctx, d);
    return s && s->kind == SET_LIST ? s->n : !s && d->target.n > 1 ? d->target.n : 1;
}

const char *series_target_name(Ctx *ctx, const ModelDesc *d, uint32_t c) {
    const Setting *s = target_columns(ctx, d);
    if (s && s->kind == SET_LIST) s = c < s->n ? &s->item[c] : NULL;
    if (s) return s->kind == SET_NUMBER ? arena_printf(ctx_arena(ctx), "%g", s->number) : name_str(ctx, s->name);
    return d->target.n > 1 ? name_str(ctx, d->target.at[c].name) : "";
}

int64_t series_row(const Series *s, int64_t k) {
    return k * s->stride + s->window + s->horizon - 1;
}

/* Parts of the samples, which follow each other. */
static bool split_samples(Model *m, bool whole, Dataset *d) {
    d->train = d->n;
    d->valid = 0;
    if (whole) return true;
    Split s = split_read(m);
    if (split_in_order(&s) && !data_setting(m, "test")) return split_counts(m, &s, &d->n, &d->train, &d->valid);
    diag_error(m->ctx, 552, data_setting(m, split_in_order(&s) ? "test" : "split")->span, "a series is one record, split in its order");
    diag_help(m->ctx, NOWHERE, "drawn windows would overlap with those that test; chronological(0.8, valid = 0.1) does not");
    return false;
}

bool series_load(Model *m, const char *path, Arena *a, bool whole, Series *s) {
    *s = (Series){0};
    if (!read_columns(m, path, a, s)) return false;
    s->window = data_whole(m, "window");
    s->horizon = data_whole(m, "horizon");
    s->stride = data_whole(m, "stride");
    if (!s->window) s->window = s->nrow - s->horizon;
    int64_t span = s->nrow - s->window - s->horizon;
    if (span < 0 || s->window < 1) {
        const Setting *w = data_setting(m, "window");
        diag_error(m->ctx, 554, w ? w->span : m->desc->data.span, "%s has %lld rows, too few for window %lld and horizon %lld", s->path,
                   (long long)s->nrow, (long long)s->window, (long long)s->horizon);
        if (s->nrow > s->horizon) diag_help(m->ctx, NOWHERE, "a window of at most %lld steps fits in, and shorter ones more often", (long long)(s->nrow - s->horizon));
        return false;
    }
    s->set.n = span / s->stride + 1;
    if (!split_samples(m, whole, &s->set)) return false;
    int64_t seen = s->set.train + s->set.valid;
    fit_scale(m, s, seen ? series_row(s, seen - 1) + 1 : s->nrow);
    return cut(m, a, s);
}

/* ---- forecasting -------------------------------------------------------------------------------------------------------- */

/* Runs samples [from, to) in batches; out[i * F + f] = feature f of the first output at its last step, scaled as the target. */
static bool forecast_raw(Model *m, const Series *s, int64_t from, int64_t to, int64_t F, double *out) {
    enum { BATCH = 256 };
    Batch batch = {0};
    Exec *e = model_exec(m, MODULE_PREDICT, false, false);
    if (!e || !model_need_weights(m)) return false;
    int64_t root = exec_root(e, ROOT_OUTPUT, 0, m->desc->output.at[0].name);
    int64_t example[BATCH];
    for (int64_t at = from; root >= 0 && at < to;) {
        int64_t B = to - at < BATCH ? to - at : BATCH;
        for (int64_t b = 0; b < B; b++) example[b] = at + b;
        if (!batch_fill(&batch, m->ctx, &s->set, B, example) || !exec_set_batch(e, &batch, B) ||
            !exec_run(e, m->theta, m->theta_version, NULL, m->seed, 0, example)) return false;
        Arena *tmp = scratch_begin(m);
        Array y;
        bool ok = exec_get(e, tmp, (uint32_t)root, &y);
        int64_t per = ok ? array_count(&y) / B : 0;
        for (int64_t i = 0; i < B * F && per >= F; i++) out[(at - from) * F + i] = array_get(&y, (i / F + 1) * per - F + i % F);
        scratch_end(m);
        if (!ok) return false;
        at += B;
    }
    return root >= 0;
}

/* Features of one step of the first output; it must be what the target is. */
static bool output_features(Model *m, const Series *s, int64_t *F) {
    if (!model_need_output(m)) return false;
    *F = features(&m->desc->output.at[0]);
    if (*F >= 1 && (!m->desc->target.n || *F == s->target_features)) return true;
    diag_error(m->ctx, 552, m->desc->span, "to forecast, the model's first output must have the shape of its target");
    return false;
}

bool series_forecast(Model *m, const Series *s, int64_t from, int64_t to, double *out) {
    int64_t F;
    if (!output_features(m, s, &F)) return false;
    double *raw = NEW_N(scratch_begin(m), double, (to - from) * F + 1);
    bool ok = forecast_raw(m, s, from, to, F, raw);
    int64_t ny = s->ny, first = F - ny; /* of one column and several rows the value furthest ahead */
    for (int64_t i = 0; ok && i < (to - from) * ny; i++) out[i] = unscaled(&s->y[i % ny], raw[i / ny * F + first + i % ny]);
    scratch_end(m);
    return ok;
}

bool series_rmse(Model *m, const Series *s, int64_t from, int64_t to, double *out) {
    bool one = m->desc->output.n && m->desc->target.n == 1 && features(&m->desc->output.at[0]) == s->target_features && to > from;
    int64_t ny = s->ny;
    for (int64_t c = 0; c < ny; c++) out[c] = one ? 0 : NAN;
    if (!one) return true;
    double *y = NEW_N(scratch_begin(m), double, (to - from) * ny + 1);
    bool ok = series_forecast(m, s, from, to, y);
    for (int64_t i = 0; ok && i < (to - from) * ny; i++) {
        double d = y[i] - s->y[i % ny].value[series_row(s, from + i / ny)];
        out[i % ny] += d * d;
    }
    scratch_end(m);
    for (int64_t c = 0; c < ny; c++) out[c] = sqrt(out[c] / (double)(to - from));
    return ok;
}

static bool same_columns(const Series *s) {
    bool same = s->nx == s->ny;
    for (uint32_t c = 0; same && c < s->nx; c++) same = s->x[c].at == s->y[c].at;
    return same;
}

/* Up to `horizon` rows past the last: from the windows that end so many rows before them. A target of several rows has its newest ones from
   the last window. */
static bool future_known(Model *m, const Series *s, int64_t n, int64_t F, double *out) {
    Arena *tmp = scratch_begin(m);
    Series next = *s;
    int64_t h = s->horizon, port = 0, ny = s->ny;
    double *y = NEW_N(tmp, double, h * F + 1);
    next.stride = 1;
    next.set = (Dataset){.n = h};
    next.x = NEW_N(tmp, Column, s->nx + 1);
    for (uint32_t i = 0; i < s->nx; i++) {
        next.x[i] = s->x[i];
        next.x[i].value += s->nrow - h - s->window + 1;
    }
    bool ok = true;
    for (uint32_t i = 0; ok && i < m->desc->input.n; port += features(&m->desc->input.at[i]), i++) ok = cut_input(m, tmp, &next, &m->desc->input.at[i], port);
    ok = ok && forecast_raw(m, &next, 0, h, F, y);
    for (int64_t k = 0; ok && k < n; k++) {
        int64_t newest = F - h + k;
        for (int64_t c = 0; c < ny; c++) out[k * ny + c] = unscaled(&s->y[c], F > ny && newest >= 0 ? y[(h - 1) * F + newest] : y[k * F + F - ny + c]);
    }
    scratch_end(m);
    return ok;
}

bool series_future(Model *m, const Series *s, int64_t n, double *out) {
    int64_t F;
    if (!output_features(m, s, &F)) return false;
    if (n <= s->horizon) return future_known(m, s, n, F, out);
    if (s->horizon != 1 || F != s->nx || !same_columns(s)) {
        const Setting *at = data_setting(m, s->horizon > 1 ? "horizon" : "target_column");
        diag_error(m->ctx, 552, at ? at->span : m->desc->data.span, "to go on by more than %lld row%s, each forecast is fed back as the next input", (long long)s->horizon, s->horizon == 1 ? "" : "s");
        diag_help(m->ctx, NOWHERE, "that needs horizon 1 and a target of the same columns as the input");
        return false;
    }
    Arena *tmp = scratch_begin(m);
    Series next = *s;
    Array w = s->set.array.array.at[0];
    int64_t size = s->window * F;
    double *y = NEW_N(tmp, double, F + 1);
    w.dim[0] = 1;
    next.set = (Dataset){.n = 1};
    Array *x = arrays_add(tmp, &next.set.array, w.name, w.type, w.rank, w.dim);
    bool ok = x != NULL;
    for (int64_t i = 0; ok && i < size; i++) array_set(x, i, scaled(&s->x[i % F], s->nrow - s->window + i / F));
    for (int64_t k = 0; ok && k < n; k++) {
        ok = forecast_raw(m, &next, 0, 1, F, y);
        for (int64_t i = 0; i + F < size; i++) array_set(x, i, array_get(x, i + F));
        for (int64_t f = 0; f < F; f++) array_set(x, size - F + f, y[f]);
        for (int64_t f = 0; f < F; f++) out[k * F + f] = unscaled(&s->y[f], y[f]);
    }
    scratch_end(m);
    return ok;
}

/* ---- order -------------------------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t random_next(uint64_t *s) {
    uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order) {
    uint64_t s = seed;
    s = random_next(&s) + epoch * UINT64_C(0xd1342543de82ef95);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(random_next(&s) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}
