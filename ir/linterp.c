/* linterp: executes loop programs as they stand, lane by lane in the build's float: the same bits as compiled code. One block
   of memory is taken per call (malloc and not the context's memory, for every thread of a kernel runs an interpreter). */
#include "ir/linterp.h"
#include "ir/sleef.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lanes -------------------------------------------------------------------------------------------------------------- */

/* r = expression over the lanes a, b, c of x, y, z. FLOATS has both widths; f of an expression is the C function of that width. */
#define EACH(body) \
    for (int l = 0; l < V; l++) { \
        body; \
    }
#define FLOATS(R32, R64, E32, E64) \
    if (f64) \
        EACH(double a = x->d[l]; double b = y->d[l]; double c = z->d[l]; (void)a; (void)b; (void)c; R64 = E64) \
    else \
        EACH(float a = x->f[l]; float b = y->f[l]; float c = z->f[l]; (void)a; (void)b; (void)c; R32 = E32) \
    break
#define FLOAT(E) FLOATS(r->f[l], r->d[l], E, E)
#define FLOAT2(E32, E64) FLOATS(r->f[l], r->d[l], E32, E64)
#define COMPARE(E) FLOATS(r->m[l], r->m[l], E, E)
#define INTS(R, E) \
    EACH(uint32_t a = (uint32_t)x->v[l]; uint32_t b = (uint32_t)y->v[l]; (void)a; (void)b; R = E) \
    break
#define INT(E) INTS(r->v[l], (int32_t)(E))

/* By halves: x[i] + x[i + n/2], then n/4 .. 1 */
static void across(Slot *r, const Slot *x, bool f64, int V, bool max) {
    Slot t = *x;
    for (int h = V / 2; h >= 1; h /= 2)
        for (int l = 0; l < h; l++) {
            if (f64)
                t.d[l] = max ? (t.d[l] < t.d[l + h] ? t.d[l + h] : t.d[l]) : t.d[l] + t.d[l + h];
            else
                t.f[l] = max ? (t.f[l] < t.f[l + h] ? t.f[l + h] : t.f[l]) : t.f[l] + t.f[l + h];
        }
    for (int l = 0; l < V; l++)
        if (f64)
            r->d[l] = t.d[0];
        else
            r->f[l] = t.f[0];
}

static void broadcast(Slot *r, const Slot *x, bool f64, int V, int64_t lane) {
    Slot t = *x;
    for (int l = 0; l < V; l++)
        if (f64)
            r->d[l] = t.d[lane];
        else
            r->f[l] = t.f[lane];
}

static void float_const(Slot *r, bool f64, int V, int64_t imm) {
    double d;
    memcpy(&d, &imm, sizeof d);
    for (int l = 0; l < V; l++)
        if (f64)
            r->d[l] = d;
        else
            r->f[l] = (float)d;
}

static void float_op(const LInst *i, Slot *r, const Slot *x, const Slot *y, const Slot *z, bool f64, int V) {
    LFn fn = (LFn)i->imm;
    Slot sel;
    switch (i->op) {
    case LOP_FCONST: float_const(r, f64, V, i->imm); break;
    case LOP_ADD: FLOAT(a + b);
    case LOP_SUB: FLOAT(a - b);
    case LOP_MUL: FLOAT(a * b);
    case LOP_DIV: FLOAT(a / b);
    case LOP_FMA: FLOAT2(fmaf(a, b, c), fma(a, b, c));
    case LOP_NEG: FLOAT(-a);
    case LOP_ABS: FLOAT2(fabsf(a), fabs(a));
    case LOP_SQRT: FLOAT2(sqrtf(a), sqrt(a));
    case LOP_FLOOR: FLOAT2(floorf(a), floor(a));
    case LOP_LT: COMPARE(a < b);
    case LOP_LE: COMPARE(a <= b);
    case LOP_EQ: COMPARE(a == b);
    case LOP_MIN: FLOAT(a < b ? a : b);
    case LOP_MAX: FLOAT(b < a ? a : b);
    case LOP_SEL: sel = *x; FLOAT(sel.m[l] ? b : c);
    case LOP_LIBM: FLOAT2(sleef_f32(fn, a, b), sleef_f64(fn, a, b));
    case LOP_LANE: broadcast(r, x, f64, V, i->imm); break;
    case LOP_HSUM: across(r, x, f64, V, false); break;
    case LOP_HMAX: across(r, x, f64, V, true); break;
    }
}

/* Truncated; what does not fit is the least int32, as on x86. */
static int32_t to_int(double a) { return a > -2147483649.0 && a < 2147483648.0 ? (int32_t)a : INT32_MIN; }

static uint32_t high_word(double d) {
    uint64_t w;
    memcpy(&w, &d, sizeof w);
    return (uint32_t)(w >> 32);
}

static double with_high_word(uint32_t high) {
    uint64_t w = (uint64_t)high << 32;
    double d;
    memcpy(&d, &w, sizeof d);
    return d;
}

static void int_op(const LInst *i, Slot *r, const Slot *x, const Slot *y, const Slot *z, bool f64, int V) {
    switch (i->op) {
    case LOP_VCONST: EACH(r->v[l] = (int32_t)i->imm) break;
    case LOP_VSPLAT: EACH(r->v[l] = (int32_t)(uint32_t)(uint64_t)x->i) break;
    case LOP_VIOTA: EACH(r->v[l] = l) break;
    case LOP_VADD: INT(a + b);
    case LOP_VSUB: INT(a - b);
    case LOP_VMUL: INT(a * b);
    case LOP_VMULHI: INT((uint64_t)a * b >> 32);
    case LOP_VAND: INT(a & b);
    case LOP_VOR: INT(a | b);
    case LOP_VXOR: INT(a ^ b);
    case LOP_VSHL: INT(a << i->imm);
    case LOP_VSHR: INT(a >> i->imm);
    case LOP_VLT: INTS(r->m[l], (int32_t)a < (int32_t)b);
    case LOP_VEQ: INTS(r->m[l], a == b);
    case LOP_VSEL: EACH(r->v[l] = x->m[l] ? y->v[l] : z->v[l]) break;
    case LOP_BITS:
        if (!f64) memcpy(r, x, sizeof *r);
        else EACH(r->v[l] = high_word(x->d[l]))
        break;
    case LOP_FROMBITS:
        if (!f64) memcpy(r, x, sizeof *r);
        else EACH(r->d[l] = with_high_word(x->v[l]))
        break;
    case LOP_VTOF: EACH(if (f64) r->d[l] = x->v[l]; else r->f[l] = (float)x->v[l]) break;
    case LOP_UTOF: EACH(if (f64) r->d[l] = (uint32_t)x->v[l]; else r->f[l] = (float)(uint32_t)x->v[l]) break;
    case LOP_FTOV: EACH(r->v[l] = to_int(f64 ? x->d[l] : (double)x->f[l])) break;
    case LOP_MAND: EACH(r->m[l] = x->m[l] & y->m[l]) break;
    case LOP_MOR: EACH(r->m[l] = x->m[l] | y->m[l]) break;
    case LOP_MNOT: EACH(r->m[l] = !x->m[l]) break;
    }
}

static void scalar_op(const Machine *m, const LInst *i, Slot *val) {
    Slot *r = &val[i->dst];
    int64_t a = val[i->a[0]].i, b = val[i->a[1]].i;
    switch (i->op) {
    case LOP_ICONST: r->i = i->imm; break;
    case LOP_DIM: r->i = m->dim[i->imm]; break;
    case LOP_TID: r->i = m->env->tid; break;
    case LOP_NT: r->i = m->env->nt; break;
    case LOP_IADD: r->i = (int64_t)((uint64_t)a + (uint64_t)b); break;
    case LOP_ISUB: r->i = (int64_t)((uint64_t)a - (uint64_t)b); break;
    case LOP_IMUL: r->i = (int64_t)((uint64_t)a * (uint64_t)b); break;
    case LOP_IDIV: r->i = b > 0 ? a / b : 0; break;
    case LOP_IMIN: r->i = a < b ? a : b; break;
    case LOP_IMAX: r->i = a < b ? b : a; break;
    }
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static int64_t index_of(const LFunc *f, const Slot *val, uint32_t idx) {
    const LIdx *x = &f->idx.at[idx];
    uint64_t s = (uint64_t)x->c0;
    for (uint32_t k = 0; k < x->n; k++) s += (uint64_t)x->c[k] * (uint64_t)val[x->v[k]].i;
    return (int64_t)s;
}

static const Bound *bound_of(const Machine *m, const Frame *fr, uint32_t buf) {
    return buf & LBUF_PARAM ? &fr->arg[buf & ~LBUF_PARAM] : &m->bound[buf];
}

/* How many elements the instruction touches. */
static int touched(const LInst *i, int V) {
    switch (i->op) {
    case LOP_LD:
    case LOP_LDV:
    case LOP_ST:
    case LOP_STV: return V;
    case LOP_LDT:
    case LOP_LDVT:
    case LOP_STT:
    case LOP_STVT: return (int)i->imm;
    }
    return 1;
}

static void load(const LInst *i, Slot *r, const char *at, bool f64, int V) {
    int32_t w;
    switch (i->op) {
    case LOP_LD:
    case LOP_LDV: memcpy(r, at, (size_t)V * (i->op == LOP_LD && f64 ? 8 : 4)); break;
    case LOP_LDT:
    case LOP_LDVT:
        memset(r, 0, sizeof *r);
        memcpy(r, at, (size_t)i->imm * (i->op == LOP_LDT && f64 ? 8 : 4));
        break;
    case LOP_LDB:
        for (int l = 0; l < V; l++)
            if (f64)
                memcpy(&r->d[l], at, 8);
            else
                memcpy(&r->f[l], at, 4);
        break;
    case LOP_LDI:
        memcpy(&w, at, 4);
        r->i = w;
        break;
    case LOP_LDVB:
        for (int l = 0; l < V; l++) memcpy(&r->v[l], at, 4);
        break;
    }
}

/* Is one of n elements that go to `at` a NaN or +infinity? */
static bool watched(Machine *m, const Bound *b, const Slot *v, const char *at, int n) {
    bool f64 = m->p->f64;
    if (!b->id || m->p->buf.at[b->id - 1].elem != LE_F) return false;
    for (int l = 0; l < n; l++) {
        double x = f64 ? v->d[l] : (double)v->f[l];
        if (x <= DBL_MAX) continue;
        m->watch->buf = b->id - 1;
        m->watch->at = (at - m->bound[b->id - 1].base) / (int64_t)b->size + l;
        return true;
    }
    return false;
}

static bool memory_op(Machine *m, uint32_t fn, uint32_t pc, const LInst *i) {
    Frame *fr = &m->frame[fn];
    const Bound *b = bound_of(m, fr, i->buf);
    int64_t idx = index_of(m->p->fn.at[fn], fr->val, i->idx);
    bool store = i->op >= LOP_ST;
    int n = touched(i, m->p->V);
    if (m->shadow && !shadow_access(m, fn, pc, b, idx, n, store)) return false;
    char *at = b->base + idx * (int64_t)b->size;
    if (m->watch && (m->watch->left-- <= 0 || (store && watched(m, b, &fr->val[i->a[0]], at, n)))) return false;
    if (store)
        memcpy(at, &fr->val[i->a[0]], (size_t)n * b->size);
    else
        load(i, &fr->val[i->dst], at, m->p->f64, m->p->V);
    return true;
}

/* ---- control ------------------------------------------------------------------------------------------------------------ */

static bool run(Machine *m, uint32_t fn);

static bool call_op(Machine *m, uint32_t fn, const LInst *i) {
    const LFunc *f = m->p->fn.at[fn], *g = m->p->fn.at[i->imm];
    Frame *from = &m->frame[fn], *to = &m->frame[i->imm];
    const uint32_t *ext = &f->ext.at[i->ext + 1];
    for (uint32_t k = 0; k < g->param.n; k++, ext += 2) {
        const LParam *q = &g->param.at[k];
        if (!q->pointer) {
            to->val[q->value].i = from->val[ext[0]].i;
            continue;
        }
        int64_t idx = index_of(f, from->val, ext[1]);
        Bound b = *bound_of(m, from, ext[0]);
        b.base += idx * (int64_t)b.size;
        b.lo -= idx;
        b.hi -= idx;
        if (b.tag) b.tag += idx * (int64_t)(b.size / 4);
        to->arg[k] = b;
    }
    return run(m, (uint32_t)i->imm);
}

/* FOR: to the body with the initial values, or past END with them as results. Gives the next instruction. */
static uint32_t enter_for(const LFunc *f, Frame *fr, uint32_t pc, uint32_t *depth) {
    const LInst *i = &f->inst.at[pc];
    int64_t lo = fr->val[i->a[0]].i, hi = fr->val[i->a[1]].i;
    const uint32_t *ext = &f->ext.at[i->ext];
    bool some = lo < hi;
    for (uint32_t k = 0; k < ext[0]; k++) fr->val[ext[3 * k + (some ? 2 : 3)]] = fr->val[ext[3 * k + 1]];
    if (!some) return fr->match[pc] + 1;
    int64_t count = (hi - 1 - lo) / i->imm;
    Counter *c = &fr->loop[(*depth)++];
    c->left = count;
    c->i = i->flags & LF_DOWN ? lo + count * i->imm : lo;
    fr->val[i->dst].i = c->i;
    return pc + 1;
}

static uint32_t leave_block(const LFunc *f, Frame *fr, uint32_t pc, uint32_t *depth) {
    uint32_t head = fr->match[pc];
    const LInst *i = &f->inst.at[head];
    if (i->op != LOP_FOR) return pc + 1;
    Counter *c = &fr->loop[*depth - 1];
    if (c->left-- > 0) {
        c->i += i->flags & LF_DOWN ? -i->imm : i->imm;
        fr->val[i->dst].i = c->i;
        return head + 1;
    }
    const uint32_t *ext = &f->ext.at[i->ext];
    for (uint32_t k = 0; k < ext[0]; k++) fr->val[ext[3 * k + 3]] = fr->val[ext[3 * k + 2]];
    --*depth;
    return pc + 1;
}

/* All at once: a carry may yield another's value. */
static void yield(const LFunc *f, Frame *fr, uint32_t pc) {
    const uint32_t *from = &f->ext.at[f->inst.at[pc].ext];
    const uint32_t *to = &f->ext.at[f->inst.at[fr->match[pc + 1]].ext];
    for (uint32_t k = 0; k < from[0]; k++) fr->next[k] = fr->val[from[1 + k]];
    for (uint32_t k = 0; k < from[0]; k++) fr->val[to[3 * k + 2]] = fr->next[k];
}

static bool run(Machine *m, uint32_t fn) {
    const LFunc *f = m->p->fn.at[fn];
    Frame *fr = &m->frame[fn];
    bool f64 = m->p->f64;
    int V = m->p->V;
    uint32_t depth = 0;
    if (m->shadow) shadow_enter(m, fn);
    for (uint32_t pc = 0; pc < f->inst.n;) {
        const LInst *i = &f->inst.at[pc];
        Slot *val = fr->val;
        if (m->executed) m->executed[i->op]++;
        if (i->op > LOP_HMAX) /* the sections of lops.def, the last first */
            int_op(i, &val[i->dst], &val[i->a[0]], &val[i->a[1]], &val[i->a[2]], f64, V);
        else if (i->op > LOP_STV1)
            float_op(i, &val[i->dst], &val[i->a[0]], &val[i->a[1]], &val[i->a[2]], f64, V);
        else if (i->op > LOP_IMAX) {
            if (i->op != LOP_PREFETCH && !memory_op(m, fn, pc, i)) return false;
        } else if (i->op > LOP_BARRIER)
            scalar_op(m, i, val);
        else if (i->op == LOP_FOR) {
            pc = enter_for(f, fr, pc, &depth);
            continue;
        } else if (i->op == LOP_END) {
            pc = leave_block(f, fr, pc, &depth);
            continue;
        } else if (i->op == LOP_IF) {
            if (val[i->a[0]].i >= val[i->a[1]].i) pc = fr->match[pc];
        } else if (i->op == LOP_YIELD)
            yield(f, fr, pc);
        else if (i->op == LOP_CALL) {
            if (!call_op(m, fn, i)) return false;
        } else if (i->op == LOP_BARRIER && m->env->barrier)
            m->env->barrier(m->env->arg);
        pc++;
    }
    return true;
}

/* ---- the machine -------------------------------------------------------------------------------------------------------- */

/* Hands out one block; with base NULL it only counts. */
typedef struct {
    char *base;
    size_t used;
} Bump;

static void *take(Bump *b, size_t n) {
    void *at = b->base ? b->base + b->used : NULL;
    b->used += (n + 63) / 64 * 64;
    return at;
}

static void count_needs(const LFunc *f, uint32_t *loops, uint32_t *carries) {
    uint32_t depth = 0;
    *loops = *carries = 0;
    for (uint32_t pc = 0; pc < f->inst.n; pc++) {
        const LInst *i = &f->inst.at[pc];
        if (i->op == LOP_FOR || i->op == LOP_IF) depth++;
        if (i->op == LOP_END) depth--;
        if (depth > *loops) *loops = depth;
        if (i->op == LOP_FOR && f->ext.at[i->ext] > *carries) *carries = f->ext.at[i->ext];
    }
}

static void match_blocks(const LFunc *f, uint32_t *match, uint32_t *open) {
    uint32_t n = 0;
    for (uint32_t pc = 0; pc < f->inst.n; pc++) {
        uint16_t op = f->inst.at[pc].op;
        if (op == LOP_FOR || op == LOP_IF) open[n++] = pc;
        if (op != LOP_END) continue;
        match[pc] = open[--n];
        match[match[pc]] = pc;
    }
}

static void lay_out(Machine *m, Bump *b, void *const *buf) {
    const LProgram *p = m->p;
    Frame *frame = take(b, p->fn.n * sizeof *frame);
    Bound *bound = take(b, p->buf.n * sizeof *bound);
    for (uint32_t k = 0; k < p->fn.n; k++) {
        const LFunc *f = p->fn.at[k];
        uint32_t loops, carries;
        count_needs(f, &loops, &carries);
        Frame fr = {take(b, f->inst.n * sizeof(uint32_t)), take(b, f->type.n * sizeof(Slot)), take(b, carries * sizeof(Slot)),
                    take(b, loops * sizeof(Counter)), take(b, f->param.n * sizeof(Bound))};
        uint32_t *open = take(b, loops * sizeof *open);
        if (!b->base) continue;
        match_blocks(f, fr.match, open);
        frame[k] = fr;
    }
    for (uint32_t k = 0; k < p->buf.n; k++) {
        const LBuf *q = &p->buf.at[k];
        uint32_t size = q->elem == LE_F && p->f64 ? 8 : 4;
        int64_t n = q->role == LB_LOCAL ? lextent_eval(&q->extent, m->dim) : 0;
        void *local = take(b, n > 0 ? (size_t)n * size : 0);
        if (b->base) bound[k] = (Bound){q->role == LB_LOCAL ? local : buf[k], size, k + 1, 0, 0, NULL};
    }
    m->frame = frame;
    m->bound = bound;
}

bool lprogram_interp(const LProgram *p, uint32_t fn, void *const *buf, const int64_t *dim, const KEnv *env,
                     const InterpOptions *o) {
    static const KEnv alone = {0, 1, NULL, NULL};
    Machine m = {p, dim, env ? env : &alone, NULL, NULL, o && o->shadow, o ? o->watch : NULL, NULL, o ? o->executed : NULL, false};
    Bump b = {NULL, 64};
    lay_out(&m, &b, buf);
    char *block = calloc(1, b.used);
    bool ok = false;
    if (block) {
        b = (Bump){block + (64 - (uintptr_t)block % 64) % 64, 0};
        lay_out(&m, &b, buf);
        ok = !m.shadow || shadow_make(&m, fn, buf);
    }
    bool started = ok;
    if (started) ok = run(&m, fn);
    free(m.tags);
    free(block);
    if (!started) diag_error(p->ctx, 900, (Span){0, 0}, "out of memory");
    if (m.no_memory) ctx_out_of_memory(p->ctx);
    return ok;
}
