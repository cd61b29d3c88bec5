// SPDX-License-Identifier: PostgreSQL
//
// Finds values in a trail. Small results are searched as they are, larger ones by an index for each column, made
// when it is first needed.
#ifndef PGFOLD_BATCHING_AHEAD_SEARCH_H
#define PGFOLD_BATCHING_AHEAD_SEARCH_H

#include "batching/ahead/trail.h"

// A value as columns of each kind would have it, in canonical form (canon.h).
struct trail_forms {
    struct key of[TRAIL_KINDS]; // KEY_NULL: columns of this kind do not have it
    uint32_t text_type;         // OID: of texts only columns of this type; 0: any
    uint32_t other_type;        // OID: of others only columns of this type
};

// Where a value was found.
struct trail_place {
    struct trail_result *result;
    unsigned column; // index into result->columns.columns
    uint32_t row;    // the first one that has it
};

// Finds the next place of the value after *p (all zero: the first), in any result and column. Returns false when
// there is none.
bool trail_find(struct trail *t, const struct trail_forms *value, struct trail_place *p)
    __attribute__((warn_unused_result));
// Finds the first row with the value in one column. It does not find rows of a result that is still being
// recorded.
bool trail_find_row(struct trail *t, struct trail_result *r, unsigned column, const struct trail_forms *value,
                    uint32_t *row) __attribute__((warn_unused_result));
// Finds the first row with the value that this row has in the column. Returns false when it has none.
bool trail_find_equal(struct trail *t, struct trail_result *r, unsigned column, uint32_t row, uint32_t *first)
    __attribute__((warn_unused_result));
// Finds the next row with the same value in a column that was searched. Returns false when there is none.
bool trail_next_equal(const struct trail_result *r, unsigned column, uint32_t *row)
    __attribute__((warn_unused_result));
// The number of values of a column that was searched.
uint32_t trail_distinct(struct trail_result *r, unsigned column);
// Tells whether the row has the value in the column.
bool trail_row_has(const struct trail_result *r, uint32_t row, unsigned column,
                   const struct trail_forms *value);
// The same for a cell of a row that is in no trail.
bool trail_cell_has(const struct trail_column *c, const struct key *cell, const struct trail_forms *value);

#endif
