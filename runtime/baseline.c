/* baseline: forecasts that need no network, to hold a network's against: the newest value again, and a linear function of the window
   (autoregression), fitted by least squares on the samples that train. Of classes: always the one most frequent in training; of tokens at each step: their
   shares in training. */
#include <math.h>
#include <string.h>

#include "runtime/feed.h"

enum {
    LINEAR_MOST = 600,
    WINDOWS_MOST = 1 << 20
}; /* numbers that the linear function sees; examples that are read once more */

static double seen(const Series *s, int64_t k, int64_t i) {
    if (i == s->window * s->nx) return 1;
    const Column *c = &s->x[i % s->nx];
    return (c->value[k * s->stride + i / s->nx] - c->shift) / c->scale;
}

static double wanted(const Series *s, const Column *y, int64_t k) { return (y->value[series_row(s, k)] - y->shift) / y->scale; }

/* w of a w = b for a symmetric positive a [n, n], by Cholesky; a becomes its factor, b the result. */
static bool solve(double *a, double *b, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        for (int64_t k = 0; k < j; k++) a[j * n + j] -= a[j * n + k] * a[j * n + k];
        if (!(a[j * n + j] > 0)) return false;
        a[j * n + j] = sqrt(a[j * n + j]);
        for (int64_t i = j + 1; i < n; i++) {
            for (int64_t k = 0; k < j; k++) a[i * n + j] -= a[i * n + k] * a[j * n + k];
            a[i * n + j] /= a[j * n + j];
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++) b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

/* Least squares over the samples [0, train), held down just enough to be solvable. False: too few samples, or too large. */
static bool fit(const Series *s, const Column *y, Arena *a, double *w) {
    int64_t n = s->window * s->nx + 1;
    if (s->set.train < n || n > LINEAR_MOST) return false;
    double *sum = NEW_N(a, double, n *n), trace = 0;
    for (int64_t k = 0; k < s->set.train; k++)
        for (int64_t i = 0; i < n; i++) {
            double x = seen(s, k, i);
            w[i] += x * wanted(s, y, k);
            for (int64_t j = 0; j <= i; j++) sum[i * n + j] += x * seen(s, k, j);
        }
    for (int64_t i = 0; i < n; i++) trace += sum[i * n + i];
    for (int64_t i = 0; i < n; i++) sum[i * n + i] += 1e-10 * trace / (double)n;
    return solve(sum, w, n);
}

void series_baselines(Model *m, const Series *s, uint32_t c, int64_t from, int64_t to, double *persistence, double *linear) {
    const Column *y = &s->y[c];
    Arena *tmp = scratch_begin(m);
    int64_t n = s->window * s->nx + 1;
    double *w = NEW_N(tmp, double, n), last = 0, fitted_to = 0;
    bool ok = fit(s, y, tmp, w);
    for (int64_t k = from; k < to; k++) {
        int64_t row = series_row(s, k);
        double d = y->value[row - s->horizon] - y->value[row], f = -wanted(s, y, k);
        for (int64_t i = 0; ok && i < n; i++) f += w[i] * seen(s, k, i);
        last += d * d;
        fitted_to += f * f;
    }
    *persistence = to > from ? sqrt(last / (double)(to - from)) : NAN;
    *linear = ok && to > from ? sqrt(fitted_to / (double)(to - from)) * y->scale : NAN;
    scratch_end(m);
}

bool majority_share(Model *m, const Dataset *d, int64_t from, int64_t to, double *out) {
    const PortDesc *y = m->desc->target.n == 1 ? &m->desc->target.at[0] : NULL;
    int64_t classes = y && y->vocab ? y->vocab : 2, best = 0, same = 0;
    *out = NAN;
    if (!y || y->seq || y->rank || (!y->vocab && y->dtype != DT_B) || to <= from) return false;
    Arena *tmp = scratch_begin(m);
    const Array *x = first_target(m, &d->array);
    int64_t *count = NEW_N(tmp, int64_t, classes);
    if (x && (x->rank < 1 || array_count(x) != d->n)) x = NULL;
    for (int64_t i = 0; x && i < d->train; i++) {
        double v = array_get(x, i);
        if (v >= 0 && v < (double)classes) count[(int64_t)v]++;
    }
    for (int64_t c = 1; c < classes; c++)
        if (count[c] > count[best]) best = c;
    for (int64_t i = from; x && i < to; i++) same += (int64_t)array_get(x, i) == best;
    if (x) *out = (double)same / (double)(to - from);
    scratch_end(m);
    return x != NULL;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Model *m;
    const Dataset *d;
    const PortDesc *y;
    int64_t *count; /* [vocab] */
    Batch batch;
} Tokens;

/* Calls fn for the target's token at each real step of examples [from, to). */
static bool each_token(Tokens *k, int64_t from, int64_t to, void (*fn)(Tokens *k, int64_t token, double *sum), double *sum) {
    enum { BATCH = 64 };
    const char *name = name_str(k->m->ctx, k->y->name);
    int64_t example[BATCH];
    for (int64_t at = from; at < to; at += BATCH) {
        int64_t B = to - at < BATCH ? to - at : BATCH;
        for (int64_t b = 0; b < B; b++) example[b] = at + b;
        if (!batch_fill(&k->batch, k->m->ctx, k->d, B, example)) return false;
        Arena *tmp = scratch_begin(k->m);
        const Array *x = arrays_find(&k->batch.array, arena_printf(tmp, "target/%s", name)),
                    *n = arrays_find(&k->batch.array, arena_printf(tmp, "length/%s", name));
        scratch_end(k->m);
        if (!x || x->rank != 2) return false;
        for (int64_t b = 0; b < B; b++) {
            int64_t row = k->batch.row ? k->batch.row[b] : b, steps = n ? (int64_t)array_get(n, row) : x->dim[1];
            for (int64_t t = 0; t < steps; t++) fn(k, (int64_t)array_get(x, row * x->dim[1] + t), sum);
        }
    }
    return true;
}

static void count_token(Tokens *k, int64_t token, double *sum) {
    k->count[token]++;
    sum[0]++;
}

/* sum: of what trains, the number of tokens and the most frequent one; of these, number, surprise, and how many are that one. */
static void judge_token(Tokens *k, int64_t token, double *sum) {
    sum[2]++;
    sum[3] -= log((double)(k->count[token] + 1) / (sum[0] + (double)k->y->vocab));
    sum[4] += (double)token == sum[1];
}

bool token_baselines(Model *m, const Dataset *d, int64_t from, int64_t to, double *entropy, double *majority) {
    const PortDesc *y = m->desc->target.n == 1 ? &m->desc->target.at[0] : NULL;
    double sum[5] = {0};
    *entropy = *majority = NAN;
    if (!y || !y->seq || !y->vocab || y->rank || !d->feed || from >= to || d->n > WINDOWS_MOST) return false;
    Tokens k = {.m = m, .d = d, .y = y, .count = NEW_N(scratch_begin(m), int64_t, y->vocab)};
    bool ok = each_token(&k, 0, d->train, count_token, sum);
    for (int64_t i = 1; i < y->vocab; i++)
        if (k.count[i] > k.count[(int64_t)sum[1]]) sum[1] = (double)i;
    ok = ok && each_token(&k, from, to, judge_token, sum) && sum[2] > 0;
    batch_free(&k.batch);
    scratch_end(m);
    if (ok) *entropy = sum[3] / sum[2];
    if (ok) *majority = sum[4] / sum[2];
    return ok;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------ */

static const Array *port_array(Model *m, const Arrays *in, const PortDesc *p, bool target) {
    Arena *tmp = scratch_begin(m);
    const char *name = name_str(m->ctx, p->name);
    const Array *x = arrays_find(in, arena_printf(tmp, "%s%s", target ? "target/" : "input/", name));
    scratch_end(m);
    return x ? x : arrays_find(in, name);
}

/* Adds the values of one example's steps, each to the sum of its place in a step. */
static void add_example(const Batch *b, const PortDesc *p, const Array *x, const Array *length, int64_t k, double *sum, double *square, double *count) {
    int64_t row = b->row ? b->row[k] : k, per = 1, most = p->seq ? x->dim[1] : 1;
    for (int i = p->seq ? 2 : 1; i < x->rank; i++) per *= x->dim[i];
    int64_t steps = p->seq && length ? (int64_t)array_get(length, row) : most;
    for (int64_t t = 0; t < steps; t++)
        for (int64_t i = 0; i < per; i++) {
            double v = array_get(x, (row * most + t) * per + i);
            sum[i] += v;
            square[i] += v * v;
        }
    *count += (double)steps;
}

bool data_spread(Model *m, const Dataset *d, const PortDesc *p, bool target, double *mean, double *deviation) {
    enum { BATCH = 64 };
    Batch b = {0};
    int64_t per = 1, example[BATCH];
    double count = 0;
    for (int i = 0; i < p->rank; i++) per *= p->dim[i];
    memset(mean, 0, (size_t)per * sizeof *mean);
    memset(deviation, 0, (size_t)per * sizeof *deviation);
    for (int64_t at = 0; at < d->train; at += BATCH) {
        int64_t B = d->train - at < BATCH ? d->train - at : BATCH;
        for (int64_t k = 0; k < B; k++) example[k] = at + k;
        if (!batch_fill(&b, m->ctx, d, B, example)) break;
        const Array *x = port_array(m, &b.array, p, target), *length = arrays_find(&b.array, arena_printf(scratch_begin(m), "length/%s", name_str(m->ctx, p->name)));
        scratch_end(m);
        if (!x || x->rank < 1 + p->seq || array_count(x) != x->dim[0] * (p->seq ? x->dim[1] : 1) * per) break; /* [n] of numbers is [n, 1] */
        for (int64_t k = 0; k < B; k++) add_example(&b, p, x, length, k, mean, deviation, &count);
    }
    batch_free(&b);
    for (int64_t i = 0; count > 0 && i < per; i++) {
        mean[i] /= count;
        deviation[i] = sqrt(fmax(deviation[i] / count - mean[i] * mean[i], 0));
    }
    return count > 0;
}

double mean_rmse(Model *m, const Dataset *d, int64_t from, int64_t to) {
    const PortDesc *y = m->desc->target.n == 1 ? &m->desc->target.at[0] : NULL;
    if (!y || y->seq || y->vocab || y->dtype != DT_F || from >= to) return NAN;
    Arena *tmp = scratch_begin(m);
    const Array *x = first_target(m, &d->array);
    int64_t per = x && d->n ? array_count(x) / d->n : 0;
    double *mean = NEW_N(tmp, double, per + 1), *deviation = NEW_N(tmp, double, per + 1), sum = 0;
    bool ok = per && data_spread(m, d, y, true, mean, deviation);
    for (int64_t i = from * per; ok && i < to * per; i++) {
        double v = array_get(x, i) - mean[i % per];
        sum += v * v;
    }
    scratch_end(m);
    return ok ? sqrt(sum / (double)((to - from) * per)) : NAN;
}
