// SPDX-License-Identifier: PostgreSQL
//
// No client waits long for what is not its own: members of a late batch run alone, and what is ours is
// cancelled when the connection's own client waits for it. session/late.h has the story, and notes what is
// sent.
//
// A deadline counts only if it is found to have passed in two turns of the event loop: all that came in
// between has been read by then. The second turn comes after as much time as the loop itself was late, within
// 1 and 100 ms.
#ifndef PGFOLD_BATCHING_FLOW_PATIENCE_H
#define PGFOLD_BATCHING_FLOW_PATIENCE_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Lets go whatever has waited too long. To be called in each turn of the event loop.
void late_expire(struct engine *e);

// The engine time when late_expire() has something to do, in microseconds; UINT64_MAX: never.
uint64_t late_deadline(const struct engine *e);

// Lookups of the group that run as sent and take too long no longer count as under way.
void late_uncount(struct engine *e, struct group *g);

#endif
