// SPDX-License-Identifier: PostgreSQL
//
// The parse tree of libpg_query. Only parse*.c include it.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

typedef PgQuery__Node Node;

#endif
