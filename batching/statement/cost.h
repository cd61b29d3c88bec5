// SPDX-License-Identifier: PostgreSQL
//
// Estimates what it costs to parse a text, before it is done: nanoseconds on an ordinary core. The kinds of
// its tokens decide, since two texts of one length can differ a thousandfold. The estimate depends on the
// text alone. So the decisions that follow from it are the same on every machine.
#ifndef PGFOLD_BATCHING_STATEMENT_COST_H
#define PGFOLD_BATCHING_STATEMENT_COST_H

#include <stddef.h>
#include <stdint.h>

#define COST_OF_SCAN   12   // of one byte, by the lexer
#define COST_OF_WRITE  25   // of one byte, by parse_write()
#define COST_OF_LOOKUP 1000 // from its messages to its answer, without the scan of the messages

// The cost of parse_statement(). The estimate itself takes a scan.
uint32_t cost_of_parse(const char *text, size_t len);

#endif
