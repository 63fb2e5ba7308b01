/* lshadow: the interpreter's shadow memory: a word of tag for every 4 bytes that kernels write, naming the buffer that was
   written last. A read must find its own buffer there: so stale values, and values of another buffer in the same slot, are errors.
   Memory of PACK counts as written in a call that writes no PACK itself (an earlier "prepare" has filled it). With more
   than one thread each call sees only its own writes, so only ranges and LOCAL memory are checked then: tags on the rest would
   call a slot stale that another thread has filled since. */
#include "ir/linterp.h"

#include <stdlib.h>
#include <string.h>

#define TAG_ANY UINT32_MAX /* written before this call */

static bool is_written(const LBuf *b) {
    return b->role == LB_GRAD || b->role == LB_OUTPUT || b->role == LB_PACK || b->role == LB_SLAB || b->role == LB_LOCAL;
}

static bool is_tagged(const Machine *m, const LBuf *b) {
    return b->role == LB_LOCAL || (m->env->nt == 1 && is_written(b));
}

static bool writes_pack(const LProgram *p, uint32_t fn) {
    const LFunc *f = p->fn.at[fn];
    for (uint32_t pc = 0; pc < f->inst.n; pc++) {
        const LInst *i = &f->inst.at[pc];
        if (i->op >= LOP_ST && i->op <= LOP_STV1 && !(i->buf & LBUF_PARAM) && p->buf.at[i->buf].role == LB_PACK) return true;
        if (i->op != LOP_CALL) continue;
        const LFunc *g = p->fn.at[i->imm];
        for (uint32_t k = 0; k < g->param.n; k++) {
            uint32_t b = f->ext.at[i->ext + 1 + 2 * k];
            if (!g->param.at[k].pointer || b & LBUF_PARAM || p->buf.at[b].role != LB_PACK) continue;
            for (uint32_t q = 0; q < g->inst.n; q++)
                if (g->inst.at[q].op >= LOP_ST && g->inst.at[q].op <= LOP_STV1 && g->inst.at[q].buf == (LBUF_PARAM | k))
                    return true;
        }
    }
    return false;
}

typedef struct {
    uintptr_t lo, hi; /* bytes of memory */
    size_t words;     /* tag words before this range */
    bool preset;
} Range;

static int by_address(const void *x, const void *y) {
    const Range *a = x, *b = y;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Ranges that overlap become one. Gives how many are left. */
static size_t merge(Range *r, size_t n) {
    size_t k = 0;
    qsort(r, n, sizeof *r, by_address);
    for (size_t i = 0; i < n; i++)
        if (k && r[i].lo < r[k - 1].hi) {
            if (r[k - 1].hi < r[i].hi) r[k - 1].hi = r[i].hi;
            r[k - 1].preset |= r[i].preset;
        } else
            r[k++] = r[i];
    return k;
}

static bool make_tags(Machine *m, Range *r, size_t n) {
    size_t words = 0;
    for (size_t i = 0; i < n; i++) {
        r[i].words = words;
        words += (r[i].hi - r[i].lo + 3) / 4;
    }
    uint32_t *tag = calloc(words + 1, sizeof *tag);
    m->tags = tag;
    if (!tag) return false;
    for (size_t i = 0; i < n; i++)
        if (r[i].preset) memset(tag + r[i].words, 0xff, (r[i].hi - r[i].lo + 3) / 4 * sizeof *tag);
    for (uint32_t k = 0; k < m->p->buf.n; k++) {
        Bound *b = &m->bound[k];
        if (!b->base || !is_tagged(m, &m->p->buf.at[k])) continue;
        for (size_t i = 0; i < n; i++)
            if ((uintptr_t)b->base >= r[i].lo && (uintptr_t)b->base < r[i].hi)
                b->tag = tag + r[i].words + ((uintptr_t)b->base - r[i].lo) / 4;
    }
    return true;
}

bool shadow_make(Machine *m, uint32_t fn, void *const *buf) {
    const LProgram *p = m->p;
    bool fills = writes_pack(p, fn);
    size_t n = 0;
    Range *r = calloc(p->buf.n + 1, sizeof *r);
    (void)buf;
    if (!r) return false;
    for (uint32_t k = 0; k < p->buf.n; k++) {
        const LBuf *q = &p->buf.at[k];
        Bound *b = &m->bound[k];
        int64_t elems = lextent_eval(&q->extent, m->dim);
        b->hi = b->base && elems > 0 ? elems : 0;
        if (!b->hi || !is_tagged(m, q)) continue;
        bool preset = q->role == LB_PACK && !fills;
        r[n++] = (Range){(uintptr_t)b->base, (uintptr_t)b->base + (uintptr_t)b->hi * b->size, 0, preset};
    }
    n = merge(r, n);
    bool ok = make_tags(m, r, n);
    free(r);
    return ok;
}

void shadow_enter(Machine *m, uint32_t fn) {
    for (uint32_t k = 0; k < m->p->buf.n; k++) {
        const LBuf *q = &m->p->buf.at[k];
        Bound *b = &m->bound[k];
        if (q->role == LB_LOCAL && q->index == fn && b->tag) memset(b->tag, 0, (size_t)b->hi * (b->size / 4) * sizeof *b->tag);
    }
}

/* A fault in words: `tag` is what stands in the place, or TAG_ANY where it is none of the buffer. */
static void tell(Machine *m, Arena *a, uint32_t fn, uint32_t pc, const Bound *b, int64_t idx, uint32_t tag) {
    const LProgram *p = m->p;
    Str s = str_make(a);
    const char *what;
    if (tag == TAG_ANY) what = b->base ? arena_printf(a, "which has %lld", (long long)(b->hi - b->lo)) : "which is not bound";
    else if (tag == 0) what = "which this call has not written";
    else what = arena_printf(a, "where %s was written last", name_str(p->ctx, p->buf.at[tag - 1].name));
    linst_print(&s, p, p->fn.at[fn], pc);
    diag_error(p->ctx, 890, (Span){0, 0}, "%s: instruction %u \"%s\" touches element %lld of buffer %s, %s",
               name_str(p->ctx, p->fn.at[fn]->name), (unsigned)pc, s.at, (long long)idx,
               name_str(p->ctx, p->buf.at[b->id - 1].name), what);
}

/* The arena is a caller's, so that it can be freed when telling runs out of memory; who started the machine unwinds then. */
static void try_telling(Machine *m, Arena *a, uint32_t fn, uint32_t pc, const Bound *b, int64_t idx, uint32_t tag) {
    CtxFrame frame;
    if (CTX_TRY(m->p->ctx, &frame)) {
        tell(m, a, fn, pc, b, idx, tag);
        CTX_END(m->p->ctx);
    } else m->no_memory = true;
}

static bool fail(Machine *m, uint32_t fn, uint32_t pc, const Bound *b, int64_t idx, uint32_t tag) {
    Arena a = arena_make(m->p->ctx);
    try_telling(m, &a, fn, pc, b, idx, tag);
    arena_free(&a);
    return false;
}

bool shadow_access(Machine *m, uint32_t fn, uint32_t pc, const Bound *b, int64_t idx, int64_t n, bool store) {
    /* the element in the buffer's own count: arguments of calls are moved */
    if (idx < b->lo || idx > b->hi - n)
        return fail(m, fn, pc, b, (idx < b->lo || idx > b->hi ? idx : b->hi) - b->lo, TAG_ANY); /* the first that is out */
    if (!b->tag) return true;
    uint32_t per = b->size / 4;
    for (int64_t k = idx * per; k < (idx + n) * per; k++) {
        uint32_t tag = b->tag[k];
        if (store)
            b->tag[k] = b->id;
        else if (tag != b->id && tag != TAG_ANY)
            return fail(m, fn, pc, b, k / per - b->lo, tag);
    }
    return true;
}
