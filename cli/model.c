/* From the command line's options to a model with weights. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char **all_values(Cli *c, Opt o, size_t *n) {
    *n = 0;
    const char **list = NEW_N(ctx_arena(c->ctx), const char *, c->use.n + 2);
    for (const char *v; (v = cli_nth(c, o, (uint32_t)*n)); ++*n) list[*n] = v;
    return list;
}

static void pass_options(Cli *c, PassOptions *o) {
    size_t n;
    memset(o, 0, sizeof *o);
    o->print_after = cli_get(c, OPT_PRINT_AFTER);
    o->stop_after = cli_get(c, OPT_STOP_AFTER);
    o->disable = all_values(c, OPT_DISABLE_PASS, &n);
    if (o->print_after) o->print = &c->trace;
    if (cli_has(c, OPT_TIME_PASSES)) o->times = &c->times;
}

bool cli_model_options(Cli *c, ModelOptions *o) {
    static const char *const engine[] = {"jit", "c", "loops", "eval", NULL};
    static const char *const dtype[] = {"f32", "f64", NULL};
    static const char *const math[] = {"fast", "precise", "sleef", NULL};
    static const char *const place[] = {"auto", "step", "chunk", "whole", "beside", NULL};
    static const char *const lanes[] = {"1", "4", "8", "16", NULL};
    int v = -1, e = EXEC_JIT, f64 = 0, tier = MATH_FAST, where = PLACE_AUTO;
    int64_t threads = 0;
    memset(o, 0, sizeof *o);
    if (!cli_choice(c, OPT_ENGINE, engine, &e) || !cli_choice(c, OPT_DTYPE, dtype, &f64) ||
        !cli_choice(c, OPT_MATH, math, &tier) || !cli_choice(c, OPT_PLACE, place, &where) || !cli_choice(c, OPT_LANES, lanes, &v) ||
        !cli_int(c, OPT_THREADS, 1, 1024, &threads) || !cli_int(c, OPT_BATCH, 1, INT32_MAX, &o->exec.batch) ||
        !cli_int(c, OPT_STEPS, 1, INT32_MAX, &o->exec.steps) || !cli_bytes(c, OPT_MEMORY, &o->exec.memory_limit))
        return false;
    o->exec.whole_process = cli_has(c, OPT_MEMORY);
    o->exec.autotune = cli_has(c, OPT_AUTOTUNE);
    o->model = cli_get(c, OPT_MODEL);
    size_t n;
    o->set = all_values(c, OPT_SET, &n);
    o->nset = n;
    static const char *const gradient[] = {"gradient=bptt", "gradient=rtrl", "gradient=snap1"};
    int mode = -1;
    if (!cli_choice(c, OPT_GRADIENT, gradient_name, &mode)) return false;
    if (mode >= 0) ((const char **)o->set)[o->nset++] = gradient[mode];
    for (size_t i = 0; i < n; i++)
        if (!strchr(o->set[i], '=')) return cli_usage(c, "--set takes KEY=VALUE, not '%.60s'", o->set[i]), false;
    int64_t seed = 0;
    if (!cli_int(c, OPT_SEED, 0, INT64_MAX, &seed)) return false;
    o->std_dir = std_folder(ctx_arena(c->ctx));
    o->unroll = cli_has(c, OPT_UNROLL);
    o->exec.engine = (ExecEngine)e;
    o->exec.shadow = o->exec.engine == EXEC_LOOPS;
    o->exec.debug_symbols = getenv("RONDO_SYMBOLS") != NULL;
    o->exec.f64 = f64 == 1 || o->exec.engine == EXEC_EVAL;
    o->exec.math = (MathTier)tier;
    o->exec.place = (Place)where;
    o->exec.threads = (int)threads;
    if (v >= 0) {
        o->exec.V = (int[]){1, 4, 8, 16}[v];
        o->exec.registers = o->exec.V == 16 ? 32 : 16;
    }
    PassOptions *p = NEW(ctx_arena(c->ctx), PassOptions);
    pass_options(c, p);
    o->exec.passes = p;
    return true;
}

/* Sizes and the like that the weights were trained with, where the command line does not say otherwise. */
static bool take_settings(Cli *c, ModelOptions *o) {
    const char *path = cli_get(c, OPT_WEIGHTS);
    uint32_t n = 0;
    if (!path) return true;
    const char **kept = weights_settings(c->ctx, ctx_arena(c->ctx), path, &n), **set = NEW_N(ctx_arena(c->ctx), const char *, o->nset + n + 1);
    if (!kept) return false;
    if (o->nset) memcpy(set, o->set, o->nset * sizeof *set);
    o->set = set;
    for (uint32_t i = 0, given = (uint32_t)o->nset; i < n; i++) {
        size_t name = strcspn(kept[i], "= ");
        uint32_t k = 0;
        while (k < given && (strcspn(set[k], "= ") != name || strncmp(set[k], kept[i], name) != 0)) k++;
        if (k == given) set[o->nset++] = kept[i];
    }
    return true;
}

static bool same_file(Cli *c, const char *a, const char *b) {
    const char *x = file_real(ctx_arena(c->ctx), a), *y = file_real(ctx_arena(c->ctx), b);
    return x && y && !strcmp(x, y);
}

/* What is written replaces a file: not one that is read, and not the other result. Learned weights and a checkpoint may take their own
   place. */
static bool spares_files(Cli *c, Model *m, const char *model) {
    static const Opt out[] = {OPT_OUT, OPT_LOG, OPT_CHECKPOINT, OPT_OUT_ARRAYS};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        const char *to = cli_get(c, out[i]), *data = cli_get(c, OPT_DATA), *in = cli_get(c, OPT_IN), *of = NULL;
        const char *weights = cli_get(c, OPT_WEIGHTS), *resume = cli_get(c, OPT_RESUME);
        bool learned = out[i] == OPT_OUT && !strcmp(c->command->name, "train");
        if (!to) continue;
        if (same_file(c, to, model)) of = "the model is read from it";
        else if (in && same_file(c, to, in)) of = "the arrays are read from it";
        else if (weights && !learned && same_file(c, to, weights)) of = "the weights are read from it";
        else if (resume && out[i] != OPT_CHECKPOINT && same_file(c, to, resume)) of = "the checkpoint is read from it";
        else if ((data && same_file(c, to, data)) || data_reads(m, to)) of = "the data are read from it";
        for (size_t k = 0; k < i && !of; k++)
            if (cli_get(c, out[k]) && (!strcmp(to, cli_get(c, out[k])) || same_file(c, to, cli_get(c, out[k])))) of = "another result goes there";
        if (!of) continue;
        diag_error(c->ctx, 1, (Span){0, 0}, "'%s' is not written: %s", to, of);
        return false;
    }
    return true;
}

/* Separators, scales and rows are found one after the other, each by a reading of its own. */
static bool data_is_file(Cli *c) {
    const char *data = cli_get(c, OPT_DATA);
    struct stat st;
    if (!data || (stat(data, &st) == 0 ? S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) : strcmp(data, "-") != 0)) return true;
    diag_error(c->ctx, 1, (Span){0, 0}, "data are read more than once: --data takes a file, not '%s'", data);
    diag_help(c->ctx, (Span){0, 0}, "what comes through a pipe is kept by `cat >FILE`; then --data FILE takes it");
    return false;
}

Model *cli_model(Cli *c, const char *path, CliExit *rc) {
    ModelOptions o;
    *rc = CLI_USAGE;
    if (!cli_model_options(c, &o)) return NULL;
    *rc = CLI_INPUT;
    Model *m = data_is_file(c) && take_settings(c, &o) ? model_open(c->ctx, path, &o) : NULL;
    if (!m || spares_files(c, m, path)) return m;
    model_close(m);
    return NULL;
}

bool cli_weights(Cli *c, Model *m, bool needed, CliExit *rc) {
    const char *path = cli_get(c, OPT_WEIGHTS);
    int64_t seed = 0;
    if (!cli_int(c, OPT_SEED, 0, INT64_MAX, &seed)) return *rc = CLI_USAGE, false;
    *rc = CLI_INPUT;
    if (path) {
        size_t n;
        const char **rename = all_values(c, OPT_RENAME, &n);
        return weights_load(m, path, rename, n);
    }
    if (needed) return *rc = cli_usage(c, "-w W.safetensors is missing: the weights that `rondo train` wrote"), false;
    return weights_init(m, (uint64_t)seed);
}

CliExit cli_result(Cli *c, Model *m, rondo_status s) {
    if (s == RONDO_OK || s == RONDO_STOPPED) return CLI_OK;
    if (diag_error_count(c->ctx) == 0) fputs(rondo_message(m), stderr);
    if (s == RONDO_NO_MEMORY && cli_has(c, OPT_MEMORY)) return CLI_INPUT; /* a budget that cannot be kept */
    return s == RONDO_INTERNAL || s == RONDO_NO_MEMORY ? CLI_INTERNAL : CLI_INPUT;
}
