/* rondo new: a commented model file that trains as it stands, from std/new/: with a little data, or on a file of the user's. */
#include "cli/new.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name, *data, *what; /* data: the file of std/new/ that becomes NAME with its ending; NULL: a pair of sounds */
    const char *shifted;            /* as in NewFile */
} Kind;
static const Kind kinds[] = {{"forecast", "forecast.csv", "a made-up series of months", NULL},
                             {"classify", "classify.csv", "made-up texts with their classes", NULL},
                             {"classify-sequences", "classify-sequences.ts", "made-up movements of a hand", "- 0.4) / 1.4"},
                             {"regress", "regress.csv", "made-up weights on a spring", "- 30.2) / 2.1"},
                             {"tagging", "tagging.jsonl", "made-up orders with a label for each word", NULL},
                             {"language-model", "language-model.txt", "a nursery rhyme", NULL},
                             {"sound", NULL, "plucked strings, before and behind an overdrive", NULL},
                             {"cell", "forecast.csv", "a made-up series of months", NULL}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const Kind *find_kind(Cli *c) {
    const char *known[KINDS];
    Str list = str_make(ctx_arena(c->ctx));
    for (int k = 0; k < KINDS; k++) {
        if (!strcmp(kinds[k].name, c->arg[0])) return &kinds[k];
        known[k] = kinds[k].name;
        str_printf(&list, "%s%s", k == 0 ? "" : k + 1 < KINDS ? ", " : " or ", known[k]);
    }
    const char *near = nearest_name(c->arg[0], known, KINDS);
    cli_usage(c, "new writes %s, not '%.40s'%s%s%s", list.at, c->arg[0], near ? "; did you mean '" : "", near ? near : "",
              near ? "'?" : "");
    return NULL;
}

/* A name of the language, since the model and its files are called so. */
static bool good_name(const char *name) {
    if (!isalpha((unsigned char)*name) || strlen(name) > 60) return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_') return false;
    return true;
}

static void put_named(Str *s, const char *text, const char *name) {
    for (const char *at; (at = strstr(text, "NAME")); text = at + 4) {
        str_putn(s, text, (size_t)(at - text));
        str_put(s, name);
    }
    str_put(s, text);
}

/* Both files or none: neither may be there. */
static bool is_free(Cli *c, const char *path) {
    if (access(path, F_OK) != 0) return true;
    diag_error(c->ctx, 1, (Span){0, 0}, "%s is there already; nothing was written", path);
    return false;
}

/* The file from where the model will be: names in a data block are relative to the model's. */
static const char *from_model(Arena *a, const char *path, const char *folder) {
    if (!folder || *path == '/') return path;
    char *whole = realpath(path, NULL);
    const char *kept = whole ? arena_strdup(a, whole) : path;
    free(whole);
    return kept;
}

/* Is it a model (its name could be a word of the language), and does it read the file, where there is one? Complaints have their line. What
   its numbers are like is put into f. */
static bool works(Cli *c, const char *model, const char *text, NewFile *f) {
    Model *m = model_open_text(c->ctx, model, text, strlen(text), &(ModelOptions){.std_dir = std_folder(ctx_arena(c->ctx))});
    Dataset d;
    Series series;
    bool ok = m != NULL;
    if (ok && f)
        ok = data_is_series(m, NULL) ? series_load(m, NULL, ctx_arena(c->ctx), false, &series) : dataset_load(m, NULL, ctx_arena(c->ctx), false, &d);
    if (ok && f && f->shifted) ok = new_scale(f, m, &d);
    if (m) model_close(m);
    return ok;
}

static CliExit new_from(Cli *c, const Kind *k, const char *model, const char *template) {
    Arena *a = ctx_arena(c->ctx);
    VEC(const char *) file = {0};
    for (const char *path; (path = cli_nth(c, OPT_DATA, file.n));) {
        VEC_PUSH(a, file) = from_model(a, path, cli_get(c, OPT_OUT));
        if (strpbrk(file.at[file.n - 1], "\"\\\n")) return cli_usage(c, "a model cannot name a file with quotes, backslashes or line feeds in its name");
    }
    NewFile f = {.ctx = c->ctx, .a = a, .name = c->arg[1], .path = cli_nth(c, OPT_DATA, 0), .written = file.at[0], .shifted = k->shifted};
    bool texts = !strcmp(k->name, "classify"), sound = !k->data;
    if (sound && file.n != 2) return cli_usage(c, "sound takes two files: --data IN.wav --data OUT.wav, what goes in and what comes out");
    if (file.n > 1 && !texts && !sound) return cli_usage(c, "only classify takes several files, one a class; %s takes one", k->name);
    VEC_PUSH(a, file) = NULL;
    if (file.n > 2 && texts) f.each = file.at;
    if (sound) f.second = cli_nth(c, OPT_DATA, 1), f.second_written = file.at[1];
    if (!new_look(&f, k->name)) return CLI_INPUT;
    if (!works(c, model, new_text(&f, template), &f)) {
        if (f.keys) diag_help(c->ctx, (Span){0, 0}, "the model takes its names from the keys of %s: %s", f.path, f.keys);
        return CLI_INPUT;
    }
    const char *text = new_text(&f, template);
    if (!file_write(c->ctx, model, text, strlen(text))) return CLI_INPUT;
    printf("%s\n%s: a model to change as you like\nnext: rondo train %s\n", f.said, model, model);
    return CLI_OK;
}

/* Strings that are plucked (Karplus, Strong 1983), and what a soft limit behind a slow follower of the level makes of them. */
static bool write_sounds(Cli *c, const char *in, const char *out) {
    enum { RATE = 8000, NOTE = RATE / 4, N = 3 * RATE };
    Arena *a = ctx_arena(c->ctx);
    float *x = NEW_N(a, float, N), *y = NEW_N(a, float, N), string[NOTE] = {0};
    uint64_t chance = 1;
    double level = 0;
    for (int i = 0, period = 1; i < N; i++) {
        if (i % NOTE == 0) {
            period = 20 + (int)(random_next(&chance) % 60);
            for (int k = 0; k < period; k++) string[k] = (float)((double)(random_next(&chance) >> 11) * 0x1p-53 - 0.5);
        }
        float *s = &string[i % NOTE % period], next = string[(i % NOTE + 1) % period];
        x[i] = *s;
        *s = 0.498f * (*s + next);
        level += 0.002 * (fabs(x[i]) - level);
        y[i] = (float)(0.6 * tanh(6 * x[i] / (0.3 + 4 * level)));
    }
    if (!wav_write(c->ctx, a, in, x, N, 1, RATE)) return false;
    if (wav_write(c->ctx, a, out, y, N, 1, RATE)) return true;
    unlink(in);
    return false;
}

/* The made-up data: all files or none. */
static bool write_data(Cli *c, const Kind *k, const char *const *data) {
    Arena *a = ctx_arena(c->ctx);
    char *values;
    size_t n;
    if (!k->data) return write_sounds(c, data[0], data[1]);
    return file_read(c->ctx, a, arena_printf(a, "%s/new/%s", std_folder(a), k->data), &values, &n) && file_write(c->ctx, data[0], values, n);
}

CliExit cmd_new(Cli *c) {
    Arena *a = ctx_arena(c->ctx);
    const Kind *k = find_kind(c);
    if (!k) return CLI_USAGE;
    const char *name = c->arg[1], *folder = std_folder(a), *to = cli_get(c, OPT_OUT);
    if (!good_name(name))
        return cli_usage(c, "a model's name is at most 60 letters, digits and _, and begins with a letter; not '%.40s'", name);
    const char *base = to ? arena_printf(a, "%s/%s", to, name) : name;
    const char *model = arena_printf(a, "%s.rondo", base), *data[2] = {k->data ? arena_printf(a, "%s%s", base, strrchr(k->data, '.')) : arena_printf(a, "%s-in.wav", base), NULL};
    if (!k->data) data[1] = arena_printf(a, "%s-out.wav", base);
    char *text;
    size_t n;
    Str s = str_make(a);
    if (!is_free(c, model) || !file_read(c->ctx, a, arena_printf(a, "%s/new/%s.rondo", folder, k->name), &text, &n)) return CLI_INPUT;
    put_named(&s, text, name);
    if (cli_has(c, OPT_DATA)) return new_from(c, k, model, s.at);
    if (!is_free(c, data[0]) || (data[1] && !is_free(c, data[1])) || !works(c, model, s.at, NULL) || !write_data(c, k, data)) return CLI_INPUT;
    if (!file_write(c->ctx, model, s.at, s.n)) {
        for (int i = 0; i < 2 && data[i]; i++) unlink(data[i]);
        return CLI_INPUT;
    }
    printf("%s: a model to change as you like\n%s%s%s: %s, to be replaced by yours\nnext: rondo train %s\n", model, data[0], data[1] ? ", " : "", data[1] ? data[1] : "",
           k->what, model);
    return CLI_OK;
}
