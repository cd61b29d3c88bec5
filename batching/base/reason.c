// SPDX-License-Identifier: PostgreSQL
//
// The names and texts of the reasons, from the table in reason.h.
#include "batching/base/reason.h"

static const struct {
    const char *name, *text;
} reasons[REASON_COUNT] = {
#define X(name, id, text) {id, text},
    PGFOLD_REASONS(X)
#undef X
};

const char *reason_name(enum reason r) {
    return (unsigned)r < REASON_COUNT ? reasons[r].name : "unknown";
}

const char *reason_text(enum reason r) {
    return (unsigned)r < REASON_COUNT ? reasons[r].text : "unknown";
}
