// SPDX-License-Identifier: PostgreSQL
//
// The client's forwarded statements that are not answered yet, in order. They are reported when they are
// answered (answered.h). Each FORWARD entry in `owed` counts its own.
//
// Bounded: beyond limits.max_owed, or when memory runs out, only the number of statements is known.
#ifndef PGFOLD_BATCHING_SESSION_SENT_H
#define PGFOLD_BATCHING_SESSION_SENT_H

#include "batching/session/session.h"
#include "batching/statement/parse.h"

// The last unit runs one more statement. `shape`: a reference is taken; NULL: its text is not known.
void sent_note(struct session *s, struct shape *shape, enum statement_kind kind);

// The text of the first statement of `o` that is not answered; `o` is the first entry. NULL: not known. Borrowed.
uint64_t sent_question(const struct session *s, const struct owed *o); // and what it asks,
uint16_t sent_tags(const struct session *s, const struct owed *o);     // its tags (report/tags.h),
uint64_t sent_asked(const struct session *s, const struct owed *o);    // and when: engine time; 0: not known
struct shape *sent_first(const struct session *s, const struct owed *o);

// The tags of the statement that was sent last; 0: not known.
uint16_t sent_last_tags(const struct session *s);

// The last message of an answer has come: reports the first statement of `o`, the first entry. The last
// statement of a unit is reported at the unit's end instead, since it may still fail there.
void sent_completed(struct session *s, struct owed *o);

// ReadyForQuery has come: reports the statement that is left. `o` was the first entry and has left the queue.
void sent_ended(struct session *s, struct owed *o);

// Forgets the statements of `o`, the first entry: how they end will not be known.
void sent_forget(struct session *s, struct owed *o);

// Does a message of this type end the answer to an Execute? CommandComplete does, for one.
bool sent_is_completed_by(uint8_t type);

// Frees the queue. All statements must have been forgotten.
void sent_finish(struct session *s);

#endif
