/* rondo.h: the public C API of Rondo, a compiler for recurrent neural networks.

   A model is opened from a `.rondo` file or from text, compiled for this machine, and then trained, asked for predictions,
   or run step by step as a stream:

       rondo_model *m;
       if (rondo_open(&m, "sunspots.rondo", NULL) != RONDO_OK) { fputs(rondo_message(m), stderr); rondo_close(m); return 1; }
       rondo_init_weights(m, 42);
       rondo_train(m, NULL, NULL);                          (the model's own `train` and `data` blocks)
       rondo_save_weights(m, "sunspots.safetensors");
       rondo_close(m);

   Handles. A handle is opaque. Different handles may be used by different threads at the same time; one handle by one thread
   at a time; what a call calls back (progress, write, log_fn) cannot call its handle again, nor a stream of it (RONDO_BAD_USAGE).
   There is no global state. A stream belongs to its model and must be closed before it.
   A process that is forked between calls has handles of its own.

   Errors. Every function that can fail returns a status; rondo_message gives the text of the last failed call on the handle:
   the same diagnostics, with places and hints, that the command prints. The library never prints, exits or aborts.
   A failed call leaves weights, states and files as they were, unless its comment says otherwise.

   Arrays are batch first: a sequence is [B, T, features..], a value of each example [B, features..], a weight [out, in].
   B is the number of examples, T the number of steps; both are found from the arrays given. Data is row-major without gaps (in
   memory time may come first, see rondo_order), belongs to the caller, and is not kept after the call. Numbers have no unit but the
   model's own (the scaling of a `data` block is undone before anything is returned by rondo_forecast). Any element type is accepted
   for any array; values are converted and checked (a token must be an integer in [0, V)).

   Strings are UTF-8. Numbers in files are read and written in the C locale whatever the process's locale is. */
#ifndef RONDO_H
#define RONDO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(RONDO_BUILDING) && (defined(__GNUC__) || defined(__clang__))
#define RONDO_API __attribute__((visibility("default")))
#else
#define RONDO_API
#endif

typedef enum {
    RONDO_OK = 0,
    RONDO_BAD_INPUT = 1, /* a model, weights, data or arrays are wrong; or a file cannot be read or written */
    RONDO_BAD_USAGE = 2, /* the call is wrong: an unknown name, NULL where an object is needed, a wrong order of calls */
    RONDO_INTERNAL = 3, /* Rondo found itself inconsistent; please report it */
    RONDO_NO_MEMORY = 4, /* an allocation failed or a size limit would be passed */
    RONDO_STOPPED = 5 /* the progress callback asked to stop; what was done so far is kept */
} rondo_status;

typedef struct rondo_model rondo_model;
typedef struct rondo_stream rondo_stream;

RONDO_API const char *rondo_version(void); /* "0.1.0" */
RONDO_API const char *rondo_status_text(rondo_status s); /* "bad input"; never NULL */

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

typedef enum {
    RONDO_ENGINE_JIT = 0, /* LLVM at run time, cached on disk */
    RONDO_ENGINE_C = 1, /* through the C compiler `cc` */
    RONDO_ENGINE_LOOPS = 2, /* interpreter of the loop program: slow, the same bits */
    RONDO_ENGINE_EVAL = 3 /* the oracle: naive, always float64 */
} rondo_engine;

typedef struct {
    size_t size; /* sizeof(rondo_options), so that later versions can add fields; RONDO_OPTIONS_INIT sets it */
    const char *model; /* which model of the file; NULL: the only one, or the last */
    rondo_engine engine;
    int f64; /* compute in float64 instead of float32 */
    int threads; /* kernel threads; 0: one. No result depends on it */
    const char *const *set; /* "key=value" or "H=64": overrides of the train and data blocks and of bracket arguments */
    size_t nset;
    const char *std_dir; /* the standard library's folder; NULL: $RONDO_STD, or the installed one */
    size_t memory_limit; /* bytes of arrays and scratch of a call; 0: 16 GiB. Past one that is given, the call works in segments of its
                            steps, with recomputation, and has the same bits. Past the least of that: RONDO_NO_MEMORY, nothing allocated */
    /* realloc semantics: p == NULL allocates, n == 0 frees and returns NULL. NULL: malloc. LLVM, libzip and the JSON
       reader use malloc on their own. */
    void *(*realloc_fn)(void *arg, void *p, size_t n);
    void *realloc_arg;
    /* Called with one line, without newline, for warnings and notes; NULL: they are dropped. */
    void (*log_fn)(void *arg, const char *line);
    void *log_arg;
} rondo_options;
#define RONDO_OPTIONS_INIT {sizeof(rondo_options), NULL, RONDO_ENGINE_JIT, 0, 0, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL}

/* Reads, checks and keeps a model; kernels are made at their first use. *m is set to a handle even on failure (then only
   rondo_message and rondo_close work on it), and to NULL only when memory ran out at once. o may be NULL. */
RONDO_API rondo_status rondo_open(rondo_model **m, const char *path, const rondo_options *o);
/* The same from memory; `name` stands in for the path in messages, imports are found beside it. n = length of text. */
RONDO_API rondo_status rondo_open_text(rondo_model **m, const char *name, const char *text, size_t n, const rondo_options *o);
RONDO_API void rondo_close(rondo_model *m); /* NULL is allowed; from a callback of the model's own nothing is done */

/* The last failed call's message: UTF-8, lines end in '\n'; "" if none. Valid until the next call on the handle. m == NULL:
   a message that says so. */
RONDO_API const char *rondo_message(const rondo_model *m);

/* ---- describing ------------------------------------------------------------------------------------------------------- */

typedef enum {
    RONDO_INPUT, /* "x" */
    RONDO_TARGET,
    RONDO_LENGTH, /* number of real steps of each example [B]; named after the axis */
    RONDO_OUTPUT,
    RONDO_PARAM, /* trained weights, in declaration order: "h.Wi" */
    RONDO_CONST, /* saved with the weights, not trained */
    RONDO_STATE, /* "h.c" */
    RONDO_METRIC
} rondo_kind;

typedef enum { RONDO_F32, RONDO_F64, RONDO_I32, RONDO_I64, RONDO_U8 /* also bool: 0 or 1 */ } rondo_type;

#define RONDO_MAX_RANK 8
#define RONDO_ANY (-1) /* a size that the arrays of a call decide */

typedef struct {
    const char *name; /* owned by the model */
    rondo_kind kind;
    rondo_type type; /* the natural one: F32 (F64 in an f64 build), I32 for tokens and lengths, U8 for bools */
    int rank; /* of the whole array, leading axes included */
    int64_t dim[RONDO_MAX_RANK]; /* RONDO_ANY where the call decides */
    const char *axis[RONDO_MAX_RANK]; /* "B", "T", .. for leading axes; NULL for features */
    int64_t vocabulary; /* of a token: V; else 0 */
} rondo_info;

RONDO_API const char *rondo_name(const rondo_model *m); /* the model's name */
RONDO_API size_t rondo_count(const rondo_model *m, rondo_kind kind);
RONDO_API rondo_status rondo_describe(rondo_model *m, rondo_kind kind, size_t i, rondo_info *info);
RONDO_API int64_t rondo_weight_count(const rondo_model *m); /* numbers in all params and consts together */

/* ---- weights ---------------------------------------------------------------------------------------------------------- */

/* Draws every param and const by its initialiser. The same seed gives the same weights everywhere. A const without a value
   ("from the weights file") becomes 0. Must be called, or weights loaded, before anything that computes. */
RONDO_API rondo_status rondo_init_weights(rondo_model *m, uint64_t seed);

/* safetensors. `rename`: "old=new" pairs, old as in the file, or patterns: "encoder.*=enc.*"; may be NULL. Nothing is changed unless every name and shape
   fits; the message names the nearest name for one that does not. F32 and F64 are read (and F16, BF16, widened). */
RONDO_API rondo_status rondo_load_weights(rondo_model *m, const char *path, const char *const *rename, size_t nrename);
/* F32, or F64 in an f64 build; written to a temporary file, synced and renamed. */
RONDO_API rondo_status rondo_save_weights(rondo_model *m, const char *path);

/* Copies one weight (or const) out or in; n = number of elements, must match. */
RONDO_API rondo_status rondo_get_weight(rondo_model *m, const char *name, float *value, size_t n);
RONDO_API rondo_status rondo_set_weight(rondo_model *m, const char *name, const float *value, size_t n);

/* ---- arrays in, arrays out -------------------------------------------------------------------------------------------- */

/* How the numbers of an array lie in memory; dim is [B, T, features..] either way. */
typedef enum {
    RONDO_BATCH_FIRST = 0, /* [B, T, features..] */
    RONDO_TIME_FIRST = 1 /* [T, B, features..]; rondo_predict, and inputs of rondo_gradient */
} rondo_order;

/* Where the order is time first (or there is one example, or no time) and the type is the model's own, rondo_predict and rondo_gradient
   read an input, and rondo_predict writes a result, where it is, without a copy. */
typedef struct {
    const char *name;
    rondo_type type;
    int rank;
    int64_t dim[RONDO_MAX_RANK];
    void *data; /* not changed where the array is an input */
    rondo_order order;
} rondo_array;

/* Runs the model forward. `in`: its inputs by name; optionally "length/T" [B] int and "init/h.c" (initial states,
   [B, features] or [features]). `out`: outputs by name, or "final/h.c". For each of `out` either
   - data == NULL: the library sets rank, dim, type (if the caller left RONDO_F32, that is F32) and data, which belongs to the
     model and lives until the next rondo_predict on the handle (of gradients: the next rondo_gradient), or, where it is an input of
     that, until it is over; an array that still has such data is one without; or
   - data != NULL: rank and dim must be exactly those of the result, which is converted to `type`.
   Memory of a result may be that of an input; then there is a copy. */
RONDO_API rondo_status rondo_predict(rondo_model *m, const rondo_array *in, size_t nin, rondo_array *out, size_t nout);

/* Loss over a batch, and gradients. `in` as above, with the targets by name as well (where an input has the same name:
   "target/y"). loss may be NULL. `grad`: "param/h.Wi", "init/h.c", "input/x", with data as for `out` above. The dropout
   mask is that of `update` (0 at first). Kernels are kept from call to call when only gradients of weights are asked for and no
   initial states are given; else each call makes them anew (from the object cache). */
RONDO_API rondo_status rondo_gradient(rondo_model *m, const rondo_array *in, size_t nin, uint64_t update, double *loss,
                                      rondo_array *grad, size_t ngrad);

/* ---- training --------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t size; /* of this struct, as filled in by the library */
    int epoch, epochs; /* epoch from 1 */
    int64_t batch, batches; /* within the epoch; batch == batches: the epoch is complete */
    int64_t update; /* updates done since the start, over all epochs */
    double loss; /* mean over the epoch's examples so far */
    double valid_loss; /* NaN when there is no validation part or the epoch is not complete */
    double examples_per_second;
    double seconds; /* since training began */
    size_t nmetric; /* filled when the epoch is complete: the model's metrics, on the validation part if there is one */
    const char *const *metric_name;
    const double *metric;
    double steps_per_second; /* of sequences, padding left out */
} rondo_progress;

typedef struct {
    size_t size; /* sizeof(rondo_train_options); RONDO_TRAIN_OPTIONS_INIT sets it */
    const char *data_file; /* CSV; NULL: the file of the model's data block (relative to the model) */
    const rondo_array *arrays; /* all examples, inputs and targets by name, instead of a data file; NULL: use the file */
    size_t narrays;
    const rondo_array *valid; /* validation examples; NULL: what the train block says */
    size_t nvalid;
    const char *checkpoint; /* written after epochs, at most once a second, at a stop and at the end; NULL: none */
    const char *resume; /* a checkpoint to go on from, to the same bits; NULL: start with the present weights */
    /* Called after every batch. Nonzero asks to stop: the checkpoint is written and RONDO_STOPPED returned. */
    int (*progress)(void *arg, const rondo_progress *p);
    void *progress_arg;
    int64_t stop_after; /* complete epochs after which to stop, as if progress had asked to; 0: those of the train block */
} rondo_train_options;
#define RONDO_TRAIN_OPTIONS_INIT {sizeof(rondo_train_options), NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL, 0}

typedef struct {
    int epochs; /* completed */
    int64_t updates;
    double loss, valid_loss; /* of the last complete epoch */
    double seconds;
    double best; /* of what the key `monitor` watches, over the epochs; NaN: no epoch is complete */
    int best_sign; /* 1: less is better, -1: more */
} rondo_train_result;

/* Trains in place, by the model's `train` block. A loss that is not a number stops with RONDO_BAD_INPUT and says at which
   update; the weights are then those before it. o and result may be NULL. */
RONDO_API rondo_status rondo_train(rondo_model *m, const rondo_train_options *o, rondo_train_result *result);

/* Loss and metrics over arrays (inputs and targets) or, with nin == 0, over the test part of the data block's file (or of
   data_file when it is not NULL). metric[i] for i < nmetric, in the order of RONDO_METRIC; may be NULL. */
RONDO_API rondo_status rondo_evaluate(rondo_model *m, const char *data_file, const rondo_array *in, size_t nin, double *loss,
                                      double *metric, size_t nmetric);

/* One-step forecasts over the whole series of the data block (data_file NULL: its own file), scaling undone. prediction[k],
   truth[k] and row[k] (0-based row of the CSV that is forecast) for up to `n` samples, in order; *count = how many there
   are, *first_test = index of the first sample that training did not see. prediction, truth, row may be NULL. Of several target
   columns the first. */
RONDO_API rondo_status rondo_forecast(rondo_model *m, const char *data_file, size_t n, double *prediction, double *truth,
                                      int64_t *row, size_t *count, size_t *first_test);
/* Goes on past the last row, feeding each forecast back: future[0..n-1], scaling undone; of several target columns the first. */
RONDO_API rondo_status rondo_forecast_future(rondo_model *m, const char *data_file, size_t n, double *future);

/* ---- streams: step by step, with the state kept ------------------------------------------------------------------------- */

/* A stream of `batch` examples side by side, at their initial states. Refused (RONDO_BAD_INPUT) when an output needs the
   whole sequence, as with `reverse`. `x.last` and other summaries give their value at the step just made. */
RONDO_API rondo_status rondo_stream_open(rondo_model *m, int64_t batch, rondo_stream **s);
RONDO_API void rondo_stream_close(rondo_stream *s); /* NULL is allowed */
/* Input and output sizes of one step, in floats: the sum over all inputs, and over all outputs, of batch * features. */
RONDO_API size_t rondo_stream_inputs(const rondo_stream *s);
RONDO_API size_t rondo_stream_outputs(const rondo_stream *s);
/* One step. x: every input in declaration order, [batch, features] each; y: every output likewise. Steps give the same bits
   as one call over the sequence. Allocates nothing. */
RONDO_API rondo_status rondo_stream_step(rondo_stream *s, const float *x, float *y);
/* `steps` steps at once, with the same bits and less of a call each: x [steps, as for one step], y likewise. Allocates nothing. */
RONDO_API rondo_status rondo_stream_run(rondo_stream *s, int64_t steps, const float *x, float *y);
RONDO_API rondo_status rondo_stream_reset(rondo_stream *s); /* back to the initial states; noise counts its steps from here */
/* One state by name, [batch, features]; n = number of floats, must match. A token or a bool is its number. */
RONDO_API rondo_status rondo_stream_get(rondo_stream *s, const char *state, float *value, size_t n);
RONDO_API rondo_status rondo_stream_set(rondo_stream *s, const char *state, const float *value, size_t n);

/* ---- text ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t size; /* sizeof(rondo_generate_options); RONDO_GENERATE_OPTIONS_INIT sets it */
    const char *prompt; /* the text to go on from, written first; NULL or "": it begins after a line's end, or the first word */
    int64_t length; /* tokens to write (bytes, characters or words, as the model was trained) */
    double temperature; /* scores are divided by it; 0: always the most likely token */
    int64_t top_k; /* only the k most likely ones are drawn from; 0: all */
    double top_p; /* only the most likely ones that make up this part; 1: all */
    uint64_t seed; /* the same seed writes the same text */
    int (*write)(void *arg, const char *text, size_t n); /* called with each piece; nonzero stops */
    void *write_arg;
    int64_t beam; /* of a model that turns the prompt into another text: how many texts are followed at once; 1 (or 0): one */
} rondo_generate_options;
#define RONDO_GENERATE_OPTIONS_INIT {sizeof(rondo_generate_options), NULL, 200, 1, 0, 1, 0, NULL, NULL, 1}

/* Text of a language model: one input `seq token[V]`, an output of V scores (logits; named so, or the only one), weights that were
   trained on a text and hold its vocabulary. Refused (RONDO_BAD_INPUT) where the model cannot run step by step. A model with the data key
   `teacher` turns the prompt, its other input, into the likeliest text that the beam finds, up to its end or `length` tokens; nothing is
   drawn, and another temperature than 1 or 0, top_k and top_p are refused. */
RONDO_API rondo_status rondo_generate(rondo_model *m, const rondo_generate_options *o);

/* ---- emitting --------------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t size; /* sizeof(rondo_emit_options); RONDO_EMIT_OPTIONS_INIT sets it */
    const char *target; /* of machine code: a triple; NULL: this machine. C is for all of them */
    const char *cpu; /* and its processor, as clang names it; NULL: this one, or what every machine of the target has */
    int train; /* nonzero: also gradient and optimizer */
    int test; /* nonzero: also a program that checks the functions against what Rondo computes */
    int freestanding; /* nonzero: no library, not even <math.h> */
    int ragged; /* nonzero: sequences of a batch have lengths of their own */
    int blob; /* nonzero: the weights as a file of their own */
    const char *weights; /* how they are stored: "bf16", "f16", "int8"; NULL: as they are */
    const char *layout; /* of the files, for C: "single", "arduino", "cmake"; NULL: flat */
    int simd; /* code for vectors of 1, 4, 8 or 16 lanes only; 0: the compiler's macros choose */
    int64_t window; /* a stream that sees so many steps at a time, of a model of whole sequences; 0: none */
    int64_t delay; /* steps by which its outputs are late; -1: half of the window */
} rondo_emit_options;
#define RONDO_EMIT_OPTIONS_INIT {sizeof(rondo_emit_options), NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, -1}

/* Writes the model with its present weights as files into the folder `dir` (made if absent). kind: "c", "obj", "so", "asm"
   or "llvm". o may be NULL. The files belong to you. */
RONDO_API rondo_status rondo_emit(rondo_model *m, const char *kind, const rondo_emit_options *o, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
