// SPDX-License-Identifier: PostgreSQL
//
// Sessions, message by message: what the simulation found, told as the shortest conversation that shows it.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/cancel.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/turn.h"
#include "batching/session/statements.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "batching/trust/write_set.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

struct fixture {
    struct engine *engine;
    struct session *session;
    struct buf to_client, to_server, message;
    uint64_t seen; // writes noted
};

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct fixture *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct fixture *)owner)->to_server, bytes, len);
}

static const struct engine_effects effects = {to_client, to_server, nothing, cancel_is_sent, nothing, no_log};

static struct engine_limits limits_of(bool observe) {
    return (struct engine_limits){.observe = observe,
                                  .max_keys = 100,
                                  .max_in_flight = 2,
                                  .max_waiting = 100,
                                  .max_shapes = 100,
                                  .max_groups = 100,
                                  .max_statements = 100,
                                  .max_answer = 100000,
                                  .max_text = 10000,
                                  .vet_max_age = 1000000};
}

// That there is nothing of a user's in the database.
static void know_facts(struct fixture *f) {
    f->session->database->facts.known = true;
    f->session->database->facts.generation = f->engine->generation;
}

static void setup(struct fixture *f, bool observe) {
    struct engine_limits limits = limits_of(observe);
    *f = (struct fixture){
        .to_client = buf_make(100000), .to_server = buf_make(100000), .message = buf_make(100000)};
    f->engine = engine_create(&limits, &effects, NULL);
    f->session =
        session_create(f->engine, f, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
    know_facts(f);
}

static void teardown(struct fixture *f) {
    session_destroy(f->session, f->session->engine->now);
    engine_destroy(f->engine);
    buf_free(&f->to_client);
    buf_free(&f->to_server);
    buf_free(&f->message);
}

// ---- what is said; everything is gathered in f->message and then said at once

static void parse(struct fixture *f, const char *text) {
    write_parse(&f->message, text_slice(""), text_slice(text), NULL, 0);
}

static void bind(struct fixture *f, const char *key) {
    size_t at = write_begin(&f->message, F_BIND);
    buf_put(&f->message, "\0\0\0\0", 4);
    buf_put_u16(&f->message, key != NULL);
    if (key) {
        buf_put_u32(&f->message, (uint32_t)strlen(key));
        buf_put_text(&f->message, key);
    }
    buf_put_u16(&f->message, 0);
    write_end(&f->message, at);
    write_execute_all(&f->message, text_slice(""));
}

static void sync(struct fixture *f) {
    write_empty(&f->message, F_SYNC);
}

static void query(struct fixture *f, const char *text) {
    write_query(&f->message, text, strlen(text));
}

static void say(struct fixture *f) {
    cr_assert_eq(session_from_client(f->session, f->message.data, f->message.len, f->session->engine->now),
                 f->message.len);
    buf_reset(&f->message);
}

// The server's messages, by their types: T has one column, Z is idle.
static void reply(struct fixture *f, const char *types) {
    struct buf *b = &f->message;
    for (; *types; types++) {
        if (*types == 'Z')
            write_ready(b, 'I');
        else if (*types == 'C')
            write_select_complete(b, 0);
        else if (*types == 'E')
            write_error(b, "ERROR", "42P01", "no", NULL, NULL);
        else if (*types == 'T') {
            size_t at = write_begin(b, B_ROW_DESCRIPTION);
            buf_put(b, "\0\1a\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 22);
            write_end(b, at);
        } else {
            write_empty(b, *types);
        }
    }
    cr_assert_eq(session_from_server(f->session, b->data, b->len, f->session->engine->now), b->len);
    buf_reset(b);
}

// The text of the i-th message of this type that went to the server; "" when there is none.
static const char *sent(struct fixture *f, char type, unsigned i) {
    struct frame fr;
    for (size_t at = 0; frame_read(f->to_server.data + at, f->to_server.len - at, &fr) == FRAME_OK;
         at += fr.size)
        if (fr.type == (uint8_t)type && i-- == 0)
            return (const char *)fr.body + (type == 'P');
    return "";
}

static const char *types_of(const struct buf *b) {
    static char text[100];
    struct frame fr;
    size_t n = 0;
    for (size_t at = 0; frame_read(b->data + at, b->len - at, &fr) == FRAME_OK && n < 99; at += fr.size)
        text[n++] = (char)fr.type;
    text[n] = 0;
    return text;
}

// ---- conversations

// A later statement of the same unit may have changed what the SET has set.
Test(session, a_doubt_outlasts_the_settings_before_it) {
    struct fixture f;
    setup(&f, false);
    parse(&f, "SET search_path = a");
    bind(&f, NULL);
    parse(&f, "DO $$ BEGIN END $$");
    bind(&f, NULL);
    sync(&f);
    say(&f);
    reply(&f, "12C12CZ");
    cr_assert_eq(f.session->identity.n_settings, 0);
    cr_assert_eq(f.session->identity.state, IDENTITY_UNPROVEN);
    query(&f, "SET work_mem = 100"); // and one of the next unit, on its way at the same time
    query(&f, "DO $$ BEGIN END $$");
    say(&f);
    reply(&f, "CZCZ");
    cr_assert_eq(f.session->identity.n_settings, 0);
    query(&f, "SET search_path = a");
    say(&f);
    reply(&f, "CZ");
    cr_assert_eq(f.session->identity.n_settings, 1);
    teardown(&f);
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

// What names mean, and where a constant ends, is not known before.
Test(session, what_comes_behind_a_change_of_meaning_waits_for_its_answer) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct fixture f;
        setup(&f, false);
        query(&f, changes[i].sql);
        size_t first = f.message.len;
        query(&f, "SELECT a FROM t WHERE id = 1");
        size_t taken = session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now);
        cr_assert_eq(taken, changes[i].waits ? first : f.message.len, "%s", changes[i].sql);
        cr_assert_eq(f.session->hold.lookups, changes[i].waits, "%s", changes[i].sql);
        buf_reset(&f.message);
        reply(&f, "CZ");
        cr_assert_not(f.session->hold.lookups);
        if (changes[i].waits) {
            query(&f, "SELECT a FROM t WHERE id = 1");
            say(&f);
        }
        cr_assert_eq(f.session->order.n, changes[i].waits, "%s", changes[i].sql);
        teardown(&f);
    }
}

static const char one[] = "SELECT a FROM t WHERE id = $1", two[] = "SELECT a FROM t WHERE id = $1 LIMIT 1";

// The unnamed statement of a lookup is the one of its own time, whatever came after it, and the server has
// it.
Test(session, a_lookup_that_runs_alone_has_its_own_statement) {
    struct fixture f;
    setup(&f, false);
    parse(&f, one);
    write_describe(&f.message, 'S', text_slice(""));
    sync(&f);
    say(&f);
    reply(&f, "1tTZ");
    bind(&f, "1");
    sync(&f);
    say(&f);
    engine_turn(f.engine, 1); // alone, and behind it the proof, which drops the server's unnamed statement
    cr_assert_str_eq(types_of(&f.to_server), "PDSBESQ");
    reply(&f, "2CZ");
    reply(&f, "EZ");
    buf_reset(&f.to_server);
    bind(&f, "2"); // of one
    sync(&f);
    parse(&f, two);
    bind(&f, "3");
    sync(&f);
    say(&f);
    engine_turn(f.engine, 2);
    cr_assert_str_eq(types_of(&f.to_server), "PDBESPBES");
    cr_assert_str_eq(sent(&f, 'P', 0), one);
    cr_assert_str_eq(sent(&f, 'P', 1), two);
    buf_reset(&f.to_client);
    reply(&f, "1tT2CZ12CZ");
    cr_assert_str_eq(types_of(&f.to_client), "2CZ12CZ", "the client asked for one Parse");
    teardown(&f);
}

// A Parse behind an error is not reached: the unnamed statement is not the one that it names.
Test(session, a_parse_that_is_not_reached_names_nothing) {
    struct fixture f;
    setup(&f, false);
    parse(&f, "SET search_path = a");
    sync(&f);
    say(&f);
    reply(&f, "1Z");
    write_close(&f.message, 'P', text_slice("x"));
    parse(&f, one);
    sync(&f);
    say(&f);
    reply(&f, "EZ");
    bind(&f, NULL); // runs the SET
    sync(&f);
    say(&f);
    reply(&f, "2CZ");
    cr_assert_eq(f.session->identity.state, IDENTITY_UNPROVEN);
    cr_assert_eq(f.session->identity.origin, ORIGIN_UNKNOWN, "what ran is not known");
    cr_assert_str_eq(types_of(&f.to_server), "PSCPSBES", "the server is left to say what the statement is");
    teardown(&f);
}

// Views may change the session that reads them: what runs behind the proof is vetted before it.
Test(session, a_lookup_behind_the_proof_is_vetted) {
    struct fixture f;
    setup(&f, false);
    query(&f, "SELECT a FROM t WHERE id = 1");
    say(&f);
    engine_turn(f.engine, 1); // alone, and the proof
    query(&f, "SELECT a FROM v WHERE id = 1");
    say(&f);
    engine_turn(f.engine, 2);
    cr_assert_str_eq(types_of(&f.to_server), "QQQQ");
    cr_assert_eq(strncmp(sent(&f, 'Q', 2), "SELECT pg_catalog.set_config", 28), 0, "%s", sent(&f, 'Q', 2));
    cr_assert_not_null(strstr(sent(&f, 'Q', 2), "; SELECT NOT EXISTS"));
    cr_assert_str_eq(sent(&f, 'Q', 3), "SELECT a FROM v WHERE id = 1");
    reply(&f, "TCZ");
    const char *no[] = {"f"};
    put_proof_users(&f.message);
    reply(&f, "CCZ");
    cr_assert_eq(f.session->identity.state, IDENTITY_PROVEN);
    put_text_row(&f.message, no, 1);
    reply(&f, "CZ");
    cr_assert_eq(f.session->identity.state, IDENTITY_UNPROVEN);
    teardown(&f);
}

// Nor does a lookup go past one of another shape that nobody has vetted.
Test(session, unproven_lookups_of_two_shapes_keep_their_order) {
    struct fixture f;
    setup(&f, false);
    query(&f, "SELECT a FROM v WHERE id = 1");
    query(&f, "SELECT a FROM t WHERE id = 1");
    say(&f);
    cr_assert_eq(f.session->order.n, 1);
    cr_assert_eq(f.session->n_forward, 1);
    cr_assert_str_eq(sent(&f, 'Q', 0), "SELECT a FROM v WHERE id = 1");
    cr_assert_str_eq(sent(&f, 'Q', 1), "SELECT a FROM t WHERE id = 1");
    teardown(&f);
}

// Replies of a unit that failed are not taken for those of the next.
Test(session, each_unit_tells_about_its_own_statements) {
    struct fixture f;
    setup(&f, false);
    write_parse(&f.message, text_slice("a"), text_slice(one), NULL, 0);
    sync(&f);
    write_parse(&f.message, text_slice("b"), text_slice(two), NULL, 0);
    sync(&f);
    say(&f);
    reply(&f, "EZ");
    cr_assert_null(session_statement(f.session, text_slice("a")), "its Parse failed");
    cr_assert_not(session_statement(f.session, text_slice("b"))->confirmed);
    reply(&f, "1Z");
    cr_assert(session_statement(f.session, text_slice("b"))->confirmed);
    teardown(&f);
}

// Nothing of ours reaches the client, opaque or not.

// A server that ends a unit before the client has: no entry is left that the rest of the unit could be noted
// in.
Test(session, a_unit_that_ends_too_early_makes_opaque) {
    struct fixture f;
    setup(&f, false);
    parse(&f, "SET search_path = a");
    write_describe(&f.message, 'S', text_slice(""));
    write_empty(&f.message, F_FLUSH);
    say(&f);
    reply(&f, "1tnZ");
    cr_assert(f.session->opaque);
    bind(&f, NULL);
    sync(&f);
    say(&f);
    teardown(&f);
}

// What nobody asked for is not cut in two: an answer could come between.
Test(session, a_notification_is_passed_on_whole) {
    struct fixture f;
    setup(&f, false);
    struct slice s = BYTES("A\0\0\0\x0c\0\0\0\1x\0y\0");
    for (size_t cut = 1; cut < s.len; cut++) {
        cr_assert_eq(session_from_server(f.session, s.data, cut, f.session->engine->now), 0, "cut at %zu",
                     cut);
        cr_assert_eq(f.to_client.len, 0);
    }
    cr_assert_eq(session_from_server(f.session, s.data, s.len, f.session->engine->now), s.len);
    cr_assert_eq(f.to_client.len, s.len);
    teardown(&f);
}

// Who was only observed was never proven.
Test(session, a_reload_from_observe_to_fold_proves_nobody) {
    struct fixture f;
    struct engine_limits fold = limits_of(false);
    setup(&f, true);
    cr_assert_eq(f.session->identity.state, IDENTITY_PROVEN);
    engine_set_limits(f.engine, &fold);
    cr_assert_eq(f.session->identity.state, IDENTITY_UNPROVEN);
    teardown(&f);
}

// The answer of a lookup that was cancelled comes once and at its place.
Test(session, a_cancel_ends_the_lookup_that_waits) {
    struct fixture f;
    setup(&f, false);
    query(&f, "SELECT a FROM t WHERE id = 1");
    query(&f, "SELECT a FROM t WHERE id = 2");
    say(&f);
    cr_assert_not(session_cancel(f.session, f.session->engine->now));
    cr_assert_str_eq(types_of(&f.to_client), "EZ");
    engine_turn(f.engine, 1);
    cr_assert_str_eq(sent(&f, 'Q', 0), "SELECT a FROM t WHERE id = 2");
    reply(&f, "TCZ");
    cr_assert_str_eq(types_of(&f.to_client), "EZTCZ");
    cr_assert_eq(f.session->order.n, 0);
    teardown(&f);
}

// The server says nothing more before the Sync, which the client may not have been able to say.
Test(session, an_error_makes_room_for_the_rest_of_its_unit) {
    struct fixture f;
    setup(&f, false);
    for (unsigned i = 0; i < SESSION_MAX_EXPECTED + 1; i++)
        parse(&f, "SELECT 1");
    size_t taken = session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now);
    cr_assert_lt(taken, f.message.len);
    cr_assert(f.session->hold.full);
    buf_reset(&f.message);
    reply(&f, "1E");
    cr_assert_not(f.session->hold.full);
    teardown(&f);
}

// A large Bind comes in pieces, and its names tell what it runs.
Test(session, a_large_bind_is_read_by_its_names_wherever_it_is_cut) {
    struct fixture f;
    setup(&f, false);
    write_parse(&f.message, text_slice("statement"), text_slice("SET search_path = a"), NULL, 0);
    sync(&f);
    say(&f);
    reply(&f, "1Z");
    static const char head[] = "B\0\1\0\0\0statement\0\0\0\0\1\0\0\xff\0";
    for (size_t cut = 5; cut < 16; cut++)
        cr_assert_eq(session_from_client(f.session, (const uint8_t *)head, cut, f.session->engine->now), 0,
                     "cut at %zu", cut);
    cr_assert_eq(
        session_from_client(f.session, (const uint8_t *)head, sizeof head - 1, f.session->engine->now),
        sizeof head - 1);
    cr_assert_not(f.session->opaque);
    cr_assert_eq(f.session->portal, session_statement(f.session, text_slice("statement")));
    teardown(&f);
}

// ---- statements that are prepared without the server

static const char three[] = "SELECT a FROM t WHERE id = $1 AND b = $2";

// Proven, and told by the server what `text` looks like.
static void learn(struct fixture *f, const char *text) {
    const char *yes[] = {"t"};
    f->session->identity.state = IDENTITY_PROVEN;
    parse(f, text);
    write_describe(&f->message, 'S', text_slice(""));
    sync(f);
    say(f); // behind the catalogue's verdict
    put_text_row(&f->message, yes, 1);
    reply(f, "CZ");
    reply(f, "1tTZ");
    buf_reset(&f->to_client);
    buf_reset(&f->to_server);
}

static void prepare(struct fixture *f, const char *name, const char *text) {
    write_parse(&f->message, text_slice(name), text_slice(text), NULL, 0);
    write_describe(&f->message, 'S', text_slice(name));
    sync(f);
    say(f);
}

static void run_named(struct fixture *f, const char *name) {
    size_t at = write_begin(&f->message, F_BIND);
    buf_put_str(&f->message, "");
    buf_put_str(&f->message, name);
    buf_put(&f->message, "\0\0\0\1\0\0\0\1\x35\0\0", 11);
    write_end(&f->message, at);
    write_execute_all(&f->message, text_slice(""));
    sync(f);
    say(f);
    engine_turn(f->engine, f->engine->now + 1);
}

Test(session, a_known_statement_is_prepared_without_the_server) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    cr_assert_str_eq(types_of(&f.to_client), "1tTZ");
    cr_assert_str_eq(types_of(&f.to_server), "");
    buf_reset(&f.to_client);
    run_named(&f, "x"); // alone: the server gets the statement in the same write
    cr_assert_str_eq(types_of(&f.to_server), "CPDBES");
    reply(&f, "31tT2CZ");
    cr_assert_str_eq(types_of(&f.to_client), "2CZ");
    buf_reset(&f.to_server);
    run_named(&f, "x");
    cr_assert_str_eq(types_of(&f.to_server), "BES", "it is there");
    prepare(&f, "y", three);
    cr_assert_not_null(strstr(types_of(&f.to_server), "PDS"));
    teardown(&f);
}

// The second Parse of a name is refused only if the first was not.
Test(session, a_name_is_not_free_behind_a_parse_that_failed) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    write_parse(&f.message, text_slice("x"), text_slice("SET search_path = a"), NULL, 0);
    sync(&f);
    write_parse(&f.message, text_slice("x"), text_slice("SET search_path = b"), NULL, 0);
    sync(&f);
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "PSPS");
    reply(&f, "EZ1Z");
    buf_reset(&f.to_client);
    buf_reset(&f.to_server);
    prepare(&f, "x", one);
    cr_assert_str_eq(types_of(&f.to_client), "");
    cr_assert_str_eq(types_of(&f.to_server), "PDS", "the server knows what it has");
    teardown(&f);
}

Test(session, a_statement_that_the_server_refuses_fails_where_it_is_used) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    buf_reset(&f.to_client);
    run_named(&f, "x");
    reply(&f, "3EZ");
    cr_assert_str_eq(types_of(&f.to_client), "EZ");
    buf_reset(&f.to_server);
    run_named(&f, "x");
    cr_assert_str_eq(types_of(&f.to_server), "CPDBES", "once more");
    teardown(&f);
}

// The columns that the client was told of are no longer those of the rows.
Test(session, rows_of_other_columns_are_not_passed_on) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    buf_reset(&f.to_client);
    run_named(&f, "x");
    reply(&f, "31tn2DCZ");
    cr_assert_str_eq(types_of(&f.to_client), "EZ");
    buf_reset(&f.to_client);
    buf_reset(&f.to_server);
    prepare(&f, "y", one);
    cr_assert_str_eq(types_of(&f.to_client), "", "what was known is forgotten");
    teardown(&f);
}

Test(session, what_the_server_never_heard_of_is_closed_without_it) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    write_close(&f.message, 'S', text_slice("x"));
    sync(&f);
    say(&f);
    prepare(&f, "pdo_stmt_1", one);
    query(&f, "DEALLOCATE pdo_stmt_1");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_client), "1tTZ3Z1tTZCZ");
    cr_assert_str_eq(types_of(&f.to_server), "");
    query(&f, "DEALLOCATE pdo_stmt_1");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "Q", "the server knows what to say");
    teardown(&f);
}

Test(session, an_opaque_session_gets_no_reply_that_it_did_not_ask_for) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    buf_reset(&f.to_client);
    query(&f, "BEGIN");           // the Parse goes first
    write_empty(&f.message, 'W'); // what no client says
    say(&f);
    cr_assert(f.session->opaque);
    cr_assert_not(f.session->failed);
    reply(&f, "312DC331tTZCZ");
    cr_assert_str_eq(types_of(&f.to_client), "CZ");
    teardown(&f);
}

// A function may execute what the client has prepared.
Test(session, what_cannot_be_read_finds_all_statements) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    prepare(&f, "y", one);
    query(&f, "EXECUTE z(1)");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "CPBECCPDSCPBECCPDSQ");
    reply(&f, "312DC331tTZ312DC331tTZ");
    cr_assert_str_eq(types_of(&f.to_client), "1tTZ1tTZ");
    cr_assert(session_statement(f.session, text_slice("x"))->on_server);
    teardown(&f);
}

// It waits for the tables of this one anyway.
Test(session, execute_finds_its_own_statement) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    prepare(&f, "y", one);
    query(&f, "EXECUTE x(1)");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "CPDSQ");
    reply(&f, "31tTZCZ");
    cr_assert(session_statement(f.session, text_slice("x"))->on_server);
    cr_assert_not(session_statement(f.session, text_slice("y"))->on_server);
    teardown(&f);
}

// The server gives it up when it has to wait; then it is given to what needs it, and asked for no sooner.
Test(session, what_cannot_be_given_is_given_later) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    prepare(&f, "y", one);
    query(&f, "BEGIN");
    say(&f);
    write_error(&f.message, "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL);
    cr_assert_eq(session_from_server(f.session, f.message.data, f.message.len, f.session->engine->now),
                 f.message.len);
    buf_reset(&f.message);
    reply(&f, "Z");
    write_error(&f.message, "ERROR", "55P03", "canceling statement due to lock timeout", NULL, NULL);
    cr_assert_eq(session_from_server(f.session, f.message.data, f.message.len, f.session->engine->now),
                 f.message.len);
    buf_reset(&f.message);
    reply(&f, "ZCZ");
    cr_assert_str_eq(types_of(&f.to_client), "1tTZ1tTZCZ");
    buf_reset(&f.to_server);
    query(&f, "BEGIN");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "Q", "not again at once");
    reply(&f, "CZ");
    buf_reset(&f.to_server);
    f.engine->now += 2000000;
    query(&f, "BEGIN");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "CPBECCPDSCPBECCPDSQ");
    reply(&f, "312DC331tTZ312DC331tTZCZ");
    cr_assert(session_statement(f.session, text_slice("y"))->on_server);
    teardown(&f);
}

// ---- writes

// What was noted since the last call: a letter for the tables t and u, "*" for any.
static const char *noted(struct fixture *f) {
    static char text[40];
    const struct database *d = f->session->database;
    size_t n = 0;
    for (; f->seen != d->seq; f->seen++) {
        uint64_t table = d->last[f->seen % WRITES_LOG];
        cr_assert_lt(n + 1, sizeof text);
        text[n++] = table == WRITES_ALL                     ? '*'
                    : table == write_table(text_slice("t")) ? 't'
                    : table == write_table(text_slice("u")) ? 'u'
                                                            : '?';
    }
    text[n] = 0;
    return text;
}

// What makes `actual` runs once, which Criterion's own macros do not promise.
static void expect(const char *actual, const char *expected) {
    cr_assert_str_eq(actual, expected);
}

static const char *noted_of(struct fixture *f, const char *sql) {
    query(f, sql);
    say(f);
    return noted(f);
}

// ReadyForQuery behind the end of one statement.
static const char *noted_at_end(struct fixture *f, char status) {
    write_select_complete(&f->message, 0);
    write_ready(&f->message, status);
    reply(f, "");
    return noted(f);
}

Test(session, a_write_counts_when_sent_and_when_it_has_ended) {
    struct fixture f;
    setup(&f, false);
    expect(noted_of(&f, "INSERT INTO t (a) VALUES (1)"), "t");
    expect(noted_at_end(&f, 'I'), "t");
    parse(&f, "UPDATE u SET a = $1");
    bind(&f, "1");
    sync(&f);
    say(&f);
    expect(noted(&f), "u");
    reply(&f, "12CZ");
    expect(noted(&f), "u");
    expect(noted_of(&f, "DELETE FROM t"), "t");
    reply(&f, "EZ");
    expect(noted(&f), "t");
    expect(noted_of(&f, "SELECT 1"), "");
    expect(noted_at_end(&f, 'I'), "");
    teardown(&f);
}

// Its end is that of its transaction.
Test(session, writes_of_a_transaction_count_again_at_its_end) {
    struct fixture f;
    setup(&f, false);
    expect(noted_of(&f, "BEGIN"), "");
    reply(&f, "EZ"); // of the proof in front of it
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "INSERT INTO t (a) VALUES (1)"), "t");
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "SELECT a FROM t WHERE id = 1"), "");
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "SAVEPOINT a"), "");
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "UPDATE u SET a = 1"), "u");
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "COMMIT AND CHAIN"), "");
    expect(noted_at_end(&f, 'T'), "tu");
    expect(noted_of(&f, "COMMIT"), "");
    expect(noted_at_end(&f, 'I'), "tu");
    expect(noted_of(&f, "COMMIT"), "");
    expect(noted_at_end(&f, 'I'), "");
    teardown(&f);
}

// The end of the first is not that of the second, whose statement was sent before it.
Test(session, writes_behind_one_another_count_each_at_its_end) {
    struct fixture f;
    setup(&f, false);
    query(&f, "INSERT INTO t (a) VALUES (1)");
    query(&f, "INSERT INTO u (a) VALUES (1)");
    say(&f);
    expect(noted(&f), "tu");
    expect(noted_at_end(&f, 'I'), "tu");
    expect(noted_at_end(&f, 'I'), "tu");
    expect(noted_of(&f, "SELECT 1"), "");
    expect(noted_at_end(&f, 'I'), "");
    teardown(&f);
}

// Several statements in one message may end a transaction and begin the next.
Test(session, several_statements_may_end_any_transaction) {
    struct fixture f;
    setup(&f, false);
    cr_assert_str_eq(noted_of(&f, "BEGIN; INSERT INTO t VALUES (1)"), "*");
    expect(noted_at_end(&f, 'T'), "*");
    cr_assert_str_eq(noted_of(&f, "COMMIT; BEGIN"), "*");
    expect(noted_at_end(&f, 'T'), "*");
    know_facts(&f); // they may have changed definitions
    expect(noted_of(&f, "SELECT a FROM t WHERE id = 1"), "");
    expect(noted_at_end(&f, 'T'), "");
    expect(noted_of(&f, "ROLLBACK"), "");
    expect(noted_at_end(&f, 'I'), "*");
    teardown(&f);
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
        setup(&f, false);
        const char *sent_for = noted_of(&f, any[i]);
        cr_expect_str_eq(sent_for, "*", "%s", any[i]);
        engine_turn(f.engine, 1);
        const char *at_end = noted_at_end(&f, 'I');
        cr_expect_str_eq(at_end, "*", "%s", any[i]);
        teardown(&f);
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
        setup(&f, false);
        const char *sent_for = noted_of(&f, none[i]);
        cr_expect_str_eq(sent_for, "", "%s", none[i]);
        engine_turn(f.engine, 1);
        const char *at_end = noted_at_end(&f, 'I');
        cr_expect_str_eq(at_end, "", "%s", none[i]);
        teardown(&f);
    }
}

// A call of a function by its number, and what names statements that are not known.
Test(session, messages_that_run_unknown_things_may_write) {
    struct fixture f;
    setup(&f, false);
    write_empty(&f.message, F_FUNCTION_CALL);
    say(&f);
    expect(noted(&f), "*");
    expect(noted_at_end(&f, 'I'), "*");
    write_execute_all(&f.message, text_slice(""));
    sync(&f);
    say(&f);
    expect(noted(&f), "*");
    reply(&f, "EZ");
    expect(noted(&f), "*");
    struct buf large = buf_make(100000);
    buf_put_text(&large, "INSERT INTO t VALUES ('");
    while (large.len < 20000)
        buf_put_u8(&large, 'x');
    buf_put_str(&large, "')");
    expect(noted_of(&f, (const char *)large.data), "*");
    buf_free(&large);
    expect(noted_at_end(&f, 'I'), "*");
    teardown(&f);
}

// The verdict comes behind the read that it is about.
Test(session, a_read_that_proves_to_be_none_counts_at_its_end) {
    struct fixture f;
    const char *no[] = {"f"};
    setup(&f, false);
    session_start_proof(f.session);
    put_proof_users(&f.message);
    reply(&f, "CCZ");
    cr_assert_eq(f.session->identity.state, IDENTITY_PROVEN);
    expect(noted_of(&f, "SELECT a FROM v"), "");
    put_text_row(&f.message, no, 1);
    reply(&f, "CZ");
    cr_assert_eq(noted_at_end(&f, 'I')[0], '*');
    teardown(&f);
}

// As long as nothing is known of the database, nothing is known of what runs in it.
Test(session, without_facts_a_write_counts_for_all_tables) {
    static const char *const any[] = {"INSERT INTO t (a) VALUES (1)", "DELETE FROM t", "SELECT a FROM t",
                                      "SELECT a FROM t WHERE id = 1", "SELECT now()"};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        struct fixture f;
        setup(&f, false);
        engine_definitions_changed(f.engine);
        const char *sent_for = noted_of(&f, any[i]);
        cr_expect_str_eq(sent_for, "*", "%s", any[i]);
        teardown(&f);
    }
}

// It may commit, for who asks with Flush for what has become of it; what else there is does not.
Test(session, a_command_that_ends_a_transaction_is_its_acknowledgement) {
    static const struct {
        const char *tag, *noted;
    } tags[] = {{"COMMIT", "t"},    {"ROLLBACK", "t"}, {"CALL", "t"},     {"COMMIT PREPARED", "t"},
                {"INSERT 0 1", ""}, {"SELECT 1", ""},  {"SAVEPOINT", ""}, {"", "t"}};
    struct fixture f;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        setup(&f, false);
        parse(&f, "INSERT INTO t (a) VALUES ($1)");
        bind(&f, "1");
        write_empty(&f.message, F_FLUSH);
        say(&f);
        expect(noted(&f), "t");
        reply(&f, "12");
        size_t at = write_begin(&f.message, B_COMMAND_COMPLETE);
        buf_put_str(&f.message, tags[i].tag);
        write_end(&f.message, at);
        reply(&f, "");
        expect(noted(&f), tags[i].noted);
        write_empty(&f.message, F_SYNC);
        say(&f);
        reply(&f, "Z");
        expect(noted(&f), "t");
        teardown(&f);
    }
}

// In the simple protocol the command has ended its transaction before it says so.
Test(session, a_query_is_acknowledged_by_its_command) {
    struct fixture f;
    setup(&f, false);
    expect(noted_of(&f, "INSERT INTO t (a) VALUES (1)"), "t");
    reply(&f, "C");
    expect(noted(&f), "t");
    reply(&f, "Z");
    expect(noted(&f), "t");
    teardown(&f);
}

// What a timeout has ended says nothing about the statement: it is asked again, only not at once.
Test(session, a_vetting_that_was_interrupted_is_no_refusal) {
    static const struct {
        const char *code;
        bool again;
    } errors[] = {{"57014", true}, {"55P03", true}, {"40P01", true}, {"53200", true}, {"42501", false}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct fixture f;
        setup(&f, false);
        f.engine->limits.vet_max_age = 60000000;
        engine_turn(f.engine, 100000000);
        session_identity_doubt(&f.engine->identities,
                               &f.session->identity); // as it is behind what is not vetted
        session_start_proof(f.session);
        put_proof_users(&f.message);
        reply(&f, "CCCZ");
        query(&f, "SELECT a FROM v");
        say(&f);
        cr_assert_str_eq(types_of(&f.to_server), "QQQ");
        write_error(&f.message, "ERROR", errors[i].code, "no", NULL, NULL);
        reply(&f, "ZCZ");
        for (int n = 0; n < 2; n++) {
            engine_turn(f.engine, 100000001 + (uint64_t)n * 2000000);
            session_start_proof(f.session);
            put_proof_users(&f.message);
            reply(&f, "CCCZ");
            buf_reset(&f.to_server);
            query(&f, "SELECT a FROM v");
            say(&f);
            cr_expect_str_eq(types_of(&f.to_server), n && errors[i].again ? "QQ" : "Q", "%s", errors[i].code);
            reply(&f, n && errors[i].again ? "CZCZ" : "CZ");
        }
        teardown(&f);
    }
}

// PostgreSQL answers an error at once. What it may still refuse does not wait here for the rest of its unit.
Test(session, an_error_does_not_wait_for_a_sync) {
    static const char *const texts[] = {"SELECT a FROM t WHERE id = $1", "SELEC", "SELECT now()",
                                        "UPDATE t SET a = $1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        setup(&f, false);
        parse(&f, texts[i]);
        bind(&f, "5");
        say(&f);
        cr_expect_str_eq(types_of(&f.to_server), "PBE", "%s", texts[i]);
        reply(&f, "E");
        cr_expect_str_eq(types_of(&f.to_client), "E", "%s", texts[i]);
        sync(&f);
        say(&f);
        reply(&f, "Z");
        teardown(&f);
    }
}

Test(session, a_lost_connection_ends_its_writes) {
    struct fixture f;
    setup(&f, false);
    expect(noted_of(&f, "DELETE FROM t"), "t");
    session_server_gone(f.session, f.session->engine->now);
    expect(noted(&f), "t");
    teardown(&f);
}

Test(session, an_opaque_session_may_write_with_each_byte) {
    struct fixture f;
    setup(&f, false);
    write_empty(&f.message, 'W');
    say(&f);
    cr_assert(f.session->opaque && noted(&f)[0] == '*');
    write_empty(&f.message, 'W');
    say(&f);
    expect(noted(&f), "*");
    reply(&f, "C");
    expect(noted(&f), "*");
    teardown(&f);
}

// Sessions of one database share what is known of its writes.
Test(session, writes_of_one_session_are_known_to_others) {
    struct fixture f, other;
    setup(&f, false);
    other = f;
    other.session = session_create(f.engine, &other, text_slice("server"),
                                   BYTES("user\0bob\0database\0alice\0"), false, f.engine->now);
    cr_assert_eq(other.session->database, f.session->database);
    expect(noted_of(&other, "DELETE FROM t"), "t");
    f.message = other.message;
    expect(noted(&f), "t");
    session_destroy(other.session, other.session->engine->now);
    expect(noted(&f), "t");
    f.to_server = other.to_server;
    teardown(&f);
}

// ---- cursors: what is not known to be a plain read may write to any table

static void setup_proven(struct fixture *f) {
    setup(f, false);
    session_start_proof(f->session);
    put_proof_users(&f->message);
    reply(f, "CCZ");
    cr_assert_eq(f->session->identity.state, IDENTITY_PROVEN);
}

static void put_verdict(struct fixture *f, const char *plain) {
    put_text_row(&f->message, &plain, 1);
}

// Proven, and one SELECT is known as a plain read.
static void setup_vetted(struct fixture *f, const char *sql) {
    setup_proven(f);
    query(f, sql);
    say(f);
    put_verdict(f, "t");
    reply(f, "CZCZ");
    query(f, sql);
    say(f);
    reply(f, "CZ");
    cr_assert_eq(f->session->identity.state, IDENTITY_PROVEN);
}

// Its names may mean something else, in the rest of the unit and in the rest of the transaction.
Test(session, a_verdict_is_not_for_what_comes_behind_a_change_of_meaning) {
    static const char sql[] = "SELECT a FROM v";
    struct fixture f;
    setup_vetted(&f, sql);
    parse(&f, "SET search_path = a");
    bind(&f, NULL);
    parse(&f, sql);
    bind(&f, NULL);
    sync(&f);
    say(&f);
    cr_assert_eq(f.session->identity.state, IDENTITY_UNPROVEN);
    reply(&f, "12C12CZ");
    cr_assert_eq(f.session->identity.n_settings, 0);
    teardown(&f);
}

static void setup_in_transaction(struct fixture *f) {
    setup_proven(f);
    expect(noted_of(f, "BEGIN"), "");
    expect(noted_at_end(f, 'T'), "");
}

// Says it, lets the server answer, and returns what was noted when it was sent.
static const char *noted_in(struct fixture *f, const char *sql, bool extended, char status) {
    static char text[40];
    if (extended) {
        parse(f, sql);
        bind(f, NULL);
        sync(f);
    } else {
        query(f, sql);
    }
    say(f);
    strcpy(text, noted(f));
    if (extended)
        write_empty(&f->message, B_PARSE_COMPLETE);
    if (extended)
        write_empty(&f->message, B_BIND_COMPLETE);
    (void)noted_at_end(f, status);
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
        setup_vetted(&f, sql);
        query(&f, "BEGIN");
        say(&f);
        (void)noted_at_end(&f, 'T');
        query(&f, locals[i / 2].set);
        say(&f);
        if (!pipelined)
            (void)noted_at_end(&f, 'T');
        query(&f, sql);
        say(&f);
        cr_assert_eq(f.session->identity.state, locals[i / 2].state, "%zu", i);
        if (pipelined)
            (void)noted_at_end(&f, 'T');
        (void)noted_at_end(&f, 'T');
        (void)noted_in(&f, "COMMIT", false, 'I');
        teardown(&f);
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
    {{declare, "DELETE FROM t", "FETCH c"}, "*"},
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
            setup_in_transaction(&f);
            for (int k = 0; k < 4 && cursors[i].statements[k]; k++)
                got = noted_in(&f, last = cursors[i].statements[k], extended, 'T');
            cr_expect_str_eq(got, cursors[i].noted, "%s (%zu, %d): %s", last, i, extended, got);
            if (!*got)
                cr_expect_not(f.session->transaction.spent, "%s", last);
            teardown(&f);
        }
}

// Of those on their way it is not known which will succeed.
Test(session, a_cursor_is_known_when_its_declaration_has_ended) {
    struct fixture f;
    setup_in_transaction(&f);
    query(&f, declare);
    query(&f, "FETCH c");
    say(&f);
    expect(noted(&f), "*");
    (void)noted_at_end(&f, 'T');
    (void)noted_at_end(&f, 'T');
    teardown(&f);
    setup_in_transaction(&f);
    expect(noted_of(&f, declare), "");
    write_error(&f.message, "ERROR", "42P03", "no", NULL, NULL);
    write_ready(&f.message, 'E');
    reply(&f, "");
    expect(noted_of(&f, "FETCH c"), "*");
    teardown(&f);
}

// Outside transactions there are those alone that stay.
Test(session, cursors_that_are_held_outlast_transactions) {
    for (int extended = 0; extended < 2; extended++) {
        struct fixture f;
        setup_proven(&f);
        expect(noted_in(&f, "DECLARE h CURSOR WITH HOLD FOR SELECT 1", extended, 'I'), "");
        expect(noted_in(&f, "FETCH h", extended, 'I'), "");
        expect(noted_in(&f, "BEGIN", extended, 'T'), "");
        expect(noted_in(&f, declare, extended, 'T'), "");
        expect(noted_in(&f, "FETCH h", extended, 'T'), "");
        expect(noted_in(&f, "COMMIT", extended, 'I'), "");
        expect(noted_in(&f, "FETCH h", extended, 'I'), "");
        cr_assert_eq(f.session->identity.state, IDENTITY_PROVEN);
        expect(noted_in(&f, "FETCH c", extended, 'I'), "*");
        expect(noted_in(&f, "FETCH h", extended, 'I'), "*");
        teardown(&f);
        setup_proven(&f);
        expect(noted_in(&f, declare, extended, 'I'), "*");
        teardown(&f);
    }
}

// A named portal's statement runs with each Execute.
static const char *bound(struct fixture *f, const char *text, const char *portal) {
    (void)noted(f); // at the end of what came before
    parse(f, text);
    size_t at = write_begin(&f->message, F_BIND);
    buf_put_str(&f->message, portal);
    buf_put(&f->message, "\0\0\0\0\0\0\0", 7);
    write_end(&f->message, at);
    sync(f);
    say(f);
    const char *got = noted(f);
    write_empty(&f->message, B_PARSE_COMPLETE);
    write_empty(&f->message, B_BIND_COMPLETE);
    write_ready(&f->message, f->session->txn);
    reply(f, "");
    return got;
}

static const char *executed(struct fixture *f, const char *portal) {
    (void)noted(f);
    write_execute_all(&f->message, text_slice(portal));
    sync(f);
    say(f);
    const char *got = noted(f);
    write_select_complete(&f->message, 0);
    write_ready(&f->message, f->session->txn);
    reply(f, "");
    return got;
}

Test(session, a_named_portal_writes_when_it_runs) {
    struct fixture f;
    setup_in_transaction(&f);
    expect(bound(&f, "SELECT 1", "r"), "");
    expect(bound(&f, "INSERT INTO t (a) VALUES (1)", "w"), "");
    expect(executed(&f, "r"), "");
    cr_assert_not(f.session->transaction.spent);
    expect(noted_of(&f, "FETCH r"), "*"); // which forgets both
    (void)noted_at_end(&f, 'T');
    expect(executed(&f, "w"), "*");
    expect(bound(&f, "INSERT INTO t (a) VALUES (1)", "w"), "");
    expect(executed(&f, "w"), "t");
    expect(executed(&f, "w"), "*");
    expect(bound(&f, "SELECT 1", "r"), "");
    write_close(&f.message, 'P', text_slice("r"));
    sync(&f);
    say(&f);
    write_empty(&f.message, B_CLOSE_COMPLETE);
    write_ready(&f.message, 'T');
    reply(&f, "");
    expect(executed(&f, "r"), "*");
    teardown(&f);
}

// More names than are remembered.
Test(session, the_oldest_cursors_are_forgotten) {
    struct fixture f;
    char text[80];
    setup_in_transaction(&f);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "DECLARE c%d CURSOR FOR SELECT 1", i);
        expect(noted_in(&f, text, false, 'T'), "");
    }
    expect(noted_in(&f, "FETCH c99", false, 'T'), "");
    expect(noted_in(&f, "FETCH c90", false, 'T'), "");
    expect(noted_in(&f, "FETCH c0", false, 'T'), "*");
    teardown(&f);
}

// ---- inside an open unit

// A Query ends it, with one ReadyForQuery for both, unless it has failed.
Test(session, a_query_inside_a_unit_waits_for_what_is_before_it) {
    struct fixture f;
    setup(&f, false);
    parse(&f, "SET search_path = a");
    bind(&f, NULL);
    query(&f, "SELECT 1");
    size_t taken = session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now);
    cr_assert_lt(taken, f.message.len);
    cr_assert_str_eq(types_of(&f.to_server), "PBEH");
    buf_reset(&f.message);
    reply(&f, "12");
    cr_assert_not(session_takes_client(f.session));
    reply(&f, "C");
    cr_assert(session_takes_client(f.session));
    query(&f, "SELECT 1");
    say(&f);
    reply(&f, "TCZ");
    cr_assert_eq(f.session->owed.n, 0);
    cr_assert_not(f.session->opaque);
    cr_assert_not(f.session->in_unit);
    teardown(&f);
}

Test(session, a_query_behind_an_error_is_skipped) {
    struct fixture f;
    setup(&f, false);
    parse(&f, "SELEC");
    write_empty(&f.message, F_FLUSH);
    say(&f);
    reply(&f, "E");
    query(&f, "SET search_path = a");
    say(&f);
    cr_assert_eq(f.session->owed.n, 1);
    sync(&f);
    say(&f);
    reply(&f, "Z");
    cr_assert_eq(f.session->identity.n_settings, 0);
    cr_assert_eq(f.session->owed.n, 0);
    teardown(&f);
}

// COPY waits for data and ignores it, unless the data before it have failed meanwhile: the server knows.
static void begin_copy(struct fixture *f) {
    setup(f, false);
    query(f, "COPY t FROM STDIN");
    say(f);
    reply(f, "G");
}

Test(session, a_sync_inside_copy_goes_to_the_server) {
    for (int data = 0; data < 2; data++) {
        struct fixture f;
        begin_copy(&f);
        if (data)
            write_empty(&f.message, F_COPY_DATA);
        sync(&f);
        write_empty(&f.message, F_COPY_DONE);
        say(&f);
        cr_assert_str_eq(types_of(&f.to_server), data ? "QdSc" : "QSc");
        cr_assert(f.session->opaque);
        reply(&f, data ? "EZZ" : "CZ");
        query(&f, "SELECT 1");
        say(&f);
        reply(&f, "TCZ");
        cr_assert_str_eq(types_of(&f.to_client), data ? "GEZZTCZ" : "GCZTCZ");
        teardown(&f);
    }
}

// Until the server has said that there is a COPY.
Test(session, a_sync_behind_copy_or_its_data_waits) {
    static const char *const replies[] = {"G", "EZ", "CZ"};
    for (size_t n = 0; n < 2 * sizeof replies / sizeof *replies; n++) {
        struct fixture f;
        size_t i = n / 2;
        setup(&f, false);
        query(&f, "COPY t FROM STDIN");
        if (n % 2)
            write_empty(&f.message, F_COPY_DATA);
        size_t before = f.message.len;
        sync(&f);
        cr_assert_eq(session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now),
                     before);
        buf_reset(&f.message);
        reply(&f, replies[i]);
        cr_assert(session_takes_client(f.session));
        sync(&f);
        say(&f);
        cr_assert_eq(f.session->opaque, i == 0);
        cr_assert(i == 0 || f.session->owed.n == 1);
        teardown(&f);
    }
}

Test(session, a_sync_behind_the_end_of_copy_has_a_reply) {
    struct fixture f;
    begin_copy(&f);
    write_empty(&f.message, F_FLUSH);
    write_empty(&f.message, F_COPY_DATA);
    write_empty(&f.message, F_FLUSH);
    write_empty(&f.message, F_COPY_DONE);
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "QHdHc");
    reply(&f, "CZ");
    cr_assert_eq(f.session->owed.n, 0);
    cr_assert_not(f.session->in_unit);
    sync(&f);
    say(&f);
    cr_assert_eq(f.session->owed.n, 1);
    reply(&f, "Z");
    cr_assert_not(f.session->opaque);
    teardown(&f);
}

// It ends the COPY (and with it the connection), and is not run.
Test(session, a_query_inside_copy_goes_to_the_server) {
    struct fixture f;
    begin_copy(&f);
    query(&f, "SELECT 1");
    say(&f);
    reply(&f, "EZ");
    parse(&f, "SELECT 1");
    bind(&f, NULL);
    query(&f, "SELECT 1");
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "QQPBEQ");
    cr_assert(f.session->opaque);
    teardown(&f);
}

// Not one that it may have prepared by a statement.
Test(session, a_name_of_the_clients_is_closed_only_where_a_batch_may_have_left_it) {
    static const char *const names[] = {"pgfold_x", "pgfold_release",
                                        "pgfold_0123456789abcdef0123456789abcdef",
                                        "pgfold_0123456789abcdef0123456789abcdeg"};
    for (int i = 0; i < 8; i++) {
        struct fixture f;
        setup(&f, false);
        f.session->own.lent = i & 1;
        query(&f, "PREPARE pgfold_x AS SELECT 1");
        say(&f);
        cr_assert_str_eq(types_of(&f.to_server), f.session->own.lent ? "CCCSQ" : "Q",
                         "what may be left of savepoints");
        reply(&f, f.session->own.lent ? "333ZCZ" : "CZ");
        buf_reset(&f.to_server);
        write_parse(&f.message, text_slice(names[i / 2]), text_slice("SELECT 1"), NULL, 0);
        sync(&f);
        say(&f);
        cr_assert_str_eq(types_of(&f.to_server), i == 5 ? "CSPS" : "PS", "%s", names[i / 2]);
        teardown(&f);
    }
}

// Behind it in a unit of several could be what cannot be taken back: it is known first.
Test(session, a_statement_that_has_changed_is_refused_inside_a_unit) {
    struct fixture f;
    setup(&f, false);
    learn(&f, one);
    prepare(&f, "x", one);
    buf_reset(&f.to_client);
    write_describe(&f.message, 'S', text_slice("x"));
    write_empty(&f.message, F_FLUSH);
    cr_assert_eq(session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now), 0);
    cr_assert_str_eq(types_of(&f.to_server), "CPBECCPDS", "in front of it");
    buf_reset(&f.message);
    reply(&f, "312DC331tnZ");
    cr_assert(session_takes_client(f.session));
    buf_reset(&f.to_server);
    write_describe(&f.message, 'S', text_slice("x"));
    write_empty(&f.message, F_FLUSH);
    cr_assert_eq(session_from_client(f.session, f.message.data, f.message.len, f.session->engine->now), 0);
    cr_assert_str_eq(types_of(&f.to_server), "CPDH", "and again, to be known before it is used");
    buf_reset(&f.message);
    reply(&f, "31tn");
    cr_assert(session_takes_client(f.session));
    buf_reset(&f.to_server);
    write_describe(&f.message, 'S', text_slice("x"));
    sync(&f);
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "BS", "something that the server refuses");
    write_error(&f.message, "ERROR", "26000", "no such statement", NULL, NULL);
    reply(&f, "Z");
    cr_assert_str_eq(types_of(&f.to_client), "EZ");
    cr_assert_not_null(memmem(f.to_client.data, f.to_client.len, "0A000", 5));
    cr_assert_eq(f.session->owed.n, 0);
    cr_assert_not(f.session->failed);
    teardown(&f);
}

// ---- texts that are not read

// Nothing is left for new texts.
static void setup_spent(struct fixture *f) {
    setup(f, false);
    struct engine_limits limits = f->engine->limits;
    limits.parse_budget = 1000;
    engine_set_limits(f->engine, &limits);
    f->engine->now = 1000000;
    f->session->ration = f->engine->rations.all = (struct ration){1u << 31, 1000000 >> 13};
    write_parse(&f->message, text_slice("x"), text_slice("BEGIN"), NULL, 0);
    sync(f);
    say(f);
    reply(f, "1Z");
    buf_reset(&f->to_server);
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

// It may be anything that its first word allows, and what comes behind it waits.
static void check_unread(struct fixture *f, size_t i) {
    const char *sql = unread[i].sql;
    struct session *s = f->session;
    uint64_t generation = f->engine->generation, seq = s->database->seq;
    size_t first = f->message.len;
    query(f, "SELECT b FROM t WHERE id = 1");
    s->names.unknown = false;
    cr_expect_eq(session_from_client(s, f->message.data, f->message.len, s->engine->now), first, "%s", sql);
    cr_expect(s->hold.lookups, "%s", sql);
    buf_reset(&f->message);
    cr_expect_eq(s->identity.state, IDENTITY_UNPROVEN, "%s", sql);
    cr_expect_eq(s->identity.origin, ORIGIN_UNKNOWN, "%s", sql);
    cr_expect(s->database->seq > seq, "%s: it may write", sql);
    cr_expect_eq(f->engine->generation != generation, unread[i].definitions, "%s", sql);
    cr_expect_eq(owed_last(s)->forward.changes, unread[i].definitions, "%s", sql);
    cr_expect(owed_last(s)->forward.ends && owed_last(s)->forward.spends && owed_last(s)->forward.drops, "%s",
              sql);
    cr_expect(owed_last(s)->forward.level && owed_last(s)->forward.isolation == ISOLATION_UNKNOWN, "%s", sql);
}

Test(session, a_query_that_is_not_read_may_be_anything) {
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        struct fixture f;
        if (unread[i].definitions)
            continue; // the first word says enough
        setup_spent(&f);
        query(&f, unread[i].sql);
        check_unread(&f, i);
        cr_expect_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 2, "%s", unread[i].sql);
        cr_expect_null(session_statement(f.session, text_slice("x")), "%s", unread[i].sql);
        cr_expect(f.session->names.unknown, "%s", unread[i].sql);
        reply(&f, "CZ");
        cr_expect_not(f.session->hold.lookups, "%s", unread[i].sql);
        teardown(&f);
    }
}

Test(session, a_statement_that_is_not_read_may_be_anything) {
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
        struct fixture f;
        setup_spent(&f);
        parse(&f, unread[i].sql);
        bind(&f, NULL);
        sync(&f);
        check_unread(&f, i);
        cr_expect_eq(session_statement(f.session, text_slice("x")) == NULL, unread[i].names, "%s",
                     unread[i].sql);
        cr_expect_eq(f.session->names.unknown, unread[i].names, "%s", unread[i].sql);
        reply(&f, "12CZ");
        cr_expect_not(f.session->hold.lookups, "%s", unread[i].sql);
        teardown(&f);
    }
}

// One that is prepared once and run often stays known as one that is not.
Test(session, a_prepared_statement_that_was_not_read_is_not_read_each_time) {
    struct fixture f;
    setup_spent(&f);
    write_parse(&f.message, text_slice("y"), text_slice("DEALLOCATE x"), NULL, 0);
    sync(&f);
    say(&f);
    reply(&f, "1Z");
    for (int i = 0; i < 2; i++) {
        f.session->names.unknown = false;
        size_t at = write_begin(&f.message, F_BIND);
        buf_put(&f.message, "\0y\0\0\0\0\0\0\0", 9);
        write_end(&f.message, at);
        write_execute_all(&f.message, text_slice(""));
        sync(&f);
        say(&f);
        cr_assert(f.session->names.unknown);
        cr_assert_not_null(session_statement(f.session, text_slice("y")));
        reply(&f, "2CZ");
    }
    teardown(&f);
}

// Of several statements one may be a COPY, whose data come behind it.
Test(session, the_data_of_a_copy_do_not_wait_behind_what_was_not_read) {
    struct fixture f;
    setup_spent(&f);
    query(&f, "SELECT 1; COPY t FROM STDIN");
    say(&f);
    write_empty(&f.message, F_COPY_DATA);
    write_empty(&f.message, F_COPY_DONE);
    size_t len = f.message.len;
    cr_assert_eq(session_from_client(f.session, f.message.data, len, f.session->engine->now), 0);
    struct buf data = f.message;
    f.message = buf_make(100000);
    reply(&f, "C");
    size_t at = write_begin(&f.message, B_COPY_IN);
    buf_put(&f.message, "\0\0\0", 3);
    write_end(&f.message, at);
    reply(&f, "");
    cr_assert(session_takes_client(f.session));
    cr_assert_eq(session_from_client(f.session, data.data, len, f.session->engine->now), len);
    reply(&f, "CZ");
    cr_assert_not(f.session->hold.lookups);
    buf_free(&data);
    teardown(&f);
}

Test(session, a_text_that_comes_again_is_known_when_there_is_time) {
    struct fixture f;
    setup_spent(&f);
    query(&f, "SELECT a FROM t WHERE id = 1");
    say(&f);
    reply(&f, "TCZ");
    cr_assert_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 2);
    f.engine->now += 60000000;
    query(&f, "SELECT a FROM t WHERE id = 2");
    say(&f);
    cr_assert_eq(f.engine->counters.forwarded[REASON_NOT_PARSED], 2);
    cr_assert_eq(f.session->order.n, 1);
    teardown(&f);
}

// EXECUTE counts on statements that the server has not been given.
Test(session, in_front_of_what_is_not_read_the_server_is_given_what_it_lacks) {
    struct fixture f;
    setup_spent(&f);
    f.engine->rations.all.spent = f.session->ration.spent = 0;
    learn(&f, one);
    prepare(&f, "l", one);
    f.engine->rations.all.spent = f.session->ration.spent = 1u << 31;
    buf_reset(&f.to_server);
    parse(&f, "EXECUTE l (1)");
    bind(&f, NULL);
    sync(&f);
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "CPBECCPDSPBES");
    teardown(&f);
}

// What an earlier unit of ours leaves the server with says nothing of what a Close behind it leaves: that may
// be skipped for an error, and then the client still has the statement.
Test(session, a_close_on_its_way_is_not_sent_once_more) {
    struct fixture f;
    setup(&f, false);
    f.session->identity.state = IDENTITY_PROVEN;
    parse(&f, "SELECT nothing()");
    bind(&f, NULL);
    write_close(&f.message, 'S', text_slice(""));
    sync(&f);
    say(&f);
    buf_reset(&f.to_server);
    session_note_unnamed(f.session, true, NULL); // one that failed before it came to its own Close
    bind(&f, NULL);
    sync(&f);
    say(&f);
    cr_assert_str_eq(types_of(&f.to_server), "BES");
    teardown(&f);
}
