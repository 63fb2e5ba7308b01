/* place: where a product that distribute lifted before a scan is computed.
   before:  P = chain over all rows of T, read by the step `C = P[t] + U h` of one scan
   after:   whole: as it stands. step: the chain of P is the beginning of C's accumulator, and P is never stored.
            chunk: the loop over T is cut into chunks; each begins with P (and what row-local values lie between P and the
            scan) for its own steps, in memory that stays in cache
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

/* ---- chunks ------------------------------------------------------------------------------------------------------------ */

static bool feeds_steps_only(const ScanInfo *s, Ref r)
{
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (s->init[k] == r)
            return false;
    for (uint32_t k = 0; k < s->ncapture; k++)
        if (s->capture[k] == r)
            return false;
    return true;
}

static bool may_join(const LowG *lg, Ref r, uint32_t axis)
{
    const NodeInfo *ni = &lg->ni[r];
    const Node *n = &lg->g->node.at[r];
    bool kind = ni->kind == NK_GEMM || ni->kind == NK_ROW || ni->kind == NK_ACCESS || ni->kind == NK_INLINE || ni->kind == NK_CHAIN;
    return kind && !ni->sunk && !ni->load && !ni->group && (n->axes & AX(axis)) && (n->axes & AX(lg->L->bx)) && n->op != OP_REVERSE;
}

typedef struct {
    bool *after; /* computed from the scan's results */
    bool *inside, *outside; /* read in the chunks, read after the scan */
} Users;

static Users find_users(const LowG *lg, Ref scan)
{
    const Graph *g = lg->g;
    Arena *a = lg->L->arena;
    Users u = { NEW_N(a, bool, g->node.n), NEW_N(a, bool, g->node.n), NEW_N(a, bool, g->node.n) };
    for (Ref r = scan; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        u.after[r] = r == scan;
        for (uint32_t k = 0; k < n; k++)
            u.after[r] |= u.after[in[k]];
    }
    return u;
}

/* The nodes before a scan that can be computed chunk by chunk: row-local, over its axis, and read only by its steps, by one
   another, or by what comes after the scan. Only worth it when a product is among them. */
static void group_scan(LowG *lg, Ref scan)
{
    const Graph *g = lg->g;
    ScanInfo s = scan_info(g, scan);
    Users u = find_users(lg, scan);
    bool *member = NEW_N(lg->L->arena, bool, g->node.n), *blocked = NEW_N(lg->L->arena, bool, g->node.n), product = false;
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref)
            u.outside[g->root.at[i].ref] = true;
    for (Ref r = g->node.n; r-- > 1;) {
        member[r] = r < scan && !blocked[r] && u.inside[r] && may_join(lg, r, s.axis);
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; k < n; k++) {
            Ref o = in[k];
            if (r == scan && feeds_steps_only(&s, o))
                u.inside[o] = true;
            else if (member[r])
                u.inside[o] = true, u.outside[o] |= u.outside[r] && lg->ni[r].kind < NK_ROW;
            else if (u.after[r] && r != scan)
                u.outside[o] = true;
            else
                blocked[o] = true;
        }
        product |= member[r] && lg->ni[r].kind == NK_GEMM;
    }
    for (Ref r = 1; product && r < scan; r++)
        if (member[r]) {
            lg->ni[r].group = scan;
            lg->ni[r].chunk_only = !u.outside[r];
        }
}

static void explain_place(Low *L, const Graph *g, Ref r, const char *how)
{
    if (L->explain)
        str_printf(L->explain, "place: product %%%u of %lld columns: %s\n", r, (long long)g->node.at[r].dim[0], how);
}

void plan_place(LowG *lg)
{
    Low *L = lg->L;
    const Graph *g = lg->g;
    int64_t rows = L->o.batch ? L->o.batch : 32;
    bool step = L->o.place == PLACE_STEP || (L->o.place == PLACE_AUTO && rows >= STEP_ROWS);
    for (Ref r = 1; r < g->node.n && (!lg->body || lg->segment); r++) {
        if (g->node.at[r].op != OP_SCAN)
            continue;
        ScanInfo s = scan_info(g, r);
        for (uint32_t k = 0; k < s.nstep && step; k++) {
            NodeInfo *ni = &lg->ni[s.step[k]];
            if (ni->kind != NK_GEMM || ni->uses != 1 || !starts_product(L, L->m->graph.at[s.body], k))
                continue;
            ni->sunk = true;
            explain_place(L, g, s.step[k], "in each step, as the beginning of its product");
        }
        if (L->o.place != PLACE_WHOLE)
            group_scan(lg, r);
    }
    for (Ref r = 1; r < g->node.n && (!lg->body || lg->segment); r++)
        if (lg->ni[r].kind == NK_GEMM && !lg->ni[r].sunk)
            explain_place(L, g, r, lg->ni[r].group ? "in chunks of steps" : "for all steps at once");
}
