// SPDX-License-Identifier: PostgreSQL
//
// Pools clear a connection when it is given back: RESET ALL and the like. Where the server has done so, and nothing but plain
// reads has run for the client since, the same statement would clear nothing.
#ifndef PGFOLD_BATCHING_SESSION_CLEARED_H
#define PGFOLD_BATCHING_SESSION_CLEARED_H

#include "batching/session/session.h"

// The server has run the clearing statement of this shape, and nothing else is under way.
void cleared_note(struct session *s, const struct shape *shape);

// Something is sent, or has run, of which it is not certain that it leaves the session as it was.
static inline void cleared_no_more(struct session *s) {
    s->cleared = 0;
}

// Would this statement clear nothing?
bool cleared_by(const struct session *s, const struct shape *shape);

#endif
