/* rondo emit: the model with its weights as C, machine code or LLVM IR. */
#include "cli/cli.h"

#include <string.h>

CliExit cmd_emit(Cli *c) {
    static const char *const kind[] = {"c", "obj", "so", "asm", "llvm", NULL};
    int k = 0;
    while (kind[k] && strcmp(kind[k], c->arg[0])) k++;
    if (!kind[k]) return cli_usage(c, "emit writes c, obj, so, asm or llvm, not '%.60s'", c->arg[0]);
    const char *dir = cli_get(c, OPT_OUT);
    if (!dir) return cli_usage(c, "-o DIR is missing: where the files go");
    CliExit rc;
    Model *m = cli_model(c, c->arg[1], &rc);
    if (!m) return rc;
    if (!cli_weights(c, m, false, &rc)) {
    } else if (k == 0) rc = emit_c_model(m, &(EmitOptions){.test = cli_has(c, OPT_TEST)}, dir) ? CLI_OK : cli_status(c);
    else rc = cli_result(c, m, rondo_emit(m, kind[k], cli_get(c, OPT_TARGET), dir));
    model_close(m);
    return rc;
}
