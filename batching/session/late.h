// SPDX-License-Identifier: PostgreSQL
//
// Nobody waits long for what is not his own. A batch may hang behind a lock, a key of somebody else's may
// take seconds, its lender's backend may be stopped or the network stall; the server cannot see that a lookup
// whose transaction others wait for waits for one of them. So there are two deadlines, which follow what
// batches of the shape take (guard_patience):
//
//   a batch is sent ---patience---> members of other sessions than its lender leave, and run as sent on their
//                                   own connections
//   what is ours becomes the next thing that a connection does
//                   ---a bit longer---> if the connection's own client waits for it, it is cancelled, and the
//                                   lookups of that client that it holds run as sent
//
// Therefore nothing of a client's is sent behind what is ours before that is answered: a cancel request could
// hit it. A deadline has passed when a turn finds so, and another one later, which has read what had come
// meanwhile: that the loop itself was late is nobody's fault.
//
// After that the shape's lookups run as they were sent for a while (guard_is_late). With limits.patience 0
// there is none of this.
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

// What is ours has been sent on the session's connection.
void late_batch_sent(struct session *s, struct batch *b);
void late_query_sent(struct session *s); // or a check's
// Nothing of the client's may be sent now: what is ours is the last that the server was sent.
bool late_must_wait(const struct session *s);
// It will not be waited for any more.
bool late_is_over(const struct engine *e, const struct batch *b);

// The catalogue's verdict on a group did not come; is it time to ask again?
void late_verdict(const struct engine *e, struct group *g);
bool late_may_ask(const struct engine *e, const struct group *g);

// Lookups that run as sent count as under way in their group, in the order of their sending, but for those
// that are late themselves.
void late_list_alone(struct lookup *l);
void late_unlist_alone(struct lookup *l);

void late_session_gone(struct session *s);

void late_note_head(struct session *s); // the server begins with the first of what it owes
// The deadline has passed, and it is time to act. `due`: 0, then when that is.
bool late_is_past(const struct engine *e, uint64_t *due, uint64_t deadline);
bool late_head_is_past(struct session *s, uint64_t patience); // the same of the first of what it owes

bool late_is_ours(const struct owed *o);
bool late_is_again(const struct owed *o);
void late_unlist(struct engine *e, struct session *s);

#endif
