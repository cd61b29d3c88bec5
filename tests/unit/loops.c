// SPDX-License-Identifier: PostgreSQL
#include "tests/unit/loops.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/statement/shape.h"
#include "protocol/write.h"

struct engine_counters *counters(struct fixture *f) {
    return &f->engine->counters;
}

void init(struct fixture *f) {
    fixture_init(f);
    f->now = 1000;
    f->limits.vet_max_age = 60000000;
    f->limits.lookahead = LOOKAHEAD_BOUNDED;
    f->limits.ahead_gap = 5000;
    f->limits.ahead_age = 100000;
    f->limits.ahead_keys = 500;
    f->limits.ahead_session = (size_t)1 << 22;
    f->limits.ahead_memory = (size_t)1 << 26;
}

void start(struct fixture *f) {
    fixture_start(f, 3);
    know_facts(&f->clients[0]); // none are asked for
    struct facts *known = &f->clients[0].session->database->facts;
    known->next = UINT64_MAX;
    strcpy(known->stamp, "1"); // as the checks say
}

void setup(struct fixture *f) {
    init(f);
    start(f);
}

void end(struct fixture *f) {
    for (unsigned i = 0; i < f->n_clients; i++)
        log_out(&f->clients[i]);
    const struct engine_counters *n = counters(f);
    cr_expect_eq(n->ahead_keys + n->ahead_again, n->ahead_answers + n->ahead_unused + n->ahead_stale,
                 "%u keys: %u answered, %u unused, %u stale", (unsigned)n->ahead_keys,
                 (unsigned)n->ahead_answers, (unsigned)n->ahead_unused, (unsigned)n->ahead_stale);
    cr_expect_null(f->engine->aheads.newest);
    cr_expect_eq(f->engine->aheads.bytes, 0);
    fixture_end(f);
}

// ---- what is said

const char *asked(struct client *c) {
    return take_types(&c->to_server);
}

const char *told(struct client *c) {
    return take_types(&c->to_client);
}

static void lookup_of(struct client *c, const char *table, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT id FROM %s WHERE id = %d", table, key);
    say_query(c, text);
    turn(c->fixture, c->fixture->now);
}

void lookup(struct client *c, int key) {
    lookup_of(c, "t", key);
}

void reply_with(struct client *c, const char *letters, const char *const *keys) {
    struct buf *b = &c->from_server;
    for (; *letters; letters++) {
        if (*letters == 'T' || *letters == 'L')
            put_description(b, "id", *letters == 'T' ? 16384 : 16385);
        else if (*letters == 'D')
            put_text_row(b, keys++, 1);
        else if (*letters == 'C')
            write_select_complete(b, 1);
        else
            put_reply(b, *letters);
    }
    server_says(c);
}

void answer(struct client *c, int key, char status) {
    char text[16], types[] = {'T', 'D', 'C', status, 0};
    const char *one = text;
    snprintf(text, sizeof text, "%d", key);
    reply_with(c, types, &one);
}

// The description of a folded statement's rows: a column for the key, then the original's.
static void put_folded_description(struct buf *b) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 2);
    put_column(b, "id", 16384);
    put_column(b, "id", 16384);
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

void put_frame(struct buf *b) {
    put_replies(b, "312C3");
}

void answer_batch(struct client *c, int first, int last, enum preparing what, bool framed) {
    struct buf *b = &c->from_server;
    if (framed) { // SAVEPOINT, and what makes the process hear of others' changes
        put_frame(b);
        put_frame(b);
    }
    if (what == NEW)
        write_empty(b, B_CLOSE_COMPLETE); // of the check's name
    if (what != KNOWN) {
        write_empty(b, B_CLOSE_COMPLETE);
        write_empty(b, B_PARSE_COMPLETE);
        buf_put(b, "t\0\0\0\x0a\0\1\0\0\3\xef", 11);
        put_folded_description(b);
    }
    write_empty(b, B_BIND_COMPLETE);
    for (int key = first; key <= last; key++) {
        char text[16];
        const char *row[] = {text, text};
        snprintf(text, sizeof text, "%d", key);
        put_text_row(b, row, 2);
    }
    write_select_complete(b, (unsigned)(last - first + 1));
    if (framed)
        write_empty(b, B_CLOSE_COMPLETE);
    put_check(b, what == NEW);
    if (framed)
        write_empty(b, B_CLOSE_COMPLETE);
    if (framed)
        put_frame(b);
    write_ready(b, framed ? 'T' : 'I');
    reply(c, "");
}

void prove_read_committed(struct client *c) {
    static const char *const settings[] = {"idle_in_transaction_session_timeout", "0",
                                           "default_transaction_isolation", "read committed", NULL};
    prove(c, settings);
    (void)asked(c);
}

const char *const keys_1_to_9[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};

void list(struct client *c, bool vetted, char status) {
    const char *yes[] = {"t"};
    char types[] = "LDDDDDDDDDCZ";
    types[11] = status;
    say_query(c, "SELECT id FROM list");
    if (!vetted) {
        put_text_row(&c->from_server, yes, 1);
        reply(c, "CZ");
    }
    reply_with(c, types, keys_1_to_9);
    (void)asked(c);
    (void)told(c);
}

void list_repeated(struct client *c) {
    static const char *const keys[] = {"2", "3", "4", "3", "2", "3", "5", "6", "6"};
    say_query(c, "SELECT id FROM list");
    reply_with(c, "LDDDDDDDDDCZ", keys);
    (void)asked(c);
    (void)told(c);
}

void answer_vetting(struct client *c) {
    const char *row[] = {"f",   "f", "f", "f", "f",  "f",  "f", "f",
                         "f",   "f", "f", "f", NULL, "23", "t", "0:16384:1:0,0:16385:1:2",
                         "1\nt"};
    static const char *const stamp[] = {"10", "16384:7", NULL, NULL, "0", "0::", "t", NULL};
    struct buf *b = &c->from_server;
    for (int i = 0; i < 2; i++) {
        write_empty(b, B_CLOSE_COMPLETE);
        write_empty(b, B_PARSE_COMPLETE);
        write_empty(b, B_BIND_COMPLETE);
        if (!i)
            put_text_row(b, stamp, 8);
        if (!i)
            write_select_complete(b, 1);
    }
    put_text_row(b, row, 17);
    write_select_complete(b, 1);
    write_empty(b, B_CLOSE_COMPLETE);
    write_empty(b, B_PARSE_COMPLETE);
    buf_put(b, "t\0\0\0\x0a\0\1\0\0\0\x17", 11);
    put_description(b, "id", 16384);
    write_empty(b, B_CLOSE_COMPLETE);
    write_ready(b, 'I');
    reply(c, "");
}

struct shape *shape_of_lookups(struct client *c) {
    struct shape_text values;
    enum reason why;
    return shape_simple(&c->fixture->engine->shapes, text_slice("SELECT id FROM t WHERE id = 1"), &values,
                        &why);
}

static void begin_lookups(struct client *c) {
    const char *yes[] = {"t"};
    lookup(c, 1);
    expect_text(asked(c), "QQ");
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
    answer(c, 1, 'Z');
    expect_text(told(c), "TDCZ");
    lookup(c, 1);
    expect_text(asked(c), "Q" VETTING);
    answer(c, 1, 'Z');
    answer_vetting(c);
    expect_text(told(c), "TDCZ");
    shape_of_lookups(c)->guard.lone = 0;
}

void begin_proven(struct client *c) {
    list(c, false, 'Z');
    begin_lookups(c);
}

void begin(struct client *c) {
    prove_read_committed(c);
    begin_proven(c);
}

static void load_rest(struct client *c) {
    lookup(c, 2);
    expect_text(asked(c), "QCCPDBEPBES");
    answer(c, 2, 'Z');
    expect_text(told(c), "TDCZ");
    cr_assert_eq(counters(c->fixture)->ahead_keys, 7);
}

void load(struct client *c) {
    begin(c);
    load_rest(c);
}

void load_behind(struct client *c) {
    begin_lookups(c);
    load_rest(c);
    answer_batch(c, 3, 9, NEW, false);
}

void load_and_hold(struct client *c) {
    load(c);
    answer_batch(c, 3, 9, NEW, false);
    expect_text(told(c), "");
}

bool is_held(struct client *c, int key) {
    uint64_t before = counters(c->fixture)->ahead_answers;
    lookup(c, key);
    return counters(c->fixture)->ahead_answers > before;
}

void lookup_new(struct client *c, int key) {
    const char *yes[] = {"t"};
    lookup(c, key);
    expect_text(asked(c), "QQ");
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
    answer(c, key, 'Z');
    expect_text(told(c), "TDCZ");
}
