// SPDX-License-Identifier: PostgreSQL
//
// Tests: pgfold answers statements about its own settings (watch/control.h), looks for loops where a test expects
// none, and refuses the statement that breaks what was expected, so that the driver's stack shows who sent it.
//
// Whether a lookup's key stands in a list that was read before is found in the trails of its scope's sessions, as
// lookahead does it (ahead/predict.h). For that the catalogue is asked about the lookup's shape, once, and the
// lookup waits for the answer.
#ifndef PGFOLD_BATCHING_TALK_WATCH_TAKE_H
#define PGFOLD_BATCHING_TALK_WATCH_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Decides about the whole unit `u` at f->at, before anybody else. TAKE_FORWARD: it goes its usual way.
enum take watch_take(struct feed *f, const struct unit *u, enum unit_result r);

#endif
