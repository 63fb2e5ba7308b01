/* flush: what a loop carries and what fades away becomes 0 before it becomes denormal, which processors compute with slowly:
   the adjoint of a state over thousands of steps, above all. It is arithmetic, so that every engine has the same bits and none
   changes the processor's mode.
   before:  next %v                                          stack %v
   after:   %l = lt (abs %v) tiny    %z = select %l 0 %v     next %z    stack %z
            tiny: 2^-100 in f32, 2^-1000 in f64. Where v is a product, which would have to be stored and read once more, the
            carry is flushed where the next step reads it
   relies on: legalize (sums are carries; a finished example's carries stay by a select). */
#include "passes/passes.h"
#include "passes/rewrite.h"

typedef enum { KEEP, AT_NEXT, AT_USE } Where;

typedef struct {
    Graph *g; /* the body that is made */
    const Graph *old;
    Ref *leaf; /* by carry, in old; 0: nobody reads it */
    uint8_t *where; /* by carry */
    uint32_t ncarry;
    double tiny;
} Flush;

static Ref flushed(Graph *g, Ref v, double tiny)
{
    return g_select(g, g_bin(g, OP_LT, g_un(g, OP_ABS, v), g_const(g, tiny)), g_const(g, 0), v);
}

static bool is_flush(const Flush *f, Ref r, Ref of)
{
    const Node *n = &f->old->node.at[r];
    double bar;
    if (n->op != OP_SELECT || (of && n->in[2] != of))
        return false;
    const Node *lt = &f->old->node.at[n->in[0]];
    return lt->op == OP_LT && const_value(f->old, lt->in[1], &bar) && bar == f->tiny;
}

/* The new value below the select that keeps finished examples as they are. */
static Ref below_freeze(const Flush *f, Ref v, Ref leaf)
{
    const Node *n = &f->old->node.at[v];
    return n->op == OP_SELECT && leaf && n->in[2] == leaf && !is_flush(f, v, leaf) ? n->in[1] : v;
}

static bool has_product(const Graph *g, Ref v)
{
    const Node *n = &g->node.at[v];
    return n->op == OP_DOT || (n->op == OP_ADD && (has_product(g, n->in[0]) || has_product(g, n->in[1])));
}

/* How many nodes read a carry, but for the select that keeps it. */
static uint32_t readers(const Flush *f, Ref leaf, Ref next)
{
    uint32_t uses = 0;
    for (Ref r = 1; r < f->old->node.n; r++) {
        const Ref *in;
        uint32_t count = node_inputs(f->old, r, &in);
        for (uint32_t i = 0; i < count; i++)
            uses += in[i] == leaf && !(r == next && f->old->node.at[r].op == OP_SELECT);
    }
    return uses;
}

static bool read_flushed(const Flush *f, Ref leaf)
{
    for (Ref r = 1; r < f->old->node.n; r++)
        if (is_flush(f, r, leaf))
            return true;
    return false;
}

static Where where_of(const Flush *f, uint32_t k)
{
    Ref leaf = f->leaf[k], next = f->old->root.at[k].ref, v = below_freeze(f, next, leaf);
    const Node *n = &f->old->node.at[v];
    uint32_t uses = leaf ? readers(f, leaf, next) : 0;
    bool sum = uses == 1 && n->op == OP_ADD && (n->in[0] == leaf || n->in[1] == leaf); /* c' = c + x: not a state */
    double constant;
    if (n->dtype != DT_F || op_info[n->op].cls == OPC_LEAF || const_value(f->old, v, &constant) || is_flush(f, next, 0) || sum)
        return KEEP;
    if (!has_product(f->old, v))
        return AT_NEXT;
    return uses && !read_flushed(f, leaf) ? AT_USE : KEEP;
}

static bool find_carries(Flush *f, Arena *a)
{
    bool any = false;
    f->ncarry = next_count(f->old);
    f->leaf = NEW_N(a, Ref, f->ncarry + 1);
    f->where = NEW_N(a, uint8_t, f->ncarry + 1);
    for (Ref r = 1; r < f->old->node.n; r++)
        if (f->old->node.at[r].op == OP_CARRY)
            f->leaf[f->old->node.at[r].attr] = r;
    for (uint32_t k = 0; k < f->ncarry; k++)
        any |= (f->where[k] = (uint8_t)where_of(f, k)) != KEEP;
    return any;
}

static void rebuild(Flush *f, Module *m, uint32_t index)
{
    Ref *map = NEW_N(m->arena, Ref, f->old->node.n), *raw = NEW_N(m->arena, Ref, f->ncarry + 1);
    f->g = module_add_graph(m);
    for (Ref r = 1; r < f->old->node.n; r++) {
        const Node *n = &f->old->node.at[r];
        Ref frozen = 0;
        for (uint32_t k = 0; k < f->ncarry && n->op == OP_SELECT; k++) /* a finished example keeps its carry to the bit */
            if (f->where[k] == AT_USE && f->old->root.at[k].ref == r && n->in[2] == f->leaf[k])
                frozen = f->leaf[k], map[frozen] = raw[k];
        map[r] = graph_copy_node(f->g, f->old, r, map);
        if (frozen)
            map[frozen] = flushed(f->g, map[frozen], f->tiny);
        if (n->op == OP_CARRY && f->where[n->attr] == AT_USE) {
            raw[n->attr] = map[r];
            map[r] = flushed(f->g, map[r], f->tiny);
        }
    }
    Ref *done = NEW_N(m->arena, Ref, f->ncarry + 1);
    for (uint32_t k = 0; k < f->ncarry; k++)
        done[k] = f->where[k] == AT_NEXT ? flushed(f->g, map[f->old->root.at[k].ref], f->tiny) : map[f->old->root.at[k].ref];
    for (uint32_t k = 0; k < f->ncarry; k++)
        map[f->old->root.at[k].ref] = done[k];
    replace_graph(m, index, f->g, map);
}

bool pass_flush(Module *m, const PassOptions *o)
{
    bool did = false;
    uint32_t n = m->graph.n;
    for (uint32_t k = 1; k < n; k++) {
        Flush f = { .old = m->graph.at[k], .tiny = o->lower && o->lower->f64 ? 0x1p-1000 : 0x1p-100 };
        if (!find_carries(&f, m->arena))
            continue;
        rebuild(&f, m, k);
        did = true;
    }
    if (did)
        module_dce(m);
    return did;
}
