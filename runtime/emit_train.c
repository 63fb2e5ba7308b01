/* emit_train: loss and gradient in C, and one update of the model's optimizer over the weights, in blocks that a stack can
   hold. Any cut into blocks gives the same bits: an optimizer is a cell over elements. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/train.h"

enum { BLOCK = 256 }; /* elements of one call of the optimizer's kernel */

/* ---- gradient ----------------------------------------------------------------------------------------------------------- */

static const char *params_of(CModel *c, const CPorts *x) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++) str_printf(&s, "const %s *%s, ", c_type(c, x->at[k].dtype), x->at[k].id);
    return s.n ? s.at : "";
}

void emit_scalars(CModel *c, const CProgram *p, const CBinding *b) {
    for (uint32_t i = 0; i < p->m->input.n; i++) {
        const Input *in = &p->m->input.at[i];
        if (in->kind != INPUT_SCALAR || !cprogram_reads(p, i)) continue;
        str_printf(&c->c, "    const %s scalar_%u = %s; /* %s */\n", c->real, i, c_number(c, in->value),
                   name_str(c->ctx, in->name));
        b->in[i] = arena_printf(c->a, "&scalar_%u", i);
    }
}

/* What the noise of an update depends on. */
const char *emit_noise_params(CModel *c, const CProgram *p, const char *example) {
    return p->noise ? arena_printf(c->a, "uint64_t seed, uint32_t update, %s", p->example == NO_AREA ? "" : arena_printf(c->a, "%s, ", example)) : "";
}

void emit_noise_dims(CModel *c, const CProgram *p) {
    if (!p->noise) return;
    str_printf(&c->c, "    dim[%d] = (ptrdiff_t)(seed & 0xffffffffu);\n    dim[%d] = (ptrdiff_t)(seed >> 32);\n    dim[%d] = (ptrdiff_t)update;\n", LDIM_SEED_LO,
               LDIM_SEED_HI, LDIM_UPDATE);
}

static void put_grad(CModel *c) {
    CProgram *p = &c->grad;
    const Graph *g = p->m->graph.at[0];
    CBinding b = cbinding_make(c, p);
    b.theta = "theta";
    b.grad = "grad";
    for (uint32_t k = 0; k < p->in.n; k++) b.in[p->in.at[k].index] = emit_port_address(c, p, &p->in.at[k]);
    for (uint32_t k = 0; k < p->target.n; k++) b.in[p->target.at[k].index] = emit_port_address(c, p, &p->target.at[k]);
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_LOSS) b.out[r] = "&loss";
    emit_workspace(c, p, "train");
    Str about = str_make(c->a);
    str_put(&about, "Loss of a batch, returned, and its gradient, written to grad (0 where a weight is not trained).");
    for (uint32_t k = 0; k < p->in.n; k++) str_printf(&about, " %s %s", p->in.at[k].id, c_shape(c, p, &p->in.at[k]));
    for (uint32_t k = 0; k < p->target.n; k++)
        str_printf(&about, " %s %s", p->target.at[k].id, c_shape(c, p, &p->target.at[k]));
    str_printf(&about, ". work: %s_train_workspace bytes, of any alignment.", c->id);
    if (p->noise) str_put(&about, " seed, update: the same pair draws the same noise for the same example; example [batch]: their numbers among all, NULL: 0, 1, ..");
    c_function(c, about.at,
               arena_printf(c->a, "%s %s_grad(const %s *theta, %s%s%s, %s%s *grad, void *work)", c->real, c->id, c->real,
                            params_of(c, &p->in), params_of(c, &p->target), c_size_params(c, p, true),
                            emit_noise_params(c, p, "const int32_t *example"), c->real));
    str_printf(&c->c, "    %s loss = 0;\n", c->real);
    emit_enter(c, p, p->example != NO_AREA);
    str_put(&c->c, "    (void)theta;\n");
    emit_noise_dims(c, p);
    str_printf(&c->c, "    {\n        ptrdiff_t i;\n        for (i = 0; i < %lld; i++) grad[i] = 0;\n    }\n", (long long)model_theta_size(c->m));
    emit_scalars(c, p, &b);
    emit_examples(c, p, p->noise);
    emit_swaps(c, p, &p->in, true);
    emit_swaps(c, p, &p->target, true);
    emit_padding(c, p, &p->in, true);
    emit_padding(c, p, &p->target, true);
    if (p->weight_area != NO_AREA) emit_weigh(c, p, &b, cprogram_at(c, p, p->weight_area));
    cprogram_call(c, p, &b);
    str_put(&c->c, "    return loss;\n}\n");
}

/* ---- optimizer ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    CModel *c;
    Optimizer o;
    const char *id; /* "adam" */
    int64_t *at;    /* of each state in moments */
    bool aside, *next_aside; /* what is new is not written over theta, over each state, but beside it first */
    int64_t moments;
    Schedule schedule;
    bool varies; /* the learning rate, with time */
} COptimizer;

static bool each_element(const COptimizer *x, uint32_t k) { return x->c->opt.m->state.at[k].axes & ~AX(AXIS_B); }

/* Numbers of a state for each weight, or in all. */
static int64_t width_of(const COptimizer *x, uint32_t k) {
    const State *s = &x->o.cell.mod->state.at[k];
    int64_t n = 1;
    for (int d = 0; d < s->rank; d++) n *= s->dim[d];
    return n;
}

static int64_t block_of(const COptimizer *x, uint32_t k) { return width_of(x, k) * (each_element(x, k) ? BLOCK : 1); }

/* "first" times the numbers of each weight, for those that have such. */
static const char *first_of(const COptimizer *x, uint32_t k) {
    if (!each_element(x, k)) return "";
    return width_of(x, k) == 1 ? " + first" : arena_printf(x->c->a, " + first * %lld", (long long)width_of(x, k));
}

/* The state k before the first update, as C; where its numbers differ a table of them is written. */
static const char *start_of(COptimizer *x, uint32_t k) {
    CModel *c = x->c;
    int64_t n = width_of(x, k);
    double *v = NEW_N(c->a, double, n + 1);
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        v[i] = c->m->f64 ? ((const double *)x->o.cell.now[k])[i] : (double)((const float *)x->o.cell.now[k])[i];
        same = same && v[i] == v[0];
    }
    if (same) return c_number(c, v[0]);
    str_put(&c->c, "\n");
    c_array(c, &c->c, c->real, arena_printf(c->a, "%s_begin_%u", c->id, k), v, n, false);
    return arena_printf(c->a, "%s_begin_%u[k %% %lld]", c->id, k, (long long)n);
}

static void lay_moments(COptimizer *x) {
    CModel *c = x->c;
    const CellRun *cell = &x->o.cell;
    x->at = NEW_N(c->a, int64_t, cell->n + 1);
    for (int scalar = 0; scalar < 2; scalar++)
        for (uint32_t k = 0; k < cell->n; k++) {
            if (each_element(x, k) == (scalar != 0)) continue;
            str_printf(&c->h, "%s %s%s", x->moments ? "," : "", name_str(c->ctx, cell->mod->state.at[k].name),
                       scalar ? "" : " of each weight");
            x->at[k] = x->moments;
            x->moments += cell->count[k];
        }
}

static void put_segments(COptimizer *x) {
    CModel *c = x->c;
    const Optimizer *o = &x->o;
    str_printf(
        &c->c,
        "\n/* runs of weights that are trained alike: first, number; learning rate%s, decay, the optimizer's own decay */\n"
        "static const struct {\n    ptrdiff_t first, n;\n    %s lr;\n    %s decay, own;\n} %s_segment[%u] = {\n",
        x->varies ? "'s factor" : "", x->varies ? "double" : c->real, c->real, c->id, o->segment.n ? o->segment.n : 1);
    for (uint32_t k = 0; k < o->segment.n; k++) {
        const Segment *s = &o->segment.at[k];
        str_printf(&c->c, "    {%lld, %lld, ", (long long)s->offset, (long long)s->n);
        str_printf(&c->c, "%s, ", x->varies ? c_double(c, s->lr_scale) : c_number(c, o->in_lr >= 0 ? o->lr * 1 * s->lr_scale : 0));
        str_printf(&c->c, "%s, ", c_number(c, s->decay));
        str_printf(&c->c, "%s},\n", c_number(c, s->no_decay ? 0 : o->own_decay));
    }
    if (!o->segment.n) str_put(&c->c, "    {0, 0, 0, 0, 0}\n");
    str_put(&c->c, "};\n");
}

static CBinding bind_update(COptimizer *x) {
    CModel *c = x->c;
    CProgram *p = &c->opt;
    const Graph *g = p->m->graph.at[0];
    CBinding b = cbinding_make(c, p);
    for (uint32_t i = 0; i < p->m->input.n; i++) {
        const Input *in = &p->m->input.at[i];
        if (i == x->o.in_p)
            b.in[i] = "(theta + first)";
        else if (i == x->o.in_g)
            b.in[i] = "g";
        else if (in->kind == INPUT_SCALAR && (int64_t)i == x->o.in_lr)
            b.in[i] = x->varies ? "&rate" : arena_printf(c->a, "&%s_segment[j].lr", c->id);
        else if (in->kind == INPUT_SCALAR && (int64_t)i == x->o.in_decay)
            b.in[i] = arena_printf(c->a, "&%s_segment[j].own", c->id);
        else if (in->kind == INPUT_SCALAR)
            b.in[i] = arena_printf(c->a, "&scalar_%u", i);
    }
    for (uint32_t k = 0; k < x->o.cell.n; k++)
        b.in[x->o.cell.in[k]] =
            arena_printf(c->a, "(moments + %lld%s)", (long long)x->at[k], first_of(x, k));
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *q = &g->root.at[r];
        int64_t in = q->kind == ROOT_OUTPUT ? x->o.in_p : x->o.cell.in[q->index];
        bool aside = (q->kind == ROOT_FINAL && !each_element(x, q->index)) || !cprogram_in_place(p, (uint32_t)in, r);
        if (q->kind == ROOT_OUTPUT) x->aside = aside;
        else x->next_aside[q->index] = aside;
        b.out[r] = !aside ? b.in[in] : q->kind == ROOT_OUTPUT ? "p" : arena_printf(c->a, "next_%u", q->index);
    }
    return b;
}

static void put_update_locals(COptimizer *x, int64_t scratch) {
    CModel *c = x->c;
    int64_t stack = (x->aside ? 2 * BLOCK : BLOCK) + scratch;
    str_printf(&c->c, "    ptrdiff_t dim[%d], j, i, k, n, first;\n    %s g[%d];\n", LDIM_COUNT, c->real, BLOCK);
    if (x->aside) str_printf(&c->c, "    %s p[%d];\n", c->real, BLOCK);
    for (uint32_t k = 0; k < x->o.cell.n; k++) {
        int64_t n = block_of(x, k);
        if (!x->next_aside[k]) continue;
        str_printf(&c->c, "    %s next_%u[%lld]; /* %s */\n", c->real, k, (long long)n, name_str(c->ctx, x->o.cell.mod->state.at[k].name));
        stack += n;
    }
    if (scratch) str_printf(&c->c, "    %s scratch[%lld];\n", c->real, (long long)scratch);
    if (stack * (c->m->f64 ? 8 : 4) > c->update_stack) c->update_stack = stack * (c->m->f64 ? 8 : 4);
    for (uint32_t i = 0; i < c->opt.m->input.n; i++) {
        const Input *in = &c->opt.m->input.at[i];
        if (in->kind != INPUT_SCALAR || (int64_t)i == x->o.in_lr || (int64_t)i == x->o.in_decay || !cprogram_reads(&c->opt, i)) continue;
        str_printf(&c->c, "    const %s scalar_%u = %s; /* %s */\n", c->real, i, c_number(c, in->value),
                   name_str(c->ctx, in->name));
    }
    emit_clip_locals(c);
    if (x->varies) str_printf(&c->c, "    const double factor = %s * %s_factor(%s);\n", c_double(c, x->o.lr), c->id, schedule_argument(c, &x->schedule, false));
    str_put(&c->c, "    (void)i;\n    (void)k;\n    (void)moments;\n    (void)dim;\n");
}

static void put_update(COptimizer *x) {
    CModel *c = x->c;
    CProgram *p = &c->opt;
    const CellRun *cell = &x->o.cell;
    int64_t dim[LDIM_COUNT];
    cprogram_one_step(p, dim);
    dim[1] = BLOCK;
    x->next_aside = NEW_N(c->a, bool, cell->n + 1);
    CBinding b = bind_update(x);
    b.base = "scratch";
    b.dim = dim;
    const char **start = NEW_N(c->a, const char *, cell->n + 1);
    for (uint32_t k = 0; k < cell->n; k++) start[k] = start_of(x, k);
    emit_root(c);
    if (x->varies) emit_schedule(c, &x->schedule);
    c_function(
        c,
        arena_printf(
            c->a,
            "One update of theta by %s. t: updates made before; at t = 0 moments [%s_MOMENTS] need not be set. theta and grad "
            "[%s_WEIGHTS].%s%s",
            x->id, c->upper, c->upper, emit_clip_about(c),
            schedule_about(c, &x->schedule)),
        arena_printf(c->a, "void %s_%s(%s *theta, const %s *grad, %s *moments, long t%s)", c->id, x->id, c->real, c->real,
                     c->real, x->varies ? schedule_argument(c, &x->schedule, true) : ""));
    put_update_locals(x, cprogram_offset(p, (int32_t)p->area.n, dim) / (c->m->f64 ? 8 : 4));
    emit_clip_norm(c, x->o.segment.n);
    str_put(&c->c, "    if (t <= 0) {\n");
    for (uint32_t k = 0; k < cell->n; k++)
        str_printf(&c->c, "        for (k = 0; k < %lld; k++) moments[%lld + k] = %s;\n", (long long)cell->count[k],
                   (long long)x->at[k], start[k]);
    str_printf(&c->c, "    }\n    for (k = 0; k < %d; k++) dim[k] = 0;\n    dim[0] = 1;\n    dim[%d] = 1;\n", LDIM_COUNT, LDIM_NT);
    for (uint32_t k = 0; k < cell->n; k++)
        if (!each_element(x, k)) str_printf(&c->c, "    %s_copy(next_%u, moments + %lld, %lld);\n", c->id, k, (long long)x->at[k], (long long)width_of(x, k));
    str_printf(&c->c, "    for (j = 0; j < %u; j++)\n    for (i = 0; i < %s_segment[j].n; i += %d) {\n", x->o.segment.n, c->id,
               BLOCK);
    if (x->varies) str_printf(&c->c, "    const %s rate = %s(factor * %s_segment[j].lr);\n", c->real, c->m->f64 ? "" : "(float)", c->id);
    str_printf(
        &c->c,
        "    n = %s_segment[j].n - i < %d ? %s_segment[j].n - i : %d;\n    first = %s_segment[j].first + i;\n    dim[1] = n;\n",
        c->id, BLOCK, c->id, BLOCK, c->id);
    str_printf(&c->c, /* a variable: some targets widen what stays inside of an expression */
               "    for (k = 0; k < n; k++) {\n        const %s more = %s_segment[j].decay * theta[first + k];\n"
               "        g[k] = grad[first + k];\n", c->real, c->id);
    emit_clip(c);
    str_printf(&c->c, "        if (%s_segment[j].decay < 0 || %s_segment[j].decay > 0) g[k] += more;\n    }\n", c->id, c->id);
    cprogram_call(c, p, &b);
    if (x->aside) str_printf(&c->c, "    %s_copy(theta + first, p, n);\n", c->id);
    for (uint32_t k = 0; k < cell->n; k++)
        if (each_element(x, k) && x->next_aside[k])
            str_printf(&c->c, "    %s_copy(moments + %lld%s, next_%u, n * %lld);\n", c->id, (long long)x->at[k], first_of(x, k), k, (long long)width_of(x, k));
    str_put(&c->c, "    }\n");
    for (uint32_t k = 0; k < cell->n; k++)
        if (!each_element(x, k)) str_printf(&c->c, "    %s_copy(moments + %lld, next_%u, %lld);\n", c->id, (long long)x->at[k], k, (long long)width_of(x, k));
    str_put(&c->c, "}\n");
}

/* Moments are numbers of one kind. */
static bool can_update(const COptimizer *x) {
    CModel *c = x->c;
    for (uint32_t k = 0; k < x->o.cell.n; k++) {
        const State *s = &x->o.cell.mod->state.at[k];
        if (s->dtype != DT_I) continue;
        const Setting *said = train_setting(c->m, "optimizer");
        diag_error(c->ctx, 854, said ? said->span : c->m->desc->train.span, "`%s` is not written into C: its state '%s' is a token", x->id, name_str(c->ctx, s->name));
        diag_help(c->ctx, NOWHERE, "a number or a bool does as well");
        return false;
    }
    return true;
}

/* The optimizer's step as C. The optimizer holds memory that is no arena's: emit_optimizer frees it. */
static bool put_optimizer(void *arg) {
    COptimizer *x = arg;
    CModel *c = x->c;
    const Setting *s = train_setting(c->m, "optimizer");
    const char *name = s && (s->kind == SET_CALL || s->kind == SET_NAME) ? name_str(c->ctx, s->name) : "adam";
    x->id = c_ident(c->a, name, false);
    static const char *const ours[] = {"init", "reset", "use", "save", "load", "open", "builtin", "prepare", "step", "run", "predict", "grad", "state", "weights", "learn", "learner", "learn_begin", "decode", "unpack", "finish", "gather", "gathered", "watch", "plateau", "factor", "root", "cosine", "power", "grow"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(ours[i], x->id) == 0) x->id = arena_printf(c->a, "%s_update", x->id);
    if (!optimizer_make(&x->o, c->m, name, s && s->kind == SET_CALL ? s : NULL)) return false;
    if (!emit_rules(c, &x->schedule)) return false;
    if (!can_update(x)) return false;
    x->varies = x->o.in_lr >= 0 && schedule_varies(&x->schedule);
    Module *mod = module_copy(x->o.cell.mod, c->a);
    module_keep_roots(mod, 1u << ROOT_OUTPUT | 1u << ROOT_FINAL);
    if (!cprogram_make(c, &c->opt, "opt", mod, C_FORWARD)) return false;
    str_printf(&c->h, "\n/* moments:");
    lay_moments(x);
    str_printf(&c->h, " */\n#define %s_MOMENTS %lld\n", c->upper, (long long)(x->moments ? x->moments : 1));
    cprogram_put(c, &c->opt);
    put_segments(x);
    put_update(x);
    c->optimizer = x->id;
    c->rate = x->varies ? schedule_argument(c, &x->schedule, true) : "";
    return true;
}

static bool emit_optimizer(CModel *c) {
    COptimizer x = {.c = c};
    ExecOptions *o = model_exec_options(c->m);
    ExecEngine keep = o->engine;
    o->engine = EXEC_LOOPS;
    int got = guard_call(c->ctx, put_optimizer, &x);
    o->engine = keep;
    optimizer_free(&x.o);
    if (got < 0) ctx_out_of_memory(c->ctx);
    return got;
}

bool emit_train(CModel *c) {
    if (!c->o->train || !c->m->desc->loss.n || !c->theta) return true;
    const Module *mod = emit_weighed_module(c, false);
    if (!mod || !cprogram_make(c, &c->grad, "train", mod, C_GRADIENT)) return false;
    c->train = true;
    cprogram_ports(c, &c->grad, true);
    emit_swap_helper(c, &c->grad);
    cprogram_put(c, &c->grad);
    c->calls = c->calls || c_text_calls(c->text);
    cprogram_put_sizes(c, &c->grad);
    put_grad(c);
    if (!emit_optimizer(c) || !emit_learn(c)) return false;
    emit_gather(c);
    return true;
}
