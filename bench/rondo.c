/* Rondo itself, through rondo.h alone: sequences in memory time first, read and written where they are; results in the caller's memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/rondo_model.h"

enum { STEPS_A_CALL = 2000 };

typedef struct {
    const Problem *p;
    rondo_model *m;
    rondo_stream *s;
    rondo_array in[2], out, grad[WEIGHTS];
    int ngrad;
    double loss, ms; /* ms: reading the model, and the first call */
    float *h, *xs, *x, *y; /* xs: of steps; x, y: time first */
} Self;

static rondo_model *read_problem(const Problem *p) {
    char path[640];
    const char *set[SETS];
    for (int i = 0; i < p->nset; i++) set[i] = p->set[i];
    rondo_options o = RONDO_OPTIONS_INIT;
    o.set = set;
    o.nset = (size_t)p->nset;
    o.threads = p->threads;
    snprintf(path, sizeof path, "%s%s.rondo", p->folder, p->model);
    rondo_model *m = NULL;
    if (rondo_open(&m, path, &o) == RONDO_OK) return m;
    fprintf(stderr, "%s", rondo_message(m));
    rondo_close(m);
    return NULL;
}

rondo_model *open_problem(const Problem *p) {
    rondo_model *m = read_problem(p);
    if (m && rondo_init_weights(m, 1) == RONDO_OK) return m;
    fprintf(stderr, "%s", m ? rondo_message(m) : "");
    rondo_close(m);
    return NULL;
}

static void rondo_end(void *self) {
    Self *s = self;
    rondo_stream_close(s->s);
    rondo_close(s->m);
    for (int i = 0; i < s->ngrad; i++) {
        free(s->grad[i].data);
        free((char *)s->grad[i].name);
    }
    free(s->h);
    free(s->xs);
    free(s->x);
    free(s->y);
    free(s);
}

static bool forward(void *arg) {
    Self *s = arg;
    return rondo_predict(s->m, s->in, 1, &s->out, 1) == RONDO_OK;
}

static bool train(void *arg) {
    Self *s = arg;
    return rondo_gradient(s->m, s->in, 2, 0, &s->loss, s->grad, (size_t)s->ngrad) == RONDO_OK;
}

static bool steps(void *arg) {
    Self *s = arg;
    return rondo_stream_run(s->s, STEPS_A_CALL, s->xs, s->h) == RONDO_OK;
}

static void want_gradients(Self *s) {
    for (int i = 0; i < s->p->nweight; i++) {
        const Weight *w = &s->p->weight[i];
        char *name = malloc(sizeof w->name + 8);
        snprintf(name, sizeof w->name + 8, "param/%s", w->name);
        rondo_array *g = &s->grad[s->ngrad++];
        *g = (rondo_array){.name = name, .rank = w->rank, .data = malloc((size_t)w->n * sizeof(float))};
        memcpy(g->dim, w->dim, sizeof w->dim);
    }
}

static double gradient_norm(const Self *s) {
    double sum = 0;
    for (int i = 0; i < s->ngrad; i++)
        if (s->grad[i].rank == 2) sum += mean_square(s->grad[i].data, s->p->weight[i].n) * (double)s->p->weight[i].n;
    return sqrt(sum);
}

/* The first calls: kernels are made, results come out. */
static bool begin(Self *s, Times *t) {
    const Problem *p = s->p;
    switch (p->mode) {
    case FORWARD:
        if (!forward(s)) return false;
        t->value = mean_square(s->h, p->B * p->T * p->H);
        return true;
    case TRAIN:
    case COMPILE:
        want_gradients(s);
        if (!train(s)) return false;
        t->value = s->loss;
        t->gnorm = gradient_norm(s);
        return true;
    case STEP:
        if (rondo_stream_open(s->m, 1, &s->s) != RONDO_OK || rondo_stream_step(s->s, p->x, s->h) != RONDO_OK) return false;
        t->value = mean_square(s->h, p->H);
        return true;
    }
    return false;
}

static void *rondo_make(const Problem *p, Times *t) {
    Self *s = calloc(1, sizeof *s);
    s->p = p;
    double from = bench_now();
    s->m = read_problem(p);
    s->ms = 1e3 * (bench_now() - from);
    s->h = malloc((size_t)(p->mode == STEP ? STEPS_A_CALL : p->B * p->T) * (size_t)p->H * sizeof(float));
    if (p->mode == STEP) s->xs = malloc((size_t)STEPS_A_CALL * (size_t)p->I * sizeof(float));
    for (int64_t i = 0; s->xs && i < STEPS_A_CALL * p->I; i++) s->xs[i] = p->x[i % p->I];
    s->x = time_first(p->x, p->B, p->T, p->I);
    s->y = time_first(p->y, p->B, p->T, p->H);
    s->in[0] = (rondo_array){.name = "x", .rank = 3, .dim = {p->B, p->T, p->I}, .data = s->x, .order = RONDO_TIME_FIRST};
    s->in[1] = (rondo_array){.name = "y", .rank = 3, .dim = {p->B, p->T, p->H}, .data = s->y, .order = RONDO_TIME_FIRST};
    s->out = (rondo_array){.name = "h", .rank = 3, .dim = {p->B, p->T, p->H}, .data = s->h, .order = RONDO_TIME_FIRST};
    bool ok = s->m && rondo_init_weights(s->m, 1) == RONDO_OK;
    for (int i = 0; ok && i < p->nweight; i++)
        ok = rondo_set_weight(s->m, p->weight[i].name, p->weight[i].at, (size_t)p->weight[i].n) == RONDO_OK;
    from = bench_now();
    ok = ok && begin(s, t);
    s->ms += 1e3 * (bench_now() - from);
    if (ok) {
        snprintf(t->note, sizeof t->note, p->mode == STEP ? "rondo_stream_run, %d steps a call" : "rondo.h, time first", STEPS_A_CALL);
        return s;
    }
    snprintf(t->note, sizeof t->note, "%s", s->m ? rondo_message(s->m) : "the model does not open");
    rondo_end(s);
    return NULL;
}

/* From a file to its first loss and gradients, without drawing weights: milliseconds, or less than 0. The kernels are those of any
   number of steps; the call that makes them has two, so that their making is what takes the time. */
double first_gradients(const Problem *p) {
    Problem q = *p;
    Times t = {.n = 0};
    q.T = 2;
    Self *s = rondo_make(&q, &t);
    double ms = s ? s->ms : -1;
    if (s) rondo_end(s);
    return ms;
}

/* The same in a new process, which has nothing of this one's memory. */
static double new_process(const Problem *p) {
    int end[2];
    double ms = -1;
    char threads[16], said[64] = "";
    snprintf(threads, sizeof threads, "%d", p->threads);
    if (pipe(end)) return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(end[1], 1);
        execl("/proc/self/exe", "bench", "--first", "--threads", threads, p->folder, p->name, (char *)NULL);
        _exit(127);
    }
    close(end[1]);
    if (child < 0 || read(end[0], said, sizeof said - 1) <= 0 || sscanf(said, "%lf", &ms) != 1) ms = -1;
    close(end[0]);
    if (child > 0) waitpid(child, NULL, 0);
    return ms;
}

typedef struct {
    const Problem *p;
    bool cached;
    char folder[64];
} Compile;

static void empty(const Compile *c) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", c->folder);
    if (system(command)) fprintf(stderr, "cannot empty %s\n", c->folder);
}

static void *compile_make(const Problem *p, Times *t) {
    Compile *c = calloc(1, sizeof *c);
    c->p = p;
    snprintf(c->folder, sizeof c->folder, "/tmp/rondo-bench-XXXXXX");
    if (!mkdtemp(c->folder)) snprintf(t->note, sizeof t->note, "no folder for an object cache");
    snprintf(t->note, sizeof t->note, "file to gradients of two steps in a new process, object cache empty");
    return c;
}

static bool compile_run(void *self, double seconds, Times *t) {
    Compile *c = self;
    double end = bench_now() + seconds;
    setenv("XDG_CACHE_HOME", c->folder, 1);
    do {
        if (!c->cached) empty(c);
        double ms = new_process(c->p);
        if (ms < 0 || t->n == TIMES) return false;
        t->ms[t->n++] = ms;
    } while (bench_now() < end);
    unsetenv("XDG_CACHE_HOME");
    return true;
}

static void compile_end(void *self) {
    empty(self);
    free(self);
}

static void *cached_make(const Problem *p, Times *t) {
    Compile *c = compile_make(p, t);
    setenv("XDG_CACHE_HOME", c->folder, 1);
    c->cached = new_process(p) >= 0;
    unsetenv("XDG_CACHE_HOME");
    snprintf(t->note, sizeof t->note, "file to gradients of two steps in a new process, from the object cache");
    return c;
}

static bool rondo_run(void *self, double seconds, Times *t) {
    Self *s = self;
    bool step = s->p->mode == STEP;
    return bench_time(step ? steps : s->p->mode == FORWARD ? forward : train, s, step ? STEPS_A_CALL : 1, seconds, t);
}

const Contestant rondo_contestant = {"rondo", rondo_make, rondo_run, rondo_end};
const Contestant rondo_compiler = {"rondo", compile_make, compile_run, compile_end};
const Contestant rondo_cached = {"rondo-cached", cached_make, compile_run, compile_end};
