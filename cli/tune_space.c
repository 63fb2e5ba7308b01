/* space: templates of settings, and the points of a grid or of a random search in them. */
#include "cli/tune.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *trimmed(Arena *a, const char *p, const char *end) {
    while (p < end && *p == ' ') p++;
    while (end > p && end[-1] == ' ') end--;
    return arena_strndup(a, p, (size_t)(end - p));
}

/* "lo .. hi" or "lo .. hi log"; false: it is no range. */
static bool read_range(Arena *a, const char *text, Varied *x, bool *good) {
    const char *dots = strstr(text, ".."), *first;
    char *end;
    if (!dots) return false;
    first = arena_strndup(a, text, (size_t)(dots - text)); /* of 2..9 the point is not the number's */
    x->lo = parse_double(first, &end);
    *good = end != first && !end[strspn(end, " ")];
    const char *second = dots + 2 + strspn(dots + 2, " ");
    x->hi = parse_double(second, &end);
    *good = *good && end != second;
    end += strspn(end, " ");
    x->log = strcmp(end, "log") == 0;
    *good = *good && (x->log || !*end) && x->lo < x->hi && isfinite(x->lo) && isfinite(x->hi) && (!x->log || x->lo > 0);
    x->whole = x->lo == floor(x->lo) && x->hi == floor(x->hi) && !strpbrk(text, "eE") &&
               !strchr(first, '.') && !strchr(second, '.');
    return true;
}

static bool read_choices(Arena *a, const char *text, Varied *x) {
    int depth = 0;
    bool quoted = false;
    const char *from = text, *p = text;
    for (;; p++) {
        if (*p == '"') quoted = !quoted;
        if (!quoted && *p) depth += (strchr("([", *p) != NULL) - (strchr(")]", *p) != NULL);
        if (*p && (*p != ',' || depth || quoted)) continue;
        const char *one = trimmed(a, from, p);
        if (!*one) return false;
        VEC_PUSH(a, x->choice) = one;
        if (!*p) return true;
        from = p + 1;
    }
}

static bool read_axis(Cli *c, const char *given, const char *from, const char *end, Varied *x) {
    Arena *a = ctx_arena(c->ctx);
    const char *text = trimmed(a, from, end);
    bool good = true;
    if (read_range(a, text, x, &good) ? good : read_choices(a, text, x)) return true;
    const char *why = x->lo >= x->hi ? "; a range goes from the smaller number to the larger" : x->log && x->lo <= 0 ? "; one with log is above 0" : "";
    cli_usage(c, "--set '%.60s': braces hold choices, {8, 16, 32}, or a range, {0 .. 0.5} or {1e-4 .. 1e-1 log}%s", given, strstr(text, "..") ? why : "");
    return false;
}

/* Of "optimizer=adam(lr = " lr, of "H=" H. */
static const char *name_before(Arena *a, const char *text, size_t n) {
    while (n && (text[n - 1] == ' ' || text[n - 1] == '=')) n--;
    size_t from = n;
    while (from && (isalnum((unsigned char)text[from - 1]) || text[from - 1] == '_')) from--;
    return from < n ? arena_strndup(a, text + from, n - from) : arena_strndup(a, text, strcspn(text, "="));
}

static bool read_template(Cli *c, const char *given, Space *s) {
    Arena *a = ctx_arena(c->ctx);
    Str form = str_make(a);
    const char *p = given;
    for (const char *open; (open = strchr(p, '{'));) {
        const char *close = strchr(open, '}');
        str_putn(&form, p, (size_t)(open - p));
        Varied x = {.name = name_before(a, form.at, form.n)};
        if (!close || !read_axis(c, given, open + 1, close, &x)) {
            if (!close) cli_usage(c, "--set '%.60s': a brace is not closed", given);
            return false;
        }
        VEC_PUSH(a, s->axis) = x;
        str_putc(&form, '\1');
        p = close + 1;
    }
    str_put(&form, p);
    VEC_PUSH(a, s->form) = form.at;
    VEC_PUSH(a, s->text) = given;
    return true;
}

bool space_read(Cli *c, Space *s) {
    uint32_t kept = 0;
    *s = (Space){0};
    for (uint32_t i = 0; i < c->use.n; i++) {
        OptUse u = c->use.at[i];
        if (u.opt != OPT_SET || !strchr(u.value, '{'))
            c->use.at[kept++] = u;
        else if (!read_template(c, u.value, s))
            return false;
    }
    c->use.n = kept;
    if (s->axis.n) return true;
    cli_usage(c, "nothing varies: --set 'H={8, 16, 32}' or --set 'optimizer=adam(lr = {1e-4 .. 1e-1 log})'");
    return false;
}

int64_t space_grid(const Space *s) {
    int64_t n = 1;
    for (uint32_t i = 0; i < s->axis.n; i++) {
        n *= s->axis.at[i].choice.n;
        if (n == 0 || n > 1000000) return -1;
    }
    return n;
}

double space_points(const Space *s) {
    double n = 1;
    for (uint32_t i = 0; i < s->axis.n; i++) {
        const Varied *x = &s->axis.at[i];
        n *= x->choice.n ? x->choice.n : x->whole ? x->hi - x->lo + 1 : INFINITY;
    }
    return n;
}

void space_grid_point(const Space *s, int64_t k, const char **value) {
    for (uint32_t i = s->axis.n; i-- > 0;) {
        const Varied *x = &s->axis.at[i];
        value[i] = x->choice.at[k % x->choice.n];
        k /= x->choice.n;
    }
}

void space_draw(const Space *s, Arena *a, uint64_t seed, int64_t k, const char **value) {
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)k * UINT64_C(0xd1342543de82ef95);
    random_next(&state);
    for (uint32_t i = 0; i < s->axis.n; i++) {
        const Varied *x = &s->axis.at[i];
        double u = (double)(random_next(&state) >> 11) * 0x1p-53;
        if (x->choice.n) {
            value[i] = x->choice.at[(uint32_t)(u * x->choice.n)];
            continue;
        }
        double lo = x->lo, hi = x->whole ? x->hi + 1 : x->hi, v = x->log ? lo * pow(hi / lo, u) : lo + (hi - lo) * u;
        value[i] = x->whole ? arena_printf(a, "%lld", (long long)fmin(floor(v), x->hi)) : arena_printf(a, "%.6g", v);
    }
}

const char **space_settings(const Space *s, Arena *a, const char *const *value) {
    const char **set = NEW_N(a, const char *, s->form.n + 1);
    for (uint32_t i = 0; i < s->form.n; i++) {
        Str text = str_make(a);
        for (const char *p = s->form.at[i]; *p; p++) {
            if (*p == '\1')
                str_put(&text, *value++);
            else
                str_putc(&text, *p);
        }
        set[i] = text.at;
    }
    return set;
}
