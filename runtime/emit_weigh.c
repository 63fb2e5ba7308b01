/* emit_weigh: class_weights and sample_weights in C. The gradient reads a factor for each example's (or step's) loss: the caller's own
   array, or one that is filled from the first target's classes, by a table, before the kernels run. */
#include <string.h>

#include "runtime/emit_c.h"

bool is_row_weight(const CModel *c, const Input *in) {
    return in->kind == INPUT_DATA && strcmp(name_str(c->ctx, in->name), ROW_WEIGHT_NAME) == 0;
}

Module *emit_weighed_module(CModel *c, bool windows) {
    BuildOptions o = {
        .training = true, .ragged = c->o->ragged && !windows, .external_states = windows, .weights = c->weigh.kind};
    if (!windows && !o.weights) return (Module *)model_module(c->m, MODULE_TRAIN, o.ragged);
    Module *m = frontend_model(c->m->program, c->a, &o);
    if (m && !windows) module_keep_roots(m, 1u << ROOT_LOSS);
    return m;
}

/* Factors beside each other differ in where they stand: the sum of both needs a place of its own. */
void emit_weigh_port(CModel *c, CProgram *p, uint32_t input) {
    const Input *in = &p->m->input.at[input];
    p->weight = input;
    if (c->weigh.samples) {
        const char *id = c_ident(c->a, ROW_WEIGHT_NAME, false);
        p->weight_port = p->target.n;
        uint32_t axes = c->weigh.sample_steps ? in->axes : AX(AXIS_B);
        cprogram_swap(c, p,
                      cprogram_port(c, &p->target, in->name,
                                    cports_have(&p->in, id) || cports_have(&p->target, id) ? "_of_loss" : "", input, axes, DT_F,
                                    0, NULL));
    }
    if (c->weigh.class_weight || (in->axes != AX(AXIS_B) && !c->weigh.sample_steps))
        p->weight_area = cprogram_area(c, p, "weights of the loss", LE_F, in->axes, 1, false);
}

void emit_weigh_table(CModel *c) {
    const WeightPlan *w = &c->weigh;
    if (!w->class_weight) return;
    str_printf(&c->c, "\n/* What the loss of each class counts. */\n");
    c_array(c, &c->c, c->real, arena_printf(c->a, "%s_class_weight", c->id), w->class_weight, w->nclass, false);
}

/* The first target as the kernels have it, and its element for weight i_ * dim[0] + b_. */
static const char *class_text(CModel *c, const CProgram *p, const CBinding *b) {
    const char *name = name_str(c->ctx, c->m->desc->target.at[0].name);
    const CPort *y = NULL;
    for (uint32_t k = 0; k < p->target.n && !y; k++)
        if (strcmp(p->target.at[k].name, name) == 0) y = &p->target.at[k];
    if (!y) return NULL; /* nothing of the loss depends on it */
    const char *at = arena_printf(c->a, "(%s)[%s]", b->in[y->index], y->axes & ~AX(AXIS_B) ? "i_ * dim[0] + b_" : "b_");
    if (y->dtype == DT_I)
        return arena_printf(c->a, "%s >= 0 && %s < %lld ? %s_class_weight[%s] : 0", at, at, (long long)c->weigh.nclass, c->id,
                            at);
    return c->weigh.nclass > 1 ? arena_printf(c->a, "%s_class_weight[%s > 0]", c->id, at)
                               : arena_printf(c->a, "%s > 0 ? 0 : %s_class_weight[0]", at, c->id);
}

void emit_weigh(CModel *c, const CProgram *p, CBinding *b, const char *area) {
    const CPort *sample = p->weight_port < 0 ? NULL : &p->target.at[p->weight_port];
    const char *given =
        sample ? arena_printf(c->a, "(%s)[%s]", b->in[p->weight], sample->axes & ~AX(AXIS_B) ? "i_ * dim[0] + b_" : "b_")
               : NULL;
    const char *class = c->weigh.class_weight ? class_text(c, p, b) : NULL;
    Str steps = str_make(c->a);
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->input.at[p->weight].axes & AX(k)) str_printf(&steps, "%sdim[%u]", steps.n ? " * " : "", k);
    str_printf(&c->c,
               "    {\n        ptrdiff_t i_, b_;\n        for (i_ = 0; i_ < %s; i_++)\n            for (b_ = 0; b_ < dim[0]; "
               "b_++) {\n",
               steps.n ? steps.at : "1");
    str_printf(&c->c, "                const %s class_ = %s;\n", c->real, class ? class : "1");
    str_printf(&c->c, "                (%s)[i_ * dim[0] + b_] = class_%s%s;\n            }\n    }\n", area, given ? " * " : "",
               given ? given : "");
    b->in[p->weight] = area;
}
