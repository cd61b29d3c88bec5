// SPDX-License-Identifier: PostgreSQL
//
// What it costs to parse a text, estimated before it is done: nanoseconds on an ordinary core, told by the
// kinds of its tokens. A text of the same length may cost a thousand times as much as another. The estimate
// depends on nothing but the text, so that what is decided by it is the same on every machine.
#ifndef PGFOLD_BATCHING_STATEMENT_COST_H
#define PGFOLD_BATCHING_STATEMENT_COST_H

#include <stddef.h>
#include <stdint.h>

#define COST_OF_SCAN   12   // of one byte, by the lexer
#define COST_OF_WRITE  25   // of one byte, by parse_write()
#define COST_OF_LOOKUP 1000 // beside that of its messages, to its answer

// Of parse_statement(). Costs a scan.
uint32_t cost_of_parse(const char *text, size_t len);

#endif
