/* The state that place, fuse and lower_loops work on: of a module, of its model, of a scan's body. Each pass makes it anew,
   from the graph (kinds.c) and the lines of the passes before it:
     place %6 step of %7      NodeInfo.sunk of %6      (apply_places)
     run row <B> : %4 %5      NodeInfo.item of both    (plan_graph; lower_loops only) */
#include "passes/lower_int.h"

void low_fail(Low *L, const char *what)
{
    if (!L->failed)
        diag_error(L->ctx, 999, (Span){ 0, 0 }, "lowering met what the graph passes should have removed: %s", what);
    L->failed = true;
}

/* The axis that rows are counted along: B, or ELEM in an optimizer. False if values have both. */
static bool find_row_axis(Low *L)
{
    const Module *m = L->m;
    for (uint32_t a = 1; a < m->naxis; a++)
        if (m->axis[a].kind == AXIS_ELEM)
            L->bx = a;
    for (uint32_t i = 0; i < m->input.n; i++)
        if (L->bx != AXIS_B && (m->input.at[i].axes & AX(AXIS_B)))
            return false;
    return true;
}

/* Whether legalize has been here; of masks it cannot be told. */
static bool is_legal(const Module *m)
{
    DotInfo info;
    GemmKind kind;
    MatrixForm form;
    PairForm pairs;
    for (uint32_t i = 0; i < m->graph.n; i++) {
        const Graph *g = m->graph.at[i];
        for (Ref r = 1; r < g->node.n; r++)
            if (g->node.at[r].op == OP_PAD ||
                (g->node.at[r].op == OP_DOT && !dot_is_gemm(g, r, &info, &kind) && !is_matrix_row(g, r, &form) && !is_pairs(g, r, &pairs)))
                return false;
        for (uint32_t k = 0; k < g->root.n; k++)
            if (g->root.at[k].kind == ROOT_SUM)
                return false;
    }
    return true;
}

Low *low_make(Module *m, const PassOptions *o)
{
    static const LowerOptions usual = { .V = 4, .registers = 16 };
    Low *L = NEW(m->arena, Low);
    if (!is_legal(m)) {
        diag_error(m->ctx, 724, (Span){ 0, 0 }, "the graph has what no loop can be made of: run pass legalize first");
        return NULL;
    }
    L->ctx = m->ctx;
    L->arena = m->arena;
    L->m = m;
    L->o = o->lower ? *o->lower : usual;
    L->explain = o->explain;
    L->short_panels = L->o.batch == 1 && L->o.V == 16 && !L->o.panel && lower_turns(m, L->o.f64 ? 8 : 4);
    L->turns = L->short_panels || (L->o.turns && L->o.V >= TURNING_LANES);
    if (!find_row_axis(L)) {
        low_fail(L, "both examples and elements");
        return NULL;
    }
    return L;
}

LowG *low_outer(Low *L)
{
    LowG *lg = NEW(L->arena, LowG);
    lg->L = L;
    lg->g = L->m->graph.at[0];
    plan_kinds(lg);
    if (!lg->g->pin)
        remat_order(lg);
    apply_places(lg);
    return lg;
}

LowG *low_body(LowG *lg, Ref scan)
{
    LowG *bg = NEW(lg->L->arena, LowG);
    bg->L = lg->L;
    bg->scan = scan_info(lg->g, scan);
    bg->g = lg->L->m->graph.at[bg->scan.body];
    bg->up = lg;
    bg->body = true;
    bg->segment = bg->g->cut != 0;
    bg->axis = bg->scan.axis;
    plan_kinds(bg);
    if (bg->segment)
        apply_places(bg);
    return bg;
}

static int widest_carry(const Module *m)
{
    int widest = 0;
    for (uint32_t k = 1; k < m->graph.n; k++) {
        const Graph *g = m->graph.at[k];
        for (Ref r = 1; r < g->node.n; r++) {
            const Node *n = &g->node.at[r];
            if (n->op == OP_CARRY && n->rank && n->dim[n->rank - 1] > widest)
                widest = n->dim[n->rank - 1];
        }
    }
    return widest;
}

int lower_lanes(const Module *m, int lanes)
{
    int widest = widest_carry(m);
    while (widest > 1 && lanes > 4 && lanes / 2 >= widest)
        lanes /= 2;
    return lanes;
}

bool lower_fills(const Module *m, int lanes)
{
    int widest = widest_carry(m);
    return 4 * widest >= 3 * ((widest + lanes - 1) / lanes * lanes);
}
