/* diag: collecting diagnostics, and the table of their codes. */
#include "base/ctx.h"

void diag_init(Ctx *ctx) {
    /* Reserves room for the out-of-memory error before anything else can fail. */
    vec_reserve(&ctx->diag_arena, (void **)&ctx->diags.at, 0, &ctx->diags.cap, sizeof *ctx->diags.at);
}

static void diag_push(Ctx *ctx, Diag d) {
    Arena *a = &ctx->diag_arena;
    vec_reserve(a, (void **)&ctx->diags.at, ctx->diags.n + 1, &ctx->diags.cap, sizeof *ctx->diags.at);
    ctx->diags.at[ctx->diags.n++] = d;
}

void diag_out_of_memory(Ctx *ctx) {
    if (ctx->oom_told || ctx->diags.n >= ctx->diags.cap) return;
    ctx->oom_told = true;
    ctx->nerror++;
    ctx->dropping = false;
    ctx->diags.at[ctx->diags.n++] = (Diag){DIAG_ERROR, 900, {0, 0}, "out of memory"};
}

static const char *diag_text(Ctx *ctx, const char *fmt, va_list ap) {
    Str s = str_make(&ctx->diag_arena);
    str_vprintf(&s, fmt, ap);
    return s.at ? s.at : "";
}

void diag_error(Ctx *ctx, uint16_t code, Span at, const char *fmt, ...) {
    ctx->dropping = ctx->nerror >= DIAG_KEEP;
    ctx->nerror++;
    if (ctx->dropping) return;
    va_list ap;
    va_start(ap, fmt);
    const char *text = diag_text(ctx, fmt, ap);
    va_end(ap);
    diag_push(ctx, (Diag){DIAG_ERROR, code, at, text});
}

void diag_warning(Ctx *ctx, uint16_t code, Span at, const char *fmt, ...) {
    ctx->dropping = ctx->nwarning >= DIAG_KEEP;
    ctx->nwarning++;
    if (ctx->dropping) return;
    va_list ap;
    va_start(ap, fmt);
    const char *text = diag_text(ctx, fmt, ap);
    va_end(ap);
    diag_push(ctx, (Diag){DIAG_WARNING, code, at, text});
}

void diag_note(Ctx *ctx, Span at, const char *fmt, ...) {
    if (ctx->dropping) return;
    va_list ap;
    va_start(ap, fmt);
    const char *text = diag_text(ctx, fmt, ap);
    va_end(ap);
    diag_push(ctx, (Diag){DIAG_NOTE, 0, at, text});
}

void diag_help(Ctx *ctx, Span at, const char *fmt, ...) {
    if (ctx->dropping) return;
    va_list ap;
    va_start(ap, fmt);
    const char *text = diag_text(ctx, fmt, ap);
    va_end(ap);
    diag_push(ctx, (Diag){DIAG_HELP, 0, at, text});
}

uint32_t diag_error_count(const Ctx *ctx) { return ctx->nerror; }
uint32_t diag_count(const Ctx *ctx) { return ctx->diags.n; }
const Diag *diag_at(const Ctx *ctx, uint32_t i) { return i < ctx->diags.n ? &ctx->diags.at[i] : NULL; }

void diag_clear(Ctx *ctx) {
    /* Keeps the vector's chunk alive by not freeing it when there is nothing to clear. */
    if (ctx->diags.n == 0 && !ctx->oom_told) return;
    ctx->nerror = ctx->nwarning = 0;
    ctx->dropping = ctx->oom_told = false;
    arena_free(&ctx->diag_arena);
    ctx->diags.at = NULL;
    ctx->diags.n = ctx->diags.cap = 0;
    diag_init(ctx);
}

void diag_drop(Ctx *ctx, uint32_t from) {
    for (uint32_t i = from; i < ctx->diags.n; i++) {
        if (ctx->diags.at[i].kind == DIAG_ERROR) ctx->nerror--;
        if (ctx->diags.at[i].kind == DIAG_WARNING) ctx->nwarning--;
    }
    if (from < ctx->diags.n) ctx->diags.n = from;
    ctx->dropping = false;
}

typedef struct {
    uint16_t code;
    const char *summary, *explanation;
} ErrorRow;

static const ErrorRow error_rows[] = {
#define E(code, summary, explanation) {code, summary, explanation},
#include "base/errors.def"
#undef E
};

bool error_explain(uint16_t code, const char **summary, const char **explanation) {
    for (size_t i = 0; i < sizeof error_rows / sizeof *error_rows; i++)
        if (error_rows[i].code == code) {
            *summary = error_rows[i].summary;
            *explanation = error_rows[i].explanation;
            return true;
        }
    return false;
}

uint16_t error_code_at(uint32_t i) { return i < sizeof error_rows / sizeof *error_rows ? error_rows[i].code : 0; }
