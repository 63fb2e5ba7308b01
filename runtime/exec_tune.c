/* exec_tune: --autotune. At its first call an Exec times schedules of its program against each other on the call's own data, and
   keeps the fastest:
     place    input products in each step, in chunks, for all steps, beside the products of the steps
     lanes    half of the widest vectors
     panels   narrower or wider panels of packed matrices
     columns  threads share the columns of products instead of the rows
   All of them have the same bits: a tuner may change when a result is there, not which. One thing is varied at a time, on top of
   what was best so far; a schedule must be faster by more than NOISE to be taken. What was found is a note beside the code of
   the cache, under the program, its sizes, threads and CPU: the next process takes it from there. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/exec_int.h"

enum { PLACES = 4, TRIALS = PLACES + 4, ROUNDS = 4 };
static const double NOISE = 0.02, BUDGET = 3, SLICE = 0.01, LEAST = 1e-5; /* seconds in all; of one program in a round; of a call, to be timed */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what was found before ---------------------------------------------------------------------------------------------------- */

/* Of the program that the compiler would run here, and of all that its time hangs on. */
static void key_of(Exec *e, Arena *a, uint64_t key[2]) {
    Str s = str_make(a);
    lprogram_print(&s, e->plan[0].p);
    str_printf(&s, "%s threads %d sizes", host_info().name, pool_threads(e->pool));
    for (uint32_t k = 0; k < e->m->naxis; k++) str_printf(&s, " %lld", (long long)e->dim[k]);
    key[0] = hash_bytes(1, s.at, s.n);
    key[1] = hash_bytes(2, s.at, s.n);
}

typedef struct {
    Schedule best;
    double ms, plain; /* of a call: so, and as the compiler would have it */
    int tried;
} Found;

static bool parse_note(const char *text, Found *f) {
    int place, share;
    *f = (Found){.tried = 0};
    if (sscanf(text, "rondo schedule 1 place %d lanes %d panel %d share %d ms %lf plain %lf tried %d", &place, &f->best.V, &f->best.panel, &share,
               &f->ms, &f->plain, &f->tried) != 7)
        return false;
    f->best.place = (Place)place;
    f->best.share = share == 1;
    return place >= PLACE_AUTO && place <= PLACE_BESIDE && (f->best.V == 0 || f->best.V == 1 || f->best.V == 4 || f->best.V == 8 || f->best.V == 16) &&
           (f->best.panel == 0 || f->best.panel == 32 || f->best.panel == 128);
}

/* *f becomes what others will read. */
static void put_note(Exec *e, Arena *a, const uint64_t key[2], Found *f) {
    const Schedule *s = &f->best;
    const char *text = arena_printf(a, "rondo schedule 1 place %d lanes %d panel %d share %d ms %.6g plain %.6g tried %d\n", (int)s->place, s->V,
                                    s->panel, s->share, f->ms, f->plain, f->tried);
    cache_note_put(a, e->opt.cache_dir, key, text);
    parse_note(text, f);
}

static const char *in_words(Exec *e, const Found *f) {
    static const char *const place[] = {"", "input products in each step", "input products in chunks", "input products for all steps first",
                                        "input products beside those of the steps"};
    const Schedule *s = &f->best;
    Str t = str_make(&e->arena);
    const char *comma = "";
    if (s->place) str_printf(&t, "%s", place[s->place]), comma = ", ";
    if (s->V) str_printf(&t, "%s%d lanes", comma, s->V), comma = ", ";
    if (s->panel) str_printf(&t, "%spanels of %d columns", comma, s->panel), comma = ", ";
    if (s->share) str_printf(&t, "%sthreads share columns", comma), comma = ", ";
    str_printf(&t, "%s: %.4g ms, %.4g without; %d schedules tried", *comma ? "" : "as compiled", f->ms, f->plain, f->tried);
    return t.at;
}

/* ---- time --------------------------------------------------------------------------------------------------------------------- */

/* The least seconds of a call, within a slice of time. False: it failed. */
static bool time_plan(Exec *e, Plan *k, const Call *c, double *least) {
    if (!exec_use(e, k) || !exec_call(e, c)) return false; /* packs the weights */
    double end = now() + SLICE;
    do {
        double from = now();
        if (!exec_call(e, c)) return false;
        double s = now() - from;
        *least = s < *least ? s : *least;
    } while (now() < end);
    return true;
}

/* Both in turns, so that they meet the same machine. */
static bool compare(Exec *e, Plan *a, Plan *b, const Call *c, double *ta, double *tb) {
    *ta = *tb = 1e30;
    for (int k = 0; k < ROUNDS; k++)
        if (!time_plan(e, a, c, ta) || !time_plan(e, b, c, tb)) return false;
    return true;
}

/* ---- the search ----------------------------------------------------------------------------------------------------------------- */

/* Whether `next` is a schedule beside `best` that differs from it in aspect k and suits this Exec. */
static bool variant(const Exec *e, const Schedule *best, int k, Schedule *next) {
    static const Place place[PLACES] = {PLACE_STEP, PLACE_CHUNK, PLACE_WHOLE, PLACE_BESIDE};
    *next = *best;
    if (k < PLACES) {
        next->place = place[k];
        return e->opt.place == PLACE_AUTO;
    }
    k -= PLACES;
    if (k == 0) {
        next->V = e->plan[0].p->V / 2;
        return !e->opt.V && next->V >= 4;
    }
    if (k == 1 || k == 2) {
        next->panel = k == 1 ? 32 : 128;
        return true;
    }
    next->share = true;
    return k == 3 && pool_threads(e->pool) > 1;
}

static bool same_program(Exec *e, const LProgram *p, const LProgram *q) {
    Arena a = arena_make(e->ctx);
    Str s = str_make(&a), t = str_make(&a);
    lprogram_print(&s, p);
    lprogram_print(&t, q);
    bool same = s.n == t.n && !memcmp(s.at, t.at, s.n);
    arena_free(&a);
    return same;
}

static void drop(Plan *k) {
    if (k->engine) engine_destroy(k->engine);
    k->engine = NULL;
}

/* Takes plan k in place of the first. */
static void take(Exec *e, Plan *k) {
    if (k == &e->plan[0]) return;
    drop(&e->plan[0]);
    e->plan[0] = *k;
    e->now = NULL; /* no plan's packs are there */
}

static bool search(Exec *e, const Call *c, Found *f) {
    double end = now() + BUDGET;
    Plan tried[TRIALS], *best = &e->plan[0];
    uint32_t n = 0;
    bool ok = true;
    *f = (Found){.tried = 1};
    for (int k = 0; ok && k < TRIALS && now() < end; k++) {
        Schedule next;
        Plan *p = &tried[n];
        double was, is;
        if (!variant(e, &f->best, k, &next)) continue;
        e->schedule = next;
        ok = exec_build(e, p, 0, NULL);
        if (!ok || same_program(e, p->p, best->p)) continue;
        n++;
        ok = compare(e, best, p, c, &was, &is);
        if (!f->plain) f->plain = f->ms = was * 1e3;
        f->tried++;
        if (ok && was < LEAST) break;
        if (!ok || is >= (1 - NOISE) * was) continue;
        f->ms = is * 1e3;
        f->best = next;
        best = p;
    }
    if (ok && best != &e->plan[0]) { /* once more, against where it began */
        double was, is;
        ok = compare(e, &e->plan[0], best, c, &was, &is);
        f->plain = was * 1e3;
        f->ms = is * 1e3;
        if (is >= (1 - NOISE) * was) {
            best = &e->plan[0];
            f->best = (Schedule){.V = 0};
            f->ms = f->plain;
        }
    }
    if (!ok) best = &e->plan[0];
    for (uint32_t k = 0; k < n; k++)
        if (&tried[k] != best) drop(&tried[k]);
    take(e, best);
    return ok;
}

/* ---- the pass ------------------------------------------------------------------------------------------------------------------- */

/* A call that is given memory for its states may be given the same for those before and after: then it can be made once only. A program
   in segments, or one of another engine than the JIT, stays as it is. */
static bool tunable(const Exec *e) {
    if (e->opt.engine != EXEC_JIT || e->now != &e->plan[0] || e->nplan > 1 || e->opt.memory_limit || e->watch) return false;
    for (uint32_t k = 1; k < e->m->naxis; k++)
        if (e->m->axis[k].kind == AXIS_ELEM) return false;
    for (uint32_t i = 0; i < e->m->input.n; i++)
        if (e->m->input.at[i].kind == INPUT_STATE && e->input[i].bound) return false;
    return true;
}

bool exec_tune(Exec *e, const Call *c) {
    Arena a = arena_make(e->ctx);
    ExecStats stats = e->stats;
    uint64_t key[2];
    Found f;
    bool ok = true;
    e->tuned = true;
    if (!tunable(e)) {
        arena_free(&a);
        return true;
    }
    key_of(e, &a, key);
    const char *note = cache_note(&a, e->opt.cache_dir, key);
    if (note && parse_note(note, &f)) {
        e->schedule = f.best;
        if (f.best.place || f.best.V || f.best.panel || f.best.share) {
            Plan k;
            ok = exec_build(e, &k, 0, NULL);
            if (ok) take(e, &k);
        }
    } else {
        ok = search(e, c, &f);
        e->schedule = f.best;
        if (ok) put_note(e, &a, key, &f);
    }
    if (ok) e->tuning = in_words(e, &f);
    arena_free(&a);
    e->packed = false;
    if (!exec_use(e, &e->plan[0])) return false;
    stats.slab_bytes = e->stats.slab_bytes;
    stats.pack_bytes = e->stats.pack_bytes;
    stats.llvm_instructions = engine_stats(e->now->engine).llvm_instructions;
    stats.llvm_instructions_shared = engine_stats(e->now->engine).llvm_instructions_shared;
    e->stats = stats;
    return ok;
}

const char *exec_tuning(Exec *e) {
    if (e->tuned || !e->nplan) return e->tuning;
    Arena a = arena_make(e->ctx);
    uint64_t key[2];
    Found f;
    key_of(e, &a, key);
    const char *note = cache_note(&a, e->opt.cache_dir, key), *words = note && parse_note(note, &f) ? in_words(e, &f) : NULL;
    arena_free(&a);
    return words;
}
