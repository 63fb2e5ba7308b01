/* lbuild: makes loop programs. Every pure operation goes through lb_op, which folds integer arithmetic and gives back an
   equal instruction that is still visible, so that lowering may ask for the same thing again and again. */
#include "ir/loop.h"

#include <string.h>

const LOpInfo lop_info[LOP_COUNT] = {
#define LOP(NAME, text, res, args, lane, llvm) {text, res, args},
#include "ir/lops.def"
#undef LOP
};

const LFnInfo lfn_info[LFN_COUNT] = {
#define LFN(NAME, cname, sleef, acc, args) {#cname, #sleef, #acc, args},
#include "ir/lmath.def"
#undef LFN
};

/* ---- programs ------------------------------------------------------------------------------------------------------ */

LProgram *lprogram_make(Ctx *ctx, Arena *a, Name name, bool f64, int V) {
    LProgram *p = NEW(a, LProgram);
    p->ctx = ctx;
    p->arena = a;
    p->name = name;
    p->f64 = f64;
    p->V = V;
    return p;
}

/* A new SLAB or PACK buffer has a slot of its own until plan_memory says otherwise. */
uint32_t lprogram_add_buf(LProgram *p, const char *name, LBufRole role, LElem e, uint32_t index, LExtent extent) {
    LBuf *b = &VEC_PUSH(p->arena, p->buf);
    b->name = intern(p->ctx, name);
    b->role = (uint8_t)role;
    b->elem = (uint8_t)e;
    b->index = index;
    b->extent = extent;
    b->first = b->last = UINT32_MAX;
    if (role == LB_SLAB || role == LB_PACK) b->slot = p->nslot++;
    return p->buf.n - 1;
}

LFunc *lprogram_add_fn(LProgram *p, const char *name, LFuncKind kind) {
    LFunc *f = NEW(p->arena, LFunc);
    f->name = intern(p->ctx, name);
    f->kind = (uint8_t)kind;
    VEC_PUSH(p->arena, f->type) = '-'; /* value 0 */
    VEC_PUSH(p->arena, p->fn) = f;
    return f;
}

static bool mono_eval(const LMono *x, const int64_t *dim, int64_t *out) {
    int64_t m = x->coef;
    for (int k = 0; k < 64; k++)
        if (x->dims >> k & 1 && !checked_mul(m, dim[k], &m)) return false;
    *out = m;
    return true;
}

int64_t lextent_eval(const LExtent *e, const int64_t *dim) {
    int64_t sum = 0, m;
    for (uint32_t i = 0; i < e->n; i++)
        if (!mono_eval(&e->term[i], dim, &m) || !checked_add(sum, m, &sum)) return -1;
    return e->most.coef && mono_eval(&e->most, dim, &m) && m < sum ? m : sum;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

#define NO_INST UINT32_MAX

static LV new_value(LBuilder *b, char type, uint32_t inst) {
    VEC_PUSH(b->p->arena, b->f->type) = type;
    VEC_PUSH(b->p->arena, b->def) = inst;
    return b->f->type.n - 1;
}

static LInst *push_inst(LBuilder *b, LOp op) {
    LInst *i = &VEC_PUSH(b->p->arena, b->f->inst);
    *i = (LInst){.op = (uint16_t)op, .span = b->span, .who = b->who}; /* its place may have held one of a block that was taken back */
    return i;
}

/* The instruction that defines v, or NULL: a parameter, a loop variable, a carry. */
static const LInst *def_of(const LBuilder *b, LV v) {
    uint32_t i = v < b->def.n ? b->def.at[v] : NO_INST;
    return i == NO_INST ? NULL : &b->f->inst.at[i];
}

/* Builds at the end of the function; values of an existing body are not shared again. */
LBuilder lb_make(LProgram *p, uint32_t fn) {
    LBuilder b;
    memset(&b, 0, sizeof b);
    b.p = p;
    b.f = p->fn.at[fn];
    b.fn = fn;
    for (uint32_t k = 0; k < b.f->type.n; k++) VEC_PUSH(p->arena, b.def) = NO_INST;
    return b;
}

LV lb_param_int(LBuilder *b, const char *name) {
    LV v = new_value(b, 'i', NO_INST);
    LParam *q = &VEC_PUSH(b->p->arena, b->f->param);
    q->name = intern(b->p->ctx, name);
    q->value = v;
    return v;
}

uint32_t lb_param_ptr(LBuilder *b, const char *name, LElem e) {
    LParam *q = &VEC_PUSH(b->p->arena, b->f->param);
    q->name = intern(b->p->ctx, name);
    q->pointer = true;
    q->elem = (uint8_t)e;
    return LBUF_PARAM | (b->f->param.n - 1);
}

bool lb_known_int(const LBuilder *b, LV v, int64_t *out) {
    const LInst *i = def_of(b, v);
    if (!i || i->op != LOP_ICONST) return false;
    *out = i->imm;
    return true;
}

bool lb_known_float(const LBuilder *b, LV v, double *out) {
    const LInst *i = def_of(b, v);
    if (!i || i->op != LOP_FCONST) return false;
    memcpy(out, &i->imm, sizeof *out);
    return true;
}

/* ---- sharing ------------------------------------------------------------------------------------------------------- */

/* `known` is a stack of visible pure instructions, `link` the previous one of the same bucket, `head` the last of each
   bucket + 1: leaving a block pops the stack and unlinks. */
static uint32_t bucket_of(const LBuilder *b, const LInst *i) {
    uint64_t key[5] = {i->op, i->a[0], i->a[1], i->a[2], (uint64_t)i->imm};
    return (uint32_t)hash_words(0, key, sizeof key) & (b->nhead - 1);
}

static void rehash(LBuilder *b) {
    uint32_t n = b->nhead ? b->nhead * 4 : 256;
    b->head = NEW_N(b->p->arena, uint32_t, n);
    b->nhead = n;
    for (uint32_t k = 0; k < b->known.n; k++) {
        uint32_t h = bucket_of(b, &b->f->inst.at[b->known.at[k]]);
        b->link.at[k] = b->head[h];
        b->head[h] = k + 1;
    }
}

static bool same_inst(const LInst *x, const LInst *y) {
    return x->op == y->op && x->imm == y->imm && x->a[0] == y->a[0] && x->a[1] == y->a[1] && x->a[2] == y->a[2];
}

static LV share(LBuilder *b, const LInst *want) {
    if (b->known.n >= b->nhead) rehash(b);
    uint32_t h = bucket_of(b, want);
    for (uint32_t k = b->head[h]; k; k = b->link.at[k - 1]) {
        const LInst *i = &b->f->inst.at[b->known.at[k - 1]];
        if (same_inst(i, want)) return i->dst;
    }
    LV v = new_value(b, lop_info[want->op].result, b->f->inst.n);
    LInst *i = push_inst(b, (LOp)want->op);
    *i = *want;
    i->dst = v;
    VEC_PUSH(b->p->arena, b->known) = b->f->inst.n - 1;
    VEC_PUSH(b->p->arena, b->link) = b->head[h];
    b->head[h] = b->known.n;
    return v;
}

/* Nothing that stands in memory is known in the block that begins. */
static void forget_stored(LBuilder *b, LOpen *o) {
    for (uint32_t k = 0; k < b->nstored; k++)
        if (b->stored[k].lasting) VEC_PUSH(b->p->arena, o->lasting) = b->stored[k];
    b->nstored = 0;
}

static bool stores_to(const LBuilder *b, const LInst *i, uint32_t buf) {
    if (i->op != LOP_CALL) return i->op == LOP_BARRIER || (i->op >= LOP_ST && i->op <= LOP_STV1 && i->buf == buf);
    const uint32_t *e = &b->f->ext.at[i->ext];
    const LFunc *g = b->p->fn.at[i->imm];
    bool does = false;
    for (uint32_t k = 0; k < e[0]; k++) does |= g->param.at[k].pointer && e[1 + 2 * k] == buf;
    return does;
}

/* What is known after a block: what lasts, as far as the block left it alone. */
static void recall_stored(LBuilder *b, const LOpen *o) {
    b->nstored = 0;
    for (uint32_t k = 0; k < o->lasting.n; k++) {
        bool stays = true;
        for (uint32_t i = o->at; i < b->f->inst.n && stays && !o->dropped; i++) stays = !stores_to(b, &b->f->inst.at[i], o->lasting.at[k].buf);
        if (stays) b->stored[b->nstored++] = o->lasting.at[k];
    }
}

static void open_block(LBuilder *b) {
    LOpen o = {.at = b->f->inst.n - 1};
    forget_stored(b, &o);
    VEC_PUSH(b->p->arena, b->open) = o;
    VEC_PUSH(b->p->arena, b->scope) = b->known.n;
}

static void forget_block(LBuilder *b) {
    uint32_t keep = b->scope.at[--b->scope.n];
    while (b->known.n > keep) {
        const LInst *i = &b->f->inst.at[b->known.at[b->known.n - 1]];
        b->head[bucket_of(b, i)] = b->link.at[b->known.n - 1];
        b->known.n--;
        b->link.n--;
    }
}

static void close_block(LBuilder *b) {
    push_inst(b, LOP_END);
    if (!b->open.n) {
        diag_error(b->p->ctx, 999, (Span){0, 0}, "loop builder: END without a block in %s", name_str(b->p->ctx, b->f->name));
        return;
    }
    LOpen o = b->open.at[--b->open.n];
    forget_block(b);
    recall_stored(b, &o);
}

/* What is built until the block is closed stays where it is; or is taken back. */
static void open_inlined(LBuilder *b, bool dropped, uint32_t carry) {
    LOpen o = {.at = b->f->inst.n, .inlined = true, .dropped = dropped, .carry = carry};
    if (dropped) forget_stored(b, &o);
    VEC_PUSH(b->p->arena, b->open) = o;
    if (!dropped) return;
    VEC_PUSH(b->p->arena, b->scope) = b->known.n;
}

static bool close_inlined(LBuilder *b, LOpen *o) {
    if (!b->open.n || !b->open.at[b->open.n - 1].inlined) return false;
    *o = b->open.at[--b->open.n];
    if (o->dropped) {
        forget_block(b);
        b->f->inst.n = o->at;
        recall_stored(b, o);
    }
    return true;
}

/* ---- folding ------------------------------------------------------------------------------------------------------- */

static int64_t wrap_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

static int64_t wrap_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }

static int64_t wrap_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

static bool is_int_op(LOp op) {
    return op == LOP_IADD || op == LOP_ISUB || op == LOP_IMUL || op == LOP_IDIV || op == LOP_IMIN || op == LOP_IMAX;
}

/* Both operands known. False: left as it is (division by zero is the verifier's or nobody's business). */
static bool fold_known(LOp op, int64_t x, int64_t y, int64_t *out) {
    if (op == LOP_IADD)
        *out = wrap_add(x, y);
    else if (op == LOP_ISUB)
        *out = wrap_sub(x, y);
    else if (op == LOP_IMUL)
        *out = wrap_mul(x, y);
    else if (op == LOP_IMIN)
        *out = x < y ? x : y;
    else if (op == LOP_IMAX)
        *out = x < y ? y : x;
    else if (op == LOP_IDIV && y > 0)
        *out = x / y;
    else
        return false;
    return true;
}

/* x op k with k known on the right: the value it is equal to, or 0. */
static LV fold_right(LBuilder *b, LOp op, LV x, int64_t k) {
    if (k == 0 && op == LOP_IADD) return x;
    if (k == 0 && op == LOP_IMUL) return lb_iconst(b, 0);
    if (k == 1 && (op == LOP_IMUL || op == LOP_IDIV)) return x;
    const LInst *i = def_of(b, x);
    int64_t j;
    if (i && i->op == op && (op == LOP_IADD || op == LOP_IMUL) && lb_known_int(b, i->a[1], &j)) {
        LV inner = i->a[0]; /* (y op j) op k = y op (j op k) */
        return lb_op(b, op, inner, lb_iconst(b, op == LOP_IADD ? wrap_add(j, k) : wrap_mul(j, k)), 0, 0);
    }
    return 0;
}

bool lb_known_apart(const LBuilder *b, LV x, LV y, int64_t *out) {
    int64_t from, to;
    const LInst *i = def_of(b, y);
    *out = 0;
    if (lb_known_int(b, x, &from) && lb_known_int(b, y, &to)) *out = wrap_sub(to, from);
    else if (x != y) return i && i->op == LOP_IADD && i->a[0] == x && lb_known_int(b, i->a[1], out);
    return true;
}

/* Integer arithmetic: constants to the right, the older value to the left, x - k as x + -k. 0: nothing known. */
static LV fold_int(LBuilder *b, LOp *op, LV *x, LV *y) {
    int64_t kx = 0, ky = 0, r;
    bool nx = lb_known_int(b, *x, &kx), ny = lb_known_int(b, *y, &ky);
    if (nx && ny && fold_known(*op, kx, ky, &r)) return lb_iconst(b, r);
    if (*op == LOP_ISUB && lb_known_apart(b, *y, *x, &r)) return lb_iconst(b, r);
    if ((*op == LOP_IMIN || *op == LOP_IMAX) && *x == *y) return *x;
    if (*op == LOP_ISUB && ny) {
        *op = LOP_IADD;
        ky = wrap_sub(0, ky);
        *y = lb_iconst(b, ky);
    }
    bool swaps = *op != LOP_ISUB && *op != LOP_IDIV;
    if (swaps && (nx || (!ny && *y < *x))) {
        LV t = *x;
        *x = *y;
        *y = t;
        if (nx) {
            ky = kx;
            ny = true;
        }
    }
    return ny ? fold_right(b, *op, *x, ky) : 0;
}

LV lb_op(LBuilder *b, LOp op, LV x, LV y, LV z, int64_t imm) {
    int64_t k;
    if (is_int_op(op)) {
        LV v = fold_int(b, &op, &x, &y);
        if (v) return v;
    }
    if (op == LOP_DIM && b->p->fixed[imm]) return lb_iconst(b, b->p->fixed[imm]);
    if (b->p->alone && (op == LOP_NT || op == LOP_TID)) return lb_iconst(b, op == LOP_NT);
    if (op == LOP_VSPLAT && lb_known_int(b, x, &k)) {
        op = LOP_VCONST;
        x = 0;
        imm = (int32_t)(uint32_t)(uint64_t)k;
    }
    LInst want;
    memset(&want, 0, sizeof want);
    want.op = (uint16_t)op;
    want.a[0] = x;
    want.a[1] = y;
    want.a[2] = z;
    want.imm = imm;
    want.span = b->span;
    want.who = b->who;
    return share(b, &want);
}

LV lb_iconst(LBuilder *b, int64_t v) { return lb_op(b, LOP_ICONST, 0, 0, 0, v); }

LV lb_fconst(LBuilder *b, double v) {
    int64_t bits;
    if (!b->p->f64) v = (double)(float)v;
    memcpy(&bits, &v, sizeof bits);
    return lb_op(b, LOP_FCONST, 0, 0, 0, bits);
}

LV lb_fbits(LBuilder *b, uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return lb_fconst(b, (double)f);
}

LV lb_libm(LBuilder *b, LFn fn, LV x, LV y) { return lb_op(b, LOP_LIBM, x, lfn_info[fn].args == 1 ? x : y, 0, (int64_t)fn); }

/* ---- indices and memory -------------------------------------------------------------------------------------------- */

LIdx lidx(int64_t c0) {
    LIdx i;
    memset(&i, 0, sizeof i);
    i.c0 = c0;
    return i;
}

/* A term too many leaves n > LIDX_TERMS, which the verifier reports; lb_idx_term spills instead. */
LIdx lidx_add(LIdx i, LV v, int64_t c) {
    if (c == 0) return i;
    for (uint32_t k = 0; k < i.n && k < LIDX_TERMS; k++)
        if (i.v[k] == v) {
            i.c[k] = wrap_add(i.c[k], c);
            if (i.c[k] == 0) { /* the last one takes its place */
                i.n--;
                i.v[k] = i.v[i.n];
                i.c[k] = i.c[i.n];
                i.v[i.n] = 0;
                i.c[i.n] = 0;
            }
            return i;
        }
    if (i.n < LIDX_TERMS) {
        i.v[i.n] = v;
        i.c[i.n] = c;
    }
    i.n = i.n < LIDX_TERMS ? i.n + 1 : LIDX_TERMS + 1;
    return i;
}

LIdx lb_idx_term(LBuilder *b, LIdx i, LV v, int64_t c) {
    int64_t k;
    for (const LInst *d = def_of(b, v); d; d = def_of(b, v)) { /* constants inside v go to c0 and c */
        if (d->op == LOP_ICONST) {
            i.c0 = wrap_add(i.c0, wrap_mul(c, d->imm));
            return i;
        }
        if (d->op == LOP_IADD && lb_known_int(b, d->a[1], &k))
            i.c0 = wrap_add(i.c0, wrap_mul(c, k));
        else if (d->op == LOP_IMUL && lb_known_int(b, d->a[1], &k))
            c = wrap_mul(c, k);
        else if (d->op == LOP_ISUB && lb_known_int(b, d->a[0], &k)) {
            i.c0 = wrap_add(i.c0, wrap_mul(c, k));
            c = wrap_sub(0, c);
            v = d->a[1];
            continue;
        } else
            break;
        v = d->a[0];
    }
    LIdx r = lidx_add(i, v, c);
    if (r.n <= LIDX_TERMS) return r;
    uint32_t last = LIDX_TERMS - 1;
    LV x = lb_op(b, LOP_IMUL, i.v[last], lb_iconst(b, i.c[last]), 0, 0);
    LV y = lb_op(b, LOP_IMUL, v, lb_iconst(b, c), 0, 0);
    i.v[last] = lb_op(b, LOP_IADD, x, y, 0, 0);
    i.c[last] = 1;
    return i;
}

static uint32_t push_idx(LBuilder *b, LIdx i) {
    VEC_PUSH(b->p->arena, b->f->idx) = i;
    return b->f->idx.n - 1;
}

static uint32_t push_ext(LBuilder *b, uint32_t v) {
    VEC_PUSH(b->p->arena, b->f->ext) = v;
    return b->f->ext.n - 1;
}

static bool same_terms(const LIdx *x, const LIdx *y) {
    bool same = x->n == y->n;
    for (uint32_t k = 0; same && k < x->n; k++) same = x->v[k] == y->v[k] && x->c[k] == y->c[k];
    return same;
}

/* What is stored now is what loads find; what it may have changed is not known any more. A pointer may point to anything. */
static void note_store(LBuilder *b, LOp op, uint32_t buf, const LIdx *i, LV v) {
    uint32_t n = 0;
    bool lasting = false;
    if (buf & LBUF_PARAM) return;
    for (uint32_t k = 0; k < b->nstored; k++) {
        const LIdx *x = &b->stored[k].idx;
        int64_t apart = x->c0 > i->c0 ? x->c0 - i->c0 : i->c0 - x->c0;
        if (b->stored[k].buf != buf || (same_terms(x, i) && apart >= b->p->V)) b->stored[n++] = b->stored[k];
        else lasting |= b->stored[k].lasting && same_terms(x, i) && !apart;
    }
    b->nstored = n;
    if (op == LOP_ST && n < LSTORED) b->stored[b->nstored++] = (LStored){buf, *i, v, lasting};
}

void lb_hold(LBuilder *b, uint32_t buf, LIdx i, LV v) {
    if (b->nstored < LSTORED) b->stored[b->nstored++] = (LStored){buf, i, v, true};
}

LV lb_held(const LBuilder *b, uint32_t buf, LIdx i) {
    for (uint32_t k = 0; k < b->nstored; k++)
        if (b->stored[k].buf == buf && b->stored[k].idx.c0 == i.c0 && same_terms(&b->stored[k].idx, &i)) return b->stored[k].v;
    return 0;
}

LV lb_load(LBuilder *b, LOp op, uint32_t buf, LIdx i, int64_t lanes) {
    LV held = op == LOP_LD ? lb_held(b, buf, i) : 0;
    if (held) return held;
    uint32_t idx = push_idx(b, i);
    LV v = new_value(b, lop_info[op].result, b->f->inst.n);
    LInst *s = push_inst(b, op);
    s->dst = v;
    s->buf = buf;
    s->idx = idx;
    s->imm = op == LOP_LDT || op == LOP_LDVT ? lanes : 0;
    return v;
}

void lb_prefetch(LBuilder *b, uint32_t buf, LIdx i) {
    uint32_t idx = push_idx(b, i);
    LInst *s = push_inst(b, LOP_PREFETCH);
    s->buf = buf;
    s->idx = idx;
}

void lb_store(LBuilder *b, LOp op, uint32_t buf, LIdx i, LV v, int64_t lanes) {
    uint32_t idx = push_idx(b, i);
    LInst *s = push_inst(b, op);
    s->a[0] = v;
    s->buf = buf;
    s->idx = idx;
    s->imm = op == LOP_STT || op == LOP_STVT ? lanes : 0;
    note_store(b, op, buf, &i, v);
}

/* ---- control ------------------------------------------------------------------------------------------------------- */

/* A loop of at most one known round: the body alone. */
static LV inlined_for(LBuilder *b, LV lo, int64_t rounds, uint32_t n, const LV *init, LV *inner) {
    uint32_t ext = b->f->ext.n;
    for (uint32_t k = 0; k < n; k++) {
        push_ext(b, init[k]);
        inner[k] = init[k];
    }
    open_inlined(b, !rounds, ext);
    return lo;
}

LV lb_for(LBuilder *b, LV lo, LV hi, int64_t step, bool down, uint32_t n, const LV *init, LV *inner) {
    int64_t apart;
    if (lb_known_apart(b, lo, hi, &apart) && apart <= step) return inlined_for(b, lo, apart > 0, n, init, inner);
    LV i = new_value(b, 'i', NO_INST);
    uint32_t ext = push_ext(b, n);
    for (uint32_t k = 0; k < n; k++) {
        char type = init[k] < b->f->type.n ? b->f->type.at[init[k]] : '-';
        LV in = new_value(b, type, NO_INST);
        push_ext(b, init[k]);
        push_ext(b, in);
        push_ext(b, new_value(b, type, NO_INST));
        inner[k] = in;
    }
    LInst *s = push_inst(b, LOP_FOR);
    s->flags = down ? LF_DOWN : 0;
    s->dst = i;
    s->a[0] = lo;
    s->a[1] = hi;
    s->imm = step;
    s->ext = ext;
    open_block(b);
    return i;
}

void lb_end_for(LBuilder *b, uint32_t n, const LV *next, LV *result) {
    LOpen o;
    if (close_inlined(b, &o)) {
        for (uint32_t k = 0; k < n; k++) result[k] = o.dropped ? b->f->ext.at[o.carry + k] : next[k];
        return;
    }
    const LInst *head = b->open.n ? &b->f->inst.at[b->open.at[b->open.n - 1].at] : NULL;
    if (!head || head->op != LOP_FOR || b->f->ext.at[head->ext] != n) {
        diag_error(b->p->ctx, 999, (Span){0, 0}, "loop builder: lb_end_for does not match its FOR in %s",
                   name_str(b->p->ctx, b->f->name));
        return;
    }
    uint32_t carries = head->ext + 1;
    if (n > 0) {
        uint32_t ext = push_ext(b, n);
        for (uint32_t k = 0; k < n; k++) push_ext(b, next[k]);
        push_inst(b, LOP_YIELD)->ext = ext;
    }
    close_block(b);
    for (uint32_t k = 0; k < n; k++) result[k] = b->f->ext.at[carries + 3 * k + 2];
}

void lb_if_lt(LBuilder *b, LV x, LV y) {
    int64_t kx, ky;
    if (lb_known_int(b, x, &kx) && lb_known_int(b, y, &ky)) {
        open_inlined(b, kx >= ky, 0);
        return;
    }
    LInst *s = push_inst(b, LOP_IF);
    s->a[0] = x;
    s->a[1] = y;
    uint32_t known = b->nstored; /* the block does not run again after its stores, as a loop's does */
    open_block(b);
    b->nstored = known;
}

void lb_end_if(LBuilder *b) {
    LOpen o;
    if (!close_inlined(b, &o)) close_block(b);
}

void lb_barrier(LBuilder *b) {
    if (b->p->alone) return;
    push_inst(b, LOP_BARRIER);
    b->nstored = 0;
}

void lb_call(LBuilder *b, uint32_t fn, const LArg *arg, uint32_t n) {
    uint32_t ext = push_ext(b, n);
    for (uint32_t k = 0; k < n; k++) {
        bool ptr = arg[k].value == 0;
        push_ext(b, ptr ? arg[k].buf : arg[k].value);
        push_ext(b, ptr ? push_idx(b, arg[k].idx) : 0);
    }
    LInst *s = push_inst(b, LOP_CALL);
    s->imm = fn;
    s->ext = ext;
    b->nstored = 0;
}

/* ---- order ---------------------------------------------------------------------------------------------------------------- */

static bool is_straight(const LInst *i) {
    return i->op > LOP_BARRIER && i->op != LOP_LIBM;
}

/* Whether value v has its place before or among the instructions placed so far; first: the first that may be moved. */
static bool is_placed(const LBuilder *b, LV v, uint32_t first, const uint32_t *to) {
    uint32_t at = v < b->def.n ? b->def.at[v] : NO_INST;
    return at == NO_INST || at < first || to[at - first] != NO_INST;
}

static bool is_ready(const LBuilder *b, const LInst *i, uint32_t first, const uint32_t *to) {
    for (int k = 0; k < 3; k++)
        if (i->a[k] && !is_placed(b, i->a[k], first, to)) return false;
    if (i->op < LOP_LD || i->op > LOP_STV1) return true;
    const LIdx *x = &b->f->idx.at[i->idx];
    for (uint32_t k = 0; k < x->n; k++)
        if (!is_placed(b, x->v[k], first, to)) return false;
    return true;
}

void lb_interleave(LBuilder *b, uint32_t first, uint32_t second) {
    uint32_t end = b->f->inst.n, n = end - first, k = 0, y = second;
    LInst *sorted = NEW_N(b->p->arena, LInst, n + 1);
    uint32_t *to = NEW_N(b->p->arena, uint32_t, n + 1); /* by old position: the new one */
    for (uint32_t i = first; i < end; i++) {
        if (!is_straight(&b->f->inst.at[i])) return;
        to[i - first] = NO_INST;
    }
    for (uint32_t x = first; x < second || y < end;) {
        bool more = y < end && (x == second || is_ready(b, &b->f->inst.at[y], first, to));
        if (x < second) {
            to[x - first] = first + k;
            sorted[k++] = b->f->inst.at[x++];
        }
        if (more) {
            to[y - first] = first + k;
            sorted[k++] = b->f->inst.at[y++];
        }
    }
    memcpy(&b->f->inst.at[first], sorted, n * sizeof *sorted);
    for (LV v = 0; v < b->def.n; v++)
        if (b->def.at[v] != NO_INST && b->def.at[v] >= first) b->def.at[v] = to[b->def.at[v] - first];
    for (uint32_t i = 0; i < b->known.n; i++)
        if (b->known.at[i] >= first) b->known.at[i] = to[b->known.at[i] - first];
}
