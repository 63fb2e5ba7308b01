/* onnx_graph: names, inputs and outputs of an ONNX graph; the walk over its nodes. */
#include <math.h>
#include <string.h>

#include "import/onnx_graph.h"

bool onnx_refuse(const Onnx *o, const char *fmt, ...) {
    Str s = str_make(o->w.a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    const OnnxNode *n = o->node;
    const char *name = !n ? "" : *n->name ? n->name : n->nout ? n->out[0] : "";
    const char *where = n ? arena_printf(o->w.a, "node '%.80s' (%.60s)", name, n->op) : "the graph";
    return import_refuse(o->w.ctx, o->w.what, where, "%s", s.at);
}

const OnnxAttr *onnx_attr(const OnnxNode *n, const char *name) {
    for (uint32_t i = 0; i < n->nattr; i++)
        if (!strcmp(n->attr[i].name, name)) return &n->attr[i];
    return NULL;
}

int64_t onnx_int(const OnnxNode *n, const char *name, int64_t otherwise) {
    const OnnxAttr *x = onnx_attr(n, name);
    return x && x->has_i ? x->i : otherwise;
}

double onnx_float(const OnnxNode *n, const char *name, double otherwise) {
    const OnnxAttr *x = onnx_attr(n, name);
    return x && x->has_f ? x->f : otherwise;
}

/* ---- values -------------------------------------------------------------------------------------------------------------- */

static Value *frame_find(const Frame *f, Name name) {
    for (Value *v = f->bucket[name % BUCKETS]; v; v = v->next)
        if (v->name == name) return v;
    return NULL;
}

Value *onnx_find(const Onnx *o, const char *name) {
    Name id = intern(o->w.ctx, name);
    for (const Frame *f = o->frame; f; f = f->up) {
        Value *v = frame_find(f, id);
        if (v) return v;
    }
    return NULL;
}

static Value *define(Onnx *o, const char *source, ValueKind kind) {
    Name id = intern(o->w.ctx, source);
    if (frame_find(o->frame, id)) {
        import_bad(o->w.ctx, o->w.what, "two values of the graph are called '%.100s'", source);
        return NULL;
    }
    Value *v = NEW(o->w.a, Value);
    *v = (Value){.kind = kind, .source = source, .name = id, .n = 1, .next = o->frame->bucket[id % BUCKETS]};
    o->frame->bucket[id % BUCKETS] = v;
    return v;
}

Value *onnx_in(Onnx *o, const OnnxNode *n, uint32_t k) { return k < n->nin && *n->in[k] ? onnx_find(o, n->in[k]) : NULL; }

bool onnx_used(const Onnx *o, const OnnxNode *n, uint32_t k) {
    if (k >= n->nout || !*n->out[k]) return false;
    Name id = intern(o->w.ctx, n->out[k]);
    return id < o->frame->nuses && o->frame->uses[id];
}

Value *onnx_out(Onnx *o, const OnnxNode *n, uint32_t k, ValueKind kind) {
    if (k >= n->nout || !*n->out[k]) {
        onnx_refuse(o, "it has no output %u", (unsigned)k);
        return NULL;
    }
    return define(o, n->out[k], kind);
}

void value_add_dim(Value *v, DimRole role, int64_t dim) {
    v->role[v->rank] = role;
    v->dim[v->rank++] = dim;
    if (role == DIM_TIME) v->seq = true;
}

static void take_dims(Value *v, const Value *like) {
    v->rank = like->rank;
    memcpy(v->role, like->role, sizeof v->role);
    memcpy(v->dim, like->dim, sizeof v->dim);
    v->seq = like->seq;
}

Value *onnx_emit(Onnx *o, const OnnxNode *n, uint32_t k, const Value *like, int64_t features, const char *fmt, ...) {
    if (features < 1 || features > FEATURES_MAX)
        return onnx_refuse(o, "its result has %lld features", (long long)features), NULL;
    Value *v = onnx_out(o, n, k, VALUE_RUN);
    if (!v) return NULL;
    Str s = str_make(o->w.a);
    va_list ap;
    va_start(ap, fmt);
    str_vprintf(&s, fmt, ap);
    va_end(ap);
    if (like) take_dims(v, like);
    v->n = features;
    v->text = writer_name(&o->w, n->out[k]);
    writer_line(&o->w, "%s = %s", v->text, s.at);
    return v;
}

Value *onnx_alias(Onnx *o, const OnnxNode *n, uint32_t k, const Value *like) {
    Value *v = onnx_out(o, n, k, like->kind);
    if (!v) return NULL;
    take_dims(v, like);
    v->text = like->text;
    v->t = like->t;
    v->n = like->n;
    v->input = like->input;
    v->truth = like->truth;
    return v;
}

/* ---- uses ---------------------------------------------------------------------------------------------------------------- */

static void use(Onnx *o, Frame *f, const char *name) {
    Name id = intern(o->w.ctx, name);
    if (id >= f->nuses) {
        uint32_t n = 2 * id + 64;
        f->uses = arena_grow(o->w.a, f->uses, f->nuses * sizeof *f->uses, n * sizeof *f->uses);
        f->nuses = n;
    }
    f->uses[id]++;
}

/* Values read by the graph's nodes, by those of graphs inside, and by whoever reads the outputs. */
static void count_uses(Onnx *o, Frame *f, const OnnxGraph *g) {
    for (uint32_t i = 0; i < g->nnode; i++) {
        for (uint32_t k = 0; k < g->node[i].nin; k++) use(o, f, g->node[i].in[k]);
        for (uint32_t k = 0; k < g->node[i].nattr; k++)
            if (g->node[i].attr[k].g) count_uses(o, f, g->node[i].attr[k].g);
    }
    for (uint32_t k = 0; k < g->nout; k++) use(o, f, g->out[k].name);
}

/* ---- nodes --------------------------------------------------------------------------------------------------------------- */

static bool constant_node(Onnx *o, const OnnxNode *n) {
    const OnnxAttr *t = onnx_attr(n, "value"), *f = onnx_attr(n, "value_float"), *i = onnx_attr(n, "value_int");
    const OnnxAttr *fs = onnx_attr(n, "value_floats"), *is = onnx_attr(n, "value_ints");
    Value *v = onnx_out(o, n, 0, VALUE_CONST);
    if (!v) return false;
    if (t && t->t) {
        v->t = *t->t;
        return true;
    }
    v->t.n = fs ? fs->nf : is ? is->ni : 1;
    v->t.rank = fs || is;
    v->t.whole = i || is;
    v->t.dim[0] = v->t.n;
    double *x = NEW_N(o->w.a, double, v->t.n + 1);
    for (int64_t k = 0; k < v->t.n; k++) x[k] = fs ? fs->fs[k] : is ? (double)is->is[k] : f ? f->f : i ? (double)i->i : NAN;
    v->t.v = x;
    return f || i || fs || is || onnx_refuse(o, "its value is of a kind that is not read");
}

static bool inputs_known(Onnx *o, const OnnxNode *n) {
    for (uint32_t k = 0; k < n->nin; k++)
        if (*n->in[k] && !onnx_find(o, n->in[k]))
            return onnx_refuse(o, "it reads '%.80s', which no node before it makes (a cycle, or the nodes are not in order)",
                               n->in[k]);
    return true;
}

static bool any_use(const Onnx *o, const OnnxNode *n) {
    for (uint32_t k = 0; k < n->nout; k++)
        if (onnx_used(o, n, k)) return true;
    return false;
}

static bool translate_node(Onnx *o, const OnnxNode *n) {
    o->node = n;
    if (*n->domain && strcmp(n->domain, "ai.onnx"))
        return onnx_refuse(o, "operators of the domain '%.60s' are not of ONNX's standard", n->domain);
    if (!inputs_known(o, n)) return false;
    if (!any_use(o, n)) return true;
    if (!strcmp(n->op, "Constant")) return constant_node(o, n);
    if (!strcmp(n->op, "RNN") || !strcmp(n->op, "GRU") || !strcmp(n->op, "LSTM")) return onnx_recurrent(o, n);
    if (!strcmp(n->op, "Scan")) return onnx_scan(o, n);
    if (!strcmp(n->op, "Loop")) return onnx_loop(o, n);
    bool done = false;
    if (!onnx_shape_op(o, n, &done)) return false;
    if (!done && !onnx_math_op(o, n, &done)) return false;
    if (done) return true;
    if (!strcmp(n->op, "Loop"))
        return onnx_refuse(
            o, "its rounds are counted and ended by values of the run; Rondo's scans run over the steps of the data");
    if (!strcmp(n->op, "If")) return onnx_refuse(o, "Rondo has no branches that are chosen for a whole batch");
    return onnx_refuse(o, "Rondo's importer does not know this operator");
}

bool onnx_nodes(Onnx *o, const OnnxGraph *g) {
    for (uint32_t i = 0; i < g->ninit; i++) {
        Value *v = onnx_find(o, g->init[i].name);
        if (v && v->kind == VALUE_CONST && o->frame->up == NULL) continue; /* an input that is given beats its default */
        v = define(o, g->init[i].name, VALUE_CONST);
        if (!v) return false;
        v->t = g->init[i];
    }
    count_uses(o, o->frame, g);
    for (uint32_t i = 0; i < g->nnode; i++)
        if (!translate_node(o, &g->node[i])) return false;
    o->node = NULL;
    return true;
}

/* ---- inputs and outputs -------------------------------------------------------------------------------------------------- */

static bool is_init(const OnnxGraph *g, const char *name) {
    for (uint32_t i = 0; i < g->ninit; i++)
        if (!strcmp(g->init[i].name, name)) return true;
    return false;
}

static bool weight_input(Onnx *o, const OnnxPort *p) {
    const Array *x = arrays_find(&o->given, p->name);
    if (!x) {
        diag_error(o->w.ctx, 652, NOWHERE,
                   "%s: '%.80s', weights or a number of rounds, is an input of the graph, so the file does not hold it",
                   o->w.what, p->name);
        diag_help(o->w.ctx, NOWHERE, "--vectors DIR names a folder with the inputs as input_0.pb, input_1.pb, ..");
        return false;
    }
    Value *v = define(o, p->name, VALUE_CONST);
    if (!v) return false;
    v->t = (OnnxTensor){.name = p->name, .rank = x->rank, .n = array_count(x), .v = x->data};
    memcpy(v->t.dim, x->dim, sizeof v->t.dim);
    return true;
}

static bool run_input(Onnx *o, const OnnxPort *p, const InputRoles *r) {
    if (!p->tensor || p->rank < 0)
        return import_refuse(o->w.ctx, o->w.what, arena_printf(o->w.a, "input '%.80s'", p->name),
                             p->tensor ? "the file does not say its dims" : "sequences, maps and optional values are not read");
    Value *v = define(o, p->name, r->lengths ? VALUE_LENGTHS : VALUE_RUN);
    if (!v) return false;
    v->input = v;
    for (int k = 0; k < p->rank; k++) {
        bool feature = r->role[k] == DIM_FEATURE;
        if (feature && p->dim[k] < 0 && !r->lengths)
            return import_refuse(o->w.ctx, o->w.what, arena_printf(o->w.a, "input '%.80s'", p->name),
                                 "dim %d holds features and has no fixed size", k);
        value_add_dim(v, r->role[k], p->dim[k]);
        if (feature && !r->lengths && (!checked_mul(v->n, p->dim[k], &v->n) || v->n > FEATURES_MAX))
            return import_refuse(o->w.ctx, o->w.what, arena_printf(o->w.a, "input '%.80s'", p->name),
                                 "it has too many features");
    }
    if (r->lengths) return true;
    v->text = writer_name(&o->w, p->name);
    VEC_PUSH(o->w.a, o->input) = v;
    return true;
}

static bool inputs(Onnx *o) {
    const InputRoles *r = onnx_roles(o);
    for (uint32_t i = 0; r && i < o->g->nin; i++) {
        const OnnxPort *p = &o->g->in[i];
        if (is_init(o->g, p->name)) continue;
        if (r[i].weight ? !weight_input(o, p) : !run_input(o, p, &r[i])) return false;
    }
    return r != NULL;
}

static void fill_port(ImportPort *p, const Value *v) {
    p->seq = v->seq;
    p->n = v->n;
    p->rank = v->rank;
    memcpy(p->role, v->role, sizeof p->role);
}

/* Inputs are declared when it is known how they are used: as tokens or as numbers. */
static bool declare_inputs(Onnx *o) {
    const Value *axis = NULL;
    for (uint32_t i = 0; i < o->input.n; i++) {
        const Value *v = o->input.at[i];
        if (v->seq && !axis) axis = v;
        const char *seq = v->seq ? "seq " : "";
        if (v->vocab)
            writer_input(&o->w, v->text, arena_printf(o->w.a, "%stoken[%lld]", seq, (long long)v->vocab));
        else
            writer_input(&o->w, v->text, arena_printf(o->w.a, "%s[%lld]", seq, (long long)v->n));
        ImportPort *p = writer_port(&o->w, true, "input", v->text, v->source);
        fill_port(p, v);
        if (v->vocab) p->n = 0;
    }
    for (uint32_t i = 0; i < o->g->nin; i++) {
        const Value *v = onnx_find(o, o->g->in[i].name);
        if (!v || v->kind != VALUE_LENGTHS) continue;
        if (!axis) return onnx_refuse(o, "'%.80s' gives lengths, but no input has steps", v->source);
        ImportPort *p = writer_port(&o->w, true, "length", axis->text, v->source);
        fill_port(p, v);
        p->n = 0;
    }
    return true;
}

static bool outputs(Onnx *o) {
    for (uint32_t i = 0; i < o->g->nout; i++) {
        const OnnxPort *p = &o->g->out[i];
        const Value *v = onnx_find(o, p->name);
        if (!v) return onnx_refuse(o, "no node makes its output '%.80s'", p->name);
        if (v->kind != VALUE_RUN || v->vocab)
            return onnx_refuse(o, "its output '%.80s' does not depend on what is run", p->name);
        const char *name = v->text;
        for (uint32_t k = 0; k < o->w.out->out.n; k++) /* the same value twice needs two names */
            if (!strcmp(o->w.out->out.at[k].name + 7, name)) name = writer_name(&o->w, p->name);
        writer_output(&o->w, name, v->text);
        ImportPort *port = writer_port(&o->w, false, "output", name, p->name);
        fill_port(port, v);
    }
    return o->g->nout > 0 || onnx_refuse(o, "it has no outputs");
}

static void note_ports(Onnx *o) {
    static const char *const role[] = {"feature", "batch", "time"};
    for (int side = 0; side < 2; side++) {
        uint32_t n = side ? o->w.out->out.n : o->w.out->in.n;
        for (uint32_t i = 0; i < n; i++) {
            const ImportPort *p = side ? &o->w.out->out.at[i] : &o->w.out->in.at[i];
            Str s = str_make(o->w.a);
            str_printf(&s, "%s %s is ONNX's '%.80s', there [", side ? "output" : "input", p->name + (side ? 7 : 6), p->source);
            if (!strncmp(p->name, "length/", 7)) {
                s.n = 0;
                str_printf(&s, "the lengths of %s are ONNX's '%.80s' [", p->name + 7, p->source);
            }
            for (int k = 0; k < p->rank; k++) str_printf(&s, "%s%s", k ? ", " : "", role[p->role[k]]);
            str_put(&s, "]");
            writer_note(&o->w, "%s", s.at);
        }
    }
}

static bool has_steps(const OnnxGraph *g) {
    static const char *const ops[] = {"RNN", "GRU", "LSTM", "Scan", "Loop"};
    for (uint32_t i = 0; i < g->nnode; i++)
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
            if (!strcmp(g->node[i].op, ops[k])) return true;
    return false;
}

bool onnx_translate(Onnx *o, const ImportOptions *opt, const char *path) {
    o->g = &o->m->graph;
    o->frame = NEW(o->w.a, Frame);
    if (!inputs(o) || !onnx_nodes(o, o->g) || !outputs(o) || !declare_inputs(o)) {
        if (!has_steps(o->g))
            diag_help(o->w.ctx, NOWHERE, "the graph has no recurrent layer: some exporters write them out step by step, "
                                         "torch.onnx.export(.., dynamo=False) does not");
        return false;
    }
    note_ports(o);
    const char *model = writer_model_name(&o->w, opt, path);
    const char *by = o->m->producer && *o->m->producer ? arena_printf(o->w.a, ", written by %.60s", o->m->producer) : "";
    return writer_finish(&o->w, model, arena_printf(o->w.a, "an ONNX graph (operator set %lld)%s", (long long)o->m->opset, by));
}
