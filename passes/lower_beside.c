/* lower_loops: a product that was lifted before a loop over single rows, computed beside the products of its steps.
   before:  place %6 beside of %7        run product <T,B> in %7 : %6 (x W)         in @1:  run product <B> : %5 (h U)
   after:   for chunks of T {
              the first rows of %6
              for t { for panels j of U { call beside_8x8x2_2(h, U[j], .., x[rows that come next], W[tile], %6[..]) } .. }
            }
            and a helper: for k of a part of W's tile { two k of U's panel for one row; one k of the tile for 8 rows }
   A step of one row reads a matrix and uses each number once: it waits for the second cache while half of the multiply-adds are
   idle. Many rows of a product keep all of them busy and read little. Side by side the two take less time than one after the
   other. Both keep their order of sums: a tile that is not finished stands, exactly, in the place of its result.
   Each panel of the steps' products has `each` tiles of the other, of BESIDE_ROWS rows that come next; so many steps compute them, in
   `parts` parts each. What no steps stand before (the first rows of a chunk), and what is no full tile, comes before the steps.
   When: every call is about one row, which one thread has, or threads share the columns of products. */
#include "passes/lower_int.h"

enum { HOSTS = 8, EVERY = 4 };

typedef struct {
    Ref product;      /* of the body */
    int64_t K, panel; /* its panel 0 among those of all hosts */
    int every;        /* k of it for one of the tile's */
} Host;

struct Beside {
    LowG *lg;
    Ref product, dot;
    Host host[HOSTS];
    uint32_t nhost;
    int64_t K, panels, tiles, each, parts, steps; /* steps: k of a part */
    int64_t weights;                              /* of the hosts */
    bool reverse;
    Loc A, C, C0;
    uint32_t pack;
    LV row, slot, part; /* of this step: the first row to compute; which of a panel's tiles, `each`: none; which part of it */
};

/* ---- whether, and how -------------------------------------------------------------------------------------------------------- */

static int64_t row_length(const Graph *g, Ref dot) {
    DotInfo d = dot_classify(g, dot);
    return g->node.at[g->node.at[dot].in[d.swapped ? 1 : 0]].dim[0];
}

int64_t least_sum(const LowG *lg, Ref r, uint32_t *count, Ref *dot) {
    const Node *n = &lg->g->node.at[r];
    if (n->op == OP_DOT) {
        *dot = r;
        ++*count;
        return row_length(lg->g, r);
    }
    int64_t least = INT64_MAX;
    for (int k = 0; k < 2; k++)
        if (lg->ni[n->in[k]].kind == NK_CHAIN) {
            int64_t K = least_sum(lg, n->in[k], count, dot);
            least = K < least ? K : least;
        }
    return least;
}

/* Whether something else in the chunks of the scan is computed from r. */
static bool read_in_chunks(const LowG *lg, Ref scan, Ref r) {
    bool *from = NEW_N(lg->L->arena, bool, scan + 1);
    from[r] = true;
    for (Ref q = r + 1; q < scan; q++) {
        const Ref *in;
        for (uint32_t k = node_inputs(lg->g, q, &in); k-- > 0;) from[q] |= from[in[k]];
        if (from[q] && lg->ni[q].group == scan && is_real(lg->ni[q].kind)) return true;
    }
    return false;
}

/* Full panels of a product of a step, 0: it takes nothing along; and its least K. A single panel that is small stays in the first
   cache, and shares its loop with others. */
static int64_t host_panels(const LowG *bg, Ref r, int64_t *K) {
    const Node *n = &bg->g->node.at[r];
    Ref dot = 0;
    uint32_t count = 0;
    if (bg->ni[r].kind != NK_GEMM || bg->ni[r].load || (n->axes & ~AX(bg->L->bx))) return 0;
    Panels p = cut_product(bg->L, n->dim[0]);
    *K = least_sum(bg, r, &count, &dot);
    bool large = p.full + (p.last > 0) > 1 || *K * n->dim[0] >= NEAR_WEIGHTS / 2;
    return large ? p.full : 0;
}

/* Such products of a step, of no less than half the K of the longest. */
static void find_hosts(const LowG *bg, Beside *x) {
    int64_t K, most = 0, n;
    for (Ref r = 1; r < bg->g->node.n; r++)
        if (host_panels(bg, r, &K) && K > most) most = K;
    for (Ref r = 1; r < bg->g->node.n && x->nhost < HOSTS; r++) {
        if ((n = host_panels(bg, r, &K)) == 0 || 2 * K < most) continue;
        x->host[x->nhost++] = (Host){.product = r, .K = K, .panel = x->panels};
        x->weights += K * bg->g->node.at[r].dim[0];
        x->panels += n;
    }
    x->each = x->panels ? (x->tiles + x->panels - 1) / x->panels : BESIDE_ROWS + 1;
}

/* Whether the left operand has a row for each of the product's; one that is the same at each step may have one for all of them. */
static bool has_rows(const LowG *lg, Ref dot) {
    const Graph *g = lg->g;
    Ref r = g->node.at[dot].in[dot_classify(g, dot).swapped ? 1 : 0];
    while (lg->ni[r].kind == NK_ACCESS && g->node.at[r].axes == g->node.at[dot].axes) r = g->node.at[r].in[0];
    return g->node.at[r].axes == g->node.at[dot].axes;
}

static bool cut_beside(LowG *lg, Ref scan, Ref r, Beside *x) {
    Low *L = lg->L;
    const Graph *g = lg->g;
    const Node *n = &g->node.at[r];
    uint32_t count = 0;
    if (!L->o.one_row || L->o.one_step || L->o.panel || lg->ni[r].kind != NK_GEMM || lg->ni[r].group != scan ||
        g->node.at[scan].op != OP_SCAN)
        return false;
    ScanInfo s = scan_info(g, scan);
    *x = (Beside){.lg = lg, .product = r, .reverse = s.reverse};
    x->K = least_sum(lg, r, &count, &x->dot);
    Panels p = cut_panels(L, n->dim[0], BESIDE_VECTORS);
    x->tiles = p.full;
    if (count != 1 || !p.full || p.w != BESIDE_VECTORS || n->axes != (AX(s.axis) | AX(L->bx)) || !has_rows(lg, x->dot) || L->m->graph.at[s.body]->cut ||
        single_chunks(lg, scan) || read_in_chunks(lg, scan, r))
        return false;
    find_hosts(low_body(lg, scan), x);
    if (x->each > BESIDE_ROWS) return false;
    x->parts = BESIDE_ROWS / x->each;
    x->steps = (x->K + x->parts - 1) / x->parts;
    bool fits = true;
    for (uint32_t k = 0; k < x->nhost; k++) {
        int64_t every = x->host[k].K / x->steps;
        fits &= every > 0;
        x->host[k].every = (int)(every < EVERY ? every : EVERY);
    }
    return fits;
}

bool beside_fits(LowG *lg, Ref scan, Ref r) {
    Beside x;
    return cut_beside(lg, scan, r, &x);
}

bool beside_pays(LowG *lg, Ref scan, Ref r) {
    Beside x;
    return lg->L->o.registers >= 32 && cut_beside(lg, scan, r, &x) && x.weights > NEAR_WEIGHTS;
}

/* ---- the helper -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    LBuilder *b;
    const BesideKey *key;
    uint32_t A, P, X, W;
    int V;
} Pair;

/* One k of the panel: nv multiply-adds. */
static void panel_step(const Pair *t, LV k, int64_t times, int64_t past, LV *acc) {
    LBuilder *b = t->b;
    int64_t width = (int64_t)t->key->nv * t->V;
    LV a = lb_load(b, LOP_LDB, t->A, lb_idx_term(b, lidx(past), k, times), 0);
    for (int j = 0; j < t->key->nv; j++) {
        LV p = lb_load(b, LOP_LD, t->P, lb_idx_term(b, lidx(past * width + (int64_t)j * t->V), k, times * width), t->V);
        acc[j] = lb_op(b, LOP_FMA, a, p, acc[j], 0);
    }
}

/* One k of the tile. */
static void tile_step(const Pair *t, LV k, LV *acc) {
    LBuilder *b = t->b;
    LV w[BESIDE_VECTORS];
    for (int j = 0; j < BESIDE_VECTORS; j++)
        w[j] = lb_load(b, LOP_LD, t->W, lb_idx_term(b, lidx((int64_t)j * t->V), k, (int64_t)BESIDE_VECTORS * t->V), t->V);
    for (int i = 0; i < BESIDE_ROWS; i++) {
        LV x = lb_load(b, LOP_LDB, t->X, lb_idx_term(b, lidx(i * t->key->a_stride), k, 1), 0);
        for (int j = 0; j < BESIDE_VECTORS; j++)
            acc[i * BESIDE_VECTORS + j] = lb_op(b, LOP_FMA, x, w[j], acc[i * BESIDE_VECTORS + j], 0);
    }
}

/* Parameters in the order of beside_call. */
static uint32_t make_beside(Low *L, const BesideKey *key) {
    enum { TILE = BESIDE_ROWS * BESIDE_VECTORS };
    char name[120];
    snprintf(name, sizeof name, "beside_%dx%dx%d_%d_a%lld%s%s", key->nv, BESIDE_ROWS, BESIDE_VECTORS, key->every,
             (long long)key->a_stride, key->from ? "_from" : "", key->onto ? "_onto" : "");
    lprogram_add_fn(L->p, name, LFUNC_HELPER);
    uint32_t fn = L->p->fn.n - 1;
    LBuilder b = lb_make(L->p, fn);
    Pair t = {.b = &b, .key = key, .V = L->p->V};
    LV acc[TILE_VECTORS + TILE], in[TILE_VECTORS + TILE];
    uint32_t nv = (uint32_t)key->nv;
    t.A = lb_param_ptr(&b, "A", LE_F);
    t.P = lb_param_ptr(&b, "P", LE_F);
    uint32_t C0 = lb_param_ptr(&b, "C0", LE_F), C = lb_param_ptr(&b, "C", LE_F);
    t.X = lb_param_ptr(&b, "X", LE_F);
    t.W = lb_param_ptr(&b, "W", LE_F);
    uint32_t Y0 = lb_param_ptr(&b, "Y0", LE_F), Y = lb_param_ptr(&b, "Y", LE_F);
    LV K = lb_param_int(&b, "K"), steps = lb_param_int(&b, "steps");
    LV y0_stride = lb_param_int(&b, "y0_stride"), y_stride = lb_param_int(&b, "y_stride");
    for (uint32_t j = 0; j < nv; j++)
        acc[j] = key->from ? lb_load(&b, LOP_LD, C0, lidx((int64_t)j * t.V), t.V) : lb_fconst(&b, 0);
    for (int i = 0; i < TILE; i++) {
        LIdx at = lb_idx_term(&b, lidx(i % BESIDE_VECTORS * (int64_t)t.V), y0_stride, i / BESIDE_VECTORS);
        acc[nv + (uint32_t)i] = key->onto ? lb_load(&b, LOP_LD, Y0, at, t.V) : lb_fconst(&b, 0);
    }
    LV k = lb_for(&b, lb_iconst(&b, 0), steps, 1, false, nv + TILE, acc, in);
    for (int e = 0; e < key->every; e++) panel_step(&t, k, key->every, e, in);
    tile_step(&t, k, in + nv);
    lb_end_for(&b, nv + TILE, in, acc);
    for (int i = 0; i < TILE; i++) {
        LIdx at = lb_idx_term(&b, lidx(i % BESIDE_VECTORS * (int64_t)t.V), y_stride, i / BESIDE_VECTORS);
        lb_store(&b, LOP_ST, Y, at, acc[nv + (uint32_t)i], t.V);
    }
    k = lb_for(&b, lb_op(&b, LOP_IMUL, steps, lb_iconst(&b, key->every), 0, 0), K, 1, false, nv, acc, in);
    panel_step(&t, k, 1, 0, in);
    lb_end_for(&b, nv, in, acc);
    for (uint32_t j = 0; j < nv; j++) lb_store(&b, LOP_ST, C, lidx((int64_t)j * t.V), acc[j], t.V);
    return fn;
}

static uint32_t get_beside(Low *L, BesideKey key) {
    for (uint32_t k = 0; k < L->besides.n; k++) {
        const BesideKey *x = &L->besides.at[k];
        if (x->nv == key.nv && x->every == key.every && x->from == key.from && x->onto == key.onto &&
            x->a_stride == key.a_stride)
            return x->fn;
    }
    key.fn = make_beside(L, &key);
    VEC_PUSH(L->arena, L->besides) = key;
    return key.fn;
}

/* ---- around the steps -------------------------------------------------------------------------------------------------------- */

Beside *beside_make(LowG *lg, Ref scan, uint32_t loop) {
    Low *L = lg->L;
    Beside *x = NEW(L->arena, Beside);
    Ref r = 1;
    while (r < scan && !(lg->ni[r].beside && lg->ni[r].group == scan && lg->ni[r].kind == NK_GEMM)) r++;
    if (r == scan || !cut_beside(lg, scan, r, x)) return NULL;
    const Node *dot = &lg->g->node.at[x->dot];
    x->A = low_loc(lg, dot->in[dot_classify(lg->g, x->dot).swapped ? 1 : 0]);
    x->C = lg->ni[r].loc;
    x->pack = low_pack(lg, x->dot);
    if (lg->ni[r].base) x->C0 = low_loc(lg, lg->ni[r].base);
    VEC_PUSH(L->arena, L->across) = (LoopBuf){x->A.buf, loop};
    VEC_PUSH(L->arena, L->across) = (LoopBuf){x->C.buf, loop};
    return x;
}

/* Of n steps, those that no other stands BESIDE_ROWS before: the first ones, so that groups of BESIDE_ROWS are left. */
static LV rest_of(LBuilder *b, LV n) {
    LV rows = lb_iconst(b, BESIDE_ROWS);
    return lb_op(b, LOP_ISUB, n, lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, n, rows, 0, 0), rows, 0, 0), 0, 0);
}

void beside_first(LowG *lg, Ref r, LV *lo, LV *hi) {
    Low *L = lg->L;
    LBuilder *b = &L->b;
    LV n = lb_op(b, LOP_ISUB, L->chi, L->clo, 0, 0);
    n = lb_op(b, LOP_IMIN, n, lb_op(b, LOP_IADD, rest_of(b, n), lb_iconst(b, BESIDE_ROWS), 0, 0), 0, 0);
    bool reverse = scan_info(lg->g, lg->ni[r].group).reverse;
    *lo = reverse ? lb_op(b, LOP_ISUB, L->chi, n, 0, 0) : L->clo;
    *hi = reverse ? L->chi : lb_op(b, LOP_IADD, L->clo, n, 0, 0);
}

void beside_step(LowG *bg) {
    Beside *x = bg->beside;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    LV zero = lb_iconst(b, 0), one = lb_iconst(b, 1), rows = lb_iconst(b, BESIDE_ROWS), parts = lb_iconst(b, x->parts);
    LV n = lb_op(b, LOP_ISUB, L->chi, L->clo, 0, 0), rest = rest_of(b, n);
    LV done = x->reverse ? lb_op(b, LOP_ISUB, lb_op(b, LOP_ISUB, L->chi, one, 0, 0), bg->t, 0, 0)
                         : lb_op(b, LOP_ISUB, bg->t, L->clo, 0, 0);
    LV at = lb_op(b, LOP_IMAX, zero, lb_op(b, LOP_ISUB, done, rest, 0, 0), 0, 0); /* in the groups */
    LV begin = lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, at, rows, 0, 0), rows, 0, 0), step = lb_op(b, LOP_ISUB, at, begin, 0, 0);
    LV next = lb_op(b, LOP_IADD, lb_op(b, LOP_IADD, rest, begin, 0, 0), rows, 0, 0); /* how many rows stand before those */
    x->row = x->reverse ? lb_op(b, LOP_ISUB, lb_op(b, LOP_ISUB, L->chi, next, 0, 0), rows, 0, 0)
                        : lb_op(b, LOP_IADD, L->clo, next, 0, 0);
    LV q = lb_op(b, LOP_IDIV, step, parts, 0, 0);
    x->part = lb_op(b, LOP_ISUB, step, lb_op(b, LOP_IMUL, q, parts, 0, 0), 0, 0);
    /* 1 where there are more rows and the rest has been done, else 0 */
    LV more = lb_op(b, LOP_IMAX, zero, lb_op(b, LOP_IMIN, one, lb_op(b, LOP_ISUB, n, next, 0, 0), 0, 0), 0, 0);
    LV began = lb_op(b, LOP_IMAX, zero,
                     lb_op(b, LOP_IMIN, one, lb_op(b, LOP_ISUB, lb_op(b, LOP_IADD, done, one, 0, 0), rest, 0, 0), 0, 0), 0, 0);
    LV none = lb_iconst(b, x->each), on = lb_op(b, LOP_IMUL, more, began, 0, 0);
    x->slot = lb_op(b, LOP_IADD, none, lb_op(b, LOP_IMUL, on, lb_op(b, LOP_ISUB, q, none, 0, 0), 0, 0), 0, 0);
}

/* ---- a panel ----------------------------------------------------------------------------------------------------------------- */

typedef struct {
    TileRows *t; /* of the step's product */
    int every;
    LV tile;
} Work;

static LArg at(const TileOperand *o) { return (LArg){.buf = o->buf, .idx = o->at}; }

/* Where the tile's rows stand in l. */
static TileOperand rows_in(LowG *bg, const Loc *l, LV tile) {
    Low *L = bg->L;
    Loc x = low_at(L, *l, bg->axis, bg->beside->row);
    LIdx i = lb_idx_term(&L->b, low_row_at(L, &x, 0), tile, (int64_t)BESIDE_VECTORS * L->p->V);
    return (TileOperand){x.buf, i, lb_iconst(&L->b, x.axes & AX(bg->axis) ? x.ld : 0)};
}

/* This step's part of the tile, from y0 (NULL: from zero) to y: the first one starts from C0, the others go on. */
static void beside_call(LowG *bg, const Work *w, const TileOperand *y0, const TileOperand *y) {
    enum { LAST = 12 };
    const Beside *x = bg->beside;
    const TileRows *t = w->t;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    int64_t width = (int64_t)BESIDE_VECTORS * L->p->V;
    uint32_t s = t->nseg - 1;
    Loc A = low_at(L, x->A, bg->axis, x->row);
    LV k = lb_op(b, LOP_IMUL, x->part, lb_iconst(b, x->steps), 0, 0);
    LV steps = lb_op(b, LOP_IMIN, lb_iconst(b, x->steps), lb_op(b, LOP_ISUB, lb_iconst(b, x->K), k, 0, 0), 0, 0);
    steps = lb_op(b, LOP_IMAX, lb_iconst(b, 0), steps, 0, 0); /* the last parts of a short sum are empty */
    TileOperand X = {.buf = A.buf, .at = lb_idx_term(b, low_row_at(L, &A, 0), k, 1)}, W = {.buf = x->pack, .at = lidx(0)};
    W.at = lb_idx_term(b, lb_idx_term(b, W.at, w->tile, x->K * width), k, width);
    BesideKey key = {.nv = t->nv, .every = w->every, .from = t->from, .onto = y0 != NULL, .a_stride = A.ld};
    LArg arg[LAST] = {at(&t->A[s]),
                      at(&t->P[s]),
                      at(t->from ? &t->C0 : &t->C),
                      at(&t->C),
                      at(&X),
                      at(&W),
                      at(y0 ? y0 : y),
                      at(y),
                      {.value = t->K[s]},
                      {.value = steps},
                      {.value = y0 ? y0->step : y->step},
                      {.value = y->step}};
    lb_call(b, get_beside(L, key), arg, LAST);
}

/* Segments before the last. */
static void begin_row(Low *L, TileRows *t) {
    TileRows some = *t, *all = &some;
    if (t->nseg < 2) return;
    some.nseg--;
    tile_one_row(L, &all, 1);
    t->from = true;
    t->C0 = t->C;
}

static void touch(const Beside *x) {
    Low *L = x->lg->L;
    low_touch(L, x->A.buf);
    low_touch(L, x->C.buf);
    low_touch(L, x->pack);
    if (x->C0.ok) low_touch(L, x->C0.buf);
}

static const Host *find_host(const Beside *x, Ref r) {
    for (uint32_t h = 0; x && h < x->nhost; h++)
        if (x->host[h].product == r) return &x->host[h];
    return NULL;
}

bool beside_has(const LowG *bg, Ref r) { return find_host(bg->beside, r) != NULL; }

bool beside_panel(LowG *bg, Ref r, TileRows *t, LV j) {
    const Beside *x = bg->beside;
    const Host *host = find_host(x, r);
    Low *L = bg->L;
    LBuilder *b = &L->b;
    if (!host) return false;
    LV one = lb_iconst(b, 1), panel = lb_iconst(b, host->panel);
    if (j) panel = lb_op(b, LOP_IADD, panel, j, 0, 0);
    LV mine = lb_op(b, LOP_IMUL, panel, lb_iconst(b, x->each), 0, 0);
    LV have = lb_op(b, LOP_IMIN, lb_iconst(b, x->each), lb_op(b, LOP_ISUB, lb_iconst(b, x->tiles), mine, 0, 0), 0, 0);
    TileRows own = *t;
    Work w = {&own, host->every, lb_op(b, LOP_IADD, mine, x->slot, 0, 0)};
    touch(x);
    lb_if_lt(b, x->slot, have);
    begin_row(L, &own);
    TileOperand C = rows_in(bg, &x->C, w.tile), C0 = {0};
    if (x->C0.ok) C0 = rows_in(bg, &x->C0, w.tile);
    lb_if_lt(b, x->part, one);
    beside_call(bg, &w, x->C0.ok ? &C0 : NULL, &C);
    lb_end_if(b);
    if (x->parts > 1) {
        lb_if_lt(b, lb_iconst(b, 0), x->part);
        beside_call(bg, &w, &C, &C);
        lb_end_if(b);
    }
    lb_end_if(b);
    lb_if_lt(b, lb_op(b, LOP_ISUB, have, one, 0, 0), x->slot);
    tile_one_row(L, &t, 1);
    lb_end_if(b);
    return true;
}
