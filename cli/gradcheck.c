/* rondo gradcheck: every parameter, initial state and input against central differences in f64. */
#include "cli/cli.h"

#include <inttypes.h>

CliExit cmd_gradcheck(Cli *c) {
    ModelOptions o;
    int64_t seed = 1;
    if (!cli_model_options(c, &o) || !cli_int(c, OPT_SEED, 0, INT64_MAX, &seed)) return CLI_USAGE;
    GradCheckOptions g = {.batch = o.exec.batch, .steps = o.exec.steps, .seed = (uint64_t)seed,
                         .limit = cli_has(c, OPT_ALL) ? INT64_MAX : 0};
    o.exec.f64 = true;
    Model *m = model_open(c->ctx, c->arg[0], &o);
    if (!m) return CLI_INPUT;
    CliExit rc = CLI_INPUT;
    uint32_t n = 0;
    if (weights_init(m, (uint64_t)seed)) {
        GradCheck *k = grad_check(m, &g, ctx_arena(c->ctx), &n);
        if (k) rc = CLI_OK;
        for (uint32_t i = 0; k && i < n; i++) {
            bool ok = k[i].error < k[i].bar;
            if (k[i].through) {
                printf("%-32s          -  0 of %" PRId64 " elements  not checked: it passes a straight-through function\n", k[i].name,
                       k[i].elements);
                continue;
            }
            if (k[i].note && !k[i].elements) {
                printf("%-32s          -  %s\n", k[i].name, k[i].note);
                continue;
            }
            if (k[i].note) {
                printf("%-32s %10.3g  %" PRId64 " elements  %s\n", k[i].name, k[i].error, k[i].elements, k[i].note);
                continue;
            }
            printf("%-32s %10.3g  %" PRId64 " of %" PRId64 " elements  %s\n", k[i].name, k[i].error, k[i].checked,
                   k[i].elements, ok ? "ok" : k[i].bar < 1e-6 ? "PAST 1e-10" : "PAST 1e-6");
            if (!ok) rc = CLI_INPUT;
        }
    }
    model_close(m);
    return rc;
}
