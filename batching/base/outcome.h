// SPDX-License-Identifier: PostgreSQL
//
// What became of a client's statement. Each one that is answered is reported with it (session/answered.h).
#ifndef PGFOLD_BATCHING_BASE_OUTCOME_H
#define PGFOLD_BATCHING_BASE_OUTCOME_H

enum outcome {
    OUTCOME_NONE,      // no statement, or one that the server has skipped
    OUTCOME_FORWARDED, // no lookup, or one that could not be accepted
    OUTCOME_ALONE,     // a lookup that ran as it was sent
    OUTCOME_FOLDED,    // a lookup, from a batch
    OUTCOME_AHEAD,     // a lookup, from rows that were loaded ahead
    OUTCOME_HERE,      // without the server: DEALLOCATE of what it never had, the error of a cancelled lookup
    OUTCOME_COUNT
};

#endif
