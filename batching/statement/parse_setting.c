// SPDX-License-Identifier: PostgreSQL
//
// The walk goes by protobuf's own descriptions of the messages, as that of parse_walk.c does, but into all of them.
#include "batching/statement/parse_setting.h"

#include <stdio.h>
#include <string.h>

#include "batching/statement/depth.h"
#include "batching/statement/parse_tree.h"
#include "batching/statement/parse_walk.h"

#define MAX_DEPTH 100 // brackets

struct search {
    const char *prefix;
    struct setting_use *found;
    bool done;
};

static void look_at(struct search *x, const char *name, bool reads) {
    if (!name || strncasecmp(name, x->prefix, strlen(x->prefix)) != 0)
        return;
    x->found->reads = reads;
    snprintf(x->found->name, sizeof x->found->name, "%s", name);
    x->done = true;
}

// The string that an argument is, perhaps named or cast. NULL: it is none.
static const char *argument(const Node *n) {
    while (n && (n->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR ||
                 n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST))
        n = n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST ? n->type_cast->arg : n->named_arg_expr->arg;
    if (!n || n->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        n->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return NULL;
    return n->a_const->sval->sval;
}

// Is it the argument that names the setting?
static bool is_name(const Node *n, size_t i) {
    if (n->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR)
        return strcmp(n->named_arg_expr->name, "setting_name") == 0;
    return i == 0;
}

static void look_at_call(struct search *x, const PgQuery__FuncCall *f) {
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    bool reads = name && strcmp(name, "current_setting") == 0;
    if (!reads && (!name || strcmp(name, "set_config") != 0))
        return;
    for (size_t i = 0; i < f->n_args && !x->done; i++)
        if (is_name(f->args[i], i))
            look_at(x, argument(f->args[i]), reads);
}

static void search_in(struct search *x, const ProtobufCMessage *m);

static void search_field(struct search *x, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f) {
    const char *at = (const char *)m + f->offset;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(const size_t *)((const char *)m + f->quantifier_offset);
        ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)at;
        for (size_t i = 0; i < n && !x->done; i++)
            search_in(x, items[i]);
        return;
    }
    bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    if (!one_of || *(const uint32_t *)((const char *)m + f->quantifier_offset) == f->id)
        search_in(x, *(const ProtobufCMessage *const *)at);
}

static void search_in(struct search *x, const ProtobufCMessage *m) {
    if (!m || x->done)
        return;
    if (m->descriptor == &pg_query__func_call__descriptor)
        look_at_call(x, (const PgQuery__FuncCall *)m);
    if (m->descriptor == &pg_query__variable_set_stmt__descriptor)
        look_at(x, ((const PgQuery__VariableSetStmt *)m)->name, false);
    if (m->descriptor == &pg_query__variable_show_stmt__descriptor)
        look_at(x, ((const PgQuery__VariableShowStmt *)m)->name, true);
    for (unsigned i = 0; i < m->descriptor->n_fields && !x->done; i++)
        search_field(x, m, &m->descriptor->fields[i]);
}

bool setting_find(const char *text, size_t len, const char *prefix, struct setting_use *found) {
    struct search x = {.prefix = prefix, .found = found};
    struct depth d = depth_scan(text, len, MAX_DEPTH);
    if (d.too_deep || d.error)
        return false;
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(text);
    PgQuery__ParseResult *tree =
        r.error ? NULL
                : pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
    if (tree)
        search_in(&x, &tree->base);
    pg_query__parse_result__free_unpacked(tree, NULL);
    pg_query_free_protobuf_parse_result(r);
    return x.done;
}
