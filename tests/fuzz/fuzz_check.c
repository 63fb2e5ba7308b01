/* fuzz_check: any bytes through the whole front end with the standard library of RONDO_FUZZ_STD (default: std). What loads is
   built with and without lengths and verified; what does not load says why, without an internal error. */
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(Ctx *ctx, Arena *a, Program *p) {
    static const BuildOptions options[] = {{.training = true}, {.external_states = true, .ragged = true}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        Module *m = frontend_model(p, a, &options[i]);
        if (!m || !module_verify(m, "frontend") || diag_error_count(ctx)) abort();
    }
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    const char *std = getenv("RONDO_FUZZ_STD");
    char *text = arena_strndup(a, (const char *)data, size);
    FrontendOptions o = {.std_dir = std ? std : "std", .text = text};
    Program *p = frontend_load(ctx, a, "fuzz.rondo", &o);
    if ((p == NULL) != (diag_error_count(ctx) > 0)) abort();
    for (uint32_t i = 0; i < diag_count(ctx); i++)
        if (diag_at(ctx, i)->code == 999) abort();
    Str out = str_make(a);
    diag_render(ctx, &out, true);
    if (p && frontend_desc(p)->name && frontend_desc(p)->theta_size < 1000000) build(ctx, a, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Ctx *ctx = ctx_make(NULL);
    if (!ctx) return 0;
    Arena a = arena_make(ctx);
    run(ctx, &a, data, size);
    arena_free(&a);
    ctx_destroy(ctx);
    return 0;
}
