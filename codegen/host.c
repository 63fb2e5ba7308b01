/* host: the processor's vectors, found without loading LLVM. */
#include "codegen/image.h"

#include "base/port_cpu.h"

#include <string.h>

static HostInfo host_vectors(void) {
#if PORT_CPU_X86
    if (port_cpu_avx512()) return (HostInfo){.lanes_f32 = 16, .lanes_f64 = 8, .registers = 32, .fma = true};
    if (port_cpu_avx2()) return (HostInfo){.lanes_f32 = 8, .lanes_f64 = 4, .registers = 16, .fma = port_cpu_fma()};
    return (HostInfo){.lanes_f32 = 4, .lanes_f64 = 2, .registers = 16, .fma = port_cpu_fma()};
#elif defined(__aarch64__)
    return (HostInfo){.lanes_f32 = 4, .lanes_f64 = 2, .registers = 32, .fma = true};
#else
    return (HostInfo){.lanes_f32 = 1, .lanes_f64 = 1, .registers = 16, .fma = false};
#endif
}

HostInfo host_info(void) {
    HostInfo h = host_vectors();
    char name[49];
    port_cpu_name(name);
    const char *s = name;
    while (*s == ' ') s++;
    static const char *const kind[] = {"scalar", "128-bit", "256-bit", "512-bit"};
    const char *width = kind[h.lanes_f32 == 16 ? 3 : h.lanes_f32 == 8 ? 2 : h.lanes_f32 == 4];
    snprintf(h.name, sizeof h.name, *s ? "%.40s, %s" : "%s%s", s, width);
    return h;
}

void host_words(uint32_t w[HOST_WORDS]) { port_cpu_words(w); }
