/* csv: comma-separated values as RFC 4180 has them: quotes, doubled quotes, line ends inside quotes, LF or CRLF. Blanks before a quote
   and around the names of columns do not count. */
#include <math.h>
#include <string.h>

#include "runtime/text.h"

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *path, *p, *end, *line_start;
    uint32_t line;
    char separator;
    bool quotes;
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

static bool separates(const Reader *r) { return *r->p == r->separator || (r->separator == ' ' && *r->p == '\t'); }

/* Past one separator, or a run of blanks; true: another cell follows. */
static bool next_cell(Reader *r) {
    if (r->p >= r->end || !separates(r)) return false;
    if (r->separator != ' ') {
        r->p++;
        return true;
    }
    while (r->p < r->end && separates(r)) r->p++;
    return r->p < r->end && *r->p != '\n' && *r->p != '\r';
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
    while (r->p < r->end && r->separator != ' ' && *r->p == ' ') r->p++;
    if (r->p < r->end && !separates(r) && *r->p != '\n' && *r->p != '\r') return fail(r, "text after the closing quote of a cell");
    *out = s.at ? s.at : "";
    return true;
}

static bool plain_cell(Reader *r, const char **out) {
    const char *start = r->p;
    while (r->p < r->end && !separates(r) && *r->p != '\n' && *r->p != '\r') {
        if (*r->p == '"' && r->quotes) {
            fail(r, "a quote inside a cell that does not begin with one");
            diag_help(r->ctx, (Span){0, 0}, "a quoted cell has its quotes around the whole, and twice inside; texts a line each are no table: `lines` or `text` reads them");
            return false;
        }
        r->p++;
    }
    *out = arena_strndup(r->a, start, (size_t)(r->p - start));
    return true;
}

/* One row; *n = its cells (0 for an empty line). */
static bool read_row(Reader *r, uint32_t *n) {
    *n = 0;
    VEC_PUSH(r->a, r->row_line) = r->line;
    if (r->separator == ' ') next_cell(r); /* blanks before the first cell */
    do {
        const char *text = "", *quote = r->p;
        while (quote < r->end && *quote == ' ') quote++;
        bool quoted = r->quotes && quote < r->end && *quote == '"';
        if (quoted) r->p = quote;
        if (!(quoted ? quoted_cell(r, &text) : plain_cell(r, &text))) return false;
        VEC_PUSH(r->a, r->cell) = text;
        ++*n;
    } while (next_cell(r));
    bool empty = *n == 1 && r->cell.at[r->cell.n - 1][0] == 0;
    if (r->p < r->end && *r->p == '\r') {
        r->p++;
        if (r->p < r->end && *r->p != '\n') {
            fail(r, "a carriage return that no line feed follows");
            diag_help(r->ctx, NOWHERE, "where lines end so, `tr '\\r' '\\n' <'%s' >NEW` turns them into line feeds", r->path);
            return false;
        }
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

double decimal_number(const char *s, char **end) {
    double v = parse_double(s, end);
    for (const char *p = s; p < *end; p++)
        if ((*p | 32) == 'x') return *end = (char *)(uintptr_t)s, 0;
    return v;
}

bool csv_value(const Csv *c, const char *cell, double *v) {
    char *end, other[64];
    const char *mark = c->decimal == ',' ? strchr(cell, ',') : NULL;
    if (c->decimal == ',' && (strchr(cell, '.') || strlen(cell) >= sizeof other)) return false;
    if (mark) {
        strcpy(other, cell);
        other[mark - cell] = '.';
        cell = other;
    }
    while (*cell == ' ' || *cell == '\t') cell++;
    if (!*cell) return false;
    *v = decimal_number(cell, &end);
    if (end == cell) return false;
    while (*end == ' ' || *end == '\t') end++;
    return *end == 0 && isfinite(*v);
}

/* The only cell of a row may hold several. */
static void other_separator(Ctx *ctx, const char *cell) {
    char mark = cell[strcspn(cell, ";\t|")];
    if (mark == '\t') diag_help(ctx, (Span){0, 0}, "are its cells separated by tabs? separator = \"tab\" says so");
    else if (mark) diag_help(ctx, (Span){0, 0}, "are its cells separated by '%c'? separator = \"%c\" says so", mark, mark);
    else if (cell[strcspn(cell, " ")]) diag_help(ctx, NOWHERE, "are its cells separated by blanks? separator = \"blanks\" says so");
}

/* Cells of the line at p, by what separates them. */
static uint32_t cells_of(const Reader *r, const char *p) {
    bool words = r->separator == ' ', quoted = false, between = true;
    uint32_t n = !words;
    for (; p < r->end && *p != '\n' && *p != '\r'; p++) {
        bool mark = *p == r->separator || (words && *p == '\t');
        quoted ^= *p == '"' && r->quotes;
        n += words ? between && !mark : mark && !quoted;
        between = mark;
    }
    return n;
}

/* Past the lines of # at the beginning, but for the last one where it is the header: of that past its mark. */
static void skip_remarks(Reader *r) {
    const char *last = NULL;
    while (r->p < r->end && *r->p == '#') {
        const char *stop = memchr(r->p, '\n', (size_t)(r->end - r->p));
        last = r->p;
        r->p = stop ? stop + 1 : r->end;
        next_line(r);
    }
    const char *names = last ? last + strspn(last, "# \t") : NULL;
    if (!last || cells_of(r, names) != cells_of(r, r->p) || cells_of(r, names) < 2) return;
    r->p = names;
    r->line_start = last;
    r->line--;
}

static void trim_names(Arena *a, const Csv *c) {
    for (uint32_t k = 0; k < c->ncol; k++) {
        const char *s = c->header[k] + strspn(c->header[k], " \t");
        size_t n = strlen(s);
        while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) n--;
        c->header[k] = arena_strndup(a, s, n);
    }
}

bool csv_parse(Ctx *ctx, Arena *a, const char *path, const char *text, size_t n, CsvForm form, Csv *out) {
    Reader r = {.ctx = ctx, .a = a, .path = path, .separator = form.separator, .quotes = form.separator != '\t', .p = text, .end = text + n, .line = 1};
    *out = (Csv){.path = path, .decimal = form.decimal};
    r.line_start = r.p;
    if (memchr(text, 0, n)) return fail(&r, "is no text file: it holds a NUL byte");
    skip_remarks(&r);
    while (r.p < r.end) {
        uint32_t got;
        if (!read_row(&r, &got)) return false;
        if (!got) continue;
        if (!out->ncol) out->ncol = got;
        if (got != out->ncol) {
            diag_error(ctx, 610, (Span){0, 0}, "%s:%u: this row has %u cell%s where the first one has %u", path,
                       r.row_line.at[r.row_line.n - 1], got, got == 1 ? "" : "s", out->ncol);
            if (out->ncol == 1) other_separator(ctx, r.cell.at[0]);
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
        if (csv_value(out, out->cell[k], &v)) header = false;
    }
    if (header) {
        out->header = out->cell;
        out->cell += out->ncol;
        out->line++;
        out->nrow--;
        trim_names(a, out);
    }
    return true;
}

bool csv_read(Ctx *ctx, Arena *a, const char *path, CsvForm form, Csv *out) {
    char *text;
    size_t n;
    return text_whole(ctx, a, path, UNIT_WORDS, &text, &n) && csv_parse(ctx, a, arena_strdup(a, path), text, n, form, out);
}

/* "year, value, ...": at most so many that a line holds them. */
static const char *column_list(Ctx *ctx, const Csv *c) {
    Str s = str_make(ctx_arena(ctx));
    for (uint32_t k = 0; k < c->ncol; k++) {
        if (s.n > 70) {
            str_put(&s, ", ...");
            break;
        }
        str_printf(&s, "%s'%.40s'", k ? ", " : "", c->header[k]);
    }
    return s.n ? s.at : "";
}

int64_t csv_column(Ctx *ctx, const Csv *c, const char *name, Span at) {
    int64_t found = -1;
    for (uint32_t k = c->header ? c->ncol : 0; k-- > 0;) {
        if (strcmp(c->header[k], name)) continue;
        if (found >= 0) {
            diag_error(ctx, 611, at, "%s has several columns '%.40s'", c->path, name);
            diag_help(ctx, NOWHERE, "a number from 0 on says which one: \"%u\", \"%lld\"", k, (long long)found);
            return -1;
        }
        found = k;
    }
    if (found >= 0) return found;
    char *end;
    double v = parse_double(name, &end);
    if (end != name && !*end && v >= 0 && v == floor(v) && v < c->ncol) return (int64_t)v;
    diag_error(ctx, 611, at, "%s has no column '%.60s'", c->path, name);
    if (c->header) {
        const char *near = nearest_name(name, c->header, c->ncol);
        if (near) diag_help(ctx, (Span){0, 0}, "did you mean '%s'?", near);
        else diag_help(ctx, (Span){0, 0}, "it has %s", column_list(ctx, c));
        if (c->ncol == 1) other_separator(ctx, c->header[0]);
    } else diag_help(ctx, (Span){0, 0}, "the file has no header: its columns are 0 to %u", c->ncol - 1);
    return -1;
}

const char *csv_name(const Csv *c, Arena *a, uint32_t column) {
    return c->header ? c->header[column] : arena_printf(a, "%u", column);
}

bool cell_gap(const char *s) {
    static const char *const words[] = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "?", "-", "--", "."};
    while (*s == ' ' || *s == '\t') s++;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t n = strlen(words[k]), i = 0;
        while (i < n && (words[k][i] == s[i] || (words[k][i] >= 'a' && words[k][i] == (s[i] | 32)))) i++;
        if (i == n && !s[n + strspn(s + n, " \t")]) return true;
    }
    return false;
}

/* Values from at to the next known one, which is n if there is none. */
static void fill(double *v, uint32_t n, int64_t before, uint32_t at, uint32_t next, CsvGaps gaps) {
    for (uint32_t i = at; i < next; i++) {
        if (before < 0) v[i] = next < n ? v[next] : 0;
        else if (next >= n || gaps == GAPS_PREVIOUS) v[i] = v[before];
        else v[i] = v[before] + (v[next] - v[before]) * (double)(i - before) / (double)(next - before);
    }
}

/* Why a cell is no number: it is written in another way, or the row was not cut into its cells. */
static void number_help(Ctx *ctx, const Csv *c, const char *cell) {
    const char *comma = strchr(cell, ',');
    double v;
    if (c->decimal == ',' && strchr(cell, '.'))
        diag_help(ctx, NOWHERE, "`decimal = \",\"` says that a number has a comma before its decimals; no groups of digits: 1234,5");
    else if (comma && csv_value(&(Csv){.decimal = ','}, cell, &v))
        diag_help(ctx, NOWHERE, "`decimal = \",\"` in the data block reads a comma before the decimals");
    else if (comma)
        diag_help(ctx, NOWHERE, "a number has a point before its decimals, and no groups of digits: 1234.5");
    else if (c->ncol == 1)
        other_separator(ctx, cell);
}

bool csv_series(Ctx *ctx, Arena *a, const Csv *c, uint32_t column, CsvGaps gaps, double **out, int64_t *filled) {
    double *v = NEW_N(a, double, c->nrow + 1);
    int64_t before = -1, missing = 0;
    *filled = 0;
    for (uint32_t i = 0; i < c->nrow; i++) {
        const char *cell = c->cell[(size_t)i * c->ncol + column];
        bool number = csv_value(c, cell, &v[i]), gap = !number && cell_gap(cell);
        if (!number && !(gap && gaps != GAPS_REFUSE)) {
            diag_error(ctx, 612, (Span){0, 0}, "%s:%u: column %s%.60s%s holds '%.40s', which is not a number", c->path, c->line[i],
                       c->header ? "'" : "", csv_name(c, a, column), c->header ? "'" : "", cell);
            if (!gap) number_help(ctx, c, cell);
            if (gap) diag_help(ctx, (Span){0, 0}, "`gaps = interpolate` in the data block fills gaps in, `gaps = previous` repeats the value before");
            return false;
        }
        if (gap) {
            missing++;
            continue;
        }
        if (missing) fill(v, c->nrow, before, (uint32_t)(before + 1), i, gaps);
        *filled += missing;
        missing = 0;
        before = i;
    }
    if (before < 0 && c->nrow) {
        diag_error(ctx, 612, (Span){0, 0}, "%s: column '%s' holds gaps only", c->path, csv_name(c, a, column));
        return false;
    }
    fill(v, c->nrow, before, (uint32_t)(before + 1), c->nrow, gaps);
    *filled += missing;
    *out = v;
    return true;
}

bool csv_numbers(Ctx *ctx, Arena *a, const Csv *c, uint32_t column, double **out) {
    int64_t filled;
    return csv_series(ctx, a, c, column, GAPS_REFUSE, out, &filled);
}

CsvGaps csv_gaps(const Model *m) {
    const char *given = data_string(m, "gaps");
    return strcmp(given, "interpolate") == 0 ? GAPS_INTERPOLATE : strcmp(given, "previous") == 0 ? GAPS_PREVIOUS : GAPS_REFUSE;
}

bool csv_form(Model *m, const char *path, CsvForm *out) {
    const Setting *s = data_setting(m, "separator"), *decimal = data_setting(m, "decimal");
    const char *given = s ? name_str(m->ctx, s->name) : NULL;
    size_t n = strlen(path);
    *out = (CsvForm){n > 4 && strcmp(path + n - 4, ".tsv") == 0 ? '\t' : ',', '.'};
    if (given && strcmp(given, "tab") == 0) out->separator = '\t';
    else if (given && strcmp(given, "blanks") == 0) out->separator = ' ';
    else if (given && strlen(given) == 1 && !strchr("\"\n\r", *given)) out->separator = *given;
    else if (given) {
        diag_error(m->ctx, 552, s->span, "data: separator is one character, \"tab\" or \"blanks\"");
        return false;
    }
    given = decimal ? name_str(m->ctx, decimal->name) : ".";
    out->decimal = *given;
    if ((*given != '.' && *given != ',') || given[1]) {
        diag_error(m->ctx, 552, decimal->span, "data: decimal is \".\" or \",\"");
        return false;
    }
    if (out->decimal != out->separator) return true;
    diag_error(m->ctx, 552, decimal->span, "data: '%c' can stand before decimals or between cells, not both; `separator` says what is between cells", out->decimal);
    return false;
}
