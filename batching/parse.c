// SPDX-License-Identifier: PostgreSQL
//
// From text to struct parsed, in three steps: the parser makes a tree; one walk over the whole of it,
// whatever the statement, lists what it names; then the statement's kind is told, and for a plain SELECT
// whether it may be a lookup.
//
// The walk goes by protobuf's own descriptions of the messages, so that no field of a known message can be
// missed, and stops at every message type that is not in `visitors`. The lookup's check is a second list, a
// shorter one: it knows node types and fields one by one, and each field of a node that it lets pass is
// looked at.
#include "batching/parse.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batching/depth.h"
#include "batching/lexer.h"
#include "batching/parsed.h"
#include "protocol/buf.h"

typedef PgQuery__Node Node;

#define IDENTIFIER_MAX 62 // a longer one may have been cut, and by other rules than the server's

static bool name_in(const char *name, const char *const *list) {
    for (; *list; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

// The text of a String node, NULL for any other.
static const char *string_of(const Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : NULL;
}

// A possibly qualified name: its last part, and in *schema the one before it or NULL. NULL when it is no
// plain name.
static const char *qualified_name(size_t n, Node *const *names, const char **schema) {
    *schema = n > 1 ? string_of(names[n - 2]) : NULL;
    return n ? string_of(names[n - 1]) : NULL;
}

// ---- the walk over everything

struct walk {
    struct builder *b;
    bool unknown; // a message type that is on no list
    bool locking, into, writes, set_config;
    size_t n_ctes;
    const char *ctes[64];
};

// Looks at one message; true when its fields are to be walked too.
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

static bool visit_range_var(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__RangeVar *r = (const PgQuery__RangeVar *)m;
    builder_relation(w->b, r->schemaname, r->relname, r->alias ? r->alias->aliasname : NULL);
    w->unknown |= *r->catalogname != 0;
    return false;
}

static bool visit_column_ref(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__ColumnRef *c = (const PgQuery__ColumnRef *)m;
    const char *qualifier, *name = qualified_name(c->n_fields, c->fields, &qualifier);
    if (name)
        builder_column(w->b, qualifier, name);
    return false;
}

// (t).f, and subscripts.
static bool visit_indirection(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__AIndirection *a = (const PgQuery__AIndirection *)m;
    for (size_t i = 0; i < a->n_indirection; i++)
        if (string_of(a->indirection[i]))
            builder_column(w->b, NULL, string_of(a->indirection[i]));
    return true;
}

static bool visit_param(struct walk *w, const ProtobufCMessage *m) {
    builder_param(w->b, ((const PgQuery__ParamRef *)m)->number);
    return false;
}

static bool visit_func_call(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__FuncCall *f = (const PgQuery__FuncCall *)m;
    const char *schema, *name = qualified_name(f->n_funcname, f->funcname, &schema);
    if (!name || f->n_funcname > 2) {
        w->unknown = true;
        return true;
    }
    builder_function(w->b, schema, name);
    w->set_config |= strcmp(name, "set_config") == 0;
    return true;
}

static void add_operator(struct walk *w, size_t n, Node *const *names) {
    const char *schema, *name = qualified_name(n, names, &schema);
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

static bool visit_sort(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__SortBy *s = (const PgQuery__SortBy *)m;
    if (s->n_use_op)
        add_operator(w, s->n_use_op, s->use_op);
    return true;
}

// Types whose input and casts are the server's own code.
static const char *const server_types[] = {
    "int2",     "int4",        "int8",      "float4",      "float8",       "numeric",   "text",
    "varchar",  "bpchar",      "char",      "name",        "bool",         "uuid",      "date",
    "time",     "timetz",      "timestamp", "timestamptz", "interval",     "json",      "jsonb",
    "jsonpath", "bytea",       "bit",       "varbit",      "inet",         "cidr",      "macaddr",
    "macaddr8", "money",       "xml",       "oid",         "regclass",     "regproc",   "regprocedure",
    "regoper",  "regoperator", "regtype",   "regrole",     "regnamespace", "regconfig", "point",
    "line",     "lseg",        "box",       "path",        "polygon",      "circle",    "tsvector",
    "tsquery",  "int4range",   "int8range", "numrange",    "tsrange",      "tstzrange", "daterange",
    "xid",      "tid",         "pg_lsn",    NULL};

static bool visit_type(struct walk *w, const ProtobufCMessage *m) {
    const PgQuery__TypeName *t = (const PgQuery__TypeName *)m;
    const char *schema, *name = qualified_name(t->n_names, t->names, &schema);
    if (!name || t->n_names > 2)
        w->unknown = true;
    else if (schema ? strcmp(schema, "pg_catalog") != 0 : !name_in(name, server_types))
        builder_function(w->b, schema, name);
    return true;
}

static bool visit_cte(struct walk *w, const ProtobufCMessage *m) {
    if (w->n_ctes < sizeof w->ctes / sizeof *w->ctes)
        w->ctes[w->n_ctes++] = ((const PgQuery__CommonTableExpr *)m)->ctename;
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

#define MESSAGE(name) &pg_query__##name##__descriptor

static const struct {
    const ProtobufCMessageDescriptor *type;
    visit_fn visit;
} visitors[] = {
    {MESSAGE(string), visit_leaf},
    {MESSAGE(column_ref), visit_column_ref},
    {MESSAGE(res_target), visit_plain},
    {MESSAGE(a__expr), visit_expr},
    {MESSAGE(param_ref), visit_param},
    {MESSAGE(a__const), visit_leaf},
    {MESSAGE(list), visit_plain},
    {MESSAGE(bool_expr), visit_plain},
    {MESSAGE(type_cast), visit_plain},
    {MESSAGE(type_name), visit_type},
    {MESSAGE(func_call), visit_func_call},
    {MESSAGE(select_stmt), visit_plain},
    {MESSAGE(range_var), visit_range_var},
    {MESSAGE(join_expr), visit_join},
    {MESSAGE(alias), visit_leaf},
    {MESSAGE(null_test), visit_plain},
    {MESSAGE(boolean_test), visit_plain},
    {MESSAGE(sort_by), visit_sort},
    {MESSAGE(sub_link), visit_sublink},
    {MESSAGE(range_subselect), visit_plain},
    {MESSAGE(range_function), visit_plain},
    {MESSAGE(case_expr), visit_case},
    {MESSAGE(case_when), visit_plain},
    {MESSAGE(coalesce_expr), visit_plain},
    {MESSAGE(min_max_expr), visit_plain},
    {MESSAGE(a__array_expr), visit_plain},
    {MESSAGE(a__star), visit_leaf},
    {MESSAGE(a__indirection), visit_indirection},
    {MESSAGE(a__indices), visit_plain},
    {MESSAGE(row_expr), visit_plain},
    {MESSAGE(collate_clause), visit_plain},
    {MESSAGE(sqlvalue_function), visit_leaf},
    {MESSAGE(named_arg_expr), visit_plain},
    {MESSAGE(grouping_func), visit_plain},
    {MESSAGE(grouping_set), visit_plain},
    {MESSAGE(window_def), visit_plain},
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

// One message of a oneof is there, that which the case field names.
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
        // Its one field, a message, without a look at the 200 others.
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

// ---- settings

// PostgreSQL resets these at another time than other settings, or they are no settings of the session at all.
static const char *const other_settings[] = {"session_authorization",
                                             "transaction_isolation",
                                             "transaction_read_only",
                                             "transaction_deferrable",
                                             "seed",
                                             NULL};

static bool setting_is_other(const char *name) {
    for (const char *const *s = other_settings; *s; s++)
        if (strcasecmp(name, *s) == 0)
            return true;
    return false;
}

static void put_quoted(struct buf *out, const char *s, char quote) {
    buf_put_u8(out, (uint8_t)quote);
    for (; *s; s++) {
        if (*s == quote)
            buf_put_u8(out, (uint8_t)quote);
        buf_put_u8(out, (uint8_t)*s);
    }
    buf_put_u8(out, (uint8_t)quote);
}

static bool put_constant(struct buf *out, const Node *n) {
    if (!n || n->node_case != PG_QUERY__NODE__NODE_A_CONST || n->a_const->isnull)
        return false;
    char digits[16];
    switch (n->a_const->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        snprintf(digits, sizeof digits, "%d", n->a_const->ival->ival);
        buf_put_text(out, digits);
        return true;
    case PG_QUERY__A__CONST__VAL_FVAL:
        buf_put_text(out, n->a_const->fval->fval);
        return true;
    case PG_QUERY__A__CONST__VAL_SVAL:
        put_quoted(out, n->a_const->sval->sval, '\'');
        return true;
    default:
        return false;
    }
}

// Adds name = constants; false when one of them is no constant.
static bool add_setting(struct builder *b, const char *prefix, const char *name, size_t n, Node *const *args,
                        const char *mark) {
    struct buf value = buf_make((size_t)1 << 20), full = buf_make(1024);
    buf_put_text(&value, mark);
    bool ok = n > 0;
    for (size_t i = 0; i < n && ok; i++) {
        if (i)
            buf_put_text(&value, ", ");
        ok = put_constant(&value, args[i]);
    }
    buf_put_u8(&value, 0);
    buf_put_text(&full, prefix);
    buf_put_str(&full, name);
    if (value.failed || full.failed)
        b->no_memory = true;
    else if (ok)
        builder_setting(b, (char *)full.data, (char *)value.data);
    buf_free(&value);
    buf_free(&full);
    return ok;
}

static bool add_modes(struct builder *b, const char *prefix, size_t n, Node *const *modes) {
    for (size_t i = 0; i < n; i++) {
        if (modes[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            return false;
        const PgQuery__DefElem *d = modes[i]->def_elem;
        if (!add_setting(b, prefix, d->defname, 1, &d->arg, ""))
            return false;
    }
    return true;
}

static enum statement_kind set_multi_kind(struct builder *b, const PgQuery__VariableSetStmt *s) {
    if (strcmp(s->name, "TRANSACTION") == 0)
        return add_modes(b, "", s->n_args, s->args) ? STATEMENT_SET_LOCAL : STATEMENT_OTHER;
    if (strcmp(s->name, "SESSION CHARACTERISTICS") == 0 && add_modes(b, "default_", s->n_args, s->args))
        return s->is_local ? STATEMENT_SET_LOCAL : STATEMENT_SET;
    if (strcmp(s->name, "TRANSACTION SNAPSHOT") == 0)
        return add_setting(b, "", "transaction_snapshot", s->n_args, s->args, "") ? STATEMENT_SET_LOCAL
                                                                                  : STATEMENT_OTHER;
    return STATEMENT_OTHER;
}

static enum statement_kind set_kind(struct builder *b, const PgQuery__VariableSetStmt *s) {
    enum statement_kind kind = s->is_local ? STATEMENT_SET_LOCAL : STATEMENT_SET;
    switch (s->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        return STATEMENT_RESET_ALL;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        return set_multi_kind(b, s);
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
        if (setting_is_other(s->name) || !add_setting(b, "", s->name, s->n_args, s->args, ""))
            return STATEMENT_OTHER;
        return kind;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
        if (setting_is_other(s->name))
            return STATEMENT_OTHER;
        builder_setting(b, s->name, NULL);
        return kind;
    default:
        return STATEMENT_OTHER;
    }
}

// ---- SELECT set_config(…)

static const PgQuery__AConst *constant_of(const Node *n) {
    return n && n->node_case == PG_QUERY__NODE__NODE_A_CONST ? n->a_const : NULL;
}

static bool is_set_config(const PgQuery__FuncCall *f) {
    const char *schema, *name = qualified_name(f->n_funcname, f->funcname, &schema);
    return name && strcmp(name, "set_config") == 0 && f->n_funcname <= 2 &&
           (!schema || strcmp(schema, "pg_catalog") == 0) && f->n_args == 3 && !f->n_agg_order &&
           !f->agg_filter && !f->over && !f->agg_within_group && !f->agg_star && !f->agg_distinct &&
           !f->func_variadic;
}

// One target set_config('name', 'value' or NULL, true or false).
static bool add_set_config(struct builder *b, const Node *target, bool *local) {
    if (target->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
        return false;
    const Node *val = target->res_target->val;
    if (!val || val->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || !is_set_config(val->func_call))
        return false;
    const PgQuery__FuncCall *f = val->func_call;
    const PgQuery__AConst *name = constant_of(f->args[0]), *value = constant_of(f->args[1]),
                          *is_local = constant_of(f->args[2]);
    if (!name || !value || !is_local || name->val_case != PG_QUERY__A__CONST__VAL_SVAL ||
        is_local->val_case != PG_QUERY__A__CONST__VAL_BOOLVAL || setting_is_other(name->sval->sval))
        return false;
    *local = is_local->boolval->boolval;
    if (value->isnull) {
        builder_setting(b, name->sval->sval, NULL);
        return true;
    }
    return value->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
           add_setting(b, "", name->sval->sval, 1, &f->args[1], "raw ");
}

static bool only_targets(const PgQuery__SelectStmt *s) {
    return s->n_target_list && !s->n_distinct_clause && !s->into_clause && !s->n_from_clause &&
           !s->where_clause && !s->n_group_clause && !s->having_clause && !s->n_window_clause &&
           !s->n_values_lists && !s->n_sort_clause && !s->limit_offset && !s->limit_count &&
           !s->n_locking_clause && !s->with_clause && !s->larg && !s->rarg;
}

static enum statement_kind set_config_kind(struct builder *b, const PgQuery__SelectStmt *s) {
    if (!only_targets(s))
        return STATEMENT_OTHER;
    bool local = false;
    for (size_t i = 0; i < s->n_target_list; i++)
        if (!add_set_config(b, s->target_list[i], &local) || (local && s->n_target_list > 1))
            return STATEMENT_OTHER;
    return local ? STATEMENT_SET_LOCAL : STATEMENT_SET;
}

// ---- lookups: what an expression may hold

struct lookup {
    struct builder *b;
    const PgQuery__SelectStmt *select;
    const PgQuery__RangeVar *table;
};

static enum reason expr_reason(const struct lookup *l, const Node *n);

static enum reason list_reason(const struct lookup *l, size_t n, Node *const *items) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < n && r == REASON_NONE; i++)
        r = expr_reason(l, items[i]);
    return r;
}

static bool plain_name(const char *s) {
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80)
            return false; // unquoted, it may be folded by the server's locale
    return len > 0 && len <= IDENTIFIER_MAX;
}

// The name that qualifies the table's columns.
static const char *table_label(const PgQuery__RangeVar *t) {
    return t->alias ? t->alias->aliasname : t->relname;
}

// "t" or "schema"."t" before a column: does it name the lookup's table?
static bool names_table(const PgQuery__RangeVar *t, size_t n, Node *const *parts) {
    const char *schema, *name = qualified_name(n, parts, &schema);
    if (!name || n > 2 || strcmp(name, table_label(t)) != 0)
        return false;
    if (n == 1)
        return true;
    return schema && !t->alias && (!*t->schemaname || strcmp(schema, t->schemaname) == 0);
}

static const char *const system_columns[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", NULL};

static enum reason column_reason(const struct lookup *l, const PgQuery__ColumnRef *c) {
    const char *qualifier, *name = qualified_name(c->n_fields, c->fields, &qualifier);
    if (!name || name_in(name, system_columns))
        return REASON_CONSTRUCT;
    if (c->n_fields == 1) // a name equal to the table's may mean the whole row
        return strcmp(name, table_label(l->table)) == 0 ? REASON_CONSTRUCT : REASON_NONE;
    return names_table(l->table, c->n_fields - 1, c->fields) ? REASON_NONE : REASON_CONSTRUCT;
}

static bool is_star(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields &&
           n->column_ref->fields[n->column_ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static const char *const lookup_types[] = {
    "int2", "int4", "int8",      "float4",      "float8", "numeric",  "text", "varchar", "bpchar", "bool",
    "uuid", "date", "timestamp", "timestamptz", "time",   "interval", "json", "jsonb",   "bytea",  NULL};

// The type's name when a lookup may cast to it, else NULL.
static const char *lookup_type(const PgQuery__TypeName *t) {
    const char *schema, *name = t ? qualified_name(t->n_names, t->names, &schema) : NULL;
    if (!name || t->n_names > 2 || (t->n_names == 2 && (!schema || strcmp(schema, "pg_catalog") != 0)))
        return NULL;
    return !t->setof && !t->pct_type && name_in(name, lookup_types) ? name : NULL;
}

static enum reason cast_reason(const struct lookup *l, const PgQuery__TypeCast *c) {
    if (!lookup_type(c->type_name))
        return REASON_CONSTRUCT;
    enum reason r = list_reason(l, c->type_name->n_typmods, c->type_name->typmods);
    return r == REASON_NONE ? expr_reason(l, c->arg) : r;
}

static enum reason const_reason(const PgQuery__AConst *c) {
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return REASON_NONE;
    return text_is_moving_time(c->sval->sval, strlen(c->sval->sval)) ? REASON_CONSTRUCT : REASON_NONE;
}

// The array of ANY and ALL, and the list of IN and BETWEEN.
static enum reason elements_reason(const struct lookup *l, const Node *n) {
    if (n && n->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR)
        return list_reason(l, n->a_array_expr->n_elements, n->a_array_expr->elements);
    if (n && n->node_case == PG_QUERY__NODE__NODE_LIST)
        return list_reason(l, n->list->n_items, n->list->items);
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && lookup_type(n->type_cast->type_name) &&
        !n->type_cast->type_name->n_typmods)
        return elements_reason(l, n->type_cast->arg);
    return expr_reason(l, n);
}

static enum reason op_reason(const struct lookup *l, const PgQuery__AExpr *e) {
    if (e->n_name != 1)
        return REASON_CONSTRUCT; // OPERATOR(schema.name)
    enum reason r = expr_reason(l, e->lexpr);
    if (r != REASON_NONE)
        return r;
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return expr_reason(l, e->rexpr);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return elements_reason(l, e->rexpr);
    default:
        return REASON_CONSTRUCT;
    }
}

static enum reason case_reason(const struct lookup *l, const PgQuery__CaseExpr *c) {
    enum reason r = expr_reason(l, c->arg);
    for (size_t i = 0; i < c->n_args && r == REASON_NONE; i++) {
        if (c->args[i]->node_case != PG_QUERY__NODE__NODE_CASE_WHEN)
            return REASON_CONSTRUCT;
        r = expr_reason(l, c->args[i]->case_when->expr);
        if (r == REASON_NONE)
            r = expr_reason(l, c->args[i]->case_when->result);
    }
    return r == REASON_NONE ? expr_reason(l, c->defresult) : r;
}

static const char *const aggregates[] = {"count",    "sum",       "avg",        "min",      "max",
                                         "every",    "array_agg", "string_agg", "json_agg", "jsonb_agg",
                                         "bool_and", "bool_or",   NULL};

// Only which of two reasons to tell the user.
static enum reason function_reason(const PgQuery__FuncCall *f) {
    const char *schema, *name = qualified_name(f->n_funcname, f->funcname, &schema);
    bool aggregate = f->over || f->agg_star || f->agg_distinct || f->agg_filter || f->agg_within_group ||
                     f->n_agg_order || (name && name_in(name, aggregates));
    return aggregate ? REASON_GROUPING : REASON_FUNCTION;
}

static enum reason expr_reason(const struct lookup *l, const Node *n) {
    if (!n)
        return REASON_NONE;
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return REASON_NONE;
    case PG_QUERY__NODE__NODE_A_CONST:
        return const_reason(n->a_const);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return column_reason(l, n->column_ref);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return op_reason(l, n->a_expr);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return list_reason(l, n->bool_expr->n_args, n->bool_expr->args);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return expr_reason(l, n->null_test->arg);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return expr_reason(l, n->boolean_test->arg);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return case_reason(l, n->case_expr);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return list_reason(l, n->coalesce_expr->n_args, n->coalesce_expr->args);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return list_reason(l, n->min_max_expr->n_args, n->min_max_expr->args);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return cast_reason(l, n->type_cast);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return function_reason(n->func_call);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return REASON_FUNCTION;
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return REASON_GROUPING;
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return REASON_SUBSELECT;
    default:
        return REASON_CONSTRUCT;
    }
}

// ---- lookups: the clauses

static enum reason table_reason(const PgQuery__RangeVar *t) {
    if (*t->catalogname || !t->inh || (t->alias && t->alias->n_colnames))
        return REASON_CONSTRUCT;
    if (strncmp(*t->schemaname ? t->schemaname : t->relname, "pg_", 3) == 0 ||
        strcmp(t->schemaname, "information_schema") == 0)
        return REASON_SYSTEM_SCHEMA;
    if (!plain_name(t->relname) || (*t->schemaname && !plain_name(t->schemaname)) ||
        !plain_name(table_label(t)))
        return REASON_CONSTRUCT;
    return REASON_NONE;
}

static enum reason from_reason(const PgQuery__SelectStmt *s) {
    if (s->n_from_clause == 0)
        return REASON_NO_TABLE;
    if (s->n_from_clause > 1)
        return REASON_MANY_TABLES;
    switch (s->from_clause[0]->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        return table_reason(s->from_clause[0]->range_var);
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        return REASON_MANY_TABLES;
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        return REASON_SUBSELECT;
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        return REASON_FUNCTION;
    default:
        return REASON_CONSTRUCT;
    }
}

static enum reason target_reason(const struct lookup *l, const Node *n) {
    if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET || n->res_target->n_indirection ||
        !n->res_target->val)
        return REASON_CONSTRUCT;
    const Node *val = n->res_target->val;
    if (!is_star(val))
        return expr_reason(l, val);
    size_t qualifiers = val->column_ref->n_fields - 1;
    return !qualifiers || names_table(l->table, qualifiers, val->column_ref->fields) ? REASON_NONE
                                                                                     : REASON_CONSTRUCT;
}

static enum reason targets_reason(const struct lookup *l) {
    enum reason r = l->select->n_target_list ? REASON_NONE : REASON_CONSTRUCT;
    for (size_t i = 0; i < l->select->n_target_list && r == REASON_NONE; i++)
        r = target_reason(l, l->select->target_list[i]);
    return r;
}

static enum reason sort_reason(const struct lookup *l) {
    enum reason r = REASON_NONE;
    for (size_t i = 0; i < l->select->n_sort_clause && r == REASON_NONE; i++) {
        const Node *n = l->select->sort_clause[i];
        if (n->node_case != PG_QUERY__NODE__NODE_SORT_BY || n->sort_by->n_use_op ||
            n->sort_by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return REASON_CONSTRUCT;
        r = expr_reason(l, n->sort_by->node);
    }
    return r;
}

static enum reason limit_reason(const struct lookup *l) {
    const PgQuery__SelectStmt *s = l->select;
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return REASON_CONSTRUCT;
    enum reason r = expr_reason(l, s->limit_count);
    return r == REASON_NONE ? expr_reason(l, s->limit_offset) : r;
}

// The clauses that no lookup has.
static enum reason clauses_reason(const PgQuery__SelectStmt *s) {
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE || s->larg || s->rarg)
        return REASON_SET_OPERATION;
    if (s->with_clause)
        return REASON_CTE;
    if (s->n_values_lists)
        return REASON_CONSTRUCT;
    if (s->n_distinct_clause || s->n_group_clause || s->having_clause || s->n_window_clause ||
        s->group_distinct)
        return REASON_GROUPING;
    return from_reason(s);
}

static enum reason lookup_reason(struct lookup *l) {
    enum reason r = clauses_reason(l->select);
    if (r != REASON_NONE)
        return r;
    l->table = l->select->from_clause[0]->range_var;
    r = targets_reason(l);
    if (r == REASON_NONE)
        r = expr_reason(l, l->select->where_clause);
    if (r == REASON_NONE)
        r = sort_reason(l);
    return r == REASON_NONE ? limit_reason(l) : r;
}

// ---- keys

// $n, or $n cast once to a type without modifiers; NULL for anything else.
static const PgQuery__ParamRef *key_param(const Node *n, const char **cast) {
    *cast = NULL;
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        const PgQuery__TypeName *t = n->type_cast->type_name;
        *cast = lookup_type(t);
        if (!*cast || t->n_typmods || t->n_array_bounds)
            return NULL;
        n = n->type_cast->arg;
    }
    return n && n->node_case == PG_QUERY__NODE__NODE_PARAM_REF ? n->param_ref : NULL;
}

static char *column_sql(struct builder *b, const PgQuery__ColumnRef *c) {
    struct buf sql = buf_make(1024);
    for (size_t i = 0; i < c->n_fields; i++) {
        if (i)
            buf_put_u8(&sql, '.');
        put_quoted(&sql, string_of(c->fields[i]), '"');
    }
    buf_put_u8(&sql, 0);
    b->no_memory |= sql.failed;
    char *text = sql.failed ? NULL : builder_text(b, (char *)sql.data);
    buf_free(&sql);
    return text;
}

static void add_key(struct builder *b, const Node *column, const Node *value, bool plain_right) {
    const char *cast;
    const PgQuery__ParamRef *param = key_param(value, &cast);
    if (!param || !column || column->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return;
    const PgQuery__ColumnRef *c = column->column_ref; // column_reason has let it pass
    const char *qualifier, *name = qualified_name(c->n_fields, c->fields, &qualifier);
    struct parsed_key *key = name && plain_name(name) ? builder_key(b) : NULL;
    if (!key)
        return;
    key->param = param->number;
    key->column = builder_text(b, name);
    key->column_sql = column_sql(b, c);
    key->cast = cast ? builder_text(b, cast) : NULL;
    key->plain_right = plain_right && !cast;
    key->uses = b->uses ? b->uses[param->number] : 0;
}

// IN ($1) and = ANY (ARRAY[$1::type]). Without the cast the server reads a parameter, or a quoted constant,
// in ARRAY as text, whatever it is compared with.
static void add_element_key(struct builder *b, const PgQuery__AExpr *e) {
    const Node *r = e->rexpr;
    if (r->node_case == PG_QUERY__NODE__NODE_LIST && r->list->n_items == 1)
        add_key(b, e->lexpr, r->list->items[0], false);
    else if (r->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && r->a_array_expr->n_elements == 1 &&
             r->a_array_expr->elements[0]->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        add_key(b, e->lexpr, r->a_array_expr->elements[0], false);
}

static void add_keys_of(struct builder *b, const PgQuery__AExpr *e) {
    if (strcmp(string_of(e->name[0]), "=") != 0 || !e->lexpr || !e->rexpr)
        return;
    if (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP) {
        if (e->lexpr->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
            add_key(b, e->lexpr, e->rexpr, true);
        else
            add_key(b, e->rexpr, e->lexpr, false);
    } else if (e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN ||
               e->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY) {
        add_element_key(b, e);
    }
}

// Down the ANDs at the top of WHERE.
static void add_keys(struct builder *b, const Node *n) {
    if (!n)
        return;
    if (n->node_case == PG_QUERY__NODE__NODE_A_EXPR)
        add_keys_of(b, n->a_expr);
    if (n->node_case != PG_QUERY__NODE__NODE_BOOL_EXPR ||
        n->bool_expr->boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
        return;
    for (size_t i = 0; i < n->bool_expr->n_args; i++)
        add_keys(b, n->bool_expr->args[i]);
}

// ---- kinds

static enum statement_kind transaction_kind(struct builder *b, const PgQuery__TransactionStmt *t) {
    switch (t->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        return add_modes(b, "", t->n_options, t->options) ? STATEMENT_BEGIN : STATEMENT_OTHER;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        return STATEMENT_COMMIT;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        return STATEMENT_ROLLBACK;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        return STATEMENT_SAVEPOINT;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        return STATEMENT_ROLLBACK_TO;
    default:
        return STATEMENT_OTHER;
    }
}

static enum statement_kind deallocate_kind(struct builder *b, const PgQuery__DeallocateStmt *d) {
    b->p.name = *d->name ? builder_text(b, d->name) : NULL;
    return STATEMENT_DEALLOCATE;
}

static void refuse(struct builder *b, enum reason why) {
    b->p.kind = STATEMENT_OTHER;
    b->p.reason = why;
}

static void judge_lookup(struct builder *b, const struct walk *w, const PgQuery__SelectStmt *s) {
    struct lookup l = {.b = b, .select = s};
    b->p.kind = STATEMENT_READ;
    b->p.reason = w->locking ? REASON_LOCKING : lookup_reason(&l);
    if (b->p.reason == REASON_NONE && b->p.setting_dependent)
        b->p.reason = REASON_CONSTRUCT;
    if (b->p.reason != REASON_NONE)
        return;
    if (!b->overflow && !b->no_memory)
        add_keys(b, s->where_clause);
    if (!b->p.n_keys)
        b->p.reason = REASON_NO_KEY;
    b->p.in_form = b->p.n_keys && !s->n_sort_clause && !s->limit_count && !s->limit_offset;
}

static void judge_set_config(struct builder *b, const PgQuery__SelectStmt *s) {
    refuse(b, REASON_FUNCTION);
    if (s)
        b->p.kind = set_config_kind(b, s);
}

// SELECT, INSERT, UPDATE, DELETE, MERGE, COPY: after the walk over all of it.
static void judge_data(struct builder *b, const struct walk *w, const Node *n) {
    const PgQuery__SelectStmt *s = n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? n->select_stmt : NULL;
    if (w->unknown)
        refuse(b, REASON_CONSTRUCT);
    else if (w->into)
        refuse(b, REASON_INTO);
    else if (w->set_config)
        judge_set_config(b, w->writes ? NULL : s);
    else if (w->writes)
        b->p.kind = STATEMENT_WRITE;
    else if (s)
        judge_lookup(b, w, s);
}

static void walk_data(struct builder *b, const Node *n) {
    struct walk w = {.b = b};
    walk_message(&w, &n->base);
    if (w.n_ctes == sizeof w.ctes / sizeof *w.ctes)
        w.unknown = true; // some names of WITH clauses may be missing
    for (size_t i = 0; i < w.n_ctes; i++)
        builder_cte(b, w.ctes[i]);
    judge_data(b, &w, n);
}

static void judge(struct builder *b, const Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
    case PG_QUERY__NODE__NODE_COPY_STMT:
        walk_data(b, n);
        break;
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        b->p.kind = transaction_kind(b, n->transaction_stmt);
        break;
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        b->p.kind = set_kind(b, n->variable_set_stmt);
        break;
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        if (n->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL)
            b->p.kind = STATEMENT_DISCARD_ALL;
        break;
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
        b->p.kind = deallocate_kind(b, n->deallocate_stmt);
        break;
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
        b->p.kind = STATEMENT_HARMLESS;
        break;
    case PG_QUERY__NODE__NODE_LOAD_STMT:
        b->p.kind = STATEMENT_LOAD;
        break;
    default:
        break; // STATEMENT_OTHER, as it was made
    }
}

// SELECT pg_advisory_unlock_all()
static bool is_unlock_all(const Node *n) {
    const PgQuery__SelectStmt *s = n->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? n->select_stmt : NULL;
    if (!s || !only_targets(s) || s->n_target_list != 1)
        return false;
    const Node *t = s->target_list[0]->res_target ? s->target_list[0]->res_target->val : NULL;
    const PgQuery__FuncCall *f = t && t->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? t->func_call : NULL;
    if (!f || !f->n_funcname || f->n_args || f->agg_filter || f->over)
        return false;
    const char *schema, *name = qualified_name(f->n_funcname, f->funcname, &schema);
    return name && strcmp(name, "pg_advisory_unlock_all") == 0 &&
           (!schema || !*schema || strcmp(schema, "pg_catalog") == 0);
}

static bool is_reset_all(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT &&
           n->variable_set_stmt->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL;
}

// Several statements are understood only where a pool clears a connection with them: asyncpg sends "SELECT
// pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;" each time a connection is given back.
static enum statement_kind clearing_kind(const PgQuery__ParseResult *tree) {
    enum statement_kind kind = STATEMENT_HARMLESS;
    for (size_t i = 0; i < tree->n_stmts; i++) {
        const Node *n = tree->stmts[i]->stmt;
        if (!n)
            return STATEMENT_OTHER;
        if (is_reset_all(n))
            kind = STATEMENT_RESET_ALL;
        else if (n->node_case != PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT &&
                 n->node_case != PG_QUERY__NODE__NODE_UNLISTEN_STMT && !is_unlock_all(n))
            return STATEMENT_OTHER;
    }
    return kind;
}

static void judge_tree(struct builder *b, const PgQuery__ParseResult *tree) {
    if (tree->n_stmts == 0) {
        b->p.kind = STATEMENT_HARMLESS;
    } else if (tree->n_stmts > 1) {
        b->p.kind = clearing_kind(tree);
        if (b->p.kind == STATEMENT_OTHER)
            refuse(b, REASON_MULTI_STATEMENT);
    } else if (tree->stmts[0]->stmt) {
        judge(b, tree->stmts[0]->stmt);
    }
    if (b->p.kind != STATEMENT_SET && b->p.kind != STATEMENT_SET_LOCAL && b->p.kind != STATEMENT_BEGIN)
        b->p.n_settings = 0; // what was read before the statement proved to be another
}

static void parse_into(struct builder *b, const char *text) {
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(text);
    if (r.error) {
        refuse(b, REASON_UNPARSABLE);
    } else {
        PgQuery__ParseResult *tree =
            pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
        if (tree)
            judge_tree(b, tree);
        else
            refuse(b, REASON_MEMORY);
        pg_query__parse_result__free_unpacked(tree, NULL);
    }
    pg_query_free_protobuf_parse_result(r);
}

// ---- entry

struct parsed *parse_statement(const char *text, size_t max_len, int max_depth) {
    struct builder *b = builder_create();
    if (!b)
        return parsed_no_memory();
    size_t len = strnlen(text, max_len + (max_len < SIZE_MAX));
    if (len > max_len) {
        refuse(b, REASON_TEXT_TOO_LONG);
        return builder_finish(b);
    }
    struct depth d = depth_scan(text, len, max_depth);
    b->p.setting_dependent = d.setting_dependent;
    b->p.select_at = d.select_at;
    if (d.too_deep)
        refuse(b, REASON_TEXT_TOO_LONG);
    else if (d.error)
        refuse(b, REASON_UNPARSABLE);
    else
        parse_into(b, text);
    if (b->p.kind != STATEMENT_READ)
        b->p.select_at = 0;
    return builder_finish(b);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool text_is_moving_time(const char *text, size_t len) {
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday", NULL};
    for (size_t at = 0; at < len;) {
        size_t end = at;
        while (end < len && is_letter(text[end]))
            end++;
        for (const char *const *w = words; *w; w++)
            if (end - at == strlen(*w) && strncasecmp(text + at, *w, end - at) == 0)
                return true;
        at = end > at ? end : at + 1;
    }
    return false;
}
