// SPDX-License-Identifier: PostgreSQL
//
// After something has ended: may the session take more of its client, and is there anything left to do?
#ifndef PGFOLD_BATCHING_SESSION_SETTLE_H
#define PGFOLD_BATCHING_SESSION_SETTLE_H

#include "batching/session/session.h"

// May the end be passed on now, when the session takes no more of the client's bytes? What came before it has
// been sent, but for the beginning of a message. False: resume_client tells when to ask again.
bool session_end_is_due(struct session *s);
bool session_is_lending(const struct session *s);
bool session_is_wanted(const struct session *s);     // it lends, and somebody still waits for it
bool session_order_is_safe(const struct session *s); // nothing under way but on the own connection

void session_settle(struct session *s); // after the queue changed: resume, finish

bool session_may_send(const struct session *s);

#endif
