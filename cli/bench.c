/* rondo bench: the time of one call on random data, held against the machine's multiply-add peak of the same minute. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef enum { MODE_FORWARD, MODE_TRAIN, MODE_STEP } Mode;
static const char *const mode_name[] = {"forward", "train", "step", NULL};

enum { RUNS_MAX = 2000 };

typedef struct {
    double seconds; /* to measure for */
    double min, median, flops, peak;
    int64_t segments;
    int runs;
    ExecStats stats;
    const char *tuning; /* with --autotune, if there was anything to choose */
    bool profile;
    Str stages; /* with --profile */
} Timing;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Random values that suit input i: tokens in range, 0 or 1, or normal-sized numbers. */
static bool random_input(Cli *c, Exec *e, uint32_t i, const int64_t *axis) {
    const Module *m = exec_module(e);
    const Input *in = &m->input.at[i];
    if (in->kind != INPUT_DATA && in->kind != INPUT_TARGET) return exec_set_input(e, i, NULL, NULL);
    int64_t dim[RONDO_MAX_RANK];
    int rank = 0;
    for (uint32_t k = 0; k < m->naxis && rank < RONDO_MAX_RANK; k++)
        if (in->axes >> k & 1) dim[rank++] = axis[k];
    for (int k = 0; k < in->rank && rank < RONDO_MAX_RANK; k++) dim[rank++] = in->dim[k];
    Arena a = arena_make(c->ctx);
    Arrays set = {0};
    rondo_type type = in->dtype == DT_I ? RONDO_I32 : in->dtype == DT_B ? RONDO_U8 : RONDO_F32;
    Array *v = arrays_add(&a, &set, "x", type, rank, dim);
    int64_t n = v ? array_count(v) : 0;
    for (int64_t k = 0; k < n; k++) {
        uint32_t draw = noise_bits(1, 0, i, 0, (uint32_t)(k >> 32), (uint32_t)k);
        double u = (double)draw / 4294967296.0;
        if (in->dtype == DT_I)
            array_set(v, k, (double)(draw % (uint32_t)(in->vocab > 0 ? in->vocab : 1)));
        else
            array_set(v, k, in->dtype == DT_B ? (double)(draw & 1) : 1.7 * u - 0.85);
    }
    bool ok = v && exec_set_input(e, i, v, NULL);
    arena_free(&a);
    return ok;
}

static bool time_runs(Exec *e, const void *theta, void *grad, Timing *t) {
    double *s = calloc(RUNS_MAX, sizeof *s);
    if (!s) return false;
    bool ok = exec_run(e, theta, 1, grad, 1, 0, NULL); /* packs the weights and warms the caches */
    double end = cli_now() + t->seconds;
    int n = 0;
    while (ok && n < RUNS_MAX && (n < 5 || cli_now() < end)) {
        double from = cli_now();
        ok = exec_run_again(e, theta, 1, grad, 1, 0, NULL);
        s[n++] = cli_now() - from;
    }
    qsort(s, (size_t)n, sizeof *s, by_value);
    t->runs = n;
    t->min = n ? s[0] : 0;
    t->median = n ? s[n / 2] : 0;
    free(s);
    return ok;
}

static bool bench(Cli *c, Model *m, Mode mode, int64_t batch, int64_t steps, Timing *t) {
    static const ModuleKind kind[] = {MODULE_PREDICT, MODULE_TRAIN, MODULE_STEP};
    const Module *module = model_module(m, kind[mode], false);
    if (!module) return false;
    ExecOptions o = *model_exec_options(m);
    o.grad = mode == MODE_TRAIN;
    o.batch = batch;
    o.one_row = batch == 1;
    o.steps = steps;
    Exec *e = exec_make(c->ctx, module, &o, NULL);
    if (!e) return false;
    int64_t axis[MAX_AXES], n = model_theta_size(m);
    module_axes(exec_module(e), batch, steps, axis);
    bool ok = exec_dims(e, axis);
    for (uint32_t i = 0; ok && i < exec_module(e)->input.n; i++) ok = random_input(c, e, i, axis);
    size_t bytes = ((size_t)n * sizeof(double) + 127) / 64 * 64;
    void *theta = aligned_alloc(64, bytes), *grad = aligned_alloc(64, bytes);
    ok = ok && theta && grad;
    for (int64_t i = 0; ok && i < n; i++) {
        if (exec_f64(e))
            ((double *)theta)[i] = model_theta_get(m, i);
        else
            ((float *)theta)[i] = (float)model_theta_get(m, i);
    }
    ok = ok && time_runs(e, theta, mode == MODE_TRAIN ? grad : NULL, t);
    t->flops = module_flops(exec_module(e), axis).product;
    t->stats = exec_stats(e);
    t->tuning = o.autotune && exec_tuning(e) ? arena_strdup(ctx_arena(c->ctx), exec_tuning(e)) : NULL;
    const LProgram *p = ok ? exec_program(e) : NULL;
    t->segments = p && p->cut.n ? exec_dim(e)[p->cut.at[0].count] : 0;
    if (ok && o.engine == EXEC_JIT) t->peak = fma_peak(c->ctx, exec_f64(e), t->seconds / 2);
    if (ok && t->profile)
        ok = put_profile(c->ctx, &t->stages, e, theta, mode == MODE_TRAIN ? grad : NULL, t->peak, t->seconds, cli_has(c, OPT_JSON));
    free(theta);
    free(grad);
    exec_destroy(e);
    return ok;
}

static void print_timing(Cli *c, Model *m, Mode mode, int64_t batch, int64_t steps, const Timing *t) {
    const ExecStats *st = &t->stats;
    double rate = t->median > 0 ? t->flops / t->median : 0, compile = st->pass_seconds + st->lower_seconds + st->engine_seconds;
    int threads = model_exec_options(m)->threads > 1 ? model_exec_options(m)->threads : 1;
    double share = t->peak > 0 ? rate / (t->peak * threads) : 0;
    Str s = str_make(ctx_arena(c->ctx));
    if (cli_has(c, OPT_JSON)) {
        str_put(&s, "{\"model\": ");
        put_json_string(&s, rondo_name(m));
        str_printf(&s, ", \"mode\": \"%s\", \"batch\": %" PRId64 ", \"steps\": %" PRId64 ", \"threads\": %d, \"runs\": %d",
                   mode_name[mode], batch, steps, threads, t->runs);
        const char *key[] = {"ms_min", "ms_median", "gflop", "gflops", "peak_gflops", "peak_share", "compile_ms"};
        double value[] = {t->min * 1e3, t->median * 1e3, t->flops * 1e-9, rate * 1e-9, t->peak * 1e-9, share, compile * 1e3};
        for (int i = 0; i < 7; i++) {
            str_printf(&s, ", \"%s\": ", key[i]);
            put_json_number(&s, value[i]);
        }
        str_printf(&s, ", \"from_cache\": %s, \"llvm_instructions\": %" PRIu32 ", \"llvm_instructions_shared\": %" PRIu32,
                   st->from_cache ? "true" : "false", st->llvm_instructions, st->llvm_instructions_shared);
        str_printf(&s, ", \"bytes\": %" PRId64 ", \"segments\": %" PRId64 ", \"recompute_factor\": ",
                   st->array_bytes + st->slab_bytes + st->pack_bytes, t->segments);
        put_json_number(&s, st->recompute);
        if (t->tuning) {
            str_put(&s, ", \"tuned\": ");
            put_json_string(&s, t->tuning);
        }
        str_printf(&s, "%s}\n", t->profile ? t->stages.at : "");
    } else {
        str_printf(&s, "%s %s, batch %" PRId64 ", %" PRId64 " step%s, %d thread%s\n", rondo_name(m), mode_name[mode], batch, steps,
                   steps == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
        str_printf(&s, "  time      %.4g ms (least %.4g, %d runs)\n", t->median * 1e3, t->min * 1e3, t->runs);
        str_printf(&s, "  products  %.4g Gflop/s", rate * 1e-9);
        if (t->peak > 0) str_printf(&s, ", %.1f %% of the multiply-add peak (%.4g)", share * 100, t->peak * threads * 1e-9);
        if (t->segments)
            str_printf(&s, "\n  memory    %.4g MiB in %" PRId64 " segments, recompute factor %.2f",
                       (double)(st->array_bytes + st->slab_bytes + st->pack_bytes) / 1048576, t->segments, st->recompute);
        str_printf(&s, "\n  compile   %.4g ms%s: passes %.3g, lowering %.3g, code %.3g\n", compile * 1e3,
                   st->from_cache ? " (code from the cache)" : "", st->pass_seconds * 1e3, st->lower_seconds * 1e3,
                   st->engine_seconds * 1e3);
        if (t->tuning) str_printf(&s, "  tuned     %s\n", t->tuning);
        if (t->profile) str_put(&s, t->stages.at);
    }
    cli_write(c, NULL, s.at, s.n);
}

CliExit cmd_bench(Cli *c) {
    int64_t batch = 32, steps = 100, ms = 600;
    int mode = MODE_TRAIN;
    CliExit rc;
    if (!cli_int(c, OPT_BATCH, 1, INT32_MAX, &batch) || !cli_int(c, OPT_STEPS, 1, INT32_MAX, &steps) ||
        !cli_choice(c, OPT_MODE, mode_name, &mode) || !cli_int(c, OPT_TIME, 1, 1000000, &ms))
        return CLI_USAGE;
    if (mode == MODE_STEP) steps = 1;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    Timing t = {.seconds = (double)ms * 1e-3, .profile = cli_has(c, OPT_PROFILE), .stages = str_make(ctx_arena(c->ctx))};
    const ExecOptions *o = model_exec_options(m);
    if (t.profile && (o->threads > 1 || o->engine != EXEC_JIT)) {
        model_close(m);
        return cli_usage(c, "--profile is of one thread of the jit");
    }
    rc = CLI_INPUT;
    if (weights_init(m, 1) && bench(c, m, (Mode)mode, batch, steps, &t)) {
        print_timing(c, m, (Mode)mode, batch, steps, &t);
        rc = CLI_OK;
    }
    model_close(m);
    return rc;
}
