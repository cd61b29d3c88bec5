// SPDX-License-Identifier: PostgreSQL
//
// Names and texts as SQL, for the queries that ask the catalogue. They must mean the same whatever a session
// has set.
#ifndef PGFOLD_BATCHING_STATEMENT_QUOTE_H
#define PGFOLD_BATCHING_STATEMENT_QUOTE_H

#include "batching/statement/parse.h"
#include "protocol/buf.h"

// Appends a string literal whose reading depends on no setting: quotes doubled. False: the text has a
// backslash.
bool quote_literal(struct buf *out, const char *text) __attribute__((warn_unused_result));

// Appends the relation's name as a literal that to_regclass() reads as SQL reads the name.
bool quote_relation(struct buf *out, const struct parsed_relation *r) __attribute__((warn_unused_result));

// Appends an array of names. next(list, i): the i-th one, NULL for a null.
bool quote_names(struct buf *out, const void *list, int n, const char *(*next)(const void *list, int i))
    __attribute__((warn_unused_result));
// For lists of texts (char *[]) and of functions (struct parsed_function []): their bare names.
const char *quote_next_text(const void *list, int i);
const char *quote_next_function(const void *list, int i);

#endif
