// SPDX-License-Identifier: PostgreSQL
//
// What loading ahead costs the server, and what it has earned by the lookups that it answered.
#ifndef PGFOLD_BATCHING_SESSION_AHEAD_COST_H
#define PGFOLD_BATCHING_SESSION_AHEAD_COST_H

#include "batching/session/session.h"

// A lookup was answered with what a batch has loaded for this key.
void ahead_served(struct batch *b, uint32_t key);

struct association *ahead_association(const struct batch *b);
void ahead_earn(struct ahead *a, struct shape *s, uint32_t value);
unsigned ahead_affordable(const struct session *s, const struct ahead *a, const struct group *g,
                          const struct association *association);
void ahead_spend(const struct session *s, struct ahead *a, struct batch *b, struct association *association);

#endif
