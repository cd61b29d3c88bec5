// SPDX-License-Identifier: PostgreSQL
//
// One walk over everything in a parse tree, whatever the statement; and the names that are found in it.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_WALK_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_WALK_H

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "protocol/buf.h"

struct walk {
    struct builder *b; // gets the lists
    bool unknown;      // a message type that is on no list
    bool locking, into, writes, set_config;
    size_t n_ctes;
    const char *ctes[64];
};

void tree_walk(struct walk *w, const Node *n);

bool tree_name_in(const char *name, const char *const *list); // list ends with NULL

// The text of a String node, NULL for any other.
const char *tree_string(const Node *n);

// A possibly qualified name: its last part, and in *schema the one before it or NULL. NULL when it is no
// plain name.
const char *tree_name(size_t n, Node *const *names, const char **schema);

void tree_put_quoted(struct buf *out, const char *s, char quote); // quotes in it doubled

#endif
