// SPDX-License-Identifier: PostgreSQL
//
// Each price is what one more token of its kind costs in texts made of it: in libpg_query, in unpacking its
// tree and in the walk over that. Names make the largest nodes. Few texts cost more
// than 1.5 times the estimate. Texts with many keywords cost half of it.
#include "batching/statement/cost.h"

#include "batching/statement/lexer.h"

// Short keywords that long texts are full of.
static bool is_short_keyword(const char *text, struct token t) {
    static const char *const words[] = {"or", "as", "on", "in", "is", "and", "not"};
    for (size_t i = t.len == 3 ? 5 : 0; i < (t.len == 3 ? 7 : 5); i++)
        if (token_is(text, t, words[i]))
            return true;
    return false;
}

static uint32_t price_of(const char *text, struct token t, enum token_type before) {
    switch (t.type) {
    case TOKEN_IDENT:
        if ((t.len == 2 || t.len == 3) && is_short_keyword(text, t))
            return 500;
        return before == TOKEN_DOT ? 1000 : 3000;
    case TOKEN_QUOTED:
        return before == TOKEN_DOT ? 1000 : 3000;
    case TOKEN_OPERATOR:
        return 2500;
    case TOKEN_STRING:
    case TOKEN_STRING_OTHER:
    case TOKEN_INTEGER:
    case TOKEN_NUMBER:
    case TOKEN_PARAM:
        return 2000;
    case TOKEN_OPEN:
        return 1000;
    default:
        return 100;
    }
}

uint32_t cost_of_parse(const char *text, size_t len) {
    struct lexer lx = {text, len, 0};
    enum token_type before = TOKEN_END;
    uint64_t cost = 8000 + len * COST_OF_SCAN;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        cost += price_of(text, t, before);
        before = t.type;
    }
    return cost < UINT32_MAX ? (uint32_t)cost : UINT32_MAX;
}
