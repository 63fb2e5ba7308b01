/* import: what comes after reading: vectors in Rondo's order, the written model at work, its files. */
#include "import/import.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "import/internal.h"

const Array *import_arrange(Ctx *ctx, Arena *a, const ImportPort *p, const Array *src) {
    Arrays one = {0};
    int64_t B = 1, T = 1, F = 1, at[RONDO_MAX_RANK] = {0};
    bool fits = src->rank == p->rank;
    for (int d = 0; fits && d < src->rank; d++) {
        int64_t *size = p->role[d] == DIM_BATCH ? &B : p->role[d] == DIM_TIME ? &T : &F;
        fits = checked_mul(*size, src->dim[d], size);
    }
    if (!fits || F != (p->n ? p->n : 1)) {
        diag_error(ctx, 606, NOWHERE, "the array for '%s' has other dims than the model that was imported", p->source);
        return NULL;
    }
    int rank = 0;
    int64_t dim[3];
    dim[rank++] = B;
    if (p->seq) dim[rank++] = T;
    if (p->n) dim[rank++] = F;
    Array *x = arrays_add(a, &one, p->name, p->n ? RONDO_F64 : RONDO_I64, rank, dim);
    if (!x) return NULL;
    int64_t n = array_count(src);
    for (int64_t i = 0; i < n; i++) {
        int64_t b = 0, t = 0, f = 0;
        for (int d = 0; d < src->rank; d++) {
            int64_t *index = p->role[d] == DIM_BATCH ? &b : p->role[d] == DIM_TIME ? &t : &f;
            *index = *index * src->dim[d] + at[d];
        }
        double v = array_get(src, i);
        if (!p->n && !(fabs(v) < 9e15)) {
            diag_error(ctx, 609, NOWHERE, "the array for '%s' holds something that is no whole number", p->source);
            return NULL;
        }
        array_set(x, (b * T + t) * F + f, v);
        for (int d = src->rank; d-- > 0;) {
            if (++at[d] < src->dim[d]) break;
            at[d] = 0;
        }
    }
    return x;
}

Model *imported_open(Ctx *ctx, const Imported *im, const ModelOptions *o) {
    const char *path = arena_printf(ctx_arena(ctx), "%s.rondo", im->model);
    Model *m = model_open_text(ctx, path, im->text, im->ntext, o);
    if (m && !weights_from_arrays(m, &im->weight, true)) {
        model_close(m);
        return NULL;
    }
    return m;
}

bool imported_check(Model *m, Arena *a, const Imported *im, double bar, double *worst) {
    Arrays got = {0};
    bool ok = true;
    *worst = 0;
    if (!im->given.array.n) return true;
    if (!run_arrays(m, &(RunOptions){0}, &im->given, a, &got)) return false;
    for (uint32_t i = 0; i < im->expected.array.n; i++) {
        const Array *want = &im->expected.array.at[i], *have = arrays_find(&got, want->name);
        int64_t n = array_count(want);
        bool fits = have && array_count(have) == n && have->rank == want->rank;
        double error = 0, largest = 1;
        for (int64_t k = 0; fits && k < n; k++) {
            double d = fabs(array_get(have, k) - array_get(want, k)), v = fabs(array_get(want, k));
            if (!(d <= error)) error = d; /* a NaN stays */
            if (v > largest) largest = v;
        }
        if (!(error <= *worst)) *worst = error;
        if (fits && error <= bar * largest) continue;
        ok = false;
        if (!fits)
            diag_error(model_ctx(m), 653, NOWHERE, "%s has other dims than the source expects", want->name);
        else
            diag_error(model_ctx(m), 653, NOWHERE, "%s differs from what the source expects by %g", want->name, error);
    }
    return ok;
}

bool imported_write(Ctx *ctx, Model *m, const Imported *im, const char *dir) {
    Arena *a = ctx_arena(ctx);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        diag_error(ctx, 1, NOWHERE, "cannot make the folder '%s': %s", dir, strerror(errno));
        return false;
    }
    return weights_save(m, arena_printf(a, "%s/%s.safetensors", dir, im->model)) &&
           file_write(ctx, arena_printf(a, "%s/%s.rondo", dir, im->model), im->text, im->ntext);
}
