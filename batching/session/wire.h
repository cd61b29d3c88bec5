// SPDX-License-Identifier: PostgreSQL
//
// The connection itself: how long a message may be, how text is read, and its failure.
#ifndef PGFOLD_BATCHING_SESSION_WIRE_H
#define PGFOLD_BATCHING_SESSION_WIRE_H

#include "batching/session/session.h"

// The session cannot go on: tells the client, unless it is inside a message, and marks the session as failed.
// The proxy closes it then. `message` is borrowed for the call.
void session_fail(struct session *s, const char *sqlstate, const char *message);

// A ParameterStatus of the server's, during log-in too. Some settings decide how text is read.
void session_parameter(struct session *s, struct slice name, struct slice value);

// The longest message, in bytes, that a session may need whole.
size_t session_largest_message(const struct session *s);

#endif
