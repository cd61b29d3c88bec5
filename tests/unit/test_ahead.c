// SPDX-License-Identifier: PostgreSQL
//
// Lookahead: what is loaded before it is asked for, what is answered from it, and what throws it away.
//
// Sessions of the fixture go through a loop (loops.h). At the end of each conversation every key that was loaded has had exactly
// one end: answered, unused or stale.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/flow/turn.h"
#include "batching/session/thrift.h"
#include "batching/statement/shape.h"
#include "protocol/write.h"
#include "tests/unit/loops.h"

// The list is read again and again, and each time one of its ids is looked up.
Test(ahead, one_lookup_behind_each_list_is_no_loop) {
    static const int keys[] = {1, 5, 2, 2, 9, 1, 1, 1, 3, 8, 4, 4, 1, 6, 9, 2}; // in no steps
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    prove_read_committed(a);
    list(a, false, 'Z');
    lookup_new(a, 1);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        list(a, true, 'Z');
        lookup(a, keys[i]);
        cr_assert_str_eq(asked(a), "Q", "lookup %zu brings no question", i);
        answer(a, keys[i], 'Z');
        expect_text(told(a), "TDCZ");
    }
    lookup(a, 9);
    expect_text(asked(a), "Q" VETTING); // two behind one are one
    answer(a, 9, 'Z');
    answer_vetting(a);
    end(&f);
}

// The loop is known by the lookup that came while the catalogue was asked.
Test(ahead, what_was_asked_for_before_counts) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    prove_read_committed(a);
    list(a, false, 'Z');
    lookup_new(a, 1);
    lookup(a, 2);
    expect_text(asked(a), "Q" VETTING);
    answer(a, 2, 'Z');
    answer_vetting(a);
    lookup(a, 3);
    expect_text(asked(a), "CCPDBEPBES");
    answer_batch(a, 3, 9, NEW, false);
    cr_assert_eq(counters(&f)->ahead_keys, 6);
    uint32_t window = 0;
    for (const struct shape *s = f.engine->shapes.newest; s; s = s->older)
        window = s->associations ? s->associations->window : window;
    cr_expect_eq(window, 25, "two have followed the list, so more than a few are tried");
    end(&f);
}

// The loop's first batch has the lookup that the server has just answered, too, and its rows are compared. If they differ, the next lookup
// runs twice.
Test(ahead, what_was_answered_before_is_compared) {
    for (int same = 0; same < 2; same++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        init(&f);
        f.limits.check_one_in = 1000000;
        start(&f);
        prove_read_committed(a);
        list(a, false, 'Z');
        lookup_new(a, 1);
        lookup(a, 2);
        answer(a, 2, 'Z');
        answer_vetting(a);
        (void)asked(a), (void)told(a);
        lookup(a, 3);
        expect_text(asked(a), "CCPDBEPBES");
        answer_batch(a, same ? 2 : 3, 9, NEW, false);
        expect_text(told(a), "TDCZ");
        cr_expect_eq(counters(&f)->checked, (uint64_t)same);
        cr_expect_eq(counters(&f)->check_changed, (uint64_t)!same);
        for (int key = 4; key <= 9; key++)
            cr_expect(is_held(a, key), "key %d", key);
        list(a, true, 'Z');
        (void)asked(a), (void)told(a);
        lookup(a, 1);
        expect_text(asked(a), same ? "BEBES" : "QBEBES");
        end(&f);
    }
}

// Where connections have ended before their proofs were of use, the next one is proved at its fourth lookup.
Test(ahead, connections_for_one_page) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(a);
    for (int i = 0; i < 3; i++)
        thrift_ended(a->session);
    cr_expect_not(thrift_waits(b->session));
    thrift_ended(a->session);
    cr_expect(thrift_waits(b->session));
    cr_expect_not(thrift_waits(a->session), "it has been proved");
    for (int i = 1; i < 5; i++) {
        lookup(b, 10 * i * i);
        expect_text(asked(b), i < 4 ? "Q" : "QQ");
        answer(b, i, 'Z');
    }
    a->session->served = 2;
    thrift_ended(a->session);
    a->session->served = 6;
    thrift_ended(a->session);
    cr_expect_not(thrift_waits(&(struct session){.engine = f.engine, .figures = a->session->figures}));
    struct session new = {.engine = f.engine, .figures = a->session->figures};
    a->session->served = 60;
    thrift_ended(a->session);
    a->session->served = 0;
    for (int i = 0; i < 30; i++)
        thrift_ended(a->session);
    cr_expect_not(thrift_waits(&new), "a loop has paid for them");
    for (int i = 0; i < 4; i++)
        thrift_ended(a->session);
    cr_expect(thrift_waits(&new));
    end(&f);
}

// What goes through no list, but is asked for often, is worth a question at last.
Test(ahead, many_lookups_are_worth_a_question) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    prove_read_committed(a);
    list(a, false, 'Z');
    lookup_new(a, 1);
    const char *what = "Q";
    int n = 1;
    for (; n < 100 && strcmp(what, "Q") == 0; n++) {
        list(a, true, 'Z');
        lookup(a, 1);
        what = asked(a);
        answer(a, 1, 'Z');
    }
    expect_text(what, "Q" VETTING);
    cr_expect_eq(n, 33);
    answer_vetting(a);
    end(&f);
}

Test(ahead, a_loop_is_answered_from_what_is_held) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    for (int key = 3; key <= 9; key++) {
        cr_assert(is_held(a, key), "key %d", key);
        const uint8_t *row = a->to_client.data + 28; // behind the description
        cr_assert(row[0] == 'D' && row[11] == (uint8_t)('0' + key), "key %d", key);
        expect_text(told(a), "TDCZ");
        expect_text(asked(a), "");
    }
    cr_assert_eq(counters(&f)->ahead_answers, 7);
    end(&f);
}

static void count_outcome(void *ctx, const struct session *s, const struct answered *a) {
    (void)s;
    ((unsigned *)ctx)[a->outcome]++;
}

// What starts the loop is no answer from what was loaded, nor is what joins and falls out again.
Test(ahead, it_is_told_of_what_was_loaded) {
    struct fixture f;
    struct client *a = &f.clients[0];
    unsigned n[OUTCOME_COUNT] = {0};
    setup(&f);
    f.engine->observer = (struct answered_observer){count_outcome, n};
    load(a);
    cr_expect_eq(n[OUTCOME_FORWARDED], 1, "the list");
    cr_expect_eq(n[OUTCOME_ALONE], 3);
    lookup(a, 5);
    answer_batch(a, 3, 9, NEW, false);
    cr_expect_eq(n[OUTCOME_AHEAD], 1, "it has joined");
    cr_assert(is_held(a, 6));
    cr_expect_eq(n[OUTCOME_AHEAD], 2);
    cr_expect_eq(n[OUTCOME_FOLDED], 0);
    cr_expect_eq(counters(&f)->folded, 2);
    end(&f);
}

Test(ahead, no_answer_is_given_twice) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    cr_assert(is_held(a, 3));
    (void)told(a);
    cr_assert_not(is_held(a, 3));
    cr_assert_eq(asked(a)[0], 'Q');
    answer(a, 3, 'Z');
    expect_text(told(a), "TDCZ");
    end(&f);
}

// A row of the list answers one lookup.
Test(ahead, a_key_is_answered_as_often_as_the_list_has_it) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    f.engine->now += 5001; // nothing is held
    list_repeated(a);
    lookup(a, 2);
    expect_text(asked(a), "QCCPDBEPBES"); // 3 4 5 6, and 2 for its other row
    answer(a, 2, 'Z');
    answer_batch(a, 2, 6, NEW, false);
    cr_assert(is_held(a, 3) && is_held(a, 4) && is_held(a, 3) && is_held(a, 2) && is_held(a, 3));
    cr_assert_not(is_held(a, 3), "a fourth time");
    expect_text(asked(a), "Q");
    answer(a, 3, 'Z');
    cr_assert_not(is_held(a, 2), "a third time");
    answer(a, 2, 'Z');
    cr_assert_not(is_held(a, 4), "a second time");
    answer(a, 4, 'Z');
    cr_assert(is_held(a, 6) && is_held(a, 6));
    end(&f);
}

// Who reads the list again is told what is new since: what is left of the keys was loaded before.
Test(ahead, a_list_that_is_read_again) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    f.engine->now += 5001;
    list_repeated(a);
    lookup(a, 2);
    answer(a, 2, 'Z');
    answer_batch(a, 2, 6, NEW, false);
    cr_assert(is_held(a, 3));
    list_repeated(a);
    (void)asked(a);
    cr_assert_not(is_held(a, 3));
    expect_text(asked(a), "BEBES"); // with those behind it
    end(&f);
}

Test(ahead, a_lookup_joins_what_is_under_way) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load(a);
    lookup(a, 5);
    expect_text(told(a), "");
    answer_batch(a, 3, 9, NEW, false);
    expect_text(told(a), "TDCZ");
    expect_text(asked(a), "");
    end(&f);
}

// A lookup that has joined a batch may wait for longer than a pause may be. Whether the row is fresh enough
// is judged when it comes.
Test(ahead, who_has_joined_gets_what_is_fresh_then) {
    static const struct {
        uint64_t takes;
        const char *write, *told, *asked;
    } cases[] = {{99000, NULL, "TDCZ", ""},
                 {100001, NULL, "", "Q"},
                 {1000, "INSERT INTO u VALUES (1)", "TDCZ", ""},
                 {1000, "INSERT INTO t VALUES (1)", "", "Q"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct client *a = &f.clients[0], *b = &f.clients[1];
        setup(&f);
        load(a);
        lookup(a, 5);
        f.now += cases[i].takes;
        if (cases[i].write)
            say_query(b, cases[i].write);
        answer_batch(a, 3, 9, NEW, false);
        expect_text(told(a), cases[i].told);
        expect_text(asked(a), cases[i].asked);
        end(&f);
    }
}

// The lookup that had joined runs alone, and its client gets no error.
Test(ahead, a_batch_that_fails_is_nobodys_business) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load(a);
    lookup(a, 5);
    reply(a, "3/Z");
    expect_text(told(a), "");
    cr_assert_eq(asked(a)[0], 'Q');
    answer(a, 5, 'Z');
    expect_text(told(a), "TDCZ");
    end(&f);
}

Test(ahead, what_is_no_plain_read_drops_all) {
    static const char *const texts[] = {"INSERT INTO u VALUES (f(1))",
                                        "INSERT INTO pg_settings VALUES (1)",
                                        "INSERT INTO u SELECT id FROM u FOR UPDATE",
                                        "SET search_path = a",
                                        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                                        "DO 'BEGIN END'",
                                        "NOTIFY x",
                                        "SELECT id FROM t WHERE id = 1 FOR UPDATE",
                                        "SELECT 1; SELECT 2",
                                        "no SQL"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        say_query(a, texts[i]);
        cr_expect_eq(counters(&f)->ahead_stale, 7, "%s", texts[i]);
        end(&f);
    }
}

Test(ahead, what_changes_nothing_drops_nothing) {
    static const char *const texts[] = {"INSERT INTO u VALUES (1)",
                                        "WITH x AS (DELETE FROM u RETURNING a) SELECT * FROM x",
                                        "COMMIT",
                                        "SAVEPOINT a",
                                        "RELEASE a",
                                        "ROLLBACK TO a",
                                        "SET TRANSACTION READ ONLY",
                                        "SHOW x",
                                        "",
                                        ";",
                                        "-- ping",
                                        "/* ping */ ;"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        say_query(a, texts[i]);
        reply(a, "CZ");
        cr_expect_eq(counters(&f)->ahead_stale, 0, "%s", texts[i]);
        cr_expect(is_held(a, 3), "%s", texts[i]);
        end(&f);
    }
}

// A table of its own writes' is known by its name, when it is sent.
Test(ahead, own_writes_drop_by_table) {
    static const char *const texts[] = {"INSERT INTO t VALUES (1)", "DELETE FROM s.t",
                                        "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x",
                                        "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        say_query(a, texts[i]);
        reply(a, "CZ");
        cr_expect_not(is_held(a, 3), "%s", texts[i]);
        cr_expect_eq(counters(&f)->ahead_stale, 7, "%s", texts[i]);
        end(&f);
    }
}

// Rows that are still under way are dropped like those that are held: no later lookup gets them.
Test(ahead, what_is_under_way_is_dropped_too) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load(a);
    say_query(a, "NOTIFY x");
    answer_batch(a, 3, 9, NEW, false);
    reply(a, "CZ");
    cr_assert_eq(counters(&f)->ahead_stale, 7);
    cr_assert_not(is_held(a, 3));
    end(&f);
}

Test(ahead, a_notification_drops_all) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    struct slice news = BYTES("A\0\0\0\x0c\0\0\0\1x\0y\0");
    cr_assert_eq(server_sends(a, news.data, news.len), news.len);
    expect_text(told(a), "A");
    cr_assert_not(is_held(a, 3));
    end(&f);
}

Test(ahead, writes_of_others_to_the_table) {
    static const struct {
        const char *text;
        bool held;
    } cases[] = {{"INSERT INTO t VALUES (1)", false},
                 {"DELETE FROM s.\"t\"", false},
                 {"INSERT INTO u VALUES (1)", true},
                 {"CALL p()", false},
                 {"SELECT 1", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct client *a = &f.clients[0], *b = &f.clients[1];
        setup(&f);
        load_and_hold(a);
        say_query(b, cases[i].text);
        cr_expect_eq(is_held(a, 3), cases[i].held, "%s", cases[i].text);
        end(&f);
    }
}

// A write counts when it is sent and when it has ended: what was loaded between may not show it.
Test(ahead, a_write_that_ends_counts_again) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    say_query(b, "UPDATE t SET id = 1");
    load_and_hold(a);
    reply(b, "CZ");
    cr_assert_not(is_held(a, 3));
    end(&f);
}

Test(ahead, gaps_and_age) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    f.now += 5000;
    cr_assert(is_held(a, 3), "the longest pause");
    f.now += 5001;
    cr_assert_not(is_held(a, 4));
    end(&f);
    setup(&f);
    load_and_hold(a);
    uint64_t loaded = f.now;
    for (int key = 3; key <= 6; key++) {
        f.now += 4000;
        cr_assert(is_held(a, key));
    }
    f.engine->limits.ahead_age = f.now - loaded + 99;
    f.now += 100;
    cr_assert_not(is_held(a, 7), "too old");
    end(&f);
}

// The loop of the proxy sleeps from `slept` on and is to be woken at `due`; key 3 is asked for at `woke`.
static bool is_held_after(uint64_t slept, uint64_t due, uint64_t woke) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    uint64_t answered = f.now;
    f.now = answered + slept;
    sleep_until(&f, answered + due);
    wake(&f, answered + woke);
    bool held = is_held(a, 3);
    end(&f);
    return held;
}

Test(ahead, the_time_by_which_pgfold_is_late_is_no_pause) {
    cr_assert(is_held_after(10, 5000, 4000));
    cr_assert(is_held_after(10, 5000, 40000), "woken too late");
    cr_assert_not(is_held_after(10, 6000, 5500), "in time");
    cr_assert(is_held_after(40000, 45000, 44000), "busy before it slept");
    cr_assert_not(is_held_after(40000, 50000, 46000));
}

// The loop has slept and woken several times since the answer, in time. So the client has not spoken for all
// that while.
Test(ahead, a_pause_over_several_turns) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    for (uint64_t at = f.now, i = 1; i <= 3; i++) {
        f.now = at + 2000 * (i - 1) + 10;
        sleep_until(&f, at + 2000 * i);
        wake(&f, at + 2000 * i);
    }
    cr_assert_not(is_held(a, 3));
    end(&f);
}

// The time that the client has waited for an answer to something else is no pause of its own.
Test(ahead, waiting_for_the_server_is_no_pause) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    say_query(a, "SELECT id FROM list");
    f.now += 90000;
    reply_with(a, "LDCZ", keys_1_to_9);
    f.now += 4000;
    cr_assert(is_held(a, 3));
    end(&f);
}

// A client that asks for the same key again, without reading a list between, is polling, and wants news. It
// is answered by the server, although a loop beside it has the row loaded.
Test(ahead, a_poller_beside_a_loop) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(b);
    begin(a);
    lookup(b, 9);
    expect_text(asked(b), "QCCPDBEPBES"); // and those before, since it comes from the neighbour's list
    answer(b, 9, 'Z');
    answer_batch(b, 2, 8, NEW, false);
    list(a, true, 'Z');
    f.now += 5001;
    lookup(a, 4);
    answer(a, 4, 'Z');
    expect_text(asked(a), "Q"); // nobody has asked for what was loaded last
    lookup(a, 5);
    expect_text(asked(a), "QCCPDBEPBES"); // with all from 6 to 9
    answer(a, 5, 'Z');
    answer_batch(a, 6, 9, NEW, false);
    cr_assert_not(is_held(b, 9));
    cr_assert_eq(asked(b)[0], 'Q');
    answer(b, 9, 'Z');
    cr_assert(is_held(b, 8), "not asked for yet");
    end(&f);
}

// When four batches were loaded of which nobody asked for a row, no more are loaded for a while.
Test(ahead, what_serves_nobody_ends) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    for (int i = 0; i < 10; i++) {
        list(a, true, 'Z');
        f.now += 5001;
        lookup(a, 2);
        answer(a, 2, 'Z');
        if (f.engine->batches)
            answer_batch(a, 3, 4, NEW, false);
        cr_assert_eq(counters(&f)->ahead_batches, i < 4 ? 1 + (unsigned)i : 4,
                     "one lookup is no loop any more");
        f.now += 5001;
        lookup(a, 4);
        answer(a, 4, 'Z');
        if (f.engine->batches)
            answer_batch(a, 5, 6, KNOWN, false);
        (void)asked(a), (void)told(a);
    }
    cr_assert_eq(counters(&f)->ahead_batches, 4);
    end(&f);
}

// Sets up. Most of a batch was asked for, so the loop has proved to be one. A pause has dropped the rest.
static void pause_a_proven_loop(struct fixture *f) {
    struct client *a = &f->clients[0];
    setup(f);
    load_and_hold(a);
    for (int key = 3; key <= 7; key++)
        cr_assert(is_held(a, key));
    list(a, true, 'Z');
    f->now += 5001;
    (void)asked(a), (void)told(a);
}

// Where a loop has proved to be one, the lookup is a member of the batch: one statement, not two. The list's last rows go along.
Test(ahead, a_lookup_of_a_proven_loop_is_a_member_of_the_next_batch) {
    static const unsigned paces[] = {20000, 16000}, loaded[] = {4, 6};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        pause_a_proven_loop(&f);
        shape_of_lookups(a)->associations[0].gap = paces[i];
        cr_assert_not(is_held(a, 3));
        expect_text(asked(a), "BEBES");
        cr_expect_eq(counters(&f)->ahead_keys, 7 + loaded[i], "a pace of %u", paces[i]);
        answer_batch(a, 3, 3 + (int)loaded[i], KNOWN, false);
        expect_text(told(a), "TDCZ");
        end(&f);
    }
}

// Behind such a batch that fails, lookups go out as they came again.
Test(ahead, a_member_of_a_batch_that_fails_runs_alone) {
    struct fixture f;
    struct client *a = &f.clients[0];
    pause_a_proven_loop(&f);
    cr_assert_not(is_held(a, 3));
    expect_text(asked(a), "BEBES");
    reply(a, "/Z");
    expect_text(told(a), "");
    cr_assert_eq(asked(a)[0], 'Q');
    answer(a, 3, 'Z');
    expect_text(told(a), "TDCZ");
    cr_assert_not(is_held(a, 4));
    cr_assert_eq(asked(a)[0], 'Q');
    answer(a, 4, 'Z');
    expect_text(told(a), "TDCZ");
    end(&f);
}

Test(ahead, a_client_that_leaves_takes_all_with_it) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    cr_assert_not(hang_up(a));
    end(&f);
    setup(&f);
    load(a); // under way: nobody else waits for it
    cr_assert_not(hang_up(a));
    end(&f);
}

Test(ahead, a_lost_connection_runs_who_joined_elsewhere) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(b);
    load(a);
    lookup(b, 5);
    expect_text(asked(b), "");
    cr_assert_eq(counters(&f)->ahead_answers, 1, "it has joined");
    lose_server(a);
    expect_text(asked(b), "Q");
    answer(b, 5, 'Z');
    expect_text(told(b), "TDCZ");
    end(&f);
}

// The first client's key 2 and the batch behind it are under way; the second client asks for key 5 and
// joins.
static void join_behind_another(struct fixture *f) {
    struct client *a = &f->clients[0], *b = &f->clients[1];
    setup(f);
    prove_read_committed(b);
    begin(a);
    lookup(a, 2);
    (void)asked(a);
    lookup(b, 5);
    expect_text(asked(b), "");
}

// Lookups of one page come together over several connections of a pool.
Test(ahead, a_lookup_joins_behind_anothers_answer) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    join_behind_another(&f);
    answer(a, 2, 'Z');
    answer_batch(a, 3, 9, NEW, false);
    expect_text(told(a), "TDCZ");
    expect_text(told(b), "TDCZ");
    end(&f);
}

Test(ahead, a_client_that_does_not_read_holds_up_nobody) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    join_behind_another(&f);
    a->session->backlogged = true;
    turn(&f, f.now);
    expect_text(asked(b), "Q");
    answer(b, 5, 'Z');
    expect_text(told(b), "TDCZ");
    cr_assert_not(is_held(b, 6), "not again");
    turn(&f, f.now + 100000);
    cr_assert_eq(asked(b)[0], 'Q');
    answer(b, 6, 'Z');
    answer(a, 2, 'Z');
    answer_batch(a, 3, 9, NEW, false);
    expect_text(told(b), "TDCZ");
    end(&f);
}

Test(ahead, a_client_that_leaves_others_waiting) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(b);
    load(a);
    lookup(b, 5);
    cr_assert(hang_up(a));
    answer_batch(a, 3, 9, NEW, false);
    expect_text(told(b), "TDCZ");
    end(&f);
}

Test(ahead, a_cancel_request_ends_who_has_joined) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load(a);
    lookup(a, 5);
    cr_assert_not(request_cancel(a));
    expect_text(told(a), "EZ");
    reply(a, "/Z");
    expect_text(told(a), "");
    end(&f);
}

Test(ahead, a_loop_over_the_connections_of_a_pool) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1], *c = &f.clients[2];
    setup(&f);
    prove_read_committed(b);
    prove_read_committed(c);
    load_and_hold(a);
    cr_assert(is_held(b, 3));
    expect_text(told(b), "TDCZ");
    cr_assert(is_held(c, 4));
    expect_text(told(c), "TDCZ");
    cr_assert_not(is_held(c, 3), "once, whoever asks");
    end(&f);
}

// Lookups that come together are folded: they are no loop.
Test(ahead, a_burst_over_the_connections_of_a_pool) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(b);
    begin(a);
    say_query(a, "SELECT id FROM t WHERE id = 2");
    say_query(b, "SELECT id FROM t WHERE id = 3");
    turn(&f, f.now);
    cr_assert_eq(counters(&f)->ahead_batches, 0);
    answer_batch(a->to_server.len ? a : b, 2, 3, NEW, false);
    expect_text(told(a), "TDCZ");
    expect_text(told(b), "TDCZ");
    cr_assert_eq(counters(&f)->folded, 2);
    end(&f);
}

// Lookups that a client pipelines arrive in several reads. The last one does not wait for the batch of those
// before it.
Test(ahead, a_straggler_of_a_pipeline) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    say_query(a, "SELECT id FROM t WHERE id = 2");
    say_query(a, "SELECT id FROM t WHERE id = 3");
    turn(&f, f.now);
    expect_text(asked(a), "CCPDBEPBES");
    lookup(a, 4);
    expect_text(asked(a), "BEBES");
    answer_batch(a, 2, 3, NEW, false);
    expect_text(told(a), "TDCZTDCZ");
    answer_batch(a, 4, 4, KNOWN, false);
    expect_text(told(a), "TDCZ");
    end(&f);
}

// Where several sessions ask at the same time, only one that is seen to go through its own list looks ahead.
Test(ahead, a_loop_in_company) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    prove_read_committed(b);
    begin(a);
    lookup(b, 77);
    expect_text(asked(b), "Q");
    lookup(a, 2);
    expect_text(asked(a), "Q");
    answer(a, 2, 'Z');
    answer(b, 77, 'Z');
    shape_of_lookups(a)->guard.lone = 0;
    lookup(b, 78);
    lookup(a, 3);
    expect_text(asked(a), "QCCPDBEPBES");
    answer(b, 78, 'Z');
    answer(a, 3, 'Z');
    answer_batch(a, 4, 9, NEW, false);
    end(&f);
}

// A session has done more than read. What others had loaded before is not for it any more, and still is for
// the others.
Test(ahead, what_was_loaded_before_ones_own_statement) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1], *c = &f.clients[2];
    setup(&f);
    prove_read_committed(b);
    prove_read_committed(c);
    load_and_hold(a);
    say_query(b, "NOTIFY x");
    reply(b, "CZ");
    cr_assert_not(is_held(b, 3));
    cr_assert(is_held(c, 4));
    end(&f);
}

Test(ahead, pipelined_lookups_go_to_the_server_in_their_order) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    query(a, "SELECT id FROM t WHERE id = 1"); // held by nobody
    query(a, "SELECT id FROM t WHERE id = 4");
    say(a);
    turn(&f, f.now);
    expect_text(asked(a), "CBEPBES"); // folded, as they came
    cr_assert_eq(counters(&f)->ahead_answers, 0);
    end(&f);
}

// ---- what is not loaded

static void expect_nothing_loaded(struct fixture *f, const char *why) {
    struct client *a = &f->clients[0];
    start(f);
    begin(a);
    lookup(a, 2);
    turn(f, f->now);
    cr_expect_str_eq(types_of(&a->to_server), "Q", "%s", why);
    cr_expect_eq(counters(f)->ahead_keys, 0, "%s", why);
    end(f);
}

Test(ahead, limits_that_keep_all_from_being_loaded) {
    static const struct table_name off[] = {{"public", "t"}};
    struct fixture f;
    init(&f);
    f.limits.ahead_off = off;
    f.limits.n_ahead_off = 1;
    expect_nothing_loaded(&f, "the table is switched off");
    init(&f);
    f.limits.ahead_session = 4096;
    expect_nothing_loaded(&f, "no memory for a session");
    init(&f);
    f.limits.ahead_memory = 4096;
    expect_nothing_loaded(&f, "no memory for all");
}

Test(ahead, modes_in_which_nothing_is_loaded) {
    enum lookahead_mode modes[] = {LOOKAHEAD_OFF, LOOKAHEAD_SNAPSHOT};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        init(&f);
        f.limits.lookahead = modes[i];
        start(&f);
        prove_read_committed(a);
        list(a, false, 'Z');
        lookup(a, 1);
        turn(&f, f.now);
        expect_text(asked(a), "QQ");
        cr_assert_eq(counters(&f)->ahead_keys, 0);
        end(&f);
    }
}

// Rows of a session that has been idle for ten seconds are given back.
Test(ahead, idle_sessions_keep_nothing) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    uint64_t at = f.now + 10000001;
    cr_assert_leq(engine_deadline(f.engine), at);
    turn(&f, at - 1);
    cr_assert_not_null(a->session->ahead);
    turn(&f, at);
    cr_assert_null(a->session->ahead);
    cr_assert_eq(f.engine->aheads.bytes, 0);
    cr_assert_eq(counters(&f)->ahead_unused, 7);
    end(&f);
}

// Both lookups are folded and run as they came, too, to be compared. The server describes other columns for
// one than for the other.
static void compare_with_another_table(struct fixture *f, const char *batch, enum preparing what) {
    struct client *a = &f->clients[0], *b = &f->clients[1];
    say_query(a, "SELECT id FROM t WHERE id = 2");
    say_query(b, "SELECT id FROM t WHERE id = 3");
    turn(f, f->now);
    expect_text(asked(a), "Q");
    expect_text(asked(b), "Q");
    reply_with(a, "LDCZ", (const char *const[]){"2"});
    reply_with(b, "LDCZ", (const char *const[]){"3"});
    turn(f, f->now);
    struct client *lender = a->to_server.len ? a : b;
    expect_text(asked(lender), batch);
    answer_batch(lender, 2, 3, what, false);
}

// The first time, columns that differ count as a change of the table. If they still differ when all was
// vetted anew, folding was wrong.
Test(ahead, columns_that_differ_after_all_was_vetted_anew) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    begin(a);
    prove_read_committed(b);
    f.engine->limits.check_one_in = 1;
    compare_with_another_table(&f, "CCPDBEPBES", NEW);
    cr_assert_eq(counters(&f)->check_changed, 2);
    expect_text(told(a), "TDCZ");
    expect_text(told(b), "TDCZ");
    f.engine->limits.check_one_in = 0;
    begin_proven(a);
    f.engine->limits.check_one_in = 1;
    compare_with_another_table(&f, "CPDBEBES", STATEMENT_ANEW);
    expect_text(asked(a), "Q");
    expect_text(asked(b), "Q");
    reply_with(a, "LDCZ", (const char *const[]){"2"});
    reply_with(b, "LDCZ", (const char *const[]){"3"});
    expect_text(told(a), "TDCZ");
    expect_text(told(b), "TDCZ");
    cr_assert_eq(counters(&f)->check_changed, 2);
    cr_assert_eq(counters(&f)->differences, 2);
    end(&f);
}

// A row that was joined is as old as the batch's sending. It is not given when it comes too late.
Test(ahead, what_is_joined_and_comes_late_is_not_given) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load(a);
    lookup(a, 3);
    expect_text(asked(a), "");
    f.now += 100001;
    answer_batch(a, 3, 9, NEW, false);
    expect_text(told(a), "");
    expect_text(asked(a), "Q");
    answer(a, 3, 'Z');
    expect_text(told(a), "TDCZ");
    end(&f);
}

// In a transaction that sees one snapshot a row is right however late it comes.
Test(ahead, what_is_joined_in_one_snapshot_is_given_late) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    reply(a, "Cz");
    (void)told(a);
    (void)asked(a);
    list(a, true, 'z');
    lookup(a, 2);
    expect_text(asked(a), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(a, 2, 'z');
    (void)told(a);
    lookup(a, 3);
    f.now += 100001;
    answer_batch(a, 3, 9, NEW, true);
    expect_text(told(a), "TDCZ");
    end(&f);
}
