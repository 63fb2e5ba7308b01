/* trace: one example step by step, by a stream. */
#include <string.h>

#include "cli/cli.h"

static bool no_example(Cli *c, int64_t example, int64_t n) {
    diag_error(c->ctx, 554, (Span){0, 0}, "there is no example %lld: there are %lld, from 0 on", (long long)example,
               (long long)n);
    return false;
}

bool cli_example(Cli *c, Model *m, const char *data, int64_t example, Arrays *in) {
    Arena *a = ctx_arena(c->ctx);
    Dataset d;
    if (!dataset_load(m, data, a, data != NULL, &d)) return false;
    if (example >= 0 && example < d.n && d.by_place)
        example = d.by_place[example];
    else if (example < 0)
        example = d.train + d.valid < d.n ? d.train + d.valid : 0;
    if (example < d.n) return dataset_example(m, &d, example, a, in);
    return no_example(c, example, d.n);
}

/* Numbers of one step; of a fixed axis all of its steps. */
static int64_t port_numbers(const PortDesc *p) {
    int64_t n = p->seq && p->steps ? p->steps : 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return n;
}

static void put_values(Str *s, const char *name, const float *v, int64_t n) {
    str_printf(s, "  %-20s", name);
    for (int64_t i = 0; i < n; i++) str_printf(s, " %.6g", (double)v[i]);
    str_putc(s, '\n');
}

static bool put_states(Str *s, Model *m, rondo_stream *stream, Arena *a) {
    for (size_t i = 0; i < rondo_count(m, RONDO_STATE); i++) {
        rondo_info x;
        int64_t n = 1;
        if (rondo_describe(m, RONDO_STATE, i, &x) != RONDO_OK) return false;
        for (int k = 1; k < x.rank; k++) n *= x.dim[k];
        float *v = NEW_N(a, float, n + 1);
        if (rondo_stream_get(stream, x.name, v, (size_t)n) != RONDO_OK) return false;
        put_values(s, x.name, v, n);
    }
    return true;
}

/* Steps of an example in the array of input p; 1: p has none; 0: the array does not fit. */
static int64_t steps_in(const PortDesc *p, const Array *x) {
    int64_t n = x->rank ? array_count(x) : 0, steps = !p->seq || p->steps ? 1 : x->rank > 1 ? x->dim[1] : 0;
    return n > 0 && n == x->dim[0] * steps * port_numbers(p) ? steps : 0;
}

/* The array of input p, and the steps of example b in it. NULL with a diagnostic. */
static const Array *input_of(Cli *c, const PortDesc *p, const Arrays *in, int64_t b, int64_t *steps) {
    const char *name = name_str(c->ctx, p->name);
    Arena *a = ctx_arena(c->ctx);
    const Array *x = arrays_find(in, name), *length = NULL;
    if (p->seq) length = arrays_find(in, arena_printf(a, "length/%s", name_str(c->ctx, p->axis)));
    if (!x) x = arrays_find(in, arena_printf(a, "input/%s", name));
    *steps = x ? steps_in(p, x) : 0;
    if (!x)
        diag_error(c->ctx, 605, p->span, "there is no array for the input '%s'", name);
    else if (!*steps)
        diag_error(c->ctx, 606, p->span, "the array for '%s' has not the shape of the input", name);
    else if (b >= x->dim[0])
        no_example(c, b, x->dim[0]);
    if (!*steps || b >= x->dim[0]) return NULL;
    double real = length && b < array_count(length) ? array_get(length, b) : 0;
    if (real >= 1 && real < (double)*steps) *steps = (int64_t)real;
    return x;
}

static bool steps_of(Cli *c, const ModelDesc *d, const Arrays *in, int64_t b, const Array **x, int64_t *steps) {
    *steps = 0;
    for (uint32_t i = 0; i < d->input.n; i++) {
        const PortDesc *p = &d->input.at[i];
        int64_t own;
        if (!(x[i] = input_of(c, p, in, b, &own))) return false;
        if (!p->seq || p->steps) continue;
        if (*steps && own != *steps) {
            diag_error(c->ctx, 606, p->span, "the input '%s' has %lld steps, another one %lld", name_str(c->ctx, p->name),
                       (long long)own, (long long)*steps);
            return false;
        }
        *steps = own;
    }
    if (!*steps) *steps = 1;
    return true;
}

static bool put_step(Str *s, Model *m, rondo_stream *stream, const Array *const *x, int64_t b, int64_t t, Arena *a) {
    const ModelDesc *d = model_desc(m);
    float *in = NEW_N(a, float, rondo_stream_inputs(stream) + 1), *out = NEW_N(a, float, rondo_stream_outputs(stream) + 1),
          *v = in;
    str_printf(s, "step %lld\n", (long long)t + 1);
    for (uint32_t i = 0; i < d->input.n; i++) {
        const PortDesc *p = &d->input.at[i];
        int64_t n = port_numbers(p), from = b * (array_count(x[i]) / x[i]->dim[0]) + (p->seq && !p->steps ? t * n : 0);
        for (int64_t k = 0; k < n; k++) v[k] = (float)array_get(x[i], from + k);
        put_values(s, name_str(model_ctx(m), p->name), v, n);
        v += n;
    }
    if (rondo_stream_step(stream, in, out) != RONDO_OK || !put_states(s, m, stream, a)) return false;
    v = out;
    for (uint32_t i = 0; i < d->output.n; i++) {
        int64_t n = port_numbers(&d->output.at[i]);
        put_values(s, name_str(model_ctx(m), d->output.at[i].name), v, n);
        v += n;
    }
    return true;
}

CliExit cli_trace(Cli *c, Model *m, const Arrays *in, int64_t b) {
    Arena *a = ctx_arena(c->ctx);
    const ModelDesc *d = model_desc(m);
    const Array **x = NEW_N(a, const Array *, d->input.n + 1);
    rondo_stream *stream = NULL;
    int64_t steps;
    Str s = str_make(a);
    if (!steps_of(c, d, in, b, x, &steps)) return CLI_INPUT;
    CliExit rc = cli_result(c, m, rondo_stream_open(m, 1, &stream));
    if (rc != CLI_OK) return rc;
    str_put(&s, "start\n");
    bool ok = put_states(&s, m, stream, a);
    for (int64_t t = 0; ok && t < steps; t++) ok = put_step(&s, m, stream, x, b, t, a);
    rondo_stream_close(stream);
    return ok && cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
}
