/* emit_storage: weights kept in fewer bits. What has rows (matrices, tables of embeddings) is stored as bf16, f16, or as int8 with
   one scale a row; vectors and scalars stay f32. The program unpacks all of it into memory once and computes in f32. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"

const char *const storage_name[] = {"f32", "bf16", "f16", "int8", NULL}; /* by EmitStorage */

typedef struct {
    const ParamDesc *q;
    const char *id;
    int64_t at, rows, columns; /* in theta; rows 0: stays f32 */
} Stored;

static uint32_t bits_of(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

/* Of finite numbers: nearest, ties to even; what is too large becomes the largest. */
static uint32_t to_bf16(float v) {
    uint32_t u = bits_of(v), r = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (r & 0x7fff) >= 0x7f80 ? r - 1 : r;
}

static uint32_t to_f16(float v) {
    uint32_t u = bits_of(v), sign = u >> 16 & 0x8000;
    double x = fabs((double)v);
    if (x >= 65504) return sign | 0x7bff;
    int e = 0;
    (void)frexp(x, &e);
    if (!(x > 0) || e < -13) e = -13; /* zero and denormals count in 2^-24 */
    double m = rint(ldexp(x, 11 - e)); /* 11 bits, the first one hidden; one more after rounding up */
    uint32_t biased = (uint32_t)(e + 13);
    return sign | ((biased << 10) + (uint32_t)m);
}

static float from_f16(uint32_t h) {
    uint32_t e = h >> 10 & 31, m = h & 1023;
    double x = e == 31 ? (m ? NAN : INFINITY) : ldexp(e ? m + 1024.0 : m, (int)(e ? e : 1) - 25);
    return (float)(h & 0x8000 ? -x : x);
}

double storage_code(EmitStorage s, double v, double *back) {
    uint32_t bits = s == EMIT_BF16 ? to_bf16((float)v) : to_f16((float)v);
    *back = (double)(s == EMIT_BF16 ? float_of(bits << 16) : from_f16(bits));
    return bits;
}

static uint32_t stored_params(CModel *c, Stored **out) {
    const ModelDesc *d = c->m->desc;
    int64_t at = 0;
    *out = NEW_N(c->a, Stored, d->param.n + 1);
    for (uint32_t i = 0; i < d->param.n; i++) {
        const ParamDesc *q = &d->param.at[i];
        Stored s = {.q = q, .id = c_ident(c->a, name_str(c->ctx, q->name), false), .at = at};
        if (q->rank >= 2) {
            s.rows = q->dim[0];
            s.columns = q->dim[0] ? q->count / q->dim[0] : 0;
        }
        (*out)[i] = s;
        at += q->count;
    }
    return d->param.n;
}

static float row_scale(const CModel *c, const Stored *s, int64_t row) {
    double most = 0;
    for (int64_t k = 0; k < s->columns; k++) most = fmax(most, fabs(model_theta_get(c->m, s->at + row * s->columns + k)));
    return (float)(most / 127);
}

bool emit_storage_fits(CModel *c) {
    Stored *s;
    uint32_t n = stored_params(c, &s);
    for (uint32_t i = 0; i < n; i++)
        for (int64_t k = 0; s[i].rows && k < s[i].q->count; k++) {
            double v = model_theta_get(c->m, s[i].at + k);
            if (isfinite(v)) continue;
            diag_error(c->ctx, 851, NOWHERE, "the weight '%s' holds %s, which %s does not keep", name_str(c->ctx, s[i].q->name), isnan(v) ? "what is no number" : "an infinity",
                       storage_name[c->o->storage]);
            return false;
        }
    return true;
}

/* Rounds the model's weights to what the storage can hold and keeps the numbers to write: c->stored[i] and c->stored_scale[row]. */
void emit_storage_round(CModel *c) {
    Stored *s;
    uint32_t n = stored_params(c, &s);
    double *before = NEW_N(c->a, double, model_theta_size(c->m) + 1);
    for (int64_t i = 0; i < model_theta_size(c->m); i++) before[i] = model_theta_get(c->m, i);
    c->stored = NEW_N(c->a, double, model_theta_size(c->m) + 1);
    c->stored_scale = NEW_N(c->a, double *, n + 1);
    c->before = before;
    c->row_of = NEW_N(c->a, int32_t, model_theta_size(c->m) + 1);
    c->row_scale = NEW_N(c->a, double, model_theta_size(c->m) + 1);
    int32_t rows = 0;
    for (uint32_t i = 0; i < n; i++) {
        c->stored_scale[i] = NEW_N(c->a, double, s[i].rows + 1);
        for (int64_t k = 0; k < s[i].q->count; k++) {
            int64_t at = s[i].at + k, row = s[i].rows ? k / s[i].columns : 0;
            float v = (float)model_theta_get(c->m, at), r = v;
            c->row_of[at] = s[i].rows ? rows + (int32_t)row : -1;
            if (!s[i].rows) {
                c->stored[at] = (double)v;
                continue;
            }
            if (c->o->storage == EMIT_INT8) {
                if (k % s[i].columns == 0) c->stored_scale[i][row] = (double)row_scale(c, &s[i], row);
                float scale = (float)c->stored_scale[i][row];
                double q = scale > 0 ? rint((double)v / (double)scale) : 0;
                q = q > 127 ? 127 : q < -127 ? -127 : q;
                c->stored[at] = q;
                r = (float)q * scale;
            } else {
                double back;
                c->stored[at] = storage_code(c->o->storage, (double)v, &back);
                r = (float)back;
            }
            model_theta_set(c->m, at, (double)r);
        }
        for (int64_t k = 0; k < s[i].rows; k++) c->row_scale[rows++] = c->stored_scale[i][k];
    }
}

static const char *narrow_type(const CModel *c) { return c->o->storage == EMIT_INT8 ? "int8_t" : "uint16_t"; }

/* Each field in the order of the struct: four bytes an element, then two or one. */
static void each_field(CModel *c, void (*fn)(CModel *c, const char *type, const char *id, const char *note, const double *v, int64_t n)) {
    Stored *s;
    uint32_t n = stored_params(c, &s);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = name_str(c->ctx, s[i].q->name);
        if (!s[i].rows)
            fn(c, "float", s[i].id, name, c->stored + s[i].at, s[i].q->count);
        else if (c->o->storage == EMIT_INT8)
            fn(c, "float", arena_printf(c->a, "%s_scale", s[i].id), arena_printf(c->a, "%s: of each row", name), c->stored_scale[i],
               s[i].rows);
    }
    for (uint32_t i = 0; i < n; i++)
        if (s[i].rows) fn(c, narrow_type(c), s[i].id, name_str(c->ctx, s[i].q->name), c->stored + s[i].at, s[i].q->count);
}

static void put_member(CModel *c, const char *type, const char *id, const char *note, const double *v, int64_t n) {
    (void)v;
    str_printf(&c->h, "    %s %s[%lld]; /* %s */\n", type, id, (long long)n, note);
}

void emit_storage_type(CModel *c) {
    str_printf(&c->h, "\n/* The weights as they are stored: %s%s. */\ntypedef struct {\n", storage_name[c->o->storage],
               c->o->storage == EMIT_INT8 ? " with a scale a row" : "");
    each_field(c, put_member);
    if (!c->m->desc->param.n) str_put(&c->h, "    float none[1];\n");
    str_printf(&c->h, "} %s_stored;\n", c->id);
}

static void put_constant(CModel *c, const char *type, const char *id, const char *note, const double *v, int64_t n) {
    (void)id;
    str_printf(&c->c, "\n/* %s */ ", note);
    c_values(c, &c->c, v, n, strcmp(type, "float") != 0);
    str_putc(&c->c, ',');
}

void emit_storage_values(CModel *c) {
    str_printf(&c->c, "\nstatic const %s_stored %s_constants = {", c->id, c->id);
    each_field(c, put_constant);
    str_put(&c->c, c->m->desc->param.n ? "\n};\n" : "{0}\n};\n");
}

static void put_bytes(CModel *c, const char *type, const char *id, const char *note, const double *v, int64_t n) {
    (void)id, (void)note;
    int bytes = strcmp(type, "float") == 0 ? 4 : c->o->storage == EMIT_INT8 ? 1 : 2;
    if (n && bytes > c->payload_align) c->payload_align = bytes;
    for (int64_t i = 0; i < n; i++) {
        unsigned char b[4];
        store_le(b, bytes == 4 ? bits_of((float)v[i]) : (uint64_t)(int64_t)v[i], bytes);
        str_putn(c->payload, (const char *)b, (size_t)bytes);
    }
}

void emit_storage_bytes(CModel *c) { each_field(c, put_bytes); }

static void put_decoder(CModel *c) {
    if (c->o->storage == EMIT_INT8) {
        str_printf(&c->c,
                   "\nstatic void %s_widen(const int8_t *from, const float *scale, ptrdiff_t rows, ptrdiff_t columns, float *to)\n{\n"
                   "    ptrdiff_t r, k;\n    for (r = 0; r < rows; r++)\n"
                   "        for (k = 0; k < columns; k++) to[r * columns + k] = (float)from[r * columns + k] * scale[r];\n}\n",
                   c->id);
        return;
    }
    str_printf(&c->c,
               "\nstatic void %s_widen(const uint16_t *from, ptrdiff_t n, float *to)\n{\n    union {\n        uint32_t bits;\n"
               "        float value;\n    } x;\n    ptrdiff_t k;\n    for (k = 0; k < n; k++) {\n",
               c->id);
    if (c->o->storage == EMIT_BF16)
        str_put(&c->c, "        x.bits = (uint32_t)from[k] << 16;\n        to[k] = x.value;\n");
    else /* the exponent moves by a product: denormals too */
        str_put(&c->c, "        x.bits = (uint32_t)(from[k] & 0x7fff) << 13;\n        x.value *= 5.192296858534828e33f;\n"
                       "        x.bits |= (uint32_t)(from[k] & 0x8000) << 16;\n        to[k] = x.value;\n");
    str_put(&c->c, "    }\n}\n");
}

void emit_unpack(CModel *c) {
    Stored *s;
    uint32_t n = stored_params(c, &s);
    bool loop = false, widens = false;
    for (uint32_t i = 0; i < n; i++) {
        loop = loop || !s[i].rows;
        widens = widens || s[i].rows;
    }
    if (widens) put_decoder(c);
    c_function(c, arena_printf(c->a, "Widens stored weights to what step reads. Once, before init. work: %s_PREPARE_WORK bytes. Returns 1, or 0 where from is NULL.", c->upper),
               arena_printf(c->a, "int %s_unpack(%s_weights *weights, const %s_stored *from, void *work)", c->id, c->id, c->id));
    if (n) str_put(&c->c, "    float *const theta = weights->theta;\n");
    if (loop) str_put(&c->c, "    int k;\n");
    str_put(&c->c, "    if (!from) return 0;\n");
    for (uint32_t i = 0; i < n; i++) {
        if (!s[i].rows)
            str_printf(&c->c, "    for (k = 0; k < %lld; k++) theta[%lld + k] = from->%s[k];\n", (long long)s[i].q->count, (long long)s[i].at,
                       s[i].id);
        else if (c->o->storage == EMIT_INT8)
            str_printf(&c->c, "    %s_widen(from->%s, from->%s_scale, %lld, %lld, theta + %lld);\n", c->id, s[i].id, s[i].id,
                       (long long)s[i].rows, (long long)s[i].columns, (long long)s[i].at);
        else
            str_printf(&c->c, "    %s_widen(from->%s, %lld, theta + %lld);\n", c->id, s[i].id, (long long)s[i].q->count,
                       (long long)s[i].at);
    }
    str_printf(&c->c, "    %s_prepare(weights, work);\n    return 1;\n}\n", c->id);
}
