// SPDX-License-Identifier: PostgreSQL
//
// A lookup's places: its group's queue, the group's count of lookups under way, and a batch. It enters the
// queue here and leaves each of them only here. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_LOOKUP_H
#define PGFOLD_BATCHING_SESSION_LOOKUP_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Appends the lookup to its group's queue, and lists the group for the end of the turn.
void lookup_wait(struct engine *e, struct lookup *l);

// Takes it out of that queue. Its state stays LOOKUP_WAITING: the caller sets the next one.
void lookup_detach_waiting(struct lookup *l);

// Takes it out of its batch. The caller sets the next state.
void lookup_leave_batch(struct lookup *l);

// It no longer counts as under way in its group. It may have been uncounted already. `l->group` may be freed
// after that.
void lookup_uncount(struct engine *e, struct lookup *l);

// Frees the lookup and all that it refers to. It must be in no queue, order or batch.
void lookup_free(struct engine *e, struct lookup *l);

// How many lookups of a session may be under way. All of them may have to be sent to its own server
// connection at once, so the queue of owed replies bounds them, too.
unsigned session_max_lookups(const struct session *s);

#endif
