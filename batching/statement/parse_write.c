// SPDX-License-Identifier: PostgreSQL
//
// What a write says in its tokens: "INSERT INTO name", "UPDATE name", "DELETE FROM name", "MERGE INTO name";
// the words in front of a bracket, as functions; and all words, keywords too, as columns, since each may be
// the name of a table, a type or a user's function. It is a positive list: where a word could begin another
// statement inside this one, or anything is unexpected, nothing is said.
#include "batching/statement/parse_write.h"

#include <string.h>

#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/parsed.h"

#define MAX_NAME 256 // bytes of an identifier with its quotes

struct reader {
    struct lexer lx;
    struct token before, at, next; // `at` is the one that is looked at
    struct builder *b;
};

static bool is_word(const struct reader *r, struct token t, const char *word) {
    return token_is(r->lx.text, t, word);
}

static bool is_one_of(const struct reader *r, struct token t, const char *const *words) {
    for (; *words; words++)
        if (is_word(r, t, *words))
            return true;
    return false;
}

static void step(struct reader *r) {
    r->before = r->at;
    r->at = r->next;
    r->next = lexer_next(&r->lx);
}

static bool skip_word(struct reader *r, const char *word) {
    bool is = is_word(r, r->at, word);
    if (is)
        step(r);
    return is;
}

// Reads an identifier as PostgreSQL knows it. Returns false when it is none, is too long, or holds escapes.
static bool read_any_name(const struct reader *r, struct token t, char *name) {
    const char *p = r->lx.text + t.at;
    size_t n = 0;
    bool quoted = t.type == TOKEN_QUOTED && *p == '"';
    if ((t.type != TOKEN_IDENT && !quoted) || t.len >= MAX_NAME)
        return false;
    for (size_t i = quoted; i < t.len - quoted; i++) {
        i += quoted && p[i] == '"';
        if (!p[i])
            return false;
        name[n++] = (char)(!quoted && p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
    }
    name[n] = 0;
    return n;
}

// The same for a name that must be known by its bytes: it must be ASCII.
static bool read_name(const struct reader *r, struct token t, char *name) {
    if (!read_any_name(r, t, name))
        return false;
    while (*name && !(*name & 0x80))
        name++;
    return !*name;
}

// Reads the name at hand, with or without a schema, and moves behind it.
static bool read_qualified(struct reader *r, char *schema, char *name) {
    *schema = 0;
    if (!read_name(r, r->at, name))
        return false;
    step(r);
    if (r->at.type != TOKEN_DOT)
        return true;
    step(r);
    memcpy(schema, name, MAX_NAME);
    if (!read_name(r, r->at, name))
        return false;
    step(r);
    return r->at.type != TOKEN_DOT;
}

static bool read_target(struct reader *r) {
    char schema[MAX_NAME], name[MAX_NAME];
    bool insert = is_word(r, r->at, "insert");
    bool into = insert || is_word(r, r->at, "merge"), from = is_word(r, r->at, "delete");
    if (!into && !from && !is_word(r, r->at, "update"))
        return false;
    step(r);
    if ((into && !skip_word(r, "into")) || (from && !skip_word(r, "from")))
        return false;
    bool only = !insert && skip_word(r, "only");
    if (only && r->at.type == TOKEN_OPEN) // ONLY (name)
        return false;
    if (!read_qualified(r, schema, name))
        return false;
    builder_relation(r->b, schema, name, NULL);
    if (insert && skip_word(r, "as")) // otherwise its bracket would look like a call
        step(r);
    return true;
}

// Tells whether it may begin a statement inside WITH.
static bool may_begin_another(const struct reader *r) {
    static const char *const statements[] = {"insert", "update", "delete", "merge", NULL};
    static const char *const clauses[] = {"do", "then", "for", "key", NULL};
    return is_one_of(r, r->at, statements) && !is_one_of(r, r->before, clauses);
}

// FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE.
static bool is_lock(const struct reader *r) {
    static const char *const locks[] = {"update", "no", "share", "key", NULL};
    return is_word(r, r->at, "for") && is_one_of(r, r->next, locks);
}

// A bracket behind one of these words is no call.
static bool is_keyword(const struct reader *r, struct token t) {
    static const char *const words[] = {
        "all",      "and",     "any",       "array",   "as",           "between",  "by",        "case",
        "cast",     "char",    "character", "check",   "coalesce",     "conflict", "cross",     "cube",
        "decimal",  "default", "distinct",  "else",    "except",       "exists",   "filter",    "from",
        "greatest", "group",   "having",    "ilike",   "in",           "insert",   "intersect", "is",
        "join",     "least",   "like",      "limit",   "materialized", "not",      "nullif",    "numeric",
        "offset",   "on",      "or",        "over",    "returning",    "rollup",   "row",       "select",
        "set",      "sets",    "similar",   "some",    "then",         "time",     "timestamp", "timestamptz",
        "union",    "using",   "values",    "varchar", "when",         "where",    "within",    NULL};
    return is_one_of(r, t, words);
}

static bool is_bracket(const struct reader *r, struct token t) {
    return t.type == TOKEN_OPEN && r->lx.text[t.at] == '(';
}

static bool note_call(struct reader *r, struct token schema) {
    char name[MAX_NAME], in[MAX_NAME] = "";
    bool qualified = r->before.type == TOKEN_DOT;
    if (!is_bracket(r, r->next) || (!qualified && is_keyword(r, r->at)) || is_word(r, r->before, "as"))
        return true;
    if (!read_name(r, r->at, name) || (qualified && !read_name(r, schema, in)))
        return false;
    builder_function(r->b, in, name);
    return true;
}

static bool note_word(struct reader *r) {
    char name[MAX_NAME];
    if (!read_any_name(r, r->at, name))
        return false;
    builder_column(r->b, NULL, name, false);
    return true;
}

static bool note_operator(struct reader *r) {
    char name[64];
    if (r->at.len >= sizeof name)
        return false;
    memcpy(name, r->lx.text + r->at.at, r->at.len);
    name[r->at.len] = 0;
    builder_operator(r->b, name);
    return true;
}

static bool read_rest(struct reader *r) {
    struct token schema = {0};
    for (; r->at.type != TOKEN_END && !r->b->overflow; step(r)) {
        bool name = r->at.type == TOKEN_IDENT || r->at.type == TOKEN_QUOTED;
        if (r->at.type == TOKEN_ERROR || (r->at.type == TOKEN_SEMICOLON && r->next.type != TOKEN_END))
            return false;
        if (r->at.type == TOKEN_OPERATOR && !note_operator(r))
            return false;
        if (name && (may_begin_another(r) || !note_call(r, schema) || !note_word(r)))
            return false;
        if (is_lock(r))
            r->b->p.reason = REASON_LOCKING;
        if (name)
            schema = r->at;
    }
    return true;
}

struct parsed *parse_write(const char *text, size_t len) {
    struct builder *b = builder_create();
    if (!b)
        return NULL;
    struct reader r = {.lx = {.text = text, .len = len}, .b = b};
    b->p.kind = STATEMENT_WRITE;
    b->p.reason = REASON_NOT_SELECT;
    if (len <= PARSE_MAX_WRITE) {
        step(&r);
        step(&r);
    }
    if (len > PARSE_MAX_WRITE || !read_target(&r) || !read_rest(&r) || b->overflow)
        b->p.n_relations = b->p.n_functions = 0;
    b->overflow = false;
    return builder_finish(b);
}
