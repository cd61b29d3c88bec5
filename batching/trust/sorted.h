// SPDX-License-Identifier: PostgreSQL
//
// Does ORDER BY tell all rows of an answer apart? It does if the columns by which it sorts, together with those
// that are compared with the key, have all columns of a unique index. Then no plan can change the order, and a
// value that decides the plan may be part of the key. The stamp watches over the index.
#ifndef PGFOLD_BATCHING_TRUST_SORTED_H
#define PGFOLD_BATCHING_TRUST_SORTED_H

#include "batching/statement/shape.h"

// Does it matter for a group with these keys?
bool sorted_matters(const struct parsed *p, uint32_t keys);

// Appends an expression for the index, as "OID:xmin" of its pg_index row; NULL: there is none, or it does not
// matter. `fixed`: keys that are compared with a column as integers or uuids are, so that all rows have one
// value there. Returns false when a name cannot be quoted safely.
bool sorted_question(const struct parsed *p, uint32_t keys, uint32_t fixed, struct buf *out)
    __attribute__((warn_unused_result));

// Appends an expression for the xmin of that row now.
void sorted_check(uint32_t index, struct buf *out);

#endif
