// SPDX-License-Identifier: PostgreSQL
//
// From text to struct parsed, in three steps. The parser makes a tree. One walk over the whole tree, whatever
// the statement, lists what it names (parse_walk.c). Then the statement's kind is decided here, and for a
// plain SELECT parse_lookup.c decides whether it may be a lookup.
#include "batching/statement/parse.h"

#include <stdio.h>
#include <string.h>

#include "batching/base/reason.h"
#include "batching/statement/depth.h"
#include "batching/statement/parse_config.h"
#include "batching/statement/parse_tree.h"
#include "batching/statement/parsed.h"
#include "protocol/buf.h"
#include "batching/statement/parse_lookup.h"
#include "batching/statement/parse_walk.h"

// ---- settings

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
        tree_put_quoted(out, n->a_const->sval->sval, '\'');
        return true;
    default:
        return false;
    }
}

// Adds name = constants. Returns false when one of them is no constant.
static bool add_setting(struct builder *b, const char *prefix, const char *name, size_t n,
                        Node *const *args) {
    struct buf value = buf_make((size_t)1 << 20), full = buf_make(1024);
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
        if (!add_setting(b, prefix, d->defname, 1, &d->arg))
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
        return add_setting(b, "", "transaction_snapshot", s->n_args, s->args) ? STATEMENT_SET_LOCAL
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
        if (setting_is_other(s->name) || !add_setting(b, "", s->name, s->n_args, s->args))
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
    b->p.kind = STATEMENT_READ;
    b->p.reason = w->locking ? REASON_LOCKING : lookup_judge(b, s);
    if (b->p.reason == REASON_NONE && b->p.setting_dependent)
        b->p.reason = REASON_CONSTRUCT;
    if (b->p.reason != REASON_NONE)
        b->p.n_keys = 0;
}

static void judge_set_config(struct builder *b, const PgQuery__SelectStmt *s) {
    refuse(b, REASON_FUNCTION);
    if (s)
        b->p.kind = parse_config(b, s);
}

static void judge_write(struct builder *b, const struct walk *w) {
    b->p.kind = STATEMENT_WRITE;
    if (w->locking)
        b->p.reason = REASON_LOCKING;
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
        judge_write(b, w);
    else if (s)
        judge_lookup(b, w, s);
}

static void walk_data(struct builder *b, const Node *n) {
    struct walk w = {.b = b};
    tree_walk(&w, n);
    judge_data(b, &w, n);
}

static void judge_statement(struct builder *b, const Node *n) {
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
        b->p.kind = STATEMENT_HARMLESS;
        b->p.nothing = true;
        break;
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
    if (!s || !tree_only_targets(s) || s->n_target_list != 1)
        return false;
    const Node *t = s->target_list[0]->res_target ? s->target_list[0]->res_target->val : NULL;
    const PgQuery__FuncCall *f = t && t->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? t->func_call : NULL;
    if (!f || !f->n_funcname || f->n_args || f->agg_filter || f->over)
        return false;
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    return name && strcmp(name, "pg_advisory_unlock_all") == 0 &&
           (!schema || !*schema || strcmp(schema, "pg_catalog") == 0);
}

static bool is_reset_all(const Node *n) {
    return n->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT &&
           n->variable_set_stmt->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL;
}

// Several statements in one text are understood in one case: when a pool clears a connection with them.
// asyncpg sends "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;" each time a connection
// is given back.
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
        b->p.nothing = true;
    } else if (tree->n_stmts > 1) {
        b->p.kind = clearing_kind(tree);
        if (b->p.kind == STATEMENT_OTHER)
            refuse(b, REASON_MULTI_STATEMENT);
    } else if (tree->stmts[0]->stmt) {
        judge_statement(b, tree->stmts[0]->stmt);
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
