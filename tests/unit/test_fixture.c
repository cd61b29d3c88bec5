// SPDX-License-Identifier: PostgreSQL
//
// The fixture of the tests with sessions: the example in its head does what it says there, and time and
// left-over bytes are handled as it promises.
#include <criterion/criterion.h>

#include "tests/unit/fixture.h"

Test(fixture, the_example_of_its_head) {
    struct fixture f;
    fixture_init(&f);
    f.limits.max_keys = 10;
    fixture_start(&f, 1);
    struct client *c = &f.clients[0];
    say_query(c, "SELECT a FROM t WHERE id = 1");
    turn(&f, 1000);
    expect_text(take_types(&c->to_server), "QQ");
    reply(c, "TCZ");
    expect_text(take_types(&c->to_client), "TCZ");
    cr_assert_eq(f.engine->limits.max_keys, 10);
    fixture_end(&f);
}

Test(fixture, the_engine_is_told_the_time_at_each_call) {
    struct fixture f;
    fixture_init(&f);
    f.now = 5;
    fixture_start(&f, 1);
    cr_assert_eq(f.engine->now, 5);
    f.now = 7;
    say_query(&f.clients[0], "SELECT 1");
    cr_assert_eq(f.engine->now, 7);
    f.now = 9;
    reply(&f.clients[0], "TCZ");
    cr_assert_eq(f.engine->now, 9);
    turn(&f, 11);
    cr_assert_eq(f.engine->now, 11);
    cr_assert_eq(f.now, 11);
    fixture_end(&f);
}

// Nothing is read behind a change of search_path until its answer has come.
Test(fixture, what_is_left_is_offered_when_the_session_resumes) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct client *c = &f.clients[0];
    say_query(c, "SET search_path = a");
    ask(c, "SHOW x");
    cr_assert_gt(c->from_client.len, 0);
    expect_text(take_types(&c->to_server), "Q");
    reply(c, "CZ");
    cr_assert_eq(c->from_client.len, 0);
    cr_assert_eq(c->n_resumed, 1);
    expect_text(take_types(&c->to_server), "Q");
    fixture_end(&f);
}
