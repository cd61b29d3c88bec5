// SPDX-License-Identifier: PostgreSQL
//
// The first words.
#include "batching/statement/unread.h"

#include "batching/statement/shape.h"

static bool begins_with(struct slice text, const char *const *words) {
    struct token t = lexer_first_word((const char *)text.data, text.len);
    for (; *words; words++)
        if (token_is((const char *)text.data, t, *words))
            return true;
    return false;
}

enum unread unread_of(struct slice text) {
    static const char *const writes[] = {"insert", "update", "delete", "merge", NULL}, *const reads[] = {
                                                                                           "select", "with",
                                                                                           "values", "table",
                                                                                           NULL};
    if (begins_with(text, writes))
        return UNREAD_WRITE;
    if (begins_with(text, reads))
        return UNREAD_QUERY;
    return shape_text_changes_definitions(text) ? UNREAD_DEFINITIONS : UNREAD_ANY;
}

bool unread_may_be_asked_again(enum unread u, enum reason why) {
    return u == UNREAD_QUERY && why != REASON_TEXT_TOO_LONG;
}

bool unread_is_why(enum reason why) {
    return why == REASON_NOT_PARSED || why == REASON_TEXT_TOO_LONG || why == REASON_TOO_MANY_SHAPES ||
           why == REASON_MEMORY;
}
