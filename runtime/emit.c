/* emit: a model with its weights as files: machine code, assembly or LLVM's text of its kernel, or C (emit_c.c). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/emit.h"

static bool make_folder(Ctx *ctx, const char *dir) {
    struct stat st;
    if (mkdir(dir, 0777) == 0 || (errno == EEXIST && stat(dir, &st) == 0 && S_ISDIR(st.st_mode))) return true;
    diag_error(ctx, 1, NOWHERE, "%s: %s", dir, strerror(errno == EEXIST ? ENOTDIR : errno));
    return false;
}

/* Lanes and registers of a machine known only by its triple: the widest vectors that each of its kind has. */
static void target_width(const char *triple, bool f64, ExecOptions *o) {
    bool wide = strncmp(triple, "x86_64", 6) == 0, arm = strncmp(triple, "aarch64", 7) == 0;
    o->V = f64 ? 2 : 4;
    if (f64) o->V = 1;
    o->registers = arm ? 32 : 16;
    if (!wide && !arm) o->V = 1;
}

static bool emit_machine(Model *m, EmitKind kind, const char *ext, const char *target, const char *dir) {
    const Module *mod = model_module(m, MODULE_PREDICT, false);
    if (!mod) return false;
    ExecOptions o = m->opt.exec;
    o.engine = EXEC_LOOPS; /* only lowers */
    o.pool = m->pool;
    o.f64 = m->f64;
    if (target && !o.V) target_width(target, m->f64, &o);
    Exec *e = exec_make(m->ctx, mod, &o, NULL);
    if (!e) return false;
    const char *name = name_str(m->ctx, m->desc->name), *path = arena_printf(&m->result, "%s/%s.%s", dir, name, ext);
    EmitTarget t = {.triple = target};
    bool ok = emit_llvm_file(m->ctx, exec_program(e), kind, target ? &t : NULL, name, path);
    exec_destroy(e);
    return ok;
}

bool emit_model(Model *m, const char *kind, const char *target, const char *dir) {
    static const struct {
        const char *kind, *ext;
        EmitKind emit;
    } machine[] = {{"obj", "o", EMIT_OBJ}, {"so", "so", EMIT_SO}, {"asm", "s", EMIT_ASM}, {"llvm", "ll", EMIT_LLVM}};
    if (!make_folder(m->ctx, dir)) return false;
    if (strcmp(kind, "c") == 0) return emit_c(m, dir);
    for (size_t k = 0; k < sizeof machine / sizeof *machine; k++)
        if (strcmp(kind, machine[k].kind) == 0) return emit_machine(m, machine[k].emit, machine[k].ext, target, dir);
    diag_error(m->ctx, 850, NOWHERE, "'%s' cannot be emitted; c, obj, so, asm and llvm can", kind);
    return false;
}
