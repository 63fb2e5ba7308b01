/* emit: what stands for NAME.c where the C has been compiled: an object, a shared object, assembly or LLVM's text, with the same header. */
#include <string.h>

#include "runtime/emit_c.h"

const char *const emit_kind_name[] = {"c", "obj", "asm", "llvm", "so", NULL};
static const char *const suffix[] = {"c", "o", "s", "ll", "so"};

const char *emit_source_name(CModel *c) { return arena_printf(c->a, "%s.%s", c->id, suffix[c->o->kind]); }

bool emit_compile(CModel *c, Str *out) {
    const EmitSource s = {c->id, c->c.at, c->h.at};
    return clang_compile(c->ctx, &s, (EmitKind)(c->o->kind - 1), &(EmitTarget){.triple = c->o->target, .cpu = c->o->cpu}, out);
}

bool emit_model(Model *m, const char *kind, const char *target, const char *dir) {
    for (int k = 0; emit_kind_name[k]; k++)
        if (strcmp(kind, emit_kind_name[k]) == 0) return emit_c_model(m, &(EmitOptions){.kind = k, .target = target}, dir);
    diag_error(m->ctx, 850, NOWHERE, "'%s' cannot be emitted; c, obj, so, asm and llvm can", kind);
    return false;
}
