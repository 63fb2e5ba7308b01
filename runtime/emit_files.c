/* emit_files: how the emitted files are arranged.
   flat     NAME.h NAME.c (or what was compiled from it) NAME_README.md, NAME_test.c, NAME.blob
   single   the source stands in NAME.h behind NAME_IMPLEMENTATION, which one file of the program defines
   arduino  a library: library.properties, src/, examples/NAME/NAME.ino
   cmake    a project: CMakeLists.txt, include/, src/, test/ */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/emit_c.h"

const char *const layout_name[] = {"flat", "single", "arduino", "cmake", NULL}; /* by EmitLayout */

typedef struct {
    const char *path, *at;
    size_t n;
} File;

typedef struct {
    CModel *c;
    const char *dir;
    VEC(File) file;
    VEC(const char *) made; /* what was not there before: folders and files, in their order */
} Out;

static void put_file(Out *o, const char *name, const char *at, size_t n) {
    VEC_PUSH(o->c->a, o->file) = (File){arena_printf(o->c->a, "%s/%s", o->dir, name), at, n};
}

/* The folders of a path, as many levels as are missing. */
static bool make_folders(Out *o, const char *path) {
    for (const char *s = path; (s = strchr(s, '/')); s++) {
        const char *folder = arena_strndup(o->c->a, path, (size_t)(s - path));
        if (!*folder) continue;
        if (mkdir(folder, 0777) == 0) {
            VEC_PUSH(o->c->a, o->made) = folder;
        } else if (errno != EEXIST) {
            diag_error(o->c->ctx, 1, NOWHERE, "the folder '%s' cannot be made: %s", folder, strerror(errno));
            return false;
        }
    }
    return true;
}

/* All of them, or none that was not there before. */
static bool write_files(Out *o) {
    bool ok = true;
    for (uint32_t k = 0; ok && k < o->file.n; k++) {
        const File *f = &o->file.at[k];
        bool is_new = access(f->path, F_OK) != 0;
        ok = make_folders(o, f->path) && file_write(o->c->ctx, f->path, f->at, f->n);
        if (ok && is_new) VEC_PUSH(o->c->a, o->made) = f->path;
    }
    for (uint32_t k = o->made.n; !ok && k > 0; k--) (void)remove(o->made.at[k - 1]);
    return ok;
}

static void put_text(Out *o, const char *name, const char *text) { put_file(o, name, text, strlen(text)); }

static void put_single(Out *o) {
    CModel *c = o->c;
    Str s = str_make(c->a);
    str_putn(&s, c->h.at, c->h.n);
    str_printf(&s, "\n#ifdef %s_IMPLEMENTATION /* in one file of the program, before this header */\n", c->upper);
    const char *own = arena_printf(c->a, "#include \"%s.h\"\n", c->id), *at = strstr(c->c.at, own);
    if (at) {
        str_putn(&s, c->c.at, (size_t)(at - c->c.at));
        str_put(&s, at + strlen(own));
    }
    str_put(&s, "#endif\n");
    put_file(o, arena_printf(c->a, "%s.h", c->id), s.at, s.n);
    if (!c->t.n) return;
    Str t = str_make(c->a);
    str_printf(&t, "#define %s_IMPLEMENTATION\n%s", c->upper, c->t.at);
    put_file(o, arena_printf(c->a, "%s_test.c", c->id), t.at, t.n);
}

/* The blob as an array for the sketch, which has no files: of words, so that it is aligned. */
static const char *blob_array(CModel *c) {
    const char *at = c->blob.at;
    size_t bytes = c->m->f64 ? 8 : 4, n = c->blob.n / bytes;
    Str s = str_make(c->a);
    str_printf(&s, "/* %s.blob: weights of the recurrent network `%s` */\n#include <stdint.h>\n\nstatic const uint%zu_t %s_blob[%zu] = {", c->id, c->id, 8 * bytes, c->id, n);
    for (size_t i = 0; i < n; i++)
        str_printf(&s, "%s0x%0*llx%s,", i % (32 / bytes) ? " " : "\n    ", (int)(2 * bytes), (unsigned long long)load_le((const unsigned char *)at + i * bytes, (int)bytes),
                   bytes == 8 ? "ULL" : "UL");
    str_put(&s, "\n};\n");
    return s.at;
}

static void put_arduino(Out *o) {
    CModel *c = o->c;
    const char *readme = emit_readme(c), *begin = strstr(readme, "```c\n");
    const char *example = begin ? begin + 5 : "", *end = strstr(example, "```");
    bool blob = c->blob.n > 0;
    put_text(o, "library.properties",
             arena_printf(c->a,
                          "name=%s\nversion=1.0.0\nauthor=\nmaintainer=\nsentence=The recurrent network %s.\n"
                          "paragraph=Written by Rondo %s.\ncategory=Data Processing\nurl=\narchitectures=*\nincludes=%s.h\n",
                          c->id, name_str(c->ctx, c->m->desc->name), RONDO_VERSION, c->id));
    put_file(o, arena_printf(c->a, "src/%s.h", c->id), c->h.at, c->h.n);
    put_file(o, arena_printf(c->a, "src/%s.c", c->id), c->c.at, c->c.n);
    put_text(o, arena_printf(c->a, "examples/%s/%s.ino", c->id, c->id),
             arena_printf(c->a, "%s%.*s\nvoid setup() {}\n\nvoid loop() { example(%s); }\n", blob ? arena_printf(c->a, "#include \"%s_blob.h\"\n", c->id) : "",
                          end ? (int)(end - example) : 0, example, blob ? arena_printf(c->a, "%s_blob, sizeof %s_blob", c->id, c->id) : ""));
    if (blob) put_text(o, arena_printf(c->a, "examples/%s/%s_blob.h", c->id, c->id), blob_array(c));
}

static void put_cmake(Out *o) {
    CModel *c = o->c;
    Str s = str_make(c->a);
    str_printf(&s,
               "cmake_minimum_required(VERSION 3.13)\nproject(%s C)\n\nadd_library(%s src/%s.c)\n"
               "target_include_directories(%s PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)\nif(UNIX)\n  target_link_libraries(%s PUBLIC -lm)\nendif()\n",
               c->id, c->id, c->id, c->id, c->id);
    if (c->t.n) {
        str_printf(&s, "\nenable_testing()\nadd_executable(%s_test test/%s_test.c)\ntarget_link_libraries(%s_test PRIVATE %s)\n", c->id, c->id,
                   c->id, c->id);
        str_printf(&s, "add_test(NAME %s COMMAND %s_test%s)\n", c->id, c->id,
                   c->o->blob ? arena_printf(c->a, " ${CMAKE_CURRENT_SOURCE_DIR}/%s.blob", c->id) : "");
        put_file(o, arena_printf(c->a, "test/%s_test.c", c->id), c->t.at, c->t.n);
    }
    put_file(o, "CMakeLists.txt", s.at, s.n);
    put_file(o, arena_printf(c->a, "include/%s.h", c->id), c->h.at, c->h.n);
    put_file(o, arena_printf(c->a, "src/%s.c", c->id), c->c.at, c->c.n);
}

bool emit_files(CModel *c, const char *dir) {
    Out o = {.c = c, .dir = dir};
    EmitLayout layout = c->o->layout;
    if (layout == EMIT_SINGLE) {
        put_single(&o);
    } else if (layout == EMIT_ARDUINO) {
        put_arduino(&o);
    } else if (layout == EMIT_CMAKE) {
        put_cmake(&o);
    } else {
        Str made = str_make(c->a);
        if (c->o->kind && !emit_compile(c, &made)) return false;
        put_file(&o, arena_printf(c->a, "%s.h", c->id), c->h.at, c->h.n);
        put_file(&o, emit_source_name(c), c->o->kind ? made.at : c->c.at, c->o->kind ? made.n : c->c.n);
    }
    if (c->t.n && (layout == EMIT_FLAT || layout == EMIT_ARDUINO))
        put_file(&o, arena_printf(c->a, layout == EMIT_FLAT ? "%s_test.c" : "test/%s_test.c", c->id), c->t.at, c->t.n);
    bool own = layout == EMIT_ARDUINO || layout == EMIT_CMAKE; /* the folder is the library's */
    put_text(&o, own ? "README.md" : arena_printf(c->a, "%s_README.md", c->id), emit_readme(c));
    if (c->blob.n) put_file(&o, arena_printf(c->a, "%s.blob", c->id), c->blob.at, c->blob.n);
    return write_files(&o);
}
