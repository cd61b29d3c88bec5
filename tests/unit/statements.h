// SPDX-License-Identifier: PostgreSQL
//
// Statements that mappers and drivers send for one id, as they are on the wire.
#ifndef PGFOLD_TESTS_STATEMENTS_H
#define PGFOLD_TESTS_STATEMENTS_H

#include <stddef.h>

extern const char *const statements[];
extern const size_t n_statements;

#endif
