// SPDX-License-Identifier: PostgreSQL
//
// A pass over the lexer's tokens.
#include "batching/statement/redact.h"

#include "batching/statement/lexer.h"

static bool is_value(enum token_type t) {
    return t == TOKEN_STRING || t == TOKEN_STRING_OTHER || t == TOKEN_INTEGER || t == TOKEN_NUMBER;
}

void redact_text(const char *text, size_t len, size_t most, struct buf *out) {
    struct lexer lx = {.text = text, .len = len};
    size_t start = out->len, behind = 0;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END; t = lexer_next(&lx)) {
        size_t room = most - (out->len - start), n = is_value(t.type) ? 1 : t.len;
        if (t.type == TOKEN_ERROR || n + 4 > room) { // a blank and the dots
            buf_put_text(out, "…");
            return;
        }
        if (t.at > behind && out->len > start)
            buf_put_u8(out, ' ');
        buf_put(out, is_value(t.type) ? "?" : text + t.at, n);
        behind = t.at + t.len;
    }
}
