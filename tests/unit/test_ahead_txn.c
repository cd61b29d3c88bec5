// SPDX-License-Identifier: PostgreSQL
//
// Lookahead and transactions: what is held when one begins, inside it, and when it ends.
#include <criterion/criterion.h>

#include "batching/flow/turn.h"
#include "tests/unit/loops.h"

// A BEGIN that the server gets at once.
static const char committed[] = "BEGIN ISOLATION LEVEL READ COMMITTED";

// Begins a transaction while rows are held.
static void hold_and_begin(struct fixture *f, const char *begin) {
    struct client *a = &f->clients[0];
    setup(f);
    load_and_hold(a);
    (void)asked(a), (void)told(a);
    say_query(a, begin);
    reply(a, "Cz");
    (void)asked(a), (void)told(a);
}

Test(ahead_txn, what_only_reads_what_is_committed_leaves_what_is_held) {
    struct fixture f;
    struct client *a = &f.clients[0];
    hold_and_begin(&f, committed);
    cr_assert(is_held(a, 3));
    say_query(a, "COMMIT");
    reply(a, "CZ");
    cr_assert(is_held(a, 4));
    say_query(a, committed);
    reply(a, "Cz");
    say_query(a, "INSERT INTO u VALUES (1)");
    reply(a, "Cz");
    cr_assert(is_held(a, 5));
    say_query(a, "ROLLBACK");
    reply(a, "CZ");
    cr_assert(is_held(a, 6));
    cr_assert_eq(counters(&f)->ahead_stale, 0);
    end(&f);
}

// In one flight with BEGIN: a lookup whose answer is held waits until BEGIN is answered, any other goes out.
Test(ahead_txn, a_lookup_that_comes_with_begin) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    say_query(a, committed);
    ask(a, "SELECT id FROM t WHERE id = 3");
    expect_text(asked(a), "Q");
    reply(a, "Cz");
    expect_text(told(a), "CZTDCZ");
    expect_text(asked(a), "");
    say_query(a, "COMMIT");
    reply(a, "CZ");
    say_query(a, committed);
    lookup(a, 1); // it was asked for before
    expect_text(asked(a), "QQQ");
    reply(a, "Cz");
    answer(a, 1, 'z');
    say_query(a, "COMMIT");
    reply(a, "CZ");
    cr_assert(is_held(a, 4));
    cr_assert_eq(counters(&f)->ahead_stale, 0);
    end(&f);
}

// If BEGIN fails, or begins a snapshot, what was held is not given.
Test(ahead_txn, a_lookup_that_comes_with_another_begin) {
    const char *const begins[] = {committed, "BEGIN ISOLATION LEVEL REPEATABLE READ"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        say_query(a, begins[i]);
        ask(a, "SELECT id FROM t WHERE id = 3");
        expect_text(asked(a), i ? "QQ" : "Q");
        reply(a, i ? "Cz" : "/Z");
        expect_text(told(a), i ? "CZ" : "EZTDCZ");
        cr_expect_eq(counters(&f)->ahead_stale, i ? 7 : 0);
        end(&f);
    }
}

// A loop with a transaction in each turn: where the lookup is held, the server hears nothing of its transaction.
Test(ahead_txn, a_transaction_whose_lookups_are_held) {
    static const char *const begins[] = {"BEGIN", "begin work;", "START TRANSACTION",
                                         "/* a */ BEGIN TRANSACTION"};
    static const char *const ends[] = {"COMMIT", "ROLLBACK", "END WORK ;", "abort"};
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    for (int i = 0; i < 4; i++) {
        say_query(a, begins[i]);
        expect_text(told(a), "CZ");
        cr_assert_eq(a->session->txn, 'T');
        cr_assert(is_held(a, 3 + i));
        cr_assert_eq(a->to_client.data[a->to_client.len - 1], 'T');
        expect_text(told(a), "TDCZ");
        say_query(a, ends[i]);
        cr_assert_eq(a->to_client.data[a->to_client.len - 1], 'I');
        expect_text(told(a), "CZ");
        expect_text(asked(a), "");
    }
    cr_assert_null(f.engine->begun.first);
    cr_assert_eq(engine_deadline(f.engine), f.now + f.limits.ahead_gap);
    cr_assert_eq(counters(&f)->ahead_stale, 0);
    end(&f);
}

// So it is with a BEGIN in the unit of what comes behind it, as JDBC sends it.
Test(ahead_txn, a_begin_in_the_unit_of_what_comes) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    for (int i = 0; i < 3; i++) {
        if (i == 1) {
            parse(a, "b", "BEGIN");
            sync_unit(a);
            say(a);
            reply(a, "1Z");
            (void)asked(a), (void)told(a);
        }
        if (!i)
            parse(a, "", "BEGIN");
        execute(a, i ? "b" : "", NULL);
        if (i < 2)
            parse(a, i ? "s" : "", "SHOW work_mem");
        if (i < 2)
            execute(a, i ? "s" : "", NULL);
        sync_unit(a);
        say(a);
        expect_text(told(a), i ? i == 1 ? "2C" : "2CZ" : "12C");
        expect_text(asked(a), i < 2 ? "QPBES" : "");
        reply(a, i < 2 ? "Cz12Cz" : "");
        expect_text(told(a), i < 2 ? "12CZ" : "");
        cr_assert_eq(a->session->txn, 'T');
        say_query(a, "COMMIT");
        expect_text(asked(a), i < 2 ? "Q" : "");
        reply(a, i < 2 ? "CZ" : "");
        expect_text(told(a), "CZ");
        cr_assert_eq(a->session->txn, 'I');
    }
    end(&f);
}

// Its BEGIN goes out in front of whatever else the client says, and nobody is told of its answer.
Test(ahead_txn, a_transaction_that_the_server_gets_late) {
    static const char *const texts[] = {"INSERT INTO u VALUES (1)", "SELECT id FROM t WHERE id = 1",
                                        "SAVEPOINT a", "COMMIT AND CHAIN", "DELETE FROM t"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *a = &f.clients[0], *b = &f.clients[1];
        setup(&f);
        load_and_hold(a);
        say_query(a, i % 2 ? "BEGIN read only" : "BEGIN");
        say_query(b, "BEGIN");
        expect_text(asked(b), "QQ"); // nothing is held for it, so it goes to the server behind a proof
        (void)told(a);
        cr_assert(is_held(a, 3));
        (void)told(a);
        say_query(a, texts[i]);
        turn(&f, f.now);
        cr_assert_str_eq((const char *)a->to_server.data + 5, i % 2 ? "BEGIN READ ONLY" : "BEGIN");
        expect_text(asked(a), "QQ");
        reply(a, "Cz");
        expect_text(told(a), "");
        reply(a, "Cz");
        cr_expect_eq(a->session->txn, 'T', "%s", texts[i]);
        expect_text(told(a), "CZ");
        cr_assert_null(f.engine->begun.first);
        end(&f);
    }
}

// Its time is the server's when BEGIN gets there. So it goes out by itself, in the order of the transactions.
Test(ahead_txn, a_transaction_does_not_begin_much_later) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    say_query(a, "BEGIN");
    cr_assert_leq(engine_deadline(f.engine), f.now + 10000);
    turn(&f, f.now + 9999);
    expect_text(asked(a), "");
    turn(&f, f.now + 10000);
    expect_text(asked(a), "Q");
    (void)told(a);
    say_query(a, "COMMIT");
    expect_text(asked(a), "Q");
    reply(a, "CzCZ");
    expect_text(told(a), "CZ");
    cr_assert_eq(a->session->txn, 'I');
    end(&f);
}

// Nor is it sent for a client that leaves, or to a server that is gone; but in front of what is not understood.
Test(ahead_txn, a_transaction_that_ends_with_its_connection) {
    for (int i = 0; i < 4; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        say_query(a, "BEGIN");
        (void)told(a);
        if (i == 0)
            (void)hang_up(a);
        else if (i == 1)
            lose_server(a);
        else
            (void)client_sends(a, i == 2 ? "X\0\0\0\4" : "!\0\0\0\4", 5);
        turn(&f, f.now + 20000);
        expect_text(asked(a), i == 3 ? "Q!" : i == 2 ? "X" : "");
        cr_expect_eq(a->session->begun.due, i == 0 || i == 2);
        end(&f);
    }
}

// The client believes to be in a transaction, and what it has sent was committed by itself.
Test(ahead_txn, a_transaction_that_does_not_begin) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    load_and_hold(a);
    say_query(a, "BEGIN");
    say_query(a, "DELETE FROM t");
    (void)told(a);
    reply(a, "/Z");
    expect_text(told(a), "E");
    cr_assert(a->session->failed);
    end(&f);
}

// Where its isolation is another one, or the connection may be ended for being idle in it, BEGIN goes out.
Test(ahead_txn, transactions_of_which_the_server_hears_at_once) {
    static const char *const begins[] = {"BEGIN; BEGIN",
                                         "START",
                                         "BEGIN WORK TRANSACTION",
                                         "START TRANSACTION ISOLATION LEVEL READ COMMITTED",
                                         "PREPARE TRANSACTION 'a'",
                                         "COMMIT"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        setup(&f);
        load_and_hold(a);
        ask(a, begins[i]);
        cr_expect(strlen(asked(a)) > 0, "%s", begins[i]);
        expect_text(told(a), "");
        end(&f);
    }
}

// What is asked for next is loaded when the lookup that came with BEGIN is answered.
Test(ahead_txn, a_loop_whose_lookups_come_with_begin) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN");
    lookup(a, 2);
    expect_text(asked(a), "QQ");
    reply(a, "Cz");
    expect_text(asked(a), "");
    answer(a, 2, 'z');
    expect_text(asked(a), "CPBECCPBECCCPDBECPBECCPBECS");
    cr_assert_eq(counters(&f)->ahead_keys, 7);
    answer_batch(a, 3, 9, NEW, true);
    cr_assert(is_held(a, 3));
    end(&f);
}

Test(ahead_txn, a_snapshot_holds_nothing_of_before) {
    static const char *const texts[] = {"BEGIN ISOLATION LEVEL REPEATABLE READ",
                                        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        hold_and_begin(&f, texts[i]);
        cr_expect_eq(counters(&f)->ahead_stale, 7, "%s", texts[i]);
        end(&f);
    }
}

// What goes back in a transaction that nobody knows is not told by tables.
Test(ahead_txn, what_is_not_understood_drops_all_again_when_it_ends) {
    static const char *const ends[] = {"COMMIT", "ROLLBACK", "ROLLBACK TO a", "COMMIT AND CHAIN"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct fixture f;
        struct client *a = &f.clients[0];
        hold_and_begin(&f, committed);
        say_query(a, "SET LOCAL x.y = 1");
        reply(a, "Cz");
        uint64_t epoch = a->session->ahead->epoch;
        say_query(a, ends[i]);
        reply(a, strstr(ends[i], "TO") || strstr(ends[i], "CHAIN") ? "Cz" : "CZ");
        cr_expect_gt(a->session->ahead->epoch, epoch, "%s", ends[i]);
        end(&f);
    }
}

// What it has read in between it may have read of what goes back.
Test(ahead_txn, a_savepoint_that_is_gone_back_to_takes_along_what_was_written) {
    struct fixture f;
    struct client *a = &f.clients[0];
    hold_and_begin(&f, committed);
    say_query(a, "INSERT INTO t VALUES (1)");
    reply(a, "Cz");
    uint64_t seq = a->session->database->seq;
    say_query(a, "ROLLBACK TO a");
    reply(a, "Cz");
    struct write_set t = {.n = 1,
                          .tables = (uint64_t[]){write_table((struct slice){(const uint8_t *)"t", 1})}};
    cr_assert(database_has_changed(a->session->database, seq, &t));
    end(&f);
}

// REPEATABLE READ: all answers come from one snapshot, so neither time nor writes of others matter until the
// transaction ends.
Test(ahead_txn, a_transaction_that_sees_one_snapshot) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    reply(a, "Cz");
    (void)asked(a), (void)told(a);
    list(a, true, 'z');
    lookup(a, 2);
    expect_text(asked(a), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(a, 2, 'z');
    answer_batch(a, 3, 9, NEW, true);
    expect_text(told(a), "TDCZ");
    f.now += 900000;
    say_query(b, "DELETE FROM t");
    cr_assert(is_held(a, 3));
    expect_text(told(a), "TDCZ");
    say_query(a, "COMMIT");
    reply(a, "CZ");
    cr_assert_eq(counters(&f)->ahead_stale, 6);
    end(&f);
}

// READ COMMITTED: each lookup sees what was committed before it, so writes of others matter.
Test(ahead_txn, a_transaction_that_sees_what_is_committed) {
    struct fixture f;
    struct client *a = &f.clients[0], *b = &f.clients[1];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN");
    reply(a, "Cz");
    (void)asked(a), (void)told(a);
    list(a, true, 'z');
    lookup(a, 2);
    expect_text(asked(a), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(a, 2, 'z');
    answer_batch(a, 3, 9, NEW, true);
    cr_assert(is_held(a, 3));
    say_query(b, "DELETE FROM t");
    cr_assert_not(is_held(a, 4));
    end(&f);
}

// Inside a transaction a batch that fails is rolled back to its savepoint before anything else of the
// client's is sent.
Test(ahead_txn, a_batch_that_fails_inside_a_transaction) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN");
    reply(a, "Cz");
    list(a, true, 'z');
    lookup(a, 2);
    answer(a, 2, 'z');
    lookup(a, 5);
    (void)asked(a), (void)told(a);
    reply(a, "312C3312C3/x");
    expect_text(told(a), "");
    expect_text(asked(a), "CCPBECCPBECCCCCCCS"); // ROLLBACK TO and RELEASE
    put_frame(&a->from_server);
    put_frame(&a->from_server);
    reply(a, "z");
    cr_assert_eq(asked(a)[0], 'Q');
    answer(a, 5, 'z');
    expect_text(told(a), "TDCZ");
    end(&f);
}

// The lookup in front of the batch fails itself. The server skips the batch behind it and its savepoint,
// whose statements are not prepared then.
Test(ahead_txn, a_lookup_that_fails_inside_a_transaction) {
    struct fixture f;
    struct client *a = &f.clients[0];
    setup(&f);
    begin(a);
    say_query(a, "BEGIN");
    reply(a, "Cz");
    list(a, true, 'z');
    lookup(a, 2);
    expect_text(asked(a), "QCPBECCPBECCCPDBECPBECCPBECS");
    reply(a, "/x/x");
    expect_text(told(a), "EZ");
    say_query(a, "ROLLBACK");
    reply(a, "CZ");
    say_query(a, "BEGIN");
    reply(a, "Cz");
    cr_assert_not(a->session->frame.prepared);
    end(&f);
}
