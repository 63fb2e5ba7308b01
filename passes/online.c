/* online: the second rule for the adjoint of a scan over time, for gradients that are carried forward with the state (real-time
   recurrent learning: Williams, Zipser 1989) and do not need the steps before.
   before:  S = scan T fwd G carry(h0) capture(W)                                     G:  next h', sum l
   after:   S' = scan T fwd G' carry(h0, J0) capture(W, adj l)                         G': next h', next J', sum l, sum adj h J
   J is the influence of W on h: J' = (dh'/dh) J + dh'/dW. What a step adds to the loss is swept backwards no further than to
   the next state; there the influence takes over.
   Which form an influence has is read off the graph (labels.c), not off the cell:
     rows  where each element of a state depends on one row of W (or on one element of a block of it) alone, and one state's
           element on the same element of another alone, J has the size of W: [U, size of h]
     full  everywhere else: a value of the state for each element of W, f<D,B>[..], carried by forward mode (forward.c)
   SnAp-1 (Menick et al. 2020) keeps of J what W touches within one step, and of dh'/dh what stays inside of that: its rows need
   only the first condition.
   This file decides; online_emit.c builds.
   relies on: stepwise has made one scan of everything, captures of it are values that the loop does not change. */
#include <string.h>

#include "passes/online.h"
#include "passes/rewrite.h"

static bool refuse(Online *o, const char *why)
{
    const Module *m = o->body->module;

    diag_error(m->ctx, 570, (Span){0, 0}, "the gradient %s does not suit '%s': %s",
               gradient_name[o->up->online], name_str(m->ctx, m->name), why);
    diag_help(m->ctx, (Span){0, 0}, "the gradient bptt suits every model");
    return false;
}

/* ---- states ---------------------------------------------------------------------------------------------------------------------- */

static void find_states(Online *o)
{
    uint32_t n = o->info.ncarry + o->carry.n;

    o->state = NEW_N(o->arena, OnlineState, n + 1);
    for (uint32_t k = 0; k < n; k++) {
        bool own = k < o->info.ncarry;
        OnlineState *s = &o->state[o->nstate];
        Ref leaf = own ? 0 : o->carry.at[k - o->info.ncarry];
        Ref next = own ? o->map[o->src->root.at[k].ref] : o->next.at[k - o->info.ncarry];
        for (Ref r = 1; own && r < o->src->node.n && !leaf; r++)
            if (o->src->node.at[r].op == OP_CARRY && o->src->node.at[r].attr == k) leaf = o->map[r];
        if (own && !o->act->node[next] && !o->up->act->node[o->info.init[k]]) continue;
        s->type = own ? o->up->fwd->node.at[o->info.init[k]] : o->body->node.at[leaf];
        if (s->type.dtype != DT_F) continue;
        s->carry = k;
        s->leaf = leaf;
        s->next = next;
        s->size = node_features(&s->type);
        o->nstate++;
    }
}

static int32_t *counted(Online *o, int64_t n, int64_t first, int64_t count)
{
    int32_t *at = arena_alloc_n(o->arena, (size_t)n + 1, sizeof *at);

    for (int64_t i = 0; i < n; i++) at[i] = i >= first && i < first + count ? (int32_t)(i - first) : LABEL_NONE;
    return at;
}

static Labels labels_from(Online *o, Ref base, int64_t first, int64_t count, bool pick)
{
    Labels l = {.arena = o->arena, .g = o->body, .n0 = o->n0, .pick = pick, .n = count};

    l.axes = o->body->node.at[base].axes;
    l.at = NEW_N(o->arena, int32_t *, o->n0 + 1);
    l.picked = NEW_N(o->arena, uint8_t, o->n0 + 1);
    l.at[base] = counted(o, node_features(&o->body->node.at[base]), first, count);
    labels_run(&l);
    return l;
}

static bool mixes_rows(Online *o, const Labels *l)
{
    for (uint32_t s = 0; l->rows && s < o->nstate; s++)
        if (l->at[o->state[s].next]) return refuse(o, "a state depends on other examples of the batch"), true;
    return false;
}

/* How each state's next depends on state `from`. */
static bool find_edges(Online *o, uint32_t from)
{
    const OnlineState *f = &o->state[from];
    Labels exact, pick;

    if (!f->leaf) return true;
    exact = labels_from(o, f->leaf, 0, f->size, false);
    if (mixes_rows(o, &exact)) return false;
    pick = labels_from(o, f->leaf, 0, f->size, true);
    o->picked[from] = pick.picked;
    for (uint32_t to = 0; to < o->nstate; to++) {
        const OnlineState *t = &o->state[to];
        Edge *e = &o->edge[to * o->nstate + from];
        if (!exact.at[t->next]) *e = EDGE_NONE;
        else if (labels_identity(exact.at[t->next], t->size, f->size)) *e = EDGE_DIAGONAL;
        else *e = labels_identity(pick.at[t->next], t->size, f->size) ? EDGE_PICK : EDGE_FULL;
    }
    return true;
}

/* ---- units: what has an influence ---------------------------------------------------------------------------------------------------- */

static int label_at(const uint32_t *w, int rank, uint32_t label)
{
    for (int k = 0; k < rank; k++)
        if (w[k] == label) return k;
    return -1;
}

/* Every label of the other operand is summed with one of the unit's, whose other labels are kept. */
bool online_plain_product(const Graph *g, Ref r, int i)
{
    const Node *n = &g->node.at[r], *q = &g->node.at[n->in[i]], *x = &g->node.at[n->in[1 - i]];
    const uint32_t *w = node_attr(g, r);

    for (int k = 0; k < x->rank; k++)
        if (label_at(w + 6, n->rank, w[3 * (1 - i) + k]) >= 0 || label_at(w + 3 * i, q->rank, w[3 * (1 - i) + k]) < 0) return false;
    return n->in[0] != n->in[1] && !((q->axes | x->axes) & ~n->axes);
}

static Use use_of(const Graph *g, Ref r, Ref leaf)
{
    const Node *n = &g->node.at[r];

    if (op_info[n->op].flags & OPF_INACTIVE) return USE_NONE;
    if (n->op == OP_DOT) return online_plain_product(g, r, n->in[0] == leaf ? 0 : 1) ? USE_DOT : USE_OTHER;
    if (n->op == OP_GATHER) return n->in[0] == leaf && g->node.at[n->in[1]].rank == 0 ? USE_GATHER : USE_OTHER;
    if (op_info[n->op].cls == OPC_UNARY || op_info[n->op].cls == OPC_BINARY || op_info[n->op].cls == OPC_TERNARY) return USE_ELEMENT;
    return USE_OTHER;
}

/* The labels of the unit that are summed, as a mask of its dims. */
uint32_t online_summed_dims(const Graph *g, Ref r, Ref leaf)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    int i = n->in[0] == leaf ? 0 : 1;
    uint32_t mask = 0;

    for (int k = 0; k < g->node.at[leaf].rank; k++)
        if (label_at(w + 6, n->rank, w[3 * i + k]) < 0) mask |= 1u << k;
    return mask;
}

/* The result's dims are the unit's kept ones, in their order. */
static bool in_order(const Graph *g, Ref r, Ref leaf)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    int i = n->in[0] == leaf ? 0 : 1, d = 0;

    for (int k = 0; k < g->node.at[leaf].rank; k++)
        if (label_at(w + 6, n->rank, w[3 * i + k]) >= 0 && label_at(w + 6, n->rank, w[3 * i + k]) != d++) return false;
    return true;
}

static void find_uses(Online *o, Unit *u)
{
    const Graph *g = o->body;
    uint32_t dims = UINT32_MAX;

    for (Ref r = 1; r < o->n0; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        Use use = USE_NONE;
        for (uint32_t i = 0; i < n; i++)
            if (in[i] == u->leaf) use = use_of(g, r, u->leaf);
        if (use == USE_NONE || g->node.at[r].dtype != DT_F) continue;
        if (use == USE_DOT && (!in_order(g, r, u->leaf) || (dims != UINT32_MAX && dims != online_summed_dims(g, r, u->leaf)))) use = USE_OTHER;
        if (use == USE_DOT) dims = online_summed_dims(g, r, u->leaf);
        if ((u->use != USE_NONE && u->use != use) || u->nbase == MAX_BASES) use = USE_OTHER;
        u->use = use;
        if (use == USE_OTHER) return;
        if (use != USE_ELEMENT) u->base[u->nbase++] = r;
    }
    for (uint32_t s = 0; s < o->nstate; s++)
        if (o->state[s].next == u->leaf) u->use = USE_OTHER;
    if (u->use == USE_ELEMENT) u->base[u->nbase++] = u->leaf;
}

static void add_unit(Online *o, uint32_t operand, Ref outer, Ref leaf)
{
    Unit u = {.operand = operand, .outer = outer, .leaf = leaf, .type = o->up->fwd->node.at[outer]};
    int64_t all = node_features(&u.type);

    if (leaf) find_uses(o, &u);
    else u.use = USE_INIT;
    if (u.use == USE_NONE) return;
    u.n = u.use == USE_INIT ? all : u.use == USE_OTHER ? 0 : node_features(&o->body->node.at[u.base[0]]);
    u.U = u.use == USE_DOT || u.use == USE_GATHER ? all / u.n : 1;
    VEC_PUSH(o->arena, o->unit) = u;
}

static bool find_units(Online *o)
{
    const ScanInfo *s = &o->info;
    const uint8_t *on = o->up->act->node;

    for (uint32_t i = 0; i < s->nstep; i++)
        if (on[s->step[i]]) return refuse(o, "it has no gradient of an input over time");
    for (uint32_t i = 0; i < s->ncapture; i++) {
        uint32_t axes = o->up->fwd->node.at[s->capture[i]].axes & ~AX(AXIS_B);
        Ref leaf = 0;
        if (!on[s->capture[i]]) continue;
        if (axes) return refuse(o, "every step reads a whole array that weights have an influence on (attention)");
        for (Ref r = 1; r < o->n0 && !leaf; r++)
            if (o->body->node.at[r].op == OP_CAPTURE && o->body->node.at[r].attr == i) leaf = r;
        if (leaf) add_unit(o, s->ncarry + s->nstep + i, s->capture[i], leaf);
    }
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (on[s->init[k]]) add_unit(o, k, s->init[k], 0);
    return true;
}

/* ---- the form of each influence ------------------------------------------------------------------------------------------------------- */

static uint32_t state_of(const Online *o, uint32_t carry)
{
    uint32_t s = 0;

    while (s < o->nstate && o->state[s].carry != carry) s++;
    return s;
}

/* Rows: what one step of block b of the unit touches. False if something depends on more than one element. */
static bool touched(Online *o, Unit *u, uint32_t b, bool *rows)
{
    for (uint32_t k = 0; k < u->nbase; k++) {
        Labels l = labels_from(o, u->base[k], b * u->n, u->n, false);
        if (mixes_rows(o, &l)) return *rows = false, false;
        for (uint32_t s = 0; s < o->nstate; s++) {
            const int32_t *at = l.at[o->state[s].next];
            Influence *x = &u->on[b][s];
            int64_t inner;
            if (!at) continue;
            *rows = labels_regular(at, o->state[s].size, u->n, &inner) && (!x->on || x->inner == inner);
            if (!*rows) return true;
            *x = (Influence){.on = true, .inner = inner};
        }
    }
    return true;
}

/* Influence passes from state to state element by element. False if it also passes otherwise, which snap1 leaves out where the
   element itself is kept apart. */
static bool closed(Online *o, Influence *on, int64_t n)
{
    bool grown = true, loses = false;

    while (grown) {
        grown = false;
        for (uint32_t to = 0; to < o->nstate; to++)
            for (uint32_t from = 0; from < o->nstate; from++) {
                Edge e = o->edge[to * o->nstate + from];
                if (!on[from].on || e == EDGE_NONE) continue;
                if (o->snap && !on[to].on && e != EDGE_DIAGONAL) {
                    loses = true;
                    continue;
                }
                if (o->state[to].size != o->state[from].size || (e != EDGE_DIAGONAL && !o->snap)) return false;
                if (on[to].on && on[to].inner != on[from].inner) return false;
                if (e != EDGE_DIAGONAL && o->state[from].size != n) return false;
                loses |= e != EDGE_DIAGONAL;
                grown |= !on[to].on;
                on[to] = (Influence){.on = true, .inner = on[from].inner};
            }
    }
    o->inexact |= loses;
    return true;
}

static bool try_blocks(Online *o, Unit *u, uint32_t blocks, bool *rows)
{
    u->blocks = blocks;
    u->n /= blocks;
    for (uint32_t b = 0; b < blocks; b++) {
        *rows = true;
        u->on[b] = NEW_N(o->arena, Influence, o->nstate + 1);
        if (!touched(o, u, b, rows)) return false;
        if (*rows) *rows = closed(o, u->on[b], u->n);
        if (!*rows) break;
    }
    if (!*rows) u->n *= blocks;
    return true;
}

FullGroup *online_group(Online *o, const Unit *u)
{
    return &o->full[u->use == USE_INIT];
}

static bool decide(Online *o, Unit *u)
{
    FullGroup *f;
    bool rows = false;

    if (u->use == USE_INIT) {
        uint32_t s = state_of(o, u->operand);
        u->blocks = 1;
        u->on[0] = NEW_N(o->arena, Influence, o->nstate + 1);
        if (s < o->nstate) u->on[0][s] = (Influence){.on = true, .inner = 1};
        rows = closed(o, u->on[0], u->n);
    } else if (u->use != USE_OTHER) {
        const Node *base = &o->body->node.at[u->base[0]];
        for (uint32_t b = 1; b <= MAX_BLOCKS && !rows; b++)
            if (b == 1 || (base->rank && base->dim[0] % (int32_t)b == 0))
                if (!try_blocks(o, u, b, &rows)) return false;
    }
    u->full = !rows;
    if (!u->full) return true;
    if (u->type.axes & ~AX(AXIS_B)) return refuse(o, "weights have an influence on its first state by rows of an axis that a step mixes");
    f = online_group(o, u);
    u->offset = f->directions;
    f->directions += node_features(&u->type);
    return f->directions <= MOST_DIRECTIONS || refuse(o, "some weights with millions of elements have an influence on every state");
}

bool online_plan(Online *o)
{
    find_states(o);
    o->edge = NEW_N(o->arena, Edge, o->nstate * o->nstate + 1);
    o->picked = NEW_N(o->arena, uint8_t *, o->nstate + 1);
    for (uint32_t s = 0; s < o->nstate; s++)
        if (!find_edges(o, s)) return false;
    if (!find_units(o)) return false;
    for (uint32_t i = 0; i < o->unit.n; i++)
        if (!decide(o, &o->unit.at[i])) return false;
    return true;
}
