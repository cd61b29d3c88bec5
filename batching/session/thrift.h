// SPDX-License-Identifier: PostgreSQL
//
// A connection that is used for one page may end before it has asked for much that needs its proof. Where the last
// ones did, the next ones are proved later: when they have brought some lookups, or others wait with them. Counted for
// each database. In front of a transaction they are proved in any case: in it that cannot be done. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_THRIFT_H
#define PGFOLD_BATCHING_SESSION_THRIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/session/figures.h"

struct session;

// Of each line of the figures: what the proofs of sessions that have ended have cost, less what they were worth. It
// falls below 0, so that one page with a loop pays for the proofs of some without.
struct thrift {
    int8_t spent[FIGURES_DATABASES + 1];
};

// The session has ended.
void thrift_ended(const struct session *s);
// Is the session's first proof to wait?
bool thrift_waits(const struct session *s);

#endif
