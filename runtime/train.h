/* train: the state of one training, shared by the loop and the checkpoints. */
#ifndef RONDO_RUNTIME_TRAIN_H
#define RONDO_RUNTIME_TRAIN_H

#include "runtime/internal.h"

typedef struct {
    Model *m;
    const Dataset *d, *valid; /* valid: NULL, or examples of their own */
    const rondo_train_options *options;
    Exec *exec;
    Optimizer opt;
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
    void *grad, *keep; /* keep: the best parameters so far; NULL: not wanted */
    int64_t loss_root, examples;
    double start, saved;
    bool stopped, have_metrics;
    double *metric;
    const char **metric_name;
} Training;

/* Parameters, the optimizer's states, position, seed and settings, with a checksum, in a safetensors file; atomic. */
bool checkpoint_save(Training *t, const char *path);
bool checkpoint_load(Training *t, const char *path);

#endif
