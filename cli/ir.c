/* rondo ir: the tensor graph or the loop program of a model. */
#include "cli/cli.h"

#include <string.h>

/* The graph, run through the passes (or to one of them) unless --after is "build". */
static bool print_graph(Cli *c, const Module *module, const PassOptions *given, Str *s) {
    PassOptions o = *given;
    o.grad = cli_has(c, OPT_GRAD);
    const char *after = cli_get(c, OPT_AFTER);
    if (after) o.stop_after = after;
    Module *copy = module_copy(module, ctx_arena(c->ctx));
    if (!(after && !strcmp(after, "build")) && !passes_run(copy, &o)) return false;
    if (cli_has(c, OPT_DOT))
        module_dot(s, copy);
    else
        module_print(s, copy);
    return true;
}

static bool print_loops(Cli *c, Model *m, const Module *module, Str *s) {
    ExecOptions o = *model_exec_options(m);
    o.engine = EXEC_LOOPS;
    o.grad = cli_has(c, OPT_GRAD);
    Exec *e = exec_make(c->ctx, module, &o, NULL);
    if (!e) return false;
    lprogram_print(s, exec_program(e));
    exec_destroy(e);
    return true;
}

CliExit cmd_ir(Cli *c) {
    static const char *const stage[] = {"graph", "loops", NULL};
    int loops = 0;
    CliExit rc;
    if (!cli_choice(c, OPT_STAGE, stage, &loops)) return CLI_USAGE;
    if (loops && (cli_has(c, OPT_DOT) || cli_has(c, OPT_AFTER))) return cli_usage(c, "--dot and --after are for --stage graph");
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    const Module *module = model_module(m, cli_has(c, OPT_GRAD) ? MODULE_TRAIN : MODULE_PREDICT, false);
    Str s = str_make(ctx_arena(c->ctx));
    bool ok = module && (loops ? print_loops(c, m, module, &s) : print_graph(c, module, model_exec_options(m)->passes, &s));
    rc = ok && cli_write(c, cli_get(c, OPT_OUT), s.at, s.n) ? CLI_OK : CLI_INPUT;
    model_close(m);
    return rc;
}
