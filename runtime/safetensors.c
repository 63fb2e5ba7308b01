/* safetensors: named tensors in a file, as published by Hugging Face (github.com/huggingface/safetensors, format section):
   8 bytes little-endian header length N, N bytes of JSON {"name": {"dtype", "shape", "data_offsets": [lo, hi]}, ..,
   "__metadata__": {text: text}}, then the data. Offsets count from the end of the header; the tensors cover the data
   without gap or overlap. Nothing is allocated on the word of a header before it is checked against the file's size. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

enum { HEADER_MAX = 100000000 }; /* the reference implementation's bound */

typedef enum { ST_F64, ST_F32, ST_F16, ST_BF16, ST_I64, ST_I32, ST_U8, ST_BOOL, ST_COUNT } StType;
static const struct {
    const char *name;
    uint8_t size, type; /* type: rondo_type it is read into */
} st_type[ST_COUNT] = {
    [ST_F64] = {"F64", 8, RONDO_F64}, [ST_F32] = {"F32", 4, RONDO_F32}, [ST_F16] = {"F16", 2, RONDO_F32},
    [ST_BF16] = {"BF16", 2, RONDO_F32}, [ST_I64] = {"I64", 8, RONDO_I64}, [ST_I32] = {"I32", 4, RONDO_I32},
    [ST_U8] = {"U8", 1, RONDO_U8}, [ST_BOOL] = {"BOOL", 1, RONDO_U8},
};

uint64_t load_le(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    for (int k = bytes - 1; k >= 0; k--) v = v << 8 | p[k];
    return v;
}

void store_le(unsigned char *p, uint64_t v, int bytes) {
    for (int k = 0; k < bytes; k++, v >>= 8) p[k] = (unsigned char)v;
}

static float half_to_float(uint32_t h) {
    uint32_t sign = h >> 15, e = h >> 10 & 31, m = h & 1023;
    float v;
    if (e == 31) v = m ? NAN : INFINITY;
    else if (e == 0) v = ldexpf((float)m, -24);
    else v = ldexpf((float)(m + 1024), (int)e - 25);
    return sign ? -v : v;
}

static float bits_float(uint32_t b) {
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

/* Copies n little-endian elements into host memory, widening the 16-bit floats. */
static void read_elements(StType t, const unsigned char *src, int64_t n, void *dst) {
    int size = st_type[t].size;
    for (int64_t i = 0; i < n; i++, src += size) {
        uint64_t bits = load_le(src, size);
        switch (t) {
        case ST_F64:
        case ST_I64: memcpy((char *)dst + 8 * i, &bits, 8); break;
        case ST_F32:
        case ST_I32: ((uint32_t *)dst)[i] = (uint32_t)bits; break;
        case ST_F16: ((float *)dst)[i] = half_to_float((uint32_t)bits); break;
        case ST_BF16: ((float *)dst)[i] = bits_float((uint32_t)bits << 16); break;
        case ST_U8:
        case ST_BOOL: ((uint8_t *)dst)[i] = (uint8_t)bits; break;
        case ST_COUNT: break;
        }
    }
}

typedef struct {
    Ctx *ctx;
    const char *what;
    int64_t bytes; /* of the data section */
    /* the whole, for guard_call */
    Arena *a;
    json_t *root;
    const unsigned char *data;
    Safetensors *out;
} Reader;

static bool bad(const Reader *r, const char *tensor, const char *why) {
    if (tensor) diag_error(r->ctx, 601, (Span){0, 0}, "%s: tensor '%s' %s", r->what, tensor, why);
    else diag_error(r->ctx, 601, (Span){0, 0}, "%s: %s", r->what, why);
    return false;
}

static bool parse_type(const Reader *r, const char *name, const json_t *j, StType *t) {
    if (!json_is_string(j)) return bad(r, name, "has no \"dtype\"");
    for (int k = 0; k < ST_COUNT; k++)
        if (strcmp(json_string_value(j), st_type[k].name) == 0) {
            *t = (StType)k;
            return true;
        }
    diag_error(r->ctx, 604, (Span){0, 0}, "%s: tensor '%s' has elements of type %s, which Rondo does not read", r->what, name,
               json_string_value(j));
    diag_help(r->ctx, (Span){0, 0}, "F32, F64, F16, BF16, I32, I64, U8 and BOOL are read");
    return false;
}

static bool parse_shape(const Reader *r, const char *name, const json_t *j, Array *x) {
    if (!json_is_array(j)) return bad(r, name, "has no \"shape\"");
    size_t rank = json_array_size(j);
    if (rank > RONDO_MAX_RANK) return bad(r, name, "has more than 8 dimensions");
    x->rank = (int)rank;
    for (size_t k = 0; k < rank; k++) {
        const json_t *d = json_array_get(j, k);
        if (!json_is_integer(d) || json_integer_value(d) < 0) return bad(r, name, "has a dimension that is not a size");
        x->dim[k] = json_integer_value(d);
    }
    if (array_count(x) < 0) return bad(r, name, "is larger than any memory");
    return true;
}

typedef struct {
    int64_t lo, hi;
    uint32_t tensor;
} Range;

static bool parse_tensor(const Reader *r, Arena *a, const char *name, const json_t *j, const unsigned char *data, Array *x,
                         Range *range) {
    if (!json_is_object(j)) return bad(r, name, "is not described by an object");
    StType t = ST_F32;
    if (!parse_type(r, name, json_object_get(j, "dtype"), &t) || !parse_shape(r, name, json_object_get(j, "shape"), x))
        return false;
    const json_t *o = json_object_get(j, "data_offsets");
    if (!json_is_array(o) || json_array_size(o) != 2 || !json_is_integer(json_array_get(o, 0)) ||
        !json_is_integer(json_array_get(o, 1)))
        return bad(r, name, "has no \"data_offsets\"");
    if (json_object_size(j) != 3) return bad(r, name, "has keys besides dtype, shape and data_offsets");
    range->lo = json_integer_value(json_array_get(o, 0));
    range->hi = json_integer_value(json_array_get(o, 1));
    if (range->lo < 0 || range->hi < range->lo || range->hi > r->bytes) return bad(r, name, "lies outside the file");
    int64_t n = array_count(x), bytes;
    if (!checked_mul(n, st_type[t].size, &bytes) || bytes != range->hi - range->lo)
        return bad(r, name, "has a shape that does not fit its data_offsets");
    x->name = arena_strdup(a, name);
    x->type = (rondo_type)st_type[t].type;
    x->data = arena_alloc(a, bytes ? (size_t)n * rondo_type_size(x->type) : 1);
    read_elements(t, data + range->lo, n, x->data);
    return true;
}

static int by_lo(const void *a, const void *b) {
    const Range *x = a, *y = b;
    if (x->lo != y->lo) return x->lo < y->lo ? -1 : 1;
    return x->hi < y->hi ? -1 : x->hi > y->hi;
}

/* The tensors must cover the data section exactly. */
static bool check_cover(const Reader *r, Range *range, const Safetensors *s) {
    uint32_t n = s->tensor.array.n;
    qsort(range, n, sizeof *range, by_lo);
    int64_t end = 0;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = s->tensor.array.at[range[i].tensor].name;
        if (range[i].lo < end) return bad(r, name, "overlaps another one");
        if (range[i].lo > end) return bad(r, name, "leaves a gap before its data");
        end = range[i].hi;
    }
    return end == r->bytes || bad(r, NULL, "there is data after the last tensor, or the header lies about the offsets");
}

static bool parse_meta(const Reader *r, Arena *a, json_t *j, Safetensors *out) {
    const char *key;
    json_t *value;
    if (!json_is_object(j)) return bad(r, NULL, "\"__metadata__\" is not an object");
    json_object_foreach(j, key, value) {
        if (!json_is_string(value)) return bad(r, NULL, "\"__metadata__\" holds something besides strings");
        VEC_PUSH(a, out->meta) = arena_strdup(a, key);
        VEC_PUSH(a, out->meta) = arena_strdup(a, json_string_value(value));
    }
    return true;
}

static bool parse_header(void *arg) {
    const Reader *r = arg;
    Arena *a = r->a;
    json_t *root = r->root, *value;
    Safetensors *out = r->out;
    const char *key;
    Range *range = NEW_N(a, Range, json_object_size(root) + 1);
    json_object_foreach(root, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            if (!parse_meta(r, a, value, out)) return false;
            continue;
        }
        Array x = {0};
        uint32_t i = out->tensor.array.n;
        range[i].tensor = i;
        if (!parse_tensor(r, a, key, value, r->data, &x, &range[i])) return false;
        VEC_PUSH(a, out->tensor.array) = x;
    }
    return check_cover(r, range, out);
}

bool safetensors_parse(Ctx *ctx, Arena *a, const char *what, const char *data, size_t n, Safetensors *out) {
    Reader r = {.ctx = ctx, .what = what, .a = a, .out = out};
    *out = (Safetensors){0};
    if (n < 8) return bad(&r, NULL, "is no safetensors file: it is shorter than 8 bytes");
    uint64_t header = load_le((const unsigned char *)data, 8);
    if (header > HEADER_MAX) return bad(&r, NULL, "is no safetensors file: the header would be longer than 100 MB");
    if (header > n - 8) return bad(&r, NULL, "is truncated: the header is longer than the file");
    if (header < 2 || data[8] != '{') return bad(&r, NULL, "is no safetensors file: the header is not a JSON object");
    r.bytes = (int64_t)(n - 8 - header);
    json_error_t why;
    json_t *root = json_loadb(data + 8, (size_t)header, JSON_REJECT_DUPLICATES, &why);
    if (!root) {
        diag_error(ctx, 601, (Span){0, 0}, "%s: the header is not sound JSON: %s (byte %d)", what, why.text, why.position);
        return false;
    }
    r.root = root;
    r.data = (const unsigned char *)data + 8 + header;
    int got = guard_call(ctx, parse_header, &r);
    json_decref(root); /* malloc's, so freed before passing on that memory ran out */
    if (got < 0) ctx_out_of_memory(ctx);
    return got;
}

typedef struct {
    Ctx *ctx;
    Arena *a, tmp;
    const char *path;
    Safetensors *out;
    const Safetensors *in;
} File;

static bool read_file(void *arg) {
    File *f = arg;
    char *text;
    size_t n;
    return file_read(f->ctx, &f->tmp, f->path, &text, &n) && safetensors_parse(f->ctx, f->a, f->path, text, n, f->out);
}

static bool with_file(File *f, bool (*fn)(void *)) {
    f->tmp = arena_make(f->ctx);
    int got = guard_call(f->ctx, fn, f);
    arena_free(&f->tmp);
    if (got < 0) ctx_out_of_memory(f->ctx);
    return got;
}

bool safetensors_read(Ctx *ctx, Arena *a, const char *path, Safetensors *out) {
    return with_file(&(File){.ctx = ctx, .a = a, .path = path, .out = out}, read_file);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static const char *type_text(rondo_type t) {
    switch (t) {
    case RONDO_F32: return "F32";
    case RONDO_F64: return "F64";
    case RONDO_I32: return "I32";
    case RONDO_I64: return "I64";
    case RONDO_U8: return "U8";
    }
    return "U8";
}

/* json_pack and its kin return NULL when memory runs out; NULL propagates to the end. */
static json_t *make_header(const Safetensors *s) {
    json_t *root = json_object();
    int64_t at = 0;
    if (s->meta.n) {
        json_t *meta = json_object();
        for (uint32_t i = 0; i + 1 < s->meta.n; i += 2) json_object_set_new(meta, s->meta.at[i], json_string(s->meta.at[i + 1]));
        json_object_set_new(root, "__metadata__", meta);
    }
    for (uint32_t i = 0; i < s->tensor.array.n; i++) {
        const Array *x = &s->tensor.array.at[i];
        int64_t bytes = array_count(x) * (int64_t)rondo_type_size(x->type);
        json_t *shape = json_array();
        for (int k = 0; k < x->rank; k++) json_array_append_new(shape, json_integer(x->dim[k]));
        json_t *t = json_pack("{s:s, s:o, s:[I, I]}", "dtype", type_text(x->type), "shape", shape, "data_offsets", (json_int_t)at,
                              (json_int_t)(at + bytes));
        at += bytes;
        if (!t || json_object_set_new(root, x->name, t)) {
            json_decref(root);
            return NULL;
        }
    }
    return root;
}

typedef struct {
    Arena *a;
    size_t n;
    char *at;
} Packing;

static bool allocate(void *arg) {
    Packing *k = arg;
    k->at = arena_alloc(k->a, k->n);
    return true;
}

bool safetensors_pack(Ctx *ctx, Arena *a, const Safetensors *s, char **data, size_t *n) {
    json_t *root = make_header(s);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(root);
    if (!text) {
        diag_error(ctx, 600, (Span){0, 0}, "the names of the tensors cannot be written as JSON (they must be UTF-8)");
        return false;
    }
    size_t len = strlen(text), header = (len + 7) / 8 * 8;
    size_t bytes = 0;
    for (uint32_t i = 0; i < s->tensor.array.n; i++)
        bytes += (size_t)array_count(&s->tensor.array.at[i]) * rondo_type_size(s->tensor.array.at[i].type);
    Packing k = {a, 8 + header + bytes, NULL};
    if (guard_call(ctx, allocate, &k) < 0) { /* the text is malloc's */
        free(text);
        ctx_out_of_memory(ctx);
    }
    char *all = k.at;
    store_le((unsigned char *)all, header, 8);
    memset(all + 8, ' ', header);
    memcpy(all + 8, text, len);
    free(text);
    unsigned char *p = (unsigned char *)all + 8 + header;
    for (uint32_t i = 0; i < s->tensor.array.n; i++) p = pack_elements(p, &s->tensor.array.at[i]);
    *data = all;
    *n = 8 + header + bytes;
    return true;
}

/* Elements in little-endian order; returns the end. */
unsigned char *pack_elements(unsigned char *p, const Array *x) {
    int size = (int)rondo_type_size(x->type);
    int64_t n = array_count(x);
    const char *src = x->data;
    for (int64_t i = 0; i < n; i++, src += size, p += size) {
        uint64_t bits = 0;
        if (size == 8) memcpy(&bits, src, 8);
        else if (size == 4) {
            uint32_t w;
            memcpy(&w, src, 4);
            bits = w;
        } else bits = *(const unsigned char *)src;
        store_le(p, bits, size);
    }
    return p;
}

static bool write_file(void *arg) {
    File *f = arg;
    char *data;
    size_t n;
    return safetensors_pack(f->ctx, &f->tmp, f->in, &data, &n) && file_write(f->ctx, f->path, data, n);
}

bool safetensors_write(Ctx *ctx, const char *path, const Safetensors *s) {
    return with_file(&(File){.ctx = ctx, .path = path, .in = s}, write_file);
}
