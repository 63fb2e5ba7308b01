/* place: where a product that distribute lifted before a scan is computed.
   before:  P = chain over all rows of T, read by the step `C = P[t] + U h` of one scan
   after:   whole: as it stands. step: the chain of P is the beginning of C's accumulator, and P is never stored
   relies on: an accumulator is one chain whatever the place, so no bit changes (docs/ir.md).
   The rule (docs/ir.md, "place"): writing and reading P costs 8 M N bytes of cache traffic a step; against it stands that x
   adds Kx rows of weights to what each step streams. From 3 rows a step on the product hides that, below it does not. */
#include "passes/lower_int.h"

#define STEP_ROWS 3

static Ref step_leaf(const Graph *body, uint32_t k, uint32_t *uses)
{
    Ref leaf = 0;
    *uses = 0;
    for (Ref r = 1; r < body->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(body, r, &in);
        if (body->node.at[r].op == OP_STEP && body->node.at[r].attr == k)
            leaf = r;
        for (uint32_t i = 0; i < n; i++)
            *uses += leaf && in[i] == leaf;
    }
    for (uint32_t i = 0; i < body->root.n; i++)
        *uses += leaf && body->root.at[i].ref == leaf;
    return leaf;
}

/* Whether step input k of the body only starts the accumulator of a product. */
static bool starts_product(Low *L, const Graph *body, uint32_t k)
{
    uint32_t uses;
    Ref leaf = step_leaf(body, k, &uses);
    if (!leaf || uses != 1)
        return false;
    LowG bg = { .L = L, .g = body, .body = true };
    plan_kinds(&bg);
    for (Ref r = 1; r < body->node.n; r++)
        if (bg.ni[r].kind == NK_GEMM && bg.ni[r].base == leaf)
            return true;
    return false;
}

Ref sunk_product(const LowG *bg, Ref leaf)
{
    const Node *n = &bg->g->node.at[leaf];
    if (n->op != OP_STEP || !bg->up)
        return 0;
    Ref o = bg->scan.step[n->attr];
    return bg->up->ni[o].sunk ? o : 0;
}

static const char *place_name(Place p)
{
    return p == PLACE_STEP ? "in the step" : "for all steps at once";
}

void plan_place(LowG *lg)
{
    Low *L = lg->L;
    const Graph *g = lg->g;
    int64_t rows = L->o.batch ? L->o.batch : 32;
    Place p = L->o.place == PLACE_AUTO ? rows >= STEP_ROWS ? PLACE_STEP : PLACE_WHOLE : L->o.place;
    for (Ref r = 1; r < g->node.n && !lg->body; r++) {
        if (g->node.at[r].op != OP_SCAN)
            continue;
        ScanInfo s = scan_info(g, r);
        for (uint32_t k = 0; k < s.nstep; k++) {
            NodeInfo *ni = &lg->ni[s.step[k]];
            if (ni->kind != NK_GEMM || ni->uses != 1 || !starts_product(L, L->m->graph.at[s.body], k))
                continue;
            ni->sunk = p == PLACE_STEP;
            if (L->explain && !L->prepare)
                str_printf(L->explain, "place: the product over %%%u of %lld columns is computed %s\n", s.step[k],
                           (long long)g->node.at[s.step[k]].dim[0], place_name(p));
        }
    }
}
