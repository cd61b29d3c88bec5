// SPDX-License-Identifier: PostgreSQL
//
// The lists of the engine that sessions and groups stand in until the end of the turn.
#ifndef PGFOLD_BATCHING_SESSION_LISTS_H
#define PGFOLD_BATCHING_SESSION_LISTS_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void engine_list_group(struct engine *e, struct group *g); // engine_turn shall look at it
bool engine_may_prove(const struct engine *e);             // else one more has to wait for its turn
void engine_list_proof(struct engine *e, struct session *s);
void engine_unlist_proof(struct engine *e, struct session *s);

#endif
