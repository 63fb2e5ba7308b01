/* emit_ragged: sequences of a batch that differ in length. Each ragged axis has an array of lengths beside the inputs; behind an example's
   own steps ids that kernels look up are 0, and so is what comes out. */
#include <string.h>

#include "runtime/emit_c.h"

void emit_ragged_ports(CModel *c, CProgram *p) {
    uint32_t n = 0;
    for (uint32_t k = 1; k < p->m->naxis; k++) n += p->m->axis[k].length != 0;
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        const Axis *x = &p->m->axis[k];
        if (!x->length) continue;
        const char *name = name_str(c->ctx, x->name), *id = n == 1 ? "length" : arena_printf(c->a, "length_%s", c_ident(c->a, name, false));
        for (uint32_t q = 0; q < p->in.n; q++)
            if (!strcmp(p->in.at[q].id, id)) id = arena_printf(c->a, "%s_", id);
        VEC_PUSH(c->a, p->in) = (CPort){.id = id, .upper = c_ident(c->a, id, true), .name = name, .index = x->length - 1, .axes = AX(AXIS_B), .dtype = DT_I, .n = 1,
                                        .area = NO_AREA, .length = k};
    }
}

/* How many steps of axis k example b_ has. */
static const char *length_text(CModel *c, const CProgram *p, uint32_t k) {
    const Axis *x = &p->m->axis[k];
    if (x->kind == AXIS_JOIN) return arena_printf(c->a, "%s + %s", length_text(c, p, x->a), length_text(c, p, x->b));
    for (uint32_t q = 0; q < p->in.n; q++)
        if (p->in.at[q].length == k) return arena_printf(c->a, "%s[b_]", p->in.at[q].id);
    return arena_printf(c->a, "dim[%u]", k);
}

static void put_zeros(CModel *c, const CProgram *p, const CPort *x, bool in) {
    Str loops = str_make(c->a), past = str_make(c->a), names = str_make(c->a);
    const char *at = in ? NULL : "b_"; /* the caller's arrays begin with the batch, the kernels' end with it */
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        if (!(x->axes & AX(k))) continue;
        str_printf(&names, ", i%u_", k);
        str_printf(&loops, "            for (i%u_ = 0; i%u_ < dim[%u]; i%u_++)\n", k, k, k, k);
        if (p->m->axis[k].ragged) str_printf(&past, "%si%u_ >= %s", past.n ? " || " : "", k, length_text(c, p, k));
        at = at ? arena_printf(c->a, "(%s * dim[%u] + i%u_)", at, k, k) : arena_printf(c->a, "i%u_", k);
    }
    if (in) at = arena_printf(c->a, "(%s * dim[0] + b_)", at);
    str_printf(&c->c, "    {\n        ptrdiff_t b_, f_%s;\n        for (b_ = 0; b_ < dim[0]; b_++)\n%s                if (%s)\n"
                      "                    for (f_ = 0; f_ < %lld; f_++) (%s)[%s * %lld + f_] = 0;\n    }\n",
               names.at, loops.at, past.at, (long long)x->n, in ? emit_port_address(c, p, x) : x->id, at, (long long)x->n);
}

void emit_padding(CModel *c, const CProgram *p, const CPorts *x, bool in) {
    for (uint32_t q = 0; q < x->n; q++) {
        bool ragged = false;
        for (uint32_t k = 1; k < p->m->naxis; k++) ragged = ragged || (x->at[q].axes & AX(k) && p->m->axis[k].ragged);
        if (ragged && x->at[q].axes & AX(AXIS_B) && (!in || x->at[q].dtype != DT_F)) put_zeros(c, p, &x->at[q], in);
    }
}
