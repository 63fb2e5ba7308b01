/* ir: the tensor graph. Pure nodes over a SET of leading axes; `scan` is a node with a body graph of its own.
   docs/ir.md is the reference. The operations are the rows of ir/ops.def.

   "Rows" are index tuples of the leading axes, (step, example) above all. A value of type f<T,B>[4,3] has one 4x3 array of
   features in every row. At a padded step of a ragged axis a value is undefined, and every operation that mixes rows
   leaves padded rows out.

   Canonical array layout, wherever a value crosses a border (evaluator, kernel ABI, tests): time axes by ascending axis
   index, then B, then features, row-major, no padding: [T,B,F], [T,S,B,F]. */
#ifndef RONDO_GRAPH_H
#define RONDO_GRAPH_H

#include "base/base.h"

typedef uint32_t Ref; /* index into Graph.node.at; 0 = none; operands precede users */
typedef VEC(Ref) RefVec;

typedef enum { DT_F, DT_I, DT_B } DType; /* the build's float; int32; bool */

typedef enum {
    OPC_LEAF,
    OPC_UNARY,
    OPC_BINARY,
    OPC_TERNARY,
    OPC_REDUCE,
    OPC_CONTRACT,
    OPC_SHAPE,
    OPC_INDEX,
    OPC_TIME,
    OPC_CONTROL
} OpClass;

enum {
    OPF_ROW = 1, /* row-local: may be evaluated at all rows at once */
    OPF_COMM = 2, /* in[0] and in[1] commute */
    OPF_BOOL = 4, /* result is bool */
    OPF_INACTIVE = 8 /* no derivative flows through it */
};

typedef enum {
#define OP(NAME, text, arity, cls, flags, cost, meaning, da, db, dc) OP_##NAME,
#include "ir/ops.def"
#undef OP
    OP_COUNT
} Op;

typedef struct {
    const char *text;
    uint8_t arity, cls, flags, cost; /* cost: cycles per 8 floats, 255 = has to be materialised */
} OpInfo;
extern const OpInfo op_info[OP_COUNT];

#define MAX_RANK 3
#define MAX_AXES 32
#define AXIS_B 0u
#define AX(a) (UINT32_C(1) << (a)) /* axis index -> bit of an axes set */

typedef struct Node {
    uint16_t op;
    uint8_t dtype, rank;
    int32_t dim[MAX_RANK]; /* features; unused ones are 0 */
    uint32_t axes; /* set of leading axes */
    Ref in[3]; /* operands; scan and concat: in[0] = offset in Graph.ext, in[1] = count */
    uint32_t attr; /* see below */
    uint32_t span, name; /* a source position and a Name: for messages and printing only, not part of identity */
} Node;

/* attr by operation. "words" are consecutive entries of Graph.attr.at, starting at attr.
     const      2 words: the bits of a double, low word first (whatever the dtype)
     param      index in Module.param           input   index in Module.input
     noise      3 words: NoiseKind, stream, set of TIME axes that the value depends on (inside a body those of the
                enclosing scans are meant; lifting the node changes its axes, never this set). UNIFORM is in [0,1), NORMAL
                standard. Features as the node's type. per sequence: the set is empty
     iota       dim position 0: node is i[n], value = index along the feature; else 1 + axis: i<axis>[] outside of a scan over
                that axis, i<>[] inside
     length     axis: i<B>[] if the axis is ragged, i<>[] else (and for B: the number of examples)
     carry, step, capture   index
     cast       target DType (also the node's dtype). float to int: toward zero, saturating, NaN is 0; to bool: != 0
     div        of two ints: toward zero, by zero 0; int arithmetic wraps
     sum, amax  2 words: set of leading axes, mask of feature dims; these leave the type
     argmax     dim; that dim leaves the type, dtype i
     dot        10 words: 3 labels of in[0]'s dims, 3 of in[1]'s, 3 of the result's (unused 0, labels from 1), set of leading
                axes kept (the others of either operand are summed over)
     slice      3 words: dim, start, stop            pad      3 words: dim, zeros before, zeros after
     concat     dim (operands in ext)
     reshape    none: the type says it               transpose  3 words: source dim of each result dim
     expand     4 words: for each result dim the source dim or -1 (broadcast), then the set of leading axes added. Every source
                dim occurs once, ascending; the dims are the type's
     gather     V (an index outside 0..V-1 is clamped, here and in scatter_add). in[0] table f[V, rest], in[1] i<..>[dims]: result [dims, rest]; a table with leading axes is picked from
                row by row (then the union of the axes)
     scatter_add 2 words: V, set of leading axes kept. in[0] i[dims], in[1] v[dims, rest] -> [V, rest]; summed over the other axes
     shift      2 words: axis, n. result at t = in[0] at t - n where 0 <= t - n < length, else in[1] (type of in[0] less axis)
     reverse    axis: reverses the real steps        last     axis: the value at the last real step (0 if there is none)
                Padded rows are those of values with B: a value <T> without B has a value at every step, whatever the lengths.
                What depends on an example's length (reverse, last, join, shift with n < 0) is given B by the builder; sums are
                not. A carry of a scan over a ragged axis always has B
     join       3 words: axis of in[0], of in[1], of the result (kind AXIS_JOIN)
     scan       6 words: axis, direction (0 forward, 1 reverse), body graph, counts of carries, steps, captures.
                operands: initial carries, step inputs (values with the axis), captures (anything). The type is dtype f rank 0
                without meaning; only `out` reads a scan
     out        index i of the i-th out root of the body (counted after the NEXT roots) */

typedef enum { NOISE_UNIFORM, NOISE_NORMAL, NOISE_ORTHOGONAL } NoiseKind; /* ORTHOGONAL [r,c], or a matrix for each of [n,r,c]: only in Module.init */

typedef enum {
    /* of a body: first all NEXT in carry order, then the outs */
    ROOT_NEXT, /* index = carry */
    ROOT_STACK, /* gains the axis */
    ROOT_SUM, /* summed over the steps */
    ROOT_LAST, /* index = carry: its final value; ref = 0 */
    /* of graph[0] */
    ROOT_OUTPUT, /* name */
    ROOT_FINAL, /* final state; index = Module.state */
    ROOT_INIT, /* initial value of Module.state[index] as the model defines it */
    ROOT_LOSS, /* scalar */
    ROOT_METRIC, /* index = metric << 8 | argument: a value handed to a metric, rows of axes {T,B} or {B} */
    ROOT_GRAD_PARAM, /* index = Module.param */
    ROOT_GRAD_INPUT, /* index = Module.input (initial states are inputs) */
    ROOT_VALUE /* in Module.init: index = Module.param. Elsewhere: a named value that somebody asked for */
} RootKind;

typedef struct {
    uint8_t kind;
    Name name;
    Ref ref;
    uint32_t index;
} Root;

/* Decisions about a graph, printed after its roots (docs/ir.md, section 9). They are of the graph as it stands: a pass that
   rebuilds it drops them. */
typedef enum { PLACE_AUTO, PLACE_STEP, PLACE_CHUNK, PLACE_WHOLE, PLACE_BESIDE } Place; /* AUTO: as an option only */
extern const char *const place_text[PLACE_BESIDE + 1];
typedef struct { /* an axis that remat cut into segments: the axes of segments and of the steps of one (LCut in loop.h) */
    uint32_t axis, count, steps;
    double work, plain;
} Cut;
typedef struct { /* of graph[0], by pass place: where a product over the steps of a sequence is computed */
    Ref product; /* the end of its accumulator */
    uint8_t where;
    Ref scan; /* STEP, CHUNK, BESIDE: in whose steps, chunks */
    /* What is weighed, of a step: its rows; floats of the matrices that STEP streams with it; floats of the result that the
       others write and read again. */
    int64_t rows, weights, traffic;
} Placed;

typedef enum { STAGE_ROW, STAGE_PRODUCT, STAGE_GRADIENT, STAGE_REDUCE, STAGE_SCATTER, STAGE_COPY, STAGE_SCAN } StageKind;
extern const char *const stage_text[STAGE_SCAN + 1];
typedef struct {
    Ref ref;
    uint32_t level; /* of a row stage: which of its loops */
} StageNode;
/* What lowering makes of a node (passes/kinds.c). */
typedef enum {
    NK_FREE, /* constants, leaves, outs, views: no code of their own */
    NK_ACCESS, /* shape operation read through its operand's place */
    NK_INLINE, /* elementwise, evaluated where it is used (fused multiply, operand of one reduction) */
    NK_CHAIN, /* part of a product's accumulator chain */
    NK_ROW, /* from here on: NK_ROW + StageKind */
    NK_GEMM, /* rows x matrix (the end of an accumulator chain) */
    NK_GRADIENT,
    NK_AXIS, /* sum or amax over leading axes */
    NK_SCATTER,
    NK_TIME, /* copy along an axis: shift, reverse, last, join */
    NK_SCAN
} NodeKind;
extern const char *const node_kind_text[NK_SCAN + 1];
typedef struct { /* by pass remat: what bits depend on, decided on the whole graph, kept by the copies of a node in segments */
    uint8_t kind;
    bool fused, down; /* a multiplication that is part of additions; a sum from the end of its axis to the start */
    Ref base; /* what an accumulator starts from; 0: zero */
} Pin;
typedef struct { /* by pass fuse, in the order of execution */
    uint8_t kind;
    bool load; /* of rate load: belongs to the entry "prepare" */
    uint32_t axes; /* it is a loop over these rows */
    Ref group; /* the scan in whose chunks it runs; 0: none */
    VEC(StageNode) node; /* ROW: by level; PRODUCT: the end of the accumulator, then its dots in order; else one */
} Stage;

typedef struct Module Module;

typedef struct Graph {
    Module *module;
    uint32_t index; /* in module->graph; UINT32_MAX for module->init */
    VEC(Node) node; /* node.at[0] is unused */
    VEC(Ref) ext;
    VEC(uint32_t) attr;
    VEC(Root) root;
    VEC(Placed) placed;
    VEC(Stage) stage;
    const Pin *pin; /* by Ref: what remat decided before it cut the graph; NULL: nothing */
    uint32_t cut; /* 1 + the axis that is cut, if this is the body of one segment of it */
    uint32_t *bucket, nbucket; /* hash-consing */
    uint32_t *chain, chain_cap;
    uint32_t *word_bucket, word_nbucket, word_count; /* sharing of attr: pairs (1 + offset, count), open addressing */
    uint32_t span, name; /* given to the nodes emitted from now on */
} Graph;

typedef enum { AXIS_BATCH, AXIS_TIME, AXIS_COUNT, AXIS_JOIN, AXIS_ELEM } AxisKind;
typedef struct {
    uint8_t kind;
    bool ragged; /* TIME, JOIN: the examples have lengths of their own, in input `length` */
    Name name;
    int32_t count; /* COUNT: its number of steps; else 0: given at run time */
    uint32_t length; /* ragged TIME: 1 + index in Module.input of i<B>[] lengths */
    uint32_t a, b; /* JOIN */
} Axis;

typedef struct {
    Name name; /* "h.Wi" */
    uint8_t rank;
    bool is_const; /* saved, not trained */
    bool from_file; /* a const without expression: must come with the weights */
    int32_t dim[MAX_RANK];
    int64_t offset; /* in theta, in floats */
    Ref init; /* value in Module.init; 0 if from_file */
    uint32_t span;
} Param;

typedef enum { INPUT_DATA, INPUT_TARGET, INPUT_STATE, INPUT_LENGTH, INPUT_SCALAR } InputKind;
typedef struct {
    Name name; /* "x"; a state's "h.c"; a length's axis name */
    uint8_t kind, dtype, rank;
    int32_t dim[MAX_RANK];
    uint32_t axes;
    int32_t vocab; /* token[V]: V; else 0 */
    double value; /* SCALAR: default */
    uint32_t span;
} Input;

typedef struct {
    Name name; /* "h.c" */
    uint8_t dtype, rank;
    int32_t dim[MAX_RANK];
    uint32_t axes;
    int32_t vocab;  /* token[V]: V; else 0 */
    uint32_t input; /* 1 + Module.input when the initial value is given from outside; 0 else */
} State;

struct Module {
    Ctx *ctx;
    Arena *arena;
    Name name;
    VEC(Graph *) graph; /* [0] = the model, the rest scan bodies */
    Axis axis[MAX_AXES]; /* [0] = B */
    uint32_t naxis;
    VEC(Cut) cut;
    VEC(Param) param;
    VEC(Input) input;
    VEC(State) state;
    int64_t theta_size; /* floats */
    Graph *init; /* initial values of the parameters, a graph without axes; roots VALUE */
};

/* ---- building: every emit folds constants, applies local rules and shares equal nodes ------------------------------ */

Module *module_make(Ctx *ctx, Arena *a, Name name); /* with graph[0], init and axis B */
Graph *module_add_graph(Module *m);
uint32_t module_add_axis(Module *m, AxisKind kind, Name name); /* MAX_AXES exceeded: 0 (B), with a diagnostic */
uint32_t module_add_param(Module *m, Name name, int rank, const int32_t *dim, bool is_const); /* sets the offset */
uint32_t module_add_input(Module *m, InputKind kind, Name name, DType dt, int rank, const int32_t *dim, uint32_t axes);
Module *module_copy(const Module *m, Arena *a);

/* The one way in: infers the type, folds, shares. `n` has op, in[], attr and, where the operation cannot know it, type fields
   (const param input noise iota carry step capture: all; cast: attr = dtype; reshape, expand: rank, dim). Returns 0 on a type error, which
   is an internal error of the caller (the front end has checked): the reason is in *why if why != NULL. */
Ref graph_emit(Graph *g, const Node *n, const char **why);
uint32_t graph_attr(Graph *g, const uint32_t *word, uint32_t n); /* stores (and shares) words */
uint32_t graph_ext(Graph *g, const Ref *ref, uint32_t n); /* stores operands of a scan or concat; the offset for in[0] */
uint32_t op_words(Op op); /* how many words of Graph.attr the operation has; 0: attr is an immediate or unused */
const uint32_t *node_attr(const Graph *g, Ref r); /* its words; of an immediate: the address of Node.attr */
const Ref *node_ext(const Graph *g, Ref r, uint32_t *n); /* operands of scan, concat */
/* All operands of any node, one way: n = node_inputs(g, r, &at). */
uint32_t node_inputs(const Graph *g, Ref r, const Ref **at);

/* Thin wrappers; 0 propagates: an operand of 0 gives 0. */
Ref g_const(Graph *g, double v); /* f[] */
Ref g_int(Graph *g, int32_t v);
Ref g_bool(Graph *g, bool v);
Ref g_param(Graph *g, uint32_t i);
Ref g_input(Graph *g, uint32_t i);

Ref g_leaf_typed(Graph *g, Op op, uint32_t i, DType dt, int rank, const int32_t *dim, uint32_t axes);
Ref g_un(Graph *g, Op op, Ref a);
Ref g_bin(Graph *g, Op op, Ref a, Ref b);
Ref g_select(Graph *g, Ref c, Ref a, Ref b);
Ref g_cast(Graph *g, Ref a, DType dt);
Ref g_sum(Graph *g, Ref a, uint32_t axes, uint32_t dims);
Ref g_amax(Graph *g, Ref a, uint32_t axes, uint32_t dims);
Ref g_argmax(Graph *g, Ref a, uint32_t dim);
Ref g_dot(Graph *g, Ref a, Ref b, const uint8_t la[3], const uint8_t lb[3], const uint8_t lo[3], uint32_t kept);
Ref g_matvec(Graph *g, Ref w, Ref x); /* [O,I] @ [I] */
Ref g_slice(Graph *g, Ref a, uint32_t dim, int32_t start, int32_t stop);
Ref g_pad(Graph *g, Ref a, uint32_t dim, int32_t before, int32_t after);
Ref g_concat(Graph *g, const Ref *a, uint32_t n, uint32_t dim);
Ref g_reshape(Graph *g, Ref a, int rank, const int32_t *dim);
Ref g_transpose(Graph *g, Ref a, const uint32_t perm[3]);
Ref g_expand(Graph *g, Ref a, int rank, const int32_t *dim, const int32_t map[3], uint32_t add_axes);
Ref g_expand_axes(Graph *g, Ref a, uint32_t add_axes);
Ref g_broadcast(Graph *g, Ref a, int rank, const int32_t *dim); /* NumPy's rule to exactly these dims */
Ref g_gather(Graph *g, Ref table, Ref i);
Ref g_scatter_add(Graph *g, Ref i, Ref v, int32_t V, uint32_t kept);
Ref g_shift(Graph *g, Ref x, Ref fill, uint32_t axis, int32_t n);
Ref g_reverse(Graph *g, Ref x, uint32_t axis);
Ref g_last(Graph *g, Ref x, uint32_t axis);
Ref g_join(Graph *g, Ref a, Ref b, uint32_t axis_a, uint32_t axis_b, uint32_t axis_out);
Ref g_iota(Graph *g, int32_t n); /* i[n] */
Ref g_iota_axis(Graph *g, uint32_t axis, bool inside);
Ref g_length(Graph *g, uint32_t axis);
Ref g_noise(Graph *g, NoiseKind k, uint32_t stream, uint32_t counter_axes, int rank, const int32_t *dim, uint32_t axes);
/* Operand counts are taken from the lists; the body's roots must be complete (NEXT for every carry). */
Ref g_scan(Graph *g, uint32_t axis, bool reverse, uint32_t body, const Ref *init, uint32_t ncarry, const Ref *step,
           uint32_t nstep, const Ref *capture, uint32_t ncapture);
Ref g_out(Graph *g, Ref scan, uint32_t i);
void graph_root(Graph *g, RootKind kind, Name name, Ref ref, uint32_t index);

typedef struct {
    uint32_t axis, reverse, body, ncarry, nstep, ncapture;
    const Ref *init, *step, *capture;
} ScanInfo;
ScanInfo scan_info(const Graph *g, Ref r);
bool const_value(const Graph *g, Ref r, double *v); /* a scalar constant, or an expand of one */
int64_t node_features(const Node *n); /* product of dims; 1 for rank 0 */

/* How a dot's labels sort (left = the operand with more axes, ties: lower Ref). */
typedef enum { DOT_PRODUCT, DOT_GRADIENT, DOT_OUTER, DOT_OTHER } DotKind;
typedef struct {
    DotKind kind;
    bool swapped; /* left is in[1] */
    uint32_t batch_axes, k_axes, m_axes, n_axes; /* sets of leading axes: both & kept, both & summed, left only, right only */
    uint8_t batch[3], nbatch, k[3], nk, m[3], nm, n[3], nn; /* feature labels */
} DotInfo;
DotInfo dot_classify(const Graph *g, Ref r);

/* Copies node r of src to dst with its operands mapped (map[old] = new); attributes, spans and names come along. Bodies are
   shared, not copied. The pattern of every pass that rebuilds. */
Ref graph_copy_node(Graph *dst, const Graph *src, Ref r, const Ref *map);
/* Removes what no root reaches and renumbers; map (or NULL) gets old -> new. One backward sweep. */
void graph_dce(Graph *g, Ref *map);
void module_dce(Module *m); /* every graph; drops bodies that no scan uses and renumbers them */
void module_drop_bodies(Module *m); /* only that: values keep their numbers */
void module_keep_roots(Module *m, uint32_t kinds); /* kinds: mask of 1 << RootKind; then module_dce */

/* ---- text, checks, evaluation --------------------------------------------------------------------------------------- */

void module_print(Str *s, const Module *m); /* parses again to an equal module */
Module *module_parse(Ctx *ctx, Arena *a, const Source *src); /* NULL with diagnostics */
void module_dot(Str *s, const Module *m); /* Graphviz */
/* False with diagnostics (code 999 with the pass's name): types as inferred, operands before users, roots complete, leaves
   only where allowed, axes of bodies, and so on. */
bool module_verify(const Module *m, const char *pass);

/* Where a value came from that is no number. */
typedef struct {
    double most;        /* what is larger counts as infinite */
    const Graph *graph; /* out; NULL: a loss and its gradients are finite */
    Ref node;           /* it has such values, its operands have none that it could have them from */
    const Root *root;   /* the loss or the gradient that has them from it */
    double operand;     /* of an operation with one: what it had */
} EvalOrigin;
/* The oracle: f64, dense, masked, naive. Arrays in canonical layout; ints and bools are doubles too. */
typedef struct {
    int64_t axis[MAX_AXES]; /* number of steps; [0] = B. COUNT and JOIN are computed */
    const double **param, **input; /* by index in Module; NULL input of kind SCALAR: its default */
    uint64_t seed, update; /* noise */
    int64_t step;          /* steps of a stream before these, from which noise goes on counting */
    const int64_t *example; /* [B] example ids for noise; NULL: 0..B-1 */
    /* 0: f64. Else a seed: every float result, and a sum after each of its terms, is rounded to f32, up or down by chance (tanh and
       sigmoid within the fast tier's 2.5 ulp), or moved to a neighbour in f64. What several draws differ by is what arithmetic may lose here, cancellation included (stochastic arithmetic:
       Vignes 1993; Parker 1997). */
    uint64_t f32_draw, f64_draw;
    EvalOrigin *origin; /* NULL, or to be filled in */
} EvalIn;
/* out[i] = the value of graph[0].root[i], allocated in a. False with a diagnostic. */
bool module_eval(const Module *m, Arena *a, const EvalIn *in, const double **out);
/* Values of Module.init: fills theta (f64, [theta_size]) for every parameter; from_file ones become 0. */
bool module_eval_init(const Module *m, Arena *a, uint64_t seed, double *theta);
/* Multiplications and additions of a module at given sizes of its axes. */
typedef struct {
    double product; /* of products (dot): 2 for each pair */
    double other; /* one for each element that an elementwise operation or a reduction makes */
} Flops;
Flops module_flops(const Module *m, const int64_t *axis);
void flops_of_dot(const Graph *g, Ref r, const int64_t *axis, Flops *f); /* added to f->product */
/* Sizes of the axes for a batch of B and sequences of T steps. */
void module_axes(const Module *m, int64_t batch, int64_t steps, int64_t *axis);
int64_t value_size(const Module *m, const Node *n, const int64_t *axis); /* elements of a value in canonical layout; -1 on overflow */

/* Noise, the one definition: Philox4x32-10 (Salmon et al. 2011), key = seed (low word first), counter = (element / 4, step
   hash, example, stream ^ low word of update); the 32 bits are word element % 4. element: index among the features, row-major.
   example: the id, 0 for a value without B. Step hash: over the time axes T of the attribute's set by ascending index,
   h = h * 0x9E3779B1 + (t + 1), from 0. uniform = (bits >> 8) * 2^-24. normal, by Box and Muller from two uniforms, u of the
   stream and v of stream ^ 2^31: sqrt(-2 log(1 - u)) cos(2 pi v). */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
uint32_t noise_step(uint32_t h, int64_t t); /* one more axis into the step hash */
uint32_t noise_bits(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element);
double noise_uniform(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element);
double noise_normal(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element);
/* The same numbers for n elements from `first` on; four of them come out of one block. */
void noise_draw(bool normal, uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, int64_t first, int64_t n, double *out);

#endif
