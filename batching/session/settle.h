// SPDX-License-Identifier: PostgreSQL
//
// After something has ended: may the session take more of its client's bytes, and is there anything left to
// do?
#ifndef PGFOLD_BATCHING_SESSION_SETTLE_H
#define PGFOLD_BATCHING_SESSION_SETTLE_H

#include "batching/session/session.h"

// To be called after a queue has changed: ends each reason to hold the client's bytes that has passed.
// Calls the effect resume_client if any has ended, and finished if the client is gone and nothing is left to
// do.
void session_settle(struct session *s);

// May a statement of the client's be sent now? Not in any of these cases:
//   - a cancel request under way could hit it;
//   - a unit of ours in its transaction may still abort that;
//   - what it would stand behind may have to be cancelled for it;
//   - it would stand behind a lookup that may have to be refused.
bool session_may_send(const struct session *s);

// Do all lookups under way run on the own connection? Then what is sent behind them is answered behind them.
bool session_order_is_safe(const struct session *s);

// The session takes no more of the client's bytes. May the client's end be passed on now? What came before it
// has been sent, but for the beginning of a message. False: resume_client tells when to ask again.
bool session_end_is_due(struct session *s);

// Does the session lend its connection? A batch loaded ahead for its own client counts only if a lookup has
// joined.
bool session_is_lending(const struct session *s);

// Does it lend to a batch that somebody still waits for?
bool session_is_wanted(const struct session *s);

#endif
