// SPDX-License-Identifier: PostgreSQL
//
// A statement's text for eyes that must not see its values: logs and reports.
#ifndef PGFOLD_BATCHING_STATEMENT_REDACT_H
#define PGFOLD_BATCHING_STATEMENT_REDACT_H

#include "protocol/buf.h"

// Appends the text with every string and number replaced by ?, comments dropped and white space as single
// blanks; cut with "…" before it gets longer than `most` bytes. Parameters ($1) stay. What cannot be read as
// SQL ends there with "…", too.
void redact_text(const char *text, size_t len, size_t most, struct buf *out);

#endif
