/* pack: modules and loop programs as bytes, for keys and for the cache. Every field goes along, so two that differ in anything
   differ in bytes; names go as texts, so that bytes do not depend on a context. They are of this build alone: whoever keeps
   them keeps them under its identity (rondo_compiler_id). */
#ifndef RONDO_PACK_H
#define RONDO_PACK_H

#include "ir/graph.h"
#include "ir/loop.h"

extern const char rondo_compiler_id[]; /* of the sources of base, ir, passes and codegen (cmake/compiler_id.cmake) */

void module_pack(Str *out, const Module *m);
void lprogram_pack(Str *out, const LProgram *p);

/* The next one of bytes[0..n), from *at on; *at moves behind it. NULL: they end too early, or refer to something outside of them. No
   bytes make it step outside of memory; but whether what they say is a sound module is for module_verify, or a checksum. */
Module *module_unpack(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t *at);
LProgram *lprogram_unpack(Ctx *ctx, Arena *a, const char *bytes, size_t n, size_t *at);

#endif
