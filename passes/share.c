/* share: what an entry does in several places to other buffers (the layers of a stack, the packing of their matrices) becomes one
   function that is called from each of them. Code, and the time that a compiler takes for it, then grow with what differs.
   before:  for %9 = %6..%7 by 1 { .. ld h_3#9[16*%9] .. st h_4#10[16*%9] %20 .. }     for %40 = .. { .. ld h_4#10[16*%40] .. st h_5#12[..] .. }
   after:   call shared_0#7(h_3#9[0], h_4#10[0], %6, %7, ..)                           call shared_0#7(h_4#10[0], h_5#12[0], %6, %7, ..)
   A block (a loop or a condition, with all that is in it) is taken whole where its text is another's but for buffers, for where in
   them it begins, and for integers from outside; constants are part of it. Those inside of a loop stay where they are, as a step is too
   short for calls, unless the loop is longer than what compilers like and they are long, or it has barriers (chunks with sums in them),
   which no function may. Not a block that leaves a value behind, or that reads what the caller gives and writes what the caller gets,
   which may be the same memory.
   relies on: helpers before entries. No bit depends on it. Not for programs of one step, whose loops are gone, nor where the
   weights of emitted C have 8 bits: the scales of what a function reads follow from its buffer. */
#include <string.h>

#include "passes/passes.h"

enum { LEAST = 3, LEAST_INSIDE = 64, MOST = 1500, MOST_ARGUMENTS = 96 }; /* instructions of a block; of one inside of the steps of a longer one */
#define LOCAL UINT32_C(0x40000000) /* | which of the block's own buffers on the stack */

/* An argument of the function that a block becomes. */
typedef struct {
    bool pointer;
    uint32_t buf;
    int64_t c0;
    LV value; /* 0: of an integer: op and imm, made before the call */
    LOp op;
    int64_t imm;
} Argument;

typedef struct {
    uint32_t entry, from, to; /* instructions */
    LFunc *f; /* as a function */
    VEC(Argument) arg;
    VEC(uint32_t) local; /* buffers */
    uint64_t hash;
    uint32_t same, uses; /* the first block that is equal, or itself; of that, how many are */
    uint32_t fn; /* of the first: its function */
    bool dropped;
} Block;

typedef struct {
    LProgram *p;
    Arena *a;
    bool one_step;
    VEC(Block) block;
    uint32_t *first; /* by hash: 1 + block */
    uint32_t buckets;
    /* the entry being read */
    uint32_t entry;
    const LFunc *f;
    uint32_t *def, *last, *end; /* by value: the instruction that makes it, the last that reads it; by instruction: of a block, behind its END */
    uint32_t *begin, *finish; /* by buffer: first and last use in the entry, instructions + 1 */
    uint32_t at;
    /* the block */
    LV *to; /* by value: in the function, */
    uint32_t *known; /* where this is `round` */
    uint32_t round;
    Block *x;
    VEC(LInst) head;
    bool in, out, ok;
} Share;

/* ---- what is where in an entry -------------------------------------------------------------------------------------------- */

static void note_value(void *arg, LV v)
{
    Share *s = arg;
    s->last[v] = s->at;
}

static void note_buffer(void *arg, uint32_t buf, bool store)
{
    Share *s = arg;
    (void)store;
    if (buf & LBUF_PARAM)
        return;
    if (!s->begin[buf])
        s->begin[buf] = s->at + 1;
    s->finish[buf] = s->at + 1;
}

static void read_entry(Share *s, uint32_t entry)
{
    const LFunc *f = s->f = s->p->fn.at[entry];
    const LVisit visit = { note_value, note_buffer, NULL, s };
    uint32_t *open = NEW_N(s->a, uint32_t, f->inst.n + 1), depth = 0;
    s->entry = entry;
    s->def = NEW_N(s->a, uint32_t, f->type.n + 1);
    s->last = NEW_N(s->a, uint32_t, f->type.n + 1);
    s->end = NEW_N(s->a, uint32_t, f->inst.n + 1);
    s->begin = NEW_N(s->a, uint32_t, s->p->buf.n + 1);
    s->finish = NEW_N(s->a, uint32_t, s->p->buf.n + 1);
    s->to = NEW_N(s->a, LV, f->type.n + 1);
    s->known = NEW_N(s->a, uint32_t, f->type.n + 1);
    s->round = 0;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        s->at = k;
        linst_uses(s->p, f, i, &visit);
        if (i->dst)
            s->def[i->dst] = k;
        if (i->op == LOP_FOR || i->op == LOP_IF)
            open[depth++] = k;
        else if (i->op == LOP_END)
            s->end[open[--depth]] = k + 1;
    }
}

/* ---- a block as a function ------------------------------------------------------------------------------------------------ */

static LV new_value(Share *s, char type)
{
    VEC_PUSH(s->p->arena, s->x->f->type) = type;
    return s->x->f->type.n - 1;
}

static LV define(Share *s, LV v)
{
    s->known[v] = s->round;
    return s->to[v] = new_value(s, s->f->type.at[v]);
}

static LV add_integer(Share *s, Argument a)
{
    Block *x = s->x;
    for (uint32_t k = 0; k < x->arg.n && !a.value; k++)
        if (!x->arg.at[k].pointer && !x->arg.at[k].value && x->arg.at[k].op == a.op && x->arg.at[k].imm == a.imm)
            return x->f->param.at[k].value;
    LV v = new_value(s, 'i');
    VEC_PUSH(s->a, x->arg) = a;
    VEC_PUSH(s->p->arena, x->f->param) = (LParam){ intern(s->p->ctx, "n"), false, 0, v };
    return v;
}

/* Depends on nothing but its operands. */
static bool is_pure(const LInst *i)
{
    return i->op > LOP_STV1 || i->op == LOP_ICONST;
}

/* A value of the entry in the function: what stands outside is an argument, or, what is no integer and constants, made again. */
static LV value(Share *s, LV v)
{
    if (!v || s->known[v] == s->round)
        return v ? s->to[v] : 0;
    const LInst *d = s->def[v] < s->f->inst.n && s->f->inst.at[s->def[v]].dst == v ? &s->f->inst.at[s->def[v]] : NULL;
    bool integer = s->f->type.at[v] == 'i';
    s->known[v] = s->round;
    if (integer && !(d && d->op == LOP_ICONST))
        return s->to[v] = add_integer(s, (Argument){ .value = v });
    if (!d || !is_pure(d)) {
        s->ok = false;
        return 0;
    }
    LInst i = *d;
    for (int k = 0; k < 3; k++)
        i.a[k] = value(s, d->a[k]);
    i.dst = s->to[v] = new_value(s, s->f->type.at[v]);
    VEC_PUSH(s->a, s->head) = i;
    return i.dst;
}

static uint32_t local_buffer(Share *s, uint32_t buf)
{
    Block *x = s->x;
    s->ok &= s->begin[buf] > x->from && s->finish[buf] <= x->to;
    for (uint32_t k = 0; k < x->local.n; k++)
        if (x->local.at[k] == buf)
            return LOCAL | k;
    VEC_PUSH(s->a, x->local) = buf;
    return LOCAL | (x->local.n - 1);
}

/* A buffer in the function. Of the slabs of all parameters each place by itself: they are taken apart for emitted C. */
static uint32_t buffer(Share *s, uint32_t buf, int64_t *c0)
{
    Block *x = s->x;
    const LBuf *b = &s->p->buf.at[buf];
    bool slab = b->role == LB_THETA || b->role == LB_GRAD;
    if (b->role == LB_LOCAL)
        return local_buffer(s, buf);
    s->in |= b->role == LB_INPUT;
    s->out |= b->role == LB_OUTPUT;
    uint32_t k = 0;
    while (k < x->arg.n && !(x->arg.at[k].pointer && x->arg.at[k].buf == buf && (!slab || x->arg.at[k].c0 == *c0)))
        k++;
    if (k == x->arg.n) {
        VEC_PUSH(s->a, x->arg) = (Argument){ .pointer = true, .buf = buf, .c0 = *c0 };
        VEC_PUSH(s->p->arena, x->f->param) = (LParam){ intern(s->p->ctx, "at"), true, b->elem, 0 };
    }
    *c0 -= x->arg.at[k].c0;
    return LBUF_PARAM | k;
}

static uint32_t place(Share *s, uint32_t buf, uint32_t idx, uint32_t *to)
{
    const LIdx *from = &s->f->idx.at[idx];
    LIdx x = { .c0 = from->c0, .n = from->n };
    for (uint32_t k = 0; k < x.n; k++) {
        x.v[k] = value(s, from->v[k]);
        x.c[k] = from->c[k];
    }
    uint32_t b = buffer(s, buf, &x.c0);
    *to = s->x->f->idx.n;
    VEC_PUSH(s->p->arena, s->x->f->idx) = x;
    return b;
}

static uint32_t add_ext(Share *s, uint32_t v)
{
    VEC_PUSH(s->p->arena, s->x->f->ext) = v;
    return s->x->f->ext.n - 1;
}

static void copy_call(Share *s, const LInst *from, LInst *i)
{
    const LFunc *g = s->p->fn.at[from->imm];
    const uint32_t *ext = &s->f->ext.at[from->ext];
    i->ext = add_ext(s, ext[0]);
    for (uint32_t k = 0; k < g->param.n; k++) {
        uint32_t idx = 0, what = g->param.at[k].pointer ? place(s, ext[1 + 2 * k], ext[2 + 2 * k], &idx) : value(s, ext[1 + 2 * k]);
        add_ext(s, what);
        add_ext(s, idx);
    }
}

static void copy_for(Share *s, const LInst *from, LInst *i)
{
    const uint32_t *ext = &s->f->ext.at[from->ext];
    for (uint32_t k = 0; k < ext[0]; k++)
        (void)value(s, ext[1 + 3 * k]);
    i->ext = add_ext(s, ext[0]);
    i->dst = define(s, from->dst);
    for (uint32_t k = 0; k < ext[0]; k++) {
        add_ext(s, value(s, ext[1 + 3 * k]));
        add_ext(s, define(s, ext[2 + 3 * k]));
        add_ext(s, define(s, ext[3 + 3 * k]));
    }
}

static void copy_inst(Share *s, const LInst *from)
{
    LInst i = *from;
    if (from->op == LOP_DIM || from->op == LOP_TID || from->op == LOP_NT) {
        s->known[from->dst] = s->round;
        s->to[from->dst] = add_integer(s, (Argument){ .op = (LOp)from->op, .imm = from->imm });
        return;
    }
    for (int k = 0; k < 3; k++)
        i.a[k] = value(s, from->a[k]);
    if (from->op == LOP_FOR) {
        copy_for(s, from, &i);
    } else if (from->op == LOP_CALL) {
        copy_call(s, from, &i);
    } else if (from->op == LOP_YIELD) {
        const uint32_t *ext = &s->f->ext.at[from->ext];
        i.ext = add_ext(s, ext[0]);
        for (uint32_t k = 0; k < ext[0]; k++)
            add_ext(s, value(s, ext[1 + k]));
    } else {
        if (from->op >= LOP_LD && from->op <= LOP_STV1)
            i.buf = place(s, from->buf, from->idx, &i.idx);
        if (from->dst)
            i.dst = define(s, from->dst);
    }
    VEC_PUSH(s->p->arena, s->x->f->inst) = i;
}

/* Whether nothing that it makes is known behind it. */
static bool leaves_nothing(const Share *s, const Block *x)
{
    const LInst *i = &s->f->inst.at[x->from];
    const uint32_t *ext = &s->f->ext.at[i->ext];
    for (uint32_t k = 0; i->op == LOP_FOR && k < ext[0]; k++)
        if (s->last[ext[3 + 3 * k]] >= x->to)
            return false;
    return true;
}

static bool has_barrier(const LFunc *f, uint32_t from, uint32_t to)
{
    while (from < to && f->inst.at[from].op != LOP_BARRIER)
        from++;
    return from < to;
}

/* The block as a function; false: it cannot be one. */
static bool make_function(Share *s, Block *x)
{
    x->f = NEW(s->p->arena, LFunc);
    x->f->kind = LFUNC_HELPER;
    s->x = x;
    s->head.n = 0;
    s->round++;
    s->in = s->out = false;
    s->ok = leaves_nothing(s, x);
    (void)new_value(s, '-');
    for (uint32_t k = x->from; s->ok && k < x->to; k++) {
        copy_inst(s, &s->f->inst.at[k]);
        s->ok &= x->arg.n <= MOST_ARGUMENTS;
    }
    if (!s->ok || (s->in && s->out))
        return false;
    uint32_t n = x->f->inst.n, head = s->head.n;
    for (uint32_t k = 0; k < head; k++)
        VEC_PUSH(s->p->arena, x->f->inst) = (LInst){ 0 };
    if (!head) /* no place in memory to copy from */
        return true;
    memmove(x->f->inst.at + head, x->f->inst.at, n * sizeof(LInst));
    memcpy(x->f->inst.at, s->head.at, head * sizeof(LInst));
    return true;
}

/* ---- equal blocks ----------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * UINT64_C(0x9e3779b97f4a7c15) ^ (h >> 29);
}

static uint64_t hash_function(const LFunc *f)
{
    uint64_t h = f->param.n;
    for (uint32_t k = 0; k < f->inst.n; k++)
        h = mix(mix(h, f->inst.at[k].op), (uint64_t)f->inst.at[k].imm);
    for (uint32_t k = 0; k < f->ext.n; k++)
        h = mix(h, f->ext.at[k]);
    for (uint32_t k = 0; k < f->idx.n; k++)
        h = mix(mix(h, (uint64_t)f->idx.at[k].c0), (uint64_t)f->idx.at[k].c[0]);
    return h;
}

static bool same_bytes(const void *a, const void *b, size_t n)
{
    return !n || !memcmp(a, b, n);
}

static bool same_inst(const LInst *a, const LInst *b)
{
    return a->op == b->op && a->flags == b->flags && a->dst == b->dst && !memcmp(a->a, b->a, sizeof a->a) && a->imm == b->imm &&
           (a->op < LOP_LD || a->op > LOP_STV1 || (a->buf == b->buf && a->idx == b->idx)) &&
           ((a->op != LOP_FOR && a->op != LOP_CALL && a->op != LOP_YIELD) || a->ext == b->ext);
}

static bool same_locals(const LProgram *p, const Block *x, const Block *y)
{
    if (x->local.n != y->local.n)
        return false;
    for (uint32_t k = 0; k < x->local.n; k++) {
        const LBuf *a = &p->buf.at[x->local.at[k]], *b = &p->buf.at[y->local.at[k]];
        if (a->elem != b->elem || lextent_eval(&a->extent, NULL) != lextent_eval(&b->extent, NULL))
            return false;
    }
    return true;
}

static bool same_function(const LFunc *a, const LFunc *b)
{
    if (a->inst.n != b->inst.n || a->param.n != b->param.n || a->idx.n != b->idx.n || a->ext.n != b->ext.n || a->type.n != b->type.n)
        return false;
    for (uint32_t k = 0; k < a->param.n; k++) {
        const LParam *x = &a->param.at[k], *y = &b->param.at[k];
        if (x->pointer != y->pointer || x->elem != y->elem || x->value != y->value)
            return false;
    }
    for (uint32_t k = 0; k < a->inst.n; k++)
        if (!same_inst(&a->inst.at[k], &b->inst.at[k]))
            return false;
    return same_bytes(a->idx.at, b->idx.at, a->idx.n * sizeof *a->idx.at) && same_bytes(a->ext.at, b->ext.at, a->ext.n * sizeof *a->ext.at) &&
           same_bytes(a->type.at, b->type.at, a->type.n);
}

static void find_same(Share *s, uint32_t k)
{
    Block *x = &s->block.at[k];
    x->hash = hash_function(x->f);
    x->same = k;
    uint32_t bucket = (uint32_t)(x->hash % s->buckets);
    while (s->first[bucket]) {
        Block *y = &s->block.at[s->first[bucket] - 1];
        if (y->hash == x->hash && same_function(x->f, y->f) && same_locals(s->p, x, y)) {
            x->same = y->same;
            y->uses++;
            return;
        }
        bucket = (bucket + 1) % s->buckets;
    }
    s->first[bucket] = k + 1;
    x->uses = 1;
}

/* All blocks of from..to that can be functions; and, of those that hold others, also these. */
static void find_blocks(Share *s, uint32_t from, uint32_t to, uint32_t least)
{
    for (uint32_t k = from; k < to; k++) {
        if (!s->end[k])
            continue;
        uint32_t end = s->end[k], size = end - k;
        if (size >= least) {
            Block x = { .entry = s->entry, .from = k, .to = end };
            bool barrier = has_barrier(s->f, k, end);
            if (size <= MOST && !barrier && make_function(s, &x)) {
                VEC_PUSH(s->a, s->block) = x;
                find_same(s, s->block.n - 1);
            }
            if (s->f->inst.at[k].op == LOP_IF || size > MOST || barrier)
                find_blocks(s, k + 1, end - 1, s->f->inst.at[k].op == LOP_FOR && !barrier ? LEAST_INSIDE : least);
        }
        k = end - 1;
    }
}

/* ---- the program with them ---------------------------------------------------------------------------------------------------- */

static void put_call(Share *s, LFunc *f, const Block *x, uint32_t fn)
{
    Arena *a = s->p->arena;
    LInst call = { .op = LOP_CALL, .imm = fn, .ext = f->ext.n, .span = s->f->inst.at[x->from].span, .who = s->f->inst.at[x->from].who };
    VEC_PUSH(a, f->ext) = x->arg.n;
    for (uint32_t k = 0; k < x->arg.n; k++) {
        const Argument *g = &x->arg.at[k];
        uint32_t what = g->pointer ? g->buf : g->value, idx = 0;
        if (g->pointer) {
            idx = f->idx.n;
            VEC_PUSH(a, f->idx) = lidx(g->c0);
        } else if (!what) {
            what = f->type.n;
            VEC_PUSH(a, f->type) = 'i';
            VEC_PUSH(a, f->inst) = (LInst){ .op = (uint16_t)g->op, .dst = what, .imm = g->imm };
        }
        VEC_PUSH(a, f->ext) = what;
        VEC_PUSH(a, f->ext) = idx;
    }
    VEC_PUSH(a, f->inst) = call;
}

/* An entry's instructions, with calls in the places of blocks, of which *next is the first. Gives how many there were. */
static uint32_t replace_blocks(Share *s, uint32_t entry, uint32_t added, uint32_t *next)
{
    LFunc *f = s->p->fn.at[entry + added], old = *f;
    uint32_t k = 0, n = 0;
    s->f = &old;
    memset(&f->inst, 0, sizeof f->inst);
    for (; *next < s->block.n && s->block.at[*next].entry == entry; ++*next) {
        const Block *x = &s->block.at[*next];
        if (x->from < k || s->block.at[x->same].uses < 2)
            continue;
        while (k < x->from)
            VEC_PUSH(s->p->arena, f->inst) = old.inst.at[k++];
        put_call(s, f, x, s->block.at[x->same].fn);
        k = x->to;
        n++;
    }
    while (k < old.inst.n)
        VEC_PUSH(s->p->arena, f->inst) = old.inst.at[k++];
    return n;
}

/* Its own buffers on the stack are those of the block that it was made from. */
static void finish_function(Share *s, Block *x, uint32_t fn)
{
    x->fn = fn;
    x->f->name = intern_printf(s->p->ctx, "shared_%u", fn);
    for (uint32_t k = 0; k < x->local.n; k++)
        s->p->buf.at[x->local.at[k]].index = fn;
    for (uint32_t k = 0; k < x->f->inst.n; k++) {
        LInst *i = &x->f->inst.at[k];
        if (i->op >= LOP_LD && i->op <= LOP_STV1 && !(i->buf & LBUF_PARAM) && (i->buf & LOCAL))
            i->buf = x->local.at[i->buf & ~LOCAL];
        for (uint32_t q = 0; i->op == LOP_CALL && q < s->p->fn.at[i->imm]->param.n; q++) {
            uint32_t *buf = &x->f->ext.at[i->ext + 1 + 2 * q];
            if (s->p->fn.at[i->imm]->param.at[q].pointer && !(*buf & LBUF_PARAM) && (*buf & LOCAL))
                *buf = x->local.at[*buf & ~LOCAL];
        }
    }
}

/* Without the blocks that stand inside of one that is shared itself. */
static void drop_inner(Share *s)
{
    uint32_t entry = UINT32_MAX, behind = 0, n = 0;
    for (uint32_t k = 0; k < s->block.n; k++) {
        Block *x = &s->block.at[k];
        behind = x->entry == entry ? behind : 0;
        entry = x->entry;
        x->dropped = x->from < behind;
        if (!x->dropped && s->block.at[x->same].uses > 1)
            behind = x->to;
    }
    for (uint32_t k = 0; k < s->block.n; k++)
        if (!s->block.at[k].dropped)
            s->block.at[n++] = s->block.at[k];
    s->block.n = n;
    memset(s->first, 0, s->buckets * sizeof *s->first);
    for (uint32_t k = 0; k < n; k++)
        find_same(s, k);
}

static uint32_t add_functions(Share *s, uint32_t first_entry)
{
    LProgram *p = s->p;
    VEC(LFunc *) fn = { 0 };
    uint32_t added = 0;
    for (uint32_t k = 0; k < first_entry; k++)
        VEC_PUSH(s->a, fn) = p->fn.at[k];
    for (uint32_t k = 0; k < s->block.n; k++)
        added += s->block.at[k].same == k && s->block.at[k].uses > 1;
    for (uint32_t k = 0; added && k < p->buf.n; k++)
        if (p->buf.at[k].role == LB_LOCAL && p->buf.at[k].index >= first_entry)
            p->buf.at[k].index += added;
    for (uint32_t k = 0; k < s->block.n; k++) {
        Block *x = &s->block.at[k];
        if (x->same != k || x->uses < 2)
            continue;
        finish_function(s, x, fn.n);
        VEC_PUSH(s->a, fn) = x->f;
    }
    uint32_t old = p->fn.n;
    for (uint32_t k = first_entry; k < old; k++)
        VEC_PUSH(s->a, fn) = p->fn.at[k];
    p->fn.n = 0;
    for (uint32_t k = 0; k < fn.n; k++)
        VEC_PUSH(p->arena, p->fn) = fn.at[k];
    return added;
}

/* Entries are the last functions; else the number of functions. */
static uint32_t first_entry_of(const LProgram *p)
{
    uint32_t first = 0;
    while (first < p->fn.n && p->fn.at[first]->kind == LFUNC_HELPER)
        first++;
    for (uint32_t k = first; k < p->fn.n; k++)
        if (p->fn.at[k]->kind == LFUNC_HELPER)
            return p->fn.n;
    return first;
}

/* One round. Gives how many calls there are now; *added: functions. */
static uint32_t share(LProgram *p, uint32_t *added)
{
    Share s = { .p = p, .a = p->arena };
    uint32_t first = first_entry_of(p), calls = 0;
    s.buckets = 16;
    for (uint32_t k = first; k < p->fn.n; k++)
        s.buckets += p->fn.at[k]->inst.n;
    s.first = NEW_N(s.a, uint32_t, s.buckets);
    for (uint32_t k = first; k < p->fn.n; k++) {
        read_entry(&s, k);
        find_blocks(&s, 0, s.f->inst.n, LEAST);
    }
    drop_inner(&s);
    *added = add_functions(&s, first);
    for (uint32_t k = first, next = 0; *added && k + *added < p->fn.n; k++)
        calls += replace_blocks(&s, k, *added, &next);
    return calls;
}

bool pass_share(LProgram *p, const PassOptions *o)
{
    uint32_t calls = 0, functions = 0, added = 1;
    if (o->lower && (o->lower->one_step || o->lower->no_share))
        return false;
    while (added) { /* what stood inside of a block that turned out to have no equal is found in the next round */
        calls += share(p, &added);
        functions += added;
    }
    if (functions && o->explain)
        str_printf(o->explain, "shared: %u loops do what others do, at other places; %u function%s\n", (unsigned)calls, (unsigned)functions,
                   functions > 1 ? "s" : "");
    return functions > 0;
}
