/* lines: labelled text, a file for each class, an example in each line; and rows of a table, an example in each row. */
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

/* Columns of a port: those that the key gives it, else the one of its own name. */
static bool columns_of(Records *r, const Csv *csv, const Store *s, const Setting *key, VEC_U32 *out) {
    Ctx *ctx = r->m->ctx;
    uint32_t n = !key ? 1 : key->kind == SET_LIST ? key->n : 1;
    for (uint32_t i = 0; i < n; i++) {
        const Setting *x = !key ? NULL : key->kind == SET_LIST ? &key->item[i] : key;
        const char *name = !x                      ? name_str(ctx, s->port->name)
                           : x->kind == SET_NUMBER ? arena_printf(r->a, "%g", x->number)
                                                   : name_str(ctx, x->name);
        int64_t k = csv_column(ctx, csv, name, x ? x->span : s->port->span);
        if (k < 0) return false;
        VEC_PUSH(r->a, *out) = (uint32_t)k;
    }
    bool text = s->port->seq && s->port->vocab;
    if (n == (text || s->classes ? 1 : s->per)) return true;
    diag_error(ctx, 552, key ? key->span : s->port->span, "'%s' needs %lld columns, and %u are named",
               name_str(ctx, s->port->name), (long long)(text || s->classes ? 1 : s->per), n);
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

bool read_rows(Records *r, const Csv *csv) {
    const ModelDesc *d = r->m->desc;
    VEC_U32 *column = NEW_N(r->a, VEC_U32, r->nstore + 1);
    for (uint32_t k = 0; k < r->nstore; k++) {
        if (!records_given(r, &r->store[k])) continue;
        bool target = k >= d->input.n, only = (target ? d->target.n : d->input.n) == 1;
        const Setting *key = only && !r->store[k].weight ? data_setting(r->m, target ? "target_column" : "column") : NULL;
        if (!columns_of(r, csv, &r->store[k], key, &column[k])) return false;
        if (r->store[k].port->seq && !r->store[k].port->vocab) {
            diag_error(r->m->ctx, 552, r->store[k].port->span,
                       "rows of a table hold texts or numbers of one example, no sequences of numbers");
            return false;
        }
    }
    r->path = csv->path;
    r->within = 0;
    for (uint32_t i = 0; i < csv->nrow; i++) {
        r->line = csv->line[i];
        records_add(r);
        for (uint32_t k = 0; k < r->nstore; k++)
            if (records_given(r, &r->store[k]) && !add_cells(r, csv, i, &r->store[k], &column[k])) return false;
    }
    return true;
}
