/* emit_readme: what the files are, how large, how they are called: a page that goes with them. */
#include <string.h>

#include "runtime/emit_c.h"

static int64_t real_bytes(const CModel *c) { return c->m->f64 ? 8 : 4; }

static void add_bytes(CModel *c, const CMember *m) { c->bytes += m->n * m->bytes; }

static int64_t weights_bytes(CModel *c) {
    c->bytes = 0;
    weights_members(c, add_bytes);
    return c->bytes;
}

static int64_t stored_bytes(const CModel *c) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < c->m->desc->param.n; i++) {
        const ParamDesc *q = &c->m->desc->param.at[i];
        bool rows = q->rank >= 2, narrow = c->o->storage == EMIT_INT8;
        bytes += q->count * (!rows ? 4 : narrow ? 1 : 2) + (rows && narrow ? q->dim[0] * 4 : 0);
    }
    return bytes;
}

void emit_bytes(CModel *c, int64_t *bytes) {
    bytes[0] = model_theta_size(c->m) * real_bytes(c);
    bytes[1] = unpacks(c) ? stored_bytes(c) : weights_bytes(c);
}

static void put_sizes(CModel *c, Str *s) {
    int64_t state = 0;
    for (uint32_t k = 0; k < c->state.n; k++) state += c->state.at[k].n;
    str_put(s, "## Sizes\n\n| what | bytes | where |\n|---|---|---|\n");
    if (unpacks(c))
        str_printf(s, "| `%s_stored` | %lld | %s, %s |\n", c->id, (long long)stored_bytes(c), c->o->blob ? "blob" : "constants",
                   storage_name[c->o->storage]);
    str_printf(s, "| `%s_weights` | %lld | %s |\n", c->id, (long long)weights_bytes(c),
               unpacks(c) ? "memory, filled by `unpack`" : c->o->blob ? "blob" : "constants");
    if (c->stream)
        str_printf(s, "| `%s_state` | %lld and a pointer | memory, one a stream; %lld are remembered from step to step |\n", c->id,
                   (long long)((state + (c->scratch > 0 ? c->scratch : 1)) * real_bytes(c)), (long long)(state * real_bytes(c)));
    if (c->o->window) str_printf(s, "| `%s_state` | `sizeof(%s_state)` | memory, one a stream: a window of %lld steps, and room |\n", c->id, c->id, (long long)c->o->window);
    int64_t kept = 0;
    for (uint32_t k = 0; k < c->kept.n; k++) kept += c->kept.at[k].n;
    if (c->window)
        str_printf(s, "| `%s_learner` | %lld | memory, one a stream that is learned from; %lld are remembered |\n", c->id,
                   (long long)((kept + (c->learn_scratch > 0 ? c->learn_scratch : 1)) * real_bytes(c) + (c->learns ? 4 : 0)),
                   (long long)(kept * real_bytes(c)));
    for (uint32_t k = 0; k < c->room.n; k++)
        if (c->room.at[k].p != &c->begin && c->room.at[k].p != &c->write) str_printf(s, "| room for `%s` | `%s_%s_WORK(%s)` | memory, of one call |\n", strcmp(c->room.at[k].what, "train") == 0 ? "grad" : c->room.at[k].what,
                   c->upper, c_ident(c->a, c->room.at[k].what, true), c_size_params(c, c->room.at[k].p, false));
    if (c->prepare_work) str_printf(s, "| room for `prepare` | %lld | memory, of one call |\n", (long long)c->prepare_work);
    if (c->update_stack) str_printf(s, "| locals of `%s` | %lld | stack, of one call |\n", c->optimizer, (long long)c->update_stack);
    if (c->train) str_printf(s, "| `grad` | %lld | memory |\n", (long long)(model_theta_size(c->m) * real_bytes(c)));
    str_putc(s, '\n');
}

/* The functions of the header, each with what is said about it. */
static void put_functions(CModel *c, Str *s) {
    str_printf(s, "## Functions\n\n`%s.h` says more. All of them may be called from several threads with states of their own.\n\n```text\n", c->id);
    for (const char *at = c->h.at, *next; *at; at = next) {
        const char *end = strchr(at, '\n');
        next = end ? end + 1 : at + strlen(at);
        bool head = strstr(at, arena_printf(c->a, " %s_", c->id)) && strchr(at, '(') && end && memchr(at, '(', (size_t)(end - at));
        if (!head || *at == ' ' || *at == '#' || *at == '/') continue;
        const char *name = strstr(at, arena_printf(c->a, "%s_", c->id));
        if (!name || name > strchr(at, '(')) continue;
        const char *stop = strchr(at, ';');
        if (!stop) continue;
        str_putn(s, at, (size_t)(stop - at));
        str_put(s, ";\n");
        next = strchr(stop, '\n');
        next = next ? next + 1 : stop + 1;
    }
    str_put(s, "```\n\n");
}

static const char *names(CModel *c, const CPorts *x, const char *sep) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < x->n; k++) str_printf(&s, "%s%s", sep, x->at[k].id);
    return s.n ? s.at : "";
}

static void put_arrays(CModel *c, Str *s, const char *times) {
    for (int out = 0; out < 2; out++) {
        const CPorts *x = out && c->stream ? &c->step.out : out ? &c->infer.out : c->stream ? &c->step.in : &c->infer.in;
        for (uint32_t k = 0; k < x->n; k++)
            str_printf(s, x->at[k].length ? "static %s %s[%s%lld] = {20};\n" : "static %s %s[%s%lld];\n", c_type(c, x->at[k].dtype), x->at[k].id,
                       x->at[k].axes & ~AX(AXIS_B) ? times : "", (long long)x->at[k].n);
    }
}

/* Steps or sequences, from weights wherever they are. */
static void put_example(CModel *c, Str *s) {
    bool streams = c->stream || c->o->window;
    bool single = c->o->layout == EMIT_SINGLE;
    const char *whole = single ? arena_printf(c->a, "#define %s_IMPLEMENTATION /* in one source of the program */\n", c->upper) : "";
    str_printf(s, "## Example\n\n```c\n%s#include \"%s.h\"\n\n", whole, c->id);
    put_arrays(c, s, streams ? "" : "20 * ");
    const char *weights = has_constants(c) ? "" : ", weights";
    const char *params = c->o->blob ? "const void *blob, size_t bytes" : "void";
    if (unpacks(c)) str_printf(s, "static %s_weights ram;\nstatic unsigned char room[%s_PREPARE_WORK];\n", c->id, c->upper);
    if (streams) str_printf(s, "static %s_state s;\n", c->id);
    str_printf(s, "\nint example(%s)\n{\n", params);
    if (unpacks(c) && c->o->blob)
        str_printf(s, "    const %s_weights *weights = &ram;\n    if (!%s_open(blob, bytes)) return 1;\n    %s_unpack(&ram, %s_open(blob, bytes), room);\n", c->id,
                   c->id, c->id, c->id);
    else if (unpacks(c))
        str_printf(s, "    const %s_weights *weights = &ram;\n    %s_unpack(&ram, %s_builtin(), room);\n", c->id, c->id, c->id);
    else if (c->o->blob)
        str_printf(s, "    const %s_weights *weights = %s_open(blob, bytes);\n    if (!weights) return 1;\n", c->id, c->id);
    if (streams)
        str_printf(s,
                   "    %s_init(&s%s);\n    for (int t = 0; t < 100; t++) %s_step(&s%s%s); /* an input in, an output out */\n"
                   "    return 0;\n}\n```\n",
                   c->id, weights, c->id, names(c, c->stream ? &c->step.in : &c->infer.in, ", "), names(c, &c->infer.out, ", "));
    else {
        uint32_t n = 0;
        for (uint32_t k = 1; k < c->infer.m->naxis; k++) n += c->infer.m->axis[k].kind == AXIS_TIME;
        Str sizes = str_make(c->a);
        for (uint32_t k = 0; k < n; k++) str_put(&sizes, "20, ");
        str_putc(&sizes, '1');
        str_printf(s,
                   "    static unsigned char work[%s_PREDICT_WORK(%s)];\n    %s_predict(%s%s, %s%s, work);\n    return 0;\n}\n```\n", c->upper,
                   sizes.at, c->id, has_constants(c) ? "NULL" : "weights", names(c, &c->infer.in, ", "), sizes.at, names(c, &c->infer.out, ", "));
    }
}

/* ---- learning ------------------------------------------------------------------------------------------------------------ */

enum { STEPS = 20 }; /* of the sequence that is learned from */

/* Arrays of one example: of a call of learn, or of grad. */
static void put_learned(CModel *c, Str *s, const CPorts *x, const char *prefix) {
    const Module *m = c->grad.m;
    for (uint32_t k = 0; k < x->n; k++) {
        int64_t dim[LDIM_COUNT], n = x->at[k].n;
        cprogram_one_step(&c->grad, dim);
        for (uint32_t a = 1; a < m->naxis; a++)
            if (x->at[k].axes & AX(a)) n *= m->axis[a].kind == AXIS_TIME ? STEPS : dim[a];
        if (c->window) n = emit_learn_numbers(c, &x->at[k]);
        str_printf(s, "static %s %s%s[%lld]%s;\n", c_type(c, x->at[k].dtype), prefix, x->at[k].id, (long long)n, x->at[k].length ? " = {20}" : "");
    }
}

static const char *learned_names(CModel *c, const CProgram *p) {
    Str s = str_make(c->a);
    for (uint32_t k = 0; k < p->in.n; k++) str_printf(&s, "in_%s, ", p->in.at[k].id);
    for (uint32_t k = 0; k < p->target.n; k++) str_printf(&s, "target_%s, ", p->target.at[k].id);
    return s.n ? s.at : "";
}

/* The weights of the file as the ones that are learned. */
static void put_begin(CModel *c, Str *s) {
    const char *id = c->id;
    if (unpacks(c) && !c->o->blob) str_printf(s, "    %s_unpack(&ram, %s_builtin(), room);\n", id, id);
    else if (unpacks(c)) str_printf(s, "    if (!%s_unpack(&ram, %s_open(blob, bytes), room)) return -1;\n", id, id);
    else if (c->o->blob) str_printf(s, "    if (!%s_open(blob, bytes)) return -1;\n    ram = *%s_open(blob, bytes);\n", id, id);
    else str_printf(s, "    ram = *%s_builtin();\n", id);
    if (c->window) str_printf(s, "    %s_learn_begin(&stream);\n", id);
}

/* One gradient and the update by it. */
static void put_update(CModel *c, Str *s) {
    const CProgram *p = c->window ? &c->learn : &c->grad;
    Str sizes = str_make(c->a);
    for (uint32_t k = 1; k < p->m->naxis && !c->window; k++)
        if (p->m->axis[k].kind == AXIS_TIME) str_printf(&sizes, "%d, ", STEPS);
    if (!c->window) str_put(&sizes, "1, ");
    const char *example = p->example == NO_AREA ? "" : c->window ? "0, " : "NULL, ", *noise = p->noise ? arena_printf(c->a, "1, (uint32_t)k, %s", example) : "";
    str_printf(s, "        loss = %s_%s(%sram.theta, %s%s%sgrad%s);\n", c->id, c->window ? "learn" : "grad", c->window ? "&stream, " : "", learned_names(c, p),
               sizes.n ? sizes.at : "", noise, c->window ? "" : ", work");
    bool gathers = update_gradients(c) > 1;
    const char *rate = arena_printf(c->a, "%s%s", strstr(c->rate, "long") ? ", 100" : "", strstr(c->rate, "plateau") ? ", &plateau" : "");
    if (gathers) str_printf(s, "        if (%s_gather(&gathered, grad, 1, k == 99))\n    ", c->id);
    str_printf(s, "        %s_%s(ram.theta, grad, moments, %s%s);\n", c->id, c->optimizer, gathers ? "t++" : "k", rate);
}

static void put_learning(CModel *c, Str *s) {
    const char *id = c->id, *up = c->upper, *plateau = strstr(c->rate, "plateau");
    const CProgram *p = c->window ? &c->learn : &c->grad;
    if (!c->train || !c->optimizer) return;
    str_printf(s, "\n## Learning\n\n```c\n#include \"%s.h\"\n\n", id);
    put_learned(c, s, &p->in, "in_");
    put_learned(c, s, &p->target, "target_");
    str_printf(s, "static %s_weights ram;\nstatic %s grad[%s_WEIGHTS], moments[%s_MOMENTS];\nstatic unsigned char room[%s_PREPARE_WORK];\n", id, c->real, up, up, up);
    Str sizes = str_make(c->a);
    for (uint32_t k = 1; k < c->grad.m->naxis; k++)
        if (c->grad.m->axis[k].kind == AXIS_TIME) str_printf(&sizes, "%d, ", STEPS);
    if (c->window) str_printf(s, "static %s_learner stream;\n", id);
    else str_printf(s, "static unsigned char work[%s_TRAIN_WORK(%s1)];\n", up, sizes.n ? sizes.at : "");
    if (update_gradients(c) > 1) str_printf(s, "static %s_gathered gathered;\n", id);
    if (plateau) str_printf(s, "static %s_plateau plateau;\n", id);
    str_printf(s, "\n%s learn(%s)\n{\n    %s loss = 0;\n%s", c->real, c->o->blob ? "const void *blob, size_t bytes" : "void", c->real,
               update_gradients(c) > 1 ? "    long t = 0; /* updates */\n" : "");
    put_begin(c, s);
    str_put(s, "    for (long k = 0; k < 100; k++) {\n");
    put_update(c, s);
    str_printf(s, "    }\n%s    %s_prepare(&ram, room); /* for step and predict%s */\n    return loss;\n}\n```\n",
               plateau ? arena_printf(c->a, "    %s_watch(&plateau, %sloss);\n", id, c->m->f64 ? "" : "(double)") : "", id,
               c->stream ? arena_printf(c->a, ": %s_use(&s, &ram)", id) : "");
}

/* How the files become a part of a program: commands as they are typed in the folder of this page. */
static void put_compiling(CModel *c, Str *s) {
    const char *id = c->id, *up = c->upper, *blob = c->o->blob ? arena_printf(c->a, " %s.blob", id) : "";
    if (c->o->kind) return;
    str_put(s, "## Compile\n\n");
    if (c->o->layout == EMIT_ARDUINO) {
        str_printf(s, "This folder goes into `libraries` of the sketchbook; the IDE then has `%s` among its examples.\n\n", id);
        return;
    }
    if (c->o->layout == EMIT_SINGLE)
        str_printf(s, "One source of the program has `#define %s_IMPLEMENTATION` in front of `#include \"%s.h\"`, the others include it alone.\n\n", up,
                   id);
    str_put(s, c->o->layout == EMIT_SINGLE && !c->t.n ? "" : "```sh\n");
    if (c->o->layout == EMIT_CMAKE)
        str_printf(s, "cmake -B build -DCMAKE_BUILD_TYPE=Release\ncmake --build build\n%s", c->t.n ? "ctest --test-dir build\n" : "");
    else {
        bool single = c->o->layout == EMIT_SINGLE;
        if (!single) str_printf(s, "cc -O2 -march=native -c %s.c\n", id);
        const char *object = single ? "" : arena_printf(c->a, "%s.o ", id);
        if (c->t.n) str_printf(s, "cc -O2 -march=native %s_test.c %s-o %s_test -lm\n./%s_test%s # prints PASS\n", id, object, id, id, blob);
    }
    str_put(s, c->o->layout == EMIT_SINGLE && !c->t.n ? "" : "```\n\n");
    str_printf(s, "The program is linked with%s `-lm`. `-march=native` stands for the option of the processor that it is for%s.%s\n\n",
               c->o->freestanding ? "out" : "", c->o->simd ? "" : arena_printf(c->a, ", which chooses the width of vectors; `-D%s_SIMD=1` asks for none", up),
               c->o->train || !c->stream ? "" : arena_printf(c->a, " With `-D%s_STEP_ONLY`, for the header too, there is no code for whole sequences.", up));
}

const char *emit_readme(CModel *c) {
    Str s = str_make(c->a);
    const char *how = "in C99";
    if (c->o->kind) {
        const char *target = c->o->target ? c->o->target : "", *cpu = c->o->cpu ? c->o->cpu : "";
        how = arena_printf(c->a, "as `%s`%s%s%s%s", emit_source_name(c), *target || *cpu ? ", for " : "", target, *target && *cpu ? ", " : "", cpu);
    }
    str_printf(&s,
               "# %s\n\nA recurrent network %s: %s. No allocation, nothing global but constants, any number of streams at a time. "
               "Written by Rondo %s; these files belong to you.\n\n",
               c->id, how, c->m->f64 ? "numbers are double" : "numbers are float", RONDO_VERSION);
    put_sizes(c, &s);
    put_example(c, &s);
    put_learning(c, &s);
    str_putc(&s, '\n');
    put_compiling(c, &s);
    put_functions(c, &s);
    str_printf(&s,
               "Bits are the same with every compiler that fuses multiplications and additions (`-mfma`, `-march=native`, Cortex-M with an "
               "FPU) and whatever %s_SIMD is; elsewhere they differ by rounding.\n",
               c->upper);
    return s.at;
}
