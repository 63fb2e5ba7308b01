/* stages: prints what products.c found, as lines and as JSON. */
#include "cli/products.h"

#include <inttypes.h>
#include <string.h>

static void put_product(Str *s, const Product *p) {
    if (!p->weights) {
        str_put(s, "    product of two computed values, example by example\n");
        return;
    }
    str_printf(s, "    product %s%s%s", p->made.computed ? "made of " : "", p->key, p->made.count > 1 && !p->made.computed ? ", merged" : "");
    if (p->moved == AHEAD) str_printf(s, ", needs no state; computed %s", p->place ? p->place : "ahead of the loop");
    if (p->moved == BEHIND) str_put(s, ", no state needs it; computed behind the loop");
    if (p->backward) str_put(s, ", on the way back");
    if (p->twin && p->apart) str_printf(s, "; apart from %s: one of them %s", p->twin, p->apart);
    str_putc(s, '\n');
}

void put_stages(Str *s, const Stages *x) {
    for (uint32_t k = 0; k < x->stage.n; k++) {
        const StageLine *t = &x->stage.at[k];
        str_printf(s, "  stage %u: %s\n", k + 1, t->head);
        for (uint32_t i = 0; i < x->product.n; i++)
            if (x->product.at[i].stage == k + 1) put_product(s, &x->product.at[i]);
        if (t->gradients)
            str_printf(s, "    %u gradient%s of weights, each one product over all rows\n", t->gradients, t->gradients == 1 ? "" : "s");
        for (uint32_t i = 0; i < x->sum.n; i++) {
            const LoopSum *u = &x->sum.at[i];
            if (u->loop && u->loop == t->loop && *u->weights) str_printf(s, "    gradient of %s, added up step by step\n", u->weights);
        }
    }
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------------- */

static void put_key(Str *s, const char *key, const char *text) {
    str_printf(s, ", \"%s\": ", key);
    if (text) put_json_string(s, text);
    else str_put(s, "null");
}

static void put_flag(Str *s, const char *key, bool on) { str_printf(s, ", \"%s\": %s", key, on ? "true" : "false"); }

/* "a b c" as a list of texts. */
static void put_names(Str *s, const char *key, const char *names) {
    str_printf(s, ", \"%s\": [", key);
    for (const char *at = names ? names : ""; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        str_put(s, at == names ? "" : ", ");
        put_json_string(s, arena_strndup(s->arena, at, n));
        at += n;
    }
    str_putc(s, ']');
}

/* The loops that need a value: of n, the last one's bit first. */
static void put_loops(Str *s, uint64_t scans, uint32_t n) {
    const char *comma = "";
    str_put(s, ", \"needed_by\": [");
    for (uint32_t loop = 1; loop <= n; loop++) {
        if (!(scans >> (n - loop) % 64 & 1)) continue;
        str_printf(s, "%s%u", comma, loop);
        comma = ", ";
    }
    str_putc(s, ']');
}

static void put_product_json(Str *s, const Product *p, uint32_t loops) {
    static const char *const moved[] = {[STAYS] = NULL, [AHEAD] = "ahead", [BEHIND] = "behind"};
    str_printf(s, "{\"stage\": %u, \"loop\": %u", p->stage, p->loop);
    put_names(s, "weights", p->weights);
    str_put(s, ", \"shape\": [");
    for (int d = 0; d < p->rank; d++) str_printf(s, "%s%" PRId32, d ? ", " : "", p->dim[d]);
    str_putc(s, ']');
    put_flag(s, "merged", p->made.count > 1 && !p->made.computed);
    put_key(s, "moved", moved[p->moved]);
    put_key(s, "place", p->place);
    put_flag(s, "needs_state", p->carried);
    put_flag(s, "backward", p->backward);
    str_printf(s, ", \"rows\": %u, \"accumulator\": %u", p->rows, p->accumulator);
    put_flag(s, "from_step", p->from_step);
    put_loops(s, p->scans, loops);
    put_key(s, "apart_from", p->twin);
    put_key(s, "apart", p->apart);
    str_put(s, ", \"flops\": ");
    put_json_number(s, p->flops);
    str_put(s, ", \"stored_bytes\": ");
    put_json_number(s, p->stored);
    str_putc(s, '}');
}

void put_stages_json(Str *s, const Stages *x) {
    uint32_t loops = 0;
    for (uint32_t k = 0; k < x->stage.n; k++) loops = x->stage.at[k].loop > loops ? x->stage.at[k].loop : loops;
    str_put(s, "\"stages\": [");
    for (uint32_t k = 0; k < x->stage.n; k++) {
        str_printf(s, "%s{\"stage\": %u, \"loop\": %u", k ? ", " : "", k + 1, x->stage.at[k].loop);
        put_key(s, "what", x->stage.at[k].head);
        str_printf(s, ", \"gradients\": %u}", x->stage.at[k].gradients);
    }
    str_put(s, "], \"products\": [");
    for (uint32_t i = 0; i < x->product.n; i++) {
        str_put(s, i ? ", " : "");
        put_product_json(s, &x->product.at[i], loops);
    }
    str_put(s, "], \"sums\": [");
    for (uint32_t i = 0; i < x->sum.n; i++) {
        const LoopSum *u = &x->sum.at[i];
        str_printf(s, "%s{\"loop\": %u", i ? ", " : "", u->loop);
        put_key(s, "value", u->value);
        put_names(s, "weights", u->weights);
        str_printf(s, ", \"rank\": %d", u->rank);
        put_flag(s, "product", u->product);
        str_putc(s, '}');
    }
    str_put(s, "]");
}
