/* test_memory: a process that compiles again and again does not grow; where slots and blocks of memory begin.
   usage: test_memory [compilations]: with LLVM and without the cache. Run from the project's root. */
#include "runtime/internal.h"

#include <string.h>
#include <sys/resource.h>

enum { SIZES = 5, KIB_MAX = 6 << 10 };

static long alive;

static void *counted(void *arg, void *p, size_t n) {
    (void)arg;
    alive += n ? p == NULL : -(p != NULL);
    if (n) return realloc(p, n);
    free(p);
    return NULL;
}

static long peak_kib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Gradients, so that there is a loop back as well. */
static bool compile(Ctx *ctx, long i) {
    char text[300];
    int n = snprintf(text, sizeof text, "model m { input x: seq [2] target y: [1] h = lstm[%d](x) p = dense[1](h.last) output p loss mse(p, y) }",
                     (int)(2 + i % SIZES));
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_JIT, .cache_dir = ""}};
    Model *m = model_open_text(ctx, "memory.rondo", text, (size_t)n, &o);
    bool ok = m && model_exec(m, i % 2 ? MODULE_PREDICT : MODULE_TRAIN, false, false);
    Str s = str_make(ctx_arena(ctx));
    if (!ok) {
        diag_render(ctx, &s, false);
        printf("%s", s.at ? s.at : "");
    }
    model_close(m);
    return ok;
}

static bool compile_once(long i) {
    Ctx *ctx = ctx_make(&(Allocator){counted, NULL});
    CtxFrame frame;
    volatile bool ok = false;
    if (CTX_TRY(ctx, &frame)) {
        ok = compile(ctx, i);
        CTX_END(ctx);
    }
    ctx_destroy(ctx);
    return ok;
}

/* Packs begin at pages, sequences each some lines further into one; small slots follow one another. */
static bool slots_spread(void) {
    Ctx *ctx = ctx_make(NULL);
    LProgram *p = lprogram_make(ctx, ctx_arena(ctx), 0, false, 16);
    int64_t at[5], dim[LDIM_COUNT] = {0};
    for (uint32_t k = 0; k < 5; k++) {
        uint32_t b = lprogram_add_buf(p, "b", LB_SLAB, LE_F, 0, (LExtent){.term = {{.coef = k == 2 ? 10 : 5000 + (int64_t)k}}, .n = 1});
        p->buf.at[b].slot = k;
    }
    p->nslot = 5;
    int64_t bytes = program_bytes(p, LB_SLAB, dim, at);
    bool ok = at[0] == 0 && at[1] % 4096 == 448 && at[2] % 64 == 0 && at[3] % 4096 == 896 && at[4] % 4096 == 1344;
    for (uint32_t k = 0; k < 4; k++) ok = ok && at[k + 1] >= at[k] + 4 * (k == 2 ? 10 : 5000 + (int64_t)k);
    ok = ok && bytes >= at[4] + 4 * 5004;
    for (uint32_t k = 0; k < 5; k++) p->buf.at[k].role = LB_PACK;
    ok = ok && program_bytes(p, LB_PACK, dim, at) > 0 && at[1] % 4096 == 0 && at[3] % 4096 == 0;
    Block b = {0};
    ok = ok && block_reserve(ctx, &b, 5000) && (uintptr_t)b.at % 4096 == 0;
    ctx_free(ctx, b.raw);
    ctx_destroy(ctx);
    if (!ok) printf("slots do not begin where they should\n");
    return ok;
}

int main(int argc, char **argv) {
    if (!slots_spread()) return 1;
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 40, warm = n / 4 < 20 ? 20 : n / 4, start = 0, failed = 0;
    for (long i = 0; i < n && !failed; i++) {
        failed += !compile_once(i);
        if (i == warm) start = peak_kib();
    }
    long grown = peak_kib() - start;
#ifdef RONDO_SANITIZED
    grown = 0;
#endif
    printf("%ld compilations: %ld failed, %ld blocks lost, %ld KiB more than after %ld\n", n, failed, alive, grown, warm);
    return failed || alive || (n > warm && grown > KIB_MAX);
}
