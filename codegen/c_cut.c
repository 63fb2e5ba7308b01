/* c_cut: long entries in pieces. What compilers and checkers take for a function grows faster than the function, and nobody reads
   thousands of lines of one. The statements of a block, inner blocks first, that are too many become functions of about the same length
       m_infer_run_2(b3, b7, dim, v6, &v12, &v300);
   cut where the fewest values are known on one side and wanted on the other: those go by their addresses, integers as they are. */
#include "codegen/c_emit.h"

typedef struct {
    uint32_t from, to, weight;
} CStatement;
typedef struct {
    VEC(CStatement) inside;
    uint32_t at; /* the FOR or IF */
} CBlock;

typedef struct {
    Arena *a;
    const LProgram *p;
    const LFunc *f;
    const bool *live, *again;
    uint32_t longest, at;
    uint32_t *def, *last; /* by value: instructions + 1; 0: none, or it can be made again */
    uint32_t *open;       /* by place: values that are known before it and wanted behind */
    bool *taken;          /* by value: of the piece at hand */
    CPiece *piece;
    CPieces all;
} CCut;

static const bool *made_again(Arena *a, const LFunc *f) {
    bool *again = NEW_N(a, bool, f->type.n);
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        bool ok = i->op == LOP_FCONST || i->op == LOP_VCONST || i->op == LOP_VIOTA || (i->op >= LOP_ICONST && i->op < LOP_LD);
        for (int j = 0; j < 3; j++) ok = ok && (!i->a[j] || again[i->a[j]]);
        if (ok) again[i->dst] = true;
    }
    return again;
}

static void note_last(void *arg, LV v) {
    CCut *c = arg;
    c->last[v] = c->at + 1;
}

static void no_buffer(void *arg, uint32_t buf, bool store) { (void)arg, (void)buf, (void)store; }

static void find_open(CCut *c) {
    const LVisit visit = {note_last, no_buffer, NULL, c};
    for (uint32_t k = 0; k < c->f->inst.n; k++) {
        const LInst *i = &c->f->inst.at[k];
        if (!c_is_shown(i, c->live)) continue;
        if (i->dst && !c->again[i->dst]) c->def[i->dst] = k + 1;
        const uint32_t *ext = &c->f->ext.at[i->ext];
        for (uint32_t q = 0; i->op == LOP_FOR && q < ext[0]; q++) c->def[ext[2 + 3 * q]] = c->def[ext[3 + 3 * q]] = k + 1;
        c->at = k;
        linst_uses(c->p, c->f, i, &visit);
    }
    for (uint32_t v = 1; v < c->f->type.n; v++) {
        if (!c->def[v] || c->last[v] <= c->def[v]) continue;
        c->open[c->def[v]]++;
        c->open[c->last[v]]--; /* sums that wrap around come out */
    }
    for (uint32_t k = 1; k <= c->f->inst.n; k++) c->open[k] += c->open[k - 1];
}

static void take(void *arg, LV v) {
    CCut *c = arg;
    uint32_t def = c->def[v];
    if (!def || (def > c->piece->from && def <= c->piece->to) || c->taken[v]) return;
    c->taken[v] = true;
    VEC_PUSH(c->a, c->piece->in) = v;
}

static void add_piece(CCut *c, uint32_t from, uint32_t to) {
    const LVisit visit = {take, no_buffer, NULL, c};
    CPiece *x = c->piece = &VEC_PUSH(c->a, c->all);
    *x = (CPiece){.from = from, .to = to};
    for (uint32_t k = from; k < to; k++)
        if (c_is_shown(&c->f->inst.at[k], c->live)) linst_uses(c->p, c->f, &c->f->inst.at[k], &visit);
    for (uint32_t k = 0; k < x->in.n; k++) c->taken[x->in.at[k]] = false;
    for (uint32_t v = 1; v < c->f->type.n; v++)
        if (c->def[v] > from && c->def[v] <= to && c->last[v] > to) VEC_PUSH(c->a, x->out) = v;
}

/* The statements of a block as pieces, where they are too many; what it weighs then. */
static uint32_t cut_block(CCut *c, const CBlock *b) {
    uint32_t all = 0, from = 0, most = c->longest / 2 + 1, pieces;
    for (uint32_t k = 0; k < b->inside.n; k++) all += b->inside.at[k].weight;
    if (all <= c->longest) return all;
    pieces = (all + most - 1) / most;
    for (uint32_t q = 0, left = all; q < pieces && from < b->inside.n; q++) {
        uint32_t want = left / (pieces - q), sum = 0, best = b->inside.n, weight = left;
        for (uint32_t k = from; k < b->inside.n && q + 1 < pieces; k++) { /* behind statement k */
            sum += b->inside.at[k].weight;
            if (sum > want + want / 2) break;
            if (sum < want / 2 || (best < b->inside.n && c->open[b->inside.at[k].to] > c->open[b->inside.at[best - 1].to])) continue;
            best = k + 1;
            weight = sum;
        }
        if (!from && best == b->inside.n) return all; /* one statement is nearly all there is */
        add_piece(c, b->inside.at[from].from, b->inside.at[best - 1].to);
        from = best;
        left -= weight;
    }
    return pieces;
}

CPieces c_cut(Arena *a, const LProgram *p, const LFunc *f, const bool *live, uint32_t longest, const bool **again) {
    CCut c = {.a = a, .p = p, .f = f, .live = live, .longest = longest};
    VEC(CBlock) open = {0};
    if (f->inst.n <= longest) return c.all;
    *again = c.again = made_again(a, f);
    c.def = NEW_N(a, uint32_t, f->type.n);
    c.last = NEW_N(a, uint32_t, f->type.n);
    c.taken = NEW_N(a, bool, f->type.n);
    c.open = NEW_N(a, uint32_t, f->inst.n + 2);
    find_open(&c);
    VEC_PUSH(a, open) = (CBlock){0};
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        CBlock *b = &open.at[open.n - 1];
        if (i->op == LOP_FOR || i->op == LOP_IF) {
            VEC_PUSH(a, open) = (CBlock){.at = k};
        } else if (i->op == LOP_END) {
            uint32_t weight = cut_block(&c, b) + 1, at = b->at;
            open.n--;
            VEC_PUSH(a, open.at[open.n - 1].inside) = (CStatement){at, k + 1, weight};
        } else if (i->op != LOP_YIELD) { /* which assigns the block's own variables */
            VEC_PUSH(a, b->inside) = (CStatement){k, k + 1, c_is_shown(i, live) && !c.again[i->dst]};
        }
    }
    (void)cut_block(&c, &open.at[0]);
    return c.all;
}

typedef struct {
    uint32_t first, last; /* instructions + 1 that use it */
    uint32_t guard;       /* the innermost IF around the first one, + 1 */
    bool stored;          /* by the first one */
} CStay;
typedef struct {
    const LProgram *p;
    CStay *stay;
    uint32_t at, guard;
} CStays;

static void note_stay(void *arg, uint32_t buf, bool store) {
    CStays *s = arg;
    if (buf & LBUF_PARAM) return;
    CStay *x = &s->stay[buf];
    if (!x->first) *x = (CStay){.first = s->at + 1, .guard = s->guard, .stored = store};
    x->last = s->at + 1;
}

static void no_value(void *arg, LV v) { (void)arg, (void)v; }
static void mark_wanted(void *arg, LV v) { ((bool *)arg)[v] = true; }

const CPiece *c_piece_at(const CEmit *e, uint32_t at) {
    for (uint32_t k = 0; k < e->piece.n; k++)
        if (e->piece.at[k].from == at && (at != e->from || e->piece.at[k].to != e->to)) return &e->piece.at[k];
    return NULL;
}

const bool *c_wanted(const CEmit *e, bool inner) {
    bool *wanted = NEW_N(e->t->arena, bool, e->f->type.n);
    const LVisit visit = {mark_wanted, no_buffer, NULL, wanted};
    for (uint32_t k = e->from; k < e->to; k++) {
        const LInst *i = &e->f->inst.at[k];
        const CPiece *x = inner ? NULL : c_piece_at(e, k);
        if (x) k = x->to - 1;
        else if (!e->again[i->dst] && c_is_shown(i, e->live)) linst_uses(e->p, e->f, i, &visit);
    }
    for (uint32_t k = e->f->inst.n; k-- > 0;) {
        const LInst *i = &e->f->inst.at[k];
        if (!e->again[i->dst]) wanted[i->dst] = false;
        else if (wanted[i->dst]) linst_uses(e->p, e->f, i, &visit);
    }
    return wanted;
}

/* Memory that is stored to before all else, whatever holds, has nothing of the round before in it. */
const CPiece **c_homes(Arena *a, const LProgram *p, const LFunc *f, const CPieces *all, bool *const *writes) {
    const CPiece **home = NEW_N(a, const CPiece *, p->buf.n + 1);
    CStays s = {.p = p, .stay = NEW_N(a, CStay, p->buf.n + 1)};
    const LVisit visit = {no_value, note_stay, writes, &s};
    VEC(uint32_t) open = {0};
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        if (i->op == LOP_FOR || i->op == LOP_IF) VEC_PUSH(a, open) = i->op == LOP_IF ? k + 1 : 0;
        if (i->op == LOP_END) open.n--;
        s.guard = 0;
        for (uint32_t q = 0; q < open.n; q++)
            if (open.at[q]) s.guard = open.at[q];
        s.at = k;
        linst_uses(p, f, i, &visit);
    }
    for (uint32_t k = 0; k < p->buf.n; k++) {
        const CStay *x = &s.stay[k];
        if (p->buf.at[k].role != LB_LOCAL || !x->stored) continue;
        for (uint32_t q = 0; q < all->n && !home[k]; q++) /* inner ones first */
            if (x->first > all->at[q].from && x->last <= all->at[q].to && x->guard <= all->at[q].from) home[k] = &all->at[q];
    }
    return home;
}
