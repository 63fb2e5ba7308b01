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

uint32_t noise_bits(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {element / 4, step, example, stream ^ (uint32_t)update};
    uint32_t out[4];

    philox4x32(counter, key, out);
    return out[element % 4];
}

double noise_uniform(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    return ldexp((double)(noise_bits(seed, update, stream, step, example, element) >> 8), -24);
}

/* Box-Muller; ir/lnoise.c builds the same. */
double noise_normal(uint64_t seed, uint64_t update, uint32_t stream, uint32_t step, uint32_t example, uint32_t element) {
    double u = noise_uniform(seed, update, stream, step, example, element);
    double v = noise_uniform(seed, update, stream ^ UINT32_C(0x80000000), step, example, element);

    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586476925 * v);
}
