/* Private to distribute*.c: one scan being split. Arrays are by node of the old body. */
#ifndef RONDO_DISTRIBUTE_H
#define RONDO_DISTRIBUTE_H

#include "passes/passes.h"
#include "passes/rewrite.h"

enum { VARY_STEP = 1, VARY_CARRY = 2 }; /* else invariant: no carry, step, iota, noise beneath */
typedef enum { IN, PRE, POST } Where;

typedef struct {
    Module *m;
    Arena *a;
    Graph *host; /* where the scan stands */
    const Graph *g; /* its old body */
    Graph *body; /* its new body */
    uint32_t axis, ncarry;
    bool reverse, ragged, nested;
    const Ref *init, *step, *capture; /* old operands, in host */
    Users users;

    uint8_t *vary; /* VARY_* */
    uint8_t *lift; /* no carry beneath and every node beneath can be evaluated at all steps at once */
    uint8_t *product; /* a dot of kind PRODUCT */
    uint8_t *reaches_next;
    uint8_t *where; /* Where */
    uint8_t *copied; /* PRE, but made again inside too: cheap and used there */
    uint8_t *stacked; /* stays inside and its stack is an out */
    uint8_t *summed; /* stays inside and its sum is an out */
    uint8_t *gone; /* by carry: became a sum out */
    int8_t *sign; /* by carry that is gone: last = init + sign * sum */
    Ref *term; /* by carry that is gone: what is summed, in the old body */

    Ref *pre, *post; /* host values by old node: before, after the loop; 0: not made */
    Ref scan;
    RefVec new_step, new_capture;
    Ref *in; /* new body, by old node */
    uint32_t *carry_to;
} Split;

/* distribute_plan.c: decides where, copied, stacked, summed. */
void split_analyse(Split *s);
void split_choose(Split *s);
bool evaluates_at_once(const Split *s, Ref r);
bool has_stack(const Split *s, Ref r); /* its values of all steps are there after the loop */
void need_stack(Split *s, Ref r);

/* distribute_sum.c: Σ_t of a value of the body, after the loop. First planned (marks stacked, summed), then emitted. */
void split_plan_sums(Split *s);
Ref split_sum(Split *s, Ref r);
Ref split_summed(const Split *s, Ref r); /* of a value with summed: what the loop has to make for its sum */

/* distribute.c */
Ref host_after(Split *s, Ref r);

#endif
