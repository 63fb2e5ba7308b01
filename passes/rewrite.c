/* Builders and walks shared by the passes; no pass of its own. Among them the two that undo and redo broadcasting:
     widen(%1 : f[], type f<B>[4])     expand %1 {-} : f<B>[4]           splat(2, type)     expand (const 2) : of that type
   replace_graph puts a rebuilt graph in the place of an old one, with its roots; module_hash and decisions_hash say whether a
   pass changed anything. */
#include "passes/rewrite.h"

#include "ir/build.h"

Ref widen_dims(Graph *g, Ref v, const Node *type)
{
    static const int32_t none[MAX_RANK] = {-1, -1, -1};

    if (!v || g->node.at[v].rank == type->rank) return v;
    return g_expand(g, v, type->rank, type->dim, none, 0);
}

Ref widen(Graph *g, Ref v, const Node *type)
{
    uint32_t missing;

    if (!v) return 0;
    missing = type->axes & ~g->node.at[v].axes;
    if (g->node.at[v].rank != type->rank) {
        static const int32_t none[MAX_RANK] = {-1, -1, -1};
        return g_expand(g, v, type->rank, type->dim, none, missing);
    }
    return missing ? g_expand_axes(g, v, missing) : v;
}

Ref splat(Graph *g, double v, const Node *type)
{
    return widen(g, g_const(g, v), type);
}

Ref leaf_like(Graph *g, Op op, uint32_t index, const Node *type, uint32_t less)
{
    return g_leaf_typed(g, op, index, (DType)type->dtype, type->rank, type->dim, type->axes & ~less);
}

void mark_live(const Graph *g, uint8_t *mark)
{
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref) mark[g->root.at[i].ref] = 1;
    for (Ref r = g->node.n - 1; r > 0; r--) {
        const Ref *in;
        uint32_t n;
        if (!mark[r]) continue;
        n = node_inputs(g, r, &in);
        for (uint32_t i = 0; i < n; i++) mark[in[i]] = 1;
    }
}

Users find_users(Arena *a, const Graph *g)
{
    uint32_t n = g->node.n, *fill = NEW_N(a, uint32_t, n + 1);
    Users u = { .at = NEW_N(a, uint32_t, n + 2) };
    const Ref *in;
    for (Ref r = 1; r < n; r++)
        for (uint32_t k = node_inputs(g, r, &in); k-- > 0;)
            u.at[in[k] + 1]++;
    for (Ref r = 1; r <= n; r++)
        u.at[r] += u.at[r - 1];
    u.of = NEW_N(a, Ref, u.at[n] + 1);
    for (Ref r = 1; r < n; r++)
        for (uint32_t k = node_inputs(g, r, &in); k-- > 0;)
            u.of[u.at[in[k]] + fill[in[k]]++] = r;
    return u;
}

uint32_t next_count(const Graph *body)
{
    uint32_t n = 0;

    while (n < body->root.n && body->root.at[n].kind == ROOT_NEXT) n++;
    return n;
}

uint32_t body_out(Graph *body, RootKind kind, Ref ref, uint32_t index)
{
    uint32_t first = next_count(body);

    for (uint32_t i = first; i < body->root.n; i++) {
        const Root *r = &body->root.at[i];
        if (r->kind == kind && r->ref == ref && r->index == index) return i - first;
    }
    graph_root(body, kind, 0, ref, index);
    return body->root.n - 1 - first;
}

bool is_map(Op op)
{
    uint8_t c = op_info[op].cls;

    return c == OPC_UNARY || c == OPC_BINARY || c == OPC_TERNARY || c == OPC_SHAPE;
}

bool is_cheap(const Graph *g, Ref r)
{
    Op op = (Op)g->node.at[r].op;

    if (op == OP_DOT) return dot_classify(g, r).kind == DOT_OUTER;
    return is_map(op) && op_info[op].cost < 4;
}

void replace_graph(Module *m, uint32_t index, Graph *dst, const Ref *map)
{
    Graph *src = m->graph.at[index];

    for (uint32_t i = 0; i < src->root.n; i++) {
        Root x = src->root.at[i];
        graph_root(dst, (RootKind)x.kind, x.name, map[x.ref], x.index);
    }
    m->graph.at[index] = dst;
    m->graph.at[dst->index] = src;
    src->index = dst->index;
    dst->index = index;
}

void replace_model(Module *m, Graph *dst, const Ref *map)
{
    replace_graph(m, 0, dst, map);
}

static void rewrite_graph(Module *m, uint32_t index, Ref (*fn)(Graph *, Ref))
{
    const Graph *src = m->graph.at[index];
    Graph *dst = module_add_graph(m);
    Ref *map = NEW_N(m->arena, Ref, src->node.n);
    uint8_t *live = NEW_N(m->arena, uint8_t, src->node.n);

    mark_live(src, live);
    for (Ref r = 1; r < src->node.n; r++) {
        if (!live[r]) continue;
        dst->span = src->node.at[r].span;
        dst->name = src->node.at[r].name;
        map[r] = fn(dst, graph_copy_node(dst, src, r, map));
    }
    dst->span = dst->name = 0;
    replace_graph(m, index, dst, map);
}

void rewrite_nodes(Module *m, Ref (*fn)(Graph *g, Ref r))
{
    uint32_t graphs = m->graph.n;

    for (uint32_t i = 0; i < graphs; i++) rewrite_graph(m, i, fn);
}

static uint64_t graph_hash(const Module *m, const Graph *g)
{
    uint64_t h = g->node.n;

    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in), words = op_words((Op)n->op);
        uint32_t key[8] = {n->op, n->dtype, n->rank, (uint32_t)n->dim[0], (uint32_t)n->dim[1], (uint32_t)n->dim[2], n->axes, count};
        h = hash_words(h, key, sizeof key);
        if (count) h = hash_words(h, in, count * sizeof *in);
        if (n->op == OP_SCAN) {
            ScanInfo s = scan_info(g, r);
            uint64_t part[6] = {s.axis, s.reverse, s.ncarry, s.nstep, s.ncapture, graph_hash(m, m->graph.at[s.body])};
            h = hash_words(h, part, sizeof part);
        } else {
            h = hash_words(h, node_attr(g, r), (words ? words : 1) * sizeof(uint32_t));
        }
    }
    for (uint32_t i = 0; i < g->root.n; i++) {
        uint32_t key[3] = {g->root.at[i].kind, g->root.at[i].ref, g->root.at[i].index};
        h = hash_words(h, key, sizeof key);
    }
    return h;
}

uint64_t module_hash(const Module *m)
{
    return graph_hash(m, m->graph.at[0]);
}

uint64_t decisions_hash(const Module *m)
{
    uint64_t h = m->graph.n;

    for (uint32_t i = 0; i < m->graph.n; i++) {
        const Graph *g = m->graph.at[i];
        for (uint32_t k = 0; k < g->placed.n; k++) {
            const Placed *p = &g->placed.at[k];
            uint64_t key[6] = {p->product, p->where, p->scan, (uint64_t)p->rows, (uint64_t)p->weights, (uint64_t)p->traffic};
            h = hash_words(h, key, sizeof key);
        }
        for (uint32_t k = 0; k < g->stage.n; k++) {
            const Stage *s = &g->stage.at[k];
            uint32_t key[6] = {i, s->kind, s->load, s->axes, s->group, s->node.n};
            h = hash_words(h, key, sizeof key);
            for (uint32_t j = 0; j < s->node.n; j++)
                h = hash_words(h, (uint32_t[]){s->node.at[j].ref, s->node.at[j].level}, 2 * sizeof(uint32_t));
        }
    }
    return h;
}
