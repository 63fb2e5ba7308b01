/* The oracle: every node of every row, f64, in the order of the nodes. Rows that are padded hold anything; whatever mixes rows
   asks row_valid. In a body the batch is the active examples. Memory: one array a node, reused for every step. */
#include "ir/eval.h"

#include <math.h>
#include <string.h>

#define MAX_ELEMENTS (INT64_C(1) << 32) /* of one value: 32 GiB; beyond, it is a mistake */

/* ---- rows ------------------------------------------------------------------------------------------------------------- */

static int64_t axis_size(const Module *m, uint32_t axis, const int64_t *given) {
    const Axis *a = &m->axis[axis];

    if (a->kind == AXIS_COUNT) return a->count;
    if (a->kind != AXIS_JOIN) return given[axis];
    return a->a < axis && a->b < axis ? axis_size(m, a->a, given) + axis_size(m, a->b, given) : -1;
}

int64_t value_size(const Module *m, const Node *n, const int64_t *axis) {
    int64_t size = 1;

    for (int i = 0; i < n->rank; i++)
        if (!checked_mul(size, n->dim[i], &size)) return -1;
    for (uint32_t i = 0; i < m->naxis; i++)
        if ((n->axes & AX(i)) && !checked_mul(size, axis_size(m, i, axis), &size)) return -1;
    return size;
}

void layout_of(const Eval *e, uint32_t axes, Layout *l) {
    l->n = 0;
    l->rows = 1;
    for (uint32_t i = 1; i <= e->m->naxis; i++) {
        uint32_t axis = i == e->m->naxis ? AXIS_B : i; /* B last */
        if (!(axes & AX(axis))) continue;
        l->axis[l->n] = axis;
        l->size[l->n++] = e->size[axis];
    }
    for (int i = l->n; i-- > 0;) {
        l->stride[i] = l->rows;
        l->rows *= l->size[i];
    }
}

int64_t rows_of(const Eval *e, uint32_t axes) {
    int64_t rows = 1;
    for (uint32_t i = 0; i < e->m->naxis; i++) rows *= axes & AX(i) ? e->size[i] : 1;
    return rows;
}

int64_t row_at(const Layout *l, const int64_t *idx) {
    int64_t row = 0;

    for (int i = 0; i < l->n; i++) row += idx[l->axis[i]] * l->stride[i];
    return row;
}

bool row_next(const Layout *l, int64_t *idx) {
    for (int i = l->n; i-- > 0;) {
        if (++idx[l->axis[i]] < l->size[i]) return true;
        idx[l->axis[i]] = 0;
    }
    return false;
}

bool row_valid(const Eval *e, uint32_t axes, const int64_t *idx) {
    if (!(axes & AX(AXIS_B))) return true;
    if (e->active && !e->active[idx[0]]) return false;
    for (uint32_t a = 1; a < e->m->naxis; a++)
        if ((axes & AX(a)) && e->length[a] && (double)idx[a] >= e->length[a][idx[0]]) return false;
    return true;
}

int64_t axis_length(const Eval *e, uint32_t axis, uint32_t axes, const int64_t *idx) {
    return e->length[axis] && (axes & AX(AXIS_B)) ? (int64_t)e->length[axis][idx[0]] : e->size[axis];
}

/* ---- frames ----------------------------------------------------------------------------------------------------------- */

static Frame *frame_make(Eval *e, const Graph *g, Frame *up, Ref scan) {
    Frame *f = NEW(e->a, Frame);

    f->g = g;
    f->up = up;
    f->scan = scan;
    f->v = NEW_N(e->a, double *, g->node.n);
    f->size = NEW_N(e->a, int64_t, g->node.n);
    f->child = NEW_N(e->a, Frame *, g->node.n);
    f->out = NEW_N(e->a, double *, g->root.n + 1);
    if (e->in->origin) {
        f->bad = NEW_N(e->a, uint64_t, g->node.n);
        f->from = NEW_N(e->a, double, g->node.n);
    }
    return f;
}

static double *buffer(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];

    if (f->v[r]) return f->v[r];
    f->size[r] = value_size(e->m, n, e->size);
    if (f->size[r] < 0 || f->size[r] > MAX_ELEMENTS) {
        diag_error(e->m->ctx, 711, (Span){n->span, n->span}, "a value of '%s' has too many elements to evaluate",
                   op_info[n->op].text);
        return NULL;
    }
    f->v[r] = NEW_N(e->a, double, f->size[r] + 1);
    return f->v[r];
}

/* ---- leaves and elementwise ------------------------------------------------------------------------------------------- */

static bool fail(const Eval *e, const Node *n, const char *what, const char *name) {
    diag_error(e->m->ctx, 712, (Span){n->span, n->span}, "cannot evaluate: %s '%s'", what, name);
    return false;
}

static bool eval_input(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];
    const Input *p = &e->m->input.at[n->attr];
    const double *v = e->in->input ? e->in->input[n->attr] : NULL;

    if (!v && p->kind != INPUT_SCALAR) return fail(e, n, "no value for input", name_str(e->m->ctx, p->name));
    if (!buffer(e, f, r)) return false;
    if (v)
        memcpy(f->v[r], v, (size_t)f->size[r] * sizeof(double));
    else
        f->v[r][0] = p->value;
    return true;
}

static bool eval_param(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];

    if (!e->in->param || !e->in->param[n->attr])
        return fail(e, n, "no value for parameter", name_str(e->m->ctx, e->m->param.at[n->attr].name));
    if (!buffer(e, f, r)) return false;
    memcpy(f->v[r], e->in->param[n->attr], (size_t)f->size[r] * sizeof(double));
    return true;
}

/* One step's rows of a sequence: what `step` sees. */
static void take_step(const Eval *e, const Node *seq, const double *v, uint32_t axis, int64_t t, double *out) {
    Layout in, lo;
    int64_t idx[MAX_AXES] = {0}, features = node_features(seq), row = 0;

    layout_of(e, seq->axes, &in);
    layout_of(e, seq->axes & ~AX(axis), &lo);
    if (!lo.rows || !features) return;
    do {
        idx[axis] = t;
        memcpy(out + row++ * features, v + row_at(&in, idx) * features, (size_t)features * sizeof(double));
        idx[axis] = 0;
    } while (row_next(&lo, idx));
}

static bool eval_leaf(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];
    const uint32_t *w = node_attr(f->g, r);
    Layout l;
    int64_t idx[MAX_AXES] = {0}, i = 0;
    ScanInfo s;
    double *v;

    layout_of(e, n->axes, &l);
    if (n->op == OP_INPUT) return eval_input(e, f, r);
    if (n->op == OP_PARAM) return eval_param(e, f, r);
    if (n->op == OP_CARRY) {
        f->v[r] = f->carry[w[0]];
        return true;
    }
    if (n->op == OP_CAPTURE) {
        s = scan_info(f->up->g, f->scan);
        f->v[r] = f->up->v[s.capture[w[0]]];
        return true;
    }
    v = buffer(e, f, r);
    if (!v) return false;
    if (n->op == OP_STEP) {
        s = scan_info(f->up->g, f->scan);
        take_step(e, &f->up->g->node.at[s.step[w[0]]], f->up->v[s.step[w[0]]], s.axis, e->now[s.axis], v);
        return true;
    }
    if (n->op == OP_NOISE) {
        eval_noise(e, n, w, v);
        return true;
    }
    if (n->op == OP_IOTA && !w[0]) {
        for (int k = 0; k < n->dim[0]; k++) v[k] = k;
        return true;
    }
    if (!l.rows) return true;
    do {
        if (n->op == OP_CONST)
            v[i++] = words_double(w);
        else if (n->op == OP_IOTA)
            v[i++] = n->axes ? (double)idx[w[0] - 1] : (double)e->now[w[0] - 1];
        else
            v[i++] = (double)axis_length(e, w[0], n->axes, idx);
    } while (row_next(&l, idx));
    return true;
}

static void eval_elementwise(const Eval *e, const Frame *f, Ref r, double *out) {
    const Node *n = &f->g->node.at[r];
    int64_t features = node_features(n), idx[MAX_AXES] = {0}, row = 0;
    Layout l, la[3];
    int count = op_info[n->op].arity;
    bool wide[3] = {false, false, false};
    const double *p[3] = {NULL, NULL, NULL};

    layout_of(e, n->axes, &l);
    for (int i = 0; i < count; i++) {
        layout_of(e, f->g->node.at[n->in[i]].axes, &la[i]);
        wide[i] = f->g->node.at[n->in[i]].rank > 0;
    }
    if (!l.rows) return;
    do {
        for (int i = 0; i < count; i++) p[i] = f->v[n->in[i]] + row_at(&la[i], idx) * (wide[i] ? features : 1);
        for (int64_t k = 0; k < features; k++) {
            double a = p[0][wide[0] ? k : 0], b = count > 1 ? p[1][wide[1] ? k : 0] : 0,
                   c = count > 2 ? p[2][wide[2] ? k : 0] : 0;
            out[row * features + k] = n->op == OP_CAST ? cast_value(a, (DType)f->g->node.at[n->in[0]].dtype, (DType)n->dtype)
                                                       : op_value((Op)n->op, (DType)n->dtype, a, b, c);
        }
        row++;
    } while (row_next(&l, idx));
}

/* ---- scans ------------------------------------------------------------------------------------------------------------ */

static bool eval_graph(Eval *e, Frame *f);

static int64_t sized(const Eval *e, const Node *n, uint32_t more) {
    Node t = *n;

    t.axes |= more;
    return value_size(e->m, &t, e->size);
}

static bool scan_open(Eval *e, Frame *f, Ref r, const ScanInfo *s) {
    const Graph *body = e->m->graph.at[s->body];
    Frame *c = f->child[r] = frame_make(e, body, f, r);

    c->active = NEW_N(e->a, bool, e->size[AXIS_B] + 1);
    c->carry = NEW_N(e->a, double *, s->ncarry + 1);
    c->next = NEW_N(e->a, double *, s->ncarry + 1);
    for (uint32_t k = 0; k < s->ncarry; k++) {
        c->carry[k] = NEW_N(e->a, double, f->size[s->init[k]] + 1);
        c->next[k] = NEW_N(e->a, double, f->size[s->init[k]] + 1);
    }
    for (uint32_t i = s->ncarry; i < body->root.n; i++) {
        const Root *o = &body->root.at[i];
        int64_t size;
        if (o->kind == ROOT_LAST) continue;
        size = sized(e, &body->node.at[o->ref], o->kind == ROOT_STACK ? AX(s->axis) : 0);
        if (size < 0 || size > MAX_ELEMENTS) {
            const Node *n = &f->g->node.at[r];
            diag_error(e->m->ctx, 711, (Span){n->span, n->span}, "a result of a scan has too many elements to evaluate");
            return false;
        }
        c->out[i - s->ncarry] = NEW_N(e->a, double, size + 1);
    }
    return true;
}

/* Writes (or adds) the active rows of a body's value; to == a stack: at step t. */
static void put_rows(const Eval *e, const Node *n, const double *v, double *to, uint32_t stack, int64_t t, bool add) {
    Layout l, lo;
    int64_t idx[MAX_AXES] = {0}, features = node_features(n), row = 0;
    uint32_t axis = 0;

    layout_of(e, n->axes, &l);
    layout_of(e, n->axes | stack, &lo);
    while (stack && !(stack >> axis & 1)) axis++;
    if (!l.rows) return;
    for (bool more = true; more; row++) {
        double *p;
        const double *q = v + row * features;
        if (stack) idx[axis] = t;
        p = to + row_at(&lo, idx) * features;
        if (row_valid(e, n->axes & AX(AXIS_B), idx))
            for (int64_t k = 0; k < features; k++) p[k] = add ? p[k] + q[k] : q[k];
        if (stack) idx[axis] = 0;
        more = row_next(&l, idx);
    }
}

static bool scan_step(Eval *e, Frame *c, const ScanInfo *s, int64_t t) {
    const Graph *b = c->g;

    if (!eval_graph(e, c)) return false;
    for (uint32_t i = s->ncarry; i < b->root.n; i++) {
        const Root *o = &b->root.at[i];
        if (o->kind == ROOT_LAST) continue;
        put_rows(e, &b->node.at[o->ref], c->v[o->ref], c->out[i - s->ncarry], o->kind == ROOT_STACK ? AX(s->axis) : 0, t,
                 o->kind == ROOT_SUM);
    }
    for (uint32_t k = 0; k < s->ncarry; k++) { /* a next may be another carry: all are read before one is written */
        Ref next = b->root.at[k].ref;
        memcpy(c->next[k], c->carry[k], (size_t)c->up->size[s->init[k]] * sizeof(double));
        put_rows(e, &b->node.at[next], c->v[next], c->next[k], 0, 0, false);
    }
    for (uint32_t k = 0; k < s->ncarry; k++) memcpy(c->carry[k], c->next[k], (size_t)c->up->size[s->init[k]] * sizeof(double));
    return true;
}

static bool eval_scan(Eval *e, Frame *f, Ref r) {
    ScanInfo s = scan_info(f->g, r);
    const Graph *body = e->m->graph.at[s.body];
    int64_t steps = e->size[s.axis], batch = e->size[AXIS_B], before = e->now[s.axis];
    const bool *outer = e->active;
    bool *active, ok = true;
    Frame *c;

    if (!f->child[r] && !scan_open(e, f, r, &s)) return false;
    c = f->child[r];
    active = c->active;
    for (uint32_t k = 0; k < s.ncarry; k++) memcpy(c->carry[k], f->v[s.init[k]], (size_t)f->size[s.init[k]] * sizeof(double));
    for (uint32_t i = s.ncarry; i < body->root.n; i++) {
        const Root *o = &body->root.at[i];
        if (o->kind != ROOT_LAST)
            memset(c->out[i - s.ncarry], 0,
                   (size_t)sized(e, &body->node.at[o->ref], o->kind == ROOT_STACK ? AX(s.axis) : 0) * sizeof(double));
        else
            c->out[i - s.ncarry] = c->carry[o->index];
    }
    for (int64_t i = 0; ok && i < steps; i++) {
        int64_t t = s.reverse ? steps - 1 - i : i;
        e->now[s.axis] = t;
        for (int64_t b = 0; b < batch; b++)
            active[b] = (!outer || outer[b]) && (!e->length[s.axis] || (double)t < e->length[s.axis][b]);
        e->active = active;
        ok = scan_step(e, c, &s, t);
    }
    e->active = outer;
    e->now[s.axis] = before;
    return ok;
}

/* From 0 to 1: splitmix64 (Steele, Lea, Flood 2014). */
double eval_draw(Eval *e) {
    uint64_t z = e->draw += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* The float below or above, the nearer the likelier; or the neighbour in f64. What f32 has stays: it is often exact. */
double eval_rounded(Eval *e, double v) {
    float near = (float)v;
    if ((!e->in->f32_draw && !e->in->f64_draw) || (double)near == v || !isfinite(near)) return v;
    if (e->in->f64_draw) return nextafter(v, eval_draw(e) < 0.5 ? INFINITY : -INFINITY);
    float other = nextafterf(near, (double)near < v ? INFINITY : -INFINITY);
    return eval_draw(e) * fabs((double)other - (double)near) < fabs(v - (double)near) ? (double)other : (double)near;
}

/* What draws move before they round. In f32 the fast tier's tanh and sigmoid are up to 2.5 ulp off (ir/vmath.c): 1.5 by chance. A 1 of
   theirs is never exact: in f64 it is 1 or 3 neighbours less in the end, so that 1 - sigmoid(x) is not 0. The loops begin a product's sum
   with what is added to it: where the two cancel, roundings of their size are left, 1 ulp of the product by chance. */
static double result_moved(Eval *e, Op op, double v) {
    float size = (float)fabs(v);
    bool act = op == OP_TANH || op == OP_SIGMOID;
    if ((!act && op != OP_DOT) || !isfinite(size)) return v;
    if (e->in->f64_draw) return act && fabs(v) == 1 ? nextafter(nextafter(v, 0), 0) : v;
    if (act && (double)size == fabs(v)) return v;
    return v + (2 * eval_draw(e) - 1) * (act ? 1.5 : 1) * ((double)nextafterf(size, INFINITY) - (double)size);
}

static bool eval_node(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];
    OpClass cls = (OpClass)op_info[n->op].cls;
    double *v;

    if (n->op == OP_SCAN) return eval_scan(e, f, r);
    if (n->op == OP_OUT) {
        f->v[r] = f->child[n->in[0]]->out[n->attr];
        f->size[r] = value_size(e->m, n, e->size);
        return true;
    }
    if (cls == OPC_LEAF) {
        if (!eval_leaf(e, f, r)) return false;
        f->size[r] = value_size(e->m, n, e->size);
        return true;
    }
    v = buffer(e, f, r);
    if (!v) return false;
    if (cls == OPC_UNARY || cls == OPC_BINARY || cls == OPC_TERNARY)
        eval_elementwise(e, f, r, v);
    else
        eval_structural(e, f, r, v);
    if ((e->in->f32_draw || e->in->f64_draw) && n->dtype == DT_F)
        for (int64_t i = 0; i < f->size[r]; i++) v[i] = eval_rounded(e, result_moved(e, n->op, v[i]));
    return true;
}

static bool eval_graph(Eval *e, Frame *f) {
    for (Ref r = 1; r < f->g->node.n; r++) {
        if (!eval_node(e, f, r)) return false;
        if (f->bad) eval_note_bad(e, f, r);
    }
    return true;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static bool axis_open(Eval *e, uint32_t i) {
    const Axis *a = &e->m->axis[i];
    int64_t batch = e->size[AXIS_B];
    double *len;

    e->size[i] = axis_size(e->m, i, e->in->axis);
    if (e->size[i] < 0 || e->size[i] > INT32_MAX) {
        diag_error(e->m->ctx, 713, (Span){0, 0}, "axis '%s' has an impossible size", name_str(e->m->ctx, a->name));
        return false;
    }
    if (!a->ragged) return true;
    if (a->kind == AXIS_JOIN) {
        len = NEW_N(e->a, double, batch + 1);
        for (int64_t b = 0; b < batch; b++) {
            len[b] = e->length[a->a] ? e->length[a->a][b] : (double)e->size[a->a];
            len[b] += e->length[a->b] ? e->length[a->b][b] : (double)e->size[a->b];
        }
        e->length[i] = len;
        return true;
    }
    if (!a->length || !e->in->input || !e->in->input[a->length - 1]) {
        diag_error(e->m->ctx, 712, (Span){0, 0}, "no lengths for axis '%s'", name_str(e->m->ctx, a->name));
        return false;
    }
    e->length[i] = e->in->input[a->length - 1];
    for (int64_t b = 0; b < batch; b++)
        if (!(e->length[i][b] >= 0 && e->length[i][b] <= (double)e->size[i])) {
            diag_error(e->m->ctx, 713, (Span){0, 0}, "a length of axis '%s' is not between 0 and its size",
                       name_str(e->m->ctx, a->name));
            return false;
        }
    return true;
}

static double *root_value(const Eval *e, const Node *n, const double *v, Arena *a) {
    Layout l;
    int64_t features = node_features(n), idx[MAX_AXES] = {0}, row = 0;
    double *out = NEW_N(a, double, rows_of(e, n->axes) * features + 1);

    layout_of(e, n->axes, &l);
    if (!l.rows) return out;
    do {
        if (row_valid(e, n->axes, idx)) memcpy(out + row * features, v + row * features, (size_t)features * sizeof(double));
        row++;
    } while (row_next(&l, idx));
    return out;
}

static bool eval_all(Eval *e, Arena *a, const double **out) {
    const Graph *g = e->m->graph.at[0];
    Frame *f;

    for (uint32_t i = 0; i < e->m->naxis; i++)
        if (!axis_open(e, i)) return false;
    f = frame_make(e, g, NULL, 0);
    if (!eval_graph(e, f)) return false;
    if (f->bad) eval_find_origin(e, f);
    for (uint32_t i = 0; i < g->root.n; i++) {
        Ref r = g->root.at[i].ref;
        out[i] = r ? root_value(e, &g->node.at[r], f->v[r], a) : NULL;
    }
    return true;
}

/* Everything but the results lives in an arena of its own; running out of memory must free that on its way up. */
static bool with_scratch(const Module *m, const EvalIn *in, Arena *a, const double **out, double *theta) {
    Eval *e = NEW(a, Eval);
    Arena *scratch = NEW(a, Arena);
    CtxFrame frame;
    bool ok;

    *scratch = arena_make(m->ctx);
    *e = (Eval){.m = m, .a = scratch, .in = in, .draw = in->f32_draw ? in->f32_draw : in->f64_draw};
    if (!CTX_TRY(m->ctx, &frame)) {
        arena_free(scratch);
        ctx_out_of_memory(m->ctx);
    }
    if (out) {
        ok = eval_all(e, a, out);
    } else {
        Frame *f = frame_make(e, m->init, NULL, 0);
        ok = eval_graph(e, f);
        for (uint32_t i = 0; ok && i < m->param.n; i++) {
            const Param *p = &m->param.at[i];
            Node t = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
            int64_t n = node_features(&t);
            bool one = p->init && !m->init->node.at[p->init].rank;
            for (int64_t k = 0; k < n; k++) theta[p->offset + k] = p->init ? f->v[p->init][one ? 0 : k] : 0;
        }
    }
    CTX_END(m->ctx);
    arena_free(scratch);
    return ok;
}

bool module_eval(const Module *m, Arena *a, const EvalIn *in, const double **out) { return with_scratch(m, in, a, out, NULL); }

bool module_eval_init(const Module *m, Arena *a, uint64_t seed, double *theta) {
    EvalIn in = {.seed = seed};

    return with_scratch(m, &in, a, NULL, theta);
}
