// SPDX-License-Identifier: PostgreSQL
//
// The guard, which leaves alone what folding makes slower. A made-up server says what a lookup takes, alone
// and folded; bursts of lookups are answered as the guard decides, and the test looks at how it ends.
#include <criterion/criterion.h>

#include "batching/statement/guard.h"

struct world {
    struct guard g;
    uint64_t now;
    uint64_t lone, alone, folded; // what a lookup takes
    uint32_t members;
};

static enum guard_state state(struct world *w) {
    return guard_state_at(&w->g, true, w->now);
}

// One burst: answered as the guard says. Returns how that was.
static enum guard_state burst(struct world *w) {
    enum guard_state s = state(w);
    for (uint32_t i = 0; i < w->members && s != GUARD_ALONE; i++)
        guard_note_came(&w->g, w->now);
    w->now += s == GUARD_FOLDING ? w->folded : w->alone;
    if (s == GUARD_FOLDING)
        guard_note_batch(&w->g, w->now, w->members, w->members, w->folded, w->members * w->folded);
    else if (s == GUARD_TRIAL)
        for (uint32_t i = 0; i < w->members; i++)
            guard_note_alone(&w->g, w->now, w->alone);
    for (uint32_t i = 0; i < w->members && s != GUARD_ALONE; i++)
        guard_note_went(&w->g, w->now);
    return s;
}

struct tally {
    unsigned long folded, trial, alone;
};

static struct tally run(struct world *w, uint64_t microseconds) {
    struct tally t = {0};
    for (uint64_t end = w->now + microseconds; w->now < end;) {
        enum guard_state s = burst(w);
        t.folded += s == GUARD_FOLDING;
        t.trial += s == GUARD_TRIAL;
        t.alone += s == GUARD_ALONE;
    }
    return t;
}

Test(guard, what_wins_goes_on_folding) {
    struct world w = {.now = 1000, .lone = 60, .alone = 700, .folded = 300, .members = 32};
    guard_note_lone(&w.g, w.lone);
    struct tally t = run(&w, 100000000);
    cr_assert_eq(t.alone, 0);
    cr_assert_gt(t.folded, 300000);
    cr_assert_leq(t.trial, 300, "%lu trials", t.trial);
}

Test(guard, near_to_a_lone_lookup_there_is_nothing_to_try) {
    struct world w = {.now = 1000, .lone = 1000, .alone = 1100, .folded = 1200, .members = 10};
    guard_note_lone(&w.g, w.lone);
    struct tally t = run(&w, 100000000);
    cr_assert_eq(t.trial + t.alone, 0);
}

// A key without an index: one scan for each key, one after the other.
Test(guard, what_loses_is_run_alone) {
    struct world w = {.now = 1000, .lone = 59000, .alone = 600000, .folded = 1177000, .members = 20};
    guard_note_lone(&w.g, w.lone);
    cr_assert_eq(burst(&w), GUARD_FOLDING);
    cr_assert_eq(burst(&w), GUARD_TRIAL, "the first batch is enough for a doubt");
    struct tally t = run(&w, UINT64_C(600000000));
    cr_assert_gt(t.alone, 20 * t.folded, "%lu alone, %lu folded", t.alone, t.folded);
}

Test(guard, what_becomes_faster_folds_again) {
    struct world w = {.now = 1000, .lone = 59000, .alone = 600000, .folded = 1177000, .members = 20};
    guard_note_lone(&w.g, w.lone);
    run(&w, 60000000);
    w.folded = 3000;
    w.alone = 5000;
    w.lone = 300;
    guard_note_lone(&w.g, w.lone);
    run(&w, 130000000);
    struct tally t = run(&w, 10000000);
    cr_assert_eq(t.alone, 0);
    cr_assert_gt(t.folded, 3000);
}

// A server that is far away: lookups wait for the batches before theirs, which take no longer than a lone
// one.
Test(guard, more_batches_at_once_before_it_gives_up) {
    struct guard g = {0};
    uint64_t now = 1000;
    guard_note_lone(&g, 1000);
    while (now < 30000000) {
        enum guard_state s = guard_state_at(&g, true, now);
        uint64_t wait = 1000 / guard_max_in_flight(&g, 1);
        for (int i = 0; i < 8; i++)
            guard_note_came(&g, now);
        now += s == GUARD_FOLDING ? 1000 + wait : 1000;
        cr_assert_neq(s, GUARD_ALONE);
        if (s == GUARD_FOLDING)
            guard_note_batch(&g, now, 8, 8, 1000, 8 * (1000 + wait));
        else
            for (int i = 0; i < 8; i++)
                guard_note_alone(&g, now, 1000);
        for (int i = 0; i < 8; i++)
            guard_note_went(&g, now);
    }
    cr_assert_eq(guard_max_in_flight(&g, 1), 4);
}

// Answers come earlier as sent, but the machine is busy, and folding gets more of them done.
Test(guard, throughput_counts) {
    struct guard g = {0};
    uint64_t now = 1000;
    guard_note_lone(&g, 60);
    while (now < 30000000) {
        enum guard_state s = guard_state_at(&g, true, now);
        cr_assert_neq(s, GUARD_ALONE);
        for (int i = 0; i < 8; i++)
            guard_note_came(&g, now);
        now += s == GUARD_FOLDING ? 400 : 600;
        if (s == GUARD_FOLDING)
            guard_note_batch(&g, now, 8, 8, 300, 8 * 350);
        else
            for (int i = 0; i < 8; i++)
                guard_note_alone(&g, now, 200);
        for (int i = 0; i < 8; i++)
            guard_note_went(&g, now);
    }
}

// Batches of a far server are 5 ms under way, of which it works a fraction: others may follow meanwhile.
Test(guard, the_way_to_the_server_is_no_work) {
    struct guard g = {0};
    cr_assert_eq(guard_spacing(&g, 5000, 2), UINT64_MAX, "nothing is known of what they take");
    guard_note_lone(&g, 5100);
    cr_assert_eq(guard_spacing(&g, 0, 2), UINT64_MAX, "nor of the way");
    cr_assert_eq(guard_spacing(&g, 5000, 2), 50);
    cr_assert_eq(guard_spacing(&g, 6000, 2), 50, "the way has become shorter");
    guard_note_batch(&g, 1000, 8, 8, 6000, 8 * 6000);
    cr_assert_eq(guard_spacing(&g, 5000, 2), 500);
    cr_assert_eq(guard_spacing(&g, 5000, 4), 250);
    cr_assert_eq(guard_spacing(&g, 3000, 2), UINT64_MAX, "the server is what takes the time");
}

Test(guard, a_trial_without_company_ends) {
    struct world w = {.now = 1000, .lone = 1000, .alone = 600, .folded = 60000, .members = 20};
    guard_note_lone(&w.g, w.lone);
    burst(&w);
    cr_assert_eq(state(&w), GUARD_TRIAL);
    w.now += 6000000;
    cr_assert_eq(state(&w), GUARD_FOLDING);
    cr_assert_eq(state(&w), GUARD_FOLDING, "and is not begun again at once");
}

Test(guard, one_stall_is_no_verdict) {
    struct world w = {.now = 1000, .lone = 60, .alone = 700, .folded = 300, .members = 32};
    guard_note_lone(&w.g, w.lone);
    run(&w, 5000000);
    guard_note_batch(&w.g, w.now, 32, 32, 30000000, 32 * UINT64_C(30000000));
    struct tally t = run(&w, 100000000);
    cr_assert_eq(t.alone, 0);
}

Test(guard, switched_off_it_measures_only) {
    struct world w = {.now = 1000, .lone = 10, .alone = 20, .folded = 10000, .members = 20};
    guard_note_lone(&w.g, w.lone);
    for (int i = 0; i < 100; i++, w.now += 100000) {
        cr_assert_eq(guard_state_at(&w.g, false, w.now), GUARD_FOLDING);
        guard_note_batch(&w.g, w.now, 20, 20, 10000, 200000);
    }
    cr_assert_eq(w.g.n_folded, 2000);
}

Test(guard, answers_too_large_make_smaller_batches) {
    struct guard g = {0};
    cr_assert_eq(guard_max_keys(&g, 1, 500), 500);
    guard_note_oversized(&g, 1, 400);
    cr_assert_eq(guard_max_keys(&g, 1, 500), 200);
    cr_assert_eq(guard_max_keys(&g, 1, 100), 100);
    guard_note_oversized(&g, 2, 200);
    cr_assert_eq(guard_max_keys(&g, 2, 500), 100);
    cr_assert_eq(guard_state_at(&g, true, 2), GUARD_FOLDING);
    guard_note_oversized(&g, 3, 2);
    cr_assert_eq(guard_state_at(&g, true, 3), GUARD_ALONE);
    cr_assert_str_eq(guard_state_name(&g), "alone, its answers are too large");
    cr_assert_eq(guard_state_at(&g, true, 10000000), GUARD_FOLDING);
    cr_assert_eq(guard_max_keys(&g, 10000000, 500), 500);
}

Test(guard, values_out_of_all_bounds) {
    struct guard g = {0};
    guard_note_lone(&g, UINT64_MAX);
    guard_note_lone(&g, 0);
    guard_note_alone(&g, 1, UINT64_MAX);
    guard_note_batch(&g, 1, 2, 2, UINT64_MAX, UINT64_MAX);
    guard_note_batch(&g, 1, 0, 0, 0, 0);
    cr_assert_neq(guard_state_at(&g, true, 1), GUARD_ALONE);
}

// A pool's page: the first lookups of each kind go in a batch of two, the others in a large one. Each takes longer on a busy machine.
Test(guard, small_batches_among_large_ones_are_no_doubt) {
    struct world small = {.now = 1000, .folded = 3500, .members = 2};
    guard_note_lone(&small.g, 1800);
    for (int i = 0; i < 1000; i++) {
        struct world large = {.g = small.g, .now = small.now, .folded = 4500, .members = 20};
        cr_assert_eq(burst(&large), GUARD_FOLDING);
        small.g = large.g;
        small.now = large.now;
        cr_assert_eq(burst(&small), GUARD_FOLDING);
    }
}

// What is compared the second time was measured since the first one: the batches before it were those of cold caches.
Test(guard, cold_batches_are_not_counted_twice) {
    struct world w = {.now = 1000, .lone = 1800, .alone = 5000, .folded = 30000, .members = 20};
    guard_note_lone(&w.g, w.lone);
    cr_assert_eq(burst(&w), GUARD_FOLDING);
    while (state(&w) == GUARD_TRIAL)
        burst(&w);
    cr_assert(w.g.once, "lost once");
    w.folded = 4000;
    for (int i = 0; i < 20; i++) { // pages with pauses between them
        w.now += 100000;
        cr_assert_neq(burst(&w), GUARD_ALONE);
    }
}

// The first batches of a new connection are slow, and so are small ones of a busy machine.
Test(guard, what_is_cold_or_small_is_no_doubt) {
    struct guard g = {0};
    guard_note_lone(&g, 60);
    for (int i = 0; i < 100; i++) {
        guard_note_first_batch(&g, 20);
        guard_note_batch(&g, 1000, 2, 2, 900, 1800);
        cr_assert_eq(guard_state_at(&g, true, 1000), GUARD_FOLDING);
    }
    cr_assert_eq(g.n_folded, 2200);
}
