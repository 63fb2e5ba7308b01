/* tables: metrics of more than one number, in JSON and in words: a number for each class, or one for each pair of classes. */
#include "cli/cli.h"

#include <string.h>

static int rows_of(const MetricDesc *d) { return d->rank > 1 ? d->dim[0] : 1; }
static int columns_of(const MetricDesc *d) { return d->rank ? d->dim[d->rank - 1] : 1; }

uint32_t metric_numbers(const MetricDesc *d) { return (uint32_t)rows_of(d) * (uint32_t)columns_of(d); }

void put_json_metric(Str *s, const MetricDesc *d, const double *v) {
    int columns = columns_of(d);
    if (!d->rank) {
        put_json_number(s, *v);
        return;
    }
    str_putc(s, '[');
    for (int i = 0; i < rows_of(d); i++) {
        str_put(s, d->rank == 1 ? "" : i ? ", [" : "[");
        for (int k = 0; k < columns; k++) {
            str_put(s, k ? ", " : "");
            put_json_number(s, v[i * columns + k]);
        }
        if (d->rank > 1) str_putc(s, ']');
    }
    str_putc(s, ']');
}

static const char *label(Arena *a, const char *const *name, int k) { return name ? name[k] : arena_printf(a, "%d", k); }

static void put_line(Str *s, Arena *a, const MetricDesc *d, const double *v, const double *sd, const char *const *name) {
    for (int k = 0; k < columns_of(d); k++) {
        str_printf(s, "%s %s %.4g", k ? "," : ":", label(a, name, k), v[k]);
        if (sd) str_printf(s, " (%.2g)", sd[k]);
    }
    str_putc(s, '\n');
}

/* Columns as wide as what stands in them. */
static void put_square(Str *s, Arena *a, const MetricDesc *d, const double *v, const char *const *name) {
    int rows = rows_of(d), columns = columns_of(d), left = 0;
    for (int i = 0; i < rows; i++)
        if ((int)strlen(label(a, name, i)) > left) left = (int)strlen(label(a, name, i));
    for (int i = -1; i < rows; i++) {
        str_printf(s, "%s%*s", i < 0 ? "\n" : "", left + 2, i < 0 ? "" : label(a, name, i));
        for (int k = 0; k < columns; k++) {
            int width = (int)strlen(label(a, name, k));
            for (int r = 0; r < rows; r++) {
                int n = snprintf(NULL, 0, "%.4g", v[r * columns + k]);
                if (n > width) width = n;
            }
            if (i < 0)
                str_printf(s, "  %*s", width, label(a, name, k));
            else
                str_printf(s, "  %*.4g", width, v[i * columns + k]);
        }
        str_putc(s, '\n');
    }
}

void put_metric_table(Str *s, Arena *a, const char *title, const MetricDesc *d, const double *v, const double *sd, const char *const *name,
                      int names) {
    enum { WIDEST = 20 };
    str_put(s, title);
    if (columns_of(d) > WIDEST) {
        str_printf(s, ": %u numbers, which `rondo eval` prints\n", metric_numbers(d));
        return;
    }
    if (columns_of(d) != names || rows_of(d) > names) name = NULL;
    if (d->rank == 1)
        put_line(s, a, d, v, sd, name);
    else
        put_square(s, a, d, v, name);
}
