/* test_online: the gradients carried forward (rtrl, snap1) against the gradient backwards (bptt) on cells, in f64: rtrl to rounding
   on every one, snap1 where it is exact; evaluator, loop interpreter and jit, the last two to the same bits.
   usage: test_online [a part of a cell's name] */
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "tests/unit/modes.h"

#define CELLS "tests/conform/cells"
static const char whole[] = "bptt=0";
static int refusals;
static Ctx *ctx;

/* Refused with the code that says why; drops the diagnostics then. */
static bool refused(void) {
    bool found = false;
    for (uint32_t i = 0; i < diag_count(ctx); i++) found |= diag_at(ctx, i)->code == 570;
    if (found) diag_clear(ctx);
    return found;
}

/* window: "bptt=1", .. */
static bool run(const char *path, ExecEngine engine, GradientMode mode, const char *window, bool ragged, Arena *a, Arrays *out) {
    ModelOptions o = {.std_dir = "std", .exec = {.engine = engine, .f64 = true, .gradient = mode}, .set = &window, .nset = 1};
    RunOptions r = {.grad = true};
    Arrays in = {0};
    Model *m = model_open(ctx, path, &o);
    bool ok = m && modes_arrays(m, a, 3, 3, 6, ragged, &in) && run_arrays(m, &r, &in, a, out);
    model_close(m);
    return ok;
}

/* The worst error of a result against the largest number of its array, or a thousandth of the largest of all gradients: some are 0
   but for rounding. */
static double worst(const Arrays *got, const Arrays *want) {
    double w = 0, all = 0;
    for (uint32_t i = 0; i < want->array.n; i++)
        if (strncmp(want->array.at[i].name, "grad/", 5) == 0) all = fmax(all, modes_largest(&want->array.at[i]));
    for (uint32_t i = 0; i < want->array.n; i++) {
        const Array *x = &want->array.at[i], *y = arrays_find(got, x->name);
        if (strncmp(x->name, "grad/input/", 11) == 0) continue;
        double e = y ? modes_difference(x, y) / fmax(modes_largest(x), 1e-3 * all) : INFINITY;
        if (!(e <= w)) w = e;
    }
    return w;
}

static void one(const char *cell, const char *path, bool ragged) {
    static const ExecEngine engine[] = {EXEC_EVAL, EXEC_LOOPS, EXEC_JIT};
    Arena a = arena_make(ctx);
    Arrays want = {0};
    int engines = ragged ? 2 : 3;
    if (!run(path, EXEC_LOOPS, GRADIENT_BPTT, whole, ragged, &a, &want)) modes_check(ctx, false, cell, "bptt runs", 0);
    for (int mode = GRADIENT_RTRL; mode <= GRADIENT_SNAP1; mode++) {
        Arrays out[3];
        memset(out, 0, sizeof out);
        for (int e = 0; e < engines; e++) {
            bool ok = run(path, engine[e], (GradientMode)mode, whole, ragged, &a, &out[e]);
            if (!ok && e == 0 && refused()) {
                refusals++;
                break;
            }
            modes_check(ctx, ok, cell, "it runs", e);
            double w = worst(&out[e], &want);
            if (mode == GRADIENT_RTRL) modes_check(ctx, w <= 1e-10, cell, "rtrl = bptt", w);
        }
        for (uint32_t i = 0; engines == 3 && i < out[1].array.n; i++)
            modes_check(ctx, modes_same_bits(&out[1].array.at[i], arrays_find(&out[2], out[1].array.at[i].name)), cell, out[1].array.at[i].name, mode);
    }
    arena_free(&a);
}

/* Windows that carry state and influence: with the parameters held, their mean is the gradient of whole sequences, where the loss is a
   mean over steps and windows are equally long. That bptt by windows is not shows that something is carried. */
static void windows(const char *cell, const char *path) {
    Arena a = arena_make(ctx);
    Arrays want = {0}, cut = {0}, one_step = {0}, three = {0};
    bool ok = run(path, EXEC_LOOPS, GRADIENT_BPTT, whole, false, &a, &want) && run(path, EXEC_LOOPS, GRADIENT_BPTT, "bptt=1", false, &a, &cut) &&
              run(path, EXEC_LOOPS, GRADIENT_RTRL, "bptt=1", false, &a, &one_step) &&
              run(path, EXEC_LOOPS, GRADIENT_RTRL, "bptt=3", false, &a, &three);
    modes_check(ctx, ok, cell, "windows run", 0);
    if (ok) {
        modes_check(ctx, worst(&one_step, &want) <= 1e-10, cell, "rtrl in windows of 1 step", worst(&one_step, &want));
        modes_check(ctx, worst(&three, &want) <= 1e-10, cell, "rtrl in windows of 3 steps", worst(&three, &want));
        modes_check(ctx, worst(&cut, &want) > 1e-3, cell, "bptt in windows of 1 step is truncated", worst(&cut, &want));
    }
    arena_free(&a);
}

/* ---- what it takes ---------------------------------------------------------------------------------------------------------- */

static Model *open_text(const char *text, GradientMode mode) {
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_LOOPS, .f64 = true, .gradient = mode}};
    return model_open_text(ctx, "inline.rondo", text, strlen(text), &o);
}

static Exec *train_exec(Model *m, int64_t B, int64_t T, GradientMode mode, Str *notes) {
    ExecOptions o = *model_exec_options(m);
    int64_t axis[MAX_AXES] = {B};
    o.grad = true;
    o.gradient = mode;
    Exec *e = exec_make(ctx, model_module(m, MODULE_TRAIN, false), &o, notes);
    for (uint32_t k = 1; k < MAX_AXES; k++) axis[k] = T;
    if (e && !exec_dims(e, axis)) {
        exec_destroy(e);
        e = NULL;
    }
    return e;
}

/* Bytes of scratch: bptt grows with the steps, the others do not. */
static void memory(const char *path) {
    ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_LOOPS}};
    Model *m = model_open(ctx, path, &o);
    for (int mode = GRADIENT_BPTT; m && gradient_name[mode]; mode++) {
        int64_t bytes[2] = {0};
        for (int k = 0; k < 2; k++) {
            Exec *e = train_exec(m, 2, k ? 10000 : 10, (GradientMode)mode, NULL);
            if (e) bytes[k] = exec_stats(e).slab_bytes + exec_stats(e).pack_bytes;
            exec_destroy(e);
        }
        if (mode == GRADIENT_BPTT) modes_check(ctx, bytes[1] > 100 * bytes[0], path, "bptt keeps its steps", (double)bytes[1]);
        else modes_check(ctx, bytes[0] > 0 && bytes[0] == bytes[1], path, "memory does not depend on the steps", (double)(bytes[1] - bytes[0]));
    }
    model_close(m);
}

/* Of a model whose units see only themselves: numbers carried = parameters of the cell (as many as each state they have an influence
   on), and scratch in proportion to them. */
static void diagonal(void) {
    static const char text[] = "model m[H = 8] { input x: seq [8] target y: seq [H] h = diag[H](x) output h loss mse(h, y) }"
                               " cell diag[H](x: [I]) { param W: [H, I] = 0.1 param u, b: [H] = 0.2 state h: [H] = 0"
                               " h' = tanh(W @ x + u * h + b) return h' }";
    for (int mode = GRADIENT_RTRL; mode <= GRADIENT_SNAP1; mode++) {
        int64_t bytes[2] = {0}, size[2] = {64, 256};
        for (int k = 0; k < 2; k++) {
            Arena a = arena_make(ctx);
            Str notes = str_make(&a);
            const char *set = arena_printf(&a, "H=%d", (int)size[k]);
            ModelOptions o = {.std_dir = "std", .exec = {.engine = EXEC_LOOPS}, .set = &set, .nset = 1};
            Model *m = model_open_text(ctx, "inline.rondo", text, strlen(text), &o);
            Exec *e = m ? train_exec(m, 1, 5, (GradientMode)mode, &notes) : NULL;
            const char *want = arena_printf(&a, "in rows, %d numbers an example", (int)(size[k] * 10));
            modes_check(ctx, e && strstr(notes.at, want) && !strstr(notes.at, "as a whole"), "diagonal", notes.at ? notes.at : "no notes", k);
            if (e) bytes[k] = exec_stats(e).slab_bytes;
            exec_destroy(e);
            model_close(m);
            arena_free(&a);
        }
        modes_check(ctx, bytes[1] < 5 * bytes[0], "diagonal", "scratch grows with the parameters", (double)bytes[1] / (double)bytes[0]);
    }
}

/* ---- snap1 by its definition ------------------------------------------------------------------------------------------------- */

/* h' = tanh(W x + U h), loss the mean over examples, steps and units of (h - y)^2: each weight's influence on the unit it feeds. */
static void snap1_by_hand(void) {
    static const char text[] = "model m { input x: seq [2] target y: seq [3] h = mixed[3](x) output h loss mse(h, y) }"
                               " cell mixed[H](x: [I]) { param W: [H, I] = uniform(-1, 1) param U: [H, H] = uniform(-1, 1) state h: [H] = 0"
                               " h' = tanh(W @ x + U @ h) return h' }";
    enum { B = 2, T = 5, H = 3, I = 2 };
    Arena a = arena_make(ctx);
    Arrays in = {0}, out = {0};
    RunOptions r = {.grad = true};
    Model *m = open_text(text, GRADIENT_SNAP1);
    bool ok = m && modes_arrays(m, &a, 7, B, T, false, &in) && run_arrays(m, &r, &in, &a, &out);
    modes_check(ctx, ok && r.inexact, "by hand", "it runs, and says that it is an approximation", 0);
    const Array *x = arrays_find(&in, "input/x"), *y = arrays_find(&in, "target/y");
    double W[H][I], U[H][H], gW[H][I] = {{0}}, gU[H][H] = {{0}}, worst = 0;
    for (int i = 0; ok && i < H * I; i++) W[i / I][i % I] = model_theta_get(m, i);
    for (int i = 0; ok && i < H * H; i++) U[i / H][i % H] = model_theta_get(m, H * I + i);
    for (int b = 0; ok && b < B; b++) {
        double h[H] = {0}, JW[H][I] = {{0}}, JU[H][H] = {{0}};
        for (int t = 0; t < T; t++) {
            double n[H];
            for (int i = 0; i < H; i++) {
                double s = 0;
                for (int k = 0; k < I; k++) s += W[i][k] * array_get(x, (b * T + t) * I + k);
                for (int k = 0; k < H; k++) s += U[i][k] * h[k];
                n[i] = tanh(s);
                double d = 1 - n[i] * n[i], e = 2 * (n[i] - array_get(y, (b * T + t) * H + i)) / (B * T * H);
                for (int k = 0; k < I; k++) gW[i][k] += e * (JW[i][k] = d * (U[i][i] * JW[i][k] + array_get(x, (b * T + t) * I + k)));
                for (int k = 0; k < H; k++) gU[i][k] += e * (JU[i][k] = d * (U[i][i] * JU[i][k] + h[k]));
            }
            memcpy(h, n, sizeof h);
        }
    }
    for (int i = 0; ok && i < H * I; i++) worst = fmax(worst, fabs(gW[i / I][i % I] - array_get(arrays_find(&out, "grad/param/h.W"), i)));
    for (int i = 0; ok && i < H * H; i++) worst = fmax(worst, fabs(gU[i / H][i % H] - array_get(arrays_find(&out, "grad/param/h.U"), i)));
    modes_check(ctx, worst < 1e-14, "by hand", "snap1", worst);
    model_close(m);
    arena_free(&a);
}

/* U (E h) with the unit matrix E mixes the states twice within a step: the diagonal of the whole Jacobian is taken instead of that of
   one matrix, and must be the same. Gates in one matrix, cut in two, are two blocks of it. */
static void snap1_other_ways(void) {
#define CELL(head, u) \
    "model m { input x: seq [2] target y: seq [3] h = mixed[3](x) output h loss mse(h, y) }" \
    " cell mixed[H](x: [I]) { " head " state h, c: [H] = 0 a = " u " z = sigmoid(a[0:3]) n = tanh(a[3:6])" \
    " c' = z * c + (1 - z) * n h' = tanh(c') return h' }"
    static const char *const text[] = {
        CELL("param W: [2 * H, I] = uniform(-1, 1) param U: [2 * H, H] = uniform(-1, 1)", "W @ x + U @ h"),
        CELL("param W: [2 * H, I] = uniform(-1, 1) param U: [2 * H, H] = uniform(-1, 1) const E: [H, H] = row == col", "W @ x + U @ (E @ h)")};
    Arena a = arena_make(ctx);
    Arrays out[2];
    memset(out, 0, sizeof out);
    for (int k = 0; k < 2; k++) {
        Arrays in = {0};
        RunOptions r = {.grad = true};
        Model *m = open_text(text[k], GRADIENT_SNAP1);
        modes_check(ctx, m && modes_arrays(m, &a, 7, 2, 5, false, &in) && run_arrays(m, &r, &in, &a, &out[k]) && r.inexact, "other ways", "it runs", k);
        model_close(m);
    }
    if (out[0].array.n && out[1].array.n) modes_check(ctx, worst(&out[1], &out[0]) < 1e-12, "other ways", "snap1", worst(&out[1], &out[0]));
    arena_free(&a);
}

int main(int argc, char **argv) {
    ctx = ctx_make(NULL);
    DIR *d = opendir(CELLS);
    for (struct dirent *f; d && (f = readdir(d)) != NULL;) {
        char path[400];
        if (!strstr(f->d_name, ".rondo") || (argc > 1 && !strstr(f->d_name, argv[1]))) continue;
        snprintf(path, sizeof path, CELLS "/%s", f->d_name);
        one(f->d_name, path, false);
        one(f->d_name, path, true);
        static const char *const per_step[] = {"lstm.rondo", "mingru.rondo", "gru_v3.rondo", "slstm.rondo", "s4d_real.rondo"};
        for (int k = 0; k < 5; k++)
            if (!strcmp(f->d_name, per_step[k])) windows(f->d_name, path);
    }
    if (d) closedir(d);
    if (argc == 1 || !strcmp(argv[1], "inline")) {
        static const char *const model[] = {"mingru", "lstm", "gru_v3", "layernorm_lstm"};
        for (int k = 0; k < 4; k++) {
            char path[400];
            snprintf(path, sizeof path, CELLS "/%s.rondo", model[k]);
            memory(path);
        }
        diagonal();
        snap1_by_hand();
        snap1_other_ways();
    }
    if (argc == 1) modes_check(ctx, refusals == 12, "refusals", "bilstm2, attention_pool, seq2seq_attention", refusals);
    printf("%d refused, ", refusals);
    int status = modes_report();
    ctx_destroy(ctx);
    return status;
}
