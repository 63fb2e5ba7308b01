/* emit_file: C compiled by clang into an object, assembly, LLVM's text or a shared object, for any machine that LLVM knows, and what
   LLVM makes of kernels. */
#include "base/port_cpu.h"
#include "codegen/image.h"
#include "codegen/plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool llvm_kernels(Ctx *ctx, const LProgram *p, EmitKind kind, const EmitTarget *t, const char *prefix, Str *out) {
    const LlvmPlugin *llvm = llvm_plugin(ctx);
    LlvmJob job = {.kind = kind, .prefix = prefix, .triple = t->triple, .cpu = t->cpu, .features = t->features};
    LlvmCounts counts;
    return llvm && llvm->compile(ctx, p, &job, out, &counts);
}

/* ---- clang ------------------------------------------------------------------------------------------------------------- */

/* The compiler of the LLVM that the JIT has, or another one. */
static const char *find_clang(Ctx *ctx, Arena *a) {
    static const char *const name[] = {"clang-19", "clang"};
    const char *path = getenv("PATH");
    for (size_t k = 0; path && k < sizeof name / sizeof *name; k++)
        for (const char *at = path, *end; *at; at = *end ? end + 1 : end) {
            end = at + strcspn(at, ":");
            if (access(arena_printf(a, "%.*s/%s", (int)(end - at), at, name[k]), X_OK) == 0) return name[k];
        }
    diag_error(ctx, 853, (Span){0, 0}, "there is no clang here");
    return NULL;
}

/* Headers that stand for the machine's own, which need not be here. */
static const char *math_h(Arena *a) {
    Str s = str_make(a);
    str_put(&s, "#define NAN __builtin_nanf(\"\")\n#define INFINITY __builtin_inff()\n"
                "#if defined(__riscv_flen) || defined(__powerpc64__) || defined(__s390x__)\n#define FP_FAST_FMA\n#define FP_FAST_FMAF\n#endif\n");
    static const char *const more[] = {"fabs", "sqrt", "floor"};
    for (size_t k = 0; k < LFN_COUNT + sizeof more / sizeof *more; k++) {
        const char *name = k < LFN_COUNT ? lfn_info[k].cname : more[k - LFN_COUNT];
        bool two = k < LFN_COUNT && lfn_info[k].args == 2;
        str_printf(&s, two ? "double %s(double, double);\nfloat %sf(float, float);\n" : "double %s(double);\nfloat %sf(float);\n", name, name);
    }
    str_put(&s, "double fma(double, double, double);\nfloat fmaf(float, float, float);\n");
    return s.at;
}

static const char string_h[] = "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\n";

enum { SOURCE, HEADER, MATH, STRING, OBJECT, SHARED, LOG, FILES };

typedef struct {
    Ctx *ctx;
    Arena *a;
    const EmitSource *s;
    EmitKind kind;
    const EmitTarget *t;
    const char *dir, *file[FILES];
} Compile;

/* CC, or for another machine the cross compiler that bears the triple's name. */
static const char *linker(const Compile *x) {
    const char *cc = getenv("CC");
    if (cc && *cc) return cc;
    return x->t->triple ? arena_printf(x->a, "%s-gcc", x->t->triple) : "cc";
}

/* Processors are -march's on some machines, where -mcpu is another thing or none, and -mcpu's on the others. */
static const char *machine(const Compile *x) {
    static const char *const by_march[] = {"x86_64", "i386", "i486", "i586", "i686", "s390x", "systemz", "loongarch", "mips"};
    const char *triple = x->t->triple, *cpu = x->t->cpu ? x->t->cpu : triple ? NULL : "native";
    const char *option = !triple && PORT_CPU_X86 ? "-march=" : "-mcpu=", *target = triple ? arena_printf(x->a, "--target=%s", shell_quote(x->a, triple)) : "";
    for (size_t k = 0; triple && k < sizeof by_march / sizeof *by_march; k++)
        if (strncmp(triple, by_march[k], strlen(by_march[k])) == 0) option = "-march=";
    /* bare-metal compilers have small enums, and their linkers warn where objects differ */
    bool bare_arm = triple && (!strncmp(triple, "arm", 3) || !strncmp(triple, "thumb", 5)) && strstr(triple, "-none-");
    return arena_printf(x->a, "%s%s %s%s", target, bare_arm ? " -fshort-enums" : "", cpu ? option : "", cpu ? shell_quote(x->a, cpu) : "");
}

static const char *compiler(const Compile *x, const char *clang) {
    static const char *const what[] = {"-c", "-S", "-S -emit-llvm", "-c"}; /* by EmitKind */
    bool moves = !x->t->triple || strstr(x->t->triple, "linux"); /* where programs have no fixed place */
    return arena_printf(x->a, "%s %s -std=c99 -O2 -ffp-contract=off -fno-math-errno -fno-addrsig %s -nostdlibinc -isystem %s %s -o %s %s", clang,
                        machine(x), x->kind == EMIT_SO ? "-fPIC" : moves ? "-fPIE" : "", shell_quote(x->a, x->dir), what[x->kind],
                        shell_quote(x->a, x->file[OBJECT]), shell_quote(x->a, x->file[SOURCE]));
}

static bool compile_in(const Compile *x, const char *clang, Str *out) {
    const char *math = math_h(x->a), *log = x->file[LOG], *made = x->file[x->kind == EMIT_SO ? SHARED : OBJECT];
    char *at;
    size_t n;
    bool ok = file_write(x->ctx, x->file[SOURCE], x->s->c, strlen(x->s->c)) && file_write(x->ctx, x->file[HEADER], x->s->h, strlen(x->s->h)) &&
              file_write(x->ctx, x->file[MATH], math, strlen(math)) && file_write(x->ctx, x->file[STRING], string_h, strlen(string_h)) &&
              shell_compile(x->ctx, x->a, compiler(x, clang), log);
    if (ok && x->kind == EMIT_SO)
        ok = shell_compile(x->ctx, x->a,
                           arena_printf(x->a, "%s -shared -Wl,-soname,%s.so -o %s %s -lm", linker(x), x->s->name, shell_quote(x->a, made), shell_quote(x->a, x->file[OBJECT])), log);
    ok = ok && file_read(x->ctx, x->a, made, &at, &n);
    if (ok) str_putn(out, at, n);
    return ok;
}

static bool make_folder(Compile *x) {
    const char *tmp = getenv("TMPDIR");
    char *dir = arena_printf(x->a, "%s/rondo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        diag_error(x->ctx, 1, (Span){0, 0}, "a folder '%s' cannot be made: %s", dir, strerror(errno));
        return false;
    }
    const char *const file[FILES] = {arena_printf(x->a, "%s.c", x->s->name), arena_printf(x->a, "%s.h", x->s->name), "math.h", "string.h", "object", "shared", "log"};
    for (int k = 0; k < FILES; k++) x->file[k] = arena_printf(x->a, "%s/%s", dir, file[k]);
    x->dir = dir;
    return true;
}

bool clang_compile(Ctx *ctx, const EmitSource *s, EmitKind kind, const EmitTarget *t, Str *out) {
    Arena a = arena_make(ctx);
    Compile x = {.ctx = ctx, .a = &a, .s = s, .kind = kind, .t = t};
    CtxFrame frame;
    volatile bool ok = false;
    bool memory = CTX_TRY(ctx, &frame);
    if (memory) {
        const char *clang = find_clang(ctx, &a);
        ok = clang && make_folder(&x) && compile_in(&x, clang, out);
        CTX_END(ctx);
    }
    for (int k = 0; x.dir && k < FILES; k++) unlink(x.file[k]);
    if (x.dir) rmdir(x.dir);
    arena_free(&a);
    if (!memory) ctx_out_of_memory(ctx);
    return ok;
}
