// SPDX-License-Identifier: PostgreSQL
//
// Writes names and texts as SQL, for the catalogue queries. They must mean the same whatever a session has
// set.
#ifndef PGFOLD_BATCHING_STATEMENT_QUOTE_H
#define PGFOLD_BATCHING_STATEMENT_QUOTE_H

#include "batching/statement/parse.h"
#include "protocol/buf.h"
#include "protocol/message.h"

// Appends a string literal that no setting affects: quotes are doubled. Returns false when the text has a
// backslash.
bool quote_literal(struct buf *out, const char *text) __attribute__((warn_unused_result));

// The same for a text of any bytes: false also when one is zero.
bool quote_string(struct buf *out, struct slice text) __attribute__((warn_unused_result));

// Appends the relation's name as a literal that to_regclass() reads as SQL reads the name. Returns false as
// above.
bool quote_relation(struct buf *out, const struct parsed_relation *r) __attribute__((warn_unused_result));

// Appends an array of names. next(list, i) returns the i-th one, or NULL for a null. Returns false as above.
bool quote_names(struct buf *out, const void *list, int n, const char *(*next)(const void *list, int i))
    __attribute__((warn_unused_result));
// `next` for lists of texts (char *[]) and for the bare names of functions (struct parsed_function []).
const char *quote_next_text(const void *list, int i);
const char *quote_next_function(const void *list, int i);

#endif
