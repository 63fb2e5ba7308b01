/* weighting: class_weights and sample_weights: one array, "sample weight", with a factor for each example's (or step's) loss. */
#include <math.h>
#include <string.h>

#include "runtime/internal.h"

static bool complain(Model *m, const char *key, const char *why) {
    const Setting *s = train_setting(m, key);
    diag_error(m->ctx, 551, s ? s->span : m->desc->train.span, "train: '%s': %s", key, why);
    return false;
}

/* The array of weights as it will be: [n], or [n, steps] when some weight is for a step. */
static Array *weight_array(Arena *a, Arrays *s, int64_t n, int64_t steps) {
    Array *x = arrays_add(a, s, ROW_WEIGHT_NAME, RONDO_F64, steps ? 2 : 1, (int64_t[]){n, steps});
    for (int64_t i = 0; x && i < array_count(x); i++) array_set(x, i, 1);
    return x;
}

/* Steps of an array with a value for each example (0) or each step; -1: neither. */
static int64_t steps_of(const Array *x, int64_t n, bool seq) {
    int64_t count = array_count(x);
    if (!x->rank || x->dim[0] != n || n < 1) return -1;
    if (!seq) return count == n ? 0 : -1;
    return x->rank >= 2 && count == n * x->dim[1] ? x->dim[1] : -1;
}

static void multiply(Array *w, const Array *by, int64_t steps, const Setting *classes) {
    int64_t per = w->rank > 1 ? w->dim[1] : 1;
    for (int64_t i = 0; i < array_count(w); i++) {
        double v = array_get(by, steps ? i : i / per);
        array_set(w, i, array_get(w, i) * (classes ? classes->item[(int64_t)v].number : v));
    }
}

static bool check_values(Model *m, const Array *x, const Setting *classes) {
    for (int64_t i = 0; i < array_count(x); i++) {
        double v = array_get(x, i);
        if (classes && !(v >= 0 && v < classes->n && v == floor(v)))
            return complain(m, "class_weights", "the target has a class without a weight, or a value that is no class");
        if (!classes && !(v >= 0 && isfinite(v))) return complain(m, "sample_weights", "a weight is negative or not a number");
    }
    return true;
}

static const Array *class_array(Model *m, const Dataset *d, const Setting *classes, int64_t *steps) {
    const PortDesc *p = m->desc->target.n ? &m->desc->target.at[0] : NULL;
    const Array *x = NULL;
    bool numbers = classes->kind == SET_LIST && classes->n > 0;
    for (uint32_t i = 0; numbers && i < classes->n; i++) numbers = classes->item[i].kind == SET_NUMBER && classes->item[i].number >= 0;
    if (!numbers) {
        complain(m, "class_weights", "a list of numbers, a weight for each class from 0 on, is needed");
        return NULL;
    }
    const char *name = p ? name_str(m->ctx, p->name) : "";
    if (p) x = arrays_find(&d->array, arena_printf(&m->arena, "target/%s", name));
    if (p && !x) x = arrays_find(&d->array, name);
    *steps = x ? steps_of(x, d->n, p->seq) : -1;
    if (*steps >= 0) return x;
    complain(m, "class_weights", "the first target has to be the class of each example or step: `bool` or `token[N]`");
    return NULL;
}

bool row_weights(Model *m, Arena *a, const Dataset *d, Dataset *out, RowWeights *kind) {
    const Setting *classes = train_setting(m, "class_weights"), *samples = train_setting(m, "sample_weights");
    const Array *c = NULL, *s = NULL;
    int64_t csteps = 0, ssteps = 0;
    *out = *d;
    *kind = ROW_WEIGHTS_NONE;
    if (classes && !(c = class_array(m, d, classes, &csteps))) return false;
    if (samples) {
        s = arrays_find(&d->array, name_str(m->ctx, samples->name));
        if (!s) return complain(m, "sample_weights", "the data have no array or column of this name");
        ssteps = steps_of(s, d->n, s->rank > 1 && !(s->rank == 2 && s->dim[1] == 1));
        if (ssteps < 0) return complain(m, "sample_weights", "an array [examples] or [examples, steps] is needed");
    }
    if (!c && !s) return true;
    if (c && s && csteps && ssteps && csteps != ssteps) return complain(m, "sample_weights", "the target has another number of steps");
    if ((c && !check_values(m, c, classes)) || (s && !check_values(m, s, NULL))) return false;
    int64_t steps = csteps ? csteps : ssteps;
    out->array = (Arrays){0};
    for (uint32_t i = 0; i < d->array.array.n; i++) VEC_PUSH(a, out->array.array) = d->array.array.at[i];
    Array *w = weight_array(a, &out->array, d->n, steps);
    if (!w) return false;
    if (c) multiply(w, c, csteps, classes);
    if (s) multiply(w, s, ssteps, NULL);
    *kind = steps ? ROW_WEIGHTS_STEP : ROW_WEIGHTS_EXAMPLE;
    return true;
}
