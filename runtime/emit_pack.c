/* emit_pack: what kernels read of the weights, as fields of the struct NAME_weights: the packs that prepare makes, and, where nothing
   makes them anew (no --train), the parameters that are read as they are, each a field of its own: what is only read packed does not
   stand there twice. */
#include <string.h>

#include "runtime/emit_c.h"

static int64_t buf_count(const LBuf *b, const int64_t *dim) { return lextent_eval(&b->extent, dim); }

static void no_barrier(void *arg) { (void)arg; }

uint32_t cfield_add(CModel *c, CField f) {
    size_t bytes = (size_t)f.n * sizeof *f.probe;
    int same = 0;
    for (uint32_t i = 0; i < c->field.n; i++) {
        const CField *g = &c->field.at[i];
        if (g->n == f.n && g->is_int == f.is_int && memcmp(g->probe, f.probe, bytes) == 0) return i;
        same += strcmp(g->id, f.id) == 0;
    }
    if (same) { /* of another program or width */
        const char *stem = f.id;
        for (uint32_t i = 0, k = 2; i < c->field.n; i++)
            if (strcmp(c->field.at[i].id, f.id) == 0) {
                f.id = arena_printf(c->a, "%s_%u", stem, k++);
                i = UINT32_MAX;
            }
    }
    if (c->o->storage && !c->o->train && !f.is_int) cfield_narrow(c, &f);
    VEC_PUSH(c->a, c->field) = f;
    return c->field.n - 1;
}

/* What prepare makes of these weights: [buffer][element]. NULL with a diagnostic. */
static double **packs_of(CModel *c, CProgram *p, void *theta) {
    int64_t dim[LDIM_COUNT];
    void **buf = NEW_N(c->a, void *, p->p->buf.n + 1);
    double **out = NEW_N(c->a, double *, p->p->buf.n + 1);
    cprogram_one_step(p, dim);
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const LBuf *b = &p->p->buf.at[k];
        if (b->role == LB_THETA) buf[k] = theta;
        if (b->role != LB_PACK && b->role != LB_SLAB) continue;
        int64_t n = buf_count(b, dim);
        if (n < 0) return NULL;
        buf[k] = arena_alloc_n(c->a, (size_t)n + 16, b->elem == LE_F && c->m->f64 ? 8 : 4);
    }
    if (!engine_call(c->engine, (uint32_t)p->prepare, buf, dim, &(KEnv){0, 1, no_barrier, NULL})) return NULL;
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const LBuf *b = &p->p->buf.at[k];
        int64_t n = b->role == LB_PACK ? buf_count(b, dim) : 0;
        if (n) out[k] = NEW_N(c->a, double, n);
        for (int64_t i = 0; i < n; i++)
            out[k][i] = b->elem == LE_I32 ? (double)((const int32_t *)buf[k])[i]
                        : c->m->f64       ? ((const double *)buf[k])[i]
                                          : (double)((const float *)buf[k])[i];
    }
    return out;
}

typedef enum { PROBE_RANDOM, PROBE_LOW, PROBE_HIGH } Probe;
enum { DIGIT = 4096 };

/* Weights that no two places share a value of; or the digits of their places, from 1 on. */
static void *probe_weights(CModel *c, Probe how) {
    int64_t n = model_theta_size(c->m);
    void *theta = arena_alloc_n(c->a, (size_t)n + 16, c->m->f64 ? 8 : 4);
    uint64_t random = 1;
    for (int64_t i = 0; i < n; i++) {
        double v = how == PROBE_RANDOM ? 0.5 + (double)(random_next(&random) >> 40) / 16777216.0 : how == PROBE_LOW ? 1 + (double)(i % DIGIT) : 1 + (double)(i / DIGIT);
        if (c->m->f64)
            ((double *)theta)[i] = v;
        else
            ((float *)theta)[i] = (float)v;
    }
    return theta;
}

CProgram *cprogram_prepare(CModel *c, const CProgram *p) {
    CProgram *q = NEW(c->a, CProgram);
    *q = *p;
    q->area = (CAreas){0};
    q->run = -1;
    cprogram_areas(c, q);
    return q;
}

static double weight(const CModel *c, const void *theta, int64_t i) {
    return c->m->f64 ? ((const double *)theta)[i] : (double)((const float *)theta)[i];
}

/* Of what weight each element of a pack is a copy: 1 + its place in theta; 0: of none, 0 itself; -1: computed. */
static int64_t *origins(CModel *c, const CField *f, const double *low, const double *high, const void *probe) {
    int64_t *at = NEW_N(c->a, int64_t, f->n + 1);
    for (int64_t e = 0; e < f->n; e++) {
        double place = (high[e] - 1) * DIGIT + low[e] - 1;
        int64_t i = place >= 0 && place < (double)model_theta_size(c->m) ? (int64_t)place : -1;
        bool copy = i >= 0 && (double)i >= place && (double)i <= place && memcmp(&f->value[e], &(double){model_theta_get(c->m, i)}, sizeof *f->value) == 0 &&
                    memcmp(&f->probe[e], &(double){weight(c, probe, i)}, sizeof *f->probe) == 0;
        at[e] = copy ? i + 1 : memcmp(&f->value[e], &(double){0}, sizeof *f->value) || memcmp(&f->probe[e], &(double){0}, sizeof *f->probe) ? -1 : 0;
    }
    return at;
}

/* ---- what a pack is made of, for those who read it ------------------------------------------------------------------------ */

static uint32_t slot_of(const CModel *c, const void *probe, double v) {
    uint32_t k = (uint32_t)hash_bytes(0, &v, sizeof v) & (c->probe_slots - 1);
    for (; c->by_probe[k]; k = (k + 1) & (c->probe_slots - 1)) {
        double there = weight(c, probe, c->by_probe[k] - 1);
        if (!(there < v || there > v)) break;
    }
    return k;
}

static void index_probe(CModel *c, const void *probe) {
    for (c->probe_slots = 2; c->probe_slots < 2 * model_theta_size(c->m);) c->probe_slots *= 2;
    c->by_probe = NEW_N(c->a, uint32_t, c->probe_slots);
    for (int64_t i = 0; i < model_theta_size(c->m); i++) {
        uint32_t k = slot_of(c, probe, weight(c, probe, i));
        if (!c->by_probe[k]) c->by_probe[k] = (uint32_t)i + 1;
    }
}

/* "h.Wz, h.Wr, h.Wn, packed": the parameters of which a quarter or more stands in it: among many weights probes meet by chance. */
static const char *about_pack(CModel *c, const CField *f, const void *probe) {
    enum { MOST = 6 };
    const ParamDesc *q = c->m->desc->param.at;
    size_t n = c->m->desc->param.n, found = 0;
    int64_t *has = NEW_N(c->a, int64_t, n + 1), k = 0, first = 0, last = 0; /* neighbours are often of one parameter */
    bool other = false;
    if (!c->by_probe) index_probe(c, probe);
    for (int64_t e = 0; e < f->n; e++) {
        uint32_t place = f->probe[e] < 0 || f->probe[e] > 0 ? c->by_probe[slot_of(c, probe, f->probe[e])] : 0;
        other = other || (!place && (f->probe[e] < 0 || f->probe[e] > 0));
        if (!place) continue;
        if (place <= first || place > last)
            for (last = first = k = 0; place > (last = first + q[k].count); k++) first = last;
        has[k]++;
    }
    Str s = str_make(c->a);
    for (size_t i = 0; i < n; i++)
        if (has[i] && 4 * has[i] >= q[i].count && found++ < MOST) str_printf(&s, "%s, ", name_str(c->ctx, q[i].name));
    if (found > MOST) str_put(&s, ".., ");
    return arena_printf(c->a, "%s%s", s.n ? s.at : "", other ? "computed from weights" : "packed");
}

static bool add_packs(CModel *c, CProgram *p) {
    void *probe = probe_weights(c, PROBE_RANDOM);
    bool narrow = c->o->storage && !c->o->train;
    c->engine = engine_make(c->ctx, p->p, &(EngineOptions){.kind = ENGINE_LOOPS});
    if (!c->engine) return false;
    double **value = packs_of(c, p, c->m->theta), **other = value ? packs_of(c, p, probe) : NULL;
    double **low = narrow && other ? packs_of(c, p, probe_weights(c, PROBE_LOW)) : NULL, **high = low ? packs_of(c, p, probe_weights(c, PROBE_HIGH)) : NULL;
    engine_destroy(c->engine);
    c->engine = NULL;
    if (!other || (narrow && !high)) return false;
    int64_t dim[LDIM_COUNT];
    cprogram_one_step(p, dim);
    p->p->fn.at[p->prepare]->kind = LFUNC_HELPER; /* called by nobody, so not printed: emit_prepare does that */
    p->packed = true;
    cprogram_areas(c, p);
    for (uint32_t k = 0; k < p->p->buf.n; k++) {
        const LBuf *b = &p->p->buf.at[k];
        if (!p->used[k] || b->role != LB_PACK) continue;
        const char *name = name_str(c->ctx, b->name);
        CField f = {.id = c_ident(c->a, name, false), .is_int = b->elem == LE_I32, .n = buf_count(b, dim), .value = value[k], .probe = other[k]};
        if (narrow && !f.is_int) f.origin = origins(c, &f, low[k], high[k], probe);
        uint32_t fields = c->field.n;
        p->field[k] = cfield_add(c, f);
        if (c->field.n > fields) c->field.at[fields].what = about_pack(c, &c->field.at[fields], probe);
    }
    return true;
}

/* ---- parameters as they are ----------------------------------------------------------------------------------------------- */

/* The parameter that index x of theta begins in. */
static const ParamDesc *param_at(const CModel *c, const LIdx *x, int64_t *first) {
    int64_t at = 0;
    for (uint32_t i = 0; i < c->m->desc->param.n; i++) {
        const ParamDesc *q = &c->m->desc->param.at[i];
        if (x->c0 >= at && x->c0 < at + q->count) {
            *first = at;
            return q;
        }
        at += q->count;
    }
    return NULL;
}

/* The buffer of a parameter: of role PACK, so that it is found among the weights. */
static uint32_t param_buffer(CModel *c, CProgram *p, const ParamDesc *q, int64_t first, const void *probe) {
    LExtent extent = {.term = {{q->count, 0}}, .n = 1};
    for (uint32_t k = 0; k < p->p->buf.n; k++)
        if (p->p->buf.at[k].name == q->name && p->p->buf.at[k].role == LB_PACK && p->p->buf.at[k].index == 1 + (uint32_t)(q - c->m->desc->param.at)) return k;
    const char *name = name_str(c->ctx, q->name);
    uint32_t k = lprogram_add_buf(p->p, name, LB_PACK, LE_F, 1 + (uint32_t)(q - c->m->desc->param.at), extent);
    double *value = NEW_N(c->a, double, q->count + 1), *other = NEW_N(c->a, double, q->count + 1);
    int64_t *origin = NEW_N(c->a, int64_t, q->count + 1);
    for (int64_t i = 0; i < q->count; i++) {
        value[i] = model_theta_get(c->m, first + i);
        other[i] = weight(c, probe, first + i);
        origin[i] = first + i + 1;
    }
    p->field[k] = cfield_add(c, (CField){.id = c_ident(c->a, name, false), .what = name, .n = q->count, .value = value, .probe = other, .origin = origin});
    return k;
}

/* Leads accesses of theta to buffers of the parameters. */
static void split_theta(CModel *c, CProgram *p) {
    LFunc *f = p->p->fn.at[p->run];
    const void *probe = probe_weights(c, PROBE_RANDOM);
    for (uint32_t k = 0; k < f->inst.n; k++) {
        LInst *i = &f->inst.at[k];
        bool memory = i->op >= LOP_LD && i->op <= LOP_STV1, call = i->op == LOP_CALL;
        for (uint32_t q = 0; memory || (call && q < p->p->fn.at[i->imm]->param.n); q++) {
            uint32_t *buf = memory ? &i->buf : &f->ext.at[i->ext + 1 + 2 * q], *idx = memory ? &i->idx : buf + 1;
            bool theta = (memory || p->p->fn.at[i->imm]->param.at[q].pointer) && !(*buf & LBUF_PARAM) && p->p->buf.at[*buf].role == LB_THETA;
            LIdx x = theta ? f->idx.at[*idx] : (LIdx){0};
            int64_t first = 0;
            const ParamDesc *param = theta ? param_at(c, &x, &first) : NULL;
            if (param) {
                x.c0 -= first;
                *buf = param_buffer(c, p, param, first, probe);
                *idx = f->idx.n;
                VEC_PUSH(p->p->arena, f->idx) = x;
            }
            if (memory) break;
        }
    }
}

/* A buffer more for each parameter at most. */
static uint32_t most_buffers(const CModel *c, const CProgram *p) { return p->p->buf.n + c->m->desc->param.n + 1; }

bool cprogram_pack(CModel *c, CProgram *p) {
    uint32_t most = most_buffers(c, p);
    p->field = NEW_N(c->a, uint32_t, most);
    for (uint32_t k = 0; k < most; k++) p->field[k] = NO_FIELD;
    if (p->prepare >= 0 && !add_packs(c, p)) return false;
    if (!c->o->train) {
        split_theta(c, p);
        p->packed = true;
    }
    cprogram_areas(c, p);
    p->narrow = NEW_N(c->a, CNarrow, most);
    for (uint32_t k = 0; k < most; k++)
        if (p->field[k] != NO_FIELD) p->narrow[k] = c->field.at[p->field[k]].narrow;
    return true;
}

void cprogram_refused(CModel *c, const CProgram *p) {
    for (uint32_t k = 0; p->field && k < p->p->buf.n; k++)
        if (p->field[k] != NO_FIELD && c_text_refused(p->unit, k)) cfield_refused(c, &c->field.at[p->field[k]]);
}
