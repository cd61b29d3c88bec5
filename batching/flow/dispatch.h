// SPDX-License-Identifier: PostgreSQL
//
// A group's queue is looked at: its lookups become a batch, run alone, wait, or are followed as a loop.
#ifndef PGFOLD_BATCHING_FLOW_DISPATCH_H
#define PGFOLD_BATCHING_FLOW_DISPATCH_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void engine_dispatch_group(struct engine *e, struct group *g);

#define STALL                                                                                                \
    10000 // microseconds that lookups wait for what is under way before more of their group is started

bool engine_window_is_open(const struct engine *e, const struct group *g);

#endif
