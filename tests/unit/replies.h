// SPDX-License-Identifier: PostgreSQL
//
// What a PostgreSQL server says, put into a buffer: rows, descriptions, the usual replies by their letters,
// and its answer to the question of who the session is (the proof).
#ifndef PGFOLD_TESTS_REPLIES_H
#define PGFOLD_TESTS_REPLIES_H

#include <stdint.h>

#include "protocol/buf.h"

// A DataRow of text values; NULL is NULL.
void put_text_row(struct buf *b, const char *const *values, unsigned n);

// A column of a RowDescription: an int4 of this table, text format.
void put_column(struct buf *b, const char *name, uint32_t table);
// A RowDescription of one such column.
void put_description(struct buf *b, const char *name, uint32_t table);

// A message by its letter:
//   Z z x   ReadyForQuery: idle, inside a transaction, inside one that has failed
//   C       CommandComplete
//   E       an error, "undefined table"; / one of division by zero; e that of a cancelled statement
//   T       RowDescription of one column
//   others  a message of that type with an empty body: 1 ParseComplete, 2 BindComplete, n NoData …
void put_reply(struct buf *b, char letter);
void put_replies(struct buf *b, const char *letters);

// The answer to a proof: the user alice, and settings as names and values by turns, NULL behind the last.
void put_proof_users(struct buf *b); // its first row alone
void put_proof(struct buf *b, const char *const *settings);

#endif
