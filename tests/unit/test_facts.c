// SPDX-License-Identifier: PostgreSQL
//
// Facts about a whole database: when they are asked for, how long they are believed, and which writes they
// let pass. The server's answers are made up, row by row.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/trust/facts.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_write.h"
#include "batching/statement/parsed.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"

#define SECOND  1000000ull
#define MAX_AGE (60 * SECOND)

static void row(struct facts *f, const char *value) {
    struct buf b = buf_make(1000);
    put_text_row(&b, &value, 1);
    facts_row(f, (struct slice){b.data + 5, b.len - 5});
    buf_free(&b);
}

static bool ask(struct facts *f, uint64_t now, uint64_t generation) {
    struct buf b = buf_make(100000);
    bool whole = facts_ask(f, now, generation, MAX_AGE, &b) &&
                 !memmem(b.data, b.len, " OPERATOR(pg_catalog.<>) '1", 27);
    buf_free(&b);
    return whole;
}

// The answer to a question: its bound, settings, the stamp, …
static void answer_stamp(struct facts *f, const char *stamp) {
    facts_next(f);
    row(f, "off");
    facts_next(f);
    row(f, stamp);
    facts_next(f);
}

// … and the names.
static void answer(struct facts *f, uint64_t now, const char *stamp, const char *const *names) {
    answer_stamp(f, stamp);
    for (; names && *names; names++)
        row(f, *names);
    facts_next(f);
    facts_answered(f, now, true);
}

static const char *const some[] = {"dirty", "f", "###", NULL};

static struct facts known_facts(const char *const *names) {
    struct facts f = {0};
    cr_assert(ask(&f, SECOND, 1));
    answer(&f, SECOND, "1,2|3", names);
    return f;
}

static bool is_clean(const struct facts *f, const char *sql) {
    struct parsed *p = parse_write(sql, strlen(sql));
    bool clean = facts_say_clean(f, 1, p);
    parsed_destroy(p);
    return clean;
}

Test(facts, nothing_is_known_before_the_answer) {
    struct facts f = {0};
    cr_assert(facts_are_due(&f, 1, 1, false) && !facts_are_known(&f, 1) && !is_clean(&f, "DELETE FROM t"));
    cr_assert(ask(&f, SECOND, 1));
    cr_assert_not(facts_are_due(&f, 5 * SECOND, 1, true), "one question at a time");
    answer(&f, SECOND, "1,2|3", NULL);
    cr_assert(facts_are_known(&f, 1) && is_clean(&f, "DELETE FROM t"));
    facts_free(&f);
}

static const struct {
    const char *sql;
    bool clean;
} writes[] = {
    {"INSERT INTO t VALUES (1)", true},
    {"INSERT INTO dirty VALUES (1)", false},
    {"INSERT INTO \"dirty\" VALUES (1)", false},
    {"INSERT INTO \"Dirty\" VALUES (1)", true},
    {"INSERT INTO s.DIRTY VALUES (1)", false},
    {"INSERT INTO t SELECT a FROM dirty", false},
    {"DELETE FROM t USING u, dirty d", false},
    {"UPDATE t SET a = f(a)", false},
    {"UPDATE t SET a = t.f", false},
    {"UPDATE t SET a = (t).F", false},
    {"UPDATE t SET a = 1 WHERE a ### 2", false},
    {"UPDATE t SET a = 1 WHERE a OPERATOR(s.###) 2", false},
    {"UPDATE t SET a = '1'::dirty", false},
    {"UPDATE t SET a = CAST(1 AS dirty)", false},
    {"UPDATE t SET a = 'dirty f ###' WHERE b = 1", true},
    {"UPDATE t SET gr\xc3\xbc\xc3\x9f"
     "e = 1",
     true},
};

Test(facts, a_write_is_clean_when_it_names_nothing_of_these) {
    struct facts f = known_facts(some);
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        cr_expect_eq(is_clean(&f, writes[i].sql), writes[i].clean, "%s", writes[i].sql);
    facts_free(&f);
}

Test(facts, other_names_are_another_edition) {
    static const char *const more[] = {"a", "dirty", NULL}, *const turned[] = {"dirty", "a", NULL};
    struct facts f = known_facts(some);
    uint64_t first = f.editions;
    cr_assert(ask(&f, 100 * SECOND, 1));
    answer(&f, 100 * SECOND, "1,2|4", more);
    cr_assert_eq(f.editions, first + 1);
    cr_assert(ask(&f, 200 * SECOND, 1));
    answer(&f, 200 * SECOND, "1,2|5", turned);
    cr_assert_eq(f.editions, first + 1, "the same names");
    facts_free(&f);
}

Test(facts, names_in_other_letters_are_one_for_all) {
    static const char *const names[] = {"a", NULL, NULL};
    struct facts f = {0};
    cr_assert(ask(&f, SECOND, 1));
    answer_stamp(&f, "1|2");
    row(&f, names[0]);
    row(&f, NULL);
    facts_next(&f);
    facts_answered(&f, SECOND, true);
    cr_assert(is_clean(&f, "DELETE FROM t") && !is_clean(&f, "UPDATE t SET \xc3\xbc = 1"));
    facts_free(&f);
}

// Nobody need write the operator of IN or ORDER BY, nor the type of a constant.
Test(facts, some_names_mean_all) {
    static const char *const all[] = {"", "=", "<", "~~", "int4", "text"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *names[] = {"a", all[i], NULL};
        struct facts f = known_facts(names);
        cr_expect(facts_are_known(&f, 1) && !is_clean(&f, "DELETE FROM t"), "%s", all[i]);
        facts_free(&f);
    }
}

Test(facts, too_many_names_mean_all) {
    struct facts f = {0};
    char name[20];
    cr_assert(ask(&f, SECOND, 1));
    answer_stamp(&f, "1|2");
    for (int i = 0; i <= FACTS_MAX_NAMES; i++) {
        snprintf(name, sizeof name, "n%d", i);
        row(&f, name);
    }
    facts_next(&f);
    facts_answered(&f, SECOND, true);
    cr_assert(f.set.n == FACTS_MAX_NAMES && !is_clean(&f, "DELETE FROM t"));
    facts_free(&f);
}

Test(facts, an_answer_that_is_not_whole_is_none) {
    for (int cut = 0; cut < 5; cut++) {
        struct facts f = known_facts(some);
        (void)ask(&f, 100 * SECOND, 1);
        for (int i = 0; i < cut && i < 3; i++) {
            if (i == 1)
                row(&f, cut == 4 ? "1'2" : "1|2");
            facts_next(&f);
        }
        facts_answered(&f, 100 * SECOND, cut != 3);
        cr_expect(!facts_are_known(&f, 1), "%d", cut);
        cr_expect(!facts_are_due(&f, 100 * SECOND + 1, 1, false) &&
                  facts_are_due(&f, 102 * SECOND, 1, false));
        facts_free(&f);
    }
}

Test(facts, they_are_asked_for_again) {
    struct facts f = known_facts(some);
    cr_assert_not(facts_are_due(&f, SECOND + SECOND / 2, 1, true), "fresh");
    cr_assert(facts_are_due(&f, 3 * SECOND, 1, true) && !facts_are_due(&f, 3 * SECOND, 1, false));
    cr_assert_not(ask(&f, 3 * SECOND, 1), "the names only with another stamp");
    answer(&f, 3 * SECOND, "1,2|3", NULL);
    cr_assert_not(is_clean(&f, "DELETE FROM dirty"), "they stay");
    cr_assert_not(ask(&f, 5 * SECOND, 1));
    answer(&f, 5 * SECOND, "1,3|3", NULL);
    cr_assert(is_clean(&f, "DELETE FROM dirty"));
    cr_assert(ask(&f, 5 * SECOND + 2 * MAX_AGE, 1), "what was altered shows in no stamp");
    answer(&f, 5 * SECOND + 2 * MAX_AGE, "1,3|3", some);
    cr_assert_not(is_clean(&f, "DELETE FROM dirty"));
    facts_free(&f);
}

Test(facts, a_change_of_definitions_ends_them) {
    struct facts f = known_facts(some);
    cr_assert(facts_are_due(&f, 2 * SECOND, 2, false) && !facts_are_known(&f, 2));
    cr_assert(ask(&f, 2 * SECOND, 2));
    cr_assert_not(facts_are_known(&f, 3), "one meanwhile, too");
    answer(&f, 2 * SECOND, "1,2|3", NULL);
    cr_assert(facts_are_known(&f, 2) && !facts_are_known(&f, 3));
    facts_free(&f);
}

Test(facts, another_stamp_ends_them) {
    struct facts f = known_facts(some);
    cr_assert_not_null(strstr(facts_stamp_expression(), "pg_catalog.pg_proc"));
    facts_check_stamp(&f, text_slice("1,2"));
    cr_assert(facts_are_known(&f, 1));
    facts_check_stamp(&f, text_slice("1,2|3"));
    cr_assert_not(facts_are_known(&f, 1));
    facts_free(&f);
    f = known_facts(some);
    facts_check_stamp(&f, text_slice("1"));
    cr_assert_not(facts_are_known(&f, 1));
    facts_free(&f);
}
