/* runtime: models, weights, data, execution, training. rondo.h is the public face; this is the contract for cli/ and tests.

   A Model is a rondo_model: every rondo_x function works on it as well (cli/ may mix both). What follows differs in that it
   reports through the Ctx (diagnostics with codes 500-699) and in what can be chosen. Unless said otherwise functions return
   false (or NULL) with a diagnostic, and may unwind to the caller's CTX_TRY when memory runs out. */
#ifndef RONDO_RUNTIME_H
#define RONDO_RUNTIME_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "ir/graph.h"
#include "ir/loop.h"
#include "passes/lower.h"
#include "passes/passes.h"
#include "runtime/rondo.h"

typedef rondo_model Model;
typedef rondo_array Array; /* batch first, row-major; in the memory of a caller of rondo.h time may come first */
typedef struct {
    VEC(Array) array;
} Arrays;

/* ---- arrays ------------------------------------------------------------------------------------------------------------ */

Array *arrays_find(const Arrays *s, const char *name); /* NULL if absent */
Array *arrays_add(Arena *a, Arrays *s, const char *name, rondo_type type, int rank, const int64_t *dim); /* zeroed; NULL on overflow */
int64_t array_count(const Array *a); /* elements; -1 on overflow or a negative dim */
double array_get(const Array *a, int64_t i); /* element i as a double */
void array_set(Array *a, int64_t i, double v);
size_t rondo_type_size(rondo_type t);
const char *rondo_type_name(rondo_type t); /* "f32", .. */
/* max |a - b| / max |b| (max |a - b| where b is all 0; infinite where shapes differ or one has a NaN that the other has not).
   mask: NULL, or one byte an element: 0 = not compared. */
double array_difference(const Array *a, const Array *b, const uint8_t *mask);

/* ---- files ------------------------------------------------------------------------------------------------------------- */

/* .npz (and a bare .npy, whose array is called ""): names without ".npy". */
bool npz_read(Ctx *ctx, Arena *a, const char *path, Arrays *out);
bool npz_write(Ctx *ctx, const char *path, const Arrays *s);
bool npy_parse(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, Array *out); /* data is not copied if usable */

typedef struct {
    Arrays tensor; /* in file order */
    VEC(const char *) meta; /* pairs: key, value */
} Safetensors;
bool safetensors_read(Ctx *ctx, Arena *a, const char *path, Safetensors *out);
bool safetensors_parse(Ctx *ctx, Arena *a, const char *what, const char *data, size_t n, Safetensors *out);
bool safetensors_write(Ctx *ctx, const char *path, const Safetensors *s);

/* CSV as RFC 4180 has it; a first row without any number is a header. Numbers in the C locale. Other separators than the comma
   are possible; with a tab (TSV) there are no quotes, and a blank stands for any number of blanks and tabs. Lines of # before the
   table are remarks, but for the last one where it has as many cells as the table: that is its header. */
typedef struct {
    char separator, decimal; /* decimal: '.' or ',' */
} CsvForm;
typedef struct {
    const char *path;
    char decimal;
    uint32_t nrow, ncol;
    const char **header; /* [ncol]; NULL if the file has none */
    const char **cell; /* [nrow, ncol] */
    uint32_t *line; /* [nrow] line of the file, from 1 */
} Csv;
bool csv_read(Ctx *ctx, Arena *a, const char *path, CsvForm form, Csv *out);
bool csv_parse(Ctx *ctx, Arena *a, const char *path, const char *text, size_t n, CsvForm form, Csv *out);
int64_t csv_column(Ctx *ctx, const Csv *c, const char *name, Span at); /* by header, or "0", "1", ..; -1 with a diagnostic at `at` */
bool csv_numbers(Ctx *ctx, Arena *a, const Csv *c, uint32_t column, double **out); /* [nrow]; an error names file, line, column */
/* The same, with gaps (cell_gap) filled in: along a line between their neighbours, or by the value before;
   at an end by the nearest value. *filled: how many. */
typedef enum { GAPS_REFUSE, GAPS_INTERPOLATE, GAPS_PREVIOUS } CsvGaps;
bool csv_series(Ctx *ctx, Arena *a, const Csv *c, uint32_t column, CsvGaps gaps, double **out, int64_t *filled);
double decimal_number(const char *s, char **end); /* as parse_double; but 0x1F is none: in data that is a name */
bool csv_value(const Csv *c, const char *cell, double *v); /* a whole cell, with blanks around it allowed; finite */
bool cell_gap(const char *s); /* one of the usual words for a missing value */

/* ---- threads ----------------------------------------------------------------------------------------------------------- */

/* Workers that wait between calls; the caller is thread 0. */
typedef struct Pool Pool;
Pool *pool_make(Ctx *ctx, int threads); /* NULL with a diagnostic */
void pool_destroy(Pool *p);
int pool_threads(const Pool *p);
/* fn on every thread; returns when all have. A process that was forked starts threads of its own; false with a diagnostic: it cannot. */
bool pool_run(Pool *p, void (*fn)(void *arg, const KEnv *env), void *arg);

/* ---- models ------------------------------------------------------------------------------------------------------------ */

typedef enum { EXEC_JIT, EXEC_C, EXEC_LOOPS, EXEC_EVAL } ExecEngine; /* as rondo_engine */

typedef struct {
    ExecEngine engine; /* EXEC_EVAL is always f64 */
    bool f64;
    MathTier math;
    Place place;
    int V; /* 0: the host's widest */
    int registers; /* 0: the host's */
    int threads; /* 0: 1 */
    int64_t batch, steps; /* what the schedule is costed for; 0: unknown. No bit depends on it */
    bool one_row; /* B is 1 in every call */
    bool no_reuse, shadow, debug_symbols;
    const char *cc, *cache_dir; /* see EngineOptions */
    const PassOptions *passes; /* watching and disabling; NULL: every pass, nothing printed. What it asks of autodiff and jvp is not read */
    size_t memory_limit; /* bytes; 0: 16 GiB. Past one that is given, work is done in segments, with recomputation */
    bool autotune; /* of the JIT, at its first call: the fastest of some schedules that have the same bits (exec_tune.c) */
    bool whole_process; /* the limit is for all that the process has in memory, as far as it can be known when dims are set */
    struct ExecMemory *memory; /* shared with other Execs that never run at the same time; NULL: its own */
    Pool *pool; /* shared workers; NULL: `threads` of its own */
    bool grad; /* autodiff, as in PassOptions */
    const bool *want_input; /* by Module.input; may be NULL */
    GradientMode gradient; /* as in PassOptions */
    InfluenceUse influence;
    bool jvp;
    const bool *tangent_param, *tangent_input;
} ExecOptions;

typedef struct {
    const char *model; /* NULL: the only one, or the last */
    const char *const *set; /* "key=value" */
    size_t nset;
    const char *std_dir; /* NULL: std_folder() */
    bool unroll; /* --unroll: needs a fixed T, see frontend.h */
    ExecOptions exec;
} ModelOptions;

/* Where the standard library is: $RONDO_STD, else found from the executable's or library's place, else where it was to be installed. */
const char *std_folder(Arena *a);
Model *model_open(Ctx *ctx, const char *path, const ModelOptions *o); /* the Ctx must outlive it */
Model *model_open_text(Ctx *ctx, const char *name, const char *text, size_t n, const ModelOptions *o);
void model_close(Model *m);
Ctx *model_ctx(Model *m);
ExecOptions *model_exec_options(Model *m); /* may be changed before the first use of each kind of Exec */

/* The modules that the front end builds, before passes; made once, owned by the model. NULL with diagnostics. */
typedef enum {
    MODULE_PREDICT, /* training = false: roots OUTPUT and FINAL */
    MODULE_FORWARD, /* training = false: OUTPUT, FINAL, LOSS, METRIC */
    MODULE_TRAIN, /* training = true: LOSS; ready for autodiff */
    MODULE_STEP, /* training = false, every state from outside: OUTPUT and FINAL (streams) */
    MODULE_START, /* every state from outside: INIT, the states' own starts */
    MODULE_COUNT
} ModuleKind;
/* ragged: with an input of lengths for each time axis of inputs and targets. */
const Module *model_module(Model *m, ModuleKind kind, bool ragged);
const ModelDesc *model_desc(const Model *m); /* never NULL */
Program *model_program(Model *m);
void model_set_log(Model *m, void (*fn)(void *arg, const char *line), void *arg); /* what there is to say besides errors */
/* Parameters and constants: their flat slab in declared layout, f32 or f64 as the model was opened. */
int64_t model_theta_size(const Model *m);
double model_theta_get(const Model *m, int64_t i);
void model_theta_set(Model *m, int64_t i, double v);

bool weights_init(Model *m, uint64_t seed);
/* What --set said of sizes and data when the weights of a file were trained ("H=64"), but for files; NULL: the file cannot be read. */
const char **weights_settings(Ctx *ctx, Arena *a, const char *path, uint32_t *n);
bool weights_load(Model *m, const char *path, const char *const *rename, size_t nrename);
bool weights_save(Model *m, const char *path);
bool weights_of_other(Model *m, const char *path, const char **other); /* *other: the file or the program that wrote them, NULL where it is this model's; false: they cannot be read */
/* Takes "param/N" and "const/N" of a set of arrays; `all`: each must be there. */
bool weights_from_arrays(Model *m, const Arrays *s, bool all);

/* ---- execution --------------------------------------------------------------------------------------------------------- */

/* A module made ready for one engine. Kernels are made by exec_make; memory by exec_dims, once for every set of dims; a run
   allocates nothing. */
typedef struct Exec Exec;
typedef struct {
    double pass_seconds, lower_seconds, engine_seconds;
    bool from_cache;
    bool inexact_gradient; /* snap1 leaves something out */
    uint32_t llvm_instructions, llvm_instructions_shared;
    int64_t slab_bytes, pack_bytes, array_bytes; /* of the present dims */
    double recompute; /* arithmetic of the present program over that of one without segments, estimated */
} ExecStats;
typedef struct {
    const char *name;
    int64_t bytes;
} MemoryValue;

/* The module is copied. explain (may be NULL) gets what the passes and the lowering did. */
/* For a module after the graph passes, with the host's lanes and registers where o leaves them open. */
LowerOptions exec_lower_options(const ExecOptions *o, const Module *m);
Exec *exec_make(Ctx *ctx, const Module *m, const ExecOptions *o, Str *explain);
void exec_destroy(Exec *e);
const Module *exec_module(const Exec *e); /* after the passes */
const LProgram *exec_program(const Exec *e); /* NULL for EXEC_EVAL */
const char *exec_notes(const Exec *e); /* what the lowering of a program in segments said; "" for others */
const char *exec_tuning(Exec *e); /* what tuning found for these dims, now or in another process; NULL: nothing */
const int64_t *exec_dim(const Exec *e); /* [LDIM_COUNT], of the present dims: steps of the axes, segments of LProgram.cut */
uint32_t largest_values(const LProgram *p, const int64_t *dim, MemoryValue *out, uint32_t most); /* of scratch, largest first */
ExecStats exec_stats(const Exec *e);

/* axis[k] = steps of Module.axis[k], [0] = B; COUNT and JOIN axes are computed. */
bool exec_dims(Exec *e, const int64_t *axis);
/* Fills input i from a batch-first array whose example k is row example[k] (NULL: k) of `a`. Token ranges and lengths checked.
   a == NULL: zeros; for a length its axis's steps; for a scalar its default. */
bool exec_set_input(Exec *e, uint32_t i, const Array *a, const int64_t *example);
bool exec_uses_input(const Exec *e, uint32_t i); /* does the module, after the passes, read it? */
void exec_set_scalar(Exec *e, uint32_t i, double v);
/* Runs on theta (f32 or f64 as exec_f64 says; theta_version changes whenever theta does). grad (theta's type and size) is
   written where the module has GRAD_PARAM roots; NULL otherwise. */
bool exec_run(Exec *e, const void *theta, uint64_t theta_version, void *grad, uint64_t seed, uint64_t update, const int64_t *example);
/* The same into memory that exec_run or this wrote last for this module, and that still has zeros where the gradient is 0 for every
   input (gradient_is_zero): these are not written again. */
bool exec_run_again(Exec *e, const void *theta, uint64_t theta_version, void *grad, uint64_t seed, uint64_t update, const int64_t *example);
void exec_count_from(Exec *e, int64_t step); /* the steps of a stream before the next run's, for noise; 0 until it is called */
/* Calls fn(arg) where a run of one thread enters a barrier (for a clock); NULL: no more. */
void exec_watch(Exec *e, void (*fn)(void *arg), void *arg);
bool exec_f64(const Exec *e);
int64_t exec_batch(const Exec *e); /* B of the present dims */
/* Result of root r of graph[0], as a batch-first array in `out` (allocated in a; padded steps are 0). */
bool exec_get(Exec *e, Arena *a, uint32_t r, Array *out);
void exec_shape(const Exec *e, uint32_t r, Array *out); /* type, rank and dims of that array */
void exec_read(Exec *e, uint32_t r, Array *out); /* the same into out->data, which has that shape; converted to out->type */
void exec_read_row(const Exec *e, uint32_t r, int64_t b, int64_t x, Array *out, int64_t to); /* the features of example b at position x of the other axes, to row `to` */
double exec_get_scalar(const Exec *e, uint32_t r);
/* For loops that must not copy: the memory of input i or root r in canonical layout. Element type: exec_f64, or int32 for ints
   and bools (EXEC_EVAL: always double). exec_bind_input lets the caller's memory stand in until the next exec_dims. */
void *exec_input_data(Exec *e, uint32_t i, bool *is_int);
void exec_bind_input(Exec *e, uint32_t i, void *data);
const void *exec_root_data(const Exec *e, uint32_t r, bool *is_int);
void exec_bind_root(Exec *e, uint32_t r, void *data);
int64_t exec_root(const Exec *e, RootKind kind, uint32_t index, Name name); /* index of a root in graph[0]; name 0: any. -1 */
/* Axis sizes from named arrays: "input/X" or "X", "target/..", "init/..". */
bool exec_axes_from(const Module *m, const Arrays *in, int64_t *axis);
const Array *exec_find_input(const Module *m, uint32_t i, const Arrays *in); /* the array meant for input i; NULL if absent */

/* ---- the commands ------------------------------------------------------------------------------------------------------ */

/* rondo run. `in`: param/ const/ init/ input/ length/ target/ (param and const: those present replace the model's weights);
   `out`: output/ final/ loss, and with grad: grad/param/ grad/init/ grad/input/; with adam: adam/param/ adam/loss; with jvp, for
   the direction in `in` under tangent/param/ tangent/input/ tangent/init/: jvp/output/ jvp/final/ jvp/loss. */
typedef struct {
    bool grad, adam, jvp;
    bool whole; /* whole sequences, whatever the key bptt says */
    bool moved; /* init/ is added to the model's own starts */
    uint64_t update; /* of the noise */
    bool inexact; /* result: the gradient is an approximation (snap1) */
} RunOptions;
bool run_arrays(Model *m, RunOptions *o, const Arrays *in, Arena *a, Arrays *out);

typedef struct {
    const char *name;
    double error, bar; /* max |a - b| / max |b| */
    bool ok;
} Comparison;
/* Every expected array of `file` (output/ final/ loss grad/ adam/) against `out`; padded steps of outputs are not compared.
   f64: 1e-10. f32: 20 x the noise that NAME.json beside NAME.npz states ("float32_noise"; npz_path may be NULL), at least
   1e-5 for outputs and loss and 1e-4 for gradients and adam. NULL with a diagnostic. */
Comparison *compare_arrays(Model *m, Arena *a, const Arrays *out, const Arrays *file, const char *npz_path, uint32_t *n);

typedef struct {
    const char *name; /* "param/h.Wi", "init/h.c", "input/x" */
    double error; /* worst |analytic - numeric| / max(1e-3 * largest numeric of the tensor .. , |numeric|) over elements */
    int64_t elements, checked; /* at most `limit` elements of each tensor: half of them with a gradient other than 0, evenly spread */
    bool through; /* not checked: its derivative passes a straight-through function */
    double bar; /* error is to stay below it */
    const char *note; /* of a comparison of two modes: why there is none, or why they differ; NULL: they must agree */
} GradCheck;
typedef struct {
    int64_t batch, steps; /* 0: 2, 3 */
    int64_t limit; /* 0: 200, of a model with much work in it as few as take some seconds, but 8 */
    uint64_t seed;
} GradCheckOptions;
GradCheck *grad_check(Model *m, const GradCheckOptions *o, Arena *a, uint32_t *n); /* analytic by the model's engine in f64 */

/* ---- data -------------------------------------------------------------------------------------------------------------- */

/* Examples: inputs and targets, batch first, the first dimension is the example. */
typedef struct Feed Feed;
/* Where an example stands in the user's files. */
typedef struct {
    const char *file;
    int64_t line, number; /* number: from 0, over all of the files, one after another */
    const char *run; /* its name, where a column of a table names sequences; else NULL */
} FilePlace;
typedef struct {
    Arrays array; /* by input name; targets as "target/y", of a file of arrays as they are called there */
    const Feed *feed; /* sequences from which batches are put together (runtime/feed.h); NULL: the arrays are all there is */
    int64_t n, train, valid; /* examples: [0, train) train, [train, train + valid) validate, the rest tests */
    const FilePlace *place;  /* of each example; NULL: they stand as they are numbered here */
    const int64_t *by_place; /* the examples in the order of their numbers */
    bool several_files;
    const char *lacks;       /* of data to predict from: the column of the target that is not there; "": lines without a class; NULL: nothing */
} Dataset;

/* A series cut by the model's data block. */
typedef struct {
    const double *value; /* [nrow], unscaled */
    double shift, scale; /* scaled = (value - shift) / scale */
    int64_t at;          /* which one of the table */
    int64_t filled;      /* gaps of it that were filled in */
} Column;
typedef struct {
    Dataset set;
    const char *path;
    int64_t nrow, window, horizon, stride;
    uint32_t nx, ny;
    Column *x, *y; /* columns of the input's and of the target's features */
    int64_t target_features; /* of one step of the target */
    double *weight; /* [nrow] of the column that sample_weights names; NULL if none */
    const char **date; /* [nrow] text of the date column; NULL if none */
} Series;
/* Examples from a file (NULL: the one the data block names). What it teaches (scaling, vocabulary, classes) is the model's from then on
   and saved with its weights; a model that has it already keeps it. */
/* whole: no parts, all of it is train */
bool dataset_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out);
bool series_load(Model *m, const char *path, Arena *a, bool whole, Series *out); /* path NULL: the data block's */
bool data_reads(Model *m, const char *path);  /* is this file one that the data or train block names? */
bool names_data(const char *assignment); /* does KEY=value of a data block say where the data come from? */
bool data_is_series(Model *m, const char *path); /* is it a series, that series_load reads? */
int64_t series_row(const Series *s, int64_t k); /* the row that sample k forecasts: k * stride + window + horizon - 1 */
bool model_need_output(Model *m); /* false with a diagnostic: it has none to predict with */
/* Forecasts of the target columns for samples [from, to), unscaled: out[i * ny + c] is of column c at row series_row(s, from + i). */
bool series_forecast(Model *m, const Series *s, int64_t from, int64_t to, double *out);
/* n rows past the last; each forecast becomes the newest row of the window. */
bool series_future(Model *m, const Series *s, int64_t n, double *out);
/* Root mean square of forecast minus truth over samples [from, to) of each target column, in its units; NaN where outputs are no forecasts. */
bool series_rmse(Model *m, const Series *s, int64_t from, int64_t to, double *out);
/* The same of two forecasts that need no network, of target column c: the newest value again; a linear function of the window, fitted to the
   samples that train (NaN: they are too few, or the window too long). */
void series_baselines(Model *m, const Series *s, uint32_t c, int64_t from, int64_t to, double *persistence, double *linear);
/* How many target columns the data block names, and the name of column c; "" where it names none. */
uint32_t series_targets(Ctx *ctx, const ModelDesc *d);
const char *series_target_name(Ctx *ctx, const ModelDesc *d, uint32_t c);
/* The share of examples [from, to) that are of the class most frequent in training. False: the target is no class. */
bool majority_share(Model *m, const Dataset *d, int64_t from, int64_t to, double *out);
/* Of a target of tokens at each step, steps of examples [from, to): the cross entropy of always answering with the shares that the tokens
   have in what trains (one of each added), and how often the most frequent one is right. False: no such target, or one of no data. */
bool token_baselines(Model *m, const Dataset *d, int64_t from, int64_t to, double *entropy, double *majority);
/* Mean and deviation, over the steps of the examples that train, of each number of a step of an input or target. False: there are none. */
bool data_spread(Model *m, const Dataset *d, const PortDesc *p, bool target, double *mean, double *deviation);
/* The error of always answering with the mean that numbers have in what trains, on examples [from, to). NaN: the target is none such. */
double mean_rmse(Model *m, const Dataset *d, int64_t from, int64_t to);
/* Dates of n rows past the end, as the column goes on; *out NULL: it has none. False with a diagnostic: it cannot go on. */
bool series_next_dates(Ctx *ctx, Arena *a, const Series *s, int64_t n, const char ***out);
bool dates_go_on(const char *const *date, int64_t n, bool of_calendar); /* can it? of_calendar: by dates, not by whole numbers */
bool dates_fall(const char *const *date, int64_t n);                    /* is each row before the one above it? */
int64_t dates_back(const char *const *date, int64_t n); /* the first row that goes back, by dates; -1: none */
int64_t dates_stray(const char *const *date, int64_t n); /* the first row without a figure where nearly all have some, as "Total"; -1: none */
bool dates_rise(const char *const *date, int64_t n);                    /* behind it, by dates? */
/* A date whose parts stand in several columns, as one text: 2008-3-31, or 2008-03-31 14:30. */
const char *dates_join(Arena *a, const char *const *cell, uint32_t n);

/* The sound `in` (NULL: the first file of the key wav) through the model as it comes, to the WAV file `out`. */
typedef struct {
    int channels, rate;
    int64_t frames;
    float *sample; /* [frames, channels], -1 .. 1 */
} Wav;
bool wav_parse(Ctx *ctx, Arena *a, const char *path, const char *data, size_t n, Wav *out);
bool wav_write(Ctx *ctx, Arena *a, const char *path, const float *y, int64_t frames, int64_t n, int rate); /* y [frames, n] */
bool wav_through(Model *m, const char *in, const char *out);
/* Every output of every example, in order within an output: row b of x, of which `steps` are real (0: one value of an example). The first
   target's is row `row` of `target`; NULL: the data have none. Examples that go on from each other carry their states on. */
typedef struct {
    uint32_t output;
    int64_t example, b, steps, row;
    const Array *x, *target;
} OutputRow;
typedef bool (*OutputsFn)(void *arg, const OutputRow *r);
bool dataset_outputs(Model *m, const Dataset *d, OutputsFn fn, void *arg);
const char *data_class(const Model *m, Arena *a, double v); /* name of a class of the first target, or its number */
/* One example with its inputs and targets, as for run_arrays. */
bool dataset_example(Model *m, const Dataset *d, int64_t example, Arena *a, Arrays *out);
/* A text as the model's only input of tokens; and the text of a token. Both need the vocabulary that came with the weights; without one
   data_token is NULL. */
bool data_text(Model *m, Arena *a, const char *text, Arrays *out);
const char *data_token(const Model *m, Arena *a, int64_t id);

/* Order of the examples of an epoch: a permutation of 0..n-1, a function of seed and epoch alone. */
void shuffle_order(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order);
uint64_t random_next(uint64_t *state); /* splitmix64 */

/* A metric of several numbers counts as that many: "confusion[0,1]". RONDO_METRIC counts these. */
uint32_t metric_count(const Model *m);
uint32_t metric_first(const Model *m, uint32_t metric); /* number of the first one of ModelDesc.metric[metric] */
/* Evaluation of examples [from, to): mean loss and metrics [metric_count] (the order of RONDO_METRIC). */
bool evaluate_set(Model *m, const Dataset *d, int64_t from, int64_t to, double *loss, double *metric);
/* What trains, and the file that the key `validation` names, if it does. */
typedef struct {
    Dataset set, other;
    bool has_other;
} TrainData;
bool validation_load(Model *m, Arena *a, TrainData *d); /* sets other and has_other */
bool several_classes(Model *m, const Dataset *d); /* of the first target, in what trains; false with a diagnostic: one alone */
/* rondo_train for a Dataset that exists already (cli/ uses rondo_train, or this after series_load). */
bool train_set(Model *m, const Dataset *d, const Dataset *valid, const rondo_train_options *o, rondo_train_result *result,
               bool *stopped); /* valid: NULL, or examples of their own to validate on */

/* ---- emission ---------------------------------------------------------------------------------------------------------- */

typedef enum { EMIT_F32, EMIT_BF16, EMIT_F16, EMIT_INT8 } EmitStorage;
typedef enum { EMIT_FLAT, EMIT_SINGLE, EMIT_ARDUINO, EMIT_CMAKE } EmitLayout;
extern const char *const storage_name[], *const layout_name[]; /* of these; NULL-terminated */
typedef struct {
    bool measured;     /* else there were no data to measure on */
    double loss[2];    /* with the model's weights, and with what is stored of them */
    double *metric[2]; /* in the order of RONDO_METRIC; in the model's memory */
    int64_t bytes[2];  /* of the weights as f32, and as stored */
} EmitReport;
extern const char *const emit_kind_name[]; /* "c", then by EmitKind; NULL-terminated */
typedef struct {
    int kind; /* in emit_kind_name: what stands for the source */
    const char *target; /* then: the machine it is for; NULL: this one */
    const char *cpu;    /* and its processor; NULL: this one, or what every machine of the target has */
    bool train; /* also gradient, optimizer, and what makes weights ready that changed */
    bool test; /* also NAME_test.c: the emitted functions against expected values; its main prints PASS */
    bool freestanding; /* no library, not even <math.h> and <string.h> */
    bool ragged; /* whole sequences of a batch have lengths of their own */
    bool blob; /* the weights as a file of their own */
    EmitStorage storage;
    EmitLayout layout;
    int simd; /* lanes; 0: several widths, chosen by the compiler's macros */
    int64_t window, delay; /* a stream of so many steps at a time, for a model that cannot run step by step; 0: none. delay -1: half of it */
    const char *data; /* to measure the loss of accuracy on; NULL: the data block's */
    EmitReport *report; /* of storage other than f32; may be NULL */
} EmitOptions;
/* The model with its present weights as C (docs/emit.md) in the folder `dir` (made if absent): strict C99 for any machine, the
   same bytes everywhere. o may be NULL. */
bool emit_c_model(Model *m, const EmitOptions *o, const char *dir);

#endif
