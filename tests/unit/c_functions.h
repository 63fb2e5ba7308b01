/* Functions for `import c`, as an audio programmer writes them: test_import_c compiles them and reads them. */
#ifndef C_FUNCTIONS_H
#define C_FUNCTIONS_H
#include <math.h>

#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))
static const float TABLE[] = {1.0f, -0.5f, 0.25f, -0.125f};
enum { TERMS = 4 };

static inline float square(float x) { return x * x; }
static inline float c_gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
static inline float fast_tanh(float x)
{
    float c = CLAMP(x, -3.0f, 3.0f), s = square(c);
    return c * (27.0f + s) / (27.0f + 9.0f * s);
}
static inline float poly(float x)
{
    float sum = 0;
    for (int i = TERMS - 1; i >= 0; --i) sum = sum * x + TABLE[i];
    return sum;
}
static inline float soft_clip(float x)
{
    float a = fabsf(x);
    if (a <= 0.5f) return x;
    if (a < 1.5f) {
        float t = a - 0.5f;
        a = 0.5f + t - 0.5f * t * t;
    } else
        a = 1.0f;
    return x < 0 ? -a : a;
}
static inline float sign_of(float x) { return (x > 0) - (x < 0); }
static inline double leaky(double x, double slope) { return x >= 0 && slope > 0 ? x : slope * x; }
static inline float newton_sqrt(float x)
{
    float y = 1 + x * 0.25f;
    int n = 0;
    while (n < 4) {
        y = 0.5f * (y + x / y);
        n++;
        if (n == 3) break;
    }
    return y;
}
static inline float swi(float x) { return x / (1.0f + expf(-x)); }
static inline float steps(float x, float y)
{
    const float weight[3] = {0.5f, -1.25f, 2.0f};
    float best = -1e30f, total = 0;
    int k;
    for (k = 0; k < 3; k++) {
        float v = weight[k] * x + (float)k * y;
        if (k == 1 && x * y > 0.1f) v -= 1;
        if (v > best) best = v;
        if (k % 2) continue;
        total += v;
    }
    do k -= 2;
    while (k > 0);
    return k < 0 ? best - 0.25f * total : 100;
}
static inline float early(float x)
{
    float y = x;
    if (x > 1) {
        if (x > 2) return 4 - x;
        y = 2;
    } else if (x < -1) {
        y += 0.5f;
        if (!(x < -2)) return y * y;
    }
    y *= 3;
    return y;
}
static inline float libm(float x)
{
    float a = expf(0.3f * x) + logf(2 + x * x) + sqrtf(1 + fabsf(x)) + tanhf(x) + sinf(x) * cosf(x) + erff(x);
    float b = expm1f(x) - log1pf(x * x) + floorf(x) - 2 * ceilf(x) + 3 * truncf(x) + exp2f(x) - log2f(3 + x) + log10f(3 + x);
    return a + b + tanf(0.1f * x) + sinhf(x) - coshf(x) + powf(1.5f + 0.1f * x, x) + fmaxf(x, 0.3f) - fminf(x, -0.3f) +
           fdimf(x, 0.2f) + hypotf(x, 1) + copysignf(2.5f, x) + fmaf(x, x, -x);
}
static inline float swap(float a, float b)
{
    float t = a;
    if (a > b) a = b, b = t;
    return a - 2 * b;
}
#endif
