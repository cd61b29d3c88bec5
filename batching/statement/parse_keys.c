// SPDX-License-Identifier: PostgreSQL
//
// A key's value will be replaced with a column of a table to which the statement is joined laterally. That
// keeps the meaning where the value, or something computed from it, is one side of an equality in a WHERE or
// ON. It would change the meaning elsewhere:
// - in a target list without a label the column would name the result column;
// - in GROUP BY and DISTINCT an expression is compared with others;
// - in an aggregate's arguments, columns decide which select it belongs to, so nothing inside a function call
//   is a key where the function may be an aggregate.
#include "batching/statement/parse_keys.h"

#include <string.h>

#include "batching/statement/parse_names.h"
#include "batching/statement/parse_order.h"
#include "batching/statement/parse_walk.h"
#include "batching/statement/server_types.h"

static const char *const lookup_types[] = {
    "int2", "int4", "int8", "float4", "float8",    "numeric",     "text",     "varchar", "bpchar", "bool",
    "uuid", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "json",    "jsonb",  "bytea",
    "name", "oid",  "bit",  "varbit", "inet",      "cidr",        "macaddr",  NULL};

// The type's name when a lookup may cast to it or to its arrays, else NULL. Types that are not the server's
// own are listed as functions, for the catalogue to judge.
const char *judged_type(const PgQuery__TypeName *t) {
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : NULL;
    if (!name || t->n_names > 2 || (t->n_names == 2 && !schema) || t->setof || t->pct_type)
        return NULL;
    bool own = schema ? strcmp(schema, "pg_catalog") == 0 : type_is_built_in(name);
    if (own)
        return tree_name_in(name, lookup_types) ? name : NULL;
    return judged_plain_name(name) && (!schema || judged_plain_name(schema)) ? name : NULL;
}

// Recognises $n, or $n cast once to a type without modifiers and with so many array bounds. NULL: anything
// else.
static const PgQuery__ParamRef *key_param(const Node *n, size_t bounds, const char **cast) {
    *cast = NULL;
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        const PgQuery__TypeName *t = n->type_cast->type_name;
        *cast = judged_type(t);
        if (!*cast || t->n_typmods || t->n_array_bounds != bounds)
            return NULL;
        n = n->type_cast->arg;
    }
    return n && n->node_case == PG_QUERY__NODE__NODE_PARAM_REF ? n->param_ref : NULL;
}

// Tells whether a key can be looked up in this expression. In a mere value it cannot.
static bool is_searched(const Node *n) {
    while (n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && n->type_cast->arg)
        n = n->type_cast->arg;
    return n->node_case != PG_QUERY__NODE__NODE_PARAM_REF && n->node_case != PG_QUERY__NODE__NODE_A_CONST;
}

static char *column_sql(struct builder *b, const PgQuery__ColumnRef *c) {
    struct buf sql = buf_make(1024);
    for (size_t i = 0; i < c->n_fields; i++) {
        if (i)
            buf_put_u8(&sql, '.');
        tree_put_quoted(&sql, tree_string(c->fields[i]), '"');
    }
    buf_put_u8(&sql, 0);
    b->no_memory |= sql.failed;
    char *text = sql.failed ? NULL : builder_text(b, (char *)sql.data);
    buf_free(&sql);
    return text;
}

// The one table that a column with this qualifier can belong to; -1: there may be others.
static int relation_of(const struct builder *b, const char *qualifier) {
    int found = -1;
    if (qualifier ? judged_is_source(b, qualifier) : b->n_sources || b->p.n_relations > 1)
        return -1;
    for (int i = 0; i < b->p.n_relations; i++) {
        const struct parsed_relation *r = &b->p.relations[i];
        if (qualifier && strcmp(judged_label(r), qualifier) != 0)
            continue;
        if (found >= 0 || r->maybe_cte)
            return -1;
        found = i;
    }
    return found;
}

static void set_column(struct judged *l, struct parsed_key *key, const Node *other) {
    if (other->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || l->b->renames ||
        judged_column_reason(l, other->column_ref) != REASON_NONE)
        return;
    const PgQuery__ColumnRef *c = other->column_ref;
    const char *qualifier, *name = tree_name(c->n_fields, c->fields, &qualifier);
    if (!judged_plain_name(name))
        return;
    key->relation = relation_of(l->b, qualifier);
    key->column = builder_text(l->b, name);
    key->column_sql = column_sql(l->b, c);
}

static struct parsed_key *find_key(const struct builder *b, int param) {
    for (int i = 0; i < b->p.n_keys; i++)
        if (b->p.keys[i].param == param)
            return &b->p.keys[i];
    return NULL;
}

// Counts another use of the parameter as a key, and returns the key for the first one, or the first one in an
// equality. The lists of what the statement names are complete here, so the parameter has a place among the
// uses.
static struct parsed_key *count_use(struct judged *l, const PgQuery__ParamRef *param, enum place at,
                                    int *uses) {
    struct builder *b = l->b;
    bool beside = uses != l->equalities;
    uses[param->number]++;
    struct parsed_key *key = find_key(b, param->number);
    if (key && (beside || !key->range))
        return NULL;
    key = key ? key : builder_key(b);
    if (!key)
        return NULL;
    *key = (struct parsed_key){.param = param->number,
                               .relation = -1,
                               .top = at == PLACE_TOP,
                               .range = beside,
                               .nullable = l->nullable,
                               .uses = b->uses[param->number]};
    return key;
}

static bool see_equality(struct judged *l, const Node *other, const Node *value, bool right, bool array,
                         enum place at) {
    const char *cast;
    const PgQuery__ParamRef *param = key_param(value, array, &cast);
    if (!param)
        return false;
    struct parsed_key *key = is_searched(other) ? count_use(l, param, at, l->equalities) : NULL;
    if (!key)
        return true;
    key->cast = cast ? builder_text(l->b, cast) : NULL;
    key->plain_right = right && !cast && other->node_case == PG_QUERY__NODE__NODE_COLUMN_REF;
    key->array = array;
    set_column(l, key, other);
    return true;
}

static void see_computed(struct judged *l, const Node *n, enum place at);

static void see_arguments(struct judged *l, size_t n, Node *const *args, enum place at) {
    for (size_t i = 0; i < n; i++)
        see_computed(l, args[i], at);
}

// Sees a side that is computed from the parameter: lower($1), $1::text::mood. In a WHERE or ON a function
// cannot be an aggregate of that same select, and an aggregate of an outer select has a column that says so.
static void see_computed(struct judged *l, const Node *n, enum place at) {
    const PgQuery__FuncCall *f;
    switch (n ? n->node_case : PG_QUERY__NODE__NODE__NOT_SET) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        (void)count_use(l, n->param_ref, at, l->equalities);
        break;
    // a modifier of interval is read with a constant, not after it
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        if (!n->type_cast->type_name->n_typmods)
            see_computed(l, n->type_cast->arg, at);
        break;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        f = n->func_call;
        if (!f->n_agg_order && !f->agg_filter && !f->over && !f->agg_distinct && !f->agg_within_group)
            see_arguments(l, f->n_args, f->args, at);
        break;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        see_arguments(l, n->coalesce_expr->n_args, n->coalesce_expr->args, at);
        break;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        see_computed(l, n->collate_clause->arg, at);
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP) {
            see_computed(l, n->a_expr->lexpr, at);
            see_computed(l, n->a_expr->rexpr, at);
        }
        break;
    default:
        break;
    }
}

// The value of SELECT $1; NULL: it is no such select.
const Node *judged_selected(const Node *select) {
    const PgQuery__SelectStmt *s =
        select && select->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? select->select_stmt : NULL;
    if (!s || s->n_target_list != 1 || !tree_only_targets(s))
        return NULL;
    return s->target_list[0]->node_case == PG_QUERY__NODE__NODE_RES_TARGET
               ? s->target_list[0]->res_target->val
               : NULL;
}

// (SELECT $1) is $1.
static const Node *without_select(const Node *n) {
    bool value = n->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
                 n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
    const Node *inner = value ? judged_selected(n->sub_link->subselect) : NULL;
    return inner ? inner : n;
}

void judged_see_side(struct judged *l, const Node *other, const Node *side, bool right, enum place at) {
    side = without_select(side);
    if (!see_equality(l, other, side, right, false, at) && is_searched(other))
        see_computed(l, side, at);
}

// Sees x = y, whichever of them is the parameter. Rows of equal length are compared part by part.
static void see_sides(struct judged *l, const Node *left, const Node *right, bool plain, enum place at) {
    if (left->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
        right->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        const PgQuery__RowExpr *a = left->row_expr, *b = right->row_expr;
        for (size_t i = 0; i < a->n_args && a->n_args == b->n_args; i++) {
            judged_see_side(l, a->args[i], b->args[i], false, at);
            judged_see_side(l, b->args[i], a->args[i], false, at);
        }
        return;
    }
    judged_see_side(l, left, right, plain, at);
    judged_see_side(l, right, left, false, at);
}

// Sees x = ANY (y), where y is ARRAY[$1], perhaps cast, or $1 itself.
static void see_any(struct judged *l, const Node *left, const Node *right, enum place at) {
    const Node *array = right;
    if (array->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && judged_type(array->type_cast->type_name) &&
        !array->type_cast->type_name->n_typmods && array->type_cast->type_name->n_array_bounds == 1)
        array = array->type_cast->arg;
    if (array->node_case != PG_QUERY__NODE__NODE_A_ARRAY_EXPR)
        (void)see_equality(l, left, right, false, true, at);
    else if (array->a_array_expr->n_elements == 1)
        judged_see_side(l, left, array->a_array_expr->elements[0], false, at);
}

// Sees a parameter beside the key, alone or cast. Returns its key when it is seen for the first time.
static struct parsed_key *see_beside(struct judged *l, const Node *value, enum place at) {
    const char *cast;
    const PgQuery__ParamRef *param = key_param(value, 0, &cast);
    struct parsed_key *key = param ? count_use(l, param, at, l->ranges) : NULL;
    if (key)
        key->cast = cast ? builder_text(l->b, cast) : NULL;
    return key;
}

static void see_range(struct judged *l, const Node *other, const Node *value, enum place at) {
    if (is_searched(other))
        (void)see_beside(l, value, at);
}

static const char *const comparisons[] = {"<", "<=", ">", ">=", "<>", NULL};

static bool is_between(const PgQuery__AExpr *e) {
    return e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN ||
           e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
           e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
           e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
}

static void see_ranges(struct judged *l, const PgQuery__AExpr *e, enum place at) {
    const Node *r = e->rexpr;
    bool compares =
        e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT ||
        (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && tree_name_in(tree_string(e->name[0]), comparisons));
    if (compares) {
        see_range(l, e->lexpr, r, at);
        see_range(l, r, e->lexpr, at);
    }
    for (size_t i = 0; is_between(e) && r->node_case == PG_QUERY__NODE__NODE_LIST && i < r->list->n_items;
         i++)
        see_range(l, e->lexpr, r->list->items[i], at);
}

void judged_see_keys(struct judged *l, const PgQuery__AExpr *e, enum place at) {
    const Node *r = e->rexpr;
    if (!e->lexpr || !r)
        return;
    see_ranges(l, e, at);
    if (strcmp(tree_string(e->name[0]), "=") != 0)
        return;
    l->nullable = e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT;
    if (l->nullable)
        see_sides(l, e->lexpr, r, false, at);
    l->nullable = false;
    if (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP)
        see_sides(l, e->lexpr, r, true, at);
    else if (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY)
        see_any(l, e->lexpr, r, at);
    else if (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN && r->node_case == PG_QUERY__NODE__NODE_LIST &&
             r->list->n_items == 1)
        see_sides(l, e->lexpr, r->list->items[0], false, at);
}

// Keeps the keys that stand nowhere else.
int judged_keep_keys(const struct judged *l, bool range, enum order order, struct parsed_key *kept) {
    const struct parsed *p = &l->b->p;
    int n = 0;
    for (int i = 0; i < p->n_keys; i++) {
        const struct parsed_key *k = &p->keys[i];
        int ranges = l->ranges[k->param];
        int uses = l->equalities[k->param] + l->targets[k->param] + (order == ORDER_ANY ? 0 : ranges);
        if (k->range != range || uses != k->uses)
            continue;
        kept[n] = *k;
        kept[n++].ordered = order == ORDER_TOLD && ranges > 0;
    }
    return n;
}

// Sees the parameters of an expression that is no condition, but for those of functions: any of these may be an
// aggregate.
static void see_value(struct judged *l, const Node *n, int *uses);

static void see_values(struct judged *l, size_t n, Node *const *items, int *uses) {
    for (size_t i = 0; i < n; i++)
        see_value(l, items[i], uses);
}

static void see_case(struct judged *l, const PgQuery__CaseExpr *c, int *uses) {
    see_value(l, c->arg, uses);
    for (size_t i = 0; i < c->n_args; i++)
        if (c->args[i]->node_case == PG_QUERY__NODE__NODE_CASE_WHEN) {
            see_value(l, c->args[i]->case_when->expr, uses);
            see_value(l, c->args[i]->case_when->result, uses);
        }
    see_value(l, c->defresult, uses);
}

static void see_value(struct judged *l, const Node *n, int *uses) {
    switch (n ? n->node_case : PG_QUERY__NODE__NODE__NOT_SET) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        (void)count_use(l, n->param_ref, PLACE_VALUE, uses);
        break;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        if (!n->type_cast->type_name->n_typmods)
            see_value(l, n->type_cast->arg, uses);
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        see_value(l, n->a_expr->lexpr, uses);
        if (n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP)
            see_value(l, n->a_expr->rexpr, uses);
        break;
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        see_values(l, n->bool_expr->n_args, n->bool_expr->args, uses);
        break;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        see_values(l, n->coalesce_expr->n_args, n->coalesce_expr->args, uses);
        break;
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        see_case(l, n->case_expr, uses);
        break;
    default:
        break;
    }
}

// Sees the values in the select list that have a label, since the result's column would be named after the
// key's.
void judged_see_targets(struct judged *l, const PgQuery__SelectStmt *s) {
    if (s->n_distinct_clause || order_has_numbers(s))
        return;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (*t->name && !order_names(s, t->name))
            see_value(l, t->val, l->targets);
    }
}

static void see_limit(struct judged *l, const Node *n) {
    struct parsed_key *key = see_beside(l, n, PLACE_VALUE);
    if (key)
        key->limits = key->uses == 1;
}

// A constant alone is no order.
void judged_see_order(struct judged *l, const PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_sort_clause; i++) {
        const Node *n = s->sort_clause[i]->sort_by->node;
        if (is_searched(n))
            see_value(l, n, l->ranges);
    }
    see_limit(l, s->limit_count);
    see_limit(l, s->limit_offset);
}
