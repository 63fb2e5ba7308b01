/* emit_bind: a program's kernels as C, and the C that lays out its memory and binds its buffers: the arithmetic of exec.c,
   written out in the sizes of the call. */
#include <string.h>

#include "runtime/emit_c.h"

/* ---- what the entries touch --------------------------------------------------------------------------------------------- */

static void note_function(CProgram *p, const LFunc *f) {
    const LProgram *lp = p->p;
    for (uint32_t k = 0; k < f->inst.n; k++) {
        const LInst *i = &f->inst.at[k];
        LOp op = (LOp)i->op;
        if (op == LOP_DIM && i->imm >= LDIM_SEED_LO && i->imm <= LDIM_UPDATE) p->noise = true;
        if ((op >= LOP_LD && op <= LOP_STV1) && !(i->buf & LBUF_PARAM)) p->used[i->buf] = true;
        if (op != LOP_CALL) continue;
        const LFunc *g = lp->fn.at[i->imm];
        for (uint32_t q = 0; q < g->param.n; q++) {
            uint32_t buf = f->ext.at[i->ext + 1 + 2 * q];
            if (g->param.at[q].pointer && !(buf & LBUF_PARAM)) p->used[buf] = true;
        }
    }
}

static bool is_scratch(const CProgram *p, const LBuf *b) {
    return b->role == LB_SLAB || (b->role == LB_PACK && (!p->packed || p->field[b - p->p->buf.at] == NO_FIELD));
}

void cprogram_areas(CModel *c, CProgram *p) {
    uint32_t n = p->p->buf.n;
    p->used = NEW_N(c->a, bool, n + 1);
    p->area_of = NEW_N(c->a, int32_t, n + 1);
    p->noise = false;
    p->area.n = 0;
    if (p->run >= 0) note_function(p, p->p->fn.at[p->run]);
    if (p->prepare >= 0 && (p->run < 0 || !p->packed)) note_function(p, p->p->fn.at[p->prepare]);
    for (uint32_t k = 0; k < n; k++) {
        const LBuf *b = &p->p->buf.at[k];
        p->area_of[k] = NO_AREA;
        if (!p->used[k] || !is_scratch(p, b)) continue;
        for (uint32_t j = 0; j < k && p->area_of[k] == NO_AREA; j++)
            if (p->area_of[j] != NO_AREA && p->p->buf.at[j].role == b->role && p->p->buf.at[j].slot == b->slot)
                p->area_of[k] = p->area_of[j];
        if (p->area_of[k] == NO_AREA) {
            p->area_of[k] = (int32_t)p->area.n;
            VEC_PUSH(c->a, p->area) = (CArea){.what = name_str(c->ctx, b->name), .elem = b->elem};
        }
        VEC_PUSH(c->a, p->area.at[p->area_of[k]].extent) = b->extent;
    }
}


/* Do a step's matrices leave the first cache before it is over? Then the next one begins with what it read last. */
static bool steps_turn(const CModel *c, const Module *m) {
    int bytes = c->m->f64 ? 8 : unpacks(c) || !c->o->storage ? 4 : c->o->storage == EMIT_INT8 ? 1 : 2;
    return c->stream && (!c->o->simd || c->o->simd >= TURNING_LANES) && lower_turns(m, bytes);
}

bool cprogram_make(CModel *c, CProgram *p, const char *what, const Module *m, CProgramKind kind) {
    const ExecOptions *o = &c->m->opt.exec;
    PassOptions po = {0};
    if (o->passes) po = *o->passes;
    bool window = kind == C_LEARN || kind == C_LEARN_FIRST;
    po.grad = kind == C_GRADIENT || window;
    po.gradient = o->gradient;
    po.influence = kind == C_LEARN ? INFLUENCE_IN_OUT : window ? INFLUENCE_OUT : INFLUENCE_INSIDE;
    po.want_input = NULL;
    *p = (CProgram){.name = what, .run = -1, .prepare = -1, .example = NO_AREA, .weight = -1, .weight_port = -1, .weight_area = NO_AREA};
    p->m = module_copy(m, c->a);
    if (!p->m || !passes_run(p->m, &po)) return false;
    if (p == &c->infer) c->turns = steps_turn(c, p->m);
    /* a fixed machine, never the host: the same bytes everywhere */
    LowerOptions lo = {.f64 = c->m->f64,
                       .V = c->V        ? c->V
                            : o->V      ? o->V
                            : c->m->f64 ? 4
                                        : 8,
                       .panel = !c->V ? 0 : c->turns ? C_TURNED_PANEL : C_PANEL,
                       .turns = c->turns,
                       .registers = 16,
                       .no_share = c->o->storage == EMIT_INT8 && !unpacks(c),
                       .math = o->math,
                       .place = o->place,
                       .frame = 1024, /* for microcontrollers */
                       .watch = kind == C_ONE_STEP || window ? NULL : o->passes,
                       .one_step = kind == C_ONE_STEP || (window && c->window == 1),
                       .batch = kind == C_GRADIENT ? 0 : 1}; /* a forward pass is mostly a stream: one example */
    p->p = lower_module(c->ctx, c->a, p->m, &lo, NULL);
    if (!p->p) return false;
    for (uint32_t i = 0; i < p->p->fn.n; i++) {
        const LFunc *f = p->p->fn.at[i];
        if (f->kind != LFUNC_ENTRY) continue;
        if (strcmp(name_str(c->ctx, f->name), "run") == 0) p->run = i;
        if (strcmp(name_str(c->ctx, f->name), "prepare") == 0) p->prepare = i;
    }
    cprogram_areas(c, p);
    return true;
}

int32_t cprogram_area(CModel *c, CProgram *p, const char *what, uint32_t elem, uint32_t axes, int64_t n, bool whole) {
    CArea x = {.what = what, .elem = elem, .whole = whole};
    VEC_PUSH(c->a, x.extent) = (LExtent){.term = {{n, axes}}, .n = 1};
    VEC_PUSH(c->a, p->area) = x;
    return (int32_t)p->area.n - 1;
}

void cprogram_one_step(const CProgram *p, int64_t *dim) {
    memset(dim, 0, LDIM_COUNT * sizeof *dim);
    for (uint32_t k = 0; k < p->m->naxis; k++) {
        const Axis *x = &p->m->axis[k];
        dim[k] = x->kind == AXIS_COUNT ? x->count : x->kind == AXIS_JOIN ? dim[x->a] + dim[x->b] : 1;
    }
    dim[LDIM_NT] = 1;
}

bool cprogram_reads(const CProgram *p, uint32_t input) {
    for (uint32_t k = 0; k < p->p->buf.n; k++)
        if (p->used[k] && p->p->buf.at[k].role == LB_INPUT && p->p->buf.at[k].index == input) return true;
    return false;
}

/* ---- ports -------------------------------------------------------------------------------------------------------------- */

CPort *cprogram_port(CModel *c, CPorts *to, Name name, const char *suffix, uint32_t index, uint32_t axes, uint8_t dtype,
                     int rank, const int32_t *dim) {
    const char *text = name_str(c->ctx, name);
    CPort x = {.name = text, .index = index, .axes = axes, .dtype = dtype, .rank = rank, .n = 1, .area = NO_AREA};
    x.id = c_ident(c->a, arena_printf(c->a, "%s%s", text, suffix), false);
    x.upper = c_ident(c->a, arena_printf(c->a, "%s%s", text, suffix), true);
    for (int k = 0; k < rank; k++) {
        x.dim[k] = dim[k];
        x.n *= dim[k];
    }
    VEC_PUSH(c->a, *to) = x;
    return &to->at[to->n - 1];
}

bool cports_have(const CPorts *x, const char *id) {
    for (uint32_t i = 0; i < x->n; i++)
        if (strcmp(x->at[i].id, id) == 0) return true;
    return false;
}

/* [batch][steps].. in the caller's memory, [steps][batch].. in the kernel's */
void cprogram_swap(CModel *c, CProgram *p, CPort *x) {
    if (!(x->axes & AX(AXIS_B)) || !(x->axes & ~AX(AXIS_B))) return;
    x->area = cprogram_area(c, p, arena_printf(c->a, "%s, time first", x->name), x->dtype == DT_I ? LE_I32 : LE_F, x->axes,
                            x->n, true);
}

void cprogram_ports(CModel *c, CProgram *p, bool targets) {
    const Graph *g = p->m->graph.at[0];
    int64_t weight = -1;
    for (uint32_t i = 0; i < p->m->input.n; i++) {
        const Input *in = &p->m->input.at[i];
        if (is_row_weight(c, in)) weight = i;
        if (weight == i) continue;
        const char *id = c_ident(c->a, name_str(c->ctx, in->name), false);
        if (in->kind == INPUT_DATA) {
            CPort *x = cprogram_port(c, &p->in, in->name, "", i, in->axes, in->dtype, in->rank, in->dim);
            x->vocab = in->vocab;
            cprogram_swap(c, p, x);
        } else if (in->kind == INPUT_TARGET && targets) {
            CPort *x = cprogram_port(c, &p->target, in->name, cports_have(&p->in, id) ? "_target" : "", i, in->axes, in->dtype, in->rank,
                                in->dim);
            x->vocab = in->vocab;
            cprogram_swap(c, p, x);
        }
    }
    if (weight >= 0) emit_weigh_port(c, p, (uint32_t)weight);
    emit_ragged_ports(c, p);
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *x = &g->root.at[r];
        const Node *n = &g->node.at[x->ref];
        if (x->kind != ROOT_OUTPUT || targets) continue;
        const char *id = c_ident(c->a, name_str(c->ctx, x->name), false);
        cprogram_swap(c, p, cprogram_port(c, &p->out, x->name, cports_have(&p->in, id) ? "_out" : "", r, n->axes, n->dtype, n->rank, n->dim));
    }
    for (uint32_t k = 0; k < p->p->buf.n; k++)
        if (p->used[k] && p->p->buf.at[k].role == LB_EXAMPLE)
            p->example = cprogram_area(c, p, "example ids", LE_I32, AX(AXIS_B), 1, false);
}

/* ---- layout ------------------------------------------------------------------------------------------------------------- */

static size_t elem_bytes(const CProgram *p, uint32_t elem) { return elem == LE_F && p->p->f64 ? 8 : 4; }

int64_t cprogram_offset(const CProgram *p, int32_t area, const int64_t *dim) {
    int64_t total = 0;
    for (uint32_t k = 0; k < p->area.n && (int32_t)k < area; k++) {
        int64_t size = 0;
        for (uint32_t j = 0; j < p->area.at[k].extent.n && !p->area.at[k].whole; j++) {
            int64_t n = lextent_eval(&p->area.at[k].extent.at[j], dim) * (int64_t)elem_bytes(p, p->area.at[k].elem);
            if (n > size) size = n;
        }
        total += (size + 63) / 64 * 64;
    }
    return total;
}

static void put_sum(Str *s, const LMono *term, uint32_t n) {
    if (!n) str_putc(s, '0');
    for (uint32_t t = 0; t < n; t++) {
        str_printf(s, "%s%lld", t ? " + " : "", (long long)term[t].coef);
        for (int k = 0; k < LDIM_COUNT; k++)
            if (term[t].dims >> k & 1) str_printf(s, " * dim[%d]", k);
    }
}

static void put_layout(CModel *c, const CProgram *p) {
    Str *s = &c->c;
    str_printf(s,
               "\n/* Where the scratch of one call lies: offsets in bytes; returns the size. */\n"
               "static size_t %s_%s_layout(const ptrdiff_t *dim, size_t *at)\n{\n    size_t total = 0, size, n, most = 0;\n    (void)dim;\n    (void)most;\n",
               c->id, p->name);
    for (uint32_t k = 0; k < p->area.n; k++) {
        const CArea *x = &p->area.at[k];
        str_printf(s, "    size = 0; /* %s */\n", x->what);
        for (uint32_t j = 0; j < x->extent.n; j++) {
            const LExtent *e = &x->extent.at[j];
            str_put(s, "    n = (size_t)(");
            put_sum(s, e->term, e->n);
            str_printf(s, ") * %d;\n", (int)elem_bytes(p, x->elem));
            if (e->most.coef) {
                str_put(s, "    most = (size_t)(");
                put_sum(s, &e->most, 1);
                str_printf(s, ") * %d;\n    if (n > most) n = most;\n", (int)elem_bytes(p, x->elem));
            }
            str_put(s, "    if (n > size) size = n;\n");
        }
        str_printf(s, "    at[%u] = total;\n    total += (size + 63) / 64 * 64;\n", k);
    }
    if (!p->area.n) str_put(s, "    size = n = 0;\n    at[0] = size + n;\n");
    str_put(s, "    return total;\n}\n");
}

static void put_dims(CModel *c, const CProgram *p) {
    Str *s = &c->c;
    str_printf(s, "\nstatic void %s_%s_dims(ptrdiff_t *dim, %s)\n{\n    int k;\n    for (k = 0; k < %d; k++) dim[k] = 0;\n", c->id,
               p->name, c_size_params(c, p, true), LDIM_COUNT);
    str_put(s, "    dim[0] = batch;\n");
    const char *names = c_size_params(c, p, false);
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        const Axis *x = &p->m->axis[k];
        if (x->kind == AXIS_COUNT)
            str_printf(s, "    dim[%u] = %d;\n", k, x->count);
        else if (x->kind == AXIS_JOIN)
            str_printf(s, "    dim[%u] = dim[%u] + dim[%u];\n", k, x->a, x->b);
        else if (x->kind == AXIS_TIME) {
            size_t n = strcspn(names, ",");
            str_printf(s, "    dim[%u] = %.*s;\n", k, (int)n, names);
            names += n + 2;
        } else
            str_printf(s, "    dim[%u] = 1;\n", k);
    }
    str_printf(s, "    dim[%d] = 1;\n}\n", LDIM_NT);
}

void cprogram_put(CModel *c, CProgram *p) {
    Str body = str_make(c->a);
    p->unit = c_text_functions(c->text, &body, p->p, p->name, p->narrow);
    cprogram_refused(c, p);
    c_text_prelude(c->text, &c->c);
    if (p->run >= 0) emit_equations(c, p);
    str_putn(&c->c, body.at, body.n);
}

void cprogram_put_sizes(CModel *c, const CProgram *p) {
    put_dims(c, p);
    put_layout(c, p);
}

bool cprogram_in_place(const CProgram *p, uint32_t input, uint32_t root) {
    uint32_t in = 0, out = 0; /* buffer 0 is nobody's */
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const LBuf *b = &p->p->buf.at[k];
        if (b->role == LB_INPUT && b->index == input) in = k;
        if (b->role == LB_OUTPUT && b->index == root) out = k;
    }
    return !in || !out || lprogram_in_place(p->p, (uint32_t)p->run, in, out);
}

/* ---- binding ------------------------------------------------------------------------------------------------------------ */

CBinding cbinding_make(CModel *c, const CProgram *p) {
    return (CBinding){.in = NEW_N(c->a, const char *, p->m->input.n + 1),
                      .out = NEW_N(c->a, const char *, p->m->graph.at[0]->root.n + 1)};
}

static const char *type_at(const CModel *c, uint32_t elem) { return elem == LE_F ? c->real : "int32_t"; }

const char *cprogram_at(CModel *c, const CProgram *p, int32_t area) {
    return arena_printf(c->a, "(%s *)(void *)(w + at[%d])", type_at(c, p->area.at[area].elem), area);
}

static const char *buffer_text(CModel *c, const CProgram *p, const CBinding *b, uint32_t k) {
    const LBuf *x = &p->p->buf.at[k];
    int32_t area = p->area_of[k];
    switch ((LBufRole)x->role) {
    case LB_THETA: return b->theta;
    case LB_GRAD: return b->grad;
    case LB_INPUT: return b->in[x->index];
    case LB_OUTPUT: return b->out[x->index];
    case LB_EXAMPLE: area = p->example; break;
    case LB_PACK:
        if (area == NO_AREA) return arena_printf(c->a, "weights->%s", c->field.at[p->field[k]].id);
        break;
    case LB_SLAB: break;
    case LB_LOCAL: return NULL;
    }
    if (area == NO_AREA) return NULL;
    if (!b->base) return cprogram_at(c, p, area);
    const char *at = arena_printf(c->a, "%s + %lld", b->base, (long long)(cprogram_offset(p, area, b->dim) / (p->p->f64 ? 8 : 4)));
    return x->elem == LE_F ? at : arena_printf(c->a, "(int32_t *)(void *)(%s)", at);
}

void cprogram_call(CModel *c, const CProgram *p, const CBinding *b) {
    const char **buf = NEW_N(c->a, const char *, p->p->buf.n + 1);
    for (uint32_t k = 0; k < p->p->buf.n; k++) buf[k] = p->used[k] ? buffer_text(c, p, b, k) : NULL;
    if (p->prepare >= 0 && (p->run < 0 || !p->packed)) c_text_call(p->unit, &c->c, (uint32_t)p->prepare, buf, "0");
    if (p->run >= 0) c_text_call(p->unit, &c->c, (uint32_t)p->run, buf, b->turn ? b->turn : "0");
}
