// SPDX-License-Identifier: PostgreSQL
//
// DECLARE, FETCH, MOVE and CLOSE: a table of texts and what is read of them, and of those that only look
// alike.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/statement/cursor.h"
#include "tests/unit/bytes.h"

static const struct {
    const char *text;
    enum cursor_verb verb;
    const char *name, *select;
    bool hold;
} statements[] = {
    {"DECLARE c CURSOR FOR SELECT 1", CURSOR_DECLARE, "c", " SELECT 1", false},
    {"declare /* x */ \"A \"\"b\" no scroll cursor without hold for\nselect 1;", CURSOR_DECLARE, "A \"b",
     "\nselect 1;", false},
    {"DECLARE C BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR TABLE t", CURSOR_DECLARE, "c", " TABLE t",
     true},
    {"DECLARE c ASENSITIVE CURSOR FOR(SELECT 1)", CURSOR_DECLARE, "c", "(SELECT 1)", false},
    {"DECLARE c CURSOR", CURSOR_NONE, "", NULL, false},
    {"DECLARE c CURSOR WITH FOR SELECT 1", CURSOR_NONE, "", NULL, false},
    {"DECLARE c FOR SELECT 1", CURSOR_NONE, "", NULL, false},
    {"DECLARE c CURSOR IS SELECT 1", CURSOR_NONE, "", NULL, false},
    {"DECLARE U&\"\\0063\" CURSOR FOR SELECT 1", CURSOR_NONE, "", NULL, false},
    {"DECLARE \"\" CURSOR FOR SELECT 1", CURSOR_NONE, "", NULL, false},
    {"DECLARE \xc3\xa4 CURSOR FOR SELECT 1", CURSOR_NONE, "", NULL, false},
    {"FETCH c", CURSOR_FETCH, "c", NULL, false},
    {"FETCH FORWARD 2000 FROM \"my cursor\";", CURSOR_FETCH, "my cursor", NULL, false},
    {"fetch backward all in c ; -- x", CURSOR_FETCH, "c", NULL, false},
    {"FETCH ABSOLUTE -5 FROM c", CURSOR_FETCH, "c", NULL, false},
    {"MOVE +3 c", CURSOR_FETCH, "c", NULL, false},
    {"FETCH next", CURSOR_FETCH, "next", NULL, false},
    {"FETCH", CURSOR_NONE, "", NULL, false},
    {"FETCH 5", CURSOR_NONE, "", NULL, false},
    {"FETCH f(1) FROM c", CURSOR_NONE, "", NULL, false},
    {"FETCH a b c d e f g h i j k", CURSOR_NONE, "", NULL, false},
    {"FETCH c; DELETE FROM t", CURSOR_NONE, "", NULL, false},
    {"FETCH 'c", CURSOR_NONE, "", NULL, false},
    {"CLOSE c", CURSOR_CLOSE, "c", NULL, false},
    {"CLOSE ALL", CURSOR_CLOSE, "", NULL, false},
    {"CLOSE \"all\"", CURSOR_CLOSE, "all", NULL, false},
    {"CLOSE \xc3\xa4", CURSOR_CLOSE, "", NULL, false},
    {"CLOSE ALL; RESET ALL", CURSOR_NONE, "", NULL, false},
    {"CLOSE a b", CURSOR_NONE, "", NULL, false},
    {"SELECT 1", CURSOR_NONE, "", NULL, false},
    {"", CURSOR_NONE, "", NULL, false},
};

Test(cursor, statements) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        const char *text = statements[i].text, *select = statements[i].select ? statements[i].select : "";
        char *copy = (char *)exact_copy(text, strlen(text));
        struct cursor_statement c;
        cursor_read(copy, strlen(text), &c);
        cr_expect_eq(c.verb, statements[i].verb, "%s: %d", text, c.verb);
        cr_expect_str_eq(c.name, statements[i].name, "%s: %s", text, c.name);
        cr_expect(slice_is(c.select, select, strlen(select)), "%s", text);
        cr_expect_eq(c.hold, statements[i].hold, "%s", text);
        free(copy);
    }
}

// The server takes 63 bytes of a name; of a longer one it is not said which it is.
Test(cursor, long_names) {
    char text[200];
    struct cursor_statement c;
    for (int n = 60; n < 70; n++) {
        int len = snprintf(text, sizeof text, "FETCH 5 FROM %0*d", n, 0);
        memset(text + 13, 'x', (size_t)n);
        cursor_read(text, (size_t)len, &c);
        cr_expect_eq(c.verb, n > 63 ? CURSOR_NONE : CURSOR_FETCH, "%d", n);
        memcpy(text, "CLOSE        ", 13);
        cursor_read(text, (size_t)len, &c);
        cr_expect_eq(c.verb, CURSOR_CLOSE);
        cr_expect_eq(strlen(c.name), n > 63 ? 0 : (size_t)n, "%d", n);
    }
}
