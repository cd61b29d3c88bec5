// SPDX-License-Identifier: PostgreSQL
//
// Arbitrary bytes on both sides of three sessions of one engine: nothing may crash, hang or leak. The input
// is a list of steps, each a byte that says what happens and a byte that says how many bytes follow for it.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/cancel.h"
#include "batching/flow/turn.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSIONS 3

struct side {
    struct session *session;
    struct buf client, server; // not taken yet
    unsigned cancels;
};

static void to_nobody(void *owner, const uint8_t *bytes, size_t len, bool more) {
    static volatile uint8_t sink;
    (void)owner;
    (void)more;
    for (size_t i = 0; i < len; i++)
        sink = bytes[i];
    (void)sink;
}

static bool cancel(void *owner) {
    ((struct side *)owner)->cancels++;
    return true;
}

static void nothing(void *owner) {
    (void)owner;
}

static void no_log(void *ctx, enum reason reason, uint64_t session, const char *message) {
    (void)ctx, (void)reason, (void)session, (void)message;
}

static const struct engine_effects effects = {
    .to_client = to_nobody,
    .to_server = to_nobody,
    .resume_client = nothing,
    .relay_cancel = cancel,
    .finished = nothing,
    .log = no_log,
};

static const struct engine_limits limits = {
    .max_keys = 4,
    .max_in_flight = 1,
    .max_waiting = 8,
    .max_shapes = 8,
    .max_groups = 8,
    .max_statements = 8,
    .max_answer = 4096,
    .max_text = 2048,
    .timeout = 200000,
    .patience = 5000,
    .vet_max_age = 1000000,
    .parse_budget = 1000,
    .ahead_gap = 5000,
    .ahead_age = 20000,
    .ahead_keys = 4,
    .ahead_session = 16384,
    .ahead_memory = 32768,
};

static void open_side(struct engine *e, struct side *s) {
    static const char address[] = "127.0.0.1:5432", params[] = "user\0alice";
    *s = (struct side){.client = buf_make(1 << 20), .server = buf_make(1 << 20)};
    s->session = session_create(e, s, (struct slice){(const uint8_t *)address, sizeof address - 1},
                                (struct slice){(const uint8_t *)params, sizeof params}, false, e->now);
}

static void close_side(struct side *s) {
    session_destroy(s->session, s->session->engine->now);
    buf_free(&s->client);
    buf_free(&s->server);
}

typedef size_t take_function(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);

static void offer(struct side *s, struct buf *b, const uint8_t *bytes, size_t len, take_function *take) {
    buf_put(b, bytes, len);
    while (b->len && !s->session->failed) {
        uint8_t *copy = malloc(b->len);
        if (!copy)
            abort();
        memcpy(copy, b->data, b->len);
        size_t taken = take(s->session, copy, b->len, s->session->engine->now);
        free(copy);
        if (taken > b->len)
            abort();
        buf_consume(b, taken);
        if (!taken)
            break;
    }
}

// What makes a lookup, and what answers one, is too unlikely to be found by chance.
static struct slice text_of(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static void put_bind(struct buf *b, const char *statement) {
    size_t at = write_begin(b, F_BIND);
    buf_put_u8(b, 0);
    buf_put_str(b, statement);
    buf_put_u16(b, 0);
    buf_put_u16(b, 1);
    buf_put_u32(b, 1);
    buf_put_u8(b, '7');
    buf_put_u16(b, 0);
    write_end(b, at);
}

static void put_statement(struct buf *b, unsigned which) {
    static const char *const texts[] = {"SELECT a FROM items WHERE id = 5",
                                        "SELECT a FROM items WHERE id = 6",
                                        "SELECT a FROM items WHERE id = $1",
                                        "SET x = 'y'",
                                        "BEGIN",
                                        "COMMIT",
                                        "CREATE TABLE x (y int)",
                                        "SELECT a FROM lists",
                                        "INSERT INTO items VALUES (1)",
                                        "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                        "SELECT a FROM items WHERE id = 7"};
    const char *text = texts[which % (sizeof texts / sizeof *texts)];
    if (which & 8) {
        write_query(b, text, strlen(text));
        return;
    }
    write_parse(b, text_of(which & 16 ? "s" : ""), text_of(text), NULL, 0);
    if (which & 32)
        write_describe(b, 'S', text_of(which & 16 ? "s" : ""));
    if (which & 64)
        put_bind(b, which & 16 ? "s" : "");
    if (which & 64)
        write_execute_all(b, text_of(""));
    if (which & 128)
        write_empty(b, F_SYNC);
}

static void say_something(struct side *s, uint8_t which) {
    struct buf b = buf_make(1 << 16);
    if (which == 1) {
        put_bind(&b, "");
        write_execute_all(&b, text_of(""));
        write_empty(&b, F_SYNC);
    } else if (which == 2) {
        put_bind(&b, "s");
        write_execute_all(&b, text_of(""));
        write_empty(&b, F_SYNC);
    } else if (which == 3) {
        write_close(&b, 'S', text_of("s"));
        write_empty(&b, F_SYNC);
    } else if (which == 4) {
        write_query(&b, "DEALLOCATE s_1", 14);
    } else if (which == 5) {
        write_empty(&b, F_FLUSH);
    } else if (which == 6) { // a unit without an end, which a Query ends
        put_bind(&b, "s");
        write_execute_all(&b, text_of(""));
        write_query(&b, "SELECT 1", 8);
    } else if (which == 7) {
        static const char copies[] = {F_COPY_DATA, F_COPY_DONE, F_COPY_FAIL, F_SYNC, F_FUNCTION_CALL};
        for (size_t i = 0; i < sizeof copies; i++)
            write_empty(&b, copies[i]);
    } else {
        put_statement(&b, which);
    }
    offer(s, &s->client, b.data, b.len, session_from_client);
    buf_free(&b);
}

static void put_row(struct buf *b, const char *const *values, unsigned n) {
    size_t at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(b, values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i])
            buf_put_text(b, values[i]);
    }
    write_end(b, at);
}

static void put_description(struct buf *b, unsigned n) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_str(b, "column");
        buf_put(b, "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 18); // int4
    }
    write_end(b, at);
}

static void reply_something(struct side *s, uint8_t which) {
    static const char *const vet[] = {
        "f",       "f", "f", "f", "f",  "f",  "f", "f",
        "f",       "f", "f", "f", NULL, "23", "t", "0:16384:1:0\npublic.items.id",
        "1\nitems"};
    static const char *const proof[] =
        {"role", "user", "0", "10", "11", "0002f00000000000", "0003000000000000", "role", "user"},
                             *const plain[] = {"t"};
    static const char *const five[] = {"5", "5"}, *const seven[] = {"7", "x"}, *const one[] = {"1", "x"};
    static const char empty[] = {B_PARSE_COMPLETE, B_BIND_COMPLETE,    B_CLOSE_COMPLETE,        B_NO_DATA,
                                 B_EMPTY_QUERY,    B_PORTAL_SUSPENDED, B_PARAMETER_DESCRIPTION, B_COPY_IN};
    static const struct {
        const char *const *values;
        unsigned n;
    } rows[] = {{vet, 17}, {proof, 9}, {plain, 1}, {five, 2}, {seven, 2}, {one, 2}, {five, 1}, {seven, 1}};
    struct buf b = buf_make(1 << 16);
    switch (which / 8 % 6) {
    case 0:
        write_empty(&b, empty[which % 8]);
        break;
    case 1:
        put_row(&b, rows[which % 8].values, rows[which % 8].n);
        break;
    case 2:
        put_description(&b, which % 4);
        break;
    case 3:
        write_select_complete(&b, which % 4);
        break;
    case 4:
        write_error(&b, which & 1 ? "FATAL" : "ERROR", "42601", "no", NULL, NULL);
        break;
    default:
        write_ready(&b, which & 1 ? 'I' : which & 2 ? 'T' : 'E');
        break;
    }
    offer(s, &s->server, b.data, b.len, session_from_server);
    buf_free(&b);
}

static void step(struct engine *e, struct side *s, uint8_t what, const uint8_t *bytes, size_t len) {
    e->now += 100;
    switch (what / SESSIONS % 8) {
    case 0:
        offer(s, &s->client, bytes, len, session_from_client);
        break;
    case 1:
        offer(s, &s->server, bytes, len, session_from_server);
        break;
    case 2:
        for (size_t i = 0; i < len; i++)
            say_something(s, bytes[i]);
        break;
    case 3:
        for (size_t i = 0; i < len; i++)
            reply_something(s, bytes[i]);
        break;
    case 4:
        engine_turn(e, e->now + len * 1000);
        break;
    case 5:
        (void)session_cancel(s->session, s->session->engine->now);
        break;
    case 6:
        if (s->cancels) {
            s->cancels--;
            session_cancel_done(s->session, s->session->engine->now);
        }
        break;
    default:
        if (session_partial_expired(s->session, e->now + len * 1000))
            offer(s, &s->client, NULL, 0, session_from_client);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct side sides[SESSIONS];
    struct engine_limits looking = limits; // ahead, in three of four inputs
    if (size && data[size - 1] & 3)
        looking.lookahead = data[size - 1] & 1 ? LOOKAHEAD_BOUNDED : LOOKAHEAD_SNAPSHOT;
    struct engine *e = engine_create(&looking, &effects, NULL);
    if (!e)
        return 0;
    e->now = 1;
    for (int i = 0; i < SESSIONS; i++)
        open_side(e, &sides[i]);
    while (size >= 2) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        struct side *s = &sides[data[0] % SESSIONS];
        step(e, s, data[0], data + 2, len);
        data += 2 + len;
        size -= 2 + len;
        if (s->session->failed) {
            close_side(s);
            open_side(e, s);
        }
    }
    for (int i = 0; i < SESSIONS; i++)
        close_side(&sides[i]);
    const struct engine_counters *n = &e->counters;
    if (n->ahead_keys + n->ahead_again != n->ahead_answers + n->ahead_unused + n->ahead_stale ||
        e->aheads.newest)
        abort();
    engine_destroy(e);
    return 0;
}
