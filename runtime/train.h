/* train: the state of one training, shared by the loop and the checkpoints. */
#ifndef RONDO_RUNTIME_TRAIN_H
#define RONDO_RUNTIME_TRAIN_H

#include "runtime/feed.h"

typedef enum {
    SCHEDULE_CONSTANT,
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_STEP,
    SCHEDULE_EXPONENTIAL,
    SCHEDULE_PLATEAU
} ScheduleKind;
typedef struct Schedule {
    ScheduleKind kind;
    double warmup, factor, every, total; /* epochs, but for factor: also where linear and cosine end */
    double drop, best; /* plateau */
    int64_t waited;
} Schedule;
/* Limits every entry, then the norm of the whole gradient (NaN, 0: no limit); false if the gradient is not finite. What does not train has no
   gradient. The norm is summed in double, in one order: by entries' places in their tensors mod NORM_LANES, then by halves. */
#define NORM_LANES 8
bool gradient_clip(const Optimizer *o, void *grad, double clip_norm, double clip_value);
void schedule_make(Schedule *c, Model *m);
double schedule_rate(const Schedule *c); /* of one that is exponential: e to it is an epoch's factor */
double schedule_factor(const Schedule *c, double epoch, double one); /* one: how much of an epoch an update is */
void schedule_epoch(Schedule *c, double value, double min_delta); /* value: what is watched, less is better */

typedef struct {
    int64_t metric; /* -1: the loss */
    double sign; /* -1: more is better */
} Monitor;
bool monitor_make(Monitor *w, Model *m);

typedef struct {
    Model *m;
    const Dataset *d, *valid; /* valid: NULL, or examples of their own */
    const rondo_train_options *options;
    Dataset weighted; /* d with the weights of its rows */
    Exec *exec, *own; /* own: made for this training */
    Windows windows;
    Batch present;
    bool cut, stateful; /* cut: updates are windows */
    int64_t accumulate, gathered; /* gradients of an update; of them, those that `sum` has */
    double *sum, gathered_weight; /* sum: NULL where every gradient is an update */
    Optimizer opt;
    Schedule schedule;
    Monitor monitor;
    /* settings */
    int64_t epochs, batch, patience;
    uint64_t seed;
    bool shuffle;
    double clip_norm, clip_value; /* NaN, 0: none */
    double min_delta;
    /* position */
    int64_t n, batches;
    int64_t epoch; /* complete ones */
    int64_t at; /* batches done in this epoch */
    int64_t update, waited;
    double loss_sum, loss_weight, best, last_loss, valid_loss;
    /* memory */
    int64_t *order;
    int64_t real, padded; /* steps of all batches so far: what there was, what was computed */
    int64_t steps; /* of an example, where the batches do not say */
    bool zeros; /* grad has the zeros that exec_run_again does not write */
    void *grad, *keep; /* keep: the best parameters so far; NULL: not wanted */
    int64_t examples;
    double start, saved;
    const char *kept;   /* the last checkpoint: of this run, or what it goes on from */
    int64_t kept_epoch; /* its complete epochs; -1: there is none */
    bool stopped, have_metrics;
    double *metric;
    const char **metric_name;
} Training;

/* Parameters, the optimizer's states, position, seed and settings, with a checksum, in a safetensors file; atomic. */
bool checkpoint_save(Training *t, const char *path);
bool checkpoint_load(Training *t, const char *path);

#endif
