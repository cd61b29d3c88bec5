// SPDX-License-Identifier: PostgreSQL
//
// The client's statements that were forwarded and are not answered yet, in order: what is to be told of them
// when they are (answered.h). Each entry of kind FORWARD in `owed` counts its own. Bounded: beyond
// limits.max_owed, and when memory runs out, no more is known of a statement than that there was one.
#ifndef PGFOLD_BATCHING_SESSION_SENT_H
#define PGFOLD_BATCHING_SESSION_SENT_H

#include "batching/session/session.h"
#include "batching/statement/parse.h"

// The last unit runs another one. shape: NULL when its text is not known.
void sent_note(struct session *s, struct shape *shape, enum statement_kind kind);
void sent_completed(struct session *s, struct owed *o); // the last message of an answer has come
void sent_ended(struct session *s,
                struct owed *o); // ReadyForQuery has: o has left the queue, it was the first
void sent_forget(struct session *s, struct owed *o); // nobody will know how those of the first unit end

// CommandComplete and its like: they end the answer to an Execute.
bool sent_is_completed_by(uint8_t type);
void sent_finish(struct session *s);

#endif
