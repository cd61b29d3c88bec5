// SPDX-License-Identifier: PostgreSQL
//
// What parse.c and its like share: the parse tree, and what is found in it. For these alone, which are the
// only ones that name libpg_query.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_TREE_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "batching/statement/parsed.h"
#include "protocol/buf.h"

typedef PgQuery__Node Node;

bool tree_name_in(const char *name, const char *const *list); // list ends with NULL

// The text of a String node, NULL for any other.
const char *tree_string(const Node *n);

// A possibly qualified name: its last part, and in *schema the one before it or NULL. NULL when it is no
// plain name.
const char *tree_name(size_t n, Node *const *names, const char **schema);

bool tree_is_server_type(const char *name); // its input and casts are the server's own code

void tree_put_quoted(struct buf *out, const char *s, char quote); // quotes in it doubled

// ---- parse_walk.c: one walk over everything, whatever the statement

struct walk {
    struct builder *b; // gets the lists
    bool unknown;      // a message type that is on no list
    bool locking, into, writes, set_config;
    size_t n_ctes;
    const char *ctes[64];
};

void tree_walk(struct walk *w, const Node *n);

// ---- parse_lookup.c: may it be a lookup?

// After the walk. Fills in the keys and what else only a lookup has. REASON_NONE, or why not.
enum reason lookup_judge(struct builder *b, const PgQuery__SelectStmt *s);

// ---- parse_risk.c

// One expression, of a lookup: what in it is computed without a row, and may fail.
void risk_note(struct builder *b, const Node *n, enum risk risk);

#endif
