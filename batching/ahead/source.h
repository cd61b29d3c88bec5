// SPDX-License-Identifier: PostgreSQL
//
// Where a lookup's key comes from, for whoever reads the report: the list and its column, as the catalogue tells. What is
// loaded ahead is decided by other things, too (ahead/place.h), and may come from another list that has the key.
#ifndef PGFOLD_BATCHING_AHEAD_SOURCE_H
#define PGFOLD_BATCHING_AHEAD_SOURCE_H

#include "batching/ahead/place.h"

// Finds the list that most probably supplies the key of a READY group's lookup. Of lists that have it in a column that the
// key's foreign key refers to, or that refers to the key's column, the newest; else of those with the key's own column.
// Returns false when there is none. Nothing is noted.
bool source_find(struct trail *t, const struct group *g, const struct key *keys, struct guess *w)
    __attribute__((warn_unused_result));

#endif
