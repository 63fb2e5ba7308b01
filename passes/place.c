/* place: where a product over the steps of a sequence is computed that distribute lifted before a scan.
   before:  %6 = dot %1 %2 : f<T,B>[64]      %7 = scan T fwd @1 carry(%5) step(%6) ..      in @1:  add %step (dot %carry ..)
   after:   the same, and one of
            place %6 step of %7  rows 32 weights 4096 traffic 4096   %6's accumulator goes on in each step; it is never stored
            place %6 chunk of %7 rows 1 weights 4096 traffic 128     the loop over T is cut into chunks; each begins with %6 (and
                                                                     the row-local values between %6 and %7) for its own steps
            place %6 whole ..                                        for all steps first; also what feeds no scan
            place %6 beside of %7 rows 1 ..                          as chunk, but computed beside the products of the steps
   Forced for a program by --place, for one product by editing that line. No bit depends on it: an accumulator is one chain
   whatever the place.
   The rule: writing and reading the result costs `traffic` floats of cache traffic a step; against it stands that a step then
   streams `weights` floats more. From 3 rows a step on the product hides that, below it does not unless they are fewer than that. Beside the products of the steps where that pays (lower_beside.c).
   relies on: legalize. */
#include "passes/lower_int.h"
#include "passes/rewrite.h"

#define STEP_ROWS 3

static Ref step_leaf(const Graph *body, uint32_t k, uint32_t *uses)
{
    Ref leaf = 0;
    *uses = 0;
    for (Ref r = 1; r < body->node.n; r++) {
        const Ref *in;
        uint32_t n = node_inputs(body, r, &in);
        if (body->node.at[r].op == OP_STEP && body->node.at[r].attr == k)
            leaf = r;
        for (uint32_t i = 0; i < n; i++)
            *uses += leaf && in[i] == leaf;
    }
    for (uint32_t i = 0; i < body->root.n; i++)
        *uses += leaf && body->root.at[i].ref == leaf;
    return leaf;
}

/* Whether step input k of the body only starts the accumulator of a product. */
static bool starts_product(Low *L, const Graph *body, uint32_t k)
{
    uint32_t uses;
    Ref leaf = step_leaf(body, k, &uses);
    if (!leaf || uses != 1)
        return false;
    LowG bg = { .L = L, .g = body, .body = true };
    plan_kinds(&bg);
    for (Ref r = 1; r < body->node.n; r++)
        if (bg.ni[r].kind == NK_GEMM && bg.ni[r].base == leaf)
            return true;
    return false;
}

Ref sunk_product(const LowG *bg, Ref leaf)
{
    const Node *n = &bg->g->node.at[leaf];
    if (n->op != OP_STEP || !bg->up)
        return 0;
    Ref o = bg->scan.step[n->attr];
    return bg->up->ni[o].sunk ? o : 0;
}

/* ---- chunks ------------------------------------------------------------------------------------------------------------ */

static bool feeds_steps_only(const ScanInfo *s, Ref r)
{
    for (uint32_t k = 0; k < s->ncarry; k++)
        if (s->init[k] == r)
            return false;
    for (uint32_t k = 0; k < s->ncapture; k++)
        if (s->capture[k] == r)
            return false;
    return true;
}

static bool may_join(const LowG *lg, Ref r, uint32_t axis)
{
    const NodeInfo *ni = &lg->ni[r];
    const Node *n = &lg->g->node.at[r];
    bool kind = ni->kind == NK_GEMM || ni->kind == NK_ROW || ni->kind == NK_ACCESS || ni->kind == NK_INLINE || ni->kind == NK_CHAIN;
    return kind && !ni->sunk && !ni->load && !ni->group && (n->axes & AX(axis)) && (n->axes & AX(lg->L->bx)) && n->op != OP_REVERSE;
}

/* The scans of a graph, from the first one on; arrays by value. */
typedef struct {
    LowG *lg;
    const Ref *only; /* of the products those r for which only[r] is the scan; NULL: all */
    Users users;
    Ref scan;
    ScanInfo s;
    Ref *inside, *member; /* the last scan whose chunks read it, that computes it in them */
    bool *root, *outside; /* outside: a member is read elsewhere when the scan is over */
    Ref before_of; /* a scan: before: it, and what it is computed from */
    bool *before;
    RefVec found;
    uint32_t open; /* values that are read in the chunks, and not looked at yet */
} Chunks;

/* Found out where somebody asks: a look at all values. */
static bool is_before(Chunks *x, Ref o)
{
    const LowG *lg = x->lg;
    const Graph *g = lg->g;
    bool more = x->before_of != x->scan, *whole; /* sections of which some is before the scan, so all of it */
    if (!more)
        return x->before[o];
    whole = NEW_N(lg->L->arena, bool, g->node.n);
    memset(x->before, 0, g->node.n);
    x->before[x->scan] = true;
    x->before_of = x->scan;
    while (more) {
        more = false;
        for (Ref r = g->node.n; r-- > 1;) {
            const Ref *in;
            Ref section = is_section(lg, lg->ni[r].group) ? lg->ni[r].group : 0;
            x->before[r] |= section && whole[section];
            if (section && x->before[r] && !whole[section])
                whole[section] = more = true;
            for (uint32_t k = x->before[r] ? node_inputs(g, r, &in) : 0; k-- > 0;)
                x->before[in[k]] = true;
        }
    }
    return x->before[o];
}

/* o is read in the chunks. */
static void look_at(Chunks *x, Ref o)
{
    const LowG *lg = x->lg;
    if (x->inside[o] == x->scan || !may_join(lg, o, x->s.axis) || (x->only && lg->ni[o].kind == NK_GEMM && x->only[o] != x->scan))
        return;
    x->inside[o] = x->scan;
    x->open++;
}

/* Whether o, which the chunks read, is read only by them or by what the scan does not wait for. */
static bool is_member(Chunks *x, Ref o)
{
    x->outside[o] = x->root[o];
    for (uint32_t k = x->users.at[o]; k < x->users.at[o + 1]; k++) {
        Ref user = x->users.of[k];
        if (user == x->scan ? !feeds_steps_only(&x->s, o) : x->member[user] != x->scan && is_before(x, user))
            return false;
        if (user != x->scan)
            x->outside[o] |= x->member[user] != x->scan || (x->outside[user] && x->lg->ni[user].kind < NK_ROW);
    }
    return true;
}

/* The nodes before a scan that can be computed chunk by chunk: row-local, over its axis, and read only by its steps, by one
   another, or by what the scan does not wait for, which then waits for the scan. Only worth it when a product is among them. */
static void group_scan(Chunks *x, Ref scan)
{
    const Ref *in;
    bool product = false;
    x->scan = scan;
    x->s = scan_info(x->lg->g, scan);
    x->found.n = x->open = 0;
    for (uint32_t k = 0; k < x->s.nstep; k++)
        look_at(x, x->s.step[k]);
    for (Ref r = scan; x->open && r-- > 1;) {
        if (x->inside[r] != scan)
            continue;
        x->open--;
        if (!is_member(x, r))
            continue;
        x->member[r] = scan;
        VEC_PUSH(x->lg->L->arena, x->found) = r;
        product |= x->lg->ni[r].kind == NK_GEMM;
        for (uint32_t k = node_inputs(x->lg->g, r, &in); k-- > 0;)
            look_at(x, in[k]);
    }
    for (uint32_t k = 0; product && k < x->found.n; k++) {
        NodeInfo *ni = &x->lg->ni[x->found.at[k]];
        ni->group = scan;
        ni->chunk_only = !x->outside[x->found.at[k]];
    }
}

static void group_scans(LowG *lg, const Ref *only)
{
    const Graph *g = lg->g;
    Arena *a = lg->L->arena;
    uint32_t n = g->node.n;
    Chunks x = { .lg = lg, .only = only, .users = find_users(a, g), .inside = NEW_N(a, Ref, n), .member = NEW_N(a, Ref, n) };
    x.root = NEW_N(a, bool, n);
    x.outside = NEW_N(a, bool, n);
    x.before = NEW_N(a, bool, n);
    for (uint32_t i = 0; i < g->root.n; i++)
        x.root[g->root.at[i].ref] = true;
    for (Ref r = 1; r < n; r++)
        if (g->node.at[r].op == OP_SCAN)
            group_scan(&x, r);
}

/* ---- decisions ---------------------------------------------------------------------------------------------------------- */

/* Whether the accumulator that ends at r may go on in each step of the scan. */
static bool may_sink(LowG *lg, Ref scan, Ref r)
{
    ScanInfo s = scan_info(lg->g, scan);
    for (uint32_t k = 0; k < s.nstep; k++)
        if (s.step[k] == r)
            return lg->ni[r].kind == NK_GEMM && lg->ni[r].uses == 1 && starts_product(lg->L, lg->L->m->graph.at[s.body], k);
    return false;
}

/* Floats of the matrices of an accumulator's products. */
static int64_t chain_weights(const LowG *lg, Ref r)
{
    const Node *n = &lg->g->node.at[r];
    if (n->op == OP_DOT) {
        DotInfo d = dot_classify(lg->g, r);
        return node_features(&lg->g->node.at[n->in[!d.swapped]]);
    }
    int64_t sum = 0;
    for (int k = 0; k < 2; k++)
        sum += lg->ni[n->in[k]].kind == NK_CHAIN ? chain_weights(lg, n->in[k]) : 0;
    return sum;
}

/* A line for each product of the accumulator that ends in r. */
static void explain_chain(const LowG *lg, Ref r, const char *how)
{
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    if (n->op != OP_DOT) {
        for (int k = 0; k < 2; k++)
            if (lg->ni[n->in[k]].kind == NK_CHAIN)
                explain_chain(lg, n->in[k], how);
        return;
    }
    put_place(lg->L->explain, g, r, how);
}

static void explain_place(const LowG *lg, const Placed *p)
{
    static const char *const how[] = {"", "in each step, as the beginning of its product", "in chunks of steps",
                                      "for all steps at once", "beside the products of the steps, some steps ahead"};
    if (lg->L->explain)
        explain_chain(lg, p->product, how[p->where]);
}

/* Floats that are written and read again where product r is not computed in the step. */
static int64_t chain_traffic(const LowG *lg, Ref r, int64_t rows)
{
    return 2 * rows * lg->g->node.at[r].dim[0];
}

static bool better_in_step(const LowG *lg, Ref r, int64_t rows)
{
    return lg->ni[r].kind == NK_GEMM && (rows >= STEP_ROWS || lg->L->o.one_step || chain_weights(lg, r) <= chain_traffic(lg, r, rows));
}

/* Where a call is about one row, a product of so few weights is made again in each step, though its accumulator does not go on. */
bool single_chunks(const LowG *lg, Ref group)
{
    bool any = false, all = lg->L->o.one_row && lg->g->node.at[group].op == OP_SCAN;
    for (Ref r = 1; r < lg->g->node.n && all; r++)
        if (lg->ni[r].group == group && lg->ni[r].kind == NK_GEMM) {
            all = chain_weights(lg, r) <= chain_traffic(lg, r, 1);
            any = true;
        }
    return any && all;
}

/* What is sunk into the steps of scans, then sections, then what the chunks of scans begin with. */
static void decide(LowG *lg, int64_t rows, Ref *sunk_in)
{
    const Graph *g = lg->g;
    Place forced = lg->L->o.place;
    for (Ref r = 1; r < g->node.n; r++) {
        if (g->node.at[r].op != OP_SCAN)
            continue;
        ScanInfo s = scan_info(g, r);
        for (uint32_t k = 0; k < s.nstep && (forced == PLACE_STEP || forced == PLACE_AUTO); k++)
            if ((forced == PLACE_STEP || better_in_step(lg, s.step[k], rows)) && may_sink(lg, r, s.step[k])) {
                lg->ni[s.step[k]].sunk = true;
                sunk_in[s.step[k]] = r;
            }
    }
    if (forced == PLACE_WHOLE)
        return;
    group_sections(lg, NULL);
    group_scans(lg, NULL);
}

/* Of the products in the chunks of a scan one goes beside those of its steps: the first that can. */
static bool beside(LowG *lg, Ref r)
{
    Place forced = lg->L->o.place;
    Ref scan = lg->ni[r].group;
    const Graph *g = lg->g;
    for (uint32_t i = 0; i < g->placed.n; i++)
        if (g->placed.at[i].where == PLACE_BESIDE && g->placed.at[i].scan == scan)
            return false;
    return forced == PLACE_BESIDE ? beside_fits(lg, scan, r) : forced == PLACE_AUTO && beside_pays(lg, scan, r);
}

/* The places of one graph, and of the segments beneath it. */
static void place_graph(LowG *lg)
{
    Low *L = lg->L;
    Module *m = L->m;
    Graph *g = m->graph.at[lg->g->index];
    int64_t rows = L->o.batch ? L->o.batch : 32;
    Ref *sunk_in = NEW_N(m->arena, Ref, g->node.n + 1);
    decide(lg, rows, sunk_in);
    for (Ref r = 1; r < g->node.n; r++) {
        const NodeInfo *ni = &lg->ni[r];
        if (ni->kind != NK_GEMM)
            continue;
        Placed p = { .product = r, .rows = g->node.at[r].axes & AX(L->bx) ? rows : 1, .weights = chain_weights(lg, r) };
        p.where = ni->sunk ? PLACE_STEP : ni->group && beside(lg, r) ? PLACE_BESIDE : ni->group ? PLACE_CHUNK : PLACE_WHOLE;
        p.scan = ni->sunk ? sunk_in[r] : ni->group;
        p.traffic = chain_traffic(lg, r, p.rows);
        VEC_PUSH(m->arena, g->placed) = p;
        explain_place(lg, &p);
    }
    for (Ref r = 1; r < g->node.n; r++)
        if (g->node.at[r].op == OP_SCAN && m->graph.at[scan_info(g, r).body]->cut)
            place_graph(low_body(lg, r));
}

bool pass_place(Module *m, const PassOptions *o)
{
    Low *L = low_make(m, o);
    if (!L)
        return false;
    uint64_t before = decisions_hash(m);
    for (uint32_t i = 0; i < m->graph.n; i++)
        m->graph.at[i]->placed.n = m->graph.at[i]->stage.n = 0;
    place_graph(low_outer(L));
    return decisions_hash(m) != before;
}

/* ---- taking them ----------------------------------------------------------------------------------------------------------- */

static void misplaced(Low *L, const Placed *p)
{
    diag_error(L->ctx, 723, (Span){ 0, 0 }, "place: %%%u cannot be computed at '%s' of %%%u", p->product, place_text[p->where], p->scan);
    L->failed = true;
}

/* The sections that place would make, if they are those of the lines; else, the lines were edited: those that the lines leave. A
   product in no section still lies between others, so it is not left out where nothing was edited. */
static void apply_sections(LowG *lg, const Ref *in_chunks)
{
    bool same = true;
    group_sections(lg, NULL);
    for (Ref r = 1; r < lg->g->node.n; r++)
        same &= lg->ni[r].kind != NK_GEMM || lg->ni[r].group == (is_section(lg, in_chunks[r]) ? in_chunks[r] : 0);
    for (Ref r = 1; r < lg->g->node.n && !same; r++) {
        lg->ni[r].group = 0;
        lg->ni[r].chunk_only = false;
    }
    if (!same)
        group_sections(lg, in_chunks);
}

static bool apply_chunk(LowG *lg, const Placed *p)
{
    NodeInfo *ni = lg->ni;
    if (p->where != PLACE_CHUNK && p->where != PLACE_BESIDE)
        return true;
    if (p->where == PLACE_BESIDE && !(ni[p->product].beside = beside_fits(lg, p->scan, p->product)))
        return false;
    const Node *n = &lg->g->node.at[p->product];
    for (int k = 0; k < 2 && ni[p->product].beside && n->op == OP_ADD; k++)
        ni[n->in[k]].beside = ni[n->in[k]].kind == NK_CHAIN;
    return ni[p->product].group == p->scan;
}

void apply_places(LowG *lg)
{
    const Graph *g = lg->g;
    Ref *in_chunks = NEW_N(lg->L->arena, Ref, g->node.n + 1);
    for (uint32_t i = 0; i < g->placed.n; i++) {
        const Placed *p = &g->placed.at[i];
        bool ok = lg->ni[p->product].kind == NK_GEMM && (p->where != PLACE_STEP || g->node.at[p->scan].op == OP_SCAN);
        if (p->where == PLACE_STEP && ok)
            ok = lg->ni[p->product].sunk = may_sink(lg, p->scan, p->product);
        if (p->where == PLACE_CHUNK || p->where == PLACE_BESIDE)
            in_chunks[p->product] = p->scan;
        if (!ok) {
            misplaced(lg->L, p);
            return;
        }
    }
    if (g->placed.n) {
        apply_sections(lg, in_chunks);
        group_scans(lg, in_chunks);
    }
    for (uint32_t i = 0; i < g->placed.n; i++)
        if (!apply_chunk(lg, &g->placed.at[i])) {
            misplaced(lg->L, &g->placed.at[i]);
            return;
        }
}
