// SPDX-License-Identifier: PostgreSQL
//
// Is the server itself at the other end, or is there a pooler in front of it? Everything here relies on one
// client connection being one server process. Each proof of a session asks which process it is
// (pg_backend_pid()), and a pooler shows:
//
//   it is not the one that the log-in named (BackendKeyData): there is a pooler. In session mode all is well.
//   it is another one than before, or that of another session that lives: the pooler shares its server
//   connections (transaction mode), and from then on nothing is done but to forward.
//
// Until the server is known to be none, a session is careful: such poolers pair requests with answers by
// counting the Syncs and Queries under way, and give the connection away when all are answered. A unit of the
// client's that ends with Flush, behind one of ours, is left behind then. So nothing of the client's is sent
// while something of ours is under way.
#ifndef PGFOLD_BATCHING_SESSION_POOLER_H
#define PGFOLD_BATCHING_SESSION_POOLER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/message.h"

struct engine;
struct session;

enum pooler_kind {
    POOLER_UNKNOWN, // nobody has asked yet
    POOLER_NONE,
    POOLER_SOME,   // of which all that is known is that it is there
    POOLER_SHARES, // for good
};

struct endpoint { // one for each address that sessions are connected to
    struct endpoint *next;
    enum pooler_kind kind;
    bool told; // that there is a pooler
    char address[];
};

void pooler_finish(struct engine *e);
// The session's log-in named this process of the server at this address; 0: none. A session without this call
// is taken for one that has no pooler.
void session_server(struct session *s, struct slice address, uint32_t pid);
// A proof says which process has answered, 0: it does not.
void pooler_note(struct session *s, uint32_t pid);

bool session_is_careful(const struct session *s);
bool session_is_pooled(const struct session *s); // there is one, which is not known to share
bool session_only_forwards(const struct session *s);
bool session_runs_own(const struct session *s); // something of ours is under way

#endif
