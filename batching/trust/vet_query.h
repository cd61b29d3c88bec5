// SPDX-License-Identifier: PostgreSQL
//
// The catalogue query that vets a lookup, and the one about a plain read.
#ifndef PGFOLD_BATCHING_TRUST_VET_QUERY_H
#define PGFOLD_BATCHING_TRUST_VET_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct shape;

// Appends the catalogue query for the shape to `out`; `key`: the candidate whose column may be unique, or -1.
// False: a name cannot be quoted safely, or no memory.
bool vet_query(const struct shape *s, int key, struct buf *out) __attribute__((warn_unused_result));

// The same for a SELECT that is only asked whether it is a plain read: its one column is "t" when every table
// is an ordinary one without row-level security (or the server's own) and none of its functions and operators
// is a user's.
bool vet_read_query(const struct shape *s, struct buf *out) __attribute__((warn_unused_result));

#endif
