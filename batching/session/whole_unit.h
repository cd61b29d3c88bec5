// SPDX-License-Identifier: PostgreSQL
//
// A unit of several lookups (pipeline.h) that goes to the server as its client sent it, because one of them
// must.
#ifndef PGFOLD_BATCHING_SESSION_WHOLE_UNIT_H
#define PGFOLD_BATCHING_SESSION_WHOLE_UNIT_H

#include "batching/session/pipeline.h"
#include "batching/session/session.h"

// This lookup must run alone, and has been taken out of its queue or batch. Takes the others out of theirs.
// Returns the lookup that stands for all, borrowed; the caller runs it.
struct lookup *pipeline_collapse(struct session *s, struct lookup *l);

// The first lookup is to be cancelled: the whole unit runs alone in its place. Does nothing if it does
// already.
void pipeline_cancel(struct session *s, struct lookup *first);

// Before the unit is sent: gives the server the statements that it lacks, and expects the unit's replies.
// False: the session failed.
bool pipeline_expect(struct session *s, const struct pipeline *p);

// The server has answered the unit: notes the outcome of each of its lookups.
void pipeline_ended(struct lookup *first, const struct owed *o);

#endif
