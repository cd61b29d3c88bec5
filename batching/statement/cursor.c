// SPDX-License-Identifier: PostgreSQL
//
// A pass over the lexer's tokens.
#include "batching/statement/cursor.h"

#include <string.h>

#include "batching/statement/lexer.h"

#define MAX_DIRECTION 8 // tokens between FETCH and the name

static bool is_word(const struct lexer *lx, struct token t, const char *word) {
    return token_is(lx->text, t, word);
}

static bool is_end(struct token t) {
    return t.type == TOKEN_END || t.type == TOKEN_SEMICOLON;
}

// Returns false when there is no name, or it is too long, has escapes, or is not ASCII.
static bool read_name(const struct lexer *lx, struct token t, char *name) {
    const char *p = lx->text + t.at;
    size_t n = 0;
    bool quoted = t.type == TOKEN_QUOTED && *p == '"';
    if (t.type != TOKEN_IDENT && !quoted)
        return false;
    for (size_t i = quoted; i < t.len - quoted; i++) {
        i += quoted && p[i] == '"';
        if (p[i] & 0x80 || !p[i] || n == CURSOR_MAX_NAME)
            return false;
        name[n++] = (char)(!quoted && p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
    }
    name[n] = 0;
    return n > 0;
}

static bool is_option(const struct lexer *lx, struct token t) {
    static const char *const words[] = {"binary", "insensitive", "asensitive", "no", "scroll"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(lx, t, words[i]))
            return true;
    return false;
}

static bool read_declare(struct lexer *lx, struct cursor_statement *out) {
    if (!read_name(lx, lexer_next(lx), out->name))
        return false;
    struct token t = lexer_next(lx);
    while (is_option(lx, t))
        t = lexer_next(lx);
    if (!is_word(lx, t, "cursor"))
        return false;
    t = lexer_next(lx);
    out->hold = is_word(lx, t, "with");
    if (out->hold || is_word(lx, t, "without")) {
        if (!is_word(lx, lexer_next(lx), "hold"))
            return false;
        t = lexer_next(lx);
    }
    out->select = (struct slice){(const uint8_t *)lx->text + lx->at, lx->len - lx->at};
    return is_word(lx, t, "for");
}

static bool is_direction(const struct lexer *lx, struct token t) {
    char sign = t.type == TOKEN_OPERATOR && t.len == 1 ? lx->text[t.at] : 0;
    return t.type == TOKEN_IDENT || t.type == TOKEN_INTEGER || sign == '-' || sign == '+';
}

// The name is the last token.
static bool read_fetch(struct lexer *lx, struct cursor_statement *out) {
    struct token t = lexer_next(lx), next;
    for (int i = 0; !is_end(next = lexer_next(lx)); i++, t = next)
        if (i == MAX_DIRECTION || !is_direction(lx, t))
            return false;
    return read_name(lx, t, out->name);
}

static bool read_close(struct lexer *lx, struct cursor_statement *out) {
    struct token t = lexer_next(lx);
    if (is_word(lx, t, "all") || !read_name(lx, t, out->name))
        out->name[0] = 0;
    return is_end(lexer_next(lx));
}

void cursor_read(const char *text, size_t len, struct cursor_statement *out) {
    struct lexer lx = {.text = text, .len = len};
    struct token t = lexer_next(&lx);
    bool ok = false;
    *out = (struct cursor_statement){0};
    if (is_word(&lx, t, "declare")) {
        out->verb = CURSOR_DECLARE;
        ok = read_declare(&lx, out);
    } else if (is_word(&lx, t, "fetch") || is_word(&lx, t, "move")) {
        out->verb = CURSOR_FETCH;
        ok = read_fetch(&lx, out);
    } else if (is_word(&lx, t, "close")) {
        out->verb = CURSOR_CLOSE;
        ok = read_close(&lx, out);
    }
    // Several statements in one text are left to the parser.
    while (ok && out->verb != CURSOR_DECLARE && (t = lexer_next(&lx)).type != TOKEN_END)
        ok = t.type == TOKEN_SEMICOLON;
    if (!ok)
        *out = (struct cursor_statement){0};
}

void cursor_executed(const char *text, size_t len, char name[CURSOR_MAX_NAME + 1]) {
    struct lexer lx = {.text = text, .len = len};
    if (!is_word(&lx, lexer_next(&lx), "execute") || !read_name(&lx, lexer_next(&lx), name))
        name[0] = 0;
}
