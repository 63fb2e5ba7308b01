#include "guess.h"

#include "keyboard.h"

static keyboard_state state;
static float p[KEYBOARD_OUT_P];
static int started;

void guess_reset(void) {
    started = 1;
    keyboard_init(&state);
    guess_key('\n');
}

void guess_key(int byte) {
    int32_t text[1] = {byte & 0xff};
    if (!started) guess_reset();
    keyboard_step(&state, text, p);
}

int guess_next(int rank) {
    for (int byte = 0; byte < KEYBOARD_OUT_P; byte++) {
        int before = 0;
        for (int k = 0; k < KEYBOARD_OUT_P; k++) before += p[k] > p[byte] || (k < byte && !(p[k] < p[byte]));
        if (before == rank) return byte;
    }
    return -1;
}

double guess_probability(int byte) { return (double)p[byte & 0xff]; }
