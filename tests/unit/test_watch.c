// SPDX-License-Identifier: PostgreSQL
//
// What a test expects, how it says so, and what is counted for it.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/statement/parse.h"
#include "batching/statement/parse_setting.h"
#include "batching/statement/shape.h"
#include "batching/watch/control.h"
#include "batching/watch/expect.h"
#include "batching/watch/report.h"
#include "batching/watch/scope.h"
#include "batching/watch/section.h"

static struct slice slice(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

// ---- expectations

static void expect_read(const char *text, const char *written) {
    struct expectation e;
    struct slice bad = {0};
    struct buf out = buf_make(1000);
    cr_assert(expectation_read(slice(text), &e, &bad), "%s", text);
    expectation_write(&e, &out);
    buf_put_u8(&out, 0);
    cr_expect_str_eq((char *)out.data, written);
    cr_expect_eq(expectation_is_set(&e), *written != 0);
    buf_free(&out);
}

Test(watch, expectations) {
    expect_read("", "");
    expect_read("  , ", "");
    expect_read("statements<=3", "statements<=3");
    expect_read("statements=3,lookups<=0", "statements=3 lookups<=0");
    expect_read("loops=0", "loops=0 repeats<=4");
    expect_read("loops=0 repeats<=9", "loops=0 repeats<=9");
    expect_read("loops=2", "loops=2");
    expect_read("loops=warn", "loops=warn repeats<=4");
}

Test(watch, expectations_that_are_none) {
    static const char *const bad[] = {
        "loops",  "=3",       "<=3",         "loops=",           "loops<3", "loops=-1",     "loops=1x",
        "rows=1", "loops==1", "loops<=warn", "loops=0000000001", "LOOPS=1", "lookups=warn", "loops=1=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[100];
        struct expectation e;
        struct slice word = {0};
        snprintf(text, sizeof text, "statements<=3 %s", bad[i]);
        cr_expect_not(expectation_read(slice(text), &e, &word), "%s", bad[i]);
        cr_expect(slice_is(word, bad[i], strlen(bad[i])), "%s", bad[i]);
    }
    struct expectation e;
    struct slice word;
    cr_expect_not(expectation_read(slice("loops=1 loops=2"), &e, &word));
}

// ---- statements about the settings

static void expect_control(const char *text, enum control_verb verb, enum control_setting setting,
                           const char *value) {
    struct control c;
    cr_expect(control_read(slice(text), &c), "%s", text);
    cr_expect_eq(c.verb, verb, "%s", text);
    cr_expect_eq(c.setting, setting, "%s", text);
    cr_expect(slice_is(c.value, value, strlen(value)), "%s", text);
}

Test(watch, controls) {
    expect_control("SET pgfold.expect = 'loops=0'", CONTROL_SET, CONTROL_EXPECT, "loops=0");
    expect_control("/* x */ set session PgFold.Scope to '';", CONTROL_SET, CONTROL_SCOPE, "");
    expect_control("SET LOCAL pgfold.expect TO DEFAULT ; ", CONTROL_SET, CONTROL_EXPECT, "");
    expect_control("RESET pgfold.expect", CONTROL_RESET, CONTROL_EXPECT, "");
    expect_control("SHOW pgfold.counts", CONTROL_SHOW, CONTROL_COUNTS, "");
    expect_control("SELECT current_setting('pgfold.counts', true)", CONTROL_READ, CONTROL_COUNTS, "");
    expect_control("select pg_catalog.current_setting('PGFOLD.counts')", CONTROL_READ, CONTROL_COUNTS, "");
    expect_control("SELECT set_config('pgfold.expect', 'a b', false)", CONTROL_CONFIG, CONTROL_EXPECT, "a b");
    expect_control("SET pgfold.tags = 'a=''x'',b='''''", CONTROL_SET, CONTROL_TAGS, "a='x',b=''");
    expect_control("SELECT set_config('pgfold.tags', 'a=''x''', true)", CONTROL_CONFIG, CONTROL_TAGS,
                   "a='x'");
}

Test(watch, controls_in_other_words) {
    static const struct {
        const char *text;
        enum control_setting setting;
        const char *value;
    } cases[] = {
        {"SET \"pgfold\".\"expect\" = 'a'", CONTROL_EXPECT, "a"},
        {"SET pgfold.\"expect\" = 'a'", CONTROL_EXPECT, "a"},
        {"SET \"pgfold.scope\" TO 'a'", CONTROL_SCOPE, "a"},
        {"RESET \"pgfold\".\"tags\"", CONTROL_TAGS, ""},
        {"SHOW \"pgfold\".counts", CONTROL_COUNTS, ""},
        {"SET pgfold . expect = 'a'", CONTROL_EXPECT, "a"},
        {"SET pgfold.expect = E'a\\'b\\\\c\\n'", CONTROL_EXPECT, "a'b\\c\n"},
        {"SET pgfold.expect = e'a''b'", CONTROL_EXPECT, "a'b"},
        {"SET pgfold.expect = N'a'", CONTROL_EXPECT, "a"},
        {"SELECT set_config($$pgfold.expect$$, $x$a'b$x$, $$f$$)", CONTROL_EXPECT, "a'b"},
        {"SET pgfold.scope = 'C:\\worker'", CONTROL_SCOPE, "C:\\worker"},
        {"SET pgfold.scope = worker3", CONTROL_SCOPE, "worker3"},
        {"SET pgfold.scope TO \"Worker\"", CONTROL_SCOPE, "Worker"},
        {"SET pgfold.scope = 3", CONTROL_SCOPE, "3"},
        {"SET pgfold.scope = -3.5", CONTROL_SCOPE, "-3.5"},
        {"SET pgfold.expect = loops", CONTROL_EXPECT, "loops"},
        {"SELECT set_config('pgfold.expect'::text, 'a'::pg_catalog.text, false::bool)", CONTROL_EXPECT, "a"},
        {"SELECT set_config('pgfold.expect', NULL, 'f')", CONTROL_EXPECT, ""},
        {"SELECT current_setting('pgfold.counts', true) AS counts", CONTROL_COUNTS, ""},
        {"SELECT current_setting('pgfold.counts', true) \"Counts\";", CONTROL_COUNTS, ""},
        {"SELECT current_setting('pgfold.counts', $1)", CONTROL_COUNTS, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct control c;
        cr_expect(control_is_named(slice(cases[i].text)), "%s", cases[i].text);
        cr_expect(control_read(slice(cases[i].text), &c), "%s", cases[i].text);
        cr_expect_eq(c.setting, cases[i].setting, "%s", cases[i].text);
        cr_expect(slice_is(c.value, cases[i].value, strlen(cases[i].value)), "%s", cases[i].text);
    }
}

Test(watch, labels_of_columns) {
    struct control c;
    cr_assert(control_read(slice("SELECT current_setting('pgfold.counts', true) AS Counts"), &c));
    cr_expect_str_eq(control_column(&c), "counts");
    cr_assert(control_read(slice("SELECT current_setting('pgfold.counts', true) \"Counts\""), &c));
    cr_expect_str_eq(control_column(&c), "Counts");
    cr_assert(control_read(slice("SELECT set_config('pgfold.expect', '', true)"), &c));
    cr_expect_str_eq(control_column(&c), "set_config");
}

// Whether the parameters of this text, given in this order, set one of pgfold's settings.
static bool binds(const char *text, unsigned n, const char *const *values, struct control *c) {
    static uint8_t bytes[200]; // what is bound is borrowed
    size_t at = 0;
    cr_assert(control_read(slice(text), c), "%s", text);
    for (unsigned i = 0; i < n; i++) {
        uint32_t len = values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX;
        for (int shift = 24; shift >= 0; shift -= 8)
            bytes[at++] = (uint8_t)(len >> shift);
        if (values[i])
            memcpy(bytes + at, values[i], len);
        at += values[i] ? len : 0;
    }
    struct msg_bind m = {.n_params = (uint16_t)n, .params = bytes, .params_len = at};
    return control_bind(c, &m);
}

Test(watch, parameters) {
    struct control c;
    const char *all[] = {"pgfold.tags", "a=b", "f"}, *other[] = {"app.tenant", "a", "f"}, *null[] = {NULL};
    const char *typo[] = {"pgfold.expct", "a", "f"};
    cr_expect(control_may_be_bound(slice("SELECT set_config($1, $2, $3)")));
    cr_expect(control_may_be_bound(slice(" select pg_catalog.current_setting($1)")));
    cr_expect_not(control_may_be_bound(slice("SELECT set_config('a', $1, true)")));
    cr_expect_not(control_may_be_bound(slice("SELECT seven FROM t WHERE id = $1")));
    cr_expect(binds("SELECT set_config($1, $2, $3)", 3, all, &c));
    cr_expect_eq(c.setting, CONTROL_TAGS);
    cr_expect(slice_is(c.value, "a=b", 3));
    cr_expect_not(binds("SELECT set_config($1, $2, $3)", 3, other, &c));
    cr_expect(binds("SELECT set_config($1, $2, $3)", 3, typo, &c));
    cr_expect_eq(c.setting, CONTROL_UNKNOWN);
    cr_expect_not(binds("SELECT set_config($1, $2, $3)", 2, all, &c));
    cr_expect(binds("SELECT set_config('pgfold.expect', $1, false)", 1, all + 1, &c));
    cr_expect(slice_is(c.value, "a=b", 3));
    cr_expect(binds("SELECT set_config('pgfold.expect', $1::text, false)", 1, null, &c));
    cr_expect_null(c.value.data);
    cr_expect_not(c.bad_value);
    static const uint8_t zero[] = {0, 0, 0, 3, 'a', 0, 'b'};
    struct msg_bind m = {.n_params = 1, .params = zero, .params_len = sizeof zero};
    cr_assert(control_read(slice("SELECT set_config('pgfold.scope', $1, false)"), &c));
    cr_expect(control_bind(&c, &m) && c.bad_value); // a scope of this name would be another user's
    cr_expect_not(control_read(slice("SELECT set_config('pgfold.expect', $2, false)"), &c));
    cr_expect_not(control_read(slice("SELECT set_config($1, $1, false)"), &c));
    cr_expect_not(control_read(slice("SELECT set_config($0, 'a', false)"), &c));
}

// Other statements, and what of pgfold's settings stands in them all the same; NULL: nothing.
static const struct {
    const char *text, *uses;
    bool reads;
} other_statements[] = {
    {"", NULL, false},
    {"SET", NULL, false},
    {"SET pgfold.expect", NULL, false},
    {"SET pgfold.expect = 'a', 'b'", "pgfold.expect", false},
    {"SET pgfold.counts = 'a'", "pgfold.counts", false},
    {"SET pgfold.expects = 'a'", "pgfold.expects", false},
    {"SET \"pgfold\".\"expects\" = 'a'", "pgfold.expects", false},
    {"SET LOCAL PGFOLD.EXPCT TO 'a'", "pgfold.expct", false},
    {"RESET pgfold.expects", "pgfold.expects", false},
    {"SHOW pgfold.count", "pgfold.count", true},
    {"SET pgfold.expect FROM CURRENT", "pgfold.expect", false},
    {"SET other.expect = 'pgfold.expect'", NULL, false},
    {"SET pgfold.expect = 'a'; SELECT 1", "pgfold.expect", false},
    {"SELECT 1; SET pgfold.expect = 'a'", "pgfold.expect", false},
    {"SET pgfold.expect = 'a'\n'b'", "pgfold.expect", false},
    {"SET pgfold.expect = U&'\\0061'", "pgfold.expect", false},
    {"SET pgfold.expect = E'\\x61'", "pgfold.expect", false},
    {"SELECT 'pgfold.expect'", NULL, false},
    {"SELECT current_setting('pgfold.counts', true), 1", "pgfold.counts", true},
    {"SELECT current_setting('pgfold.counts', true)::json", "pgfold.counts", true},
    {"SELECT x.c FROM (SELECT current_setting('pgfold.counts', true) AS c) x", "pgfold.counts", true},
    {"WITH x AS (SELECT set_config('pgfold.tags'::text, 'a', true)) SELECT 1", "pgfold.tags", false},
    {"SELECT set_config(setting_name => 'pgfold.tags', new_value => 'a', is_local => true)", "pgfold.tags",
     false},
    {"SELECT set_config(new_value => 'pgfold.tags', setting_name => 'a', is_local => true)", NULL, false},
    {"SELECT set_config('app.a', 'pgfold.tags', true)", NULL, false},
    {"SELECT set_config('pgfold.counts', 'a', false)", "pgfold.counts", false},
    {"SELECT set_config('pgfold.expect', 'a')", "pgfold.expect", false},
    {"SELECT set_config('pgfold.expect', 'a' || 'b', false)", "pgfold.expect", false},
    {"SELECT set_config('pgfold.expect', 'a', false), set_config('app.a', 'b', false)", "pgfold.expect",
     false},
    {"SELECT set_config('pgfold.' || 'expect', 'a', false)", NULL, false},
    {"SELECT a FROM t WHERE b = 'pgfold.expect'", NULL, false},
    {"SELECT a FROM pgfold.expect", NULL, false},
    {"INSERT INTO t VALUES ('pgfold.expect')", NULL, false},
    {"INSERT INTO t VALUES (current_setting('pgfold.counts', true))", "pgfold.counts", true},
    {"DO 'BEGIN SET pgfold.expect = ''a''; END'", NULL, false},
    {"ALTER ROLE app SET pgfold.scope = 'a'", "pgfold.scope", false},
    {"CREATE FUNCTION f() RETURNS int LANGUAGE sql SET pgfold.tags = 'a' AS 'SELECT 1'", "pgfold.tags",
     false},
    {"EXPLAIN SELECT current_setting('pgfold.expect')", "pgfold.expect", true},
    {"SET pgfold.expect = 'a", NULL, false},
};

Test(watch, other_statements) {
    for (size_t i = 0; i < sizeof other_statements / sizeof *other_statements; i++) {
        struct control c;
        struct setting_use use = {0};
        const char *text = other_statements[i].text, *uses = other_statements[i].uses;
        cr_expect_not(control_read(slice(text), &c), "%s", text);
        cr_expect_eq(c.verb, CONTROL_NONE);
        bool found = control_is_named(slice(text)) && setting_find(text, strlen(text), CONTROL_PREFIX, &use);
        cr_expect_eq(found, uses != NULL, "%s", text);
        if (found && uses)
            cr_expect(strcmp(use.name, uses) == 0 && use.reads == other_statements[i].reads, "%s", text);
    }
    cr_expect_not(control_is_named(slice("SELECT /* pgfold:allow */ a FROM pgfolds WHERE g = 'pgfol.'")));
    cr_expect(control_is_named(slice("SELECT aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaPGFOLD.x")));
}

// ---- sections

struct world {
    struct shape_cache shapes;
    struct account memory;
    struct scopes scopes;
};

static void begin(struct world *w) {
    *w = (struct world){0};
    shape_cache_init(&w->shapes, 10000, 65536);
    w->scopes.memory = &w->memory;
}

static void end(struct world *w) {
    scopes_finish(&w->scopes);
    shape_cache_finish(&w->shapes);
    cr_expect_eq(w->memory.used, 0);
}

static struct shape *shape(struct world *w, const char *text) {
    enum reason why;
    struct shape_text values;
    struct shape *s = shape_simple(&w->shapes, slice(text), &values, &why);
    cr_assert(s, "%s", text);
    return s;
}

static struct expectation expectation(const char *text) {
    struct expectation e;
    struct slice bad;
    cr_assert(expectation_read(slice(text), &e, &bad));
    return e;
}

Test(watch, what_is_counted) {
    struct world w;
    begin(&w);
    cr_expect(section_counts(STATEMENT_READ, shape(&w, "SELECT a FROM t")->parsed));
    cr_expect(section_counts(STATEMENT_READ, shape(&w, "SELECT 1")->parsed));
    cr_expect_not(section_counts(STATEMENT_READ, shape(&w, "SELECT a FROM pg_catalog.pg_class")->parsed));
    cr_expect(section_counts(STATEMENT_WRITE, NULL));
    cr_expect(section_counts(STATEMENT_OTHER, NULL));
    cr_expect_not(section_counts(STATEMENT_BEGIN, NULL));
    cr_expect_not(section_counts(STATEMENT_SET, NULL));
    cr_expect_not(section_counts(STATEMENT_DEALLOCATE, NULL));
    end(&w);
}

Test(watch, loops_and_repeats) {
    struct world w;
    begin(&w);
    struct shape *s = shape(&w, "SELECT a FROM t WHERE id = 1"), *list = shape(&w, "SELECT id FROM l");
    struct section at = {.expect = expectation("loops=0")};
    struct section_shape *of = section_lookup(&at, s, 11, 1, false);
    cr_expect_not(section_from_list(of, 7, 11));
    cr_expect_not(section_from_list(of, 7, 11));
    cr_expect_not(section_from_list(of, 8, 12));
    cr_expect_eq(section_exceeds(&at, false), METRIC_COUNT);
    cr_expect(section_from_list(of, 7, 12));
    section_looped(&at, of, list);
    section_looped(&at, of, list);
    cr_expect_eq(at.n[METRIC_LOOPS], 1);
    cr_expect_eq(section_exceeds(&at, false), METRIC_LOOPS);
    cr_expect_eq(section_fails(&at), METRIC_LOOPS);
    section_clear(&at);

    at.expect = expectation("loops=0");
    for (uint32_t key = 1; key < EXPECT_REPEATS; key++)
        cr_expect(section_lookup(&at, s, key, 1, false) && section_lookup(&at, s, key, 1, false));
    cr_expect_eq(section_exceeds(&at, false), METRIC_COUNT);
    (void)section_lookup(&at, s, EXPECT_REPEATS, 1, false);
    cr_expect_eq(section_exceeds(&at, false), METRIC_REPEATS);
    section_clear(&at);

    at.expect = expectation("loops=0");
    for (uint32_t key = 1; key < 100; key++)
        section_looped(&at, section_lookup(&at, s, key, 1, true), list);
    cr_expect_eq(section_exceeds(&at, false), METRIC_COUNT);
    section_clear(&at);
    end(&w);
}

// What one test asks makes no loop with what another has asked.
Test(watch, tests_of_a_run_are_apart) {
    struct world w;
    begin(&w);
    struct shape *s = shape(&w, "SELECT a FROM t WHERE id = 1"), *list = shape(&w, "SELECT id FROM l");
    struct section at = {.expect = expectation("loops=0")};
    struct section_shape *of = section_lookup(&at, s, 11, 1, false);
    cr_expect_not(section_from_list(of, 7, 11));
    section_part(&at, 2); // another session's
    (void)section_lookup(&at, s, 12, 1, false);
    cr_expect(section_from_list(of, 7, 12));
    section_looped(&at, of, list);
    section_part(&at, 1);
    cr_expect_eq(of->loop_by, 0);
    (void)section_lookup(&at, s, 13, 1, false);
    cr_expect_not(section_from_list(of, 7, 13));
    for (uint32_t key = 1; key < 20; key++, section_part(&at, key % 3 ? 1 : 0))
        cr_expect_leq(section_lookup(&at, s, key, 1, false)->n_keys, 2);
    cr_expect(of->looped);
    cr_expect_eq(at.n[METRIC_LOOPS], 1);
    cr_expect_eq(at.n[METRIC_REPEATS], 2);
    section_clear(&at);
    end(&w);
}

// A section has room for SECTION_SHAPES; the others are counted, and not told apart.
Test(watch, many_shapes) {
    struct world w;
    begin(&w);
    struct section at = {.expect = expectation("loops=0")};
    for (int i = 0; i < SECTION_SHAPES + 10; i++) {
        char text[100];
        snprintf(text, sizeof text, "SELECT a FROM t%d WHERE id = 1", i);
        cr_expect_eq(section_lookup(&at, shape(&w, text), 1, 1, false) != NULL, i < SECTION_SHAPES);
    }
    cr_expect_eq(at.n[METRIC_LOOKUPS], SECTION_SHAPES + 10);
    section_clear(&at);
    end(&w);
}

Test(watch, limits_of_statements) {
    struct section at = {.expect = expectation("statements=2")};
    struct buf out = buf_make(1000);
    section_note(&at, STATEMENT_WRITE, NULL);
    cr_expect_eq(section_exceeds(&at, true), METRIC_COUNT);
    cr_expect_eq(section_fails(&at), METRIC_STATEMENTS);
    section_note(&at, STATEMENT_WRITE, NULL);
    cr_expect_eq(section_fails(&at), METRIC_COUNT);
    cr_expect_eq(section_exceeds(&at, true), METRIC_STATEMENTS);
    cr_expect_eq(section_fails(&at), METRIC_STATEMENTS);
    section_write_counts(&at, &out);
    buf_put_u8(&out, 0);
    cr_expect_str_eq((char *)out.data, "{\"statements\":2,\"lookups\":0,\"loops\":0,\"repeats\":0}");
    buf_free(&out);
    section_clear(&at);
}

// ---- scopes

Test(watch, scopes) {
    struct world w;
    begin(&w);
    struct expectation e = expectation("loops=0"), none = {0};
    struct scope *a = scope_for(&w.scopes, slice("a")), *b = scope_for(&w.scopes, slice("b"));
    cr_expect_eq(scope_for(&w.scopes, slice("a")), a);
    cr_expect_not(scopes_are_watched(&w.scopes));
    cr_expect(scope_begin(&w.scopes, a, &e));
    cr_expect(scopes_are_watched(&w.scopes));
    cr_expect_eq(scope_section(&w.scopes, a, 0), &a->section);
    cr_expect_null(scope_section(&w.scopes, b, 0));
    cr_expect_null(scope_section(&w.scopes, a, 1));
    scopes_expect(&w.scopes, &e);
    cr_expect_eq(scope_section(&w.scopes, b, 1), &w.scopes.run);
    scopes_expect(&w.scopes, &none);
    scope_unref(&w.scopes, a);
    cr_expect(scopes_are_watched(&w.scopes));
    scope_unref(&w.scopes, a);
    cr_expect_not(scopes_are_watched(&w.scopes));
    scope_unref(&w.scopes, b);
    end(&w);
}

Test(watch, open_sections_are_bounded) {
    struct world w;
    struct scope *all[SCOPES_BEGUN + 1];
    struct expectation e = expectation("loops=0");
    begin(&w);
    for (unsigned i = 0; i <= SCOPES_BEGUN; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        all[i] = scope_for(&w.scopes, slice(name));
        cr_expect_eq(scope_begin(&w.scopes, all[i], &e), i < SCOPES_BEGUN);
    }
    cr_expect(scope_begin(&w.scopes, all[0], &e)); // the one before is its own
    for (unsigned i = 0; i <= SCOPES_BEGUN; i++)
        scope_unref(&w.scopes, all[i]);
    end(&w);
}

// ---- reports

Test(watch, report) {
    struct world w;
    struct expectation e = expectation("loops=0");
    struct buf out = buf_make(100000);
    begin(&w);
    scopes_expect(&w.scopes, &e);
    cr_expect(scopes_add_allowance(&w.scopes, "FROM excused"));
    cr_expect(scopes_add_allowance(&w.scopes, "FROM nowhere"));
    struct shape *list = shape(&w, "SELECT id FROM l WHERE n > 4711"),
                 *child = shape(&w, "SELECT 'x4711' FROM t WHERE id = 4711");
    struct shape *excused = shape(&w, "SELECT a FROM excused WHERE id = 1");
    scopes_note_list(&w.scopes, list);
    cr_expect_eq(scopes_list(&w.scopes, list->digest), list);
    cr_expect_null(scopes_list(&w.scopes, list->digest + SCOPES_LISTS));
    section_looped(&w.scopes.run, section_lookup(&w.scopes.run, child, 1, 1, false), list);
    cr_expect(scopes_allow(&w.scopes, excused, true));
    cr_expect_not(scopes_allow(&w.scopes, child, true));
    section_looped(&w.scopes.run, section_lookup(&w.scopes.run, excused, 1, 1, true), list);
    report_write(&w.scopes, &out);
    buf_put_u8(&out, 0);
    const char *text = (char *)out.data;
    cr_expect(strstr(text, "1 loops"), "%s", text);
    cr_expect(strstr(text, "FROM t WHERE id = $1") && strstr(text, "FROM l WHERE n > $1"), "%s", text);
    cr_expect_null(strstr(text, "4711"), "%s", text);
    cr_expect_null(strstr(text, "FROM excused"), "%s", text);
    cr_expect(strstr(text, "never needed in the list of what is allowed: FROM nowhere"), "%s", text);
    buf_free(&out);
    end(&w);
}
