/* bench: the workloads of workloads.txt, and who is measured on them. A contestant gets the same weights and the same data as
   the others and answers with times; main.c lets all of them take turns on the same cores. */
#ifndef RONDO_BENCH_H
#define RONDO_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { FORWARD, TRAIN, STEP, COMPILE } Mode;

/* A weight of the Rondo model; rivals put theirs together from these. */
typedef struct {
    char name[64]; /* "h.Wi" */
    int rank;
    int64_t dim[2], n;
    float *at;
} Weight;

enum { WEIGHTS = 32, SETS = 4 };
typedef struct {
    char name[64], model[64]; /* "lstm-fwd-b1-h64", "lstm" (a file of bench/) */
    Mode mode;
    int64_t B, T, I, H, layers;
    char set[SETS][32]; /* "H=64" */
    int nset;
    char folder[512]; /* bench/, with a '/' */
    int threads;
    Weight weight[WEIGHTS];
    int nweight;
    float *x, *y; /* [B, T, I] and [B, T, H]; normal, times 0.5 */
    double flops; /* of the products of one call; elementwise work is not counted */
} Problem;

/* Times of calls in milliseconds, and what came out, to be the same for all: value is the mean of h^2 (forward, step) or the loss;
   gnorm the norm of the gradients of all matrices. */
enum { TIMES = 4000 };
typedef struct {
    double ms[TIMES];
    int n;
    double value, gnorm; /* NaN: not known */
    char note[256];
} Times;

typedef struct Contestant {
    const char *name;
    /* NULL where it does not take part; then t->note says why, "" if it never does this kind of work. */
    void *(*make)(const Problem *p, Times *t);
    bool (*run)(void *self, double seconds, Times *t); /* calls for that long, at least one; false: broken */
    void (*end)(void *self);
} Contestant;

extern const Contestant rondo_contestant, naive_contestant, onednn_contestant, openblas_contestant;
/* Python rivals: processes that wait while it is not their turn; bench/peers.py. */
extern const char *const python_peer[]; /* NULL ends it */
void *python_make(const char *peer, const Problem *p, Times *t);
bool python_run(void *self, double seconds, Times *t);
void python_end(void *self);

double first_gradients(const Problem *p);
double bench_now(void);
/* Calls fn(arg), which does `calls` calls, until the time is up; adds the time of one to t. */
bool bench_time(bool (*fn)(void *arg), void *arg, double calls, double seconds, Times *t);
double mean_square(const float *v, int64_t n);
/* The weights under the given names, one below the other, as one array: rows of all, columns of the first. NULL: one is missing. */
float *stack_weights(const Problem *p, const char *const *name, int n);
void print_bandwidth(void);
float *time_first(const float *a, int64_t B, int64_t T, int64_t F); /* a copy, [T, B, F] */

#endif
