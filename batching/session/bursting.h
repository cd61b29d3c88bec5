// SPDX-License-Identifier: PostgreSQL
//
// Lookups that come over a pool are noted, so that it is known what a page asks for next (ahead/burst.h).
#ifndef PGFOLD_BATCHING_SESSION_BURSTING_H
#define PGFOLD_BATCHING_SESSION_BURSTING_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Is it worth while? The server must be so far that a page waits for its answers.
bool bursting_is_on(const struct engine *e);

// The lookup, in its session's order, has come, and will be sent or answered; its key is a plain one. `together`: others of its group are there.
void bursting_note(const struct lookup *l, const struct key *key, bool together);

// The same, and it is answered with what was sent with the burst of this number.
void bursting_served(const struct lookup *l, const struct key *key, uint64_t burst);

#endif
