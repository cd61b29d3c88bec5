// SPDX-License-Identifier: PostgreSQL
//
// Makes /report and /report.json in slices of the event loop's time, since a thousand loops with all their tags take
// hundreds of milliseconds. Loops are in the order of the moment when it began; each is told as it is when its turn comes.
#ifndef PGFOLD_PROXY_REPORT_MAKING_H
#define PGFOLD_PROXY_REPORT_MAKING_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/report/loops.h"
#include "protocol/buf.h"
#include "proxy/report_words.h"

#define REPORT_SLICE 1000 // microseconds of making
#define REPORT_PAUSE 3000 // and of the pause behind it

struct proxy;

struct report_making {
    bool runs;
    enum report_format format;
    bool observed;
    struct loop_place *places; // owned; in the order of what the loops cost
    unsigned n, at, told;
    uint64_t next; // microseconds: when it goes on
    uint64_t cost; // microseconds, up to now
    struct buf out;
};

// Begins. Returns false when it cannot.
bool report_making_begin(struct report_making *m, struct proxy *p, enum report_format f, uint32_t most);

// Goes on, if it is time. Returns true when it is done: `out` has all of it, unless it has failed.
bool report_making_go_on(struct report_making *m, struct proxy *p);

void report_making_end(struct report_making *m); // frees what it has

#endif
