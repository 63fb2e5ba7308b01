/* device: the detector on a bare Cortex-M. It was trained on a motor at 48 turns a second and wakes up on one at 61. For a while it
   learns, in the weights' copy in RAM: after each window of 32 samples the gradient and one update, or both after each sample
   (sensor_learn, where the C was emitted for that). Then it watches: an error far above what it saw at the end of learning is an
   alarm. At last the motor gets a fault.
   Prints a line a window: its number, the error with the weights that it came with, the error with its own. */
#include <stdio.h>
#include <string.h>

#include "motor.h"
#include "sensor.h"

enum { WINDOW = 32, LEARN = 250, WATCH = 60, FAULT = 40 };

static sensor_weights weights; /* begins as a copy of the constants in flash */
static sensor_state came_with, own;
static float grad[SENSOR_WEIGHTS], moments[SENSOR_MOMENTS];
static unsigned char room[SENSOR_PREPARE_WORK];
static long updates;

#ifdef SENSOR_LEARN_STEPS
static sensor_learner learner; /* the state, and the influence of the weights on it: nothing else of the past */
static void learn_window(const float *x) {
    if (!updates) sensor_learn_begin(&learner);
    for (int i = 0; i < WINDOW; i++) {
        sensor_learn(&learner, weights.theta, x + i, x + i + 1, grad);
        sensor_adam(weights.theta, grad, moments, updates++);
    }
    sensor_prepare(&weights, room);
}
#else
static uint64_t work[(SENSOR_TRAIN_WORK(WINDOW, 1) + 7) / 8];
static void learn_window(const float *x) {
    sensor_grad(weights.theta, x, x + 1, WINDOW, 1, grad, work);
    sensor_adam(weights.theta, grad, moments, updates++);
    sensor_prepare(&weights, room);
}
#endif

/* The system's own timer, 25 MHz on these boards. QEMU with -icount shift=0 runs an instruction in a nanosecond: 40 a tick. */
static volatile uint32_t *const systick = (uint32_t *)0xE000E010;
static uint32_t now(void) { return systick[2]; }
static unsigned long instructions(uint32_t since) { return (unsigned long)((since - now()) & 0xffffffu) * 40; }

static float mean_error(sensor_state *s, const float *x) {
    static float p[WINDOW];
    float sum = 0;
    sensor_run(s, WINDOW, x, p);
    for (int i = 0; i < WINDOW; i++) sum += (p[i] - x[i + 1]) * (p[i] - x[i + 1]);
    return sum / WINDOW;
}

int main(void) {
    motor m = {61.0f, 0, 0, 7};
    static float x[WINDOW + 1];
    unsigned long step = 0, learn = 0;
    float usual = 0;
    int wrong = 0, seen = 0, first = 0;

    systick[1] = 0xffffffu;
    systick[0] = 5;
    weights = *sensor_builtin();
    sensor_init(&came_with);
    sensor_init(&own);
    sensor_use(&own, &weights);
    x[WINDOW] = motor_read(&m);
    for (int w = 0; w < LEARN + WATCH + FAULT; w++) {
        uint32_t start;
        float before, score;
        if (w == LEARN + WATCH) m.knock = 0.25f;
        x[0] = x[WINDOW];
        for (int i = 1; i <= WINDOW; i++) x[i] = motor_read(&m);
        before = mean_error(&came_with, x);
        start = now();
        score = mean_error(&own, x);
        step = instructions(start) / WINDOW;
        printf("%d %.6f %.6f\n", w, (double)before, (double)score);
        if (w < LEARN) {
            start = now();
            learn_window(x);
            learn = instructions(start);
            if (w >= LEARN - 50) usual = score > usual ? score : usual;
        } else if (score > 3 * usual) {
            if (w < LEARN + WATCH) wrong++;
            else if (!seen++) first = w - LEARN - WATCH;
        }
    }
    printf("# false alarms: %d of %d windows; fault: seen in %d of %d windows, first in number %d\n", wrong, WATCH, seen, FAULT, first + 1);
    printf("# instructions: %lu a sample watched, %lu a window of %d learnt\n", step, learn, WINDOW);
    return 0;
}
