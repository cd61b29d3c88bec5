// SPDX-License-Identifier: PostgreSQL
//
// What a loop will ask for next is loaded: which list the loop goes through, and when. ahead/ahead.h has the whole story;
// ahead/predict.h finds the keys, flow/coming.h makes their batch.
//
// Nothing here fails for the client: what cannot be predicted, afforded or allocated is not loaded.
#ifndef PGFOLD_BATCHING_FLOW_LOAD_H
#define PGFOLD_BATCHING_FLOW_LOAD_H

#include "batching/flow/find.h"
#include "batching/session/behind.h"
#include "batching/session/session.h"

// A lookup was accepted and waits in its group. If its key is found in a trail, the lookup is sent, and a
// batch of the coming keys behind it; the lookup may also become a member of that batch. `apart`: its
// transaction shares nothing with others. `list`: its rows are gone through themselves. Then small numbers that are in another
// list by chance do not count, and the lookup is sent by itself where it is not certain. May free the lookup. False: it goes
// through no list that is known.
bool ahead_follow(struct session *s, struct lookup *l, bool apart, bool list);

// A lookup was sent whose statement is not known, and what its rows lead to. If it may be one of a loop, the catalogue is asked
// behind it.
void ahead_begin_behind(struct session *s, struct lookup *l);

// A lookup was answered that was forwarded behind its transaction's BEGIN. The same, but it has been sent.
void ahead_follow_behind(struct session *s, const struct behind *b);

// The catalogue has answered about the group. If the session's client has gone on meanwhile from the answer to its first
// lookup, the loop is followed.
void ahead_vetted(struct session *s, struct group *g);

// The same for a lookup in mode observe: the batch is held without having been sent, and d->would says what would have become
// of the lookup. False: there is no batch.
bool ahead_follow_dry(struct session *s, struct dry *d);

// A lookup was answered with *hit. Loads more keys if those that are left will be used up soon. `question`: the
// hash of what it asks (ahead/asked.h). `unit`: the lookup as its client sent it; borrowed for the call.
void ahead_refill(struct session *s, const struct ahead_hit *hit, uint64_t question, const uint8_t *unit,
                  size_t len);

#endif
