// SPDX-License-Identifier: PostgreSQL
//
// The two catalogue queries: one vets a lookup, the other asks whether a SELECT is a plain read.
#ifndef PGFOLD_BATCHING_TRUST_VET_QUERY_H
#define PGFOLD_BATCHING_TRUST_VET_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct shape;

// Appends the query that vets the shape. `key`: the candidate whose column may be unique, or -1. `wide`: ask
// also for what is below the statement (vet_own.h), which doubles what the question costs. Returns false when
// a name cannot be quoted safely or memory is out.
bool vet_query(const struct shape *s, int key, bool wide, struct buf *out)
    __attribute__((warn_unused_result));

// Appends the query that asks whether a SELECT is a plain read. Its first column is "t" when every table is an
// ordinary one without row-level security, or the server's own, and none of its functions and operators
// belongs to a user; `wide`: also when all that is below it only reads. Returns false as above.
bool vet_read_query(const struct shape *s, bool wide, struct buf *out) __attribute__((warn_unused_result));

#endif
