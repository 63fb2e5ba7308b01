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

/* The least polynomial that is not below any extent of the area. */
static void add_area(CModel *c, CRoom *room, const CProgram *p, const CArea *area) {
    VEC(LMono) most = {0};
    int64_t bytes = area->elem == LE_F && p->p->f64 ? 8 : 4;
    for (uint32_t j = 0; j < area->extent.n; j++) {
        VEC(LMono) one = {0};
        for (uint32_t t = 0; t < area->extent.at[j].n; t++) {
            LMono x = plain_term(p, area->extent.at[j].term[t]);
            uint32_t k = 0;
            while (k < one.n && one.at[k].dims != x.dims) k++;
            if (k == one.n) VEC_PUSH(c->a, one) = (LMono){0, x.dims};
            one.at[k].coef += x.coef * bytes;
        }
        for (uint32_t t = 0; t < one.n; t++) {
            uint32_t k = 0;
            while (k < most.n && most.at[k].dims != one.at[t].dims) k++;
            if (k == most.n) VEC_PUSH(c->a, most) = (LMono){0, one.at[t].dims};
            if (one.at[t].coef > most.at[k].coef) most.at[k].coef = one.at[t].coef;
        }
    }
    VEC_PUSH(c->a, most) = (LMono){63, 0}; /* areas begin at multiples of 64 */
    for (uint32_t t = 0; t < most.n; t++) {
        uint32_t k = 0;
        while (k < room->term.n && room->term.at[k].dims != most.at[t].dims) k++;
        if (k == room->term.n) VEC_PUSH(c->a, room->term) = (LMono){0, most.at[t].dims};
        room->term.at[k].coef += most.at[t].coef;
    }
}

void emit_room(CModel *c, const CProgram *p, const char *what) {
    CRoom now = {.what = what, .p = p}, *room = NULL;
    VEC_PUSH(c->a, now.term) = (LMono){64, 0};
    for (uint32_t k = 0; k < p->area.n; k++) add_area(c, &now, p, &p->area.at[k]);
    for (uint32_t k = 0; k < c->room.n; k++)
        if (c->room.at[k].what == what) room = &c->room.at[k];
    if (!room) {
        VEC_PUSH(c->a, c->room) = now;
        return;
    }
    for (uint32_t t = 0; t < now.term.n; t++) {
        uint32_t k = 0;
        while (k < room->term.n && room->term.at[k].dims != now.term.at[t].dims) k++;
        if (k == room->term.n) VEC_PUSH(c->a, room->term) = (LMono){0, now.term.at[t].dims};
        if (now.term.at[t].coef > room->term.at[k].coef) room->term.at[k].coef = now.term.at[t].coef;
    }
}

static void put_steps(CModel *c, const CProgram *p, uint32_t k) {
    const char *shape = c_shape(c, p, &(CPort){.axes = AX(k)}); /* "[a + b]" */
    str_printf(&c->h, " * (size_t)(%.*s)", (int)strlen(shape) - 2, shape + 1);
}

void emit_rooms(CModel *c) {
    for (uint32_t k = 0; k < c->room.n; k++) {
        const CRoom *r = &c->room.at[k];
        str_printf(&c->h, "\n/* The same for constant sizes, as in: static unsigned char work[..]; never less than the function gives. */\n");
        str_printf(&c->h, "#define %s_%s_WORK(%s) (", c->upper, c_ident(c->a, r->what, true), c_size_params(c, r->p, false));
        for (uint32_t t = 0; t < r->term.n; t++) {
            str_printf(&c->h, "%s(size_t)%lld", t ? " + " : "", (long long)r->term.at[t].coef);
            for (uint32_t d = 0; d < MAX_AXES; d++)
                if (r->term.at[t].dims >> d & 1) put_steps(c, r->p, d);
        }
        str_put(&c->h, ")\n");
    }
}
