// SPDX-License-Identifier: PostgreSQL
//
// Which statements of our own a session's server connection has prepared, and the seal (trust/seal.h) that each
// may be run under.
#ifndef PGFOLD_BATCHING_SESSION_OWN_PREPARED_H
#define PGFOLD_BATCHING_SESSION_OWN_PREPARED_H

#include <stdbool.h>

#include "batching/session/session.h"

struct batch;
struct batch_prepared;

// Has the connection prepared it? Then it becomes the most recently used one.
bool session_has_prepared(struct session *s, XXH128_hash_t statement);
// Its seal, of one that is prepared; else NULL.
const struct seal *own_prepared_seal(struct session *s, XXH128_hash_t statement);
// What a batch was sent under, or with a check, has been right.
void session_note_seal(struct session *s, const struct batch *b);

// The same as session_has_prepared. If not it is noted as one that is being prepared, and what must be closed
// first is added to p: the name itself, since one left over from a failed batch would make Parse fail, and the
// least recently used one when there are too many.
bool own_prepared_use(struct session *s, XXH128_hash_t statement, struct batch_prepared *p);
// Nothing of the batch has reached the server: those that were to make room for it are still there.
void own_prepared_take_back(struct session *s, const struct batch *b, const struct batch_prepared *p);

void session_unprepare(struct session *s, XXH128_hash_t statement); // it failed: its state is not known
void own_prepared_forget(struct session *s);                        // all of them
void own_prepared_finish(struct session *s);

static inline void own_prepared_lend(struct session *s) { // a batch runs there, and may leave statements
    s->own.lent = true;
}
static inline void own_prepared_keep_out(struct session *s) { // nothing is prepared there any more
    s->own.keeps_out = true;
}

#endif
