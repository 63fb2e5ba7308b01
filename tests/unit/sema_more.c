#include "tests/unit/sema.h"
void test_unroll(void) {}
void test_mutations(const char *seed, int rounds) { (void)seed, (void)rounds; }
