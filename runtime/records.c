/* records: what a reader found, made into a data set: classes get their numbers, records their part, texts their vocabulary. */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

/* ---- stores ------------------------------------------------------------------------------------------------------------- */

static void make_store(Records *r, const PortDesc *p, const char *prefix, bool target) {
    const Setting *teacher = data_setting(r->m, "teacher");
    Store *s = &r->store[r->nstore++];
    bool whole = p->dtype == DT_B || p->vocab;
    *s = (Store){.port = p, .name = arena_printf(r->a, "%s%s", prefix, name_str(r->m->ctx, p->name)), .per = 1};
    for (int k = 0; k < p->rank; k++) s->per *= p->dim[k];
    s->type = p->vocab ? RONDO_I32 : p->dtype == DT_B ? RONDO_U8 : r->m->f64 ? RONDO_F64 : RONDO_F32;
    s->classes = target && whole && !p->seq;
    s->teacher = !target && teacher && teacher->name == p->name;
}

/* The target that the input `teacher` repeats one step late; NULL: there is no such input. *ok false with a diagnostic. */
static Store *taught(Records *r, Store **input, bool *ok) {
    const Setting *key = data_setting(r->m, "teacher");
    Store *y = records_target(r);
    *input = NULL;
    *ok = true;
    for (uint32_t k = 0; k < r->m->desc->input.n; k++)
        if (r->store[k].teacher) *input = &r->store[k];
    if (!key) return NULL;
    if (*input && y && (*input)->port->seq && (*input)->port->axis == y->port->axis && y->port->vocab && (*input)->port->vocab == y->port->vocab) return y;
    diag_error(r->m->ctx, 552, key->span, "data: teacher names an input `seq token[V]` along the axis of the target, which it holds one step late");
    *ok = false;
    return NULL;
}

static void make_weights(Records *r) {
    const Setting *key = train_setting(r->m, "sample_weights");
    if (!key) return;
    PortDesc *p = NEW(r->a, PortDesc);
    *p = (PortDesc){.name = key->name, .dtype = DT_F, .span = key->span};
    make_store(r, p, "sample/", true);
    Store *s = &r->store[r->nstore - 1];
    s->type = RONDO_F64;
    s->weight = true;
}

bool records_given(const Records *r, const Store *s) { return !s->teacher && !s->absent && !(s->weight && r->whole); }

void records_make(Records *r, Model *m, Arena *a, bool whole) {
    *r = (Records){.m = m, .a = a, .whole = whole};
    r->store = NEW_N(a, Store, m->desc->input.n + m->desc->target.n + 2);
    for (uint32_t i = 0; i < m->desc->input.n; i++) make_store(r, &m->desc->input.at[i], "input/", false);
    for (uint32_t i = 0; i < m->desc->target.n; i++) make_store(r, &m->desc->target.at[i], "target/", true);
    make_weights(r);
}

bool records_bad(Records *r, uint16_t code, int64_t column, const char *fmt, ...) {
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (column)
        diag_error(r->m->ctx, code, NOWHERE, "%s:%lld:%lld: %s", r->path, (long long)r->line, (long long)column, text);
    else
        diag_error(r->m->ctx, code, NOWHERE, "%s:%lld: %s", r->path, (long long)r->line, text);
    return false;
}

Store *records_input(Records *r) {
    if (r->m->desc->input.n == 1) return &r->store[0];
    diag_error(r->m->ctx, 552, r->m->desc->span, "these data have one input, and the model %u", r->m->desc->input.n);
    return NULL;
}

Store *records_target(Records *r) { return r->m->desc->target.n ? &r->store[r->m->desc->input.n] : NULL; }

void records_add(Records *r) {
    VEC_PUSH(r->a, r->record) = (Record){.path = r->path, .line = r->line, .within = r->within++, .test = r->test, .label = -1};
}

void record_number(Records *r, Store *s, double v) {
    size_t size = rondo_type_size(s->type);
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        s->data = arena_grow(r->a, s->data, s->cap * size, cap * size);
        s->cap = cap;
    }
    Array one = {.type = s->type, .rank = 1, .dim = {(int64_t)s->cap}, .data = s->data};
    array_set(&one, (int64_t)s->n++, v);
}

bool record_steps(Records *r, Store *s, int64_t steps) {
    int64_t before = 0;
    if (s->steps.n) before = s->start.at[s->steps.n - 1] + s->steps.at[s->steps.n - 1];
    if ((int64_t)s->n != (before + steps) * s->per)
        return records_bad(r, 613, 0, "'%s' has %lld numbers where %lld are needed", s->name, (long long)s->n - before * s->per,
                           (long long)(steps * s->per));
    VEC_PUSH(r->a, s->start) = before;
    VEC_PUSH(r->a, s->steps) = steps;
    return true;
}

void record_text(Records *r, Store *s, const char *text, size_t n) {
    s->text = !s->classes;
    VEC_PUSH(r->a, s->string) = text;
    VEC_PUSH(r->a, s->size) = n;
}

bool record_value(Records *r, Store *s, const char *text, size_t n, int64_t column) {
    if (s->classes) {
        if (!n && !r->whole) return records_bad(r, 612, column, "no class of '%s' stands here; every example needs one", name_str(r->m->ctx, s->port->name));
        record_text(r, s, text, n);
        return true;
    }
    char cell[64], *end;
    double v = NAN;
    if (n < sizeof cell) {
        memcpy(cell, text, n);
        cell[n] = 0;
        v = decimal_number(cell, &end);
        if (end == cell || *end) v = NAN;
    }
    if (!isfinite(v)) return records_bad(r, 612, column, "'%.40s' is not a number", escape_token(r->a, text, n < 40 ? n : 40));
    record_number(r, s, v);
    return record_steps(r, s, 1);
}

/* ---- classes ------------------------------------------------------------------------------------------------------------ */

static void at_record(Records *r, uint32_t i) {
    r->path = r->record.at[i].path;
    r->line = r->record.at[i].line;
}

static bool is_number(const char *text, size_t n, int64_t most) {
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || i > 9) return false;
        v = v * 10 + (text[i] - '0');
    }
    return n && v < most;
}

/* Numbers by their size, before all else. */
static int by_name(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    char *xend, *yend;
    double v = decimal_number(x, &xend), w = decimal_number(y, &yend);
    bool xnum = xend != x && !*xend, ynum = yend != y && !*yend;
    if (xnum != ynum) return xnum ? -1 : 1;
    if (xnum && v != w) return v < w ? -1 : 1;
    return strcmp(x, y);
}

/* The different names, sorted; of more than any model tells apart, some. */
enum { MANY = 1000 };
static void distinct(Records *r, const Store *s, Fitted *f) {
    VEC(const char *) all = {0};
    for (uint32_t i = 0; i < s->string.n; i++) {
        bool known = false;
        for (uint32_t k = 0; k < all.n && !known; k++)
            known = strlen(all.at[k]) == s->size.at[i] && !strncmp(all.at[k], s->string.at[i], s->size.at[i]);
        if (!known && all.n < MANY)
            VEC_PUSH(&r->m->arena, all) = arena_strndup(&r->m->arena, s->string.at[i], s->size.at[i]);
    }
    qsort(all.at, all.n, sizeof *all.at, by_name);
    Str list = str_make(r->a);
    for (uint32_t i = 0; i < all.n && i < 20; i++) str_printf(&list, "%s%s", i ? ", " : "", all.at[i]);
    model_log(r->m, "classes of '%s', from 0 on: %s%s", name_str(r->m->ctx, s->port->name), list.at, all.n > 20 ? ", .." : "");
    f->class_name = all.at;
    f->nclass = all.n;
}

/* Names of the classes: those of the weights, of the key `classes`, of the file, or those that occur; none if all are numbers. */
static bool name_classes(Records *r, const Store *s) {
    Fitted *f = fitted(r->m);
    const Setting *key = data_setting(r->m, "classes");
    int64_t most = s->port->vocab ? s->port->vocab : 2;
    bool numbers = true;
    if (f->class_name) return true;
    for (uint32_t i = 0; i < s->string.n && numbers; i++) numbers = is_number(s->string.at[i], s->size.at[i], most);
    if (key) {
        uint32_t n = key->kind == SET_LIST ? key->n : 1;
        const char **name = NEW_N(&r->m->arena, const char *, n + 1);
        for (uint32_t i = 0; i < n; i++) {
            const Setting *x = key->kind == SET_LIST ? &key->item[i] : key;
            name[i] =
                x->kind == SET_NUMBER ? arena_printf(&r->m->arena, "%g", x->number) : name_str(r->m->ctx, x->name);
        }
        f->class_name = name;
        f->nclass = n;
    } else if (r->ndeclared) {
        const char **name = NEW_N(&r->m->arena, const char *, r->ndeclared + 1);
        for (uint32_t i = 0; i < r->ndeclared; i++) name[i] = arena_strdup(&r->m->arena, r->declared[i]);
        f->class_name = name;
        f->nclass = r->ndeclared;
    } else if (!numbers)
        distinct(r, s, f);
    if (f->nclass <= most) return true;
    diag_error(r->m->ctx, 552, s->port->span, "the data have %u%s classes ('%s', '%s', ..) where the target '%s' has room for %lld", f->nclass,
               f->nclass == MANY ? " or more" : "", f->class_name[0], f->class_name[1], name_str(r->m->ctx, s->port->name), (long long)most);
    if (f->nclass < MANY) diag_help(r->m->ctx, NOWHERE, "token[%u] has room for them", f->nclass);
    f->nclass = 0;
    f->class_name = NULL;
    return false;
}

/* The class that string i, of a record, names. */
static bool class_of(Records *r, const Store *s, uint32_t i, uint32_t record, int64_t *out) {
    const Fitted *f = fitted(r->m);
    const char *text = s->string.at[i];
    size_t n = s->size.at[i];
    int64_t most = s->port->vocab ? s->port->vocab : 2;
    for (uint32_t k = 0; k < f->nclass; k++)
        if (strlen(f->class_name[k]) == n && strncmp(f->class_name[k], text, n) == 0) {
            *out = k;
            return true;
        }
    if (!f->nclass && is_number(text, n, most)) {
        *out = strtol(text, NULL, 10);
        return true;
    }
    at_record(r, record);
    records_bad(r, 609, 0, "'%.40s' is no class of '%s'", n ? escape_token(r->a, text, n < 40 ? n : 40) : "",
                name_str(r->m->ctx, s->port->name));
    Str list = str_make(r->a);
    for (uint32_t k = 0; k < f->nclass && k < 12; k++) str_printf(&list, "%s'%s'", k ? ", " : "", f->class_name[k]);
    if (f->nclass)
        diag_help(r->m->ctx, NOWHERE, "the classes are %s%s", list.at, f->nclass > 12 ? ", .." : "");
    else
        diag_help(r->m->ctx, NOWHERE, "a whole number below %lld is needed", (long long)most);
    return false;
}

static bool number_classes(Records *r, Store *s) {
    bool each_step = s->labels.n > 0;
    if (!name_classes(r, s)) return false;
    for (uint32_t i = 0, at = 0; i < (each_step ? s->labels.n : s->string.n); i++) {
        int64_t steps = each_step ? s->labels.at[i] : 1, c = 0;
        for (int64_t t = 0; t < steps; t++) {
            if (!class_of(r, s, at++, i, &c)) return false;
            record_number(r, s, (double)c);
        }
        if (!record_steps(r, s, steps)) return false;
        if (s == records_target(r) && !each_step) r->record.at[i].label = c;
    }
    r->classes = r->classes || (s == records_target(r) && !each_step);
    return true;
}

/* ---- texts -------------------------------------------------------------------------------------------------------------- */

static bool each_token(Records *r, const Store *s, uint32_t i, const TextOptions *o, Counter *c, const Vocabulary *v,
                       int64_t most, Store *to) {
    const char *begin = s->string.at[i], *at = begin, *end = begin + s->size.at[i], *p;
    size_t size;
    for (int64_t k = 0; (!most || k < most) && (p = token_next(o->unit, &at, end, &size)); k++) {
        int64_t column = p - begin + 1;
        at_record(r, i);
        if (!size) return records_bad(r, 620, column, "this is not UTF-8; `unit = bytes` takes any file as it stands");
        if (size > TOKEN_MAX) return records_bad(r, 620, column, "a word of more than 1000 bytes");
        if (c) counter_add(c, p, size);
        if (!to) continue;
        int32_t id = vocabulary_id(v, p, size);
        if (id < 0) {
            records_bad(r, 620, column, "'%s' is not in the vocabulary", escape_token(r->a, p, size));
            diag_help(r->m->ctx, NOWHERE, "`unknown = true` in the data block gives it an id");
            return false;
        }
        record_number(r, to, id);
    }
    return true;
}

/* The tokens of a text; of one that is written token by token, up to its end. */
static bool encode(Records *r, Store *s, const TextOptions *o, const Vocabulary *v, int64_t most, bool ends) {
    for (uint32_t i = 0; i < s->string.n; i++) {
        size_t before = s->n;
        if (!each_token(r, s, i, o, NULL, v, most, s)) return false;
        if (ends) record_number(r, s, v->end);
        if (s->n == before) { /* an empty text: one step of nothing known */
            at_record(r, i);
            if (v->unknown < 0) return records_bad(r, 620, 0, "an empty text");
            record_number(r, s, v->unknown);
        }
        if (!record_steps(r, s, (int64_t)(s->n - before))) return false;
    }
    return true;
}

/* What was written before each step of y: nothing, which the end of a text stands for, then y's own tokens. */
static bool teach(Records *r, Store *x, const Store *y, const Vocabulary *v) {
    const int32_t *id = (const int32_t *)y->data;
    for (uint32_t i = 0; i < y->steps.n; i++) {
        at_record(r, i);
        for (int64_t t = 0; t < y->steps.at[i]; t++) record_number(r, x, t ? id[y->start.at[i] + t - 1] : v->end);
        if (!record_steps(r, x, y->steps.at[i])) return false;
    }
    return true;
}

/* The vocabulary: that of the weights, or the one of what trains. All texts of a model share one. */
static bool encode_texts(Records *r, const uint8_t *part) {
    TextOptions o;
    Fitted *f = fitted(r->m);
    int64_t most = data_whole(r->m, "max_length");
    int32_t size = 0;
    if (!text_options(r->m, UNIT_WORDS, &o)) return false;
    Counter *c = counter_make(r->a, &o);
    bool ok;
    Store *x, *y = taught(r, &x, &ok);
    if (!ok) return false;
    for (uint32_t k = 0; k < r->nstore; k++) {
        Store *s = &r->store[k];
        if (!s->text) continue;
        if (!s->port->vocab || !s->port->seq || (size && s->port->vocab != size)) {
            diag_error(r->m->ctx, 552, s->port->span, "a text goes into `seq token[V]`, with one V for all texts of a model");
            return false;
        }
        size = s->port->vocab;
        for (uint32_t i = 0; !f->vocabulary && o.unit != UNIT_BYTES && i < s->string.n; i++)
            if (part[i] == 0 && !each_token(r, s, i, &o, c, NULL, 0, NULL)) return false;
    }
    if (!size || !text_fit(r->m, &o, c, size)) return !size;
    if (y && f->vocabulary->end < 0) {
        diag_error(r->m->ctx, 552, y->port->span, "the vocabulary of the weights has no end of a text, which `teacher` needs");
        return false;
    }
    for (uint32_t k = 0; k < r->nstore; k++)
        if (r->store[k].text && !encode(r, &r->store[k], &o, f->vocabulary, most, &r->store[k] == y)) return false;
    return !y || teach(r, x, y, f->vocabulary);
}

/* ---- laying out --------------------------------------------------------------------------------------------------------- */

/* order[k] = record of example k: parts one after another. */
static int64_t *order_parts(Records *r, const uint8_t *part, Dataset *d) {
    uint32_t n = r->record.n, at = 0;
    int64_t *order = NEW_N(r->a, int64_t, n + 1), count[3] = {0};
    for (int p = 0; p < 3; p++)
        for (uint32_t i = 0; i < n; i++)
            if (part[i] == p) {
                order[at++] = i;
                count[p]++;
            }
    d->n = n;
    d->train = count[0];
    d->valid = count[1];
    return order;
}

static bool row_array(Records *r, const Store *s, const int64_t *order, Dataset *d) {
    int64_t dim[RONDO_MAX_RANK] = {d->n};
    for (int k = 0; k < s->port->rank; k++) dim[k + 1] = s->port->dim[k];
    Array *x = arrays_add(r->a, &d->array, s->weight ? strchr(s->name, '/') + 1 : s->name, s->type, 1 + s->port->rank, dim);
    size_t row = (size_t)s->per * rondo_type_size(s->type);
    for (int64_t i = 0; x && i < d->n; i++)
        memcpy((char *)x->data + (size_t)i * row, s->data + (size_t)s->start.at[order[i]] * row, row);
    return x != NULL;
}

static bool ragged_field(Records *r, const Store *s, const int64_t *order, int64_t most, Feed *f, int64_t *longest,
                         const Dataset *d) {
    int64_t *start = NEW_N(r->a, int64_t, d->n + 1), *steps = NEW_N(r->a, int64_t, d->n + 1);
    for (int64_t i = 0; i < d->n; i++) {
        start[i] = s->start.at[order[i]];
        steps[i] = s->steps.at[order[i]];
        if (most && steps[i] > most) steps[i] = most;
        at_record(r, (uint32_t)order[i]);
        if (steps[i] < 1) return records_bad(r, 613, 0, "'%s' has no steps", s->name);
        if (s->port->steps && steps[i] != s->port->steps)
            return records_bad(r, 613, 0, "'%s' has %lld steps where the model has %d", s->name, (long long)steps[i],
                               s->port->steps);
        if (steps[i] > longest[i]) longest[i] = steps[i];
    }
    Field x = {.name = s->name,
               .kind = FIELD_RAGGED,
               .type = s->type,
               .rank = s->port->rank,
               .data = s->data,
               .start = start,
               .steps = steps};
    for (int k = 0; k < x.rank; k++) x.dim[k] = s->port->dim[k];
    for (uint32_t i = 0; i < f->field.n; i++) { /* along one axis all have the same steps */
        const Store *other = &r->store[0];
        while (other->name != f->field.at[i].name) other++;
        for (int64_t k = 0; other->port->axis == s->port->axis && k < d->n; k++)
            if (f->field.at[i].steps[k] != steps[k]) {
                at_record(r, (uint32_t)order[k]);
                return records_bad(r, 613, 0, "'%s' has %lld steps where '%s' has %lld", s->name, (long long)steps[k],
                                   other->name, (long long)f->field.at[i].steps[k]);
            }
    }
    VEC_PUSH(r->a, f->field) = x;
    return true;
}

/* Records of several files may be mixed, and parts are drawn: the numbers are those that the user finds in the files. */
static void find_places(Records *r, const int64_t *order, Dataset *d) {
    FilePlace *place = NEW_N(r->a, FilePlace, d->n + 1);
    int64_t *by_place = NEW_N(r->a, int64_t, d->n + 1), *example = NEW_N(r->a, int64_t, d->n + 1), number = 0;
    bool *done = NEW_N(r->a, bool, d->n + 1);
    for (int64_t k = 0; k < d->n; k++) example[order[k]] = k;
    for (int64_t from = 0; from < d->n; from++) {
        const char *file = r->record.at[from].path;
        for (int64_t i = from; i < d->n && !done[from]; i++) {
            const Record *x = &r->record.at[i];
            if (x->path != file) continue;
            done[i] = i > from;
            place[example[i]] = (FilePlace){file, x->line, number, x->run};
            by_place[number++] = example[i];
        }
        if (!done[from] && from) d->several_files = true;
    }
    d->place = place;
    d->by_place = by_place;
}

static bool lay_out(Records *r, const uint8_t *part, Dataset *d) {
    Feed *f = NEW(r->a, Feed);
    int64_t *order = order_parts(r, part, d), *longest = NEW_N(r->a, int64_t, d->n + 1), most = data_whole(r->m, "max_length");
    f->bucket = data_whole(r->m, "bucket");
    d->lacks = r->lacks;
    find_places(r, order, d);
    for (uint32_t k = 0; k < r->nstore; k++) {
        const Store *s = &r->store[k];
        if (s->steps.n != r->record.n) {
            if (s->steps.n == 0 && k >= r->m->desc->input.n) continue; /* data to predict from may lack targets */
            diag_error(r->m->ctx, 605, s->port->span, "%s has nothing for '%s'", r->path, s->name);
            if (s->teacher)
                diag_help(r->m->ctx, NOWHERE, "it holds the target one step late, which these lines lack; `rondo generate --prompt TEXT` writes what a text is turned into");
            return false;
        }
        if (s->port->seq ? !ragged_field(r, s, order, most, f, longest, d) : !row_array(r, s, order, d)) return false;
    }
    if (f->field.n) d->feed = f;
    f->length = longest;
    return true;
}

bool records_finish(Records *r, Dataset *out) {
    *out = (Dataset){0};
    if (!r->record.n) {
        diag_error(r->m->ctx, 554, NOWHERE, "%s holds no examples", r->path ? r->path : "the file");
        return false;
    }
    for (uint32_t k = 0; k < r->nstore; k++)
        if ((r->store[k].classes || r->store[k].labels.n) && r->store[k].string.n && !number_classes(r, &r->store[k])) return false;
    uint8_t *part = NEW_N(r->a, uint8_t, r->record.n + 1);
    return split_records(r->m, r, r->a, part) && encode_texts(r, part) && lay_out(r, part, out);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------- */

static void move_rows(Arena *a, Array *x, const int64_t *order) {
    int64_t n = x->dim[0];
    size_t row = n ? (size_t)(array_count(x) / n) * rondo_type_size(x->type) : 0;
    char *to = arena_alloc(a, (size_t)n * row + 1);
    for (int64_t i = 0; i < n; i++) memcpy(to + (size_t)i * row, (const char *)x->data + (size_t)order[i] * row, row);
    x->data = to;
}

bool draw_arrays(Model *m, Arena *a, const char *path, Dataset *d) {
    Records r;
    records_make(&r, m, a, false);
    r.path = path;
    const Store *y = records_target(&r);
    const Array *class = y && y->classes ? first_target(m, &d->array) : NULL;
    r.classes = class && array_count(class) == d->n;
    for (int64_t i = 0; i < d->n; i++) {
        r.line = i + 1;
        records_add(&r);
        if (r.classes) r.record.at[i].label = (int64_t)array_get(class, i);
    }
    uint8_t *part = NEW_N(a, uint8_t, d->n + 1);
    if (!split_records(m, &r, a, part)) return false;
    const int64_t *order = order_parts(&r, part, d);
    find_places(&r, order, d);
    for (uint32_t i = 0; i < d->array.array.n; i++)
        if (array_of_examples(&d->array.array.at[i])) move_rows(a, &d->array.array.at[i], order);
    return true;
}
