// SPDX-License-Identifier: PostgreSQL
//
// A histogram with fixed bounds, as Prometheus has them (classic). Noting a value takes a dozen instructions
// and no memory.
#ifndef PGFOLD_BATCHING_BASE_HISTOGRAM_H
#define PGFOLD_BATCHING_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 18

enum histogram_kind {
    HISTOGRAM_TIME,  // microseconds: 50 us to 10 s
    HISTOGRAM_COUNT, // 1 to 10000
};

struct histogram {
    uint64_t
        n[HISTOGRAM_BOUNDS + 1]; // values up to each bound and above the one before; the last: all others
    uint64_t sum;
};

// The upper bounds, the least first; static. How many they are: histogram_bounds().
extern const uint64_t histogram_times[], histogram_counts[];
unsigned histogram_bounds(enum histogram_kind kind);

void histogram_note_time(struct histogram *h, uint64_t us);
void histogram_note_count(struct histogram *h, uint64_t value);

// How many values were noted.
uint64_t histogram_total(const struct histogram *h);

// The time that so many thousandths of those noted do not pass, microseconds: an estimate, as if they lay evenly
// between the bounds around them. UINT64_MAX: it lies above the last bound. 0: none were noted.
uint64_t histogram_quantile(const struct histogram *h, unsigned per_mille);

#endif
