/* profile: where the time of a call goes. The entry "run" is cut at its barriers: one thread enters them too, and a clock in place
   of the barrier tells the stages apart. What a stage does is counted in the loop program: float operations of all lanes (a
   multiply-add is two) and the memory that it touches. Its roof is the longer of operations / multiply-add peak and memory / the
   rate of copying as much. */
#include "cli/cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 3, CALL_DEPTH = 8 };
#define SMALL 0.002 /* part of a call below which a stage has no line of its own */

typedef struct {
    double barriers; /* executed inside, beside the one at its end */
    double flops, touched, seconds;
    const char *names; /* of values that it writes */
    double *moved; /* bytes loaded and stored, by buffer */
} Section;

typedef struct {
    const LProgram *p;
    const int64_t *dim;
    Arena *a;
    const bool **narrow; /* by function and value: it is made with half of the lanes */
    Section *section;
    uint32_t n;
    /* the clock */
    double last;
    uint64_t event, events;
    double *at; /* by event of one call */
} Profile;

/* ---- what the program does ---------------------------------------------------------------------------------------------- */

static uint32_t end_of(const LFunc *f, uint32_t pc) {
    int depth = 0;
    for (;; pc++) {
        uint16_t op = f->inst.at[pc].op;
        depth += op == LOP_FOR || op == LOP_IF;
        if (op == LOP_END && --depth == 0) return pc;
    }
}

static int64_t int_value(const Profile *f, const LInst *i, const int64_t *v) {
    int64_t a = v[i->a[0]], b = v[i->a[1]];
    switch ((int)i->op) {
    case LOP_ICONST: return i->imm;
    case LOP_DIM: return i->imm == LDIM_NT ? 1 : f->dim[i->imm];
    case LOP_NT: return 1;
    case LOP_IADD: return a + b;
    case LOP_ISUB: return a - b;
    case LOP_IMUL: return a * b;
    case LOP_IDIV: return b > 0 ? a / b : 0;
    case LOP_IMIN: return a < b ? a : b;
    case LOP_IMAX: return a < b ? b : a;
    default: return 0; /* TID; a length that is read: as none */
    }
}

static double size_of(const Profile *f, uint32_t buf) {
    return f->p->buf.at[buf].elem == LE_F && f->p->f64 ? 8 : 4;
}

static void count(Profile *f, Section *s, uint32_t number, uint32_t from, uint32_t to, int64_t *v, const uint32_t *given, double times,
                  int depth);

static void count_call(Profile *f, Section *s, const LFunc *fn, const LInst *i, const int64_t *v, const uint32_t *given, double times, int depth) {
    const LFunc *callee = f->p->fn.at[i->imm];
    int64_t *inner = NEW_N(f->a, int64_t, callee->type.n + 1);
    uint32_t *buf = NEW_N(f->a, uint32_t, callee->param.n + 1), *ext = fn->ext.at + i->ext + 1;
    for (uint32_t k = 0; k < callee->param.n; k++, ext += 2) {
        if (callee->param.at[k].pointer) buf[k] = ext[0] & LBUF_PARAM ? given[ext[0] & ~LBUF_PARAM] : ext[0];
        else inner[callee->param.at[k].value] = v[ext[0]];
    }
    if (depth < CALL_DEPTH) count(f, s, (uint32_t)i->imm, 0, callee->inst.n, inner, buf, times, depth + 1);
}

/* The first and the last round of a loop count as they are, those between as the middle one: the edges of what is cut into tiles differ,
   other bounds that depend on the round are mostly linear in it. */
static void count_loop(Profile *f, Section *s, uint32_t number, uint32_t from, uint32_t to, int64_t *v, const uint32_t *given, double times,
                       int depth) {
    const LFunc *fn = f->p->fn.at[number];
    const LInst *i = &fn->inst.at[from];
    const uint32_t *ext = fn->ext.at + i->ext;
    int64_t lo = v[i->a[0]], hi = v[i->a[1]], rounds = lo < hi ? (hi - lo + i->imm - 1) / i->imm : 0;
    const int64_t round[3] = {0, rounds / 2, rounds - 1}, often[3] = {rounds > 0, rounds > 2 ? rounds - 2 : 0, rounds > 1};
    for (int k = 0; k < 3; k++) {
        v[i->dst] = lo + round[k] * i->imm;
        for (uint32_t c = 0; c < ext[0]; c++) v[ext[3 * c + 2]] = v[ext[3 * c + 3]] = v[ext[3 * c + 1]];
        if (often[k]) count(f, s, number, from + 1, to, v, given, times * (double)often[k], depth);
    }
}

static void count(Profile *f, Section *s, uint32_t number, uint32_t from, uint32_t to, int64_t *v, const uint32_t *given, double times,
                  int depth) {
    const LFunc *fn = f->p->fn.at[number];
    for (uint32_t pc = from; pc < to; pc++) {
        const LInst *i = &fn->inst.at[pc];
        if (i->op == LOP_FOR || i->op == LOP_IF) {
            uint32_t end = end_of(fn, pc);
            if (i->op == LOP_FOR) count_loop(f, s, number, pc, end, v, given, times, depth);
            else if (v[i->a[0]] < v[i->a[1]]) count(f, s, number, pc + 1, end, v, given, times, depth);
            pc = end;
        } else if (i->op == LOP_CALL) {
            count_call(f, s, fn, i, v, given, times, depth);
        } else if (i->op == LOP_BARRIER) {
            s->barriers += times;
        } else if (i->op >= LOP_LD && i->op <= LOP_STV1 && i->op != LOP_PREFETCH) {
            uint32_t buf = i->buf & LBUF_PARAM ? given[i->buf & ~LBUF_PARAM] : i->buf;
            bool one = i->op == LOP_LDB || i->op == LOP_LDI || i->op == LOP_LDVB || i->op == LOP_ST1 || i->op == LOP_STV1;
            s->moved[buf] += times * (one ? 1 : f->p->V) * size_of(f, buf);
            if (i->op >= LOP_ST && i->op <= LOP_STV1 && f->p->buf.at[buf].role != LB_LOCAL) {
                const char *name = name_str(f->p->ctx, f->p->buf.at[buf].name);
                uint32_t have = 0;
                for (const char *c = s->names; *c; c++) have += *c == ' ';
                if (!strstr(s->names, name) && have < NAMES) s->names = arena_printf(f->a, "%s%s%s", s->names, *s->names ? " " : "", name);
            }
        } else {
            char result = lop_info[i->op].result;
            if (result == 'i' && i->dst) v[i->dst] = int_value(f, i, v);
            else if (result == 'f' && i->op != LOP_FCONST) s->flops += times * f->p->V / (f->narrow[number][i->dst] ? 2 : 1) * (i->op == LOP_FMA ? 2 : 1);
        }
    }
}

/* At most what there is of a buffer: what is read again is near by then, or the stage should have been cut otherwise. */
static void touched_bytes(Profile *f, Section *s) {
    for (uint32_t k = 0; k < f->p->buf.n; k++) {
        const LBuf *b = &f->p->buf.at[k];
        double all = b->role == LB_LOCAL ? 0 : (double)lextent_eval(&b->extent, f->dim) * size_of(f, k);
        s->touched += s->moved[k] < all ? s->moved[k] : all;
    }
}

static void cut_run(Profile *f, uint32_t number) {
    const LFunc *run = f->p->fn.at[number];
    int64_t *v = NEW_N(f->a, int64_t, run->type.n + 1);
    f->section = NEW_N(f->a, Section, run->inst.n + 1);
    int depth = 0;
    uint32_t from = 0;
    for (uint32_t pc = 0; pc <= run->inst.n; pc++) {
        uint16_t op = pc < run->inst.n ? run->inst.at[pc].op : LOP_BARRIER;
        depth += (op == LOP_FOR || op == LOP_IF) - (op == LOP_END);
        if (op != LOP_BARRIER || depth) continue;
        Section *s = &f->section[f->n++];
        *s = (Section){.names = "", .moved = NEW_N(f->a, double, f->p->buf.n + 1)};
        count(f, s, number, from, pc, v, NULL, 1, 0);
        touched_bytes(f, s);
        f->events += (uint64_t)s->barriers + 1;
        from = pc + 1;
    }
}

/* ---- the clock ---------------------------------------------------------------------------------------------------------- */

static void at_barrier(void *arg) {
    Profile *f = arg;
    double now = cli_now();
    if (f->event < f->events) f->at[f->event] = now - f->last;
    f->event++;
    f->last = cli_now();
}

static bool time_sections(Profile *f, Exec *e, const void *theta, void *grad, double seconds) {
    double end = cli_now() + seconds;
    f->at = NEW_N(f->a, double, f->events + 1);
    for (uint32_t k = 0; k < f->n; k++) f->section[k].seconds = 1e30;
    exec_watch(e, at_barrier, f);
    bool ok = true;
    for (int n = 0; ok && (n < 3 || cli_now() < end); n++) {
        f->event = 0;
        f->last = cli_now();
        ok = exec_run_again(e, theta, 1, grad, 1, 0, NULL);
        at_barrier(f); /* the end of the last */
        uint64_t at = 0;
        for (uint32_t k = 0; ok && f->event == f->events && k < f->n; k++) {
            double sum = 0;
            for (uint64_t own = (uint64_t)f->section[k].barriers + 1; own > 0; own--) sum += f->at[at++];
            if (sum < f->section[k].seconds) f->section[k].seconds = sum;
        }
    }
    exec_watch(e, NULL, NULL);
    return ok && f->event == f->events;
}

static double copy_rate(double bytes) { /* bytes a second, read and written */
    size_t n = bytes < 65536 ? 32768 : bytes > 256e6 ? (size_t)128e6 : (size_t)(bytes / 2);
    char *from = malloc(n), *to = malloc(n);
    double best = 0;
    if (from && to) {
        memset(from, 1, n);
        memset(to, 2, n);
        for (double end = cli_now() + 0.01; cli_now() < end;) {
            double t = cli_now();
            for (size_t k = 0; k < 1 + 1000000 / n; k++) memcpy(k & 1 ? from : to, k & 1 ? to : from, n);
            t = (cli_now() - t) / (double)(1 + 1000000 / n);
            if (2.0 * (double)n / t > best) best = 2.0 * (double)n / t;
        }
    }
    free(from);
    free(to);
    return best;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

static void put_section(Str *s, const Section *x, uint32_t number, double all, double peak, bool json) {
    double work = peak > 0 ? x->flops / peak : 0, move = x->touched / copy_rate(x->touched), roof = work > move ? work : move;
    const char *bound = work > move ? "arithmetic" : "memory";
    if (json) {
        str_printf(s, "%s{\"stage\": %u, \"writes\": ", s->at[s->n - 1] == '[' ? "" : ", ", number);
        put_json_string(s, x->names);
        str_printf(s, ", \"ms\": %.6g, \"share\": %.4f, \"flops\": %.0f, \"bytes\": %.0f, \"bound\": \"%s\", \"roof_ms\": %.6g, \"of_roof\": %.4f}",
                   x->seconds * 1e3, x->seconds / all, x->flops, x->touched, bound, roof * 1e3, roof / x->seconds);
        return;
    }
    str_printf(s, "  %5u  %9.4f  %5.1f %%  %9.4f  %9.3f  %8.3f  %4.0f %% of %-10s  %s\n", number, x->seconds * 1e3, 100 * x->seconds / all,
               x->flops * 1e-9, x->touched / 1048576, roof * 1e3, 100 * roof / x->seconds, bound, x->names);
}

bool put_profile(Ctx *ctx, Str *s, Exec *e, const void *theta, void *grad, double peak, double seconds, bool json) {
    Arena a = arena_make(ctx);
    Profile f = {.p = exec_program(e), .dim = exec_dim(e), .a = &a};
    uint32_t run = 0;
    f.narrow = NEW_N(&a, const bool *, f.p->fn.n + 1);
    for (uint32_t k = 0; k < f.p->fn.n; k++) {
        f.narrow[k] = lfunc_narrow(&a, f.p->fn.at[k], f.p->V);
        if (f.p->fn.at[k]->kind == LFUNC_ENTRY && !strcmp(name_str(ctx, f.p->fn.at[k]->name), "run")) run = k;
    }
    cut_run(&f, run);
    bool ok = time_sections(&f, e, theta, grad, seconds);
    double all = 0;
    for (uint32_t k = 0; k < f.n; k++) all += f.section[k].seconds;
    if (ok && json) str_put(s, ", \"stages\": [");
    else if (ok) str_put(s, "  stage         ms     time      Gflop        MiB   roof ms                      writes\n");
    double rest = 0;
    for (uint32_t k = 0; ok && k < f.n; k++) {
        const Section *x = &f.section[k];
        bool own = json ? x->flops > 0 || x->touched > 0 : x->seconds >= SMALL * all;
        if (own) put_section(s, x, k + 1, all, peak, json);
        else if (!json) rest += x->seconds;
    }
    if (rest > 0) str_printf(s, "   rest  %9.4f  %5.1f %%\n", rest * 1e3, 100 * rest / all);
    if (ok && json) str_put(s, "]");
    if (!ok) diag_error(ctx, 999, (Span){0, 0}, "the stages of '%s' were not met as counted", name_str(ctx, f.p->name));
    arena_free(&a);
    return ok;
}
