/* emit_c: a model with its weights as NAME.h and NAME.c, and on request NAME_test.c: strict C99 that needs <math.h> alone. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"

static void put_owner(CModel *c, Str *s, const char *file, const char *about) {
    str_printf(s, "/* %s: %s\n   Written by Rondo %s. This file belongs to you: no licence of Rondo's is attached to it. */\n",
               file, about, RONDO_VERSION);
    (void)c;
}

/* "M_IN_X": a macro's name, with a number where names differ in their letters' case alone. */
static const char *macro(CModel *c, const char *kind, const char *name) {
    static const char *const ours[] = {"IN_OFFSET", "IN_SCALE", "OUT_OFFSET", "OUT_SCALE", NULL}; /* put_scaling's */
    const char *stem = arena_printf(c->a, "%s_%s", kind, name), *id = stem;
    bool taken = true;
    for (int n = 2; taken; n++) {
        taken = false;
        for (uint32_t k = 0; k < c->macro.n; k++) taken = taken || strcmp(c->macro.at[k], id) == 0;
        for (int k = 0; ours[k]; k++) taken = taken || strcmp(ours[k], id) == 0;
        if (taken) id = arena_printf(c->a, "%s_%d", stem, n);
    }
    VEC_PUSH(c->a, c->macro) = id;
    return arena_printf(c->a, "%s_%s", c->upper, id);
}

static void put_sizes(CModel *c) {
    Str *s = &c->h;
    const CProgram *p = c->stream ? &c->step : &c->infer;
    str_put(s, "\n/* Numbers of one step of one example. */\n");
    for (uint32_t k = 0; k < p->in.n && !p->in.at[k].length; k++)
        str_printf(s, "#define %s %lld%s\n", macro(c, "IN", p->in.at[k].upper), (long long)p->in.at[k].n,
                   p->in.at[k].vocab ? arena_printf(c->a, " /* from 0 to %d, which is not checked */", p->in.at[k].vocab - 1) : "");
    for (uint32_t k = 0; k < p->out.n; k++)
        str_printf(s, "#define %s %lld\n", macro(c, "OUT", p->out.at[k].upper), (long long)p->out.at[k].n);
    for (uint32_t k = 0; k < c->grad.target.n; k++)
        str_printf(s, "#define %s %lld\n", macro(c, "TARGET", c->grad.target.at[k].upper), (long long)c->grad.target.at[k].n);
    int64_t state = 0;
    for (uint32_t k = 0; k < c->state.n; k++) state += c->state.at[k].n;
    if (c->step.noise) state += 2; /* its count of steps */
    if (c->stream)
        str_printf(s, "#define %s_STATE %lld\n#define %s_SCRATCH %lld\n", c->upper, (long long)state, c->upper,
                   (long long)(c->scratch > 0 ? c->scratch : 1));
    if (c->prepare_work) str_printf(s, "\n/* Bytes that prepare%s as `work`. */\n#define %s_PREPARE_WORK %lld\n", unpacks(c) ? " and unpack need" : " needs", c->upper, (long long)c->prepare_work);
    if (c->update_stack)
        str_printf(s, "\n/* Bytes of stack that %s takes at most, for what it holds in between. */\n#define %s_UPDATE_STACK %lld\n", c->optimizer, c->upper,
                   (long long)c->update_stack);
    if (!c->theta) return;
    str_printf(s, "\n/* theta: every weight in one array; where each begins, and its shape. */\n#define %s_WEIGHTS %lld\n",
               c->upper, (long long)model_theta_size(c->m));
    int64_t at = 0;
    for (uint32_t i = 0; i < c->m->desc->param.n; i++) {
        const ParamDesc *q = &c->m->desc->param.at[i];
        str_printf(s, "#define %s %lld /* %s", macro(c, "AT", c_ident(c->a, name_str(c->ctx, q->name), true)), (long long)at, name_str(c->ctx, q->name));
        for (int k = 0; k < q->rank; k++) str_printf(s, "%s[%d]", k ? "" : " ", q->dim[k]);
        str_printf(s, "%s */\n", q->is_const ? " not trained" : "");
        at += q->count;
    }
}

static void put_columns(CModel *c, const char *which, const Column *x, uint32_t n) {
    for (int shift = 1; shift >= 0; shift--) {
        str_printf(&c->h, "#define %s_%s_%s ", c->upper, which, shift ? "OFFSET" : "SCALE");
        for (uint32_t k = 0; k < n; k++) {
            str_put(&c->h, k ? ", " : n > 1 ? "{" : "");
            str_put(&c->h, c_double(c, shift ? x[k].shift : x[k].scale));
        }
        str_put(&c->h, n > 1 ? "}\n" : "\n");
    }
}

/* The scaling that the data block fits on the training part. Without its file there is none to state. */
static void put_scaling(CModel *c) {
    if (!data_string(c->m, "csv") || diag_error_count(c->ctx) || !data_is_series(c->m, NULL)) return;
    Series s;
    if (!series_load(c->m, NULL, c->a, false, &s)) {
        diag_clear(c->ctx);
        str_put(&c->h, "\n/* The data file of the model was not there when this was written: its scaling is not known. */\n");
        return;
    }
    str_printf(&c->h,
               "\n/* The data block: windows of so many steps; scaled = (value - OFFSET) / SCALE, value = scaled * SCALE + "
               "OFFSET. */\n"
               "#define %s_WINDOW %lld\n#define %s_HORIZON %lld\n",
               c->upper, (long long)s.window, c->upper, (long long)s.horizon);
    put_columns(c, "IN", s.x, s.nx);
    put_columns(c, "OUT", s.y, s.ny);
}

/* ---- widths -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int V;
    const char *when; /* predefined macros of compilers that have such vectors; NULL: any */
} Width;

/* gcc makes scalars of what vectors of 32-bit Arm compute: their arithmetic has no denormals. */
#define NEON "(defined(__ARM_NEON) && (defined(__aarch64__) || defined(__clang__)))"
static const Width widths_f32[] = {
    {16, "defined(__AVX512F__)"}, {8, "defined(__AVX__)"}, {4, "defined(__SSE2__) || defined(__ALTIVEC__) || defined(__wasm_simd128__) || " NEON}, {1, NULL}};
static const Width widths_f64[] = {{4, "defined(__AVX__)"}, {1, NULL}};

static void put_choice(CModel *c, Str *s, const Width *w, size_t n) {
    str_printf(s,
               "\n/* Lanes of the vectors that the code below is written for; the bits do not depend on it. -D%s_SIMD= chooses another one of\n"
               "   these. All share the constants above. */\n#ifndef %s_SIMD\n",
               c->upper, c->upper);
    for (size_t k = 0; k < n; k++) {
        if (w[k].when) str_printf(s, "#%s defined(__GNUC__) && (%s)\n", k ? "elif" : "if", w[k].when);
        else if (n > 1) str_put(s, "#else\n");
        str_printf(s, "#define %s_SIMD %d\n", c->upper, w[k].V);
    }
    str_put(s, n > 1 ? "#endif\n#endif\n" : "#endif\n");
}

/* Everything that depends on the width, in lanes of V. */
static bool emit_width(CModel *c, int V) {
    c->V = V;
    c->c = str_make(c->a);
    c->text = c_text_make(c->a, &c->style);
    c->state.n = 0;
    c->swaps = false;
    if (!emit_infer(c) || !emit_train(c)) return false;
    const char *fn = c->o->freestanding ? c_text_library(c->text) : NULL;
    if (fn) {
        diag_error(c->ctx, 852, NOWHERE, "'%s' needs %s%s of <math.h>", name_str(c->ctx, c->m->desc->name), fn, c->m->f64 ? "" : "f");
        diag_help(c->ctx, NOWHERE, "without --freestanding the program is linked with -lm");
    }
    return !fn;
}

static void put_copies(CModel *c) {
    if (!c->o->freestanding) {
        str_printf(&c->c, "\n#define %s_copy(to, from, n) memcpy((to), (from), (size_t)(n) * sizeof *(to))\n", c->id);
        return;
    }
    str_printf(&c->c, "\n#define %s_copy(to, from, n) do { ptrdiff_t k_; for (k_ = 0; k_ < (n); k_++) (to)[k_] = (from)[k_]; } while (0)\n", c->id);
}

/* One lowering for each width, one copy of the constants; the header is the same for all. Leaves the header's functions in c->h. */
static bool emit_code(CModel *c, Str *file) {
    const ExecOptions *o = model_exec_options(c->m);
    const Width own = {c->o->simd ? c->o->simd : o->V, NULL};
    const Width *w = own.V ? &own : c->m->f64 ? widths_f64 : widths_f32;
    size_t n = own.V ? 1 : c->m->f64 ? sizeof widths_f64 / sizeof *w : sizeof widths_f32 / sizeof *w;
    const Module *m = own.V ? NULL : model_module(c->m, can_stream(c->m) ? MODULE_STEP : MODULE_PREDICT, false);
    if (!own.V && (!m || diag_error_count(c->ctx))) return false;
    if (m && w->V == 16 && !lower_fills(m, 16)) w++, n--; /* half empty vectors take as long as full ones */
    Str header = str_make(c->a), body = str_make(c->a);
    c->style = (CEmitOptions){.prefix = c->id, .freestanding = c->o->freestanding};
    for (size_t k = 0; k < n; k++) {
        c->h = str_make(c->a);
        c->again = k > 0;
        if (!emit_width(c, w[k].V)) return false;
        if (!k) header = c->h;
        str_printf(&body, "\n#%s %s_SIMD == %d\n%s", k ? "elif" : "if", c->upper, w[k].V, c->c.n ? c->c.at : "");
    }
    c->h = header;
    c->c = *file;
    if (c->o->blob)
        emit_blob(c);
    else if (unpacks(c))
        emit_storage_values(c);
    else
        emit_weights_values(c);
    emit_starts(c);
    emit_weigh_table(c);
    put_copies(c);
    c_text_begin(&c->c, c->o->freestanding);
    put_choice(c, &c->c, w, n);
    str_put(&c->c, body.n ? body.at : "");
    str_printf(&c->c, "\n#else\n#error \"%s_SIMD is none of the widths in this file\"\n#endif\n", c->upper);
    emit_state_functions(c);
    emit_rooms(c);
    emit_window(c);
    c_text_end(&c->c, c->o->freestanding);
    *file = c->c;
    return true;
}

/* Loss and metrics on the data, with the weights as they are now. */
static void measure(CModel *c, int which) {
    EmitReport *r = c->o->report;
    size_t n = c->m->desc->metric.n;
    if (!r || (which && !r->measured)) return;
    r->metric[which] = NEW_N(&c->m->arena, double, n + 1);
    r->measured = rondo_evaluate(c->m, c->o->data, NULL, 0, &r->loss[which], r->metric[which], n) == RONDO_OK;
    if (!r->measured) diag_clear(c->ctx); /* no data here: nothing to measure on */
}

typedef struct {
    CModel *c;
    const char *dir;
} Job;

static bool emit_all(void *arg) {
    CModel *c = ((Job *)arg)->c;
    const char *name = name_str(c->ctx, c->m->desc->name);
    if (!model_need_weights(c->m)) return false;
    c->id = c_ident(c->a, name, false);
    c->upper = c_ident(c->a, name, true);
    c->real = c->m->f64 ? "double" : "float";
    c->theta = c->o->train && model_theta_size(c->m) > 0;
    if (c->o->train && !weight_plan(c->m, c->a, c->o->data, &c->weigh)) return false;
    if (c->o->storage) {
        if (!emit_storage_fits(c)) return false;
        measure(c, 0);
        emit_storage_round(c);
        measure(c, 1);
    }
    Str head = str_make(c->a);
    Str file = str_make(c->a);
    c->t = str_make(c->a);
    put_owner(c, &head, arena_printf(c->a, "%s.h", c->id),
              arena_printf(c->a, "the recurrent network `%s`. C99, no allocation, nothing global but constants.", name));
    str_printf(&head,
               "#ifndef %s_H\n#define %s_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" "
               "{\n#endif\n",
               c->upper, c->upper);
    put_owner(c, &file, arena_printf(c->a, "%s.c", c->id),
              arena_printf(c->a, "the recurrent network `%s` with its weights. %s.", name,
                           c->o->freestanding ? "Needs no library" : "Link with -lm"));
    str_printf(&file, "#include \"%s.h\"\n%s", c->id, c->o->freestanding ? "" : "\n#include <math.h>\n#include <string.h>\n");
    size_t begun = file.n;
    do { /* again where a field is not read in the way that it was stored for */
        c->refused_before = c->refused.n;
        file.n = begun;
        c->field.n = c->room.n = 0;
        c->scratch = 0;
        c->apart = false;
        if (!emit_code(c, &file)) return false;
    } while (c->refused_before < c->refused.n);
    Str functions = c->h;
    c->h = head;
    put_sizes(c);
    put_scaling(c);
    if (unpacks(c)) emit_storage_type(c);
    emit_weights_type(c);
    str_printf(&c->h, "#define %s_WEIGHTS_BYTES sizeof(%s_weights)\n", c->upper, c->id);
    if (c->stream) emit_state_type(c);
    emit_learner_type(c);
    str_putn(&c->h, functions.at, functions.n);
    str_put(&c->h, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    c->c = file;
    return (!c->o->test || emit_check(c)) && emit_files(c, ((Job *)arg)->dir);
}

static void restore(Model *m, const double *theta) {
    for (int64_t i = 0; theta && i < model_theta_size(m); i++) model_theta_set(m, i, theta[i]);
}

bool emit_c_model(Model *m, const EmitOptions *o, const char *dir) {
    static const EmitOptions none = {0};
    Arena a = arena_make(m->ctx);
    CModel c = {.ctx = m->ctx, .m = m, .a = &a, .o = o ? o : &none, .values = arena_make(m->ctx), .digits = arena_make(m->ctx)};
    ExecEngine keep = model_exec_options(m)->engine;
    if (c.o->storage && m->f64) {
        diag_error(m->ctx, 851, NOWHERE, "weights are stored as %s for models in f32", storage_name[c.o->storage]);
        return false;
    }
    int got = guard_call(m->ctx, emit_all, &(Job){&c, dir});
    model_exec_options(m)->engine = keep;
    restore(m, c.before);
    if (c.o->storage && c.o->report) emit_bytes(&c, c.o->report->bytes);
    rondo_stream_close(c.live);
    engine_destroy(c.engine);
    arena_free(&c.digits);
    arena_free(&c.values);
    arena_free(&a);
    if (got < 0) ctx_out_of_memory(m->ctx);
    return got > 0;
}
