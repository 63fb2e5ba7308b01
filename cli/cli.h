/* cli: the rondo command. One file a subcommand; cli/main.c has the table of commands, cli/options.def that of options.
   A command returns an exit code; what went wrong is in the context's diagnostics, which main renders on standard error. */
#ifndef RONDO_CLI_H
#define RONDO_CLI_H

#include "runtime/runtime.h"

typedef enum { CLI_OK = 0, CLI_INPUT = 1, CLI_USAGE = 2, CLI_INTERNAL = 3 } CliExit;

typedef enum {
#define OPT(ID, name, letter, arg, help) OPT_##ID,
#include "cli/options.def"
#undef OPT
    OPT_COUNT
} Opt;

typedef struct {
    Opt opt;
    const char *value;
} OptUse;

typedef struct Command Command;
typedef struct Cli {
    Ctx *ctx;
    const Command *command;
    VEC(OptUse) use; /* in the order given */
    char **arg; /* what is left after the options */
    int narg;
    char usage[200]; /* why the command line is wrong */
    Str trace, times; /* what the passes wrote; printed on standard error at the end */
} Cli;

struct Command {
    const char *name, *args, *summary;
    CliExit (*run)(Cli *c);
    int min_args, max_args;
    const Opt *options; /* those it takes; OPT_HELP ends them */
};

/* The last value given, or NULL. Flags have the value "". */
const char *cli_get(const Cli *c, Opt o);
bool cli_has(const Cli *c, Opt o);
const char *cli_option_name(Opt o); /* without the dashes */
/* The i-th value of a repeatable option; NULL past the end. */
const char *cli_nth(const Cli *c, Opt o, uint32_t i);
/* These set c->usage and return false when the value is wrong; without the option *out stays. */
bool cli_number(Cli *c, Opt o, double min, double max, double *out);
bool cli_int(Cli *c, Opt o, int64_t min, int64_t max, int64_t *out);
bool cli_bytes(Cli *c, Opt o, size_t *out);
/* word: NULL-terminated; *out is the index. */
bool cli_choice(Cli *c, Opt o, const char *const *word, int *out);
CliExit cli_usage(Cli *c, const char *fmt, ...) PORT_PRINTF(2, 3);
/* The exit code the diagnostics ask for: CLI_OK without errors. */
CliExit cli_status(const Cli *c);
/* Text to a file (NULL or "-": standard output). False with a diagnostic. */
bool cli_write(Cli *c, const char *path, const char *text, size_t n);
double cli_now(void); /* seconds, monotonic */

/* The model named by `path` with what the options say. NULL: *rc is the exit code. Close it with model_close. */
Model *cli_model(Cli *c, const char *path, CliExit *rc);
bool cli_model_options(Cli *c, ModelOptions *o);
/* --weights into the model, else the initial values of the seed. */
bool cli_weights(Cli *c, Model *m, bool needed, CliExit *rc);
/* A status of rondo.h: its message as a diagnostic when the context has none, and the exit code. */
CliExit cli_result(Cli *c, Model *m, rondo_status s);
/* Example `example` of the data (NULL: of the model's data block); -1: the first that tests. */
bool cli_example(Cli *c, Model *m, const char *data, int64_t example, Arrays *in);
/* Example b of the arrays step by step, as text: states before the first step; input, states and outputs of each. */
CliExit cli_trace(Cli *c, Model *m, const Arrays *in, int64_t b);
/* The class of the first target that row k of an output of n scores (one a class; n = 1: the probability of class 1, or a class) speaks for;
   step: it is one for each step. -1: it is none of that. */
double cli_class(const Model *m, const Array *x, int64_t k, int64_t n, bool step);
/* What the data call class v of the first target: a name, a token of the text, or its number. */
const char *cli_class_name(Model *m, Arena *a, double v);
/* The name of a number that each target column of a series has one of: rmse[sales] where there are several. */
const char *cli_of_column(Ctx *ctx, const ModelDesc *d, const char *what, uint32_t c);
/* The right class of step t of an example; -1: the data do not say it. */
double cli_truth(const OutputRow *r, int64_t t);
int64_t cli_features(const PortDesc *p); /* numbers of one example, or one step */
/* How many numbers an output has, or each step of it, where the first target has as many of the same kind; 0: it has not. */
int64_t cli_numbers(const Model *m, uint32_t output);
/* The right one for number k of an example, those of a step after those of the step before; NaN: the data do not say it. */
double cli_true_number(const OutputRow *r, int64_t k);

/* Fused multiply-adds in registers, in flop/s: the best of many bursts on one core. 0 with a diagnostic. */
/* The stages of a call of e, whose dims and inputs are set, to s; false with a diagnostic. peak as of fma_peak. */
bool put_profile(Ctx *ctx, Str *s, Exec *e, const void *theta, void *grad, double peak, double seconds, bool json);
double fma_peak(Ctx *ctx, bool f64, double seconds);

void put_word(Str *s, const char *text); /* of a command line: quoted where a shell asks for it */
/* A JSON text: "..." with escapes. */
void put_json_string(Str *s, const char *text);
void put_json_number(Str *s, double v); /* null when not finite */

/* Metrics, whose numbers stand at v: one, one for each column, or rows of these. */
uint32_t metric_numbers(const MetricDesc *d);
void put_json_metric(Str *s, const MetricDesc *d, const double *v);
/* Lines of text. sd: deviations of a single row's numbers; name: of columns and rows, where there are as many. Both may be NULL. */
void put_metric_table(Str *s, Arena *a, const char *title, const MetricDesc *d, const double *v, const double *sd, const char *const *name,
                      int names);

CliExit cmd_new(Cli *c);
CliExit cmd_list(Cli *c);
CliExit cmd_doc(Cli *c);
CliExit cmd_check(Cli *c);
CliExit cmd_fmt(Cli *c);
CliExit cmd_train(Cli *c);
CliExit cmd_tune(Cli *c);
CliExit cmd_eval(Cli *c);
CliExit cmd_plot(Cli *c);
CliExit cmd_predict(Cli *c);
CliExit cmd_generate(Cli *c);
CliExit cmd_run(Cli *c);
CliExit cmd_gradcheck(Cli *c);
CliExit cmd_emit(Cli *c);
CliExit cmd_import(Cli *c);
CliExit cmd_ir(Cli *c);
CliExit cmd_opt(Cli *c);
CliExit cmd_explain(Cli *c);
CliExit cmd_bench(Cli *c);

#endif
