// SPDX-License-Identifier: PostgreSQL
//
// Times of pgfold's monotonic clock as people and browsers write them.
#ifndef PGFOLD_PROXY_PAGE_TIME_H
#define PGFOLD_PROXY_PAGE_TIME_H

#include <stdint.h>

struct proxy;

struct page_time {
    uint64_t now;     // microseconds, of the monotonic clock
    uint64_t unix_ms; // milliseconds since 1970, at the same moment
};

struct page_time page_time_now(void);

// Milliseconds since 1970.
uint64_t page_time_of(struct page_time t, uint64_t us);

// "2026-11-30 02:15:04 UTC"
void page_time_text(uint64_t unix_ms, char *out, unsigned size);

// When the counters were zero: at the start, or when they were reset. Of the monotonic clock.
uint64_t page_since(const struct proxy *p);

#endif
