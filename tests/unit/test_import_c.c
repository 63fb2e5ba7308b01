/* `import c`: the functions of c_functions.h, compiled into this test, against what the language makes of them. */
#include <math.h>
#include <string.h>

#include "tests/unit/c_functions.h"
#include "frontend/frontend.h"

enum { POINTS = 161 };

typedef struct {
    const char *call; /* in the language, of x and y */
    double (*c)(float x, float y);
} Case;

/* clang-format off */
#define CASE(name, text) static double do_##name(float x, float y) { (void)y; return text; }
CASE(gelu, c_gelu(x)) CASE(tanh, fast_tanh(x)) CASE(poly, poly(x)) CASE(clip, soft_clip(x)) CASE(sign, sign_of(x))
CASE(leaky, leaky(x, y)) CASE(newton, newton_sqrt(x * x)) CASE(swi, swi(x)) CASE(steps, steps(x, y)) CASE(early, early(x))
CASE(libm, libm(x)) CASE(swap, swap(x, y)) CASE(square, square(x))
/* clang-format on */

static const Case cases[] = {
    {"c_gelu(x)", do_gelu},     {"fast_tanh(x)", do_tanh},          {"poly(x)", do_poly}, {"soft_clip(x)", do_clip},
    {"sign_of(x)", do_sign},    {"leaky(x, y)", do_leaky},          {"newton_sqrt(x * x)", do_newton}, {"swi(x)", do_swi},
    {"steps(x, y)", do_steps},  {"early(x)", do_early},             {"libm(x)", do_libm}, {"swap(x, y)", do_swap},
    {"square(x)", do_square},
};

static const double *evaluate(Ctx *ctx, Arena *a, const char *call, const double *x, const double *y) {
    FrontendOptions o = {.text = arena_printf(a, "import c \"tests/unit/c_functions.h\"\n"
                                                 "model m { input x: [] input y: [] output z = %s }\n", call)};
    BuildOptions b = {0};
    Program *p = frontend_load(ctx, a, "test.rondo", &o);
    Module *m = p ? frontend_model(p, a, &b) : NULL;
    const double *out[8] = {0}, *input[2] = {x, y};
    EvalIn in = {.input = input, .axis = {POINTS}};
    return m && module_eval(m, a, &in, out) ? out[0] : NULL;
}

static void say(Ctx *ctx) {
    Arena a = arena_make(ctx);
    Str s = str_make(&a);
    diag_render(ctx, &s, false);
    fputs(s.at ? s.at : "", stderr);
    arena_free(&a);
}

int main(void) {
    double x[POINTS], y[POINTS];
    int failed = 0;

    for (int i = 0; i < POINTS; i++) {
        x[i] = (float)(-2.9 + 5.8 * i / (POINTS - 1) + 0.003);
        y[i] = (float)(0.7 * sin(3.0 * i));
    }
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Ctx *ctx = ctx_make(NULL);
        Arena a = arena_make(ctx);
        const double *z = evaluate(ctx, &a, cases[k].call, x, y);
        if (!z) failed++, say(ctx), fprintf(stderr, "%s: not evaluated\n", cases[k].call);
        for (int i = 0; z && i < POINTS; i++) {
            double want = cases[k].c((float)x[i], (float)y[i]);
            if (fabs(z[i] - want) <= 4e-6 * (1 + fabs(want))) continue; /* C computes in f32 */
            failed++;
            fprintf(stderr, "%s at x = %g, y = %g: %.9g, C gives %.9g\n", cases[k].call, x[i], y[i], z[i], want);
            break;
        }
        arena_free(&a);
        ctx_destroy(ctx);
    }
    printf("%d passed, %d failed\n", (int)(sizeof cases / sizeof *cases) - failed, failed);
    return failed != 0;
}
