/* windows: sequences cut along time (the key bptt), and states carried from batch to batch (stateful). Two modules of one model:
   in `first` the states start as the model says, so that its gradient reaches initial states; in `next` every state comes from
   outside and is a constant; where gradients are carried forward, the influence on it comes along as one more state. Examples that have ended leave the batch: a window holds those with steps in it. */
#include <string.h>

#include "runtime/internal.h"

/* ---- making ------------------------------------------------------------------------------------------------------------- */

static bool refuse(Windows *w, const char *why) {
    const Setting *s = train_setting(w->m, w->window ? "bptt" : "stateful");
    diag_error(w->m->ctx, 551, s ? s->span : w->m->desc->train.span, "train: '%s' does not suit '%s': %s",
               w->window ? "bptt" : "stateful", name_str(w->m->ctx, w->m->desc->name), why);
    return false;
}

/* The one time axis, and a final value for every state. */
const char *windows_unsuited(const Module *all, bool cut, uint32_t *axis) {
    const Graph *g = all->graph.at[0];
    uint32_t times = 0;
    for (uint32_t k = 1; k < all->naxis; k++)
        if (all->axis[k].kind == AXIS_TIME) {
            *axis = k;
            times++;
        }
    if (cut && times != 1) return times ? "it has several time axes" : "it has no time axis of open length";
    if (!cut) *axis = 0;
    const char *why = window_obstacle(all);
    if (why) return why;
    for (uint32_t s = 0; s < all->state.n; s++) {
        bool final = false;
        for (uint32_t r = 0; r < g->root.n; r++) final |= g->root.at[r].kind == ROOT_FINAL && g->root.at[r].index == s;
        if (!final || !all->state.at[s].input) return "one of its states has no final value";
    }
    return NULL;
}

static bool suits(Windows *w, const Module *all) {
    const char *why = windows_unsuited(all, w->window > 0, &w->axis);
    return !why || refuse(w, why);
}

static Exec *make_exec(Windows *w, Module *mod, const Arrays *in, bool want_input, bool next) {
    module_keep_roots(mod, 1u << ROOT_FINAL | (w->outputs ? 1u << ROOT_OUTPUT : 1u << ROOT_LOSS | (w->forward ? 1u << ROOT_METRIC : 0)));
    bool *want = NEW_N(&w->arena, bool, mod->input.n + 1);
    for (uint32_t i = 0; i < mod->input.n; i++) {
        const Input *p = &mod->input.at[i];
        if (p->kind == INPUT_DATA) want[i] = p->dtype == DT_F && !w->m->opt.exec.gradient;
        if (p->kind == INPUT_STATE) want[i] = !next && exec_find_input(mod, i, in) != NULL;
    }
    ExecOptions o = w->m->opt.exec;
    o.pool = w->m->pool;
    o.grad = !w->forward;
    o.influence = next ? INFLUENCE_IN_OUT : INFLUENCE_OUT;
    o.want_input = want_input ? want : NULL;
    return exec_make(w->m->ctx, mod, &o, NULL);
}

/* Those of the model and, where gradients are carried forward, the influences on them. */
static bool same_states(const Module *a, const Module *b) {
    bool same = a->state.n == b->state.n;
    for (uint32_t s = 0; same && s < a->state.n; s++) {
        const State *x = &a->state.at[s], *y = &b->state.at[s];
        same = x->name == y->name && x->axes == y->axes && x->rank == y->rank && memcmp(x->dim, y->dim, sizeof x->dim) == 0;
    }
    if (!same) diag_error(a->ctx, 999, NOWHERE, "the windows of '%s' have other states than its start", name_str(a->ctx, a->name));
    return same;
}

bool windows_make(Windows *w, Model *m, int64_t window, const BuildOptions *bo, const Arrays *in, bool want_input, bool outputs) {
    *w = (Windows){.m = m, .window = window, .forward = !bo->training, .outputs = outputs, .arena = arena_make(m->ctx), .tmp = arena_make(m->ctx)};
    BuildOptions o = *bo;
    o.external_states = true;
    Module *all = frontend_model(m->program, &w->arena, &o);
    if (!all || !suits(w, all)) return false;
    bool *given = NEW_N(&w->arena, bool, all->state.n + 1);
    for (uint32_t k = 0; k < all->state.n; k++) given[k] = exec_find_input(all, all->state.at[k].input - 1, in) != NULL;
    w->first = make_exec(w, bind_states(all, &w->arena, given), in, want_input, false);
    w->next = w->first ? make_exec(w, all, in, want_input, true) : NULL;
    if (!w->next) return false;
    if (!same_states(exec_module(w->first), exec_module(w->next))) return false;
    w->nstate = exec_module(w->next)->state.n;
    w->state = NEW_N(&w->arena, Array, w->nstate + 1);
    return true;
}

void windows_free(Windows *w) {
    if (!w->m) return;
    exec_destroy(w->first);
    exec_destroy(w->next);
    for (uint32_t s = 0; s < w->nstate; s++) ctx_free(w->m->ctx, w->state[s].data);
    ctx_free(w->m->ctx, w->row);
    ctx_free(w->m->ctx, w->alive);
    ctx_free(w->m->ctx, w->id);
    arena_free(&w->tmp);
    arena_free(&w->arena);
    *w = (Windows){0};
}

/* ---- a batch ------------------------------------------------------------------------------------------------------------ */

static int64_t example_of(const Windows *w, int64_t b) {
    return w->example ? w->example[b] : b;
}

static int64_t length_of(const Windows *w, int64_t b) {
    return w->length ? (int64_t)array_get(w->length, example_of(w, b)) : w->steps;
}

bool windows_begin(Windows *w, const Arrays *in, int64_t B, const int64_t *row, const int64_t *id, bool carry) {
    const Module *mod = exec_module(w->next);
    if (!exec_axes_from(mod, in, w->dims)) return false;
    if (B) w->dims[AXIS_B] = B;
    B = w->dims[AXIS_B];
    w->in = in;
    w->example = row;
    w->given = id;
    w->carry = carry && w->states_set;
    w->count = 1;
    w->length = NULL;
    w->steps = w->axis ? w->dims[w->axis] : 1;
    if (B > w->cap) {
        ctx_free(w->m->ctx, w->row);
        ctx_free(w->m->ctx, w->alive);
        ctx_free(w->m->ctx, w->id);
        w->row = w->alive = w->id = NULL;
        w->cap = 0;
        w->row = ctx_alloc(w->m->ctx, (size_t)B * sizeof *w->row);
        w->alive = ctx_alloc(w->m->ctx, (size_t)B * sizeof *w->alive);
        w->id = ctx_alloc(w->m->ctx, (size_t)B * sizeof *w->id);
        w->cap = B;
    }
    w->B = B;
    if (!w->window) return true;
    uint32_t length = mod->axis[w->axis].length;
    if (length) w->length = exec_find_input(mod, length - 1, in);
    int64_t most = 0;
    for (int64_t b = 0; b < B; b++) {
        int64_t n = length_of(w, b);
        if (n < 1 || n > w->steps) {
            diag_error(w->m->ctx, 606, NOWHERE, "the length of example %lld is %lld; it must be from 1 to %lld",
                       (long long)example_of(w, b), (long long)n, (long long)w->steps);
            return false;
        }
        if (n > most) most = n;
    }
    w->count = (most + w->window - 1) / w->window;
    return true;
}

/* Products of the dims before and after the time axis of an array of input p. */
static void around_time(const Windows *w, const Input *p, const Array *x, int *at, int64_t *inner) {
    *at = 0;
    *inner = 1;
    for (uint32_t k = 0; k < w->axis; k++) *at += (p->axes >> k & 1) != 0;
    for (int k = *at + 1; k < x->rank; k++) *inner *= x->dim[k];
}

/* The rows alive, from the window's first step. */
static bool set_slice(Windows *w, Exec *e, uint32_t i, const Array *x) {
    const Input *p = &exec_module(e)->input.at[i];
    Arrays keep = {0};
    Array s = *x;
    int at;
    int64_t inner;
    around_time(w, p, x, &at, &inner);
    if (at >= x->rank) return exec_set_input(e, i, x, w->alive); /* its own complaint about the shape */
    s.dim[at] = w->nsteps;
    if (p->axes & AX(AXIS_B)) s.dim[0] = w->n;
    Array *y = arrays_add(&w->tmp, &keep, x->name, x->type, x->rank, s.dim);
    if (!y) return false;
    int64_t outer = 1, size = (int64_t)rondo_type_size(x->type), block = w->nsteps * inner * size;
    for (int k = 0; k < at; k++) outer *= s.dim[k];
    int64_t per = p->axes & AX(AXIS_B) ? outer / w->n : outer;
    for (int64_t o = 0; o < outer; o++) {
        int64_t from = p->axes & AX(AXIS_B) ? w->alive[o / per] * per + o % per : o;
        memcpy((char *)y->data + o * block, (const char *)x->data + (from * x->dim[at] + w->from) * inner * size, (size_t)block);
    }
    return exec_set_input(e, i, y, NULL);
}

static bool set_state(Exec *e, uint32_t i, const Array *x, const int64_t *rows) {
    const Input *p = &exec_module(e)->input.at[i];
    bool batched = p->axes & AX(AXIS_B);
    Array y = *x;
    if (batched && x->rank == p->rank) {
        y.rank = x->rank + 1;
        for (int k = x->rank; k > 0; k--) y.dim[k] = x->dim[k - 1];
        y.dim[0] = 1;
    }
    return exec_set_input(e, i, &y, batched && y.dim[0] != 1 ? rows : NULL);
}

static bool set_lengths(Windows *w, Exec *e, uint32_t i) {
    Arrays keep = {0};
    Array *y = arrays_add(&w->tmp, &keep, "length", RONDO_I64, 1, &w->n);
    if (!y) return false;
    for (int64_t b = 0; b < w->n; b++) {
        int64_t left = length_of(w, w->row[b]) - w->from;
        array_set(y, b, (double)(left < w->nsteps ? left : w->nsteps));
    }
    return exec_set_input(e, i, y, NULL);
}

static bool set_input(Windows *w, Exec *e, uint32_t i) {
    const Module *mod = exec_module(e);
    const Input *p = &mod->input.at[i];
    if (p->kind == INPUT_STATE && e == w->next) {
        for (uint32_t s = 0; s < w->nstate; s++)
            if (mod->state.at[s].input == i + 1) return set_state(e, i, &w->state[s], w->row);
    }
    const Array *x = exec_find_input(mod, i, w->in);
    if (p->kind == INPUT_STATE && x) return set_state(e, i, x, w->alive);
    if (p->kind == INPUT_LENGTH && w->length && mod->axis[w->axis].length == i + 1) return set_lengths(w, e, i);
    if (!x && (p->kind == INPUT_DATA || p->kind == INPUT_TARGET) && exec_uses_input(e, i)) {
        diag_error(w->m->ctx, 605, NOWHERE, "there is no array for '%s'", name_str(w->m->ctx, p->name));
        return false;
    }
    if (x && w->axis && p->axes & AX(w->axis)) return set_slice(w, e, i, x);
    return exec_set_input(e, i, x, x ? w->alive : NULL);
}

Exec *windows_set(Windows *w, int64_t k) {
    Exec *e = k == 0 && !w->carry ? w->first : w->next;
    const Module *mod = exec_module(e);
    w->from = k * w->window;
    w->nsteps = w->window && w->steps - w->from > w->window ? w->window : w->steps - w->from;
    w->n = 0;
    for (int64_t b = 0; b < w->B; b++)
        if (!w->length || length_of(w, b) > w->from) {
            w->row[w->n] = b;
            w->alive[w->n] = example_of(w, b);
            w->id[w->n++] = w->given ? w->given[b] : example_of(w, b);
        }
    int64_t axis[MAX_AXES];
    memcpy(axis, w->dims, sizeof axis);
    axis[AXIS_B] = w->n;
    if (w->axis) axis[w->axis] = w->nsteps;
    bool ok = exec_dims(e, axis);
    for (int lengths = 1; ok && lengths >= 0; lengths--)
        for (uint32_t i = 0; ok && i < mod->input.n; i++)
            if ((mod->input.at[i].kind == INPUT_LENGTH) == lengths) ok = set_input(w, e, i);
    arena_free(&w->tmp);
    return ok ? e : NULL;
}

/* ---- what goes on ------------------------------------------------------------------------------------------------------- */

/* Memory for a state of `rows` examples, as the array x is. What is there stays. */
bool windows_reserve(Windows *w, uint32_t s, const Array *like, int64_t rows) {
    Array *to = &w->state[s], x = *like;
    if (exec_module(w->next)->state.at[s].axes & AX(AXIS_B)) x.dim[0] = rows;
    int64_t count = array_count(&x), had = to->data ? array_count(to) : 0;
    if (count < 0) return false;
    if (count <= had) return true;
    void *data = ctx_alloc(w->m->ctx, (size_t)count * rondo_type_size(x.type));
    if (had) memcpy(data, to->data, (size_t)had * rondo_type_size(x.type));
    ctx_free(w->m->ctx, to->data);
    *to = x;
    to->data = data;
    return true;
}

bool windows_done(Windows *w, Exec *e) {
    const Module *mod = exec_module(e);
    bool ok = true;
    for (uint32_t s = 0; ok && s < w->nstate; s++) {
        int64_t r = exec_root(e, ROOT_FINAL, s, 0);
        Array x;
        ok = r >= 0 && exec_get(e, &w->tmp, (uint32_t)r, &x) && windows_reserve(w, s, &x, w->B);
        if (!ok) break;
        size_t bytes = (size_t)array_count(&x) * rondo_type_size(x.type);
        if (!(mod->state.at[s].axes & AX(AXIS_B))) memcpy(w->state[s].data, x.data, bytes);
        else
            for (int64_t b = 0; b < w->n; b++) {
                size_t row = bytes / (size_t)w->n;
                memcpy((char *)w->state[s].data + (size_t)w->row[b] * row, (const char *)x.data + (size_t)b * row, row);
            }
    }
    arena_free(&w->tmp);
    w->states_set = ok;
    return ok;
}

/* Adds f times the gradient of an input of this window to the whole one. */
void windows_add_grad(Windows *w, Exec *e, uint32_t i, const Array *part, double f, Array *whole) {
    const Input *p = &exec_module(e)->input.at[i];
    bool timed = w->axis && p->axes & AX(w->axis), batched = p->axes & AX(AXIS_B);
    int at = batched ? 1 : 0;
    int64_t inner = 1;
    if (timed) around_time(w, p, part, &at, &inner);
    else
        for (int k = at; k < part->rank; k++) inner *= part->dim[k];
    int64_t here = timed ? part->dim[at] : 1, there = timed ? whole->dim[at] : 1, from = timed ? w->from : 0;
    int64_t n = array_count(part), block = here * inner, outer = block ? n / block : 0, per = batched && w->n ? outer / w->n : outer;
    for (int64_t j = 0; j < n; j++) {
        int64_t o = j / block, row = batched ? w->row[o / per] * per + o % per : o;
        int64_t to = (row * there + from) * inner + j % block;
        array_set(whole, to, array_get(whole, to) + f * array_get(part, j));
    }
}
