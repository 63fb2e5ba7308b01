/* lines: labelled text, a file for each class, an example in each line; and rows of a table, an example in each row, or the rows of a run. */
#include <stdlib.h>
#include <string.h>

#include "runtime/records.h"

/* ---- a file a class ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *at, *end;
    int64_t line, lines;
} Open;

static int64_t count_lines(const char *at, const char *end) {
    int64_t n = 0;
    for (; at < end; n++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        at = stop ? stop + 1 : end;
    }
    return n;
}

static bool add_line(Records *r, Open *o, const char *path, const char *label, int64_t within) {
    Store *x = records_input(r), *y = records_target(r);
    const char *end = memchr(o->at, '\n', (size_t)(o->end - o->at));
    size_t n = (size_t)((end ? end : o->end) - o->at);
    r->path = path;
    r->line = ++o->line;
    r->within = within;
    records_add(r);
    record_text(r, x, o->at, n && o->at[n - 1] == '\r' ? n - 1 : n);
    o->at = end ? end + 1 : o->end;
    return !y || !label || record_value(r, y, label, strlen(label), 0);
}

/* The files in turn, a line of each, of shorter files less often, in even distances: so that the order of reading, which settles ties
   of the vocabulary, favours no class. */
bool read_lines(Records *r, const char *const *path, uint32_t nfile, const char *const *label) {
    Open *o = NEW_N(r->a, Open, nfile + 1);
    TextOptions text;
    int64_t most = 0;
    if (!records_input(r) || !text_options(r->m, UNIT_WORDS, &text)) return false;
    for (uint32_t i = 0; i < nfile; i++) {
        char *at;
        size_t n;
        if (!text_whole(r->m->ctx, r->a, path[i], text.unit, &at, &n)) return false;
        o[i] = (Open){at, at + n, 0, count_lines(at, at + n)};
        if (o[i].lines > most) most = o[i].lines;
        if (!n) {
            diag_error(r->m->ctx, 554, NOWHERE, "%s is empty", path[i]);
            return false;
        }
    }
    for (int64_t k = 0; k < most; k++)
        for (uint32_t i = 0; i < nfile; i++) /* line j of n comes in round ceil(j most / n) */
            if (o[i].line * most <= k * o[i].lines && o[i].line < o[i].lines && !add_line(r, &o[i], path[i], label[i], o[i].line)) return false;
    return true;
}

/* ---- rows of a table ---------------------------------------------------------------------------------------------------- */

static int64_t columns_needed(const Store *s) { return (s->port->seq && s->port->vocab) || s->classes ? 1 : s->per; }

/* Columns of a port: of those that the key lists for all inputs or all targets, in their order, the ones behind *from; without a key the
   column of its own name. */
static bool columns_of(Records *r, const Csv *csv, const Store *s, const Setting *key, uint32_t *from, VEC_U32 *out) {
    Ctx *ctx = r->m->ctx;
    uint32_t named = !key ? 1 : key->kind == SET_LIST ? key->n : 1;
    int64_t needs = columns_needed(s);
    for (int64_t i = 0; i < (key ? needs : 1) && *from < named; i++) {
        const Setting *x = !key ? NULL : key->kind == SET_LIST ? &key->item[*from] : key;
        const char *name = !x                      ? name_str(ctx, s->port->name)
                           : x->kind == SET_NUMBER ? arena_printf(r->a, "%g", x->number)
                                                   : name_str(ctx, x->name);
        int64_t k = csv_column(ctx, csv, name, x ? x->span : s->port->span);
        if (k < 0) return false;
        VEC_PUSH(r->a, *out) = (uint32_t)k;
        *from += key != NULL;
    }
    if (out->n == needs) return true;
    diag_error(ctx, 552, key ? key->span : s->port->span, "'%s' needs %lld columns, and %u are named%s",
               name_str(ctx, s->port->name), (long long)needs, out->n, key && *from > out->n ? " behind those of the others" : "");
    return false;
}

/* A table to predict from may lack the columns of the target. */
static bool is_absent(Records *r, const Csv *csv, const Store *s, const Setting *key, uint32_t from) {
    const Setting *x = key && key->kind == SET_LIST ? from < key->n ? &key->item[from] : NULL : key;
    if (!r->whole || !csv->header || (key && (!x || x->kind == SET_NUMBER))) return false;
    const char *name = name_str(r->m->ctx, x ? x->name : s->port->name);
    if (strchr("0123456789", *name)) return false; /* the number of a column */
    for (uint32_t k = 0; k < csv->ncol; k++)
        if (!strcmp(csv->header[k], name)) return false;
    r->lacks = name;
    return true;
}

/* No column is named in vain. */
static bool all_taken(Records *r, const Setting *key, uint32_t from) {
    uint32_t named = !key ? 0 : key->kind == SET_LIST ? key->n : 1;
    if (from >= named) return true;
    diag_error(r->m->ctx, 552, key->item[from].span, "%u columns are named, and the model takes %u", named, from);
    return false;
}

static bool add_cells(Records *r, const Csv *csv, uint32_t row, Store *s, const VEC_U32 *column) {
    const char *const *cell = csv->cell + (size_t)row * csv->ncol;
    if ((s->port->seq && s->port->vocab) || s->classes) {
        const char *text = cell[column->at[0]];
        if (s->classes && !*text && !r->whole)
            return records_bad(r, 612, 0, "column '%s' holds no class; every example needs one", csv_name(csv, r->a, column->at[0]));
        record_text(r, s, text, strlen(text));
        return true;
    }
    for (uint32_t i = 0; i < column->n; i++) {
        double v;
        if (!csv_value(csv, cell[column->at[i]], &v))
            return records_bad(r, 612, 0, "column '%s' holds '%.40s', which is not a number",
                               csv_name(csv, r->a, column->at[i]), cell[column->at[i]]);
        record_number(r, s, v);
    }
    return record_steps(r, s, 1);
}

/* The columns of each store. */
static bool find_columns(Records *r, const Csv *csv, VEC_U32 *column) {
    const ModelDesc *d = r->m->desc;
    const Setting *key[2] = {data_setting(r->m, "column"), data_setting(r->m, "target_column")};
    uint32_t from[2] = {0};
    for (uint32_t k = 0; k < r->nstore; k++) {
        Store *s = &r->store[k];
        bool target = k >= d->input.n;
        uint32_t own = 0;
        if (target && !s->weight && is_absent(r, csv, s, key[1], from[1])) {
            s->absent = true;
            from[1] += key[1] ? (uint32_t)columns_needed(s) : 0;
        }
        if (!records_given(r, s)) continue;
        if (s->weight ? !columns_of(r, csv, s, NULL, &own, &column[k]) : !columns_of(r, csv, s, key[target], &from[target], &column[k])) return false;
        if (s->port->seq && !s->port->vocab && !data_setting(r->m, "run")) {
            diag_error(r->m->ctx, 552, s->port->span, "rows of a table hold texts or numbers of one example, no sequences of numbers");
            diag_help(r->m->ctx, NOWHERE, "where a column says which rows are one sequence, `run = \"COLUMN\"` names it");
            return false;
        }
    }
    return all_taken(r, key[0], from[0]) && all_taken(r, key[1], from[1]);
}

static bool read_examples(Records *r, const Csv *csv, const VEC_U32 *column) {
    for (uint32_t i = 0; i < csv->nrow; i++) {
        r->line = csv->line[i];
        records_add(r);
        for (uint32_t k = 0; k < r->nstore; k++)
            if (records_given(r, &r->store[k]) && !add_cells(r, csv, i, &r->store[k], &column[k])) return false;
    }
    return true;
}

/* ---- runs: the rows of a name are the steps of an example ----------------------------------------------------------------- */

static const char *cell_at(const Csv *csv, uint32_t row, uint32_t column) { return csv->cell[(size_t)row * csv->ncol + column]; }

/* What an example has once stands in each of its rows. */
static bool same_in_run(Records *r, const Csv *csv, uint32_t from, uint32_t to, const Store *s, const VEC_U32 *column) {
    for (uint32_t c = 0; c < column->n; c++)
        for (uint32_t i = from + 1; i < to; i++) {
            const char *first = cell_at(csv, from, column->at[c]), *own = cell_at(csv, i, column->at[c]);
            if (!strcmp(first, own)) continue;
            r->line = csv->line[i];
            records_bad(r, 613, 0, "column '%s' holds '%.40s', and '%.40s' in the first row of the run: '%s' has one value for all of it",
                        csv_name(csv, r->a, column->at[c]), own, first, name_str(r->m->ctx, s->port->name));
            diag_help(r->m->ctx, s->port->span, "as `seq ..` it has one for each step");
            return false;
        }
    return true;
}

/* A word in each row, as one text. */
static bool add_words(Records *r, const Csv *csv, uint32_t from, uint32_t to, Store *s, uint32_t column) {
    Str words = str_make(r->a);
    for (uint32_t i = from; i < to; i++) {
        const char *word = cell_at(csv, i, column);
        r->line = csv->line[i];
        if (!*word || strpbrk(word, " \t\n"))
            return records_bad(r, 612, 0, "column '%s' holds '%.40s', which is not one word", csv_name(csv, r->a, column), word);
        str_printf(&words, "%s%s", i > from ? " " : "", word);
    }
    record_text(r, s, words.at, words.n);
    return true;
}

static bool add_run(Records *r, const Csv *csv, uint32_t from, uint32_t to, Store *s, const VEC_U32 *column) {
    bool target = (uint32_t)(s - r->store) >= r->m->desc->input.n;
    if (!s->port->seq) return same_in_run(r, csv, from, to, s, column) && add_cells(r, csv, from, s, column);
    if (s->port->vocab && !target) return add_words(r, csv, from, to, s, column->at[0]);
    for (uint32_t i = from; i < to; i++)
        for (uint32_t c = 0; c < column->n; c++) {
            const char *cell = cell_at(csv, i, column->at[c]);
            double v = 0;
            r->line = csv->line[i];
            if (s->port->vocab ? !*cell && !r->whole : !csv_value(csv, cell, &v))
                return records_bad(r, 612, 0, "column '%s' holds '%.40s', which is not a %s", csv_name(csv, r->a, column->at[c]), cell, s->port->vocab ? "class" : "number");
            if (!s->port->vocab) record_number(r, s, v);
            else {
                VEC_PUSH(r->a, s->string) = cell;
                VEC_PUSH(r->a, s->size) = strlen(cell);
            }
        }
    if (!s->port->vocab) return record_steps(r, s, to - from);
    VEC_PUSH(r->a, s->labels) = to - from;
    return true;
}

typedef struct {
    const char *name;
    uint32_t row;
} Run;

static int by_name(const void *a, const void *b) {
    const Run *x = a, *y = b;
    int d = strcmp(x->name, y->name);
    return d ? d : (x->row > y->row) - (x->row < y->row);
}

/* A name that comes again further down would be two runs. */
static bool together(Records *r, const Csv *csv, Run *run, uint32_t n) {
    qsort(run, n, sizeof *run, by_name);
    for (uint32_t k = 1; k < n; k++) {
        if (strcmp(run[k].name, run[k - 1].name)) continue;
        r->line = csv->line[run[k].row];
        records_bad(r, 613, 0, "rows of run '%.40s' stand further up already, with others between; those of a run stand together, in the order of time", run[k].name);
        return false;
    }
    return true;
}

static bool read_runs(Records *r, const Csv *csv, const VEC_U32 *column, uint32_t by) {
    VEC(Run) run = {0};
    for (uint32_t from = 0, to; from < csv->nrow; from = to) {
        const char *name = cell_at(csv, from, by);
        for (to = from + 1; to < csv->nrow && !strcmp(name, cell_at(csv, to, by));) to++;
        VEC_PUSH(r->a, run) = (Run){name, from};
        r->line = csv->line[from];
        records_add(r);
        r->record.at[r->record.n - 1].run = name;
        for (uint32_t k = 0; k < r->nstore; k++)
            if (records_given(r, &r->store[k]) && !add_run(r, csv, from, to, &r->store[k], &column[k])) return false;
    }
    return together(r, csv, run.at, run.n);
}

bool read_rows(Records *r, const Csv *csv) {
    VEC_U32 *column = NEW_N(r->a, VEC_U32, r->nstore + 1);
    const Setting *run = data_setting(r->m, "run");
    r->path = csv->path;
    r->within = 0;
    if (!find_columns(r, csv, column)) return false;
    if (!run) return read_examples(r, csv, column);
    int64_t by = csv_column(r->m->ctx, csv, name_str(r->m->ctx, run->name), run->span);
    return by >= 0 && read_runs(r, csv, column, (uint32_t)by);
}
