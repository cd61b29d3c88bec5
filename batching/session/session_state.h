// SPDX-License-Identifier: PostgreSQL
//
// What the proxy asks of a session and of the engine, and tells them, besides bytes. The proxy names no field of
// either.
#ifndef PGFOLD_BATCHING_SESSION_SESSION_STATE_H
#define PGFOLD_BATCHING_SESSION_SESSION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account;
struct engine;
struct engine_counters;
struct session;
struct shape;

// ---- a session

bool session_is_opaque(const struct session *s);        // its bytes are relayed unread
bool session_has_failed(const struct session *s);       // it is to be closed
bool session_is_ending(const struct session *s);        // session_client_ends was called, or the like
bool session_has_said_goodbye(const struct session *s); // the client's Terminate was passed on
bool session_server_owes(const struct session *s);      // replies of the server, to anybody, are not here yet
bool session_owes_client(const struct session *s);      // lookups of the client's are not answered yet
bool session_is_in_transaction(const struct session *s); // by the server's last word to the client
bool session_is_copying(const struct session *s);        // the client is sending COPY data
// Nothing is under way in either direction, and no unit is open. Never so when it is opaque.
bool session_is_idle(const struct session *s);
bool session_has_partial_unit(
    const struct session *s); // the client has sent a part of one, and its rest is awaited
bool session_is_inside_message(
    const struct session *s);                      // the client has got a part of a message of the server's
uint64_t session_replies(const struct session *s); // counts the replies of the server that have ended

// The client does not take what it is sent: the session lends its connection to nobody, and joins no batch.
void session_set_backlogged(struct session *s, bool backlogged);
struct account *session_memory(struct session *s); // the bytes of its buffers are counted there

// ---- the engine

struct account *engine_memory(struct engine *e);   // for buffers of those who have no session yet
size_t engine_max_session(const struct engine *e); // bytes; 0: no limit
const struct engine_counters *engine_counters(const struct engine *e);
const struct shape *engine_newest_shape(const struct engine *e); // list, by `older`; NULL: there is none

struct engine_memory_use {
    size_t used, limit, peak;          // bytes of everything: now, at most, ever
    size_t shapes, groups, identities; // now, of these
};
struct engine_memory_use engine_memory_use(const struct engine *e);
// The most bytes that were in use since this was asked last.
size_t engine_take_memory_high(struct engine *e);

#endif
