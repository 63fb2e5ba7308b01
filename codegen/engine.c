/* engine: one way to call kernels, three ways to have them: LLVM (by way of the cache), the system's C compiler, the loop
   interpreter. */
#include "codegen/image.h"
#include "codegen/plugin.h"
#include "ir/pack.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

struct Engine {
    Ctx *ctx;
    const LProgram *p;
    EngineKind kind;
    bool shadow;
    EngineStats stats;
    KernelFn **kernel; /* by function; NULL for helpers */
    void *so;          /* C */
    LoadedImage image; /* JIT */
    JitDebug *debug;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The program, processor, versions. */
void engine_key(Arena *a, const LProgram *p, const EngineOptions *o, uint64_t key[2]) {
    Str s = str_make(a);
    lprogram_pack(&s, p);
    str_printf(&s, "\n%s %s", rondo_compiler_id, RONDO_LLVM_VERSION);
    str_printf(&s, "\ncpu %s\nfeatures %s\n", o->cpu ? o->cpu : "", o->features ? o->features : "");
    if (!o->cpu && !o->features) {
        uint32_t w[HOST_WORDS];
        host_words(w);
        str_putn(&s, (const char *)w, sizeof w);
    }
    key[0] = hash_words(0x526f6e646f, s.at, s.n);
    key[1] = hash_words(key[0] ^ 0x9e3779b97f4a7c15, s.at, s.n);
}

/* Whether the helpers (tiles) are worth a thread of their own. */
static bool has_many_helpers(const LProgram *p) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->fn.n; k++)
        if (p->fn.at[k]->kind == LFUNC_HELPER && !p->fn.at[k]->inline_hint) n += p->fn.at[k]->inst.n;
    return n > 200;
}

static const char *make_image(Engine *e, Arena *a, const EngineOptions *o, const uint64_t key[2], size_t *n) {
    const LlvmPlugin *llvm = llvm_plugin(e->ctx);
    if (!llvm) return NULL;
    Str object[2] = {str_make(a), str_make(a)}, image = str_make(a);
    LlvmJob job = {.kind = EMIT_OBJ, .cpu = o->cpu, .features = o->features, .prefix = "", .apart = has_many_helpers(e->p)};
    LlvmCounts counts = {0, 0};
    if (!llvm->compile(e->ctx, e->p, &job, object, &counts)) return NULL;
    if (!image_link(e->ctx, object, job.apart ? 2 : 1, key, &image)) return NULL;
    image_seal(image.at, counts.instructions, counts.instructions_shared);
    *n = image.n;
    return image.at;
}

static bool open_jit(Engine *e, Arena *a, const EngineOptions *o) {
    uint64_t key[2];
    size_t n = 0;
    if (o->key) memcpy(key, o->key, sizeof key);
    else engine_key(a, e->p, o, key);
    const char *folder = cache_folder(a, o->cache_dir);
    const char *image = folder ? cache_get(a, folder, key, &n) : NULL;
    e->stats.from_cache = image != NULL;
    if (!image) {
        image = make_image(e, a, o, key, &n);
        if (!image) return false;
        if (folder) cache_put(a, folder, key, image, n);
    }
    image_counts(image, &e->stats.llvm_instructions, &e->stats.llvm_instructions_shared);
    if (!image_load(e->ctx, image, &e->image)) return false;
    for (uint32_t k = 0; k < e->p->fn.n; k++) {
        if (e->p->fn.at[k]->kind != LFUNC_ENTRY) continue;
        const char *name = name_str(e->ctx, e->p->fn.at[k]->name);
        uint32_t at = image_find(image, name);
        if (at == UINT32_MAX) {
            diag_error(e->ctx, 999, (Span){0, 0}, "the machine code lacks %s", name);
            return false;
        }
        char *address = e->image.base + at;
        memcpy(&e->kernel[k], &address, sizeof address);
    }
    if (o->debug_symbols) e->debug = jit_debug_add(e->ctx, image, &e->image, name_str(e->ctx, e->p->name));
    return true;
}

static bool open_engine(Engine *e, Arena *a, const EngineOptions *o) {
    e->kernel = ctx_alloc(e->ctx, (e->p->fn.n + 1) * sizeof *e->kernel);
    switch (o->kind) {
    case ENGINE_JIT:
        return open_jit(e, a, o);
    case ENGINE_C:
        e->so = engine_c_open(e->ctx, a, e->p, o, e->kernel);
        return e->so != NULL;
    case ENGINE_LOOPS:
        return true;
    }
    return false;
}

Engine *engine_make(Ctx *ctx, const LProgram *p, const EngineOptions *o) {
    double start = now();
    Arena a = arena_make(ctx);
    CtxFrame frame;
    Engine *e = ctx_alloc(ctx, sizeof *e);
    volatile bool ok = false;
    e->ctx = ctx;
    e->p = p;
    e->kind = o->kind;
    e->shadow = o->shadow;
    bool memory = CTX_TRY(ctx, &frame);
    if (memory) {
        ok = open_engine(e, &a, o);
        CTX_END(ctx);
    }
    arena_free(&a);
    e->stats.seconds = now() - start;
    if (!ok) {
        engine_destroy(e);
        e = NULL;
    }
    if (!memory) ctx_out_of_memory(ctx);
    return e;
}

bool engine_call(Engine *e, uint32_t fn, void *const *buf, const int64_t *dim, const KEnv *env) {
    if (e->kernel[fn]) {
        e->kernel[fn](buf, dim, env);
        return true;
    }
    InterpOptions options = {.shadow = e->shadow};
    return lprogram_interp(e->p, fn, buf, dim, env, &options);
}

KernelFn *engine_kernel(Engine *e, uint32_t fn) { return e->kernel[fn]; }
EngineStats engine_stats(const Engine *e) { return e->stats; }

void engine_destroy(Engine *e) {
    if (!e) return;
    if (e->debug) jit_debug_remove(e->ctx, e->debug);
    if (e->so) dlclose(e->so);
    image_unload(&e->image);
    ctx_free(e->ctx, e->kernel);
    ctx_free(e->ctx, e);
}
