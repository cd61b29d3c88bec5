// SPDX-License-Identifier: PostgreSQL
//
// Statements that write, read by their tokens alone.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_WRITE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parsed;

// An INSERT, UPDATE, DELETE or MERGE, by its tokens alone, which is much cheaper: kind WRITE, with the table
// that it writes to and the functions that it calls. No relations when that cannot be told. NULL: out of
// memory.
struct parsed *parse_write(const char *text, size_t len);

#endif
