// SPDX-License-Identifier: PostgreSQL
//
// Errors are answers. What is computed from constants alone, the server computes before it runs a statement,
// and an error in it is the answer, whether there is a row or not: WHERE n = 'abc'::text::int, or = 10 / 0.
// In a folded statement the constant is a column, from which nothing is computed unless there is a row. (The
// same holds for parameters that are the same for all: a prepared statement may get a plan for all values.)
//
// A value that is compared as it stands cannot fail so: its own type reads it when it is bound.
#ifndef PGFOLD_BATCHING_STATEMENT_RISK_H
#define PGFOLD_BATCHING_STATEMENT_RISK_H

#include "batching/statement/parse.h"
#include "protocol/message.h"

// What may be wrong with a value of this declared type (0: the server deduces it) in the place of $param.
enum risk risk_of_param(const struct parsed *p, int param, uint32_t declared);

// May a value of this type be one that fails when it is made another type's, as the server does by itself
// where the other side is of that type?
bool risk_of_value(uint32_t type, uint16_t format, struct slice value);

#endif
