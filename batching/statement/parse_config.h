// SPDX-License-Identifier: PostgreSQL
//
// SELECT set_config(…), …: settings in the form of a query. Only parse.c includes it.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_CONFIG_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_CONFIG_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"

// PostgreSQL resets these at other times than other settings, or they are not settings of the session.
bool setting_is_other(const char *name);

// Reads a SELECT that calls set_config. SET or SET_LOCAL: it does nothing else, all of its values are constants, and they are in
// `settings`. OTHER: not so; if nothing but parameters is between it and that, its calls are in `configs` (bound_config.h).
enum statement_kind parse_config(struct builder *b, const PgQuery__SelectStmt *s);

#endif
