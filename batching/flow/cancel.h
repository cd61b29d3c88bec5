// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests of clients: which lookup, batch or question each of them ends, and what is asked of the
// server.
//
// PostgreSQL cancels what the connection runs at the moment. With pgfold that may be a batch for others, or
// nothing of this client's. So a request is treated in one of three ways:
//
//   answered at once  The first lookup waits, outside a transaction: the client gets the error of a cancelled
//                     statement, and the lookup never runs.
//   kept              Until the client's own statement runs: inside a transaction, which the server itself
//                     must abort. A statement that is held in the client's input is taken up first.
//   relayed           Otherwise.
//
// A request that overtakes its statement is lost: "If we're reading a command from the client, just ignore
// the cancel request" (ProcessInterrupts). Without a proxy the client sees to that. With pgfold the statement
// may be sent only now, in order to be cancelled; and a batch that nobody wants may hold up its lender. So
// what is cancelled is noted in its entry of the owed queue, and the request is sent again at growing
// intervals until the reply comes (session/cancel_request.h). Nothing is sent behind that entry before. A
// statement that was forwarded when the client sent it gets one request for each of the client's, as without
// a proxy.
#ifndef PGFOLD_BATCHING_FLOW_CANCEL_H
#define PGFOLD_BATCHING_FLOW_CANCEL_H

#include "batching/session/session.h"

// A cancel request of the client's has come. True: the caller relays it to the server now. `now`, here and
// below: engine time, in microseconds.
bool session_cancel(struct session *s, uint64_t now);

// A cancel request that the engine sent (effects->relay_cancel) has ended, well or not.
void session_cancel_done(struct session *s, uint64_t now);

// The unit that was held when its client cancelled has been accepted as a lookup: it is cancelled now.
void session_cancel_taken(struct session *s);

// A lookup whose original has been answered is compared no further: its client gets that answer.
void session_end_check(struct session *s, struct lookup *l);

// Abandons a batch if no member waits for it any more. Takes NULL.
void cancel_batch_if_left(struct batch *b);

#endif
