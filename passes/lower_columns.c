/* lower_loops: a loop over steps all of whose work is elementwise goes through the steps a vector of units at a time.
   before:  run scan : %8      in @1: carry 0, step 0 .. next %6, sum %9      (one row stage, no unit of which reads another unit)
   after:   for rows { for blocks of STEPS { for units by V { ld carries; for t { the stage, carries in registers; st stacks }; st carries }
                                             for t { sums over units, what is made of these } } }
   So a state and the sums of its adjoints are read and written once for many steps, and what no step changes is in a register. Units lie
   along the last dimension: a state may have a few rows of them (a matrix memory of so many keys), each of which is a vector of its own;
   sums over these rows are sums of registers. Sums over units are vectors in a local array until a block is done; they have the order that
   they have in rows (lower_row.c, lower_sweep.c).
   When: one row stage without exp and its kin (measured: their constants fill the registers, and carries are the least of what they
   take), units of one number, carries that no other unit reads, nothing that is copied at the end of a step. */
#include "passes/lower_int.h"

/* BOTH: of so few carries and invariants two vectors go through the steps; FEW_SUMS: of loops without matrices */
enum { STEPS = 8, MOST = 20, BOTH = 9, INVARIANT = 8, FUNCTION = 6, FEW_SUMS = 3, MANY_SUMS = 32 };

/* What a value is for each unit: nothing (one for all: a number, or one of each row), one, or one of each row. */
typedef enum { OTHER, NUMBER, ROWS, UNITS, MATRIX } Form;

typedef struct {
    const Columns *c;
    LowG *bg;
    const Stage *it;
    uint32_t item;
    int64_t N;
    RefVec node; /* by unit */
    RefVec reduce; /* sums over units */
    RefVec made, row; /* numbers, and values of each row, that no unit has for itself: made of these, or of none */
    RefVec early, early_row; /* those that units read */
    RefVec invariant, number;
    bool *across; /* made of a sum over units */
    Ref leaf[MOST], next[MOST];
    uint32_t first[MOST]; /* the first vector of a carry */
    uint32_t n, vectors; /* carries */
    uint32_t rows; /* the most of a matrix */
    LV *at_row[MOST]; /* by row, of each value that units read: in the current step */
    Loc *loc; /* of each value, before its step has a name */
    LocList *also;
    uint32_t sums, nsum; /* the array; vectors in it a step */
    LV acc[MANY_SUMS * LANES]; /* in its place where a step has all units: LANES / V of each */
    bool by_step;
    LV lo, hi; /* the block */
} Work;

/* A vector of units that a step is at. */
typedef struct {
    Eval units, row[MOST];
} Unit;

static Ref leaf_of(const Graph *g, uint32_t k)
{
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_CARRY && g->node.at[r].attr == k)
            return r;
    return 0;
}

static const Node *node_of(const Work *w, Ref r)
{
    return &w->bg->g->node.at[r];
}

static Form form_of(const Work *w, Ref r)
{
    const Node *n = node_of(w, r);
    if (n->rank == 2 && n->dim[1] == w->N && n->dim[0] != w->N && n->dim[0] > 1 && n->dim[0] <= MOST)
        return MATRIX;
    if (n->rank == 1 && n->dim[0] == w->N)
        return UNITS;
    return is_scalar(n) ? NUMBER : n->rank == 1 && n->dim[0] <= MOST ? ROWS : OTHER;
}

/* How many vectors a value is. */
static uint32_t rows_of(const Work *w, Ref r)
{
    const Node *n = node_of(w, r);
    Form f = form_of(w, r);
    return f == MATRIX || f == ROWS ? (uint32_t)n->dim[0] : 1;
}

static bool is_sum(const Node *n)
{
    return n->op == OP_SUM || n->op == OP_AMAX;
}

static bool is_part(const LowG *bg, Ref r)
{
    uint32_t count;
    const Ref *part = node_ext(bg->g, r, &count);
    while (count-- > 0)
        if (bg->ni[part[count]].whole != r)
            return false;
    return !bg->ni[r].also.n;
}

static bool sort_sum(Work *w, Ref r)
{
    Ref o = node_of(w, r)->in[0];
    uint32_t mask = node_attr(w->bg->g, r)[1];
    Form f = form_of(w, o);
    bool over_rows = f == MATRIX && mask == 1;
    if (!over_rows && (f != UNITS || mask != 1) && (f != MATRIX || mask != 2))
        return false;
    if (over_rows)
        VEC_PUSH(w->bg->L->arena, w->node) = r;
    else
        VEC_PUSH(w->bg->L->arena, w->reduce) = r;
    w->nsum += over_rows ? 0 : rows_of(w, r);
    return true;
}

/* Sorts the stage's nodes; false: some of them do not fit. */
static bool sort_nodes(Work *w)
{
    const LowG *bg = w->bg;
    Arena *a = bg->L->arena;
    for (uint32_t i = 0; i < w->it->node.n; i++) {
        Ref r = w->it->node.at[i].ref;
        const Node *n = node_of(w, r);
        const NodeInfo *ni = &bg->ni[r];
        Form f = form_of(w, r);
        bool other = n->op == OP_DOT || n->op == OP_ARGMAX || n->op == OP_GATHER || (ni->nest && n->op != OP_CONCAT && !is_sum(n));
        if (op_info[n->op].cost >= FUNCTION || ni->scalar_loop || other || (f == OTHER && n->op != OP_CONCAT))
            return false;
        if (n->op == OP_CONCAT) {
            if (!is_part(bg, r))
                return false;
        } else if (is_sum(n)) {
            if (!sort_sum(w, r))
                return false;
        } else if (f == NUMBER) {
            VEC_PUSH(a, w->made) = r;
        } else if (f == ROWS) {
            VEC_PUSH(a, w->row) = r;
        } else {
            VEC_PUSH(a, w->node) = r;
        }
        if (f > NUMBER && ni->mem && n->dtype != DT_F)
            return false;
        if (f == MATRIX && (uint32_t)n->dim[0] > w->rows)
            w->rows = (uint32_t)n->dim[0];
    }
    return w->node.n && w->nsum <= (w->rows ? MANY_SUMS : FEW_SUMS);
}

static bool in_list(const RefVec *v, Ref r)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->at[i] == r)
            return true;
    return false;
}

static bool sort_carries(Work *w)
{
    const LowG *bg = w->bg;
    const Graph *g = bg->g;
    w->n = bg->scan.ncarry;
    for (uint32_t k = 0; k < w->n && w->n <= MOST; k++) {
        const Node *n;
        w->leaf[k] = leaf_of(g, k);
        w->next[k] = g->root.at[k].ref;
        w->first[k] = w->vectors;
        n = &g->node.at[w->leaf[k]];
        if (!w->leaf[k] || form_of(w, w->leaf[k]) < UNITS || n->dtype != DT_F || n->axes != AX(bg->L->bx) || !in_list(&w->node, w->next[k]) ||
            w->c->carry[k].fs[n->rank - 1] != 1)
            return false;
        w->vectors += rows_of(w, w->leaf[k]);
    }
    return w->n <= MOST && w->vectors <= (w->rows ? (uint32_t)bg->L->o.registers - 12 : MOST) && w->vectors <= MOST;
}

/* ---- what units read -------------------------------------------------------------------------------------------------------------- */

/* Whether the stage, or a carry, makes r. */
static bool is_made(const Work *w, Ref r)
{
    const NodeInfo *ni = &w->bg->ni[r];
    return node_of(w, r)->op == OP_CARRY || (ni->kind == NK_ROW && ni->item == w->item);
}

static bool from_memory(const Work *w, Ref o)
{
    while (w->bg->ni[o].kind == NK_ACCESS)
        o = node_of(w, o)->in[0];
    return w->bg->ni[o].kind != NK_INLINE && !is_made(w, o);
}

/* What the operand of an expand is where the expand is of form `view`; OTHER: neither of them. */
static Form spread_from(const Work *w, Ref r, Form view)
{
    const Node *n = node_of(w, r), *x = node_of(w, n->in[0]);
    const int32_t *from = (const int32_t *)node_attr(w->bg->g, r);
    if (is_scalar(x))
        return NUMBER;
    if (same_dims(x, n))
        return view;
    if (view != MATRIX || x->rank != 1)
        return OTHER;
    return from[0] == -1 && from[1] == 0 && x->dim[0] == w->N ? UNITS : from[0] == 0 && from[1] == -1 && x->dim[0] == n->dim[0] ? ROWS : OTHER;
}

/* Whether o, which a value of form `view` reads at its own index, is there for it: what the stage makes of the same unit, and row. */
static bool is_read_well(const Work *w, Ref o, Form view)
{
    const Node *n = node_of(w, o);
    const Ref *in;
    uint32_t count = node_inputs(w->bg->g, o, &in);
    if (view == OTHER || from_memory(w, o))
        return view != OTHER;
    if (is_made(w, o))
        return form_of(w, o) == view && n->op != OP_CONCAT; /* that is only where its parts stand */
    if (w->bg->ni[o].kind == NK_ACCESS)
        return n->op == OP_EXPAND ? is_read_well(w, n->in[0], spread_from(w, o, view)) :
                                    is_scalar(n) && is_scalar(node_of(w, n->in[0])) && is_read_well(w, n->in[0], NUMBER);
    if (form_of(w, o) != view)
        return false;
    for (uint32_t k = 0; k < count; k++)
        if (!is_read_well(w, in[k], is_scalar(node_of(w, in[k])) ? NUMBER : view))
            return false;
    return true;
}

static bool are_read_well(const Work *w, const RefVec *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        const Node *n = node_of(w, list->at[i]);
        const Ref *in;
        uint32_t count = node_inputs(w->bg->g, list->at[i], &in);
        Form f = is_sum(n) ? form_of(w, n->in[0]) : form_of(w, list->at[i]);
        for (uint32_t k = 0; k < count; k++)
            if (!is_read_well(w, in[k], is_scalar(node_of(w, in[k])) ? NUMBER : f))
                return false;
    }
    return true;
}

/* What of the stage units, or sums over them, read besides what they make themselves. */
static void find_early(Work *w)
{
    const Graph *g = w->bg->g;
    bool *read = NEW_N(w->bg->L->arena, bool, g->node.n);
    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        for (uint32_t k = node_inputs(g, r, &in); k-- > 0 && (read[r] || in_list(&w->node, r) || in_list(&w->reduce, r));)
            read[in[k]] = true;
    }
    for (uint32_t i = 0; i < w->made.n; i++)
        if (read[w->made.at[i]])
            VEC_PUSH(w->bg->L->arena, w->early) = w->made.at[i];
    for (uint32_t i = 0; i < w->row.n; i++)
        if (read[w->row.at[i]])
            VEC_PUSH(w->bg->L->arena, w->early_row) = w->row.at[i];
    for (uint32_t k = 0; k < w->rows; k++)
        w->at_row[k] = NEW_N(w->bg->L->arena, LV, g->node.n + 1);
}

/* No unit waits for another one, and each finds what it reads. */
static bool are_apart(Work *w)
{
    const Graph *g = w->bg->g;
    w->across = NEW_N(w->bg->L->arena, bool, g->node.n);
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        w->across[r] = in_list(&w->reduce, r);
        for (uint32_t k = node_inputs(g, r, &in); k-- > 0;)
            w->across[r] |= w->across[in[k]];
    }
    for (uint32_t i = 0; i < w->node.n; i++)
        if (w->across[w->node.at[i]])
            return false;
    for (uint32_t i = 0; i < w->reduce.n; i++)
        if (w->across[node_of(w, w->reduce.at[i])->in[0]])
            return false;
    return are_read_well(w, &w->node) && are_read_well(w, &w->reduce) && are_read_well(w, &w->made) && are_read_well(w, &w->row);
}

/* What no step changes: vectors, of which the first few are kept in registers, and numbers. */
static void find_invariants(Work *w)
{
    const LowG *bg = w->bg;
    for (Ref r = 1; r < bg->g->node.n; r++) {
        const Node *n = &bg->g->node.at[r];
        const Node *from = n;
        while (bg->ni[from - bg->g->node.at].kind == NK_ACCESS && from->op == OP_SLICE)
            from = &bg->g->node.at[from->in[0]];
        if (from->op != OP_CAPTURE || n->dtype != DT_F || bg->ni[from - bg->g->node.at].is_const || n->axes & AX(bg->axis))
            continue;
        if (n->rank == 1 && n->dim[0] == w->N && w->invariant.n < INVARIANT)
            VEC_PUSH(bg->L->arena, w->invariant) = r;
        else if (n->rank == 0 && n == from)
            VEC_PUSH(bg->L->arena, w->number) = r;
    }
}

static int vectors_at_once(const Work *w)
{
    return w->vectors + w->invariant.n <= BOTH ? 2 : 1;
}

/* Through all steps of a block a vector's sums are in memory once a step; a step at a time its states are. */
static bool plan_order(Work *w)
{
    int per = LANES / w->bg->L->p->V, room = w->bg->L->o.registers - 10;
    w->by_step = w->rows && w->nsum > w->vectors * (uint32_t)vectors_at_once(w);
    return !w->by_step || (int)w->nsum * per <= room;
}

static bool plan(Work *w, const Columns *c)
{
    LowG *bg = c->bg;
    Ref state = leaf_of(bg->g, 0);
    *w = (Work){ .c = c, .bg = bg };
    if (bg->g->stage.n != 1 || bg->segment || bg->L->o.one_step || !state || !bg->g->node.at[state].rank)
        return false;
    w->it = &bg->g->stage.at[0];
    w->N = bg->g->node.at[state].dim[bg->g->node.at[state].rank - 1];
    if (w->N < 2 || w->it->kind != STAGE_ROW || w->it->group || !(w->it->axes & AX(bg->L->bx)))
        return false;
    w->item = bg->ni[w->it->node.at[0].ref].item;
    if (!sort_nodes(w) || !sort_carries(w) || !are_apart(w))
        return false;
    find_invariants(w);
    find_early(w);
    return plan_order(w);
}

bool columns_fit(const Columns *c)
{
    Work w;
    return plan(&w, c);
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------------ */

static void save_places(Work *w)
{
    uint32_t n = w->bg->g->node.n;
    Arena *a = w->bg->L->arena;
    w->loc = NEW_N(a, Loc, n);
    w->also = NEW_N(a, LocList, n);
    for (Ref r = 1; r < n; r++) {
        w->loc[r] = w->bg->ni[r].loc;
        for (uint32_t k = 0; k < w->bg->ni[r].also.n; k++)
            VEC_PUSH(a, w->also[r]) = w->bg->ni[r].also.at[k];
    }
}

/* The places of step t. */
static void at_step(Work *w, LV t)
{
    for (Ref r = 1; r < w->bg->g->node.n; r++) {
        NodeInfo *ni = &w->bg->ni[r];
        ni->loc = w->loc[r];
        for (uint32_t k = 0; k < ni->also.n; k++)
            ni->also.at[k] = w->also[r].at[k];
    }
    w->bg->t = t;
    w->c->bind(w->c->scan);
    for (uint32_t k = 0; k < w->n; k++) /* stands in a register until the block is done */
        if (!w->c->slotted[k] && !w->by_step)
            w->bg->ni[w->next[k]].loc.ok = false;
    for (uint32_t k = 0; k < w->it->node.n; k++) { /* what other levels of a row would find in memory */
        NodeInfo *ni = &w->bg->ni[w->it->node.at[k].ref];
        ni->loc.ok &= ni->mem || ni->whole;
    }
}

static LIdx sum_at(Work *w, uint32_t k, LV t, int64_t lane)
{
    LBuilder *b = &w->bg->L->b;
    LV i = lb_op(b, LOP_ISUB, t, w->lo, 0, 0);
    return lb_idx_term(b, lidx(k * LANES + lane), i, w->nsum * LANES);
}

/* The units from at + offset on. */
static void unit_make(Work *w, Unit *u, LV at, int64_t offset, int lanes)
{
    LIdx i = lidx(offset);
    u->units = eval_make(w->bg, lanes, 1);
    u->units.ix[0] = (Ix){ at ? lb_idx_term(&w->bg->L->b, i, at, 1) : i, true };
    u->units.unit = NEW_N(w->bg->L->arena, LV, w->bg->g->node.n + 1);
    for (uint32_t k = 0; k < w->rows; k++) {
        u->row[k] = eval_make(w->bg, lanes, 2);
        u->row[k].ix[0] = (Ix){ lidx(k), false };
        u->row[k].ix[1] = u->units.ix[0];
        u->row[k].unit = u->units.unit;
        u->row[k].row = w->at_row[k];
    }
}

/* Where vector k of r, of form UNITS or MATRIX, is computed. */
static Eval *unit_row(const Work *w, Unit *u, Ref r, uint32_t k)
{
    return form_of(w, r) == MATRIX ? &u->row[k] : &u->units;
}

static void unit_set(const Work *w, Unit *u, Ref r, uint32_t k, LV v)
{
    eval_keep(unit_row(w, u, r, k), r, v);
    if (form_of(w, r) == UNITS)
        u->units.unit[r] = v;
}

static LV unit_get(const Work *w, Unit *u, Ref r, uint32_t k)
{
    return eval_known(unit_row(w, u, r, k), r);
}

/* The same units in a step, with what has been computed before all of them. */
static void unit_in_step(Work *w, Unit *u, const Unit *before)
{
    eval_copy(&u->units, &before->units);
    memcpy(u->units.unit, before->units.unit, (w->bg->g->node.n + 1) * sizeof(LV));
}

static void unit_node(Work *w, Unit *u, Ref r)
{
    const Node *n = node_of(w, r);
    if (is_sum(n)) { /* over the rows of a matrix */
        LV v = reduce_neutral(&w->bg->L->b, n);
        for (uint32_t k = 0; k < rows_of(w, n->in[0]); k++)
            v = reduce_next(&u->row[k], n, v, 2, u->row[k].ix, false);
        unit_set(w, u, r, 0, v);
        return;
    }
    for (uint32_t k = 0; k < rows_of(w, r); k++)
        unit_set(w, u, r, k, eval_node(unit_row(w, u, r, k), r));
}

static void load_carries(Work *w, Unit *u, LV *v, int of)
{
    LBuilder *b = &w->bg->L->b;
    LV first = w->bg->scan.reverse ? lb_op(b, LOP_ISUB, w->hi, lb_iconst(b, 1), 0, 0) : w->lo;
    for (uint32_t k = 0; k < w->n; k++) {
        Loc l = w->c->carry[k];
        l.bind = 0;
        if (w->c->slotted[k])
            l = low_at(w->bg->L, l, w->bg->axis, first);
        for (uint32_t i = 0; i < rows_of(w, w->leaf[k]); i++)
            v[(w->first[k] + i) * (uint32_t)of] = load_value(unit_row(w, u, w->leaf[k], i), &l, node_of(w, w->leaf[k]));
    }
    for (uint32_t k = 0; k < w->invariant.n; k++)
        eval_keep(&u->units, w->invariant.at[k], eval_at(&u->units, w->invariant.at[k], 1, u->units.ix));
}

/* Adds to the sums over units of step t. */
static void add_sums(Work *w, Unit *u, LV t, int64_t offset)
{
    Low *L = w->bg->L;
    int V = L->p->V;
    uint32_t at = 0;
    for (uint32_t k = 0; k < w->reduce.n; k++) {
        const Node *n = node_of(w, w->reduce.at[k]);
        for (uint32_t i = 0; i < rows_of(w, w->reduce.at[k]); i++, at++) {
            Eval *e = unit_row(w, u, n->in[0], i);
            if (w->by_step) {
                LV *acc = &w->acc[at * LANES + offset % LANES / V];
                *acc = reduce_next(e, n, *acc, e->rank, e->ix, true);
                continue;
            }
            LIdx to = sum_at(w, at, t, offset % LANES);
            LV v = reduce_next(e, n, lb_load(&L->b, LOP_LD, w->sums, to, V), e->rank, e->ix, true);
            lb_store(&L->b, LOP_ST, w->sums, to, v, V);
        }
    }
}

/* Numbers that no step changes. */
static void hold_numbers(Work *w, bool known)
{
    for (uint32_t i = 0; i < w->number.n; i++) {
        Eval e = eval_make(w->bg, 0, 0);
        w->bg->ni[w->number.at[i]].row = 0;
        w->bg->ni[w->number.at[i]].row = known ? eval_at(&e, w->number.at[i], 0, e.ix) : 0;
    }
}

/* What of the stage units read besides: it is made with each vector. */
static void set_early(Work *w, bool known)
{
    for (uint32_t i = 0; i < w->early.n; i++) {
        Eval e = eval_make(w->bg, 0, node_of(w, w->early.at[i])->rank);
        w->bg->ni[w->early.at[i]].row = known ? eval_node(&e, w->early.at[i]) : 0;
    }
    for (uint32_t i = 0; i < w->early_row.n; i++)
        for (uint32_t k = 0; k < w->rows && k < rows_of(w, w->early_row.at[i]); k++) {
            Ref r = w->early_row.at[i];
            Eval e = eval_make(w->bg, 0, 1);
            e.ix[0] = (Ix){ lidx(k), false };
            e.row = w->at_row[k];
            w->at_row[k][r] = known ? eval_node(&e, r) : 0;
        }
}

/* Of what one step makes of a vector: to its places. */
static void store_units(Work *w, Unit *u)
{
    for (uint32_t k = 0; k < w->node.n; k++)
        for (uint32_t i = 0; i < rows_of(w, w->node.at[k]); i++)
            store_all(unit_row(w, u, w->node.at[k], i), w->node.at[k], unit_get(w, u, w->node.at[k], i));
}

/* `count` vectors, the first one at + offset, through the steps of the block. */
static void pass_steps(Work *w, LV at, int64_t offset, int lanes, int count)
{
    Low *L = w->bg->L;
    LBuilder *b = &L->b;
    LV v[2 * MOST], in[2 * MOST], out[2 * MOST];
    Unit *pre = NEW_N(L->arena, Unit, 2), *u = NEW_N(L->arena, Unit, 2);
    uint32_t n = w->vectors * (uint32_t)count, of = (uint32_t)count;
    for (int j = 0; j < count; j++) {
        unit_make(w, &pre[j], at, offset + j * L->p->V, lanes);
        load_carries(w, &pre[j], v + j, count);
    }
    LV t = lb_for(b, w->lo, w->hi, 1, w->bg->scan.reverse, n, v, in);
    at_step(w, t);
    low_prefetch(L, 0, 1); /* the vectors that come next, from here on in each step */
    L->ahead_units = count * L->p->V;
    set_early(w, true);
    for (int j = 0; j < count; j++) {
        unit_make(w, &u[j], at, offset + j * L->p->V, lanes);
        unit_in_step(w, &u[j], &pre[j]);
        for (uint32_t k = 0; k < w->n; k++)
            for (uint32_t i = 0; i < rows_of(w, w->leaf[k]); i++)
                unit_set(w, &u[j], w->leaf[k], i, in[(w->first[k] + i) * of + (uint32_t)j]);
        for (uint32_t k = 0; k < w->node.n; k++)
            unit_node(w, &u[j], w->node.at[k]);
    }
    for (int j = 0; j < count; j++) {
        add_sums(w, &u[j], t, offset + j * L->p->V);
        store_units(w, &u[j]);
        for (uint32_t k = 0; k < w->n; k++)
            for (uint32_t i = 0; i < rows_of(w, w->leaf[k]); i++)
                out[(w->first[k] + i) * of + (uint32_t)j] = unit_get(w, &u[j], w->next[k], i);
    }
    set_early(w, false);
    L->ahead = false;
    lb_end_for(b, n, out, v);
    for (uint32_t k = 0; k < w->n; k++)
        for (uint32_t i = 0; !w->c->slotted[k] && i < rows_of(w, w->leaf[k]) * of; i++)
            store_value(unit_row(w, &pre[i % of], w->leaf[k], i / of), &w->c->carry[k], node_of(w, w->leaf[k]), v[w->first[k] * of + i]);
}

static void all_units(Work *w)
{
    LBuilder *b = &w->bg->L->b;
    int V = w->bg->L->p->V, count = vectors_at_once(w), per = w->nsum ? LANES / V : 1;
    int64_t block = (int64_t)(per > count ? per : count) * V, full = w->N / block * block;
    if (full) {
        LV at = full == block ? 0 : lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), block, false, 0, NULL, NULL);
        for (int64_t i = 0; i < block; i += (int64_t)count * V)
            pass_steps(w, at, i, V, count);
        if (at)
            lb_end_for(b, 0, NULL, NULL);
    }
    for (int64_t i = full; i < w->N; i += V)
        pass_steps(w, 0, i, (int)(w->N - i < V ? w->N - i : V), 1);
}

static void clear_sums(Work *w)
{
    LBuilder *b = &w->bg->L->b;
    uint32_t at = 0;
    if (!w->nsum)
        return;
    LV t = lb_for(b, w->lo, w->hi, 1, false, 0, NULL, NULL);
    for (uint32_t k = 0; k < w->reduce.n; k++)
        for (uint32_t row = 0; row < rows_of(w, w->reduce.at[k]); row++, at++)
            for (int64_t i = 0; i < LANES; i += b->p->V)
                lb_store(b, LOP_ST, w->sums, sum_at(w, at, t, i), reduce_neutral(b, node_of(w, w->reduce.at[k])), b->p->V);
    lb_end_for(b, 0, NULL, NULL);
}

/* A number, or a value of row k: it has a value now, which its places get. */
static void row_set(Work *w, Ref r, uint32_t k, LV v)
{
    bool number = form_of(w, r) == NUMBER;
    Eval e = eval_make(w->bg, 0, node_of(w, r)->rank);
    if (!number)
        e.ix[0] = (Ix){ lidx(k), false };
    v = v ? v : eval_node(&e, r);
    *(number ? &w->bg->ni[r].row : &w->bg->ni[r].at_row) = v;
    store_all(&e, r, v);
}

/* Whether a step has more to do when all units are done. */
static bool has_end(const Work *w)
{
    return w->nsum || w->made.n || w->row.n;
}

/* The sums over units of step t: numbers, or those of row k. */
static void finish_sums(Work *w, LV t, bool numbers, uint32_t row)
{
    LBuilder *b = &w->bg->L->b;
    int V = b->p->V;
    LV acc[LANES];
    uint32_t at = 0;
    for (uint32_t k = 0; k < w->reduce.n; at += rows_of(w, w->reduce.at[k++])) {
        Ref r = w->reduce.at[k];
        if ((form_of(w, r) == NUMBER) != numbers || row >= rows_of(w, r))
            continue;
        for (int i = 0; i < LANES / V; i++)
            acc[i] = w->by_step ? w->acc[(at + row) * LANES + (uint32_t)i] : lb_load(b, LOP_LD, w->sums, sum_at(w, at + row, t, i * V), V);
        row_set(w, r, row, reduce_lanes(b, node_of(w, r), acc, LANES / V));
    }
}

/* What step t makes when all units are done. */
static void end_step(Work *w, LV t)
{
    LowG *bg = w->bg;
    finish_sums(w, t, true, 0);
    for (uint32_t k = 0; k < w->made.n; k++)
        row_set(w, w->made.at[k], 0, 0);
    for (uint32_t i = 0; i < MOST; i++) {
        finish_sums(w, t, false, i);
        for (uint32_t k = 0; k < w->row.n; k++)
            if (i < rows_of(w, w->row.at[k]))
                row_set(w, w->row.at[k], i, 0);
    }
    for (uint32_t k = 0; k < w->it->node.n; k++)
        bg->ni[w->it->node.at[k].ref].row = bg->ni[w->it->node.at[k].ref].at_row = 0;
}

/* Sums over units, and what is made of these, of each step. */
static void all_sums(Work *w)
{
    LBuilder *b = &w->bg->L->b;
    if (!has_end(w))
        return;
    LV t = lb_for(b, w->lo, w->hi, 1, w->bg->scan.reverse, 0, NULL, NULL);
    at_step(w, t);
    end_step(w, t);
    lb_end_for(b, 0, NULL, NULL);
}

static void block_steps(Work *w, const Columns *c)
{
    LBuilder *b = &w->bg->L->b;
    LV steps = lb_iconst(b, STEPS), all = lb_op(b, LOP_ISUB, c->hi, c->lo, 0, 0);
    LV count = lb_op(b, LOP_IDIV, lb_op(b, LOP_IADD, all, lb_iconst(b, STEPS - 1), 0, 0), steps, 0, 0);
    LV k = lb_for(b, lb_iconst(b, 0), count, 1, c->bg->scan.reverse, 0, NULL, NULL);
    w->lo = lb_op(b, LOP_IADD, c->lo, lb_op(b, LOP_IMUL, k, steps, 0, 0), 0, 0);
    w->hi = lb_op(b, LOP_IMIN, c->hi, lb_op(b, LOP_IADD, w->lo, steps, 0, 0), 0, 0);
    hold_numbers(w, true);
    clear_sums(w);
    all_units(w);
    all_sums(w);
    hold_numbers(w, false);
    lb_end_for(b, 0, NULL, NULL);
}

/* ---- a step at a time ------------------------------------------------------------------------------------------------------------- */

/* The accumulators as carries of a loop over units, and back. */
static uint32_t list_sums(Work *w, LV *list, bool back)
{
    uint32_t n = 0, per = LANES / (uint32_t)w->bg->L->p->V;
    for (uint32_t k = 0; k < w->nsum; k++)
        for (uint32_t i = 0; i < per; i++, n++) {
            LV *acc = &w->acc[k * LANES + i];
            *(back ? acc : &list[n]) = *(back ? &list[n] : acc);
        }
    return n;
}

/* Units from at + offset on, `left` of them. */
static void step_units(Work *w, LV at, int64_t offset, int64_t left)
{
    int V = w->bg->L->p->V;
    for (int64_t i = 0; i < left; i += V) {
        Unit *u = NEW(w->bg->L->arena, Unit);
        unit_make(w, u, at, offset + i, (int)(left - i < V ? left - i : V));
        for (uint32_t k = 0; k < w->node.n; k++)
            unit_node(w, u, w->node.at[k]);
        add_sums(w, u, 0, offset + i);
        store_units(w, u);
    }
}

/* All units of a step: their sums are in registers, their states are not. */
static void whole_step(Work *w)
{
    Low *L = w->bg->L;
    LBuilder *b = &L->b;
    LV list[MANY_SUMS * LANES], inner[MANY_SUMS * LANES];
    int64_t block = w->nsum ? LANES : L->p->V, full = w->N / block * block;
    uint32_t at = 0;
    for (uint32_t k = 0; k < w->reduce.n; k++)
        for (uint32_t i = 0; i < rows_of(w, w->reduce.at[k]); i++, at++)
            for (uint32_t j = 0; j < LANES; j++)
                w->acc[at * LANES + j] = reduce_neutral(b, node_of(w, w->reduce.at[k]));
    set_early(w, true);
    if (full) {
        uint32_t n = list_sums(w, list, false);
        LV i = lb_for(b, lb_iconst(b, 0), lb_iconst(b, full), block, false, n, list, inner);
        list_sums(w, inner, true);
        step_units(w, i, 0, block);
        list_sums(w, inner, false);
        lb_end_for(b, n, inner, list);
        list_sums(w, list, true);
    }
    step_units(w, 0, full, w->N - full);
    set_early(w, false);
}

static void single_steps(Work *w, const Columns *c)
{
    LowG *bg = w->bg;
    LBuilder *b = &bg->L->b;
    LV t = lb_for(b, c->lo, c->hi, 1, bg->scan.reverse, 0, NULL, NULL);
    at_step(w, t);
    low_prefetch(bg->L, lb_op(b, LOP_DIM, 0, 0, 0, bg->L->bx), bg->scan.reverse ? -1 : 1);
    hold_numbers(w, true);
    whole_step(w);
    bg->L->ahead = false;
    end_step(w, t);
    hold_numbers(w, false);
    lb_end_for(b, 0, NULL, NULL);
}

void emit_columns(const Columns *c)
{
    Work w;
    if (!plan(&w, c))
        return;
    Low *L = c->bg->L;
    LBuilder *b = &L->b;
    L->pos++;
    save_places(&w);
    if (w.nsum && !w.by_step)
        w.sums = low_buf(L, "sums", LB_LOCAL, LE_F, b->fn, 0, (int64_t)STEPS * LANES * w.nsum, 0);
    L->idx[L->bx] = lb_for(b, L->blo, L->bhi, 1, false, 0, NULL, NULL);
    if (w.by_step)
        single_steps(&w, c);
    else
        block_steps(&w, c);
    lb_end_for(b, 0, NULL, NULL);
    L->idx[L->bx] = 0;
}
