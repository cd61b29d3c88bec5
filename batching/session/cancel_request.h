// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests to the server: one is sent when what it is for runs, and again at growing intervals until
// the reply is there. PostgreSQL drops a request that overtakes its statement, so one may not be enough.
//
//   noted (`pending`, or the entry is `unwanted`)
//     |
//     +--what it is for runs--> sent (`under_way`) --cancel_request_done--> waits (`at`) --reply--> forgotten
//                                 ^                                            |
//                                 +------------ no reply until then -----------+
//
// flow/cancel.h decides what becomes of a client's request. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_CANCEL_REQUEST_H
#define PGFOLD_BATCHING_SESSION_CANCEL_REQUEST_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// ---- sending

// Sends the request that is due, if what it is for runs now.
void session_relay_cancel(struct session *s);

// A request that was sent has ended, well or not.
void cancel_request_done(struct session *s);

// Sends again those that are due, of all sessions.
void cancel_repeat(struct engine *e);

// Engine time at which the next one is due; UINT64_MAX: none.
uint64_t cancel_deadline(const struct engine *e);

// The reply to the head of `owed` is there: nothing is repeated for it.
static inline void cancel_answered(struct session *s) {
    s->cancel.at = 0;
}

// Forgets the requests that have not been sent.
static inline void cancel_forget(struct session *s) {
    s->cancel.pending = s->cancel.held = false;
    s->cancel.at = 0;
}

// The session leaves the engine's list, if it stands there.
void cancel_unlist(struct session *s);

// ---- what it is for

// Nobody waits for this batch any more: the server is asked to end it. `s`: its lender.
void session_end_batch(struct session *s, const struct batch *b);

// The client's request is for its first lookup: it is sent when the lookup is.
static inline void cancel_first_when_sent(struct session *s) {
    s->cancel.first = true;
}

// That lookup has been sent.
void session_cancel_sent(struct session *s);

// The client's request is for what is held back.
static inline void cancel_when_taken(struct session *s) {
    s->cancel.held = true;
}

// What was held back is taken up now. Was there such a request? It is forgotten.
bool cancel_take_held(struct session *s);

// The same if it was forwarded: the server is asked to cancel it.
void session_cancel_forwarded(struct session *s);

// `runs`: the client's request is for something that was sent, so it is relayed when that runs.
static inline void cancel_when_it_runs(struct session *s, bool runs) {
    s->cancel.pending = runs;
}

#endif
