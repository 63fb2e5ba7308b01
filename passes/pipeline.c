/* The table of passes and the pipeline that runs them: straight-line, verified between passes. */
#include <string.h>
#include <time.h>

#include "passes/passes.h"

const Pass pass_table[] = {
    {"simplify", "fold, share equal nodes, remove dead code and needless operands of scans", pass_simplify, true},
    {"stabilize", "rewrite log(sigmoid), log(softmax) and relatives so that they neither overflow nor cancel", pass_stabilize, true},
    {"distribute", "split each scan into work before, inside and after its loop", pass_distribute, true},
    {"merge_gemm", "make one product of the products of one operand", pass_merge_gemm, true},
    {"autodiff", "append the gradients of the loss (reverse mode)", pass_autodiff, false},
    {"jvp", "append the derivatives of all results in one direction (forward mode)", pass_jvp, false},
    {"settle", "drop what only a derivative needed", pass_settle, false},
};
const uint32_t pass_count = sizeof pass_table / sizeof *pass_table;

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

static uint32_t count_nodes(const Module *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->graph.n; i++) n += m->graph.at[i]->node.n - 1;
    return n;
}

static void report(const Module *m, const PassOptions *o, const Pass *p, bool changed)
{
    if (!o->print || !o->print_after) return;
    if (strcmp(o->print_after, "all") && strcmp(o->print_after, p->name)) return;
    str_printf(o->print, "; after %s%s\n", p->name, changed ? "" : " (unchanged)");
    if (changed) module_print(o->print, m);
}

static bool run(Module *m, const PassOptions *o, const Pass *p, bool *changed)
{
    uint32_t errors = diag_error_count(m->ctx), before = count_nodes(m);
    clock_t start = clock();
    bool did = p->run(m, o);

    if (o->times)
        str_printf(o->times, "%9.6f s %6u -> %6u  %s\n", (double)(clock() - start) / CLOCKS_PER_SEC, (unsigned)before,
                   (unsigned)count_nodes(m), p->name);
    if (changed) *changed = did;
    if (diag_error_count(m->ctx) != errors) return false;
    report(m, o, p, did);
    return o->no_verify || module_verify(m, p->name);
}

/* merge_gemm first, so that distribute hoists whole accumulators; again at the very end, for what only then stands side by
   side, and not before autodiff: the gradients of products merged late would be put side by side only to be taken apart. */
bool passes_run(Module *m, const PassOptions *o)
{
    static const char *const forward[] = {"settle", "simplify", "stabilize", "merge_gemm", "distribute", "simplify", NULL};
    static const char *const backward[] = {"autodiff", "jvp", "settle", "simplify", "distribute", "simplify", NULL};
    static const char *const last[] = {"merge_gemm", "simplify", NULL};
    const char *const *const part[3] = {forward, backward, last};

    if (!known(m->ctx, o->print_after) || !known(m->ctx, o->stop_after)) return false;
    for (const char *const *d = o->disable; d && *d; d++)
        if (!known(m->ctx, *d)) return false;
    for (int i = 0; i < 3; i++) {
        for (const char *const *name = part[i]; *name && (i != 1 || o->grad || o->jvp); name++) {
            const Pass *p = find_pass(*name);
            if (p->run == pass_settle && i == 0 && (o->grad || o->jvp)) continue; /* the derivatives are still to come */
            if (disabled(o, p) || (p->run == pass_autodiff && !o->grad) || (p->run == pass_jvp && !o->jvp)) continue;
            if (!run(m, o, p, NULL)) return false;
            if (o->stop_after && !strcmp(o->stop_after, p->name)) return true;
        }
    }
    return true;
}

bool passes_run_named(Module *m, const char *name, const PassOptions *o, bool *changed)
{
    const Pass *p;

    if (!known(m->ctx, name) || !(p = find_pass(name))) return false;
    if (!o->no_verify && !module_verify(m, "the input")) return false;
    return run(m, o, p, changed);
}
