/* Private to exec.c and exec_tune.c: what an Exec is made of. */
#ifndef RONDO_EXEC_INT_H
#define RONDO_EXEC_INT_H

#include <stdatomic.h>

#include "runtime/internal.h"

/* What of a plan may be chosen without changing a bit; all 0: as the compiler would have it. */
typedef struct {
    Place place;
    int V, panel; /* lanes; columns of a packed matrix's panels */
    bool share;   /* threads share the columns of products */
} Schedule;

typedef struct {
    Border border;
    El el;
    size_t offset; /* in the block of arrays */
    void *own, *bound;
    bool used; /* an input that the graph reads */
} Slot;

/* A loop program for the module: plain, or with axes cut into segments. */
typedef struct {
    LProgram *p;
    Engine *engine; /* made when the plan is first chosen, if there is a choice */
    uint32_t segments; /* axes that are cut */
    int64_t run, prepare; /* entries; -1: none */
    void **buf;
    uint32_t *caller, ncaller; /* buffers that each call binds, LB_EXAMPLE and before */
    int64_t *slab_at, *pack_at; /* offsets of the slots */
    const char *notes; /* what the lowering said */
    uint64_t key[2]; /* of its code */
    bool has_key;
} Plan;
enum { PLANS = 3 };

struct Exec {
    Ctx *ctx;
    Arena arena;
    ExecOptions opt;
    bool f64;
    Module *m;
    Plan plan[PLANS];
    uint32_t nplan; /* 0: EXEC_EVAL */
    Plan *now; /* NULL: EXEC_EVAL */
    Schedule schedule; /* of the plans that are made */
    bool tuned; /* or found not to be tunable */
    const char *tuning; /* what came of it, in words; NULL: nothing */
    Pool *pool;
    bool own_pool;
    bool dims_set, packed;
    uint64_t theta_version;
    int64_t dim[LDIM_COUNT];
    Slot *input, *root; /* by Module.input, by root of graph[0] */
    int32_t *example;
    int64_t example_cap;
    Block packs, arrays;
    ExecMemory own, *memory;
    char *slab; /* that the buffers are bound to */
    ExecStats stats;
    /* EXEC_EVAL */
    Arena eval_arena;
    double *theta64;
    const double **param, **in, **out;
    int64_t *example64;
    /* one call */
    int64_t call_fn;
    atomic_bool call_failed;
    void (*watch)(void *arg); /* in place of the barrier; NULL: nobody watches */
    void *watch_arg;
};

/* One call of the present plan. */
typedef struct {
    const void *theta;
    uint64_t version;
    void *grad;
    uint64_t seed, update;
} Call;

EngineOptions exec_engine_options(const ExecOptions *o);
bool exec_build(Exec *e, Plan *k, uint32_t segments, Str *explain); /* lowers the module for e->schedule */
bool exec_use(Exec *e, Plan *k); /* makes it the present plan: code and memory for the present dims */
bool exec_call(Exec *e, const Call *c);
void exec_bind_call(Exec *e, const void *theta, void *grad, uint64_t seed, uint64_t update);
double exec_slot_get(const Slot *s, int64_t i);

/* exec_kept.c: what passes and lowering made of a module, in the cache. The key is made of all that they depend on, before any of
   them runs. */
bool kept_suits(const Exec *e); /* whether anything may be kept: nobody watches the passes, and there is a cache */
void kept_key(Exec *e, const Module *m, uint64_t key[2]);
bool kept_get(Exec *e, const uint64_t key[2]); /* sets e->m and the program of e->plan[0] */
void kept_put(Exec *e, const uint64_t key[2]); /* both set the plan's key, of its code */

/* exec_tune.c: on the call's own data, once; e->plan[0] becomes the fastest. */
bool exec_tune(Exec *e, const Call *c);

#endif
