// SPDX-License-Identifier: PostgreSQL
//
// What a burst leads to is sent with it: a page that asks for 24 authors over a pool, then for the books of each, then for
// their profiles, waits for one way there and back (ahead/burst.h).
//
//   clients                     pgfold                                     server
//   author 3, author 8 …        authors {3, 8 …}      the batch            -->
//                               books of {3, 8 …}     behind it, over the same connection
//                               profiles of {3, 8 …}
//   books of 3, books of 8 …    held: answered here
//
// Nothing here fails: what is not sent so is sent when it is asked for.
#ifndef PGFOLD_BATCHING_FLOW_BURSTS_H
#define PGFOLD_BATCHING_FLOW_BURSTS_H

#include "batching/session/engine.h"

// Lookups of the group have just been sent. What follows their burst is sent on the connection of the last batch of them.
void bursts_follow(struct engine *e, struct group *g);

#endif
