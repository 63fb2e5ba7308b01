/* write: text and weights of an imported model. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "frontend/ast.h"
#include "import/internal.h"

bool import_bad(Ctx *ctx, const char *what, const char *fmt, ...) {
    Str s = str_make(ctx_arena(ctx));
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_error(ctx, 650, NOWHERE, "%s: %s", what, s.at);
    return false;
}

bool import_refuse(Ctx *ctx, const char *what, const char *where, const char *fmt, ...) {
    Str s = str_make(ctx_arena(ctx));
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    diag_error(ctx, 651, NOWHERE, "%s: %s: %s", what, where, s.at);
    return false;
}

/* ---- names --------------------------------------------------------------------------------------------------------------- */

/* Whether s is one of the words, which stand between blanks. */
static bool among(const char *words, const char *s) {
    size_t n = strlen(s);
    for (const char *p = words; n && (p = strstr(p, s)) != NULL; p += n)
        if (p[-1] == ' ' && p[n] == ' ') return true;
    return false;
}

/* What a binding, an input or a declaration cannot be called: keywords, and members of every value. */
static const char reserved[] =
    " and bool cell const false fn import in mod model not or param repeat return seq state token true data init input loss "
    "metric noise "
    "optimizer output target train last first mean sum max min softmax training pi steps T fan_in fan_out row col ";

/* What the text itself calls: a value of that name would hide it. */
static const char called[] =
    " lstm lstm_peephole lstm_projected gru gru_v1 simple_rnn dense embedding dropout dropout_sequence layer_norm tanh sigmoid "
    "relu relu6 "
    "elu selu celu gelu silu mish softplus softsign exponential linear leaky_relu hard_sigmoid hard_sigmoid6 hard_tanh "
    "tanh_shrink "
    "log_sigmoid log_softmax sign clip exp log sqrt abs floor sin cos erf expm1 where reverse shift reshape glorot_uniform ";

static const char *plain_name(Arena *a, const char *wanted) {
    enum { LONGEST = 60 };
    size_t n = strlen(wanted) < LONGEST ? strlen(wanted) : LONGEST, k = 0;
    char *s = arena_alloc(a, n + 3);
    if (n && isdigit((unsigned char)*wanted)) s[k++] = 'v';
    for (size_t i = 0; i < n; i++) {
        char c = wanted[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (word)
            s[k++] = c;
        else if (k && s[k - 1] != '_')
            s[k++] = '_';
    }
    while (k && s[k - 1] == '_') k--;
    s[k] = 0;
    if (!k) return "v";
    if (among(reserved, s)) s[k] = '_';
    /* A name that starts with a capital is a size where it stands in brackets; here it never does. */
    return s;
}

/* The number that a taken name's next copy gets; 0: the name is free. */
static uint32_t *copies(Writer *w, const char *s) {
    Name id = intern(w->ctx, s);
    if (id >= w->ncopy) {
        uint32_t n = 2 * id + 64;
        w->copy = arena_grow(w->a, w->copy, w->ncopy * sizeof *w->copy, n * sizeof *w->copy);
        w->ncopy = n;
    }
    return &w->copy[id];
}

const char *writer_name(Writer *w, const char *wanted) {
    const char *base = plain_name(w->a, wanted), *s = base = among(called, base) ? arena_printf(w->a, "%s_0", base) : base;
    uint32_t k = *copies(w, base);
    for (; *copies(w, s); k++) s = arena_printf(w->a, "%s_%u", base, (unsigned)k);
    *copies(w, base) = k ? k : 2;
    if (k) *copies(w, s) = 2;
    return s;
}

const char *writer_model_name(Writer *w, const ImportOptions *o, const char *path) {
    if (o && o->name) return plain_name(w->a, o->name);
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return plain_name(w->a, dot && dot > base ? arena_strndup(w->a, base, (size_t)(dot - base)) : base);
}

/* ---- text ---------------------------------------------------------------------------------------------------------------- */

void writer_init(Writer *w, Ctx *ctx, Arena *a, const char *what, Imported *out) {
    *w = (Writer){.ctx = ctx, .a = a, .what = what, .out = out};
    *out = (Imported){0};
    w->notes = str_make(a);
    w->decls = str_make(a);
    w->inputs = str_make(a);
    w->outputs = str_make(a);
    w->model = (Scope){.prefix = "", .text = str_make(a)};
    w->scope = &w->model;
}

void writer_line(Writer *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str_put(&w->scope->text, "    ");
    str_vprintf(&w->scope->text, fmt, ap);
    str_putc(&w->scope->text, '\n');
    va_end(ap);
}

/* What a source says stands in comments: control characters would end them. */
static void put_comment(Str *s, const char *text) {
    str_put(s, "# ");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        str_putc(s, c < 0x20 || c >= 0x7f ? '?' : (char)c);
    }
    str_putc(s, '\n');
}

void writer_note(Writer *w, const char *fmt, ...) {
    Str s = str_make(w->a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    put_comment(&w->notes, s.at);
}

const char *writer_declare(Writer *w, const char *wanted, const char *comment, const char *before, const char *after) {
    for (uint32_t i = 0; i + 1 < w->cell.n; i += 2)
        if (!strcmp(w->cell.at[i], after)) return w->cell.at[i + 1];
    const char *name = writer_name(w, wanted);
    VEC_PUSH(w->a, w->cell) = arena_strdup(w->a, after);
    VEC_PUSH(w->a, w->cell) = name;
    if (comment) put_comment(&w->decls, comment);
    str_printf(&w->decls, "%s %s%s\n", before, name, after);
    return name;
}

void writer_input(Writer *w, const char *name, const char *type) { str_printf(&w->inputs, "    input %s: %s\n", name, type); }

void writer_output(Writer *w, const char *name, const char *expr) {
    if (!strcmp(name, expr))
        str_printf(&w->outputs, "    output %s\n", name);
    else
        str_printf(&w->outputs, "    output %s = %s\n", name, expr);
}

ImportPort *writer_port(Writer *w, bool in, const char *kind, const char *name, const char *source) {
    ImportPort *p = in ? &VEC_PUSH(w->a, w->out->in) : &VEC_PUSH(w->a, w->out->out);
    p->source = source;
    p->name = arena_printf(w->a, "%s/%s", kind, name);
    return p;
}

/* ---- weights ------------------------------------------------------------------------------------------------------------- */

bool writer_weight(Writer *w, const char *name, int rank, const int64_t *dim, const double *v) {
    const char *full = arena_printf(w->a, "param/%s%s", w->scope->prefix, name);
    Array *x = arrays_add(w->a, &w->out->weight, full, RONDO_F64, rank, dim);
    if (!x) return import_bad(w->ctx, w->what, "weight '%s' is larger than any memory", full + 6);
    int64_t n = array_count(x);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || fabs(v[i]) > 3.4028234663852886e38) {
            diag_error(w->ctx, 652, NOWHERE, "%s: number %lld of weight '%s' is not a finite float32", w->what, (long long)i,
                       full + 6);
            return false;
        }
    if (n) memcpy(x->data, v, (size_t)n * sizeof(double));
    return true;
}

const char *writer_param(Writer *w, const char *wanted, int rank, const int64_t *dim, const double *v) {
    const char *name = writer_name(w, wanted);
    if (rank == 2)
        writer_line(w, "param %s: [%lld, %lld] = glorot_uniform", name, (long long)dim[0], (long long)dim[1]);
    else if (rank == 1)
        writer_line(w, "param %s: [%lld] = 0", name, (long long)dim[0]);
    else
        writer_line(w, "param %s: [] = 0", name);
    return writer_weight(w, name, rank, dim, v) ? name : NULL;
}

const char *dense_write(Writer *w, const char *wanted, int64_t O, int64_t I, const double *W, const double *b, const char *act,
                        const char *x) {
    const char *name = writer_name(w, wanted);
    if (act && strcmp(act, "linear"))
        writer_line(w, "%s = dense[%lld, act = %s](%s)", name, (long long)O, act, x);
    else
        writer_line(w, "%s = dense[%lld](%s)", name, (long long)O, x);
    if (!b) b = NEW_N(w->a, double, O);
    bool ok = writer_weight(w, arena_printf(w->a, "%s.W", name), 2, (int64_t[]){O, I}, W) &&
              writer_weight(w, arena_printf(w->a, "%s.b", name), 1, (int64_t[]){O}, b);
    return ok ? name : NULL;
}

double *transposed(Arena *a, const double *v, int64_t rows, int64_t cols) {
    double *t = NEW_N(a, double, rows *cols);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) t[j * rows + i] = v[i * cols + j];
    return t;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------- */

bool writer_finish(Writer *w, const char *model, const char *from) {
    Str s = str_make(w->a), pretty = str_make(w->a);
    put_comment(&s, arena_printf(w->a, "Imported from %s.", from));
    str_putn(&s, w->notes.at ? w->notes.at : "", w->notes.n);
    str_putc(&s, '\n');
    str_putn(&s, w->decls.at ? w->decls.at : "", w->decls.n);
    str_printf(&s, "model %s {\n", model);
    str_putn(&s, w->inputs.at ? w->inputs.at : "", w->inputs.n);
    str_putn(&s, w->model.text.at ? w->model.text.at : "", w->model.text.n);
    str_putn(&s, w->outputs.at ? w->outputs.at : "", w->outputs.n);
    str_put(&s, "}\n");
    const char *path = arena_printf(w->a, "%s.rondo", model);
    const Source *source = source_add(w->ctx, path, s.at, s.n);
    if (!source) return false;
    AstFile *file = parse_file(w->ctx, w->a, source);
    if (!file->ok || !format_file(w->ctx, &pretty, file)) return false;
    w->out->model = model;
    w->out->text = pretty.at;
    w->out->ntext = pretty.n;
    return true;
}
