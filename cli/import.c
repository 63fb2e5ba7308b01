/* rondo import: models of other programs as M.rondo and M.safetensors. */
#include "import/import.h"

#include <string.h>

#include "cli/cli.h"

static const double bar = 1e-4; /* of the check on the source's vectors, which are float32 */

static bool read_source(Cli *c, const char *kind, Imported *im) {
    ImportOptions o = {.name = cli_get(c, OPT_NAME), .vectors = cli_get(c, OPT_VECTORS), .weights = cli_get(c, OPT_WEIGHTS)};
    Arena *a = ctx_arena(c->ctx);
    if (!strcmp(kind, "onnx")) return import_onnx(c->ctx, a, c->arg[1], &o, im);
    if (!strcmp(kind, "keras")) return import_keras(c->ctx, a, c->arg[1], &o, im);
    return import_torch(c->ctx, a, c->arg[1], &o, im);
}

CliExit cmd_import(Cli *c) {
    const char *kind = c->arg[0], *dir = cli_get(c, OPT_OUT);
    if (strcmp(kind, "onnx") && strcmp(kind, "keras") && strcmp(kind, "torch"))
        return cli_usage(c, "import reads onnx, keras or torch, not '%.60s'", kind);
    if (!dir) return cli_usage(c, "-o DIR is missing: where the model and its weights go");
    ModelOptions mo;
    if (!cli_model_options(c, &mo)) return CLI_USAGE;
    Imported im;
    if (!read_source(c, kind, &im)) return CLI_INPUT;
    Model *m = imported_open(c->ctx, &im, &mo);
    if (!m) return CLI_INPUT;
    double worst = 0;
    bool ok = imported_check(m, ctx_arena(c->ctx), &im, bar, &worst) && imported_write(c->ctx, m, &im, dir);
    if (ok) {
        printf("%s/%s.rondo and %s.safetensors: %lld weights\n", dir, im.model, im.model, (long long)model_theta_size(m));
        for (uint32_t i = 0; i < im.in.n; i++) printf("  %-24s from '%s'\n", im.in.at[i].name, im.in.at[i].source);
        for (uint32_t i = 0; i < im.out.n; i++) printf("  %-24s from '%s'\n", im.out.at[i].name, im.out.at[i].source);
        if (im.given.array.n) printf("checked on the vectors of the source: largest difference %.2g\n", worst);
    }
    model_close(m);
    return ok ? CLI_OK : CLI_INPUT;
}
