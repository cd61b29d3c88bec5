// SPDX-License-Identifier: PostgreSQL
//
// A lookup's places: in its group's queue and in a batch. Each is left here alone.
#ifndef PGFOLD_BATCHING_SESSION_LOOKUP_H
#define PGFOLD_BATCHING_SESSION_LOOKUP_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void lookup_wait(struct engine *e, struct lookup *l); // in its group's queue
void lookup_free(struct engine *e, struct lookup *l);
void lookup_detach_waiting(struct lookup *l);
void lookup_uncount(struct engine *e, struct lookup *l); // no longer under way
void lookup_leave_batch(struct lookup *l);
unsigned session_max_lookups(const struct session *s);

#endif
