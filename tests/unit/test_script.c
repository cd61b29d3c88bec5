// SPDX-License-Identifier: PostgreSQL
//
// A file of statements, cut into them: a table, and every prefix of it.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/script.h"
#include "tests/unit/bytes.h"

static const struct {
    const char *text;
    const char *statements[5];
} cases[] = {
    {"", {NULL}},
    {" ;; -- nothing\n /* at all; */ ;", {NULL}},
    {"SELECT 1", {"SELECT 1"}},
    {"SELECT 1; SELECT 2;", {"SELECT 1", "SELECT 2"}},
    {"-- first\nSELECT 1 -- one\n ;\n\n/* ; */ SELECT\n  2", {"SELECT 1", "SELECT\n  2"}},
    {"SELECT ';', \";\", $$;$$, $a$;$a$, E'\\';' ; x", {"SELECT ';', \";\", $$;$$, $a$;$a$, E'\\';'", "x"}},
    {"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); x",
     {"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "x"}},
    {"SELECT a/*;*/FROM t;SELECT $1", {"SELECT a/*;*/FROM t", "SELECT $1"}},
    {"SELECT 1; SELECT 'open ; SELECT 2", {"SELECT 1", "SELECT 'open ; SELECT 2"}},
    {"); SELECT 1", {")", "SELECT 1"}},
};

Test(script, is_cut_into_statements) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = 0;
        struct slice text = text_slice(cases[i].text);
        for (int n = 0;; n++) {
            struct slice s = script_next(text, &at);
            const char *wanted = cases[i].statements[n] ? cases[i].statements[n] : "";
            cr_assert(slice_is(s, wanted, strlen(wanted)), "%zu: statement %d is %.*s", i, n, (int)s.len,
                      (const char *)s.data);
            if (!s.len)
                break;
        }
        cr_assert_eq(at, text.len, "%zu", i);
    }
}

Test(script, cut_anywhere_it_ends) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t len = 0; len <= strlen(cases[i].text); len++) {
            size_t at = 0;
            int n = 0;
            struct slice text = {(const uint8_t *)cases[i].text, len};
            while (script_next(text, &at).len)
                cr_assert_lt(++n, 10);
        }
    }
}
