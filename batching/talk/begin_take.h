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

// Decides about the Query at f->at. TAKE_TAKEN: the client was told that its transaction has begun or ended.
enum take begin_take(struct feed *f, const struct unit *u);

#endif
