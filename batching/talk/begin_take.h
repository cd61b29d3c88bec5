// SPDX-License-Identifier: PostgreSQL
//
// BEGIN and COMMIT that the server need not see: those of a transaction whose lookups are answered from rows
// that are held (session/begun.h). A loop with a transaction in each turn sends three statements for a lookup;
// where the lookup is held, none goes out.
#ifndef PGFOLD_BATCHING_TALK_BEGIN_TAKE_H
#define PGFOLD_BATCHING_TALK_BEGIN_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Decides about the unit at f->at. TAKE_TAKEN: the client was told that its transaction has begun or ended. Where BEGIN comes in
// front of other statements in its unit, u->size is its own then, and the rest is a unit.
enum take begin_take(struct feed *f, struct unit *u, enum unit_result r);

#endif
