// SPDX-License-Identifier: PostgreSQL
//
// The life of a session: from log-in until neither side is left.
#ifndef PGFOLD_BATCHING_TALK_LIFE_H
#define PGFOLD_BATCHING_TALK_LIFE_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// A client that has logged in; `address` names the server, `startup_params` are its start-up parameters as
// sent. Relayed unread when opaque. NULL: out of memory.
struct session *session_create(struct engine *e, void *owner, struct slice address,
                               struct slice startup_params, bool opaque);
void session_destroy(
    struct session *s); // takes NULL; batches that it lent its connection to run their members alone

// May the server be read although the client does not read? Only what is not for this client.
bool session_server_is_lending(const struct session *s);

// The client has closed its sending side: what waits for its rest is forwarded when it is next offered.
void session_client_ends(struct session *s);

// The client has closed, and reads nothing either. True: the server connection still owes others something;
// effects->finished tells when it no longer does.
bool session_client_gone(struct session *s);
void session_server_gone(struct session *s);

// Forwards a unit whose rest has not come for a while. Returns true when the client's bytes should be offered
// again.
bool session_partial_expired(struct session *s, uint64_t now);

void owed_release(struct session *s, struct owed *o);

#endif
