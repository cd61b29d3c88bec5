// SPDX-License-Identifier: PostgreSQL
//
// A pool clears its connections: when the statement that does so is answered here, and when the server runs it.
#include <criterion/criterion.h>

#include "batching/flow/turn.h"
#include "batching/session/session.h"
#include "tests/unit/fixture.h"
#include "tests/unit/replies.h"

// As asyncpg sends it.
static const char clear[] = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;";
static const char *const path[] = {"search_path", "\"$user\", public", NULL};

static const char *sent(struct client *c) {
    return take_types(&c->to_server);
}

static void tell(struct client *c, const char *text) {
    say_query(c, text);
    turn(c->fixture, c->fixture->now);
}

// The server has cleared the session, and has been asked what it is then.
static struct client *setup(struct fixture *f, const char *text, const char *const *settings) {
    fixture_init(f);
    f->now = 1000;
    fixture_start(f, 1);
    struct client *c = &f->clients[0];
    prove(c, settings);
    (void)sent(c);
    tell(c, text);
    expect_text(sent(c), "Q");
    reply(c, "TDCCCCZ");
    turn(f, f->now);
    expect_text(sent(c), "Q");
    answer_proof(c, settings);
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
    expect_text(take_types(&c->to_client), "TDCCCCZ");
    return c;
}

static void end(struct fixture *f) {
    log_out(&f->clients[0]);
    fixture_end(f);
}

Test(cleared, what_is_clear_is_not_cleared_again) {
    struct fixture f;
    struct client *c = setup(&f, clear, path);
    static const uint8_t answer[] =
        "T\0\0\0\x2f\0\1pg_advisory_unlock_all\0\0\0\0\0\0\0\0\0\x08\xe6\0\4\xff\xff\xff\xff\0\0"
        "D\0\0\0\x0a\0\1\0\0\0\0C\0\0\0\x0dSELECT 1\0C\0\0\0\x15"
        "CLOSE CURSOR ALL\0"
        "C\0\0\0\x0dUNLISTEN\0C\0\0\0\x0aRESET\0Z\0\0\0\5I";
    for (int i = 0; i < 3; i++) {
        tell(c, clear);
        expect_text(sent(c), "");
        cr_assert_eq(c->to_client.len, sizeof answer - 1);
        cr_assert_eq(memcmp(c->to_client.data, answer, sizeof answer - 1), 0);
        buf_reset(&c->to_client);
    }
    end(&f);
}

Test(cleared, what_may_have_left_something_is) {
    static const char *const texts[] = {"SET work_mem = '5MB'",
                                        "LISTEN c",
                                        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                                        "SELECT pg_advisory_lock(1)",
                                        "INSERT INTO t VALUES (1)",
                                        "BEGIN",
                                        "SELECT 1",
                                        "RESET ALL",
                                        "PREPARE p AS SELECT 1",
                                        "nonsense"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *c = setup(&f, clear, path);
        tell(c, texts[i]);
        cr_assert_not_null(strchr(sent(c), 'Q'), "%s", texts[i]);
        while (c->session->owed.n)
            reply(c, "CZ");
        (void)sent(c);
        (void)take_types(&c->to_client);
        tell(c, clear);
        cr_expect_not_null(strchr(sent(c), 'Q'), "%s", texts[i]);
        while (c->session->owed.n)
            reply(c, "CZ");
        end(&f);
    }
}

// Only the statement that has cleared it is known to find nothing: another one may clear more.
Test(cleared, another_statement_is_sent) {
    static const char *const texts[] = {"RESET ALL",
                                        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
                                        "CLOSE ALL; RESET ALL;", "DISCARD ALL"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *c = setup(&f, clear, path);
        tell(c, texts[i]);
        cr_expect_str_eq(sent(c), "Q", "%s", texts[i]);
        reply(c, "CZ");
        while (c->session->owed.n)
            reply(c, "CZ");
        end(&f);
    }
}

Test(cleared, a_path_on_which_functions_may_be_others) {
    static const char *const own[] = {"search_path", "mine, pg_catalog", NULL};
    struct fixture f;
    struct client *c = setup(&f, clear, own);
    tell(c, clear);
    expect_text(sent(c), "Q");
    reply(c, "TDCCCCZ");
    end(&f);
}

// What comes in one flight with something else, or while the server owes a reply.
Test(cleared, something_is_under_way) {
    struct fixture f;
    struct client *c = setup(&f, clear, path);
    say_query(c, "SELECT 1");
    say_query(c, clear);
    turn(&f, f.now);
    expect_text(sent(c), "QQ");
    reply(c, "CZ");
    reply(c, "TDCCCCZ");
    expect_text(take_types(&c->to_client), "CZTDCCCCZ");
    end(&f);
}
