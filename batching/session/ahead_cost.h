// SPDX-License-Identifier: PostgreSQL
//
// What loading ahead costs the server, and what it has earned by the lookups that it answered. The books
// are the shape's budget, the session's, and the one for all questions of lookahead's
// (statement/budget.h). ahead_affordable says how much may be loaded; ahead_spend and ahead_earn book it.
// Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_AHEAD_COST_H
#define PGFOLD_BATCHING_SESSION_AHEAD_COST_H

#include "batching/session/session.h"

// The statements that a batch on the connection takes: it and its check; in a transaction a SAVEPOINT, a SELECT that
// makes the process look for changes and a RELEASE, too.
unsigned ahead_statements(const struct session *s);

// How many keys the shape and the session can afford to load now; 0: none.
unsigned ahead_affordable(const struct session *s, const struct ahead *a, const struct group *g,
                          const struct association *association);

// The batch is sent on the connection of `s`: books its cost.
void ahead_spend(const struct session *s, struct ahead *a, struct batch *b, struct association *association);

// A lookup of a loop was answered, in whatever way: books its value, in the units of statement/budget.h. `a`:
// where its key was found.
void ahead_earn(struct ahead *a, struct shape *s, uint32_t value);

// A lookup was answered with what the batch has loaded for this key (an index into its keys): books that.
void ahead_served(struct batch *b, uint32_t key);

// The association by which the batch was loaded; borrowed from the shape. NULL: the shape has none.
struct association *ahead_association(const struct batch *b);

// What becomes of keys that were loaded ahead. Each is counted once in ANSWERED, UNUSED or STALE.
enum ahead_fate { AHEAD_LOADED, AHEAD_ANSWERED, AHEAD_UNUSED, AHEAD_STALE };

// Keys have become known to a batch that is under way: counts them as loaded, and books what they cost.
void ahead_fill(struct ahead *a, struct batch *b);

// Counts n keys of a batch that was loaded ahead, with the engine and its association.
void ahead_count(struct engine *e, const struct batch *b, enum ahead_fate fate, unsigned n);

#endif
