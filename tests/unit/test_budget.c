/* test_budget: what the compiler may make of the models of bench/ and of every recurrent cell of std (the models of
   tests/models/cells.rondo). Run from the source root.
   Time stays a loop: a program for 10 steps is the program for 10,000, letter by letter, forward and training; and it has at most
   so many operations. The training step of a layer-norm LSTM has at most 4000 LLVM instructions besides the shared tiles.
   Of equal layers one is compiled: a further one costs less than a twentieth of four.
   Structure: in the body of a scan stands no product that could stand before or after the loop, and nothing adds up a
   product over the steps. No time is measured. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "codegen/codegen.h"
#include "passes/lower.h"
#include "runtime/runtime.h"

enum { BUDGET = 4000, OPERATIONS = 6000, BATCH = 32 };
static uint32_t most; /* operations of the largest program */
static Ctx *ctx;
static int passed, failed;

static void verdict(bool ok, const char *model, bool grad, const char *what) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED: %s, %s: %s\n", model, grad ? "training" : "forward", what);
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    diag_render(ctx, &s, false);
    if (s.n) printf("%.*s", (int)s.n, s.at);
    diag_clear(ctx);
    arena_free(&a);
}

/* The module after the pipeline, as training or prediction lowers it. */
static Module *compiled(Arena *a, Model *m, bool grad) {
    const Module *made = model_module(m, grad ? MODULE_TRAIN : MODULE_PREDICT, false);
    if (!made) return NULL;
    Module *copy = module_copy(made, a);
    PassOptions o = {.grad = grad};
    if (!passes_run(copy, &o)) return NULL;
    if (grad) module_keep_roots(copy, 1u << ROOT_LOSS | 1u << ROOT_GRAD_PARAM);
    return copy;
}

/* ---- steps ------------------------------------------------------------------------------------------------------------------ */

static LProgram *lowered(Arena *a, const Module *m, int64_t batch, int64_t steps) {
    HostInfo host = host_info();
    LowerOptions o = {.V = host.lanes_f32, .registers = host.registers, .batch = batch, .steps = steps};
    return lower_module(ctx, a, m, &o, NULL);
}

static bool same_text(Arena *a, const LProgram *p, const LProgram *q) {
    Str x = str_make(a), y = str_make(a);
    if (!p || !q) return false;
    lprogram_print(&x, p);
    lprogram_print(&y, q);
    return x.n == y.n && !memcmp(x.at, y.at, x.n);
}

static bool within_budget(const LProgram *p) {
    EngineOptions o = {.kind = ENGINE_JIT, .cache_dir = ""};
    Engine *e = p ? engine_make(ctx, p, &o) : NULL;
    if (!e) return false;
    EngineStats s = engine_stats(e);
    printf("layer-norm LSTM, training: %u LLVM instructions, %u in shared functions\n", (unsigned)s.llvm_instructions,
           (unsigned)s.llvm_instructions_shared);
    engine_destroy(e);
    return s.llvm_instructions && s.llvm_instructions <= BUDGET;
}

/* ---- structure -------------------------------------------------------------------------------------------------------------- */

/* Marks what depends on a carry, and what a next value is computed from. */
static void dependences(const Graph *g, uint8_t *carry, uint8_t *next) {
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        carry[r] = g->node.at[r].op == OP_CARRY;
        for (uint32_t k = 0; k < n; k++) carry[r] |= carry[in[k]];
    }
    for (uint32_t i = 0; i < g->root.n; i++)
        if (g->root.at[i].kind == ROOT_NEXT) next[g->root.at[i].ref] = 1;
    for (Ref r = g->node.n; r-- > 1;) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; next[r] && k < n; k++) next[in[k]] = 1;
    }
}

/* Whether r is a sum of things among which is a dot of one of these kinds. */
static bool adds_dots(const Graph *g, Ref r, unsigned kinds, int depth) {
    const Node *n = &g->node.at[r];
    if (n->op == OP_DOT) return kinds >> dot_classify(g, r).kind & 1;
    bool linear = n->op == OP_ADD || n->op == OP_SUB || n->op == OP_NEG || op_info[n->op].cls == OPC_SHAPE;
    const Ref *in;
    uint32_t count = node_inputs(g, r, &in);
    for (uint32_t k = 0; linear && depth < 20 && k < count; k++)
        if (adds_dots(g, in[k], kinds, depth + 1)) return true;
    return false;
}

/* Whether the body needs c' = c + X at each step: something else reads c or c'. */
static bool is_read(const Graph *g, Ref c, Ref next) {
    uint32_t reads = 0;
    for (Ref r = 1; r < g->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(g, r, &in);
        for (uint32_t k = 0; k < n; k++) reads += in[k] == c || in[k] == next;
    }
    return reads > 1;
}

static const char *misplaced(Arena *a, const Graph *g) {
    const unsigned matrix = 1u << DOT_GRADIENT | 1u << DOT_OUTER;
    uint8_t *carry = NEW_N(a, uint8_t, g->node.n + 1), *next = NEW_N(a, uint8_t, g->node.n + 1);
    dependences(g, carry, next);
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_DOT) continue;
        DotKind kind = dot_classify(g, r).kind;
        if (kind == DOT_GRADIENT) return "a weight gradient stands inside of a loop";
        if (kind == DOT_PRODUCT && !carry[r]) return "a product without a carry beneath it stands inside of a loop";
        if (kind == DOT_PRODUCT && !next[r]) return "a product that no next value needs stands inside of a loop";
    }
    for (uint32_t i = 0; i < g->root.n; i++) {
        const Root *o = &g->root.at[i];
        if (o->kind == ROOT_SUM && adds_dots(g, o->ref, matrix | 1u << DOT_PRODUCT, 0))
            return "a product is added up step by step";
        if (o->kind != ROOT_NEXT || g->node.at[o->ref].op != OP_ADD) continue;
        for (int k = 0; k < 2; k++) { /* c' = c + product */
            const Node *c = &g->node.at[g->node.at[o->ref].in[k]];
            if (c->op == OP_CARRY && c->attr == o->index && !is_read(g, g->node.at[o->ref].in[k], o->ref) && adds_dots(g, g->node.at[o->ref].in[1 - k], matrix, 0))
                return "a matrix of products is added to a carry step by step";
        }
    }
    return NULL;
}

/* ---- models ----------------------------------------------------------------------------------------------------------------- */

/* Operations of all functions but the tiles that the others call. */
static uint32_t operations(const LProgram *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; p && i < p->fn.n; i++)
        if (p->fn.at[i]->kind == LFUNC_ENTRY) n += p->fn.at[i]->inst.n;
    return n;
}

/* name: of the file in bench/; model: which of the file's, NULL for its only one. */
static void one(const char *path, const char *name, const char *model, bool grad) {
    Arena a = arena_make(ctx);
    const char *set = "H=16";
    ModelOptions mo = {.std_dir = "std", .model = model, .set = &set, .nset = model != NULL};
    Model *m = model_open(ctx, path, &mo);
    Module *mod = m ? compiled(&a, m, grad) : NULL;
    verdict(mod != NULL, name, grad, "it does not compile");
    if (mod) {
        const char *what = NULL;
        for (uint32_t i = 1; i < mod->graph.n && !what; i++) what = misplaced(&a, mod->graph.at[i]);
        verdict(!what, name, grad, what ? what : "");
        for (int64_t batch = 1; batch <= BATCH; batch += BATCH - 1) {
            const LProgram *p = lowered(&a, mod, batch, 10), *q = lowered(&a, mod, batch, 10000);
            verdict(same_text(&a, p, q), name, grad, "the loop program depends on the number of steps");
            verdict(operations(p) <= OPERATIONS, name, grad, "more operations than the budget");
            if (operations(p) > most) most = operations(p);
            if (grad && batch > 1 && !strcmp(name, "lnlstm.rondo"))
                verdict(within_budget(p), name, grad, "more than 4000 LLVM instructions");
        }
    }
    if (m) model_close(m);
    arena_free(&a);
}

static void cells(void) {
    const char *path = "tests/models/cells.rondo";
    FILE *f = fopen(path, "r");
    char line[200], name[100];
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "model %99[a-z_0-9]", name) != 1) continue;
        one(path, name, name, false);
        one(path, name, name, true);
    }
    if (f) fclose(f);
}

static uint32_t all_operations(const LProgram *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; p && i < p->fn.n; i++) n += p->fn.at[i]->inst.n;
    return n;
}

/* Layers that are equal are compiled once: each further one is calls, and sizes that these want. */
static void layers(bool grad) {
    static const char *const set[] = {"N=4", "N=12"};
    uint32_t n[2] = {0, 0};
    Arena a = arena_make(ctx);
    for (int k = 0; k < 2; k++) {
        ModelOptions mo = {.std_dir = "std", .set = &set[k], .nset = 1};
        Model *m = model_open(ctx, "tests/models/equal_layers.rondo", &mo);
        Module *mod = m ? compiled(&a, m, grad) : NULL;
        n[k] = all_operations(mod ? lowered(&a, mod, BATCH, 10) : NULL);
        if (m) model_close(m);
    }
    printf("4 layers, %s: %u operations; each further one %u\n", grad ? "training" : "forward", (unsigned)n[0], (unsigned)(n[1] - n[0]) / 8);
    verdict(n[0] && n[1] > n[0] && (n[1] - n[0]) / 8 <= n[0] / 20, "equal_layers.rondo", grad, "code is made for each layer");
    arena_free(&a);
}

int main(void) {
    DIR *d = opendir("bench");
    ctx = ctx_make(NULL);
    if (!d) {
        printf("there is no bench/ here: run from the source root\n");
        return 1;
    }
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        size_t n = strlen(f->d_name);
        if (n < 7 || strcmp(f->d_name + n - 6, ".rondo")) continue;
        char path[300];
        snprintf(path, sizeof path, "bench/%s", f->d_name);
        one(path, f->d_name, NULL, false);
        one(path, f->d_name, NULL, true);
    }
    closedir(d);
    cells();
    layers(false);
    layers(true);
    printf("at most %u operations; %d passed, %d failed\n", most, passed, failed);
    ctx_destroy(ctx);
    return failed || passed < 400;
}
