/* circuit: makes in.wav, a few seconds of plucked strings, and out.wav, what an overdrive circuit makes of them: a high-pass, an
   amplifier whose bias sags while it is driven, a clipper that is not symmetric, a tone control. The pair stands for one
   that you record: play in.wav through your pedal.

   The strings are Karplus and Strong's (1983): a burst of noise in a delay line whose average of two samples goes round. */
#include <math.h>

#include "wav.h"

enum { RATE = 48000, SECONDS = 5, N = RATE * SECONDS, LONGEST = RATE / 60 };

static float in[N], out[N], line[LONGEST];

static float noise(void) {
    static uint32_t s = 1;
    s = s * 1664525u + 1013904223u;
    return (float)(s >> 8) / 8388608.0f - 1.0f;
}

static void pluck(long from, float hertz, float loud) {
    long size = (long)(RATE / hertz);
    for (long k = 0; k < size; k++) line[k] = loud * noise();
    for (long i = from, k = 0; i < N; i++, k = (k + 1) % size) {
        in[i] += line[k];
        line[k] = 0.4985f * (line[k] + line[(k + 1) % size]);
    }
}

int main(void) {
    static const float chord[][3] = {{110.0f, 164.8f, 220.0f}, {87.3f, 174.6f, 220.0f}, {98.0f, 146.8f, 196.0f}, {82.4f, 123.5f, 164.8f}};
    float high = 0, bias = 0, low = 0;
    for (int beat = 0; beat < 2 * SECONDS; beat++)
        for (int k = 0; k < 3; k++) pluck((long)beat * RATE / 2 + k * RATE / 40, chord[beat / 2 % 4][k] * (beat % 2 ? 2.0f : 1.0f), beat % 3 ? 0.2f : 0.08f);
    for (long i = 0; i < N; i++) {
        float x, driven;
        high += 0.012f * (in[i] - high); /* 90 Hz */
        x = 9.0f * (in[i] - high);
        bias += 0.0008f * (fabsf(x) - bias); /* 25 ms */
        driven = tanhf(x + 0.3f - 0.4f * bias) - tanhf(0.3f - 0.4f * bias);
        if (driven < 0) driven *= 0.8f;
        low += 0.4f * (driven - low); /* 4 kHz */
        out[i] = 0.5f * low;
    }
    return wav_write("in.wav", in, N, RATE) && wav_write("out.wav", out, N, RATE) ? 0 : 1;
}
