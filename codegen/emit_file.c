/* emit_file: kernels as an object, assembly, LLVM's text or a shared object. Files appear whole or not at all. */
#include "codegen/image.h"
#include "codegen/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CC, or for another machine the cross compiler that bears the triple's name. */
static const char *linker(Arena *a, const EmitTarget *t) {
    const char *cc = getenv("CC");
    if (cc && *cc) return cc;
    return t && t->triple ? arena_printf(a, "%s-gcc", t->triple) : "cc";
}

static bool link_shared(Ctx *ctx, Arena *a, const Str *object, const EmitTarget *t, const char *path) {
    const char *o = arena_printf(a, "%s.tmp.o", path), *so = arena_printf(a, "%s.tmp.so", path);
    const char *log = arena_printf(a, "%s.tmp.log", path);
    const char *command = arena_printf(a, "%s -shared -o %s %s %s -lm", linker(a, t), shell_quote(a, so), shell_quote(a, o),
                                       t && t->triple ? "" : "-lsleef");
    if (!file_write(ctx, o, object->at, object->n)) return false;
    bool ok = shell_compile(ctx, a, command, log);
    unlink(o);
    if (ok && rename(so, path) != 0) {
        diag_error(ctx, 1, (Span){0, 0}, "%s: %s", path, strerror(errno));
        ok = false;
    }
    if (!ok) unlink(so);
    return ok;
}

static bool emit(Ctx *ctx, Arena *a, const LProgram *p, EmitKind kind, const EmitTarget *t, const char *prefix, const char *path) {
    const LlvmPlugin *llvm = llvm_plugin(ctx);
    if (!llvm) return false;
    Str out = str_make(a);
    LlvmJob job = {.kind = kind == EMIT_SO ? EMIT_OBJ : kind, .prefix = prefix ? prefix : ""};
    LlvmCounts counts;
    if (t) {
        job.triple = t->triple;
        job.cpu = t->cpu;
        job.features = t->features;
    }
    if (!llvm->compile(ctx, p, &job, &out, &counts)) return false;
    return kind == EMIT_SO ? link_shared(ctx, a, &out, t, path) : file_write(ctx, path, out.at, out.n);
}

bool emit_llvm_file(Ctx *ctx, const LProgram *p, EmitKind kind, const EmitTarget *t, const char *prefix, const char *path) {
    Arena a = arena_make(ctx);
    CtxFrame frame;
    volatile bool ok = false;
    bool memory = CTX_TRY(ctx, &frame);
    if (memory) {
        ok = emit(ctx, &a, p, kind, t, prefix, path);
        CTX_END(ctx);
    }
    arena_free(&a);
    if (!memory) ctx_out_of_memory(ctx);
    return ok;
}
