/* emit_window: a model of whole sequences as a stream, in C: with each step predict runs over the newest ones, as many as the window
   has, and what it says of the step that lies `delay` behind the newest one is the output. */
#include <string.h>

#include "runtime/emit_c.h"

static bool refuse(CModel *c, const char *why, const char *help) {
    diag_error(c->ctx, 855, c->m->desc->span, "'%s' gets no window: %s", name_str(c->ctx, c->m->desc->name), why);
    if (help) diag_help(c->ctx, NOWHERE, "%s", help);
    return false;
}

static bool goes_on(const CPort *x) { return x->axes & ~AX(AXIS_B); }

bool emit_window_check(CModel *c) {
    const CProgram *p = &c->infer;
    uint32_t times = 0, along = 0;
    bool follows = false;
    if (!c->o->window) return true;
    if (c->stream) return refuse(c, "it runs step by step, and remembers all that it needs", "leave --window out");
    for (uint32_t k = 1; k < p->m->naxis; k++) {
        if (p->m->axis[k].kind != AXIS_TIME) continue;
        times++;
        along = AX(k);
    }
    if (c->o->ragged) return refuse(c, "a stream is one example, and lengths are those of a batch", "leave --ragged out");
    if (times != 1) return refuse(c, times ? "it reads several sequences" : "its inputs are no sequences", NULL);
    for (uint32_t k = 0; k < p->in.n + p->out.n; k++) {
        const CPort *x = k < p->in.n ? &p->in.at[k] : &p->out.at[k - p->in.n];
        if (goes_on(x) && (x->axes & ~AX(AXIS_B)) != along) return refuse(c, arena_printf(c->a, "%s goes along other steps", x->name), NULL);
        follows = follows || (k >= p->in.n && goes_on(x));
    }
    c->delay = !follows ? 0 : c->o->delay >= 0 ? c->o->delay : c->o->window / 2;
    if (c->delay < c->o->window) return true;
    return refuse(c, arena_printf(c->a, "an output %lld steps late is not in a window of %lld", (long long)c->delay, (long long)c->o->window), NULL);
}

/* ---- the struct --------------------------------------------------------------------------------------------------------- */

static void put_type(CModel *c) {
    const CProgram *p = &c->infer;
    str_printf(&c->h,
               "\n/* A stream through a window: each output is what predict says of the newest %s_STREAM_STEPS steps (at the stream's begin of those\n"
               "   that there are)%s. */\n#define %s_STREAM_STEPS %lld\n#define %s_STREAM_DELAY %lld\n",
               c->upper, c->delay ? ", for the step that many before the newest" : "", c->upper, (long long)c->o->window, c->upper, (long long)c->delay);
    str_printf(&c->h, "\n/* What is remembered of it, and room: assign it to copy it, have several. */\ntypedef struct {\n    const %s_weights *weights;\n"
                      "    int32_t seen; /* steps in the window */\n", c->id);
    for (int out = 0; out < 2; out++) {
        const CPorts *x = out ? &p->out : &p->in;
        for (uint32_t k = 0; k < x->n; k++)
            str_printf(&c->h, "    %s %s_%s[%s%lld];\n", c_type(c, x->at[k].dtype), out ? "out" : "in", x->at[k].id,
                       goes_on(&x->at[k]) ? arena_printf(c->a, "%s_STREAM_STEPS * ", c->upper) : "", (long long)x->at[k].n);
    }
    str_printf(&c->h, "    double work[(%s_PREDICT_WORK(%s_STREAM_STEPS, 1) + 7) / 8]; /* of one call */\n} %s_state;\n#define %s_STATE_BYTES sizeof(%s_state)\n", c->upper, c->upper, c->id, c->upper, c->id);
}

/* ---- the functions ------------------------------------------------------------------------------------------------------ */

static void put_begin(CModel *c) {
    bool own = has_constants(c);
    emit_init(c, "nothing seen");
    str_printf(&c->c, "    s->weights = %s;\n    %s_reset(s);\n%s}\n", own ? arena_printf(c->a, "%s_builtin()", c->id) : "weights", c->id, own ? "" : "    return 1;\n");
    emit_use(c, "");
    c_function(c, "Nothing seen again.", arena_printf(c->a, "void %s_reset(%s_state *s)", c->id, c->id));
    str_put(&c->c, "    s->seen = 0;\n}\n");
}

static const char *params(CModel *c, bool in, bool sized) {
    Str s = str_make(c->a);
    const CPorts *x = in ? &c->infer.in : &c->infer.out;
    for (uint32_t k = 0; k < x->n; k++)
        str_printf(&s, sized ? ", %s%s %s[%lld]" : ", %s%s *%s", in ? "const " : "", c_type(c, x->at[k].dtype), x->at[k].id, (long long)x->at[k].n);
    return s.n ? s.at : "";
}

static const char *call(CModel *c) {
    Str s = str_make(c->a);
    str_printf(&s, "%s_predict(s->weights, ", c->id);
    for (uint32_t k = 0; k < c->infer.in.n; k++) str_printf(&s, "s->in_%s, ", c->infer.in.at[k].id);
    str_put(&s, "n, 1, ");
    for (uint32_t k = 0; k < c->infer.out.n; k++) str_printf(&s, "s->out_%s, ", c->infer.out.at[k].id);
    str_put(&s, "s->work);");
    return s.at;
}

/* Takes the step into the window; n: how many it then has. */
static void put_taking(CModel *c) {
    str_printf(&c->c, "    int n = s->seen, k;\n    if (n == %s_STREAM_STEPS) {\n        n--;\n", c->upper);
    for (int now = 0; now < 2; now++) {
        for (uint32_t k = 0; k < c->infer.in.n; k++) {
            const CPort *x = &c->infer.in.at[k];
            long long size = (long long)x->n;
            if (now) str_printf(&c->c, "    for (k = 0; k < %lld; k++) s->in_%s[%sk] = %s[k];\n", size, x->id, goes_on(x) ? arena_printf(c->a, "n * %lld + ", size) : "", x->id);
            else if (goes_on(x))
                str_printf(&c->c, "        for (k = 0; k < n * %lld; k++) s->in_%s[k] = s->in_%s[k + %lld];\n", size, x->id, x->id, size);
        }
        if (!now) str_put(&c->c, "    }\n");
    }
    str_put(&c->c, "    s->seen = ++n;\n");
}

static void put_step(CModel *c) {
    const char *late = c->delay ? arena_printf(c->a, "One step in; out comes what there is of the step %s_STREAM_DELAY before it. Returns 1, or 0 where there is no such step yet.", c->upper)
                                : "One step in; out comes what there is of the window that ends with it. Returns 1.";
    c_function(c, late, arena_printf(c->a, "int %s_step(%s_state *s%s%s)", c->id, c->id, params(c, true, true), params(c, false, true)));
    put_taking(c);
    if (c->delay) str_printf(&c->c, "    if (n <= %s_STREAM_DELAY) return 0;\n", c->upper);
    str_printf(&c->c, "    %s\n", call(c));
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *x = &c->infer.out.at[k];
        const char *at = goes_on(x) ? arena_printf(c->a, "(n - 1 - %s_STREAM_DELAY) * %lld + k", c->upper, (long long)x->n) : "k";
        str_printf(&c->c, "    for (k = 0; k < %lld; k++) %s[k] = s->out_%s[%s];\n", (long long)x->n, x->id, x->id, at);
    }
    str_put(&c->c, "    return 1;\n}\n");
}

static void put_run(CModel *c) {
    Str args = str_make(c->a);
    for (uint32_t k = 0; k < c->infer.in.n; k++) str_printf(&args, ", %s + k * %lld", c->infer.in.at[k].id, (long long)c->infer.in.at[k].n);
    for (uint32_t k = 0; k < c->infer.out.n; k++) str_printf(&args, ", %s + got * %lld", c->infer.out.at[k].id, (long long)c->infer.out.at[k].n);
    c_function(c, "n steps: arrays of n times what a step takes and gives. Returns how many outputs there are; any cut into chunks gives the same ones.",
               arena_printf(c->a, "long %s_run(%s_state *s, long n%s%s)", c->id, c->id, params(c, true, false), params(c, false, false)));
    str_printf(&c->c, "    long k, got = 0;\n    for (k = 0; k < n; k++) got += %s_step(s%s);\n    return got;\n}\n", c->id, args.n ? args.at : "");
}

/* What is still to come when the stream has ended. */
static void put_finish(CModel *c) {
    if (!c->delay) return;
    Str out = str_make(c->a);
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *x = &c->infer.out.at[k];
        if (goes_on(x)) str_printf(&out, ", %s *%s", c_type(c, x->dtype), x->id);
    }
    c_function(c, arena_printf(c->a, "The end of a stream: the outputs that are still to come, of its last steps, at most %s_STREAM_DELAY. Returns how many.", c->upper),
               arena_printf(c->a, "int %s_finish(%s_state *s%s)", c->id, c->id, out.at));
    str_printf(&c->c, "    int n = s->seen, k, from = n > %s_STREAM_DELAY ? n - %s_STREAM_DELAY : 0;\n    if (!n) return 0;\n    %s\n", c->upper, c->upper, call(c));
    for (uint32_t k = 0; k < c->infer.out.n; k++) {
        const CPort *x = &c->infer.out.at[k];
        if (goes_on(x)) str_printf(&c->c, "    for (k = 0; k < (n - from) * %lld; k++) %s[k] = s->out_%s[from * %lld + k];\n", (long long)x->n, x->id, x->id, (long long)x->n);
    }
    str_put(&c->c, "    return n - from;\n}\n");
}

void emit_window(CModel *c) {
    if (!c->o->window) return;
    put_type(c);
    put_begin(c);
    put_step(c);
    put_run(c);
    put_finish(c);
}
