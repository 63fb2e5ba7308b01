/* passes: rewrites of the tensor graph. Each pass is one function over a module; the table below is the only list of them.
   docs/ir.md, sections 3 to 5 and 10, is the reference. Every pass leaves a module that module_verify accepts, with the same
   meaning; "applied twice changes nothing more" holds for all but autodiff. */
#ifndef RONDO_PASSES_H
#define RONDO_PASSES_H

#include "ir/graph.h"

typedef struct PassOptions {
    /* What autodiff is asked for. Needs a root LOSS; parameters that are const get no gradient. */
    bool grad;
    const bool *want_input; /* by index in Module.input: ROOT_GRAD_INPUT for these (dtype F); NULL: none */

    /* What jvp is asked for: directions for these, by index in Module.param and Module.input; both NULL: all parameters. */
    bool jvp;
    const bool *tangent_param, *tangent_input;

    /* Watching; all may be 0. Names are those of the table; "all" after print_after means each pass. */
    const char *print_after, *stop_after;
    const char *const *disable; /* names, NULL-terminated */
    Str *print; /* print_after writes here: "; after NAME", then the module or "(unchanged)" */
    Str *times; /* one line a pass: seconds, nodes before and after, name */
    bool no_verify; /* skip module_verify between the passes */
} PassOptions;

typedef struct {
    const char *name, *about;
    bool (*run)(Module *m, const PassOptions *o); /* true if it changed m */
    bool optional; /* may be disabled without loss of meaning */
} Pass;
extern const Pass pass_table[];
extern const uint32_t pass_count;

/* The pipeline of graph passes: simplify stabilize merge_gemm distribute simplify [autodiff, jvp, simplify distribute simplify]
   merge_gemm simplify.
   False if a verification failed, an unknown name was given or out of autodiff's reach (diagnostics say which). */
bool passes_run(Module *m, const PassOptions *o);
/* One pass by name, verified before and after; *changed may be NULL. False with a diagnostic. */
bool passes_run_named(Module *m, const char *name, const PassOptions *o, bool *changed);

bool pass_settle(Module *m, const PassOptions *o); /* drops what only a derivative needed; no derivatives are made after it */
bool pass_simplify(Module *m, const PassOptions *o); /* fold, share, dead code; sums of pads, scan operands and outs */
bool pass_stabilize(Module *m, const PassOptions *o); /* log(sigmoid), softmax and relatives to stable forms */
bool pass_distribute(Module *m, const PassOptions *o); /* scan into before, loop and after */
bool pass_autodiff(Module *m, const PassOptions *o); /* appends GRAD_PARAM and GRAD_INPUT roots; runs even if !o->grad */
bool pass_jvp(Module *m, const PassOptions *o); /* appends derivatives in a direction: inputs "tangent/..", roots VALUE "jvp/.." */
bool pass_merge_gemm(Module *m, const PassOptions *o); /* products of one operand into one product */

#endif
