// SPDX-License-Identifier: PostgreSQL
//
// Bursts on new connections: who waits for a proof or a verdict, and for how long.
#include <criterion/criterion.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/await.h"
#include "batching/flow/cancel.h"
#include "batching/flow/turn.h"
#include "batching/session/awaiting.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

#define N 3

struct client {
    struct session *session;
    struct buf to_client, to_server, left; // left: of the client's bytes, not taken yet
    bool resumed;
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

static void resume(void *owner) {
    ((struct client *)owner)->resumed = true;
}

static const struct engine_effects effects = {to_client, to_server, resume, cancel_is_sent, nothing, no_log};
static const struct engine_limits limits = {.max_keys = 100,
                                            .max_in_flight = 2,
                                            .max_waiting = 100,
                                            .max_shapes = 100,
                                            .max_groups = 100,
                                            .max_statements = 100,
                                            .max_answer = 100000,
                                            .max_text = 10000,
                                            .vet_max_age = 1000000};

static struct fixture *setup(void) {
    struct fixture *f = calloc(1, sizeof *f);
    f->engine = engine_create(&limits, &effects, NULL);
    for (int i = 0; i < N; i++) {
        struct client *c = &f->clients[i];
        c->to_client = c->to_server = c->left = buf_make(100000);
        c->session =
            session_create(f->engine, c, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
    }
    return f;
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < N; i++) {
        session_destroy(f->clients[i].session, f->engine->now);
        buf_free(&f->clients[i].to_client);
        buf_free(&f->clients[i].to_server);
        buf_free(&f->clients[i].left);
    }
    cr_assert_null(f->engine->awaiting.first);
    engine_destroy(f->engine);
    free(f);
}

static void offer(struct client *c) {
    buf_consume(&c->left,
                session_from_client(c->session, c->left.data, c->left.len, c->session->engine->now));
    c->resumed = false;
}

static void ask(struct client *c) {
    static const char lookup[] = "SELECT a FROM t WHERE id = 1";
    write_query(&c->left, lookup, strlen(lookup));
    offer(c);
}

static void turn(struct fixture *f, uint64_t now) {
    engine_turn(f->engine, now);
    for (int i = 0; i < N; i++)
        if (f->clients[i].resumed)
            offer(&f->clients[i]);
    engine_turn(f->engine, now);
}

static void server_says(struct client *c, const struct buf *b) {
    cr_assert_eq(session_from_server(c->session, b->data, b->len, c->session->engine->now), b->len);
    if (c->resumed)
        offer(c);
}

static void answer(struct client *c, bool error) {
    struct buf b = buf_make(1000);
    if (error)
        write_error(&b, "ERROR", "42P01", "no", NULL, NULL);
    else
        write_select_complete(&b, 0);
    write_ready(&b, 'I');
    server_says(c, &b);
    buf_free(&b);
}

static void answer_proof(struct client *c) {
    struct buf b = buf_make(1000);
    const char *setting[] = {"search_path", "public", NULL};
    put_proof_users(&b);
    write_select_complete(&b, 1);
    put_text_row(&b, setting, 3);
    write_select_complete(&b, 1);
    write_ready(&b, 'I');
    server_says(c, &b);
    buf_free(&b);
}

// What went to the server since the last call: L lookup, P proof, V anything else, which asks for a verdict.
static const char *sent(struct client *c) {
    static char text[32];
    struct frame fr;
    size_t n = 0;
    for (size_t at = 0; frame_read(c->to_server.data + at, c->to_server.len - at, &fr) == FRAME_OK && n < 31;
         at += fr.size) {
        const char *sql = (const char *)fr.body;
        bool lookup = strncmp(sql, "SELECT a FROM t", 15) == 0 && fr.type == F_QUERY;
        char what = lookup ? 'L' : strncmp(sql, "SELECT CURRENT_USER", 19) == 0 ? 'P' : 'V';
        if (!n || text[n - 1] != what)
            text[n++] = what;
    }
    text[n] = 0;
    buf_reset(&c->to_server);
    return text;
}

Test(await, one_on_its_own_does_not_wait) {
    struct fixture *f = setup();
    ask(&f->clients[0]);
    turn(f, 1);
    cr_assert_str_eq(sent(&f->clients[0]), "LP", "and is proven behind");
    teardown(f);
}

Test(await, one_in_company_is_proven_first) {
    struct fixture *f = setup();
    ask(&f->clients[0]);
    ask(&f->clients[1]);
    turn(f, 1);
    cr_assert_str_eq(sent(&f->clients[0]), "LP");
    cr_assert_str_eq(sent(&f->clients[1]), "P");
    cr_assert_eq(f->clients[1].session->hold.await.kind, AWAIT_PROOF);
    cr_assert_not(session_takes_client(f->clients[1].session));
    teardown(f);
}

// Two that are proven and come together: one asks for the verdict, both wait for it.
static struct fixture *both_await_the_verdict(void) {
    struct fixture *f = setup();
    ask(&f->clients[0]);
    ask(&f->clients[1]);
    ask(&f->clients[2]);
    turn(f, 1);
    for (int i = 1; i < N; i++) {
        answer_proof(&f->clients[i]);
        cr_assert_eq(f->clients[i].session->hold.await.kind, AWAIT_VERDICT);
    }
    turn(f, 2);
    cr_assert_str_eq(sent(&f->clients[1]), "PV");
    cr_assert_str_eq(sent(&f->clients[2]), "P");
    return f;
}

Test(await, a_verdict_is_asked_for_once_and_awaited) {
    struct fixture *f = both_await_the_verdict();
    answer(&f->clients[1], true);
    turn(f, 3);
    cr_assert_eq(f->clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f->clients[1]), 'L'), "it is not to be folded, so it runs as sent");
    cr_assert_not_null(strchr(sent(&f->clients[2]), 'L'));
    teardown(f);
}

Test(await, a_verdict_that_is_lost_is_not_awaited) {
    struct fixture *f = both_await_the_verdict();
    session_server_gone(f->clients[1].session, f->clients[1].session->engine->now);
    cr_assert(f->clients[2].resumed);
    turn(f, 3);
    cr_assert_not_null(strchr(sent(&f->clients[2]), 'V'), "it asks itself");
    teardown(f);
}

Test(await, patience_ends) {
    struct fixture *f = both_await_the_verdict();
    uint64_t until = engine_deadline(f->engine);
    cr_assert_leq(until, AWAIT_PATIENCE + 2);
    turn(f, until);
    cr_assert_eq(f->clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f->clients[2]), 'L'), "and it does not begin anew");
    teardown(f);
}

// Where it hangs, one wait is enough.
Test(await, a_verdict_that_takes_long_is_not_awaited_again) {
    struct fixture *f = both_await_the_verdict();
    uint64_t until = engine_deadline(f->engine);
    turn(f, until);
    (void)sent(&f->clients[2]);
    answer(&f->clients[2], false);
    ask(&f->clients[2]);
    turn(f, until + 1);
    cr_assert_eq(f->clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f->clients[2]), 'L'));
    teardown(f);
}

Test(await, what_waits_can_be_cancelled) {
    struct fixture *f = setup();
    ask(&f->clients[0]);
    ask(&f->clients[1]);
    turn(f, 1);
    cr_assert_not(session_cancel(f->clients[1].session, f->clients[1].session->engine->now),
                  "no request to the server, which is at the proof");
    sent(&f->clients[1]);
    answer(&f->clients[1], true);
    turn(f, 2);
    cr_assert(f->clients[1].to_client.len && f->clients[1].to_client.data[0] == B_ERROR);
    cr_assert_str_eq(sent(&f->clients[1]), "", "it was not run");
    teardown(f);
}

Test(await, what_is_cancelled_waits_for_no_verdict_of_anothers) {
    struct fixture *f = both_await_the_verdict();
    cr_assert_not(session_cancel(f->clients[2].session, f->clients[2].session->engine->now));
    sent(&f->clients[2]);
    buf_reset(&f->clients[2].to_client);
    turn(f, 3);
    cr_assert(f->clients[2].to_client.len && f->clients[2].to_client.data[0] == B_ERROR);
    cr_assert_str_eq(sent(&f->clients[2]), "", "it was not run");
    cr_assert_eq(f->clients[1].session->hold.await.kind, AWAIT_VERDICT);
    teardown(f);
}
