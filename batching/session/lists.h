// SPDX-License-Identifier: PostgreSQL
//
// The engine's lists that sessions and groups stand in until the end of the turn. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_LISTS_H
#define PGFOLD_BATCHING_SESSION_LISTS_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// engine_turn will look at the group. May be called again for one that is listed.
void engine_list_group(struct engine *e, struct group *g);

// The session's identity will be proved at the end of the turn, if its connection is free.
void engine_list_proof(struct engine *e, struct session *s);
void engine_unlist_proof(struct engine *e, struct session *s);

// May one more identity query be sent now? If not, the session stays in the list.
bool engine_may_prove(const struct engine *e);

#endif
