// SPDX-License-Identifier: PostgreSQL
//
// The queue of replies that the server owes. Each entry says for whom a reply is and what becomes of it
// (session.h has the kinds). A file that sends a unit pushes its entry; talk/reply_end.c pops it when
// ReadyForQuery has come.
//
// An entry stays where it is in memory until it is popped, whatever is pushed behind it.
#ifndef PGFOLD_BATCHING_SESSION_OWED_H
#define PGFOLD_BATCHING_SESSION_OWED_H

#include "batching/session/session.h"

// Appends an entry, all zero but for its kind. Borrowed until it is popped. NULL: the queue is full, or out
// of memory.
struct owed *owed_push(struct session *s, enum owed_kind kind);

// The first entry; borrowed. NULL: nothing is owed.
struct owed *owed_head(struct session *s);

// Takes the first entry out; there must be one. It may not be used any more.
void owed_pop(struct session *s);

// Does the entry run a statement of the client's? A cancel request of the client's is meant for it then.
bool owed_is_the_clients(const struct owed *o);

// Has the server answered all that was sent of the last unit? Then it is known whether the unit has failed,
// and whether COPY wants data.
bool session_unit_is_answered(const struct session *s);

// Does a COPY of the simple protocol wait for data that the client has not ended?
bool session_copy_waits(const struct session *s);

// Bytes that the queue takes.
size_t owed_bytes(const struct session *s);

// Frees the queue, not what its entries refer to.
void owed_finish(struct session *s);

#endif
