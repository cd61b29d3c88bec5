// SPDX-License-Identifier: PostgreSQL
//
// The queue of what the server owes: each entry says for whom a reply is and what becomes of it. An
// entry stays where it is in memory until it is popped, whatever is pushed behind it.
#ifndef PGFOLD_BATCHING_SESSION_OWED_H
#define PGFOLD_BATCHING_SESSION_OWED_H

#include "batching/session/session.h"

struct owed *owed_push(struct session *s, enum owed_kind kind); // NULL: the queue is full or memory ran out
struct owed *owed_head(struct session *s);
bool owed_is_the_clients(const struct owed *o); // a cancel request of the client's is meant for it
void owed_pop(struct session *s);               // the first one; it may not be used any more
void owed_finish(struct session *s);
size_t owed_bytes(const struct session *s); // that the queue takes

// Has the server answered all that was sent of the last unit? Then it is known whether it has failed, and
// whether COPY wants data.
bool session_unit_is_answered(const struct session *s);

// COPY of the simple protocol wants data, and the client has not ended them.
bool session_copy_waits(const struct session *s);

#endif
