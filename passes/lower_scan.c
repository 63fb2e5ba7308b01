/* lower_loops: scan stages. Where carries and stacks stand, and the loop over steps.
   before:  run scan : %8                    %8 = scan T fwd @1 carry(%5) step(%7) ..    in @1: next %6, stack %6
   after:   for rows { st h[0, b] (%5) }     for t { the stages of @1: they read h[t, b], and write %6 to h[t + 1, b] }
   A stacked carry has one slot more than there are steps: forward, slot 0 is the initial value and step t writes slot t + 1;
   reverse, slot T is the initial value and step t writes slot t. "The carry before each step" is then a view. A carry that
   nobody stacks has one place; its next value is written there directly when everything that reads it comes before. A stack that is
   a result of the model is written to the caller's memory in the step; one that is nothing else has no memory of its own, if the next
   value can go where the carry stands.
   A large state stays in the cache over the steps: then the loop over rows is outside of theirs.
   Chunks, if place asks for them, and segments (remat.c) are loops around the one over steps. */
#include <string.h>

#include "passes/lower_int.h"

typedef struct {
    Ref value;
    Loc to;
    bool carry;
} Pending; /* copied at the end of each step */

typedef struct {
    LowG *lg, *bg;
    ScanInfo s;
    Ref scan;
    Loc *carry; /* where the carry is read */
    Loc *next; /* where its next value goes */
    bool *slotted;
    bool *apart; /* of a scan of one step: read where its initial value stands, its next value elsewhere; no slots */
    Loc *out; /* of each out root */
    VEC(Pending) pending;
} Scan;

/* 0: user does not read the leaf; 1: at its own index; 2: at another */
static int reads(const LowG *lg, Ref o, Ref leaf, bool mapped)
{
    if (o == leaf)
        return mapped ? 2 : 1;
    const NodeInfo *ni = &lg->ni[o];
    if (ni->kind != NK_ACCESS && ni->kind != NK_INLINE && ni->kind != NK_CHAIN)
        return 0;
    const Ref *in;
    uint32_t n = node_inputs(lg->g, o, &in);
    int most = 0;
    for (uint32_t k = 0; k < n; k++) {
        int x = reads(lg, in[k], leaf, mapped || ni->kind == NK_ACCESS);
        most = x > most ? x : most;
    }
    return most;
}

static int user_reads(const LowG *lg, Ref u, Ref leaf)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, u, &in);
    int most = 0;
    int cls = op_info[lg->g->node.at[u].op].cls;
    bool mapped = cls == OPC_SHAPE || cls == OPC_INDEX; /* a slice that is copied */
    for (uint32_t k = 0; k < n; k++) {
        int x = reads(lg, in[k], leaf, mapped);
        most = x > most ? x : most;
    }
    return most;
}

/* Whether the next value of a carry may be written over the carry: every reader comes before, or is the same vector loop. */
static bool may_overwrite(const LowG *bg, Ref next, Ref leaf, uint32_t k)
{
    const NodeInfo *v = &bg->ni[next];
    const Node *n = &bg->g->node.at[next];
    if (v->kind != NK_ROW || v->nest || v->scalar_loop)
        return false;
    for (uint32_t i = 0; i < bg->g->root.n; i++) {
        const Root *o = &bg->g->root.at[i];
        if (o->ref && (o->ref == leaf || (o->ref != next && reads(bg, o->ref, leaf, false))))
            return false;
        if (i != k && o->ref == next && o->kind == ROOT_NEXT)
            return false;
    }
    for (Ref u = 1; leaf && u < bg->g->node.n; u++) {
        const NodeInfo *x = &bg->ni[u];
        if (x->kind < NK_ROW)
            continue;
        int how = user_reads(bg, u, leaf);
        if (!how || (x->item && x->item < v->item))
            continue;
        if (x->kind != NK_ROW || x->item != v->item)
            return false;
        if (is_scalar(n)) /* scalars are stored when the row is done */
            continue;
        uint32_t level = v->sweep ? v->loop_phase : v->phase;
        if (x->loop_phase < level)
            continue;
        if (x->loop_phase > level || how == 2 || x->nest || x->scalar_loop)
            return false;
        if (v->sweep ? v->sweep > SWEEP_MATRIX || x->turn > v->turn : x->sweep)
            return false;
    }
    return true;
}

/* The caller's place of the i-th out, if it is a result of the model. *only: nothing else reads it. */
static Loc *result_place(const LowG *lg, Ref scan, uint32_t i, bool *only)
{
    Ref out = 0;
    for (Ref r = scan; r < lg->g->node.n && !out; r++)
        if (lg->g->node.at[r].op == OP_OUT && lg->g->node.at[r].in[0] == scan && lg->g->node.at[r].attr == i && lg->ni[r].root)
            out = r;
    *only = out;
    if (!out)
        return NULL;
    for (Ref r = out + 1; r < lg->g->node.n && *only; r++) {
        const Ref *in;
        for (uint32_t k = node_inputs(lg->g, r, &in); k-- > 0;)
            *only &= in[k] != out;
    }
    uint32_t roots = 0;
    for (uint32_t k = 0; k < lg->g->root.n; k++)
        roots += lg->g->root.at[k].ref == out;
    *only &= roots == 1;
    return lg->ni[out].root;
}

static Ref carry_leaf(const Graph *g, uint32_t k)
{
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_CARRY && g->node.at[r].attr == k)
            return r;
    return 0;
}

static Loc slots_loc(LowG *bg, Ref v, uint32_t axis)
{
    Low *L = bg->L;
    Loc l = low_slab(bg, v, bg->g->node.at[v].axes | AX(axis), NULL);
    LBuf *b = &L->p->buf.at[l.buf];
    b->extent.term[1] = (LMono){ l.ld, extent_dims(L, bg->g->node.at[v].axes & ~AX(axis)) };
    b->extent.n = 2;
    l.slots = axis;
    return l;
}

/* Whether a next value is read out of another carry's place when the step is over. */
static bool moves(const LowG *bg, Ref v, uint32_t k)
{
    const Node *n = &bg->g->node.at[v];
    while (bg->ni[v].kind == NK_ACCESS) {
        v = n->in[0];
        n = &bg->g->node.at[v];
    }
    return n->op == OP_CARRY && (n->attr != k || v != bg->g->root.at[k].ref);
}

static bool moved_from(const LowG *bg, uint32_t k)
{
    for (uint32_t i = 0; i < bg->scan.ncarry; i++) {
        Ref v = bg->g->root.at[i].ref;
        while (bg->ni[v].kind == NK_ACCESS)
            v = bg->g->node.at[v].in[0];
        if (i != k && bg->g->node.at[v].op == OP_CARRY && bg->g->node.at[v].attr == k)
            return true;
    }
    return false;
}

static Loc stack_out(LowG *bg, Ref v, uint32_t axis)
{
    Loc l = low_slab(bg, v, bg->g->node.at[v].axes | AX(axis), NULL);
    l.bind = 1 + axis;
    return l;
}

/* Where there is one step, the carry before it is the initial value itself. */
static bool place_apart(Scan *c, uint32_t k, Ref leaf)
{
    const Graph *g = c->bg->g;
    Ref init = c->s.init[k], v = g->root.at[k].ref;
    Loc from = low_loc(c->lg, init);
    uint32_t rank = leaf ? g->node.at[leaf].rank : 0;
    bool same = leaf && from.ok && (!rank || from.fs[rank - 1] == 1) && c->lg->g->node.at[init].rank == g->node.at[leaf].rank && c->lg->g->node.at[init].axes == g->node.at[leaf].axes;
    if (c->bg->L->p->fixed[c->s.axis] != 1 || !same || c->bg->segment || (g->node.at[v].axes & AX(c->s.axis)))
        return false;
    c->carry[k] = from;
    for (uint32_t i = 0; i + c->s.ncarry < g->root.n && !c->next[k].ok; i++) {
        const Root *o = &g->root.at[c->s.ncarry + i];
        bool only;
        Loc *result = o->kind == ROOT_STACK && o->ref == v ? result_place(c->lg, c->scan, i, &only) : NULL;
        if (!result || !result->ok)
            continue;
        c->next[k] = *result;
        c->next[k].bind = 1 + c->s.axis;
        result->ok = false;
    }
    if (!c->next[k].ok)
        c->next[k] = stack_out(c->bg, v, c->s.axis);
    c->bg->ni[leaf].loc = from;
    return c->apart[k] = true;
}

static void place_carries(Scan *c)
{
    LowG *bg = c->bg;
    const Graph *g = bg->g;
    Low *L = bg->L;
    uint32_t axis = c->s.axis;
    bool shuffle = false; /* a carry moves into another: slots keep both */
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        shuffle |= moves(bg, g->root.at[k].ref, k);
    for (uint32_t k = 0; k < c->s.ncarry; k++) {
        Ref v = g->root.at[k].ref, leaf = carry_leaf(g, k);
        if (place_apart(c, k, leaf))
            continue;
        c->slotted[k] = shuffle && !(g->node.at[leaf ? leaf : v].axes & AX(axis)); /* a carry of whole sequences has no slots */
        if (shuffle && !c->slotted[k] && leaf && moved_from(bg, k))
            low_fail(L, "a state of whole sequences that moves into another");
        for (uint32_t i = c->s.ncarry; i < g->root.n; i++) {
            bool result;
            if (g->root.at[i].kind == ROOT_STACK && g->root.at[i].ref == v)
                c->slotted[k] |= !result_place(c->lg, c->scan, i - c->s.ncarry, &result) || !result || !may_overwrite(bg, v, leaf, k);
        }
        Ref type = leaf ? leaf : v;
        Loc l = c->slotted[k] ? slots_loc(bg, type, axis) : low_slab(bg, type, g->node.at[type].axes, NULL);
        l.bind = c->slotted[k] ? 1 + axis : 0;
        c->carry[k] = c->next[k] = l;
        c->carry[k].shift = c->slotted[k] && c->s.reverse;
        c->next[k].shift = c->slotted[k] && !c->s.reverse;
        if (leaf)
            bg->ni[leaf].loc = c->carry[k];
    }
    for (uint32_t k = 0; k < c->s.ncarry; k++) {
        Ref v = g->root.at[k].ref;
        NodeInfo *ni = &bg->ni[v];
        uint32_t own = c->slotted[k] || c->apart[k] ? c->next[k].axes & ~AX(axis) : c->next[k].axes;
        bool fits = g->node.at[v].axes == own && node_features(&g->node.at[v]) == node_features(&g->node.at[carry_leaf(g, k) ? carry_leaf(g, k) : v]);
        if (g->node.at[v].op == OP_CARRY && g->node.at[v].attr == k && !c->slotted[k] && !c->apart[k])
            continue; /* stays as it is */
        ni->onto = (bg->segment && (ni->kind == NK_AXIS || ni->kind == NK_GRADIENT || ni->kind == NK_SCATTER)) ||
                   (ni->kind == NK_AXIS && g->node.at[v].op == OP_ADD);
        if (ni->kind >= NK_ROW && ni->kind != NK_SCAN && !ni->loc.ok && fits &&
            (ni->onto || c->slotted[k] || c->apart[k] || may_overwrite(bg, v, carry_leaf(g, k), k))) {
            ni->loc = c->next[k];
            ni->mem = true;
        } else {
            VEC_PUSH(L->arena, c->pending) = (Pending){ v, c->next[k], true };
        }
    }
}

/* Of a sweep: a value of all steps of the axis that it cuts; a root of the model already has a place. */
static Loc whole_out(const Scan *c, uint32_t i)
{
    const LowG *lg = c->lg;
    for (Ref r = c->scan; r < lg->g->node.n; r++)
        if (lg->g->node.at[r].op == OP_OUT && lg->g->node.at[r].in[0] == c->scan && lg->g->node.at[r].attr == i && lg->ni[r].loc.ok)
            return lg->ni[r].loc;
    Ref v = c->bg->g->root.at[c->s.ncarry + i].ref;
    return low_slab(c->bg, v, c->bg->g->node.at[v].axes, NULL);
}

/* A sequence that a scan inside of the steps stacks: it is written where the sequence of these stands. */
static bool is_inner_stack(const Scan *c, Ref v)
{
    const Graph *g = c->bg->g;
    const Node *n = &g->node.at[v];
    if (n->op != OP_OUT || c->bg->segment)
        return false;
    ScanInfo s = scan_info(g, n->in[0]);
    return g->module->graph.at[s.body]->root.at[s.ncarry + n->attr].kind == ROOT_STACK;
}

static void write_to(Scan *c, Ref v, Loc l)
{
    NodeInfo *ni = &c->bg->ni[v];
    if (ni->kind >= NK_ROW && ni->kind != NK_SCAN && !ni->loc.ok) {
        ni->loc = l;
        ni->mem = true;
    } else if (ni->kind == NK_ROW && !ni->nest) {
        VEC_PUSH(c->bg->L->arena, ni->also) = l;
    } else if (!ni->root && is_inner_stack(c, v)) {
        ni->root = NEW(c->bg->L->arena, Loc);
        *ni->root = l;
    } else {
        VEC_PUSH(c->bg->L->arena, c->pending) = (Pending){ v, l, false };
    }
}

/* The only step makes the last value too: the caller has it at once. */
static Loc last_apart(Scan *c, uint32_t i)
{
    uint32_t k = c->bg->g->root.at[c->s.ncarry + i].index;
    Loc l = c->next[k];
    bool only;
    Loc *result = result_place(c->lg, c->scan, i, &only);
    if (result && result->ok) {
        write_to(c, c->bg->g->root.at[k].ref, *result);
        result->ok = false;
    }
    l.bind = 0;
    l.at[c->s.axis] = lb_iconst(&c->bg->L->b, 0);
    return l;
}

/* Place of the i-th out of the scan in the graph around it. */
static Loc place_out(Scan *c, uint32_t i)
{
    LowG *bg = c->bg;
    const Graph *g = bg->g;
    Low *L = bg->L;
    const Root *o = &g->root.at[c->s.ncarry + i];
    uint32_t axis = c->s.axis;
    bool only = false;
    Loc *result = o->kind == ROOT_STACK ? result_place(c->lg, c->scan, i, &only) : NULL;
    if (o->kind == ROOT_LAST && c->apart[o->index])
        return last_apart(c, i);
    if (o->kind == ROOT_LAST) {
        Loc l = c->carry[o->index];
        l.bind = 0;
        if (c->slotted[o->index]) {
            l.at[axis] = c->s.reverse ? axis_lo(L, axis) : axis_hi(L, axis);
            l.shift = 0;
        }
        return l;
    }
    Loc to = { 0 };
    if (result && result->ok) {
        to = *result;
        to.bind = 1 + axis;
        result->ok = false;
        write_to(c, o->ref, to);
    }
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        if (g->root.at[k].ref == o->ref && (c->slotted[k] || c->apart[k]))
            return c->next[k];
    if (only)
        return to;
    for (uint32_t k = c->s.ncarry; k < c->s.ncarry + i; k++)
        if (g->root.at[k].kind == ROOT_STACK && g->root.at[k].ref == o->ref)
            return c->out[k - c->s.ncarry];
    Loc l = bg->segment && (g->node.at[o->ref].axes & AX(g->cut - 1)) ? whole_out(c, i) : stack_out(bg, o->ref, axis);
    write_to(c, o->ref, l);
    return l;
}

static void place_leaves(Scan *c)
{
    const Graph *g = c->bg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        NodeInfo *ni = &c->bg->ni[r];
        if (n->op != OP_STEP && n->op != OP_CAPTURE)
            continue;
        Ref o = n->op == OP_STEP ? c->s.step[n->attr] : c->s.capture[n->attr];
        ni->loc = low_loc(c->lg, o);
        if (n->op == OP_STEP)
            ni->loc.bind = 1 + c->s.axis;
        ni->is_const = !ni->loc.ok && const_value(c->lg->g, o, &ni->value);
        if (c->lg->ni[o].is_const) {
            ni->is_const = true;
            ni->value = c->lg->ni[o].value;
        }
    }
}

/* Buffers that one iteration writes and another reads live through the whole loop. */
static void across(Scan *c, uint32_t loop)
{
    Low *L = c->lg->L;
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        VEC_PUSH(L->arena, L->across) = (LoopBuf){ c->carry[k].buf, loop };
    for (uint32_t i = 0; i + c->s.ncarry < c->bg->g->root.n; i++)
        VEC_PUSH(L->arena, L->across) = (LoopBuf){ c->out[i].buf, loop };
}

static bool is_view_of(const Graph *g, Ref r, Ref scan)
{
    const Node *n = &g->node.at[r];
    return n->op == OP_SHIFT && g->node.at[n->in[0]].op == OP_OUT && g->node.at[n->in[0]].in[0] == scan;
}

/* As a place of the whole axis, seen from outside. */
static Loc unbound(Loc l)
{
    l.bind = 0;
    return l;
}

static void bind(Scan *c, Loc *l)
{
    if (!l->ok || l->bind != 1 + c->s.axis)
        return;
    l->bind = 0;
    if (c->bg->jam)
        jam_bind(c->bg, l);
    else
        *l = low_at_step(c->bg, *l);
}

/* The places of this step, now that its index has a name. */
static void bind_places(Scan *c)
{
    for (Ref r = 1; r < c->bg->g->node.n; r++) {
        NodeInfo *ni = &c->bg->ni[r];
        bind(c, &ni->loc);
        if (ni->root)
            bind(c, ni->root);
        for (uint32_t k = 0; k < ni->also.n; k++)
            bind(c, &ni->also.at[k]);
    }
    for (uint32_t k = 0; k < c->pending.n; k++)
        bind(c, &c->pending.at[k].to);
}

static void place_users(Scan *c)
{
    const Graph *g = c->lg->g;
    const Graph *body = c->bg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        NodeInfo *ni = &c->lg->ni[r];
        if (n->op == OP_OUT && n->in[0] == c->scan)
            ni->loc = unbound(c->out[n->attr]);
        if (ni->kind != NK_FREE || !is_view_of(g, r, c->scan))
            continue;
        Ref v = body->root.at[c->s.ncarry + g->node.at[n->in[0]].attr].ref;
        for (uint32_t k = 0; k < c->s.ncarry; k++)
            if (body->root.at[k].ref == v && c->s.init[k] == n->in[1])
                ni->loc = unbound(c->carry[k]);
    }
}

static bool has_group(const LowG *lg, Ref scan)
{
    for (Ref r = 1; r < scan; r++)
        if (lg->ni[r].group == scan)
            return true;
    return false;
}

/* for chunks of ceil(CHUNK_ROWS / B) steps, or of a single one, in the scan's direction. The step is rounded by a loop over chunk numbers, since a
   loop's own step is a constant. */
void begin_chunk(Low *L, uint32_t axis, bool reverse, bool single, uint32_t n, const LV *init, LV *inner)
{
    LBuilder *b = &L->b;
    LV T = axis_len(L, axis), one = lb_iconst(b, 1);
    LV B = lb_op(b, LOP_IMAX, lb_op(b, LOP_DIM, 0, 0, 0, L->bx), one, 0, 0);
    LV steps = single ? one : lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, B, lb_iconst(b, CHUNK_ROWS - 1), 0, 0), B, 0, 0);
    LV count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, T, lb_op(b, LOP_ISUB, steps, one, 0, 0), 0, 0), steps, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, reverse, n, init, inner);
    L->clo = lb_op(b, LOP_IADD, axis_lo(L, axis), lb_op(b, LOP_IMUL, k, steps, 0, 0), 0, 0);
    L->chi = lb_op(b, LOP_IADD, L->clo, steps, 0, 0);
    if (!single)
        L->chi = lb_op(b, LOP_IMIN, axis_hi(L, axis), L->chi, 0, 0);
    L->chunk = 1 + axis;
}

void end_chunk(Low *L, uint32_t n, const LV *next, LV *result)
{
    L->chunk = 0;
    lb_end_for(&L->b, n, next, result);
}

/* The values of the carries before the first step. What has no rows is one thread's work. */
static void start_carries(Scan *c)
{
    Low *L = c->lg->L;
    bool barrier = false;
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        barrier |= !L->serial && !(c->carry[k].axes & AX(L->bx));
    if (barrier)
        emit_barrier(L);
    for (uint32_t k = 0; k < c->s.ncarry; k++) {
        if (c->apart[k])
            continue;
        Loc to = c->carry[k];
        bool one = !L->serial && !(to.axes & AX(L->bx));
        if (c->slotted[k])
            to.at[c->s.axis] = c->s.reverse ? axis_hi(L, c->s.axis) : axis_lo(L, c->s.axis);
        if (one)
            lb_if_lt(&L->b, lb_op(&L->b, LOP_TID, 0, 0, 0, 0), lb_iconst(&L->b, 1));
        emit_copy(c->lg, c->s.init[k], &to);
        if (one)
            lb_end_if(&L->b);
    }
    if (barrier)
        lb_barrier(&L->b);
}

/* The steps that the current segment of a sweep stands for. */
static void begin_segment(LowG *bg)
{
    Low *L = bg->L;
    LBuilder *b = &L->b;
    uint32_t axis = bg->g->cut - 1;
    LV steps = lb_op(b, LOP_DIM, 0, 0, 0, cut_of(L, axis)->steps), T = lb_op(b, LOP_DIM, 0, 0, 0, axis);
    L->slo = lb_op(b, LOP_IMUL, bg->t, steps, 0, 0);
    L->shi = lb_op(b, LOP_IMIN, T, lb_op(b, LOP_IADD, L->slo, steps, 0, 0), 0, 0);
}

static void copy_pending(Scan *c)
{
    c->lg->L->pos++;
    for (int carries = 0; carries < 2; carries++) /* a stacked carry is read before its next value is written */
        for (uint32_t k = 0; k < c->pending.n; k++)
            if (c->pending.at[k].carry == carries)
                emit_copy(c->bg, c->pending.at[k].value, &c->pending.at[k].to);
}

static bool carries_have_rows(const Graph *g, const ScanInfo *s, uint32_t bx)
{
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!(g->node.at[s->init[k]].axes & AX(bx)))
            return false;
    return true;
}

/* Whether a stage of a body, and all of what it runs, goes row by row, with rows in vectors. */
static bool stage_apart(const Graph *g, const Stage *s, uint32_t bx)
{
    bool vector = false;
    if (s->kind == STAGE_SCAN && !s->group) {
        ScanInfo in = scan_info(g, s->node.at[0].ref);
        const Graph *body = g->module->graph.at[in.body];
        bool apart = carries_have_rows(g, &in, bx);
        for (uint32_t i = 0; i < body->stage.n; i++)
            apart = apart && stage_apart(body, &body->stage.at[i], bx);
        return apart;
    }
    for (uint32_t k = 0; k < s->node.n; k++) {
        const Node *n = &g->node.at[s->node.at[k].ref];
        if (n->op == OP_DOT) /* may copy an operand of all rows */
            return false;
        vector |= !is_scalar(n);
    }
    return vector && !s->group && (s->axes & AX(bx)) && (s->kind == STAGE_ROW || s->kind == STAGE_COPY); /* else rows may be in lanes */
}

/* Whether no stage of the body does anything for all rows. */
static bool rows_apart(const Scan *c)
{
    const Graph *g = c->bg->g;
    const Low *L = c->lg->L;
    for (uint32_t i = 0; i < g->stage.n; i++)
        if (!stage_apart(g, &g->stage.at[i], L->bx))
            return false;
    return carries_have_rows(c->lg->g, &c->s, L->bx) && !c->bg->segment && !L->idx[L->bx];
}

/* So many rows go through all steps (of a chunk) before the next ones, so that their states stay in the first cache; one whose state is
   large, so that it stays in the second. 0: all rows go through a step before the next, since they are short or, measured, no faster. */
static int64_t rows_at_once(const Scan *c)
{
    enum { SHORT = 64, LONG = 512, LARGE = 1024, LEAST = 4 };
    const Low *L = c->lg->L;
    int64_t widest = 0;
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        widest = c->carry[k].ld > widest ? c->carry[k].ld : widest;
    bool blocks = widest >= SHORT && widest < LONG && !L->o.one_step && !low_single_row(L);
    if ((widest < LARGE && !blocks) || !rows_apart(c))
        return 0;
    return widest >= LARGE ? 1 : LONG > LEAST * widest ? (LONG + widest - 1) / widest : LEAST;
}

/* for blocks of `size` rows: they are this thread's, within. */
static void begin_rows(Low *L, int64_t size)
{
    LBuilder *b = &L->b;
    LV lo = L->blo, hi = L->bhi, rows = lb_iconst(b, size);
    LV count = lb_op(b, LOP_IADD, lb_op(b, LOP_ISUB, hi, lo, 0, 0), lb_iconst(b, size - 1), 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), lb_op(b, LOP_IDIV, count, rows, 0, 0), 1, false, 0, NULL, NULL);
    L->blo = lb_op(b, LOP_IADD, lo, lb_op(b, LOP_IMUL, k, rows, 0, 0), 0, 0);
    L->bhi = lb_op(b, LOP_IMIN, hi, lb_op(b, LOP_IADD, L->blo, rows, 0, 0), 0, 0);
}

/* ---- states in registers ------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t n;
    struct {
        uint32_t buf;
        LIdx at;
    } place[TILE_VECTORS];
    LV v[TILE_VECTORS], inner[TILE_VECTORS], after[TILE_VECTORS]; /* before the loop over steps, in it, behind it */
} Held;

static bool read_by_product(const Graph *g, Ref leaf)
{
    for (Ref r = leaf; r < g->node.n; r++)
        if (g->node.at[r].op == OP_DOT && (g->node.at[r].in[0] == leaf || g->node.at[r].in[1] == leaf))
            return true;
    return false;
}

/* A state of one row and few vectors that a product reads is also carried as a value: a lane of a register is there sooner than a
   store that is read back. It is stored all the same; who else reads it finds it there. */
static void hold_states(Scan *c, Held *h)
{
    Low *L = c->lg->L;
    const Graph *g = c->bg->g;
    int64_t V = L->p->V;
    if (L->o.panel || !low_single_row(L))
        return;
    for (uint32_t k = 0; k < c->s.ncarry; k++) {
        Ref leaf = carry_leaf(g, k);
        const Loc *l = &c->carry[k];
        const Node *n = &g->node.at[leaf];
        if (!leaf || c->slotted[k] || c->apart[k] || n->dtype != DT_F || n->rank != 1 || n->axes != AX(L->bx) || l->fs[0] != 1 || l->ld < 2 ||
            n->dim[0] > HELD_VECTORS * V || h->n + HELD_VECTORS > TILE_VECTORS || !read_by_product(g, leaf))
            continue;
        for (int64_t i = 0; i < n->dim[0]; i += V, h->n++) {
            h->place[h->n].buf = l->buf;
            h->place[h->n].at = low_row_at(L, l, 0);
            h->place[h->n].at.c0 += i;
            h->v[h->n] = lb_load(&L->b, LOP_LD, l->buf, h->place[h->n].at, V);
        }
    }
}

static void enter_step(LBuilder *b, const Held *h)
{
    for (uint32_t i = 0; i < h->n; i++)
        lb_hold(b, h->place[i].buf, h->place[i].at, h->inner[i]);
}

static void leave_step(LBuilder *b, Held *h)
{
    for (uint32_t i = 0; i < h->n; i++)
        h->after[i] = lb_load(b, LOP_LD, h->place[i].buf, h->place[i].at, b->p->V);
}

static void bind_scan(void *scan)
{
    bind_places(scan);
}

/* Gives values their places before. */
static bool by_columns(const Scan *c, const Columns *x)
{
    if (c->pending.n || !rows_apart(c))
        return false;
    give_places(c->bg);
    for (uint32_t k = 0; k < c->s.ncarry; k++)
        if (c->apart[k])
            return false;
    return columns_fit(x);
}

static void explain_loop(const Scan *c, int n, const char *what, bool chunks)
{
    Low *L = c->lg->L;
    if (L->explain)
        str_printf(L->explain, "loop over %s%s: %d %s at a time through %s\n", name_str(L->ctx, L->m->axis[c->s.axis].name),
                   c->s.reverse ? ", backwards" : "", n, what, chunks ? "the steps of a chunk" : "all steps");
}

/* for (blocks of rows) for (steps): the body's items. In the body of a scan over an axis that is cut, its values over that axis are
   whole sequences again. */
static void step_loop(Scan *c, Held *h, LV lo, LV hi, bool chunks)
{
    Low *L = c->lg->L;
    LBuilder *b = &L->b;
    LowG *bg = c->bg;
    uint32_t outer = L->seg;
    int64_t rows = rows_at_once(c);
    LV blo = L->blo, bhi = L->bhi;
    bg->by_row = rows > 0 || c->lg->by_row;
    if (rows)
        explain_loop(c, (int)rows, rows > 1 ? "rows" : "row", chunks);
    if (rows == 1)
        L->idx[L->bx] = lb_for(b, L->blo, L->bhi, 1, false, 0, NULL, NULL);
    else if (rows)
        begin_rows(L, rows);
    bg->t = lb_for(b, lo, hi, 1, c->s.reverse, h->n, h->v, h->inner);
    enter_step(b, h);
    L->seg = bg->segment ? bg->g->cut : outer == 1 + c->s.axis ? 0 : outer;
    if (bg->segment)
        begin_segment(bg);
    give_places(bg);
    bind_places(c);
    if (bg->beside)
        beside_step(bg);
    if (bg->behind)
        behind_step(bg);
    emit_stages(bg, 0);
    if (bg->behind)
        behind_end(bg);
    copy_pending(c);
    L->seg = outer;
    if (bg->segment && !L->serial)
        lb_barrier(b); /* memory changes hands between a segment and the next */
    leave_step(b, h);
    lb_end_for(b, h->n, h->after, h->v);
    if (rows) {
        lb_end_for(b, 0, NULL, NULL);
        L->idx[L->bx] = 0;
        L->blo = blo;
        L->bhi = bhi;
    }
}

/* Whether a carry has one place, and is read in the stage alone that writes it. */
static bool carries_are_sums(const Scan *c)
{
    const LowG *bg = c->bg;
    for (uint32_t k = 0; k < c->s.ncarry; k++) {
        Ref leaf = carry_leaf(bg->g, k), v = bg->g->root.at[k].ref;
        if (!leaf || c->slotted[k] || c->apart[k] || !bg->ni[v].item || bg->ni[v].loc.buf != c->carry[k].buf)
            return false;
        for (Ref u = 1; u < bg->g->node.n; u++)
            if (bg->ni[u].kind >= NK_ROW && bg->ni[u].item != bg->ni[v].item && user_reads(bg, u, leaf))
                return false;
        for (uint32_t i = 0; i < bg->g->root.n; i++)
            if (bg->g->root.at[i].ref != v && reads(bg, bg->g->root.at[i].ref, leaf, false))
                return false;
    }
    for (uint32_t k = 0; k < c->pending.n; k++)
        if (c->pending.at[k].carry)
            return false;
    return true;
}

/* for (blocks of steps) the body's items, each for all steps of the block. */
static void jam_loop(Scan *c, LV lo, LV hi)
{
    Low *L = c->lg->L;
    LowG *bg = c->bg;
    uint32_t outer = L->seg;
    explain_loop(c, JAM_STEPS, "steps", false);
    jam_begin(bg, lo, hi);
    L->seg = outer == 1 + c->s.axis ? 0 : outer;
    give_places(bg);
    bind_places(c);
    emit_stages(bg, 0);
    if (c->pending.n) {
        jam_steps(bg);
        copy_pending(c);
        jam_steps_end(bg);
    }
    L->seg = outer;
    lb_end_for(&L->b, 0, NULL, NULL);
}

/* for (chunks) the steps. */
static void scan_loop(Scan *c)
{
    Low *L = c->lg->L;
    LowG *bg = c->bg;
    uint32_t axis = c->s.axis, loop = loop_begin(L);
    LV lo = axis_lo(L, axis), hi = axis_hi(L, axis);
    bool chunks = has_group(c->lg, c->scan);
    Held h = { 0 };
    hold_states(c, &h);
    if (chunks) {
        begin_chunk(L, axis, c->s.reverse, single_chunks(c->lg, c->scan), h.n, h.v, h.inner);
        memcpy(h.v, h.inner, sizeof h.v);
        emit_stages(c->lg, c->scan);
        bg->beside = beside_make(c->lg, c->scan, loop);
        lo = L->clo;
        hi = L->chi;
        L->chunk = 0;
    }
    if (!chunks)
        bg->behind = behind_make(c->lg, c->scan, loop);
    Columns x = { bg, c->carry, c->slotted, lo, hi, bind_scan, c };
    if (!h.n && !chunks && !bg->behind && jam_fits(bg) && carries_are_sums(c)) {
        jam_loop(c, lo, hi);
    } else if (!h.n && !bg->beside && !bg->behind && by_columns(c, &x)) {
        explain_loop(c, 1, "vector of units of a row", chunks);
        emit_columns(&x);
    } else {
        step_loop(c, &h, lo, hi, chunks);
    }
    if (chunks)
        end_chunk(L, h.n, h.v, h.after);
    loop_finish(L, loop);
    across(c, loop);
}

void emit_scan(LowG *lg, Ref r)
{
    Low *L = lg->L;
    Scan c = { .lg = lg, .scan = r, .s = scan_info(lg->g, r) };
    LowG *bg = c.bg = low_body(lg, r);
    if (!plan_graph(bg))
        return;
    bg->read_at_last = read_at_last(bg);
    c.carry = NEW_N(L->arena, Loc, c.s.ncarry + 1);
    c.next = NEW_N(L->arena, Loc, c.s.ncarry + 1);
    c.slotted = NEW_N(L->arena, bool, c.s.ncarry + 1);
    c.apart = NEW_N(L->arena, bool, c.s.ncarry + 1);
    c.out = NEW_N(L->arena, Loc, bg->g->root.n + 1);
    place_caller_leaves(bg);
    place_leaves(&c);
    place_carries(&c);
    for (uint32_t i = 0; i + c.s.ncarry < bg->g->root.n; i++)
        c.out[i] = place_out(&c, i);
    place_users(&c);
    start_carries(&c);
    scan_loop(&c);
}
