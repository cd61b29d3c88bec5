// SPDX-License-Identifier: PostgreSQL
//
// What was freed goes back to the system: malloc() keeps it for the next time, and does not give back what
// lies below a block that is still in use. Once a second, and seldom: it takes about a millisecond for each
// 10 MB.
#ifndef PGFOLD_PROXY_TRIM_H
#define PGFOLD_PROXY_TRIM_H

#include <stddef.h>
#include <stdint.h>

struct engine;

struct trim {
    size_t high;      // bytes: the most that was in use since the last time
    uint64_t work;    // units that were read by the last second
    unsigned waiting; // seconds since which there is something to give back
};

void trim_start(void);                            // at the start of the process
void trim_tick(struct trim *t, struct engine *e); // once a second

#endif
