// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests. A client's names a server connection by process id and secret; only a link that has both
// is found, and the engine says whether what runs there is the client's own. Then the request is sent to the
// server on a connection of its own. The client waits for the end of its connection, and gets it when the
// server has closed that one: as without a proxy.
//
// Of a session's requests one is under way at a time. Those that come before it is sent are done by it; those
// that come later are done by the next one, which is sent if what they meant still runs. A session that may
// not have one yet waits in a queue, since limits are met (max_cancels; half of it for one source): nobody's
// request is dropped for another's.
#ifndef PGFOLD_PROXY_CANCEL_H
#define PGFOLD_PROXY_CANCEL_H

#include <uv.h>

#include "protocol/message.h"
#include "proxy/guess.h"

struct cancel;
struct link;
struct proxy;

// All that there are. For cancel.c alone, but for the counts.
struct cancels {
    struct cancel *running;           // list
    struct cancel *queue, *queue_end; // list, in the order in which they are sent
    unsigned n;                       // clients' and our own, running and waiting
    unsigned n_clients, n_own;        // running
    uint64_t relayed;                 // of clients, since the start
    uint64_t joined;                  // those among them that found one under way
    uint64_t turn;                    // of the request that was sent last of those that waited
    struct guesses guesses;           // requests with a wrong key
    uv_timer_t timer;                 // runs while something waits
};

void cancel_init(struct cancels *all, struct proxy *p);
// A client's, on a connection of its own.
void cancel_from_client(struct link *l, uint32_t pid, struct slice secret);
// The engine's, for the link's session. False: there may be no more of them now.
bool cancel_for_engine(struct link *l);
void cancel_tick(struct proxy *p, uint64_t now); // once a second: time-outs
void cancel_forget_link(struct link *l);         // it is being closed
void cancel_close_all(struct proxy *p);

#endif
