// SPDX-License-Identifier: PostgreSQL
//
// No client waits long for what is not its own. A batch may hang behind a lock, another client's key may take
// seconds, the lender's backend may be stopped, or the network may stall. The server cannot see that a
// lookup, whose transaction others wait for, itself waits for one of them. So there are two deadlines. They
// follow what batches of the shape take (guard_patience):
//
//   the batch is sent            what is ours is the next thing that the connection does
//         |                                     |
//         | patience                            | a bit longer
//         v                                     v
//   members of other sessions    if the connection's own client waits for it, it is cancelled;
//   than the lender leave it,    the lookups of that client that it holds run as sent
//   and run as sent on their
//   own connections
//
// So nothing of a client's is sent behind what is ours before that is answered: a cancel request could hit
// it. Questions to the catalogue end soon by themselves: the client's goes out behind them, and then
// they are not cancelled (cancel_request.h); with what takes them back behind them (frame.h) they never are. A deadline counts only if two turns find that it has passed. The second one has read all that came in
// between, so nothing is given up because the loop itself was late.
//
// After a missed deadline the shape's lookups run as they were sent for a while (guard_is_late). With
// limits.patience 0 there are no deadlines.
//
// Here is noted what is sent and since when; flow/patience.h acts on it. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_LATE_H
#define PGFOLD_BATCHING_SESSION_LATE_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct engine;
struct group;
struct lookup;
struct owed;
struct session;

// ---- what is ours on a connection

// A batch has been sent on the session's connection. Sets b->patience.
void late_batch_sent(struct session *s, struct batch *b);

// A query of our own, or that of a check, has been sent.
void late_query_sent(struct session *s);

// The server begins with the first entry of what it owes.
void late_note_head(struct session *s);

// Is what is ours, and may take long, the last thing that the server was sent? Then nothing of the client's may be sent
// now.
bool late_must_wait(const struct session *s);

// Does the entry run a client's statement a second time, to compare the answers?
bool late_is_again(const struct owed *o);

// ---- deadlines

// Is it past the batch's deadline? Then no lookup waits for it any more.
bool late_is_over(const struct engine *e, const struct batch *b);

// Has the deadline passed, as found in two turns? `*due`: 0 at first; then the time from which the answer is
// yes.
bool late_is_past(const struct engine *e, uint64_t *due, uint64_t deadline);

// The same for the first entry of what the server owes, `patience` microseconds after it became the first.
bool late_head_is_past(struct session *s, uint64_t patience);

// ---- the catalogue

// The catalogue's verdict on a group did not come: it is asked again after a while, which doubles each time.
void late_verdict(const struct engine *e, struct group *g);

// Is it time to ask?
bool late_may_ask(const struct engine *e, const struct group *g);

// ---- lookups that run as sent

// They count as under way in their group, in the order of their sending. Those that are late themselves are
// taken out, so that they hold up no others.
void late_list_alone(struct lookup *l);
void late_unlist_alone(struct lookup *l);

// ---- ends

// The session leaves the engine's list, if it stands there: nothing of ours is under way on its connection.
void late_unlist(struct engine *e, struct session *s);

// The session ends.
void late_session_gone(struct session *s);

#endif
