/* npz: NumPy's arrays. .npy as numpy.lib.format documents it (versions 1 to 3); .npz is a zip of them (archive.h).
   Sizes are checked against what the file really holds before anything large is allocated: an entry is read in pieces that
   grow, so an archive that lies about its size fails early. */
#include <string.h>

#include "runtime/archive.h"
#include "runtime/internal.h"

enum { PIECE = 1 << 20 };

typedef struct {
    Ctx *ctx;
    const char *what; /* "x.npz: array 'input/x'" */
    const char *p, *end;
} Header;

static bool bad(const Header *h, const char *why) {
    diag_error(h->ctx, 603, NOWHERE, "%s: %s", h->what, why);
    return false;
}

static void blanks(Header *h) {
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n')) h->p++;
}

static bool accept(Header *h, char c) {
    blanks(h);
    if (h->p >= h->end || *h->p != c) return false;
    h->p++;
    return true;
}

/* 'text' into a buffer; escapes do not occur in what NumPy writes. */
static bool string(Header *h, char *out, size_t size) {
    blanks(h);
    if (h->p >= h->end || (*h->p != '\'' && *h->p != '"')) return false;
    char q = *h->p++;
    size_t n = 0;
    while (h->p < h->end && *h->p != q && n + 1 < size) out[n++] = *h->p++;
    out[n] = 0;
    return accept(h, q);
}

static bool word(Header *h, const char *w) {
    blanks(h);
    size_t n = strlen(w);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, w, n) != 0) return false;
    h->p += n;
    return true;
}

static bool number(Header *h, int64_t *v) {
    blanks(h);
    const char *start = h->p;
    *v = 0;
    for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++)
        if (!checked_mul(*v, 10, v) || !checked_add(*v, *h->p - '0', v)) return false;
    if (h->p < h->end && *h->p == 'L') h->p++; /* Python 2 */
    return h->p > start;
}

static bool shape(Header *h, Array *x) {
    if (!accept(h, '(')) return bad(h, "the header has no shape");
    while (!accept(h, ')')) {
        if (x->rank >= RONDO_MAX_RANK) return bad(h, "there are more than 8 dimensions");
        if (!number(h, &x->dim[x->rank])) return bad(h, "a dimension is not a size");
        x->rank++;
        if (!accept(h, ',')) {
            if (!accept(h, ')')) return bad(h, "the shape is malformed");
            break;
        }
    }
    return array_count(x) >= 0 || bad(h, "the shape is larger than any memory");
}

static bool element_type(Header *h, const char *d, Array *x) {
    static const struct {
        const char *d;
        rondo_type t;
    } known[] = {{"f4", RONDO_F32}, {"f8", RONDO_F64}, {"i4", RONDO_I32}, {"i8", RONDO_I64}, {"u1", RONDO_U8}, {"b1", RONDO_U8}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (d[0] && strcmp(d + 1, known[k].d) == 0) {
            if (d[0] == '>') break;
            x->type = known[k].t;
            return true;
        }
    diag_error(h->ctx, 604, NOWHERE, "%s: elements of type '%s' are not read", h->what, d);
    diag_help(h->ctx, NOWHERE, d[0] == '>' ? "the data is big-endian; convert it, as with x.astype('<f4')"
                                           : "f4, f8, i4, i8, u1 and b1 are; convert it, as with x.astype('<f4')");
    return false;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
static bool dictionary(Header *h, Array *x, bool *fortran) {
    char key[32], descr[32] = "";
    bool have_order = false, have_shape = false;
    if (!accept(h, '{')) return bad(h, "the header is not a dictionary");
    while (!accept(h, '}')) {
        if (!string(h, key, sizeof key) || !accept(h, ':')) return bad(h, "the header is malformed");
        if (strcmp(key, "descr") == 0 && !descr[0]) {
            if (!string(h, descr, sizeof descr)) return bad(h, "the elements are records or objects, which are not read");
        } else if (strcmp(key, "fortran_order") == 0 && !have_order) {
            have_order = true;
            *fortran = word(h, "True");
            if (!*fortran && !word(h, "False")) return bad(h, "fortran_order is neither True nor False");
        } else if (strcmp(key, "shape") == 0 && !have_shape) {
            have_shape = true;
            if (!shape(h, x)) return false;
        } else return bad(h, "the header has an unknown or repeated key");
        if (!accept(h, ',')) {
            if (!accept(h, '}')) return bad(h, "the header is malformed");
            break;
        }
    }
    if (!descr[0] || !have_order || !have_shape) return bad(h, "the header lacks descr, fortran_order or shape");
    return element_type(h, descr, x);
}

/* Parses magic and header; *data = offset of the elements. */
static bool npy_header(Ctx *ctx, const char *what, const char *p, size_t n, Array *x, bool *fortran, size_t *data) {
    Header h = {ctx, what, p, p + n};
    if (n < 10 || memcmp(p, "\x93NUMPY", 6) != 0) return bad(&h, "is no .npy data");
    int version = (unsigned char)p[6];
    if (version < 1 || version > 3) return bad(&h, "has an unknown version of the .npy format");
    size_t start = version == 1 ? 10 : 12;
    if (n < start) return bad(&h, "is truncated");
    uint64_t len = load_le((const unsigned char *)p + 8, version == 1 ? 2 : 4);
    if (len > n - start) return bad(&h, "is truncated: the header is longer than the data");
    h.p = p + start;
    h.end = h.p + len;
    *data = start + (size_t)len;
    return dictionary(&h, x, fortran);
}

/* Copies little-endian elements into C order and host byte order. */
static void copy_elements(const unsigned char *src, bool fortran, Array *x) {
    int size = (int)rondo_type_size(x->type);
    int64_t n = array_count(x);
    int64_t at[RONDO_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++) {
        int64_t from = i;
        if (fortran) {
            from = 0;
            for (int k = x->rank; k-- > 0;) from = from * x->dim[k] + at[k];
            for (int k = x->rank; k-- > 0;) {
                if (++at[k] < x->dim[k]) break;
                at[k] = 0;
            }
        }
        uint64_t bits = load_le(src + from * size, size);
        if (size == 8) memcpy((char *)x->data + 8 * i, &bits, 8);
        else if (size == 4) ((uint32_t *)x->data)[i] = (uint32_t)bits;
        else ((uint8_t *)x->data)[i] = (uint8_t)bits;
    }
}

bool npy_parse(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, Array *out) {
    Array x = {0};
    bool fortran = false;
    size_t at = 0;
    if (!npy_header(ctx, what, data, n, &x, &fortran, &at)) return false;
    int64_t bytes;
    if (!checked_mul(array_count(&x), (int64_t)rondo_type_size(x.type), &bytes) || (uint64_t)bytes != n - at) {
        diag_error(ctx, 603, NOWHERE, "%s: the shape does not fit the %zu bytes of data", what, n - at);
        return false;
    }
    x.name = "";
    x.data = arena_alloc(a, bytes ? (size_t)bytes : 1);
    copy_elements((const unsigned char *)data + at, fortran, &x);
    *out = x;
    return true;
}

/* ---- the archive -------------------------------------------------------------------------------------------------------- */

static bool zip_bad(Ctx *ctx, const char *path, const char *why) {
    diag_error(ctx, 603, NOWHERE, "%s: %s", path, why);
    return false;
}

/* Reads an entry to its end in growing pieces, at most `size` bytes. */
static bool read_entry(Ctx *ctx, Arena *tmp, const char *what, const ArchivePlugin *zip, void *f, uint64_t size, char **data, size_t *n) {
    size_t cap = size < PIECE ? (size_t)size + 1 : PIECE, got = 0;
    char *p = arena_alloc(tmp, cap);
    for (;;) {
        int64_t k = zip->read(f, p + got, cap - got);
        if (k < 0) return zip_bad(ctx, what, "is damaged: it cannot be unpacked");
        if (k == 0) break;
        got += (size_t)k;
        if (got > size) break;
        if (got == cap) {
            size_t next = cap * 2 < size + 1 ? cap * 2 : (size_t)size + 1;
            p = arena_grow(tmp, p, cap, next);
            cap = next;
        }
    }
    if (got != size) return zip_bad(ctx, what, "is damaged: its size is not the one stated");
    *data = p;
    *n = got;
    return true;
}

typedef struct {
    Ctx *ctx;
    Arena *a, tmp;
    const char *path, *what;
    const ArchivePlugin *zip;
    void *z, *f;
    uint64_t size;
    Array x;
    Arrays *out;
} Archive;

static bool unpack(void *arg) {
    Archive *r = arg;
    char *data = NULL;
    size_t n = 0;
    return read_entry(r->ctx, &r->tmp, r->what, r->zip, r->f, r->size, &data, &n) && npy_parse(r->ctx, r->a, r->what, data, n, &r->x);
}

static bool read_member(Archive *r, int64_t i) {
    const char *file;
    if (!r->zip->entry(r->z, i, &file, &r->size))
        return zip_bad(r->ctx, r->path, "an entry of the archive cannot be read");
    size_t len = strlen(file);
    if (len < 4 || strcmp(file + len - 4, ".npy") != 0) return true;
    char *name = arena_strndup(r->a, file, len - 4);
    r->what = arena_printf(r->a, "%s: array '%s'", r->path, name);
    if (arrays_find(r->out, name)) return zip_bad(r->ctx, r->what, "occurs twice");
    if (r->size > (uint64_t)DEFAULT_MEMORY_LIMIT) return zip_bad(r->ctx, r->what, "is larger than 16 GiB");
    r->f = r->zip->unpack(r->z, i);
    if (!r->f) return zip_bad(r->ctx, r->what, "cannot be unpacked");
    r->tmp = arena_make(r->ctx);
    int got = guard_call(r->ctx, unpack, r);
    r->zip->end(r->f);
    arena_free(&r->tmp);
    if (got < 0) ctx_out_of_memory(r->ctx);
    if (!got) return false;
    r->x.name = name;
    VEC_PUSH(r->a, r->out->array) = r->x;
    return true;
}

static bool read_members(void *arg) {
    Archive *r = arg;
    int64_t count = r->zip->count(r->z);
    for (int64_t i = 0; i < count; i++)
        if (!read_member(r, i)) return false;
    return true;
}

static bool read_zip(Ctx *ctx, Arena *a, const char *path, const char *text, size_t n, Arrays *out) {
    if (n == 0) return zip_bad(ctx, path, "is empty"); /* to libzip that is an archive */
    char why[128] = "";
    const ArchivePlugin *zip = archive_plugin(ctx);
    if (!zip) return false;
    void *z = zip->open(text, n, why);
    if (!z) {
        diag_error(ctx, 603, NOWHERE, "%s is no sound .npz archive: %s", path, why);
        return false;
    }
    Archive r = {.ctx = ctx, .a = a, .path = path, .zip = zip, .z = z, .out = out};
    int got = guard_call(ctx, read_members, &r);
    zip->close(z);
    if (got < 0) ctx_out_of_memory(ctx);
    return got;
}

typedef struct {
    Ctx *ctx;
    Arena *a, tmp;
    const char *path;
    Arrays *out;
} File;

static bool read_file(void *arg) {
    File *f = arg;
    char *text;
    size_t n;
    if (!file_read(f->ctx, &f->tmp, f->path, &text, &n)) return false;
    if (n < 6 || memcmp(text, "\x93NUMPY", 6) != 0) return read_zip(f->ctx, f->a, f->path, text, n, f->out);
    Array x;
    if (!npy_parse(f->ctx, f->a, f->path, text, n, &x)) return false;
    VEC_PUSH(f->a, f->out->array) = x;
    return true;
}

bool npz_read(Ctx *ctx, Arena *a, const char *path, Arrays *out) {
    File f = {.ctx = ctx, .a = a, .tmp = arena_make(ctx), .path = path, .out = out};
    *out = (Arrays){0};
    int got = guard_call(ctx, read_file, &f);
    arena_free(&f.tmp);
    if (got < 0) ctx_out_of_memory(ctx);
    return got;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static const char *descr(rondo_type t) {
    switch (t) {
    case RONDO_F32: return "<f4";
    case RONDO_F64: return "<f8";
    case RONDO_I32: return "<i4";
    case RONDO_I64: return "<i8";
    case RONDO_U8: return "|u1";
    }
    return "|u1";
}

static char *npy_pack(Arena *a, const Array *x, size_t *n) {
    Str s = str_make(a);
    str_printf(&s, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr(x->type));
    for (int k = 0; k < x->rank; k++) str_printf(&s, "%lld%s", (long long)x->dim[k], k + 1 < x->rank ? ", " : x->rank == 1 ? "," : "");
    str_put(&s, "), }");
    while ((10 + s.n + 1) % 64) str_putc(&s, ' ');
    str_putc(&s, '\n');
    size_t bytes = (size_t)array_count(x) * rondo_type_size(x->type);
    *n = 10 + s.n + bytes;
    char *p = arena_alloc(a, *n);
    memcpy(p, "\x93NUMPY\x01\x00", 8);
    store_le((unsigned char *)p + 8, s.n, 2);
    memcpy(p + 10, s.at, s.n);
    pack_elements((unsigned char *)p + 10 + s.n, x);
    return p;
}

typedef struct {
    Ctx *ctx;
    Arena tmp;
    const char *path;
    const Arrays *s;
    const ArchivePlugin *zip;
    void *z;
} Output;

static bool write_all(void *arg) {
    Output *w = arg;
    size_t n;
    for (uint32_t i = 0; i < w->s->array.n; i++) {
        const Array *x = &w->s->array.at[i];
        char *p = npy_pack(&w->tmp, x, &n);
        if (!w->zip->add(w->z, arena_printf(&w->tmp, "%s.npy", x->name), p, n)) {
            diag_error(w->ctx, 603, NOWHERE, "the array '%s' cannot be put into an archive", x->name);
            return false;
        }
    }
    if (!w->zip->pack(w->z, &n)) return zip_bad(w->ctx, "the archive", "cannot be made");
    char *data = arena_alloc(&w->tmp, n + 1);
    return w->zip->take(w->z, data, n) ? file_write(w->ctx, w->path, data, n) : zip_bad(w->ctx, "the archive", "cannot be made");
}

bool npz_write(Ctx *ctx, const char *path, const Arrays *s) {
    Output w = {.ctx = ctx, .path = path, .s = s, .zip = archive_plugin(ctx)};
    if (!w.zip) return false;
    w.z = w.zip->make();
    if (!w.z) return zip_bad(ctx, path, "an archive cannot be made");
    w.tmp = arena_make(ctx);
    int got = guard_call(ctx, write_all, &w);
    w.zip->close(w.z);
    arena_free(&w.tmp);
    if (got < 0) ctx_out_of_memory(ctx);
    return got;
}
