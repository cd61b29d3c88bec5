// SPDX-License-Identifier: PostgreSQL
//
// The folded statement's text. Two forms (design: docs/architecture.md):
//   IN       SELECT t.id, <list> FROM t WHERE t.id = ANY ($1)           the key column comes first in every
//   row LATERAL  SELECT k.n, q.* FROM unnest($1::int4[]) WITH ORDINALITY AS k(v, n)
//            CROSS JOIN LATERAL (<original, its key replaced by k.v> OFFSET 0) AS q     the key's ordinal
//            comes first
// IN is used where the key column is unique, so that a key has one row and no order; LATERAL keeps every
// key's rows in the order of the original's own plan: OFFSET 0, or the original's own LIMIT, is a fence that
// the planner does not flatten.
#ifndef PGFOLD_BATCHING_REWRITE_H
#define PGFOLD_BATCHING_REWRITE_H

#include "batching/shape.h"

enum fold_form { FORM_IN, FORM_LATERAL };

// True when the IN form is possible as far as the text tells; the catalogue must say that the key column is
// unique.
bool rewrite_in_possible(const struct shape *s, int key);

// Writes the folded text to `out`. `values`: of a simple shape, the constants as written, which are put back
// (but for the key); NULL for an extended shape, whose other parameters keep their numbers. The array
// parameter is $1 for a simple shape and the key's own number for an extended one. False: out of memory, or
// the text names something like our own aliases.
bool rewrite_folded(const struct shape *s, int key, enum fold_form form, uint32_t key_type,
                    const struct slice *values, struct buf *out) __attribute__((warn_unused_result));

#endif
