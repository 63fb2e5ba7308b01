/* emit_text: names, numbers and shapes of emitted C. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"

/* Macros of <stdint.h> and <math.h>: INT32_MAX, SIZE_MAX, M_PI, HUGE_VAL .. */
static bool is_limit(const char *s) {
    static const char *const begins[] = {"M_", "FP_", "HUGE_", "MATH_", NULL}, *const ends[] = {"_MAX", "_MIN", "_C", "_WIDTH", NULL};
    size_t n = strlen(s);
    bool found = false;
    for (int i = 0; begins[i]; i++) found = found || strncmp(s, begins[i], strlen(begins[i])) == 0;
    for (int i = 0; ends[i]; i++) found = found || (n > strlen(ends[i]) && strcmp(s + n - strlen(ends[i]), ends[i]) == 0);
    for (; *s; s++) found = found && !islower((unsigned char)*s);
    return found;
}

/* Words that a parameter or field of the user's cannot be called: C's and C++'s, and those of our own functions. */
static bool is_taken(const char *s) {
    static const char *const word[] = {
        "auto",     "break",  "case",     "char",    "const",  "continue", "default",  "do",       "double",    "else",
        "enum",     "extern", "float",    "for",     "goto",   "if",       "inline",   "int",      "long",      "register",
        "restrict", "return", "short",    "signed",  "sizeof", "static",   "struct",   "switch",   "typedef",   "union",
        "unsigned", "void",   "volatile", "while",   "and",    "or",       "not",      "new",      "class",     "this",
        "bool",     "true",   "false",    "delete",  "public", "private",  "template", "operator", "namespace", "try",
        "throw",    "catch",  "using",    "virtual", "friend", "explicit", "export",   "mutable",  "typename",  "xor",
        "compl",    "s",      "w",        "n",       "t",      "k",        "at",       "buf",      "dim",       "work",
        "weights", "scratch",  "steps",  "batch",    "theta",   "grad",   "moments",  "seed",     "update",   "asm",       "constexpr",
        "decltype", "nullptr", "noexcept", "alignas", "alignof", "typeid", "typeof", "thread_local", "static_assert", "static_cast", "const_cast",
        "dynamic_cast", "reinterpret_cast", "and_eq", "or_eq", "xor_eq", "not_eq", "bitand", "bitor", "concept", "requires",
        "i", "j", "l", "loss", "got", "from", "end", "most", "before", "tokens", "best", "z", "turn", "NULL", "NAN", "INFINITY", "linux", "unix"};
    static const char *const numbered[] = {"out_", "next_", "scalar_", "steps_", NULL};
    size_t n = strlen(s);
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strcmp(s, word[i]) == 0) return true;
    for (size_t i = 0; numbered[i]; i++)
        if (strncmp(s, numbered[i], strlen(numbered[i])) == 0) return true;
    return (n > 2 && strcmp(s + n - 2, "_t") == 0) || is_limit(s); /* types of <stdint.h> */
}

const char *c_ident(Arena *a, const char *s, bool upper) {
    size_t n = strlen(s);
    char *id = arena_strndup(a, s, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)s[i];
        bool ok = ch < 128 && (isalpha(ch) || ch == '_' || (isdigit(ch) && i));
        id[i] = !ok ? '_' : upper ? (char)toupper(ch) : (char)ch;
    }
    return !upper && is_taken(id) ? arena_printf(a, "%s_", id) : id;
}

/* A bool is a number, 0 or 1, as it is in kernels. */
const char *c_type(const CModel *c, uint8_t dtype) { return dtype == DT_I ? "int32_t" : c->real; }

static const char *number(CModel *c, double v, bool f64) {
    Str s = str_make(c->a);
    if (isnan(v)) return f64 ? "(double)NAN" : "NAN";
    if (isinf(v)) return arena_printf(c->a, "%s%s", v < 0 ? "-" : "", f64 ? "(double)INFINITY" : "INFINITY");
    if (f64)
        str_double(&s, v);
    else
        str_float(&s, (float)v);
    if (!strpbrk(s.at, ".eE")) str_put(&s, ".0");
    if (!f64) str_putc(&s, 'f');
    return s.at;
}

const char *c_number(CModel *c, double v) { return number(c, v, c->m->f64); }

const char *c_double(CModel *c, double v) { return number(c, v, true); }

void c_values(CModel *c, Str *s, const double *v, int64_t n, bool is_int) {
    str_putc(s, '{');
    Arena *keep = c->a;
    c->a = &c->digits;
    int64_t line = is_int ? 16 : c->m->f64 ? 4 : 8; /* so many numbers in each: another number changes its own line alone */
    for (int64_t i = 0; i < (n > 0 ? n : 1); i++) {
        const char *x = n <= 0 ? "0" : is_int ? arena_printf(c->a, "%lld", (long long)v[i]) : c_number(c, v[i]);
        str_printf(s, "%s%s,", i % line ? " " : "\n    ", x);
        if (c->digits.used > 1 << 20) arena_free(&c->digits);
    }
    c->a = keep;
    arena_free(&c->digits);
    str_put(s, "\n}");
}

void c_array(CModel *c, Str *s, const char *type, const char *name, const double *v, int64_t n, bool is_int) {
    str_printf(s, "static const %s %s[%lld] = ", type, name, (long long)(n > 0 ? n : 1));
    c_values(c, s, v, n, is_int);
    str_put(s, ";\n");
}

/* ---- sizes -------------------------------------------------------------------------------------------------------------- */

static const char *axis_param(CModel *c, const Module *m, uint32_t k) {
    uint32_t n = 0;
    for (uint32_t i = 1; i < m->naxis; i++) n += m->axis[i].kind == AXIS_TIME;
    return n == 1 ? "steps" : arena_printf(c->a, "steps_%s", c_ident(c->a, name_str(c->ctx, m->axis[k].name), true));
}

/* The number of steps of an axis: digits where it is fixed. */
static const char *axis_steps(CModel *c, const Module *m, uint32_t k) {
    const Axis *axis = &m->axis[k];
    if (axis->kind == AXIS_COUNT) return arena_printf(c->a, "%d", axis->count);
    if (axis->kind == AXIS_JOIN) return arena_printf(c->a, "%s + %s", axis_steps(c, m, axis->a), axis_steps(c, m, axis->b));
    return axis_param(c, m, k);
}

const char *c_size_params(CModel *c, const CProgram *p, bool types) {
    Str s = str_make(c->a);
    for (uint32_t k = 1; k < p->m->naxis; k++)
        if (p->m->axis[k].kind == AXIS_TIME) str_printf(&s, "%s%s, ", types ? "int " : "", axis_param(c, p->m, k));
    str_printf(&s, "%sbatch", types ? "int " : "");
    return s.at;
}

const char *c_shape(CModel *c, const CProgram *p, const CPort *x) {
    Str s = str_make(c->a);
    if (x->axes & AX(AXIS_B)) str_put(&s, "[batch]");
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        if (x->axes & AX(k)) str_printf(&s, "[%s]", axis_steps(c, p->m, k));
    }
    for (int k = 0; k < x->rank; k++) str_printf(&s, "[%d]", x->dim[k]);
    return s.n ? s.at : "[1]";
}

/* Breaks text behind `after`, which ends with a space, so that no line passes 118 columns; further lines begin with `indent`. */
static void put_wrapped(Str *s, const char *text, const char *indent, const char *after) {
    size_t column = 0;
    while (*text) {
        const char *end = strstr(text, after);
        size_t n = end ? (size_t)(end - text) + strlen(after) - 1 : strlen(text);
        if (column && column + n > 112) {
            str_printf(s, "\n%s", indent);
            column = strlen(indent);
        } else if (column)
            str_putc(s, ' ');
        str_putn(s, text, n);
        column += n + 1;
        text += n;
        while (*text == ' ') text++;
    }
}

void c_function(CModel *c, const char *comment, const char *head) {
    str_put(&c->h, "\n/* ");
    put_wrapped(&c->h, comment, "   ", " ");
    str_put(&c->h, " */\n");
    put_wrapped(&c->h, head, "    ", ", ");
    str_put(&c->h, ";\n");
    str_put(&c->c, "\n");
    put_wrapped(&c->c, head, "    ", ", ");
    str_put(&c->c, "\n{\n");
}
