/* data: the data block of a model: a column of a CSV file, cut into windows.
     sample k: inputs value[k .. k + window - 1] (k counted in strides), target value[k + window + horizon - 1]
               (a target of F > 1 features: the F values up to that one; a target that is a sequence: value[k + t + horizon])
     split:    the first int(split * n) samples train, the rest test
     scale:    fitted on the rows that training sees, up to the last one's target; (v - shift) / scale, where
               minmax is the least and the range, standard the mean and the population standard deviation */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

static bool whole(Model *m, const char *key, double otherwise, double lo, double hi, int64_t *out) {
    double v = data_number(m, key);
    if (isnan(v)) v = otherwise;
    if (v < lo || v > hi || v != floor(v)) {
        diag_error(m->ctx, 552, m->desc->data.span, "data: '%s' is %g; it must be a whole number from %g to %g", key, v, lo, hi);
        return false;
    }
    *out = (int64_t)v;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* The columns a key names: a string, a name, or a list of these. NULL columns: the last one of the file. */
static bool read_list(Model *m, Arena *a, const Csv *csv, const char *key, Column **out, uint32_t *n) {
    const Setting *s = settings_find(&m->desc->data, intern(m->ctx, key));
    uint32_t count = !s ? 1 : s->kind == SET_LIST ? s->n : 1;
    *out = NEW_N(a, Column, count + 1);
    *n = count;
    for (uint32_t i = 0; i < count; i++) {
        const Setting *item = !s ? NULL : s->kind == SET_LIST ? &s->item[i] : s;
        int64_t k = csv->ncol - 1;
        if (item && item->kind == SET_NUMBER) k = item->number >= 0 && item->number < csv->ncol ? (int64_t)item->number : -1;
        else if (item) k = csv_column(m->ctx, csv, name_str(m->ctx, item->name));
        if (k < 0 && item->kind == SET_NUMBER) diag_error(m->ctx, 611, item->span, "%s has no column %g", csv->path, item->number);
        double *v;
        if (k < 0 || !csv_numbers(m->ctx, a, csv, (uint32_t)k, &v)) return false;
        (*out)[i] = (Column){.value = v, .scale = 1};
    }
    return true;
}

static bool read_columns(Model *m, const char *path, Arena *a, Series *s) {
    const char *file = path ? path : data_string(m, "csv"), *date = data_string(m, "date");
    if (!file) {
        diag_error(m->ctx, 554, m->desc->data.span, "'%s' has no data: neither a file was given nor a data block that names one",
                   name_str(m->ctx, m->desc->name));
        return false;
    }
    s->path = path ? arena_strdup(a, path) : model_beside(m, a, file);
    Csv csv;
    if (!csv_read(m->ctx, a, s->path, &csv) || !read_list(m, a, &csv, "column", &s->x, &s->nx)) return false;
    s->nrow = csv.nrow;
    if (settings_find(&m->desc->data, intern(m->ctx, "target_column"))) {
        if (!read_list(m, a, &csv, "target_column", &s->y, &s->ny)) return false;
    } else {
        s->y = s->x;
        s->ny = s->nx;
    }
    s->value = s->y[0].value;
    const Setting *weights = train_setting(m, "sample_weights");
    for (uint32_t k = 0; weights && csv.header && k < csv.ncol; k++) /* only training needs it */
        if (strcmp(csv.header[k], name_str(m->ctx, weights->name)) == 0 && !csv_numbers(m->ctx, a, &csv, k, &s->weight)) return false;
    int64_t d = date ? csv_column(m->ctx, &csv, date) : 0;
    if (d < 0) return false;
    if (date) s->date = NEW_N(a, const char *, csv.nrow + 1);
    for (uint32_t i = 0; date && i < csv.nrow; i++) s->date[i] = csv.cell[(size_t)i * csv.ncol + (size_t)d];
    return true;
}

/* ---- scaling ------------------------------------------------------------------------------------------------------------ */

static bool fit_column(Model *m, Column *c, const char *kind, int64_t rows) {
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
    } else if (strcmp(kind, "none") != 0) {
        diag_error(m->ctx, 552, m->desc->data.span, "data: scale is none, minmax or standard, not '%s'", kind);
        return false;
    }
    if (!(c->scale > 0)) c->scale = 1; /* a constant series */
    return true;
}

static bool fit_scale(Model *m, Series *s, int64_t rows) {
    const char *kind = data_string(m, "scale");
    for (uint32_t i = 0; i < s->nx; i++)
        if (!fit_column(m, &s->x[i], kind ? kind : "none", rows)) return false;
    for (uint32_t i = 0; s->y != s->x && i < s->ny; i++)
        if (!fit_column(m, &s->y[i], kind ? kind : "none", rows)) return false;
    return true;
}

/* ---- cutting ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const PortDesc *x, *y;
    int64_t fy;
} Ports;

static int64_t features(const PortDesc *p) {
    int64_t n = 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return n;
}

static bool find_ports(Model *m, Series *s, Ports *p) {
    const ModelDesc *d = m->desc;
    const PortDesc *x = d->input.n ? &d->input.at[0] : NULL;
    if (d->input.n != 1 || d->target.n > 1 || !x->seq || x->dtype != DT_F || features(x) != s->nx) {
        diag_error(m->ctx, 552, d->data.span,
                   "a series of %u column%s needs a model with one input, `seq [%u]`, and one target", s->nx, s->nx == 1 ? "" : "s", s->nx);
        return false;
    }
    *p = (Ports){.x = x};
    if (d->target.n) {
        p->y = &d->target.at[0];
        p->fy = s->target_features = features(p->y);
        bool ahead = !p->y->seq && s->ny == 1 && p->fy <= s->horizon;
        if (p->y->dtype != DT_F || (p->fy != s->ny && !ahead)) {
            diag_error(m->ctx, 552, p->y->span, "the target '%s' has %lld features, the data block gives it %u at horizon %lld",
                       name_str(m->ctx, p->y->name), (long long)p->fy, s->ny, (long long)s->horizon);
            return false;
        }
    }
    if (x->steps && x->steps != s->window) {
        diag_error(m->ctx, 552, x->span, "the input '%s' has %d steps and the window is %lld", name_str(m->ctx, x->name), x->steps,
                   (long long)s->window);
        return false;
    }
    return true;
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

/* Feature f of the target at step t of sample k: the columns at one row, or the values up to that row. */
static double target_value(const Series *s, const Ports *p, int64_t k, int64_t t, int64_t f) {
    int64_t row = p->y->seq ? k * s->stride + t + s->horizon : series_row(s, k);
    if (p->fy == s->ny) return scaled(&s->y[f], row);
    return scaled(&s->y[0], row - p->fy + 1 + f);
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

static bool cut(Model *m, Arena *a, Series *s) {
    Ports p;
    int64_t n = s->set.n, nx = s->nx;
    if (!find_ports(m, s, &p)) return false;
    Array *x = add_port(m, a, &s->set, "input/", p.x, n, s->window);
    for (int64_t i = 0; x && i < n * s->window * nx; i++)
        array_set(x, i, scaled(&s->x[i % nx], i / (nx * s->window) * s->stride + i / nx % s->window));
    if (!x || !p.y) return x != NULL;
    Array *y = add_port(m, a, &s->set, "target/", p.y, n, s->window);
    int64_t steps = p.y->seq ? s->window : 1;
    for (int64_t i = 0; y && i < n * steps * p.fy; i++)
        array_set(y, i, target_value(s, &p, i / (p.fy * steps), i / p.fy % steps, i % p.fy));
    return y != NULL && (!s->weight || cut_weights(m, a, s, p.y));
}

int64_t series_row(const Series *s, int64_t k) {
    return k * s->stride + s->window + s->horizon - 1;
}

/* Parts of n examples: the first int(split * n) train, of these the last int(validation * that) validate. */
static bool split_parts(Model *m, Dataset *d) {
    double split = data_number(m, "split");
    if (isnan(split)) split = 1;
    if (!(split >= 0 && split <= 1)) {
        diag_error(m->ctx, 552, m->desc->data.span, "split is %g; it is the part that trains, from 0 to 1", split);
        return false;
    }
    d->train = (int64_t)(split * (double)d->n);
    return dataset_holdback(m, d);
}

bool dataset_holdback(Model *m, Dataset *d) {
    const Setting *v = train_setting(m, "validation");
    double part = v && v->kind == SET_NUMBER ? v->number : 0;
    if (!(part >= 0 && part < 1)) {
        diag_error(m->ctx, 551, v->span, "validation is %g; it is a part of what trains, below 1, or a file", part);
        return false;
    }
    d->valid = (int64_t)(part * (double)d->train);
    d->train -= d->valid;
    return true;
}

const char *validation_file(Model *m) {
    const Setting *v = train_setting(m, "validation");
    return v && v->kind == SET_STRING ? name_str(m->ctx, v->name) : NULL;
}

bool series_load(Model *m, const char *path, Arena *a, Series *s) {
    *s = (Series){0};
    if (!read_columns(m, path, a, s)) return false;
    if (!whole(m, "window", 0, 0, 1e9, &s->window) || !whole(m, "horizon", 1, 1, 1e9, &s->horizon) ||
        !whole(m, "stride", 1, 1, 1e9, &s->stride))
        return false;
    if (!s->window) s->window = s->nrow - s->horizon;
    int64_t span = s->nrow - s->window - s->horizon;
    if (span < 0 || s->window < 1) {
        diag_error(m->ctx, 554, m->desc->data.span, "%s has %lld rows, too few for window %lld and horizon %lld", s->path,
                   (long long)s->nrow, (long long)s->window, (long long)s->horizon);
        return false;
    }
    s->set.n = span / s->stride + 1;
    if (!split_parts(m, &s->set)) return false;
    int64_t seen = s->set.train + s->set.valid;
    return fit_scale(m, s, seen ? series_row(s, seen - 1) + 1 : s->nrow) && cut(m, a, s);
}

static bool cut_port(Model *m, Arena *a, Dataset *d, const char *prefix, const PortDesc *p, int64_t most) {
    const char *name = name_str(m->ctx, p->name);
    Array *x = arrays_find(&d->array, arena_printf(a, "%s%s", prefix, name)), *l = arrays_find(&d->array, arena_printf(a, "length/%s", name));
    if (!x) x = arrays_find(&d->array, name);
    if (!p->seq || p->steps || !x || x->rank < 2 || x->dim[1] <= most) return true;
    for (int64_t i = 0; l && i < array_count(l); i++)
        if (array_get(l, i) > (double)most) array_set(l, i, (double)most);
    Arrays keep = {0};
    int64_t dim[RONDO_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[1] = most;
    Array *y = arrays_add(a, &keep, x->name, x->type, x->rank, dim);
    if (!y) return false;
    size_t to = (size_t)(array_count(y) / (dim[0] ? dim[0] : 1)) * rondo_type_size(x->type), from = to / (size_t)most * (size_t)x->dim[1];
    for (int64_t i = 0; i < dim[0]; i++) memcpy((char *)y->data + (size_t)i * to, (const char *)x->data + (size_t)i * from, to);
    *x = *y;
    return true;
}

/* max_length: the first steps of the sequences. */
static bool cut_length(Model *m, Arena *a, Dataset *d) {
    int64_t most;
    bool ok = whole(m, "max_length", 0, 0, 1e9, &most);
    for (uint32_t i = 0; ok && most && i < m->desc->input.n; i++) ok = cut_port(m, a, d, "input/", &m->desc->input.at[i], most);
    for (uint32_t i = 0; ok && most && i < m->desc->target.n; i++) ok = cut_port(m, a, d, "target/", &m->desc->target.at[i], most);
    return ok;
}

bool dataset_load(Model *m, const char *path, Arena *a, Dataset *out) {
    const char *npz = data_string(m, "npz");
    size_t n = path ? strlen(path) : 0;
    if (path ? n > 4 && strcmp(path + n - 4, ".npz") == 0 : npz != NULL) {
        *out = (Dataset){0};
        if (!npz_read(m->ctx, a, path ? path : model_beside(m, a, npz), &out->array)) return false;
        return dataset_count(m, out) && cut_length(m, a, out) && split_parts(m, out);
    }
    Series s;
    if (!series_load(m, path, a, &s)) return false;
    *out = s.set;
    return true;
}

bool dataset_count(Model *m, Dataset *d) {
    d->n = -1;
    for (uint32_t i = 0; i < d->array.array.n; i++) {
        const Array *x = &d->array.array.at[i];
        bool port = strncmp(x->name, "input/", 6) == 0 || strncmp(x->name, "target/", 7) == 0 || strncmp(x->name, "length/", 7) == 0;
        if (!x->rank || (strchr(x->name, '/') && !port)) continue; /* expected results and weights may be in the file too */
        if (d->n >= 0 && x->dim[0] != d->n) {
            diag_error(m->ctx, 613, NOWHERE, "'%s' has %lld examples where others have %lld", x->name, (long long)x->dim[0], (long long)d->n);
            return false;
        }
        d->n = x->dim[0];
    }
    d->train = d->n;
    d->valid = 0;
    if (d->n > 0) return true;
    diag_error(m->ctx, 554, NOWHERE, "there are no examples in the arrays");
    return false;
}

/* ---- forecasting -------------------------------------------------------------------------------------------------------- */

/* Runs samples [from, to) in batches; out[i * F + f] = feature f of the first output at its last step, scaled as the target. */
static bool forecast_raw(Model *m, const Series *s, int64_t from, int64_t to, int64_t F, double *out) {
    enum { BATCH = 256 };
    Exec *e = model_exec(m, MODULE_PREDICT, false);
    if (!e || !model_need_weights(m)) return false;
    int64_t root = exec_root(e, ROOT_OUTPUT, 0, m->desc->output.at[0].name);
    int64_t example[BATCH];
    for (int64_t at = from; root >= 0 && at < to;) {
        int64_t B = to - at < BATCH ? to - at : BATCH;
        for (int64_t b = 0; b < B; b++) example[b] = at + b;
        if (!exec_set_batch(e, &s->set, B, example) || !exec_run(e, m->theta, m->theta_version, NULL, m->seed, 0, example)) return false;
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
    *F = m->desc->output.n ? features(&m->desc->output.at[0]) : 0;
    if (*F >= 1 && (!m->desc->target.n || *F == s->target_features)) return true;
    diag_error(m->ctx, 552, m->desc->span, "to forecast, the model's first output must have the shape of its target");
    return false;
}

bool series_forecast(Model *m, const Series *s, int64_t from, int64_t to, double *out) {
    int64_t F;
    if (!output_features(m, s, &F)) return false;
    double *raw = NEW_N(scratch_begin(m), double, (to - from) * F + 1);
    bool ok = forecast_raw(m, s, from, to, F, raw);
    int64_t pick = F == s->ny ? 0 : F - 1; /* the first column, or the value furthest ahead */
    for (int64_t i = 0; ok && i < to - from; i++) out[i] = raw[i * F + pick] * s->y[0].scale + s->y[0].shift;
    scratch_end(m);
    return ok;
}

bool series_future(Model *m, const Series *s, int64_t n, double *out) {
    int64_t F;
    if (!output_features(m, s, &F)) return false;
    if (s->horizon != 1 || s->y != s->x || F != s->nx) {
        diag_error(m->ctx, 552, m->desc->data.span, "going on past the last row feeds each forecast back as the next input");
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
        out[k] = y[0] * s->y[0].scale + s->y[0].shift;
    }
    scratch_end(m);
    return ok;
}

/* ---- dates -------------------------------------------------------------------------------------------------------------- */

/* Days since 1970-01-01 of the proleptic Gregorian calendar, and back (H. Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_from(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void days_to(int64_t z, int64_t *y, int64_t *m, int64_t *d) {
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp + (mp < 10 ? 3 : -9);
    *y = yoe + era * 400 + (*m <= 2);
}

/* Splits "2008", "2008-03" or "2008-03-31" into numbers; returns how many, 0 if it is none of these. */
static int date_parts(const char *s, int64_t part[3]) {
    int n = 0;
    part[1] = part[2] = 1;
    while (*s == ' ') s++;
    for (;;) {
        if (*s < '0' || *s > '9' || n == 3) return 0;
        int64_t v = 0;
        for (int digits = 0; *s >= '0' && *s <= '9'; s++, digits++) {
            if (digits == 9) return 0;
            v = v * 10 + (*s - '0');
        }
        part[n++] = v;
        if (*s != '-') break;
        s++;
    }
    while (*s == ' ') s++;
    return *s ? 0 : n;
}

static int64_t months(const int64_t p[3]) {
    return p[0] * 12 + p[1] - 1;
}

static int64_t month_days(int64_t month) {
    return days_from((month + 1) / 12, (month + 1) % 12 + 1, 1) - days_from(month / 12, month % 12 + 1, 1);
}

bool series_next_date(Ctx *ctx, Arena *a, const Series *s, int64_t k, const char **out) {
    int64_t p[3], q[3];
    *out = NULL;
    if (!s->date || s->nrow < 2) return true;
    int n = date_parts(s->date[s->nrow - 1], p), before = date_parts(s->date[s->nrow - 2], q);
    if (!n || n != before || (n > 1 && (p[1] < 1 || p[1] > 12 || q[1] < 1 || q[1] > 12))) {
        diag_error(ctx, 554, NOWHERE, "the date column cannot be continued after '%s'", s->date[s->nrow - 1]);
        diag_help(ctx, NOWHERE, "years (or any whole numbers), YYYY-MM and YYYY-MM-DD can");
        return false;
    }
    int64_t month = months(p) - months(q);
    bool ends = n == 3 && p[2] == month_days(months(p)) && q[2] == month_days(months(q));
    if (n == 1) *out = arena_printf(a, "%lld", (long long)(p[0] + k * (p[0] - q[0])));
    else if (n == 2) {
        int64_t v = months(p) + k * month;
        *out = arena_printf(a, "%04lld-%02lld", (long long)(v / 12), (long long)(v % 12 + 1));
    } else if (month && (p[2] == q[2] || ends)) { /* the same day of each month, or each month's last */
        int64_t v = months(p) + k * month, last = month_days(v), d = ends || p[2] > last ? last : p[2];
        *out = arena_printf(a, "%04lld-%02lld-%02lld", (long long)(v / 12), (long long)(v % 12 + 1), (long long)d);
    } else {
        int64_t step = days_from(p[0], p[1], p[2]) - days_from(q[0], q[1], q[2]), y, mo, d;
        days_to(days_from(p[0], p[1], p[2]) + k * step, &y, &mo, &d);
        *out = arena_printf(a, "%04lld-%02lld-%02lld", (long long)y, (long long)mo, (long long)d);
    }
    return true;
}

/* ---- order -------------------------------------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(uint64_t *s) {
    uint64_t z = *s += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order) {
    uint64_t s = seed;
    s = next_random(&s) + epoch * UINT64_C(0xd1342543de82ef95);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(next_random(&s) % (uint64_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}
