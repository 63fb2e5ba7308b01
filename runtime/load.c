/* load: which file a data block means, and who reads it. */
#include <string.h>

#include "runtime/records.h"

typedef enum { KIND_NONE, KIND_CSV, KIND_NPZ, KIND_TEXT, KIND_LINES, KIND_TS, KIND_JSONL, KIND_WAV, KIND_MADE } Kind;
static const struct {
    Kind kind;
    const char *key;
} source_key[] = {{KIND_CSV, "csv"}, {KIND_NPZ, "npz"},     {KIND_TEXT, "text"}, {KIND_LINES, "lines"},
                  {KIND_TS, "ts"},   {KIND_JSONL, "jsonl"}, {KIND_WAV, "wav"}, {KIND_MADE, "made"}};
enum { SOURCES = sizeof source_key / sizeof *source_key };
static const struct {
    const char *end;
    Kind kind;
} ending[] = {{".npz", KIND_NPZ}, {".csv", KIND_CSV},     {".tsv", KIND_CSV},
              {".ts", KIND_TS},   {".jsonl", KIND_JSONL}, {".ndjson", KIND_JSONL}};

/* What the block names; KIND_NONE with a diagnostic for two. */
static bool block_kind(Model *m, Kind *out) {
    const char *first = NULL;
    *out = KIND_NONE;
    for (int k = 0; k < SOURCES; k++) {
        const Setting *s = data_setting(m, source_key[k].key);
        if (!s) continue;
        if (first) {
            diag_error(m->ctx, 552, s->span, "data: '%s' and '%s' both name the data", first, source_key[k].key);
            return false;
        }
        first = source_key[k].key;
        *out = source_key[k].kind;
    }
    return true;
}

static bool reads(Model *m, Arena *a, const Setting *s, const char *real) {
    if (!s) return false;
    for (uint32_t i = 0; s->kind == SET_LIST && i < s->n; i++)
        if (reads(m, a, &s->item[i], real)) return true;
    if (s->kind == SET_PAIR) return reads(m, a, &s->item[0], real);
    const char *mine = s->kind == SET_STRING ? file_real(a, model_beside(m, a, name_str(m->ctx, s->name))) : NULL;
    return mine && !strcmp(mine, real);
}

bool data_reads(Model *m, const char *path) {
    Arena *tmp = scratch_begin(m);
    const char *real = file_real(tmp, path);
    bool found = real && (reads(m, tmp, data_setting(m, "test"), real) || reads(m, tmp, train_setting(m, "validation"), real));
    for (int k = 0; k < SOURCES && real && !found; k++) found = reads(m, tmp, data_setting(m, source_key[k].key), real);
    scratch_end(m);
    return found;
}

bool names_data(const char *assignment) {
    size_t n = strcspn(assignment, "= ");
    for (int k = 0; k < SOURCES; k++)
        if (!strncmp(source_key[k].key, assignment, n) && !source_key[k].key[n]) return true;
    return n == 4 && !strncmp("test", assignment, n);
}

/* A file that is given stands for the one of the block; its ending says what it is where the block's kind is not meant. */
static bool find_kind(Model *m, const char *path, Kind *out) {
    Kind named = KIND_NONE;
    size_t n = path ? strlen(path) : 0;
    if (!block_kind(m, &named)) return false;
    *out = named;
    for (size_t k = 0; path && k < sizeof ending / sizeof *ending; k++) {
        size_t e = strlen(ending[k].end);
        if (n > e && strcmp(path + n - e, ending[k].end) == 0 && named != KIND_TEXT) *out = ending[k].kind;
    }
    if (path && (*out == KIND_NONE || *out == KIND_MADE)) *out = KIND_CSV;
    if (*out != KIND_NONE) return true;
    diag_error(m->ctx, 554, m->desc->data.span, "'%s' has no data: neither a file was given nor a data block that names one",
               name_str(m->ctx, m->desc->name));
    return false;
}

const char *data_file(Model *m, Arena *a, const char *path, const char *key) {
    return path ? arena_strdup(a, path) : model_beside(m, a, data_string(m, key));
}

/* ---- records ------------------------------------------------------------------------------------------------------------ */

typedef bool (*ReadText)(Records *r, const char *path, const char *text, size_t n);

static bool read_file(Records *r, const char *path, ReadText fn) {
    TextOptions o;
    char *text;
    size_t n;
    r->path = path;
    r->line = 0;
    r->within = 0;
    return text_options(r->m, UNIT_WORDS, &o) && text_whole(r->m->ctx, r->a, path, o.unit, &text, &n) && fn(r, path, text, n);
}

static bool read_table(Records *r, const char *path, const char *text, size_t n) {
    Csv csv;
    CsvForm form;
    return csv_form(r->m, path, &form) && csv_parse(r->m->ctx, r->a, path, text, n, form, &csv) &&
           read_rows(r, &csv);
}

static bool load_file(Model *m, const char *path, Arena *a, bool whole, const char *key, ReadText fn, Dataset *out) {
    Records r;
    const char *test = whole ? NULL : data_string(m, "test");
    records_make(&r, m, a, whole);
    if (!read_file(&r, data_file(m, a, path, key), fn)) return false;
    r.test = true;
    return (!test || read_file(&r, model_beside(m, a, test), fn)) && records_finish(&r, out);
}

/* The files of a list, and the class of each: its place, or the number of a pair "file": 1. */
static bool list_files(Model *m, Arena *a, const Setting *s, const char ***path, const char ***label, uint32_t *n) {
    const Setting *names = data_setting(m, "classes");
    *n = s->kind == SET_LIST ? s->n : 1;
    *path = NEW_N(a, const char *, *n + 1);
    *label = NEW_N(a, const char *, *n + 1);
    for (uint32_t i = 0; i < *n; i++) {
        const Setting *x = s->kind == SET_LIST ? &s->item[i] : s, *name = x->kind == SET_PAIR ? &x->item[0] : x;
        double class = x->kind == SET_PAIR && x->item[1].kind == SET_NUMBER ? x->item[1].number : i;
        if (name->kind != SET_STRING || class < 0 || class > 1e6) {
            diag_error(m->ctx, 552, x->span,
                       "data: a list of files is needed, one a class: [\"a.txt\", \"b.txt\"], or [\"a.txt\": 1, \"b.txt\": 0]");
            return false;
        }
        (*path)[i] = model_beside(m, a, name_str(m->ctx, name->name));
        (*label)[i] = arena_printf(a, "%.0f", class);
        if (names && names->kind == SET_LIST && class < names->n && names->item[(int)class].kind != SET_NUMBER)
            (*label)[i] = name_str(m->ctx, names->item[(int)class].name);
    }
    return true;
}

bool says_classes(Model *m, const Dataset *d) {
    if (!d->lacks) return true;
    if (*d->lacks) {
        diag_error(m->ctx, 611, NOWHERE, "the file has no column '%s', which the model's target is held against", d->lacks);
        return false;
    }
    diag_error(m->ctx, 552, NOWHERE, "a file alone does not say the class of its lines");
    diag_help(m->ctx, NOWHERE,
              "--set 'lines=[\"a.txt\", \"b.txt\"]' names a file for each class; a .csv with a column of classes can be given");
    return false;
}

static bool load_lines(Model *m, const char *given, Arena *a, bool whole, Dataset *out) {
    Records r;
    const char **path, **label;
    uint32_t n;
    const Setting *test = whole ? NULL : data_setting(m, "test");
    records_make(&r, m, a, whole);
    if (given) {
        bool ok = read_lines(&r, &given, 1, (const char *[]){NULL}) && records_finish(&r, out);
        if (m->desc->target.n) out->lacks = "";
        return ok && (whole || says_classes(m, out));
    }
    if (!list_files(m, a, data_setting(m, "lines"), &path, &label, &n) || !read_lines(&r, path, n, label)) return false;
    r.test = true;
    if (test && (!list_files(m, a, test, &path, &label, &n) || !read_lines(&r, path, n, label))) return false;
    return records_finish(&r, out);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------- */

/* Has it a value for each example? Expected results and weights may be in the file too. */
bool array_of_examples(const Array *x) {
    bool port = strncmp(x->name, "input/", 6) == 0 || strncmp(x->name, "target/", 7) == 0 || strncmp(x->name, "length/", 7) == 0;
    return x->rank && (port || !strchr(x->name, '/'));
}

static bool cut_port(Model *m, Arena *a, Dataset *d, const char *prefix, const PortDesc *p, int64_t most) {
    const char *name = name_str(m->ctx, p->name);
    Array *x = arrays_find(&d->array, arena_printf(a, "%s%s", prefix, name)),
          *l = arrays_find(&d->array, arena_printf(a, "length/%s", name));
    if (!x) x = arrays_find(&d->array, name);
    if (!p->seq || p->steps || !x || x->rank < 2 || x->dim[1] <= most) return true;
    for (int64_t i = 0; l && i < array_count(l); i++)
        if (array_get(l, i) > (double)most) array_set(l, i, (double)most);
    Arrays keep = {0};
    int64_t dim[RONDO_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[1] = most;
    Array *y = arrays_add(a, &keep, x->name, x->type, x->rank, dim);
    if (!y) return false;
    size_t to = (size_t)(array_count(y) / (dim[0] ? dim[0] : 1)) * rondo_type_size(x->type),
           from = to / (size_t)most * (size_t)x->dim[1];
    for (int64_t i = 0; i < dim[0]; i++) memcpy((char *)y->data + (size_t)i * to, (const char *)x->data + (size_t)i * from, to);
    *x = *y;
    return true;
}

/* max_length: the first steps of the sequences. */
static bool cut_length(Model *m, Arena *a, Dataset *d) {
    int64_t most = data_whole(m, "max_length");
    bool ok = true;
    for (uint32_t i = 0; ok && most && i < m->desc->input.n; i++) ok = cut_port(m, a, d, "input/", &m->desc->input.at[i], most);
    for (uint32_t i = 0; ok && most && i < m->desc->target.n; i++)
        ok = cut_port(m, a, d, "target/", &m->desc->target.at[i], most);
    return ok;
}

bool split_arrays(Model *m, Arena *a, const char *path, Dataset *d) {
    Split s = split_read(m);
    return split_in_order(&s) ? split_counts(m, &s, &d->n, &d->train, &d->valid) : draw_arrays(m, a, path, d);
}

static bool load_arrays(Model *m, const char *path, Arena *a, bool whole, Dataset *out) {
    *out = (Dataset){0};
    const char *file = data_file(m, a, path, "npz");
    return npz_read(m->ctx, a, file, &out->array) && dataset_count(m, file, out) && cut_length(m, a, out) &&
           (whole || split_arrays(m, a, file, out));
}

bool dataset_holdback(Model *m, Dataset *d) {
    const Setting *v = train_setting(m, "validation");
    double part = v && v->kind == SET_NUMBER ? v->number : 0;
    if (!(part >= 0 && part < 1)) {
        diag_error(m->ctx, 551, v->span, "validation is %g; it is a part of what trains, below 1, or a file", part);
        return false;
    }
    d->valid = (int64_t)(part * (double)d->train);
    d->train -= d->valid;
    return true;
}

const char *validation_file(Model *m) {
    const Setting *v = train_setting(m, "validation");
    return v && v->kind == SET_STRING ? name_str(m->ctx, v->name) : NULL;
}

bool validation_load(Model *m, Arena *a, TrainData *d) {
    const char *file = validation_file(m);
    d->has_other = file != NULL;
    return !file || (dataset_load(m, model_beside(m, a, file), a, true, &d->other) && says_classes(m, &d->other));
}

bool dataset_count(Model *m, const char *path, Dataset *d) {
    const char *first = NULL;
    d->n = -1;
    for (uint32_t i = 0; i < d->array.array.n; i++) {
        const Array *x = &d->array.array.at[i];
        if (!array_of_examples(x)) continue;
        if (d->n >= 0 && x->dim[0] != d->n) {
            diag_error(m->ctx, 613, NOWHERE, "%s%s'%s' has %lld examples where '%s' has %lld", path ? path : "", path ? ": " : "", x->name,
                       (long long)x->dim[0], first, (long long)d->n);
            return false;
        }
        if (!first) first = x->name;
        d->n = x->dim[0];
    }
    d->train = d->n;
    d->valid = 0;
    if (d->n > 0) return true;
    diag_error(m->ctx, 554, NOWHERE, "%s%sthere are no examples in the arrays", path ? path : "", path ? ": " : "");
    return false;
}

/* ---- all --------------------------------------------------------------------------------------------------------------- */

/* A table is a series unless the model takes texts or single examples, or a column says which rows are one. */
static bool is_series(Model *m) {
    if (data_setting(m, "run")) return false;
    for (uint32_t i = 0; i < m->desc->input.n; i++)
        if (!m->desc->input.at[i].seq || m->desc->input.at[i].vocab) return false;
    return true;
}

bool data_is_series(Model *m, const char *path) {
    Kind k;
    return find_kind(m, path, &k) && k == KIND_CSV && is_series(m);
}

/* Keys of a series are not for examples, which are taken as they stand: who wrote one thinks that it counts. */
static bool no_series_keys(Model *m, Kind kind) {
    static const char *const key[] = {"scale", "gaps", "date", "horizon", "window", "stride"};
    bool cut = kind == KIND_TEXT || kind == KIND_WAV; /* into windows */
    for (size_t k = 0; k < (cut ? 4 : sizeof key / sizeof *key); k++) {
        const Setting *s = data_setting(m, key[k]);
        if (!s) continue;
        diag_error(m->ctx, 552, s->span, "data: `%s` is for a series in a table; these data are examples, and are taken as they stand", key[k]);
        if (!k) diag_help(m->ctx, NOWHERE, "numbers are scaled in the model: z = (x - 12.5) / 3.1; `rondo new regress --data FILE` and `classify-sequences` find mean and deviation");
        return false;
    }
    return true;
}

static bool load(Model *m, const char *path, Arena *a, bool whole, Dataset *out) {
    Kind kind;
    Series s;
    *out = (Dataset){0};
    if (!find_kind(m, path, &kind) || (!(kind == KIND_CSV && is_series(m)) && !no_series_keys(m, kind))) return false;
    switch (kind) {
    case KIND_NPZ: return load_arrays(m, path, a, whole, out);
    case KIND_TEXT: return text_load(m, data_file(m, a, path, "text"), a, whole, out);
    case KIND_LINES: return load_lines(m, path, a, whole, out);
    case KIND_TS: return load_file(m, path, a, whole, "ts", read_ts, out);
    case KIND_JSONL: return load_file(m, path, a, whole, "jsonl", read_jsonl, out);
    case KIND_WAV: return wav_load(m, path, a, whole, out);
    case KIND_MADE: return made_load(m, a, whole, out);
    case KIND_CSV:
    case KIND_NONE: break;
    }
    if (!is_series(m)) return load_file(m, path, a, whole, "csv", read_table, out);
    if (!series_load(m, path, a, whole, &s)) return false;
    *out = s.set;
    return true;
}

/* What data teach is kept only if they are good. */
bool dataset_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out) {
    Fitted before = {0};
    if (m->fitted) before = *m->fitted;
    bool ok = load(m, path, a, whole, out);
    if (!ok && m->fitted) *m->fitted = before;
    return ok;
}
