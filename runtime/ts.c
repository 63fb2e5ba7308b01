/* ts: time series for classification in the .ts form of the UCR/UEA archive (timeseriesclassification.com, file format):
     # comments, then @problemName, @classLabel true A B, .. and @data
     1.0,2.0,3.0 : 4.0,5.0,6.0 : A        a line an example: dimensions apart by colons, then its class
   and in the archive's older plain form, one series a line: its class, then the values, with blanks, tabs or commas between. */
#include <math.h>
#include <string.h>

#include "runtime/records.h"

typedef struct {
    Records *r;
    Store *x, *y;
    const char *begin, *at, *end; /* the line */
    bool labels, targets, data;   /* @classLabel true, @targetLabel true; past @data */
    VEC(double) value;            /* [dimension, step] of the line */
    int64_t dims, steps;
} Ts;

static int64_t column(const Ts *t) { return t->at - t->begin + 1; }

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static void skip(Ts *t) {
    while (t->at < t->end && blank(*t->at)) t->at++;
}

static bool number(Ts *t, double *v) {
    char *end;
    *v = decimal_number(t->at, &end); /* the text ends in NUL, and a number holds no line feed */
    if (end == t->at || end > t->end)
        return records_bad(t->r, 612, column(t),
                           *t->at == '?' ? "a missing value; fill it in before" : "a number is needed here");
    if (!isfinite(*v)) return records_bad(t->r, 612, column(t), "a value that is not finite; fill it in before");
    t->at = end;
    return true;
}

/* ---- the head ----------------------------------------------------------------------------------------------------------- */

static bool is_word(const Ts *t, const char *word, size_t n) {
    if (strlen(word) != n) return false;
    for (size_t i = 0; i < n; i++)
        if ((t->at[i] | 32) != (word[i] | 32)) return false;
    return true;
}

static size_t word(Ts *t) {
    skip(t);
    size_t n = 0;
    while (t->at + n < t->end && !blank(t->at[n])) n++;
    return n;
}

static bool class_names(Ts *t) {
    VEC(const char *) name = {0};
    size_t n = word(t);
    t->labels = is_word(t, "true", n);
    if (!t->labels && !is_word(t, "false", n)) return records_bad(t->r, 621, column(t), "@classLabel is true or false");
    for (t->at += n; (n = word(t)); t->at += n) VEC_PUSH(t->r->a, name) = arena_strndup(t->r->a, t->at, n);
    if (t->labels && !name.n)
        return records_bad(t->r, 621, column(t), "@classLabel true is followed by the names of the classes");
    t->r->declared = name.at;
    t->r->ndeclared = name.n;
    return true;
}

static bool head_line(Ts *t) {
    size_t n = word(t);
    bool stamps = is_word(t, "@timeStamps", n), label = is_word(t, "@classLabel", n), target = is_word(t, "@targetLabel", n);
    if (is_word(t, "@data", n)) {
        t->data = true;
        return true;
    }
    if (*t->at != '@') return records_bad(t->r, 621, column(t), "@data is needed before the examples");
    t->at += n;
    if (label) return class_names(t);
    n = word(t);
    if (stamps && is_word(t, "true", n)) return records_bad(t->r, 621, column(t), "series with time stamps are not read");
    if (target) t->targets = is_word(t, "true", n);
    return true; /* the other lines say what the data say themselves */
}

/* ---- examples ----------------------------------------------------------------------------------------------------------- */

static bool dimension(Ts *t) {
    int64_t n = 0, begin = column(t);
    for (;; n++) {
        double v;
        skip(t);
        if (!number(t, &v)) return false;
        VEC_PUSH(t->r->a, t->value) = v;
        skip(t);
        if (t->at >= t->end || *t->at != ',') break;
        t->at++;
    }
    n++;
    if (t->dims && n != t->steps)
        return records_bad(t->r, 621, begin, "dimension %lld has %lld steps where the first has %lld", (long long)t->dims + 1,
                           (long long)n, (long long)t->steps);
    t->steps = n;
    t->dims++;
    return true;
}

static bool keep(Ts *t) {
    if (t->dims != t->x->per) {
        const char *name = name_str(t->r->m->ctx, t->x->port->name);
        records_bad(t->r, 613, 1, "this example has %lld dimension%s where the input '%s' has %lld", (long long)t->dims, t->dims == 1 ? "" : "s", name,
                    (long long)t->x->per);
        diag_help(t->r->m->ctx, NOWHERE, "`input %s: seq [%lld]` takes such examples", name, (long long)t->dims);
        return false;
    }
    for (int64_t k = 0; k < t->steps; k++)
        for (int64_t d = 0; d < t->dims; d++) record_number(t->r, t->x, t->value.at[d * t->steps + k]);
    return record_steps(t->r, t->x, t->steps);
}

static bool example(Ts *t) {
    bool label = t->labels || t->targets;
    t->value.n = 0;
    t->dims = t->steps = 0;
    for (;;) {
        skip(t);
        const char *rest = memchr(t->at, ':', (size_t)(t->end - t->at));
        if (label && t->dims && !rest) break; /* the class */
        if (t->at >= t->end) return records_bad(t->r, 621, column(t), "this line ends before its example does");
        if (!dimension(t)) return false;
        skip(t);
        if (t->at >= t->end && !label) break;
        if (t->at >= t->end) return records_bad(t->r, 621, column(t), "the class is missing: it stands after the last colon");
        if (*t->at != ':') return records_bad(t->r, 621, column(t), "a comma or a colon is needed here");
        t->at++;
    }
    records_add(t->r);
    if (!keep(t)) return false;
    size_t n = (size_t)(t->end - t->at);
    while (n && blank(t->at[n - 1])) n--;
    if (label && !n) return records_bad(t->r, 621, column(t), "the class is missing: it stands after the last colon");
    return !t->y || !label || record_value(t->r, t->y, t->at, n, column(t));
}

/* Class and values of one series. */
static bool plain_example(Ts *t) {
    double v;
    size_t n = 0;
    t->value.n = 0;
    while (t->at + n < t->end && !blank(t->at[n]) && t->at[n] != ',') n++;
    const char *label = t->at;
    int64_t at = column(t);
    if (!number(t, &v)) return false;
    if (t->at != label + n) return records_bad(t->r, 612, at, "a number is needed here");
    if (v == floor(v))
        label = arena_printf(t->r->a, "%.0f", v);
    else
        label = arena_strndup(t->r->a, label, n);
    for (;;) {
        while (t->at < t->end && (blank(*t->at) || *t->at == ',')) t->at++;
        if (t->at >= t->end) break;
        if (!number(t, &v)) return false;
        VEC_PUSH(t->r->a, t->value) = v;
    }
    t->dims = 1;
    t->steps = t->value.n;
    if (!t->steps) return records_bad(t->r, 621, column(t), "a class without a series");
    records_add(t->r);
    return keep(t) && (!t->y || record_value(t->r, t->y, label, strlen(label), at));
}

bool read_ts(Records *r, const char *path, const char *text, size_t n) {
    Ts t = {.r = r, .x = records_input(r), .y = records_target(r)};
    bool plain = true, begun = false;
    const char *p = text, *end = text + n;
    r->path = path;
    if (!t.x) return false;
    if (!t.x->port->seq || t.x->port->dtype != DT_F) {
        diag_error(r->m->ctx, 552, t.x->port->span, "series of numbers need an input `seq [N]`, N their dimensions");
        return false;
    }
    for (; p < end; p = t.end + 1) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        t.begin = t.at = p;
        t.end = stop ? stop : end;
        r->line++;
        skip(&t);
        if (t.at >= t.end || *t.at == '#') {
            plain = plain && !(t.at < t.end && !begun);
            continue;
        }
        if (!begun && *t.at == '@') plain = false;
        begun = true;
        if (!(plain ? plain_example(&t) : t.data ? example(&t) : head_line(&t))) return false;
    }
    if (plain || t.data) return true;
    return records_bad(r, 621, 0, "the file ends before @data");
}
