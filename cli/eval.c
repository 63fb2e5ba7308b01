/* rondo eval: loss and metrics. */
#include "cli/cli.h"

CliExit cmd_eval(Cli *c) {
    CliExit rc;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    if (cli_weights(c, m, true, &rc)) {
        size_t n = rondo_count(m, RONDO_METRIC);
        double *metric = NEW_N(ctx_arena(c->ctx), double, n + 1), loss = 0;
        rc = cli_result(c, m, rondo_evaluate(m, cli_get(c, OPT_DATA), NULL, 0, &loss, metric, n));
        if (rc == CLI_OK) {
            bool json = cli_has(c, OPT_JSON);
            Str s = str_make(ctx_arena(c->ctx));
            str_put(&s, json ? "{\"loss\": " : "loss ");
            put_json_number(&s, loss);
            for (size_t i = 0; i < n; i++) {
                rondo_info info;
                if (rondo_describe(m, RONDO_METRIC, i, &info) != RONDO_OK) break;
                str_put(&s, json ? ", " : "\n");
                if (json)
                    put_json_string(&s, info.name);
                else
                    str_put(&s, info.name);
                str_put(&s, json ? ": " : " ");
                put_json_number(&s, metric[i]);
            }
            str_put(&s, json ? "}\n" : "\n");
            cli_write(c, NULL, s.at, s.n);
        }
    }
    model_close(m);
    return rc;
}
