// SPDX-License-Identifier: PostgreSQL
//
// What parsing new texts may cost: one session alone, beside others, what is forgotten with time, and what
// comes again. Made-up costs and times.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/cost.h"
#include "batching/statement/ration.h"

#define MS     1000000u   // nanoseconds
#define SECOND 1000000ull // microseconds

struct many {
    struct rations all;
    struct ration own[100];
    uint64_t now, next; // the next text's hash
};

static struct many *many(uint64_t per_second) {
    struct many *m = calloc(1, sizeof *m);
    rations_limit(&m->all, per_second);
    m->now = 50 * SECOND;
    return m;
}

static bool text(struct many *m, int session, uint64_t hash, uint32_t cost) {
    rations_begin(&m->all, &m->own[session], m->now);
    bool may = rations_may(&m->all, hash);
    if (may)
        rations_spend(&m->all, cost);
    return may;
}

static uint64_t new_hash(struct many *m) {
    return ++m->next * 0x9e3779b97f4a7c15;
}

// New texts of 1 ms each, until one is refused.
static int burst(struct many *m, int session) {
    int n = 0;
    while (n < 10000 && text(m, session, new_hash(m), MS))
        n++;
    return n;
}

Test(ration, without_a_limit_everything_is_granted) {
    struct many *m = many(0);
    cr_assert_eq(burst(m, 0), 10000);
    rations_limit(&m->all, 250000);
    rations_begin(&m->all, NULL, m->now);
    cr_assert(rations_may(&m->all, 1));
    free(m);
}

// 250 ms a second, remembered for two: 500 ms at most. Of these one session gets half, less the part that is
// kept for what comes again: x = 3/4 (500 - x).
Test(ration, one_session_gets_a_part_at_once) {
    struct many *m = many(250000);
    int n = burst(m, 0);
    cr_assert(n > 205 && n < 225, "%d", n);
    free(m);
}

Test(ration, another_session_has_a_part_beside_a_greedy_one) {
    struct many *m = many(250000);
    (void)burst(m, 0);
    int n = burst(m, 1);
    cr_assert(n > 110 && n < 140, "%d", n);
    free(m);
}

Test(ration, another_session_has_a_part_beside_fifty) {
    struct many *m = many(250000);
    for (int round = 0; round < 50; round++, m->now += 20000)
        for (int i = 0; i < 50; i++)
            while (text(m, i, new_hash(m), MS / 10))
                ;
    int n = 0;
    while (text(m, 99, new_hash(m), MS / 10))
        n++;
    cr_assert(n > 30, "%d tenths", n);
    free(m);
}

// New texts all the time: what one session gets for good, and fifty together.
static uint64_t for_good(int sessions) {
    struct many *m = many(250000);
    uint64_t granted = 0;
    for (uint64_t end = m->now + 20 * SECOND; m->now < end; m->now += 1000)
        for (int i = 0; i < sessions; i++)
            for (int k = 0; k < 5 && text(m, i, new_hash(m), MS); k++)
                granted += m->now > end - 10 * SECOND;
    free(m);
    return granted / 10; // milliseconds in each of the last ten seconds
}

Test(ration, for_good_it_is_what_the_setting_says) {
    uint64_t one = for_good(1), fifty = for_good(50);
    cr_assert(one > 95 && one < 120, "%lu", (unsigned long)one);
    cr_assert(fifty > 230 && fifty < 260, "%lu", (unsigned long)fifty);
}

Test(ration, an_idle_second_gives_a_part_back_and_ten_give_all) {
    struct many *m = many(250000);
    int first = burst(m, 0);
    m->now += SECOND;
    int second = burst(m, 0);
    cr_assert(second > first / 4 && second < first / 2, "%d %d", first, second);
    m->now += 20 * SECOND;
    int later = burst(m, 0);
    cr_assert(abs(later - first) <= 2, "%d %d", first, later);
    m->now += 1000000 * SECOND;
    later = burst(m, 0);
    cr_assert(abs(later - first) <= 2, "%d %d", first, later);
    free(m);
}

// Beside texts that never come again, one that does is granted, in a later turn and not in the same one.
Test(ration, what_comes_again_goes_first) {
    struct many *m = many(250000);
    (void)burst(m, 0);
    uint64_t again = new_hash(m);
    cr_assert_not(text(m, 0, again, MS));
    cr_assert_not(text(m, 0, again, MS));
    m->now++;
    cr_assert_not(text(m, 0, new_hash(m), MS));
    cr_assert(text(m, 0, again, MS));
    free(m);
}

// Five hundred statements of 200 microseconds at once are nothing; five thousand are known within seconds.
Test(ration, an_application_that_starts_is_known_soon) {
    struct many *m = many(250000);
    bool known[5000] = {false};
    int n_known = 0, rounds = 0;
    for (int i = 0; i < 500; i++)
        cr_assert(text(m, 0, (uint64_t)i + 1000000, 200000));
    m->now += 60 * SECOND;
    for (; n_known < 5000 && rounds < 100; rounds++)
        for (int i = 0; i < 5000; i++, m->now += 200)
            if (!known[i] && text(m, 0, (uint64_t)(i + 1) * 0x9e3779b97f4a7c15, 200000))
                n_known += known[i] = true;
    cr_assert(rounds <= 9, "%d", rounds); // of a second each
    free(m);
}

Test(ration, work_that_is_done_anew_counts) {
    struct many *m = many(1000);
    rations_begin(&m->all, &m->own[0], m->now);
    cr_assert(rations_may_work(&m->all));
    rations_spend(&m->all, 10ull * UINT32_MAX); // more than can be counted
    cr_assert_not(rations_may_work(&m->all));
    cr_assert_not(rations_may(&m->all, 1));
    m->now += 100 * SECOND;
    rations_begin(&m->all, &m->own[0], m->now);
    cr_assert(rations_may_work(&m->all));
    free(m);
}

// ---- prices

static uint32_t cost(const char *text) {
    return cost_of_parse(text, strlen(text));
}

static uint32_t cost_of_many(const char *start, const char *unit) {
    char text[8192];
    size_t n = (size_t)sprintf(text, "%s", start);
    for (; n + strlen(unit) < sizeof text; n += strlen(unit))
        memcpy(text + n, unit, strlen(unit));
    return cost_of_parse(text, n);
}

Test(cost, it_goes_by_tokens_and_not_by_bytes) {
    cr_expect(cost("SELECT a FROM t WHERE id = $1") < 40000);
    cr_expect(cost_of_many("SELECT a FROM t WHERE a = '", "xxxxx") < 200000); // one long string
    cr_expect(cost_of_many("SELECT a -- ", "x y z") < 200000);
    cr_expect(cost_of_many("SELECT a FROM t WHERE a IN (1", ", 1") < 7 * MS);
    cr_expect(cost_of_many("SELECT a", ", t0.some_column AS some_alias") < 4 * MS);
    cr_expect(cost_of_many("SELECT a FROM t WHERE (a = 1)", " OR (a = 1 AND b = 1)") < 8 * MS);
    cr_expect(cost_of_many("SELECT a", ",a+a") > 12 * MS);
}
