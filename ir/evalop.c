/* The evaluator's operations with a structure: noise, reductions, dot, shapes, gather and scatter, time. */
#include <math.h>
#include <string.h>

#include "ir/eval.h"

static const Node *operand(const Frame *f, Ref r, int i) { return &f->g->node.at[f->g->node.at[r].in[i]]; }

static const double *value(const Frame *f, Ref r, int i) { return f->v[f->g->node.at[r].in[i]]; }

/* Offset, in the reduced features, of each feature of an operand whose dims in `dims` leave. */
static void reduced_map(const Node *a, uint32_t dims, int64_t *map) {
    int64_t stride[3] = {0, 0, 0}, n = 1, k = 0;

    for (int d = a->rank; d-- > 0;) {
        if (dims >> d & 1) continue;
        stride[d] = n;
        n *= a->dim[d];
    }
    for (int64_t i = 0; i < (a->rank > 0 ? a->dim[0] : 1); i++)
        for (int64_t j = 0; j < (a->rank > 1 ? a->dim[1] : 1); j++)
            for (int64_t l = 0; l < (a->rank > 2 ? a->dim[2] : 1); l++)
                map[k++] = i * stride[0] + j * stride[1] + l * stride[2];
}

/* ---- noise ------------------------------------------------------------------------------------------------------------ */

static double dot4(const double *a, const double *b, int64_t n) {
    double s[4] = {0, 0, 0, 0};
    int64_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) s[k] += a[i + k] * b[i + k];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Modified Gram-Schmidt on the shorter side's vectors: the Q of a QR whose R has a positive diagonal. `first`: the number of its first draw. */
static void eval_orthogonal(const Eval *e, int64_t rows, int64_t cols, uint32_t stream, int64_t first, double *out) {
    int64_t count = rows < cols ? rows : cols, len = rows < cols ? cols : rows;
    double *q = ctx_alloc(e->m->ctx, (size_t)(count * len) * sizeof(double));

    noise_draw(true, e->in->seed, e->in->update, stream, 0, 0, first, count * len, q);
    for (int64_t i = 0; i < count; i++) {
        double *v = q + i * len, norm = sqrt(dot4(v, v, len));
        if (norm == 0) v[i] = norm = 1;
        for (int64_t k = 0; k < len; k++) v[k] /= norm;
        for (int64_t j = i + 1; j < count; j++) {
            double *u = q + j * len, p = dot4(v, u, len);
            for (int64_t k = 0; k < len; k++) u[k] -= p * v[k];
        }
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) out[i * cols + j] = rows < cols ? q[i * len + j] : q[j * len + i];
    ctx_free(e->m->ctx, q);
}

void eval_noise(const Eval *e, const Node *n, const uint32_t *w, double *out) {
    Layout l;
    int64_t idx[MAX_AXES] = {0}, features = node_features(n), i = 0;

    layout_of(e, n->axes, &l);
    if (w[0] == NOISE_ORTHOGONAL) {
        int64_t rows = n->dim[n->rank - 2], cols = n->dim[n->rank - 1];
        for (; i < features; i += rows * cols) eval_orthogonal(e, rows, cols, w[1], i, out + i);
        return;
    }
    if (!l.rows) return;
    do {
        int64_t b = idx[AXIS_B];
        uint32_t h = 0, example = 0;
        for (uint32_t a = 1; a < e->m->naxis; a++)
            if (w[2] & AX(a)) h = noise_step(h, (n->axes & AX(a) ? idx[a] : e->now[a]) + (e->m->axis[a].kind == AXIS_TIME ? e->in->step : 0));
        if (n->axes & AX(AXIS_B)) example = (uint32_t)(e->in->example ? e->in->example[b] : b);
        noise_draw(w[0] == NOISE_NORMAL, e->in->seed, e->in->update, w[1], h, example, 0, features, out + i);
        i += features;
    } while (row_next(&l, idx));
}

/* ---- reductions ------------------------------------------------------------------------------------------------------- */

static void eval_reduce(Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *a = operand(f, r, 0);
    const uint32_t *w = node_attr(f->g, r);
    const double *v = value(f, r, 0);
    int64_t features = node_features(a), idx[MAX_AXES] = {0}, fo = node_features(n);
    int64_t *map = ctx_alloc(e->m->ctx, (size_t)features * sizeof *map);
    Layout l, lo;

    layout_of(e, a->axes, &l);
    layout_of(e, n->axes, &lo);
    reduced_map(a, w[1], map);
    int64_t first = e->in->f32_draw ? (int64_t)(eval_draw(e) * (double)features) : 0; /* loops sum in an order of their own */
    for (int64_t i = 0; i < lo.rows * fo; i++) out[i] = n->op == OP_SUM ? 0 : -INFINITY;
    for (bool more = l.rows > 0; more; more = row_next(&l, idx), v += features) {
        double *p = out + row_at(&lo, idx) * fo;
        if (!row_valid(e, a->axes, idx)) continue;
        for (int64_t i = 0, k = first; i < features; i++, k = k + 1 < features ? k + 1 : 0) {
            if (n->op == OP_SUM)
                p[map[k]] = eval_rounded(e, p[map[k]] + v[k]);
            else if (p[map[k]] < v[k] || v[k] != v[k])
                p[map[k]] = v[k];
        }
    }
    ctx_free(e->m->ctx, map);
}

static void eval_argmax(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *a = operand(f, r, 0);
    const double *v = value(f, r, 0);
    int64_t outer = rows_of(e, n->axes), inner = 1, size = a->dim[n->attr];

    for (uint32_t d = 0; d < n->attr; d++) outer *= a->dim[d];
    for (uint32_t d = n->attr + 1; d < a->rank; d++) inner *= a->dim[d];
    for (int64_t i = 0; i < outer; i++)
        for (int64_t k = 0; k < inner; k++) {
            const double *p = v + i * size * inner + k;
            int64_t best = 0;
            for (int64_t j = 1; j < size; j++)
                if (p[j * inner] > p[best * inner]) best = j;
            *out++ = (double)best;
        }
}

/* ---- dot -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int n;                                    /* labels */
    int64_t size[10], sa[10], sb[10], so[10]; /* strides in each operand and the result; 0: absent */
} Labels;

static Labels dot_labels(const Node *a, const Node *b, const Node *n, const uint32_t *w) {
    Labels l = {0};
    const Node *x[3] = {a, b, n};

    for (int i = 0; i < 3; i++) {
        int64_t stride = 1;
        for (int d = x[i]->rank; d-- > 0;) {
            uint32_t label = w[3 * i + d];
            int64_t *s = i == 0 ? l.sa : i == 1 ? l.sb : l.so;
            if (label > 9) continue;
            l.size[label] = x[i]->dim[d];
            s[label] = stride;
            stride *= x[i]->dim[d];
        }
    }
    for (int k = 1; k < 10; k++) { /* close up */
        if (!l.size[k]) continue;
        l.size[l.n] = l.size[k];
        l.sa[l.n] = l.sa[k];
        l.sb[l.n] = l.sb[k];
        l.so[l.n++] = l.so[k];
    }
    return l;
}

static void dot_row(Eval *e, const Labels *l, int k, const double *a, const double *b, double *o) {
    if (k == l->n) {
        *o = eval_rounded(e, *o + *a * *b);
        return;
    }
    if (k == l->n - 1 && !e->in->f32_draw && !e->in->f64_draw) {
        for (int64_t i = 0; i < l->size[k]; i++) o[i * l->so[k]] += a[i * l->sa[k]] * b[i * l->sb[k]];
        return;
    }
    for (int64_t i = 0; i < l->size[k]; i++) dot_row(e, l, k + 1, a + i * l->sa[k], b + i * l->sb[k], o + i * l->so[k]);
}

static void eval_dot(Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *a = operand(f, r, 0), *b = operand(f, r, 1);
    Labels labels = dot_labels(a, b, n, node_attr(f->g, r));
    Layout all, la, lb, lo;
    int64_t idx[MAX_AXES] = {0}, fa = node_features(a), fb = node_features(b), fo = node_features(n);

    layout_of(e, a->axes | b->axes, &all);
    layout_of(e, a->axes, &la);
    layout_of(e, b->axes, &lb);
    layout_of(e, n->axes, &lo);
    memset(out, 0, (size_t)(lo.rows * fo) * sizeof(double));
    for (bool more = all.rows > 0; more; more = row_next(&all, idx))
        if (row_valid(e, a->axes | b->axes, idx))
            dot_row(e, &labels, 0, value(f, r, 0) + row_at(&la, idx) * fa, value(f, r, 1) + row_at(&lb, idx) * fb,
                    out + row_at(&lo, idx) * fo);
}

/* ---- shapes ----------------------------------------------------------------------------------------------------------- */

/* Where feature (i, j, k) of the result comes from; -1: zero. */
static int64_t shape_source(const Node *n, const Node *a, const uint32_t *w, const int64_t pos[3]) {
    int64_t from[3] = {pos[0], pos[1], pos[2]}, at = 0;

    if (n->op == OP_SLICE) from[w[0]] += (int32_t)w[1];
    if (n->op == OP_PAD) {
        from[w[0]] -= (int32_t)w[1];
        if (from[w[0]] < 0 || from[w[0]] >= a->dim[w[0]]) return -1;
    }
    for (int i = 0; n->op == OP_TRANSPOSE && i < n->rank; i++) from[w[i]] = pos[i];
    for (int i = 0; n->op == OP_EXPAND && i < n->rank; i++)
        if ((int32_t)w[i] >= 0) from[w[i]] = pos[i];
    for (int d = 0; d < a->rank; d++) at = at * a->dim[d] + from[d];
    return at;
}

static void eval_shape(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *a = operand(f, r, 0);
    const uint32_t *w = node_attr(f->g, r);
    int64_t features = node_features(n), fa = node_features(a), idx[MAX_AXES] = {0}, pos[3] = {0, 0, 0};
    int64_t *map = ctx_alloc(e->m->ctx, (size_t)features * sizeof *map);
    Layout l, la;

    layout_of(e, n->axes, &l);
    layout_of(e, a->axes, &la);
    for (int64_t k = 0; k < features; k++) {
        map[k] = n->op == OP_RESHAPE ? k : shape_source(n, a, w, pos);
        for (int d = n->rank; d-- > 0;) {
            if (++pos[d] < n->dim[d]) break;
            pos[d] = 0;
        }
    }
    for (bool more = l.rows > 0; more; more = row_next(&l, idx)) {
        const double *p = value(f, r, 0) + row_at(&la, idx) * fa;
        for (int64_t k = 0; k < features; k++) *out++ = map[k] < 0 ? 0 : p[map[k]];
    }
    ctx_free(e->m->ctx, map);
}

static void eval_concat(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r];
    uint32_t count;
    const Ref *in = node_ext(f->g, r, &count);
    int64_t outer = rows_of(e, n->axes), inner = 1;

    for (uint32_t d = 0; d < n->attr; d++) outer *= n->dim[d];
    for (uint32_t d = n->attr + 1; d < n->rank; d++) inner *= n->dim[d];
    for (int64_t i = 0; i < outer; i++)
        for (uint32_t k = 0; k < count; k++) {
            int64_t block = f->g->node.at[in[k]].dim[n->attr] * inner;
            memcpy(out, f->v[in[k]] + i * block, (size_t)block * sizeof(double));
            out += block;
        }
}

/* ---- indices ---------------------------------------------------------------------------------------------------------- */

static int64_t clamp_index(double v, int64_t n) { return !(v > 0) ? 0 : v >= (double)n ? n - 1 : (int64_t)v; }

static void eval_gather(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *t = operand(f, r, 0), *i = operand(f, r, 1);
    Layout l, lt, li;
    int64_t idx[MAX_AXES] = {0}, ft = node_features(t), fi = node_features(i), rest = ft / t->dim[0];

    layout_of(e, n->axes, &l);
    layout_of(e, t->axes, &lt);
    layout_of(e, i->axes, &li);
    for (bool more = l.rows > 0; more; more = row_next(&l, idx)) {
        const double *table = value(f, r, 0) + row_at(&lt, idx) * ft, *index = value(f, r, 1) + row_at(&li, idx) * fi;
        for (int64_t k = 0; k < fi; k++, out += rest)
            memcpy(out, table + clamp_index(index[k], t->dim[0]) * rest, (size_t)rest * sizeof(double));
    }
}

static void eval_scatter_add(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *i = operand(f, r, 0), *v = operand(f, r, 1);
    uint32_t axes = i->axes | v->axes;
    Layout l, li, lv, lo;
    int64_t idx[MAX_AXES] = {0}, fo = node_features(n), fv = node_features(v), fi = node_features(i), rest = fo / n->dim[0];

    layout_of(e, axes, &l);
    layout_of(e, i->axes, &li);
    layout_of(e, v->axes, &lv);
    layout_of(e, n->axes, &lo);
    memset(out, 0, (size_t)(lo.rows * fo) * sizeof(double));
    for (bool more = l.rows > 0; more; more = row_next(&l, idx)) {
        const double *index = value(f, r, 0) + row_at(&li, idx) * fi, *p = value(f, r, 1) + row_at(&lv, idx) * fv;
        double *o = out + row_at(&lo, idx) * fo;
        if (!row_valid(e, axes, idx)) continue;
        for (int64_t k = 0; k < fi; k++)
            for (int64_t j = 0; j < rest; j++) o[clamp_index(index[k], n->dim[0]) * rest + j] += p[k * rest + j];
    }
}

/* ---- time ------------------------------------------------------------------------------------------------------------- */

/* The row of in[0] (or of in[1], *second) that a row of the result is; false: zero. idx is set to it. */
static bool time_source(const Eval *e, const Node *n, const Node *a, const Node *b, const uint32_t *w, int64_t *idx,
                        bool *second) {
    int64_t t, len;

    *second = false;
    if (n->op == OP_JOIN) {
        t = idx[w[2]];
        len = axis_length(e, w[0], n->axes, idx);
        *second = t >= len;
        if (!*second) {
            idx[w[0]] = t;
            return true;
        }
        idx[w[1]] = t - len;
        return t - len < axis_length(e, w[1], n->axes, idx);
    }
    len = axis_length(e, w[0], a->axes, idx);
    (void)b;
    if (n->op == OP_LAST) {
        idx[w[0]] = len - 1;
        return len > 0;
    }
    t = idx[w[0]];
    if (n->op == OP_REVERSE) {
        idx[w[0]] = len - 1 - t;
        return t < len;
    }
    t -= (int32_t)w[1];
    *second = t < 0 || t >= len;
    idx[w[0]] = t;
    return true;
}

static void eval_time(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r], *a = operand(f, r, 0), *b = op_info[n->op].arity > 1 ? operand(f, r, 1) : a;
    const uint32_t *w = node_attr(f->g, r);
    Layout l, la, lb;
    int64_t idx[MAX_AXES] = {0}, features = node_features(n);
    size_t bytes = (size_t)features * sizeof(double);

    layout_of(e, n->axes, &l);
    layout_of(e, a->axes, &la);
    layout_of(e, b->axes, &lb);
    for (bool more = l.rows > 0; more; more = row_next(&l, idx), out += features) {
        int64_t from[MAX_AXES];
        bool second;
        memcpy(from, idx, sizeof from);
        if (!time_source(e, n, a, b, w, from, &second))
            memset(out, 0, bytes);
        else if (second)
            memcpy(out, value(f, r, 1) + row_at(&lb, from) * features, bytes);
        else
            memcpy(out, value(f, r, 0) + row_at(&la, from) * features, bytes);
    }
}

void eval_structural(Eval *e, const Frame *f, Ref r, double *out) {
    uint16_t op = f->g->node.at[r].op;

    if (op == OP_SUM || op == OP_AMAX)
        eval_reduce(e, f, r, out);
    else if (op == OP_ARGMAX)
        eval_argmax(e, f, r, out);
    else if (op == OP_DOT)
        eval_dot(e, f, r, out);
    else if (op == OP_CONCAT)
        eval_concat(e, f, r, out);
    else if (op == OP_GATHER)
        eval_gather(e, f, r, out);
    else if (op == OP_SCATTER_ADD)
        eval_scatter_add(e, f, r, out);
    else if (op_info[op].cls == OPC_SHAPE)
        eval_shape(e, f, r, out);
    else if (op_info[op].cls == OPC_TIME)
        eval_time(e, f, r, out);
}
