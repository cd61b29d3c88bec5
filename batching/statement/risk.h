// SPDX-License-Identifier: PostgreSQL
//
// Errors are answers, too. The server computes constant expressions before it runs a statement, and an error
// there is the answer, whether a row exists or not: WHERE n = 'abc'::text::int, or = 10 / 0. In a folded
// statement the constant is a column, and nothing is computed from it unless there is a row. (The same holds
// for parameters that are equal in all lookups: a prepared statement may get a plan for all values.)
//
// A value that is compared as it stands cannot fail this way: its own type reads it when it is bound.
#ifndef PGFOLD_BATCHING_STATEMENT_RISK_H
#define PGFOLD_BATCHING_STATEMENT_RISK_H

#include "batching/statement/parse.h"
#include "protocol/message.h"

// The risk of a value of this declared type (0: the server deduces it) in the place of $param.
enum risk risk_of_param(const struct parsed *p, int param, uint32_t declared);

// Tells whether a value of this type may fail when it is converted to another type. The server converts by
// itself where the other side has another type.
bool risk_of_value(uint32_t type, uint16_t format, struct slice value);

#endif
