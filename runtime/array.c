/* array: named arrays in memory, of any element type. */
#include "runtime/runtime.h"

#include <math.h>
#include <string.h>

size_t rondo_type_size(rondo_type t) {
    switch (t) {
    case RONDO_F32:
    case RONDO_I32: return 4;
    case RONDO_F64:
    case RONDO_I64: return 8;
    case RONDO_U8: return 1;
    }
    return 0;
}

const char *rondo_type_name(rondo_type t) {
    switch (t) {
    case RONDO_F32: return "f32";
    case RONDO_F64: return "f64";
    case RONDO_I32: return "i32";
    case RONDO_I64: return "i64";
    case RONDO_U8: return "u8";
    }
    return "?";
}

int64_t array_count(const Array *a) {
    int64_t n = 1;
    if (a->rank < 0 || a->rank > RONDO_MAX_RANK) return -1;
    for (int k = 0; k < a->rank; k++)
        if (a->dim[k] < 0 || !checked_mul(n, a->dim[k], &n)) return -1;
    return n;
}

Array *arrays_find(const Arrays *s, const char *name) {
    for (uint32_t i = 0; i < s->array.n; i++)
        if (strcmp(s->array.at[i].name, name) == 0) return &s->array.at[i];
    return NULL;
}

Array *arrays_add(Arena *a, Arrays *s, const char *name, rondo_type type, int rank, const int64_t *dim) {
    Array x = {.name = arena_strdup(a, name), .type = type, .rank = rank};
    if (rank < 0 || rank > RONDO_MAX_RANK) return NULL;
    if (rank) memcpy(x.dim, dim, (size_t)rank * sizeof *dim);
    int64_t n = array_count(&x), bytes;
    if (n < 0 || !checked_mul(n, (int64_t)rondo_type_size(type), &bytes)) return NULL;
    x.data = arena_alloc(a, bytes ? (size_t)bytes : 1);
    VEC_PUSH(a, s->array) = x;
    return &s->array.at[s->array.n - 1];
}

double array_get(const Array *a, int64_t i) {
    switch (a->type) {
    case RONDO_F32: return ((const float *)a->data)[i];
    case RONDO_F64: return ((const double *)a->data)[i];
    case RONDO_I32: return ((const int32_t *)a->data)[i];
    case RONDO_I64: return (double)((const int64_t *)a->data)[i];
    case RONDO_U8: return ((const uint8_t *)a->data)[i];
    }
    return 0;
}

void array_set(Array *a, int64_t i, double v) {
    switch (a->type) {
    case RONDO_F32: ((float *)a->data)[i] = (float)v; return;
    case RONDO_F64: ((double *)a->data)[i] = v; return;
    case RONDO_I32: ((int32_t *)a->data)[i] = (int32_t)v; return;
    case RONDO_I64: ((int64_t *)a->data)[i] = (int64_t)v; return;
    case RONDO_U8: ((uint8_t *)a->data)[i] = v != 0 ? (uint8_t)v : 0; return;
    }
}

/* A scalar and an array of one element hold the same; otherwise shapes must be equal. */
static bool same_shape(const Array *a, const Array *b) {
    if (array_count(a) == 1 && array_count(b) == 1) return true;
    if (a->rank != b->rank) return false;
    for (int k = 0; k < a->rank; k++)
        if (a->dim[k] != b->dim[k]) return false;
    return true;
}

double array_difference(const Array *a, const Array *b, const uint8_t *mask) {
    if (!same_shape(a, b)) return INFINITY;
    double worst = 0, most = 0;
    int64_t n = array_count(a);
    for (int64_t i = 0; i < n; i++) {
        if (mask && !mask[i]) continue;
        double x = array_get(a, i), y = array_get(b, i);
        if (isnan(x) && isnan(y)) continue;
        double d = x == y ? 0 : fabs(x - y);
        if (isnan(d)) return INFINITY;
        if (d > worst) worst = d;
        if (fabs(y) > most) most = fabs(y);
    }
    return most > 0 && isfinite(most) ? worst / most : worst;
}
