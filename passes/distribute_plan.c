/* distribute, the choice: which values of a body are made before the loop, inside, after it. No cost model, no target; products
   are the seeds, everything else only goes along (docs/ir.md section 5).
     %1 = carry 0   %2 = step 0   %3 = capture 0   %4 = capture 1
     %5 = dot %2 %3       before: a product without a carry beneath
     %6 = sigmoid %5      before: all that it needs is there, and what enters the loop gets no wider
     %7 = mul %1 %6       inside
     %8 = dot %7 %4       after: a product that no next needs; %7 becomes a stack
     next %7   stack %8 */
#include "passes/distribute.h"
#include "passes/rewrite.h"

static const Node *at(const Split *s, Ref r)
{
    return &s->g->node.at[r];
}

static bool leaf(const Split *s, Ref r)
{
    return op_info[at(s, r)->op].cls == OPC_LEAF;
}

/* ---- what depends on what ------------------------------------------------------------------------------------------------- */

static bool contracts_batch(const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    uint32_t before = 0;

    if (n->op != OP_SUM && n->op != OP_AMAX && n->op != OP_DOT && n->op != OP_SCATTER_ADD) return false;
    for (int i = 0; i < op_info[n->op].arity; i++) before |= g->node.at[n->in[i]].axes;
    return (before & ~n->axes & AX(AXIS_B)) != 0;
}

/* Does the value change from step to step although its operands do not? "The batch" of a ragged loop is the active examples. */
static bool varies_itself(const Split *s, const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);

    if (n->op == OP_IOTA) return n->attr == 1 + s->axis && !(n->axes & AX(s->axis));
    if (n->op == OP_NOISE) return (w[2] & AX(s->axis)) != 0;
    if (n->op == OP_SCAN) {
        const Graph *b = s->m->graph.at[scan_info(g, r).body];
        for (Ref i = 1; i < b->node.n; i++)
            if (varies_itself(s, b, i)) return true;
        return false;
    }
    return s->ragged && contracts_batch(g, r);
}

bool evaluates_at_once(const Split *s, Ref r)
{
    const Node *n = at(s, r);
    uint8_t cls = op_info[n->op].cls;

    if (n->axes & AX(s->axis)) return false; /* of a captured sequence over the same axis */
    if (cls == OPC_TIME || cls == OPC_CONTROL) return false;
    if (contracts_batch(s->g, r)) { /* of all steps at once only if the operand has a value a step */
        uint8_t vary = s->vary[n->in[0]];
        if (op_info[n->op].arity > 1) vary |= s->vary[n->in[1]];
        if (!vary) return false;
    }
    for (int i = 0; i < op_info[n->op].arity && n->op != OP_CONCAT; i++)
        if (at(s, n->in[i])->axes & AX(s->axis)) return false;
    return true;
}

void split_analyse(Split *s)
{
    uint32_t n = s->g->node.n;

    s->users = find_users(s->a, s->g);
    for (Ref r = 1; r < n; r++) {
        const Ref *in;
        uint32_t count = node_inputs(s->g, r, &in);
        Op op = (Op)at(s, r)->op;
        bool lift = true;
        for (uint32_t i = 0; i < count; i++) {
            s->vary[r] |= s->vary[in[i]];
            lift = lift && s->lift[in[i]];
        }
        if (op == OP_STEP || varies_itself(s, s->g, r)) s->vary[r] |= VARY_STEP;
        if (op == OP_CARRY) s->vary[r] = VARY_CARRY;
        s->lift[r] = lift && !(s->vary[r] & VARY_CARRY) && (leaf(s, r) || !s->vary[r] || evaluates_at_once(s, r));
        s->product[r] = op == OP_DOT && dot_classify(s->g, r).kind == DOT_PRODUCT;
    }
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k]) s->reaches_next[s->g->root.at[k].ref] = 1;
    for (Ref r = n - 1; r > 0; r--) {
        const Ref *in;
        uint32_t count = s->reaches_next[r] ? node_inputs(s->g, r, &in) : 0;
        for (uint32_t i = 0; i < count; i++) s->reaches_next[in[i]] = 1;
    }
}

/* ---- before the loop ------------------------------------------------------------------------------------------------------- */

static bool is_next(const Split *s, Ref r)
{
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k] && s->g->root.at[k].ref == r) return true;
    return false;
}

static bool used_inside(const Split *s, Ref r)
{
    for (uint32_t i = s->users.at[r]; i < s->users.at[r + 1]; i++)
        if (s->where[s->users.of[i]] == IN || s->copied[s->users.of[i]]) return true;
    return is_next(s, r);
}

static bool used_as(const Split *s, Ref r, Where where)
{
    for (uint32_t i = s->users.at[r]; i < s->users.at[r + 1]; i++)
        if (s->where[s->users.of[i]] == where) return true;
    return false;
}

/* Lifting adds the axis: no array may get axes that no sequence beneath it has (a [T,S] where S was captured). */
static uint32_t *sequence_axes(const Split *s)
{
    uint32_t *axes = NEW_N(s->a, uint32_t, s->g->node.n);

    for (Ref r = 1; r < s->g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(s->g, r, &in);
        axes[r] = AX(AXIS_B) | (at(s, r)->op == OP_STEP ? at(s, r)->axes : 0);
        for (uint32_t i = 0; i < n; i++) axes[r] |= axes[in[i]];
    }
    return axes;
}

static bool root_of_kind(const Split *s, Ref r, RootKind kind)
{
    for (uint32_t i = s->ncarry; i < s->g->root.n; i++)
        if (s->g->root.at[i].kind == kind && s->g->root.at[i].ref == r) return true;
    return false;
}

static bool read_by_one(const Split *s, Ref r)
{
    if (root_of_kind(s, r, ROOT_STACK)) return false;
    for (uint32_t i = s->users.at[r]; i + 1 < s->users.at[r + 1]; i++)
        if (s->users.of[i] != s->users.of[i + 1]) return false;
    return true;
}

/* Back into the loop with r, and with what follows a product for it alone: what would then have to enter it, in features. */
static int64_t entering(const Split *s, Ref r, const uint8_t *follow)
{
    const Ref *in;
    uint32_t n = node_inputs(s->g, r, &in);
    int64_t width = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++) again |= in[k] == in[i];
        if (again || used_inside(s, in[i])) continue;
        if (s->where[in[i]] == PRE || at(s, in[i])->op == OP_STEP) {
            int64_t own = node_features(at(s, in[i]));
            int64_t beneath = follow[in[i]] && read_by_one(s, in[i]) ? entering(s, in[i], follow) : own;
            width += beneath < own ? beneath : own;
        }
    }
    return width;
}

static void choose_before(Split *s)
{
    uint32_t n = s->g->node.n, *axes = sequence_axes(s);
    uint8_t *line = NEW_N(s->a, uint8_t, n), *follow = NEW_N(s->a, uint8_t, n); /* a seed beneath; not needed by a seed */
    const Ref *in;

    for (Ref r = n - 1; r > 0; r--) {
        line[r] = s->product[r] && s->lift[r] && s->vary[r] && !(at(s, r)->axes & ~axes[r]);
        if ((line[r] || used_as(s, r, PRE)) && !leaf(s, r) && s->vary[r]) s->where[r] = PRE;
    }
    for (Ref r = 1; r < n; r++) { /* what can follow */
        uint32_t count = node_inputs(s->g, r, &in);
        bool ok = s->lift[r] && s->vary[r] && !leaf(s, r) && s->where[r] == IN && !(at(s, r)->axes & ~axes[r]), from = false;
        for (uint32_t i = 0; i < count; i++) {
            ok = ok && (leaf(s, in[i]) || !s->vary[in[i]] || s->where[in[i]] == PRE);
            from |= line[in[i]];
        }
        if (!ok || !from) continue;
        s->where[r] = PRE;
        line[r] = follow[r] = 1;
    }
    for (Ref r = n - 1; r > 0; r--) { /* back with what only widens */
        if (!follow[r] || !used_inside(s, r) || used_as(s, r, PRE) || root_of_kind(s, r, ROOT_STACK)) continue;
        if (entering(s, r, follow) < node_features(at(s, r))) s->where[r] = IN;
    }
    for (Ref r = n - 1; r > 0; r--)
        if (s->where[r] == PRE && !line[r] && is_cheap(s->g, r) && used_inside(s, r)) s->copied[r] = 1;
}

/* ---- after the loop -------------------------------------------------------------------------------------------------------- */

bool has_stack(const Split *s, Ref r)
{
    if (s->stacked[r]) return true;
    if (at(s, r)->op == OP_CARRY) {
        Ref next = s->g->root.at[at(s, r)->attr].ref;
        return at(s, next)->op != OP_CARRY && has_stack(s, next);
    }
    return leaf(s, r) || !s->vary[r] || s->where[r] != IN;
}

void need_stack(Split *s, Ref r)
{
    if (has_stack(s, r)) return;
    if (at(s, r)->op == OP_CARRY) { /* seen as shift(stack next, init) */
        Ref next = s->g->root.at[at(s, r)->attr].ref;
        if (at(s, next)->op != OP_CARRY) r = next;
    }
    s->stacked[r] = 1;
}

static int64_t new_stacks(const Split *s, Ref r)
{
    const Ref *in;
    uint32_t n = node_inputs(s->g, r, &in);
    int64_t width = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++) again |= in[k] == in[i];
        if (again || has_stack(s, in[i])) continue;
        if (at(s, in[i])->axes & ~at(s, r)->axes) return INT64_MAX;
        width += node_features(at(s, in[i]));
    }
    return width;
}

static bool all_users(const Split *s, Ref r, const uint8_t *set, uint8_t value)
{
    for (uint32_t i = s->users.at[r]; i < s->users.at[r + 1]; i++)
        if (set[s->users.of[i]] != value) return false;
    return true;
}

static void choose_after(Split *s)
{
    uint32_t n = s->g->node.n;
    uint8_t *free = NEW_N(s->a, uint8_t, n); /* it and all that hangs on it can go */
    const Ref *in;

    for (Ref r = n - 1; r > 0; r--)
        free[r] = !leaf(s, r) && s->vary[r] && s->where[r] == IN && !s->reaches_next[r] && evaluates_at_once(s, r) &&
                  all_users(s, r, free, 1);
    for (Ref r = 1; r < n; r++) {
        uint32_t count = node_inputs(s->g, r, &in);
        bool go = s->product[r] && free[r] && !(at(s, r)->axes & ~AX(AXIS_B));
        for (uint32_t i = 0; i < count; i++) go |= s->where[in[i]] == POST;
        if (go) s->where[r] = POST;
    }
    for (Ref r = 1; r < n; r++) {
        uint32_t count = s->where[r] == POST ? node_inputs(s->g, r, &in) : 0;
        for (uint32_t i = 0; i < count; i++)
            if (!free[in[i]]) need_stack(s, in[i]);
    }
    for (Ref r = n - 1; r > 0; r--) {
        uint32_t count;
        if (!free[r] || s->where[r] != IN || s->users.at[r] == s->users.at[r + 1] || !all_users(s, r, s->where, POST)) continue;
        if (new_stacks(s, r) > node_features(at(s, r))) {
            s->stacked[r] = 1;
            continue;
        }
        s->where[r] = POST;
        count = node_inputs(s->g, r, &in);
        for (uint32_t i = 0; i < count; i++)
            if (!free[in[i]]) need_stack(s, in[i]);
    }
    for (Ref r = 1; r < n; r++) { /* free ones that stayed */
        uint32_t count = s->where[r] == POST ? node_inputs(s->g, r, &in) : 0;
        for (uint32_t i = 0; i < count; i++) need_stack(s, in[i]);
    }
}

/* Without carries everything can be evaluated at all steps at once. */
static bool dissolve(Split *s)
{
    uint32_t *axes = sequence_axes(s);

    for (uint32_t k = 0; k < s->ncarry; k++)
        if (!s->gone[k]) return false;
    for (Ref r = 1; r < s->g->node.n; r++)
        if (!s->lift[r] || (s->vary[r] && (at(s, r)->axes & ~axes[r]))) return false;
    for (Ref r = 1; r < s->g->node.n; r++)
        if (s->vary[r] && !leaf(s, r)) s->where[r] = PRE;
    return true;
}

void split_choose(Split *s)
{
    for (uint32_t i = s->ncarry; i < s->g->root.n; i++) {
        const Root *x = &s->g->root.at[i];
        if (x->kind != ROOT_STACK || !s->vary[x->ref]) continue;
        if (!leaf(s, x->ref) || at(s, x->ref)->op == OP_CARRY) s->stacked[x->ref] = 1;
    }
    if (!s->nested && !dissolve(s)) {
        choose_before(s);
        choose_after(s);
    }
    for (Ref r = 1; r < s->g->node.n; r++)
        if (s->where[r] != IN) s->stacked[r] = 0;
}
