// SPDX-License-Identifier: PostgreSQL
//
// The Sync of a unit whose answers the client asked for with Flush, and has got. Where the unit has only read, the Sync brings
// nothing but ReadyForQuery, and that is certain, as the answer to a COMMIT is (talk/end_take.h): so where the server is far
// the client is told at once. The server gets the Sync as it came, and its ReadyForQuery is dropped (OWED_END).
//
//   client                       pgfold                  server, 10 ms away
//      |  Bind, Execute … Flush    |                          |
//      |-------------------------->|------------------------->|
//      |  the rows                 |                          |
//      |<--------------------------|<-------------------------|
//      |  Sync                     |  Sync                    |
//      |-------------------------->|------------------------->|
//      |  ReadyForQuery            |                          |
//      |<--------------------------|         ReadyForQuery    |
//      |  what comes next          |<-------------------------|  dropped
//
// psycopg's pipelines are sent so.
#ifndef PGFOLD_BATCHING_TALK_SYNC_EARLY_H
#define PGFOLD_BATCHING_TALK_SYNC_EARLY_H

#include "batching/session/session.h"

// Is the open unit one whose Sync, which is at hand, has a certain answer? A session of which nothing is known is asked soon.
bool sync_is_certain(struct session *s);

// That Sync has been sent: its unit ends as if the server had answered. Out of memory fails the session.
void sync_answer(struct session *s);

#endif
