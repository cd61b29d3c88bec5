// SPDX-License-Identifier: PostgreSQL
//
// What was counted in each of the last seconds, for whoever begins to look. Of fixed size, and fed by the timer
// that comes once a second; a second that was longer says so.
#ifndef PGFOLD_BATCHING_SHOW_HISTORY_H
#define PGFOLD_BATCHING_SHOW_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/outcome.h"

#define HISTORY_SECONDS 300
#define HISTORY_UNKNOWN UINT32_MAX

struct engine_counters;

struct history_second {
    uint64_t ended; // microseconds of the clock that history_tick() is told
    uint32_t took;  // microseconds
    uint32_t asked, sent;
    uint32_t by[OUTCOME_COUNT];
    uint32_t
        would; // would have been sent in mode fold, an estimate; HISTORY_UNKNOWN: the mode was not observe
};

struct history_totals {
    uint64_t asked, sent, would, by[OUTCOME_COUNT];
};

struct history {
    struct history_second ring[HISTORY_SECONDS];
    unsigned n, next; // how many there are, and the place of the next
    uint64_t began;   // of the time of the first tick
    uint64_t ticked, since;
    struct history_totals before;
};

// The totals of what was counted so far.
struct history_totals history_totals(const struct engine_counters *c);

// A second has passed, or so. `since`: when the counters were last set to zero. `observes`: the mode is observe.
void history_tick(struct history *h, const struct engine_counters *c, uint64_t since, bool observes,
                  uint64_t now);

// The i-th of the n seconds, the oldest first.
const struct history_second *history_at(const struct history *h, unsigned i);

// Of the last `most` seconds, or of as many as there are, one after the other; `took` is the time of them all.
struct history_second history_sum(const struct history *h, unsigned most);

// The same of those among them in which the mode was observe.
struct history_second history_observed(const struct history *h, unsigned most);

#endif
