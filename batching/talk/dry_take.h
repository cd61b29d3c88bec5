// SPDX-License-Identifier: PostgreSQL
//
// A lookup comes in mode observe: it is kept until it is answered (session/dry.h). Nothing fails.
#ifndef PGFOLD_BATCHING_TALK_DRY_TAKE_H
#define PGFOLD_BATCHING_TALK_DRY_TAKE_H

#include "batching/session/behind.h"
#include "batching/talk/question.h"

// The candidate is a lookup and will be forwarded. It may be looked at again before it is. `raw`: the values of its key.
// As in mode fold, the session is proved in front of its first lookup that has company.
void dry_prove(struct session *s);

void dry_take(struct candidate *c, const struct slice *raw);

// Copies the candidate's unit, with what is known of it from an earlier copy, which may be NULL. NULL: out of memory.
struct behind *dry_copy(const struct candidate *c, const struct slice *raw, const struct behind *of);

#endif
