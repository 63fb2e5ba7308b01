/* border: between the caller's arrays, [B, T, .., F], and the canonical layout of ir/graph.h, [T, .., B, F]: only B moves, and not
   even B where the caller's memory has time first. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

size_t el_size(El e) {
    return e == EL_F64 ? 8 : 4;
}

bool border_make(uint32_t axes, int rank, const int32_t *dim, const int64_t *size, Border *out) {
    *out = (Border){.batch = axes & AX(AXIS_B), .B = 1, .X = 1, .F = 1};
    for (uint32_t k = 0; k < MAX_AXES; k++) {
        if (!(axes & AX(k))) continue;
        if (out->rank >= RONDO_MAX_RANK) return false;
        out->axis[out->rank] = k;
        out->dim[out->rank++] = size[k];
        if (k == AXIS_B) out->B = size[k];
        else if (!checked_mul(out->X, size[k], &out->X)) return false;
    }
    out->nlead = (uint32_t)out->rank;
    for (int k = 0; k < rank; k++) {
        if (out->rank >= RONDO_MAX_RANK) return false;
        out->axis[out->rank] = UINT32_MAX;
        out->dim[out->rank++] = dim[k];
        if (!checked_mul(out->F, dim[k], &out->F)) return false;
    }
    int64_t n;
    return checked_mul(out->B, out->X, &n) && checked_mul(n, out->F, &n) && checked_mul(n, 8, &n);
}

/* NO_WHOLE for what is no such number: tokens, lengths and bools are checked where they have come. */
static int32_t whole(double v) {
    return v > NO_WHOLE && v <= INT32_MAX && v == floor(v) ? (int32_t)v : NO_WHOLE;
}

static void put(El el, void *dst, int64_t i, double v) {
    switch (el) {
    case EL_F32: ((float *)dst)[i] = (float)v; break;
    case EL_F64: ((double *)dst)[i] = v; break;
    case EL_I32: ((int32_t *)dst)[i] = whole(v); break;
    }
}

static double take(El el, const void *src, int64_t i) {
    switch (el) {
    case EL_F32: return ((const float *)src)[i];
    case EL_F64: return ((const double *)src)[i];
    case EL_I32: return ((const int32_t *)src)[i];
    }
    return 0;
}

static bool same_type(El el, rondo_type t) {
    return (el == EL_F32 && t == RONDO_F32) || (el == EL_F64 && t == RONDO_F64) || (el == EL_I32 && t == RONDO_I32);
}

/* Row of an array for example k at position x of the other axes. */
static int64_t array_row(const Border *b, const Array *a, int64_t k, int64_t x) {
    return a->order == RONDO_TIME_FIRST ? x * b->B + k : k * b->X + x;
}

bool border_same(const Border *b, const Array *a) {
    return b->rank == a->rank && memcmp(b->dim, a->dim, (size_t)b->rank * sizeof *b->dim) == 0 &&
           (a->order == RONDO_TIME_FIRST || b->B == 1 || b->X == 1);
}

void border_in(const Border *b, const Array *src, const int64_t *example, El el, void *dst) {
    size_t row = (size_t)b->F * el_size(el);
    bool same = same_type(el, src->type);
    for (int64_t x = 0; x < b->X; x++)
        for (int64_t k = 0; k < b->B; k++) {
            int64_t from = array_row(b, src, b->repeat ? 0 : example && b->batch ? example[k] : k, x) * b->F, to = (x * b->B + k) * b->F;
            if (same) {
                memcpy((char *)dst + (size_t)to * el_size(el), (const char *)src->data + (size_t)from * el_size(el), row);
                continue;
            }
            for (int64_t f = 0; f < b->F; f++) put(el, dst, to + f, array_get(src, from + f));
        }
}

void border_out_row(const Border *b, El el, const void *src, int64_t k, int64_t x, Array *dst, int64_t to) {
    int64_t from = (x * b->B + k) * b->F;
    size_t size = el_size(el);
    if (same_type(el, dst->type)) {
        memcpy((char *)dst->data + (size_t)(to * b->F) * size, (const char *)src + (size_t)from * size, (size_t)b->F * size);
        return;
    }
    for (int64_t f = 0; f < b->F; f++) array_set(dst, to * b->F + f, take(el, src, from + f));
}

void border_out(const Border *b, El el, const void *src, Array *dst) {
    for (int64_t k = 0; k < b->B; k++)
        for (int64_t x = 0; x < b->X; x++) border_out_row(b, el, src, k, x, dst, array_row(b, dst, k, x));
}
