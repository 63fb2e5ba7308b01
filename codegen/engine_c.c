/* engine_c: a program's C, compiled by the system's compiler into a shared object and opened. The files are gone afterwards. */
#include "codegen/image.h"
#include "base/port_cpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *default_cc(const LProgram *p) {
#if PORT_CPU_X86
    /* compilers tuned for Intel's processors split 512-bit vectors unless told not to */
    if (p->V * (p->f64 ? 8 : 4) == 64 && port_cpu_avx512())
        return "cc -std=c99 -O2 -march=native -mprefer-vector-width=512 -ffp-contract=off";
    return "cc -std=c99 -O2 -march=native -ffp-contract=off";
#else
    (void)p;
    return "cc -std=c99 -O2 -ffp-contract=off";
#endif
}

static void *open_object(Ctx *ctx, Arena *a, const LProgram *p, const char *so, KernelFn **kernel) {
    const char **symbol = NEW_N(a, const char *, p->fn.n + 1);
    for (uint32_t k = 0; k < p->fn.n; k++) symbol[k] = arena_printf(a, "k_%s", name_str(ctx, p->fn.at[k]->name));
    void *h = dlopen(so, RTLD_NOW | RTLD_LOCAL);
    if (!h) {
        diag_error(ctx, 804, (Span){0, 0}, "the compiled kernels cannot be opened: %s", dlerror());
        return NULL;
    }
    for (uint32_t k = 0; k < p->fn.n; k++) {
        if (p->fn.at[k]->kind != LFUNC_ENTRY) continue;
        void *at = dlsym(h, symbol[k]);
        if (at) {
            memcpy(&kernel[k], &at, sizeof at);
            continue;
        }
        diag_error(ctx, 999, (Span){0, 0}, "the compiled kernels lack %s", name_str(ctx, p->fn.at[k]->name));
        dlclose(h);
        return NULL;
    }
    return h;
}

static void *compile_in(Ctx *ctx, Arena *a, const LProgram *p, const EngineOptions *o, char *const name[3], KernelFn **kernel) {
    Str text = str_make(a);
    CEmitOptions options = {.prefix = "k", .exported = true, .env = true, .sleef = true, .longest = o ? o->longest : 0};
    const char *c = name[0], *so = name[1];
    emit_c_kernels(&text, p, &options);
    if (!file_write(ctx, c, text.at, text.n)) return NULL;
    const char *cc = o && o->cc ? o->cc : default_cc(p);
    const char *command = arena_printf(a, "%s -fPIC -shared -o %s %s -lm -l:libsleef.so.3", cc, shell_quote(a, so), shell_quote(a, c));
    void *h = shell_compile(ctx, a, command, name[2]) ? open_object(ctx, a, p, so, kernel) : NULL;
    return h;
}

void *engine_c_open(Ctx *ctx, Arena *a, const LProgram *p, const EngineOptions *o, KernelFn **kernel) {
    const char *tmp = getenv("TMPDIR");
    if (!tmp || !*tmp) tmp = "/tmp";
    char *dir = arena_printf(a, "%s/rondo-XXXXXX", tmp), *name[3];
    for (int k = 0; k < 3; k++) name[k] = arena_alloc(a, strlen(dir) + 8);
    if (!mkdtemp(dir)) {
        diag_error(ctx, 1, (Span){0, 0}, "a folder '%s' cannot be made: %s", dir, strerror(errno));
        return NULL;
    }
    static const char *const file[] = {"k.c", "k.so", "log"};
    for (int k = 0; k < 3; k++) snprintf(name[k], strlen(dir) + 8, "%s/%s", dir, file[k]);
    void *volatile h = NULL;
    CtxFrame frame;
    bool memory = CTX_TRY(ctx, &frame);
    if (memory) {
        h = compile_in(ctx, a, p, o, name, kernel);
        CTX_END(ctx);
    }
    for (int k = 0; k < 3; k++) unlink(name[k]);
    rmdir(dir);
    if (!memory) ctx_out_of_memory(ctx);
    return h;
}
