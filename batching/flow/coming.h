// SPDX-License-Identifier: PostgreSQL
//
// The batch of a loop's coming keys: whether it is worth making, its keys, and that it is sent. flow/load.h says when.
//
// Nothing here fails for the client: what cannot be afforded or allocated is not loaded.
#ifndef PGFOLD_BATCHING_FLOW_COMING_H
#define PGFOLD_BATCHING_FLOW_COMING_H

#include "batching/ahead/place.h"
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

// May keys be guessed from lookups of the group? `settled`: as the lookup says. Constants beside the key that were not there a
// moment ago may be gone with the list's next row.
bool coming_may_guess(const struct engine *e, const struct group *g, bool settled);

// If much is held, drops batches of which each key was asked for once. Their further answers may never be asked
// for.
void coming_drop_used(struct ahead *a);

// Makes a batch of the keys that come behind `keys`, which *guess says; it is not sent. NULL: there are none, or this is not the
// time.
struct batch *coming_gather(struct session *s, struct ahead *a, struct group *g, const struct guess *guess,
                            const struct key *keys);

// Sends the batch that was made for it. `unit`: a lookup of the group as its client sent it; the batch takes all values but
// the keys from it. Takes the batch over.
void ahead_load(struct session *s, struct ahead *a, struct batch *b, struct association *association,
                const uint8_t *unit, size_t len);

// ---- mode observe: lists that come row by row

// Is there a batch that takes the rows to come?
bool coming_is_growing(struct session *s, struct ahead *a, const struct group *g);

// Adds the key at hand, and those of the list's rows that have come, to the batch that would have had them. False: there is none.
bool coming_extend(struct session *s, struct ahead *a, struct group *g, const struct guess *guess,
                   const struct key *keys);

#endif
