/* rondo run: arrays in, arrays out, and their comparison with expected ones. */
#include "cli/cli.h"

#include <string.h>

static bool has_prefix(const Arrays *s, const char *prefix) {
    for (uint32_t i = 0; i < s->array.n; i++)
        if (!strncmp(s->array.at[i].name, prefix, strlen(prefix))) return true;
    return false;
}

static bool compare(Cli *c, Model *m, const Arrays *out, const Arrays *in, const char *path) {
    uint32_t n = 0;
    Comparison *k = compare_arrays(m, ctx_arena(c->ctx), out, in, path, &n);
    bool ok = k != NULL;
    for (uint32_t i = 0; k && i < n; i++) {
        printf("%-32s %10.3g  bar %.1e  %s\n", k[i].name, k[i].error, k[i].bar, k[i].ok ? "ok" : "PAST THE BAR");
        ok = ok && k[i].ok;
    }
    return ok;
}

/* Of --in the example asked for, or the first; without it one of the data. */
static CliExit trace(Cli *c) {
    static const Opt others[] = {OPT_OUT_ARRAYS, OPT_GRAD, OPT_JVP, OPT_COMPARE};
    CliExit rc;
    int64_t example = cli_has(c, OPT_IN) ? 0 : -1;
    const char *path = cli_get(c, OPT_IN);
    Arrays in = {0};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cli_has(c, others[i])) return cli_usage(c, "--trace prints, and nothing else: without --out, --grad, --jvp and --compare");
    if (!cli_int(c, OPT_EXAMPLE, 0, INT64_MAX, &example)) return CLI_USAGE;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    bool ok = cli_weights(c, m, false, &rc);
    if (ok) {
        ok = path ? npz_read(c->ctx, ctx_arena(c->ctx), path, &in) : cli_example(c, m, cli_get(c, OPT_DATA), example, &in);
        rc = ok ? cli_trace(c, m, &in, path ? example : 0) : CLI_INPUT;
    }
    model_close(m);
    return rc;
}

CliExit cmd_run(Cli *c) {
    CliExit rc;
    const char *path = cli_get(c, OPT_IN), *out_path = cli_get(c, OPT_OUT_ARRAYS);
    if (cli_has(c, OPT_TRACE)) return trace(c);
    if (cli_has(c, OPT_DATA) || cli_has(c, OPT_EXAMPLE)) return cli_usage(c, "--data and --example are for --trace");
    if (!path) return cli_usage(c, "--in X.npz is missing");
    if (!out_path && !cli_has(c, OPT_COMPARE)) return cli_usage(c, "say --out Y.npz, or --compare, or both");
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    Arena *a = ctx_arena(c->ctx);
    Arrays in = {0}, out = {0};
    bool ok = npz_read(c->ctx, a, path, &in) && cli_weights(c, m, false, &rc);
    if (ok) {
        bool expects = cli_has(c, OPT_COMPARE);
        RunOptions o = {.grad = cli_has(c, OPT_GRAD) || (expects && has_prefix(&in, "grad/")),
                        .jvp = cli_has(c, OPT_JVP),
                        .adam = expects && has_prefix(&in, "adam/")};
        ok = run_arrays(m, &o, &in, a, &out) && (!expects || compare(c, m, &out, &in, path));
        if (ok && out_path) ok = npz_write(c->ctx, out_path, &out);
        rc = ok ? CLI_OK : CLI_INPUT;
    }
    model_close(m);
    return ok ? CLI_OK : rc == CLI_OK ? CLI_INPUT : rc;
}
