// SPDX-License-Identifier: PostgreSQL
//
// A lookup whose answer was loaded ahead is found and answered. ahead/ahead.h says which answers may be
// given.
#ifndef PGFOLD_BATCHING_FLOW_FIND_H
#define PGFOLD_BATCHING_FLOW_FIND_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// An answer that was found. The caller must give it (ahead_give) or count it as stale: its key is used up.
struct ahead_hit {
    struct ahead *ahead;
    struct batch *batch;
    uint32_t key;                   // index into the batch's keys
    bool first;                     // the key had not been asked for
    bool own;                       // the batch is the session's own, loaded over its own connection
    bool named;                     // the answer before has named what is asked for
    struct key keys[KEY_MAX_PARTS]; // the lookup's key; texts are borrowed from it
};

// Looks for the lookup with these key values (as sent, one for each part of the group) among what is loaded
// or being loaded. `question`: its hash. `asked`: what is known of the last time that the session asked the same
// (ahead/asked.h); NULL: it did not. True: *hit is its answer. Either way the key counts as used in each
// batch that has it.
bool ahead_find(struct session *s, struct group *g, const struct slice *raw, uint64_t question,
                const struct asked_entry *asked, struct ahead_hit *hit) __attribute__((warn_unused_result));

// Is something held or being loaded for the lookup that may be given inside the session's transaction? Uses
// nothing up. It may still be refused when it is asked for.
bool ahead_holds(struct session *s, const struct group *g, const struct slice *raw);

// The same for any lookup, outside a transaction, too.
bool ahead_holds_any(struct session *s);

// Answers the lookup now, or when the batch ends. The lookup is in its session's order, and in no queue. May
// free it.
void ahead_give(const struct ahead_hit *hit, struct lookup *l);

// Of several lookups in one unit: is something held for the session itself that was sent with a burst of its own, and that it may be
// given? Uses nothing up. `asked`: as above.
bool ahead_holds_burst(struct session *s, const struct group *g, const struct slice *raw,
                       const struct asked_entry *asked);

// Answers the lookup, which waits in its group's queue, with that. False: it is not there any more. May free all lookups of its unit.
bool ahead_give_burst(struct lookup *l) __attribute__((warn_unused_result));

// Mode observe: notes that the session would have been given it.
void ahead_give_dry(struct session *s, const struct ahead_hit *hit, uint64_t question);

// A lender's client that does not read would delay the members of a batch loaded ahead, whose replies come
// behind its own. Such members run alone. To be called in each turn.
void ahead_give_back_stalled(struct engine *e);

// Walks over the trails that may serve the session's lookups of this group: its own, then those of other
// sessions of its identity. Begin with `a` NULL and *i 0. Returns NULL: no more.
struct ahead *ahead_next(struct session *s, const struct group *g, struct ahead *a, unsigned *i);

#endif
