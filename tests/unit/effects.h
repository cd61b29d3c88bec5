// SPDX-License-Identifier: PostgreSQL
//
// Effects of an engine that a test or fuzzer has no use for.
#ifndef PGFOLD_TESTS_UNIT_EFFECTS_H
#define PGFOLD_TESTS_UNIT_EFFECTS_H

#include "batching/session/engine.h"

static inline void nothing(void *owner) {
    (void)owner;
}

static inline bool cancel_is_sent(void *owner) {
    (void)owner;
    return true;
}

static inline void no_log(void *ctx, enum reason reason, uint64_t session, const char *message) {
    (void)ctx;
    (void)reason;
    (void)session;
    (void)message;
}

#endif
