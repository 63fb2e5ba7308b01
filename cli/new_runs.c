/* new_runs: what a table of many sequences says about itself; and the mean and deviation that a model of sequences begins with. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/new.h"

enum { MOST_CLASSES = 100 };

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }
static const char *cell_of(const Csv *t, uint32_t row, uint32_t column) { return t->cell[(size_t)row * t->ncol + column]; }
static bool same_run(const Csv *t, uint32_t run, uint32_t row) { return !strcmp(cell_of(t, row, run), cell_of(t, row - 1, run)); }

/* Can column k name runs? The rows of each name stand together, and there are several of several rows. */
static bool names_runs(const NewFile *f, const Csv *t, uint32_t k) {
    uint32_t n = 1;
    const char **name = NEW_N(f->a, const char *, t->nrow + 1);
    for (uint32_t i = 1; i < t->nrow; i++) n += !same_run(t, k, i);
    if (n < 4 || n * 2 > t->nrow) return false;
    n = 0;
    for (uint32_t i = 0; i < t->nrow; i++) {
        if (i && same_run(t, k, i)) continue;
        name[n++] = cell_of(t, i, k);
    }
    qsort(name, n, sizeof *name, by_text);
    for (uint32_t i = 1; i < n; i++)
        if (!strcmp(name[i], name[i - 1])) return false;
    return true;
}

typedef struct {
    bool numbers, constant, counts; /* constant: in each run; counts: by equal steps in each, as a time does */
    bool whole, words;              /* numbers without a fraction; one word in each cell */
    uint32_t distinct;              /* one more than MOST_CLASSES where there are more */
} Part;

static Part look_at(const Csv *t, uint32_t run, uint32_t k) {
    Part c = {.numbers = true, .constant = true, .counts = true, .whole = true, .words = true};
    const char *seen[MOST_CLASSES];
    double before = 0, step = NAN;
    for (uint32_t i = 0; i < t->nrow; i++) {
        const char *s = cell_of(t, i, k);
        uint32_t j = 0;
        double v = 0;
        bool goes_on = i && same_run(t, run, i);
        if (!csv_value(t, s, &v)) c.numbers = c.counts = false;
        c.whole = c.whole && v == floor(v);
        c.words = c.words && *s && !strpbrk(s, " \t\n");
        if (goes_on && strcmp(s, cell_of(t, i - 1, k))) c.constant = false;
        if (goes_on && isnan(step)) step = v - before;
        if (goes_on && fabs(v - before - step) > 1e-6 * fabs(step)) c.counts = false;
        before = v;
        while (j < c.distinct && j < MOST_CLASSES && strcmp(seen[j], s)) j++;
        if (j < c.distinct) continue;
        if (j < MOST_CLASSES) seen[j] = s;
        if (c.distinct <= MOST_CLASSES) c.distinct++;
    }
    return c;
}

/* The first column that names runs, and the last other one that is the same in all rows of each. */
static bool find_columns(NewFile *f, const Csv *t, bool classes, uint32_t *run, uint32_t *target) {
    *run = 0;
    while (*run < t->ncol && !names_runs(f, t, *run)) ++*run;
    *target = t->ncol;
    for (uint32_t k = 0; k < t->ncol && *run < t->ncol; k++) {
        Part c = look_at(t, *run, k);
        if (k != *run && c.constant && c.distinct > 1 && (classes ? c.distinct <= MOST_CLASSES : c.numbers)) *target = k;
    }
    if (*target < t->ncol) return true;
    diag_error(f->ctx, 611, (Span){0, 0}, "%s needs a column that names the sequences, whose rows stand together, and one with %s, the same in all rows of a sequence", f->path,
               classes ? arena_printf(f->a, "a class, 2 to %d different ones", MOST_CLASSES) : "a number");
    return false;
}

/* What the steps hold: numbers, but for those that are the same in all steps or say which step it is. As a list of the language. */
static const char *find_numbers(NewFile *f, const Csv *t, uint32_t run, uint32_t target, int64_t *dims) {
    Str names = str_make(f->a);
    *dims = 0;
    for (uint32_t k = 0; k < t->ncol; k++) {
        Part c = look_at(t, run, k);
        if (k != run && k != target && c.numbers && !c.constant && !c.counts) str_printf(&names, "%s%s", (*dims)++ ? ", " : "", new_named(f, t, k));
    }
    return names.n ? names.at : "";
}

static uint32_t count_runs(const Csv *t, uint32_t run) {
    uint32_t n = 1;
    for (uint32_t i = 1; i < t->nrow; i++) n += !same_run(t, run, i);
    return n;
}

bool new_look_runs(NewFile *f, bool classes) {
    Csv t;
    uint32_t run, target;
    int64_t dims;
    const char *entry = classes ? arena_printf(f->a, "ts = \"%s.ts\"", f->name) : NULL;
    if (!new_table(f, true, entry, &t) || !find_columns(f, &t, classes, &run, &target)) return false;
    const char *names = find_numbers(f, &t, run, target, &dims);
    if (!dims) {
        diag_error(f->ctx, 611, (Span){0, 0}, "%s has no column of numbers that change from row to row of a sequence", f->path);
        return false;
    }
    const char *columns = arena_printf(f->a, dims > 1 ? "[%s]" : "%s", names), *own = new_named(f, &t, target);
    uint32_t classes_of_it = look_at(&t, run, target).distinct;
    if (classes) {
        new_change(f, arena_printf(f->a, "csv = \"%s\"", f->written), arena_printf(f->a, "csv = \"%s\"\n        # The rows of a name are the steps of a sequence.\n        run = %s\n        column = %s\n        target_column = %s",
                                                                        f->written, new_named(f, &t, run), columns, own));
        new_change(f, "two numbers here", dims == 1 ? "one number" : arena_printf(f->a, "%lld numbers", (long long)dims));
        new_change(f, "seq [2]", arena_printf(f->a, "seq [%lld]", (long long)dims));
        new_change(f, "K = 3", arena_printf(f->a, "K = %u", classes_of_it));
        new_change(f, "target gesture:", "target label:");
        new_change(f, ", gesture)", ", label)");
    } else {
        new_change(f, "The rows of a pull", "The rows of a name");
        new_change(f, "run = \"pull\"", arena_printf(f->a, "run = %s", new_named(f, &t, run)));
        new_change(f, "column = \"height\"", arena_printf(f->a, "column = %s", columns));
        new_change(f, "target_column = \"weight\"", arena_printf(f->a, "target_column = %s", own));
        new_change(f, "one number here; with `column = [\"height\", \"speed\"]` it is seq [2].", dims == 1 ? "one number." : arena_printf(f->a, "%lld numbers.", (long long)dims));
        new_change(f, "x: seq [1]", arena_printf(f->a, "x: seq [%lld]", (long long)dims));
    }
    f->said = arena_printf(f->a, "%s: %u sequences, by %s, %lld number%s a step (%s), %s in %s", f->path, count_runs(&t, run), new_named(f, &t, run), (long long)dims, dims == 1 ? "" : "s", names,
                           classes ? arena_printf(f->a, "%u classes", classes_of_it) : "their numbers", own);
    return true;
}

/* The last column that says a label in each row: of words if there is one, else of whole numbers. */
static uint32_t find_labels(const Csv *t, uint32_t run) {
    uint32_t label[2] = {t->ncol, t->ncol};
    for (uint32_t k = 0; k < t->ncol; k++) {
        Part c = look_at(t, run, k);
        if (k != run && !c.constant && !c.counts && c.distinct <= MOST_CLASSES && (!c.numbers || c.whole) && c.words) label[c.numbers] = k;
    }
    return label[label[0] == t->ncol];
}

/* The first column with a word in each row, other ones in a run; t->ncol: there is none. */
static uint32_t find_words(const Csv *t, uint32_t run, uint32_t label) {
    for (uint32_t k = 0; k < t->ncol; k++) {
        Part c = look_at(t, run, k);
        if (k != run && k != label && c.words && !c.numbers && !c.constant) return k;
    }
    return t->ncol;
}

bool new_look_tagged_runs(NewFile *f, NewNamed *out) {
    Csv t;
    uint32_t run = 0;
    *out = (NewNamed){.source = "csv", .input = "x", .target = "label"};
    if (!new_table(f, true, arena_printf(f->a, "jsonl = \"%s.jsonl\"", f->name), &t)) return false;
    while (run < t.ncol && !names_runs(f, &t, run)) run++;
    uint32_t label = run < t.ncol ? find_labels(&t, run) : t.ncol, word = label < t.ncol ? find_words(&t, run, label) : t.ncol;
    if (label == t.ncol) {
        diag_error(f->ctx, 611, (Span){0, 0}, "%s needs a column that names the sequences, whose rows stand together, and one with a label in each row, 2 to %d different ones", f->path, MOST_CLASSES);
        return false;
    }
    const char *column = find_numbers(f, &t, run, label, &out->dims), *csv = arena_printf(f->a, "csv = \"%s\"", f->written), *own = new_named(f, &t, label);
    if (word == t.ncol && !out->dims) {
        diag_error(f->ctx, 611, (Span){0, 0}, "%s has no column with a word in each row, and none of numbers that change from row to row of a sequence", f->path);
        return false;
    }
    out->text = word < t.ncol;
    if (out->text) out->input = "words", column = new_named(f, &t, word);
    else if (out->dims > 1) column = arena_printf(f->a, "[%s]", column);
    out->classes = look_at(&t, run, label).distinct;
    new_change(f, csv, arena_printf(f->a, "%s\n        # The rows of a name are the steps of a sequence.\n        run = %s\n        column = %s\n        target_column = %s", csv, new_named(f, &t, run),
                                    column, own));
    f->said = arena_printf(f->a, "%s: %u sequences, by %s, %u labels in %s for the %s in %s", f->path, count_runs(&t, run), new_named(f, &t, run), out->classes, own,
                           out->text ? "words" : "steps", column);
    return true;
}

/* ---- mean and deviation ------------------------------------------------------------------------------------------------- */

static double some(double deviation) { return deviation > 0 ? deviation : 1; }

static const char *listed(NewFile *f, const double *v, int64_t n, bool deviation) {
    Str s = str_make(f->a);
    for (int64_t i = 0; i < n; i++) str_printf(&s, "%s%.4g", i ? ", " : n > 1 ? "[" : "", deviation ? some(v[i]) : v[i]);
    str_put(&s, n > 1 ? "]" : "");
    return s.at;
}

bool new_scale(NewFile *f, Model *m, const Dataset *d) {
    const ModelDesc *desc = model_desc(m);
    const PortDesc *x = &desc->input.at[0], *y = &desc->target.at[0];
    int64_t n = x->rank ? x->dim[0] : 1;
    double *mean = NEW_N(f->a, double, n + 1), *deviation = NEW_N(f->a, double, n + 1), centre, spread;
    if (x->dtype != DT_F || !data_spread(m, d, x, false, mean, deviation)) return true;
    const char *sign = n == 1 && mean[0] < 0 ? "+" : "-";
    if (*sign == '+') mean[0] = -mean[0];
    new_change(f, f->shifted, arena_printf(f->a, "%s %s) / %s", sign, listed(f, mean, n, false), listed(f, deviation, n, true)));
    if (y->dtype != DT_F || !data_spread(m, d, y, true, &centre, &spread)) return true;
    new_change(f, "150 + 58 *", arena_printf(f->a, "%.4g + %.4g *", centre, some(spread)));
    new_change(f, "/ 58", arena_printf(f->a, "/ %.4g", some(spread)));
    if (spread > 0) return true;
    diag_error(f->ctx, 554, (Span){0, 0}, "the number of all sequences that train is %g: there is nothing to find out", centre);
    return false;
}
