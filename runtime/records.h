/* records: examples read one by one from a file (lines of text, .ts, JSON lines, rows of a table), then split and laid out. */
#ifndef RONDO_RUNTIME_RECORDS_H
#define RONDO_RUNTIME_RECORDS_H

#include "runtime/feed.h"
#include "runtime/text.h"

/* What data taught before training; saved with the weights. */
typedef struct {
    const char *name; /* "x.0": the port and its feature */
    double shift, scale;
} FittedColumn;
struct Fitted {
    const Vocabulary *vocabulary; /* NULL: none */
    uint32_t nclass;
    const char **class_name; /* of the target's classes; NULL where they are numbers */
    VEC(FittedColumn) column;
};
Fitted *fitted(Model *m);                                            /* made empty at first use */
const FittedColumn *fitted_column(const Model *m, const char *name); /* NULL: not known */
void fitted_put(Model *m, Arena *a, Safetensors *s);                 /* into the metadata */
bool fitted_take(Model *m, const char *path, const Safetensors *s);  /* out of it; replaces what was there */

typedef enum { SPLIT_CHRONOLOGICAL, SPLIT_RANDOM, SPLIT_STRATIFIED, SPLIT_EVERY, SPLIT_FOLDS } SplitKind;
typedef struct {
    SplitKind kind;
    bool plain; /* no way was named */
    double train, valid; /* parts; valid NaN: what the key `validation` holds back */
    uint64_t seed;
    int64_t every;
    int64_t folds, fold; /* of FOLDS, the fold that tests */
    const Setting *valid_at, *test_at;
} Split;
Split split_read(Model *m);
/* In the order of the data: the first *n train, validate, and test; with folds *n becomes less. */
bool split_counts(Model *m, const Split *s, int64_t *n, int64_t *train, int64_t *valid);
bool split_in_order(const Split *s); /* is it one of the two ways to split a record? */

typedef struct {
    const char *path, *run; /* run: its name, of a sequence in the rows of a table; else NULL */
    int64_t line, within; /* within: its number among the examples of its file, from 0 */
    bool test;            /* from the file of the key `test` */
    int64_t label;        /* class of the first target; -1: none */
} Record;

/* The values of one input or target of all records, end to end. */
typedef struct {
    const PortDesc *port;
    const char *name;   /* "input/x" */
    bool text, classes; /* tokens of a text; names of classes */
    bool teacher;       /* the input of the key `teacher`: it is no column, but the target one step late */
    bool absent;        /* a target that the table to predict from does not have */
    bool weight;        /* no port, but the key `sample_weights`: only what trains has to have it */
    rondo_type type;
    int64_t per; /* numbers of one step */
    char *data;
    size_t n, cap;             /* numbers */
    VEC(int64_t) start, steps; /* of each record, in steps */
    VEC(const char *) string;  /* text, classes: of each record (labels: of each step), */
    VEC(size_t) size;          /* and its bytes */
    VEC(int64_t) labels;       /* of each record, steps whose classes are named; none: no steps are */
} Store;

typedef struct {
    Model *m;
    Arena *a;
    bool whole;   /* no parts: all of it is to be evaluated or validated on */
    bool classes; /* the first target is one of classes */
    VEC(Record) record;
    Store *store; /* inputs, then targets, then the weights of the examples if there are some */
    uint32_t nstore;
    const char *lacks;           /* of the data set: the column of an absent target */
    const char *const *declared; /* names of the classes, as the file says; NULL: it does not */
    uint32_t ndeclared;
    const char *path; /* of the file under way */
    int64_t line, within;
    bool test;
} Records;

typedef VEC(uint32_t) VEC_U32;
void records_make(Records *r, Model *m, Arena *a, bool whole);
bool records_bad(Records *r, uint16_t code, int64_t column, const char *fmt, ...) PORT_PRINTF(4, 5); /* column 0: none; false */
Store *records_input(Records *r);  /* the only input; NULL with a diagnostic */
Store *records_target(Records *r); /* the only target; NULL if there is none */
bool records_given(const Records *r, const Store *s); /* is it in the file? */
void records_add(Records *r);      /* a new record: then each store gets its values */
void record_number(Records *r, Store *s, double v);
bool record_steps(Records *r, Store *s, int64_t steps); /* the numbers since the last call were a record of so many steps */
void record_text(Records *r, Store *s, const char *text, size_t n);
/* One value of an example, as text: a number, or the name of a class. */
bool record_value(Records *r, Store *s, const char *text, size_t n, int64_t column);
bool records_finish(Records *r, Dataset *out);

bool split_records(Model *m, const Records *r, Arena *tmp, uint8_t *part); /* part[i]: 0 trains, 1 validates, 2 tests */

/* ---- readers: each adds the records of one file ------------------------------------------------------------------------- */

bool read_ts(Records *r, const char *path, const char *text, size_t n);
bool read_jsonl(Records *r, const char *path, const char *text, size_t n);
bool read_lines(Records *r, const char *const *path, uint32_t nfile, const char *const *label);
bool read_rows(Records *r, const Csv *csv);

bool decode_text(Model *m, const rondo_generate_options *o, bool *stopped); /* rondo_generate of a model with the key `teacher` */
typedef struct {
    Name source, teacher, scores; /* inputs; output */
    int32_t size;                 /* V */
} DecodePorts;
const char *decode_unsuited(const Model *m, DecodePorts *x); /* of a model with that key: why it has not what decoding takes; NULL: it has */
/* The likeliest token of each step, up to the end or `most`; the model's weights have a vocabulary with an end. */
bool decode_ids(Model *m, const int32_t *source, int64_t n, int64_t most, int32_t *token, int64_t *count);
bool text_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out);
bool made_load(Model *m, Arena *a, bool whole, Dataset *out);
bool split_arrays(Model *m, Arena *a, const char *path, Dataset *d); /* in their order unless another way is asked for */
bool draw_arrays(Model *m, Arena *a, const char *path, Dataset *d);  /* by one of the others: the rows change places */
bool array_of_examples(const Array *x);
bool wav_read(Model *m, Arena *a, const char *path, Wav *out);
bool wav_load(Model *m, const char *path, Arena *a, bool whole, Dataset *out);

#endif
