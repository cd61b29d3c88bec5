// SPDX-License-Identifier: PostgreSQL
//
// A session holds a lookup back while an answer is on its way that lets the lookup fold: the proof of
// the session's identity, or the catalogue's verdict on the lookup's group, for which another session may
// have asked.
//
// Both answers come soon. Run alone, in a new backend whose caches are empty, the lookup would cost the
// server more (about 1 ms) than the wait costs the client. So a burst on many new connections folds from its
// first lookup on.
//
// A lookup does not wait if no other one of its shape is under way. It does not wait for longer than
// AWAIT_PATIENCE for a verdict that another session has asked for, since that session may hang: as long as the question
// itself may wait for a lock. Less is too short for the first page of a pool, whose sessions all ask at once in new backends: who runs
// a lookup that nobody has vetted is in doubt behind it, and folds apart from the rest of the pool from then on.
//
//   AWAIT_NOTHING --await_begin--------------> AWAIT_PROOF    until await_proof_ended
//   AWAIT_NOTHING --await_begin, await_read--> AWAIT_VERDICT  until await_verdict_given, await_give_up or
//                                                             await_expire
//
// The unit stays in the client's input, like everything that a session holds (`hold`), and is looked at again
// from its beginning when the wait is over.
#ifndef PGFOLD_BATCHING_FLOW_AWAIT_H
#define PGFOLD_BATCHING_FLOW_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct group;
struct session;
struct shape;

#define AWAIT_PATIENCE 300000 // microseconds

// Decides whether the session holds its lookup of this shape and group, and asks what it waits for if nobody
// has. True: it holds.
bool await_begin(struct session *s, struct shape *shape, struct group *g);

// The same for a lookup that may have to run alone: it waits until another session's question about its read
// group is answered. If it ran and ended before the verdict, its session would be in doubt. True: it holds.
bool await_read(struct session *s, struct shape *shape, struct group *read);

// The session no longer waits, for whatever reason. May be called at any time, also twice.
void await_end(struct session *s);

// The lookup at hand has waited for all that it may wait for; the next one may wait anew.
void await_is_over(struct session *s);

// None of the reads at hand is being asked about: the next ones may wait anew.
void await_asks_anew(struct session *s);

// The proof on the session's connection has ended, well or not. The caller looks at the client's input again.
void await_proof_ended(struct session *s);

// The verdict about the group has come, and definitions have changed meanwhile: what waits for it does not wait for the next
// one. Where they change all the time, that could go on for ever.
void await_verdict_is_old(struct engine *e, const struct group *g);

// The verdict on the group has come, or is lost: the sessions that wait for it take their input up again.
void await_verdict_given(struct engine *e, struct group *g);

// The client has cancelled: the session no longer waits for an answer that is not asked for on its own
// connection.
void await_give_up(struct session *s);

// Ends the waits that have taken AWAIT_PATIENCE. To be called in each turn of the event loop.
void await_expire(struct engine *e);

// The engine time when await_expire() has something to do, in microseconds; UINT64_MAX: never.
uint64_t await_deadline(const struct engine *e);

#endif
