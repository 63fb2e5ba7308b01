/* emit_narrow: weights that are read where they lie, in fewer bits: each field of NAME_weights as bf16, f16 or int8 where its
   elements are weights as they are stored. int8 takes the scale of the weight's row: one a column of a packed matrix (whose columns are
   rows of weights) or one for so many elements on end; which of them goes with how the field is read the printer says (c_text_refused),
   and what goes with neither stays float. */
#include <string.h>

#include "runtime/emit_c.h"

enum { LANES = 16 }; /* panels are so many columns, or a multiple */

static uint32_t times_refused(const CModel *c, const CField *f) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->refused.n; k++) n += strcmp(c->refused.at[k], f->id) == 0;
    return n;
}

/* Once a round: the programs and widths of one have the field in the same form. */
void cfield_refused(CModel *c, const CField *f) {
    for (uint32_t k = c->refused_before; k < c->refused.n; k++)
        if (strcmp(c->refused.at[k], f->id) == 0) return;
    VEC_PUSH(c->a, c->refused) = arena_strdup(c->a, f->id);
}

/* ---- the scale of each element -------------------------------------------------------------------------------------------- */

/* The row of its weight; -1: any, it is 0; -2: its weight is no part of a row. */
static int32_t row_of(const CModel *c, const CField *f, int64_t e) {
    if (!f->origin || f->origin[e] < 0) return -2;
    int32_t row = f->origin[e] ? c->row_of[f->origin[e] - 1] : -1;
    return f->origin[e] && row < 0 ? -2 : row;
}

/* Has each scale one row? Then those. */
static bool fits(CModel *c, CField *f, const CNarrow *how, int64_t scales) {
    int32_t *row = NEW_N(&c->values, int32_t, scales + 1);
    bool ok = true;
    for (int64_t k = 0; k < scales; k++) row[k] = -1;
    for (int64_t e = 0; e < f->n && ok; e++) {
        int32_t mine = row_of(c, f, e), *at = &row[c_narrow_scale(how, e)];
        ok = mine != -2 && (mine < 0 || *at < 0 || *at == mine);
        if (mine >= 0) *at = mine;
    }
    if (ok) {
        double *scale = NEW_N(c->a, double, scales + 1);
        for (int64_t k = 0; k < scales; k++) scale[k] = row[k] < 0 ? 0 : c->row_scale[row[k]];
        f->scale = scale;
        f->scales = scales;
        f->narrow = *how;
    }
    arena_free(&c->values);
    return ok;
}

/* The fewest scales that say it, by columns or by elements on end. */
static bool find_scales(CModel *c, CField *f, bool columns) {
    if (columns) {
        for (int64_t n = LANES; n <= f->n; n += LANES)
            for (int64_t panel = n <= 2 * C_PANEL ? n : C_PANEL; f->n % n == 0 && panel >= LANES; panel -= LANES)
                if (fits(c, f, &(CNarrow){C_INT8, f->n / n, n, panel}, n)) return true;
        return false;
    }
    for (int64_t n = 1; n <= f->n; n++)
        if (f->n % n == 0 && fits(c, f, &(CNarrow){C_INT8, f->n / n, 0, 0}, n)) return true;
    return false;
}

static void store_bytes(CModel *c, CField *f) {
    uint32_t refused = times_refused(c, f);
    bool ok = true;
    for (int64_t e = 0; e < f->n && ok; e++) ok = row_of(c, f, e) != -2;
    if (!ok || !((refused < 1 && find_scales(c, f, true)) || (refused < 2 && find_scales(c, f, false)))) return;
    double *code = NEW_N(c->a, double, f->n + 1);
    for (int64_t e = 0; e < f->n; e++) code[e] = f->origin[e] ? c->stored[f->origin[e] - 1] : 0;
    f->code = code;
}

static void store_halves(CModel *c, CField *f) {
    double *code = NEW_N(c->a, double, f->n + 1), back;
    bool ok = true;
    for (int64_t e = 0; e < f->n && ok; e++) {
        code[e] = storage_code(c->o->storage, f->value[e], &back);
        ok = back <= f->value[e] && back >= f->value[e];
    }
    if (!ok) return;
    f->narrow.storage = c->o->storage == EMIT_BF16 ? C_BF16 : C_F16;
    f->code = code;
}

/* Of what is no pack (where a state starts: it is copied, not read by a kernel) nothing is known, and it stays float. */
void cfield_narrow(CModel *c, CField *f) {
    if (!f->origin) return;
    if (c->o->storage == EMIT_INT8) store_bytes(c, f);
    else store_halves(c, f);
}

/* ---- the struct ------------------------------------------------------------------------------------------------------------- */

static int bytes_of(const CModel *c, const CField *f) {
    return f->narrow.storage == C_INT8 ? 1 : f->narrow.storage ? 2 : f->is_int || !c->m->f64 ? 4 : 8;
}

/* Packs first, where vectors are read; the larger elements before the smaller ones: no padding. */
void weights_members(CModel *c, void (*fn)(CModel *c, const CMember *m)) {
    static const int size[] = {8, 4, 2, 1};
    for (int s = 0; s < 4; s++) {
        for (int is_int = 0; is_int < 2; is_int++)
            for (uint32_t k = 0; k < c->field.n; k++) {
                const CField *f = &c->field.at[k];
                const char *scale = arena_printf(c->a, "%s_scale", f->id);
                if (f->scale && size[s] == 4 && !is_int) fn(c, &(CMember){c->real, scale, arena_printf(c->a, "scales of %s", f->id), f->scale, f->scales, 4, true});
                if (f->is_int != is_int || bytes_of(c, f) != size[s]) continue;
                fn(c, &(CMember){is_int             ? "int32_t"
                                 : size[s] == 1     ? "int8_t"
                                 : f->narrow.storage ? "uint16_t"
                                                     : c->real,
                                 f->id, f->what, f->code ? f->code : f->value, f->n, size[s], !is_int && !f->narrow.storage});
            }
        if (!c->theta || size[s] != (c->m->f64 ? 8 : 4)) continue;
        fn(c, &(CMember){c->real, "theta", "as listed above", emit_theta(c), model_theta_size(c->m), size[s], true});
        arena_free(&c->values);
    }
}
