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

/* The place of a word in a list; -1, with a diagnostic: it is not there. */
static int choice(Model *m, const char *const *list, const char *what, const char *word) {
    Str known = str_make(ctx_arena(m->ctx));
    for (int k = 0; list[k]; k++) {
        if (strcmp(list[k], word) == 0) return k;
        str_printf(&known, "%s%s", !k ? "" : list[k + 1] ? ", " : " and ", list[k]);
    }
    diag_error(m->ctx, 850, NOWHERE, "'%.60s' is no %s; %s are", word, what, known.at);
    return -1;
}

bool emit_model(Model *m, const char *kind, const rondo_emit_options *o, const char *dir) {
    int k = choice(m, emit_kind_name, "kind of what is emitted", kind);
    int storage = o->weights ? choice(m, storage_name, "way to store weights", o->weights) : EMIT_F32;
    int layout = o->layout ? choice(m, layout_name, "layout", o->layout) : EMIT_FLAT;
    if (k < 0 || storage < 0 || layout < 0) return false;
    if (k && layout) return diag_error(m->ctx, 850, NOWHERE, "a layout is of C, not of '%s'", kind), false;
    if (!k && (o->target || o->cpu)) return diag_error(m->ctx, 850, NOWHERE, "C is the same for every target and processor"), false;
    if (o->simd != 0 && o->simd != 1 && o->simd != 4 && o->simd != 8 && o->simd != 16)
        return diag_error(m->ctx, 850, NOWHERE, "there are vectors of 1, 4, 8 and 16 lanes, not of %d", o->simd), false;
    if (o->window < 0 || o->window > 1 << 20)
        return diag_error(m->ctx, 850, NOWHERE, "a window has up to %d steps, not %lld", 1 << 20, (long long)o->window), false;
    EmitOptions x = {.kind = k, .target = o->target, .cpu = o->cpu, .train = o->train != 0, .test = o->test != 0, .freestanding = o->freestanding != 0,
                     .ragged = o->ragged != 0, .blob = o->blob != 0, .storage = (EmitStorage)storage, .layout = (EmitLayout)layout, .simd = o->simd,
                     .window = o->window, .delay = o->delay};
    return emit_c_model(m, &x, dir);
}
