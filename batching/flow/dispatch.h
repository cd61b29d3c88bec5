// SPDX-License-Identifier: PostgreSQL
//
// A group's queue is looked at: its lookups become a batch, run alone, wait, or are followed as a loop.
//
// Happy path, for a READY group: a single lookup runs as sent while nothing else is under way; lookups that
// come meanwhile wait; when a place is free they become one batch. In any other state of the group all run
// alone, and two at once make pgfold ask the catalogue.
#ifndef PGFOLD_BATCHING_FLOW_DISPATCH_H
#define PGFOLD_BATCHING_FLOW_DISPATCH_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// A group's lookups wait at most so long for what is under way; then more is started. Microseconds.
#define STALL 10000

// At most so many times the usual number of batches are under way at once to a far server.
#define WIDEST 8

// Decides about all lookups that wait in the group. May free lookups.
void engine_dispatch_group(struct engine *e, struct group *g);

// Does the group still wait for more lookups to come (batching.window)?
bool engine_window_is_open(const struct engine *e, const struct group *g);

// Engine time at which the group's next batch may follow those under way, UINT64_MAX: when one of them has ended.
uint64_t engine_next_batch(const struct engine *e, const struct group *g);

#endif
