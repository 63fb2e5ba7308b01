/* emit_c: a trained model as two C files. The kernel is the loop program, printed by codegen; here are its surroundings: the
   weights in the layout the kernel wants (what "prepare" makes of theta, computed now and printed as constants), the caller's
   state and scratch memory, and functions that bind buffers and sizes.

   A model that can run step by step becomes
       typedef struct { .. } m_state;   void m_init(m_state *s);   void m_step(m_state *s, const float in_x[I], float out_y[O]);
   any other one
       size_t m_workspace(int64_t steps);   void m_predict(int64_t steps, const float *in_x, float *out_y, void *work);
   For one example. The bytes written depend on the model, its weights and the version of Rondo alone. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "runtime/emit.h"

typedef struct {
    Model *m;
    const char *dir, *name, *real;
    Arena a;
    Exec *exec;
    const Module *mod;
    const LProgram *p;
    int64_t run, axis[MAX_AXES], dim[LDIM_COUNT];
    bool stream;
    Str h, c;
} Emit;

/* ---- names and numbers -------------------------------------------------------------------------------------------------- */

/* "h.c" -> "h_c" */
static const char *c_name(Emit *e, Name n) {
    char *s = arena_strdup(&e->a, name_str(e->m->ctx, n));
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return s;
}

static void put_number(Emit *e, double v) {
    Str s = str_make(&e->a);
    if (e->m->f64) str_double(&s, v);
    else str_float(&s, (float)v);
    str_put(&e->c, s.at);
    if (!strpbrk(s.at, ".en")) str_put(&e->c, ".0");
    if (!e->m->f64) str_putc(&e->c, 'f');
}

static bool put_table(Emit *e, const char *name, const void *data, int64_t n) {
    str_printf(&e->c, "\nstatic const %s %s_%s[%lld] = {", e->real, e->name, name, (long long)(n ? n : 1));
    for (int64_t i = 0; i < n; i++) {
        double v = e->m->f64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
        if (!isfinite(v)) {
            diag_error(e->m->ctx, 850, NOWHERE, "a weight of '%s' is not a finite number", e->name);
            return false;
        }
        str_put(&e->c, i % 8 ? ", " : i ? ",\n    " : "\n    ");
        put_number(e, v);
    }
    str_put(&e->c, n ? "};\n" : "0};\n");
    return true;
}

/* ---- what the kernel reads ---------------------------------------------------------------------------------------------- */

static bool reads(const LProgram *p, const LFunc *f, uint32_t buf) {
    for (uint32_t i = 0; i < f->inst.n; i++) {
        const LInst *x = &f->inst.at[i];
        if (x->op != LOP_CALL) {
            if (x->buf == buf && x->idx < f->idx.n) return true;
            continue;
        }
        const LFunc *callee = p->fn.at[x->imm];
        for (uint32_t k = 0; k < callee->param.n; k++)
            if (callee->param.at[k].pointer && f->ext.at[x->ext + 1 + 2 * k] == buf) return true;
    }
    return false;
}

static int64_t extent_bytes(const Emit *e, const LBuf *b) {
    return lextent_eval(&b->extent, e->dim) * (b->elem == LE_F && e->m->f64 ? 8 : 4);
}

/* Constants for theta and the packs that `run` reads. */
static bool put_weights(Emit *e) {
    const LFunc *run = e->p->fn.at[e->run];
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (!reads(e->p, run, k)) continue;
        if (b->role == LB_THETA && !put_table(e, "theta", e->m->theta, e->m->desc->theta_size)) return false;
        if (b->role == LB_PACK && !put_table(e, arena_printf(&e->a, "pack%u", k), exec_buffer(e->exec, k), lextent_eval(&b->extent, e->dim)))
            return false;
    }
    return true;
}

/* ---- the caller's side -------------------------------------------------------------------------------------------------- */

static int64_t features(int rank, const int32_t *dim) {
    int64_t n = 1;
    for (int k = 0; k < rank; k++) n *= dim[k];
    return n;
}

static const char *elem_type(const Emit *e, LBufRole role, uint32_t index, DType dt) {
    for (uint32_t k = 0; k < e->p->buf.n; k++)
        if (e->p->buf.at[k].role == role && e->p->buf.at[k].index == index) return e->p->buf.at[k].elem == LE_F ? e->real : "int32_t";
    return dt == DT_F ? e->real : "int32_t";
}

/* "const float in_x[5], float out_y[2]"; with `shape` false: pointers, for whole sequences. */
static const char *parameters(Emit *e) {
    Str s = str_make(&e->a);
    const Graph *g = e->mod->graph.at[0];
    for (uint32_t i = 0; i < e->mod->input.n; i++) {
        const Input *x = &e->mod->input.at[i];
        if (x->kind != INPUT_DATA) continue;
        const char *t = elem_type(e, LB_INPUT, i, (DType)x->dtype);
        if (e->stream) str_printf(&s, "%sconst %s in_%s[%lld]", s.n ? ", " : "", t, c_name(e, x->name), (long long)features(x->rank, x->dim));
        else str_printf(&s, "%sconst %s *in_%s", s.n ? ", " : "", t, c_name(e, x->name));
    }
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Node *n = &g->node.at[g->root.at[r].ref];
        if (g->root.at[r].kind != ROOT_OUTPUT) continue;
        const char *t = elem_type(e, LB_OUTPUT, r, (DType)n->dtype);
        int64_t size = value_size(e->mod, n, e->axis);
        if (e->stream) str_printf(&s, "%s%s out_%s[%lld]", s.n ? ", " : "", t, c_name(e, g->root.at[r].name), (long long)size);
        else str_printf(&s, "%s%s *out_%s", s.n ? ", " : "", t, c_name(e, g->root.at[r].name));
    }
    return s.at ? s.at : "void";
}

/* An extent as a C expression in bytes, over d[]. */
static void put_extent(Emit *e, const LBuf *b) {
    str_put(&e->c, "(");
    for (uint32_t k = 0; k < b->extent.n; k++) {
        str_printf(&e->c, "%s%lld", k ? " + " : "", (long long)b->extent.term[k].coef);
        for (uint32_t d = 0; d < LDIM_COUNT; d++)
            if (b->extent.term[k].dims >> d & 1) str_printf(&e->c, " * d[%u]", d);
    }
    str_printf(&e->c, "%s) * %d", b->extent.n ? "" : "0", b->elem == LE_F && e->m->f64 ? 8 : 4);
}

/* m_layout(d, at): offsets of the slots in the scratch memory; returns its bytes. */
static void put_layout(Emit *e) {
    str_printf(&e->c, "\nstatic int64_t %s_layout(const int64_t *d, int64_t *at) {\n    int64_t end = 0, n;\n    (void)d;\n", e->name);
    for (uint32_t s = 0; s < e->p->nslot; s++) {
        bool any = false;
        for (uint32_t k = 0; k < e->p->buf.n; k++) {
            const LBuf *b = &e->p->buf.at[k];
            if (b->role != LB_SLAB || b->slot != s) continue;
            if (!any) str_printf(&e->c, "    n = 0;\n    at[%u] = end;\n", s);
            any = true;
            str_put(&e->c, "    if (n < ");
            put_extent(e, b);
            str_put(&e->c, ") n = ");
            put_extent(e, b);
            str_put(&e->c, ";\n");
        }
        if (any) str_put(&e->c, "    end += (n + 63) / 64 * 64;\n");
    }
    str_put(&e->c, "    (void)n;\n    (void)at;\n    return end;\n}\n");
}

static int64_t work_bytes(const Emit *e) {
    int64_t total = 0;
    for (uint32_t s = 0; s < e->p->nslot; s++) {
        int64_t most = 0;
        for (uint32_t k = 0; k < e->p->buf.n; k++) {
            const LBuf *b = &e->p->buf.at[k];
            if (b->role == LB_SLAB && b->slot == s && extent_bytes(e, b) > most) most = extent_bytes(e, b);
        }
        total += (most + 63) / 64 * 64;
    }
    return total;
}

static int64_t state_count(const Emit *e, uint32_t k) {
    return features(e->mod->state.at[k].rank, e->mod->state.at[k].dim);
}

/* buf[k] = ..; for every buffer that `run` touches. */
static void put_bindings(Emit *e) {
    const LFunc *run = e->p->fn.at[e->run];
    const Graph *g = e->mod->graph.at[0];
    for (uint32_t k = 0; k < e->p->buf.n; k++) {
        const LBuf *b = &e->p->buf.at[k];
        if (!reads(e->p, run, k) || b->role == LB_LOCAL) continue;
        str_printf(&e->c, "    buf[%u] = ", k);
        switch ((LBufRole)b->role) {
        case LB_THETA: str_printf(&e->c, "(void *)%s_theta;\n", e->name); break;
        case LB_PACK: str_printf(&e->c, "(void *)%s_pack%u;\n", e->name, k); break;
        case LB_SLAB: str_printf(&e->c, "work + at[%u];\n", b->slot); break;
        case LB_EXAMPLE: str_put(&e->c, "(void *)example;\n"); break;
        case LB_INPUT:
            if (e->mod->input.at[b->index].kind == INPUT_STATE)
                str_printf(&e->c, "s->%s;\n", c_name(e, e->mod->input.at[b->index].name));
            else str_printf(&e->c, "(void *)in_%s;\n", c_name(e, e->mod->input.at[b->index].name));
            break;
        case LB_OUTPUT:
            if (g->root.at[b->index].kind == ROOT_FINAL)
                str_printf(&e->c, "s->next_%s;\n", c_name(e, e->mod->state.at[g->root.at[b->index].index].name));
            else str_printf(&e->c, "out_%s;\n", c_name(e, g->root.at[b->index].name));
            break;
        case LB_GRAD:
        case LB_LOCAL: str_put(&e->c, "0;\n"); break;
        }
    }
}

static void put_unused(Emit *e) {
    for (uint32_t i = 0; i < e->mod->input.n; i++)
        if (e->mod->input.at[i].kind == INPUT_DATA) str_printf(&e->c, "    (void)in_%s;\n", c_name(e, e->mod->input.at[i].name));
}

static void put_call(Emit *e, const char *work) {
    str_printf(&e->c, "    static const int32_t example[1] = {0};\n    void *buf[%u] = {0};\n    int64_t at[%u];\n    char *work = %s;\n",
               e->p->buf.n, e->p->nslot + 1, work);
    str_printf(&e->c, "    (void)example;\n    (void)work;\n    (void)%s_layout(d, at);\n    (void)at;\n", e->name);
    put_unused(e);
    put_bindings(e);
    str_printf(&e->c, "    %s_kernel_run(buf, d);\n", e->name);
}

/* ---- a stream ----------------------------------------------------------------------------------------------------------- */

static bool starts_at_zero(const Emit *e, uint32_t k) {
    bool is_int;
    const void *v = exec_input_data(e->exec, e->mod->state.at[k].input - 1, &is_int);
    for (int64_t i = 0; i < state_count(e, k); i++)
        if (e->m->f64 ? ((const double *)v)[i] != 0 : ((const float *)v)[i] != 0) return false;
    return true;
}

static bool put_stream(Emit *e) {
    const char *n = e->name;
    str_put(&e->h, "/* State of one stream; the caller's memory. `next_` and `work` mean nothing between calls. */\ntypedef struct {\n");
    for (uint32_t k = 0; k < e->mod->state.n; k++)
        str_printf(&e->h, "    %s %s[%lld]; /* %s */\n", e->real, c_name(e, e->mod->state.at[k].name), (long long)state_count(e, k),
                   name_str(e->m->ctx, e->mod->state.at[k].name));
    for (uint32_t k = 0; k < e->mod->state.n; k++)
        str_printf(&e->h, "    %s next_%s[%lld];\n", e->real, c_name(e, e->mod->state.at[k].name), (long long)state_count(e, k));
    int64_t size = e->m->f64 ? 8 : 4;
    str_printf(&e->h, "    %s work[%lld];\n} %s_state;\n\n", e->real, (long long)((work_bytes(e) + 64) / size), n);
    str_printf(&e->h, "void %s_init(%s_state *s); /* to the initial state */\n", n, n);
    str_printf(&e->h, "void %s_step(%s_state *s, %s); /* one step of one example */\n", n, n, parameters(e));
    for (uint32_t k = 0; k < e->mod->state.n; k++) {
        const char *name = arena_printf(&e->a, "start_%s", c_name(e, e->mod->state.at[k].name));
        if (!starts_at_zero(e, k) && !put_table(e, name, exec_input_data(e->exec, e->mod->state.at[k].input - 1, NULL), state_count(e, k)))
            return false;
    }
    str_printf(&e->c, "\nvoid %s_init(%s_state *s) {\n    memset(s, 0, sizeof *s);\n", n, n);
    for (uint32_t k = 0; k < e->mod->state.n; k++)
        if (!starts_at_zero(e, k))
            str_printf(&e->c, "    memcpy(s->%s, %s_start_%s, sizeof s->%s);\n", c_name(e, e->mod->state.at[k].name), n,
                       c_name(e, e->mod->state.at[k].name), c_name(e, e->mod->state.at[k].name));
    str_printf(&e->c, "}\n\nvoid %s_step(%s_state *s, %s) {\n    static const int64_t d[%d] = {", n, n, parameters(e), LDIM_COUNT);
    for (int k = 0; k < LDIM_COUNT; k++) str_printf(&e->c, "%s%lld", k ? ", " : "", (long long)e->dim[k]);
    str_put(&e->c, "};\n");
    put_call(e, "(char *)s->work");
    for (uint32_t k = 0; k < e->mod->state.n; k++)
        str_printf(&e->c, "    memcpy(s->%s, s->next_%s, sizeof s->%s);\n", c_name(e, e->mod->state.at[k].name),
                   c_name(e, e->mod->state.at[k].name), c_name(e, e->mod->state.at[k].name));
    str_put(&e->c, "}\n");
    return true;
}

/* ---- whole sequences ---------------------------------------------------------------------------------------------------- */

/* "int64_t steps_T, int64_t steps_S" for the axes that a run decides. */
static const char *axis_parameters(Emit *e, bool types) {
    Str s = str_make(&e->a);
    for (uint32_t k = 1; k < e->mod->naxis; k++)
        if (e->mod->axis[k].kind == AXIS_TIME)
            str_printf(&s, "%s%ssteps_%s", s.n ? ", " : "", types ? "int64_t " : "", c_name(e, e->mod->axis[k].name));
    return s.at ? s.at : types ? "void" : "";
}

static void put_dims(Emit *e) {
    str_printf(&e->c, "    int64_t d[%d] = {0};\n    d[0] = 1;\n    d[%d] = 1;\n", LDIM_COUNT, LDIM_NT);
    for (uint32_t k = 1; k < e->mod->naxis; k++) {
        const Axis *x = &e->mod->axis[k];
        switch ((AxisKind)x->kind) {
        case AXIS_TIME: str_printf(&e->c, "    d[%u] = steps_%s;\n", k, c_name(e, x->name)); break;
        case AXIS_COUNT: str_printf(&e->c, "    d[%u] = %d;\n", k, x->count); break;
        case AXIS_JOIN: str_printf(&e->c, "    d[%u] = d[%u] + d[%u];\n", k, x->a, x->b); break;
        case AXIS_BATCH:
        case AXIS_ELEM: break;
        }
    }
}

static bool put_sequences(Emit *e) {
    const char *n = e->name, *axes = axis_parameters(e, true), *comma = axis_parameters(e, false)[0] ? ", " : "";
    if (!comma[0]) axes = "";
    str_printf(&e->h, "/* Bytes of scratch memory for sequences of so many steps. */\nsize_t %s_workspace(%s);\n", n, comma[0] ? axes : "void");
    str_printf(&e->h, "/* One example: sequences are [steps][features], row-major. `work`: aligned to 8 bytes. */\nvoid %s_predict(%s%s%s, void *work);\n",
               n, axes, comma, parameters(e));
    str_printf(&e->c, "\nsize_t %s_workspace(%s) {\n    int64_t at[%u];\n", n, comma[0] ? axes : "void", e->p->nslot + 1);
    put_dims(e);
    str_printf(&e->c, "    return (size_t)%s_layout(d, at) + 64;\n}\n", n);
    str_printf(&e->c, "\nvoid %s_predict(%s%s%s, void *work_) {\n", n, axes, comma, parameters(e));
    put_dims(e);
    put_call(e, "work_");
    str_put(&e->c, "}\n");
    return true;
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

static void put_head(Emit *e) {
    const char *n = e->name;
    char *guard = arena_printf(&e->a, "%s_H", n);
    for (char *p = guard; *p; p++) *p = (char)toupper((unsigned char)*p);
    str_printf(&e->h, "/* %s: a recurrent network with its weights, written by Rondo " RONDO_VERSION ".\n", n);
    str_put(&e->h, "   This file and its .c belong to you; do with them what you like. C99, <math.h>, no allocation, no globals but constants. */\n");
    str_printf(&e->h, "#ifndef %s\n#define %s\n\n#include <stddef.h>\n#include <stdint.h>\n\n", guard, guard);
    str_put(&e->h, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    str_printf(&e->c, "/* %s, written by Rondo " RONDO_VERSION ". This file belongs to you. */\n#include \"%s.h\"\n\n", n, n);
}

/* The kernel alone: "prepare" has been run, its result is printed as constants. */
static bool put_kernel(Emit *e) {
    LProgram copy = *e->p;
    copy.fn.at = NEW_N(&e->a, LFunc *, copy.fn.n + 1);
    for (uint32_t i = 0; i < copy.fn.n; i++) {
        LFunc *f = NEW(&e->a, LFunc);
        *f = *e->p->fn.at[i];
        if (f->kind == LFUNC_ENTRY && i != (uint32_t)e->run) f->kind = LFUNC_HELPER; /* nobody calls it, so it is not printed */
        copy.fn.at[i] = f;
    }
    return emit_c_kernels(&e->c, &copy, &(CEmitOptions){arena_printf(&e->a, "%s_kernel", e->name), false, false});
}

static bool prepare(Emit *e) {
    Model *m = e->m;
    const Module *mod = model_module(m, e->stream ? MODULE_STEP : MODULE_PREDICT, false);
    ExecOptions o = m->opt.exec;
    o.engine = EXEC_LOOPS;
    o.f64 = m->f64;
    o.V = m->f64 ? 4 : 8;
    o.registers = 16;
    o.batch = o.steps = 1;
    o.threads = 1;
    o.pool = NULL;
    o.shadow = false;
    if (!mod) return false;
    Module *copy = module_copy(mod, &e->a);
    if (!e->stream) module_keep_roots(copy, 1u << ROOT_OUTPUT);
    e->exec = exec_make(m->ctx, copy, &o, NULL);
    if (!e->exec) return false;
    e->mod = exec_module(e->exec);
    e->p = exec_program(e->exec);
    for (uint32_t k = 0; k < e->mod->naxis; k++) e->axis[k] = e->mod->axis[k].kind == AXIS_COUNT ? e->mod->axis[k].count : 1;
    for (uint32_t k = 0; k < e->mod->naxis; k++)
        if (e->mod->axis[k].kind == AXIS_JOIN) e->axis[k] = e->axis[e->mod->axis[k].a] + e->axis[e->mod->axis[k].b];
    memcpy(e->dim, e->axis, sizeof e->axis);
    e->dim[LDIM_NT] = 1;
    for (uint32_t i = 0; i < e->p->fn.n; i++)
        if (e->p->fn.at[i]->kind == LFUNC_ENTRY && strcmp(name_str(m->ctx, e->p->fn.at[i]->name), "run") == 0) e->run = i;
    if (!exec_dims(e->exec, e->axis) || !exec_run(e->exec, m->theta, m->theta_version, NULL, 0, 0, NULL)) return false;
    return !e->stream || exec_set_starts(m, e->exec, NULL);
}

static bool emit_files(void *arg) {
    Emit *e = arg;
    Model *m = e->m;
    const Module *step = model_module(m, MODULE_STEP, false);
    if (!step) return false;
    e->stream = stream_obstacle(step) == NULL;
    e->name = c_name(e, m->desc->name);
    e->real = m->f64 ? "double" : "float";
    e->h = str_make(&e->a);
    e->c = str_make(&e->a);
    if (!prepare(e)) return false;
    put_head(e);
    if (!put_kernel(e) || !put_weights(e)) return false;
    put_layout(e);
    if (e->stream ? !put_stream(e) : !put_sequences(e)) return false;
    str_put(&e->h, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return file_write(m->ctx, arena_printf(&e->a, "%s/%s.h", e->dir, e->name), e->h.at, e->h.n) &&
           file_write(m->ctx, arena_printf(&e->a, "%s/%s.c", e->dir, e->name), e->c.at, e->c.n);
}

bool emit_c(Model *m, const char *dir) {
    Emit e = {.m = m, .dir = dir, .a = arena_make(m->ctx)};
    int got = guard_call(m->ctx, emit_files, &e);
    exec_destroy(e.exec);
    arena_free(&e.a);
    if (got < 0) ctx_out_of_memory(m->ctx);
    return got;
}
