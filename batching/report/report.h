// SPDX-License-Identifier: PostgreSQL
//
// What the report is made of, one in the engine: loops, tags, and what columns are called.
#ifndef PGFOLD_BATCHING_REPORT_REPORT_H
#define PGFOLD_BATCHING_REPORT_REPORT_H

#include "batching/report/loops.h"
#include "batching/report/naming.h"
#include "batching/report/tags.h"

#define REPORT_REPEATS                                                                                       \
    5 // lookups of one statement with different keys, which no list has, that are a candidate

struct report_tables {
    struct account memory;
    struct loops loops;
    struct naming names;
    struct tags tags;
    unsigned loop_tags; // sets that one statement brings, and one loop keeps
};

void report_begin(struct report_tables *r, struct account *memory);
void report_limit(struct report_tables *r, unsigned max_loops, unsigned max_tags, unsigned loop_tags);
void report_reset(struct report_tables *r); // RESET STATS
void report_finish(struct report_tables *r);

#endif
