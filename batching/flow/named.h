// SPDX-License-Identifier: PostgreSQL
//
// Tells whether the answer that a client was given last names what it asks for now (ahead/climb.h).
#ifndef PGFOLD_BATCHING_FLOW_NAMED_H
#define PGFOLD_BATCHING_FLOW_NAMED_H

#include <stdbool.h>
#include <stdint.h>

struct session;
struct group;
struct key;
struct ahead_hit;

// Only an answer of one row, from a batch that is still held and not newer than what is held for the question: the client
// never sees an older state than the one that has led it here.
bool ahead_is_named(const struct session *s, const struct group *g, const struct ahead_hit *hit,
                    uint64_t question);
// Serial, in the session's own trail, of the list that has the row which the client was given before this question was
// noted, if that row names the keys. 0: it does not, or there is no such list.
uint64_t ahead_naming_list(const struct session *s, const struct group *g, const struct key *keys);

#endif
