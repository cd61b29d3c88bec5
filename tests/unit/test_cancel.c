// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests: for what they are sent, and again until it has ended.
#include <criterion/criterion.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/cancel.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/session/awaiting.h"
#include "batching/session/cancel_request.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/opaque.h"
#include "batching/talk/server.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

static const char lookup[] = "SELECT a FROM t WHERE id = 1";

struct client {
    struct session *session;
    struct buf to_client, to_server, left; // left: of the client's bytes, not taken yet
    unsigned requests;                     // to the server
    bool refuses;                          // no request can be sent
};

struct fixture {
    struct engine *engine;
    struct client one, other;
};

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_server, bytes, len);
}

static bool cancel(void *owner) {
    struct client *c = owner;
    c->requests += !c->refuses;
    return !c->refuses;
}

static const struct engine_effects effects = {to_client, to_server, nothing, cancel, nothing, no_log};
static const struct engine_limits limits = {.max_keys = 100,
                                            .max_in_flight = 2,
                                            .max_waiting = 100,
                                            .max_shapes = 100,
                                            .max_groups = 100,
                                            .max_statements = 100,
                                            .max_answer = 100000,
                                            .max_text = 10000,
                                            .vet_max_age = 1000000};

static void client_open(struct engine *e, struct client *c) {
    *c = (struct client){
        .to_client = buf_make(100000), .to_server = buf_make(100000), .left = buf_make(100000)};
    c->session = session_create(e, c, text_slice("server"), BYTES("user\0alice\0"), false, e->now);
    c->session->identity.state = IDENTITY_PROVEN;
}

static void client_close(struct client *c) {
    session_destroy(c->session, c->session->engine->now);
    buf_free(&c->to_client);
    buf_free(&c->to_server);
    buf_free(&c->left);
}

static void setup(struct fixture *f) {
    f->engine = engine_create(&limits, &effects, NULL);
    client_open(f->engine, &f->one);
    client_open(f->engine, &f->other);
}

static void teardown(struct fixture *f) {
    client_close(&f->one);
    client_close(&f->other);
    cr_assert_null(f->engine->cancelled);
    engine_destroy(f->engine);
}

static void offer(struct client *c) {
    if (session_takes_client(c->session))
        buf_consume(&c->left,
                    session_from_client(c->session, c->left.data, c->left.len, c->session->engine->now));
}

static void ask(struct client *c, const char *text) {
    write_query(&c->left, text, strlen(text));
    offer(c);
}

// C, E, and the status of a ReadyForQuery.
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

// What has come since the last call: the types of the messages.
static const char *types(struct buf *b) {
    static char out[100];
    struct frame f;
    size_t n = 0;
    for (size_t at = 0; at < b->len && frame_read(b->data + at, b->len - at, &f) == FRAME_OK; at += f.size)
        out[n++] = (char)f.type;
    out[n] = 0;
    buf_reset(b);
    return out;
}

// The first of the two is the catalogue's: is the other one a plain read?
static void is_sent_behind_its_vetting(struct client *c) {
    const char *yes[] = {"t"};
    struct buf b = buf_make(1000);
    cr_assert_str_eq(types(&c->to_server), "QQ");
    put_text_row(&b, yes, 1);
    write_select_complete(&b, 1);
    write_ready(&b, 'I');
    cr_assert_eq(session_from_server(c->session, b.data, b.len, c->session->engine->now), b.len);
    buf_free(&b);
}

static void run_alone(struct fixture *f, struct client *c) {
    ask(c, lookup);
    engine_turn(f->engine, 1);
    is_sent_behind_its_vetting(c);
}

static void begin(struct client *c) {
    ask(c, "BEGIN ISOLATION LEVEL READ COMMITTED");
    reply(c, "CT");
    types(&c->to_client);
    types(&c->to_server);
}

// Each request is lost; the next one comes later and later.
static uint64_t lose(struct fixture *f, struct client *c, unsigned times) {
    uint64_t now = f->engine->now, last = 0;
    for (unsigned i = 0; i < times; i++) {
        unsigned before = c->requests;
        session_cancel_done(c->session, c->session->engine->now);
        uint64_t at = cancel_deadline(f->engine);
        cr_assert_geq(at, engine_deadline(f->engine));
        cr_assert_gt(at, now + last, "the intervals grow");
        cr_assert_lt(at, now + 3000000, "but for ever they do not");
        last = i < 7 ? at - now : 0;
        engine_turn(f->engine, at - 1);
        cr_assert_eq(c->requests, before);
        engine_turn(f->engine, at);
        cr_assert_eq(c->requests, before + 1);
        now = at;
    }
    return now;
}

// A lookup that is sent only now that it is cancelled: the request may overtake it.
Test(cancel, a_request_is_repeated_until_the_lookup_has_ended) {
    struct fixture f;
    setup(&f);
    run_alone(&f, &f.one);
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now));
    cr_assert_eq(f.one.requests, 1);
    lose(&f, &f.one, 10);
    ask(&f.one, "SELECT 1");
    session_cancel_done(f.one.session, f.one.session->engine->now);
    cr_assert_str_eq(types(&f.one.to_server), "", "the next request must not hit another statement");
    reply(&f.one, "eI");
    cr_assert_str_eq(types(&f.one.to_client), "EZ");
    cr_assert_not_null(strchr(types(&f.one.to_server), 'Q'), "now it is sent");
    cr_assert_eq(f.one.requests, 11);
    engine_turn(f.engine, f.engine->now + 10000000);
    cr_assert_eq(f.one.requests, 11, "no request is left");
    teardown(&f);
}

Test(cancel, a_request_that_cannot_be_sent_is_sent_later) {
    struct fixture f;
    setup(&f);
    run_alone(&f, &f.one);
    f.one.refuses = true;
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now));
    cr_assert_eq(f.one.session->cancel.under_way, 0);
    f.one.refuses = false;
    engine_turn(f.engine, engine_deadline(f.engine));
    cr_assert_eq(f.one.requests, 1);
    teardown(&f);
}

// One request, one statement, as without a proxy: what is behind it was not cancelled.
Test(cancel, nothing_is_repeated_where_something_is_behind) {
    struct fixture f;
    setup(&f);
    run_alone(&f, &f.one);
    ask(&f.one, "SELECT 1");
    cr_assert_not_null(strchr(types(&f.one.to_server), 'Q'));
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now));
    session_cancel_done(f.one.session, f.one.session->engine->now);
    engine_turn(f.engine, 10000000);
    cr_assert_eq(f.one.requests, 1);
    teardown(&f);
}

Test(cancel, a_statement_that_was_forwarded_gets_its_request_and_no_more) {
    struct fixture f;
    setup(&f);
    ask(&f.one, "VACUUM");
    cr_assert(session_cancel(f.one.session, f.one.session->engine->now), "the proxy relays it");
    cr_assert_eq(f.one.requests, 0);
    reply(&f.one, "eI");
    begin(&f.one);
    ask(&f.one, "DELETE FROM t");
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now), "its end is awaited");
    cr_assert_eq(f.one.requests, 1);
    session_cancel_done(f.one.session, f.one.session->engine->now);
    engine_turn(f.engine, 10000000);
    cr_assert_eq(f.one.requests, 1);
    teardown(&f);
}

Test(cancel, a_session_that_is_relayed_unread_has_its_requests_relayed) {
    struct fixture f;
    setup(&f);
    begin(&f.one);
    session_go_opaque(f.one.session);
    cr_assert(session_cancel(f.one.session, f.one.session->engine->now));
    teardown(&f);
}

// A lookup that waits for the catalogue's answer on its own connection, which may be stuck behind a lock.
static void await_own_verdict(struct fixture *f) {
    ask(&f->other, lookup);
    ask(&f->one, lookup);
    cr_assert_eq(f->one.session->hold.await.kind, AWAIT_VERDICT);
    cr_assert_not_null(strchr(types(&f->one.to_server), 'P'));
    cr_assert_eq(f->one.left.len, 5 + sizeof lookup, "it is held");
}

Test(cancel, what_is_held_does_not_wait_for_the_catalogue) {
    struct fixture f;
    setup(&f);
    await_own_verdict(&f);
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now));
    cr_assert_eq(f.one.requests, 1, "the question is cancelled");
    lose(&f, &f.one, 3);
    session_cancel_done(f.one.session, f.one.session->engine->now);
    reply(&f.one, "eI");
    cr_assert_str_eq(types(&f.one.to_client), "EZ");
    cr_assert_str_eq(types(&f.one.to_server), "", "it was not run");
    cr_assert_eq(f.engine->groups.newest->state, GROUP_NEW, "the catalogue has not refused it");
    teardown(&f);
}

// Held, then forwarded: its request goes out with it.
Test(cancel, what_was_held_is_cancelled_when_it_is_forwarded) {
    struct fixture f;
    setup(&f);
    await_own_verdict(&f);
    cr_assert_not(session_cancel(f.one.session, f.one.session->engine->now));
    session_cancel_done(f.one.session, f.one.session->engine->now);
    f.engine->groups.newest->shape->wrong = true; // it is switched off meanwhile
    reply(&f.one, "eI");
    is_sent_behind_its_vetting(&f.one);
    cr_assert_eq(f.one.requests, 2);
    lose(&f, &f.one, 2);
    session_cancel_done(f.one.session, f.one.session->engine->now);
    reply(&f.one, "eI");
    cr_assert_str_eq(types(&f.one.to_client), "EZ");
    teardown(&f);
}
