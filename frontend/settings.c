/* The train and data blocks: keys and values against keys.def; reading them. */
#include "frontend/sema.h"

#include <math.h>
#include <string.h>

const KeyRow key_rows[] = {
#define K(block, key, type, range, init, doc) {block, key, type, range, init, doc},
#define W(key, way, arg, type, range, init)
#include "frontend/keys.def"
#undef W
#undef K
};
const uint32_t key_row_count = sizeof key_rows / sizeof key_rows[0];

static const char *block_name(KeyBlock b)
{
    return b == KEYS_DATA ? "data" : "train";
}

const KeyRow *settings_row(KeyBlock b, const char *key)
{
    for (uint32_t i = 0; i < key_row_count; i++)
        if (!strcmp(key_rows[i].block, block_name(b)) && !strcmp(key_rows[i].key, key)) return &key_rows[i];
    return NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

static bool to_setting(Program *p, Scope *s, const AstExpr *x, Setting *out);

static bool to_items(Program *p, Scope *s, const AstArgs *a, Setting *out)
{
    Setting *item = NEW_N(p->arena, Setting, a->n + 1);
    Name *arg = NEW_N(p->arena, Name, a->n + 1);
    Span *span = NEW_N(p->arena, Span, a->n + 1);

    for (uint32_t i = 0; i < a->n; i++) {
        arg[i] = a->at[i].name;
        span[i] = a->at[i].name ? a->at[i].name_span : a->at[i].span;
        if (!to_setting(p, s, a->at[i].value, &item[i])) return false;
    }
    out->n = a->n;
    out->item = item;
    out->arg = arg;
    out->arg_span = span;
    return true;
}

static bool to_number(Setting *out, double v, bool is_int)
{
    out->kind = SET_NUMBER;
    out->number = v;
    out->is_int = is_int;
    return true;
}

static bool not_a_setting(Program *p, const AstExpr *x)
{
    if (x->kind != AST_ERROR) diag_error(p->ctx, 501, x->span, "this cannot be the value of a key");
    return false;
}

static bool computed(Program *p, Scope *s, const AstExpr *x, Setting *out)
{
    const Val *v = s ? eval(s, x) : &val_poison;

    if (v->kind == V_NUM) return to_number(out, v->num, v->is_int);
    return v->kind == V_POISON && s ? false : not_a_setting(p, x);
}

/* `adam`, or `c.adam` of an import: its text; 0: neither. */
static Name setting_name(Program *p, const AstExpr *x)
{
    if (x->kind == AST_NAME && !x->primed) return x->name;
    if (x->kind != AST_MEMBER || x->primed || x->a->kind != AST_NAME) return 0;
    return intern_printf(p->ctx, "%s.%s", name_str(p->ctx, x->a->name), name_str(p->ctx, x->name));
}

static bool to_setting(Program *p, Scope *s, const AstExpr *x, Setting *out)
{
    Binding *b;

    out->span = x->span;
    switch (x->kind) {
    case AST_NUMBER: return to_number(out, x->number, x->is_int);
    case AST_BOOL:
        out->kind = SET_BOOL;
        out->number = x->number;
        return true;
    case AST_STRING:
        out->kind = SET_STRING;
        out->name = x->name;
        return true;
    case AST_NAME:
        b = s ? scope_find(s, x->name, false) : NULL;
        if (b && b->val && b->val->kind == V_NUM) return to_number(out, b->val->num, b->val->is_int);
        out->kind = SET_NAME;
        out->name = x->name;
        return true;
    case AST_JOIN:
        if (x->args.n && x->args.at[x->args.n - 1].name) {
            diag_error(p->ctx, 115, x->args.at[x->args.n - 1].span, "the parts of a list have no names");
            return false;
        }
        out->kind = SET_LIST;
        return to_items(p, s, &x->args, out);
    case AST_CALL:
        out->kind = SET_CALL;
        out->name = setting_name(p, x->a);
        if (!out->name) return not_a_setting(p, x);
        return to_items(p, s, &x->args, out);
    case AST_RANGE: {
        Setting *item = NEW_N(p->arena, Setting, 2);
        if (!x->a || !x->b || !to_setting(p, s, x->a, &item[0]) || !to_setting(p, s, x->b, &item[1])) return not_a_setting(p, x);
        out->kind = SET_PAIR;
        out->n = 2;
        out->item = item;
        return true;
    }
    case AST_UNARY:
        if (x->op == AST_NEG && x->a->kind == AST_NUMBER) return to_number(out, -x->a->number, x->a->is_int);
        return computed(p, s, x, out);
    case AST_BINARY: return computed(p, s, x, out);
    case AST_MEMBER:
        out->kind = SET_NAME;
        out->name = setting_name(p, x);
        return out->name ? true : not_a_setting(p, x);
    case AST_ERROR: case AST_BRACKET: break;
    }
    return not_a_setting(p, x);
}

static bool all_of(const Setting *v, SettingKind a, SettingKind b)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (v->item[i].kind != a && v->item[i].kind != b) return false;
    return true;
}

static bool fits(const Setting *v, const char *type)
{
    if (!strcmp(type, "any")) return true;
    if (!strcmp(type, "int")) return v->kind == SET_NUMBER && v->number == floor(v->number) && fabs(v->number) <= 9007199254740992.0;
    if (!strcmp(type, "number")) return v->kind == SET_NUMBER;
    if (!strcmp(type, "bool")) return v->kind == SET_BOOL || (v->kind == SET_NUMBER && (v->number == 0 || v->number == 1));
    if (!strcmp(type, "string")) return v->kind == SET_STRING || v->kind == SET_NAME;
    if (!strcmp(type, "name")) return v->kind == SET_NAME || v->kind == SET_STRING;
    if (!strcmp(type, "call")) return v->kind == SET_CALL || v->kind == SET_NAME;
    if (!strcmp(type, "part")) return v->kind == SET_NUMBER || v->kind == SET_CALL || v->kind == SET_NAME;
    if (!strcmp(type, "columns")) return v->kind == SET_STRING || v->kind == SET_NAME || (v->kind == SET_LIST && v->n && all_of(v, SET_STRING, SET_NUMBER));
    if (!strcmp(type, "list")) return v->kind == SET_STRING || (v->kind == SET_LIST && all_of(v, SET_STRING, SET_NUMBER));
    if (!strcmp(type, "pairs")) return v->kind == SET_NUMBER || v->kind == SET_PAIR || (v->kind == SET_LIST && all_of(v, SET_PAIR, SET_PAIR));
    return false;
}

static const char *type_words(const char *type)
{
    static const char *const words[][2] = {
        {"int", "a whole number"}, {"number", "a number"}, {"bool", "true or false"}, {"string", "a text: \"...\""}, {"name", "a name"},
        {"part", "a part (a number), or a way to split: name(part)"}, {"call", "a name with arguments: name(key = value)"}, {"columns", "the name of a column, or a list of names: [\"a\", \"b\"]"}, {"list", "a list: [\"a\", \"b\"]"}, {"pairs", "a list of pairs: [\"pattern\": number]"}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(words[i][0], type)) return words[i][1];
    return "a value";
}

/* ---- checking --------------------------------------------------------------------------------------------------------- */

/* Keys of other tools, and what says the same here; NULL: no such key. */
static const char *key_here(KeyBlock b, const char *key)
{
    static const char *const train[][2] = {
        {"lr", "`optimizer = adam(lr = 1e-3)` has it"}, {"learning_rate", "`optimizer = adam(lr = 1e-3)` has it"},
        {"loss", "a statement of the model says it: `loss mse(p, y)`"}, {"metrics", "a statement of the model says them: `metric mae(p, y)`"},
        {"metric", "a statement of the model says it: `metric mae(p, y)`"}, {"batch_size", "did you mean `batch`?"},
        {"patience", "did you mean `early_stopping`?"}, {"dropout", "it is a layer of the model: `dropout[0.2](x)`"},
        {"weight_decay", "did you mean `decay`, or `optimizer = adamw(decay = 0.01)`?"}, {"validation_split", "did you mean `validation`?"}};
    static const char *const data[][2] = {
        {"file", "did you mean `csv`, `text`, `jsonl`, `ts`, `npz`, `lines` or `wav`?"}, {"path", "did you mean `csv`, `text`, `jsonl`, `ts`, `npz`, `lines` or `wav`?"},
        {"lookback", "did you mean `window`?"}, {"seq_len", "did you mean `window`?"}, {"sequence_length", "did you mean `window`?"}, {"window_size", "did you mean `window`?"},
        {"sep", "did you mean `separator`?"}, {"delimiter", "did you mean `separator`?"}, {"missing", "did you mean `gaps`?"}, {"fill", "did you mean `gaps`?"},
        {"normalize", "did you mean `scale`?"}, {"train_split", "did you mean `split`?"}, {"label", "did you mean `target_column`?"}, {"target", "did you mean `target_column`?"},
        {"features", "did you mean `column`?"}, {"json", "did you mean `jsonl`, an object in each line?"}, {"tsv", "did you mean `csv`? It reads files of either kind"}};
    const char *const (*way)[2] = b == KEYS_DATA ? data : train;
    size_t n = b == KEYS_DATA ? sizeof data / sizeof *data : sizeof train / sizeof *train;

    for (size_t i = 0; i < n; i++)
        if (!strcmp(way[i][0], key)) return way[i][1];
    return NULL;
}

static void unknown_key(Ctx *ctx, KeyBlock b, const char *key, Span at)
{
    const char *names[64], *near;
    KeyBlock other = b == KEYS_DATA ? KEYS_TRAIN : KEYS_DATA;
    uint32_t n = 0;

    for (uint32_t i = 0; i < key_row_count && n < 64; i++)
        if (!strcmp(key_rows[i].block, block_name(b))) names[n++] = key_rows[i].key;
    near = nearest_name(key, names, n);
    diag_error(ctx, 500, at, "`%s` has no key `%s`", block_name(b), key);
    if (key_here(b, key)) diag_help(ctx, (Span){0, 0}, "%s", key_here(b, key));
    else if (near) diag_help(ctx, (Span){0, 0}, "did you mean `%s`?", near);
    else if (settings_row(other, key)) diag_help(ctx, (Span){0, 0}, "it belongs to the `%s` block", block_name(other));
}

static bool check_optimizer(Program *p, Unit *u, const Setting *v)
{
    VEC(const char *) names = {0};
    Decl *d = unit_find_dotted(p, u, v->name);
    const char *near;

    if (d && d->ast->kind == AST_OPTIMIZER) return true;
    std_open_all(p);
    for (uint32_t i = 0; i < p->unit.n; i++)
        for (uint32_t k = 0; k < p->unit.at[i]->decl.n; k++)
            if (p->unit.at[i]->decl.at[k]->ast->kind == AST_OPTIMIZER) VEC_PUSH(p->arena, names) = name_str(p->ctx, p->unit.at[i]->decl.at[k]->name);
    near = nearest_name(name_str(p->ctx, v->name), names.at, names.n);
    diag_error(p->ctx, 505, v->span, "no optimizer `%s`", name_str(p->ctx, v->name));
    if (d) {
        diag_note(p->ctx, d->ast->name_span, "`%s` is a %s", name_str(p->ctx, v->name), decl_kind_name(d->ast));
        diag_help(p->ctx, (Span){0, 0}, "for example `optimizer = adam(lr = 1e-3)`");
    } else if (near) diag_help(p->ctx, (Span){0, 0}, "did you mean `%s`?", near);
    return false;
}

static bool check_entry(Program *p, Unit *u, Scope *s, const AstEntry *x, KeyBlock b, Entry *e)
{
    const char *key = name_str(p->ctx, x->key);
    const KeyRow *row = settings_row(b, key);

    if (!row) {
        unknown_key(p->ctx, b, key, x->key_span);
        return false;
    }
    e->key = x->key;
    e->span = x->span;
    if (!to_setting(p, s, x->value, &e->value)) return false;
    if (!fits(&e->value, row->type)) {
        diag_error(p->ctx, 501, x->value->span, "`%s` is %s", key, type_words(row->type));
        diag_help(p->ctx, (Span){0, 0}, "%s", row->doc);
        return false;
    }
    if (b == KEYS_TRAIN && !strcmp(key, "optimizer")) return check_optimizer(p, u, &e->value);
    return true;
}

bool settings_check(Program *p, Scope *s, const AstEntries *at, KeyBlock b, Settings *out)
{
    Entry *all = NEW_N(p->arena, Entry, out->n + at->n + 1);
    uint32_t n = out->n;
    bool ok = true;

    memcpy(all, out->at ? out->at : all, n * sizeof *all);
    for (uint32_t i = 0; i < at->n; i++) {
        bool twice = false;
        if (!check_entry(p, s->unit, s, &at->at[i], b, &all[n])) {
            ok = false;
            continue;
        }
        for (uint32_t k = 0; k < n && !twice; k++)
            if (all[k].key == all[n].key) {
                diag_error(p->ctx, 502, at->at[i].key_span, "`%s` is set twice", name_str(p->ctx, all[n].key));
                diag_note(p->ctx, all[k].span, "first here");
                twice = true;
                ok = false;
            }
        if (!twice) n++;
    }
    if (at->n) out->span = span_join(at->at[0].span, at->at[at->n - 1].span);
    out->at = all;
    out->n = n;
    return ok;
}

bool settings_is_key(const char *assignment, KeyBlock *block)
{
    size_t n = strcspn(assignment, "= ");

    for (uint32_t i = 0; i < key_row_count; i++) {
        if (strncmp(key_rows[i].key, assignment, n) != 0 || key_rows[i].key[n]) continue;
        *block = strcmp(key_rows[i].block, "data") == 0 ? KEYS_DATA : KEYS_TRAIN;
        return true;
    }
    return false;
}

/* The value of a key that takes a string is one without quotes too: monitor=loss, date=0. */
static const char *value_text(Program *p, KeyBlock b, Name key, const char *value)
{
    const KeyRow *row = settings_row(b, name_str(p->ctx, key));

    value += strspn(value, " ");
    if (!row || (strcmp(row->type, "string") && strcmp(row->type, "columns")) || !*value || *value == '[' || strpbrk(value, "\"\\\n")) return value;
    return arena_printf(p->arena, "\"%s\"", value);
}

bool settings_override(Program *p, KeyBlock b, const char *assignment)
{
    const char *eq = strchr(assignment, '=');
    Settings *s = b == KEYS_DATA ? &p->desc.data : &p->desc.train;
    Entry *all = NEW_N(p->arena, Entry, s->n + 1);
    const Source *src;
    const char *value;
    AstEntry x = {0};
    uint32_t n = 0;
    size_t len;

    if (!eq) {
        diag_error(p->ctx, 504, (Span){0, 0}, "`%s`: write key=value", assignment);
        return false;
    }
    len = (size_t)(eq - assignment);
    while (len && assignment[len - 1] == ' ') len--;
    x.key = intern_n(p->ctx, assignment, len);
    value = value_text(p, b, x.key, eq + 1);
    src = source_add(p->ctx, arena_printf(p->arena, "--set %s", assignment), value, strlen(value));
    x.value = src ? parse_expr(p->ctx, p->arena, src) : NULL;
    if (!x.value) return false;
    x.span = x.value->span;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->at[i].key != x.key) all[n++] = s->at[i];
    if (!check_entry(p, p->unit.at[0], NULL, &x, b, &all[n])) return false;
    if (x.key == intern(p->ctx, "optimizer") && !frontend_optimizer(p, p->arena, name_str(p->ctx, all[n].value.name), &all[n].value)) return false;
    if (!settings_meaning(p, b, &all[n])) return false;
    s->at = all;
    s->n = n + 1;
    return true;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

const Setting *settings_find(const Settings *s, Name key)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->at[i].key == key) return &s->at[i].value;
    return NULL;
}

double settings_number(Ctx *ctx, const Settings *s, KeyBlock b, const char *key)
{
    const Setting *v = settings_find(s, intern(ctx, key));
    const KeyRow *row = settings_row(b, key);
    char *end;
    double d;

    if (v) return v->kind == SET_NUMBER || v->kind == SET_BOOL ? v->number : (double)NAN;
    if (!row || !row->init[0]) return (double)NAN;
    d = parse_double(row->init, &end);
    return *end ? (double)NAN : d;
}

bool settings_bool(Ctx *ctx, const Settings *s, KeyBlock b, const char *key)
{
    const Setting *v = settings_find(s, intern(ctx, key));
    const KeyRow *row = settings_row(b, key);

    if (v) return v->number != 0;
    return row && !strcmp(row->init, "true");
}

const char *settings_string(Ctx *ctx, const Settings *s, KeyBlock b, const char *key)
{
    const Setting *v = settings_find(s, intern(ctx, key));
    const KeyRow *row = settings_row(b, key);

    if (v) return v->kind == SET_STRING || v->kind == SET_NAME || v->kind == SET_CALL ? name_str(ctx, v->name) : NULL;
    return row && row->init[0] ? row->init : NULL;
}
