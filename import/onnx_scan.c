/* onnx_scan: Scan as a cell. The body becomes the cell's statements, its first inputs states, the others inputs of a step. */
#include <string.h>

#include "import/onnx_graph.h"

typedef struct {
    const OnnxGraph *body;
    bool old; /* operator set 8: an input of lengths first, and a batch */
    uint32_t first, states, scanned,
        scans; /* node inputs: first.., of which `states` states; then `scanned`. `scans`: scan outputs */
} Scan;

static bool read_scan(Onnx *o, const OnnxNode *n, Scan *s) {
    const OnnxAttr *body = onnx_attr(n, "body");
    int64_t m = onnx_int(n, "num_scan_inputs", 0);
    s->old = o->m->opset && o->m->opset < 9;
    s->first = s->old ? 1 : 0;
    if (!body || !body->g || m < 1 || m + s->first > n->nin) return onnx_refuse(o, "it has no body or nothing to scan");
    s->body = body->g;
    s->scanned = (uint32_t)m;
    s->states = n->nin - s->first - s->scanned;
    if (s->body->nin != s->states + s->scanned || s->body->nout != n->nout || n->nout < s->states)
        return onnx_refuse(o, "its body has other inputs or outputs than the node");
    s->scans = n->nout - s->states;
    if (s->old && *n->in[0]) return onnx_refuse(o, "its lengths are an input; Rondo takes lengths with the data");
    const OnnxAttr *axes = onnx_attr(n, "scan_output_axes");
    for (uint32_t i = 0; axes && i < axes->ni; i++)
        if (axes->is[i]) return onnx_refuse(o, "scan_output_axes other than 0 are not read");
    return true;
}

/* Whether scanned value i of an attribute runs from the last step to the first. */
static bool backwards(const OnnxNode *n, const char *attr, uint32_t i) {
    const OnnxAttr *d = onnx_attr(n, attr);
    return d && i < d->ni && d->is[i] == 1;
}

/* A value inside the body like one outside, without batch and time. */
static bool body_input(Onnx *o, const OnnxPort *p, const Value *outer, const char *text) {
    OnnxNode fake = {.name = "", .op = "", .domain = "", .nout = 1, .out = &p->name};
    Value *v = onnx_out(o, &fake, 0, VALUE_RUN);
    if (!v) return false;
    v->text = text;
    v->n = outer->n;
    for (int d = 0; d < outer->rank; d++)
        if (outer->role[d] == DIM_FEATURE) value_add_dim(v, DIM_FEATURE, outer->dim[d]);
    return true;
}

static bool operands(Onnx *o, const OnnxNode *n, const Scan *s) {
    for (uint32_t k = s->first; k < n->nin; k++) {
        const Value *v = onnx_in(o, n, k);
        bool scanned = k >= s->first + s->states;
        if (!v || (v->kind != VALUE_RUN && (scanned || v->kind != VALUE_CONST)))
            return onnx_refuse(o, "its input %u is missing or fixed", (unsigned)k);
        if (v->kind == VALUE_RUN && v->seq != scanned)
            return onnx_refuse(o, "its input %u %s", (unsigned)k, scanned ? "has no steps" : "has steps");
    }
    return true;
}

/* The initial value of state k as text of the model. */
static const char *initial(Onnx *o, const Value *v) {
    return v->kind == VALUE_RUN ? v->text : writer_param(&o->w, "start", 1, &v->t.n, v->t.v);
}

static Value as_run(const Value *v) {
    Value r = *v;
    if (v->kind != VALUE_CONST) return r;
    r.rank = 0;
    for (int d = 0; d < v->t.rank; d++) value_add_dim(&r, DIM_FEATURE, v->t.dim[d]);
    r.n = v->t.n;
    return r;
}

/* The cell's text. Fills state and result names of the body. */
static const char *body_cell(Onnx *o, const OnnxNode *n, const Scan *s, const char *instance, const char **state,
                             const char **result) {
    Writer *w = &o->w;
    Scope *inner = NEW(w->a, Scope);
    Frame *frame = NEW(w->a, Frame);
    *inner = (Scope){.up = w->scope, .prefix = arena_printf(w->a, "%s.", instance), .text = str_make(w->a), .cell = true};
    frame->up = o->frame;
    Str head = str_make(w->a), states = str_make(w->a);
    w->scope = inner;
    o->frame = frame;
    bool ok = true;
    for (uint32_t k = 0; ok && k < s->body->nin; k++) {
        const Value outer = as_run(onnx_in(o, n, s->first + k));
        const char *name = writer_name(w, s->body->in[k].name);
        if (k < s->states) {
            state[k] = name;
            str_printf(&states, "    state %s: [%lld] = 0\n", name, (long long)outer.n);
        } else
            str_printf(&head, "%s%s: [%lld]", k > s->states ? ", " : "", name, (long long)outer.n);
        ok = body_input(o, &s->body->in[k], &outer, name);
    }
    const OnnxNode *node = o->node;
    ok = ok && onnx_nodes(o, s->body);
    o->node = node;
    for (uint32_t k = 0; ok && k < s->body->nout; k++) {
        const Value *v = onnx_find(o, s->body->out[k].name);
        if (!v || v->kind != VALUE_RUN)
            ok = onnx_refuse(o, "output %u of its body is missing or fixed", (unsigned)k);
        else if (k < s->states)
            writer_line(w, "%s' = %s", state[k], v->text);
        else {
            result[k - s->states] = writer_name(w, s->body->out[k].name);
            writer_line(w, "%s = %s", result[k - s->states], v->text);
        }
    }
    w->scope = inner->up;
    o->frame = frame->up;
    if (!ok) return NULL;
    const char *ret = s->scans ? result[0] : arena_printf(w->a, "%s'", state[0]);
    return arena_printf(w->a, "(%s) {\n%s%s    return %s\n}\n", head.at ? head.at : "", states.at ? states.at : "",
                        inner->text.at ? inner->text.at : "", ret);
}

static bool results(Onnx *o, const OnnxNode *n, const Scan *s, const char *instance, const char *const *state,
                    const char *const *result) {
    for (uint32_t k = 0; k < n->nout; k++) {
        if (!onnx_used(o, n, k)) continue;
        bool is_state = k < s->states;
        Value *v;
        if (is_state) {
            const Value like = as_run(onnx_in(o, n, s->first + k));
            v = onnx_emit(o, n, k, &like, like.n, "%s.%s'.last", instance, state[k]);
            if (!v) return false;
            continue;
        }
        bool back = backwards(n, "scan_output_directions", k - s->states);
        const char *form = back ? "reverse(%s.%s)" : "%s.%s";
        v = onnx_emit(o, n, k, NULL, 1, "%s", arena_printf(o->w.a, form, instance, result[k - s->states]));
        if (!v) return false;
        /* roles as the scanned input has them; the features of the step are in the file's description of the body */
        const OnnxPort *p = &s->body->out[k];
        if (s->old) value_add_dim(v, DIM_BATCH, -1);
        value_add_dim(v, DIM_TIME, -1);
        if (p->rank < 0 || p->rank + v->rank > RONDO_MAX_RANK)
            return onnx_refuse(o, "the file does not say the dims of what its body gives");
        for (int d = 0; d < p->rank; d++) {
            if (!checked_mul(v->n, p->dim[d], &v->n))
                return onnx_refuse(o, "the file does not say the dims of what its body gives");
            value_add_dim(v, DIM_FEATURE, p->dim[d]);
        }
    }
    return true;
}

bool onnx_scan(Onnx *o, const OnnxNode *n) {
    Scan s = {0};
    if (o->w.scope->cell) return onnx_refuse(o, "a Scan inside the body of a Scan");
    if (!onnx_all_steps(o) || !read_scan(o, n, &s) || !operands(o, n, &s)) return false;
    Writer *w = &o->w;
    const char *instance = writer_name(w, *n->name ? n->name : "scan");
    const char **state = NEW_N(w->a, const char *, s.states + 1), **result = NEW_N(w->a, const char *, s.scans + 1);
    if (!s.states && !s.scans) return onnx_refuse(o, "its body gives nothing");
    const char *text = body_cell(o, n, &s, instance, state, result);
    if (!text) return false;
    const char *cell = writer_declare(w, "scan_step", "The body of an ONNX Scan.", "cell", text);
    Str call = str_make(w->a);
    for (uint32_t k = 0; k < s.scanned; k++) {
        const char *x = onnx_in(o, n, s.first + s.states + k)->text;
        bool back = backwards(n, s.old ? "directions" : "scan_input_directions", k);
        str_printf(&call, back ? "%sreverse(%s)" : "%s%s", k ? ", " : "", x);
    }
    for (uint32_t k = 0; k < s.states; k++) {
        const char *start = initial(o, onnx_in(o, n, s.first + k));
        if (!start) return false;
        str_printf(&call, ", %s = %s", state[k], start);
    }
    writer_line(w, "%s = %s(%s)", instance, cell, call.at);
    return results(o, n, &s, instance, state, result);
}
