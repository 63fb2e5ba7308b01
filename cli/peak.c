/* The machine's multiply-add peak on one core, measured with a loop program of our own: independent chains in registers, so
   neither latency nor memory limits it. */
#include "cli/cli.h"

#include <stdlib.h>

enum { CHAINS_MAX = 24, ROUNDS = 100000 };

/* run: for i < dim[1]: acc[k] = fma(acc[k], x, y), every k; the sums are stored so that nothing is dead */
static LProgram *peak_program(Ctx *ctx, Arena *a, bool f64, int V, int chains) {
    LProgram *p = lprogram_make(ctx, a, intern(ctx, "peak"), f64, V);
    LExtent in = {.term = {{.coef = 2}}, .n = 1}, out = {.term = {{.coef = (int64_t)V * chains}}, .n = 1};
    uint32_t x = lprogram_add_buf(p, "x", LB_INPUT, LE_F, 0, in), y = lprogram_add_buf(p, "y", LB_OUTPUT, LE_F, 0, out);
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    LBuilder b = lb_make(p, p->fn.n - 1);
    LV scale = lb_load(&b, LOP_LDB, x, lidx(0), 0), add = lb_load(&b, LOP_LDB, x, lidx(1), 0);
    LV init[CHAINS_MAX], inner[CHAINS_MAX], next[CHAINS_MAX], result[CHAINS_MAX];
    for (int k = 0; k < chains; k++) init[k] = lb_fconst(&b, 0.01 * k);
    LV rounds = lb_op(&b, LOP_DIM, 0, 0, 0, 1);
    lb_for(&b, lb_iconst(&b, 0), rounds, 1, false, (uint32_t)chains, init, inner);
    for (int k = 0; k < chains; k++) next[k] = lb_op(&b, LOP_FMA, inner[k], scale, add, 0);
    lb_end_for(&b, (uint32_t)chains, next, result);
    for (int k = 0; k < chains; k++) lb_store(&b, LOP_ST, y, lidx((int64_t)k * V), result[k], 0);
    return lprogram_verify(p, "peak") ? p : NULL;
}

double fma_peak(Ctx *ctx, bool f64, double seconds) {
    HostInfo h = host_info();
    int V = f64 ? h.lanes_f64 : h.lanes_f32, chains = h.registers >= 32 ? CHAINS_MAX : 12;
    Arena a = arena_make(ctx);
    double best = 0;
    LProgram *p = peak_program(ctx, &a, f64, V, chains);
    EngineOptions o = {.kind = ENGINE_JIT};
    Engine *e = p ? engine_make(ctx, p, &o) : NULL;
    size_t bytes = (size_t)V * CHAINS_MAX * sizeof(double);
    void *x = aligned_alloc(64, 64), *y = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (e && x && y) {
        for (int i = 0; i < 2; i++) {
            if (f64)
                ((double *)x)[i] = i ? 0.25 : 0.5;
            else
                ((float *)x)[i] = i ? 0.25F : 0.5F;
        }
        void *buf[] = {x, y};
        int64_t dim[LDIM_COUNT] = {1, ROUNDS};
        KEnv env = {.nt = 1};
        double flops = 2.0 * ROUNDS * V * chains, end = cli_now() + seconds;
        do {
            double t = cli_now();
            engine_call(e, p->fn.n - 1, buf, dim, &env);
            t = cli_now() - t;
            if (flops / t > best) best = flops / t;
        } while (cli_now() < end);
    }
    free(x);
    free(y);
    if (e) engine_destroy(e);
    arena_free(&a);
    return best;
}
