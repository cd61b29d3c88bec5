// SPDX-License-Identifier: PostgreSQL
//
// What is reported of statements: each conversation as its clients see it, and what was told of it, in order.
#include "tests/unit/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/answered.h"
#include "protocol/frame.h"
#include "protocol/write.h"
#include "tests/unit/vetted.h"

#define N 2 // clients that the tests speak for; one more makes their statements known, and leaves

struct report {     // of a client
    char told[200]; // f forwarded, a alone, F folded, A ahead, h here; ! when it failed
    struct answered last;
};

static struct report *report_of(const struct client *c) {
    struct report *all = c->fixture->engine->observer.ctx;
    return &all[c - c->fixture->clients];
}

static void answered(void *ctx, const struct session *s, const struct answered *a) {
    struct report *r = report_of(s->owner);
    size_t n = strlen(r->told);
    cr_assert_eq(ctx, s->engine->observer.ctx);
    cr_assert_lt(n + 2, sizeof r->told);
    cr_expect_eq(a->answered, s->engine->now);
    r->told[n++] = "?faFAh"[a->outcome];
    if (a->failed)
        r->told[n++] = '!';
    r->told[n] = 0;
    r->last = *a;
}

// What has been reported since the last call.
static void expect(struct client *c, const char *told) {
    struct report *r = report_of(c);
    cr_expect_str_eq(r->told, told, "reported %s, not %s", r->told, told);
    r->told[0] = 0;
}

static const struct answered *last_of(const struct client *c) {
    return &report_of(c)->last;
}

static const char one[] = "SELECT a FROM t WHERE id = $1";

static void lookup(struct client *c, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d", key);
    say_query(c, text);
}

static void run(struct client *c, const char *text, const char *key) {
    parse(c, "", text);
    execute(c, "", key);
}

static void say_sync(struct client *c) {
    sync_unit(c);
    say(c);
}

static void say_flush(struct client *c) {
    write_empty(&c->from_client, F_FLUSH);
    say(c);
}

static void put_parameters(struct buf *b, uint32_t type) {
    size_t at = write_begin(b, 't');
    buf_put_u16(b, 1);
    buf_put_u32(b, type);
    write_end(b, at);
}

// As reply(), and t describes one int4.
static void answer(struct client *c, const char *letters) {
    for (; *letters; letters++)
        if (*letters == 't')
            put_parameters(&c->from_server, OID_INT4);
        else
            put_reply(&c->from_server, *letters);
    server_says(c);
}

static void end_turn(struct fixture *f) {
    turn(f, f->now + 10);
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

// Sessions of one identity whose lookups fold, in both protocols; nothing has been asked.
static void setup(struct fixture *f) {
    static const char *const idle[] = {"idle_in_transaction_session_timeout", "0", NULL};
    struct report *reports = calloc(FIXTURE_CLIENTS, sizeof *reports);
    cr_assert_not_null(reports);
    fixture_init(f);
    f->limits.vet_max_age = 60000000;
    f->now = 1000;
    fixture_start(f, N + 1);
    struct client *first = &f->clients[N];
    for (unsigned i = 0; i < f->n_clients; i++) {
        know_facts(&f->clients[i]);
        prove(&f->clients[i], idle);
        buf_reset(&f->clients[i].to_server);
    }
    lookup(first, 1);
    run(first, one, "1");
    say_sync(first);
    end_turn(f);
    make_ready(f);
    lose_server(first); // whatever was asked
    log_out(first);
    f->engine->observer = (struct answered_observer){answered, reports};
    figures_reset(f->engine);
}

static uint64_t sum(const uint64_t *n, unsigned count) {
    uint64_t all = 0;
    for (unsigned i = 0; i < count; i++)
        all += n[i];
    return all;
}

// Each answered statement is counted once: by its outcome, in the histograms, and for its database.
static void check_counted_once(const struct engine *e) {
    const struct engine_counters *c = &e->counters;
    uint64_t timed = 0, named = 0;
    cr_expect_eq(c->answered,
                 c->from_batch + c->from_ahead + c->alone + c->here + sum(c->forwarded, REASON_COUNT));
    cr_expect_eq(c->folded, c->from_batch + c->from_ahead);
    cr_expect_leq(sum(c->not_folded, REASON_COUNT), c->alone);
    for (int o = 0; o < OUTCOME_COUNT; o++)
        timed += histogram_total(&e->figures.took[o]);
    for (unsigned i = 0; i < figures_lines(&e->figures); i++)
        named += sum(e->figures.databases[i].answered, OUTCOME_COUNT);
    cr_expect_eq(timed, c->answered);
    cr_expect_eq(named, c->answered);
}

// Nothing is reported behind what was expected, nor when the sessions end.
static void teardown(struct fixture *f) {
    check_counted_once(f->engine);
    for (int i = 0; i < N; i++) {
        expect(&f->clients[i], "");
        log_out(&f->clients[i]);
        expect(&f->clients[i], "");
    }
    free(f->engine->observer.ctx);
    fixture_end(f);
}

// The batch under way, whoever runs it: one row for each of the keys 1 … n. Prepared for the first time.
static void answer_batch(struct fixture *f, int n) {
    struct batch *batch = f->engine->batches;
    cr_assert_not_null(batch);
    struct client *c = batch->lender->owner;
    struct buf *b = &c->from_server;
    for (unsigned i = 0; i < batch->n_closes; i++)
        put_reply(b, B_CLOSE_COMPLETE);
    put_reply(b, B_PARSE_COMPLETE);
    put_parameters(b, 1007); // int4[]
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 2);
    put_column(b, "a", 16384);
    put_column(b, "a", 16384);
    write_end(b, at);
    put_reply(b, B_BIND_COMPLETE);
    for (int key = 1; key <= n; key++) {
        char digit[] = {(char)('0' + key), 0};
        const char *row[] = {digit, digit};
        put_text_row(b, row, 2);
    }
    write_select_complete(b, (unsigned)n);
    put_replies(b, "12");
    put_stamp_row(b, batch->group->stamp);
    write_select_complete(b, 1);
    put_reply(b, 'Z');
    server_says(c);
}

// ---- forwarded

Test(answered, a_query_is_a_statement) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    say_query(c, "INSERT INTO u VALUES (1)");
    say_query(c, "SELECT 1; SELECT 2");
    say_query(c, "no SQL");
    expect(c, "");
    answer(c, "C");
    expect(c, "");
    f.now += 500;
    answer(c, "Z");
    expect(c, "f");
    cr_expect_eq(last_of(c)->kind, STATEMENT_WRITE);
    cr_expect_eq(last_of(c)->reason, REASON_NOT_SELECT);
    cr_expect_eq(last_of(c)->answered - last_of(c)->asked, 500);
    answer(c, "TCTCZEZ");
    expect(c, "ff!");
    cr_expect_eq(f.engine->counters.folded + f.engine->counters.alone, 0);
    teardown(&f);
}

Test(answered, what_runs_nothing_is_none) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    parse(c, "x", "INSERT INTO u VALUES ($1)");
    write_describe(&c->from_client, 'S', text_slice("x"));
    say_sync(c);
    write_close(&c->from_client, 'S', text_slice("x"));
    say_sync(c);
    say_sync(c);
    answer(c, "1tnZ3ZZ");
    expect(c, "");
    parse(c, "", "no SQL");
    say_sync(c);
    answer(c, "EZ");
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
        say_sync(c);
        for (int j = 0; j < 2; j++) {
            answer(c, units[i].replies[j]);
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
    say_flush(c);
    f.now += 100;
    answer(c, "12C"); // there is no Sync yet
    expect(c, "f");
    cr_expect_eq(last_of(c)->kind, STATEMENT_BEGIN);
    cr_expect_eq(last_of(c)->answered - last_of(c)->asked, 100);
    run(c, "INSERT INTO u VALUES (1)", NULL);
    execute(c, "", NULL);
    say_sync(c);
    f.now += 30;
    answer(c, "12C2Cz");
    expect(c, "ff");
    cr_expect_eq(last_of(c)->kind, STATEMENT_WRITE);
    cr_expect_not_null(last_of(c)->shape);
    cr_expect_eq(last_of(c)->answered - last_of(c)->asked, 30);
    teardown(&f);
}

// An error may overtake the Execute that it answers.
Test(answered, an_error_before_its_execute_has_come) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    parse(c, "", "INSERT INTO u VALUES (1)");
    say_flush(c);
    answer(c, "E");
    execute(c, "", NULL);
    execute(c, "", NULL);
    say_sync(c);
    expect(c, "");
    answer(c, "Z");
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
    say_sync(c);
    for (int i = 0; i < 8; i++)
        answer(c, "12C");
    expect(c, "fffffff");
    answer(c, "Z");
    expect(c, "f");
    cr_expect_null(last_of(c)->shape);
    for (int i = 0; i < 9; i++) // alike, they take one place
        execute(c, "", NULL);
    say_sync(c);
    answer(c, "2C2C2C2C2C2C2C2C2CZ");
    expect(c, "fffffffff");
    cr_expect_not_null(last_of(c)->shape);
    teardown(&f);
}

Test(answered, a_query_inside_a_unit) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    run(c, "INSERT INTO u VALUES (1)", NULL);
    say_flush(c);
    answer(c, "12C");
    expect(c, "f");
    say_query(c, "DELETE FROM u");
    answer(c, "CZ");
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
    say_sync(c);
    expect(c, "");
    answer(c, "TCZ12CZ");
    expect(c, "ff");
    cr_expect_eq(last_of(c)->kind, STATEMENT_READ);
    cr_expect_not_null(last_of(c)->shape);
    teardown(&f);
}

Test(answered, nobody_is_told_of_who_is_gone) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    say_query(c, "INSERT INTO u VALUES (1)");
    lookup(&f.clients[1], 1);
    end_turn(&f);
    (void)hang_up(c);
    (void)hang_up(&f.clients[1]);
    answer(c, "CZ");
    answer(&f.clients[1], "TCZ");
    teardown(&f);
}

Test(answered, of_what_is_relayed_unread_nothing_is_known) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    say_query(c, "INSERT INTO u VALUES (1)");
    run(c, "COPY u FROM STDIN", NULL);
    say_sync(c);
    answer(c, "CZ");
    expect(c, "f");
    answer(c, "12G");
    say_query(c, "INSERT INTO u VALUES (1)");
    answer(c, "CZCZ");
    teardown(&f);
}

// ---- lookups

Test(answered, a_lookup_that_runs_alone) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    lookup(c, 1);
    end_turn(&f);
    f.now += 300;
    answer(c, "TCZ");
    expect(c, "a");
    cr_expect_eq(last_of(c)->kind, STATEMENT_READ);
    cr_expect_eq(last_of(c)->reason, REASON_NONE);
    cr_expect_eq(last_of(c)->answered - last_of(c)->asked, 310);
    run(c, one, "1");
    say_sync(c);
    end_turn(&f);
    answer(c, "12EZ");
    expect(c, "a!");
    cr_expect_eq(f.engine->counters.alone, 2);
    teardown(&f);
}

Test(answered, lookups_that_are_folded) {
    struct fixture f;
    setup(&f);
    for (int i = 0; i < N; i++)
        lookup(&f.clients[i], i + 1);
    end_turn(&f);
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
    say_query(c, "INSERT INTO u VALUES (1)");
    lookup(c, 1); // behind it: forwarded
    expect(c, "");
    answer(c, "CZ");
    expect(c, "f");
    cr_expect_eq(last_of(c)->kind, STATEMENT_WRITE);
    answer(c, "TCZ");
    expect(c, "f");
    cr_expect_eq(last_of(c)->reason, REASON_BEHIND_FORWARD);
    c = &f.clients[1];
    lookup(c, 1);
    lookup(c, 2);
    end_turn(&f);
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
        say_sync(c);
        end_turn(&f);
        if (replies[i]) { // the batch fails
            answer(c, "3EZ");
            expect(c, "");
            answer(c, replies[i]);
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
    end_turn(&f);
    struct client *lender = f.engine->batches->lender->owner;
    answer(lender, "3EZ");
    for (int i = 0; i < N; i++) {
        answer(&f.clients[i], "TCZ");
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
    say_sync(c);
    end_turn(&f);
    answer(c, "12EZ");
    expect(c, "a!");
    cr_expect_eq(last_of(c)->reason, REASON_KEY_VALUE);
    cr_expect_eq(f.engine->counters.not_folded[REASON_KEY_VALUE], 1);
    teardown(&f);
}

Test(answered, a_cancelled_lookup) {
    struct fixture f;
    setup(&f);
    lookup(&f.clients[0], 1);
    lookup(&f.clients[1], 2);
    end_turn(&f);
    struct client *lender = f.engine->batches->lender->owner, *other = &f.clients[lender == f.clients];
    cr_assert_not(request_cancel(other));
    expect(other, "h!");
    cr_expect_eq(last_of(other)->kind, STATEMENT_READ);
    cr_expect_not_null(last_of(other)->shape);
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
    say_sync(c);
    cr_assert_not(request_cancel(c));
    expect(c, "h!");
    end_turn(&f);
    teardown(&f);
}

// Those that are compared get what they say as sent.
Test(answered, lookups_that_are_checked) {
    struct fixture f;
    setup(&f);
    f.engine->limits.verify = true;
    for (int i = 0; i < N; i++)
        lookup(&f.clients[i], i + 1);
    end_turn(&f);
    answer(&f.clients[0], "EZ"); // nothing that a batch could say, too
    expect(&f.clients[0], "a!");
    answer(&f.clients[1], "TCZ");
    end_turn(&f);
    if (f.engine->batches)
        answer_batch(&f, 1);
    else
        cr_assert(false, "no batch was made");
    answer(&f.clients[1], "TCZ"); // once more
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
    write_describe(&c->from_client, 'S', text_slice(""));
    say_sync(c);
    put_text_row(&c->from_server, yes, 1);
    answer(c, "CZ1tTZ");
    buf_reset(&c->to_server);
}

static void prepare(struct client *c, const char *name) {
    parse(c, name, one);
    write_describe(&c->from_client, 'S', text_slice(name));
    say_sync(c);
    cr_assert_eq(c->to_server.len, 0, "the server is asked");
}

Test(answered, a_deallocate_of_what_the_server_never_had) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    learn(c);
    prepare(c, "x");
    prepare(c, "y");
    say_query(c, "DEALLOCATE x");
    expect(c, "h");
    cr_expect_eq(last_of(c)->kind, STATEMENT_DEALLOCATE);
    run(c, one, "1");
    say_sync(c);
    say_query(c, "DEALLOCATE y"); // behind a lookup, and each in its place
    prepare(c, "z");
    say_query(c, "DEALLOCATE z");
    expect(c, "");
    end_turn(&f);
    answer(c, "12CZ");
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
    execute(c, "x", "5");
    say_sync(c);
    end_turn(&f);
    answer(c, "31tn2DCZ"); // other columns than the client was told
    expect(c, "a!");
    teardown(&f);
}
