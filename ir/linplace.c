/* linplace: whether an entry may be given the same memory for a buffer that it reads and one that it writes: whether no element
   of `in` is read after `out` has been stored there.
   before:  for %4 = 0..32 by 8 { %5 = ld c#3[%4]  ..  st out_c#7[%4] %9 }      may
            .. st out_h#6[%4] ..     %9 = ldb h#2[%5]                          may not
   Only what is plain to see counts: ranges of indices over loops of known bounds, the same index in the same loop, and in the loop that
   goes on where that one ends. */
#include "ir/loop.h"

typedef struct {
    bool store, known;
    int64_t lo, hi; /* elements, from the first buffer's beginning; if known */
    int64_t lanes; /* 0: a call's, that may be anywhere */
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

/* In the only loop around it, of which every round has elements of its own. Then the loop's instruction. */
static const LInst *own_elements(const InPlace *x, const Access *a, int64_t lanes) {
    const LIdx *i = a->idx;
    const LInst *loop = a->loop && a->depth == 1 ? &x->f->inst.at[a->loop - 1] : NULL;
    bool own = loop && loop->op == LOP_FOR && a->lanes && i->n == 1 && x->def[i->v[0]] == loop && i->c[0] > 0 && i->c[0] * loop->imm >= lanes;
    return own ? loop : NULL;
}

/* Load and store of one element in one round. */
static bool round_by_round(const InPlace *x, const Access *l, const Access *s) {
    return l->at < s->at && l->lanes && same_index(l->idx, s->idx) && own_elements(x, s, l->lanes > s->lanes ? l->lanes : s->lanes);
}

/* Is the last round of a loop as long as the others? from..from + (n / imm) * imm by imm */
static bool whole_rounds(const InPlace *x, const LInst *loop) {
    const LInst *end = x->def[loop->a[1]], *product = NULL, *quotient;
    int64_t times, by;
    if (loop->imm == 1) return true;
    if (end && end->op == LOP_IADD) product = end->a[0] == loop->a[0] ? x->def[end->a[1]] : end->a[1] == loop->a[0] ? x->def[end->a[0]] : NULL;
    if (!product || product->op != LOP_IMUL) return false;
    bool second = constant(x, product->a[1], &times);
    if (!second && !constant(x, product->a[0], &times)) return false;
    quotient = x->def[product->a[second ? 0 : 1]];
    return times == loop->imm && quotient && quotient->op == LOP_IDIV && constant(x, quotient->a[1], &by) && by == times;
}

/* Load in a loop that goes on where the store's has ended, over the elements behind. */
static bool further_on(const InPlace *x, const Access *l, const Access *s) {
    const LInst *before = own_elements(x, s, s->lanes), *after = own_elements(x, l, 0);
    return before && after && after->a[0] == before->a[1] && l->idx->c0 == s->idx->c0 && l->idx->c[0] == s->idx->c[0] && whole_rounds(x, before);
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
            if (together ? !round_by_round(&x, l, s) : s->at < l->at && !further_on(&x, l, s)) return false;
        }
    return true;
}
