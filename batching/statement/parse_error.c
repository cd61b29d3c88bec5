// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/parse_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/depth.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse_tree.h"

#define MOST_BRACKETS 100

// Bytes that begin a character of UTF-8.
static bool begins(uint8_t byte) {
    return (byte & 0xc0) != 0x80;
}

static void place(struct slice text, unsigned position, struct parse_error *out) {
    unsigned at = 0;
    out->position = position;
    out->line = out->column = 1;
    for (size_t i = 0; i < text.len && at + 1 < position; i++) {
        at += begins(text.data[i]);
        out->column += begins(text.data[i]);
        if (text.data[i] == '\n') {
            out->line++;
            out->column = 1;
        }
    }
}

// A string or comment without its end, say: the parser would be given what nests in any way.
static bool find_lexical(struct slice text, struct parse_error *out) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    struct token t = lexer_next(&lx);
    while (t.type != TOKEN_END && t.type != TOKEN_ERROR)
        t = lexer_next(&lx);
    if (t.type == TOKEN_END)
        return false;
    unsigned position = 1;
    for (size_t i = 0; i < t.at && i < text.len; i++)
        position += begins(text.data[i]);
    place(text, position, out);
    snprintf(out->text, sizeof out->text, "what begins here has no end, or is no token of SQL");
    return true;
}

static bool find_by_parser(struct slice text, struct parse_error *out) {
    char *copy = strndup((const char *)text.data, text.len);
    if (!copy)
        return false;
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(copy);
    bool found = r.error && r.error->cursorpos > 0;
    if (found) {
        place(text, (unsigned)r.error->cursorpos, out);
        snprintf(out->text, sizeof out->text, "%s", r.error->message);
    }
    pg_query_free_protobuf_parse_result(r);
    free(copy);
    return found;
}

bool parse_error_find(struct slice text, struct parse_error *out) {
    *out = (struct parse_error){0};
    if (memchr(text.data, 0, text.len))
        return false;
    struct depth d = depth_scan((const char *)text.data, text.len, MOST_BRACKETS);
    if (d.too_deep)
        return false;
    return d.error ? find_lexical(text, out) : find_by_parser(text, out);
}
