/* The one place for what ISO C11 does not have. Everything else in our sources is standard C with POSIX. */
#ifndef RONDO_PORT_H
#define RONDO_PORT_H

#if defined(__GNUC__) || defined(__clang__)
#define PORT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PORT_NORETURN _Noreturn
#define PORT_ALWAYS_INLINE __attribute__((always_inline)) inline
#else
#define PORT_PRINTF(f, a)
#define PORT_NORETURN _Noreturn
#define PORT_ALWAYS_INLINE inline
#endif

/* What librondo.so exports; everything else is hidden (-fvisibility=hidden). */
#if defined(__GNUC__) || defined(__clang__)
#define PORT_EXPORT __attribute__((visibility("default")))
#else
#define PORT_EXPORT
#endif

#endif
