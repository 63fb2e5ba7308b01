/* follow: rows computed from what a loop makes or reads, step by step, are computed in its steps.
   before:  %7 = scan T rev @1 .. step(%1)    %8 = out %7 0    %9 = mul %8 %1 : f<T,B>[64]    %10 = dot %9 %2 {i,o->io} : f[64,8]
   after:   %7 = scan T rev @1 .. step(%1)    %9 = out %7 0                                   in @1: stack mul ..
   before:  %7 = scan T rev @1 .. step(%1, %2)     %8 = sub %1 %2    %9 = mul %8 %8    %10 = sum %9 {0} : f<T,B>[]
   after:   %10 = out %7 1                                                                    in @1: stack sum ..
   Such as a gate's adjoint where the gate was computed before the loop, and a loss beside its own adjoint: each sequence that is
   then not written, or not read once more, is one of B * T rows less. Taken are elementwise operations, parts, and sums over
   features, over exactly the loop's axis and the examples, that hang together and need no other step; the whole of them, if
   that moves fewer floats than before. What only products and sums read had memory for a chunk of steps only: now it has it for
   all, which counts half, since a chunk is written and read as well.
   before:  %3 = sigmoid %2 : f<T,B>[64]   %4 = scan T fwd @1 .. step(%3), no product in @1, %2 a product   %5 = mul %3 ..
   after:   %4 = scan T fwd @1 .. step(%2)     %3 = out %4 1   %5 = mul %3 ..                in @1: sigmoid step 0
   Elementwise rows that such a loop waits for, and nothing else before it.
   After distribute, which takes products out of loops with what they read; before sink, which sums in the steps what is left. */
#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

enum { MOST = 32 }; /* nodes that go into one loop together */

typedef enum {
    EARLY,
    OUT,
    MEMBER,
    LATE,
    AHEAD
} When; /* known before the loop, stacked by it, may go into it, known after it; EARLY, goes into it */

/* One scan of the model and what could go into it; arrays by value of the graph. */
typedef struct {
    Module *m;
    const Graph *g;
    Ref scan;
    ScanInfo s;
    uint8_t *when;
    bool *before; /* the scan waits for it */
    bool *sum;    /* of a product and what is added to it: one accumulator */
    bool *ready;  /* in memory for all steps */
    Ref *up;      /* towards the first member of its component */
    bool *taken;
    RefVec step, capture;
    Ref *made; /* in the new body */
} Follow;

static const Node *at(const Follow *f, Ref r) { return &f->g->node.at[r]; }

static uint32_t rows(const Follow *f) { return AX(f->s.axis) | AX(AXIS_B); }

static bool is_step(const Follow *f, Ref r) {
    for (uint32_t i = 0; i < f->s.nstep; i++)
        if (f->s.step[i] == r) return true;
    return false;
}

static void find_before(Follow *f) {
    f->before[f->scan] = true;
    for (Ref r = f->scan; r > 0; r--) {
        const Ref *in;
        uint32_t n = f->before[r] ? node_inputs(f->g, r, &in) : 0;
        while (n-- > 0) f->before[in[n]] = true;
    }
}

/* A product may be part of an addition's fma. */
static void find_ready(Follow *f) {
    for (Ref r = 1; r < f->g->node.n; r++) {
        const Node *n = at(f, r);
        uint8_t cls = op_info[n->op].cls;
        bool view = n->op == OP_SLICE || n->op == OP_RESHAPE || n->op == OP_TRANSPOSE;
        bool made = f->before[r] && n->axes == rows(f) && (cls == OPC_UNARY || cls == OPC_BINARY || cls == OPC_TERNARY) &&
                    n->op != OP_MUL;
        f->sum[r] = n->op == OP_DOT || (n->op == OP_ADD && (f->sum[n->in[0]] || f->sum[n->in[1]]));
        f->ready[r] |= f->sum[r] || n->op == OP_INPUT || n->op == OP_OUT || made || (view && f->ready[n->in[0]]);
        if (n->op == OP_SCAN) {
            ScanInfo s = scan_info(f->g, r);
            for (uint32_t i = 0; i < s.nstep; i++) f->ready[s.step[i]] |= at(f, s.step[i])->op != OP_SHIFT;
        }
    }
    for (uint32_t i = 0; i < f->s.nstep; i++) f->ready[f->s.step[i]] = true;
}

/* Whether a member may read o. */
static bool readable(const Follow *f, Ref o) {
    const Node *n = at(f, o);

    if (f->when[o] == MEMBER || f->when[o] == OUT || f->when[o] == AHEAD) return true;
    if (f->when[o] == LATE || (n->axes & ~rows(f))) return false;
    return !(n->axes & AX(f->s.axis)) || f->ready[o];
}

/* Elementwise, a part, or a sum over features. */
static bool of_a_row(const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];
    uint8_t cls = op_info[n->op].cls;
    bool part = n->op == OP_SLICE || n->op == OP_CONCAT, sum = n->op == OP_SUM && !node_attr(g, r)[0];

    return cls == OPC_UNARY || cls == OPC_BINARY || cls == OPC_TERNARY || part || sum;
}

static bool may_follow(const Follow *f, Ref r) {
    const Ref *in;
    uint32_t k = node_inputs(f->g, r, &in);

    if (at(f, r)->axes != rows(f) || !of_a_row(f->g, r)) return false;
    while (k-- > 0)
        if (!readable(f, in[k])) return false;
    return true;
}

static When when_known(const Follow *f, Ref r) {
    const Graph *body = f->m->graph.at[f->s.body];
    const Node *n = at(f, r);
    const Ref *in;
    uint32_t k = node_inputs(f->g, r, &in);

    if (r == f->scan) return LATE;
    if (f->before[r]) return (When)f->when[r];
    if (n->op == OP_OUT && n->in[0] == f->scan) return body->root.at[f->s.ncarry + n->attr].kind == ROOT_STACK ? OUT : LATE;
    if (may_follow(f, r)) return MEMBER;
    while (k-- > 0)
        if (f->when[in[k]] != EARLY) return LATE;
    return EARLY;
}

static Ref first_of(const Follow *f, Ref r) {
    while (f->up[r] != r) r = f->up[r];
    return r;
}

static void join(Follow *f, Ref a, Ref b) {
    a = first_of(f, a);
    b = first_of(f, b);
    f->up[a > b ? a : b] = a > b ? b : a;
}

static void find_members(Follow *f) {
    for (Ref r = 1; r < f->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(f->g, r, &in);
        f->up[r] = r;
        f->when[r] = (uint8_t)when_known(f, r);
        while (f->when[r] == MEMBER && n-- > 0)
            if (f->when[in[n]] == MEMBER) join(f, in[n], r);
    }
}

/* Whether the loop is elementwise: nothing in it waits for a matrix. */
static bool is_plain(const Follow *f) {
    const Graph *body = f->m->graph.at[f->s.body];

    for (Ref r = 1; r < body->node.n; r++)
        if (body->node.at[r].op == OP_DOT || body->node.at[r].op == OP_SCAN) return false;
    return true;
}

static bool may_go_ahead(const Follow *f, Ref r) {
    const Node *n = at(f, r);
    uint8_t cls = op_info[n->op].cls;
    const Ref *in;
    uint32_t k = node_inputs(f->g, r, &in);

    if (!f->before[r] || f->sum[r] || n->axes != rows(f) || n->dtype != DT_F || !(cls == OPC_UNARY || cls == OPC_BINARY))
        return false;
    while (k-- > 0)
        if (!readable(f, in[k])) return false;
    return true;
}

/* Rows that the loop waits for: those that nothing else before it needs. */
static bool drop_needed(Follow *f) {
    bool more = false;

    for (Ref r = f->scan; r > 0; r--) {
        const Ref *in;
        uint32_t n = f->before[r] && f->when[r] != AHEAD ? node_inputs(f->g, r, &in) : 0;
        uint32_t first = r == f->scan ? f->s.ncarry : 0, last = r == f->scan ? f->s.ncarry + f->s.nstep : 0;
        for (uint32_t i = 0; i < n; i++) {
            bool needed = f->when[in[i]] == AHEAD && (i < first || i >= last);
            if (needed) f->when[in[i]] = EARLY;
            more |= needed;
        }
    }
    for (Ref r = 1; r < f->scan; r++) {
        bool stays = f->when[r] == AHEAD && !may_go_ahead(f, r);
        if (stays) f->when[r] = EARLY;
        more |= stays;
    }
    return more;
}

static void find_ahead(Follow *f) {
    if (!is_plain(f)) return;
    for (Ref r = 1; r < f->scan; r++)
        if (may_go_ahead(f, r)) f->when[r] = AHEAD;
    while (drop_needed(f)) continue;
}

/* ---- what it is worth --------------------------------------------------------------------------------------------------------- */

/* Who reads a value of the component: others in it, products and sums over the steps, anybody else. */
enum { BY_MEMBER = 1, BY_CHUNK = 2, BY_OTHER = 4 };

static bool takes_chunks(const Follow *f, Ref r) {
    const Node *n = at(f, r);
    return n->op == OP_DOT || (n->op == OP_SUM && !(n->axes & AX(f->s.axis)));
}

static void find_readers(const Follow *f, Ref first, uint8_t *by) {
    for (Ref r = 1; r < f->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(f->g, r, &in);
        uint8_t how = f->when[r] == MEMBER && first_of(f, r) == first ? BY_MEMBER : takes_chunks(f, r) ? BY_CHUNK : BY_OTHER;
        while (n-- > 0) by[in[n]] |= how;
    }
    for (uint32_t i = 0; i < f->g->root.n; i++) by[f->g->root.at[i].ref] |= BY_OTHER;
}

/* Floats a row that are moved no more, against those that are moved then. */
static bool worth(const Follow *f, Ref first) {
    uint8_t *by = NEW_N(f->m->arena, uint8_t, f->g->node.n);
    int64_t before = 0, after = 0, nodes = 0;

    find_readers(f, first, by);
    for (Ref r = 1; r < f->g->node.n; r++) {
        int64_t size = node_features(at(f, r));
        if (f->when[r] == MEMBER && first_of(f, r) == first) {
            bool stored = by[r] & (BY_CHUNK | BY_OTHER);
            nodes++;
            if (stored && at(f, r)->dtype != DT_F) return false;
            after += stored && !(by[r] & BY_OTHER) ? size : 0;
        } else if (by[r] & BY_MEMBER) {
            if (f->when[r] == OUT)
                before += by[r] == BY_MEMBER ? 2 * size : size;
            else if (is_step(f, r) || f->when[r] == AHEAD)
                before += size;
        }
    }
    return before > after && nodes <= MOST;
}

static bool take(Follow *f) {
    bool any = false;

    for (Ref r = 1; r < f->g->node.n; r++) {
        any |= f->taken[r] = f->when[r] == AHEAD;
        if (f->when[r] != MEMBER) continue;
        f->taken[r] = f->up[r] == r ? worth(f, r) : f->taken[first_of(f, r)];
        any |= f->taken[r];
    }
    return any;
}

/* ---- the new graph -------------------------------------------------------------------------------------------------------------- */

static uint32_t index_of(Arena *a, RefVec *v, Ref r) {
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r) return i;
    VEC_PUSH(a, *v) = r;
    return v->n - 1;
}

/* What a member reads, in the body. */
static void make_operand(Follow *f, Graph *body, Ref o) {
    const Node *n = at(f, o);
    bool step = n->axes & AX(f->s.axis);

    if (f->made[o]) return;
    if (n->op == OP_CONST)
        f->made[o] = graph_copy_node(body, f->g, o, NULL);
    else
        f->made[o] = leaf_like(body, step ? OP_STEP : OP_CAPTURE, index_of(f->m->arena, step ? &f->step : &f->capture, o), n,
                               AX(f->s.axis));
}

/* Those that are taken, of the rows ahead or of those that follow. */
static void make_taken(Follow *f, Graph *body, bool ahead) {
    for (Ref r = 1; r < f->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(f->g, r, &in);
        if (!f->taken[r] || (f->when[r] == AHEAD) != ahead) continue;
        for (uint32_t i = 0; i < n; i++) make_operand(f, body, in[i]);
        body->span = at(f, r)->span;
        body->name = at(f, r)->name;
        f->made[r] = graph_copy_node(body, f->g, r, f->made);
    }
}

static Graph *make_body(Follow *f) {
    const Graph *old = f->m->graph.at[f->s.body];
    Graph *body = module_add_graph(f->m);
    Ref *map = NEW_N(f->m->arena, Ref, old->node.n);

    make_taken(f, body, true);
    for (Ref r = 1; r < old->node.n; r++) {
        const Node n = old->node.at[r];
        Ref step = n.op == OP_STEP ? f->s.step[n.attr] : 0;
        body->span = n.span;
        body->name = n.name;
        if (!step)
            map[r] = graph_copy_node(body, old, r, map);
        else if (f->taken[step])
            map[r] = f->made[step];
        else
            map[r] = leaf_like(body, OP_STEP, index_of(f->m->arena, &f->step, step), &n, 0);
    }
    for (uint32_t i = 0; i < old->root.n; i++) {
        const Root *t = &old->root.at[i];
        graph_root(body, (RootKind)t->kind, t->name, map[t->ref], t->index);
    }
    for (Ref r = 1; r < f->g->node.n; r++)
        if (f->when[r] == OUT) f->made[r] = map[old->root.at[f->s.ncarry + at(f, r)->attr].ref];
    make_taken(f, body, false);
    body->span = body->name = 0;
    return body;
}

static Ref rebuild(Follow *f, Graph *dst, Ref r, Ref *map);

static Ref make_scan(Follow *f, Graph *dst, Ref *map) {
    const ScanInfo *s = &f->s;
    Arena *a = f->m->arena;
    Ref *init = NEW_N(a, Ref, s->ncarry + 1);
    Graph *body;

    for (uint32_t i = 0; i < s->nstep; i++)
        if (!f->taken[s->step[i]]) index_of(a, &f->step, s->step[i]);
    for (uint32_t i = 0; i < s->ncapture; i++) VEC_PUSH(a, f->capture) = s->capture[i];
    body = make_body(f);
    for (uint32_t i = 0; i < s->ncarry; i++) init[i] = rebuild(f, dst, s->init[i], map);
    for (uint32_t i = 0; i < f->step.n; i++) f->step.at[i] = rebuild(f, dst, f->step.at[i], map);
    for (uint32_t i = 0; i < f->capture.n; i++) f->capture.at[i] = rebuild(f, dst, f->capture.at[i], map);
    dst->span = at(f, f->scan)->span;
    dst->name = at(f, f->scan)->name;
    return g_scan(dst, s->axis, s->reverse, body->index, init, s->ncarry, f->step.at, f->step.n, f->capture.at, f->capture.n);
}

/* Value r in the new graph, after all that it is computed from. */
static Ref rebuild(Follow *f, Graph *dst, Ref r, Ref *map) {
    const Ref *in;
    uint32_t n = node_inputs(f->g, r, &in);

    if (map[r]) return map[r];
    if (f->taken[r]) {
        Ref scan = rebuild(f, dst, f->scan, map);
        Graph *body = f->m->graph.at[scan_info(dst, scan).body];
        dst->span = at(f, r)->span;
        dst->name = at(f, r)->name;
        map[r] = g_out(dst, scan, body_out(body, ROOT_STACK, f->made[r], 0));
    } else if (r == f->scan) {
        map[r] = make_scan(f, dst, map);
    } else {
        for (uint32_t i = 0; i < n; i++) rebuild(f, dst, in[i], map);
        dst->span = at(f, r)->span;
        dst->name = at(f, r)->name;
        map[r] = graph_copy_node(dst, f->g, r, map);
    }
    return map[r];
}

static void replace(Follow *f) {
    Graph *dst = module_add_graph(f->m);
    Ref *map = NEW_N(f->m->arena, Ref, f->g->node.n);

    for (Ref r = 1; r < f->g->node.n; r++)
        if (!f->taken[r]) rebuild(f, dst, r, map);
    for (uint32_t i = 0; i < f->g->root.n; i++)
        if (f->g->root.at[i].ref) rebuild(f, dst, f->g->root.at[i].ref, map);
    dst->span = dst->name = 0;
    replace_model(f->m, dst, map);
    module_dce(f->m);
}

/* By value, over which axes something reads it that may go into a loop (AX); by scan, of all that it stacks. */
static uint32_t *find_row_readers(const Module *m) {
    const Graph *g = m->graph.at[0];
    uint32_t *axes = NEW_N(m->arena, uint32_t, g->node.n);

    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        bool row = of_a_row(g, r), out = g->node.at[r].op == OP_OUT;
        while ((row || out) && n-- > 0) axes[in[n]] |= out ? axes[r] : g->node.at[r].axes;
    }
    return axes;
}

/* Whether something could be worth computing in this scan: rows that read what it makes or reads, or that only a plain loop waits for. */
static bool may_take(const Follow *f, const uint32_t *readers) {
    uint32_t axes = readers[f->scan];

    for (uint32_t i = 0; i < f->s.nstep; i++) axes |= readers[f->s.step[i]];
    return axes & AX(f->s.axis) || is_plain(f);
}

/* Whether something went into this scan. */
static bool follow_scan(Module *m, Ref scan, const uint32_t *readers) {
    const Graph *g = m->graph.at[0];
    uint32_t n = g->node.n;
    Arena *a = m->arena;
    Follow f = {.m = m, .g = g, .scan = scan, .s = scan_info(g, scan)};

    if (!may_take(&f, readers)) return false;
    f.when = NEW_N(a, uint8_t, n);
    f.before = NEW_N(a, bool, n);
    f.sum = NEW_N(a, bool, n);
    f.ready = NEW_N(a, bool, n);
    f.up = NEW_N(a, Ref, n);
    f.taken = NEW_N(a, bool, n);
    f.made = NEW_N(a, Ref, n);
    find_before(&f);
    find_ready(&f);
    find_ahead(&f);
    find_members(&f);
    if (!take(&f)) return false;
    replace(&f);
    return true;
}

/* The last scan first: it is the one that reads most. Each round leaves fewer values outside of scans. */
bool pass_follow(Module *m, const PassOptions *o) {
    uint64_t before;
    bool more = true;

    (void)o;
    module_dce(m);
    before = module_hash(m);
    while (more) {
        const Graph *g = m->graph.at[0];
        const uint32_t *readers = find_row_readers(m);
        more = false;
        for (Ref r = g->node.n; r-- > 1 && !more;) more = g->node.at[r].op == OP_SCAN && follow_scan(m, r, readers);
    }
    return module_hash(m) != before;
}
