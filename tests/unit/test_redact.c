// SPDX-License-Identifier: PostgreSQL
//
// Statements without their values, for the log: a table, and every length that they may be cut to.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/redact.h"

static const struct {
    const char *text, *wanted;
} cases[] = {
    {"SELECT a FROM t WHERE id = 17", "SELECT a FROM t WHERE id = ?"},
    {"SELECT a FROM t WHERE id = $1", "SELECT a FROM t WHERE id = $1"},
    {"  SELECT 'it''s', E'\\'x', $$y$$, 1.5e3\n\tFROM t -- secret 1\n", "SELECT ?, ?, ?, ? FROM t"},
    {"select/* secret */\"a b\".x from \"a b\"", "select \"a b\".x from \"a b\""},
    {"SELECT a FROM t WHERE b = 'unterminated", "SELECT a FROM t WHERE b =…"},
    {"", ""},
};

Test(redact, texts) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = buf_make(1000);
        redact_text(cases[i].text, strlen(cases[i].text), 500, &b);
        cr_assert(b.len == strlen(cases[i].wanted) && (!b.len || memcmp(b.data, cases[i].wanted, b.len) == 0),
                  "%zu: got %.*s", i, (int)b.len, (char *)b.data);
        buf_free(&b);
    }
}

Test(redact, is_never_longer_than_asked_for) {
    static const char text[] = "SELECT a, b, 'secret' FROM some_table WHERE id = 1 AND other = 'secret'";
    for (size_t most = 4; most < 100; most++) {
        struct buf b = buf_make(1000);
        buf_put_text(&b, "before");
        redact_text(text, sizeof text - 1, most, &b);
        cr_assert_leq(b.len, most + 6);
        cr_assert_null(memmem(b.data, b.len, "secret", 6));
        buf_free(&b);
    }
}
