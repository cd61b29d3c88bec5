// SPDX-License-Identifier: PostgreSQL
//
// Literals, copies of exact size, and the types of messages.
#include "tests/unit/bytes.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "protocol/frame.h"

struct slice text_slice(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

uint8_t *exact_copy(const void *bytes, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

const char *types_of(const struct buf *b) {
    static char text[1000];
    struct frame f;
    size_t n = 0;
    for (size_t at = 0; at < b->len; at += f.size) {
        cr_assert_eq(frame_read(b->data + at, b->len - at, &f), FRAME_OK);
        cr_assert_lt(n, sizeof text - 1);
        text[n++] = (char)f.type;
    }
    text[n] = 0;
    return text;
}

const char *take_types(struct buf *b) {
    const char *types = types_of(b);
    buf_reset(b);
    return types;
}

void expect_text_at(const char *actual, const char *expected, const char *file, int line) {
    cr_assert_str_eq(actual, expected, "%s:%d: \"%s\" instead of \"%s\"", file, line, actual, expected);
}
