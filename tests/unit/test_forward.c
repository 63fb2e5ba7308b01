/* test_forward: `run --jvp` on the cells of tests/conform/cells: <u, J v> = <J' u, v>, forward mode against reverse mode, in f64 by
   evaluator, loop interpreter and jit; the last two to the same bits. usage: test_forward [a part of a cell's name] */
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "tests/unit/gen.h"
#include "tests/unit/modes.h"

#define CELLS "tests/conform/cells"
static Ctx *ctx;

/* A random direction of every parameter and every input of floats. */
static void directions(Model *m, Arena *a, Arrays *in) {
    const ModelDesc *d = model_desc(m);
    uint64_t rng = 5;
    uint32_t n = in->array.n;
    for (uint32_t i = 0; i < d->param.n; i++) {
        const ParamDesc *p = &d->param.at[i];
        int64_t dim[MAX_RANK];
        for (int k = 0; k < p->rank; k++) dim[k] = p->dim[k];
        Array *x = arrays_add(a, in, arena_printf(a, "tangent/param/%s", name_str(ctx, p->name)), RONDO_F64, p->rank, dim);
        for (int64_t k = 0; k < p->count && !p->is_const; k++) array_set(x, k, gen_real(&rng, -1, 1));
    }
    for (uint32_t i = 0; i < n; i++) {
        const Array from = in->array.at[i];
        uint32_t k = 0;
        if (strncmp(from.name, "input/", 6) != 0) continue;
        while (strcmp(name_str(ctx, d->input.at[k].name), from.name + 6) != 0) k++;
        if (d->input.at[k].dtype != DT_F) continue;
        Array *x = arrays_add(a, in, arena_printf(a, "tangent/%s", from.name), RONDO_F64, from.rank, from.dim);
        for (int64_t e = 0; e < array_count(x); e++) array_set(x, e, gen_real(&rng, -1, 1));
    }
}

/* Gradient times direction, over all arrays that have both. */
static double along(Arena *a, const Arrays *in, const Arrays *out, double *scale) {
    double sum = 0;
    *scale = 0;
    for (uint32_t i = 0; i < in->array.n; i++) {
        const Array *v = &in->array.at[i];
        if (strncmp(v->name, "tangent/", 8) != 0) continue;
        const Array *g = arrays_find(out, arena_printf(a, "grad/%s", v->name + 8));
        for (int64_t k = 0; g && k < array_count(v); k++) {
            sum += array_get(v, k) * array_get(g, k);
            *scale += fabs(array_get(v, k) * array_get(g, k));
        }
    }
    return sum;
}

static bool run(const char *path, ExecEngine engine, bool ragged, Arena *a, Arrays *in, Arrays *out) {
    static const char *const set[] = {"bptt=0"};
    ModelOptions o = {.std_dir = "std", .exec = {.engine = engine, .f64 = true}, .set = set, .nset = 1};
    RunOptions r = {.grad = true, .jvp = true};
    Model *m = model_open(ctx, path, &o);
    bool ok = m && modes_arrays(m, a, 3, 2, 4, ragged, in);
    if (ok) {
        directions(m, a, in);
        ok = run_arrays(m, &r, in, a, out);
    }
    model_close(m);
    return ok;
}

static void one(const char *cell, const char *path, bool ragged) {
    static const ExecEngine engine[] = {EXEC_EVAL, EXEC_LOOPS, EXEC_JIT};
    Arena a = arena_make(ctx);
    Arrays out[3];
    memset(out, 0, sizeof out);
    for (int e = 0; e < 3; e++) {
        Arrays in = {0};
        double scale;
        bool ok = run(path, engine[e], ragged, &a, &in, &out[e]);
        modes_check(ctx, ok, cell, "it runs", e);
        const Array *loss = ok ? arrays_find(&out[e], "jvp/loss") : NULL;
        double want = along(&a, &in, &out[e], &scale), got = loss ? array_get(loss, 0) : NAN;
        modes_check(ctx, fabs(got - want) <= 1e-11 * (scale + fabs(want)), cell, "forward and reverse mode differ", got - want);
    }
    for (uint32_t i = 0; i < out[1].array.n; i++) {
        const Array *x = &out[1].array.at[i];
        if (strncmp(x->name, "jvp/", 4) == 0)
            modes_check(ctx, modes_same_bits(x, arrays_find(&out[2], x->name)), cell, "interpreter and jit differ", i);
    }
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
        if (strcmp(f->d_name, "lstm.rondo") == 0 || strcmp(f->d_name, "seq2seq_attention.rondo") == 0) one(f->d_name, path, true);
    }
    if (d) closedir(d);
    int status = modes_report();
    ctx_destroy(ctx);
    return status;
}
