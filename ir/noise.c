/* Noise: a pure function of where it is used. Philox4x32-10: Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as
   1, 2, 3", SC 2011. graph.h has the definition that every engine follows. */
#include <math.h>

#include "ir/graph.h"

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];

    for (int i = 0; i < 10; i++) {
        uint64_t p = (uint64_t)UINT32_C(0xD2511F53) * c0, q = (uint64_t)UINT32_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)q;
        c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t noise_step(uint32_t h, int64_t t) { return h * UINT32_C(0x9E3779B1) + (uint32_t)(t + 1); }

/* The words of elements 4 * block and the three after it. */
static void noise_block(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t block, uint32_t out[4]) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {block, step, example, stream ^ (uint32_t)update};

    philox4x32(counter, key, out);
}

uint32_t noise_bits(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    uint32_t out[4];

    noise_block(seed, update, stream, step, example, element / 4, out);
    return out[element % 4];
}

static uint32_t angle_of(uint32_t stream) { return stream ^ UINT32_C(0x80000000); }

static double to_unit(uint32_t word) { return (double)(word >> 8) * (1.0 / 16777216); }

/* Box-Muller; ir/lnoise.c builds the same. */
static double to_normal(double u, double v) { return sqrt(-2 * log(1 - u)) * cos(6.283185307179586476925 * v); }

double noise_uniform(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    return to_unit(noise_bits(seed, update, stream, step, example, element));
}

double noise_normal(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    double u = noise_uniform(seed, update, stream, step, example, element);
    double v = noise_uniform(seed, update, angle_of(stream), step, example, element);

    return to_normal(u, v);
}

void noise_draw(bool normal, uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, int64_t first, int64_t n, double *out) {
    uint32_t u[4], v[4];

    for (int64_t i = 0; i < n; i++) {
        uint32_t element = (uint32_t)(first + i), k = element % 4;
        if (!i || !k) {
            noise_block(seed, update, stream, step, example, element / 4, u);
            if (normal) noise_block(seed, update, angle_of(stream), step, example, element / 4, v);
        }
        out[i] = normal ? to_normal(to_unit(u[k]), to_unit(v[k])) : to_unit(u[k]);
    }
}
