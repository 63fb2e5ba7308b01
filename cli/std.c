/* rondo list, rondo doc: the standard library, read from its own text. A declaration begins in the first column, and its comment
   stands right above it (std/README.md). */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *kind, *name, *head;   /* "cell", "lstm", "lstm[H, act = tanh](x: [I])" */
    const char *about;                /* the comment, as one line; "" if none */
    const char *comment, *text, *end; /* the same in the file: from the comment on, from the declaration on, past its end */
    const char *file;
} Item;

typedef struct {
    Arena *a;
    VEC(Item) entry;
    VEC(const char *) file, summary;
} Library;

static const char *const kinds[] = {"cell", "fn", "metric", "optimizer", "init"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *next_line(const char *p) {
    const char *e = strchr(p, '\n');
    return e ? e + 1 : p + strlen(p);
}

static const char *kind_at(const char *line) {
    for (int k = 0; k < KINDS; k++) {
        size_t n = strlen(kinds[k]);
        if (!strncmp(line, kinds[k], n) && line[n] == ' ') return kinds[k];
    }
    return NULL;
}

/* "# a\n# b\n" as "a b". */
static const char *joined(Arena *a, const char *from, const char *to) {
    Str s = str_make(a);
    str_put(&s, "");
    for (const char *p = from; p < to; p = next_line(p)) {
        const char *e = next_line(p), *text = p + strspn(p, "# ");
        size_t n = e > text ? (size_t)(e - text) : 0;
        while (n && text[n - 1] == '\n') n--;
        str_printf(&s, "%s%.*s", s.n && n ? " " : "", (int)n, text);
    }
    return s.at;
}

/* The declaration ends with its line, or with the } in the first column of a later one. */
static const char *end_of(const char *line) {
    const char *e = next_line(line);
    if (e - line < 2 || e[-2] != '{') {
        while (*e == ' ') e = next_line(e);
        return e;
    }
    while (*e && *e != '}') e = next_line(e);
    return next_line(e);
}

static void add_entry(Library *l, const char *file, const char *comment, const char *line) {
    const char *kind = kind_at(line), *head = line + strlen(kind) + 1, *e = next_line(line);
    size_t n = (size_t)(e - head), name = strcspn(head, "[( =");
    const char *about = joined(l->a, comment, line), *behind = strstr(head, "  # ");
    if (!*about && behind && behind < e) about = joined(l->a, behind + 2, e);
    while (n && strchr("\n {", head[n - 1])) n--;
    if (strcmp(kind, "fn") == 0 || strcmp(kind, "init") == 0) { /* without what it is */
        int depth = 0;
        for (size_t i = 0; i < n; i++) {
            depth += (head[i] == '[' || head[i] == '(') - (head[i] == ']' || head[i] == ')');
            if (depth == 0 && head[i] == '=') n = i;
        }
        while (n && head[n - 1] == ' ') n--;
    }
    VEC_PUSH(l->a, l->entry) =
        (Item){kind, arena_strndup(l->a, head, name), arena_strndup(l->a, head, n), about, comment, line, end_of(line), file};
}

static bool read_file(Cli *c, Library *l, const char *folder, const char *file) {
    char *text;
    size_t n;
    if (!file_read(c->ctx, l->a, arena_printf(l->a, "%s/%s", folder, file), &text, &n)) return false;
    const char *comment = NULL;
    VEC_PUSH(l->a, l->file) = file;
    VEC_PUSH(l->a, l->summary) = *text == '#' ? joined(l->a, text, next_line(text)) : "";
    for (const char *p = text; *p; p = next_line(p)) {
        if (kind_at(p)) add_entry(l, file, comment ? comment : p, p);
        if (*p == '#')
            comment = comment ? comment : p;
        else
            comment = NULL;
    }
    return true;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool read_library(Cli *c, Library *l) {
    Arena *a = ctx_arena(c->ctx);
    const char *folder = std_folder(a);
    VEC(const char *) name = {0};
    DIR *dir = opendir(folder);
    *l = (Library){.a = a};
    if (!dir) {
        diag_error(c->ctx, 1, (Span){0, 0}, "%s: the standard library cannot be read: %s", folder, strerror(errno));
        return false;
    }
    for (struct dirent *d; (d = readdir(dir));) {
        size_t n = strlen(d->d_name);
        if (n > 6 && !strcmp(d->d_name + n - 6, ".rondo")) VEC_PUSH(a, name) = arena_strdup(a, d->d_name);
    }
    closedir(dir);
    if (!name.n) {
        diag_error(c->ctx, 1, (Span){0, 0}, "%s: this is not the standard library: there is no .rondo file", folder);
        return false;
    }
    qsort(name.at, name.n, sizeof *name.at, by_text);
    for (uint32_t i = 0; i < name.n; i++)
        if (!read_file(c, l, folder, name.at[i])) return false;
    return true;
}

/* The first sentence, or as much as fits: what stands in brackets or after a colon is for `doc`. */
static void put_about(Str *s, const char *about, size_t room) {
    size_t n = strlen(about);
    if (n <= room) {
        str_put(s, about);
        return;
    }
    for (n = room - 3; n && about[n] != ' ';) n--;
    str_printf(s, "%.*s ..", (int)n, about);
}

CliExit cmd_list(Cli *c) {
    enum { HEAD = 52, HEAD_MOST = 60, WIDTH = 128 }; /* columns */
    Library l;
    if (!read_library(c, &l)) return CLI_INPUT;
    Str s = str_make(l.a);
    for (uint32_t f = 0; f < l.file.n; f++) {
        str_printf(&s, "%s%s: ", f ? "\n" : "", l.file.at[f]);
        put_about(&s, l.summary.at[f], WIDTH - strlen(l.file.at[f]));
        str_putc(&s, '\n');
        for (uint32_t i = 0; i < l.entry.n; i++) {
            const Item *e = &l.entry.at[i];
            if (e->file != l.file.at[f]) continue;
            size_t at = s.n;
            str_printf(&s, "  %-9s ", e->kind);
            put_about(&s, e->head, HEAD_MOST);
            while (s.n - at < HEAD) str_putc(&s, ' ');
            str_putc(&s, ' ');
            put_about(&s, e->about, WIDTH - (s.n - at));
            while (s.at[s.n - 1] == ' ') s.n--;
            str_putc(&s, '\n');
        }
    }
    str_printf(&s, "\n`rondo doc NAME` shows one of them.\n");
    return cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
}

/* "param Wi, Wf: [H, I] = f" as rows of names, shape, start. */
static void put_members(Str *s, const Item *e, const char *word, const char *title) {
    size_t n = strlen(word);
    for (const char *p = e->text; p < e->end; p = next_line(p)) {
        const char *at = p + strspn(p, " "), *stop = next_line(p);
        if (at == p || strncmp(at, word, n) || at[n] != ' ') continue;
        at += n + 1;
        size_t all = strcspn(at, "\n"), names = strcspn(at, ":="), type;
        if (at + all > stop) continue;
        const char *colon = at[names] == ':' ? at + names + 2 : "", *equals = strstr(at, " = ");
        type = equals && equals < at + all ? (size_t)(equals - colon) : strcspn(colon, "\n");
        while (names && at[names - 1] == ' ') names--;
        if (!*colon) colon = "[]", type = 2;
        str_printf(s, "%-11s %-24.*s %-12.*s", title, (int)names, at, (int)type, colon);
        if (equals && equals < at + all) str_printf(s, " %.*s", (int)(at + all - equals - 3), equals + 3);
        while (s->at[s->n - 1] == ' ') s->n--;
        str_putc(s, '\n');
        title = "";
    }
}

static void put_entry(Str *s, const Item *e) {
    str_printf(s, "%s %s, in std/%s\n\n", e->kind, e->name, e->file);
    str_printf(s, "%.*s\n", (int)(e->end - e->comment), e->comment);
    put_members(s, e, "param", "learnt");
    put_members(s, e, "const", "constant");
    put_members(s, e, "state", "remembered");
}

CliExit cmd_doc(Cli *c) {
    Library l;
    if (!read_library(c, &l)) return CLI_INPUT;
    Str s = str_make(l.a);
    const char **known = NEW_N(l.a, const char *, l.entry.n + 1);
    for (uint32_t i = 0; i < l.entry.n; i++) {
        const Item *e = &l.entry.at[i];
        known[i] = e->name;
        if (strcmp(e->name, c->arg[0])) continue;
        if (s.n) str_putc(&s, '\n');
        put_entry(&s, e);
    }
    if (s.n) return cli_write(c, NULL, s.at, s.n) ? CLI_OK : CLI_INPUT;
    const char *near = nearest_name(c->arg[0], known, l.entry.n);
    return cli_usage(c, "std has no '%.60s'%s%s%s; `rondo list` shows what it has", c->arg[0], near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}
