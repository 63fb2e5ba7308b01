/* Loading: the user's file, its imports, std; which declaration a name means. */
#include "frontend/c_import.h"
#include "frontend/sema.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* ---- declarations ----------------------------------------------------------------------------------------------------- */

bool decl_is_callable(const Decl *d)
{
    return d->ast->kind == AST_CELL || d->ast->kind == AST_FN || d->ast->kind == AST_INIT;
}

const char *decl_kind_name(const AstDecl *d)
{
    switch (d->kind) {
    case AST_CELL: return "cell";
    case AST_FN: return "function";
    case AST_MODEL: return "model";
    case AST_DEF_METRIC: return "metric";
    case AST_OPTIMIZER: return "optimizer";
    case AST_INIT: return "initialiser";
    case AST_IMPORT: case AST_IMPORT_C: return "import";
    case AST_DEF_TRAIN: return "train block";
    case AST_DEF_DATA: return "data block";
    }
    return "declaration";
}

static bool is_named(const AstDecl *d)
{
    return d->kind != AST_IMPORT && d->kind != AST_IMPORT_C && d->kind != AST_DEF_TRAIN && d->kind != AST_DEF_DATA;
}

Decl *unit_find_own(Unit *u, Name name, bool model)
{
    for (uint32_t i = 0; i < u->decl.n; i++)
        if (u->decl.at[i]->name == name && (u->decl.at[i]->ast->kind == AST_MODEL) == model) return u->decl.at[i];
    return NULL;
}

static Decl *std_find(Program *p, Unit *u, Name name);

Decl *unit_find(Program *p, Unit *u, Name name)
{
    Decl *d = unit_find_own(u, name, false);

    for (uint32_t i = 0; !d && i < u->import.n; i++)
        if (!u->import.at[i].as) d = unit_find_own(u->import.at[i].unit, name, false);
    for (uint32_t i = 0; !d && i < p->unit.n; i++)
        if (p->unit.at[i]->std) d = std_find(p, p->unit.at[i], name);
    return d;
}

Decl *unit_find_in(Unit *u, Name as, Name name)
{
    for (uint32_t i = 0; i < u->import.n; i++)
        if (u->import.at[i].as == as) return unit_find_own(u->import.at[i].unit, name, false);
    return NULL;
}

Decl *unit_find_dotted(Program *p, Unit *u, Name name)
{
    const char *text = name_str(p->ctx, name), *dot = strchr(text, '.');

    return dot ? unit_find_in(u, intern_n(p->ctx, text, (size_t)(dot - text)), intern(p->ctx, dot + 1)) : unit_find(p, u, name);
}

/* ---- files ------------------------------------------------------------------------------------------------------------ */

enum { UNITS_MAX = 500 };

static Unit *unit_load(Program *p, const char *path, const char *key, bool std);

/* a/./b and a/c/../b are a/b: one file has one path, so that files may import each other. */
static const char *clean(Program *p, const char *path)
{
    char *out = arena_strdup(p->arena, path);
    size_t root = path[0] == '/', len = root;

    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/"), last = len;
        while (last > root && out[last - 1] != '/') last--; /* the component before */
        if (n == 2 && !memcmp(at, "..", 2) && last < len && !(len - last == 2 && !memcmp(out + last, "..", 2))) {
            len = last > root ? last - 1 : last;
        } else if (n && !(n == 1 && at[0] == '.')) {
            if (len > root) out[len++] = '/';
            memmove(out + len, at, n);
            len += n;
        }
        at += n;
        while (*at == '/') at++;
    }
    out[len] = 0;
    return out;
}

/* What two paths of one file have in common. */
static const char *key_of(Program *p, const char *path)
{
    const char *real = file_real(p->arena, path);

    return real ? real : clean(p, path);
}

static const char *beside(Program *p, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    if (name[0] == '/' || !slash) return clean(p, name);
    return clean(p, arena_printf(p->arena, "%.*s/%s", (int)(slash - path), path, name));
}

static bool exists(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f) fclose(f);
    return f != NULL;
}

static void unit_import(Program *p, Unit *u, const AstDecl *d)
{
    const char *name = name_str(p->ctx, d->path), *near = beside(p, u->path, name), *std = NULL;
    const char *path = near;
    Unit *v;

    if (!exists(near) && p->opt.std_dir) {
        std = arena_printf(p->arena, "%s/%s", p->opt.std_dir, name);
        if (exists(std)) path = std;
    }
    if (!exists(path)) {
        diag_error(p->ctx, 214, d->path_span, "no file `%s`", name);
        diag_note(p->ctx, (Span){0, 0}, std ? "looked for `%s` and `%s`" : "looked for `%s`", near, std);
        p->broken = true;
        return;
    }
    v = unit_load(p, path, key_of(p, path), false);
    if (v) VEC_PUSH(p->arena, u->import) = (Import){d->name, v, d->span, false};
}

/* The declaration's names are looked up in `home`. */
static void unit_declare(Program *p, Unit *u, Unit *home, AstDecl *ast)
{
    Decl *d;

    for (uint32_t i = 0; i < u->decl.n; i++)
        if (u->decl.at[i]->name == ast->name && (u->decl.at[i]->ast->kind == AST_MODEL) == (ast->kind == AST_MODEL)) {
            diag_error(p->ctx, 201, ast->name_span, "`%s` is declared twice", name_str(p->ctx, ast->name));
            diag_note(p->ctx, u->decl.at[i]->ast->name_span, "first here");
            return;
        }
    d = NEW(p->arena, Decl);
    d->ast = ast;
    d->unit = home;
    d->name = ast->name;
    VEC_PUSH(p->arena, u->decl) = d;
}

static Unit *unit_add(Program *p, const char *path, const char *key, bool std)
{
    Unit *u;

    if (p->unit.n >= UNITS_MAX) {
        diag_error(p->ctx, 901, (Span){0, 0}, "more than %d files", UNITS_MAX);
        p->broken = true;
        return NULL;
    }
    u = NEW(p->arena, Unit);
    u->path = arena_strdup(p->arena, path);
    u->key = key;
    u->std = std;
    VEC_PUSH(p->arena, p->unit) = u;
    return u;
}

/* A C header is a unit whose functions see primitives only: what a function is called in C hides nothing from the others. */
static Unit *header_load(Program *p, const char *path, Span at)
{
    const Source *src;
    CDecls fn = {0};
    Unit *u = NULL, *home = NEW(p->arena, Unit);

    for (uint32_t i = 0; i < p->unit.n; i++)
        if (!strcmp(p->unit.at[i]->key, path)) return p->unit.at[i];
    src = source_read(p->ctx, path);
    if (src && c_import(p->ctx, p->arena, src, at, &fn)) u = unit_add(p, path, path, false);
    if (!u) {
        p->broken = true;
        return NULL;
    }
    home->path = home->key = u->path;
    u->ast = NEW(p->arena, AstFile);
    for (uint32_t i = 0; i < fn.n; i++) unit_declare(p, u, home, fn.at[i]);
    return u;
}

static void unit_import_c(Program *p, Unit *u, const AstDecl *d)
{
    const char *path = beside(p, u->path, name_str(p->ctx, d->path));
    Unit *v;

    if (!exists(path)) {
        diag_error(p->ctx, 214, d->path_span, "no file `%s`", name_str(p->ctx, d->path));
        diag_note(p->ctx, (Span){0, 0}, "looked for `%s`", path);
        p->broken = true;
        return;
    }
    v = header_load(p, path, d->span);
    if (v) VEC_PUSH(p->arena, u->import) = (Import){0, v, d->span, false};
}

static AstFile *unit_parse(Program *p, Unit *u, const Source *src)
{
    AstFile *ast = parse_file(p->ctx, p->arena, src);

    p->broken |= !ast->ok;
    for (uint32_t i = 0; i < ast->decls.n; i++) {
        AstDecl *d = ast->decls.at[i];
        if (is_named(d)) unit_declare(p, u, u, d);
        else if (d->kind == AST_IMPORT) unit_import(p, u, d);
        else if (d->kind == AST_IMPORT_C) unit_import_c(p, u, d);
    }
    return ast;
}

/* ---- std: parsed declaration by declaration, when a name is asked for ------------------------------------------------ */

static bool is_letter(char c)
{
    return (unsigned)(c | 32) - 'a' < 26 || c == '_';
}

static bool is_word(const char *at, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(at, word, n);
}

static bool begins_declaration(const char *at, size_t n)
{
    switch (*at) {
    case 'c': return is_word(at, n, "cell");
    case 'd': return is_word(at, n, "data");
    case 'f': return is_word(at, n, "fn");
    case 'i': return is_word(at, n, "init");
    case 'm': return is_word(at, n, "model") || is_word(at, n, "metric");
    case 'o': return is_word(at, n, "optimizer");
    case 't': return is_word(at, n, "train");
    default: return false;
    }
}

static const char *skip_comment(const char *at)
{
    const char *end = strchr(at, '\n');

    return end ? end : at + strlen(at);
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"' && *at != '\n'; at++)
        if (*at == '\\' && at[1] && at[1] != '\n') at++;
    return *at == '"' ? at + 1 : at;
}

/* In the first column, outside of brackets, such a word with a name behind it on its line begins a declaration whatever stands before it,
   so the file can be cut there. */
static void begin_piece(Program *p, Unit *u, const char *head, const char *name, int depth)
{
    const char *text = u->source->text;
    bool first = head == text || head[-1] == '\n';

    if (!u->piece.n) VEC_PUSH(p->arena, u->piece) = (StdPiece){0};
    else if (first && !depth && !memchr(head, '\n', (size_t)(name - head))) VEC_PUSH(p->arena, u->piece) = (StdPiece){.lo = (uint32_t)(head - text)};
}

/* A declaration is one of these words and then its name, so every name behind such a word is one that may be declared. False if
   the file has to be parsed to know: it imports another. */
static bool list_names(Program *p, Unit *u)
{
    const char *head = NULL;
    int depth = 0;

    for (const char *at = u->source->text; *at;) {
        const char *from = at;
        if (*at == '#') {
            at = skip_comment(at);
        } else if (*at == ' ' || (*at >= '\t' && *at <= '\r')) {
            at++;
        } else if (is_letter(*at)) {
            while (is_letter(*at) || (unsigned)*at - '0' < 10) at++;
            if (is_word(from, (size_t)(at - from), "import")) return false;
            if (head) {
                begin_piece(p, u, head, from, depth);
                VEC_PUSH(p->arena, u->may) = (StdName){intern_n(p->ctx, from, (size_t)(at - from)), u->piece.n - 1};
            }
            head = begins_declaration(from, (size_t)(at - from)) ? from : NULL;
        } else {
            if (*at == '(' || *at == '[' || *at == '{') depth++;
            if ((*at == ')' || *at == ']' || *at == '}') && depth) depth--;
            at = *at == '"' ? skip_string(at) : at + 1;
            head = NULL;
        }
    }
    return true;
}

static void std_open(Program *p, Unit *u, uint32_t i)
{
    StdPiece *x = &u->piece.at[i];
    Source *part;

    if (x->parsed) return;
    part = NEW(p->arena, Source);
    *part = *u->source;
    part->text += x->lo;
    part->base += x->lo;
    part->size = (i + 1 < u->piece.n ? x[1].lo : u->source->size) - x->lo;
    unit_parse(p, u, part);
    x->parsed = true;
    elab_check_kinds(p, u);
}

void std_open_all(Program *p)
{
    for (uint32_t i = 0; i < p->unit.n; i++)
        for (uint32_t k = 0; k < p->unit.at[i]->piece.n; k++) std_open(p, p->unit.at[i], k);
}

static Decl *std_find(Program *p, Unit *u, Name name)
{
    for (uint32_t i = 0; i < u->may.n; i++)
        if (u->may.at[i].name == name) std_open(p, u, u->may.at[i].piece);
    return unit_find_own(u, name, false);
}

/* ---- all files -------------------------------------------------------------------------------------------------------- */

static Unit *unit_load(Program *p, const char *path, const char *key, bool std)
{
    const Source *src;
    Unit *u;

    for (uint32_t i = 0; i < p->unit.n; i++)
        if (!strcmp(p->unit.at[i]->key, key)) return p->unit.at[i];
    if (!p->unit.n && p->opt.text) src = source_add(p->ctx, path, p->opt.text, strlen(p->opt.text));
    else src = source_read(p->ctx, path);
    if (!src) {
        p->broken = true;
        return NULL;
    }
    u = unit_add(p, path, key, std);
    if (!u) return NULL;
    u->source = src;
    if (std && list_names(p, u)) return u;
    u->piece.n = u->may.n = 0;
    u->ast = unit_parse(p, u, src);
    return u;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct {
    const char **at;
    uint32_t n, cap;
} Paths;

static void list_std(Program *p, DIR *dir, Paths *path)
{
    struct dirent *f;

    while ((f = readdir(dir)) != NULL) {
        size_t n = strlen(f->d_name);
        if (n > 6 && !strcmp(f->d_name + n - 6, ".rondo")) VEC_PUSH(p->arena, *path) = arena_printf(p->arena, "%s/%s", p->opt.std_dir, f->d_name);
    }
}

/* The folder's own way is followed once; a file in it that is no link has its name there. */
static const char *std_key(Program *p, const char *folder, const char *path)
{
    return folder && file_is_plain(path) ? arena_printf(p->arena, "%s%s", folder, strrchr(path, '/')) : key_of(p, path);
}

static void no_std(Program *p, const char *why)
{
    diag_error(p->ctx, 1, (Span){0, 0}, "%s: %s", p->opt.std_dir, why);
    diag_help(p->ctx, (Span){0, 0}, "the variable RONDO_STD names its folder");
    p->broken = true;
}

/* Every .rondo file of the folder, in the order of their names. */
static void load_std(Program *p)
{
    Paths path = {0};
    const char *folder;
    CtxFrame frame;
    DIR *dir;

    if (!p->opt.std_dir) return;
    dir = opendir(p->opt.std_dir);
    if (!dir) {
        no_std(p, "the standard library cannot be read");
        return;
    }
    if (CTX_TRY(p->ctx, &frame)) {
        list_std(p, dir, &path);
        CTX_END(p->ctx);
    } else {
        closedir(dir);
        ctx_out_of_memory(p->ctx);
    }
    closedir(dir);
    if (!path.n) {
        no_std(p, "this is not the standard library: there is no .rondo file");
        return;
    }
    qsort(path.at, path.n, sizeof *path.at, by_text);
    folder = file_real(p->arena, p->opt.std_dir);
    for (uint32_t i = 0; i < path.n; i++) unit_load(p, path.at[i], std_key(p, folder, path.at[i]), true);
}

static void warn_hidden(Program *p)
{
    Unit *u = p->unit.at[0];

    for (uint32_t i = 0; i < u->decl.n; i++)
        for (uint32_t k = 1; k < p->unit.n; k++) {
            bool model = u->decl.at[i]->ast->kind == AST_MODEL;
            Decl *d = p->unit.at[k]->std && !model ? std_find(p, p->unit.at[k], u->decl.at[i]->name) : NULL;
            if (!d) continue;
            diag_warning(p->ctx, 211, u->decl.at[i]->ast->name_span, "`%s` hides the one of the standard library", name_str(p->ctx, d->name));
            diag_note(p->ctx, d->ast->name_span, "this one");
        }
}

/* ---- the model -------------------------------------------------------------------------------------------------------- */

static bool pick_model(Program *p)
{
    VEC(const char *) names = {0};
    Unit *u = p->unit.at[0];
    const char *near;

    for (uint32_t i = 0; i < u->decl.n; i++) {
        Decl *d = u->decl.at[i];
        if (d->ast->kind != AST_MODEL) continue;
        VEC_PUSH(p->arena, p->model_name) = d->name;
        VEC_PUSH(p->arena, names) = name_str(p->ctx, d->name);
        if (!p->opt.model || !strcmp(name_str(p->ctx, d->name), p->opt.model)) p->model = d;
    }
    for (uint32_t i = 0; i < u->ast->decls.n; i++) {
        AstDecl *d = u->ast->decls.at[i];
        if ((d->kind != AST_DEF_TRAIN && d->kind != AST_DEF_DATA) || unit_find_own(u, d->name, true)) continue;
        diag_error(p->ctx, 503, d->name_span, "no model `%s` for this %s", name_str(p->ctx, d->name), decl_kind_name(d));
        near = nearest_name(name_str(p->ctx, d->name), names.at, names.n);
        if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    }
    if (p->opt.model && !p->model) {
        diag_error(p->ctx, 407, (Span){0, 0}, "%s has no model `%s`", u->path, p->opt.model);
        near = nearest_name(p->opt.model, names.at, names.n);
        if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
        return false;
    }
    return true;
}

static void describe(Program *p, const Module *m)
{
    ModelDesc *d = &p->desc;
    uint64_t h = 0;

    d->name = p->model->name;
    d->span = p->model->ast->head;
    d->theta_size = m->theta_size;
    for (uint32_t i = 0; i < m->param.n; i++) {
        const Param *q = &m->param.at[i];
        ParamDesc r = {.name = q->name, .rank = q->rank, .count = 1, .is_const = q->is_const, .span = {q->span, q->span}};
        const char *n = name_str(p->ctx, q->name);
        memcpy(r.dim, q->dim, sizeof r.dim);
        for (int k = 0; k < q->rank; k++) r.count *= q->dim[k];
        VEC_PUSH(p->arena, d->param) = r;
        h = hash_bytes(h, n, strlen(n));
        h = hash_bytes(h + q->rank, q->dim, sizeof q->dim);
    }
    for (uint32_t i = 0; i < m->state.n; i++) {
        const State *q = &m->state.at[i];
        StateDesc r = {.name = q->name, .dtype = q->dtype, .rank = q->rank, .vocab = q->vocab};
        memcpy(r.dim, q->dim, sizeof r.dim);
        VEC_PUSH(p->arena, d->state) = r;
    }
    d->hash = h;
}

static bool check_kinds(Program *p)
{
    bool ok = true;

    for (uint32_t i = 0; i < p->unit.n; i++) ok &= elab_check_kinds(p, p->unit.at[i]);
    return ok;
}

/* The optimizer of the train block, with the arguments given to it. */
static void check_optimizer(Program *p, Arena *a)
{
    const Setting *v = settings_find(&p->desc.train, intern(p->ctx, "optimizer"));
    Decl *d = v ? unit_find_dotted(p, p->unit.at[0], v->name) : NULL;

    if (d && d->ast->kind == AST_OPTIMIZER) optimizer_module(p, a, d, v);
}

/* Set on the command line: checked already. */
static bool is_override(Program *p, const Entry *e)
{
    const Source *s = source_of(p->ctx, e->span.lo);

    return s && !strncmp(s->path, "--set ", 6);
}

/* The keys that the command line sets, then what all of them mean. */
static void apply_settings(Program *p)
{
    KeyBlock b;

    for (uint32_t i = 0; i < p->opt.nset; i++)
        if (settings_is_key(p->opt.set[i], &b)) settings_override(p, b, p->opt.set[i]);
    for (uint32_t i = 0; i < p->desc.train.n; i++)
        if (!is_override(p, &p->desc.train.at[i])) settings_meaning(p, KEYS_TRAIN, &p->desc.train.at[i]);
    for (uint32_t i = 0; i < p->desc.data.n; i++)
        if (!is_override(p, &p->desc.data.at[i])) settings_meaning(p, KEYS_DATA, &p->desc.data.at[i]);
}

Program *frontend_load(Ctx *ctx, Arena *a, const char *path, const FrontendOptions *o)
{
    Program *p = NEW(a, Program);
    uint32_t errors = diag_error_count(ctx);
    BuildOptions check = {.training = true};

    p->ctx = ctx;
    p->arena = a;
    if (o) p->opt = *o;
    if (!unit_load(p, path, key_of(p, path), false)) return NULL;
    load_std(p);
    if (p->broken) return NULL; /* what is missing now would only be missed again below */
    warn_hidden(p);
    if (!pick_model(p) || !check_kinds(p)) return NULL;
    if (p->model) {
        Elab *e = elab_model(p, a, &check, &p->desc);
        if (e && diag_error_count(ctx) == errors) {
            describe(p, e->m);
            module_dce(e->m);
            p->checked = e->m;
        }
        for (uint32_t i = 0; diag_error_count(ctx) == errors && i < p->metric.n; i++) frontend_metric(p, a, i);
        check_optimizer(p, a);
    }
    elab_check_alone(p);
    if (p->model && diag_error_count(ctx) == errors) apply_settings(p);
    return diag_error_count(ctx) == errors ? p : NULL;
}

const ModelDesc *frontend_desc(const Program *p)
{
    return &p->desc;
}

uint32_t frontend_model_count(const Program *p)
{
    return p->model_name.n;
}

const char *frontend_model_name(const Program *p, uint32_t i)
{
    return name_str(p->ctx, p->model_name.at[i]);
}
