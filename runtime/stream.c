/* stream: a model step by step. The module has every state as an input and as a final value; a step runs it with T = 1 and
   swaps the two. What needs more of a sequence than one step (reverse, sums over time, attention over all steps) is refused. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

enum { BLOCK = 256 };

struct rondo_stream {
    Model *m;
    Exec *exec;
    int64_t B;
    size_t nx, ny; /* floats of one step */
    int64_t steps; /* of the Exec's present dims; 0: not set */
    int64_t taken; /* since the last reset */
    uint32_t time; /* an axis along which every input and output goes; 0: there is none, or another beside it */
    float *block; /* x and y of BLOCK steps as the Exec has them; NULL: steps one by one */
    int64_t only_in, only_out; /* the one input and the one output, read and written where the caller has them; -1: copied */
    CellRun state; /* blocks of the states; its exec is this one */
};

/* ---- what can be streamed ----------------------------------------------------------------------------------------------- */

/* The state before each step of a sequence: shift by 1 of a scan's stacked carry, filled with the scan's own start. */
static bool is_state_shift(const Graph *g, const Node *n) {
    const Node *x = &g->node.at[n->in[0]];
    if (node_attr(g, (Ref)(n - g->node.at))[1] != 1 || x->op != OP_OUT) return false;
    ScanInfo s = scan_info(g, x->in[0]);
    const Graph *body = g->module->graph.at[s.body];
    for (uint32_t k = 0; k < s.ncarry; k++) {
        if (s.init[k] != n->in[1]) continue;
        const Root *stacked = &body->root.at[s.ncarry + x->attr];
        if (stacked->kind == ROOT_STACK && stacked->ref == body->root.at[k].ref) return true;
    }
    return false;
}

static bool scan_streams(const Graph *g, Ref r, uint32_t time) {
    ScanInfo s = scan_info(g, r);
    if (!(AX(s.axis) & time)) return true;
    const Graph *body = g->module->graph.at[s.body];
    for (uint32_t k = 0; k < s.ncapture; k++)
        if (g->node.at[s.capture[k]].axes & AX(s.axis)) return false;
    for (uint32_t k = 0; k < body->root.n; k++)
        if (body->root.at[k].kind == ROOT_SUM) return false;
    return !s.reverse;
}

/* Are its steps those of two sequences, one behind the other? That may be so where no value of them is left, too. */
static bool is_joined(const Graph *g, const Node *n) {
    const Module *mod = g->module;
    for (uint32_t k = 1; k < mod->naxis; k++)
        if (n->axes & AX(k) && mod->axis[k].kind == AXIS_JOIN) return true;
    return false;
}

/* NULL if node r can be made from one step at a time; else what stands in the way. */
static const char *obstacle(const Graph *g, Ref r, uint32_t time) {
    const Node *n = &g->node.at[r];
    const uint32_t *w = op_words((Op)n->op) || n->op == OP_REVERSE ? node_attr(g, r) : NULL;
    if (n->op == OP_REVERSE) return AX(w[0]) & time ? "reverse" : NULL;
    if (n->op == OP_JOIN || is_joined(g, n)) return "then";
    if (n->op == OP_SHIFT) return !(AX(w[0]) & time) || is_state_shift(g, n) ? NULL : "shift";
    if (n->op == OP_SUM || n->op == OP_AMAX) return w[0] & time ? "a sum, mean or max over time" : NULL;
    if (n->op == OP_DOT) {
        uint32_t all = g->node.at[n->in[0]].axes | g->node.at[n->in[1]].axes;
        return all & ~n->axes & time ? "a sum over time" : NULL;
    }
    if (n->op == OP_SCAN) return scan_streams(g, r, time) ? NULL : "a scan that sees the whole sequence or runs backwards";
    return NULL;
}

static uint32_t all_time(const Module *mod) {
    uint32_t time = 0;
    for (uint32_t k = 1; k < mod->naxis; k++)
        if (mod->axis[k].kind == AXIS_TIME) time |= AX(k);
    return time;
}

static const char *find_obstacle(const Module *mod, uint32_t time, uint32_t *span) {
    const Graph *g = mod->graph.at[0];
    for (Ref r = 1; r < g->node.n; r++) {
        const char *why = obstacle(g, r, time);
        *span = g->node.at[r].span;
        if (why) return why;
    }
    return NULL;
}

const char *stream_obstacle_along(const Module *mod, uint32_t axes) {
    uint32_t span;
    return find_obstacle(mod, axes, &span);
}

const char *stream_obstacle(const Module *mod) { return stream_obstacle_along(mod, all_time(mod)); }

const char *window_obstacle(const Module *mod) {
    const Graph *g = mod->graph.at[0];
    uint32_t time = all_time(mod);
    for (Ref r = 1; r < g->node.n; r++) {
        Op op = (Op)g->node.at[r].op;
        if (op == OP_REVERSE || op == OP_JOIN || op == OP_SHIFT) {
            const char *why = obstacle(g, r, time);
            if (why) return why;
        }
        if (op != OP_SCAN) continue;
        ScanInfo s = scan_info(g, r);
        if (s.reverse && AX(s.axis) & time) return "a scan runs backwards";
    }
    return NULL;
}

static bool need_stream(Model *m, const Module *mod) {
    uint32_t at;
    const char *why = find_obstacle(mod, all_time(mod), &at);
    if (why)
        diag_error(m->ctx, 557, (Span){at, at}, "'%s' cannot run step by step: it needs the whole sequence (%s)",
                   name_str(m->ctx, mod->name), why);
    return !why;
}

static bool start_needs_input(const Module *start) {
    const Graph *g = start->graph.at[0];
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_INPUT) return true;
    return false;
}

static bool has_final(const Module *mod, uint32_t state) {
    const Graph *g = mod->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_FINAL && g->root.at[r].index == state) return true;
    return false;
}

bool can_stream(Model *m) {
    const Module *mod = model_module(m, MODULE_STEP, false), *start = mod ? model_module(m, MODULE_START, false) : NULL;
    if (!start || stream_obstacle(mod) || start_needs_input(start)) return false;
    for (uint32_t k = 0; k < mod->state.n; k++)
        if (!mod->state.at[k].input || !has_final(mod, k)) return false;
    return true;
}

/* ---- starts ------------------------------------------------------------------------------------------------------------- */

static bool by_evaluator(const Module *mod, Arena *a, int64_t batch, const double **out) {
    EvalIn ev = {.param = NEW_N(a, const double *, 1), .input = NEW_N(a, const double *, mod->input.n + 1)};
    for (uint32_t k = 0; k < mod->naxis; k++) ev.axis[k] = 1;
    ev.axis[AXIS_B] = batch;
    return module_eval(mod, a, &ev, out);
}

/* Starts that depend on weights are computed as those of whole sequences are, for the same bits. */
bool start_values(Model *m, Arena *a, int64_t batch, const double **out) {
    const Module *mod = model_module(m, MODULE_START, false);
    const Graph *g = mod->graph.at[0];
    bool learned = false;
    for (Ref r = 1; r < g->node.n; r++) learned = learned || g->node.at[r].op == OP_PARAM;
    if (!learned) return by_evaluator(mod, a, batch, out);
    int64_t axis[MAX_AXES];
    for (uint32_t k = 0; k < MAX_AXES; k++) axis[k] = 1;
    axis[AXIS_B] = batch;
    Exec *e = model_exec(m, MODULE_START, false, false);
    if (!e || !exec_dims(e, axis) || !exec_run(e, m->theta, m->theta_version, NULL, 0, 0, NULL)) return false;
    for (uint32_t r = 0; r < g->root.n; r++) {
        Array x;
        int64_t root = exec_root(e, ROOT_INIT, g->root.at[r].index, 0);
        if (root < 0 || !exec_get(e, a, (uint32_t)root, &x)) return false;
        double *v = NEW_N(a, double, array_count(&x) + 1);
        for (int64_t i = 0; i < array_count(&x); i++) v[i] = array_get(&x, i);
        out[r] = v;
    }
    return true;
}

bool exec_set_starts(Model *m, Exec *e, const Arrays *in) {
    const Module *mod = model_module(m, MODULE_START, false);
    if (!mod) return false;
    const Graph *g = mod->graph.at[0];
    if (start_needs_input(mod)) {
        diag_error(m->ctx, 557, NOWHERE, "a state of '%s' starts from a value that depends on the inputs", name_str(m->ctx, mod->name));
        return false;
    }
    Arena *tmp = scratch_begin(m);
    int64_t batch = exec_batch(e);
    const double **out = NEW_N(tmp, const double *, g->root.n + 1);
    bool ok = start_values(m, tmp, batch, out);
    for (uint32_t r = 0; ok && r < g->root.n; r++) {
        const State *s = &exec_module(e)->state.at[g->root.at[r].index];
        const Node *n = &g->node.at[g->root.at[r].ref];
        if (!s->input || (in && exec_find_input(exec_module(e), s->input - 1, in))) continue;
        Array x = {.name = name_str(m->ctx, s->name), .type = RONDO_F64, .data = (void *)out[r], .rank = 1, .dim = {batch}};
        bool batched = n->axes & AX(AXIS_B);
        x.rank = 1 + s->rank;
        for (int k = 0; k < s->rank; k++) x.dim[1 + k] = s->dim[k];
        if (n->rank != s->rank) { /* a scalar start of a larger state: the value in every element */
            int64_t count = array_count(&x);
            double *full = NEW_N(tmp, double, count + 1);
            int64_t per = count / batch;
            for (int64_t i = 0; i < count; i++) full[i] = out[r][batched ? i / per : 0];
            x.data = full;
            batched = true;
        }
        if (!batched) x.dim[0] = 1;
        ok = exec_set_input(e, s->input - 1, &x, NULL);
    }
    scratch_end(m);
    return ok;
}

/* ---- streams ------------------------------------------------------------------------------------------------------------ */

/* The values of state k: floats, or the number of a token or a bool. */
static Array state_array(const rondo_stream *s, uint32_t k) {
    bool is_int;
    exec_input_data(s->exec, s->state.in[k], &is_int);
    rondo_type type = is_int ? RONDO_I32 : exec_f64(s->exec) ? RONDO_F64 : RONDO_F32;
    return (Array){.type = type, .rank = 1, .dim = {s->state.count[k]}, .data = s->state.now[k]};
}

static size_t state_bytes(const rondo_stream *s, uint32_t k) {
    return (size_t)s->state.count[k] * rondo_type_size(state_array(s, k).type);
}

static bool stream_states(rondo_stream *s) {
    const Module *mod = exec_module(s->exec);
    CellRun *c = &s->state;
    Arena *a = &s->m->arena;
    c->m = s->m;
    c->n = mod->state.n;
    c->in = NEW_N(a, uint32_t, c->n + 1);
    c->root = NEW_N(a, uint32_t, c->n + 1);
    c->count = NEW_N(a, int64_t, c->n + 1);
    c->now = NEW_N(a, void *, c->n + 1);
    c->next = NEW_N(a, void *, c->n + 1);
    for (uint32_t k = 0; k < c->n; k++) {
        const State *x = &mod->state.at[k];
        int64_t root = exec_root(s->exec, ROOT_FINAL, k, 0);
        if (!x->input || root < 0) {
            diag_error(s->m->ctx, 557, NOWHERE, "the state '%s' cannot be kept from step to step", name_str(s->m->ctx, x->name));
            return false;
        }
        c->in[k] = x->input - 1;
        c->root[k] = (uint32_t)root;
        c->count[k] = s->B;
        for (int d = 0; d < x->rank; d++) c->count[k] *= x->dim[d];
        c->now[k] = ctx_alloc(s->m->ctx, state_bytes(s, k) + 128);
        c->next[k] = ctx_alloc(s->m->ctx, state_bytes(s, k) + 128);
    }
    return true;
}

static int64_t input_count(const Module *mod, uint32_t i, const int64_t *axis) {
    Border b;
    const Input *p = &mod->input.at[i];
    return border_make(p->axes, p->rank, p->dim, axis, &b) ? b.B * b.X * b.F : 0;
}

static bool stream_reset(void *arg);

/* The axis that every input and every output has, B aside, and nothing else has another one. */
static uint32_t common_time(const Module *mod) {
    const Graph *g = mod->graph.at[0];
    uint32_t all = 0, time = 0;
    for (uint32_t k = 1; k < mod->naxis; k++) {
        all |= AX(k);
        if (mod->axis[k].kind == AXIS_TIME) time = k;
    }
    if (all != AX(time)) return 0;
    for (uint32_t i = 0; i < mod->input.n; i++)
        if (mod->input.at[i].kind == INPUT_DATA && !(mod->input.at[i].axes & AX(time))) return 0;
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_OUTPUT && !(g->node.at[g->root.at[r].ref].axes & AX(time))) return 0;
    return time;
}

static void stream_axes(const rondo_stream *s, int64_t steps, int64_t *axis) {
    const Module *mod = exec_module(s->exec);
    memset(axis, 0, MAX_AXES * sizeof *axis);
    for (uint32_t k = 0; k < mod->naxis; k++) axis[k] = mod->axis[k].kind == AXIS_COUNT ? mod->axis[k].count : 1;
    axis[AXIS_B] = s->B;
    if (s->time) axis[s->time] = steps;
}

static bool stream_dims(rondo_stream *s, int64_t steps) {
    int64_t axis[MAX_AXES];
    if (steps == s->steps) return true;
    stream_axes(s, steps, axis);
    s->steps = exec_dims(s->exec, axis) ? steps : 0;
    return s->steps > 0;
}

/* One array of floats a direction, with time outermost: then the caller's is laid out as the program's own. */
static void find_only(rondo_stream *s) {
    const Module *mod = exec_module(s->exec);
    const Graph *g = mod->graph.at[0];
    uint32_t in = 0, out = 0;
    s->only_in = s->only_out = -1;
    for (uint32_t i = 0; i < mod->input.n; i++)
        if (mod->input.at[i].kind == INPUT_DATA) {
            in++;
            if (mod->input.at[i].dtype == DT_F) s->only_in = i;
        }
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_OUTPUT) {
            out++;
            if (g->node.at[g->root.at[r].ref].dtype == DT_F) s->only_out = r;
        }
    if (in != 1 || !s->time || exec_f64(s->exec)) s->only_in = -1;
    if (out != 1 || !s->time || exec_f64(s->exec)) s->only_out = -1;
}

static bool stream_open(void *arg) {
    rondo_stream *s = arg;
    Model *m = s->m;
    const Module *mod = model_module(m, MODULE_STEP, false);
    if (!mod || !model_need_weights(m) || !need_stream(m, mod)) return false;
    ExecOptions o = m->opt.exec;
    o.pool = m->pool;
    o.memory = NULL;
    if (s->B == 1) o.batch = o.one_row = 1;
    s->exec = exec_make(m->ctx, mod, &o, NULL);
    if (!s->exec) return false;
    int64_t axis[MAX_AXES];
    mod = exec_module(s->exec);
    stream_axes(s, 1, axis);
    for (uint32_t i = 0; i < mod->input.n; i++)
        if (mod->input.at[i].kind == INPUT_DATA) s->nx += (size_t)input_count(mod, i, axis);
    const Graph *g = mod->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_OUTPUT) s->ny += (size_t)value_size(mod, &g->node.at[g->root.at[r].ref], axis);
    s->time = common_time(mod);
    find_only(s);
    if (s->time && !stream_dims(s, BLOCK)) return false; /* too many examples */
    if (s->time) s->block = ctx_alloc(m->ctx, BLOCK * s->nx * sizeof *s->block + 64);
    return stream_dims(s, 1) && stream_states(s) && stream_reset(s);
}

rondo_stream *stream_make(Model *m, int64_t batch, int *got) {
    rondo_stream *s = ctx_alloc(m->ctx, sizeof *s);
    s->m = m;
    s->B = batch;
    *got = guard_call(m->ctx, stream_open, s);
    if (*got > 0) return s;
    rondo_stream_close(s);
    return NULL;
}

void rondo_stream_close(rondo_stream *s) {
    if (!s) return;
    for (uint32_t k = 0; k < s->state.n && s->state.now; k++) {
        ctx_free(s->m->ctx, s->state.now[k]);
        ctx_free(s->m->ctx, s->state.next[k]);
    }
    exec_destroy(s->exec);
    ctx_free(s->m->ctx, s->block);
    ctx_free(s->m->ctx, s);
}

static bool stream_reset(void *arg) {
    rondo_stream *s = arg;
    s->taken = 0;
    if (!exec_set_starts(s->m, s->exec, NULL)) return false;
    for (uint32_t k = 0; k < s->state.n; k++)
        memcpy(s->state.now[k], exec_input_data(s->exec, s->state.in[k], NULL), state_bytes(s, k));
    return true;
}

rondo_status rondo_stream_reset(rondo_stream *s) {
    return s ? model_guard(s->m, stream_reset, s) : RONDO_BAD_USAGE;
}

size_t rondo_stream_inputs(const rondo_stream *s) {
    return s ? s->nx : 0;
}
size_t rondo_stream_outputs(const rondo_stream *s) {
    return s ? s->ny : 0;
}

/* Example by example, steps inside: what an Exec takes. x: step by step. */
static const float *gather(rondo_stream *s, const float *x, int64_t steps, size_t features) {
    size_t B = (size_t)s->B, row = features * sizeof *x;
    if (steps == 1 || (B == 1 && features == s->nx)) return x;
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < (size_t)steps; t++)
            memcpy(s->block + (b * (size_t)steps + t) * features, x + t * s->nx + b * features, row);
    return s->block;
}

static bool set_inputs(rondo_stream *s, const float *x, int64_t steps) {
    const Module *mod = exec_module(s->exec);
    for (uint32_t i = 0; i < mod->input.n; i++) {
        const Input *p = &mod->input.at[i];
        if (p->kind != INPUT_DATA) continue;
        Array a = {.name = "x", .type = RONDO_F32};
        int64_t examples = p->axes & AX(AXIS_B) ? s->B : 1;
        if (p->axes & AX(AXIS_B)) a.dim[a.rank++] = s->B;
        for (uint32_t k = 1; k < mod->naxis; k++)
            if (p->axes & AX(k)) a.dim[a.rank++] = mod->axis[k].kind == AXIS_COUNT ? mod->axis[k].count : steps;
        for (int k = 0; k < p->rank; k++) a.dim[a.rank++] = p->dim[k];
        int64_t floats = array_count(&a) / steps;
        a.data = (void *)gather(s, x, steps, (size_t)(floats / examples));
        if (!exec_set_input(s->exec, i, &a, NULL)) return false;
        x += floats;
    }
    return true;
}

static void get_outputs(rondo_stream *s, float *y, int64_t steps) {
    const Module *mod = exec_module(s->exec);
    const Graph *g = mod->graph.at[0];
    int64_t axis[MAX_AXES];
    stream_axes(s, 1, axis);
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Node *n = &g->node.at[g->root.at[r].ref];
        Border b;
        bool is_int;
        if (g->root.at[r].kind != ROOT_OUTPUT || !border_make(n->axes, n->rank, n->dim, axis, &b)) continue;
        const char *v = exec_root_data(s->exec, r, &is_int);
        El el = is_int ? EL_I32 : exec_f64(s->exec) ? EL_F64 : EL_F32;
        int64_t floats = b.B * b.X * b.F;
        for (int64_t t = 0; t < steps; t++) { /* time is outermost */
            Array out = {.name = "y", .type = RONDO_F32, .data = y + t * (int64_t)s->ny};
            border_out(&b, el, v + (size_t)(t * floats) * el_size(el), &out);
        }
        y += floats;
    }
}

/* Steps at once, at most BLOCK. */
static bool run_steps(rondo_stream *s, const float *x, float *y, int64_t steps) {
    CellRun *c = &s->state;
    uintptr_t from = (uintptr_t)x, to = (uintptr_t)y, n = (uintptr_t)steps * sizeof *x;
    bool apart = from + n * s->nx <= to || to + n * s->ny <= from, in = s->only_in >= 0 && apart, out = s->only_out >= 0 && apart;
    if (!stream_dims(s, steps) || (!in && !set_inputs(s, x, steps))) return false;
    if (in) exec_bind_input(s->exec, (uint32_t)s->only_in, (void *)x);
    if (s->only_out >= 0) exec_bind_root(s->exec, (uint32_t)s->only_out, out ? y : NULL);
    for (uint32_t k = 0; k < c->n; k++) {
        exec_bind_input(s->exec, c->in[k], c->now[k]);
        exec_bind_root(s->exec, c->root[k], c->next[k]);
    }
    exec_count_from(s->exec, s->taken);
    if (!exec_run(s->exec, s->m->theta, s->m->theta_version, NULL, s->m->seed, 0, NULL)) return false;
    s->taken += steps;
    cell_swap(c);
    if (!out) get_outputs(s, y, steps);
    return true;
}

typedef struct {
    rondo_stream *s;
    int64_t steps;
    const float *x;
    float *y;
    const char *state;
    size_t n; /* of its values: from x or to y */
} StreamCall;

static bool stream_usage(const rondo_stream *s, const char *text) {
    diag_error(s->m->ctx, 556, NOWHERE, "%s", text);
    return false;
}

bool stream_steps(rondo_stream *s, int64_t steps, const float *x, float *y) {
    if (steps < 0) return stream_usage(s, "the number of steps of a stream is less than 0");
    if ((!x && s->nx) || (!y && s->ny)) return stream_usage(s, "a step needs memory for its inputs and outputs");
    for (int64_t t = 0, n; t < steps; t += n) {
        n = !s->time ? 1 : steps - t < BLOCK ? steps - t : BLOCK;
        if (!run_steps(s, x + (size_t)t * s->nx, y + (size_t)t * s->ny, n)) return false;
    }
    return true;
}

static bool stream_run(void *arg) {
    StreamCall *c = arg;
    return stream_steps(c->s, c->steps, c->x, c->y);
}

rondo_status rondo_stream_run(rondo_stream *s, int64_t steps, const float *x, float *y) {
    return s ? model_guard(s->m, stream_run, &(StreamCall){.s = s, .steps = steps, .x = x, .y = y}) : RONDO_BAD_USAGE;
}

rondo_status rondo_stream_step(rondo_stream *s, const float *x, float *y) {
    return rondo_stream_run(s, 1, x, y);
}

/* ---- states of a stream ------------------------------------------------------------------------------------------------- */

static int64_t find_state(const StreamCall *c, const void *value) {
    rondo_stream *s = c->s;
    const Module *mod = exec_module(s->exec);
    if (!value) stream_usage(s, "a state needs memory for its values");
    for (uint32_t k = 0; value && c->state && k < mod->state.n; k++)
        if (strcmp(name_str(s->m->ctx, mod->state.at[k].name), c->state) == 0) {
            if ((int64_t)c->n == s->state.count[k]) return k;
            diag_error(s->m->ctx, 556, NOWHERE, "the state '%s' has %lld numbers, not %zu", c->state, (long long)s->state.count[k], c->n);
            return -1;
        }
    if (value) diag_error(s->m->ctx, 556, NOWHERE, "'%s' has no state '%s'", name_str(s->m->ctx, mod->name), c->state ? c->state : "(null)");
    return -1;
}

static bool stream_get(void *arg) {
    StreamCall *c = arg;
    int64_t k = find_state(c, c->y);
    if (k < 0) return false;
    Array x = state_array(c->s, (uint32_t)k);
    for (size_t i = 0; i < c->n; i++) c->y[i] = (float)array_get(&x, (int64_t)i);
    return true;
}

rondo_status rondo_stream_get(rondo_stream *s, const char *state, float *value, size_t n) {
    return s ? model_guard(s->m, stream_get, &(StreamCall){.s = s, .state = state, .y = value, .n = n}) : RONDO_BAD_USAGE;
}

/* A token that there is not would be read past the end of a table. */
static bool state_holds(const rondo_stream *s, uint32_t k, const float *value, size_t n) {
    const Input *p = &exec_module(s->exec)->input.at[s->state.in[k]];
    float end = p->vocab ? (float)p->vocab : 2;
    for (size_t i = 0; p->dtype != DT_F && i < n; i++)
        if (!(value[i] >= 0 && value[i] < end && value[i] == floorf(value[i]))) {
            diag_error(s->m->ctx, 609, NOWHERE, "the state '%s' is given %g; it must be a whole number from 0 to %g", name_str(s->m->ctx, p->name), (double)value[i], (double)end - 1);
            return false;
        }
    return true;
}

static bool stream_set(void *arg) {
    StreamCall *c = arg;
    int64_t k = find_state(c, c->x);
    if (k < 0 || !state_holds(c->s, (uint32_t)k, c->x, c->n)) return false;
    Array x = state_array(c->s, (uint32_t)k);
    for (size_t i = 0; i < c->n; i++) array_set(&x, (int64_t)i, c->x[i]);
    return true;
}

rondo_status rondo_stream_set(rondo_stream *s, const char *state, const float *value, size_t n) {
    return s ? model_guard(s->m, stream_set, &(StreamCall){.s = s, .state = state, .x = value, .n = n}) : RONDO_BAD_USAGE;
}
