// SPDX-License-Identifier: PostgreSQL
//
// What is known of the connection itself: how long a message may be, how text is read, and that it has
// failed.
#ifndef PGFOLD_BATCHING_SESSION_WIRE_H
#define PGFOLD_BATCHING_SESSION_WIRE_H

#include "batching/session/session.h"

size_t session_largest_message(const struct session *s);

// A ParameterStatus of the server's, during log-in too: some settings decide how text is read.
void session_parameter(struct session *s, struct slice name, struct slice value);
void session_fail(struct session *s, const char *sqlstate, const char *message);

#endif
