/* remat: recomputation. An axis T is worked through in segments, in one or more sweeps over it, instead of once with a stack
   of every step.
   before:  S = scan T fwd ..      L = sum over T of f(S)      S' = scan T rev (reads stacks of S)      dW = sum over T of g(S')
   after:   sweep 0, up:    each segment: S, its carries kept at the segment's start; L
            sweep 1, down:  each segment: S again from the kept carries, now with its stacks, for this segment only; S'; dW
   A sweep is a scan over an axis of segments. Its body is the work of one segment: there T means the segment's steps, and a sum
   over T goes on from what its place holds. Whatever a sweep before has made and a later one needs is made again, but for
   the carries of scans at segment starts, and for values that something reads at other steps too: those are kept whole.
   relies on: segments are multiples of the blocks in which rows are summed; sums over T go in the direction of their sweep, in
   every program (remat_order); what else bits depend on is decided on the whole graph and comes along as pins. */
#include "passes/remat.h"

bool kept(const Remat *x, Ref r)
{
    return x->f.whole[r] && stands(&x->f, r);
}

/* Values from outside that are not in memory are computed where they are used, leaves are the same everywhere. */
static bool goes_along(const Remat *x, Ref r)
{
    const Node *n = &x->f.g->node.at[r];
    if (x->f.role[r] == STEP)
        return true;
    if (x->f.role[r] != OUTSIDE)
        return false;
    return op_info[n->op].cls == OPC_LEAF ? n->op != OP_NOISE : !stands(&x->f, r);
}

static void need(Remat *x, uint32_t k, Ref r)
{
    if (goes_along(x, r) && !(kept(x, r) && x->f.at[r] < k))
        x->sweep[k].node[r] = true;
}

bool reads_whole(const Remat *x, Ref r)
{
    const Node *n = &x->f.g->node.at[r];
    bool other = op_info[n->op].cls == OPC_TIME && x->f.lg->ni[r].kind != NK_FREE && node_attr(x->f.g, r)[0] == x->f.axis;
    return x->f.role[r] == OUTSIDE || (x->f.role[r] == STEP && other);
}

/* For a value at all steps: nothing of it that is kept, whatever else of this sweep computes it again. */
static void need_whole(Remat *x, uint32_t k, Ref r)
{
    const Ref *in;
    uint32_t count = node_inputs(x->f.g, r, &in);
    if (x->f.role[r] != STEP)
        need(x, k, r);
    else if (!kept(x, r))
        for (uint32_t i = 0; i < count; i++)
            need_whole(x, k, in[i]);
}

static Part *part_of(Remat *x, uint32_t k, Ref scan)
{
    Part **p = &x->sweep[k].part[scan];
    if (!*p) {
        Arena *a = x->L->arena;
        ScanInfo s = scan_info(x->f.g, scan);
        const Graph *b = x->m->graph.at[s.body];
        *p = NEW(a, Part);
        **p = (Part){ NEW_N(a, bool, s.ncarry + 1), NEW_N(a, bool, b->root.n + 1), NEW_N(a, bool, b->node.n), NEW_N(a, Ref, s.ncarry + 1),
                      NEW_N(a, Ref, s.ncarry + 1), NEW_N(a, uint32_t, b->root.n + s.ncarry + 1) };
    }
    return *p;
}

/* The carries that the wanted results of a scan depend on, and the nodes of its body. */
static void close_body(const Graph *b, uint32_t ncarry, Part *p)
{
    for (uint32_t i = ncarry; i < b->root.n; i++) {
        const Root *o = &b->root.at[i];
        if (!p->out[i - ncarry])
            continue;
        p->node[o->ref] = true;
        for (uint32_t c = 0; c < ncarry; c++) /* its view before each step needs the carry */
            p->carry[c] |= b->root.at[c].ref == o->ref;
    }
    for (bool more = true; more;) {
        more = false;
        for (uint32_t c = 0; c < ncarry; c++)
            if (p->carry[c])
                p->node[b->root.at[c].ref] = true;
        for (Ref r = b->node.n; r-- > 1;) {
            const Ref *in;
            uint32_t n = node_inputs(b, r, &in);
            for (uint32_t i = 0; i < n && p->node[r]; i++)
                p->node[in[i]] = true;
            if (p->node[r] && b->node.at[r].op == OP_CARRY && !p->carry[b->node.at[r].attr])
                p->carry[b->node.at[r].attr] = more = true;
        }
    }
}

static void need_scan(Remat *x, uint32_t k, Ref r)
{
    ScanInfo s = scan_info(x->f.g, r);
    const Graph *b = x->m->graph.at[s.body];
    Part *p = part_of(x, k, r);
    for (uint32_t c = 0; c < s.ncarry && x->f.at[r] == k; c++)
        for (uint32_t j = k + 1; j < x->sweeps; j++)
            p->carry[c] |= x->sweep[j].part[r] && x->sweep[j].part[r]->carry[c];
    for (Ref o = r + 1; o < x->f.g->node.n && x->f.at[r] == k; o++) {
        const Node *n = &x->f.g->node.at[o];
        if (n->op == OP_OUT && n->in[0] == r && b->root.at[s.ncarry + n->attr].kind == ROOT_LAST)
            p->carry[b->root.at[s.ncarry + n->attr].index] = true;
    }
    close_body(b, s.ncarry, p);
    for (Ref q = 1; q < b->node.n; q++) {
        const Node *n = &b->node.at[q];
        if (p->node[q] && n->op == OP_STEP)
            need(x, k, s.step[n->attr]);
        if (p->node[q] && n->op == OP_CAPTURE)
            need_whole(x, k, s.capture[n->attr]);
    }
}

static void need_sweep(Remat *x, uint32_t k)
{
    const Flow *f = &x->f;
    bool *node = x->sweep[k].node;
    for (Ref r = f->g->node.n; r-- > 1;) {
        const Node *n = &f->g->node.at[r];
        if (f->at[r] == k && (f->role[r] == REDUCE || f->role[r] == SCAN || (f->role[r] == STEP && kept(x, r))))
            node[r] = true;
        if (!node[r])
            continue;
        const Ref *in;
        uint32_t count = node_inputs(f->g, r, &in);
        if (f->role[r] == SCAN) {
            need_scan(x, k, r);
        } else if (f->role[r] == STEP && n->op == OP_OUT) {
            node[n->in[0]] = true;
            part_of(x, k, n->in[0])->out[n->attr] = true;
        } else {
            bool view = f->role[r] == STEP && n->op == OP_SHIFT && f->lg->ni[r].kind == NK_FREE, whole = reads_whole(x, r);
            if (view) /* of the slots of a scan that runs here, even if its stack is kept */
                node[in[0]] = true;
            for (uint32_t i = 0; i < count && !view; i++)
                (whole ? need_whole : need)(x, k, in[i]);
        }
    }
}

bool has_work(const Remat *x, uint32_t k)
{
    for (Ref r = 1; r < x->f.g->node.n; r++)
        if (x->sweep[k].node[r])
            return true;
    return false;
}

/* ---- what it costs --------------------------------------------------------------------------------------------------------- */

/* Cycles of arithmetic for one row, roughly: a multiply-add of a product is 1/16, another operation what ops.def says. */
static double node_cost(const Remat *x, const Graph *g, Ref r)
{
    const Node *n = &g->node.at[r];
    if (n->op == OP_SCAN) {
        ScanInfo s = scan_info(g, r);
        const Graph *b = x->m->graph.at[s.body];
        double sum = 0;
        for (Ref q = 1; q < b->node.n; q++)
            sum += node_cost(x, b, q);
        return sum * (x->m->axis[s.axis].count ? x->m->axis[s.axis].count : x->L->o.steps ? (double)x->L->o.steps : 100);
    }
    double size = (double)node_features(n), cost = op_info[n->op].cost;
    if (n->op == OP_DOT) {
        DotInfo d = dot_classify(g, r);
        const Node *left = &g->node.at[n->in[d.swapped]];
        const uint32_t *labels = node_attr(g, r) + (d.swapped ? 3 : 0);
        for (uint32_t i = 0; i < left->rank; i++)
            for (uint32_t k = 0; k < d.nk; k++)
                size *= labels[i] == d.k[k] ? left->dim[i] : 1;
    }
    for (int i = 0; i < op_info[n->op].arity && op_info[n->op].cls == OPC_REDUCE; i++)
        size = (double)node_features(&g->node.at[n->in[i]]);
    return n->op == OP_DOT ? size / 16 : cost < 255 ? size * cost / 8 : 0;
}

static double body_cost(const Remat *x, Ref r, const bool *node)
{
    const Graph *b = x->m->graph.at[scan_info(x->f.g, r).body];
    double sum = 0;
    for (Ref q = 1; q < b->node.n; q++)
        sum += !node || node[q] ? node_cost(x, b, q) : 0;
    return sum;
}

static const char *scan_label(const Remat *x, Ref r)
{
    const Graph *b = x->m->graph.at[scan_info(x->f.g, r).body];
    Name n = 0;
    for (Ref q = 1; q < b->node.n && !n; q++)
        n = b->node.at[q].name;
    return n ? name_str(x->L->ctx, n) : "an adjoint";
}

static void add_costs(Remat *x, Cut *cut)
{
    const Graph *g = x->f.g;
    Str *s = x->L->explain;
    uint32_t sweeps = 0;
    for (uint32_t k = 0; k < x->sweeps; k++)
        sweeps += has_work(x, k);
    for (Ref r = 1; r < g->node.n; r++) {
        bool scan = x->f.role[r] == SCAN;
        uint32_t runs = 0;
        if (x->f.role[r] == OUTSIDE)
            continue;
        cut->plain += scan ? body_cost(x, r, NULL) : node_cost(x, g, r);
        for (uint32_t k = 0; k < x->sweeps; k++) {
            if (!x->sweep[k].node[r])
                continue;
            runs++;
            cut->work += scan ? body_cost(x, r, x->sweep[k].part[r]->node) : node_cost(x, g, r);
        }
        if (s && scan)
            str_printf(s, "segments: the steps of %s run %u time%s\n", scan_label(x, r), runs, runs == 1 ? "" : "s");
        if (s && x->f.role[r] == STEP && kept(x, r))
            str_printf(s, "segments: %%%u%s%s is kept for all steps\n", r, g->node.at[r].name ? " of " : "",
                       g->node.at[r].name ? name_str(x->L->ctx, g->node.at[r].name) : "");
    }
    if (s)
        str_printf(s, "segments over %s: %u sweep%s, recompute factor %.2f\n", name_str(x->L->ctx, x->m->axis[x->f.axis].name), sweeps,
                   sweeps == 1 ? "" : "s", cut->plain > 0 ? cut->work / cut->plain : 1);
}

/* ---- all of it --------------------------------------------------------------------------------------------------------------- */

static void plan_bodies(Remat *x)
{
    const Graph *g = x->f.g;
    x->body = NEW_N(x->L->arena, LowG *, g->node.n);
    for (Ref r = 1; r < g->node.n; r++) {
        if (x->f.role[r] != SCAN)
            continue;
        LowG *b = x->body[r] = NEW(x->L->arena, LowG);
        b->L = x->L;
        b->g = x->m->graph.at[scan_info(g, r).body];
        b->body = true;
        plan_kinds(b);
    }
}

/* Decides what bits depend on. Number of scans to cut. */
static uint32_t plan_whole(Remat *x, uint32_t axis)
{
    Low *L = x->L;
    LowG *lg = NEW(L->arena, LowG);
    uint32_t scans = 0;
    lg->L = L;
    lg->g = x->m->graph.at[0];
    plan_kinds(lg);
    if (!lg->g->pin)
        remat_order(lg);
    x->f = flow_of(lg, axis);
    for (Ref r = 1; r < lg->g->node.n; r++) {
        scans += x->f.role[r] == SCAN;
        if (x->f.role[r] != OUTSIDE && (x->f.role[r] != STEP || kept(x, r)) && x->f.at[r] + 1 > x->sweeps)
            x->sweeps = x->f.at[r] + 1;
    }
    plan_bodies(x);
    return scans;
}

static bool cut_axis(Low *L, Module *m, uint32_t axis)
{
    Arena *a = L->arena;
    Remat *x = NEW(a, Remat);
    *x = (Remat){ .L = L, .m = m };
    uint32_t scans = plan_whole(x, axis), n = x->f.g->node.n;
    if (!scans)
        return true; /* nothing recurs along it */
    x->segments = module_add_axis(m, AXIS_COUNT, intern(L->ctx, "segments"));
    uint32_t steps = module_add_axis(m, AXIS_COUNT, intern(L->ctx, "segment"));
    if (!x->segments || !steps)
        return false;
    x->sweep = NEW_N(a, Sweep, x->sweeps);
    for (uint32_t k = x->sweeps; k-- > 0;) {
        x->sweep[k].node = NEW_N(a, bool, n);
        x->sweep[k].part = NEW_N(a, Part *, n);
        need_sweep(x, k);
    }
    Cut cut = { axis, x->segments, steps, 0, 0 };
    add_costs(x, &cut);
    VEC_PUSH(m->arena, m->cut) = cut;
    build_graphs(x);
    return true;
}

bool pass_remat(Module *m, const PassOptions *o)
{
    Low *L = o->lower && o->lower->segments && !m->cut.n ? low_make(m, o) : NULL;
    uint32_t naxis = m->naxis, before = m->cut.n; /* more axes come */
    for (uint32_t a = 1; L && a < naxis; a++)
        if ((o->lower->segments & AX(a)) && a != L->bx && !cut_axis(L, m, a))
            break; /* with a diagnostic */
    if (m->cut.n != before)
        module_drop_bodies(m); /* the graph as it was, and its bodies */
    return m->cut.n != before;
}
