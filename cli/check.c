/* rondo check: reads and checks a file; prints what the model is made of. */
#include "cli/cli.h"

#include <inttypes.h>

static void put_dims(Str *s, int rank, const int32_t *dim) {
    str_putc(s, '[');
    for (int i = 0; i < rank; i++) str_printf(s, "%s%" PRId32, i ? ", " : "", dim[i]);
    str_putc(s, ']');
}

static void put_type(Str *s, int dtype, int32_t vocab, int rank, const int32_t *dim) {
    if (vocab)
        str_printf(s, "token[%" PRId32 "]", vocab);
    else if (dtype == DT_B && rank == 0)
        str_put(s, "bool");
    else
        put_dims(s, rank, dim);
    str_putc(s, '\n');
}

static void put_port(Str *s, Ctx *ctx, const char *role, const PortDesc *p) {
    str_printf(s, "  %-8s %-20s ", role, name_str(ctx, p->name));
    if (p->seq && p->steps)
        str_printf(s, "seq(%" PRId32 ") ", p->steps);
    else if (p->seq)
        str_printf(s, "seq(%s) ", name_str(ctx, p->axis));
    put_type(s, p->dtype, p->vocab, p->rank, p->dim);
}

static void print_text(Cli *c, const ModelDesc *d) {
    Ctx *ctx = c->ctx;
    Str s = str_make(ctx_arena(ctx));
    str_printf(&s, "model %s: %" PRId64 " parameters\n", name_str(ctx, d->name), d->theta_size);
    for (uint32_t i = 0; i < d->input.n; i++) put_port(&s, ctx, "input", &d->input.at[i]);
    for (uint32_t i = 0; i < d->target.n; i++) put_port(&s, ctx, "target", &d->target.at[i]);
    for (uint32_t i = 0; i < d->param.n; i++) {
        const ParamDesc *p = &d->param.at[i];
        str_printf(&s, "  %-8s %-20s ", p->is_const ? "const" : "param", name_str(ctx, p->name));
        put_dims(&s, p->rank, p->dim);
        str_putc(&s, '\n');
    }
    for (uint32_t i = 0; i < d->state.n; i++) {
        const StateDesc *p = &d->state.at[i];
        str_printf(&s, "  %-8s %-20s ", "state", name_str(ctx, p->name));
        put_type(&s, p->dtype, p->vocab, p->rank, p->dim);
    }
    for (uint32_t i = 0; i < d->output.n; i++) put_port(&s, ctx, "output", &d->output.at[i]);
    for (uint32_t i = 0; i < d->loss.n; i++) str_printf(&s, "  %-8s %s\n", "loss", d->loss.at[i].text);
    for (uint32_t i = 0; i < d->metric.n; i++) str_printf(&s, "  %-8s %s\n", "metric", d->metric.at[i].text);
    cli_write(c, NULL, s.at, s.n);
}

static void json_dims(Str *s, int rank, const int32_t *dim) {
    str_put(s, ", \"shape\": [");
    for (int i = 0; i < rank; i++) str_printf(s, "%s%" PRId32, i ? ", " : "", dim[i]);
    str_put(s, "]}");
}

static void json_name(Str *s, Ctx *ctx, uint32_t i, Name name) {
    str_put(s, i ? ", {\"name\": " : "{\"name\": ");
    put_json_string(s, name_str(ctx, name));
}

static void json_ports(Str *s, Ctx *ctx, const char *key, const PortDesc *p, uint32_t n) {
    str_printf(s, ", \"%s\": [", key);
    for (uint32_t i = 0; i < n; i++) {
        json_name(s, ctx, i, p[i].name);
        if (p[i].seq) {
            str_put(s, ", \"axis\": ");
            put_json_string(s, name_str(ctx, p[i].axis));
        }
        if (p[i].steps) str_printf(s, ", \"steps\": %" PRId32, p[i].steps);
        if (p[i].vocab) str_printf(s, ", \"vocabulary\": %" PRId32, p[i].vocab);
        json_dims(s, p[i].rank, p[i].dim);
    }
    str_putc(s, ']');
}

static void print_json(Cli *c, const ModelDesc *d) {
    Ctx *ctx = c->ctx;
    Str s = str_make(ctx_arena(ctx));
    str_put(&s, "{\"model\": ");
    put_json_string(&s, name_str(ctx, d->name));
    str_printf(&s, ", \"parameters\": %" PRId64, d->theta_size);
    json_ports(&s, ctx, "inputs", d->input.at, d->input.n);
    json_ports(&s, ctx, "targets", d->target.at, d->target.n);
    json_ports(&s, ctx, "outputs", d->output.at, d->output.n);
    str_put(&s, ", \"params\": [");
    for (uint32_t i = 0; i < d->param.n; i++) {
        json_name(&s, ctx, i, d->param.at[i].name);
        if (d->param.at[i].is_const) str_put(&s, ", \"const\": true");
        json_dims(&s, d->param.at[i].rank, d->param.at[i].dim);
    }
    str_put(&s, "], \"states\": [");
    for (uint32_t i = 0; i < d->state.n; i++) {
        json_name(&s, ctx, i, d->state.at[i].name);
        json_dims(&s, d->state.at[i].rank, d->state.at[i].dim);
    }
    str_put(&s, "]}\n");
    cli_write(c, NULL, s.at, s.n);
}

CliExit cmd_check(Cli *c) {
    ModelOptions m;
    if (!cli_model_options(c, &m)) return CLI_USAGE;
    FrontendOptions o = {.std_dir = m.std_dir, .set = m.set, .nset = (uint32_t)m.nset, .model = m.model};
    Program *p = frontend_load(c->ctx, ctx_arena(c->ctx), c->arg[0], &o);
    if (!p) return CLI_INPUT;
    const ModelDesc *d = frontend_desc(p);
    if (cli_has(c, OPT_JSON) && d->name)
        print_json(c, d);
    else if (cli_has(c, OPT_JSON))
        puts("{}");
    else if (d->name)
        print_text(c, d);
    else
        printf("%s: no errors; no model\n", c->arg[0]);
    return CLI_OK;
}
