/* How fast one core reads: sums of arrays that fit into half of each cache, and of one that fits into none. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/bench.h"

typedef struct {
    float *at;
    size_t n;
    volatile float sum;
} Reading;

static bool read_all(void *arg) {
    Reading *r = arg;
    float sum[8] = {0}; /* of eighths, so that no addition waits for another */
    size_t n = r->n / 8;
    const float *a = r->at;
    for (size_t i = 0; i < n; i++) {
        sum[0] += a[i], sum[1] += a[n + i], sum[2] += a[2 * n + i], sum[3] += a[3 * n + i];
        sum[4] += a[4 * n + i], sum[5] += a[5 * n + i], sum[6] += a[6 * n + i], sum[7] += a[7 * n + i];
    }
    r->sum = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
    return true;
}

void print_bandwidth(void) {
    static const struct {
        const char *name;
        int of;
        long otherwise;
    } level[] = {{"L1", _SC_LEVEL1_DCACHE_SIZE, 32 << 10}, {"L2", _SC_LEVEL2_CACHE_SIZE, 1 << 20}, {"L3", _SC_LEVEL3_CACHE_SIZE, 16 << 20}};
    long last = 0;
    for (int k = 0; k < 4; k++) {
        long size = k < 3 ? sysconf(level[k].of) : 8 * last;
        if (size <= 0) size = level[k].otherwise;
        if (k < 3 && size > 64 << 20) size = 64 << 20; /* of a cache that many cores share */
        last = size;
        Reading r = {.n = (size_t)size / 2 / sizeof(float) / 128 * 128};
        static Times t;
        t.n = 0;
        r.at = calloc(r.n, sizeof *r.at);
        for (size_t i = 0; r.at && i < r.n; i++) r.at[i] = (float)(i & 7);
        if (r.at) bench_time(read_all, &r, 1, 0.1, &t);
        double best = t.n ? t.ms[0] : 0;
        for (int i = 1; i < t.n; i++)
            if (t.ms[i] < best) best = t.ms[i];
        if (best > 0)
            printf("{\"read\": \"%s\", \"bytes\": %zu, \"gbytes_per_second\": %.1f}\n", k < 3 ? level[k].name : "memory", r.n * sizeof(float),
                   (double)(r.n * sizeof(float)) / best * 1e-6);
        free(r.at);
    }
}
