// SPDX-License-Identifier: PostgreSQL
//
// The server's unnamed statement is made what the client believes it to be.
#ifndef PGFOLD_BATCHING_SESSION_UNNAMED_H
#define PGFOLD_BATCHING_SESSION_UNNAMED_H

#include "batching/session/session.h"

bool session_unnamed_fits(const struct session *s);
bool session_restore_unnamed(struct session *s, struct shape *wanted); // wanted NULL: none; false: failed

#endif
