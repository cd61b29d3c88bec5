// SPDX-License-Identifier: PostgreSQL
//
// The life of a session: from the client's log-in until neither side is left.
//
//   session_create       the client has logged in
//   session_client_ends  it has closed its sending side, and still reads
//   session_client_gone  it has closed altogether
//   session_server_gone  the server has closed
//   session_destroy      neither side is left
//
// `now` is the engine time in microseconds; each entry point is told it.
//
// When a side is lost, all that waits for it is let go: lookups of this client are dropped, batches that run
// on its server connection fail, and their members run alone on their own connections.
#ifndef PGFOLD_BATCHING_TALK_LIFE_H
#define PGFOLD_BATCHING_TALK_LIFE_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Creates the session of a client that has logged in. `owner`: for the effects; not ours. `address` names the
// server. `startup_params`: the start-up parameters as sent. Both are copied. `opaque`: the bytes are relayed
// unread. NULL: out of memory.
struct session *session_create(struct engine *e, void *owner, struct slice address,
                               struct slice startup_params, bool opaque, uint64_t now);

// Frees it and all that it holds. Takes NULL. Batches that it lent its connection to run their members alone.
void session_destroy(struct session *s, uint64_t now);

// The client has closed its sending side. What waits for its rest is forwarded when it is offered next.
void session_client_ends(struct session *s);

// The client has closed, and reads nothing. True: the server connection still runs something for others;
// effects->finished tells when it no longer does.
bool session_client_gone(struct session *s, uint64_t now);

// The server has closed, or its connection is lost.
void session_server_gone(struct session *s, uint64_t now);

// Is what the server sends next for others than this client? Then the server is read even if the client does
// not read.
bool session_server_is_lending(const struct session *s);

// To be called now and then. If a unit's rest has not come for so long, what is there is to be forwarded. True:
// the caller offers the client's bytes again.
#define SESSION_PARTIAL_WAIT 5000 // microseconds
bool session_partial_expired(struct session *s, uint64_t now);

// Releases what an entry of the owed queue holds, without its reply: a batch fails, a question counts as not
// asked.
void owed_release(struct session *s, struct owed *o);

#endif
