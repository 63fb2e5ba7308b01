/* guard: running out of memory as a return value, for those who hold what is not an arena's. */
#include "runtime/internal.h"

int guard_call(Ctx *ctx, bool (*fn)(void *arg), void *arg) {
    CtxFrame frame;
    if (CTX_TRY(ctx, &frame)) {
        bool ok = fn(arg);
        CTX_END(ctx);
        return ok;
    }
    return -1;
}
