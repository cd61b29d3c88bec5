// SPDX-License-Identifier: PostgreSQL
//
// A pass over the lexer's tokens.
#include "batching/statement/boundary.h"

#include "batching/statement/lexer.h"

struct word {
    const char *word;
    struct boundary is;
};

static const struct word words[] = {
    {"begin", {STATEMENT_BEGIN, "BEGIN", ""}},          {"start", {STATEMENT_BEGIN, "START TRANSACTION", ""}},
    {"commit", {STATEMENT_COMMIT, "COMMIT", ""}},       {"end", {STATEMENT_COMMIT, "COMMIT", ""}},
    {"rollback", {STATEMENT_ROLLBACK, "ROLLBACK", ""}}, {"abort", {STATEMENT_ROLLBACK, "ROLLBACK", ""}},
};

static bool find_word(const char *text, struct token t, struct boundary *out) {
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!token_is(text, t, words[i].word))
            continue;
        *out = words[i].is;
        return true;
    }
    return false;
}

// READ ONLY or READ WRITE, if BEGIN says so. `t`: the token at hand.
static bool read_access(struct lexer *lx, struct token *t, struct boundary *out) {
    if (out->kind != STATEMENT_BEGIN || !token_is(lx->text, *t, "read"))
        return true;
    *t = lexer_next(lx);
    bool only = token_is(lx->text, *t, "only");
    if (!only && !token_is(lx->text, *t, "write"))
        return false;
    out->access = only ? " READ ONLY" : " READ WRITE";
    *t = lexer_next(lx);
    return true;
}

bool boundary_read(struct slice text, struct boundary *out) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    struct token t = lexer_next(&lx);
    if (!find_word(lx.text, t, out))
        return false;
    bool starts = token_is(lx.text, t, "start");
    t = lexer_next(&lx);
    bool transaction = token_is(lx.text, t, "transaction");
    if (starts && !transaction)
        return false;
    if (transaction || token_is(lx.text, t, "work"))
        t = lexer_next(&lx);
    if (!read_access(&lx, &t, out))
        return false;
    while (t.type == TOKEN_SEMICOLON)
        t = lexer_next(&lx);
    return t.type == TOKEN_END && !lexer_says_skip(lx.text, lx.len);
}
