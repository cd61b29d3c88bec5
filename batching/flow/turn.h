// SPDX-License-Identifier: PostgreSQL
//
// The end of the event loop's turn: everything that came in it has been read. Lookups that came together are
// made into batches now, and whatever has waited too long is let go.
#ifndef PGFOLD_BATCHING_FLOW_TURN_H
#define PGFOLD_BATCHING_FLOW_TURN_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Ends the turn. `now`: microseconds. To be called after each turn of the event loop.
void engine_turn(struct engine *e, uint64_t now);

// When engine_turn() wants to be called even if nothing happens: engine time in microseconds; UINT64_MAX:
// never.
uint64_t engine_deadline(const struct engine *e);

#endif
