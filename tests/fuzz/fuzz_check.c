/* fuzz_check: any bytes through the whole front end with the standard library of RONDO_FUZZ_STD (default: std). What loads is
   built with and without lengths, goes through the passes, and is printed; what does not load says why, without an internal
   error. */
#include <string.h>

#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/fuzz/fuzz.h"

static void build(Ctx *ctx, Arena *a, Program *p) {
    static const BuildOptions options[] = {{.training = true}, {.external_states = true, .ragged = true}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        Module *m = frontend_model(p, a, &options[i]);
        fuzz_require_silence(ctx, m && module_verify(m, "frontend") && !diag_error_count(ctx), "a checked model cannot be built");
        bool ok = passes_run(m, &(PassOptions){.grad = options[i].training && frontend_desc(p)->loss.n});
        if (ok) fuzz_require_silence(ctx, module_verify(m, "passes"), "the passes leave a wrong module");
        /* A model may be out of autodiff's reach (790); nothing else. */
        else fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error in the passes");
        diag_clear(ctx);
    }
}

static void run(Ctx *ctx, Arena *a, const uint8_t *data, size_t size) {
    if (memchr(data, 0, size)) return; /* the text is a string */
    FrontendOptions o = {.std_dir = fuzz_std(), .text = arena_strndup(a, (const char *)data, size)};
    Program *p = frontend_load(ctx, a, "fuzz.rondo", &o);
    fuzz_require((p == NULL) == (diag_error_count(ctx) > 0), "errors and result disagree");
    fuzz_require_silence(ctx, !fuzz_has_code(ctx, 999), "an internal error");
    fuzz_render(ctx, a);
    if (p && frontend_desc(p)->name) build(ctx, a, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(run, data, size, 256 << 20);
    return 0;
}
