/* rondo explain: what the compiler did to a model and why, and what a call costs. */
#include "cli/products.h"

#include <inttypes.h>
#include <string.h>

static bool is_slow(const char *line) { return !strncmp(line, "slow path: ", 11) || !strncmp(line, "one thread: ", 12); }

/* Lines as they are, or as JSON texts; of those only the ones that name a slow path. */
static void put_lines(Str *out, const char *text, bool json, bool slow) {
    bool first = true;
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        char *line = arena_strndup(out->arena, text, n);
        line += strspn(line, " ");
        if (json && (!slow || is_slow(line))) {
            if (!first) str_put(out, ", ");
            put_json_string(out, line);
            first = false;
        } else if (!json) {
            str_printf(out, "  %s\n", line);
        }
        text += n;
        if (*text) text++;
    }
}

static void put_bytes(Str *s, const char *what, int64_t bytes) {
    if (bytes < 10000)
        str_printf(s, "  %-12s %" PRId64 " bytes\n", what, bytes);
    else if (bytes < 10000000)
        str_printf(s, "  %-12s %.1f KiB\n", what, (double)bytes / 1024);
    else
        str_printf(s, "  %-12s %.1f MiB\n", what, (double)bytes / 1048576);
}

enum { VALUES = 8 };

/* The largest values of the scratch, and how it is cut into segments. */
static void put_memory(Str *s, const Exec *e) {
    const LProgram *p = exec_program(e);
    const int64_t *dim = exec_dim(e);
    MemoryValue v[VALUES];
    uint32_t n = largest_values(p, dim, v, VALUES);
    str_put(s, n ? " largest in scratch:\n" : "");
    for (uint32_t i = 0; i < n; i++) put_bytes(s, v[i].name, v[i].bytes);
    for (uint32_t i = 0; i < p->cut.n; i++)
        str_printf(s, "  segments     %" PRId64 " of %" PRId64 " steps each, recompute factor %.2f\n", dim[p->cut.at[i].count],
                   dim[p->cut.at[i].steps], exec_stats(e).recompute);
}

static void put_memory_json(Str *s, const Exec *e) {
    const LProgram *p = exec_program(e);
    const int64_t *dim = exec_dim(e);
    MemoryValue v[VALUES];
    uint32_t n = largest_values(p, dim, v, VALUES);
    str_put(s, ", \"largest\": [");
    for (uint32_t i = 0; i < n; i++) {
        str_put(s, i ? ", {\"name\": " : "{\"name\": ");
        put_json_string(s, v[i].name);
        str_printf(s, ", \"bytes\": %" PRId64 "}", v[i].bytes);
    }
    str_put(s, "], \"segments\": [");
    for (uint32_t i = 0; i < p->cut.n; i++)
        str_printf(s, "%s{\"count\": %" PRId64 ", \"steps\": %" PRId64 "}", i ? ", " : "", dim[p->cut.at[i].count], dim[p->cut.at[i].steps]);
    str_put(s, "], \"recompute_factor\": ");
    put_json_number(s, exec_stats(e).recompute);
}

static bool explain_module(Cli *c, Model *m, ModuleKind kind, int64_t batch, int64_t steps, Str *s) {
    bool json = cli_has(c, OPT_JSON);
    if (kind == MODULE_STEP) steps = 1;
    const Module *module = model_module(m, kind, false);
    if (!module) return false;
    ExecOptions o = *model_exec_options(m);
    o.engine = EXEC_LOOPS;
    o.batch = batch;
    o.one_row = batch == 1;
    o.steps = steps;
    o.grad = kind == MODULE_TRAIN;
    Str lines = str_make(ctx_arena(c->ctx));
    Exec *e = exec_make(c->ctx, module, &o, &lines);
    if (!e) return false;
    int64_t axis[MAX_AXES];
    module_axes(exec_module(e), batch, steps, axis);
    bool ok = exec_dims(e, axis);
    if (!ok) {
        exec_destroy(e);
        return false;
    }
    if (exec_program(e)->cut.n) {
        lines = str_make(ctx_arena(c->ctx));
        str_put(&lines, exec_notes(e));
    }
    ExecStats t = exec_stats(e);
    const char *tuning = exec_tuning(e);
    Flops f = module_flops(exec_module(e), axis);
    Stages stages = find_stages(ctx_arena(c->ctx), module, exec_module(e), batch, steps, lines.at);
    const char *name = kind == MODULE_TRAIN ? "train" : kind == MODULE_STEP ? "step" : "forward";
    if (json) {
        str_printf(s, "\"%s\": {", name);
        put_stages_json(s, &stages);
        str_put(s, ", \"slow\": [");
        put_lines(s, lines.at, true, true);
        str_put(s, "], \"notes\": [");
        put_lines(s, lines.at, true, false);
        str_put(s, "], \"tuned\": ");
        if (tuning) put_json_string(s, tuning);
        else str_put(s, "null");
        str_put(s, ", \"product_flops\": ");
        put_json_number(s, f.product);
        str_put(s, ", \"other_flops\": ");
        put_json_number(s, f.other);
        str_printf(s, ", \"array_bytes\": %" PRId64 ", \"slab_bytes\": %" PRId64 ", \"pack_bytes\": %" PRId64, t.array_bytes, t.slab_bytes,
                   t.pack_bytes);
        put_memory_json(s, e);
        str_put(s, "}");
    } else {
        str_printf(s, "%s, batch %" PRId64 ", %" PRId64 " step%s:\n", name, batch, steps, steps == 1 ? "" : "s");
        put_stages(s, &stages);
        str_put(s, " kernels:\n");
        put_lines(s, lines.at, false, false);
        if (tuning) str_printf(s, " tuned on this machine:\n  %s\n", tuning);
        str_put(s, " cost of a call:\n");
        str_printf(s, "  %-12s %.4g Mflop in products, %.4g M elementwise\n", "work", f.product * 1e-6, f.other * 1e-6);
        if (o.grad && o.gradient)
            str_printf(s, "  %-12s %.4g Mflop, gradient %s\n", "a step", (f.product + f.other) * 1e-6 / (double)steps, gradient_name[o.gradient]);
        put_bytes(s, "arrays", t.array_bytes);
        put_bytes(s, "scratch", t.slab_bytes);
        put_bytes(s, "packed", t.pack_bytes);
        put_bytes(s, "peak", t.array_bytes + t.slab_bytes + t.pack_bytes);
        put_memory(s, e);
    }
    exec_destroy(e);
    return ok;
}

CliExit cmd_explain(Cli *c) {
    static const char *const mode[] = {"forward", "train", "step", NULL};
    int64_t batch = 32, steps = 100;
    int which = -1;
    CliExit rc;
    if (!cli_int(c, OPT_BATCH, 1, INT32_MAX, &batch) || !cli_int(c, OPT_STEPS, 1, INT32_MAX, &steps) ||
        !cli_choice(c, OPT_MODE, mode, &which))
        return CLI_USAGE;
    Model *m = cli_model(c, c->arg[0], &rc);
    if (!m) return rc;
    static const ModuleKind kind[] = {MODULE_PREDICT, MODULE_TRAIN, MODULE_STEP};
    bool json = cli_has(c, OPT_JSON), ok = true;
    Str s = str_make(ctx_arena(c->ctx));
    if (json) {
        str_put(&s, "{\"model\": ");
        put_json_string(&s, rondo_name(m));
        str_printf(&s, ", \"batch\": %" PRId64 ", \"steps\": %" PRId64 ", ", batch, steps);
    }
    for (int i = 0, n = 0; i < 3 && ok; i++) {
        if (which >= 0 ? i != which : kind[i] == MODULE_STEP) continue;
        if (json && n++) str_put(&s, ", ");
        ok = explain_module(c, m, kind[i], batch, steps, &s);
    }
    if (json) str_put(&s, "}\n");
    rc = ok && cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
    model_close(m);
    return rc;
}
