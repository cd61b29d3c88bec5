// SPDX-License-Identifier: PostgreSQL
//
// A session lends its connection to a batch: under which seal (trust/seal.h) the batch runs, and its messages.
// session/own_prepared.h has which of our statements are prepared there. A client that uses names like ours has
// its connection for itself (session_keep_out).
#ifndef PGFOLD_BATCHING_FLOW_LEND_H
#define PGFOLD_BATCHING_FLOW_LEND_H

#include "batching/session/session.h"

// Is the session's connection free for a batch?
bool session_can_lend(const struct session *s);

// Writes the batch and sends it on the session's connection. False: nothing was sent and the batch has
// failed; the caller ends it.
bool session_run_batch(struct session *s, struct batch *b) __attribute__((warn_unused_result));

// The client uses a name like ours: closes what we have prepared, and prepares nothing any more. `name`: of a
// statement that the client prepares now and that a failed batch may have left behind; or empty.
void session_keep_out(struct session *s, struct slice name);

#endif
