/* The table of passes and the pipelines that run them: straight-line, verified between passes.
     module as built -> passes_run -> module -> passes_lower -> loop program -> codegen/
   A pass is a row of the table; print_after and its relatives know it from there. */
#include <string.h>
#include <time.h>

#include "passes/passes.h"

const Pass pass_table[] = {
    {"simplify", "fold, share equal nodes, remove dead code and needless operands of scans", .graph = pass_simplify, .optional = true},
    {"stabilize", "rewrite log(sigmoid), log(softmax) and relatives so that they neither overflow nor cancel",
     .graph = pass_stabilize, .optional = true},
    {"reciprocal", "divide once where many elements are divided by one number", .graph = pass_reciprocal, .optional = true},
    {"heads", "make of a product by heads one product a head, that can be merged, moved and tiled", .graph = pass_heads, .optional = true},
    {"distribute", "split each scan into work before, inside and after its loop", .graph = pass_distribute, .optional = true},
    {"upend", "carry states that are tall, narrow matrices upside down", .graph = pass_upend, .optional = true},
    {"merge_gemm", "make one product of the products of one operand", .graph = pass_merge_gemm, .optional = true},
    {"autodiff", "append the gradients of the loss (reverse mode)", .graph = pass_autodiff},
    {"jvp", "append the derivatives of all results in one direction (forward mode)", .graph = pass_jvp},
    {"follow", "compute in a loop's steps what follows from them row by row", .graph = pass_follow, .optional = true},
    {"sink", "compute in a loop's steps what is cheap and only enters the loop", .graph = pass_sink, .optional = true},
    {"settle", "drop what only a derivative needed", .graph = pass_settle},
    {"thin", "compute products with few inputs in the elementwise loops that read them", .graph = pass_thin, .optional = true},
    {"legalize", "mask ragged axes, make sums carries and products one of two forms: what loops can be made of", .graph = pass_legalize},
    {"flush", "make 0 of carried values that fade away, before they are denormal", .graph = pass_flush, .optional = true},
    {"remat", "work through long axes in segments, recomputing, where --memory asks for it", .graph = pass_remat},
    {"place", "decide where products over whole sequences are computed: in the step, in chunks, at once", .graph = pass_place},
    {"fuse", "group the nodes of every graph into stages, their levels into loops", .graph = pass_fuse},
    {"lower_loops", "make a loop program of the stages", .lower = pass_lower_loops},
    {"plan_memory", "let buffers that do not live at the same time share memory", .loops = pass_plan_memory},
    {"share", "make one function of loops that differ in their places only", .loops = pass_share, .optional = true},
};
const uint32_t pass_count = sizeof pass_table / sizeof *pass_table;

/* What a pass works on: a module, then a program made of it. */
typedef struct {
    Ctx *ctx;
    Module *m;
    LProgram *p;
} Work;

static const Pass *find_pass(const char *name)
{
    for (uint32_t i = 0; i < pass_count; i++)
        if (!strcmp(pass_table[i].name, name)) return &pass_table[i];
    return NULL;
}

static bool known(Ctx *ctx, const char *name)
{
    const char *names[sizeof pass_table / sizeof *pass_table], *near;

    if (!name || find_pass(name) || !strcmp(name, "all")) return true;
    for (uint32_t i = 0; i < pass_count; i++) names[i] = pass_table[i].name;
    diag_error(ctx, 1, (Span){0, 0}, "no pass is called '%s'", name);
    near = nearest_name(name, names, pass_count);
    if (near) diag_help(ctx, (Span){0, 0}, "did you mean '%s'?", near);
    return false;
}

static bool disabled(const PassOptions *o, const Pass *p)
{
    for (const char *const *d = o->disable; d && *d; d++)
        if (p->optional && !strcmp(*d, p->name)) return true;
    return false;
}

static uint32_t count_nodes(const Work *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; !w->p && i < w->m->graph.n; i++) n += w->m->graph.at[i]->node.n - 1;
    for (uint32_t i = 0; w->p && i < w->p->fn.n; i++) n += w->p->fn.at[i]->inst.n;
    return n;
}

static void report(const Work *w, const PassOptions *o, const Pass *p, bool changed)
{
    if (!o->print || !o->print_after) return;
    if (strcmp(o->print_after, "all") && strcmp(o->print_after, p->name)) return;
    str_printf(o->print, "; after %s%s\n", p->name, changed ? "" : " (unchanged)");
    if (changed && w->p)
        lprogram_print(o->print, w->p);
    else if (changed)
        module_print(o->print, w->m);
}

static bool apply(Work *w, const PassOptions *o, const Pass *p)
{
    if (p->graph) return p->graph(w->m, o);
    if (p->loops) return p->loops(w->p, o);
    w->p = p->lower(w->m, o);
    return w->p != NULL;
}

static bool run(Work *w, const PassOptions *o, const Pass *p, bool *changed)
{
    uint32_t errors = diag_error_count(w->ctx), before = count_nodes(w);
    clock_t start = clock();
    bool did = apply(w, o, p);

    if (o->times)
        str_printf(o->times, "%9.6f s %6u -> %6u  %s\n", (double)(clock() - start) / CLOCKS_PER_SEC, (unsigned)before,
                   (unsigned)count_nodes(w), p->name);
    if (changed) *changed = did;
    if (diag_error_count(w->ctx) != errors || (p->lower && !did)) return false;
    report(w, o, p, did);
    if (o->no_verify) return true;
    return w->p ? lprogram_verify(w->p, p->name) : module_verify(w->m, p->name);
}

static bool known_options(Ctx *ctx, const PassOptions *o)
{
    if (!known(ctx, o->print_after) || !known(ctx, o->stop_after)) return false;
    for (const char *const *d = o->disable; d && *d; d++)
        if (!known(ctx, *d)) return false;
    return true;
}

/* Runs the passes named, but for the disabled ones; *stopped: that was the last one wanted. */
static bool run_list(Work *w, const PassOptions *o, const char *const *name, bool *stopped)
{
    for (*stopped = false; *name && !*stopped; name++) {
        const Pass *p = find_pass(*name);
        if (disabled(o, p) || (p->graph == pass_autodiff && !o->grad) || (p->graph == pass_jvp && !o->jvp)) continue;
        if (!run(w, o, p, NULL)) return false;
        *stopped = o->stop_after && !strcmp(o->stop_after, p->name);
    }
    return true;
}

/* merge_gemm first, so that distribute hoists whole accumulators; again at the very end, for what only then stands side by
   side, and not before autodiff: the gradients of products merged late would be put side by side only to be taken apart. */
bool passes_run(Module *m, const PassOptions *o)
{
    static const char *const forward[] = {"settle", "simplify", "stabilize", "reciprocal", "heads", "merge_gemm", "distribute", "simplify", "upend", NULL};
    static const char *const backward[] = {"autodiff", "jvp", "settle", "simplify", "distribute", "simplify", NULL};
    static const char *const last[] = {"merge_gemm", "simplify", "sink", "follow", "sink", NULL};
    /* gradients carried forward: nothing may leave the loop that would have memory for all steps */
    static const char *const carried[] = {"simplify", "stabilize", "reciprocal", "autodiff", "jvp", "settle", "simplify", "merge_gemm", "simplify", NULL};
    bool derive = o->grad || o->jvp; /* then settle comes after it */
    const char *const *const part[3] = {forward + derive, backward, last};
    Work w = {m->ctx, m, NULL};
    bool stopped = false;

    if (!known_options(m->ctx, o)) return false;
    if (o->grad && o->gradient) return run_list(&w, o, carried, &stopped);
    for (int i = 0; i < 3 && !stopped; i++)
        if ((i != 1 || derive) && !run_list(&w, o, part[i], &stopped)) return false;
    return true;
}

static const char *const lowering[] = {"thin", "legalize", "flush", "remat", "place", "fuse", "lower_loops", "plan_memory", "share", NULL};

bool pass_is_lowering(const char *name)
{
    for (const char *const *l = lowering; *l; l++)
        if (!strcmp(*l, name)) return true;
    return false;
}

bool passes_lower(Module *m, const PassOptions *o, LProgram **p)
{
    Work w = {m->ctx, m, NULL};
    bool stopped, ok = known_options(m->ctx, o) && run_list(&w, o, lowering, &stopped);

    *p = ok ? w.p : NULL;
    return ok;
}

LProgram *lower_module(Ctx *ctx, Arena *a, const Module *m, const LowerOptions *o, Str *explain)
{
    PassOptions po = {0};
    LProgram *p;

    if (o->watch) po = *o->watch;
    po.lower = o;
    po.explain = explain;
    if (passes_lower(module_copy(m, a), &po, &p) && !p)
        diag_error(ctx, 724, (Span){0, 0}, "the passes were stopped after '%s', before there was a program to run", po.stop_after);
    return p;
}

bool passes_run_on(Module *m, LProgram **p, const char *name, const PassOptions *o, bool *changed)
{
    Work w = {m ? m->ctx : (*p)->ctx, m, *p};
    const Pass *pass;
    bool ok;

    if (!known(w.ctx, name) || !(pass = find_pass(name))) return false;
    if (pass->loops ? !w.p : w.p != NULL) {
        diag_error(w.ctx, 724, (Span){0, 0}, "pass '%s' works on a %s", name, pass->loops ? "loop program" : "tensor graph");
        return false;
    }
    if (!o->no_verify && !(w.p ? lprogram_verify(w.p, "the input") : module_verify(m, "the input"))) return false;
    ok = run(&w, o, pass, changed);
    *p = w.p;
    return ok;
}

bool passes_run_named(Module *m, const char *name, const PassOptions *o, bool *changed)
{
    LProgram *p = NULL;

    return passes_run_on(m, &p, name, o, changed);
}
