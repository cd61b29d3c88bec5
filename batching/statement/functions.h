// SPDX-License-Identifier: PostgreSQL
//
// Lists of the server's functions that a statement may call and still be folded, or be a plain read.
#ifndef PGFOLD_BATCHING_STATEMENT_FUNCTIONS_H
#define PGFOLD_BATCHING_STATEMENT_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parsed;
struct parsed_function;

// Tells by the names alone whether the statement's functions belong to the server and neither read nor change
// anything of a session. A user may have made a function of such a name: that is checked elsewhere. Returns
// false when a name is not on the list.
bool vet_functions_plain(const struct parsed *p);
bool vet_function_plain(const struct parsed_function *f);

bool function_may_be_folded(const struct parsed *p, int i);
bool function_only_reads(const struct parsed *p, int i);

#endif
