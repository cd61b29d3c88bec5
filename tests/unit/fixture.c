// SPDX-License-Identifier: PostgreSQL
//
// Sessions of one engine between clients and a server that the test plays: see fixture.h.
#include "tests/unit/fixture.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "batching/flow/cancel.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/turn.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/write.h"

// Of each of a client's buffers; above what any test sends.
#define MAX_BYTES ((size_t)1 << 24)

// ---- what the engine does to the world

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_client, bytes, len);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)more;
    buf_put(&((struct client *)owner)->to_server, bytes, len);
}

static void resume_client(void *owner) {
    struct client *c = owner;
    c->resumed = true;
    c->n_resumed++;
}

static bool relay_cancel(void *owner) {
    struct client *c = owner;
    c->n_cancels += !c->cancels_fail;
    return !c->cancels_fail;
}

static void finished(void *owner) {
    (void)owner;
}

static void log_message(void *ctx, enum reason reason, uint64_t session, const char *message) {
    const struct fixture *f = ctx;
    (void)session;
    if (f->log)
        f->log(reason, message);
}

static const struct engine_effects effects = {
    .to_client = to_client,
    .to_server = to_server,
    .resume_client = resume_client,
    .relay_cancel = relay_cancel,
    .finished = finished,
    .log = log_message,
};

// ---- beginning and end

void fixture_init(struct fixture *f) {
    *f = (struct fixture){.limits = {.max_keys = 100,
                                     .max_in_flight = 2,
                                     .max_waiting = 100,
                                     .max_shapes = 100,
                                     .max_groups = 100,
                                     .max_statements = 100,
                                     .max_answer = 100000,
                                     .max_text = 10000,
                                     .vet_max_age = 1000000}};
}

void log_in(struct client *c, const char *server, struct slice startup_params) {
    c->session =
        session_create(c->fixture->engine, c, text_slice(server), startup_params, false, c->fixture->now);
    cr_assert_not_null(c->session);
}

void log_out(struct client *c) {
    session_destroy(c->session, c->fixture->now);
    c->session = NULL;
}

struct client *add_client(struct fixture *f, const char *server, struct slice startup_params) {
    cr_assert_lt(f->n_clients, FIXTURE_CLIENTS);
    struct client *c = &f->clients[f->n_clients++];
    *c = (struct client){.fixture = f};
    c->from_client = c->from_server = c->to_client = c->to_server = buf_make(MAX_BYTES);
    log_in(c, server, startup_params);
    return c;
}

void fixture_start(struct fixture *f, unsigned n) {
    f->engine = engine_create(&f->limits, &effects, f);
    cr_assert_not_null(f->engine);
    for (unsigned i = 0; i < n; i++)
        add_client(f, "server", BYTES("user\0alice\0"));
}

static void client_free(struct client *c) {
    struct buf *const all[] = {&c->from_client, &c->from_server, &c->to_client, &c->to_server};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        cr_assert_not(all[i]->failed);
        buf_free(all[i]);
    }
}

void fixture_end(struct fixture *f) {
    for (unsigned i = 0; i < f->n_clients; i++)
        log_out(&f->clients[i]);
    engine_destroy(f->engine);
    for (unsigned i = 0; i < f->n_clients; i++)
        client_free(&f->clients[i]);
}

void know_facts(struct client *c) {
    struct facts *facts = &c->session->database->facts;
    facts->known = true;
    facts->generation = c->fixture->engine->generation;
}

void start_proof(struct client *c) {
    c->fixture->engine->now = c->fixture->now;
    session_start_proof(c->session);
}

void answer_proof(struct client *c, const char *const *settings) {
    put_proof(&c->from_server, settings);
    server_says(c);
}

void prove(struct client *c, const char *const *settings) {
    start_proof(c);
    answer_proof(c, settings);
    cr_assert_eq(c->session->identity.state, IDENTITY_PROVEN);
}

// ---- the client speaks

void query(struct client *c, const char *text) {
    write_query(&c->from_client, text, strlen(text));
}

void parse(struct client *c, const char *name, const char *text) {
    write_parse(&c->from_client, text_slice(name), text_slice(text), NULL, 0);
}

void execute(struct client *c, const char *name, const char *key) {
    struct buf *b = &c->from_client;
    size_t at = write_begin(b, F_BIND);
    buf_put_str(b, ""); // the portal
    buf_put_str(b, name);
    buf_put_u16(b, 0); // formats: text
    buf_put_u16(b, key != NULL);
    if (key) {
        buf_put_u32(b, (uint32_t)strlen(key));
        buf_put_text(b, key);
    }
    buf_put_u16(b, 0); // formats of the result: text
    write_end(b, at);
    write_execute_all(b, text_slice(""));
}

void sync_unit(struct client *c) {
    write_empty(&c->from_client, F_SYNC);
}

size_t client_sends(struct client *c, const void *bytes, size_t len) {
    uint8_t *copy = exact_copy(bytes, len);
    size_t taken = session_from_client(c->session, copy, len, c->fixture->now);
    free(copy);
    return taken;
}

size_t offer(struct client *c) {
    c->resumed = false;
    size_t taken = client_sends(c, c->from_client.data, c->from_client.len);
    buf_consume(&c->from_client, taken);
    return taken;
}

void say(struct client *c) {
    offer(c);
    cr_assert_eq(c->from_client.len, 0, "%zu bytes are left", c->from_client.len);
}

void say_query(struct client *c, const char *text) {
    query(c, text);
    say(c);
}

void ask(struct client *c, const char *text) {
    query(c, text);
    offer(c);
}

bool hang_up(struct client *c) {
    return session_client_gone(c->session, c->fixture->now);
}

bool request_cancel(struct client *c) {
    return session_cancel(c->session, c->fixture->now);
}

void cancel_ended(struct client *c) {
    session_cancel_done(c->session, c->fixture->now);
}

// ---- the server speaks

static bool offer_rest(struct client *c) {
    if (!c->resumed || !c->from_client.len)
        return false;
    offer(c);
    return true;
}

size_t server_sends(struct client *c, const void *bytes, size_t len) {
    uint8_t *copy = exact_copy(bytes, len);
    size_t taken = session_from_server(c->session, copy, len, c->fixture->now);
    free(copy);
    return taken;
}

void server_says(struct client *c) {
    buf_consume(&c->from_server, server_sends(c, c->from_server.data, c->from_server.len));
    cr_assert_eq(c->from_server.len, 0, "%zu bytes are left", c->from_server.len);
    offer_rest(c);
}

void reply(struct client *c, const char *letters) {
    put_replies(&c->from_server, letters);
    server_says(c);
}

void lose_server(struct client *c) {
    session_server_gone(c->session, c->fixture->now);
}

// ---- time passes

void turn(struct fixture *f, uint64_t now) {
    bool offered = false;
    f->now = now;
    engine_turn(f->engine, now);
    for (unsigned i = 0; i < f->n_clients; i++)
        offered |= offer_rest(&f->clients[i]);
    if (offered)
        engine_turn(f->engine, now);
}

void sleep_until(struct fixture *f, uint64_t due) {
    engine_sleeps(f->engine, f->now, due);
}

void wake(struct fixture *f, uint64_t now) {
    f->now = now;
    engine_wakes(f->engine, now);
}
