/* new_data: what a file says about itself, for the model that `rondo new --data` writes: columns and gaps of a table, classes and
   dimensions of sequences, characters of a text. The text of std/new/ is the model; what stands in it for made-up data is changed. */
#include "cli/new.h"
#include "runtime/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_in(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n > m && !strcmp(path + n - m, end);
}

void new_change(NewFile *f, const char *from, const char *to) {
    VEC_PUSH(f->a, f->from) = from;
    VEC_PUSH(f->a, f->to) = to;
}

/* The same of an entry of the data block, with others ("" for none) behind it: in its line, or in lines of their own where the first has
   that. */
static void new_change_entry(NewFile *f, const char *from, const char *to, const char *more, const char *most) {
    const char *entry[] = {more, most};
    Str lines = str_make(f->a), line = str_make(f->a);
    str_put(&lines, to);
    str_put(&line, to);
    for (int k = 0; k < 2; k++) {
        if (!*entry[k]) continue;
        str_printf(&lines, "\n        %s", entry[k]);
        str_printf(&line, ", %s", entry[k]);
    }
    new_change(f, arena_printf(f->a, "%s\n", from), arena_printf(f->a, "%s\n", lines.at));
    new_change(f, arena_printf(f->a, "%s,", from), arena_printf(f->a, "%s,", line.at));
}

static bool is_json(const NewFile *f) { return ends_in(f->path, ".jsonl") || ends_in(f->path, ".ndjson"); }
static bool is_table(const NewFile *f) { return ends_in(f->path, ".csv") || ends_in(f->path, ".tsv"); }
static bool is_arrays(const NewFile *f) { return ends_in(f->path, ".npz"); }

static bool look_at_named(NewFile *f, const char *kind, NewNamed *out) { return is_arrays(f) ? new_look_arrays(f, kind, out) : new_look_json(f, kind, out); }

/* The entries of std/new/classify.rondo that name its table. */
static const char *table_of_texts(const NewFile *f) {
    return arena_printf(f->a, "csv = \"%s.csv\"\n        column = \"text\"\n        target_column = \"desk\"", f->name);
}

/* ---- characters --------------------------------------------------------------------------------------------------------- */

static uint32_t code_point(const char *p, int size) {
    const unsigned char *u = (const unsigned char *)p;
    uint32_t c = size == 1 ? u[0] : u[0] & (0xffu >> (size + 1));
    for (int i = 1; i < size; i++) c = c << 6 | (u[i] & 63);
    return c;
}

/* How many different ones there are; false: it is no UTF-8. The text may end within a character. */
static bool characters_of(NewFile *f, const char *text, size_t n, uint32_t *different) {
    uint8_t *seen = NEW_N(f->a, uint8_t, 0x200000);
    *different = 0;
    for (size_t at = 0; at < n;) {
        int size = utf8_size(text + at, n - at);
        if (size <= 0 && n - at < 4) break;
        if (size <= 0) return false;
        uint8_t *c = &seen[code_point(text + at, size)];
        *different += !*c;
        *c = 1;
        at += (size_t)size;
    }
    return true;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------- */

enum { MOST_CLASSES = 100 };

typedef struct {
    uint32_t numbers, gaps, distinct; /* cells; distinct: one more than MOST_CLASSES where there are more */
    const char *gap;                  /* the last of the gaps that stand written, "NA" say; NULL: all are empty */
    bool empty;                       /* some cell is */
    double length;                    /* mean, of its cells */
    bool rising;                      /* numbers only, each above the one before */
} Look;

static const char *cell_of(const Csv *t, uint32_t row, uint32_t column) { return t->cell[(size_t)row * t->ncol + column]; }

static Look look_at(const Csv *t, uint32_t column) {
    Look k = {.rising = true};
    const char *seen[MOST_CLASSES];
    double before = -INFINITY;
    for (uint32_t i = 0; i < t->nrow; i++) {
        const char *s = cell_of(t, i, column);
        double v = NAN;
        uint32_t j = 0;
        if (csv_value(t, s, &v))
            k.numbers++;
        else if (cell_gap(s)) {
            k.gaps++;
            if (s[strspn(s, " \t")]) k.gap = s;
            else k.empty = true;
        }
        if (!(v > before)) k.rising = false;
        before = v;
        k.length += (double)strlen(s) / t->nrow;
        while (j < k.distinct && j < MOST_CLASSES && strcmp(seen[j], s)) j++;
        if (j < k.distinct || j == MOST_CLASSES)
            k.distinct += k.distinct == MOST_CLASSES && j == MOST_CLASSES;
        else
            seen[k.distinct++] = s;
    }
    return k;
}

static Look *look_at_all(NewFile *f, const Csv *t) {
    Look *look = NEW_N(f->a, Look, t->ncol + 1);
    for (uint32_t k = 0; k < t->ncol; k++) look[k] = look_at(t, k);
    return look;
}

static bool is_number(const Csv *t, const Look *k) { return k->numbers > 1 && k->numbers + k->gaps == t->nrow; }

const char *new_named(NewFile *f, const Csv *t, uint32_t column) {
    const char *s = t->header ? t->header[column] : "";
    uint32_t same = 0;
    for (uint32_t k = 0; t->header && k < t->ncol; k++) same += !strcmp(t->header[k], s);
    return !*s || same > 1 || strpbrk(s, "\"\\\n\r") ? arena_printf(f->a, "\"%u\"", column) : arena_printf(f->a, "\"%s\"", s);
}

/* How often each of MARKS stands outside of quotes in a line, up to its end. */
static const char MARKS[] = ",;\t|";
static const char *count_marks(const char *at, int count[4]) {
    bool quoted = false;
    memset(count, 0, 4 * sizeof *count);
    for (; *at && (quoted || *at != '\n'); at++) {
        const char *mark = strchr(MARKS, *at);
        quoted ^= *at == '"';
        if (mark && !quoted) count[mark - MARKS]++;
    }
    return at + (*at != 0);
}

/* The separator: what stands as often in the first row as in the second, or at least in the first. Behind remarks. */
static char find_mark(const NewFile *f, const char *text, bool blanks) {
    int first[4], second[4], found = -1;
    if (ends_in(f->path, ".tsv")) return '\t';
    while (*text == '#') text += strcspn(text, "\n") + (text[strcspn(text, "\n")] != 0);
    const char *line = text;
    count_marks(count_marks(text, first), second);
    for (int k = 3; k >= 0; k--)
        if (first[k] && (found < 0 || first[k] == second[k] || first[found] != second[found])) found = k;
    line += strspn(line, " \t");
    size_t n = strcspn(line, "\r\n");
    while (n && line[n - 1] == ' ') n--;
    return found >= 0 ? MARKS[found] : blanks && memchr(line, ' ', n) ? ' ' : ',';
}

/* A comma before the decimals, if more cells are numbers then. */
static char find_decimal(const Csv *t) {
    uint32_t count[2] = {0};
    for (uint32_t i = 0; i < t->nrow * t->ncol; i++) {
        double v;
        for (int k = 0; k < 2; k++) count[k] += csv_value(&(Csv){.decimal = k ? ',' : '.'}, t->cell[i], &v);
    }
    return count[1] > count[0] ? ',' : '.';
}

bool new_table(NewFile *f, bool numbers, const char *entry, Csv *t) {
    char *text;
    size_t n;
    if (!text_whole(f->ctx, f->a, f->path, UNIT_WORDS, &text, &n)) return false;
    CsvForm form = {find_mark(f, text, numbers), '.'};
    if (!csv_parse(f->ctx, f->a, f->path, text, n, form, t)) return false;
    form.decimal = numbers && form.separator != ',' ? find_decimal(t) : '.';
    if (form.decimal == ',' && !csv_parse(f->ctx, f->a, f->path, text, n, form, t)) return false; /* the header may be another */
    const char *said = "", *comma = form.decimal == ',' ? "decimal = \",\"" : "";
    if (form.separator == '\t' && !ends_in(f->path, ".tsv")) said = "separator = \"tab\"";
    if (form.separator == ' ') said = "separator = \"blanks\"";
    if (strchr(";|", form.separator)) said = arena_printf(f->a, "separator = \"%c\"", form.separator);
    new_change_entry(f, entry ? entry : arena_printf(f->a, "csv = \"%s.csv\"", f->name), arena_printf(f->a, "csv = \"%s\"", f->written), said, comma);
    return true;
}

static const char **column_cells(NewFile *f, const Csv *t, uint32_t column) {
    const char **cell = NEW_N(f->a, const char *, t->nrow + 1);
    for (uint32_t i = 0; i < t->nrow; i++) cell[i] = cell_of(t, i, column);
    return cell;
}

/* The columns that say when, `count` of them from `first` on; 0: none. */
typedef struct {
    uint32_t first, count;
} When;

static const char **joined_cells(NewFile *f, const Csv *t, When w) {
    const char **cell = NEW_N(f->a, const char *, t->nrow + 1);
    for (uint32_t i = 0; i < t->nrow; i++) cell[i] = dates_join(f->a, t->cell + (size_t)i * t->ncol + w.first, w.count);
    return cell;
}

/* Dates in one column that rise from row to row, then those in columns side by side, then other dates, else what counts: the first column
   (behind an index) where it rises. */
static When find_date(NewFile *f, const Csv *t, const Look *look, uint32_t first) {
    bool counts = t->ncol > first + 1 && look[first].rising && dates_go_on(column_cells(f, t, first), t->nrow, false);
    for (uint32_t count = 1; count < 5 && count < t->ncol; count++)
        for (uint32_t k = counts && count > 1 ? first + 1 : 0; k + count <= t->ncol; k++) /* years that rise need no months beside */
            if (dates_rise(joined_cells(f, t, (When){k, count}), t->nrow)) return (When){k, count};
    for (uint32_t k = 0; k < t->ncol && t->ncol > 1; k++) /* years that fall are dates too, which the reader refuses */
        if (dates_go_on(column_cells(f, t, k), t->nrow, true) || (k == first && dates_fall(column_cells(f, t, k), t->nrow))) return (When){k, 1};
    return (When){first, counts};
}

static bool says_when(When w, uint32_t column) { return column >= w.first && column < w.first + w.count; }

static const char *named_all(NewFile *f, const Csv *t, When w) {
    Str s = str_make(f->a);
    for (uint32_t k = 0; k < w.count; k++) str_printf(&s, "%s%s", k ? ", " : w.count > 1 ? "[" : "", new_named(f, t, w.first + k));
    str_put(&s, w.count > 1 ? "]" : "");
    return s.at;
}

/* No column is one of numbers: what stands in the one that comes closest. */
static bool no_numbers(NewFile *f, const Csv *t, const Look *look, When date) {
    uint32_t best = t->ncol - 1;
    double *v;
    int64_t filled;
    for (uint32_t k = 0; k < t->ncol; k++)
        if (!says_when(date, k) && (says_when(date, best) || look[k].numbers > look[best].numbers)) best = k;
    if (csv_series(f->ctx, f->a, t, best, GAPS_INTERPOLATE, &v, &filled)) /* what rises counts the rows */
        diag_error(f->ctx, 611, NOWHERE, "%s has no column of numbers to forecast", f->path);
    return false;
}

/* The first column of numbers that says neither when nor which row it is (as an index without a name does) is forecast. */
static bool look_at_series(NewFile *f) {
    Csv t;
    if (!new_table(f, true, NULL, &t)) return false;
    Look *look = look_at_all(f, &t);
    bool index = t.ncol > 1 && look[0].rising && t.header && !*t.header[0];
    When date = find_date(f, &t, look, index);
    uint32_t value = index, others = 0;
    while (value < t.ncol && (says_when(date, value) || !is_number(&t, &look[value]))) value++;
    if (value == t.ncol) return no_numbers(f, &t, look, date);
    new_change_entry(f, "column = \"value\"", arena_printf(f->a, "column = %s", new_named(f, &t, value)),
                 look[value].gaps ? "gaps = interpolate" : "", "");
    if (!date.count) {
        new_change(f, "        date = \"month\"\n", "");
        new_change(f, ", date = \"month\"", "");
    } else
        new_change(f, "date = \"month\"", arena_printf(f->a, "date = %s", named_all(f, &t, date)));
    uint32_t window = t.nrow / 6 < 24 ? t.nrow / 6 : 24;
    if (window < 24) new_change(f, "window = 24", arena_printf(f->a, "window = %u", window ? window : 1));
    if (window < 24) new_change(f, "[1, 24]", arena_printf(f->a, "[1, %u]", window ? window : 1));
    if (window < 24) new_change(f, "# 24 rows go in", arena_printf(f->a, "# %u rows go in", window ? window : 1));
    Str said = str_make(f->a);
    str_printf(&said, "%s: %u rows of %s", f->path, t.nrow, new_named(f, &t, value));
    if (look[value].gaps) str_printf(&said, ", %u of them gaps that are interpolated", look[value].gaps);
    for (uint32_t k = value + 1; k < t.ncol; k++)
        if (!says_when(date, k) && is_number(&t, &look[k])) str_printf(&said, "%s%s", others++ ? ", " : "; other numbers: ", new_named(f, &t, k));
    f->said = said.at;
    return true;
}

/* Names and the like: the texts are single words, mostly others, and what tells them apart is their letters. */
typedef struct {
    Str all;
    uint32_t texts, several, distinct; /* several: of more than one word; distinct: one more than MOST_CLASSES where there are more */
    const char *seen[MOST_CLASSES];
} Letters;

static void take_letters(NewFile *f, Letters *k, const char *text, size_t n) {
    const char *s = arena_strndup(f->a, text, n);
    uint32_t i = 0;
    str_put(&k->all, s);
    k->texts++;
    k->several += strpbrk(s, " \t\n") != NULL;
    if (k->distinct > MOST_CLASSES) return;
    while (i < k->distinct && strcmp(k->seen[i], s)) i++;
    if (i < k->distinct) return;
    if (i < MOST_CLASSES) k->seen[i] = s;
    k->distinct++;
}

static bool single_words(const Letters *k) { return k->distinct > MOST_CLASSES && k->several < k->texts / 10; }

static const char by_letters[] = ", single words that are read by characters";

static void read_characters(NewFile *f, const char *all, size_t n) {
    uint32_t different;
    characters_of(f, all, n, &different); /* tables and texts are UTF-8 */
    new_change(f, "V = 2000", arena_printf(f->a, "V = %u", different < 300 ? different + 4 : 300));
    new_change(f, "unit = words", "unit = characters\n        unknown = true");
    new_change(f, "# V: most words that are told apart; E: numbers that stand for a word;", "# V: most characters that are told apart; E: numbers that stand for one;");
    new_change(f, "Words become vectors", "Characters become vectors");
    new_change(f, "the mean over the real words", "the mean over the real ones");
    new_change(f, "so that no word is learnt", "so that no example is learnt");
    new_change(f, "Beside it each word has", "Beside it each character has");
}

/* A file of texts for each class. */
static bool look_at_files(NewFile *f) {
    Str lines = str_make(f->a), classes = str_make(f->a), said = str_make(f->a);
    Letters letters = {.all = str_make(f->a)};
    uint32_t n = 0;
    for (; f->each[n]; n++) {
        const char *slash = strrchr(f->each[n], '/'), *base = slash ? slash + 1 : f->each[n];
        char *text;
        size_t size, rows = 0, line;
        if (!text_whole(f->ctx, f->a, f->each[n], UNIT_WORDS, &text, &size)) return false;
        for (const char *at = text, *end = text + size; at < end; at += line + 1, rows++) {
            line = strcspn(at, "\n");
            take_letters(f, &letters, at, line && at[line - 1] == '\r' ? line - 1 : line);
        }
        str_printf(&lines, "%s\"%s\"", n ? ", " : "", f->each[n]);
        str_printf(&classes, "%s\"%s\"", n ? ", " : "", base);
        str_printf(&said, "%s%s: %zu texts", n ? ", " : "", base, rows);
    }
    new_change(f, table_of_texts(f),
           arena_printf(f->a, "# A file for each class, a text in each line.\n        lines = [%s]\n        classes = [%s]", lines.at, classes.at));
    new_change(f, "target desk:", "target label:");
    new_change(f, ", desk)", ", label)");
    new_change(f, "K = 3", arena_printf(f->a, "K = %u", n));
    if (single_words(&letters)) read_characters(f, letters.all.at, letters.all.n);
    new_change(f, "V = 2000", "V = 10000");
    f->said = single_words(&letters) ? arena_printf(f->a, "%s%s", said.at, by_letters) : said.at;
    return true;
}

/* Texts of some length have more words than the 2000 that a model of few begins with. */
static void choose_vocabulary(NewFile *f) {
    struct stat st;
    if (stat(f->path, &st) == 0 && st.st_size > 100000) new_change(f, "V = 2000", "V = 10000");
}

/* JSON lines with a text and its class. */
static bool look_at_json_texts(NewFile *f) {
    NewNamed j;
    if (!new_look_json(f, "classify", &j)) return false;
    new_change(f, table_of_texts(f), arena_printf(f->a, "jsonl = \"%s\"", f->written));
    new_change(f, "input text:", arena_printf(f->a, "input %s:", j.input));
    new_change(f, "](text)", arena_printf(f->a, "](%s)", j.input));
    new_change(f, "target desk:", arena_printf(f->a, "target %s:", j.target));
    new_change(f, ", desk)", arena_printf(f->a, ", %s)", j.target));
    new_change(f, "K = 3", arena_printf(f->a, "K = %u", j.classes));
    if (j.letters) read_characters(f, j.letters, strlen(j.letters));
    choose_vocabulary(f);
    f->said = arena_printf(f->a, "%s: %lld texts in \"%s\"%s, %u classes in \"%s\"", f->path, (long long)j.lines, j.input, j.letters ? by_letters : "", j.classes, j.target);
    return true;
}

/* "none" is a class like "mild", and "NA" like "EU"; among numbers they are what is missing. */
static bool is_class(const Csv *t, const Look *k) {
    return k->distinct > 1 && k->distinct <= MOST_CLASSES && !k->empty && !(k->gaps && is_number(t, k));
}

/* The longest texts are read; of the other columns the one with the fewest different cells says the class. */
static bool look_at_texts(NewFile *f) {
    static const char each[] = "of a file of texts for each class, `--data A.txt --data B.txt` reads them";
    Csv t;
    if (f->each) return look_at_files(f);
    if (is_json(f)) return look_at_json_texts(f);
    if (!new_table(f, false, NULL, &t)) {
        diag_help(f->ctx, NOWHERE, "%s", each);
        return false;
    }
    Look *look = look_at_all(f, &t);
    uint32_t text = 0, label = t.ncol;
    for (uint32_t k = 1; k < t.ncol; k++)
        if (look[k].length > look[text].length) text = k;
    for (uint32_t k = 0; k < t.ncol; k++) {
        bool classes = k != text && is_class(&t, &look[k]);
        if (classes && (label == t.ncol || look[k].distinct < look[label].distinct)) label = k;
    }
    if (label == t.ncol || is_number(&t, &look[text])) {
        diag_error(f->ctx, 611, NOWHERE, "%s needs a column of texts and one of their classes, 2 to %d different ones", f->path,
                   MOST_CLASSES);
        diag_help(f->ctx, NOWHERE, "%s", each);
        return false;
    }
    new_change(f, "column = \"text\"", arena_printf(f->a, "column = %s", new_named(f, &t, text)));
    new_change(f, "target_column = \"desk\"", arena_printf(f->a, "target_column = %s", new_named(f, &t, label)));
    new_change(f, "target desk:", "target label:");
    new_change(f, ", desk)", ", label)");
    new_change(f, "K = 3", arena_printf(f->a, "K = %u", look[label].distinct));
    Letters letters = {.all = str_make(f->a)};
    for (uint32_t i = 0; i < t.nrow; i++) take_letters(f, &letters, cell_of(&t, i, text), strlen(cell_of(&t, i, text)));
    if (single_words(&letters)) read_characters(f, letters.all.at, letters.all.n);
    else choose_vocabulary(f);
    const char *gap = look[label].gap;
    f->said = arena_printf(f->a, "%s: %u texts in %s%s, %u classes in %s%s", f->path, t.nrow, new_named(f, &t, text),
                           single_words(&letters) ? by_letters : "", look[label].distinct, new_named(f, &t, label),
                           gap ? arena_printf(f->a, ", \"%s\" among them", gap) : "");
    return true;
}

/* ---- sequences ---------------------------------------------------------------------------------------------------------- */

/* The last word of a line of a .ts file, the first of an older one's; *dims of it. */
static const char *class_of(NewFile *f, const char *line, size_t n, bool ts, int *dims) {
    const char *stop = ts ? ":" : ", \t";
    size_t from = 0, to = n;
    *dims = 1;
    while (from < to && strchr(" \t\r", line[to - 1])) to--;
    while (from < to && strchr(" \t\r", line[from])) from++;
    for (size_t i = from; ts && i < to; i++)
        if (line[i] == ':') {
            ++*dims;
            from = i + 1;
        }
    if (ts)
        --*dims;
    else
        to = from + strcspn(line + from, stop) < to ? from + strcspn(line + from, stop) : to;
    return arena_strndup(f->a, line + from, to - from);
}

/* `dims` numbers a step, where the model of std/new/ has two. */
static void change_steps(NewFile *f, int64_t dims) {
    new_change(f, "holds two numbers", dims == 1 ? "holds one number" : arena_printf(f->a, "holds %lld numbers", (long long)dims));
    new_change(f, "seq [2]", arena_printf(f->a, "seq [%lld]", (long long)dims));
}

static bool look_at_named_sequences(NewFile *f) {
    NewNamed j;
    if (!look_at_named(f, "classify-sequences", &j)) return false;
    new_change(f, arena_printf(f->a, "ts = \"%s.ts\"", f->name), arena_printf(f->a, "%s = \"%s\"", j.source, f->written));
    new_change(f, "input x:", arena_printf(f->a, "input %s:", j.input));
    new_change(f, "z = (x -", arena_printf(f->a, "z = (%s -", j.input));
    change_steps(f, j.dims);
    new_change(f, "K = 3", arena_printf(f->a, "K = %u", j.classes));
    new_change(f, "target gesture:", arena_printf(f->a, "target %s:", j.target));
    new_change(f, ", gesture)", arena_printf(f->a, ", %s)", j.target));
    f->said = arena_printf(f->a, "%s: %lld sequences in \"%s\", %lld number%s a step, %u classes in \"%s\"", f->path, (long long)j.lines, j.input, (long long)j.dims,
                           j.dims == 1 ? "" : "s", j.classes, j.target);
    return true;
}

/* A label for each step: of words, or of numbers, which need no vocabulary. */
static bool look_at_tags(NewFile *f) {
    NewNamed j;
    if (is_table(f) ? !new_look_tagged_runs(f, &j) : !look_at_named(f, "tagging", &j)) return false;
    if (!is_table(f)) new_change(f, arena_printf(f->a, "jsonl = \"%s.jsonl\"", f->name), arena_printf(f->a, "%s = \"%s\"", j.source, f->written));
    if (!j.text) {
        new_change(f, "V = 2000, E = 24, ", "");
        new_change(f, "# V: most words that are told apart; E: numbers that stand for a word; H", "# H");
        new_change(f, "words: seq token[V]", arena_printf(f->a, "words: seq [%lld]", (long long)j.dims));
        new_change(f, "Words become vectors, an LSTM reads them", "An LSTM reads the sequence");
        new_change(f, "    # The vectors begin as far from one another as normal(0, 1) draws them: of small ones it would learn the order late.\n", "");
        new_change(f, "    # dropout[0.5] leaves out half of their numbers while training, so that no word is learnt by heart.\n", "");
        f->shifted = "- 0) / 1"; /* new_scale puts mean and deviation there */
        new_change(f, "    e = dropout[0.5](embedding[V, E, table = normal(0, 1)](words))\n",
                   arena_printf(f->a, "    # In these the network's numbers have mean 0 and deviation 1, whatever the units of the data.\n    z = (%s %s\n", j.input, f->shifted));
        new_change(f, "    # Beside it each word has a score of its own for each label: what it mostly is, wherever it stands.\n", "");
        new_change(f, "    own = embedding[V, K, table = zeros](words)\n", "");
        new_change(f, "(h)) + own", "(h))");
        new_change(f, "[H]](e)", "[H]](z)");
        new_change(f, "        unit = words\n        lower_case = true\n", "");
        new_change(f, "Labels each word of a text", "Labels each step of a sequence");
        new_change(f, "Drawn from all sentences", "Drawn from all sequences");
    }
    new_change(f, "input words:", arena_printf(f->a, "input %s:", j.input));
    new_change(f, "](words)", arena_printf(f->a, "](%s)", j.input));
    new_change(f, "target label:", arena_printf(f->a, "target %s:", j.target));
    new_change(f, "(scores, label)", arena_printf(f->a, "(scores, %s)", j.target));
    new_change(f, "K = 6", arena_printf(f->a, "K = %u", j.classes));
    choose_vocabulary(f);
    if (!f->said) f->said = arena_printf(f->a, "%s: %lld sequences, %u labels in \"%s\" for the %s in \"%s\"", f->path, (long long)j.lines, j.classes, j.target,
                           j.text ? "words" : "steps", j.input);
    return true;
}

/* Lines of a .ts file, or of a class and its values. */
typedef struct {
    size_t rows;
    int dims;
    uint32_t classes; /* one more than MOST_CLASSES where there are more */
    bool numbers;     /* all of them are some */
} Lines;

static bool look_at_lines(NewFile *f, Lines *k) {
    char *text;
    size_t n;
    VEC(const char *) class = {0};
    if (!text_whole(f->ctx, f->a, f->path, UNIT_WORDS, &text, &n)) return false;
    bool ts = ends_in(f->path, ".ts"), head = ts;
    *k = (Lines){.dims = 1, .numbers = true};
    for (const char *at = text, *end = text + n; at < end;) {
        size_t line = strcspn(at, "\n");
        if (head)
            head = line < 5 || (strncmp(at, "@data", 5) && strncmp(at, "@DATA", 5));
        else if (line && *at != '#' && *at != '\r') {
            uint32_t i = 0;
            const char *name = class_of(f, at, line, ts, &k->dims);
            double v;
            while (i < class.n && strcmp(class.at[i], name)) i++;
            if (i == class.n && i <= MOST_CLASSES) VEC_PUSH(f->a, class) = name;
            k->numbers = k->numbers && csv_value(&(Csv){.decimal = '.'}, name, &v);
            k->rows++;
        }
        at += line + (at + line < end);
    }
    k->classes = class.n;
    return true;
}

static bool look_at_sequences(NewFile *f) {
    Lines k;
    if (is_json(f) || is_arrays(f)) return look_at_named_sequences(f);
    if (is_table(f)) return new_look_runs(f, true);
    if (!look_at_lines(f, &k)) return false;
    if (k.classes < 2 || k.classes > MOST_CLASSES) {
        diag_error(
            f->ctx, 611, NOWHERE,
            "%s needs sequences of 2 to %d classes: a .ts file of the UCR and UEA archives, or lines of a class and its values",
            f->path, MOST_CLASSES);
        if (k.numbers && k.classes > MOST_CLASSES) diag_help(f->ctx, NOWHERE, "`rondo new regress` makes a model that finds a number for each");
        return false;
    }
    new_change(f, arena_printf(f->a, "ts = \"%s.ts\"", f->name), arena_printf(f->a, "ts = \"%s\"", f->written));
    change_steps(f, k.dims);
    new_change(f, "K = 3", arena_printf(f->a, "K = %u", k.classes));
    new_change(f, "target gesture:", "target label:");
    new_change(f, ", gesture)", ", label)");
    f->said = arena_printf(f->a, "%s: %zu sequences, %d number%s a step, %u classes", f->path, k.rows, k.dims, k.dims == 1 ? "" : "s", k.classes);
    return true;
}

/* Of a model that finds a number: the file takes the place of the table of std/new/regress.rondo. */
static void change_regress(NewFile *f, const char *source, const char *input, int64_t dims, const char *target) {
    new_change(f, "        # The rows of a pull are the steps of a sequence.\n        run = \"pull\"\n        column = \"height\"\n        target_column = \"weight\"\n", "");
    new_change(f, arena_printf(f->a, "csv = \"%s.csv\"", f->name), arena_printf(f->a, "%s = \"%s\"", source, f->written));
    new_change(f, "one number here; with `column = [\"height\", \"speed\"]` it is seq [2].", dims == 1 ? "one number." : arena_printf(f->a, "%lld numbers.", (long long)dims));
    new_change(f, "input x: seq [1]", arena_printf(f->a, "input %s: seq [%lld]", input, (long long)dims));
    new_change(f, "z = (x -", arena_printf(f->a, "z = (%s -", input));
    new_change(f, "target y:", arena_printf(f->a, "target %s:", target));
    new_change(f, "mse(p / 58, y /", arena_printf(f->a, "mse(p / 58, %s /", target));
    new_change(f, "(p, y)", arena_printf(f->a, "(p, %s)", target));
}

static bool look_at_numbers(NewFile *f) {
    NewNamed j;
    Lines k;
    if (is_table(f)) return new_look_runs(f, false);
    if (is_json(f) || is_arrays(f)) {
        if (!look_at_named(f, "regress", &j)) return false;
        change_regress(f, j.source, j.input, j.dims, j.target);
        f->said = arena_printf(f->a, "%s: %lld sequences in \"%s\", %lld number%s a step, their numbers in \"%s\"", f->path, (long long)j.lines, j.input, (long long)j.dims,
                               j.dims == 1 ? "" : "s", j.target);
        return true;
    }
    if (!look_at_lines(f, &k)) return false;
    if (k.classes < 2 || !k.numbers) {
        diag_error(f->ctx, 611, NOWHERE, "%s needs sequences and a number for each: a .ts file of the UCR and UEA archives, lines of a number and its values, JSON lines, "
                   "or a table in which a column names the sequences", f->path);
        if (!k.numbers && k.classes > 1) diag_help(f->ctx, NOWHERE, "`rondo new classify-sequences` makes a model of classes");
        return false;
    }
    change_regress(f, "ts", "x", k.dims, "y");
    f->said = arena_printf(f->a, "%s: %zu sequences, %d number%s a step, and a number for each", f->path, k.rows, k.dims, k.dims == 1 ? "" : "s");
    return true;
}

/* ---- a text ------------------------------------------------------------------------------------------------------------- */

/* The beginning of it: a text may be larger than memory. */
static bool first_part(NewFile *f, char **text, size_t *n) {
    enum { MOST = 1 << 24 };
    FILE *in = fopen(f->path, "rb");
    *text = in ? arena_alloc(f->a, MOST) : NULL;
    *n = in ? fread(*text, 1, MOST, in) : 0;
    bool ok = in && !ferror(in);
    if (!ok) diag_error(f->ctx, 1, NOWHERE, "cannot read '%s': %s", f->path, strerror(errno));
    if (in) fclose(in);
    return ok;
}

static bool look_at_text(NewFile *f) {
    char *text;
    size_t n;
    if (!first_part(f, &text, &n) || encoding_wide(f->ctx, f->path, text, n)) return false;
    uint32_t different, sooner;
    bool utf8 = characters_of(f, text, n, &different), late = utf8 && characters_of(f, text, n / 5 * 4, &sooner) && sooner < different;
    new_change(f, arena_printf(f->a, "text = \"%s.txt\"", f->name), arena_printf(f->a, "text = \"%s\"", f->written));
    if (!utf8)
        new_change(f, "unit = characters", "unit = bytes");
    else if (different > 100 || late)
        new_change(f, "unit = characters", "unit = characters, unknown = true"); /* rare ones may first come in what does not train */
    uint32_t V = !utf8 ? 256 : different < 4 ? 8 : different < 300 ? different + 4 : 300; /* a few that come later in it */
    new_change(f, "V = 100", arena_printf(f->a, "V = %u", V));
    if (n > 100000) {
        new_change(f, "H = 96", "H = 128");
        new_change(f, "batch = 4", "batch = 32");
        new_change(f, "window = 48", "window = 64");
        int64_t epochs = 7500000 / (int64_t)n; /* as many characters in all, whatever the size */
        new_change(f, "epochs = 30", arena_printf(f->a, "epochs = %d", epochs > 15 ? 15 : epochs < 4 ? 4 : (int)epochs));
    }
    f->said = utf8 ? arena_printf(f->a, "%s: a text in UTF-8, %u different characters", f->path, different)
                   : arena_printf(f->a, "%s: a text of bytes, since they are no UTF-8; `iconv` makes that of other encodings", f->path);
    return true;
}

/* ---- sounds ------------------------------------------------------------------------------------------------------------- */

static bool look_at_sounds(NewFile *f) {
    Wav w[2];
    const char *path[2] = {f->path, f->second};
    for (int k = 0; k < 2; k++) {
        char *text;
        size_t n;
        if (!file_read(f->ctx, f->a, path[k], &text, &n) || !wav_parse(f->ctx, f->a, path[k], text, n, &w[k])) return false;
    }
    new_change(f, arena_printf(f->a, "wav = [\"%s-in.wav\", \"%s-out.wav\"]", f->name, f->name), arena_printf(f->a, "wav = [\"%s\", \"%s\"]", f->written, f->second_written));
    if (w[0].channels > 1) new_change(f, "input x: seq [1]", arena_printf(f->a, "input x: seq [%d]", w[0].channels));
    if (w[1].channels > 1) new_change(f, "target y: seq [1]", arena_printf(f->a, "target y: seq [%d]", w[1].channels));
    if (w[1].channels != w[0].channels) new_change(f, "p = x + dense[1](h)", arena_printf(f->a, "p = dense[%d]([h, x])", w[1].channels));
    else if (w[0].channels > 1) new_change(f, "dense[1](h)", arena_printf(f->a, "dense[%d](h)", w[0].channels));
    if (w[0].frames > 200000) { /* more than some seconds of music */
        new_change(f, "window = 400", "window = 1000");
        new_change(f, "batch = 8", "batch = 24");
    }
    f->said = arena_printf(f->a, "%s and %s: %.1f s at %d Hz, %d channel%s in, %d out", f->path, f->second, (double)w[0].frames / w[0].rate, w[0].rate, w[0].channels,
                           w[0].channels == 1 ? "" : "s", w[1].channels);
    return true;
}

/* ---- the model's text --------------------------------------------------------------------------------------------------- */

bool new_look(NewFile *f, const char *kind) {
    if (is_arrays(f) && strcmp(kind, "classify-sequences") && strcmp(kind, "regress") && strcmp(kind, "tagging")) {
        diag_error(f->ctx, 605, NOWHERE, "%s does not take arrays (.npz): classify-sequences takes them, regress and tagging", kind);
        diag_help(f->ctx, NOWHERE, "docs/language.md says how a model of your own reads them: npz");
        return false;
    }
    bool series = !strcmp(kind, "forecast") || !strcmp(kind, "cell");
    if (series && is_json(f)) diag_error(f->ctx, 610, NOWHERE, "%s takes a table (CSV, TSV), and %s is JSON lines", kind, f->path);
    if (diag_error_count(f->ctx)) return false;
    if (!strcmp(kind, "classify")) return look_at_texts(f);
    if (!strcmp(kind, "classify-sequences")) return look_at_sequences(f);
    if (!strcmp(kind, "regress")) return look_at_numbers(f);
    if (!strcmp(kind, "tagging")) return look_at_tags(f);
    if (!strcmp(kind, "sound")) return look_at_sounds(f);
    return !strcmp(kind, "language-model") ? look_at_text(f) : look_at_series(f);
}

static const char *replaced(NewFile *f, const char *text, const char *from, const char *to) {
    Str s = str_make(f->a);
    for (const char *at; (at = strstr(text, from)); text = at + strlen(from)) {
        str_putn(&s, text, (size_t)(at - text));
        str_put(&s, to);
    }
    str_put(&s, text);
    return s.at;
}

/* The comment that says what the made-up file is, from its line to the last of its lines, says what this one is. */
static const char *described(NewFile *f, const char *text) {
    const char *made = strstr(text, arena_printf(f->a, "# %s.", f->name)), *end = made;
    if (!made) return text;
    while (end && (end = strchr(end, '\n'))) {
        size_t blanks = strspn(end + 1, " ");
        if (end[1 + blanks] != '#') break;
        end += 1 + blanks;
    }
    return arena_printf(f->a, "%.*s# %s.%s", (int)(made - text), text, f->said, end ? end : "");
}

const char *new_text(NewFile *f, const char *text) {
    for (uint32_t k = 0; k < f->from.n; k++) text = replaced(f, text, f->from.at[k], f->to.at[k]);
    return described(f, text);
}
