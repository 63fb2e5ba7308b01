/* lower_loops: weight gradients computed beside the products of the way back through time, some steps behind it.
   before:  run scan : %24 (T rev; its stack %28)            run gradient : %29 (sum over T of outer products of %28 and of x)
   after:   for t down {
              the steps' product, a part of its K at a time: for this step's tiles of %29 { call behind_8x8x2(part of K; tile, rows of a group) }
            }
            the rows of the last group
   A step of one row waits for its matrix from the second cache while most multiply-adds are idle; a gradient keeps all of them busy and
   reads little (lower_beside.c says the same of the way forward). When BEHIND_ROWS steps have been done, all tiles of the gradients
   add their rows in as many steps that come next, each step its share of them. A sum goes from a block's last row to its first, as
   in gradient_blocks: between groups it stands, exactly, in `chain`; behind a block it is added to the gradient.
   When: one row, one thread. */
#include "passes/lower_int.h"

enum { ROWS = BEHIND_ROWS, BLOCK = CUT_ROWS, TILE_M = 8, TILE_V = 2, HOSTS = 8, GRADIENTS = 8 };

typedef struct {
    Ref product;   /* of the body */
    int64_t panel; /* its panel 0 among those of all hosts */
} Host;

typedef struct {
    Ref r;
    Loc A, P, chain;
    int64_t M, N, tiles, calls, first; /* calls: of each panel, from its call `first` on */
} Grad;

struct Behind {
    LowG *lg;
    Host host[HOSTS];
    Grad grad[GRADIENTS];
    uint32_t nhost, ngrad, none; /* none: zeros, and room for a tile that nobody reads */
    int64_t panels, calls, weights;
    /* of this step: the group's last row; how many it has; 1 where sums begin with it; 1 where there is one; which share of its tiles */
    LV last, rows, begins, on, share;
};

/* ---- whether, and how ------------------------------------------------------------------------------------------------------------- */

static void find_hosts(const LowG *bg, Behind *x) {
    for (Ref r = 1; r < bg->g->node.n && x->nhost < HOSTS; r++) {
        const Node *n = &bg->g->node.at[r];
        uint32_t count = 0;
        Ref dot;
        if (bg->ni[r].kind != NK_GEMM || bg->ni[r].load || n->axes != AX(bg->L->bx)) continue;
        Panels p = cut_product(bg->L, n->dim[0]);
        if (!p.full) continue;
        x->host[x->nhost++] = (Host){.product = r, .panel = x->panels};
        x->weights += least_sum(bg, r, &count, &dot) * n->dim[0];
        x->panels += p.full;
    }
}

/* Whether value r is complete, step by step, when a step of the scan is over. */
static bool made(const LowG *lg, Ref r, Ref scan) {
    const Ref *in;
    if (is_real(lg->ni[r].kind)) return lg->ni[r].load || (lg->ni[r].item && lg->ni[r].item <= lg->ni[scan].item);
    for (uint32_t k = node_inputs(lg->g, r, &in); k-- > 0;)
        if (!made(lg, in[k], scan)) return false;
    return true;
}

static bool rows_of(const LowG *lg, const Loc *l, uint32_t axes) {
    return l->ok && !l->chunk && !l->seg && !l->own && l->elem == LE_F && flat_rows(lg->L, l, axes) && (l->axes & axes) == axes;
}

static bool may_follow(LowG *lg, Ref r, Ref scan, uint32_t axes, Grad *x) {
    const Node *n = &lg->g->node.at[r];
    const NodeInfo *ni = &lg->ni[r];
    if (ni->kind != NK_GRADIENT || ni->load || ni->group || ni->onto || !ni->down || ni->item < lg->ni[scan].item ||
        n->rank != 2)
        return false;
    Ref A, P;
    uint32_t summed = gradient_operands(lg->g, r, &A, &P);
    *x = (Grad){.r = r, .A = low_loc(lg, A), .P = low_loc(lg, P), .M = n->dim[0], .N = n->dim[1]};
    int64_t V = lg->L->p->V;
    x->tiles = x->M / TILE_M * (x->N / (TILE_V * V));
    return summed == axes && made(lg, A, scan) && made(lg, P, scan) && rows_of(lg, &x->A, axes) && rows_of(lg, &x->P, axes) &&
           ni->loc.ok && ni->loc.fs[0] == x->N && x->M % TILE_M == 0 && x->N % (TILE_V * V) == 0;
}

/* The matrices of a step are more than the first cache holds; with the gradients, which pass once in a group, they stay in the second. */
static bool pays(const Low *L, const Behind *x, int64_t elements) {
    enum { SECOND = 262144 };
    bool near = x->weights + elements <= SECOND && elements <= 4 * x->weights;
    return L->o.place == PLACE_BESIDE || (L->o.registers >= 32 && x->weights > NEAR_WEIGHTS && near);
}

static bool cut_behind(LowG *lg, Ref scan, Behind *x) {
    ScanInfo s = scan_info(lg->g, scan);
    LowG *bg = low_body(lg, scan);
    Low *L = lg->L;
    uint32_t axes = AX(s.axis) | AX(L->bx);
    int64_t elements = 0;
    *x = (Behind){.lg = lg};
    if (!s.reverse || lg->body || L->seg || L->chunk || bg->segment || L->o.panel || L->o.one_step || !low_single_row(L))
        return false;
    find_hosts(bg, x);
    for (Ref r = 1; r < lg->g->node.n && x->panels && x->ngrad < GRADIENTS; r++) {
        Grad *g = &x->grad[x->ngrad];
        if (!may_follow(lg, r, scan, axes, g)) continue;
        g->calls = (g->tiles + ROWS * x->panels - 1) / (ROWS * x->panels);
        g->first = x->calls;
        x->calls += g->calls;
        elements += g->M * g->N;
        x->ngrad++;
    }
    return x->ngrad && pays(L, x, elements);
}

/* ---- the helper ----------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    LBuilder *b;
    const BehindKey *key;
    uint32_t A, P, X, W;
    int64_t V;
} Pair;

static void panel_step(const Pair *t, LV k, LV *acc) {
    LBuilder *b = t->b;
    LV a = lb_load(b, LOP_LDB, t->A, lb_idx_term(b, lidx(0), k, 1), 0);
    for (int j = 0; j < t->key->nv; j++)
        acc[j] = lb_op(b, LOP_FMA, a, lb_load(b, LOP_LD, t->P, lb_idx_term(b, lidx(j * t->V), k, t->key->nv * t->V), t->V),
                       acc[j], 0);
}

static void tile_step(const Pair *t, LV k, LV *acc) {
    LBuilder *b = t->b;
    LV w[TILE_V];
    for (int j = 0; j < TILE_V; j++) w[j] = lb_load(b, LOP_LD, t->W, lb_idx_term(b, lidx(j * t->V), k, -t->key->p_ld), t->V);
    for (int i = 0; i < TILE_M; i++) {
        LV x = lb_load(b, LOP_LDB, t->X, lb_idx_term(b, lidx(i), k, -t->key->a_ld), 0);
        for (int j = 0; j < TILE_V; j++) acc[i * TILE_V + j] = lb_op(b, LOP_FMA, x, w[j], acc[i * TILE_V + j], 0);
    }
}

/* Parameters in the order of behind_call: K of a panel, going on from C; `rows` of a tile, from Y0 to Y. */
static uint32_t make_behind(Low *L, const BehindKey *key) {
    enum { TILE = TILE_M * TILE_V };
    char name[80];
    snprintf(name, sizeof name, "behind_%dx%dx%d_a%lld_p%lld", key->nv, TILE_M, TILE_V, (long long)key->a_ld,
             (long long)key->p_ld);
    lprogram_add_fn(L->p, name, LFUNC_HELPER);
    uint32_t fn = L->p->fn.n - 1, nv = (uint32_t)key->nv;
    LBuilder b = lb_make(L->p, fn);
    Pair t = {.b = &b, .key = key, .V = L->p->V};
    LV acc[TILE_VECTORS + TILE], in[TILE_VECTORS + TILE];
    t.A = lb_param_ptr(&b, "A", LE_F);
    t.P = lb_param_ptr(&b, "P", LE_F);
    uint32_t C = lb_param_ptr(&b, "C", LE_F);
    t.X = lb_param_ptr(&b, "X", LE_F);
    t.W = lb_param_ptr(&b, "W", LE_F);
    uint32_t Y0 = lb_param_ptr(&b, "Y0", LE_F), Y = lb_param_ptr(&b, "Y", LE_F);
    LV K = lb_param_int(&b, "K"), rows = lb_param_int(&b, "rows");
    LV y0_stride = lb_param_int(&b, "y0_stride"), y_stride = lb_param_int(&b, "y_stride"),
       both = lb_op(&b, LOP_IMIN, K, rows, 0, 0);
    for (uint32_t j = 0; j < nv; j++) acc[j] = lb_load(&b, LOP_LD, C, lidx(j * t.V), t.V);
    for (int i = 0; i < TILE; i++)
        acc[nv + (uint32_t)i] = lb_load(&b, LOP_LD, Y0, lb_idx_term(&b, lidx(i % TILE_V * t.V), y0_stride, i / TILE_V), t.V);
    LV k = lb_for(&b, lb_iconst(&b, 0), both, 1, false, nv + TILE, acc, in);
    panel_step(&t, k, in);
    tile_step(&t, k, in + nv);
    lb_end_for(&b, nv + TILE, in, acc);
    k = lb_for(&b, both, rows, 1, false, TILE, acc + nv, in);
    tile_step(&t, k, in);
    lb_end_for(&b, TILE, in, acc + nv);
    for (int i = 0; i < TILE; i++)
        lb_store(&b, LOP_ST, Y, lb_idx_term(&b, lidx(i % TILE_V * t.V), y_stride, i / TILE_V), acc[nv + (uint32_t)i], t.V);
    k = lb_for(&b, both, K, 1, false, nv, acc, in);
    panel_step(&t, k, in);
    lb_end_for(&b, nv, in, acc);
    for (uint32_t j = 0; j < nv; j++) lb_store(&b, LOP_ST, C, lidx(j * t.V), acc[j], t.V);
    return fn;
}

static uint32_t get_behind(Low *L, BehindKey key) {
    for (uint32_t k = 0; k < L->behinds.n; k++) {
        const BehindKey *x = &L->behinds.at[k];
        if (x->nv == key.nv && x->a_ld == key.a_ld && x->p_ld == key.p_ld) return x->fn;
    }
    key.fn = make_behind(L, &key);
    VEC_PUSH(L->arena, L->behinds) = key;
    return key.fn;
}

/* ---- around the steps ------------------------------------------------------------------------------------------------------------------ */

static void fill(Low *L, uint32_t buf, int64_t n, LV hi, double value) {
    LBuilder *b = &L->b;
    int V = L->p->V;
    LV k = lb_for(b, lb_iconst(b, 0), hi ? hi : lb_iconst(b, n / V), 1, false, 0, NULL, NULL);
    lb_store(b, LOP_ST, buf, lb_idx_term(b, lidx(0), k, V), lb_fconst(b, value), V);
    lb_end_for(b, 0, NULL, NULL);
}

static uint32_t scratch(Low *L, const char *name, int64_t n) {
    uint32_t buf = low_buf(L, arena_printf(L->arena, "%s_%u", name, ++L->nname), LB_SLAB, LE_F, 0, 0, n, 0);
    low_touch(L, buf);
    return buf;
}

/* Where only one group would be, it is the last, and sums begin with it. */
static void begin_gradient(LowG *lg, Grad *g, LV T) {
    Low *L = lg->L;
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), few = lb_op(b, LOP_ISUB, lb_iconst(b, ROWS + 1), T, 0, 0);
    few = lb_op(b, LOP_IMAX, lb_iconst(b, 0), lb_op(b, LOP_IMIN, one, few, 0, 0), 0, 0);
    g->chain = lg->ni[g->r].loc;
    g->chain.buf = scratch(L, "chain", g->M * g->N);
    g->chain.foff = 0;
    g->chain.fs[0] = g->N;
    fill(L, g->chain.buf, 0, lb_op(b, LOP_IMUL, few, lb_iconst(b, g->M * g->N / L->p->V), 0, 0), 0);
    low_fill(lg, g->r, lb_fconst(b, -0.0), false);
    lg->ni[g->r].chain = g->chain;
}

Behind *behind_make(LowG *lg, Ref scan, uint32_t loop) {
    Low *L = lg->L;
    Behind *x = NEW(L->arena, Behind);
    int64_t zeros = TILE_V * L->p->V;
    if (!cut_behind(lg, scan, x)) return NULL;
    LV T = axis_hi(L, scan_info(lg->g, scan).axis);
    x->none = scratch(L, "none", zeros + TILE_M * zeros);
    fill(L, x->none, zeros, 0, 0);
    VEC_PUSH(L->arena, L->across) = (LoopBuf){x->none, loop};
    for (uint32_t k = 0; k < x->ngrad; k++) {
        Grad *g = &x->grad[k];
        begin_gradient(lg, g, T);
        const uint32_t buf[] = {g->A.buf, g->P.buf, g->chain.buf, lg->ni[g->r].loc.buf};
        for (size_t i = 0; i < sizeof buf / sizeof *buf; i++) VEC_PUSH(L->arena, L->across) = (LoopBuf){buf[i], loop};
    }
    return x;
}

/* 1 where a < c, else 0 */
static LV is_less(LBuilder *b, LV a, LV c) {
    LV d = lb_op(b, LOP_ISUB, c, a, 0, 0);
    return lb_op(b, LOP_IMAX, lb_iconst(b, 0), lb_op(b, LOP_IMIN, lb_iconst(b, 1), d, 0, 0), 0, 0);
}

static LV modulo(LBuilder *b, LV a, LV n) {
    return lb_op(b, LOP_ISUB, a, lb_op(b, LOP_IMUL, lb_op(b, LOP_IDIV, a, n, 0, 0), n, 0, 0), 0, 0);
}

void behind_step(LowG *bg) {
    Behind *x = bg->behind;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    LV one = lb_iconst(b, 1), size = lb_iconst(b, ROWS), T = axis_hi(L, bg->axis);
    LV first = lb_op(b, LOP_IMUL, lb_op(b, LOP_IADD, lb_op(b, LOP_IDIV, bg->t, size, 0, 0), one, 0, 0), size, 0, 0);
    LV end = lb_op(b, LOP_IADD, first, size, 0, 0);
    x->on = is_less(b, first, T);
    x->rows = lb_op(b, LOP_IMIN, size, lb_op(b, LOP_ISUB, T, first, 0, 0), 0, 0);
    x->last = lb_op(b, LOP_ISUB, lb_op(b, LOP_IADD, first, x->rows, 0, 0), one, 0, 0);
    x->share = lb_op(b, LOP_ISUB, lb_op(b, LOP_ISUB, first, one, 0, 0), bg->t, 0, 0);
    LV top = lb_op(b, LOP_ISUB, one, is_less(b, end, T), 0, 0), block = is_less(b, modulo(b, end, lb_iconst(b, BLOCK)), one);
    x->begins = lb_op(b, LOP_IMAX, top, block, 0, 0);
}

/* The last group of a block is done, and it is not the last one of all: its sums are added to the gradients. */
void behind_end(LowG *bg) {
    Behind *x = bg->behind;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    int V = L->p->V;
    LV from = lb_op(b, LOP_IADD, bg->t, lb_iconst(b, ROWS), 0, 0), left = modulo(b, from, lb_iconst(b, BLOCK));
    lb_if_lt(b, left, x->on);
    for (uint32_t i = 0; i < x->ngrad; i++) {
        const Grad *g = &x->grad[i];
        const Loc *to = &x->lg->ni[g->r].loc;
        LV k = lb_for(b, lb_iconst(b, 0), lb_iconst(b, g->M * g->N / V), 1, false, 0, NULL, NULL);
        LIdx at = lb_idx_term(b, lidx(to->foff), k, V);
        LV sum = lb_op(b, LOP_ADD, lb_load(b, LOP_LD, to->buf, at, V),
                       lb_load(b, LOP_LD, g->chain.buf, lb_idx_term(b, lidx(0), k, V), V), 0, 0);
        lb_store(b, LOP_ST, to->buf, at, sum, V);
        lb_end_for(b, 0, NULL, NULL);
        low_touch(L, to->buf);
    }
    lb_end_if(b);
}

/* ---- a panel --------------------------------------------------------------------------------------------------------------------------- */

static const Host *find_host(const Behind *x, Ref r) {
    for (uint32_t h = 0; x && h < x->nhost; h++)
        if (x->host[h].product == r) return &x->host[h];
    return NULL;
}

bool behind_has(const LowG *bg, Ref r) { return find_host(bg->behind, r) != NULL; }

/* What the product's last sum goes on from, in its place. */
static void begin_row(Low *L, const TileRows *t) {
    LBuilder *b = &L->b;
    TileRows some = *t, *all = &some;
    int V = L->p->V;
    some.nseg--;
    if (some.nseg) {
        tile_one_row(L, &all, 1);
        return;
    }
    for (int j = 0; j < t->nv; j++) {
        LIdx to = t->C.at, from = t->C0.at;
        to.c0 += (int64_t)j * V;
        from.c0 += (int64_t)j * V;
        lb_store(b, LOP_ST, t->C.buf, to, t->from ? lb_load(b, LOP_LD, t->C0.buf, from, V) : lb_fconst(b, 0), V);
    }
}

/* Part c of the panel, and of a tile of g the rows of this step's group, from y0 to y, `y0_stride` and `stride` apart. */
static void behind_call(LowG *bg, const TileRows *t, const Grad *g, LV c, LV tile, LV rows, LArg y0, int64_t y0_stride, LArg y,
                        int64_t stride) {
    enum { ARGS = 11 };
    const Behind *x = bg->behind;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    uint32_t s = t->nseg - 1;
    int64_t K = 0;
    if (!lb_known_int(b, t->K[s], &K)) low_fail(L, "a product beside a gradient, of unknown length");
    int64_t part = (K + x->calls - 1) / x->calls;
    LV down = lb_iconst(b, g->M / TILE_M), n = lb_op(b, LOP_IDIV, tile, down, 0, 0), m = modulo(b, tile, down);
    LV k = lb_op(b, LOP_IMUL, c, lb_iconst(b, part), 0, 0), left = lb_op(b, LOP_ISUB, lb_iconst(b, K), k, 0, 0);
    Loc A = low_at(L, g->A, bg->axis, x->last), P = low_at(L, g->P, bg->axis, x->last);
    BehindKey key = {.nv = t->nv, .a_ld = A.ld, .p_ld = P.ld};
    LArg arg[ARGS] = {{.buf = t->A[s].buf, .idx = lb_idx_term(b, t->A[s].at, k, 1)},
                      {.buf = t->P[s].buf, .idx = lb_idx_term(b, t->P[s].at, k, t->nv * (int64_t)L->p->V)},
                      {.buf = t->C.buf, .idx = t->C.at},
                      {.buf = A.buf, .idx = lb_idx_term(b, low_row_at(L, &A, 0), m, TILE_M)},
                      {.buf = P.buf, .idx = lb_idx_term(b, low_row_at(L, &P, 0), n, TILE_V * (int64_t)L->p->V)},
                      y0,
                      y,
                      {.value = lb_op(b, LOP_IMAX, lb_iconst(b, 0), lb_op(b, LOP_IMIN, lb_iconst(b, part), left, 0, 0), 0, 0)},
                      {.value = rows},
                      {.value = lb_iconst(b, y0_stride)},
                      {.value = lb_iconst(b, stride)}};
    lb_call(b, get_behind(L, key), arg, ARGS);
}

/* This panel's share of g's tiles, each with a part of K. */
static void behind_gradient(LowG *bg, const TileRows *t, const Grad *g, LV panel) {
    const Behind *x = bg->behind;
    Low *L = bg->L;
    LBuilder *b = &L->b;
    int64_t W = TILE_V * (int64_t)L->p->V;
    LV zero = lb_iconst(b, 0), one = lb_iconst(b, 1);
    low_touch(L, g->A.buf);
    low_touch(L, g->P.buf);
    low_touch(L, g->chain.buf);
    LV i = lb_for(b, zero, lb_iconst(b, g->calls), 1, false, 0, NULL, NULL);
    LV c = lb_op(b, LOP_IADD, i, lb_iconst(b, g->first), 0, 0);
    LV tile = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, x->share, lb_iconst(b, x->panels), 0, 0), panel, 0, 0);
    tile = lb_op(b, LOP_IADD, lb_op(b, LOP_IMUL, tile, lb_iconst(b, g->calls), 0, 0), i, 0, 0);
    LV down = lb_iconst(b, g->M / TILE_M), n = lb_op(b, LOP_IDIV, tile, down, 0, 0), m = modulo(b, tile, down);
    LArg y = {.buf = g->chain.buf, .idx = lb_idx_term(b, lb_idx_term(b, lidx(0), m, TILE_M * g->N), n, W)};
    LArg zeros = {.buf = x->none, .idx = lidx(0)}, room = {.buf = x->none, .idx = lidx(W)};
    bool all = g->tiles == g->calls * x->panels * ROWS;
    if (!all) lb_if_lt(b, tile, lb_iconst(b, g->tiles));
    lb_if_lt(b, x->begins, one);
    behind_call(bg, t, g, c, tile, x->rows, y, g->N, y, g->N);
    lb_end_if(b);
    lb_if_lt(b, zero, x->begins);
    behind_call(bg, t, g, c, tile, x->rows, zeros, 0, y, g->N);
    lb_end_if(b);
    if (!all) {
        lb_end_if(b);
        lb_if_lt(b, lb_iconst(b, g->tiles - 1), tile);
        behind_call(bg, t, g, c, zero, zero, zeros, 0, room, W);
        lb_end_if(b);
    }
    lb_end_for(b, 0, NULL, NULL);
}

bool behind_panel(LowG *bg, Ref r, TileRows *t, LV j) {
    const Behind *x = bg->behind;
    const Host *host = find_host(x, r);
    Low *L = bg->L;
    LBuilder *b = &L->b;
    if (!host) return false;
    LV panel = lb_iconst(b, host->panel);
    if (j) panel = lb_op(b, LOP_IADD, panel, j, 0, 0);
    low_touch(L, x->none);
    lb_if_lt(b, lb_iconst(b, 0), x->on);
    begin_row(L, t);
    for (uint32_t k = 0; k < x->ngrad; k++) behind_gradient(bg, t, &x->grad[k], panel);
    lb_end_if(b);
    lb_if_lt(b, x->on, lb_iconst(b, 1));
    tile_one_row(L, &t, 1);
    lb_end_if(b);
    return true;
}
