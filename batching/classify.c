// SPDX-License-Identifier: PostgreSQL
//
// What a Query message's text is, at the least cost that is safe: SELECTs by their shape, which is cached;
// statements that need no closer look by their first word; the others by their text as it stands, cached too.
#include "batching/client.h"

#include <string.h>

static bool has_inner_semicolon(struct slice text) {
    const uint8_t *p = memchr(text.data, ';', text.len);
    if (!p)
        return false;
    for (p++; p < text.data + text.len; p++)
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t' && *p != ';')
            return true;
    return false;
}

static bool word_in(struct slice text, struct token t, const char *const *words) {
    for (; *words; words++)
        if (token_is((const char *)text.data, t, *words))
            return true;
    return false;
}

static struct statement_class class_of_shape(struct statement_class c) {
    if (!c.shape)
        return c;
    c.kind = c.shape->parsed->kind;
    c.reason = c.shape->reason;
    c.changes = c.shape->changes;
    return c;
}

// A Query message's text. Statements that are no SELECT and need no closer look are told by their first word.
struct statement_class classify_query(struct session *s, struct slice text) {
    static const char *const reads[] = {"select", "with", "values", "table", NULL};
    static const char *const writes[] = {"insert", "update", "delete", "merge", "copy", NULL};
    static const char *const transactions[] = {"begin", "start", "savepoint", "release", NULL};
    struct statement_class c = {.kind = STATEMENT_OTHER, .reason = REASON_NOT_SELECT};
    if (s->no_scan) {
        c.reason = REASON_ENCODING;
        c.changes = true;
        return c;
    }
    struct token t = lexer_first_word((const char *)text.data, text.len);
    if (word_in(text, t, reads)) {
        c.shape = shape_simple(&s->engine->shapes, text, &c.values, &c.reason);
        c.changes = c.reason == REASON_MULTI_STATEMENT;
        return class_of_shape(c);
    }
    bool several = has_inner_semicolon(text);
    if (!several && word_in(text, t, writes))
        c.kind = STATEMENT_WRITE;
    else if (!several && word_in(text, t, transactions))
        c.kind = STATEMENT_BEGIN;
    else if (several || shape_text_changes_definitions(text)) {
        c.reason = several ? REASON_MULTI_STATEMENT : REASON_NOT_SELECT;
        c.changes = true;
    } else {
        c.shape = shape_verbatim(&s->engine->shapes, text, &c.reason);
        return class_of_shape(c);
    }
    return c;
}
