/* rondo ir: the tensor graph or the loop program of a model, after any of the passes, or what the JIT makes of it. */
#include "cli/cli.h"

#include <string.h>

typedef enum { STAGE_GRAPH, STAGE_LOOPS, STAGE_LLVM, STAGE_ASM } IrStage;

/* The module as built, after the graph passes, or after the pass that --after names; past that the program, after all of them. */
static bool print_ir(Cli *c, const Module *module, const ExecOptions *exec, IrStage stage, Str *s) {
    PassOptions o = *exec->passes;
    Module *m = module_copy(module, ctx_arena(c->ctx));
    LProgram *p = NULL;
    const char *after = cli_get(c, OPT_AFTER);
    o.grad = cli_has(c, OPT_GRAD);
    o.gradient = exec->gradient;
    if (after) o.stop_after = after;
    if (!(after && !strcmp(after, "build")) && !passes_run(m, &o)) return false;
    if (stage || (after && pass_is_lowering(after))) {
        LowerOptions lower = exec_lower_options(exec, m);
        lower.one_row = exec->batch == 1;
        o.lower = &lower;
        if (!passes_lower(m, &o, &p)) return false;
    }
    if (stage > STAGE_LOOPS)
        return llvm_kernels(c->ctx, p, stage == STAGE_ASM ? EMIT_ASM : EMIT_LLVM, &(EmitTarget){0}, "kernel", s);
    if (p)
        lprogram_print(s, p);
    else if (cli_has(c, OPT_DOT))
        module_dot(s, m);
    else
        module_print(s, m);
    return true;
}

CliExit cmd_ir(Cli *c) {
    static const char *const stage[] = {"graph", "loops", "llvm", "asm", NULL};
    int at = STAGE_GRAPH;
    CliExit rc;
    if (!cli_choice(c, OPT_STAGE, stage, &at)) return CLI_USAGE;
    if (at && (cli_has(c, OPT_DOT) || cli_has(c, OPT_AFTER))) return cli_usage(c, "--dot and --after are for --stage graph");
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    const Module *module = model_module(m, cli_has(c, OPT_GRAD) ? MODULE_TRAIN : MODULE_PREDICT, false);
    Str s = str_make(ctx_arena(c->ctx));
    bool ok = module && print_ir(c, module, model_exec_options(m), (IrStage)at, &s);
    rc = ok && cli_write(c, cli_get(c, OPT_OUT), s.at, s.n) ? CLI_OK : CLI_INPUT;
    model_close(m);
    return rc;
}
