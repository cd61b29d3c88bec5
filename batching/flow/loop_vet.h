// SPDX-License-Identifier: PostgreSQL
//
// Is the catalogue to be asked about a lookup that may be one of a loop? A question costs the server as much as many lookups,
// so there is a budget for all, and one for each statement.
#ifndef PGFOLD_BATCHING_FLOW_LOOP_VET_H
#define PGFOLD_BATCHING_FLOW_LOOP_VET_H

#include <stdbool.h>

#include "batching/session/session.h"
#include "batching/statement/key.h"

// May the lookup's values, one for each part of the group's key, come from a trail? With `own` the session's own counts, too.
bool loop_is_in_trail(struct session *s, const struct group *g, const struct slice *raw, bool own);

// Is a question about the NEW group worth its cost, for a lookup with these values?
bool loop_is_worth_asking(struct session *s, const struct group *g, const struct slice *raw);

// Can it be paid for? Then it is, and has to be sent. The shape is the group's.
bool loop_may_pay(struct session *s, struct shape *shape);

#endif
