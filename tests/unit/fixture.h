// SPDX-License-Identifier: PostgreSQL
//
// Sessions of one engine between clients and a server that the test plays. For tests of what an engine with
// sessions does: bytes in, bytes out, and a clock that stands still until the test moves it.
//
//                    from_client                        to_server
//     the test, as  ------------>  +-----------------+  ---------->  the test, as
//     the client                   |     session     |               the server
//     of struct     <------------  | of f->engine    |  <----------  of that session
//     client         to_client     +-----------------+  from_server
//
//     struct fixture f;
//     fixture_init(&f);
//     f.limits.max_keys = 10;                        // where the generous limits do not fit
//     fixture_start(&f, 1);                          // one client that has logged in
//     struct client *c = &f.clients[0];
//     say_query(c, "SELECT a FROM t WHERE id = 1");  // the client says it
//     turn(&f, 1000);                                // the loop's turn ends, at 1000 microseconds
//     expect_text(take_types(&c->to_server), "QQ");  // the lookup has gone out, and a proof behind it
//     reply(c, "TCZ");                               // the server answers the lookup
//     expect_text(take_types(&c->to_client), "TCZ"); // the client has got that
//     fixture_end(&f);
//
// The engine is told the time, f->now, at each call that is made through here.
#ifndef PGFOLD_TESTS_FIXTURE_H
#define PGFOLD_TESTS_FIXTURE_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"

#define FIXTURE_CLIENTS 4

struct client { // a session and both its peers
    struct fixture *fixture;
    struct session *session;
    struct buf from_client;          // what the client says, until the session has taken it
    struct buf from_server;          // what the server is about to say
    struct buf to_client, to_server; // what has gone out since the test emptied it
    bool resumed;                    // the session asked for the client's bytes since they were last offered
    unsigned n_resumed;              // how often it did, in all
    unsigned n_cancels;              // cancel requests that went to the server
    bool cancels_fail;               // none can be sent
};

struct fixture {
    struct engine_limits limits; // what the engine starts with
    struct engine *engine;
    uint64_t now; // microseconds; the engine is told at the next call
    struct client clients[FIXTURE_CLIENTS];
    unsigned n_clients;
    void (*log)(enum reason reason, const char *message); // NULL: the log is not looked at
};

// ---- beginning and end

void fixture_init(struct fixture *f);              // generous limits, nothing started
void fixture_start(struct fixture *f, unsigned n); // an engine, and n clients that are logged in as alice
void fixture_end(struct fixture *f);               // destroys the sessions that are left, and the engine

// One more client; `server` is the address of its server.
struct client *add_client(struct fixture *f, const char *server, struct slice startup_params);
// Destroys a client's session, whose buffers stay; and gives it another one.
void log_out(struct client *c);
void log_in(struct client *c, const char *server, struct slice startup_params);

// The database's facts are known: there is nothing of a user's in it that a write could run.
void know_facts(struct client *c);

// The session asks the server who it is, and the server answers: alice, with these settings (see put_proof).
void start_proof(struct client *c);
void answer_proof(struct client *c, const char *const *settings);
void prove(struct client *c, const char *const *settings); // both; fails unless the session is proven then

// ---- the client speaks: messages are put into from_client, and said at once by say() or offer()

void query(struct client *c, const char *text);
void parse(struct client *c, const char *name, const char *text);
// Bind of the statement with this name, and Execute. Its parameter is `key`; NULL: it has none.
void execute(struct client *c, const char *name, const char *key);
void sync_unit(struct client *c);

void say(struct client *c);                         // fails unless all is taken
size_t offer(struct client *c);                     // returns how many bytes were taken; the others stay
void say_query(struct client *c, const char *text); // query() and say()
void ask(struct client *c, const char *text);       // query() and offer(): it may have to wait
// These bytes, and nothing of from_client. Returns how many were taken; the others are forgotten.
size_t client_sends(struct client *c, const void *bytes, size_t len);

bool request_cancel(struct client *c); // true: the proxy is to relay it
void cancel_ended(struct client *c);   // a request that was counted in n_cancels has been delivered, or lost
bool hang_up(struct client *c);        // the client is gone; true: its connection is still needed

// ---- the server speaks

// What is in from_server, all of which is taken. A session that resumes is offered what its client has left.
void server_says(struct client *c);
void reply(struct client *c,
           const char *letters); // the same, with these messages put behind it: see put_reply
size_t server_sends(struct client *c, const void *bytes, size_t len); // as client_sends
void lose_server(struct client *c);                                   // its connection breaks

// ---- time passes

// A turn of the event loop ends now. Sessions that resume are offered what their clients have left.
void turn(struct fixture *f, uint64_t now);
void sleep_until(struct fixture *f, uint64_t due); // the loop waits for events,
void wake(struct fixture *f, uint64_t now);        // and one has come

#endif
