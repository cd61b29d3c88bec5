// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/parse_names.h"

#include <string.h>

#include "batching/statement/parse_walk.h"

#define IDENTIFIER_MAX 62 // a longer one may have been cut, and by other rules than the server's

bool judged_plain_name(const char *s) {
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false; // unquoted, it may be folded by the server's locale
    return len > 0 && len <= IDENTIFIER_MAX;
}

const char *judged_label(const struct parsed_relation *r) {
    return r->alias ? r->alias : r->name;
}

bool judged_is_source(const struct builder *b, const char *name) {
    for (int i = 0; i < b->n_sources; i++)
        if (strcmp(b->sources[i], name) == 0)
            return true;
    return false;
}

static bool is_table(const struct builder *b, const char *name) {
    for (int i = 0; i < b->p.n_relations; i++)
        if (strcmp(judged_label(&b->p.relations[i]), name) == 0)
            return true;
    return false;
}

// Tells whether this is the name of something in FROM, anywhere in the statement. Alone, such a name may mean
// the whole row.
static bool names_a_row(const struct builder *b, const char *name) {
    return is_table(b, name) || judged_is_source(b, name);
}

static const char *const system_columns[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", NULL};

// The only column of a function in FROM has its name.
static bool names_a_function(const struct judged *l, const char *name) {
    for (unsigned i = 0; i < l->n_functions; i++)
        if (strcmp(l->functions[i], name) == 0)
            return !is_table(l->b, name);
    return false;
}

// Is it t or t.*, the whole row of something in FROM? The name is then no column's.
bool judged_is_row(struct judged *l, const Node *n) {
    const PgQuery__ColumnRef *c = n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? n->column_ref : NULL;
    const char *name = c && c->n_fields ? tree_string(c->fields[0]) : NULL;
    bool star = c && c->n_fields == 2 && c->fields[1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
    if (!name || !(star || c->n_fields == 1) || !names_a_row(l->b, name))
        return false;
    if (!star)
        builder_label(l->b, name);
    return true;
}

bool judged_is_source_row(struct judged *l, const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields == 1 &&
           tree_string(n->column_ref->fields[0]) &&
           judged_is_source(l->b, tree_string(n->column_ref->fields[0])) && judged_is_row(l, n);
}

enum reason judged_column_reason(const struct judged *l, const PgQuery__ColumnRef *c) {
    if (c->n_fields > 3)
        return REASON_CONSTRUCT;
    for (size_t i = 0; i < c->n_fields; i++)
        if (!tree_string(c->fields[i]))
            return REASON_CONSTRUCT; // t.* as a value
    const char *qualifier, *name = tree_name(c->n_fields, c->fields, &qualifier);
    if (!name || tree_name_in(name, system_columns))
        return REASON_CONSTRUCT;
    bool row = c->n_fields == 1 && names_a_row(l->b, name) && !names_a_function(l, name);
    return row ? REASON_CONSTRUCT : REASON_NONE;
}

bool judged_is_star(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields &&
           n->column_ref->n_fields <= 3 &&
           n->column_ref->fields[n->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}
