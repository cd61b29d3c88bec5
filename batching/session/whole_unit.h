// SPDX-License-Identifier: PostgreSQL
//
// A unit of several lookups that goes to the server as its client sent it, since one of them must.
#ifndef PGFOLD_BATCHING_SESSION_WHOLE_UNIT_H
#define PGFOLD_BATCHING_SESSION_WHOLE_UNIT_H

#include "batching/session/pipeline.h"
#include "batching/session/session.h"

// This one of its lookups shall run alone and has been taken out of its queue or batch. Returns the one that
// stands for all.
struct lookup *pipeline_collapse(struct session *s, struct lookup *l);
void pipeline_cancel(struct session *s,
                     struct lookup *first); // the first one is to be cancelled in place of all
// The server has answered it: what that is to each of its lookups.
void pipeline_ended(struct lookup *first, const struct owed *o);
bool pipeline_expect(struct session *s, const struct pipeline *p); // its replies; false: the session failed

#endif
