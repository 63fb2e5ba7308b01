/* Opens a.so that `rondo emit so` wrote (LINKED: is linked with a.o) and runs its kernels over a sequence: the same bits as the
   runtime's stream. */
#include "a_kernels.h"
#include "a_weights.h"
#include "runtime/rondo.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { B = 3, T = 7, I = 2, O = 1, H = 9 };

typedef void Kernel(void *const *buf, const int64_t *dim, const a_env *env);

static void alone(void *arg) { (void)arg; }

#ifndef LINKED
static Kernel *kernel(void *so, const char *name) {
    Kernel *k = NULL;
    void *p = dlsym(so, name);
    memcpy(&k, &p, sizeof k);
    return k;
}

#endif

int main(void) {
#ifdef LINKED
    Kernel *prepare = a_kernel_prepare, *run = a_kernel_run;
#else
    void *so = dlopen("./a.so", RTLD_NOW);
    if (!so) return fprintf(stderr, "%s\n", dlerror()), 1;
    Kernel *prepare = kernel(so, "a_kernel_prepare"), *run = kernel(so, "a_kernel_run");
    if (!prepare || !run) return fputs("a.so lacks a kernel\n", stderr), 1;
#endif

    const int64_t dim[A_KERNEL_DIMS] = {[0] = B, [1] = T, [A_KERNEL_DIMS - 1] = 1};
    void *buf[A_KERNEL_BUFFERS] = {0};
    for (int k = 0; k < A_KERNEL_BUFFERS; k++) {
        size_t n = ((size_t)a_buffer_size(k, dim) * sizeof(float) + 63) / 64 * 64;
        if (n && !(buf[k] = aligned_alloc(64, n))) return 1;
        if (n) memset(buf[k], 0, n);
    }
    memcpy(buf[A_BUF_WEIGHTS], a_weights, sizeof a_weights);
    float *x = buf[A_BUF_IN_X]; /* [T, B, I] */
    for (int i = 0; i < T * B * I; i++) x[i] = (float)((i * 37) % 19) / 8.0F - 1.0F;
    const a_env env = {0, 1, alone, NULL};
    prepare(buf, dim, &env);
    run(buf, dim, &env);

    rondo_model *m;
    rondo_stream *s;
    float y[B * O], h[B * H];
    if (rondo_open(&m, "a.rondo", NULL) != RONDO_OK || rondo_init_weights(m, 0) != RONDO_OK ||
        rondo_stream_open(m, B, &s) != RONDO_OK)
        return fprintf(stderr, "%s\n", rondo_message(m)), 1;
    for (int t = 0; t < T; t++) {
        if (rondo_stream_step(s, x + t * B * I, y) != RONDO_OK) return 1;
        if (memcmp(y, (const float *)buf[A_BUF_OUT_P] + t * B * O, sizeof y)) return fprintf(stderr, "step %d differs\n", t), 1;
    }
    if (rondo_stream_get(s, "h.c", h, B * H) != RONDO_OK || memcmp(h, buf[A_BUF_NEW_H_C], sizeof h))
        return fputs("the last state differs\n", stderr), 1;
    rondo_stream_close(s);
    rondo_close(m);
    for (int k = 0; k < A_KERNEL_BUFFERS; k++) free(buf[k]);
    puts("same bits");
    return 0;
}
