/* metric: cells scanned over the real rows of a data set, their states carried from batch to batch. One whose rows come in an order
   (`return v, falling p`) keeps them all and sorts them at the end. Where rows are narrow, states and sums are in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/feed.h"

enum { METRIC_ARGS = 8, NARROW = 64 };

/* The rows of one metric, kept until they can be sorted. */
typedef struct {
    Array arg[METRIC_ARGS]; /* all rows so far */
    int64_t cap;
} Kept;
struct Metrics {
    Model *m;
    Arena arena;
    Kept *kept;
    struct {
        void *data;
        size_t size;
    } room[METRIC_ARGS]; /* a batch's rows, argument by argument: kept, since fresh pages cost more than the rows */
};

/* ---- what there is ------------------------------------------------------------------------------------------------------ */

static uint32_t metric_size(const MetricDesc *d) {
    uint32_t n = 1;
    for (int k = 0; k < d->rank; k++) n *= (uint32_t)d->dim[k];
    return n;
}

uint32_t metric_count(const Model *m) {
    return metric_first(m, m->desc->metric.n);
}

uint32_t metric_first(const Model *m, uint32_t metric) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < metric; i++) n += metric_size(&m->desc->metric.at[i]);
    return n;
}

const MetricDesc *metric_desc(const Model *m, uint32_t k, uint32_t *within) {
    uint32_t i = 0;
    for (; i + 1 < m->desc->metric.n && k >= metric_size(&m->desc->metric.at[i]); i++) k -= metric_size(&m->desc->metric.at[i]);
    *within = k;
    return &m->desc->metric.at[i];
}

const char *metric_name(Model *m, uint32_t k) {
    uint32_t at;
    const MetricDesc *d = metric_desc(m, k, &at);
    const char *name = name_str(m->ctx, d->name);
    if (!d->rank) return name;
    if (d->rank == 1) name = arena_printf(&m->arena, "%s[%u]", name, at);
    else name = arena_printf(&m->arena, "%s[%u,%u]", name, at / (uint32_t)d->dim[1], at % (uint32_t)d->dim[1]);
    return name_str(m->ctx, intern(m->ctx, name));
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

static uint32_t arguments(const Model *m, uint32_t i) {
    return m->desc->metric.at[i].nargs < METRIC_ARGS ? m->desc->metric.at[i].nargs : METRIC_ARGS;
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

static void *room(Metrics *s, uint32_t arg, size_t size) {
    if (size > s->room[arg].size) {
        ctx_free(s->m->ctx, s->room[arg].data);
        s->room[arg].data = NULL;
        s->room[arg].size = 0;
        s->room[arg].data = ctx_alloc(s->m->ctx, size);
        s->room[arg].size = size;
    }
    return s->room[arg].data;
}

/* The real rows of one argument, example by example, as they are asked for. */
typedef struct {
    uint32_t root;
    const Node *n;
    Array shape;
    int64_t X, all, next; /* positions of an example; rows, padding included */
} Rows;

static Rows rows_begin(const Exec *e, uint32_t root) {
    const Graph *g = exec_module(e)->graph.at[0];
    Rows q = {.root = root, .n = &g->node.at[g->root.at[root].ref]};
    exec_shape(e, root, &q.shape);
    int64_t B = q.n->axes & AX(AXIS_B) ? exec_batch(e) : 1;
    q.all = array_count(&q.shape) / node_features(q.n);
    q.X = q.all / B;
    return q;
}

/* The next ones, `most` at most: [rows, features], in the metrics' own room. */
static void rows_next(Metrics *s, const Exec *e, Rows *q, uint32_t arg, int64_t most, Array *out) {
    int64_t left = q->all - q->next, F = node_features(q->n), got = 0;
    if (most > left) most = left;
    *out = (Array){.name = "rows", .type = q->shape.type, .rank = 1 + q->n->rank};
    for (int k = 0; k < q->n->rank; k++) out->dim[k + 1] = q->n->dim[k];
    out->data = room(s, arg, (size_t)(most * F) * rondo_type_size(out->type) + 1);
    for (; got < most && q->next < q->all; q->next++) {
        int64_t b = q->next / q->X, x = q->next % q->X;
        if (real_row(e, q->n, q->shape.dim, b, x)) exec_read_row(e, q->root, b, x, out, got++);
    }
    out->dim[0] = got;
}

/* Rows [at, at + n) of every argument through the metric. */
static bool run_chunk(CellRun *c, const Array *arg, uint32_t nargs, int64_t at, int64_t n) {
    int64_t axis[MAX_AXES] = {0};
    for (uint32_t k = 0; k < c->mod->naxis; k++) axis[k] = 1;
    axis[1] = n;
    if (!exec_dims(c->exec, axis)) return false;
    for (uint32_t k = 0; k < nargs; k++) {
        Array x = arg[k];
        int64_t row = x.dim[0] ? array_count(&x) / x.dim[0] : 0;
        x.dim[0] = n;
        x.data = (char *)x.data + (size_t)(at * row) * rondo_type_size(x.type);
        if (x.type == (exec_f64(c->exec) ? RONDO_F64 : RONDO_F32) && exec_module(c->exec)->input.at[k].dtype == DT_F)
            exec_bind_input(c->exec, k, x.data);
        else if (!exec_set_input(c->exec, k, &x, NULL)) return false;
    }
    if (!cell_run(c, 0, n)) return false;
    cell_swap(c);
    return true;
}

/* Of so many numbers at most. */
static int64_t chunk_rows(int64_t widest) {
    enum { CHUNK = 1 << 20 }; /* numbers that are copied at a time: a cache's worth */
    return CHUNK / widest > 64 ? CHUNK / widest : 64;
}

static bool run_rows(CellRun *c, const Array *arg, uint32_t nargs) {
    int64_t most = 1, rows = arg[0].dim[0];
    for (uint32_t k = 0; k < nargs; k++) {
        int64_t row = rows ? array_count(&arg[k]) / rows : 1;
        if (row > most) most = row;
    }
    int64_t chunk = chunk_rows(most);
    for (int64_t at = 0; at < rows; at += chunk)
        if (!run_chunk(c, arg, nargs, at, rows - at < chunk ? rows - at : chunk)) return false;
    return true;
}

/* ---- in an order -------------------------------------------------------------------------------------------------------- */

static size_t row_bytes(const Array *x) {
    size_t n = rondo_type_size(x->type);
    for (int k = 1; k < x->rank; k++) n *= (size_t)x->dim[k];
    return n;
}

static void keep_rows(Metrics *s, Kept *kept, const Array *arg, uint32_t nargs) {
    int64_t had = kept->arg[0].data ? kept->arg[0].dim[0] : 0, rows = arg[0].dim[0], cap = kept->cap;
    while (cap < had + rows) cap = cap ? 2 * cap : 1024;
    for (uint32_t k = 0; k < nargs; k++) {
        Array *to = &kept->arg[k];
        size_t row = row_bytes(&arg[k]);
        void *data = to->data;
        if (cap > kept->cap) data = arena_grow(&s->arena, data, (size_t)kept->cap * row, (size_t)cap * row);
        *to = arg[k];
        to->data = data;
        to->dim[0] = had + rows;
        if (rows) memcpy((char *)data + (size_t)had * row, arg[k].data, (size_t)rows * row);
    }
    kept->cap = cap;
}

typedef struct {
    double key;
    int64_t row;
} Sorted;

/* The largest first; what is no number before all. */
static int falling(const void *a, const void *b) {
    const Sorted *x = a, *y = b;
    if (isnan(x->key) != isnan(y->key)) return isnan(x->key) ? -1 : 1;
    if (x->key > y->key) return -1;
    if (x->key < y->key) return 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static bool run_sorted(Metrics *s, uint32_t i, Kept *kept) {
    uint32_t nargs = arguments(s->m, i), by = s->m->desc->metric.at[i].falling - 1;
    int64_t rows = kept->arg[0].data ? kept->arg[0].dim[0] : 0;
    Sorted *order = NEW_N(&s->arena, Sorted, rows + 1);
    for (int64_t r = 0; r < rows; r++) order[r] = (Sorted){array_get(&kept->arg[by], r), r};
    qsort(order, (size_t)rows, sizeof *order, falling);
    Array arg[METRIC_ARGS];
    for (uint32_t k = 0; k < nargs; k++) {
        size_t row = row_bytes(&kept->arg[k]);
        arg[k] = kept->arg[k];
        arg[k].data = NEW_N(&s->arena, char, (size_t)rows * row + 1);
        for (int64_t r = 0; r < rows; r++)
            memcpy((char *)arg[k].data + (size_t)r * row, (char *)kept->arg[k].data + (size_t)order[r].row * row, row);
    }
    return !rows || run_rows(&s->m->metric[i], arg, nargs);
}

/* ---- a data set --------------------------------------------------------------------------------------------------------- */

static bool narrow(const Module *mod) {
    int64_t n = 0;
    for (uint32_t i = 0; i < mod->input.n; i++) {
        int64_t row = 1;
        for (int k = 0; k < mod->input.at[i].rank; k++) row *= mod->input.at[i].dim[k];
        if (mod->input.at[i].kind == INPUT_DATA) n += row;
    }
    return n <= NARROW;
}

static bool make_cells(Model *m) {
    if (!m->metric) m->metric = NEW_N(&m->arena, CellRun, m->desc->metric.n + 1);
    for (uint32_t i = 0; i < m->desc->metric.n; i++) {
        if (m->metric[i].ready) continue;
        cell_free(&m->metric[i]); /* what an earlier failure left */
        Module *mod = frontend_metric(m->program, &m->arena, i);
        if (!cell_make(&m->metric[i], m, mod, 1, mod && narrow(mod))) return false;
        m->metric[i].ready = true;
    }
    return true;
}

Metrics *metrics_begin(Model *m) {
    if (!make_cells(m)) return NULL;
    for (uint32_t i = 0; i < m->desc->metric.n; i++)
        if (!cell_reset(&m->metric[i], 1)) return NULL;
    Metrics *s = ctx_alloc(m->ctx, sizeof *s + sizeof *s->kept * (m->desc->metric.n + 1)); /* at once: a second one could fail */
    s->m = m;
    s->arena = arena_make(m->ctx);
    s->kept = (Kept *)(s + 1);
    return s;
}

void metrics_free(Metrics *s) {
    if (!s) return;
    arena_free(&s->arena);
    for (uint32_t k = 0; k < METRIC_ARGS; k++) ctx_free(s->m->ctx, s->room[k].data);
    ctx_free(s->m->ctx, s);
}

static bool one_metric(Metrics *s, uint32_t i, Exec *e) {
    uint32_t nargs = arguments(s->m, i);
    Array arg[METRIC_ARGS];
    Rows from[METRIC_ARGS];
    int64_t widest = 1;
    for (uint32_t k = 0; k < nargs; k++) {
        int64_t root = exec_root(e, ROOT_METRIC, i << 8 | k, 0);
        if (root < 0) return false;
        from[k] = rows_begin(e, (uint32_t)root);
        if (node_features(from[k].n) > widest) widest = node_features(from[k].n);
    }
    if (!nargs) return false;
    int64_t most = chunk_rows(widest), rows = most;
    while (rows == most) {
        for (uint32_t k = 0; k < nargs; k++) {
            rows_next(s, e, &from[k], k, most, &arg[k]);
            rows = arg[0].dim[0];
            if (arg[k].dim[0] == rows) continue;
            diag_error(s->m->ctx, 999, NOWHERE, "the arguments of a metric differ in their rows");
            return false;
        }
        if (s->m->desc->metric.at[i].falling) keep_rows(s, &s->kept[i], arg, nargs);
        else if (rows && !run_chunk(&s->m->metric[i], arg, nargs, 0, rows)) return false;
    }
    return true;
}

bool metrics_batch(Metrics *s, Exec *e) {
    for (uint32_t i = 0; i < s->m->desc->metric.n; i++)
        if (!one_metric(s, i, e)) return false;
    return true;
}

/* The result of the last row. */
static bool read_value(Model *m, const CellRun *c, uint32_t n, double *out) {
    int64_t r = -1;
    const Graph *g = exec_module(c->exec)->graph.at[0];
    for (uint32_t k = 0; k < g->root.n; k++)
        if (g->root.at[k].kind == ROOT_OUTPUT) r = k;
    Array x;
    bool ok = r >= 0 && exec_get(c->exec, scratch_begin(m), (uint32_t)r, &x) && array_count(&x) == n;
    for (uint32_t k = 0; k < n; k++) out[k] = ok ? array_get(&x, k) : NAN;
    scratch_end(m);
    return ok;
}

bool metrics_end(Metrics *s, double *out) {
    Model *m = s->m;
    for (uint32_t i = 0; i < m->desc->metric.n; i++) {
        uint32_t n = metric_size(&m->desc->metric.at[i]);
        if (m->desc->metric.at[i].falling && !run_sorted(s, i, &s->kept[i])) return false;
        if (!read_value(m, &m->metric[i], n, out)) return false;
        out += n;
    }
    return true;
}
