// SPDX-License-Identifier: PostgreSQL
//
// The folded statement's text, form by form.
#include <criterion/criterion.h>

#include "batching/key.h"
#include "batching/rewrite.h"
#include "tests/unit/bytes.h"

#define LATERAL(type, text, fence)                                                                           \
    "SELECT pgfold_k.n, pgfold_q.* FROM pg_catalog.unnest($1::pg_catalog." type                              \
    "[]) WITH ORDINALITY AS pgfold_k(v, n) CROSS JOIN LATERAL (" text fence " AS pgfold_q"

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
     LATERAL("int4", "SELECT a FROM t WHERE id = pgfold_k.v", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 LIMIT 1", FORM_LATERAL,
     LATERAL("int4", "SELECT a FROM t WHERE id = pgfold_k.v LIMIT 1", ")")},
    {"SELECT a AS limit FROM t WHERE id = $1", FORM_LATERAL,
     LATERAL("int4", "SELECT a AS limit FROM t WHERE id = pgfold_k.v", " OFFSET 0)")},
    {"SELECT \"limit\" FROM t WHERE id = $1", FORM_LATERAL,
     LATERAL("int4", "SELECT \"limit\" FROM t WHERE id = pgfold_k.v", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 /* LIMIT 1 */", FORM_LATERAL,
     LATERAL("int4", "SELECT a FROM t WHERE id = pgfold_k.v", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1 -- x", FORM_LATERAL,
     LATERAL("int4", "SELECT a FROM t WHERE id = pgfold_k.v", " OFFSET 0)")},
    {"SELECT a FROM t WHERE id = $1::int4", FORM_LATERAL,
     LATERAL("int4", "SELECT a FROM t WHERE id = pgfold_k.v::int4", " OFFSET 0)")},
};

Test(rewrite, extended_shapes) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 50, 1000);
    for (size_t i = 0; i < sizeof extended / sizeof *extended; i++) {
        struct buf out = buf_make(1000);
        struct shape *s = shape_extended(&c, text_slice(extended[i].text), 0, NULL, &why);
        cr_assert(s && s->reason == REASON_NONE, "%s", extended[i].text);
        cr_assert(rewrite_folded(s, 0, extended[i].form, OID_INT4, NULL, &out));
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
    cr_assert(rewrite_folded(s, 0, FORM_IN, OID_INT4, values, &out));
    buf_put_u8(&out, 0);
    cr_assert_str_eq((char *)out.data, "SELECT \"id\", a FROM t WHERE id = ANY ($1) AND b = 'x''y'");
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
    cr_assert_not(rewrite_folded(s, 0, FORM_LATERAL, OID_INT4, NULL, &out));
    s = shape_extended(&c, text_slice("SELECT a FROM t WHERE id = $1"), 0, NULL, &why);
    cr_assert_not(rewrite_folded(s, 0, FORM_LATERAL, 25, NULL, &out), "a type that is no key's");
    cr_assert_not(rewrite_folded(s, 0, FORM_LATERAL, OID_INT4, NULL, &small), "no room");
    buf_free(&out);
    buf_free(&small);
    shape_cache_finish(&c);
}
