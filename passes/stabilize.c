/* stabilize: rewrites what overflows or cancels although its value and its gradient are ordinary numbers. Before autodiff: the
   gradient of the stable form is the point.
     log(sigmoid(x))            (x - |x|) / 2 - log1p(exp(-|x|))       L(x) below
     log(1 - sigmoid(x))        L(-x)                                  so -(y log p + (1 - y) log(1 - p)) is stable too
     log(1 + exp(x))            -L(-x)
     exp(x) / sum(exp(x))       exp(x - m) / sum(exp(x - m)),          m = stop(amax(x))
     log(sum(exp(x)))           m + log(sum(exp(x - m)))
     log(exp(x)), log(a / b)    x, log a - log b                       if a is an exp: log(softmax(x))
   also where slices, gathers and other views stand between the log and the rest. L has (x - |x|) / 2 instead of min(x, 0)
   because its derivative at 0, with |.|' (0) = 0, is the right one.
   relies on: folding has put constants second in sums and removed double negation; nothing folds across stop. */
#include "ir/build.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

static const Node *at(const Graph *g, Ref r)
{
    return &g->node.at[r];
}

static bool is_value(const Graph *g, Ref r, double want)
{
    double v;

    return const_value(g, r, &v) && v == want;
}

static Ref without_expand(const Graph *g, Ref r)
{
    while (at(g, r)->op == OP_EXPAND) r = at(g, r)->in[0];
    return r;
}

/* Is r bounded above already: -|x|, or x less a maximum? */
static bool bounded(const Graph *g, Ref r)
{
    Ref m;

    if (at(g, r)->op == OP_NEG) return at(g, at(g, r)->in[0])->op == OP_ABS;
    if (at(g, r)->op != OP_SUB) return false;
    m = without_expand(g, at(g, r)->in[1]);
    return at(g, m)->op == OP_STOP || at(g, m)->op == OP_AMAX;
}

static Ref log_sigmoid(Graph *g, Ref x)
{
    Ref abs = g_un(g, OP_ABS, x);
    Ref low = g_bin(g, OP_MUL, g_bin(g, OP_SUB, x, abs), g_const(g, 0.5));

    return g_bin(g, OP_SUB, low, g_un(g, OP_LOG1P, g_un(g, OP_EXP, g_un(g, OP_NEG, abs))));
}

static Ref log_one_and_exp(Graph *g, Ref x)
{
    return g_un(g, OP_NEG, log_sigmoid(g, g_un(g, OP_NEG, x)));
}

/* v, reduced from the type of x over these dims, with the dims broadcast again. */
static Ref unreduce(Graph *g, Ref v, const Node *x, uint32_t dims)
{
    int32_t map[MAX_RANK] = {-1, -1, -1}, k = 0;

    if (!dims || at(g, v)->rank == 0) return v;
    for (int i = 0; i < x->rank; i++)
        if (!(dims >> i & 1)) map[i] = k++;
    return g_expand(g, v, x->rank, x->dim, map, 0);
}

/* r = sum(exp(x)), x unbounded: *m is the greatest x of each sum, exp(x - m) the result. */
static Ref shifted_exp(Graph *g, Ref r, Ref *m)
{
    const Node n = *at(g, r);
    uint32_t axes, dims;
    Ref x;

    if (n.op != OP_SUM || at(g, n.in[0])->op != OP_EXP) return 0;
    x = at(g, n.in[0])->in[0];
    if (bounded(g, x)) return 0;
    axes = node_attr(g, r)[0];
    dims = node_attr(g, r)[1];
    *m = g_un(g, OP_STOP, g_amax(g, x, axes, dims));
    return g_un(g, OP_EXP, g_bin(g, OP_SUB, x, unreduce(g, *m, at(g, x), dims)));
}

static Ref log_sum_exp(Graph *g, Ref r)
{
    uint32_t axes, dims;
    Ref m, e = shifted_exp(g, r, &m);

    if (!e) return 0;
    axes = node_attr(g, r)[0];
    dims = node_attr(g, r)[1];
    return g_bin(g, OP_ADD, m, g_un(g, OP_LOG, g_sum(g, e, axes, dims)));
}

/* The logarithm of r, where there is a better way than taking it; 0 else. */
static Ref log_of(Graph *g, Ref r)
{
    const Node n = *at(g, r);
    Ref v;

    if (n.op == OP_SIGMOID) return log_sigmoid(g, n.in[0]);
    if (n.op == OP_EXP) return n.in[0];
    if (n.op == OP_SUM) return log_sum_exp(g, r);
    if (n.op == OP_SUB && is_value(g, n.in[0], 1) && at(g, n.in[1])->op == OP_SIGMOID)
        return log_sigmoid(g, g_un(g, OP_NEG, at(g, n.in[1])->in[0]));
    if (n.op == OP_ADD && is_value(g, n.in[1], 1) && at(g, n.in[0])->op == OP_EXP && !bounded(g, at(g, n.in[0])->in[0]))
        return log_one_and_exp(g, at(g, n.in[0])->in[0]);
    if (n.op == OP_DIV && (v = log_of(g, n.in[0])) != 0) {
        Ref low = log_of(g, n.in[1]);
        return g_bin(g, OP_SUB, v, low ? low : g_un(g, OP_LOG, n.in[1]));
    }
    if (n.op == OP_SLICE || n.op == OP_RESHAPE || n.op == OP_TRANSPOSE || n.op == OP_EXPAND || n.op == OP_GATHER) {
        Node view = n;
        if ((view.in[0] = log_of(g, n.in[0])) == 0) return 0;
        view.in[0] = node_fit(g, view.in[0], at(g, n.in[0]));
        return graph_emit(g, &view, NULL);
    }
    return 0;
}

/* exp(x) / sum(exp(x)) */
static Ref softmax(Graph *g, const Node *n)
{
    Ref sum = without_expand(g, n->in[1]), m, e;
    uint32_t axes, dims;

    if (at(g, n->in[0])->op != OP_EXP || at(g, sum)->op != OP_SUM || at(g, sum)->in[0] != n->in[0]) return 0;
    e = shifted_exp(g, sum, &m);
    if (!e) return 0;
    axes = node_attr(g, sum)[0];
    dims = node_attr(g, sum)[1];
    return g_bin(g, OP_DIV, e, unreduce(g, g_sum(g, e, axes, dims), at(g, e), dims));
}

static Ref stable(Graph *g, Ref r)
{
    const Node n = *at(g, r);
    Ref v = 0;

    if (n.op == OP_LOG) v = log_of(g, n.in[0]);
    else if (n.op == OP_DIV) v = softmax(g, &n);
    else if (n.op == OP_LOG1P && at(g, n.in[0])->op == OP_EXP && !bounded(g, at(g, n.in[0])->in[0]))
        v = log_one_and_exp(g, at(g, n.in[0])->in[0]);
    return v ? node_fit(g, v, &n) : r;
}

bool pass_stabilize(Module *m, const PassOptions *o)
{
    uint64_t before, last, now;

    (void)o;
    module_dce(m);
    before = last = module_hash(m);
    for (int round = 0; round < 6; round++, last = now) {
        rewrite_nodes(m, stable);
        module_dce(m);
        now = module_hash(m);
        if (now == last) break;
    }
    return last != before;
}
