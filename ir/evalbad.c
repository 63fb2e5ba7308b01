/* evalbad: of an evaluation that ended in what is no number, the value that had it first: from the loss, or from a gradient, back through
   operands that were bad before. What is computed and not taken, as a branch of `where`, is thereby left aside. */
#include <math.h>

#include "ir/eval.h"

void eval_note_bad(Eval *e, Frame *f, Ref r) {
    const Node *n = &f->g->node.at[r];
    int64_t features = node_features(n), idx[MAX_AXES] = {0}, row = 0;
    const double *v = f->v[r];
    Layout l;

    if (f->bad[r] || n->op == OP_SCAN || n->op == OP_CONST || n->dtype != DT_F || !v) return;
    layout_of(e, n->axes, &l);
    if (!l.rows) return;
    do {
        bool counts = row_valid(e, n->axes, idx);
        for (int64_t k = row * features; counts && k < (row + 1) * features; k++)
            if (!(fabs(v[k]) <= e->in->origin->most)) {
                f->bad[r] = ++e->events;
                if (op_info[n->op].cls == OPC_UNARY) f->from[r] = f->v[n->in[0]][k];
                return;
            }
        row++;
    } while (row_next(&l, idx));
}

typedef struct {
    const Frame *f;
    Ref r;
} Spot;

/* The earlier of the two, if it was bad before `limit`. */
static void earlier(Spot *best, const Frame *f, Ref r, uint64_t limit) {
    uint64_t when = f->bad[r], have = best->r ? best->f->bad[best->r] : limit;
    if (when && when < have) *best = (Spot){f, r};
}

/* A result of a scan: what the body last made of it, or the state that it began with. */
static void behind_out(Spot *best, const Frame *f, const Node *n, uint64_t limit) {
    const Frame *c = f->child[n->in[0]];
    ScanInfo s = scan_info(f->g, n->in[0]);
    const Root *o = &c->g->root.at[s.ncarry + n->attr];
    if (o->kind == ROOT_LAST) {
        earlier(best, f, s.init[o->index], limit);
        o = &c->g->root.at[o->index];
    }
    earlier(best, c, o->ref, limit);
}

static Spot behind(Spot p) {
    const Node *n = &p.f->g->node.at[p.r];
    uint64_t limit = p.f->bad[p.r];
    Spot best = {0};
    const Ref *in;
    uint32_t count = node_inputs(p.f->g, p.r, &in);

    if (n->op == OP_OUT) behind_out(&best, p.f, n, limit);
    else if (n->op == OP_CARRY || n->op == OP_STEP || n->op == OP_CAPTURE) {
        ScanInfo s = scan_info(p.f->up->g, p.f->scan);
        const Ref *from = n->op == OP_CARRY ? s.init : n->op == OP_STEP ? s.step : s.capture;
        uint32_t k = node_attr(p.f->g, p.r)[0];
        earlier(&best, p.f->up, from[k], limit);
        if (n->op == OP_CARRY) earlier(&best, p.f, p.f->g->root.at[k].ref, limit);
    } else
        for (uint32_t k = 0; k < count; k++) earlier(&best, p.f, in[k], limit);
    return best;
}

void eval_find_origin(const Eval *e, const Frame *f) {
    Spot at = {0}, next;

    for (int grads = 0; grads < 2 && !at.r; grads++)
        for (uint32_t i = 0; i < f->g->root.n; i++) {
            const Root *o = &f->g->root.at[i];
            Ref before = at.r;
            if (o->ref && (grads ? o->kind == ROOT_GRAD_PARAM : o->kind == ROOT_LOSS)) earlier(&at, f, o->ref, UINT64_MAX);
            if (at.r != before) e->in->origin->root = o;
        }
    if (!at.r) return;
    while ((next = behind(at)).r) at = next;
    e->in->origin->graph = at.f->g;
    e->in->origin->node = at.r;
    e->in->origin->operand = at.f->from[at.r];
}
