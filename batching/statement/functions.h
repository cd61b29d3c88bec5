// SPDX-License-Identifier: PostgreSQL
//
// Functions of the server's that a statement may call and still be folded, or be a plain read.
#ifndef PGFOLD_BATCHING_STATEMENT_FUNCTIONS_H
#define PGFOLD_BATCHING_STATEMENT_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parsed;
struct parsed_function;

// Do the names alone say that the statement's functions are the server's own, and read and change nothing of
// a session, unless a user has made one of that name? False when one is not on the list.
bool vet_functions_plain(const struct parsed *p);
bool vet_function_plain(const struct parsed_function *f);

bool function_may_be_folded(const struct parsed *p, int i);
bool function_only_reads(const struct parsed *p, int i);

#endif
