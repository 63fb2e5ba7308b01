/* csv: comma-separated values as RFC 4180 has them: quotes, doubled quotes, line ends inside quotes, LF or CRLF. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *path, *p, *end, *line_start;
    uint32_t line;
    VEC(const char *) cell;
    VEC(uint32_t) row_line;
} Reader;

static bool fail(Reader *r, const char *why) {
    diag_error(r->ctx, 610, (Span){0, 0}, "%s:%u:%zu: %s", r->path, r->line, (size_t)(r->p - r->line_start) + 1, why);
    return false;
}

static void next_line(Reader *r) {
    r->line++;
    r->line_start = r->p;
}

static bool quoted_cell(Reader *r, const char **out) {
    Str s = str_make(r->a);
    str_put(&s, "");
    r->p++;
    for (;;) {
        if (r->p >= r->end) return fail(r, "a quoted cell does not end");
        char c = *r->p++;
        if (c == '"') {
            if (r->p < r->end && *r->p == '"') r->p++;
            else break;
        }
        str_putc(&s, c);
        if (c == '\n') next_line(r);
    }
    if (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r') return fail(r, "text after the closing quote of a cell");
    *out = s.at ? s.at : "";
    return true;
}

static bool plain_cell(Reader *r, const char **out) {
    const char *start = r->p;
    while (r->p < r->end && *r->p != ',' && *r->p != '\n' && *r->p != '\r') {
        if (*r->p == '"') return fail(r, "a quote inside a cell that does not begin with one");
        r->p++;
    }
    *out = arena_strndup(r->a, start, (size_t)(r->p - start));
    return true;
}

/* One row; *n = its cells (0 for an empty line). */
static bool read_row(Reader *r, uint32_t *n) {
    *n = 0;
    VEC_PUSH(r->a, r->row_line) = r->line;
    for (;;) {
        const char *text = "";
        bool ok = r->p < r->end && *r->p == '"' ? quoted_cell(r, &text) : plain_cell(r, &text);
        if (!ok) return false;
        VEC_PUSH(r->a, r->cell) = text;
        ++*n;
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        break;
    }
    bool empty = *n == 1 && r->cell.at[r->cell.n - 1][0] == 0;
    if (r->p < r->end && *r->p == '\r') {
        r->p++;
        if (r->p < r->end && *r->p != '\n') return fail(r, "a carriage return that no line feed follows");
    }
    if (r->p < r->end) {
        r->p++;
        next_line(r);
    }
    if (empty) {
        r->cell.n--;
        r->row_line.n--;
        *n = 0;
    }
    return true;
}

/* A whole cell that is a number, with blanks around it allowed. */
static bool cell_number(const char *s, double *v) {
    while (*s == ' ' || *s == '\t') s++;
    if (!*s) return false;
    char *end;
    *v = parse_double(s, &end);
    if (end == s) return false;
    while (*end == ' ' || *end == '\t') end++;
    return *end == 0;
}

bool csv_parse(Ctx *ctx, Arena *a, const char *path, const char *text, size_t n, Csv *out) {
    Reader r = {.ctx = ctx, .a = a, .path = path, .p = text, .end = text + n, .line = 1};
    *out = (Csv){.path = path};
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) r.p += 3;
    r.line_start = r.p;
    if (memchr(text, 0, n)) return fail(&r, "is no text file: it holds a NUL byte");
    while (r.p < r.end) {
        uint32_t got;
        if (!read_row(&r, &got)) return false;
        if (!got) continue;
        if (!out->ncol) out->ncol = got;
        if (got != out->ncol) {
            diag_error(ctx, 610, (Span){0, 0}, "%s:%u: this row has %u cells where the first one has %u", path,
                       r.row_line.at[r.row_line.n - 1], got, out->ncol);
            return false;
        }
    }
    out->nrow = r.row_line.n;
    out->cell = r.cell.at;
    out->line = r.row_line.at;
    if (!out->nrow) {
        diag_error(ctx, 610, (Span){0, 0}, "%s: there are no rows", path);
        return false;
    }
    bool header = true;
    for (uint32_t k = 0; k < out->ncol; k++) {
        double v;
        if (cell_number(out->cell[k], &v)) header = false;
    }
    if (header) {
        out->header = out->cell;
        out->cell += out->ncol;
        out->line++;
        out->nrow--;
    }
    return true;
}

bool csv_read(Ctx *ctx, Arena *a, const char *path, Csv *out) {
    char *text;
    size_t n;
    return file_read(ctx, a, path, &text, &n) && csv_parse(ctx, a, arena_strdup(a, path), text, n, out);
}

int64_t csv_column(Ctx *ctx, const Csv *c, const char *name) {
    for (uint32_t k = 0; c->header && k < c->ncol; k++)
        if (strcmp(c->header[k], name) == 0) return k;
    char *end;
    double v = parse_double(name, &end);
    if (end != name && !*end && v >= 0 && v == floor(v) && v < c->ncol) return (int64_t)v;
    diag_error(ctx, 611, (Span){0, 0}, "%s has no column '%s'", c->path, name);
    if (c->header) {
        const char *near = nearest_name(name, c->header, c->ncol);
        if (near) diag_help(ctx, (Span){0, 0}, "did you mean '%s'?", near);
    } else diag_help(ctx, (Span){0, 0}, "the file has no header: its columns are 0 to %u", c->ncol - 1);
    return -1;
}

bool csv_numbers(Ctx *ctx, Arena *a, const Csv *c, uint32_t column, double **out) {
    double *v = NEW_N(a, double, c->nrow + 1);
    for (uint32_t i = 0; i < c->nrow; i++) {
        const char *cell = c->cell[(size_t)i * c->ncol + column];
        if (cell_number(cell, &v[i]) && isfinite(v[i])) continue;
        if (c->header)
            diag_error(ctx, 612, (Span){0, 0}, "%s:%u: column '%s' holds '%.40s', which is not a number", c->path, c->line[i],
                       c->header[column], cell);
        else
            diag_error(ctx, 612, (Span){0, 0}, "%s:%u: column %u holds '%.40s', which is not a number", c->path, c->line[i], column,
                       cell);
        return false;
    }
    *out = v;
    return true;
}
