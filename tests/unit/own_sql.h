// SPDX-License-Identifier: PostgreSQL
//
// In a text of pgfold's own every operator names its schema: one of a user's must never run in it.
#ifndef PGFOLD_TESTS_OWN_SQL_H
#define PGFOLD_TESTS_OWN_SQL_H

// Where the first operator without a schema stands, or NULL.
const char *unqualified_operator(const char *sql);

#endif
