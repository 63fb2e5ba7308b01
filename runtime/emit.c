/* emit: a model with its weights as files. C stands on its own (emit_c.c); what LLVM writes are the forward kernels alone, with a
   header that says what each buffer is. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/emit_c.h"

static const char *const kind_name[] = {"obj", "asm", "llvm", "so"}; /* by EmitKind */
static const char *const kind_suffix[] = {"o", "s", "ll", "so"};

static const char *buffer_meaning(CModel *c, const CProgram *p, const LBuf *b) {
    const Graph *g = p->m->graph.at[0];
    switch ((LBufRole)b->role) {
    case LB_THETA: return "weights, in the order of the model's parameters; read";
    case LB_GRAD: return "gradient of the weights; written";
    case LB_INPUT: return arena_printf(c->a, "input %s; read", name_str(c->ctx, p->m->input.at[b->index].name));
    case LB_OUTPUT: {
        const Root *r = &g->root.at[b->index];
        bool final = r->kind == ROOT_FINAL;
        return arena_printf(c->a, "%s %s; written", final ? "final state" : "output",
                            name_str(c->ctx, final ? p->m->state.at[r->index].name : r->name));
    }
    case LB_EXAMPLE: return "numbers of the examples [batch], int32; read";
    case LB_PACK: return "filled by prepare from the weights, read by run";
    case LB_SLAB: return "scratch of one call";
    case LB_LOCAL: return NULL;
    }
    return NULL;
}

static void put_extent(Str *s, const LExtent *e) {
    for (uint32_t t = 0; t < e->n; t++) {
        str_printf(s, "%s%lld", t ? " + " : "", (long long)e->term[t].coef);
        for (int k = 0; k < LDIM_COUNT; k++)
            if (e->term[t].dims >> k & 1) str_printf(s, " * dim[%d]", k);
    }
    if (!e->n) str_putc(s, '0');
}

static void put_kernel_header(CModel *c, const CProgram *p, Str *s) {
    str_printf(
        s,
        "/* %s_kernels.h: the forward kernels of the network `%s`. Arrays have time first, then examples, then features; %s.\n"
        "   Written by Rondo %s. This file belongs to you: no licence of Rondo's is attached to it. */\n"
        "#ifndef %s_KERNELS_H\n#define %s_KERNELS_H\n#include <stdint.h>\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "/* one thread: {0, 1, a function that does nothing, 0} */\ntypedef struct {\n    int64_t tid, nt;\n"
        "    void (*barrier)(void *arg);\n    void *arg;\n} %s_env;\n\n/* buf: number of elements and meaning\n",
        c->id, name_str(c->ctx, c->m->desc->name), c->real, RONDO_VERSION, c->upper, c->upper, c->id);
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const char *meaning = buffer_meaning(c, p, &p->p->buf.at[k]);
        if (!meaning) continue;
        str_printf(s, "   %u: ", k);
        put_extent(s, &p->p->buf.at[k].extent);
        str_printf(s, ": %s\n", meaning);
    }
    str_put(s, "   dim: 0 batch");
    for (uint32_t k = 1; k < p->m->naxis; k++) str_printf(s, ", %u steps of %s", k, name_str(c->ctx, p->m->axis[k].name));
    str_printf(s, "; %d number of threads; %d in all */\n#define %s_KERNEL_BUFFERS %u\n", LDIM_NT, LDIM_COUNT, c->upper,
               p->p->buf.n);
    for (uint32_t k = 0; k < p->p->fn.n; k++)
        if (p->p->fn.at[k]->kind == LFUNC_ENTRY)
            str_printf(s, "void %s_%s(void *const *buf, const int64_t *dim, const %s_env *env);\n", p->prefix,
                       name_str(c->ctx, p->p->fn.at[k]->name), c->id);
    str_put(s, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
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
    bool ok = cprogram_make(c, &c->infer, "kernel", mod, false);
    o->V = V;
    if (!ok) return false;
    if (mkdir(j->dir, 0777) != 0 && errno != EEXIST) {
        diag_error(c->ctx, 1, NOWHERE, "%s: %s", j->dir, strerror(errno));
        return false;
    }
    Str h = str_make(c->a);
    put_kernel_header(c, &c->infer, &h);
    EmitTarget t = {.triple = j->target};
    return emit_llvm_file(c->ctx, c->infer.p, j->kind, j->target ? &t : NULL, c->infer.prefix,
                          arena_printf(c->a, "%s/%s.%s", j->dir, c->id, kind_suffix[j->kind])) &&
           file_write(c->ctx, arena_printf(c->a, "%s/%s_kernels.h", j->dir, c->id), h.at, h.n);
}

bool emit_model(Model *m, const char *kind, const char *target, const char *dir) {
    if (strcmp(kind, "c") == 0) return emit_c_model(m, NULL, dir);
    for (size_t k = 0; k < sizeof kind_name / sizeof *kind_name; k++) {
        if (strcmp(kind, kind_name[k]) != 0) continue;
        Arena a = arena_make(m->ctx);
        CModel c = {.ctx = m->ctx, .m = m, .a = &a};
        int got = guard_call(m->ctx, emit_kernels, &(Job){&c, target, dir, (EmitKind)k});
        arena_free(&a);
        if (got < 0) ctx_out_of_memory(m->ctx);
        return got > 0;
    }
    diag_error(m->ctx, 850, NOWHERE, "'%s' cannot be emitted; c, obj, so, asm and llvm can", kind);
    return false;
}
