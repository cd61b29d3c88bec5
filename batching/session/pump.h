// SPDX-License-Identifier: PostgreSQL
//
// What is due goes out: answers in the order of the questions, and lookups that run as they were sent. Call
// session_pump when a lookup was answered, must run alone, or something that was in the way has ended. A
// failure fails the session.
#ifndef PGFOLD_BATCHING_SESSION_PUMP_H
#define PGFOLD_BATCHING_SESSION_PUMP_H

#include "batching/session/session.h"

// Sends the answers that are there, from the first lookup on, and frees these lookups. Then sends the lookups
// that must run alone, as soon as nothing before them waits for anything but the own connection. Settles the
// session.
void session_pump(struct session *s);

// Inside a transaction nothing of ours may be sent behind a lookup whose statement the server lacks: it fails with that.
// Tells whether that is so.
bool session_gives_first(const struct session *s, const struct lookup *l);

// Sends a lookup in LOOKUP_CHECKING as its client sent it; its reply is kept or compared.
void session_send_checked(struct session *s, struct lookup *l);

#endif
