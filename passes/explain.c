/* explain: values and weights by name, and what of a plan has no fast form: loops that take one element at a time because no lane
   order reads every operand in memory order. */
#include "passes/explain.h"

#include <inttypes.h>

#include "passes/lower_int.h"

void put_dims(Str *s, const Node *n)
{
    for (int d = 0; d < n->rank; d++)
        str_printf(s, "%s%" PRId32, d ? ", " : " [", n->dim[d]);
    if (n->rank)
        str_putc(s, ']');
}

void put_node(Str *s, Ctx *ctx, const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const Source *src = n->span ? source_of(ctx, n->span) : NULL;
    uint32_t line = 0, column;
    if (n->name)
        str_put(s, name_str(ctx, n->name));
    else
        str_printf(s, "%s %%%u", op_info[n->op].text, r);
    put_dims(s, n);
    if (!src)
        return;
    source_place(src, n->span, &line, &column);
    str_printf(s, " (%s:%u)", src->path, line);
}

/* ---- weights -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    Str *s;
    const Module *m;
    bool *seen; /* by parameter */
    Weights w;
} Walk;

static bool walk(Walk *x, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan)
{
    const Node *n = &g->node.at[r];
    int cls = op_info[n->op].cls;
    const Ref *in;
    if (n->axes || n->op == OP_NOISE || n->op == OP_SCAN)
        return false;
    if (n->op == OP_CAPTURE)
        return scan && walk(x, outer, scan->capture[n->attr], NULL, NULL);
    if (n->op == OP_CONST || n->op == OP_IOTA)
        return true;
    if (n->op == OP_PARAM) {
        if (!x->seen[n->attr]) {
            if (x->s)
                str_printf(x->s, "%s%s", x->w.count ? " " : "", name_str(x->m->ctx, x->m->param.at[n->attr].name));
            x->w.count++;
        }
        return x->seen[n->attr] = true;
    }
    uint32_t count = node_inputs(g, r, &in);
    x->w.computed |= cls != OPC_SHAPE;
    for (uint32_t k = 0; k < count; k++)
        if (!walk(x, g, in[k], outer, scan))
            return false;
    return count > 0;
}

bool put_weights(Str *s, const Module *m, const Graph *g, Ref r, const Graph *outer, const ScanInfo *scan, bool *mark, Weights *w)
{
    for (int pass = 0; pass < 2; pass++) { /* first whether, then the names */
        Arena a = arena_make(m->ctx);
        Walk x = { .s = pass ? s : NULL, .m = m, .seen = NEW_N(&a, bool, m->param.n + 1) };
        bool ok = walk(&x, g, r, outer, scan) && x.w.count;
        for (uint32_t i = 0; ok && pass && mark && i < m->param.n; i++)
            mark[i] |= x.seen[i];
        if (w)
            *w = x.w;
        arena_free(&a);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- slow paths ------------------------------------------------------------------------------------------------------------ */

/* How a value is made that no vector loop can make; NULL: by one. Left out are values of rate load, made once an update, and
   those without rows outside of the loops, made once a call: they cost no more than an update of the parameters. */
static const char *slow_form(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    const NodeInfo *ni = &lg->ni[r];
    if (ni->kind != NK_ROW || ni->load || (n->rank && node_features(n) < 2) || (!lg->body && !n->axes))
        return NULL;
    if (ni->scalar_loop)
        return op_info[n->op].cls == OPC_SHAPE ? "copied one element at a time" : "computed one element at a time";
    if (!ni->nest)
        return NULL;
    if (n->op == OP_ARGMAX)
        return argmax_in_lanes(lg, r) ? NULL : "searched one element at a time";
    if (n->op == OP_CONCAT)
        return NULL;
    const Node *o = &lg->g->node.at[n->in[0]];
    return contiguous(lg, n->in[0], o->rank, o->rank - 1u) ? NULL : "summed one element at a time";
}

void explain_slow(LowG *lg)
{
    Str *s = lg->L->explain;
    for (Ref r = 1; s && r < lg->g->node.n; r++) {
        const char *how = slow_form(lg, r);
        if (!how)
            continue;
        str_put(s, "slow path: ");
        put_node(s, lg->L->ctx, lg->g, r);
        str_printf(s, " is %s%s\n", how, lg->body ? ", in each step" : "");
    }
}

void put_place(Str *s, const Graph *g, Ref r, const char *how)
{
    DotInfo d = dot_classify(g, r);
    Ref weights = g->node.at[r].in[!d.swapped];

    if (!put_weights(NULL, g->module, g, weights, NULL, NULL, NULL, NULL)) return;
    str_put(s, "place: product ");
    put_weights(s, g->module, g, weights, NULL, NULL, NULL, NULL);
    put_dims(s, &g->node.at[weights]);
    str_printf(s, ": %s\n", how);
}
