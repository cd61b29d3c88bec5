// SPDX-License-Identifier: PostgreSQL
//
// Is the server itself at the other end, or is there a pooler in front of it? pgfold relies on one client
// connection being one server process. Each proof of a session asks which process it is (pg_backend_pid()).
// Two signs show a pooler:
//
//   - It is not the process that the log-in named (BackendKeyData). There is a pooler; in session mode all is
//     well.
//   - It is another process than before, or that of another live session. The pooler shares its server
//     connections (transaction mode). From then on pgfold only forwards.
//
// Until it is known that there is no pooler, a session is careful. Poolers that share pair requests with
// answers by counting the Syncs and Queries under way, and give the connection away when all are answered. If
// a unit of the client's that ends with Flush stood behind a unit of ours, the pooler would leave it without
// its answer. So nothing of the client's is sent while something of ours is under way.
#ifndef PGFOLD_BATCHING_SESSION_POOLER_H
#define PGFOLD_BATCHING_SESSION_POOLER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/message.h"

struct engine;
struct session;

enum pooler_kind {
    POOLER_UNKNOWN, // no proof has told yet
    POOLER_NONE,
    POOLER_SOME,   // there is one; nothing else is known of it
    POOLER_SHARES, // there is one that shares connections. Stays so for good
};

struct endpoint { // one for each address that sessions are connected to
    struct endpoint *next;
    enum pooler_kind kind;
    bool told; // the log says that there is a pooler
    char address[];
};

// The session's log-in named this process of the server at this address; pid 0: none. `address` is copied. A
// session without this call counts as one without a pooler.
void session_server(struct session *s, struct slice address, uint32_t pid);

// A proof says which process has answered; 0: it does not. May find a pooler, which is logged.
void pooler_note(struct session *s, uint32_t pid);

// Is it unknown whether there is a pooler, or is there one?
bool session_is_careful(const struct session *s);

// Is there one that is not known to share?
bool session_is_pooled(const struct session *s);

// Is there one that shares? Then nothing is done but to forward.
bool session_only_forwards(const struct session *s);

// Is something of ours under way on the session's connection?
bool session_runs_own(const struct session *s);

// Frees all endpoints.
void pooler_finish(struct engine *e);

#endif
