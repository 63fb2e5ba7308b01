/* motor: writes eight seconds of a sound motor at 48 turns a second, as CSV. */
#include <stdio.h>

#include "motor.h"

int main(void) {
    motor m = {48.0f, 0, 0, 1};
    puts("vibration");
    for (int i = 0; i < 8000; i++) printf("%.5f\n", (double)motor_read(&m));
    return 0;
}
