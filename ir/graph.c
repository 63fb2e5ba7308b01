/* The store behind the graph: modules, arrays, attribute words, hash-consing, and what reads nodes without changing them. */
#include "ir/graph.h"

#include <string.h>

#include "ir/build.h"

const OpInfo op_info[OP_COUNT] = {
#define OP(NAME, text, arity, cls, flags, cost, meaning, da, db, dc) {text, arity, cls, flags, cost},
#include "ir/ops.def"
#undef OP
};

uint32_t op_words(Op op) {
    if (op == OP_CONST || op == OP_SUM || op == OP_AMAX || op == OP_SCATTER_ADD || op == OP_SHIFT) return 2;
    if (op == OP_NOISE || op == OP_SLICE || op == OP_PAD || op == OP_TRANSPOSE || op == OP_JOIN) return 3;
    if (op == OP_EXPAND) return 4;
    if (op == OP_SCAN) return 6;
    return op == OP_DOT ? 10 : 0;
}

/* ---- modules ---------------------------------------------------------------------------------------------------------- */

Graph *graph_make(Module *m, uint32_t index) {
    Graph *g = NEW(m->arena, Graph);

    g->module = m;
    g->index = index;
    (void)VEC_PUSH(m->arena, g->node); /* Ref 0 is nothing */
    return g;
}

Module *module_make(Ctx *ctx, Arena *a, Name name) {
    Module *m = NEW(a, Module);

    m->ctx = ctx;
    m->arena = a;
    m->name = name;
    m->axis[0].kind = AXIS_BATCH;
    m->axis[0].name = intern(ctx, "B");
    m->naxis = 1;
    module_add_graph(m);
    m->init = graph_make(m, UINT32_MAX);
    return m;
}

Graph *module_add_graph(Module *m) {
    Graph *g = graph_make(m, m->graph.n);

    VEC_PUSH(m->arena, m->graph) = g;
    return g;
}

uint32_t module_add_axis(Module *m, AxisKind kind, Name name) {
    Axis *x;

    if (m->naxis == MAX_AXES) {
        diag_error(m->ctx, 700, (Span){0, 0}, "more than %d axes (axis '%s')", MAX_AXES, name_str(m->ctx, name));
        return 0;
    }
    x = &m->axis[m->naxis];
    memset(x, 0, sizeof *x);
    x->kind = (uint8_t)kind;
    x->name = name;
    return m->naxis++;
}

uint32_t module_add_param(Module *m, Name name, int rank, const int32_t *dim, bool is_const) {
    Param *p = &VEC_PUSH(m->arena, m->param);
    int64_t size = 1;

    p->name = name;
    p->rank = (uint8_t)rank;
    p->is_const = is_const;
    p->offset = m->theta_size;
    for (int i = 0; i < rank; i++) {
        p->dim[i] = dim[i];
        if (!checked_mul(size, dim[i], &size)) size = INT64_MAX;
    }
    if (!checked_add(m->theta_size, size, &m->theta_size) || m->theta_size > INT64_MAX / 16) {
        diag_error(m->ctx, 701, (Span){p->span, p->span}, "the parameters are too large (at '%s')", name_str(m->ctx, name));
        m->theta_size = INT64_MAX / 16;
    }
    return m->param.n - 1;
}

uint32_t module_add_input(Module *m, InputKind kind, Name name, DType dt, int rank, const int32_t *dim, uint32_t axes) {
    Input *p = &VEC_PUSH(m->arena, m->input);

    p->name = name;
    p->kind = (uint8_t)kind;
    p->dtype = (uint8_t)dt;
    p->rank = (uint8_t)rank;
    for (int i = 0; i < rank; i++) p->dim[i] = dim[i];
    p->axes = axes;
    return m->input.n - 1;
}

/* ---- words and operands ----------------------------------------------------------------------------------------------- */

static void words_grow(Graph *g) {
    uint32_t old_n = g->word_nbucket, n = old_n ? old_n * 2 : 32;
    uint32_t *old = g->word_bucket, *t = NEW_N(g->module->arena, uint32_t, (size_t)n * 2);

    for (uint32_t i = 0; i < old_n; i++) {
        uint32_t at = old[2 * i], count = old[2 * i + 1], h;
        if (!at) continue;
        h = (uint32_t)hash_words(count, g->attr.at + at - 1, count * sizeof(uint32_t)) & (n - 1);
        while (t[2 * h]) h = (h + 1) & (n - 1);
        t[2 * h] = at;
        t[2 * h + 1] = count;
    }
    g->word_bucket = t;
    g->word_nbucket = n;
}

uint32_t graph_attr(Graph *g, const uint32_t *word, uint32_t n) {
    uint32_t h, at;

    if (2 * g->word_count >= g->word_nbucket) words_grow(g);
    h = (uint32_t)hash_words(n, word, n * sizeof(uint32_t)) & (g->word_nbucket - 1);
    for (; g->word_bucket[2 * h]; h = (h + 1) & (g->word_nbucket - 1)) {
        at = g->word_bucket[2 * h] - 1;
        if (g->word_bucket[2 * h + 1] == n && !memcmp(g->attr.at + at, word, n * sizeof(uint32_t))) return at;
    }
    at = g->attr.n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t w = word[i]; /* `word` may be an old block of attr itself */
        VEC_PUSH(g->module->arena, g->attr) = w;
    }
    g->word_bucket[2 * h] = at + 1;
    g->word_bucket[2 * h + 1] = n;
    g->word_count++;
    return at;
}

uint32_t graph_ext(Graph *g, const Ref *ref, uint32_t n) {
    uint32_t at = g->ext.n;

    for (uint32_t i = 0; i < n; i++) {
        Ref r = ref[i];
        VEC_PUSH(g->module->arena, g->ext) = r;
    }
    return at;
}

const uint32_t *node_attr(const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];

    return op_words((Op)n->op) ? g->attr.at + n->attr : &n->attr;
}

static bool has_ext(const Node *n) { return n->op == OP_SCAN || n->op == OP_CONCAT; }

const Ref *node_ext(const Graph *g, Ref r, uint32_t *n) {
    const Node *x = &g->node.at[r];

    if (!has_ext(x)) {
        *n = 0;
        return NULL;
    }
    *n = x->in[1];
    return x->in[1] ? g->ext.at + x->in[0] : NULL;
}

uint32_t node_inputs(const Graph *g, Ref r, const Ref **at) {
    const Node *x = &g->node.at[r];
    uint32_t n;

    if (has_ext(x)) {
        *at = node_ext(g, r, &n);
        return n;
    }
    *at = x->in;
    return op_info[x->op].arity;
}

/* ---- hash-consing ----------------------------------------------------------------------------------------------------- */

/* Attribute words are shared, so equal offsets mean equal words; operands of scan and concat are compared by content. */
static uint32_t node_hash(const Graph *g, const Node *n) {
    uint32_t k[11] = {n->op,   n->dtype, n->rank, (uint32_t)n->dim[0], (uint32_t)n->dim[1], (uint32_t)n->dim[2],
                      n->axes, n->attr};
    uint64_t h;

    if (has_ext(n)) {
        h = n->in[1] ? hash_words(n->in[1], g->ext.at + n->in[0], n->in[1] * sizeof(Ref)) : 0;
        k[8] = (uint32_t)h;
    } else {
        memcpy(k + 8, n->in, sizeof n->in);
    }
    h = hash_words(0, k, sizeof k);
    return (uint32_t)(h ^ h >> 32);
}

static bool node_equal(const Graph *g, const Node *a, const Node *b) {
    if (a->op != b->op || a->attr != b->attr || !same_type(a, b)) return false;
    if (!has_ext(a)) return !memcmp(a->in, b->in, sizeof a->in);
    return a->in[1] == b->in[1] && (!a->in[1] || !memcmp(g->ext.at + a->in[0], g->ext.at + b->in[0], a->in[1] * sizeof(Ref)));
}

void graph_rehash(Graph *g) {
    Arena *a = g->module->arena;
    uint32_t n = g->nbucket ? g->nbucket : 64;

    while (n < g->node.n * 2) n *= 2;
    if (n != g->nbucket)
        g->bucket = NEW_N(a, uint32_t, n);
    else
        memset(g->bucket, 0, n * sizeof(uint32_t));
    g->nbucket = n;
    if (g->chain_cap < g->node.cap) {
        g->chain = NEW_N(a, uint32_t, g->node.cap);
        g->chain_cap = g->node.cap;
    }
    for (Ref r = 1; r < g->node.n; r++) {
        uint32_t h = node_hash(g, &g->node.at[r]) & (n - 1);
        g->chain[r] = g->bucket[h];
        g->bucket[h] = r;
    }
}

Ref graph_append(Graph *g, const Node *n) {
    uint32_t hash = node_hash(g, n);
    Ref r;

    if (!g->nbucket) graph_rehash(g);
    for (r = g->bucket[hash & (g->nbucket - 1)]; r; r = g->chain[r])
        if (node_equal(g, &g->node.at[r], n)) return r;
    r = g->node.n;
    VEC_PUSH(g->module->arena, g->node) = *n;
    if (g->node.n * 2 > g->nbucket || g->chain_cap < g->node.cap) {
        graph_rehash(g);
        return r;
    }
    g->chain[r] = g->bucket[hash & (g->nbucket - 1)];
    g->bucket[hash & (g->nbucket - 1)] = r;
    return r;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

void graph_root(Graph *g, RootKind kind, Name name, Ref ref, uint32_t index) {
    VEC_PUSH(g->module->arena, g->root) = (Root){.kind = (uint8_t)kind, .name = name, .ref = ref, .index = index};
}

ScanInfo scan_info(const Graph *g, Ref r) {
    const uint32_t *w = node_attr(g, r);
    ScanInfo s = {.axis = w[0], .reverse = w[1], .body = w[2], .ncarry = w[3], .nstep = w[4], .ncapture = w[5]};
    uint32_t n;
    const Ref *in = node_ext(g, r, &n);

    if (in) {
        s.init = in;
        s.step = in + s.ncarry;
        s.capture = in + s.ncarry + s.nstep;
    }
    return s;
}

double words_double(const uint32_t *w) {
    uint64_t bits = (uint64_t)w[1] << 32 | w[0];
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

bool const_value(const Graph *g, Ref r, double *v) {
    while (g->node.at[r].op == OP_EXPAND) r = g->node.at[r].in[0];
    if (g->node.at[r].op != OP_CONST) return false;
    *v = words_double(node_attr(g, r));
    return true;
}

int64_t node_features(const Node *n) {
    int64_t size = 1;

    for (int i = 0; i < n->rank; i++)
        if (!checked_mul(size, n->dim[i], &size)) return INT64_MAX;
    return size;
}

bool same_dims(const Node *a, const Node *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

bool same_type(const Node *a, const Node *b) { return a->dtype == b->dtype && a->axes == b->axes && same_dims(a, b); }

static int count_bits(uint32_t m) {
    int n = 0;

    for (; m; m &= m - 1) n++;
    return n;
}

static bool has_label(const uint32_t *l, uint32_t label) { return l[0] == label || l[1] == label || l[2] == label; }

DotInfo dot_classify(const Graph *g, Ref r) {
    DotInfo d = {0};
    const Node *n = &g->node.at[r], *l = &g->node.at[n->in[0]], *q = &g->node.at[n->in[1]];
    const uint32_t *w = node_attr(g, r), *ll = w, *lq = w + 3, *lo = w + 6, kept = w[9];
    int bl = count_bits(l->axes), bq = count_bits(q->axes);

    d.swapped = bq > bl || (bq == bl && n->in[1] < n->in[0]);
    if (d.swapped) {
        const Node *t = l;
        l = q;
        q = t;
        ll = w + 3;
        lq = w;
    }
    d.batch_axes = l->axes & q->axes & kept;
    d.k_axes = l->axes & q->axes & ~kept;
    d.m_axes = l->axes & ~q->axes;
    d.n_axes = q->axes & ~l->axes;
    for (int i = 0; i < l->rank; i++) {
        uint8_t x = (uint8_t)ll[i];
        if (!has_label(lq, x))
            d.m[d.nm++] = x;
        else if (has_label(lo, x))
            d.batch[d.nbatch++] = x;
        else
            d.k[d.nk++] = x;
    }
    for (int i = 0; i < q->rank; i++)
        if (!has_label(ll, lq[i])) d.n[d.nn++] = (uint8_t)lq[i];
    if (!d.nk && !d.k_axes)
        d.kind = DOT_OUTER;
    else if (!d.nbatch && !d.batch_axes && !q->axes && d.nk)
        d.kind = DOT_PRODUCT;
    else if (!d.nbatch && !d.batch_axes && (d.k_axes & AX(AXIS_B)))
        d.kind = DOT_GRADIENT;
    else
        d.kind = DOT_OTHER;
    return d;
}
