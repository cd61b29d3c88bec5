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
bool functions_are_plain(const struct parsed *p);
// The same for one function.
bool function_is_plain(const struct parsed_function *f);

// Tell whether the name of the statement's function i is on the list of stable functions that may be folded,
// or of those that a plain read may call. Functions that are immutable in the catalogue need no list.
bool function_is_foldable(const struct parsed *p, int i);
bool function_is_read_only(const struct parsed *p, int i);

// The server's functions that return sets, depend on nothing but their arguments and settings, and may be called
// in FROM or in a select list.
bool function_returns_rows(const char *name);
const char *const *functions_that_return_rows(int *n);

#endif
