/* slow: what of a plan has no fast form, by its name and place in the source: loops that take one element at a time because no
   lane order reads every operand in memory order. Values of rate load are left out: they are made once an update. */
#include "passes/lower_int.h"

#include <inttypes.h>

/* "h.S [8, 4] (std/fast_weights.rondo:31)", or the operation and its number where the source gave no name. */
void put_node(Str *s, Ctx *ctx, const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const Source *src = n->span ? source_of(ctx, n->span) : NULL;
    uint32_t line = 0, column;
    if (n->name)
        str_put(s, name_str(ctx, n->name));
    else
        str_printf(s, "%s %%%u", op_info[n->op].text, r);
    if (n->rank) {
        for (int d = 0; d < n->rank; d++)
            str_printf(s, "%s%" PRId32, d ? ", " : " [", n->dim[d]);
        str_putc(s, ']');
    }
    if (!src)
        return;
    source_place(src, n->span, &line, &column);
    str_printf(s, " (%s:%u)", src->path, line);
}

static const char *slow_form(LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    const NodeInfo *ni = &lg->ni[r];
    if (ni->kind != NK_ROW || ni->load || node_features(n) * (n->rank ? 1 : 2) < 2)
        return NULL;
    if (ni->scalar_loop)
        return op_info[n->op].cls == OPC_SHAPE ? "copied one element at a time" : "computed one element at a time";
    if (!ni->nest)
        return NULL;
    if (n->op == OP_ARGMAX)
        return "searched one element at a time";
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
