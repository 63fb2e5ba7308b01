/* plot tune: what the runs of a search came to, over each setting that varied; the longest run of each trial. */
#include "cli/plot.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct {
    int64_t asked;
    double value;
    const char **setting; /* as text */
} Run;
typedef struct {
    Arena *a;
    VEC(const char *) axis;
    VEC(bool) log;
    VEC(Run) run; /* by trial */
    const char *watched;
} Search;

static bool read_head(Search *s, json_t *o) {
    json_t *axes = json_object_get(o, "axes"), *logs = json_object_get(o, "log"), *v;
    const char *watched = json_string_value(json_object_get(o, "watched"));
    size_t i;
    json_array_foreach(axes, i, v) VEC_PUSH(s->a, s->axis) = json_is_string(v) ? arena_strdup(s->a, json_string_value(v)) : "";
    json_array_foreach(logs, i, v) VEC_PUSH(s->a, s->log) = json_is_true(v);
    s->watched = watched ? arena_strdup(s->a, watched) : "";
    return s->axis.n > 0 && s->log.n == s->axis.n && watched;
}

static bool read_run(Search *s, json_t *o) {
    json_t *values = json_object_get(o, "values"), *value = json_object_get(o, "value");
    int64_t k = json_integer_value(json_object_get(o, "trial")), asked = json_integer_value(json_object_get(o, "asked"));
    if (k < 0 || k > 1000000 || json_array_size(values) != s->axis.n) return false;
    while (s->run.n <= k) VEC_PUSH(s->a, s->run) = (Run){.value = NAN};
    Run *r = &s->run.at[k];
    if (asked <= r->asked) return true;
    *r = (Run){asked, json_is_number(value) ? json_number_value(value) : NAN, NEW_N(s->a, const char *, s->axis.n)};
    for (uint32_t i = 0; i < s->axis.n; i++) {
        const char *text = json_string_value(json_array_get(values, i));
        r->setting[i] = text ? arena_strdup(s->a, text) : "";
    }
    return true;
}

static bool read_search(Cli *c, const char *path, Search *s) {
    char *text;
    size_t n;
    int line = 0;
    if (!file_read(c->ctx, s->a, path, &text, &n)) return false;
    for (const char *p = text, *e; (e = strchr(p, '\n')); p = e + 1) {
        json_error_t err;
        json_t *o = json_loadb(p, (size_t)(e - p), 0, &err);
        bool ok = json_is_object(o) && (line++ ? read_run(s, o) : read_head(s, o));
        json_decref(o);
        if (ok) continue;
        diag_error(c->ctx, 622, (Span){0, 0}, "%s: line %d is not what `rondo tune` writes", path, line ? line : 1);
        return false;
    }
    for (uint32_t k = 0; k < s->run.n; k++)
        if (isfinite(s->run.at[k].value)) return true;
    diag_error(c->ctx, 554, (Span){0, 0}, "%s holds no finished run", path);
    return false;
}

/* The number a setting stands for, or the place of its text among those that occur. */
static double place(const Search *s, uint32_t axis, const char *text, bool *numeric) {
    uint32_t at = 0;
    *numeric = true;
    for (uint32_t k = 0; k < s->run.n; k++) {
        char *end;
        if (!s->run.at[k].setting) continue;
        parse_double(s->run.at[k].setting[axis], &end);
        *numeric = *numeric && end != s->run.at[k].setting[axis] && !*end;
    }
    if (*numeric) {
        char *end;
        return parse_double(text, &end);
    }
    for (uint32_t k = 0; k < s->run.n; k++) {
        bool before = false;
        if (!s->run.at[k].setting) continue;
        if (!strcmp(s->run.at[k].setting[axis], text)) return at;
        for (uint32_t j = 0; j < k && !before; j++)
            before = s->run.at[j].setting && !strcmp(s->run.at[j].setting[axis], s->run.at[k].setting[axis]);
        at += !before;
    }
    return at;
}

static void put_panel(Plot *p, const Search *s, uint32_t axis) {
    bool numeric = true, any = false;
    str_printf(&p->data, "$a%u << E\n", axis);
    str_put(&p->script, "unset xtics\nset xtics");
    for (uint32_t k = 0; k < s->run.n; k++) {
        const Run *r = &s->run.at[k];
        if (!isfinite(r->value)) continue;
        double x = place(s, axis, r->setting[axis], &numeric);
        str_printf(&p->data, "%.9g,%.9g,%lld\n", x, r->value, (long long)r->asked);
        if (numeric) continue;
        str_put(&p->script, any ? ", " : " (");
        plot_text(&p->script, r->setting[axis]);
        str_printf(&p->script, " %g", x);
        any = true;
    }
    str_put(&p->data, "E\n");
    str_printf(&p->script, "%s\n%s logscale x\nset xlabel ", any ? ")" : "", s->log.at[axis] && numeric ? "set" : "unset");
    plot_text(&p->script, s->axis.at[axis]);
    str_printf(&p->script, "\nplot $a%u using 1:2:3 with points pt 7 ps 0.8 palette\n", axis);
}

bool plot_tune(Plot *p, const char *path) {
    Search s = {.a = ctx_arena(p->cli->ctx)};
    if (!read_search(p->cli, path, &s)) return false;
    int columns = s.axis.n < 3 ? (int)s.axis.n : 3, rows = ((int)s.axis.n + columns - 1) / columns;
    p->width = 380 * columns + 80;
    p->height = 320 * rows;
    str_printf(&p->script,
               "set multiplot layout %d,%d\nunset key\nset offsets graph 0.05, graph 0.05, graph 0.05, graph 0.05\nset ylabel ",
               rows, columns);
    plot_text(&p->script, s.watched);
    str_put(&p->script, "\nset palette defined (0 '#a0c0e0', 1 '#c03020')\nset cblabel 'epochs'\n");
    for (uint32_t i = 0; i < s.axis.n; i++) put_panel(p, &s, i);
    str_put(&p->script, "unset multiplot\n");
    str_printf(&p->said, "%u trials", s.run.n);
    return true;
}
