// SPDX-License-Identifier: PostgreSQL
//
// A unit of several lookups is accepted: all of them, or none.
#ifndef PGFOLD_BATCHING_TALK_PIPELINE_TAKE_H
#define PGFOLD_BATCHING_TALK_PIPELINE_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// The same for a unit of several lookups: all or none.
enum take pipeline_take(struct feed *f, const struct unit *u, enum reason *why);

#endif
