/* rondo emit: the model with its weights as C, machine code or LLVM IR. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* --weights is a file of weights, or says how they are written: blob, bf16, f16, int8. What it says is taken out of the options. */
static void take_storage(Cli *c, EmitOptions *o) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < c->use.n; i++) {
        const OptUse u = c->use.at[i];
        int s = EMIT_BF16;
        bool is_word = false;
        for (; u.opt == OPT_WEIGHTS && storage_name[s] && !is_word; s++) {
            is_word = !strcmp(u.value, storage_name[s]);
            if (is_word) o->storage = (EmitStorage)s;
        }
        if (u.opt == OPT_WEIGHTS && !strcmp(u.value, "blob")) o->blob = is_word = true;
        if (!is_word) c->use.at[left++] = u;
    }
    c->use.n = left;
}

/* --window N or N:D */
static bool take_window(Cli *c, EmitOptions *o) {
    const char *given = cli_get(c, OPT_WINDOW);
    char *end = NULL;
    o->delay = -1;
    if (!given) return true;
    o->window = strtol(given, &end, 10);
    bool ok = end > given && (*end == 0 || *end == ':'), late = ok && *end == ':';
    const char *second = late ? end + 1 : end;
    if (late) {
        o->delay = strtol(second, &end, 10);
        ok = end > second && *end == 0 && o->delay >= 0;
    }
    if (ok && o->window > 0 && o->window <= 1 << 20) return true;
    return cli_usage(c, "--window takes a number of steps, and behind a ':' how many of them an output is late, not '%.40s'", given), false;
}

static bool take_options(Cli *c, EmitOptions *o) {
    int layout = EMIT_FLAT;
    int64_t simd = 0;
    *o = (EmitOptions){.test = cli_has(c, OPT_TEST), .train = cli_has(c, OPT_TRAIN), .freestanding = cli_has(c, OPT_FREESTANDING), .ragged = cli_has(c, OPT_RAGGED),
                       .data = cli_get(c, OPT_DATA)};
    take_storage(c, o);
    if (!take_window(c, o)) return false;
    if (!cli_choice(c, OPT_LAYOUT, layout_name, &layout) || !cli_int(c, OPT_SIMD, 1, 16, &simd)) return false;
    o->layout = (EmitLayout)layout;
    o->simd = (int)simd;
    if ((simd & (simd - 1)) || simd == 2) return cli_usage(c, "--simd takes 1, 4, 8 or 16"), false;
    return true;
}

/* What the narrower weights cost. */
static void print_report(Cli *c, Model *m, const EmitOptions *o) {
    const EmitReport *r = o->report;
    Str s = str_make(ctx_arena(c->ctx));
    str_printf(&s, "%s: %lld bytes of weights, %lld as f32\n", storage_name[o->storage], (long long)r->bytes[1], (long long)r->bytes[0]);
    if (r->measured) {
        str_printf(&s, "loss %.6g, %.6g as f32\n", r->loss[1], r->loss[0]);
        for (size_t i = 0; i < rondo_count(m, RONDO_METRIC); i++) {
            rondo_info info;
            if (rondo_describe(m, RONDO_METRIC, i, &info) != RONDO_OK) break;
            str_printf(&s, "%s %.6g, %.6g as f32\n", info.name, r->metric[1][i], r->metric[0][i]);
        }
    } else {
        str_put(&s, "what that costs was not measured: the model has no data here (--data FILE)\n");
    }
    cli_write(c, NULL, s.at, s.n);
}

static CliExit emit(Cli *c, Model *m, EmitOptions *o, const char *dir) {
    EmitReport report = {0};
    o->report = &report;
    if (!emit_c_model(m, o, dir)) return cli_status(c);
    if (o->storage) print_report(c, m, o);
    return CLI_OK;
}

CliExit cmd_emit(Cli *c) {
    EmitOptions o;
    int k = 0;
    while (emit_kind_name[k] && strcmp(emit_kind_name[k], c->arg[0])) k++;
    if (!emit_kind_name[k]) return cli_usage(c, "emit writes c, obj, so, asm or llvm, not '%.60s'", c->arg[0]);
    const char *dir = cli_get(c, OPT_OUT);
    if (!dir) return cli_usage(c, "-o DIR is missing: where the files go");
    if (!take_options(c, &o)) return CLI_USAGE;
    o.kind = k;
    o.target = cli_get(c, OPT_TARGET);
    o.cpu = cli_get(c, OPT_CPU);
    if (k && o.layout) return cli_usage(c, "--layout is of emit c");
    if (!k && (o.target || o.cpu)) return cli_usage(c, "--%s is of emit so, obj, asm and llvm: C is the same for every machine", o.target ? "target" : "cpu");
    CliExit rc;
    Model *m = cli_model(c, c->arg[1], &rc);
    if (!m) return rc;
    if (cli_weights(c, m, false, &rc)) rc = emit(c, m, &o, dir);
    model_close(m);
    return rc;
}
