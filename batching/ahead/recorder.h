// SPDX-License-Identifier: PostgreSQL
//
// Records a reply in a trail, row by row. Of a reply of one row only the elements of its arrays are kept.
#ifndef PGFOLD_BATCHING_AHEAD_RECORDER_H
#define PGFOLD_BATCHING_AHEAD_RECORDER_H

#include "batching/ahead/trail.h"

// A reply begins whose rows have these columns.
void trail_begin(struct trail *t, const struct trail_columns *c);
// The same. Its rows go on in the result of the batch that c->batch names; they count also if there is only one.
void trail_begin_again(struct trail *t, const struct trail_columns *c);
// The reply that has begun counts also if it has one row.
void trail_keep_one(struct trail *t);
// Takes one of its rows: the body of a DataRow.
void trail_row(struct trail *t, const uint8_t *body, size_t len);
// Reads the values of a row, one for each kept column. They borrow from it. Returns false when it is no such row.
bool trail_read_row(const struct trail_columns *c, const uint8_t *body, size_t len, struct key *keys)
    __attribute__((warn_unused_result));
// All its rows have come. Its result; NULL: it has none.
struct trail_result *trail_take_one(struct trail *t);
// The reply has ended.
void trail_end(struct trail *t);

#endif
