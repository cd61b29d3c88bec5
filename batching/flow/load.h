// SPDX-License-Identifier: PostgreSQL
//
// What a loop will ask for next is loaded: which list the loop goes through, and the batch of its coming
// keys. ahead/ahead.h has the whole story; ahead/predict.h finds the keys.
//
// Nothing here fails for the client: what cannot be predicted, afforded or allocated is not loaded.
#ifndef PGFOLD_BATCHING_FLOW_LOAD_H
#define PGFOLD_BATCHING_FLOW_LOAD_H

#include "batching/flow/find.h"
#include "batching/session/behind.h"
#include "batching/session/session.h"

// Bytes that may be loaded for it now: what the session's and the common limit have left.
size_t ahead_room(struct ahead *a);

// Is the key held for so many rows of this list? What was loaded after the list came may answer for all of them. `arg`:
// struct ahead_holding. For predict_gather().
struct ahead_holding {
    struct ahead *ahead;
    const struct group *group;
};
bool ahead_is_held(void *arg, const struct trail_result *list, const struct key *keys, unsigned turns);

// Is a batch of the group's under way for it?
bool ahead_is_loading(const struct ahead *a, const struct group *g);

// Microseconds that what is loaded for the session may be held; 0: without limit.
uint64_t ahead_age_limit(const struct session *s);

// Sends the batch that was made for it. `unit`: a lookup of the group as its client sent it; the batch takes all values but
// the keys from it. Takes the batch over.
void ahead_load(struct session *s, struct ahead *a, struct batch *b, struct association *association,
                const uint8_t *unit, size_t len);

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
