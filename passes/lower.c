/* lower_loops: the stages of a legal graph become a loop program, stage by stage.
   before:  graph model {  %1 = input x : f<T,B>[2]   %2 = mul %1 %1   output %2    run row <T,B> : %2 }
   after:   entry 0 "run" {
              %1 = dim 0 ..                                          this thread's rows
              for %11 = %9..%10 by 1 {  for %12 = %6..%8 by 1 {      a row stage: one loop over rows
                %15 = ldt x#1[..] 2   %16 = mul %15 %15   stt out#2[..] %16 2
              } } }
   Here: the entries "prepare" (what depends on parameters only) and "run", places of what the caller binds, order of functions.
   lower_stages.c takes the stages, lower_place.c gives memory, lower_row.c, lower_gemm.c, lower_gradient.c, lower_scan.c and lower_items.c emit
   one kind of stage each, lower_eval.c single values.
   Each buffer has memory of its own and a lifetime; plan_memory comes next.
   relies on: legalize, place, fuse. */
#include "passes/lower_int.h"

#define COLUMN_WEIGHTS 65536 /* 256 KiB: two microseconds a step, and two barriers are half of one */

static int64_t features_of(int rank, const int32_t *dim)
{
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dim[d];
    return n;
}

static Loc dense_loc(uint32_t buf, uint32_t axes, int rank, const int32_t *dim, LElem e)
{
    Loc l = { .ok = true, .buf = buf, .axes = axes, .elem = (uint8_t)e };
    int64_t s = 1;
    for (int d = rank; d-- > 0;) {
        l.fs[d] = s;
        s *= dim[d];
    }
    l.ld = s;
    return l;
}

static uint32_t caller_buf(Low *L, const char *name, LBufRole role, LElem e, uint32_t index, uint32_t axes, int64_t row)
{
    uint32_t k = low_buf(L, name, role, e, index, axes, row, 0);
    L->p->buf.at[k].first = 0;
    return k;
}

static void bind_inputs(Low *L)
{
    const Module *m = L->m;
    L->theta = m->theta_size ? caller_buf(L, "theta", LB_THETA, LE_F, 0, 0, m->theta_size) : 0;
    L->input_buf = NEW_N(L->arena, uint32_t, m->input.n + 1);
    for (uint32_t i = 0; i < m->input.n; i++) {
        const Input *in = &m->input.at[i];
        LElem e = in->dtype == DT_I ? LE_I32 : LE_F;
        L->input_buf[i] = caller_buf(L, name_str(L->ctx, in->name), LB_INPUT, e, i, in->axes, features_of(in->rank, in->dim));
    }
    L->input_buf[m->input.n] = caller_buf(L, "example", LB_EXAMPLE, LE_I32, 0, AX(AXIS_B), 1);
}

static Loc param_loc(const Low *L, const Node *n)
{
    Loc l = dense_loc(L->theta, 0, n->rank, n->dim, LE_F);
    l.foff = L->m->param.at[n->attr].offset;
    return l;
}

/* Leaves of any graph whose place the caller gives. */
void place_caller_leaves(LowG *lg)
{
    Low *L = lg->L;
    for (Ref r = 1; r < lg->g->node.n; r++) {
        const Node *n = &lg->g->node.at[r];
        if (n->op == OP_PARAM) {
            lg->ni[r].loc = param_loc(L, n);
        } else if (n->op == OP_INPUT) {
            lg->ni[r].loc = dense_loc(L->input_buf[n->attr], n->axes, n->rank, n->dim, elem_of(n));
        } else if (n->op == OP_LENGTH && L->m->axis[n->attr].ragged && L->m->axis[n->attr].length) {
            lg->ni[r].loc = dense_loc(L->input_buf[L->m->axis[n->attr].length - 1], AX(AXIS_B), 0, NULL, LE_I32);
        }
    }
}

/* ---- roots ------------------------------------------------------------------------------------------------------------- */

static Loc root_place(Low *L, const Graph *g, uint32_t i)
{
    const Root *o = &g->root.at[i];
    const Node *n = &g->node.at[o->ref];
    if (o->kind == ROOT_GRAD_PARAM) {
        if (!L->grad)
            L->grad = caller_buf(L, "grad", LB_GRAD, LE_F, 0, 0, L->m->theta_size);
        Loc l = dense_loc(L->grad, 0, n->rank, n->dim, LE_F);
        l.foff = L->m->param.at[o->index].offset;
        return l;
    }
    const char *name = o->name ? name_str(L->ctx, o->name) : "out";
    uint32_t b = caller_buf(L, arena_printf(L->arena, "out_%u_%s", i, name), LB_OUTPUT, elem_of(n), i, n->axes, node_features(n));
    return dense_loc(b, n->axes, n->rank, n->dim, elem_of(n));
}

bool gradient_is_zero(const Graph *g, uint32_t i)
{
    const Root *o = &g->root.at[i];
    double v;
    return o->kind == ROOT_GRAD_PARAM && o->ref && const_value(g, o->ref, &v) && v == 0;
}

/* A value that a sweep over segments makes for all steps. */
static bool from_sweep(const LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    if (n->op != OP_OUT)
        return false;
    uint32_t cut = lg->L->m->graph.at[scan_info(lg->g, n->in[0]).body]->cut;
    return cut && (n->axes & AX(cut - 1));
}

/* A sum without rows that the caller gets in parts, each of them a root, which lie in its memory as they do in the sum: that is
   where the sum is made. first: the root that is its beginning. */
static void place_in_parts(LowG *lg, Loc *place, uint32_t first)
{
    const Graph *g = lg->g;
    Ref whole = g->node.at[g->root.at[first].ref].in[0];
    const Node *n = &g->node.at[whole];
    NodeInfo *ni = &lg->ni[whole];
    Loc to = dense_loc(place[first].buf, 0, n->rank, n->dim, elem_of(n));
    to.foff = place[first].foff;
    if (!is_real(ni->kind) || ni->kind == NK_SCAN || ni->load || ni->loc.ok || n->axes)
        return;
    bool *part = NEW_N(lg->L->arena, bool, g->root.n);
    int64_t found = 0;
    for (uint32_t i = 0; i < g->root.n; i++) {
        const Node *x = &g->node.at[g->root.at[i].ref];
        const uint32_t *w = node_attr(g, g->root.at[i].ref);
        part[i] = place[i].ok && place[i].buf == to.buf && x->op == OP_SLICE && x->in[0] == whole && w[0] == 0 &&
                  place[i].foff == to.foff + (int32_t)w[1] * to.fs[0];
        found += part[i] ? node_features(x) : 0;
    }
    if (found != node_features(n))
        return;
    ni->loc = to;
    ni->mem = true;
    for (uint32_t i = 0; i < g->root.n; i++)
        place[i].ok &= !part[i];
}

/* Roots that are the beginning of a value, in its outermost dimension. */
static bool begins_whole(const Graph *g, const Root *o)
{
    const Node *n = &g->node.at[o->ref];
    return o->ref && o->kind == ROOT_GRAD_PARAM && n->op == OP_SLICE && node_attr(g, o->ref)[0] == 0 && node_attr(g, o->ref)[1] == 0;
}

static Loc *place_roots(LowG *lg)
{
    const Graph *g = lg->g;
    Loc *place = NEW_N(lg->L->arena, Loc, g->root.n + 1);
    for (uint32_t i = 0; i < g->root.n; i++) {
        Ref r = g->root.at[i].ref;
        if (!r || (lg->L->o.zeros_written && gradient_is_zero(g, i)))
            continue;
        place[i] = root_place(lg->L, g, i);
        NodeInfo *ni = &lg->ni[r];
        if ((from_sweep(lg, r) || (ni->kind >= NK_ROW && ni->kind != NK_SCAN && !ni->load)) && !ni->loc.ok) {
            ni->loc = place[i];
            ni->mem = true;
            place[i].ok = false; /* written where it is made */
        } else if (g->node.at[r].op == OP_OUT && !ni->loc.ok && !ni->root) {
            ni->root = &place[i]; /* lower_scan.c may write it in the step that makes it */
        }
    }
    for (uint32_t i = 0; i < g->root.n; i++)
        if (place[i].ok && begins_whole(g, &g->root.at[i]))
            place_in_parts(lg, place, i);
    return place;
}

static void copy_roots(LowG *lg, const Loc *place)
{
    Low *L = lg->L;
    bool barrier = false;
    for (uint32_t i = 0; i < lg->g->root.n; i++) {
        if (!place[i].ok)
            continue;
        bool one = !(place[i].axes & AX(L->bx)) && !L->serial;
        L->pos++;
        if (one && !barrier)
            emit_barrier(L);
        barrier |= one;
        if (one)
            lb_if_lt(&L->b, lb_op(&L->b, LOP_TID, 0, 0, 0, 0), lb_iconst(&L->b, 1));
        emit_copy(lg, lg->g->root.at[i].ref, &place[i]);
        if (one)
            lb_end_if(&L->b);
    }
}

/* ---- entries -------------------------------------------------------------------------------------------------------------- */

/* In "prepare": packs the matrices of rate load that the products of this graph, and of the bodies under it, multiply by. */
static void pack_all(LowG *lg)
{
    const Graph *g = lg->g;
    for (Ref r = 1; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        DotInfo d;
        GemmKind kind;
        if (n->op == OP_DOT && dot_is_gemm(g, r, &d, &kind) && kind == GEMM_ROWS) {
            Ref right = n->in[d.swapped ? 0 : 1];
            bool load = lg->body || lg->ni[right].load;
            if (load && low_loc(lg, right).ok)
                low_pack(lg, r);
        }
        if (n->op != OP_SCAN)
            continue;
        ScanInfo s = scan_info(g, r);
        LowG *bg = low_body(lg, r);
        for (Ref q = 1; q < bg->g->node.n; q++) {
            const Node *leaf = &bg->g->node.at[q];
            if (leaf->op == OP_PARAM && bg->segment)
                bg->ni[q].loc = param_loc(lg->L, leaf);
            if (leaf->op != OP_CAPTURE)
                continue;
            Ref o = s.capture[leaf->attr];
            if (lg->body || lg->ni[o].load)
                bg->ni[q].loc = low_loc(lg, o);
        }
        pack_all(bg);
    }
}

static void begin_entry(Low *L, const char *name)
{
    lprogram_add_fn(L->p, name, LFUNC_ENTRY);
    L->b = lb_make(L->p, L->p->fn.n - 1);
    LBuilder *b = &L->b;
    LV B = lb_op(b, LOP_DIM, 0, 0, 0, L->bx), tid = lb_op(b, LOP_TID, 0, 0, 0, 0), one = lb_iconst(b, 1);
    if (L->serial) {
        lb_if_lt(b, tid, one);
        L->blo = lb_iconst(b, 0);
        L->bhi = B;
        return;
    }
    if (L->columns && !L->prepare) {
        L->blo = lb_op(b, LOP_IMUL, B, lb_op(b, LOP_IMIN, tid, one, 0, 0), 0, 0);
        L->bhi = B;
        return;
    }
    LV nt = lb_op(b, LOP_NT, 0, 0, 0, 0);
    L->blo = lb_op(b, LOP_IDIV, lb_op(b, LOP_IMUL, B, tid, 0, 0), nt, 0, 0);
    L->bhi = lb_op(b, LOP_IDIV, lb_op(b, LOP_IMUL, B, lb_op(b, LOP_IADD, tid, one, 0, 0), 0, 0), nt, 0, 0);
}

static void end_entry(Low *L)
{
    if (L->serial)
        lb_end_if(&L->b);
}

/* Values of a body that have no rows would need a barrier a step: then one thread does it all. */
static bool needs_one_thread(const Module *m, uint32_t bx, Str *explain)
{
    for (uint32_t k = 1; k < m->graph.n; k++)
        for (Ref r = 1; r < m->graph.at[k]->node.n; r++) {
            const Node *n = &m->graph.at[k]->node.at[r];
            int cls = op_info[n->op].cls;
            bool made = n->op == OP_CARRY || (cls != OPC_LEAF && cls != OPC_SHAPE && n->op != OP_SCAN);
            if ((n->axes & AX(bx)) || !made)
                continue;
            if (explain) {
                str_put(explain, "one thread: ");
                put_node(explain, m->ctx, m->graph.at[k], r);
                str_put(explain, " changes from step to step for all examples alike\n");
            }
            return true;
        }
    return false;
}

/* Floats of the matrices that a step multiplies by, of the scan that has most. */
static int64_t step_weights(const Module *m)
{
    int64_t most = 0;
    for (uint32_t k = 1; k < m->graph.n; k++) {
        const Graph *g = m->graph.at[k];
        int64_t sum = 0;
        for (Ref r = 1; r < g->node.n; r++)
            if (g->node.at[r].op == OP_DOT) {
                DotInfo d;
                GemmKind kind;
                if (dot_is_gemm(g, r, &d, &kind) && kind == GEMM_ROWS)
                    sum += node_features(&g->node.at[g->node.at[r].in[!d.swapped]]);
            }
        most = sum > most ? sum : most;
    }
    return most;
}

bool lower_turns(const Module *m, int bytes)
{
    enum { CACHE = 4 * NEAR_WEIGHTS };
    int64_t all = bytes * step_weights(m);
    return all > CACHE && all < 8 * CACHE;
}

/* Too few rows for all threads, and matrices so large that a step waits for them longer than for two barriers: each thread
   multiplies by its own columns. No bit depends on it. */
static bool few_rows(const Low *L)
{
    bool few = L->o.threads > 1 && L->o.batch > 0 && L->o.batch < 3 * (int64_t)L->o.threads;
    return few && step_weights(L->m) >= COLUMN_WEIGHTS;
}

/* Who shares what. One example, too small for its columns to be shared, is one thread's, as it is where there is no other: barriers
   around its gradients cost more than the other threads' parts of them are worth. */
static void settle_threads(Low *L)
{
    Str *s = L->explain;
    L->serial = needs_one_thread(L->m, L->bx, s);
    L->columns = !L->serial && (L->o.share_columns || few_rows(L));
    if (s && L->columns && few_rows(L))
        str_printf(s, "threads: %lld row%s for %d of them: they share the columns of products\n", (long long)L->o.batch,
                   L->o.batch == 1 ? "" : "s", L->o.threads);
    if (L->o.one_row && !L->columns) {
        if (s && L->o.threads > 1 && !L->serial)
            str_printf(s, "threads: one does all of one example, whose matrices of a step (%lld KiB) are too small to share\n",
                       (long long)(step_weights(L->m) * (L->o.f64 ? 8 : 4) / 1024));
        L->o.threads = 1;
    }
}

static void explain_zeros(const Low *L)
{
    const Graph *g = L->m->graph.at[0];
    for (uint32_t i = 0; L->explain && L->o.zeros_written && i < g->root.n; i++)
        if (gradient_is_zero(g, i))
            str_printf(L->explain, "gradient %s: 0 for every input, not written again\n", name_str(L->ctx, L->m->param.at[g->root.at[i].index].name));
}

bool low_single_row(const Low *L)
{
    int64_t lo, hi;
    return !L->columns && lb_known_int(&L->b, L->blo, &lo) && lb_known_int(&L->b, L->bhi, &hi) && lo == 0 && hi == 1;
}

/* Lifetimes of what lives across or beyond a loop cover the loop. */
static void close_lifetimes(Low *L)
{
    for (uint32_t k = 0; k < L->across.n; k++) {
        LBuf *b = &L->p->buf.at[L->across.at[k].buf];
        const LoopRange *l = &L->loop.at[L->across.at[k].loop];
        if (b->role != LB_SLAB)
            continue;
        b->first = b->first < l->start ? b->first : l->start;
        b->last = b->last > l->end ? b->last : l->end;
    }
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < L->p->buf.n; i++) {
            LBuf *b = &L->p->buf.at[i];
            for (uint32_t k = 0; k < L->loop.n && b->role == LB_SLAB && b->first != UINT32_MAX; k++) {
                const LoopRange *l = &L->loop.at[k];
                bool meets = b->first <= l->end && b->last > l->start, inside = b->first > l->start && b->last <= l->end;
                if (!meets || inside || (b->first <= l->start && b->last >= l->end))
                    continue;
                b->first = b->first < l->start ? b->first : l->start;
                b->last = b->last > l->end ? b->last : l->end;
                more = true;
            }
        }
    }
}

/* Tiles are leaves: what no entry calls was wanted by code that turned out not to run. */
static bool *called_functions(const LProgram *p)
{
    bool *called = NEW_N(p->arena, bool, p->fn.n + 1);
    for (uint32_t i = 0; i < p->fn.n; i++)
        for (uint32_t q = 0; q < p->fn.at[i]->inst.n; q++)
            if (p->fn.at[i]->inst.at[q].op == LOP_CALL)
                called[p->fn.at[i]->inst.at[q].imm] = true;
    for (uint32_t i = 0; i < p->fn.n; i++)
        called[i] |= p->fn.at[i]->kind == LFUNC_ENTRY;
    for (uint32_t i = 0; i < p->buf.n; i++)
        if (p->buf.at[i].role == LB_LOCAL && p->buf.at[i].index < p->fn.n)
            called[p->buf.at[i].index] = true;
    return called;
}

/* Callees before callers: helpers first, entries last. */
static void order_functions(LProgram *p)
{
    uint32_t n = p->fn.n, k = 0;
    uint32_t *to = NEW_N(p->arena, uint32_t, n + 1);
    LFunc **sorted = NEW_N(p->arena, LFunc *, n + 1);
    bool *called = called_functions(p);
    for (int entry = 0; entry < 2; entry++)
        for (uint32_t i = 0; i < n; i++)
            if (called[i] && (p->fn.at[i]->kind == LFUNC_ENTRY) == entry) {
                to[i] = k;
                sorted[k++] = p->fn.at[i];
            }
    p->fn.n = k;
    for (uint32_t i = 0; i < k; i++) {
        p->fn.at[i] = sorted[i];
        for (uint32_t q = 0; q < sorted[i]->inst.n; q++)
            if (sorted[i]->inst.at[q].op == LOP_CALL)
                sorted[i]->inst.at[q].imm = to[sorted[i]->inst.at[q].imm];
    }
    for (uint32_t i = 0; i < p->buf.n; i++)
        if (p->buf.at[i].role == LB_LOCAL)
            p->buf.at[i].index = to[p->buf.at[i].index]; /* never of one that is gone */
}

static void lower_entries(Low *L)
{
    LowG *lg = low_outer(L);
    place_caller_leaves(lg);

    L->prepare = lg->load_phase = true;
    begin_entry(L, "prepare");
    if (!L->serial)
        lb_if_lt(&L->b, lb_op(&L->b, LOP_TID, 0, 0, 0, 0), lb_iconst(&L->b, 1));
    if (!plan_graph(lg))
        return;
    give_places(lg);
    bool serial = L->serial;
    L->serial = true; /* one thread packs */
    L->blo = lb_iconst(&L->b, 0);
    L->bhi = lb_op(&L->b, LOP_DIM, 0, 0, 0, L->bx);
    emit_stages(lg, 0);
    pack_all(lg);
    L->serial = serial;
    bool any = false;
    for (uint32_t i = 0; i < L->p->buf.n; i++)
        any |= L->p->buf.at[i].role == LB_PACK;
    if (!L->serial)
        lb_end_if(&L->b);
    end_entry(L);
    if (!any) /* nothing depends on parameters alone */
        L->p->fn.n = 0;

    L->prepare = lg->load_phase = false;
    begin_entry(L, "run");
    if (!plan_graph(lg))
        return;
    Loc *place = place_roots(lg);
    give_places(lg);
    emit_stages(lg, 0);
    copy_roots(lg, place);
    end_entry(L);
}

/* Numbers of steps that are the same in every call. */
static void fix_dims(Low *L)
{
    for (uint32_t k = 0; k < L->m->naxis; k++) {
        const Axis *x = &L->m->axis[k];
        int64_t *n = &L->p->fixed[k];
        if (x->kind == AXIS_COUNT)
            *n = x->count;
        else if (k == AXIS_B && L->o.one_row)
            *n = 1;
        else if (L->o.one_step)
            *n = x->kind == AXIS_JOIN ? L->p->fixed[x->a] + L->p->fixed[x->b] : 1;
    }
    L->p->alone = L->o.one_step || (L->o.one_row && L->o.threads <= 1);
}

LProgram *pass_lower_loops(Module *m, const PassOptions *o)
{
    Low *L = low_make(m, o);
    if (!L)
        return NULL;
    settle_threads(L);
    L->p = lprogram_make(m->ctx, m->arena, m->name, L->o.f64, L->o.V);
    fix_dims(L);
    caller_buf(L, "none", LB_LOCAL, LE_F, 0, 0, 1); /* buffer 0 is nobody's */
    for (uint32_t k = 0; k < m->cut.n; k++) {
        const Cut *c = &m->cut.at[k];
        VEC_PUSH(m->arena, L->p->cut) = (LCut){ c->axis, c->count, c->steps, c->work, c->plain };
    }
    L->p->row_axis = L->bx;
    L->p->one_thread = L->serial;
    explain_zeros(L);
    bind_inputs(L);
    lower_entries(L);
    if (L->failed)
        return NULL;
    close_lifetimes(L);
    order_functions(L->p);
    return L->p;
}
