// SPDX-License-Identifier: PostgreSQL
//
// What is reported of statements: each conversation as its clients see it, and what was told of it, in order.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/flow/cancel.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/frame.h"
#include "protocol/write.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"
#include "tests/unit/vetted.h"

#define N 2

struct client {
    struct session *session;
    struct buf says, to_client, to_server;
    char told[200]; // f forwarded, a alone, F folded, A ahead, h here; ! when it failed
    struct answered last;
};

struct fixture {
    struct engine *engine;
    struct client clients[N];
};

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_server, bytes, len);
}

static void nothing(void *owner) {
    (void)owner;
}

static bool cancel_is_sent(void *owner) {
    (void)owner;
    return true;
}

static void no_log(void *ctx, enum reason reason, uint64_t session, const char *message) {
    (void)ctx;
    (void)reason;
    (void)session;
    (void)message;
}

static const struct engine_effects effects = {to_client, to_server, nothing, cancel_is_sent, nothing, no_log};

static void answered(void *ctx, const struct session *s, const struct answered *a) {
    struct client *c = s->owner;
    size_t n = strlen(c->told);
    cr_assert_eq(ctx, s->engine);
    cr_assert_lt(n + 2, sizeof c->told);
    cr_expect_eq(a->answered, s->engine->now);
    c->told[n++] = "?faFAh"[a->outcome];
    if (a->failed)
        c->told[n++] = '!';
    c->told[n] = 0;
    c->last = *a;
}

static const char one[] = "SELECT a FROM t WHERE id = $1";

static void say(struct client *c) {
    cr_assert_eq(session_from_client(c->session, c->says.data, c->says.len, c->session->engine->now),
                 c->says.len);
    buf_reset(&c->says);
}

static void query(struct client *c, const char *text) {
    write_query(&c->says, text, strlen(text));
    say(c);
}

static void lookup(struct client *c, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d", key);
    query(c, text);
}

static void parse(struct client *c, const char *name, const char *text) {
    write_parse(&c->says, text_slice(name), text_slice(text), NULL, 0);
}

static void bind(struct client *c, const char *key) {
    size_t at = write_begin(&c->says, F_BIND);
    buf_put(&c->says, "\0\0\0\0", 4);
    buf_put_u16(&c->says, key != NULL);
    if (key) {
        buf_put_u32(&c->says, (uint32_t)strlen(key));
        buf_put_text(&c->says, key);
    }
    buf_put_u16(&c->says, 0);
    write_end(&c->says, at);
    write_execute_all(&c->says, text_slice(""));
}

static void run(struct client *c, const char *text, const char *key) {
    parse(c, "", text);
    bind(c, key);
}

static void sync(struct client *c) {
    write_empty(&c->says, F_SYNC);
    say(c);
}

static void server_says(struct client *c, const struct buf *b) {
    cr_assert_eq(session_from_server(c->session, b->data, b->len, c->session->engine->now), b->len);
}

// By their types: T has one column, Z is idle, z inside a transaction.
static void reply(struct client *c, const char *types) {
    struct buf b = buf_make(10000);
    for (; *types; types++) {
        if (*types == 'Z' || *types == 'z')
            write_ready(&b, *types == 'Z' ? 'I' : 'T');
        else if (*types == 'C')
            write_select_complete(&b, 0);
        else if (*types == 'E')
            write_error(&b, "ERROR", "42P01", "no", NULL, NULL);
        else if (*types == 't')
            buf_put(&b, "t\0\0\0\x0a\0\1\0\0\0\x17", 11);
        else if (*types == 'T') {
            size_t at = write_begin(&b, B_ROW_DESCRIPTION);
            buf_put(&b, "\0\1a\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 22);
            write_end(&b, at);
        } else {
            write_empty(&b, *types);
        }
    }
    server_says(c, &b);
    buf_free(&b);
}

// What has been reported since the last call.
static void expect(struct client *c, const char *told) {
    cr_expect_str_eq(c->told, told, "reported %s, not %s", c->told, told);
    c->told[0] = 0;
}

static void turn(struct fixture *f) {
    engine_turn(f->engine, f->engine->now + 10);
}

static void make_ready(struct fixture *f) {
    static const uint32_t type = OID_INT4;
    struct vet_result r = {.answered = true, .ok = true, .key_unique = true, .key_type = type};
    for (struct group *g = f->engine->groups.newest; g; g = g->older) {
        if (group_is_read(g) || g->state == GROUP_READY)
            continue;
        put_vetting(g, &r, 1, &type, 1);
        cr_assert_null(group_vetted(&f->engine->groups, g, f->engine->now, f->engine->generation));
    }
}

// That it is alice, under the configuration that batches are read under, and that nothing of a user's can write.
static void log_in(struct fixture *f, struct client *c) {
    const char *idle[] = {"idle_in_transaction_session_timeout", "0", NULL};
    struct buf b = buf_make(1000);
    c->says = c->to_client = c->to_server = buf_make(100000);
    c->session =
        session_create(f->engine, c, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
    c->session->database->facts.known = true;
    c->session->database->facts.generation = f->engine->generation;
    session_start_proof(c->session);
    put_proof_users(&b);
    write_empty(&b, B_COMMAND_COMPLETE);
    put_text_row(&b, idle, 3);
    write_empty(&b, B_COMMAND_COMPLETE);
    write_ready(&b, 'I');
    server_says(c, &b);
    buf_free(&b);
    buf_reset(&c->to_server);
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
}

static void leave(struct client *c) {
    session_destroy(c->session, c->session->engine->now);
    buf_free(&c->says);
    buf_free(&c->to_client);
    buf_free(&c->to_server);
}

// Sessions of one identity whose lookups fold, in both protocols; nothing has been asked.
static void setup(struct fixture *f) {
    struct engine_limits limits = {.max_keys = 100,
                                   .max_in_flight = 2,
                                   .max_waiting = 100,
                                   .max_shapes = 100,
                                   .max_groups = 100,
                                   .max_statements = 100,
                                   .max_answer = 100000,
                                   .max_text = 10000,
                                   .vet_max_age = 60000000};
    *f = (struct fixture){.engine = engine_create(&limits, &effects, NULL)};
    f->engine->now = 1000;
    struct client first = {0};
    log_in(f, &first);
    for (int i = 0; i < N; i++)
        log_in(f, &f->clients[i]);
    lookup(&first, 1);
    run(&first, one, "1");
    sync(&first);
    turn(f);
    make_ready(f);
    session_server_gone(first.session, f->engine->now); // whatever was asked
    leave(&first);
    f->engine->observer = (struct answered_observer){answered, f->engine};
    f->engine->counters = (struct engine_counters){0};
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < N; i++) {
        expect(&f->clients[i], "");
        leave(&f->clients[i]);
        expect(&f->clients[i], "");
    }
    engine_destroy(f->engine);
}

static void put_folded_column(struct buf *b) {
    buf_put_str(b, "a");
    buf_put(b, "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 18);
}

// The batch under way, whoever runs it: one row for each of the keys 1 … n. Prepared for the first time.
static void answer_batch(struct fixture *f, int n) {
    struct batch *batch = f->engine->batches;
    cr_assert_not_null(batch);
    struct client *c = batch->lender->owner;
    struct buf b = buf_make(10000);
    for (unsigned i = 0; i < batch->n_closes; i++)
        write_empty(&b, B_CLOSE_COMPLETE);
    write_empty(&b, B_PARSE_COMPLETE);
    buf_put(&b, "t\0\0\0\x0a\0\1\0\0\3\xef", 11);
    size_t at = write_begin(&b, B_ROW_DESCRIPTION);
    buf_put_u16(&b, 2);
    put_folded_column(&b);
    put_folded_column(&b);
    write_end(&b, at);
    write_empty(&b, B_BIND_COMPLETE);
    for (int key = 1; key <= n; key++) {
        char digit[] = {(char)('0' + key), 0};
        const char *row[] = {digit, digit};
        put_text_row(&b, row, 2);
    }
    write_select_complete(&b, (unsigned)n);
    write_empty(&b, B_PARSE_COMPLETE);
    write_empty(&b, B_BIND_COMPLETE);
    put_stamp_row(&b, batch->group->stamp);
    write_select_complete(&b, 1);
    write_ready(&b, 'I');
    server_says(c, &b);
    buf_free(&b);
}

// ---- forwarded

Test(answered, a_query_is_a_statement) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    query(c, "INSERT INTO u VALUES (1)");
    query(c, "SELECT 1; SELECT 2");
    query(c, "no SQL");
    expect(c, "");
    reply(c, "C");
    expect(c, "");
    f.engine->now += 500;
    reply(c, "Z");
    expect(c, "f");
    cr_expect_eq(c->last.kind, STATEMENT_WRITE);
    cr_expect_eq(c->last.reason, REASON_NOT_SELECT);
    cr_expect_eq(c->last.answered - c->last.asked, 500);
    reply(c, "TCTCZEZ");
    expect(c, "ff!");
    cr_expect_eq(f.engine->counters.folded + f.engine->counters.alone, 0);
    teardown(&f);
}

Test(answered, what_runs_nothing_is_none) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    parse(c, "x", "INSERT INTO u VALUES ($1)");
    write_describe(&c->says, 'S', text_slice("x"));
    sync(c);
    write_close(&c->says, 'S', text_slice("x"));
    sync(c);
    sync(c);
    reply(c, "1tnZ3ZZ");
    expect(c, "");
    parse(c, "", "no SQL");
    sync(c);
    reply(c, "EZ");
    expect(c, "");
    teardown(&f);
}

static const struct {
    const char *replies[2]; // in two pieces
    const char *told[2];    // of two statements in one unit
} units[] = {
    {{"12C", "12CZ"}, {"f", "f"}},   {{"12C12C", "Z"}, {"f", "f"}}, // the last one may still fail
    {{"12C12C", "EZ"}, {"f", "f!"}}, {{"12C", "EZ"}, {"f", "f!"}},
    {{"1", "EZ"}, {"", "f!"}}, // the other one is skipped
    {{"E", "Z"}, {"", "f!"}},        {{"12I12s", "Z"}, {"f", "f"}},
};

Test(answered, each_execute_is_a_statement) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct fixture f;
        setup(&f);
        struct client *c = &f.clients[0];
        run(c, "BEGIN", NULL);
        run(c, "INSERT INTO u VALUES (1)", NULL);
        sync(c);
        for (int j = 0; j < 2; j++) {
            reply(c, units[i].replies[j]);
            expect(c, units[i].told[j]);
        }
        teardown(&f);
    }
}

Test(answered, each_execute_has_its_own_kind_and_time) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    run(c, "BEGIN", NULL);
    write_empty(&c->says, F_FLUSH);
    say(c);
    f.engine->now += 100;
    reply(c, "12C"); // there is no Sync yet
    expect(c, "f");
    cr_expect_eq(c->last.kind, STATEMENT_BEGIN);
    cr_expect_eq(c->last.answered - c->last.asked, 100);
    run(c, "INSERT INTO u VALUES (1)", NULL);
    bind(c, NULL);
    sync(c);
    f.engine->now += 30;
    reply(c, "12C2Cz");
    expect(c, "ff");
    cr_expect_eq(c->last.kind, STATEMENT_WRITE);
    cr_expect_not_null(c->last.shape);
    cr_expect_eq(c->last.answered - c->last.asked, 30);
    teardown(&f);
}

// An error may overtake the Execute that it answers.
Test(answered, an_error_before_its_execute_has_come) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    parse(c, "", "INSERT INTO u VALUES (1)");
    write_empty(&c->says, F_FLUSH);
    say(c);
    reply(c, "E");
    bind(c, NULL);
    bind(c, NULL);
    sync(c);
    expect(c, "");
    reply(c, "Z");
    expect(c, "f!");
    teardown(&f);
}

// Of more of them than are remembered one by one it is still known that they were there.
Test(answered, many_in_one_unit) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    f.engine->limits.max_owed = 4;
    const char *texts[] = {"INSERT INTO u VALUES (1)", "DELETE FROM u"};
    for (int i = 0; i < 8; i++)
        run(c, texts[i % 2], NULL);
    sync(c);
    for (int i = 0; i < 8; i++)
        reply(c, "12C");
    expect(c, "fffffff");
    reply(c, "Z");
    expect(c, "f");
    cr_expect_null(c->last.shape);
    for (int i = 0; i < 9; i++) // alike, they take one place
        bind(c, NULL);
    sync(c);
    reply(c, "2C2C2C2C2C2C2C2C2CZ");
    expect(c, "fffffffff");
    cr_expect_not_null(c->last.shape);
    teardown(&f);
}

Test(answered, a_query_inside_a_unit) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    run(c, "INSERT INTO u VALUES (1)", NULL);
    write_empty(&c->says, F_FLUSH);
    say(c);
    reply(c, "12C");
    expect(c, "f");
    query(c, "DELETE FROM u");
    reply(c, "CZ");
    expect(c, "f");
    teardown(&f);
}

Test(answered, in_mode_observe) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    f.engine->limits.observe = true;
    lookup(c, 1);
    run(c, one, "1");
    sync(c);
    expect(c, "");
    reply(c, "TCZ12CZ");
    expect(c, "ff");
    cr_expect_eq(c->last.kind, STATEMENT_READ);
    cr_expect_not_null(c->last.shape);
    teardown(&f);
}

Test(answered, nobody_is_told_of_who_is_gone) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    query(c, "INSERT INTO u VALUES (1)");
    lookup(&f.clients[1], 1);
    turn(&f);
    (void)session_client_gone(c->session, f.engine->now);
    (void)session_client_gone(f.clients[1].session, f.engine->now);
    reply(c, "CZ");
    reply(&f.clients[1], "TCZ");
    teardown(&f);
}

Test(answered, of_what_is_relayed_unread_nothing_is_known) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    query(c, "INSERT INTO u VALUES (1)");
    run(c, "COPY u FROM STDIN", NULL);
    sync(c);
    reply(c, "CZ");
    expect(c, "f");
    reply(c, "12G");
    query(c, "INSERT INTO u VALUES (1)");
    reply(c, "CZCZ");
    teardown(&f);
}

// ---- lookups

Test(answered, a_lookup_that_runs_alone) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    lookup(c, 1);
    turn(&f);
    f.engine->now += 300;
    reply(c, "TCZ");
    expect(c, "a");
    cr_expect_eq(c->last.kind, STATEMENT_READ);
    cr_expect_eq(c->last.reason, REASON_NONE);
    cr_expect_eq(c->last.answered - c->last.asked, 310);
    run(c, one, "1");
    sync(c);
    turn(&f);
    reply(c, "12EZ");
    expect(c, "a!");
    cr_expect_eq(f.engine->counters.alone, 2);
    teardown(&f);
}

Test(answered, lookups_that_are_folded) {
    struct fixture f;
    setup(&f);
    for (int i = 0; i < N; i++)
        lookup(&f.clients[i], i + 1);
    turn(&f);
    answer_batch(&f, 2);
    for (int i = 0; i < N; i++)
        expect(&f.clients[i], "F");
    cr_expect_eq(f.engine->counters.folded, 2);
    cr_expect_eq(f.engine->counters.batches, 1);
    teardown(&f);
}

Test(answered, in_the_order_of_the_answers) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    query(c, "INSERT INTO u VALUES (1)");
    lookup(c, 1); // behind it: forwarded
    expect(c, "");
    reply(c, "CZ");
    expect(c, "f");
    cr_expect_eq(c->last.kind, STATEMENT_WRITE);
    reply(c, "TCZ");
    expect(c, "f");
    cr_expect_eq(c->last.reason, REASON_BEHIND_FORWARD);
    c = &f.clients[1];
    lookup(c, 1);
    lookup(c, 2);
    turn(&f);
    answer_batch(&f, 2);
    expect(c, "FF");
    teardown(&f);
}

// A unit of several lookups: folded, as sent, and with one that fails.
Test(answered, a_unit_of_lookups) {
    static const char *const replies[] = {NULL, "12C12CZ", "12C1EZ", "EZ", "12C12CEZ"}, *const told[] = {
                                                                                            "FF", "aa", "aa!",
                                                                                            "a!", "aa!"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct fixture f;
        setup(&f);
        struct client *c = &f.clients[0];
        run(c, one, "1");
        run(c, one, "2");
        sync(c);
        turn(&f);
        if (replies[i]) { // the batch fails
            reply(c, "3EZ");
            expect(c, "");
            reply(c, replies[i]);
        } else {
            answer_batch(&f, 2);
        }
        expect(c, told[i]);
        cr_expect_eq(f.engine->counters.folded, replies[i] ? 0 : 2);
        teardown(&f);
    }
}

Test(answered, a_lookup_whose_batch_fails) {
    struct fixture f;
    setup(&f);
    for (int i = 0; i < N; i++)
        lookup(&f.clients[i], i + 1);
    turn(&f);
    struct client *lender = f.engine->batches->lender->owner;
    reply(lender, "3EZ");
    for (int i = 0; i < N; i++) {
        reply(&f.clients[i], "TCZ");
        expect(&f.clients[i], "a");
    }
    cr_expect_eq(f.engine->counters.folded, 0);
    cr_expect_eq(f.engine->counters.alone, 2);
    teardown(&f);
}

// Its key cannot be read: it is a lookup nevertheless.
Test(answered, a_lookup_without_a_plain_key) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    run(c, one, "x");
    sync(c);
    turn(&f);
    reply(c, "12EZ");
    expect(c, "a!");
    cr_expect_eq(c->last.reason, REASON_KEY_VALUE);
    cr_expect_eq(f.engine->counters.forwarded[REASON_KEY_VALUE], 1);
    teardown(&f);
}

Test(answered, a_cancelled_lookup) {
    struct fixture f;
    setup(&f);
    lookup(&f.clients[0], 1);
    lookup(&f.clients[1], 2);
    turn(&f);
    struct client *lender = f.engine->batches->lender->owner, *other = &f.clients[lender == f.clients];
    cr_assert_not(session_cancel(other->session, f.engine->now));
    expect(other, "h!");
    cr_expect_eq(other->last.kind, STATEMENT_READ);
    cr_expect_not_null(other->last.shape);
    answer_batch(&f, 1);
    expect(lender, "F");
    teardown(&f);
}

// The others of its unit are skipped, as the server does it.
Test(answered, a_cancelled_unit_of_lookups) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    run(c, one, "1");
    run(c, one, "2");
    sync(c);
    cr_assert_not(session_cancel(c->session, f.engine->now));
    expect(c, "h!");
    turn(&f);
    teardown(&f);
}

// Those that are compared get what they say as sent.
Test(answered, lookups_that_are_checked) {
    struct fixture f;
    setup(&f);
    f.engine->limits.verify = true;
    for (int i = 0; i < N; i++)
        lookup(&f.clients[i], i + 1);
    turn(&f);
    reply(&f.clients[0], "EZ"); // nothing that a batch could say, too
    expect(&f.clients[0], "a!");
    reply(&f.clients[1], "TCZ");
    turn(&f);
    if (f.engine->batches)
        answer_batch(&f, 1);
    else
        cr_assert(false, "no batch was made");
    reply(&f.clients[1], "TCZ"); // once more
    expect(&f.clients[1], "a");
    cr_expect_eq(f.engine->counters.folded, 0);
    cr_expect_eq(f.engine->counters.alone, 2);
    teardown(&f);
}

// ---- without the server

// What every session of the identity is told of this statement.
static void learn(struct client *c) {
    const char *yes[] = {"t"};
    parse(c, "", one);
    write_describe(&c->says, 'S', text_slice(""));
    sync(c);
    put_text_row(&c->says, yes, 1);
    server_says(c, &c->says);
    buf_reset(&c->says);
    reply(c, "CZ1tTZ");
    buf_reset(&c->to_server);
}

static void prepare(struct client *c, const char *name) {
    parse(c, name, one);
    write_describe(&c->says, 'S', text_slice(name));
    sync(c);
    cr_assert_eq(c->to_server.len, 0, "the server is asked");
}

Test(answered, a_deallocate_of_what_the_server_never_had) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    learn(c);
    prepare(c, "x");
    prepare(c, "y");
    query(c, "DEALLOCATE x");
    expect(c, "h");
    cr_expect_eq(c->last.kind, STATEMENT_DEALLOCATE);
    run(c, one, "1");
    sync(c);
    query(c, "DEALLOCATE y"); // behind a lookup, and each in its place
    prepare(c, "z");
    query(c, "DEALLOCATE z");
    expect(c, "");
    turn(&f);
    reply(c, "12CZ");
    expect(c, "ahh");
    cr_expect_eq(f.engine->counters.lazy, 3);
    teardown(&f);
}

// The statement is given to the server when it is used, and it refuses it.
Test(answered, a_statement_that_was_prepared_without_the_server) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    learn(c);
    prepare(c, "x");
    size_t at = write_begin(&c->says, F_BIND);
    buf_put_str(&c->says, "");
    buf_put_str(&c->says, "x");
    buf_put(&c->says, "\0\0\0\1\0\0\0\1\x35\0\0", 11);
    write_end(&c->says, at);
    write_execute_all(&c->says, text_slice(""));
    sync(c);
    turn(&f);
    reply(c, "31tn2DCZ"); // other columns than the client was told
    expect(c, "a!");
    teardown(&f);
}
