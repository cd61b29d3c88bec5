// SPDX-License-Identifier: PostgreSQL
//
// What is sent behind a list. A session reads `list` and looks up each of its ids in `t`, page after page; the test
// answers as a server that is 10 ms away.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/fold/derived.h"
#include "batching/statement/shape.h"
#include "protocol/write.h"
#include "tests/unit/loops.h"

#define FAR 10000

static void setup_far(struct fixture *f) {
    init(f);
    f->limits.with_list = true;
    f->limits.ahead_gap = 1000000;
    f->limits.ahead_age = 1000000;
    start(f);
}

// The least that an answer has taken.
static void be_far(struct fixture *f) {
    f->engine->distance = (struct distance){.began = f->now, .least = FAR};
}

static void pass(struct fixture *f, uint64_t us) {
    f->now += us;
    turn(f, f->now);
}

// The rest of a page whose list was read: all ids are asked for, of which the first ones are sent.
static void loop(struct client *c, int from) {
    for (int key = from; key <= 9; key++)
        cr_expect(is_held(c, key), "%d", key);
    (void)asked(c);
    (void)told(c);
}

// Two pages, by which the loop is learnt.
static void learn(struct client *c) {
    load_and_hold(c);
    loop(c, 3);
    be_far(c->fixture);
    pass(c->fixture, 2000000); // what is held is given up
    list(c, true, 'Z');
    lookup(c, 1);
    bool along = *asked(c) != 'Q';
    if (!along)
        answer(c, 1, 'Z');
    answer_batch(c, along ? 1 : 2, 9, KNOWN, false);
    loop(c, 2);
}

// The reply to the batch behind the list: a row for each key of `covered`, in which the marker is NULL for those of `empty`.
static void answer_derived(struct client *c, const char *covered, const char *empty, bool check) {
    static const char *const row[] = {"10", "16384", "7", "0000000000000005", "77", "1"};
    struct buf *b = &c->from_server;
    put_replies(b, "31");
    buf_put(b, "t\0\0\0\x0a\0\1\0\0\0\x17", 11);
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 3);
    put_column(b, "pgfold_v1", 0);
    put_column(b, "pgfold_m", 0);
    put_column(b, "id", 16384);
    write_end(b, at);
    put_replies(b, "2");
    for (; *covered; covered++) {
        char text[2] = {*covered, 0};
        bool none = strchr(empty, *covered);
        const char *cells[] = {text, none ? NULL : "t", none ? NULL : text};
        put_text_row(b, cells, 3);
    }
    write_select_complete(b, 1);
    put_replies(b, "2");
    if (check)
        put_text_row(b, row, 6);
    write_select_complete(b, 1);
    reply(c, "Z");
}

// The third page: the list goes out, and the batch behind it.
static void send_list(struct client *c) {
    learn(c);
    pass(c->fixture, 2000000);
    (void)asked(c);
    say_query(c, "SELECT id FROM list");
    expect_text(asked(c), "QCPDBEBES");
    cr_expect_eq(counters(c->fixture)->ahead_with_list, 1);
}

static void answer_list(struct client *c) {
    reply_with(c, "LDDDDDDDDDCZ", keys_1_to_9);
    expect_text(told(c), "TDDDDDDDDDCZ");
}

Test(children, they_go_out_with_the_list) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    send_list(c);
    answer_list(c);
    lookup(c, 1); // it waits for what is under way
    expect_text(asked(c), "");
    expect_text(told(c), "");
    answer_derived(c, "123456789", "4", true);
    expect_text(told(c), "TDCZ");
    lookup(c, 4);
    expect_text(told(c), "TCZ"); // it has no row
    for (int key = 5; key <= 9; key++)
        cr_expect(is_held(c, key), "%d", key);
    expect_text(asked(c), "");
    end(&f);
}

Test(children, what_the_server_has_not_looked_up_is_asked_for) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    send_list(c);
    answer_list(c);
    lookup(c, 3);
    answer_derived(c, "12456789", "", true);
    expect_text(asked(c), "Q");
    answer(c, 3, 'Z');
    expect_text(told(c), "TDCZ");
    cr_expect(is_held(c, 4));
    end(&f);
}

Test(children, a_list_that_fails_leads_to_nothing) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    send_list(c);
    reply(c, "EZ");
    expect_text(told(c), "EZ");
    reply(c, "EZ"); // nor can the server run what stands behind it
    cr_expect(!is_held(c, 1));
    expect_text(asked(c), "Q");
    answer(c, 1, 'Z');
    expect_text(told(c), "TDCZ");
    end(&f);
}

Test(children, a_check_that_fails_is_believed) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    send_list(c);
    answer_list(c);
    lookup(c, 1);
    answer_derived(c, "123456789", "", false);
    expect_text(told(c), "");
    (void)asked(c);
    answer(c, 1, 'Z');
    expect_text(told(c), "TDCZ");
    end(&f);
}

// A list that is a lookup itself, by the number of a page.
static void ask_page(struct client *c, int number) {
    char text[64];
    snprintf(text, sizeof text, "SELECT id FROM list WHERE page = %d", number);
    (void)asked(c);
    say_query(c, text);
    turn(c->fixture, c->fixture->now);
}

// Two of these, whose numbers no list has, and which are gone through.
static void learn_pages(struct client *c) {
    const char *yes[] = {"t"};
    prove_read_committed(c);
    for (int i = 0; i < 2; i++) {
        ask_page(c, 1000 + i);
        if (!i) {
            put_text_row(&c->from_server, yes, 1); // it is a plain read
            reply(c, "CZ");
        }
        answer_list(c);
        (void)asked(c);
        if (!i) {
            load_behind(c);
            loop(c, 3);
        } else {
            lookup(c, 1);
            answer_batch(c, 1, 9, KNOWN, false);
            loop(c, 2);
        }
        be_far(c->fixture);
        pass(c->fixture, 2000000);
    }
}

// Its number may be that of a row that was read just now. What follows the list goes behind it all the same, and in front of the
// question about it.
Test(children, a_list_whose_number_is_an_id_is_a_list) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    learn_pages(c);
    ask_page(c, 3);
    expect_text(asked(c), "QCPDBEBES" VETTING);
    answer_list(c);
    answer_derived(c, "123456789", "", true);
    answer_vetting(c);
    loop(c, 1);
    end(&f);
}

// A list that is dear is read first; then its children go out before they are asked for.
Test(children, a_dear_list_is_not_read_twice) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    learn(c);
    pass(&f, 2000000);
    for (struct followed *l = f.engine->followers.newest; l; l = l->older)
        l->took = 3 * FAR;
    (void)asked(c);
    say_query(c, "SELECT id FROM list");
    expect_text(asked(c), "Q");
    reply_with(c, "LDDDDDDDDDCZ", keys_1_to_9);
    expect_text(asked(c), "BEBES");
    end(&f);
}

Test(children, it_can_be_switched_off_and_needs_a_way) {
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        setup_far(&f);
        struct client *c = &f.clients[0];
        learn(c);
        pass(&f, 2000000);
        f.engine->limits.with_list = i;
        f.engine->distance.least = i ? 100 : FAR;
        (void)asked(c);
        say_query(c, "SELECT id FROM list");
        expect_text(asked(c), "Q");
        list(c, true, 'Z');
        end(&f);
    }
}

// What a user has defined may have become something else, which is noticed behind the batch. So such a list is read first, too.
Test(children, a_list_that_runs_what_users_define_is_not_read_twice) {
    struct fixture f;
    setup_far(&f);
    struct client *c = &f.clients[0];
    learn(c);
    pass(&f, 2000000);
    for (struct group *g = f.engine->groups.table; g; g = g->hh.next)
        g->bare = false;
    (void)asked(c);
    say_query(c, "SELECT id FROM list");
    expect_text(asked(c), "Q");
    reply_with(c, "LDDDDDDDDDCZ", keys_1_to_9);
    expect_text(asked(c), "BEBES");
    end(&f);
}

// The same text means something else under other settings, or when a name in it has become another table's.
Test(children, a_statement_is_prepared_again_under_other_settings) {
    XXH128_hash_t names[4];
    for (int i = 0; i < 4; i++) {
        struct derived *d = derived_create();
        cr_assert(d);
        buf_put_text(&d->text, i == 3 ? "SELECT 2" : "SELECT 1");
        derived_named(d, (XXH128_hash_t){.low64 = 7, .high64 = i == 2});
        names[i] = d->name;
        derived_free(d);
    }
    cr_expect(XXH128_isEqual(names[0], names[1]));
    cr_expect(!XXH128_isEqual(names[0], names[2]), "other settings");
    cr_expect(!XXH128_isEqual(names[0], names[3]), "another text");
}
