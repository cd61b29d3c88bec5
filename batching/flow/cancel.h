// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests of clients: which lookup, batch or question each of them ends, and what is asked of the server.
#ifndef PGFOLD_BATCHING_FLOW_CANCEL_H
#define PGFOLD_BATCHING_FLOW_CANCEL_H

#include "batching/session/session.h"

// A cancel request came. True: relay it to the server now.
bool session_cancel(struct session *s);

// A cancel request that the engine asked for has ended, well or not.
void session_cancel_done(struct session *s);
void session_cancel_taken(struct session *s); // cancel_held: the unit has been accepted

// A lookup whose original has been answered is compared no further, and its client gets that answer.
void session_end_check(struct session *s, struct lookup *l);
void cancel_batch_if_left(struct batch *b); // takes NULL

#endif
