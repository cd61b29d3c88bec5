// SPDX-License-Identifier: PostgreSQL
//
// A session lends its connection to a batch: which of our statements are prepared there, under which seal
// (trust/seal.h) a batch runs, and its messages.
//
// Our statements are kept in the order of their last use, at most SESSION_MAX_PREPARED of them. A client that
// uses names like ours has its connection for itself (session_keep_out).
#ifndef PGFOLD_BATCHING_FLOW_LEND_H
#define PGFOLD_BATCHING_FLOW_LEND_H

#include "batching/session/session.h"

// Is the session's connection free for a batch?
bool session_can_lend(const struct session *s);

// Writes the batch and sends it on the session's connection. False: nothing was sent and the batch has
// failed; the caller ends it.
bool session_run_batch(struct session *s, struct batch *b) __attribute__((warn_unused_result));

// Has the connection prepared the statement of this digest? If so, it becomes the most recently used one.
bool session_has_prepared(struct session *s, XXH128_hash_t statement);

// Forgets that the statement is prepared; it is prepared again when needed. A batch with it has failed, so
// that nobody knows whether the server has it, or it can no longer get a seal.
void session_unprepare(struct session *s, XXH128_hash_t statement);

// A batch has succeeded, with a check or under a seal: notes what that says about its statement's seal.
void session_note_seal(struct session *s, const struct batch *b);

// The client uses a name like ours: closes what we have prepared, and prepares nothing any more. `name`: of a
// statement that the client prepares now and that a failed batch may have left behind; or empty.
void session_keep_out(struct session *s, struct slice name);

#endif
