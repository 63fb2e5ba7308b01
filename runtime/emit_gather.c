/* emit_gather: the key accumulate in C: gradients of several batches, added up in double by what each of them counts in the loss, make one
   update, as gather of train.c does it. */
#include "runtime/emit_c.h"

/* What a gradient counts, in the words of the comment: update_weight of train.c. */
static const char *count_text(CModel *c) {
    bool per_step = false, ragged = false;
    for (uint32_t i = 0; i < c->m->desc->loss.n; i++) per_step = per_step || c->m->desc->loss.at[i].kind == LOSS_PER_STEP;
    for (uint32_t k = 1; k < c->grad.m->naxis; k++) ragged = ragged || c->grad.m->axis[k].length;
    Str s = str_make(c->a);
    str_put(&s, per_step && ragged ? "the sum of its lengths" : "how many examples it has");
    if (c->window) str_printf(&s, " (of %s_learn: %s)", c->id, per_step ? arena_printf(c->a, "%s_LEARN_STEPS", c->upper) : "1");
    return s.at;
}

void emit_gather(CModel *c) {
    int64_t most = update_gradients(c);
    if (most < 2 || !c->optimizer) return;
    str_printf(&c->h,
               "\n/* Gradients that make one update; all 0 before the first. */\ntypedef struct {\n    double sum[%s_WEIGHTS], "
               "count;\n    int32_t n;\n} %s_gathered;\n",
               c->upper, c->id);
    c_function(c,
               arena_printf(c->a,
                            "Adds the gradient of a batch. count: %s. Returns 1 where an update is due, after %lld batches or "
                            "the last of an epoch: "
                            "then grad has become the mean of all that were added, and the next one begins anew.",
                            count_text(c), (long long)most),
               arena_printf(c->a, "int %s_gather(%s_gathered *s, %s *grad, long count, int last)", c->id, c->id, c->real));
    const char *real = c->m->f64 ? "" : "(float)", *wide = c->m->f64 ? "" : "(double)";
    str_printf(
        &c->c,
        "    ptrdiff_t k;\n    for (k = 0; k < %s_WEIGHTS; k++) {\n        const double part = (double)count * %sgrad[k]; /* a "
        "variable: not fused */\n"
        "        s->sum[k] += part;\n    }\n    s->count += (double)count;\n    if (++s->n < %lld && !last) return 0;\n"
        "    for (k = 0; k < %s_WEIGHTS; k++) {\n        grad[k] = %s(s->sum[k] / s->count);\n        s->sum[k] = 0;\n    }\n"
        "    s->count = 0;\n    s->n = 0;\n    return 1;\n}\n",
        c->upper, wide, (long long)most, c->upper, real);
}
