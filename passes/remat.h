/* Private to recomputation: remat.c says what it does, remat_flow.c where a node can be computed, remat_build.c makes the
   graphs. */
#ifndef RONDO_REMAT_H
#define RONDO_REMAT_H

#include "passes/lower_int.h"

typedef enum { OUTSIDE, STEP, REDUCE, SCAN } Role; /* not of T; computed by segments; a sum over T; a scan over T */

typedef struct {
    LowG *lg;
    const Graph *g;
    uint32_t axis; /* T */
    uint8_t *role;
    bool *whole; /* a STEP that is read at other steps than its own: kept for all of T */
    uint32_t *at; /* OUTSIDE: how many sweeps come before; others: the first sweep that can compute it. Even ones go up */
} Flow;

Flow flow_of(LowG *lg, uint32_t axis);
bool stands(const Flow *f, Ref r); /* in memory, or a view of it: what can be kept, and read from outside of its graph */

typedef struct {
    bool *carry, *out, *node; /* of a scan: its carries, its stacks, the nodes of its body */
    Ref *leaf; /* in the sweep's body, by carry: the value at the segment's start */
    Ref *kept; /* in graph 0, by carry: its values at the starts of all segments */
    uint32_t *index; /* by out of the scan: of its copy; after them, by carry: of the final value */
} Part;

typedef struct {
    Ref scan, last; /* last: in the sweep's body, the carry after the segment */
    uint32_t carry;
} Home;

typedef VEC(Pin) Pins;
typedef struct {
    bool *node; /* by Ref: computed in this sweep */
    Part **part; /* by Ref of a scan */
    Graph *g;
    Pins pins;
    Ref *map, *whole; /* whole: of what is read at other steps too, which another sweep has kept */
    VEC(Home) home; /* carries of the scans that run here first */
    VEC(Ref) init; /* of these, then of the sums */
    VEC(Ref) step;
    VEC(Ref) capture;
} Sweep;

typedef struct {
    Low *L;
    Module *m;
    Flow f;
    uint32_t sweeps, segments; /* count; the axis of segments */
    Sweep *sweep;
    LowG **body; /* by Ref of a scan over T: its body, planned */
    Graph *g; /* graph 0 to be */
    Pins pins;
    Ref *map;
} Remat;

bool kept(const Remat *x, Ref r); /* a STEP with memory for all steps */
bool reads_whole(const Remat *x, Ref r); /* r reads its operands at other steps than its own */
bool has_work(const Remat *x, uint32_t k); /* sweep k computes something */
void build_graphs(Remat *x); /* x->g and the bodies of the sweeps, from what need_sweep marked; with their pins and cuts */

#endif
