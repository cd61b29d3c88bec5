// SPDX-License-Identifier: PostgreSQL
//
// A client's BEGIN, COMMIT or ROLLBACK that says nothing else, in either protocol, and what is answered to it here.
//
//   Query
//   [Parse of the unnamed statement] Bind [Describe] Execute [Close]* Sync
//   the same without its Sync, in front of others: BEGIN as JDBC sends it, in the unit of the first statement
#ifndef PGFOLD_BATCHING_TALK_BOUNDARY_UNIT_H
#define PGFOLD_BATCHING_TALK_BOUNDARY_UNIT_H

#include "batching/session/session.h"
#include "batching/statement/boundary.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

struct boundary_unit {
    struct boundary is;
    struct unit unit;             // of several statements: the first one's part
    bool simple;                  // a Query
    bool whole;                   // it ends its unit: ReadyForQuery ends its answer
    struct shape *parsed;         // what its Parse makes; borrowed. NULL: it has none
    const struct statement *runs; // what its Bind names, if it has no Parse; borrowed
};

// Reads the unit at f->at. False: it is none of these.
bool boundary_unit_read(struct feed *f, const struct unit *u, enum unit_result r, struct boundary_unit *out)
    __attribute__((warn_unused_result));

static inline bool boundary_begins(const struct boundary_unit *b) {
    return b->is.kind == STATEMENT_BEGIN;
}

// Tells the client that its transaction has begun or ended, and notes what it believes from then on: the session is as if the
// server had answered. Nothing is under way for the client. False: out of memory, nothing was done.
bool boundary_unit_answer(struct session *s, const struct boundary_unit *b);

#endif
