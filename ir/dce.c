/* Copying and dead code: one backward sweep a graph; for modules also what no scan or no user of a scan needs. */
#include <string.h>

#include "ir/build.h"

/* ---- copies ----------------------------------------------------------------------------------------------------------- */

Ref graph_copy_node(Graph *dst, const Graph *src, Ref r, const Ref *map) {
    Node n = src->node.at[r];
    uint32_t words = op_words((Op)n.op), count;
    const Ref *in;

    if (words) n.attr = graph_attr(dst, src->attr.at + n.attr, words);
    if (n.op == OP_SCAN || n.op == OP_CONCAT) {
        in = node_ext(src, r, &count);
        n.in[0] = dst->ext.n;
        for (uint32_t i = 0; i < count; i++) {
            Ref x = map[in[i]];
            if (!x) return 0;
            VEC_PUSH(dst->module->arena, dst->ext) = x;
        }
    } else {
        for (int i = 0; i < op_info[n.op].arity; i++) n.in[i] = map[n.in[i]];
    }
    return graph_emit(dst, &n, NULL);
}

static void *copy_array(Arena *a, const void *p, size_t n, size_t size) {
    void *q;

    if (!n) return NULL;
    q = arena_alloc_n(a, n, size);
    memcpy(q, p, n * size);
    return q;
}

#define COPY_VEC(a, dst, src) ((dst).at = copy_array((a), (src).at, (src).n, sizeof *(src).at), (dst).n = (dst).cap = (src).n)

static Graph *graph_copy(Module *m, const Graph *g) {
    Graph *c = NEW(m->arena, Graph);

    *c = *g;
    c->module = m;
    COPY_VEC(m->arena, c->node, g->node);
    COPY_VEC(m->arena, c->ext, g->ext);
    COPY_VEC(m->arena, c->attr, g->attr);
    COPY_VEC(m->arena, c->root, g->root);
    COPY_VEC(m->arena, c->placed, g->placed);
    COPY_VEC(m->arena, c->stage, g->stage);
    for (uint32_t i = 0; i < g->stage.n; i++) COPY_VEC(m->arena, c->stage.at[i].node, g->stage.at[i].node);
    c->word_bucket = copy_array(m->arena, g->word_bucket, (size_t)g->word_nbucket * 2, sizeof(uint32_t));
    c->bucket = c->chain = NULL;
    c->nbucket = c->chain_cap = 0;
    graph_rehash(c);
    return c;
}

Module *module_copy(const Module *m, Arena *a) {
    Module *c = NEW(a, Module);

    *c = *m;
    c->arena = a;
    COPY_VEC(a, c->param, m->param);
    COPY_VEC(a, c->input, m->input);
    COPY_VEC(a, c->state, m->state);
    COPY_VEC(a, c->cut, m->cut);
    COPY_VEC(a, c->graph, m->graph);
    for (uint32_t i = 0; i < m->graph.n; i++) c->graph.at[i] = graph_copy(c, m->graph.at[i]);
    c->init = graph_copy(c, m->init);
    return c;
}

/* ---- one graph -------------------------------------------------------------------------------------------------------- */

static void mark(const Graph *g, bool *live) {
    const Ref *in;

    for (Ref r = g->node.n; r-- > 1;) {
        uint32_t n = live[r] ? node_inputs(g, r, &in) : 0;
        for (uint32_t i = 0; i < n; i++) live[in[i]] = true;
    }
}

void graph_dce(Graph *g, Ref *map) {
    Arena *a = g->module->arena;
    bool *live = NEW_N(a, bool, g->node.n);
    Ref *to = NEW_N(a, Ref, g->node.n), *ext, n = 1;
    uint32_t next = 0, total = 1;

    for (uint32_t i = 0; i < g->root.n; i++) live[g->root.at[i].ref] = true;
    for (Ref r = 1; g == g->module->init && r <= g->module->param.n; r++) live[g->module->param.at[r - 1].init] = true;
    live[0] = false;
    mark(g, live);
    for (Ref r = 1; r < g->node.n; r++)
        if (live[r] && (g->node.at[r].op == OP_SCAN || g->node.at[r].op == OP_CONCAT)) total += g->node.at[r].in[1];
    ext = NEW_N(a, Ref, total);
    for (Ref r = 1; r < g->node.n; r++) {
        Node x = g->node.at[r];
        if (!live[r]) continue;
        if (x.op == OP_SCAN || x.op == OP_CONCAT) {
            for (uint32_t i = 0; i < x.in[1]; i++) ext[next + i] = to[g->ext.at[x.in[0] + i]];
            x.in[0] = next;
            next += x.in[1];
        } else {
            for (int i = 0; i < 3; i++) x.in[i] = to[x.in[i]];
        }
        to[r] = n;
        g->node.at[n++] = x;
    }
    if (map) memcpy(map, to, g->node.n * sizeof(Ref));
    for (uint32_t i = 0; i < g->root.n; i++) g->root.at[i].ref = to[g->root.at[i].ref];
    for (uint32_t i = 0; g == g->module->init && i < g->module->param.n; i++)
        g->module->param.at[i].init = to[g->module->param.at[i].init];
    if (n < g->node.n) g->placed.n = g->stage.n = 0; /* their values have new numbers */
    g->node.n = n;
    g->ext.at = ext;
    g->ext.n = g->ext.cap = next;
    graph_rehash(g);
}

/* ---- scans ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    bool *carry, *step, *capture, *out; /* needed */
    uint32_t ncarry, nstep, ncapture, nout, uses;
    bool differ; /* scans of the body have other numbers of operands */
} Need;

typedef struct {
    uint32_t graph, next; /* next: 1 + the next one of the same body */
    Ref ref;
} ScanUse;
/* The scans of each body and their outs, so that one body does not cost a look at all nodes. */
typedef struct {
    const Module *m;
    uint32_t *first;   /* by body, 1 + index */
    VEC(ScanUse) use;
    bool *renumbered;  /* by graph: its nodes have other numbers since */
} ScanUses;

static uint32_t body_of(const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];
    return n->op == OP_SCAN || n->op == OP_OUT ? scan_info(g, n->op == OP_OUT ? n->in[0] : r).body : UINT32_MAX;
}

static ScanUses find_scans(const Module *m) {
    ScanUses u = {.m = m, .first = NEW_N(m->arena, uint32_t, m->graph.n), .renumbered = NEW_N(m->arena, bool, m->graph.n)};
    for (uint32_t i = 0; i < m->graph.n; i++)
        for (Ref r = 1; r < m->graph.at[i]->node.n; r++) {
            uint32_t body = body_of(m->graph.at[i], r);
            if (body == UINT32_MAX) continue;
            VEC_PUSH(m->arena, u.use) = (ScanUse){i, u.first[body], r};
            u.first[body] = u.use.n;
        }
    return u;
}

/* Calls f for each scan of a body and each out of one. */
static void each_use(const ScanUses *u, uint32_t body, void (*f)(Graph *g, Ref r, Need *d), Need *d) {
    for (uint32_t k = u->first[body]; k; k = u->use.at[k - 1].next)
        if (!u->renumbered[u->use.at[k - 1].graph]) f(u->m->graph.at[u->use.at[k - 1].graph], u->use.at[k - 1].ref, d);
    for (uint32_t i = 0; i < u->m->graph.n; i++) {
        Graph *g = u->m->graph.at[i];
        for (Ref r = g->node.n; u->renumbered[i] && r-- > 1;) /* outs while their scan still tells the body */
            if (body_of(g, r) == body) f(g, r, d);
    }
}

/* Which outs somebody reads, over all scans of the body. */
static void read_out(Graph *g, Ref r, Need *d) {
    const Node *n = &g->node.at[r];
    if (n->op == OP_OUT) {
        d->out[n->attr] = true;
        return;
    }
    ScanInfo s = scan_info(g, r);
    d->differ |= d->uses && (d->ncarry != s.ncarry || d->nstep != s.nstep || d->ncapture != s.ncapture);
    d->uses++;
    d->ncarry = s.ncarry;
    d->nstep = s.nstep;
    d->ncapture = s.ncapture;
}

/* A carry is needed if a needed value of the body reads it or its last value is read. */
static void body_needs(const Graph *b, Need *d, Arena *a) {
    bool *live = NEW_N(a, bool, b->node.n), changed = true;

    for (uint32_t i = 0; i < d->nout; i++) {
        const Root *o = &b->root.at[d->ncarry + i];
        if (!d->out[i]) continue;
        if (o->kind == ROOT_LAST)
            d->carry[o->index] = true;
        else
            live[o->ref] = true;
    }
    while (changed) {
        changed = false;
        for (uint32_t k = 0; k < d->ncarry; k++)
            if (d->carry[k]) live[b->root.at[k].ref] = true;
        mark(b, live);
        for (Ref r = 1; r < b->node.n; r++) {
            const Node *n = &b->node.at[r];
            if (!live[r]) continue;
            if (n->op == OP_STEP) d->step[n->attr] = true;
            if (n->op == OP_CAPTURE) d->capture[n->attr] = true;
            if (n->op != OP_CARRY || d->carry[n->attr]) continue;
            d->carry[n->attr] = changed = true;
        }
    }
}

static uint32_t rank_of(const bool *need, uint32_t i) {
    uint32_t n = 0;

    for (uint32_t k = 0; k < i; k++) n += need[k];
    return n;
}

static void prune_body(Graph *b, const Need *d) {
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->root.n; i++) {
        Root r = b->root.at[i];
        if (i < d->ncarry ? !d->carry[i] : !d->out[i - d->ncarry]) continue;
        if (i < d->ncarry || r.kind == ROOT_LAST) r.index = rank_of(d->carry, r.index);
        b->root.at[n++] = r;
    }
    b->root.n = n;
    graph_dce(b, NULL);
    for (Ref r = 1; r < b->node.n; r++) {
        Node *x = &b->node.at[r];
        if (x->op == OP_CARRY) x->attr = rank_of(d->carry, x->attr);
        if (x->op == OP_STEP) x->attr = rank_of(d->step, x->attr);
        if (x->op == OP_CAPTURE) x->attr = rank_of(d->capture, x->attr);
    }
    graph_rehash(b);
}

static void prune_scan(Graph *g, Ref r, Need *d) {
    Node *n = &g->node.at[r];
    uint32_t w[6], count[3] = {0, 0, 0}, off = g->ext.n, total = d->ncarry + d->nstep + d->ncapture;
    if (n->op == OP_OUT) {
        n->attr = rank_of(d->out, n->attr);
        return;
    }
    for (uint32_t i = 0; i < total; i++) {
        int cls = i < d->ncarry ? 0 : i < d->ncarry + d->nstep ? 1 : 2;
        Ref x = g->ext.at[n->in[0] + i];
        bool keep = cls == 0 ? d->carry[i] : cls == 1 ? d->step[i - d->ncarry] : d->capture[i - d->ncarry - d->nstep];
        if (!keep) continue;
        count[cls]++;
        VEC_PUSH(g->module->arena, g->ext) = x;
    }
    memcpy(w, node_attr(g, r), sizeof w);
    memcpy(w + 3, count, sizeof count);
    n->attr = graph_attr(g, w, 6);
    n->in[0] = off;
    n->in[1] = count[0] + count[1] + count[2];
}

static bool all_true(const bool *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (!b[i]) return false;
    return true;
}

/* What it changes is hashed again by the sweep that follows a change. */
static bool prune(Module *m, ScanUses *u, uint32_t body) {
    Graph *b = m->graph.at[body];
    Need d = {.out = NEW_N(m->arena, bool, b->root.n + 1)};

    each_use(u, body, read_out, &d);
    if (!d.uses || d.differ || b->root.n < d.ncarry) return false;
    d.nout = b->root.n - d.ncarry;
    d.carry = NEW_N(m->arena, bool, d.ncarry + 1);
    d.step = NEW_N(m->arena, bool, d.nstep + 1);
    d.capture = NEW_N(m->arena, bool, d.ncapture + 1);
    body_needs(b, &d, m->arena);
    if (all_true(d.carry, d.ncarry) && all_true(d.step, d.nstep) && all_true(d.capture, d.ncapture) && all_true(d.out, d.nout))
        return false;
    each_use(u, body, prune_scan, &d);
    prune_body(b, &d);
    u->renumbered[body] = true;
    return true;
}

/* ---- modules ---------------------------------------------------------------------------------------------------------- */

static void reach(const Module *m, uint32_t i, bool *used) {
    const Graph *g = m->graph.at[i];

    if (used[i]) return;
    used[i] = true;
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_SCAN) reach(m, scan_info(g, r).body, used);
}

void module_drop_bodies(Module *m) {
    bool *used = NEW_N(m->arena, bool, m->graph.n);
    uint32_t *to = NEW_N(m->arena, uint32_t, m->graph.n), n = 0;

    reach(m, 0, used);
    for (uint32_t i = 0; i < m->graph.n; i++) {
        if (!used[i]) continue;
        to[i] = n;
        m->graph.at[n] = m->graph.at[i];
        m->graph.at[n]->index = n;
        n++;
    }
    if (n == m->graph.n) return;
    m->graph.n = n;
    for (uint32_t i = 0; i < n; i++) {
        Graph *g = m->graph.at[i];
        for (Ref r = 1; r < g->node.n; r++) {
            uint32_t w[6];
            if (g->node.at[r].op != OP_SCAN) continue;
            memcpy(w, node_attr(g, r), sizeof w);
            w[2] = to[w[2]];
            g->node.at[r].attr = graph_attr(g, w, 6);
        }
        graph_rehash(g);
    }
}

void module_dce(Module *m) {
    bool changed = true;

    graph_dce(m->init, NULL);
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < m->graph.n; i++) graph_dce(m->graph.at[i], NULL);
        module_drop_bodies(m);
        ScanUses u = find_scans(m);
        for (uint32_t i = 1; i < m->graph.n; i++) changed |= prune(m, &u, i);
    }
}

void module_keep_roots(Module *m, uint32_t kinds) {
    Graph *g = m->graph.at[0];
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->root.n; i++)
        if (kinds >> g->root.at[i].kind & 1) g->root.at[n++] = g->root.at[i];
    g->root.n = n;
    module_dce(m);
}
