/* passes: all that happens to a module between the front end and code generation. Each pass is one function and one row of the
   table below, the only list of them; docs/ir.md, sections 5, 8 to 12, is the reference. Graph passes rewrite the tensor graph
   or, from place on, add decisions to it; lower_loops makes a loop program of both; plan_memory and share work on that. What any of them
   leaves is verified, can be printed, and parses back to the same. "Applied twice changes nothing more" holds for all but
   autodiff (and lower_loops, which cannot be). */
#ifndef RONDO_PASSES_H
#define RONDO_PASSES_H

#include "passes/lower.h"

/* How the gradient of a scan over time is found: backwards over its steps, or carried forward with the state: exactly
   (real-time recurrent learning), or with the influence of a weight kept where it touches the state within one step (SnAp-1). */
typedef enum { GRADIENT_BPTT, GRADIENT_RTRL, GRADIENT_SNAP1 } GradientMode;
extern const char *const gradient_name[]; /* "bptt", .., NULL */

/* Windows of a sequence: the influences that a window ends with become states of the module (ROOT_FINAL, after those of the model),
   and those it starts with their inputs; else they start at 0. */
typedef enum { INFLUENCE_INSIDE, INFLUENCE_OUT, INFLUENCE_IN_OUT } InfluenceUse;

typedef struct PassOptions {
    /* What autodiff is asked for. Needs a root LOSS; parameters that are const get no gradient. */
    bool grad;
    GradientMode gradient;
    InfluenceUse influence;
    bool *inexact; /* becomes true if a part of the gradient is left out (snap1) */
    const bool *want_input; /* by index in Module.input: ROOT_GRAD_INPUT for these (dtype F); NULL: none */

    /* What jvp is asked for: directions for these, by index in Module.param and Module.input; both NULL: all parameters. */
    bool jvp;
    const bool *tangent_param, *tangent_input;

    /* What legalize, remat, place, fuse, lower_loops and plan_memory are asked for; NULL: 4 lanes, 16 registers, no place forced. */
    const LowerOptions *lower;
    Str *explain; /* lines of what they did; may be NULL */

    /* Watching; all may be 0. Names are those of the table; "all" after print_after means each pass. */
    const char *print_after, *stop_after;
    const char *const *disable; /* names, NULL-terminated */
    Str *print; /* print_after writes here: "; after NAME", then the module or program, or "(unchanged)" */
    Str *times; /* one line a pass: seconds, nodes (of a program: instructions) before and after, name */
    bool no_verify; /* skip verification between the passes */
} PassOptions;

typedef struct {
    const char *name, *about;
    /* one of: */
    bool (*graph)(Module *m, const PassOptions *o); /* true if it changed m */
    LProgram *(*lower)(Module *m, const PassOptions *o); /* NULL with diagnostics */
    bool (*loops)(LProgram *p, const PassOptions *o); /* true if it changed p */
    bool optional; /* may be disabled without loss of meaning */
} Pass;
extern const Pass pass_table[];
extern const uint32_t pass_count;

/* The pipeline of graph passes: simplify stabilize reciprocal merge_gemm distribute simplify upend [autodiff, jvp, simplify distribute simplify]
   merge_gemm simplify sink.
   False if a verification failed, an unknown name was given or out of autodiff's reach (diagnostics say which). */
bool passes_run(Module *m, const PassOptions *o);
/* The rest, with o->lower: legalize flush remat place fuse lower_loops plan_memory share. m changes; *p: the program, NULL if o->stop_after comes
   before lower_loops. lower_module (lower.h) does this to a copy. */
bool passes_lower(Module *m, const PassOptions *o, LProgram **p);
bool pass_is_lowering(const char *name); /* whether it is one of these */
/* One pass by name, verified before and after; *changed may be NULL. False with a diagnostic. passes_run_on: a pass of any row
   of the table; lower_loops sets *p, which is NULL before; those after it work on *p (then m may be NULL). */
bool passes_run_named(Module *m, const char *name, const PassOptions *o, bool *changed);
bool passes_run_on(Module *m, LProgram **p, const char *name, const PassOptions *o, bool *changed);

bool pass_settle(Module *m, const PassOptions *o); /* drops what only a derivative needed; no derivatives are made after it */
bool pass_simplify(Module *m, const PassOptions *o); /* fold, share, dead code; sums of pads, scan operands and outs */
bool pass_stabilize(Module *m, const PassOptions *o); /* log(sigmoid), softmax and relatives to stable forms */
bool pass_heads(Module *m, const PassOptions *o); /* products by heads: one a head */
bool pass_reciprocal(Module *m, const PassOptions *o); /* one division where many elements are divided by one number */
bool pass_distribute(Module *m, const PassOptions *o); /* scan into before, loop and after */
bool pass_upend(Module *m, const PassOptions *o); /* states that are tall, narrow matrices, upside down */
bool pass_follow(Module *m, const PassOptions *o); /* rows that a loop makes or reads all for, into its steps */
bool pass_thin(Module *m, const PassOptions *o); /* products with few inputs, into the elementwise loops that read them */
bool pass_sink(Module *m, const PassOptions *o); /* what is cheap and only enters a loop, into its steps */
bool pass_autodiff(Module *m, const PassOptions *o); /* appends GRAD_PARAM and GRAD_INPUT roots; runs even if !o->grad */
bool pass_jvp(Module *m, const PassOptions *o); /* appends derivatives in a direction: inputs "tangent/..", roots VALUE "jvp/.." */
bool pass_merge_gemm(Module *m, const PassOptions *o); /* products of one operand into one product */
bool pass_legalize(Module *m, const PassOptions *o); /* masks, carries for sums, products of two forms: what loops are made of */
bool pass_flush(Module *m, const PassOptions *o); /* carried values below 2^-100 (f64: 2^-1000) become 0 */
bool pass_remat(Module *m, const PassOptions *o); /* cuts the axes o->lower->segments: Module.cut, Graph.cut and .pin */
bool pass_place(Module *m, const PassOptions *o); /* writes Graph.placed of graph[0] */
bool pass_fuse(Module *m, const PassOptions *o); /* writes Graph.stage of every graph */
LProgram *pass_lower_loops(Module *m, const PassOptions *o); /* in m's arena */
bool pass_plan_memory(LProgram *p, const PassOptions *o); /* LBuf.slot */
bool pass_share(LProgram *p, const PassOptions *o); /* loops that do the same at other places: one function */

#endif
