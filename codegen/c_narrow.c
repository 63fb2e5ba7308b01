/* c_narrow: buffers in fewer bits in emitted C: the functions that widen what is read, to the bits that the weights have been rounded
   to, and the place of a scale.
   before:  5 = ld dot_4$1[64]
   after:   m_f v5; m_op_ldq(&v5, b1 + (64), q1 + (64), 8);
   relies on: a product's tile, where it is a helper, stays within one panel, walks its rows by variables, and its columns by constants. */
#include "codegen/c_emit.h"

#include <inttypes.h>

const char *c_narrow_type(CStorage s) { return s == C_INT8 ? "int8_t" : s == C_FLOAT ? "$F" : "uint16_t"; }

int64_t c_narrow_scale(const CNarrow *n, int64_t element) {
    if (!n->panel) return element / n->rows;
    int64_t first = element / (n->panel * n->rows) * n->panel, width = n->columns - first < n->panel ? n->columns - first : n->panel;
    return first + element % (n->panel * n->rows) % width;
}

/* Does a variable count rows of the panel that c0 is in? */
static bool counts_rows(const CNarrow *n, const LIdx *x, uint32_t k, const CNames *names) {
    int64_t block = n->panel * n->rows, first = x->c0 / block * n->panel, width = n->columns - first < n->panel ? n->columns - first : n->panel;
    int64_t below = names->below(names->arg, x->v[k]);
    return x->c[k] == width && below >= 0 && x->c0 % block / width + below <= n->rows;
}

bool c_narrow_shared(const CNarrow *n, const LIdx *x, int64_t lanes, const CNames *names) {
    int64_t last = x->c0 % n->rows;
    for (uint32_t k = 0; k < x->n; k++) {
        if (x->c[k] % n->rows == 0) continue;
        int64_t most = names->last(names->arg, x->v[k]);
        if (x->c[k] < 0 || most < 0 || most > n->rows) return false;
        last += x->c[k] * most;
    }
    return x->c0 >= 0 && last + lanes <= n->rows;
}

bool c_narrow_address(Str *out, const CNarrow *n, const char *scales, const LIdx *x, const CNames *names) {
    const char *sep = " + (";
    str_put(out, scales);
    int64_t block = n->panel * n->rows, first = n->panel ? c_narrow_scale(n, x->c0) : x->c0;
    uint32_t rows = 0;
    for (uint32_t k = 0; k < x->n; k++) {
        if (!x->c[k]) continue;
        if (n->panel && !rows && counts_rows(n, x, k, names)) {
            rows++;
            continue;
        }
        if (n->panel && x->c[k] % block) return false;
        int64_t by = n->panel ? x->c[k] / block * n->panel : x->c[k];
        str_put(out, sep);
        if (by != 1) str_printf(out, "%" PRId64 " * ", by);
        str_put(out, names->val(names->arg, x->v[k]));
        sep = " + ";
    }
    if (first) {
        str_printf(out, "%s%" PRId64, sep, first);
        sep = " + ";
    }
    if (sep[3] == '(') return true;
    str_putc(out, ')');
    if (!n->panel) str_printf(out, " / %" PRId64, n->rows);
    return true;
}

typedef struct {
    Str *out;
    const LProgram *p;
    const CEmitOptions *o;
} Narrow;

static void put(const Narrow *e, const char *text) { c_put(e->out, e->p, e->o, text); }

/* Lanes 0 to n - 1, the others 0; all of them at once by `vector`, where the compiler has vectors. */
static void put_loads(const Narrow *e, const char *head, const char *vector, const char *lane) {
    int V = e->p->V;
    put(e, head);
    if (V == 1) {
        str_put(e->out, "{\n    const int k = 0;\n    *r = n ? ");
        put(e, lane);
        str_put(e->out, " : 0;\n}\n");
        return;
    }
    str_put(e->out, "{\n    int k;" C_GNU_VECTORS);
    str_printf(e->out, "    if (n == %d) {\n", V);
    put(e, vector);
    str_put(e->out, "        return;\n    }\n#endif\n");
    str_printf(e->out, "    for (k = 0; k < %d; k++) ", V);
    put(e, "$P_lane(*r, k) = k < n ? ");
    put(e, lane);
    str_put(e->out, " : 0;\n}\n");
}

static void put_vector_type(const Narrow *e, const char *type, int bytes, const char *name) {
    if (e->p->V == 1) return;
    str_put(e->out, C_GNU_VECTORS "typedef ");
    str_printf(e->out, "%s %s_%s __attribute__((vector_size(%d), aligned(%d), may_alias));\n#endif\n", type, e->o->prefix, name, e->p->V * bytes, bytes);
}

/* Lanes of f16 at once: by the processor's conversion, whose denormals are numbers whatever it does with those of float, or as in half. */
static void put_f16(const Narrow *e) {
    int V = e->p->V;
    if (V == 1) return;
    put(e, C_GNU_VECTORS "#if defined(__FLT16_MANT_DIG__) && (defined(__aarch64__) || (defined(__F16C__) && defined(__clang__)))\n"
                         "__extension__ typedef _Float16 $P_hf ");
    str_printf(e->out, "__attribute__((vector_size(%d), aligned(2), may_alias));\n", V * 2);
    put(e, "#define $P_widen_f16(p) __builtin_convertvector(*(const $P_hf *)(const void *)(p), $f)\n");
    if (V >= 8) {
        put(e, V == 8 ? "#elif defined(__F16C__)\n" : "#elif defined(__AVX512F__)\n");
        str_printf(e->out, "typedef short %s_hs __attribute__((vector_size(%d), aligned(2), may_alias));\n", e->o->prefix, V * 2);
        put(e, V == 8 ? "#define $P_widen_f16(p) __builtin_ia32_vcvtph2ps256(*(const $P_hs *)(const void *)(p))\n"
                      : "#define $P_widen_f16(p) __builtin_ia32_vcvtph2ps512_mask(*(const $P_hs *)(const void *)(p), ($f){0}, -1, 4)\n");
    }
    put(e, "#else\nstatic inline $f $P_widen_f16(const uint16_t *p)\n{\n"
           "    const $u w = __builtin_convertvector(*(const $P_hu *)(const void *)p, $u), v = w & 0x7fffu;\n"
           "    const $u low = ($u)(($v)v < 0x400);\n"
           "    const $f x = ($f)((v << 13) + 0x38000000u + (low & 0x800000u)) - ($f)(low & 0x38800000u);\n"
           "    return ($f)(($u)x | (w & 0x8000u) << 16);\n}\n#endif\n#endif\n");
}

/* Lanes of bf16 as integers; gcc takes them half by half. */
static void put_bf16(const Narrow *e) {
    int V = e->p->V;
    if (V == 1) return;
    put(e, C_GNU_VECTORS);
    if (V >= 8) {
        put(e, V == 8 ? "#if defined(__AVX2__) && !defined(__clang__)\n" : "#if defined(__AVX512F__) && !defined(__clang__)\n");
        str_printf(e->out, "typedef short %s_hs __attribute__((vector_size(%d), aligned(2), may_alias));\n", e->o->prefix, V * 2);
        put(e, V == 8 ? "#define $P_wide_hu(p) (($u)__builtin_ia32_pmovzxwd256(*(const $P_hs *)(const void *)(p)))\n"
                      : "#define $P_wide_hu(p) (($u)__builtin_ia32_pmovzxwd512_mask(*(const $P_hs *)(const void *)(p), ($v){0}, 0xffff))\n");
        put(e, "#else\n");
    }
    put(e, "#define $P_wide_hu(p) __builtin_convertvector(*(const $P_hu *)(const void *)(p), $u)\n");
    put(e, V >= 8 ? "#endif\n#endif\n" : "#endif\n");
}

static void put_half(const Narrow *e, const CUses *u) {
    put(e, "static inline float $P_half(uint16_t h)\n{\n    union {\n        uint32_t bits;\n        float value;\n    } x;\n");
    if (u->bf16)
        put(e, "    x.bits = (uint32_t)h << 16;\n    return x.value;\n}\n");
    else /* what is denormal costs a stream time, and is 0 on targets that flush it */
        put(e, "    /* The exponent moves by 112. What has none is what a number has above 2^-14: nothing on the way is denormal. */\n"
               "    const uint32_t v = h & 0x7fffu, low = v < 0x400;\n    x.bits = (v << 13) + ((112 + low) << 23);\n"
               "    if (low) x.value -= 6.103515625e-05f;\n    x.bits |= (uint32_t)(h & 0x8000) << 16;\n    return x.value;\n}\n");
    put_vector_type(e, "uint16_t", 2, "hu");
    if (u->bf16) put_bf16(e);
    else put_f16(e);
    put_loads(e, "static inline void $P_op_ldh($f *r, const uint16_t *p, int n)\n",
              u->bf16 ? "        *r = ($f)($P_wide_hu(p) << 16);\n" : "        *r = $P_widen_f16(p);\n",
              "$P_half(p[k])");
}

/* Lanes of bytes as integers. gcc takes them one by one: where it knows no instruction for all, by way of 16 bits. */
static void put_bytes(const Narrow *e, const char *name) {
    int V = e->p->V;
    const char *id = e->o->prefix;
    put_vector_type(e, "int8_t", 1, name);
    if (V == 1) return;
    str_printf(e->out, C_GNU_VECTORS "static inline %s_v %s_wide_%s(const int8_t *p)\n{\n#if defined(__clang__)\n", id, id, name);
    str_printf(e->out, "    return __builtin_convertvector(*(const %s_%s *)(const void *)p, %s_v);\n", id, name, id);
    if (V == 8)
        put(e, "#elif defined(__AVX2__)\n"
               "    typedef char bytes __attribute__((vector_size(16)));\n    typedef long long half __attribute__((aligned(1), may_alias));\n"
               "    typedef long long halves __attribute__((vector_size(16)));\n"
               "    return ($v)__builtin_ia32_pmovsxbd256((bytes)(halves){*(const half *)(const void *)p, 0});\n");
    if (V == 16)
        put(e, "#elif defined(__AVX512F__)\n"
               "    typedef char bytes __attribute__((vector_size(16), aligned(1), may_alias));\n"
               "    return ($v)__builtin_ia32_pmovsxbd512_mask(*(const bytes *)(const void *)p, ($v){0}, 0xffff);\n");
    str_printf(e->out, "#else\n    typedef int16_t shorts __attribute__((vector_size(%d)));\n", V * 2);
    str_printf(e->out, "    return __builtin_convertvector(__builtin_convertvector(*(const %s_%s *)(const void *)p, shorts), %s_v);\n#endif\n}\n#endif\n", id, name, id);
}

void c_narrow_prelude(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *u) {
    const Narrow e = {out, p, o};
    if (u->columns) {
        put_bytes(&e, "qu");
        put_loads(&e, "static inline void $P_op_ldq($f *r, const int8_t *p, const float *s, int n)\n",
                  "        *r = __builtin_convertvector($P_wide_qu(p), $f) * *(const $P_fu *)(const void *)s;\n", "(float)p[k] * s[k]");
    }
    if (u->blocks) {
        put_bytes(&e, "qb");
        put_loads(&e, "static inline void $P_op_ldr($f *r, const int8_t *p, const float *s, int n)\n",
                  "        *r = __builtin_convertvector($P_wide_qb(p), $f) * $P_splat(*s);\n", "(float)p[k] * *s");
    }
    if (u->bf16 || u->f16) put_half(&e, u);
}
