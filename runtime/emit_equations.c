/* emit_equations: the lines of the model and of its cells that a kernel computes, as a comment in front of it:
     h [20]: i = sigmoid(Wi @ x + Ui @ h + bi)
   the instance, what one row of the line's value looks like, the line as it is written. */
#include <string.h>

#include "runtime/emit_c.h"

typedef struct {
    const char *line; /* in the source */
    const char *end;
    const char *instance;
    const Node *value; /* the last one that the line made */
} Equation;
typedef VEC(Equation) Equations;

static bool is_leaf(const Node *n) {
    OpClass k = op_info[n->op].cls;
    return k == OPC_LEAF || n->op == OP_CONST || n->op == OP_OUT;
}

static void add_graph(CModel *c, const Graph *g, Equations *all) {
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        Equation e = {.value = n, .instance = n->name ? name_str(c->ctx, n->name) : ""};
        if (!n->axes || is_leaf(n) || !c_source_line(c->ctx, n->span, &e.line, &e.end)) continue; /* not what weights alone make */
        e.instance = arena_strndup(c->a, e.instance, strcspn(e.instance, "."));
        uint32_t k = 0;
        while (k < all->n && (all->at[k].line != e.line || strcmp(all->at[k].instance, e.instance) != 0)) k++;
        if (k < all->n)
            all->at[k].value = n;
        else
            VEC_PUSH(c->a, *all) = e;
    }
}

void emit_equations(CModel *c, const CProgram *p) {
    Equations all = {0};
    for (uint32_t k = 0; k < p->m->graph.n; k++) add_graph(c, p->m->graph.at[k], &all);
    if (!all.n) return;
    str_printf(&c->c, "\n/* %s_%s computes, by lines of the model and of its cells:\n", c->id, p->name);
    for (uint32_t k = 0; k < all.n; k++) {
        const Equation *e = &all.at[k];
        str_printf(&c->c, "     %s%s", e->instance, *e->instance ? " " : "");
        for (int d = 0; d < e->value->rank; d++) str_printf(&c->c, "[%d]", e->value->dim[d]);
        str_put(&c->c, e->value->rank ? ": " : *e->instance ? ": " : "");
        c_comment_text(&c->c, e->line, e->end);
        str_putc(&c->c, '\n');
    }
    str_put(&c->c, "*/\n");
}
