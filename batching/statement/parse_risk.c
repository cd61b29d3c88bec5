// SPDX-License-Identifier: PostgreSQL
//
// A walk over expressions: constant parts are computed before the statement runs, and some of them cannot
// fail.
//
// Where a parameter's value may be an error although no row is read; see risk.h.
#include "batching/statement/parse_risk.h"

#include <string.h>

#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "batching/statement/parse_walk.h"

static void raise_to(enum risk *r, enum risk to) {
    *r = to > *r ? to : *r;
}

static struct parsed_param *param_of(struct builder *b, int n) {
    return b->p.params && n >= 1 && n <= b->p.n_params ? &b->p.params[n - 1] : NULL;
}

static bool all_constant(size_t n, Node *const *items, bool *has_param);

// Tells whether the expression has neither a column nor a select in it. The server computes it before the
// statement runs.
static bool is_constant(const Node *n, bool *has_param) {
    switch (n ? n->node_case : PG_QUERY__NODE__NODE_A_CONST) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return *has_param = true;
    case PG_QUERY__NODE__NODE_A_CONST:
        return true;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return is_constant(n->type_cast->arg, has_param);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return is_constant(n->collate_clause->arg, has_param);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return is_constant(n->a_expr->lexpr, has_param) && is_constant(n->a_expr->rexpr, has_param);
    case PG_QUERY__NODE__NODE_LIST:
        return all_constant(n->list->n_items, n->list->items, has_param);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return all_constant(n->func_call->n_args, n->func_call->args, has_param);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return all_constant(n->coalesce_expr->n_args, n->coalesce_expr->args, has_param);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return all_constant(n->min_max_expr->n_args, n->min_max_expr->args, has_param);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return all_constant(n->a_array_expr->n_elements, n->a_array_expr->elements, has_param);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return all_constant(n->row_expr->n_args, n->row_expr->args, has_param);
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return is_constant(n->named_arg_expr->arg, has_param);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return is_constant(n->null_test->arg, has_param);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return is_constant(n->boolean_test->arg, has_param);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return all_constant(n->bool_expr->n_args, n->bool_expr->args, has_param);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return false; // its branches are looked at one by one
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return is_constant(n->a_indirection->arg, has_param);
    default:
        return false;
    }
}

static bool all_constant(size_t n, Node *const *items, bool *has_param) {
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= is_constant(items[i], has_param);
    return all;
}

// Marks every parameter in an expression that is_constant() has accepted, by the fields that it knows.
static void mark(struct builder *b, const Node *n, enum risk risk);

static void mark_all(struct builder *b, size_t n, Node *const *items, enum risk risk) {
    for (size_t i = 0; i < n; i++)
        mark(b, items[i], risk);
}

static void mark(struct builder *b, const Node *n, enum risk risk) {
    struct parsed_param *p;
    switch (n ? n->node_case : PG_QUERY__NODE__NODE__NOT_SET) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        p = param_of(b, n->param_ref->number);
        if (p)
            raise_to(&p->computed, risk);
        return;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return mark(b, n->type_cast->arg, risk);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return mark(b, n->collate_clause->arg, risk);
    case PG_QUERY__NODE__NODE_A_EXPR:
        mark(b, n->a_expr->lexpr, risk);
        return mark(b, n->a_expr->rexpr, risk);
    case PG_QUERY__NODE__NODE_LIST:
        return mark_all(b, n->list->n_items, n->list->items, risk);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return mark_all(b, n->func_call->n_args, n->func_call->args, risk);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return mark_all(b, n->coalesce_expr->n_args, n->coalesce_expr->args, risk);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return mark_all(b, n->min_max_expr->n_args, n->min_max_expr->args, risk);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return mark_all(b, n->a_array_expr->n_elements, n->a_array_expr->elements, risk);
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return mark_all(b, n->row_expr->n_args, n->row_expr->args, risk);
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return mark(b, n->named_arg_expr->arg, risk);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return mark(b, n->null_test->arg, risk);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return mark(b, n->boolean_test->arg, risk);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return mark_all(b, n->bool_expr->n_args, n->bool_expr->args, risk);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return mark(b, n->a_indirection->arg, risk);
    default:
        return;
    }
}

// ---- what cannot fail

static const char *type_name(const PgQuery__TypeName *t) {
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : NULL;
    return name && t->n_names <= 2 && !t->n_typmods ? name : NULL;
}

static bool is_text(const char *name) {
    static const char *const texts[] = {"text", "varchar", NULL};
    return name && tree_name_in(name, texts);
}

// Sees $n::type. Whether that can fail depends on the type that the value has.
static void note_cast(struct builder *b, const PgQuery__ParamRef *ref, const PgQuery__TypeName *t, bool array,
                      enum risk risk) {
    struct parsed_param *p = param_of(b, ref->number);
    const char *name = type_name(t);
    if (!p)
        return;
    bool same = p->cast && p->cast_name && name && strcmp(p->cast_name, name) == 0 && p->cast_array == array;
    if (!name || (p->cast && !same))
        raise_to(&p->computed, risk);
    else if (!p->cast)
        p->cast_name = builder_text(b, name);
    p->cast_array = array;
    raise_to(&p->cast, risk);
}

// ARRAY[$1, $2]::type[] casts each of them.
static bool note_cast_of(struct builder *b, const PgQuery__TypeCast *c, enum risk risk) {
    const Node *arg = c->arg;
    size_t bounds = c->type_name ? c->type_name->n_array_bounds : 0;
    if (arg && arg->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
        note_cast(b, arg->param_ref, c->type_name, bounds > 0, risk);
        return true;
    }
    if (!arg || arg->node_case != PG_QUERY__NODE__NODE_A_ARRAY_EXPR || bounds != 1)
        return is_text(type_name(c->type_name)) && !bounds;
    for (size_t i = 0; i < arg->a_array_expr->n_elements; i++) {
        const Node *e = arg->a_array_expr->elements[i];
        if (e->node_case == PG_QUERY__NODE__NODE_PARAM_REF)
            note_cast(b, e->param_ref, c->type_name, false, risk);
        else
            mark(b, e, risk);
    }
    return true;
}

static bool operator_in(const PgQuery__AExpr *e, const char *const *list) {
    const char *name = e->n_name == 1 ? tree_string(e->name[0]) : NULL;
    return name && tree_name_in(name, list);
}

static bool compares(const PgQuery__AExpr *e) {
    static const char *const list[] = {"=",  "<>", "!=",  "<",   "<=",   ">",
                                       ">=", "~~", "~~*", "!~~", "!~~*", NULL};
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return false;
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return true;
    default:
        return operator_in(e, list);
    }
}

// The planner reads a pattern to estimate how many rows match it.
static bool matches(const PgQuery__AExpr *e) {
    static const char *const list[] = {"~", "~*", "!~", "!~*", NULL};
    return e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR || operator_in(e, list);
}

static bool function_cannot_fail(const PgQuery__FuncCall *f) {
    static const char *const list[] = {"lower", "upper", "btrim", "ltrim", "rtrim", NULL};
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    return name && tree_name_in(name, list);
}

void risk_note(struct builder *b, const Node *n, enum risk risk) {
    bool has_param = false, safe = true;
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        safe = !is_constant(n, &has_param) || note_cast_of(b, n->type_cast, risk);
        break;
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (matches(n->a_expr))
            mark(b, n->a_expr->rexpr, risk);
        safe = compares(n->a_expr) || !is_constant(n, &has_param);
        break;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        safe = function_cannot_fail(n->func_call) || !is_constant(n, &has_param);
        break;
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        safe = !is_constant(n, &has_param);
        break;
    default:
        return;
    }
    if (!safe && has_param)
        mark(b, n, risk);
}
