/* play IN.wav TARGET.wav OUT.wav: runs IN through the network as an audio system would, in blocks by a callback, writes OUT, and says
   how far from TARGET it is (error to signal ratio, of the last fifth, which training did not see) and how much faster
   than real time. */
#include <time.h>

#include "pedal.h"
#include "wav.h"

enum { BLOCK = 64 };

/* What an audio system calls: n samples in, n samples out. Nothing is allocated, nothing waits. */
static void callback(void *user, const float *in, float *out, long n) { pedal_run((pedal_state *)user, n, in, out); }

int main(int argc, char **argv) {
    static pedal_state state;
    long n, m;
    unsigned long rate, other;
    if (argc != 4) return fputs("usage: play IN.wav TARGET.wav OUT.wav\n", stderr), 2;
    float *x = wav_read(argv[1], &n, &rate), *want = wav_read(argv[2], &m, &other), *y = NULL;
    if (x && want) y = malloc((size_t)(n ? n : 1) * sizeof *y);
    if (!y || m < n || rate != other) return fputs("play: two files of one length and rate, mono, 16 bits\n", stderr), 1;

    pedal_init(&state);
    clock_t start = clock();
    for (long i = 0; i < n; i += BLOCK) callback(&state, x + i, y + i, n - i < BLOCK ? n - i : BLOCK);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC, error = 0, signal = 0;

    for (long i = n - n / 5; i < n; i++) {
        error += ((double)want[i] - y[i]) * ((double)want[i] - y[i]);
        signal += (double)want[i] * want[i];
    }
    printf("%.1f s at %lu Hz: %.0f times as fast as real time\nESR %.4f\n", (double)n / (double)rate, rate,
           (double)n / (double)rate / (seconds > 1e-6 ? seconds : 1e-6), error / signal);
    int ok = wav_write(argv[3], y, n, rate);
    free(x);
    free(want);
    free(y);
    return ok ? 0 : 1;
}
