#include <math.h>
typedef struct { float a; } pair;
static float counter;
static inline float to_int(float x) { return (float)((int)x % 2); }
static inline float outside(float x) { return x + counter; }
static inline float keeps(float x) { static float last; float y = last; last = x; return y; }
static inline float rounds(float x) { float y = 0; while (x > 1) { x *= 0.5f; y += 1; } return y; }
static inline float nothing(float x) { if (x > 0) return x; }
static inline float recursive(float x) { return x > 1 ? recursive(x - 1) : x; }
static inline float pointer(float *x) { return *x; }
static inline float structure(float x) { pair p = {x}; return p.a; }
static inline float unknown(float x) { return lgammaf(x); }
static inline float unset(float x) { float y; if (x > 0) y = 1; return y + x; }
static inline float endless(float x) { for (int i = 0; i >= 0; i++) x += 1; return x; }
static inline float writes(float x) { float y = 0; return x > 0 && (y = x) > 1 ? y : x; }
static inline float switches(float x) { switch (1) { case 1: return x; } return 0; }
static inline float leaves(float x) { for (int i = 0; i < 3; i++) { if (x > i) break; x += 1; } return x; }
static inline float index_of(float x) { static const float t[2] = {1, 2}; return t[2] * x; }
static inline int whole(int n) { return n; }
static inline float none(void) { return 1; }
static inline void empty(float x) { (void)x; }
static inline float long_double(long double x) { return (float)x; }
static inline float overflow(float x) { return x * (2000000000 + 2000000000); }
