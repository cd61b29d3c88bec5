// SPDX-License-Identifier: PostgreSQL
//
// A lookup that is forwarded in one flight behind the BEGIN of its transaction. It is remembered until it is
// answered: then the keys that its loop will ask for next are loaded (flow/load.h).
#ifndef PGFOLD_BATCHING_SESSION_BEHIND_H
#define PGFOLD_BATCHING_SESSION_BEHIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/session/session.h"
#include "batching/statement/key.h"
#include "protocol/message.h"

struct behind {
    struct group *group; // pinned
    uint64_t question;   // its hash (ahead/asked.h)
    bool again;          // the session had asked for the same before
    bool settled;        // the session had lookups of its group a moment ago (ahead/recent.h)
    struct slice raw[KEY_MAX_PARTS];
    struct account *memory;
    size_t weighs, len;
    uint8_t bytes[]; // the unit as the client sent it; `raw` points into it
};

// Does the FORWARD entry begin a transaction, and do nothing else? And: one in READ COMMITTED?
bool behind_any_begin(const struct owed *o);
bool behind_begin(const struct owed *o);

// Copies the unit. `raw`: the values of its key, which point into it. NULL: out of memory.
struct behind *behind_create(struct session *s, struct group *g, const struct slice *raw, uint64_t question,
                             const uint8_t *bytes, size_t len);

// Takes NULL.
void behind_free(struct behind *b);

#endif
