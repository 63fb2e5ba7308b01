/* llvm_plugin: librondo_llvm.so. Emits the module, runs a fixed pipeline, writes an object, assembly or LLVM's own text.
   Loop strength reduction is off and nothing is unrolled: lowering has done both. Off, too, is what costs time and changes no
   measured kernel: scheduling after register allocation, and moving integer registers to masks (docs/performance.md). */
#include "codegen/llvm_emit.h"
#include "ir/pack.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* loop-mssa() around licm is a must: without it LLVM aborts. */
static const char pipeline[] = "always-inline,function(early-cse,loop-mssa(licm),instsimplify)";

/* ---- LLVM's fatal errors --------------------------------------------------------------------------------------------- */

typedef struct {
    jmp_buf at;
    char text[256];
    bool armed;
} Fatal;

static _Thread_local Fatal fatal;

/* LLVM ends the process when this returns. What it had allocated is lost; the process goes on. */
static void on_fatal(const char *reason) {
    snprintf(fatal.text, sizeof fatal.text, "%s", reason);
    if (fatal.armed) longjmp(fatal.at, 1);
}

static void start_llvm(void) {
    static const char *const args[] = {"rondo", "-disable-lsr", "-disable-post-ra",
#ifdef __x86_64__
                                       "-disable-x86-domain-reassignment",
#endif
    };
    LLVMInstallFatalErrorHandler(on_fatal);
    LLVMParseCommandLineOptions(sizeof args / sizeof *args, args, NULL);
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

static void start_targets(void) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
}

/* ---- one compilation --------------------------------------------------------------------------------------------------- */

/* What becomes one object. Everything that one thread needs is its own, from the module on, so that two can work at the same time: what
   one allocates and another frees has them wait for each other in malloc. */
typedef struct {
    LlvmFunc C;
    LLVMTargetMachineRef tm;
    const char *triple;
    LLVMMemoryBufferRef buffer;
    LlvmCounts counts;
    LLVMCodeGenFileType type;
    char *message; /* LLVM's */
    char text[256];
    bool failed, no_memory; /* no_memory: ours */
} Part;

typedef struct {
    Ctx *ctx;
    const LlvmJob *job;
    Str *out;
    LlvmCounts *counts;
    char *triple, *cpu, *features; /* LLVM's strings */
    LLVMTargetRef target;
    Part part[2];
    int parts;
    pthread_t worker;
    bool working;
} Compile;

static bool fail(Compile *x, const char *what, char *message) {
    diag_error(x->ctx, 802, (Span){0, 0}, "LLVM: %s%s%s", what, message ? ": " : "", message ? message : "");
    if (message) LLVMDisposeMessage(message);
    return false;
}

static bool has_feature(const char *features, const char *name) {
    size_t n = strlen(name);
    for (const char *s = features; (s = strstr(s, name)) != NULL; s += n)
        if (s > features && s[-1] == '+' && (s[n] == ',' || !s[n])) return true;
    return false;
}

static bool make_target(Compile *x) {
    const LlvmJob *j = x->job;
    bool host = !j->triple;
    char *host_triple = LLVMGetDefaultTargetTriple();
    x->triple = LLVMNormalizeTargetTriple(host ? host_triple : j->triple);
    LLVMDisposeMessage(host_triple);
    x->cpu = j->cpu || !host ? LLVMCreateMessage(j->cpu ? j->cpu : "") : LLVMGetHostCPUName();
    x->features = j->features || j->cpu || !host ? LLVMCreateMessage(j->features ? j->features : "") : LLVMGetHostCPUFeatures();
    char *message = NULL;
    if (LLVMGetTargetFromTriple(x->triple, &x->target, &message)) return fail(x, "no such target", message);
    for (int k = 0; k < x->parts; k++) {
        x->part[k].tm = LLVMCreateTargetMachine(x->target, x->triple, x->cpu, x->features, LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                                LLVMCodeModelSmall);
        if (!x->part[k].tm) return fail(x, "no code generator for the target", NULL);
        x->part[k].triple = x->triple;
    }
    return true;
}

/* Whether the target has a fused multiply-add, found by compiling one: what a CPU's name stands for LLVM alone knows. */
static bool probe_fma(const Part *x) {
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef mod = LLVMModuleCreateWithNameInContext("probe", ctx);
    LLVMBuilderRef B = LLVMCreateBuilderInContext(ctx);
    LLVMTypeRef t = x->C.p->f64 ? LLVMDoubleTypeInContext(ctx) : LLVMFloatTypeInContext(ctx), three[3] = {t, t, t};
    LLVMValueRef fn = LLVMAddFunction(mod, "probe", LLVMFunctionType(t, three, 3, 0)), arg[3];
    LLVMGetParams(fn, arg);
    LLVMPositionBuilderAtEnd(B, LLVMAppendBasicBlockInContext(ctx, fn, ""));
    unsigned id = LLVMLookupIntrinsicID("llvm.fma", 8);
    LLVMValueRef fma = LLVMGetIntrinsicDeclaration(mod, id, &t, 1);
    LLVMBuildRet(B, LLVMBuildCall2(B, LLVMIntrinsicGetType(ctx, id, &t, 1), fma, arg, 3, ""));
    LLVMDisposeBuilder(B);
    char *message = NULL;
    LLVMMemoryBufferRef text = NULL;
    bool fused = false;
    if (LLVMTargetMachineEmitToMemoryBuffer(x->tm, mod, LLVMAssemblyFile, &message, &text))
        LLVMDisposeMessage(message);
    else {
        Str s = str_make(x->C.arena);
        str_putn(&s, LLVMGetBufferStart(text), LLVMGetBufferSize(text));
        fused = !strstr(s.at, x->C.p->f64 ? "fma\n" : "fmaf") && !strstr(s.at, "fma@") && !strstr(s.at, "fma(");
        LLVMDisposeMemoryBuffer(text);
    }
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    return fused;
}

/* What the code may use. SLEEF only where its ABI is known: x86-64, whose vector registers decide the width of a call. */
static void describe_target(Compile *x) {
    bool x86 = strncmp(x->triple, "x86_64", 6) == 0, named = x->job->cpu || x->job->triple;
    LlvmFunc *C = &x->part[0].C;
    C->cpu = x->cpu;
    C->features = x->features;
    C->vector_bits = has_feature(x->features, "avx512f") ? 512 : has_feature(x->features, "avx2") ? 256 : 128;
    C->sleef = x86 && !x->job->triple;
    C->fma = x86 && !named ? has_feature(x->features, "fma") : probe_fma(&x->part[0]);
    C->longest = true;
    C->others = x->parts == 1;
    x->part[1].C = *C;
    x->part[1].C.longest = false;
    x->part[1].C.others = true;
}

static uint32_t count(LLVMValueRef fn) {
    uint32_t n = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) n++;
    return n;
}

static bool is_piece(const LlvmFunc *C, LLVMValueRef f) {
    for (uint32_t k = 0; k < C->piece.n; k++)
        if (C->piece.at[k].fn == f) return true;
    return false;
}

static void count_all(Part *x) {
    for (LLVMValueRef f = LLVMGetFirstFunction(x->C.mod); f; f = LLVMGetNextFunction(f)) {
        if (!is_piece(&x->C, f) && (LLVMGetLinkage(f) == LLVMInternalLinkage || LLVMGetVisibility(f) == LLVMHiddenVisibility))
            x->counts.instructions_shared += count(f);
        else
            x->counts.instructions += count(f);
    }
}

static bool run_passes(Part *x) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(x->C.mod, pipeline, x->tm, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    char *text = LLVMGetErrorMessage(error);
    snprintf(x->text, sizeof x->text, "%s", text);
    LLVMDisposeErrorMessage(text);
    return false;
}

static bool make_module(Part *x) {
    x->C.ctx = LLVMContextCreate();
    llvm_emit_module(&x->C);
    LLVMSetTarget(x->C.mod, x->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(x->tm);
    LLVMSetModuleDataLayout(x->C.mod, layout);
    LLVMDisposeTargetData(layout);
    if (LLVMVerifyModule(x->C.mod, LLVMReturnStatusAction, &x->message)) {
        snprintf(x->text, sizeof x->text, "the module is invalid");
        return false;
    }
    LLVMDisposeMessage(x->message);
    x->message = NULL;
    return true;
}

/* From the program to an object or to assembly. */
static void generate(Part *x, EmitKind kind) {
    x->failed = !make_module(x) || !run_passes(x);
    if (x->failed) return;
    count_all(x);
    if (kind == EMIT_LLVM) return;
    x->type = kind == EMIT_ASM ? LLVMAssemblyFile : LLVMObjectFile;
    if (kind == EMIT_ASM) LLVMSetTargetMachineAsmVerbosity(x->tm, 1);
    x->failed = LLVMTargetMachineEmitToMemoryBuffer(x->tm, x->C.mod, x->type, &x->message, &x->buffer);
}

static void dispose(Part *x) {
    if (x->C.mod) LLVMDisposeModule(x->C.mod);
    if (x->C.ctx) LLVMContextDispose(x->C.ctx);
    x->C.mod = NULL;
    x->C.ctx = NULL;
}

/* The second object, in memory of its own: the caller's context is the first one's. */
static void generate_second(Part *x) {
    Ctx *ctx = ctx_make(NULL);
    CtxFrame frame;
    x->no_memory = true;
    if (!ctx) return;
    x->C.arena = ctx_arena(ctx);
    if (CTX_TRY(ctx, &frame)) {
        generate(x, EMIT_OBJ);
        CTX_END(ctx);
        x->no_memory = false;
    }
    dispose(x);
    ctx_destroy(ctx);
}

/* The same on a thread of its own, under LLVM's fatal errors there. */
static void *generate_apart(void *arg) {
    Part *x = arg;
    if (setjmp(fatal.at) == 0) {
        fatal.armed = true;
        generate_second(x);
    } else {
        x->failed = true;
        x->no_memory = false;
        snprintf(x->text, sizeof x->text, "%s", fatal.text);
    }
    fatal.armed = false;
    return NULL;
}

static void join(Compile *x) {
    if (x->working) pthread_join(x->worker, NULL);
    x->working = false;
}

static bool write_out(Compile *x, int k) {
    Part *p = &x->part[k];
    if (p->failed) {
        char *message = p->message;
        p->message = NULL;
        return fail(x, p->text[0] ? p->text : "no code was made", message);
    }
    x->counts->instructions += p->counts.instructions;
    x->counts->instructions_shared += p->counts.instructions_shared;
    if (p->buffer) {
        str_putn(&x->out[k], LLVMGetBufferStart(p->buffer), LLVMGetBufferSize(p->buffer));
        return true;
    }
    char *text = LLVMPrintModuleToString(p->C.mod);
    str_put(&x->out[k], text);
    LLVMDisposeMessage(text);
    return true;
}

static bool compile_steps(Compile *x) {
    if (!make_target(x)) return false;
    describe_target(x);
    memset(x->counts, 0, sizeof *x->counts);
    if (x->parts > 1) x->working = pthread_create(&x->worker, NULL, generate_apart, &x->part[1]) == 0;
    generate(&x->part[0], x->job->kind);
    if (x->parts > 1 && !x->working) generate_second(&x->part[1]);
    join(x);
    if (x->part[1].no_memory) ctx_out_of_memory(x->ctx);
    for (int k = 0; k < x->parts; k++)
        if (!write_out(x, k)) return false;
    return true;
}

static void release(Compile *x) {
    join(x);
    for (int k = 0; k < x->parts; k++) {
        Part *p = &x->part[k];
        if (p->message) LLVMDisposeMessage(p->message);
        if (p->buffer) LLVMDisposeMemoryBuffer(p->buffer);
        dispose(p);
        if (p->tm) LLVMDisposeTargetMachine(p->tm);
    }
    if (x->triple) LLVMDisposeMessage(x->triple);
    if (x->cpu) LLVMDisposeMessage(x->cpu);
    if (x->features) LLVMDisposeMessage(x->features);
}

static pthread_once_t started = PTHREAD_ONCE_INIT, all_targets = PTHREAD_ONCE_INIT;

static bool fail_fatally(Compile *x) {
    join(x);
    diag_error(x->ctx, 802, (Span){0, 0}, "LLVM: %s", fatal.text);
    return false;
}

/* The steps, under LLVM's fatal errors: then what they had made is lost. No local is changed between setjmp and a longjmp. */
static bool compile_guarded(Compile *x) {
    if (setjmp(fatal.at) != 0) return fail_fatally(x);
    fatal.armed = true;
    bool ok = compile_steps(x);
    release(x);
    return ok;
}

/* The same, under want of memory, after which there is something left to release. */
static bool compile_whole(Compile *x, bool *memory) {
    CtxFrame frame;
    *memory = CTX_TRY(x->ctx, &frame);
    if (!*memory) return false;
    bool ok = compile_guarded(x);
    CTX_END(x->ctx);
    return ok;
}

static bool compile(Ctx *ctx, const LProgram *p, const LlvmJob *job, Str *out, LlvmCounts *counts) {
    Compile x = {.ctx = ctx, .job = job, .out = out, .counts = counts};
    bool memory;
    pthread_once(&started, start_llvm);
    if (job->triple) pthread_once(&all_targets, start_targets);
    x.parts = job->apart ? 2 : 1;
    x.part[0].C = (LlvmFunc){.arena = out->arena, .p = p, .job = job};
    bool ok = compile_whole(&x, &memory);
    fatal.armed = false;
    if (!memory) release(&x);
    if (!memory) ctx_out_of_memory(ctx);
    return ok;
}

PORT_EXPORT extern const LlvmPlugin rondo_llvm_plugin;
const LlvmPlugin rondo_llvm_plugin = {{RONDO_EMITTER_VERSION, RONDO_VERSION}, rondo_compiler_id, compile};
