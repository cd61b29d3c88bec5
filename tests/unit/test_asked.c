// SPDX-License-Identifier: PostgreSQL
//
// What a session has asked for already (asked.h), and what loading ahead may cost (budget.h). Plain calls;
// time and costs are numbers.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "batching/ahead/asked.h"
#include "batching/ahead/climb.h"
#include "batching/ahead/recent.h"
#include "batching/statement/budget.h"
#include "batching/statement/family.h"
#include "batching/base/hash.h"

static uint64_t hash_of(uint32_t i) {
    return XXH3_64bits(&i, sizeof i);
}

static bool find(const struct asked *a, uint32_t i, struct asked_entry *e) {
    return asked_find(a, hash_of(i), e);
}

Test(asked, what_was_asked_for_is_known_with_the_lists_read_by_then) {
    struct asked a = {0};
    struct asked_entry e;
    cr_assert_not(find(&a, 1, &e));
    asked_note(&a, hash_of(1), 3, 10);
    asked_note(&a, hash_of(2), 4, 10);
    cr_assert(find(&a, 1, &e));
    cr_assert(e.lists == 3 && e.base == 3 && e.loads == 10);
    asked_note(&a, hash_of(1), 5, 11);
    asked_runs(&a, hash_of(1), 12);
    asked_runs(&a, hash_of(7), 12);
    cr_assert(find(&a, 1, &e));
    cr_assert(e.lists == 5 && e.base == 5 && e.loads == 12);
    cr_assert_not(find(&a, 3, &e));
    asked_free(&a);
}

// What was asked while texts were not read may have been anything.
Test(asked, what_is_not_known_may_have_been_asked) {
    struct asked a = {0};
    struct asked_entry e;
    asked_note(&a, hash_of(1), 3, 10);
    asked_mark(&a, hash_of(1), 100);
    asked_note_unread(&a, 5, 12);
    cr_assert(find(&a, 2, &e));
    cr_assert(e.lists == 5 && e.base == 5 && e.loads == 12 && !asked_is_counted(&e, 100));
    cr_assert(find(&a, 1, &e));
    cr_assert(e.lists == 5 && e.base == 5 && e.loads == 12);
    asked_note(&a, hash_of(1), 7, 14);
    cr_assert(find(&a, 1, &e) && e.lists == 7 && e.base == 7 && e.loads == 14);
    asked_mark(&a, hash_of(1), 100);
    cr_assert(find(&a, 1, &e) && e.lists == 7 && e.base == 5, "the lists read since tell of it");
    asked_free(&a);
}

// The lists tell how often it was asked for, as long as each time was noted there, for the same lookups.
Test(asked, what_the_lists_tell) {
    struct asked a = {0};
    struct asked_entry e;
    asked_note(&a, hash_of(1), 3, 0);
    asked_mark(&a, hash_of(1), 100);
    asked_note(&a, hash_of(1), 5, 0);
    asked_mark(&a, hash_of(1), 100);
    cr_assert(find(&a, 1, &e) && e.base == 0 && e.lists == 5);
    asked_note(&a, hash_of(1), 6, 0); // not noted
    cr_assert(find(&a, 1, &e) && e.base == 6);
    asked_note(&a, hash_of(1), 8, 0);
    asked_mark(&a, hash_of(1), 100);
    cr_assert(find(&a, 1, &e) && e.base == 6);
    asked_note(&a, hash_of(1), 9, 0);
    asked_mark(&a, hash_of(1), 101); // by others
    cr_assert(find(&a, 1, &e) && e.base == 9);
    asked_mark(&a, hash_of(2), 101);
    asked_free(&a);
}

// A poller among many other lookups stays known, and memory has an end.
Test(asked, those_asked_for_longest_ago_are_forgotten) {
    struct asked a = {0};
    struct asked_entry e;
    uint32_t known = 0;
    for (uint32_t i = 1; i <= 100 * ASKED_MAX; i++) {
        asked_note(&a, hash_of(i), i, 0);
        if (i % 100 == 0)
            asked_note(&a, hash_of(0), i, 0);
        cr_assert(i < 100 || find(&a, 0, &e));
    }
    cr_assert_leq(a.n_sets * ASKED_WAYS, ASKED_MAX);
    for (uint32_t i = 100 * ASKED_MAX; i > 99 * ASKED_MAX; i--)
        known += find(&a, i, &e) && e.lists == i;
    cr_assert_gt(known, ASKED_MAX / 2);
    asked_free(&a);
}

Test(budget, what_is_not_earned_back_ends) {
    struct budget b = {0};
    unsigned n = 0;
    for (unsigned keys = 100; n < 1000 && (keys = budget_keys(&b, BUDGET_SHAPE, BUDGET_LOOKUP, 8)) > 0; n++)
        budget_spend(&b, BUDGET_LOOKUP + 8 * (keys < 4 ? keys : 4));
    cr_assert_leq(n, BUDGET_SHAPE / BUDGET_LOOKUP);
    budget_earn(&b, UINT32_MAX);
    cr_assert_eq(b.spent, 0);
    budget_spend(&b, UINT64_MAX);
    cr_assert_eq(budget_keys(&b, BUDGET_SHAPE, 0, 1), 0);
}

// Lookups that run as they were sent, with a batch in front of those that can be paid: never a tenth more.
Test(budget, no_loop_costs_more_than_a_tenth) {
    struct budget b = {0};
    uint64_t batches = 0, lookups = 100000;
    for (uint64_t i = 0; i < lookups; i++) {
        budget_earn(&b, BUDGET_SHARE);
        if (budget_keys(&b, BUDGET_SHAPE, BUDGET_LOOKUP, 8) < 4)
            continue;
        budget_spend(&b, BUDGET_LOOKUP + 4 * 8);
        batches++;
    }
    cr_assert_leq(batches, lookups / 10 + BUDGET_SHAPE / BUDGET_LOOKUP);
}

Test(budget, what_a_key_costs) {
    cr_assert_eq(budget_key_cost(0, 0), budget_key_cost(100, 0));
    cr_assert_eq(budget_key_cost(1000, 1000000), BUDGET_LOOKUP, "as much as a lookup");
    cr_assert_eq(budget_key_cost(1000, 9000000), BUDGET_LOOKUP, "never more");
    cr_assert_lt(budget_key_cost(1000, 10000), budget_key_cost(100, 10000));
    cr_assert_gt(budget_key_cost(1000000, 1), 0);
}

// ---- statements that differ in constants only

static uint16_t family(const char *text) {
    return family_of(text, strlen(text));
}

Test(family, constants_make_no_difference) {
    uint16_t f = family("SELECT id, $1 AS t FROM a WHERE b = $2");
    cr_expect_eq(family("SELECT id, 5 AS t FROM a WHERE b = 'x'"), f);
    cr_expect_eq(family("SELECT id,  1.5 AS t FROM a WHERE b = E'\\x' -- a comment"), f);
    cr_expect_neq(family("SELECT id, 5 AS t FROM a WHERE c = 'x'"), f);
    cr_expect_neq(family("SELECT id, 5::int AS t FROM a WHERE b = 'x'"), f);
}

Test(family, a_list_is_one_constant) {
    uint16_t f = family("SELECT 1 FROM a WHERE b IN (1)");
    cr_expect_eq(family("SELECT 1 FROM a WHERE b IN (1, 2,3)"), f);
    cr_expect_neq(family("SELECT 1 FROM a WHERE b IN (1, 2, c)"), f);
    cr_expect_neq(family("SELECT 1, c FROM a WHERE b IN (1)"), f);
}

Test(family, guesses_in_vain_end) {
    struct families *f = calloc(1, sizeof *f);
    unsigned n = 0;
    for (; n < 100 && family_may_guess(f, 7); n++)
        family_guessed(f, 7);
    cr_expect_eq(n, FAMILY_GUESSES);
    cr_expect(family_may_guess(f, 8));
    for (n = 0; n < 1000; n++)
        family_guessed(f, 7);
    family_served(f, 7);
    cr_expect(family_may_guess(f, 7));
    free(f);
}

// ---- the groups of a session's last lookups

Test(recent, the_last_ones_of_each_statement) {
    struct recent r = {0};
    cr_expect_not(recent_has(&r, 0, 0) && recent_has(&r, 3, 1));
    for (uint64_t group = 1; group <= RECENT_GROUPS + 1; group++)
        recent_note(&r, 3, group);
    cr_expect_not(recent_has(&r, 3, 1));
    cr_expect(recent_has(&r, 3, 2) && recent_has(&r, 3, RECENT_GROUPS + 1));
    cr_expect_not(recent_has(&r, 4, 2));
    recent_note(&r, 3, 2);
    recent_note(&r, 3, 100);
    cr_expect(recent_has(&r, 3, 2), "it was used again");
    cr_expect_not(recent_has(&r, 3, 3));
}

Test(recent, other_statements_have_places_of_their_own) {
    struct recent r = {0};
    for (uint16_t family = 0; family < RECENT_FAMILIES; family++)
        recent_note(&r, family, 1u + family);
    for (uint16_t family = 0; family < RECENT_FAMILIES; family++)
        cr_expect(recent_has(&r, family, 1u + family));
    recent_note(&r, 100, 1);
    cr_expect_not(recent_has(&r, 0, 1));
    cr_expect(recent_has(&r, 1, 2) && recent_has(&r, 100, 1));
}

// Each question is one step of a climb, and only the answer before can have named it.
Test(climb, goes_on_from_the_answer_before) {
    struct climb c = {0};
    cr_expect_not(climb_may(&c, 1));
    climb_step(&c, 1, false, 7, 3);
    cr_expect(c.batch == 7 && c.key == 3);
    cr_expect(climb_may(&c, 2));
    cr_expect_not(climb_may(&c, 1), "it names itself");
    climb_asked(&c);
    cr_expect_not(climb_may(&c, 2), "something else was asked");
    cr_expect_eq(c.before, 7);
    climb_step(&c, 2, true, 8, 0);
    cr_expect_not(climb_may(&c, 1), "they name each other");
    cr_expect(climb_may(&c, 3));
    climb_step(&c, 4, false, 9, 0);
    cr_expect(climb_may(&c, 1), "another climb");
}

Test(climb, ends) {
    struct climb c = {0};
    for (uint64_t i = 1; i <= CLIMB_MAX; i++) {
        climb_step(&c, i, i > 1, i, 0);
        cr_expect_eq(climb_may(&c, 100), i < CLIMB_MAX);
    }
    climb_step(&c, 100, true, 100, 0);
    cr_expect_eq(c.n, CLIMB_MAX);
}
