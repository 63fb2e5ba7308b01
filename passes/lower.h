/* lower: a module after the graph passes becomes a loop program, by the passes legalize, place, fuse, lower_loops,
   plan_memory and share of the table (passes.h). The program has the entries "prepare" (theta -> packs; absent when nothing is packed)
   and "run". */
#ifndef RONDO_LOWER_H
#define RONDO_LOWER_H

#include "ir/graph.h"
#include "ir/loop.h"

enum { TURNING_LANES = 8 }; /* narrower ones wait for arithmetic, not for caches */
typedef struct LowerOptions {
    bool f64;
    int V; /* lanes of the build's float: 1 4 8 16 */
    int registers; /* vector registers of the target: 16 or 32 */
    MathTier math;
    Place place;
    bool no_reuse; /* every buffer its own memory (a debugging aid: same bits) */
    bool no_share; /* no loops become one function: their buffers are not all stored alike (same) */
    bool share_columns; /* threads share the columns of products, as for few rows and large matrices (same) */
    uint32_t segments; /* set of time axes to work through in segments, recomputing (remat.c; LProgram.cut). Same bits */
    int panel; /* columns of a packed matrix's panels, so that programs of different V share packs; 0: what suits V */
    bool turns; /* with panel: none is wider than that, and vectors of TURNING_LANES walk a step's panels back and forth (dim[LDIM_TURN]) */
    bool one_row; /* every call is about one example: no loops over rows and, on one thread, no shares of them */
    bool one_step; /* for one step of one example on one thread, and nothing else: loops over rows and steps vanish */
    bool zeros_written; /* gradients that are 0 whatever is read are in memory already, and no entry writes them (gradient_is_zero) */
    int frame; /* numbers that an entry has on the stack for values of rows, the others are in its workspace; 0: any. Same bits */
    int64_t batch, steps; /* what place and the schedule are costed for; 0: 32 and 100. No bit depends on it */
    int threads; /* likewise; 0: 1 */
    const struct PassOptions *watch; /* print_after and its relatives; may be NULL */
} LowerOptions;

/* How many of the target's lanes a program of this module has use for: half of them while no carry fills more than that, since
   a vector wider than the recurrence delays each step by partial stores and adds nothing. No bit depends on it. */
int lower_lanes(const Module *m, int lanes);
/* Whether the widest carry leaves no more than a quarter of its vectors empty; what has none does. */
bool lower_fills(const Module *m, int lanes);

/* Whether the matrices that a step multiplies by, of numbers of so many bytes, are more than a first cache holds, but so few that what it
   has of them is worth to begin with: the panels of a step are walked back and forth then. No bit depends on it. */
bool lower_turns(const Module *m, int bytes);

/* Whether root i is the gradient of a weight that nothing of the loss depends on: 0 for every input. */
bool gradient_is_zero(const Graph *g, uint32_t i);

/* NULL with diagnostics. `explain` (may be NULL) gets lines of what was merged, hoisted, sunk, fused, or took a slow path. */
LProgram *lower_module(Ctx *ctx, Arena *a, const Module *m, const LowerOptions *o, Str *explain);

#endif
