// SPDX-License-Identifier: PostgreSQL
//
// Mode observe's dry queue: which lookups would have gone together, and in how many statements.
#include <criterion/criterion.h>

#include "batching/fold/dry_queue.h"

static const struct dry_limits limits = {.max_in_flight = 2, .max_keys = 100, .spacing = UINT64_MAX};

struct run {
    struct dry_queue q;
    uint64_t batches; // of several lookups
    unsigned alone, folded;
};

static uint64_t come(struct run *r, uint64_t now) {
    return dry_queue_add(&r->q, &limits, now, &r->batches);
}

static void end_turn(struct run *r, uint64_t now) {
    r->batches += dry_queue_turn(&r->q, &limits, now, false);
}

static void answered(struct run *r, uint64_t batch, uint64_t took) {
    if (dry_queue_answered(&r->q, batch, took))
        r->folded++;
    else
        r->alone++;
}

// Who asks one after the other is alone each time.
Test(dry, one_after_the_other_is_alone) {
    struct run r = {0};
    for (uint64_t now = 1000; now < 101000; now += 1000) {
        uint64_t batch = come(&r, now);
        end_turn(&r, now);
        answered(&r, batch, 900);
    }
    cr_expect_eq(r.alone, 100);
    cr_expect_eq(r.folded, 0);
    cr_expect_eq(r.batches, 0);
}

// What comes in one turn goes together.
Test(dry, a_flight_is_one_batch) {
    struct run r = {0};
    uint64_t batch[10];
    for (int i = 0; i < 10; i++)
        batch[i] = come(&r, 1000);
    end_turn(&r, 1000);
    for (int i = 0; i < 10; i++)
        answered(&r, batch[i], 900);
    cr_expect_eq(r.folded, 10);
    cr_expect_eq(r.batches, 1);
}

// Fifty come one by one: two go alone, and the others wait until the first of these is answered.
Test(dry, a_burst_is_two_and_a_batch) {
    struct run r = {.q = {.takes = 1000}};
    uint64_t batch[50];
    for (uint64_t i = 0; i < 50; i++) {
        batch[i] = come(&r, 1000 + i);
        end_turn(&r, 1000 + i);
    }
    end_turn(&r, 2001);
    for (int i = 0; i < 50; i++)
        answered(&r, batch[i], 1000);
    cr_expect_eq(r.alone, 2);
    cr_expect_eq(r.folded, 48);
    cr_expect_eq(r.batches, 1);
}

// Sixteen clients that ask again when they are answered: eight of them in each of two batches under way.
Test(dry, clients_that_ask_again_share_what_is_under_way) {
    struct run r = {.q = {.takes = 1000}};
    for (uint64_t round = 1; round <= 100; round++) {
        uint64_t batch[16];
        for (uint64_t i = 0; i < 16; i++) {
            batch[i] = come(&r, round * 1000 + i * 60);
            end_turn(&r, round * 1000 + i * 60);
        }
        for (int i = 0; i < 16; i++)
            answered(&r, batch[i], 1000);
    }
    uint64_t sent = r.batches + r.alone;
    cr_expect(sent >= 190 && sent <= 220, "%u statements of 1600", (unsigned)sent);
}

// A lookup that waited, and had its answer before another one joined it, is the statement of their batch.
Test(dry, no_statement_counts_twice) {
    struct run r = {.q = {.takes = 1000}};
    uint64_t first = come(&r, 1000);
    end_turn(&r, 1000);
    uint64_t second = come(&r, 1001);
    end_turn(&r, 1001);
    uint64_t third = come(&r, 1002);
    end_turn(&r, 1002);
    answered(&r, first, 1000);
    answered(&r, second, 1000);
    answered(&r, third, 1000);
    uint64_t fourth = come(&r, 1003);
    end_turn(&r, 2100);
    answered(&r, fourth, 1000);
    cr_expect_eq(third, fourth);
    cr_expect_eq(r.alone + r.batches, 3);
}

// A batch has room for so many.
Test(dry, a_batch_is_full) {
    struct run r = {.q = {.takes = 1000}};
    for (int i = 0; i < 250; i++)
        (void)come(&r, 1000);
    end_turn(&r, 1000);
    cr_expect_eq(r.batches, 2);
    end_turn(&r, 2000);
    cr_expect_eq(r.batches, 3);
}

// In a window nothing goes before it is over.
Test(dry, a_window_gathers) {
    static const struct dry_limits window = {
        .window = 500, .max_in_flight = 2, .max_keys = 100, .spacing = UINT64_MAX};
    struct dry_queue q = {0};
    uint64_t batches = 0;
    for (uint64_t i = 0; i < 5; i++) {
        (void)dry_queue_add(&q, &window, 1000 + 100 * i, &batches);
        batches += dry_queue_turn(&q, &window, 1000 + 100 * i, false);
    }
    cr_expect_eq(batches, 0);
    batches += dry_queue_turn(&q, &window, 1500, false);
    cr_expect_eq(batches, 1);
}

// To a far server the next batch goes out before the answers to those under way have come back.
Test(dry, a_far_server_has_more_under_way) {
    static const struct dry_limits far = {.max_in_flight = 2, .max_keys = 100, .spacing = 100};
    struct dry_queue q = {.takes = 10000};
    uint64_t batches = 0;
    for (uint64_t i = 0; i < 50; i++) {
        (void)dry_queue_add(&q, &far, 1000 + 20 * i, &batches);
        batches += dry_queue_turn(&q, &far, 1000 + 20 * i, false);
    }
    cr_expect(batches >= 8 && batches <= 10, "%u batches", (unsigned)batches);
}
