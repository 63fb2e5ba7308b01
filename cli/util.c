/* What the subcommands share: option values, output, JSON text. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const opt_name[OPT_COUNT] = {
#define OPT(ID, name, letter, arg, help) name,
#include "cli/options.def"
#undef OPT
};

const char *cli_get(const Cli *c, Opt o) {
    for (uint32_t i = c->use.n; i-- > 0;)
        if (c->use.at[i].opt == o) return c->use.at[i].value;
    return NULL;
}

bool cli_has(const Cli *c, Opt o) { return cli_get(c, o) != NULL; }

const char *cli_nth(const Cli *c, Opt o, uint32_t i) {
    for (uint32_t k = 0; k < c->use.n; k++)
        if (c->use.at[k].opt == o && i-- == 0) return c->use.at[k].value;
    return NULL;
}

CliExit cli_usage(Cli *c, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->usage, sizeof c->usage, fmt, ap);
    va_end(ap);
    return CLI_USAGE;
}

bool cli_int(Cli *c, Opt o, int64_t min, int64_t max, int64_t *out) {
    const char *text = cli_get(c, o);
    if (!text) return true;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || (*text != '-' && (*text < '0' || *text > '9')) || v < min || v > max) {
        if (max == INT64_MAX)
            cli_usage(c, "--%s takes a whole number from %lld, not '%.60s'", opt_name[o], (long long)min, text);
        else
            cli_usage(c, "--%s takes a whole number from %lld to %lld, not '%.60s'", opt_name[o], (long long)min, (long long)max,
                      text);
        return false;
    }
    *out = v;
    return true;
}

bool cli_bytes(Cli *c, Opt o, size_t *out) {
    static const char unit[] = "KMGT";
    const char *text = cli_get(c, o);
    if (!text) return true;
    char *end;
    double v = strtod(text, &end);
    const char *u = *end ? strchr(unit, toupper((unsigned char)*end)) : NULL;
    if (u) {
        v *= ldexp(1, 10 * (int)(u - unit + 1));
        end++;
    }
    if (end == text || *end || !(v >= 1 && v < 0x1p60)) {
        cli_usage(c, "--%s takes bytes, with K, M, G or T for powers of 1024, as in 64M; not '%.60s'", opt_name[o], text);
        return false;
    }
    *out = (size_t)v;
    return true;
}

bool cli_number(Cli *c, Opt o, double min, double max, double *out) {
    const char *text = cli_get(c, o);
    char *end;
    if (!text) return true;
    double v = parse_double(text, &end);
    if (end == text || *end || !(v >= min && v <= max)) {
        cli_usage(c, "--%s takes a number from %g to %g, not '%.60s'", opt_name[o], min, max, text);
        return false;
    }
    *out = v;
    return true;
}

bool cli_choice(Cli *c, Opt o, const char *const *word, int *out) {
    const char *text = cli_get(c, o);
    if (!text) return true;
    Str list = str_make(ctx_arena(c->ctx));
    for (int i = 0; word[i]; i++) {
        if (!strcmp(text, word[i])) {
            *out = i;
            return true;
        }
        str_printf(&list, "%s%s", i == 0 ? "" : word[i + 1] ? ", " : " or ", word[i]);
    }
    cli_usage(c, "--%s takes %s, not '%.60s'", opt_name[o], list.at, text);
    return false;
}

double cli_class(const Model *m, const Array *x, int64_t k, int64_t n, bool step) {
    const ModelDesc *d = model_desc(m);
    const PortDesc *y = d->target.n ? &d->target.at[0] : NULL;
    if (!y || y->rank || y->seq != step || (!y->vocab && y->dtype != DT_B)) return -1;
    if (n == 1 && y->vocab) return x->type != RONDO_F32 && x->type != RONDO_F64 ? array_get(x, k) : -1;
    if (n != (y->vocab ? y->vocab : 1)) return -1;
    if (n == 1) return array_get(x, k) > 0.5;
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (array_get(x, k * n + i) > array_get(x, k * n + best)) best = i;
    return (double)best;
}

const char *cli_class_name(Model *m, Arena *a, double v) {
    const ModelDesc *d = model_desc(m);
    const PortDesc *y = d->target.n ? &d->target.at[0] : NULL;
    bool text = y && y->seq && y->vocab && (settings_find(&d->data, intern(model_ctx(m), "text")) || settings_find(&d->data, intern(model_ctx(m), "teacher")));
    const char *token = text ? data_token(m, a, (int64_t)v) : NULL;
    return !token ? data_class(m, a, v) : strcmp(token, "\n") ? token : "\\n";
}

const char *cli_of_column(Ctx *ctx, const ModelDesc *d, const char *what, uint32_t c) {
    return series_targets(ctx, d) > 1 ? arena_printf(ctx_arena(ctx), "%s[%s]", what, series_target_name(ctx, d, c)) : what;
}

int64_t cli_features(const PortDesc *p) {
    int64_t n = 1;
    for (int k = 0; k < p->rank; k++) n *= p->dim[k];
    return n;
}

int64_t cli_numbers(const Model *m, uint32_t output) {
    const ModelDesc *d = model_desc(m);
    const PortDesc *y = d->target.n ? &d->target.at[0] : NULL, *o = &d->output.at[output];
    return y && y->dtype == DT_F && o->dtype == DT_F && y->seq == o->seq && cli_features(y) == cli_features(o) ? cli_features(y) : 0;
}

double cli_true_number(const OutputRow *r, int64_t k) {
    int64_t per = r->target && r->target->dim[0] ? array_count(r->target) / r->target->dim[0] : 0;
    return k < per ? array_get(r->target, r->row * per + k) : NAN;
}

double cli_truth(const OutputRow *r, int64_t t) {
    double v = cli_true_number(r, t);
    return isnan(v) ? -1 : v;
}

CliExit cli_status(const Cli *c) {
    CliExit worst = CLI_OK;
    for (uint32_t i = 0; i < diag_count(c->ctx); i++) {
        const Diag *d = diag_at(c->ctx, i);
        if (d->kind != DIAG_ERROR) continue;
        if (d->code == 999) return CLI_INTERNAL;
        worst = CLI_INPUT;
    }
    return worst;
}

bool cli_write(Cli *c, const char *path, const char *text, size_t n) {
    if (path && strcmp(path, "-")) return file_write(c->ctx, path, text, n);
    if (fwrite(text, 1, n, stdout) == n && fflush(stdout) == 0) return true;
    diag_error(c->ctx, 1, (Span){0, 0}, "cannot write to standard output: %s", strerror(errno));
    return false;
}

double cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void put_word(Str *s, const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
    if (*text && !text[strspn(text, plain)]) {
        str_put(s, text);
        return;
    }
    str_putc(s, '\'');
    for (; *text; text++) {
        if (*text == '\'') str_put(s, "'\\'");
        str_putc(s, *text);
    }
    str_putc(s, '\'');
}

void put_json_string(Str *s, const char *text) {
    str_putc(s, '"');
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        if (ch == '"' || ch == '\\') {
            str_putc(s, '\\');
            str_putc(s, *text);
        } else if (ch < 0x20) {
            str_printf(s, "\\u%04x", ch);
        } else {
            str_putc(s, *text);
        }
    }
    str_putc(s, '"');
}

void put_json_number(Str *s, double v) {
    if (isfinite(v))
        str_double(s, v);
    else
        str_put(s, "null");
}
