// SPDX-License-Identifier: PostgreSQL
//
// A unit that may be a lookup is accepted as one, or it is said why not.
#ifndef PGFOLD_BATCHING_TALK_LOOKUP_TAKE_H
#define PGFOLD_BATCHING_TALK_LOOKUP_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"
#include "batching/talk/question.h"

// Accepts the whole unit at f->at as a lookup, or says why not.
enum take lookup_take(struct feed *f, const struct unit *u, bool simple, enum reason *why);

enum reason candidate_judge(struct candidate *c);
bool candidate_accept(struct session *s, const struct candidate *c);
bool candidate_may_run_alone(struct feed *f, const struct candidate *c, struct group **elsewhere);

#endif
