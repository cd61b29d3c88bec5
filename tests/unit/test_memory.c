// SPDX-License-Identifier: PostgreSQL
//
// Accounts of memory and their ceilings, the limits that follow from one another, and how the cache of
// shapes makes room. Plain calls; sizes are what the accounts say.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/session/room.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"

// ---- accounts

Test(memory, a_child_counts_in_its_parents) {
    struct account all = {0}, session = {.parent = &all}, queue = {.parent = &session};
    account_add(&queue, 100);
    account_add(&session, 10);
    cr_assert_eq(queue.used, 100);
    cr_assert_eq(session.used, 110);
    cr_assert_eq(all.used, 110);
    account_note_peak(&all);
    account_sub(&queue, 100);
    account_sub(&session, 10);
    account_note_peak(&all);
    cr_assert_eq(all.used, 0);
    cr_assert_eq(all.peak, 110);
}

Test(memory, what_is_set_twice_counts_once) {
    struct account all = {0}, a = {.parent = &all};
    size_t weighs = 0;
    account_set(&a, &weighs, 50);
    account_set(&a, &weighs, 70);
    account_set(&a, &weighs, 70);
    cr_assert_eq(all.used, 70);
    account_set(&a, &weighs, 20);
    cr_assert_eq(all.used, 20);
    account_set(&a, &weighs, 0);
    cr_assert_eq(all.used, 0);
    cr_assert_eq(weighs, 0);
}

Test(memory, nothing_is_counted_without_an_account) {
    size_t weighs = 0;
    account_set(NULL, &weighs, 50);
    cr_assert_eq(weighs, 0);
    account_add(NULL, 1);
    account_sub(NULL, 1);
    cr_assert(!account_is_short(NULL, 1));
}

Test(memory, full_is_what_would_pass_the_ceiling) {
    static const struct {
        size_t limit, used, claimed, more;
        bool full;
    } cases[] = {
        {0, 1000, 0, 1000, false}, // no limit
        {100, 0, 0, 100, false},   {100, 0, 0, 101, true},      {100, 100, 0, 0, false},
        {100, 101, 0, 0, true},    {100, 50, 50, 0, false},     {100, 50, 50, 1, true},
        {100, 200, 0, 0, true},    {100, 0, 0, SIZE_MAX, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account a = {.limit = cases[i].limit, .used = cases[i].used, .claimed = cases[i].claimed};
        cr_expect_eq(account_is_full(&a, cases[i].more), cases[i].full, "case %zu", i);
    }
}

Test(memory, short_is_when_an_eighth_is_left_of_all) {
    struct account all = {0}, a = {.parent = &all, .limit = 10};
    account_set_limit(&all, 800);
    account_add(&all, 700);
    cr_assert(!account_is_short(&a, 0));
    cr_assert(account_is_short(&a, 1));
    cr_assert(account_is_short(&all, SIZE_MAX));
    account_set_limit(&all, 0);
    cr_assert(!account_is_short(&a, SIZE_MAX));
}

Test(memory, what_is_left_at_the_end_is_told_and_taken_out) {
    struct account all = {0}, a = {.parent = &all};
    account_add(&a, 30);
    cr_assert_eq(account_close(&a), 30);
    cr_assert_eq(all.used, 0);
    cr_assert_eq(account_close(&a), 0);
}

// ---- limits that follow from others

Test(memory, other_limits_agree_with_those_of_memory) {
    struct engine_limits l = {.max_text = 65536,
                              .max_answer = 8u << 20,
                              .ahead_session = 4u << 20,
                              .ahead_memory = 256u << 20,
                              .max_session = 64u << 20,
                              .max_memory = 1u << 30};
    struct engine_limits defaults = l;
    room_fit_limits(&l); // the defaults fit
    cr_assert_eq(l.max_text, defaults.max_text);
    cr_assert_eq(l.max_answer, defaults.max_answer);
    cr_assert_eq(l.ahead_session, defaults.ahead_session);
    cr_assert_eq(l.ahead_memory, defaults.ahead_memory);
    cr_assert_eq(l.max_session, defaults.max_session);
    cr_assert_eq(l.max_owed, SESSION_MAX_OWED);
    cr_assert_eq(l.max_expected, SESSION_MAX_EXPECTED);
    l.max_memory = 1u << 20;
    room_fit_limits(&l);
    cr_assert_eq(l.max_session, 1u << 18);
    cr_assert_eq(l.max_text, 1u << 16);
    cr_assert_eq(l.max_answer, 1u << 15);
    cr_assert_eq(l.ahead_memory, 1u << 18);
    cr_assert_eq(l.ahead_session, 1u << 16);
    cr_assert_lt(l.max_owed, SESSION_MAX_OWED);
    cr_assert_geq(l.max_owed, 8);
}

Test(memory, without_limits_nothing_is_lowered) {
    struct engine_limits l = {.max_text = 65536, .max_answer = 1u << 30, .ahead_session = 1u << 30};
    room_fit_limits(&l);
    cr_assert_eq(l.max_text, 65536);
    cr_assert_eq(l.max_answer, 1u << 30);
    cr_assert_eq(l.ahead_session, 1u << 30);
    cr_assert_eq(l.max_owed, SESSION_MAX_OWED);
}

// ---- the cache of shapes

static struct shape *look_up(struct shape_cache *c, unsigned i, size_t len, enum reason *why) {
    static const uint8_t types[4] = {0};
    char text[20000];
    const char *sql =
        len > 8192 ? "UPDATE t%u SET a = $1 WHERE c = '" : "SELECT a FROM t%u WHERE b = $1 AND c = '";
    int n = snprintf(text, sizeof text, sql, i);
    memset(text + n, 'x', len);
    text[(size_t)n + len] = '\'';
    return shape_extended(c, (struct slice){(const uint8_t *)text, (size_t)n + len + 1}, 0, types, why);
}

Test(memory, what_was_used_longest_ago_makes_room) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 1000, 20000);
    account_set_limit(&c.memory, 100000);
    const struct shape *first = look_up(&c, 0, 2000, &why);
    for (unsigned i = 1; i < 100; i++) {
        cr_assert(look_up(&c, i, 2000, &why));
        cr_assert_leq(c.memory.used, c.memory.limit);
        cr_assert_eq(look_up(&c, 0, 2000, &why), first, "it is in use");
    }
    cr_assert_gt(c.n, 10);
    cr_assert_lt(c.n, 50);
    shape_cache_finish(&c);
    cr_assert_eq(c.memory.used, 0);
}

Test(memory, what_is_referred_to_stays_and_new_ones_are_refused) {
    struct shape_cache c;
    enum reason why = REASON_NONE;
    struct shape *kept[100];
    unsigned n = 0;
    shape_cache_init(&c, 1000, 20000);
    account_set_limit(&c.memory, 100000);
    for (struct shape *s; n < 100 && (s = look_up(&c, n, 2000, &why)); n++)
        kept[n] = shape_ref(s);
    cr_assert_lt(n, 100);
    cr_assert_eq(why, REASON_MEMORY);
    cr_assert(c.wanting);
    cr_assert_leq(c.memory.used, c.memory.limit);
    size_t used = c.memory.used;
    shape_cache_finish(&c); // those who refer to them keep them alive, and they count
    cr_assert_eq(c.memory.used, used);
    for (unsigned i = 0; i < n; i++)
        shape_unref(kept[i]);
    cr_assert_eq(c.memory.used, 0);
}

// Long ones are writes; what else is too long to be parsed has no shape.
Test(memory, a_long_text_stays_for_who_has_prepared_it) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 1000, 20000);
    struct shape *prepared = shape_ref(look_up(&c, 0, 10000, &why));
    cr_assert(look_up(&c, 1, 10000, &why));
    cr_assert(look_up(&c, 2, 100, &why));
    cr_assert_eq(c.n, 3);
    shape_cache_tidy(&c);
    cr_assert_eq(c.n, 2);
    shape_unref(prepared);
    shape_cache_tidy(&c);
    cr_assert_eq(c.n, 1);
    shape_cache_finish(&c);
    cr_assert_eq(c.memory.used, 0);
}

Test(memory, nothing_new_is_remembered_while_memory_is_short) {
    struct account all = {0};
    struct shape_cache c;
    enum reason why;
    account_set_limit(&all, 100000);
    shape_cache_init(&c, 1000, 20000);
    c.memory.parent = &all;
    cr_assert(look_up(&c, 0, 100, &why));
    account_add(&all, 90000); // somebody else
    cr_assert_null(look_up(&c, 1, 100, &why));
    cr_assert_eq(why, REASON_MEMORY);
    cr_assert_eq(c.n, 0, "what there was has made room");
    account_sub(&all, 90000);
    cr_assert(look_up(&c, 1, 100, &why));
    shape_cache_finish(&c);
    cr_assert_eq(all.used, 0);
}
