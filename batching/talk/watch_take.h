// SPDX-License-Identifier: PostgreSQL
//
// Tests: pgfold answers statements about its own settings (watch_settings.h), looks for loops where a test expects none
// (watch_lookups.h), and refuses the statement that breaks what was expected, so that the driver's stack shows who sent it.
#ifndef PGFOLD_BATCHING_TALK_WATCH_TAKE_H
#define PGFOLD_BATCHING_TALK_WATCH_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Decides about the whole unit `u` at f->at, before anybody else. TAKE_FORWARD: it goes its usual way.
enum take watch_take(struct feed *f, const struct unit *u, enum unit_result r);

#endif
