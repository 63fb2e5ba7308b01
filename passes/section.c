/* section: what lies between two loops over T and ends in sums over it runs in chunks of T, the sums included, so that what is
   wide in between never has memory for all steps. Part of place, which writes it as the place of the section's products.
   before:  %4 = dot %1 %2 : f<T,B>[9999]   %5 = .. %4   %6 = dot %5 %2 : f<T,B>[64]   %7 = dot %5 %1 : f[9999,64]   (sum over T, B)
   after:   the same, and    place %4 chunk of %7 ..    place %6 chunk of %7 ..
            for chunks of T { %4, %5, %6 of its steps; %7 += their part }      %4 and %5 have memory for one chunk
   A section is named by its last sum. Its members: row-local values over T and the examples, and sums over just these, that hang
   together, all in one direction (NodeInfo.down), none of which needs another one for all steps. Chunks are the blocks in which
   the rows of a gradient are summed anyway, taken in the same order: no bit depends on it.
   Only where a product or a weight gradient is among the members, and a vector that nobody outside reads. */
#include "passes/lower_int.h"

#define SWEEPS 64

typedef struct {
    LowG *lg;
    uint32_t axis;
    bool down;
    bool *may; /* could be a member */
    uint32_t *depth; /* how often a value of all steps had to be complete before */
    Ref *up; /* of the set that r is in, towards its first member */
    bool *outside; /* read by somebody who is no member of the same section */
} Section;

static bool is_sum(const LowG *lg, Ref r)
{
    uint8_t k = lg->ni[r].kind;
    return lg->g->node.at[r].axes == 0 && (k == NK_GRADIENT || k == NK_AXIS || k == NK_SCATTER);
}

static uint32_t operand_axes(const LowG *lg, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(lg->g, r, &in), axes = 0;
    for (uint32_t k = 0; k < n; k++)
        axes |= lg->g->node.at[in[k]].axes;
    return axes;
}

bool is_section(const LowG *lg, Ref group)
{
    return group && lg->g->node.at[group].op != OP_SCAN;
}

uint32_t group_axis(const LowG *lg, Ref group)
{
    if (!is_section(lg, group))
        return scan_info(lg->g, group).axis;
    uint32_t axes = operand_axes(lg, group) & ~AX(lg->L->bx), a = 0;
    while (!(axes >> a & 1))
        a++;
    return a;
}

static bool may_be_member(const Section *x, Ref r, const Ref *only)
{
    const LowG *lg = x->lg;
    const NodeInfo *ni = &lg->ni[r];
    const Node *n = &lg->g->node.at[r];
    uint32_t all = AX(x->axis) | AX(lg->L->bx);
    if (ni->load || ni->sunk || ni->group)
        return false;
    if (is_sum(lg, r))
        return n->dtype == DT_F && operand_axes(lg, r) == all && ni->down == x->down;
    if (ni->kind == NK_GEMM && only && !is_section(lg, only[r]))
        return false;
    return n->axes == all && (ni->kind == NK_GEMM || ni->kind == NK_CHAIN || ni->kind == NK_ROW || ni->kind == NK_INLINE ||
                              ni->kind == NK_ACCESS || ni->kind == NK_SCATTER);
}

static Ref first_of(const Section *x, Ref r)
{
    while (x->up[r] != r)
        r = x->up[r];
    return r;
}

/* Whether o, which r reads, can be in one section with it. */
static bool together(const Section *x, Ref o, Ref r)
{
    return x->may[o] && x->may[r] && !is_sum(x->lg, o) && x->depth[o] == x->depth[r];
}

/* One more sweep over the depths; whether one grew. What is in a group already is computed as one, a scan with what it waits for. */
static bool deepen(Section *x, uint32_t *of_group)
{
    const LowG *lg = x->lg;
    bool more = false;
    for (Ref r = 1; r < lg->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(lg->g, r, &in), depth = x->depth[r];
        Ref group = lg->g->node.at[r].op == OP_SCAN ? r : lg->ni[r].group;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t d = x->depth[in[k]] + (x->may[in[k]] && (!x->may[r] || is_sum(lg, in[k])));
            depth = d > depth ? d : depth;
        }
        depth = group && of_group[group] > depth ? of_group[group] : depth;
        more |= depth > x->depth[r] || (group && depth > of_group[group]);
        x->depth[r] = depth;
        if (group)
            of_group[group] = depth;
    }
    return more;
}

/* False where groups wait for one another in a way that has no depths: then there are no sections of this axis. */
static bool find_depths(Section *x, const Ref *only)
{
    uint32_t n = x->lg->g->node.n, *of_group = NEW_N(x->lg->L->arena, uint32_t, n + 1);
    for (Ref r = 1; r < n; r++)
        x->may[r] = may_be_member(x, r, only);
    for (int sweeps = 0; sweeps < SWEEPS; sweeps++)
        if (!deepen(x, of_group))
            return true;
    return false;
}

static void join_members(Section *x)
{
    const Graph *g = x->lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        x->up[r] = r;
        for (uint32_t k = 0; k < n; k++)
            if (together(x, in[k], r)) {
                Ref a = first_of(x, in[k]), b = first_of(x, r);
                x->up[a > b ? a : b] = a > b ? b : a;
            }
    }
}

static void find_outside(Section *x)
{
    const Graph *g = x->lg->g;
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].ref)
            x->outside[g->root.at[i].ref] = true;
    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; k < n; k++) /* what has no memory of its own is computed where it is read */
            x->outside[in[k]] |= !together(x, in[k], r) || (x->outside[r] && x->lg->ni[r].kind < NK_ROW);
    }
}

/* Members of sections of this axis and direction. */
static void name_sections(Section *x)
{
    const Graph *g = x->lg->g;
    Ref *sum = NEW_N(x->lg->L->arena, Ref, g->node.n + 1);
    bool *product = NEW_N(x->lg->L->arena, bool, g->node.n + 1), *row = NEW_N(x->lg->L->arena, bool, g->node.n + 1);
    for (Ref r = 1; r < g->node.n; r++) {
        Ref first = first_of(x, r);
        if (x->may[r] && is_sum(x->lg, r))
            sum[first] = r;
        product[first] |= x->may[r] && ((x->lg->ni[r].kind == NK_GEMM && !x->outside[r]) || x->lg->ni[r].kind == NK_GRADIENT);
        row[first] |= x->may[r] && (x->lg->ni[r].kind == NK_GEMM || (x->lg->ni[r].kind == NK_ROW && !is_scalar(&g->node.at[r]))) && !x->outside[r];
    }
    for (Ref r = 1; r < g->node.n; r++) {
        Ref first = first_of(x, r);
        if (x->may[r] && product[first] && row[first] && sum[first]) {
            x->lg->ni[r].group = sum[first];
            x->lg->ni[r].chunk_only = !is_sum(x->lg, r) && !x->outside[r];
        }
    }
}

/* What could be computed long before, but is read by one section only, is computed there. */
static void take_along(const Section *x)
{
    LowG *lg = x->lg;
    const Graph *g = lg->g;
    Ref *reader = NEW_N(lg->L->arena, Ref, g->node.n + 1);
    bool *other = NEW_N(lg->L->arena, bool, g->node.n + 1);
    for (uint32_t i = 0; i < g->root.n; i++)
        other[g->root.at[i].ref] = true;
    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        NodeInfo *ni = &lg->ni[r];
        if (x->may[r] && !ni->group && !is_sum(lg, r) && reader[r] && !other[r] && group_axis(lg, reader[r]) == x->axis && ni->kind != NK_GEMM) {
            ni->group = reader[r];
            ni->chunk_only = true;
        }
        for (uint32_t k = 0; k < n; k++) {
            bool in_section = is_section(lg, ni->group);
            bool computed_outside = ni->kind < NK_ROW && !ni->chunk_only;
            other[in[k]] |= !in_section || computed_outside || (reader[in[k]] && reader[in[k]] != ni->group);
            if (in_section)
                reader[in[k]] = ni->group;
        }
    }
}

static void find_sections(LowG *lg, uint32_t axis, bool down, const Ref *only)
{
    Arena *a = lg->L->arena;
    uint32_t n = lg->g->node.n + 1;
    Section x = { lg, axis, down, NEW_N(a, bool, n), NEW_N(a, uint32_t, n), NEW_N(a, Ref, n), NEW_N(a, bool, n) };
    if (!find_depths(&x, only))
        return;
    join_members(&x);
    find_outside(&x);
    name_sections(&x);
    take_along(&x);
}

void group_sections(LowG *lg, const Ref *only)
{
    const Low *L = lg->L;
    for (uint32_t a = 1; a < L->m->naxis && !lg->body && !L->m->cut.n && !L->o.one_step; a++)
        for (int down = 0; down < 2 && a != L->bx; down++)
            find_sections(lg, a, down, only);
}
