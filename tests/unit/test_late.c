// SPDX-License-Identifier: PostgreSQL
//
// Batches and queries of our own that are not answered: who waits for them, and for how long.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/cancel.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "batching/trust/vet.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"
#include "tests/unit/vetted.h"

#define N 3

struct client {
    struct session *session;
    struct buf to_client, to_server, left; // left: of the client's bytes, not taken yet
    bool resumed;
    unsigned cancels;
};

struct fixture {
    struct engine *engine;
    struct client clients[N];
    struct client *lender;
};

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_server, bytes, len);
}

static void resume(void *owner) {
    ((struct client *)owner)->resumed = true;
}

static bool cancel(void *owner) {
    ((struct client *)owner)->cancels++;
    return true;
}

static const struct engine_effects effects = {to_client, to_server, resume, cancel, nothing, no_log};
static const struct engine_limits limits = {.max_keys = 100,
                                            .max_in_flight = 2,
                                            .max_waiting = 100,
                                            .max_shapes = 100,
                                            .max_groups = 100,
                                            .max_statements = 100,
                                            .max_answer = 100000,
                                            .max_text = 10000,
                                            .vet_max_age = 60000000,
                                            .patience = 20000};

// What makes `actual` runs once, which Criterion's own macros do not promise.
static void expect(const char *actual, const char *expected) {
    cr_assert_str_eq(actual, expected);
}

// What went to the server since the last call.
static const char *sent(struct client *c) {
    static char types[100];
    struct frame f;
    size_t n = 0;
    for (size_t at = 0; frame_read(c->to_server.data + at, c->to_server.len - at, &f) == FRAME_OK && n < 99;
         at += f.size)
        types[n++] = (char)f.type;
    types[n] = 0;
    buf_reset(&c->to_server);
    return types;
}

static void offer(struct client *c) {
    c->resumed = false;
    if (session_takes_client(c->session))
        buf_consume(&c->left,
                    session_from_client(c->session, c->left.data, c->left.len, c->session->engine->now));
}

static void query(struct client *c, const char *text) {
    write_query(&c->left, text, strlen(text));
    offer(c);
}

static void turn(struct fixture *f, uint64_t now) {
    engine_turn(f->engine, now);
    for (int i = 0; i < N; i++)
        if (f->clients[i].resumed)
            offer(&f->clients[i]);
    engine_turn(f->engine, now);
}

// A deadline has passed when a turn finds so, and one behind it.
static void pass(struct fixture *f, uint64_t deadline) {
    turn(f, deadline);
    turn(f, deadline + 1000);
}

// C, e for an error, and the status of a ReadyForQuery.
static void reply(struct client *c, const char *types) {
    struct buf b = buf_make(1000);
    for (; *types; types++) {
        if (*types == 'C')
            write_select_complete(&b, 0);
        else if (*types == 'e')
            write_error(&b, "ERROR", "57014", "canceled", NULL, NULL);
        else
            write_ready(&b, *types);
    }
    cr_assert_eq(session_from_server(c->session, b.data, b.len, c->session->engine->now), b.len);
    buf_free(&b);
    offer(c);
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

static void ask(struct client *c, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d", key);
    query(c, text);
}

// Sessions of one identity whose lookups fold.
static void setup(struct fixture *f) {
    *f = (struct fixture){.engine = engine_create(&limits, &effects, NULL)};
    f->engine->now = 1000;
    for (int i = 0; i < N; i++) {
        struct client *c = &f->clients[i];
        c->to_client = c->to_server = c->left = buf_make(100000);
        c->session =
            session_create(f->engine, c, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
        c->session->identity.state = IDENTITY_PROVEN;
    }
    struct identity *one = session_identity_current(&f->engine->identities, &f->clients[0].session->identity);
    for (int i = 1; i < N; i++, one->refs++)
        f->clients[i].session->identity.current = one;
    ask(&f->clients[0], 1);
    turn(f, 1000);
    make_ready(f);
    session_server_gone(f->clients[0].session, f->clients[0].session->engine->now); // whatever was asked
    session_destroy(f->clients[0].session, f->clients[0].session->engine->now);
    struct client *c = &f->clients[0];
    c->session =
        session_create(f->engine, c, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
    c->session->identity.state = IDENTITY_PROVEN;
    c->session->identity.current = one;
    one->refs++;
    buf_reset(&c->to_server);
    buf_reset(&c->to_client);
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < N; i++) {
        session_destroy(f->clients[i].session, f->engine->now);
        buf_free(&f->clients[i].to_client);
        buf_free(&f->clients[i].to_server);
        buf_free(&f->clients[i].left);
    }
    cr_assert_null(f->engine->late);
    engine_destroy(f->engine);
}

// All ask at once: a batch, which one of them lends its connection to.
static void begin_batch(struct fixture *f, uint64_t now) {
    f->engine->now = now;
    for (int i = 0; i < N; i++)
        ask(&f->clients[i], i + 1);
    turn(f, now);
    cr_assert_not_null(f->engine->batches);
    f->lender = f->engine->batches->lender->owner;
    for (int i = 0; i < N; i++)
        expect(sent(&f->clients[i]), &f->clients[i] == f->lender ? "CCPDBEPBES" : "");
}

static struct guard *guard_of(struct fixture *f) {
    return &f->engine->shapes.newest->guard;
}

Test(late, others_leave_a_late_batch) {
    struct fixture f;
    setup(&f);
    begin_batch(&f, 2000);
    uint64_t deadline = engine_deadline(f.engine);
    cr_assert_leq(deadline, 2000 + 250000);
    turn(&f, deadline);
    cr_assert_leq(engine_deadline(f.engine), deadline + 1000, "what has come is read first");
    turn(&f, deadline + 1000);
    for (int i = 0; i < N; i++)
        expect(sent(&f.clients[i]), &f.clients[i] == f.lender ? "" : "Q");
    cr_assert_eq(f.engine->counters.late, N - 1);
    cr_assert_eq(f.lender->cancels, 0, "its own member stays");
    teardown(&f);
}

Test(late, its_lenders_client_gets_its_connection_back) {
    struct fixture f;
    setup(&f);
    begin_batch(&f, 2000);
    pass(&f, engine_deadline(f.engine));
    uint64_t deadline = engine_deadline(f.engine);
    cr_assert_leq(deadline, 2000 + 400000);
    pass(&f, deadline);
    cr_assert_eq(f.lender->cancels, 1);
    expect(sent(f.lender), "");
    session_cancel_done(f.lender->session, f.lender->session->engine->now);
    reply(f.lender, "eI");
    expect(sent(f.lender), "Q");
    reply(f.lender, "CI");
    turn(&f, deadline + 100000);
    cr_assert_eq(f.lender->cancels, 1);
    cr_assert(f.lender->to_client.len);
    teardown(&f);
}

Test(late, a_batch_without_its_lenders_own_is_cancelled_at_once) {
    struct fixture f;
    setup(&f);
    begin_batch(&f, 2000);
    cr_assert_not(
        session_cancel(f.lender->session, f.lender->session->engine->now)); // takes its own member out
    pass(&f, engine_deadline(f.engine));
    cr_assert_eq(f.lender->cancels, 1);
    teardown(&f);
}

Test(late, the_next_lookups_run_as_sent_for_a_while) {
    struct fixture f;
    setup(&f);
    begin_batch(&f, 2000);
    uint64_t late = engine_deadline(f.engine) + 1000;
    pass(&f, late - 1000);
    struct client *a = f.lender == &f.clients[0] ? &f.clients[1] : &f.clients[0];
    struct client *b = f.lender == &f.clients[2] ? &f.clients[1] : &f.clients[2];
    (void)sent(a);
    (void)sent(b);
    reply(a, "CI");
    reply(b, "CI");
    ask(a, 7);
    ask(b, 8);
    turn(&f, late);
    expect(sent(a), "Q");
    expect(sent(b), "Q");
    cr_assert(guard_is_late(guard_of(&f), late));
    cr_assert_not(guard_is_late(guard_of(&f), late + 50000));
    teardown(&f);
}

// Lookups that hang are no reason for others to wait for them.
Test(late, what_hangs_is_not_under_way) {
    struct fixture f;
    setup(&f);
    guard_of(&f)->took = 1000;
    f.engine->now = 2000;
    for (int i = 0; i < 2; i++) {
        ask(&f.clients[i], i);
        turn(&f, 2000);
        expect(sent(&f.clients[i]), "Q");
    }
    ask(&f.clients[2], 2);
    turn(&f, 3000);
    expect(sent(&f.clients[2]), "");
    turn(&f, 13000);
    expect(sent(&f.clients[2]), "Q");
    reply(&f.clients[2], "CI");
    ask(&f.clients[2], 3);
    turn(&f, 30000);
    expect(sent(&f.clients[2]), "Q");
    teardown(&f);
}

// In front of it the cancel request could not be sent any more.
Test(late, a_statement_behind_a_query_of_ours_waits_and_the_query_is_cancelled) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    c->session->identity.state = IDENTITY_UNPROVEN;
    session_start_proof(c->session);
    expect(sent(c), "Q");
    query(c, "SHOW work_mem");
    expect(sent(c), "");
    pass(&f, engine_deadline(f.engine));
    cr_assert_eq(c->cancels, 1);
    session_cancel_done(c->session, c->session->engine->now);
    reply(c, "eI");
    offer(c);
    expect(sent(c), "Q");
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN, "it may be proved later");
    teardown(&f);
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
