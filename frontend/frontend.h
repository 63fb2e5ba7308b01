/* frontend: from model files to tensor graphs. Reads, parses, resolves imports and std, checks names, sizes and shapes, and
   builds the module of a model, an optimizer or a metric. docs/language.md is the reference for what is accepted.

   Nothing here prints: every mistake of the user becomes a diagnostic in the Ctx (codes 200-599 of base/errors.def). */
#ifndef RONDO_FRONTEND_H
#define RONDO_FRONTEND_H

#include "base/base.h"
#include "ir/graph.h"

typedef struct Program Program;

typedef struct {
    const char *std_dir;     /* folder of the standard library; NULL: none */
    const char *const *set;  /* overrides of the model's bracket arguments and of keys: "H=64", "epochs=3" */
    uint32_t nset;
    const char *text;        /* the text of the file, which is then not read; NULL: it is read */
    const char *model;       /* which model, when the file has several; NULL: the only one, or the last */
} FrontendOptions;

/* Reads and checks a file and all it imports. NULL with diagnostics if there was any error. A file without a model is
   checked and gives a Program whose model description has name 0. Warnings and notes may exist on success. */
Program *frontend_load(Ctx *ctx, Arena *a, const char *path, const FrontendOptions *o);

/* ---- description of the checked model ----------------------------------------------------------------------------- */

typedef struct {
    Name name;
    uint8_t dtype, rank; /* DType */
    int32_t dim[MAX_RANK];
    bool seq;            /* one value for each step of `axis` */
    Name axis;           /* "T" */
    int32_t steps;       /* a fixed axis: its number of steps; else 0 */
    int32_t vocab;       /* token[V]: V; else 0 */
    Span span;
} PortDesc;

typedef struct {
    Name name; /* "h.Wi" */
    uint8_t rank;
    int32_t dim[MAX_RANK];
    int64_t count;
    bool is_const;
    Span span;
} ParamDesc;

typedef struct {
    Name name; /* "h.c" */
    uint8_t dtype, rank;
    int32_t dim[MAX_RANK];
    int32_t vocab;
} StateDesc;

typedef enum { LOSS_PER_STEP, LOSS_PER_EXAMPLE, LOSS_PARAMS } LossKind;
typedef struct {
    const char *text; /* as written */
    LossKind kind;
    bool weighted;
    Span span;
} LossDesc;

typedef struct {
    Name name;        /* "f1", or the given name */
    const char *text; /* as written */
    uint32_t nargs;   /* number of ROOT_METRIC roots of this metric in the model's graph */
    bool per_step;    /* its rows are the real steps; else the examples */
    uint32_t falling; /* 1 + the argument in whose order the rows come, the largest first; 0: as they are */
    int rank;         /* 0: one number; 1, 2: one for each class, for each pair of classes */
    int32_t dim[2];
    Span span;
} MetricDesc;

/* A value in a train or data block. */
typedef enum { SET_NUMBER, SET_STRING, SET_BOOL, SET_NAME, SET_LIST, SET_CALL, SET_PAIR } SettingKind;
typedef struct Setting Setting;
struct Setting {
    SettingKind kind;
    Span span;
    double number;      /* NUMBER, BOOL */
    bool is_int;
    Name name;          /* STRING, NAME: the text; CALL: the callee */
    uint32_t n;         /* LIST, CALL: items; PAIR: 2 */
    const Setting *item;
    const Name *arg;    /* CALL: name of each argument, 0 by position */
    const Span *arg_span; /* CALL: each argument with its name */
};

typedef struct {
    Name key;
    Span span;
    Setting value;
} Entry;
typedef struct {
    const Entry *at;
    uint32_t n;
    Span span; /* of the block; {0,0} if there was none */
} Settings;

typedef struct {
    Name name; /* 0: the file has no model */
    Span span;
    VEC(PortDesc) input;
    VEC(PortDesc) target;
    VEC(PortDesc) output;
    VEC(ParamDesc) param; /* in the order of theta */
    VEC(StateDesc) state;
    VEC(LossDesc) loss;
    VEC(MetricDesc) metric;
    Settings train, data;
    int64_t theta_size; /* floats, consts included */
    uint64_t hash;      /* of names and shapes of params and consts */
} ModelDesc;

const ModelDesc *frontend_desc(const Program *p);
/* Every name of a model, cell, ... of the user's file, for completion and messages. */
uint32_t frontend_model_count(const Program *p);
const char *frontend_model_name(const Program *p, uint32_t i);

/* Settings: the value written, or the default of frontend/keys.def. `key` must be a row of keys.def for that block. */
typedef enum { KEYS_TRAIN, KEYS_DATA } KeyBlock;
const Setting *settings_find(const Settings *s, Name key); /* NULL if not written */
double settings_number(Ctx *ctx, const Settings *s, KeyBlock b, const char *key); /* NAN if neither written nor defaulted */
bool settings_bool(Ctx *ctx, const Settings *s, KeyBlock b, const char *key);
const char *settings_string(Ctx *ctx, const Settings *s, KeyBlock b, const char *key); /* NULL: none */
/* Of a key that is a call, as split = random(0.8): which of its ways in keys.def, from 0 on; the value of an argument, given or default (NAN:
   neither); what is given for it (NULL: nothing). What it holds was checked when the file was read. */
int settings_way(Ctx *ctx, const char *key, const Setting *s);
double settings_argument(Ctx *ctx, const char *key, const Setting *s, const char *arg);
const Setting *settings_written(Ctx *ctx, const char *key, const Setting *s, const char *arg);
bool settings_match(const char *pattern, const char *name); /* `*` stands for any characters */
/* Whether "key=value" sets a key of a block; else it is a bracket argument of the model. */
bool settings_is_key(const char *assignment, KeyBlock *block);
/* Parses "key=value" of the command line and puts it in place of what the block had. False with a diagnostic. */
bool settings_override(Program *p, KeyBlock b, const char *assignment);

typedef struct {
    const char *block, *key, *type, *range, *init, *doc; /* a row K of keys.def; init "" = none */
} KeyRow;
extern const KeyRow key_rows[];
extern const uint32_t key_row_count;

/* ---- modules ------------------------------------------------------------------------------------------------------ */

/* An input of factors of each example's or step's loss, which is still divided by their number. */
typedef enum { ROW_WEIGHTS_NONE, ROW_WEIGHTS_EXAMPLE, ROW_WEIGHTS_STEP } RowWeights;
#define ROW_WEIGHT_NAME "sample weight" /* of the input; no name that a model can have */

typedef struct {
    bool training;        /* value of `training` */
    bool external_states; /* every state of the model starts from an INPUT_STATE input; ROOT_INIT gives its own start */
    bool moved_states;    /* and with it: the input of a state of floats is added to its own start */
    bool ragged;          /* the unfixed sequence axes of inputs and targets have an INPUT_LENGTH input each */
    RowWeights weights;
    int32_t unroll;       /* write every scan out, for time axes of this many steps; 0: scans */
} BuildOptions;

/* The forward graph: roots OUTPUT, FINAL, INIT, LOSS (one scalar), METRIC. NULL with diagnostics. */
Module *frontend_model(Program *p, Arena *a, const BuildOptions *o);

/* An optimizer of the file, its imports or std, by name. Axis 1 is ELEM. Inputs: DATA "p", "g" <ELEM>; STATE per state;
   SCALAR per numeric argument (value: default, or as given). Roots: OUTPUT "p", and FINAL and INIT per state.
   given may be NULL: the arguments of a SET_CALL. */
Module *frontend_optimizer(Program *p, Arena *a, const char *name, const Setting *given);

/* Metric i of the model's description. Axis 1 is TIME "row" (uniform). Inputs: DATA per argument <row>, STATE per state.
   Roots: OUTPUT (value at the last row), FINAL and INIT per state. */
Module *frontend_metric(Program *p, Arena *a, uint32_t i);

#endif
