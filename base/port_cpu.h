/* port_cpu: what the processor offers. base/port.h, this file and base/port_memory.h alone go past ISO C11 and POSIX. */
#ifndef RONDO_PORT_CPU_H
#define RONDO_PORT_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum { PORT_CPU_WORDS = 32 };

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <cpuid.h>

#define PORT_CPU_X86 1
static inline bool port_cpu_avx2(void) { return __builtin_cpu_supports("avx2"); }
static inline bool port_cpu_fma(void) { return __builtin_cpu_supports("fma"); }
static inline bool port_cpu_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

/* The words that tell one kind of processor from another (family, model, features in use), not one core from another. Each leaf is read
   once, its maximum included: under a hypervisor it takes microseconds. The last one is there on all of x86-64. */
static inline void port_cpu_words(uint32_t w[PORT_CPU_WORDS]) {
    unsigned a, b, c, d, last, n = 0;
    for (unsigned k = 0; k < PORT_CPU_WORDS; k++) w[k] = 0;
    __cpuid(0, last, b, c, d);
    w[n++] = b, w[n++] = c, w[n++] = d;
    __cpuid(1, a, b, c, d);
    w[n++] = a, w[n++] = c, w[n++] = d;
    if (last >= 7) {
        __cpuid_count(7, 0, a, b, c, d);
        w[n++] = b, w[n++] = c, w[n++] = d;
        if (a >= 1) {
            __cpuid_count(7, 1, a, b, c, d);
            w[n++] = a, w[n++] = d;
        }
    }
    if (last >= 0xd) {
        __cpuid_count(0xd, 1, a, b, c, d);
        w[n++] = a;
    }
    __cpuid(0x80000001u, a, b, c, d);
    w[n++] = c, w[n++] = d;
    w[n++] = (uint32_t)port_cpu_avx2() | (uint32_t)port_cpu_fma() << 1 | (uint32_t)port_cpu_avx512() << 2;
}

/* Up to 48 characters of the maker's name for it. */
static inline void port_cpu_name(char name[49]) {
    unsigned r[12] = {0};
    for (unsigned k = 0; k < 3; k++)
        if (!__get_cpuid(0x80000002u + k, &r[4 * k], &r[4 * k + 1], &r[4 * k + 2], &r[4 * k + 3])) break;
    for (unsigned k = 0; k < 48; k++) name[k] = (char)(r[k / 4] >> (8 * (k % 4)));
    name[48] = 0;
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

#define PORT_CPU_X86 0
static inline void port_cpu_words(uint32_t w[PORT_CPU_WORDS]) {
    unsigned long a = getauxval(AT_HWCAP), b = getauxval(AT_HWCAP2);
    for (unsigned k = 0; k < PORT_CPU_WORDS; k++) w[k] = 0;
    w[0] = (uint32_t)a, w[1] = (uint32_t)(a >> 32), w[2] = (uint32_t)b, w[3] = (uint32_t)(b >> 32);
}
static inline void port_cpu_name(char name[49]) { name[0] = 0; }

#else
#define PORT_CPU_X86 0
static inline void port_cpu_words(uint32_t w[PORT_CPU_WORDS]) {
    for (unsigned k = 0; k < PORT_CPU_WORDS; k++) w[k] = 0;
}
static inline void port_cpu_name(char name[49]) { name[0] = 0; }
#endif

/* Makes instructions just written at [p, p + n) visible to the processor's fetch. */
#if defined(__GNUC__) || defined(__clang__)
static inline void port_flush_code(char *p, uint64_t n) { __builtin___clear_cache(p, p + n); }
#else
static inline void port_flush_code(char *p, uint64_t n) { (void)p, (void)n; }
#endif

#endif
