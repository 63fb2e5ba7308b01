/* rondo generate: text from a language model, written as it comes. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

static int on_text(void *arg, const char *text, size_t n) {
    bool *failed = arg;
    *failed = fwrite(text, 1, n, stdout) != n || fflush(stdout) != 0;
    return *failed;
}

CliExit cmd_generate(Cli *c) {
    CliExit rc;
    int64_t seed = 0;
    bool failed = false;
    rondo_generate_options o = RONDO_GENERATE_OPTIONS_INIT;
    if (!cli_int(c, OPT_LENGTH, 1, INT64_MAX, &o.length) || !cli_int(c, OPT_TOP_K, 1, INT32_MAX, &o.top_k) ||
        !cli_int(c, OPT_SEED, 0, INT64_MAX, &seed) || !cli_int(c, OPT_BEAM, 1, 1000, &o.beam) || !cli_number(c, OPT_TEMPERATURE, 0, 1e6, &o.temperature) ||
        !cli_number(c, OPT_TOP_P, 1e-12, 1, &o.top_p))
        return CLI_USAGE;
    o.prompt = cli_get(c, OPT_PROMPT);
    o.seed = (uint64_t)seed;
    o.write = on_text;
    o.write_arg = &failed;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    if (cli_weights(c, m, true, &rc)) {
        rc = cli_result(c, m, rondo_generate(m, &o));
        if (rc == CLI_OK && !failed) on_text(&failed, "\n", 1);
        if (failed) diag_error(c->ctx, 1, (Span){0, 0}, "cannot write to standard output: %s", strerror(errno));
    }
    model_close(m);
    return failed ? CLI_INPUT : rc;
}
