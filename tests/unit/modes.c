#include "tests/unit/modes.h"

#include <math.h>
#include <string.h>

#include "tests/unit/gen.h"

static int passed, failed;

static bool add_port(Model *m, Arena *a, uint64_t *rng, const PortDesc *p, const char *prefix, int64_t B, int64_t T, Arrays *in) {
    int64_t dim[RONDO_MAX_RANK] = {B};
    int rank = 1;
    if (p->seq) dim[rank++] = p->steps ? p->steps : T;
    for (int k = 0; k < p->rank; k++) dim[rank++] = p->dim[k];
    Array *x = arrays_add(a, in, arena_printf(a, "%s%s", prefix, name_str(model_ctx(m), p->name)), RONDO_F64, rank, dim);
    for (int64_t i = 0; x && i < array_count(x); i++) {
        double u = gen_real(rng, 0, 1);
        array_set(x, i, p->vocab ? floor(u * p->vocab) : p->dtype == DT_B ? u < 0.5 : p->dtype == DT_F ? 2 * u - 1 : floor(3 * u));
    }
    return x != NULL;
}

bool modes_arrays(Model *m, Arena *a, uint64_t seed, int64_t B, int64_t T, bool ragged, Arrays *in) {
    const ModelDesc *d = model_desc(m);
    uint64_t rng = seed;
    bool ok = true;
    for (uint32_t i = 0; ok && i < d->input.n; i++) ok = add_port(m, a, &rng, &d->input.at[i], "input/", B, T, in);
    for (uint32_t i = 0; ok && i < d->target.n; i++) ok = add_port(m, a, &rng, &d->target.at[i], "target/", B, T, in);
    for (uint32_t i = 0; ok && ragged && i < d->input.n; i++) {
        const PortDesc *p = &d->input.at[i];
        const char *name = arena_printf(a, "length/%s", name_str(model_ctx(m), p->axis));
        if (!p->seq || p->steps || arrays_find(in, name)) continue;
        Array *x = arrays_add(a, in, name, RONDO_I64, 1, &B);
        for (int64_t b = 0; x && b < B; b++) array_set(x, b, b == 0 ? (double)T : 1 + (double)gen_below(&rng, (uint32_t)T));
        ok = x != NULL;
    }
    return ok && weights_init(m, seed);
}

double modes_largest(const Array *a) {
    double w = 0;
    for (int64_t i = 0; i < array_count(a); i++) w = fmax(w, fabs(array_get(a, i)));
    return w;
}

double modes_difference(const Array *a, const Array *b) {
    double w = 0;
    for (int64_t i = 0; i < array_count(a) && array_count(a) == array_count(b); i++) {
        double x = array_get(a, i), y = array_get(b, i), d = isnan(x) && isnan(y) ? 0 : fabs(x - y);
        if (!(d <= w)) w = d;
    }
    return array_count(a) == array_count(b) ? w : INFINITY;
}

bool modes_same_bits(const Array *a, const Array *b) {
    return a && b && a->type == b->type && array_count(a) == array_count(b) &&
           memcmp(a->data, b->data, (size_t)array_count(a) * rondo_type_size(a->type)) == 0;
}

void modes_check(Ctx *ctx, bool ok, const char *cell, const char *what, double v) {
    passed += ok;
    if (ok) return;
    failed++;
    printf("FAILED: %s: %s (%.3g)\n", cell, what, v);
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    diag_render(ctx, &s, false);
    if (s.n) printf("%.*s", (int)s.n, s.at);
    diag_clear(ctx);
    arena_free(&a);
}

int modes_report(void) {
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
