// SPDX-License-Identifier: PostgreSQL
//
// What the proxy asks of a session and of the engine, and tells them, besides bytes. The proxy names no field
// of either. All pointers that are returned are borrowed. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_SESSION_STATE_H
#define PGFOLD_BATCHING_SESSION_SESSION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct engine;
struct engine_counters;
struct figures;
struct session;
struct shape;

// ---- a session

bool session_is_opaque(const struct session *s);  // its bytes are relayed unread
bool session_has_failed(const struct session *s); // the proxy must close it

// The client will send no more than is there: session_client_ends was called, or the like.
bool session_is_ending(const struct session *s);

bool session_has_said_goodbye(const struct session *s); // the client's Terminate was passed on
bool session_server_owes(const struct session *s);      // replies of the server, to anybody, are not here yet
bool session_owes_client(const struct session *s);      // lookups of the client's are not answered yet
bool session_client_waits(const struct session *s);     // for the answer to any statement of its own
bool session_is_in_transaction(const struct session *s); // as the server last told the client
bool session_is_copying(const struct session *s);        // the client is sending COPY data

// Nothing is under way in either direction, no unit is open, and nothing that the client has sent is left unread
// (what it waits for may be another session's). Never true of an opaque session.
bool session_is_idle(const struct session *s);

// The client has sent a part of a unit, and its rest is awaited.
bool session_has_partial_unit(const struct session *s);

// The client has got a part of a message of the server's.
bool session_is_inside_message(const struct session *s);

// The last that the client has sent, all of it, is a write, or ends one, and the server has not answered yet:
// others see it from some moment on that only the server tells.
bool session_is_writing(const struct session *s);

// Counts the replies of the server that have ended.
uint64_t session_replies(const struct session *s);

// The client does not take what it is sent: the session lends its connection to nobody and joins no batch.
void session_set_backlogged(struct session *s, bool backlogged);

const char *session_database(const struct session *s); // the line of its figures
uint64_t
session_last_answer(const struct session *s); // microseconds: when its client was last answered; 0: never

// The account in which the bytes of the session's buffers are counted.
struct account *session_memory(struct session *s);

// ---- the engine

// The account for buffers of connections that have no session yet.
struct account *engine_memory(struct engine *e);

// Bytes that one session may hold; 0: no limit.
size_t engine_max_session(const struct engine *e);

const struct engine_counters *engine_counters(const struct engine *e);
const struct figures *engine_figures(const struct engine *e);

// The first shape of a list that goes on with `older`. NULL: there is none.
const struct shape *engine_newest_shape(const struct engine *e);

struct engine_memory_use {
    size_t used, limit, peak;                  // bytes of everything: now, at most, ever
    size_t shapes, groups, identities, report; // bytes of these now
    size_t held;                               // bytes of what was read and loaded ahead
};
struct engine_memory_use engine_memory_use(const struct engine *e);

// The most bytes that were in use since the last call.
size_t engine_take_memory_high(struct engine *e);

// ---- a test run

struct test_result {
    unsigned long long n_statements; // of all kinds, also those that are not counted
    bool failed;                     // something was not as expected
};

struct test_result engine_test_result(const struct engine *e);

// Statements with this in their text are excused. False: out of memory.
bool engine_allow_loop(struct engine *e, const char *text);

// What was found, as text. To be freed. NULL: out of memory.
char *engine_test_report(const struct engine *e);

#endif
