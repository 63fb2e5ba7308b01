/* emit_rules: what the train block says of every update, in C as train.c and schedule.c do it: limits of the gradient, the learning rate
   over time. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/emit_c.h"
#include "runtime/train.h"

int64_t update_gradients(const CModel *c) {
    double n = train_number(c->m, "accumulate");
    return n > 1 ? (int64_t)n : 1;
}

bool emit_rules(CModel *c, Schedule *s) {
    Monitor w;
    schedule_make(s, c->m);
    return monitor_make(&w, c->m);
}

static double limit(const CModel *c, const char *key) {
    double v = train_number(c->m, key);
    return v > 0 ? v : 0;
}

/* Two digits of an integer's root a round, then rounded to nearest. */
static const char root_text[] =
    "static double $_root(double a)\n{\n    union {\n        double f;\n        uint64_t i;\n    } x;\n    uint64_t m, r = 0, bit, rest = 0;\n    int e, k;\n"
    "    x.f = a;\n    e = (int)(x.i >> 52);\n    if (e < 1 || e > 2046) return 0;\n    m = (x.i & 0xfffffffffffffu) | (uint64_t)1 << 52;\n    e -= 1023;\n"
    "    m <<= e & 1 ? 11 : 10;\n    e = (e - (e & 1)) / 2;\n    for (k = 0; k < 54; k++) {\n        rest = rest << 2 | m >> 62;\n        m <<= 2;\n"
    "        bit = r << 2 | 1;\n        r <<= 1;\n        if (rest >= bit) {\n            rest -= bit;\n            r |= 1;\n        }\n    }\n"
    "    r = (r + 1) >> 1;\n    x.i = ((uint64_t)(e + 1022) << 52) + r;\n    return x.f;\n}\n";

/* $ is the model's name. */
static void put_text(CModel *c, const char *text) {
    for (const char *s = text; *s; s++) {
        if (*s == '$') str_put(&c->c, c->id);
        else str_putc(&c->c, *s);
    }
}

void emit_root(CModel *c) {
    if (!c->o->freestanding || !limit(c, "clip_norm")) return;
    str_put(&c->c, "\n/* the square root, to the last bit */\n");
    put_text(c, root_text);
}

/* As gradient_clip: over what trains, after the limit of each entry, which must not make a number of what is none. */
void emit_clip_norm(CModel *c, uint32_t segments) {
    double most = limit(c, "clip_norm"), value = limit(c, "clip_value");
    if (!most) return;
    const char *wide = c->m->f64 ? "" : "(double)", *end = c_number(c, c->m->f64 ? DBL_MAX : (double)FLT_MAX), *v = c_number(c, value);
    str_printf(&c->c,
               "    for (j = 0; j < %u; j++)\n        for (k = 0; k < %s_segment[j].n; k++) {\n            %s%s part = grad[%s_segment[j].first + k];\n"
               "            double square;\n",
               segments, c->id, value ? "" : "const ", c->real, c->id);
    if (value)
        str_printf(&c->c,
                   "            if (!(part >= -%s && part <= %s)) return;\n            if (part > %s) part = %s;\n            if (part < -%s) part = -%s;\n",
                   end, end, v, v, v, v);
    str_printf(&c->c, "            square = %spart * %spart;\n            sum[k %% %d] += square;\n        }\n", wide, wide, NORM_LANES);
    for (int h = NORM_LANES / 2; h > 0; h /= 2) str_printf(&c->c, "    for (k = 0; k < %d; k++) sum[k] += sum[k + %d];\n", h, h);
    str_put(&c->c, "    norm = sum[0];\n");
    str_printf(&c->c, "    if (!(norm <= 1.7976931348623157e308)) return;\n    norm = %s(norm);\n    if (norm > %s) shrink = %s(%s / norm);\n",
               c->o->freestanding ? arena_printf(c->a, "%s_root", c->id) : "sqrt", c_double(c, most), c->m->f64 ? "" : "(float)", c_double(c, most));
}

void emit_clip_locals(CModel *c) {
    if (limit(c, "clip_norm")) str_printf(&c->c, "    double norm, sum[%d] = {0};\n    %s shrink = 1;\n", NORM_LANES, c->real);
}

const char *emit_clip_about(CModel *c) {
    double value = limit(c, "clip_value"), norm = limit(c, "clip_norm");
    if (!norm && !value) return "";
    Str s = str_make(c->a);
    str_put(&s, " The gradient is clipped first:");
    if (value) str_printf(&s, " no entry beyond %g%s", value, norm ? "," : ".");
    if (norm) str_printf(&s, " no norm above %g; where it is not finite nothing changes.", norm);
    return s.at;
}

void emit_clip(CModel *c) {
    double value = limit(c, "clip_value");
    if (value) {
        const char *most = c_number(c, value);
        str_printf(&c->c, "        if (g[k] > %s) g[k] = %s;\n        if (g[k] < -%s) g[k] = -%s;\n", most, most, most, most);
    }
    if (limit(c, "clip_norm")) str_put(&c->c, "        g[k] *= shrink;\n");
}

/* ---- the learning rate over time ---------------------------------------------------------------------------------------- */

bool schedule_varies(const Schedule *s) { return s->kind != SCHEDULE_CONSTANT || s->warmup > 0; }

/* As in schedule.c, with the same bits wherever it runs. */
static const char *const own_text[] = {
    [SCHEDULE_COSINE] = "\n/* cos(part * pi / 2)^2, from 1 at part 0 to 0 at 1 */\nstatic double $_cosine(double part)\n{\n"
                        "    const double z = part * part * 2.4674011002723395; /* (pi/2)^2 */\n    double sum = 1;\n    int k;\n"
                        "    for (k = 22; k > 0; k -= 2) sum = 1 - z * sum / (k * (k - 1));\n    return sum * sum;\n}\n",
    [SCHEDULE_STEP] = "\n/* factor to the whole part of n */\nstatic double $_power(double factor, double n)\n{\n    double all = 1;\n"
                      "    long left = n < 1e9 ? (long)n : 1000000000;\n    for (; left > 0; left /= 2) {\n        if (left % 2) all *= factor;\n"
                      "        factor *= factor;\n    }\n    return all;\n}\n",
    [SCHEDULE_EXPONENTIAL] = "\n/* e^x */\nstatic double $_grow(double x)\n{\n    double sum = 1;\n    long n;\n    int k;\n    if (x < -700) return 0;\n"
                             "    if (x > 700) x = 700;\n    n = (long)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));\n"
                             "    x -= (double)n * 0.6931471805599453;\n    for (k = 18; k > 0; k--) sum = 1 + x * sum / k;\n"
                             "    for (; n > 0; n--) sum *= 2;\n    for (; n < 0; n++) sum *= 0.5;\n    return sum;\n}\n",
    [SCHEDULE_PLATEAU] = NULL,
};

/* `past`: epochs since the warm-up; `part` of what there is of them in all. */
static const char *factor_text(CModel *c, const Schedule *s) {
    switch (s->kind) {
    case SCHEDULE_LINEAR: return arena_printf(c->a, "1 + %s * part", c_double(c, s->factor - 1));
    case SCHEDULE_COSINE: return arena_printf(c->a, "%s + %s * %s_cosine(part)", c_double(c, s->factor), c_double(c, 1 - s->factor), c->id);
    case SCHEDULE_STEP: return arena_printf(c->a, "%s_power(%s, past / %s)", c->id, c_double(c, s->factor), c_double(c, s->every));
    case SCHEDULE_EXPONENTIAL: return arena_printf(c->a, "past > 0 ? %s_grow(past * %s) : 1", c->id, c_double(c, schedule_rate(s)));
    case SCHEDULE_CONSTANT:
    case SCHEDULE_PLATEAU: break;
    }
    return "1";
}

/* `epoch`: when the update is; `one`: how much of an epoch it is. */
static void put_time(CModel *c, const char *more) {
    int64_t n = update_gradients(c);
    if (n < 2) {
        str_printf(&c->c,
                   "\n/* The learning rate's factor, by the model's schedule. */\nstatic double %s_factor(long t, long updates%s)\n{\n"
                   "    const double one = 1 / (double)updates, epoch = (double)(t / updates) + (double)(t %% updates) / (double)updates;\n",
                   c->id, more);
        return;
    }
    str_printf(&c->c,
               "\n/* The learning rate's factor, by the model's schedule. */\nstatic double %s_factor(long t, long gradients%s)\n{\n"
               "    const long updates = (gradients + %lld) / %lld, first = t %% updates * %lld;\n"
               "    const double one = (double)(gradients - first < %lld ? gradients - first : %lld) / (double)gradients;\n"
               "    const double epoch = (double)(t / updates) + (double)first / (double)gradients;\n",
               c->id, more, (long long)(n - 1), (long long)n, (long long)n, (long long)n, (long long)n);
}

static void put_warmup(CModel *c, const Schedule *s) {
    const char *end = c_double(c, s->warmup);
    if (s->warmup > 0) str_printf(&c->c, "    if (epoch + one < %s) return (epoch + one) / %s;\n", end, end);
    else str_put(&c->c, "    (void)one;\n");
}

/* schedule_epoch; the factor is a product of equal ones, so that how many they are says all. */
static void put_plateau(CModel *c, const Schedule *s) {
    Monitor w;
    const Setting *named = train_setting(c->m, "monitor");
    (void)monitor_make(&w, c->m);
    double delta = fmax(0, train_number(c->m, "min_delta"));
    str_printf(&c->h,
               "\n/* What the schedule has seen of the training; all 0 before it. */\ntypedef struct {\n    double best;\n    int32_t seen, waited, drops;\n} %s_plateau;\n",
               c->id);
    c_function(c,
               arena_printf(c->a, "After each epoch. value: `%s`, of what validates where there is such. Once it has become no better for %g epochs the learning rate falls.",
                            named ? name_str(c->ctx, named->name) : "loss", s->every),
               arena_printf(c->a, "void %s_watch(%s_plateau *p, double value)", c->id, c->id));
    str_printf(&c->c,
               "    const double v = %svalue;\n    if (!p->seen || v < p->best - %s) {\n        p->best = v;\n        p->seen = v < 0 || v >= 0;\n        p->waited = 0;\n"
               "    } else if (++p->waited >= %s) {\n        p->drops++;\n        p->waited = 0;\n    }\n}\n",
               w.sign < 0 ? "-" : "", c_double(c, delta), c_double(c, s->every));
    const char *plateau = arena_printf(c->a, "const %s_plateau *p", c->id);
    if (s->warmup > 0) put_time(c, arena_printf(c->a, ", %s", plateau));
    else str_printf(&c->c, "\n/* The learning rate's factor, by the model's schedule. */\nstatic double %s_factor(%s)\n{\n", c->id, plateau);
    str_put(&c->c, "    double factor = 1;\n    int32_t k;\n");
    if (s->warmup > 0) put_warmup(c, s);
    str_printf(&c->c, "    for (k = 0; k < p->drops; k++) factor *= %s;\n    return factor;\n}\n", c_double(c, s->factor));
}

const char *schedule_argument(CModel *c, const Schedule *s, bool type) {
    if (!schedule_varies(s)) return "";
    bool plateau = s->kind == SCHEDULE_PLATEAU, time = !plateau || s->warmup > 0;
    const char *name = update_gradients(c) > 1 ? "gradients" : "updates", *sep = time && plateau ? ", " : "", *last = plateau ? "plateau" : "";
    if (!type) return arena_printf(c->a, "%s%s%s%s", time ? "t, " : "", time ? name : "", sep, last);
    return arena_printf(c->a, "%s%s%s", time ? ", long " : "", time ? name : "", plateau ? arena_printf(c->a, ", const %s_plateau *plateau", c->id) : "");
}

const char *schedule_about(CModel *c, const Schedule *s) {
    if (!schedule_varies(s)) return "";
    if (s->kind == SCHEDULE_PLATEAU && !(s->warmup > 0)) return arena_printf(c->a, " plateau: what %s_watch has seen.", c->id);
    return update_gradients(c) > 1 ? " gradients: in an epoch, of which several make an update; the model's schedule counts in epochs."
                             : " updates: in an epoch; the model's schedule counts in epochs.";
}

void emit_schedule(CModel *c, const Schedule *s) {
    if (!schedule_varies(s)) return;
    if (s->kind == SCHEDULE_PLATEAU) {
        put_plateau(c, s);
        return;
    }
    bool parts = s->kind == SCHEDULE_LINEAR || s->kind == SCHEDULE_COSINE, past = parts || s->kind == SCHEDULE_EXPONENTIAL || s->kind == SCHEDULE_STEP;
    double span = s->total - s->warmup;
    if (own_text[s->kind]) put_text(c, own_text[s->kind]);
    put_time(c, "");
    if (past) str_printf(&c->c, "    const double since = epoch - %s, past = since > 0 ? since : 0;\n", c_double(c, s->warmup));
    if (parts && span > 0) str_printf(&c->c, "    const double part = past < %s ? past / %s : 1;\n", c_double(c, span), c_double(c, span));
    else if (parts) str_put(&c->c, "    const double part = 1;\n    (void)past;\n");
    put_warmup(c, s);
    str_printf(&c->c, "    return %s;\n}\n", factor_text(c, s));
}
