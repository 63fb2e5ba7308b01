/* image_link: a linker for what LLVM makes of our programs: read-only sections with relative references among themselves,
   and calls of imported functions, which go by way of a jump at the end of the code. Anything else is refused. */
#include "codegen/image.h"
#include "codegen/plugin.h"

#include <elf.h>
#include <string.h>

typedef struct {
    Ctx *ctx;
    Arena *arena;
    const char *at;
    size_t n;
    const Elf64_Ehdr *head;
    const Elf64_Shdr *sec;
    const Elf64_Sym *sym;
    const char *names; /* strings of the symbol table */
    uint32_t nsym;
    uint64_t *where;   /* by section: offset in the code region; UINT64_MAX: left out */
    uint32_t *import;  /* by symbol: import number + 1 */
    uint32_t nimport, stubs;
    uint8_t *code;
    uint64_t size;
} Link;

static bool refuse(Link *l, const char *what, uint64_t number) {
    diag_error(l->ctx, 803, (Span){0, 0}, "linking machine code: %s (%llu)", what, (unsigned long long)number);
    return false;
}

static bool inside(const Link *l, uint64_t offset, uint64_t size) { return offset <= l->n && size <= l->n - offset; }

static bool read_tables(Link *l) {
    l->head = (const Elf64_Ehdr *)(const void *)l->at;
    if (l->n < sizeof *l->head || memcmp(l->at, ELFMAG, SELFMAG) != 0 || l->head->e_type != ET_REL)
        return refuse(l, "not a relocatable object", l->n);
    if (l->head->e_machine != EM_X86_64) return refuse(l, "unsupported machine", l->head->e_machine);
    if (!inside(l, l->head->e_shoff, (uint64_t)l->head->e_shnum * sizeof(Elf64_Shdr))) return refuse(l, "cut short", l->n);
    l->sec = (const Elf64_Shdr *)(const void *)(l->at + l->head->e_shoff);
    for (uint32_t k = 0; k < l->head->e_shnum; k++) {
        const Elf64_Shdr *s = &l->sec[k];
        if (s->sh_type != SHT_NOBITS && !inside(l, s->sh_offset, s->sh_size)) return refuse(l, "cut short", k);
        if (s->sh_type != SHT_SYMTAB) continue;
        l->sym = (const Elf64_Sym *)(const void *)(l->at + s->sh_offset);
        l->nsym = (uint32_t)(s->sh_size / sizeof(Elf64_Sym));
        l->names = l->at + l->sec[s->sh_link].sh_offset;
    }
    return l->sym ? true : refuse(l, "no symbols", 0);
}

static void number_imports(Link *l) {
    l->import = NEW_N(l->arena, uint32_t, l->nsym);
    for (uint32_t k = 1; k < l->nsym; k++)
        if (l->sym[k].st_shndx == SHN_UNDEF && l->names[l->sym[k].st_name]) l->import[k] = ++l->nimport;
}

static bool place_sections(Link *l) {
    l->where = NEW_N(l->arena, uint64_t, l->head->e_shnum);
    l->size = 8 * (uint64_t)l->nimport;
    for (uint32_t k = 0; k < l->head->e_shnum; k++) {
        const Elf64_Shdr *s = &l->sec[k];
        l->where[k] = UINT64_MAX;
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_type != SHT_PROGBITS || !s->sh_size) continue;
        if (s->sh_flags & SHF_WRITE) return refuse(l, "a writable section", k);
        uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        l->size = (l->size + align - 1) / align * align;
        l->where[k] = l->size;
        l->size += s->sh_size;
    }
    l->stubs = (uint32_t)((l->size + 7) / 8 * 8);
    l->size = l->stubs + 8 * (uint64_t)l->nimport;
    if (l->size > INT32_MAX) return refuse(l, "too much code", l->size);
    l->code = NEW_N(l->arena, uint8_t, l->size);
    for (uint32_t k = 0; k < l->head->e_shnum; k++)
        if (l->where[k] != UINT64_MAX) memcpy(l->code + l->where[k], l->at + l->sec[k].sh_offset, l->sec[k].sh_size);
    return true;
}

static void put32(uint8_t *at, int64_t v) {
    uint32_t u = (uint32_t)(int32_t)v;
    memcpy(at, &u, 4);
}

/* jmp *slot(%rip) */
static void write_stubs(Link *l) {
    for (uint32_t k = 0; k < l->nimport; k++) {
        uint8_t *s = l->code + l->stubs + 8 * k;
        s[0] = 0xff;
        s[1] = 0x25;
        put32(s + 2, (int64_t)(8 * k) - (int64_t)(l->stubs + 8 * k + 6));
        s[6] = s[7] = 0xcc;
    }
}

/* The place in the code region that a symbol stands for; imports: their jump. */
static bool symbol_place(Link *l, uint32_t k, int64_t *out) {
    const Elf64_Sym *s = &l->sym[k];
    if (l->import[k]) {
        *out = (int64_t)l->stubs + 8 * (int64_t)(l->import[k] - 1);
        return true;
    }
    if (s->st_shndx >= l->head->e_shnum || l->where[s->st_shndx] == UINT64_MAX) return refuse(l, "a symbol outside the code", k);
    *out = (int64_t)(l->where[s->st_shndx] + s->st_value);
    return true;
}

static bool relocate(Link *l, uint32_t section, const Elf64_Rela *r) {
    uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info), k = (uint32_t)ELF64_R_SYM(r->r_info);
    if (k >= l->nsym || r->r_offset > l->sec[section].sh_size || l->sec[section].sh_size - r->r_offset < 4)
        return refuse(l, "a reference out of range", type);
    int64_t at = (int64_t)(l->where[section] + r->r_offset), to = 0;
    bool got = type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX || type == R_X86_64_REX_GOTPCRELX;
    if (got && l->import[k])
        to = 8 * (int64_t)(l->import[k] - 1);
    else if (type != R_X86_64_PC32 && type != R_X86_64_PLT32)
        return refuse(l, "unsupported reference", type);
    else if (!symbol_place(l, k, &to))
        return false;
    put32(l->code + at, to + r->r_addend - at);
    return true;
}

static bool relocate_all(Link *l) {
    for (uint32_t k = 0; k < l->head->e_shnum; k++) {
        const Elf64_Shdr *s = &l->sec[k];
        if (s->sh_type == SHT_REL && l->where[s->sh_info] != UINT64_MAX) return refuse(l, "references without addends", k);
        if (s->sh_type != SHT_RELA || s->sh_info >= l->head->e_shnum || l->where[s->sh_info] == UINT64_MAX) continue;
        const Elf64_Rela *r = (const Elf64_Rela *)(const void *)(l->at + s->sh_offset);
        for (uint64_t j = 0; j < s->sh_size / sizeof *r; j++)
            if (!relocate(l, s->sh_info, &r[j])) return false;
    }
    return true;
}

static void put_words(Str *out, const void *p, size_t n) { str_putn(out, p, n); }

static void write_image(Link *l, const uint64_t key[2], Str *out) {
    Str strings = str_make(l->arena), symbols = str_make(l->arena), imports = str_make(l->arena);
    ImageHeader h;
    memset(&h, 0, sizeof h);
    for (uint32_t k = 1; k < l->nsym; k++) {
        const Elf64_Sym *s = &l->sym[k];
        const char *name = l->names + s->st_name;
        if (l->import[k]) {
            uint32_t at = (uint32_t)strings.n;
            put_words(&imports, &at, sizeof at);
        } else if (ELF64_ST_TYPE(s->st_info) == STT_FUNC && l->where[s->st_shndx] != UINT64_MAX) {
            ImageSymbol x = {(uint32_t)strings.n, (uint32_t)(l->where[s->st_shndx] + s->st_value), (uint32_t)s->st_size};
            put_words(&symbols, &x, sizeof x);
            h.nsymbol++;
        } else {
            continue;
        }
        str_putn(&strings, name, strlen(name) + 1);
    }
    memcpy(h.magic, "RONDOIMG", 8);
    h.version = RONDO_EMITTER_VERSION;
    h.machine = l->head->e_machine;
    h.key[0] = key[0];
    h.key[1] = key[1];
    h.nimport = l->nimport;
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

bool image_link(Ctx *ctx, const char *object, size_t n, const uint64_t key[2], Str *out) {
    Link l;
    memset(&l, 0, sizeof l);
    l.ctx = ctx;
    l.arena = out->arena;
    l.at = object;
    l.n = n;
    if (!read_tables(&l)) return false;
    number_imports(&l);
    if (!place_sections(&l)) return false;
    write_stubs(&l);
    if (!relocate_all(&l)) return false;
    write_image(&l, key, out);
    return true;
}
