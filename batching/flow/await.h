// SPDX-License-Identifier: PostgreSQL
//
// Sessions that hold a lookup back for an answer of the server's that is on its way: the proof of their own
// identity, or the catalogue's verdict on the group, which another session may have asked for. Both come
// soon, and the lookup would cost the server more alone, in a backend whose caches are empty, than the wait
// costs its client: a burst on many new connections folds from its first lookup on.
//
// A lookup that nothing of its shape keeps company does not wait. Nor does one wait for a verdict that takes
// longer than AWAIT_PATIENCE: the session that asked may hang.
//
// The unit stays in the client's input, as everything does that a session holds (`hold`), and is looked at
// anew.
#ifndef PGFOLD_BATCHING_FLOW_AWAIT_H
#define PGFOLD_BATCHING_FLOW_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct group;
struct session;
struct shape;

#define AWAIT_PATIENCE 50000 // microseconds

// Shall the session hold its lookup of this shape and group? Then it does, and what it waits for has been
// asked.
bool await_begin(struct session *s, struct shape *shape, struct group *g);
// Nor does it run alone before the verdict that another session has asked for: whether it is a plain read. If
// it did and ended first, its session would be in doubt.
bool await_read(struct session *s, struct shape *shape, struct group *read);
void await_end(struct session *s); // it waits no longer; idempotent
void await_proof_ended(struct session *s);
void await_verdict_given(struct engine *e, struct group *g); // or lost
void await_give_up(struct session *s); // what nobody asks on its own connection is waited for no longer
void await_expire(struct engine *e);
uint64_t await_deadline(const struct engine *e); // UINT64_MAX: none

#endif
