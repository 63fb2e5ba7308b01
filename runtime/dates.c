/* dates: how the column of dates goes on past its last row, in the form that it has: years or any whole numbers, 2008-03, 2008-03-31, 20080331,
   31.03.2008, 3/31/2008, 2008Q1, with the English name of the month (Mar 2008, 31-Mar-08, March 31, 2008), and a time of day behind them. */
#include <string.h>

#include "runtime/internal.h"

enum { NUMBERS = 6 }; /* year, month, day, hour, minute, second */

/* A date as it is written: numbers, and what stands behind each of them. */
typedef struct {
    int n, digits[NUMBERS];
    int64_t number[NUMBERS];
    const char *behind[NUMBERS];
    int gap[NUMBERS];    /* bytes of it */
    const char *name;    /* of the month, which is the number `named` then; NULL: none */
    int named, name_size;
} Written;

typedef struct {
    int year, month, day, time; /* which of the numbers; -1: none. time: the hour, minutes and seconds follow */
    bool compact, quarter;      /* 20080331; month: the quarter */
} Form;

typedef struct {
    int64_t months, day, seconds; /* since the year 0; of the month; of the day */
} Moment;

/* Days since 1970-01-01 of the proleptic Gregorian calendar, and back (H. Hinnant, chrono-compatible low-level date algorithms). */
static int64_t days_from(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void days_to(int64_t z, int64_t *y, int64_t *m, int64_t *d) {
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp + (mp < 10 ? 3 : -9);
    *y = yoe + era * 400 + (*m <= 2);
}

static int64_t month_days(int64_t month) {
    return days_from((month + 1) / 12, (month + 1) % 12 + 1, 1) - days_from(month / 12, month % 12 + 1, 1);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static const char *const month_names[] = {"January", "February", "March",     "April",   "May",      "June",
                                          "July",    "August",   "September", "October", "November", "December"};

/* The month that a word names, in full or by its first letters, from 1 on; 0: none. */
static int month_at(const char *s, int *size) {
    int n = 0;
    while (letter(s[n])) n++;
    *size = n;
    for (int m = 0; m < 12; m++) {
        const char *full = month_names[m];
        int same = 0;
        while (same < n && full[same] && (s[same] | 32) == (full[same] | 32)) same++;
        if (same == n && (n == 3 || !full[n] || (m == 8 && n == 4))) return m + 1;
    }
    return 0;
}

/* A number, or the first name of a month. */
static bool begins(const Written *w, const char *s) {
    int size;
    return digit(*s) || (!w->name && letter(*s) && month_at(s, &size));
}

static bool read_numbers(const char *s, Written *w) {
    *w = (Written){0};
    while (*s == ' ') s++;
    while (w->n < NUMBERS && begins(w, s)) {
        int k = w->n++;
        if (!digit(*s)) {
            w->named = k;
            w->name = s;
            w->number[k] = month_at(s, &w->name_size);
            s += w->name_size;
        }
        for (; digit(*s); s++, w->digits[k]++) {
            if (w->digits[k] == 17) return false;
            w->number[k] = w->number[k] * 10 + (*s - '0');
        }
        w->behind[k] = s;
        bool ends = w->n == NUMBERS || (w->n == 5 && *s != ':') ||
                    *s == '+'; /* fractions of seconds, and zones, are left as they are */
        while (ends ? *s : *s && !(begins(w, s) && (digit(*s) || !letter(s[-1])))) s++;
        w->gap[k] = (int)(s - w->behind[k]);
    }
    return w->n && !*s;
}

static bool gap_is(const Written *w, int k, const char *marks) { return w->gap[k] == 1 && strchr(marks, *w->behind[k]); }

static bool quarter_at(const Written *w, int k) {
    char last = w->gap[k] ? w->behind[k][w->gap[k] - 1] : 0;
    return w->digits[k] == 4 && (last == 'Q' || last == 'q') && w->gap[k] <= 2;
}

/* The same where the month has a name: 31 Mar 2008, March 31, 2008, 2008-Mar-31, Mar-08. */
static bool named_form(const Written *w, int date, Form *f) {
    f->month = w->named;
    if (date < 2 || f->month > 1) return false;
    if (date == 2) f->year = !w->named;
    if (date == 3) f->year = w->named == 1 && w->digits[0] == 4 ? 0 : 2;
    if (date == 3) f->day = 3 - f->year - f->month;
    for (int k = 0; k + 1 < date; k++)
        if (!w->gap[k] || w->gap[k] > 2 || (int)strspn(w->behind[k], "-/., ") < w->gap[k]) return false;
    return w->digits[f->year] == 4 || w->digits[f->year] == 2;
}

/* Which number is what. Where both the first and the second can be the day, `day_first` says. */
static bool find_form(const Written *w, bool day_first, Form *f) {
    int date = 1;
    *f = (Form){.year = 0, .month = -1, .day = -1, .time = -1};
    while (date < w->n && date < 3 && (w->name || gap_is(w, date - 1, "-/.") || quarter_at(w, date - 1))) date++;
    f->time = date < w->n ? date : -1;
    for (int k = date; k + 1 < w->n; k++)
        if (!gap_is(w, k, ":")) return false;
    bool space = f->time < 0 || gap_is(w, date - 1, "T t_");
    if (!space || (f->time < 0 && strspn(w->behind[w->n - 1], " ") != strlen(w->behind[w->n - 1])))
        return false;
    if (w->name) return named_form(w, date, f) && (f->time < 0 || date == 3);
    if (date == 1) {
        int64_t v = w->number[0];
        int64_t month = v / 10000 * 12 + v / 100 % 100 - 1;
        f->compact = w->digits[0] == 8 && v >= 10000000 && v / 100 % 100 >= 1 && v / 100 % 100 <= 12 && v % 100 >= 1 &&
                     v % 100 <= month_days(month);
        return f->time < 0 || f->compact;
    }
    f->quarter = date == 2 && quarter_at(w, 0);
    f->month = 1;
    if (date == 2) f->year = w->digits[0] == 4 ? 0 : 1;
    if (date == 2 && f->year) f->month = 0;
    if (date == 3 && w->digits[0] == 4) f->day = 2;
    if (date == 3 && w->digits[0] != 4) {
        day_first = day_first || *w->behind[0] == '.';
        f->year = 2;
        f->day = day_first ? 0 : 1;
        f->month = day_first ? 1 : 0;
    }
    return w->digits[f->year] == 4 && (date == 2 || *w->behind[0] == *w->behind[1]) && (f->time < 0 || date == 3);
}

static bool moment_of(const Written *w, const Form *f, Moment *t) {
    int64_t v = w->number[0], y = f->compact ? v / 10000 : w->number[f->year],
            m = f->compact ? v / 100 % 100 : w->number[f->month], d = 1;
    if (f->compact) d = v % 100;
    if (f->day >= 0) d = w->number[f->day];
    if (f->quarter) m = 3 * m - 2;
    if (w->name && w->digits[f->year] == 2) y += y < 69 ? 2000 : 1900;
    *t = (Moment){.months = y * 12 + m - 1, .day = d};
    for (int k = f->time, unit = 3600; f->time >= 0 && k < w->n; k++, unit /= 60) {
        if (w->number[k] >= (unit == 3600 ? 24 : 60)) return false;
        t->seconds += w->number[k] * unit;
    }
    return m >= 1 && m <= 12 && d >= 1 && d <= month_days(t->months);
}

static bool plain(const Form *f) { return f->month < 0 && !f->compact; }

static int64_t seconds_of(const Moment *t) {
    return days_from(t->months / 12, t->months % 12 + 1, t->day) * 86400 + t->seconds;
}

/* ---- the column --------------------------------------------------------------------------------------------------------- */

typedef struct {
    Form form;
    Written last;
    bool padded; /* 01.02.2008 */
    bool full;   /* March, not Mar */
    Moment at, before;
    int64_t shortest, longest; /* seconds between two rows */
    int64_t back;              /* the first row that stands before the one above it, by more than a clock is put back; -1: none */
    bool years;                /* plain numbers that all may be years: others, as hours of days, may begin anew */
} Dates;

static bool same_form(const Form *a, const Form *b) {
    return a->year == b->year && a->month == b->month && a->day == b->day && a->time == b->time && a->compact == b->compact &&
           a->quarter == b->quarter;
}

static bool is_year(const Written *w) { return w->digits[0] == 4 && w->number[0] >= 1000 && w->number[0] < 3000; }

static void take_step(Dates *d, int64_t i, int64_t step, int64_t allowed) {
    if (!i) return;
    if (d->back < 0 && step < -allowed) d->back = i;
    if (step < d->shortest) d->shortest = step;
    if (step > d->longest) d->longest = step;
}

/* All rows in one form; days or months first. */
static bool read_dates(const char *const *date, int64_t n, bool day_first, Dates *d) {
    *d = (Dates){.padded = true, .years = true, .shortest = INT64_MAX, .longest = INT64_MIN, .back = -1};
    for (int64_t i = 0; i < n; i++) {
        Written w;
        Form f;
        if (!read_numbers(date[i], &w) || !find_form(&w, day_first, &f)) return false;
        bool number = f.month < 0 && f.time < 0;
        if (i && number && f.compact != d->form.compact)
            f.compact = d->form.compact = false; /* eight digits that are not always a date */
        if (i && !same_form(&f, &d->form)) return false;
        if (i && (w.n != d->last.n || !w.name != !d->last.name || strcmp(w.behind[w.n - 1], d->last.behind[w.n - 1]))) return false;
        if (plain(&f)) take_step(d, i, w.number[0] - d->last.number[0], 0);
        d->years = d->years && plain(&f) && is_year(&w);
        d->form = f;
        d->last = w;
        d->before = d->at;
        if (plain(&f)) continue;
        if (!moment_of(&w, &f, &d->at)) return false;
        for (int k = 0; k < w.n; k++)
            if ((k == f.month || k == f.day) && w.digits[k] == 1 && !f.quarter) d->padded = false;
        if (w.name && w.name_size > 4) d->full = true;
        if (w.name && w.name_size == 4 && w.number[w.named] != 9) d->full = true;
        take_step(d, i, i ? seconds_of(&d->at) - seconds_of(&d->before) : 0, 3600);
    }
    return true;
}

/* By how much its rows are not equally far apart; 0: it has no steps, as a column of plain numbers. */
static int64_t spread(const Dates *d) { return d->longest > d->shortest ? d->longest - d->shortest : 0; }

/* 03/04/2008 is in March or in April: the column is read as that in which its rows are further apart by less. */
static bool read_column(const char *const *date, int64_t n, Dates *d, bool *unclear) {
    Dates other;
    bool day = read_dates(date, n, true, d), month = read_dates(date, n, false, &other);
    *unclear = day && month && d->form.day != other.form.day && spread(d) == spread(&other) &&
               (d->longest != other.longest || d->shortest != other.shortest);
    if (month && (!day || spread(&other) < spread(d))) *d = other;
    return (day || month) && !*unclear;
}

/* As the others are written: Mar, mar, MAR, March, .. */
static void put_month(Str *s, const Dates *d, int64_t month) {
    const char *full = month_names[month - 1], *name = d->last.name;
    for (int k = 0; d->full ? full[k] != 0 : k < 3; k++) {
        bool capital = name[1] < 'a' || (k == 0 && name[0] < 'a');
        str_putc(s, (char)(capital ? full[k] & ~32 : full[k] | 32));
    }
}

static const char *put_moment(Arena *a, const Dates *d, const Moment *t) {
    const Written *w = &d->last;
    int64_t y = t->months / 12, m = t->months % 12 + 1;
    Str s = str_make(a);
    for (int k = 0; k < w->n; k++) {
        const Form *f = &d->form;
        int64_t unit = k == f->time ? 3600 : k == f->time + 1 ? 60 : 1, v = t->seconds / unit % (unit == 3600 ? 24 : 60);
        if (f->compact && !k)
            str_printf(&s, "%04lld%02lld%02lld", (long long)y, (long long)m, (long long)t->day);
        else if (w->name && k == w->named)
            put_month(&s, d, m);
        else if (k == f->year && w->digits[k] == 2)
            str_printf(&s, "%02lld", (long long)(y % 100));
        else if (k == f->year)
            str_printf(&s, "%04lld", (long long)y);
        else if (k == f->month && f->quarter)
            str_printf(&s, "%lld", (long long)(t->months % 12 / 3 + 1));
        else if (k == f->month || k == f->day)
            str_printf(&s, "%0*lld", d->padded ? 2 : 1, (long long)(k == f->month ? m : t->day));
        else
            str_printf(&s, "%0*lld", k > f->time || w->digits[k] > 1 ? 2 : 1, (long long)v);
        str_putn(&s, w->behind[k], (size_t)w->gap[k]);
    }
    return s.at;
}

/* k steps past the last row: as many months, where the day and the time stay (or are the month's last), else seconds. */
static const char *later(Arena *a, const Dates *d, int64_t k) {
    const Moment *t = &d->at, *b = &d->before;
    int64_t step = t->months - b->months;
    bool ends =
        d->form.month >= 0 && d->form.day < 0 ? false : t->day == month_days(t->months) && b->day == month_days(b->months);
    if (step && t->seconds == b->seconds && (t->day == b->day || ends)) {
        int64_t month = t->months + k * step, last = month_days(month);
        return put_moment(a, d, &(Moment){month, ends || t->day > last ? last : t->day, t->seconds});
    }
    int64_t at = seconds_of(t) + k * (seconds_of(t) - seconds_of(b)), days = (at >= 0 ? at : at - 86399) / 86400, y, m, day;
    days_to(days, &y, &m, &day);
    return put_moment(a, d, &(Moment){y * 12 + m - 1, day, at - days * 86400});
}

/* Numbers of many digits, far on, wrap around. */
static int64_t further(int64_t last, int64_t before, int64_t k) {
    return (int64_t)((uint64_t)last + (uint64_t)k * ((uint64_t)last - (uint64_t)before));
}

bool dates_go_on(const char *const *date, int64_t n, bool of_calendar) {
    Dates d;
    bool unclear;
    return n > 1 && read_column(date, n, &d, &unclear) && (!plain(&d.form) || !of_calendar);
}

bool series_next_dates(Ctx *ctx, Arena *a, const Series *s, int64_t n, const char ***out) {
    Dates d;
    bool unclear = false;
    Written w;
    *out = NULL;
    if (!s->date || s->nrow < 2) return true;
    if (!read_column(s->date, s->nrow, &d, &unclear)) {
        diag_error(ctx, 554, NOWHERE, "%s: the date column cannot be continued after '%.40s'%s", s->path, s->date[s->nrow - 1],
                   unclear ? "; it can be read in two ways, days or months first" : "");
        diag_help(ctx, NOWHERE,
                  unclear ? "YYYY-MM-DD is clear"
                          : "years (or any whole numbers), 2008-03, 2008-03-31, 31.03.2008, 3/31/2008, 31 Mar 2008 and 2008Q1 can, and a "
                            "time of day behind them; "
                            "without `date` in the data block the rows are counted");
        return false;
    }
    *out = NEW_N(a, const char *, n + 1);
    if (plain(&d.form)) read_numbers(s->date[s->nrow - 2], &w);
    for (int64_t k = 1; k <= n; k++)
        (*out)[k - 1] =
            plain(&d.form) ? arena_printf(a, "%lld", (long long)further(d.last.number[0], w.number[0], k)) : later(a, &d, k);
    return true;
}

bool dates_fall(const char *const *date, int64_t n) {
    Dates d;
    bool unclear;
    return n > 1 && read_column(date, n, &d, &unclear) && (!plain(&d.form) || d.years) && d.longest < 0;
}

int64_t dates_back(const char *const *date, int64_t n) {
    Dates d;
    bool unclear;
    return n > 1 && read_column(date, n, &d, &unclear) && (!plain(&d.form) || d.years) ? d.back : -1;
}

int64_t dates_stray(const char *const *date, int64_t n) {
    int64_t without = 0, first = -1;
    for (int64_t i = 0; i < n; i++) {
        if (strpbrk(date[i], "0123456789")) continue;
        if (!without++) first = i;
    }
    return without * 10 < n ? first : -1;
}

bool dates_rise(const char *const *date, int64_t n) {
    Dates d;
    bool unclear;
    return n > 1 && read_column(date, n, &d, &unclear) && !plain(&d.form) && d.shortest > 0;
}

const char *dates_join(Arena *a, const char *const *cell, uint32_t n) {
    Str s = str_make(a);
    bool before = true;
    for (uint32_t k = 0; k < n; k++) {
        bool simple = k < 3; /* year, month, day; behind them the time */
        for (const char *p = cell[k]; *p; p++) simple = simple && (digit(*p) || letter(*p));
        str_printf(&s, "%s%s", k == 0 ? "" : simple && before ? "-" : " ", cell[k]);
        before = simple;
    }
    return s.at;
}
