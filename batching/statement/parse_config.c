// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/parse_config.h"

#include <string.h>
#include <strings.h>

#include "batching/statement/parse.h"
#include "batching/statement/parse_walk.h"
#include "protocol/buf.h"

bool setting_is_other(const char *name) {
    static const char *const others[] = {"session_authorization",
                                         "transaction_isolation",
                                         "transaction_read_only",
                                         "transaction_deferrable",
                                         "seed",
                                         NULL};
    for (const char *const *s = others; *s; s++)
        if (strcasecmp(name, *s) == 0)
            return true;
    return false;
}

static bool is_set_config(const PgQuery__FuncCall *f) {
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    return name && strcmp(name, "set_config") == 0 && f->n_funcname <= 2 &&
           (!schema || strcmp(schema, "pg_catalog") == 0) && f->n_args == 3 && !f->n_agg_order &&
           !f->agg_filter && !f->over && !f->agg_within_group && !f->agg_star && !f->agg_distinct &&
           !f->func_variadic;
}

// ---- arguments

static const char *const texts[] = {"text", "varchar", NULL}, *const truths[] = {"bool", NULL};

// A cast to one of these types, which leaves a value of them as it is.
static bool is_plain_cast(const PgQuery__TypeCast *c, const char *const *types) {
    const PgQuery__TypeName *t = c->type_name;
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : NULL;
    return name && !t->n_typmods && !t->n_array_bounds && !t->setof &&
           (!schema || strcmp(schema, "pg_catalog") == 0) && tree_name_in(name, types);
}

static bool read_constant(struct builder *b, const PgQuery__AConst *c, const char *const *types,
                          struct parsed_argument *a) {
    a->null = c->isnull;
    if (c->isnull)
        return true;
    if (c->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL && types == truths)
        a->text = c->boolval->boolval ? "t" : "f";
    else if (c->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        a->text = builder_text(b, c->sval->sval);
    return a->text;
}

// With an argument of another type the call may be one of a function of a user's, which has the same name.
static bool read_argument(struct builder *b, const Node *n, const char *const *types,
                          struct parsed_argument *a) {
    *a = (struct parsed_argument){.exact = true};
    if (n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        a->cast = is_plain_cast(n->type_cast, types);
        if (!a->cast)
            return false;
    }
    for (; n && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST; n = n->type_cast->arg)
        a->exact &= is_plain_cast(n->type_cast, types);
    if (n && n->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return read_constant(b, n->a_const, types, a);
    if (n && n->node_case == PG_QUERY__NODE__NODE_PARAM_REF)
        a->param = n->param_ref->number;
    return a->param;
}

static bool read_call(struct builder *b, const Node *target, struct parsed_config *c) {
    const Node *val = target->node_case == PG_QUERY__NODE__NODE_RES_TARGET ? target->res_target->val : NULL;
    if (!val || val->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || !is_set_config(val->func_call))
        return false;
    const PgQuery__FuncCall *f = val->func_call;
    return read_argument(b, f->args[0], texts, &c->name) && c->name.exact && !c->name.null &&
           read_argument(b, f->args[1], texts, &c->value) &&
           read_argument(b, f->args[2], truths, &c->local) && c->local.exact && !c->local.null &&
           (c->name.param || !setting_is_other(c->name.text));
}

// ---- the calls

static bool has_param(const struct parsed_config *c) {
    return c->name.param || c->value.param || c->local.param;
}

// set_config reads the value of a list in another way than SET does, hence the mark.
static void add_constants(struct builder *b, const struct parsed_config *c) {
    struct buf value = buf_make((size_t)1 << 20);
    buf_put_text(&value, "raw ");
    if (!c->value.null)
        tree_put_quoted(&value, c->value.text, '\'');
    buf_put_u8(&value, 0);
    b->no_memory |= value.failed;
    if (!value.failed)
        builder_setting(b, c->name.text, c->value.null ? NULL : (char *)value.data);
    buf_free(&value);
}

static bool is_true(const struct parsed_argument *a) {
    return a->text && strcmp(a->text, "t") == 0;
}

// Calls that all end with the transaction, or all stay, are one statement's settings.
static enum statement_kind constant_kind(struct builder *b, const struct parsed_config *calls, size_t n) {
    bool local = is_true(&calls[0].local);
    for (size_t i = 0; i < n; i++) {
        const struct parsed_config *c = &calls[i];
        bool truth = is_true(&c->local) || strcmp(c->local.text, "f") == 0;
        if (!truth || is_true(&c->local) != local || !c->value.exact)
            return STATEMENT_OTHER;
        add_constants(b, c);
    }
    return local ? STATEMENT_SET_LOCAL : STATEMENT_SET;
}

enum statement_kind parse_config(struct builder *b, const PgQuery__SelectStmt *s) {
    size_t n = s->n_target_list;
    bool params = false;
    if (!tree_only_targets(s) || !n || n > PARSED_MAX_CONFIGS)
        return STATEMENT_OTHER;
    struct parsed_config *calls = builder_alloc(b, n * sizeof *calls);
    if (!calls)
        return STATEMENT_OTHER;
    for (size_t i = 0; i < n; i++) {
        if (!read_call(b, s->target_list[i], &calls[i]))
            return STATEMENT_OTHER;
        params |= has_param(&calls[i]);
    }
    if (!params)
        return constant_kind(b, calls, n);
    b->p.configs = calls;
    b->p.n_configs = (int)n;
    return STATEMENT_OTHER;
}
