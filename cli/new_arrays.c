/* new_arrays: what a file of arrays (.npz) says about itself: sequences, and a class for each or for each of their steps. */
#include <math.h>
#include <string.h>

#include "cli/new.h"

enum { MOST_CLASSES = 100 };

/* Whole numbers from 0 on, of which the largest is below MOST_CLASSES: how many classes there may be; 0: others. */
static uint32_t classes_of(const Array *x) {
    double most = 0;
    for (int64_t i = 0; i < array_count(x); i++) {
        double v = array_get(x, i);
        if (!(v >= 0 && v < MOST_CLASSES && v == floor(v))) return 0;
        most = fmax(most, v);
    }
    return (uint32_t)most + 1;
}

static bool is_example(const Array *x, int64_t n) { return !strchr(x->name, '/') && x->rank && x->dim[0] == n; }

static const char *shapes(NewFile *f, const Arrays *s) {
    Str have = str_make(f->a);
    for (uint32_t i = 0; i < s->array.n; i++) {
        str_printf(&have, "%s\"%.40s\" [", i ? ", " : "", s->array.at[i].name);
        for (int k = 0; k < s->array.at[i].rank; k++) str_printf(&have, "%s%lld", k ? ", " : "", (long long)s->array.at[i].dim[k]);
        str_putc(&have, ']');
    }
    return have.n ? have.at : "no arrays";
}

static bool varies(const Array *x) {
    for (int64_t i = 1; i < array_count(x); i++)
        if (array_get(x, i) != array_get(x, 0)) return true;
    return false;
}

bool new_look_arrays(NewFile *f, const char *kind, NewNamed *out) {
    bool each_step = !strcmp(kind, "tagging"), values = !strcmp(kind, "regress");
    Arrays s = {0};
    const Array *x = NULL, *y = NULL;
    if (!npz_read(f->ctx, f->a, f->path, &s)) return false;
    for (uint32_t i = 0; i < s.array.n; i++) { /* the sequences: of the arrays with steps the one with the most numbers */
        const Array *v = &s.array.at[i];
        bool steps = v->rank == 3 || (v->rank == 2 && v->dim[1] > 1);
        if (steps && is_example(v, v->dim[0]) && (!x || array_count(v) > array_count(x))) x = v;
    }
    for (uint32_t i = 0; x && i < s.array.n; i++) {
        const Array *v = &s.array.at[i];
        bool fits = each_step ? v->rank == 2 && v->dim[1] == x->dim[1] : v->rank == 1 || (values && v->rank == 2 && v->dim[1] == 1);
        if (values && !y && v != x && fits && is_example(v, x->dim[0]) && varies(v)) y = v;
        if (values) continue;
        if (v != x && fits && is_example(v, x->dim[0]) && classes_of(v) > 1 && (!y || classes_of(v) < classes_of(y))) y = v;
    }
    if (y) {
        f->keys = arena_printf(f->a, "\"%s\", \"%s\"", x->name, y->name);
        *out = (NewNamed){.source = "npz", .input = x->name, .target = y->name, .lines = x->dim[0], .dims = x->rank == 3 ? x->dim[2] : 1, .classes = values ? 0 : classes_of(y)};
        return true;
    }
    const char *wants = values ? "a number for each, an array [examples]"
                        : arena_printf(f->a, "their classes, whole numbers from 0 to %d, an array %s", MOST_CLASSES - 1, each_step ? "[examples, steps]" : "[examples]");
    diag_error(f->ctx, 605, (Span){0, 0}, "%s needs sequences, an array [examples, steps, numbers] or [examples, steps], and %s", f->path, wants);
    diag_help(f->ctx, (Span){0, 0}, "it has %s", shapes(f, &s));
    return false;
}
