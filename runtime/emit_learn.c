/* emit_learn: learning while a stream goes on, in C: the gradient of one window of the key bptt (of one step where that is not given),
   carried forward with the state (rtrl, snap1) or taken back to the window's first step (bptt). What goes on from window to window,
   the states and the influences on them, is a struct that the caller holds. The modules are those of windows.c; where no start of
   a state is learned, the first window is one like the others whose influences are 0. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"

static int64_t window_steps(const CModel *c) {
    double n = train_number(c->m, "bptt");
    bool on = model_exec_options(c->m)->gradient != GRADIENT_BPTT || n >= 1 || train_bool(c->m, "stateful");
    return !on ? 0 : n >= 1 ? (int64_t)n : 1;
}

/* The model as a window sees it, all its states from outside. NULL: it cannot be cut. */
static Module *window_module(CModel *c, uint32_t *axis) {
    Module *all = emit_weighed_module(c, true);
    return all && !windows_unsuited(all, true, axis) ? all : NULL;
}

static void window_dims(const CModel *c, const CProgram *p, int64_t *dim) {
    cprogram_one_step(p, dim);
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->axis[k].kind == AXIS_TIME) dim[k] = c->window;
}

int64_t emit_learn_numbers(const CModel *c, const CPort *x) {
    int64_t dim[LDIM_COUNT], n = x->n;
    window_dims(c, &c->learn, dim);
    for (uint32_t k = 1; k < c->learn.m->naxis; k++)
        if (x->axes & AX(k)) n *= dim[k];
    return n;
}

static int64_t numbers(const CModel *c, const CProgram *p, int32_t area) {
    int64_t dim[LDIM_COUNT];
    window_dims(c, p, dim);
    return cprogram_offset(p, area < 0 ? (int32_t)p->area.n : area, dim) / (c->m->f64 ? 8 : 4);
}

/* States of the model, then influences: numbers of one stream. */
static void list_kept(CModel *c) {
    const Module *m = c->learn.m;
    int64_t dim[LDIM_COUNT];
    window_dims(c, &c->learn, dim);
    c->kept.n = 0;
    for (uint32_t k = 0; k < m->state.n; k++) {
        const State *s = &m->state.at[k];
        const char *name = name_str(c->ctx, s->name);
        CPort x = {.name = name, .id = c_ident(c->a, name, false), .index = k, .axes = s->axes, .dtype = s->dtype, .n = 1, .rank = 1};
        for (int d = 0; d < s->rank; d++) x.n *= s->dim[d];
        for (uint32_t a = 0; a < m->naxis; a++)
            if (s->axes & AX(a)) x.n *= dim[a];
        x.dim[0] = (int32_t)x.n;
        VEC_PUSH(c->a, c->kept) = x;
    }
}

static void add_areas(CModel *c, CProgram *p) {
    p->state_next = NEW_N(c->a, int32_t, c->kept.n + 1);
    for (uint32_t k = 0; k < c->kept.n; k++) {
        const CPort *x = &c->kept.at[k];
        p->state_next[k] = NO_AREA;
        if (!emit_in_place(p, k)) p->state_next[k] = cprogram_area(c, p, arena_printf(c->a, "next %s", x->name), x->dtype == DT_I ? LE_I32 : LE_F, 0, x->n, false);
    }
    int64_t n = numbers(c, p, -1);
    if (n > c->learn_scratch) c->learn_scratch = n;
}

static const char *area_at(CModel *c, const CProgram *p, int32_t area, uint8_t dtype) {
    const char *at = arena_printf(c->a, "l->scratch + %lld", (long long)numbers(c, p, area));
    return dtype == DT_I ? arena_printf(c->a, "(int32_t *)(void *)(%s)", at) : at;
}

static CBinding bind(CModel *c, const CProgram *p, const int64_t *dim) {
    const Graph *g = p->m->graph.at[0];
    CBinding b = cbinding_make(c, p);
    b.theta = "theta";
    b.grad = "grad";
    b.base = "l->scratch";
    b.dim = dim;
    for (uint32_t k = 0; k < p->in.n; k++) b.in[p->in.at[k].index] = p->in.at[k].id;
    for (uint32_t k = 0; k < p->target.n; k++) b.in[p->target.at[k].index] = p->target.at[k].id;
    for (uint32_t k = 0; k < c->kept.n; k++) {
        const CPort *x = &c->kept.at[k];
        int64_t root = emit_final_root(p, k);
        if (p->m->state.at[k].input) b.in[p->m->state.at[k].input - 1] = arena_printf(c->a, "l->%s", x->id);
        if (root >= 0) b.out[root] = p->state_next[k] == NO_AREA ? arena_printf(c->a, "l->%s", x->id) : area_at(c, p, p->state_next[k], x->dtype);
    }
    for (uint32_t r = 0; r < g->root.n; r++)
        if (g->root.at[r].kind == ROOT_LOSS) b.out[r] = "&loss";
    emit_scalars(c, p, &b);
    return b;
}

/* One window by program p, which stands between braces. */
static void put_window(CModel *c, const CProgram *p) {
    int64_t dim[LDIM_COUNT];
    window_dims(c, p, dim);
    str_put(&c->c, "    {\n");
    CBinding b = bind(c, p, dim);
    if (p->example != NO_AREA) str_printf(&c->c, "    *(%s) = %s;\n", area_at(c, p, p->example, DT_I), p->noise ? "example" : "0");
    if (p->weight_area != NO_AREA) emit_weigh(c, p, &b, area_at(c, p, p->weight_area, DT_F));
    cprogram_call(c, p, &b);
    for (uint32_t k = 0; k < c->kept.n; k++)
        if (p->state_next[k] != NO_AREA) str_printf(&c->c, "    %s_copy(l->%s, %s, %lld);\n", c->id, c->kept.at[k].id, area_at(c, p, p->state_next[k], c->kept.at[k].dtype),
                   (long long)c->kept.at[k].n);
    str_put(&c->c, "    }\n");
}

static void put_dims(CModel *c) {
    const CProgram *p = &c->learn;
    int64_t dim[LDIM_COUNT];
    window_dims(c, p, dim);
    str_printf(&c->c, "    ptrdiff_t dim[%d], i;\n    %s loss = 0;\n    for (i = 0; i < %d; i++) dim[i] = 0;\n", LDIM_COUNT, c->real, LDIM_COUNT);
    for (int k = 0; k < LDIM_COUNT; k++)
        if (dim[k]) str_printf(&c->c, "    dim[%d] = %lld;\n", k, (long long)dim[k]);
    emit_noise_dims(c, p);
    str_put(&c->c, "    (void)dim;\n");
    for (int target = 0; target < 2; target++) {
        const CPorts *x = target ? &p->target : &p->in;
        for (uint32_t k = 0; k < x->n; k++) str_printf(&c->c, "    (void)%s;\n", x->at[k].id);
    }
    str_printf(&c->c, "    for (i = 0; i < %lld; i++) grad[i] = 0;\n", (long long)model_theta_size(c->m));
}

static const char *window_params(CModel *c, const CPorts *x) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++)
        str_printf(&s, "const %s %s[%lld], ", c_type(c, x->at[k].dtype), x->at[k].id, (long long)emit_learn_numbers(c, &x->at[k]));
    return s.n ? s.at : "";
}

static void put_learn(CModel *c) {
    const CProgram *p = &c->learn;
    const char *noise = emit_noise_params(c, p, "int32_t example");
    const char *draws = !p->noise ? "" : update_gradients(c) < 2 ? " update: how many were made before." :
        arena_printf(c->a, " update: %lld times how many were made before, and the gradients that gather has of this one.", (long long)update_gradients(c));
    c_function(c,
               arena_printf(c->a,
                            "%s_LEARN_STEPS steps of a stream: their loss, returned, and its gradient, written to grad [%s_WEIGHTS]. States%s go on "
                            "into the next call, whatever theta has become.%s",
                            c->upper, c->upper, model_exec_options(c->m)->gradient ? " and the influence of the weights on them" : "", draws),
               arena_printf(c->a, "%s %s_learn(%s_learner *l, const %s *theta, %s%s%s%s *grad)", c->real, c->id, c->id, c->real,
                            window_params(c, &p->in), window_params(c, &p->target), noise, c->real));
    put_dims(c);
    if (c->learns) {
        str_put(&c->c, "    if (!l->begun)\n");
        put_window(c, &c->learn_first);
        str_put(&c->c, "    else\n");
    }
    put_window(c, p);
    str_printf(&c->c, "%s    return loss;\n}\n", c->learns ? "    l->begun = 1;\n" : "");
}

static void put_begin(CModel *c) {
    c_function(c, arena_printf(c->a, "Before the first window of a stream: the initial state%s.", model_exec_options(c->m)->gradient ? ", no influence" : ""),
               arena_printf(c->a, "void %s_learn_begin(%s_learner *l)", c->id, c->id));
    str_put(&c->c, c->learns ? "    l->begun = 0;\n" : c->kept.n ? "    int k;\n" : "    (void)l; /* nothing goes on from window to window */\n");
    for (uint32_t k = 0; k < c->kept.n && !c->learns; k++) {
        const CPort *x = &c->kept.at[k];
        bool zero = k >= c->state.n || state_starts_at_zero(c, k);
        str_printf(&c->c, "    for (k = 0; k < %lld; k++) l->%s[k] = %s;\n", (long long)x->n, x->id,
                   zero ? "0" : arena_printf(c->a, "%s[k]", state_start(c, k)));
    }
    str_put(&c->c, "}\n");
}

bool emit_learn(CModel *c) {
    uint32_t axis;
    Module *all;
    c->window = c->train && c->stream ? window_steps(c) : 0;
    if (!c->window) return true;
    all = window_module(c, &axis);
    if (!all) { /* rondo train refuses it too */
        c->window = 0;
        return diag_error_count(c->ctx) == 0;
    }
    bool *given = NEW_N(c->a, bool, all->state.n + 1);
    Module *first = c->learns ? bind_states(all, c->a, given) : NULL;
    module_keep_roots(all, 1u << ROOT_LOSS | 1u << ROOT_FINAL);
    if (!cprogram_make(c, &c->learn, "learn", all, C_LEARN)) return false;
    cprogram_ports(c, &c->learn, true);
    list_kept(c);
    add_areas(c, &c->learn);
    cprogram_put(c, &c->learn);
    if (first) {
        module_keep_roots(first, 1u << ROOT_LOSS | 1u << ROOT_FINAL);
        if (!cprogram_make(c, &c->learn_first, "first", first, C_LEARN_FIRST)) return false;
        cprogram_ports(c, &c->learn_first, true);
        add_areas(c, &c->learn_first);
        cprogram_put(c, &c->learn_first);
    }
    put_learn(c);
    put_begin(c);
    return true;
}

void emit_learner_type(CModel *c) {
    if (!c->window) return;
    int64_t n = 0;
    for (uint32_t k = 0; k < c->kept.n; k++) n += c->kept.at[k].n;
    str_printf(&c->h,
               "\n/* Learning on a stream: so many steps a call; so many numbers are remembered from call to call. */\n"
               "#define %s_LEARN_STEPS %lld\n#define %s_LEARN_STATE %lld\n#define %s_LEARN_SCRATCH %lld\ntypedef struct {\n",
               c->upper, (long long)c->window, c->upper, (long long)n, c->upper, (long long)(c->learn_scratch > 0 ? c->learn_scratch : 1));
    for (uint32_t k = 0; k < c->kept.n; k++) {
        const CPort *x = &c->kept.at[k];
        str_printf(&c->h, "    %s %s[%lld]; /* %s */\n", c_type(c, x->dtype), x->id, (long long)x->n, x->name);
    }
    if (c->learns) str_put(&c->h, "    int32_t begun; /* 0: the next window is the first */\n");
    str_printf(&c->h, "    %s scratch[%s_LEARN_SCRATCH]; /* of one call; not part of what is remembered */\n} %s_learner;\n#define %s_LEARNER_BYTES sizeof(%s_learner)\n", c->real, c->upper,
               c->id, c->upper, c->id);
}
