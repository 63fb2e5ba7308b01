/* onnx: ONNX files, folders of vectors, and single operators in JSON. */
#include <string.h>
#include <unistd.h>

#include "import/onnx_graph.h"

enum { VECTORS_MAX = 1000 };

static Array *add_tensor(Onnx *o, Arrays *s, const char *name, const OnnxTensor *t) {
    if (arrays_find(s, name)) return import_bad(o->w.ctx, o->w.what, "'%.80s' is given twice", name), NULL;
    Array *x = arrays_add(o->w.a, s, name, RONDO_F64, t->rank, t->dim);
    if (x && t->n) memcpy(x->data, t->v, (size_t)t->n * sizeof *t->v);
    return x;
}

/* ---- vectors in files ---------------------------------------------------------------------------------------------------- */

/* The k-th port that a file of vectors can stand for: inputs with a value of their own in the graph have none. */
static const OnnxPort *port_at(const OnnxGraph *g, bool in, int k) {
    for (uint32_t i = 0; i < (in ? g->nin : g->nout); i++) {
        bool init = false;
        for (uint32_t j = 0; in && j < g->ninit; j++) init = init || !strcmp(g->init[j].name, g->in[i].name);
        if (!init && k-- == 0) return in ? &g->in[i] : &g->out[i];
    }
    return NULL;
}

static bool is_port(const OnnxGraph *g, bool in, const char *name) {
    for (uint32_t i = 0; i < (in ? g->nin : g->nout); i++)
        if (!strcmp(in ? g->in[i].name : g->out[i].name, name)) return true;
    return false;
}

static bool read_vectors(Onnx *o, const OnnxReader *reader, const char *dir, bool in, Arrays *out) {
    for (int k = 0; k < VECTORS_MAX; k++) {
        const char *path = arena_printf(o->w.a, "%s/%s_%d.pb", dir, in ? "input" : "output", k);
        char *data;
        size_t n;
        OnnxTensor t;
        const OnnxPort *port = port_at(&o->m->graph, in, k);
        if (access(path, F_OK) != 0) return true;
        if (port && !port->tensor) continue; /* a sequence or map, which will be refused */
        if (!file_read(o->w.ctx, o->w.a, path, &data, &n) || !reader->tensor(o->w.ctx, o->w.a, path, data, n, &t)) return false;
        const char *name = *t.name && is_port(&o->m->graph, in, t.name) ? t.name : port ? port->name : NULL;
        if (!name) return import_bad(o->w.ctx, path, "the graph has fewer %s", in ? "inputs" : "outputs");
        if (!add_tensor(o, out, name, &t)) return false;
    }
    return true;
}

/* ---- examples without steps ---------------------------------------------------------------------------------------------- */

/* ONNX allows lengths of 0, of which nothing is computed; in Rondo lengths start at 1. Such examples leave the vectors. */
static void drop_examples(Arrays *s, const bool *drop) {
    for (uint32_t i = 0; i < s->array.n; i++) {
        Array *x = &s->array.at[i];
        int64_t B = x->dim[0], row = B ? array_count(x) / B : 0, to = 0;
        size_t size = (size_t)row * rondo_type_size(x->type);
        for (int64_t b = 0; b < B; b++) {
            if (drop[b]) continue;
            if (to != b) memcpy((char *)x->data + (size_t)to * size, (char *)x->data + (size_t)b * size, size);
            to++;
        }
        x->dim[0] = to;
    }
}

static bool leave_out_empty(Onnx *o, Imported *im) {
    const Array *len = NULL;
    for (uint32_t i = 0; i < im->given.array.n; i++)
        if (!strncmp(im->given.array.at[i].name, "length/", 7)) len = &im->given.array.at[i];
    int64_t B = len ? len->dim[0] : 0;
    bool *drop = NEW_N(o->w.a, bool, B + 1);
    for (int64_t b = 0; b < B; b++)
        if ((drop[b] = array_get(len, b) == 0)) VEC_PUSH(o->w.a, im->empty) = b;
    if (!im->empty.n) return true;
    for (uint32_t i = 0; i < im->expected.array.n; i++) {
        const Array *x = &im->expected.array.at[i];
        int64_t row = x->dim[0] ? array_count(x) / x->dim[0] : 0;
        if (x->dim[0] != B) return import_bad(o->w.ctx, o->w.what, "the vectors disagree about the number of examples");
        for (int64_t k = 0; k < B * row; k++)
            if (drop[k / row] && array_get(x, k) != 0)
                return import_bad(o->w.ctx, o->w.what, "the vectors expect something of an example without steps");
    }
    for (uint32_t i = 0; i < im->given.array.n; i++)
        if (im->given.array.at[i].dim[0] != B)
            return import_bad(o->w.ctx, o->w.what, "the vectors disagree about the number of examples");
    drop_examples(&im->given, drop);
    drop_examples(&im->expected, drop);
    if (im->empty.n == B) im->given = im->expected = (Arrays){0};
    return true;
}

static bool arrange_all(Onnx *o, const Arrays *expected) {
    Imported *im = o->w.out;
    for (int in = 1; in >= 0; in--)
        for (uint32_t i = 0; i < (in ? im->in.n : im->out.n); i++) {
            const ImportPort *p = in ? &im->in.at[i] : &im->out.at[i];
            const Array *src = arrays_find(in ? &o->given : expected, p->source);
            if (!src && in) { /* without all inputs nothing can be run */
                im->given = im->expected = (Arrays){0};
                return true;
            }
            if (!src) continue;
            const Array *x = import_arrange(o->w.ctx, o->w.a, p, src);
            if (!x) return false;
            VEC_PUSH(o->w.a, (in ? &im->given : &im->expected)->array) = *x;
        }
    return leave_out_empty(o, im);
}

static bool translate(Onnx *o, const ImportOptions *opt, const Arrays *expected) {
    return onnx_translate(o, opt, o->w.what) && arrange_all(o, expected);
}

bool import_onnx_bytes(Ctx *ctx, Arena *a, const char *what, const void *data, size_t n, const ImportOptions *opt,
                       Imported *out) {
    const OnnxReader *reader = onnx_reader(ctx);
    OnnxModel *m = NEW(a, OnnxModel);
    Onnx *o = NEW(a, Onnx);
    Arrays expected = {0};
    writer_init(&o->w, ctx, a, what, out);
    o->m = m;
    if (!reader || !reader->model(ctx, a, what, data, n, m)) return false;
    const char *dir = opt ? opt->vectors : NULL;
    if (dir && access(arena_printf(a, "%s/input_0.pb", dir), R_OK) != 0)
        return import_bad(ctx, dir, "this folder has no input_0.pb");
    if (dir && (!read_vectors(o, reader, dir, true, &o->given) || !read_vectors(o, reader, dir, false, &expected)))
        return false;
    return translate(o, opt, &expected);
}

bool import_onnx(Ctx *ctx, Arena *a, const char *path, const ImportOptions *opt, Imported *out) {
    char *data;
    size_t n;
    ImportOptions with = opt ? *opt : (ImportOptions){0};
    if (!file_read(ctx, a, path, &data, &n)) return false;
    const char *slash = strrchr(path, '/');
    const char *beside = arena_printf(a, "%.*stest_data_set_0", slash ? (int)(slash - path + 1) : 0, path);
    if (!with.vectors && access(arena_printf(a, "%s/input_0.pb", beside), R_OK) == 0) with.vectors = beside;
    size_t len = strlen(path);
    if (len > 5 && !strcmp(path + len - 5, ".json")) return import_onnx_json(ctx, a, path, data, n, &with, out);
    return import_onnx_bytes(ctx, a, path, data, n, &with, out);
}

/* ---- one operator in JSON ------------------------------------------------------------------------------------------------ */

static bool json_attr(Onnx *o, const char *name, const Json *j, OnnxAttr *out) {
    Arena *a = o->w.a;
    *out = (OnnxAttr){.name = name};
    if (j->kind == JSON_NUMBER_) {
        out->has_f = out->has_i = true;
        out->f = j->number;
        out->i = j->number > -9e15 && j->number < 9e15 ? (int64_t)j->number : 0;
        return true;
    }
    if (j->kind == JSON_STRING_) return out->s = j->text, true;
    if (j->kind != JSON_LIST_)
        return import_bad(o->w.ctx, o->w.what, "attribute '%.60s' is no number, text or list of them", name);
    double *fs = NEW_N(a, double, j->n + 1);
    int64_t *is = NEW_N(a, int64_t, j->n + 1);
    const char **ss = NEW_N(a, const char *, j->n + 1);
    for (uint32_t i = 0; i < j->n; i++) {
        const Json *x = &j->item[i];
        if (x->kind != j->item[0].kind || (x->kind != JSON_NUMBER_ && x->kind != JSON_STRING_))
            return import_bad(o->w.ctx, o->w.what, "attribute '%.60s' is a list of different things", name);
        ss[i] = x->kind == JSON_STRING_ ? x->text : "";
        fs[i] = x->kind == JSON_NUMBER_ ? x->number : 0;
        is[i] = fs[i] > -9e15 && fs[i] < 9e15 ? (int64_t)fs[i] : 0;
    }
    bool text = j->n && j->item[0].kind == JSON_STRING_;
    out->ns = text ? j->n : 0;
    out->nf = out->ni = text ? 0 : j->n;
    out->fs = fs;
    out->is = is;
    out->ss = ss;
    return true;
}

/* "inputs" or "outputs": names, ports, arrays. A null is an operand left out. */
static bool json_side(Onnx *o, const Json *list, const char ***names, OnnxPort **ports, uint32_t *nport, Arrays *arrays) {
    Arena *a = o->w.a;
    uint32_t n = list && list->kind == JSON_LIST_ ? list->n : 0;
    *names = NEW_N(a, const char *, n + 1);
    *ports = NEW_N(a, OnnxPort, n + 1);
    *nport = 0;
    for (uint32_t i = 0; i < n; i++) {
        const Json *j = &list->item[i];
        const char *name = json_text(j, "name", NULL);
        (*names)[i] = name ? name : "";
        if (j->kind == JSON_NULL_) continue;
        if (!name || !*name) return import_bad(o->w.ctx, o->w.what, "an input or output has no \"name\"");
        Array x;
        if (!json_array_of(o->w.ctx, a, o->w.what, name, j, &x)) return false;
        OnnxPort *p = &(*ports)[(*nport)++];
        *p = (OnnxPort){.name = name, .tensor = true, .rank = x.rank};
        for (int d = 0; d < x.rank; d++) p->dim[d] = x.dim[d] > 0 ? x.dim[d] : -1;
        if (arrays_find(arrays, name)) return import_bad(o->w.ctx, o->w.what, "'%.80s' is given twice", name);
        x.name = name;
        VEC_PUSH(a, arrays->array) = x;
    }
    return true;
}

/* {"op": "LSTM", "domain": "", "attributes": {..}, "inputs": [{"name", "shape", "data"} or null, ..], "outputs": [..]}. */
bool import_onnx_json(Ctx *ctx, Arena *a, const char *what, const char *text, size_t n, const ImportOptions *opt,
                      Imported *out) {
    Onnx *o = NEW(a, Onnx);
    OnnxModel *m = NEW(a, OnnxModel);
    OnnxNode *node = NEW(a, OnnxNode);
    Arrays expected = {0};
    writer_init(&o->w, ctx, a, what, out);
    o->m = m;
    const Json *j = json_read(ctx, a, what, text, n), *attrs = json_get(j, "attributes");
    if (!j) return false;
    if (!json_text(j, "op", NULL)) return import_bad(ctx, what, "is no operator in JSON: it has no \"op\"");
    *node = (OnnxNode){.name = "", .op = json_text(j, "op", ""), .domain = json_text(j, "domain", "")};
    OnnxAttr *attr = NEW_N(a, OnnxAttr, attrs ? attrs->n + 1 : 1);
    for (uint32_t i = 0; attrs && attrs->kind == JSON_OBJECT_ && i < attrs->n; i++)
        if (!json_attr(o, attrs->key[i], &attrs->item[i], &attr[node->nattr++])) return false;
    node->attr = attr;
    const char **in, **outs;
    OnnxPort *pin, *pout;
    const Json *ji = json_get(j, "inputs"), *jo = json_get(j, "outputs");
    if (!json_side(o, ji, &in, &pin, &m->graph.nin, &o->given) || !json_side(o, jo, &outs, &pout, &m->graph.nout, &expected))
        return false;
    node->in = in;
    node->out = outs;
    node->nin = ji ? ji->n : 0;
    node->nout = jo ? jo->n : 0;
    m->opset = (int64_t)json_number_of(j, "opset", 14);
    m->graph.name = "";
    m->graph.in = pin;
    m->graph.out = pout;
    m->graph.node = node;
    m->graph.nnode = 1;
    return translate(o, opt, &expected);
}
