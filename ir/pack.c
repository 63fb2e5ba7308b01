/* pack: one walk over the fields, which writes or reads. */
#include "ir/pack.h"

#include <string.h>

#include "ir/build.h"

typedef struct {
    Ctx *ctx;
    Arena *arena;
    Str *out; /* written to; NULL: reading */
    const char *bytes;
    size_t n, at;
    bool cut; /* they ended too early, and zeros are read from then on; or they refer to something outside of them */
    VEC(uint32_t) number; /* writing: by Name, its number in the bytes; 0: not yet there */
    uint32_t numbers;
    VEC(Name) name; /* reading: the other way */
} Codec;

static void raw(Codec *k, void *p, size_t n) {
    if (k->out) str_putn(k->out, p, n);
    else if (k->n - k->at < n) {
        k->cut = true;
        k->at = k->n;
        memset(p, 0, n);
    } else if (n) {
        memcpy(p, k->bytes + k->at, n);
        k->at += n;
    }
}
#define FIELD(x) raw(k, &(x), sizeof(x))

static void truth(Codec *k, bool *x) {
    uint8_t byte = k->out ? *x : 0;
    FIELD(byte);
    if (!k->out) *x = byte != 0;
}
#define TRUTH(x) truth(k, &(x))

/* A number; at its first occurrence the text too. */
static void name(Codec *k, Name *x) {
    while (k->out && k->number.n <= *x) VEC_PUSH(k->arena, k->number) = 0;
    uint32_t number = k->out ? k->number.at[*x] : 0, length = 0;
    bool first = k->out && *x && !number;
    if (first) number = k->number.at[*x] = ++k->numbers;
    FIELD(number);
    if (k->out && !first) return;
    if (!k->out && number <= k->name.n) {
        *x = number ? k->name.at[number - 1] : 0;
        return;
    }
    const char *text = k->out ? name_str(k->ctx, *x) : k->bytes + k->at + sizeof length;
    if (k->out) length = (uint32_t)strlen(text);
    FIELD(length);
    if (k->out) {
        str_putn(k->out, text, length);
        return;
    }
    k->cut = k->cut || k->n - k->at < length || memchr(text, 0, length);
    if (k->cut) length = 0;
    k->at += length;
    *x = VEC_PUSH(k->arena, k->name) = intern_n(k->ctx, text, length);
}

static uint32_t count(Codec *k, uint32_t n, size_t least) {
    FIELD(n);
    if (!k->out && n > (k->n - k->at) / least) {
        k->cut = true;
        n = 0;
    }
    return n;
}

/* The length of a vector, whose elements take at least so many bytes; where it is read, room for it. */
#define LENGTH(v, least) \
    do { \
        uint32_t n_ = count(k, (v).n, (least)); \
        if (k->out) break; \
        (v).at = arena_alloc_n(k->arena, n_, sizeof *(v).at); \
        (v).n = (v).cap = n_; \
    } while (0)
/* A vector whose elements have no padding and no names. */
#define PLAIN(v) \
    do { \
        LENGTH(v, sizeof *(v).at); \
        raw(k, (v).at, (v).n * sizeof *(v).at); \
    } while (0)

/* ---- modules ------------------------------------------------------------------------------------------------------------ */

static void pack_nodes(Codec *k, Graph *g) {
    LENGTH(g->node, sizeof(Node));
    for (uint32_t i = 0; i < g->node.n; i++) {
        Node n = g->node.at[i];
        Name x = n.name;
        n.name = 0;
        FIELD(n);
        name(k, &x);
        n.name = x;
        if (!k->out) g->node.at[i] = n;
    }
}

static void pack_decisions(Codec *k, Graph *g) {
    LENGTH(g->placed, 1);
    for (uint32_t i = 0; i < g->placed.n; i++) {
        Placed *p = &g->placed.at[i];
        FIELD(p->product), FIELD(p->where), FIELD(p->scan), FIELD(p->rows), FIELD(p->weights), FIELD(p->traffic);
    }
    LENGTH(g->stage, 1);
    for (uint32_t i = 0; i < g->stage.n; i++) {
        Stage *s = &g->stage.at[i];
        FIELD(s->kind), TRUTH(s->load), FIELD(s->axes), FIELD(s->group);
        PLAIN(s->node);
    }
    uint32_t pins = count(k, g->pin ? g->node.n : 0, 1);
    Pin *pin = k->out ? (Pin *)g->pin : pins ? NEW_N(k->arena, Pin, pins) : NULL;
    for (uint32_t i = 0; i < pins; i++) FIELD(pin[i].kind), TRUTH(pin[i].fused), TRUTH(pin[i].down), FIELD(pin[i].base);
    if (!k->out) g->pin = pin;
}

/* What graph_rehash and graph_attr go by points into the graph's own arrays. */
static bool is_whole(const Graph *g) {
    uint32_t used = 0;
    for (Ref r = 0; r < g->node.n; r++) {
        const Node *n = &g->node.at[r];
        bool listed = n->op == OP_SCAN || n->op == OP_CONCAT;
        if (n->op >= OP_COUNT || (listed && (uint64_t)n->in[0] + n->in[1] > g->ext.n)) return false;
    }
    for (uint32_t i = 0; i < g->word_nbucket; i++) {
        const uint32_t *b = &g->word_bucket[2 * i];
        if (b[0] && (uint64_t)b[0] - 1 + b[1] > g->attr.n) return false;
        used += b[0] != 0;
    }
    return g->node.n && used == g->word_count && !(g->word_nbucket & (g->word_nbucket - 1)) && (!used || used < g->word_nbucket);
}

static void pack_graph(Codec *k, Graph *g) {
    FIELD(g->index), FIELD(g->cut), FIELD(g->span);
    name(k, &g->name);
    pack_nodes(k, g);
    PLAIN(g->ext);
    PLAIN(g->attr);
    LENGTH(g->root, 1);
    for (uint32_t i = 0; i < g->root.n; i++) {
        Root *r = &g->root.at[i];
        FIELD(r->kind), FIELD(r->ref), FIELD(r->index);
        name(k, &r->name);
    }
    pack_decisions(k, g);
    FIELD(g->word_count);
    uint32_t buckets = count(k, g->word_nbucket, 2 * sizeof(uint32_t));
    if (!k->out) {
        g->word_nbucket = buckets;
        g->word_bucket = NEW_N(k->arena, uint32_t, (size_t)buckets * 2);
    }
    raw(k, g->word_bucket, (size_t)g->word_nbucket * 2 * sizeof(uint32_t));
    if (!k->out && !is_whole(g)) k->cut = true;
    if (!k->out && !k->cut) graph_rehash(g);
}

static Graph *pack_graph_of(Codec *k, Module *m, Graph *g) {
    if (!k->out) {
        g = NEW(k->arena, Graph);
        g->module = m;
    }
    pack_graph(k, g);
    return g;
}

static void pack_axes(Codec *k, Module *m) {
    FIELD(m->naxis);
    if (m->naxis > MAX_AXES) k->cut = true, m->naxis = 0;
    for (uint32_t i = 0; i < m->naxis; i++) {
        Axis *x = &m->axis[i];
        FIELD(x->kind), TRUTH(x->ragged), FIELD(x->count), FIELD(x->length), FIELD(x->a), FIELD(x->b);
        name(k, &x->name);
    }
    LENGTH(m->cut, 1);
    for (uint32_t i = 0; i < m->cut.n; i++) {
        Cut *c = &m->cut.at[i];
        FIELD(c->axis), FIELD(c->count), FIELD(c->steps), FIELD(c->work), FIELD(c->plain);
    }
}

static void pack_border(Codec *k, Module *m) {
    FIELD(m->theta_size);
    LENGTH(m->param, 1);
    for (uint32_t i = 0; i < m->param.n; i++) {
        Param *p = &m->param.at[i];
        FIELD(p->rank), TRUTH(p->is_const), TRUTH(p->from_file), FIELD(p->dim), FIELD(p->offset), FIELD(p->init), FIELD(p->span);
        name(k, &p->name);
    }
    LENGTH(m->input, 1);
    for (uint32_t i = 0; i < m->input.n; i++) {
        Input *x = &m->input.at[i];
        FIELD(x->kind), FIELD(x->dtype), FIELD(x->rank), FIELD(x->dim), FIELD(x->axes), FIELD(x->vocab), FIELD(x->value), FIELD(x->span);
        name(k, &x->name);
    }
    LENGTH(m->state, 1);
    for (uint32_t i = 0; i < m->state.n; i++) {
        State *s = &m->state.at[i];
        FIELD(s->dtype), FIELD(s->rank), FIELD(s->dim), FIELD(s->axes), FIELD(s->vocab), FIELD(s->input);
        name(k, &s->name);
    }
}

static void walk_module(Codec *k, Module *m) {
    name(k, &m->name);
    pack_axes(k, m);
    pack_border(k, m);
    LENGTH(m->graph, 1);
    for (uint32_t i = 0; i < m->graph.n; i++) {
        Graph *g = pack_graph_of(k, m, k->out ? m->graph.at[i] : NULL);
        if (!k->out) m->graph.at[i] = g;
    }
    Graph *g = pack_graph_of(k, m, m->init);
    if (!k->out) m->init = g;
    if (!k->out && !m->graph.n) k->cut = true;
}

/* ---- loop programs -------------------------------------------------------------------------------------------------------- */

static void pack_index(Codec *k, LIdx *x) {
    FIELD(x->c0), FIELD(x->n);
    if (x->n > LIDX_TERMS) k->cut = true, x->n = 0;
    raw(k, x->v, x->n * sizeof *x->v);
    raw(k, x->c, x->n * sizeof *x->c);
}

static void pack_function(Codec *k, LFunc *f) {
    name(k, &f->name);
    FIELD(f->kind), TRUTH(f->inline_hint);
    LENGTH(f->param, 1);
    for (uint32_t i = 0; i < f->param.n; i++) {
        LParam *p = &f->param.at[i];
        TRUTH(p->pointer), FIELD(p->elem), FIELD(p->value);
        name(k, &p->name);
    }
    LENGTH(f->inst, offsetof(LInst, span));
    for (uint32_t i = 0; i < f->inst.n; i++) raw(k, &f->inst.at[i], offsetof(LInst, span)); /* where it comes from is this run's own */
    LENGTH(f->idx, 1);
    for (uint32_t i = 0; i < f->idx.n; i++) pack_index(k, &f->idx.at[i]);
    PLAIN(f->ext);
    PLAIN(f->type);
}

static void pack_buffer(Codec *k, LBuf *b) {
    LExtent *x = &b->extent;
    name(k, &b->name);
    FIELD(b->role), FIELD(b->elem), FIELD(b->index), FIELD(b->slot), FIELD(b->first), FIELD(b->last);
    FIELD(x->n), FIELD(x->most);
    if (x->n > LEXTENT_TERMS) k->cut = true, x->n = 0;
    raw(k, x->term, x->n * sizeof *x->term);
}

static void walk_program(Codec *k, LProgram *p) {
    name(k, &p->name);
    TRUTH(p->f64), FIELD(p->V), FIELD(p->nslot), TRUTH(p->one_thread), FIELD(p->row_axis), FIELD(p->fixed), TRUTH(p->alone);
    LENGTH(p->buf, 1);
    for (uint32_t i = 0; i < p->buf.n; i++) pack_buffer(k, &p->buf.at[i]);
    LENGTH(p->fn, 1);
    for (uint32_t i = 0; i < p->fn.n; i++) {
        if (!k->out) p->fn.at[i] = NEW(k->arena, LFunc);
        pack_function(k, p->fn.at[i]);
    }
    PLAIN(p->barrier);
    LENGTH(p->cut, 1);
    for (uint32_t i = 0; i < p->cut.n; i++) {
        LCut *c = &p->cut.at[i];
        FIELD(c->axis), FIELD(c->count), FIELD(c->steps), FIELD(c->work), FIELD(c->plain);
    }
}

/* ---- both ways ------------------------------------------------------------------------------------------------------------ */

static Codec writer(Ctx *ctx, Str *out) {
    return (Codec){.ctx = ctx, .arena = out->arena, .out = out};
}

static Codec reader(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t at) {
    return (Codec){.ctx = ctx, .arena = a, .bytes = bytes, .n = n, .at = at};
}

/* Where it writes, the walk changes nothing. */
void module_pack(Str *out, const Module *m) {
    Codec k = writer(m->ctx, out);
    walk_module(&k, (Module *)m);
}

void lprogram_pack(Str *out, const LProgram *p) {
    Codec k = writer(p->ctx, out);
    walk_program(&k, (LProgram *)p);
}

Module *module_unpack(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t *at) {
    Codec k = reader(ctx, a, bytes, n, *at);
    Module *m = NEW(a, Module);
    m->ctx = ctx;
    m->arena = a;
    walk_module(&k, m);
    *at = k.at;
    return k.cut ? NULL : m;
}

LProgram *lprogram_unpack(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t *at) {
    Codec k = reader(ctx, a, bytes, n, *at);
    LProgram *p = NEW(a, LProgram);
    p->ctx = ctx;
    p->arena = a;
    walk_program(&k, p);
    *at = k.at;
    return k.cut ? NULL : p;
}
