// SPDX-License-Identifier: PostgreSQL
//
// What a client is told instead of an answer, since a test expects something else: errors, and warnings in front of an
// answer. They name the statements, and no value.
#ifndef PGFOLD_BATCHING_TALK_WATCH_REFUSE_H
#define PGFOLD_BATCHING_TALK_WATCH_REFUSE_H

#include "batching/session/session.h"
#include "batching/talk/feed.h"
#include "batching/watch/section.h"

// An answer of pgfold's own comes when all that was asked before is answered. True: the unit has to wait for that.
bool watch_must_wait(struct session *s);

// Gives the client this error in place of the whole unit's answer, and makes its transaction fail. `error`: an
// ErrorResponse; it is freed.
enum take watch_refuse(struct session *s, struct buf *error);

// Refuses the statement at hand, or the end of the section, since this metric is not as expected. `of`: the lookups at
// hand; NULL: it is not because of them. `more`: the statement at hand is not counted yet.
enum take watch_refuse_for(struct session *s, struct section *at, enum metric m,
                           const struct section_shape *of, bool more);

// Warns of a loop, in front of the answer of its lookup at hand.
void watch_warn(struct session *s, const struct section_shape *of);

#endif
