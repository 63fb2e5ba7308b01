/* api: rondo.h over the rest. Each call clears the old message, runs guarded against running out of memory, and turns the
   diagnostics into a status. */
#include <math.h>
#include <string.h>

#include "base/port_memory.h"
#include "runtime/internal.h"

#ifndef RONDO_VERSION
#define RONDO_VERSION "0"
#endif

const char *rondo_version(void) {
    return RONDO_VERSION;
}

const char *rondo_status_text(rondo_status s) {
    switch (s) {
    case RONDO_OK: return "ok";
    case RONDO_BAD_INPUT: return "bad input";
    case RONDO_BAD_USAGE: return "wrong usage";
    case RONDO_INTERNAL: return "internal inconsistency";
    case RONDO_NO_MEMORY: return "out of memory";
    case RONDO_STOPPED: return "stopped";
    }
    return "unknown status";
}

/* ---- calls and messages ------------------------------------------------------------------------------------------------- */

/* One line a warning to the log hook; errors stay for rondo_message. */
static void log_warnings(Model *m) {
    for (uint32_t i = 0; m->log_fn && i < diag_count(m->ctx); i++)
        if (diag_at(m->ctx, i)->kind != DIAG_ERROR) m->log_fn(m->log_arg, diag_at(m->ctx, i)->text);
}

static rondo_status status_of(Model *m, int got) {
    if (m->own_ctx) log_warnings(m);
    if (got > 0) return RONDO_OK;
    rondo_status s = got < 0 ? RONDO_NO_MEMORY : RONDO_BAD_INPUT;
    for (uint32_t i = 0; i < diag_count(m->ctx); i++) {
        uint16_t code = diag_at(m->ctx, i)->kind == DIAG_ERROR ? diag_at(m->ctx, i)->code : 0;
        if (code == 999) return RONDO_INTERNAL;
        if (code == 900 || code == 902) s = RONDO_NO_MEMORY;
        if (code == 556) s = RONDO_BAD_USAGE;
    }
    return s;
}

typedef struct {
    Model *m;
    const char *path, *name, *kind;
    const char *const *text;
    size_t n, n2, *count, *first;
    uint64_t seed;
    const Array *in;
    Array *out;
    Give gives; /* which of the model's results go where there is `out` */
    float *value;
    const float *given;
    double *loss, *metric, *truth;
    int64_t *row;
    const rondo_train_options *train;
    rondo_train_result *result;
    const rondo_generate_options *generate;
    const rondo_emit_options *emit;
    bool stopped;
    rondo_stream *stream;
} Call;

rondo_status model_guard(Model *m, bool (*fn)(void *), void *arg) {
    if (m->busy) return RONDO_BAD_USAGE;
    if (m->own_ctx && diag_count(m->ctx)) diag_clear(m->ctx);
    m->busy = true;
    rondo_status s = status_of(m, guard_call(m->ctx, fn, arg));
    m->busy = false;
    return s;
}

/* Arrays that still say where a call before has put its results: what this one is to read lives on until it is over, what it is to
   write is asked for anew. True: there is something to read of what goes now. */
static bool given_back(const Model *m, const Call *c) {
    bool reads = false;
    for (size_t i = 0; c->in && i < c->n; i++) reads |= arena_holds(&m->given[c->gives], c->in[i].data);
    for (size_t i = 0; c->out && i < c->n2; i++)
        for (int k = 0; k < GIVE_COUNT; k++)
            if (arena_holds(&m->given[k], c->out[i].data)) c->out[i].data = NULL;
    return reads;
}

static rondo_status call(Model *m, bool (*fn)(void *), Call *c) {
    if (!m || !m->desc || !m->desc->name || m->busy) return RONDO_BAD_USAGE;
    Arena before = arena_make(m->ctx);
    if (c->out && given_back(m, c)) {
        before = m->given[c->gives];
        m->given[c->gives] = arena_make(m->ctx);
    }
    if (c->out) arena_free(&m->given[c->gives]);
    arena_free(&m->result);
    scratch_reset(m);
    c->m = m;
    rondo_status s = model_guard(m, fn, c);
    arena_free(&before);
    return s;
}

static bool usage(Model *m, const char *text, const char *name) {
    diag_error(m->ctx, 556, NOWHERE, "%s%s%s", text, name ? " " : "", name ? name : "");
    return false;
}

static bool render(void *arg) {
    Model *m = arg;
    Str s = str_make(&m->text);
    diag_render(m->ctx, &s, false);
    m->message = s.at ? s.at : "";
    return true;
}

const char *rondo_message(const rondo_model *m) {
    if (!m) return "there is no model: memory ran out when it was opened\n";
    if (m->busy) return "error: a call on the model is under way: what it calls back may not call the model, nor its streams\n";
    Model *w = (Model *)m;
    arena_free(&w->text);
    return guard_call(w->ctx, render, w) > 0 ? w->message : "error: out of memory\n";
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Ctx *ctx;
    Model *m;
} Making;

static bool make_model(void *arg) {
    Making *k = arg;
    k->m = model_make(k->ctx);
    return true;
}

static Model *empty_model(const rondo_options *o) {
    Allocator a = {o->realloc_fn, o->realloc_arg};
    Making k = {ctx_make(o->realloc_fn ? &a : NULL), NULL};
    if (!k.ctx) return NULL;
    if (guard_call(k.ctx, make_model, &k) <= 0) {
        ctx_destroy(k.ctx);
        return NULL;
    }
    k.m->own_ctx = true;
    k.m->log_fn = o->log_fn;
    k.m->log_arg = o->log_arg;
    return k.m;
}

/* The options of an earlier version are the first of those of this one. A size that no version has is a struct that nobody filled in. */
static bool options_are(const size_t *given) {
    return !given || *given > sizeof *given;
}

static void options_take(void *o, size_t n, const size_t *given) {
    if (given && options_are(given)) memcpy(o, given, *given < n ? *given : n);
}

static bool options_usage(Model *m, const size_t *given) {
    return options_are(given) || usage(m, "the options have no size: RONDO_.._OPTIONS_INIT sets it", NULL);
}

static bool opening_usage(Model *m, const char *path, bool text, const rondo_options *o) {
    if (!path) return usage(m, "a model needs a path", NULL);
    if (!text) return usage(m, "a model needs a text", NULL);
    if ((unsigned)o->engine > RONDO_ENGINE_EVAL) return usage(m, "there is no such engine", NULL);
    if (o->threads < 0 || o->threads > 1024) return usage(m, "the number of threads is none from 0 to 1024", NULL);
    for (size_t i = 0; i < o->nset; i++)
        if (!o->set || !o->set[i]) return usage(m, "a setting is NULL", NULL);
    return true;
}

static rondo_status open_with(rondo_model **out, const char *path, const char *text, bool has_text, size_t n, const rondo_options *given) {
    rondo_options o = RONDO_OPTIONS_INIT;
    if (!out) return RONDO_BAD_USAGE;
    *out = NULL;
    options_take(&o, sizeof o, given ? &given->size : NULL);
    Model *m = *out = empty_model(&o);
    if (!m) return RONDO_NO_MEMORY;
    if (!options_usage(m, given ? &given->size : NULL) || !opening_usage(m, path, has_text, &o)) return RONDO_BAD_USAGE;
    ModelOptions mo = {.model = o.model, .set = o.set, .nset = o.nset, .std_dir = o.std_dir};
    mo.exec = (ExecOptions){.engine = (ExecEngine)o.engine, .f64 = o.f64 != 0, .threads = o.threads, .memory_limit = o.memory_limit};
    m->busy = true;
    rondo_status s = status_of(m, model_load(&(Opening){m, path, &mo, text, n}));
    m->busy = false;
    return s;
}

rondo_status rondo_open(rondo_model **m, const char *path, const rondo_options *o) {
    return open_with(m, path, NULL, true, 0, o);
}
rondo_status rondo_open_text(rondo_model **m, const char *name, const char *text, size_t n, const rondo_options *o) {
    return open_with(m, name, text, text != NULL, n, o);
}
void rondo_close(rondo_model *m) {
    if (m && m->busy) return;
    model_close(m);
}

/* ---- weights ------------------------------------------------------------------------------------------------------------ */

static bool do_init(void *arg) {
    Call *c = arg;
    return weights_init(c->m, c->seed);
}
static bool do_load(void *arg) {
    Call *c = arg;
    return c->path ? weights_load(c->m, c->path, c->text, c->n) : usage(c->m, "a file needs a path", NULL);
}
static bool do_save(void *arg) {
    Call *c = arg;
    return c->path ? weights_save(c->m, c->path) : usage(c->m, "a file needs a path", NULL);
}

rondo_status rondo_init_weights(rondo_model *m, uint64_t seed) {
    return call(m, do_init, &(Call){.seed = seed});
}
rondo_status rondo_load_weights(rondo_model *m, const char *path, const char *const *rename, size_t nrename) {
    return call(m, do_load, &(Call){.path = path, .text = rename, .n = nrename});
}
rondo_status rondo_save_weights(rondo_model *m, const char *path) {
    return call(m, do_save, &(Call){.path = path});
}

static bool do_weight(void *arg) {
    Call *c = arg;
    Model *m = c->m;
    int64_t offset = 0;
    if (!c->name || (!c->value && !c->given)) return usage(m, "a name and memory for its values are needed", NULL);
    if (c->value && !model_need_weights(m)) return false;
    for (uint32_t i = 0; i < m->desc->param.n; offset += m->desc->param.at[i].count, i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        if (strcmp(name_str(m->ctx, p->name), c->name) != 0) continue;
        if ((int64_t)c->n != p->count) return usage(m, "the number of values is not that of the weight", c->name);
        for (int64_t k = 0; k < p->count; k++)
            if (c->value) c->value[k] = (float)model_theta_get(m, offset + k);
            else model_theta_set(m, offset + k, c->given[k]);
        return true;
    }
    return usage(m, "the model has no weight", c->name);
}

rondo_status rondo_get_weight(rondo_model *m, const char *name, float *value, size_t n) {
    return call(m, do_weight, &(Call){.name = name, .value = value, .n = n});
}
rondo_status rondo_set_weight(rondo_model *m, const char *name, const float *value, size_t n) {
    return call(m, do_weight, &(Call){.name = name, .given = value, .n = n});
}

/* ---- arrays in, arrays out ---------------------------------------------------------------------------------------------- */

static bool take_inputs(Call *c, Arrays *in) {
    if (c->n && !c->in) return usage(c->m, "there are no arrays where some are announced", NULL);
    if (c->n2 && !c->out) return usage(c->m, "there is no room for results where some are asked for", NULL);
    for (size_t i = 0; i < c->n; i++) {
        if (!c->in[i].name || (!c->in[i].data && array_count(&c->in[i]) != 0)) return usage(c->m, "an array lacks its name or its data", NULL);
        if (array_count(&c->in[i]) < 0) return usage(c->m, "the shape is no shape: array", c->in[i].name);
        if (!rondo_type_size(c->in[i].type)) return usage(c->m, "the type is no type: array", c->in[i].name);
        if ((unsigned)c->in[i].order > RONDO_TIME_FIRST) return usage(c->m, "the order is no order: array", c->in[i].name);
        if (arrays_find(in, c->in[i].name)) return usage(c->m, "there are two arrays", c->in[i].name);
        VEC_PUSH(&c->m->result, in->array) = c->in[i];
    }
    return true;
}

/* Memory for a result of x's shape: the caller's, which must fit, or the model's. */
static bool take(Model *m, Give gives, const Array *x, Array *want) {
    if (!rondo_type_size(want->type)) return usage(m, "the type is no type: result", want->name);
    if (want->data) {
        bool same = want->rank == x->rank && memcmp(want->dim, x->dim, (size_t)x->rank * sizeof *x->dim) == 0;
        return same || usage(m, "the memory given has not the shape of", want->name);
    }
    Arrays keep = {0};
    Array *y = arrays_add(&m->given[gives], &keep, want->name, want->type, x->rank, x->dim);
    if (!y) return usage(m, "too large:", want->name);
    const char *name = want->name;
    rondo_order order = want->order;
    *want = *y;
    want->name = name;
    want->order = order;
    return true;
}

/* Hands gradient x to the caller: in memory of the model, or converted into the caller's. */
static bool give(Model *m, const Array *x, Array *want) {
    if (!take(m, GIVE_GRADIENTS, x, want)) return false;
    int64_t n = array_count(x);
    if (want->type == x->type) memcpy(want->data, x->data, (size_t)n * rondo_type_size(x->type));
    else
        for (int64_t i = 0; i < n; i++) array_set(want, i, array_get(x, i));
    return true;
}

static bool batch_first(Model *m, const Array *x, size_t n, const char *text) {
    for (size_t i = 0; i < n; i++)
        if (x[i].order != RONDO_BATCH_FIRST) return usage(m, text, x[i].name);
    return true;
}

static bool has_init(const Arrays *in) {
    for (uint32_t i = 0; i < in->array.n; i++)
        if (strncmp(in->array.at[i].name, "init/", 5) == 0) return true;
    return false;
}

/* A start that no state takes would leave the state at its own. */
static bool starts_known(Model *m, const Arrays *in) {
    const char **name = NEW_N(&m->result, const char *, m->desc->state.n + 1);
    for (uint32_t k = 0; k < m->desc->state.n; k++) name[k] = name_str(m->ctx, m->desc->state.at[k].name);
    for (uint32_t i = 0; i < in->array.n; i++) {
        const char *given = in->array.at[i].name;
        uint32_t k = 0;
        if (strncmp(given, "init/", 5) != 0) continue;
        while (k < m->desc->state.n && strcmp(name[k], given + 5) != 0) k++;
        if (k < m->desc->state.n) continue;
        diag_error(m->ctx, 605, NOWHERE, "'%s' is the start of no state that '%s' has", given, name_str(m->ctx, m->desc->name));
        const char *near = nearest_name(given + 5, name, m->desc->state.n);
        if (near) diag_help(m->ctx, NOWHERE, "did you mean 'init/%s'?", near);
        return false;
    }
    return true;
}

/* The Exec of a call, and the sizes that its arrays decide. */
static Exec *exec_for(Model *m, ModuleKind kind, const Arrays *in, int64_t *axis) {
    bool ragged = arrays_ragged(in);
    const Module *mod = model_module(m, kind, ragged);
    return mod && exec_axes_from(mod, in, axis) ? model_exec(m, kind, ragged, axis[AXIS_B] == 1) : NULL;
}

/* The root of a result of rondo_predict; -1: there is none. */
static int64_t result_root(Model *m, const Exec *e, const char *name) {
    const Module *mod = exec_module(e);
    if (!name) return -1;
    if (strncmp(name, "final/", 6) != 0) return exec_root(e, ROOT_OUTPUT, 0, intern(m->ctx, strncmp(name, "output/", 7) == 0 ? name + 7 : name));
    for (uint32_t k = 0; k < mod->state.n; k++)
        if (strcmp(name_str(m->ctx, mod->state.at[k].name), name + 6) == 0) return exec_root(e, ROOT_FINAL, k, 0);
    return -1;
}

static bool predict(Call *c, Exec *e, const Arrays *in, bool outside) {
    Model *m = c->m;
    int64_t *root = NEW_N(&m->result, int64_t, c->n2 + 1);
    if (!exec_set_inputs(e, in, 1u << INPUT_DATA) || (outside && !exec_set_starts(m, e, in))) return false;
    for (size_t i = 0; i < c->n2; i++) {
        Array x;
        root[i] = result_root(m, e, c->out[i].name);
        if (root[i] < 0) return usage(m, "the model has no output", c->out[i].name ? c->out[i].name : "");
        exec_shape(e, (uint32_t)root[i], &x);
        if (!take(m, GIVE_RESULTS, &x, &c->out[i])) return false;
        exec_write_to(e, (uint32_t)root[i], &c->out[i], in);
    }
    if (!exec_run(e, m->theta, m->theta_version, NULL, m->seed, 0, NULL)) return false;
    for (size_t i = 0; i < c->n2; i++) exec_read(e, (uint32_t)root[i], &c->out[i]);
    return true;
}

static bool do_predict(void *arg) {
    Call *c = arg;
    Model *m = c->m;
    Arrays in = {0};
    if (!take_inputs(c, &in) || !starts_known(m, &in)) return false;
    bool outside = has_init(&in);
    int64_t axis[MAX_AXES];
    Exec *e = exec_for(m, outside ? MODULE_STEP : MODULE_PREDICT, &in, axis);
    return e && model_need_weights(m) && exec_dims(e, axis) && predict(c, e, &in, outside);
}

rondo_status rondo_predict(rondo_model *m, const rondo_array *in, size_t nin, rondo_array *out, size_t nout) {
    return call(m, do_predict, &(Call){.in = in, .n = nin, .out = out, .n2 = nout});
}

/* Only gradients of weights, of whole sequences from the states' own starts: what training asks for, with kernels that are kept. */
static bool weights_only(const Call *c, const Arrays *in) {
    bool only = c->m->desc->loss.n && !has_init(in) && !(train_number(c->m, "bptt") >= 1);
    for (size_t i = 0; i < c->n2; i++) only = only && c->out[i].name && strncmp(c->out[i].name, "param/", 6) == 0;
    return only;
}

/* param/h.Wi, or input/x and init/h where they are asked for. */
static bool no_gradient(Model *m, const char *name) {
    const ModelDesc *d = m->desc;
    Arena *a = &m->result;
    VEC(const char *) known = {0};
    for (uint32_t i = 0; i < d->param.n; i++)
        if (!d->param.at[i].is_const) VEC_PUSH(a, known) = arena_printf(a, "param/%s", name_str(m->ctx, d->param.at[i].name));
    for (uint32_t i = 0; i < d->input.n; i++)
        if (d->input.at[i].dtype == DT_F) VEC_PUSH(a, known) = arena_printf(a, "input/%s", name_str(m->ctx, d->input.at[i].name));
    for (uint32_t i = 0; i < d->state.n; i++) VEC_PUSH(a, known) = arena_printf(a, "init/%s", name_str(m->ctx, d->state.at[i].name));
    usage(m, "there is no gradient of", name);
    const char *near = nearest_name(name, known.at, known.n);
    for (uint32_t i = 0; !near && i < known.n; i++)
        if (!strcmp(strchr(known.at[i], '/') + 1, name)) near = known.at[i]; /* its kind was left out */
    if (near) diag_help(m->ctx, NOWHERE, "did you mean '%s'?", near);
    else diag_help(m->ctx, NOWHERE, "gradients are of param/NAME, input/NAME and init/NAME");
    return false;
}

static bool give_param(Model *m, Array *want) {
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; offset += m->desc->param.at[i].count, i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        if (p->is_const || strcmp(name_str(m->ctx, p->name), want->name + 6) != 0) continue;
        Array x = {.type = m->f64 ? RONDO_F64 : RONDO_F32, .rank = p->rank, .data = m->grad.at + offset * (m->f64 ? 8 : 4)};
        for (int k = 0; k < p->rank; k++) x.dim[k] = p->dim[k];
        return give(m, &x, want);
    }
    return no_gradient(m, want->name);
}

static bool weight_gradients(Call *c, const Arrays *in) {
    Model *m = c->m;
    int64_t axis[MAX_AXES];
    Exec *e = exec_for(m, MODULE_TRAIN, in, axis);
    if (!e) return false;
    size_t bytes = (size_t)m->desc->theta_size * (m->f64 ? 8 : 4) + 128;
    if (memory_reserve(m->ctx, &m->memory, &m->grad, bytes)) port_all_pages(m->grad.at, bytes);
    if (!run_exec(m, e, in, 1u << INPUT_DATA | 1u << INPUT_TARGET, c->seed, m->grad.at)) return false;
    if (c->loss) *c->loss = exec_get_scalar(e, (uint32_t)exec_root(e, ROOT_LOSS, 0, 0));
    for (size_t i = 0; i < c->n2; i++)
        if (!give_param(m, &c->out[i])) return false;
    return true;
}

static bool do_gradient(void *arg) {
    Call *c = arg;
    Model *m = c->m;
    Arrays in = {0}, out = {0};
    if (!take_inputs(c, &in) || !starts_known(m, &in) || !model_need_weights(m) || !batch_first(m, c->out, c->n2, "gradients are given batch first:")) return false;
    if (train_number(m, "bptt") >= 1 && !batch_first(m, c->in, c->n, "windows (the key bptt) are cut from arrays batch first:")) return false;
    if (weights_only(c, &in)) return weight_gradients(c, &in);
    if (!run_arrays(m, &(RunOptions){.grad = true, .update = c->seed}, &in, &m->result, &out)) return false;
    const Array *loss = arrays_find(&out, "loss");
    if (c->loss && loss) *c->loss = array_get(loss, 0);
    for (size_t i = 0; i < c->n2; i++) {
        const char *name = c->out[i].name ? c->out[i].name : "";
        const Array *x = arrays_find(&out, arena_printf(&m->result, "grad/%s", name));
        if (!x) return no_gradient(m, name);
        if (!give(m, x, &c->out[i])) return false;
    }
    return true;
}

rondo_status rondo_gradient(rondo_model *m, const rondo_array *in, size_t nin, uint64_t update, double *loss, rondo_array *grad,
                            size_t ngrad) {
    return call(m, do_gradient, &(Call){.in = in, .n = nin, .seed = update, .loss = loss, .out = grad, .n2 = ngrad, .gives = GIVE_GRADIENTS});
}

/* ---- training and evaluation -------------------------------------------------------------------------------------------- */

static bool set_from(Call *c, const Array *in, size_t n, Dataset *d) {
    Call k = {.m = c->m, .in = in, .n = n};
    *d = (Dataset){0};
    return take_inputs(&k, &d->array) && batch_first(c->m, in, n, "the examples of a data set come batch first:") && dataset_count(c->m, NULL, d);
}

static bool do_train(void *arg) {
    Call *c = arg;
    Model *m = c->m;
    rondo_train_options o = RONDO_TRAIN_OPTIONS_INIT;
    TrainData d;
    if (!options_usage(m, c->train ? &c->train->size : NULL)) return false;
    options_take(&o, sizeof o, c->train ? &c->train->size : NULL);
    bool ok = o.arrays ? set_from(c, o.arrays, o.narrays, &d.set) : dataset_load(m, o.data_file, &m->result, false, &d.set);
    if (ok && o.arrays && !o.valid) ok = dataset_holdback(m, &d.set);
    if (ok && !o.arrays) ok = several_classes(m, &d.set);
    if (ok) ok = o.valid ? set_from(c, o.valid, o.nvalid, &d.other) : validation_load(m, &m->result, &d);
    return ok && train_set(m, &d.set, o.valid || d.has_other ? &d.other : NULL, &o, c->result, &c->stopped);
}

rondo_status rondo_train(rondo_model *m, const rondo_train_options *o, rondo_train_result *result) {
    Call c = {.train = o, .result = result};
    rondo_status s = call(m, do_train, &c);
    return s == RONDO_OK && c.stopped ? RONDO_STOPPED : s;
}

static bool do_evaluate(void *arg) {
    Call *c = arg;
    Model *m = c->m;
    Dataset d;
    if (c->n ? !set_from(c, c->in, c->n, &d) : !dataset_load(m, c->path, &m->result, c->path != NULL, &d)) return false;
    int64_t from = c->n ? 0 : d.train + d.valid;
    if (from == d.n) from = d.valid ? d.train : 0; /* no test part: what validates; nothing was held back: all of it */
    if (!c->n) model_log(m, "on %s%lld examples", !from ? "all " : from == d.train && d.valid ? "the validation part, " : "the test part, ", (long long)(d.n - from));
    double *all = c->metric ? NEW_N(&m->result, double, metric_count(m) + 1) : NULL;
    if (!evaluate_set(m, &d, from, d.n, c->loss, all)) return false;
    for (size_t i = 0; c->metric && i < c->n2; i++) c->metric[i] = i < metric_count(m) ? all[i] : NAN;
    return true;
}

rondo_status rondo_evaluate(rondo_model *m, const char *data_file, const rondo_array *in, size_t nin, double *loss, double *metric,
                            size_t nmetric) {
    return call(m, do_evaluate, &(Call){.path = data_file, .in = in, .n = nin, .loss = loss, .metric = metric, .n2 = nmetric});
}

static bool do_forecast(void *arg) {
    Call *c = arg;
    Series s;
    if (!series_load(c->m, c->path, &c->m->result, false, &s)) return false;
    int64_t n = c->n < (size_t)s.set.n ? (int64_t)c->n : s.set.n;
    if (c->count) *c->count = (size_t)s.set.n;
    if (c->first) *c->first = (size_t)(s.set.train + s.set.valid);
    for (int64_t k = 0; k < n; k++) {
        if (c->row) c->row[k] = series_row(&s, k);
        if (c->truth) c->truth[k] = s.y[0].value[series_row(&s, k)];
    }
    double *all = NEW_N(&c->m->result, double, n * s.ny + 1);
    bool ok = !c->loss || series_forecast(c->m, &s, 0, n, all);
    for (int64_t k = 0; ok && c->loss && k < n; k++) c->loss[k] = all[k * s.ny];
    return ok;
}

rondo_status rondo_forecast(rondo_model *m, const char *data_file, size_t n, double *prediction, double *truth, int64_t *row,
                            size_t *count, size_t *first_test) {
    return call(m, do_forecast, &(Call){.path = data_file, .n = n, .loss = prediction, .truth = truth, .row = row, .count = count,
                                        .first = first_test});
}

static bool do_future(void *arg) {
    Call *c = arg;
    Series s;
    if (!c->loss && c->n) return usage(c->m, "there is no room for forecasts where some are asked for", NULL);
    if (!series_load(c->m, c->path, &c->m->result, false, &s)) return false;
    double *all = NEW_N(&c->m->result, double, (int64_t)c->n * s.ny + 1);
    bool ok = series_future(c->m, &s, (int64_t)c->n, all);
    for (size_t k = 0; ok && k < c->n; k++) c->loss[k] = all[k * s.ny];
    return ok;
}

rondo_status rondo_forecast_future(rondo_model *m, const char *data_file, size_t n, double *future) {
    return call(m, do_future, &(Call){.path = data_file, .n = n, .loss = future});
}

/* ---- streams and emission ----------------------------------------------------------------------------------------------- */

static bool do_stream(void *arg) {
    Call *c = arg;
    if (!c->seed) return usage(c->m, "a stream needs at least one example, and a place for its handle", NULL);
    int got;
    c->stream = stream_make(c->m, (int64_t)c->seed, &got);
    if (got < 0) ctx_out_of_memory(c->m->ctx);
    return c->stream != NULL;
}

rondo_status rondo_stream_open(rondo_model *m, int64_t batch, rondo_stream **s) {
    Call c = {.seed = s && batch > 0 ? (uint64_t)batch : 0};
    rondo_status status = call(m, do_stream, &c);
    if (s) *s = c.stream;
    return status;
}

static bool do_generate(void *arg) {
    Call *c = arg;
    rondo_generate_options o = RONDO_GENERATE_OPTIONS_INIT;
    if (!options_usage(c->m, c->generate ? &c->generate->size : NULL)) return false;
    options_take(&o, sizeof o, c->generate ? &c->generate->size : NULL);
    return generate_text(c->m, &o, &c->stopped);
}

rondo_status rondo_generate(rondo_model *m, const rondo_generate_options *o) {
    Call c = {.generate = o};
    rondo_status s = call(m, do_generate, &c);
    return s == RONDO_OK && c.stopped ? RONDO_STOPPED : s;
}

static bool do_emit(void *arg) {
    Call *c = arg;
    if (!c->kind || !c->path) return usage(c->m, "emit needs a kind and a folder", NULL);
    rondo_emit_options o = RONDO_EMIT_OPTIONS_INIT;
    if (!options_usage(c->m, c->emit ? &c->emit->size : NULL)) return false;
    options_take(&o, sizeof o, c->emit ? &c->emit->size : NULL);
    return model_need_weights(c->m) && emit_model(c->m, c->kind, &o, c->path);
}

rondo_status rondo_emit(rondo_model *m, const char *kind, const rondo_emit_options *o, const char *dir) {
    return call(m, do_emit, &(Call){.kind = kind, .emit = o, .path = dir});
}
