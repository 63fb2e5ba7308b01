/* jit_debug: tells perf (/tmp/perf-PID.map) and gdb (its JIT interface) the names of generated functions. gdb gets an ELF
   object with one section, the mapped code, and the symbols. */
#include "codegen/image.h"

#include <elf.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* gdb's interface: it knows these names and sets a breakpoint in the function. */
typedef struct JitCode {
    struct JitCode *next, *prev;
    const char *file;
    uint64_t size;
} JitCode;

typedef struct {
    uint32_t version, action;
    JitCode *relevant, *first;
} JitDescriptor;

enum { JIT_NOTHING, JIT_ADD, JIT_REMOVE };

PORT_EXPORT extern JitDescriptor __jit_debug_descriptor;
JitDescriptor __jit_debug_descriptor = {1, JIT_NOTHING, NULL, NULL};
PORT_EXPORT void __jit_debug_register_code(void);
static volatile int registered; /* keeps the function from being empty, and so from being inlined */
void __jit_debug_register_code(void) { registered++; }

struct JitDebug {
    JitCode code;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void perf_map(const char *image, const ImageHeader *h, const LoadedImage *l, const char *program) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    FILE *f = fopen(path, "a");
    if (!f) return;
    for (uint32_t k = 0; k < h->nsymbol; k++) {
        ImageSymbol s;
        memcpy(&s, image + h->symbols + k * sizeof s, sizeof s);
        fprintf(f, "%llx %x rondo:%s.%s\n", (unsigned long long)(uintptr_t)(l->base + s.offset), s.size, program,
                image + h->strings + s.name);
    }
    fclose(f);
}

enum { SEC_TEXT = 1, SEC_SYM, SEC_STR, SEC_COUNT };

typedef struct {
    Elf64_Ehdr head;
    Elf64_Shdr sec[SEC_COUNT];
} DebugHead;

static void describe(DebugHead *d, const ImageHeader *h, const LoadedImage *l, uint64_t nsym, uint64_t strings) {
    memcpy(d->head.e_ident, ELFMAG, SELFMAG);
    d->head.e_ident[EI_CLASS] = ELFCLASS64;
    d->head.e_ident[EI_DATA] = ELFDATA2LSB;
    d->head.e_ident[EI_VERSION] = EV_CURRENT;
    d->head.e_type = ET_REL;
    d->head.e_machine = (Elf64_Half)h->machine;
    d->head.e_version = EV_CURRENT;
    d->head.e_ehsize = sizeof d->head;
    d->head.e_shoff = offsetof(DebugHead, sec);
    d->head.e_shentsize = sizeof(Elf64_Shdr);
    d->head.e_shnum = SEC_COUNT;
    d->head.e_shstrndx = SEC_STR;
    d->sec[SEC_TEXT] = (Elf64_Shdr){.sh_name = 1, .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                    .sh_addr = (Elf64_Addr)(uintptr_t)l->base, .sh_size = l->size, .sh_addralign = 64};
    d->sec[SEC_SYM] = (Elf64_Shdr){.sh_name = 7, .sh_type = SHT_SYMTAB, .sh_offset = sizeof *d, .sh_size = nsym * sizeof(Elf64_Sym),
                                   .sh_link = SEC_STR, .sh_info = 1, .sh_addralign = 8, .sh_entsize = sizeof(Elf64_Sym)};
    d->sec[SEC_STR] = (Elf64_Shdr){.sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = sizeof *d + nsym * sizeof(Elf64_Sym),
                                   .sh_size = strings, .sh_addralign = 1};
}

static const char names[] = "\0.text\0.symtab\0.strtab"; /* offsets 1, 7, 15 */

static size_t debug_size(const ImageHeader *h) {
    return sizeof(DebugHead) + ((size_t)h->nsymbol + 1) * sizeof(Elf64_Sym) + sizeof names + h->string_size;
}

/* The object gdb reads, in one block of zeros. */
static void debug_file(char *at, const char *image, const ImageHeader *h, const LoadedImage *l) {
    uint64_t nsym = h->nsymbol + 1, strings = sizeof names + h->string_size;
    DebugHead d;
    memset(&d, 0, sizeof d);
    describe(&d, h, l, nsym, strings);
    memcpy(at, &d, sizeof d);
    at += sizeof d + sizeof(Elf64_Sym); /* symbol 0 is empty */
    for (uint32_t k = 0; k < h->nsymbol; k++, at += sizeof(Elf64_Sym)) {
        ImageSymbol s;
        memcpy(&s, image + h->symbols + k * sizeof s, sizeof s);
        Elf64_Sym out = {.st_name = (Elf64_Word)(sizeof names + s.name), .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                         .st_shndx = SEC_TEXT, .st_value = s.offset, .st_size = s.size};
        memcpy(at, &out, sizeof out);
    }
    memcpy(at, names, sizeof names);
    memcpy(at + sizeof names, image + h->strings, h->string_size);
}

JitDebug *jit_debug_add(Ctx *ctx, const char *image, const LoadedImage *l, const char *program) {
    ImageHeader h;
    memcpy(&h, image, sizeof h);
    size_t n = debug_size(&h);
    JitDebug *d = ctx_alloc(ctx, sizeof *d + n); /* the file stands behind it */
    char *file = (char *)(d + 1);
    debug_file(file, image, &h, l);
    d->code.file = file;
    d->code.size = n;
    pthread_mutex_lock(&lock);
    perf_map(image, &h, l, program);
    d->code.next = __jit_debug_descriptor.first;
    if (d->code.next) d->code.next->prev = &d->code;
    __jit_debug_descriptor.first = __jit_debug_descriptor.relevant = &d->code;
    __jit_debug_descriptor.action = JIT_ADD;
    __jit_debug_register_code();
    pthread_mutex_unlock(&lock);
    return d;
}

void jit_debug_remove(Ctx *ctx, JitDebug *d) {
    pthread_mutex_lock(&lock);
    if (d->code.prev)
        d->code.prev->next = d->code.next;
    else
        __jit_debug_descriptor.first = d->code.next;
    if (d->code.next) d->code.next->prev = d->code.prev;
    __jit_debug_descriptor.relevant = &d->code;
    __jit_debug_descriptor.action = JIT_REMOVE;
    __jit_debug_register_code();
    pthread_mutex_unlock(&lock);
    ctx_free(ctx, d);
}
