// SPDX-License-Identifier: PostgreSQL
//
// The parse tree of libpg_query, for parse.c and its like, which are the only ones that name it.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

typedef PgQuery__Node Node;

#endif
