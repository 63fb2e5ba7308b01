/* jvp: forward mode over a whole model.
   before:  roots { output y, loss L, final h }
   after:   also { value "jvp/output/y", "jvp/loss", "jvp/final/h" }: their derivatives in the direction that new inputs
            "tangent/param/N", "tangent/input/X", "tangent/init/S" give
   relies on: forward.c for the rules. */
#include "passes/forward.h"
#include "passes/rewrite.h"

static Ref direction(Module *m, const char *kind, Name name, const Node *type)
{
    Str s = str_make(m->arena);

    str_printf(&s, "tangent/%s/%s", kind, name_str(m->ctx, name));
    return g_input(m->graph.at[0], module_add_input(m, INPUT_DATA, intern(m->ctx, s.at), DT_F, type->rank, type->dim, type->axes));
}

/* Inputs for all that is asked for, whether the graph reads it or not; if nothing is, for all parameters. */
static void seed(Forward *f, const PassOptions *o)
{
    Graph *g = f->l.fwd;
    Module *m = g->module;
    uint32_t ninput = m->input.n;
    bool all = !o || (!o->tangent_param && !o->tangent_input);
    Ref *param = NEW_N(m->arena, Ref, m->param.n + 1), *input = NEW_N(m->arena, Ref, ninput + 1);

    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        Node type = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}};
        if (all ? !p->is_const : o->tangent_param && o->tangent_param[i]) param[i] = direction(m, "param", p->name, &type);
    }
    for (uint32_t i = 0; i < ninput; i++) {
        const Input p = m->input.at[i];
        Node type = {.rank = p.rank, .dim = {p.dim[0], p.dim[1], p.dim[2]}, .axes = p.axes};
        if (!all && o->tangent_input && o->tangent_input[i] && p.dtype == DT_F)
            input[i] = direction(m, p.kind == INPUT_STATE ? "init" : "input", p.name, &type);
    }
    for (Ref r = 1; r < f->l.n0; r++) {
        const Node *n = &g->node.at[r];
        if (n->op == OP_PARAM) f->tan[r] = param[n->attr];
        if (n->op == OP_INPUT && n->attr < ninput) f->tan[r] = input[n->attr];
    }
}

static void add_root(Forward *f, const Root *x)
{
    Module *m = f->l.fwd->module;
    Str s = str_make(m->arena);

    if (x->kind == ROOT_OUTPUT) str_printf(&s, "jvp/output/%s", name_str(m->ctx, x->name));
    else if (x->kind == ROOT_FINAL) str_printf(&s, "jvp/final/%s", name_str(m->ctx, m->state.at[x->index].name));
    else if (x->kind == ROOT_LOSS) str_put(&s, "jvp/loss");
    else return;
    if (f->l.fwd->node.at[x->ref].dtype == DT_F)
        graph_root(f->l.fwd, ROOT_VALUE, intern(m->ctx, s.at), forward_full(f, x->ref), 0);
}

bool pass_jvp(Module *m, const PassOptions *o)
{
    Graph *g = m->graph.at[0];
    Forward f = forward_make(m->arena, g, 0, NEW_N(m->arena, Ref, g->node.n + 1));
    uint32_t n = g->root.n;

    seed(&f, o);
    forward_sweep(&f);
    for (uint32_t i = 0; i < n; i++) {
        Root x = g->root.at[i];
        add_root(&f, &x);
    }
    substitute_scans(&f, NULL);
    module_dce(m);
    return true;
}
