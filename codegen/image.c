/* image: checks and maps images. Memory is never writable and executable at once. */
#include "codegen/image.h"
#include "codegen/plugin.h"
#include "base/port_cpu.h"
#include "ir/sleef.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static ImageHeader header_of(const char *image) {
    ImageHeader h;
    memcpy(&h, image, sizeof h);
    return h;
}

static uint64_t checksum(const char *image, const ImageHeader *h) {
    return hash_words(h->nsymbol, image + sizeof *h, (size_t)h->size - sizeof *h);
}

/* The parts follow one another without gaps, so sizes say everything. */
static bool parts_fit(const ImageHeader *h) {
    uint64_t at = sizeof *h;
    if (h->imports != at) return false;
    at += 4 * (uint64_t)h->nimport;
    if (h->symbols != at) return false;
    at += sizeof(ImageSymbol) * (uint64_t)h->nsymbol;
    if (h->strings != at) return false;
    at += h->string_size;
    return h->code == at && h->size == at + h->code_size && h->code_size >= 8 * (uint64_t)h->nimport;
}

void image_seal(char *image, uint32_t instructions, uint32_t instructions_shared) {
    ImageHeader h = header_of(image);
    h.instructions = instructions;
    h.instructions_shared = instructions_shared;
    h.checksum = checksum(image, &h);
    memcpy(image, &h, sizeof h);
}

bool image_valid(const char *at, size_t n, const uint64_t key[2]) {
    if (n < sizeof(ImageHeader)) return false;
    ImageHeader h = header_of(at);
    if (memcmp(h.magic, "RONDOIMG", 8) != 0 || h.version != RONDO_EMITTER_VERSION || h.size != n) return false;
    if (h.key[0] != key[0] || h.key[1] != key[1] || !parts_fit(&h)) return false;
    if (h.string_size && at[h.strings + h.string_size - 1]) return false;
    return h.checksum == checksum(at, &h);
}

void image_counts(const char *image, uint32_t *instructions, uint32_t *instructions_shared) {
    ImageHeader h = header_of(image);
    *instructions = h.instructions;
    *instructions_shared = h.instructions_shared;
}

static uint32_t word(const char *at) {
    uint32_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

uint32_t image_find(const char *image, const char *name) {
    ImageHeader h = header_of(image);
    for (uint32_t k = 0; k < h.nsymbol; k++) {
        ImageSymbol s;
        memcpy(&s, image + h.symbols + k * sizeof s, sizeof s);
        if (s.name < h.string_size && s.offset < h.code_size && strcmp(image + h.strings + s.name, name) == 0) return s.offset;
    }
    return UINT32_MAX;
}

/* SLEEF is linked into us; its vector functions are found by name, in the process or in its library. */
static void *find_import(const char *name) {
    void *at = NULL;
    void (*scalar)(void) = sleef_scalar_address(name);
    if (scalar) {
        memcpy(&at, &scalar, sizeof at);
        return at;
    }
    void *self = dlopen(NULL, RTLD_LAZY);
    if (self) {
        at = dlsym(self, name);
        dlclose(self);
    }
    if (at || strncmp(name, "Sleef_", 6) != 0) return at;
    void *sleef = dlopen("libsleef.so.3", RTLD_LAZY); /* stays open: the code refers to it */
    return sleef ? dlsym(sleef, name) : NULL;
}

bool image_load(Ctx *ctx, const char *image, LoadedImage *out) {
    ImageHeader h = header_of(image);
    long page = sysconf(_SC_PAGESIZE);
    size_t size = ((size_t)h.code_size + (size_t)page - 1) / (size_t)page * (size_t)page;
    char *base = mmap(NULL, size ? size : (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        diag_error(ctx, 900, (Span){0, 0}, "no memory for %zu bytes of machine code", size);
        return false;
    }
    *out = (LoadedImage){base, size};
    memcpy(base, image + h.code, h.code_size);
    for (uint32_t k = 0; k < h.nimport; k++) {
        const char *name = image + h.strings + word(image + h.imports + 4 * k);
        void *at = find_import(name);
        if (!at) {
            diag_error(ctx, 803, (Span){0, 0}, "machine code needs `%s`, which this process does not have", name);
            image_unload(out);
            return false;
        }
        memcpy(base + 8 * (size_t)k, &at, sizeof at);
    }
    if (mprotect(base, size, PROT_READ | PROT_EXEC) != 0) {
        diag_error(ctx, 803, (Span){0, 0}, "the system does not let generated machine code run");
        image_unload(out);
        return false;
    }
    port_flush_code(base, size);
    return true;
}

void image_unload(LoadedImage *l) {
    if (l->base) munmap(l->base, l->size);
    l->base = NULL;
}
