/* exec: a module made ready for one engine. Memory of a set of dims:
     slab    one block; slots one after another, aligned to 64 bytes; a slot is as large as its largest buffer. Past a limit that
             was asked for, another program works in segments (passes/remat.c): same bits, less memory
     packs   one block of the same kind, filled by "prepare" when theta has changed
     arrays  one block: inputs and results in canonical layout, unless the caller binds memory of its own
   A block grows when larger dims come and is never cut, so alternating batches (a short last one) allocate nothing. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/port_memory.h"
#include "runtime/exec_int.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- making ------------------------------------------------------------------------------------------------------------- */

LowerOptions exec_lower_options(const ExecOptions *o, const Module *m) {
    HostInfo host = host_info();
    bool f64 = o->f64 || o->engine == EXEC_EVAL;
    int lanes = lower_lanes(m, f64 ? host.lanes_f64 : host.lanes_f32);
    return (LowerOptions){.f64 = f64, .V = o->V ? o->V : lanes, .registers = o->registers ? o->registers : host.registers,
                          .math = o->math, .place = o->place, .no_reuse = o->no_reuse, .batch = o->batch, .steps = o->steps,
                          .one_row = o->one_row, .zeros_written = true, .segments = o->memory_limit ? (UINT32_C(1) << m->naxis) - 2 : 0,
                          .watch = o->passes};
}

static bool take_pool(Exec *e) {
    int threads = e->opt.engine == EXEC_EVAL ? 1 : e->opt.threads > 0 ? e->opt.threads : 1;
    e->pool = e->opt.pool;
    if (e->pool) return true;
    e->pool = pool_make(e->ctx, threads);
    e->own_pool = true;
    return e->pool != NULL;
}

static bool find_entries(Exec *e, Plan *k) {
    for (uint32_t i = 0; i < k->p->fn.n; i++) {
        const LFunc *f = k->p->fn.at[i];
        if (f->kind != LFUNC_ENTRY) continue;
        if (strcmp(name_str(e->ctx, f->name), "run") == 0) k->run = i;
        if (strcmp(name_str(e->ctx, f->name), "prepare") == 0) k->prepare = i;
    }
    if (k->run < 0) {
        diag_error(e->ctx, 999, NOWHERE, "the loop program of '%s' has no entry 'run'", name_str(e->ctx, e->m->name));
        return false;
    }
    k->buf = NEW_N(&e->arena, void *, k->p->buf.n + 1);
    k->caller = NEW_N(&e->arena, uint32_t, k->p->buf.n + 1);
    for (uint32_t i = 0; i < k->p->buf.n; i++)
        if (k->p->buf.at[i].role <= LB_EXAMPLE) k->caller[k->ncaller++] = i;
    k->slab_at = NEW_N(&e->arena, int64_t, k->p->nslot + 1);
    k->pack_at = NEW_N(&e->arena, int64_t, k->p->nslot + 1);
    return true;
}

bool exec_build(Exec *e, Plan *k, uint32_t segments, Str *explain) {
    const ExecOptions *o = &e->opt;
    const Schedule *x = &e->schedule;
    LowerOptions lo = exec_lower_options(o, e->m);
    lo.place = x->place != PLACE_AUTO ? x->place : lo.place;
    lo.V = x->V ? x->V : lo.V;
    lo.panel = x->panel;
    lo.share_columns = x->share;
    lo.segments = segments;
    lo.threads = pool_threads(e->pool);
    double t0 = now();
    Str notes = str_make(&e->arena);
    *k = (Plan){.segments = segments, .run = -1, .prepare = -1};
    k->p = lower_module(e->ctx, &e->arena, e->m, &lo, explain || segments ? &notes : NULL);
    e->stats.lower_seconds += now() - t0;
    if (!k->p) return false;
    k->notes = notes.n ? notes.at : "";
    if (explain) str_put(explain, k->notes);
    return find_entries(e, k);
}

static bool make_plan(Exec *e, uint32_t segments, Str *explain) {
    if (!exec_build(e, &e->plan[e->nplan], segments, explain)) return false;
    e->nplan++;
    return true;
}

EngineOptions exec_engine_options(const ExecOptions *o) {
    EngineOptions eo = {.cc = o->cc, .cache_dir = o->cache_dir, .shadow = o->shadow, .debug_symbols = o->debug_symbols};
    switch (o->engine) {
    case EXEC_JIT: eo.kind = ENGINE_JIT; break;
    case EXEC_C: eo.kind = ENGINE_C; break;
    case EXEC_LOOPS:
    case EXEC_EVAL: eo.kind = ENGINE_LOOPS; break;
    }
    return eo;
}

static bool use_plan(Exec *e, Plan *k) {
    EngineOptions eo = exec_engine_options(&e->opt);
    if (k->has_key) eo.key = k->key;
    e->now = k;
    if (k->engine) return true;
    double t0 = now();
    k->engine = engine_make(e->ctx, k->p, &eo);
    e->stats.engine_seconds += now() - t0;
    if (!k->engine) return false;
    EngineStats es = engine_stats(k->engine);
    e->stats.from_cache = es.from_cache;
    e->stats.llvm_instructions = es.llvm_instructions;
    e->stats.llvm_instructions_shared = es.llvm_instructions_shared;
    return true;
}

/* Element types at the border: the program's word where it has a buffer, else by the type. */
static void make_slots(Exec *e) {
    const Graph *g = e->m->graph.at[0];
    El f = e->f64 ? EL_F64 : EL_F32;
    bool eval = !e->nplan;
    const LProgram *p = eval ? NULL : e->plan[0].p;
    e->input = NEW_N(&e->arena, Slot, e->m->input.n + 1);
    e->root = NEW_N(&e->arena, Slot, g->root.n + 1);
    for (uint32_t i = 0; i < e->m->input.n; i++)
        e->input[i].el = eval ? EL_F64 : e->m->input.at[i].dtype == DT_F ? f : EL_I32;
    for (uint32_t r = 0; r < g->root.n; r++)
        e->root[r].el = eval ? EL_F64 : g->node.at[g->root.at[r].ref].dtype == DT_F ? f : EL_I32;
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_INPUT) e->input[g->node.at[r].attr].used = true;
    for (uint32_t k = 1; k < e->m->naxis; k++) /* lengths are read by every operation over their axis */
        if (e->m->axis[k].length) e->input[e->m->axis[k].length - 1].used = true;
    for (uint32_t k = 0; p && k < p->buf.n; k++) {
        const LBuf *b = &p->buf.at[k];
        El el = b->elem == LE_F ? f : EL_I32;
        if (b->role == LB_INPUT && b->index < e->m->input.n) e->input[b->index].el = el;
        if (b->role == LB_OUTPUT && b->index < g->root.n) e->root[b->index].el = el;
    }
}

typedef struct {
    Exec *e;
    const Module *m;
    Str *explain;
} Making;

static bool run_passes(Exec *e, const Making *k) {
    PassOptions po = {0};
    if (e->opt.passes) po = *e->opt.passes;
    po.grad = e->opt.grad;
    po.want_input = e->opt.want_input;
    po.gradient = e->opt.gradient;
    po.influence = e->opt.influence;
    po.explain = k->explain;
    po.inexact = &e->stats.inexact_gradient;
    po.jvp = e->opt.jvp;
    po.tangent_param = e->opt.tangent_param;
    po.tangent_input = e->opt.tangent_input;
    e->m = module_copy(k->m, &e->arena);
    return e->m && passes_run(e->m, &po);
}

/* Passes and lowering, or what they gave another process. */
static bool make_first(Exec *e, const Making *k) {
    uint64_t key[2];
    bool kept = !k->explain && kept_suits(e);
    double t0 = now();
    e->plan[0] = (Plan){.run = -1, .prepare = -1, .notes = ""};
    if (kept) kept_key(e, k->m, key);
    if (kept && kept_get(e, key)) {
        e->stats.pass_seconds = now() - t0;
        e->nplan = 1;
        return find_entries(e, &e->plan[0]);
    }
    uint32_t said = diag_count(e->ctx);
    if (!run_passes(e, k)) return false;
    e->stats.pass_seconds = now() - t0;
    if (e->opt.engine == EXEC_EVAL) return true;
    if (!make_plan(e, 0, k->explain)) return false;
    if (kept && diag_count(e->ctx) == said) kept_put(e, key);
    return true;
}

static bool make(void *arg) {
    const Making *k = arg;
    Exec *e = k->e;
    if (!take_pool(e) || !make_first(e, k)) return false;
    if (e->opt.engine == EXEC_EVAL) {
        e->theta64 = NEW_N(&e->arena, double, e->m->theta_size + 1);
        e->param = NEW_N(&e->arena, const double *, e->m->param.n + 1);
        e->in = NEW_N(&e->arena, const double *, e->m->input.n + 1);
        e->out = NEW_N(&e->arena, const double *, e->m->graph.at[0]->root.n + 1);
        for (uint32_t i = 0; i < e->m->param.n; i++) e->param[i] = e->theta64 + e->m->param.at[i].offset;
    } else if (!e->opt.memory_limit && !use_plan(e, &e->plan[0])) {
        return false;
    }
    make_slots(e);
    return true;
}

Exec *exec_make(Ctx *ctx, const Module *m, const ExecOptions *o, Str *explain) {
    Exec *e = ctx_alloc(ctx, sizeof *e);
    e->ctx = ctx;
    e->arena = arena_make(ctx);
    e->eval_arena = arena_make(ctx);
    e->opt = *o;
    e->memory = o->memory ? o->memory : &e->own;
    e->f64 = o->f64 || o->engine == EXEC_EVAL;
    Making k = {e, m, explain};
    int got = guard_call(ctx, make, &k);
    if (got > 0) return e;
    exec_destroy(e);
    if (got < 0) ctx_out_of_memory(ctx);
    return NULL;
}

void exec_destroy(Exec *e) {
    if (!e) return;
    for (uint32_t k = 0; k < e->nplan; k++)
        if (e->plan[k].engine) engine_destroy(e->plan[k].engine);
    if (e->own_pool) pool_destroy(e->pool);
    e->memory->held -= e->arrays.size + e->packs.size;
    memory_free(e->ctx, &e->own);
    ctx_free(e->ctx, e->packs.raw);
    ctx_free(e->ctx, e->arrays.raw);
    ctx_free(e->ctx, e->example);
    ctx_free(e->ctx, e->example64);
    arena_free(&e->eval_arena);
    arena_free(&e->arena);
    ctx_free(e->ctx, e);
}

const Module *exec_module(const Exec *e) {
    return e->m;
}
const LProgram *exec_program(const Exec *e) {
    return e->now ? e->now->p : e->plan[0].p;
}
const char *exec_notes(const Exec *e) {
    return e->now ? e->now->notes : "";
}
const int64_t *exec_dim(const Exec *e) {
    return e->dim;
}
ExecStats exec_stats(const Exec *e) {
    return e->stats;
}
bool exec_f64(const Exec *e) {
    return e->f64;
}
int64_t exec_batch(const Exec *e) {
    return e->dim[AXIS_B];
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static bool too_large(Exec *e, const char *what) {
    diag_error(e->ctx, 902, NOWHERE, "the %s of '%s' would be larger than any memory", what, name_str(e->ctx, e->m->name));
    return false;
}

static bool add_aligned(size_t *total, int64_t bytes) {
    int64_t n;
    if (bytes < 0 || !checked_add((int64_t)*total, bytes, &n) || !checked_add(n, 63, &n)) return false;
    *total = (size_t)(n / 64 * 64);
    return true;
}

static void bind_slots(Exec *e, LBufRole role, char *at, const int64_t *slot_at) {
    const LProgram *p = e->now->p;
    for (uint32_t k = 0; k < p->buf.n; k++)
        if (p->buf.at[k].role == role) e->now->buf[k] = at + slot_at[p->buf.at[k].slot];
}

/* What was packed stays so if it is of this plan, of this size and at this place: it is made of weights alone. */
static void bind_packs(Exec *e, const Plan *before, int64_t bytes) {
    const LProgram *p = e->now->p;
    if (e->now != before || bytes != e->stats.pack_bytes) e->packed = false;
    for (uint32_t k = 0; k < p->buf.n; k++) {
        if (p->buf.at[k].role != LB_PACK) continue;
        void *at = e->packs.at + e->now->pack_at[p->buf.at[k].slot];
        if (e->now->buf[k] != at) e->packed = false;
        e->now->buf[k] = at;
    }
}

static void bind_slab(Exec *e) {
    e->slab = e->memory->slab.at;
    bind_slots(e, LB_SLAB, e->slab, e->now->slab_at);
}

/* A block of the Exec's own, in the account. True: a new one. */
static bool hold(Exec *e, Block *b, size_t size) {
    size_t before = b->size;
    if (!memory_reserve(e->ctx, e->memory, b, size)) return false;
    e->memory->held += b->size - before;
    return true;
}

static bool plan_slot(Exec *e, Slot *s, uint32_t axes, int rank, const int32_t *dim, size_t *total) {
    if (!border_make(axes, rank, dim, e->dim, &s->border)) return false;
    s->offset = *total;
    s->bound = NULL;
    return add_aligned(total, s->border.B * s->border.X * s->border.F * (int64_t)el_size(s->el));
}

static bool plan_arrays(Exec *e, size_t *total) {
    const Graph *g = e->m->graph.at[0];
    *total = 0;
    for (uint32_t i = 0; i < e->m->input.n; i++) {
        const Input *in = &e->m->input.at[i];
        if (!plan_slot(e, &e->input[i], in->axes, in->rank, in->dim, total)) return false;
    }
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Node *n = &g->node.at[g->root.at[r].ref];
        if (g->root.at[r].kind == ROOT_GRAD_PARAM) continue;
        if (!plan_slot(e, &e->root[r], n->axes, n->rank, n->dim, total)) return false;
    }
    return true;
}

static void bind_arrays(Exec *e) {
    for (uint32_t i = 0; i < e->m->input.n; i++) e->input[i].own = e->arrays.at + e->input[i].offset;
    for (uint32_t r = 0; r < e->m->graph.at[0]->root.n; r++) e->root[r].own = e->arrays.at + e->root[r].offset;
}

static bool check_axes(Exec *e, const int64_t *axis) {
    for (uint32_t k = 0; k < e->m->naxis; k++) {
        const Axis *x = &e->m->axis[k];
        int64_t n = axis[k];
        if (x->kind == AXIS_COUNT) n = x->count;
        else if (x->kind == AXIS_JOIN && !checked_add(e->dim[x->a], e->dim[x->b], &n)) n = -1;
        if (n < 1 || n > INT32_MAX || (k == AXIS_B && e->opt.one_row && n != 1)) {
            diag_error(e->ctx, 613, NOWHERE, "axis '%s' of '%s' cannot have %lld steps", k ? name_str(e->ctx, x->name) : "B",
                       name_str(e->ctx, e->m->name), (long long)n);
            return false;
        }
        e->dim[k] = n;
    }
    return true;
}

static void reserve_examples(Exec *e) {
    int64_t B = e->dim[AXIS_B];
    if (B <= e->example_cap) return;
    ctx_free(e->ctx, e->example);
    ctx_free(e->ctx, e->example64);
    e->example = NULL;
    e->example64 = NULL;
    e->example_cap = 0;
    e->example = ctx_alloc(e->ctx, (size_t)B * sizeof *e->example);
    e->example64 = ctx_alloc(e->ctx, (size_t)B * sizeof *e->example64);
    e->example_cap = B;
}

typedef struct {
    int64_t slab, packs;
} Need;

static bool measure(Exec *e, Plan *k, Need *n) {
    n->packs = program_bytes(k->p, LB_PACK, e->dim, k->pack_at);
    n->slab = k->segments ? choose_segments(k->p, e->dim, k->slab_at) : program_bytes(k->p, LB_SLAB, e->dim, k->slab_at);
    return n->packs >= 0 && n->slab >= 0;
}

/* The axes to cut: first the one with the most steps alone, then all. */
static uint32_t axes_to_cut(const Exec *e, uint32_t plan) {
    uint32_t all = 0, longest = 0;
    for (uint32_t k = 1; k < e->m->naxis; k++) {
        if (e->m->axis[k].kind == AXIS_ELEM) continue;
        all |= AX(k);
        if (!longest || e->dim[k] > e->dim[longest]) longest = k;
    }
    return plan == 1 ? all & AX(longest) : all;
}

/* What counts against the limit beside this Exec's packs and the scratch. The account of a whole process begins when the first
   Exec asks, with what is in memory by then and an allowance for what comes after: code and plans, and beside the weights gradient, moments and copies. */
static size_t held_by_others(Exec *e) {
    enum { PER_WEIGHT = 8, ALLOWANCE = 4 << 20 };
    ExecMemory *m = e->memory;
    if (e->opt.whole_process && !m->held && !m->slab.at)
        m->base = resident_bytes() + ALLOWANCE + (size_t)e->m->theta_size * PER_WEIGHT * (e->f64 ? 8 : 4);
    return m->base + m->held - e->arrays.size - e->packs.size;
}

/* A gradient that goes forward with the steps: scratch does not depend on their number, and there is nothing to cut. */
static bool carried_forward(const Exec *e) { return e->opt.grad && e->opt.gradient != GRADIENT_BPTT; }

static bool over_limit(Exec *e, size_t bytes, size_t limit) {
    diag_error(e->ctx, 902, NOWHERE, "'%s' needs %.4g MiB at batch %lld; the limit is %.4g MiB", name_str(e->ctx, e->m->name),
               (double)bytes / 1048576, (long long)e->dim[0], (double)limit / 1048576);
    if (carried_forward(e))
        diag_help(e->ctx, NOWHERE, "that is the least: gradient %s keeps nothing of the steps that could be computed again; use a smaller batch or shorter sequences",
                  gradient_name[e->opt.gradient]);
    else if (e->nplan > 1)
        diag_help(e->ctx, NOWHERE, "that is the least: in segments, with recomputation; use a smaller batch or shorter sequences");
    else
        diag_help(e->ctx, NOWHERE, "use a smaller batch or shorter sequences");
    return false;
}

/* The first plan that fits. */
static bool choose_plan(Exec *e, size_t arrays, Need *n) {
    size_t limit = e->opt.memory_limit ? e->opt.memory_limit : DEFAULT_MEMORY_LIMIT, other = 0;
    int64_t least = INT64_MAX;
    for (uint32_t k = 0; k < PLANS && e->nplan && (k == 0 || e->opt.memory_limit); k++) {
        uint32_t cut = k ? axes_to_cut(e, k) : 0;
        if (k && (!cut || carried_forward(e) || (k == 2 && cut == e->plan[1].segments))) break;
        if (k == e->nplan && !make_plan(e, cut, NULL)) return false;
        if (k && e->plan[k].segments != cut) continue; /* another axis was the longest when it was made */
        other = arrays + held_by_others(e);
        int64_t budget = limit > other ? (int64_t)(limit - other) : 0;
        if (!measure(e, &e->plan[k], n)) continue;
        if (n->slab + n->packs <= budget) return use_plan(e, &e->plan[k]);
        if (n->slab + n->packs < least) least = n->slab + n->packs;
    }
    if (!e->nplan && arrays <= limit) return true;
    if (e->nplan && least == INT64_MAX) return too_large(e, "memory");
    return over_limit(e, e->nplan ? other + (size_t)least : arrays, limit);
}

/* Memory of the present plan. */
static void bind_plan(Exec *e, const Plan *before, const Need *n) {
    block_reserve(e->ctx, &e->memory->slab, (size_t)n->slab + 64);
    bind_slab(e);
    if (hold(e, &e->packs, (size_t)n->packs + 64)) port_all_pages(e->packs.at, (size_t)n->packs);
    bind_packs(e, before, n->packs);
    e->stats.recompute = recompute_factor(e->now->p, e->dim);
    e->stats.slab_bytes = n->slab;
    e->stats.pack_bytes = n->packs;
}

bool exec_use(Exec *e, Plan *k) {
    const Plan *before = e->now;
    Need n;
    if (!measure(e, k, &n)) return too_large(e, "memory");
    if (!use_plan(e, k)) return false;
    bind_plan(e, before, &n);
    return true;
}

bool exec_dims(Exec *e, const int64_t *axis) {
    bool same = e->dims_set;
    for (uint32_t k = 0; same && k < e->m->naxis; k++)
        if (e->m->axis[k].kind != AXIS_COUNT && e->m->axis[k].kind != AXIS_JOIN) same = e->dim[k] == axis[k];
    if (same) return true;
    e->dims_set = false;
    if (!check_axes(e, axis)) return false;
    e->dim[LDIM_NT] = pool_threads(e->pool);
    size_t arrays = 0;
    Need n = {0};
    const Plan *before = e->now;
    if (!plan_arrays(e, &arrays)) return too_large(e, "arrays");
    if (!choose_plan(e, arrays, &n)) return false;
    hold(e, &e->arrays, arrays + 64);
    bind_arrays(e);
    e->stats.slab_bytes = e->stats.pack_bytes = 0;
    if (e->now) bind_plan(e, before, &n);
    reserve_examples(e);
    e->stats.array_bytes = (int64_t)arrays;
    e->dims_set = true;
    for (uint32_t i = 0; i < e->m->input.n; i++) exec_set_input(e, i, NULL, NULL);
    return true;
}

/* ---- inputs and results ------------------------------------------------------------------------------------------------- */

static void *slot_data(const Slot *s) {
    return s->bound ? s->bound : s->own;
}

void *exec_input_data(Exec *e, uint32_t i, bool *is_int) {
    if (is_int) *is_int = e->input[i].el == EL_I32;
    return slot_data(&e->input[i]);
}
void exec_bind_input(Exec *e, uint32_t i, void *data) {
    e->input[i].bound = data;
}
const void *exec_root_data(const Exec *e, uint32_t r, bool *is_int) {
    if (is_int) *is_int = e->root[r].el == EL_I32;
    return slot_data(&e->root[r]);
}
void exec_bind_root(Exec *e, uint32_t r, void *data) {
    e->root[r].bound = data;
}

bool exec_uses_input(const Exec *e, uint32_t i) {
    return e->input[i].used;
}

double exec_slot_get(const Slot *s, int64_t i) {
    const void *p = slot_data(s);
    switch (s->el) {
    case EL_F32: return ((const float *)p)[i];
    case EL_F64: return ((const double *)p)[i];
    case EL_I32: return ((const int32_t *)p)[i];
    }
    return 0;
}

static void slot_fill(Slot *s, double v) {
    int64_t n = s->border.B * s->border.X * s->border.F;
    void *p = slot_data(s);
    for (int64_t i = 0; i < n; i++) switch (s->el) {
        case EL_F32: ((float *)p)[i] = (float)v; break;
        case EL_F64: ((double *)p)[i] = v; break;
        case EL_I32: ((int32_t *)p)[i] = (int32_t)v; break;
        }
}

void exec_set_scalar(Exec *e, uint32_t i, double v) {
    slot_fill(&e->input[i], v);
}

double exec_get_scalar(const Exec *e, uint32_t r) {
    return exec_slot_get(&e->root[r], 0);
}

/* Real steps of example b along axis k. */
int64_t exec_axis_length(const Exec *e, uint32_t k, int64_t b) {
    const Axis *x = &e->m->axis[k];
    if (x->kind == AXIS_JOIN && x->ragged) return exec_axis_length(e, x->a, b) + exec_axis_length(e, x->b, b);
    if (x->kind != AXIS_TIME || !x->ragged || !x->length) return e->dim[k];
    return (int64_t)exec_slot_get(&e->input[x->length - 1], b);
}

/* Is the position (b, x) of a value padding? x counts the other axes row-major. */
static bool is_padding(const Exec *e, const Border *border, int64_t b, int64_t x) {
    for (uint32_t k = border->nlead; k-- > 0;) {
        uint32_t axis = border->axis[k];
        if (axis == AXIS_B) continue;
        int64_t t = x % border->dim[k];
        x /= border->dim[k];
        if (t >= exec_axis_length(e, axis, border->batch ? b : 0)) return true;
    }
    return false;
}

static bool any_ragged(const Exec *e, const Border *b) {
    for (uint32_t k = 0; k < b->nlead; k++)
        if (b->axis[k] != AXIS_B && e->m->axis[b->axis[k]].ragged) return true;
    return false;
}

static void zero_padding(Exec *e, Slot *s) {
    const Border *b = &s->border;
    size_t row = (size_t)b->F * el_size(s->el);
    if (!any_ragged(e, b)) return;
    for (int64_t x = 0; x < b->X; x++)
        for (int64_t k = 0; k < b->B; k++)
            if (is_padding(e, b, k, x)) memset((char *)slot_data(s) + (size_t)(x * b->B + k) * row, 0, row);
}

static bool check_range(Exec *e, uint32_t i, double lo, double hi, const char *what) {
    const Slot *s = &e->input[i];
    const Border *b = &s->border;
    for (int64_t x = 0; x < b->X; x++)
        for (int64_t k = 0; k < b->B; k++)
            for (int64_t f = 0; f < b->F; f++) {
                double v = exec_slot_get(s, (x * b->B + k) * b->F + f);
                if (v >= lo && v <= hi && v == floor(v)) continue;
                char is[32] = "no whole number";
                if (v != NO_WHOLE) snprintf(is, sizeof is, "%g", v);
                diag_error(e->ctx, 609, NOWHERE, "%s '%s' of example %lld is %s; it must be a whole number from %g to %g", what,
                           name_str(e->ctx, e->m->input.at[i].name), (long long)k, is, lo, hi);
                return false;
            }
    return true;
}

static bool fits(const Exec *e, uint32_t i, const Array *a, const int64_t *example) {
    const Border *b = &e->input[i].border;
    int64_t n = array_count(a);
    if (b->F == 1 || a->rank == b->rank) {
        bool ok = a->rank >= (int)b->nlead && n >= 0;
        for (int k = 0; ok && k < a->rank; k++) {
            int64_t want = k < b->rank ? b->dim[k] : 1;
            ok = a->dim[k] == want || (k == 0 && b->batch && (example || (a->dim[0] == 1 && e->m->input.at[i].kind == INPUT_STATE)));
        }
        if (ok && (a->rank == b->rank || b->F == 1)) return true;
    }
    Str s = str_make(&((Exec *)e)->arena);
    str_putc(&s, '[');
    for (int k = 0; k < a->rank; k++) str_printf(&s, "%s%lld", k ? ", " : "", (long long)a->dim[k]);
    str_put(&s, "] where [");
    for (int k = 0; k < b->rank; k++) /* of a data set any number of examples will do */
        str_printf(&s, "%s%lld", k ? ", " : "", (long long)(k == 0 && b->batch && example && a->rank ? a->dim[0] : b->dim[k]));
    diag_error(e->ctx, 606, NOWHERE, "the array for '%s' has the shape %s] is needed", name_str(e->ctx, e->m->input.at[i].name), s.at);
    return false;
}

bool exec_set_input(Exec *e, uint32_t i, const Array *a, const int64_t *example) {
    const Input *in = &e->m->input.at[i];
    Slot *s = &e->input[i];
    s->bound = NULL;
    if (!a) {
        if (!s->used) return true; /* nobody looks */
        double v = 0;
        if (in->kind == INPUT_SCALAR) v = in->value;
        for (uint32_t k = 1; in->kind == INPUT_LENGTH && k < e->m->naxis; k++)
            if (e->m->axis[k].length == i + 1) v = (double)e->dim[k];
        slot_fill(s, v);
        return true;
    }
    if (!fits(e, i, a, example)) return false;
    s->border.repeat = in->kind == INPUT_STATE && s->border.batch && !example && a->rank && a->dim[0] == 1;
    border_in(&s->border, a, example, s->el, s->own);
    if (in->kind == INPUT_LENGTH) {
        for (uint32_t k = 1; k < e->m->naxis; k++)
            if (e->m->axis[k].length == i + 1) return check_range(e, i, 1, (double)e->dim[k], "the length");
        return true;
    }
    if (in->dtype == DT_F) return true;
    zero_padding(e, s);
    if (in->vocab) return check_range(e, i, 0, in->vocab - 1, "token");
    return in->dtype != DT_B || check_range(e, i, 0, 1, "bool");
}

void exec_shape(const Exec *e, uint32_t r, Array *out) {
    const Graph *g = e->m->graph.at[0];
    const Node *n = &g->node.at[g->root.at[r].ref];
    const Border *b = &e->root[r].border;
    out->type = n->dtype == DT_F ? (e->f64 ? RONDO_F64 : RONDO_F32) : n->dtype == DT_I ? RONDO_I32 : RONDO_U8;
    out->rank = b->rank;
    memcpy(out->dim, b->dim, sizeof out->dim);
}

void exec_read(Exec *e, uint32_t r, Array *out) {
    Slot *s = &e->root[r];
    zero_padding(e, s);
    if (slot_data(s) != out->data) border_out(&s->border, s->el, slot_data(s), out);
}

void exec_read_row(const Exec *e, uint32_t r, int64_t b, int64_t x, Array *out, int64_t to) {
    const Slot *s = &e->root[r];
    border_out_row(&s->border, s->el, slot_data(s), b, x, out, to);
}

bool exec_get(Exec *e, Arena *a, uint32_t r, Array *out) {
    Arrays tmp = {0};
    Array shape;
    exec_shape(e, r, &shape);
    Array *x = arrays_add(a, &tmp, name_str(e->ctx, e->m->graph.at[0]->root.at[r].name), shape.type, shape.rank, shape.dim);
    if (!x) return too_large(e, "results");
    exec_read(e, r, x);
    *out = *x;
    return true;
}

int64_t exec_root(const Exec *e, RootKind kind, uint32_t index, Name name) {
    const Graph *g = e->m->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *x = &g->root.at[r];
        if (x->kind == kind && (name ? x->name == name : x->index == index)) return r;
    }
    return -1;
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

static void thread_call(void *arg, const KEnv *env) {
    Exec *e = arg;
    if (!engine_call(e->now->engine, (uint32_t)e->call_fn, e->now->buf, e->dim, env)) atomic_store(&e->call_failed, true);
}

void exec_watch(Exec *e, void (*fn)(void *arg), void *arg) {
    e->watch = pool_threads(e->pool) == 1 ? fn : NULL;
    e->watch_arg = arg;
}

static bool call_entry(Exec *e, int64_t fn) {
    if (e->watch || e->now->p->alone)
        return engine_call(e->now->engine, (uint32_t)fn, e->now->buf, e->dim, &(KEnv){0, 1, e->watch, e->watch_arg});
    e->call_fn = fn;
    atomic_store(&e->call_failed, false);
    return pool_run(e->pool, thread_call, e) && !atomic_load(&e->call_failed);
}

static bool run_eval(Exec *e, const double *theta, double *grad, uint64_t seed, uint64_t update) {
    const Graph *g = e->m->graph.at[0];
    memcpy(e->theta64, theta, (size_t)e->m->theta_size * sizeof *theta);
    for (uint32_t i = 0; i < e->m->input.n; i++) e->in[i] = slot_data(&e->input[i]);
    EvalIn in = {.param = e->param, .input = e->in, .seed = seed, .update = update, .step = e->dim[LDIM_STEP], .example = e->example64};
    memcpy(in.axis, e->dim, sizeof in.axis);
    arena_free(&e->eval_arena);
    if (!module_eval(e->m, &e->eval_arena, &in, e->out)) return false;
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *x = &g->root.at[r];
        if (x->kind == ROOT_GRAD_PARAM) {
            const Param *p = &e->m->param.at[x->index];
            int64_t n = 1;
            for (int k = 0; k < p->rank; k++) n *= p->dim[k];
            if (grad) memcpy(grad + p->offset, e->out[r], (size_t)n * sizeof *grad);
        } else {
            const Border *b = &e->root[r].border;
            memcpy(slot_data(&e->root[r]), e->out[r], (size_t)(b->B * b->X * b->F) * sizeof(double));
        }
    }
    arena_free(&e->eval_arena);
    return true;
}

void exec_bind_call(Exec *e, const void *theta, void *grad, uint64_t seed, uint64_t update) {
    void **buf = e->now->buf;
    block_reserve(e->ctx, &e->memory->slab,
                  (size_t)e->stats.slab_bytes + 64); /* no-op, unless another Exec failed to get a larger one */
    if (e->slab != e->memory->slab.at) bind_slab(e);
    for (uint32_t i = 0; i < e->now->ncaller; i++) {
        uint32_t k = e->now->caller[i];
        const LBuf *b = &e->now->p->buf.at[k];
        if (b->role == LB_THETA)
            buf[k] = (void *)theta;
        else if (b->role == LB_GRAD)
            buf[k] = grad;
        else if (b->role == LB_INPUT)
            buf[k] = slot_data(&e->input[b->index]);
        else if (b->role == LB_OUTPUT)
            buf[k] = slot_data(&e->root[b->index]);
        else if (b->role == LB_EXAMPLE)
            buf[k] = e->example;
    }
    e->dim[LDIM_SEED_LO] = (int64_t)(seed & UINT32_MAX);
    e->dim[LDIM_SEED_HI] = (int64_t)(seed >> 32);
    e->dim[LDIM_UPDATE] = (int64_t)update;
}

bool exec_call(Exec *e, const Call *c) {
    exec_bind_call(e, c->theta, c->grad, c->seed, c->update);
    if (e->now->prepare >= 0 && (!e->packed || e->theta_version != c->version)) {
        if (!call_entry(e, e->now->prepare)) return false;
        e->packed = true;
        e->theta_version = c->version;
    }
    bool ok = call_entry(e, e->now->run);
    for (uint32_t k = 1; k < e->m->naxis; k++) /* the next call's first step begins with the weights that this one's last read last */
        if (e->m->axis[k].kind == AXIS_TIME) e->dim[LDIM_TURN] ^= e->dim[k] & 1;
    return ok;
}

void exec_count_from(Exec *e, int64_t step) { e->dim[LDIM_STEP] = step; }

static void clear_gradients(const Exec *e, char *grad) {
    const Graph *g = e->m->graph.at[0];
    size_t size = e->f64 ? sizeof(double) : sizeof(float);
    for (uint32_t r = 0; r < g->root.n; r++) {
        if (!gradient_is_zero(g, r)) continue;
        const Node *n = &g->node.at[g->root.at[r].ref];
        memset(grad + (size_t)e->m->param.at[g->root.at[r].index].offset * size, 0, (size_t)node_features(n) * size);
    }
}

bool exec_run(Exec *e, const void *theta, uint64_t theta_version, void *grad, uint64_t seed, uint64_t update,
              const int64_t *example) {
    if (e->now && grad) clear_gradients(e, grad);
    return exec_run_again(e, theta, theta_version, grad, seed, update, example);
}

bool exec_run_again(Exec *e, const void *theta, uint64_t theta_version, void *grad, uint64_t seed, uint64_t update,
                    const int64_t *example) {
    Call c = {theta, theta_version, grad, seed, update};
    for (int64_t b = 0; b < e->dim[0]; b++) {
        e->example64[b] = example ? example[b] : b;
        e->example[b] = (int32_t)e->example64[b];
    }
    if (!e->now) return run_eval(e, theta, grad, seed, update);
    if (e->opt.autotune && !e->tuned && !exec_tune(e, &c)) return false;
    return exec_call(e, &c);
}
