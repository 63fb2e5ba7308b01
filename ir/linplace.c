/* linplace: whether an entry may be given the same memory for a buffer that it reads and one that it writes: whether no element
   of `in` is read after `out` has been stored there.
   before:  for %4 = 0..32 by 8 { %5 = ld c#3[%4]  ..  st out_c#7[%4] %9 }      may
            .. st out_h#6[%4] ..     %9 = ldb h#2[%5]                          may not
   Only what is plain to see counts: ranges of indices over loops of known bounds, and the same index in the same loop. */
#include "ir/loop.h"

typedef struct {
    bool store, known;
    int64_t lo, hi; /* elements, from the first buffer's beginning; if known */
    int64_t lanes;
    const LIdx *idx;
    uint32_t at, loop; /* position; that of the outermost loop around it, 0: none */
    uint32_t depth;
} Access;

typedef struct {
    const LProgram *p;
    const LFunc *f;
    uint32_t in, out;
    const LInst **def; /* by value: its instruction, a loop's for its index */
    VEC(Access) access;
} InPlace;

static bool constant(const InPlace *x, LV v, int64_t *n) {
    const LInst *i = x->def[v];
    if (i && i->op == LOP_ICONST) *n = i->imm;
    return i && i->op == LOP_ICONST;
}

/* Least and largest value of an index of a loop with known bounds. */
static bool loop_range(const InPlace *x, LV v, int64_t *lo, int64_t *hi) {
    const LInst *i = x->def[v];
    int64_t end;
    if (!i || i->op != LOP_FOR || !constant(x, i->a[0], lo) || !constant(x, i->a[1], &end) || end <= *lo) return false;
    *hi = *lo + (end - 1 - *lo) / i->imm * i->imm;
    return true;
}

static bool index_range(const InPlace *x, const LIdx *i, int64_t *lo, int64_t *hi) {
    *lo = *hi = i->c0;
    for (uint32_t k = 0; k < i->n; k++) {
        int64_t least, most;
        if (!loop_range(x, i->v[k], &least, &most)) return false;
        *lo += i->c[k] * (i->c[k] > 0 ? least : most);
        *hi += i->c[k] * (i->c[k] > 0 ? most : least);
    }
    return true;
}

static int64_t lanes_of(const LProgram *p, const LInst *i) {
    switch ((int)i->op) {
    case LOP_LD: case LOP_LDV: case LOP_ST: case LOP_STV: return p->V;
    case LOP_LDT: case LOP_LDVT: case LOP_STT: case LOP_STVT: return i->imm;
    default: return 1;
    }
}

static void note(InPlace *x, Access a, uint32_t buf, uint32_t idx, int64_t lanes) {
    if (buf != x->in && buf != x->out) return;
    a.idx = &x->f->idx.at[idx];
    a.known = lanes > 0 && index_range(x, a.idx, &a.lo, &a.hi);
    a.hi += lanes;
    a.lanes = lanes;
    VEC_PUSH(x->p->arena, x->access) = a;
}

static void find_accesses(InPlace *x) {
    uint32_t depth = 0, loop = 0;
    for (uint32_t k = 0; k < x->f->inst.n; k++) {
        const LInst *i = &x->f->inst.at[k];
        Access a = {.store = i->op >= LOP_ST && i->op <= LOP_STV1, .at = k + 1, .loop = loop, .depth = depth};
        if (i->op == LOP_FOR || i->op == LOP_IF) {
            if (!depth++) loop = k + 1;
        } else if (i->op == LOP_END) {
            if (!--depth) loop = 0;
        } else if (i->op == LOP_CALL) {
            const LFunc *g = x->p->fn.at[i->imm];
            for (uint32_t j = 0; j < g->param.n; j++) {
                const uint32_t *arg = &x->f->ext.at[i->ext + 1 + 2 * j];
                a.store = arg[0] == x->out;
                if (g->param.at[j].pointer) note(x, a, arg[0], arg[1], 0);
            }
        } else if (a.store || (i->op >= LOP_LD && i->op <= LOP_LDVB)) {
            note(x, a, i->buf, i->idx, lanes_of(x->p, i));
        }
        if (i->dst) x->def[i->dst] = i;
    }
}

static bool same_index(const LIdx *a, const LIdx *b) {
    bool same = a->n == b->n && a->c0 == b->c0;
    for (uint32_t k = 0; same && k < a->n; k++) same = a->v[k] == b->v[k] && a->c[k] == b->c[k];
    return same;
}

/* Load and store of one element in one round of the only loop around them, other rounds having other elements. */
static bool round_by_round(const InPlace *x, const Access *l, const Access *s) {
    const LIdx *i = l->idx;
    int64_t most = l->lanes > s->lanes ? l->lanes : s->lanes;
    return l->depth == 1 && s->depth == 1 && l->at < s->at && same_index(i, s->idx) && i->n == 1 &&
           x->def[i->v[0]] == &x->f->inst.at[l->loop - 1] && i->c[0] > 0 && i->c[0] * x->def[i->v[0]]->imm >= most;
}

bool lprogram_in_place(const LProgram *p, uint32_t fn, uint32_t in, uint32_t out) {
    InPlace x = {.p = p, .f = p->fn.at[fn], .in = in, .out = out};
    x.def = NEW_N(p->arena, const LInst *, x.f->type.n + 1);
    find_accesses(&x);
    for (uint32_t i = 0; i < x.access.n; i++)
        for (uint32_t k = 0; k < x.access.n; k++) {
            const Access *l = &x.access.at[i], *s = &x.access.at[k];
            if (l->store || !s->store || (l->known && s->known && (l->hi <= s->lo || s->hi <= l->lo))) continue;
            bool together = l->loop && l->loop == s->loop;
            if (together ? !l->known || !s->known || !round_by_round(&x, l, s) : s->at < l->at) return false;
        }
    return true;
}
