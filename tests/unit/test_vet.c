// SPDX-License-Identifier: PostgreSQL
//
// Vetting: the judgement over made-up rows, the functions that are plain, and the names that the queries
// quote.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/vet.h"
#include "tests/unit/bytes.h"

// relkind, persistence, row security, schema, has subclass, type of the key, unique, columns, operators,
// casts, types
#define GOOD "r", "p", "f", "public", "f", "23", "t", "0", "0", "0", "0"

static const struct {
    const char *name;
    const char *row[11];
    bool ok, unique;
    uint32_t type;
} rows[] = {
    {"an ordinary table", {GOOD}, true, true, 23},
    {"no unique index", {"r", "p", "f", "public", "f", "23", "f", "0", "0", "0", "0"}, true, false, 23},
    {"unlogged", {"r", "u", "f", "public", "f", "23", "t", "0", "0", "0", "0"}, true, true, 23},
    {"partitioned", {"p", "p", "f", "public", "t", "23", "t", "0", "0", "0", "0"}, true, true, 23},
    {"materialised", {"m", "p", "f", "public", "f", "23", "t", "0", "0", "0", "0"}, true, true, 23},
    {"children", {"r", "p", "f", "public", "t", "23", "t", "0", "0", "0", "0"}, true, false, 23},
    {"a text key", {"r", "p", "f", "public", "f", "25", "t", "0", "0", "0", "0"}, true, true, 25},
    {"a view", {"v", "p", "f", "public", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"a foreign table", {"f", "p", "f", "public", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"temporary", {"r", "t", "f", "public", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"row-level security", {"r", "p", "t", "public", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"pg_catalog", {"r", "p", "f", "pg_catalog", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"information_schema",
     {"r", "p", "f", "information_schema", "f", "23", "t", "0", "0", "0", "0"},
     false,
     true,
     23},
    {"toast", {"r", "p", "f", "pg_toast", "f", "23", "t", "0", "0", "0", "0"}, false, true, 23},
    {"no such key", {"r", "p", "f", "public", "f", NULL, "t", "0", "0", "0", "0"}, false, true, 0},
    {"a huge type", {"r", "p", "f", "public", "f", "99999999999", "t", "0", "0", "0", "0"}, false, true, 0},
    {"a function like a column",
     {"r", "p", "f", "public", "f", "23", "t", "1", "0", "0", "0"},
     false,
     true,
     23},
    {"a user's operator", {"r", "p", "f", "public", "f", "23", "t", "0", "1", "0", "0"}, false, true, 23},
    {"a user's cast", {"r", "p", "f", "public", "f", "23", "t", "0", "0", "1", "0"}, false, true, 23},
    {"a user's type", {"r", "p", "f", "public", "f", "23", "t", "0", "0", "0", "1"}, false, true, 23},
    {"nothing known", {NULL, NULL, NULL, NULL, NULL, "23", NULL, NULL, NULL, NULL, NULL}, false, false, 23},
};

Test(vet, the_row_decides) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = buf_make(1000);
        struct vet_result r = {0};
        put_text_row(&b, rows[i].row, 11);
        vet_row((struct slice){b.data + 5, b.len - 5}, &r);
        cr_assert(r.answered);
        cr_assert_eq(r.ok, rows[i].ok, "%s", rows[i].name);
        cr_assert_eq(r.ok, r.refusal == NULL, "%s", rows[i].name);
        cr_assert_eq(r.key_type, rows[i].type, "%s", rows[i].name);
        cr_assert_eq(r.key_unique, rows[i].unique, "%s", rows[i].name);
        buf_free(&b);
    }
}

Test(vet, a_row_cut_short_allows_nothing) {
    struct buf b = buf_make(1000);
    const char *const good[] = {GOOD};
    put_text_row(&b, good, 11);
    for (size_t len = 0; len < b.len - 5; len++) {
        uint8_t *copy = exact_copy(b.data + 5, len);
        struct vet_result r = {0};
        vet_row((struct slice){copy, len}, &r);
        cr_assert_not(r.ok, "cut at %zu", len);
        free(copy);
    }
    buf_free(&b);
}

Test(vet, plain_reads_are_told_by_one_t) {
    cr_assert(vet_read_row(BYTES("\0\1\0\0\0\1t")));
    cr_assert_not(vet_read_row(BYTES("\0\1\0\0\0\1"
                                     "f")));
    cr_assert_not(vet_read_row(BYTES("\0\1\xff\xff\xff\xff")));
    cr_assert_not(vet_read_row(BYTES("\0\1\0\0\0\2tt")));
    cr_assert_not(vet_read_row(BYTES("\0\0")));
    cr_assert_not(vet_read_row(BYTES("")));
}

static const struct {
    const char *text;
    bool plain;
} functions[] = {
    {"SELECT count(*) FROM t", true},
    {"SELECT abs(a), version(), unnest(b), json_build_array(1), row_to_json(t), trim(c) FROM t", true},
    {"SELECT pg_catalog.lower(a) FROM t", true},
    {"SELECT public.lower(a) FROM t", false},
    {"SELECT nextval('s')", false},
    {"SELECT set_config(a, b, false) FROM t", false},
    {"SELECT pg_advisory_lock(1)", false},
    {"SELECT lo_import('x')", false},
    {"SELECT random()", false},
    {"SELECT upper(f(a)) FROM t", false},
    {"SELECT a FROM t", true},
};

Test(vet, functions_are_plain_when_they_are_on_the_list) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        struct parsed *p = parse_statement(functions[i].text, 1000, 100);
        cr_assert_eq(vet_functions_plain(p), functions[i].plain, "%s", functions[i].text);
        parsed_destroy(p);
    }
}

static bool query_of(const char *text, bool read, struct buf *out) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 10, 1000);
    struct shape *s = shape_extended(&c, text_slice(text), 0, NULL, &why);
    buf_reset(out);
    bool ok = s && (read ? vet_read_query(s, out) : vet_query(s, 0, out));
    buf_put_u8(out, 0);
    shape_cache_finish(&c);
    return ok;
}

static const struct {
    const char *text, *holds;
} quoted[] = {
    {"SELECT a FROM t WHERE id = $1", "to_regclass('\"t\"')"},
    {"SELECT a FROM \"T\" WHERE id = $1", "to_regclass('\"T\"')"},
    {"SELECT a FROM s.t WHERE id = $1", "to_regclass('\"s\".\"t\"')"},
    {"SELECT a FROM \"t'\"\"x\" WHERE id = $1", "to_regclass('\"t''\"\"x\"')"},
    {"SELECT a FROM t WHERE \"i'd\" = $1", "a.attname = 'i''d'"},
    {"SELECT a FROM t WHERE id = $1 AND b < 3", "'<'"},
};

Test(vet, names_are_quoted) {
    struct buf out = buf_make(1 << 20);
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        cr_assert(query_of(quoted[i].text, false, &out), "%s", quoted[i].text);
        cr_assert_not_null(strstr((char *)out.data, quoted[i].holds), "%s: %s", quoted[i].text,
                           (char *)out.data);
    }
    // How a backslash in a string is read depends on a setting.
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", false, &out));
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", true, &out));
    cr_assert(query_of("SELECT lower(a) FROM \"t'\" JOIN u ON true", true, &out));
    cr_assert_not_null(strstr((char *)out.data, "'\"t''\"','\"u\"'"));
    cr_assert_not_null(strstr((char *)out.data, "'lower'"));
    buf_free(&out);
}
