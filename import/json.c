/* json: jansson's trees as trees in an arena, so that nothing has to be freed when memory runs out. */
#include <jansson.h>
#include <string.h>

#include "import/internal.h"

typedef struct {
    Arena *a;
    const json_t *root;
    Json *out;
} Copy;

static void copy(Arena *a, const json_t *j, Json *out) { /* jansson bounds the depth */
    switch (json_typeof(j)) {
    case JSON_NULL: out->kind = JSON_NULL_; break;
    case JSON_TRUE:
    case JSON_FALSE:
        out->kind = JSON_BOOL_;
        out->number = json_is_true(j);
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        out->kind = JSON_NUMBER_;
        out->number = json_number_value(j);
        break;
    case JSON_STRING:
        out->kind = JSON_STRING_;
        out->text = arena_strdup(a, json_string_value(j));
        break;
    case JSON_ARRAY: {
        size_t n = json_array_size(j);
        Json *item = NEW_N(a, Json, n + 1);
        for (size_t i = 0; i < n; i++) copy(a, json_array_get(j, i), &item[i]);
        *out = (Json){.kind = JSON_LIST_, .n = (uint32_t)n, .item = item};
        break;
    }
    case JSON_OBJECT: {
        size_t n = json_object_size(j), i = 0;
        Json *item = NEW_N(a, Json, n + 1);
        const char **name = NEW_N(a, const char *, n + 1), *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)j, key, value) {
            name[i] = arena_strdup(a, key);
            copy(a, value, &item[i++]);
        }
        *out = (Json){.kind = JSON_OBJECT_, .n = (uint32_t)n, .item = item, .key = name};
        break;
    }
    }
}

static bool copy_root(void *arg) {
    Copy *c = arg;
    c->out = NEW(c->a, Json);
    copy(c->a, c->root, c->out);
    return true;
}

const Json *json_read(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n) {
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!root) {
        import_bad(ctx, what, "is no sound JSON: line %d, column %d: %s", why.line, why.column, why.text);
        return NULL;
    }
    Copy c = {a, root, NULL};
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        copy_root(&c);
        CTX_END(ctx);
        json_decref(root);
        return c.out;
    }
    json_decref(root);
    ctx_out_of_memory(ctx);
}

const Json *json_get(const Json *j, const char *key) {
    for (uint32_t i = 0; j && j->kind == JSON_OBJECT_ && i < j->n; i++)
        if (!strcmp(j->key[i], key)) return j->item[i].kind == JSON_NULL_ ? NULL : &j->item[i];
    return NULL;
}

const char *json_text(const Json *j, const char *key, const char *otherwise) {
    const Json *v = json_get(j, key);
    return v && v->kind == JSON_STRING_ ? v->text : otherwise;
}

double json_number_of(const Json *j, const char *key, double otherwise) {
    const Json *v = json_get(j, key);
    return v && v->kind == JSON_NUMBER_ ? v->number : otherwise;
}

bool json_flag(const Json *j, const char *key, bool otherwise) {
    const Json *v = json_get(j, key);
    return v && v->kind == JSON_BOOL_ ? v->number != 0 : otherwise;
}

/* ---- arrays -------------------------------------------------------------------------------------------------------------- */

static bool gather(const Json *j, int rank, const int64_t *dim, double **p) {
    if (rank == 0) {
        if (j->kind != JSON_NUMBER_) return false;
        *(*p)++ = j->number;
        return true;
    }
    if (j->kind != JSON_LIST_ || j->n != dim[0]) return false;
    for (uint32_t i = 0; i < j->n; i++)
        if (!gather(&j->item[i], rank - 1, dim + 1, p)) return false;
    return true;
}

/* What is really there, before memory is taken on the word of the first items. */
static int64_t leaves(const Json *j) {
    if (j->kind != JSON_LIST_) return 1;
    int64_t n = 0;
    for (uint32_t i = 0; i < j->n; i++) n += leaves(&j->item[i]);
    return n;
}

bool json_array_of(Ctx *ctx, Arena *a, const char *what, const char *where, const Json *j, Array *out) {
    const Json *shape = json_get(j, "shape"), *data = json_get(j, "data");
    *out = (Array){.type = RONDO_F64, .name = ""};
    int64_t n = 1;
    if (shape && data) {
        if (shape->kind != JSON_LIST_ || shape->n > RONDO_MAX_RANK || data->kind != JSON_LIST_)
            return import_bad(ctx, what, "%s: \"shape\" and \"data\" have to be lists, the shape of at most 8 numbers", where);
        out->rank = (int)shape->n;
        for (uint32_t k = 0; k < shape->n; k++) {
            double d = shape->item[k].number;
            if (shape->item[k].kind != JSON_NUMBER_ || !(d >= 0 && d <= 1e15) || d != (double)(int64_t)d)
                return import_bad(ctx, what, "%s: a dim of \"shape\" is no size", where);
            out->dim[k] = (int64_t)d;
        }
        n = array_count(out);
        if (n != data->n)
            return import_bad(ctx, what, "%s: \"shape\" and the %u numbers of \"data\" disagree", where, (unsigned)data->n);
        double *p = NEW_N(a, double, n + 1);
        out->data = p;
        return gather(data, 1, &n, &p) || import_bad(ctx, what, "%s: \"data\" holds something besides numbers", where);
    }
    for (const Json *k = j; k && k->kind == JSON_LIST_; k = k->n ? &k->item[0] : NULL) {
        if (out->rank == RONDO_MAX_RANK) return import_bad(ctx, what, "%s: more than 8 dims", where);
        out->dim[out->rank++] = k->n;
    }
    n = array_count(out);
    if (!j || n != leaves(j)) return import_bad(ctx, what, "%s: this is no array: a list is ragged", where);
    double *p = NEW_N(a, double, n + 1);
    out->data = p;
    return gather(j, out->rank, out->dim, &p) || import_bad(ctx, what, "%s: something in it is no number", where);
}
