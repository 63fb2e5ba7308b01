/* emit_c: what the files runtime/emit_*.c share: a model on its way to C, and its programs.

   A program is a module lowered to a loop program whose kernels are printed, and the C that binds their buffers. Memory is
   laid out in areas, one after another, each aligned to 64 bytes: first the program's slots, then what the functions around
   the kernels need (arrays with time first, next states, example ids). An area's size is the largest of its extents. */
#ifndef RONDO_RUNTIME_EMIT_C_H
#define RONDO_RUNTIME_EMIT_C_H

#include "runtime/internal.h"

enum { NO_AREA = -1 };
/* Columns of a packed matrix's panels at most: 12 vectors of 8 lanes, 6 of 16; of a single one, twice that. Where steps turn around in
   them, which finds more the shorter they are: as many sums as hide the latency of a multiply-add. */
enum { C_PANEL = 96, C_TURNED_PANEL = 80 };
#define NO_FIELD UINT32_MAX

typedef struct {
    const char *what; /* for the comment */
    VEC(LExtent) extent;
    uint32_t elem; /* LElem */
    bool whole;    /* not needed by a single step */
} CArea;
typedef VEC(CArea) CAreas;

/* An input, output or state as C sees it. */
typedef struct {
    const char *id;    /* "x" */
    const char *upper; /* "X" */
    const char *name;  /* as in the model */
    uint32_t index;    /* in Module.input, in graph[0].root or in Module.state */
    uint32_t axes;
    uint8_t dtype;
    int rank;
    int32_t dim[MAX_RANK];
    int64_t n; /* features */
    int32_t vocab;
    int32_t area; /* where it lies with time first; NO_AREA: the caller's own memory will do */
    uint32_t length; /* the axis of which it holds each example's steps; 0: none */
} CPort;
typedef VEC(CPort) CPorts;

typedef struct {
    const char *name; /* "infer" */
    Module *m;        /* after the passes */
    LProgram *p;
    int64_t run, prepare; /* entries; -1: none, or not this program's to call */
    bool packed;          /* packs are fields of the weights */
    uint32_t *field;      /* by buffer, if packed: in CModel.field */
    CNarrow *narrow;      /* by buffer; NULL: nothing is stored in fewer bits */
    bool *used;           /* by buffer */
    int32_t *area_of;     /* by buffer */
    CAreas area;
    bool noise; /* reads seed or update */
    CPorts in, target, out;
    int32_t example; /* area of example ids */
    int64_t weight, weight_port; /* the input with a factor for each row's loss, in m; the caller's own, in target; -1: none */
    int32_t weight_area;         /* where it is made of both kinds; NO_AREA: it is the caller's */
    CUnit *unit;
    int32_t *state_next; /* areas by state */
} CProgram;

/* What kernels read besides their inputs: a field of the struct NAME_weights, the same for all programs and widths. */
typedef struct {
    const char *id;   /* "dot_4" */
    const char *what; /* for the comment */
    bool is_int;
    int64_t n;
    const double *value; /* of the model's weights */
    const double *probe; /* of others: fields that are equal here and there are one */
    const int64_t *origin; /* of each element: 1 + its place in theta; 0: none, it is 0; -1: computed from several. NULL: unknown */
    CNarrow narrow;        /* how it is stored */
    const double *code;    /* then: what is written in place of value */
    const double *scale;   /* [scales] */
    int64_t scales;
} CField;
/* How much room a call needs, at most, over all widths: the lesser one of two sums of products of dims, in bytes. */
typedef VEC(LMono) CSum;
typedef struct {
    const char *what;
    const CProgram *p; /* of the axes */
    CSum sum[2];       /* of long sequences: chunks of them are as large as chunks are; of short ones: as large as the sequence */
} CRoom;
/* C_LEARN: the gradient of a window of one stream, its states (and influences on them) from outside; C_LEARN_FIRST: of the first one. */
typedef enum { C_FORWARD, C_ONE_STEP, C_GRADIENT, C_LEARN, C_LEARN_FIRST } CProgramKind;

typedef struct {
    Ctx *ctx;
    Model *m;
    Arena *a;
    Arena values, digits; /* short-lived: numbers of one array; their text (c_array only) */
    const EmitOptions *o;
    const char *id, *upper; /* "sunspots", "SUNSPOTS" */
    VEC(const char *) macro; /* of the header, for names of the user's */
    const char *real;       /* "float" */
    Str h, c, t; /* header; source; test */
    CEmitOptions style;
    CText *text;     /* of the width being written */
    int V;           /* its lanes; 0: of a program that is no C */
    int64_t scratch; /* of a state, the most that a width needs */
    int64_t prepare_work, update_stack; /* bytes, likewise; of locals */
    bool again;      /* not the first width: what does not depend on it is written */
    bool stream, train, decodes;
    bool apart;  /* at some width a step reads an input after it has begun to write an output */
    bool turns;  /* every other step walks its matrices backwards */
    bool calls;  /* functions of a library are part of a step or gradient: bits are not ours alone */
    bool theta;  /* the weights as they are listed are a field */
    bool learns; /* starts of states depend on weights: they are fields */
    WeightPlan weigh; /* class_weights and sample_weights of the train block */
    const char *optimizer; /* its function's name after the prefix; NULL: none */
    const char *rate;      /* parameters of its learning rate; "": it is constant */
    rondo_stream *live;    /* of the runtime, for the test: expected values of single steps */
    Engine *engine;        /* of cprogram_pack, while it works */
    CProgram infer, step, grad, opt;
    CProgram begin, write; /* of decoding */
    int64_t delay; /* steps that an output lags behind the newest of its window */
    /* learning on a stream, window by window (emit_learn.c) */
    int64_t window; /* steps of one; 0: there is no such learning */
    CProgram learn, learn_first; /* learn_first: where starts are learned */
    CPorts kept;                 /* states and influences */
    int64_t learn_scratch;       /* as scratch */
    VEC(CField) field;
    uint32_t *by_probe, probe_slots; /* a table of places in theta, from 1 on, by what probes hold there (emit_pack.c) */
    VEC(const char *) refused; /* fields, once for each form that does not suit how they are read (emit_narrow.c) */
    uint32_t refused_before; /* this round */
    int32_t *row_of;           /* by place in theta: number of its row among all that have a scale; -1: none */
    double *row_scale;
    CPorts state;
    int32_t *state_in; /* areas of infer by state */
    double **start;                 /* [state][n] */
    bool swaps;                     /* the helper that transposes is there */
    VEC(CRoom) room;
    double *before; /* the model's weights, to put back */
    double *stored, **stored_scale; /* what stands for the weights: codes by theta, scales by parameter and row */
    Str *payload;                   /* of the blob, while it is written */
    int payload_align;              /* bytes of its largest member */
    Str blob;
    uint32_t layout; /* of the blob */
    int64_t bytes;   /* of the weights, while they are counted */
} CModel;
/* Are weights stored in fewer bits widened into memory (where training changes them), instead of where they are read? */
static inline bool unpacks(const CModel *c) { return c->o->storage && c->o->train; }
/* Do the weights stand in the source as they are read, so that init needs none? */
static inline bool has_constants(const CModel *c) { return !c->o->blob && !unpacks(c); }

/* emit_pack.c */
bool cprogram_pack(CModel *c, CProgram *p); /* makes fields of what kernels read of the weights */
CProgram *cprogram_prepare(CModel *c, const CProgram *p); /* a packed program's prepare alone */
void cprogram_refused(CModel *c, const CProgram *p); /* after printing: notes fields that are read in another way than they are stored */
uint32_t cfield_add(CModel *c, CField f);

/* emit_narrow.c */
void cfield_narrow(CModel *c, CField *f); /* chooses how a field is stored */
void cfield_refused(CModel *c, const CField *f);
typedef struct {
    const char *type, *id, *what;
    const double *value;
    int64_t n;
    int bytes; /* of one; floats are 4 or 8 */
    bool is_real;
} CMember;
void weights_members(CModel *c, void (*fn)(CModel *c, const CMember *m)); /* the members of NAME_weights in their order */

/* emit_bind.c */
bool cprogram_make(CModel *c, CProgram *p, const char *what, const Module *m, CProgramKind kind);
void cprogram_areas(CModel *c, CProgram *p); /* what the entries touch, and where scratch lies */
int32_t cprogram_area(CModel *c, CProgram *p, const char *what, uint32_t elem, uint32_t axes, int64_t n, bool whole);
void cprogram_ports(CModel *c, CProgram *p, bool targets);
bool cprogram_reads(const CProgram *p, uint32_t input);
CPort *cprogram_port(CModel *c, CPorts *to, Name name, const char *suffix, uint32_t index, uint32_t axes, uint8_t dtype, int rank, const int32_t *dim);
void cprogram_swap(CModel *c, CProgram *p, CPort *x); /* an area for it, if the caller has it batch first and the kernels time first */
bool cports_have(const CPorts *x, const char *id);
int64_t cprogram_offset(const CProgram *p, int32_t area, const int64_t *dim); /* in bytes; area = area.n: one step's total */
void cprogram_put(CModel *c, CProgram *p); /* kernels and what they need */
void cprogram_put_sizes(CModel *c, const CProgram *p); /* functions of sizes: dims, layout */
/* Has all of input `input` been read before anything of root `root` is written? Then both may stand in one place. */
bool cprogram_in_place(const CProgram *p, uint32_t input, uint32_t root);
typedef struct {
    const char **in, **out; /* by Module.input and by root: C expressions; NULL: nothing */
    const char *theta, *grad;
    const char *turn; /* of a step: 0, in every other one 1; NULL: 0 */
    const char *base; /* NULL: areas at `w + at[k]`; else constant offsets in floats from this array, for dim */
    const int64_t *dim;
} CBinding;
CBinding cbinding_make(CModel *c, const CProgram *p);
const char *cprogram_at(CModel *c, const CProgram *p, int32_t area); /* address of an area at w */
void cprogram_call(CModel *c, const CProgram *p, const CBinding *b); /* calls the kernels; dim is set */
void cprogram_one_step(const CProgram *p, int64_t *dim);             /* dim[] for one step of one example */

/* emit_equations.c */
void emit_equations(CModel *c, const CProgram *p); /* a comment: the lines of the source that the program computes */

/* emit_text.c */
const char *c_ident(Arena *a, const char *s, bool upper);
const char *c_type(const CModel *c, uint8_t dtype);
const char *c_number(CModel *c, double v); /* a constant of the model's float */
const char *c_double(CModel *c, double v);
void c_values(CModel *c, Str *s, const double *v, int64_t n, bool is_int); /* {..} */
void c_array(CModel *c, Str *s, const char *type, const char *name, const double *v, int64_t n, bool is_int);
const char *c_shape(CModel *c, const CProgram *p, const CPort *x);   /* "[batch][steps][1]" */
const char *c_size_params(CModel *c, const CProgram *p, bool types); /* "int steps, int batch" or without types */
void c_function(CModel *c, const char *comment, const char *head);   /* declares in the header, begins in the source */

/* emit_room.c: the macros that say how much room a call needs */
void emit_room(CModel *c, const CProgram *p, const char *what);
void emit_rooms(CModel *c);

/* emit_weigh.c: factors of the loss */
bool is_row_weight(const CModel *c, const Input *in);
Module *emit_weighed_module(CModel *c, bool windows); /* of training; windows: the states come from outside */
void emit_weigh_port(CModel *c, CProgram *p, uint32_t input); /* before the caller's own becomes a port */
void emit_weigh_table(CModel *c); /* source */
void emit_weigh(CModel *c, const CProgram *p, CBinding *b, const char *area); /* fills it; targets and the caller's factors are bound */

/* emit_ragged.c: examples of different length */
void emit_ragged_ports(CModel *c, CProgram *p);                            /* the lengths, as inputs */
void emit_padding(CModel *c, const CProgram *p, const CPorts *x, bool in); /* what is behind an example's own steps becomes 0 */

/* emit_infer.c: what wrappers share */
const char *emit_port_address(CModel *c, const CProgram *p, const CPort *x);
void emit_note_theta(CModel *c, const CProgram *p);
void emit_workspace(CModel *c, const CProgram *p, const char *what);
void emit_given_weights(CModel *c, const char *refused); /* of a call: NULL is those of the file, or else it returns `refused` */
void emit_enter(CModel *c, const CProgram *p, bool loops); /* dim, at, w */
void emit_examples(CModel *c, const CProgram *p, bool given); /* given: the caller may number them, in `example` */
void emit_swap_helper(CModel *c, const CProgram *p);
void emit_swaps(CModel *c, const CProgram *p, const CPorts *x, bool input);

/* emit_state.c: what the caller holds, and the functions over it */
void emit_state_type(CModel *c);
void emit_state_functions(CModel *c);
void emit_starts(CModel *c); /* source: the constants */
void emit_init(CModel *c, const char *begin); /* where a function of a stream begins that sets its weights */
void emit_use(CModel *c, const char *more);   /* more: about what the stream remembers */
bool state_starts_at_zero(const CModel *c, uint32_t k);
const char *state_flat(CModel *c, const CPort *x); /* its first element in the struct s points to */
const char *state_start(CModel *c, uint32_t k);    /* where it starts, unless at 0 */

/* emit_weights.c */
const double *emit_theta(CModel *c);      /* all weights, in the model's arena of values */
void emit_weights_type(CModel *c);        /* header */
void emit_weights_values(CModel *c);      /* source: the constants */
bool emit_prepare(CModel *c);             /* source, of a width */

/* emit_storage.c */
bool emit_storage_fits(CModel *c); /* all weights to be stored in fewer bits are finite */
void emit_storage_round(CModel *c); /* rounds the model's weights to what is stored */
double storage_code(EmitStorage s, double v, double *back); /* of bf16 and f16; *back: what it stands for */
void emit_storage_type(CModel *c);
void emit_storage_values(CModel *c);
void emit_storage_bytes(CModel *c); /* to c->payload */
void emit_unpack(CModel *c);

/* emit_blob.c */
void emit_blob(CModel *c); /* the file */
void emit_open(CModel *c); /* the function that reads it */

/* emit.c */
const char *emit_source_name(CModel *c); /* "sunspots.c", or of what was compiled from it */
bool emit_compile(CModel *c, Str *out); /* what is written in place of the source */

/* emit_files.c, emit_readme.c */
const char *emit_readme(CModel *c);
void emit_bytes(CModel *c, int64_t *bytes); /* of the weights: [as f32, as stored] */
bool emit_files(CModel *c, const char *dir);

/* emit_window.c: streams of models of whole sequences */
bool emit_window_check(CModel *c); /* sets the delay; false: there is none for this model */
void emit_window(CModel *c);       /* after all else: it stands on predict and its room */

/* emit_vocabulary.c */
void emit_vocabulary(CModel *c);

/* emit_decode.c: after predict */
bool emit_decode(CModel *c);

/* emit_split.c: a forward pass as what comes before the steps along an axis, and one of these steps. False: it cannot be cut there. */
bool emit_split(CModel *c, Name teacher, Name scores, uint32_t along, Module **early, Module **late);

/* emit_learn.c: after emit_infer */
bool emit_learn(CModel *c);
void emit_learner_type(CModel *c);
int64_t emit_learn_numbers(const CModel *c, const CPort *x); /* of an input or target that a call takes */

/* emit_rules.c: what the train block says of every update */
typedef struct Schedule Schedule;
bool emit_rules(CModel *c, Schedule *s); /* false: something of it is not to be had in C */
bool schedule_varies(const Schedule *s);
void emit_schedule(CModel *c, const Schedule *s); /* NAME_factor(t, updates) */
const char *schedule_argument(CModel *c, const Schedule *s, bool type); /* the optimizer's: with its type, or passed on */
const char *schedule_about(CModel *c, const Schedule *s);
int64_t update_gradients(const CModel *c); /* gradients of an update */
void emit_gather(CModel *c); /* emit_gather.c: after emit_learn */
void emit_root(CModel *c);                        /* what clipping calls, where there is no library */
const char *emit_clip_about(CModel *c);           /* for the comment */
void emit_clip_locals(CModel *c);
void emit_clip_norm(CModel *c, uint32_t segments); /* before the first element */
void emit_clip(CModel *c);      /* of g[k] */

/* emit_infer.c, emit_train.c, emit_check.c */
bool emit_infer(CModel *c);
bool emit_train(CModel *c);
const char *emit_noise_params(CModel *c, const CProgram *p, const char *example); /* example: how its numbers are given */
void emit_noise_dims(CModel *c, const CProgram *p);
void emit_scalars(CModel *c, const CProgram *p, const CBinding *b); /* the loss's numbers, as locals */
int64_t emit_final_root(const CProgram *p, uint32_t state); /* -1: none */
bool emit_in_place(const CProgram *p, uint32_t state);      /* may the state's next value be written over it? */
bool emit_check(CModel *c);

#endif
