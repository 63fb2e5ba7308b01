/* test_stores: what the builder and linplace.c know of memory: loads of what was just stored, and whether a buffer may be read and written
   in one place. */
#include "ir/loop.h"

#include <stdio.h>
#include <string.h>

static int passed, failed;
static Ctx *ctx;
static Arena *arena;

static void check(bool ok, const char *what, int line) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("test_stores.c:%d: FAILED: %s\n", line, what);
    for (uint32_t k = 0; k < diag_count(ctx); k++) printf("  %s\n", diag_at(ctx, k)->text);
}
#define CHECK(e) check((e), #e, __LINE__)

/* A load of what was just stored is the value; of what may have changed since, or may not have happened, it is a load. */
static void test_stored(void) {
    LProgram *p = lprogram_make(ctx, arena, intern(ctx, "test"), false, 4);
    LExtent all = {.n = 1, .term = {{64, 0}}};
    uint32_t in_buf = lprogram_add_buf(p, "x", LB_INPUT, LE_F, 0, all), out_buf = lprogram_add_buf(p, "y", LB_OUTPUT, LE_F, 0, all);
    lprogram_add_fn(p, "run", LFUNC_ENTRY);
    LBuilder builder = lb_make(p, 0), *b = &builder;
    LV x = lb_load(b, LOP_LD, in_buf, lidx(0), 0), y = lb_load(b, LOP_LD, in_buf, lidx(8), 0);
    lb_store(b, LOP_ST, out_buf, lidx(0), x, 0);
    lb_store(b, LOP_ST, out_buf, lidx(4), y, 0);
    CHECK(lb_load(b, LOP_LD, out_buf, lidx(0), 0) == x && lb_load(b, LOP_LD, out_buf, lidx(4), 0) == y);
    CHECK(lb_load(b, LOP_LD, out_buf, lidx(2), 0) != x && lb_load(b, LOP_LDB, out_buf, lidx(0), 0) != x);
    lb_store(b, LOP_ST1, out_buf, lidx(5), x, 0);
    CHECK(lb_load(b, LOP_LD, out_buf, lidx(0), 0) == x && lb_load(b, LOP_LD, out_buf, lidx(4), 0) != y);
    lb_store(b, LOP_STT, out_buf, lidx(0), x, 3);
    LV tail = lb_load(b, LOP_LD, out_buf, lidx(0), 0);
    lb_store(b, LOP_ST, out_buf, lidx(8), x, 0);
    LV i = lb_for(b, lb_iconst(b, 0), lb_iconst(b, 8), 4, false, 0, NULL, NULL);
    LV in = lb_load(b, LOP_LD, out_buf, lidx(8), 0);
    lb_store(b, LOP_ST, out_buf, lb_idx_term(b, lidx(8), i, 1), y, 0);
    CHECK(lb_load(b, LOP_LD, out_buf, lb_idx_term(b, lidx(8), i, 1), 0) == y && lb_load(b, LOP_LD, out_buf, lidx(8), 0) != x);
    lb_end_for(b, 0, NULL, NULL);
    LV after = lb_load(b, LOP_LD, out_buf, lidx(8), 0);
    lb_store(b, LOP_ST, out_buf, lidx(16), x, 0);
    lb_for(b, lb_iconst(b, 1), lb_iconst(b, 1), 1, false, 0, NULL, NULL); /* no round */
    lb_store(b, LOP_ST, out_buf, lidx(20), y, 0);
    lb_end_for(b, 0, NULL, NULL);
    LV never = lb_load(b, LOP_LD, out_buf, lidx(20), 0);
    CHECK(tail != x && in != x && after != x && after != y && never != y && lprogram_verify(p, "build"));
}

static bool in_place(const char *body) {
    const char *text = arena_printf(arena, "program \"t\" f32 V 4 slots 0 buf 0 \"in\" input f index 0 extent 64 buf 1 \"out\" output f index 0 extent 64\n"
                                            "helper 0 \"h\" values 1 (ptr f \"a\") { %%1 = ldb $0[0] }\nentry 1 \"r\" %s", body);
    const Source *src = source_add(ctx, "test.loop", text, strlen(text));
    LProgram *p = src ? lprogram_parse(ctx, arena, src) : NULL;
    check(p != NULL, body, __LINE__);
    return p && lprogram_in_place(p, 1, 0, 1);
}

static void test_in_place(void) {
    CHECK(in_place("values 2 { %1 = ld #0[0] %2 = ld #0[4] st #1[0] %1 st #1[4] %2 }"));
    CHECK(in_place("values 2 { %1 = ld #0[0] st #1[0] %1 %2 = ld #0[4] st #1[4] %2 }"));
    CHECK(!in_place("values 2 { %1 = ld #0[0] st #1[2] %1 %2 = ld #0[4] st #1[6] %2 }"));
    CHECK(!in_place("values 2 { %1 = ld #0[0] st #1[0] %1 %2 = ldb #0[3] st #1[4] %2 }"));
    const char *loop = "values 4 { %%1 = iconst 0 %%2 = iconst 16 for %%3 = %%1..%%2 by 4 { %%4 = ld #0[%%3%s] st #1[%%3%s] %%4 } }";
    CHECK(in_place(arena_printf(arena, loop, "", "")));
    CHECK(!in_place(arena_printf(arena, loop, " + 4", "")) && !in_place(arena_printf(arena, loop, "", " + 4")));
    CHECK(in_place(arena_printf(arena, loop, "", " + 16")));
    CHECK(!in_place("values 4 { %1 = iconst 0 %2 = iconst 16 for %3 = %1..%2 by 2 { %4 = ld #0[%3] st #1[%3] %4 } }"));
    CHECK(!in_place("values 5 { %1 = iconst 0 %2 = iconst 16 for %3 = %1..%2 by 4 { %4 = ld #0[%3] st #1[%3] %4 %5 = ldb #0[0] } }"));
    CHECK(!in_place("values 4 { %1 = iconst 0 %2 = dim 0 for %3 = %1..%2 by 4 { %4 = ld #0[%3] st #1[0] %4 } }"));
    const char *rest = "values 10 { %%1 = iconst 0 %%2 = dim 0 %%3 = iconst %s %%4 = idiv %%2 %%3 %%5 = imul %%4 %%3 %%6 = iadd %%1 %%5 "
                       "for %%7 = %%1..%%6 by 4 { %%8 = ld #0[%%7] st #1[%%7] %%8 } for %%9 = %%%d..%%2 by 1 { %%10 = ldb #0[%%9%s] st1 #1[%%9] %%10 } }";
    CHECK(in_place(arena_printf(arena, rest, "4", 6, "")));
    CHECK(!in_place(arena_printf(arena, rest, "3", 6, "")) && !in_place(arena_printf(arena, rest, "4", 1, "")) && !in_place(arena_printf(arena, rest, "4", 6, " + 1")));
    CHECK(in_place("values 1 { call h#0(#0[0]) %1 = fconst 1 st #1[0] %1 }"));
    CHECK(!in_place("values 1 { %1 = fconst 1 st #1[0] %1 call h#0(#0[0]) }"));
}

int main(void) {
    ctx = ctx_make(NULL);
    arena = ctx_arena(ctx);
    test_stored();
    test_in_place();
    ctx_destroy(ctx);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
