/* made: data that are drawn, for trying a model out: made = uniform(100, steps = 10, seed = 1) gives every input and then every target
   numbers from 0 to 1. They are those of the Mersenne Twister MT19937 (Matsumoto, Nishimura 1998) with 53 bits each, so that
   numpy.random.seed(1) and rand(100, 10), rand(100, 1) draw the same. made = dates(1000, seed = 1) gives days of 1800 to 2199 in figures,
   in one of three orders, and in words: "2.5.1987" and "second of May 1987". */
#include <math.h>
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

static bool made_dates(Model *m, const Setting *s) { return strcmp(name_str(m->ctx, s->name), "dates") == 0; }

static Made read_made(Model *m, const Setting *s) {
    double steps = settings_argument(m->ctx, "made", s, "steps");
    return (Made){.n = (int64_t)settings_argument(m->ctx, "made", s, "examples"),
                  .steps = isnan(steps) ? 0 : (int64_t)steps,
                  .seed = (int64_t)settings_argument(m->ctx, "made", s, "seed")};
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

/* ---- dates -------------------------------------------------------------------------------------------------------------- */

static int below(Twister *t, int n) { return (int)(twister_uniform(t) * n); }

static const char *in_figures(Arena *a, int form, int day, int month, int year) {
    if (form == 0) return arena_printf(a, "%d-%02d-%02d", year, month, day);
    return form == 1 ? arena_printf(a, "%d.%d.%d", day, month, year) : arena_printf(a, "%d/%d/%d", month, day, year);
}

static const char *in_words(Arena *a, int day, int month, int year) {
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    static const char *const ordinals[] = {"first",      "second",      "third",      "fourth",      "fifth",     "sixth",     "seventh",
                                           "eighth",     "ninth",       "tenth",      "eleventh",    "twelfth",   "thirteenth", "fourteenth",
                                           "fifteenth",  "sixteenth",   "seventeenth", "eighteenth", "nineteenth", "twentieth"};
    const char *tens = day > 30 ? "thirty-" : day > 20 ? "twenty-" : "";
    const char *last = day == 30 ? "thirtieth" : ordinals[(day > 20 ? day % 10 : day) - 1];
    return arena_printf(a, "%s%s of %s %d", day == 30 ? "" : tens, last, months[month - 1], year);
}

static bool load_dates(Model *m, Arena *a, const Made *k, bool whole, Dataset *out) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    Records r;
    Twister t;
    twister_seed(&t, (uint32_t)k->seed);
    records_make(&r, m, a, whole);
    Store *y = records_target(&r), *x = &r.store[0];
    if (!y || !x->port->vocab || !x->port->seq || x->teacher || !y->port->vocab || !y->port->seq) {
        diag_error(m->ctx, 552, m->desc->span, "made = dates(..) fills a first input and a target `seq token[V]`");
        return false;
    }
    r.path = "dates";
    for (int64_t i = 0; i < k->n; i++) {
        int form = below(&t, 3), month = below(&t, 12) + 1, day = below(&t, days[month - 1]) + 1, year = 1800 + below(&t, 400);
        r.line = i + 1;
        records_add(&r);
        const char *figures = in_figures(a, form, day, month, year), *words = in_words(a, day, month, year);
        record_text(&r, x, figures, strlen(figures));
        record_text(&r, y, words, strlen(words));
    }
    return records_finish(&r, out);
}

bool made_load(Model *m, Arena *a, bool whole, Dataset *out) {
    Made k = read_made(m, data_setting(m, "made"));
    Twister t;
    if (made_dates(m, data_setting(m, "made"))) return load_dates(m, a, &k, whole, out);
    *out = (Dataset){.n = k.n, .train = k.n};
    twister_seed(&t, (uint32_t)k.seed);
    for (uint32_t i = 0; i < m->desc->input.n; i++)
        if (!add_port(m, a, &k, &m->desc->input.at[i], "input/", &t, out)) return false;
    for (uint32_t i = 0; i < m->desc->target.n; i++)
        if (!add_port(m, a, &k, &m->desc->target.at[i], "target/", &t, out)) return false;
    return whole || split_arrays(m, a, "made", out);
}
