/* hdf5: the part of the HDF5 File Format Specification, version 1.1 to 3.0 (The HDF Group), that weights of Keras need: superblock 0
   and 1, groups as symbol tables (B-trees of version 1 over local heaps), object headers of version 1, datasets that lie in one
   piece. Every offset is checked against the file; trees may only go down, so that no file can lead in circles. */
#include "import/hdf5.h"

#include <math.h>
#include <string.h>

#include "import/internal.h"

enum { DEPTH_MAX = 32, OBJECTS_MAX = 200000, NAME_MAX_ = 1024 };
enum { MSG_SPACE = 1, MSG_TYPE = 3, MSG_LAYOUT = 8, MSG_CONTINUE = 0x10, MSG_TABLE = 0x11 };

typedef struct {
    const uint8_t *p;
    uint64_t n;
} Bytes;

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *what;
    const uint8_t *data;
    uint64_t n, base;
    int O, L; /* bytes of an offset, of a length */
    uint32_t objects;
    Arrays *out;
} File;

static bool bad(const File *f, const char *path, const char *why) {
    return import_bad(f->ctx, f->what, "HDF5: %s%s%s", path ? path : "", path ? ": " : "", why);
}

static uint64_t load(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int k = bytes; k-- > 0;) v = v << 8 | p[k];
    return v;
}

/* n bytes at an address of the file; p NULL if they are not in it. */
static Bytes at(const File *f, uint64_t address, uint64_t n) {
    uint64_t lo = address + f->base;
    if (lo < address || lo > f->n || n > f->n - lo) return (Bytes){NULL, 0};
    return (Bytes){f->data + lo, n};
}

/* ---- object headers ------------------------------------------------------------------------------------------------------ */

typedef struct {
    Bytes space, type, layout;
    bool table, shared; /* shared: something lies elsewhere, which is not followed */
    uint64_t tree, heap;
} Object;

static void take_message(const File *f, Object *o, unsigned type, unsigned flags, Bytes m) {
    if (flags & 2) {
        o->shared = o->shared || type == MSG_SPACE || type == MSG_TYPE || type == MSG_LAYOUT;
        return;
    }
    if (type == MSG_SPACE) o->space = m;
    if (type == MSG_TYPE) o->type = m;
    if (type == MSG_LAYOUT) o->layout = m;
    if (type == MSG_TABLE && m.n >= (uint64_t)(2 * f->O)) {
        o->table = true;
        o->tree = load(m.p, f->O);
        o->heap = load(m.p + f->O, f->O);
    }
}

static bool read_header(const File *f, const char *path, uint64_t address, Object *o) {
    Bytes head = at(f, address, 16), block[16];
    *o = (Object){0};
    if (!head.p) return bad(f, path, "an object lies outside of the file");
    if (head.p[0] != 1) return bad(f, path, "object headers of this version are not read; h5repack --high=0 writes older ones");
    unsigned left = (unsigned)load(head.p + 2, 2), nblock = 1;
    block[0] = at(f, address + 16, load(head.p + 8, 4));
    if (!block[0].p) return bad(f, path, "an object header is cut off");
    for (unsigned b = 0; b < nblock; b++) {
        Bytes m = block[b];
        for (; left && m.n >= 8; left--) {
            unsigned type = (unsigned)load(m.p, 2);
            uint64_t size = load(m.p + 2, 2);
            if (size > m.n - 8) return bad(f, path, "a message of an object header is cut off");
            Bytes body = {m.p + 8, size};
            if (type == MSG_CONTINUE && size >= (uint64_t)(f->O + f->L)) {
                if (nblock == 16) return bad(f, path, "an object header has too many pieces");
                block[nblock] = at(f, load(body.p, f->O), load(body.p + f->O, f->L));
                if (!block[nblock++].p) return bad(f, path, "an object header is cut off");
            } else
                take_message(f, o, type, m.p[4], body);
            m = (Bytes){m.p + 8 + size, m.n - 8 - size};
        }
    }
    return true;
}

/* ---- datasets ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    bool is_float, big, is_signed;
    int size, exponent; /* bits of a float's exponent */
} Number;

/* False: not numbers of a kind that is read. */
static bool read_type(Bytes m, Number *t) {
    if (m.n < 8) return false;
    int cls = m.p[0] & 15;
    *t = (Number){.is_float = cls == 1, .big = m.p[1] & 1, .is_signed = m.p[1] >> 3 & 1};
    uint64_t size = load(m.p + 4, 4);
    if (cls > 1 || (size != 1 && size != 2 && size != 4 && size != 8)) return false;
    t->size = (int)size;
    if (cls == 0) return true;
    if (m.n < 20 || size == 1) return false;
    t->exponent = m.p[13];
    return (size == 8 && t->exponent == 11) || (size == 4 && t->exponent == 8) ||
           (size == 2 && (t->exponent == 5 || t->exponent == 8));
}

static double as_float(const Number *t, uint64_t bits) {
    if (t->size == 8) {
        double d;
        memcpy(&d, &bits, 8);
        return d;
    }
    if (t->size == 2 && t->exponent == 8) bits <<= 16; /* bfloat16 */
    if (t->size == 4 || t->exponent == 8) {
        float s;
        uint32_t b = (uint32_t)bits;
        memcpy(&s, &b, 4);
        return s;
    }
    int e = (int)(bits >> 10 & 31);
    double m = (double)(bits & 1023), v = e == 31 ? (m > 0 ? NAN : INFINITY) : e ? ldexp(m + 1024, e - 25) : ldexp(m, -24);
    return bits >> 15 & 1 ? -v : v;
}

static double element(const Number *t, const uint8_t *p) {
    uint64_t bits = 0;
    for (int k = 0; k < t->size; k++) bits = bits << 8 | p[t->big ? k : t->size - 1 - k];
    if (t->is_float) return as_float(t, bits);
    int shift = 64 - 8 * t->size;
    return t->is_signed ? (double)((int64_t)(bits << shift) >> shift) : (double)bits;
}

static bool read_space(const File *f, const char *path, Bytes m, Array *x) {
    if (m.n < 4) return bad(f, path, "its dims are cut off");
    unsigned version = m.p[0], rank = m.p[1];
    uint64_t from = version == 1 ? 8 : 4;
    if (version < 1 || version > 2) return bad(f, path, "its dims are of an unknown version");
    if (rank > RONDO_MAX_RANK) return bad(f, path, "it has more than 8 dims");
    if (m.n < from + (uint64_t)rank * (unsigned)f->L) return bad(f, path, "its dims are cut off");
    x->rank = (int)rank;
    for (unsigned k = 0; k < rank; k++) {
        uint64_t d = load(m.p + from + k * (unsigned)f->L, f->L);
        x->dim[k] = d > INT64_MAX ? -1 : (int64_t)d;
    }
    return array_count(x) >= 0 || bad(f, path, "it is larger than any memory");
}

static bool read_dataset(File *f, const char *path, const Object *o) {
    Number t;
    Array x = {.type = RONDO_F64, .name = path};
    if (o->shared || !o->type.p || !o->space.p) return true;
    if (!read_type(o->type, &t)) return true;
    if (!read_space(f, path, o->space, &x)) return false;
    Bytes l = o->layout, raw = {NULL, 0};
    int64_t n = array_count(&x), bytes;
    if (!checked_mul(n, t.size, &bytes) || l.n < 2) return bad(f, path, "its place in the file is not said");
    if (l.p[0] < 3 || l.p[0] > 4) return bad(f, path, "its layout is of a version that is not read");
    if (l.p[1] == 2) return bad(f, path, "it lies in chunks, which are not read; Keras writes whole arrays");
    if (l.p[1] == 0 && l.n >= 4 && load(l.p + 2, 2) <= l.n - 4) raw = (Bytes){l.p + 4, load(l.p + 2, 2)};
    if (l.p[1] == 1 && l.n >= (uint64_t)(2 + f->O + f->L)) raw = at(f, load(l.p + 2, f->O), load(l.p + 2 + f->O, f->L));
    if (n && (!raw.p || raw.n < (uint64_t)bytes)) return bad(f, path, "its numbers are not all in the file");
    double *v = NEW_N(f->a, double, n + 1);
    for (int64_t i = 0; i < n; i++) v[i] = element(&t, raw.p + i * t.size);
    x.data = v;
    VEC_PUSH(f->a, f->out->array) = x;
    return true;
}

/* ---- groups -------------------------------------------------------------------------------------------------------------- */

static bool read_object(File *f, const char *path, uint64_t address, int depth);

/* The names of a group: one block of text. */
static bool heap_text(const File *f, const char *path, uint64_t heap, Bytes *text) {
    Bytes h = at(f, heap, 8 + 2 * (uint64_t)f->L + (uint64_t)f->O);
    if (!h.p || memcmp(h.p, "HEAP", 4)) return bad(f, path, "the names of a group are not where they should be");
    *text = at(f, load(h.p + 8 + 2 * f->L, f->O), load(h.p + 8, f->L));
    return text->p || bad(f, path, "the names of a group are cut off");
}

static bool read_leaf(File *f, const char *path, uint64_t address, Bytes names, int depth) {
    Bytes h = at(f, address, 8);
    if (!h.p || memcmp(h.p, "SNOD", 4)) return bad(f, path, "a list of a group's members is damaged");
    uint64_t count = load(h.p + 6, 2), size = 2 * (uint64_t)f->O + 24;
    Bytes e = at(f, address + 8, count * size);
    if (!e.p) return bad(f, path, "a list of a group's members is cut off");
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *p = e.p + i * size;
        uint64_t name = load(p, f->O);
        const uint8_t *end = name < names.n ? memchr(names.p + name, 0, names.n - name) : NULL;
        if (!end || (uint64_t)(end - names.p) - name > NAME_MAX_) return bad(f, path, "a name of a group's member is damaged");
        if (load(p + 2 * f->O, 4) == 2) continue; /* a symbolic link */
        const char *base = (const char *)names.p + name;
        const char *full = *path ? arena_printf(f->a, "%s/%s", path, base) : arena_strdup(f->a, base);
        if (!read_object(f, full, load(p + f->O, f->O), depth + 1)) return false;
    }
    return true;
}

/* level: that of the node above; only smaller ones may follow. */
static bool read_tree(File *f, const char *path, uint64_t address, int level, Bytes names, int depth) {
    Bytes h = at(f, address, 8 + 2 * (uint64_t)f->O);
    if (!h.p || memcmp(h.p, "TREE", 4) || h.p[4] != 0 || h.p[5] >= level) return bad(f, path, "the tree of a group is damaged");
    if (++f->objects > OBJECTS_MAX) return bad(f, path, "it has too many groups");
    uint64_t count = load(h.p + 6, 2), step = (uint64_t)(f->L + f->O);
    Bytes e = at(f, address + h.n, count * step);
    if (!e.p) return bad(f, path, "the tree of a group is cut off");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t child = load(e.p + i * step + (unsigned)f->L, f->O);
        if (h.p[5] ? !read_tree(f, path, child, h.p[5], names, depth) : !read_leaf(f, path, child, names, depth)) return false;
    }
    return true;
}

static bool read_object(File *f, const char *path, uint64_t address, int depth) {
    Object o;
    Bytes names;
    if (depth > DEPTH_MAX || ++f->objects > OBJECTS_MAX || strlen(path) > NAME_MAX_)
        return bad(f, NULL, "its groups lie too deep or are too many");
    if (!read_header(f, path, address, &o)) return false;
    if (!o.table) return read_dataset(f, path, &o);
    return heap_text(f, path, o.heap, &names) && read_tree(f, path, o.tree, 256, names, depth);
}

bool hdf5_read(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, Arrays *out) {
    File f = {.ctx = ctx, .a = a, .what = what, .data = data, .n = n, .out = out};
    *out = (Arrays){0};
    if (n < 96 || memcmp(data, "\x89HDF\r\n\x1a\n", 8)) return bad(&f, NULL, "this is no HDF5 file");
    int version = f.data[8];
    if (version > 1)
        return bad(&f, NULL, "files of this version of the format are not read; h5repack --high=0 writes older ones");
    f.O = f.data[13];
    f.L = f.data[14];
    if ((f.O != 4 && f.O != 8) || (f.L != 4 && f.L != 8)) return bad(&f, NULL, "its offsets have an unknown size");
    uint64_t from = version == 0 ? 24 : 28;
    uint64_t base = load(f.data + from, f.O), root = load(f.data + from + 5 * (unsigned)f.O, f.O);
    f.base = base;
    return read_object(&f, "", root, 0);
}
