// SPDX-License-Identifier: PostgreSQL
//
// Which statements of our own a session's server connection has prepared, and the seal (trust/seal.h) of each.
// They are kept in the order of their last use, at most SESSION_MAX_PREPARED of them.
#ifndef PGFOLD_BATCHING_SESSION_OWN_PREPARED_H
#define PGFOLD_BATCHING_SESSION_OWN_PREPARED_H

#include <stdbool.h>

#include "batching/session/session.h"

struct batch;
struct batch_prepared;

// Has the connection prepared the statement of this digest? If so, it becomes the most recently used one.
bool session_has_prepared(struct session *s, XXH128_hash_t statement);

// The same. If not, it counts as prepared from now on, and p says what must be closed first: the name itself,
// since one left by a failed batch would make Parse fail; and the least recently used statement if there are
// too many.
bool own_prepared_use(struct session *s, XXH128_hash_t statement, struct batch_prepared *p);

// Nothing has reached the server: what was to be prepared is not, and what was to be closed is still there.
void own_prepared_take_back(struct session *s, const struct batch *b, const struct batch_prepared *p);

// Forgets that the statement is prepared; it is prepared again when needed. A batch with it has failed, so
// that nobody knows whether the server has it, or it can no longer get a seal.
void session_unprepare(struct session *s, XXH128_hash_t statement);

// Forgets that any is prepared.
void own_prepared_forget(struct session *s);
void own_prepared_finish(struct session *s);

// The seal of a statement that is prepared; NULL: it is not.
const struct seal *own_prepared_seal(struct session *s, XXH128_hash_t statement);

// A batch has succeeded, with a check or under a seal: notes what that says about its statement's seal.
void session_note_seal(struct session *s, const struct batch *b);

// A batch runs on the connection, and may leave statements there if it fails.
static inline void own_prepared_lend(struct session *s) {
    s->own.lent = true;
}

// Nothing is prepared there any more.
static inline void own_prepared_keep_out(struct session *s) {
    s->own.keeps_out = true;
}

#endif
