/* fuzz: what the targets share. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

typedef struct {
    size_t largest;
    long alive;
} Count;

void fuzz_require(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static void *counted(void *arg, void *p, size_t n) {
    Count *c = arg;
    if (n == 0) {
        c->alive -= p != NULL;
        free(p);
        return NULL;
    }
    fuzz_require(n <= c->largest, "an absurd allocation");
    c->alive += p == NULL;
    return realloc(p, n);
}

void fuzz_run(void (*fn)(Ctx *ctx, Arena *a, const uint8_t *data, size_t size), const uint8_t *data, size_t size, size_t largest) {
    Count c = {largest, 0};
    Ctx *ctx = ctx_make(&(Allocator){counted, &c});
    fuzz_require(ctx != NULL, "no context");
    Arena a = arena_make(ctx);
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        fn(ctx, &a, data, size);
        CTX_END(ctx);
    } else fuzz_require_silence(ctx, false, "memory ran out");
    arena_free(&a);
    ctx_destroy(ctx);
    fuzz_require(c.alive == 0, "memory is lost");
}

void fuzz_require_silence(Ctx *ctx, bool ok, const char *what) {
    if (ok) return;
    for (uint32_t i = 0; i < diag_count(ctx); i++) fprintf(stderr, "E%04u %s\n", (unsigned)diag_at(ctx, i)->code, diag_at(ctx, i)->text);
    fuzz_require(false, what);
}

bool fuzz_has_code(const Ctx *ctx, uint16_t code) {
    bool found = false;
    for (uint32_t i = 0; i < diag_count(ctx); i++) found = found || diag_at(ctx, i)->code == code;
    return found;
}

void fuzz_render(Ctx *ctx, Arena *a) {
    Str out = str_make(a);
    diag_render(ctx, &out, true);
}

const char *fuzz_std(void) {
    const char *std = getenv("RONDO_FUZZ_STD");
    return std ? std : "std";
}
