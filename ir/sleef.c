/* sleef: SLEEF's names by function and width, and its scalars for the interpreter. */
#include "ir/sleef.h"
#include "base/port_cpu.h"

#include <stdio.h>
#include <string.h>

/* <sleef.h> hides the names with FMA from compilations without -mfma, so they are declared here. */
#define PROTO_1(T, f) T f(T);
#define PROTO_2(T, f) T f(T, T);
#define LFN(NAME, cname, sleef, acc, args) \
    PROTO_##args(float, Sleef_finz_##sleef##f1_##acc##purecfma) PROTO_##args(float, Sleef_cinz_##sleef##f1_##acc##purec) \
        PROTO_##args(double, Sleef_finz_##sleef##d1_##acc##purecfma) PROTO_##args(double, Sleef_cinz_##sleef##d1_##acc##purec)
#include "ir/lmath.def"
#undef LFN

#if PORT_CPU_X86
bool sleef_host_fma(void) { return port_cpu_fma() && port_cpu_avx2(); }
#elif defined(__aarch64__)
bool sleef_host_fma(void) { return true; }
#else
bool sleef_host_fma(void) { return false; }
#endif

/* What follows the accuracy in a name: the instruction set. */
static const char *suffix(bool f64, int lanes, bool fma) {
    int bits = lanes * (f64 ? 64 : 32);
    if (lanes == 1) return fma ? "purecfma" : "purec";
    if (bits == 128) return fma ? "avx2128" : "sse2";
    if (bits == 256) return fma ? "avx2" : "avx";
    return bits == 512 && fma ? "avx512f" : NULL;
}

const char *sleef_symbol(LFn fn, bool f64, int lanes, bool fma, char name[SLEEF_NAME]) {
    const char *s = suffix(f64, lanes, fma);
    const LFnInfo *i = &lfn_info[fn];
    name[0] = 0;
    if (s)
        snprintf(name, SLEEF_NAME, "Sleef_%s_%s%c%d_%s%s", fma ? "finz" : "cinz", i->sleef, f64 ? 'd' : 'f', lanes, i->acc, s);
    return name;
}

/* One row a function: scalars with FMA and without. */
#define ARITY_1(f, x, y) f(x)
#define ARITY_2(f, x, y) f(x, y)
#define LFN(NAME, cname, sleef, acc, args) \
    case LFN_##NAME: \
        return fma ? ARITY_##args(Sleef_finz_##sleef##f1_##acc##purecfma, x, y) \
                   : ARITY_##args(Sleef_cinz_##sleef##f1_##acc##purec, x, y);
static float call_f32(LFn fn, bool fma, float x, float y) {
    switch (fn) {
#include "ir/lmath.def"
    case LFN_COUNT: break;
    }
    return 0;
}
#undef LFN

#define LFN(NAME, cname, sleef, acc, args) \
    case LFN_##NAME: \
        return fma ? ARITY_##args(Sleef_finz_##sleef##d1_##acc##purecfma, x, y) \
                   : ARITY_##args(Sleef_cinz_##sleef##d1_##acc##purec, x, y);
static double call_f64(LFn fn, bool fma, double x, double y) {
    switch (fn) {
#include "ir/lmath.def"
    case LFN_COUNT: break;
    }
    return 0;
}
#undef LFN

float sleef_f32(LFn fn, float x, float y) { return call_f32(fn, sleef_host_fma(), x, y); }
double sleef_f64(LFn fn, double x, double y) { return call_f64(fn, sleef_host_fma(), x, y); }

void (*sleef_scalar_address(const char *name))(void) {
    static const struct {
        const char *name;
        void (*at)(void);
    } table[] = {
#define LFN(NAME, cname, sleef, acc, args) \
    {"Sleef_finz_" #sleef "f1_" #acc "purecfma", (void (*)(void))Sleef_finz_##sleef##f1_##acc##purecfma}, \
        {"Sleef_cinz_" #sleef "f1_" #acc "purec", (void (*)(void))Sleef_cinz_##sleef##f1_##acc##purec}, \
        {"Sleef_finz_" #sleef "d1_" #acc "purecfma", (void (*)(void))Sleef_finz_##sleef##d1_##acc##purecfma}, \
        {"Sleef_cinz_" #sleef "d1_" #acc "purec", (void (*)(void))Sleef_cinz_##sleef##d1_##acc##purec},
#include "ir/lmath.def"
#undef LFN
    };
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (strcmp(table[k].name, name) == 0) return table[k].at;
    return NULL;
}
