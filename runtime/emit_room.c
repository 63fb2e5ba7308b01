/* emit_room: how much room a call needs, as a macro for arrays of constant size: the layout's areas as one polynomial in the
   sizes of the call, an upper bound for every width. */
#include <string.h>

#include "runtime/emit_c.h"

/* A term in dims that the caller names: the others are numbers. */
static LMono plain_term(const CProgram *p, LMono t) {
    uint64_t dims = 0;
    for (uint32_t k = 0; k < LDIM_COUNT; k++) {
        if (!(t.dims >> k & 1)) continue;
        if (k >= p->m->naxis) continue; /* one thread */
        const Axis *x = &p->m->axis[k];
        if (k == AXIS_B || x->kind == AXIS_TIME || x->kind == AXIS_JOIN)
            dims |= UINT64_C(1) << k;
        else if (x->kind == AXIS_COUNT)
            t.coef *= x->count;
    }
    t.dims = dims;
    return t;
}

static void add_term(CModel *c, CSum *s, LMono x, bool larger) {
    uint32_t k = 0;
    while (k < s->n && s->at[k].dims != x.dims) k++;
    if (k == s->n) VEC_PUSH(c->a, *s) = (LMono){0, x.dims};
    if (!larger) s->at[k].coef += x.coef;
    else if (x.coef > s->at[k].coef) s->at[k].coef = x.coef;
}

/* The least polynomial that is not below any extent of the area; brief: that of their bounds, where they have such. */
static void add_area(CModel *c, CSum *sum, const CProgram *p, const CArea *area, bool brief) {
    CSum most = {0};
    int64_t bytes = area->elem == LE_F && p->p->f64 ? 8 : 4;
    for (uint32_t j = 0; j < area->extent.n; j++) {
        const LExtent *e = &area->extent.at[j];
        CSum one = {0};
        for (uint32_t t = 0; t < (brief && e->most.coef ? 1 : e->n); t++) {
            LMono x = plain_term(p, brief && e->most.coef ? e->most : e->term[t]);
            add_term(c, &one, (LMono){x.coef * bytes, x.dims}, false);
        }
        for (uint32_t t = 0; t < one.n; t++) add_term(c, &most, one.at[t], true);
    }
    add_term(c, &most, (LMono){63, 0}, false); /* areas begin at multiples of 64 */
    for (uint32_t t = 0; t < most.n; t++) add_term(c, sum, most.at[t], false);
}

void emit_room(CModel *c, const CProgram *p, const char *what) {
    CRoom *room = NULL;
    for (uint32_t k = 0; k < c->room.n; k++)
        if (c->room.at[k].what == what) room = &c->room.at[k];
    if (!room) {
        VEC_PUSH(c->a, c->room) = (CRoom){.what = what, .p = p};
        room = &c->room.at[c->room.n - 1];
    }
    for (int brief = 0; brief < 2; brief++) {
        CSum now = {0};
        add_term(c, &now, (LMono){64, 0}, false);
        for (uint32_t k = 0; k < p->area.n; k++) add_area(c, &now, p, &p->area.at[k], brief);
        for (uint32_t t = 0; t < now.n; t++) add_term(c, &room->sum[brief], now.at[t], true);
    }
}

static void put_steps(CModel *c, const CProgram *p, uint32_t k) {
    const char *shape = c_shape(c, p, &(CPort){.axes = AX(k)}); /* "[a + b]" */
    str_printf(&c->h, " * (size_t)(%.*s)", (int)strlen(shape) - 2, shape + 1);
}

static void put_sum(CModel *c, const CRoom *r, const CSum *s) {
    str_putc(&c->h, '(');
    for (uint32_t t = 0; t < s->n; t++) {
        str_printf(&c->h, "%s(size_t)%lld", t ? " + " : "", (long long)s->at[t].coef);
        for (uint32_t d = 0; d < MAX_AXES; d++)
            if (s->at[t].dims >> d & 1) put_steps(c, r->p, d);
    }
    str_putc(&c->h, ')');
}

static bool same_sum(const CSum *a, const CSum *b) {
    bool same = a->n == b->n;
    for (uint32_t t = 0; same && t < a->n; t++) same = a->at[t].dims == b->at[t].dims && a->at[t].coef == b->at[t].coef;
    return same;
}

void emit_rooms(CModel *c) {
    for (uint32_t k = 0; k < c->room.n; k++) {
        const CRoom *r = &c->room.at[k];
        if (r->p == &c->begin || r->p == &c->write) str_printf(&c->h, "\n/* A part of %s_DECODE_WORK. */\n", c->upper);
        else
            str_printf(&c->h, "\n/* %s_%s_workspace for constant sizes, as in: static unsigned char work[..]; never less than the function gives. */\n",
                       c->id, r->what);
        str_printf(&c->h, "#define %s_%s_WORK(%s) ", c->upper, c_ident(c->a, r->what, true), c_size_params(c, r->p, false));
        bool one = same_sum(&r->sum[0], &r->sum[1]);
        if (!one) {
            str_put(&c->h, "( \\\n    ");
            put_sum(c, r, &r->sum[1]);
            str_put(&c->h, " < \\\n    ");
            put_sum(c, r, &r->sum[0]);
            str_put(&c->h, " ? \\\n    ");
            put_sum(c, r, &r->sum[1]);
            str_put(&c->h, " : \\\n    ");
        }
        put_sum(c, r, &r->sum[0]);
        str_put(&c->h, one ? "\n" : ")\n");
    }
}
