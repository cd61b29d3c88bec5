// SPDX-License-Identifier: PostgreSQL
//
// Looks for loops where a test expects none.
//
// Whether a lookup's key stands in a list that was read before is found in the trails of its scope's sessions, as
// lookahead does it (ahead/predict.h). For that the catalogue is asked about the lookup's shape, once, and the
// lookup waits for the answer.
#ifndef PGFOLD_BATCHING_TALK_WATCH_LOOKUPS_H
#define PGFOLD_BATCHING_TALK_WATCH_LOOKUPS_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Counts the lookups of the unit at f->at, and refuses it, or warns, where they break what is expected.
enum take watch_lookups_take(struct feed *f, const struct unit *u, enum unit_result r);

// The same for a unit that is framed in another way, such as a pipeline with a named statement in it. It goes to the server as
// it is. What can be read of it is counted; what it breaks is told at the section's end, and by the exit code.
enum take watch_lookups_other(struct feed *f);

#endif
