// SPDX-License-Identifier: PostgreSQL
//
// A dry run of a group's queue, for mode observe. There each lookup is forwarded when it comes. The queue tells
// which of them would have waited for others, and gone to the server with them.
//
//   lookups come ---> those that wait ---a place is free, the turn has ended---> under way, until `takes` is over
//
// As many batches and lone lookups may be under way as in mode fold, and each is thought to take what a lookup
// of the group takes on average. Nothing here fails.
#ifndef PGFOLD_BATCHING_FOLD_DRY_QUEUE_H
#define PGFOLD_BATCHING_FOLD_DRY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define DRY_UNITS 32 // batches and lone lookups under way, at most

struct dry_queue {
    uint64_t
        until[DRY_UNITS]; // microseconds: when those under way will have been answered, the soonest first
    unsigned n_running;
    unsigned n_waiting;
    unsigned n_old;   // of these, those that had come before the last turn's end
    uint64_t since;   // when the first of them came
    uint64_t sent;    // when the last batch or lookup went
    uint64_t batch;   // number of the batch that they will be
    uint64_t several; // a bit for each of the last 64 batches: it has several lookups
    bool told;        // of the batch that gathers, one lookup was taken for a lone one
    uint32_t takes;   // microseconds until a lookup's answer, moving average
};

struct dry_limits {
    uint64_t window; // microseconds
    unsigned max_in_flight, max_keys;
    uint64_t spacing; // microseconds from one to the next beyond max_in_flight; UINT64_MAX: there is none
};

// A lookup comes. Returns the number of the batch that it waits for. *batches: counts those that began meanwhile.
uint64_t dry_queue_add(struct dry_queue *q, const struct dry_limits *l, uint64_t now, uint64_t *batches);

// The turn ends: what may go out does. Returns the number of batches of several lookups that have begun.
// `all`: nothing is under way at the server any more, so nothing waits any longer.
unsigned dry_queue_turn(struct dry_queue *q, const struct dry_limits *l, uint64_t now, bool all);

// A lookup of this batch has its answer, which took so long. Tells whether a batch of several would have brought it.
bool dry_queue_answered(struct dry_queue *q, uint64_t batch, uint64_t took);

#endif
