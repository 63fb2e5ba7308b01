/* pool: worker threads that wait between calls, and the barrier that kernels use. A thread spins briefly, then sleeps on a
   condition variable: a pool with more threads than cores must not burn them. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "runtime/internal.h"

enum {
    SPIN = 40000, /* loads; some tens of microseconds, what it costs to sleep and be woken */
    TRIES = 2, /* waits in vain, one after the other, after which a thread sleeps at once .. */
    NAPS = 64, /* .. so many times, before it tries again: others have the cores, perhaps the one it waits for too */
};

/* A number that only grows, and those who wait for it to change. `sleepers` is raised under the lock before the last look at
   `value`; who changes `value` looks at `sleepers` afterwards: one of the two sees the other. */
typedef struct {
    atomic_uint value;
    atomic_uint sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} Event;

/* Whether spinning has been worth it, for one thread. */
typedef struct {
    int most, vain, naps;
} Patience;

typedef struct Worker {
    Pool *pool;
    int tid;
    Patience patience;
    pthread_t thread;
} Worker;

struct Pool {
    Ctx *ctx;
    pid_t owner; /* the process that has the threads: none of them goes along with a fork */
    int n, started;
    Worker *worker;
    Event work; /* generation of calls */
    Event phase; /* generation of the barrier */
    Event done;
    atomic_int arrived, finished;
    atomic_bool stop;
    void (*fn)(void *arg, const KEnv *env);
    void *arg;
};

static void event_init(Event *e) {
    atomic_init(&e->value, 0);
    atomic_init(&e->sleepers, 0);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
}

static void event_free(Event *e) {
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
}

static void event_raise(Event *e) {
    atomic_fetch_add(&e->value, 1);
    if (!atomic_load(&e->sleepers)) return;
    pthread_mutex_lock(&e->lock);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

static bool event_spin(Event *e, unsigned seen, Patience *p) {
    if (p->naps > 0) {
        p->naps--;
        return atomic_load_explicit(&e->value, memory_order_acquire) != seen;
    }
    for (int k = 0; k < p->most; k++)
        if (atomic_load_explicit(&e->value, memory_order_acquire) != seen) {
            p->vain = 0;
            return true;
        }
    if (++p->vain >= TRIES) p->naps = NAPS;
    return false;
}

static void event_wait(Event *e, unsigned seen, Patience *patience) {
    if (event_spin(e, seen, patience)) return;
    pthread_mutex_lock(&e->lock);
    atomic_fetch_add(&e->sleepers, 1);
    while (atomic_load(&e->value) == seen) pthread_cond_wait(&e->changed, &e->lock);
    atomic_fetch_sub(&e->sleepers, 1);
    pthread_mutex_unlock(&e->lock);
}

static void pool_barrier(void *arg) {
    Worker *w = arg;
    Pool *p = w->pool;
    if (p->n == 1) return;
    unsigned seen = atomic_load(&p->phase.value);
    if (atomic_fetch_add(&p->arrived, 1) == p->n - 1) {
        atomic_store(&p->arrived, 0);
        event_raise(&p->phase);
    } else event_wait(&p->phase, seen, &w->patience);
}

static void call(Pool *p, int tid) {
    KEnv env = {tid, p->n, pool_barrier, &p->worker[tid]};
    p->fn(p->arg, &env);
}

static void *worker_main(void *arg) {
    Worker *w = arg;
    Pool *p = w->pool;
    for (unsigned seen = 0;; seen++) {
        event_wait(&p->work, seen, &w->patience);
        if (atomic_load(&p->stop)) return NULL;
        call(p, w->tid);
        if (atomic_fetch_add(&p->finished, 1) == p->n - 2) event_raise(&p->done);
    }
}

static bool start(Pool *p) {
    p->owner = getpid();
    p->started = 0;
    event_init(&p->work);
    event_init(&p->phase);
    event_init(&p->done);
    atomic_init(&p->arrived, 0);
    for (int k = 1; k < p->n; k++) {
        if (pthread_create(&p->worker[k].thread, NULL, worker_main, &p->worker[k])) {
            diag_error(p->ctx, 553, (Span){0, 0}, "the system refused to start thread %d of %d", k + 1, p->n);
            return false;
        }
        p->started++;
    }
    return true;
}

/* Without a wait for those who are not there. */
static void stop(Pool *p) {
    if (p->owner != getpid()) return;
    atomic_store(&p->stop, true);
    event_raise(&p->work);
    for (int k = 1; k <= p->started; k++) pthread_join(p->worker[k].thread, NULL);
    event_free(&p->work);
    event_free(&p->phase);
    event_free(&p->done);
    p->owner = 0;
}

Pool *pool_make(Ctx *ctx, int threads) {
    if (threads < 1 || threads > 1024) {
        diag_error(ctx, 553, (Span){0, 0}, "%d threads cannot be used; 1 to 1024 can", threads);
        return NULL;
    }
    Pool *p = ctx_alloc(ctx, sizeof *p + sizeof(Worker) * (size_t)threads); /* the workers stand behind it */
    p->ctx = ctx;
    p->n = threads;
    int spin = sysconf(_SC_NPROCESSORS_ONLN) >= threads ? SPIN : SPIN / 40;
    p->worker = (Worker *)(p + 1);
    for (int k = 0; k < threads; k++) p->worker[k] = (Worker){.pool = p, .tid = k, .patience = {.most = spin}};
    if (start(p)) return p;
    pool_destroy(p);
    return NULL;
}

void pool_destroy(Pool *p) {
    if (!p) return;
    stop(p);
    ctx_free(p->ctx, p);
}

int pool_threads(const Pool *p) {
    return p->n;
}

bool pool_run(Pool *p, void (*fn)(void *arg, const KEnv *env), void *arg) {
    p->fn = fn;
    p->arg = arg;
    if (p->n == 1) {
        call(p, 0);
        return true;
    }
    if (p->owner != getpid()) {
        atomic_store(&p->stop, false);
        if (!start(p)) {
            stop(p);
            return false;
        }
    }
    unsigned seen = atomic_load(&p->done.value);
    atomic_store(&p->finished, 0);
    event_raise(&p->work);
    call(p, 0);
    event_wait(&p->done, seen, &p->worker[0].patience);
    return true;
}
