/* train: what the commands that train share: one training after the options, the lines that watch it, many of them side by side. */
#ifndef RONDO_CLI_TRAIN_H
#define RONDO_CLI_TRAIN_H

#include "cli/cli.h"

#include <stdio.h>

/* ---- watching ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    Cli *cli;
    bool terminal, quiet;
    FILE *log;
    bool jsonl, wrote_header, old_rows; /* old_rows: of the run that this one goes on with */
    double next_draw;         /* seconds since training began */
    int width;                /* columns of the line on the terminal */
    double first_done;        /* epochs that were done when this run began; -1: not known yet */
    double valid, metric[32]; /* of the last complete epoch */
    const char *metric_name[32];
    size_t nmetric;
    void (*tell)(void *arg, double done); /* NULL: nobody else wants to know how far it is, from 0 to 1 */
    void *tell_arg;
} Progress;
int progress_line(void *arg, const rondo_progress *p); /* for rondo_train_options; nonzero after a signal */
void progress_note(void *arg, const char *line);       /* for model_set_log */
void progress_end(Progress *g);                        /* the line on the terminal is left */
bool progress_log(Progress *g, const char *path);      /* --log; false with usage set, or a diagnostic */
int draw_over(const char *line, int width);            /* on the terminal, over the `width` columns drawn before; how many it has now */
void put_duration(char *out, size_t n, double seconds);

/* The first Ctrl-C asks to stop, the second ends the process. */
void signals_catch(void);
void signals_leave(void);
int signal_caught(void); /* 0: none */

/* ---- one training ------------------------------------------------------------------------------------------------------- */

enum { OUTCOME_METRICS = 229, OUTCOME_SAID = 1840, OUTCOME_COLUMNS = 8 };
/* Plain memory: it goes from process to process. */
typedef struct {
    CliExit rc;
    bool stopped;
    int epochs;
    int64_t updates, examples; /* examples of the part that `test_loss` and `metric` are of; 0: neither is known */
    double seconds, loss, valid_loss, test_loss, metric[OUTCOME_METRICS];
    uint32_t nmetric; /* numbers in metric, those of a table row by row; tables that do not fit end the list */
    struct {
        double rmse, persistence, autoregression; /* NaN: none */
    } column[OUTCOME_COLUMNS];                    /* of a series' forecasts of each target column, in its units */
    uint32_t columns;                             /* 0: outputs are no forecasts; those that do not fit are eval's */
    int64_t order;                                /* of the autoregression: numbers it sees */
    double majority;                          /* share of the most frequent class; NaN: none */
    double mean;                              /* error of always the mean of training; NaN: none */
    double entropy;                           /* loss of the tokens' shares in training; NaN: none */
    double best, sign;                        /* of what is watched; 1: less is better, -1: more */
    bool diverged;
    bool tested;             /* the part is the test part; else it validates */
    char said[OUTCOME_SAID]; /* what went wrong, as it is printed */
    int classes;             /* of the target, whose names stand in said, each with its 0, where nothing went wrong */
} Outcome;

typedef struct {
    const char *weights; /* where they go; NULL: to a file of the model's name, which is then put here */
    const char *log, *checkpoint, *resume;
    bool save;          /* the weights, that is */
    int64_t stop_after; /* epochs; 0: all */
    bool must_validate; /* else it is an error */
    bool summary;       /* evaluate what tests, and baselines beside it */
    Progress *progress;
} TrainTask;
/* Opens the model by the options of c, trains and saves. The model stays open in *m for who wants to know more; close it. */
CliExit train_task(Cli *c, TrainTask *t, Model **m, Outcome *out);
bool can_write(Cli *c, const char *path); /* a look before the work; false with a diagnostic */
/* Evaluates what tests, else what validates, and what needs no learning on the same examples. */
bool outcome_test(Cli *c, Model *m, const TrainData *d, const char *data, Outcome *out);
const char *const *class_names(Arena *a, const Outcome *r);               /* [r->classes] */
void print_outcome(Cli *c, Model *m, const Outcome *r, const char *path); /* on standard output, with what to type next */

/* ---- many --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name;       /* "seed 3" */
    const char *const *set; /* what is set for it, behind what the command line sets */
    uint32_t nset;
    const char *seed;                                /* as --seed; NULL: what the command line says */
    const char *weights, *log, *checkpoint, *resume; /* NULL: none */
    int64_t stop_after;                              /* epochs; 0: all */
    bool search; /* compared by what validates: that has to be there, and what tests is left alone */
} Job;
/* Each as a process of its own, `at_once` at a time (0: as many as there are cores, divided by --threads). done is called in the order
   in which they end, and says whether to go on; out[i] is job i's. False when stopped by a signal. */
bool jobs_run(Cli *c, const Job *job, uint32_t n, int64_t at_once, bool (*done)(void *arg, uint32_t i, const Outcome *o),
              void *arg, Outcome *out);
void take_seed(Cli *c);                                                  /* --seed is the train block's seed too */
const char *numbered_path(Arena *a, const char *path, const char *what); /* w.safetensors: w.WHAT.safetensors */

CliExit train_many(Cli *c, int64_t seeds, int64_t folds);

#endif
