// SPDX-License-Identifier: PostgreSQL
//
// A pool clears a connection that has nothing to be cleared (session/cleared.h): it is answered here, as the server would
// answer. A round trip for each use of the connection is saved.
#ifndef PGFOLD_BATCHING_TALK_CLEAR_TAKE_H
#define PGFOLD_BATCHING_TALK_CLEAR_TAKE_H

#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Decides about a Query message. FORWARD: it is no such statement, or not certain to do nothing.
enum take clear_take(struct feed *f, const struct unit *u);

#endif
