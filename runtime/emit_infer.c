/* emit_infer: a model's forward functions in C: init and step over a state that the caller owns, run over several steps, and
   predict over whole sequences of a batch. A step is a sequence of one step whose states come from
   outside, so steps and sequences give the same bits and share one copy of the weights; a step's own lowering has no loop over
   rows or steps. */
#include <string.h>

#include "runtime/emit_c.h"

/* ---- states ------------------------------------------------------------------------------------------------------------- */

/* Initial values of every state for one example. */
static bool find_starts(CModel *c) {
    const Module *mod = model_module(c->m, MODULE_START, false);
    if (!mod) return false;
    Arena *tmp = &c->values;
    const Graph *g = mod->graph.at[0];
    int64_t dim[LDIM_COUNT];
    for (Ref r = 1; r < g->node.n; r++) c->learns = c->learns || g->node.at[r].op == OP_PARAM;
    const double **out = NEW_N(tmp, const double *, g->root.n + 1);
    if (c->start) return true;
    cprogram_one_step(&(CProgram){.m = (Module *)mod}, dim);
    ExecOptions *o = model_exec_options(c->m);
    ExecEngine keep = o->engine;
    o->engine = EXEC_LOOPS; /* emit_c_model puts it back if this unwinds */
    bool ok = start_values(c->m, tmp, 1, out);
    o->engine = keep;
    c->start = NEW_N(c->a, double *, c->state.n + 1);
    for (uint32_t r = 0; ok && r < g->root.n; r++) {
        uint32_t k = g->root.at[r].index;
        const CPort *x = &c->state.at[k];
        int64_t got = value_size(mod, &g->node.at[g->root.at[r].ref], dim);
        c->start[k] = NEW_N(c->a, double, x->n + 1);
        for (int64_t i = 0; i < x->n; i++) c->start[k][i] = out[r][got == x->n ? i : 0];
    }
    arena_free(tmp);
    return ok;
}

int64_t emit_final_root(const CProgram *p, uint32_t state) {
    const Graph *g = p->m->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_FINAL && g->root.at[r].index == state) return r;
    return -1;
}

bool emit_in_place(const CProgram *p, uint32_t state) {
    uint32_t input = p->m->state.at[state].input;
    return !input || cprogram_in_place(p, input - 1, (uint32_t)emit_final_root(p, state));
}

static void add_states(CModel *c) {
    CProgram *p = &c->infer;
    uint32_t n = p->m->state.n;
    c->state_in = NEW_N(c->a, int32_t, n + 1);
    p->state_next = NEW_N(c->a, int32_t, n + 1);
    c->step.state_next = NEW_N(c->a, int32_t, n + 1);
    for (uint32_t k = 0; k < n; k++) {
        const State *s = &p->m->state.at[k];
        const char *name = name_str(c->ctx, s->name);
        CPort x = {.name = name,
                   .index = k,
                   .axes = s->axes,
                   .dtype = s->dtype,
                   .rank = s->rank,
                   .n = 1,
                   .area = NO_AREA,
                   .id = c_ident(c->a, name, false),
                   .upper = c_ident(c->a, name, true)};
        for (int d = 0; d < s->rank; d++) {
            x.dim[d] = s->dim[d];
            x.n *= s->dim[d];
        }
        VEC_PUSH(c->a, c->state) = x;
        LElem elem = s->dtype == DT_I ? LE_I32 : LE_F;
        p->state_next[k] = cprogram_area(c, p, arena_printf(c->a, "next %s", name), elem, s->axes, x.n, false);
        c->step.state_next[k] = NO_AREA;
        if (!emit_in_place(&c->step, k))
            c->step.state_next[k] = cprogram_area(c, &c->step, arena_printf(c->a, "next %s", name), elem, s->axes, x.n, false);
        c->state_in[k] = cprogram_area(c, p, arena_printf(c->a, "%s", name), elem, s->axes, x.n, true);
    }
}

/* Starts that depend on weights are fields of these. */
static void add_starts(CModel *c) {
    int64_t made = 0;
    for (uint32_t k = 0; c->learns && k < c->state.n; k++) {
        int64_t n = c->state.at[k].n;
        double *probe = NEW_N(c->a, double, n + 1);
        for (int64_t i = 0; i < n; i++) probe[i] = -2.0 - (double)made++; /* nothing else has these */
        const CPort *x = &c->state.at[k];
        (void)cfield_add(c, (CField){.id = arena_printf(c->a, "start_%s", x->id), .what = "where this state starts", .is_int = x->dtype == DT_I, .n = n, .value = c->start[k],
                                     .probe = probe});
    }
}

static void note_scratch(CModel *c) {
    int64_t dim[LDIM_COUNT];
    cprogram_one_step(&c->step, dim);
    int64_t scratch = cprogram_offset(&c->step, (int32_t)c->step.area.n, dim) / (c->m->f64 ? 8 : 4);
    if (scratch > c->scratch) c->scratch = scratch;
}

/* ---- functions ---------------------------------------------------------------------------------------------------------- */

static const char *port_params(CModel *c, const CPorts *x, bool input, bool sized) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++) {
        str_printf(&s, "%s%s%s", input ? "const " : "", c_type(c, x->at[k].dtype), sized ? " " : " *");
        str_put(&s, x->at[k].id);
        if (sized) str_printf(&s, "[%lld]", (long long)x->at[k].n);
        str_put(&s, ", ");
    }
    return s.n ? s.at : "";
}

static const char *without_comma(CModel *c, const char *s) {
    size_t n = strlen(s);
    return n >= 2 ? arena_strndup(c->a, s, n - 2) : "";
}

/* Where a step puts the next value of state k, if not in its place. */
static const char *next_value(CModel *c, const CProgram *p, uint32_t k, const int64_t *dim) {
    const char *at = arena_printf(c->a, "s->scratch + %lld", (long long)(cprogram_offset(p, p->state_next[k], dim) / (c->m->f64 ? 8 : 4)));
    return c->state.at[k].dtype == DT_I ? arena_printf(c->a, "(int32_t *)(void *)(%s)", at) : at;
}

/* Copies n of a state's values. */
static void put_copy(CModel *c, const CPort *x, const char *to, const char *from) {
    if (x->dtype == DT_I)
        str_printf(&c->c, "    for (k = 0; k < %lld; k++) (%s)[k] = (%s)[k];\n", (long long)x->n, to, from);
    else
        str_printf(&c->c, "    %s_copy(%s, %s, %lld);\n", c->id, to, from, (long long)x->n);
}

/* What noise depends on: seed and update are 0, the step is the stream's own. */
static void put_noise_dims(CModel *c, const int64_t *dim) {
    str_printf(&c->c, "    ptrdiff_t dim[%d] = {0};\n", LDIM_COUNT);
    for (int k = 0; k < LDIM_COUNT; k++)
        if (dim[k]) str_printf(&c->c, "    dim[%d] = %lld;\n", k, (long long)dim[k]);
    str_printf(&c->c, "    dim[%d] = (ptrdiff_t)s->noise_step++;\n", LDIM_STEP);
}

static void put_step(CModel *c) {
    CProgram *p = &c->step;
    int64_t dim[LDIM_COUNT];
    cprogram_one_step(p, dim);
    CBinding b = cbinding_make(c, p);
    b.theta = "weights->theta";
    b.base = "s->scratch";
    b.turn = "s->turn";
    b.dim = dim;
    for (uint32_t k = 0; k < p->in.n; k++) b.in[p->in.at[k].index] = p->in.at[k].id;
    for (uint32_t k = 0; k < p->out.n; k++) b.out[p->out.at[k].index] = p->out.at[k].id;
    for (uint32_t k = 0; k < c->state.n; k++) {
        int64_t root = emit_final_root(p, k);
        if (p->m->state.at[k].input) b.in[p->m->state.at[k].input - 1] = state_flat(c, &c->state.at[k]);
        if (root >= 0)
            b.out[root] = p->state_next[k] == NO_AREA ? state_flat(c, &c->state.at[k]) : next_value(c, p, k, dim);
    }
    for (uint32_t k = 0; k < p->out.n; k++)
        for (uint32_t j = 0; j < p->in.n; j++) c->apart = c->apart || !cprogram_in_place(p, p->in.at[j].index, p->out.at[k].index);
    const char *params = arena_printf(c->a, "%s%s", port_params(c, &p->in, true, true), port_params(c, &p->out, false, true));
    c_function(
        c, "One step: inputs in, outputs out. What the model takes from the last step of a sequence is as if it ended here.",
        arena_printf(c->a, "void %s_step(%s_state *s, %s)", c->id, c->id, without_comma(c, params)));
    bool counts = false;
    for (uint32_t k = 0; k < c->state.n; k++) counts = counts || (p->state_next[k] != NO_AREA && c->state.at[k].dtype == DT_I);
    str_printf(&c->c, "    const %s_weights *const weights = s->weights;\n%s", c->id, counts ? "    int k;\n" : "");
    str_put(&c->c, "    (void)weights;\n");
    if (p->noise) put_noise_dims(c, dim);
    for (uint32_t k = 0; k < p->in.n; k++) str_printf(&c->c, "    (void)%s;\n", p->in.at[k].id);
    cprogram_call(c, p, &b);
    for (uint32_t k = 0; k < c->state.n; k++)
        if (p->state_next[k] != NO_AREA) put_copy(c, &c->state.at[k], state_flat(c, &c->state.at[k]), next_value(c, p, k, dim));
    if (c->turns && c->V >= TURNING_LANES) str_put(&c->c, "    s->turn = 1 - s->turn;\n");
    str_put(&c->c, "}\n");
}

static void put_starts(CModel *c) {
    for (uint32_t k = 0; k < c->state.n; k++) {
        const CPort *x = &c->state.at[k];
        if (!c->infer.m->state.at[k].input) continue;
        const char *batch = x->axes & AX(AXIS_B) ? "batch" : "1", *to = cprogram_at(c, &c->infer, c->state_in[k]);
        if (state_starts_at_zero(c, k))
            str_printf(&c->c, "    for (k = 0; k < %s * %lld; k++) (%s)[k] = 0;\n", batch, (long long)x->n, to);
        else if (x->dtype == DT_I)
            str_printf(&c->c, "    for (k = 0; k < %s * %lld; k++) (%s)[k] = %s[k %% %lld];\n", batch, (long long)x->n, to, state_start(c, k), (long long)x->n);
        else
            str_printf(&c->c, "    for (k = 0; k < %s; k++) %s_copy(%s + (ptrdiff_t)k * %lld, %s, %lld);\n", batch, c->id, to, (long long)x->n,
                       state_start(c, k), (long long)x->n);
    }
}

void emit_given_weights(CModel *c, const char *refused) {
    if (has_constants(c)) str_printf(&c->c, "    if (!weights) weights = &%s_constants;\n    (void)weights;\n", c->id);
    else str_printf(&c->c, "    if (!weights) return %s;\n", refused);
}

static void put_predict(CModel *c) {
    CProgram *p = &c->infer;
    CBinding b = cbinding_make(c, p);
    b.theta = "weights->theta";
    for (uint32_t k = 0; k < p->in.n; k++) b.in[p->in.at[k].index] = emit_port_address(c, p, &p->in.at[k]);
    for (uint32_t k = 0; k < p->out.n; k++) b.out[p->out.at[k].index] = emit_port_address(c, p, &p->out.at[k]);
    for (uint32_t k = 0; k < c->state.n; k++) {
        int64_t root = emit_final_root(p, k);
        if (p->m->state.at[k].input) b.in[p->m->state.at[k].input - 1] = cprogram_at(c, p, c->state_in[k]);
        if (root >= 0) b.out[root] = cprogram_at(c, p, p->state_next[k]);
    }
    const char *sizes = c_size_params(c, p, true);
    emit_workspace(c, p, "predict");
    Str about = str_make(c->a);
    str_put(&about, has_constants(c) ? "Whole sequences, from the initial state; weights: NULL for those of this file."
                                   : "Whole sequences, from the initial state. Returns 1, or 0 where weights is NULL: nothing comes out then.");
    for (uint32_t k = 0; k < p->in.n; k++) str_printf(&about, " %s %s", p->in.at[k].id, c_shape(c, p, &p->in.at[k]));
    str_put(&about, " gives");
    for (uint32_t k = 0; k < p->out.n; k++) str_printf(&about, " %s %s", p->out.at[k].id, c_shape(c, p, &p->out.at[k]));
    if (c->o->ragged) str_put(&about, ". length: how many steps each example has of its own, at least 1; 0 comes out behind them");
    str_printf(&about, ". work: %s_predict_workspace bytes, of any alignment.", c->id);
    c_function(c, about.at,
               arena_printf(c->a, "%s %s_predict(const %s_weights *weights, %s%s, %svoid *work)", has_constants(c) ? "void" : "int", c->id, c->id, port_params(c, &p->in, true, false), sizes,
                            port_params(c, &p->out, false, false)));
    emit_enter(c, p, c->state.n || p->example != NO_AREA);
    emit_given_weights(c, "0");
    put_starts(c);
    emit_examples(c, p, false);
    emit_swaps(c, p, &p->in, true);
    emit_padding(c, p, &p->in, true);
    cprogram_call(c, p, &b);
    emit_swaps(c, p, &p->out, false);
    emit_padding(c, p, &p->out, false);
    str_put(&c->c, has_constants(c) ? "}\n" : "    return 1;\n}\n");
}

/* ---- what wrappers share ------------------------------------------------------------------------------------------------ */

const char *emit_port_address(CModel *c, const CProgram *p, const CPort *x) {
    return x->area == NO_AREA ? x->id : cprogram_at(c, p, x->area);
}

void emit_workspace(CModel *c, const CProgram *p, const char *what) {
    c_function(c, arena_printf(c->a, "Bytes that %s needs as `work`.", strcmp(what, "train") == 0 ? "the gradient" : what),
               arena_printf(c->a, "size_t %s_%s_workspace(%s)", c->id, what, c_size_params(c, p, true)));
    str_printf(&c->c,
               "    ptrdiff_t dim[%d];\n    size_t at[%u];\n    %s_%s_dims(dim, %s);\n    return %s_%s_layout(dim, at) + 64;\n}\n",
               LDIM_COUNT, p->area.n + 1, c->id, p->name, c_size_params(c, p, false), c->id, p->name);
    emit_room(c, p, what);
}

void emit_enter(CModel *c, const CProgram *p, bool loops) {
    str_printf(
        &c->c,
        "    ptrdiff_t dim[%d];\n    size_t at[%u];\n%s    unsigned char *w = (unsigned char *)work;\n"
        "    w += (64 - (uintptr_t)w %% 64) %% 64;\n    %s_%s_dims(dim, %s);\n    (void)%s_%s_layout(dim, at);\n",
        LDIM_COUNT, p->area.n + 1, loops ? "    int k;\n" : "", c->id, p->name, c_size_params(c, p, false), c->id, p->name);
    for (uint32_t k = 0; k < p->in.n; k++) str_printf(&c->c, "    (void)%s;\n", p->in.at[k].id);
    for (uint32_t k = 0; k < p->target.n; k++) str_printf(&c->c, "    (void)%s;\n", p->target.at[k].id);
}

void emit_examples(CModel *c, const CProgram *p, bool given) {
    if (p->example == NO_AREA) return;
    str_printf(&c->c, "    for (k = 0; k < batch; k++) (%s)[k] = %sk;\n", cprogram_at(c, p, p->example), given ? "example ? example[k] : " : "");
}

void emit_swaps(CModel *c, const CProgram *p, const CPorts *x, bool input) {
    for (uint32_t k = 0; k < x->n; k++) {
        const CPort *q = &x->at[k];
        if (q->area == NO_AREA) continue;
        Str others = str_make(c->a);
        for (uint32_t a = 1; a < p->m->naxis; a++)
            if (q->axes & AX(a)) str_printf(&others, "%sdim[%u]", others.n ? " * " : "", a);
        const char *bytes = arena_printf(c->a, "%lld * sizeof(%s)", (long long)q->n, c_type(c, q->dtype));
        if (input)
            str_printf(&c->c, "    %s_swap(%s, w + at[%d], dim[0], %s, %s);\n", c->id, q->id, q->area, others.at, bytes);
        else
            str_printf(&c->c, "    %s_swap(w + at[%d], %s, %s, dim[0], %s);\n", c->id, q->area, q->id, others.at, bytes);
    }
}

void emit_swap_helper(CModel *c, const CProgram *p) {
    bool need = false;
    for (uint32_t k = 0; k < p->in.n; k++) need = need || p->in.at[k].area != NO_AREA;
    for (uint32_t k = 0; k < p->target.n; k++) need = need || p->target.at[k].area != NO_AREA;
    for (uint32_t k = 0; k < p->out.n; k++) need = need || p->out.at[k].area != NO_AREA;
    if (!need || c->swaps) return;
    c->swaps = true;
    str_printf(&c->c,
               "\n/* from [rows][cols][bytes] to [cols][rows][bytes] */\n"
               "static void %s_swap(const void *from, void *to, ptrdiff_t rows, ptrdiff_t cols, size_t bytes)\n{\n"
               "    const unsigned char *f = (const unsigned char *)from;\n    unsigned char *t = (unsigned char *)to;\n    "
               "ptrdiff_t r, k;\n    size_t i;\n"
               "    for (r = 0; r < rows; r++)\n        for (k = 0; k < cols; k++)\n"
               "            for (i = 0; i < bytes; i++) t[(size_t)(k * rows + r) * bytes + i] = f[(size_t)(r * cols + k) * bytes + i];\n}\n",
               c->id);
}

void emit_note_theta(CModel *c, const CProgram *p) {
    for (uint32_t k = 0; k < p->p->buf.n; k++) c->theta = c->theta || (p->used[k] && p->p->buf.at[k].role == LB_THETA);
}

/* The runtime's own stream, to take the test's expected values from. */
static bool open_stream(CModel *c) {
    ExecOptions *o = model_exec_options(c->m);
    ExecEngine keep = o->engine;
    int got;
    o->engine = EXEC_LOOPS; /* emit_c_model puts it back if this unwinds */
    c->live = stream_make(c->m, 1, &got);
    o->engine = keep;
    if (got < 0) ctx_out_of_memory(c->ctx);
    return c->live != NULL;
}

static Module *forward_module(CModel *c, bool ragged) {
    const Module *built = model_module(c->m, c->stream ? MODULE_STEP : MODULE_PREDICT, ragged);
    if (!built) return NULL;
    Module *mod = module_copy(built, c->a);
    module_keep_roots(mod, 1u << ROOT_OUTPUT | (c->stream ? 1u << ROOT_FINAL : 0));
    return mod;
}

/* What a step takes and gives at once has all of an axis whose steps are counted in the model. */
static void count_steps(const Module *m, CPorts *x) {
    for (uint32_t i = 0; i < x->n; i++)
        for (uint32_t k = 1; k < m->naxis; k++)
            if (x->at[i].axes & AX(k) && m->axis[k].kind == AXIS_COUNT) x->at[i].n *= m->axis[k].count;
}

bool emit_infer(CModel *c) {
    c->stream = can_stream(c->m);
    if (diag_error_count(c->ctx) || (c->stream && c->o->test && !c->live && !open_stream(c))) return false;
    CProgram *p = &c->infer;
    Module *mod = forward_module(c, c->o->ragged);
    if (!mod || !cprogram_make(c, p, "infer", mod, C_FORWARD) || !cprogram_pack(c, p)) return false;
    cprogram_ports(c, p, false);
    if (c->stream) {
        if (c->o->ragged) mod = forward_module(c, false);
        if (!mod || !cprogram_make(c, &c->step, "step", mod, C_ONE_STEP) || !cprogram_pack(c, &c->step)) return false;
        cprogram_ports(c, &c->step, false);
        count_steps(c->step.m, &c->step.in);
        count_steps(c->step.m, &c->step.out);
    }
    if (c->stream) {
        add_states(c);
        if (!find_starts(c)) return false;
        if (!c->again) add_starts(c);
        emit_note_theta(c, &c->step);
        note_scratch(c);
        cprogram_put(c, &c->step);
        put_step(c);
    }
    bool alone = c->stream && !c->o->train; /* training shares the functions of whole sequences */
    if (alone) {
        str_printf(&c->c, "\n#ifndef %s_STEP_ONLY\n", c->upper);
        str_printf(&c->h, "\n#ifndef %s_STEP_ONLY /* defined for header and source: no code for whole sequences */\n", c->upper);
    }
    if (!emit_window_check(c)) return false;
    emit_note_theta(c, p);
    emit_swap_helper(c, p);
    cprogram_put(c, p);
    c->calls = c->calls || c_text_calls(c->text);
    cprogram_put_sizes(c, p);
    put_predict(c);
    if (!emit_decode(c)) return false;
    if (alone) {
        str_put(&c->c, "#endif\n");
        str_put(&c->h, "#endif\n");
    }
    return !c->o->train || emit_prepare(c);
}
