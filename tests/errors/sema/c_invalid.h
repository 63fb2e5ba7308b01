#include "no_such_header.h"
static inline float f(float x) { return x +; }
static inline float g(float x) { return y; }
