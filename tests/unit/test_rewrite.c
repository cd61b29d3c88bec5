// SPDX-License-Identifier: PostgreSQL
//
// The text of folded statements, form by form, compared word for word.
#include <criterion/criterion.h>

#include "batching/statement/rewrite.h"
#include "tests/unit/bytes.h"

#define HEAD(arrays, names)                                                                                  \
    "SELECT pgfold_k.pgfold_n, pgfold_q.* FROM ROWS FROM (" arrays ") WITH ORDINALITY AS pgfold_k(" names    \
    ", pgfold_n) CROSS JOIN LATERAL ("
#define ONE(n)               HEAD("pg_catalog.unnest($" #n ")", "pgfold_v1")
#define LATERAL(text, fence) ONE(1) text fence " AS pgfold_q"

static const struct {
    const char *text;
    enum fold_form form;
    const char *folded;
} extended[] = {
    {"SELECT a FROM t WHERE id = $1", FORM_IN, "SELECT \"id\", a FROM t WHERE id = ANY ($1)"},
    {"select t.* from t where t.id=$1", FORM_IN, "select \"t\".\"id\", t.* from t where t.id=ANY ($1)"},
    {"SELECT a FROM t WHERE id = $1;", FORM_IN, "SELECT \"id\", a FROM t WHERE id = ANY ($1)"},
    {"SELECT a FROM t WHERE id = $1 -- x", FORM_IN, "SELECT \"id\", a FROM t WHERE id = ANY ($1)"},
    {"SELECT a FROM t WHERE id = $1 AND b = $2", FORM_IN,
     "SELECT \"id\", a FROM t WHERE id = ANY ($1) AND b = $2"},
    {"SELECT a FROM t WHERE id = $1", FORM_LATERAL,
     LATERAL("SELECT a FROM t WHERE id = pgfold_k.pgfold_v1", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 LIMIT 1", FORM_LATERAL,
     LATERAL("SELECT a FROM t WHERE id = pgfold_k.pgfold_v1 LIMIT 1", ")")},
    {"SELECT a AS limit FROM t WHERE id = $1", FORM_LATERAL,
     LATERAL("SELECT a AS limit FROM t WHERE id = pgfold_k.pgfold_v1", " OFFSET 0)")},
    {"SELECT \"limit\" FROM t WHERE id = $1", FORM_LATERAL,
     LATERAL("SELECT \"limit\" FROM t WHERE id = pgfold_k.pgfold_v1", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 /* LIMIT 1 */", FORM_LATERAL,
     LATERAL("SELECT a FROM t WHERE id = pgfold_k.pgfold_v1", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 -- x", FORM_LATERAL,
     LATERAL("SELECT a FROM t WHERE id = pgfold_k.pgfold_v1", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1::int4", FORM_LATERAL,
     LATERAL("SELECT a FROM t WHERE id = pgfold_k.pgfold_v1::int4", " OFFSET 0)")},
};

Test(rewrite, extended_shapes) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 50, 1000);
    for (size_t i = 0; i < sizeof extended / sizeof *extended; i++) {
        struct buf out = buf_make(1000);
        struct shape *s = shape_extended(&c, text_slice(extended[i].text), 0, NULL, &why);
        cr_assert(s && s->reason == REASON_NONE, "%s", extended[i].text);
        cr_assert(rewrite_folded(s, 1, extended[i].form, NULL, &out));
        buf_put_u8(&out, 0);
        cr_assert_str_eq((char *)out.data, extended[i].folded);
        buf_free(&out);
    }
    shape_cache_finish(&c);
}

// The other constants go back as they were written, the key's array is the only parameter.
Test(rewrite, simple_shapes_get_their_constants_back) {
    struct shape_cache c;
    struct shape_text v;
    enum reason why;
    struct buf out = buf_make(1000);
    struct slice values[2];
    struct slice text = text_slice("SELECT a FROM t WHERE id = 5 AND b = 'x''y'");
    shape_cache_init(&c, 50, 1000);
    struct shape *s = shape_simple(&c, text, &v, &why);
    cr_assert(s && s->reason == REASON_NONE && v.n_values == 2);
    for (int i = 0; i < 2; i++)
        values[i] = (struct slice){text.data + v.values[i].at, v.values[i].len};
    cr_assert(rewrite_folded(s, 1, FORM_IN, values, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "SELECT \"id\", a FROM t WHERE id = ANY ($1) AND b = 'x''y'");
    buf_free(&out);
    shape_cache_finish(&c);
}

// Several keys: each its own array, under its own number or, in a simple shape, counted.
Test(rewrite, several_keys) {
    struct shape_cache c;
    struct shape_text v;
    enum reason why;
    struct buf out = buf_make(1000);
    struct slice values[3];
    shape_cache_init(&c, 50, 1000);
    struct shape *s =
        shape_extended(&c, text_slice("SELECT a FROM t WHERE x = $3 AND y = $1 AND z = $2"), 0, NULL, &why);
    cr_assert(rewrite_folded(s, 5, FORM_LATERAL, NULL, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data,
                     HEAD("pg_catalog.unnest($3), pg_catalog.unnest($2)",
                          "pgfold_v1, pgfold_v3") "SELECT a FROM t WHERE x = pgfold_k.pgfold_v1 AND y = $1 "
                                                  "AND z = pgfold_k.pgfold_v3 "
                                                  "OFFSET 0) AS pgfold_q");
    struct slice text = text_slice("SELECT a FROM t WHERE x = 5 AND y = 'b' AND z = -1");
    s = shape_simple(&c, text, &v, &why);
    for (int i = 0; i < 3; i++)
        values[i] = (struct slice){text.data + v.values[i].at, v.values[i].len};
    buf_reset(&out);
    cr_assert(rewrite_folded(s, 6, FORM_LATERAL, values, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data,
                     HEAD("pg_catalog.unnest($1), pg_catalog.unnest($2)",
                          "pgfold_v2, pgfold_v3") "SELECT a FROM t WHERE x = 5 AND y = pgfold_k.pgfold_v2 "
                                                  "AND z = pgfold_k.pgfold_v3 "
                                                  "OFFSET 0) AS pgfold_q");
    buf_reset(&out);
    cr_assert(rewrite_original(s, 5, values, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "SELECT a FROM t WHERE x = $1 AND y = 'b' AND z = $2");
    buf_free(&out);
    shape_cache_finish(&c);
}

static const struct {
    const char *text;
    bool possible;
} forms[] = {
    {"SELECT a FROM t WHERE id = $1", true},
    {"SELECT a FROM t WHERE id = $1 AND b = 'x'", true},
    {"SELECT a FROM t WHERE $1 = id", false},
    {"SELECT a FROM t WHERE (id) = $1", true},
    {"SELECT a FROM t WHERE id = ($1)", false},
    {"SELECT a FROM t WHERE id = /* x */ $1", true},
    {"SELECT a FROM t WHERE id = ANY ($1)", false},
    {"SELECT a FROM t WHERE id IN ($1)", false},
    {"SELECT a FROM t WHERE lower(id) = $1", false},
    {"SELECT a FROM t x(id) WHERE id = $1", false},
    {"SELECT a FROM t WHERE id = $1 OR b", false},
    {"SELECT a FROM t, u WHERE id = $1", false},
    {"SELECT count(*) FROM t WHERE id = $1", false},
    {"SELECT a FROM t WHERE id = $1::int4", false},
    {"SELECT a FROM t WHERE id = $1 LIMIT 1", false},
    {"SELECT a FROM t WHERE id = $1 ORDER BY a", false},
    {"SELECT a FROM t WHERE id = $1 AND b <> $1", false},
};

Test(rewrite, the_in_form_is_for_plain_equalities) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 50, 1000);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct shape *s = shape_extended(&c, text_slice(forms[i].text), 0, NULL, &why);
        cr_assert_not_null(s);
        if (s->parsed->n_keys)
            cr_assert_eq(rewrite_in_possible(s, 0), forms[i].possible, "%s", forms[i].text);
        else
            cr_assert_not(forms[i].possible, "%s", forms[i].text);
    }
    shape_cache_finish(&c);
}

Test(rewrite, refuses_what_could_mean_our_own_names) {
    struct shape_cache c;
    enum reason why;
    struct buf out = buf_make(1000), small = buf_make(20);
    shape_cache_init(&c, 50, 1000);
    struct shape *s = shape_extended(&c, text_slice("SELECT pgfold_k FROM t WHERE id = $1"), 0, NULL, &why);
    cr_assert_not(rewrite_folded(s, 1, FORM_LATERAL, NULL, &out));
    s = shape_extended(&c, text_slice("SELECT a FROM t WHERE id = $1"), 0, NULL, &why);
    cr_assert_not(rewrite_folded(s, 0, FORM_LATERAL, NULL, &out), "no key");
    cr_assert_not(rewrite_folded(s, 1, FORM_LATERAL, NULL, &small), "no room");
    buf_free(&out);
    buf_free(&small);
    shape_cache_finish(&c);
}

Test(rewrite, a_seal_stands_around_the_key) {
    struct shape_cache c;
    enum reason why;
    struct buf out = buf_make(1000);
    shape_cache_init(&c, 50, 1000);
    struct shape *s =
        shape_extended(&c, text_slice("SELECT a FROM t WHERE id = $1 AND b = $2"), 0, NULL, &why);
    cr_assert(s && s->reason == REASON_NONE);
    cr_assert(rewrite_sealed(s, 1, NULL, text_slice("c"), 3, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq(
        (char *)out.data,
        "SELECT \"id\", a FROM t WHERE id = ANY (COALESCE((SELECT $1 WHERE $3 IS NULL OR "
        "'now'::pg_catalog.timestamptz OPERATOR(pg_catalog.=) $3 AND pg_catalog.pg_conf_load_time() "
        "OPERATOR(pg_catalog.=) $4 AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $5 AND c)))"
        " AND b = $2");
    cr_assert_not(rewrite_sealed(s, 0, NULL, text_slice("c"), 3, &out), "no key");
    buf_free(&out);
    shape_cache_finish(&c);
}

// ---- behind a list

static void expect_behind(const char *list, const struct rewrite_step *steps, unsigned n,
                          const char *wanted) {
    struct buf out = buf_make(4000);
    cr_assert(rewrite_behind(rewrite_without_end(text_slice(list)), steps, n, 9, &out));
    buf_put_u8(&out, 0);
    cr_expect_str_eq((char *)out.data, wanted);
    buf_free(&out);
}

Test(rewrite, behind_a_list) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 50, 1000);
    struct shape *books =
        shape_extended(&c, text_slice("SELECT b FROM book WHERE a = $1 AND x = $2"), 0, NULL, &why);
    struct shape *one =
        shape_extended(&c, text_slice("SELECT r FROM review WHERE b = $1 LIMIT 1"), 0, NULL, &why);
    struct rewrite_step steps[] = {
        {.shape = books, .key = 0, .shift = 3, .column = 1, .type = "pg_catalog.int4", .range = ""},
        {.shape = one, .key = 0, .shift = 5, .column = 0, .type = "pg_catalog.int4", .range = " > 0"}};
    expect_behind("SELECT n, id FROM author -- all\n; /* of them */", steps, 1,
                  "SELECT pgfold_k.pgfold_v1, pgfold_q.* FROM (SELECT DISTINCT "
                  "pgfold_p.pgfold_c2::pg_catalog.int4 FROM (SELECT n, id FROM author) AS "
                  "pgfold_p(pgfold_c1, pgfold_c2) WHERE pgfold_p.pgfold_c2 IS NOT NULL LIMIT 9) AS "
                  "pgfold_k(pgfold_v1) LEFT JOIN LATERAL (SELECT true AS "
                  "pgfold_m, pgfold_o.* FROM (SELECT b FROM book WHERE a = pgfold_k.pgfold_v1 AND x = $5 "
                  "OFFSET 0) AS pgfold_o) AS pgfold_q ON true");
    expect_behind("SELECT n, id FROM author", steps, 2,
                  "SELECT pgfold_k.pgfold_v1, pgfold_q.* FROM (SELECT DISTINCT "
                  "pgfold_p.pgfold_c1::pg_catalog.int4 FROM (SELECT pgfold_q.* FROM (SELECT DISTINCT "
                  "pgfold_p.pgfold_c2::pg_catalog.int4 FROM (SELECT n, id FROM author) AS "
                  "pgfold_p(pgfold_c1, pgfold_c2) WHERE pgfold_p.pgfold_c2 IS NOT NULL "
                  "LIMIT 9) AS pgfold_k(pgfold_v1) CROSS JOIN LATERAL (SELECT b FROM book WHERE a = "
                  "pgfold_k.pgfold_v1 AND x = $5 OFFSET 0) AS pgfold_q) AS "
                  "pgfold_p(pgfold_c1) WHERE pgfold_p.pgfold_c1 IS NOT NULL AND pgfold_p.pgfold_c1 > 0 LIMIT "
                  "9) AS pgfold_k(pgfold_v1) LEFT JOIN LATERAL (SELECT "
                  "true AS pgfold_m, pgfold_o.* FROM (SELECT r FROM review WHERE b = pgfold_k.pgfold_v1 "
                  "LIMIT 1) AS pgfold_o) AS pgfold_q ON true");
    struct buf out = buf_make(4000);
    cr_expect(!rewrite_behind(text_slice("SELECT id AS PGFOLD_v FROM author"), steps, 1, 9, &out));
    buf_free(&out);
    shape_cache_finish(&c);
}
