/* What a module may be. The rules are written from docs/ir.md, not from the builder's inference: they accept nothing that the
   builder only tolerates. Each returns what is wrong, or NULL. */
#include <string.h>

#include "ir/build.h"

#define RULE(cond, text) \
    do { \
        if (!(cond)) return text; \
    } while (0)

typedef struct {
    const Module *m;
    const char *pass;
    const Graph *g;
    uint32_t enclosing;       /* axes of the scans around g */
    uint32_t path[64], depth; /* bodies being verified, to find a body inside itself */
    bool ok;
} Verify;

static void complain(Verify *v, Ref r, const char *what) {
    const Node *n = r ? &v->g->node.at[r] : NULL;
    Span at = {n ? n->span : 0, n ? n->span : 0};
    const char *graph = v->g == v->m->init ? "init" : v->g->index ? "body" : "model";

    v->ok = false;
    if (!n)
        diag_error(v->m->ctx, 999, at, "after %s: graph %u (%s): %s", v->pass, v->g->index, graph, what);
    else
        diag_error(v->m->ctx, 999, at, "after %s: graph %u (%s), %%%u = %s%s%s: %s", v->pass, v->g->index, graph, r,
                   n->op < OP_COUNT ? op_info[n->op].text : "?", n->name ? " " : "", name_str(v->m->ctx, n->name), what);
}

static const Node *in(const Verify *v, const Node *n, int i) { return &v->g->node.at[n->in[i]]; }

static bool fits(const Node *a, const Node *n) /* features of an elementwise operand */
{
    return a->rank == 0 || same_dims(a, n);
}

/* ---- types, by class -------------------------------------------------------------------------------------------------- */

static const char *check_iota_noise(const Verify *v, const Node *n, const uint32_t *w) {
    if (n->op == OP_IOTA) {
        RULE(n->dtype == DT_I, "iota is an int");
        if (!w[0]) {
            RULE(n->rank == 1 && !n->axes, "iota over a dim is i[n]");
            return NULL;
        }
        RULE(w[0] <= v->m->naxis && w[0] > 1, "iota over no time axis");
        RULE(n->rank == 0 && (n->axes == 0 || n->axes == AX(w[0] - 1)), "iota over an axis is i<axis>[] or i[]");
        RULE(n->axes || (v->enclosing & AX(w[0] - 1)), "iota over an axis that is not around it");
        return NULL;
    }
    RULE(n->dtype == DT_F, "noise is a float");
    RULE(w[0] <= NOISE_ORTHOGONAL, "no such kind of noise");
    RULE(!(w[2] & ~(n->axes | v->enclosing)) && !(w[2] & AX(AXIS_B)), "noise depends on an axis that is not around it");
    RULE(w[0] != NOISE_ORTHOGONAL || (v->g == v->m->init && n->rank >= 2), "orthogonal noise belongs to init and is a matrix, or several");
    return NULL;
}

static const char *check_leaf(const Verify *v, const Node *n, const uint32_t *w) {
    const Module *m = v->m;
    bool body = v->g != m->init && v->g->index != 0;

    if (n->op == OP_CONST) {
        double c = words_double(w);
        RULE(n->rank == 0 && n->axes == 0, "const is a scalar");
        RULE(n->dtype == DT_F || (c >= INT32_MIN && c <= INT32_MAX && c == (double)(int32_t)c),
             "a constant int or bool is whole");
        RULE(n->dtype != DT_B || c == 0 || c == 1, "a constant bool is 0 or 1");
        return NULL;
    }
    if (n->op == OP_PARAM || n->op == OP_INPUT) {
        RULE(v->g == m->graph.at[0] || v->g->cut, "parameters and inputs are leaves of the model only");
        RULE(n->attr < (n->op == OP_PARAM ? m->param.n : m->input.n), "no such parameter or input");
    }
    if (n->op == OP_PARAM) {
        const Param *p = &m->param.at[n->attr];
        RULE(n->dtype == DT_F && !n->axes && n->rank == p->rank && !memcmp(n->dim, p->dim, sizeof n->dim),
             "not the parameter's type");
    } else if (n->op == OP_INPUT) {
        const Input *p = &m->input.at[n->attr];
        RULE(n->dtype == p->dtype && n->axes == p->axes && n->rank == p->rank && !memcmp(n->dim, p->dim, sizeof n->dim),
             "not the input's type");
    } else if (n->op == OP_LENGTH) {
        RULE(n->attr < m->naxis, "no such axis");
        RULE(n->dtype == DT_I && !n->rank && n->axes == (m->axis[n->attr].ragged ? AX(AXIS_B) : 0),
             "length is i<B>[] if ragged, else i[]");
    } else if (n->op == OP_CARRY || n->op == OP_STEP || n->op == OP_CAPTURE) {
        RULE(body, "carry, step and capture are leaves of bodies only");
    } else {
        return check_iota_noise(v, n, w);
    }
    return NULL;
}

static const char *check_elementwise(const Verify *v, const Node *n) {
    int count = op_info[n->op].arity, first = n->op == OP_SELECT;
    const Node *a = in(v, n, first), *b = count > 1 ? in(v, n, first + 1) : a;
    uint32_t axes = 0;
    uint8_t rank = 0;

    for (int i = 0; i < count; i++) {
        const Node *x = in(v, n, i);
        axes |= x->axes;
        if (x->rank > rank) rank = x->rank;
        RULE(fits(x, n), "an operand's features are neither the result's nor scalar");
    }
    RULE(n->axes == axes, "its axes are not the union of the operands'");
    RULE(n->rank == rank, "its features are no operand's");
    RULE(a->dtype == b->dtype, "operands of different dtypes");
    if (n->op == OP_CAST) {
        RULE(n->attr == n->dtype, "cast to another dtype than its own");
        return NULL;
    }
    if (n->op == OP_NOT || n->op == OP_AND || n->op == OP_OR) RULE(a->dtype == DT_B, "an operand is no bool");
    if (op_info[n->op].flags & OPF_BOOL) {
        RULE(n->dtype == DT_B, "the result is a bool");
        RULE(a->dtype != DT_B || n->op == OP_NOT || n->op == OP_AND || n->op == OP_OR || n->op == OP_EQ, "bools have no order");
        return NULL;
    }
    if (n->op == OP_SELECT) RULE(in(v, n, 0)->dtype == DT_B, "the condition is no bool");
    RULE(n->dtype == a->dtype, "the dtype is not the operands'");
    if (n->op == OP_SELECT || n->op == OP_STOP) return NULL;
    RULE(n->dtype != DT_B, "arithmetic on bools");
    if (n->op == OP_NEG || n->op == OP_ABS || n->op == OP_ADD || n->op == OP_SUB || n->op == OP_MUL || n->op == OP_DIV ||
        n->op == OP_MAX || n->op == OP_MIN)
        return NULL;
    RULE(n->dtype == DT_F, "a function of floats on something else");
    return NULL;
}

static const char *check_reduce(const Verify *v, const Node *n, const uint32_t *w) {
    const Node *a = in(v, n, 0);
    bool arg = n->op == OP_ARGMAX;
    uint32_t axes = arg ? 0 : w[0], dims = arg ? 1u << (w[0] & 31) : w[1];
    int k = 0;

    RULE(!arg || w[0] < a->rank, "argmax over a dim that is not there");
    RULE(!(axes & ~a->axes), "reduces an axis that its operand has not");
    RULE(dims < 1u << a->rank, "reduces a dim that its operand has not");
    RULE(axes || dims, "reduces nothing");
    RULE(n->axes == (a->axes & ~axes), "wrong axes");
    for (int d = 0; d < a->rank; d++) {
        if (dims >> d & 1) continue;
        RULE(k < n->rank && n->dim[k] == a->dim[d], "wrong dims");
        k++;
    }
    RULE(k == n->rank, "wrong rank");
    RULE(n->dtype == (n->op == OP_ARGMAX ? DT_I : a->dtype), "wrong dtype");
    RULE(n->op != OP_SUM || a->dtype != DT_B, "sum of bools");
    return NULL;
}

static int dim_of_label(const Node *a, const uint32_t *labels, uint32_t label) {
    for (int d = 0; d < a->rank; d++)
        if (labels[d] == label) return a->dim[d];
    return 0;
}

static const char *check_dot(const Verify *v, const Node *n, const uint32_t *w) {
    const Node *x[3] = {in(v, n, 0), in(v, n, 1), n};

    RULE(x[0]->dtype == DT_F && x[1]->dtype == DT_F && n->dtype == DT_F, "dot is of floats");
    RULE(w[9] == n->axes && !(w[9] & ~(x[0]->axes | x[1]->axes)), "its axes are not those it keeps");
    RULE(!((x[0]->axes ^ x[1]->axes) & ~w[9]), "an axis of one operand is not kept");
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 3; d++) {
            uint32_t label = w[3 * i + d];
            RULE((label != 0) == (d < x[i]->rank) && label <= 9, "labels and dims do not match");
            if (!label) continue;
            for (int k = 0; k < d; k++) RULE(w[3 * i + k] != label, "a label twice in one place");
            int da = dim_of_label(x[0], w, label), db = dim_of_label(x[1], w + 3, label), dn = dim_of_label(n, w + 6, label);
            RULE(da || db, "a label of the result that no operand has");
            RULE(!da || !db || da == db, "a label of two sizes");
            RULE(!dn || dn == (da ? da : db), "a dim of the result is wrong");
            RULE((da && db) || dn, "a label of one operand is not kept");
        }
    return NULL;
}

static const char *check_concat(const Verify *v, Ref r) {
    const Node *n = &v->g->node.at[r];
    uint32_t count;
    const Ref *part = node_ext(v->g, r, &count);
    int64_t size = 0;

    RULE(count > 0, "concat of nothing");
    RULE(n->attr < n->rank, "concat along a dim that is not there");
    for (uint32_t i = 0; i < count; i++) {
        const Node *a = &v->g->node.at[part[i]];
        RULE(a->dtype == n->dtype && a->axes == n->axes && a->rank == n->rank, "a part has another type");
        for (uint32_t d = 0; d < n->rank; d++) RULE(d == n->attr || a->dim[d] == n->dim[d], "a part has other dims");
        size += a->dim[n->attr];
    }
    RULE(size == n->dim[n->attr], "the parts do not add up");
    return NULL;
}

static const char *check_expand(const Node *a, const Node *n, const uint32_t *w) {
    int next = 0;

    RULE(!(a->axes & w[3]) && n->axes == (a->axes | w[3]), "expand with wrong axes");
    for (int d = 0; d < n->rank; d++) {
        if ((int32_t)w[d] < 0) continue;
        RULE((int)w[d] == next && next < a->rank && a->dim[next] == n->dim[d], "expand with a wrong map");
        next++;
    }
    RULE(next == a->rank, "expand loses a dim");
    return NULL;
}

static const char *check_shape(const Verify *v, Ref r, const uint32_t *w) {
    const Node *n = &v->g->node.at[r], *a;
    uint32_t seen = 0;

    if (n->op == OP_CONCAT) return check_concat(v, r);
    a = in(v, n, 0);
    RULE(n->dtype == a->dtype, "wrong dtype");
    if (n->op == OP_EXPAND) return check_expand(a, n, w);
    RULE(n->axes == a->axes, "wrong axes");
    if (n->op == OP_RESHAPE) {
        RULE(node_features(n) == node_features(a), "reshape to another number of elements");
        return NULL;
    }
    RULE(n->rank == a->rank, "wrong rank");
    if (n->op == OP_TRANSPOSE) {
        for (int d = 0; d < n->rank; d++) {
            RULE(w[d] < n->rank && n->dim[d] == a->dim[w[d]], "transpose with wrong dims");
            seen |= 1u << w[d];
        }
        RULE(seen == (1u << n->rank) - 1, "transpose is no permutation");
        return NULL;
    }
    RULE(w[0] < n->rank, "slice or pad of a dim that is not there");
    for (uint32_t d = 0; d < n->rank; d++) RULE(d == w[0] || n->dim[d] == a->dim[d], "wrong dims");
    if (n->op == OP_SLICE) {
        RULE((int32_t)w[1] >= 0 && (int32_t)w[2] > (int32_t)w[1] && (int32_t)w[2] <= a->dim[w[0]], "slice out of range");
        RULE(n->dim[w[0]] == (int32_t)(w[2] - w[1]), "slice with wrong dims");
    } else {
        RULE((int32_t)w[1] >= 0 && (int32_t)w[2] >= 0, "pad is negative");
        RULE((int64_t)n->dim[w[0]] == (int64_t)a->dim[w[0]] + w[1] + w[2], "pad with wrong dims");
    }
    return NULL;
}

static const char *check_index(const Verify *v, const Node *n, const uint32_t *w) {
    const Node *a = in(v, n, 0), *b = in(v, n, 1);

    if (n->op == OP_GATHER) {
        RULE(b->dtype == DT_I && n->dtype == a->dtype, "wrong dtypes");
        RULE(n->axes == (a->axes | b->axes), "wrong axes");
        RULE(a->rank >= 1 && (uint32_t)a->dim[0] == w[0], "wrong number of table rows");
        RULE(n->rank == b->rank + a->rank - 1, "wrong rank");
        for (int d = 0; d < n->rank; d++) RULE(n->dim[d] == (d < b->rank ? b->dim[d] : a->dim[d - b->rank + 1]), "wrong dims");
        return NULL;
    }
    RULE(a->dtype == DT_I && n->dtype == b->dtype && b->dtype != DT_B, "wrong dtypes");
    RULE(n->axes == w[1] && !(w[1] & ~(a->axes | b->axes)), "wrong axes");
    RULE(b->rank >= a->rank && n->rank == b->rank - a->rank + 1 && (uint32_t)n->dim[0] == w[0], "wrong rank");
    for (int d = 0; d < b->rank; d++) RULE(b->dim[d] == (d < a->rank ? a->dim[d] : n->dim[d - a->rank + 1]), "wrong dims");
    return NULL;
}

static const char *check_join(const Verify *v, const Node *n, const uint32_t *w) {
    const Module *m = v->m;
    const Node *a = in(v, n, 0), *b = in(v, n, 1);

    RULE(w[0] < m->naxis && w[1] < m->naxis && w[2] < m->naxis, "no such axis");
    RULE(m->axis[w[2]].kind == AXIS_JOIN && m->axis[w[2]].a == w[0] && m->axis[w[2]].b == w[1], "not the join of these axes");
    RULE((a->axes & AX(w[0])) && (b->axes & AX(w[1])), "an operand has not its axis");
    RULE(n->axes == ((a->axes & ~AX(w[0])) | (b->axes & ~AX(w[1])) | AX(w[2])), "wrong axes");
    RULE(!m->axis[w[2]].ragged || (a->axes & b->axes & AX(AXIS_B)), "join over ragged axes needs B");
    RULE(a->dtype == n->dtype && b->dtype == n->dtype && same_dims(a, n) && same_dims(b, n), "operands of other types");
    return NULL;
}

static const char *check_time(const Verify *v, const Node *n, const uint32_t *w) {
    const Node *a = in(v, n, 0), *b;
    uint32_t axis = w[0];

    if (n->op == OP_JOIN) return check_join(v, n, w);
    RULE(axis < v->m->naxis && axis != AXIS_B, "no such time axis");
    RULE(a->axes & AX(axis), "its operand has not the axis");
    RULE(n->dtype == a->dtype && same_dims(n, a), "wrong type");
    RULE(n->axes == (n->op == OP_LAST ? a->axes & ~AX(axis) : a->axes), "wrong axes");
    if (n->op != OP_SHIFT || (int32_t)w[1] < 0)
        RULE(!v->m->axis[axis].ragged || (a->axes & AX(AXIS_B)), "what depends on an example's length needs B");
    if (n->op != OP_SHIFT) return NULL;
    b = in(v, n, 1);
    RULE(b->dtype == a->dtype && same_dims(a, b) && b->axes == (a->axes & ~AX(axis)), "the fill has another type");
    return NULL;
}

/* ---- scans ------------------------------------------------------------------------------------------------------------ */

static const char *check_body_leaf(const Verify *v, const ScanInfo *s, const Node *leaf) {
    Node want;

    if (leaf->op == OP_CARRY) {
        RULE(leaf->attr < s->ncarry, "the body has a carry too many");
        RULE(same_type(leaf, &v->g->node.at[s->init[leaf->attr]]), "a carry has another type than its initial value");
    } else if (leaf->op == OP_STEP) {
        RULE(leaf->attr < s->nstep, "the body has a step too many");
        want = v->g->node.at[s->step[leaf->attr]];
        want.axes &= ~AX(s->axis);
        RULE(same_type(leaf, &want), "a step has another type than its sequence");
    } else if (leaf->op == OP_CAPTURE) {
        RULE(leaf->attr < s->ncapture, "the body has a capture too many");
        RULE(same_type(leaf, &v->g->node.at[s->capture[leaf->attr]]), "a capture has another type than its value");
    }
    return NULL;
}

static const char *check_scan(const Verify *v, Ref r, const uint32_t *w) {
    const Module *m = v->m;
    const Graph *body;
    const char *err;
    uint32_t count;
    ScanInfo s;

    RULE(v->g != m->init, "a scan in init");
    RULE(w[0] < m->naxis && w[0] != AXIS_B, "scan over no axis");
    RULE(w[1] <= 1, "no such direction");
    RULE(w[2] > 0 && w[2] < m->graph.n, "no such body");
    for (uint32_t i = 0; i < v->depth; i++) RULE(v->path[i] != w[2], "a body inside itself");
    RULE(v->depth < 64, "bodies nested too deeply");
    (void)node_ext(v->g, r, &count);
    RULE((uint64_t)w[3] + w[4] + w[5] == count, "wrong number of operands");
    s = scan_info(v->g, r);
    body = m->graph.at[s.body];
    RULE(body->root.n >= s.ncarry, "the body has not a next for every carry");
    for (uint32_t k = 0; k < body->root.n; k++) {
        const Root *o = &body->root.at[k];
        bool next = k < s.ncarry;
        RULE((o->kind == ROOT_NEXT) == next, "the body's nexts are not its first roots, one a carry");
        if (o->kind == ROOT_LAST) {
            RULE(o->index < s.ncarry && !o->ref, "the last value of no carry");
            continue;
        }
        RULE(next || o->kind == ROOT_STACK || o->kind == ROOT_SUM, "a root of the body is no out");
        RULE(o->ref && o->ref < body->node.n, "a root of the body has no value");
        RULE(!next || o->index == k, "the nexts are out of order");
        RULE(!next || same_type(&body->node.at[o->ref], &v->g->node.at[s.init[k]]), "a next has another type than its carry");
        RULE(o->kind != ROOT_STACK || !(body->node.at[o->ref].axes & AX(s.axis)), "a stacked value has the axis already");
        RULE(o->kind != ROOT_SUM || body->node.at[o->ref].dtype != DT_B, "a sum of bools");
    }
    for (uint32_t k = 0; k < s.ncarry; k++)
        RULE(!m->axis[s.axis].ragged || (v->g->node.at[s.init[k]].axes & AX(AXIS_B)), "a carry over a ragged axis needs B");
    for (uint32_t k = 0; k < s.nstep; k++) RULE(v->g->node.at[s.step[k]].axes & AX(s.axis), "a step input has not the axis");
    for (Ref b = 1; b < body->node.n; b++) {
        err = check_body_leaf(v, &s, &body->node.at[b]);
        if (err) return err;
    }
    return NULL;
}

static const char *check_out(const Verify *v, const Node *n) {
    const Graph *body;
    const Root *o;
    ScanInfo s;
    Node want;

    RULE(in(v, n, 0)->op == OP_SCAN, "out of something that is no scan");
    s = scan_info(v->g, n->in[0]);
    if (s.body >= v->m->graph.n) return NULL; /* the scan was reported */
    body = v->m->graph.at[s.body];
    RULE((uint64_t)s.ncarry + n->attr < body->root.n, "no such out");
    o = &body->root.at[s.ncarry + n->attr];
    RULE(o->kind == ROOT_LAST ? o->index < s.ncarry : o->ref < body->node.n, "out of a broken root");
    want = o->kind == ROOT_LAST ? v->g->node.at[s.init[o->index]] : body->node.at[o->ref];
    if (o->kind == ROOT_STACK && !(body->cut && want.axes & AX(body->cut - 1))) want.axes |= AX(s.axis); /* a segment of T is part of T */
    RULE(same_type(n, &want), "not the type of the body's root");
    return NULL;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------------ */

static const char *check_form(const Verify *v, Ref r) {
    const Graph *g = v->g;
    const Node *n = &g->node.at[r];
    const Ref *at;
    uint32_t count;

    RULE(n->op > OP_NONE && n->op < OP_COUNT, "no such operation");
    RULE(n->dtype <= DT_B && n->rank <= MAX_RANK, "no such type");
    for (int d = 0; d < MAX_RANK; d++)
        RULE(d < n->rank ? n->dim[d] >= 1 : n->dim[d] == 0, "a dim is not positive, or set and unused");
    RULE(v->m->naxis == MAX_AXES || !(n->axes >> v->m->naxis), "an axis that is not there");
    RULE(v->g != v->m->init || !n->axes, "a value with axes in init");
    RULE(node_features(n) <= INT32_MAX, "too many features");
    RULE((uint64_t)n->attr + op_words((Op)n->op) <= g->attr.n || !op_words((Op)n->op), "attributes out of range");
    if (n->op == OP_SCAN || n->op == OP_CONCAT) RULE((uint64_t)n->in[0] + n->in[1] <= g->ext.n, "operands out of range");
    count = node_inputs(g, r, &at);
    for (uint32_t i = 0; i < count; i++) {
        RULE(at[i] && at[i] < r, "an operand does not precede its user");
        RULE(n->op == OP_OUT || g->node.at[at[i]].op != OP_SCAN, "only out reads a scan");
    }
    return NULL;
}

static const char *check_node(const Verify *v, Ref r) {
    const Node *n = &v->g->node.at[r];
    const uint32_t *w = node_attr(v->g, r);

    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: return check_leaf(v, n, w);
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY: return check_elementwise(v, n);
    case OPC_REDUCE: return check_reduce(v, n, w);
    case OPC_CONTRACT: return check_dot(v, n, w);
    case OPC_SHAPE: return check_shape(v, r, w);
    case OPC_INDEX: return check_index(v, n, w);
    case OPC_TIME: return check_time(v, n, w);
    case OPC_CONTROL: return n->op == OP_SCAN ? check_scan(v, r, w) : check_out(v, n);
    }
    return NULL;
}

static const char *check_stage(const Module *m, const Graph *g, const Stage *t) {
    uint32_t level = 0;

    RULE(t->kind <= STAGE_SCAN && t->group < g->node.n, "a stage of no kind, or in no scan");
    RULE(m->naxis == MAX_AXES || !(t->axes >> m->naxis), "a stage over an axis that is not there");
    for (uint32_t k = 0; k < t->node.n; k++) {
        RULE(t->node.at[k].ref < g->node.n, "a stage of a value that is not there");
        RULE(t->node.at[k].level >= level && t->node.at[k].level <= g->node.n, "a stage's levels are out of order");
        level = t->node.at[k].level;
    }
    return NULL;
}

/* Whether place's and fuse's lines fit is for lower_loops to say; here, whether they are lines about this graph. */
static const char *check_decisions(const Module *m, const Graph *g) {
    for (uint32_t i = 0; i < g->placed.n; i++) {
        const Placed *p = &g->placed.at[i];
        RULE(p->product < g->node.n && p->scan < g->node.n && p->where <= PLACE_BESIDE, "a place of a value that is not there");
    }
    for (uint32_t i = 0; i < g->stage.n; i++) {
        const char *err = check_stage(m, g, &g->stage.at[i]);
        if (err) return err;
    }
    for (Ref r = 0; g->pin && r < g->node.n; r++) RULE(g->pin[r].kind <= NK_SCAN && g->pin[r].base < g->node.n, "a pin of no kind");
    return NULL;
}

static void check_graph(Verify *v, const Graph *g, uint32_t enclosing) {
    const Graph *before = v->g;
    uint32_t outer = v->enclosing;

    v->g = g;
    v->enclosing = enclosing;
    v->path[v->depth++] = g->index;
    for (Ref r = 1; r < g->node.n; r++) {
        const char *form = check_form(v, r), *err = form ? form : check_node(v, r);
        if (err) {
            complain(v, r, err);
            if (form || g->node.at[r].op == OP_SCAN) break; /* what reads it cannot be judged */
        } else if (g->node.at[r].op == OP_SCAN) {
            ScanInfo s = scan_info(g, r);
            check_graph(v, v->m->graph.at[s.body], enclosing | AX(s.axis));
        }
        if (!v->ok && diag_error_count(v->m->ctx) > 20) break;
    }
    if (check_decisions(v->m, g)) complain(v, 0, check_decisions(v->m, g));
    v->depth--;
    v->enclosing = outer;
    v->g = before;
}

/* ---- roots of the model and of init ----------------------------------------------------------------------------------- */

static bool dims_are(const Node *n, uint8_t rank, const int32_t *dim) {
    return n->rank == rank && !memcmp(n->dim, dim, sizeof n->dim);
}

static const char *check_root(const Module *m, const Graph *g, const Root *o) {
    const Node *n;

    RULE(o->ref && o->ref < g->node.n, "a root without a value");
    n = &g->node.at[o->ref];
    RULE(n->op != OP_SCAN, "a scan as a root");
    if (g == m->init) {
        RULE(o->kind == ROOT_VALUE && o->index < m->param.n, "init has values of parameters only");
        return NULL;
    }
    RULE(o->kind >= ROOT_OUTPUT && o->kind <= ROOT_VALUE, "a root of a body in the model");
    if (o->kind == ROOT_FINAL || o->kind == ROOT_INIT) {
        RULE(o->index < m->state.n, "no such state");
        RULE(dims_are(n, m->state.at[o->index].rank, m->state.at[o->index].dim) && n->dtype == m->state.at[o->index].dtype,
             "a state of another type");
    }
    if (o->kind == ROOT_LOSS) RULE(n->dtype == DT_F && !n->rank && !n->axes, "the loss is one float");
    if (o->kind == ROOT_GRAD_PARAM) {
        RULE(o->index < m->param.n, "no such parameter");
        RULE(n->dtype == DT_F && !n->axes && dims_are(n, m->param.at[o->index].rank, m->param.at[o->index].dim),
             "a gradient of another type than its parameter");
    }
    if (o->kind == ROOT_GRAD_INPUT) {
        RULE(o->index < m->input.n, "no such input");
        RULE(n->dtype == DT_F && !(n->axes & ~m->input.at[o->index].axes) &&
                 dims_are(n, m->input.at[o->index].rank, m->input.at[o->index].dim),
             "a gradient of another type than its input");
    }
    return NULL;
}

/* ---- tables ----------------------------------------------------------------------------------------------------------- */

static const char *check_axis(const Module *m, uint32_t i) {
    const Axis *a = &m->axis[i];

    RULE((a->kind == AXIS_BATCH) == (i == AXIS_B) && a->kind <= AXIS_ELEM, "axis 0 is the batch, and no other");
    RULE(a->kind != AXIS_COUNT || a->count >= 0, "a negative count");
    RULE(!a->ragged || a->kind == AXIS_TIME || a->kind == AXIS_JOIN, "a ragged axis is a time axis or a join");
    if (a->kind == AXIS_JOIN) {
        RULE(a->a < i && a->b < i && a->a != AXIS_B && a->b != AXIS_B, "a join of later axes");
        RULE(a->ragged == (m->axis[a->a].ragged || m->axis[a->b].ragged), "a join is ragged if one of its axes is");
    } else if (a->ragged) {
        const Input *p;
        RULE(a->length && a->length <= m->input.n, "a ragged axis without lengths");
        p = &m->input.at[a->length - 1];
        RULE(p->kind == INPUT_LENGTH && p->dtype == DT_I && !p->rank && p->axes == AX(AXIS_B), "lengths are an input i<B>[]");
    }
    return NULL;
}

static const char *check_param(const Module *m, uint32_t i, int64_t *end) {
    const Param *p = &m->param.at[i];
    int64_t size = 1;

    RULE(p->rank <= MAX_RANK, "too many dims");
    for (int d = 0; d < p->rank; d++) RULE(p->dim[d] >= 1 && checked_mul(size, p->dim[d], &size), "a dim is not positive");
    RULE(p->offset >= *end && p->offset <= m->theta_size - size, "it overlaps another or the end of theta");
    *end = p->offset + size;
    if (!p->init) return NULL;
    RULE(p->init < m->init->node.n, "its initial value is not there");
    RULE(!m->init->node.at[p->init].rank || dims_are(&m->init->node.at[p->init], p->rank, p->dim),
         "its initial value has other dims");
    RULE(m->init->node.at[p->init].dtype == DT_F, "its initial value is no float");
    return NULL;
}

/* Its type, which is also that of an array outside. */
static const char *check_border(const Module *m, uint8_t dtype, uint8_t rank, const int32_t *dim, uint32_t axes) {
    RULE(dtype <= DT_B && rank <= MAX_RANK, "no such type");
    for (int d = 0; d < MAX_RANK; d++) RULE(d < rank ? dim[d] >= 1 : dim[d] == 0, "a dim is not positive, or set and unused");
    RULE(m->naxis == MAX_AXES || !(axes >> m->naxis), "an axis that is not there");
    return NULL;
}

static const char *check_input(const Module *m, const Input *p) {
    RULE(p->kind <= INPUT_SCALAR, "no such kind");
    return check_border(m, p->dtype, p->rank, p->dim, p->axes);
}

static const char *check_state(const Module *m, const State *s) {
    const char *err = check_border(m, s->dtype, s->rank, s->dim, s->axes);
    const Input *p;

    if (err) return err;
    if (!s->input) return NULL;
    RULE(s->input <= m->input.n, "a state from no input");
    p = &m->input.at[s->input - 1];
    RULE(p->dtype == s->dtype && p->rank == s->rank && !memcmp(p->dim, s->dim, sizeof p->dim),
         "a state from an input of another type");
    return NULL;
}

static void check_tables(Verify *v) {
    const Module *m = v->m;
    int64_t end = 0;

    for (uint32_t i = 0; i < m->naxis; i++) {
        const char *err = check_axis(m, i);
        if (err) complain(v, 0, arena_printf(m->arena, "axis %u (%s): %s", i, name_str(m->ctx, m->axis[i].name), err));
    }
    for (uint32_t i = 0; i < m->param.n; i++) {
        const char *err = check_param(m, i, &end);
        if (err) complain(v, 0, arena_printf(m->arena, "parameter %u (%s): %s", i, name_str(m->ctx, m->param.at[i].name), err));
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const char *err = check_input(m, &m->input.at[i]);
        if (err) complain(v, 0, arena_printf(m->arena, "input %u (%s): %s", i, name_str(m->ctx, m->input.at[i].name), err));
    }
    for (uint32_t i = 0; i < m->state.n; i++) {
        const char *err = check_state(m, &m->state.at[i]);
        if (err) complain(v, 0, arena_printf(m->arena, "state %u (%s): %s", i, name_str(m->ctx, m->state.at[i].name), err));
    }
    for (uint32_t i = 0; i < m->cut.n; i++) {
        const Cut *c = &m->cut.at[i];
        if (c->axis >= m->naxis || c->count >= m->naxis || c->steps >= m->naxis) complain(v, 0, "a cut of an axis that is not there");
    }
    for (uint32_t i = 0; i < m->graph.n; i++)
        if (m->graph.at[i]->index != i || m->graph.at[i]->module != m || m->graph.at[i]->cut > m->naxis)
            complain(v, 0, "a graph has another's index, module or axis");
}

bool module_verify(const Module *m, const char *pass) {
    Verify v = {.m = m, .pass = pass ? pass : "building", .g = m->graph.at[0], .ok = true};
    const Graph *top[2] = {m->graph.at[0], m->init};

    check_tables(&v);
    for (int k = 0; k < 2 && v.ok; k++) {
        check_graph(&v, top[k], 0);
        v.g = top[k];
        for (uint32_t i = 0; i < top[k]->root.n; i++) {
            const char *err = check_root(m, top[k], &top[k]->root.at[i]);
            if (err) complain(&v, 0, arena_printf(m->arena, "root %u: %s", i, err));
        }
    }
    return v.ok;
}
