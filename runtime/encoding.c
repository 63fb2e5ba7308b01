/* encoding: a whole file of text, as UTF-8 with or without a byte order mark; what is neither is refused at its place. */
#include <string.h>

#include "runtime/text.h"

static bool starts(const char *text, size_t n, const char *mark, size_t size) {
    return n >= size && memcmp(text, mark, size) == 0;
}

int64_t utf8_wrong(const char *text, size_t n) {
    for (size_t at = 0; at < n;) {
        int size = (unsigned char)text[at] < 0x80 ? 1 : utf8_size(text + at, n - at);
        if (!size) return (int64_t)at;
        at += (size_t)size;
    }
    return -1;
}

/* Every other byte of the first ones is 0, as it is where UTF-16 holds Latin letters. */
static bool half_empty(const char *text, size_t n) {
    size_t zero[2] = {0}, looked = n < 64 ? n & ~(size_t)1 : 64;
    for (size_t i = 0; i < looked; i++) zero[i % 2] += text[i] == 0;
    return looked >= 4 && (zero[0] == 0) != (zero[1] == 0) && zero[0] + zero[1] >= looked / 4;
}

static const char *wide_text(const char *text, size_t n) {
    if (starts(text, n, "\xff\xfe\0\0", 4) || starts(text, n, "\0\0\xfe\xff", 4)) return "UTF-32";
    if (starts(text, n, "\xff\xfe", 2) || starts(text, n, "\xfe\xff", 2)) return "UTF-16";
    return !half_empty(text, n) ? NULL : text[0] ? "UTF-16LE" : "UTF-16BE";
}

/* Files that are no text, by how they begin. */
static bool other_file(Ctx *ctx, const char *path, const char *text, size_t n) {
    static const struct {
        const char *mark, *what, *help;
        size_t size;
    } kind[] = {{"\x1f\x8b", "compressed (gzip)", "`gunzip -c '%s' >NEW` unpacks it", 2},
                {"BZh", "compressed (bzip2)", "`bunzip2 -c '%s' >NEW` unpacks it", 3},
                {"\xfd" "7zXZ", "compressed (xz)", "`xz -dc '%s' >NEW` unpacks it", 5},
                {"PK\3\4", "a zip archive, as workbooks (.xlsx, .ods) are", "a table is saved as CSV; `unzip '%s'` unpacks other archives", 4},
                {"\xd0\xcf\x11\xe0", "an old workbook or document (.xls, .doc)", "save the table of '%s' as CSV", 4},
                {"PAR1", "a Parquet file", "write '%s' as CSV, or its arrays as .npz", 4},
                {"\x89HDF", "an HDF5 file", "write the arrays of '%s' as .npz", 4},
                {"SQLite format 3", "a database", "`sqlite3 -csv -header '%s' 'select ..' >NEW.csv` writes a table of it", 15},
                {"%PDF", "a PDF", "Rondo reads texts and tables; '%s' is neither", 4},
                {"\x93NUMPY", "an array of NumPy", "arrays come together as .npz: numpy.savez('NEW.npz', x=.., y=..) of '%s'", 6}};
    for (size_t k = 0; k < sizeof kind / sizeof *kind; k++) {
        if (!starts(text, n, kind[k].mark, kind[k].size)) continue;
        diag_error(ctx, 620, NOWHERE, "%s:1:1: this is %s, no text", path, kind[k].what);
        diag_help(ctx, NOWHERE, kind[k].help, path);
        return true;
    }
    return false;
}

bool encoding_wide(Ctx *ctx, const char *path, const char *text, size_t n) {
    if (other_file(ctx, path, text, n)) return true;
    const char *wide = wide_text(text, n);
    if (!wide) return false;
    diag_error(ctx, 620, NOWHERE, "%s:1:1: this is %s; UTF-8 is needed", path, wide);
    diag_help(ctx, NOWHERE, "`iconv -f %s -t UTF-8 '%s' >NEW` writes it as UTF-8", wide, path);
    return true;
}

void encoding_help(Ctx *ctx, const char *path) {
    diag_help(ctx, NOWHERE, "of Latin-1, or what Windows takes for it, `iconv -f WINDOWS-1252 -t UTF-8 '%s' >NEW` makes UTF-8",
              path);
    diag_help(ctx, NOWHERE, "`unit = bytes` in the data block takes a text as it stands, byte by byte");
}

bool text_whole(Ctx *ctx, Arena *a, const char *path, Unit unit, char **text, size_t *n) {
    if (!file_read(ctx, a, path, text, n)) return false;
    if (starts(*text, *n, "\xef\xbb\xbf", 3)) {
        *text += 3;
        *n -= 3;
    }
    if (unit == UNIT_BYTES) return true;
    if (encoding_wide(ctx, path, *text, *n)) return false;
    int64_t wrong = utf8_wrong(*text, *n), line = 1, column = 1;
    const char *nul = memchr(*text, 0, wrong < 0 ? *n : (size_t)wrong);
    int64_t at = nul ? nul - *text : wrong;
    if (at < 0) return true;
    for (int64_t i = 0; i < at; i++) {
        bool ends = (*text)[i] == '\n';
        line += ends;
        column = ends ? 1 : column + 1;
    }
    diag_error(ctx, 620, NOWHERE, "%s:%lld:%lld: %s", path, (long long)line, (long long)column,
               at == wrong ? "this is not UTF-8" : "a NUL byte; is this a text?");
    if (at == wrong) encoding_help(ctx, path);
    return false;
}
