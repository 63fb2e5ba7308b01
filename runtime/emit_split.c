/* emit_split: a model that writes a text while it looks at another one, as two: what is known before the first word is written, and one
   step of writing. What the steps read of the first part are its outputs and their inputs. */
#include "passes/passes.h"
#include "runtime/emit_c.h"

typedef struct {
    Module *all;
    const Graph *g;
    uint32_t along;  /* the axis of what is written, as a set */
    bool *late;      /* by Ref: it is not known before */
    bool *early;     /* by Ref: it depends on inputs that are */
    Ref *cut;        /* by Ref: 1 + number in the list; 0: not in it */
    VEC(Ref) border; /* what the late part reads of the early one */
} Split;

/* Everything with a state of the writing in it is late, and all that has its axis. */
static void mark(Split *s, Name teacher) {
    const Module *m = s->all;
    const Graph *g = s->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        const Input *x = n->op == OP_INPUT ? &m->input.at[n->attr] : NULL;
        s->late[r] = n->axes & s->along || (x && (x->name == teacher || x->kind == INPUT_STATE || x->kind == INPUT_TARGET));
        s->early[r] = x && x->kind == INPUT_DATA;
        for (uint32_t i = 0; i < count; i++) {
            s->late[r] = s->late[r] || s->late[in[i]];
            s->early[r] = s->early[r] || s->early[in[i]];
        }
        s->early[r] = s->early[r] && !s->late[r];
        for (uint32_t i = 0; i < count && s->late[r]; i++) {
            if (!s->early[in[i]] || s->cut[in[i]]) continue;
            VEC_PUSH(m->arena, s->border) = in[i];
            s->cut[in[i]] = s->border.n;
        }
    }
}

static Module *copy_of(const Module *m, Arena *a, Graph **g) {
    Module *c = module_copy(m, a);
    *g = c->graph.at[0];
    (*g)->root.n = 0;
    return c;
}

static Name numbered(const Module *m, const char *what, uint32_t k) { return intern(m->ctx, arena_printf(m->arena, "%s_%u", what, k)); }

/* The border's values and the starts of the states, as outputs. */
static Module *early_part(const Split *s, Arena *a) {
    Graph *g;
    Module *m = copy_of(s->all, a, &g);
    for (uint32_t k = 0; k < s->border.n; k++) graph_root(g, ROOT_OUTPUT, numbered(m, "read", k), s->border.at[k], k);
    for (uint32_t r = 0; r < s->g->root.n; r++) {
        const Root *x = &s->g->root.at[r];
        const State *st = x->kind == ROOT_INIT ? &m->state.at[x->index] : NULL;
        if (!st || !st->input) continue;
        Ref v = g_broadcast(g, x->ref, st->rank, st->dim);
        uint32_t missing = v ? st->axes & ~g->node.at[v].axes : 0;
        graph_root(g, ROOT_OUTPUT, numbered(m, "start", x->index), missing ? g_expand_axes(g, v, missing) : v, s->border.n + x->index);
    }
    module_dce(m);
    return m;
}

/* One step: from the border's values, as inputs, to the scores and the next states. */
static Module *late_part(const Split *s, Arena *a, Name scores) {
    Module *m = module_copy(s->all, a);
    Graph *src = m->graph.at[0], *dst = module_add_graph(m);
    Ref *map = NEW_N(a, Ref, src->node.n + 1);
    for (Ref r = 1; r < src->node.n; r++) {
        const Node *n = &src->node.at[r];
        if (!s->cut[r]) map[r] = graph_copy_node(dst, src, r, map);
        else map[r] = g_input(dst, module_add_input(m, INPUT_DATA, numbered(m, "read", s->cut[r] - 1), (DType)n->dtype, n->rank, n->dim, n->axes));
    }
    for (uint32_t r = 0; r < src->root.n; r++) {
        const Root *x = &src->root.at[r];
        bool next = x->kind == ROOT_FINAL && m->state.at[x->index].input;
        if (next || (x->kind == ROOT_OUTPUT && x->name == scores)) graph_root(dst, (RootKind)x->kind, x->name, map[x->ref], x->index);
    }
    m->graph.n--;
    m->graph.at[0] = dst;
    dst->index = 0;
    module_dce(m);
    return m;
}

/* States whose last value is not known before are those of the writing. */
static bool *states_of(const Module *m, Arena *a, uint32_t along) {
    const Graph *g = m->graph.at[0];
    bool *given = NEW_N(a, bool, m->state.n + 1), *late = NEW_N(a, bool, g->node.n + 1);
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t count = node_inputs(g, r, &in);
        late[r] = g->node.at[r].axes & along;
        for (uint32_t i = 0; i < count; i++) late[r] = late[r] || late[in[i]];
    }
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_FINAL) given[g->root.at[r].index] = late[g->root.at[r].ref];
    return given;
}

bool emit_split(CModel *c, Name teacher, Name scores, uint32_t along, Module **early, Module **late) {
    Module *all = frontend_model(c->m->program, c->a, &(BuildOptions){.external_states = true});
    if (!all) return false;
    module_keep_roots(all, 1u << ROOT_OUTPUT | 1u << ROOT_FINAL | 1u << ROOT_INIT);
    all = bind_states(all, c->a, states_of(all, c->a, along));
    PassOptions o = {0};
    if (c->m->opt.exec.passes) o = *c->m->opt.exec.passes;
    if (!passes_run(all, &o)) return false;
    Split s = {.all = all, .g = all->graph.at[0], .along = along};
    s.late = NEW_N(c->a, bool, s.g->node.n + 1);
    s.early = NEW_N(c->a, bool, s.g->node.n + 1);
    s.cut = NEW_N(c->a, Ref, s.g->node.n + 1);
    mark(&s, teacher);
    for (uint32_t r = 0; r < s.g->root.n; r++)
        if (s.g->root.at[r].kind == ROOT_INIT && s.late[s.g->root.at[r].ref]) return false;
    *early = early_part(&s, c->a);
    *late = late_part(&s, c->a, scores);
    return !stream_obstacle_along(*late, along);
}
