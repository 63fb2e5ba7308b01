/* exec_kept: passes and lowering are pure functions of the module and the options, so what they gave is kept beside the code of the
   cache: the module after the passes and the loop program. A warm start makes the key from the module as the front end built it,
   and reads the rest, the key of the code too. Scratch is the Exec's eval_arena, which outlives a call that runs out of memory. */
#include <string.h>

#include "ir/pack.h"
#include "runtime/exec_int.h"

static bool watched(const PassOptions *p) {
    return p && (p->print_after || p->stop_after || (p->disable && *p->disable) || p->print || p->times || p->explain || p->no_verify);
}

bool kept_suits(const Exec *e) {
    return e->opt.engine == EXEC_JIT && !watched(e->opt.passes) && !(e->opt.cache_dir && !*e->opt.cache_dir);
}

static void put_flags(Str *s, const char *what, const bool *flag, uint32_t n) {
    str_put(s, what);
    for (uint32_t i = 0; flag && i < n; i++) str_putc(s, flag[i] ? '1' : '0');
}

/* The module to the last field, its positions in the source included, which messages use. */
void kept_key(Exec *e, const Module *m, uint64_t key[2]) {
    const ExecOptions *o = &e->opt;
    uint32_t host[HOST_WORDS];
    Str s = str_make(&e->eval_arena);
    module_pack(&s, m);
    host_words(host);
    str_printf(&s, "%s %s host ", RONDO_VERSION, rondo_compiler_id);
    str_putn(&s, (const char *)host, sizeof host);
    str_printf(&s, " exec %d %d %d %d %d %lld %lld %d %d %d", o->f64, (int)o->math, (int)o->place, o->V, o->registers, (long long)o->batch,
               (long long)o->steps, o->one_row, o->no_reuse, pool_threads(e->pool));
    str_printf(&s, " derive %d %d %d %d", o->grad, (int)o->gradient, (int)o->influence, o->jvp);
    put_flags(&s, " want ", o->want_input, m->input.n);
    put_flags(&s, " param ", o->tangent_param, m->param.n);
    put_flags(&s, " input ", o->tangent_input, m->input.n);
    key[0] = hash_words(0x706c616e, s.at, s.n);
    key[1] = hash_words(key[0] ^ 0x9e3779b97f4a7c15, s.at, s.n);
    arena_free(&e->eval_arena);
}

/* Bytes of another meaning behind a right checksum are a fault of ours, which is to cost no more than the passes' time. */
static bool is_sound(const Module *m, const LProgram *p) {
    uint32_t said = diag_count(m->ctx);
    bool ok = module_verify(m, "the cache") && lprogram_verify(p, "the cache");
    diag_drop(m->ctx, said);
    return ok;
}

bool kept_get(Exec *e, const uint64_t key[2]) {
    Plan *k = &e->plan[0];
    size_t n = 0, at = 1 + sizeof k->key;
    const char *bytes = cache_plan(&e->eval_arena, e->opt.cache_dir, key, &n);
    Module *m = bytes && n > at ? module_unpack(e->ctx, &e->arena, bytes, n, &at) : NULL;
    LProgram *p = m ? lprogram_unpack(e->ctx, &e->arena, bytes, n, &at) : NULL;
    if (p && (at != n || !is_sound(m, p))) p = NULL;
    if (p) e->stats.inexact_gradient = bytes[0] != 0;
    if (p) memcpy(k->key, bytes + 1, sizeof k->key);
    k->has_key = p != NULL;
    e->m = m;
    k->p = p;
    arena_free(&e->eval_arena);
    return p;
}

void kept_put(Exec *e, const uint64_t key[2]) {
    Plan *k = &e->plan[0];
    EngineOptions o = exec_engine_options(&e->opt);
    Str s = str_make(&e->eval_arena);
    engine_key(&e->eval_arena, k->p, &o, k->key);
    k->has_key = true;
    str_putc(&s, e->stats.inexact_gradient);
    str_putn(&s, (const char *)k->key, sizeof k->key);
    module_pack(&s, e->m);
    lprogram_pack(&s, k->p);
    cache_plan_put(&e->eval_arena, e->opt.cache_dir, key, s.at, s.n);
    arena_free(&e->eval_arena);
}
