/* keras: Keras models. `.keras` archives (config.json, metadata.json, model.weights.h5), architectures in JSON with their weights in
   them or in an .h5 file, and the JSON of RTNeural, which is written from Keras models. */
#include "import/keras.h"

#include <ctype.h>
#include <string.h>

#include "import/hdf5.h"
#include "runtime/archive.h"

enum { MEMBER_MAX = 1 << 30, PIECE = 1 << 20 };

typedef struct {
    const Json *config, *meta;
    Arrays h5;
    bool has_h5;
} Saved;

/* ---- archives ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Ctx *ctx;
    Arena *a;
    const char *what;
    const ArchivePlugin *zip;
    void *z, *f;
    Saved *out;
} Archive;

/* The bytes of a member; read in growing pieces, so that an archive that lies about sizes fails early. */
static bool member(Archive *r, const char *name, bool needed, char **data, size_t *n) {
    size_t cap = PIECE, got = 0;
    *data = NULL;
    *n = 0;
    int64_t at = r->zip->find(r->z, name);
    if (at < 0) return !needed || import_bad(r->ctx, r->what, "the archive has no %s", name);
    r->f = r->zip->unpack(r->z, at);
    if (!r->f) return import_bad(r->ctx, r->what, "%s in the archive cannot be unpacked", name);
    char *p = arena_alloc(r->a, cap + 1);
    for (int64_t k; (k = r->zip->read(r->f, p + got, cap - got)) != 0;) {
        if (k < 0) return import_bad(r->ctx, r->what, "%s in the archive is damaged", name);
        got += (size_t)k;
        if (got < cap) continue;
        if (cap > MEMBER_MAX) return import_bad(r->ctx, r->what, "%s in the archive is larger than 1 GiB", name);
        p = arena_grow(r->a, p, cap + 1, 2 * cap + 1);
        cap *= 2;
    }
    r->zip->end(r->f);
    r->f = NULL;
    p[got] = 0;
    *data = p;
    *n = got;
    return true;
}

static bool read_members(Archive *r) {
    char *text;
    size_t n;
    if (!member(r, "config.json", true, &text, &n) ||
        !(r->out->config = json_read(r->ctx, r->a, arena_printf(r->a, "%s: config.json", r->what), text, n)))
        return false;
    if (!member(r, "metadata.json", false, &text, &n)) return false;
    if (text && !(r->out->meta = json_read(r->ctx, r->a, arena_printf(r->a, "%s: metadata.json", r->what), text, n)))
        return false;
    if (!member(r, "model.weights.h5", true, &text, &n)) return false;
    r->out->has_h5 = true;
    return hdf5_read(r->ctx, r->a, arena_printf(r->a, "%s: model.weights.h5", r->what), text, n, &r->out->h5);
}

static bool read_archive(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, Saved *out) {
    char why[128] = "";
    Archive r = {.ctx = ctx, .a = a, .what = what, .zip = archive_plugin(ctx), .out = out};
    if (!r.zip) return false;
    r.z = r.zip->open(data, n, why);
    if (!r.z) return import_bad(ctx, what, "is no sound .keras archive: %s", why);
    CtxFrame frame;
    Archive *volatile keep = NEW(a, Archive); /* what has to be closed when memory runs out */
    *keep = r;
    volatile int ok = -1;
    if (CTX_TRY(ctx, &frame)) {
        ok = read_members(keep);
        CTX_END(ctx);
    }
    if (keep->f) r.zip->end(keep->f);
    r.zip->close(keep->z);
    if (ok < 0) ctx_out_of_memory(ctx);
    return ok;
}

/* ---- weights ------------------------------------------------------------------------------------------------------------- */

/* Keras's own rule: "TimeDistributed" is time_distributed, "SimpleRNN" simple_rnn. */
static const char *snake_case(Arena *a, const char *cls) {
    Str s = str_make(a);
    for (const char *p = cls; *p; p++) {
        bool up = isupper((unsigned char)*p);
        if (up && p > cls && (islower((unsigned char)p[1]) || islower((unsigned char)p[-1]))) str_putc(&s, '_');
        str_putc(&s, (char)tolower((unsigned char)*p));
    }
    return s.at ? s.at : "";
}

/* The weights below layers/GROUP, in the order of get_weights(). False: there are none. */
static bool h5_weights(Keras *k, const Saved *s, KLayer *l, const char *group) {
    static const char *const part[] = {"vars", "cell/vars", "layer/vars", "forward_layer/cell/vars",
                                       "backward_layer/cell/vars"};
    static const char *const root[] = {"layers",
                                       "_layer_checkpoint_dependencies"}; /* the second: the first files of this form */
    uint32_t before = l->weight.n;
    for (size_t r = 0; r < 2 && l->weight.n == before; r++)
        for (size_t p = 0; p < sizeof part / sizeof *part; p++)
            for (uint32_t i = 0;; i++) {
                const Array *x = arrays_find(&s->h5, arena_printf(k->w.a, "%s/%s/%s/%u", root[r], group, part[p], (unsigned)i));
                if (!x) break;
                VEC_PUSH(k->w.a, l->weight) = *x;
            }
    return l->weight.n > before;
}

/* As group names are made: a class's name, counted from the second on. */
static const char *group_name(Arena *a, const char *cls, uint32_t before) {
    return before ? arena_printf(a, "%s_%u", snake_case(a, cls), (unsigned)before) : snake_case(a, cls);
}

/* The weights of an RNN of stacked cells, one cell after the other. */
static void h5_stacked_weights(Keras *k, const Saved *s, KLayer *l, const char *group) {
    const Json *cells = keras_stacked_cells(l->config);
    for (uint32_t i = 0; cells && i < cells->n; i++) {
        const char *cls = json_text(&cells->item[i], "class_name", "?");
        uint32_t before = 0;
        for (uint32_t j = 0; j < i; j++) before += !strcmp(json_text(&cells->item[j], "class_name", "?"), cls);
        h5_weights(k, s, l, arena_printf(k->w.a, "%s/cell/cells/%s", group, group_name(k->w.a, cls, before)));
    }
}

/* Keras names the groups of a file after classes, counted, not after layers; some versions after layers. */
static void find_h5_weights(Keras *k, const Saved *s) {
    for (uint32_t i = 0; i < k->layer.n; i++) {
        uint32_t before = 0;
        for (uint32_t j = 0; j < i; j++) before += !strcmp(k->layer.at[j].cls, k->layer.at[i].cls);
        const char *group = group_name(k->w.a, k->layer.at[i].cls, before);
        if (!h5_weights(k, s, &k->layer.at[i], group)) h5_weights(k, s, &k->layer.at[i], k->layer.at[i].name);
        h5_stacked_weights(k, s, &k->layer.at[i], group);
    }
}

static bool json_weights(Keras *k, KLayer *l, const Json *list) {
    if (!list) return true;
    const char *where = arena_printf(k->w.a, "weights of layer '%.80s'", l->name);
    if (list->kind != JSON_LIST_) return import_bad(k->w.ctx, k->w.what, "%s: not a list", where);
    for (uint32_t i = 0; i < list->n; i++) {
        Array x;
        if (!json_array_of(k->w.ctx, k->w.a, k->w.what, where, &list->item[i], &x)) return false;
        VEC_PUSH(k->w.a, l->weight) = x;
    }
    return true;
}

/* ---- the graph ----------------------------------------------------------------------------------------------------------- */

static const Json *input_shape(const Json *j) {
    const Json *c = json_get(j, "config"), *b = json_get(j, "build_config");
    const Json *s = json_get(c, "batch_shape");
    if (!s) s = json_get(c, "batch_input_shape");
    return s ? s : json_get(b, "input_shape");
}

static KLayer *add_layer(Keras *k, const Json *j) {
    KLayer *l = &VEC_PUSH(k->w.a, k->layer);
    l->cls = json_text(j, "class_name", "?");
    l->config = json_get(j, "config");
    l->name = json_text(j, "name", json_text(l->config, "name", snake_case(k->w.a, l->cls)));
    l->is_input = !strcmp(l->cls, "InputLayer");
    if (l->is_input) l->shape = input_shape(j);
    return l;
}

static int find_layer(const Keras *k, const char *name) {
    for (uint32_t i = 0; i < k->layer.n; i++)
        if (!strcmp(k->layer.at[i].name, name)) return (int)i;
    return -1;
}

/* ["layer", node, tensor]. */
static bool reference(Keras *k, const Json *j, KRef *out) {
    if (!j || j->kind != JSON_LIST_ || j->n < 3 || j->item[0].kind != JSON_STRING_)
        return import_bad(k->w.ctx, k->w.what, "a reference to a layer is malformed");
    int i = find_layer(k, j->item[0].text);
    if (i < 0) return import_bad(k->w.ctx, k->w.what, "there is no layer '%.80s'", j->item[0].text);
    if (j->item[1].number != 0)
        return keras_refuse(k, &k->layer.at[i], "it is called more than once; give each call a layer of its own");
    if (j->item[2].kind != JSON_NUMBER_ || !(j->item[2].number >= 0 && j->item[2].number < OUTS_MAX))
        return import_bad(k->w.ctx, k->w.what, "a reference to a layer is malformed");
    *out = (KRef){(uint32_t)i, (uint32_t)j->item[2].number};
    return true;
}

/* Every tensor in the arguments of a call: Keras 3's {"class_name": "__keras_tensor__", ..}, in lists and objects. */
static bool tensors_in(Keras *k, const Json *j, KLayer *l) {
    if (json_text(j, "class_name", NULL) && !strcmp(json_text(j, "class_name", ""), "__keras_tensor__")) {
        KRef r;
        if (!reference(k, json_get(json_get(j, "config"), "keras_history"), &r)) return false;
        VEC_PUSH(k->w.a, l->in) = r;
        return true;
    }
    for (uint32_t i = 0; j && (j->kind == JSON_LIST_ || j->kind == JSON_OBJECT_) && i < j->n; i++)
        if (!tensors_in(k, &j->item[i], l)) return false;
    return true;
}

static bool inbound(Keras *k, const Json *nodes, KLayer *l) {
    if (!nodes || nodes->kind != JSON_LIST_ || nodes->n == 0) return l->is_input || keras_refuse(k, l, "nothing leads to it");
    if (nodes->n > 1) return keras_refuse(k, l, "it is called %u times; give each call a layer of its own", (unsigned)nodes->n);
    const Json *call = &nodes->item[0];
    if (call->kind == JSON_OBJECT_)
        return tensors_in(k, json_get(call, "args"), l) && tensors_in(k, json_get(call, "kwargs"), l);
    for (uint32_t i = 0; call->kind == JSON_LIST_ && i < call->n; i++) { /* Keras 2: [["layer", 0, 0, {}], ..] */
        KRef r;
        if (!reference(k, &call->item[i], &r)) return false;
        VEC_PUSH(k->w.a, l->in) = r;
    }
    return true;
}

static bool reads_as_token(const Keras *k, uint32_t input) {
    for (uint32_t i = 0; i < k->layer.n; i++)
        for (uint32_t j = 0; j < k->layer.at[i].in.n; j++)
            if (k->layer.at[i].in.at[j].layer == input && !strcmp(k->layer.at[i].cls, "Embedding")) return true;
    return false;
}

static bool make_input(Keras *k, uint32_t i) {
    KLayer *l = &k->layer.at[i];
    const Json *s = l->shape;
    bool token = reads_as_token(k, i);
    if (!s || s->kind != JSON_LIST_ || s->n < 1) return keras_refuse(k, l, "the file does not say its shape");
    uint32_t dims = s->n - 1, features = token ? 0 : 1;
    if (dims < features || dims > features + 1) return keras_refuse(k, l, "its shape is none of [features], [time, features]");
    const Json *last = &s->item[s->n - 1];
    KValue v = {.seq = dims > features, .token = token};
    if (!token) {
        if (last->kind != JSON_NUMBER_ || !(last->number >= 1 && last->number <= 1 << 20))
            return keras_refuse(k, l, "its number of features is not fixed");
        v.n = (int64_t)last->number;
    }
    v.text = writer_name(&k->w, l->name);
    l->out[0] = v;
    return true;
}

/* Depth first, on a stack of its own: models may be deep. */
static bool make_layer(Keras *k, uint32_t wanted) {
    VEC(uint32_t) todo = {0};
    VEC_PUSH(k->w.a, todo) = wanted;
    while (todo.n) {
        uint32_t i = todo.at[todo.n - 1], missing = UINT32_MAX;
        KLayer *l = &k->layer.at[i];
        if (l->state == 2) {
            todo.n--;
            continue;
        }
        for (uint32_t j = 0; j < l->in.n && missing == UINT32_MAX; j++)
            if (k->layer.at[l->in.at[j].layer].state != 2) missing = l->in.at[j].layer;
        if (missing != UINT32_MAX) {
            if (k->layer.at[missing].state == 1 || missing == i) return keras_refuse(k, l, "the layers run in a circle");
            l->state = 1;
            VEC_PUSH(k->w.a, todo) = missing;
            continue;
        }
        KValue *in = NEW_N(k->w.a, KValue, l->in.n + 1);
        for (uint32_t j = 0; j < l->in.n; j++) {
            in[j] = k->layer.at[l->in.at[j].layer].out[l->in.at[j].tensor];
            if (!in[j].text) return keras_refuse(k, l, "it reads an output that the layer before it does not have");
        }
        if (l->is_input ? !make_input(k, i) : !keras_layer(k, l, in, l->in.n)) return false;
        l->state = 2;
        todo.n--;
    }
    return true;
}

static void set_roles(ImportPort *p, const KValue *v) {
    p->seq = v->seq;
    p->n = v->n;
    p->role[p->rank++] = DIM_BATCH;
    if (v->seq) p->role[p->rank++] = DIM_TIME;
    if (v->n) p->role[p->rank++] = DIM_FEATURE;
}

static bool put_inputs(Keras *k) {
    for (uint32_t i = 0; i < k->layer.n; i++) {
        KLayer *l = &k->layer.at[i];
        if (!l->is_input || !l->out[0].text) continue;
        const KValue *v = &l->out[0];
        const char *seq = v->seq ? "seq " : "";
        writer_input(&k->w, v->text,
                     v->token ? arena_printf(k->w.a, "%stoken[%lld]", seq, (long long)l->vocab)
                              : arena_printf(k->w.a, "%s[%lld]", seq, (long long)v->n));
        set_roles(writer_port(&k->w, true, "input", v->text, l->name), v);
    }
    return true;
}

static bool put_output(Keras *k, KRef r) {
    KLayer *l = &k->layer.at[r.layer];
    if (!make_layer(k, r.layer)) return false;
    const KValue *v = &l->out[r.tensor];
    if (!v->text || v->token) return keras_refuse(k, l, "the model gives an output that it does not have");
    bool bare = !strpbrk(v->text, ".[(' ");
    const char *name = bare ? v->text : writer_name(&k->w, l->name);
    for (uint32_t i = 0; i < k->w.out->out.n; i++)
        if (!strcmp(k->w.out->out.at[i].name + 7, name)) name = writer_name(&k->w, l->name);
    writer_output(&k->w, name, v->text);
    set_roles(writer_port(&k->w, false, "output", name, l->name), v);
    return true;
}

/* output_layers: a list of references, or one. */
static bool put_outputs(Keras *k, const Json *list) {
    if (!list || list->kind != JSON_LIST_ || !list->n)
        return import_bad(k->w.ctx, k->w.what, "the model names no outputs in a list");
    bool one = list->item[0].kind == JSON_STRING_;
    for (uint32_t i = 0; i < (one ? 1 : list->n); i++) {
        KRef r;
        if (!reference(k, one ? list : &list->item[i], &r) || !put_output(k, r)) return false;
    }
    return true;
}

/* ---- models -------------------------------------------------------------------------------------------------------------- */

static bool layer_weights(Keras *k, const Saved *s, const Json *layers) {
    if (s->has_h5) {
        find_h5_weights(k, s);
        return true;
    }
    for (uint32_t i = 0, l = k->layer.n - layers->n; i < layers->n; i++, l++)
        if (!json_weights(k, &k->layer.at[l], json_get(&layers->item[i], "weights"))) return false;
    return true;
}

static bool chain(Keras *k) {
    for (uint32_t i = 1; i < k->layer.n; i++) VEC_PUSH(k->w.a, k->layer.at[i].in) = (KRef){i - 1, 0};
    return put_output(k, (KRef){k->layer.n - 1, 0});
}

static void add_input(Keras *k, const Json *shape) {
    KLayer *l = &VEC_PUSH(k->w.a, k->layer);
    *l = (KLayer){.cls = "InputLayer", .name = "x", .is_input = true, .shape = shape};
}

static bool sequential(Keras *k, const Saved *s, const Json *j, const Json *layers) {
    const char *first = json_text(&layers->item[0], "class_name", "?");
    const Json *shape = input_shape(&layers->item[0]);
    if (strcmp(first, "InputLayer")) {
        if (!shape) shape = json_get(json_get(json_get(j, "config"), "build_input_shape"), "shape");
        add_input(k, shape ? shape : json_get(json_get(j, "config"), "build_input_shape"));
    }
    for (uint32_t i = 0; i < layers->n; i++) add_layer(k, &layers->item[i]);
    return layer_weights(k, s, layers) && chain(k);
}

static bool functional(Keras *k, const Saved *s, const Json *config, const Json *layers) {
    for (uint32_t i = 0; i < layers->n; i++) add_layer(k, &layers->item[i]);
    for (uint32_t i = 0; i < layers->n; i++)
        if (!inbound(k, json_get(&layers->item[i], "inbound_nodes"), &k->layer.at[i])) return false;
    return layer_weights(k, s, layers) && put_outputs(k, json_get(config, "output_layers"));
}

/* RTNeural writes sizes as lists of one. */
static double first_size(const Json *j, const char *key) {
    const Json *x = json_get(j, key);
    double v = x && x->kind == JSON_LIST_ && x->n ? x->item[0].number : json_number_of(j, key, 1);
    return v >= 0 && v < 1e6 ? v : 0;
}

/* {"in_shape": [null, null, 1], "layers": [{"type", "activation", "shape", "weights"}, ..]}: RTNeural's form. */
static bool rtneural(Keras *k, const Json *j, const Json *layers) {
    static const char *const types[][2] = {{"dense", "Dense"},  {"time-distributed-dense", "Dense"}, {"lstm", "LSTM"},
                                           {"gru", "GRU"},      {"activation", "Activation"},        {"prelu", "PReLU"},
                                           {"conv1d", "Conv1D"}};
    add_input(k, json_get(j, "in_shape"));
    for (uint32_t i = 0; i < layers->n; i++) {
        const Json *x = &layers->item[i], *shape = json_get(x, "shape");
        const char *type = json_text(x, "type", "?"), *act = json_text(x, "activation", "");
        KLayer *l = &VEC_PUSH(k->w.a, k->layer);
        l->cls = type;
        l->name = arena_printf(k->w.a, "%.40s_%u", type, (unsigned)i);
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            if (!strcmp(types[t][0], type)) l->cls = types[t][1];
        if (!json_weights(k, l, json_get(x, "weights"))) return false;
        bool cell = !strcmp(type, "lstm") || !strcmp(type, "gru");
        double units = shape && shape->kind == JSON_LIST_ && shape->n ? shape->item[shape->n - 1].number : 0;
        if (!(units >= 1 && units <= 1e7)) return keras_refuse(k, l, "its shape does not say how many outputs it has");
        for (const char *p = act; *p; p++)
            if (!isalnum((unsigned char)*p) && *p != '_') return keras_refuse(k, l, "its activation is malformed");
        const char *plain = cell ? "tanh" : "linear";
        bool two_rows = l->weight.n > 2 && l->weight.at[2].rank == 2;
        const char *text = arena_printf(
            k->w.a,
            "{\"units\": %.0f, \"filters\": %.0f, \"activation\": \"%s\", \"recurrent_activation\": \"sigmoid\", "
            "\"use_bias\": %s, \"return_sequences\": true, \"reset_after\": %s, \"padding\": \"causal\", "
            "\"kernel_size\": %.0f, \"dilation_rate\": %.0f, \"groups\": %.0f}",
            units, units, *act ? act : plain, l->weight.n > (cell ? 2 : 1) ? "true" : "false", two_rows ? "true" : "false",
            first_size(x, "kernel_size"), first_size(x, "dilation"), first_size(x, "groups"));
        if (!(l->config = json_read(k->w.ctx, k->w.a, "layer", text, strlen(text)))) return false;
    }
    return chain(k);
}

static int version_of(const Saved *s) {
    const char *v = json_text(s->meta, "keras_version", json_text(s->config, "keras_version", NULL));
    if (v && *v >= '1' && *v <= '9') return *v - '0';
    return json_text(s->config, "module", NULL) ? 3 : 2;
}

static bool translate(Ctx *ctx, Arena *a, const char *what, const Saved *s, const ImportOptions *o, Imported *out) {
    Keras *k = NEW(a, Keras);
    writer_init(&k->w, ctx, a, what, out);
    k->version = version_of(s);
    const Json *j = s->config, *config = json_get(j, "config"), *layers = json_get(config, "layers");
    if (config && config->kind == JSON_LIST_) layers = config; /* Keras 1 */
    bool plain = !config && json_get(j, "layers");
    if (plain) layers = json_get(j, "layers");
    if (!layers || layers->kind != JSON_LIST_ || !layers->n)
        return import_bad(ctx, what, "is no model of Keras: it has no layers");
    const char *cls = json_text(j, "class_name", plain ? "RTNeural" : "?");
    bool ok;
    if (plain)
        ok = rtneural(k, j, layers);
    else if (!strcmp(cls, "Sequential"))
        ok = sequential(k, s, j, layers);
    else if (!strcmp(cls, "Functional") || !strcmp(cls, "Model"))
        ok = functional(k, s, config, layers);
    else
        return import_refuse(ctx, what, arena_printf(a, "model '%.60s'", cls),
                             "only Sequential and Functional models are read");
    if (!ok || !put_inputs(k)) return false;
    const char *from = plain ? "RTNeural's JSON" : arena_printf(a, "a %s model of Keras %d", cls, k->version);
    return writer_finish(&k->w, writer_model_name(&k->w, o, what), from);
}

static bool is_zip(const void *data, size_t n) { return n >= 4 && !memcmp(data, "PK\3\4", 4); }

bool import_keras_bytes(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, const ImportOptions *o,
                        Imported *out) {
    Saved s = {0};
    if (is_zip(data, n)) return read_archive(ctx, a, what, data, n, &s) && translate(ctx, a, what, &s, o, out);
    if (n >= 8 && !memcmp(data, "\x89HDF", 4)) {
        import_refuse(ctx, what, "the file",
                      "whole models in HDF5 are Keras's old form; model.save(\"M.keras\") writes what is read");
        return false;
    }
    if (!(s.config = json_read(ctx, a, what, data, n))) return false;
    if (o && o->weights) {
        char *h5;
        size_t nh5;
        s.has_h5 = true;
        if (!file_read(ctx, a, o->weights, &h5, &nh5) || !hdf5_read(ctx, a, o->weights, h5, nh5, &s.h5)) return false;
    }
    return translate(ctx, a, what, &s, o, out);
}

bool import_keras(Ctx *ctx, Arena *a, const char *path, const ImportOptions *o, Imported *out) {
    char *data;
    size_t n;
    return file_read(ctx, a, path, &data, &n) && import_keras_bytes(ctx, a, path, data, n, o, out);
}
