/* made: data that are drawn, for trying a model out: made = uniform(100, steps = 10, seed = 1) gives every input and then every target
   numbers from 0 to 1. They are those of the Mersenne Twister MT19937 (Matsumoto, Nishimura 1998) with 53 bits each, so that
   numpy.random.seed(1) and rand(100, 10), rand(100, 1) draw the same. */
#include <string.h>

#include "runtime/records.h"

enum { MT_N = 624, MT_M = 397 };
typedef struct {
    uint32_t state[MT_N];
    int at;
} Twister;

static void twister_seed(Twister *t, uint32_t seed) {
    for (uint32_t i = 0; i < MT_N; i++) {
        t->state[i] = seed;
        seed = UINT32_C(1812433253) * (seed ^ seed >> 30) + i + 1;
    }
    t->at = MT_N;
}

static void twister_turn(Twister *t) {
    for (int i = 0; i < MT_N; i++) {
        uint32_t y = (t->state[i] & UINT32_C(0x80000000)) | (t->state[(i + 1) % MT_N] & UINT32_C(0x7fffffff));
        t->state[i] = t->state[(i + MT_M) % MT_N] ^ y >> 1 ^ (y & 1 ? UINT32_C(0x9908b0df) : 0);
    }
    t->at = 0;
}

static uint32_t twister_next(Twister *t) {
    if (t->at == MT_N) twister_turn(t);
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & UINT32_C(0x9d2c5680);
    y ^= y << 15 & UINT32_C(0xefc60000);
    return y ^ y >> 18;
}

static double twister_uniform(Twister *t) {
    uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;
    return ((double)a * 67108864.0 + (double)b) / 9007199254740992.0;
}

typedef struct {
    int64_t n, steps, seed;
} Made;

static bool read_made(Model *m, const Setting *s, Made *out) {
    static const char *const names[] = {"examples", "steps", "seed"};
    int64_t *const value[] = {&out->n, &out->steps, &out->seed};
    bool ok = s->kind == SET_CALL && strcmp(name_str(m->ctx, s->name), "uniform") == 0;
    *out = (Made){0};
    for (uint32_t i = 0; ok && i < s->n; i++) {
        uint32_t k = i;
        if (s->arg[i])
            for (k = 0; k < 3 && strcmp(name_str(m->ctx, s->arg[i]), names[k]) != 0;) k++;
        ok = k < 3 && s->item[i].kind == SET_NUMBER && s->item[i].is_int && s->item[i].number >= 0 &&
             s->item[i].number <= 4294967295.0;
        if (ok) *value[k] = (int64_t)s->item[i].number;
    }
    if (ok && out->n > 0) return true;
    diag_error(m->ctx, 552, s->span, "data: made is uniform(examples, steps = .., seed = ..), whole numbers");
    return false;
}

static bool add_port(Model *m, Arena *a, const Made *k, const PortDesc *p, const char *prefix, Twister *t, Dataset *d) {
    int64_t dim[RONDO_MAX_RANK] = {k->n}, steps = p->steps ? p->steps : k->steps;
    int rank = 1;
    if (p->dtype != DT_F || (p->seq && steps < 1)) {
        diag_error(m->ctx, 552, p->span, "made = uniform(..) fills numbers%s; '%s' %s", p->seq ? " of so many `steps`" : "",
                   name_str(m->ctx, p->name), p->dtype != DT_F ? "is no number" : "is a sequence");
        return false;
    }
    if (p->seq) dim[rank++] = steps;
    for (int i = 0; i < p->rank; i++) dim[rank++] = p->dim[i];
    Array *x = arrays_add(a, &d->array, arena_printf(a, "%s%s", prefix, name_str(m->ctx, p->name)),
                          m->f64 ? RONDO_F64 : RONDO_F32, rank, dim);
    if (!x) diag_error(m->ctx, 902, p->span, "so many examples are larger than any memory");
    for (int64_t i = 0; x && i < array_count(x); i++) array_set(x, i, twister_uniform(t));
    return x != NULL;
}

bool made_load(Model *m, Arena *a, bool whole, Dataset *out) {
    Made k;
    Twister t;
    if (!read_made(m, data_setting(m, "made"), &k)) return false;
    *out = (Dataset){.n = k.n, .train = k.n};
    twister_seed(&t, (uint32_t)k.seed);
    for (uint32_t i = 0; i < m->desc->input.n; i++)
        if (!add_port(m, a, &k, &m->desc->input.at[i], "input/", &t, out)) return false;
    for (uint32_t i = 0; i < m->desc->target.n; i++)
        if (!add_port(m, a, &k, &m->desc->target.at[i], "target/", &t, out)) return false;
    return whole || split_arrays(m, out);
}
