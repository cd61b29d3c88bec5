// SPDX-License-Identifier: PostgreSQL
//
// Which column tells the rows that a loop asks for from those that it passes over. The rows behind it tell the column:
// those that were asked for have one value there, and those that were passed over have others. Then of the coming
// rows only those with the value of the row at hand are loaded, in later lists, too. A loop that asks for rows of
// several values makes the column forgotten. A wrong column costs statements, and never gives a wrong answer.
#ifndef PGFOLD_BATCHING_AHEAD_TELLING_H
#define PGFOLD_BATCHING_AHEAD_TELLING_H

#include "batching/ahead/place.h"

// The column of the guess's list, or -1. What its rows tell is remembered in the guess's association.
int telling_column(const struct guess *w, const struct group *g);

#endif
