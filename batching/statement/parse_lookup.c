// SPDX-License-Identifier: PostgreSQL
//
// A second positive list beside that of the walk, and a shorter one: it knows node types and fields one by
// one, and looks at each field of a node that it lets pass. What names mean (tables, columns, functions,
// operators) is left to the catalogue (trust/vet.h).
#include "batching/statement/parse_lookup.h"

#include <string.h>

#include "batching/statement/functions.h"
#include "batching/statement/parse_judged.h"
#include "batching/statement/parse_keys.h"
#include "batching/statement/parse_names.h"
#include "batching/statement/moving_time.h"
#include "batching/statement/parse_order.h"
#include "batching/statement/parse_risk.h"
#include "batching/statement/parse_walk.h"

static enum place below(enum place at) {
    return at == PLACE_CLOSED ? PLACE_CLOSED : PLACE_VALUE;
}

static enum reason expr_reason(struct judged *l, const Node *n, enum place at);
static enum reason select_reason(struct judged *l, const PgQuery__SelectStmt *s, enum place at);

static enum reason list_reason(struct judged *l, size_t n, Node *const *items, enum place at) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++)
        r = expr_reason(l, items[i], at);
    return r;
}

// ---- expressions

static enum reason cast_reason(struct judged *l, const PgQuery__TypeCast *c, enum place at) {
    if (!judged_type(c->type_name))
        return REASON_CONSTRUCT;
    enum reason r = list_reason(l, c->type_name->n_typmods, c->type_name->typmods, PLACE_CLOSED);
    return r == REASON_NONE ? expr_reason(l, c->arg, at) : r;
}

static enum reason const_reason(const PgQuery__AConst *c) {
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return REASON_NONE;
    return text_is_moving_time(c->sval->sval, strlen(c->sval->sval)) ? REASON_CONSTRUCT : REASON_NONE;
}

// The right side may be a list: in IN and in BETWEEN.
static enum reason right_reason(struct judged *l, const Node *n, enum place at) {
    if (n && n->node_case == PG_QUERY__NODE__NODE_LIST)
        return list_reason(l, n->list->n_items, n->list->items, at);
    return expr_reason(l, n, at);
}

static enum reason op_reason(struct judged *l, const PgQuery__AExpr *e, enum place at) {
    if (e->n_name != 1 || !tree_string(e->name[0]))
        return REASON_CONSTRUCT; // OPERATOR(schema.name)
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        break;
    default:
        return REASON_CONSTRUCT;
    }
    if (at >= PLACE_CONDITION)
        judged_see_keys(l, e, at);
    enum reason r = expr_reason(l, e->lexpr, below(at));
    return r == REASON_NONE ? right_reason(l, e->rexpr, below(at)) : r;
}

static enum reason bool_reason(struct judged *l, const PgQuery__BoolExpr *e, enum place at) {
    bool and = e->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    return list_reason(l, e->n_args, e->args, at == PLACE_TOP && !and? PLACE_CONDITION : at);
}

static enum reason case_reason(struct judged *l, const PgQuery__CaseExpr *c, enum place at) {
    enum reason r = expr_reason(l, c->arg, at);
    for (size_t i = 0; i < c->n_args && r == REASON_NONE; i++) {
        if (c->args[i]->node_case != PG_QUERY__NODE__NODE_CASE_WHEN)
            return REASON_CONSTRUCT;
        r = expr_reason(l, c->args[i]->case_when->expr, at);
        if (r == REASON_NONE)
            r = expr_reason(l, c->args[i]->case_when->result, at);
    }
    return r == REASON_NONE ? expr_reason(l, c->defresult, at) : r;
}

// Judges a[1] and a[1:2]. (row).field may be a function of the row.
static enum reason subscript_reason(struct judged *l, const PgQuery__AIndirection *a, enum place at) {
    enum reason r = expr_reason(l, a->arg, at);
    for (size_t i = 0; i < a->n_indirection && r == REASON_NONE; i++) {
        if (a->indirection[i]->node_case != PG_QUERY__NODE__NODE_A_INDICES)
            return REASON_CONSTRUCT;
        r = expr_reason(l, a->indirection[i]->a_indices->lidx, at);
        if (r == REASON_NONE)
            r = expr_reason(l, a->indirection[i]->a_indices->uidx, at);
    }
    return r;
}

// Sees x IN (SELECT $1).
static void see_selected(struct judged *l, const PgQuery__SubLink *s, enum place at) {
    bool equals = s->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK &&
                  (!s->n_oper_name || strcmp(tree_string(s->oper_name[0]), "=") == 0);
    const Node *value = equals && s->testexpr ? judged_selected(s->subselect) : NULL;
    if (value)
        judged_see_side(l, s->testexpr, value, false, at);
}

static enum reason sublink_reason(struct judged *l, const PgQuery__SubLink *s, enum place at) {
    switch (s->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        break;
    default:
        return REASON_CONSTRUCT;
    }
    if (s->n_oper_name > 1 || !s->subselect || s->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return REASON_CONSTRUCT;
    l->subselects = true;
    enum reason r = expr_reason(l, s->testexpr, at);
    return r == REASON_NONE ? select_reason(l, s->subselect->select_stmt, at) : r;
}

// ---- functions

// Functions of the server that return sets, and are not folded. The catalogue is asked, too; this list is there
// to give the right reason.
static const char *const set_functions[] = {"aclexplode",
                                            "json_populate_recordset",
                                            "json_to_recordset",
                                            "jsonb_path_query_tz",
                                            "jsonb_populate_recordset",
                                            "jsonb_to_recordset",
                                            NULL};

static enum reason sort_reason(struct judged *l, size_t n, Node *const *items) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++) {
        if (items[i]->node_case != PG_QUERY__NODE__NODE_SORT_BY || items[i]->sort_by->n_use_op ||
            items[i]->sort_by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return REASON_CONSTRUCT;
        r = expr_reason(l, items[i]->sort_by->node, PLACE_CLOSED);
    }
    return r;
}

static enum reason window_reason(struct judged *l, const PgQuery__WindowDef *w) {
    enum reason r = list_reason(l, w->n_partition_clause, w->partition_clause, PLACE_CLOSED);
    if (r == REASON_NONE)
        r = sort_reason(l, w->n_order_clause, w->order_clause);
    if (r == REASON_NONE)
        r = expr_reason(l, w->start_offset, PLACE_CLOSED);
    return r == REASON_NONE ? expr_reason(l, w->end_offset, PLACE_CLOSED) : r;
}

// Functions that look at nothing of a row but the values of its columns.
static const char *const row_functions[] = {"count",   "json_agg", "jsonb_agg", "row_to_json",
                                            "to_json", "to_jsonb", NULL};

static enum reason arguments_reason(struct judged *l, const PgQuery__FuncCall *f, const char *name) {
    enum reason r = REASON_NONE;
    bool takes_row = tree_name_in(name, row_functions);
    for (size_t i = 0; i < f->n_args && r == REASON_NONE; i++)
        if (!takes_row || !judged_is_row(l, f->args[i]))
            r = expr_reason(l, f->args[i], PLACE_CLOSED);
    return r;
}

static enum reason function_reason(struct judged *l, const PgQuery__FuncCall *f) {
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (!name || f->n_funcname > 2 || !judged_plain_name(name))
        return REASON_CONSTRUCT;
    if (tree_name_in(name, set_functions))
        return REASON_FUNCTION;
    l->sets |= function_returns_rows(name);
    enum reason r = arguments_reason(l, f, name);
    if (r == REASON_NONE)
        r = sort_reason(l, f->n_agg_order, f->agg_order);
    if (r == REASON_NONE)
        r = expr_reason(l, f->agg_filter, PLACE_CLOSED);
    l->windows |= f->over != NULL;
    return r == REASON_NONE && f->over ? window_reason(l, f->over) : r;
}

static enum reason known_expr_reason(struct judged *l, const Node *n, enum place at) {
    enum place in = below(at);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return REASON_NONE;
    case PG_QUERY__NODE__NODE_A_CONST:
        return const_reason(n->a_const);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return judged_column_reason(l, n->column_ref);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return op_reason(l, n->a_expr, at);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return bool_reason(l, n->bool_expr, at);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return expr_reason(l, n->null_test->arg, in);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return expr_reason(l, n->boolean_test->arg, in);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return case_reason(l, n->case_expr, in);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return list_reason(l, n->coalesce_expr->n_args, n->coalesce_expr->args, in);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return list_reason(l, n->min_max_expr->n_args, n->min_max_expr->args, in);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return cast_reason(l, n->type_cast, in);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return expr_reason(l, n->collate_clause->arg, in);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return list_reason(l, n->a_array_expr->n_elements, n->a_array_expr->elements, in);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return list_reason(l, n->row_expr->n_args, n->row_expr->args, in);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return subscript_reason(l, n->a_indirection, in);
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return expr_reason(l, n->named_arg_expr->arg, in);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        if (at >= PLACE_CONDITION)
            see_selected(l, n->sub_link, at);
        return sublink_reason(l, n->sub_link, in);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return function_reason(l, n->func_call);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        l->b->p.asks_session = true;
        return REASON_NONE;
    default:
        return REASON_CONSTRUCT;
    }
}

// Tells whether it is known what the expression is before all of its parts were looked at.
static bool may_stop_early(const Node *n) {
    const PgQuery__AExpr *e = n->node_case == PG_QUERY__NODE__NODE_A_EXPR ? n->a_expr : NULL;
    bool list = e && e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN && e->rexpr &&
                e->rexpr->node_case == PG_QUERY__NODE__NODE_LIST && e->rexpr->list->n_items > 1;
    return list || (e && e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) ||
           n->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR || n->node_case == PG_QUERY__NODE__NODE_CASE_EXPR ||
           n->node_case == PG_QUERY__NODE__NODE_COALESCE_EXPR ||
           n->node_case == PG_QUERY__NODE__NODE_SUB_LINK;
}

static enum reason expr_reason(struct judged *l, const Node *n, enum place at) {
    if (!n)
        return REASON_NONE;
    bool before = l->each_row;
    l->each_row |= at == PLACE_TOP && l->rows_are_own;
    l->each_row &= !may_stop_early(n);
    risk_note(l->b, n, l->each_row ? RISK_EMPTY : RISK_ALWAYS);
    enum reason r = known_expr_reason(l, n, at);
    l->each_row = before;
    return r;
}

// ---- FROM

static enum reason table_reason(const PgQuery__RangeVar *t) {
    if (*t->catalogname)
        return REASON_CONSTRUCT;
    if (strncmp(*t->schemaname ? t->schemaname : t->relname, "pg_", 3) == 0 ||
        strcmp(t->schemaname, "information_schema") == 0)
        return REASON_SYSTEM_SCHEMA;
    if (!judged_plain_name(t->relname) || (*t->schemaname && !judged_plain_name(t->schemaname)) ||
        (t->alias && !judged_plain_name(t->alias->aliasname)))
        return REASON_CONSTRUCT;
    return REASON_NONE;
}

static enum reason from_reason(struct judged *l, const Node *n, enum place at);

static enum reason join_reason(struct judged *l, const PgQuery__JoinExpr *j, enum place at) {
    if (!j->larg || !j->rarg)
        return REASON_CONSTRUCT;
    enum reason r = from_reason(l, j->larg, at);
    if (r == REASON_NONE)
        r = from_reason(l, j->rarg, at);
    return r == REASON_NONE ? expr_reason(l, j->quals, at == PLACE_CLOSED ? at : PLACE_CONDITION) : r;
}

// Names that the server gives to the columns of what such a function returns.
static void add_function_labels(struct builder *b, const char *name) {
    static const char *const labels[] = {"key", "value", "ordinality"};
    builder_label(b, name);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        builder_label(b, labels[i]);
}

// Judges FROM unnest(t.tags) AS u(x). The function is called for each row of what stands before it.
static enum reason from_function_reason(struct judged *l, const PgQuery__RangeFunction *f) {
    const Node *item = f->n_functions == 1 ? f->functions[0] : NULL;
    const Node *call = item && item->node_case == PG_QUERY__NODE__NODE_LIST && item->list->n_items
                           ? item->list->items[0]
                           : NULL;
    if (!call || call->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || f->is_rowsfrom || f->n_coldeflist)
        return REASON_FUNCTION;
    const char *schema, *name = tree_name(call->func_call->n_funcname, call->func_call->funcname, &schema),
                        *alias = f->alias ? f->alias->aliasname : name;
    if (!name || !function_returns_rows(name) || !judged_plain_name(alias) ||
        l->n_functions == JUDGED_MAX_FUNCTIONS)
        return REASON_FUNCTION;
    l->functions[l->n_functions++] = alias;
    add_function_labels(l->b, alias);
    return expr_reason(l, call, PLACE_CLOSED);
}

static enum reason from_reason(struct judged *l, const Node *n, enum place at) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return table_reason(n->range_var);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return join_reason(l, n->join_expr, at);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        if (!n->range_subselect->subquery ||
            n->range_subselect->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            return REASON_CONSTRUCT;
        return select_reason(l, n->range_subselect->subquery->select_stmt, below(at));
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return from_function_reason(l, n->range_function);
    default:
        return REASON_CONSTRUCT;
    }
}

// ---- the clauses of one select

static enum reason with_reason(struct judged *l, const PgQuery__WithClause *w, enum place at) {
    enum reason r = w->recursive ? REASON_CTE : REASON_NONE;
    for (size_t i = 0; i < w->n_ctes && r == REASON_NONE; i++) {
        const PgQuery__CommonTableExpr *c = w->ctes[i]->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR
                                                ? w->ctes[i]->common_table_expr
                                                : NULL;
        if (!c || c->search_clause || c->cycle_clause || !c->ctequery ||
            c->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !judged_plain_name(c->ctename))
            return REASON_CTE;
        r = select_reason(l, c->ctequery->select_stmt, below(at));
    }
    return r;
}

static enum reason target_reason(struct judged *l, const Node *n, enum place at) {
    if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET || n->res_target->n_indirection ||
        !n->res_target->val)
        return REASON_CONSTRUCT;
    if (judged_is_star(n->res_target->val))
        return REASON_NONE;
    // Below the outermost select, a derived table's row is a value: no function of a user's takes its type.
    if (at != PLACE_TOP && judged_is_source_row(l, n->res_target->val))
        return REASON_NONE;
    return expr_reason(l, n->res_target->val, below(at));
}

static enum reason group_reason(struct judged *l, size_t n, Node *const *items) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++) {
        if (items[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
            r = group_reason(l, items[i]->grouping_set->n_content, items[i]->grouping_set->content);
        else
            r = expr_reason(l, items[i], PLACE_CLOSED);
    }
    return r;
}

// DISTINCT alone is a list of one empty node.
static enum reason distinct_reason(struct judged *l, const PgQuery__SelectStmt *s) {
    if (s->n_distinct_clause == 1 && s->distinct_clause[0]->node_case == PG_QUERY__NODE__NODE__NOT_SET)
        return REASON_NONE;
    return list_reason(l, s->n_distinct_clause, s->distinct_clause, PLACE_CLOSED);
}

static enum reason windows_reason(struct judged *l, const PgQuery__SelectStmt *s) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < s->n_window_clause && r == REASON_NONE; i++)
        r = s->window_clause[i]->node_case == PG_QUERY__NODE__NODE_WINDOW_DEF
                ? window_reason(l, s->window_clause[i]->window_def)
                : REASON_CONSTRUCT;
    return r;
}

static enum reason values_reason(struct judged *l, const PgQuery__SelectStmt *s) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < s->n_values_lists && r == REASON_NONE; i++)
        r = s->values_lists[i]->node_case == PG_QUERY__NODE__NODE_LIST
                ? list_reason(l, s->values_lists[i]->list->n_items, s->values_lists[i]->list->items,
                              PLACE_CLOSED)
                : REASON_CONSTRUCT;
    return r;
}

// Judges what a select without a set operation has of its own.
static enum reason body_reason(struct judged *l, const PgQuery__SelectStmt *s, enum place at) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < s->n_from_clause && r == REASON_NONE; i++)
        r = from_reason(l, s->from_clause[i], at);
    for (size_t i = 0; i < s->n_target_list && r == REASON_NONE; i++)
        r = target_reason(l, s->target_list[i], at);
    if (r == REASON_NONE)
        r = expr_reason(l, s->where_clause, at == PLACE_VALUE ? PLACE_CONDITION : at);
    if (r == REASON_NONE)
        r = distinct_reason(l, s);
    if (r == REASON_NONE)
        r = group_reason(l, s->n_group_clause, s->group_clause);
    if (r == REASON_NONE)
        r = expr_reason(l, s->having_clause, PLACE_CLOSED);
    if (r == REASON_NONE)
        r = windows_reason(l, s);
    return r == REASON_NONE ? values_reason(l, s) : r;
}

static enum reason limit_reason(struct judged *l, const PgQuery__SelectStmt *s) {
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return REASON_CONSTRUCT;
    enum reason r = expr_reason(l, s->limit_count, PLACE_CLOSED);
    return r == REASON_NONE ? expr_reason(l, s->limit_offset, PLACE_CLOSED) : r;
}

// `at` is PLACE_TOP for the outermost select. Below that it is PLACE_VALUE, or PLACE_CLOSED when nothing in
// it may be a key.
static enum reason select_reason(struct judged *l, const PgQuery__SelectStmt *s, enum place at) {
    enum reason r = s->with_clause ? with_reason(l, s->with_clause, at) : REASON_NONE;
    if (r == REASON_NONE && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE)
        r = body_reason(l, s, at);
    else if (r == REASON_NONE && s->larg && s->rarg) {
        r = select_reason(l, s->larg, below(at));
        if (r == REASON_NONE)
            r = select_reason(l, s->rarg, below(at));
    }
    if (r == REASON_NONE)
        r = sort_reason(l, s->n_sort_clause, s->sort_clause);
    if (r == REASON_NONE)
        r = limit_reason(l, s);
    if (r == REASON_NONE && at == PLACE_TOP && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE) {
        judged_see_targets(l, s);
        judged_see_order(l, s);
    }
    return r;
}

// ---- the whole

static bool one_plain_table(const struct builder *b, const PgQuery__SelectStmt *s) {
    return s->n_from_clause == 1 && s->from_clause[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
           b->p.n_relations == 1 && !b->renames && !s->with_clause;
}

// A statement with functions does not qualify, because any of them may be an aggregate.
static bool in_form(const struct judged *l, const PgQuery__SelectStmt *s) {
    return one_plain_table(l->b, s) && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !l->subselects &&
           !l->b->p.n_functions && !s->n_distinct_clause && !s->n_group_clause && !s->having_clause &&
           !s->n_window_clause && !s->n_sort_clause && !s->limit_count && !s->limit_offset;
}

// Not min and max: of equal values that are written differently (1.0 and 1.00) the plan decides which one it
// is.
static const char *const plain_aggregates[] = {"count", "bool_and", "bool_or", "every", NULL};

static bool is_plain_aggregate(const Node *target) {
    const Node *n = target->node_case == PG_QUERY__NODE__NODE_RES_TARGET ? target->res_target->val : NULL;
    if (!n || n->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || n->func_call->over)
        return false;
    const char *schema, *name = tree_name(n->func_call->n_funcname, n->func_call->funcname, &schema);
    return name && !schema && tree_name_in(name, plain_aggregates);
}

// Tells whether the answer is one row, and the same whichever plan the server uses. The value of a comparison
// decides the plan, and the plan decides the order of rows that no ORDER BY tells apart.
static bool is_one_row(const struct judged *l, const PgQuery__SelectStmt *s) {
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE || l->subselects || l->b->n_sources || s->with_clause ||
        s->n_group_clause || s->having_clause || s->n_distinct_clause || s->n_window_clause ||
        s->limit_count || s->limit_offset || !s->n_target_list)
        return false;
    for (size_t i = 0; i < s->n_target_list; i++)
        if (!is_plain_aggregate(s->target_list[i]))
            return false;
    return true;
}

// Tells whether nothing but ORDER BY decides the order of rows, and which of them LIMIT leaves, if it tells them
// all apart.
static bool is_told(const struct judged *l, const PgQuery__SelectStmt *s) {
    return one_plain_table(l->b, s) && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !l->subselects &&
           !l->windows && !l->sets && !s->n_distinct_clause && !s->n_group_clause && !s->having_clause &&
           !s->n_window_clause;
}

// Values beside the key come last, and only beside keys that are compared with =.
static void settle_keys(struct judged *l, const PgQuery__SelectStmt *s) {
    struct parsed *p = &l->b->p;
    struct parsed_key kept[PARSED_MAX_KEYS];
    enum order order = is_one_row(l, s) ? ORDER_FIXED : is_told(l, s) ? ORDER_TOLD : ORDER_ANY;
    int n = judged_keep_keys(l, false, order, kept);
    n += n ? judged_keep_keys(l, true, order, kept + n) : 0;
    if (n)
        memcpy(p->keys, kept, (size_t)n * sizeof *kept);
    p->n_keys = n;
    if (order == ORDER_TOLD)
        order_note(l->b, s);
}

// Tells whether every row of the answer is one that has passed its WHERE. With an aggregate it is not, for
// example.
static bool rows_are_own(const PgQuery__SelectStmt *s) {
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE || s->n_group_clause || s->having_clause)
        return false;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const Node *n = s->target_list[i];
        const Node *v = n->node_case == PG_QUERY__NODE__NODE_RES_TARGET ? n->res_target->val : NULL;
        if (!v || v->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
            return false;
    }
    return true;
}

#define MAX_PARAMS 1000 // no lookup has as many, and each takes 32 bytes: $65535 is a short text

enum reason lookup_judge(struct builder *b, const PgQuery__SelectStmt *s) {
    struct judged l = {.b = b};
    if (!b->p.n_relations)
        return REASON_NO_TABLE;
    if (b->p.n_params > MAX_PARAMS)
        return REASON_PARAMETERS;
    l.rows_are_own = rows_are_own(s);
    b->p.params = builder_alloc(b, ((size_t)b->p.n_params + 1) * sizeof *b->p.params);
    l.equalities = builder_alloc(b, ((size_t)b->p.n_params + 1) * sizeof *l.equalities);
    l.ranges = builder_alloc(b, ((size_t)b->p.n_params + 1) * sizeof *l.ranges);
    l.targets = builder_alloc(b, ((size_t)b->p.n_params + 1) * sizeof *l.targets);
    if (b->overflow || b->no_memory)
        return REASON_CONSTRUCT; // builder_finish finds the right reason
    enum reason r = select_reason(&l, s, PLACE_TOP);
    // Without columns of its own, a result has no room for the ordinal beside them.
    if (r == REASON_NONE && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !s->n_target_list &&
        !s->n_values_lists)
        r = REASON_CONSTRUCT;
    settle_keys(&l, s);
    if (r == REASON_NONE && !b->p.n_keys)
        r = REASON_NO_KEY;
    if (r != REASON_NONE)
        return r;
    b->p.in_form = in_form(&l, s);
    b->p.fenced = s->limit_count || s->limit_offset;
    return REASON_NONE;
}
