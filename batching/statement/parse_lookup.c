// SPDX-License-Identifier: PostgreSQL
//
// A second positive list beside that of the walk, and a shorter one: it knows node types and fields one by
// one, and looks at each field of a node that it lets pass. What names mean (tables, columns, functions,
// operators) is left to the catalogue (trust/vet.h).
//
// A key's value will be replaced with a column of a table to which the statement is joined laterally. That
// keeps the meaning where the value, or something computed from it, is one side of an equality in a WHERE or
// ON. It would change the meaning elsewhere:
// - in a target list without a label the column would name the result column;
// - in GROUP BY and DISTINCT an expression is compared with others;
// - in an aggregate's arguments, columns decide which select it belongs to, so nothing inside a function call
//   is a key where the function may be an aggregate.
#include "batching/statement/parse_lookup.h"

#include <stdio.h>
#include <string.h>

#include "batching/statement/functions.h"
#include "batching/statement/moving_time.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "batching/statement/parse_order.h"
#include "batching/statement/parse_risk.h"
#include "batching/statement/parse_walk.h"
#include "batching/statement/server_types.h"

#define IDENTIFIER_MAX 62 // a longer one may have been cut, and by other rules than the server's

// Where an expression stands.
enum place {
    PLACE_CLOSED,    // no key, also not in a subselect of it
    PLACE_VALUE,     // no key, but there may be one in the WHERE of a subselect
    PLACE_CONDITION, // an equality's side may be a key
    PLACE_TOP,       // the same, and it is on the top-level AND of the outermost WHERE
};

#define MAX_FUNCTIONS 8 // in FROM

// What the order of an answer's rows depends on.
enum order {
    ORDER_ANY,   // the plan, and with it every value
    ORDER_TOLD,  // ORDER BY, if its columns tell all rows apart
    ORDER_FIXED, // nothing: the answer is one row
};

struct lookup {
    struct builder *b;
    // How often $n stands, at n: as a side of an equality where a key may stand; where it may decide the order of
    // rows, or which rows these are; in the select list alone.
    int *equalities, *ranges, *targets;
    bool subselects, windows, sets;
    bool nullable; // the comparison at hand is IS NOT DISTINCT FROM
    // Names that functions in FROM have there, and their only columns.
    const char *functions[MAX_FUNCTIONS];
    unsigned n_functions;
    bool each_row;     // the expression at hand is computed for every row of the answer
    bool rows_are_own; // and each row of the answer has passed the outermost WHERE
};

static enum place below(enum place at) {
    return at == PLACE_CLOSED ? PLACE_CLOSED : PLACE_VALUE;
}

static enum reason expr_reason(struct lookup *l, const Node *n, enum place at);
static enum reason select_reason(struct lookup *l, const PgQuery__SelectStmt *s, enum place at);

static enum reason list_reason(struct lookup *l, size_t n, Node *const *items, enum place at) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++)
        r = expr_reason(l, items[i], at);
    return r;
}

static bool plain_name(const char *s) {
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false; // unquoted, it may be folded by the server's locale
    return len > 0 && len <= IDENTIFIER_MAX;
}

// ---- columns

static const char *relation_label(const struct parsed_relation *r) {
    return r->alias ? r->alias : r->name;
}

static bool is_source(const struct builder *b, const char *name) {
    for (int i = 0; i < b->n_sources; i++)
        if (strcmp(b->sources[i], name) == 0)
            return true;
    return false;
}

static bool is_table(const struct builder *b, const char *name) {
    for (int i = 0; i < b->p.n_relations; i++)
        if (strcmp(relation_label(&b->p.relations[i]), name) == 0)
            return true;
    return false;
}

// Tells whether this is the name of something in FROM, anywhere in the statement. Alone, such a name may mean
// the whole row.
static bool names_a_row(const struct builder *b, const char *name) {
    return is_table(b, name) || is_source(b, name);
}

static const char *const system_columns[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", NULL};

// The only column of a function in FROM has its name.
static bool names_a_function(const struct lookup *l, const char *name) {
    for (unsigned i = 0; i < l->n_functions; i++)
        if (strcmp(l->functions[i], name) == 0)
            return !is_table(l->b, name);
    return false;
}

// Is it t or t.*, the whole row of something in FROM? The name is then no column's.
static bool is_row(struct lookup *l, const Node *n) {
    const PgQuery__ColumnRef *c = n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? n->column_ref : NULL;
    const char *name = c && c->n_fields ? tree_string(c->fields[0]) : NULL;
    bool star = c && c->n_fields == 2 && c->fields[1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
    if (!name || !(star || c->n_fields == 1) || !names_a_row(l->b, name))
        return false;
    if (!star)
        builder_label(l->b, name);
    return true;
}

static bool is_source_row(struct lookup *l, const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields == 1 &&
           tree_string(n->column_ref->fields[0]) && is_source(l->b, tree_string(n->column_ref->fields[0])) &&
           is_row(l, n);
}

static enum reason column_reason(const struct lookup *l, const PgQuery__ColumnRef *c) {
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

static bool is_star(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields &&
           n->column_ref->n_fields <= 3 &&
           n->column_ref->fields[n->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

// ---- keys

static const char *const lookup_types[] = {
    "int2", "int4", "int8", "float4", "float8",    "numeric",     "text",     "varchar", "bpchar", "bool",
    "uuid", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "json",    "jsonb",  "bytea",
    "name", "oid",  "bit",  "varbit", "inet",      "cidr",        "macaddr",  NULL};

// The type's name when a lookup may cast to it or to its arrays, else NULL. Types that are not the server's
// own are listed as functions, for the catalogue to judge.
static const char *lookup_type(const PgQuery__TypeName *t) {
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : NULL;
    if (!name || t->n_names > 2 || (t->n_names == 2 && !schema) || t->setof || t->pct_type)
        return NULL;
    bool own = schema ? strcmp(schema, "pg_catalog") == 0 : type_is_built_in(name);
    if (own)
        return tree_name_in(name, lookup_types) ? name : NULL;
    return plain_name(name) && (!schema || plain_name(schema)) ? name : NULL;
}

// Recognises $n, or $n cast once to a type without modifiers and with so many array bounds. NULL: anything
// else.
static const PgQuery__ParamRef *key_param(const Node *n, size_t bounds, const char **cast) {
    *cast = NULL;
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        const PgQuery__TypeName *t = n->type_cast->type_name;
        *cast = lookup_type(t);
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
    if (qualifier ? is_source(b, qualifier) : b->n_sources || b->p.n_relations > 1)
        return -1;
    for (int i = 0; i < b->p.n_relations; i++) {
        const struct parsed_relation *r = &b->p.relations[i];
        if (qualifier && strcmp(relation_label(r), qualifier) != 0)
            continue;
        if (found >= 0 || r->maybe_cte)
            return -1;
        found = i;
    }
    return found;
}

static void set_column(struct lookup *l, struct parsed_key *key, const Node *other) {
    if (other->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || l->b->renames ||
        column_reason(l, other->column_ref) != REASON_NONE)
        return;
    const PgQuery__ColumnRef *c = other->column_ref;
    const char *qualifier, *name = tree_name(c->n_fields, c->fields, &qualifier);
    if (!plain_name(name))
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
static struct parsed_key *count_use(struct lookup *l, const PgQuery__ParamRef *param, enum place at,
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

static bool see_equality(struct lookup *l, const Node *other, const Node *value, bool right, bool array,
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

static void see_computed(struct lookup *l, const Node *n, enum place at);

static void see_arguments(struct lookup *l, size_t n, Node *const *args, enum place at) {
    for (size_t i = 0; i < n; i++)
        see_computed(l, args[i], at);
}

// Sees a side that is computed from the parameter: lower($1), $1::text::mood. In a WHERE or ON a function
// cannot be an aggregate of that same select, and an aggregate of an outer select has a column that says so.
static void see_computed(struct lookup *l, const Node *n, enum place at) {
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
static const Node *selected(const Node *select) {
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
    const Node *inner = value ? selected(n->sub_link->subselect) : NULL;
    return inner ? inner : n;
}

static void see_side(struct lookup *l, const Node *other, const Node *side, bool right, enum place at) {
    side = without_select(side);
    if (!see_equality(l, other, side, right, false, at) && is_searched(other))
        see_computed(l, side, at);
}

// Sees x = y, whichever of them is the parameter. Rows of equal length are compared part by part.
static void see_sides(struct lookup *l, const Node *left, const Node *right, bool plain, enum place at) {
    if (left->node_case == PG_QUERY__NODE__NODE_ROW_EXPR &&
        right->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        const PgQuery__RowExpr *a = left->row_expr, *b = right->row_expr;
        for (size_t i = 0; i < a->n_args && a->n_args == b->n_args; i++) {
            see_side(l, a->args[i], b->args[i], false, at);
            see_side(l, b->args[i], a->args[i], false, at);
        }
        return;
    }
    see_side(l, left, right, plain, at);
    see_side(l, right, left, false, at);
}

// Sees x = ANY (y), where y is ARRAY[$1], perhaps cast, or $1 itself.
static void see_any(struct lookup *l, const Node *left, const Node *right, enum place at) {
    const Node *array = right;
    if (array->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && lookup_type(array->type_cast->type_name) &&
        !array->type_cast->type_name->n_typmods && array->type_cast->type_name->n_array_bounds == 1)
        array = array->type_cast->arg;
    if (array->node_case != PG_QUERY__NODE__NODE_A_ARRAY_EXPR)
        (void)see_equality(l, left, right, false, true, at);
    else if (array->a_array_expr->n_elements == 1)
        see_side(l, left, array->a_array_expr->elements[0], false, at);
}

// Sees a parameter beside the key, alone or cast. Returns its key when it is seen for the first time.
static struct parsed_key *see_beside(struct lookup *l, const Node *value, enum place at) {
    const char *cast;
    const PgQuery__ParamRef *param = key_param(value, 0, &cast);
    struct parsed_key *key = param ? count_use(l, param, at, l->ranges) : NULL;
    if (key)
        key->cast = cast ? builder_text(l->b, cast) : NULL;
    return key;
}

static void see_range(struct lookup *l, const Node *other, const Node *value, enum place at) {
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

static void see_ranges(struct lookup *l, const PgQuery__AExpr *e, enum place at) {
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

static void see_keys(struct lookup *l, const PgQuery__AExpr *e, enum place at) {
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
static int keep_keys(const struct lookup *l, bool range, enum order order, struct parsed_key *kept) {
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
static void see_value(struct lookup *l, const Node *n, int *uses);

static void see_values(struct lookup *l, size_t n, Node *const *items, int *uses) {
    for (size_t i = 0; i < n; i++)
        see_value(l, items[i], uses);
}

static void see_case(struct lookup *l, const PgQuery__CaseExpr *c, int *uses) {
    see_value(l, c->arg, uses);
    for (size_t i = 0; i < c->n_args; i++)
        if (c->args[i]->node_case == PG_QUERY__NODE__NODE_CASE_WHEN) {
            see_value(l, c->args[i]->case_when->expr, uses);
            see_value(l, c->args[i]->case_when->result, uses);
        }
    see_value(l, c->defresult, uses);
}

static void see_value(struct lookup *l, const Node *n, int *uses) {
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
static void see_targets(struct lookup *l, const PgQuery__SelectStmt *s) {
    if (s->n_distinct_clause || order_has_numbers(s))
        return;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (*t->name && !order_names(s, t->name))
            see_value(l, t->val, l->targets);
    }
}

static void see_limit(struct lookup *l, const Node *n) {
    struct parsed_key *key = see_beside(l, n, PLACE_VALUE);
    if (key)
        key->limits = key->uses == 1;
}

// A constant alone is no order.
static void see_order(struct lookup *l, const PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_sort_clause; i++) {
        const Node *n = s->sort_clause[i]->sort_by->node;
        if (is_searched(n))
            see_value(l, n, l->ranges);
    }
    see_limit(l, s->limit_count);
    see_limit(l, s->limit_offset);
}

// ---- expressions

static enum reason cast_reason(struct lookup *l, const PgQuery__TypeCast *c, enum place at) {
    if (!lookup_type(c->type_name))
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
static enum reason right_reason(struct lookup *l, const Node *n, enum place at) {
    if (n && n->node_case == PG_QUERY__NODE__NODE_LIST)
        return list_reason(l, n->list->n_items, n->list->items, at);
    return expr_reason(l, n, at);
}

static enum reason op_reason(struct lookup *l, const PgQuery__AExpr *e, enum place at) {
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
        see_keys(l, e, at);
    enum reason r = expr_reason(l, e->lexpr, below(at));
    return r == REASON_NONE ? right_reason(l, e->rexpr, below(at)) : r;
}

static enum reason bool_reason(struct lookup *l, const PgQuery__BoolExpr *e, enum place at) {
    bool and = e->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    return list_reason(l, e->n_args, e->args, at == PLACE_TOP && !and? PLACE_CONDITION : at);
}

static enum reason case_reason(struct lookup *l, const PgQuery__CaseExpr *c, enum place at) {
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
static enum reason subscript_reason(struct lookup *l, const PgQuery__AIndirection *a, enum place at) {
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
static void see_selected(struct lookup *l, const PgQuery__SubLink *s, enum place at) {
    bool equals = s->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK &&
                  (!s->n_oper_name || strcmp(tree_string(s->oper_name[0]), "=") == 0);
    const Node *value = equals && s->testexpr ? selected(s->subselect) : NULL;
    if (value)
        see_side(l, s->testexpr, value, false, at);
}

static enum reason sublink_reason(struct lookup *l, const PgQuery__SubLink *s, enum place at) {
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

static enum reason sort_reason(struct lookup *l, size_t n, Node *const *items) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++) {
        if (items[i]->node_case != PG_QUERY__NODE__NODE_SORT_BY || items[i]->sort_by->n_use_op ||
            items[i]->sort_by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return REASON_CONSTRUCT;
        r = expr_reason(l, items[i]->sort_by->node, PLACE_CLOSED);
    }
    return r;
}

static enum reason window_reason(struct lookup *l, const PgQuery__WindowDef *w) {
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

static enum reason arguments_reason(struct lookup *l, const PgQuery__FuncCall *f, const char *name) {
    enum reason r = REASON_NONE;
    bool takes_row = tree_name_in(name, row_functions);
    for (size_t i = 0; i < f->n_args && r == REASON_NONE; i++)
        if (!takes_row || !is_row(l, f->args[i]))
            r = expr_reason(l, f->args[i], PLACE_CLOSED);
    return r;
}

static enum reason function_reason(struct lookup *l, const PgQuery__FuncCall *f) {
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (!name || f->n_funcname > 2 || !plain_name(name))
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

static enum reason known_expr_reason(struct lookup *l, const Node *n, enum place at) {
    enum place in = below(at);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return REASON_NONE;
    case PG_QUERY__NODE__NODE_A_CONST:
        return const_reason(n->a_const);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return column_reason(l, n->column_ref);
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

static enum reason expr_reason(struct lookup *l, const Node *n, enum place at) {
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
    if (!plain_name(t->relname) || (*t->schemaname && !plain_name(t->schemaname)) ||
        (t->alias && !plain_name(t->alias->aliasname)))
        return REASON_CONSTRUCT;
    return REASON_NONE;
}

static enum reason from_reason(struct lookup *l, const Node *n, enum place at);

static enum reason join_reason(struct lookup *l, const PgQuery__JoinExpr *j, enum place at) {
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
static enum reason from_function_reason(struct lookup *l, const PgQuery__RangeFunction *f) {
    const Node *item = f->n_functions == 1 ? f->functions[0] : NULL;
    const Node *call = item && item->node_case == PG_QUERY__NODE__NODE_LIST && item->list->n_items
                           ? item->list->items[0]
                           : NULL;
    if (!call || call->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || f->is_rowsfrom || f->n_coldeflist)
        return REASON_FUNCTION;
    const char *schema, *name = tree_name(call->func_call->n_funcname, call->func_call->funcname, &schema),
                        *alias = f->alias ? f->alias->aliasname : name;
    if (!name || !function_returns_rows(name) || !plain_name(alias) || l->n_functions == MAX_FUNCTIONS)
        return REASON_FUNCTION;
    l->functions[l->n_functions++] = alias;
    add_function_labels(l->b, alias);
    return expr_reason(l, call, PLACE_CLOSED);
}

static enum reason from_reason(struct lookup *l, const Node *n, enum place at) {
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

static enum reason with_reason(struct lookup *l, const PgQuery__WithClause *w, enum place at) {
    enum reason r = w->recursive ? REASON_CTE : REASON_NONE;
    for (size_t i = 0; i < w->n_ctes && r == REASON_NONE; i++) {
        const PgQuery__CommonTableExpr *c = w->ctes[i]->node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR
                                                ? w->ctes[i]->common_table_expr
                                                : NULL;
        if (!c || c->search_clause || c->cycle_clause || !c->ctequery ||
            c->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !plain_name(c->ctename))
            return REASON_CTE;
        r = select_reason(l, c->ctequery->select_stmt, below(at));
    }
    return r;
}

static enum reason target_reason(struct lookup *l, const Node *n, enum place at) {
    if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET || n->res_target->n_indirection ||
        !n->res_target->val)
        return REASON_CONSTRUCT;
    if (is_star(n->res_target->val))
        return REASON_NONE;
    // Below the outermost select, a derived table's row is a value: no function of a user's takes its type.
    if (at != PLACE_TOP && is_source_row(l, n->res_target->val))
        return REASON_NONE;
    return expr_reason(l, n->res_target->val, below(at));
}

static enum reason group_reason(struct lookup *l, size_t n, Node *const *items) {
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
static enum reason distinct_reason(struct lookup *l, const PgQuery__SelectStmt *s) {
    if (s->n_distinct_clause == 1 && s->distinct_clause[0]->node_case == PG_QUERY__NODE__NODE__NOT_SET)
        return REASON_NONE;
    return list_reason(l, s->n_distinct_clause, s->distinct_clause, PLACE_CLOSED);
}

static enum reason windows_reason(struct lookup *l, const PgQuery__SelectStmt *s) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < s->n_window_clause && r == REASON_NONE; i++)
        r = s->window_clause[i]->node_case == PG_QUERY__NODE__NODE_WINDOW_DEF
                ? window_reason(l, s->window_clause[i]->window_def)
                : REASON_CONSTRUCT;
    return r;
}

static enum reason values_reason(struct lookup *l, const PgQuery__SelectStmt *s) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < s->n_values_lists && r == REASON_NONE; i++)
        r = s->values_lists[i]->node_case == PG_QUERY__NODE__NODE_LIST
                ? list_reason(l, s->values_lists[i]->list->n_items, s->values_lists[i]->list->items,
                              PLACE_CLOSED)
                : REASON_CONSTRUCT;
    return r;
}

// Judges what a select without a set operation has of its own.
static enum reason body_reason(struct lookup *l, const PgQuery__SelectStmt *s, enum place at) {
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

static enum reason limit_reason(struct lookup *l, const PgQuery__SelectStmt *s) {
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return REASON_CONSTRUCT;
    enum reason r = expr_reason(l, s->limit_count, PLACE_CLOSED);
    return r == REASON_NONE ? expr_reason(l, s->limit_offset, PLACE_CLOSED) : r;
}

// `at` is PLACE_TOP for the outermost select. Below that it is PLACE_VALUE, or PLACE_CLOSED when nothing in
// it may be a key.
static enum reason select_reason(struct lookup *l, const PgQuery__SelectStmt *s, enum place at) {
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
        see_targets(l, s);
        see_order(l, s);
    }
    return r;
}

// ---- the whole

static bool one_plain_table(const struct builder *b, const PgQuery__SelectStmt *s) {
    return s->n_from_clause == 1 && s->from_clause[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
           b->p.n_relations == 1 && !b->renames && !s->with_clause;
}

// A statement with functions does not qualify, because any of them may be an aggregate.
static bool in_form(const struct lookup *l, const PgQuery__SelectStmt *s) {
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
static bool is_one_row(const struct lookup *l, const PgQuery__SelectStmt *s) {
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
static bool is_told(const struct lookup *l, const PgQuery__SelectStmt *s) {
    return one_plain_table(l->b, s) && s->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !l->subselects &&
           !l->windows && !l->sets && !s->n_distinct_clause && !s->n_group_clause && !s->having_clause &&
           !s->n_window_clause;
}

// Values beside the key come last, and only beside keys that are compared with =.
static void settle_keys(struct lookup *l, const PgQuery__SelectStmt *s) {
    struct parsed *p = &l->b->p;
    struct parsed_key kept[PARSED_MAX_KEYS];
    enum order order = is_one_row(l, s) ? ORDER_FIXED : is_told(l, s) ? ORDER_TOLD : ORDER_ANY;
    int n = keep_keys(l, false, order, kept);
    n += n ? keep_keys(l, true, order, kept + n) : 0;
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
    struct lookup l = {.b = b};
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
