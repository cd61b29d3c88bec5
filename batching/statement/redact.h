// SPDX-License-Identifier: PostgreSQL
//
// A statement's text without its values, for logs and reports.
#ifndef PGFOLD_BATCHING_STATEMENT_REDACT_H
#define PGFOLD_BATCHING_STATEMENT_REDACT_H

#include "protocol/buf.h"

// Appends the text. Every string and number becomes ?, comments are dropped, white space becomes single
// blanks, and parameters ($1) stay. It is cut with "…" before it gets longer than `most` bytes. It also ends
// with "…" where it cannot be read as SQL.
void redact_text(const char *text, size_t len, size_t most, struct buf *out);

#endif
