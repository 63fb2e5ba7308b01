/* onnx_roles: which dims of the graph's inputs are batch and time. Known is what recurrent layers and scans demand of what they
   read; dims are carried from there, through the operators that stand before them, to the inputs (union-find over dims). */
#include <string.h>

#include "import/onnx_graph.h"

enum { ROLE_UNKNOWN = -1, NO_DIM = UINT32_MAX };

typedef struct Track {
    Name name;
    int rank;                     /* -1: not followed */
    uint32_t dim[RONDO_MAX_RANK]; /* index into Roles.up */
    struct Track *next;
} Track;

typedef struct {
    Onnx *o;
    VEC(uint32_t) up; /* union-find */
    VEC(int) role;    /* of the roots */
    Track *bucket[BUCKETS];
    InputRoles *in;
} Roles;

static uint32_t root(Roles *r, uint32_t d) {
    while (r->up.at[d] != d) d = r->up.at[d] = r->up.at[r->up.at[d]];
    return d;
}

static uint32_t fresh(Roles *r, int role) {
    VEC_PUSH(r->o->w.a, r->role) = role;
    uint32_t d = r->up.n;
    VEC_PUSH(r->o->w.a, r->up) = d;
    return d;
}

static void set_role(Roles *r, uint32_t d, int role) {
    int *have = &r->role.at[root(r, d)];
    if (*have == ROLE_UNKNOWN) *have = role;
}

static void unite(Roles *r, uint32_t a, uint32_t b) {
    a = root(r, a);
    b = root(r, b);
    if (a == b) return;
    if (r->role.at[a] == ROLE_UNKNOWN) r->role.at[a] = r->role.at[b];
    r->up.at[b] = a;
}

static Track *track_find(const Roles *r, const char *name) {
    Name id = intern(r->o->w.ctx, name);
    for (Track *t = r->bucket[id % BUCKETS]; t; t = t->next)
        if (t->name == id) return t->rank < 0 ? NULL : t;
    return NULL;
}

static Track *track_new(Roles *r, const char *name, int rank) {
    Name id = intern(r->o->w.ctx, name);
    Track *t = NEW(r->o->w.a, Track);
    *t = (Track){.name = id, .rank = rank, .next = r->bucket[id % BUCKETS]};
    r->bucket[id % BUCKETS] = t;
    return t;
}

static const OnnxTensor *constant_of(const Roles *r, const char *name) {
    const OnnxGraph *g = r->o->g;
    for (uint32_t i = 0; i < g->ninit; i++)
        if (!strcmp(g->init[i].name, name)) return &g->init[i];
    for (uint32_t i = 0; i < g->nnode; i++)
        if (!strcmp(g->node[i].op, "Constant") && g->node[i].nout && !strcmp(g->node[i].out[0], name)) {
            const OnnxAttr *x = onnx_attr(&g->node[i], "value");
            return x ? x->t : NULL;
        }
    return NULL;
}

static int input_index(const Roles *r, const char *name) {
    for (uint32_t i = 0; i < r->o->g->nin; i++)
        if (!strcmp(r->o->g->in[i].name, name)) return (int)i;
    return -1;
}

/* ---- operators ----------------------------------------------------------------------------------------------------------- */

static void recurrent(Roles *r, const OnnxNode *n) {
    bool batch_first = onnx_int(n, "layout", 0) == 1;
    static const int weights[] = {1, 2, 3, 7};
    for (size_t k = 0; k < sizeof weights / sizeof *weights; k++) {
        int i = (uint32_t)weights[k] < n->nin ? input_index(r, n->in[weights[k]]) : -1;
        if (i >= 0) r->in[i].weight = true;
    }
    int len = n->nin > 4 ? input_index(r, n->in[4]) : -1;
    if (len >= 0) r->in[len].lengths = true;
    uint32_t T = fresh(r, DIM_TIME), B = fresh(r, DIM_BATCH);
    const Track *x = n->nin ? track_find(r, n->in[0]) : NULL;
    if (x && x->rank == 3) {
        unite(r, T, x->dim[batch_first ? 1 : 0]);
        unite(r, B, x->dim[batch_first ? 0 : 1]);
        set_role(r, x->dim[2], DIM_FEATURE);
    }
    for (uint32_t k = 5; k < 7 && k < n->nin; k++) {
        const Track *h = track_find(r, n->in[k]);
        for (int d = 0; h && h->rank == 3 && d < 3; d++)
            set_role(r, h->dim[d], d == (batch_first ? 0 : 1) ? DIM_BATCH : DIM_FEATURE);
    }
    for (uint32_t k = 0; k < n->nout; k++) {
        if (!*n->out[k]) continue;
        Track *y = track_new(r, n->out[k], k ? 3 : 4);
        for (int d = 0; d < y->rank; d++) y->dim[d] = fresh(r, DIM_FEATURE);
        int b = k ? (batch_first ? 0 : 1) : batch_first ? 0 : 2;
        y->dim[b] = B;
        if (!k) y->dim[batch_first ? 1 : 0] = T;
    }
}

/* Scan of operator set 8 has lengths first and a batch; later ones have neither. */
static void scan(Roles *r, const OnnxNode *n) {
    bool old = r->o->m->opset && r->o->m->opset < 9;
    int64_t m = onnx_int(n, "num_scan_inputs", 0), first = old ? 1 : 0;
    const OnnxAttr *axes = onnx_attr(n, "scan_input_axes");
    for (int64_t k = first; k < n->nin; k++) {
        const Track *x = track_find(r, n->in[k]);
        bool scanned = k >= (int64_t)n->nin - m;
        int64_t j = k - ((int64_t)n->nin - m), at = old ? 1 : 0;
        if (scanned && axes && j < axes->ni && !old) at = axes->is[j];
        for (int d = 0; x && d < x->rank; d++)
            set_role(r, x->dim[d],
                     scanned && (d == at || d == at + x->rank) ? DIM_TIME
                     : old && d == 0                           ? DIM_BATCH
                                                               : DIM_FEATURE);
    }
}

/* Rounds and condition have to be known; what the loop carries has no time of its own. */
static void loop(Roles *r, const OnnxNode *n) {
    for (uint32_t k = 0; k < n->nin; k++) {
        int i = input_index(r, n->in[k]);
        const Track *x = track_find(r, n->in[k]);
        if (i >= 0 && k < 2) r->in[i].weight = true;
        for (int d = 0; x && k >= 2 && x->rank == 1 && d < x->rank; d++) set_role(r, x->dim[d], DIM_FEATURE);
    }
}

/* Output k like x, with the dims of `axis` left out or, for Unsqueeze, put in. */
static void squeeze(Roles *r, const OnnxNode *n, const Track *x, bool insert) {
    const OnnxAttr *at = onnx_attr(n, "axes");
    const OnnxTensor *t = n->nin > 1 ? constant_of(r, n->in[1]) : NULL;
    int64_t count = at ? at->ni : t ? t->n : 0;
    int rank = insert ? x->rank + (int)count : x->rank, from = 0;
    if (!count || count > RONDO_MAX_RANK || rank > RONDO_MAX_RANK || rank < (int)count) return;
    bool hit[RONDO_MAX_RANK] = {false};
    for (int64_t i = 0; i < count; i++) {
        double d = at ? (double)at->is[i] : t->v[i];
        if (d < 0) d += rank;
        if (!(d >= 0 && d < rank)) return;
        hit[(int)d] = true;
    }
    Track *y = track_new(r, n->out[0], 0);
    for (int d = 0; d < rank; d++) {
        if (hit[d] && insert)
            y->dim[y->rank++] = fresh(r, DIM_FEATURE);
        else if (!hit[d])
            y->dim[y->rank++] = x->dim[insert ? from : d];
        from += !hit[d];
    }
}

/* Of a dim that is cut it is not known whether it is the same. */
static void parts(Roles *r, const OnnxNode *n, const Track *x) {
    bool split = n->op[1] == 'p';
    const OnnxAttr *at = onnx_attr(n, split ? "axis" : "axes");
    const OnnxTensor *t = !split && n->nin > 3 ? constant_of(r, n->in[3]) : NULL;
    int64_t count = split ? 1 : at ? at->ni : t ? t->n : 0;
    bool hit[RONDO_MAX_RANK] = {false};
    for (int64_t i = 0; i < count; i++) {
        double d = split ? (double)onnx_int(n, "axis", 0) : at ? (double)at->is[i] : t->v[i];
        if (d < 0) d += x->rank;
        if (!(d >= 0 && d < x->rank)) return;
        hit[(int)d] = true;
    }
    for (uint32_t k = 0; count && k < n->nout; k++) {
        if (!*n->out[k]) continue;
        Track *y = track_new(r, n->out[k], x->rank);
        for (int d = 0; d < x->rank; d++) y->dim[d] = hit[d] ? fresh(r, ROLE_UNKNOWN) : x->dim[d];
    }
}

static void transpose(Roles *r, const OnnxNode *n, const Track *x) {
    const OnnxAttr *perm = onnx_attr(n, "perm");
    if (perm && (int)perm->ni != x->rank) return;
    Track *y = track_new(r, n->out[0], x->rank);
    for (int d = 0; d < x->rank; d++) {
        int64_t from = perm ? perm->is[d] : x->rank - 1 - d;
        y->dim[d] = from >= 0 && from < x->rank ? x->dim[from] : fresh(r, ROLE_UNKNOWN);
    }
}

/* Operators of the kind y[..] = f(a[..], b[..]) with broadcasting; MatMul and Gemm are so but for the last dim. */
static void elementwise(Roles *r, const OnnxNode *n, bool last_is_new) {
    const Track *widest = NULL;
    for (uint32_t k = 0; k < n->nin; k++) {
        const Track *x = track_find(r, n->in[k]);
        if (x && (!widest || x->rank > widest->rank)) widest = x;
    }
    if (!widest || !widest->rank) return;
    Track *y = track_new(r, n->out[0], widest->rank);
    memcpy(y->dim, widest->dim, sizeof y->dim);
    if (last_is_new) {
        set_role(r, widest->dim[widest->rank - 1], DIM_FEATURE);
        y->dim[y->rank - 1] = fresh(r, DIM_FEATURE);
    }
}

static void table(Roles *r, const OnnxNode *n, const Track *x) {
    const OnnxTensor *t = constant_of(r, n->in[0]);
    if (!t || x->rank + t->rank - 1 > RONDO_MAX_RANK || t->rank < 1) return;
    Track *y = track_new(r, n->out[0], x->rank + t->rank - 1);
    for (int d = 0; d < y->rank; d++) y->dim[d] = d < x->rank ? x->dim[d] : fresh(r, DIM_FEATURE);
}

static void follow(Roles *r, const OnnxNode *n) {
    if (!strcmp(n->op, "RNN") || !strcmp(n->op, "GRU") || !strcmp(n->op, "LSTM")) {
        recurrent(r, n);
        return;
    }
    if (!strcmp(n->op, "Scan")) {
        scan(r, n);
        return;
    }
    if (!strcmp(n->op, "Loop")) {
        loop(r, n);
        return;
    }
    const Track *x = n->nin ? track_find(r, n->in[0]) : NULL, *index = n->nin > 1 ? track_find(r, n->in[1]) : NULL;
    if (!n->nout || !*n->out[0]) return;
    static const char *const stops[] = {"Reshape", "Flatten", "Shape", "ReduceMean", "ReduceSum", "ReduceMax", "Expand"};
    for (size_t k = 0; k < sizeof stops / sizeof *stops; k++)
        if (!strcmp(stops[k], n->op)) return;
    if (!strcmp(n->op, "Gather")) {
        if (index && !x) table(r, n, index);
    } else if (!strcmp(n->op, "Squeeze") || !strcmp(n->op, "Unsqueeze")) {
        if (x) squeeze(r, n, x, n->op[0] == 'U');
    } else if (!strcmp(n->op, "Slice") || !strcmp(n->op, "Split")) {
        if (x) parts(r, n, x);
    } else if (!strcmp(n->op, "Transpose")) {
        if (x) transpose(r, n, x);
    } else
        elementwise(r, n, !strcmp(n->op, "MatMul") || !strcmp(n->op, "Gemm"));
}

/* ---- what is left -------------------------------------------------------------------------------------------------------- */

/* Dims that share a name in the file share a role. */
static void by_names(Roles *r, Track *const *track) {
    const OnnxGraph *g = r->o->g;
    VEC(uint32_t) dim = {0};
    VEC(const char *) name = {0};
    for (uint32_t i = 0; i < g->nin; i++)
        for (int d = 0; d < g->in[i].rank; d++) {
            const char *p = g->in[i].param[d];
            if (!p || !*p || !strcmp(p, "None") || !strcmp(p, "?")) continue;
            uint32_t k = 0;
            while (k < name.n && strcmp(name.at[k], p)) k++;
            if (k < name.n)
                unite(r, dim.at[k], track[i]->dim[d]);
            else {
                VEC_PUSH(r->o->w.a, name) = p;
                VEC_PUSH(r->o->w.a, dim) = track[i]->dim[d];
            }
        }
}

InputRoles *onnx_roles(Onnx *o) {
    const OnnxGraph *g = o->g;
    Roles *r = NEW(o->w.a, Roles);
    *r = (Roles){.o = o, .in = NEW_N(o->w.a, InputRoles, g->nin + 1)};
    Track **track = NEW_N(o->w.a, Track *, g->nin + 1);
    for (uint32_t i = 0; i < g->nin; i++) {
        track[i] = track_new(r, g->in[i].name, g->in[i].rank);
        for (int d = 0; d < g->in[i].rank; d++) track[i]->dim[d] = fresh(r, ROLE_UNKNOWN);
    }
    for (uint32_t i = 0; i < g->nnode; i++) follow(r, &g->node[i]);
    by_names(r, track);
    for (uint32_t i = 0; i < g->nin; i++) {
        bool batch = false;
        for (int d = 0; d < g->in[i].rank; d++) batch = batch || r->role.at[root(r, track[i]->dim[d])] == DIM_BATCH;
        for (int d = 0; d < g->in[i].rank; d++) {
            int role = r->role.at[root(r, track[i]->dim[d])];
            if (role == ROLE_UNKNOWN) role = d == 0 && !batch ? DIM_BATCH : DIM_FEATURE;
            r->in[i].role[d] = r->in[i].lengths ? DIM_BATCH : (DimRole)role;
        }
    }
    return r->in;
}
