// SPDX-License-Identifier: PostgreSQL
//
// The end of the event loop's turn, and when the next one is due without any event.
#ifndef PGFOLD_BATCHING_FLOW_TURN_H
#define PGFOLD_BATCHING_FLOW_TURN_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void engine_turn(struct engine *e, uint64_t now);
uint64_t engine_deadline(const struct engine *e); // UINT64_MAX: none

#endif
