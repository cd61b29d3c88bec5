// SPDX-License-Identifier: PostgreSQL
//
// Lookahead through sessions with scripted servers: what is loaded, what is given, and what drops it. After
// each conversation every key that was loaded has had exactly one end.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/cancel.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/turn.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

#define SESSIONS 3

struct client {
    struct session *session;
    struct buf to_client, to_server;
};

struct fixture {
    struct engine *engine;
    struct client clients[SESSIONS];
    struct buf message;
};

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_server, bytes, len);
}

static const struct engine_effects effects = {to_client, to_server, nothing, cancel_is_sent, nothing, no_log};

static struct engine_limits limits_of(void) {
    return (struct engine_limits){.max_keys = 100,
                                  .max_in_flight = 2,
                                  .max_waiting = 100,
                                  .max_shapes = 100,
                                  .max_groups = 100,
                                  .max_statements = 100,
                                  .max_answer = 100000,
                                  .max_text = 10000,
                                  .vet_max_age = 60000000,
                                  .lookahead = LOOKAHEAD_BOUNDED,
                                  .ahead_gap = 5000,
                                  .ahead_age = 100000,
                                  .ahead_keys = 500,
                                  .ahead_session = (size_t)1 << 22,
                                  .ahead_memory = (size_t)1 << 26};
}

static struct engine_counters *counters(struct fixture *f) {
    return &f->engine->counters;
}

static void setup_with(struct fixture *f, const struct engine_limits *limits) {
    *f = (struct fixture){.message = buf_make(100000)};
    f->engine = engine_create(limits, &effects, NULL);
    f->engine->now = 1000;
    for (int i = 0; i < SESSIONS; i++) {
        struct client *c = &f->clients[i];
        c->to_client = c->to_server = buf_make(100000);
        c->session =
            session_create(f->engine, c, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
    }
    struct facts *known = &f->clients[0].session->database->facts; // none is asked for
    known->known = true;
    known->generation = f->engine->generation;
    known->next = UINT64_MAX;
    strcpy(known->stamp, "1"); // as the checks say
}

static void setup(struct fixture *f) {
    struct engine_limits limits = limits_of();
    setup_with(f, &limits);
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < SESSIONS; i++)
        session_destroy(f->clients[i].session, f->engine->now);
    const struct engine_counters *n = counters(f);
    cr_expect_eq(n->ahead_keys, n->ahead_answers + n->ahead_unused + n->ahead_stale,
                 "%u keys: %u answered, %u unused, %u stale", (unsigned)n->ahead_keys,
                 (unsigned)n->ahead_answers, (unsigned)n->ahead_unused, (unsigned)n->ahead_stale);
    cr_expect_null(f->engine->aheads.newest);
    cr_expect_eq(f->engine->aheads.bytes, 0);
    engine_destroy(f->engine);
    for (int i = 0; i < SESSIONS; i++) {
        buf_free(&f->clients[i].to_client);
        buf_free(&f->clients[i].to_server);
    }
    buf_free(&f->message);
}

// ---- what is said

static const char *types_of(const struct buf *b) {
    static char text[200];
    struct frame fr;
    size_t n = 0;
    for (size_t at = 0; frame_read(b->data + at, b->len - at, &fr) == FRAME_OK && n < 199; at += fr.size)
        text[n++] = (char)fr.type;
    text[n] = 0;
    return text;
}

// What makes `actual` runs once, which Criterion's own macros do not promise.
static void expect(const char *actual, const char *expected) {
    cr_assert_str_eq(actual, expected);
}

// What went to either side since the last call.
static const char *asked(struct fixture *f, int who) {
    const char *types = types_of(&f->clients[who].to_server);
    buf_reset(&f->clients[who].to_server);
    return types;
}

static const char *told(struct fixture *f, int who) {
    const char *types = types_of(&f->clients[who].to_client);
    buf_reset(&f->clients[who].to_client);
    return types;
}

static void offer(struct fixture *f, int who) {
    cr_assert_eq(session_from_client(f->clients[who].session, f->message.data, f->message.len,
                                     f->clients[who].session->engine->now),
                 f->message.len);
    buf_reset(&f->message);
}

static void query(struct fixture *f, int who, const char *text) {
    write_query(&f->message, text, strlen(text));
    offer(f, who);
}

static void lookup_of(struct fixture *f, int who, const char *table, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT id FROM %s WHERE id = %d", table, key);
    query(f, who, text);
    engine_turn(f->engine, f->engine->now);
}

static void lookup(struct fixture *f, int who, int key) {
    lookup_of(f, who, "t", key);
}

static void put_description(struct buf *b, unsigned table) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 1);
    buf_put_str(b, "id");
    buf_put_u32(b, table);
    buf_put(b, "\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 14);
    write_end(b, at);
}

// Replies by their types: T describes `t`, L the list, D is a row of the next key, Z idle, z inside a
// transaction, E an error.
static void reply(struct fixture *f, int who, const char *types, const char *const *keys) {
    struct buf *b = &f->message;
    for (; *types; types++) {
        if (*types == 'Z' || *types == 'z' || *types == 'x')
            write_ready(b, *types == 'Z' ? 'I' : *types == 'z' ? 'T' : 'E');
        else if (*types == 'C')
            write_select_complete(b, 1);
        else if (*types == 'E')
            write_error(b, "ERROR", "22012", "no", NULL, NULL);
        else if (*types == 'T' || *types == 'L')
            put_description(b, *types == 'T' ? 16384 : 16385);
        else if (*types == 'D')
            put_text_row(b, keys++, 1);
        else
            write_empty(b, *types);
    }
    cr_assert_eq(
        session_from_server(f->clients[who].session, b->data, b->len, f->clients[who].session->engine->now),
        b->len);
    buf_reset(b);
}

static void answer(struct fixture *f, int who, int key, char status) {
    char text[16], types[] = {'T', 'D', 'C', status, 0};
    const char *one = text;
    snprintf(text, sizeof text, "%d", key);
    reply(f, who, types, &one);
}

// The folded statement's description: the ordinal or the key column in front of the original's.
static void put_folded_description(struct buf *b) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 2);
    buf_put_str(b, "id");
    buf_put(b, "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 18);
    buf_put_str(b, "id");
    buf_put(b, "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 18);
    write_end(b, at);
}

// What the check of a statement of one table says, and the messages around it.
static void put_check(struct buf *b, bool first_time) {
    static const char *const row[] = {"10", "16384", "7", "0000000000000005", "77", "1"};
    if (first_time)
        write_empty(b, B_PARSE_COMPLETE);
    write_empty(b, B_BIND_COMPLETE);
    put_text_row(b, row, 6);
    write_select_complete(b, 1);
}

static void put_frame(struct buf *b) {
    write_empty(b, B_CLOSE_COMPLETE);
    write_empty(b, B_PARSE_COMPLETE);
    write_empty(b, B_BIND_COMPLETE);
    write_select_complete(b, 0);
    write_empty(b, B_CLOSE_COMPLETE);
}

// A batch's answer in the IN form: one row for each of the keys first … last. `first_time`: it was prepared,
// too. `framed`: inside a transaction.
// As first_time: the statement alone was prepared once more, or its check alone, which is another one for
// rows that will be held.
#define ANEW       2
#define CHECK_ANEW 3

static void answer_batch(struct fixture *f, int who, int first, int last, int first_time, bool framed) {
    struct buf *b = &f->message;
    if (framed) { // SAVEPOINT, and what makes the process hear of others' changes
        put_frame(b);
        put_frame(b);
    }
    if (first_time == true || first_time == CHECK_ANEW)
        write_empty(b, B_CLOSE_COMPLETE); // of the check's name
    if (first_time == true || first_time == ANEW) {
        write_empty(b, B_CLOSE_COMPLETE);
        write_empty(b, B_PARSE_COMPLETE);
        buf_put(b, "t\0\0\0\x0a\0\1\0\0\3\xef", 11);
        put_folded_description(b);
    }
    write_empty(b, B_BIND_COMPLETE);
    for (int key = first; key <= last; key++) {
        char text[16];
        snprintf(text, sizeof text, "%d", key);
        size_t at = write_begin(b, B_DATA_ROW);
        buf_put_u16(b, 2);
        buf_put_u32(b, (uint32_t)strlen(text));
        buf_put_text(b, text);
        buf_put_u32(b, (uint32_t)strlen(text));
        buf_put_text(b, text);
        write_end(b, at);
    }
    write_select_complete(b, (unsigned)(last - first + 1));
    if (framed)
        write_empty(b, B_CLOSE_COMPLETE);
    put_check(b, first_time == true || first_time == CHECK_ANEW);
    if (framed)
        write_empty(b, B_CLOSE_COMPLETE);
    if (framed)
        put_frame(b);
    write_ready(b, framed ? 'T' : 'I');
    reply(f, who, "", NULL);
}

static void prove(struct fixture *f, int who) {
    const char *idle[] = {"idle_in_transaction_session_timeout", "0", NULL},
               *level[] = {"default_transaction_isolation", "read committed", NULL};
    session_start_proof(f->clients[who].session);
    put_proof_users(&f->message);
    write_empty(&f->message, 'C');
    put_text_row(&f->message, idle, 3);
    put_text_row(&f->message, level, 3);
    write_empty(&f->message, 'C');
    write_ready(&f->message, 'I');
    reply(f, who, "", NULL);
    cr_assert_eq(f->clients[who].session->identity.state, IDENTITY_PROVEN);
    (void)asked(f, who);
}

static const char *const keys_1_to_9[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};

// The list, with the verdict that it is a plain read when nobody has asked for that yet.
static void list(struct fixture *f, int who, bool vetted, char status) {
    const char *yes[] = {"t"};
    char types[] = "LDDDDDDDDDCZ";
    types[11] = status;
    query(f, who, "SELECT id FROM list");
    if (!vetted) {
        put_text_row(&f->message, yes, 1);
        reply(f, who, "CZ", NULL);
    }
    reply(f, who, types, keys_1_to_9);
    (void)asked(f, who);
    (void)told(f, who);
}

// Vetting's answer: nothing speaks against it, its key is its table's own and the list's.
static void answer_vetting(struct fixture *f, int who) {
    const char *row[] = {"f",   "f", "f", "f", "f",  "f",  "f", "f",
                         "f",   "f", "f", "f", NULL, "23", "t", "0:16384:1,0:16385:1",
                         "1\nt"};
    static const char *const stamp[] = {"10", "16384:7", NULL, NULL, "0", "0::", "t"};
    struct buf *b = &f->message;
    for (int i = 0; i < 2; i++) {
        write_empty(b, B_CLOSE_COMPLETE);
        write_empty(b, B_PARSE_COMPLETE);
        write_empty(b, B_BIND_COMPLETE);
        if (!i)
            put_text_row(b, stamp, 7);
        if (!i)
            write_select_complete(b, 1);
    }
    put_text_row(b, row, 17);
    write_select_complete(b, 1);
    write_empty(b, B_CLOSE_COMPLETE);
    write_empty(b, B_PARSE_COMPLETE);
    buf_put(b, "t\0\0\0\x0a\0\1\0\0\0\x17", 11);
    put_description(b, 16384);
    write_empty(b, B_CLOSE_COMPLETE);
    write_ready(b, 'I');
    reply(f, who, "", NULL);
}

// The list is known, the lookups are READY, and key 1 was asked for.
static void begin_proven(struct fixture *f, int who) {
    const char *yes[] = {"t"};
    list(f, who, false, 'Z');
    lookup(f, who, 1);
    expect(asked(f, who), "QQCPBECCPBECCPBECCPDCS");
    put_text_row(&f->message, yes, 1);
    reply(f, who, "CZ", NULL);
    answer(f, who, 1, 'Z');
    answer_vetting(f, who);
    expect(told(f, who), "TDCZ");
}

static void begin(struct fixture *f, int who) {
    prove(f, who);
    begin_proven(f, who);
}

// Key 2 is asked for, and the rest loaded behind it, which is under way.
static void load(struct fixture *f, int who) {
    begin(f, who);
    lookup(f, who, 2);
    expect(asked(f, who), "QCCPDBEPBES");
    answer(f, who, 2, 'Z');
    expect(told(f, who), "TDCZ");
    cr_assert_eq(counters(f)->ahead_keys, 7);
}

static void load_and_hold(struct fixture *f, int who) {
    load(f, who);
    answer_batch(f, who, 3, 9, true, false);
    expect(told(f, who), "");
}

static bool is_held(struct fixture *f, int who, int key) {
    uint64_t before = counters(f)->ahead_answers;
    lookup(f, who, key);
    return counters(f)->ahead_answers > before;
}

Test(ahead, a_loop_is_answered_from_what_is_held) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    for (int key = 3; key <= 9; key++) {
        cr_assert(is_held(&f, 0, key), "key %d", key);
        const uint8_t *row = f.clients[0].to_client.data + 28; // behind the description
        cr_assert(row[0] == 'D' && row[11] == (uint8_t)('0' + key), "key %d", key);
        expect(told(&f, 0), "TDCZ");
        expect(asked(&f, 0), "");
    }
    cr_assert_eq(counters(&f)->ahead_answers, 7);
    teardown(&f);
}

Test(ahead, no_answer_is_given_twice) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    cr_assert(is_held(&f, 0, 3));
    (void)told(&f, 0);
    cr_assert_not(is_held(&f, 0, 3));
    cr_assert_eq(asked(&f, 0)[0], 'Q');
    answer(&f, 0, 3, 'Z');
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

Test(ahead, a_lookup_joins_what_is_under_way) {
    struct fixture f;
    setup(&f);
    load(&f, 0);
    lookup(&f, 0, 5);
    expect(told(&f, 0), "");
    answer_batch(&f, 0, 3, 9, true, false);
    expect(told(&f, 0), "TDCZ");
    expect(asked(&f, 0), "");
    teardown(&f);
}

// It waits for longer than a pause may be; what it gets is judged by its age when it comes.
Test(ahead, who_has_joined_gets_what_is_fresh_then) {
    static const struct {
        uint64_t takes;
        const char *write, *told, *asked;
    } cases[] = {{99000, NULL, "TDCZ", ""},
                 {100001, NULL, "", "Q"},
                 {1000, "INSERT INTO u VALUES (1)", "TDCZ", ""},
                 {1000, "INSERT INTO t VALUES (1)", "", "Q"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        setup(&f);
        load(&f, 0);
        lookup(&f, 0, 5);
        f.engine->now += cases[i].takes;
        if (cases[i].write)
            query(&f, 1, cases[i].write);
        answer_batch(&f, 0, 3, 9, true, false);
        expect(told(&f, 0), cases[i].told);
        expect(asked(&f, 0), cases[i].asked);
        teardown(&f);
    }
}

// What runs alone is answered by the server, and nobody learns that anything was loaded.
Test(ahead, a_batch_that_fails_is_nobodys_business) {
    struct fixture f;
    setup(&f);
    load(&f, 0);
    lookup(&f, 0, 5);
    reply(&f, 0, "3EZ", NULL);
    expect(told(&f, 0), "");
    cr_assert_eq(asked(&f, 0)[0], 'Q');
    answer(&f, 0, 5, 'Z');
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

Test(ahead, what_is_no_plain_read_drops_all) {
    static const char *const texts[] = {"INSERT INTO u VALUES (1)",
                                        "SET search_path = a",
                                        "BEGIN",
                                        "COMMIT",
                                        "DO 'BEGIN END'",
                                        "NOTIFY x",
                                        "SELECT id FROM t WHERE id = 1 FOR UPDATE",
                                        "SELECT 1; SELECT 2",
                                        "no SQL"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fixture f;
        setup(&f);
        load_and_hold(&f, 0);
        query(&f, 0, texts[i]);
        cr_expect_eq(counters(&f)->ahead_stale, 7, "%s", texts[i]);
        teardown(&f);
    }
}

// Also what is still under way, whose answer no later lookup gets.
Test(ahead, what_is_under_way_is_dropped_too) {
    struct fixture f;
    setup(&f);
    load(&f, 0);
    query(&f, 0, "INSERT INTO u VALUES (1)");
    answer_batch(&f, 0, 3, 9, true, false);
    reply(&f, 0, "CZ", NULL);
    cr_assert_eq(counters(&f)->ahead_stale, 7);
    cr_assert_not(is_held(&f, 0, 3));
    teardown(&f);
}

Test(ahead, a_notification_drops_all) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    struct slice news = BYTES("A\0\0\0\x0c\0\0\0\1x\0y\0");
    cr_assert_eq(
        session_from_server(f.clients[0].session, news.data, news.len, f.clients[0].session->engine->now),
        news.len);
    expect(told(&f, 0), "A");
    cr_assert_not(is_held(&f, 0, 3));
    teardown(&f);
}

Test(ahead, writes_of_others_to_the_table) {
    static const struct {
        const char *text;
        bool held;
    } cases[] = {{"INSERT INTO t VALUES (1)", false},
                 {"DELETE FROM s.\"t\"", false},
                 {"INSERT INTO u VALUES (1)", true},
                 {"CALL p()", false},
                 {"SELECT 1", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        setup(&f);
        load_and_hold(&f, 0);
        query(&f, 1, cases[i].text);
        cr_expect_eq(is_held(&f, 0, 3), cases[i].held, "%s", cases[i].text);
        teardown(&f);
    }
}

// It counts again when it has ended: what was loaded meanwhile may not have seen it.
Test(ahead, a_write_that_ends_counts_again) {
    struct fixture f;
    setup(&f);
    query(&f, 1, "UPDATE t SET id = 1");
    load_and_hold(&f, 0);
    reply(&f, 1, "CZ", NULL);
    cr_assert_not(is_held(&f, 0, 3));
    teardown(&f);
}

Test(ahead, gaps_and_age) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    f.engine->now += 5000;
    cr_assert(is_held(&f, 0, 3), "the longest pause");
    f.engine->now += 5001;
    cr_assert_not(is_held(&f, 0, 4));
    teardown(&f);
    setup(&f);
    load_and_hold(&f, 0);
    uint64_t loaded = f.engine->now;
    for (int key = 3; key <= 6; key++) {
        f.engine->now += 4000;
        cr_assert(is_held(&f, 0, key));
    }
    f.engine->limits.ahead_age = f.engine->now - loaded + 99;
    f.engine->now += 100;
    cr_assert_not(is_held(&f, 0, 7), "too old");
    teardown(&f);
}

// The loop of the proxy sleeps from `slept` on and is to be woken at `due`; key 3 is asked for at `woke`.
static bool is_held_after(uint64_t slept, uint64_t due, uint64_t woke) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    uint64_t answered = f.engine->now;
    engine_sleeps(f.engine, answered + slept, answered + due);
    engine_wakes(f.engine, answered + woke);
    bool held = is_held(&f, 0, 3);
    teardown(&f);
    return held;
}

Test(ahead, the_time_by_which_pgfold_is_late_is_no_pause) {
    cr_assert(is_held_after(10, 5000, 4000));
    cr_assert(is_held_after(10, 5000, 40000), "woken too late");
    cr_assert_not(is_held_after(10, 6000, 5500), "in time");
    cr_assert(is_held_after(40000, 45000, 44000), "busy before it slept");
    cr_assert_not(is_held_after(40000, 50000, 46000));
}

// Nothing had come when it last woke.
Test(ahead, a_pause_over_several_turns) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    for (uint64_t at = f.engine->now, i = 1; i <= 3; i++) {
        engine_sleeps(f.engine, at + 2000 * (i - 1) + 10, at + 2000 * i);
        engine_wakes(f.engine, at + 2000 * i);
    }
    cr_assert_not(is_held(&f, 0, 3));
    teardown(&f);
}

// The client has waited for an answer, of whatever it had asked.
Test(ahead, waiting_for_the_server_is_no_pause) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    query(&f, 0, "SELECT id FROM list");
    f.engine->now += 90000;
    reply(&f, 0, "LDCZ", keys_1_to_9);
    f.engine->now += 4000;
    cr_assert(is_held(&f, 0, 3));
    teardown(&f);
}

// Who has asked for a key, and has read no list since, is answered by the server.
Test(ahead, a_poller_beside_a_loop) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    begin(&f, 0);
    lookup(&f, 1, 9);
    expect(asked(&f, 1), "QCCPDBEPBES"); // and those before, since it comes from the neighbour's list
    answer(&f, 1, 9, 'Z');
    answer_batch(&f, 1, 2, 8, true, false);
    list(&f, 0, true, 'Z');
    f.engine->now += 5001;
    lookup(&f, 0, 1);
    expect(asked(&f, 0), "QCCPDBEPBES"); // with all from 2 to 9
    answer(&f, 0, 1, 'Z');
    answer_batch(&f, 0, 2, 9, true, false);
    cr_assert_not(is_held(&f, 1, 9));
    cr_assert_eq(asked(&f, 1)[0], 'Q');
    answer(&f, 1, 9, 'Z');
    cr_assert(is_held(&f, 1, 8), "not asked for yet");
    teardown(&f);
}

// Four batches that serve nobody, whatever drops them, and no more for a while.
Test(ahead, what_serves_nobody_ends) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    for (int i = 0; i < 20; i++) {
        list(&f, 0, true, 'Z');
        f.engine->now += 5001;
        lookup(&f, 0, 2);
        answer(&f, 0, 2, 'Z');
        if (f.engine->batches)
            answer_batch(&f, 0, 3, 9, i == 0, false);
        (void)asked(&f, 0), (void)told(&f, 0);
    }
    cr_assert_eq(counters(&f)->ahead_batches, 4);
    teardown(&f);
}

// Most of a batch was asked for, and a pause has dropped the rest: key 8 is next.
static void pause_a_proven_loop(struct fixture *f) {
    load_and_hold(f, 0);
    for (int key = 3; key <= 7; key++)
        cr_assert(is_held(f, 0, key));
    list(f, 0, true, 'Z');
    f->engine->now += 5001;
    (void)asked(f, 0), (void)told(f, 0);
}

// A loop that has proved to be one costs a statement for each batch, not two.
Test(ahead, a_lookup_of_a_proven_loop_is_a_member_of_the_next_batch) {
    struct fixture f;
    setup(&f);
    pause_a_proven_loop(&f);
    cr_assert_not(is_held(&f, 0, 3));
    expect(asked(&f, 0), "BEBES");
    cr_assert_eq(counters(&f)->ahead_keys, 7 + 6);
    answer_batch(&f, 0, 3, 9, false, false);
    expect(told(&f, 0), "TDCZ");
    cr_assert(is_held(&f, 0, 4));
    expect(told(&f, 0), "TDCZ");
    expect(asked(&f, 0), "");
    teardown(&f);
}

// What is loaded next has the lookup in front of it again.
Test(ahead, a_member_of_a_batch_that_fails_runs_alone) {
    struct fixture f;
    setup(&f);
    pause_a_proven_loop(&f);
    cr_assert_not(is_held(&f, 0, 3));
    expect(asked(&f, 0), "BEBES");
    reply(&f, 0, "EZ", NULL);
    expect(told(&f, 0), "");
    cr_assert_eq(asked(&f, 0)[0], 'Q');
    answer(&f, 0, 3, 'Z');
    expect(told(&f, 0), "TDCZ");
    cr_assert_not(is_held(&f, 0, 4));
    cr_assert_eq(asked(&f, 0)[0], 'Q');
    answer(&f, 0, 4, 'Z');
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

// One snapshot for all: neither time nor others make its answers any other. Its end drops them.
Test(ahead, a_transaction_that_sees_one_snapshot) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    reply(&f, 0, "Cz", NULL);
    (void)asked(&f, 0), (void)told(&f, 0);
    list(&f, 0, true, 'z');
    lookup(&f, 0, 2);
    expect(asked(&f, 0), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(&f, 0, 2, 'z');
    answer_batch(&f, 0, 3, 9, true, true);
    expect(told(&f, 0), "TDCZ");
    f.engine->now += 900000;
    query(&f, 1, "DELETE FROM t");
    cr_assert(is_held(&f, 0, 3));
    expect(told(&f, 0), "TDCZ");
    query(&f, 0, "COMMIT");
    cr_assert_eq(counters(&f)->ahead_stale, 6);
    teardown(&f);
}

// READ COMMITTED: its lookups may see each what was committed meanwhile.
Test(ahead, a_transaction_that_sees_what_is_committed) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "BEGIN");
    reply(&f, 0, "Cz", NULL);
    (void)asked(&f, 0), (void)told(&f, 0);
    list(&f, 0, true, 'z');
    lookup(&f, 0, 2);
    expect(asked(&f, 0), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(&f, 0, 2, 'z');
    answer_batch(&f, 0, 3, 9, true, true);
    cr_assert(is_held(&f, 0, 3));
    query(&f, 1, "DELETE FROM t");
    cr_assert_not(is_held(&f, 0, 4));
    teardown(&f);
}

// Inside a transaction the failure is rolled back before anything of the client's goes on.
Test(ahead, a_batch_that_fails_inside_a_transaction) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "BEGIN");
    reply(&f, 0, "Cz", NULL);
    list(&f, 0, true, 'z');
    lookup(&f, 0, 2);
    answer(&f, 0, 2, 'z');
    lookup(&f, 0, 5);
    (void)asked(&f, 0), (void)told(&f, 0);
    reply(&f, 0, "312C3312C3Ex", NULL);
    expect(told(&f, 0), "");
    expect(asked(&f, 0), "CCPBECCPBECCCCCCCS"); // ROLLBACK TO and RELEASE
    put_frame(&f.message);
    put_frame(&f.message);
    reply(&f, 0, "z", NULL);
    cr_assert_eq(asked(&f, 0)[0], 'Q');
    answer(&f, 0, 5, 'z');
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

// Behind an error of the lookup's own nothing of the batch is reached, nor is what frames it prepared.
Test(ahead, a_lookup_that_fails_inside_a_transaction) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "BEGIN");
    reply(&f, 0, "Cz", NULL);
    list(&f, 0, true, 'z');
    lookup(&f, 0, 2);
    expect(asked(&f, 0), "QCPBECCPBECCCPDBECPBECCPBECS");
    reply(&f, 0, "ExEx", NULL);
    expect(told(&f, 0), "EZ");
    query(&f, 0, "ROLLBACK");
    reply(&f, 0, "CZ", NULL);
    query(&f, 0, "BEGIN");
    reply(&f, 0, "Cz", NULL);
    cr_assert_not(f.clients[0].session->frame.prepared);
    teardown(&f);
}

Test(ahead, a_client_that_leaves_takes_all_with_it) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    cr_assert_not(session_client_gone(f.clients[0].session, f.clients[0].session->engine->now));
    teardown(&f);
    setup(&f);
    load(&f, 0); // under way: nobody else waits for it
    cr_assert_not(session_client_gone(f.clients[0].session, f.clients[0].session->engine->now));
    teardown(&f);
}

Test(ahead, a_lost_connection_runs_who_joined_elsewhere) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    load(&f, 0);
    lookup(&f, 1, 5);
    expect(asked(&f, 1), "");
    cr_assert_eq(counters(&f)->ahead_answers, 1, "it has joined");
    session_server_gone(f.clients[0].session, f.clients[0].session->engine->now);
    expect(asked(&f, 1), "Q");
    answer(&f, 1, 5, 'Z');
    expect(told(&f, 1), "TDCZ");
    teardown(&f);
}

// Others wait for what was loaded for it: the connection stays until they have it.
// Key 2's answer and the batch behind it are under way for the first; the second asks for key 5.
static void join_behind_another(struct fixture *f) {
    setup(f);
    prove(f, 1);
    begin(f, 0);
    lookup(f, 0, 2);
    (void)asked(f, 0);
    lookup(f, 1, 5);
    expect(asked(f, 1), "");
}

// The lookups of a page that come together over a pool's connections.
Test(ahead, a_lookup_joins_behind_anothers_answer) {
    struct fixture f;
    join_behind_another(&f);
    answer(&f, 0, 2, 'Z');
    answer_batch(&f, 0, 3, 9, true, false);
    expect(told(&f, 0), "TDCZ");
    expect(told(&f, 1), "TDCZ");
    teardown(&f);
}

Test(ahead, a_client_that_does_not_read_holds_up_nobody) {
    struct fixture f;
    join_behind_another(&f);
    f.clients[0].session->backlogged = true;
    engine_turn(f.engine, f.engine->now);
    expect(asked(&f, 1), "Q");
    answer(&f, 1, 5, 'Z');
    expect(told(&f, 1), "TDCZ");
    cr_assert_not(is_held(&f, 1, 6), "not again");
    engine_turn(f.engine, f.engine->now + 100000);
    cr_assert_eq(asked(&f, 1)[0], 'Q');
    answer(&f, 1, 6, 'Z');
    answer(&f, 0, 2, 'Z');
    answer_batch(&f, 0, 3, 9, true, false);
    expect(told(&f, 1), "TDCZ");
    teardown(&f);
}

Test(ahead, a_client_that_leaves_others_waiting) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    load(&f, 0);
    lookup(&f, 1, 5);
    cr_assert(session_client_gone(f.clients[0].session, f.clients[0].session->engine->now));
    answer_batch(&f, 0, 3, 9, true, false);
    expect(told(&f, 1), "TDCZ");
    teardown(&f);
}

Test(ahead, a_cancel_request_ends_who_has_joined) {
    struct fixture f;
    setup(&f);
    load(&f, 0);
    lookup(&f, 0, 5);
    cr_assert_not(session_cancel(f.clients[0].session, f.clients[0].session->engine->now));
    expect(told(&f, 0), "EZ");
    reply(&f, 0, "EZ", NULL);
    expect(told(&f, 0), "");
    teardown(&f);
}

Test(ahead, a_loop_over_the_connections_of_a_pool) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    prove(&f, 2);
    load_and_hold(&f, 0);
    cr_assert(is_held(&f, 1, 3));
    expect(told(&f, 1), "TDCZ");
    cr_assert(is_held(&f, 2, 4));
    expect(told(&f, 2), "TDCZ");
    cr_assert_not(is_held(&f, 2, 3), "once, whoever asks");
    teardown(&f);
}

// Those that come together fold; the first of them is no loop.
Test(ahead, a_burst_over_the_connections_of_a_pool) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    begin(&f, 0);
    query(&f, 0, "SELECT id FROM t WHERE id = 2");
    query(&f, 1, "SELECT id FROM t WHERE id = 3");
    engine_turn(f.engine, f.engine->now);
    cr_assert_eq(counters(&f)->ahead_batches, 0);
    bool first = f.clients[0].to_server.len;
    answer_batch(&f, first ? 0 : 1, 2, 3, true, false);
    expect(told(&f, 0), "TDCZ");
    expect(told(&f, 1), "TDCZ");
    cr_assert_eq(counters(&f)->folded, 2);
    teardown(&f);
}

// What one client pipelines comes in several reads: the last one does not wait for the batch before.
Test(ahead, a_straggler_of_a_pipeline) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "SELECT id FROM t WHERE id = 2");
    query(&f, 0, "SELECT id FROM t WHERE id = 3");
    engine_turn(f.engine, f.engine->now);
    expect(asked(&f, 0), "CCPDBEPBES");
    lookup(&f, 0, 4);
    expect(asked(&f, 0), "BEBES");
    answer_batch(&f, 0, 2, 3, true, false);
    expect(told(&f, 0), "TDCZTDCZ");
    answer_batch(&f, 0, 4, 4, false, false);
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

// In company only a session that is seen to go through its own list looks ahead.
Test(ahead, a_loop_in_company) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    begin(&f, 0);
    lookup(&f, 1, 77);
    expect(asked(&f, 1), "Q");
    lookup(&f, 0, 2);
    expect(asked(&f, 0), "Q");
    answer(&f, 0, 2, 'Z');
    answer(&f, 1, 77, 'Z');
    lookup(&f, 1, 78);
    lookup(&f, 0, 3);
    expect(asked(&f, 0), "QCCPDBEPBES");
    answer(&f, 1, 78, 'Z');
    answer(&f, 0, 3, 'Z');
    answer_batch(&f, 0, 4, 9, true, false);
    teardown(&f);
}

// What was loaded before a session did more than read is not for it, and still is for others.
Test(ahead, what_was_loaded_before_ones_own_statement) {
    struct fixture f;
    setup(&f);
    prove(&f, 1);
    prove(&f, 2);
    load_and_hold(&f, 0);
    query(&f, 1, "NOTIFY x");
    reply(&f, 1, "CZ", NULL);
    cr_assert_not(is_held(&f, 1, 3));
    cr_assert(is_held(&f, 2, 4));
    teardown(&f);
}

Test(ahead, pipelined_lookups_go_to_the_server_in_their_order) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    write_query(&f.message, "SELECT id FROM t WHERE id = 1", 29); // held by nobody
    write_query(&f.message, "SELECT id FROM t WHERE id = 4", 29);
    offer(&f, 0);
    engine_turn(f.engine, f.engine->now);
    expect(asked(&f, 0), "CBEPBES"); // folded, as they came
    cr_assert_eq(counters(&f)->ahead_answers, 0);
    teardown(&f);
}

// ---- what is not loaded

static void expect_nothing_loaded(struct engine_limits limits, const char *why) {
    struct fixture f;
    setup_with(&f, &limits);
    begin(&f, 0);
    lookup(&f, 0, 2);
    engine_turn(f.engine, f.engine->now);
    cr_expect_str_eq(types_of(&f.clients[0].to_server), "Q", "%s", why);
    cr_expect_eq(counters(&f)->ahead_keys, 0, "%s", why);
    teardown(&f);
}

Test(ahead, limits_that_keep_all_from_being_loaded) {
    static const struct table_name off[] = {{"public", "t"}};
    struct engine_limits limits = limits_of();
    limits.ahead_off = off;
    limits.n_ahead_off = 1;
    expect_nothing_loaded(limits, "the table is switched off");
    limits = limits_of();
    limits.ahead_session = 4096;
    expect_nothing_loaded(limits, "no memory for a session");
    limits = limits_of();
    limits.ahead_memory = 4096;
    expect_nothing_loaded(limits, "no memory for all");
}

Test(ahead, modes_in_which_nothing_is_loaded) {
    enum lookahead_mode modes[] = {LOOKAHEAD_OFF, LOOKAHEAD_SNAPSHOT};
    for (int i = 0; i < 2; i++) {
        struct engine_limits limits = limits_of();
        struct fixture f;
        limits.lookahead = modes[i];
        setup_with(&f, &limits);
        prove(&f, 0);
        list(&f, 0, false, 'Z');
        lookup(&f, 0, 1);
        engine_turn(f.engine, f.engine->now);
        expect(asked(&f, 0), "QQ");
        cr_assert_eq(counters(&f)->ahead_keys, 0);
        teardown(&f);
    }
}

// What is kept for sessions that have been idle is given back.
Test(ahead, idle_sessions_keep_nothing) {
    struct fixture f;
    setup(&f);
    load_and_hold(&f, 0);
    uint64_t at = f.engine->now + 10000001;
    cr_assert_leq(engine_deadline(f.engine), at);
    engine_turn(f.engine, at - 1);
    cr_assert_not_null(f.clients[0].session->ahead);
    engine_turn(f.engine, at);
    cr_assert_null(f.clients[0].session->ahead);
    cr_assert_eq(f.engine->aheads.bytes, 0);
    cr_assert_eq(counters(&f)->ahead_unused, 7);
    teardown(&f);
}

// Both lookups are compared, and the server describes the columns of another table.
static void compare_with_another_table(struct fixture *f, const char *batch, int first_time) {
    query(f, 0, "SELECT id FROM t WHERE id = 2");
    query(f, 1, "SELECT id FROM t WHERE id = 3");
    engine_turn(f->engine, f->engine->now);
    expect(asked(f, 0), "Q");
    expect(asked(f, 1), "Q");
    reply(f, 0, "LDCZ", (const char *const[]){"2"});
    reply(f, 1, "LDCZ", (const char *const[]){"3"});
    engine_turn(f->engine, f->engine->now);
    int lender = f->clients[0].to_server.len ? 0 : 1;
    expect(asked(f, lender), batch);
    answer_batch(f, lender, 2, 3, first_time, false);
}

// Once that is a change of definitions. If they are the same when they have been asked for again, it is ours.
Test(ahead, columns_that_differ_after_all_was_vetted_anew) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    prove(&f, 1);
    f.engine->limits.check_one_in = 1;
    compare_with_another_table(&f, "CCPDBEPBES", true);
    cr_assert_eq(counters(&f)->check_changed, 2);
    expect(told(&f, 0), "TDCZ");
    expect(told(&f, 1), "TDCZ");
    f.engine->limits.check_one_in = 0;
    begin_proven(&f, 0);
    f.engine->limits.check_one_in = 1;
    compare_with_another_table(&f, "CPDBEBES", ANEW);
    expect(asked(&f, 0), "Q");
    expect(asked(&f, 1), "Q");
    reply(&f, 0, "LDCZ", (const char *const[]){"2"});
    reply(&f, 1, "LDCZ", (const char *const[]){"3"});
    expect(told(&f, 0), "TDCZ");
    expect(told(&f, 1), "TDCZ");
    cr_assert_eq(counters(&f)->check_changed, 2);
    cr_assert_eq(counters(&f)->differences, 2);
    teardown(&f);
}

// Its age is judged when it is given: the state that it shows is that of the time at which it was sent.
Test(ahead, what_is_joined_and_comes_late_is_not_given) {
    struct fixture f;
    setup(&f);
    load(&f, 0);
    lookup(&f, 0, 3);
    expect(asked(&f, 0), "");
    f.engine->now += 100001;
    answer_batch(&f, 0, 3, 9, true, false);
    expect(told(&f, 0), "");
    expect(asked(&f, 0), "Q");
    answer(&f, 0, 3, 'Z');
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}

// A snapshot that stays the same shows the same, however late.
Test(ahead, what_is_joined_in_one_snapshot_is_given_late) {
    struct fixture f;
    setup(&f);
    begin(&f, 0);
    query(&f, 0, "BEGIN ISOLATION LEVEL REPEATABLE READ");
    reply(&f, 0, "Cz", NULL);
    (void)told(&f, 0);
    (void)asked(&f, 0);
    list(&f, 0, true, 'z');
    lookup(&f, 0, 2);
    expect(asked(&f, 0), "QCPBECCPBECCCPDBECPBECCPBECS");
    answer(&f, 0, 2, 'z');
    (void)told(&f, 0);
    lookup(&f, 0, 3);
    f.engine->now += 100001;
    answer_batch(&f, 0, 3, 9, true, true);
    expect(told(&f, 0), "TDCZ");
    teardown(&f);
}
