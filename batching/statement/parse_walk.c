// SPDX-License-Identifier: PostgreSQL
//
// The walk goes by protobuf's own descriptions of the messages, so it cannot miss a field of a known message.
// It stops at every message type that is not in `visitors`.
#include "batching/statement/parse_walk.h"

#include <stdio.h>
#include <string.h>

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "batching/statement/server_types.h"

bool tree_name_in(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

const char *tree_string(const Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : NULL;
}

const char *tree_name(size_t n, Node *const *names, const char **schema) {
    *schema = n > 1 ? tree_string(names[n - 2]) : NULL;
    return n ? tree_string(names[n - 1]) : NULL;
}

bool tree_only_targets(const PgQuery__SelectStmt *s) {
    return s->n_target_list && !s->n_distinct_clause && !s->into_clause && !s->n_from_clause &&
           !s->where_clause && !s->n_group_clause && !s->having_clause && !s->n_window_clause &&
           !s->n_values_lists && !s->n_sort_clause && !s->limit_offset && !s->limit_count &&
           !s->n_locking_clause && !s->with_clause && !s->larg && !s->rarg;
}

void tree_put_quoted(struct buf *out, const char *s, char quote) {
    buf_put_u8(out, (uint8_t)quote);
    for (; *s; s++) {
        if (*s == quote)
            buf_put_u8(out, (uint8_t)quote);
        buf_put_u8(out, (uint8_t)*s);
    }
    buf_put_u8(out, (uint8_t)quote);
}

// Looks at one message and tells whether its fields are to be walked, too.
typedef bool (*visit_fn)(struct walk *w, const ProtobufCMessage *m);

static bool visit_plain(struct walk *w, const ProtobufCMessage *m) {
    (void)w;
    (void)m;
    return true;
}

static bool visit_leaf(struct walk *w, const ProtobufCMessage *m) {
    (void)w;
    (void)m;
    return false;
}

static void add_labels(struct walk *w, size_t n, Node *const *names) {
    for (size_t i = 0; i < n; i++)
        if (tree_string(names[i]))
            builder_label(w->b, tree_string(names[i]));
}

static bool visit_range_var(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__RangeVar *r = (const PgQuery__RangeVar *)m;
    builder_relation(w->b, r->schemaname, r->relname, r->alias ? r->alias->aliasname : NULL);
    w->unknown |= *r->catalogname != 0;
    if (r->alias && r->alias->n_colnames) {
        add_labels(w, r->alias->n_colnames, r->alias->colnames);
        w->b->renames = true;
    }
    return false;
}

// The alias of anything in FROM but a table. A table's alias is listed with the table.
static bool visit_alias(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__Alias *a = (const PgQuery__Alias *)m;
    builder_source(w->b, a->aliasname);
    add_labels(w, a->n_colnames, a->colnames);
    return false;
}

// Adds the names that FigureColname in parse_target.c could give the target list entry. One name too many
// does no harm.
static void add_implicit_labels(struct walk *w, const Node *n) {
    const char *schema, *name = NULL;
    switch (n ? n->node_case : PG_QUERY__NODE__NODE__NOT_SET) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return; // the column's own
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        name = tree_name(n->func_call->n_funcname, n->func_call->funcname, &schema);
        break;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        add_implicit_labels(w, n->type_cast->arg);
        if (n->type_cast->type_name)
            name = tree_name(n->type_cast->type_name->n_names, n->type_cast->type_name->names, &schema);
        break;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        add_implicit_labels(w, n->collate_clause->arg);
        return;
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        add_implicit_labels(w, n->a_indirection->arg);
        return;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        add_implicit_labels(w, n->case_expr->defresult);
        name = "case";
        break;
    // EXPR_SUBLINK: the name comes from its own target list, which is listed
    case PG_QUERY__NODE__NODE_SUB_LINK:
        name = n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK ? "array" : "exists";
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        name = n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? "nullif" : NULL;
        break;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        name = n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest" : "least";
        break;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        name = "coalesce";
        break;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        name = "array";
        break;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        name = "row";
        break;
    default:
        break;
    }
    builder_label(w->b, name ? name : "?column?");
}

static bool visit_target(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__ResTarget *t = (const PgQuery__ResTarget *)m;
    if (*t->name)
        builder_label(w->b, t->name);
    else
        add_implicit_labels(w, t->val);
    return true;
}

static bool visit_column_ref(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__ColumnRef *c = (const PgQuery__ColumnRef *)m;
    const char *qualifier, *name = tree_name(c->n_fields, c->fields, &qualifier);
    if (name)
        builder_column(w->b, qualifier, name, c->n_fields == 1);
    return false;
}

// (t).f, and subscripts.
static bool visit_indirection(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__AIndirection *a = (const PgQuery__AIndirection *)m;
    for (size_t i = 0; i < a->n_indirection; i++)
        if (tree_string(a->indirection[i]))
            builder_column(w->b, NULL, tree_string(a->indirection[i]), false);
    return true;
}

static bool visit_param(struct walk *w, const ProtobufCMessage *m) {
    builder_param(w->b, ((const PgQuery__ParamRef *)m)->number);
    return false;
}

static bool visit_func_call(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__FuncCall *f = (const PgQuery__FuncCall *)m;
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (!name || f->n_funcname > 2) {
        w->unknown = true;
        return true;
    }
    builder_function(w->b, schema, name);
    w->set_config |= strcmp(name, "set_config") == 0;
    return true;
}

static void add_operator(struct walk *w, size_t n, Node *const *names) {
    const char *schema, *name = tree_name(n, names, &schema);
    if (name)
        builder_operator(w->b, name);
    else
        w->unknown = true;
}

static bool visit_expr(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__AExpr *e = (const PgQuery__AExpr *)m;
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        builder_operator(w->b, ">=");
        builder_operator(w->b, "<=");
        builder_operator(w->b, "<");
        builder_operator(w->b, ">");
        break;
    default:
        add_operator(w, e->n_name, e->name);
    }
    return true;
}

static bool visit_sublink(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__SubLink *s = (const PgQuery__SubLink *)m;
    if (s->n_oper_name)
        add_operator(w, s->n_oper_name, s->oper_name);
    else if (s->testexpr)
        builder_operator(w->b, "="); // x IN (SELECT …)
    return true;
}

static bool visit_case(struct walk *w, const ProtobufCMessage *m) {
    if (((const PgQuery__CaseExpr *)m)->arg)
        builder_operator(w->b, "=");
    return true;
}

static bool visit_join(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__JoinExpr *j = (const PgQuery__JoinExpr *)m;
    if (j->is_natural || j->n_using_clause)
        builder_operator(w->b, "=");
    return true;
}

// Sorting and grouping use the operators of the type's own class. If they are the server's, they have these
// names.
static void add_order(struct walk *w) {
    builder_operator(w->b, "<");
    builder_operator(w->b, ">");
}

static bool visit_sort(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__SortBy *s = (const PgQuery__SortBy *)m;
    if (s->n_use_op)
        add_operator(w, s->n_use_op, s->use_op);
    else
        add_order(w);
    return true;
}

static void add_grouping(struct walk *w) {
    builder_operator(w->b, "=");
    add_order(w);
}

static bool visit_window(struct walk *w, const ProtobufCMessage *m) {
    if (((const PgQuery__WindowDef *)m)->n_partition_clause)
        add_grouping(w);
    return true;
}

static bool visit_min_max(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    add_order(w);
    return true;
}

// The names that VALUES gives its columns.
static void add_values_labels(struct walk *w, const Node *row) {
    char name[32];
    size_t n = row->node_case == PG_QUERY__NODE__NODE_LIST ? row->list->n_items : 0;
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "column%zu", i + 1);
        builder_label(w->b, name);
    }
}

static bool visit_select(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__SelectStmt *s = (const PgQuery__SelectStmt *)m;
    if (s->n_distinct_clause || s->n_group_clause || s->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        add_grouping(w);
    if (s->n_values_lists)
        add_values_labels(w, s->values_lists[0]);
    return true;
}

// The types that vetting takes for granted (common_types in vet_query.c).
static bool is_common_type(const char *name) {
    static const char *const common[] = {
        "int2",     "int4", "int8",  "float4", "float8", "numeric", "text",   "varchar",   "bpchar",
        "char",     "name", "bool",  "uuid",   "date",   "time",    "timetz", "timestamp", "timestamptz",
        "interval", "json", "jsonb", "bytea",  "money",  "oid",     NULL};
    return tree_name_in(name, common);
}

static bool visit_type(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__TypeName *t = (const PgQuery__TypeName *)m;
    const char *schema, *name = tree_name(t->n_names, t->names, &schema);
    w->b->p.n_types_named++;
    if (!name || t->n_names > 2)
        w->unknown = true;
    else if (schema ? strcmp(schema, "pg_catalog") != 0 : !type_is_built_in(name))
        builder_function(w->b, schema, name);
    else
        w->b->p.rare_types |= !is_common_type(name) || t->n_array_bounds;
    return true;
}

static bool visit_cte(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__CommonTableExpr *c = (const PgQuery__CommonTableExpr *)m;
    if (w->n_ctes < sizeof w->ctes / sizeof *w->ctes)
        w->ctes[w->n_ctes++] = c->ctename;
    add_labels(w, c->n_aliascolnames, c->aliascolnames);
    return true;
}

static bool visit_cycle(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    builder_operator(w->b, "=");
    return true;
}

static bool visit_locking(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    w->locking = true;
    return false;
}

static bool visit_into(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    w->into = true;
    return false;
}

static bool visit_write(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    w->writes = true;
    return true;
}

static bool visit_copy(struct walk *w, const ProtobufCMessage *m) {
    w->writes = true;
    w->unknown |= ((const PgQuery__CopyStmt *)m)->is_program;
    return true;
}

static bool visit_mixed(struct walk *w, const ProtobufCMessage *m) {
    (void)m;
    w->b->p.mixes = true;
    return true;
}

#define MESSAGE(name) &pg_query__##name##__descriptor

static const struct {
    const ProtobufCMessageDescriptor *type;
    visit_fn visit;
} visitors[] = {
    {MESSAGE(string), visit_leaf},
    {MESSAGE(column_ref), visit_column_ref},
    {MESSAGE(res_target), visit_target},
    {MESSAGE(a__expr), visit_expr},
    {MESSAGE(param_ref), visit_param},
    {MESSAGE(a__const), visit_leaf},
    {MESSAGE(list), visit_plain},
    {MESSAGE(bool_expr), visit_mixed},
    {MESSAGE(type_cast), visit_plain},
    {MESSAGE(type_name), visit_type},
    {MESSAGE(func_call), visit_func_call},
    {MESSAGE(select_stmt), visit_select},
    {MESSAGE(range_var), visit_range_var},
    {MESSAGE(join_expr), visit_join},
    {MESSAGE(alias), visit_alias},
    {MESSAGE(null_test), visit_plain},
    {MESSAGE(boolean_test), visit_mixed},
    {MESSAGE(sort_by), visit_sort},
    {MESSAGE(sub_link), visit_sublink},
    {MESSAGE(range_subselect), visit_plain},
    {MESSAGE(range_function), visit_plain},
    {MESSAGE(case_expr), visit_case},
    {MESSAGE(case_when), visit_mixed},
    {MESSAGE(coalesce_expr), visit_mixed},
    {MESSAGE(min_max_expr), visit_min_max},
    {MESSAGE(a__array_expr), visit_mixed},
    {MESSAGE(a__star), visit_leaf},
    {MESSAGE(a__indirection), visit_indirection},
    {MESSAGE(a__indices), visit_plain},
    {MESSAGE(row_expr), visit_mixed},
    {MESSAGE(collate_clause), visit_plain},
    {MESSAGE(sqlvalue_function), visit_leaf},
    {MESSAGE(named_arg_expr), visit_plain},
    {MESSAGE(grouping_func), visit_plain},
    {MESSAGE(grouping_set), visit_plain},
    {MESSAGE(window_def), visit_window},
    {MESSAGE(with_clause), visit_plain},
    {MESSAGE(common_table_expr), visit_cte},
    {MESSAGE(ctesearch_clause), visit_plain},
    {MESSAGE(ctecycle_clause), visit_cycle},
    {MESSAGE(column_def), visit_plain},
    {MESSAGE(integer), visit_leaf},
    {MESSAGE(float), visit_leaf},
    {MESSAGE(boolean), visit_leaf},
    {MESSAGE(locking_clause), visit_locking},
    {MESSAGE(into_clause), visit_into},
    {MESSAGE(insert_stmt), visit_write},
    {MESSAGE(update_stmt), visit_write},
    {MESSAGE(delete_stmt), visit_write},
    {MESSAGE(merge_stmt), visit_write},
    {MESSAGE(merge_when_clause), visit_plain},
    {MESSAGE(on_conflict_clause), visit_plain},
    {MESSAGE(infer_clause), visit_plain},
    {MESSAGE(index_elem), visit_plain},
    {MESSAGE(set_to_default), visit_leaf},
    {MESSAGE(multi_assign_ref), visit_plain},
    {MESSAGE(copy_stmt), visit_copy},
    {MESSAGE(def_elem), visit_plain},
};

static visit_fn visitor_of(const ProtobufCMessage *m) {
    for (size_t i = 0; i < sizeof visitors / sizeof *visitors; i++)
        if (visitors[i].type == m->descriptor)
            return visitors[i].visit;
    return NULL;
}

static void walk_message(struct walk *w, const ProtobufCMessage *m);

static void walk_repeated(struct walk *w, const char *base, const ProtobufCFieldDescriptor *f) {
    size_t n;
    ProtobufCMessage **items;
    memcpy(&n, base + f->quantifier_offset, sizeof n);
    memcpy(&items, base + f->offset, sizeof items);
    for (size_t i = 0; i < n; i++)
        walk_message(w, items[i]);
}

// Walks over the one message of a oneof that is there; the case field names it.
static void walk_single(struct walk *w, const char *base, const ProtobufCFieldDescriptor *f) {
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t id;
        memcpy(&id, base + f->quantifier_offset, sizeof id);
        if (id != f->id)
            return;
    }
    ProtobufCMessage *item;
    memcpy(&item, base + f->offset, sizeof item);
    walk_message(w, item);
}

static void walk_fields(struct walk *w, const ProtobufCMessage *m) {
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            walk_repeated(w, (const char *)m, f);
        else
            walk_single(w, (const char *)m, f);
    }
}

static void walk_message(struct walk *w, const ProtobufCMessage *m) {
    if (!m)
        return;
    if (m->descriptor == MESSAGE(node)) {
        // A node has one field set, a message. This finds it without looking at the 200 others.
        const Node *n = (const Node *)m;
        if (n->node_case != PG_QUERY__NODE__NODE__NOT_SET)
            walk_message(w, (const ProtobufCMessage *)n->select_stmt);
        return;
    }
    visit_fn visit = visitor_of(m);
    if (!visit)
        w->unknown = true;
    else if (visit(w, m))
        walk_fields(w, m);
}

void tree_walk(struct walk *w, const Node *n) {
    walk_message(w, &n->base);
    if (w->n_ctes == sizeof w->ctes / sizeof *w->ctes)
        w->unknown = true; // some names of WITH clauses may be missing
    for (size_t i = 0; i < w->n_ctes; i++)
        builder_cte(w->b, w->ctes[i]);
}
