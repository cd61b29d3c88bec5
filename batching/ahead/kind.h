// SPDX-License-Identifier: PostgreSQL
//
// Loops that ask for some rows of a list only, those with one value in a column: `commentable_type = 'Author'`, where
// comments belong to authors and books. The column is remembered in their association (telling.h finds it).
#ifndef PGFOLD_BATCHING_AHEAD_KIND_H
#define PGFOLD_BATCHING_AHEAD_KIND_H

#include "batching/ahead/place.h"

// The column of the guess's list by which its rows are known to be told apart, or -1.
int kind_known(const struct guess *w);

// Has the row another value in the column than the guess's row? False for column -1.
bool kind_differs(const struct guess *w, int column, uint32_t row);

#endif
