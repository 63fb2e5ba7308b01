/* onnx_loop: Loop with a number of rounds that is known: its rounds are written out one after the other. */
#include <string.h>

#include "import/onnx_graph.h"

enum { ROUNDS_MAX = 256, UNROLLED_MAX = 20000 };

typedef struct {
    const OnnxGraph *body;
    uint32_t rounds, states, scans;
    const Value **state; /* what is carried */
    Str *scanned;        /* [scans] "a, b": the results of the rounds */
    Value *like;         /* [scans] one of them */
} Loop;

static bool known(const Value *v) { return v && v->kind == VALUE_CONST && v->t.n == 1; }

static bool read_loop(Onnx *o, const OnnxNode *n, Loop *l) {
    const OnnxAttr *body = onnx_attr(n, "body");
    const Value *count = onnx_in(o, n, 0), *cond = onnx_in(o, n, 1);
    if (!body || !body->g || n->nin < 2) return onnx_refuse(o, "it has no body");
    if (!known(count) || (cond && (!known(cond) || cond->t.v[0] == 0)))
        return onnx_refuse(
            o, "its rounds are counted and ended by values of the run; Rondo's scans run over the steps of the data");
    if (!(count->t.v[0] >= 1 && count->t.v[0] <= ROUNDS_MAX))
        return onnx_refuse(o, "its number of rounds is not from 1 to %d", ROUNDS_MAX);
    l->body = body->g;
    l->rounds = (uint32_t)count->t.v[0];
    l->states = n->nin - 2;
    if (l->body->nin != l->states + 2 || l->body->nout != n->nout + 1 || n->nout < l->states)
        return onnx_refuse(o, "its body has other inputs or outputs than the node");
    l->scans = n->nout - l->states;
    l->state = NEW_N(o->w.a, const Value *, l->states + 1);
    l->scanned = NEW_N(o->w.a, Str, l->scans + 1);
    l->like = NEW_N(o->w.a, Value, l->scans + 1);
    for (uint32_t k = 0; k < l->scans; k++) l->scanned[k] = str_make(o->w.a);
    for (uint32_t k = 0; k < l->states; k++)
        if (!(l->state[k] = onnx_in(o, n, k + 2))) return onnx_refuse(o, "an input is missing");
    return true;
}

/* A name of the body for a value from outside. */
static bool body_input(Onnx *o, const OnnxPort *p, const Value *from) {
    const OnnxNode fake = {.name = "", .op = "", .domain = "", .nout = 1, .out = &p->name};
    return onnx_alias(o, &fake, 0, from) != NULL;
}

static bool one_round(Onnx *o, Loop *l, uint32_t round) {
    const double numbers[] = {round, 1};
    o->unrolled += l->body->nnode + 1;
    if (o->unrolled > UNROLLED_MAX)
        return onnx_refuse(o, "written out, the graph's loops have more than %d nodes", UNROLLED_MAX);
    for (uint32_t k = 0; k < l->body->nin; k++) {
        Value fixed = {.kind = VALUE_CONST, .t = {.name = "", .n = 1, .v = NEW_N(o->w.a, double, 1)}};
        if (k < 2) memcpy((double *)(uintptr_t)fixed.t.v, &numbers[k], sizeof *numbers);
        if (!body_input(o, &l->body->in[k], k < 2 ? &fixed : l->state[k - 2])) return false;
    }
    const OnnxNode *node = o->node;
    if (!onnx_nodes(o, l->body)) return false;
    o->node = node;
    const Value *cond = onnx_find(o, l->body->out[0].name);
    if (!known(cond) || cond->t.v[0] == 0) return onnx_refuse(o, "it may end before its rounds are over");
    for (uint32_t k = 1; k < l->body->nout; k++) {
        const Value *v = onnx_find(o, l->body->out[k].name);
        if (!v || v->kind == VALUE_LENGTHS) return onnx_refuse(o, "output %u of its body is missing", (unsigned)k);
        if (k <= l->states) {
            l->state[k - 1] = v;
            continue;
        }
        Value *like = &l->like[k - 1 - l->states];
        if (v->kind != VALUE_RUN || (round && v->n != like->n))
            return onnx_refuse(o, "what it collects is fixed, or differs in size from round to round");
        str_printf(&l->scanned[k - 1 - l->states], "%s%s", round ? ", " : "", v->text);
        *like = *v;
    }
    return true;
}

bool onnx_loop(Onnx *o, const OnnxNode *n) {
    Loop l = {0};
    if (!read_loop(o, n, &l)) return false;
    for (uint32_t round = 0; round < l.rounds; round++) {
        Frame *frame = NEW(o->w.a, Frame);
        frame->up = o->frame;
        o->frame = frame;
        bool ok = one_round(o, &l, round);
        o->frame = frame->up;
        if (!ok) return false;
    }
    for (uint32_t k = 0; k < n->nout; k++) {
        if (!onnx_used(o, n, k)) continue;
        if (k < l.states) {
            if (!onnx_alias(o, n, k, l.state[k])) return false;
            continue;
        }
        const Value *like = &l.like[k - l.states];
        if (like->rank == RONDO_MAX_RANK) return onnx_refuse(o, "the result has more than 8 dims");
        Value *v = onnx_emit(o, n, k, NULL, like->n * l.rounds, "[%s]", l.scanned[k - l.states].at);
        if (!v) return false;
        value_add_dim(v, DIM_FEATURE, l.rounds);
        for (int d = 0; d < like->rank; d++) value_add_dim(v, like->role[d], like->dim[d]);
    }
    return true;
}
