/* new_json: what a file of JSON lines says about itself: which of its names is the input, which the target, and of what form. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "cli/new.h"
#include "runtime/text.h"

enum { MOST_CLASSES = 100, MOST_FIELDS = 16 };

/* The values of one name, over all lines. */
typedef struct {
    const char *name;
    bool word, words, number, numbers,
        vectors; /* a string; arrays of strings, of numbers, of arrays; several where lines differ */
    int64_t lines, items, steps,
        dims; /* items: of arrays, and words of strings; steps: of arrays; dims: of the arrays in them */
    int64_t several; /* strings of more than one word */
    Str all;         /* strings, one behind the other */
    double least, most;
    uint32_t distinct; /* strings or numbers; one more than MOST_CLASSES where there are more */
    const char *seen[MOST_CLASSES];
} Field;

typedef struct {
    NewFile *f;
    json_t *line;
    int64_t at, lines;
    Field *field;
    uint32_t n;
} Look;

static Field *find_field(Look *k, const char *name) {
    for (uint32_t i = 0; i < k->n; i++)
        if (!strcmp(k->field[i].name, name)) return &k->field[i];
    if (k->n == MOST_FIELDS) return NULL;
    Field *x = &k->field[k->n++];
    *x = (Field){.name = arena_strdup(k->f->a, name), .least = INFINITY, .most = -INFINITY, .all = str_make(k->f->a)};
    return x;
}

static void see(Look *k, Field *x, const char *text) {
    uint32_t i = 0;
    if (x->distinct > MOST_CLASSES) return;
    while (i < x->distinct && strcmp(x->seen[i], text)) i++;
    if (i < x->distinct) return;
    if (x->distinct < MOST_CLASSES) x->seen[x->distinct] = arena_strdup(k->f->a, text);
    x->distinct++;
}

static void look_at_value(Look *k, Field *x, const json_t *j, bool single) {
    if (json_is_string(j)) {
        const char *s = json_string_value(j);
        *(single ? &x->word : &x->words) = true;
        see(k, x, s);
        x->items += !single;
        if (single) str_put(&x->all, s);
        x->several += single && strpbrk(s, " \t\n");
        for (size_t n; single && *(s += strspn(s, " \t\n\r")); s += n, x->items++) n = strcspn(s, " \t\n\r");
    } else if (json_is_number(j) || json_is_boolean(j)) {
        double v = json_is_number(j) ? json_number_value(j) : json_is_true(j);
        *(single ? &x->number : &x->numbers) = true;
        x->least = fmin(x->least, v);
        x->most = fmax(x->most, v);
        if (v != floor(v)) x->distinct = MOST_CLASSES + 1;
        see(k, x, arena_printf(k->f->a, "%.17g", v));
        x->items += !single;
    } else if (json_is_array(j) && !single) {
        x->vectors = true;
        x->dims = (int64_t)json_array_size(j);
        x->items++;
    }
}

static bool look_at_line(void *arg) {
    Look *k = arg;
    const char *name;
    json_t *value;
    json_object_foreach(k->line, name, value) {
        if (!strcmp(name, "id") || !strcmp(name, "comment")) continue;
        Field *x = find_field(k, name);
        if (!x) break;
        x->lines++;
        x->steps += json_is_array(value) ? (int64_t)json_array_size(value) : 0;
        if (!json_is_array(value)) look_at_value(k, x, value, true);
        for (size_t i = 0; i < json_array_size(value); i++) look_at_value(k, x, json_array_get(value, i), false);
    }
    return true;
}

static bool look_at_lines(Look *k) {
    char *text;
    size_t n;
    if (!text_whole(k->f->ctx, k->f->a, k->f->path, UNIT_WORDS, &text, &n)) return false;
    for (const char *p = text, *end = text + n; p < end; k->at++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p)), *last = stop ? stop : end;
        json_error_t why;
        if (p + strspn(p, " \t\r") < last) {
            k->line = json_loadb(p, (size_t)(last - p), JSON_REJECT_DUPLICATES, &why);
            if (!json_is_object(k->line)) {
                diag_error(k->f->ctx, 622, NOWHERE, "%s:%lld:%d: %s", k->f->path, (long long)k->at + 1,
                           k->line ? 1 : why.position, k->line ? "an object {..} is needed in each line" : why.text);
                json_decref(k->line);
                return false;
            }
            int got = guard_call(k->f->ctx, look_at_line, k);
            json_decref(k->line);
            if (got < 0) ctx_out_of_memory(k->f->ctx);
            k->lines++;
        }
        p = last + 1;
    }
    return true;
}

/* ---- which is which ----------------------------------------------------------------------------------------------------- */

static int forms(const Field *x) { return x->word + x->words + x->number + x->numbers + x->vectors; }
static bool is_class(const Field *x) {
    return forms(x) == 1 && (x->word || x->number) && x->distinct > 1 && x->distinct <= MOST_CLASSES;
}
static bool is_labels(const Field *x) {
    return forms(x) == 1 && (x->words || x->numbers) && x->distinct > 1 && x->distinct <= MOST_CLASSES;
}
static bool is_value(const Field *x) { return forms(x) == 1 && x->number && x->distinct > 1; }
static bool is_text(const Field *x) { return forms(x) == 1 && (x->word || x->words); }
static bool single_words(const Field *x) { return x->word && x->distinct > MOST_CLASSES && x->several < x->lines / 10; }
static bool is_series(const Field *x) { return forms(x) == 1 && (x->numbers || x->vectors); }

static bool fewer(const Field *x, const Field *y) {
    return x->distinct < y->distinct || (x->distinct == y->distinct && x->items < y->items);
}

/* The target: of those that can be one, the one with the fewest different values; of numbers the first one with the most. */
static Field *find_target(Look *k, bool (*can)(const Field *)) {
    Field *best = NULL;
    for (uint32_t i = 0; i < k->n; i++) {
        Field *x = &k->field[i];
        if (can(x) && (!best || (can == is_value ? x->distinct > best->distinct : fewer(x, best)))) best = x;
    }
    return best;
}

/* The input: of the others the longest; a label for each step needs as many steps. */
static Field *find_input(Look *k, const Field *target, bool (*can)(const Field *)) {
    Field *best = NULL;
    for (uint32_t i = 0; i < k->n && target; i++) {
        Field *x = &k->field[i];
        bool suits = x != target && can(x) && (!is_labels(target) || x->items == target->items);
        if (suits && (!best || x->items > best->items)) best = x;
    }
    return best;
}

static bool is_sequence(const Field *x) { return is_text(x) || is_series(x); }

static bool none(Look *k, const char *needs) {
    Str have = str_make(k->f->a);
    for (uint32_t i = 0; i < k->n; i++) {
        const Field *x = &k->field[i];
        str_printf(&have, "%s\"%.40s\" (%s)", i ? ", " : "", x->name,
                   forms(x) > 1 ? "of several forms"
                   : x->word    ? "texts"
                   : x->words   ? "lists of words"
                   : x->number  ? "numbers"
                   : x->numbers ? "lists of numbers"
                   : x->vectors ? "lists of lists"
                                : "neither texts nor numbers");
    }
    diag_error(k->f->ctx, 622, NOWHERE, "%s needs %s", k->f->path, needs);
    if (k->n) diag_help(k->f->ctx, NOWHERE, "it has %s", have.at);
    return false;
}

/* Classes that are numbers keep them, so there are as many as the largest says; names are counted. */
static uint32_t classes_of(const Field *x) {
    bool counted = (x->number || x->numbers) && x->least >= 0 && x->most < MOST_CLASSES;
    return counted && x->most + 1 > x->distinct ? (uint32_t)x->most + 1 : x->distinct;
}

bool new_look_json(NewFile *f, const char *kind, NewNamed *out) {
    Look k = {.f = f, .field = NEW_N(f->a, Field, MOST_FIELDS)};
    bool tags = !strcmp(kind, "tagging"), texts = !strcmp(kind, "classify"), values = !strcmp(kind, "regress");
    if (!look_at_lines(&k)) return false;
    Field *y = find_target(&k, tags ? is_labels : values ? is_value : is_class), *x = find_input(&k, y,
                                                                             tags    ? is_sequence
                                                                             : texts ? is_text
                                                                                     : is_series);
    if (!x && tags)
        return none(&k, "in each line words or steps, and a list of as many labels, 2 to 100 different ones: {\"words\": \"tea "
                        "for two\", \"label\": [\"dish\", \"other\", \"guests\"]}");
    if (!x && texts)
        return none(
            &k,
            "in each line a text and its class, 2 to 100 different ones: {\"text\": \"tea for two\", \"label\": \"order\"}");
    if (!x && values) return none(&k, "in each line steps of numbers and a number: {\"x\": [[1, 2], [3, 4]], \"y\": 5.6}");
    if (!x)
        return none(&k, "in each line steps of numbers and a class, 2 to 100 different ones: {\"x\": [[1, 2], [3, 4]], "
                        "\"label\": \"wave\"}");
    f->keys = arena_printf(f->a, "\"%s\", \"%s\"", x->name, y->name);
    *out = (NewNamed){.source = "jsonl",
                     .input = x->name,
                     .target = y->name,
                     .lines = k.lines,
                     .text = is_text(x),
                     .letters = texts && single_words(x) ? x->all.at : NULL,
                     .dims = x->vectors ? x->dims : 1,
                     .classes = values ? 0 : classes_of(y)};
    return true;
}
