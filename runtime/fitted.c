/* fitted: what the training data taught before training (scaling, vocabulary, classes), kept in the metadata of the weights:
     rondo.scale       x.0 4.7 190.2 y.0 ..      port and feature, shift and scale
     rondo.vocabulary  see vocabulary_text
     rondo.classes     names, escaped, with blanks between */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

Fitted *fitted(Model *m) {
    if (!m->fitted) m->fitted = NEW(&m->arena, Fitted);
    return m->fitted;
}

const FittedColumn *fitted_column(const Model *m, const char *name) {
    for (uint32_t i = 0; m->fitted && i < m->fitted->column.n; i++)
        if (strcmp(m->fitted->column.at[i].name, name) == 0) return &m->fitted->column.at[i];
    return NULL;
}

static void put_meta(Arena *a, Safetensors *s, const char *key, const char *value) {
    VEC_PUSH(a, s->meta) = key;
    VEC_PUSH(a, s->meta) = value;
}

void fitted_put(Model *m, Arena *a, Safetensors *s) {
    const Fitted *f = m->fitted;
    Str text = str_make(a), names = str_make(a);
    if (!f) return;
    for (uint32_t i = 0; i < f->column.n; i++) {
        str_printf(&text, "%s%s ", i ? " " : "", f->column.at[i].name);
        str_double(&text, f->column.at[i].shift);
        str_putc(&text, ' ');
        str_double(&text, f->column.at[i].scale);
    }
    for (uint32_t i = 0; i < f->nclass; i++)
        str_printf(&names, "%s%s", i ? " " : "", escape_token(a, f->class_name[i], strlen(f->class_name[i])));
    if (f->column.n) put_meta(a, s, "rondo.scale", text.at);
    if (f->vocabulary) put_meta(a, s, "rondo.vocabulary", vocabulary_text(a, f->vocabulary));
    if (f->nclass) put_meta(a, s, "rondo.classes", names.at);
}

static bool take_scale(Arena *a, Fitted *f, const char *p) {
    while (*(p += strspn(p, " "))) {
        size_t n = strcspn(p, " ");
        char *end;
        FittedColumn c = {.name = arena_strndup(a, p, n)};
        c.shift = parse_double(p + n, &end);
        if (end == p + n || *end != ' ') return false;
        p = end;
        c.scale = parse_double(p, &end);
        if (end == p || !isfinite(c.shift) || !isfinite(c.scale) || !(c.scale > 0)) return false;
        p = end;
        VEC_PUSH(a, f->column) = c;
    }
    return true;
}

static bool take_classes(Arena *a, Fitted *f, const char *p) {
    VEC(const char *) name = {0};
    while (*(p += strspn(p, " "))) {
        size_t n = strcspn(p, " ");
        const char *t = unescape_token(a, p, n);
        if (!t) return false;
        VEC_PUSH(a, name) = t;
        p += n;
    }
    f->class_name = name.at;
    f->nclass = name.n;
    return true;
}

bool fitted_take(Model *m, const char *path, const Safetensors *s) {
    Arena *a = &m->arena;
    Fitted *f = NEW(a, Fitted);
    bool ok = true;
    for (uint32_t i = 0; ok && i + 1 < s->meta.n; i += 2) {
        const char *key = s->meta.at[i], *value = s->meta.at[i + 1];
        if (strcmp(key, "rondo.scale") == 0) ok = take_scale(a, f, value);
        if (strcmp(key, "rondo.classes") == 0) ok = take_classes(a, f, value);
        if (strcmp(key, "rondo.vocabulary") == 0) ok = (f->vocabulary = vocabulary_parse(a, value)) != NULL;
        if (!ok) diag_error(m->ctx, 601, NOWHERE, "%s: the metadata '%s' is damaged", path, key);
    }
    if (ok) m->fitted = f->column.n || f->nclass || f->vocabulary ? f : NULL;
    return ok;
}
