// SPDX-License-Identifier: PostgreSQL
//
// The types whose input and casts are the server's own code.
#ifndef PGFOLD_BATCHING_STATEMENT_SERVER_TYPES_H
#define PGFOLD_BATCHING_STATEMENT_SERVER_TYPES_H

#include <stdbool.h>

// Tells whether this is the bare name of one of them.
bool type_is_built_in(const char *name);

#endif
