// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/reach.h"

#define PART 64 // of a lookup: so many are sent as they come for one that a trial may cost
#define FAR  8  // lookups of a loop that is none of those that are broken off at once
#define MOST 500
#define SLOW 4 // the part that the last batch counts for
#define HOPE 6 // lookups that batches are thought to answer before any has

void reach_learn(struct association *a, unsigned n_served) {
    uint32_t n = (n_served < MOST ? n_served : MOST) * PART;
    uint32_t before = a->reach ? a->reach - 1 : HOPE * PART;
    a->reach = 1 + ((SLOW - 1) * before + n) / SLOW;
}

// The lookup at hand is answered by it, too.
bool reach_is_enough(struct association *a, unsigned n_steps, unsigned n_statements) {
    if (!a->reach || n_steps > FAR || a->reach > (n_statements - 1) * PART)
        return true;
    a->reach++;
    return false;
}
