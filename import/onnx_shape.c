/* onnx_shape: operators that move, cut and join dims, on values of the run and on constants. */
#include <math.h>
#include <string.h>

#include "import/onnx_graph.h"

bool onnx_axes(Onnx *o, const OnnxNode *n, uint32_t k, int rank, bool axis[RONDO_MAX_RANK], bool *given) {
    const OnnxAttr *at = onnx_attr(n, "axes");
    const Value *v = onnx_in(o, n, k);
    memset(axis, 0, RONDO_MAX_RANK * sizeof *axis);
    *given = at != NULL || v != NULL;
    if (!at && v && v->kind != VALUE_CONST) return onnx_refuse(o, "its axes are computed");
    int64_t count = at ? at->ni : v ? v->t.n : 0;
    for (int64_t i = 0; i < count; i++) {
        double d = at ? (double)at->is[i] : v->t.v[i];
        if (d < 0) d += rank;
        if (!(d >= 0 && d < rank) || d != floor(d)) return onnx_refuse(o, "one of its axes is out of range");
        axis[(int)d] = true;
    }
    return true;
}

static bool is_one(const Value *v, int d) { return v->role[d] == DIM_FEATURE && v->dim[d] == 1; }

static OnnxTensor like_tensor(const OnnxTensor *t) { return (OnnxTensor){.n = t->n, .v = t->v, .whole = t->whole}; }

static bool put_const(Onnx *o, const OnnxNode *n, OnnxTensor t) {
    Value *v = onnx_out(o, n, 0, VALUE_CONST);
    if (v) v->t = t;
    return v != NULL;
}

/* ---- dims of 1 ----------------------------------------------------------------------------------------------------------- */

static bool squeeze(Onnx *o, const OnnxNode *n, const Value *x) {
    bool axis[RONDO_MAX_RANK], given;
    int rank = x->kind == VALUE_CONST ? x->t.rank : x->rank;
    if (!onnx_axes(o, n, 1, rank, axis, &given)) return false;
    if (x->kind == VALUE_CONST) {
        OnnxTensor t = like_tensor(&x->t);
        for (int d = 0; d < rank; d++)
            if (given ? !axis[d] : x->t.dim[d] != 1)
                t.dim[t.rank++] = x->t.dim[d];
            else if (x->t.dim[d] != 1)
                return onnx_refuse(o, "it squeezes a dim of %lld", (long long)x->t.dim[d]);
        return put_const(o, n, t);
    }
    Value *v = onnx_alias(o, n, 0, x);
    if (!v) return false;
    v->rank = 0;
    for (int d = 0; d < rank; d++) {
        if (given ? !axis[d] : !is_one(x, d))
            value_add_dim(v, x->role[d], x->dim[d]);
        else if (!is_one(x, d))
            return onnx_refuse(o, "it squeezes a dim that is batch, time or larger than 1");
    }
    return true;
}

static bool unsqueeze(Onnx *o, const OnnxNode *n, const Value *x) {
    bool axis[RONDO_MAX_RANK], given;
    const OnnxAttr *at = onnx_attr(n, "axes");
    const Value *list = onnx_in(o, n, 1);
    int rank = x->kind == VALUE_CONST ? x->t.rank : x->rank, from = 0;
    int64_t all = rank + (at ? at->ni : list && list->kind == VALUE_CONST ? list->t.n : 0);
    if (all > RONDO_MAX_RANK) return onnx_refuse(o, "the result has more than 8 dims");
    if (!onnx_axes(o, n, 1, (int)all, axis, &given)) return false;
    OnnxTensor t = like_tensor(&x->t);
    Value *v = x->kind == VALUE_CONST ? NULL : onnx_alias(o, n, 0, x);
    if (x->kind != VALUE_CONST && !v) return false;
    if (v) v->rank = 0;
    for (int d = 0; d < (int)all; d++) {
        int k = from;
        if (!axis[d] && from++ >= rank) return onnx_refuse(o, "its axes are given twice");
        if (v)
            value_add_dim(v, axis[d] ? DIM_FEATURE : x->role[k], axis[d] ? 1 : x->dim[k]);
        else
            t.dim[t.rank++] = axis[d] ? 1 : x->t.dim[k];
    }
    return v || put_const(o, n, t);
}

/* ---- Reshape ------------------------------------------------------------------------------------------------------------- */

/* Whether a wanted size stands for dim d of x: "copy it" (0), a mark, or its fixed size. */
static bool stands_for(const Value *x, int d, double want) {
    if (want == MARK_BATCH) return x->role[d] == DIM_BATCH;
    if (want == MARK_TIME) return x->role[d] == DIM_TIME;
    return x->role[d] != DIM_FEATURE && x->dim[d] >= 0 && want == (double)x->dim[d];
}

/* Batch and time in the same order, and as many features before, between and after them: only then do the numbers stay in place. */
static bool same_layout(const Value *x, const Value *y) {
    int i = 0, k = 0;
    for (;;) {
        int64_t a = 1, b = 1;
        for (; i < x->rank && x->role[i] == DIM_FEATURE; i++) a *= x->dim[i];
        for (; k < y->rank && y->role[k] == DIM_FEATURE; k++)
            if (!checked_mul(b, y->dim[k], &b)) return false;
        if (a != b) return false;
        if (i == x->rank || k == y->rank) return i == x->rank && k == y->rank;
        if (x->role[i++] != y->role[k++]) return false;
    }
}

/* Walks both lists of dims at once: features may be cut and joined, batch and time have to reappear in their order. */
static bool reshape_run(Onnx *o, const OnnxNode *n, const Value *x, const double *want, int64_t count) {
    Value *v = onnx_alias(o, n, 0, x);
    if (!v) return false;
    v->rank = 0;
    int64_t product = 1, free_at = -1; /* of the feature sizes asked for; the place of -1 */
    int d = 0;
    for (int64_t j = 0; j < count; j++) {
        double s = want[j];
        while (d < x->rank && x->role[d] == DIM_FEATURE) d++; /* the next batch or time */
        if (v->rank == RONDO_MAX_RANK) return onnx_refuse(o, "the result has more than 8 dims");
        if (s == 0 && (j >= x->rank)) return onnx_refuse(o, "it copies a dim that is not there");
        bool lead = s == 0 ? x->role[j] != DIM_FEATURE : d < x->rank && stands_for(x, d, s);
        if (s == 0 && !lead) s = (double)x->dim[j];
        if (lead) {
            if (d >= x->rank || (want[j] == 0 && x->role[j] != x->role[d]))
                return onnx_refuse(o, "it mixes batch or time with other dims");
            value_add_dim(v, x->role[d], x->dim[d]);
            d++;
        } else if (s == -1) {
            if (free_at >= 0) return onnx_refuse(o, "it has two sizes of -1");
            free_at = v->rank;
            value_add_dim(v, DIM_FEATURE, -1);
        } else {
            if (!(s >= 1 && s < 1e15) || s != floor(s) || !checked_mul(product, (int64_t)s, &product))
                return onnx_refuse(o, "it asks for an impossible size");
            value_add_dim(v, DIM_FEATURE, (int64_t)s);
        }
    }
    while (d < x->rank && x->role[d] == DIM_FEATURE) d++;
    if (d < x->rank) { /* one of batch and time is left: -1 is it, if its place fits */
        if (free_at < 0 || product != x->n) return onnx_refuse(o, "it mixes batch or time with other dims");
        v->role[free_at] = x->role[d];
        v->dim[free_at] = x->dim[d++];
        v->seq = x->seq;
    } else if (free_at >= 0)
        v->dim[free_at] = x->n / product;
    return same_layout(x, v) || onnx_refuse(o, "it mixes batch or time with other dims, or its sizes do not fit");
}

static bool reshape(Onnx *o, const OnnxNode *n, const Value *x) {
    const Value *s = onnx_in(o, n, 1);
    const OnnxAttr *at = onnx_attr(n, "shape");
    if (!at && (!s || s->kind != VALUE_CONST)) return onnx_refuse(o, "its shape is computed from the data");
    int64_t count = at ? at->ni : s->t.n;
    if (count > RONDO_MAX_RANK) return onnx_refuse(o, "the result has more than 8 dims");
    double want[RONDO_MAX_RANK];
    for (int64_t j = 0; j < count; j++) want[j] = at ? (double)at->is[j] : s->t.v[j];
    if (x->kind == VALUE_RUN) return reshape_run(o, n, x, want, count);
    OnnxTensor t = like_tensor(&x->t);
    int64_t product = 1, free_at = -1;
    for (int64_t j = 0; j < count; j++) {
        double d = want[j] == 0 && j < x->t.rank ? (double)x->t.dim[j] : want[j];
        if (d == -1) free_at = j, d = 1;
        if (d < 0 || d > 1e15 || !checked_mul(product, (int64_t)d, &product))
            return onnx_refuse(o, "it asks for an impossible size");
        t.dim[t.rank++] = (int64_t)d;
    }
    if (free_at >= 0 && product) product *= t.dim[free_at] = x->t.n / product;
    return product == x->t.n ? put_const(o, n, t) : onnx_refuse(o, "the sizes it asks for do not fit");
}

static bool flatten(Onnx *o, const OnnxNode *n, const Value *x) {
    int64_t axis = onnx_int(n, "axis", 1);
    if (x->kind != VALUE_RUN || axis != 1 || x->rank < 1 || x->role[0] != DIM_BATCH || x->seq)
        return onnx_refuse(o, "only the features of each example can be flattened");
    Value *v = onnx_alias(o, n, 0, x);
    if (!v) return false;
    v->rank = 1;
    value_add_dim(v, DIM_FEATURE, x->n);
    return true;
}

/* ---- Transpose ----------------------------------------------------------------------------------------------------------- */

static bool transpose_const(Onnx *o, const OnnxNode *n, const OnnxTensor *t, const int64_t *perm) {
    OnnxTensor y = *t;
    int64_t stride[RONDO_MAX_RANK], at[RONDO_MAX_RANK] = {0}, s = 1;
    for (int d = t->rank; d-- > 0; s *= t->dim[d]) stride[d] = s;
    double *v = NEW_N(o->w.a, double, t->n + 1);
    for (int d = 0; d < t->rank; d++) y.dim[d] = t->dim[perm[d]];
    for (int64_t i = 0; i < t->n; i++) {
        int64_t from = 0;
        for (int d = 0; d < t->rank; d++) from += at[d] * stride[perm[d]];
        v[i] = t->v[from];
        for (int d = t->rank; d-- > 0;) {
            if (++at[d] < y.dim[d]) break;
            at[d] = 0;
        }
    }
    y.v = v;
    return put_const(o, n, y);
}

static bool transpose(Onnx *o, const OnnxNode *n, const Value *x) {
    const OnnxAttr *p = onnx_attr(n, "perm");
    int rank = x->kind == VALUE_CONST ? x->t.rank : x->rank;
    int64_t perm[RONDO_MAX_RANK];
    bool seen[RONDO_MAX_RANK] = {false};
    if (p && (int)p->ni != rank) return onnx_refuse(o, "perm has %u entries for %d dims", (unsigned)p->ni, rank);
    for (int d = 0; d < rank; d++) {
        perm[d] = p ? p->is[d] : rank - 1 - d;
        if (perm[d] < 0 || perm[d] >= rank || seen[perm[d]]) return onnx_refuse(o, "perm is no permutation");
        seen[perm[d]] = true;
    }
    if (x->kind == VALUE_CONST) return transpose_const(o, n, &x->t, perm);
    /* features larger than 1, in their new order */
    int64_t big[RONDO_MAX_RANK];
    int nbig = 0;
    bool moved = false;
    for (int d = 0; d < rank; d++)
        if (x->role[perm[d]] == DIM_FEATURE && x->dim[perm[d]] > 1) {
            moved = moved || (nbig && big[nbig - 1] > perm[d]);
            big[nbig++] = perm[d];
        }
    if (moved && nbig != 2) return onnx_refuse(o, "it permutes more than two dims of features");
    Value *v = moved ? onnx_emit(o, n, 0, x, x->n, "reshape(reshape(%s, %lld, %lld).T, %lld)", x->text,
                                 (long long)x->dim[big[1]], (long long)x->dim[big[0]], (long long)x->n)
                     : onnx_alias(o, n, 0, x);
    if (!v) return false;
    v->rank = 0;
    for (int d = 0; d < rank; d++) value_add_dim(v, x->role[perm[d]], x->dim[perm[d]]);
    return true;
}

/* ---- parts --------------------------------------------------------------------------------------------------------------- */

/* The features of v lie as [outer, dim d, inner]. */
static void around(const Value *v, int d, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int e = 0; e < v->rank; e++)
        if (e != d && v->role[e] == DIM_FEATURE) *(e < d ? outer : inner) *= v->dim[e];
}

/* Entries lo, lo + step, .. of dim d, `count` of them. */
static OnnxTensor const_part(Onnx *o, const OnnxTensor *t, int d, int64_t lo, int64_t count, int64_t step) {
    OnnxTensor y = *t;
    int64_t outer = 1, inner = 1;
    for (int e = 0; e < t->rank; e++)
        if (e != d) *(e < d ? &outer : &inner) *= t->dim[e];
    double *v = NEW_N(o->w.a, double, outer *count *inner + 1);
    for (int64_t i = 0; i < outer * count; i++) {
        int64_t from = i / count * t->dim[d] + lo + i % count * step;
        memcpy(v + i * inner, t->v + from * inner, (size_t)inner * sizeof *v);
    }
    y.v = v;
    y.dim[d] = count;
    y.n = outer * count * inner;
    return y;
}

static OnnxTensor const_join(Onnx *o, const OnnxTensor *a, const OnnxTensor *b, int d) {
    OnnxTensor y = *a;
    int64_t outer = 1;
    for (int e = 0; e < d; e++) outer *= a->dim[e];
    int64_t na = outer ? a->n / outer : 0, nb = outer ? b->n / outer : 0;
    double *v = NEW_N(o->w.a, double, a->n + b->n + 1);
    for (int64_t i = 0; i < outer; i++) {
        memcpy(v + i * (na + nb), a->v + i * na, (size_t)na * sizeof *v);
        memcpy(v + i * (na + nb) + na, b->v + i * nb, (size_t)nb * sizeof *v);
    }
    y.v = v;
    y.n = a->n + b->n;
    y.dim[d] += b->dim[d];
    return y;
}

static bool concat_const(Onnx *o, const OnnxNode *n, int64_t axis) {
    const Value *x = onnx_in(o, n, 0);
    if (!x || x->kind != VALUE_CONST) return onnx_refuse(o, "an operand is missing, or lengths are joined");
    OnnxTensor t = x->t;
    if (axis < 0) axis += t.rank;
    if (axis < 0 || axis >= t.rank) return onnx_refuse(o, "its axis is out of range");
    for (uint32_t k = 1; k < n->nin; k++) {
        const Value *p = onnx_in(o, n, k);
        bool fits = p && p->kind == VALUE_CONST && p->t.rank == t.rank;
        for (int d = 0; fits && d < t.rank; d++) fits = d == axis || p->t.dim[d] == t.dim[d];
        if (!fits) return onnx_refuse(o, "its operands have different dims");
        if (t.n + p->t.n > FEATURES_MAX) return onnx_refuse(o, "it makes a constant of more than a million numbers");
        t = const_join(o, &t, &p->t, (int)axis);
    }
    return put_const(o, n, t);
}

/* Pieces [lo, hi) of each of `outer` equal runs of features of v, as further entries of a list. */
static void pieces(Str *s, const Value *v, int64_t run, int64_t lo, int64_t hi, int64_t which) {
    if (s->n) str_put(s, ", ");
    str_put(s, v->text);
    if (lo != 0 || hi != run || run != v->n) str_printf(s, "[%lld:%lld]", (long long)(which * run + lo), (long long)(which * run + hi));
}

enum { PIECES_MAX = 256 };

static bool concat(Onnx *o, const OnnxNode *n) {
    const Value *x = onnx_in(o, n, 0);
    int64_t axis = onnx_int(n, "axis", 0), total = 0, outer, inner;
    bool run = false;
    for (uint32_t k = 0; k < n->nin; k++) run = run || (onnx_in(o, n, k) && onnx_in(o, n, k)->kind == VALUE_RUN);
    if (!run) return concat_const(o, n, axis);
    if (!x || x->kind != VALUE_RUN) return onnx_refuse(o, "constants are not joined to computed values");
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank || x->role[axis] != DIM_FEATURE)
        return onnx_refuse(o, "only features can be joined, not batch or time");
    around(x, (int)axis, &outer, &inner);
    if (outer * n->nin > PIECES_MAX) return onnx_refuse(o, "it joins more than %d pieces", (int)PIECES_MAX);
    for (uint32_t k = 0; k < n->nin; k++) {
        const Value *p = onnx_in(o, n, k);
        if (!p || p->kind != VALUE_RUN || p->rank != x->rank) return onnx_refuse(o, "its operands have different dims");
        for (int d = 0; d < p->rank; d++) {
            if (p->role[d] != x->role[d]) return onnx_refuse(o, "its operands have batch and time in different places");
            if (d != axis && p->role[d] == DIM_FEATURE && p->dim[d] != x->dim[d])
                return onnx_refuse(o, "its operands have different dims");
        }
        total += p->dim[axis];
    }
    Str s = str_make(o->w.a);
    for (int64_t i = 0; i < outer; i++)
        for (uint32_t k = 0; k < n->nin; k++) {
            const Value *p = onnx_in(o, n, k);
            pieces(&s, p, p->n / outer, 0, p->n / outer, i);
        }
    Value *v = onnx_emit(o, n, 0, x, outer * total * inner, "[%s]", s.at);
    if (v) v->dim[axis] = total;
    return v != NULL;
}

/* Entries [lo, hi) of dim d, which holds features. */
static Value *part(Onnx *o, const OnnxNode *n, uint32_t k, const Value *x, int d, int64_t lo, int64_t hi) {
    int64_t outer, inner;
    around(x, d, &outer, &inner);
    if (outer > PIECES_MAX) return onnx_refuse(o, "it takes more than %d pieces", (int)PIECES_MAX), NULL;
    Str s = str_make(o->w.a);
    for (int64_t i = 0; i < outer; i++) pieces(&s, x, x->n / outer, lo * inner, hi * inner, i);
    Value *v = hi - lo == x->dim[d] ? onnx_alias(o, n, k, x)
                                    : onnx_emit(o, n, k, x, outer * (hi - lo) * inner, outer > 1 ? "[%s]" : "%s", s.at);
    if (v) v->dim[d] = hi - lo;
    return v;
}

/* Of a shape, mostly. */
static bool gather_const(Onnx *o, const OnnxNode *n, const OnnxTensor *x, const OnnxTensor *i, int64_t axis) {
    OnnxTensor t = {0};
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank || i->rank > 1) return onnx_refuse(o, "its axis or indices are out of range");
    for (int64_t k = 0; k < i->n; k++) {
        double at = i->v[k] < 0 ? i->v[k] + (double)x->dim[axis] : i->v[k];
        if (!(at >= 0 && at < (double)x->dim[axis])) return onnx_refuse(o, "an index is out of range");
        OnnxTensor one = const_part(o, x, (int)axis, (int64_t)at, 1, 1);
        if (t.n + one.n > FEATURES_MAX) return onnx_refuse(o, "it makes a constant of more than a million numbers");
        t = k ? const_join(o, &t, &one, (int)axis) : one;
    }
    if (!i->n) return onnx_refuse(o, "it has no indices");
    if (i->rank) return put_const(o, n, t);
    OnnxTensor y = like_tensor(&t);
    for (int d = 0; d < t.rank; d++)
        if (d != axis) y.dim[y.rank++] = t.dim[d];
    return put_const(o, n, y);
}

static bool gather(Onnx *o, const OnnxNode *n, const Value *x) {
    const Value *i = onnx_in(o, n, 1);
    int64_t axis = onnx_int(n, "axis", 0);
    if (!i) return onnx_refuse(o, "it has no indices");
    if (x->kind == VALUE_CONST && i->kind == VALUE_CONST) return gather_const(o, n, &x->t, &i->t, axis);
    if (x->kind == VALUE_CONST && i->kind == VALUE_RUN) { /* an embedding */
        if (!i->input || axis || x->t.rank != 2 || i->rank == RONDO_MAX_RANK)
            return onnx_refuse(o, "tables are looked up by rows, with an input of whole numbers");
        Value *tokens = i->input;
        if (i->n != 1 || (tokens->vocab && tokens->vocab != x->t.dim[0]))
            return onnx_refuse(o,
                               "its indices have other dims than batch and time, or are used with tables of different lengths");
        tokens->vocab = x->t.dim[0];
        const char *E
        = onnx_param(o, "E", x->t.v, x->t.dim[0], x->t.dim[1], x->t.v);
        Value *v = E
        ? onnx_emit(o, n, 0, i, x->t.dim[1], "%s[%s]", E, i->text) : NULL;
        if (v) value_add_dim(v, DIM_FEATURE, x->t.dim[1]);
        return v != NULL;
    }
    if (i->kind != VALUE_CONST || i->t.n != 1) return onnx_refuse(o, "only one entry, known beforehand, can be taken");
    double at = i->t.v[0];
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank) return onnx_refuse(o, "its axis is out of range");
    Value *v = NULL;
    if (x->rank - 1 + i->t.rank > RONDO_MAX_RANK) return onnx_refuse(o, "the result has more than 8 dims");
    if (x->role[axis] == DIM_TIME && !onnx_all_steps(o)) return false;
    if (x->role[axis] == DIM_TIME && (at == 0 || at == -1)) {
        v = onnx_emit(o, n, 0, x, x->n, "%s.%s", x->text, at == 0 ? "first" : "last");
        if (v) v->seq = false;
    } else if (x->role[axis] == DIM_FEATURE && at >= -(double)x->dim[axis] && at < (double)x->dim[axis]) {
        int64_t lo = (int64_t)at + (at < 0 ? x->dim[axis] : 0);
        v = part(o, n, 0, x, (int)axis, lo, lo + 1);
    } else
        return onnx_refuse(o, "only the first or last step, or an entry of the features, can be taken");
    if (!v) return false;
    v->rank = 0;
    for (int d = 0; d < x->rank; d++)
        if (d != axis) value_add_dim(v, x->role[d], x->dim[d]);
    for (int d = 0; i->t.rank && d < i->t.rank; d++) value_add_dim(v, DIM_FEATURE, 1);
    return true;
}

/* One number of an attribute or input of Slice. */
static bool slice_number(Onnx *o, const OnnxNode *n, const char *attr, uint32_t k, double otherwise, double *out) {
    const OnnxAttr *at = onnx_attr(n, attr);
    const Value *v = onnx_in(o, n, k);
    *out = otherwise;
    if (at && at->ni == 1) return *out = (double)at->is[0], true;
    if (!at && !v) return true;
    if (v && v->kind == VALUE_CONST && v->t.n == 1) return *out = v->t.v[0], true;
    return onnx_refuse(o, "only slices of one axis, with ends known beforehand, are read");
}

static bool slice(Onnx *o, const OnnxNode *n, const Value *x) {
    double lo, hi, axis, step;
    if (!slice_number(o, n, "starts", 1, 0, &lo) || !slice_number(o, n, "ends", 2, 0, &hi) ||
        !slice_number(o, n, "axes", 3, 0, &axis) || !slice_number(o, n, "steps", 4, 1, &step))
        return false;
    int rank = x->kind == VALUE_CONST ? x->t.rank : x->rank;
    if (axis < 0) axis += rank;
    if (!(axis >= 0 && axis < rank)) return onnx_refuse(o, "its axis is out of range");
    int d = (int)axis;
    if (x->kind == VALUE_RUN && lo == 0 && hi > 1e9 && step == 1) return onnx_alias(o, n, 0, x) != NULL;
    if (x->kind == VALUE_RUN && x->role[d] == DIM_TIME) {
        if (!onnx_all_steps(o)) return false;
        bool last = lo == -1 && hi > 1e9 && step == 1, first = lo == 0 && hi == 1 && step == 1;
        if (lo == -1 && hi < -1e9 && step == -1) return onnx_emit(o, n, 0, x, x->n, "reverse(%s)", x->text) != NULL;
        if (!last && !first) return onnx_refuse(o, "of time only the first or last step, or all reversed, can be taken");
        Value *v = onnx_emit(o, n, 0, x, x->n, "%s.%s", x->text, last ? "last" : "first");
        if (!v) return false;
        v->seq = false;
        v->role[d] = DIM_FEATURE;
        v->dim[d] = 1;
        return true;
    }
    double size = x->kind == VALUE_CONST ? (double)x->t.dim[d] : (double)x->dim[d];
    if (lo < 0) lo += size;
    if (hi < 0) hi += size;
    if (hi > size) hi = size;
    if (step != 1 || !(lo >= 0 && hi > lo)) return onnx_refuse(o, "its ends are out of range, or it skips entries");
    if (x->kind == VALUE_CONST) return put_const(o, n, const_part(o, &x->t, d, (int64_t)lo, (int64_t)(hi - lo), 1));
    if (x->role[d] != DIM_FEATURE) return onnx_refuse(o, "the batch is not cut");
    return part(o, n, 0, x, d, (int64_t)lo, (int64_t)hi) != NULL;
}

static bool split(Onnx *o, const OnnxNode *n, const Value *x) {
    const OnnxAttr *at = onnx_attr(n, "split");
    const Value *sizes = onnx_in(o, n, 1);
    int64_t axis = onnx_int(n, "axis", 0), lo = 0;
    if (x->kind != VALUE_RUN) return onnx_refuse(o, "constants are not split");
    if (axis < 0) axis += x->rank;
    if (axis < 0 || axis >= x->rank || x->role[axis] != DIM_FEATURE) return onnx_refuse(o, "only features can be split");
    int64_t all = x->dim[axis];
    if (sizes && sizes->kind != VALUE_CONST) return onnx_refuse(o, "its sizes are computed");
    for (uint32_t k = 0; k < n->nout; k++) {
        bool listed = at ? k < at->ni : sizes ? k < sizes->t.n : true;
        double size = at && listed ? (double)at->is[k] : sizes && listed ? sizes->t.v[k] : ceil((double)all / n->nout);
        if (!listed || !(size >= 1 && (double)lo + size <= (double)all)) return onnx_refuse(o, "its parts do not fit");
        if (onnx_used(o, n, k) && !part(o, n, k, x, (int)axis, lo, lo + (int64_t)size)) return false;
        lo += (int64_t)size;
    }
    return true;
}

/* ---- shapes as values ---------------------------------------------------------------------------------------------------- */

static bool shape_of(Onnx *o, const OnnxNode *n, const Value *x) {
    int rank = x->kind == VALUE_CONST ? x->t.rank : x->rank;
    double *v = NEW_N(o->w.a, double, rank + 1);
    for (int d = 0; d < rank; d++) {
        if (x->kind == VALUE_CONST)
            v[d] = (double)x->t.dim[d];
        else
            v[d] = x->role[d] == DIM_BATCH ? MARK_BATCH : x->role[d] == DIM_TIME ? MARK_TIME : (double)x->dim[d];
    }
    return put_const(o, n, (OnnxTensor){.rank = 1, .n = rank, .dim = {rank}, .v = v, .whole = true});
}

/* A constant of a wanted shape: batch and time count as 1, which is broadcast. */
static bool filled(Onnx *o, const OnnxNode *n, const Value *shape, double value) {
    if (shape->kind != VALUE_CONST || shape->t.n > RONDO_MAX_RANK) return onnx_refuse(o, "its shape is computed from the data");
    OnnxTensor t = {.rank = (int)shape->t.n, .n = 1};
    for (int d = 0; d < t.rank; d++) {
        double s = shape->t.v[d];
        t.dim[d] = s == MARK_BATCH || s == MARK_TIME ? 1 : s >= 0 && s < 1e9 ? (int64_t)s : -1;
        if (!checked_mul(t.n, t.dim[d], &t.n) || t.n > FEATURES_MAX) return onnx_refuse(o, "it asks for an impossible size");
    }
    double *v = NEW_N(o->w.a, double, t.n + 1);
    for (int64_t i = 0; i < t.n; i++) v[i] = value;
    t.v = v;
    return put_const(o, n, t);
}

static bool cast(Onnx *o, const OnnxNode *n, const Value *x) {
    int64_t to = onnx_int(n, "to", 1);
    bool whole = to != 1 && to != 10 && to != 11 && to != 16;
    if (x->truth && to != 9) return onnx_emit(o, n, 0, x, x->n, "where(%s, 1, 0)", x->text) != NULL;
    if (x->kind == VALUE_RUN && to == 9 && !x->truth) return onnx_refuse(o, "numbers are not made truth values; compare them");
    Value *v = onnx_alias(o, n, 0, x);
    if (v) v->t.whole = whole;
    return v != NULL;
}

bool onnx_shape_op(Onnx *o, const OnnxNode *n, bool *done) {
    static const char *const same[] = {"Identity", "Dropout", "CastLike"};
    const Value *x = onnx_in(o, n, 0);
    *done = true;
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        if (!strcmp(n->op, same[k])) {
            for (uint32_t i = 1; i < n->nout; i++)
                if (onnx_used(o, n, i)) return onnx_refuse(o, "its mask is read");
            return x ? onnx_alias(o, n, 0, x) != NULL : onnx_refuse(o, "it has no input");
        }
    static const struct {
        const char *op;
        bool (*fn)(Onnx *, const OnnxNode *, const Value *);
    } table[] = {{"Squeeze", squeeze}, {"Unsqueeze", unsqueeze}, {"Reshape", reshape},
                 {"Flatten", flatten}, {"Transpose", transpose}, {"Gather", gather},
                 {"Slice", slice},     {"Split", split},         {"Shape", shape_of},
                 {"Cast", cast}};
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        if (strcmp(n->op, table[k].op)) continue;
        if (!x || x->kind == VALUE_LENGTHS) return onnx_refuse(o, "it has no input, or works on lengths");
        return table[k].fn(o, n, x);
    }
    if (!strcmp(n->op, "Concat")) return concat(o, n);
    if (!strcmp(n->op, "ConstantOfShape")) {
        const OnnxAttr *v = onnx_attr(n, "value");
        return x ? filled(o, n, x, v && v->t && v->t->n == 1 ? v->t->v[0] : 0) : onnx_refuse(o, "it has no input");
    }
    if (!strcmp(n->op, "Expand") && x && x->kind == VALUE_CONST && onnx_in(o, n, 1)) {
        bool zero = true;
        for (int64_t i = 0; i < x->t.n; i++) zero = zero && x->t.v[i] == x->t.v[0];
        if (zero && x->t.n) return filled(o, n, onnx_in(o, n, 1), x->t.v[0]);
    }
    return *done = false, true;
}
