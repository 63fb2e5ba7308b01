/* Private to place, fuse and lower_loops: what they know of a graph's nodes, and how values become memory and loops.

   Each begins anew from the graph (kinds.c) and from the decisions printed with it: there is no other channel between them.
   A value is in memory (a Loc) when another stage, or another level of its own row stage, reads it; else in registers. */
#ifndef RONDO_LOWER_INT_H
#define RONDO_LOWER_INT_H

#include <math.h>
#include <string.h>

#include "ir/build.h"
#include "passes/explain.h"
#include "passes/lower.h"
#include "passes/passes.h"

typedef enum { GEMM_ROWS, GEMM_GRADIENT } GemmKind;
/* Whether dot r is one of the two forms that run as tiles: rows x matrix, or a sum over rows of outer products. */
bool dot_is_gemm(const Graph *g, Ref r, DotInfo *info, GemmKind *kind);
/* A product C[m, n] = sum over k of A[m, k] P[k, n] of matrices of one row each, or of all rows; for each index of the other labels
   that the result has. Dimensions of the operands, -1: not there; n is the result's last. */
typedef struct {
    int32_t n;
    int a, p, c;
} MatrixLoop;
typedef struct {
    bool swapped; /* A is in[1] */
    int32_t M, N, K;
    int am, ak, pk, pn, cm;
    MatrixLoop loop[2];
    uint32_t loops;
} MatrixForm;
bool dot_is_matrix(const Graph *g, Ref r, MatrixForm *f); /* whatever axes are summed */
bool is_matrix_row(const Graph *g, Ref r, MatrixForm *f); /* and none is */

/* A product of the steps of one sequence with those of another, example by example: numbers of pairs of steps, or vectors of the steps
   of one, sums over those of the other. */
typedef struct {
    bool scores; /* numbers: sums over features */
    bool outer; /* vectors of each pair, which are added to a carry: sums over the steps of the scan around */
    bool swapped; /* the rows are in[1]: of numbers, whichever has them; else what multiplies the vectors */
    uint32_t rows, other; /* axes: of the rows; of the columns, or summed; 0: the steps of the scan around */
    int32_t size; /* features */
} PairForm;
bool is_pairs(const Graph *g, Ref r, PairForm *f);

/* Where a value stands. Element of row (indices of `axes`) and feature index i: buf[row * ld + foff + sum fs[k] * i[k]], with
   row = the indices of the time axes in ascending order, the row axis innermost. */
typedef struct {
    bool ok;
    uint8_t elem;
    uint32_t buf;
    uint32_t axes;
    int64_t ld, foff, fs[MAX_RANK];
    uint32_t slots; /* axis with one more slot than steps (a stacked carry with its initial value); 0: none */
    int shift; /* added to the index of axis `slots` */
    bool spare; /* a vector that begins inside of a row may end past its last feature: nobody reads what is there */
    uint32_t chunk; /* 1 + axis of which only the current chunk has memory; 0: none */
    uint32_t seg; /* 1 + axis of which only the current segment has memory; 0: none */
    bool own; /* one row a thread, whatever rows it is about */
    bool jam; /* all its rows for each step of a block (lower_jam.c) */
    uint32_t bind; /* 1 + axis whose index is the step of the scan being placed; 0: none */
    LV at[MAX_AXES]; /* index along an axis; 0: the current one (Low.idx) */
} Loc;

typedef VEC(Loc) LocList;

/* What a node is in a sweep over the rows of matrices (lower_sweep.c). */
#define SWEEP_BLOCK 4 /* rows of which a turn follows another */
typedef enum { SWEEP_NONE, SWEEP_MATRIX, SWEEP_VALUE, SWEEP_ROW, SWEEP_COLUMN, SWEEP_TOTAL } SweepKind;

typedef struct {
    uint8_t kind;
    uint8_t sweep; /* SweepKind */
    bool mem; /* needs a Loc */
    bool scratch; /* needs memory for its own row only */
    bool scratch_row; /* needs memory for one row of it, a matrix, only */
    bool scalar_loop; /* innermost access is not contiguous: one element at a time */
    bool nest; /* has a loop nest of its own in a row item */
    Ref group; /* the scan, or the section, in whose chunks this node is computed; 0: none */
    bool chunk_only; /* nobody outside of the chunks reads it: memory for one chunk */
    bool beside; /* a product, and its one dot, that is computed beside the products of the steps it is for (lower_beside.c) */
    bool sunk; /* a product whose accumulator continues in each step of the one scan that reads it (place = step) */
    bool fused; /* a multiplication that only additions use: part of their fma */
    bool load; /* rate load: depends on parameters only */
    bool down; /* a sum over a time axis that goes from its end to its start (remat.c) */
    bool onto; /* a sum over this segment or chunk, added to what its place holds */
    bool done;
    uint32_t uses;
    uint32_t item; /* 1 + index in Graph.stage */
    uint32_t phase, loop_phase; /* the level that computes it; the level whose loop does */
    uint32_t early, latest; /* the first level that could, and the last */
    bool stays; /* in that first level */
    uint32_t turn; /* in each row of its sweep */
    uint32_t reader, reader_level; /* the one row stage that reads it, as `item`, and the last level there; 0: none */
    bool reader_apart; /* and that level does so in another loop, or at other elements, than a value that could stand there */
    bool lends; /* stands in memory of its own, which may become that of a value of its reader */
    Ref next_lender; /* with the same reader */
    Loc loc;
    LocList also; /* further places to store to */
    Ref whole; /* the concat in whose place this part of it is computed; 0: none */
    Loc chain; /* of a weight gradient that follows behind the steps (lower_behind.c): the sums of the block that they are in */
    Loc *root; /* of an out that is a root of the model: the caller's place, of one that the steps around it stack: that of the step, until
                  something writes there; NULL: none */
    LV row; /* row-scope value of a scalar */
    LV at_row; /* in a sweep: its value at the current row of the matrices */
    bool is_const; /* a captured constant */
    double value;
    Ref base; /* GEMM: what the accumulator starts from; 0: zero */
    uint32_t more; /* GEMM: products of the accumulator besides one */
    uint32_t copy; /* a product of matrices: the copy of its right operand, made before the rows; 0: none */
} NodeInfo;

typedef struct LowG LowG;
typedef struct Beside Beside;
typedef struct Behind Behind;
typedef struct Jam Jam;
typedef struct {
    uint32_t start, end; /* positions */
} LoopRange;
typedef struct {
    uint32_t buf, loop;
} LoopBuf;
/* A tile function that exists, and a matrix that is packed. */
typedef struct {
    int fam, m, nv, tail, init;
    bool add;
    uint32_t fn;
} TileKey;
typedef struct {
    Loc at;
    int64_t K, N, sk, sn;
    int w; /* vectors a panel */
    uint32_t buf;
} Pack;
#define PAIR_STEPS 4 /* of each sequence, in a tile of pairs, at most */
typedef struct {
    int32_t K;
    uint32_t fn;
} PairKey;

#define NEAR_WEIGHTS 8192 /* floats that stay in the first cache */
#define TILE_ROWS 6
#define HELD_VECTORS 2 /* a state of no more stays in registers from step to step; 32 of K without a loop is 3 KB of code */
#define TILE_VECTORS 12 /* of one row: with the broadcast they fit into 16 registers */
#define TILE_SEGMENTS 16
/* The first row of an operand, and the distance of its rows. */
typedef struct {
    uint32_t buf;
    LIdx at;
    LV step;
} TileOperand;
/* Rows of one panel: C = C0 + the sum of A P over segments; columns: C += A P, rows in tiles of `size` and, first, `more` of them
   of one more; matrix: C = A P, neighbours in A are a_k apart, P is no pack. */
typedef struct {
    bool columns, matrix, from; /* from: there is a C0 */
    int nv, tail; /* vectors of the panel, lanes of the last (0: all) */
    uint32_t nseg;
    int64_t size, more;
    TileOperand A[TILE_SEGMENTS], P[TILE_SEGMENTS], C0, C;
    LV K[TILE_SEGMENTS], a_stride[TILE_SEGMENTS], p_stride, a_k;
} TileRows;
typedef struct {
    TileRows like;
    uint32_t fn;
} RowsKey;
/* A panel of one row, C = C0 + A P, of nv vectors; every `every` k of it, one k of BESIDE_ROWS rows of BESIDE_VECTORS vectors of another. */
typedef struct {
    int nv, every;
    bool from, onto; /* there is a C0; the other goes on from something */
    int64_t a_stride; /* of the other's rows */
    uint32_t fn;
} BesideKey;

/* Some K of a panel of one row, of nv vectors, beside rows of a tile of a weight gradient: rows of its operands are a_ld and p_ld apart. */
typedef struct {
    int nv;
    int64_t a_ld, p_ld;
    uint32_t fn;
} BehindKey;

/* A sequence that is prefetched, at the level that touches it first. */
typedef struct {
    uint32_t buf, level;
    int64_t foff;
    LIdx at;
} Ahead;

typedef struct Low {
    Ctx *ctx;
    Arena *arena;
    Module *m;
    LProgram *p;
    LowerOptions o;
    Str *explain;
    LBuilder b;
    bool prepare; /* building the entry "prepare" */
    bool serial; /* thread 0 does everything: LProgram.one_thread */
    bool short_panels; /* of single rows: the first cache holds less than the matrices of a step, but a good part of them */
    bool turns; /* likewise: products of a step that follow each other are walked back and forth */
    bool columns; /* threads share the columns of products, thread 0 has all rows */
    uint32_t bx; /* the row axis: B, or ELEM in an optimizer */
    LV idx[MAX_AXES]; /* current index of each axis; 0: none */
    uint32_t chunk; /* 1 + axis cut into chunks around the current code; 0: none */
    LV clo, chi; /* the current chunk */
    LV blo, bhi; /* this thread's part of the row axis */
    uint32_t seg; /* 1 + axis that stands for one segment of it in the current code; 0: none */
    LV slo, shi; /* the current segment */
    bool ahead; /* what is read and written of sequences is prefetched, */
    LV ahead_rows; /* so many rows, times ahead_way, before it is needed; 0: a short distance */
    int ahead_way, ahead_units; /* or so many units of its own row; 0: none */
    LV jam_at; /* the step of a block */
    uint32_t level; /* of a row stage */
    VEC(Ahead) prefetched;
    uint32_t pos; /* counts items as they are emitted: lifetimes */
    VEC(LoopRange) loop;
    VEC(LoopBuf) across; /* buffers read in another iteration of a loop than they were written in */
    uint32_t theta, grad, *input_buf;
    VEC(TileKey) tiles;
    VEC(RowsKey) rows;
    VEC(BesideKey) besides;
    VEC(BehindKey) behinds;
    VEC(Pack) packs;
    VEC(PairKey) pairs;
    bool failed;
    uint32_t nname;
} Low;

struct LowG {
    Low *L;
    const Graph *g;
    LowG *up;
    NodeInfo *ni; /* [node.n] */
    bool body;
    bool by_row; /* a body whose steps follow one another for each row */
    bool segment; /* a body that is the work of one segment: sums over the axis and products before a scan stand in it too */
    bool load_phase; /* planning and emitting the nodes of rate load (entry "prepare") */
    uint32_t axis; /* of the scan whose body this is */
    ScanInfo scan;
    const bool *read_at_last; /* by node, of a body: as in zeros.c */
    Beside *beside; /* the product that those of this body take along; NULL: none */
    Behind *behind; /* the weight gradients that its products take along; NULL: none */
    Jam *jam; /* its steps go through its stages in blocks; NULL: one after the other */
    LV t; /* its step; a value of the body may have the axis all the same, as a whole captured sequence */
};

/* Index along one feature dimension while a loop is emitted; the lane dimension has one element a lane. */
typedef struct {
    LIdx i;
    bool lane;
} Ix;

#define MEMO_PAGE 64
/* A loop being emitted: dims, current indices, lanes, values computed in it. */
typedef struct {
    LowG *lg;
    int lanes; /* 0: one element in all lanes; V: full vectors; else a tail of that many */
    bool lane_rows; /* the lanes are rows (features are scalars) */
    uint32_t rank;
    Ix ix[MAX_RANK];
    LV **memo; /* values at the loop's own index, of MEMO_PAGE nodes each: a graph has thousands, a loop reads few. NULL: none are kept */
    LV *unit, *row; /* [node.n], of vectors at the lanes' own place, or at the row of these, in lower_columns.c; NULL: none */
} Eval;

/* lower_place.c */
uint32_t low_buf(Low *L, const char *name, LBufRole role, LElem e, uint32_t index, uint32_t axes, int64_t per_row, uint32_t slots);
Loc low_slab(LowG *lg, Ref r, uint32_t axes, const char *what);
Loc low_chunk_slab(LowG *lg, Ref r, uint32_t axis); /* memory for one chunk of that axis */
Loc low_row_slab(LowG *lg, Ref r); /* memory for one row of each thread */
bool low_frame_full(const Low *L, int64_t numbers);
Loc low_jam_slab(LowG *lg, Ref r); /* memory for a block of steps */
Loc low_local(LowG *lg, Ref r); /* the same on the stack, of the entry being built */
Loc low_matrix_row(LowG *lg, Ref r); /* for SWEEP_BLOCK rows of a matrix; Loc.foff says which */
Loc low_loc(LowG *lg, Ref r); /* place of a value, through shape operations; !ok if it has none */
Loc low_view(LowG *lg, Ref r); /* place of a shape operation as a view of its operand's */
Loc low_at_step(const LowG *bg, Loc l);
Loc low_at(Low *L, Loc l, uint32_t axis, LV t); /* of the whole axis, at its step t */
void low_touch(Low *L, uint32_t buf);
LIdx low_row(Low *L, const Loc *l); /* index of the current row's feature 0 */
bool low_is_fixed(const Low *L, const Loc *l); /* some axis has an index of its own */
LIdx low_row_at(Low *L, const Loc *l, LV row_of_bx);
const LCut *cut_of(const Low *L, uint32_t axis); /* NULL: not cut */
LV axis_lo(Low *L, uint32_t a); /* the steps of an axis that the current code is about: all, or one segment */
LV axis_hi(Low *L, uint32_t a);
LV axis_len(Low *L, uint32_t a);
uint64_t extent_dims(const Low *L, uint32_t axes); /* of a buffer with these axes */
const char *low_name(Low *L, const Graph *g, Ref r);
uint32_t loop_begin(Low *L);
void loop_finish(Low *L, uint32_t loop);

/* kinds.c */
void plan_kinds(LowG *lg); /* allocates lg->ni */
bool is_elementwise(const Node *n);
bool is_scalar(const Node *n);
bool full_reduce(const Graph *g, Ref r); /* of all of a vector */
LElem elem_of(const Node *n);
static inline bool is_real(uint8_t kind) { return kind >= NK_ROW; }
/* Nodes that this phase (prepare or run) leaves alone: those of the other rate. */
static inline bool other_rate(const LowG *lg, Ref r) { return lg->ni[r].load != lg->load_phase; }
bool waits_for_scan(const LowG *lg, Ref r, Ref o); /* r, of what it reads, for o */
bool inputs_done(const LowG *lg, Ref r); /* whether the values that r is computed from exist, given the nodes marked done */
/* The values in registers or memory that r reads, through shape operations and inlined nodes. */
typedef void Visit(LowG *lg, Ref user, Ref value, bool mapped);
void visit_value(LowG *lg, Ref user, Ref o, bool mapped, Visit *f);
void visit_inputs(LowG *lg, Ref r, Visit *f);
/* Whether lanes along dimension `lane` of o (UINT32_MAX: of none) read every operand contiguously or as one value. */
bool contiguous(LowG *lg, Ref o, uint32_t rank, uint32_t lane);
bool argmax_in_lanes(LowG *lg, Ref r); /* lanes along the last dimension of what argmax r searches */

/* low.c */
Low *low_make(Module *m, const PassOptions *o); /* NULL with a diagnostic */
LowG *low_outer(Low *L); /* graph[0]: kinds and places */
LowG *low_body(LowG *lg, Ref scan); /* kinds of a scan's body */

/* explain.c: what of a plan has no fast form. */
void explain_slow(LowG *lg);

/* place.c */
#define CHUNK_ROWS 256 /* rows of a chunk: this many, rounded up to whole steps */
void apply_places(LowG *lg); /* NodeInfo.sunk, group, chunk_only as Graph.placed says */
bool low_single_row(const Low *L); /* lower.c: there is one row, and who is built now knows that, and has it alone */
bool single_chunks(const LowG *lg, Ref group); /* whether its chunks are of one step each */
Ref sunk_product(const LowG *bg, Ref leaf); /* the outer product that continues in this body, 0: none */

/* section.c */
void group_sections(LowG *lg, const Ref *only); /* NodeInfo.group, chunk_only; only: of the products those r for which only[r] is a section; NULL: all */
bool is_section(const LowG *lg, Ref group); /* of a NodeInfo.group: no scan's */
uint32_t group_axis(const LowG *lg, Ref group); /* the axis that is cut into chunks */

/* fuse.c, lower_stages.c */
void fuse_levels(LowG *lg); /* NodeInfo.phase and relatives, given NodeInfo.item */
bool plan_graph(LowG *lg); /* takes Graph.stage of this rate; false with a diagnostic if it is no order */

/* zeros.c */
bool zero_at_first(const LowG *bg, Ref r); /* in the first step that the loop makes */
int32_t zero_rows(const LowG *lg, Ref r, uint32_t axis, bool last); /* in so many first, or last, steps of an axis */
bool *read_at_last(const LowG *bg); /* by node: whether somebody reads its value of the last step that the loop makes */

/* lower_columns.c: the loop over steps of one stage, a vector of units at a time. */
typedef struct {
    LowG *bg; /* the body */
    const Loc *carry;
    const bool *slotted; /* by carry: a slot a step */
    LV lo, hi; /* its steps */
    void (*bind)(void *scan); /* gives values their places at bg->t */
    void *scan;
} Columns;
bool columns_fit(const Columns *c);
void emit_columns(const Columns *c);

/* lower_row.c, lower_eval.c */
void emit_row_stage(LowG *lg, const Stage *s);
#define LANES 16 /* of a reduction, whatever V is */
/* A vector loop. acc: of reduction k, sub-block s at k * LANES + s. */
typedef struct {
    VEC(Ref) node; /* computed here */
    VEC(Ref) reduce; /* accumulated here over the last dimension */
    VEC(Ref) column; /* accumulated here over others, in memory */
    LV *held; /* the values of these at the current columns; NULL: in memory */
    LV acc[32 * LANES];
} Fused;
void row_scalars(LowG *lg, const Stage *it, uint32_t phase); /* NodeInfo.row */
void fused_row(LowG *lg, Fused *f, const Ix *outer, uint32_t rank, int64_t F, bool few); /* over the last dimension, F elements */
/* One vector of it, `lanes` elements from at + offset on (at 0: from offset on); acc: of each reduction. */
void fused_block(LowG *lg, Fused *f, const Ix *outer, uint32_t rank, LV at, int64_t offset, int lanes, LV *acc);
void open_outer(LowG *lg, Ix *ix, uint32_t rank, const int32_t *dim); /* loops over all but the last dimension */
void close_outer(LowG *lg, uint32_t rank, const int32_t *dim);
void copy_loops(LowG *lg, Ref r, const Loc *to); /* a value of the current row */
void store_all(Eval *e, Ref r, LV v); /* to all places of r */
LV axis_at(const LowG *lg, uint32_t axis); /* where the loop over an axis stands */
Eval eval_make(LowG *lg, int lanes, uint32_t rank); /* at index 0 */
LV eval_known(const Eval *e, Ref r); /* its value at e's own index, if that is known; else 0 */
void eval_keep(Eval *e, Ref r, LV v);
void eval_forget(Eval *e); /* all that is known */
void eval_copy(Eval *e, const Eval *from); /* what is known there, and nothing else */
LV reduce_neutral(LBuilder *b, const Node *n); /* n: a sum or amax */
LV reduce_combine(LBuilder *b, const Node *n, LV x, LV y);
LV first_lanes(LBuilder *b, LV v, LV other, int lanes);
LV reduce_next(Eval *e, const Node *n, LV acc, uint32_t rank, const Ix *ix, bool in_lanes); /* with the operand there; in_lanes: the lanes are what is summed */
LV reduce_lanes(LBuilder *b, const Node *node, LV *acc, int n); /* n accumulators of V lanes to one value */
LV eval_node(Eval *e, Ref r);
RefVec hold_scalars(LowG *lg, const Fused *f);
void release_scalars(LowG *lg, const RefVec *held);
LV clamped_row(LBuilder *b, LV row, int64_t rows); /* of a table */
LV eval_at(Eval *e, Ref r, uint32_t rank, const Ix *ix);
void low_prefetch(Low *L, LV rows, int way); /* Low.ahead, until it is set to false */
LV load_value(Eval *e, const Loc *l, const Node *n); /* at e's own index */
void store_value(Eval *e, const Loc *l, const Node *n, LV v);
void emit_rows(LowG *lg, uint32_t axes, void (*body)(LowG *, void *), void *arg); /* loops over this thread's rows */
void emit_copy(LowG *lg, Ref r, const Loc *to); /* stores a value of this graph to a place, for the current indices' rows */

/* lower_reuse.c */
Ref *find_lenders(LowG *lg); /* by row stage, as NodeInfo.item: the first value that it alone reads */
bool take_place(LowG *lg, const Ref *first, Ref r); /* r's place becomes that of such a value, which is read no more; false: there is none */

/* lower_sweep.c */
SweepKind sweep_sum(LowG *lg, Ref r); /* of a sum or maximum */
void sweep_wanted(LowG *lg, bool *wanted); /* by node: read by the rows of a matrix */
bool sweep_value(const LowG *lg, Ref r); /* whether r, which is wanted, is computed in a sweep */
bool sweeps_together(const LowG *lg, Ref user, Ref o); /* user reads o in the row that computes it */
void emit_sweeps(LowG *lg, const Stage *s, uint32_t level);

/* lower_gemm.c */
/* How N columns are cut. */
typedef struct {
    int w; /* vectors a panel */
    int64_t full; /* panels of w full vectors */
    int last, tail; /* one more panel of `last` vectors, which may be w + 1, the last of them with `tail` lanes (0: all); last = 0: none */
    int64_t width; /* of that panel in a pack, in columns */
} Panels;
Panels cut_panels(const Low *L, int64_t N, int64_t max); /* of `max` vectors at most */
Panels cut_tiles(const Low *L, int64_t N); /* for tiles of several rows */
uint32_t emit_gemm(LowG *lg, uint32_t stage); /* gives how many of the next stages it has done too */
LIdx at_column(LBuilder *b, LIdx i, LV j, int64_t step, int64_t n0); /* column n0 + j * step from i on */
Panels cut_product(const Low *L, int64_t N); /* as the right operand of rows is */
uint32_t low_pack(LowG *lg, Ref dot); /* the buffer */
bool flat_rows(const Low *L, const Loc *l, uint32_t axes); /* from the row with all indices 0 on, rows over axes follow each other */

/* lower_gradient.c */
void emit_gradient(LowG *lg, Ref r);
uint32_t gradient_operands(const Graph *g, Ref r, Ref *A, Ref *P); /* whose elements are its rows, and its columns; gives the axes summed */
typedef struct {
    LV lo, hi; /* rows */
    LV size, count; /* of blocks */
} RowBlocks;
RowBlocks row_blocks(Low *L, uint32_t axes);
void row_block(Low *L, const RowBlocks *x, LV k, LV *first, LV *rows);

/* lower_beside.c */
#define BESIDE_ROWS 8 /* with as many vectors of the step's product: 24 accumulators, 3 operands */
#define BESIDE_VECTORS 2
int64_t least_sum(const LowG *lg, Ref r, uint32_t *count, Ref *dot); /* the least K of the products in an accumulator; how many; the last */
bool beside_fits(LowG *lg, Ref scan, Ref r); /* whether product r, in chunks of the scan, can be computed beside those of its steps */
bool beside_pays(LowG *lg, Ref scan, Ref r); /* and is better so */
Beside *beside_make(LowG *lg, Ref scan, uint32_t loop); /* what place put beside the steps of the scan, NULL: nothing */
void beside_first(LowG *lg, Ref r, LV *lo, LV *hi); /* the rows of r that the current chunk begins with */
void beside_step(LowG *bg); /* the work of a step, once that has a name */
bool beside_has(const LowG *bg, Ref r); /* whether something goes beside the step's product r */
bool beside_panel(LowG *bg, Ref r, TileRows *t, LV j); /* panel j (0: the first) of the step's product r, with what goes beside it; false: nothing does */

/* lower_behind.c */
Behind *behind_make(LowG *lg, Ref scan, uint32_t loop); /* before the steps of a scan: the gradients that they take along, NULL: none */
void behind_step(LowG *bg); /* the work of a step, once that has a name */
void behind_end(LowG *bg); /* when it is over */
bool behind_has(const LowG *bg, Ref r); /* as beside_has */
bool behind_panel(LowG *bg, Ref r, TileRows *t, LV j);
#define BEHIND_ROWS 16 /* the first rows of all, which no steps are behind */

/* lower_matrix.c: in a row stage */
void matrix_copies(LowG *lg, const Stage *s); /* before its rows */
void matrix_nest(LowG *lg, Ref r);
void emit_nest(LowG *lg, Ref r); /* lower_nest.c: a node with loops of its own */

/* lower_pairs.c */
void emit_pairs(LowG *lg, Ref r);

/* lower_jam.c: a loop over steps that carry nothing but sums, in blocks: each stage does all steps of a block. */
#define JAM_STEPS 12
typedef struct {
    Loc *place, unbound; /* bound to a step, and for all steps */
} JamPlace;
struct Jam {
    VEC(JamPlace) place;
    LV lo, hi; /* the current block */
};
bool jam_fits(const LowG *bg); /* but for carries */
void jam_begin(LowG *bg, LV lo, LV hi); /* the loop over blocks */
void jam_bind(LowG *bg, Loc *l); /* a place, to the step of each stage */
bool jam_stage(LowG *bg, const Stage *s); /* opens the loop over the steps of a block, or leaves them to a stage of pairs */
void jam_steps(LowG *bg);
void jam_steps_end(LowG *bg);

/* lower_tiles.c */
int tile_registers(const Low *L); /* accumulators of a tile */
LIdx lidx_past(LIdx x, int64_t columns); /* so many columns further */
int tile_most_rows(const Low *L, int nv); /* of a tile in a panel of nv vectors */
void tile_one_row(Low *L, TileRows *const *t, uint32_t n); /* row 0 of n products at once: one last A for all, no more than TILE_VECTORS */
void tile_rows(Low *L, TileRows *t, LV lo, LV hi); /* columns: lo, hi count tiles */

/* lower_items.c */
void low_share(Low *L, int64_t n, LV *lo, LV *hi); /* this thread's part of 0..n */
void low_fill(LowG *lg, Ref r, LV v, bool split); /* one value in every element of a sum's place; split: the threads share it */
void emit_axis(LowG *lg, Ref r);
void emit_scatter(LowG *lg, Ref r);
void emit_time(LowG *lg, Ref r);
void emit_scan(LowG *lg, Ref r);
/* the loop over the chunks of an axis, with n carries; L->chunk, until end_chunk */
void begin_chunk(Low *L, uint32_t axis, bool reverse, bool single, uint32_t n, const LV *init, LV *inner);
void end_chunk(Low *L, uint32_t n, const LV *next, LV *result);
void emit_stages(LowG *lg, Ref group); /* the stages of one group; 0: those of none */
void emit_barrier(Low *L);
void place_caller_leaves(LowG *lg); /* parameters, inputs, lengths */
void give_places(LowG *lg); /* memory for what the plan wants in memory and has none yet */

void low_fail(Low *L, const char *what);

/* remat.c */
void remat_order(LowG *lg); /* after plan_kinds of graph 0: which sums over time go down */

#endif
