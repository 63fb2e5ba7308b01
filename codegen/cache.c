/* cache: images, plans and notes by key, one file each. Files appear by rename and carry a checksum, so concurrent processes, full disks and
   damage cost a compilation at most. Nothing here reports an error: without a cache everything still works. */
#include "codegen/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_FILE_MAX = 256 << 20, CACHE_MAX = 1 << 30 }; /* of one file, of all */

static void make_folders(char *path) {
    for (char *s = path + 1; *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        mkdir(path, 0700);
        *s = '/';
    }
    mkdir(path, 0700);
}

const char *cache_folder(Arena *a, const char *wanted) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (wanted && !*wanted) return NULL;
    if (wanted) return arena_strdup(a, wanted);
    if (xdg && xdg[0] == '/') return arena_printf(a, "%s/rondo", xdg);
    return home && home[0] == '/' ? arena_printf(a, "%s/.cache/rondo", home) : NULL;
}

static char *file_of(Arena *a, const char *folder, const uint64_t key[2], const char *end) {
    return arena_printf(a, "%s/%016" PRIx64 "%016" PRIx64 ".%s", folder, key[0], key[1], end);
}

static bool read_all(int fd, char *at, size_t n) {
    while (n) {
        ssize_t got = read(fd, at, n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const char *at, size_t n) {
    while (n) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

/* What others could have written is not run. */
static bool trusted(const struct stat *s) {
    return S_ISREG(s->st_mode) && s->st_uid == geteuid() && !(s->st_mode & (S_IWGRP | S_IWOTH));
}

static const char *read_image(Arena *a, int fd, const uint64_t key[2], size_t *n) {
    struct stat s;
    if (fstat(fd, &s) != 0 || !trusted(&s) || s.st_size < (off_t)sizeof(ImageHeader) || s.st_size > CACHE_FILE_MAX) return NULL;
    *n = (size_t)s.st_size;
    char *image = NEW_N(a, char, *n);
    return read_all(fd, image, *n) && image_valid(image, *n, key) ? image : NULL;
}

typedef const char *ReadFile(Arena *a, int fd, const uint64_t key[2], size_t *n);

static const char *get_file(Arena *a, const char *path, const uint64_t key[2], size_t *n, ReadFile *fn) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CtxFrame frame;
    if (fd < 0) return NULL;
    if (CTX_TRY(a->ctx, &frame)) {
        const char *bytes = fn(a, fd, key, n);
        CTX_END(a->ctx);
        if (bytes) futimens(fd, NULL); /* cache_trim takes what was not used for longest */
        close(fd);
        return bytes;
    }
    close(fd);
    ctx_out_of_memory(a->ctx);
}

const char *cache_get(Arena *a, const char *folder, const uint64_t key[2], size_t *n) {
    return get_file(a, file_of(a, folder, key, "img"), key, n, read_image);
}

/* ---- its size ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *path;
    struct timespec used;
    int64_t size;
} Kept;

static int by_age(const void *x, const void *y) {
    const Kept *a = x, *b = y;
    if (a->used.tv_sec != b->used.tv_sec) return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
    return a->used.tv_nsec < b->used.tv_nsec ? -1 : a->used.tv_nsec > b->used.tv_nsec;
}

typedef VEC(Kept) KeptFiles;

/* Returns their size. */
static int64_t files_of(Arena *a, const char *folder, DIR *dir, KeptFiles *kept) {
    int64_t sum = 0;
    struct dirent *entry;
    struct stat s;
    while ((entry = readdir(dir)) != NULL) {
        const char *path = arena_printf(a, "%s/%s", folder, entry->d_name);
        if (lstat(path, &s) != 0 || !S_ISREG(s.st_mode)) continue;
        VEC_PUSH(a, *kept) = (Kept){path, s.st_mtim, (int64_t)s.st_size};
        sum += (int64_t)s.st_size;
    }
    return sum;
}

static void trim(Arena *a, const char *folder, DIR *dir, int64_t most) {
    KeptFiles kept = {0};
    int64_t sum = files_of(a, folder, dir, &kept);
    if (sum <= most) return;
    qsort(kept.at, kept.n, sizeof *kept.at, by_age);
    for (uint32_t i = 0; i < kept.n && sum > most / 4 * 3; i++)
        if (unlink(kept.at[i].path) == 0) sum -= kept.at[i].size;
}

void cache_trim(Arena *a, const char *folder, int64_t most) {
    CtxFrame frame;
    DIR *dir = opendir(folder);
    if (!dir) return;
    if (CTX_TRY(a->ctx, &frame)) {
        trim(a, folder, dir, most);
        CTX_END(a->ctx);
        closedir(dir);
        return;
    }
    closedir(dir);
    ctx_out_of_memory(a->ctx);
}

static void put_file(Arena *a, const char *folder, const uint64_t key[2], const char *end, const char *text, size_t n) {
    const char *file = file_of(a, folder, key, end);
    make_folders(arena_strdup(a, folder));
    char *temp = arena_printf(a, "%s/new-XXXXXX", folder);
    int fd = mkstemp(temp);
    if (fd < 0) return;
    bool ok = write_all(fd, text, n);
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temp, file) != 0) unlink(temp);
    if (key[0] % 16 == 0) cache_trim(a, folder, CACHE_MAX); /* not every time: it reads the whole folder */
}

void cache_put(Arena *a, const char *folder, const uint64_t key[2], const char *image, size_t n) {
    put_file(a, folder, key, "img", image, n);
}

/* ---- plans -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char magic[8];
    uint64_t key[2], checksum; /* of all that follows */
} PlanHeader;

static const char *read_plan(Arena *a, int fd, const uint64_t key[2], size_t *n) {
    struct stat s;
    PlanHeader h;
    if (fstat(fd, &s) != 0 || !trusted(&s) || s.st_size < (off_t)sizeof h || s.st_size > CACHE_FILE_MAX || !read_all(fd, (char *)&h, sizeof h)) return NULL;
    *n = (size_t)s.st_size - sizeof h;
    char *bytes = NEW_N(a, char, *n);
    bool good = read_all(fd, bytes, *n) && !memcmp(h.magic, "RONDOPLN", 8) && h.key[0] == key[0] && h.key[1] == key[1];
    return good && h.checksum == hash_words(key[0], bytes, *n) ? bytes : NULL;
}

const char *cache_plan(Arena *a, const char *cache_dir, const uint64_t key[2], size_t *n) {
    const char *folder = cache_folder(a, cache_dir);
    return folder ? get_file(a, file_of(a, folder, key, "plan"), key, n, read_plan) : NULL;
}

void cache_plan_put(Arena *a, const char *cache_dir, const uint64_t key[2], const char *bytes, size_t n) {
    const char *folder = cache_folder(a, cache_dir);
    PlanHeader h = {"RONDOPLN", {key[0], key[1]}, hash_words(key[0], bytes, n)};
    Str s = str_make(a);
    if (!folder || n > CACHE_FILE_MAX - sizeof h) return;
    str_putn(&s, (const char *)&h, sizeof h);
    str_putn(&s, bytes, n);
    put_file(a, folder, key, "plan", s.at, s.n);
}

/* ---- notes -------------------------------------------------------------------------------------------------------------- */

enum { NOTE_MAX = 4096 };

const char *cache_note(Arena *a, const char *cache_dir, const uint64_t key[2]) {
    const char *folder = cache_folder(a, cache_dir), *text = NULL;
    struct stat s;
    int fd = folder ? open(file_of(a, folder, key, "note"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0) return NULL;
    char *room = arena_alloc(a, NOTE_MAX + 1);
    if (fstat(fd, &s) == 0 && trusted(&s) && s.st_size <= NOTE_MAX && read_all(fd, room, (size_t)s.st_size)) {
        room[s.st_size] = 0;
        text = room;
    }
    close(fd);
    return text;
}

void cache_note_put(Arena *a, const char *cache_dir, const uint64_t key[2], const char *text) {
    const char *folder = cache_folder(a, cache_dir);
    if (folder && strlen(text) <= NOTE_MAX) put_file(a, folder, key, "note", text, strlen(text));
}
