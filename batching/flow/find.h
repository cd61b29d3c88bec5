// SPDX-License-Identifier: PostgreSQL
//
// A lookup that was loaded ahead is found and answered.
#ifndef PGFOLD_BATCHING_FLOW_FIND_H
#define PGFOLD_BATCHING_FLOW_FIND_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// An answer that was found: yours to give.
struct ahead_hit {
    struct ahead *ahead;
    struct batch *batch;
    uint32_t key;
    struct key keys[KEY_MAX_PARTS]; // the lookup's; texts are borrowed from it
};

// Is the lookup with these key values (as sent, by the group's parts) loaded, or being loaded? The answer
// counts as used then. `asked`: it was asked for before, when the session had read so many lists (see
// asked.h); NULL: it was not.
bool ahead_find(struct session *s, struct group *g, const struct slice *raw, const uint32_t *asked,
                struct ahead_hit *hit) __attribute__((warn_unused_result));

// The lookup is answered by it, now or when its batch ends. The lookup is in its session's order, and in no
// queue.
void ahead_give(const struct ahead_hit *hit, struct lookup *l);

// Whose client does not read delays no others: those whose answers come behind its own run alone.
void ahead_give_back_stalled(struct engine *e);

struct ahead *ahead_next(struct session *s, struct ahead *a, unsigned *i);

#endif
