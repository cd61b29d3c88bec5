// SPDX-License-Identifier: PostgreSQL
//
// The end of a transaction that has only read: when it is answered at once, and what becomes of the server's answer.
#include <criterion/criterion.h>
#include <string.h>

#include "protocol/write.h"
#include "tests/unit/loops.h"

// A BEGIN that the server gets at once.
static const char committed[] = "BEGIN ISOLATION LEVEL READ COMMITTED";

// A server that is ten milliseconds away, and whose transactions' ends are not waited for.
static struct client *far(struct fixture *f) {
    init(f);
    f->limits.early_commit = true;
    start(f);
    begin(&f->clients[0]);
    f->engine->distance = (struct distance){.began = f->now, .least = 10000};
    return &f->clients[0];
}

static void tell(struct client *c, const char *text, const char *reply_letters) {
    say_query(c, text);
    reply(c, reply_letters);
    (void)asked(c), (void)told(c);
}

// A transaction that has read the list.
static void read_in(struct client *c, const char *begins) {
    tell(c, begins, "Cz");
    list(c, true, 'z');
}

// Says that it ends. True: it was answered, and the server has got it.
static bool is_early(struct client *c, const char *text) {
    say_query(c, text);
    bool early = *told(c) == 'C';
    expect_text(asked(c), "Q");
    cr_expect_eq(c->session->n_ends, early);
    return early;
}

Test(end_take, what_has_only_read_ends_at_once) {
    static const char *const ends[] = {"COMMIT", "commit;", "END WORK", "ROLLBACK", "/* a */ abort"};
    static const char *const begins[] = {committed, "BEGIN READ ONLY",
                                         "BEGIN ISOLATION LEVEL REPEATABLE READ"};
    struct fixture f;
    struct client *a = far(&f);
    for (size_t i = 0; i < 15; i++) {
        read_in(a, begins[i % 3]);
        cr_expect(is_early(a, ends[i % 5]));
        cr_expect_eq(a->session->txn, 'I');
        if (i % 2) { // the next one goes out behind it
            say_query(a, "INSERT INTO u VALUES (1)");
            expect_text(asked(a), "Q");
            reply(a, "CZ");
            expect_text(told(a), "");
        }
        reply(a, "CZ");
        expect_text(told(a), i % 2 ? "CZ" : "");
        cr_expect_eq(a->session->owed.n, 0);
    }
    end(&f);
}

// What leaves a transaction one that has only read, and what does not.
Test(end_take, what_has_done_more_is_waited_for) {
    static const struct {
        const char *text, *reply;
        bool reads;
    } cases[] = {{"SHOW work_mem", "Cz", true},
                 {"SAVEPOINT a", "Cz", true},
                 {"SET TRANSACTION READ ONLY", "Cz", true},
                 {"", "Iz", true},
                 {"INSERT INTO u VALUES (1)", "Cz", false},
                 {"SET LOCAL work_mem = '1MB'", "Cz", false},
                 {"SET LOCAL lock_timeout = 5", "Cz", true},
                 {"SET LOCAL app.tenant = 'a'", "Cz", true},
                 {"SELECT set_config('app.tenant', 'a', true)", "TDCz", true},
                 {"SELECT set_config('app.tenant', 'a', true), set_config('role', 'a', true)", "TDCz", false},
                 {"SET LOCAL search_path = a", "Cz", false},
                 {"SET app.tenant = 'a'", "Cz", false},
                 {"SET work_mem = '1MB'", "Cz", false},
                 {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "Cz", false},
                 {"NOTIFY a", "Cz", false},
                 {"LISTEN a", "Cz", false},
                 {"LOCK t", "Cz", false},
                 {"DO 'begin end'", "Cz", false},
                 {"DECLARE c CURSOR WITH HOLD FOR SELECT id FROM list", "Cz", false},
                 {"CREATE TEMP TABLE x (a int) ON COMMIT DROP", "Cz", false},
                 {"SELECT 1; SELECT 2", "Cz", false},
                 {"COMMIT AND CHAIN", "Cz", true},
                 {"SHOW nothing", "/x", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct client *a = far(&f);
        read_in(a, committed);
        tell(a, cases[i].text, cases[i].reply);
        cr_expect_eq(is_early(a, "ROLLBACK"), cases[i].reads, "%s", cases[i].text);
        reply(a, "CZ");
        cr_expect_eq(a->session->txn, 'I');
        end(&f);
    }
}

static void near(struct fixture *f) {
    f->engine->distance.least = 200;
}
static void switch_off(struct fixture *f) {
    f->engine->limits.early_commit = false;
}
static void verify(struct fixture *f) {
    f->engine->limits.verify = true;
}
static void doubt(struct fixture *f) {
    session_doubt(f->clients[0].session);
}
static void be_in_a_level(struct fixture *f) {
    f->clients[0].session->transaction.standard = ISOLATION_SERIALIZABLE;
}

Test(end_take, where_it_is_not_certain_or_does_not_pay) {
    static void (*const changes[])(struct fixture *) = {near, switch_off, verify, doubt, be_in_a_level};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct fixture f;
        struct client *a = far(&f);
        read_in(a, "BEGIN READ ONLY");
        changes[i](&f);
        cr_expect_not(is_early(a, "COMMIT"), "%zu", i);
        reply(a, "CZ");
        expect_text(told(a), "CZ");
        end(&f);
    }
}

// Held rows outlive a transaction that reads what is committed, and no other.
Test(end_take, what_is_held) {
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        init(&f);
        f.limits.early_commit = true;
        start(&f);
        struct client *a = &f.clients[0];
        load_and_hold(a);
        f.engine->distance = (struct distance){.began = f.now, .least = 10000};
        tell(a, i ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : committed, "Cz");
        cr_expect(is_early(a, "COMMIT"));
        cr_expect_eq(is_held(a, 3), !i);
        cr_expect_eq(counters(&f)->ahead_stale, i ? 7 : 0);
        end(&f);
    }
}

// The next transactions go on behind it, and each answer finds its question. Beyond some that nobody has answered the client
// waits for the server.
Test(end_take, one_behind_the_other) {
    struct fixture f;
    struct client *a = far(&f);
    tell(a, committed, "Cz");
    cr_expect(is_early(a, "COMMIT"));
    for (unsigned i = 1; i < 4; i++) {
        say_query(a, committed);
        expect_text(asked(a), "Q");
        reply(a, "CZCz");
        expect_text(told(a), "CZ");
        cr_expect_eq(a->session->txn, 'T');
        cr_expect(is_early(a, "COMMIT"));
    }
    tell(a, committed, "CZCz");
    a->session->n_ends = 4;
    say_query(a, "COMMIT");
    a->session->n_ends = 0;
    expect_text(told(a), "");
    reply(a, "CZ");
    expect_text(told(a), "CZ");
    end(&f);
}

// It is cancelled: it is ended again.
Test(end_take, a_server_that_refuses) {
    struct fixture f;
    struct client *a = far(&f);
    read_in(a, committed);
    cr_expect(is_early(a, "COMMIT"));
    reply(a, "ex");
    expect_text(asked(a), "Q"); // ROLLBACK
    expect_text(told(a), "");
    say_query(a, "INSERT INTO u VALUES (1)");
    expect_text(asked(a), "Q");
    reply(a, "CZCZ");
    expect_text(told(a), "CZ");
    cr_expect_not(a->session->failed);
    end(&f);
}

// What was believed to read has written, and the server has undone it: the client does not go on as if nothing had happened.
Test(end_take, a_commit_that_fails) {
    for (int i = 0; i < 4; i++) {
        struct fixture f;
        struct client *a = far(&f);
        read_in(a, committed);
        uint64_t generation = f.engine->generation;
        cr_expect(is_early(a, "COMMIT"));
        if (i & 1)
            say_query(a, "INSERT INTO u VALUES (1)");
        reply(a, i & 2 ? "eZ" : "EZ");
        cr_expect(a->session->failed);
        expect_text(told(a), "E");
        cr_expect_gt(f.engine->generation, generation);
        end(&f);
    }
}

// What was sent behind it has failed for a reason that its client cannot know; so has what does not end at all.
Test(end_take, a_server_that_refuses_in_vain) {
    static const char *const replies[] = {"ex", "Cz", "ex"};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        struct client *a = far(&f);
        read_in(a, committed);
        cr_expect(is_early(a, "COMMIT"));
        if (i == 0)
            say_query(a, "INSERT INTO u VALUES (1)");
        reply(a, replies[i]);
        if (i == 2)
            reply(a, replies[i]);
        cr_expect(a->session->failed);
        expect_text(told(a), "E");
        end(&f);
    }
}

// What the server says of its own accord is the client's.
Test(end_take, what_else_the_server_says) {
    struct fixture f;
    struct client *a = far(&f);
    read_in(a, committed);
    cr_expect(is_early(a, "COMMIT"));
    buf_put(&a->from_server, "A\0\0\0\x0c\0\0\0\1a\0b\0", 13);
    reply(a, "CZ");
    expect_text(told(a), "A");
    read_in(a, committed);
    cr_expect(is_early(a, "COMMIT"));
    write_error(&a->from_server, "FATAL", "57P01", "terminating connection", NULL, NULL);
    reply(a, "");
    expect_text(told(a), "E");
    lose_server(a);
    cr_expect_eq(a->session->n_ends, 0);
    end(&f);
}

// A client that cancels when it has been told means nothing that runs; one that goes away leaves nothing behind.
Test(end_take, clients_that_cancel_and_leave) {
    struct fixture f;
    struct client *a = far(&f);
    read_in(a, committed);
    cr_expect(is_early(a, "COMMIT"));
    cr_expect_not(request_cancel(a));
    cr_expect_eq(a->n_cancels, 0);
    say_query(a, "INSERT INTO u VALUES (1)");
    cr_expect_not(request_cancel(a));
    cr_expect_eq(a->n_cancels, 0, "it would hit COMMIT");
    reply(a, "CZ");
    cr_expect_eq(a->n_cancels, 1);
    cancel_ended(a);
    reply(a, "eZ");
    expect_text(told(a), "EZ");
    (void)asked(a);
    read_in(a, committed);
    cr_expect(is_early(a, "COMMIT"));
    (void)client_sends(a, "X\0\0\0\4", 5);
    expect_text(asked(a), "X");
    (void)hang_up(a);
    reply(a, "CZ");
    end(&f);
}

// ---- the extended protocol

static void describe_portal(struct client *c) {
    write_describe(&c->from_client, 'P', text_slice(""));
}

static void extended(struct client *c, bool parses, const char *name, bool describes) {
    if (parses)
        parse(c, name, "COMMIT");
    execute(c, name, NULL);
    if (describes) {             // between Bind and Execute
        size_t size = 5 + 4 + 1; // of the Execute
        c->from_client.len -= size;
        describe_portal(c);
        write_execute_all(&c->from_client, text_slice(""));
    }
    sync_unit(c);
    say(c);
}

Test(end_take, in_the_extended_protocol) {
    static const struct {
        bool parses, describes;
        const char *name, *answer, *sent, *replies;
    } cases[] = {{true, false, "", "12CZ", "PBES", "12CZ"},
                 {false, false, "", "2CZ", "BES", "2CZ"},
                 {true, true, "", "12nCZ", "PBDES", "12nCZ"},
                 {true, false, "s", "", "PBES", "12CZ"}, // the server may have one of that name
                 {false, false, "s", "2CZ", "BES", "2CZ"},
                 {false, true, "s", "2nCZ", "BDES", "2nCZ"}};
    struct fixture f;
    struct client *a = far(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tell(a, committed, "Cz");
        if (i == 1) { // what the COMMIT before has prepared is gone
            parse(a, "", "COMMIT");
            sync_unit(a);
            say(a);
            reply(a, "1z");
            (void)asked(a), (void)told(a);
        }
        extended(a, cases[i].parses, cases[i].name, cases[i].describes);
        expect_text(told(a), cases[i].answer);
        expect_text(asked(a), cases[i].sent);
        reply(a, cases[i].replies);
        expect_text(told(a), *cases[i].answer ? "" : "12CZ");
        cr_expect_eq(a->session->owed.n, 0);
        cr_expect_eq(a->session->txn, 'I');
    }
    end(&f);
}

// ---- a Sync behind what was answered before it

static void say_flushed(struct client *c, const char *text) {
    parse(c, "", text);
    execute(c, "", NULL);
    write_empty(&c->from_client, F_FLUSH);
    say(c);
    (void)asked(c);
}

// A unit that was answered before its Sync. Returns what the client was told when that was sent.
static const char *sync_behind(struct client *c, const char *text, const char *letters) {
    say_flushed(c, text);
    reply(c, letters);
    (void)told(c);
    sync_unit(c);
    say(c);
    expect_text(asked(c), "S");
    return told(c);
}

Test(end_take, a_sync_behind_what_has_only_read) {
    struct fixture f;
    struct client *a = far(&f);
    for (int i = 0; i < 3; i++) {
        expect_text(sync_behind(a, "SELECT 1", "12C"), "Z");
        cr_expect_eq(a->session->n_ends, 1);
        if (i) { // what comes next goes out behind it
            say_query(a, "INSERT INTO u VALUES (1)");
            expect_text(asked(a), "Q");
        }
        reply(a, "Z");
        expect_text(told(a), "");
        if (i)
            reply(a, "CZ");
        expect_text(told(a), i ? "CZ" : "");
        cr_expect_eq(a->session->owed.n, 0);
    }
    end(&f);
}

Test(end_take, a_sync_that_is_waited_for) {
    static const struct {
        const char *text, *reply;
    } cases[] = {{"INSERT INTO u VALUES (1)", "12C"},
                 {"SELECT 1", "12"},
                 {"SELECT 1", "12E"},
                 {"SET work_mem = '1MB'", "12C"},
                 {"NOTIFY a", "12C"},
                 {"SELECT f(id) FROM list", "12C"},
                 {"LOCK t", "12C"},
                 {"CREATE TABLE x ()", "12C"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct client *a = far(&f);
        expect_text(sync_behind(a, cases[i].text, cases[i].reply), "");
        cr_expect_eq(a->session->n_ends, 0, "%s", cases[i].text);
        end(&f);
    }
}

Test(end_take, a_sync_where_it_is_not_certain_or_does_not_pay) {
    static void (*const changes[])(struct fixture *) = {near, switch_off, verify, doubt};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct fixture f;
        struct client *a = far(&f);
        changes[i](&f);
        expect_text(sync_behind(a, "SELECT 1", "12C"), "");
        reply(a, "Z");
        expect_text(told(a), "Z");
        end(&f);
    }
}

// The server fails to end it: the client was told of something else.
Test(end_take, a_sync_that_fails) {
    struct fixture f;
    struct client *a = far(&f);
    expect_text(sync_behind(a, "SELECT 1", "12C"), "Z");
    reply(a, "EZ");
    cr_expect(a->session->failed);
    end(&f);
}
