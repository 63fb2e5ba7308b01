/* lparse: reads the text that lprint writes (its form is described there); ";" begins a comment. It checks what it must to
   build a program; lprogram_verify says whether that makes sense. The first error ends the reading. */
#include "ir/loop.h"

#include <string.h>

enum { VALUES_MAX = 1 << 24 };

typedef struct {
    Ctx *ctx;
    Arena *arena;
    const Source *src;
    const char *at;
    LProgram *p;
    LFunc *f;
    bool failed;
} Parser;

/* ---- tokens ------------------------------------------------------------------------------------------------------------- */

static void skip(Parser *s) {
    for (;; s->at++) {
        if (*s->at == ';')
            while (*s->at && *s->at != '\n') s->at++;
        if (*s->at != ' ' && *s->at != '\t' && *s->at != '\n' && *s->at != '\r') return;
    }
}

static Span here(const Parser *s) {
    uint32_t lo = s->src->base + (uint32_t)(s->at - s->src->text);
    return (Span){lo, *s->at ? lo + 1 : lo};
}

static bool fail(Parser *s, uint16_t code, const char *what) {
    if (!s->failed) diag_error(s->ctx, code, here(s), "%s", what);
    s->failed = true;
    return false;
}

static bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

/* Takes the punctuation or word `t` if it is next. */
static bool accept(Parser *s, const char *t) {
    if (s->failed) return false;
    skip(s);
    size_t n = strlen(t);
    if (strncmp(s->at, t, n) != 0) return false;
    if (is_word(t[n - 1]) && is_word(s->at[n])) return false;
    s->at += n;
    return true;
}

static bool expect(Parser *s, const char *t) {
    if (accept(s, t)) return true;
    if (!s->failed) diag_error(s->ctx, 750, here(s), "expected '%s'", t);
    s->failed = true;
    return false;
}

static int64_t integer(Parser *s) {
    skip(s);
    bool minus = *s->at == '-';
    const char *c = s->at + minus;
    uint64_t v = 0, top = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (*c < '0' || *c > '9') {
        fail(s, 750, "expected an integer");
        return 0;
    }
    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t d = (uint64_t)(*c - '0');
        if (v > (top - d) / 10) {
            fail(s, 752, "this integer is too large");
            return 0;
        }
        v = v * 10 + d;
    }
    s->at = c;
    return minus ? (int64_t)(0 - v) : (int64_t)v;
}

static uint32_t number(Parser *s, uint32_t max) {
    skip(s);
    Parser before = *s;
    int64_t v = integer(s);
    if (s->failed) return 0;
    if (v < 0 || v > (int64_t)max) {
        s->at = before.at;
        fail(s, 752, "this number is out of range");
        return 0;
    }
    return (uint32_t)v;
}

static uint32_t hex_digit(char c) {
    if (c >= '0' && c <= '9') return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f') return (uint32_t)(c - 'a') + 10;
    return 16;
}

static Name string(Parser *s) {
    Str t = str_make(s->arena);
    if (!expect(s, "\"")) return 0;
    for (; *s->at != '"'; s->at++) {
        if (!*s->at || *s->at == '\n') {
            fail(s, 750, "this string does not end");
            return 0;
        }
        if (*s->at != '\\') {
            str_putc(&t, *s->at);
            continue;
        }
        uint32_t a = hex_digit(s->at[1]), b = a < 16 ? hex_digit(s->at[2]) : 16;
        if (a > 15 || b > 15 || a + b == 0) {
            fail(s, 750, "a backslash is followed by two hexadecimal digits");
            return 0;
        }
        str_putc(&t, (char)(a * 16 + b));
        s->at += 2;
    }
    s->at++;
    return intern_n(s->ctx, t.n ? t.at : "", t.n);
}

static LV value(Parser *s) {
    if (!expect(s, "%")) return 0;
    return number(s, s->f->type.n - 1);
}

/* A value that is defined here. */
static LV define(Parser *s, char type) {
    LV v = value(s);
    if (!s->failed) s->f->type.at[v] = type;
    return v;
}

/* name#k, name$k: the number and the mark */
static uint32_t reference(Parser *s, char *mark) {
    skip(s);
    while (is_word(*s->at) || *s->at == '.') s->at++;
    *mark = *s->at;
    if (*mark != '#' && *mark != '$') {
        fail(s, 750, "expected a reference such as name#3");
        return 0;
    }
    s->at++;
    return number(s, LBUF_PARAM - 1);
}

static uint32_t buffer(Parser *s) {
    char mark;
    uint32_t k = reference(s, &mark);
    return mark == '$' ? LBUF_PARAM | k : k;
}

static uint32_t index_list(Parser *s) {
    LIdx x = lidx(0);
    if (!expect(s, "[")) return 0;
    do {
        skip(s);
        int64_t c = 1;
        if (*s->at != '%') {
            c = integer(s);
            if (!accept(s, "*")) {
                x.c0 = c;
                continue;
            }
        }
        if (x.n == LIDX_TERMS) {
            fail(s, 752, "an index has at most 4 terms");
            return 0;
        }
        x.c[x.n] = c;
        x.v[x.n++] = value(s);
    } while (accept(s, "+"));
    expect(s, "]");
    VEC_PUSH(s->arena, s->f->idx) = x;
    return s->f->idx.n - 1;
}

static uint32_t push_ext(Parser *s, uint32_t v) {
    VEC_PUSH(s->arena, s->f->ext) = v;
    return s->f->ext.n - 1;
}

/* ---- instructions ------------------------------------------------------------------------------------------------------- */

static void parse_for(Parser *s, LInst *i) {
    i->dst = define(s, 'i');
    expect(s, "=");
    i->a[0] = value(s);
    expect(s, "..");
    i->a[1] = value(s);
    expect(s, "by");
    i->imm = integer(s);
    if (accept(s, "down")) i->flags = LF_DOWN;
    i->ext = push_ext(s, 0);
    uint32_t n = 0;
    if (accept(s, "carry")) {
        expect(s, "(");
        do {
            LV inner = value(s);
            expect(s, "=");
            LV init = value(s);
            expect(s, "->");
            char type = s->failed ? '-' : s->f->type.at[init];
            LV result = define(s, type);
            if (s->failed) return;
            s->f->type.at[inner] = type;
            push_ext(s, init);
            push_ext(s, inner);
            push_ext(s, result);
            n++;
        } while (accept(s, ","));
        expect(s, ")");
    }
    s->f->ext.at[i->ext] = n;
    expect(s, "{");
}

static void parse_yield(Parser *s, LInst *i) {
    i->ext = push_ext(s, 0);
    uint32_t n = 0;
    do {
        push_ext(s, value(s));
        n++;
    } while (accept(s, ","));
    s->f->ext.at[i->ext] = n;
}

static void parse_call(Parser *s, LInst *i) {
    char mark;
    i->imm = reference(s, &mark);
    i->ext = push_ext(s, 0);
    expect(s, "(");
    uint32_t n = 0;
    if (!accept(s, ")")) {
        do {
            skip(s);
            bool is_value = *s->at == '%';
            uint32_t what = is_value ? value(s) : buffer(s);
            uint32_t idx = is_value || s->failed ? 0 : index_list(s);
            push_ext(s, what);
            push_ext(s, idx);
            n++;
        } while (accept(s, ","));
        expect(s, ")");
    }
    s->f->ext.at[i->ext] = n;
}

static void parse_memory(Parser *s, LInst *i) {
    i->buf = buffer(s);
    if (!s->failed) i->idx = index_list(s);
    if (i->op >= LOP_ST) i->a[0] = value(s);
    if (i->op == LOP_LDT || i->op == LOP_LDVT || i->op == LOP_STT || i->op == LOP_STVT) i->imm = integer(s);
}

static void parse_fconst(Parser *s, LInst *i) {
    skip(s);
    char *end;
    double d;
    if (s->at[0] == '0' && s->at[1] == 'x') {
        uint64_t v = 0;
        for (s->at += 2; hex_digit(*s->at) < 16; s->at++) v = v << 4 | hex_digit(*s->at);
        i->imm = (int64_t)v;
        return;
    }
    d = parse_double(s->at, &end);
    if (end == s->at) {
        fail(s, 750, "expected a number");
        return;
    }
    s->at = end;
    memcpy(&i->imm, &d, sizeof d);
}

static void parse_libm(Parser *s, LInst *i) {
    for (int k = 0; k < LFN_COUNT; k++)
        if (accept(s, lfn_info[k].cname)) {
            i->imm = k;
            i->a[0] = value(s);
            i->a[1] = lfn_info[k].args == 2 ? value(s) : i->a[0];
            return;
        }
    fail(s, 751, "unknown function of libm");
}

static void parse_value_op(Parser *s, LInst *i) {
    if (i->op == LOP_FCONST)
        parse_fconst(s, i);
    else if (i->op == LOP_LIBM)
        parse_libm(s, i);
    else {
        uint32_t n = (uint32_t)strlen(lop_info[i->op].args);
        for (uint32_t k = 0; k < n; k++) i->a[k] = value(s);
        bool imm = i->op == LOP_ICONST || i->op == LOP_DIM || i->op == LOP_VCONST || i->op == LOP_LANE || i->op == LOP_VSHL || i->op == LOP_VSHR;
        if (imm) i->imm = integer(s);
    }
}

/* The operation whose word is next, NONE if there is none; `result`: it stands after "%k =". */
static LOp operation(Parser *s, bool result) {
    for (int k = LOP_NONE + 1; k < LOP_COUNT; k++) {
        bool has = k > LOP_BARRIER && lop_info[k].result != '-';
        if (k != LOP_END && has == result && accept(s, lop_info[k].text)) return (LOp)k;
    }
    return LOP_NONE;
}

static void parse_inst(Parser *s) {
    LInst i;
    memset(&i, 0, sizeof i);
    skip(s);
    bool result = *s->at == '%';
    if (result) {
        i.dst = value(s);
        expect(s, "=");
    }
    LOp op = operation(s, result);
    i.op = (uint16_t)op;
    if (op == LOP_NONE) fail(s, 751, "unknown operation");
    if (s->failed) return;
    if (op == LOP_FOR)
        parse_for(s, &i);
    else if (op == LOP_IF) {
        i.a[0] = value(s);
        expect(s, "<");
        i.a[1] = value(s);
        expect(s, "{");
    } else if (op == LOP_YIELD)
        parse_yield(s, &i);
    else if (op == LOP_CALL)
        parse_call(s, &i);
    else if (op >= LOP_LD && op <= LOP_STV1)
        parse_memory(s, &i);
    else if (op != LOP_BARRIER)
        parse_value_op(s, &i);
    if (s->failed) return;
    if (result) s->f->type.at[i.dst] = lop_info[op].result;
    VEC_PUSH(s->arena, s->f->inst) = i;
}

static void parse_body(Parser *s) {
    for (uint32_t depth = 1; depth && !s->failed;) {
        if (accept(s, "}")) {
            LInst end = {.op = LOP_END};
            if (--depth) VEC_PUSH(s->arena, s->f->inst) = end;
            continue;
        }
        parse_inst(s);
        if (s->failed) return;
        uint16_t op = s->f->inst.at[s->f->inst.n - 1].op;
        if (op == LOP_FOR || op == LOP_IF) depth++;
    }
}

/* ---- declarations ------------------------------------------------------------------------------------------------------- */

static LElem element(Parser *s) {
    if (accept(s, "i32")) return LE_I32;
    expect(s, "f");
    return LE_F;
}

static void parse_params(Parser *s) {
    do {
        LParam q = {0};
        if (accept(s, "ptr")) {
            q.pointer = true;
            q.elem = (uint8_t)element(s);
            q.name = string(s);
        } else if (expect(s, "int")) {
            q.name = string(s);
            expect(s, "=");
            q.value = define(s, 'i');
        }
        VEC_PUSH(s->arena, s->f->param) = q;
    } while (accept(s, ","));
    expect(s, ")");
}

static void parse_func(Parser *s, LFuncKind kind) {
    if (number(s, UINT32_MAX) != s->p->fn.n) fail(s, 752, "functions are numbered from 0 in order");
    s->f = lprogram_add_fn(s->p, "", kind);
    s->f->name = string(s);
    s->f->inline_hint = accept(s, "inline");
    expect(s, "values");
    uint32_t n = number(s, VALUES_MAX);
    if (s->failed) return;
    for (uint32_t k = 0; k < n; k++) VEC_PUSH(s->arena, s->f->type) = '-';
    if (accept(s, "(")) parse_params(s);
    expect(s, "{");
    parse_body(s);
}

static uint32_t dimension(Parser *s) {
    skip(s);
    if (*s->at != 'd') fail(s, 750, "expected d and the number of a dimension");
    if (s->failed) return 0;
    s->at++;
    return number(s, LDIM_COUNT - 1);
}

static LMono parse_mono(Parser *s) {
    LMono m = {integer(s), 0};
    while (accept(s, "*")) m.dims |= UINT64_C(1) << dimension(s);
    return m;
}

static LExtent parse_extent(Parser *s) {
    LExtent e = {.n = 0};
    do {
        LMono m = parse_mono(s);
        if (e.n == LEXTENT_TERMS) fail(s, 752, "an extent has at most 4 terms");
        if (s->failed) return e;
        e.term[e.n++] = m;
    } while (accept(s, "+"));
    if (e.n == 1 && e.term[0].coef == 0 && !e.term[0].dims) e.n = 0;
    if (accept(s, "most")) e.most = parse_mono(s);
    return e;
}

static void parse_buf(Parser *s) {
    LBuf b;
    memset(&b, 0, sizeof b);
    b.first = b.last = UINT32_MAX;
    if (number(s, UINT32_MAX) != s->p->buf.n) fail(s, 752, "buffers are numbered from 0 in order");
    b.name = string(s);
    uint8_t r = 0;
    while (r <= LB_LOCAL && !accept(s, lrole_text[r])) r++;
    if (r > LB_LOCAL) fail(s, 751, "unknown role of a buffer");
    if (s->failed) return;
    b.role = r;
    b.elem = (uint8_t)element(s);
    expect(s, "index");
    b.index = number(s, UINT32_MAX);
    expect(s, "extent");
    b.extent = parse_extent(s);
    if (accept(s, "slot")) b.slot = number(s, UINT32_MAX);
    if (accept(s, "life")) {
        b.first = number(s, UINT32_MAX);
        expect(s, "..");
        b.last = number(s, UINT32_MAX);
    }
    VEC_PUSH(s->arena, s->p->buf) = b;
}

LProgram *lprogram_parse(Ctx *ctx, Arena *a, const Source *src) {
    Parser s = {ctx, a, src, src->text, NULL, NULL, false};
    expect(&s, "program");
    Name name = s.failed ? 0 : string(&s);
    bool f64 = accept(&s, "f64");
    if (!f64) expect(&s, "f32");
    expect(&s, "V");
    int V = s.failed ? 1 : (int)number(&s, 16);
    s.p = lprogram_make(ctx, a, name, f64, V);
    expect(&s, "slots");
    if (!s.failed) s.p->nslot = number(&s, UINT32_MAX);
    s.p->one_thread = accept(&s, "one_thread");
    if (accept(&s, "rows")) s.p->row_axis = dimension(&s);
    if (accept(&s, "barriers"))
        do VEC_PUSH(a, s.p->barrier) = number(&s, UINT32_MAX);
        while (accept(&s, ","));
    while (!s.failed && accept(&s, "buf")) parse_buf(&s);
    while (!s.failed) {
        if (accept(&s, "entry"))
            parse_func(&s, LFUNC_ENTRY);
        else if (accept(&s, "helper"))
            parse_func(&s, LFUNC_HELPER);
        else
            break;
    }
    skip(&s);
    if (*s.at) fail(&s, 750, "expected a buffer, a function or the end");
    return s.failed ? NULL : s.p;
}
