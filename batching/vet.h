// SPDX-License-Identifier: PostgreSQL
//
// Vetting: what the server's catalogue must say before a shape is folded for an identity. One query, run on a
// session of that identity, so that names resolve as they do for its lookups.
#ifndef PGFOLD_BATCHING_VET_H
#define PGFOLD_BATCHING_VET_H

#include "batching/shape.h"

struct vet_result {
    bool answered;       // a row came
    bool ok;             // may be folded, as far as the table, its columns and its operators go
    bool key_unique;     // the key column alone is unique: IN form possible
    uint32_t key_type;   // OID of the key column's type
    const char *refusal; // static: why not ok; NULL when ok
};

// Appends the catalogue query for the shape's candidate `key` to `out`. False: a name cannot be quoted
// safely, or no memory.
bool vet_query(const struct shape *s, int key, struct buf *out) __attribute__((warn_unused_result));

// The same for a SELECT that is only asked whether it is a plain read: its one column is "t" when every table
// is an ordinary one without row-level security (or the server's own) and none of its functions and operators
// is a user's.
bool vet_read_query(const struct shape *s, struct buf *out) __attribute__((warn_unused_result));
bool vet_read_row(struct slice row);

// Functions of the server's own that read and change nothing of a session. False when one is not on the list.
bool vet_functions_plain(const struct parsed *p);

// What the query's one row (DataRow body, text format) means.
void vet_row(struct slice row, struct vet_result *r);

#endif
