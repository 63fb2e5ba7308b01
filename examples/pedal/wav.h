/* wav: mono files of 16 bits, as far as this example needs them. */
#ifndef PEDAL_WAV_H
#define PEDAL_WAV_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_number(FILE *f, unsigned long v, int bytes) {
    for (; bytes; bytes--, v >>= 8) fputc((int)(v & 0xff), f);
}

static inline int wav_write(const char *name, const float *x, long n, unsigned long rate) {
    FILE *f = fopen(name, "wb");
    if (!f) return 0;
    fwrite("RIFF", 1, 4, f);
    put_number(f, 36 + 2 * (unsigned long)n, 4);
    fwrite("WAVEfmt ", 1, 8, f);
    put_number(f, 16, 4); /* what follows: PCM, one channel */
    put_number(f, 1, 2);
    put_number(f, 1, 2);
    put_number(f, rate, 4);
    put_number(f, 2 * rate, 4);
    put_number(f, 2, 2);
    put_number(f, 16, 2);
    fwrite("data", 1, 4, f);
    put_number(f, 2 * (unsigned long)n, 4);
    for (long i = 0; i < n; i++) {
        float v = x[i] * 32767.0f;
        int16_t s = (int16_t)(v > 32767.0f ? 32767.0f : v < -32768.0f ? -32768.0f : v + (v < 0 ? -0.5f : 0.5f));
        put_number(f, (uint16_t)s, 2);
    }
    return fclose(f) == 0;
}

/* The samples, from -1 to 1, in memory that the caller frees; NULL if the file is none of the kind above. */
static inline float *wav_read(const char *name, long *n, unsigned long *rate) {
    unsigned char head[44];
    FILE *f = fopen(name, "rb");
    float *x = NULL;
    if (!f) return NULL;
    if (fread(head, 1, 44, f) == 44 && !memcmp(head, "RIFF", 4) && !memcmp(head + 8, "WAVEfmt ", 8) && head[20] == 1 && head[22] == 1 &&
        head[34] == 16 && !memcmp(head + 36, "data", 4)) {
        *rate = head[24] | (unsigned long)head[25] << 8 | (unsigned long)head[26] << 16;
        *n = (long)(head[40] | (unsigned long)head[41] << 8 | (unsigned long)head[42] << 16 | (unsigned long)head[43] << 24) / 2;
        x = malloc((size_t)(*n ? *n : 1) * sizeof *x);
        for (long i = 0; x && i < *n; i++) {
            int low = fgetc(f), high = fgetc(f);
            int v = low | high << 8;
            if (high == EOF) *n = i;
            else x[i] = (float)(v > 32767 ? v - 65536 : v) / 32768.0f;
        }
    }
    fclose(f);
    return x;
}

#endif
