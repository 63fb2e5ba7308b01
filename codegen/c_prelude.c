/* c_prelude: the types and operations of emitted C. The functions below them are one text for every compiler; what an
   operation is comes from lops.def's lane expressions (scalars and plain structs) or from the table of GNU vector
   expressions here. GNU vectors never appear in a function's signature: their ABI depends on the target's options. */
#include "codegen/c_emit.h"
#include "ir/sleef.h"

#include <string.h>

static const char *const lane_text[LOP_COUNT] = {
#define LOP(NAME, text, res, args, lane, llvm) #lane,
#include "ir/lops.def"
#undef LOP
};

const char c_text_aligned[] = "#if defined(__GNUC__)\n__attribute__((aligned(64)))\n#endif\n";

typedef struct {
    Str *out;
    const LProgram *p;
    const CEmitOptions *o;
    const CUses *u;    /* what to print */
    const CUses *seen; /* what an earlier part of the text has */
    int V;
} Prelude;

void c_put(Str *out, const LProgram *p, const CEmitOptions *o, const char *text) {
    for (const char *s = text; *s; s++) {
        if (*s != '$' || !s[1]) {
            str_putc(out, *s);
            continue;
        }
        char c = *++s;
        if (c == 'P')
            str_put(out, o->prefix);
        else if (c == 'N') /* no index is larger than memory, but the kernels' ABI is the same everywhere */
            str_put(out, o->env ? "int64_t" : "ptrdiff_t");
        else if (c == 'F')
            str_put(out, p->f64 ? "double" : "float");
        else if (c == 'I')
            str_put(out, p->f64 ? "int64_t" : "int32_t");
        else if (c == 'E')
            str_put(out, p->f64 ? "" : "f");
        else
            str_printf(out, "%s_%c", o->prefix, c);
    }
}

void c_digits(Str *out, double v, bool f64) {
    Str s = str_make(out->arena);
    if (f64)
        str_double(&s, v);
    else
        str_float(&s, (float)v);
    if (!strpbrk(s.at, ".e")) str_put(&s, ".0");
    str_printf(out, *s.at == '-' ? "(%s%s)" : "%s%s", s.at, f64 ? "" : "f");
}

static void put(Prelude *e, const char *text) { c_put(e->out, e->p, e->o, text); }

/* `each` once for a lane with # replaced by its number, separated by commas */
static void put_lanes(Prelude *e, int n, const char *each) {
    for (int k = 0; k < n; k++) {
        if (k)
            str_put(e->out, ", ");
        const char *s = each, *hash;
        while ((hash = strchr(s, '#')) != NULL) {
            char *part = arena_strndup(e->out->arena, s, (size_t)(hash - s));
            put(e, part);
            str_printf(e->out, "%d", k);
            s = hash + 1;
        }
        put(e, s);
    }
}

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

/* A lane expression of lops.def in C: F(name) is the prefix's name1. */
static void put_lane_text(Prelude *e, const char *s) {
    while (*s) {
        if (starts(s, "F(")) {
            put(e, "$P_");
            for (s += 2; *s != ')'; s++)
                str_putc(e->out, *s);
            str_putc(e->out, '1');
            s++;
        } else if (starts(s, "FLOAT")) {
            put(e, "$F");
            s += 5;
        } else {
            str_putc(e->out, *s++);
        }
    }
}

static const char *lane_expr(LOp op) {
    if (op == LOP_BITS)
        return "bits1(a)";
    if (op == LOP_FROMBITS)
        return "frombits1(a)";
    return lane_text[op];
}

static const char *lane_type(char t) { return t == 'f' ? "$F" : t == 'v' ? "int32_t" : t == 'm' ? "int" : "$N"; }

/* A pure operation over lanes, printed as $P_op_<text>(operands): not the scalars, memory or what has its own function. */
static bool is_lane_op(LOp op) {
    char r = lop_info[op].result;
    if (r != 'f' && r != 'v' && r != 'm')
        return false;
    return strcmp(lane_expr(op), "0") != 0;
}

static bool has_imm(LOp op) { return op == LOP_VSHL || op == LOP_VSHR || op == LOP_VCONST; }

/* ---- GNU vectors --------------------------------------------------------------------------------------------------- */

/* NULL: by lanes, or not a lane operation. */
static const char *gnu_expr(LOp op, bool f64) {
    static const char *const text[LOP_COUNT] = {
        [LOP_ADD] = "((a) + (b))",
        [LOP_SUB] = "((a) - (b))",
        [LOP_MUL] = "((a) * (b))",
        [LOP_DIV] = "((a) / (b))",
        [LOP_NEG] = "(-(a))",
        [LOP_LT] = "(($m)((a) < (b)))",
        [LOP_LE] = "(($m)((a) <= (b)))",
        [LOP_EQ] = "(($m)((a) == (b)))",
        [LOP_SEL] = "(($f)(((a) & ($m)(b)) | (~(a) & ($m)(c))))",
        [LOP_VADD] = "(($v)(($u)(a) + ($u)(b)))",
        [LOP_VSUB] = "(($v)(($u)(a) - ($u)(b)))",
        [LOP_VMUL] = "(($v)(($u)(a) * ($u)(b)))",
        [LOP_VMULHI] = "(($v)__builtin_convertvector((__builtin_convertvector(($u)(a), $w) * __builtin_convertvector(($u)(b), $w)) >> 32, $u))",
        [LOP_VAND] = "((a) & (b))",
        [LOP_VOR] = "((a) | (b))",
        [LOP_VXOR] = "((a) ^ (b))",
        [LOP_VSHL] = "(($v)(($u)(a) << (imm)))",
        [LOP_VSHR] = "(($v)(($u)(a) >> (imm)))",
        [LOP_VTOF] = "__builtin_convertvector((a), $f)",
        [LOP_UTOF] = "__builtin_convertvector(($u)(a), $f)",
        [LOP_FTOV] = "__builtin_convertvector((a), $v)",
        [LOP_MAND] = "((a) & (b))",
        [LOP_MOR] = "((a) | (b))",
        [LOP_MNOT] = "(~(a))",
        [LOP_VCONST] = "$P_vsplat(imm)",
        [LOP_VSPLAT] = "$P_vsplat((int32_t)(a))",
    };
    /* where the lanes of floats and integers differ in size, masks are as wide as floats */
    static const char *const f64_text[LOP_COUNT] = {
        [LOP_ABS] = "(($f)(($m)(a) & INT64_C(0x7fffffffffffffff)))",
        [LOP_BITS] = "(($v)__builtin_convertvector(($w)(a) >> 32, $u))",
        [LOP_FROMBITS] = "(($f)(__builtin_convertvector(($u)(a), $w) << 32))",
        [LOP_VLT] = "__builtin_convertvector((a) < (b), $m)",
        [LOP_VEQ] = "__builtin_convertvector((a) == (b), $m)",
        [LOP_VSEL] = "((__builtin_convertvector((a), $v) & (b)) | (~__builtin_convertvector((a), $v) & (c)))",
    };
    static const char *const f32_text[LOP_COUNT] = {
        [LOP_ABS] = "(($f)(($m)(a) & 0x7fffffff))",
        [LOP_BITS] = "(($v)(a))",
        [LOP_FROMBITS] = "(($f)(a))",
        [LOP_VLT] = "(($m)((a) < (b)))",
        [LOP_VEQ] = "(($m)((a) == (b)))",
        [LOP_VSEL] = "(((a) & (b)) | (~(a) & (c)))",
    };
    if (text[op])
        return text[op];
    return f64 ? f64_text[op] : f32_text[op];
}

static void put_macro_head(Prelude *e, LOp op) {
    size_t n = strlen(lop_info[op].args);
    c_put(e->out, e->p, e->o, "#define $P_op_");
    str_put(e->out, lop_info[op].text);
    str_putc(e->out, '(');
    for (size_t k = 0; k < n; k++)
        str_printf(e->out, "%s%c", k ? ", " : "", (int)('a' + k));
    if (has_imm(op))
        str_put(e->out, n ? ", imm" : "imm");
    str_put(e->out, ") ");
}

/* Lanes of 16 bytes. */
static int piece(const Prelude *e) { return e->p->f64 ? 2 : 4; }

/* Vectors of fewer lanes, which shuffles make of wider ones and join: gcc's word for that is younger than what the other macros need. */
static void gnu_pieces(Prelude *e) {
    if (e->V <= piece(e)) return;
    put(e, "#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12\n#define $P_PIECES\n");
    for (int n = piece(e); n < e->V; n *= 2)
        for (int u = 0; u < 2; u++) {
            put(e, "typedef $F $P_f");
            str_printf(e->out, "%d%s __attribute__((vector_size(%d)", n, u ? "u" : "", n * (e->p->f64 ? 8 : 4));
            put(e, u ? ", aligned(sizeof($F)), may_alias));\n" : "));\n");
        }
    put(e, "#endif\n");
}

static void gnu_types(Prelude *e) {
    int fs = e->p->f64 ? 8 : 4;
    put(e, "typedef $F $f __attribute__((vector_size(");
    str_printf(e->out, "%d)));\n", e->V * fs);
    put(e, "typedef $F $P_fu __attribute__((vector_size(");
    str_printf(e->out, "%d), aligned(%d), may_alias));\n", e->V * fs, fs);
    put(e, "typedef $I $m __attribute__((vector_size(");
    str_printf(e->out, "%d)));\n", e->V * fs);
    put(e, "typedef int32_t $v __attribute__((vector_size(");
    str_printf(e->out, "%d)));\n", e->V * 4);
    put(e, "typedef int32_t $P_vu __attribute__((vector_size(");
    str_printf(e->out, "%d), aligned(4), may_alias));\n", e->V * 4);
    put(e, "typedef uint32_t $u __attribute__((vector_size(");
    str_printf(e->out, "%d)));\n", e->V * 4);
    put(e, "typedef uint64_t $w __attribute__((vector_size(");
    str_printf(e->out, "%d)));\n", e->V * 8);
    put(e, "#define $P_lane(x, k) ((x)[k])\n#define $P_splat(s) (__extension__ ($f){");
    put_lanes(e, e->V, "(s)");
    put(e, "})\n#define $P_vsplat(s) (__extension__ ($v){");
    put_lanes(e, e->V, "(s)");
    put(e, "})\n");
    gnu_pieces(e);
}

/* An operation that is one instruction of x86's and that clang finds by itself, gcc not always: its builtin under #if, then #else. */
static bool gcc_builtin(Prelude *e, LOp op, const char *name) {
    bool f64 = e->p->f64;
    int bits = e->V * (f64 ? 64 : 32), args = (int)strlen(lop_info[op].args);
    if (bits > 512) return false;
    put(e, bits == 512 ? "#if defined(__AVX512F__)" : op == LOP_FMA ? "#if defined(__FMA__)" : bits == 256 ? "#if defined(__AVX__)" : "#if defined(__SSE2__)");
    put(e, " && defined(__GNUC__) && !defined(__clang__)\n");
    put_macro_head(e, op);
    str_printf(e->out, "__builtin_ia32_%sp%c", name, f64 ? 'd' : 's');
    str_put(e->out, bits == 512 ? "512_mask" : bits == 256 ? "256" : "");
    str_put(e->out, args == 3 ? "((a), (b), (c)" : "((a), (b)");
    if (bits == 512) str_printf(e->out, "%s, %s, 4", args == 3 ? "" : ", (a)", f64 ? "0xff" : "-1");
    put(e, ")\n#else\n");
    return true;
}

/* (a < b ? a : b) */
static void gnu_extreme(Prelude *e, LOp op) {
    bool min = op == LOP_MIN, builtin = gcc_builtin(e, op, min ? "min" : "max");
    put_macro_head(e, op);
    put(e, min ? "(($f)((($m)((a) < (b)) & ($m)(a)) | (~($m)((a) < (b)) & ($m)(b))))\n"
               : "(($f)((($m)((b) < (a)) & ($m)(a)) | (~($m)((b) < (a)) & ($m)(b))))\n");
    if (builtin) put(e, "#endif\n");
}

/* gcc makes one instruction of the lanes only where it vectorizes them: not without optimisation, not for size, nor where some are known
   to be 0. */
static void gnu_fma(Prelude *e) {
    static const char *const other[] = {"__builtin_aarch64_fmav4sf", "__builtin_vsx_xvmaddsp"}, *const has[] = {"__aarch64__", "__VSX__"};
    bool quad = e->V == 4 && !e->p->f64;
    put(e, "#if defined($P_FUSED)\n");
    bool builtin = gcc_builtin(e, LOP_FMA, "vfmadd");
    if (quad) {
        put(e, "#if defined(__GNUC__) && !defined(__clang__) && defined(__has_builtin)\n");
        for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
            str_printf(e->out, "#if defined(%s) && __has_builtin(%s)\n", has[k], other[k]);
            put(e, "#define $P_op_fma(a, b, c) ");
            str_printf(e->out, "%s((a), (b), (c))\n#endif\n", other[k]);
        }
        put(e, "#endif\n#if !defined($P_op_fma)\n");
    }
    put(e, "#define $P_op_fma(a, b, c) (__extension__ ($f){");
    put_lanes(e, e->V, "$P_fma1((a)[#], (b)[#], (c)[#])");
    put(e, quad ? "})\n#endif\n" : "})\n");
    if (builtin) put(e, "#endif\n");
    put(e, "#else\n#define $P_op_fma(a, b, c) ((a) * (b) + (c))\n#endif\n");
}

static void gnu_ops(Prelude *e) {
    for (int k = 0; k < LOP_COUNT; k++) {
        LOp op = (LOp)k;
        if (!e->u->op[op])
            continue;
        if (op == LOP_FMA) {
            gnu_fma(e);
        } else if (op == LOP_MIN || op == LOP_MAX) {
            gnu_extreme(e, op);
        } else if (op == LOP_SQRT || op == LOP_FLOOR) {
            put_macro_head(e, op);
            put(e, "(__extension__ ($f){");
            put_lanes(e, e->V, op == LOP_SQRT ? "$P_sqrt1((a)[#])" : "$P_floor1((a)[#])");
            put(e, "})\n");
        } else if (op == LOP_VTOF && e->p->f64 && e->V == 16) { /* gcc 12 -O0 -mavx512f has no instruction for it as one conversion */
            put(e, "#define $P_op_vtof(a) (__extension__ ($f){");
            put_lanes(e, e->V, "($F)(a)[#]");
            put(e, "})\n");
        } else if (op == LOP_VIOTA) {
            put(e, "#define $P_op_viota() (__extension__ ($v){");
            put_lanes(e, e->V, "#");
            put(e, "})\n");
        } else if (is_lane_op(op) && gnu_expr(op, e->p->f64)) {
            put_macro_head(e, op);
            put(e, gnu_expr(op, e->p->f64));
            put(e, "\n");
        }
    }
}

/* Tails of vectors go in such pieces: where gcc is told of lanes alone it collects them one by one, and stores a part of a vector by way of
   the stack. */
static bool has_pieces(const Prelude *e, int n) { return e->V > piece(e) && n >= piece(e); }

static void put_shuffle(Prelude *e, int first, int n) {
    for (int k = 0; k < n; k++) str_printf(e->out, ", %d", first + k);
    put(e, ")");
}

/* A vector of `width` lanes whose first n come from p + at, the others 0. */
static void put_joined(Prelude *e, int at, int n, int width) {
    if (n == width && width < e->V) {
        put(e, "*(const $P_f");
        str_printf(e->out, "%du *)(const void *)((p) + %d)", width, at);
    } else if (width == piece(e) || !n) {
        put(e, "__extension__ ($P_f");
        str_printf(e->out, "%d){", width);
        for (int k = 0; k < (n ? n : 1); k++) str_printf(e->out, n ? "%s(p)[%d]" : "%s0", k ? ", " : "", at + k);
        put(e, "}");
    } else {
        int half = width / 2, low = n < half ? n : half;
        put(e, "__builtin_shufflevector(");
        put_joined(e, at, low, half);
        put(e, ", ");
        put_joined(e, at + half, n - low, half);
        put_shuffle(e, 0, width);
    }
}

/* The first n lanes of a to p. */
static void put_tail(Prelude *e, const char *lanes, int n) {
    put(e, "do { const ");
    put(e, lanes);
    put(e, " t_ = (a); ");
    for (int k = 0; e->o->freestanding && k < n; k++)
        str_printf(e->out, "(p)[%d] = t_[%d]; ", k, k);
    if (!e->o->freestanding)
        str_printf(e->out, "memcpy((p), &t_, %d * sizeof *(p)); ", n);
    put(e, "} while (0)\n");
}

static void gnu_stt(Prelude *e, int n) {
    if (has_pieces(e, n)) {
        int at = 0;
        put(e, "#if defined($P_PIECES)\n#define $P_op_stt");
        str_printf(e->out, "%d(p, a) ", n);
        put(e, "do { const $f t_ = (a); ");
        for (int width = e->V / 2; width >= piece(e); width /= 2) {
            if (n - at < width) continue;
            put(e, "*($P_f");
            str_printf(e->out, "%du *)(void *)((p) + %d) = __builtin_shufflevector(t_, t_", width, at);
            put_shuffle(e, at, width);
            put(e, "; ");
            at += width;
        }
        for (; at < n; at++) str_printf(e->out, "(p)[%d] = t_[%d]; ", at, at);
        put(e, "} while (0)\n#else\n");
    }
    put(e, "#define $P_op_stt");
    str_printf(e->out, "%d(p, a) ", n);
    put_tail(e, "$f", n);
    if (has_pieces(e, n)) put(e, "#endif\n");
}

/* The first n lanes from p, the others 0. */
static void gnu_ldt(Prelude *e, int n) {
    if (has_pieces(e, n)) {
        put(e, "#if defined($P_PIECES)\n#define $P_op_ldt");
        str_printf(e->out, "%d(p) (", n);
        put_joined(e, 0, n, e->V);
        put(e, ")\n#else\n");
    }
    put(e, "#define $P_op_ldt");
    str_printf(e->out, "%d(p) ", n);
    put(e, "(__extension__ ($f){");
    put_lanes(e, n ? n : 1, n ? "(p)[#]" : "0");
    put(e, "})\n");
    if (has_pieces(e, n)) put(e, "#endif\n");
}

/* V lanes from p, where the vectors a and b have just been stored so that p lies n lanes past the first of a. A processor waits for both
   stores before it loads what lies in two; but clang takes the products that end in a and b apart where it sees lanes of both. */
static void gnu_straddle(Prelude *e, int n) {
    put(e, "#if defined(__GNUC__) && !defined(__clang__)\n#define $P_op_ld_past");
    str_printf(e->out, "%d(a, b, p) ", n);
    put(e, "__builtin_shuffle((a), (b), __extension__ ($m){");
    for (int k = 0; k < e->V; k++) str_printf(e->out, "%s%d", k ? ", " : "", n + k);
    put(e, "})\n#else\n#define $P_op_ld_past");
    str_printf(e->out, "%d(a, b, p) ", n);
    put(e, "$P_op_ld(p)\n#endif\n");
}

static void gnu_memory(Prelude *e) {
    const bool *op = e->u->op;
    if (op[LOP_LD])
        put(e, "#define $P_op_ld(p) (*(const $P_fu *)(const void *)(p))\n");
    if (op[LOP_LDV])
        put(e, "#define $P_op_ldv(p) (*(const $P_vu *)(const void *)(p))\n");
    if (op[LOP_ST])
        put(e, "#define $P_op_st(p, a) (*($P_fu *)(void *)(p) = (a))\n");
    if (op[LOP_STV])
        put(e, "#define $P_op_stv(p, a) (*($P_vu *)(void *)(p) = (a))\n");
    for (int n = 0; n <= e->V; n++) {
        if (n && e->u->straddle[n]) gnu_straddle(e, n);
        if (e->u->ldt[n]) gnu_ldt(e, n);
        if (e->u->ldvt[n]) {
            put(e, "#define $P_op_ldvt");
            str_printf(e->out, "%d(p) ", n);
            put(e, "(__extension__ ($v){");
            put_lanes(e, n ? n : 1, n ? "(p)[#]" : "0");
            put(e, "})\n");
        }
        if (e->u->stt[n]) gnu_stt(e, n);
        if (e->u->stvt[n]) {
            put(e, "#define $P_op_stvt");
            str_printf(e->out, "%d(p, a) ", n);
            put_tail(e, "$v", n);
        }
    }
}

/* ---- plain C: structs of lanes, or scalars -------------------------------------------------------------------------- */

static bool splats(const CUses *u) { return u->op[LOP_LDB] || u->op[LOP_FCONST] || u->op[LOP_LANE] || u->op[LOP_HSUM] || u->op[LOP_HMAX]; }

static void plain_types(Prelude *e) {
    if (e->V == 1) {
        put(e, "typedef $F $f;\ntypedef int $m;\ntypedef int32_t $v;\n#define $P_lane(x, k) (x)\n"
               "#define $P_splat(s) (s)\n#define $P_vsplat(s) (s)\n");
        return;
    }
    put(e, "typedef struct { $F x[");
    str_printf(e->out, "%d]; } ", e->V);
    put(e, "$f;\ntypedef struct { int x[");
    str_printf(e->out, "%d]; } ", e->V);
    put(e, "$m;\ntypedef struct { int32_t x[");
    str_printf(e->out, "%d]; } ", e->V);
    put(e, "$v;\n#define $P_lane(r, k) ((r).x[k])\n");
}

static void plain_splats(Prelude *e) {
    if (e->V == 1) return;
    if (splats(e->u) && !splats(e->seen)) {
        put(e, "static inline $f $P_splat($F s)\n{\n    const $f r = {{");
        put_lanes(e, e->V, "s");
        put(e, "}};\n    return r;\n}\n");
    }
    if (e->u->op[LOP_LDVB]) {
        put(e, "static inline $v $P_vsplat(int32_t s)\n{\n    const $v r = {{");
        put_lanes(e, e->V, "s");
        put(e, "}};\n    return r;\n}\n");
    }
}

static void plain_params(Prelude *e, LOp op, bool lanes) {
    const char *args = lop_info[op].args;
    for (size_t k = 0; args[k]; k++) {
        str_put(e->out, k ? ", " : "");
        if (lanes && args[k] != 'i') {
            str_printf(e->out, "%s_%c %c_", e->o->prefix, args[k], (int)('a' + k));
        } else {
            put(e, lane_type(args[k]));
            str_printf(e->out, " %c", (int)('a' + k));
        }
    }
    if (has_imm(op))
        str_put(e->out, args[0] ? ", int32_t imm" : "int32_t imm");
}

/* static inline T op(T a, T b) { return a + b; }, or the same in a loop over the lanes */
static void plain_op(Prelude *e, LOp op) {
    const char *args = lop_info[op].args;
    const char *result = lop_info[op].result == 'f' ? "$f" : lop_info[op].result == 'v' ? "$v" : "$m";
    put(e, "static inline ");
    put(e, result);
    put(e, " $P_op_");
    str_printf(e->out, "%s(", lop_info[op].text);
    plain_params(e, op, e->V > 1);
    str_put(e->out, ")\n{\n");
    bool own = op == LOP_BITS || op == LOP_FROMBITS;
    if (e->V == 1) {
        str_put(e->out, "    return ");
        if (own)
            put(e, "$P_");
        put_lane_text(e, lane_expr(op));
        str_put(e->out, ";\n}\n");
        return;
    }
    put(e, "    ");
    put(e, result);
    str_printf(e->out, " r_;\n    int k_;\n    for (k_ = 0; k_ < %d; k_++) {\n", e->V);
    for (size_t k = 0; args[k]; k++) {
        if (args[k] == 'i')
            continue;
        put(e, "        const ");
        put(e, lane_type(args[k]));
        str_printf(e->out, " %c = %c_.x[k_];\n", (int)('a' + k), (int)('a' + k));
    }
    str_put(e->out, "        r_.x[k_] = ");
    if (own)
        put(e, "$P_");
    put_lane_text(e, lane_expr(op));
    str_put(e->out, ";\n    }\n    return r_;\n}\n");
}

/* The word of a number that operations of bits are of, of a double the high one. Without a library a union does in C what memcpy does. */
static void put_words(Prelude *e) {
    bool f64 = e->p->f64, own = e->o->freestanding;
    const char *word = f64 ? "uint64_t" : "uint32_t", *x = own ? "x." : "", *copy = own ? "" : "    memcpy(&i, &f, sizeof i);\n";
    const char *both = arena_printf(e->out->arena, own ? "    union {\n        %s f;\n        %s i;\n    } x;\n" : "    %s f;\n    %s i;\n",
                                    f64 ? "double" : "float", word);
    if (own && e->u->op[LOP_ABS]) {
        put(e, "static inline $F $P_fabs1($F a)\n{\n");
        str_printf(e->out, "%s    x.f = a;\n    x.i &= (%s)-1 >> 1;\n    return x.f;\n}\n", both, word);
    }
    if (e->u->op[LOP_BITS]) {
        put(e, "static inline int32_t $P_bits1($F a)\n{\n");
        str_printf(e->out, "%s    %sf = a;\n%s    return (int32_t)(%si%s);\n}\n", both, x, copy, x, f64 ? " >> 32" : "");
    }
    if (e->u->op[LOP_FROMBITS]) {
        put(e, "static inline $F $P_frombits1(int32_t a)\n{\n");
        str_printf(e->out, "%s    %si = %s;\n%s    return %sf;\n}\n", both, x, f64 ? "(uint64_t)(uint32_t)a << 32" : "(uint32_t)a",
                   own ? "" : "    memcpy(&f, &i, sizeof f);\n", x);
    }
}

static void plain_ops(Prelude *e) {
    put_words(e);
    for (int k = 0; k < LOP_COUNT; k++)
        if (e->u->op[k] && is_lane_op((LOp)k))
            plain_op(e, (LOp)k);
    if (e->u->op[LOP_VIOTA]) {
        if (e->V == 1) {
            put(e, "#define $P_op_viota() 0\n");
            return;
        }
        put(e, "static inline $v $P_op_viota(void)\n{\n    const $v r = {{");
        put_lanes(e, e->V, "#");
        put(e, "}};\n    return r;\n}\n");
    }
}

static const char *copy_lanes(Prelude *e, const char *to, const char *from, int n) {
    return e->o->freestanding ? arena_printf(e->out->arena, "int k_;\n    for (k_ = 0; k_ < %d; k_++) %s[k_] = %s[k_];\n", n, to, from)
                              : arena_printf(e->out->arena, "memcpy(%s, %s, %d * sizeof *p);\n", to, from, n);
}

static void plain_access(Prelude *e, const char *load, const char *store, const char *lanes, const char *lane) {
    if (load && e->V == 1) {
        str_printf(e->out, "#define %s_op_%s(p) (*(p))\n", e->o->prefix, load);
    } else if (load) {
        str_printf(e->out, "static inline %s_%s %s_op_%s(const ", e->o->prefix, lanes, e->o->prefix, load);
        put(e, lane);
        str_printf(e->out, " *p)\n{\n    %s_%s r;\n    %s    return r;\n}\n", e->o->prefix, lanes, copy_lanes(e, "r.x", "p", e->V));
    }
    if (store && e->V == 1) {
        str_printf(e->out, "#define %s_op_%s(p, a) (*(p) = (a))\n", e->o->prefix, store);
    } else if (store) {
        str_printf(e->out, "static inline void %s_op_%s(", e->o->prefix, store);
        put(e, lane);
        str_printf(e->out, " *p, %s_%s a)\n{\n    %s}\n", e->o->prefix, lanes, copy_lanes(e, "p", "a.x", e->V));
    }
}

/* loads and stores of the first n lanes */
static void plain_tails(Prelude *e, const bool *used, bool store, const char *name, const char *lanes, const char *lane) {
    const char *P = e->o->prefix;
    for (int n = 0; n <= e->V; n++) {
        if (!used[n])
            continue;
        if (e->V == 1 && store) {
            str_printf(e->out, "#define %s_op_%s%d(p, a) ((void)(%d ? (*(p) = (a)) : (a)))\n", P, name, n, n);
        } else if (e->V == 1) {
            str_printf(e->out, "#define %s_op_%s%d(p) %s\n", P, name, n, n ? "(*(p))" : "0");
        } else if (store) {
            str_printf(e->out, "static inline void %s_op_%s%d(", P, name, n);
            put(e, lane);
            str_printf(e->out, " *p, %s_%s a)\n{\n    %s}\n", P, lanes, copy_lanes(e, "p", "a.x", n));
        } else {
            str_printf(e->out, "static inline %s_%s %s_op_%s%d(const ", P, lanes, P, name, n);
            put(e, lane);
            str_printf(e->out, " *p)\n{\n    %s_%s r%s;\n    %s", P, lanes, e->o->freestanding ? "" : " = {{0}}", copy_lanes(e, "r.x", "p", n));
            if (e->o->freestanding)
                str_printf(e->out, "    for (k_ = %d; k_ < %d; k_++) r.x[k_] = 0;\n", n, e->V);
            str_put(e->out, "    return r;\n}\n");
        }
    }
}

static void plain_memory(Prelude *e) {
    const CUses *u = e->u;
    plain_access(e, u->op[LOP_LD] ? "ld" : NULL, u->op[LOP_ST] ? "st" : NULL, "f", "$F");
    plain_access(e, u->op[LOP_LDV] ? "ldv" : NULL, u->op[LOP_STV] ? "stv" : NULL, "v", "int32_t");
    for (int n = 1; n < e->V; n++)
        if (u->straddle[n]) {
            put(e, "#define $P_op_ld_past");
            str_printf(e->out, "%d(a, b, p) ", n);
            put(e, "$P_op_ld(p)\n");
        }
    plain_tails(e, u->ldt, false, "ldt", "f", "$F");
    plain_tails(e, u->ldvt, false, "ldvt", "v", "int32_t");
    plain_tails(e, u->stt, true, "stt", "f", "$F");
    plain_tails(e, u->stvt, true, "stvt", "v", "int32_t");
}

/* ---- functions over whole vectors: the same text for every kind of lanes --------------------------------------------- */

/* The tree of lops.def: t[i] = x[i] and x[i + n/2] together, and so on; the result in every lane. */
static void put_tree(Prelude *e, const char *name, bool max) {
    put(e, "static inline void $P_op_");
    str_put(e->out, name);
    put(e, "($f *r, const $f *a)\n{\n");
    if (e->V == 1) {
        str_put(e->out, "    *r = *a;\n}\n");
        return;
    }
    for (int k = 0; k < e->V; k++) {
        put(e, "    const $F ");
        str_printf(e->out, "t%d = ", k);
        put(e, "$P_lane(*a, ");
        str_printf(e->out, "%d);\n", k);
    }
    int base = 0, next = e->V;
    for (int n = e->V / 2; n >= 1; n /= 2) {
        for (int k = 0; k < n; k++) {
            int x = base + k, y = base + k + n;
            put(e, "    const $F ");
            if (max)
                str_printf(e->out, "t%d = t%d < t%d ? t%d : t%d;\n", next + k, x, y, y, x);
            else
                str_printf(e->out, "t%d = t%d + t%d;\n", next + k, x, y);
        }
        base = next;
        next += n;
    }
    put(e, "    *r = $P_splat(");
    str_printf(e->out, "t%d);\n}\n", base);
}

static void put_libm(Prelude *e, LFn fn) {
    bool two = lfn_info[fn].args == 2;
    char sleef[SLEEF_NAME] = "";
    if (e->o->sleef) { /* the other engines' functions, so that the bits are theirs */
        const char *f = e->p->f64 ? "double" : "float";
        sleef_symbol(fn, e->p->f64, 1, sleef_host_fma(), sleef);
        str_printf(e->out, two ? "extern %s %s(%s, %s);\n" : "extern %s %s(%s);\n", f, sleef, f, f);
    }
    put(e, "static inline void $P_op_");
    str_put(e->out, lfn_info[fn].cname);
    put(e, two ? "($f *r, const $f *a, const $f *b)\n{\n" : "($f *r, const $f *a)\n{\n");
    str_put(e->out, e->V == 1 ? "    " : "    int k;\n");
    if (e->V > 1)
        str_printf(e->out, "    for (k = 0; k < %d; k++)\n        ", e->V);
    put(e, "$P_lane(*r, k) = ");
    str_put(e->out, *sleef ? sleef : lfn_info[fn].cname);
    if (!*sleef) put(e, "$E");
    put(e, two ? "($P_lane(*a, k), $P_lane(*b, k));\n}\n" : "($P_lane(*a, k));\n}\n");
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

/* Processors for which clang 19 takes float_control: it warns elsewhere. */
#define CONTROLS "defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__riscv) || defined(__powerpc__) || defined(__s390x__)"

/* exp and the like round by adding a large number and taking it away again: -ffast-math would leave both out. */
void c_text_begin(Str *s, bool freestanding) {
    if (freestanding)
        str_put(s, "\n#ifndef INFINITY\n#define INFINITY __builtin_inff()\n#endif\n#ifndef NAN\n#define NAN __builtin_nanf(\"\")\n#endif\n");
    str_put(s, "\n/* Arithmetic as it is written, with -ffast-math too: nothing is reordered, and nothing contracted but what is written as fma. */\n"
               "#if defined(__clang__)\n#if " CONTROLS "\n#pragma float_control(push)\n#pragma float_control(precise, on)\n#elif __clang_major__ >= 12\n"
               "#pragma clang fp reassociate(off)\n#endif\n#pragma STDC FP_CONTRACT OFF\n"
               "#elif defined(__GNUC__)\n#pragma GCC push_options\n#pragma GCC optimize(\"no-fast-math\", \"fp-contract=off\", \"no-math-errno\")\n"
               "#else\n#pragma STDC FP_CONTRACT OFF\n#endif\n");
    if (freestanding)
        str_put(s, "/* No loop becomes a call of memcpy or memset. */\n#if defined(__clang__)\n"
                   "#pragma clang attribute push(__attribute__((no_builtin)), apply_to = function)\n#elif defined(__GNUC__)\n"
                   "#pragma GCC optimize(\"no-tree-loop-distribute-patterns\")\n#endif\n");
}

void c_text_end(Str *s, bool freestanding) {
    str_printf(s, "\n/* What follows is compiled as it was before. */\n#if defined(__clang__)\n%s#if " CONTROLS
               "\n#pragma float_control(pop)\n#endif\n#elif defined(__GNUC__)\n#pragma GCC pop_options\n#endif\n", freestanding ? "#pragma clang attribute pop\n" : "");
}

static void put_head(Prelude *e) {
    if (!e->o->env) return; /* else it follows a header of its own */
    put(e, "#include <math.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n");
    c_text_begin(e->out, false);
    put(e, "typedef struct {\n    int64_t tid, nt;\n    void (*barrier)(void *arg);\n    void *arg;\n} $P_env;\n");
}

static void put_shared(Prelude *e) {
    const bool *op = e->u->op;
    if (op[LOP_FMA]) {
        put(e, e->p->f64 ? "#if defined(FP_FAST_FMA)" : "#if defined(FP_FAST_FMAF)");
        if (e->o->freestanding)
            put(e, e->p->f64 ? " || defined(__FP_FAST_FMA)" : " || defined(__FP_FAST_FMAF)");
        put(e, " || defined(__FMA__) || defined(__ARM_FEATURE_FMA)\n#define $P_FUSED\n");
        put(e, e->o->freestanding ? "#define $P_fma1(a, b, c) __builtin_fma$E((a), (b), (c))\n" : "#define $P_fma1(a, b, c) fma$E((a), (b), (c))\n");
        put(e, "#else\n#define $P_fma1(a, b, c) ((a) * (b) + (c))\n#endif\n");
    }
    if (e->o->freestanding) {
        c_bare_functions(e->out, e->p, e->o, e->u);
    } else {
        if (op[LOP_ABS]) put(e, "#define $P_fabs1(a) fabs$E(a)\n");
        if (op[LOP_SQRT]) put(e, "#define $P_sqrt1(a) sqrt$E(a)\n");
        if (op[LOP_FLOOR]) put(e, "#define $P_floor1(a) floor$E(a)\n");
    }
    /* With -ffast-math clang warns of <math.h>'s own names, though it takes what they stand for as it is here. */
    if (e->u->infinity)
        put(e, "#if defined(__GNUC__)\n#define $P_INFINITY __builtin_inf$E()\n#else\n#define $P_INFINITY (($F)INFINITY)\n#endif\n");
    if (e->u->nan)
        put(e, "#if defined(__GNUC__)\n#define $P_NAN __builtin_nan$E(\"\")\n#else\n#define $P_NAN (($F)NAN)\n#endif\n");
    if (e->u->locals)
        put(e, "#if defined(__GNUC__)\n#define $P_ALIGNED __attribute__((aligned(64)))\n#else\n#define $P_ALIGNED\n#endif\n");
}

/* u without what is in seen */
static CUses unseen(const CUses *u, const CUses *seen) {
    CUses x = *u;
    bool *to = (bool *)&x;
    const bool *old = (const bool *)seen;
    for (size_t k = 0; k < sizeof x / sizeof *to; k++) to[k] = to[k] && !old[k];
    return x;
}

static bool is_empty(const CUses *u) {
    const bool *x = (const bool *)u;
    for (size_t k = 0; k < sizeof *u / sizeof *x; k++)
        if (x[k]) return false;
    return true;
}

void c_prelude(Str *out, const LProgram *p, const CEmitOptions *o, const CUses *uses, CUses *seen) {
    const CUses fresh = unseen(uses, seen);
    Prelude e = {out, p, o, &fresh, seen, p->V};
    bool first = !seen->begun;
    if (is_empty(&fresh)) return;
    if (first) put_head(&e);
    put_shared(&e);
    if (e.V > 1) {
        put(&e, C_GNU_VECTORS);
        if (first) gnu_types(&e);
        gnu_ops(&e);
        gnu_memory(&e);
        put(&e, "\n#else\n");
    }
    if (first) plain_types(&e);
    plain_splats(&e);
    plain_ops(&e);
    plain_memory(&e);
    if (e.V > 1)
        put(&e, "#endif\n\n");
    if (fresh.op[LOP_ST1])
        put(&e, "#define $P_op_st1(p, a) (*(p) = $P_lane(a, 0))\n");
    if (fresh.op[LOP_STV1])
        put(&e, "#define $P_op_stv1(p, a) (*(p) = $P_lane(a, 0))\n");
    if (fresh.op[LOP_LANE])
        put(&e, "#define $P_op_lane(a, k) $P_splat($P_lane(a, k))\n");
    if (fresh.op[LOP_HSUM])
        put_tree(&e, "hsum", false);
    if (fresh.op[LOP_HMAX])
        put_tree(&e, "hmax", true);
    c_narrow_prelude(out, p, o, &fresh);
    for (int k = 0; k < LFN_COUNT; k++)
        if (fresh.fn[k])
            put_libm(&e, (LFn)k);
    *seen = *uses;
    seen->begun = true;
}
