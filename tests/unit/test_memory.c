/* test_memory: a process that compiles again and again does not grow.
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

int main(int argc, char **argv) {
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
