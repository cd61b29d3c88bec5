// SPDX-License-Identifier: PostgreSQL
//
// What is kept for a session by lookahead (`struct ahead`): what it has read (its trail) and the batches that
// were loaded ahead for it. ahead/ahead.h has the whole story.
//
// It is made when the session first reads a list (ahead_of). It is given back after some seconds without use,
// when all sessions together hold too much, or with the session. A batch under way keeps it alive by a
// reference. Out of memory, nothing is kept.
#ifndef PGFOLD_BATCHING_SESSION_HELD_H
#define PGFOLD_BATCHING_SESSION_HELD_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// ---- life

// What is kept for the session, made if there is none; borrowed. NULL: out of memory.
struct ahead *ahead_of(struct session *s);

// The session asks with these key values (ahead/steps.h). Out of memory, it is not noted.
void ahead_step(struct session *s, const struct group *g, const struct slice *raw, bool again);

// It is used now: others are given back before it.
void ahead_use(struct ahead *a);

// Counts its bytes again. To be called when they have changed.
void ahead_charge(struct ahead *a);

// Gives back what was used longest ago, until all sessions together hold at most `max` bytes. `keep` stays.
void ahead_trim(struct ahead *keep, size_t max);

// Memory is short: gives back what is kept for some of those that used it longest ago.
void ahead_shrink(struct engine *e);

// Gives back what is kept for all sessions: what was held in one mode is not given in another.
void ahead_forget_all(struct engine *e);

// Gives back what was not used for long. To be called in each turn.
void ahead_expire(struct engine *e);

// Engine time at which that, or the end of a loop's longest pause, is due; UINT64_MAX: never.
uint64_t ahead_deadline(const struct engine *e);

// The session ends.
void ahead_session_gone(struct session *s);

// The batches up to this number were loaded before the list that is being read: what was sent behind the list's statement,
// to find its keys there, was not.
uint64_t ahead_loads_before(const struct ahead *a);

// Gives a reference back. Takes NULL.
void ahead_unref(struct ahead *a);

// Mode observe: the batch is held without rows, as if it had been sent now. Takes it over.
void ahead_hold_dry(struct ahead *a, struct batch *b);

// ---- what drops it

// The session has sent something that may change any answer that is held, or a snapshot of its own begins or
// ends: all of them are dropped.
void ahead_drop(struct session *s);

// The session will run a lookup itself that was not vetted: it may do more than read. The same, and
// it is noted whether something was lost by it.
void ahead_run_unvetted(struct session *s);

// Drops one batch that is held. `stale`: it is dropped although it might have been asked for later.
void ahead_drop_batch(struct ahead *a, struct batch *b, bool stale);

// The same for a batch that stands in neither list of `a`: frees it, counts its unused keys, and gives its
// reference to `a` back.
void ahead_give_up(struct ahead *a, struct batch *b, bool stale);

// ---- checks

// A lookup's original was answered, and is to be compared with the batch that was loaded behind it: the
// lookup becomes a member of that batch. False: there is none.
bool ahead_join_checked(struct lookup *l) __attribute__((warn_unused_result));

#endif
