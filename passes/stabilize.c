/* stabilize: to come. */
#include "passes/passes.h"
bool pass_stabilize(Module *m, const PassOptions *o)
{
    (void)m;
    (void)o;
    return false;
}
