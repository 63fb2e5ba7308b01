/* emit_weights: what kernels read, as one struct: the weights as they are listed, what is packed from them, and the states' own
   starts where these are learned. A constant of it stands in the source; with `prepare` a program makes others. */
#include <string.h>

#include "runtime/emit_c.h"

const double *emit_theta(CModel *c) {
    int64_t n = model_theta_size(c->m);
    double *v = NEW_N(&c->values, double, n + 1);
    for (int64_t i = 0; i < n; i++) v[i] = model_theta_get(c->m, i);
    return v;
}

static bool has_fields(const CModel *c) { return c->theta || c->field.n; }

static void put_member(CModel *c, const CMember *m) { str_printf(&c->h, "    %s %s[%lld]; /* %s */\n", m->type, m->id, (long long)m->n, m->what); }

void emit_weights_type(CModel *c) {
    str_put(&c->h, "\n/* What a step reads: the weights, and what was packed from them. */\ntypedef struct {\n");
    weights_members(c, put_member);
    if (!has_fields(c)) str_printf(&c->h, "    %s none[1]; /* the model has no weights */\n", c->real);
    str_printf(&c->h, "} %s_weights;\n", c->id);
}

static void put_constant(CModel *c, const CMember *m) {
    str_printf(&c->c, "\n/* %s, %s */ ", m->id, m->what);
    c_values(c, &c->c, m->value, m->n, !m->is_real);
    str_putc(&c->c, ',');
}

void emit_weights_values(CModel *c) {
    str_printf(&c->c, "\n%sstatic const %s_weights %s_constants = {", c_text_aligned, c->id, c->id);
    weights_members(c, put_constant);
    if (!has_fields(c)) str_put(&c->c, "{0}");
    str_put(&c->c, "\n};\n");
}

/* ---- prepare ------------------------------------------------------------------------------------------------------------ */

/* Does program p pack all that q packs? */
static bool packs_all(const CProgram *p, const CProgram *q) {
    for (uint32_t k = 0; k < q->p->buf.n; k++) {
        if (!q->used[k] || q->p->buf.at[k].role != LB_PACK) continue;
        bool found = false;
        for (uint32_t j = 0; j < p->p->buf.n; j++)
            found = found || (p->used[j] && p->p->buf.at[j].role == LB_PACK && p->field[j] == q->field[k]);
        if (!found) return false;
    }
    return true;
}

static bool is_packed(const CProgram *p) { return p->p && p->prepare >= 0 && p->packed; }

/* The kernel of one program's prepare, printed before the function that calls it. */
static CProgram *put_kernel(CModel *c, const CProgram *p, int64_t *scratch) {
    CProgram *q = cprogram_prepare(c, p);
    int64_t dim[LDIM_COUNT], n;
    q->p->fn.at[p->prepare]->kind = LFUNC_ENTRY;
    q->p->fn.at[p->run]->kind = LFUNC_HELPER;
    cprogram_put(c, q);
    q->p->fn.at[p->prepare]->kind = LFUNC_HELPER;
    q->p->fn.at[p->run]->kind = LFUNC_ENTRY;
    cprogram_one_step(q, dim);
    n = cprogram_offset(q, (int32_t)q->area.n, dim) / (c->m->f64 ? 8 : 4);
    if (n > *scratch) *scratch = n;
    return q;
}

static CBinding bind(CModel *c, const CProgram *p, const int64_t *dim) {
    CBinding b = cbinding_make(c, p);
    b.theta = "weights->theta";
    b.base = "scratch";
    b.dim = dim;
    return b;
}

/* The starts of states as functions of the weights. */
static bool make_starts(CModel *c, CProgram *p) {
    const Module *mod = model_module(c->m, MODULE_START, false);
    if (!mod) return false;
    Module *copy = module_copy(mod, c->a);
    return copy && cprogram_make(c, p, "start", copy, C_ONE_STEP);
}

bool emit_prepare(CModel *c) {
    CProgram *call[5], start;
    uint32_t n = 0;
    int64_t scratch = 0, dim[LDIM_COUNT];
    const CProgram *all[] = {&c->infer, &c->step, &c->begin, &c->write};
    bool infer = is_packed(&c->infer), step = is_packed(&c->step);
    if (infer && !(step && packs_all(&c->step, &c->infer))) call[n++] = put_kernel(c, &c->infer, &scratch);
    if (step && !(n && packs_all(&c->infer, &c->step))) call[n++] = put_kernel(c, &c->step, &scratch);
    for (size_t k = 2; k < sizeof all / sizeof *all; k++) {
        bool done = !is_packed(all[k]);
        for (size_t j = 0; j < k; j++) done = done || (is_packed(all[j]) && packs_all(all[j], all[k]));
        if (!done) call[n++] = put_kernel(c, all[k], &scratch);
    }
    if (c->learns) {
        if (!make_starts(c, &start)) return false;
        cprogram_put(c, &start);
        cprogram_one_step(&start, dim);
        int64_t m = cprogram_offset(&start, (int32_t)start.area.n, dim) / (c->m->f64 ? 8 : 4);
        if (m > scratch) scratch = m;
        call[n++] = &start;
    }
    int64_t bytes = scratch ? scratch * (c->m->f64 ? 8 : 4) + 63 : 1;
    if (bytes > c->prepare_work) c->prepare_work = bytes;
    c_function(c,
               arena_printf(c->a,
                            "Makes ready the weights that stand in weights->theta, for step and the others: call it after every change of "
                            "theta, and then reset, where a state's start is learned. work: %s_PREPARE_WORK bytes of any alignment.",
                            c->upper),
               arena_printf(c->a, "void %s_prepare(%s_weights *weights, void *work)", c->id, c->id));
    if (scratch)
        str_printf(&c->c, "    unsigned char *w = (unsigned char *)work;\n    %s *scratch = (%s *)(void *)(w + (64 - (uintptr_t)w %% 64) %% 64);\n",
                   c->real, c->real);
    else
        str_put(&c->c, "    (void)work;\n");
    str_put(&c->c, "    (void)weights;\n");
    if (n) {
        cprogram_one_step(call[0], dim);
        str_printf(&c->c, "    static const ptrdiff_t dim[%d] = {", LDIM_COUNT);
        for (int k = 0; k < LDIM_COUNT; k++) str_printf(&c->c, "%s%lld", k ? ", " : "", (long long)dim[k]);
        str_put(&c->c, "};\n    (void)dim;\n");
    }
    for (uint32_t k = 0; k < n; k++) {
        CBinding b = bind(c, call[k], dim);
        const Graph *g = call[k]->m->graph.at[0];
        for (uint32_t r = 0; call[k] == &start && r < g->root.n; r++)
            b.out[r] = arena_printf(c->a, "weights->start_%s", c->state.at[g->root.at[r].index].id);
        cprogram_call(c, call[k], &b);
    }
    str_put(&c->c, "}\n");
    return true;
}
