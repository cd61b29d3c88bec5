// SPDX-License-Identifier: PostgreSQL
//
// Reads statements that write, by their tokens alone.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_WRITE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parsed;

// Reads an INSERT, UPDATE, DELETE or MERGE, which is much cheaper than parsing it. Returns a result of kind
// WRITE, owned by the caller, with the table that it writes to and the functions that it calls. It has no
// relations when these cannot be told. NULL: out of memory.
struct parsed *parse_write(const char *text, size_t len);

#endif
