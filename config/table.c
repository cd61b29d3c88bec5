// SPDX-License-Identifier: PostgreSQL
#include "config/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_plain(char c, bool first) {
    return (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

// What ends a name in a section's line or in an override's key.
static bool is_end(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '.' || c == ']';
}

static const char *read_quoted(const char *text, size_t len, char part[static TABLE_PART_SIZE], size_t *at) {
    size_t n = 0;

    for (size_t i = *at + 1; i < len; i++) {
        if (text[i] == '"' && (i + 1 == len || text[i + 1] != '"')) {
            *at = i + 1;
            part[n] = '\0';
            return n ? NULL : "has an empty name";
        }
        i += text[i] == '"';
        if (n == TABLE_PART_SIZE - 1)
            return "has a name of more than 63 bytes";
        part[n++] = text[i];
    }
    return "has a double quote without its other one";
}

static const char *read_plain(const char *text, size_t len, char part[static TABLE_PART_SIZE], size_t *at) {
    size_t n = 0;

    for (; *at < len && !is_end(text[*at]); ++*at) {
        if (!is_plain(text[*at], n == 0))
            return "has a name that needs double quotes";
        if (n == TABLE_PART_SIZE - 1)
            return "has a name of more than 63 bytes";
        part[n++] = text[*at];
    }
    part[n] = '\0';
    return n ? NULL : "lacks a name";
}

static const char *read_part(const char *text, size_t len, char part[static TABLE_PART_SIZE], size_t *at) {
    const char *wrong =
        *at < len && text[*at] == '"' ? read_quoted(text, len, part, at) : read_plain(text, len, part, at);
    // Something directly behind a closing quote.
    if (!wrong && *at < len && !is_end(text[*at]))
        return "has a name that needs double quotes";
    return wrong;
}

const char *table_read(const char *text, size_t len, struct table_parts *out, size_t *end) {
    *end = 0;
    const char *wrong = read_part(text, len, out->schema, end);

    if (wrong)
        return wrong;
    if (*end == len || text[*end] != '.')
        return "names no schema";
    ++*end;
    return read_part(text, len, out->name, end);
}

static char *write_part(const char *part, char *to) {
    bool plain = true;

    for (size_t i = 0; part[i]; i++)
        plain = plain && is_plain(part[i], i == 0);
    if (!plain)
        *to++ = '"';
    for (; *part; part++) {
        if (*part == '"')
            *to++ = '"';
        *to++ = *part;
    }
    if (!plain)
        *to++ = '"';
    return to;
}

const char *table_write(const char *schema, const char *name, char text[static TABLE_TEXT_SIZE]) {
    char *to = write_part(schema, text);

    *to++ = '.';
    *write_part(name, to) = '\0';
    return text;
}
