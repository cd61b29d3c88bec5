// SPDX-License-Identifier: PostgreSQL
//
// A unit of several lookups before one Sync: all of them are accepted, or none is.
//
// Each part goes through the same steps as a lookup of its own (talk/lookup_take.h). If one of them fails,
// those accepted before it are taken back and the whole unit is forwarded. Only outside transactions: a
// lookup that fails inside one would have to take back the answers to those behind it.
#ifndef PGFOLD_BATCHING_TALK_PIPELINE_TAKE_H
#define PGFOLD_BATCHING_TALK_PIPELINE_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Decides about the UNIT_PIPELINE `u` at f->at. TAKE_FORWARD: *why may be set, to the reason of the first
// part that is no lookup.
enum take pipeline_take(struct feed *f, const struct unit *u, enum reason *why);

#endif
