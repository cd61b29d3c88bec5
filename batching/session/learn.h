// SPDX-License-Identifier: PostgreSQL
//
// What the replies to a Parse and its Describe tell about all statements like it.
#ifndef PGFOLD_BATCHING_SESSION_LEARN_H
#define PGFOLD_BATCHING_SESSION_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame;
struct group;
struct session;
struct shape;

// What the reply to a Parse, and a Describe behind it, tells about all statements like it.
struct learning {
    struct group *group; // whose in_flight counts it; NULL: nothing is learnt
    uint64_t generation;
    bool describes;
    unsigned stage;
};

// The pseudo-group of a SELECT (group_for_read) for the session as it is now; NULL: none, or out of memory.
struct group *session_read_group(struct session *s, struct shape *shape);
void session_learn(struct session *s, struct group *read, bool describes);
void session_feed_learning(struct session *s, const struct frame *f, bool whole);
void session_end_learning(struct session *s);

#endif
