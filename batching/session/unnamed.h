// SPDX-License-Identifier: PostgreSQL
//
// The server's unnamed statement is made what the client believes it to be. Folded lookups pass it by, so the
// two may differ.
#ifndef PGFOLD_BATCHING_SESSION_UNNAMED_H
#define PGFOLD_BATCHING_SESSION_UNNAMED_H

#include "batching/session/session.h"

// Is the server's unnamed statement what the client believes it to be?
bool session_unnamed_fits(const struct session *s);

// Sends a unit that gives the server the unnamed statement `wanted`, or closes it (NULL). False: the session
// failed.
bool session_restore_unnamed(struct session *s, struct shape *wanted);

#endif
