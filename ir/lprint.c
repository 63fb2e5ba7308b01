/* lprint: the text of a loop program. Everything is numbered, names beside numbers are for the reader only:

     program "lstm" f32 V 8 slots 1
     buf 0 "h" slab f index 0 extent 64*d0 + 8 slot 0 life 3..40
     helper 0 "tile" inline values 9 (ptr f "A", int "n" = %1) {
       %2 = ld A$0[8*%1]
     }
     entry 1 "run" values 20 {
       %3 = dim 0
       for %4 = %1..%3 by 6 down carry (%6 = %5 -> %7) {
         call tile#0(h#0[64*%4 + 8], %4)
         %8 = fma %6 %6 %5
         yield %8
       }
       st h#0[0] %7
     }

   %k value, name#k buffer or function, name$k pointer parameter; a carry is (inside = before -> after). */
#include "ir/loop.h"

#include <string.h>

const char *const lrole_text[LB_LOCAL + 1] = {"theta", "grad", "input", "output", "example", "pack", "slab", "local"};

static void put_string(Str *s, const char *t) {
    str_putc(s, '"');
    for (; *t; t++) {
        if (*t == '"' || *t == '\\' || (unsigned char)*t < 32)
            str_printf(s, "\\%02x", (unsigned)(unsigned char)*t);
        else
            str_putc(s, *t);
    }
    str_putc(s, '"');
}

/* The letters of a name that a reference may have before its mark. */
static void put_hint(Str *s, const char *t) {
    for (; *t; t++) {
        bool plain = (*t >= 'a' && *t <= 'z') || (*t >= 'A' && *t <= 'Z') || (*t >= '0' && *t <= '9') || *t == '.';
        str_putc(s, plain ? *t : '_');
    }
}

static void put_mono(Str *s, const LMono *m) {
    str_printf(s, "%lld", (long long)m->coef);
    for (int d = 0; d < 64; d++)
        if (m->dims >> d & 1) str_printf(s, "*d%d", d);
}

static void put_extent(Str *s, const LExtent *e) {
    if (e->n == 0) str_put(s, "0");
    for (uint32_t k = 0; k < e->n; k++) {
        if (k) str_put(s, " + ");
        put_mono(s, &e->term[k]);
    }
    if (e->most.coef) {
        str_put(s, " most ");
        put_mono(s, &e->most);
    }
}

static void put_buf(Str *s, const LProgram *p, uint32_t k) {
    const LBuf *b = &p->buf.at[k];
    str_printf(s, "buf %u ", (unsigned)k);
    put_string(s, name_str(p->ctx, b->name));
    str_printf(s, " %s %s index %u extent ", lrole_text[b->role], b->elem == LE_F ? "f" : "i32", (unsigned)b->index);
    put_extent(s, &b->extent);
    if (b->role == LB_SLAB || b->role == LB_PACK) str_printf(s, " slot %u", (unsigned)b->slot);
    if (b->first != UINT32_MAX || b->last != UINT32_MAX) str_printf(s, " life %u..%u", (unsigned)b->first, (unsigned)b->last);
    str_putc(s, '\n');
}

static void put_ref(Str *s, const LProgram *p, const LFunc *f, uint32_t buf) {
    uint32_t k = buf & ~LBUF_PARAM;
    if (buf & LBUF_PARAM) {
        if (k < f->param.n) put_hint(s, name_str(p->ctx, f->param.at[k].name));
        str_printf(s, "$%u", (unsigned)k);
    } else {
        if (k < p->buf.n) put_hint(s, name_str(p->ctx, p->buf.at[k].name));
        str_printf(s, "#%u", (unsigned)k);
    }
}

static void put_idx(Str *s, const LFunc *f, uint32_t idx) {
    const LIdx *x = &f->idx.at[idx];
    const char *sep = "[";
    for (uint32_t k = 0; k < x->n && k < LIDX_TERMS; k++, sep = " + ") {
        str_put(s, sep);
        if (x->c[k] != 1) str_printf(s, "%lld*", (long long)x->c[k]);
        str_printf(s, "%%%u", (unsigned)x->v[k]);
    }
    if (x->c0 || !x->n) str_printf(s, "%s%lld", sep, (long long)x->c0);
    str_putc(s, ']');
}

static void put_fconst(Str *s, int64_t imm) {
    double d;
    memcpy(&d, &imm, sizeof d);
    if (d == d)
        str_double(s, d);
    else
        str_printf(s, "0x%016llx", (unsigned long long)imm);
}

static void put_for(Str *s, const LFunc *f, const LInst *i) {
    const uint32_t *e = &f->ext.at[i->ext];
    str_printf(s, "for %%%u = %%%u..%%%u by %lld%s", (unsigned)i->dst, (unsigned)i->a[0], (unsigned)i->a[1], (long long)i->imm,
               i->flags & LF_DOWN ? " down" : "");
    for (uint32_t k = 0; k < e[0]; k++)
        str_printf(s, "%s%%%u = %%%u -> %%%u", k ? ", " : " carry (", (unsigned)e[3 * k + 2], (unsigned)e[3 * k + 1],
                   (unsigned)e[3 * k + 3]);
    str_put(s, e[0] ? ") {" : " {");
}

static void put_call(Str *s, const LProgram *p, const LFunc *f, const LInst *i) {
    const uint32_t *e = &f->ext.at[i->ext];
    const LFunc *g = i->imm >= 0 && i->imm < (int64_t)p->fn.n ? p->fn.at[i->imm] : NULL;
    str_put(s, "call ");
    if (g) put_hint(s, name_str(p->ctx, g->name));
    str_printf(s, "#%lld(", (long long)i->imm);
    for (uint32_t k = 0; k < e[0]; k++) {
        if (k) str_put(s, ", ");
        if (g && k < g->param.n && g->param.at[k].pointer) {
            put_ref(s, p, f, e[1 + 2 * k]);
            put_idx(s, f, e[2 + 2 * k]);
        } else
            str_printf(s, "%%%u", (unsigned)e[1 + 2 * k]);
    }
    str_putc(s, ')');
}

static void put_memory(Str *s, const LProgram *p, const LFunc *f, const LInst *i) {
    str_printf(s, "%s ", lop_info[i->op].text);
    put_ref(s, p, f, i->buf);
    put_idx(s, f, i->idx);
    if (i->op >= LOP_ST) str_printf(s, " %%%u", (unsigned)i->a[0]);
    if (i->op == LOP_LDT || i->op == LOP_LDVT || i->op == LOP_STT || i->op == LOP_STVT)
        str_printf(s, " %lld", (long long)i->imm);
}

static void put_value_op(Str *s, const LInst *i) {
    const LOpInfo *o = &lop_info[i->op];
    uint32_t n = (uint32_t)strlen(o->args);
    str_put(s, o->text);
    if (i->op == LOP_LIBM) {
        bool known = i->imm >= 0 && i->imm < LFN_COUNT;
        str_printf(s, " %s", known ? lfn_info[i->imm].cname : "?");
        if (known) n = lfn_info[i->imm].args;
    }
    for (uint32_t k = 0; k < n; k++) str_printf(s, " %%%u", (unsigned)i->a[k]);
    bool imm = i->op == LOP_ICONST || i->op == LOP_DIM || i->op == LOP_VCONST || i->op == LOP_LANE || i->op == LOP_VSHL || i->op == LOP_VSHR;
    if (imm) str_printf(s, " %lld", (long long)i->imm);
    if (i->op == LOP_FCONST) {
        str_putc(s, ' ');
        put_fconst(s, i->imm);
    }
}

void linst_print(Str *s, const LProgram *p, const LFunc *f, uint32_t pc) {
    const LInst *i = &f->inst.at[pc];
    if (i->op >= LOP_COUNT) {
        str_printf(s, "operation %u", (unsigned)i->op);
        return;
    }
    if (i->op > LOP_BARRIER && lop_info[i->op].result != '-') str_printf(s, "%%%u = ", (unsigned)i->dst);
    if (i->op == LOP_FOR)
        put_for(s, f, i);
    else if (i->op == LOP_IF)
        str_printf(s, "if %%%u < %%%u {", (unsigned)i->a[0], (unsigned)i->a[1]);
    else if (i->op == LOP_END)
        str_putc(s, '}');
    else if (i->op == LOP_CALL)
        put_call(s, p, f, i);
    else if (i->op == LOP_YIELD) {
        const uint32_t *e = &f->ext.at[i->ext];
        str_put(s, "yield");
        for (uint32_t k = 0; k < e[0]; k++) str_printf(s, "%s%%%u", k ? ", " : " ", (unsigned)e[1 + k]);
    } else if (i->op >= LOP_LD && i->op <= LOP_STV1)
        put_memory(s, p, f, i);
    else
        put_value_op(s, i);
}

static void put_func(Str *s, const LProgram *p, uint32_t k) {
    const LFunc *f = p->fn.at[k];
    str_printf(s, "%s %u ", f->kind == LFUNC_ENTRY ? "entry" : "helper", (unsigned)k);
    put_string(s, name_str(p->ctx, f->name));
    str_printf(s, "%s values %u", f->inline_hint ? " inline" : "", (unsigned)(f->type.n - 1));
    for (uint32_t q = 0; q < f->param.n; q++) {
        const LParam *a = &f->param.at[q];
        str_put(s, q ? ", " : " (");
        str_put(s, !a->pointer ? "int " : a->elem == LE_F ? "ptr f " : "ptr i32 ");
        put_string(s, name_str(p->ctx, a->name));
        if (!a->pointer) str_printf(s, " = %%%u", (unsigned)a->value);
    }
    str_put(s, f->param.n ? ") {\n" : " {\n");
    uint32_t depth = 1;
    for (uint32_t pc = 0; pc < f->inst.n; pc++) {
        uint16_t op = f->inst.at[pc].op;
        if (op == LOP_END && depth > 1) depth--;
        for (uint32_t d = 0; d < depth && d < 40; d++) str_put(s, "  ");
        linst_print(s, p, f, pc);
        str_putc(s, '\n');
        if (op == LOP_FOR || op == LOP_IF) depth++;
    }
    str_put(s, "}\n");
}

void lprogram_print(Str *s, const LProgram *p) {
    str_put(s, "program ");
    put_string(s, name_str(p->ctx, p->name));
    str_printf(s, " %s V %d slots %u%s", p->f64 ? "f64" : "f32", p->V, (unsigned)p->nslot, p->one_thread ? " one_thread" : "");
    if (p->row_axis) str_printf(s, " rows d%u", (unsigned)p->row_axis);
    for (uint32_t k = 0; k < p->barrier.n; k++) str_printf(s, "%s%u", k ? ", " : " barriers ", (unsigned)p->barrier.at[k]);
    str_putc(s, '\n');
    for (uint32_t k = 0; k < p->buf.n; k++) put_buf(s, p, k);
    for (uint32_t k = 0; k < p->fn.n; k++) put_func(s, p, k);
}
