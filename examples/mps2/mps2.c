/* mps2: what a program needs around main on a bare Cortex-M under QEMU: vectors, memory set up, the floating point unit on. The C
   library (newlib, rdimon) takes its heap from the symbol end, and everything else from the host by semihosting. */
#include <stdint.h>
#include <string.h>

extern uint32_t __data_from, __data_start, __data_end, __bss_start__, __bss_end__, __stack;
extern void initialise_monitor_handles(void);
extern void _exit(int);
int main(void);
void reset(void);

static void fault(void) {
    _exit(70);
}

__attribute__((used, section(".vectors"))) static const struct {
    uint32_t *stack;
    void (*handler[15])(void);
} vectors = {&__stack, {reset, fault, fault, fault, fault, fault}};

void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the coprocessors 10 and 11 are the floating point unit */
    __asm__ volatile("dsb\n isb" ::: "memory");
    memcpy(&__data_start, &__data_from, (size_t)((char *)&__data_end - (char *)&__data_start));
    memset(&__bss_start__, 0, (size_t)((char *)&__bss_end__ - (char *)&__bss_start__));
    initialise_monitor_handles();
    _exit(main());
}
