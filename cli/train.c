/* rondo train: the model's train block, with a progress line on a terminal; Ctrl-C keeps what was learned. */
#include "cli/train.h"

#include <math.h>
#include <signal.h>
#include <unistd.h>

void take_seed(Cli *c) {
    const char *seed = cli_get(c, OPT_SEED);
    if (seed) VEC_PUSH(ctx_arena(c->ctx), c->use) = (OptUse){OPT_SET, arena_printf(ctx_arena(c->ctx), "seed=%s", seed)};
}

static CliExit train_once(Cli *c) {
    Progress g = {.cli = c, .terminal = isatty(STDERR_FILENO), .quiet = cli_has(c, OPT_QUIET), .first_done = -1, .valid = NAN};
    Outcome out;
    Model *m;
    take_seed(c);
    TrainTask t = {cli_get(c, OPT_OUT),    cli_get(c, OPT_LOG), cli_get(c, OPT_CHECKPOINT),
                   cli_get(c, OPT_RESUME), .save = true,        .summary = !cli_has(c, OPT_QUIET) || cli_has(c, OPT_JSON),
                   .progress = &g};
    CliExit rc = train_task(c, &t, &m, &out);
    if (rc == CLI_OK) print_outcome(c, m, &out, t.weights);
    model_close(m);
    if (rc == CLI_OK && signal_caught()) raise(signal_caught());
    return rc;
}

CliExit cmd_train(Cli *c) {
    int64_t seeds = 0, folds = 0;
    if (!cli_int(c, OPT_SEEDS, 2, 1000, &seeds) || !cli_int(c, OPT_FOLDS, 2, 1000, &folds)) return CLI_USAGE;
    if (!seeds && !folds && !cli_has(c, OPT_JOBS)) return train_once(c);
    if (!seeds && !folds) return cli_usage(c, "--jobs is for --seeds and --folds");
    if (cli_has(c, OPT_CHECKPOINT) || cli_has(c, OPT_RESUME))
        return cli_usage(c, "--seeds and --folds train anew: without --checkpoint and --resume");
    return train_many(c, seeds, folds);
}
