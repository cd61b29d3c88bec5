// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/parse_order.h"

#include <string.h>

#include "batching/statement/parse_walk.h"

static const Node *sort_item(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_SORT_BY ? n->sort_by->node : n;
}

static bool is_number(const Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_A_CONST;
}

// The column's name; NULL: it is no plain column. *alone: it has no qualifier.
static const char *column_of(const Node *n, bool *alone) {
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NULL;
    const char *qualifier;
    const char *name = tree_name(n->column_ref->n_fields, n->column_ref->fields, &qualifier);
    *alone = !qualifier;
    return name;
}

static bool is_name(const Node *n, const char *label) {
    bool alone;
    const char *name = column_of(n, &alone);
    return name && alone && strcmp(name, label) == 0;
}

static bool any_number(size_t n, Node *const *items) {
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= is_number(sort_item(items[i]));
    return any;
}

static bool any_name(size_t n, Node *const *items, const char *label) {
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= is_name(sort_item(items[i]), label);
    return any;
}

// A set of columns to group by may hold either.
static bool has_grouping_set(const PgQuery__SelectStmt *s) {
    bool any = false;
    for (size_t i = 0; i < s->n_group_clause; i++)
        any |= s->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET;
    return any;
}

bool order_has_numbers(const PgQuery__SelectStmt *s) {
    return has_grouping_set(s) || any_number(s->n_sort_clause, s->sort_clause) ||
           any_number(s->n_group_clause, s->group_clause);
}

bool order_names(const PgQuery__SelectStmt *s, const char *label) {
    return any_name(s->n_sort_clause, s->sort_clause, label) ||
           any_name(s->n_group_clause, s->group_clause, label);
}

static bool is_label(const struct builder *b, const char *name) {
    for (int i = 0; i < b->p.n_labels; i++)
        if (strcmp(b->p.labels[i], name) == 0)
            return true;
    return false;
}

// The column that is labelled so; NULL: none, or it is no plain column.
static const char *labelled(const PgQuery__SelectStmt *s, const char *label) {
    bool alone;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (strcmp(t->name, label) == 0)
            return column_of(t->val, &alone);
    }
    return NULL;
}

// In ORDER BY, a name alone means a label before it means a column.
void order_note(struct builder *b, const PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_sort_clause && b->p.n_sort < PARSED_MAX_SORT; i++) {
        bool alone;
        const char *name = column_of(sort_item(s->sort_clause[i]), &alone);
        if (name && alone && is_label(b, name))
            name = labelled(s, name);
        char *kept = name ? builder_text(b, name) : NULL;
        if (kept)
            b->p.sort[b->p.n_sort++] = kept;
    }
}
