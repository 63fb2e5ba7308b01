/* test_rewrites RONDO: the LSTM, the GRU and the layer-norm LSTM of std, written in other ways (rewrite.h), are the same to the
   compiler: results and gradients in f64 by the interpreter agree, weight by weight, and `rondo explain` finds the same work in no
   more products (what is written as one is left one), as many of them begun by another, as many stages, no product added up in a
   loop, and no slow path.
   test_rewrites --write FOLDER: the files CELL-REWRITE.rondo, for bench/rewrites.sh to measure. Run from the source root. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rondo.h"
#include "tests/unit/rewrite.h"

enum { B = 3, T = 5, I = 6, H = 8, WEIGHTS = 32, MOST = 4 * H * (I + H) };

static int passed, failed;
static const char *where; /* "lstm, swapped" */

static bool check(bool ok, const char *what) {
    if (ok) passed++;
    else {
        failed++;
        printf("FAILED: %s: %s\n", where, what);
    }
    return ok;
}

static const char *model_text(Arena *a, const Rewritten *r) {
    return arena_printf(a, "%s\nmodel m[I = 128, H = 128] {\n    input x: seq [I]\n    target y: seq [H]\n\n    h = rewritten[H](x)\n\n"
                           "    output h\n    loss mse(h, y)\n}\n", r->text);
}

/* ---- values ------------------------------------------------------------------------------------------------------------- */

typedef struct {
    rondo_model *m;
    int n;
    rondo_info info[WEIGHTS];
    float value[WEIGHTS][MOST];
    double grad[WEIGHTS][MOST], loss, h[B * T * H];
} Run;

static double wave(int k) { return sin(0.7 + 1.3 * k + 0.01 * k * k); }

static bool open_run(Run *r, const char *text) {
    const char *set[] = {"I=6", "H=8"};
    rondo_options o = RONDO_OPTIONS_INIT;
    o.engine = RONDO_ENGINE_LOOPS;
    o.f64 = 1;
    o.set = set;
    o.nset = 2;
    bool ok = rondo_open_text(&r->m, "rewritten.rondo", text, strlen(text), &o) == RONDO_OK && rondo_init_weights(r->m, 1) == RONDO_OK;
    if (!ok) printf("%s%s\n", rondo_message(r->m), text);
    r->n = ok ? (int)rondo_count(r->m, RONDO_PARAM) : 0;
    for (int i = 0; i < r->n; i++) ok = ok && rondo_describe(r->m, RONDO_PARAM, (size_t)i, &r->info[i]) == RONDO_OK;
    return check(ok, "it opens");
}

static int64_t count(const rondo_info *w) {
    int64_t n = 1;
    for (int k = 0; k < w->rank; k++) n *= w->dim[k];
    return n;
}

static bool compute(Run *r) {
    static double x[B * T * I], y[B * T * H];
    rondo_array grad[WEIGHTS], h = {.name = "h", .type = RONDO_F64, .rank = 3, .dim = {B, T, H}, .data = r->h};
    for (int k = 0; k < B * T * I; k++) x[k] = wave(k);
    for (int k = 0; k < B * T * H; k++) y[k] = wave(3 * k + 1);
    rondo_array in[] = {{.name = "x", .type = RONDO_F64, .rank = 3, .dim = {B, T, I}, .data = x},
                        {.name = "y", .type = RONDO_F64, .rank = 3, .dim = {B, T, H}, .data = y}};
    static char name[WEIGHTS][64];
    bool ok = true;
    for (int i = 0; i < r->n; i++) {
        ok = ok && rondo_set_weight(r->m, r->info[i].name, r->value[i], (size_t)count(&r->info[i])) == RONDO_OK;
        snprintf(name[i], sizeof name[i], "param/%s", r->info[i].name);
        grad[i] = (rondo_array){.name = name[i], .type = RONDO_F64, .rank = r->info[i].rank, .data = r->grad[i]};
        memcpy(grad[i].dim, r->info[i].dim, sizeof grad[i].dim);
    }
    ok = ok && rondo_predict(r->m, in, 1, &h, 1) == RONDO_OK &&
         rondo_gradient(r->m, in, 2, 0, &r->loss, grad, (size_t)r->n) == RONDO_OK;
    if (!ok) printf("%s", rondo_message(r->m));
    return check(ok, "it runs");
}

static int find_weight(const Run *r, const char *name) {
    int i = 0;
    while (i < r->n && strcmp(r->info[i].name + 2, name) != 0) i++; /* behind "h." */
    return i;
}

/* "2*H", "-1*H", "I", "" */
static int offset(const char *s) {
    const char *star = strchr(s, '*');
    int size = strchr(s, 'H') ? H : strchr(s, 'I') ? I : 0;
    return star ? atoi(s) * size : size;
}

/* Calls visit for every element of the rewritten weights and where the original has it. */
typedef void Pair(Run *now, int i, int64_t at, Run *old, int j, int64_t from);
static bool pairs(Run *now, Run *old, const Rewritten *w, Pair *visit) {
    for (int k = 0; k < w->norigins; k++) {
        const Origin *o = &w->origin[k];
        int i = find_weight(now, o->name);
        for (int p = 0; p < o->nparts; p++) {
            int j = find_weight(old, o->part[p].from);
            if (i == now->n || j == old->n) return check(false, "a weight is not where it should be");
            const rondo_info *a = &now->info[i], *b = &old->info[j];
            int row = offset(o->part[p].row), col = offset(o->part[p].col);
            int64_t rows = b->dim[0], cols = b->rank == 2 ? b->dim[1] : 1, width = a->rank == 2 ? a->dim[1] : 1;
            for (int64_t r = 0; r < rows; r++)
                for (int64_t c = 0; c < cols; c++) {
                    int64_t to_r = o->part[p].turned ? c : r + row, to_c = o->part[p].turned ? r : c + col;
                    if (to_r >= 0 && to_r < a->dim[0]) visit(now, i, to_r * width + to_c, old, j, r * cols + c);
                }
        }
    }
    return true;
}

static void copy_weight(Run *now, int i, int64_t at, Run *old, int j, int64_t from) { now->value[i][at] = old->value[j][from]; }

static double worst, largest;
static void compare_grad(Run *now, int i, int64_t at, Run *old, int j, int64_t from) {
    double d = fabs(now->grad[i][at] - old->grad[j][from]), v = fabs(old->grad[j][from]);
    if (!(d <= worst)) worst = d;
    if (v > largest) largest = v;
}

static void same_values(Arena *a, const Rewritten *plain, const Rewritten *w) {
    static Run old, now;
    old = now = (Run){.n = 0};
    if (open_run(&old, model_text(a, plain)) && open_run(&now, model_text(a, w))) {
        for (int i = 0; i < old.n; i++)
            for (int k = 0; k < count(&old.info[i]); k++) old.value[i][k] = (float)(0.4 * wave(17 * i + k));
        worst = largest = 0;
        if (pairs(&now, &old, w, copy_weight) && compute(&old) && compute(&now)) {
            double d = 0;
            for (int k = 0; k < B * T * H; k++) d = fmax(d, fabs(now.h[k] - old.h[k]));
            check(d < 1e-13, "the same output");
            check(fabs(now.loss - old.loss) < 1e-13, "the same loss");
            pairs(&now, &old, w, compare_grad);
            check(worst <= 1e-12 * largest && largest > 0, "the same gradients");
        }
    }
    rondo_close(old.m);
    rondo_close(now.m);
}

/* ---- structure ---------------------------------------------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    bool ok = f && fputs(text, f) >= 0;
    return f && fclose(f) == 0 && ok;
}

static json_t *explain(const char *rondo, const char *text) {
    char path[] = "/tmp/rondo-rewrite-XXXXXX", command[400];
    int fd = mkstemp(path);
    if (fd < 0 || !write_file(path, text)) return NULL;
    snprintf(command, sizeof command, "'%s' explain --json --batch 32 --steps 20 %s", rondo, path);
    FILE *f = popen(command, "r");
    json_t *x = f ? json_loadf(f, 0, NULL) : NULL;
    if (f) pclose(f);
    remove(path);
    return x;
}

static size_t many(const json_t *m, const char *key) { return json_array_size(json_object_get(m, key)); }

static int product_sums(const json_t *m) {
    int n = 0;
    size_t i;
    const json_t *s;
    json_array_foreach(json_object_get(m, "sums"), i, s) n += json_is_true(json_object_get(s, "product"));
    return n;
}

/* Products that are computed as the beginning of another one's accumulator. */
static int sunk(const json_t *m) {
    size_t i;
    int n = 0;
    const json_t *p;
    json_array_foreach(json_object_get(m, "products"), i, p) {
        const char *place = json_string_value(json_object_get(p, "place"));
        n += place && strstr(place, "as the beginning of its product") != NULL;
    }
    return n;
}

static void same_structure(const char *rondo, Arena *a, const Rewritten *plain, const Rewritten *w) {
    static const char *const mode[] = {"forward", "train"};
    json_t *old = explain(rondo, model_text(a, plain)), *now = explain(rondo, model_text(a, w));
    if (check(old && now, "explain says something"))
        for (int k = 0; k < 2; k++) {
            const json_t *x = json_object_get(old, mode[k]), *y = json_object_get(now, mode[k]);
            double f = json_number_value(json_object_get(x, "product_flops")), g = json_number_value(json_object_get(y, "product_flops"));
            if (!check(f == g && f > 0, arena_printf(a, "%s: the same work in products", mode[k]))) printf("  %g, not %g\n", g, f);
            check(many(x, "stages") == many(y, "stages"), arena_printf(a, "%s: as many stages", mode[k]));
            check(many(y, "products") > 0 && many(y, "products") <= many(x, "products"), arena_printf(a, "%s: no more products", mode[k]));
            check(sunk(y) == sunk(x), arena_printf(a, "%s: as many products in the accumulator of another", mode[k]));
            check(product_sums(y) == 0, arena_printf(a, "%s: no product added up in a loop", mode[k]));
            check(many(y, "slow") == 0, arena_printf(a, "%s: no slow path", mode[k]));
        }
    json_decref(old);
    json_decref(now);
}

int main(int argc, char **argv) {
    static const struct {
        const char *file, *cell;
        int least;
    } cell[] = {{"std/lstm.rondo", "lstm", 10}, {"std/gru.rondo", "gru", 10}, {"std/lstm.rondo", "layernorm_lstm", 10}};
    const char *folder = argc > 2 && !strcmp(argv[1], "--write") ? argv[2] : NULL;
    if (argc < 2) return 2;
    Ctx *ctx = ctx_make(NULL);
    Arena a = arena_make(ctx);
    for (int i = 0; i < 3; i++) {
        char *std;
        size_t n;
        int ways = 0;
        if (!file_read(ctx, &a, cell[i].file, &std, &n)) return 1;
        const Rewritten *plain = rewrite_cell(&a, std, cell[i].cell, -1);
        for (int k = -1; k < 0 || rewrite_name[k]; k++) {
            const Rewritten *w = rewrite_cell(&a, std, cell[i].cell, k);
            const char *name = k < 0 ? "std" : rewrite_name[k];
            if (!w) continue;
            where = arena_printf(&a, "%s, %s", cell[i].cell, name);
            ways += k >= 0;
            if (folder) {
                check(write_file(arena_printf(&a, "%s/%s-%s.rondo", folder, cell[i].cell, name), model_text(&a, w)), "written");
                continue;
            }
            same_values(&a, plain, w);
            same_structure(argv[1], &a, plain, w);
        }
        where = cell[i].cell;
        check(ways >= cell[i].least, "ten rewrites");
    }
    arena_free(&a);
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
