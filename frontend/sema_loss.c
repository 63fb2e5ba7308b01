/* sema_loss: what is seldom meant in a loss or a metric, pointed out and not refused. */
#include "frontend/sema.h"

/* ---- shapes ------------------------------------------------------------------------------------------------------------- */

/* mse(h, y) with h a sequence and y one value: that every step is held against y is seldom meant. */
static void warn_mixed(Scope *s, const AstExpr *call)
{
    const Val *seq = NULL, *one = NULL;

    for (uint32_t i = 0; call->kind == AST_CALL && i < call->args.n; i++) {
        const AstExpr *x = call->args.at[i].value;
        const Val *v = x->kind == AST_NAME && !x->primed ? eval(s, x) : &val_poison;
        if (v->kind != V_TENSOR) continue;
        if (val_seq(s, v)) seq = v;
        else if (val_type(v).axes & AX(AXIS_B)) one = v;
    }
    if (!seq || !one || !sema_warning(s->e, 416, call->span, "every step is held against one value")) return;
    diag_note(s->e->ctx, seq->span, "this has a value for each step");
    diag_note(s->e->ctx, one->span, "this has one for the whole example");
    diag_help(s->e->ctx, (Span){0, 0}, "the value at the last step is `.last`, the mean over the steps `.mean`");
}

/* mse(p, y) with p one number and y several: it is broadcast, where one number of the layer for each was meant. */
static void warn_broadcast(Scope *s, const AstExpr *call)
{
    const Val *v[2];

    for (uint32_t i = 0; i < 2; i++) {
        const AstExpr *x = call->kind == AST_CALL && call->args.n == 2 ? call->args.at[i].value : NULL;
        if (!x || x->kind != AST_NAME || x->primed) return;
        v[i] = eval(s, x);
        if (v[i]->kind != V_TENSOR || v[i]->vocab || !(val_type(v[i]).axes & AX(AXIS_B))) return;
    }
    Node t0 = val_type(v[0]), t1 = val_type(v[1]);
    int64_t n0 = node_features(&t0), n1 = node_features(&t1);
    if (n0 == n1 || (n0 != 1 && n1 != 1) || !sema_warning(s->e, 417, call->span, "one number is held against each of several")) return;
    diag_note(s->e->ctx, v[n0 != 1]->span, "this has one number");
    diag_note(s->e->ctx, v[n0 == 1]->span, "this has %lld", (long long)(n0 == 1 ? n1 : n0));
    diag_help(s->e->ctx, (Span){0, 0}, "a number for each of them is what `dense[%lld]` gives", (long long)(n0 == 1 ? n1 : n0));
}

/* ---- scores and probabilities ------------------------------------------------------------------------------------------- */

/* What a scan hands out, in its body. */
static Ref out_of_scan(const Graph **g, Ref r)
{
    const Node *n = &(*g)->node.at[r];
    ScanInfo s = scan_info(*g, n->in[0]);
    const Graph *body = (*g)->module->graph.at[s.body];
    const Root *o = &body->root.at[s.ncarry + n->attr];

    if (o->kind == ROOT_LAST) o = &body->root.at[o->index];
    *g = body;
    return o->ref;
}

/* Behind what only moves numbers about. */
static Ref behind_views(const Graph **g, Ref r)
{
    for (;;) {
        const Node *n = &(*g)->node.at[r];
        switch ((OpClass)op_info[n->op].cls) {
        case OPC_SHAPE:
            if (n->op == OP_CONCAT || n->op == OP_PAD) return r;
            r = n->in[0];
            continue;
        case OPC_INDEX:
            if (n->op != OP_GATHER) return r;
            r = n->in[0];
            continue;
        case OPC_TIME:
            if (n->op == OP_JOIN) return r;
            r = n->in[0];
            continue;
        case OPC_CONTROL:
            if (n->op != OP_OUT) return r;
            r = out_of_scan(g, r);
            continue;
        case OPC_LEAF: case OPC_UNARY: case OPC_BINARY: case OPC_TERNARY: case OPC_REDUCE: case OPC_CONTRACT: return r;
        }
    }
}

static bool is_abs_of(const Graph *g, Ref r, Ref x)
{
    return g->node.at[r].op == OP_ABS && g->node.at[r].in[0] == x;
}

/* Out of a sigmoid, an exp, a softplus (x + |x| ..) or a softmax, or a mean of such by such weights: never below 0. */
static bool is_positive(const Graph *g, Ref r, int depth)
{
    r = behind_views(&g, r);
    const Node *n = &g->node.at[r];
    Ref a = n->in[0], b = n->in[1];
    double c;

    if (n->op == OP_SIGMOID || n->op == OP_EXP || n->op == OP_ABS || n->op == OP_LENGTH) return true;
    if (const_value(g, r, &c)) return c >= 0;
    if (depth > 8) return false;
    if (n->op == OP_SUM || n->op == OP_AMAX || n->op == OP_SQRT || n->op == OP_LOG1P || n->op == OP_CAST) return is_positive(g, a, depth + 1);
    if (n->op == OP_MAX) return is_positive(g, a, depth + 1) || is_positive(g, b, depth + 1);
    if (n->op == OP_ADD && (is_abs_of(g, a, b) || is_abs_of(g, b, a))) return true;
    if (n->op != OP_DOT && n->op != OP_DIV && n->op != OP_MUL && n->op != OP_ADD) return false;
    return (n->op == OP_MUL && a == b) || (is_positive(g, a, depth + 1) && is_positive(g, b, depth + 1));
}

/* A product with weights, or a sum with one in it: nothing keeps it above 0. A softplus (x + |x| ..) is none. */
static bool either_sign(const Graph *g, Ref r, int depth)
{
    r = behind_views(&g, r);
    const Node *n = &g->node.at[r];
    Ref a = n->in[0], b = n->in[1];

    if (n->op == OP_DOT) return !is_positive(g, r, 0);
    if (depth > 12) return false;
    if (n->op == OP_NEG || n->op == OP_SUM || n->op == OP_DIV) return either_sign(g, a, depth + 1);
    if (n->op == OP_ADD && (is_abs_of(g, a, b) || is_abs_of(g, b, a))) return false;
    if (n->op == OP_MUL && a == b) return false;
    return (n->op == OP_ADD || n->op == OP_SUB || n->op == OP_MUL) && (either_sign(g, a, depth + 1) || either_sign(g, b, depth + 1));
}

/* Out of a sigmoid or a softmax. */
static bool is_probability(const Graph *g, Ref r)
{
    r = behind_views(&g, r);
    const Node *n = &g->node.at[r];
    const Graph *of = g;
    Ref sum;

    if (n->op == OP_SIGMOID) return true;
    if (n->op != OP_DIV || g->node.at[n->in[0]].op != OP_EXP) return false;
    sum = behind_views(&of, n->in[1]);
    return of == g && g->node.at[sum].op == OP_SUM && g->node.at[sum].in[0] == n->in[0];
}

/* x of exp(x), exp(-|x|) and exp(x - stop(..)), which is how softmax and softplus are written. */
static Ref exponent(const Graph *g, Ref r)
{
    const Graph *of = g;
    Ref x = g->node.at[r].in[0], m;

    while (g->node.at[x].op == OP_NEG || g->node.at[x].op == OP_ABS) x = g->node.at[x].in[0];
    if (g->node.at[x].op != OP_SUB) return x;
    m = behind_views(&of, g->node.at[x].in[1]);
    return of->node.at[m].op == OP_STOP ? g->node.at[x].in[0] : x;
}

/* A note at the arguments that are meant: scores, or probabilities. */
static void note_arguments(Scope *s, const AstExpr *call, bool scores, const char *text)
{
    const Graph *g = s->level->g;

    for (uint32_t i = 0; call->kind == AST_CALL && i < call->args.n; i++) {
        const AstExpr *x = call->args.at[i].value;
        const Val *v = x->kind == AST_NAME && !x->primed ? eval(s, x) : &val_poison;
        bool here = v->kind == V_TENSOR && v->level == s->level;
        if (here && (scores ? either_sign(g, v->ref, 0) : is_probability(g, v->ref))) diag_note(s->e->ctx, v->span, "%s", text);
    }
}

/* sparse_crossentropy(z, y) of logits z takes the logarithm of what may be below 0, and softmax_crossentropy(softmax(z), y) a softmax of
   probabilities, which learns, but badly. Told by what the loss adds to the graph, from `mark` on, and so of losses of anybody's. */
static const char *const of_scores = "of such scores the losses are `softmax_crossentropy` and `sigmoid_crossentropy`; `softmax` and `sigmoid` make them probabilities";

static void warn_scale(Scope *s, const AstExpr *call, Ref mark)
{
    const Graph *g = s->level->g;
    bool log = false, exp = false;

    for (Ref r = mark; r < g->node.n; r++) {
        log = log || (g->node.at[r].op == OP_LOG && either_sign(g, g->node.at[r].in[0], 0));
        exp = exp || (g->node.at[r].op == OP_EXP && is_probability(g, exponent(g, r)));
    }
    if (log && sema_warning(s->e, 418, call->span, "the logarithm of what may be below 0")) {
        note_arguments(s, call, true, "this is a sum of products, of either sign");
        diag_help(s->e->ctx, (Span){0, 0}, "%s", of_scores);
    }
    if (exp && sema_warning(s->e, 419, call->span, "this loss takes scores, and puts them through softmax or sigmoid itself")) {
        note_arguments(s, call, false, "this is a probability already");
        diag_help(s->e->ctx, (Span){0, 0}, "give it what stands before softmax or sigmoid; the losses of probabilities are `sparse_crossentropy` and `binary_crossentropy`");
    }
}

/* ---- metrics ------------------------------------------------------------------------------------------------------------ */

void metric_scale(const Graph *g, Ref arg, uint32_t i, MetricInfo *out)
{
    if (is_probability(g, arg)) out->shares |= 1u << i;
    else if (either_sign(g, arg, 0)) out->scores |= 1u << i;
}

/* Is x, behind what only moves numbers about, one of the arguments in `mask`? */
static bool is_argument(const Graph *g, Ref x, const Ref *arg, uint32_t n, uint32_t mask)
{
    x = behind_views(&g, x);
    for (uint32_t i = 0; i < n; i++)
        if (mask >> i & 1 && behind_views(&g, arg[i]) == x) return true;
    return false;
}

/* perplexity(softmax(z), y), which takes the scores z: as warn_scale, of a body that stands by itself. */
void metric_hints(Elab *e, const MetricInfo *mi, const Graph *g, const Ref *arg, Span at)
{
    bool log = false, exp = false;

    for (Ref r = 1; r < g->node.n && (mi->scores | mi->shares); r++) {
        log = log || (g->node.at[r].op == OP_LOG && is_argument(g, g->node.at[r].in[0], arg, mi->nargs, mi->scores));
        exp = exp || (g->node.at[r].op == OP_EXP && is_argument(g, exponent(g, r), arg, mi->nargs, mi->shares));
    }
    if (log && sema_warning(e, 418, at, "the logarithm of what may be below 0")) diag_help(e->ctx, (Span){0, 0}, "%s", of_scores);
    if (exp && sema_warning(e, 419, at, "this metric takes scores, and puts them through softmax or sigmoid itself"))
        diag_help(e->ctx, (Span){0, 0}, "give it what stands before softmax or sigmoid");
}

void loss_hints(Scope *s, const AstExpr *call, Ref mark)
{
    warn_mixed(s, call);
    warn_broadcast(s, call);
    warn_scale(s, call, mark);
}
