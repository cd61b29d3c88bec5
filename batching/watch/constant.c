// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/constant.h"

#include <string.h>

bool constant_word(struct lexer *lx, const char *word) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    if (t.type == TOKEN_IDENT && t.len == strlen(word) && strncasecmp(lx->text + t.at, word, t.len) == 0)
        return true;
    lx->at = at;
    return false;
}

bool constant_take(struct lexer *lx, enum token_type type) {
    size_t at = lx->at;
    if (lexer_next(lx).type == type)
        return true;
    lx->at = at;
    return false;
}

bool constant_identifier(struct lexer *lx, struct slice *name) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    const uint8_t *text = (const uint8_t *)lx->text + t.at;
    if (t.type == TOKEN_IDENT) {
        *name = (struct slice){text, t.len};
        return true;
    }
    if (t.type == TOKEN_QUOTED && text[0] == '"' && !memchr(text + 1, '"', t.len - 2)) {
        *name = (struct slice){text + 1, t.len - 2};
        return true;
    }
    lx->at = at;
    return false;
}

// ---- strings

// What a backslash and this letter stand for in E'…'; 0: it is not known here.
static uint8_t escaped(uint8_t c) {
    static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    const char *at = c ? strchr(letters, c) : NULL;
    if (at)
        return (uint8_t)bytes[at - letters];
    return c == '\\' || c == '\'' || c == '"' ? c : 0;
}

// Each quote is written twice. Returns false at a quote that ends the string: it goes on in the next line.
static bool undouble(struct slice s, bool escapes, uint8_t *plain, struct slice *value) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '\'' && (++i >= s.len || s.data[i] != '\''))
            return false;
        if (escapes && c == '\\' && (++i >= s.len || !(c = escaped(s.data[i]))))
            return false;
        plain[n++] = c;
    }
    *value = (struct slice){plain, n};
    return true;
}

// Between its dollar signs stands the same tag at both ends.
static bool undollar(struct slice s, struct slice *value) {
    const uint8_t *end = memchr(s.data + 1, '$', s.len - 1);
    size_t tag = end ? (size_t)(end - s.data) + 1 : 0;
    if (!tag || s.len < 2 * tag)
        return false;
    *value = (struct slice){s.data + tag, s.len - 2 * tag};
    return true;
}

static bool read_string(struct slice s, uint8_t *plain, struct slice *value) {
    bool escapes = s.data[0] == 'e' || s.data[0] == 'E';
    if (s.data[0] == '$')
        return undollar(s, value);
    if (escapes || s.data[0] == 'n' || s.data[0] == 'N')
        s = (struct slice){s.data + 1, s.len - 1};
    if (s.len < 2 || s.data[0] != '\'')
        return false;
    return undouble((struct slice){s.data + 1, s.len - 2}, escapes, plain, value);
}

bool constant_string(struct lexer *lx, uint8_t *plain, struct slice *value) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    struct slice s = {(const uint8_t *)lx->text + t.at, t.len};
    if ((t.type == TOKEN_STRING || t.type == TOKEN_STRING_OTHER) && t.len && read_string(s, plain, value))
        return true;
    lx->at = at;
    return false;
}

// ---- numbers and parameters

bool constant_number(struct lexer *lx, struct slice *value) {
    size_t at = lx->at;
    struct token t = lexer_next(lx), sign = t;
    bool minus = t.type == TOKEN_OPERATOR && t.len == 1 && lx->text[t.at] == '-';
    if (minus)
        t = lexer_next(lx);
    if ((t.type == TOKEN_INTEGER || t.type == TOKEN_NUMBER) && (!minus || t.at == sign.at + 1)) {
        *value = (struct slice){(const uint8_t *)lx->text + sign.at, t.at + t.len - sign.at};
        return true;
    }
    lx->at = at;
    return false;
}

bool constant_param(struct lexer *lx, unsigned *number) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    unsigned n = 0;
    for (size_t i = 1; t.type == TOKEN_PARAM && t.len < 6 && i < t.len; i++)
        n = n * 10 + (unsigned)(lx->text[t.at + i] - '0');
    *number = n;
    if (!n)
        lx->at = at;
    return n > 0;
}

bool constant_cast(struct lexer *lx) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    struct slice name;
    if (t.type != TOKEN_OPERATOR || t.len != 2 || memcmp(lx->text + t.at, "::", 2) != 0) {
        lx->at = at;
        return true;
    }
    do
        if (!constant_identifier(lx, &name))
            return false;
    while (constant_take(lx, TOKEN_DOT));
    return true;
}
