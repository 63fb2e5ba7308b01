/* Operation counts of a module. */
#include "ir/graph.h"

void module_axes(const Module *m, int64_t batch, int64_t steps, int64_t *axis) {
    for (uint32_t i = 0; i < MAX_AXES; i++) axis[i] = 0;
    for (uint32_t i = 0; i < m->naxis; i++) {
        const Axis *a = &m->axis[i];
        switch ((AxisKind)a->kind) {
        case AXIS_BATCH: axis[i] = batch; break;
        case AXIS_TIME: axis[i] = a->count ? a->count : steps; break;
        case AXIS_COUNT: axis[i] = a->count; break;
        case AXIS_JOIN: axis[i] = axis[a->a] + axis[a->b]; break;
        case AXIS_ELEM: axis[i] = m->theta_size; break;
        }
    }
}

static double size_of(const Node *n, uint32_t axes, const int64_t *axis) {
    double size = (double)node_features(n);
    for (uint32_t i = 0; i < MAX_AXES; i++)
        if (axes >> i & 1) size *= (double)axis[i];
    return size;
}

/* Every label of either operand once: its rows, columns and the summed ones. */
static double dot_pairs(const Graph *g, const Node *n, Ref r, const int64_t *axis) {
    const uint32_t *label = node_attr(g, r);
    const Node *a = &g->node.at[n->in[0]], *b = &g->node.at[n->in[1]];
    double pairs = size_of(a, a->axes | b->axes, axis);
    for (int j = 0; j < b->rank; j++) {
        bool shared = false;
        for (int i = 0; i < a->rank; i++) shared = shared || label[i] == label[3 + j];
        if (!shared) pairs *= b->dim[j];
    }
    return pairs;
}

void flops_of_dot(const Graph *g, Ref r, const int64_t *axis, Flops *f) { f->product += 2 * dot_pairs(g, &g->node.at[r], r, axis); }

static void count_graph(const Graph *g, const int64_t *axis, double times, Flops *f) {
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        switch ((OpClass)op_info[n->op].cls) {
        case OPC_UNARY:
        case OPC_BINARY:
        case OPC_TERNARY: f->other += times * size_of(n, n->axes, axis); break;
        case OPC_REDUCE: {
            const Node *a = &g->node.at[n->in[0]];
            f->other += times * size_of(a, a->axes, axis);
            break;
        }
        case OPC_CONTRACT: f->product += times * 2 * dot_pairs(g, n, r, axis); break;
        case OPC_CONTROL:
            if (n->op == OP_SCAN) {
                ScanInfo s = scan_info(g, r);
                count_graph(g->module->graph.at[s.body], axis, times * (double)axis[s.axis], f);
            }
            break;
        case OPC_LEAF:
        case OPC_SHAPE:
        case OPC_INDEX:
        case OPC_TIME: break;
        }
    }
}

Flops module_flops(const Module *m, const int64_t *axis) {
    Flops f = {0, 0};
    count_graph(m->graph.at[0], axis, 1, &f);
    return f;
}
