// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/classify.h"

#include "batching/session/changes.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/parse.h"
#include "batching/talk/client.h"

#include <string.h>

// Is there a semicolon with more than blanks behind it?
static bool has_inner_semicolon(struct slice text) {
    const uint8_t *p = memchr(text.data, ';', text.len);
    if (!p)
        return false;
    for (p++; p < text.data + text.len; p++)
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t' && *p != ';')
            return true;
    return false;
}

// May the text hold several statements? Semicolons in strings and comments end none, nor do those with nothing
// but comments behind them.
static bool may_be_several(struct session *s, struct slice text) {
    if (!has_inner_semicolon(text))
        return false;
    struct lexer lx = {(const char *)text.data, text.len, 0};
    bool ended = false, dear = !shape_may_scan(&s->engine->shapes, text.len);
    for (struct token t = {0}; !dear; ended |= t.type == TOKEN_SEMICOLON) {
        t = lexer_next(&lx);
        if (t.type == TOKEN_END)
            return false;
        if (t.type == TOKEN_ERROR || (ended && t.type != TOKEN_SEMICOLON))
            break;
    }
    return true;
}

static bool word_in(struct slice text, struct token t, const char *const *words) {
    for (; *words; words++)
        if (token_is((const char *)text.data, t, *words))
            return true;
    return false;
}

// BEGIN or START TRANSACTION without options: it says nothing about the transaction's properties. *end: what
// comes behind it.
static bool is_plain_begin(struct slice text, struct token first, struct token *end) {
    static const char *const begins[] = {"begin", "start", NULL}, *const nouns[] = {"transaction", "work",
                                                                                    NULL};
    if (!word_in(text, first, begins))
        return false;
    struct lexer lx = {(const char *)text.data, text.len, first.at + first.len};
    struct token t = lexer_next(&lx);
    if (word_in(text, t, nouns))
        t = lexer_next(&lx);
    *end = t;
    return t.type == TOKEN_END || t.type == TOKEN_SEMICOLON;
}

// The one INSERT, UPDATE, DELETE or MERGE that stands behind a plain BEGIN. Data NULL: there is none.
static struct slice write_behind_begin(struct session *s, struct slice text, struct token first) {
    static const char *const writes[] = {"insert", "update", "delete", "merge", NULL};
    struct token end;
    if (!is_plain_begin(text, first, &end) || end.type != TOKEN_SEMICOLON)
        return (struct slice){0};
    size_t at = end.at + end.len;
    struct slice rest = {text.data + at, text.len - at};
    struct token word = lexer_first_word((const char *)rest.data, rest.len);
    return word_in(rest, word, writes) && !may_be_several(s, rest) ? rest : (struct slice){0};
}

static struct statement_class class_of_shape(struct statement_class c, struct slice text) {
    if (!c.shape && unread_is_why(c.reason))
        c.unread = unread_of(text);
    if (!c.shape)
        return c;
    c.kind = c.shape->parsed->kind;
    c.reason = c.shape->reason;
    c.changes = c.shape->changes || (c.changes && c.kind == STATEMENT_OTHER);
    return c;
}

// Reads DEALLOCATE of a plain name. Some drivers use a new name each time, so these texts must not be parsed
// and cached. Names that may be keywords (letters only), quoted names and everything else are left to the
// parser.
static bool read_deallocate(struct slice text, struct token word, struct slice *name) {
    const char *p = (const char *)text.data + word.at + word.len, *end = (const char *)text.data + text.len;
    while (p < end && (*p == ' ' || *p == '\n'))
        p++;
    const char *from = p;
    bool keyword = true; // letters only: it may be a keyword
    for (; p < end && ((*p >= 'a' && *p <= 'z') || *p == '_' || (p > from && *p >= '0' && *p <= '9')); p++)
        keyword = keyword && *p >= 'a';
    *name = (struct slice){(const uint8_t *)from, (size_t)(p - from)};
    while (p < end && (*p == ' ' || *p == ';' || *p == '\n'))
        p++;
    return p == end && name->len && !keyword;
}

struct slice class_name(const struct statement_class *c) {
    const char *name = c->shape ? c->shape->parsed->name : NULL;
    return name ? (struct slice){(const uint8_t *)name, strlen(name)} : c->name;
}

void classify_verbatim(struct session *s, struct slice text, struct statement_class *c) {
    c->shape = shape_verbatim(&s->engine->shapes, text, &c->reason);
    *c = class_of_shape(*c, text);
}

struct statement_class classify_query(struct session *s, struct slice text) {
    static const char *const reads[] = {"select", "with", "values", "table", NULL};
    static const char *const writes[] = {"insert", "update", "delete", "merge", "copy", NULL};
    static const char *const clearing[] = {"close", "unlisten", "reset",
                                           NULL}; // a pool's clearing string may begin so
    static const char *const cursors[] = {"declare", "fetch", "move", "close", NULL};
    static const char *const savepoints[] = {"savepoint", "release", NULL};
    struct statement_class c = {.kind = STATEMENT_OTHER, .reason = REASON_NOT_SELECT};
    if (s->no_scan || session_text_is_pending(s)) {
        c.reason = REASON_ENCODING;
        c.changes = true;
        return c;
    }
    struct token t = lexer_first_word((const char *)text.data, text.len);
    struct token end;
    bool several = may_be_several(s, text);
    if (word_in(text, t, reads) && !several) {
        c.shape = shape_simple(&s->engine->shapes, text, &c.values, &c.reason);
        return class_of_shape(c, text);
    }
    if (several)
        c.behind_begin = write_behind_begin(s, text, t);
    if (c.behind_begin.data) {
        c.kind = STATEMENT_WRITE;
    } else if (several && !word_in(text, t, clearing) && !token_is((const char *)text.data, t, "select")) {
        c.reason = REASON_MULTI_STATEMENT;
        c.changes = true;
    } else if (word_in(text, t, writes)) {
        c.kind = STATEMENT_WRITE;
    } else if (token_is((const char *)text.data, t, "deallocate") && read_deallocate(text, t, &c.name)) {
        c.kind = STATEMENT_DEALLOCATE;
    } else if (word_in(text, t, cursors) && !several) {
        cursor_read((const char *)text.data, text.len, &c.cursor);
        if (c.cursor.verb == CURSOR_NONE)
            classify_verbatim(s, text, &c);
    } else if (word_in(text, t, savepoints)) {
        c.kind = STATEMENT_SAVEPOINT;
    } else if (is_plain_begin(text, t, &end)) {
        c.kind = STATEMENT_BEGIN;
    } else if (shape_text_changes_definitions(text)) {
        c.changes = true;
    } else {
        c.changes = several; // unless the whole text proves to be harmless
        classify_verbatim(s, text, &c);
    }
    return c;
}
