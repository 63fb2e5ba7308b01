/* outputs: a model's outputs for the examples of a data set, batch by batch, in windows with states carried on where the data go on from
   each other; single examples, and texts as examples. */
#include <string.h>

#include "runtime/records.h"
#include "runtime/text.h"

typedef struct {
    Model *m;
    const Dataset *d;
    OutputsFn fn;
    void *arg;
    Batch batch;
    int64_t *example;
    Exec *exec;
    Windows windows; /* m NULL: the examples stand alone */
} Job;

/* Real steps of example b of an output: that of its first axis besides the batch; 0: it has none. */
static int64_t real_steps(const Exec *e, uint32_t root, int64_t b) {
    const Graph *g = exec_module(e)->graph.at[0];
    const Node *n = &g->node.at[g->root.at[root].ref];
    for (uint32_t k = 1; k < MAX_AXES; k++)
        if (n->axes & AX(k)) return exec_axis_length(e, k, b);
    return 0;
}

const Array *first_target(const Model *m, const Arrays *in) {
    const ModelDesc *d = m->desc;
    const char *name = d->target.n ? name_str(m->ctx, d->target.at[0].name) : NULL;
    for (uint32_t i = 0; name && i < in->array.n; i++)
        if (!strncmp(in->array.at[i].name, "target/", 7) && !strcmp(in->array.at[i].name + 7, name)) return &in->array.at[i];
    for (uint32_t i = 0; name && i < d->input.n; i++)
        if (d->input.at[i].name == d->target.at[0].name) return NULL;
    return name ? arrays_find(in, name) : NULL;
}

static bool hand_out(Job *j, int64_t B) {
    const ModelDesc *d = j->m->desc;
    Arena *tmp = scratch_begin(j->m);
    const Array *target = first_target(j->m, &j->batch.array);
    bool ok = true;
    for (uint32_t i = 0; ok && i < d->output.n; i++) {
        int64_t root = exec_root(j->exec, ROOT_OUTPUT, 0, d->output.at[i].name);
        Array x;
        ok = root >= 0 && exec_get(j->exec, tmp, (uint32_t)root, &x);
        for (int64_t b = 0; ok && b < B; b++)
            ok = j->fn(j->arg, &(OutputRow){i, j->example[b], b, real_steps(j->exec, (uint32_t)root, b), j->batch.row ? j->batch.row[b] : b, &x, target});
    }
    scratch_end(j->m);
    return ok;
}

/* Those that stand at .. at + B - 1, whose states begin as the model says or, with carry, as the batch before left them. */
static bool run_batch(Job *j, int64_t at, int64_t B, bool carry) {
    Model *m = j->m;
    bool windows = j->windows.m != NULL;
    for (int64_t b = 0; b < B; b++) j->example[b] = j->d->by_place ? j->d->by_place[at + b] : at + b;
    if (!batch_fill(&j->batch, m->ctx, j->d, B, j->example)) return false;
    if (windows && !windows_begin(&j->windows, &j->batch.array, B, j->batch.row, j->example, carry)) return false;
    if (windows) j->exec = windows_set(&j->windows, 0);
    bool ok = windows ? j->exec != NULL : exec_set_batch(j->exec, &j->batch, B);
    return ok && exec_run(j->exec, m->theta, m->theta_version, NULL, m->seed, 0, j->example) && hand_out(j, B) &&
           (!windows || windows_done(&j->windows, j->exec));
}

static bool run(void *arg) {
    enum { BATCH = 64 };
    Job *j = arg;
    Model *m = j->m;
    if (!model_need_weights(m) || !(j->exec = model_exec(m, MODULE_PREDICT, dataset_ragged(j->d), false))) return false;
    for (int64_t at = 0, B; at < j->d->n; at += B) {
        B = j->d->n - at < BATCH ? j->d->n - at : BATCH;
        if (!run_batch(j, at, B, false)) return false;
    }
    return true;
}

/* In rows, as many as were trained side by side: each part of the data begins anew. */
static bool run_on(void *arg) {
    Job *j = arg;
    const Feed *f = j->d->feed;
    if (!model_need_weights(j->m) || !windows_make(&j->windows, j->m, 0, &(BuildOptions){.ragged = dataset_ragged(j->d)}, &j->d->array, false, true)) return false;
    for (int k = 0; k < 3; k++)
        for (int64_t at = 0, B = f->part[k].rows; at < f->part[k].n; at += B)
            if (!run_batch(j, f->part[k].example + at, B, at > 0)) return false;
    return true;
}

bool dataset_outputs(Model *m, const Dataset *d, OutputsFn fn, void *arg) {
    Job j = {.m = m, .d = d, .fn = fn, .arg = arg};
    bool carry = d->feed && d->feed->carry;
    int64_t most = 64;
    for (int k = 0; carry && k < 3; k++) most = d->feed->part[k].rows > most ? d->feed->part[k].rows : most;
    j.example = NEW_N(scratch_begin(m), int64_t, most);
    int got = guard_call(m->ctx, carry ? run_on : run, &j);
    batch_free(&j.batch);
    windows_free(&j.windows);
    scratch_end(m);
    if (got < 0) ctx_out_of_memory(m->ctx);
    return got;
}

const char *data_class(const Model *m, Arena *a, double v) {
    const Fitted *f = m->fitted;
    if (f && v >= 0 && v < f->nclass) return f->class_name[(int64_t)v];
    return arena_printf(a, "%g", v);
}

/* ---- single examples ---------------------------------------------------------------------------------------------------- */

bool dataset_example(Model *m, const Dataset *d, int64_t example, Arena *a, Arrays *out) {
    Batch b = {0};
    bool ok = batch_fill(&b, m->ctx, d, 1, &example);
    for (uint32_t i = 0; ok && i < b.array.array.n; i++) {
        const Array *x = &b.array.array.at[i];
        int64_t dim[RONDO_MAX_RANK];
        memcpy(dim, x->dim, sizeof dim);
        dim[0] = 1;
        Array *y = arrays_add(a, out, arena_strdup(a, x->name), x->type, x->rank, dim);
        int64_t row = b.row ? b.row[0] : 0, n = y ? array_count(y) : 0;
        ok = y != NULL;
        if (ok) memcpy(y->data, (const char *)x->data + (size_t)(row * n) * rondo_type_size(x->type), (size_t)n * rondo_type_size(x->type));
    }
    batch_free(&b);
    return ok;
}

bool data_text(Model *m, Arena *a, const char *text, Arrays *out) {
    const Vocabulary *v = m->fitted ? m->fitted->vocabulary : NULL;
    const PortDesc *in = m->desc->input.n == 1 ? &m->desc->input.at[0] : NULL;
    const char *at = text, *end = text + strlen(text), *p;
    size_t size;
    VEC(int32_t) id = {0};
    if (!v || !in || !in->seq || !in->vocab) {
        diag_error(m->ctx, 558, m->desc->span, "a text goes into a model of one input `seq token[V]`, with weights that hold a vocabulary");
        return false;
    }
    while ((p = token_next(v->unit, &at, end, &size))) {
        int32_t k = size && size <= TOKEN_MAX ? vocabulary_id(v, p, size) : -1;
        if (k < 0) {
            diag_error(m->ctx, 620, NOWHERE, "the text, byte %lld: '%s' is not in the vocabulary", (long long)(p - text) + 1,
                       escape_token(a, p, size ? size : 1));
            return false;
        }
        VEC_PUSH(a, id) = k;
    }
    if (!id.n) {
        diag_error(m->ctx, 554, NOWHERE, "the text is empty");
        return false;
    }
    Array *x = arrays_add(a, out, arena_printf(a, "input/%s", name_str(m->ctx, in->name)), RONDO_I32, 2, (int64_t[]){1, id.n});
    if (x) memcpy(x->data, id.at, id.n * sizeof *id.at);
    return x != NULL;
}

const char *data_token(const Model *m, Arena *a, int64_t id) {
    const Vocabulary *v = m->fitted ? m->fitted->vocabulary : NULL;
    if (!v || id < 0 || id >= v->n) return NULL;
    if (id == v->padding || id == v->end) return "";
    if (id == v->unknown) return "?";
    if (v->unit == UNIT_BYTES) return arena_printf(a, "%c", id > ' ' && id < 127 ? (char)id : '.');
    return v->token[id];
}
