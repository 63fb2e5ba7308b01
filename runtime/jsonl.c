/* jsonl: an example a line, {"x": [[1, 2], [3, 4]], "y": 1}, by the names of the model's inputs and targets. A sequence is an
   array of steps, of arrays of features (of one feature: of numbers), of tokens, or of names: words of an input, classes of a target; or it
   is a text. A single value is a number, an array of features, true or false, or the name of a class. */
#include <jansson.h>
#include <string.h>

#include "runtime/records.h"

static bool number(Records *r, Store *s, const json_t *j) {
    const char *name = strchr(s->name, '/') + 1;
    if (!json_is_number(j) && !json_is_boolean(j))
        return records_bad(r, 622, 0, "\"%s\" holds something else where a number is needed", name);
    record_number(r, s, json_is_boolean(j) ? json_is_true(j) : json_number_value(j));
    if (!s->port->vocab && s->port->dtype != DT_B) return true;
    double v = json_is_boolean(j) ? json_is_true(j) : json_number_value(j);
    int64_t most = s->port->vocab ? s->port->vocab : 2;
    if (v >= 0 && v < (double)most && v == (double)(int64_t)v) return true;
    return records_bad(r, 609, 0, "\"%s\" holds %g, which is no whole number from 0 to %lld", name, v, (long long)most - 1);
}

/* Numbers of `per` features, nested as the port is or flat. */
static bool features(Records *r, Store *s, const json_t *j, int rank) {
    const char *name = strchr(s->name, '/') + 1;
    if (rank == s->port->rank || (s->per == 1 && !json_is_array(j))) return number(r, s, j);
    size_t want = (size_t)s->port->dim[rank];
    if (!json_is_array(j) || json_array_size(j) != want)
        return records_bad(r, 622, 0, "\"%s\" has %zu numbers where %zu are needed", name,
                           json_is_array(j) ? json_array_size(j) : (size_t)0, want);
    for (size_t i = 0; i < want; i++)
        if (!features(r, s, json_array_get(j, i), rank + 1)) return false;
    return true;
}

/* The steps of an array of names: each the name of a class or, of an input, a word. */
static bool add_names(Records *r, Store *s, const json_t *j, bool target) {
    const char *name = strchr(s->name, '/') + 1;
    Str words = str_make(r->a);
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *x = json_array_get(j, i);
        const char *text = json_string_value(x);
        size_t n = json_string_length(x);
        if (!text) return records_bad(r, 622, 0, "\"%s\" holds names and something else", name);
        if (!target && (!n || memchr(text, ' ', n) || memchr(text, '\t', n) || memchr(text, '\n', n)))
            return records_bad(r, 622, 0, "\"%s\" holds '%.40s', which is not one word", name, escape_token(r->a, text, n < 40 ? n : 40));
        if (!target) {
            str_printf(&words, "%s%s", i ? " " : "", text);
            continue;
        }
        VEC_PUSH(r->a, s->string) = arena_strndup(r->a, text, n);
        VEC_PUSH(r->a, s->size) = n;
    }
    if (target) VEC_PUSH(r->a, s->labels) = (int64_t)json_array_size(j);
    else record_text(r, s, words.at, words.n);
    return true;
}

static bool add_port(Records *r, Store *s, const json_t *j) {
    const char *name = strchr(s->name, '/') + 1;
    bool target = (uint32_t)(s - r->store) >= r->m->desc->input.n, named = json_is_array(j) && json_is_string(json_array_get(j, 0));
    if (named && s->port->seq && s->port->vocab && !s->port->rank && !s->steps.n && (!target || s->labels.n || !s->string.n)) return add_names(r, s, j, target);
    if (s->labels.n) return records_bad(r, 622, 0, "\"%s\" holds names in some lines and none in others", name);
    bool is_text = json_is_string(j), was_text = s->string.n > 0;
    if (is_text && s->port->seq && s->port->vocab && (was_text || !s->steps.n)) {
        record_text(r, s, arena_strndup(r->a, json_string_value(j), json_string_length(j)), json_string_length(j));
        return true;
    }
    if (s->classes) {
        const char *value = is_text ? arena_strdup(r->a, json_string_value(j)) : NULL;
        if (json_is_integer(j)) value = arena_printf(r->a, "%lld", (long long)json_integer_value(j));
        if (json_is_boolean(j)) value = json_is_true(j) ? "1" : "0";
        return value ? record_value(r, s, value, strlen(value), 0)
                     : records_bad(r, 622, 0, "\"%s\" is a class: a name or a whole number", name);
    }
    if (is_text || (was_text && s->port->seq))
        return records_bad(r, 622, 0, "\"%s\" is a text in some lines and none in others, or where none is needed", name);
    if (!s->port->seq) return features(r, s, j, 0) && record_steps(r, s, 1);
    if (!json_is_array(j)) return records_bad(r, 622, 0, "\"%s\" is a sequence: an array of its steps", name);
    for (size_t i = 0; i < json_array_size(j); i++)
        if (!features(r, s, json_array_get(j, i), 0)) return false;
    if (!json_array_size(j)) return records_bad(r, 622, 0, "\"%s\" has no steps", name);
    return record_steps(r, s, (int64_t)json_array_size(j));
}

typedef struct {
    Records *r;
    json_t *root;
} Line;

static bool add_line(void *arg) {
    Line *l = arg;
    Records *r = l->r;
    size_t used = 0;
    records_add(r);
    for (uint32_t k = 0; k < r->nstore; k++) {
        const char *name = strchr(r->store[k].name, '/') + 1;
        if (!records_given(r, &r->store[k])) continue;
        const json_t *j = json_object_get(l->root, name);
        if (!j && (k < r->m->desc->input.n || !r->whole)) return records_bad(r, 605, 0, "there is no \"%s\"", name);
        if (!j) continue;
        used++;
        if (!add_port(r, &r->store[k], j)) return false;
    }
    if (used == json_object_size(l->root)) return true;
    const char *key;
    json_t *value;
    json_object_foreach(l->root, key, value) {
        bool known = false;
        for (uint32_t k = 0; k < r->nstore; k++) known = known || strcmp(strchr(r->store[k].name, '/') + 1, key) == 0;
        if (!known && strcmp(key, "id") != 0 && strcmp(key, "comment") != 0)
            return records_bad(r, 607, 0, "the model has neither input nor target \"%.60s\"", key);
    }
    return true;
}

bool read_jsonl(Records *r, const char *path, const char *text, size_t n) {
    r->path = path;
    for (const char *p = text, *end = text + n; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p)), *last = stop ? stop : end;
        json_error_t why;
        size_t blanks = strspn(p, " \t\r");
        r->line++;
        if (p + blanks < last) {
            Line l = {r, json_loadb(p, (size_t)(last - p), JSON_REJECT_DUPLICATES, &why)};
            if (!l.root) return records_bad(r, 622, why.position > 0 ? why.position : 1, "%s", why.text);
            int got = json_is_object(l.root) ? guard_call(r->m->ctx, add_line, &l)
                                             : records_bad(r, 622, 1, "an object {..} is needed in each line");
            json_decref(l.root);
            if (got < 0) ctx_out_of_memory(r->m->ctx);
            if (!got) return false;
        }
        p = last + 1;
    }
    return true;
}
