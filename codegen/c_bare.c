/* c_bare: what stands in place of <math.h> in C that has no library (--freestanding). */
#include "codegen/c_emit.h"

/* The root of a number by an integer's: two digits a round, then rounded to nearest. */
static void put_root(Str *out, const LProgram *p, const CEmitOptions *o) {
    int digits = p->f64 ? 52 : 23, width = p->f64 ? 64 : 32, bias = p->f64 ? 1023 : 127;
    const char *U = p->f64 ? "uint64_t" : "uint32_t";
    c_put(out, p, o,
          "#if defined($P_ROOT)\nstatic inline $F $P_sqrt1($F a)\n{\n    $F r;\n    $P_ROOT(r, a);\n    return r;\n}\n#else\n"
          "static $F $P_sqrt1($F a)\n{\n    union {\n        $F f;\n");
    str_printf(out,
               "        %s i;\n    } x;\n    %s m, r = 0, bit, rest = 0;\n    int e, k;\n    x.f = a;\n"
               "    if (!(a > 0) || x.i >> %d == %d) return a < 0 ? (a - a) / 0 : a;\n"
               "    e = (int)(x.i >> %d);\n    m = x.i & (((%s)1 << %d) - 1);\n    if (e)\n        m |= (%s)1 << %d;\n"
               "    else\n        for (e = 1; !(m >> %d); e--) m <<= 1;\n"
               "    e -= %d;\n    m <<= e & 1 ? %d : %d;\n    e = (e - (e & 1)) / 2;\n"
               "    for (k = 0; k < %d; k++) {\n        rest = rest << 2 | m >> %d;\n        m <<= 2;\n        bit = r << 2 | "
               "1;\n        r <<= 1;\n"
               "        if (rest >= bit) {\n            rest -= bit;\n            r |= 1;\n        }\n    }\n"
               "    r = (r + 1) >> 1;\n    x.i = ((%s)(e + %d) << %d) + r;\n    return x.f;\n}\n#endif\n",
               U, U, digits, 2 * bias + 1, digits, U, digits, U, digits, digits, bias, width - digits - 1, width - digits - 2,
               digits + 2, width - 2, U, bias - 1, digits);
}

/* In place of <math.h>, to the bit. */
void c_bare_functions(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *u) {
    if (u->op[LOP_FLOOR]) /* beyond the mantissa every number is whole */
        c_put(out, p, o,
              "static inline $F $P_floor1($F a)\n{\n    $F t;\n    if (!(a > -9007199254740992.0$E && a < "
              "9007199254740992.0$E)) return a;\n"
              "    t = ($F)(int64_t)a;\n    return t < a || t > a ? (t > a ? t - 1 : t) : a;\n}\n");
    if (u->op[LOP_SQRT]) {
        bool d = p->f64;
        const char c = d ? 'd' : 's', *fp = d ? "64 %P0, %P1\" : \"=w\"(r) : \"w\"" : "32 %0, %1\" : \"=t\"(r) : \"t\"";
        c_put(out, p, o,
              arena_printf(
                  out->arena,
                  "#if defined(__SSE2__)\n#define $P_ROOT(r, a) __asm__(\"sqrts%c %%1, %%0\" : \"=x\"(r) : \"x\"(a))\n"
                  "#elif defined(__aarch64__)\n#define $P_ROOT(r, a) __asm__(\"fsqrt %%%c0, %%%c1\" : \"=w\"(r) : \"w\"(a))\n"
                  "#elif defined(__ARM_FP) && (__ARM_FP & %d)\n#define $P_ROOT(r, a) __asm__(\"vsqrt.f%s(a))\n"
                  "#elif defined(__riscv_flen) && __riscv_flen >= %d\n#define $P_ROOT(r, a) __asm__(\"fsqrt.%c %%0, %%1\" : "
                  "\"=f\"(r) : \"f\"(a))\n#endif\n",
                  c, c, c, d ? 8 : 4, fp, d ? 64 : 32, c));
        put_root(out, p, o);
    }
}
