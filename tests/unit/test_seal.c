// SPDX-License-Identifier: PostgreSQL
//
// Seals: when a folded statement may prove itself instead of being checked, and what happens when it could
// not. Plain calls.
#include <criterion/criterion.h>

#include "batching/trust/seal.h"

#define SECOND 1000000

static struct seal checked(uint64_t read, uint64_t since) {
    return (struct seal){.read = read, .loaded = 3, .process = 77, .since = since};
}

static void run(struct seal_trust *t, unsigned n) {
    while (n--)
        seal_batch_right(t, true);
}

Test(seal, is_used_when_a_later_transaction_was_checked) {
    struct seal_trust t = {0};
    struct seal s = {0}, first = checked(100, 1), same = checked(100, 2), later = checked(101, 3);
    run(&t, 10);
    cr_assert_not(seal_is_usable(&s, &t));
    cr_assert(seal_is_worn(&s, &t), "it was not there when the statement was prepared");
    seal_checked(&s, &first, true, false);
    cr_assert_not(seal_is_usable(&s, &t));
    cr_assert_not(seal_is_worn(&s, &t));
    seal_checked(&s, &same, false, false);
    cr_assert_not(seal_is_usable(&s, &t), "the clock has not moved");
    seal_checked(&s, &later, false, true);
    cr_assert(seal_is_usable(&s, &t));
    cr_assert(s.read == 100 && s.loaded == 3 && s.process == 77 && s.since == 1);
    seal_checked(&s, &later, true, false);
    cr_assert_not(seal_is_usable(&s, &t), "prepared anew");
}

Test(seal, of_a_transaction_of_a_clients_is_none) {
    struct seal_trust t = {0};
    struct seal s = {0}, first = checked(100, 1), later = checked(200, 2);
    run(&t, 10);
    seal_checked(&s, &first, true, true);
    seal_checked(&s, &later, false, false);
    cr_assert_not(seal_is_usable(&s, &t));
    cr_assert(seal_is_worn(&s, &t));
}

Test(seal, is_not_used_where_batches_without_rows_are_usual) {
    struct seal_trust t = {0};
    struct seal s = {.read = 1, .since = 1, .sound = true};
    run(&t, 3);
    cr_assert_not(seal_is_usable(&s, &t));
    run(&t, 1);
    cr_assert(seal_is_usable(&s, &t));
    seal_batch_right(&t, false);
    cr_assert_not(seal_is_usable(&s, &t));
    cr_assert_not(seal_is_worn(&s, &t));
}

// Each time it was broken takes twice as many batches with rows, until a while has passed.
Test(seal, that_was_broken_is_made_anew) {
    struct seal_trust t = {0};
    struct seal old = {.read = 1, .since = 1, .sound = true},
                s = {.read = 2, .since = 2 * SECOND, .sound = true};
    run(&t, 4);
    seal_broken(&t, SECOND);
    run(&t, 4);
    cr_assert(seal_is_usable(&s, &t));
    cr_assert(seal_is_worn(&old, &t));
    for (unsigned i = 0, needed = 8; i < 30; i++, needed = needed < 65536 ? 2 * needed : 65536) {
        seal_broken(&t, SECOND + i);
        run(&t, needed - 1);
        cr_assert_not(seal_is_usable(&s, &t), "%u", i);
        run(&t, 1);
        cr_assert(seal_is_usable(&s, &t), "%u", i);
    }
    seal_broken(&t, 60 * SECOND);
    s.since = 61 * SECOND;
    run(&t, 4);
    cr_assert(seal_is_usable(&s, &t));
}
