/* Lengths: every cell of std/, as its files list them, forward, reversed and both ways. A ragged batch has the outputs and the final
   states of its examples run one by one, bit for bit in f64 and in f32, and their gradients, added, to rounding; what stands
   in the padding (NaN, tokens of no table) changes nothing. A model that only goes forward may be cut anywhere in time.
   All that is asked of a cell in one float is one program for a compiler: the tiles are shared.

   usage: test_lengths [--engine loops|jit|c] [--every N] [--cc COMMAND] [--verbose] [CELL ..]
   --every N: each N-th cell, in one direction and one float, by turns. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "tests/unit/engines.h"
#include "tests/unit/gen.h"

enum { BATCH = 4, STEPS = 5, SIZE = 4 };
typedef enum { FORWARD, REVERSED, BOTH, WAYS } Way;
static const char *const way_name[WAYS] = {"forward", "reversed", "both ways"};
static const int64_t lengths[2][BATCH] = {{3, 5, 1, 4}, {2, 1, 4, 3}}; /* of T and of S, whose longest is 4 */

static int passed, failed, streamed;
static bool verbose;
static int every; /* 0: all of all */
static EngineOptions options = {.kind = ENGINE_LOOPS, .cache_dir = ""};

static bool check(bool ok, const char *cell, bool f64, const char *way, const char *what) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED: %s, %s, %s: %s\n", cell, f64 ? "f64" : "f32", way, what);
    }
    return ok;
}

/* ---- a model of a cell ---------------------------------------------------------------------------------------------------------- */

static void put_type(Ctx *ctx, Str *s, const AstType *t, bool seq) {
    if (seq || (t && t->seq)) str_put(s, "seq");
    if (t && t->axis) {
        str_put(s, "(");
        ast_print_expr(ctx, s, t->axis);
        str_put(s, ")");
    }
    str_put(s, seq || (t && t->seq) ? " " : "");
    if (t && t->kind == AST_TYPE_BOOL) str_put(s, "bool");
    if (t && t->kind == AST_TYPE_TOKEN) str_put(s, "token");
    if (t && t->kind == AST_TYPE_BOOL) return;
    str_put(s, "[");
    for (uint32_t i = 0; t && t->kind == AST_TYPE_TENSOR && i < t->dims.n; i++) {
        str_put(s, i ? ", " : "");
        ast_print_expr(ctx, s, t->dims.at[i]);
    }
    if (t && t->kind == AST_TYPE_TOKEN) ast_print_expr(ctx, s, t->size);
    str_put(s, "]");
}

static void collect_sizes(Ctx *ctx, const AstExpr *e, const char **name, int *n) {
    if (!e) return;
    if (e->kind == AST_NAME) {
        const char *x = name_str(ctx, e->name);
        int k = 0;
        while (k < *n && strcmp(name[k], x) != 0) k++;
        if (k == *n && *n < 16) name[(*n)++] = x;
    }
    collect_sizes(ctx, e->a, name, n);
    collect_sizes(ctx, e->b, name, n);
}

/* Sizes are brackets of the model, so that the cell's own types can be written as they are. */
static char *model_of(Ctx *ctx, Arena *a, const AstDecl *d, Way way) {
    const char *size[16];
    int n = 0;
    Str s = str_make(a), in = str_make(a), call = str_make(a), args = str_make(a), back = str_make(a);
    str_printf(&call, "%s", name_str(ctx, d->name));
    for (uint32_t i = 0, k = 0; i < d->brackets.n; i++) {
        const AstFormal *f = &d->brackets.at[i];
        const char *name = name_str(ctx, f->name);
        if (f->value) continue;
        str_printf(&call, "%s%s", k++ ? ", " : "[", f->type ? arena_printf(a, "simple_rnn[%d]", SIZE) : name);
        if (!f->type && n < 16) size[n++] = name;
        if (i + 1 == d->brackets.n || d->brackets.at[i + 1].value) str_put(&call, "]");
    }
    for (uint32_t i = 0; i < d->inputs.n; i++) {
        const AstFormal *f = &d->inputs.at[i];
        const char *name = name_str(ctx, f->name);
        bool whole = f->type && f->type->seq;
        for (uint32_t k = 0; f->type && k < f->type->dims.n; k++) collect_sizes(ctx, f->type->dims.at[k], size, &n);
        if (f->type && f->type->size) collect_sizes(ctx, f->type->size, size, &n);
        str_printf(&in, "    input %s: ", name);
        put_type(ctx, &in, f->type, !whole);
        str_put(&in, "\n");
        str_printf(&args, "%s%s", i ? ", " : "", name);
        str_printf(&back, whole && f->type->axis ? "%s%s" : "%sreverse(%s)", i ? ", " : "", name);
    }
    str_put(&s, "model m[");
    for (int k = 0; k < n; k++) str_printf(&s, "%s%s = %d", k ? ", " : "", size[k], SIZE);
    str_printf(&s, "%s] {\n%s    c = %s\n", n ? "" : "Unused = 1", in.at ? in.at : "", call.at);
    if (way != FORWARD) str_printf(&s, "    b = reverse(c(%s))\n", back.at ? back.at : "");
    if (way != REVERSED) str_printf(&s, "    f = c(%s)\n", args.at ? args.at : "");
    str_printf(&s, "    h = %s\n    output h\n    loss mean(sin(h) + 0.3 * h)\n}\n", way == FORWARD ? "f" : way == REVERSED ? "b" : "[f, b]");
    return s.at;
}

/* ---- one build of it ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    const Module *m;
    LProgram *p;
    JoinPart part;
    int rows; /* of the loss: 1 + which of `lengths`; 0: an example each */
    bool seq; /* the output */
} Built;

/* A cell in one float. */
typedef struct {
    Ctx *ctx;
    Arena a;
    const char *cell, *text[WAYS];
    bool f64, built[WAYS], streams;
    Built whole[WAYS], one[WAYS], stream; /* a ragged batch; examples of equal lengths; the same, forward only */
    Engine *e; /* NULL: the interpreter */
} Case;

static bool build(Ctx *ctx, Arena *a, const char *text, BuildOptions o, bool grad, bool f64, Built *b) {
    Program *q = frontend_load(ctx, a, "cell.rondo", &(FrontendOptions){.std_dir = "std", .text = text});
    Module *m = q ? frontend_model(q, a, &o) : NULL;
    if (!m) return false;
    if (!grad) module_keep_roots(m, 1u << ROOT_OUTPUT | 1u << ROOT_FINAL);
    const PortDesc *y = &frontend_desc(q)->output.at[0];
    b->seq = y->seq;
    b->rows = frontend_desc(q)->loss.at[0].kind == LOSS_PER_STEP ? 1 + (strcmp(name_str(ctx, y->axis), "S") == 0) : 0;
    b->m = m;
    if (!passes_run(m, &(PassOptions){.grad = grad})) return false;
    b->p = lower_module(ctx, a, m, &(LowerOptions){.f64 = f64, .V = f64 ? 4 : 8, .registers = 16}, NULL);
    return b->p != NULL;
}

static int axis_kind(const Module *m, uint32_t axis) { return strcmp(name_str(m->ctx, m->axis[axis].name), "S") == 0; }

/* ---- data ------------------------------------------------------------------------------------------------------------------------- */

/* Where element i of a value of one example, from step `from` on, stands in the batch's array. */
static int64_t in_batch(const Module *m, uint32_t axes, int64_t features, const EvalIn *batch, const EvalIn *one, int64_t example,
                        int64_t from, int64_t i) {
    int64_t row = i / features, at = 0, stride = 1, b = 0;
    if (axes & AX(AXIS_B)) {
        b = example + row % one->axis[0];
        row /= one->axis[0];
        at = b;
        stride = batch->axis[0];
    }
    for (uint32_t a = m->naxis; a-- > 1;) {
        if (!(axes & AX(a))) continue;
        int64_t n = m->axis[a].kind == AXIS_COUNT ? m->axis[a].count : one->axis[a];
        at += stride * (row % n + (axis_kind(m, a) == 0 ? from : 0));
        row /= n;
        stride *= m->axis[a].kind == AXIS_COUNT ? m->axis[a].count : batch->axis[a];
    }
    return at * features + i % features;
}

static double share(const Built *x, int64_t example) { return x->rows ? (double)lengths[x->rows - 1][example] : 1; }

static int64_t features_of(uint8_t rank, const int32_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dim[i];
    return n;
}

static const double **draw_params(const Module *m, Arena *a) {
    double **v = NEW_N(a, double *, m->param.n + 1);
    uint64_t rng = 12345;
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *p = &m->param.at[i];
        int64_t n = features_of(p->rank, p->dim);
        v[i] = NEW_N(a, double, n + 1);
        for (int64_t k = 0; k < n; k++) v[i][k] = (float)gen_real(&rng, p->rank < 2 ? 0.1 : -0.6, 0.6);
    }
    return (const double **)v;
}

/* The batch: lengths, values, NaN where no step is. */
static EvalIn draw_batch(const Module *m, Arena *a) {
    EvalIn in = {.axis = {BATCH}, .seed = 5};
    double **v = NEW_N(a, double *, m->input.n + 1);
    uint64_t rng = 777;
    in.param = draw_params(m, a);
    in.input = (const double **)v;
    for (uint32_t t = 1; t < m->naxis; t++) in.axis[t] = axis_kind(m, t) ? 4 : STEPS;
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *p = &m->input.at[i];
        Node shape = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        int64_t n = value_size(m, &shape, in.axis), f = features_of(p->rank, p->dim), time = 0;
        v[i] = NEW_N(a, double, n + 1);
        for (uint32_t t = 1; t < m->naxis; t++) {
            if (p->axes & AX(t)) time = t;
            if (m->axis[t].ragged && m->axis[t].length == 1 + i)
                for (int64_t k = 0; k < BATCH; k++) v[i][k] = (double)lengths[axis_kind(m, t)][k];
        }
        for (int64_t k = 0; k < n && p->kind != INPUT_LENGTH; k++) {
            int64_t b = k / f % BATCH, t = k / f / BATCH;
            bool real = !time || t < lengths[axis_kind(m, (uint32_t)time)][b];
            v[i][k] = p->dtype == DT_F ? (float)gen_real(&rng, 0.05, 1) : gen_below(&rng, p->vocab ? (uint32_t)p->vocab : 2);
            if (!real && m->axis[time].ragged) v[i][k] = p->dtype == DT_F ? NAN : p->dtype == DT_I ? 99999 : 1;
        }
    }
    return in;
}

static uint32_t same_input(const Module *m, const Input *p) {
    uint32_t i = 0;
    while (i < m->input.n && strcmp(name_str(m->ctx, m->input.at[i].name), name_str(m->ctx, p->name)) != 0) i++;
    return i;
}

/* Example b of the batch (or all of them, of equal lengths), steps from .. from + steps. */
static EvalIn part_of(const Module *one, const Module *all, Arena *a, const EvalIn *batch, int64_t b, int64_t examples, int64_t from, int64_t steps,
                      int64_t *id) {
    EvalIn in = {.axis = {examples}, .seed = batch->seed, .param = batch->param, .example = id};
    double **v = NEW_N(a, double *, one->input.n + 1);
    for (int64_t k = 0; k < examples; k++) id[k] = b + k;
    for (uint32_t t = 1; t < one->naxis; t++) in.axis[t] = axis_kind(one, t) ? (examples == 1 ? lengths[1][b] : 4) : steps;
    for (uint32_t i = 0; i < one->input.n; i++) {
        const Input *p = &one->input.at[i];
        Node shape = {.rank = p->rank, .dim = {p->dim[0], p->dim[1], p->dim[2]}, .axes = p->axes};
        int64_t n = value_size(one, &shape, in.axis), f = features_of(p->rank, p->dim);
        const double *src = batch->input[same_input(all, p)];
        v[i] = NEW_N(a, double, n + 1);
        for (int64_t k = 0; k < n; k++) v[i][k] = src[in_batch(one, p->axes, f, batch, &in, b, from, k)];
    }
    in.input = (const double **)v;
    return in;
}

/* ---- what must hold --------------------------------------------------------------------------------------------------------------- */

static bool same_value(double x, double y) { return !memcmp(&x, &y, sizeof x) && isfinite(x); }

/* Outputs and final states of a part against the whole's; finals only where `last`. */
static bool same_roots(const Module *m, const EvalIn *batch, const EvalIn *one, const double **whole, const double **part, int64_t b,
                       int64_t from, bool last) {
    const Graph *g = m->graph.at[0];
    for (uint32_t r = 0; r < g->root.n; r++) {
        const Root *o = &g->root.at[r];
        const Node *n = &g->node.at[o->ref];
        if (o->kind != ROOT_OUTPUT && !(o->kind == ROOT_FINAL && last)) continue;
        for (int64_t i = 0; i < root_size(m, r, one); i++)
            if (!same_value(part[r][i], whole[r][in_batch(m, n->axes, node_features(n), batch, one, b, from, i)])) return false;
    }
    return true;
}

static const double **run(const Case *c, Arena *a, const Built *x, const EvalIn *in) {
    const double **out = NEW_N(a, const double *, x->m->graph.at[0]->root.n + 1);
    return program_run_part(x->m, x->p, c->e, c->e ? &x->part : NULL, a, in, 1, out) ? out : NULL;
}

/* Gradients of the parameters: the batch's is the mean of the examples', each by its share of the rows. */
static bool same_gradients(const Module *m, const double **whole, const double **sum, const EvalIn *in, double bar) {
    const Graph *g = m->graph.at[0];
    double scale = 1e-6, worst = 0;
    for (uint32_t r = 0; r < g->root.n; r++)
        for (int64_t i = 0; g->root.at[r].kind == ROOT_GRAD_PARAM && i < root_size(m, r, in); i++) {
            double d = fabs(whole[r][i] - sum[r][i]);
            worst = d > worst || isnan(d) ? d : worst;
            scale = fmax(scale, fabs(whole[r][i]));
        }
    if (verbose && worst > bar * scale) printf("gradients: %.3g off where the largest is %.3g\n", worst, scale);
    return worst <= bar * scale;
}

static void test_examples(const Case *c, Way way) {
    Arena a = arena_make(c->ctx);
    const Built *whole = &c->whole[way], *one = &c->one[way];
    const Graph *g = whole->m->graph.at[0];
    EvalIn batch = draw_batch(whole->m, &a);
    const double **y = run(c, &a, whole, &batch), **sum = NEW_N(&a, const double *, g->root.n + 1);
    double rows = 0;
    bool same = y != NULL;
    for (int64_t b = 0; b < BATCH; b++) rows += share(whole, b);
    for (int64_t b = 0; b < BATCH && same; b++) {
        int64_t id[BATCH];
        EvalIn in = part_of(one->m, whole->m, &a, &batch, b, 1, 0, lengths[0][b], id);
        const double **x = run(c, &a, one, &in);
        same = x && same_roots(one->m, &batch, &in, y, x, b, 0, true);
        for (uint32_t r = 0; r < g->root.n && same; r++) {
            if (g->root.at[r].kind != ROOT_GRAD_PARAM) continue;
            if (!sum[r]) sum[r] = NEW_N(&a, double, root_size(one->m, r, &in) + 1);
            for (int64_t i = 0; i < root_size(one->m, r, &in); i++)
                ((double *)sum[r])[i] += x[r][i] * share(whole, b) / rows;
        }
    }
    check(same, c->cell, c->f64, way_name[way], "the bits of its examples one by one");
    if (same) check(same_gradients(whole->m, y, sum, &batch, c->f64 ? 1e-12 : 2e-5), c->cell, c->f64, way_name[way], "the gradients of its examples");
    arena_free(&a);
}

/* Steps see only the steps before them. */
static bool streams(const Module *m) {
    const Graph *g = m->graph.at[0];
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        uint32_t cls = op_info[n->op].cls, axes = n->axes;
        if (n->op == OP_SCAN && (scan_info(g, r).reverse || scan_info(g, r).axis != 1)) return false;
        if (cls == OPC_TIME || n->op == OP_LENGTH || n->op == OP_NOISE || (n->op == OP_IOTA && n->attr)) return false;
        if (cls == OPC_REDUCE && (g->node.at[n->in[0]].axes & ~axes & AX(1))) return false;
        if (n->op == OP_DOT && ((g->node.at[n->in[0]].axes | g->node.at[n->in[1]].axes) & ~axes & AX(1))) return false;
    }
    for (uint32_t k = 1; k < m->graph.n; k++) /* noise and step numbers count from the start */
        for (Ref r = 1; r < m->graph.at[k]->node.n; r++) {
            const Node *n = &m->graph.at[k]->node.at[r];
            if (n->op == OP_NOISE || (n->op == OP_IOTA && n->attr == 2)) return false;
        }
    return m->state.n > 0 && m->axis[1].kind == AXIS_TIME;
}

static void test_cuts(const Case *c) {
    Arena a = arena_make(c->ctx);
    const Built *x = &c->stream;
    const Graph *g = x->m->graph.at[0];
    EvalIn batch = draw_batch(x->m, &a);
    int64_t id[BATCH];
    const double **y = run(c, &a, x, &batch);
    bool same = y != NULL;
    streamed++;
    for (int64_t cut = 1; cut < STEPS && same; cut++) {
        EvalIn head = part_of(x->m, x->m, &a, &batch, 0, BATCH, 0, cut, id), tail = part_of(x->m, x->m, &a, &batch, 0, BATCH, cut, STEPS - cut, id);
        const double **h = run(c, &a, x, &head), **t;
        for (uint32_t r = 0; h && r < g->root.n; r++)
            if (g->root.at[r].kind == ROOT_FINAL) tail.input[x->m->state.at[g->root.at[r].index].input - 1] = h[r];
        t = h ? run(c, &a, x, &tail) : NULL;
        same = t && same_roots(x->m, &batch, &head, y, h, 0, 0, false) && same_roots(x->m, &batch, &tail, y, t, 0, cut, true);
    }
    check(same, c->cell, c->f64, "streamed", "cut anywhere in time");
    if (verbose) printf("%s: streams\n", c->cell);
    arena_free(&a);
}

/* ---- one cell --------------------------------------------------------------------------------------------------------------------- */

static void print_diagnostics(Case *c) {
    Str s = str_make(&c->a);
    diag_render(c->ctx, &s, false);
    printf("%s", s.at ? s.at : "");
    diag_clear(c->ctx);
}

static void build_way(Case *c, const AstDecl *d, Way way) {
    BuildOptions o = {.training = true, .external_states = true, .ragged = true}, equal = {.training = true, .external_states = true};
    const char *text = c->text[way] = model_of(c->ctx, &c->a, d, way);
    if (verbose) printf("%s", text);
    c->built[way] = build(c->ctx, &c->a, text, o, true, c->f64, &c->whole[way]) && build(c->ctx, &c->a, text, equal, true, c->f64, &c->one[way]);
    if (check(c->built[way], c->cell, c->f64, way_name[way], "it compiles")) return;
    printf("%s", text);
    print_diagnostics(c);
}

/* Programs are joined for a compiler, which then starts once. */
static bool make_engine(Case *c) {
    LProgram *all = NEW(&c->a, LProgram);
    if (options.kind == ENGINE_LOOPS) return true;
    for (int way = FORWARD; way < WAYS; way++) {
        if (!c->built[way]) continue;
        if (!all->ctx) {
            const LProgram *q = c->whole[way].p;
            *all = (LProgram){.ctx = c->ctx, .arena = &c->a, .name = q->name, .f64 = q->f64, .V = q->V};
        }
        join_add(all, c->whole[way].p, &c->whole[way].part);
        join_add(all, c->one[way].p, &c->one[way].part);
    }
    if (c->streams) join_add(all, c->stream.p, &c->stream.part);
    c->e = all->ctx ? engine_make(c->ctx, all, &options) : NULL;
    if (!c->e) print_diagnostics(c);
    return check(c->e != NULL, c->cell, c->f64, "all ways", "an engine is made");
}

/* only: one direction; WAYS: all. One value for a sequence has no direction. */
static void test_cell(Ctx *ctx, const AstDecl *d, bool f64, Way only) {
    Case c = {.ctx = ctx, .a = arena_make(ctx), .cell = name_str(ctx, d->name), .f64 = f64};
    build_way(&c, d, FORWARD);
    bool seq = c.built[FORWARD] && c.whole[FORWARD].seq;
    for (int way = REVERSED; way < WAYS && seq; way++)
        if (only == WAYS || way == (int)only) build_way(&c, d, (Way)way);
    if (c.built[FORWARD])
        c.streams = build(ctx, &c.a, c.text[FORWARD], (BuildOptions){.external_states = true}, false, f64, &c.stream) && streams(c.stream.m);
    if (only != WAYS && only != FORWARD && seq) c.built[FORWARD] = false;
    if (make_engine(&c)) {
        for (int way = FORWARD; way < WAYS; way++)
            if (c.built[way]) test_examples(&c, (Way)way);
        if (c.streams) test_cuts(&c);
    }
    if (c.e) engine_destroy(c.e);
    diag_clear(ctx);
    arena_free(&c.a);
}

/* ---- all cells -------------------------------------------------------------------------------------------------------------------- */

static bool wanted(const char *name, char **only, int n) {
    for (int i = 0; i < n; i++)
        if (!strcmp(only[i], name)) return true;
    return n == 0;
}

static void test_file(const char *path, char **only, int n) {
    static int turn;
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    const Source *src = source_read(ctx, path);
    AstFile *f = src ? parse_file(ctx, &a, src) : NULL;
    for (uint32_t i = 0; f && i < f->decls.n; i++) {
        const AstDecl *d = f->decls.at[i];
        if (d->kind != AST_CELL || !wanted(name_str(ctx, d->name), only, n)) continue;
        int k = every && turn++ % every == 0 ? turn / every : -1;
        for (int f64 = 0; f64 < 2; f64++)
            if (!every) test_cell(ctx, d, f64, WAYS);
            else if (k >= 0 && f64 == k / WAYS % 2) test_cell(ctx, d, f64, (Way)(k % WAYS));
    }
    if (!f) failed++, printf("FAILED: %s is not read\n", path);
    arena_free(&a);
    ctx_destroy(ctx);
}

static bool engine_kind(const char *name) {
    static const char *const kind[] = {[ENGINE_JIT] = "jit", [ENGINE_C] = "c", [ENGINE_LOOPS] = "loops"};
    for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
        if (strcmp(kind[k], name) != 0) continue;
        options.kind = (EngineKind)k;
        return true;
    }
    return false;
}

int main(int argc, char **argv) {
    char **only = argv + 1;
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--verbose")) verbose = true;
        else if (!strcmp(argv[i], "--every") && i + 1 < argc) every = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--engine") && i + 1 < argc && engine_kind(argv[i + 1])) i++;
        else if (!strcmp(argv[i], "--cc") && i + 1 < argc) options.cc = argv[++i];
        else if (argv[i][0] == '-') return fprintf(stderr, "test_lengths: %s\n", argv[i]), 2;
        else only[n++] = argv[i];
    }
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    DIR *dir = opendir("std");
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char path[300];
        size_t len = strlen(e->d_name);
        if (len < 6 || strcmp(e->d_name + len - 6, ".rondo") != 0) continue;
        snprintf(path, sizeof path, "std/%s", e->d_name);
        test_file(path, only, n);
    }
    if (dir) closedir(dir);
    if (!n && streamed < (every ? 20 / every : 40)) failed++, printf("FAILED: too few cells stream\n");
    printf("%d cells and floats stream\n%d passed, %d failed\n", streamed, passed, failed);
    return failed != 0;
}
