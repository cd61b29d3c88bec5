// SPDX-License-Identifier: PostgreSQL
//
// What is held for a session: what it has read (its trail) and the batches that were loaded ahead for it.
#ifndef PGFOLD_BATCHING_SESSION_HELD_H
#define PGFOLD_BATCHING_SESSION_HELD_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// A lookup whose original was answered, to be compared with the batch behind it: it becomes a member. False:
// there is none.
bool ahead_join_checked(struct lookup *l) __attribute__((warn_unused_result));
void ahead_unref(struct ahead *a); // takes NULL

// The session has sent something that may change any of it, or a snapshot of its own begins or ends.
void ahead_drop(struct session *s);

// A lookup of its own will run of which nobody has vetted whether it only reads.
void ahead_run_unvetted(struct session *s);
void ahead_session_gone(struct session *s);

void ahead_expire(struct engine *e);
void ahead_shrink(struct engine *e); // gives back what is kept for some of those who used it longest ago
uint64_t ahead_deadline(const struct engine *e);

void ahead_use(struct ahead *a);
void ahead_charge(struct ahead *a);
struct ahead *ahead_of(struct session *s);
void ahead_give_up(struct ahead *a, struct batch *b, bool stale);
void ahead_drop_batch(struct ahead *a, struct batch *b, bool stale);
void ahead_trim(struct ahead *keep, size_t max);

#endif
