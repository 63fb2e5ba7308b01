/* See engines.h. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/engines.h"

typedef struct {
    const LProgram *p;
    Engine *e;
    uint32_t fn;
    void **buf;
    int64_t *dim;
    KEnv env;
    bool ok;
} Job;

/* A barrier that opens for good once a thread has failed: the others shall not wait for it. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t all;
    int want, here;
    unsigned round;
    bool broken;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .all = PTHREAD_COND_INITIALIZER };

static void wait_all(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&gate.lock);
    unsigned round = gate.round;
    if (++gate.here == gate.want) {
        gate.here = 0;
        gate.round++;
        pthread_cond_broadcast(&gate.all);
    }
    while (!gate.broken && gate.round == round)
        pthread_cond_wait(&gate.all, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}
static void break_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.broken = true;
    pthread_cond_broadcast(&gate.all);
    pthread_mutex_unlock(&gate.lock);
}
static void wait_none(void *arg)
{
    (void)arg;
}

uint64_t *program_executed;

static void *run_job(void *arg)
{
    Job *j = arg;
    if (j->e)
        j->ok = engine_call(j->e, j->fn, j->buf, j->dim, &j->env);
    else
        j->ok = lprogram_interp(j->p, j->fn, j->buf, j->dim, &j->env, &(InterpOptions){ .shadow = true, .executed = program_executed });
    if (!j->ok)
        break_gate();
    return NULL;
}

static bool call(const LProgram *p, Engine *e, uint32_t fn, void **buf, int64_t *dim, int nt)
{
    Job job[8];
    pthread_t th[8];
    bool ok = true;
    gate.want = nt;
    gate.here = 0;
    gate.broken = false;
    for (int t = 0; t < nt; t++) {
        job[t] = (Job){ p, e, fn, buf, dim, { t, nt, nt > 1 ? wait_all : wait_none, NULL }, false };
        if (t)
            pthread_create(&th[t], NULL, run_job, &job[t]);
    }
    run_job(&job[0]);
    for (int t = 0; t < nt; t++) {
        if (t)
            pthread_join(th[t], NULL);
        ok &= job[t].ok;
    }
    return ok;
}

static void fill(void *to, const LProgram *p, LElem e, const double *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (e == LE_I32)
            ((int32_t *)to)[i] = (int32_t)from[i];
        else if (p->f64)
            ((double *)to)[i] = from[i];
        else
            ((float *)to)[i] = (float)from[i];
}

static double at(const void *from, const LProgram *p, LElem e, int64_t i)
{
    return e == LE_I32 ? ((const int32_t *)from)[i] : p->f64 ? ((const double *)from)[i] : ((const float *)from)[i];
}

int64_t root_size(const Module *m, uint32_t root, const EvalIn *in)
{
    const Graph *g = m->graph.at[0];
    return value_size(m, &g->node.at[g->root.at[root].ref], in->axis);
}

double root_error(const Module *m, uint32_t root, const EvalIn *in, const double *x, const double *y)
{
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < root_size(m, root, in); i++) {
        double d = fabs(x[i] - y[i]);
        if (!(d <= 1e300))
            d = isnan(x[i]) == isnan(y[i]) && (isnan(x[i]) || x[i] == y[i]) ? 0 : 1e300;
        worst = d > worst ? d : worst;
        scale = fabs(y[i]) > scale ? fabs(y[i]) : scale;
    }
    return worst / (scale > 1e-3 ? scale : 1e-3);
}

static int64_t *make_dims(const Module *m, Arena *a, const EvalIn *in, int nt)
{
    int64_t *dim = NEW_N(a, int64_t, LDIM_COUNT);
    for (uint32_t k = 0; k < m->naxis; k++) {
        const Axis *x = &m->axis[k];
        dim[k] = x->kind == AXIS_COUNT ? x->count : x->kind == AXIS_JOIN ? dim[x->a] + dim[x->b] : in->axis[k];
    }
    dim[LDIM_SEED_LO] = (int64_t)(in->seed & 0xffffffffu);
    dim[LDIM_SEED_HI] = (int64_t)(in->seed >> 32);
    dim[LDIM_UPDATE] = (int64_t)in->update;
    dim[LDIM_NT] = nt;
    dim[LDIM_TURN] = (int64_t)(in->seed & 1); /* no bit depends on it */
    return dim;
}

/* Memory whose end is the end of its buffer; filled with NaN. */
static void *poisoned(Arena *a, size_t bytes)
{
    char *x = arena_alloc(a, bytes + 64);
    x += (64 - (uintptr_t)x % 64) % 64;
    memset(x, 0xff, bytes);
    return x;
}

bool program_run(const Module *m, const LProgram *p, Engine *e, Arena *a, const EvalIn *in, int nt, const double **out)
{
    return program_run_part(m, p, e, NULL, a, in, nt, out);
}

bool program_run_part(const Module *m, const LProgram *p, Engine *e, const JoinPart *part, Arena *a, const EvalIn *in, int nt,
                      const double **out)
{
    nt = p->alone ? 1 : nt;
    int64_t *dim = make_dims(m, a, in, nt);
    for (uint32_t k = 0; k < p->cut.n; k++) { /* segments as short as can be */
        int64_t B = dim[0] > 1 ? dim[0] : 1, T = dim[p->cut.at[k].axis];
        int64_t steps = dim[p->cut.at[k].steps] = (B + CUT_ROWS - 1) / B;
        dim[p->cut.at[k].count] = T > steps ? (T + steps - 1) / steps : 1;
    }
    size_t size = p->f64 ? 8 : 4;
    const Graph *g = m->graph.at[0];
    uint32_t skip = part ? part->buf : 0;
    void **all = NEW_N(a, void *, skip + p->buf.n + 1), **buf = all + skip, **slot = NEW_N(a, void *, p->nslot + 1);
    for (uint32_t i = 0; i < p->buf.n; i++) {
        const LBuf *b = &p->buf.at[i];
        int64_t n = lextent_eval(&b->extent, dim);
        size_t es = b->elem == LE_I32 ? 4 : size;
        if (b->role == LB_LOCAL)
            continue;
        if (b->role == LB_SLAB || b->role == LB_PACK) {
            if (!slot[b->slot]) {
                int64_t most = 0;
                for (uint32_t k = 0; k < p->buf.n; k++)
                    if ((p->buf.at[k].role == LB_SLAB || p->buf.at[k].role == LB_PACK) && p->buf.at[k].slot == b->slot &&
                        lextent_eval(&p->buf.at[k].extent, dim) > most)
                        most = lextent_eval(&p->buf.at[k].extent, dim);
                slot[b->slot] = poisoned(a, (size_t)most * 8);
            }
            buf[i] = slot[b->slot];
            continue;
        }
        buf[i] = poisoned(a, (size_t)n * es);
        if (b->role == LB_INPUT && in->input[b->index])
            fill(buf[i], p, (LElem)b->elem, in->input[b->index], n);
        if (b->role == LB_INPUT && !in->input[b->index])
            fill(buf[i], p, (LElem)b->elem, &m->input.at[b->index].value, 1);
        if (b->role == LB_EXAMPLE)
            for (int64_t k = 0; k < n; k++)
                ((int32_t *)buf[i])[k] = in->example ? (int32_t)in->example[k] : (int32_t)k;
        if (b->role == LB_THETA)
            for (uint32_t k = 0; k < m->param.n; k++) {
                const Param *q = &m->param.at[k];
                int64_t c = 1;
                for (int d = 0; d < q->rank; d++)
                    c *= q->dim[d];
                fill((char *)buf[i] + (size_t)q->offset * es, p, LE_F, in->param[k], c);
            }
    }
    for (uint32_t f = 0; f < p->fn.n; f++)
        if (p->fn.at[f]->kind == LFUNC_ENTRY && !call(p, e, part ? part->fn[f] : f, all, dim, nt))
            return false;
    for (uint32_t r = 0; r < g->root.n; r++) {
        int64_t n = root_size(m, r, in);
        double *x = NEW_N(a, double, n + 1);
        for (uint32_t i = 0; i < p->buf.n; i++) {
            const LBuf *b = &p->buf.at[i];
            bool grad = g->root.at[r].kind == ROOT_GRAD_PARAM && b->role == LB_GRAD;
            if (!grad && !(b->role == LB_OUTPUT && b->index == r))
                continue;
            int64_t from = grad ? m->param.at[g->root.at[r].index].offset : 0;
            for (int64_t k = 0; k < n; k++)
                x[k] = at(buf[i], p, (LElem)b->elem, from + k);
        }
        out[r] = x;
    }
    return true;
}
