// SPDX-License-Identifier: PostgreSQL
//
// COMMIT or ROLLBACK of a transaction that has only read: the server's answer is certain, so where the server is far the
// client need not wait for it. It is told at once; the server gets what the client has sent, and its answer is dropped
// (OWED_END). What the client says next goes out behind it.
//
//   client                    pgfold                  server, 10 ms away
//      |  COMMIT                 |                          |
//      |------------------------>|  COMMIT                  |
//      |  COMMIT                 |------------------------->|
//      |<------------------------|                          |
//      |  BEGIN; SELECT …        |  BEGIN; SELECT …         |
//      |------------------------>|------------------------->|
//      |                         |  COMMIT                  |
//      |                         |<-------------------------|  dropped
//
// Certain is: COMMIT. There is nothing to be written, checked or told, no cursor to be kept, and no other transaction to be in
// conflict with. What may come instead is an error that has nothing to do with the transaction: the server is shut down, an
// administrator or a time-out ends the connection (the client gets the server's FATAL, which ends its connection, too), or
// cancels the COMMIT. In the last case it is ended again; if something has been sent behind it by then,
// the session fails (end_late).
//
// What was read may have become something that writes, past this proxy and unnoticed: a view with a function of a user's, say.
// If COMMIT then fails because of a deferred check, the session fails, too, and all definitions count as changed.
#ifndef PGFOLD_BATCHING_TALK_END_TAKE_H
#define PGFOLD_BATCHING_TALK_END_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Is the session one that may be told of an end before the server has answered, and is the server far enough for it to pay?
bool end_may_be_early(const struct session *s);

// Decides about the unit at f->at. TAKE_TAKEN: the client was told that its transaction has ended.
enum take end_take(struct feed *f, const struct unit *u, enum unit_result r);

// The server has answered: `o` has left the queue, and ReadyForQuery came with this status.
void end_late(struct session *s, const struct owed *o, char status);

#endif
