// SPDX-License-Identifier: PostgreSQL
//
// What follows a list: how often it must have come, and what becomes of guesses that were in vain.
#include <criterion/criterion.h>

#include "batching/ahead/followers.h"
#include "batching/ahead/place.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

#define LIST UINT64_C(77)

struct world {
    struct account all;
    struct followers t;
    struct trail trail;
    struct trail_result *lists[64]; // the newest last
    unsigned n;
    struct shape shape;
    struct association associations[ASSOCIATIONS];
    struct group group;
    uint8_t key[4];
};

static void begin(struct world *w) {
    *w = (struct world){.group = {.id = 5, .n_parts = 1}};
    w->t.memory.parent = &w->all;
    w->shape.associations = w->associations;
    w->group.shape = &w->shape;
    w->group.cache_key = w->key;
    w->group.cache_key_len = sizeof w->key;
    trail_init(&w->trail, 1 << 20);
}

static void end(struct world *w) {
    followers_finish(&w->t);
    trail_clear(&w->trail);
    cr_expect_eq(w->all.used, 0);
}

// The list is read, with these tags and so many rows; `came`: and gone through.
static void read_any(struct world *w, bool came, uint16_t tags, uint8_t rows) {
    struct trail_columns c = {.n = 1, .n_row = 1, .list = LIST, .source = 3, .tags = tags};
    c.columns[0] = (struct trail_column){.kind = TRAIL_INTEGER, .type = 23, .table = 9, .attribute = 1};
    struct trail_result *r = trail_add(&w->trail, &c);
    cr_assert(r);
    w->trail.recorder.serial = 0;
    struct key k = {.kind = KEY_PLAIN};
    for (uint8_t i = 1; i <= rows; i++) {
        k.of.bytes[7] = i;
        trail_add_row(&w->trail, r, &k);
    }
    followers_read(&w->t, &w->trail, r);
    struct guess guess = {.trail = &w->trail, .result = r, .association = w->associations};
    if (came)
        followers_came(&w->t, &w->group, &guess, (const uint8_t *)"unit", 4);
}

static void read_tagged(struct world *w, bool came, uint16_t tags) {
    read_any(w, came, tags, 3);
}

static void read_rows(struct world *w, bool came, uint8_t rows) {
    read_any(w, came, 0, rows);
}

static void read_list(struct world *w, bool came) {
    read_tagged(w, came, 0);
}

static bool is_likely(struct world *w) {
    const struct followed *l = followers_of(&w->t, LIST);
    return l && follower_is_likely(&l->all[0]);
}

Test(followers, two_in_a_row) {
    struct world w;
    begin(&w);
    read_list(&w, false);
    cr_expect_null(followers_of(&w.t, LIST));
    read_list(&w, true);
    cr_expect(!is_likely(&w));
    read_list(&w, true);
    cr_expect(is_likely(&w));
    cr_expect_eq(followers_of(&w.t, LIST)->all[0].keys, 3);
    read_list(&w, false);
    cr_expect(!follower_is_proven(&followers_of(&w.t, LIST)->all[0]));
    cr_expect(is_likely(&w)); // it may still come
    read_list(&w, false);
    cr_expect(!is_likely(&w)); // it has not
    end(&w);
}

Test(followers, one_reading_counts_once) {
    struct world w;
    begin(&w);
    read_list(&w, true);
    struct guess guess = {.trail = &w.trail, .result = w.trail.results, .association = w.associations};
    for (int i = 0; i < 3; i++)
        followers_came(&w.t, &w.group, &guess, (const uint8_t *)"unit", 4);
    cr_expect(!is_likely(&w));
    end(&w);
}

Test(followers, what_was_in_vain_waits_longer_each_time) {
    struct world w;
    unsigned sent[3] = {0};
    begin(&w);
    for (int i = 0; i < 200; i++) {
        if (is_likely(&w)) {
            sent[i < 20 ? 0 : i < 100 ? 1 : 2]++;
            followers_ended(&w.t, LIST, w.group.id, 10, 1, false);
        }
        read_list(&w, true);
    }
    cr_expect_leq(sent[0], 3);
    cr_expect_leq(sent[1], 3);
    cr_expect_leq(sent[2], 2);
    end(&w);
}

// Who does not go through the list is not sent what follows it a second time.
Test(followers, a_list_that_was_left) {
    struct world w;
    begin(&w);
    for (int i = 0; i < 4; i++)
        read_list(&w, true);
    const struct followed *l = followers_of(&w.t, LIST);
    cr_expect(!follower_was_left(l, &l->all[0], &w.trail));
    read_rows(&w, false, 1);
    cr_expect(!follower_was_left(l, &l->all[0], &w.trail), "of one row nothing is known");
    read_list(&w, true);
    cr_expect(is_likely(&w));
    read_list(&w, false);
    cr_expect(follower_was_left(l, &l->all[0], &w.trail));
    end(&w);
}

// A list may have no row, or one.
Test(followers, a_list_without_rows_says_nothing) {
    struct world w;
    begin(&w);
    for (int i = 0; i < 4; i++)
        read_list(&w, true);
    followers_ended(&w.t, LIST, w.group.id, 0, 0, false);
    cr_expect(is_likely(&w));
    read_rows(&w, false, 1);
    read_list(&w, true);
    cr_expect(is_likely(&w));
    end(&w);
}

// A busy machine makes it late; a page that always pauses does, too.
Test(followers, what_is_late_is_sent_again_unless_it_always_is) {
    struct world w;
    unsigned sent = 0;
    begin(&w);
    for (int i = 0; i < 5; i++)
        read_list(&w, true);
    for (int i = 0; i < 9; i++) {
        followers_ended(&w.t, LIST, w.group.id, 10, i % 3 == 2 ? 10 : 0, i % 3 != 2);
        cr_expect(is_likely(&w), "%d", i);
    }
    for (int i = 0; i < 100; i++) {
        if (is_likely(&w))
            followers_ended(&w.t, LIST, w.group.id, 10, 0, true), sent++;
        read_list(&w, true);
    }
    cr_expect_leq(sent, 12);
    end(&w);
}

Test(followers, what_memory_has_no_room_for_is_not_noted) {
    struct world w;
    begin(&w);
    static const uint8_t unit[16384];
    for (int short_of = 0; short_of < 2; short_of++) {
        account_set_limit(&w.all, short_of ? sizeof unit : 16 * sizeof unit);
        w.group.id += (uint64_t)short_of;
        read_list(&w, false);
        struct guess guess = {.trail = &w.trail, .result = w.trail.results, .association = w.associations};
        followers_came(&w.t, &w.group, &guess, unit, sizeof unit);
        const struct followed *l = followers_of(&w.t, LIST);
        cr_assert(l);
        cr_expect_eq(l->all[short_of].group, short_of ? 0 : 5);
    }
    end(&w);
}

Test(followers, keys_of_which_a_part_is_no_columns_are_not_followed) {
    struct world w;
    begin(&w);
    read_list(&w, false);
    w.group.n_parts = 2;
    struct guess guess = {
        .trail = &w.trail, .result = w.trail.results, .association = w.associations, .columns = {0, -1}};
    followers_came(&w.t, &w.group, &guess, (const uint8_t *)"unit", 4);
    cr_expect_null(followers_of(&w.t, LIST));
    end(&w);
}

// Two pages read the list by turns, and one goes through it.
Test(followers, tags_tell_pages_apart) {
    struct world w;
    begin(&w);
    for (int i = 0; i < 6; i++)
        read_tagged(&w, i % 2, i % 2 ? 8 : 9);
    const struct followed *page = followers_with(&w.t, LIST, 8), *other = followers_with(&w.t, LIST, 9);
    cr_expect(follower_is_likely(&page->all[0]));
    cr_expect_eq(other->source, LIST);
    cr_expect(!follower_is_likely(&other->all[0]));
    end(&w);
}
