// SPDX-License-Identifier: PostgreSQL
//
// What the replies to a Parse, and to a Describe behind it, tell about all statements like it. It is kept in
// the read group of the statement (group_for_read). Later such a Parse can be answered without the server
// (session/lazy.h).
//
// One reply at a time is learnt from. Any message that was not expected ends that, without harm.
#ifndef PGFOLD_BATCHING_SESSION_LEARN_H
#define PGFOLD_BATCHING_SESSION_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;
struct group;
struct group_table;
struct session;
struct shape;

struct learning {
    struct group *group; // pinned; NULL: nothing is learnt
    uint64_t generation; // of the definitions when it began
    bool describes;      // a Describe comes behind the Parse
    uint64_t asked;      // engine time
    unsigned stage;      // messages that have come
};

// The read group of a SELECT for the session as it is now; borrowed. NULL: none, or out of memory.
struct group *session_read_group(struct session *s, struct shape *shape);

// The next reply answers a Parse of a statement of this read group; `describes`: and a Describe.
void session_learn(struct session *s, struct group *read, bool describes);

// One message of that reply. `whole`: its body is there.
void session_feed_learning(struct session *s, const struct frame *f, bool whole);

// The server has described a statement of this shape once more; it was asked at `asked`.
void session_learn_again(struct session *s, struct shape *shape, const struct frame *row, uint64_t asked);

// A batch of the group has ended well: what it was described as was so when the batch was sent.
void learn_from_batch(struct group_table *t, const struct group *g, uint64_t sent);

// Ends the learning, if there is any.
void session_end_learning(struct session *s);

#endif
