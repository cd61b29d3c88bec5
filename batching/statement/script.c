// SPDX-License-Identifier: PostgreSQL
//
// A pass over the lexer's tokens.
#include "batching/statement/script.h"

#include "batching/statement/lexer.h"

struct slice script_next(struct slice text, size_t *at) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len, .at = *at};
    size_t first = 0, behind = 0;
    int depth = 0;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END; t = lexer_next(&lx)) {
        bool ends = t.type == TOKEN_SEMICOLON && depth <= 0;
        *at = t.at + t.len;
        if (ends && behind)
            break;
        if (ends)
            continue; // an empty statement
        if (!behind)
            first = t.at;
        behind = t.type == TOKEN_ERROR ? text.len : t.at + t.len;
        depth += (t.type == TOKEN_OPEN) - (t.type == TOKEN_CLOSE);
        if (t.type == TOKEN_ERROR)
            break;
    }
    if (behind > *at || !behind)
        *at = text.len;
    return (struct slice){text.data + first, behind ? behind - first : 0};
}
