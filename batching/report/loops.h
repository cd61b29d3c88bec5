// SPDX-License-Identifier: PostgreSQL
//
// The loops that the report lists.
//
// Bounded: at most limits.report_loops. When they are all taken, a loop that is proved takes the place of what was
// not and has asked least; any other is counted and not listed.
#ifndef PGFOLD_BATCHING_REPORT_LOOPS_H
#define PGFOLD_BATCHING_REPORT_LOOPS_H

#include "batching/report/loop.h"

// Where a loop is. It is not there any more if the loop at this place has another key.
struct loop_place {
    uint64_t key; // 0: nowhere
    unsigned at;
};

struct loops {
    struct loop *of;
    unsigned n, room, max;
    uint64_t not_listed;    // loops
    struct loop_counts all; // also of those
    struct account *memory; // NULL: not counted
    size_t weighs;
};

void loops_clear(struct loops *l); // also at the end

// The loop at this place. NULL: it is not there any more. Borrowed until one is added.
static inline struct loop *loops_at(const struct loops *l, const struct loop_place *p) {
    return p->key && p->at < l->n && l->of[p->at].key == p->key ? &l->of[p->at] : NULL;
}

// Finds it by its key. Returns false when it is not there.
bool loops_find(const struct loops *l, uint64_t key, struct loop_place *p);

// The loop was asked for with these tags. `most`: sets that it keeps.
void loop_tagged(struct loop *l, uint16_t tags, unsigned most);

// Makes a loop. Returns false when it cannot be listed; `twice`: that has been counted before.
bool loops_add(struct loops *l, const struct loop_about *about, bool twice, struct loop_place *p);

// The catalogue may have been asked about the loop's lookups since it was made: then it is told what that has said.
void loops_renew(struct loops *l, const struct loop_place *p, const struct loop_about *about);

// The i-th by cost: what its lookups would have taken one by one, then their number. NULL: there are no more.
// `order`: room for l->n numbers, filled at i = 0.
const struct loop *loops_by_cost(const struct loops *l, unsigned i, uint32_t *order);

#endif
