// SPDX-License-Identifier: PostgreSQL
//
// Batches and queries of pgfold's own that are not answered in time: who waits for them, for how long, and
// what is tried next.
//
// Three clients of the fixture share an identity and fold from the start. The test lets the deadlines pass.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "tests/unit/fixture.h"
#include "tests/unit/vetted.h"

#define N 3

// What went to the server since the last call.
static const char *sent(struct client *c) {
    return take_types(&c->to_server);
}

// Lets a deadline pass: it takes two turns, since what had come by then is read first.
static void pass(struct fixture *f, uint64_t deadline) {
    turn(f, deadline);
    turn(f, deadline + 1000);
}

static void make_ready(struct fixture *f) {
    static const uint32_t type = OID_INT4;
    struct vet_result r = {.answered = true, .ok = true, .key_unique = true, .key_type = type};
    for (struct group *g = f->engine->groups.newest; g; g = g->older) {
        if (group_is_read(g))
            continue;
        put_vetting(g, &r, 1, &type, 1);
        cr_assert_null(group_vetted(&f->engine->groups, g, f->engine->now, f->engine->generation));
    }
}

static void look_up(struct client *c, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d", key);
    ask(c, text);
}

static void be_proven(struct client *c, struct identity *one) {
    c->session->identity.state = IDENTITY_PROVEN;
    c->session->identity.current = one;
    one->refs++;
}

// Sessions of one identity whose lookups fold: the first one looks something up, is told that it folds, and
// comes again.
static void setup(struct fixture *f) {
    struct client *c = &f->clients[0];
    fixture_init(f);
    f->now = 1000;
    f->limits.vet_max_age = 60000000;
    f->limits.patience = 20000;
    fixture_start(f, N);
    c->session->identity.state = IDENTITY_PROVEN;
    struct identity *one = session_identity_current(&f->engine->identities, &c->session->identity);
    for (int i = 1; i < N; i++)
        be_proven(&f->clients[i], one);
    look_up(c, 1);
    turn(f, 1000);
    make_ready(f);
    lose_server(c); // whatever was asked
    log_out(c);
    log_in(c, "server", BYTES("user\0alice\0"));
    be_proven(c, one);
    buf_reset(&c->to_server);
    buf_reset(&c->to_client);
}

static void end(struct fixture *f) {
    for (int i = 0; i < N; i++)
        log_out(&f->clients[i]);
    cr_assert_null(f->engine->late);
    fixture_end(f);
}

// All clients ask at once: a batch. Returns the one whose connection it runs on.
static struct client *begin_batch(struct fixture *f, uint64_t now) {
    f->now = now;
    for (int i = 0; i < N; i++)
        look_up(&f->clients[i], i + 1);
    turn(f, now);
    cr_assert_not_null(f->engine->batches);
    struct client *lender = f->engine->batches->lender->owner;
    for (int i = 0; i < N; i++)
        expect_text(sent(&f->clients[i]), &f->clients[i] == lender ? "CCPDBEPBES" : "");
    return lender;
}

static struct guard *guard_of(struct fixture *f) {
    return &f->engine->shapes.newest->guard;
}

Test(late, others_leave_a_late_batch) {
    struct fixture f;
    setup(&f);
    struct client *lender = begin_batch(&f, 2000);
    uint64_t deadline = engine_deadline(f.engine);
    cr_assert_leq(deadline, 2000 + 250000);
    turn(&f, deadline);
    cr_assert_leq(engine_deadline(f.engine), deadline + 1000, "what has come is read first");
    turn(&f, deadline + 1000);
    for (int i = 0; i < N; i++)
        expect_text(sent(&f.clients[i]), &f.clients[i] == lender ? "" : "Q");
    cr_assert_eq(f.engine->counters.late, N - 1);
    cr_assert_eq(lender->n_cancels, 0, "its own member stays");
    end(&f);
}

Test(late, its_lenders_client_gets_its_connection_back) {
    struct fixture f;
    setup(&f);
    struct client *lender = begin_batch(&f, 2000);
    pass(&f, engine_deadline(f.engine));
    uint64_t deadline = engine_deadline(f.engine);
    cr_assert_leq(deadline, 2000 + 400000);
    pass(&f, deadline);
    cr_assert_eq(lender->n_cancels, 1);
    expect_text(sent(lender), "");
    cancel_ended(lender);
    reply(lender, "eZ");
    expect_text(sent(lender), "Q");
    reply(lender, "CZ");
    turn(&f, deadline + 100000);
    cr_assert_eq(lender->n_cancels, 1);
    cr_assert(lender->to_client.len);
    end(&f);
}

Test(late, a_batch_without_its_lenders_own_is_cancelled_at_once) {
    struct fixture f;
    setup(&f);
    struct client *lender = begin_batch(&f, 2000);
    cr_assert_not(request_cancel(lender)); // takes its own member out
    pass(&f, engine_deadline(f.engine));
    cr_assert_eq(lender->n_cancels, 1);
    end(&f);
}

Test(late, the_next_lookups_run_as_sent_for_a_while) {
    struct fixture f;
    setup(&f);
    struct client *lender = begin_batch(&f, 2000);
    uint64_t late = engine_deadline(f.engine) + 1000;
    pass(&f, late - 1000);
    struct client *a = lender == &f.clients[0] ? &f.clients[1] : &f.clients[0];
    struct client *b = lender == &f.clients[2] ? &f.clients[1] : &f.clients[2];
    (void)sent(a);
    (void)sent(b);
    reply(a, "CZ");
    reply(b, "CZ");
    look_up(a, 7);
    look_up(b, 8);
    turn(&f, late);
    expect_text(sent(a), "Q");
    expect_text(sent(b), "Q");
    cr_assert(guard_is_late(guard_of(&f), late));
    cr_assert_not(guard_is_late(guard_of(&f), late + 50000));
    end(&f);
}

// Lookups that hang do not count as under way, so others do not wait for them.
Test(late, what_hangs_is_not_under_way) {
    struct fixture f;
    setup(&f);
    guard_of(&f)->took = 1000;
    f.now = 2000;
    for (int i = 0; i < 2; i++) {
        look_up(&f.clients[i], i);
        turn(&f, 2000);
        expect_text(sent(&f.clients[i]), "Q");
    }
    look_up(&f.clients[2], 2);
    turn(&f, 3000);
    expect_text(sent(&f.clients[2]), "");
    turn(&f, 13000);
    expect_text(sent(&f.clients[2]), "Q");
    reply(&f.clients[2], "CI");
    look_up(&f.clients[2], 3);
    turn(&f, 30000);
    expect_text(sent(&f.clients[2]), "Q");
    end(&f);
}

// The statement is held back until pgfold's own query has ended: behind it on the wire, a cancel request for
// the query could hit the statement.
Test(late, a_statement_behind_a_query_of_ours_waits_and_the_query_is_cancelled) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    c->session->identity.state = IDENTITY_UNPROVEN;
    start_proof(c);
    expect_text(sent(c), "Q");
    ask(c, "SHOW work_mem");
    expect_text(sent(c), "");
    pass(&f, engine_deadline(f.engine));
    cr_assert_eq(c->n_cancels, 1);
    cancel_ended(c);
    reply(c, "eZ");
    offer(c);
    expect_text(sent(c), "Q");
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN, "it may be proved later");
    end(&f);
}

// A cancel request has hit the last statement of a question's unit, which would have ended its block.
static void put_block_left(struct client *c) {
    put_replies(&c->from_server, "312C3"
                                 "312DC3"
                                 "312DC3"
                                 "312DC3"
                                 "31tT3"
                                 "312C3"
                                 "312C3"
                                 "31ex");
}

Test(late, a_block_that_a_question_leaves_is_ended) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    ask(c, "SELECT a FROM u WHERE id = 1");
    ask(c, "SELECT a FROM u WHERE id = 2");
    turn(&f, 2000);
    expect_text(sent(c), "QQQ"
                         "CPBECCPBECCPBECCPBECCPDCCPBECCPBECCPBECCS");
    reply(c, "TCZTCZCZ");
    put_block_left(c);
    reply(c, "");
    expect_text(sent(c), "Q");
    reply(c, "CZ");
    cr_assert(c->session->txn == 'I' && !c->session->failed);
    ask(c, "SHOW work_mem");
    expect_text(sent(c), "Q");
    end(&f);
}

Test(late, patience_follows_what_batches_take) {
    struct guard g = {0};
    cr_assert_eq(guard_patience(&g, 10, 20000), 250000);
    for (int i = 0; i < 100; i++)
        guard_note_batch(&g, 1000, 10, 10, 2000, 20000);
    cr_assert_eq(guard_patience(&g, 10, 20000), 20000);
    cr_assert_eq(guard_patience(&g, 100, 20000), 80000, "ten times as many keys");
    guard_note_batch(&g, 1000, 10, 10, 30000, 20000);
    cr_assert_eq(guard_patience(&g, 10, 20000), 60000, "once it took that long");
    for (int i = 0; i < 100; i++)
        guard_note_batch(&g, 1000, 10, 10, 2000, 20000);
    cr_assert_leq(guard_patience(&g, 10, 20000), 30000, "that was long ago");
    for (int i = 0; i < 100; i++)
        guard_note_batch(&g, 1000, 10, 10, 30000, 20000);
    cr_assert_geq(guard_patience(&g, 10, 20000), 100000);
    cr_assert_eq(guard_patience(&g, 1000, 20000), 400000);
    cr_assert_eq(guard_patience(&g, 1000, 60000000), 60000000, "a setting");
}

Test(late, pauses_grow_and_shrink) {
    struct guard g = {0};
    uint64_t now = 1000, pause = 0;
    for (int i = 0; i < 10; i++) {
        guard_note_late(&g, now, 20000);
        guard_note_late(&g, now + 1, 20000); // another one under way
        cr_assert_geq(g.late_until - now, pause);
        pause = g.late_until - now;
        now = g.late_until;
        cr_assert_not(guard_is_late(&g, now));
    }
    cr_assert_leq(pause, 10000000);
    for (int i = 0; i < 10; i++)
        guard_note_batch(&g, now, 10, 10, 1000, 1000);
    guard_note_late(&g, now, 20000);
    cr_assert_leq(g.late_until - now, 100000);
}
