/* checkpoint: a training set aside. A safetensors file with
     theta, state/NAME            parameters; states of the optimizer
     best_theta                   with early stopping: the parameters to go back to
     carry/NAME                   with stateful, within an epoch: states of the model after the last batch
     accumulated f64              with accumulate: the gradients of the update under way
     position [10] i64            epoch, batches done, update, epochs waited, seed, examples, batch size, plateau's wait, gradients of the
                                  update under way, version
     sums [8] f64                 loss sum and weight of the epoch, best, last and validation loss, plateau's factor and best, weight of
                                  those gradients
     __metadata__                 model, hash of names and shapes, optimizer, checksum of all data; what the data taught before
                                  training (vocabulary, classes, scaling), which the data of a resumed run must teach again
   What a resumed run needs beyond that (order, masks) is a function of seed and position. */
#include <string.h>

#include "runtime/records.h"
#include "runtime/train.h"

enum { VERSION = 4, NPOSITION = 10, NSUM = 8 };

static uint64_t checksum(const Arrays *s) {
    uint64_t h = VERSION;
    for (uint32_t i = 0; i < s->array.n; i++) {
        const Array *x = &s->array.at[i];
        h = hash_bytes(h, x->name, strlen(x->name));
        h = hash_bytes(h, x->data, (size_t)array_count(x) * rondo_type_size(x->type));
    }
    return h;
}

/* The arrays of the file in its order, standing over the memory of the training. */
static void list_arrays(Training *t, Arena *a, int64_t *position, double *sums, Arrays *out) {
    rondo_type f = t->m->f64 ? RONDO_F64 : RONDO_F32;
    CellRun *c = &t->opt.cell;
    VEC_PUSH(a, out->array) = (Array){.name = "theta", .type = f, .rank = 1, .dim = {t->m->desc->theta_size}, .data = t->m->theta};
    for (uint32_t k = 0; k < c->n; k++) {
        const char *name = name_str(t->m->ctx, c->mod->state.at[k].name);
        bool is_int;
        exec_input_data(c->exec, c->in[k], &is_int);
        VEC_PUSH(a, out->array) = (Array){.name = arena_printf(a, "state/%s", name), .type = is_int ? RONDO_I32 : f, .rank = 1,
                                          .dim = {c->count[k]}, .data = c->now[k]};
    }
    if (t->keep)
        VEC_PUSH(a, out->array) = (Array){.name = "best_theta", .type = f, .rank = 1, .dim = {t->m->desc->theta_size}, .data = t->keep};
    if (t->sum)
        VEC_PUSH(a, out->array) = (Array){.name = "accumulated", .type = RONDO_F64, .rank = 1, .dim = {t->m->desc->theta_size}, .data = t->sum};
    VEC_PUSH(a, out->array) = (Array){.name = "position", .type = RONDO_I64, .rank = 1, .dim = {NPOSITION}, .data = position};
    VEC_PUSH(a, out->array) = (Array){.name = "sums", .type = RONDO_F64, .rank = 1, .dim = {NSUM}, .data = sums};
}

static const char *carried_name(Training *t, Arena *a, uint32_t s) {
    return arena_printf(a, "carry/%s", name_str(t->m->ctx, exec_module(t->windows.next)->state.at[s].name));
}

static void list_carried(Training *t, Arena *a, Arrays *out) {
    for (uint32_t s = 0; t->stateful && t->at > 0 && t->windows.states_set && s < t->windows.nstate; s++) {
        Array x = t->windows.state[s];
        x.name = carried_name(t, a, s);
        VEC_PUSH(a, out->array) = x;
    }
}

/* Batch, axes of a fixed number of steps (the directions of influences), features. */
static bool carried_dims(const Module *m, const State *s, int64_t batch, const Array *x) {
    int k = 0;
    for (uint32_t axis = 0; axis < m->naxis; axis++)
        if (s->axes >> axis & 1 && (k >= x->rank || x->dim[k++] != (axis ? m->axis[axis].count : batch))) return false;
    for (int d = 0; d < s->rank; d++)
        if (k >= x->rank || x->dim[k++] != s->dim[d]) return false;
    return k == x->rank;
}

static bool take_carried(Training *t, Arena *a, const Safetensors *file) {
    Windows *w = &t->windows;
    for (uint32_t s = 0; t->stateful && t->at > 0 && s < w->nstate; s++) {
        const State *state = &exec_module(w->next)->state.at[s];
        const Array *x = arrays_find(&file->tensor, carried_name(t, a, s));
        rondo_type type = state->dtype != DT_F ? state->dtype == DT_I ? RONDO_I32 : RONDO_U8 : t->m->f64 ? RONDO_F64 : RONDO_F32;
        if (!x || x->type != type || !carried_dims(exec_module(w->next), state, t->batch, x)) return false;
        if (!windows_reserve(w, s, x, t->batch)) return false;
        memcpy(w->state[s].data, x->data, (size_t)array_count(x) * rondo_type_size(type));
        w->states_set = true;
    }
    return true;
}

static void put_meta(Arena *a, Safetensors *s, const char *key, const char *value) {
    VEC_PUSH(a, s->meta) = key;
    VEC_PUSH(a, s->meta) = value;
}

bool checkpoint_save(Training *t, const char *path) {
    Ctx *ctx = t->m->ctx;
    Arena *tmp = scratch_begin(t->m);
    Safetensors s = {0};
    int64_t position[NPOSITION] = {t->epoch, t->at, t->update, t->waited, (int64_t)t->seed, t->n, t->batch,
                                   t->schedule.waited, t->gathered, VERSION};
    double sums[NSUM] = {t->loss_sum, t->loss_weight, t->best, t->last_loss, t->valid_loss, t->schedule.drop, t->schedule.best,
                         t->gathered_weight};
    list_arrays(t, tmp, position, sums, &s.tensor);
    list_carried(t, tmp, &s.tensor);
    put_meta(tmp, &s, "rondo.model", name_str(ctx, t->m->desc->name));
    put_meta(tmp, &s, "rondo.hash", arena_printf(tmp, "%016llx", (unsigned long long)t->m->desc->hash));
    put_meta(tmp, &s, "rondo.optimizer", name_str(ctx, t->opt.cell.mod->name));
    put_meta(tmp, &s, "rondo.checksum", arena_printf(tmp, "%016llx", (unsigned long long)checksum(&s.tensor)));
    fitted_put(t->m, tmp, &s);
    bool ok = safetensors_write(ctx, path, &s);
    scratch_end(t->m);
    return ok;
}

static const char *get_meta(const Safetensors *s, const char *key) {
    for (uint32_t i = 0; i + 1 < s->meta.n; i += 2)
        if (strcmp(s->meta.at[i], key) == 0) return s->meta.at[i + 1];
    return "";
}

static bool refuse(Training *t, const char *path, const char *why) {
    diag_error(t->m->ctx, 615, NOWHERE, "%s cannot be resumed from: %s", path, why);
    return false;
}

static bool refuse_other(Training *t, const char *path, const char *why) {
    refuse(t, path, why);
    diag_help(t->m->ctx, NOWHERE, "a run that goes on is given the same --set and --data as the one before");
    return false;
}

/* A text that has changed has other numbers for its words, and the same shapes. */
static bool same_fitted(Training *t, Arena *tmp, const char *path, const Safetensors *s) {
    static const char *const key[] = {"rondo.vocabulary", "rondo.classes", "rondo.scale"},
                             *const why[] = {"the vocabulary of its data was another", "the classes of its data were others",
                                             "the scaling of its data was another"};
    Safetensors now = {0};
    fitted_put(t->m, tmp, &now);
    for (int k = 0; k < 3; k++)
        if (strcmp(get_meta(s, key[k]), get_meta(&now, key[k])) != 0) return refuse(t, path, why[k]);
    return true;
}

static bool take(Training *t, Arena *tmp, const char *path, const Safetensors *s) {
    int64_t position[NPOSITION];
    double sums[NSUM];
    Arrays want = {0};
    char hex[32];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)checksum(&s->tensor));
    if (!*get_meta(s, "rondo.checksum")) return refuse(t, path, "it is no checkpoint");
    if (strcmp(hex, get_meta(s, "rondo.checksum")) != 0) return refuse(t, path, "it is damaged: its checksum is wrong");
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)t->m->desc->hash);
    if (strcmp(hex, get_meta(s, "rondo.hash")) != 0) return refuse_other(t, path, "its model has other names or shapes of weights");
    if (strcmp(name_str(t->m->ctx, t->opt.cell.mod->name), get_meta(s, "rondo.optimizer")) != 0)
        return refuse_other(t, path, "it was made with another optimizer");
    list_arrays(t, tmp, position, sums, &want);
    for (uint32_t i = 0; i < want.array.n; i++) {
        const Array *w = &want.array.at[i], *x = arrays_find(&s->tensor, w->name);
        if (!x || x->type != w->type || array_count(x) != array_count(w)) return refuse(t, path, "its arrays have another type or size");
    }
    const Array *p = arrays_find(&s->tensor, "position");
    if (array_get(p, NPOSITION - 1) != VERSION) return refuse(t, path, "it was written by another version of Rondo");
    if (array_get(p, 5) != (double)t->n || array_get(p, 6) != (double)t->batch)
        return refuse_other(t, path, "the number of examples or the batch size has changed");
    if (!same_fitted(t, tmp, path, s)) return false;
    for (uint32_t i = 0; i < want.array.n; i++) {
        const Array *w = &want.array.at[i], *x = arrays_find(&s->tensor, w->name);
        memcpy(w->data, x->data, (size_t)array_count(x) * rondo_type_size(x->type));
    }
    t->epoch = position[0];
    t->at = position[1];
    t->update = position[2];
    t->waited = position[3];
    t->seed = (uint64_t)position[4];
    t->loss_sum = sums[0];
    t->loss_weight = sums[1];
    t->best = sums[2];
    t->last_loss = sums[3];
    t->valid_loss = sums[4];
    t->schedule.waited = position[7];
    t->schedule.drop = sums[5];
    t->schedule.best = sums[6];
    t->gathered = position[8];
    t->gathered_weight = sums[7];
    if (t->epoch < 0 || t->at < 0 || t->at >= t->batches || t->update < 0) return refuse(t, path, "its position makes no sense");
    if (!take_carried(t, tmp, s)) return refuse(t, path, "its carried states have another type or size");
    t->m->theta_version++;
    t->m->ready = true;
    return true;
}

bool checkpoint_load(Training *t, const char *path) {
    Arena *tmp = scratch_begin(t->m);
    Safetensors s;
    bool ok = safetensors_read(t->m->ctx, tmp, path, &s) && take(t, tmp, path, &s);
    scratch_end(t->m);
    return ok;
}
