// SPDX-License-Identifier: PostgreSQL
//
// Sessions, message by message: what the simulation has found, told as the shortest conversation that shows
// it.
//
// One client of the fixture; the test says what the client and the server say, and looks at what went out on
// either side, at the tables that were noted as written to, and at what the session believes of itself.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/owed.h"
#include "batching/session/statements.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/reads.h"
#include "batching/trust/write_set.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"
#include "protocol/write.h"
#include "tests/unit/fixture.h"

// What gives the server a named statement: its bound, the statement, the bound's end; and the server's replies.
#define GIVEN              "CPBECCPDCPBECCPBECCPBECCS"
#define TAKEN(description) "312C331t" description "312C3312C3312C33Z"

static uint64_t seen[FIXTURE_CLIENTS]; // of each: how much of its database's writes noted() has told

// One client; of its database it is known that nothing of a user's runs in it.
static struct client *setup(struct fixture *f, bool observe) {
    fixture_init(f);
    f->limits.observe = observe;
    fixture_start(f, 1);
    memset(seen, 0, sizeof seen);
    know_facts(&f->clients[0]);
    return &f->clients[0];
}

// The text of the i-th message of this type that went to the server; "" when there is none.
static const char *sent(struct client *c, char type, unsigned i) {
    const struct buf *b = &c->to_server;
    struct frame f;
    for (size_t at = 0; frame_read(b->data + at, b->len - at, &f) == FRAME_OK; at += f.size)
        if (f.type == (uint8_t)type && i-- == 0)
            return (const char *)f.body + (type == 'P');
    return "";
}

// ---- conversations

// A statement behind the SET, in the same unit, may have changed the setting again.
Test(session, a_doubt_outlasts_the_settings_before_it) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", "SET search_path = a");
    execute(c, "", NULL);
    parse(c, "", "DO $$ BEGIN END $$");
    execute(c, "", NULL);
    sync_unit(c);
    say(c);
    reply(c, "12C12CZ");
    cr_assert_eq(c->session->identity.n_settings, 0);
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN);
    query(c, "SET work_mem = 100"); // and one of the next unit, on its way at the same time
    say_query(c, "DO $$ BEGIN END $$");
    reply(c, "CZCZ");
    cr_assert_eq(c->session->identity.n_settings, 0);
    say_query(c, "SET search_path = a");
    reply(c, "CZ");
    cr_assert_eq(c->session->identity.n_settings, 1);
    fixture_end(&f);
}

static const struct {
    const char *sql;
    bool waits; // what comes behind it
} changes[] = {
    {"SET search_path = a", true},
    {"SET SCHEMA 'a'", true},
    {"SELECT set_config('search_path', 'a', false)", true},
    {"SELECT set_config('Search_Path', 'a', false)", true},
    {"RESET search_path", true},
    {"SET ROLE a", true},
    {"RESET ROLE", true},
    {"SET standard_conforming_strings = off", true},
    {"SET NAMES 'SJIS'", true},
    {"RESET ALL", true},
    {"DISCARD ALL", true},
    {"SET work_mem = 100", false},
    {"SET app.tenant = 'a'", false},
    {"SET LOCAL search_path = a", false},   // not in a unit of its own
    {"SET SESSION AUTHORIZATION a", false}, // leaves the session in doubt at once
    {"BEGIN", false},
    {"SELECT 1", false},
};

// Until the server has answered, it is not known what names mean and where a constant ends.
Test(session, what_comes_behind_a_change_of_meaning_waits_for_its_answer) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        query(c, changes[i].sql);
        size_t first = c->from_client.len;
        query(c, "SELECT a FROM t WHERE id = 1");
        size_t whole = c->from_client.len, taken = offer(c);
        cr_assert_eq(taken, changes[i].waits ? first : whole, "%s", changes[i].sql);
        cr_assert_eq(c->session->hold.lookups, changes[i].waits, "%s", changes[i].sql);
        buf_reset(&c->from_client);
        reply(c, "CZ");
        cr_assert_not(c->session->hold.lookups);
        if (changes[i].waits) {
            say_query(c, "SELECT a FROM t WHERE id = 1");
        }
        cr_assert_eq(c->session->order.n, changes[i].waits, "%s", changes[i].sql);
        fixture_end(&f);
    }
}

static const char one[] = "SELECT a FROM t WHERE id = $1", two[] = "SELECT a FROM t WHERE id = $1 LIMIT 1";

// A lookup of the unnamed statement runs the one that was there when the client asked, whatever the client
// has prepared since. The server is given that one first.
Test(session, a_lookup_that_runs_alone_has_its_own_statement) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", one);
    write_describe(&c->from_client, 'S', text_slice(""));
    sync_unit(c);
    say(c);
    reply(c, "1tTZ");
    execute(c, "", "1");
    sync_unit(c);
    say(c);
    turn(&f, 1); // alone, and behind it the proof, which drops the server's unnamed statement
    cr_assert_str_eq(types_of(&c->to_server), "PDSBESQ");
    reply(c, "2CZ");
    reply(c, "EZ");
    buf_reset(&c->to_server);
    execute(c, "", "2"); // of one
    sync_unit(c);
    parse(c, "", two);
    execute(c, "", "3");
    sync_unit(c);
    say(c);
    turn(&f, 2);
    cr_assert_str_eq(types_of(&c->to_server), "PDBESPBES");
    cr_assert_str_eq(sent(c, 'P', 0), one);
    cr_assert_str_eq(sent(c, 'P', 1), two);
    buf_reset(&c->to_client);
    reply(c, "1tT2CZ12CZ");
    cr_assert_str_eq(types_of(&c->to_client), "2CZ12CZ", "the client asked for one Parse");
    fixture_end(&f);
}

// The server skips a Parse behind an error, so the unnamed statement stays the one of before.
Test(session, a_parse_that_is_not_reached_names_nothing) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", "SET search_path = a");
    sync_unit(c);
    say(c);
    reply(c, "1Z");
    write_close(&c->from_client, 'P', text_slice("x"));
    parse(c, "", one);
    sync_unit(c);
    say(c);
    reply(c, "EZ");
    execute(c, "", NULL); // runs the SET
    sync_unit(c);
    say(c);
    reply(c, "2CZ");
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN);
    cr_assert_eq(c->session->identity.origin, ORIGIN_UNKNOWN, "what ran is not known");
    cr_assert_str_eq(types_of(&c->to_server), "PSCPSBES", "the server is left to say what the statement is");
    fixture_end(&f);
}

// Reading a view may change the session. A lookup behind the proof could make it untrue, so the catalogue is
// asked first whether the lookup is a plain read.
Test(session, a_lookup_behind_the_proof_is_vetted) {
    struct fixture f;
    struct client *c = setup(&f, false);
    say_query(c, "SELECT a FROM t WHERE id = 1");
    turn(&f, 1); // alone, and the proof
    say_query(c, "SELECT a FROM v WHERE id = 1");
    turn(&f, 2);
    cr_assert_str_eq(types_of(&c->to_server), "QQQQ");
    cr_assert_eq(strncmp(sent(c, 'Q', 2), "SET LOCAL lock_timeout = 300; SELECT pg_catalog.set_config", 58),
                 0, "what bounds it reads no catalogue: %s", sent(c, 'Q', 2));
    cr_assert_not_null(strstr(sent(c, 'Q', 2), "; SELECT NOT EXISTS"));
    cr_assert_str_eq(sent(c, 'Q', 3), "SELECT a FROM v WHERE id = 1");
    reply(c, "TCZ");
    const char *no[] = {"f"};
    put_proof_users(&c->from_server);
    reply(c, "CCZ");
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
    put_text_row(&c->from_server, no, 1);
    reply(c, "CZ");
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN);
    fixture_end(&f);
}

// Of two lookups of different shapes that nobody has vetted, the second one waits for the first one.
Test(session, unproven_lookups_of_two_shapes_keep_their_order) {
    struct fixture f;
    struct client *c = setup(&f, false);
    query(c, "SELECT a FROM v WHERE id = 1");
    say_query(c, "SELECT a FROM t WHERE id = 1");
    cr_assert_eq(c->session->order.n, 1);
    cr_assert_eq(c->session->n_forward, 1);
    cr_assert_str_eq(sent(c, 'Q', 0), "SELECT a FROM v WHERE id = 1");
    cr_assert_str_eq(sent(c, 'Q', 1), "SELECT a FROM t WHERE id = 1");
    fixture_end(&f);
}

// What the server says of a unit that failed is not taken for an answer to the next one.
Test(session, each_unit_tells_about_its_own_statements) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "a", one);
    sync_unit(c);
    parse(c, "b", two);
    sync_unit(c);
    say(c);
    reply(c, "EZ");
    cr_assert_null(session_statement(c->session, text_slice("a")), "its Parse failed");
    cr_assert_not(session_statement(c->session, text_slice("b"))->confirmed);
    reply(c, "1Z");
    cr_assert(session_statement(c->session, text_slice("b"))->confirmed);
    fixture_end(&f);
}

// The server ends a unit before the client has. Nothing is left in which the rest of the unit could be
// noted.
Test(session, a_unit_that_ends_too_early_makes_opaque) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", "SET search_path = a");
    write_describe(&c->from_client, 'S', text_slice(""));
    write_empty(&c->from_client, F_FLUSH);
    say(c);
    reply(c, "1tnZ");
    cr_assert(c->session->opaque);
    execute(c, "", NULL);
    sync_unit(c);
    say(c);
    fixture_end(&f);
}

// A message that nobody has asked for must be passed on in one piece, or an answer could come between its
// parts.
Test(session, a_notification_is_passed_on_whole) {
    struct fixture f;
    struct client *c = setup(&f, false);
    struct slice s = BYTES("A\0\0\0\x0c\0\0\0\1x\0y\0");
    for (size_t cut = 1; cut < s.len; cut++) {
        cr_assert_eq(server_sends(c, s.data, cut), 0, "cut at %zu", cut);
        cr_assert_eq(c->to_client.len, 0);
    }
    cr_assert_eq(server_sends(c, s.data, s.len), s.len);
    cr_assert_eq(c->to_client.len, s.len);
    fixture_end(&f);
}

// In mode observe nobody is asked who he is, and so nobody is proven behind a change to mode fold.
Test(session, a_reload_from_observe_to_fold_proves_nobody) {
    struct fixture f;
    struct client *c = setup(&f, true);
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
    f.limits.observe = false;
    engine_set_limits(f.engine, &f.limits);
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN);
    fixture_end(&f);
}

// The answer of a cancelled lookup comes once, in front of the answers to what was asked later.
Test(session, a_cancel_ends_the_lookup_that_waits) {
    struct fixture f;
    struct client *c = setup(&f, false);
    query(c, "SELECT a FROM t WHERE id = 1");
    say_query(c, "SELECT a FROM t WHERE id = 2");
    cr_assert_not(request_cancel(c));
    cr_assert_str_eq(types_of(&c->to_client), "EZ");
    turn(&f, 1);
    cr_assert_str_eq(sent(c, 'Q', 0), "SELECT a FROM t WHERE id = 2");
    reply(c, "TCZ");
    cr_assert_str_eq(types_of(&c->to_client), "EZTCZ");
    cr_assert_eq(c->session->order.n, 0);
    fixture_end(&f);
}

// A unit has so many messages that pgfold reads no more of it. The server says nothing behind an error until
// the Sync comes, so pgfold must read on.
Test(session, an_error_makes_room_for_the_rest_of_its_unit) {
    struct fixture f;
    struct client *c = setup(&f, false);
    for (unsigned i = 0; i < SESSION_MAX_EXPECTED + 1; i++)
        parse(c, "", "SELECT 1");
    offer(c);
    cr_assert_gt(c->from_client.len, 0);
    cr_assert(c->session->hold.full);
    buf_reset(&c->from_client);
    reply(c, "1E");
    cr_assert_not(c->session->hold.full);
    fixture_end(&f);
}

// A Bind that is too large to be kept is passed on in pieces. Its names come first, and tell which statement
// runs.
Test(session, a_large_bind_is_read_by_its_names_wherever_it_is_cut) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "statement", "SET search_path = a");
    sync_unit(c);
    say(c);
    reply(c, "1Z");
    static const char head[] = "B\0\1\0\0\0statement\0\0\0\0\1\0\0\xff\0";
    for (size_t cut = 5; cut < 16; cut++)
        cr_assert_eq(client_sends(c, head, cut), 0, "cut at %zu", cut);
    cr_assert_eq(client_sends(c, head, sizeof head - 1), sizeof head - 1);
    cr_assert_not(c->session->opaque);
    cr_assert_eq(c->session->portal, session_statement(c->session, text_slice("statement")));
    fixture_end(&f);
}

// ---- statements that are prepared without the server

static const char three[] = "SELECT a FROM t WHERE id = $1 AND b = $2";

// Makes the session proven, and has the server describe `text`.
static void learn(struct client *c, const char *text) {
    const char *yes[] = {"t"};
    c->session->identity.state = IDENTITY_PROVEN;
    parse(c, "", text);
    write_describe(&c->from_client, 'S', text_slice(""));
    sync_unit(c);
    say(c); // behind the catalogue's verdict
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
    reply(c, "1tTZ");
    buf_reset(&c->to_client);
    buf_reset(&c->to_server);
}

static void prepare(struct client *c, const char *name, const char *text) {
    parse(c, name, text);
    write_describe(&c->from_client, 'S', text_slice(name));
    sync_unit(c);
    say(c);
}

static void run_named(struct client *c, const char *name) {
    execute(c, name, "5");
    sync_unit(c);
    say(c);
    turn(c->fixture, c->fixture->now + 1);
}

Test(session, a_known_statement_is_prepared_without_the_server) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    cr_assert_str_eq(types_of(&c->to_client), "1tTZ");
    cr_assert_str_eq(types_of(&c->to_server), "");
    buf_reset(&c->to_client);
    run_named(c, "x"); // alone: the server gets the statement in the same write
    cr_assert_str_eq(types_of(&c->to_server), "CPDBES");
    reply(c, "31tT2CZ");
    cr_assert_str_eq(types_of(&c->to_client), "2CZ");
    buf_reset(&c->to_server);
    run_named(c, "x");
    cr_assert_str_eq(types_of(&c->to_server), "BES", "it is there");
    prepare(c, "y", three);
    cr_assert_not_null(strstr(types_of(&c->to_server), "PDS"));
    fixture_end(&f);
}

// Two Parse messages for one name: the server refuses the second only if the first has succeeded. pgfold
// cannot tell whether the name is free.
Test(session, a_name_is_not_free_behind_a_parse_that_failed) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    parse(c, "x", "SET search_path = a");
    sync_unit(c);
    parse(c, "x", "SET search_path = b");
    sync_unit(c);
    say(c);
    cr_assert_str_eq(types_of(&c->to_server), "PSPS");
    reply(c, "EZ1Z");
    buf_reset(&c->to_client);
    buf_reset(&c->to_server);
    prepare(c, "x", one);
    cr_assert_str_eq(types_of(&c->to_client), "");
    cr_assert_str_eq(types_of(&c->to_server), "PDS", "the server knows what it has");
    fixture_end(&f);
}

Test(session, a_statement_that_the_server_refuses_fails_where_it_is_used) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    buf_reset(&c->to_client);
    run_named(c, "x");
    reply(c, "3EZ");
    cr_assert_str_eq(types_of(&c->to_client), "EZ");
    buf_reset(&c->to_server);
    run_named(c, "x");
    cr_assert_str_eq(types_of(&c->to_server), "CPDBES", "once more");
    fixture_end(&f);
}

// The statement has been given to the server late, and has other columns by now than the client was told of.
Test(session, rows_of_other_columns_are_not_passed_on) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    buf_reset(&c->to_client);
    run_named(c, "x");
    reply(c, "31tn2DCZ");
    cr_assert_str_eq(types_of(&c->to_client), "EZ");
    buf_reset(&c->to_client);
    buf_reset(&c->to_server);
    prepare(c, "y", one);
    cr_assert_str_eq(types_of(&c->to_client), "", "what was known is forgotten");
    fixture_end(&f);
}

Test(session, what_the_server_never_heard_of_is_closed_without_it) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    write_close(&c->from_client, 'S', text_slice("x"));
    sync_unit(c);
    say(c);
    prepare(c, "pdo_stmt_1", one);
    say_query(c, "DEALLOCATE pdo_stmt_1");
    cr_assert_str_eq(types_of(&c->to_client), "1tTZ3Z1tTZCZ");
    cr_assert_str_eq(types_of(&c->to_server), "");
    say_query(c, "DEALLOCATE pdo_stmt_1");
    cr_assert_str_eq(types_of(&c->to_server), "Q", "the server knows what to say");
    fixture_end(&f);
}

// What the server has it closes behind the answer.
Test(session, what_the_server_has_is_closed_without_a_wait) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    for (int close = 0; close < 2; close++) {
        prepare(c, "x", one);
        run_named(c, "x");
        reply(c, "31tT2DCZ");
        buf_reset(&c->to_client);
        buf_reset(&c->to_server);
        if (close) {
            write_close(&c->from_client, 'S', text_slice("x"));
            sync_unit(c);
            say(c);
        } else {
            say_query(c, "DEALLOCATE x");
        }
        cr_assert_str_eq(types_of(&c->to_client), close ? "3Z" : "CZ");
        cr_assert_str_eq(types_of(&c->to_server), "CS");
        buf_reset(&c->to_client);
        reply(c, "3Z");
        cr_assert_str_eq(types_of(&c->to_client), "", "the client is told once");
    }
    buf_reset(&c->to_server);
    say_query(c, "DEALLOCATE x");
    cr_assert_str_eq(types_of(&c->to_server), "Q", "the server knows what to say");
    fixture_end(&f);
}

Test(session, an_opaque_session_gets_no_reply_that_it_did_not_ask_for) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    buf_reset(&c->to_client);
    query(c, "BEGIN");                 // the Parse goes first
    write_empty(&c->from_client, 'W'); // what no client says
    say(c);
    cr_assert(c->session->opaque);
    cr_assert_not(c->session->failed);
    reply(c, TAKEN("T") "CZ");
    cr_assert_str_eq(types_of(&c->to_client), "CZ");
    fixture_end(&f);
}

// The statement may run what the client has prepared, by whatever name. So the server is given all that it
// lacks first.
Test(session, what_cannot_be_read_finds_all_statements) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    prepare(c, "y", one);
    say_query(c, "EXECUTE z(1)");
    cr_assert_str_eq(types_of(&c->to_server), GIVEN GIVEN "Q");
    reply(c, TAKEN("T") TAKEN("T"));
    cr_assert_str_eq(types_of(&c->to_client), "1tTZ1tTZ");
    cr_assert(session_statement(c->session, text_slice("x"))->on_server);
    fixture_end(&f);
}

// EXECUTE names its statement, so only that one is given to the server: giving it waits for the tables'
// locks, as running it would.
Test(session, execute_finds_its_own_statement) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    prepare(c, "y", one);
    say_query(c, "EXECUTE x(1)");
    cr_assert_str_eq(types_of(&c->to_server), "CPDSQ");
    reply(c, "31tTZCZ");
    cr_assert(session_statement(c->session, text_slice("x"))->on_server);
    cr_assert_not(session_statement(c->session, text_slice("y"))->on_server);
    fixture_end(&f);
}

// The server gives a Parse up that would have to wait for a lock (55P03). pgfold then tries again when the
// statement is needed, or after a while.
Test(session, what_cannot_be_given_is_given_later) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    prepare(c, "y", one);
    say_query(c, "BEGIN");
    write_error(&c->from_server, "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL);
    reply(c, "Z");
    write_error(&c->from_server, "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL);
    reply(c, "ZCZ");
    cr_assert_str_eq(types_of(&c->to_client), "1tTZ1tTZCZ");
    buf_reset(&c->to_server);
    say_query(c, "BEGIN");
    cr_assert_str_eq(types_of(&c->to_server), "Q", "not again at once");
    reply(c, "CZ");
    buf_reset(&c->to_server);
    f.now += 2000000;
    say_query(c, "BEGIN");
    cr_assert_str_eq(types_of(&c->to_server), GIVEN GIVEN "Q");
    reply(c, TAKEN("T") TAKEN("T") "CZ");
    cr_assert(session_statement(c->session, text_slice("y"))->on_server);
    fixture_end(&f);
}

// In an aborted transaction the server refuses what would deallocate, and DISCARD ALL in any. Then the client still has what the
// server has not got.
Test(session, what_cannot_be_deallocated_stays) {
    static const char *const texts[] = {"DEALLOCATE ALL", "DEALLOCATE x", "DISCARD ALL"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        learn(c, one);
        prepare(c, "x", one);
        say_query(c, "BEGIN");
        write_error(&c->from_server, "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL);
        reply(c, "ZCz");
        say_query(c, "LOCK TABLE t");
        reply(c, "Ex");
        cr_assert_eq(c->session->txn, 'E');
        say_query(c, texts[i]);
        reply(c, "Ex");
        cr_assert_not_null(session_statement(c->session, text_slice("x")), "%s", texts[i]);
        say_query(c, "ROLLBACK");
        reply(c, "CZ");
        say_query(c, texts[i]);
        reply(c, "CZ");
        cr_assert_null(session_statement(c->session, text_slice("x")), "%s", texts[i]);
        fixture_end(&f);
    }
}

// ---- writes

// What was noted since the last call: a letter for the tables t and u, "*" for any.
static const char *noted(struct client *c) {
    static char text[40];
    const struct database *d = c->session->database;
    size_t n = 0;
    uint64_t *at = &seen[c - c->fixture->clients];
    for (; *at != d->seq; ++*at) {
        uint64_t table = d->last[*at % WRITES_LOG];
        cr_assert_lt(n + 1, sizeof text);
        text[n++] = table == WRITES_ALL                     ? '*'
                    : table == write_table(text_slice("t")) ? 't'
                    : table == write_table(text_slice("u")) ? 'u'
                                                            : '?';
    }
    text[n] = 0;
    return text;
}

static const char *noted_of(struct client *c, const char *sql) {
    say_query(c, sql);
    return noted(c);
}

// ReadyForQuery behind the end of one statement.
static const char *noted_at_end(struct client *c, char status) {
    write_select_complete(&c->from_server, 0);
    write_ready(&c->from_server, status);
    reply(c, "");
    return noted(c);
}

Test(session, a_write_counts_when_sent_and_when_it_has_ended) {
    struct fixture f;
    struct client *c = setup(&f, false);
    expect_text(noted_of(c, "INSERT INTO t (a) VALUES (1)"), "t");
    expect_text(noted_at_end(c, 'I'), "t");
    parse(c, "", "UPDATE u SET a = $1");
    execute(c, "", "1");
    sync_unit(c);
    say(c);
    expect_text(noted(c), "u");
    reply(c, "12CZ");
    expect_text(noted(c), "u");
    expect_text(noted_of(c, "DELETE FROM t"), "t");
    reply(c, "EZ");
    expect_text(noted(c), "t");
    expect_text(noted_of(c, "SELECT 1"), "");
    expect_text(noted_at_end(c, 'I'), "");
    fixture_end(&f);
}

// A write inside a transaction ends with the transaction.
Test(session, writes_of_a_transaction_count_again_at_its_end) {
    struct fixture f;
    struct client *c = setup(&f, false);
    expect_text(noted_of(c, "BEGIN"), "");
    reply(c, "EZ"); // of the proof in front of it
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "INSERT INTO t (a) VALUES (1)"), "t");
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "SELECT a FROM t WHERE id = 1"), "");
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "SAVEPOINT a"), "");
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "UPDATE u SET a = 1"), "u");
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "COMMIT AND CHAIN"), "");
    expect_text(noted_at_end(c, 'T'), "tu");
    expect_text(noted_of(c, "COMMIT"), "");
    expect_text(noted_at_end(c, 'I'), "tu");
    expect_text(noted_of(c, "COMMIT"), "");
    expect_text(noted_at_end(c, 'I'), "");
    fixture_end(&f);
}

// Two writes were sent before the first one ended. Whose end it was is not known, so each end counts for
// both.
Test(session, writes_behind_one_another_count_each_at_its_end) {
    struct fixture f;
    struct client *c = setup(&f, false);
    query(c, "INSERT INTO t (a) VALUES (1)");
    say_query(c, "INSERT INTO u (a) VALUES (1)");
    expect_text(noted(c), "tu");
    expect_text(noted_at_end(c, 'I'), "tu");
    expect_text(noted_at_end(c, 'I'), "tu");
    expect_text(noted_of(c, "SELECT 1"), "");
    expect_text(noted_at_end(c, 'I'), "");
    fixture_end(&f);
}

// BEGIN and one write in a message are the one and the other.
Test(session, begin_and_a_write_in_one_message) {
    static const char *const texts[] = {"BEGIN; INSERT INTO t VALUES (1)",
                                        "begin work ;\n-- save\nUPDATE t SET a = 1;",
                                        "START TRANSACTION; DELETE FROM t"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        expect_text(noted_of(c, texts[i]), "t");
        (void)noted_at_end(c, 'I'); // the proof in front of it
        expect_text(noted_at_end(c, 'T'), "");
        cr_expect(c->session->transaction.more_than_read && !c->session->transaction.unclear, "%s", texts[i]);
        expect_text(noted_of(c, "ROLLBACK"), "");
        expect_text(noted_at_end(c, 'I'), "t");
        fixture_end(&f);
    }
}

// A message of several statements may end a transaction and begin another one.
Test(session, several_statements_may_end_any_transaction) {
    struct fixture f;
    struct client *c = setup(&f, false);
    cr_assert_str_eq(noted_of(c, "BEGIN; INSERT INTO t VALUES (1); SELECT 1"), "*");
    expect_text(noted_at_end(c, 'T'), "*");
    cr_assert_str_eq(noted_of(c, "COMMIT; BEGIN"), "*");
    expect_text(noted_at_end(c, 'T'), "*");
    know_facts(c); // they may have changed definitions
    expect_text(noted_of(c, "SELECT a FROM t WHERE id = 1"), "");
    expect_text(noted_at_end(c, 'T'), "");
    expect_text(noted_of(c, "ROLLBACK"), "");
    expect_text(noted_at_end(c, 'I'), "*");
    fixture_end(&f);
}

Test(session, what_is_not_understood_may_write_to_any_table) {
    static const char *const any[] = {"DO 'BEGIN END'",
                                      "CALL p()",
                                      "TRUNCATE t",
                                      "COPY t FROM STDIN",
                                      "EXECUTE x(1)",
                                      "LOAD 'x'",
                                      "CREATE TABLE x (a int)",
                                      "PREPARE x AS SELECT 1",
                                      "EXPLAIN ANALYZE DELETE FROM t",
                                      "COMMIT PREPARED 'x'",
                                      "REFRESH MATERIALIZED VIEW x",
                                      "SELECT f(1)",
                                      "SELECT f(a) FROM t WHERE id = 1",
                                      "SELECT a FROM t WHERE id = f(1)",
                                      "SELECT a INTO x FROM t",
                                      "no SQL",
                                      "SELECT 1; SELECT 2"};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        const char *sent_for = noted_of(c, any[i]);
        cr_expect_str_eq(sent_for, "*", "%s", any[i]);
        turn(&f, 1);
        const char *at_end = noted_at_end(c, 'I');
        cr_expect_str_eq(at_end, "*", "%s", any[i]);
        fixture_end(&f);
    }
}

Test(session, what_writes_to_no_table_is_not_noted) {
    static const char *const none[] = {"SET search_path = a",
                                       "SET LOCAL search_path = a",
                                       "RESET ALL",
                                       "SHOW ALL",
                                       "BEGIN",
                                       "ROLLBACK",
                                       "SAVEPOINT a",
                                       "DEALLOCATE x",
                                       "DISCARD ALL",
                                       "LISTEN x",
                                       "NOTIFY x",
                                       "SELECT nextval('s')",
                                       "SELECT now()",
                                       "SELECT a FROM t WHERE id = 1",
                                       "SELECT count(*) FROM t",
                                       ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        const char *sent_for = noted_of(c, none[i]);
        cr_expect_str_eq(sent_for, "", "%s", none[i]);
        turn(&f, 1);
        const char *at_end = noted_at_end(c, 'I');
        cr_expect_str_eq(at_end, "", "%s", none[i]);
        fixture_end(&f);
    }
}

// A function that is called by its number, an Execute of a statement that is not known, and a text that is
// too long to be read.
Test(session, messages_that_run_unknown_things_may_write) {
    struct fixture f;
    struct client *c = setup(&f, false);
    write_empty(&c->from_client, F_FUNCTION_CALL);
    say(c);
    expect_text(noted(c), "*");
    expect_text(noted_at_end(c, 'I'), "*");
    write_execute_all(&c->from_client, text_slice(""));
    sync_unit(c);
    say(c);
    expect_text(noted(c), "*");
    reply(c, "EZ");
    expect_text(noted(c), "*");
    struct buf large = buf_make(100000);
    buf_put_text(&large, "INSERT INTO t VALUES ('");
    while (large.len < 20000)
        buf_put_u8(&large, 'x');
    buf_put_str(&large, "')");
    expect_text(noted_of(c, (const char *)large.data), "*");
    buf_free(&large);
    expect_text(noted_at_end(c, 'I'), "*");
    fixture_end(&f);
}

// The catalogue's verdict on a read comes when the read has been sent already.
Test(session, a_read_that_proves_to_be_none_counts_at_its_end) {
    struct fixture f;
    const char *no[] = {"f"};
    struct client *c = setup(&f, false);
    prove(c, NULL);
    expect_text(noted_of(c, "SELECT a FROM v"), "");
    put_text_row(&c->from_server, no, 1);
    reply(c, "CZ");
    cr_assert_eq(noted_at_end(c, 'I')[0], '*');
    fixture_end(&f);
}

// While the facts about the database are not known, any statement may run something of a user's.
Test(session, without_facts_a_write_counts_for_all_tables) {
    static const char *const any[] = {"INSERT INTO t (a) VALUES (1)", "DELETE FROM t", "SELECT a FROM t",
                                      "SELECT a FROM t WHERE id = 1", "SELECT now()"};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        engine_definitions_changed(f.engine);
        const char *sent_for = noted_of(c, any[i]);
        cr_expect_str_eq(sent_for, "*", "%s", any[i]);
        fixture_end(&f);
    }
}

// CommandComplete behind a Flush: commands that may have committed count as a write's end, others do not.
Test(session, a_command_that_ends_a_transaction_is_its_acknowledgement) {
    static const struct {
        const char *tag, *noted;
    } tags[] = {{"COMMIT", "t"},    {"ROLLBACK", "t"}, {"CALL", "t"},     {"COMMIT PREPARED", "t"},
                {"INSERT 0 1", ""}, {"SELECT 1", ""},  {"SAVEPOINT", ""}, {"", "t"}};
    struct fixture f;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct client *c = setup(&f, false);
        parse(c, "", "INSERT INTO t (a) VALUES ($1)");
        execute(c, "", "1");
        write_empty(&c->from_client, F_FLUSH);
        say(c);
        expect_text(noted(c), "t");
        reply(c, "12");
        size_t at = write_begin(&c->from_server, B_COMMAND_COMPLETE);
        buf_put_str(&c->from_server, tags[i].tag);
        write_end(&c->from_server, at);
        reply(c, "");
        expect_text(noted(c), tags[i].noted);
        write_empty(&c->from_client, F_SYNC);
        say(c);
        reply(c, "Z");
        expect_text(noted(c), "t");
        fixture_end(&f);
    }
}

// In the simple protocol a write has been committed when CommandComplete comes.
Test(session, a_query_is_acknowledged_by_its_command) {
    struct fixture f;
    struct client *c = setup(&f, false);
    expect_text(noted_of(c, "INSERT INTO t (a) VALUES (1)"), "t");
    reply(c, "C");
    expect_text(noted(c), "t");
    reply(c, "Z");
    expect_text(noted(c), "t");
    fixture_end(&f);
}

// The catalogue's query was ended by a timeout or the like. That says nothing about the statement, so it is
// asked again, though not at once.
Test(session, a_vetting_that_was_interrupted_is_no_refusal) {
    static const struct {
        const char *code;
        bool again;
    } errors[] = {{"57014", true}, {"55P03", true}, {"40P01", true},
                  {"53200", true}, {"XX000", true}, {"42501", false}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        f.engine->limits.vet_max_age = 60000000;
        turn(&f, 100000000);
        session_identity_doubt(&f.engine->identities,
                               &c->session->identity); // as it is behind what is not vetted
        start_proof(c);
        put_proof_users(&c->from_server);
        reply(c, "CCCZ");
        say_query(c, "SELECT a FROM v");
        cr_assert_str_eq(types_of(&c->to_server), "QQQ");
        write_error(&c->from_server, "ERROR", errors[i].code, "no", NULL, NULL);
        reply(c, "ZCZ");
        for (int n = 0; n < 2; n++) {
            turn(&f, 100000001 + (uint64_t)n * 2000000);
            start_proof(c);
            put_proof_users(&c->from_server);
            reply(c, "CCCZ");
            buf_reset(&c->to_server);
            say_query(c, "SELECT a FROM v");
            cr_expect_str_eq(types_of(&c->to_server), n && errors[i].again ? "QQ" : "Q", "%s",
                             errors[i].code);
            reply(c, n && errors[i].again ? "CZCZ" : "CZ");
        }
        fixture_end(&f);
    }
}

// PostgreSQL answers a message that it refuses at once, before the Sync. So must it be through pgfold, which
// may not keep messages until the Sync comes.
Test(session, an_error_does_not_wait_for_a_sync) {
    static const char *const texts[] = {"SELECT a FROM t WHERE id = $1", "SELEC", "SELECT now()",
                                        "UPDATE t SET a = $1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        parse(c, "", texts[i]);
        execute(c, "", "5");
        say(c);
        cr_expect_str_eq(types_of(&c->to_server), "PBE", "%s", texts[i]);
        reply(c, "E");
        cr_expect_str_eq(types_of(&c->to_client), "E", "%s", texts[i]);
        sync_unit(c);
        say(c);
        reply(c, "Z");
        fixture_end(&f);
    }
}

Test(session, a_lost_connection_ends_its_writes) {
    struct fixture f;
    struct client *c = setup(&f, false);
    expect_text(noted_of(c, "DELETE FROM t"), "t");
    lose_server(c);
    expect_text(noted(c), "t");
    fixture_end(&f);
}

Test(session, an_opaque_session_may_write_with_each_byte) {
    struct fixture f;
    struct client *c = setup(&f, false);
    write_empty(&c->from_client, 'W');
    say(c);
    cr_assert(c->session->opaque && noted(c)[0] == '*');
    write_empty(&c->from_client, 'W');
    say(c);
    expect_text(noted(c), "*");
    reply(c, "C");
    expect_text(noted(c), "*");
    fixture_end(&f);
}

// Two sessions of one database note their writes in the same place.
Test(session, writes_of_one_session_are_known_to_others) {
    struct fixture f;
    struct client *c = setup(&f, false);
    struct client *other = add_client(&f, "server", BYTES("user\0bob\0database\0alice\0"));
    cr_assert_eq(other->session->database, c->session->database);
    expect_text(noted_of(other, "DELETE FROM t"), "t");
    expect_text(noted(c), "t");
    log_out(other);
    expect_text(noted(c), "t");
    fixture_end(&f);
}

// ---- cursors: what is not known to be a plain read may write to any table

static struct client *setup_proven(struct fixture *f) {
    struct client *c = setup(f, false);
    prove(c, NULL);
    return c;
}

static void put_verdict(struct client *c, const char *plain) {
    put_text_row(&c->from_server, &plain, 1);
}

// Proven, and one SELECT is known as a plain read.
static struct client *setup_vetted(struct fixture *f, const char *sql) {
    struct client *c = setup_proven(f);
    say_query(c, sql);
    put_verdict(c, "t");
    reply(c, "CZCZ");
    say_query(c, sql);
    reply(c, "CZ");
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
    return c;
}

// Behind a SET search_path the names of a statement may mean other tables than those that were vetted: in
// the rest of the unit, and in the rest of the transaction.
Test(session, a_verdict_is_not_for_what_comes_behind_a_change_of_meaning) {
    static const char sql[] = "SELECT a FROM v";
    struct fixture f;
    struct client *c = setup_vetted(&f, sql);
    parse(c, "", "SET search_path = a");
    execute(c, "", NULL);
    parse(c, "", sql);
    execute(c, "", NULL);
    sync_unit(c);
    say(c);
    cr_assert_eq(c->session->identity.state, IDENTITY_UNPROVEN);
    reply(c, "12C12CZ");
    cr_assert_eq(c->session->identity.n_settings, 0);
    fixture_end(&f);
}

static struct client *setup_in_transaction(struct fixture *f) {
    struct client *c = setup_proven(f);
    expect_text(noted_of(c, "BEGIN"), "");
    expect_text(noted_at_end(c, 'T'), "");
    return c;
}

// Says it, lets the server answer, and returns what was noted when it was sent.
static const char *noted_in(struct client *c, const char *sql, bool extended, char status) {
    static char text[40];
    if (extended) {
        parse(c, "", sql);
        execute(c, "", NULL);
        sync_unit(c);
    } else {
        query(c, sql);
    }
    say(c);
    strcpy(text, noted(c));
    if (extended)
        write_empty(&c->from_server, B_PARSE_COMPLETE);
    if (extended)
        write_empty(&c->from_server, B_BIND_COMPLETE);
    (void)noted_at_end(c, status);
    return text;
}

static const struct {
    const char *set;
    enum identity_state state; // behind a read that is plain outside
} locals[] = {
    {"SET LOCAL search_path = a", IDENTITY_UNPROVEN},
    {"SELECT set_config('search_path', 'a', true)", IDENTITY_UNPROVEN},
    {"SET LOCAL ROLE a", IDENTITY_UNPROVEN},
    {"SET LOCAL statement_timeout = 100", IDENTITY_PROVEN},
    {"SET LOCAL app.tenant = 'a'", IDENTITY_PROVEN},
};

Test(session, a_verdict_is_not_for_a_transaction_of_another_meaning) {
    static const char sql[] = "SELECT a FROM v";
    for (size_t i = 0; i < sizeof locals / sizeof *locals * 2; i++) {
        struct fixture f;
        bool pipelined = i % 2;
        struct client *c = setup_vetted(&f, sql);
        say_query(c, "BEGIN");
        (void)noted_at_end(c, 'T');
        say_query(c, locals[i / 2].set);
        if (!pipelined)
            (void)noted_at_end(c, 'T');
        say_query(c, sql);
        cr_assert_eq(c->session->identity.state, locals[i / 2].state, "%zu", i);
        if (pipelined)
            (void)noted_at_end(c, 'T');
        (void)noted_at_end(c, 'T');
        (void)noted_in(c, "COMMIT", false, 'I');
        fixture_end(&f);
    }
}

static const char declare[] = "DECLARE c CURSOR FOR SELECT 1";

static const struct {
    const char *statements[4]; // of one transaction
    const char *noted;         // by the last one
} cursors[] = {
    {{declare}, ""},
    {{declare, "FETCH 5 FROM C"}, ""},
    {{declare, "MOVE c", "FETCH ALL IN c"}, ""},
    {{declare, "SAVEPOINT a", "RELEASE a", "FETCH c"}, ""},
    {{declare, "CLOSE c"}, ""},
    {{declare, "CLOSE x", "FETCH c"}, ""},
    {{declare, "SELECT 1", "SHOW x", "FETCH c"}, ""},
    {{declare, "CLOSE c", "FETCH c"}, "*"},
    {{declare, "CLOSE ALL", "FETCH c"}, "*"},
    {{declare, "FETCH \"C\""}, "*"},
    {{declare, "SAVEPOINT a", "ROLLBACK TO a", "FETCH c"}, "*"},
    {{declare, "DELETE FROM t WHERE f(a) > 0", "FETCH c"}, "*"},
    {{declare, "DO ''", "FETCH c"}, "*"},
    {{declare, "SELECT f(1)", "FETCH c"}, "*"},
    {{declare, "COMMIT AND CHAIN", "FETCH c"}, "*"},
    {{declare, "CREATE TABLE x (a int)", "FETCH c"}, "*"},
    {{"FETCH c"}, "*"},
    {{"DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE"}, "*"},
    {{"DECLARE c CURSOR WITH HOLD FOR SELECT 1"}, "*"},
    {{"DECLARE c CURSOR FOR DELETE FROM t"}, "*"},
    {{"DECLARE c CURSOR FOR SELECT 1; DELETE FROM t"}, "*"},
    {{"DECLARE c CURSOR FOR SELECT set_config('a', 'b', false)"}, "*"},
    {{"DECLARE c CURSOR FOR WITH x AS (DELETE FROM t RETURNING a) SELECT 1"}, "*"},
};

Test(session, cursors_that_are_known_read) {
    for (int extended = 0; extended < 2; extended++)
        for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
            struct fixture f;
            const char *got = "?", *last = "";
            struct client *c = setup_in_transaction(&f);
            for (int k = 0; k < 4 && cursors[i].statements[k]; k++)
                got = noted_in(c, last = cursors[i].statements[k], extended, 'T');
            cr_expect_str_eq(got, cursors[i].noted, "%s (%zu, %d): %s", last, i, extended, got);
            if (!*got)
                cr_expect_not(c->session->transaction.more_than_read, "%s", last);
            fixture_end(&f);
        }
}

// A cursor that has been declared is known only when the server has answered: the declaration may fail.
Test(session, a_cursor_is_known_when_its_declaration_has_ended) {
    struct fixture f;
    struct client *c = setup_in_transaction(&f);
    query(c, declare);
    say_query(c, "FETCH c");
    expect_text(noted(c), "*");
    (void)noted_at_end(c, 'T');
    (void)noted_at_end(c, 'T');
    fixture_end(&f);
    setup_in_transaction(&f);
    expect_text(noted_of(c, declare), "");
    write_error(&c->from_server, "ERROR", "42P03", "no", NULL, NULL);
    write_ready(&c->from_server, 'E');
    reply(c, "");
    expect_text(noted_of(c, "FETCH c"), "*");
    fixture_end(&f);
}

// Cursors WITH HOLD stay when their transaction has ended; all others are gone.
Test(session, cursors_that_are_held_outlast_transactions) {
    for (int extended = 0; extended < 2; extended++) {
        struct fixture f;
        struct client *c = setup_proven(&f);
        expect_text(noted_in(c, "DECLARE h CURSOR WITH HOLD FOR SELECT 1", extended, 'I'), "");
        expect_text(noted_in(c, "FETCH h", extended, 'I'), "");
        expect_text(noted_in(c, "BEGIN", extended, 'T'), "");
        expect_text(noted_in(c, declare, extended, 'T'), "");
        expect_text(noted_in(c, "FETCH h", extended, 'T'), "");
        expect_text(noted_in(c, "COMMIT", extended, 'I'), "");
        expect_text(noted_in(c, "FETCH h", extended, 'I'), "");
        cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
        expect_text(noted_in(c, "FETCH c", extended, 'I'), "*");
        expect_text(noted_in(c, "FETCH h", extended, 'I'), "*");
        fixture_end(&f);
        setup_proven(&f);
        expect_text(noted_in(c, declare, extended, 'I'), "*");
        fixture_end(&f);
    }
}

// A portal with a name is bound once and run later, several times perhaps. It writes when it runs.
static const char *bound(struct client *c, const char *text, const char *portal) {
    (void)noted(c); // at the end of what came before
    parse(c, "", text);
    size_t at = write_begin(&c->from_client, F_BIND);
    buf_put_str(&c->from_client, portal);
    buf_put(&c->from_client, "\0\0\0\0\0\0\0", 7);
    write_end(&c->from_client, at);
    sync_unit(c);
    say(c);
    const char *got = noted(c);
    write_empty(&c->from_server, B_PARSE_COMPLETE);
    write_empty(&c->from_server, B_BIND_COMPLETE);
    write_ready(&c->from_server, c->session->txn);
    reply(c, "");
    return got;
}

static const char *executed(struct client *c, const char *portal) {
    (void)noted(c);
    write_execute_all(&c->from_client, text_slice(portal));
    sync_unit(c);
    say(c);
    const char *got = noted(c);
    write_select_complete(&c->from_server, 0);
    write_ready(&c->from_server, c->session->txn);
    reply(c, "");
    return got;
}

Test(session, a_named_portal_writes_when_it_runs) {
    struct fixture f;
    struct client *c = setup_in_transaction(&f);
    expect_text(bound(c, "SELECT 1", "r"), "");
    expect_text(bound(c, "INSERT INTO t (a) VALUES (1)", "w"), "");
    expect_text(executed(c, "r"), "");
    cr_assert_not(c->session->transaction.more_than_read);
    expect_text(noted_of(c, "FETCH r"), "*"); // which forgets both
    (void)noted_at_end(c, 'T');
    expect_text(executed(c, "w"), "*");
    expect_text(bound(c, "INSERT INTO t (a) VALUES (1)", "w"), "");
    expect_text(executed(c, "w"), "t");
    expect_text(executed(c, "w"), "t");
    expect_text(bound(c, "SELECT 1", "r"), "");
    write_close(&c->from_client, 'P', text_slice("r"));
    sync_unit(c);
    say(c);
    write_empty(&c->from_server, B_CLOSE_COMPLETE);
    write_ready(&c->from_server, 'T');
    reply(c, "");
    expect_text(executed(c, "r"), "*");
    fixture_end(&f);
}

// Only so many names are remembered.
Test(session, the_oldest_cursors_are_forgotten) {
    struct fixture f;
    char text[80];
    struct client *c = setup_in_transaction(&f);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "DECLARE c%d CURSOR FOR SELECT 1", i);
        expect_text(noted_in(c, text, false, 'T'), "");
    }
    expect_text(noted_in(c, "FETCH c99", false, 'T'), "");
    expect_text(noted_in(c, "FETCH c90", false, 'T'), "");
    expect_text(noted_in(c, "FETCH c0", false, 'T'), "*");
    fixture_end(&f);
}

// ---- inside an open unit

// A Query in place of a Sync ends the unit; there is one ReadyForQuery for both. But if the unit has failed,
// the server skips the Query.
Test(session, a_query_inside_a_unit_waits_for_what_is_before_it) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", "SET search_path = a");
    execute(c, "", NULL);
    query(c, "SELECT 1");
    offer(c);
    cr_assert_gt(c->from_client.len, 0);
    cr_assert_str_eq(types_of(&c->to_server), "PBEH");
    buf_reset(&c->from_client);
    reply(c, "12");
    cr_assert_not(session_takes_client(c->session));
    reply(c, "C");
    cr_assert(session_takes_client(c->session));
    say_query(c, "SELECT 1");
    reply(c, "TCZ");
    cr_assert_eq(c->session->owed.n, 0);
    cr_assert_not(c->session->opaque);
    cr_assert_not(c->session->in_unit);
    fixture_end(&f);
}

Test(session, a_query_behind_an_error_is_skipped) {
    struct fixture f;
    struct client *c = setup(&f, false);
    parse(c, "", "SELEC");
    write_empty(&c->from_client, F_FLUSH);
    say(c);
    reply(c, "E");
    say_query(c, "SET search_path = a");
    cr_assert_eq(c->session->owed.n, 1);
    sync_unit(c);
    say(c);
    reply(c, "Z");
    cr_assert_eq(c->session->identity.n_settings, 0);
    cr_assert_eq(c->session->owed.n, 0);
    fixture_end(&f);
}

// A Sync inside COPY is ignored by the server, unless the data before it have made the COPY fail. Only the
// server knows.
static struct client *begin_copy(struct fixture *f) {
    struct client *c = setup(f, false);
    say_query(c, "COPY t FROM STDIN");
    reply(c, "G");
    return c;
}

Test(session, a_sync_inside_copy_goes_to_the_server) {
    for (int data = 0; data < 2; data++) {
        struct fixture f;
        struct client *c = begin_copy(&f);
        if (data)
            write_empty(&c->from_client, F_COPY_DATA);
        sync_unit(c);
        write_empty(&c->from_client, F_COPY_DONE);
        say(c);
        cr_assert_str_eq(types_of(&c->to_server), data ? "QdSc" : "QSc");
        cr_assert(c->session->opaque);
        reply(c, data ? "EZZ" : "CZ");
        say_query(c, "SELECT 1");
        reply(c, "TCZ");
        cr_assert_str_eq(types_of(&c->to_client), data ? "GEZZTCZ" : "GCZTCZ");
        fixture_end(&f);
    }
}

// Whether there is a COPY at all is not known before the server has said so.
Test(session, a_sync_behind_copy_or_its_data_waits) {
    static const char *const replies[] = {"G", "EZ", "CZ"};
    for (size_t n = 0; n < 2 * sizeof replies / sizeof *replies; n++) {
        struct fixture f;
        size_t i = n / 2;
        struct client *c = setup(&f, false);
        query(c, "COPY t FROM STDIN");
        if (n % 2)
            write_empty(&c->from_client, F_COPY_DATA);
        size_t before = c->from_client.len;
        sync_unit(c);
        cr_assert_eq(offer(c), before);
        buf_reset(&c->from_client);
        reply(c, replies[i]);
        cr_assert(session_takes_client(c->session));
        sync_unit(c);
        say(c);
        cr_assert_eq(c->session->opaque, i == 0);
        cr_assert(i == 0 || c->session->owed.n == 1);
        fixture_end(&f);
    }
}

Test(session, a_sync_behind_the_end_of_copy_has_a_reply) {
    struct fixture f;
    struct client *c = begin_copy(&f);
    write_empty(&c->from_client, F_FLUSH);
    write_empty(&c->from_client, F_COPY_DATA);
    write_empty(&c->from_client, F_FLUSH);
    write_empty(&c->from_client, F_COPY_DONE);
    say(c);
    cr_assert_str_eq(types_of(&c->to_server), "QHdHc");
    reply(c, "CZ");
    cr_assert_eq(c->session->owed.n, 0);
    cr_assert_not(c->session->in_unit);
    sync_unit(c);
    say(c);
    cr_assert_eq(c->session->owed.n, 1);
    reply(c, "Z");
    cr_assert_not(c->session->opaque);
    fixture_end(&f);
}

// A Query inside COPY ends the COPY, and is not run.
Test(session, a_query_inside_copy_goes_to_the_server) {
    struct fixture f;
    struct client *c = begin_copy(&f);
    say_query(c, "SELECT 1");
    reply(c, "EZ");
    parse(c, "", "SELECT 1");
    execute(c, "", NULL);
    say_query(c, "SELECT 1");
    cr_assert_str_eq(types_of(&c->to_server), "QQPBEQ");
    cr_assert(c->session->opaque);
    fixture_end(&f);
}

// A client may use names that begin as pgfold's own do. pgfold closes such a name first only where a batch
// may have left a statement of that name, or else it could close the client's own.
Test(session, a_name_of_the_clients_is_closed_only_where_a_batch_may_have_left_it) {
    static const char *const names[] = {"pgfold_x", "pgfold_release",
                                        "pgfold_0123456789abcdef0123456789abcdef",
                                        "pgfold_0123456789abcdef0123456789abcdeg"};
    for (int i = 0; i < 8; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        c->session->own.lent = i & 1;
        say_query(c, "PREPARE pgfold_x AS SELECT 1");
        cr_assert_str_eq(types_of(&c->to_server), c->session->own.lent ? "CCCSQ" : "Q",
                         "what may be left of savepoints");
        reply(c, c->session->own.lent ? "333ZCZ" : "CZ");
        buf_reset(&c->to_server);
        parse(c, names[i / 2], "SELECT 1");
        sync_unit(c);
        say(c);
        cr_assert_str_eq(types_of(&c->to_server), i == 5 ? "CSPS" : "PS", "%s", names[i / 2]);
        fixture_end(&f);
    }
}

// A statement that was prepared without the server has changed meanwhile. That must be known before it is
// used in a unit of several statements, since those before it could not be taken back.
Test(session, a_statement_that_has_changed_is_refused_inside_a_unit) {
    struct fixture f;
    struct client *c = setup(&f, false);
    learn(c, one);
    prepare(c, "x", one);
    buf_reset(&c->to_client);
    write_describe(&c->from_client, 'S', text_slice("x"));
    write_empty(&c->from_client, F_FLUSH);
    cr_assert_eq(offer(c), 0);
    cr_assert_str_eq(types_of(&c->to_server), GIVEN, "in front of it");
    buf_reset(&c->from_client);
    reply(c, TAKEN("n"));
    cr_assert(session_takes_client(c->session));
    buf_reset(&c->to_server);
    write_describe(&c->from_client, 'S', text_slice("x"));
    write_empty(&c->from_client, F_FLUSH);
    cr_assert_eq(offer(c), 0);
    cr_assert_str_eq(types_of(&c->to_server), "CPDH", "and again, to be known before it is used");
    buf_reset(&c->from_client);
    reply(c, "31tn");
    cr_assert(session_takes_client(c->session));
    buf_reset(&c->to_server);
    write_describe(&c->from_client, 'S', text_slice("x"));
    sync_unit(c);
    say(c);
    cr_assert_str_eq(types_of(&c->to_server), "BS", "something that the server refuses");
    write_error(&c->from_server, "ERROR", "26000", "no such statement", NULL, NULL);
    reply(c, "Z");
    cr_assert_str_eq(types_of(&c->to_client), "EZ");
    cr_assert_not_null(memmem(c->to_client.data, c->to_client.len, "0A000", 5));
    cr_assert_eq(c->session->owed.n, 0);
    cr_assert_not(c->session->failed);
    fixture_end(&f);
}

// ---- texts that are not read

// A session for which nothing may be spent on reading new texts any more.
static struct client *setup_spent(struct fixture *f) {
    struct client *c = setup(f, false);
    f->limits.parse_budget = 1000;
    engine_set_limits(f->engine, &f->limits);
    f->now = 1000000;
    c->session->ration = f->engine->rations.all = (struct ration){1u << 31, 1000000 >> 13};
    parse(c, "x", "BEGIN");
    sync_unit(c);
    say(c);
    reply(c, "1Z");
    buf_reset(&c->to_server);
    return c;
}

static const struct {
    const char *sql;
    bool definitions, names; // what it may change
} unread[] = {
    {"SELECT a FROM t WHERE id = 1", false, false},
    {"SELECT set_config('search_path', 'a', false)", false, false},
    {"WITH x AS (DELETE FROM t) SELECT 1", false, false},
    {"VALUES (1)", false, false},
    {"SET search_path = a", false, true},
    {"SET standard_conforming_strings = off", false, true},
    {"COMMIT", false, true},
    {"BEGIN ISOLATION LEVEL REPEATABLE READ", false, true},
    {"DISCARD ALL", false, true},
    {"DEALLOCATE ALL", false, true},
    {"PREPARE y AS SELECT 1", false, true},
    {"EXECUTE y", false, true},
    {"CREATE TABLE t (a int)", true, true},
    {"/* x */ ALTER TABLE t ADD a int", true, true},
    {"DO $$ BEGIN END $$", true, true},
};

// The i-th of these texts has been put into from_client and is not read. It counts as anything that its
// first word allows, and what comes behind it waits.
static void check_unread(struct client *c, size_t i) {
    const char *sql = unread[i].sql;
    struct session *s = c->session;
    const struct engine *e = c->fixture->engine;
    uint64_t generation = e->generation, seq = s->database->seq;
    size_t first = c->from_client.len;
    query(c, "SELECT b FROM t WHERE id = 1");
    s->names.unknown = false;
    cr_expect_eq(offer(c), first, "%s", sql);
    cr_expect(s->hold.lookups, "%s", sql);
    buf_reset(&c->from_client);
    cr_expect_eq(s->identity.state, IDENTITY_UNPROVEN, "%s", sql);
    cr_expect_eq(s->identity.origin, ORIGIN_UNKNOWN, "%s", sql);
    cr_expect(s->database->seq > seq, "%s: it may write", sql);
    cr_expect_eq(e->generation != generation, unread[i].definitions, "%s", sql);
    cr_expect_eq(owed_last(s)->forward.changes, unread[i].definitions, "%s", sql);
    cr_expect(owed_last(s)->forward.ends && owed_last(s)->forward.more_than_read &&
                  owed_last(s)->forward.drops,
              "%s", sql);
    cr_expect(owed_last(s)->forward.level && owed_last(s)->forward.isolation == ISOLATION_UNKNOWN, "%s", sql);
}

Test(session, a_query_that_is_not_read_may_be_anything) {
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        struct fixture f;
        if (unread[i].definitions)
            continue; // the first word says enough
        struct client *c = setup_spent(&f);
        query(c, unread[i].sql);
        check_unread(c, i);
        cr_expect_null(session_statement(c->session, text_slice("x")), "%s", unread[i].sql);
        cr_expect(c->session->names.unknown, "%s", unread[i].sql);
        reply(c, "CZ");
        cr_expect_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 1, "%s", unread[i].sql);
        cr_expect_not(c->session->hold.lookups, "%s", unread[i].sql);
        fixture_end(&f);
    }
}

Test(session, a_statement_that_is_not_read_may_be_anything) {
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        struct fixture f;
        struct client *c = setup_spent(&f);
        parse(c, "", unread[i].sql);
        execute(c, "", NULL);
        sync_unit(c);
        check_unread(c, i);
        cr_expect_eq(session_statement(c->session, text_slice("x")) == NULL, unread[i].names, "%s",
                     unread[i].sql);
        cr_expect_eq(c->session->names.unknown, unread[i].names, "%s", unread[i].sql);
        reply(c, "12CZ");
        cr_expect_not(c->session->hold.lookups, "%s", unread[i].sql);
        fixture_end(&f);
    }
}

// A statement that was not read when it was prepared counts as unknown each time that it runs.
Test(session, a_prepared_statement_that_was_not_read_is_not_read_each_time) {
    struct fixture f;
    struct client *c = setup_spent(&f);
    parse(c, "y", "DEALLOCATE x");
    sync_unit(c);
    say(c);
    reply(c, "1Z");
    for (int i = 0; i < 2; i++) {
        c->session->names.unknown = false;
        execute(c, "y", NULL);
        sync_unit(c);
        say(c);
        cr_assert(c->session->names.unknown);
        cr_assert_not_null(session_statement(c->session, text_slice("y")));
        reply(c, "2CZ");
    }
    fixture_end(&f);
}

// One of several statements in the text may be a COPY. Its data come behind it and must not wait for its
// end.
Test(session, the_data_of_a_copy_do_not_wait_behind_what_was_not_read) {
    struct fixture f;
    struct client *c = setup_spent(&f);
    say_query(c, "SELECT 1; COPY t FROM STDIN");
    write_empty(&c->from_client, F_COPY_DATA);
    write_empty(&c->from_client, F_COPY_DONE);
    cr_assert_eq(offer(c), 0);
    reply(c, "C");
    size_t at = write_begin(&c->from_server, B_COPY_IN);
    buf_put(&c->from_server, "\0\0\0", 3);
    write_end(&c->from_server, at);
    reply(c, "");
    cr_assert(session_takes_client(c->session));
    cr_assert_eq(c->from_client.len, 0, "they were taken");
    reply(c, "CZ");
    cr_assert_not(c->session->hold.lookups);
    fixture_end(&f);
}

Test(session, a_text_that_comes_again_is_known_when_there_is_time) {
    struct fixture f;
    struct client *c = setup_spent(&f);
    say_query(c, "SELECT a FROM t WHERE id = 1");
    reply(c, "TCZ");
    cr_assert_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 1);
    f.now += 60000000;
    say_query(c, "SELECT a FROM t WHERE id = 2");
    cr_assert_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 1);
    cr_assert_eq(c->session->order.n, 1);
    fixture_end(&f);
}

// An EXECUTE in a text that is not read may run a statement that the server has not been given yet.
Test(session, in_front_of_what_is_not_read_the_server_is_given_what_it_lacks) {
    struct fixture f;
    struct client *c = setup_spent(&f);
    f.engine->rations.all.spent = c->session->ration.spent = 0;
    learn(c, one);
    prepare(c, "l", one);
    f.engine->rations.all.spent = c->session->ration.spent = 1u << 31;
    buf_reset(&c->to_server);
    parse(c, "", "EXECUTE l (1)");
    execute(c, "", NULL);
    sync_unit(c);
    say(c);
    cr_assert_str_eq(types_of(&c->to_server), GIVEN "PBES");
    fixture_end(&f);
}

// A Close of the client's is on its way when an earlier unit of pgfold's own ends. What that unit leaves at
// the server says nothing about the Close: it may be skipped for an error, and then the client still has its
// statement.
Test(session, a_close_on_its_way_is_not_sent_once_more) {
    struct fixture f;
    struct client *c = setup(&f, false);
    c->session->identity.state = IDENTITY_PROVEN;
    parse(c, "", "SELECT nothing()");
    execute(c, "", NULL);
    write_close(&c->from_client, 'S', text_slice(""));
    sync_unit(c);
    say(c);
    buf_reset(&c->to_server);
    session_note_unnamed(c->session, true, NULL); // one that failed before it came to its own Close
    execute(c, "", NULL);
    sync_unit(c);
    say(c);
    cr_assert_str_eq(types_of(&c->to_server), "BES");
    fixture_end(&f);
}

// The server has not been given the unnamed statement, and the unit that closes it may fail before it comes to that. Only its
// answer tells whether the next unit needs the statement.
Test(session, what_comes_behind_a_close_that_may_fail_waits) {
    static const struct {
        const char *answer, *next; // the close's unit, and what the server gets then
    } cases[] = {{"EZ", "PDBES"}, {"2C3Z", "BES"}};
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        struct client *c = setup(&f, false);
        learn(c, one);
        prepare(c, "", one);
        cr_assert_str_eq(types_of(&c->to_server), "", "it was prepared without the server");
        execute(c, "other", NULL);
        write_close(&c->from_client, 'S', text_slice(""));
        sync_unit(c);
        say(c);
        buf_reset(&c->to_server);
        execute(c, "", "1");
        sync_unit(c);
        cr_assert_eq(offer(c), 0);
        cr_assert_str_eq(types_of(&c->to_server), "");
        reply(c, cases[i].answer);
        say(c);
        turn(&f, f.now);
        cr_assert_eq(strncmp(types_of(&c->to_server), cases[i].next, strlen(cases[i].next)), 0, "%s",
                     types_of(&c->to_server));
        fixture_end(&f);
    }
}

// Who holds an entry of what the server owes may push others meanwhile.
Test(session, what_is_owed_stays_where_it_is) {
    struct fixture f;
    struct session *s = setup(&f, false)->session;
    for (unsigned n = 0; n < 3; n++) { // as the queue is new, and where it has been before
        struct owed *first = owed_push(s, OWED_SETUP);
        cr_assert_not_null(first);
        for (unsigned i = 1; i < 100; i++) {
            struct owed *o = owed_push(s, OWED_SETUP);
            cr_assert_not_null(o);
            o->n_asked = i;
            first->n_asked++;
        }
        cr_assert_eq(owed_head(s), first);
        cr_assert_eq(owed_head(s)->n_asked, 99);
        for (unsigned i = 1; i < 100; i++, owed_pop(s))
            cr_assert_eq(owed_at(s, 1)->n_asked, i);
        owed_pop(s);
        cr_assert_eq(s->owed.n, 0);
        cr_assert_eq(owed_bytes(s), 0, "an idle session keeps nothing of a long queue");
    }
    fixture_end(&f);
}

// Others' groups may push it out of the table else, while its lookup is being forwarded as well as behind that.
Test(session, an_observed_group_stays_until_its_lookup_is_answered) {
    struct fixture f;
    struct client *c = setup(&f, true);
    struct group_table *groups = &f.engine->groups;
    say_query(c, "SELECT a FROM t WHERE id = 1");
    struct group *g = groups->newest;
    cr_assert_not_null(g);
    cr_assert_eq(g->in_flight, 1, "by its entry in what is owed");
    cr_assert_null(c->session->observed);
    reads_observe(c->session, g);
    reply(c, "TDCZ");
    group_table_shrink(groups, &f.engine->identities, 10);
    cr_assert_eq(groups->newest, g, "by the session");
    reads_end_observed(c->session);
    group_table_shrink(groups, &f.engine->identities, 10);
    cr_assert_null(groups->newest);
    fixture_end(&f);
}
