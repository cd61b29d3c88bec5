// SPDX-License-Identifier: PostgreSQL
//
// Which statements of our own a session's server connection has prepared, and the seal (trust/seal.h) of
// each. They are kept in the order of their last use, at most SESSION_MAX_PREPARED of them. A batch that is
// sent asks own_prepared_use what it must prepare and close.
//
// Out of memory is no failure: the statement is prepared again each time.
#ifndef PGFOLD_BATCHING_SESSION_OWN_PREPARED_H
#define PGFOLD_BATCHING_SESSION_OWN_PREPARED_H

#include <stdbool.h>

#include "batching/session/session.h"

struct batch;
struct batch_prepared;

// Has the connection prepared the statement of this digest? If so, it becomes the most recently used one.
bool session_has_prepared(struct session *s, XXH128_hash_t statement);

// The same. If not, the statement counts as prepared from now on, and `p` gets what must be closed first: the
// name itself, since a statement left by a failed batch would make Parse fail; and the least recently used
// statement if there are too many.
bool own_prepared_use(struct session *s, XXH128_hash_t statement, struct batch_prepared *p);

// Nothing has reached the server: what was to be prepared is not, and what was to be closed is still there.
void own_prepared_take_back(struct session *s, const struct batch *b, const struct batch_prepared *p);

// A batch with the statement has failed, and it is not known whether the server has it; or the statement can
// no longer get a seal. Forgets it: it is prepared again when needed.
void session_unprepare(struct session *s, XXH128_hash_t statement);

// The seal of a prepared statement; borrowed until the next call. NULL: it is not prepared.
const struct seal *own_prepared_seal(struct session *s, XXH128_hash_t statement);

// A batch has succeeded, with a check or under a seal: notes what that says about its statement's seal.
void session_note_seal(struct session *s, const struct batch *b);

// A batch runs on the connection, and may leave statements there if it fails.
static inline void own_prepared_lend(struct session *s) {
    s->own.lent = true;
}

// The client uses names like ours: nothing is prepared there any more.
static inline void own_prepared_keep_out(struct session *s) {
    s->own.keeps_out = true;
}

// Forgets all that is prepared.
void own_prepared_forget(struct session *s);

// Frees the list.
void own_prepared_finish(struct session *s);

#endif
