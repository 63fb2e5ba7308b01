/* segments: how much memory a loop program takes at given dims, and in how many segments it fits a budget. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/internal.h"

size_t resident_bytes(void) {
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r"); /* Linux; elsewhere the account begins with what Execs hold */
    if (!f) return 0;
    if (fscanf(f, "%lu %lu", &pages, &resident) != 2) resident = 0;
    fclose(f);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of a buffer; -1 when they are more than any memory. */
static int64_t buf_bytes(const LProgram *p, const LBuf *b, const int64_t *dim) {
    int64_t n = lextent_eval(&b->extent, dim), bytes;
    return n >= 0 && checked_mul(n, b->elem == LE_F && p->f64 ? 8 : 4, &bytes) ? bytes : -1;
}

/* Sequences are often whole pages long, and a step reads and writes the same place of each. So each of them begins a few lines further into a
   page than the one before: they do not all fall into one set of the first cache, and a load rarely has the place in its page of a store
   just before it, which it would wait for. Packs, which are only read, begin where a page does. */
enum { PAGE = 1 << 12, LINE = 64, APART = 7 * LINE };

/* Where a slot of so many bytes begins behind others; -1: too far. */
static int64_t place_slot(int64_t total, int64_t bytes, LBufRole role, uint32_t *large) {
    int64_t unit = bytes < PAGE ? LINE : PAGE;
    if (!checked_add(total, 2 * PAGE, &total)) return -1;
    total = (total - 2 * PAGE + unit - 1) / unit * unit;
    return bytes < PAGE || role != LB_SLAB ? total : total + (*large)++ * APART % PAGE;
}

int64_t program_bytes(const LProgram *p, LBufRole role, const int64_t *dim, int64_t *slot_at) {
    int64_t total = 0;
    uint32_t large = 0;
    for (uint32_t s = 0; s < p->nslot; s++) slot_at[s] = 0;
    for (uint32_t k = 0; k < p->buf.n; k++) {
        const LBuf *b = &p->buf.at[k];
        if (b->role != role) continue;
        int64_t bytes = buf_bytes(p, b, dim);
        if (bytes < 0) return -1;
        if (bytes > slot_at[b->slot]) slot_at[b->slot] = bytes;
    }
    for (uint32_t s = 0; s < p->nslot; s++) {
        int64_t bytes = slot_at[s];
        slot_at[s] = total = place_slot(total, bytes, role, &large);
        if (total < 0 || !checked_add(total, bytes, &total)) return -1;
    }
    return checked_add(total, LINE - 1, &total) ? total / LINE * LINE : -1;
}

enum { PARTS = 1000000 };

/* Cuts every axis into `parts` segments, or as many as there are blocks of rows. False when no axis has as many. */
static bool cut_dims(const LProgram *p, int64_t *dim, int64_t parts) {
    bool finer = parts == 1;
    for (uint32_t k = 0; k < p->cut.n; k++) {
        const LCut *c = &p->cut.at[k];
        int64_t B = dim[AXIS_B] > 1 ? dim[AXIS_B] : 1, T = dim[c->axis], block = (B + CUT_ROWS - 1) / B;
        int64_t blocks = (T + block - 1) / block, n = parts < blocks ? parts : blocks;
        finer |= parts <= blocks;
        dim[c->steps] = n > 0 ? (blocks + n - 1) / n * block : block;
        dim[c->count] = T > dim[c->steps] ? (T + dim[c->steps] - 1) / dim[c->steps] : 1;
    }
    return finer;
}

/* Those with the least scratch, not as few as some budget allows: a segment that stays in the caches is the fastest too. */
int64_t choose_segments(const LProgram *p, int64_t *dim, int64_t *slot_at) {
    int64_t least = -1, best = 1;
    for (int64_t parts = 1; parts <= PARTS && cut_dims(p, dim, parts); parts += 1 + parts / 64) {
        int64_t bytes = program_bytes(p, LB_SLAB, dim, slot_at);
        if (bytes >= 0 && (least < 0 || bytes < least)) {
            least = bytes;
            best = parts;
        }
    }
    cut_dims(p, dim, best);
    return least < 0 ? least : program_bytes(p, LB_SLAB, dim, slot_at);
}

double recompute_factor(const LProgram *p, const int64_t *dim) {
    double work = 0, plain = 0;
    for (uint32_t k = 0; k < p->cut.n; k++) {
        work += p->cut.at[k].work * (double)dim[p->cut.at[k].axis];
        plain += p->cut.at[k].plain * (double)dim[p->cut.at[k].axis];
    }
    return plain > 0 ? work / plain : 1;
}

/* The largest buffers of a program's scratch, largest first. */
uint32_t largest_values(const LProgram *p, const int64_t *dim, MemoryValue *out, uint32_t most) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->buf.n; k++) {
        const LBuf *b = &p->buf.at[k];
        MemoryValue v = {name_str(p->ctx, b->name), b->role == LB_SLAB ? buf_bytes(p, b, dim) : 0};
        uint32_t i = n < most ? n : most;
        if (v.bytes <= 0) continue;
        for (; i > 0 && out[i - 1].bytes < v.bytes; i--)
            if (i < most) out[i] = out[i - 1];
        if (i < most) out[i] = v;
        n += n < most;
    }
    return n;
}
