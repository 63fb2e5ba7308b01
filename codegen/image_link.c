/* image_link: a linker for what LLVM makes of our programs: read-only sections with relative references among themselves,
   and calls of imported functions, which go by way of a jump at the end of the code. Anything else is refused. */
#include "codegen/image.h"
#include "codegen/plugin.h"

#include <elf.h>
#include <string.h>

typedef struct { /* one object */
    const char *at;
    size_t n;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sec;
    const Elf64_Sym *sym;
    const char *names; /* strings of the symbol table */
    uint32_t nsym;
    uint64_t *where;  /* by section: offset in the code region; UINT64_MAX: left out */
    uint32_t *import; /* by symbol: import number + 1 */
} Object;

typedef struct {
    Ctx *ctx;
    Arena *arena;
    Object *object;
    uint32_t n;
    VEC(const char *) imports; /* names */
    uint32_t stubs;
    uint8_t *code;
    uint64_t size;
} Link;

static bool refuse(Link *l, const char *what, uint64_t number) {
    diag_error(l->ctx, 803, (Span){0, 0}, "linking machine code: %s (%llu)", what, (unsigned long long)number);
    return false;
}

static bool inside(const Object *o, uint64_t offset, uint64_t size) { return offset <= o->n && size <= o->n - offset; }

static bool read_tables(Link *l, Object *o) {
    o->head = (const Elf64_Ehdr *)(const void *)o->at;
    if (o->n < sizeof *o->head || memcmp(o->at, ELFMAG, SELFMAG) != 0 || o->head->e_type != ET_REL)
        return refuse(l, "not a relocatable object", o->n);
    if (o->head->e_machine != EM_X86_64) return refuse(l, "unsupported machine", o->head->e_machine);
    if (!inside(o, o->head->e_shoff, (uint64_t)o->head->e_shnum * sizeof(Elf64_Shdr))) return refuse(l, "cut short", o->n);
    o->sec = (const Elf64_Shdr *)(const void *)(o->at + o->head->e_shoff);
    for (uint32_t k = 0; k < o->head->e_shnum; k++) {
        const Elf64_Shdr *s = &o->sec[k];
        if (s->sh_type != SHT_NOBITS && !inside(o, s->sh_offset, s->sh_size)) return refuse(l, "cut short", k);
        if (s->sh_type != SHT_SYMTAB) continue;
        o->sym = (const Elf64_Sym *)(const void *)(o->at + s->sh_offset);
        o->nsym = (uint32_t)(s->sh_size / sizeof(Elf64_Sym));
        o->names = o->at + o->sec[s->sh_link].sh_offset;
    }
    return o->sym ? true : refuse(l, "no symbols", 0);
}

static bool is_undefined(const Object *o, uint32_t k) { return o->sym[k].st_shndx == SHN_UNDEF && o->names[o->sym[k].st_name]; }

/* The symbol of that name that an object defines for all; false: none does. */
static bool find_symbol(const Link *l, const char *name, const Object **object, uint32_t *symbol) {
    for (uint32_t i = 0; i < l->n; i++) {
        const Object *o = &l->object[i];
        for (uint32_t k = 1; k < o->nsym; k++) {
            if (ELF64_ST_BIND(o->sym[k].st_info) != STB_GLOBAL || is_undefined(o, k)) continue;
            if (strcmp(o->names + o->sym[k].st_name, name) != 0) continue;
            *object = o;
            *symbol = k;
            return true;
        }
    }
    return false;
}

/* What no object defines comes from outside. */
static void number_imports(Link *l, Object *o) {
    const Object *other;
    uint32_t symbol;
    o->import = NEW_N(l->arena, uint32_t, o->nsym);
    for (uint32_t k = 1; k < o->nsym; k++) {
        const char *name = o->names + o->sym[k].st_name;
        if (!is_undefined(o, k) || find_symbol(l, name, &other, &symbol)) continue;
        for (uint32_t i = 0; i < l->imports.n && !o->import[k]; i++)
            if (!strcmp(l->imports.at[i], name)) o->import[k] = i + 1;
        if (o->import[k]) continue;
        VEC_PUSH(l->arena, l->imports) = name;
        o->import[k] = l->imports.n;
    }
}

static bool place_sections(Link *l, Object *o) {
    o->where = NEW_N(l->arena, uint64_t, o->head->e_shnum);
    for (uint32_t k = 0; k < o->head->e_shnum; k++) {
        const Elf64_Shdr *s = &o->sec[k];
        o->where[k] = UINT64_MAX;
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_type != SHT_PROGBITS || !s->sh_size) continue;
        if (s->sh_flags & SHF_WRITE) return refuse(l, "a writable section", k);
        uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        l->size = (l->size + align - 1) / align * align;
        o->where[k] = l->size;
        l->size += s->sh_size;
    }
    return true;
}

static bool copy_sections(Link *l) {
    l->stubs = (uint32_t)((l->size + 7) / 8 * 8);
    l->size = l->stubs + 8 * (uint64_t)l->imports.n;
    if (l->size > INT32_MAX) return refuse(l, "too much code", l->size);
    l->code = NEW_N(l->arena, uint8_t, l->size);
    for (uint32_t i = 0; i < l->n; i++) {
        const Object *o = &l->object[i];
        for (uint32_t k = 0; k < o->head->e_shnum; k++)
            if (o->where[k] != UINT64_MAX) memcpy(l->code + o->where[k], o->at + o->sec[k].sh_offset, o->sec[k].sh_size);
    }
    return true;
}

static void put32(uint8_t *at, int64_t v) {
    uint32_t u = (uint32_t)(int32_t)v;
    memcpy(at, &u, 4);
}

/* jmp *slot(%rip) */
static void write_stubs(Link *l) {
    for (uint32_t k = 0; k < l->imports.n; k++) {
        uint8_t *s = l->code + l->stubs + 8 * k;
        s[0] = 0xff;
        s[1] = 0x25;
        put32(s + 2, (int64_t)(8 * k) - (int64_t)(l->stubs + 8 * k + 6));
        s[6] = s[7] = 0xcc;
    }
}

/* The place in the code region that a symbol stands for; imports: their jump. */
static bool symbol_place(Link *l, const Object *o, uint32_t k, int64_t *out) {
    if (o->import[k]) {
        *out = (int64_t)l->stubs + 8 * (int64_t)(o->import[k] - 1);
        return true;
    }
    if (is_undefined(o, k)) find_symbol(l, o->names + o->sym[k].st_name, &o, &k);
    const Elf64_Sym *s = &o->sym[k];
    if (s->st_shndx >= o->head->e_shnum || o->where[s->st_shndx] == UINT64_MAX) return refuse(l, "a symbol outside the code", k);
    *out = (int64_t)(o->where[s->st_shndx] + s->st_value);
    return true;
}

static bool relocate(Link *l, const Object *o, uint32_t section, const Elf64_Rela *r) {
    uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info), k = (uint32_t)ELF64_R_SYM(r->r_info);
    if (k >= o->nsym || r->r_offset > o->sec[section].sh_size || o->sec[section].sh_size - r->r_offset < 4)
        return refuse(l, "a reference out of range", type);
    int64_t at = (int64_t)(o->where[section] + r->r_offset), to = 0;
    bool got = type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX || type == R_X86_64_REX_GOTPCRELX;
    if (got && o->import[k])
        to = 8 * (int64_t)(o->import[k] - 1);
    else if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
        return refuse(l, "unsupported reference", type);
    else if (!symbol_place(l, o, k, &to))
        return false;
    put32(l->code + at, to + r->r_addend - at);
    return true;
}

static bool relocate_all(Link *l, const Object *o) {
    for (uint32_t k = 0; k < o->head->e_shnum; k++) {
        const Elf64_Shdr *s = &o->sec[k];
        if (s->sh_type == SHT_REL && o->where[s->sh_info] != UINT64_MAX) return refuse(l, "references without addends", k);
        if (s->sh_type != SHT_RELA || s->sh_info >= o->head->e_shnum || o->where[s->sh_info] == UINT64_MAX) continue;
        const Elf64_Rela *r = (const Elf64_Rela *)(const void *)(o->at + s->sh_offset);
        for (uint64_t j = 0; j < s->sh_size / sizeof *r; j++)
            if (!relocate(l, o, s->sh_info, &r[j])) return false;
    }
    return true;
}

static void put_words(Str *out, const void *p, size_t n) { str_putn(out, p, n); }

/* A symbol of the image: a function that an object defines. */
static bool put_symbol(const Object *o, uint32_t k, Str *symbols, Str *strings) {
    const Elf64_Sym *s = &o->sym[k];
    const char *name = o->names + s->st_name;
    if (is_undefined(o, k) || ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx >= o->head->e_shnum ||
        o->where[s->st_shndx] == UINT64_MAX)
        return false;
    ImageSymbol x = {(uint32_t)strings->n, (uint32_t)(o->where[s->st_shndx] + s->st_value), (uint32_t)s->st_size};
    put_words(symbols, &x, sizeof x);
    str_putn(strings, name, strlen(name) + 1);
    return true;
}

static void write_image(Link *l, const uint64_t key[2], Str *out) {
    Str strings = str_make(l->arena), symbols = str_make(l->arena), imports = str_make(l->arena);
    ImageHeader h;
    memset(&h, 0, sizeof h);
    for (uint32_t k = 0; k < l->imports.n; k++) {
        uint32_t at = (uint32_t)strings.n;
        put_words(&imports, &at, sizeof at);
        str_putn(&strings, l->imports.at[k], strlen(l->imports.at[k]) + 1);
    }
    for (uint32_t i = 0; i < l->n; i++)
        for (uint32_t k = 1; k < l->object[i].nsym; k++) h.nsymbol += put_symbol(&l->object[i], k, &symbols, &strings);
    memcpy(h.magic, "RONDOIMG", 8);
    h.version = RONDO_EMITTER_VERSION;
    h.machine = l->object[0].head->e_machine;
    h.key[0] = key[0];
    h.key[1] = key[1];
    h.nimport = l->imports.n;
    h.string_size = (uint32_t)strings.n;
    h.code_size = (uint32_t)l->size;
    h.imports = (uint32_t)sizeof h;
    h.symbols = h.imports + (uint32_t)imports.n;
    h.strings = h.symbols + (uint32_t)symbols.n;
    h.code = h.strings + h.string_size;
    h.size = (uint64_t)h.code + h.code_size;
    str_putn(out, (const char *)&h, sizeof h);
    str_putn(out, imports.at, imports.n);
    str_putn(out, symbols.at, symbols.n);
    str_putn(out, strings.at, strings.n);
    str_putn(out, (const char *)l->code, l->size);
}

bool image_link(Ctx *ctx, const Str *object, uint32_t n, const uint64_t key[2], Str *out) {
    Link l = {.ctx = ctx, .arena = out->arena, .n = n, .object = NEW_N(out->arena, Object, n)};
    for (uint32_t i = 0; i < n; i++) {
        l.object[i].at = object[i].at;
        l.object[i].n = object[i].n;
        if (!read_tables(&l, &l.object[i])) return false;
    }
    for (uint32_t i = 0; i < n; i++) number_imports(&l, &l.object[i]);
    l.size = 8 * (uint64_t)l.imports.n;
    for (uint32_t i = 0; i < n; i++)
        if (!place_sections(&l, &l.object[i])) return false;
    if (!copy_sections(&l)) return false;
    write_stubs(&l);
    for (uint32_t i = 0; i < n; i++)
        if (!relocate_all(&l, &l.object[i])) return false;
    write_image(&l, key, out);
    return true;
}
