// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests of our own: sent when what they are for runs, and again until its reply is there.
#ifndef PGFOLD_BATCHING_SESSION_CANCEL_REQUEST_H
#define PGFOLD_BATCHING_SESSION_CANCEL_REQUEST_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void session_relay_cancel(struct session *s);     // the one that is due, if what it is for runs now
void session_cancel_sent(struct session *s);      // the first lookup, which shall be cancelled, has been sent
void session_cancel_forwarded(struct session *s); // cancel_held: the unit has been forwarded
void session_end_batch(struct session *s, const struct batch *b); // nobody waits for it any more
void cancel_unlist(struct session *s);
void cancel_repeat(struct engine *e);             // those that are due
uint64_t cancel_deadline(const struct engine *e); // UINT64_MAX: none

void cancel_repeat_later(struct session *s);

#endif
