/* internal: what the files of runtime/ share. */
#ifndef RONDO_RUNTIME_INTERNAL_H
#define RONDO_RUNTIME_INTERNAL_H

#include <stdlib.h>

#include "runtime/runtime.h"

enum { NO_CODE = 0 };
#define NOWHERE ((Span){0, 0})
#define DEFAULT_MEMORY_LIMIT ((size_t)16 << 30)

/* Calls fn(arg) where running out of memory comes back: 1 true, 0 false, -1 out of memory (already reported). */
int guard_call(Ctx *ctx, bool (*fn)(void *arg), void *arg);
/* The same as a status of the public API; what an earlier call said is forgotten. */
rondo_status model_guard(Model *m, bool (*fn)(void *arg), void *arg);

/* ---- bytes ------------------------------------------------------------------------------------------------------------- */

uint64_t load_le(const unsigned char *p, int bytes);
void store_le(unsigned char *p, uint64_t v, int bytes);
unsigned char *pack_elements(unsigned char *p, const Array *x); /* little-endian; returns the end */
bool safetensors_pack(Ctx *ctx, Arena *a, const Safetensors *s, char **data, size_t *n);

/* After a run that gave a loss or gradient that is not finite: the first input, weight or computed tensor that is not, in words. Runs the
   program again in the interpreter, so scratch and gradient are other ones afterwards. NULL: not found. */
const char *exec_first_bad(Exec *e, Arena *a, const void *theta, void *grad);

size_t resident_bytes(void); /* of this process, now; 0: unknown */

/* ---- memory of a program at given dims ---------------------------------------------------------------------------------- */

/* Bytes of all slots of a role, their offsets in slot_at[nslot]; -1 when they are more than any memory. */
int64_t program_bytes(const LProgram *p, LBufRole role, const int64_t *dim, int64_t *slot_at);
/* Sets the dims of the program's segments. Bytes of scratch, as above. */
int64_t choose_segments(const LProgram *p, int64_t *dim, int64_t *slot_at);
double recompute_factor(const LProgram *p, const int64_t *dim);

/* ---- border: the caller's arrays and canonical ones -------------------------------------------------------------------- */

/* A value as a user sees it: [B] first if it has B, the other axes ascending, then features. */
typedef struct {
    bool batch; /* has B */
    bool repeat; /* border_in: the array has one example, which stands for all */
    int64_t B, X, F; /* X: product of the other leading axes; 1s where absent */
    int rank;
    int64_t dim[RONDO_MAX_RANK];
    uint32_t axis[RONDO_MAX_RANK]; /* of each leading dim; UINT32_MAX for features */
    uint32_t nlead;
} Border;
bool border_make(uint32_t axes, int rank, const int32_t *dim, const int64_t *size, Border *out);
typedef enum { EL_F32, EL_F64, EL_I32 } El;
enum { NO_WHOLE = INT32_MIN }; /* as an EL_I32: what was given is no whole number, or too large for one */
bool border_same(const Border *b, const Array *a); /* the array is of that shape, its memory in canonical order */
void border_in(const Border *b, const Array *src, const int64_t *example, El el, void *dst);
void border_out(const Border *b, El el, const void *src, Array *dst);
void border_out_row(const Border *b, El el, const void *src, int64_t k, int64_t x, Array *dst, int64_t to); /* of example k, position x: to row `to` */
size_t el_size(El e);

/* What Execs share: the scratch of a call, and an account of what they hold otherwise. */
typedef struct {
    char *raw, *at; /* at: aligned to 64, a large one to 2 MiB */
    size_t size;
} Block;
bool block_reserve(Ctx *ctx, Block *b, size_t size); /* at least so many bytes; true: it is a new block, of zeros */
typedef struct ExecMemory {
    Block slab;
    Block page; /* one large page that smaller blocks share */
    size_t page_used;
    size_t held; /* arrays and packs of all of them */
    size_t base; /* of a whole process: what was there before the first of them */
} ExecMemory;
bool memory_reserve(Ctx *ctx, ExecMemory *m, Block *b, size_t size); /* the same, of a block that lives as long as m */
void memory_free(Ctx *ctx, ExecMemory *m);

/* ---- models ------------------------------------------------------------------------------------------------------------ */

typedef struct Fitted Fitted;
typedef struct Windows Windows;
enum { RAGGED = 2, ROWS = 2, SCRATCH_MAX = 8 };
typedef enum { GIVE_RESULTS, GIVE_GRADIENTS, GIVE_COUNT } Give;
struct rondo_model {
    Ctx *ctx;
    bool own_ctx;
    bool busy; /* a call of rondo.h is under way: what it calls back may not call the model */
    Arena arena; /* as long as the model */
    Arena result; /* what a call of rondo.h needs, until the next one */
    Arena given[GIVE_COUNT]; /* arrays handed to the caller of rondo.h, until the next call that gives such */
    Program *program;
    const ModelDesc *desc;
    ModelOptions opt;
    const char *path; /* of the model's file */
    uint64_t seed;
    void *theta; /* f32 or f64 */
    bool f64, ready; /* ready: weights were drawn or loaded */
    uint64_t theta_version;
    Pool *pool;
    ExecMemory memory; /* of all Execs but those of streams */
    Module *module[MODULE_COUNT][RAGGED];
    Exec *exec[MODULE_COUNT][RAGGED][ROWS];
    Block grad; /* of theta's size, for rondo_gradient */
    struct CellRun *metric; /* by ModelDesc.metric; NULL until needed */
    Arena text; /* of rondo_message */
    const char *message;
    Arena scratch[SCRATCH_MAX]; /* of functions under way, innermost last */
    uint32_t nscratch;
    void (*log_fn)(void *arg, const char *line);
    void *log_arg;
    Fitted *fitted; /* what data taught before training: scaling, vocabulary, classes; NULL: nothing yet */
    Windows *streamed; /* evaluation with states carried on; NULL until needed */
};

typedef struct {
    Model *m;
    const char *path;
    const ModelOptions *o;
    const char *text; /* NULL: read the path */
    size_t n;
} Opening;
Model *model_make(Ctx *ctx); /* an empty one */
int model_load(const Opening *k); /* as guard_call */
/* Memory of a function under way. The model owns it, so that nothing is lost when memory runs out in between: scratch_reset
   frees what such an unwinding left. */
Arena *scratch_begin(Model *m);
void scratch_end(Model *m);
void scratch_reset(Model *m);
/* Made at first use. one: the batch is one example, which has a schedule of its own; no bit depends on it. */
Exec *model_exec(Model *m, ModuleKind kind, bool ragged, bool one);
bool model_need_weights(Model *m);
/* A copy of a module built with external_states in which every state that is not given starts from its own INIT root. */
Module *bind_states(const Module *m, Arena *a, const bool *given);
/* Lengths among the arrays? Then the module has to be built ragged. */
bool arrays_ragged(const Arrays *in);
/* Marks the params and inputs (arrays by index) whose gradient goes back through a straight-through function. */
void reach_straight_through(const Module *m, Arena *a, bool *param, bool *input);
/* Sets every input of e from the arrays (axes must be set), which must stay until the run: those that can be are read where they are.
   need: mask of 1 << InputKind that must be present. */
bool exec_set_inputs(Exec *e, const Arrays *in, uint32_t need);
/* For one run, after exec_set_inputs: root r is written to out->data itself, if order and type allow that and it is no input's. */
void exec_write_to(Exec *e, uint32_t r, const Array *out, const Arrays *in);
/* exec_axes_from, exec_dims, exec_set_inputs; then a run on the model's weights. */
bool run_exec(Model *m, Exec *e, const Arrays *in, uint32_t need, uint64_t update, void *grad);
Exec *model_exec_for(Model *m, Module *built, bool grad, const bool *want_input, bool f64);

/* Sets the states that `in` does not give (NULL: none) to their own starts, for an Exec of MODULE_STEP whose dims are set. */
bool exec_set_starts(Model *m, Exec *e, const Arrays *in);
bool start_values(Model *m, Arena *a, int64_t batch, const double **out); /* by root of MODULE_START, which needs no input */

/* Whether stream_make would not refuse the model. Silent about the answer: a diagnostic means that a module could not be built. */
bool can_stream(Model *m);
bool stream_steps(rondo_stream *s, int64_t steps, const float *x, float *y); /* rondo_stream_run inside of a call */
rondo_stream *stream_make(Model *m, int64_t batch, int *got); /* NULL: *got is 0 (diagnostic) or -1 (out of memory) */
bool emit_model(Model *m, const char *kind, const rondo_emit_options *o, const char *dir); /* kind: "obj" */

bool generate_text(Model *m, const rondo_generate_options *o, bool *stopped);

/* ---- cells over a slab or a data set: optimizers and metrics ------------------------------------------------------------ */

typedef struct CellRun {
    Model *m;
    Module *mod; /* before passes */
    Exec *exec;
    uint32_t n; /* states */
    uint32_t *in, *root; /* of each: index in Module.input, FINAL root of exec's module */
    int64_t *count; /* elements */
    bool ready; /* for the owner */
    void **now, **next; /* memory of each, swapped by a step */
} CellRun;
bool cell_make(CellRun *c, Model *m, Module *mod, int64_t elements, bool f64); /* elements: of axis 1; f64: also where the model is f32 */
bool cell_reset(CellRun *c, int64_t elements); /* every state to its start */
void cell_free(CellRun *c);
/* One step of elements [first, first + elements) of axis 1; then, when all are done, the states' blocks swap. The caller binds
   the other inputs before (after cell_dims has been made true by the same number of elements). */
bool cell_run(CellRun *c, int64_t first, int64_t elements);
void cell_swap(CellRun *c);

typedef struct {
    int64_t offset, n; /* floats of theta */
    double lr_scale, decay;
    bool no_decay; /* of the optimizer's own */
} Segment;
typedef struct {
    CellRun cell;
    Model *m;
    uint32_t in_p, in_g, root_p;
    int64_t in_lr, in_decay; /* -1: the optimizer has no argument lr, decay */
    double lr, own_decay;
    VEC(Segment) segment; /* what is trained; the rest of theta stays */
    void *other; /* where the new theta goes before the swap */
} Optimizer;
bool optimizer_make(Optimizer *o, Model *m, const char *name, const Setting *given);
bool optimizer_step(Optimizer *o, void *grad, double lr_factor); /* L2 decay is added to grad */
void optimizer_free(Optimizer *o);

/* ---- settings of the train and data blocks ------------------------------------------------------------------------------ */

double train_number(const Model *m, const char *key);
void model_log(Model *m, const char *fmt, ...) PORT_PRINTF(2, 3); /* a line for who listens (model_set_log) */
/* The value that a pattern list of the train block gives to a weight: lr_scale = ["emb.*": 0.1], freeze = ["emb.*"] (1). */
double train_pattern(const Model *m, const char *key, const char *weight, double otherwise);
bool train_bool(const Model *m, const char *key);
void train_gradient(Model *m); /* the key gradient into the options; unwritten, they stay */
const Setting *train_setting(const Model *m, const char *key); /* NULL: not written */
double data_number(const Model *m, const char *key); /* NAN: neither written nor defaulted */
const char *data_string(const Model *m, const char *key);
bool data_bool(const Model *m, const char *key);
const char *data_file(Model *m, Arena *a, const char *path, const char *key); /* path, or the key's, relative to the model */
bool csv_form(Model *m, const char *path, CsvForm *out); /* the keys `separator` and `decimal`, or by the file's ending */
CsvGaps csv_gaps(const Model *m); /* the key `gaps` */
const char *csv_name(const Csv *c, Arena *a, uint32_t column); /* its name, or its number */
const Setting *data_setting(const Model *m, const char *key); /* NULL: not written */
/* The whole number of a key of the data block, from lo to hi; NaN is `otherwise`. */
int64_t data_whole(const Model *m, const char *key);
const char *model_beside(Model *m, Arena *a, const char *path); /* a path relative to the model's file */

/* How much a batch counts in a mean of losses: its real steps if the loss is per step and lengths differ, else its examples. */
double batch_weight(const Model *m, const Exec *e);
/* NULL if a module with external states can run one step at a time; else what stands in the way. */
const char *stream_obstacle(const Module *mod);
const char *stream_obstacle_along(const Module *mod, uint32_t axes); /* along these alone */
int64_t exec_axis_length(const Exec *e, uint32_t axis, int64_t b); /* real steps of example b */

/* ---- windows: the keys bptt and stateful --------------------------------------------------------------------------------- */

struct Windows {
    Model *m;
    Exec *first, *next; /* states from their own starts or as given; all states from outside */
    int64_t window; /* 0: whole sequences */
    uint32_t axis; /* time; 0: not cut */
    Arena arena, tmp;
    uint32_t nstate;
    Array *state; /* [nstate] as the last window left them */
    bool states_set;
    /* the present batch */
    const Arrays *in;
    const int64_t *example;
    const Array *length;
    int64_t B, steps, count; /* count: windows */
    int64_t dims[MAX_AXES];
    bool carry;
    /* the present window: its rows of the batch, their examples */
    int64_t *row, *alive, *id, n, cap, from, nsteps; /* id: the examples, alive: their rows of the arrays */
    const int64_t *given; /* ids of the batch; NULL: the rows */
    bool forward, outputs; /* forward: no gradients, but metrics; outputs: these and no loss */
};
/* The first target among arrays by name: "target/y", or "y" where no input is called so; NULL: it is not there. */
bool says_classes(Model *m, const Dataset *d); /* false with a diagnostic: it lacks them */
const Array *first_target(const Model *m, const Arrays *in);
bool windows_make(Windows *w, Model *m, int64_t window, const BuildOptions *bo, const Arrays *in, bool want_input, bool outputs);
void windows_free(Windows *w);
/* B 0: all of the arrays. row: which rows of the arrays (NULL: the first B); id: which examples they are (NULL: as the rows).
   carry: the first window goes on from the states of the batch before. */
bool windows_begin(Windows *w, const Arrays *in, int64_t B, const int64_t *row, const int64_t *id, bool carry);
Exec *windows_set(Windows *w, int64_t k); /* ready for exec_run on examples w->id; NULL with a diagnostic */
bool windows_done(Windows *w, Exec *e); /* keeps the final states */
bool windows_reserve(Windows *w, uint32_t s, const Array *like, int64_t rows);
void windows_add_grad(Windows *w, Exec *e, uint32_t i, const Array *part, double f, Array *whole);
/* Why a module with external states cannot be cut into windows (cut) or go on from batch to batch; NULL: it can. *axis: its time axis. */
const char *windows_unsuited(const Module *all, bool cut, uint32_t *axis);
const char *window_obstacle(const Module *mod); /* what keeps a module from going on from window to window; NULL: nothing */

/* What class_weights and sample_weights make of a data set: out = d and an array ROW_WEIGHT_NAME. */
bool row_weights(Model *m, Arena *a, const Dataset *d, Dataset *out, RowWeights *kind);
/* What they ask of a program that has its examples from elsewhere. */
typedef struct {
    RowWeights kind;
    double *class_weight; /* [nclass], of the first target's classes; NULL: no class_weights */
    int64_t nclass;
    bool samples, sample_steps; /* sample_weights is there; its weights are those of steps */
} WeightPlan;
/* file: the data, NULL: those of the model's block. Where they are not there, sample weights are those of steps if the loss is of steps,
   and classes cannot be balanced (false with a diagnostic). */
bool weight_plan(Model *m, Arena *a, const char *file, WeightPlan *w);

/* ---- metrics (metric.c) ------------------------------------------------------------------------------------------------- */

const MetricDesc *metric_desc(const Model *m, uint32_t k, uint32_t *within);
const char *metric_name(Model *m, uint32_t k);
typedef struct Metrics Metrics;
Metrics *metrics_begin(Model *m); /* NULL with a diagnostic */
bool metrics_batch(Metrics *s, Exec *e); /* the rows of a batch that has run */
bool metrics_end(Metrics *s, double *out); /* [metric_count] */
void metrics_free(Metrics *s);

/* ---- arrays of a batch -------------------------------------------------------------------------------------------------- */

const char *validation_file(Model *m); /* validation = "FILE"; NULL: none */
bool dataset_holdback(Model *m, Dataset *d); /* validation = 0.2 of what trains */
bool dataset_count(Model *m, const char *path, Dataset *d); /* n from the arrays' first dims, all of it trains; path: of their file, or NULL */
typedef struct Batch Batch; /* runtime/feed.h */
bool exec_set_batch(Exec *e, const Batch *b, int64_t B); /* B examples of a batch that was filled */

#endif
