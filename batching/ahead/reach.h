// SPDX-License-Identifier: PostgreSQL
//
// How far an association's loops get: how many lookups a batch has answered, lately. Loops that are mostly broken off behind a few
// rows cost more statements with batches than without, above all inside transactions, where savepoints frame each batch. For
// these nothing is loaded before a loop has got farther by itself, but for a trial now and then.
#ifndef PGFOLD_BATCHING_AHEAD_REACH_H
#define PGFOLD_BATCHING_AHEAD_REACH_H

#include "batching/ahead/association.h"

// A batch is given up that has answered so many lookups.
void reach_learn(struct association *a, unsigned n_served);
// Is a batch that takes so many statements worth it, if the loop, which has gone on by so many rows, gets as far as others
// lately? A refusal counts: after many of them it is.
bool reach_is_enough(struct association *a, unsigned n_steps, unsigned n_statements);

#endif
