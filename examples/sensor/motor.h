/* motor: what a vibration sensor on a motor reads, 1000 times a second: the turning, its harmonics, noise; with a fault also a knock
   in every turn. It stands for a driver. */
#ifndef MOTOR_H
#define MOTOR_H

#include <math.h>
#include <stdint.h>

typedef struct {
    float hertz, phase, knock; /* knock: how hard; 0: sound */
    uint32_t noise;
} motor;

static inline float motor_read(motor *m) {
    float turn, x;
    m->phase += m->hertz / 1000.0f;
    if (m->phase >= 1.0f) m->phase -= 1.0f;
    turn = 6.2831853f * m->phase;
    m->noise = m->noise * 1664525u + 1013904223u;
    x = 0.5f * sinf(turn) + 0.2f * sinf(2.0f * turn + 0.7f) + 0.1f * sinf(3.0f * turn + 1.9f);
    x += 0.02f * ((float)(m->noise >> 8) / 8388608.0f - 1.0f);
    if (m->phase < 0.1f) x += m->knock;
    return x;
}

#endif
