/* A module as text. What is printed parses again (ir/parse.c) and prints the same.

     module lstm
     theta 6144
     axis 0 B batch
     axis 1 T time length(len.x)
     param 0 h.W [64,32] @0 init %1
     input 0 x data f<T,B>[32]
     state 0 h f<B>[64]
     graph model {
       %1 = input x : f<T,B>[32]
       %6 = scan T fwd @1 carry(%5) step(%1) capture(%2,%3)
       output "y" %7
     }
     graph 1 { .. next %8  stack %8 }          after place and fuse also the lines of docs/ir.md, section 9:
       place %6 step of %7 rows 32 weights 1024 traffic 4096
       run row <B> in %7 : %3 %4 | %5
     init { %1 = noise normal stream 1 : f[64,32] }

   Names that are no plain words are quoted; an ambiguous name of an axis, parameter or input is #index. Comments: // */
#include <ctype.h>
#include <string.h>

#include "ir/build.h"
#include "ir/text.h"

const char *const axis_kind_text[] = {"batch", "time", "count", "join", "elem"};
const char *const input_kind_text[] = {"data", "target", "state", "lengths", "scalar"};
const char *const noise_kind_text[] = {"uniform", "normal", "orthogonal"};
const char *const root_kind_text[] = {"next",    "stack", "sum",    "last",       "output",     "final",
                                      "initial", "loss",  "metric", "grad_param", "grad_input", "value"};
const char *const place_text[] = {"auto", "step", "chunk", "whole", "beside"};
const char *const node_kind_text[] = {"free", "access", "inline", "chain", "row", "product", "gradient", "reduce", "scatter", "copy", "scan"};
const char *const stage_text[] = {"row", "product", "gradient", "reduce", "scatter", "copy", "scan"};
const char label_text[] = "?iojklmnpq";

static bool plain(const char *s) {
    if (!isalpha((unsigned char)*s) && *s != '_') return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '.') return false;
    return true;
}

static void put_string(Str *s, const char *t) {
    str_putc(s, '"');
    for (; *t; t++) {
        if (*t == '"' || *t == '\\')
            str_printf(s, "\\%c", *t);
        else if (*t == '\n')
            str_put(s, "\\n");
        else
            str_putc(s, *t);
    }
    str_putc(s, '"');
}

static void put_word(Str *s, const char *t) {
    if (plain(t))
        str_put(s, t);
    else
        put_string(s, t);
}

static void put_axis(Str *s, const Module *m, uint32_t axis) {
    bool unique = axis < m->naxis && m->axis[axis].name;

    for (uint32_t i = 0; unique && i < m->naxis; i++)
        if (i != axis && m->axis[i].name == m->axis[axis].name) unique = false;
    if (unique)
        put_word(s, name_str(m->ctx, m->axis[axis].name));
    else
        str_printf(s, "#%u", axis);
}

/* In the order of the canonical layout: time axes, then B. */
static void put_axes(Str *s, const Module *m, uint32_t axes) {
    const char *sep = "";

    for (uint32_t i = 1; i <= MAX_AXES; i++) {
        uint32_t axis = i % MAX_AXES;
        if (!(axes & AX(axis))) continue;
        str_put(s, sep);
        put_axis(s, m, axis);
        sep = ",";
    }
}

static void put_dims(Str *s, int rank, const int32_t *dim) {
    str_putc(s, '[');
    for (int i = 0; i < rank; i++) str_printf(s, "%s%d", i ? "," : "", (int)dim[i]);
    str_putc(s, ']');
}

static void put_type(Str *s, const Module *m, uint8_t dtype, int rank, const int32_t *dim, uint32_t axes) {
    str_putc(s, "fib"[dtype < 3 ? dtype : 0]);
    if (axes) {
        str_putc(s, '<');
        put_axes(s, m, axes);
        str_putc(s, '>');
    }
    put_dims(s, rank, dim);
}

static void put_refs(Str *s, const char *word, const Ref *r, uint32_t n) {
    str_printf(s, "%s(", word);
    for (uint32_t i = 0; i < n; i++) str_printf(s, "%s%%%u", i ? "," : "", r[i]);
    str_putc(s, ')');
}

static void put_param_name(Str *s, const Module *m, uint32_t i) {
    bool unique = i < m->param.n && m->param.at[i].name;

    for (uint32_t k = 0; unique && k < m->param.n; k++)
        if (k != i && m->param.at[k].name == m->param.at[i].name) unique = false;
    str_putc(s, ' ');
    if (unique)
        put_word(s, name_str(m->ctx, m->param.at[i].name));
    else
        str_printf(s, "#%u", i);
}

static void put_input_name(Str *s, const Module *m, uint32_t i) {
    bool unique = i < m->input.n && m->input.at[i].name;

    for (uint32_t k = 0; unique && k < m->input.n; k++)
        if (k != i && m->input.at[k].name == m->input.at[i].name) unique = false;
    if (unique)
        put_word(s, name_str(m->ctx, m->input.at[i].name));
    else
        str_printf(s, "#%u", i);
}

static void put_labels(Str *s, const uint32_t *w) {
    str_put(s, " {");
    for (int i = 0; i < 9; i++) {
        if (i == 3) str_putc(s, ',');
        if (i == 6) str_put(s, "->");
        if (w[i]) str_putc(s, label_text[w[i] < 10 ? w[i] : 0]);
    }
    str_putc(s, '}');
}

static void put_leaf_attr(Str *s, const Module *m, const Node *n, const uint32_t *w) {
    if (n->op == OP_CONST) {
        str_putc(s, ' ');
        str_double(s, words_double(w));
    } else if (n->op == OP_PARAM) {
        put_param_name(s, m, w[0]);
    } else if (n->op == OP_INPUT) {
        str_putc(s, ' ');
        put_input_name(s, m, w[0]);
    } else if (n->op == OP_NOISE) {
        str_printf(s, " %s stream %u", noise_kind_text[w[0] < 3 ? w[0] : 0], w[1]);
        if (!w[2]) return;
        str_put(s, " per(");
        put_axes(s, m, w[2]);
        str_putc(s, ')');
    } else if (n->op == OP_IOTA || n->op == OP_LENGTH) {
        if (n->op == OP_IOTA && !w[0]) return;
        str_putc(s, ' ');
        put_axis(s, m, n->op == OP_IOTA ? w[0] - 1 : w[0]);
    } else {
        str_printf(s, " %u", w[0]);
    }
}

static void put_reduce_attr(Str *s, const Module *m, const Node *n, const uint32_t *w) {
    const char *sep = "";

    if (n->op == OP_ARGMAX) {
        str_printf(s, " {%u}", w[0]);
        return;
    }
    if (w[0]) {
        str_put(s, " <");
        put_axes(s, m, w[0]);
        str_putc(s, '>');
    }
    if (!w[1]) return;
    str_put(s, " {");
    for (int d = 0; d < 3; d++) {
        if (!(w[1] >> d & 1)) continue;
        str_printf(s, "%s%d", sep, d);
        sep = ",";
    }
    str_putc(s, '}');
}

static void put_shape_attr(Str *s, const Node *n, const uint32_t *w) {
    bool mapped = false;

    if (n->op == OP_SLICE || n->op == OP_PAD) str_printf(s, " {%u} %d %d", w[0], (int)w[1], (int)w[2]);
    if (n->op == OP_CONCAT) str_printf(s, " {%u}", w[0]);
    for (int i = 0; n->op == OP_EXPAND && i < n->rank; i++) mapped |= (int32_t)w[i] >= 0;
    if (n->op != OP_TRANSPOSE && !mapped) return;
    str_put(s, " {");
    for (int i = 0; i < n->rank; i++) {
        if (i) str_putc(s, ',');
        if ((int32_t)w[i] < 0)
            str_putc(s, '-');
        else
            str_printf(s, "%u", w[i]);
    }
    str_putc(s, '}');
}

static void put_time_attr(Str *s, const Module *m, const Node *n, const uint32_t *w) {
    for (int i = 0; i < (n->op == OP_JOIN ? 3 : 1); i++) {
        str_putc(s, ' ');
        put_axis(s, m, w[i]);
    }
    if (n->op == OP_SHIFT) str_printf(s, " %d", (int)w[1]);
}

static void put_scan(Str *s, const Graph *g, Ref r) {
    ScanInfo c = scan_info(g, r);

    str_putc(s, ' ');
    put_axis(s, g->module, c.axis);
    str_printf(s, " %s @%u", c.reverse ? "rev" : "fwd", c.body);
    put_refs(s, " carry", c.init, c.ncarry);
    put_refs(s, " step", c.step, c.nstep);
    put_refs(s, " capture", c.capture, c.ncapture);
}

static void put_node(Str *s, const Graph *g, Ref r) {
    const Node *n = &g->node.at[r];
    const uint32_t *w = node_attr(g, r);
    uint32_t count;
    const Ref *in;

    str_printf(s, "%%%u = %s", r, op_info[n->op].text);
    if (n->op == OP_CONCAT) {
        in = node_ext(g, r, &count);
        put_refs(s, " ", in, count);
    }
    for (int i = 0; i < op_info[n->op].arity; i++) str_printf(s, " %%%u", n->in[i]);
    switch ((OpClass)op_info[n->op].cls) {
    case OPC_LEAF: put_leaf_attr(s, g->module, n, w); break;
    case OPC_UNARY:
    case OPC_BINARY:
    case OPC_TERNARY:
    case OPC_INDEX: break;
    case OPC_REDUCE: put_reduce_attr(s, g->module, n, w); break;
    case OPC_CONTRACT: put_labels(s, w); break;
    case OPC_SHAPE: put_shape_attr(s, n, w); break;
    case OPC_TIME: put_time_attr(s, g->module, n, w); break;
    case OPC_CONTROL:
        if (n->op == OP_SCAN)
            put_scan(s, g, r);
        else
            str_printf(s, " %u", w[0]);
        break;
    }
    if (n->op == OP_SCAN) return;
    str_put(s, " : ");
    put_type(s, g->module, n->dtype, n->rank, n->dim, n->axes);
}

static void put_root(Str *s, const Graph *g, uint32_t i) {
    const Root *r = &g->root.at[i];
    bool ordinal = r->kind == ROOT_NEXT ? r->index == i : r->index == 0;

    str_printf(s, "  %s", root_kind_text[r->kind]);
    if (r->name) {
        str_putc(s, ' ');
        put_string(s, name_str(g->module->ctx, r->name));
    }
    if (!ordinal || !(r->kind == ROOT_NEXT || r->kind == ROOT_STACK || r->kind == ROOT_SUM || r->kind == ROOT_OUTPUT ||
                      r->kind == ROOT_LOSS))
        str_printf(s, " %u", r->index);
    if (r->kind != ROOT_LAST) str_printf(s, " %%%u", r->ref);
    str_putc(s, '\n');
}

static void put_placed(Str *s, const Placed *p) {
    str_printf(s, "  place %%%u %s", p->product, place_text[p->where]);
    if (p->scan) str_printf(s, " of %%%u", p->scan);
    str_printf(s, " rows %lld weights %lld traffic %lld\n", (long long)p->rows, (long long)p->weights, (long long)p->traffic);
}

static bool same_pin(const Pin *x, const Pin *y) {
    return x->kind == y->kind && x->fused == y->fused && x->down == y->down && x->base == y->base;
}

/* A line for all nodes with one pin; those that say nothing are left out. */
static void put_pins(Str *s, const Graph *g) {
    static const Pin none = {0};

    for (Ref r = 1; r < g->node.n; r++) {
        const Pin *p = &g->pin[r];
        bool first = !same_pin(p, &none);
        for (Ref q = 1; q < r && first; q++) first = !same_pin(p, &g->pin[q]);
        if (!first) continue;
        str_printf(s, "  pin %s%s%s", node_kind_text[p->kind], p->fused ? " fused" : "", p->down ? " down" : "");
        if (p->base) str_printf(s, " base %%%u", p->base);
        str_put(s, " :");
        for (Ref q = r; q < g->node.n; q++)
            if (same_pin(p, &g->pin[q])) str_printf(s, " %%%u", q);
        str_putc(s, '\n');
    }
}

static void put_stage(Str *s, const Module *m, const Stage *t) {
    str_printf(s, "  %s %s", t->load ? "load" : "run", stage_text[t->kind]);
    if (t->axes) {
        str_put(s, " <");
        put_axes(s, m, t->axes);
        str_putc(s, '>');
    }
    if (t->group) str_printf(s, " in %%%u", t->group);
    str_put(s, " :");
    for (uint32_t k = 0, level = 0; k < t->node.n; k++) {
        for (; level < t->node.at[k].level; level++) str_put(s, " |");
        str_printf(s, " %%%u", t->node.at[k].ref);
    }
    str_putc(s, '\n');
}

static void put_graph(Str *s, const Graph *g) {
    str_put(s, "{\n");
    for (Ref r = 1; r < g->node.n; r++) {
        str_put(s, "  ");
        put_node(s, g, r);
        if (g->node.at[r].name) {
            str_put(s, " as ");
            put_word(s, name_str(g->module->ctx, g->node.at[r].name));
        }
        str_putc(s, '\n');
    }
    for (uint32_t i = 0; i < g->root.n; i++) put_root(s, g, i);
    if (g->pin) put_pins(s, g);
    for (uint32_t i = 0; i < g->placed.n; i++) put_placed(s, &g->placed.at[i]);
    for (uint32_t i = 0; i < g->stage.n; i++) put_stage(s, g->module, &g->stage.at[i]);
    str_put(s, "}\n");
}

static void put_axis_line(Str *s, const Module *m, uint32_t i) {
    const Axis *a = &m->axis[i];

    str_printf(s, "axis %u ", i);
    put_word(s, name_str(m->ctx, a->name));
    str_printf(s, " %s", axis_kind_text[a->kind]);
    if (a->kind == AXIS_COUNT) str_printf(s, " %d", (int)a->count);
    if (a->kind == AXIS_JOIN) {
        str_putc(s, '(');
        put_axis(s, m, a->a);
        str_putc(s, ',');
        put_axis(s, m, a->b);
        str_putc(s, ')');
    }
    if (a->ragged && !a->length) str_put(s, " ragged");
    if (a->length) {
        str_put(s, " length(");
        put_input_name(s, m, a->length - 1);
        str_putc(s, ')');
    }
    str_putc(s, '\n');
}

static void put_cut(Str *s, const Module *m, const Cut *c) {
    str_put(s, "cut ");
    put_axis(s, m, c->axis);
    str_put(s, " into ");
    put_axis(s, m, c->count);
    str_put(s, " of ");
    put_axis(s, m, c->steps);
    str_put(s, " work ");
    str_double(s, c->work);
    str_put(s, " plain ");
    str_double(s, c->plain);
    str_putc(s, '\n');
}

static void put_tables(Str *s, const Module *m) {
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        str_printf(s, "param %u ", i);
        put_word(s, name_str(m->ctx, p->name));
        str_putc(s, ' ');
        put_dims(s, p->rank, p->dim);
        str_printf(s, " @%lld", (long long)p->offset);
        if (p->is_const) str_put(s, " const");
        if (p->from_file) str_put(s, " file");
        if (p->init) str_printf(s, " init %%%u", p->init);
        str_putc(s, '\n');
    }
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        str_printf(s, "input %u ", i);
        put_word(s, name_str(m->ctx, p->name));
        str_printf(s, " %s ", input_kind_text[p->kind]);
        put_type(s, m, p->dtype, p->rank, p->dim, p->axes);
        if (p->vocab) str_printf(s, " vocab %d", (int)p->vocab);
        if (p->kind == INPUT_SCALAR) {
            str_put(s, " value ");
            str_double(s, p->value);
        }
        str_putc(s, '\n');
    }
    for (uint32_t i = 0; i < m->state.n; i++) {
        const State *p = &m->state.at[i];
        str_printf(s, "state %u ", i);
        put_word(s, name_str(m->ctx, p->name));
        str_putc(s, ' ');
        put_type(s, m, p->dtype, p->rank, p->dim, p->axes);
        if (p->input) str_printf(s, " from %u", p->input - 1);
        str_putc(s, '\n');
    }
}

void module_print(Str *s, const Module *m) {
    str_put(s, "module ");
    put_word(s, name_str(m->ctx, m->name));
    str_printf(s, "\ntheta %lld\n", (long long)m->theta_size);
    for (uint32_t i = 0; i < m->naxis; i++) put_axis_line(s, m, i);
    for (uint32_t i = 0; i < m->cut.n; i++) put_cut(s, m, &m->cut.at[i]);
    put_tables(s, m);
    for (uint32_t i = 0; i < m->graph.n; i++) {
        if (i)
            str_printf(s, "graph %u ", i);
        else
            str_put(s, "graph model ");
        if (m->graph.at[i]->cut) {
            str_put(s, "segment ");
            put_axis(s, m, m->graph.at[i]->cut - 1);
            str_putc(s, ' ');
        }
        put_graph(s, m->graph.at[i]);
    }
    if (m->init->node.n > 1 || m->init->root.n) {
        str_put(s, "init ");
        put_graph(s, m->init);
    }
}

/* ---- Graphviz --------------------------------------------------------------------------------------------------------- */

static void dot_graph(Str *s, const Graph *g, uint32_t id) {
    str_printf(s, "  subgraph cluster_%u {\n    label=\"graph %u\";\n", id, id);
    for (Ref r = 1; r < g->node.n; r++) {
        Str t = str_make(s->arena);
        put_node(&t, g, r);
        str_printf(s, "    n%u_%u [shape=box,label=\"", id, r);
        for (size_t i = 0; i < t.n; i++) {
            if (t.at[i] == '"' || t.at[i] == '\\') str_putc(s, '\\');
            str_putc(s, t.at[i]);
        }
        str_put(s, "\"];\n");
    }
    str_put(s, "  }\n");
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t i = 0; i < n; i++) str_printf(s, "  n%u_%u -> n%u_%u;\n", id, in[i], id, r);
    }
}

void module_dot(Str *s, const Module *m) {
    str_put(s, "digraph rondo {\n  rankdir=BT;\n");
    for (uint32_t i = 0; i < m->graph.n; i++) dot_graph(s, m->graph.at[i], i);
    str_put(s, "}\n");
}
