// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests: for what they are sent to the server, and that they are repeated until what they shall
// end has ended.
//
// Two clients of the fixture; the requests that the engine sends are counted, lost or refused by the test.
#include <criterion/criterion.h>

#include "batching/flow/cancel.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/session/awaiting.h"
#include "batching/session/cancel_request.h"
#include "batching/talk/opaque.h"
#include "tests/unit/fixture.h"

static const char lookup[] = "SELECT a FROM t WHERE id = 1";

// Two clients whose identity is proven: `one` is cancelled.
static struct client *setup(struct fixture *f) {
    fixture_init(f);
    fixture_start(f, 2);
    for (int i = 0; i < 2; i++)
        f->clients[i].session->identity.state = IDENTITY_PROVEN;
    return &f->clients[0];
}

static void end(struct fixture *f) {
    log_out(&f->clients[0]);
    log_out(&f->clients[1]);
    cr_assert_null(f->engine->cancelled);
    fixture_end(f);
}

// Two messages went out: the catalogue's query, whether the lookup is a plain read, and the lookup.
static void is_sent_behind_its_vetting(struct client *c) {
    const char *yes[] = {"t"};
    expect_text(take_types(&c->to_server), "QQ");
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
}

static void run_alone(struct client *c) {
    ask(c, lookup);
    turn(c->fixture, 1);
    is_sent_behind_its_vetting(c);
}

static void begin(struct client *c) {
    ask(c, "BEGIN ISOLATION LEVEL READ COMMITTED");
    reply(c, "Cz");
    take_types(&c->to_client);
    take_types(&c->to_server);
}

// Each request is lost; the next one comes later and later.
static uint64_t lose(struct client *c, unsigned times) {
    uint64_t now = c->fixture->now, last = 0;
    for (unsigned i = 0; i < times; i++) {
        unsigned before = c->n_cancels;
        cancel_ended(c);
        uint64_t at = cancel_deadline(c->fixture->engine);
        cr_assert_geq(at, engine_deadline(c->fixture->engine));
        cr_assert_gt(at, now + last, "the intervals grow");
        cr_assert_lt(at, now + 3000000, "but for ever they do not");
        last = i < 7 ? at - now : 0;
        turn(c->fixture, at - 1);
        cr_assert_eq(c->n_cancels, before);
        turn(c->fixture, at);
        cr_assert_eq(c->n_cancels, before + 1);
        now = at;
    }
    return now;
}

// A request may overtake the lookup that it is for, and is dropped by the server then.
Test(cancel, a_request_is_repeated_until_the_lookup_has_ended) {
    struct fixture f;
    struct client *one = setup(&f);
    run_alone(one);
    cr_assert_not(request_cancel(one));
    cr_assert_eq(one->n_cancels, 1);
    lose(one, 10);
    ask(one, "SELECT 1");
    cancel_ended(one);
    cr_assert_str_eq(take_types(&one->to_server), "", "the next request must not hit another statement");
    reply(one, "eZ");
    cr_assert_str_eq(take_types(&one->to_client), "EZ");
    cr_assert_not_null(strchr(take_types(&one->to_server), 'Q'), "now it is sent");
    cr_assert_eq(one->n_cancels, 11);
    turn(&f, f.now + 10000000);
    cr_assert_eq(one->n_cancels, 11, "no request is left");
    end(&f);
}

Test(cancel, a_request_that_cannot_be_sent_is_sent_later) {
    struct fixture f;
    struct client *one = setup(&f);
    run_alone(one);
    one->cancels_fail = true;
    cr_assert_not(request_cancel(one));
    cr_assert_eq(one->session->cancel.under_way, 0);
    one->cancels_fail = false;
    turn(&f, engine_deadline(f.engine));
    cr_assert_eq(one->n_cancels, 1);
    end(&f);
}

// One request is for one statement, as without a proxy. Repeated, it could hit the next one.
Test(cancel, nothing_is_repeated_where_something_is_behind) {
    struct fixture f;
    struct client *one = setup(&f);
    run_alone(one);
    ask(one, "SELECT 1");
    cr_assert_not_null(strchr(take_types(&one->to_server), 'Q'));
    cr_assert_not(request_cancel(one));
    cancel_ended(one);
    turn(&f, 10000000);
    cr_assert_eq(one->n_cancels, 1);
    end(&f);
}

Test(cancel, a_statement_that_was_forwarded_gets_its_request_and_no_more) {
    struct fixture f;
    struct client *one = setup(&f);
    ask(one, "VACUUM");
    cr_assert(request_cancel(one), "the proxy relays it");
    cr_assert_eq(one->n_cancels, 0);
    reply(one, "eZ");
    begin(one);
    ask(one, "DELETE FROM t");
    cr_assert_not(request_cancel(one), "its end is awaited");
    cr_assert_eq(one->n_cancels, 1);
    cancel_ended(one);
    turn(&f, 10000000);
    cr_assert_eq(one->n_cancels, 1);
    end(&f);
}

Test(cancel, a_session_that_is_relayed_unread_has_its_requests_relayed) {
    struct fixture f;
    struct client *one = setup(&f);
    begin(one);
    session_go_opaque(one->session);
    cr_assert(request_cancel(one));
    end(&f);
}

// A lookup that waits for the catalogue's answer on its own connection, which may be stuck behind a lock.
static void await_own_verdict(struct client *one) {
    ask(one + 1, lookup);
    ask(one, lookup);
    cr_assert_eq(one->session->hold.await.kind, AWAIT_VERDICT);
    cr_assert_not_null(strchr(take_types(&one->to_server), 'P'));
    cr_assert_eq(one->from_client.len, 5 + sizeof lookup, "it is held");
}

Test(cancel, what_is_held_does_not_wait_for_the_catalogue) {
    struct fixture f;
    struct client *one = setup(&f);
    await_own_verdict(one);
    cr_assert_not(request_cancel(one));
    cr_assert_eq(one->n_cancels, 1, "the question is cancelled");
    lose(one, 3);
    cancel_ended(one);
    f.now += 1000;
    turn(&f, f.now);
    reply(one, "eZ");
    cr_assert_str_eq(take_types(&one->to_client), "EZ");
    cr_assert_eq(one->session->last_answer, f.now, "it was answered, so the client's turn begins now");
    cr_assert_str_eq(take_types(&one->to_server), "", "it was not run");
    cr_assert_eq(f.engine->groups.newest->state, GROUP_NEW, "the catalogue has not refused it");
    end(&f);
}

// A lookup was cancelled while it was held, and is forwarded then: a request goes out behind it.
Test(cancel, what_was_held_is_cancelled_when_it_is_forwarded) {
    struct fixture f;
    struct client *one = setup(&f);
    await_own_verdict(one);
    cr_assert_not(request_cancel(one));
    cancel_ended(one);
    f.engine->groups.newest->shape->wrong = true; // it is switched off meanwhile
    reply(one, "eZ");
    is_sent_behind_its_vetting(one);
    cr_assert_eq(one->n_cancels, 2);
    lose(one, 2);
    cancel_ended(one);
    reply(one, "eZ");
    cr_assert_str_eq(take_types(&one->to_client), "EZ");
    end(&f);
}
