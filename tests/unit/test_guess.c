// SPDX-License-Identifier: PostgreSQL
//
// Wrong cancel keys: each is answered later than the one before, places to wait are limited, and sources do
// not stand in for each other. Plain calls with made-up addresses and times.
#include <criterion/criterion.h>

#include <string.h>

#include "proxy/guess.h"

#define SECOND 1000000ULL

static struct source host(unsigned n) {
    struct source s = {.family = 4};
    memcpy(s.bytes, &n, sizeof n);
    return s;
}

static struct link *const someone = (struct link *)16;

Test(guess, each_is_answered_later_than_the_one_before) {
    struct guesses g = {0};
    struct source a = host(1);
    uint64_t now = SECOND, expected[] = {50000, 100000, 200000, 400000, 400000};
    for (size_t i = 0; i < 5; i++) {
        cr_assert(guess_note(&g, &a, someone, now));
        cr_assert_null(guess_due(&g, now + expected[i] - 1));
        now += expected[i];
        cr_assert_eq(guess_due(&g, now), someone);
        cr_assert_null(guess_due(&g, now), "once");
    }
    now += GUESS_FORGET + 1;
    cr_assert(guess_note(&g, &a, someone, now));
    cr_assert_eq(guess_due(&g, now + GUESS_FIRST), someone, "it has been forgotten");
    cr_assert_eq(g.total, 6);
}

Test(guess, a_source_has_its_share_of_places) {
    struct guesses g = {0};
    struct source a = host(1), b = host(2);
    for (int i = 0; i < GUESS_SHARE; i++) {
        cr_assert(guess_is_allowed(&g, &a));
        cr_assert(guess_note(&g, &a, someone, SECOND));
    }
    cr_assert(!guess_is_allowed(&g, &a) && guess_is_allowed(&g, &b));
    cr_assert_not(guess_note(&g, &a, someone, SECOND));
    cr_assert(guess_note(&g, &b, someone, SECOND));
    cr_assert_eq(guess_due(&g, SECOND + GUESS_FIRST), someone);
    cr_assert(guess_is_allowed(&g, &a));
}

// A place is taken for the whole time also by who does not wait.
Test(guess, leaving_makes_no_room) {
    struct guesses g = {0};
    struct source a = host(1);
    for (int i = 0; i < GUESS_SHARE; i++)
        guess_note(&g, &a, someone, SECOND);
    guess_forget_link(&g, someone);
    cr_assert_not(guess_is_allowed(&g, &a));
    cr_assert_null(guess_due(&g, SECOND + GUESS_LONGEST), "none of them is there any more");
    cr_assert(guess_is_allowed(&g, &a));
    cr_assert_eq(g.n_waiting, 0);
}

Test(guess, all_together_have_so_many_places) {
    struct guesses g = {0};
    unsigned n = 0;
    for (unsigned i = 1; i <= 1000; i++) {
        struct source s = host(i);
        n += guess_note(&g, &s, someone, SECOND + i);
    }
    cr_assert_eq(n, GUESS_PLACES);
    struct source other = host(5000);
    cr_assert_not(guess_is_allowed(&g, &other));
    unsigned due = 0;
    while (guess_due(&g, 2 * SECOND))
        due++;
    cr_assert(due == GUESS_PLACES && g.n_waiting == 0 && guess_is_allowed(&g, &other));
}

Test(guess, sources_that_guess_no_more_make_room) {
    struct guesses g = {0};
    for (unsigned i = 1; i <= 1000; i++) {
        struct source s = host(i);
        cr_assert(guess_note(&g, &s, someone, i * SECOND));
        cr_assert_eq(guess_due(&g, i * SECOND + GUESS_FIRST), someone);
    }
}
