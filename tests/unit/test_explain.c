// SPDX-License-Identifier: PostgreSQL
//
// `pgfold explain`: what it says of a statement by itself, and of one that the server has been asked about.
// The report's lines are looked for in its text.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/explain.h"
#include "batching/session/engine.h"
#include "tests/unit/bytes.h"

// The report on a statement that nobody was asked about.
static const char *report(struct explainer *x, const char *text) {
    static char copy[10000];
    struct explanation e;
    struct buf out = buf_make(sizeof copy - 1);
    explain_statement(x, text_slice(text), &e);
    explain_report(&e, &out);
    cr_assert_not(out.failed);
    memcpy(copy, out.data, out.len);
    copy[out.len] = 0;
    buf_free(&out);
    return copy;
}

static const struct {
    const char *text, *says[4];
} cases[] = {
    {"SELECT a FROM t WHERE id = 17",
     {"verdict   a lookup, if", "key       $1 (here 17), compared with \"id\"",
      "SELECT \"id\", a FROM t WHERE id = ANY ($1)",
      "CROSS JOIN LATERAL (SELECT a FROM t WHERE id = pgfold_k.pgfold_v1 OFFSET 0)"}},
    {"SELECT a FROM t WHERE id = $1 LIMIT 1",
     {"key       $1, compared with \"id\"", "form      fenced LATERAL"}},
    {"SELECT a FROM t WHERE b = 1 AND c = 2", {"key       $2", "or        $1", "learns"}},
    {"SELECT a FROM t WHERE id = 1 FOR UPDATE",
     {"forwarded untouched: locking", "reason    the SELECT locks", "remedy"}},
    {"INSERT INTO t VALUES (1)", {"forwarded untouched: not_select"}},
    {"SELECT a FROM t", {"forwarded untouched: no_key", "remedy    Compare a column"}},
    {"SELECT a FROM t WHERE id = 'x",
     {"forwarded untouched: unparsable",
      "at        character 28 (line 1, column 28): what begins here has no end"}},
    {"SELECT 'ä'\n  FORM t", {"at        character 19 (line 2, column 8): syntax error at or near \"t\""}},
    {"SELECT a FROM", {"at        character 14 (line 1, column 14): syntax error at end of input"}},
    {"SELECT a FROM t WHERE id = 1 /* pgfold:skip */",
     {"forwarded untouched: skip", "remedy    Take the comment"}},
    {"SELECT pgfold_a FROM t WHERE id = 1", {"cannot be written"}},
};

Test(explain, says_what_becomes_of_a_statement) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct explainer *x = explainer_create();
        explain_learn(x, text_slice(cases[i].text));
        const char *got = report(x, cases[i].text);
        for (int n = 0; n < 4 && cases[i].says[n]; n++)
            cr_expect_not_null(strstr(got, cases[i].says[n]), "%s: no \"%s\" in\n%s", cases[i].text,
                               cases[i].says[n], got);
        cr_expect(got[0] && got[strlen(got) - 1] == '\n');
        explainer_destroy(x);
    }
}

// As the console says it.
Test(explain, tells_no_constant) {
    static const char *const texts[] = {
        "SELECT a FROM t WHERE id = 7713 AND b = 'planted'",
        "SELECT a FROM t WHERE b = 'planted' LIMIT 7713",
        "SELECT 'planted' FROM t WHERE id = 7713",
        "SELECT a FROM t WHERE id = 7713 'planted'",
        "SELECT a FROM t WHERE id IN (7713, 1) FOR UPDATE",
        "SELECT a FROM t WHERE id = 7713 AND f = E'plante\\x64",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct explainer *x = explainer_create();
        struct engine_limits limits = {.max_shapes = 10, .max_groups = 10};
        struct engine *engine = engine_create(&limits, NULL, NULL);
        struct explanation e;
        struct buf out = buf_make(10000);
        explain_learn(x, text_slice(texts[i]));
        explain_statement(x, text_slice(texts[i]), &e);
        e.discreet = true;
        explain_report(&e, &out);
        explain_known(&e, engine, &out);
        buf_put_u8(&out, 0);
        cr_expect_null(strstr((char *)out.data, "7713"), "%s", (char *)out.data);
        cr_expect_null(strstr((char *)out.data, "plante"), "%s", (char *)out.data);
        buf_free(&out);
        engine_destroy(engine);
        explainer_destroy(x);
    }
}

Test(explain, refusals_have_remedies) {
    cr_expect_not_null(explain_remedy("a table was not found"));
    cr_expect_null(explain_remedy("something else"));
    cr_expect_null(explain_remedy(NULL));
}

Test(explain, the_key_is_what_varies) {
    struct explainer *x = explainer_create();
    char text[100];
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d AND tenant = 5", i);
        explain_learn(x, text_slice(text));
    }
    cr_assert_not_null(strstr(report(x, text), "key       $1 (here 29), compared with \"id\""));
    explainer_destroy(x);
}

Test(explain, a_line_of_any_length_ends) {
    static char text[30000] = "SELECT a FROM t WHERE id = '";
    struct explainer *x = explainer_create();
    memset(text + strlen(text), 'x', 20000);
    strcat(text, "'");
    cr_assert_not_null(strstr(report(x, text), "key       $1 (here 'xxx"));
    explainer_destroy(x);
}

Test(explain, what_the_server_says) {
    struct explainer *x = explainer_create();
    struct explanation e;
    struct buf out = buf_make(100000);
    explain_statement(x, text_slice("SELECT a FROM t WHERE id = 17"), &e);
    cr_assert(explain_write_vet(&e, &out));
    cr_assert_gt(out.len, 100);
    explain_vetted(x, &e); // it said nothing
    buf_reset(&out);
    explain_report(&e, &out);
    buf_put_u8(&out, 0);
    cr_assert_not_null(strstr((char *)out.data, "forwarded untouched: vet_refused"));
    cr_assert_not_null(strstr((char *)out.data, "the catalogue could not be asked"));
    buf_free(&out);
    explainer_destroy(x);
}
