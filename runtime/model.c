/* model: opening a model, its modules and executables, and its weights in memory: one slab, theta, in declared layout. */
#include <string.h>
#include <unistd.h>

#include "base/plugin.h"
#include "runtime/records.h"

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

const char *std_folder(Arena *a) {
    static const char *const from_code[] = {"../share/rondo/std", "share/rondo/std", "../../share/rondo/std"};
    const char *given = getenv("RONDO_STD");
    if (given && *given) return given;
    char folder[PATH_MAX], real[PATH_MAX];
    for (size_t k = 0; k < 3 && code_folder(folder); k++) {
        const char *path = arena_printf(a, "%s/%s", folder, from_code[k]);
        if (realpath(path, real)) return arena_strdup(a, real);
    }
    return RONDO_STD_DIR;
}

static void copy_options(Model *m, const ModelOptions *o) {
    m->opt = *o;
    m->opt.exec.memory = &m->memory;
    const char **set = NEW_N(&m->arena, const char *, o->nset + 1);
    for (size_t i = 0; i < o->nset; i++) set[i] = arena_strdup(&m->arena, o->set[i]);
    m->opt.set = set;
    if (o->model) m->opt.model = arena_strdup(&m->arena, o->model);
    m->opt.std_dir = arena_strdup(&m->arena, o->std_dir ? o->std_dir : std_folder(&m->arena));
    m->f64 = o->exec.f64 || o->exec.engine == EXEC_EVAL;
}

static bool open_model(void *arg) {
    const Opening *k = arg;
    Model *m = k->m;
    copy_options(m, k->o);
    m->path = arena_strdup(&m->arena, k->path);
    if (k->text && memchr(k->text, 0, k->n)) {
        diag_error(m->ctx, 2, NOWHERE, "%s: the text holds a NUL byte", k->path);
        return false;
    }
    FrontendOptions fo = {.std_dir = m->opt.std_dir, .set = m->opt.set, .nset = (uint32_t)m->opt.nset, .model = m->opt.model};
    if (k->text) fo.text = arena_strndup(&m->arena, k->text, k->n);
    m->program = frontend_load(m->ctx, &m->arena, k->path, &fo);
    if (!m->program) return false;
    m->desc = frontend_desc(m->program);
    if (!m->desc->name) {
        diag_error(m->ctx, 550, NOWHERE, "%s contains no model", k->path);
        return false;
    }
    train_gradient(m);
    size_t bytes = (size_t)m->desc->theta_size * (m->f64 ? 8 : 4), limit = m->opt.exec.memory_limit;
    if (m->desc->theta_size < 0 || bytes > (limit ? limit : DEFAULT_MEMORY_LIMIT)) {
        diag_error(m->ctx, 902, NOWHERE, "the weights of '%s' are larger than the memory limit", name_str(m->ctx, m->desc->name));
        return false;
    }
    m->theta = ctx_alloc(m->ctx, bytes + 128);
    m->pool = pool_make(m->ctx, m->opt.exec.threads > 0 ? m->opt.exec.threads : 1);
    return m->pool != NULL;
}

Arena *scratch_begin(Model *m) {
    uint32_t k = m->nscratch++;
    return &m->scratch[k < SCRATCH_MAX ? k : SCRATCH_MAX - 1];
}

void scratch_end(Model *m) {
    uint32_t k = --m->nscratch;
    if (k < SCRATCH_MAX) arena_free(&m->scratch[k]);
}

void scratch_reset(Model *m) {
    for (int k = 0; k < SCRATCH_MAX; k++) arena_free(&m->scratch[k]);
    m->nscratch = 0;
}

Model *model_make(Ctx *ctx) {
    Model *m = ctx_alloc(ctx, sizeof *m);
    m->ctx = ctx;
    m->arena = arena_make(ctx);
    m->result = arena_make(ctx);
    for (int k = 0; k < GIVE_COUNT; k++) m->given[k] = arena_make(ctx);
    m->text = arena_make(ctx);
    for (int k = 0; k < SCRATCH_MAX; k++) m->scratch[k] = arena_make(ctx);
    return m;
}

Model *model_open_text(Ctx *ctx, const char *name, const char *text, size_t n, const ModelOptions *o) {
    static const ModelOptions none = {0};
    Model *m = model_make(ctx);
    int got = model_load(&(Opening){m, name, o ? o : &none, text, n});
    if (got > 0) return m;
    model_close(m);
    if (got < 0) ctx_out_of_memory(ctx);
    return NULL;
}

int model_load(const Opening *k) {
    return guard_call(k->m->ctx, open_model, (void *)k);
}

Model *model_open(Ctx *ctx, const char *path, const ModelOptions *o) {
    static const ModelOptions none = {0};
    Model *m = model_make(ctx);
    int got = model_load(&(Opening){m, path, o ? o : &none, NULL, 0});
    if (got > 0) return m;
    model_close(m);
    if (got < 0) ctx_out_of_memory(ctx);
    return NULL;
}

void model_close(Model *m) {
    if (!m) return;
    Ctx *ctx = m->ctx;
    for (int k = 0; k < MODULE_COUNT; k++)
        for (int r = 0; r < RAGGED * ROWS; r++) exec_destroy(m->exec[k][r / ROWS][r % ROWS]);
    for (uint32_t i = 0; m->metric && i < m->desc->metric.n; i++) cell_free(&m->metric[i]);
    if (m->streamed) windows_free(m->streamed);
    pool_destroy(m->pool);
    memory_free(ctx, &m->memory);
    ctx_free(ctx, m->theta);
    ctx_free(ctx, m->grad.raw);
    arena_free(&m->result);
    for (int k = 0; k < GIVE_COUNT; k++) arena_free(&m->given[k]);
    arena_free(&m->text);
    scratch_reset(m);
    arena_free(&m->arena);
    bool own = m->own_ctx;
    ctx_free(ctx, m);
    if (own) ctx_destroy(ctx);
}

void model_set_log(Model *m, void (*fn)(void *arg, const char *line), void *arg) {
    m->log_fn = fn;
    m->log_arg = arg;
}

void model_log(Model *m, const char *fmt, ...) {
    va_list ap;
    char line[400];
    if (!m->log_fn) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    m->log_fn(m->log_arg, line);
}

Ctx *model_ctx(Model *m) {
    return m->ctx;
}
ExecOptions *model_exec_options(Model *m) {
    return &m->opt.exec;
}
const ModelDesc *model_desc(const Model *m) {
    return m->desc;
}
Program *model_program(Model *m) {
    return m->program;
}

const char *model_beside(Model *m, Arena *a, const char *path) {
    const char *slash = strrchr(m->path, '/');
    if (path[0] == '/' || !slash) return arena_strdup(a, path);
    return arena_printf(a, "%.*s%s", (int)(slash - m->path) + 1, m->path, path);
}

/* ---- modules ------------------------------------------------------------------------------------------------------------ */

#define ROOT(k) (UINT32_C(1) << (k))

const Module *model_module(Model *m, ModuleKind kind, bool ragged) {
    Module **at = &m->module[kind][ragged];
    if (*at) return *at;
    BuildOptions o = {.ragged = ragged};
    uint32_t roots = 0;
    switch (kind) {
    case MODULE_PREDICT: roots = ROOT(ROOT_OUTPUT) | ROOT(ROOT_FINAL); break;
    case MODULE_FORWARD: roots = ROOT(ROOT_OUTPUT) | ROOT(ROOT_FINAL) | ROOT(ROOT_LOSS) | ROOT(ROOT_METRIC); break;
    case MODULE_TRAIN:
        roots = ROOT(ROOT_LOSS);
        o.training = true;
        break;
    case MODULE_STEP:
        roots = ROOT(ROOT_OUTPUT) | ROOT(ROOT_FINAL);
        o.external_states = true;
        break;
    case MODULE_START:
        roots = ROOT(ROOT_INIT);
        o.external_states = true;
        break;
    case MODULE_COUNT: return NULL;
    }
    Module *built = frontend_model(m->program, &m->arena, &o);
    if (!built) return NULL;
    module_keep_roots(built, roots);
    *at = built;
    return built;
}

Exec *model_exec(Model *m, ModuleKind kind, bool ragged, bool one) {
    Exec **at = &m->exec[kind][ragged][one];
    if (*at) return *at;
    const Module *mod = model_module(m, kind, ragged);
    if (!mod) return NULL;
    ExecOptions o = m->opt.exec;
    o.pool = m->pool;
    o.grad = kind == MODULE_TRAIN;
    if (one) o.batch = o.one_row = 1;
    *at = exec_make(m->ctx, mod, &o, NULL);
    return *at;
}

/* The copy of one module: refs in their order, which decides that of sums, but where an initial state that is not given stands for its
   INIT root, which then comes first. */
typedef struct {
    Graph *src, *dst;
    Ref *map;
    const Ref *start; /* by Module.input: INIT root that replaces the input; 0: none */
    uint8_t *seen; /* 1: waiting for its operands, 2: copied */
    VEC(Ref) stack;
} Binding;

static void bind_push(Binding *b, Ref r) {
    if (r && !b->seen[r]) VEC_PUSH(b->dst->module->arena, b->stack) = r;
}

static void bind_finish(Binding *b, Ref r, Ref start) {
    const Node *n = &b->src->node.at[r];
    if (start && b->seen[start] == 2) {
        Ref v = g_broadcast(b->dst, b->map[start], n->rank, n->dim);
        uint32_t missing = v ? n->axes & ~b->dst->node.at[v].axes : 0;
        b->map[r] = missing ? g_expand_axes(b->dst, v, missing) : v;
    } else b->map[r] = graph_copy_node(b->dst, b->src, r, b->map);
    b->seen[r] = 2;
}

static void bind_copy(Binding *b, Ref root) {
    bind_push(b, root);
    while (b->stack.n) {
        Ref r = b->stack.at[b->stack.n - 1];
        const Node *n = &b->src->node.at[r];
        Ref start = n->op == OP_INPUT ? b->start[n->attr] : 0;
        if (b->seen[r]) {
            b->stack.n--;
            if (b->seen[r] == 1) bind_finish(b, r, start);
            continue;
        }
        b->seen[r] = 1;
        bind_push(b, start);
        const Ref *in;
        uint32_t count = node_inputs(b->src, r, &in);
        for (uint32_t i = count; i-- > 0;) bind_push(b, in[i]);
    }
}

Module *bind_states(const Module *m, Arena *a, const bool *given) {
    Module *c = module_copy(m, a);
    Graph *src = c->graph.at[0], *dst = module_add_graph(c);
    Ref *start = NEW_N(a, Ref, c->input.n + 1);
    for (uint32_t r = 0; r < src->root.n; r++) {
        const Root *x = &src->root.at[r];
        if (x->kind != ROOT_INIT || given[x->index] || !c->state.at[x->index].input) continue;
        start[c->state.at[x->index].input - 1] = x->ref;
        c->state.at[x->index].input = 0;
    }
    Binding b = {.src = src, .dst = dst, .start = start};
    b.map = NEW_N(a, Ref, src->node.n + 1);
    b.seen = NEW_N(a, uint8_t, src->node.n + 1);
    for (Ref r = 1; r < src->node.n; r++) bind_copy(&b, r);
    for (uint32_t r = 0; r < src->root.n; r++) {
        const Root *x = &src->root.at[r];
        graph_root(dst, (RootKind)x->kind, x->name, b.map[x->ref], x->index);
    }
    c->graph.n--;
    c->graph.at[0] = dst;
    dst->index = 0;
    module_dce(c);
    return c;
}

/* ---- weights in memory -------------------------------------------------------------------------------------------------- */

int64_t model_theta_size(const Model *m) {
    return m->desc->theta_size;
}
double model_theta_get(const Model *m, int64_t i) {
    return m->f64 ? ((const double *)m->theta)[i] : (double)((const float *)m->theta)[i];
}
void model_theta_set(Model *m, int64_t i, double v) {
    if (m->f64) ((double *)m->theta)[i] = v;
    else ((float *)m->theta)[i] = (float)v;
    m->theta_version++;
}

bool model_need_weights(Model *m) {
    if (m->ready) return true;
    diag_error(m->ctx, 608, NOWHERE, "'%s' has no weights yet: initialise them or load a file", name_str(m->ctx, m->desc->name));
    return false;
}

bool weights_init(Model *m, uint64_t seed) {
    const Module *mod = model_module(m, MODULE_PREDICT, false);
    if (!mod) return false;
    Arena *tmp = scratch_begin(m);
    double *v = NEW_N(tmp, double, m->desc->theta_size + 1);
    bool ok = module_eval_init(mod, tmp, seed, v);
    for (int64_t i = 0; ok && i < m->desc->theta_size; i++) model_theta_set(m, i, v[i]);
    scratch_end(m);
    m->ready = m->ready || ok;
    m->seed = seed;
    m->fitted = NULL;
    return ok;
}

static Array param_shape(const Model *m, const ParamDesc *p) {
    Array x = {.name = name_str(m->ctx, p->name), .type = m->f64 ? RONDO_F64 : RONDO_F32, .rank = p->rank};
    for (int k = 0; k < p->rank; k++) x.dim[k] = p->dim[k];
    return x;
}

static bool shape_is(const Array *a, const Array *b) {
    if (a->rank != b->rank) return false;
    for (int k = 0; k < a->rank; k++)
        if (a->dim[k] != b->dim[k]) return false;
    return true;
}

static void put_shape(Str *s, const Array *a) {
    str_putc(s, '[');
    for (int k = 0; k < a->rank; k++) str_printf(s, "%s%lld", k ? ", " : "", (long long)a->dim[k]);
    str_putc(s, ']');
}

static bool wrong_shape(const Model *m, const char *what, const Array *got, const Array *want) {
    Str s = str_make(ctx_arena(m->ctx));
    put_shape(&s, got);
    str_put(&s, " where the model has ");
    put_shape(&s, want);
    diag_error(m->ctx, 606, NOWHERE, "%s: '%s' has the shape %s", what, want->name, s.at);
    return false;
}

static void take_values(Model *m, int64_t offset, const Array *x) {
    int64_t n = array_count(x);
    for (int64_t i = 0; i < n; i++) model_theta_set(m, offset + i, array_get(x, i));
}

/* ---- weights in files --------------------------------------------------------------------------------------------------- */

#define SETTINGS "rondo.set"
#define MADE_BY "rondo.file"

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A text whose state is carried on is laid out in as many rows as a batch has. */
static bool lays_out(Model *m, const char *assignment) {
    return strcspn(assignment, "= ") == 5 && !strncmp(assignment, "batch", 5) && train_bool(m, "stateful");
}

/* What --set said of sizes and of how the data are read, so that who reads the weights need not be told again: a line NAME=value each. */
static const char *settings_given(Model *m, Arena *a) {
    Str s = str_make(a);
    for (size_t i = 0; i < m->opt.nset; i++) {
        KeyBlock block;
        const char *set = m->opt.set[i];
        bool key = settings_is_key(set, &block), data = key && block == KEYS_DATA && !names_data(set);
        if (!key || data || (block != KEYS_DATA && lays_out(m, set))) str_printf(&s, "%s%s", s.n ? "\n" : "", set);
    }
    return s.n ? s.at : NULL;
}

const char **weights_settings(Ctx *ctx, Arena *a, const char *path, uint32_t *n) {
    Arena tmp = arena_make(ctx);
    Safetensors s;
    VEC(const char *) set = {0};
    bool ok = safetensors_read(ctx, &tmp, path, &s);
    VEC_PUSH(a, set) = NULL;
    for (uint32_t i = 0; ok && i + 1 < s.meta.n; i += 2) {
        const char *p = strcmp(s.meta.at[i], SETTINGS) == 0 ? s.meta.at[i + 1] : "";
        for (size_t k; *p; p += k + (p[k] == '\n')) {
            k = strcspn(p, "\n");
            VEC_PUSH(a, set) = arena_strndup(a, p, k);
        }
    }
    arena_free(&tmp);
    *n = set.n - 1;
    return ok ? set.at + 1 : NULL;
}

bool weights_of_other(Model *m, const char *path, const char **other) {
    Arena *tmp = scratch_begin(m);
    Safetensors s;
    bool ok = safetensors_read(m->ctx, tmp, path, &s);
    *other = ok ? "another program" : NULL;
    for (uint32_t i = 0; ok && i + 1 < s.meta.n; i += 2) {
        const char *value = s.meta.at[i + 1];
        bool model = !strcmp(s.meta.at[i], "rondo.model"), file = !strcmp(s.meta.at[i], MADE_BY);
        if (!model && !file) continue;
        *other = strcmp(value, file ? last_part(m->path) : name_str(m->ctx, m->desc->name)) ? arena_strdup(ctx_arena(m->ctx), value) : NULL;
        if (file) break;
    }
    scratch_end(m);
    return ok;
}

bool weights_save(Model *m, const char *path) {
    if (!model_need_weights(m)) return false;
    Arena *tmp = scratch_begin(m);
    Safetensors s = {0};
    VEC_PUSH(tmp, s.meta) = "rondo.model";
    VEC_PUSH(tmp, s.meta) = name_str(m->ctx, m->desc->name);
    VEC_PUSH(tmp, s.meta) = "rondo.hash";
    VEC_PUSH(tmp, s.meta) = arena_printf(tmp, "%016llx", (unsigned long long)m->desc->hash);
    VEC_PUSH(tmp, s.meta) = MADE_BY;
    VEC_PUSH(tmp, s.meta) = last_part(m->path);
    const char *set = settings_given(m, tmp);
    if (set) {
        VEC_PUSH(tmp, s.meta) = SETTINGS;
        VEC_PUSH(tmp, s.meta) = set;
    }
    int64_t offset = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        const ParamDesc *p = &m->desc->param.at[i];
        Array x = param_shape(m, p);
        x.data = (char *)m->theta + offset * (m->f64 ? 8 : 4);
        VEC_PUSH(tmp, s.tensor.array) = x;
        offset += p->count;
    }
    fitted_put(m, tmp, &s);
    bool ok = safetensors_write(m->ctx, path, &s);
    scratch_end(m);
    return ok;
}

/* NAME as old=new has it: what `*` of old stands for takes the place of `*` in new. NULL: old is not meant. */
static const char *renamed(Arena *tmp, const char *name, const char *old, const char *to) {
    const char *star = strchr(old, '*'), *place = strchr(to, '*');
    if (!star) return strcmp(name, old) == 0 ? to : NULL;
    size_t before = (size_t)(star - old), after = strlen(star + 1), n = strlen(name);
    if (n < before + after || strncmp(name, old, before) != 0 || strcmp(name + n - after, star + 1) != 0) return NULL;
    return arena_printf(tmp, "%.*s%.*s%s", (int)(place - to), to, (int)(n - before - after), name + before, place + 1);
}

static bool rename_one(Model *m, Arena *tmp, const char *path, const char *how, Safetensors *s) {
    const char *eq = strchr(how, '=');
    const char *old = eq ? arena_strndup(tmp, how, (size_t)(eq - how)) : "", *to = eq ? eq + 1 : "", *star = strchr(old, '*'), *place = strchr(to, '*');
    if (!*old || !*to || !star != !place || (star && (strchr(star + 1, '*') || strchr(place + 1, '*')))) {
        diag_error(m->ctx, 607, NOWHERE, "'%s' is not of the form old=new", how);
        diag_help(m->ctx, NOWHERE, "with one `*` in both: 'encoder.*=enc.*'");
        return false;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < s->tensor.array.n; i++) {
        const char *name = renamed(tmp, s->tensor.array.at[i].name, old, to);
        if (!name) continue;
        Array *other = arrays_find(&s->tensor, name);
        if (other && other != &s->tensor.array.at[i]) {
            diag_error(m->ctx, 607, NOWHERE, "%s: '%s' cannot be renamed, since it has '%s' too", path, s->tensor.array.at[i].name, name);
            return false;
        }
        s->tensor.array.at[i].name = name;
        found++;
    }
    if (!found) diag_error(m->ctx, 607, NOWHERE, "%s has no tensor '%s' to rename", path, old);
    return found > 0;
}

static bool apply_renames(Model *m, Arena *tmp, const char *path, const char *const *rename, size_t n, Safetensors *s) {
    for (size_t k = 0; k < n; k++) {
        if (!rename || !rename[k]) {
            diag_error(m->ctx, 556, NOWHERE, "a pair of names is NULL");
            return false;
        }
        if (!rename_one(m, tmp, path, rename[k], s)) return false;
    }
    return true;
}

static void note_origin(Model *m, const Safetensors *s) {
    for (uint32_t i = 0; i + 1 < s->meta.n; i += 2)
        if (strcmp(s->meta.at[i], "rondo.model") == 0) diag_note(m->ctx, NOWHERE, "the file was saved from model '%s'", s->meta.at[i + 1]);
}

/* A file of something else: one error in place of one for every weight. */
static bool has_some(Model *m, Arena *tmp, const char *path, const Safetensors *s) {
    uint32_t nwant = m->desc->param.n, nhave = s->tensor.array.n;
    for (uint32_t i = 0; i < nwant; i++)
        if (arrays_find(&s->tensor, name_str(m->ctx, m->desc->param.at[i].name))) return true;
    if (nwant < 3) return true;
    diag_error(m->ctx, 605, NOWHERE, "%s has none of the %u weights of '%s'", path, nwant, name_str(m->ctx, m->desc->name));
    Str list = str_make(tmp);
    for (uint32_t i = 0; i < nhave && i < 6; i++) str_printf(&list, "%s'%s'", i ? ", " : "", s->tensor.array.at[i].name);
    if (nhave) diag_help(m->ctx, NOWHERE, "it has %s%s; --rename OLD=NEW reads one under another name", list.at, nhave > 6 ? ", ..." : "");
    note_origin(m, s);
    return false;
}

/* Says what is missing and what is left over, each with its nearest counterpart. */
static bool check_names(Model *m, Arena *tmp, const char *path, const Safetensors *s) {
    bool ok = true;
    const char **have = NEW_N(tmp, const char *, s->tensor.array.n + 1), **want = NEW_N(tmp, const char *, m->desc->param.n + 1);
    for (uint32_t i = 0; i < s->tensor.array.n; i++) have[i] = s->tensor.array.at[i].name;
    for (uint32_t i = 0; i < m->desc->param.n; i++) want[i] = name_str(m->ctx, m->desc->param.at[i].name);
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        if (arrays_find(&s->tensor, want[i])) continue;
        diag_error(m->ctx, 605, m->desc->param.at[i].span, "%s has no tensor '%s'", path, want[i]);
        const char *near = nearest_name(want[i], have, s->tensor.array.n);
        if (near) diag_help(m->ctx, NOWHERE, "it has '%s'; --rename %s=%s takes that", near, near, want[i]);
        ok = false;
    }
    for (uint32_t i = 0; i < s->tensor.array.n; i++) {
        bool known = false;
        for (uint32_t k = 0; k < m->desc->param.n; k++) known = known || strcmp(want[k], have[i]) == 0;
        if (known) continue;
        diag_error(m->ctx, 607, NOWHERE, "%s: '%s' has no weight '%s'", path, name_str(m->ctx, m->desc->name), have[i]);
        const char *near = nearest_name(have[i], want, m->desc->param.n);
        if (near) diag_help(m->ctx, NOWHERE, "did you mean '%s'?", near);
        ok = false;
    }
    if (!ok) note_origin(m, s);
    return ok;
}

enum { SAID = 3 }; /* wrong shapes in words */
static bool take_file(Model *m, Arena *tmp, const char *path, const Safetensors *s) {
    if (!has_some(m, tmp, path, s) || !check_names(m, tmp, path, s)) return false;
    bool ok = true;
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < m->desc->param.n; i++) {
        Array want = param_shape(m, &m->desc->param.at[i]);
        const Array *x = arrays_find(&s->tensor, want.name);
        if (!shape_is(x, &want) && wrong++ < SAID) ok = wrong_shape(m, path, x, &want);
        else if (x->type != RONDO_F32 && x->type != RONDO_F64) {
            diag_error(m->ctx, 604, NOWHERE, "%s: '%s' holds %s, not floats", path, want.name, rondo_type_name(x->type));
            ok = false;
        }
    }
    if (wrong > SAID) diag_note(m->ctx, NOWHERE, "so are %u more", wrong - SAID);
    if (wrong) diag_help(m->ctx, NOWHERE, "`--set NAME=size` sets a size that stands in the brackets of the model, as in --set H=64");
    int64_t offset = 0;
    for (uint32_t i = 0; ok && i < m->desc->param.n; i++) {
        take_values(m, offset, arrays_find(&s->tensor, name_str(m->ctx, m->desc->param.at[i].name)));
        offset += m->desc->param.at[i].count;
    }
    return ok;
}

bool weights_load(Model *m, const char *path, const char *const *rename, size_t nrename) {
    Arena *tmp = scratch_begin(m);
    Safetensors s;
    bool ok = safetensors_read(m->ctx, tmp, path, &s) && apply_renames(m, tmp, path, rename, nrename, &s) &&
              take_file(m, tmp, path, &s) && fitted_take(m, path, &s);
    scratch_end(m);
    m->ready = m->ready || ok;
    return ok;
}

bool weights_from_arrays(Model *m, const Arrays *s, bool all) {
    Arena *tmp = scratch_begin(m);
    int64_t offset = 0;
    bool ok = true;
    for (int pass = 0; ok && pass < 2; pass++) { /* check everything, then take it */
        offset = 0;
        for (uint32_t i = 0; i < m->desc->param.n; i++) {
            const ParamDesc *p = &m->desc->param.at[i];
            Array want = param_shape(m, p);
            const Array *x = arrays_find(s, arena_printf(tmp, "param/%s", want.name));
            if (!x) x = arrays_find(s, arena_printf(tmp, "const/%s", want.name));
            if (!x && all) {
                diag_error(m->ctx, 605, p->span, "the arrays have no '%s/%s'", p->is_const ? "const" : "param", want.name);
                ok = false;
            } else if (x && !shape_is(x, &want)) ok = wrong_shape(m, "the arrays", x, &want);
            else if (x && pass) take_values(m, offset, x);
            offset += p->count;
        }
    }
    scratch_end(m);
    m->ready = m->ready || (ok && all);
    return ok;
}
