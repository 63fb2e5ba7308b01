/* Unrolled models against their scans; random edits of valid programs; std read in pieces; modules that the check has made. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/sema.h"
#include "ir/pack.h"
#include "tests/unit/sema.h"

/* ---- mutations -------------------------------------------------------------------------------------------------------- */

static uint64_t dice;

static uint32_t below(uint32_t n) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 33) % n;
}

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '\''; }

/* The token at or after a random place. */
static Span token(const char *text, uint32_t n) {
    uint32_t lo = below(n), hi;
    while (lo < n && (text[lo] == ' ' || text[lo] == '\n')) lo++;
    while (lo > 0 && is_word(text[lo]) && is_word(text[lo - 1])) lo--;
    hi = lo < n ? lo + 1 : lo;
    while (hi < n && is_word(text[lo]) && is_word(text[hi])) hi++;
    return (Span){lo, hi};
}

static void put_span(Str *s, const char *text, uint32_t lo, uint32_t hi) { str_putn(s, text + lo, hi - lo); }

/* Deletes, doubles, swaps or replaces a token; or puts in a small number or word. */
static Str edited(Arena *a, const char *text, uint32_t n) {
    static const char *const word[] = {"0", "1", "3", "x", "h", "H", "T", "h'", "[", "]", "(", ")", "{", "}", ",", "=", "@", "seq", "+", "-", "*", "^", ".",
                                       "last", "training", "repeat 3 { h' = h }", "state q: [3] = 0", "100000", "-1", "2.5", "then", "split", "reverse", "lstm", "token[3]",
                                       "shift", "C", ": cell", "true", "param", "0:2", "c", "model", "cell", "reshape", "999999999", "noise"};
    Span p = token(text, n), q = token(text, n);
    Str s = str_make(a);
    switch (below(5)) {
    case 0:
        put_span(&s, text, 0, p.lo);
        put_span(&s, text, p.hi, n);
        break;
    case 1:
        put_span(&s, text, 0, p.hi);
        str_putc(&s, ' ');
        put_span(&s, text, p.lo, n);
        break;
    case 2:
        put_span(&s, text, 0, p.lo);
        put_span(&s, text, q.lo, q.hi);
        put_span(&s, text, p.hi, n);
        break;
    case 3:
        put_span(&s, text, 0, p.lo);
        str_put(&s, word[below(sizeof word / sizeof *word)]);
        put_span(&s, text, p.hi, n);
        break;
    default:
        put_span(&s, text, 0, p.lo);
        str_putc(&s, ' ');
        str_put(&s, word[below(sizeof word / sizeof *word)]);
        str_putc(&s, ' ');
        put_span(&s, text, p.lo, n);
    }
    return s;
}

/* What loads builds, and is sound; what does not load says why, without an internal error. */
static void answer(const char *text) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    BuildOptions plain = {.training = true}, full = {.external_states = true, .ragged = true};
    clock_t start = clock();
    Program *p = load_text(ctx, &a, text);
    bool ok = (p == NULL) == (diag_error_count(ctx) > 0);
    if (p && frontend_desc(p)->name && frontend_desc(p)->theta_size < 100000) {
        Module *m = frontend_model(p, &a, &plain), *k = frontend_model(p, &a, &full);
        ok &= m && k && module_verify(m, "frontend") && module_verify(k, "frontend") && !diag_error_count(ctx);
    }
    for (uint32_t i = 0; i < diag_count(ctx); i++) ok &= diag_at(ctx, i)->code != 999;
    ok &= clock() - start < 20 * CLOCKS_PER_SEC;
    check(ok, "an answer, in time", "mutation");
    if (!ok) {
        print_diagnostics(ctx);
        printf("---\n%s\n---\n", text);
    }
    arena_free(&a);
    ctx_destroy(ctx);
}

static void collect(Arena *a, const char *folder, char ***file, uint32_t *n) {
    VEC(char *) list = {*file, *n, *n};
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len > 6 && !strcmp(e->d_name + len - 6, ".rondo")) VEC_PUSH(a, list) = arena_printf(a, "%s/%s", folder, e->d_name);
    }
    if (d) closedir(d);
    *file = list.at;
    *n = list.n;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void test_mutations(const char *seed, int rounds) {
    Ctx *ctx = ctx_make(NULL);
    Arena *a = ctx_arena(ctx);
    char **file = NULL, *text;
    uint32_t nfile = 0;
    size_t n;
    dice = strtoull(seed, NULL, 10) * 2654435761u + 88172645463325252u;
    collect(a, "tests/conform/cells", &file, &nfile);
    collect(a, "tests/errors/sema", &file, &nfile);
    collect(a, "examples", &file, &nfile);
    collect(a, "std", &file, &nfile);
    collect(a, "tests/language", &file, &nfile);
    qsort(file, nfile, sizeof *file, by_name);
    for (int i = 0; i < rounds; i++) {
        Arena scratch = arena_make(ctx);
        if (file_read(ctx, &scratch, file[below(nfile)], &text, &n) && n) {
            Str s = {.at = text, .n = n};
            for (uint32_t k = 1 + below(3); k && s.n; k--) s = edited(&scratch, s.at, (uint32_t)s.n);
            if (getenv("MUTATION") && atoi(getenv("MUTATION")) == i) printf("%s\n", s.at);
            answer(s.at ? s.at : "");
        }
        arena_free(&scratch);
    }
    ctx_destroy(ctx);
}

/* ---- unrolled --------------------------------------------------------------------------------------------------------- */

enum { T = 5, B = 3 };

static double value(void) { return (double)below(20001) / 10000 - 1; }

/* Lengths 5, 3, 1; everything else random. */
static const double *filled(const Module *m, Arena *a, const Input *in, const int64_t *axis) {
    static const double length[B] = {T, 3, 1};
    Node n = {.rank = in->rank, .axes = in->axes};
    memcpy(n.dim, in->dim, sizeof n.dim);
    if (in->kind == INPUT_LENGTH) return length;
    int64_t size = value_size(m, &n, axis);
    double *v = NEW_N(a, double, size + 1);
    for (int64_t i = 0; i < size; i++) v[i] = in->vocab ? below((uint32_t)in->vocab) : in->dtype == DT_B ? below(2) : value();
    return v;
}

static bool evaluate(const Module *m, Arena *a, const double **param, const double **input, const double ***out) {
    EvalIn in = {.param = param, .input = input, .seed = 5};
    in.axis[0] = B;
    for (uint32_t i = 1; i < m->naxis; i++) in.axis[i] = m->axis[i].count ? m->axis[i].count : m->axis[i].kind == AXIS_JOIN ? 2 * T : T;
    *out = NEW_N(a, const double *, m->graph.at[0]->root.n + 1);
    return module_verify(m, "frontend") && module_eval(m, a, &in, *out);
}

/* Elements of a root that count: rows of steps past an example's length do not. Losses and metrics of steps are compared by the loss. */
static bool same_root(const Module *m, const Root *r, const double *x, const double *y, bool ragged) {
    int64_t axis[MAX_AXES] = {B};
    const Node *n = &m->graph.at[0]->node.at[r->ref];
    for (uint32_t i = 1; i < m->naxis; i++) axis[i] = m->axis[i].count ? m->axis[i].count : T;
    int64_t size = value_size(m, n, axis);
    if (ragged && (n->axes & ~AX(AXIS_B))) return true;
    for (int64_t i = 0; i < size; i++)
        if (fabs(x[i] - y[i]) > 1e-12 * (1 + fabs(x[i]))) return false;
    return true;
}

static void unroll_file(const char *path, bool ragged) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = "std"};
    BuildOptions plain = {.training = true, .external_states = true, .ragged = ragged}, flat = plain;
    flat.unroll = T;
    Program *p = frontend_load(ctx, &a, path, &o);
    Module *m = p ? frontend_model(p, &a, &plain) : NULL, *u = p ? frontend_model(p, &a, &flat) : NULL;
    const double **x, **y, **param = NULL, **input = NULL;
    check(m && u, "is built", path);
    if (m && u) {
        int64_t axis[MAX_AXES] = {B};
        for (uint32_t i = 1; i < m->naxis; i++) axis[i] = m->axis[i].count ? m->axis[i].count : T;
        param = NEW_N(&a, const double *, m->param.n + 1);
        input = NEW_N(&a, const double *, m->input.n + 1);
        for (uint32_t i = 0; i < m->param.n; i++) {
            double *v = NEW_N(&a, double, frontend_desc(p)->param.at[i].count);
            for (int64_t k = 0; k < frontend_desc(p)->param.at[i].count; k++) v[k] = value();
            param[i] = v;
        }
        for (uint32_t i = 0; i < m->input.n; i++) input[i] = filled(m, &a, &m->input.at[i], axis);
        bool ok = evaluate(m, &a, param, input, &x) && evaluate(u, &a, param, input, &y) && m->graph.at[0]->root.n == u->graph.at[0]->root.n;
        check(ok && u->graph.n == 1, "is evaluated without scans", path);
        for (uint32_t i = 0; ok && i < m->graph.at[0]->root.n; i++)
            check(same_root(m, &m->graph.at[0]->root.at[i], x[i], y[i], ragged), name_str(ctx, m->graph.at[0]->root.at[i].name), path);
    }
    print_diagnostics(ctx);
    arena_free(&a);
    ctx_destroy(ctx);
}

/* Every conformance model, with and without lengths, and one with noise and a counted loop. */
void test_unroll(void) {
    Ctx *ctx = ctx_make(NULL);
    char **file = NULL;
    uint32_t n = 0;
    dice = 88172645463325252u;
    collect(ctx_arena(ctx), "tests/conform/cells", &file, &n);
    collect(ctx_arena(ctx), "tests/unroll", &file, &n);
    qsort(file, n, sizeof *file, by_name);
    for (uint32_t i = 0; i < n; i++) {
        unroll_file(file[i], false);
        unroll_file(file[i], true);
    }
    ctx_destroy(ctx);
}

/* ---- std in pieces ---------------------------------------------------------------------------------------------------- */

/* What a file of std declares is found wherever it stands, and what nobody asks for is not parsed. */
static const char pieces[] = "# fn none(x) = 1\n"
                             "fn twice(x) = x + x\n"
                             "fn first(x) = x fn second(x) = 2 * x\n"
                             "fn mixed(x, data,\n"
                             "init) = x * data + (2 *\n"
                             "init)\n"
                             "fn\n"
                             "apart(x) = x\n"
                             "init ones_of = 1\n"
                             "model shown {\n"
                             "input x: seq [2]\n"
                             "metric mine = x\n"
                             "output y = x\n"
                             "}\n"
                             "fn mine(x) = x\n"
                             "fn last(x) = second(x)\n"
                             "fn broken(x) = = x\n";

static void check_piece(const char *folder, const char *expr, bool good) {
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    FrontendOptions o = {.std_dir = folder, .text = arena_printf(&a, "model m {\n    input x: seq [2]\n    param w: [2] = ones_of\n    output y = w * %s\n}\n", expr)};
    const Program *p = frontend_load(ctx, &a, "pieces.rondo", &o);
    check((p != NULL) == good, good ? "is found in a file of std" : "is an error of std", expr);
    if (good) print_diagnostics(ctx);
    arena_free(&a);
    ctx_destroy(ctx);
}

void test_pieces(void) {
    static const char *const good[] = {"twice(x)", "first(x)", "second(x)", "mixed(x, 2, 3)", "apart(x)", "mine(x)", "last(x)"};
    char folder[] = "/tmp/rondo-pieces-XXXXXX", file[64];
    Ctx *ctx = ctx_make(NULL);
    bool made = mkdtemp(folder) != NULL;
    snprintf(file, sizeof file, "%s/some.rondo", folder);
    check(made && file_write(ctx, file, pieces, sizeof pieces - 1), "is written", file);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) check_piece(folder, good[i], true);
    check_piece(folder, "broken(x)", false);
    check_piece(folder, "none(x)", false);
    unlink(file);
    rmdir(folder);
    ctx_destroy(ctx);
}

/* ---- the check's own module ------------------------------------------------------------------------------------------- */

static void put_module(Str *s, Program *p, Arena *a, bool training, bool again) {
    Module *m = frontend_model(p, a, &(BuildOptions){.training = training});
    if (again) p->checked = NULL;
    s->n = 0;
    if (m) module_pack(s, m);
}

/* The module that the check made is, to the last field, the one that is built without it. */
static void check_module(const char *name, const char *text, const char *path, bool same) {
    for (int training = 0; training < 2; training++) {
        Ctx *ctx = ctx_make(NULL);
        Arena a = arena_make(ctx);
        FrontendOptions o = {.std_dir = "std", .text = text};
        Program *p = frontend_load(ctx, &a, path, &o);
        Str x = str_make(&a), y = str_make(&a), z = str_make(&a);
        if (p) {
            check(p->checked && p->checked->graph.at[0]->root.n, "leaves its module", name);
            put_module(&x, p, &a, training, true);
            put_module(&y, p, &a, training, false);
            put_module(&z, p, &a, !training, false);
        }
        check(p && x.n && x.n == y.n && !memcmp(x.at, y.at, x.n), "is built as it was checked", name);
        check(p && (x.n == z.n && !memcmp(x.at, z.at, x.n)) == same, "hangs on `training` as it should", name);
        arena_free(&a);
        ctx_destroy(ctx);
    }
}

void test_checked(void) {
    static const char drops[] = "model m {\n    input x: seq [2]\n    output y = where(training, 2 * x, x)\n}\n";
    static const char in_fn[] = "fn f(x) = g(x)\nfn g(x) = where(training, 2 * x, x)\nmodel m {\n    input x: seq [2]\n    output y = f(x)\n}\n";
    Ctx *ctx = ctx_make(NULL);
    char **file = NULL;
    uint32_t n = 0;
    check_module("drops", drops, "drops.rondo", false);
    check_module("in_fn", in_fn, "in_fn.rondo", false);
    collect(ctx_arena(ctx), "tests/conform/cells", &file, &n);
    for (uint32_t i = 0; i < n; i++) check_module(file[i], NULL, file[i], !strstr(file[i], "drop") && !strstr(file[i], "zoneout"));
    ctx_destroy(ctx);
}
