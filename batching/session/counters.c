// SPDX-License-Identifier: PostgreSQL
#include "batching/session/counters.h"

#include <string.h>

enum { PLAIN = false, BY_REASON = true };

static const struct counter counters[] = {
#define X(field, name, labels, kind, by, line, phrase, help)                                                 \
    {name,                                                                                                   \
     labels,                                                                                                 \
     phrase,                                                                                                 \
     help,                                                                                                   \
     COUNTER_##kind,                                                                                         \
     by,                                                                                                     \
     COUNTER_LINE_##line,                                                                                    \
     offsetof(struct engine_counters, field)},
    PGFOLD_COUNTERS(X)
#undef X
};

const struct counter *counter_at(unsigned i) {
    return i < sizeof counters / sizeof *counters ? &counters[i] : NULL;
}

uint64_t counter_value(const struct engine_counters *c, const struct counter *k, enum reason r) {
    uint64_t value;
    size_t at = k->at + (k->by_reason ? (size_t)r * sizeof value : 0);
    memcpy(&value, (const char *)c + at, sizeof value);
    return value;
}
