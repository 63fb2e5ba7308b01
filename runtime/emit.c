/* emit: a model with its weights as files. C stands on its own (emit_c.c); what LLVM writes are the forward kernels alone, with a
   header that says what each buffer is. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/emit_c.h"

static const char *const kind_name[] = {"obj", "asm", "llvm", "so"}; /* by EmitKind */
static const char *const kind_suffix[] = {"o", "s", "ll", "so"};

/* What a buffer is, and the end of its name after NAME_BUF_. NULL: nothing that a caller gives. */
static const char *buffer_meaning(CModel *c, const CProgram *p, const LBuf *b, const char **name) {
    const Graph *g = p->m->graph.at[0];
    switch ((LBufRole)b->role) {
    case LB_THETA: *name = "WEIGHTS"; return "the weights; read";
    case LB_GRAD: *name = "GRAD"; return "gradient of the weights; written";
    case LB_INPUT: {
        const Input *in = &p->m->input.at[b->index];
        const char *port = name_str(c->ctx, in->name);
        bool state = in->kind == INPUT_STATE;
        *name = arena_printf(c->a, "%s_%s", state ? "OLD" : "IN", c_ident(c->a, port, true));
        return arena_printf(c->a, "%s %s%s; read", state ? "state before the first step" : in->kind == INPUT_TARGET ? "target" : "input",
                            port, b->elem == LE_I32 ? ", int32" : "");
    }
    case LB_OUTPUT: {
        const Root *r = &g->root.at[b->index];
        bool final = r->kind == ROOT_FINAL;
        const char *port = name_str(c->ctx, final ? p->m->state.at[r->index].name : r->name);
        *name = arena_printf(c->a, "%s_%s", final ? "NEW" : "OUT", c_ident(c->a, port, true));
        return arena_printf(c->a, "%s %s; written", final ? "state after the last step" : "output", port);
    }
    case LB_EXAMPLE: *name = "EXAMPLE"; return "numbers of the examples [batch], int32; read";
    case LB_PACK: return "filled by prepare from the weights, read by run";
    case LB_SLAB: return "scratch of one call";
    case LB_LOCAL: return NULL;
    }
    return NULL;
}

static void put_sum(Str *s, const LMono *term, uint32_t n) {
    for (uint32_t t = 0; t < n; t++) {
        str_printf(s, "%s%lld", t ? " + " : "", (long long)term[t].coef);
        for (int k = 0; k < LDIM_COUNT; k++)
            if (term[t].dims >> k & 1) str_printf(s, " * dim[%d]", k);
    }
    if (!n) str_putc(s, '0');
}

static void put_extent(Str *s, const LExtent *e) {
    if (!e->most.coef) {
        put_sum(s, e->term, e->n);
        return;
    }
    put_sum(s, &e->most, 1);
    str_put(s, " < ");
    put_sum(s, e->term, e->n);
    str_put(s, " ? ");
    put_sum(s, &e->most, 1);
    str_put(s, " : ");
    put_sum(s, e->term, e->n);
}

static void put_buffers(CModel *c, const CProgram *p, Str *s) {
    Str sizes = str_make(c->a);
    str_printf(s, "\n/* Buffers by number. What is not named here is room that the kernels need; what says unused may be NULL. */\n");
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const char *name = NULL, *meaning = buffer_meaning(c, p, &p->p->buf.at[k], &name);
        if (!meaning) continue;
        if (name) str_printf(s, "#define %s_BUF_%s %u /* %s%s */\n", c->upper, name, k, meaning, p->used[k] ? "" : " (unused)");
        str_printf(&sizes, "    case %u: return ", k);
        put_extent(&sizes, &p->p->buf.at[k].extent);
        str_printf(&sizes, ";%s\n", name ? "" : arena_printf(c->a, " /* %s */", meaning));
    }
    str_printf(s, "#define %s_KERNEL_BUFFERS %u\n\n/* dim[0] is the batch", c->upper, p->p->buf.n);
    for (uint32_t k = 1; k < p->m->naxis; k++) str_printf(s, ", dim[%u] the steps of %s", k, name_str(c->ctx, p->m->axis[k].name));
    str_printf(s, ", dim[%d] the number of threads */\n#define %s_KERNEL_DIMS %d\n\n", LDIM_NT, c->upper, LDIM_COUNT);
    str_printf(s,
               "/* How many elements buffer k has: %s, or int32_t where it says so above. Align buffers to 64 bytes. */\n"
               "static inline int64_t %s_buffer_size(int k, const int64_t *dim)\n{\n    (void)dim;\n    switch (k) {\n%s"
               "    default: return 0;\n    }\n}\n",
               c->real, c->id, sizes.at);
}

static void put_kernel_header(CModel *c, const CProgram *p, Str *s) {
    str_printf(
        s,
        "/* %s_kernels.h: the forward kernels of the network `%s`. Arrays have time first, then examples, then features; %s.\n"
        "   Call prepare once for the weights (%s_weights.h has them), then run for every batch.\n"
        "   Written by Rondo %s. This file belongs to you: no licence of Rondo's is attached to it. */\n"
        "#ifndef %s_KERNELS_H\n#define %s_KERNELS_H\n#include <stdint.h>\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "/* for one thread: {0, 1, a function that does nothing, 0} */\ntypedef struct {\n    int64_t tid, nt;\n"
        "    void (*barrier)(void *arg);\n    void *arg;\n} %s_env;\n",
        c->id, name_str(c->ctx, c->m->desc->name), c->real, c->id, RONDO_VERSION, c->upper, c->upper, c->id);
    put_buffers(c, p, s);
    str_putc(s, '\n');
    for (uint32_t k = 0; k < p->p->fn.n; k++)
        if (p->p->fn.at[k]->kind == LFUNC_ENTRY)
            str_printf(s, "void %s_%s_%s(void *const *buf, const int64_t *dim, const %s_env *env);\n", c->id, p->name,
                       name_str(c->ctx, p->p->fn.at[k]->name), c->id);
    str_put(s, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

static void put_weights(CModel *c, Str *s) {
    int64_t n = model_theta_size(c->m);
    double *v = NEW_N(c->a, double, n + 1);
    for (int64_t i = 0; i < n; i++) v[i] = model_theta_get(c->m, i);
    str_printf(s, "/* %s_weights.h: the weights of the network `%s`. Written by Rondo %s; it belongs to you. */\n", c->id,
               name_str(c->ctx, c->m->desc->name), RONDO_VERSION);
    c_array(c, s, c->real, arena_printf(c->a, "%s_weights", c->id), v, n, false);
}

typedef struct {
    CModel *c;
    const char *target, *dir;
    EmitKind kind;
} Job;

static bool emit_kernels(void *arg) {
    const Job *j = arg;
    CModel *c = j->c;
    ExecOptions *o = model_exec_options(c->m);
    int V = o->V;
    HostInfo host = host_info();
    const Module *mod = model_module(c->m, MODULE_STEP, false);
    c->id = c_ident(c->a, name_str(c->ctx, c->m->desc->name), false);
    c->upper = c_ident(c->a, c->id, true);
    c->real = c->m->f64 ? "double" : "float";
    if (!mod) return false;
    if (!V && !j->target) o->V = c->m->f64 ? host.lanes_f64 : host.lanes_f32;
    Module *forward = module_copy(mod, c->a);
    module_keep_roots(forward, 1u << ROOT_OUTPUT | 1u << ROOT_FINAL);
    bool ok = cprogram_make(c, &c->infer, "kernel", forward, C_FORWARD);
    o->V = V;
    if (!ok) return false;
    if (mkdir(j->dir, 0777) != 0 && errno != EEXIST) {
        diag_error(c->ctx, 1, NOWHERE, "%s: %s", j->dir, strerror(errno));
        return false;
    }
    Str h = str_make(c->a), w = str_make(c->a);
    put_kernel_header(c, &c->infer, &h);
    put_weights(c, &w);
    EmitTarget t = {.triple = j->target};
    return emit_llvm_file(c->ctx, c->infer.p, j->kind, j->target ? &t : NULL, arena_printf(c->a, "%s_%s", c->id, c->infer.name),
                          arena_printf(c->a, "%s/%s.%s", j->dir, c->id, kind_suffix[j->kind])) &&
           file_write(c->ctx, arena_printf(c->a, "%s/%s_kernels.h", j->dir, c->id), h.at, h.n) &&
           file_write(c->ctx, arena_printf(c->a, "%s/%s_weights.h", j->dir, c->id), w.at, w.n);
}

bool emit_model(Model *m, const char *kind, const char *target, const char *dir) {
    if (strcmp(kind, "c") == 0) return emit_c_model(m, NULL, dir);
    for (size_t k = 0; k < sizeof kind_name / sizeof *kind_name; k++) {
        if (strcmp(kind, kind_name[k]) != 0) continue;
        Arena a = arena_make(m->ctx);
        CModel c = {.ctx = m->ctx, .m = m, .a = &a, .values = arena_make(m->ctx), .digits = arena_make(m->ctx)};
        int got = guard_call(m->ctx, emit_kernels, &(Job){&c, target, dir, (EmitKind)k});
        engine_destroy(c.engine);
        arena_free(&c.digits);
        arena_free(&c.values);
        arena_free(&a);
        if (got < 0) ctx_out_of_memory(m->ctx);
        return got > 0;
    }
    diag_error(m->ctx, 850, NOWHERE, "'%s' cannot be emitted; c, obj, so, asm and llvm can", kind);
    return false;
}
