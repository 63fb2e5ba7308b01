/* emit_state: the struct that the caller of step holds, and the functions over it that are the same for every width. */
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"

void emit_state_type(CModel *c) {
    str_put(&c->h, "\n/* What the network remembers between two steps, and room for making one: assign it to copy it, have several. It needs no "
                   "other\n   alignment than its members. */\ntypedef struct {\n");
    str_printf(&c->h, "    const %s_weights *weights;\n", c->id);
    for (uint32_t k = 0; k < c->state.n; k++) {
        const CPort *x = &c->state.at[k];
        str_printf(&c->h, "    %s %s[%lld]; /* %s", c_type(c, x->dtype), x->id, (long long)x->n, x->name);
        for (int d = 0; d < x->rank && x->rank > 1; d++) str_printf(&c->h, "%s[%d]", d ? "" : " ", x->dim[d]);
        str_put(&c->h, " */\n");
    }
    if (c->step.noise) str_put(&c->h, "    uint32_t noise_step; /* steps since the reset, on which their noise depends */\n");
    if (c->turns) str_put(&c->h, "    int32_t turn; /* 0 or 1: whether the next step reads its matrices backwards; nothing depends on it but time */\n");
    str_printf(&c->h, "    %s scratch[%s_SCRATCH]; /* of one step; not part of what is remembered */\n} %s_state;\n#define %s_STATE_BYTES sizeof(%s_state)\n", c->real, c->upper,
               c->id, c->upper, c->id);
}

bool state_starts_at_zero(const CModel *c, uint32_t k) {
    const double *v = c->start[k];
    for (int64_t i = 0; i < c->state.at[k].n; i++)
        if (!(v[i] >= 0 && v[i] <= 0) || signbit(v[i])) return false;
    return !c->learns;
}

const char *state_flat(CModel *c, const CPort *x) { return arena_printf(c->a, "s->%s", x->id); }

const char *state_start(CModel *c, uint32_t k) {
    return arena_printf(c->a, c->learns ? "weights->start_%s" : "%s_start_%s", c->learns ? c->state.at[k].id : c->id, c->state.at[k].id);
}

void emit_starts(CModel *c) {
    for (uint32_t k = 0; !c->learns && k < c->state.n; k++) {
        if (state_starts_at_zero(c, k)) continue;
        str_printf(&c->c, "\n/* where %s starts */\n", c->state.at[k].name);
        const CPort *x = &c->state.at[k];
        c_array(c, &c->c, c_type(c, x->dtype), state_start(c, k), c->start[k], x->n, x->dtype == DT_I);
    }
}

static void put_reset(CModel *c) {
    c_function(c, "The initial state again.", arena_printf(c->a, "void %s_reset(%s_state *s)", c->id, c->id));
    str_put(&c->c, c->state.n ? "    int k;\n" : "    (void)s;\n");
    for (uint32_t k = 0; k < c->state.n; k++) {
        const CPort *x = &c->state.at[k];
        str_printf(&c->c, "    for (k = 0; k < %lld; k++) %s[k] = ", (long long)x->n, state_flat(c, x));
        if (state_starts_at_zero(c, k))
            str_put(&c->c, "0;\n");
        else
            str_printf(&c->c, "%s%s[k];\n", c->learns ? "s->" : "", state_start(c, k));
    }
    if (c->step.noise) str_put(&c->c, "    s->noise_step = 0;\n");
    str_put(&c->c, "}\n");
}

/* The head of init, which takes weights where there are none in the file, and locals: open gives NULL for a blob that it refuses. */
void emit_init(CModel *c, const char *begin) {
    bool own = has_constants(c);
    const char *which = own ? ": the weights of this file," : ":", *answer = own ? "" : " Returns 1, or 0 where weights is NULL: there is no stream then.";
    c_function(c, arena_printf(c->a, "Before the first step%s %s.%s", which, begin, answer),
               arena_printf(c->a, "%s %s_init(%s_state *s%s)", own ? "void" : "int", c->id, c->id, own ? "" : arena_printf(c->a, ", const %s_weights *weights", c->id)));
    if (c->stream) str_put(&c->c, "    int k;\n");
    if (!own) str_put(&c->c, "    if (!weights) return 0;\n");
}

void emit_use(CModel *c, const char *more) {
    c_function(c, arena_printf(c->a, "Other weights from the next step on, read where they are: keep them there.%s Returns 1, or 0 where weights is NULL: those before stay in use.", more),
               arena_printf(c->a, "int %s_use(%s_state *s, const %s_weights *weights)", c->id, c->id, c->id));
    str_put(&c->c, "    if (!weights) return 0;\n    s->weights = weights;\n    return 1;\n}\n");
}

static void put_init(CModel *c) {
    emit_init(c, "the initial state");
    str_printf(&c->c, "    for (k = 0; k < %s_SCRATCH; k++) s->scratch[k] = 0;\n    s->weights = %s;\n%s    %s_reset(s);\n%s}\n", c->upper,
               has_constants(c) ? arena_printf(c->a, "&%s_constants", c->id) : "weights", c->turns ? "    s->turn = 0;\n" : "", c->id,
               has_constants(c) ? "" : "    return 1;\n");
    emit_use(c, " What is remembered stays; reset forgets it.");
}

/* What is remembered as one array, to keep and to take up again. */
static void put_saving(CModel *c) {
    for (int load = 0; load < 2; load++) {
        c_function(c,
                   load ? "Takes up what save kept: the same outputs follow."
                        : arena_printf(c->a, "What is remembered, in %s_STATE numbers, in the middle of a stream.", c->upper),
                   load ? arena_printf(c->a, "void %s_load(%s_state *s, const %s *from)", c->id, c->id, c->real)
                        : arena_printf(c->a, "void %s_save(const %s_state *s, %s *to)", c->id, c->id, c->real));
        int64_t at = 0;
        str_printf(&c->c, c->state.n ? "    int k;\n" : "    (void)s;\n    (void)%s;\n", load ? "from" : "to");
        for (uint32_t k = 0; k < c->state.n; k++) {
            const CPort *x = &c->state.at[k];
            const char *mine = state_flat(c, x), *other = arena_printf(c->a, at ? "%s[%lld + k]" : "%s[k]", load ? "from" : "to", (long long)at);
            const char *as = x->dtype == DT_I ? arena_printf(c->a, "(%s)", load ? "int32_t" : c->real) : "";
            str_printf(&c->c, "    for (k = 0; k < %lld; k++) %s%s = %s%s%s;\n", (long long)x->n, load ? mine : other, load ? "[k]" : "", as,
                       load ? other : mine, load ? "" : "[k]");
            at += x->n;
        }
        if (c->step.noise && load)
            str_printf(&c->c, "    s->noise_step = (uint32_t)from[%lld] << 16 | (uint32_t)from[%lld];\n", (long long)at + 1, (long long)at);
        else if (c->step.noise)
            str_printf(&c->c, "    to[%lld] = (%s)(s->noise_step & 0xffffu);\n    to[%lld] = (%s)(s->noise_step >> 16);\n", (long long)at, c->real,
                       (long long)at + 1, c->real);
        str_put(&c->c, "}\n");
    }
}

/* Where step k of an array begins, as an argument: ", x + k * 3". */
static const char *step_of(CModel *c, const CPort *x) {
    return x->n == 1 ? arena_printf(c->a, ", %s + k", x->id) : arena_printf(c->a, ", %s + k * %lld", x->id, (long long)x->n);
}

static void put_run(CModel *c) {
    const CProgram *p = &c->step;
    Str params = str_make(c->a), args = str_make(c->a);
    for (uint32_t k = 0; k < p->in.n; k++) {
        const CPort *x = &p->in.at[k];
        str_printf(&params, ", const %s *%s", c_type(c, x->dtype), x->id);
        str_put(&args, step_of(c, x));
    }
    for (uint32_t k = 0; k < p->out.n; k++) {
        const CPort *x = &p->out.at[k];
        str_printf(&params, ", %s *%s", c_type(c, x->dtype), x->id);
        str_put(&args, step_of(c, x));
    }
    const char *about = "n steps: arrays of n times what a step takes and gives. Any cut into chunks gives the same bits.";
    bool one = p->in.n == 1 && p->out.n == 1 && p->in.at[0].n == p->out.at[0].n && p->in.at[0].dtype == p->out.at[0].dtype;
    c_function(c, one && !c->apart ? arena_printf(c->a, "%s %s and %s may be one array, here and for step.", about, p->in.at[0].id, p->out.at[0].id)
                                   : arena_printf(c->a, "%s No output may overlap an input, here or in step.", about),
               arena_printf(c->a, "void %s_run(%s_state *s, long n%s)", c->id, c->id, params.n ? params.at : ""));
    str_printf(&c->c, "    long k;\n    for (k = 0; k < n; k++) %s_step(s%s);\n}\n", c->id, args.n ? args.at : "");
}

/* The weights of this file. */
static void put_builtin(CModel *c) {
    c_function(c, "The weights of this file.",
               arena_printf(c->a, "const %s_%s *%s_builtin(void)", c->id, unpacks(c) ? "stored" : "weights", c->id));
    str_printf(&c->c, "    return &%s_constants;\n}\n", c->id);
}

void emit_state_functions(CModel *c) {
    if (c->o->blob)
        emit_open(c);
    else
        put_builtin(c);
    if (unpacks(c)) emit_unpack(c);
    emit_vocabulary(c);
    if (!c->stream) return;
    put_init(c);
    put_reset(c);
    put_saving(c);
    put_run(c);
}
