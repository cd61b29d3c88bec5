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

void cancel_request_done(struct session *s); // one of ours has ended

// The client's.
static inline void cancel_first_when_sent(struct session *s) { // it is for its first lookup
    s->cancel.first = true;
}
static inline void cancel_when_taken(struct session *s) { // it is for what is held
    s->cancel.held = true;
}
bool cancel_take_held(struct session *s);                              // that has been taken: was there one?
static inline void cancel_when_it_runs(struct session *s, bool runs) { // `runs`: it is for what was sent
    s->cancel.pending = runs;
}

static inline void cancel_answered(struct session *s) { // the head of `owed` is: nothing is repeated for it
    s->cancel.at = 0;
}
static inline void cancel_forget(struct session *s) { // those that have not been sent
    s->cancel.pending = s->cancel.held = false;
    s->cancel.at = 0;
}

#endif
