// SPDX-License-Identifier: PostgreSQL
//
// Gives freed memory back to the system. malloc() keeps it for later, and cannot give back by itself what
// lies below a block that is still in use. It takes about a millisecond for each 10 MB, so it is considered
// once a second and done seldom, in a quiet second if there is one.
#ifndef PGFOLD_PROXY_TRIM_H
#define PGFOLD_PROXY_TRIM_H

#include <stddef.h>
#include <stdint.h>

struct engine;

struct trim {
    size_t high;      // bytes: the most that was in use since the last time
    uint64_t work;    // units that had been read a second ago
    unsigned waiting; // seconds since which there is something to give back
};

void trim_start(void);                            // at the start of the process
void trim_tick(struct trim *t, struct engine *e); // once a second

#endif
