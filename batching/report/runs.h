// SPDX-License-Identifier: PostgreSQL
//
// What a session asks over and over, statement by statement, and what loops that makes. A run is all lookups of one
// statement on one page. What was asked before its loop is known is kept, and given to the loop then.
//
// A page ends with a pause, with other tags, or where one of its lists is read anew. Tags that are others with each statement
// tell no pages apart. A visit ends with the first two of
// these: two keys of a list are no loop if a visit ends between them.
//
// Bounded: RUNS for each session, the last ones used.
#ifndef PGFOLD_BATCHING_REPORT_RUNS_H
#define PGFOLD_BATCHING_REPORT_RUNS_H

#include "batching/report/loops.h"

#define RUNS          8
#define RUNS_LISTS    8
#define RUNS_PAUSE    500000 // microseconds
#define RUNS_RESTLESS 4      // statements one behind the other, each with other tags

struct run {
    uint64_t child;             // digest of the statement, however it is sent; 0: none
    uint64_t used;              // for what is replaced
    uint32_t page, visit;       // that it was last counted in
    uint64_t seen;              // a bit for each question that was asked on this page
    uint32_t n_keys;            // how many different ones these were, at least
    bool proven;                // its loop is
    bool counted;               // the page is, with its loop
    bool unlisted;              // its loop is, and has been counted so
    struct loop_place loop;     // that its lookups are counted for
    uint16_t tags;              // of its last lookup
    struct loop_counts given;   // to this loop on this page
    struct loop_counts pending; // not given yet
    uint64_t trail;             // serial of the newest list when it was proved
    uint64_t weighed;           // the list whose names were compared last (evidence.h),
    bool agrees;                // and whether they agree
    // The list in which its last key stood, and the first key of it.
    uint64_t list, first;
    int column;
    bool top;              // it is no answer to lookups: each such list is a page of the loop's
    uint64_t counted_list; // with which a page was counted
};

struct runs {
    struct run of[RUNS];
    uint64_t clock;
    uint32_t page, visit;
    uint64_t answers; // to statements
    uint64_t read_at; // the same when a list was read
    unsigned n_read;  // lists that were read on the page, and the statements of the last ones
    uint64_t read[RUNS_LISTS];
    uint64_t tags;    // of the page
    unsigned changes; // statements that came one behind the other with other tags, up to RUNS_RESTLESS
    uint64_t last;    // microseconds: of the last answer
};

// ---- pages

void runs_asked(struct runs *r, uint64_t now);      // a statement was asked then
void runs_tagged(struct runs *r, uint64_t tags);    // the page's tags, a digest; 0: it says none
void runs_read(struct runs *r, uint64_t statement); // a list of this statement was read

// ---- runs

// The run of the statement. It is made if there is none.
struct run *runs_of(struct runs *r, uint64_t child);

// A lookup with this question was answered.
void run_count(struct run *r, uint64_t question, const struct loop_counts *c);

// The key of a lookup was found in this column of a list. Returns true if that makes a loop: another key of the list was
// found there before.
bool run_found(struct run *r, uint64_t list, int column, uint64_t question);

// The run is one of this loop's: what it has asked is the loop's, and not that of the one before.
void run_belongs(struct run *r, struct loops *l, const struct loop_place *p);

// Gives the loop what it lacks of what the run has asked.
void run_give(struct run *r, struct loops *l, uint64_t now);

#endif
