/* weighting: class_weights and sample_weights: one array, "sample weight", with a factor for each example's (or step's) loss. */
#include <math.h>
#include <string.h>

#include "runtime/feed.h"

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

/* As the model's numbers are: emitted C multiplies these. */
static double as_real(const Model *m, double v) { return m->f64 ? v : (double)(float)v; }

static void multiply(const Model *m, Array *w, const Array *by, int64_t steps) {
    int64_t per = w->rank > 1 ? w->dim[1] : 1;
    for (int64_t i = 0; i < array_count(w); i++) array_set(w, i, array_get(w, i) * as_real(m, array_get(by, steps ? i : i / per)));
}

static bool check_samples(Model *m, const Array *x) {
    for (int64_t i = 0; i < array_count(x); i++)
        if (!(array_get(x, i) >= 0 && isfinite(array_get(x, i)))) return complain(m, "sample_weights", "a weight is negative or not a number");
    return true;
}

/* ---- classes ------------------------------------------------------------------------------------------------------------ */

/* The classes of the first target: in an array, or, of sequences of unequal length, in a field. */
typedef struct {
    Array x;            /* all of them, end to end */
    const Field *field; /* NULL: an array */
    int64_t steps;      /* of the array; 0: a class for each example */
    int64_t nclass;
    double *weight; /* [nclass] */
} Classes;

static const Field *ragged_target(const Dataset *d, const char *name) {
    for (uint32_t i = 0; d->feed && i < d->feed->field.n; i++)
        if (d->feed->field.at[i].kind == FIELD_RAGGED && strcmp(d->feed->field.at[i].name, name) == 0) return &d->feed->field.at[i];
    return NULL;
}

static bool find_classes(Model *m, Arena *a, const Dataset *d, Classes *c) {
    const PortDesc *p = m->desc->target.n ? &m->desc->target.at[0] : NULL;
    const char *name = p ? name_str(m->ctx, p->name) : "", *full = arena_printf(a, "target/%s", name);
    const Array *x = p ? arrays_find(&d->array, full) : NULL;
    if (p && !x) x = arrays_find(&d->array, name);
    if (p) c->nclass = p->vocab ? p->vocab : 2;
    c->field = x || !p || !p->vocab ? NULL : ragged_target(d, full);
    c->steps = x ? steps_of(x, d->n, p->seq) : -1;
    if (x && c->steps >= 0) {
        c->x = *x;
        return true;
    }
    if (!c->field)
        return complain(m, "class_weights", "the first target has to be the class of each example or step: `bool` or `token[N]`, and no running text");
    int64_t n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (c->field->start[i] + c->field->steps[i] > n) n = c->field->start[i] + c->field->steps[i];
    c->x = (Array){.type = c->field->type, .rank = 1, .dim = {n}, .data = (void *)(uintptr_t)c->field->data};
    return true;
}

static bool in_range(Model *m, const Classes *c, int64_t i) {
    double v = array_get(&c->x, i);
    return (v >= 0 && v < (double)c->nclass && v == floor(v)) ||
           complain(m, "class_weights", "the target has a class without a weight, or a value that is no class");
}

/* The numbers of the list. */
static bool written_weights(Model *m, const Setting *s, Classes *c) {
    bool ok = s->kind == SET_LIST && s->n > 0;
    for (uint32_t i = 0; ok && i < s->n; i++) ok = s->item[i].kind == SET_NUMBER && s->item[i].number >= 0;
    if (!ok) return complain(m, "class_weights", "`balanced`, or a list of numbers, a weight for each class from 0 on, is needed");
    if ((int64_t)s->n > c->nclass)
        return complain(m, "class_weights", arena_printf(&m->arena, "these are %u weights for a target of %lld classes", s->n, (long long)c->nclass));
    if ((int64_t)s->n < c->nclass) c->nclass = s->n;
    for (int64_t k = 0; k < c->nclass; k++) c->weight[k] = s->item[k].number;
    return true;
}

/* n / (K n_k): what trains, n examples (or steps) of K classes, counts as if each class had as many. */
static bool balanced_weights(Model *m, Arena *a, const Dataset *d, Classes *c) {
    int64_t *count = NEW_N(a, int64_t, c->nclass + 1), n = 0;
    for (int64_t i = 0; i < d->train; i++) {
        int64_t per = c->steps ? c->steps : 1, from = c->field ? c->field->start[i] : i * per;
        if (c->field) per = c->field->steps[i];
        for (int64_t t = from; t < from + per; t++, n++) {
            if (!in_range(m, c, t)) return false;
            count[(int64_t)array_get(&c->x, t)]++;
        }
    }
    for (int64_t k = 0; k < c->nclass; k++) {
        if (!count[k])
            return complain(m, "class_weights", arena_printf(a, "what trains has nothing of class %s, which so cannot be balanced",
                                                             data_class(m, a, (double)k)));
        c->weight[k] = (double)n / (double)c->nclass / (double)count[k];
        model_log(m, "class %s: %lld of %lld in what trains, weight %.4g", data_class(m, a, (double)k), (long long)count[k], (long long)n,
                  c->weight[k]);
    }
    return true;
}

static bool read_classes(Model *m, Arena *a, const Dataset *d, const Setting *s, Classes *c) {
    if (!find_classes(m, a, d, c)) return false;
    c->weight = NEW_N(a, double, c->nclass + 1);
    bool balanced = s->kind == SET_NAME && strcmp(name_str(m->ctx, s->name), "balanced") == 0;
    if (balanced ? !balanced_weights(m, a, d, c) : !written_weights(m, s, c)) return false;
    for (int64_t i = 0; i < array_count(&c->x); i++) {
        if (!in_range(m, c, i)) return false;
    }
    return true;
}

/* The classes' weights in the place of the classes. */
static Array class_array(const Model *m, Arena *a, const Classes *c) {
    Array x = c->x;
    double *w = NEW_N(a, double, array_count(&x) + 1);
    for (int64_t i = 0; i < array_count(&x); i++) w[i] = as_real(m, c->weight[(int64_t)array_get(&x, i)]);
    x.type = RONDO_F64;
    x.data = w;
    return x;
}

/* A field beside the target's, in a feed of its own. */
static void add_field(const Model *m, Arena *a, Dataset *out, const Classes *c, const Array *w, const Array *sample) {
    Feed *f = NEW(a, Feed);
    *f = *out->feed;
    f->field.at = NULL;
    f->field.n = f->field.cap = 0;
    for (uint32_t i = 0; i < out->feed->field.n; i++) VEC_PUSH(a, f->field) = out->feed->field.at[i];
    Field x = *c->field;
    x.name = ROW_WEIGHT_NAME;
    x.type = RONDO_F64;
    x.data = w->data;
    for (int64_t i = 0; sample && i < out->n; i++)
        for (int64_t t = x.start[i]; t < x.start[i] + x.steps[i]; t++) ((double *)w->data)[t] *= as_real(m, array_get(sample, i));
    VEC_PUSH(a, f->field) = x;
    out->feed = f;
}

bool several_classes(Model *m, const Dataset *d) {
    const PortDesc *p = m->desc->target.n ? &m->desc->target.at[0] : NULL;
    if (!p || p->seq || !(p->vocab || p->dtype == DT_B) || d->train < 2) return true;
    const Array *x = first_target(m, &d->array);
    if (!x || steps_of(x, d->n, false) < 0) return true;
    for (int64_t i = 1; i < d->train; i++)
        if (array_get(x, i) != array_get(x, 0)) return true;
    diag_error(m->ctx, 554, p->span, "all %lld examples that train have the class %s of '%s': there is nothing to tell apart", (long long)d->train,
               data_class(m, &m->arena, array_get(x, 0)), name_str(m->ctx, p->name));
    diag_help(m->ctx, NOWHERE, "are the examples sorted by class? split = random(0.8) or stratified(0.8) draws those that train from all");
    return false;
}

/* The array that sample_weights names, of so many steps (0: a weight for each example). */
static bool read_samples(Model *m, const Dataset *d, const Setting *samples, const Array **x, int64_t *steps) {
    const Array *s = arrays_find(&d->array, name_str(m->ctx, samples->name));
    if (!s) return complain(m, "sample_weights", "the data have no array or column of this name");
    *x = s;
    *steps = steps_of(s, d->n, s->rank > 1 && !(s->rank == 2 && s->dim[1] == 1));
    if (*steps < 0) return complain(m, "sample_weights", "an array [examples] or [examples, steps] is needed");
    return check_samples(m, s);
}

bool row_weights(Model *m, Arena *a, const Dataset *d, Dataset *out, RowWeights *kind) {
    const Setting *classes = train_setting(m, "class_weights"), *samples = train_setting(m, "sample_weights");
    const Array *s = NULL;
    Classes c = {0};
    Array weight;
    int64_t ssteps = 0;
    *out = *d;
    *kind = ROW_WEIGHTS_NONE;
    if (!classes && !samples) return true;
    if (classes && !read_classes(m, a, d, classes, &c)) return false;
    if (samples && !read_samples(m, d, samples, &s, &ssteps)) return false;
    if (classes && s && ssteps && (c.field || (c.steps && c.steps != ssteps)))
        return complain(m, "sample_weights", "the target has another number of steps");
    if (classes) weight = class_array(m, a, &c);
    *kind = c.field || c.steps || ssteps ? ROW_WEIGHTS_STEP : ROW_WEIGHTS_EXAMPLE;
    if (c.field) {
        add_field(m, a, out, &c, &weight, s);
        return true;
    }
    out->array = (Arrays){0};
    for (uint32_t i = 0; i < d->array.array.n; i++) VEC_PUSH(a, out->array.array) = d->array.array.at[i];
    Array *w = weight_array(a, &out->array, d->n, c.steps ? c.steps : ssteps);
    if (!w) return false;
    if (classes) multiply(m, w, &weight, c.steps);
    if (s) multiply(m, w, s, ssteps);
    return true;
}

/* ---- without examples ---------------------------------------------------------------------------------------------------- */

/* A list needs no data; where these are there they are looked at all the same. */
static bool plan_classes(Model *m, Arena *a, const Dataset *d, const Setting *s, WeightPlan *w) {
    const PortDesc *p = m->desc->target.n ? &m->desc->target.at[0] : NULL;
    Classes c = {.nclass = p && p->vocab ? p->vocab : 2};
    if (d ? !read_classes(m, a, d, s, &c) : !p || !(p->vocab || p->dtype == DT_B))
        return d ? false : complain(m, "class_weights", "the first target has to be the class of each example or step: `bool` or `token[N]`");
    if (!c.weight) c.weight = NEW_N(a, double, c.nclass + 1);
    if (!d && !written_weights(m, s, &c)) return false;
    w->class_weight = c.weight;
    w->nclass = c.nclass;
    if (p->seq) w->kind = ROW_WEIGHTS_STEP;
    return true;
}

bool weight_plan(Model *m, Arena *a, const char *file, WeightPlan *w) {
    const Setting *classes = train_setting(m, "class_weights"), *samples = train_setting(m, "sample_weights");
    *w = (WeightPlan){.kind = classes || samples ? ROW_WEIGHTS_EXAMPLE : ROW_WEIGHTS_NONE, .samples = samples != NULL};
    if (!w->kind) return true;
    Dataset set;
    const Array *s = NULL;
    int64_t steps = 0;
    const Dataset *d = dataset_load(m, file, a, false, &set) ? &set : NULL;
    if (!d && classes && classes->kind != SET_LIST) {
        diag_help(m->ctx, NOWHERE, "`balanced` counts the classes of the data; a list of weights, as `rondo train` prints them, needs none");
        return false;
    }
    if (!d) diag_clear(m->ctx);
    if (classes && !plan_classes(m, a, d, classes, w)) return false;
    if (d && samples && !read_samples(m, d, samples, &s, &steps)) return false;
    for (uint32_t i = 0; !d && samples && i < m->desc->loss.n; i++) steps = steps || m->desc->loss.at[i].kind == LOSS_PER_STEP;
    w->sample_steps = steps > 0;
    if (steps) w->kind = ROW_WEIGHTS_STEP;
    return true;
}
